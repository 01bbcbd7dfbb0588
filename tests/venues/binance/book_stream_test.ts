/** The live book against the simulated venue's own, with changes that never arrive. */
import assert from "node:assert/strict"
import { Effect, Fiber } from "effect"
import { isLess } from "../../../domain/decimal.ts"
import { bookStream } from "../../../venues/binance/book_stream.ts"
import type { MissingUpdates, TopOfBook } from "../../../venues/binance/local_book.ts"
import { DepthSnapshot } from "../../../venues/binance/messages.ts"
import type { SimulatorOptions } from "../../../venues/simulator/binance.ts"
import { eventually, venueTest } from "../harness.ts"
import { BTC, connectTo, policy, simulated } from "./venue.ts"

const watching = Effect.fnUntraced(function* (options: Partial<SimulatorOptions> = {}) {
  const venue = yield* simulated(options)
  const { rest, traffic } = yield* connectTo(venue.endpoints)
  const told: Array<TopOfBook | MissingUpdates> = []
  const tops: Array<TopOfBook> = []
  const lost: Array<MissingUpdates> = []
  const stream = bookStream({
    ...{ streamUrl: venue.endpoints.ws, rest, policy, traffic, retryMs: 100 },
  })
  const fiber = yield* Effect.forkScoped(stream(BTC, {
    top: (top) => void (told.push(top), tops.push(top)),
    lost: (missing) => void (told.push(missing), lost.push(missing)),
    undecoded: (_, reason) => assert.fail(reason),
  }))
  return { venue, rest, told, tops, lost, fiber }
})

venueTest(
  "the book begins at a snapshot and then equals the venue's at every common update",
  () =>
    Effect.gen(function* () {
      const { rest, tops, fiber } = yield* watching()
      yield* eventually(() => tops[3])
      let compared = 0
      while (compared < 3) {
        const venues = yield* rest.call(
          "GET",
          "api/v3/depth",
          { symbol: "BTCUSDT", limit: 5 },
          DepthSnapshot,
          false,
        )
        const known = BigInt(venues.lastUpdateId)
        yield* eventually(() => tops.find(({ updateId }) => BigInt(updateId) >= known))
        const ours = tops.findLast(({ updateId }) => BigInt(updateId) === known)
        if (ours === undefined) continue
        compared++
        assert.deepEqual([ours.bid, ours.bidSize], venues.bids[0])
        assert.deepEqual([ours.ask, ours.askSize], venues.asks[0])
      }
      assert.ok(tops.every(({ bid, ask }) => isLess(bid, ask)))
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "a change that never came ends the book, and a new snapshot begins it again",
  () =>
    Effect.gen(function* () {
      const { venue, told, lost, tops, fiber } = yield* watching()
      yield* eventually(() => tops[2])
      yield* venue.arm({ kind: "drop", count: 1, match: { stream: "btcusdt@depth@100ms" } })
      const missing = yield* eventually(() => lost[0])
      assert.ok(BigInt(missing.from) <= BigInt(missing.to))
      const at = told.indexOf(missing)
      const again = yield* eventually(() => told[at + 1])
      assert.ok("updateId" in again && BigInt(again.updateId) > BigInt(missing.to))
      assert.equal(lost.length, 1)
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "while the venue gives no snapshot there is no book, and it is asked again",
  () =>
    Effect.gen(function* () {
      const refusals = { kind: "reset", when: "before", match: { path: "/api/v3/depth" } } as const
      const { tops, venue, fiber } = yield* watching({ faults: [{ ...refusals, count: 2 }] })
      yield* eventually(() => tops[0])
      assert.equal(venue.faults.journal.length, 2)
      yield* Fiber.interrupt(fiber)
    }),
)
