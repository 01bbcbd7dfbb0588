/**
 * The venue's order ids and our client ids, learned from every order that was ever shown.
 *
 * Orders are cancelled and replaced by the one and known to us by the other; asking again for what
 * has been seen would cost a request each time. It forgets the oldest.
 */
/** Order ids remembered with their client ids. */
const KNOWN_MAX = 10_000

export class KnownOrders {
  readonly #clientIds = new Map<string, string>()
  readonly #orderIds = new Map<string, string>()

  remember<A extends { readonly id: string; readonly client_order_id: string }>(order: A): A {
    this.#clientIds.set(order.id, order.client_order_id)
    this.#orderIds.set(order.client_order_id, order.id)
    for (const kept of [this.#clientIds, this.#orderIds]) {
      for (const key of kept.keys()) {
        if (kept.size <= KNOWN_MAX) break
        kept.delete(key)
      }
    }
    return order
  }

  orderId(clientOrderId: string): string | undefined {
    return this.#orderIds.get(clientOrderId)
  }

  clientId(orderId: string): string | undefined {
    return this.#clientIds.get(orderId)
  }
}
