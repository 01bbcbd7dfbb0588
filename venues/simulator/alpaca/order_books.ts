/**
 * The exchange's books: orders, fills and the account, and what has changed in them since the last
 * commit. Every change goes through here, so none can be told that is not written.
 */
import type { Atoms } from "../decimals.ts"
import type { Forgotten } from "../ledger.ts"
import { MEMORY, type Memory, oldestBeyond } from "../memory.ts"
import { Account } from "./account.ts"
import type {
  AccountRecord,
  AlpacaLedgerContents,
  FillRecord,
  OrderRecord,
  PositionRecord,
} from "./ledger.ts"
import type { AlpacaListing, AlpacaMarket } from "./market.ts"
import { isTerminal } from "./order_state.ts"
import { makeUlid, makeUuid } from "./trading_ids.ts"

/** The way of an order to the market, of a cancel, of a replacement; on the venue's clock. */
const DELAYS_MS = { route: 10, cancel: 15, replace: 15, retry: 500 } as const

export type EventName =
  | "accepted"
  | "pending_new"
  | "new"
  | "partial_fill"
  | "fill"
  | "pending_cancel"
  | "canceled"
  | "expired"
  | "pending_replace"
  | "replaced"
  | "order_replace_rejected"
  | "rejected"

export interface OrderEvent {
  readonly event: EventName
  readonly eventId: string
  /** Empty for what only happened on the way. */
  readonly executionId: string
  readonly time: number
  /** The order right after it. */
  readonly order: OrderRecord
  /** Of a fill: this execution's, and the position after it. */
  readonly execution?: {
    readonly price: Atoms
    readonly quantity: Atoms
    readonly position: Atoms
  }
}

/** Something to do after a while. */
export interface Task {
  readonly kind: keyof typeof DELAYS_MS
  readonly afterMs: number
  readonly orderId: string
}

/** What one call changed: to be committed, then told. */
export interface Change {
  readonly events: ReadonlyArray<OrderEvent>
  readonly orders: ReadonlyArray<OrderRecord>
  readonly fills: ReadonlyArray<FillRecord>
  readonly positions: ReadonlyArray<PositionRecord>
  readonly account: AccountRecord
  readonly tasks: ReadonlyArray<Task>
  /** The account's fills as prints on the tape. */
  readonly prints: ReadonlyArray<Print>
  readonly forgotten: Forgotten
}

export type Print = Parameters<AlpacaMarket["print"]>

export class OrderBooks {
  readonly account: Account
  readonly #market: Pick<AlpacaMarket, "listings">
  readonly #seed: number
  readonly #orders = new Map<string, OrderRecord>()
  readonly #byClientId = new Map<string, string>()
  readonly #memory: Memory
  readonly #open = new Set<string>()
  /** Ids of orders that are over, in the order in which they ended. */
  readonly #done = new Set<string>()
  /** By execution id, in the order in which they happened. */
  readonly #fills = new Map<string, FillRecord>()
  /** The execution id of what changed a fill, by the one of that fill. */
  readonly #changedBy = new Map<string, string>()
  #pending = emptyPending()

  constructor(
    market: Pick<AlpacaMarket, "listings" | "book" | "lastPrice">,
    contents: AlpacaLedgerContents,
    account: AccountRecord,
    { seed, memory = MEMORY }: { readonly seed: number; readonly memory?: Memory | undefined },
  ) {
    this.#market = market
    this.#seed = seed
    this.#memory = memory
    this.account = new Account(market, account, contents.positions)
    for (const order of contents.orders) {
      // Of a symbol that is not traded here any more nothing can become.
      if (!market.listings.has(order.symbol)) continue
      this.#file(order)
    }
    for (const fill of contents.fills) if (market.listings.has(fill.symbol)) this.#enter(fill)
  }

  // Reading

  /** In the order of their arrival. */
  get orders(): ReadonlyArray<OrderRecord> {
    return [...this.#orders.values()].sort((a, b) => a.sequence - b.sequence)
  }

  get open(): ReadonlyArray<OrderRecord> {
    return [...this.#open].map((id) => this.order(id)).sort((a, b) => a.sequence - b.sequence)
  }

  get fills(): ReadonlyArray<FillRecord> {
    return [...this.#fills.values()]
  }

  fill(executionId: string): FillRecord | undefined {
    return this.#fills.get(executionId)
  }

  find(id: string): OrderRecord | undefined {
    return this.#orders.get(id)
  }

  findByClientId(clientOrderId: string): OrderRecord | undefined {
    return this.#orders.get(this.#byClientId.get(clientOrderId) ?? "")
  }

  order(id: string): OrderRecord {
    const order = this.#orders.get(id)
    if (order === undefined) throw new RangeError(`no order ${id}`)
    return order
  }

  listing(symbol: string): AlpacaListing {
    const listing = this.#market.listings.get(symbol)
    if (listing === undefined) throw new RangeError(`not listed: ${symbol}`)
    return listing
  }

  hasOpen(symbol: string): boolean {
    for (const id of this.#open) if (this.order(id).symbol === symbol) return true
    return false
  }

  /** What has not been changed since. */
  lastOf(executionId: string): FillRecord | undefined {
    const found = this.#fills.get(executionId)
    return found?.kind === "bust" || this.#changedBy.has(executionId) ? undefined : found
  }

  get isClean(): boolean {
    const { events, orders, fills, symbols, tasks, isNewDay } = this.#pending
    if (isNewDay) return false
    return events.length + orders.size + fills.length + symbols.size + tasks.length === 0
  }

  // Writing

  put(order: OrderRecord): OrderRecord {
    this.#file(order)
    this.#pending.orders.add(order.id)
    return order
  }

  amend(id: string, change: Partial<OrderRecord>): OrderRecord {
    return this.put({ ...this.order(id), ...change })
  }

  /** The position of a symbol has changed. */
  touch(symbol: string) {
    this.#pending.symbols.add(symbol)
  }

  note(fill: Omit<FillRecord, "sequence" | "executionId">): FillRecord {
    const sequence = this.account.record.fillSequence + 1
    this.account.update({ fillSequence: sequence })
    const record = { ...fill, sequence, executionId: this.uuid() }
    this.#enter(record)
    this.#pending.fills.push(record)
    return record
  }

  tell(
    event: EventName,
    id: string,
    now: number,
    facts: Partial<Pick<OrderEvent, "executionId" | "execution">> = {},
  ) {
    const isOnTheWay = event === "accepted" || event.startsWith("pending_")
    const executionId = facts.executionId ?? (isOnTheWay ? "" : this.uuid())
    const { eventSequence, eventTime } = this.account.record
    const time = Math.max(eventTime, now)
    this.account.update({ eventSequence: eventSequence + 1, eventTime: time })
    const eventId = makeUlid(time, eventSequence + 1)
    const order = this.order(id)
    this.#pending.events.push({ event, eventId, time: now, order, ...facts, executionId })
  }

  /** The last fill of an order, of which only a part was told, was all of it after all. */
  complete(id: string) {
    const { events, fills } = this.#pending
    const at = events.findLastIndex((event) => event.order.id === id)
    const event = events[at]
    if (event !== undefined) events[at] = { ...event, event: "fill", order: this.order(id) }
    const which = fills.findLastIndex((fill) => fill.orderId === id)
    const fill = fills[which]
    if (fill === undefined) return
    const final = { ...fill, orderStatus: "filled" as const }
    fills[which] = final
    this.#enter(final)
  }

  later(kind: Task["kind"], orderId: string) {
    this.#pending.tasks.push({ kind, orderId, afterMs: DELAYS_MS[kind] })
  }

  print(...print: Print) {
    this.#pending.prints.push(print)
  }

  closeDay() {
    this.account.closeDay(this.account.funds(this.open))
    this.#pending.isNewDay = true
    for (const position of this.account.positions) this.touch(position.symbol)
  }

  uuid(): string {
    const sequence = this.account.record.idSequence + 1
    this.account.update({ idSequence: sequence })
    return makeUuid(this.#seed, sequence)
  }

  /** Everything since the last time. */
  finish(): Change {
    const { events, orders, fills, symbols, tasks, prints } = this.#pending
    this.#pending = emptyPending()
    return {
      events,
      orders: [...orders].map((id) => this.order(id)),
      fills,
      positions: [...symbols].map((symbol) => this.account.position(symbol)),
      account: this.account.record,
      tasks,
      prints,
      forgotten: this.#forget(),
    }
  }

  #file(order: OrderRecord) {
    this.#orders.set(order.id, order)
    this.#byClientId.set(order.clientOrderId, order.id)
    if (!isTerminal(order)) {
      this.#open.add(order.id)
      return
    }
    this.#open.delete(order.id)
    this.#done.add(order.id)
  }

  #enter(fill: FillRecord) {
    this.#fills.set(fill.executionId, fill)
    if (fill.previousId !== "") this.#changedBy.set(fill.previousId, fill.executionId)
  }

  #forget(): Forgotten {
    const { doneOrdersMax, fillsMax } = this.#memory
    const orders = oldestBeyond(doneOrdersMax, this.#done, (id) => this.#isNeeded(id))
    const fills = oldestBeyond(fillsMax, this.#fills)
    return {
      orders: orders.map((id) => {
        const { sequence, clientOrderId } = this.order(id)
        this.#done.delete(id)
        this.#orders.delete(id)
        this.#byClientId.delete(clientOrderId)
        return sequence
      }),
      fills: fills.flatMap((executionId) => {
        const sequence = this.#fills.get(executionId)?.sequence
        this.#fills.delete(executionId)
        this.#changedBy.delete(executionId)
        return sequence ?? []
      }),
    }
  }

  /** An order that is over is still asked about by those of its family that are open. */
  #isNeeded(id: string): boolean {
    const { parentId, legIds, replaces, replacedBy } = this.order(id)
    const siblings = this.find(parentId)?.legIds ?? []
    return [parentId, ...legIds, ...siblings, replaces, replacedBy]
      .some((relative) => this.#open.has(relative))
  }
}

function emptyPending() {
  return {
    events: new Array<OrderEvent>(),
    orders: new Set<string>(),
    fills: new Array<FillRecord>(),
    symbols: new Set<string>(),
    tasks: new Array<Task>(),
    prints: new Array<Print>(),
    isNewDay: false,
  }
}
