/**
 * `Effect.forever` for work that goes on for days.
 *
 * A fiber that suspends again and again keeps something of every suspension on
 * Deno (`async_context.ts` says why): a loop that reads a socket a hundred times
 * a second would keep four gigabytes a day. Here a fiber does some rounds and
 * ends, and another goes on. Rounds share no fiber-local state.
 */
import { Effect, Fiber } from "effect"
import { outside } from "./async_context.ts"

/** Rounds of one fiber. Few enough that nothing adds up, many enough that a new fiber costs nothing. */
const ROUNDS = 64

/** Repeats `round` until it fails or is interrupted, and then ends like it. */
export const forever = Effect.fnUntraced(function* <E, R>(
  round: Effect.Effect<unknown, E, R>,
): Effect.fn.Return<never, E, R> {
  const context = yield* Effect.context<R>()
  const runFork = Effect.runForkWith(context)
  // The pause at the end also lets others run, should the rounds never wait for anything.
  const rounds = Effect.andThen(Effect.repeat(round, { times: ROUNDS - 1 }), Effect.yieldNow)
  return yield* Effect.callback<never, E>((resume) => {
    let fiber: Fiber.Fiber<void, E>
    const next = () => {
      fiber = outside(() => runFork(rounds))
      fiber.addObserver((exit) => {
        if (exit._tag === "Success") next()
        else resume(Effect.failCause(exit.cause))
      })
    }
    next()
    return Effect.suspend(() => Fiber.interrupt(fiber))
  })
})
