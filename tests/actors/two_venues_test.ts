/** Two accounts, two feeds and their strategies in one tree, and nothing of one in the other. */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { prometheusText } from "../../actors/metrics.ts"
import { account, type TreeOptions } from "../../actors/tree.ts"
import { feed } from "../../actors/feed.ts"
import { feedOf } from "../../actors/names.ts"
import { CommandRefused } from "../../domain/command.ts"
import { add, formatDecimal, toNumber } from "../../domain/decimal.ts"
import { BTC, ETH, unreachable, USD_BTC } from "./fakes.ts"
import { assignment, everySeed, type Keel, type KeelOptions, type World } from "./harness.ts"

const both = { beside: [USD_BTC] }

function trading(world: World, options: KeelOptions = {}): Keel {
  const keel = world.start(options)
  for (const venue of world.venues) venue.drive(200)
  return keel.ready().run(1_000)
}

/** Something at either. */
function holding(world: World): Keel {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.signal("enter", USD_BTC)
  return keel.run(2_000)
}

everySeed("orders go to the venue of their instrument, under ids of that venue", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.signal("enter", USD_BTC)
  keel.signal("enter", ETH)
  keel.run(3_000)
  assert.deepEqual(
    world.venue.submits.map(({ clientOrderId, instrument }) => `${clientOrderId} ${instrument}`),
    [`keel-test-binance-1 ${BTC}`, `keel-test-binance-2 ${ETH}`],
  )
  assert.deepEqual(
    world.beside.submits.map(({ clientOrderId, instrument }) => `${clientOrderId} ${instrument}`),
    [`keel-test-alpaca-1 ${USD_BTC}`],
  )
  assert.ok([...keel.books.orders.values()].every((order) => order.status === "filled"))
  assert.equal(keel.model.overview().positions.length, 3)
  keel.stop()
}, both)

everySeed("the whole is worth what the accounts are worth together", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.signal("enter", USD_BTC)
  keel.run(20_000)
  const { accounts, equity } = keel.model.overview()
  assert.deepEqual(accounts.map(({ venue, status }) => `${venue} ${status}`), [
    "binance ready",
    "alpaca ready",
  ])
  const sum = (of: "total" | "cash" | "fees" | "exposure" | "start") =>
    accounts.map((each) => Number(each.equity?.[of])).reduce((a, b) => a + b, 0)
  for (const part of ["total", "cash", "fees", "exposure", "start"] as const) {
    assert.ok(Math.abs(Number(equity[part]) - sum(part)) < 1e-6, part)
  }
  assert.equal(equity.start, "200000")
  const metrics = prometheusText(keel.model.overview()).split("\n")
  for (const { venue, equity } of accounts) {
    const line = `keel_account_equity{venue="${venue}",part="total"} ${equity?.total}`
    assert.ok(metrics.includes(line), line)
    assert.ok(metrics.includes(`keel_orders_open{venue="${venue}"} 0`), venue)
  }
  assert.equal(formatDecimal(add(...totals(keel))), formatDecimal(keel.books.peak))
  keel.stop()
}, both)

function totals(keel: Keel) {
  const [a, b] = [...keel.books.curves.values()].map(({ peak }) => peak)
  return [a!, b!] as const
}

everySeed(
  "a venue that is lost takes the other's entries with it no more than its exits",
  (world) => {
    const keel = trading(world)
    keel.signal("enter", USD_BTC)
    keel.run(2_000)
    world.venue.marketDown = unreachable
    world.venue.cutMarket()
    keel.run(5_000)
    keel.signal("enter", BTC, "late")
    keel.signal("enter", USD_BTC, "another")
    keel.run(2_000)
    assert.equal(world.events("OrderDenied").at(-1)?.instrument, BTC)
    assert.equal(world.venue.submits.length, 0)
    assert.equal(world.beside.submits.length, 2)
    keel.stop()
  },
  both,
)

everySeed(
  "a flatten of one account leaves the other trading, all are confirmed by both",
  (world) => {
    const keel = holding(world)
    const alpaca = { kind: "account", id: "alpaca" } as const
    keel.command({ commandId: "one", type: "flatten", scope: alpaca })
    keel.run(10_000)
    assert.equal(keel.progress("one").at(-1)?.text, `${USD_BTC} is flat: confirmed by the venue.`)
    assert.ok(toNumber(world.beside.position(USD_BTC)) < 0.001)
    assert.notEqual(formatDecimal(world.venue.position(BTC)), "0")
    assert.equal(keel.books.tradingState, "active")
    assert.deepEqual([...keel.books.holds], [USD_BTC])
    keel.signal("enter", ETH)
    keel.signal("enter", USD_BTC, "another")
    keel.run(2_000)
    assert.equal(world.venue.submits.length, 2)
    assert.equal(world.events("OrderDenied").at(-1)?.code, "POSITION_ON_HOLD")
    keel.command({ commandId: "resume", type: "resume", scope: alpaca })
    keel.run(1_000)
    keel.signal("enter", USD_BTC, "a third")
    keel.run(2_000)
    assert.notEqual(formatDecimal(world.beside.position(USD_BTC)), "0")
    keel.command({ commandId: "all", type: "flatten", scope: { kind: "all" } })
    keel.run(20_000)
    assert.equal(keel.progress("all").at(-1)?.text, "Flat: confirmed by binance and alpaca.")
    assert.equal(keel.books.tradingState, "halted")
    keel.stop()
  },
  both,
)

everySeed("a flatten says of each venue what that venue has said", (world) => {
  const keel = holding(world)
  world.beside.readsDown = unreachable
  keel.command({ commandId: "f", type: "flatten", scope: { kind: "all" } })
  keel.run(90_000)
  const { text, tone } = keel.progress("f").at(-1)!
  assert.equal(tone, "error")
  assert.match(text, /^alpaca: NOT flat: the venue does not confirm it .* binance: flat, confirmed/)
  const open = () =>
    [...keel.books.alerts.values()].filter(({ resolvedAt }) => resolvedAt === undefined)
      .map(({ id }) => id)
  assert.ok(open().includes("flatten:alpaca") && !open().includes("flatten:binance"))
  world.beside.readsDown = undefined
  keel.run(60_000)
  keel.command({
    commandId: "again",
    type: "flatten",
    scope: { kind: "account", id: "alpaca" },
  })
  keel.run(60_000)
  assert.ok(!open().includes("flatten:alpaca"))
  keel.stop()
}, both)

everySeed(
  "in a closed market a flatten leaves its order at the venue and does not say flat",
  (world) => {
    const keel = holding(world)
    keel.sessions.set(USD_BTC, "closed")
    world.beside.faults.fills.push("rest")
    keel.command({ commandId: "f", type: "flatten", scope: { kind: "all" } })
    keel.run(30_000)
    const { text, tone } = keel.progress("f").at(-1)!
    assert.equal(
      text,
      "alpaca: NOT flat yet: the market is closed, and BTC/USD.ALPACA closes when it opens. " +
        "binance: flat, confirmed by the venue.",
    )
    assert.equal(tone, "warning")
    assert.equal(world.beside.submits.length, 2, "sent once, and left there")
    assert.equal([...world.beside.orders.values()].at(-1)?.status, "accepted")
    keel.stop()
  },
  both,
)

/** The second venue is not in the tree; it is let in by `admission` as soon as `isUp`. */
function late(isUp: () => boolean) {
  return (options: TreeOptions): TreeOptions => {
    const [first, second] = options.accounts
    const [firstFeed, secondFeed] = options.feeds
    const isHere = ({ venue }: { readonly venue: string }) => isUp() || venue !== "alpaca"
    return {
      ...options,
      accounts: [first!],
      feeds: [firstFeed!],
      operator: {
        ...options.operator,
        get instruments() {
          return options.operator.instruments.filter(isHere)
        },
        get brokers() {
          return options.operator.brokers.filter(isHere)
        },
      },
      admission: {
        ...options.admission,
        latecomers: [{
          venue: "alpaca",
          open: Effect.suspend(() =>
            isUp()
              ? Effect.succeed({ account: account(second!, options), feed: feed(secondFeed!) })
              : Effect.fail({ message: "alpaca: GET /v2/assets: unreachable" })
          ),
        }],
      },
    }
  }
}

everySeed("a venue that does not answer at the start is let in when it does", (world) => {
  let isUp = false
  const keel = world.start({ change: late(() => isUp) })
  for (const venue of world.venues) venue.drive(200)
  keel.until(() => keel.books.accounts.get("binance")?.ready === true).run(5_000)
  keel.signal("enter", BTC)
  keel.run(2_000)
  assert.equal(world.venue.submits.length, 1, "the other one trades")
  assert.equal(keel.books.accounts.has("alpaca"), false)
  const lost = world.events("FeedLost").filter(({ venue }) => venue === "alpaca")
  assert.ok(lost.length >= 1)
  assert.deepEqual(lost.map(({ attempt }) => attempt), lost.map((_, index) => index + 1))
  isUp = true
  keel.until(() => keel.books.accounts.get("alpaca")?.ready === true, 120_000).run(2_000)
  assert.equal(keel.books.feeds.get("alpaca")?.status, "streaming")
  keel.signal("enter", USD_BTC)
  keel.run(2_000)
  assert.equal(world.beside.submits.length, 1)
  // What it had let in comes back with it.
  keel.crash(`root/feeds/${feedOf("alpaca").id}`)
  keel.crash("root/admission")
  keel.run(10_000)
  assert.equal(keel.node(`root/feeds/${feedOf("alpaca").id}`).status, "running")
  assert.equal(keel.node("root/admission").restarts, 1)
  keel.stop()
}, both)

everySeed("what a venue is needed for is refused while that has not answered", (world) => {
  const first = trading(world)
  first.stop()
  const keel = world.start({ change: late(() => false) })
  keel.until(() => keel.books.accounts.get("binance")?.ready === true)
  for (const type of ["flatten", "pause", "accept_balances"] as const) {
    const answer = keel.command({ commandId: type, type, scope: { kind: "account", id: "alpaca" } })
    assert.ok(answer instanceof CommandRefused, type)
    assert.match(answer.message, /there is no account at alpaca/)
  }
  keel.stop()
}, both)

everySeed("a flatten says of what it cannot reach that its venue has not answered", (world) => {
  const first = holding(world)
  first.stop()
  const keel = world.start({ change: late(() => false) })
  keel.until(() => keel.books.accounts.get("binance")?.ready === true).run(3_000)
  keel.command({ commandId: "f", type: "flatten", scope: { kind: "all" } })
  keel.until(() => keel.progress("f").at(-1)?.final === true, 120_000)
  assert.match(
    keel.progress("f").at(-1)!.text,
    /^alpaca: NOT flat: still held: BTC\/USD\.ALPACA, whose venue has not answered .* binance: flat/,
  )
  keel.stop()
}, both)

everySeed("the profit of both together goes on over a restart", (world) => {
  const first = trading(world)
  first.signal("enter", BTC)
  first.signal("enter", USD_BTC)
  first.run(60_000)
  first.stop()
  const second = world.start().ready().run(2_000)
  const series = second.model.series(BTC)!
  assert.ok(series.pnl.length > 2)
  assert.ok(series.pnl.every(({ time }, i) => i === 0 || time > series.pnl[i - 1]!.time))
  // Both have paid for what they bought; neither shows alone, nor as if the other were gone.
  const { total, start } = second.model.overview().equity
  const now = Number(total) - Number(start)
  assert.ok(series.pnl.slice(-3).every(({ value }) => Math.abs(value - now) < 5), `${now}`)
  second.stop()
}, both)

everySeed("a venue that joins an old journal gets its strategies", (world) => {
  const first = trading(world, { assignments: [assignment("a", BTC)] })
  first.stop()
  const second = world.start({ assignments: [assignment("b", BTC), assignment("b", USD_BTC)] })
  second.ready().run(1_000)
  assert.deepEqual([...second.books.assignments.keys()], [`a:${BTC}`, `b:${USD_BTC}`])
  second.stop()
}, both)
