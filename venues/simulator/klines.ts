/**
 * One symbol's klines, built from its trades.
 *
 * Only seconds and minutes are kept; every longer interval is a sum of minutes
 * made when somebody asks. An interval without a trade gets the flat bar the venue
 * would show. Amounts are atoms; what is older than the limits below is forgotten.
 */
import { type Atoms, notional } from "./decimals.ts"

export interface Kline {
  readonly openTime: number
  readonly open: Atoms
  readonly high: Atoms
  readonly low: Atoms
  readonly close: Atoms
  readonly volume: Atoms
  readonly quoteVolume: Atoms
  readonly trades: number
  readonly takerBase: Atoms
  readonly takerQuote: Atoms
  /** -1 when no trade fell into it. */
  readonly firstTradeId: number
  readonly lastTradeId: number
}

export const INTERVALS_MS = {
  "1s": 1_000,
  "1m": 60_000,
  "3m": 180_000,
  "5m": 300_000,
  "15m": 900_000,
  "30m": 1_800_000,
  "1h": 3_600_000,
  "2h": 7_200_000,
  "4h": 14_400_000,
  "6h": 21_600_000,
  "8h": 28_800_000,
  "12h": 43_200_000,
  "1d": 86_400_000,
} as const
export type Interval = keyof typeof INTERVALS_MS

export function isInterval(text: string): text is Interval {
  return Object.hasOwn(INTERVALS_MS, text)
}

const SECONDS_MAX = 4 * 3_600
const MINUTES_MAX = 20_000

export class Klines {
  readonly #seconds: Array<Kline> = []
  readonly #minutes: Array<Kline> = []

  add(
    trade: { tradeId: number; price: Atoms; size: Atoms; time: number; buyerIsMaker: boolean },
  ) {
    const quote = notional(trade.price, trade.size)
    this.addBar({
      openTime: trade.time,
      open: trade.price,
      high: trade.price,
      low: trade.price,
      close: trade.price,
      volume: trade.size,
      quoteVolume: quote,
      trades: 1,
      takerBase: trade.buyerIsMaker ? 0n : trade.size,
      takerQuote: trade.buyerIsMaker ? 0n : quote,
      firstTradeId: trade.tradeId,
      lastTradeId: trade.tradeId,
    })
  }

  /** Everything that happened within one second. */
  addBar(bar: Kline) {
    append(this.#seconds, bar, 1_000, SECONDS_MAX)
    append(this.#minutes, bar, 60_000, MINUTES_MAX)
  }

  /** Minutes of a time of which the seconds are not kept. */
  addMinute(bar: Kline) {
    append(this.#minutes, bar, 60_000, MINUTES_MAX)
  }

  /** The last bar that has begun by `now`. */
  last(interval: Interval, now: number): Kline | undefined {
    return this.range(interval, now, { limit: 1 })[0]
  }

  /**
   * Bars oldest first. With `startTime` the first `limit` at or after it, else the
   * last `limit` up to `endTime`.
   */
  range(
    interval: Interval,
    now: number,
    query: { startTime?: number; endTime?: number; limit: number },
  ): ReadonlyArray<Kline> {
    const width = INTERVALS_MS[interval]
    const source = interval === "1s" ? this.#seconds : this.#minutes
    const oldest = source[0]
    const newest = source.at(-1)
    if (oldest === undefined || newest === undefined) return []
    const end = Math.min(query.endTime ?? now, now)
    const lastOpen = end - end % width
    const earliest = Math.ceil(oldest.openTime / width) * width
    const from = query.startTime === undefined
      ? Math.max(earliest, lastOpen - (query.limit - 1) * width)
      : Math.max(earliest, Math.ceil(query.startTime / width) * width)
    // The current bar may have begun before the first second we know.
    const start = from > lastOpen && query.startTime === undefined ? lastOpen : from
    const bars = new Array<Kline>()
    let at = firstAtOrAfter(source, start)
    let close = source[at - 1]?.close ?? source[at]?.open ?? newest.close
    for (let open = start; open <= lastOpen && bars.length < query.limit; open += width) {
      let bar: Kline | undefined
      for (let part = source[at]; part !== undefined && part.openTime < open + width;) {
        bar = bar === undefined ? { ...part, openTime: open } : joined(bar, part)
        part = source[++at]
      }
      bars.push(bar ?? flat(open, close))
      close = bar?.close ?? close
    }
    return bars
  }
}

/** One bar over all of them; an empty one at `now` where there is none. */
export function sum(bars: ReadonlyArray<Kline>, now: number): Kline {
  return bars.length === 0 ? flat(now, 0n) : bars.reduce((all, bar) => joined(all, bar))
}

function append(bars: Array<Kline>, bar: Kline, width: number, max: number) {
  const openTime = bar.openTime - bar.openTime % width
  const last = bars.at(-1)
  if (last !== undefined && last.openTime >= openTime) {
    bars[bars.length - 1] = joined(last, bar)
    return
  }
  bars.push({ ...bar, openTime })
  if (bars.length >= max * 2) bars.splice(0, bars.length - max)
}

function joined(bar: Kline, next: Kline): Kline {
  return {
    openTime: bar.openTime,
    open: bar.open,
    high: next.high > bar.high ? next.high : bar.high,
    low: next.low < bar.low ? next.low : bar.low,
    close: next.close,
    volume: bar.volume + next.volume,
    quoteVolume: bar.quoteVolume + next.quoteVolume,
    trades: bar.trades + next.trades,
    takerBase: bar.takerBase + next.takerBase,
    takerQuote: bar.takerQuote + next.takerQuote,
    firstTradeId: bar.firstTradeId < 0 ? next.firstTradeId : bar.firstTradeId,
    lastTradeId: next.lastTradeId < 0 ? bar.lastTradeId : next.lastTradeId,
  }
}

function flat(openTime: number, close: Atoms): Kline {
  return {
    openTime,
    open: close,
    high: close,
    low: close,
    close,
    volume: 0n,
    quoteVolume: 0n,
    trades: 0,
    takerBase: 0n,
    takerQuote: 0n,
    firstTradeId: -1,
    lastTradeId: -1,
  }
}

function firstAtOrAfter(bars: ReadonlyArray<Kline>, time: number): number {
  let low = 0
  let high = bars.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((bars[middle]?.openTime ?? Infinity) < time) low = middle + 1
    else high = middle
  }
  return low
}
