/**
 * When the market takes an order, and when its time is over. Pure.
 */
import { dateAfter, newYorkDate, newYorkTime, type SessionPhase } from "../../../domain/calendar.ts"
import type { OrderRecord } from "./ledger.ts"
import { type DaysOf, nextTime } from "./trading_calendar.ts"

/** Good till canceled means this many days. */
const GTC_DAYS = 89
const CORE_CLOSE_MINUTE = 960

export interface Session {
  readonly phase: SessionPhase
  readonly until: number
}

type Terms = Pick<OrderRecord, "timeInForce" | "extendedHours">

/** Whether the market takes an order now; auctions have their own times. */
export function isInSession({ timeInForce, extendedHours }: Terms, phase: SessionPhase): boolean {
  if (timeInForce === "opg" || timeInForce === "cls") return phase === "core"
  return phase === "core" || (extendedHours && phase !== "closed")
}

/** When an order given at `now` ends by itself, epoch milliseconds; `null` when that is at once. */
export function expiryOf(
  { timeInForce, extendedHours }: Terms,
  { phase, until }: Session,
  days: DaysOf,
  now: number,
): number | null {
  if (timeInForce === "gtc") {
    return newYorkTime(dateAfter(newYorkDate(now), GTC_DAYS), CORE_CLOSE_MINUTE)
  }
  if (timeInForce === "ioc" || timeInForce === "fok") return null
  if (phase === "core" && !extendedHours) return until
  return nextTime(days, now, (day) => extendedHours ? day.postClose : day.close)
}
