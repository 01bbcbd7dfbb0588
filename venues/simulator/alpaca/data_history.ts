/**
 * A past for a market that begins now: minutes of a few days, days of about a year, ending at the
 * price the market has.
 */
import { dateAfter, newYorkDate, newYorkTime } from "../../../domain/calendar.ts"
import { Chance } from "../chance.ts"
import { type Atoms, floorTo, notional } from "../decimals.ts"
import { history, type Profile, type Profiles, type SyntheticState } from "../synthetic.ts"
import { type Bar, MINUTE_MS } from "./data_bars.ts"
import type { Sessions } from "./sessions.ts"

const MINUTES = 2 * 1_440
const DAYS = 250
/** Standard deviation of a day's return. */
const DAY_SIGMA = 0.012

export interface Past {
  readonly days: ReadonlyArray<Bar>
  readonly minutes: ReadonlyArray<Bar>
}

/** `sessions` for what trades on an exchange; without them every minute is one of trading. */
export function pastOf(
  profiles: Profiles,
  state: SyntheticState,
  profile: Profile,
  options: {
    readonly nowMs: number
    readonly dayBegins: number
    readonly sessions: Sessions | undefined
  },
): Past {
  const { symbol, stepSize, tickSize } = profile.listing
  const { nowMs, dayBegins, sessions } = options
  const thisMinute = nowMs - nowMs % MINUTE_MS
  const [, walk] = history(profiles, state, symbol, {
    endMs: thisMinute,
    barMs: MINUTE_MS,
    count: MINUTES,
  })
  // The walk knows no nights: its minutes are laid on those in which there was trading.
  const times = tradingMinutesBefore(thisMinute, walk.length, sessions)
  const minutes = walk.slice(walk.length - times.length).map((bar, index): Bar => {
    const volume = floorTo(bar.volume, stepSize)
    return {
      time: times[index] ?? 0,
      open: bar.open,
      high: bar.high,
      low: bar.low,
      close: bar.close,
      volume,
      notional: notional((bar.high + bar.low) / 2n, volume),
      trades: Math.min(bar.trades, Number(volume / stepSize)),
    }
  })
  const first = minutes[0]
  if (first === undefined) return { days: [], minutes }
  // The first day of minutes may lack its morning; only whole days before it are days.
  const traded = minutes.reduce((sum, bar) => sum + bar.volume, 0n) / BigInt(minutes.length)
  const trades = minutes.reduce((sum, bar) => sum + bar.trades, 0) / minutes.length
  const minutesPerDay = sessions?.kind === "exchange" ? 960 : 1_440
  const chance = Chance.seeded(state.instruments.length, `${symbol} years ago`)
  const home = BigInt(Math.round(profile.startPrice * 1e8))
  let close = first.open
  const days = new Array<Bar>()
  for (const time of tradingDaysBefore(first.time, DAYS, dayBegins, sessions)) {
    const open = onTick(scaled(close, chance.normal() * DAY_SIGMA, home), tickSize)
    const [upper, lower] = open > close ? [open, close] : [close, open]
    const busy = Math.round(chance.between(0.7, 1.3) * minutesPerDay)
    const volume = floorTo(traded * BigInt(busy), stepSize)
    days.push({
      time,
      open,
      high: onTick(upper + upper * BigInt(Math.round(chance.between(0, 80))) / 10_000n, tickSize),
      low: onTick(lower - lower * BigInt(Math.round(chance.between(0, 80))) / 10_000n, tickSize),
      close,
      volume,
      notional: notional((upper + lower) / 2n, volume),
      trades: Math.round(trades * busy),
    })
    close = open
  }
  return { days: days.reverse(), minutes }
}

/** Of one day before, drawn a little towards where the price belongs. */
function scaled(price: Atoms, change: number, home: Atoms): Atoms {
  const drawn = price + (home - price) / 50n
  return drawn * BigInt(Math.round((1 + change) * 1e6)) / 1_000_000n
}

function onTick(price: Atoms, tick: Atoms): Atoms {
  const rest = price % tick
  return price - rest > 0n ? price - rest : tick
}

/** Ascending. */
function tradingMinutesBefore(
  endMs: number,
  count: number,
  sessions: Sessions | undefined,
): ReadonlyArray<number> {
  const times = new Array<number>()
  // A long weekend with a holiday is the longest time without trading.
  const limit = endMs - count * 4 * MINUTE_MS - 6 * 86_400_000
  for (let time = endMs - MINUTE_MS; times.length < count && time > limit; time -= MINUTE_MS) {
    if (sessions === undefined || sessions.isTrading(time)) times.push(time)
  }
  return times.reverse()
}

/** Descending: beginnings of whole days that end before the day of `timeMs`. */
function tradingDaysBefore(
  timeMs: number,
  count: number,
  dayBegins: number,
  sessions: Sessions | undefined,
): ReadonlyArray<number> {
  const today = newYorkDate(timeMs - dayBegins * MINUTE_MS)
  const from = dateAfter(today, -Math.ceil(count * 1.5))
  const before = dateAfter(today, -1)
  const dates = sessions === undefined
    ? Array.from({ length: count }, (_, index) => dateAfter(before, index + 1 - count))
    : sessions.days(from, before).map((day) => day.date).slice(-count)
  return dates.map((date) => newYorkTime(date, dayBegins)).reverse()
}
