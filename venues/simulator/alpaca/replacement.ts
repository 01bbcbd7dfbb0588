/**
 * What one order becomes when it is replaced.
 *
 * Quantity is the total: what has filled already counts. Changes nothing.
 */
import { ONE } from "../decimals.ts"
import type { OrderRecord } from "./ledger.ts"
import type { AlpacaListing } from "./market.ts"
import { type Books, closingProblem, remainingCash, spendingProblem } from "./order_checks.ts"
import { gridProblem, type ReplaceRequest } from "./order_request.ts"
import { isTerminal } from "./order_state.ts"
import { malformed, type Refusal, unprocessable } from "./refusal.ts"

/**
 * What an order becomes, or why it cannot. Holds are what the new order needs beyond the old one,
 * for until the market has swapped them the larger of the two is held.
 */
export function replacementOf(
  order: OrderRecord,
  request: ReplaceRequest,
  listing: AlpacaListing,
  books: Pick<Books, "account" | "open">,
): OrderRecord | Refusal {
  if (order.status === "pending_new") {
    return malformed("unable to replace order, order isn't sent to exchange yet")
  }
  if (
    order.status === "pending_cancel" || order.status === "pending_replace" || isTerminal(order)
  ) {
    return unprocessable("unable to replace order, order is not open")
  }
  const isPart = order.parentId !== "" || order.legIds.length > 0
  if (isPart && request.quantity !== undefined && request.quantity !== order.quantity) {
    return unprocessable("unable to replace order, qty of a complex order cannot be changed")
  }
  if (order.notional > 0n && request.quantity !== undefined) {
    return unprocessable("unable to replace order, qty of a notional order cannot be changed")
  }
  const next: OrderRecord = {
    ...order,
    quantity: request.quantity ?? order.quantity,
    limitPrice: request.limitPrice ?? order.limitPrice,
    stopPrice: request.stopPrice ?? order.stopPrice,
    timeInForce: request.timeInForce ?? order.timeInForce,
    trailPrice: order.trailPrice > 0n ? request.trail ?? order.trailPrice : 0n,
    trailPercent: order.trailPercent > 0n ? request.trail ?? order.trailPercent : 0n,
  }
  if (next.quantity <= order.filled && next.quantity > 0n) {
    return unprocessable("unable to replace order, qty must be > filled_qty")
  }
  const problem = replaceProblem(order, next, listing) ?? gridProblem(next, listing)
  if (problem !== undefined) return problem
  if (order.status === "held") return next
  const left = next.quantity - order.filled
  if (order.heldQuantity > 0n) {
    const more = left - order.heldQuantity
    const position = books.account.position(order.symbol).quantity
    const short = more > 0n
      ? closingProblem(order.symbol, listing, more, position, books)
      : undefined
    return short ?? { ...next, heldQuantity: more > 0n ? more : 0n }
  }
  const cash = next.limitPrice > 0n && order.side === "buy"
    ? remainingCash({ ...next, heldCash: 1n }, 0n)
    : order.quantity > order.filled
    ? order.heldCash * left / (order.quantity - order.filled)
    : order.heldCash
  const more = cash - order.heldCash
  const poor = more > 0n ? spendingProblem(more, listing, books) : undefined
  return poor ?? { ...next, heldCash: more > 0n ? more : 0n }
}

function replaceProblem(
  order: OrderRecord,
  next: OrderRecord,
  listing: AlpacaListing,
): Refusal | undefined {
  const isSame = next.quantity === order.quantity && next.limitPrice === order.limitPrice &&
    next.stopPrice === order.stopPrice && next.timeInForce === order.timeInForce &&
    next.trailPrice === order.trailPrice && next.trailPercent === order.trailPercent
  if (isSame) return unprocessable("order parameters are not changed")
  if (next.limitPrice > 0n && order.limitPrice === 0n) {
    return unprocessable(`${order.type} orders require no limit price`)
  }
  if (next.stopPrice > 0n && (order.stopPrice === 0n || order.type === "trailing_stop")) {
    if (next.stopPrice !== order.stopPrice) {
      return unprocessable(`${order.type} orders require no stop price`)
    }
  }
  if (next.timeInForce !== order.timeInForce) {
    const known = listing.assetClass === "crypto" ? ["gtc", "ioc"] : ["day", "gtc", "ioc", "fok"]
    if (!known.includes(next.timeInForce)) return unprocessable("invalid time_in_force")
  }
  const step = listing.assetClass === "crypto" ? listing.quantityStep : 1n
  if (next.quantity % step !== 0n) return malformed("invalid qty")
  const isFractional = listing.assetClass === "us_equity" && next.quantity % ONE !== 0n
  if (isFractional && next.timeInForce !== "day") {
    return unprocessable("fractional orders must be DAY orders")
  }
  return undefined
}
