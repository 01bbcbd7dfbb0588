/**
 * Runs things later on a venue's clock, until the venue closes.
 */
import { Effect } from "effect"
import { outside } from "../../actors/runtime/async_context.ts"

export type Later = (ms: number, act: () => void) => void

export const makeLater = Effect.fn("Simulator.later")(function* (
  /** Puts an effect on the venue's clock. */
  onClock: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = (effect) => effect,
) {
  const scope = yield* Effect.scope
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const later: Later = (ms, act) => {
    const run = onClock(Effect.andThen(Effect.sleep(ms), Effect.sync(act)))
    // What is done later may ask for more to be done later, for as long as the venue runs.
    outside(() => fork(Effect.forkIn(run, scope)))
  }
  return later
})
