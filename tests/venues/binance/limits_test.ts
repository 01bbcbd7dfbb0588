/** The adapter inside the venue's limits, as the venue itself counts them. */
import assert from "node:assert/strict"
import { Effect, Result } from "effect"
import { decimal } from "../../../domain/decimal.ts"
import { eventually, struck, venueTest } from "../harness.ts"
import { BTC, connectTo, simulated } from "./venue.ts"

venueTest(
  "whatever is asked, the venue never has to say 429, and cancels come through",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      yield* struck(venue, { kind: "limits", weightPerMinute: 400, ordersPer10s: 5 })
      const { broker, market, rest } = yield* connectTo(venue.endpoints)
      // The limits come with the rules.
      yield* market.instruments([BTC])
      const order = {
        ...{ instrument: BTC, side: "buy", type: "limit" } as const,
        ...{ quantity: decimal("0.01"), price: decimal("20000") },
      }
      yield* broker.submit({ ...order, clientOrderId: "keel-0", price: yield* low(market) })
      const asking = Array.from({ length: 40 }, () => failureOf(broker.balances))
      const ordering = Array.from(
        { length: 8 },
        (_, at) => failureOf(broker.submit({ ...order, clientOrderId: `keel-flood-${at}` })),
      )
      const told = yield* Effect.all([...asking, ...ordering], { concurrency: "unbounded" })
      const failed = told.filter((each) => each !== undefined)
      assert.ok(failed.length > 10)
      for (const error of failed) {
        const isKeptBack = error._tag === "VenueError"
          ? error.reason._tag === "Throttled" && error.reason.sent === false
          : error._tag === "OrderNotSent" || error._tag === "OrderRefused" && error.code !== "-1015"
        assert.ok(isKeptBack, String(error))
      }
      assert.equal(yield* broker.cancel(BTC, "keel-0"), "requested")
      const weight = rest.governor.usage().find(({ bucket }) => bucket === "weight_1m")!
      assert.equal(weight.limit, 400)
      assert.ok(weight.used <= 400)
      assert.equal(weight.bannedUntil, undefined)
    }),
)

const failureOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(
    Effect.result(effect),
    (result): E | undefined => Result.isFailure(result) ? result.failure : undefined,
  )

const low = Effect.fnUntraced(function* (
  market: Effect.Success<ReturnType<typeof connectTo>>["market"],
) {
  const [quote] = yield* market.quotes([BTC])
  return decimal(String(Math.floor(Number(quote!.bid.value) / 10 ** quote!.bid.scale * 0.9)))
})

venueTest(
  "a venue that says 429 is heeded for the kind of request that it was about",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({
        faults: [{
          ...{ kind: "respond", when: "before", status: 429, retryAfterSeconds: 30, count: 1 },
          body: '{"code":-1015,"msg":"Too many new orders."}',
          match: { method: "POST" },
        }],
      })
      const { broker, market, rest } = yield* connectTo(venue.endpoints)
      const order = {
        ...{ instrument: BTC, side: "buy", type: "market" } as const,
        ...{ quantity: decimal("0.002"), price: undefined },
      }
      yield* Effect.flip(broker.submit({ ...order, clientOrderId: "keel-1" }))
      const next = yield* Effect.flip(broker.submit({ ...order, clientOrderId: "keel-2" }))
      assert.equal(next._tag, "OrderNotSent")
      assert.equal((yield* market.quotes([BTC])).length, 1)
      assert.equal(yield* broker.cancel(BTC, "keel-1"), "unknown_order")
      const orders = yield* eventually(() =>
        rest.governor.usage().find(({ bucket }) => bucket === "orders_10s")
      )
      assert.ok((orders.bannedUntil ?? 0) > Date.now() + 20_000)
    }),
)
