import assert from "node:assert/strict"
import { Effect } from "effect"
import type { TreeOptions } from "../../actors/tree.ts"
import { booksLimits } from "../../domain/books.ts"
import { formatDecimal, isEqual } from "../../domain/decimal.ts"
import { type Command, CommandRefused } from "../../domain/command.ts"
import { limits } from "../../limits.ts"
import type { Broker } from "../../venues/broker.ts"
import { BTC, ETH, unreachable, VENUE } from "./fakes.ts"
import { assignment, everySeed, type Keel, paths, World } from "./harness.ts"

const A = `a:${BTC}`
const all = { kind: "all" } as const

function trading(world: World, more: Parameters<World["start"]>[0] = {}): Keel {
  world.venue.drive(250)
  return world.start(more).ready().run(3_000)
}

function last(keel: Keel, commandId: string) {
  return keel.progress(commandId).at(-1)
}

function isFinal(keel: Keel, commandId: string) {
  return () => last(keel, commandId)?.final === true
}

everySeed("a command that comes twice acts once, and the second answer is the first", (world) => {
  const keel = trading(world)
  const command: Command = { commandId: "p1", type: "pause", scope: all, note: "lunch" }
  const first = keel.command(command)
  keel.run(100)
  const second = keel.command(command)
  keel.run(100)
  assert.deepEqual(second, first)
  assert.ok("seq" in first)
  assert.equal(world.records()[first.seq - 1]!.event._tag, "CommandReceived")
  assert.equal(world.events("CommandReceived").length, 1)
  assert.equal(world.events("TradingStateChanged").length, 1)
  assert.match(world.books().tradingStateReason ?? "", /paused by the operator: lunch/)
  keel.stop()
})

everySeed("a pause stops strategies in both directions, over a restart, until resumed", (world) => {
  const first = trading(world)
  first.signal("enter", BTC)
  first.run(1_000)
  first.command({ commandId: "p", type: "pause", scope: all })
  first.run(500)
  first.kill()
  world.time.run(10_000)
  const second = world.start().ready().run(3_000)
  second.signal("exit", BTC)
  second.signal("enter", ETH)
  second.run(1_000)
  assert.deepEqual(world.events("OrderDenied").map(({ code }) => code), [
    "TRADING_HALTED",
    "TRADING_HALTED",
  ])
  assert.equal(world.venue.submits.length, 1)
  second.command({ commandId: "r", type: "resume", scope: all })
  second.run(500)
  assert.equal(world.books().tradingState, "active")
  second.signal("exit", BTC)
  second.signal("enter", ETH)
  second.run(1_000)
  assert.equal(world.venue.submits.length, 3)
  second.stop()
})

everySeed("one instrument can be paused alone", (world) => {
  const keel = trading(world)
  keel.command({ commandId: "p", type: "pause", scope: { kind: "instrument", id: BTC } })
  keel.run(100)
  keel.signal("enter", BTC)
  keel.signal("enter", ETH)
  keel.run(1_000)
  assert.deepEqual(world.events("OrderDenied").map(({ code }) => code), ["POSITION_ON_HOLD"])
  assert.deepEqual(world.venue.submits.map(({ instrument }) => instrument), [ETH])
  keel.command({
    commandId: "o",
    type: "override_position",
    scope: { kind: "position", id: BTC },
    control: "auto",
  })
  keel.run(100)
  keel.signal("enter", BTC)
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 2)
  keel.stop()
})

everySeed("one position is closed, also while paused, and the venue confirms it", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.signal("enter", ETH)
  keel.run(1_000)
  keel.command({ commandId: "p", type: "pause", scope: all })
  keel.command({ commandId: "c", type: "close_position", scope: { kind: "position", id: BTC } })
  keel.until(isFinal(keel, "c"))
  assert.equal(last(keel, "c")!.text, `${BTC} is flat: confirmed by the venue.`)
  assert.equal(last(keel, "c")!.tone, "confirmed")
  assert.ok(Number(formatDecimal(world.venue.position(BTC))) < 0.0001)
  assert.ok(Number(formatDecimal(world.venue.position(ETH))) > 9)
  keel.stop()
})

everySeed("two closes at once sell what is held once, and both end flat", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  const scope = { kind: "position", id: BTC } as const
  keel.command({ commandId: "one", type: "close_position", scope })
  keel.command({ commandId: "two", type: "close_position", scope })
  keel.until(isFinal(keel, "one"))
  keel.until(isFinal(keel, "two"))
  const sells = [...world.venue.orders.values()].filter(({ side }) => side === "sell")
  assert.equal(sells.length, 1)
  for (const id of ["one", "two"]) {
    assert.equal(last(keel, id)!.text, `${BTC} is flat: confirmed by the venue.`)
  }
  assert.ok(Number(formatDecimal(world.venue.position(BTC))) >= 0)
  keel.stop()
})

everySeed("flatten halts, cancels, closes, and says flat when the venue has said so", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  world.venue.faults.fills.push("rest")
  keel.signal("enter", ETH)
  keel.run(1_000)
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"))
  const lines = keel.progress("f").map(({ text }) => text)
  assert.equal(lines[0], "Trading is halted.")
  assert.ok(lines.includes("Cancelling 1 open order at binance."), lines.join("\n"))
  assert.equal(lines.at(-1), "Flat: confirmed by the venue.")
  assert.equal(world.books().tradingState, "halted")
  assert.ok(Number(formatDecimal(world.venue.position(BTC))) < 0.0001)
  assert.equal(world.venue.orders.get("keel-test-binance-2")!.status, "canceled")
  keel.stop()
})

everySeed("flatten does not say flat while an order may still be filled", (world) => {
  world.venue.drive(250)
  world.venue.faults.fills.push("rest")
  // Cancels are taken and never take effect.
  const broker = (it: Broker): Broker => ({ ...it, cancel: () => Effect.succeed("requested") })
  const keel = world.start({ change: withBroker(broker) }).ready().run(3_000)
  keel.signal("enter", BTC)
  keel.run(500)
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"))
  assert.match(last(keel, "f")!.text, /^NOT flat: may still be filled: keel-test-binance-1\. /)
  keel.stop()
})

everySeed(
  "flatten does not say flat of a position whose instrument is configured no more",
  (world) => {
    world.venue.drive(250)
    const first = world.start().ready().run(3_000)
    first.signal("enter", ETH)
    first.run(1_000)
    first.kill()
    const keel = world.start({ change: onlyInstrument(BTC) }).ready().run(3_000)
    keel.command({ commandId: "f", type: "flatten", scope: all })
    keel.until(isFinal(keel, "f"))
    assert.match(
      last(keel, "f")!.text,
      /^NOT flat: still held: ETH\/USDT\S+, which is not configured/,
    )
    keel.stop()
  },
)

everySeed("flatten works while prices are stale and the private stream is lost", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  world.venue.marketDown = unreachable
  world.venue.privateDown = unreachable
  world.venue.cutMarket()
  world.venue.cutPrivate()
  keel.run(20_000)
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"))
  assert.equal(last(keel, "f")!.text, "Flat: confirmed by the venue.")
  keel.stop()
})

everySeed("flatten says NOT flat when the venue still holds something", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.signal("enter", ETH)
  keel.run(1_000)
  // The venue refuses to sell the one; the other is sold all the same.
  world.venue.refuses.add(BTC)
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"), 120_000)
  const end = last(keel, "f")!
  assert.match(end.text, /^NOT flat: still held: 9\.9\d+ BTC\. Look at the positions\.$/)
  assert.equal(end.tone, "error")
  assert.ok(Number(formatDecimal(world.venue.position(ETH))) < 0.0001)
  keel.stop()
})

everySeed("flatten does not say flat because the venue says nothing", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  world.venue.readsDown = unreachable
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"), 120_000)
  assert.match(last(keel, "f")!.text, /^NOT flat: the venue does not confirm it \(.*unreachable/)
  world.venue.readsDown = undefined
  keel.command({ commandId: "f2", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f2"))
  assert.equal(last(keel, "f2")!.text, "Flat: confirmed by the venue.")
  keel.stop()
})

everySeed("flatten finds a position that nobody knew of yet", (world) => {
  const keel = trading(world)
  // Filled at the venue; answer and fill are lost.
  world.venue.faults.submit.push("lose_answer")
  world.venue.faults.frames.push("lose", "lose")
  keel.signal("enter", BTC)
  keel.run(200)
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"))
  assert.equal(last(keel, "f")!.text, "Flat: confirmed by the venue.")
  assert.ok(Number(formatDecimal(world.venue.position(BTC))) < 0.0001)
  keel.stop()
})

everySeed("an open order is cancelled, and the venue confirms it", (world) => {
  const keel = trading(world)
  world.venue.faults.fills.push("rest")
  keel.signal("enter", BTC)
  keel.run(1_000)
  const scope = { kind: "order", id: "keel-test-binance-1" } as const
  keel.command({ commandId: "x", type: "cancel_order", scope })
  keel.until(isFinal(keel, "x"))
  assert.equal(last(keel, "x")!.text, "The venue confirms: keel-test-binance-1 is canceled.")
  const again = keel.command({ commandId: "y", type: "cancel_order", scope })
  assert.ok(again instanceof CommandRefused)
  assert.equal(again.status, 409)
  keel.stop()
})

everySeed("a swapped strategy hands its holding to the next and touches nobody else", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC), assignment("b", ETH)] })
  const restarts = keel.allRestarts()
  keel.signal("enter", BTC, A)
  keel.run(1_000)
  const held = world.books().positions.get(BTC)!.quantity
  keel.command({
    commandId: "s",
    type: "swap_strategy",
    scope: { kind: "strategy", id: A },
    strategy: "c",
    params: { period: 3 },
  })
  keel.until(isFinal(keel, "s")).run(3_000)
  const position = world.books().positions.get(BTC)!
  assert.deepEqual([...position.holders.keys()], [`c:${BTC}`])
  assert.ok(isEqual(position.quantity, held))
  const runners = keel.node(paths.strategies).children.map(({ name, status }) => [name, status])
  assert.deepEqual(runners, [
    ["runner:b:ETH-USDT.BINANCE", "running"],
    ["runner:c:BTC-USDT.BINANCE", "running"],
  ])
  const told = keel.seen.get(`c:${BTC}`)!.find((each) => each._tag === "HoldingChanged")!
  assert.ok(told.quantity.value > 0n)
  for (const [path, count] of keel.allRestarts()) assert.equal(count, restarts.get(path) ?? 0, path)
  // What is gone is not written to any more.
  const letters = keel.system.deadLetterCount
  for (let i = 0; i < 3; i++) keel.signal("exit", ETH, "nobody")
  keel.run(5_000)
  assert.equal(world.events("OrderDenied").length, 3)
  assert.equal(keel.system.deadLetterCount, letters)
  keel.signal("exit", BTC, `c:${BTC}`)
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 2)
  keel.stop()
  // And it stays so.
  const next = world.start({ assignments: [assignment("a", BTC)] }).ready().run(500)
  assert.deepEqual([...world.books().assignments.keys()], [`b:${ETH}`, `c:${BTC}`])
  next.stop()
})

everySeed("a strategy is not swapped while an order of its own is under way", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  world.venue.faults.fills.push("slow")
  keel.signal("enter", BTC, A)
  keel.run(300)
  const wish = {
    type: "swap_strategy",
    scope: { kind: "strategy", id: A },
    strategy: "c",
  } as const
  const refused = keel.command({ ...wish, commandId: "s1" })
  assert.ok(refused instanceof CommandRefused)
  assert.equal(refused.status, 409)
  keel.run(5_000)
  assert.ok("seq" in keel.command({ ...wish, commandId: "s2" }))
  keel.stop()
})

Deno.test("what cannot be done is refused with its reason, and leaves no trace", () => {
  const world = new World()
  const keel = trading(world, {
    assignments: [assignment("a", BTC), assignment("b", BTC)],
    mayCrash: false,
  })
  const refusals: ReadonlyArray<readonly [Omit<Command, "commandId">, number, RegExp]> = [
    [{ type: "close_position", scope: { kind: "position", id: BTC } }, 404, /no position/],
    [{ type: "cancel_order", scope: { kind: "order", id: "x" } }, 404, /no order x/],
    [{ type: "pause", scope: { kind: "strategy", id: A } }, 422, /takes the scope all/],
    [{ type: "flatten", scope: { kind: "position", id: BTC } }, 422, /close_position closes one/],
    [{ type: "flatten", scope: { kind: "account", id: "kraken" } }, 404, /no account at kraken/],
    [{ type: "close_position", scope: { kind: "all", id: BTC } }, 422, /takes the scope position/],
    [{ type: "pause", scope: { kind: "order", id: BTC } }, 422, /takes the scope all/],
    [{ type: "cancel_order", scope: { kind: "position", id: BTC } }, 422, /takes the scope order/],
    [{ type: "restart_actor", scope: { kind: "all", id: "root/nobody" } }, 404, /no actor/],
    [{ type: "restart_actor", scope: { kind: "all", id: "root" } }, 404, /no actor root/],
    [{ type: "restart_actor", scope: { kind: "order", id: paths.feed } }, 422, /the scope all/],
    [{ type: "override_position", scope: { kind: "position", id: BTC } }, 422, /auto or hold/],
    [
      { type: "override_position", scope: { kind: "position", id: "X" }, control: "hold" },
      404,
      /no instrument X/,
    ],
    [
      { type: "swap_strategy", scope: { kind: "strategy", id: "z" }, strategy: "c" },
      404,
      /no strat/,
    ],
    [{ type: "swap_strategy", scope: { kind: "strategy", id: A } }, 422, /needs a strategy/],
    [
      { type: "swap_strategy", scope: { kind: "strategy", id: A }, strategy: "b" },
      409,
      /runs already/,
    ],
    [
      { type: "swap_strategy", scope: { kind: "strategy", id: A }, strategy: "bad" },
      422,
      /must not be bad/,
    ],
    [{ type: "crash_actor", scope: { kind: "all", id: paths.feed } }, 409, /sim mode only/],
  ]
  refusals.forEach(([wish, status, message], index) => {
    const answer = keel.command({ ...wish, commandId: `no${index}` })
    assert.ok(answer instanceof CommandRefused, wish.type)
    assert.equal(answer.status, status, wish.type)
    assert.match(answer.message, message)
  })
  assert.deepEqual(world.events("CommandReceived"), [])
  keel.stop()
})

const begun = "Taken up again after a restart."

everySeed("a close is taken up again when the operator restarts", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  const startedAt = keel.node(paths.feed).startedAt
  world.venue.faults.fills.push("rest")
  keel.command({ commandId: "c", type: "close_position", scope: { kind: "position", id: BTC } })
  keel.run(500)
  keel.crash(paths.operator)
  keel.until(isFinal(keel, "c"))
  const lines = keel.progress("c").map(({ text }) => text)
  assert.equal(lines.filter((text) => text === begun).length, 1, lines.join("\n"))
  assert.equal(last(keel, "c")!.text, `${BTC} is flat: confirmed by the venue.`)
  assert.equal(keel.progress("c").filter(({ final }) => final).length, 1)
  // Nobody restarts along with it.
  assert.equal(keel.node(paths.feed).startedAt, startedAt)
  keel.stop()
})

everySeed("a flatten outlives the process that took it", (world) => {
  const first = trading(world)
  first.signal("enter", BTC)
  first.run(1_000)
  world.venue.answerMs = 400
  first.post({ commandId: "f", type: "flatten", scope: all })
  first.run(20)
  first.kill()
  assert.equal(first.progress("f").some(({ final }) => final), false)
  world.time.run(5_000)
  const second = world.start()
  second.until(isFinal(second, "f"), 120_000)
  const lines = second.progress("f").map(({ text }) => text)
  assert.ok(lines.includes(begun), lines.join("\n"))
  assert.equal(last(second, "f")!.text, "Flat: confirmed by the venue.")
  assert.equal(world.books().tradingState, "halted")
  assert.ok(Number(formatDecimal(world.venue.position(BTC))) < 0.0001)
  second.stop()
})

everySeed("a flatten goes on while feeds, strategies and roster restart", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  keel.signal("enter", BTC)
  keel.run(1_000)
  world.venue.faults.fills.push("slow")
  keel.post({ commandId: "f", type: "flatten", scope: all })
  keel.run(300)
  keel.crash(paths.roster)
  for (const path of ["root/feeds", paths.strategies]) {
    keel.post({ commandId: path.slice(5), type: "restart_actor", scope: { kind: "all", id: path } })
  }
  keel.until(isFinal(keel, "f"))
  assert.equal(last(keel, "f")!.text, "Flat: confirmed by the venue.")
  assert.equal(keel.progress("f").some(({ text }) => text === begun), false)
  assert.equal(keel.restarts(paths.operator), 0)
  assert.ok(keel.restarts(paths.roster) > 0)
  keel.stop()
})

everySeed(
  "an order is cancelled although the operator restarts, a flatten that was resumed over is not",
  (world) => {
    const keel = trading(world)
    keel.signal("enter", ETH)
    keel.run(1_000)
    world.venue.faults.fills.push("rest")
    keel.signal("enter", BTC)
    keel.run(1_000)
    world.venue.readsDown = unreachable
    keel.command({
      commandId: "x",
      type: "cancel_order",
      scope: { kind: "order", id: "keel-test-binance-2" },
    })
    keel.command({
      commandId: "f",
      type: "flatten",
      scope: { kind: "account", id: VENUE },
    })
    keel.run(100)
    keel.command({ commandId: "r", type: "resume", scope: all })
    keel.run(100)
    world.venue.readsDown = undefined
    keel.crash(paths.operator)
    keel.until(isFinal(keel, "x"))
    assert.equal(last(keel, "x")!.text, "The venue confirms: keel-test-binance-2 is canceled.")
    assert.match(last(keel, "f")!.text, /^interrupted by a restart, and trading was resumed since/)
    assert.equal(world.books().tradingState, "active")
    keel.stop()
  },
)

everySeed(
  "a flatten that did not end flat is an alert until one does, over a restart too",
  (world) => {
    const first = trading(world)
    first.signal("enter", BTC)
    first.run(1_000)
    world.venue.refuses.add(BTC)
    first.command({ commandId: "f", type: "flatten", scope: all })
    first.until(isFinal(first, "f"), 120_000)
    const alert = () => world.books().alerts.get(`flatten:${VENUE}`)!
    assert.equal(alert().severity, "critical")
    assert.match(alert().detail, /^NOT flat: still held: 9\.9\d+ BTC/)
    first.stop()
    const second = world.start().ready().run(3_000)
    assert.equal(alert().resolvedAt, undefined)
    world.venue.refuses.delete(BTC)
    second.command({ commandId: "f2", type: "flatten", scope: all })
    second.until(isFinal(second, "f2"))
    assert.equal(last(second, "f2")!.tone, "confirmed")
    assert.ok(alert().resolvedAt !== undefined)
    second.stop()
  },
)

everySeed("an actor is restarted, or crashed on purpose, by command", (world) => {
  const keel = trading(world)
  const scope = { kind: "all", id: paths.feed } as const
  const startedAt = keel.node(paths.feed).startedAt
  keel.command({ commandId: "r", type: "restart_actor", scope })
  keel.until(isFinal(keel, "r"))
  assert.equal(last(keel, "r")!.text, `${paths.feed} restarted.`)
  assert.ok(keel.node(paths.feed).startedAt > startedAt)
  keel.command({ commandId: "x", type: "crash_actor", scope })
  keel.run(1_000)
  assert.match(keel.node(paths.feed).lastCause ?? "", /on purpose by the operator/)
  for (const [commandId, id] of [["o", paths.operator], ["p", "root/accounts"]] as const) {
    keel.post({ commandId, type: "restart_actor", scope: { kind: "all", id } })
    keel.until(isFinal(keel, commandId))
    assert.equal(last(keel, commandId)!.text, `${id} restarted.`)
  }
  keel.until(() => world.books().feeds.get(VENUE)?.status === "streaming")
  keel.stop()
})

everySeed("flatten sells what is left when fees were paid in what was bought", (world) => {
  world.venue.deposit("ETH", "3")
  world.venue.feeAsset = "ETH"
  const keel = trading(world)
  keel.signal("enter", ETH)
  keel.run(1_000)
  for (let round = 0; round < 10; round++) {
    keel.signal("enter", BTC)
    keel.run(1_000)
    keel.signal("exit", BTC)
    keel.run(1_000)
  }
  assert.ok(world.venue.position(ETH).value > 0n)
  const held = formatDecimal(world.books().positions.get(ETH)!.quantity)
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"))
  assert.equal(last(keel, "f")!.text, "Flat: confirmed by the venue.")
  const sold = world.venue.submits.at(-1)!
  assert.equal(sold.instrument, ETH)
  assert.ok(Number(formatDecimal(sold.quantity)) < Number(held) - 0.1, `${held} were bought`)
  // What the account held before is still there, but for the fee of the sale itself.
  assert.ok(Number(formatDecimal(world.venue.balance("ETH"))) > 2.98)
  keel.stop()
})

everySeed("flatten takes dust for dust when its fills have long been forgotten", (world) => {
  const keel = trading(world)
  keel.signal("enter", ETH, "someone", "6")
  keel.run(1_000)
  // Worth less than the venue takes in one order.
  world.venue.faults.fills.push("part_then_expire")
  keel.signal("exit", ETH)
  keel.run(1_000)
  assert.match(formatDecimal(world.venue.position(ETH)), /^0\.0[34]/)
  const { fills } = booksLimits
  booksLimits.fills = 2
  try {
    keel.signal("enter", BTC)
    keel.run(1_000)
    keel.signal("exit", BTC)
    keel.run(1_000)
    keel.command({ commandId: "f", type: "flatten", scope: all })
    keel.until(isFinal(keel, "f"), 120_000)
    assert.equal(last(keel, "f")!.text, "Flat: confirmed by the venue.")
  } finally {
    booksLimits.fills = fills
  }
  keel.stop()
})

everySeed("flatten closes all positions side by side", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.signal("enter", ETH)
  keel.run(1_000)
  world.venue.faults.fills.push("slow", "slow")
  keel.command({ commandId: "f", type: "flatten", scope: all })
  const begun = world.time.now
  keel.until(isFinal(keel, "f"))
  assert.ok(world.time.now - begun < 2_500, `${world.time.now - begun} ms`)
  assert.equal(last(keel, "f")!.text, "Flat: confirmed by the venue.")
  keel.stop()
})

Deno.test("closing takes the venue's time, and no longer than its limit", () => {
  const world = new World()
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  world.venue.faults.fills.push("slow")
  keel.command({ commandId: "c", type: "close_position", scope: { kind: "position", id: BTC } })
  const begun = world.time.now
  keel.until(isFinal(keel, "c"))
  const took = world.time.now - begun
  assert.ok(took > 1_400 && took < limits.operator.confirmTimeoutMs, `${took} ms`)
  assert.equal(last(keel, "c")!.tone, "confirmed")
  keel.stop()
})

function withBroker(change: (broker: Broker) => Broker): (options: TreeOptions) => TreeOptions {
  return (options) => ({
    ...options,
    accounts: options.accounts.map((account) => ({
      ...account,
      reconciler: { ...account.reconciler, broker: change(account.reconciler.broker) },
      executor: { ...account.executor, broker: change(account.executor.broker) },
    })),
  })
}

function onlyInstrument(wanted: string): (options: TreeOptions) => TreeOptions {
  const only = <A extends { readonly id: string }>(all: ReadonlyArray<A>) =>
    all.filter(({ id }) => id === wanted)
  return (options) => ({
    ...options,
    accounts: options.accounts.map((account) => ({
      ...account,
      reconciler: { ...account.reconciler, instruments: only(account.reconciler.instruments) },
      riskManager: { ...account.riskManager, instruments: only(account.riskManager.instruments) },
    })),
    operator: { ...options.operator, instruments: only(options.operator.instruments) },
    feeds: options.feeds.map((feed) => ({ ...feed, instruments: [wanted] })),
  })
}

everySeed("a deposit and a withdrawal are accepted by command, and trading goes on", (world) => {
  const keel = trading(world)
  keel.signal("enter", ETH)
  keel.run(3_000)
  world.venue.withdraw("USDT", "60000")
  world.venue.withdraw("BTC", "-2")
  keel.until(() => world.books().accounts.get(VENUE)?.ready === false, 120_000)
  const scope = { kind: "account", id: VENUE } as const
  world.venue.faults.fills.push("rest")
  keel.signal("exit", ETH)
  keel.run(1_000)
  const refused = keel.command({ commandId: "b1", type: "accept_balances", scope })
  assert.ok(refused instanceof CommandRefused)
  assert.equal(refused.status, 409)
  world.venue.expireAll()
  keel.run(1_000)
  keel.command({ commandId: "b2", type: "accept_balances", scope })
  keel.until(isFinal(keel, "b2"))
  assert.equal(last(keel, "b2")!.tone, "confirmed")
  keel.until(() => world.books().accounts.get(VENUE)?.ready === true, 120_000).run(20_000)
  // What went out was no loss: the day's limit is not used up by it, and entries are on.
  keel.signal("enter", BTC)
  keel.run(3_000)
  assert.deepEqual([...new Set(world.events("OrderDenied").map(({ code }) => code))], [])
  assert.ok(world.books().positions.get(BTC)!.quantity.value > 0n)
  assert.ok(Number(formatDecimal(world.books().curves.get(VENUE)!.drawdown)) < 0.1)
  // The two that came in are not ours to sell.
  keel.command({ commandId: "f", type: "flatten", scope: all })
  keel.until(isFinal(keel, "f"))
  assert.equal(last(keel, "f")!.text, "Flat: confirmed by the venue.")
  assert.ok(Number(formatDecimal(world.venue.balance("BTC"))) >= 2)
  keel.stop()
})
