import assert from "node:assert/strict"
import fc from "fast-check"
import type { Books } from "../../domain/books.ts"
import {
  absolute,
  add,
  compare,
  type Decimal,
  decimal,
  formatDecimal,
  isGreater,
  isLess,
  isPositive,
  multiply,
  zero,
} from "../../domain/decimal.ts"
import type { Event, EventOf } from "../../domain/event.ts"
import { Fresh } from "../../domain/freshness.ts"
import type { Instrument } from "../../domain/instrument.ts"
import {
  type Approved,
  approveOpening,
  approveReducing,
  closableQuantity,
  closingQuantity,
  type Denied,
  type RiskContext,
} from "../../domain/risk.ts"
import { anyDecimal } from "./arbitraries.ts"
import { fold, opened } from "./events.ts"

const id = "BTC/USDT.BINANCE"
const NOW = 10_000

const instrument: Instrument = {
  id,
  venue: "binance",
  assetClass: "crypto",
  symbol: "BTCUSDT",
  base: "BTC",
  quote: "USDT",
  tickSize: decimal("0.01"),
  lotSize: decimal("0.001"),
  quantityMin: decimal("0.001"),
  quantityMax: decimal("5000"),
  notionalMin: decimal("5"),
  status: "trading",
}

const ready: ReadonlyArray<Event> = [
  opened,
  { _tag: "AccountReconciled", venue: "binance", ordersOpen: 0, fillsFound: 0, differences: [] },
  { _tag: "FeedRestored", venue: "binance", outageMs: 0 },
]

const limits = {
  orderNotionalMax: decimal("5000"),
  positionNotionalMax: decimal("8000"),
  exposureMax: decimal("12000"),
  ordersPerMinuteMax: 10,
  dailyLossMax: decimal("500"),
}

function context(books: Books, change: Partial<RiskContext> = {}): RiskContext {
  return {
    books,
    limits,
    instrument,
    marks: new Map([[id, decimal("100")], ["ETH/USDT.BINANCE", decimal("100")]]),
    equityAtDayStart: undefined,
    equity: undefined,
    ordersLastMinute: 0,
    pending: new Map(),
    now: NOW,
    ...change,
  }
}

const fresh = Fresh.issue(id, { bid: decimal("99"), ask: decimal("100") }, NOW - 500, 3_000)
const wish = { origin: "a", reason: "r", notional: decimal("1000") }

function submit(clientOrderId: string, change: Partial<EventOf<"OrderSubmitted">> = {}): Event {
  return {
    ...{
      _tag: "OrderSubmitted",
      clientOrderId,
      venue: "binance",
      instrument: id,
      side: "buy",
      type: "market",
    },
    ...{ purpose: "open", quantity: decimal("10"), price: null, origin: "a", reason: "" },
    ...change,
  }
}

function filled(clientOrderId: string, quantity = "10"): Event {
  return {
    ...{ _tag: "OrderFilled", clientOrderId, executionId: clientOrderId, venueOrderId: "1" },
    ...{
      quantity: decimal(quantity),
      price: decimal("100"),
      fee: zero,
      feeAsset: "USDT",
      executedAt: 0,
    },
  }
}

/** Books in which `a` holds 10. */
const holding = [...ready, submit("1"), filled("1")]
const open = (books: Books, change?: Partial<RiskContext>, asked: Partial<typeof wish> = {}) =>
  approveOpening(context(books, change), { ...wish, ...asked }, fresh)
const reduce = (
  books: Books,
  asked: { origin?: string; quantity?: Decimal; byOperator?: boolean } = {},
  change: Partial<RiskContext> = {},
) => {
  const { origin = "a", quantity, byOperator = false } = asked
  return approveReducing(context(books, change), { origin, reason: "r", quantity, byOperator })
}

function assertDenied(decision: Approved | Denied, code: string, detail?: string) {
  assert.equal(decision._tag, "Denied")
  if (decision._tag !== "Denied") return
  assert.equal(decision.code, code)
  if (detail !== undefined) assert.equal(decision.detail, detail)
}

function approvedQuantity(decision: Approved | Denied): string {
  if (decision._tag === "Denied") assert.fail(`${decision.code} ${decision.detail}`)
  return formatDecimal(decision.quantity)
}

Deno.test("approveOpening() buys about the notional at the ask, in whole lots", () => {
  const decision = approveOpening(
    context(fold(ready)),
    { ...wish, notional: decimal("1000.19") },
    fresh,
  )
  assert.equal(decision._tag, "Approved")
  if (decision._tag !== "Approved") return
  assert.deepEqual([decision.purpose, decision.side, decision.origin, decision.reason], [
    "open",
    "buy",
    "a",
    "r",
  ])
  assert.equal(formatDecimal(decision.quantity), "10.001")
  assert.equal(decision.fresh, fresh)
})

const changed = (state: "reducing" | "halted"): Event => ({
  _tag: "TradingStateChanged",
  state,
  reason: "by hand",
  by: "x",
})
const trading = "instrument=BTC/USDT.BINANCE"

Deno.test("approveOpening() denies with TRADING_HALTED and TRADING_REDUCING", () => {
  assertDenied(open(fold([...ready, changed("halted")])), "TRADING_HALTED", "reason=by hand")
  assertDenied(open(fold([...ready, changed("reducing")])), "TRADING_REDUCING", "reason=by hand")
})

Deno.test("approveOpening() denies with ACCOUNT_NOT_RECONCILED until the account agrees", () => {
  assertDenied(open(fold([])), "ACCOUNT_NOT_RECONCILED", "venue=binance cause=not yet reconciled")
  assertDenied(open(fold([opened])), "ACCOUNT_NOT_RECONCILED")
  const lost = fold([...ready, { _tag: "AccountLost", venue: "binance", cause: "closed" }])
  assertDenied(open(lost), "ACCOUNT_NOT_RECONCILED", "venue=binance cause=closed")
})

Deno.test("approveOpening() denies with MARKET_DATA_STALE without a valid proof of this instrument", () => {
  const books = context(fold(ready))
  const price = { bid: decimal("99"), ask: decimal("100") }
  assertDenied(
    approveOpening(books, wish, undefined),
    "MARKET_DATA_STALE",
    `${trading} ageMs=never`,
  )
  const old = Fresh.issue(id, price, NOW - 3_000, 3_000)
  assertDenied(approveOpening(books, wish, old), "MARKET_DATA_STALE", `${trading} ageMs=3000`)
  const ofTheFuture = Fresh.issue(id, price, NOW + 1, 3_000)
  assertDenied(approveOpening(books, wish, ofTheFuture), "MARKET_DATA_STALE")
  const ofAnother = Fresh.issue("ETH/USDT.BINANCE", price, NOW, 3_000)
  assertDenied(approveOpening(books, wish, ofAnother), "MARKET_DATA_STALE")
})

Deno.test("approveOpening() denies with MARKET_DATA_STALE while the feed is lost or polled", () => {
  const lost: Event = { _tag: "FeedLost", venue: "binance", cause: "closed", attempt: 1 }
  assertDenied(open(fold([...ready, lost])), "MARKET_DATA_STALE", "venue=binance feed=lost")
  assertDenied(
    open(fold([...ready, lost, { _tag: "FeedPolling", venue: "binance" }])),
    "MARKET_DATA_STALE",
  )
})

Deno.test("approveOpening() denies with INSTRUMENT_NOT_TRADING", () => {
  for (const status of ["halted", "cancel_only", "closed"] as const) {
    const decision = open(fold(ready), { instrument: { ...instrument, status } })
    assertDenied(decision, "INSTRUMENT_NOT_TRADING", `${trading} status=${status}`)
  }
})

Deno.test("approveOpening() denies with POSITION_ON_HOLD until it is given back", () => {
  const control = (to: "hold" | "auto"): Event => ({
    _tag: "PositionControlChanged",
    instrument: id,
    control: to,
    by: "x",
  })
  assertDenied(open(fold([...ready, control("hold")])), "POSITION_ON_HOLD")
  assert.equal(open(fold([...ready, control("hold"), control("auto")]))._tag, "Approved")
})

Deno.test("approveOpening() denies with ALREADY_HOLDING, with or without a mark; dust is not a holding", () => {
  assertDenied(open(fold(holding)), "ALREADY_HOLDING", "origin=a quantity=10")
  assertDenied(open(fold(holding), { marks: new Map() }), "ALREADY_HOLDING")
  const dust = [...ready, submit("1", { quantity: decimal("0.04") }), filled("1", "0.04")]
  assert.equal(open(fold(dust))._tag, "Approved")
  assert.equal(open(fold(holding), {}, { origin: "b" })._tag, "Approved")
})

Deno.test("approveOpening() denies with ORDER_IN_FLIGHT while an order or an approval is under way", () => {
  assertDenied(open(fold([...ready, submit("1")])), "ORDER_IN_FLIGHT")
  assertDenied(open(fold(ready), { pending: new Map([[id, decimal("10")]]) }), "ORDER_IN_FLIGHT")
  const doubted: Event = { _tag: "OrderUnconfirmed", clientOrderId: "1", cause: "timeout" }
  assertDenied(open(fold([...ready, submit("1"), doubted])), "ORDER_IN_FLIGHT")
})

Deno.test("approveOpening() denies with ORDER_RATE_EXCEEDED", () => {
  assert.equal(open(fold(ready), { ordersLastMinute: 9 })._tag, "Approved")
  assertDenied(
    open(fold(ready), { ordersLastMinute: 10 }),
    "ORDER_RATE_EXCEEDED",
    "orders=10 limit=10",
  )
})

Deno.test("approveOpening() denies with NOTIONAL_EXCEEDS_LIMIT above the limit, not at it", () => {
  assert.equal(open(fold(ready), {}, { notional: decimal("5000") })._tag, "Approved")
  const decision = open(fold(ready), {}, { notional: decimal("5000.1") })
  assertDenied(decision, "NOTIONAL_EXCEEDS_LIMIT", "notional=5000.1 limit=5000")
})

Deno.test("approveOpening() denies with POSITION_EXCEEDS_LIMIT, counting what is held and what is under way", () => {
  const held = [...ready, submit("1", { origin: "b", quantity: decimal("40") }), filled("1", "40")]
  assert.equal(open(fold(held), {}, { notional: decimal("4000") })._tag, "Approved")
  const decision = open(fold(held), {}, { notional: decimal("4000.1") })
  assertDenied(decision, "POSITION_EXCEEDS_LIMIT", "notional=8000.1 limit=8000")
  const sent = [...ready, submit("1", { origin: "b", quantity: decimal("40") })]
  assertDenied(open(fold(sent), {}, { notional: decimal("4000.1") }), "POSITION_EXCEEDS_LIMIT")
})

Deno.test("approveOpening() denies with EXPOSURE_EXCEEDS_LIMIT over all instruments, approvals included", () => {
  const eth = { instrument: "ETH/USDT.BINANCE", quantity: decimal("80") }
  const books = fold([...ready, submit("1", eth), filled("1", "80")])
  assert.equal(open(books, {}, { notional: decimal("4000") })._tag, "Approved")
  assertDenied(
    open(books, {}, { notional: decimal("4000.1") }),
    "EXPOSURE_EXCEEDS_LIMIT",
    "notional=12000.1 limit=12000",
  )
  const pending = new Map([["ETH/USDT.BINANCE", decimal("9000")]])
  assertDenied(
    open(fold(ready), { pending }, { notional: decimal("3000.1") }),
    "EXPOSURE_EXCEEDS_LIMIT",
  )
})

Deno.test("approveOpening() denies with DAILY_LOSS_EXCEEDED beyond the limit", () => {
  const lost = (equity: string) => ({ equityAtDayStart: decimal("10000"), equity: decimal(equity) })
  assert.equal(open(fold(ready), lost("9500"))._tag, "Approved")
  assertDenied(
    open(fold(ready), lost("9499.99")),
    "DAILY_LOSS_EXCEEDED",
    "notional=500.01 limit=500",
  )
})

Deno.test("approveOpening() denies with INSUFFICIENT_CASH, counting the cash of orders under way", () => {
  const poor: Event = {
    ...opened,
    balances: [{ asset: "USDT", quantity: decimal("1500") }],
  } as Event
  const books = [poor, ...ready.slice(1)]
  assert.equal(open(fold(books), {}, { notional: decimal("1500") })._tag, "Approved")
  assertDenied(
    open(fold(books), {}, { notional: decimal("1500.1") }),
    "INSUFFICIENT_CASH",
    "cash=1500 needed=1500.1",
  )
  const pending = new Map([["ETH/USDT.BINANCE", decimal("600")]])
  assertDenied(open(fold(books), { pending }), "INSUFFICIENT_CASH", "cash=1500 needed=1600")
  const elsewhere = new Map([["AAPL.ALPACA", decimal("600")]])
  assert.equal(open(fold(books), { pending: elsewhere })._tag, "Approved")
  const sent = submit("1", { instrument: "ETH/USDT.BINANCE", quantity: decimal("6") })
  assertDenied(open(fold([...books, sent])), "INSUFFICIENT_CASH", "cash=1500 needed=1600")
})

Deno.test("approveOpening() denies with BELOW_MINIMUM what the venue would not take", () => {
  const decision = open(fold(ready), {}, { notional: decimal("4.99") })
  assertDenied(decision, "BELOW_MINIMUM", "quantity=0.049 notional=4.9 minimum=5")
})

Deno.test("approveOpening() asks for no more than the venue takes in one order", () => {
  const small = { ...instrument, quantityMax: decimal("2.0005") }
  assert.equal(approvedQuantity(open(fold(ready), { instrument: small })), "2")
})

Deno.test("approveOpening() is impossible without a valid proof, whatever the books say", () => {
  const anyFresh = fc.option(
    fc.record({
      of: fc.constantFrom(id, "ETH/USDT.BINANCE"),
      heardAt: fc.nat(20_000),
      ms: fc.nat(5_000),
    }),
    { nil: undefined },
  )
  fc.assert(fc.property(anyFresh, fc.nat(20_000), (drawn, now) => {
    const proof = drawn === undefined
      ? undefined
      : Fresh.issue(drawn.of, { bid: decimal("99"), ask: decimal("100") }, drawn.heardAt, drawn.ms)
    const decision = approveOpening(context(fold(ready), { now }), wish, proof)
    const isProven = drawn !== undefined && drawn.of === id && drawn.heardAt <= now &&
      now < drawn.heardAt + drawn.ms
    assert.equal(decision._tag, isProven ? "Approved" : "Denied")
  }))
})

Deno.test("approveOpening() keeps every limit, whatever is asked", () => {
  const anyNotional = anyDecimal({ min: 1n, max: 20_000_000n, scaleMax: 4 })
  fc.assert(fc.property(anyNotional, anyNotional, (notional, other) => {
    const pending = new Map([["ETH/USDT.BINANCE", other]])
    const decision = open(fold(ready), { pending }, { notional })
    if (decision._tag === "Denied") return
    const cost = multiply(decision.quantity, fresh.ask)
    assert.ok(!isGreater(cost, notional))
    assert.ok(!isGreater(cost, limits.orderNotionalMax))
    assert.ok(!isGreater(add(cost, other), limits.exposureMax))
    assert.ok(!isLess(cost, instrument.notionalMin))
  }))
})

Deno.test("approveReducing() sells all that its origin holds", () => {
  const books = fold([
    ...holding,
    submit("2", { origin: "b", quantity: decimal("3") }),
    filled("2", "3"),
  ])
  const decision = reduce(books)
  assert.deepEqual([decision._tag, approvedQuantity(decision)], ["Approved", "10"])
  assert.equal(approvedQuantity(reduce(books, { origin: "b" })), "3")
  assert.equal(approvedQuantity(reduce(books, { origin: "operator", byOperator: true })), "13")
  assert.equal(approvedQuantity(reduce(books, { quantity: decimal("4.0009") })), "4")
  assert.equal(approvedQuantity(reduce(books, { quantity: decimal("99") })), "10")
})

Deno.test("approveReducing() buys a short back", () => {
  const decision = reduce(fold([...ready, submit("1", { side: "sell" }), filled("1")]))
  assert.equal(approvedQuantity(decision), "10")
  assert.equal(decision._tag === "Approved" && decision.side, "buy")
})

Deno.test("approveReducing() denies with NOTHING_TO_REDUCE what nobody, somebody else or the other side holds", () => {
  assertDenied(reduce(fold(ready)), "NOTHING_TO_REDUCE")
  assertDenied(reduce(fold(holding), { origin: "b" }), "NOTHING_TO_REDUCE")
  const opposite = fold(holding)
  const position = opposite.positions.get(id)!
  const holders = new Map([["a", decimal("13")], ["b", decimal("-3")]])
  opposite.positions.set(id, { ...position, holders })
  assertDenied(reduce(opposite, { origin: "b" }), "NOTHING_TO_REDUCE")
})

Deno.test("approveReducing() denies with BELOW_MINIMUM when only dust is left", () => {
  const dust = fold([...ready, submit("1"), filled("1", "0.04")])
  const closed: Event = { _tag: "OrderCanceled", clientOrderId: "1" }
  assertDenied(reduce(dust), "BELOW_MINIMUM", "quantity=0.04 minimum=0.001 notionalMinimum=5")
  assertDenied(
    reduce(fold([...ready, submit("1"), filled("1", "0.04"), closed]), { byOperator: true }),
    "BELOW_MINIMUM",
  )
})

Deno.test("approveReducing() denies a strategy with ORDER_IN_FLIGHT; an operator closes the rest", () => {
  const selling = submit("2", { side: "sell", purpose: "reduce", quantity: decimal("4") })
  const books = fold([...holding, selling])
  assertDenied(reduce(books), "ORDER_IN_FLIGHT", `${trading} quantity=4`)
  assert.equal(formatDecimal(closingQuantity(books, id, "sell")), "4")
  assert.equal(approvedQuantity(reduce(books, { byOperator: true })), "6")
  const reducing = new Map([[id, decimal("10")]])
  assertDenied(reduce(fold(holding), {}, { reducing }), "ORDER_IN_FLIGHT")
  assertDenied(reduce(fold(holding), { byOperator: true }, { reducing }), "ORDER_IN_FLIGHT")
})

Deno.test("approveReducing() passes whatever stands in the way of opening", () => {
  const lost: ReadonlyArray<Event> = [
    { _tag: "AccountLost", venue: "binance", cause: "closed" },
    { _tag: "FeedLost", venue: "binance", cause: "closed", attempt: 1 },
    changed("reducing"),
  ]
  const crowded = {
    ordersLastMinute: 99,
    equityAtDayStart: decimal("9999"),
    equity: zero,
    marks: new Map(),
  }
  assert.equal(approvedQuantity(reduce(fold([...holding, ...lost]), {}, crowded)), "10")
})

Deno.test("approveReducing() obeys a halt and a hold, unless the operator asks", () => {
  const hold: Event = { _tag: "PositionControlChanged", instrument: id, control: "hold", by: "x" }
  const books = fold([...holding, changed("halted")])
  assertDenied(reduce(books), "TRADING_HALTED")
  assertDenied(reduce(fold([...holding, hold])), "POSITION_ON_HOLD")
  assert.equal(approvedQuantity(reduce(books, { byOperator: true })), "10")
  assert.equal(approvedQuantity(reduce(fold([...holding, hold]), { byOperator: true })), "10")
})

Deno.test("approveReducing() sells no more than is left when fees were paid out of it", () => {
  const eth = "ETH/USDT.BINANCE"
  const paid = { ...filled("2"), fee: decimal("0.25"), feeAsset: "BTC" } as EventOf<"OrderFilled">
  const books = fold([...holding, submit("2", { instrument: eth }), paid])
  assert.equal(formatDecimal(books.positions.get(id)!.quantity), "10")
  assert.equal(approvedQuantity(reduce(books)), "9.75")
  assert.equal(approvedQuantity(reduce(books, { byOperator: true })), "9.75")
  assert.equal(formatDecimal(closableQuantity(books, instrument, "sell")), "9.75")
  assert.equal(formatDecimal(closableQuantity(books, instrument, "buy")), "0")
})

Deno.test("approveReducing() asks for no more than the venue takes in one order", () => {
  const small = { ...instrument, quantityMax: decimal("4") }
  assert.equal(approvedQuantity(reduce(fold(holding), {}, { instrument: small })), "4")
})

Deno.test("approveReducing() never takes more than is held, nor crosses zero, whatever is under way", () => {
  const anyQuantity = anyDecimal({ min: 1n, max: 200_000n, scaleMax: 4 })
  const side = fc.constantFrom("buy" as const, "sell" as const)
  fc.assert(
    fc.property(
      side,
      anyQuantity,
      fc.array(anyQuantity, { maxLength: 3 }),
      fc.option(anyQuantity),
      fc.boolean(),
      (entry, held, closing, asked, byOperator) => {
        const exit = entry === "buy" ? "sell" : "buy"
        const books = fold([
          ...ready,
          submit("1", { side: entry, quantity: held }),
          filled("1", formatDecimal(held)),
          ...closing.map((quantity, at) =>
            submit(`c${at}`, { side: exit, purpose: "reduce", quantity, origin: "b" })
          ),
        ])
        const decision = reduce(books, { byOperator, ...(asked !== null && { quantity: asked }) })
        if (decision._tag === "Denied") return
        assert.equal(decision.side, exit)
        assert.ok(isPositive(decision.quantity))
        const after = add(decision.quantity, closing.reduce(add, zero))
        assert.ok(compare(after, absolute(books.positions.get(id)!.quantity)) <= 0)
      },
    ),
  )
})
