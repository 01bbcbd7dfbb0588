/**
 * What the simulated Alpaca's trading side sees of its market.
 *
 * The market (quotes, prints, halts, sessions) lives on one side of this, orders and accounts on
 * the other, so that either can be driven alone. Amounts are atoms (1e-8).
 */
import type { SessionPhase } from "../../../domain/calendar.ts"
import type { Atoms } from "../decimals.ts"
import type { ShownBook } from "../shown_book.ts"

export interface AlpacaListing {
  /** `AAPL`, `BTC/USD`. */
  readonly symbol: string
  readonly assetId: string
  readonly assetClass: "us_equity" | "crypto"
  readonly exchange: string
  readonly name: string
  readonly tradable: boolean
  readonly fractionable: boolean
  readonly shortable: boolean
  readonly marginable: boolean
  /** Of crypto: smallest order and its step, in units; of shares: one share, or the 1e-8 we keep. */
  readonly quantityMin: Atoms
  readonly quantityStep: Atoms
  /** Of crypto; shares follow the sub-penny rule: 0.01 from a dollar on, 0.0001 below. */
  readonly priceIncrement: Atoms
}

export type MarketMove =
  /** The shown book changed. */
  | { readonly kind: "book"; readonly symbol: string }
  /** Somebody traded. When the buyer was the maker somebody sold into the bids. */
  | {
    readonly kind: "trade"
    readonly symbol: string
    readonly price: Atoms
    readonly size: Atoms
    readonly buyerIsMaker: boolean
  }
  /** Halted or resumed. */
  | { readonly kind: "status"; readonly symbol: string }
  /** A session began or ended. */
  | { readonly kind: "phase"; readonly assetClass: "us_equity" | "crypto" }

export interface AlpacaMarket {
  readonly listings: ReadonlyMap<string, AlpacaListing>
  /** Taking from it is what makes a level smaller until the market shows a new one. */
  readonly book: (symbol: string) => ShownBook
  readonly lastPrice: (symbol: string) => Atoms | undefined
  readonly isHalted: (symbol: string) => boolean
  /** Crypto is always in its core session. */
  readonly session: (symbol: string) => { readonly phase: SessionPhase; readonly until: number }
  /** Told synchronously, after the change; in order. */
  readonly onMove: (listener: (move: MarketMove) => void) => void
  /** The account's own fill becomes a print on the tape. */
  readonly print: (
    symbol: string,
    price: Atoms,
    size: Atoms,
    buyerIsMaker: boolean,
  ) => void
  /** The venue's clock, epoch milliseconds. */
  readonly now: () => number
}
