import assert from "node:assert/strict"
import type { OrderRequest } from "../../../venues/simulator/exchange.ts"
import { makeListing } from "../../../venues/simulator/listing.ts"
import { brokenRule } from "../../../venues/simulator/order_rules.ts"
import { atoms } from "./simulator.ts"

const listing = makeListing({
  symbol: "BTCUSDT",
  baseAsset: "BTC",
  quoteAsset: "USDT",
  tickSize: atoms("0.01"),
  stepSize: atoms("0.001"),
})
const context = { listing, referencePrice: atoms("100"), openOrders: 0, openStops: 0 }
const good: OrderRequest = {
  symbol: "BTCUSDT",
  side: "BUY",
  type: "LIMIT",
  timeInForce: "GTC",
  price: atoms("100"),
  quantity: atoms("1"),
  quoteQuantity: 0n,
  stopPrice: 0n,
  clientOrderId: "x",
  selfTradePrevention: "EXPIRE_MAKER",
}
const marketOrder = { ...good, type: "MARKET", price: 0n } as const

const cases: ReadonlyArray<
  readonly [string, OrderRequest, Partial<typeof context>, string | undefined]
> = [
  ["a price off the tick", { ...good, price: atoms("100.001") }, {}, "PRICE_FILTER"],
  ["a stop price off the tick", { ...good, stopPrice: atoms("0.001") }, {}, "PRICE_FILTER"],
  [
    "five times the market and a tick",
    { ...good, price: atoms("500.01") },
    {},
    "PERCENT_PRICE_BY_SIDE",
  ],
  ["five times the market", { ...good, price: atoms("500") }, {}, undefined],
  ["a fifth of the market", { ...good, price: atoms("20") }, {}, undefined],
  ["less than a fifth", { ...good, price: atoms("19.99") }, {}, "PERCENT_PRICE_BY_SIDE"],
  ["a size off the step", { ...good, quantity: atoms("1.0001") }, {}, "LOT_SIZE"],
  ["too large", { ...good, quantity: atoms("9000001") }, {}, "LOT_SIZE"],
  ["too large at market", { ...marketOrder, quantity: atoms("1000001") }, {}, "MARKET_LOT_SIZE"],
  [
    "worth a cent less than 5",
    { ...good, price: atoms("49.9"), quantity: atoms("0.1") },
    {},
    "NOTIONAL",
  ],
  ["worth exactly 5", { ...good, price: atoms("50"), quantity: atoms("0.1") }, {}, undefined],
  ["a market order worth too little", { ...marketOrder, quantity: atoms("0.049") }, {}, "NOTIONAL"],
  [
    "by quote amount too little",
    { ...marketOrder, quantity: 0n, quoteQuantity: atoms("4.99") },
    {},
    "NOTIONAL",
  ],
  ["worth more than the maximum", { ...good, quantity: atoms("90001") }, {}, "NOTIONAL"],
  ["more than the maximum at market", { ...marketOrder, quantity: atoms("90001") }, {}, undefined],
  ["one order too many", good, { openOrders: 200 }, "MAX_NUM_ORDERS"],
  ["a market order beside all of them", marketOrder, { openOrders: 200 }, undefined],
  [
    "one stop too many",
    { ...good, stopPrice: atoms("90") },
    { openStops: 5 },
    "MAX_NUM_ALGO_ORDERS",
  ],
]

for (const [name, order, fields, filter] of cases) {
  Deno.test(`brokenRule() ${name}: ${filter ?? "passes"}`, () => {
    const refusal = brokenRule(order, { ...context, ...fields })
    assert.deepEqual(refusal, filter && { code: -1013, text: `Filter failure: ${filter}` })
  })
}

Deno.test("brokenRule() without any price yet does not guess one", () => {
  const { referencePrice: _, ...empty } = context
  assert.equal(brokenRule(marketOrder, { ...empty, referencePrice: undefined }), undefined)
})
