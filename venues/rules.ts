/**
 * Trading rules, read again: on a timer, and when the venue refuses an order by a rule.
 *
 * Ticks, lots and minima change while we run, and an order built on the old ones is refused. What
 * has changed is handed on; what to do about orders that stand is not decided here.
 */
import { Clock, Deferred, Effect } from "effect"
import { forever } from "../actors/runtime/forever.ts"
import { compare, type Decimal } from "../domain/decimal.ts"
import type { Instrument } from "../domain/instrument.ts"
import type { VenueError } from "./market_data.ts"

export interface RulesOptions {
  /** Asks the venue. */
  readonly read: Effect.Effect<ReadonlyArray<Instrument>, VenueError>
  /** Between two readings that nobody asked for. */
  readonly everyMs: number
  /** Between two readings, whoever asks. */
  readonly restMs: number
}

export interface Rules {
  /**
   * Tells of every instrument whose rules or status are other than those `known`. Never ends; a
   * reading that fails is made up for by the next. One watch at a time.
   */
  readonly watch: (
    known: ReadonlyArray<Instrument>,
    changed: (instrument: Instrument) => void,
  ) => Effect.Effect<never>
  /** Reads soon; any number of calls until then are one. */
  readonly refresh: () => void
}

export function makeRules({ everyMs, read, restMs }: RulesOptions): Rules {
  let asked = Deferred.makeUnsafe<void>()
  return {
    watch: (first, changed) => {
      const known = new Map(first.map((each) => [each.id, each]))
      const compareAll = (now: ReadonlyArray<Instrument>) => {
        for (const instrument of now) {
          const before = known.get(instrument.id)
          if (before !== undefined && isSame(before, instrument)) continue
          known.set(instrument.id, instrument)
          changed(instrument)
        }
      }
      return forever(Effect.gen(function* () {
        const began = yield* monotonicMs
        yield* Effect.raceFirst(Effect.sleep(everyMs), Deferred.await(asked))
        const waited = (yield* monotonicMs) - began
        yield* Effect.sleep(Math.max(0, restMs - waited))
        asked = Deferred.makeUnsafe()
        yield* read.pipe(
          Effect.map(compareAll),
          Effect.catch((error) => Effect.logWarning(`${error.message}: the old rules stay in use`)),
        )
      }))
    },
    refresh: () => void Deferred.doneUnsafe(asked, Effect.void),
  }
}

/** A clock that is set back must not keep the rules old. */
const monotonicMs = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const numbers = ["tickSize", "lotSize", "quantityMin", "quantityMax", "notionalMin"] as const

function isSame(a: Instrument, b: Instrument): boolean {
  const isEqual = (one: Decimal, other: Decimal) => compare(one, other) === 0
  return a.status === b.status && numbers.every((name) => isEqual(a[name], b[name]))
}
