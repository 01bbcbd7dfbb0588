/**
 * The matching engine and the account: orders in, fills and balances out.
 *
 * Pure of I/O: time is an argument, a call returns everything it changed, and the
 * caller makes that durable before telling anyone. Orders take what the book
 * shows, at the shown price, level by level; resting orders fill when the market
 * trades or quotes through them, in price-time order, never for more than the
 * market traded or showed. It does not move the market and does not know sockets.
 *
 * Fees are 0.1 % of what is received, cut to 1e-8.
 */
import { type Atoms, floorTo, minAtoms, notional, ONE } from "./decimals.ts"
import type { BalanceRecord, Counters, FillRecord, LedgerContents, OrderRecord } from "./ledger.ts"
import type { Listing } from "./listing.ts"
import { type Level, ShownBook } from "./shown_book.ts"

export const FEE_BPS = 10n

export interface OrderRequest {
  readonly symbol: string
  readonly side: OrderRecord["side"]
  readonly type: OrderRecord["type"]
  readonly timeInForce: OrderRecord["timeInForce"]
  /** 0 when the type has none; so are the other amounts. */
  readonly price: Atoms
  readonly quantity: Atoms
  readonly quoteQuantity: Atoms
  readonly stopPrice: Atoms
  readonly clientOrderId: string
  readonly selfTradePrevention: OrderRecord["selfTradePrevention"]
}

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
}

/** Why the engine does not take a request; the venue's code and text. */
export interface Refusal {
  readonly code: number
  readonly text: string
}

export type Placed =
  | {
    readonly order: OrderRecord
    readonly fills: ReadonlyArray<FillRecord>
    readonly change: Change
  }
  | { readonly refusal: Refusal }

export type Canceled = { readonly order: OrderRecord; readonly change: Change } | {
  readonly refusal: Refusal
}

export const REFUSALS = {
  duplicate: { code: -2010, text: "Duplicate order sent." },
  insufficient: { code: -2010, text: "Account has insufficient balance for requested action." },
  wouldTake: { code: -2010, text: "Order would immediately match and take." },
  wouldTrigger: { code: -2010, text: "Stop price would trigger immediately." },
  closed: { code: -1013, text: "Market is closed." },
  unknown: { code: -2011, text: "Unknown order sent." },
} as const satisfies Record<string, Refusal>

export class Exchange {
  readonly #listings = new Map<string, Listing>()
  readonly #books = new Map<string, ShownBook>()
  readonly #orders = new Map<number, OrderRecord>()
  readonly #fills: Array<FillRecord> = []
  readonly #balances = new Map<string, BalanceRecord>()
  /** Open orders per symbol, oldest first. */
  readonly #open = new Map<string, Array<number>>()
  readonly #lastPrices = new Map<string, Atoms>()
  readonly #tradeIds = new Map<string, number>()
  #orderId: number
  #executionId: number
  #updateTime: number
  #pending = emptyPending()

  constructor(listings: ReadonlyArray<Listing>, contents: LedgerContents) {
    for (const listing of listings) {
      this.#listings.set(listing.symbol, listing)
      this.#books.set(listing.symbol, new ShownBook())
      this.#open.set(listing.symbol, [])
      this.#tradeIds.set(listing.symbol, contents.counters?.tradeIds[listing.symbol] ?? 0)
    }
    for (const order of contents.orders) {
      this.#orders.set(order.orderId, order)
      if (isOpen(order)) {
        const open = this.#open.get(order.symbol)
        if (open === undefined) this.#open.set(order.symbol, [order.orderId])
        else open.push(order.orderId)
      }
    }
    this.#fills.push(...contents.fills)
    for (const balance of contents.balances) this.#balances.set(balance.asset, balance)
    this.#orderId = contents.counters?.orderId ?? 0
    this.#executionId = contents.counters?.executionId ?? 0
    this.#updateTime = contents.counters?.updateTime ?? 0
  }

  // Reading

  get orders(): ReadonlyArray<OrderRecord> {
    return [...this.#orders.values()]
  }

  get fills(): ReadonlyArray<FillRecord> {
    return this.#fills
  }

  get balances(): ReadonlyArray<BalanceRecord> {
    return [...this.#balances.values()]
  }

  get updateTime(): number {
    return this.#updateTime
  }

  order(orderId: number): OrderRecord | undefined {
    return this.#orders.get(orderId)
  }

  openOrders(symbol?: string): ReadonlyArray<OrderRecord> {
    const ids = symbol === undefined
      ? [...this.#open.values()].flat()
      : this.#open.get(symbol) ?? []
    return ids.map((id) => this.#order(id)).sort((a, b) => a.orderId - b.orderId)
  }

  balance(asset: string): BalanceRecord {
    return this.#balances.get(asset) ?? { asset, free: 0n, locked: 0n }
  }

  book(symbol: string): ShownBook {
    const book = this.#books.get(symbol)
    if (book === undefined) throw new RangeError(`no book for ${symbol}`)
    return book
  }

  lastPrice(symbol: string): Atoms | undefined {
    return this.#lastPrices.get(symbol)
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

  // The account's requests

  /** Adds money from outside. */
  deposit(asset: string, amount: Atoms, now: number): Change {
    const balance = this.balance(asset)
    this.#setBalance({ ...balance, free: balance.free + amount })
    return this.#finish(now)
  }

  place(request: OrderRequest, now: number): Placed {
    const refusal = this.#refuse(request)
    if (refusal !== undefined) return { refusal }
    const reserve = this.#reserve(request)
    const asset = this.#lockAsset(request)
    const isStop = request.stopPrice > 0n
    if (this.balance(asset).free < reserve) return { refusal: REFUSALS.insufficient }

    const order: OrderRecord = {
      ...request,
      orderId: ++this.#orderId,
      status: "NEW",
      executed: 0n,
      cumulativeQuote: 0n,
      locked: 0n,
      isWorking: !isStop,
      workingTime: isStop ? -1 : now,
      time: now,
      updateTime: now,
    }
    this.#put(this.#lock(order, reserve))
    this.#open.get(order.symbol)?.push(order.orderId)
    this.#report("NEW", this.#order(order.orderId), now)
    if (!isStop) this.#work(order.orderId, now)
    const change = this.#finish(now)
    return { order: this.#order(order.orderId), fills: change.fills, change }
  }

  /** What `place` would refuse; changes nothing. */
  check(request: OrderRequest): Refusal | undefined {
    const refusal = this.#refuse(request)
    if (refusal !== undefined) return refusal
    const free = this.balance(this.#lockAsset(request)).free
    return free < this.#reserve(request) ? REFUSALS.insufficient : undefined
  }

  cancel(orderId: number, cancelId: string, now: number): Canceled {
    const order = this.#orders.get(orderId)
    if (order === undefined || !isOpen(order)) return { refusal: REFUSALS.unknown }
    this.#end(order, "CANCELED", "CANCELED", now, cancelId)
    return { order: this.#order(orderId), change: this.#finish(now) }
  }

  /** Fills what is left of a resting order at its own price. */
  fillResting(orderId: number, now: number): Change {
    const order = this.#orders.get(orderId)
    if (order === undefined || !isOpen(order) || !order.isWorking) return NO_CHANGE
    this.#fill(order, order.price, order.quantity - order.executed, true, now)
    return this.#finish(now)
  }

  // The market

  /** New rules for a symbol; open orders stay as they are. */
  relist(listing: Listing) {
    this.#listings.set(listing.symbol, listing)
  }

  /** The best bid and ask changed. */
  quote(symbol: string, updateId: number, bid: Level, ask: Level, now: number): Change {
    this.book(symbol).quote(updateId, bid, ask)
    this.#fillFromBook(symbol, now)
    return this.#finish(now)
  }

  /** Everything shown changed. */
  ladder(
    symbol: string,
    updateId: number,
    bids: ReadonlyArray<Level>,
    asks: ReadonlyArray<Level>,
    now: number,
  ): Change {
    this.book(symbol).ladder(updateId, bids, asks)
    this.#fillFromBook(symbol, now)
    return this.#finish(now)
  }

  /**
   * The market traded `size` at `price`. When the buyer was the maker somebody sold
   * into the bids, ours included if they pay as much; else the reverse.
   */
  trade(symbol: string, price: Atoms, size: Atoms, buyerIsMaker: boolean, now: number): Change {
    this.#lastPrices.set(symbol, price)
    if ((this.#open.get(symbol)?.length ?? 0) === 0) return NO_CHANGE
    const step = this.#listing(symbol).stepSize
    let left = size
    for (const order of this.#resting(symbol, buyerIsMaker ? "BUY" : "SELL")) {
      const reached = buyerIsMaker ? order.price >= price : order.price <= price
      const quantity = floorTo(minAtoms(left, order.quantity - order.executed), step)
      if (!reached || quantity === 0n) break
      this.#fill(order, order.price, quantity, true, now)
      left -= quantity
    }
    this.#trigger(symbol, price, now)
    return this.#finish(now)
  }

  // Private: placing

  #refuse(request: OrderRequest): Refusal | undefined {
    const listing = this.#listing(request.symbol)
    if (listing.status !== "TRADING") return REFUSALS.closed
    const open = this.#open.get(request.symbol) ?? []
    if (open.some((id) => this.#order(id).clientOrderId === request.clientOrderId)) {
      return REFUSALS.duplicate
    }
    if (request.type === "LIMIT_MAKER") {
      for (const level of this.#opposite(request).available()) {
        return crosses(request, level.price) ? REFUSALS.wouldTake : undefined
      }
    }
    // Before the first trade the market is where it is quoted.
    const last = this.#lastPrices.get(request.symbol) ?? this.book(request.symbol).bids.best?.price
    if (request.stopPrice > 0n && last !== undefined && isTriggered(request, last)) {
      return REFUSALS.wouldTrigger
    }
    return undefined
  }

  /** What an order locks, in quote asset for BUY and base asset for SELL. */
  #reserve(request: OrderRequest): Atoms {
    if (request.side === "SELL") {
      return request.quoteQuantity === 0n ? request.quantity : this.#walk(request).quantity
    }
    if (request.quoteQuantity > 0n) return request.quoteQuantity
    if (request.type !== "MARKET") return notional(request.price, request.quantity)
    return this.#walk(request).quote
  }

  /** What a MARKET order would trade against the book as it stands. */
  #walk(request: OrderRequest): { quantity: Atoms; quote: Atoms } {
    let quantity = 0n
    let quote = 0n
    for (const level of this.#opposite(request).available()) {
      const size = this.#wanted(request, quantity, quote, level)
      if (size === 0n) break
      quantity += size
      quote += notional(level.price, size)
    }
    return { quantity, quote }
  }

  /** How much of a level an order still wants, on the lot grid. */
  #wanted(
    order: Pick<OrderRequest, "symbol" | "quantity" | "quoteQuantity">,
    executed: Atoms,
    spent: Atoms,
    level: Level,
  ): Atoms {
    const wanted = order.quoteQuantity > 0n
      ? (order.quoteQuantity - spent) * ONE / level.price
      : order.quantity - executed
    return floorTo(minAtoms(wanted, level.size), this.#listing(order.symbol).stepSize)
  }

  /** Trades a working order against the book; what is left rests or ends by its type. */
  #work(orderId: number, now: number) {
    const arrived = this.#order(orderId)
    if (arrived.timeInForce === "FOK" && !this.#canFill(arrived)) {
      return this.#end(arrived, "EXPIRED", "EXPIRED", now)
    }
    const opposite = this.#opposite(arrived)
    for (const level of opposite.available()) {
      const order = this.#order(orderId)
      if (!isOpen(order)) return
      if (order.price > 0n && !crosses(order, level.price)) break
      if (this.#preventSelfTrade(order, level.price, now)) return
      const size = this.#wanted(order, order.executed, order.cumulativeQuote, level)
      if (size === 0n) break
      opposite.take(level.price, size)
      this.#fill(order, level.price, size, false, now)
    }
    const order = this.#order(orderId)
    if (!isOpen(order)) return
    if (order.price > 0n && this.#preventSelfTrade(order, order.price, now)) return
    // A MARKET order by quote amount ends here, done when the rest buys no whole lot.
    if (order.quoteQuantity > 0n && order.executed > 0n && this.#isSpent(order)) {
      return this.#end(order, "FILLED", undefined, now)
    }
    if (order.type === "MARKET" || order.timeInForce !== "GTC") {
      this.#end(order, "EXPIRED", "EXPIRED", now)
    }
  }

  /** Whether the rest of an order by quote amount is too small for the best level left. */
  #isSpent(order: OrderRecord): boolean {
    if (order.side === "BUY" && order.locked === 0n) return true
    for (const level of this.#opposite(order).available()) {
      return this.#wanted(order, order.executed, order.cumulativeQuote, level) === 0n
    }
    return false
  }

  #canFill(order: OrderRecord): boolean {
    let found = 0n
    for (const level of this.#opposite(order).available()) {
      if (order.price > 0n && !crosses(order, level.price)) break
      found += level.size
    }
    return found >= order.quantity - order.executed
  }

  /**
   * Keeps an order from meeting our own resting ones at `price` or better.
   * True when the arriving order itself has ended.
   */
  #preventSelfTrade(taker: OrderRecord, price: Atoms, now: number): boolean {
    const side = taker.side === "BUY" ? "SELL" : "BUY"
    for (const maker of this.#resting(taker.symbol, side)) {
      if (taker.side === "BUY" ? maker.price > price : maker.price < price) break
      if (taker.selfTradePrevention !== "EXPIRE_TAKER") {
        this.#end(maker, "EXPIRED_IN_MATCH", "TRADE_PREVENTION", now)
      }
      if (taker.selfTradePrevention !== "EXPIRE_MAKER") {
        this.#end(taker, "EXPIRED_IN_MATCH", "TRADE_PREVENTION", now)
        return true
      }
    }
    return false
  }

  // Private: resting orders

  /** Working orders of one side, by price, then by age. */
  #resting(symbol: string, side: OrderRecord["side"]): ReadonlyArray<OrderRecord> {
    const orders = (this.#open.get(symbol) ?? []).map((id) => this.#order(id))
      .filter((order) => order.side === side && order.isWorking)
    return orders.sort((a, b) =>
      a.price === b.price
        ? a.workingTime - b.workingTime || a.orderId - b.orderId
        : (a.price > b.price) === (side === "BUY")
        ? -1
        : 1
    )
  }

  /** The other side now shows a price that a resting order would have met. */
  #fillFromBook(symbol: string, now: number) {
    if ((this.#open.get(symbol)?.length ?? 0) === 0) return
    const step = this.#listing(symbol).stepSize
    for (const side of ["BUY", "SELL"] as const) {
      for (const resting of this.#resting(symbol, side)) {
        const opposite = this.#opposite(resting)
        for (const level of opposite.available()) {
          const order = this.#order(resting.orderId)
          if (!isOpen(order) || !crosses(order, level.price)) break
          const size = floorTo(minAtoms(order.quantity - order.executed, level.size), step)
          if (size === 0n) break
          opposite.take(level.price, size)
          this.#fill(order, order.price, size, true, now)
        }
      }
    }
  }

  /** Stop prices that the last trade reached start working. */
  #trigger(symbol: string, price: Atoms, now: number) {
    for (const id of [...(this.#open.get(symbol) ?? [])]) {
      const order = this.#order(id)
      if (order.isWorking || !isTriggered(order, price)) continue
      this.#put({ ...order, isWorking: true, workingTime: now, updateTime: now })
      this.#report("NEW", this.#order(id), now)
      this.#work(id, now)
    }
  }

  // Private: bookkeeping

  #fill(order: OrderRecord, price: Atoms, quantity: Atoms, isMaker: boolean, now: number) {
    const listing = this.#listing(order.symbol)
    const quote = notional(price, quantity)
    const isBuyer = order.side === "BUY"
    const [spentAsset, receivedAsset] = isBuyer
      ? [listing.quoteAsset, listing.baseAsset]
      : [listing.baseAsset, listing.quoteAsset]
    const [spent, received] = isBuyer ? [quote, quantity] : [quantity, quote]
    const commission = received * FEE_BPS / 10_000n

    const paid = this.balance(spentAsset)
    this.#setBalance({ ...paid, locked: paid.locked - spent })
    const got = this.balance(receivedAsset)
    this.#setBalance({ ...got, free: got.free + received - commission })

    const executed = order.executed + quantity
    const isFilled = order.quoteQuantity === 0n && executed === order.quantity
    const next: OrderRecord = {
      ...order,
      executed,
      // The quantity of an order by quote amount is what it has bought so far.
      quantity: order.quoteQuantity > 0n ? executed : order.quantity,
      cumulativeQuote: order.cumulativeQuote + quote,
      locked: order.locked - spent,
      status: isFilled ? "FILLED" : "PARTIALLY_FILLED",
      updateTime: now,
    }
    // A better price than the limit leaves more reserved than the rest can cost.
    const surplus = isFilled
      ? next.locked
      : isBuyer && order.price > 0n
      ? next.locked - notional(order.price, order.quantity - executed)
      : 0n
    this.#put(this.#unlock(next, surplus))
    if (isFilled) this.#close(next)
    const fill: FillRecord = {
      tradeId: this.takeTradeId(order.symbol),
      executionId: this.#executionId + 1,
      orderId: order.orderId,
      symbol: order.symbol,
      price,
      quantity,
      quoteQuantity: quote,
      commission,
      commissionAsset: receivedAsset,
      time: now,
      isBuyer,
      isMaker,
    }
    this.#fills.push(fill)
    this.#pending.fills.push(fill)
    this.#report("TRADE", this.#order(order.orderId), now, { fill })
  }

  /** A final status; frees what is reserved. Reports unless a fill already said so. */
  #end(
    order: OrderRecord,
    status: OrderRecord["status"],
    executionType: Report["executionType"] | undefined,
    now: number,
    cancelId?: string,
  ) {
    this.#put(this.#unlock({ ...order, status, updateTime: now }, order.locked))
    this.#close(order)
    if (executionType !== undefined) {
      this.#report(executionType, this.#order(order.orderId), now, cancelId ? { cancelId } : {})
    } else {
      this.#amendLastReport(this.#order(order.orderId))
    }
  }

  #close(order: OrderRecord) {
    const open = this.#open.get(order.symbol)
    const at = open?.indexOf(order.orderId) ?? -1
    if (at >= 0) open?.splice(at, 1)
  }

  #lock(order: OrderRecord, amount: Atoms): OrderRecord {
    const balance = this.balance(this.#lockAsset(order))
    this.#setBalance({
      ...balance,
      free: balance.free - amount,
      locked: balance.locked + amount,
    })
    return { ...order, locked: order.locked + amount }
  }

  #unlock(order: OrderRecord, amount: Atoms): OrderRecord {
    return amount === 0n ? order : this.#lock(order, -amount)
  }

  #lockAsset(order: Pick<OrderRequest, "symbol" | "side">): string {
    const listing = this.#listing(order.symbol)
    return order.side === "BUY" ? listing.quoteAsset : listing.baseAsset
  }

  #opposite(order: Pick<OrderRequest, "symbol" | "side">) {
    const book = this.book(order.symbol)
    return order.side === "BUY" ? book.asks : book.bids
  }

  #listing(symbol: string): Listing {
    const listing = this.#listings.get(symbol)
    if (listing === undefined) throw new RangeError(`not listed: ${symbol}`)
    return listing
  }

  #order(orderId: number): OrderRecord {
    const order = this.#orders.get(orderId)
    if (order === undefined) throw new RangeError(`no order ${orderId}`)
    return order
  }

  #put(order: OrderRecord) {
    this.#orders.set(order.orderId, order)
    this.#pending.orders.set(order.orderId, order)
  }

  #setBalance(balance: BalanceRecord) {
    if (balance.free < 0n || balance.locked < 0n) {
      throw new RangeError(
        `${balance.asset} below zero: ${balance.free} free, ${balance.locked} locked`,
      )
    }
    this.#balances.set(balance.asset, balance)
    this.#pending.balances.set(balance.asset, balance)
  }

  #report(
    executionType: Report["executionType"],
    order: OrderRecord,
    time: number,
    extra: { fill?: FillRecord; cancelId?: string } = {},
  ) {
    const executionId = ++this.#executionId
    this.#pending.reports.push({ executionType, executionId, order, time, ...extra })
  }

  #amendLastReport(order: OrderRecord) {
    const reports = this.#pending.reports
    const at = reports.findLastIndex((report) => report.order.orderId === order.orderId)
    const last = reports[at]
    if (last !== undefined) reports[at] = { ...last, order }
  }

  #finish(now: number): Change {
    const { reports, orders, fills, balances } = this.#pending
    if (orders.size === 0 && balances.size === 0) return NO_CHANGE
    this.#updateTime = now
    this.#pending = emptyPending()
    return { reports, orders: [...orders.values()], fills, balances: [...balances.values()] }
  }
}

export const NO_CHANGE: Change = { reports: [], orders: [], fills: [], balances: [] }

export function isOpen(order: OrderRecord): boolean {
  return order.status === "NEW" || order.status === "PARTIALLY_FILLED"
}

/** Whether an order with a limit would trade at `price`. */
function crosses(order: Pick<OrderRequest, "side" | "price">, price: Atoms): boolean {
  return order.side === "BUY" ? price <= order.price : price >= order.price
}

/** STOP_LOSS waits for the price to run against the order's side, TAKE_PROFIT for the reverse. */
function isTriggered(
  order: Pick<OrderRequest, "side" | "type" | "stopPrice">,
  price: Atoms,
): boolean {
  const waitsForRise = (order.side === "BUY") === (order.type === "STOP_LOSS_LIMIT")
  return waitsForRise ? price >= order.stopPrice : price <= order.stopPrice
}

function emptyPending() {
  return {
    reports: new Array<Report>(),
    orders: new Map<number, OrderRecord>(),
    fills: new Array<FillRecord>(),
    balances: new Map<string, BalanceRecord>(),
  }
}
