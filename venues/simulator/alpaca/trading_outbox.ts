/**
 * Nothing leaves before it is durable.
 *
 * Answers and updates wait here for the commit of what they say, in the order in which it
 * happened; what arrives during a commit shares the next one. An answer that changed nothing waits
 * too while others do, for it may show what they did. After a failed commit nothing is said any
 * more but that the venue has failed.
 */
import { Effect, Queue } from "effect"
import { forever } from "../../../actors/runtime/forever.ts"
import type { LedgerError } from "../ledger.ts"
import { type AlpacaLedger, type AlpacaLedgerBatch, mergeAlpacaBatches } from "./ledger.ts"

/** How many share one commit. */
const LETTERS_MAX = 64

interface Letter {
  readonly batch: AlpacaLedgerBatch | undefined
  readonly deliver: () => void
  readonly fail: () => void
}

export interface TradingOutbox {
  /** `fail` instead of `deliver` when it could not be made durable. */
  readonly send: (
    batch: AlpacaLedgerBatch | undefined,
    deliver: () => void,
    fail?: () => void,
  ) => void
  /** Letters not yet delivered. */
  readonly pending: () => number
}

export const makeTradingOutbox = Effect.fn("TradingOutbox.make")(function* (ledger: AlpacaLedger) {
  const queue = yield* Queue.unbounded<Letter>()
  let pending = 0
  let failure: LedgerError | undefined

  const write = Effect.fnUntraced(function* (letters: ReadonlyArray<Letter>) {
    const batch = letters.reduce<AlpacaLedgerBatch | undefined>(
      (all, { batch }) =>
        batch === undefined ? all : all === undefined ? batch : mergeAlpacaBatches(all, batch),
      undefined,
    )
    if (failure === undefined && batch !== undefined) yield* ledger.commit(batch)
  })
  yield* Effect.forkScoped(forever(Effect.gen(function* () {
    const letters = yield* Queue.takeBetween(queue, 1, LETTERS_MAX)
    yield* write(letters).pipe(Effect.catchTag("LedgerError", (error) => {
      failure = error
      return Effect.logError(`simulated Alpaca stopped: ${error.message}`)
    }))
    for (const letter of letters) {
      pending--
      if (failure === undefined) letter.deliver()
      else letter.fail()
    }
  })))

  const outbox: TradingOutbox = {
    send: (batch, deliver, fail = () => {}) => {
      if (failure !== undefined) return fail()
      if (batch === undefined && pending === 0) return deliver()
      pending++
      Queue.offerUnsafe(queue, { batch, deliver, fail })
    },
    pending: () => pending,
  }
  return outbox
})
