/**
 * What the venue lists: symbols with their grids, limits and status.
 *
 * A listing is data; the filters that read it are in `order_rules.ts`. Tick times
 * step is never below 1e-8, which is what keeps every notional exact.
 */
import { type Atoms, ONE } from "./decimals.ts"

export interface Listing {
  readonly symbol: string
  readonly baseAsset: string
  readonly quoteAsset: string
  readonly status: "TRADING" | "HALT" | "BREAK" | "CANCEL_ONLY"
  readonly tickSize: Atoms
  readonly priceMin: Atoms
  readonly priceMax: Atoms
  readonly stepSize: Atoms
  readonly quantityMin: Atoms
  readonly quantityMax: Atoms
  /** Largest MARKET order. */
  readonly marketQuantityMax: Atoms
  readonly notionalMin: Atoms
  readonly notionalMax: Atoms
  readonly openOrdersMax: number
  readonly openStopsMax: number
}

/** Order prices may be this far from the last price: from a fifth to five times, in thousandths. */
export const PRICE_BAND_MILLI = { up: 5_000n, down: 200n } as const

/** A listing with the venue's usual limits around its grid. */
export function makeListing(grid: {
  readonly symbol: string
  readonly baseAsset: string
  readonly quoteAsset: string
  readonly tickSize: Atoms
  readonly stepSize: Atoms
  readonly notionalMin?: Atoms
}): Listing {
  return {
    symbol: grid.symbol,
    baseAsset: grid.baseAsset,
    quoteAsset: grid.quoteAsset,
    status: "TRADING",
    tickSize: grid.tickSize,
    priceMin: grid.tickSize,
    priceMax: grid.tickSize * 100_000_000n,
    stepSize: grid.stepSize,
    quantityMin: grid.stepSize,
    quantityMax: 9_000_000n * ONE,
    marketQuantityMax: 1_000_000n * ONE,
    notionalMin: grid.notionalMin ??
      (QUOTES_IN_DOLLARS.has(grid.quoteAsset) ? 5n * ONE : ONE / 1_000n),
    notionalMax: 9_000_000n * ONE,
    openOrdersMax: 200,
    openStopsMax: 5,
  }
}

const QUOTES_IN_DOLLARS = new Set(["USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR"])
const QUOTES = ["USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB"]

/** Splits `BTCUSDT` or `BTC/USDT`; `undefined` when no known quote asset ends it. */
export function splitSymbol(text: string): { baseAsset: string; quoteAsset: string } | undefined {
  const slash = /^([A-Z0-9]+)[/_]([A-Z0-9]+)$/.exec(text)
  if (slash !== null) return { baseAsset: slash[1] ?? "", quoteAsset: slash[2] ?? "" }
  for (const quoteAsset of QUOTES) {
    if (text.endsWith(quoteAsset) && text.length > quoteAsset.length) {
      return { baseAsset: text.slice(0, -quoteAsset.length), quoteAsset }
    }
  }
  return undefined
}
