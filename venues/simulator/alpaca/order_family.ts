/**
 * Orders that belong together, and how they end.
 *
 * An entry has exits; of two exits one cancels the other; nobody outlives what it is for.
 */
import type { OrderRecord } from "./ledger.ts"
import type { OrderBooks } from "./order_books.ts"
import { isAtMarket, isTerminal, status } from "./order_state.ts"

export type Ending = "canceled" | "expired" | "rejected"

/** The other exit, while both are open. */
export function partnerOf(books: OrderBooks, order: OrderRecord): OrderRecord | undefined {
  const parent = order.parentId === "" ? undefined : books.order(order.parentId)
  const ids = parent === undefined
    ? order.orderClass === "oco" ? order.legIds : []
    : parent.orderClass === "oco"
    ? [parent.id]
    : parent.legIds
  return ids.filter((id) => id !== order.id).map((id) => books.order(id))
    .find((other) => !isTerminal(other))
}

/** A stop-loss whose take-profit is at work. */
export function isStandby(books: OrderBooks, order: OrderRecord): boolean {
  const partner = order.status === "held" && order.parentId !== ""
    ? partnerOf(books, order)
    : undefined
  return partner !== undefined && isAtMarket(partner)
}

/** A final status for an order and for what cannot go on without it. */
export function endOrder(books: OrderBooks, id: string, how: Ending, now: number) {
  const order = books.order(id)
  const partner = partnerOf(books, order)
  finalise(books, order, how, now)
  if (partner !== undefined) finalise(books, partner, how === "rejected" ? "canceled" : how, now)
  if (order.replaces !== "" && how === "rejected") return
  for (const legId of order.legIds) {
    const leg = books.order(legId)
    if (!isTerminal(leg)) finalise(books, leg, how === "rejected" ? "canceled" : how, now)
  }
}

/** A final status for one order alone, unless it has one. */
export function finalise(books: OrderBooks, order: OrderRecord, how: Ending, now: number) {
  if (isTerminal(books.order(order.id))) return
  books.amend(order.id, {
    ...status(how),
    heldCash: 0n,
    heldQuantity: 0n,
    updatedAt: now,
    ...(how === "canceled" && { canceledAt: now }),
    ...(how === "expired" && { expiredAt: now }),
    ...(how === "rejected" && { failedAt: now }),
  })
  books.tell(how, order.id, now)
}
