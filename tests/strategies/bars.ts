/** What the tests of strategies share: bars from closes. */
import { decimal } from "../../domain/decimal.ts"
import type { Bar } from "../../domain/market.ts"
import type { StrategyEvent } from "../../domain/strategy.ts"

export const instrument = "BTC/USDT.BINANCE"

export function bar(close: string, at = 0): Bar {
  const price = decimal(close)
  return {
    ...{
      _tag: "Bar",
      instrument,
      intervalMs: 60_000,
      openTime: at * 60_000,
      volume: decimal("1"),
      trades: 1,
    },
    ...{ open: price, high: price, low: price, close: price },
  }
}

export function holding(quantity: string): StrategyEvent {
  return { _tag: "HoldingChanged", quantity: decimal(quantity) }
}
