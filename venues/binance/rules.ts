/**
 * Trading rules, read again: on a timer, and when the venue refuses an order by a rule.
 *
 * Ticks, lots and minima change while we run, and an order built on the old ones is refused. What
 * has changed is handed on; what to do about orders that stand is not decided here.
 */
import { Clock, Deferred, Effect } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import { compare, type Decimal } from "../../domain/decimal.ts"
import type { Instrument } from "../../domain/instrument.ts"
import type { VenueError } from "../market_data.ts"

export interface RulesOptions {
  /** What is known at the start. */
  readonly known: ReadonlyArray<Instrument>
  /** Asks the venue. */
  readonly read: Effect.Effect<ReadonlyArray<Instrument>, VenueError>
  /** Told of every instrument whose rules or status have changed. */
  readonly changed: (instrument: Instrument) => Effect.Effect<void>
  /** Between two readings that nobody asked for. */
  readonly everyMs: number
  /** Between two readings, whoever asks. */
  readonly restMs: number
}

export interface Rules {
  /** Never ends; a reading that fails is made up for by the next. */
  readonly watch: Effect.Effect<never>
  /** Reads soon; any number of calls until then are one. Give it to the broker as `rulesBroken`. */
  readonly refresh: () => void
}

export function makeRules(options: RulesOptions): Rules {
  const known = new Map(options.known.map((each) => [each.id, each]))
  let asked = Deferred.makeUnsafe<void>()
  const compareAll = Effect.fnUntraced(function* (now: ReadonlyArray<Instrument>) {
    for (const instrument of now) {
      const before = known.get(instrument.id)
      if (before !== undefined && isSame(before, instrument)) continue
      known.set(instrument.id, instrument)
      yield* options.changed(instrument)
    }
  })
  const round = Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    yield* Effect.raceFirst(Effect.sleep(options.everyMs), Deferred.await(asked))
    const waited = (yield* Clock.currentTimeMillis) - began
    yield* Effect.sleep(Math.max(0, options.restMs - waited))
    asked = Deferred.makeUnsafe()
    yield* options.read.pipe(
      Effect.flatMap(compareAll),
      Effect.catch((error) => Effect.logWarning(`${error.message}: the old rules stay in use`)),
    )
  })
  return {
    watch: forever(round),
    refresh: () => void Deferred.doneUnsafe(asked, Effect.void),
  }
}

const numbers = ["tickSize", "lotSize", "quantityMin", "quantityMax", "notionalMin"] as const

function isSame(a: Instrument, b: Instrument): boolean {
  const isEqual = (one: Decimal, other: Decimal) => compare(one, other) === 0
  return a.status === b.status && numbers.every((name) => isEqual(a[name], b[name]))
}
