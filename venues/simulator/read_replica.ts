/**
 * The books as queries see them: the engine's, a while ago.
 *
 * The real venue answers queries from a copy that follows the engine; right after an
 * order was placed the copy may not know it. Here the copy follows by `lagMs`, which
 * is usually 0, and never goes back.
 */
import { type Change, isOpen } from "./exchange_books.ts"
import type { BalanceRecord, FillRecord, LedgerContents, OrderRecord } from "./ledger.ts"

export class ReadReplica {
  lagMs = 0
  readonly #now: () => number
  readonly #orders = new Map<number, OrderRecord>()
  readonly #open = new Set<number>()
  readonly #fills = new Map<number, FillRecord>()
  readonly #balances = new Map<string, BalanceRecord>()
  #coming: Array<{ readonly at: number; readonly change: Change }> = []

  constructor(contents: LedgerContents, now: () => number) {
    this.#now = now
    for (const fill of contents.fills) this.#fills.set(fill.executionId, fill)
    for (const order of contents.orders) this.#put(order)
    for (const balance of contents.balances) this.#balances.set(balance.asset, balance)
  }

  follow(change: Change) {
    const last = this.#coming.at(-1)?.at ?? 0
    this.#coming.push({ at: Math.max(last, this.#now() + this.lagMs), change })
    this.#catchUp()
  }

  /** By order id, ascending. */
  get orders(): ReadonlyArray<OrderRecord> {
    this.#catchUp()
    return [...this.#orders.values()]
  }

  get fills(): ReadonlyArray<FillRecord> {
    this.#catchUp()
    return [...this.#fills.values()]
  }

  get balances(): ReadonlyArray<BalanceRecord> {
    this.#catchUp()
    return [...this.#balances.values()]
  }

  order(orderId: number): OrderRecord | undefined {
    this.#catchUp()
    return this.#orders.get(orderId)
  }

  openOrders(symbol?: string): ReadonlyArray<OrderRecord> {
    this.#catchUp()
    return [...this.#open].toSorted((a, b) => a - b).flatMap((id) => {
      const order = this.#orders.get(id)
      return order === undefined || (symbol ?? order.symbol) !== order.symbol ? [] : [order]
    })
  }

  #catchUp() {
    const now = this.#now()
    while (this.#coming[0] !== undefined && this.#coming[0].at <= now) {
      const { change } = this.#coming[0]
      this.#coming.shift()
      for (const order of change.orders) this.#put(order)
      for (const fill of change.fills) this.#fills.set(fill.executionId, fill)
      for (const balance of change.balances) this.#balances.set(balance.asset, balance)
      for (const orderId of change.forgotten.orders) this.#orders.delete(orderId)
      for (const executionId of change.forgotten.fills) this.#fills.delete(executionId)
    }
  }

  #put(order: OrderRecord) {
    this.#orders.set(order.orderId, order)
    if (isOpen(order)) this.#open.add(order.orderId)
    else this.#open.delete(order.orderId)
  }
}
