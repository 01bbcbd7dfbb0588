/** What becomes of an order that the venue refuses, or says nothing of. */
import assert from "node:assert/strict"
import { Effect, Option } from "effect"
import { add, decimal, formatDecimal, zero } from "../../../domain/decimal.ts"
import type { NewOrder } from "../../../venues/broker.ts"
import { listening, until, venueTest } from "../harness.ts"
import { AAPL, badVenue, BTC, buy, connectTo, farPrice, simulated } from "./venue.ts"

venueTest(
  "what the venue refuses has a reason, and what it would not take is not sent",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      const price = yield* farPrice(market, AAPL, 0.5)
      const refused = (order: Partial<NewOrder>) =>
        Effect.map(
          Effect.flip(broker.submit({ ...buy, ...order })),
          (error) => error._tag === "OrderRefused" ? error.reason : error._tag,
        )
      const id = (clientOrderId: string) => ({ clientOrderId })
      assert.equal(
        yield* refused({ ...id("a"), quantity: decimal("1000000") }),
        "insufficient_funds",
      )
      assert.equal(
        yield* refused({ ...id("b"), instrument: BTC, side: "sell", quantity: decimal("1") }),
        "insufficient_quantity",
      )
      assert.equal(
        yield* refused({ ...id("c"), type: "limit", price: decimal("100.001") }),
        "trading_rule",
      )
      assert.equal(yield* refused({ ...id("d"), instrument: "NOPE.ALPACA" }), "unknown_instrument")
      const { events } = yield* listening(broker)
      yield* broker.submit({ ...buy, ...id("f") })
      yield* until(events, "f", "filled")
      yield* broker.submit({ ...buy, type: "limit", price, quantity: decimal("1") })
      assert.equal(yield* refused({ type: "limit", price, quantity: decimal("1") }), "duplicate_id")
      assert.equal(
        yield* refused({ ...id("e"), side: "sell", quantity: decimal("1") }),
        "wash_trade",
      )
      assert.equal(
        yield* refused({ ...id("g"), side: "sell", quantity: decimal("11") }),
        "insufficient_quantity",
      )

      const notSent: ReadonlyArray<Partial<NewOrder>> = [
        { type: "limit" },
        { type: "stop" },
        { type: "stop_limit", price },
        { type: "trailing_stop" },
        { type: "limit_maker", price },
        { type: "market", extendedHours: true },
        { notional: decimal("10.005") },
        { quantity: decimal("0.0000000001") },
        { instrument: BTC, type: "trailing_stop", trail: { by: "percent", value: decimal("1") } },
        { instrument: BTC, type: "limit", price, timeInForce: "day" },
        { clientOrderId: "x".repeat(49) },
      ]
      for (const order of notSent) {
        assert.equal(yield* refused(order), "OrderNotSent", JSON.stringify(Object.keys(order)))
      }
    }),
)

const refusals = [
  ...[[403, 40310000, "trading is halted for AAPL", "halted"]],
  ...[[403, 40310000, "insufficient buying power", "insufficient_funds"]],
  ...[[403, 40310000, "insufficient day trading buying power", "insufficient_funds"]],
  [
    403,
    40310000,
    "insufficient balance for USD (requested: 9, available: 1)",
    "insufficient_funds",
  ],
  ...[[403, 40310000, "insufficient balance for BTC (requested: 9)", "insufficient_quantity"]],
  ...[[403, 40310000, "account is not allowed to short", "not_shortable"]],
  ...[[422, 42210000, 'asset "GME" cannot be sold short', "not_shortable"]],
  ...[[422, 42210000, "potential wash trade detected. use complex orders", "wash_trade"]],
  ...[[403, 40310000, "potential wash trade detected. use complex orders", "wash_trade"]],
  ...[[422, 42210000, "sub-penny increment does not fulfill minimum pricing", "trading_rule"]],
  ...[[403, 40310000, "market is not open", "market_closed"]],
  ...[[403, 40310000, "something new", "other"]],
  ...[[401, 40110000, "request is not authorized", "keys"], [403, 0, "forbidden.", "keys"]],
] as const
venueTest("a refusal is known by its words", () =>
  Effect.gen(function* () {
    for (const [status, code, message, reason] of refusals) {
      const { endpoints } = yield* badVenue((_request, response) => {
        response.writeHead(status).end(JSON.stringify({ ...code !== 0 && { code }, message }))
      })
      const { broker } = yield* connectTo(endpoints)
      const error = yield* Effect.flip(broker.submit(buy))
      assert.ok(error._tag === "OrderRefused", message)
      assert.deepEqual([error.reason, error.text], [reason, message])
    }
  }))

for (const when of ["before", "after"] as const) {
  const faults = [
    { kind: "reset", when } as const,
    { kind: "respond", when, status: 504, body: "<html>gateway timeout</html>" } as const,
    { kind: "respond", when, status: 200, body: "" } as const,
    { kind: "respond", when, status: 200, body: "<html>" } as const,
    { kind: "hang", when } as const,
    ...when === "after" ? [{ kind: "truncate", when } as const] : [],
  ]
  venueTest(
    `a lost answer is an order that nobody knows of, struck ${when} it was placed`,
    () =>
      Effect.gen(function* () {
        const venue = yield* simulated()
        const { broker } = yield* connectTo(venue.endpoints, { timeoutMs: 2_000 })
        for (const [at, fault] of faults.entries()) {
          const clientOrderId = `keel-${at}`
          yield* venue.arm({
            ...{ ...fault, count: 1 },
            match: { method: "POST", path: "/v2/orders" },
          })
          const asked = Date.now()
          const error = yield* Effect.flip(
            broker.submit({ ...buy, quantity: decimal("1"), clientOrderId }),
          )
          if (error._tag !== "OrderUnknown") assert.fail(`${fault.kind}: ${error._tag}`)
          assert.ok(error.conclusiveAt >= asked + 60_000)
          const found = yield* broker.order(AAPL, clientOrderId)
          assert.equal(Option.isSome(found), when === "after", fault.kind)
        }
        const fills = yield* broker.executions(AAPL, 0)
        const filled = fills.reduce((sum, { quantity }) => add(sum, quantity), zero)
        assert.ok(Number(formatDecimal(filled)) <= (when === "after" ? faults.length : 0))
      }),
  )
}

venueTest(
  "being told to wait is waited out, and orders meanwhile were not sent",
  () =>
    Effect.gen(function* () {
      const { asked, endpoints } = yield* badVenue((_request, response) => {
        response.writeHead(429, { "retry-after": "42" }).end('{"code":42910000,"message":"slow"}')
      })
      const { broker } = yield* connectTo(endpoints)
      const first = yield* Effect.flip(broker.submit(buy))
      assert.equal(first._tag, "OrderUnknown")
      const second = yield* Effect.flip(broker.submit(buy))
      assert.equal(second._tag, "OrderNotSent")
      const third = yield* Effect.flip(broker.balances)
      assert.ok(third.reason._tag === "Throttled" && third.reason.retryAfterMs > 40_000)
      assert.equal(asked.length, 1)
    }),
)
