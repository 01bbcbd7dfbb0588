/**
 * Nothing leaves before it is durable.
 *
 * Answers and reports wait here for the commit of what they say, in the order in
 * which it happened; what arrives during a commit shares the next one. An answer
 * that changed nothing waits too while others do, for it may show what they did.
 * After a failed commit nothing leaves any more: the venue is stopped, not wrong.
 */
import { Effect, Queue } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import { type Ledger, type LedgerBatch, type LedgerError, mergeBatches } from "./ledger.ts"

/** How many share one commit. */
const LETTERS_MAX = 64

interface Letter {
  readonly batch: LedgerBatch | undefined
  readonly deliver: () => void
}

export interface Outbox {
  readonly send: (batch: LedgerBatch | undefined, deliver: () => void) => void
  /** Letters not yet delivered. */
  readonly pending: () => number
  /** Why nothing leaves any more. */
  readonly failure: () => LedgerError | undefined
}

/** `onFailure` is told once, before the outbox stops for good. */
export const makeOutbox = Effect.fn("Outbox.make")(function* (
  ledger: Ledger,
  onFailure: (error: LedgerError) => Effect.Effect<void>,
) {
  const queue = yield* Queue.unbounded<Letter>()
  let pending = 0
  let failure: LedgerError | undefined

  const work = forever(Effect.gen(function* () {
    const letters = yield* Queue.takeBetween(queue, 1, LETTERS_MAX)
    const batch = letters.reduce<LedgerBatch | undefined>(
      (all, { batch }) =>
        batch === undefined ? all : all === undefined ? batch : mergeBatches(all, batch),
      undefined,
    )
    if (batch !== undefined) yield* ledger.commit(batch)
    for (const letter of letters) {
      pending--
      letter.deliver()
    }
  }))
  yield* work.pipe(
    Effect.catchTag("LedgerError", (error) => {
      failure = error
      return onFailure(error)
    }),
    Effect.forkScoped,
  )

  const outbox: Outbox = {
    send: (batch, deliver) => {
      if (failure !== undefined) return
      if (batch === undefined && pending === 0) return deliver()
      pending++
      Queue.offerUnsafe(queue, { batch, deliver })
    },
    pending: () => pending,
    failure: () => failure,
  }
  return outbox
})
