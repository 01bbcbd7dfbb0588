/**
 * What a venue says about a market, in Keel's own words.
 *
 * Times are the venue's, in epoch milliseconds. Binance's book ticker carries none: then the time
 * is when we received it, and `venueTime` is false.
 */
import type { Decimal } from "./decimal.ts"
import type { InstrumentId, InstrumentStatus } from "./instrument.ts"

/** The market's print, not ours. */
export interface Trade {
  readonly _tag: "Trade"
  readonly instrument: InstrumentId
  /** The venue's id as text, unique per instrument; see `tradeIds` of the market data port. */
  readonly tradeId: string
  readonly price: Decimal
  readonly size: Decimal
  /** Of the aggressor; the tape of US shares does not tell it. */
  readonly side: "buy" | "sell" | "unknown"
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

/** The venue has stopped or resumed trading in one instrument: a halt, a volatility pause. */
export interface StatusChange {
  readonly _tag: "Status"
  readonly instrument: InstrumentId
  readonly status: InstrumentStatus
  /** The venue's code and words: `LUDP volatility trading pause`. */
  readonly reason: string
  readonly time: number
}

/** Limit up, limit down: the exchanges take no trade outside these prices. */
export interface PriceBand {
  readonly _tag: "PriceBand"
  readonly instrument: InstrumentId
  readonly lower: Decimal
  readonly upper: Decimal
  readonly time: number
}

/** What had been printed as `tradeId` was something else. */
export interface TradeCorrection {
  readonly _tag: "TradeCorrection"
  readonly instrument: InstrumentId
  readonly tradeId: string
  readonly corrected: Trade
  readonly time: number
}

/** What had been printed as `tradeId` did not happen. */
export interface TradeCancel {
  readonly _tag: "TradeCancel"
  readonly instrument: InstrumentId
  readonly tradeId: string
  readonly time: number
}

export type MarketEvent = Trade | Quote | StatusChange | PriceBand | TradeCorrection | TradeCancel
