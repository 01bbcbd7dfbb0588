/** Virtual time: one seed, one interleaving. */
import assert from "node:assert/strict"
import { Clock, Effect, Fiber, Random } from "effect"
import { VirtualTime } from "../../../actors/runtime/virtual_time.ts"
import { actor, boot, named } from "./tree.ts"
import { virtualWorld } from "./world.ts"

/** A small town: everyone talks to everyone, waits, crashes and forks. */
async function history(seed: number): Promise<Array<string>> {
  const trace: Array<string> = []
  const time = new VirtualTime({ seed })
  const world = virtualWorld(seed, time)
  const names = ["a", "b", "c", "d"]
  await world.run(
    Effect.gen(function* () {
      const random = yield* Random.Random
      const people = names.map((name) =>
        actor({
          name,
          backoff: { baseMs: 4, capMs: 16, resetAfterMs: 1_000 },
          init: (self) => void self.every(7, "beat"),
        }, (word, self) => {
          trace.push(`${self.now()} ${name} ${word}`)
          const other = names[Math.floor(random.nextDoubleUnsafe() * names.length)]!
          const chance = random.nextDoubleUnsafe()
          if (word === "beat") return void self.ref(named(other)).send("hello")
          if (chance < 0.1) throw new Error("boom")
          if (chance < 0.4) return Effect.sleep(1)
          if (chance < 0.6) self.fork(Effect.sync(() => void trace.push(`${name} forked`)))
        })
      )
      yield* boot(world, people, { intensity: 1e6, strategy: "rest_for_one" })
      yield* Effect.sleep(500)
    }).pipe(Random.withSeed("town")),
  )
  return trace
}

Deno.test("the same seed gives the same interleaving, another seed another", async () => {
  const first = await history(7)
  assert.ok(first.length > 200)
  assert.deepEqual(await history(7), first)
  assert.notDeepEqual(await history(8), first)
})

Deno.test("hours pass in no time, and every sleeper wakes at its own", () => {
  const time = new VirtualTime({ startMs: 1_000 })
  const woke: Array<string> = []
  const sleeper = (name: string, ms: number) =>
    Effect.andThen(
      Effect.sleep(ms),
      Effect.map(Clock.currentTimeMillis, (now) => void woke.push(`${name} ${now}`)),
    )
  const fibers = [["day", 86_400_000], ["second", 1_000], ["also", 1_000]].map(([name, ms]) =>
    Effect.runFork(time.provide(sleeper(String(name), Number(ms))))
  )
  time.run(999)
  assert.deepEqual(woke, [])
  time.run(1)
  assert.deepEqual(woke, ["second 2000", "also 2000"])
  time.run(86_400_000)
  assert.deepEqual(woke, ["second 2000", "also 2000", "day 86401000"])
  assert.equal(time.sleeping, 0)
  assert.ok(fibers.every((fiber) => fiber.pollUnsafe() !== undefined))
})

Deno.test("an interrupted sleeper leaves no timer", () => {
  const time = new VirtualTime()
  const fiber = Effect.runFork(time.provide(Effect.sleep(1e9)))
  time.settle()
  assert.equal(time.sleeping, 1)
  Effect.runFork(Fiber.interrupt(fiber))
  time.settle()
  assert.equal(time.sleeping, 0)
})

Deno.test("a step of the wall clock moves no timer", () => {
  const time = new VirtualTime()
  let woke = -1
  Effect.runFork(time.provide(Effect.andThen(
    Effect.sleep(10),
    Effect.map(Clock.currentTimeMillis, (now) => void (woke = now)),
  )))
  time.run(5)
  time.stepWallClock(-3_600_000)
  time.run(4)
  assert.equal(woke, -1)
  time.run(1)
  assert.equal(woke, 10 - 3_600_000)
})

Deno.test("runPromise() waits for promises of the platform, and says when nothing will come", async () => {
  const time = new VirtualTime()
  const value = await time.runPromise(Effect.gen(function* () {
    yield* Effect.sleep(60_000)
    const answer = yield* Effect.promise(() => Promise.resolve(21))
    yield* Effect.sleep(60_000)
    return 2 * answer
  }))
  assert.equal(value, 42)
  assert.equal(time.now, 120_000)
  await assert.rejects(time.runPromise(Effect.never), /never comes/)
})

Deno.test("settle() notices a program that never rests", () => {
  const time = new VirtualTime()
  const fiber = Effect.runFork(time.provide(Effect.forever(Effect.yieldNow)))
  assert.throws(() => time.settle(1_000), /still busy/)
  fiber.interruptUnsafe()
})
