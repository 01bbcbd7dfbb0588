/**
 * The matching engine's books: orders, fills, balances and the ids given out, and what has changed
 * in them since the last commit. Every change goes through here, so none can be told that is not
 * written.
 */
import type { Atoms } from "./decimals.ts"
import type {
  BalanceRecord,
  Counters,
  FillRecord,
  Forgotten,
  LedgerContents,
  OrderRecord,
} from "./ledger.ts"
import { MEMORY, type Memory, oldestBeyond } from "./memory.ts"

export interface Report {
  readonly executionType: "NEW" | "TRADE" | "CANCELED" | "EXPIRED" | "TRADE_PREVENTION"
  readonly executionId: number
  /** The order right after this execution. */
  readonly order: OrderRecord
  readonly fill?: FillRecord
  /** On CANCELED: the id of the cancel request. */
  readonly cancelId?: string
  readonly time: number
}

/** What one call changed: to be committed, then told. */
export interface Change {
  readonly reports: ReadonlyArray<Report>
  readonly orders: ReadonlyArray<OrderRecord>
  readonly fills: ReadonlyArray<FillRecord>
  readonly balances: ReadonlyArray<BalanceRecord>
  readonly forgotten: Forgotten
}

export const NO_CHANGE: Change = {
  reports: [],
  orders: [],
  fills: [],
  balances: [],
  forgotten: { orders: [], fills: [] },
}

export function isOpen(order: Pick<OrderRecord, "status">): boolean {
  return order.status === "NEW" || order.status === "PARTIALLY_FILLED"
}

export class ExchangeBooks {
  readonly #memory: Memory
  readonly #orders = new Map<number, OrderRecord>()
  /** Open orders per symbol, oldest first. */
  readonly #open = new Map<string, Set<number>>()
  /** Orders that are over, in the order in which they ended. */
  readonly #done = new Set<number>()
  /** By execution id, ascending. */
  readonly #fills = new Map<number, FillRecord>()
  readonly #balances = new Map<string, BalanceRecord>()
  readonly #tradeIds = new Map<string, number>()
  #orderId: number
  #executionId: number
  #updateTime: number
  #pending = emptyPending()

  constructor({ orders, fills, balances, counters }: LedgerContents, memory: Memory = MEMORY) {
    this.#memory = memory
    for (const order of orders) this.#file(order)
    for (const fill of fills) this.#fills.set(fill.executionId, fill)
    for (const balance of balances) this.#balances.set(balance.asset, balance)
    for (const [symbol, id] of Object.entries(counters?.tradeIds ?? {})) {
      this.#tradeIds.set(symbol, id)
    }
    this.#orderId = counters?.orderId ?? 0
    this.#executionId = counters?.executionId ?? 0
    this.#updateTime = counters?.updateTime ?? 0
  }

  // Reading

  get orders(): ReadonlyArray<OrderRecord> {
    return [...this.#orders.values()]
  }

  get fills(): ReadonlyArray<FillRecord> {
    return [...this.#fills.values()]
  }

  get balances(): ReadonlyArray<BalanceRecord> {
    return [...this.#balances.values()]
  }

  get updateTime(): number {
    return this.#updateTime
  }

  find(orderId: number): OrderRecord | undefined {
    return this.#orders.get(orderId)
  }

  order(orderId: number): OrderRecord {
    const order = this.#orders.get(orderId)
    if (order === undefined) throw new RangeError(`no order ${orderId}`)
    return order
  }

  hasOpen(symbol: string): boolean {
    return (this.#open.get(symbol)?.size ?? 0) > 0
  }

  /** By order id, ascending. */
  open(symbol?: string): ReadonlyArray<OrderRecord> {
    const ids = symbol === undefined
      ? [...this.#open.values()].flatMap((ids) => [...ids])
      : [...this.#open.get(symbol) ?? []]
    return ids.map((id) => this.order(id)).sort((a, b) => a.orderId - b.orderId)
  }

  balance(asset: string): BalanceRecord {
    return this.#balances.get(asset) ?? { asset, free: 0n, locked: 0n }
  }

  counters(updateId: number): Counters {
    return {
      orderId: this.#orderId,
      executionId: this.#executionId,
      tradeIds: Object.fromEntries(this.#tradeIds),
      updateId,
      updateTime: this.#updateTime,
    }
  }

  // Ids

  takeOrderId(): number {
    return ++this.#orderId
  }

  /** The next id on `symbol`'s tape. */
  takeTradeId(symbol: string): number {
    const id = (this.#tradeIds.get(symbol) ?? 0) + 1
    this.#tradeIds.set(symbol, id)
    return id
  }

  /** No trade id at or below `tradeId` will be given out from here on. */
  reserveTradeIds(symbol: string, tradeId: number) {
    this.#tradeIds.set(symbol, Math.max(tradeId, this.#tradeIds.get(symbol) ?? 0))
  }

  // Writing

  put(order: OrderRecord) {
    this.#file(order)
    this.#pending.orders.set(order.orderId, order)
  }

  setBalance(balance: BalanceRecord) {
    if (balance.free < 0n || balance.locked < 0n) {
      throw new RangeError(
        `${balance.asset} below zero: ${balance.free} free, ${balance.locked} locked`,
      )
    }
    this.#balances.set(balance.asset, balance)
    this.#pending.balances.set(balance.asset, balance)
  }

  /** Moves money from what is free to what is locked, or back. */
  lock(asset: string, amount: Atoms) {
    const balance = this.balance(asset)
    this.setBalance({ ...balance, free: balance.free - amount, locked: balance.locked + amount })
  }

  /** Books a fill of an order as it is after it. */
  note(fill: Omit<FillRecord, "executionId" | "tradeId">) {
    const executionId = ++this.#executionId
    const record = { ...fill, tradeId: this.takeTradeId(fill.symbol), executionId }
    this.#fills.set(executionId, record)
    this.#pending.fills.push(record)
    const { time } = fill
    const order = this.order(fill.orderId)
    this.#pending.reports.push({ executionType: "TRADE", executionId, order, time, fill: record })
  }

  report(
    executionType: Exclude<Report["executionType"], "TRADE">,
    orderId: number,
    time: number,
    cancelId?: string,
  ) {
    this.#pending.reports.push({
      executionType,
      executionId: ++this.#executionId,
      order: this.order(orderId),
      time,
      ...(cancelId !== undefined && cancelId !== "" && { cancelId }),
    })
  }

  /** The last report of an order shows it as it is now. */
  amendLastReport(orderId: number) {
    const { reports } = this.#pending
    const at = reports.findLastIndex((report) => report.order.orderId === orderId)
    const last = reports[at]
    if (last !== undefined) reports[at] = { ...last, order: this.order(orderId) }
  }

  /** Everything since the last time. */
  finish(now: number): Change {
    const { reports, orders, fills, balances } = this.#pending
    if (orders.size === 0 && balances.size === 0) return NO_CHANGE
    this.#updateTime = now
    this.#pending = emptyPending()
    return {
      reports,
      orders: [...orders.values()],
      fills,
      balances: [...balances.values()],
      forgotten: this.#forget(),
    }
  }

  #file(order: OrderRecord) {
    const { orderId, symbol } = order
    this.#orders.set(orderId, order)
    const open = this.#open.get(symbol) ?? new Set()
    this.#open.set(symbol, open)
    if (isOpen(order)) {
      open.add(orderId)
      return
    }
    open.delete(orderId)
    this.#done.add(orderId)
  }

  #forget(): Forgotten {
    const { doneOrdersMax, fillsMax } = this.#memory
    const orders = oldestBeyond(doneOrdersMax, this.#done)
    const fills = oldestBeyond(fillsMax, this.#fills)
    for (const orderId of orders) {
      this.#done.delete(orderId)
      this.#orders.delete(orderId)
    }
    for (const executionId of fills) this.#fills.delete(executionId)
    return { orders, fills }
  }
}

function emptyPending() {
  return {
    reports: new Array<Report>(),
    orders: new Map<number, OrderRecord>(),
    fills: new Array<FillRecord>(),
    balances: new Map<string, BalanceRecord>(),
  }
}
