/** How long to wait before trying again. */

export interface BackoffPolicy {
  readonly baseMs: number
  readonly capMs: number
  /** Failed attempts after which an outage is an alert and prices are polled. */
  readonly attemptsMax: number
}

/**
 * Whole milliseconds before attempt number `attempt`, counted from 1: full jitter, so that many
 * clients of one venue do not return together, but never less than a tenth of the full delay.
 * `random` is in [0, 1).
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: number): number {
  const full = Math.min(policy.capMs, policy.baseMs * 2 ** (attempt - 1))
  return Math.round(Math.max(full / 10, full * random))
}
