/** One connection after the other, on virtual time: what is delivered, whatever comes when. */
import assert from "node:assert/strict"
import { Cause, Effect, Exit, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { decimal } from "../../../domain/decimal.ts"
import type { Trade } from "../../../domain/market.ts"
import { ByIds } from "../../../venues/binance/market_stream.ts"
import { type Handover, isLater, type Line, rotating } from "../../../venues/binance/rotation.ts"
import { Closed, VenueError } from "../../../venues/market_data.ts"

const policy = {
  ...{ afterMs: 60_000, jitterMs: 10_000, overlapMs: 1_000, overlapMaxMs: 5_000, retryMs: 2_000 },
}

const trade = (id: number): Trade => ({
  ...{ _tag: "Trade", instrument: "BTC/USDT.BINANCE", tradeId: String(id), side: "buy" },
  ...{ price: decimal("1"), size: decimal("1"), time: id },
})

const died = (code: number) =>
  new VenueError({ venue: "binance", doing: "x", reason: new Closed({ code, detail: "" }) })

/** A stream whose connections the test plays itself. */
const worldOf = Effect.fnUntraced(function* (
  overlapMaxMs: number,
  handover: Handover<Trade> = new ByIds(),
) {
  const lines: Array<Line<Trade>> = []
  const ends: Array<(error: VenueError) => void> = []
  const closed: Array<number> = []
  const delivered: Array<number> = []
  let isReady = 0
  const fiber = yield* Effect.forkScoped(rotating<Trade>({
    ...{ doing: "x", policy: { ...policy, overlapMaxMs }, handover },
    connect: (line) => {
      const index = lines.push(line) - 1
      return Effect.callback<never, VenueError>((resume) => {
        ends[index] = (error) => resume(Effect.fail(error))
        return Effect.sync(() => void closed.push(index))
      })
    },
    deliver: ({ tradeId }) => void delivered.push(Number(tradeId)),
    ready: () => void isReady++,
  }))
  const pass = (ms: number) =>
    Effect.repeat(
      Effect.andThen(TestClock.adjust(50), Effect.repeat(Effect.yieldNow, { times: 30 })),
      { times: Math.max(0, Math.ceil(ms / 50) - 1) },
    )
  yield* pass(50)
  lines[0]!.ready()
  return { lines, ends, closed, delivered, fiber, pass, ready: () => isReady }
})

const world = worldOf(policy.overlapMaxMs)

const virtually = <E>(body: () => Effect.Effect<void, E, Scope.Scope>) =>
  Effect.suspend(body).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)

function virtualTest<E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) {
  Deno.test(name, () => virtually(body))
}

virtualTest(
  "a connection is replaced in time, by one that delivers, and then closed",
  () =>
    Effect.gen(function* () {
      const { closed, delivered, lines, pass, ready } = yield* world
      lines[0]!.event(trade(1))
      yield* pass(49_000)
      assert.equal(lines.length, 1, "not more than the jitter early")
      yield* pass(12_000)
      assert.equal(lines.length, 2)
      lines[0]!.event(trade(2))
      lines[1]!.ready()
      yield* pass(2_000)
      lines[0]!.event(trade(3))
      assert.deepEqual(closed, [], "the new one has not delivered yet")
      lines[1]!.event(trade(3))
      lines[1]!.event(trade(4))
      yield* pass(500)
      assert.deepEqual(delivered, [1, 2, 3, 4])
      assert.deepEqual(closed, [0])
      lines[0]!.event(trade(9))
      lines[1]!.event(trade(5))
      assert.deepEqual(delivered, [1, 2, 3, 4, 5])
      assert.equal(ready(), 1)
    }),
)

virtualTest(
  "a connection that would leave a hole does not take over before its time is up",
  () =>
    Effect.gen(function* () {
      const { delivered, lines, pass } = yield* world
      lines[0]!.event(trade(1))
      lines[0]!.leaving()
      yield* pass(100)
      lines[1]!.ready()
      lines[1]!.event(trade(4))
      yield* pass(3_000)
      assert.deepEqual(delivered, [1], "2 and 3 are still on their way on the old one")
      lines[0]!.event(trade(2))
      lines[0]!.event(trade(3))
      yield* pass(200)
      assert.deepEqual(delivered, [1, 2, 3, 4])
      lines[1]!.leaving()
      yield* pass(100)
      lines[2]!.ready()
      lines[2]!.event(trade(9))
      yield* pass(6_000)
      assert.deepEqual(delivered, [1, 2, 3, 4, 9], "better a hole than an end")
    }),
)

virtualTest(
  "a second connection that fails is tried again while the first one lives",
  () =>
    Effect.gen(function* () {
      const { delivered, ends, fiber, lines, pass } = yield* world
      lines[0]!.leaving()
      yield* pass(100)
      ends[1]!(died(1006))
      yield* pass(1_000)
      assert.equal(lines.length, 2)
      yield* pass(2_000)
      assert.equal(lines.length, 3)
      lines[0]!.event(trade(1))
      assert.deepEqual(delivered, [1])
      ends[0]!(died(1001))
      yield* pass(100)
      assert.equal(fiber.pollUnsafe(), undefined, "the third may still come")
      ends[2]!(died(1006))
      yield* pass(100)
      const exit = yield* Fiber.await(fiber)
      assert.ok(Exit.isFailure(exit))
      assert.match(String(Cause.squash(exit.cause)), /1001/)
    }),
)

/** Events without numbers, like those of an account: a missing one leaves no trace. */
const unnumbered: Handover<Trade> = {
  showsHoles: false,
  delivered: () => {},
  joins: () => true,
  turn: () => {},
  isRepeat: () => false,
}

virtualTest(
  "where a hole would not show, the stream ends with a connection that no other has relieved",
  () =>
    Effect.gen(function* () {
      const { ends, fiber, lines, pass } = yield* worldOf(policy.overlapMaxMs, unnumbered)
      lines[0]!.leaving()
      yield* pass(100)
      assert.equal(lines.length, 2)
      ends[0]!(died(1001))
      yield* pass(50)
      // Until it is ready, nobody would tell us anything.
      lines[1]!.ready()
      yield* pass(100)
      const exit = fiber.pollUnsafe()
      assert.ok(exit !== undefined && Exit.isFailure(exit))
      assert.match(String(Cause.squash(exit.cause)), /1001/)
    }),
)

virtualTest(
  "where a hole would not show, a connection that was ready in time takes over",
  () =>
    Effect.gen(function* () {
      const { delivered, ends, fiber, lines, pass } = yield* worldOf(
        policy.overlapMaxMs,
        unnumbered,
      )
      lines[0]!.leaving()
      yield* pass(100)
      lines[1]!.ready()
      lines[1]!.event(trade(1))
      ends[0]!(died(1001))
      yield* pass(50)
      assert.deepEqual(delivered, [1])
      assert.equal(fiber.pollUnsafe(), undefined)
    }),
)

virtualTest(
  "a connection that is announced to end before its turn is replaced as soon as it has it",
  () =>
    Effect.gen(function* () {
      const { lines, pass } = yield* world
      lines[0]!.event(trade(1))
      lines[0]!.leaving()
      yield* pass(100)
      lines[1]!.ready()
      lines[1]!.leaving()
      lines[1]!.event(trade(2))
      yield* pass(2_000)
      assert.equal(lines.length, 3)
    }),
)

virtualTest(
  "a first connection that ends alone ends the stream at once",
  () =>
    Effect.gen(function* () {
      const { ends, fiber, pass } = yield* world
      ends[0]!(died(1006))
      yield* pass(50)
      assert.ok(Exit.isFailure(yield* Fiber.await(fiber)))
    }),
)

Deno.test("whatever overlaps whatever, every trade is delivered once and in order", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 40 }),
      fc.integer({ min: 1, max: 30 }),
      // Who is served how much next, and how much time passes then.
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 5 }), fc.nat(4)), {
        maxLength: 30,
      }),
      (total, subscribedAt, turns) =>
        virtually(() =>
          Effect.gen(function* () {
            const { delivered, lines, pass } = yield* worldOf(600_000)
            const first = Math.min(subscribedAt, total - 1)
            const sent = [0, first]
            const serve = (index: 0 | 1, count: number) => {
              for (let each = 0; each < count && sent[index]! < total; each++) {
                lines[index]!.event(trade(++sent[index]!))
              }
            }
            // The new one subscribes when trade `first` has happened; the old one may lag behind.
            serve(0, 1)
            lines[0]!.leaving()
            yield* pass(100)
            lines[1]!.ready()
            for (const [isOld, count, quarters] of turns) {
              serve(isOld ? 0 : 1, count)
              if (quarters > 0) yield* pass(quarters * 50)
            }
            serve(0, total)
            serve(1, total)
            yield* pass(1_500)
            assert.deepEqual(delivered, Array.from({ length: total }, (_, at) => at + 1))
          })
        ),
    ),
    { numRuns: 50 },
  ))

Deno.test("isLater() compares ids of any length", () => {
  assert.ok(isLater("10", "9"))
  assert.ok(isLater("8389765521519383889", "8389765521519383888"))
  assert.ok(!isLater("7", "7"))
  assert.ok(!isLater("99", "100"))
})
