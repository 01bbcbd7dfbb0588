/** Orders and account against the simulated venue, over real sockets. */
import assert from "node:assert/strict"
import { Clock, Effect, Fiber, Option, Result } from "effect"
import {
  absolute,
  add,
  type Decimal,
  decimal,
  formatDecimal,
  isEqual,
  isGreater,
  multiply,
  negate,
  subtract,
  zero,
} from "../../../domain/decimal.ts"
import type { Execution, NewOrder } from "../../../venues/broker.ts"
import { eventually, fillsOf, listening, reportsOf, until, venueTest } from "../harness.ts"
import {
  AAPL,
  badStream,
  badVenue,
  BTC,
  buy,
  connectTo,
  farPrice,
  KEY,
  MSFT,
  SECRET,
  simulated,
  SPY,
} from "./venue.ts"

const plain = (execution: Execution) => ({
  ...execution,
  quantity: formatDecimal(execution.quantity),
  price: formatDecimal(execution.price),
  fee: formatDecimal(execution.fee),
})

venueTest(
  "an order is acknowledged, filled on the private stream, and found by every question",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker } = yield* connectTo(venue.endpoints)
      const { events, undecoded } = yield* listening(broker)
      const began = Date.now()
      const ack = yield* broker.submit(buy)
      yield* until(events, "keel-1", "filled")
      const order = Option.getOrThrow(yield* broker.order(AAPL, "keel-1"))
      assert.deepEqual([order.status, order.venueOrderId, formatDecimal(order.filledQuantity)], [
        ...["filled", ack.venueOrderId, "10"],
      ])
      assert.deepEqual(yield* broker.openOrders, [])
      const listed = yield* broker.executions(AAPL, began - 5_000)
      assert.deepEqual(listed.map(plain), fillsOf(events).map(plain))
      assert.deepEqual(yield* broker.executions(MSFT, 0), [])
      assert.deepEqual(yield* broker.executions(AAPL, Date.now() + 60_000), [])
      assert.deepEqual(undecoded, [])
    }),
)

venueTest(
  "whoever was not there learns the client ids of fills from the orders",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const first = yield* connectTo(venue.endpoints)
      const { events } = yield* listening(first.broker)
      yield* first.broker.submit(buy)
      yield* until(events, "keel-1", "filled")
      const second = yield* connectTo(venue.endpoints)
      const fills = yield* second.broker.executions(AAPL, 0)
      assert.ok(fills.length > 0)
      assert.deepEqual(fills.map(plain), fillsOf(events).map(plain))
    }),
)

/** What fills do to every asset. */
function explained(fills: ReadonlyArray<Execution>): ReadonlyMap<string, Decimal> {
  const sums = new Map<string, Decimal>()
  const move = (asset: string, amount: Decimal) =>
    sums.set(asset, add(sums.get(asset) ?? zero, amount))
  for (const { instrument, side, quantity, price, fee, feeAsset } of fills) {
    const base = instrument.split(/[/.]/)[0]!
    const [inBase, inDollars] = [quantity, multiply(quantity, price)]
    move(base, side === "buy" ? inBase : negate(inBase))
    move("USD", side === "buy" ? negate(inDollars) : inDollars)
    move(feeAsset, negate(fee))
  }
  return sums
}

venueTest(
  "fills explain what is held of shares and of crypto, fees included",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({ partialFillProbability: 0.5 })
      const { broker, market } = yield* connectTo(venue.endpoints)
      const rules = yield* market.instruments([AAPL, BTC])
      const lot = (id: string) => rules.find((each) => each.id === id)!.lotSize
      const before = yield* broker.balances
      const { events } = yield* listening(broker)
      const orders: ReadonlyArray<NewOrder> = [
        { ...buy, quantity: decimal("7") },
        { ...buy, instrument: BTC, quantity: add(decimal("0.0123"), lot(BTC)) },
        { ...buy, quantity: add(decimal("2.5"), lot(AAPL)) },
        { ...buy, instrument: BTC, side: "sell", quantity: decimal("0.0071") },
        { ...buy, side: "sell", quantity: decimal("3.25") },
      ]
      for (const [at, order] of orders.entries()) {
        yield* broker.submit({ ...order, clientOrderId: `keel-${at}` })
        yield* until(events, `keel-${at}`, "filled")
      }
      const fills = fillsOf(events)
      const after = yield* broker.balances
      const held = (balances: typeof after, asset: string) => {
        const found = balances.find((each) => each.asset === asset)
        return found === undefined ? zero : add(found.free, found.locked)
      }
      for (const [asset, moved] of explained(fills)) {
        const really = subtract(held(after, asset), held(before, asset))
        const isSame = asset === "USD"
          ? !isGreater(absolute(subtract(moved, really)), broker.roundingMax!)
          : isEqual(moved, really)
        assert.ok(
          isSame,
          `${asset}: fills say ${formatDecimal(moved)}, the venue ${formatDecimal(really)}`,
        )
      }
      const listed = [
        ...yield* broker.executions(AAPL, 0),
        ...yield* broker.executions(BTC, 0),
      ]
      const byId = (a: Execution, b: Execution) => a.executionId < b.executionId ? -1 : 1
      assert.deepEqual(listed.toSorted(byId).map(plain), fills.toSorted(byId).map(plain))
    }),
)

venueTest("a limit order rests, is found open, and is cancelled", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const { broker, market } = yield* connectTo(venue.endpoints)
    const { events } = yield* listening(broker)
    const price = yield* farPrice(market, AAPL, 0.5)
    yield* broker.submit({ ...buy, type: "limit", price })
    const [open] = yield* broker.openOrders
    assert.deepEqual([open?.clientOrderId, open?.status, open?.instrument], [
      ...["keel-1", "accepted", AAPL],
    ])
    assert.equal(yield* broker.cancel(AAPL, "keel-1"), "requested")
    yield* until(events, "keel-1", "canceled")
    assert.deepEqual(yield* broker.openOrders, [])
    assert.equal(yield* broker.cancel(AAPL, "keel-1"), "unknown_order")
    assert.equal(yield* broker.cancel(AAPL, "nobody"), "unknown_order")
    assert.deepEqual(yield* broker.order(AAPL, "nobody"), Option.none())
  }))

venueTest(
  "every kind of order is taken, and all are cancelled at once",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      const { events } = yield* listening(broker)
      const [low, high] = [yield* farPrice(market, SPY, 0.5), yield* farPrice(market, SPY, 1.5)]
      const higher = add(high, decimal("1"))
      const orders: ReadonlyArray<Partial<NewOrder>> = [
        { type: "limit", price: low, timeInForce: "gtc" },
        { type: "limit", price: low, extendedHours: true },
        { type: "stop", stopPrice: high },
        { type: "stop_limit", stopPrice: high, price: higher },
        { type: "trailing_stop", trail: { by: "percent", value: decimal("20") } },
        { type: "trailing_stop", trail: { by: "amount", value: decimal("150.25") } },
      ]
      for (const [at, order] of orders.entries()) {
        yield* broker.submit({
          ...{ ...buy, instrument: SPY, quantity: decimal("1"), clientOrderId: `keel-${at}` },
          ...order,
        })
      }
      const open = yield* broker.openOrders
      assert.deepEqual(
        open.map(({ clientOrderId }) => clientOrderId).toSorted(),
        orders.map((_, at) => `keel-${at}`),
      )
      assert.equal(yield* broker.cancelAll, orders.length)
      for (const at of orders.keys()) yield* until(events, `keel-${at}`, "canceled")
      assert.deepEqual(yield* broker.openOrders, [])
      assert.equal(yield* broker.cancelAll, 0)
    }),
)

venueTest(
  "an order by dollars buys what they are worth, and ioc and fok end at once",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({ partialFillProbability: 0 })
      const { broker, market } = yield* connectTo(venue.endpoints)
      const { events } = yield* listening(broker)
      yield* broker.submit({ ...buy, notional: decimal("500") })
      yield* until(events, "keel-1", "filled")
      const spent = fillsOf(events).reduce(
        (sum, { price, quantity }) => sum + Number(formatDecimal(multiply(price, quantity))),
        0,
      )
      assert.ok(Math.abs(spent - 500) < 0.01, String(spent))
      const price = yield* farPrice(market, SPY, 0.5)
      for (const timeInForce of ["ioc", "fok"] as const) {
        yield* broker.submit({
          ...{ ...buy, instrument: SPY, type: "limit", price, timeInForce },
          clientOrderId: timeInForce,
        })
        yield* until(events, timeInForce, "canceled")
      }
    }),
)

venueTest(
  "a bracket opens with its exits, which are open orders of their own",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({ partialFillProbability: 0 })
      const { broker, market } = yield* connectTo(venue.endpoints)
      const { events } = yield* listening(broker)
      const [stopLoss, takeProfit] = [
        yield* farPrice(market, SPY, 0.5),
        yield* farPrice(market, SPY, 1.5),
      ]
      yield* broker.submit({ ...buy, instrument: SPY, bracket: { takeProfit, stopLoss } })
      yield* until(events, "keel-1", "filled")
      const exits = yield* broker.openOrders
      assert.equal(exits.length, 2)
      assert.ok(exits.every(({ status }) => status === "accepted"))
      yield* broker.cancelAll
    }),
)

venueTest(
  "a replacement takes the place of an order under another id",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      const { events } = yield* listening(broker)
      const price = yield* farPrice(market, AAPL, 0.5)
      const first = yield* broker.submit({ ...buy, type: "limit", price })
      // On its way to the market it cannot be replaced.
      yield* eventually(() =>
        reportsOf(events).filter((each) => each.clientOrderId === "keel-1").length > 1 || undefined
      )
      const second = yield* broker.replace(AAPL, "keel-1", {
        clientOrderId: "keel-2",
        price: add(price, decimal("1")),
        quantity: decimal("4"),
      })
      assert.notEqual(first.venueOrderId, second.venueOrderId)
      yield* until(events, "keel-1", "canceled")
      const replaced = reportsOf(events).findLast((each) => each.clientOrderId === "keel-1")
      assert.match(replaced!.reason, new RegExp(`replaced by ${second.venueOrderId}`))
      yield* until(events, "keel-2", "accepted")
      const open = yield* broker.openOrders
      assert.deepEqual(open.map(({ clientOrderId }) => clientOrderId), ["keel-2"])
      const gone = yield* Effect.flip(broker.replace(AAPL, "nobody", { clientOrderId: "keel-3" }))
      assert.equal(gone._tag, "OrderRefused")
    }),
)

venueTest(
  "connecting measures the clock, and says why an account cannot trade",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker } = yield* connectTo(venue.endpoints)
      const real = yield* Clock.Clock
      const ahead: Clock.Clock = Object.assign(Object.create(real), {
        currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + 5_000,
      })
      const { clockOffsetMs } = yield* Effect.provideService(broker.connect, Clock.Clock, ahead)
      assert.ok(Math.abs(clockOffsetMs + 5_000) < 500, String(clockOffsetMs))
      const wrong = yield* connectTo(venue.endpoints, { secret: "wrong" })
      const error = yield* Effect.flip(wrong.broker.connect)
      assert.equal(error.reason._tag, "Forbidden")

      const account = { status: "ACTIVE", currency: "USD", cash: "1", account_blocked: false }
      for (
        const change of [
          { account_blocked: true },
          { trading_blocked: true },
          { status: "ACCOUNT_UPDATED" },
        ]
      ) {
        const { endpoints } = yield* badVenue((request, response) => {
          const body = request.url === "/v2/clock"
            ? { timestamp: "2026-11-23T10:00:00.123456789-05:00", is_open: true }
            : { ...account, trading_blocked: false, ...change }
          response.end(JSON.stringify(body))
        })
        const blocked = yield* connectTo(endpoints)
        const { reason } = yield* Effect.flip(blocked.broker.connect)
        assert.equal(reason._tag, "Forbidden", JSON.stringify(change))
      }
    }),
)

venueTest("a body that lacks what is needed is no answer", () =>
  Effect.gen(function* () {
    const { endpoints } = yield* badVenue((_request, response) => response.end('{"id":"x"}'))
    const { broker } = yield* connectTo(endpoints)
    assert.equal((yield* Effect.flip(broker.submit(buy)))._tag, "OrderUnknown")
    assert.equal((yield* Effect.flip(broker.order(AAPL, "a"))).reason._tag, "Faulty")
    assert.equal((yield* Effect.flip(broker.balances)).reason._tag, "Faulty")
    assert.equal((yield* Effect.flip(broker.openOrders)).reason._tag, "Faulty")
  }))

venueTest("the private stream with wrong keys is refused for good", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const { broker } = yield* connectTo(venue.endpoints, { key: "nobody" })
    const result = yield* Effect.result(broker.stream({ event: () => {}, undecoded: () => {} }))
    assert.ok(Result.isFailure(result) && result.failure.reason._tag === "Forbidden")
    assert.ok(!result.failure.message.includes(SECRET) && !result.failure.message.includes(KEY))
  }))

venueTest("a private stream that never listens has not come up", () =>
  Effect.gen(function* () {
    const silent = yield* badStream(() => {})
    const { broker } = yield* connectTo(silent.endpoints, { subscribeTimeoutMs: 500 })
    const fiber = yield* Effect.forkScoped(broker.stream({ event: () => {}, undecoded: () => {} }))
    const { reason } = yield* Effect.flip(Fiber.join(fiber))
    assert.equal(reason._tag, "Silent")
    const deaf = yield* badStream((socket) =>
      socket.on("message", () =>
        socket.send('{"stream":"authorization","data":{"status":"authorized"}}') ??
          socket.send('{"stream":"listening","data":{"streams":[]}}'))
    )
    const other = yield* connectTo(deaf.endpoints)
    const second = yield* Effect.flip(other.broker.stream({ event: () => {}, undecoded: () => {} }))
    assert.match(second.message, /does not stream trade_updates/)
  }))

venueTest(
  "a fill that is told twice has one name, and a cut stream says so",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({ partialFillProbability: 0 })
      const { broker } = yield* connectTo(venue.endpoints)
      const { events, fiber } = yield* listening(broker)
      yield* venue.arm({ kind: "duplicate", count: 1, match: { event: "fill" } })
      yield* broker.submit(buy)
      yield* eventually(() => fillsOf(events).length === 2 || undefined)
      assert.equal(new Set(fillsOf(events).map(({ executionId }) => executionId)).size, 1)
      yield* venue.arm({ kind: "cut_connections", match: { door: "tradingStream" } })
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepEqual([error.doing, error.reason._tag], ["private stream", "Closed"])
      const again = yield* listening(broker)
      yield* broker.submit({ ...buy, clientOrderId: "keel-2" })
      yield* until(again.events, "keel-2", "filled")
    }),
)

venueTest(
  "a rejection that comes after the acknowledgement is reported",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker } = yield* connectTo(venue.endpoints)
      const { events } = yield* listening(broker)
      yield* venue.arm({ kind: "reject_later", count: 1 })
      yield* eventually(() => venue.faults.journal[0])
      yield* broker.submit(buy)
      yield* until(events, "keel-1", "rejected")
      assert.deepEqual(yield* broker.openOrders, [])
    }),
)
