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
import { type Change, ExchangeBooks, isOpen, NO_CHANGE } from "./exchange_books.ts"
import type { BalanceRecord, Counters, FillRecord, LedgerContents, OrderRecord } from "./ledger.ts"
import type { Listing } from "./listing.ts"
import type { Memory } from "./memory.ts"
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
  readonly #shown = new Map<string, ShownBook>()
  readonly #lastPrices = new Map<string, Atoms>()
  readonly #books: ExchangeBooks

  constructor(listings: ReadonlyArray<Listing>, contents: LedgerContents, memory?: Memory) {
    this.#books = new ExchangeBooks(contents, memory)
    for (const listing of listings) {
      this.#listings.set(listing.symbol, listing)
      this.#shown.set(listing.symbol, new ShownBook())
      this.#books.reserveTradeIds(listing.symbol, 0)
    }
  }

  // Reading

  get orders(): ReadonlyArray<OrderRecord> {
    return this.#books.orders
  }

  get fills(): ReadonlyArray<FillRecord> {
    return this.#books.fills
  }

  get balances(): ReadonlyArray<BalanceRecord> {
    return this.#books.balances
  }

  get updateTime(): number {
    return this.#books.updateTime
  }

  order(orderId: number): OrderRecord | undefined {
    return this.#books.find(orderId)
  }

  openOrders(symbol?: string): ReadonlyArray<OrderRecord> {
    return this.#books.open(symbol)
  }

  balance(asset: string): BalanceRecord {
    return this.#books.balance(asset)
  }

  book(symbol: string): ShownBook {
    const book = this.#shown.get(symbol)
    if (book === undefined) throw new RangeError(`no book for ${symbol}`)
    return book
  }

  lastPrice(symbol: string): Atoms | undefined {
    return this.#lastPrices.get(symbol)
  }

  counters(updateId: number): Counters {
    return this.#books.counters(updateId)
  }

  /** The next id on `symbol`'s tape. */
  takeTradeId(symbol: string): number {
    return this.#books.takeTradeId(symbol)
  }

  /** No trade id at or below `tradeId` will be given out from here on. */
  reserveTradeIds(symbol: string, tradeId: number) {
    this.#books.reserveTradeIds(symbol, tradeId)
  }

  // The account's requests

  /** Adds money from outside. */
  deposit(asset: string, amount: Atoms, now: number): Change {
    const balance = this.balance(asset)
    this.#books.setBalance({ ...balance, free: balance.free + amount })
    return this.#books.finish(now)
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
      orderId: this.#books.takeOrderId(),
      status: "NEW",
      executed: 0n,
      cumulativeQuote: 0n,
      locked: 0n,
      isWorking: !isStop,
      workingTime: isStop ? -1 : now,
      time: now,
      updateTime: now,
    }
    this.#books.put(this.#lock(order, reserve))
    this.#books.report("NEW", order.orderId, now)
    if (!isStop) this.#work(order.orderId, now)
    const placed = this.#books.order(order.orderId)
    const change = this.#books.finish(now)
    return { order: placed, fills: change.fills, change }
  }

  /** What `place` would refuse; changes nothing. */
  check(request: OrderRequest): Refusal | undefined {
    const refusal = this.#refuse(request)
    if (refusal !== undefined) return refusal
    const free = this.balance(this.#lockAsset(request)).free
    return free < this.#reserve(request) ? REFUSALS.insufficient : undefined
  }

  cancel(orderId: number, cancelId: string, now: number): Canceled {
    const order = this.#books.find(orderId)
    if (order === undefined || !isOpen(order)) return { refusal: REFUSALS.unknown }
    this.#end(order, "CANCELED", "CANCELED", now, cancelId)
    return { order: this.#books.order(orderId), change: this.#books.finish(now) }
  }

  /** Fills what is left of a resting order at its own price. */
  fillResting(orderId: number, now: number): Change {
    const order = this.#books.find(orderId)
    if (order === undefined || !isOpen(order) || !order.isWorking) return NO_CHANGE
    this.#fill(order, order.price, order.quantity - order.executed, true, now)
    return this.#books.finish(now)
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
    return this.#books.finish(now)
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
    return this.#books.finish(now)
  }

  /**
   * The market traded `size` at `price`. When the buyer was the maker somebody sold
   * into the bids, ours included if they pay as much; else the reverse.
   */
  trade(symbol: string, price: Atoms, size: Atoms, buyerIsMaker: boolean, now: number): Change {
    this.#lastPrices.set(symbol, price)
    if (!this.#books.hasOpen(symbol)) return NO_CHANGE
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
    return this.#books.finish(now)
  }

  // Private: placing

  #refuse(request: OrderRequest): Refusal | undefined {
    const listing = this.#listing(request.symbol)
    if (listing.status !== "TRADING") return REFUSALS.closed
    const open = this.#books.open(request.symbol)
    if (open.some((order) => order.clientOrderId === request.clientOrderId)) {
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
    const arrived = this.#books.order(orderId)
    if (arrived.timeInForce === "FOK" && !this.#canFill(arrived)) {
      return this.#end(arrived, "EXPIRED", "EXPIRED", now)
    }
    const opposite = this.#opposite(arrived)
    for (const level of opposite.available()) {
      const order = this.#books.order(orderId)
      if (!isOpen(order)) return
      if (order.price > 0n && !crosses(order, level.price)) break
      if (this.#preventSelfTrade(order, level.price, now)) return
      const size = this.#wanted(order, order.executed, order.cumulativeQuote, level)
      if (size === 0n) break
      opposite.take(level.price, size)
      this.#fill(order, level.price, size, false, now)
    }
    const order = this.#books.order(orderId)
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
    const orders = this.#books.open(symbol)
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
    if (!this.#books.hasOpen(symbol)) return
    const step = this.#listing(symbol).stepSize
    for (const side of ["BUY", "SELL"] as const) {
      for (const resting of this.#resting(symbol, side)) {
        const opposite = this.#opposite(resting)
        for (const level of opposite.available()) {
          const order = this.#books.order(resting.orderId)
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
    for (const { orderId } of this.#books.open(symbol)) {
      const order = this.#books.order(orderId)
      if (order.isWorking || !isTriggered(order, price)) continue
      this.#books.put({ ...order, isWorking: true, workingTime: now, updateTime: now })
      this.#books.report("NEW", orderId, now)
      this.#work(orderId, now)
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
    this.#books.setBalance({ ...paid, locked: paid.locked - spent })
    const got = this.balance(receivedAsset)
    this.#books.setBalance({ ...got, free: got.free + received - commission })

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
    this.#books.put(this.#unlock(next, surplus))
    this.#books.note({
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
    })
  }

  /** A final status; frees what is reserved. Reports unless a fill already said so. */
  #end(
    order: OrderRecord,
    status: OrderRecord["status"],
    executionType: "CANCELED" | "EXPIRED" | "TRADE_PREVENTION" | undefined,
    now: number,
    cancelId?: string,
  ) {
    const { orderId } = order
    this.#books.put(this.#unlock({ ...order, status, updateTime: now }, order.locked))
    if (executionType === undefined) this.#books.amendLastReport(orderId)
    else this.#books.report(executionType, orderId, now, cancelId)
  }

  #lock(order: OrderRecord, amount: Atoms): OrderRecord {
    this.#books.lock(this.#lockAsset(order), amount)
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
