/** `forever`: endless work in short fibers. */
import assert from "node:assert/strict"
import { Clock, Effect, Fiber } from "effect"
import { forever } from "../../../actors/runtime/mod.ts"
import { testActors } from "./world.ts"

testActors(
  "forever() goes on until a round fails, and fails like it",
  () =>
    Effect.gen(function* () {
      let rounds = 0
      const round = Effect.suspend(() =>
        ++rounds === 1_000 ? Effect.fail("enough") : Effect.yieldNow
      )
      assert.equal(yield* Effect.flip(forever(round)), "enough")
      assert.equal(rounds, 1_000)
    }),
)

testActors(
  "forever() takes its services along, and its rounds their time",
  () =>
    Effect.gen(function* () {
      let rounds = 0
      const startedAt = yield* Clock.currentTimeMillis
      const round = Effect.andThen(
        Effect.sleep(1),
        Effect.suspend(() => ++rounds === 70 ? Effect.fail("enough") : Effect.void),
      )
      yield* Effect.flip(forever(round))
      assert.ok((yield* Clock.currentTimeMillis) - startedAt >= 70)
    }),
)

testActors(
  "forever() is interrupted in the middle of a round, and waits for its end",
  () =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const round = Effect.onInterrupt(
        Effect.andThen(Effect.sync(() => trace.push("begun")), Effect.sleep(1e6)),
        () => Effect.andThen(Effect.sleep(3), Effect.sync(() => trace.push("interrupted"))),
      )
      const fiber = yield* Effect.forkChild(forever(round))
      yield* Effect.sleep(2)
      yield* Fiber.interrupt(fiber)
      assert.deepEqual(trace, ["begun", "interrupted"])
    }),
)

testActors("forever() starves nobody when its rounds never wait", () =>
  Effect.gen(function* () {
    let rounds = 0
    const fiber = yield* Effect.forkChild(forever(Effect.sync(() => void rounds++)))
    yield* Effect.yieldNow
    yield* Effect.yieldNow
    yield* Fiber.interrupt(fiber)
    assert.ok(rounds > 0)
  }))

Deno.test("forever() keeps nothing of its rounds", async () => {
  const probe = new URL("./heap_probe.ts", import.meta.url)
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-env", "--v8-flags=--expose-gc", "--no-check", probe.href],
    stderr: "inherit",
  }).output()
  const { ours } = JSON.parse(new TextDecoder().decode(stdout)) as { ours: number }
  // Effect.forever keeps some hundreds of bytes of every suspension.
  assert.ok(ours < 50, `${ours} bytes per suspension`)
})
