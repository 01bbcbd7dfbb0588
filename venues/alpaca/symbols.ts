/** `AAPL` is `AAPL.ALPACA` and `BTC/USD` is `BTC/USD.ALPACA` everywhere outside this folder. */
import { type InstrumentId, instrumentPattern } from "../../domain/instrument.ts"

export const VENUE = "alpaca"
const SUFFIX = ".ALPACA"

export function instrumentId(symbol: string): InstrumentId {
  return `${symbol}${SUFFIX}`
}

export function symbolOf(instrument: InstrumentId): string {
  return instrument.slice(0, -SUFFIX.length)
}

/** Pairs are crypto, everything else is a share. */
export function isPair(instrument: InstrumentId): boolean {
  return instrument.includes("/")
}

/** What is held after a buy: a share is its own base. */
export function baseOf(instrument: InstrumentId): string {
  return symbolOf(instrument).split("/")[0]!
}

/** Symbol -> instrument, for the instruments somebody asked for. */
export type SymbolMap = (symbol: string) => InstrumentId | undefined

/** Positions and old orders still write a pair without its stroke. */
export function symbolMap(instruments: ReadonlyArray<InstrumentId>): SymbolMap {
  const map = new Map(instruments.flatMap((id) => {
    const symbol = symbolOf(id)
    return [[symbol, id], [symbol.replace("/", ""), id]]
  }))
  return (symbol) => map.get(symbol)
}

/** For a file of frames without the list of symbols. No share's symbol is as long as a pair's. */
export const guessedSymbols: SymbolMap = (symbol) => {
  const pair = /^([A-Z0-9]{2,10})(USDT|USDC|USD)$/.exec(symbol)
  const isBarePair = pair !== null && symbol.length > 5
  const id = instrumentId(isBarePair ? `${pair[1]}/${pair[2]}` : symbol)
  return instrumentPattern.test(id) ? id : undefined
}
