/**
 * The days and hours of US shares, by the exchanges' rules.
 *
 * Which days are holidays follows from the rules that have held since 2022; a day of national
 * mourning does not. Times of day are New York's, whose offset follows from the law of 2005.
 */
import type { TradingDay } from "../../../domain/calendar.ts"

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

const HOURS = { preOpen: 240, open: 570, close: 960, postClose: 1_200 } as const
/** An early close moves everything after it. */
const SHORT_HOURS = { preOpen: 240, open: 570, close: 780, postClose: 1_020 } as const

interface NewYorkTime {
  /** `2026-11-23`. */
  readonly date: string
  /** Since midnight. */
  readonly minute: number
}

/** The exchanges' day, or `undefined` when they stay closed. */
export function tradingDay(date: string): TradingDay | undefined {
  const weekday = weekdayOf(date)
  if (weekday === 0 || weekday === 6 || isHoliday(date)) return undefined
  return { date, ...(isEarlyClose(date) ? SHORT_HOURS : HOURS) }
}

/** Trading days from `start` to `end`, both included, oldest first. */
export function tradingDays(start: string, end: string): ReadonlyArray<TradingDay> {
  const days = new Array<TradingDay>()
  for (let date = start; date <= end; date = addDays(date, 1)) {
    const day = tradingDay(date)
    if (day !== undefined) days.push(day)
  }
  return days
}

/** The first trading day after `date`. */
export function nextTradingDay(date: string): TradingDay {
  for (let next = addDays(date, 1);; next = addDays(next, 1)) {
    const day = tradingDay(next)
    if (day !== undefined) return day
  }
}

/** When something of the day, its open or its close, comes next after `nowMs`. */
export function nextTime(nowMs: number, minuteOf: (day: TradingDay) => number): number {
  const { date } = newYork(nowMs)
  for (let day = tradingDay(date) ?? nextTradingDay(date);; day = nextTradingDay(day.date)) {
    const time = timeOf(day.date, minuteOf(day))
    if (time > nowMs) return time
  }
}

/** Epoch milliseconds of a minute of New York's day. */
export function timeOf(date: string, minute: number): number {
  const midnight = Date.parse(`${date}T00:00:00Z`)
  const guess = midnight + (minute + 300) * MINUTE_MS
  return guess - (offsetMinutes(guess) + 300) * MINUTE_MS
}

export function newYork(timeMs: number): NewYorkTime {
  const local = timeMs + offsetMinutes(timeMs) * MINUTE_MS
  const date = dateOf(local)
  return { date, minute: Math.floor((local - Date.parse(`${date}T00:00:00Z`)) / MINUTE_MS) }
}

/** `2026-11-23T09:30:00.25-05:00`. */
export function newYorkText(timeMs: number): string {
  const offset = offsetMinutes(timeMs)
  const local = new Date(timeMs + offset * MINUTE_MS).toISOString().slice(0, -1)
  return `${local.replace(/\.?0+$/, "")}-0${-offset / 60}:00`
}

export function addDays(date: string, days: number): string {
  return dateOf(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS)
}

/** Minutes to add to UTC: -240 from the second Sunday in March to the first in November. */
function offsetMinutes(timeMs: number): number {
  const year = new Date(timeMs).getUTCFullYear()
  const summer = Date.parse(`${nthWeekday(year, 3, 0, 2)}T07:00:00Z`)
  const winter = Date.parse(`${nthWeekday(year, 11, 0, 1)}T06:00:00Z`)
  return timeMs >= summer && timeMs < winter ? -240 : -300
}

function isHoliday(date: string): boolean {
  const year = Number(date.slice(0, 4))
  return [
    // New Year's Day is not made up for when it is a Saturday.
    observed(`${year}-01-01`, false),
    nthWeekday(year, 1, 1, 3),
    nthWeekday(year, 2, 1, 3),
    addDays(easterSunday(year), -2),
    lastMonday(year, 5),
    observed(`${year}-06-19`, true),
    observed(`${year}-07-04`, true),
    nthWeekday(year, 9, 1, 1),
    nthWeekday(year, 11, 4, 4),
    observed(`${year}-12-25`, true),
  ].includes(date)
}

/** The day after Thanksgiving, Christmas Eve, and the day before Independence Day. */
function isEarlyClose(date: string): boolean {
  const year = Number(date.slice(0, 4))
  return date === addDays(nthWeekday(year, 11, 4, 4), 1) ||
    date === `${year}-12-24` || date === `${year}-07-03`
}

/** Sundays are made up for on Monday, Saturdays on Friday. */
function observed(date: string, onFriday: boolean): string {
  const weekday = weekdayOf(date)
  if (weekday === 0) return addDays(date, 1)
  return weekday === 6 && onFriday ? addDays(date, -1) : date
}

/** `weekday` counts from Sunday, `nth` and `month` from 1. */
function nthWeekday(year: number, month: number, weekday: number, nth: number): string {
  const first = `${year}-${String(month).padStart(2, "0")}-01`
  return addDays(first, (weekday - weekdayOf(first) + 7) % 7 + (nth - 1) * 7)
}

function lastMonday(year: number, month: number): string {
  const fifth = nthWeekday(year, month, 1, 5)
  return Number(fifth.slice(5, 7)) === month ? fifth : addDays(fifth, -7)
}

/** Gregorian computus. */
function easterSunday(year: number): string {
  const golden = year % 19
  const century = Math.floor(year / 100)
  const skipped = century - Math.floor(century / 4) - Math.floor((8 * century + 13) / 25)
  const epact = (skipped + 19 * golden + 15) % 30
  const moon = epact - (epact > 28 || (epact === 28 && golden > 10) ? 1 : 0)
  const weekday = (year + Math.floor(year / 4) + moon + 2 - century + Math.floor(century / 4)) % 7
  return addDays(`${year}-03-28`, moon - weekday)
}

function weekdayOf(date: string): number {
  return new Date(`${date}T00:00:00Z`).getUTCDay()
}

function dateOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}
