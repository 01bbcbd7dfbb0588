import assert from "node:assert/strict"
import { Effect, Option } from "effect"
import { executorOf, riskManagerOf } from "../../actors/names.ts"
import { formatDecimal, isEqual } from "../../domain/decimal.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Order } from "../../domain/order.ts"
import { limits } from "../../limits.ts"
import type { EventStore } from "../../storage/event_store.ts"
import type { Broker } from "../../venues/broker.ts"
import { Throttled } from "../../venues/market_data.ts"
import { BTC, ETH, type SubmitFault, unreachable, VENUE } from "./fakes.ts"
import { assignment, everySeed, type Keel, paths, type World } from "./harness.ts"

function trading(world: World, more: Parameters<World["start"]>[0] = {}): Keel {
  world.venue.drive(250)
  return world.start(more).ready().run(3_000)
}

function order(world: World, number = 1): Order {
  const found = world.books().orders.get(`keel-test-binance-${number}`)
  assert.ok(found, `no order ${number}`)
  return found
}

function statusOf(world: World, number = 1) {
  return world.books().orders.get(`keel-test-binance-${number}`)?.status
}

function denials(world: World) {
  return world.events("OrderDenied").map(({ code }) => code)
}

/** What our books say and what the venue says of an instrument, which must be one thing. */
function assertSame(world: World, id: InstrumentId = BTC) {
  const ours = world.books().positions.get(id)?.quantity
  const theirs = world.venue.position(id)
  assert.ok(
    ours === undefined ? theirs.value === 0n : isEqual(ours, theirs),
    `ours ${ours && formatDecimal(ours)}, the venue's ${formatDecimal(theirs)}`,
  )
}

everySeed("a signal that comes twice is one order", (world) => {
  const keel = trading(world)
  keel.signal("enter")
  keel.signal("enter")
  keel.run(3_000)
  assert.equal(world.venue.submits.length, 1)
  assert.deepEqual(denials(world), ["ORDER_IN_FLIGHT"])
  keel.signal("exit")
  keel.signal("exit")
  keel.run(3_000)
  assert.deepEqual(world.venue.submits.map(({ side }) => side), ["buy", "sell"])
  assert.match(world.events("OrderDenied")[1]!.detail, /quantity=9\.989/)
  assert.equal(denials(world).length, 2)
  assertSame(world)
  keel.stop()
})

everySeed("a third signal is denied, too, while the first is still being written", (world) => {
  const gate = { delayMs: 0 }
  const keel = trading(world, { store: delayed(gate) }).assign("someone", "another")
  gate.delayMs = 300
  for (let i = 0; i < 6; i++) {
    keel.signal("enter")
    keel.run(100)
  }
  keel.run(5_000)
  assert.equal(world.venue.submits.length, 1)
  const [first, second] = denials(world)
  assert.deepEqual([first, second], ["ORDER_IN_FLIGHT", "ORDER_IN_FLIGHT"])
  // Found by who approves; who sends is the second line.
  assert.ok(world.events("OrderDenied").every(({ detail }) => !detail.includes("at=sending")))
  gate.delayMs = 0
  keel.run(1_000).stop()
})

everySeed("what is approved counts as exposure before the books show it", (world) => {
  const gate = { delayMs: 0 }
  const keel = trading(world, { store: delayed(gate) }).assign("a", "b", "c", "d", "e")
  gate.delayMs = 200
  // 10 000 a position: three of 4 000 are one too many, from whomever they come.
  keel.signal("enter", BTC, "a", "4000")
  keel.signal("enter", BTC, "b", "4000")
  keel.signal("enter", BTC, "c", "4000")
  keel.run(3_000)
  const value = world.venue.submits.filter(({ instrument }) => instrument === BTC).length
  assert.ok(value <= 2, `${value} orders`)
  keel.signal("enter", BTC, "d", "5000")
  keel.signal("enter", BTC, "e", "5000")
  keel.run(3_000)
  const held = world.venue.position(BTC)
  assert.ok(Number(formatDecimal(held)) * 100 < 10_100, formatDecimal(held))
  gate.delayMs = 0
  keel.run(1_000).stop()
})

for (const intent of ["enter", "exit"] as const) {
  everySeed(`a risk manager that forgets in a crash does not ${intent} twice`, (world) => {
    const gate = { delayMs: 0 }
    const keel = trading(world, { store: delayed(gate) }).assign("someone", "another")
    if (intent === "exit") {
      keel.signal("enter", BTC)
      keel.run(1_000)
    }
    world.venue.faults.fills.push("rest")
    keel.signal("enter", ETH, "another")
    keel.run(1_000)
    const sent = world.venue.submits.length
    const resting = world.venue.submits.at(-1)!.clientOrderId
    // The executor is writing: what has been approved waits in its mailbox, in no book.
    gate.delayMs = 1_000
    keel.send(executorOf(VENUE), { _tag: "Cancel", clientOrderId: resting, by: "x" })
    keel.run(10)
    keel.signal(intent, BTC)
    keel.run(50)
    keel.crash(paths.risk)
    // The new incarnation has no proof before the next quote.
    keel.run(400)
    keel.signal(intent, BTC)
    keel.run(20)
    gate.delayMs = 0
    keel.run(10_000)
    assert.equal(world.venue.submits.length, sent + 1)
    const { code, detail } = world.events("OrderDenied").at(-1)!
    assert.equal(code, "ORDER_IN_FLIGHT")
    assert.match(detail, /at=sending/)
    assert.equal(keel.restarts(paths.executor), 0)
    assertSame(world)
    keel.stop()
  })
}

everySeed("a denial for one signal does not forget the approval of another", (world) => {
  const gate = { delayMs: 0 }
  const keel = trading(world, { store: delayed(gate) }).assign("someone", "another")
  world.venue.faults.fills.push("rest")
  keel.signal("enter", ETH, "another")
  keel.run(1_000)
  gate.delayMs = 1_000
  keel.send(executorOf(VENUE), { _tag: "Cancel", clientOrderId: "keel-test-binance-1", by: "x" })
  keel.run(10)
  keel.signal("enter", BTC)
  keel.signal("enter", BTC)
  // The denial is durable now, and the order of the approval is still being written.
  keel.run(2_100)
  assert.deepEqual(denials(world), ["ORDER_IN_FLIGHT"])
  keel.signal("enter", BTC)
  gate.delayMs = 0
  keel.run(5_000)
  assert.deepEqual(denials(world), ["ORDER_IN_FLIGHT", "ORDER_IN_FLIGHT"])
  assert.ok(world.events("OrderDenied").every(({ detail }) => !detail.includes("at=sending")))
  keel.stop()
})

everySeed("an approval whose proof expires in the queue is refused at sending", (world) => {
  const gate = { delayMs: 0 }
  const keel = trading(world, { store: delayed(gate) }).assign("someone", "another")
  // The executor is writing something else while the proof grows old.
  keel.signal("enter", ETH)
  keel.run(1_000)
  gate.delayMs = 4_000
  keel.send(executorOf(VENUE), { _tag: "Cancel", clientOrderId: "keel-test-binance-1", by: "x" })
  keel.signal("exit", ETH)
  keel.run(10)
  keel.signal("enter", BTC)
  world.venue.drive(100_000)
  keel.run(3_900)
  gate.delayMs = 0
  keel.run(4_000)
  assert.deepEqual(
    world.venue.submits.filter(({ instrument }) => instrument === BTC),
    [],
  )
  assert.ok(denials(world).includes("MARKET_DATA_STALE"))
  // Refused is not pending: with a new price it may be tried again at once.
  world.venue.drive(250)
  keel.until(() => world.books().feeds.get(VENUE)?.status === "streaming")
  keel.signal("enter", BTC)
  keel.run(1_000)
  assert.equal(world.venue.submits.filter(({ instrument }) => instrument === BTC).length, 1)
  keel.stop()
})

everySeed("a pause that was written before the intent stops it after it was written", (world) => {
  const gate = { delayMs: 0 }
  const keel = trading(world, { store: delayed(gate) }).assign("someone", "another")
  gate.delayMs = 500
  keel.command({ commandId: "p", type: "pause", scope: { kind: "all" } })
  // Received; the halt itself is being written now, and nobody has heard of it.
  keel.signal("enter")
  keel.run(3_000)
  assert.equal(world.books().tradingState, "halted")
  const halted = world.records().find(({ event }) => event._tag === "TradingStateChanged")!
  const intent = world.records().find(({ event }) => event._tag === "OrderSubmitted")
  if (intent !== undefined && intent.seq > halted.seq) {
    assert.equal(world.venue.submits.length, 0)
    assert.equal(order(world).status, "rejected")
    assert.match(order(world).note ?? "", /NOT_SENT TRADING_HALTED/)
  }
  gate.delayMs = 0
  keel.run(1_000).stop()
})

const answers: ReadonlyArray<readonly [string, SubmitFault]> = [
  ["an answer that is lost", "lose_answer"],
  ["an answer that never comes", "hang"],
]
for (const [what, fault] of answers) {
  everySeed(`${what} leaves the order unconfirmed until the venue has been asked`, (world) => {
    const keel = trading(world)
    world.venue.faults.submit.push(fault)
    // Nothing of it on the stream either.
    world.venue.faults.frames.push("lose", "lose")
    keel.signal("enter")
    keel.until(() => world.events("OrderUnconfirmed").length === 1)
    assert.equal(order(world).status, "unconfirmed")
    assert.match(
      order(world).note ?? "",
      fault === "hang" ? /no answer for 7000 ms/ : /no answer$/,
    )
    const alert = world.books().alerts.get("order:keel-test-binance-1")
    keel.until(() => statusOf(world) === "filled", 10_000)
    assert.equal(alert === undefined || alert.resolvedAt === undefined, true)
    keel.run(20_000)
    assert.equal(world.venue.submits.length, 1)
    assert.notEqual(world.books().alerts.get("order:keel-test-binance-1")?.resolvedAt, undefined)
    assertSame(world)
    keel.stop()
  })
}

everySeed(
  "an order never arrived only after two denials, and when they can be believed",
  (world) => {
    const keel = trading(world)
    world.venue.faults.submit.push("lose_request")
    keel.signal("enter")
    const sentAt = world.time.now
    keel.until(() => statusOf(world) === "rejected")
    const took = world.time.now - sentAt
    assert.ok(took >= limits.orders.conclusiveAfterMs, `after ${took} ms`)
    assert.ok(took < limits.orders.conclusiveAfterMs + 2 * limits.orders.askAfterMs, `${took} ms`)
    assert.match(order(world).note ?? "", /NEVER_ARRIVED/)
    assert.equal(world.venue.submits.length, 1)
    // And the strategy may enter again.
    keel.signal("enter")
    keel.run(1_000)
    assert.equal(order(world, 2).status, "filled")
    keel.stop()
  },
)

everySeed("an order that arrives after its answer was given up is found", (world) => {
  const keel = trading(world)
  world.venue.faults.submit.push("late_request")
  world.venue.faults.frames.push("lose", "lose")
  keel.signal("enter")
  keel.until(() => statusOf(world) === "filled")
  assertSame(world)
  keel.stop()
})

everySeed("as long as the venue cannot be asked nothing is concluded", (world) => {
  const keel = trading(world)
  world.venue.faults.submit.push("lose_request")
  keel.signal("enter")
  keel.run(500)
  world.venue.readsDown = unreachable
  keel.run(60_000)
  assert.equal(order(world).status, "unconfirmed")
  world.venue.readsDown = undefined
  const { orderReads } = world.venue
  const { length } = orderReads
  keel.until(() => statusOf(world) === "rejected", 10_000)
  assert.equal(orderReads.length - length, 2)
  keel.stop()
})

everySeed("a venue that says when it can be believed is not believed before", (world) => {
  const keel = trading(world)
  world.venue.conclusiveMs = 40_000
  world.venue.faults.submit.push("lose_request")
  keel.signal("enter")
  keel.run(39_000)
  assert.equal(order(world).status, "unconfirmed")
  keel.until(() => statusOf(world) === "rejected", 10_000)
  keel.stop()
})

everySeed("a replica that lags does not make an order disappear", (world) => {
  const keel = trading(world)
  world.venue.faults.submit.push("lose_answer")
  world.venue.faults.frames.push("lose", "lose")
  world.venue.readLagMs = 10_000
  keel.signal("enter")
  keel.run(40_000)
  assert.equal(order(world).status, "filled")
  assertSame(world)
  keel.stop()
})

everySeed("a fill may come before the answer", (world) => {
  const keel = trading(world)
  world.venue.faults.submit.push("late_answer")
  keel.signal("enter")
  keel.run(500)
  assert.equal(order(world).status, "filled")
  keel.run(10_000)
  assert.equal(order(world).status, "filled")
  assert.equal(world.events("OrderFilled").length, 1)
  assert.equal(world.events("OrderAccepted").length, 1)
  assertSame(world)
  keel.stop()
})

everySeed("reports that come twice, late and out of order count once", (world) => {
  const keel = trading(world)
  const { faults } = world.venue
  for (const frame of ["late", "duplicate", "late", "duplicate"] as const) {
    faults.fills.push("pieces")
    faults.frames.push(frame, "duplicate", "late", "duplicate")
    keel.signal(frame === "late" ? "enter" : "exit")
    keel.run(10_000)
  }
  assert.equal(world.venue.submits.length, 4)
  assert.equal(world.events("OrderFilled").length, 12)
  assertSame(world)
  keel.stop()
})

everySeed("a fill that is lost on the stream is found by the age of its order", (world) => {
  const keel = trading(world)
  // Report and execution; the answer comes.
  world.venue.faults.frames.push("lose", "lose")
  keel.signal("enter")
  keel.run(1_000)
  assert.equal(order(world).status, "accepted")
  keel.until(() => statusOf(world) === "filled", limits.orders.askAfterMs + 1_500)
  assert.equal(keel.books.accounts.get(VENUE)?.ready, true)
  assertSame(world)
  keel.stop()
})

everySeed("one piece that is lost is found by the count of the next", (world) => {
  const keel = trading(world)
  world.venue.faults.fills.push("pieces")
  world.venue.faults.frames.push("duplicate", "lose")
  keel.signal("enter")
  keel.run(1_000)
  assert.equal(order(world).status, "filled")
  assertSame(world)
  keel.stop()
})

everySeed("an order that expires half filled keeps its fill", (world) => {
  const keel = trading(world)
  world.venue.faults.fills.push("part_then_expire")
  keel.signal("enter")
  keel.run(2_000)
  assert.equal(order(world).status, "expired")
  assert.equal(formatDecimal(order(world).filledQuantity), "3.333")
  assertSame(world)
  keel.signal("exit")
  keel.run(2_000)
  assertSame(world)
  keel.stop()
})

everySeed("an order does not end while a fill of it is missing", (world) => {
  const keel = trading(world)
  const { venue } = world
  venue.faults.fills.push("part_then_expire")
  // The fill is lost, the expiry is heard, and the venue cannot be asked at first.
  venue.faults.frames.push("duplicate", "lose")
  keel.signal("enter")
  keel.run(25)
  venue.readsDown = unreachable
  keel.run(4_000)
  assert.notEqual(order(world).status, "expired")
  venue.readsDown = undefined
  keel.until(() => statusOf(world) === "expired", 10_000)
  assertSame(world)
  keel.stop()
})

everySeed("a refusal by the venue ends the order and says why", (world) => {
  const keel = trading(world)
  world.venue.faults.submit.push("refuse", "not_sent")
  keel.signal("enter", BTC)
  keel.run(500)
  keel.signal("enter", ETH)
  keel.run(500)
  assert.match(order(world, 1).note ?? "", /-1013 trading rule: Filter failure/)
  assert.match(order(world, 2).note ?? "", /NOT_SENT no socket/)
  assert.deepEqual([order(world, 1).status, order(world, 2).status], ["rejected", "rejected"])
  keel.stop()
})

everySeed("an order is not asked about while the venue wants no questions", (world) => {
  let asks = 0
  const counting = (broker: Broker): Broker => ({
    ...broker,
    order: (id, order) => Effect.suspend(() => (asks++, broker.order(id, order))),
  })
  const keel = trading(world, {
    change: (options) => ({
      ...options,
      accounts: options.accounts.map((account) => ({
        ...account,
        executor: { ...account.executor, broker: counting(account.executor.broker) },
      })),
    }),
  })
  world.venue.faults.submit.push("lose_answer")
  world.venue.faults.frames.push(...Array.from({ length: 20 }, () => "lose" as const))
  keel.signal("enter")
  keel.run(500)
  world.venue.readsDown = new Throttled({ status: 429, retryAfterMs: 600_000 })
  keel.run(300_000)
  assert.equal(asks, 1)
  world.venue.readsDown = undefined
  keel.run(400_000)
  assert.equal(statusOf(world), "filled")
  keel.stop()
})

everySeed("what a strategy wanted before it was swapped is not opened after", (world) => {
  const from = `a:${BTC}`
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const swap = (commandId: string) =>
    keel.post({
      commandId,
      type: "swap_strategy",
      scope: { kind: "strategy", id: from },
      strategy: "b",
    })
  // The swap is written while the signal is on its way through risk.
  swap("s")
  keel.signal("enter", BTC, from)
  keel.run(3_000)
  // Where the signal was faster, its order was under way and the swap was refused.
  if (world.books().assignments.has(from)) swap("again")
  keel.run(1_000)
  keel.signal("enter", BTC, from)
  keel.run(3_000)
  const holders = [...world.books().positions.get(BTC)?.holders.keys() ?? []]
  assert.deepEqual([...world.books().assignments.keys()], [`b:${BTC}`])
  assert.ok(!holders.includes(from), holders.join())
  assert.equal(denials(world).at(-1), "STRATEGY_NOT_ASSIGNED")
  // The first may have been written before the swap, and then belongs to who took over.
  assert.ok(world.venue.submits.length <= 1)
  keel.stop()
})

everySeed("an executor that ends between writing and sending leaves at most one order", (world) => {
  const gate = { delayMs: 0 }
  const keel = trading(world, { store: delayed(gate) }).assign("someone", "another")
  gate.delayMs = 100
  keel.signal("enter")
  keel.run(50)
  keel.crash(paths.executor)
  gate.delayMs = 0
  keel.run(2_000)
  assert.equal(world.venue.submits.length, 0)
  assert.equal(order(world).status, "unconfirmed")
  keel.until(() => statusOf(world) === "rejected")
  assert.equal(world.venue.submits.length, 0)
  keel.signal("enter")
  keel.run(2_000)
  assert.equal(order(world, 2).status, "filled")
  assertSame(world)
  keel.stop()
})

everySeed("an executor that ends between sending and the answer finds its one order", (world) => {
  const keel = trading(world)
  world.venue.faults.submit.push("late_answer")
  world.venue.faults.frames.push("lose", "lose")
  keel.signal("enter")
  keel.run(500)
  assert.equal(order(world).status, "submitted")
  keel.crash(paths.executor)
  keel.until(() => statusOf(world) === "filled", 10_000)
  keel.run(10_000)
  assert.equal(world.venue.submits.length, 1)
  assertSame(world)
  keel.stop()
})

everySeed("kill -9 between sending and the answer: the next process finds the order", (world) => {
  const first = trading(world)
  world.venue.faults.submit.push("late_answer")
  first.signal("enter")
  first.until(() => world.venue.submits.length === 1)
  first.kill()
  world.time.run(60_000)
  assert.equal(order(world).status, "submitted")
  const second = world.start()
  second.until(() => order(world).status === "filled", 20_000)
  second.ready().run(2_000)
  second.signal("exit")
  second.run(2_000)
  assert.deepEqual(world.venue.submits.map(({ side }) => side), ["buy", "sell"])
  assertSame(world)
  second.stop()
})

for (const plan of ["slow", "rest", "pieces"] as const) {
  everySeed(`a cancel that races a fill ends with the truth (${plan})`, (world) => {
    const keel = trading(world)
    world.venue.faults.fills.push(plan)
    keel.signal("enter")
    keel.until(() => world.venue.submits.length === 1).run(plan === "slow" ? 1_470 : 45)
    const { clientOrderId } = order(world)
    keel.send(executorOf(VENUE), { _tag: "Cancel", clientOrderId, by: "operator" })
    keel.run(10_000)
    assert.ok(["filled", "canceled"].includes(order(world).status), order(world).status)
    assert.equal(order(world).status, world.venue.orders.get(clientOrderId)!.status)
    assertSame(world)
    keel.stop()
  })
}

everySeed("an order to be cancelled that never arrived is resolved", (world) => {
  const keel = trading(world)
  world.venue.faults.submit.push("lose_request")
  keel.signal("enter")
  keel.run(500)
  const { clientOrderId } = order(world)
  keel.send(executorOf(VENUE), { _tag: "Cancel", clientOrderId, by: "operator" })
  keel.until(() => statusOf(world) === "rejected", 60_000)
  keel.stop()
})

everySeed("an execution beyond the order's quantity is nobody's poison", (world) => {
  const keel = trading(world)
  keel.signal("enter")
  keel.run(1_000)
  const filled = world.venue.executions[0]!
  const twin = { ...filled, executionId: "somewhere-else" }
  const report = {
    clientOrderId: filled.clientOrderId,
    venueOrderId: filled.venueOrderId,
    instrument: BTC,
    status: "filled",
    filledQuantity: filled.quantity,
    reason: "",
    time: world.time.now,
  } as const
  keel.send(executorOf(VENUE), { _tag: "Executed", execution: twin, report })
  keel.run(5_000)
  assert.deepEqual([...keel.allRestarts().values()].filter((each) => each > 0), [])
  assertSame(world)
  keel.stop()
})

everySeed(
  "a strategy that holds is not given a second entry, nor an exit of what it lacks",
  (world) => {
    const keel = trading(world)
    keel.signal("exit")
    keel.signal("enter")
    keel.run(2_000)
    keel.signal("enter")
    keel.signal("exit", BTC, "somebody else")
    keel.run(2_000)
    assert.deepEqual(denials(world), ["NOTHING_TO_REDUCE", "ALREADY_HOLDING", "NOTHING_TO_REDUCE"])
    assert.equal(world.venue.submits.length, 1)
    keel.stop()
  },
)

everySeed("more orders a minute than allowed are denied, also after a restart", (world) => {
  const keel = trading(world, {
    change: (options) => ({
      ...options,
      accounts: options.accounts.map((account) => ({
        ...account,
        riskManager: {
          ...account.riskManager,
          limits: { ...account.riskManager.limits, ordersPerMinuteMax: 2 },
        },
      })),
    }),
  })
  keel.signal("enter", BTC)
  keel.run(1_000)
  keel.signal("enter", ETH)
  keel.run(1_000)
  keel.crash(paths.risk)
  keel.run(2_000)
  keel.signal("enter", BTC, "another")
  keel.run(1_000)
  assert.deepEqual(denials(world), ["ORDER_RATE_EXCEEDED"])
  keel.run(60_000)
  keel.signal("enter", BTC, "another")
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 3)
  keel.stop()
})

everySeed(
  "what is denied is written down with its numbers and never reaches the venue",
  (world) => {
    const keel = trading(world, { assignments: [assignment("a", BTC)] })
    keel.signal("enter", BTC, "big", "5001")
    keel.signal("enter", BTC, "small", "4")
    keel.run(1_000)
    const [big, small] = world.events("OrderDenied")
    assert.equal(big!.code, "NOTIONAL_EXCEEDS_LIMIT")
    assert.match(big!.detail, /^notional=\d+(\.\d+)? limit=5000$/)
    assert.equal(small!.code, "BELOW_MINIMUM")
    assert.equal(world.venue.submits.length, 0)
    keel.send(riskManagerOf(VENUE), {
      _tag: "Signalled",
      runner: "x",
      notional: world.venue.balance("USDT"),
      signal: {
        instrument: "XRP/USDT.BINANCE",
        intent: "enter",
        price: world.venue.price(BTC),
        reason: "",
      },
    })
    keel.run(100)
    assert.equal(keel.restarts(paths.risk), 0)
    keel.stop()
  },
)

function delayed(gate: { delayMs: number }) {
  return (store: EventStore): EventStore => ({
    ...store,
    append: (records) =>
      Effect.suspend(() =>
        gate.delayMs === 0
          ? store.append(records)
          : Effect.delay(store.append(records), gate.delayMs)
      ),
  })
}

everySeed("two instruments may have the same order id at the venue", (world) => {
  world.venue.drive(250)
  const same = <A extends { readonly venueOrderId: string }>(it: A): A => ({
    ...it,
    venueOrderId: "7",
  })
  const broker = (it: Broker): Broker => ({
    ...it,
    submit: (order) => Effect.map(it.submit(order), same),
    order: (instrument, id) => Effect.map(it.order(instrument, id), Option.map(same)),
    openOrders: Effect.map(it.openOrders, (orders) => orders.map(same)),
    // The list of executions names the venue's order id only.
    executions: (instrument, since) =>
      Effect.map(
        it.executions(instrument, since),
        (all) => all.map((each) => ({ ...same(each), clientOrderId: "" })),
      ),
  })
  const keel = world.start({
    change: (options) => ({
      ...options,
      accounts: options.accounts.map((account) => ({
        ...account,
        reconciler: { ...account.reconciler, broker: broker(account.reconciler.broker) },
        executor: { ...account.executor, broker: broker(account.executor.broker) },
      })),
    }),
  }).ready().run(3_000)
  world.venue.faults.frames.push("lose", "lose", "lose", "lose")
  keel.signal("enter", BTC)
  keel.run(40)
  keel.signal("enter", ETH)
  keel.run(60_000)
  for (const { status, clientOrderId } of world.books().orders.values()) {
    assert.equal(status, "filled", clientOrderId)
  }
  assertSame(world)
  keel.stop()
})
