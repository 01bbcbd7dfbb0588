/**
 * When US shares trade.
 *
 * A day is what the exchange says it is: which hours, and whether at all. Times of day are minutes
 * of New York's clock, because that is how the exchanges keep them through every change to and from
 * daylight saving time. The venue's own calendar comes first; the rules here are what remains when
 * it cannot be had, and they know of no closure that was decided after they were written.
 */

/** Overnight trading belongs to no exchange day of its own: it leads into the next one. */
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

export interface Session {
  readonly phase: SessionPhase
  /** When the next phase begins, in epoch milliseconds; of the last day known, when that ends. */
  readonly until: number
}

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const MIDNIGHT = 1_440

const fullDay = { preOpen: 240, open: 570, close: 960, postClose: 1_200 } as const
const shortDay = { preOpen: 240, open: 570, close: 780, postClose: 1_020 } as const
/** Of the evening before a trading day. */
const OVERNIGHT_OPEN = 1_200

/** Closures that follow no rule: national days of mourning, a hurricane. */
const closures: ReadonlySet<string> = new Set([
  "2001-09-11",
  "2001-09-12",
  "2001-09-13",
  "2001-09-14",
  "2004-06-11",
  "2007-01-02",
  "2012-10-29",
  "2012-10-30",
  "2018-12-05",
  "2025-01-09",
])

/** The session at `time` (epoch milliseconds); `days` ascending, covering the days around it. */
export function sessionAt(days: ReadonlyArray<TradingDay>, time: number): Session {
  const date = newYorkDate(time)
  const today = days.find((day) => day.date === date)
  if (today !== undefined) {
    const minutes = (time - newYorkTime(date, 0)) / MINUTE_MS
    const at = (end: number, phase: SessionPhase) => ({ phase, until: newYorkTime(date, end) })
    // Hours that the clock skips or repeats lie outside every session, so minutes can be compared.
    if (minutes >= today.preOpen && minutes < today.open) return at(today.open, "pre")
    if (minutes >= today.open && minutes < today.close) return at(today.close, "core")
    if (minutes >= today.close && minutes < today.postClose) return at(today.postClose, "post")
  }
  const next = days.find((day) => newYorkTime(day.date, day.preOpen) > time)
  if (next === undefined) {
    return { phase: "closed", until: newYorkTime(days.at(-1)?.date ?? date, MIDNIGHT) }
  }
  const overnight = newYorkTime(dateAfter(next.date, -1), OVERNIGHT_OPEN)
  return time >= overnight
    ? { phase: "overnight", until: newYorkTime(next.date, next.preOpen) }
    : { phase: "closed", until: overnight }
}

/** The exchanges' rules, for both dates and all between; holds from 1998 on. */
export function usTradingDays(from: string, to: string): ReadonlyArray<TradingDay> {
  const days = new Array<TradingDay>()
  for (let date = from; date <= to; date = dateAfter(date, 1)) {
    const hours = hoursOf(date)
    if (hours !== undefined) days.push({ date, ...hours })
  }
  return days
}

/** The day it is in New York. */
export function newYorkDate(time: number): string {
  return isoDate(time - offsetMs(time))
}

/** When New York's clock shows so many minutes after midnight of `date`; 1,440 is its end. */
export function newYorkTime(date: string, minutes: number): number {
  const wall = Date.parse(`${date}T00:00:00Z`) + minutes * MINUTE_MS
  // Five hours behind, or four: what is right on the result's side of a change is the answer.
  const summer = wall + 4 * 3_600_000
  return offsetMs(summer) === 4 * 3_600_000 ? summer : wall + 5 * 3_600_000
}

export function dateAfter(date: string, days: number): string {
  return isoDate(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS)
}

function hoursOf(date: string): Omit<TradingDay, "date"> | undefined {
  const day = weekday(date)
  if (day === 0 || day === 6 || closures.has(date)) return undefined
  const year = Number(date.slice(0, 4))
  const easter = easterOf(year)
  if (date === dateAfter(easter, -2) || holidaysOf(year).includes(date)) return undefined
  return closesEarly(date, year) ? shortDay : fullDay
}

function holidaysOf(year: number): ReadonlyArray<string> {
  const holidays = [
    nthWeekday(year, 1, 1, 3),
    nthWeekday(year, 2, 1, 3),
    // The last Monday of May.
    dateAfter(nthWeekday(year, 6, 1, 1), -7),
    observed(`${year}-07-04`),
    nthWeekday(year, 9, 1, 1),
    nthWeekday(year, 11, 4, 4),
    observed(`${year}-12-25`),
  ]
  // The exchanges do not take off the last day of a year for the first of the next one.
  const newYear = `${year}-01-01`
  if (weekday(newYear) !== 6) holidays.push(observed(newYear))
  if (year >= 2022) holidays.push(observed(`${year}-06-19`))
  return holidays
}

function nthWeekday(year: number, month: number, day: number, nth: number): string {
  const first = `${year}-${String(month).padStart(2, "0")}-01`
  return dateAfter(first, (day - weekday(first) + 7) % 7 + (nth - 1) * 7)
}

/** Saturday's holiday is taken on Friday, Sunday's on Monday. */
function observed(date: string): string {
  const day = weekday(date)
  return day === 6 ? dateAfter(date, -1) : day === 0 ? dateAfter(date, 1) : date
}

function closesEarly(date: string, year: number): boolean {
  if (date === dateAfter(nthWeekday(year, 11, 4, 4), 1)) return true
  const day = weekday(date)
  // On the eve of a holiday that is not moved: Friday's eve of Saturday is the holiday itself.
  return (date === `${year}-07-03` || date === `${year}-12-24`) && day >= 1 && day <= 4
}

/** Of the Gregorian calendar, by the anonymous algorithm. */
function easterOf(year: number): string {
  const a = year % 19
  const b = Math.floor(year / 100)
  const c = year % 100
  const e = b % 4
  const g = Math.floor((8 * b + 13) / 25)
  const h = (19 * a + b - Math.floor(b / 4) - g + 15) % 30
  const l = (32 + 2 * e + 2 * Math.floor(c / 4) - h - c % 4) % 7
  const m = Math.floor((a + 11 * h + 19 * l) / 433)
  const n = h + l - 7 * m
  const month = Math.floor((n + 90) / 25)
  const day = (n + 33 * month + 19) % 32
  return `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`
}

/** How far New York is behind UTC. */
function offsetMs(time: number): number {
  const year = Number(isoDate(time - 5 * 3_600_000).slice(0, 4))
  const [begins, ends] = year >= 2007
    ? [nthWeekday(year, 3, 0, 2), nthWeekday(year, 11, 0, 1)]
    : [nthWeekday(year, 4, 0, 1), dateAfter(nthWeekday(year, 11, 0, 1), -7)]
  // At two o'clock, standard time in spring and daylight time in autumn.
  const isSummer = time >= Date.parse(`${begins}T07:00:00Z`) &&
    time < Date.parse(`${ends}T06:00:00Z`)
  return (isSummer ? 4 : 5) * 3_600_000
}

function weekday(date: string): number {
  return new Date(Date.parse(`${date}T00:00:00Z`)).getUTCDay()
}

function isoDate(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
