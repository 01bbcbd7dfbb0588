/**
 * What trading asks of the calendar: when something of a day comes next, and how the venue writes
 * New York's time.
 */
import { dateAfter, newYorkDate, newYorkTime, type TradingDay } from "../../../domain/calendar.ts"

/** The trading days from one date to another, both included, oldest first. */
export type DaysOf = (from: string, to: string) => ReadonlyArray<TradingDay>

/** No two trading days are farther apart. */
const GAP_DAYS_MAX = 10
const MINUTE_MS = 60_000

/** When something of a trading day, its open or its close, comes next after `nowMs`. */
export function nextTime(
  days: DaysOf,
  nowMs: number,
  minuteOf: (day: TradingDay) => number,
): number {
  const today = newYorkDate(nowMs)
  for (const day of days(today, dateAfter(today, GAP_DAYS_MAX))) {
    const time = newYorkTime(day.date, minuteOf(day))
    if (time > nowMs) return time
  }
  throw new RangeError(`no trading day in ${GAP_DAYS_MAX} days after ${today}`)
}

/** The first trading day after `date`. */
export function dayAfter(days: DaysOf, date: string): string {
  const next = days(dateAfter(date, 1), dateAfter(date, GAP_DAYS_MAX))[0]
  if (next === undefined) {
    throw new RangeError(`no trading day in ${GAP_DAYS_MAX} days after ${date}`)
  }
  return next.date
}

/** Minutes since New York's midnight. */
export function newYorkMinute(timeMs: number): number {
  return Math.floor((timeMs - newYorkTime(newYorkDate(timeMs), 0)) / MINUTE_MS)
}

/** New York's wall clock as if it were UTC. */
export function newYorkWall(timeMs: number): Date {
  // Noon tells the offset of the day; the hours around a change are off by what the day changes.
  const date = newYorkDate(timeMs)
  const wallNoon = Date.parse(`${date}T12:00:00Z`)
  return new Date(timeMs + wallNoon - newYorkTime(date, 720))
}

/** A time of the calendar: `2026-11-23T09:30:00-05:00`. */
export function newYorkText(timeMs: number): string {
  const { wall, offset } = newYorkParts(timeMs)
  return wall.replace(/\.0+$|(?<=\.\d*[1-9])0+$/, "") + offset
}

/**
 * A time that was read from a clock: `2026-11-23T09:30:00.250000000-05:00`. To the nanosecond, as
 * the venue writes it, for clients cut a fixed number of characters.
 */
export function newYorkStamp(timeMs: number): string {
  const { wall, offset } = newYorkParts(timeMs)
  return `${wall}000000${offset}`
}

function newYorkParts(timeMs: number) {
  const wall = newYorkWall(timeMs)
  const hours = Math.round((wall.getTime() - timeMs) / 3_600_000)
  return { wall: wall.toISOString().slice(0, -1), offset: `-0${-hours}:00` }
}

/** `09:30`. A day that has no end ends at 23:59: clients cannot read 24:00. */
export function clockText(minuteOfDay: number): string {
  const minute = Math.min(minuteOfDay, 1_439)
  const pad = (part: number) => String(part).padStart(2, "0")
  return `${pad(Math.floor(minute / 60))}:${pad(minute % 60)}`
}
