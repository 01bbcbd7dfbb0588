/**
 * What a venue says about a market, in Keel's own words.
 *
 * Times are the venue's, in epoch milliseconds. Binance's book ticker carries none: then the time
 * is when we received it, and `venueTime` is false.
 */
import type { Decimal } from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"

/** The market's print, not ours. */
export interface Trade {
  readonly _tag: "Trade"
  readonly instrument: InstrumentId
  /** The venue's id as text; ascending by number on Binance. */
  readonly tradeId: string
  readonly price: Decimal
  readonly size: Decimal
  /** Of the aggressor. */
  readonly side: "buy" | "sell"
  readonly time: number
}

export interface Quote {
  readonly _tag: "Quote"
  readonly instrument: InstrumentId
  /** The venue's book update id as text; never goes back within a connection. */
  readonly updateId: string
  readonly bid: Decimal
  readonly bidSize: Decimal
  readonly ask: Decimal
  readonly askSize: Decimal
  readonly time: number
  readonly venueTime: boolean
}

export interface Bar {
  readonly _tag: "Bar"
  readonly instrument: InstrumentId
  readonly intervalMs: number
  /** Inclusive; the bar ends, exclusive, at `openTime + intervalMs`. */
  readonly openTime: number
  readonly open: Decimal
  readonly high: Decimal
  readonly low: Decimal
  readonly close: Decimal
  readonly volume: Decimal
  readonly trades: number
}

export type MarketEvent = Trade | Quote
