/**
 * The life of one order.
 *
 * In flight is a state, and so is not knowing: an order whose answer was lost is `unconfirmed`
 * until the venue has been asked, and counts as live meanwhile. What was filled never shrinks, and
 * a finished order stays finished; evidence that arrives late or twice changes nothing.
 */
import { add, type Decimal, isLess, multiply, subtract, zero } from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"
import type { Fill } from "./position.ts"

/** FIX OrdType, and `limit_maker`: a limit order that is refused if it would take. */
export type OrderType =
  | "market"
  | "limit"
  | "limit_maker"
  | "stop"
  | "stop_limit"
  | "take_profit_limit"
  | "trailing_stop"

/** FIX TimeInForce. */
export type TimeInForce = "day" | "gtc" | "ioc" | "fok"
/** What an order may do: open or increase exposure, or only reduce it. */
export type OrderPurpose = "open" | "reduce"

export type OrderStatus =
  | "submitted"
  | "accepted"
  | "partially_filled"
  | "filled"
  | "cancel_pending"
  | "canceled"
  | "expired"
  | "rejected"
  | "unconfirmed"

export interface Order {
  readonly clientOrderId: string
  /** The venue's id, as text end to end; undefined until it has answered. */
  readonly venueOrderId: string | undefined
  readonly venue: string
  readonly instrument: InstrumentId
  readonly side: "buy" | "sell"
  readonly type: OrderType
  readonly purpose: OrderPurpose
  readonly quantity: Decimal
  readonly price: Decimal | undefined
  readonly filledQuantity: Decimal
  /** Sum of price x quantity over the fills. */
  readonly filledNotional: Decimal
  readonly status: OrderStatus
  /** Runner, or `operator`. */
  readonly origin: string
  readonly reason: string
  readonly note: string | undefined
  readonly submittedAt: number
  readonly updatedAt: number
}

const finished: ReadonlySet<OrderStatus> = new Set(["filled", "canceled", "expired", "rejected"])

export function isOpen(order: Order): boolean {
  return !finished.has(order.status)
}

/** Asked for and not yet filled; an open order may still turn all of it into a position. */
export function leavesQuantity(order: Order): Decimal {
  return isOpen(order) ? subtract(order.quantity, order.filledQuantity) : zero
}

export function accept(order: Order, venueOrderId: string, time: number): Order {
  const known = { ...order, venueOrderId }
  if (!isOpen(order)) return known
  const status = order.status === "submitted" || order.status === "unconfirmed"
    ? filledStatus(order)
    : order.status
  return { ...known, status, updatedAt: time }
}

/** The caller has made sure that this execution is new. */
export function fill(order: Order, execution: Fill): Order {
  const filledQuantity = add(order.filledQuantity, execution.quantity)
  if (isLess(order.quantity, filledQuantity)) {
    throw new Error(`order ${order.clientOrderId} is filled beyond its quantity`)
  }
  const filled = {
    ...order,
    filledQuantity,
    filledNotional: add(order.filledNotional, multiply(execution.price, execution.quantity)),
    updatedAt: execution.time,
  }
  // A fill may arrive after the cancel or the expiry that it raced: the quantity counts, the end stays.
  if (!isOpen(order)) {
    return isLess(filledQuantity, order.quantity) ? filled : { ...filled, status: "filled" }
  }
  const stays = order.status === "cancel_pending" && isLess(filledQuantity, order.quantity)
  return { ...filled, status: stays ? "cancel_pending" : filledStatus(filled) }
}

/** Ends the order unless it has ended already. */
export function finish(
  order: Order,
  status: "canceled" | "expired" | "rejected",
  time: number,
  note?: string,
): Order {
  return isOpen(order) ? { ...order, status, updatedAt: time, note: note ?? order.note } : order
}

export function requestCancel(order: Order, time: number): Order {
  return isOpen(order) ? { ...order, status: "cancel_pending", updatedAt: time } : order
}

/** Only an order that nobody has heard of since it was sent can be unconfirmed. */
export function doubt(order: Order, time: number, note: string): Order {
  return order.status === "submitted"
    ? { ...order, status: "unconfirmed", updatedAt: time, note }
    : order
}

function filledStatus(order: Order): OrderStatus {
  if (!isLess(order.filledQuantity, order.quantity)) return "filled"
  return order.filledQuantity.value === 0n ? "accepted" : "partially_filled"
}
