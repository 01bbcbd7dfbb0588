import assert from "node:assert/strict"
import { add, formatDecimal, isEqual, multiply, subtract } from "../../domain/decimal.ts"
import { limits } from "../../limits.ts"
import { BTC, ETH, VENUE } from "./fakes.ts"
import { everySeed, paths, type World } from "./harness.ts"

everySeed("equity is cash and positions at what closing them would fetch", (world) => {
  world.venue.drive(250, () => world.random() * 6 - 3)
  const keel = world.start().ready().run(3_000)
  for (const id of [BTC, ETH, BTC, ETH, BTC]) {
    keel.signal(holds(world, id) ? "exit" : "enter", id)
    keel.run(3_000)
  }
  // The last values of the venue have reached everybody.
  world.venue.drive(100_000)
  keel.run(2_000)
  const equity = keel.model.equities.get(VENUE)!
  const { venue } = world
  const worth = venue.instruments.reduce(
    (sum, { base, id }) => add(sum, multiply(venue.balance(base), venue.quote(id).bid)),
    venue.balance("USDT"),
  )
  assert.equal(formatDecimal(equity.total), formatDecimal(worth))
  assert.ok(isEqual(equity.cash, venue.balance("USDT")))
  const { fees, realisedPnl, start, total, unrealisedPnl } = equity
  const explained = subtract(add(add(start, realisedPnl), unrealisedPnl), fees)
  assert.ok(isEqual(total, explained))
  assert.ok(fees.value > 0n)
  keel.stop()
})

everySeed("the equity is written down when it changes, and not more often than told", (world) => {
  world.venue.drive(250, () => world.random() - 0.5)
  const keel = world.start().ready().run(3_000)
  keel.run(60_000)
  // Nothing is held: nothing changes.
  assert.equal(world.events("EquityMarked").length, 1)
  keel.signal("enter")
  keel.run(10 * limits.account.markEveryMs)
  const times = world.records().filter(({ event }) => event._tag === "EquityMarked")
    .map(({ time }) => time)
  assert.ok(times.length >= 9 && times.length <= 12, `${times.length} marks`)
  times.slice(1).forEach((time, index) =>
    assert.ok(time - times[index]! >= limits.account.markEveryMs)
  )
  const marks = world.events("EquityMarked")
  marks.slice(1).forEach(({ peak, drawdown }, index) => {
    assert.ok(Number(formatDecimal(peak)) >= Number(formatDecimal(marks[index]!.peak)))
    assert.ok(Number(formatDecimal(drawdown)) >= Number(formatDecimal(marks[index]!.drawdown)))
  })
  keel.stop()
})

everySeed("a loss beyond the day's limit stops openings", (world) => {
  world.venue.drive(250)
  const keel = world.start({
    change: (options) => ({
      ...options,
      accounts: options.accounts.map((account) => ({
        ...account,
        riskManager: {
          ...account.riskManager,
          limits: { ...account.riskManager.limits, dailyLossMax: world.venue.price(BTC) },
        },
      })),
    }),
  }).ready().run(3_000)
  keel.signal("enter", BTC, "a", "5000")
  keel.run(1_000)
  world.venue.print(BTC, "95")
  keel.run(2_000)
  keel.signal("enter", ETH)
  keel.run(1_000)
  assert.deepEqual(world.events("OrderDenied").map(({ code }) => code), ["DAILY_LOSS_EXCEEDED"])
  // Out is out.
  keel.signal("exit", BTC, "a")
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 2)
  keel.stop()
})

function holds(world: World, id: string): boolean {
  return Number(formatDecimal(world.venue.position(id))) > 0.001
}

everySeed(
  "a new day is marked although nothing has changed, so that yesterday's loss ends",
  (world) => {
    const stop = world.venue.drive(250)
    const first = world.start().ready().run(3_000)
    assert.equal(world.events("EquityMarked").length, 1)
    first.kill()
    stop()
    world.time.run(86_400_000)
    world.venue.drive(250)
    const second = world.start().ready().run(2 * limits.account.markEveryMs)
    assert.equal(world.events("EquityMarked").length, 2)
    second.stop()
  },
)

everySeed("an equity with more decimals than the journal takes is rounded", (world) => {
  const stop = world.venue.drive(250)
  const keel = world.start().ready().run(3_000)
  keel.signal("enter")
  keel.run(1_000)
  stop()
  for (let beat = 0; beat < 80; beat++) {
    world.venue.print(BTC, "101.123456789012345678")
    world.venue.print(ETH, "100")
    keel.run(250)
  }
  const { total } = world.events("EquityMarked").at(-1)!
  assert.match(formatDecimal(total), /^\d+\.\d{12,18}$/)
  assert.equal(keel.restarts(paths.journal), 0)
  // And it is news only once.
  const marks = world.events("EquityMarked").length
  for (let beat = 0; beat < 160; beat++) {
    world.venue.print(BTC, "101.123456789012345678")
    world.venue.print(ETH, "100")
    keel.run(250)
  }
  assert.equal(world.events("EquityMarked").length, marks)
  keel.stop()
})
