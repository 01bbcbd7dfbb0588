/**
 * What the public has seen of one symbol: its last trades, its klines, its quote.
 * A bounded memory; older trades are forgotten.
 */
import type { Atoms } from "./decimals.ts"
import { type Kline, Klines, sum } from "./klines.ts"
import type { Level } from "./shown_book.ts"

export interface TapeTrade {
  readonly tradeId: number
  readonly price: Atoms
  readonly size: Atoms
  /** Epoch milliseconds. */
  readonly time: number
  readonly buyerIsMaker: boolean
}

export interface Quote {
  readonly updateId: number
  readonly bid: Level
  readonly ask: Level
}

/** Kept to be asked for: as many as Keel would read again after an outage, or more. */
const TRADES_MIN = 20_000
const TRADES_MAX = 25_000

export class Tape {
  readonly klines = new Klines()
  quote: Quote | undefined
  #trades: Array<TapeTrade> = []

  get lastTrade(): TapeTrade | undefined {
    return this.#trades.at(-1)
  }

  add(trade: TapeTrade) {
    this.#trades.push(trade)
    this.klines.add(trade)
    if (this.#trades.length >= TRADES_MAX) this.#trades = this.#trades.slice(-TRADES_MIN)
  }

  /** The last 24 hours as one bar, which begins with the oldest minute in them. */
  day(now: number): Kline {
    return sum(this.klines.range("1m", now, { limit: 24 * 60 }), now)
  }

  /** The last `limit` trades, oldest first. */
  recent(limit: number): ReadonlyArray<TapeTrade> {
    return this.#trades.slice(-limit)
  }

  /** Up to `limit` trades with ids from `tradeId` on, oldest first. */
  from(tradeId: number, limit: number): ReadonlyArray<TapeTrade> {
    let low = 0
    let high = this.#trades.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#trades[middle]?.tradeId ?? Infinity) < tradeId) low = middle + 1
      else high = middle
    }
    return this.#trades.slice(low, low + limit)
  }
}
