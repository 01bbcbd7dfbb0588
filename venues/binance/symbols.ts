/** `BTCUSDT` is `BTC/USDT.BINANCE` everywhere outside this folder. */
import type { InstrumentId } from "../../domain/instrument.ts"

export const VENUE = "binance"
const SUFFIX = ".BINANCE"

export function instrumentId(base: string, quote: string): InstrumentId {
  return `${base}/${quote}${SUFFIX}`
}

/** The venue's symbol is the pair without its stroke. */
export function symbolOf(instrument: InstrumentId): string {
  return instrument.slice(0, -SUFFIX.length).replace("/", "")
}

/** Symbol -> instrument, for the instruments somebody asked for. */
export type SymbolMap = (symbol: string) => InstrumentId | undefined

export function symbolMap(instruments: ReadonlyArray<InstrumentId>): SymbolMap {
  const map = new Map(instruments.map((id) => [symbolOf(id), id]))
  return (symbol) => map.get(symbol)
}

/** Longest first: `BTCFDUSD` is not quoted in USD. */
const quoteAssets = [
  ..."FDUSD USDT USDC TUSD BUSD USD1".split(" "),
  ..."BTC ETH BNB EUR TRY GBP BRL AUD JPY USD".split(" "),
]

/** For a file of frames without the list of symbols: splits at a quote asset that is known. */
export const guessedSymbols: SymbolMap = (symbol) => {
  const quote = quoteAssets.find((asset) => symbol.length > asset.length && symbol.endsWith(asset))
  return quote === undefined ? undefined : instrumentId(symbol.slice(0, -quote.length), quote)
}
