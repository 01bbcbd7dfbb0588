/**
 * The filters a new order has to pass before the engine sees it, in the venue's order
 * and words. Pure: a listing, a price to compare with, an order.
 */
import { type Atoms, notional } from "./decimals.ts"
import type { OrderRequest, Refusal } from "./exchange.ts"
import { type Listing, PRICE_BAND_MILLI } from "./listing.ts"

export interface RuleContext {
  readonly listing: Listing
  /** Last price, or a quote's middle where nothing has traded; absent in an empty market. */
  readonly referencePrice: Atoms | undefined
  readonly openOrders: number
  /** Those among them that wait for a stop price. */
  readonly openStops: number
}

/** The first filter the order breaks. */
export function brokenRule(order: OrderRequest, context: RuleContext): Refusal | undefined {
  const { listing, referencePrice } = context
  for (const price of [order.price, order.stopPrice]) {
    if (price === 0n) continue
    if (price < listing.priceMin || price > listing.priceMax || price % listing.tickSize !== 0n) {
      return failure("PRICE_FILTER")
    }
  }
  if (order.price > 0n && referencePrice !== undefined && !isInBand(order.price, referencePrice)) {
    return failure("PERCENT_PRICE_BY_SIDE")
  }
  if (order.quantity > 0n) {
    const { quantityMin, quantityMax, stepSize } = listing
    if (
      order.quantity < quantityMin || order.quantity > quantityMax ||
      order.quantity % stepSize !== 0n
    ) return failure("LOT_SIZE")
    if (order.type === "MARKET" && order.quantity > listing.marketQuantityMax) {
      return failure("MARKET_LOT_SIZE")
    }
  }
  const price = order.price > 0n ? order.price : referencePrice
  const value = order.quoteQuantity > 0n
    ? order.quoteQuantity
    : price === undefined
    ? undefined
    : notional(price, order.quantity)
  if (value !== undefined) {
    const isTooMuch = order.type !== "MARKET" && value > listing.notionalMax
    if (value < listing.notionalMin || isTooMuch) return failure("NOTIONAL")
  }
  if (context.openOrders >= listing.openOrdersMax && order.type !== "MARKET") {
    return failure("MAX_NUM_ORDERS")
  }
  if (order.stopPrice > 0n && context.openStops >= listing.openStopsMax) {
    return failure("MAX_NUM_ALGO_ORDERS")
  }
  return undefined
}

function isInBand(price: Atoms, reference: Atoms): boolean {
  return price * 1_000n <= reference * PRICE_BAND_MILLI.up &&
    price * 1_000n >= reference * PRICE_BAND_MILLI.down
}

function failure(filter: string): Refusal {
  return { code: -1013, text: `Filter failure: ${filter}` }
}
