/**
 * One feed's bars of one symbol.
 *
 * Minutes are kept, days of which the minutes are gone are kept as days, and everything else is a
 * sum of one or the other. A minute without a trade has no bar, as at the venue.
 */
import { dateAfter, newYorkDate, newYorkTime } from "../../../domain/calendar.ts"
import { type Atoms, notional } from "../decimals.ts"

export interface Bar {
  /** Epoch milliseconds; the bar is named by its beginning. */
  readonly time: number
  readonly open: Atoms
  readonly high: Atoms
  readonly low: Atoms
  readonly close: Atoms
  readonly volume: Atoms
  /** Sum of price times size. */
  readonly notional: Atoms
  readonly trades: number
}

export interface Timeframe {
  readonly count: number
  readonly unit: "Min" | "Hour" | "Day" | "Week" | "Month"
}

export const MINUTE_MS = 60_000
/** Minutes of about five days; what is older is kept as days. */
const MINUTES_MAX = 7_200
const LONGEST = { Min: 59, Hour: 23, Day: 1, Week: 1, Month: 12 } as const
const UNITS = {
  Min: "Min",
  T: "Min",
  Hour: "Hour",
  H: "Hour",
  Day: "Day",
  D: "Day",
  Week: "Week",
  W: "Week",
  Month: "Month",
  M: "Month",
} as const

/** `5Min`, `1H`, `1Day`; `undefined` for what the venue does not have. */
export function parseTimeframe(text: string): Timeframe | undefined {
  const match = /^(\d{1,2})([A-Za-z]+)$/.exec(text)
  const [, digits = "", name = ""] = match ?? []
  // A single letter is what it is (`1M` is a month); words may be written anyhow.
  const unit = Object.entries(UNITS).find(([known]) =>
    known === name || (name.length > 1 && known.toLowerCase() === name.toLowerCase())
  )?.[1]
  const count = Number(digits)
  if (unit === undefined || count < 1 || count > LONGEST[unit]) return undefined
  // Months come as the parts of a year.
  if (unit === "Month" && ![1, 2, 3, 4, 6, 12].includes(count)) return undefined
  return { count, unit }
}

export class Bars {
  /** When the venue's day begins, in minutes of New York's clock. */
  readonly #dayBegins: number
  #days: Array<Bar>
  #minutes: Array<Bar>

  /** `days` and `minutes` ascending; the minutes begin where the days end. */
  constructor(
    dayBegins: number,
    days: ReadonlyArray<Bar> = [],
    minutes: ReadonlyArray<Bar> = [],
  ) {
    this.#dayBegins = dayBegins
    this.#days = [...days]
    this.#minutes = [...minutes]
  }

  get lastMinute(): Bar | undefined {
    return this.#minutes.at(-1)
  }

  add(timeMs: number, price: Atoms, size: Atoms) {
    const time = timeMs - timeMs % MINUTE_MS
    const trade: Bar = {
      time,
      open: price,
      high: price,
      low: price,
      close: price,
      volume: size,
      notional: notional(price, size),
      trades: 1,
    }
    const last = this.#minutes.at(-1)
    if (last !== undefined && last.time >= time) {
      this.#minutes[this.#minutes.length - 1] = joined(last, trade)
      return
    }
    this.#minutes.push(trade)
    if (this.#minutes.length >= MINUTES_MAX * 2) this.#forget()
  }

  /** Puts another bar in the place of the one of that minute; without one it is gone. */
  replace(time: number, bar: Bar | undefined) {
    const at = this.#minutes.findLastIndex((one) => one.time === time)
    if (at >= 0) this.#minutes.splice(at, 1, ...(bar === undefined ? [] : [bar]))
  }

  /** The day that `timeMs` is in, so far. */
  day(timeMs: number): Bar | undefined {
    const day = this.#dayOf(timeMs)
    return this.all({ count: 1, unit: "Day" }).findLast((bar) => bar.time === day)
  }

  /** Every bar there is, oldest first; the last one may not be complete. */
  all({ count, unit }: Timeframe): ReadonlyArray<Bar> {
    switch (unit) {
      case "Min":
      case "Hour": {
        const width = count * (unit === "Min" ? MINUTE_MS : 60 * MINUTE_MS)
        return width === MINUTE_MS
          ? this.#minutes
          : grouped(this.#minutes, (bar) => bar.time - bar.time % width)
      }
      case "Day":
        return this.#daily()
      default:
        return grouped(this.#daily(), (bar) => this.#periodOf(bar.time, count, unit))
    }
  }

  #daily(): ReadonlyArray<Bar> {
    return [...this.#days, ...grouped(this.#minutes, dayCache((time) => this.#dayOf(time)))]
  }

  /** Turns the oldest minutes into the days they make. */
  #forget() {
    const from = this.#minutes[this.#minutes.length - MINUTES_MAX]
    if (from === undefined) return
    const day = this.#dayOf(from.time)
    const kept = this.#minutes.findIndex((bar) => bar.time >= day)
    this.#days.push(
      ...grouped(this.#minutes.slice(0, kept), dayCache((time) => this.#dayOf(time))),
    )
    this.#minutes = this.#minutes.slice(kept)
  }

  #dayOf(timeMs: number): number {
    const date = newYorkDate(timeMs)
    const begins = newYorkTime(date, this.#dayBegins)
    return timeMs >= begins ? begins : newYorkTime(dateAfter(date, -1), this.#dayBegins)
  }

  #periodOf(timeMs: number, count: number, unit: "Week" | "Month"): number {
    const date = newYorkDate(timeMs)
    if (unit === "Week") {
      const weekday = (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7
      return newYorkTime(dateAfter(date, -weekday), this.#dayBegins)
    }
    const month = Number(date.slice(5, 7)) - 1
    const first = String(month - month % count + 1).padStart(2, "0")
    return newYorkTime(`${date.slice(0, 4)}-${first}-01`, this.#dayBegins)
  }
}

/** One bar over both. */
export function joined(bar: Bar, next: Bar): Bar {
  return {
    time: bar.time,
    open: bar.open,
    high: next.high > bar.high ? next.high : bar.high,
    low: next.low < bar.low ? next.low : bar.low,
    close: next.close,
    volume: bar.volume + next.volume,
    notional: bar.notional + next.notional,
    trades: bar.trades + next.trades,
  }
}

function grouped(bars: ReadonlyArray<Bar>, startOf: (bar: Bar) => number): ReadonlyArray<Bar> {
  const groups = new Array<Bar>()
  for (const bar of bars) {
    const time = startOf(bar)
    const last = groups.at(-1)
    if (last?.time === time) groups[groups.length - 1] = joined(last, bar)
    else groups.push({ ...bar, time })
  }
  return groups
}

/** Asks for the day only when it may have changed: an hour never spans two. */
function dayCache(dayOf: (timeMs: number) => number): (bar: Bar) => number {
  let hour = -1
  let day = 0
  return ({ time }) => {
    const now = time - time % (60 * MINUTE_MS)
    if (now !== hour) {
      hour = now
      day = dayOf(time)
    }
    return day
  }
}
