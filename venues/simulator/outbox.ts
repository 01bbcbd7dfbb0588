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
import type { LedgerError } from "./ledger.ts"

/** How many share one commit. */
const LETTERS_MAX = 64

interface Letter<Batch> {
  readonly batch: Batch | undefined
  readonly deliver: () => void
  readonly fail: () => void
}

export interface OutboxOptions<Batch> {
  readonly commit: (batch: Batch) => Effect.Effect<void, LedgerError>
  /** Both at once; where they write the same, the second holds. */
  readonly merge: (first: Batch, second: Batch) => Batch
  /** Told once, before anything fails. */
  readonly onFailure: (error: LedgerError) => Effect.Effect<void>
}

export interface Outbox<Batch> {
  /** `fail` instead of `deliver` when it could not be made durable; by default silence. */
  readonly send: (batch: Batch | undefined, deliver: () => void, fail?: () => void) => void
  /** Letters not yet delivered. */
  readonly pending: () => number
  /** Why nothing leaves any more. */
  readonly failure: () => LedgerError | undefined
}

const silence = () => {}

export const makeOutbox = Effect.fn("Outbox.make")(function* <Batch>(
  { commit, merge, onFailure }: OutboxOptions<Batch>,
) {
  const queue = yield* Queue.unbounded<Letter<Batch>>()
  let pending = 0
  let failure: LedgerError | undefined

  const write = Effect.fnUntraced(function* (letters: ReadonlyArray<Letter<Batch>>) {
    const batch = letters.reduce<Batch | undefined>(
      (all, { batch }) => batch === undefined ? all : all === undefined ? batch : merge(all, batch),
      undefined,
    )
    if (failure === undefined && batch !== undefined) yield* commit(batch)
  })
  yield* Effect.forkScoped(forever(Effect.gen(function* () {
    const letters = yield* Queue.takeBetween(queue, 1, LETTERS_MAX)
    yield* write(letters).pipe(
      Effect.catchTag("LedgerError", (error) => {
        failure = error
        return onFailure(error)
      }),
    )
    for (const { deliver, fail } of letters) {
      pending--
      if (failure === undefined) deliver()
      else fail()
    }
  })))

  const outbox: Outbox<Batch> = {
    send: (batch, deliver, fail = silence) => {
      if (failure !== undefined) return fail()
      if (batch === undefined && pending === 0) return deliver()
      pending++
      Queue.offerUnsafe(queue, { batch, deliver, fail })
    },
    pending: () => pending,
    failure: () => failure,
  }
  return outbox
})
