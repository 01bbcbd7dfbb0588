/** Run with `--v8-flags=--expose-gc`: prints how many bytes a suspension of an endless loop keeps. */
import { Effect } from "effect"
import { forever } from "../../../actors/runtime/mod.ts"

const SUSPENSIONS = 20_000

const gc: unknown = Reflect.get(globalThis, "gc")

async function heapUsed(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    if (typeof gc === "function") gc()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return Deno.memoryUsage().heapUsed
}

function suspending(loop: typeof forever) {
  let left = SUSPENSIONS
  return Effect.ignore(
    loop(Effect.suspend(() => left-- === 0 ? Effect.fail("enough") : Effect.yieldNow)),
  )
}

const kept: Array<number> = []
for (const loop of [forever, forever, Effect.forever as typeof forever]) {
  const before = await heapUsed()
  // The reading is taken while the loop's last fiber is still there.
  await Effect.runPromise(
    Effect.andThen(
      suspending(loop),
      Effect.promise(async () => {
        kept.push(Math.round((await heapUsed() - before) / SUSPENSIONS))
      }),
    ),
  )
}
console.log(JSON.stringify({ warmUp: kept[0], ours: kept[1], effect: kept[2] }))
