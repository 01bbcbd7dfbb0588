/**
 * When to restart, and how long to wait first: the arithmetic of supervision.
 *
 * Two limits work together. The intensity counts the restarts of all children
 * in a sliding window and ends the supervisor; the backoff spaces the restarts
 * of one child and is forgotten after a healthy run.
 */

/** permanent: always. transient: after a crash only. temporary: never. */
export type Restart = "permanent" | "transient" | "temporary"
export type Strategy = "one_for_one" | "one_for_all" | "rest_for_one"
export type AutoShutdown = "never" | "any_significant" | "all_significant"

export interface BackoffPolicy {
  /** Upper bound of the first delay, in milliseconds; doubles with every crash. 0 restarts at once. */
  readonly baseMs: number
  /** Upper bound of every delay, in milliseconds. */
  readonly capMs: number
  /** An incarnation that lived this long, in milliseconds, makes the next crash the first again. */
  readonly resetAfterMs: number
}

/** Waits between the tries of a child that cannot start and was given no policy of its own. */
export const START_RETRY: BackoffPolicy = { baseMs: 100, capMs: 10_000, resetAfterMs: 0 }

/**
 * Whole milliseconds to wait before restart `attempt`, counted from 1: anything between 0 and
 * `baseMs * 2 ** (attempt - 1)`, at most `capMs`. `random` is in [0, 1).
 *
 * Full jitter: many children that lost the same venue must not come back in step.
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: number): number {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt - 1, 52))
  return Math.round(ceiling * random)
}

/** The restarts that still count at `now`. One exactly a period old still does. */
export function withinPeriod(
  times: ReadonlyArray<number>,
  now: number,
  periodMs: number,
): Array<number> {
  return times.filter((time) => now - time <= periodMs)
}
