/**
 * How long an instrument is silent when nothing is wrong.
 *
 * Where trade ids have no order, trades that never came leave no hole to be seen: all there is to
 * see is a silence. A share that trades now and then is silent all the time, so a silence is
 * suspect only when it is longer than any that was looked into and found empty. What was learnt
 * fades, because a market's noon says little about its close.
 */

export interface Silence {
  readonly longestMs: number
  readonly at: number
}

const HALF_LIFE_MS = 1_800_000
/** The longest silence is beaten by a little all the time. */
const MARGIN = 1.25

export const noSilence: Silence = { longestMs: 0, at: 0 }

/** The longest silence that proves nothing, at `now`. */
export function usualSilenceMs({ longestMs, at }: Silence, now: number): number {
  return longestMs * 0.5 ** (Math.max(0, now - at) / HALF_LIFE_MS)
}

/** Whether a silence of `silentMs` that ends `now` is longer than this instrument's have been. */
export function isSuspect(silence: Silence, silentMs: number, now: number): boolean {
  return silentMs > MARGIN * usualSilenceMs(silence, now)
}

/** After a silence of `silentMs` in which nothing was missed. */
export function learnt(silence: Silence, silentMs: number, now: number): Silence {
  return silentMs > usualSilenceMs(silence, now) ? { longestMs: silentMs, at: now } : silence
}
