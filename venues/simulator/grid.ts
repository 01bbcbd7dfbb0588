/**
 * What a recording trades, seen from its prices and sizes: ticks, lots, and assets.
 */
import { type Atoms, formatTrimmed, notional, ONE } from "./decimals.ts"
import { splitSymbol } from "./listing.ts"
import { type RecordedSymbol, RecordingError } from "./recorded.ts"

/** `BTCUSDT` of `…/BTCUSDT-spot-1m.csv.gz`; a name without a known quote asset trades in USD. */
export function symbolOfPath(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toUpperCase()
  const symbol = /^[A-Z0-9]+/.exec(name)?.[0]
  if (symbol === undefined) {
    throw new RecordingError({ path, text: "which symbol is it? Name the file SYMBOL-anything" })
  }
  return symbol
}

/** The coarsest power of ten that prices and sizes fit on. */
export class Grid {
  #price = 100_000_000n
  #size = 100_000_000n
  #last: Atoms = 0n

  add(price: Atoms, size: Atoms) {
    this.#last = price
    while (price % this.#price !== 0n) this.#price /= 10n
    while (size % this.#size !== 0n) this.#size /= 10n
  }

  describe(path: string, text: string): RecordedSymbol {
    const symbol = text.toUpperCase().replace(/[^A-Z0-9]/g, "")
    const assets = splitSymbol(text.toUpperCase()) ?? { baseAsset: symbol, quoteAsset: "USD" }
    const tickSize = this.#price
    // One lot costs no more than about one unit of quote, however coarse the file's sizes are,
    // but never so fine that a notional would need more than eight decimals.
    let stepSize = this.#size
    while (stepSize > 1n && notional(this.#last, stepSize) > ONE) stepSize /= 10n
    while (tickSize * stepSize < ONE) stepSize *= 10n
    if (this.#last === 0n) {
      throw new RecordingError({
        path,
        text: `no price of ${symbol} (tick ${formatTrimmed(tickSize)})`,
      })
    }
    return {
      symbol: splitSymbol(text.toUpperCase()) === undefined ? `${symbol}USD` : symbol,
      ...assets,
      tickSize,
      stepSize,
    }
  }
}

export function gridOf(grids: Map<string, Grid>, symbol: string): Grid {
  const grid = grids.get(symbol) ?? new Grid()
  grids.set(symbol, grid)
  return grid
}
