/**
 * What can be traded, and the grid its numbers live on.
 *
 * `BTC/USDT.BINANCE` is the one name for an instrument outside its venue's folder. Prices are
 * multiples of the tick and quantities of the lot; both are checked on integers, because a bare
 * floor of a float shaves exact multiples.
 */
import {
  absolute,
  ceilTo,
  type Decimal,
  floorTo,
  isLess,
  isNegative,
  isPositive,
  multiply,
  negate,
  zero,
} from "./decimal.ts"

/** `BASE/QUOTE.VENUE` for a pair, `SYMBOL.VENUE` for a share, upper case. */
export type InstrumentId = string

export type InstrumentStatus = "trading" | "halted" | "cancel_only" | "closed"

/** Decides when there is a market: crypto never closes, US shares keep the exchanges' calendar. */
export type AssetClass = "crypto" | "us_equity"

export interface Instrument {
  readonly id: InstrumentId
  readonly venue: string
  readonly assetClass: AssetClass
  /** As the venue writes it: `BTCUSDT`, `AAPL`, `BTC/USD`. */
  readonly symbol: string
  /** What is held after a buy: an asset of the account. A share is its own base. */
  readonly base: string
  readonly quote: string
  readonly tickSize: Decimal
  /** Prices below `price` keep a finer grid: US shares under a dollar. */
  readonly tickBelow?: { readonly price: Decimal; readonly tickSize: Decimal }
  readonly lotSize: Decimal
  readonly quantityMin: Decimal
  readonly quantityMax: Decimal
  /** Smallest price x quantity the venue takes, in the quote asset. */
  readonly notionalMin: Decimal
  readonly status: InstrumentStatus
}

export const instrumentPattern = /^[A-Z0-9]{1,20}(?:\/[A-Z0-9]{1,20})?\.[A-Z]{2,20}$/

export function venueOf(id: InstrumentId): string {
  return id.slice(id.lastIndexOf(".") + 1).toLowerCase()
}

/** Down to the lot: an order must never ask for more than was meant. */
export function quantise(instrument: Instrument, quantity: Decimal): Decimal {
  return floorTo(quantity, instrument.lotSize)
}

/** A limit price never gets worse by rounding: buys go down to the tick, sells up. */
export function quantisePrice(instrument: Instrument, price: Decimal, side: "buy" | "sell") {
  const { tickBelow } = instrument
  const tick = tickBelow !== undefined && isLess(price, tickBelow.price)
    ? tickBelow.tickSize
    : instrument.tickSize
  return side === "buy" ? floorTo(price, tick) : ceilTo(price, tick)
}

/** Whether the venue would take an order of this size at about this price. */
export function isTradable(instrument: Instrument, quantity: Decimal, price: Decimal): boolean {
  return !isLess(quantity, instrument.quantityMin) &&
    !isLess(multiply(quantity, price), instrument.notionalMin)
}

/** What of a holding could be sold at about `price`: whole lots, or nothing when only dust is left. */
export function tradableQuantity(
  instrument: Instrument,
  quantity: Decimal,
  price: Decimal | undefined,
): Decimal {
  const lots = quantise(instrument, absolute(quantity))
  const sellable = price === undefined
    ? isPositive(lots) && !isLess(lots, instrument.quantityMin)
    : isTradable(instrument, lots, price)
  return sellable ? (isNegative(quantity) ? negate(lots) : lots) : zero
}

/** `1s`, `5s`, `1m`, `1h`, `1d` in milliseconds; undefined for anything else. */
export function intervalMs(interval: string): number | undefined {
  const match = /^([1-9]\d{0,3})([smhd])$/.exec(interval)
  if (match === null) return undefined
  const unit =
    { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as "s" | "m" | "h" | "d"]
  return Number(match[1]) * unit
}
