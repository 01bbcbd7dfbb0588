/**
 * What the public has seen of one symbol: trades, quotes, bars. A bounded memory.
 *
 * Two feeds look at one tape: `sip` sees every exchange, `iex` only its own, so their bars differ
 * and their prices hardly do.
 */
import type { Atoms } from "../decimals.ts"
import { type Bar, Bars, MINUTE_MS } from "./data_bars.ts"
import type { Nanos } from "./data_time.ts"

export const IEX = "V"

export interface TapeTrade {
  /** Unique per exchange, and no further. */
  readonly id: number
  /** Empty for crypto. */
  readonly exchange: string
  readonly price: Atoms
  readonly size: Atoms
  readonly time: Nanos
  readonly conditions: ReadonlyArray<string>
  readonly takerBuys: boolean
  /** What became of it since. */
  readonly update?: "canceled" | "corrected"
}

export interface TapeQuote {
  readonly time: Nanos
  readonly bid: Atoms
  readonly bidSize: Atoms
  readonly ask: Atoms
  readonly askSize: Atoms
}

export type Feed = "iex" | "sip"

/** Kept to be asked for: as many as Keel would read again after an outage, or more. */
const TRADES_MIN = 20_000
const TRADES_MAX = 25_000
const QUOTES_MIN = 8_000
const QUOTES_MAX = 10_000

export class Tape {
  readonly bars: Readonly<Record<Feed, Bars>>
  #trades: Array<TapeTrade> = []
  #quotes: Array<TapeQuote> = []

  constructor(bars: Readonly<Record<Feed, Bars>>) {
    this.bars = bars
  }

  /** Oldest first. */
  trades(feed: Feed): ReadonlyArray<TapeTrade> {
    return feed === "sip" ? this.#trades : this.#trades.filter((trade) => isSeen(feed, trade))
  }

  /** Oldest first. */
  get quotes(): ReadonlyArray<TapeQuote> {
    return this.#quotes
  }

  get lastQuote(): TapeQuote | undefined {
    return this.#quotes.at(-1)
  }

  lastTrade(feed: Feed): TapeTrade | undefined {
    return this.#trades.findLast((trade) => isSeen(feed, trade) && trade.update !== "canceled")
  }

  addQuote(quote: TapeQuote) {
    this.#quotes.push(quote)
    if (this.#quotes.length >= QUOTES_MAX) this.#quotes = this.#quotes.slice(-QUOTES_MIN)
  }

  addTrade(trade: TapeTrade) {
    this.#trades.push(trade)
    if (this.#trades.length >= TRADES_MAX) this.#trades = this.#trades.slice(-TRADES_MIN)
    const timeMs = Number(trade.time / 1_000_000n)
    for (const feed of ["iex", "sip"] as const) {
      if (isSeen(feed, trade)) this.bars[feed].add(timeMs, trade.price, trade.size)
    }
  }

  /** Writes `changed` over `trade` and makes the bars of its minute again. */
  amend(trade: TapeTrade, changed: TapeTrade) {
    const at = this.#trades.lastIndexOf(trade)
    if (at < 0) return
    this.#trades[at] = changed
    const timeMs = Number(trade.time / 1_000_000n)
    for (const feed of ["iex", "sip"] as const) {
      const minute = timeMs - timeMs % MINUTE_MS
      this.bars[feed].replace(minute, this.#minute(feed, minute))
    }
  }

  #minute(feed: Feed, minute: number): Bar | undefined {
    const bars = new Bars(0)
    for (const trade of this.trades(feed)) {
      const timeMs = Number(trade.time / 1_000_000n)
      if (timeMs < minute || timeMs >= minute + MINUTE_MS || trade.update === "canceled") continue
      bars.add(timeMs, trade.price, trade.size)
    }
    return bars.lastMinute
  }
}

export function isSeen(feed: Feed, trade: TapeTrade): boolean {
  return feed === "sip" || trade.exchange === IEX || trade.exchange === ""
}
