import assert from "node:assert/strict"
import { Clock, Effect, Fiber } from "effect"
import { MarketClock } from "../../../venues/simulator/market_clock.ts"

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0))

function sleepers(clock: MarketClock, durations: ReadonlyArray<number>) {
  const woken = new Array<number>()
  const fibers = durations.map((ms, index) =>
    Effect.runFork(
      Effect.sleep(ms).pipe(
        Effect.andThen(Effect.sync(() => void woken.push(index))),
        Effect.provideService(Clock.Clock, clock.clock),
      ),
    )
  )
  return { woken, fibers }
}

Deno.test("MarketClock stands still until it is moved", async () => {
  const clock = new MarketClock(1_000)
  const { woken, fibers } = sleepers(clock, [1])
  await turn()
  assert.deepEqual([clock.clock.currentTimeMillisUnsafe(), woken], [1_000, []])
  assert.equal(clock.nextDeadline, 1_001)
  await Effect.runPromise(Fiber.interruptAll(fibers))
  assert.equal(clock.nextDeadline, undefined)
})

Deno.test("advanceTo() wakes one sleeper at a time, at its own time, by deadline and then arrival", async () => {
  const clock = new MarketClock(0)
  const { woken } = sleepers(clock, [30, 10, 10, 20])
  await turn()
  const seen = new Array<readonly [number, ReadonlyArray<number>]>()
  while (!clock.advanceTo(25)) {
    await turn()
    seen.push([clock.clock.currentTimeMillisUnsafe(), [...woken]])
  }
  assert.deepEqual(seen, [[10, [1]], [10, [1, 2]], [20, [1, 2, 3]]])
  assert.equal(clock.clock.currentTimeMillisUnsafe(), 25)
  assert.equal(clock.nextDeadline, 30)
  clock.advanceTo(30)
  await turn()
  assert.deepEqual(woken, [1, 2, 3, 0])
})

Deno.test("a sleeper that sleeps again is met on the way", async () => {
  const clock = new MarketClock(0)
  let beats = 0
  const fiber = Effect.runFork(
    Effect.forever(Effect.andThen(Effect.sleep(10), Effect.sync(() => beats++))).pipe(
      Effect.provideService(Clock.Clock, clock.clock),
    ),
  )
  await turn()
  while (!clock.advanceTo(1_000)) await turn()
  assert.equal(beats, 100)
  await Effect.runPromise(Fiber.interrupt(fiber))
})

Deno.test("advanceTo() never moves back", () => {
  const clock = new MarketClock(500)
  assert.equal(clock.advanceTo(100), true)
  assert.equal(clock.clock.currentTimeMillisUnsafe(), 500)
  assert.equal(clock.clock.currentTimeNanosUnsafe(), 500_000_000n)
})
