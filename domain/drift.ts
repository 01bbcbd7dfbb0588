/**
 * How far behind its market a stream is.
 *
 * Our clock and the venue's differ by an unknown and nearly constant amount, so the difference of
 * arrival and event time says nothing by itself. But its smallest value seen is the difference of
 * the clocks plus the shortest way, and what is above that is delay. A stream that is slower than
 * its market falls further and further behind while something arrives all the time.
 */

interface Extreme {
  readonly from: number
  readonly leastMs: number
}

export interface Drift {
  /** Smallest difference of arrival and event time, of this window and the one before. */
  readonly window: Extreme | undefined
  readonly before: Extreme | undefined
  /** The same over the last moments only, with how many events that is. */
  readonly moment: (Extreme & { readonly events: number }) | undefined
  readonly momentBefore: (Extreme & { readonly events: number }) | undefined
}

/** Clocks drift by some milliseconds in that time, and no delay that matters hides in it. */
const WINDOW_MS = 300_000
const MOMENT_MS = 1_000
/** One late print is no late stream. */
const EVENTS_MIN = 3

export const noDrift: Drift = {
  window: undefined,
  before: undefined,
  moment: undefined,
  momentBefore: undefined,
}

/** `time` is the venue's, `heardAt` ours; both epoch milliseconds. */
export function observe(drift: Drift, time: number, heardAt: number): Drift {
  const offset = heardAt - time
  const { window, moment } = drift
  const isNewWindow = window === undefined || heardAt - window.from >= WINDOW_MS
  const isNewMoment = moment === undefined || heardAt - moment.from >= MOMENT_MS
  if (!isNewWindow && !isNewMoment && offset >= window.leastMs && offset >= moment.leastMs) {
    return { ...drift, moment: { ...moment, events: moment.events + 1 } }
  }
  return {
    before: isNewWindow ? window : drift.before,
    window: isNewWindow
      ? { from: heardAt, leastMs: offset }
      : { ...window, leastMs: Math.min(window.leastMs, offset) },
    momentBefore: isNewMoment ? moment : drift.momentBefore,
    moment: isNewMoment
      ? { from: heardAt, leastMs: offset, events: 1 }
      : { ...moment, leastMs: Math.min(moment.leastMs, offset), events: moment.events + 1 },
  }
}

/** The same after our clock has been set by `byMs`. */
export function shifted(drift: Drift, byMs: number): Drift {
  const moved = <E extends Extreme>(extreme: E | undefined): E | undefined =>
    extreme && { ...extreme, from: extreme.from + byMs, leastMs: extreme.leastMs + byMs }
  return {
    window: moved(drift.window),
    before: moved(drift.before),
    moment: moved(drift.moment),
    momentBefore: moved(drift.momentBefore),
  }
}

/** Our clock minus the venue's, as well as it can be told; undefined before the first event. */
export function offsetMs({ window, before }: Drift): number | undefined {
  if (window === undefined) return undefined
  return Math.min(window.leastMs, before?.leastMs ?? window.leastMs)
}

/** By how much events of the last one to two seconds came later than the fastest ones did. */
export function lagMs(drift: Drift, now: number): number {
  const best = offsetMs(drift)
  const latest = [drift.moment, drift.momentBefore]
    .filter((each) => each !== undefined && now - each.from < 2 * MOMENT_MS)
  const events = latest.reduce((sum, each) => sum + (each?.events ?? 0), 0)
  if (best === undefined || events < EVENTS_MIN) return 0
  return Math.max(0, Math.min(...latest.map((each) => each?.leastMs ?? Infinity)) - best)
}
