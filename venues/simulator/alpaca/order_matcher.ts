/**
 * The simulated Alpaca's matching: orders meet the book, the tape and each other.
 *
 * An order takes what the book shows, at the shown price, level by level; what rests fills when the
 * market trades or quotes through it, in price-time order, never for more than it traded or showed.
 * What an order's fill does to those that belong to it happens with it. All it changes is in the
 * books; when that is told, and what an order was asked for, is the exchange's business.
 */
import { type Atoms, floorTo, minAtoms, ONE } from "../decimals.ts"
import type { OrderRecord } from "./ledger.ts"
import type { AlpacaMarket, MarketMove } from "./market.ts"
import { canFill, partOf, queueOf, WITHOUT_END } from "./matching.ts"
import type { OrderBooks } from "./order_books.ts"
import { accepts, fractionStep, remainingCash, trailingStop, wanted } from "./order_checks.ts"
import { endOrder, finalise, isStandby, partnerOf } from "./order_family.ts"
import { isInSession } from "./order_sessions.ts"
import { isAtMarket, isTerminal, isUndisturbed, status } from "./order_state.ts"

export interface MatchingOptions {
  readonly seed: number
  readonly partialFillProbability: number
}

export class OrderMatcher {
  readonly #books: OrderBooks
  readonly #market: Pick<AlpacaMarket, "book" | "isHalted" | "session">
  readonly #options: MatchingOptions

  constructor(
    books: OrderBooks,
    market: Pick<AlpacaMarket, "book" | "isHalted" | "session">,
    options: MatchingOptions,
  ) {
    this.#books = books
    this.#market = market
    this.#options = options
  }

  /** Trades an order against the book; what is left rests, waits or ends by its kind. */
  work(id: string, now: number, isAuction = false) {
    const arrived = this.#books.order(id)
    if (!isAtMarket(arrived) || (!isAuction && !this.#isWorking(arrived))) return
    const halted = this.#market.isHalted(arrived.symbol)
    const listing = this.#books.listing(arrived.symbol)
    const levels = this.#opposite(arrived).available()
    if (!halted && (arrived.timeInForce !== "fok" || canFill(arrived, levels, listing))) {
      this.#sweep(id, this.#part(arrived), false, now)
    }
    const order = this.#books.order(id)
    if (isTerminal(order)) return
    const { timeInForce } = order
    if (timeInForce === "ioc" || timeInForce === "fok" || timeInForce === "opg" || isAuction) {
      return endOrder(this.#books, id, "canceled", now)
    }
    if (halted) return
    const next = this.#opposite(order).available()[Symbol.iterator]().next()
    const stillMeets = !next.done && accepts(order, next.value.price)
    if (stillMeets) this.#books.later("retry", id)
    else if (order.limitPrice > 0n && !order.isResting) this.#books.amend(id, { isResting: true })
  }

  /** Takes levels that `id` accepts, at most `limit`. A resting order trades at its own price. */
  #sweep(id: string, limit: Atoms | undefined, isMaker: boolean, now: number) {
    const listing = this.#books.listing(this.#books.order(id).symbol)
    const opposite = this.#opposite(this.#books.order(id))
    let left = limit
    for (const level of opposite.available()) {
      const order = this.#books.order(id)
      if (isTerminal(order) || !accepts(order, level.price)) return
      const most = wanted(order, level, listing)
      const size = left === undefined ? most : minAtoms(most, left)
      if (size === 0n) {
        // Less than the smallest step is left of the notional.
        if (most === 0n && order.quantity === 0n) this.#complete(id, now)
        return
      }
      opposite.take(level.price, size)
      this.#fill(id, isMaker ? order.limitPrice : level.price, size, isMaker, now)
      if (left !== undefined) left -= size
    }
  }

  /** How much of an order fills at first, when it is not all that is there. */
  #part(order: OrderRecord): Atoms | undefined {
    const { seed, partialFillProbability: probability } = this.#options
    const fills = this.#books.account.record.fillSequence
    const listing = this.#books.listing(order.symbol)
    const price = this.#books.account.price(order.symbol)
    return partOf(order, price, listing, { seed, probability, fills })
  }

  /** The book changed: orders that wait for it trade, best price first, then oldest. */
  onBook(symbol: string, now: number) {
    for (const side of ["buy", "sell"] as const) {
      for (const { id } of queueOf(this.#books.open, symbol, side)) {
        const order = this.#books.order(id)
        if (!isAtMarket(order) || !this.#isWorking(order)) continue
        this.#sweep(id, undefined, order.isResting, now)
      }
    }
  }

  /**
   * The market traded. When the buyer was the maker somebody sold into the bids, ours included if
   * they pay as much; else the reverse.
   */
  onTrade(
    { symbol, price, size, buyerIsMaker }: Extract<MarketMove, { kind: "trade" }>,
    now: number,
    isOwn: boolean,
  ) {
    const listing = this.#books.listing(symbol)
    let left = isOwn || this.#market.isHalted(symbol) ? 0n : size
    for (const { id } of queueOf(this.#books.open, symbol, buyerIsMaker ? "buy" : "sell")) {
      const order = this.#books.order(id)
      if (!order.isResting || !isAtMarket(order) || !this.#isWorking(order)) continue
      if (buyerIsMaker ? order.limitPrice < price : order.limitPrice > price) break
      const quantity = wanted(order, { price: order.limitPrice, size: left }, listing)
      if (quantity === 0n) break
      this.#fill(id, order.limitPrice, quantity, true, now)
      left -= quantity
    }
    if (this.#market.session(symbol).phase === "core") this.#trigger(symbol, price, now)
  }

  /** Fills what is left of an order at its own price, or the last one. */
  fillRest(id: string, now: number) {
    const order = this.#books.order(id)
    const listing = this.#books.listing(order.symbol)
    const last = this.#books.account.price(order.symbol)
    const price = order.limitPrice > 0n ? order.limitPrice : last
    if (!isAtMarket(order) || price <= 0n) return
    this.#fill(id, price, wanted(order, { price, size: WITHOUT_END }, listing), true, now)
  }

  isInSession(order: OrderRecord): boolean {
    return isInSession(order, this.#market.session(order.symbol).phase)
  }

  /** Stops whose price was reached start working; the stops of trailing orders follow. */
  #trigger(symbol: string, price: Atoms, now: number) {
    const listing = this.#books.listing(symbol)
    for (const { id } of this.#books.open) {
      const order = this.#books.order(id)
      if (order.symbol !== symbol || order.isTriggered || isTerminal(order)) continue
      const isWatching = isAtMarket(order) || isStandby(this.#books, order)
      if (!isWatching) continue
      if (order.side === "buy" ? price >= order.stopPrice : price <= order.stopPrice) {
        this.#start(order, now)
        continue
      }
      if (order.type !== "trailing_stop") continue
      const isBetter = order.side === "sell"
        ? price > order.highWaterMark
        : price < order.highWaterMark
      if (!isBetter) continue
      const stopPrice = trailingStop(order, price, listing)
      this.#books.amend(id, { highWaterMark: price, stopPrice, updatedAt: now })
    }
  }

  /** A stop-loss that stood by takes over what its take-profit held. */
  #start(order: OrderRecord, now: number) {
    if (order.status === "held") {
      const partner = partnerOf(this.#books, order)
      if (partner !== undefined) finalise(this.#books, partner, "canceled", now)
      const held = this.#books.order(order.id).quantity
      this.#books.amend(order.id, { ...status("new"), heldQuantity: held, updatedAt: now })
      this.#books.tell("new", order.id, now)
    }
    this.#books.amend(order.id, { isTriggered: true, updatedAt: now })
    this.work(order.id, now)
  }

  #fill(id: string, price: Atoms, size: Atoms, isMaker: boolean, now: number) {
    const order = this.#books.order(id)
    const { symbol, side } = order
    const quantity = this.#affordable(order, price, size)
    if (quantity <= 0n) return endOrder(this.#books, id, "canceled", now)
    const { cash, fee } = this.#books.account.settle(symbol, side, price, quantity)
    const filled = order.filled + quantity
    const isDone = order.quantity > 0n && filled >= order.quantity
    this.#books.account.apply({ symbol, side, quantity, price, cash, fee })
    this.#books.touch(symbol)
    const next = this.#books.amend(id, {
      ...(isDone || isUndisturbed(order) ? status(isDone ? "filled" : "partially_filled") : {}),
      ...(!isDone && !isUndisturbed(order) && { statusBefore: "partially_filled" as const }),
      filled,
      filledValue: order.filledValue + price * quantity,
      heldQuantity: order.heldQuantity > quantity ? order.heldQuantity - quantity : 0n,
      filledAt: now,
      updatedAt: now,
    })
    this.#books.amend(id, { heldCash: isDone ? 0n : remainingCash(next, quantity) })
    const fill = this.#books.note({
      orderId: id,
      symbol,
      side,
      kind: "fill",
      previousId: "",
      price,
      quantity,
      cash,
      fee,
      cumulative: filled,
      leaves: isDone || order.quantity === 0n ? 0n : order.quantity - filled,
      orderStatus: isDone ? "filled" : "partially_filled",
      time: now,
    })
    const execution = { price, quantity, position: this.#books.account.position(symbol).quantity }
    this.#books.tell(isDone ? "fill" : "partial_fill", id, now, {
      executionId: fill.executionId,
      execution,
    })
    this.#books.print(symbol, price, quantity, (side === "buy") === isMaker)
    this.#afterFill(order, quantity, isDone, now)
  }

  /** Crypto is not bought on margin, even when the price ran away from what was reserved. */
  #affordable(order: OrderRecord, price: Atoms, size: Atoms): Atoms {
    const { cash } = this.#books.account.record
    const listing = this.#books.listing(order.symbol)
    if (order.side === "sell" || listing.assetClass !== "crypto") return size
    return cash <= 0n ? 0n : floorTo(minAtoms(size, cash * ONE / price), fractionStep(listing))
  }

  #complete(id: string, now: number) {
    const order = this.#books.amend(id, { ...status("filled"), heldCash: 0n, updatedAt: now })
    this.#afterFill(order, 0n, true, now)
    this.#books.complete(id)
  }

  // Entries and exits

  #afterFill(order: OrderRecord, quantity: Atoms, isDone: boolean, now: number) {
    this.#holdForExit(order, quantity)
    const partner = partnerOf(this.#books, order)
    if (partner !== undefined) {
      if (isDone) finalise(this.#books, partner, "canceled", now)
      else if (partner.status === "held") {
        this.#books.amend(partner.id, { quantity: partner.quantity - quantity, updatedAt: now })
      }
    }
    if (!isDone || order.orderClass === "oco" || order.parentId !== "") return
    for (const legId of this.#books.order(order.id).legIds) this.#activate(legId, now)
  }

  /** What an entry has filled of is its exit's from the first share on. */
  #holdForExit(entry: OrderRecord, quantity: Atoms) {
    if (entry.orderClass === "oco" || entry.parentId !== "") return
    const exits = entry.legIds.map((id) => this.#books.order(id)).filter((leg) => !isTerminal(leg))
    const holder = exits.find((leg) => leg.type === "limit") ?? exits[0]
    if (holder === undefined) return
    this.#books.amend(holder.id, { heldQuantity: holder.heldQuantity + quantity })
  }

  /** The entry has filled: its exits begin. Of two, the stop-loss stands by. */
  #activate(id: string, now: number) {
    const leg = this.#books.order(id)
    const hasPartner = partnerOf(this.#books, leg) !== undefined
    if (isTerminal(leg) || (leg.type !== "limit" && hasPartner)) return
    const inSession = this.isInSession(leg)
    this.#books.amend(id, {
      ...status(inSession ? "new" : "accepted"),
      heldQuantity: leg.quantity,
      updatedAt: now,
    })
    if (!inSession) return
    this.#books.tell("new", id, now)
    this.work(id, now)
  }

  /** Whether it can trade now, but for a halt. */
  #isWorking(order: OrderRecord): boolean {
    return order.isTriggered && order.timeInForce !== "cls" && this.isInSession(order)
  }

  #opposite(order: Pick<OrderRecord, "symbol" | "side">) {
    const book = this.#market.book(order.symbol)
    return order.side === "buy" ? book.asks : book.bids
  }
}
