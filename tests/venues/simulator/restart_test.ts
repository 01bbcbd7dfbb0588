import assert from "node:assert/strict"
import { Effect } from "effect"
import { openVenueLedger } from "../../../storage/venue_ledger_kv.ts"
import { LedgerError, makeMemoryLedger } from "../../../venues/simulator/ledger.ts"
import { answer, Ear, outcome, restClient, scopedTest, startVenue } from "./simulator.ts"

const limit = {
  symbol: "ETHUSDT",
  side: "BUY",
  type: "LIMIT",
  timeInForce: "GTC",
  price: "2000.00",
  quantity: "1",
}
const market = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.01" }

scopedTest(
  "a venue started again on its ledger has the same books and goes on",
  () =>
    Effect.gen(function* () {
      const folder = yield* Effect.promise(() => Deno.makeTempDir())
      yield* Effect.addFinalizer(() =>
        Effect.promise(() => Deno.remove(folder, { recursive: true }))
      )
      const path = `${folder}/deep/venue.kv`
      const before = yield* Effect.scoped(Effect.gen(function* () {
        const venue = yield* startVenue({ ledger: yield* openVenueLedger(path) })
        const client = restClient(venue)
        yield* Effect.promise(async () => {
          await answer(client.postPrivate("api/v3/order", market))
          await answer(client.postPrivate("api/v3/order", { ...limit, newClientOrderId: "kept" }))
        })
        return venue.books()
      }))
      yield* Effect.scoped(Effect.gen(function* () {
        const venue = yield* startVenue({ ledger: yield* openVenueLedger(path) })
        assert.deepEqual(venue.books(), before)
        const client = restClient(venue)
        yield* Effect.promise(async () => {
          const canceled = await answer(
            client.deletePrivate("api/v3/order", { symbol: "ETHUSDT", origClientOrderId: "kept" }),
          )
          assert.equal(canceled.status, "CANCELED")
          const next = await answer(client.postPrivate("api/v3/order", market))
          assert.ok(next.orderId > 2)
          assert.ok(next.fills[0].tradeId > (before.trades[0]?.id ?? Infinity))
        })
      }))
    }),
)

scopedTest(
  "the synthetic market goes on near its last prices with ids that never repeat",
  () =>
    Effect.gen(function* () {
      const ledger = makeMemoryLedger()
      const watch = Effect.scoped(Effect.gen(function* () {
        const venue = yield* startVenue({ ledger, market: { kind: "synthetic", seed: 11 } })
        return yield* Effect.promise(async () => {
          const ear = await new Ear(`${venue.endpoints.ws}/ws/btcusdt@trade`).opened()
          await ear.count(6)
          await ear.close()
          return ear.heard
        })
      }))
      const first = yield* watch
      const second = yield* watch
      assert.ok(second[0].t > first[5].t)
      assert.ok(Math.abs(Number(second[0].p) / Number(first[5].p) - 1) < 0.01)
    }),
)

scopedTest("nothing is answered that was not made durable", () =>
  Effect.gen(function* () {
    const ledger = makeMemoryLedger()
    let isBroken = false
    const venue = yield* startVenue({
      ledger: {
        load: ledger.load,
        commit: (batch) =>
          isBroken ? Effect.fail(new LedgerError({ text: "disk full" })) : ledger.commit(batch),
      },
    })
    isBroken = true
    const client = restClient(venue)
    yield* Effect.promise(async () => {
      const answered = await outcome(client.postPrivate("api/v3/order", market)).catch(() =>
        undefined
      )
      assert.notEqual(answered?.status, 200)
    })
    const stored = yield* ledger.load
    assert.deepEqual(stored.orders, [])
  }))
