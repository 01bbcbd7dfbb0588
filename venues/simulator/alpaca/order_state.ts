/**
 * What the statuses of an order mean, and what an order's request makes of its exits.
 */
import type { OrderRecord, OrderStatus } from "./ledger.ts"
import type { Holds } from "./order_checks.ts"
import type { OrderRequest } from "./order_request.ts"
import { type Refusal, unprocessable } from "./refusal.ts"

/** An order without what only its checks need. */
export type OrderShape = Omit<OrderRequest, "positionIntent" | "takeProfit" | "stopLoss">

const TERMINAL = new Set<OrderStatus>(["filled", "canceled", "expired", "replaced", "rejected"])
const AT_MARKET = new Set<OrderStatus>(["new", "partially_filled"])

/** Nothing becomes of it any more. */
export function isTerminal(order: Pick<OrderRecord, "status">): boolean {
  return TERMINAL.has(order.status)
}

/** A cancel or a replacement that is under way does not stop an order from trading. */
export function isAtMarket(order: Pick<OrderRecord, "status" | "statusBefore">): boolean {
  return isUndisturbed(order) ||
    ((order.status === "pending_cancel" || order.status === "pending_replace") &&
      AT_MARKET.has(order.statusBefore))
}

/** At the market, and nothing is under way that would change it. */
export function isUndisturbed(order: Pick<OrderRecord, "status">): boolean {
  return AT_MARKET.has(order.status)
}

export function status(now: OrderStatus): Pick<OrderRecord, "status" | "statusBefore"> {
  return { status: now, statusBefore: now }
}

export function cancelProblem(order: OrderRecord): Refusal | undefined {
  if (order.status === "pending_cancel") return unprocessable("order pending cancel")
  const isReplacing = order.status === "pending_new" && order.replaces !== ""
  if (isReplacing || order.status === "pending_replace") {
    return unprocessable("order pending replace")
  }
  if (!isTerminal(order)) return undefined
  return unprocessable(`order is already in "${order.status}" state`)
}

/** The exits of an entry, as orders of their own. */
export function legsOf(
  request: OrderRequest,
): ReadonlyArray<Partial<OrderShape> & Pick<OrderShape, "side">> {
  const isExit = request.orderClass === "oco"
  const opposite = request.side === "buy" ? "sell" as const : "buy" as const
  const common = {
    side: isExit ? request.side : opposite,
    trailPrice: 0n,
    trailPercent: 0n,
  }
  const { takeProfit, stopLoss } = request
  return [
    ...(takeProfit !== undefined && !isExit
      ? [{ ...common, type: "limit" as const, limitPrice: takeProfit.limitPrice, stopPrice: 0n }]
      : []),
    ...(stopLoss !== undefined
      ? [{
        ...common,
        type: stopLoss.limitPrice > 0n ? "stop_limit" as const : "stop" as const,
        limitPrice: stopLoss.limitPrice,
        stopPrice: stopLoss.stopPrice,
      }]
      : []),
  ]
}

/** Legs hold nothing before their time. */
export function noHolds(holds: Holds, { side }: Pick<OrderShape, "side">): Holds {
  return {
    intent: side === "buy" ? "buy_to_close" : "sell_to_close",
    quantity: holds.quantity,
    cash: 0n,
    held: 0n,
  }
}
