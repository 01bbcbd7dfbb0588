/**
 * When US shares trade.
 *
 * A day is what the exchange says it is: which hours, and whether at all. Times of day are minutes
 * of New York's clock, because that is how the exchanges keep them through every change to and from
 * daylight saving time.
 */

/** Overnight trading belongs to no exchange day of its own: it is what lies between post and pre. */
export type SessionPhase = "closed" | "overnight" | "pre" | "core" | "post"

/** One day on which there is trading; a day that is not listed is a holiday or a weekend. */
export interface TradingDay {
  /** `2026-11-23`, in New York. */
  readonly date: string
  /** Minutes after New York's midnight; `core` is [open, close), the others begin and end the day. */
  readonly preOpen: number
  readonly open: number
  readonly close: number
  readonly postClose: number
}
