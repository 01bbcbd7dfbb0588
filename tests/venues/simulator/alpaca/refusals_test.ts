import assert from "node:assert/strict"
import { isRefusal } from "../../../../venues/simulator/alpaca/refusal.ts"
import { Floor } from "./trading_floor.ts"
import { CLOSE } from "./trading_market.ts"

type Case = readonly [status: number, code: number, message: string, fields: object]

const LIMIT = { side: "buy", type: "limit", limit_price: "99", qty: "1" }
const CRYPTO = { symbol: "BTC/USD", side: "buy", qty: "0.1", time_in_force: "gtc" }
const BRACKET = { side: "buy", qty: "1", order_class: "bracket" }
const EXITS = { take_profit: { limit_price: "110" }, stop_loss: { stop_price: "90" } }

const CASES: ReadonlyArray<Case> = [
  [422, 40010001, "symbol is required", { symbol: "", side: "buy", qty: "1" }],
  [422, 42210000, 'asset "NOPE" not found', { symbol: "NOPE", side: "buy", qty: "1" }],
  [422, 42210000, "asset GONE is not tradable", { symbol: "GONE", side: "buy", qty: "1" }],
  [422, 40010001, "invalid side", { side: "hold", qty: "1" }],
  [422, 40010001, "invalid order type", { side: "buy", qty: "1", type: "iceberg" }],
  [422, 40010001, "invalid time_in_force", { side: "buy", qty: "1", time_in_force: "gtd" }],
  [422, 40010001, "qty or notional is required", { side: "buy" }],
  [422, 40010001, "only one of qty or notional is accepted", {
    side: "buy",
    qty: "1",
    notional: "10",
  }],
  [422, 40010001, "qty must be > 0", { side: "buy", qty: "0" }],
  [422, 40010001, "qty must be > 0", { side: "buy", qty: "-1" }],
  [422, 40010001, "qty must be limited to 8 decimal places", { side: "buy", qty: "1.000000001" }],
  [422, 40010001, "invalid qty", { side: "buy", qty: "many" }],
  [422, 42210000, "notional value must be limited to 2 decimal places", {
    side: "buy",
    notional: "10.001",
  }],
  [422, 40010001, "limit orders require a limit price", { side: "buy", qty: "1", type: "limit" }],
  [422, 40010001, "stop orders require a stop price", { side: "buy", qty: "1", type: "stop" }],
  [422, 40010001, "stop limit orders require both stop and limit price", {
    side: "buy",
    qty: "1",
    type: "stop_limit",
    stop_price: "101",
  }],
  [422, 42210000, "market orders require no stop or limit price", {
    side: "buy",
    qty: "1",
    limit_price: "100",
  }],
  [422, 40010001, "trailing stop orders must specify one of trail_price or trail_percent", {
    side: "sell",
    qty: "1",
    type: "trailing_stop",
  }],
  [422, 40010001, "client_order_id must be no more than 128 characters", {
    side: "buy",
    qty: "1",
    client_order_id: "x".repeat(129),
  }],
  [
    422,
    42210000,
    "invalid limit_price 99.123. sub-penny increment does not fulfill minimum pricing criteria",
    { ...LIMIT, limit_price: "99.123" },
  ],
  [
    422,
    42210000,
    "invalid take_profit.limit_price 110.001. sub-penny increment does not fulfill minimum " +
    "pricing criteria",
    { ...BRACKET, ...EXITS, take_profit: { limit_price: "110.001" } },
  ],
  [422, 42210000, "extended hours order must be DAY or GTC limit orders", {
    side: "buy",
    qty: "1",
    extended_hours: true,
  }],
  [422, 42210000, "fractional orders must be DAY orders", {
    ...LIMIT,
    qty: "0.5",
    time_in_force: "gtc",
  }],
  [422, 42210000, "fractional orders must be simple orders", { ...BRACKET, ...EXITS, qty: "1.5" }],
  [403, 40310000, 'asset "OLD" is not fractionable', { symbol: "OLD", side: "buy", qty: "0.5" }],
  [403, 40310000, "cost basis must be >= minimal amount of order 1", {
    side: "buy",
    notional: "0.5",
  }],
  [403, 40310000, "cost basis must be >= minimal amount of order 10", { ...CRYPTO, qty: "0.0001" }],
  [422, 42210000, "invalid crypto time_in_force", { ...CRYPTO, time_in_force: "day" }],
  [422, 42210000, "crypto orders not allowed for advanced order_class: bracket", {
    ...CRYPTO,
    ...EXITS,
    order_class: "bracket",
  }],
  [403, 40310000, "insufficient balance for USD (requested: 500090, available: 100000)", {
    ...CRYPTO,
    qty: "10",
  }],
  [403, 40310000, "insufficient balance for BTC (requested: 0.1, available: 0)", {
    ...CRYPTO,
    side: "sell",
  }],
  [403, 40310000, "insufficient buying power", { ...LIMIT, qty: "100000" }],
  [422, 42210000, 'asset "OLD" cannot be sold short', { symbol: "OLD", side: "sell", qty: "1" }],
  [422, 42210000, "take_profit.limit_price must be >= base_price + 0.01", {
    ...BRACKET,
    ...EXITS,
    take_profit: { limit_price: "99.95" },
  }],
  [422, 42210000, "take_profit.limit_price must be > stop_loss.stop_price", {
    ...BRACKET,
    take_profit: { limit_price: "80" },
    stop_loss: { stop_price: "90" },
  }],
  [422, 42210000, "oco orders must be exit orders", {
    ...LIMIT,
    order_class: "oco",
    stop_loss: { stop_price: "110" },
  }],
  [422, 42210000, "position intent mismatch, inferred: buy_to_open, specified: buy_to_close", {
    side: "buy",
    qty: "1",
    position_intent: "buy_to_close",
  }],
]

for (const [status, code, message, fields] of CASES) {
  Deno.test(`refused with ${code}: ${message}`, () => {
    const refusal = new Floor().refused({ ...fields })
    assert.deepEqual([refusal.status, refusal.code, refusal.message], [status, code, message])
  })
}

Deno.test("a price below a dollar may have four decimals", () => {
  const floor = new Floor()
  assert.ok(!isRefusal(floor.place({ ...LIMIT, limit_price: "0.1234", qty: "10" })))
  assert.match(floor.refused({ ...LIMIT, limit_price: "0.12345" }).message, /sub-penny/)
})

Deno.test("insufficient buying power says how much there is and what it takes", () => {
  const { facts } = new Floor().refused({ ...LIMIT, qty: "100000" })
  assert.deepEqual(facts, { buying_power: "200000", cost_basis: "9900000" })
})

Deno.test("what open orders hold of a position is not there for another", () => {
  const floor = new Floor()
  floor.placed({ side: "buy", qty: "10" })
  const held = floor.placed({ ...LIMIT, side: "sell", limit_price: "120", qty: "7" })
  const refusal = floor.refused({ side: "sell", qty: "5" })
  assert.equal(
    refusal.message,
    "insufficient qty available for order (requested: 5, available: 3)",
  )
  assert.deepEqual([refusal.status, refusal.code, refusal.facts], [403, 40310000, {
    available: "3",
    existing_qty: "10",
    held_for_orders: "7",
    related_orders: [held.id],
    symbol: "AAPL",
  }])
})

Deno.test("an order that could trade with the account's own is a wash trade", () => {
  const floor = new Floor()
  floor.placed({ side: "buy", qty: "10" })
  const own = floor.placed({ ...LIMIT, limit_price: "99.95", qty: "5" })
  for (
    const fields of [{ side: "sell", qty: "1" }, { ...LIMIT, side: "sell", limit_price: "99.95" }]
  ) {
    const refusal = floor.refused(fields)
    assert.deepEqual([refusal.status, refusal.code, refusal.message], [
      403,
      40310000,
      "potential wash trade detected. use complex orders",
    ])
    assert.deepEqual(refusal.facts, {
      existing_order_id: own.id,
      reject_reason: "opposite side limit order exists",
    })
  }
  assert.ok(!isRefusal(floor.place({ ...LIMIT, side: "sell", limit_price: "99.96" })))
})

Deno.test("a client order id is never taken twice, not even after a cancel", () => {
  const floor = new Floor()
  const order = floor.placed({ ...LIMIT, client_order_id: "mine" })
  floor.cancel(order)
  floor.settle()
  const refusal = floor.refused({ ...LIMIT, client_order_id: "mine" })
  assert.deepEqual([refusal.status, refusal.code, refusal.message], [
    422,
    40010001,
    "client_order_id must be unique",
  ])
})

Deno.test("an account is never long and short of one symbol", () => {
  const floor = new Floor()
  floor.placed(LIMIT)
  assert.equal(
    floor.refused({ ...LIMIT, side: "sell", limit_price: "101" }).message,
    "cannot open a short sell while a long buy order is open",
  )
})

Deno.test("orders for an auction come in time", () => {
  const floor = new Floor()
  assert.equal(
    floor.refused({ side: "buy", qty: "1", time_in_force: "opg" }).message,
    "opg orders must be submitted after 7:00pm and before 9:28am",
  )
  floor.market.time = CLOSE - 4 * 60_000
  assert.equal(
    floor.refused({ side: "buy", qty: "1", time_in_force: "cls" }).message,
    "cls orders must be submitted after 7:00pm and before 3:55pm",
  )
})
