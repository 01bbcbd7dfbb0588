/**
 * How often a venue may be connected to.
 *
 * Data ends an outage and begins the backoff anew, so a venue that drops every connection after its
 * first frame would be tried at the pace of a first attempt for ever, and ban us: 300 connections in
 * five minutes are what Binance allows an address. A bucket of attempts, refilled steadily, lets a
 * bad minute pass unslowed and bounds a bad hour. It knows nothing of causes.
 */
export interface ConnectionBudget {
  /** Attempts that may be made at once; below zero is a debt in waiting. */
  readonly left: number
  /** When it was so, in epoch milliseconds. */
  readonly at: number
}

const LEFT_MAX = 20
/** With what may be made at once: 80 in five minutes. */
const REFILL_EVERY_MS = 5_000

export function fullBudget(now: number): ConnectionBudget {
  return { left: LEFT_MAX, at: now }
}

/** Takes one attempt; also returns the milliseconds to wait before it, 0 while there is some left. */
export function spendAttempt(
  { left, at }: ConnectionBudget,
  now: number,
): readonly [ConnectionBudget, number] {
  const refilled = Math.min(LEFT_MAX, left + Math.max(0, now - at) / REFILL_EVERY_MS) - 1
  return [{ left: refilled, at: now }, Math.max(0, Math.ceil(-refilled * REFILL_EVERY_MS))]
}
