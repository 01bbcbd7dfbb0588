/** Every kind of order and replacement: over real sockets where the venue can answer it. */
import assert from "node:assert/strict"
import { Effect, Option, Result } from "effect"
import { type Decimal, decimal, floorTo, formatDecimal, multiply } from "../../../domain/decimal.ts"
import type { Broker, NewOrder } from "../../../venues/broker.ts"
import type { MarketData } from "../../../venues/market_data.ts"
import { orderParams } from "../../../venues/binance/orders.ts"
import { type Answering, venueTest } from "../harness.ts"
import { badVenue, BTC, connectTo, simulated } from "./venue.ts"

const order: NewOrder = {
  ...{ clientOrderId: "keel-1", instrument: BTC, side: "buy", type: "limit" },
  ...{ quantity: decimal("0.002"), price: decimal("50000") },
}

/** A price `factor` of the bid, on a grid that every symbol of the venue has. */
const priceAt = (market: MarketData, factor: string) =>
  Effect.map(
    market.quotes([BTC]),
    ([quote]) => floorTo(multiply(quote!.bid, decimal(factor)), decimal("1")),
  )

const statusOf = (broker: Broker, id: string) =>
  Effect.map(broker.order(BTC, id), (found) => Option.getOrThrow(found))

const failureOf = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(
    Effect.result(effect),
    (result) => Result.isFailure(result) ? result.failure : undefined,
  )

const limitPrice = (price: Decimal) => ({ price })

venueTest(
  "every kind of order that is announced is taken by the venue as what it is",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      const low = yield* priceAt(market, "0.9")
      const high = yield* priceAt(market, "1.1")
      const kinds: Readonly<Record<string, Partial<NewOrder>>> = {
        "keel-market": { type: "market", price: undefined },
        "keel-limit": { type: "limit", ...limitPrice(low) },
        "keel-maker": { type: "limit_maker", ...limitPrice(low) },
        "keel-stop": { type: "stop_limit", ...limitPrice(high), stopPrice: high },
        "keel-take": { type: "take_profit_limit", ...limitPrice(low), stopPrice: low },
        "keel-ioc": { type: "limit", ...limitPrice(low), timeInForce: "ioc" },
        "keel-fok": { type: "limit", ...limitPrice(low), timeInForce: "fok" },
        "keel-spend": { type: "market", price: undefined, notional: decimal("100") },
      }
      for (const [clientOrderId, kind] of Object.entries(kinds)) {
        yield* broker.submit({ ...order, clientOrderId, ...kind })
      }
      const rows = venue.books().orders.map(({ clientOrderId, type, timeInForce, status }) =>
        `${clientOrderId} ${type} ${timeInForce} ${status}`
      )
      assert.deepEqual(rows, [
        "keel-market MARKET GTC FILLED",
        "keel-limit LIMIT GTC NEW",
        "keel-maker LIMIT_MAKER GTC NEW",
        "keel-stop STOP_LOSS_LIMIT GTC NEW",
        "keel-take TAKE_PROFIT_LIMIT GTC NEW",
        "keel-ioc LIMIT IOC EXPIRED",
        "keel-fok LIMIT FOK EXPIRED",
        "keel-spend MARKET GTC FILLED",
      ])
      assert.equal((yield* statusOf(broker, "keel-ioc")).status, "expired")
      const spent = venue.books().orders.find((each) => each.clientOrderId === "keel-spend")
      assert.ok(
        Number(spent?.cummulativeQuoteQty) > 95 && Number(spent?.cummulativeQuoteQty) <= 100,
      )
      assert.equal(yield* broker.cancelAll, 4)
      assert.deepEqual(yield* broker.openOrders, [])
      assert.equal(yield* broker.cancelAll, 0)
    }),
)

venueTest(
  "a maker that would take is refused, and so is a price off the grid, with the rules told",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const broken: Array<string> = []
      const { broker, market } = yield* connectTo(venue.endpoints, {
        rulesBroken: (instrument) => void broken.push(instrument),
      })
      const high = yield* priceAt(market, "1.02")
      const taking = yield* failureOf(broker.submit({ ...order, type: "limit_maker", price: high }))
      assert.ok(taking?._tag === "OrderRefused" && taking.code === "-2010")
      assert.deepEqual(broken, [])
      const price = decimal(`${formatDecimal(yield* priceAt(market, "0.9"))}.00000001`)
      const skew = yield* failureOf(broker.submit({ ...order, price }))
      assert.ok(skew?._tag === "OrderRefused" && skew.reason === "trading_rule")
      assert.deepEqual(broken, [BTC])
    }),
)

Deno.test("orderParams() of what Binance does not take says so, and nothing is sent", () => {
  const price = decimal("1")
  const impossible: ReadonlyArray<Partial<NewOrder>> = [
    { type: "stop", stopPrice: price },
    { type: "trailing_stop", trail: { by: "percent", value: price } },
    { price: undefined },
    { type: "limit_maker", price: undefined },
    { type: "limit_maker", timeInForce: "ioc" },
    { timeInForce: "day" },
    { type: "market", timeInForce: "fok" },
    { type: "stop_limit" },
    { type: "limit", stopPrice: price },
    { notional: price },
    { extendedHours: true },
    { bracket: { takeProfit: price, stopLoss: price } },
    { clientOrderId: "not an id" },
    { clientOrderId: "x".repeat(37) },
  ]
  for (const each of impossible) {
    const params = orderParams({ ...order, ...each })
    assert.equal("_tag" in params && params._tag, "OrderNotSent", JSON.stringify(each))
  }
})

venueTest(
  "a resting order is replaced in one step: the old one ends, the new one rests",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      yield* broker.submit({ ...order, price: yield* priceAt(market, "0.9") })
      const better = yield* priceAt(market, "0.92")
      const ack = yield* broker.replace(BTC, "keel-1", { clientOrderId: "keel-2", price: better })
      const old = yield* statusOf(broker, "keel-1")
      const now = yield* statusOf(broker, "keel-2")
      assert.deepEqual([old.status, now.status], ["canceled", "accepted"])
      assert.equal(now.venueOrderId, ack.venueOrderId)
      const row = venue.books().openOrders.find(({ clientOrderId }) => clientOrderId === "keel-2")
      assert.deepEqual([Number(row?.price), row?.origQty, row?.timeInForce], [
        Number(formatDecimal(better)),
        "0.00200000",
        "GTC",
      ])
    }),
)

venueTest(
  "an order that is done is not replaced, and nothing new exists",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      yield* broker.submit({ ...order, type: "market", price: undefined })
      const change = { clientOrderId: "keel-2", price: yield* priceAt(market, "0.9") }
      const filled = yield* failureOf(broker.replace(BTC, "keel-1", change))
      assert.equal(filled?._tag, "OrderNotSent")
      const missing = yield* failureOf(broker.replace(BTC, "keel-9", change))
      assert.ok(missing?._tag === "OrderNotSent" && missing.detail.includes("-2013"))
      assert.equal(venue.books().orders.length, 1)
    }),
)

venueTest(
  "a replacement that breaks a rule leaves the old order as it was",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      yield* broker.submit({ ...order, price: yield* priceAt(market, "0.9") })
      const change = { clientOrderId: "keel-2", quantity: decimal("0.00000001") }
      const refused = yield* failureOf(broker.replace(BTC, "keel-1", change))
      assert.ok(refused?._tag === "OrderRefused" && refused.reason === "trading_rule")
      assert.equal((yield* statusOf(broker, "keel-1")).status, "accepted")
    }),
)

venueTest(
  "a replacement whose answer is lost is unknown, though it was done",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      yield* broker.submit({ ...order, price: yield* priceAt(market, "0.9") })
      yield* venue.arm({
        ...{ kind: "reset", when: "after", count: 1 },
        match: { path: "/api/v3/order/cancelReplace" },
      })
      const change = { clientOrderId: "keel-2", price: yield* priceAt(market, "0.91") }
      const lost = yield* failureOf(broker.replace(BTC, "keel-1", change))
      assert.equal(lost?._tag, "OrderUnknown")
      assert.equal((yield* statusOf(broker, "keel-2")).status, "accepted")
    }),
)

// ---- halves, which the simulated venue cannot be brought to ---------------------------------

const resting = {
  ...{ symbol: "BTCUSDT", orderId: 7, clientOrderId: "keel-1", executedQty: "0.00000000" },
  ...{ status: "NEW", side: "BUY", type: "LIMIT", timeInForce: "GTC", origQty: "0.00200000" },
  ...{ price: "50000.00000000", stopPrice: "0.00000000" },
}

const answering =
  (old: object, answers: Readonly<Record<string, readonly [number, unknown]>>): Answering =>
  (request, response) => {
    const path = request.url?.replace(/\?.*/, "")
    const [status, body] = request.method === "GET"
      ? [200, old]
      : answers[`${request.method} ${path}`] ?? [404, {}]
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
  }

const halves = (
  code: number,
  cancelResult: string,
  newOrderResult: string,
  cancelResponse: unknown,
  newOrderResponse: unknown,
) => ({
  ...{ code, msg: "Order cancel-replace failed." },
  data: { cancelResult, newOrderResult, cancelResponse, newOrderResponse },
})
const says = (code: number, msg: string) => ({ code, msg })
const REPLACE = "POST /api/v3/order/cancelReplace"
const change = { clientOrderId: "keel-2", price: decimal("50100") }

const partly: ReadonlyArray<readonly [string, readonly [number, unknown], string, RegExp]> = [
  [
    "cancelled and the new one refused",
    [409, halves(-2021, "SUCCESS", "FAILURE", {}, says(-2010, "Account has insufficient balance"))],
    "OrderRefused",
    /insufficient_funds.*the old order is cancelled, the new one refused: Account has insufficient/,
  ],
  [
    "not cancelled and the new one not tried",
    [
      400,
      halves(-2022, "FAILURE", "NOT_ATTEMPTED", says(-2011, "Unknown order sent."), null),
    ],
    "OrderRefused",
    /the old order was not cancelled: Unknown order sent/,
  ],
  [
    "cancelled and the new one lost inside the venue",
    [409, halves(-2021, "SUCCESS", "FAILURE", {}, says(-1007, "Timeout waiting for response"))],
    "OrderUnknown",
    /-1007/,
  ],
  ["answered with half an answer", [409, says(-2021, "partially failed")], "OrderUnknown", /-2021/],
  ["answered with 503", [503, says(-2022, "later")], "OrderUnknown", /-2022/],
]

for (const [name, answer, tag, pattern] of partly) {
  venueTest(`a replacement whose old order was ${name} is ${tag}`, () =>
    Effect.gen(function* () {
      const { endpoints, asked } = yield* badVenue(answering(resting, { [REPLACE]: answer }))
      const { broker } = yield* connectTo(endpoints)
      const error = yield* failureOf(broker.replace(BTC, "keel-1", change))
      assert.equal(error?._tag, tag)
      assert.match(JSON.stringify(error), pattern)
      assert.equal(asked.length, 2)
      const sent = new URL(asked[1]!.slice("POST ".length), endpoints.rest).searchParams
      assert.equal(sent.get("cancelReplaceMode"), "STOP_ON_FAILURE")
      assert.equal(sent.get("cancelRestrictions"), "ONLY_NEW")
    }))
}

venueTest(
  "a replacement of an order that is partly filled sends what the cancel has left",
  () =>
    Effect.gen(function* () {
      const old = { ...resting, status: "PARTIALLY_FILLED", executedQty: "0.00050000" }
      const placed = { ...resting, orderId: 8, clientOrderId: "keel-2" }
      const { endpoints, asked } = yield* badVenue(answering(old, {
        // More was filled on the way.
        "DELETE /api/v3/order": [200, { ...old, executedQty: "0.00080000", status: "CANCELED" }],
        "POST /api/v3/order": [200, placed],
      }))
      const { broker } = yield* connectTo(endpoints)
      assert.deepEqual(yield* broker.replace(BTC, "keel-1", change), { venueOrderId: "8" })
      const sent = new URL(asked[2]!.slice("POST ".length), endpoints.rest).searchParams
      assert.deepEqual([sent.get("quantity"), sent.get("price")], ["0.0012", "50100"])
      const larger = { ...change, quantity: decimal("0.003") }
      yield* broker.replace(BTC, "keel-1", larger)
      const more = new URL(asked[5]!.slice("POST ".length), endpoints.rest).searchParams
      assert.equal(more.get("quantity"), "0.0022")
      // It has filled more than that already.
      const smaller = { ...change, quantity: decimal("0.0006") }
      const none = yield* failureOf(broker.replace(BTC, "keel-1", smaller))
      assert.equal(none?._tag, "OrderNotSent")
    }),
)

venueTest(
  "ids beyond what a float holds stay what they are, in every list",
  () =>
    Effect.gen(function* () {
      const id = "8389765521519383888"
      const trade = {
        ...{ id: 0, orderId: 0, symbol: "BTCUSDT", price: "1.5", qty: "2", commission: "0.1" },
        ...{ commissionAsset: "BNB", time: 1_000, isBuyer: true },
      }
      const { endpoints } = yield* badVenue((request, response) => {
        const body = request.url!.includes("myTrades")
          ? request.url!.includes("fromId") ? [] : [trade]
          : request.url!.includes("openOrders")
          ? [resting]
          : resting
        response.end(JSON.stringify(body).replaceAll(/"(orderId|id)":\d+/g, `"$1":${id}`))
      })
      const { broker } = yield* connectTo(endpoints)
      assert.equal((yield* statusOf(broker, "keel-1")).venueOrderId, id)
      assert.equal((yield* broker.openOrders)[0]?.venueOrderId, id)
      const [execution] = yield* broker.executions(BTC, 0)
      assert.deepEqual([execution?.executionId, execution?.venueOrderId], [id, id])
    }),
)

venueTest(
  "cancelAll goes on with the others when one symbol fails, and fails then",
  () =>
    Effect.gen(function* () {
      const { endpoints, asked } = yield* badVenue((request, response) => {
        if (request.url!.includes("BTCUSDT")) return void response.writeHead(502).end()
        response.end(JSON.stringify([resting]))
      })
      const { broker } = yield* connectTo(endpoints)
      const error = yield* Effect.flip(broker.cancelAll)
      assert.match(error.message, /DELETE \/api\/v3\/openOrders: HTTP 502/)
      assert.deepEqual(asked.map((each) => /symbol=(\w+)/.exec(each)?.[1]), [
        ...["BTCUSDT", "ETHUSDT"],
      ])
    }),
)

venueTest(
  "executions() are asked for on the venue's clock when ours is ahead",
  () =>
    Effect.gen(function* () {
      const { endpoints, asked } = yield* badVenue((request, response) =>
        void response.end(
          JSON.stringify(
            request.url!.includes("/time") ? { serverTime: Date.now() - 60_000 } : [],
          ),
        )
      )
      const { broker, rest } = yield* connectTo(endpoints)
      yield* rest.syncClock
      const since = Date.now()
      yield* broker.executions(BTC, since)
      const sent = new URL(asked[1]!.slice("GET ".length), endpoints.rest).searchParams
      assert.ok(Math.abs(since - 60_000 - Number(sent.get("startTime"))) < 1_000)
    }),
)
