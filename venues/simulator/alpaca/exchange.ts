/**
 * The simulated Alpaca's orders: from a request to its last fill.
 *
 * Pure of I/O: time is an argument, a call returns everything it changed and what is to be done
 * later, and the caller makes that durable before telling anyone. Orders take what the market's
 * book shows, at the shown price, level by level; resting orders fill when the market trades or
 * quotes through them, in price-time order, never for more than it traded or showed. What is under
 * way (a new order on its way to the market, a cancel, a replacement) is a status of the order, so
 * a restart finds it and goes on.
 */
import type { SessionPhase } from "../../../domain/calendar.ts"
import { type Atoms, floorTo, minAtoms, ONE } from "../decimals.ts"
import type { Memory } from "../memory.ts"
import type { Account, Funds } from "./account.ts"
import type { AccountRecord, AlpacaLedgerContents, FillRecord, OrderRecord } from "./ledger.ts"
import type { AlpacaListing, AlpacaMarket, MarketMove } from "./market.ts"
import { canFill, partOf, queueOf, WITHOUT_END } from "./matching.ts"
import { type Change, OrderBooks, type Task } from "./order_books.ts"
import {
  accepts,
  fractionStep,
  type Holds,
  holdsFor,
  legProblem,
  remainingCash,
  trailingStop,
  wanted,
  washTrade,
} from "./order_checks.ts"
import type { OrderRequest, ReplaceRequest } from "./order_request.ts"
import { expiryOf, isInSession } from "./order_sessions.ts"
import {
  cancelProblem,
  isAtMarket,
  isTerminal,
  isUndisturbed,
  legsOf,
  noHolds,
  type OrderShape,
  status,
} from "./order_state.ts"
import { forbidden, isRefusal, malformed, missing, type Refusal } from "./refusal.ts"
import { replacementOf } from "./replacement.ts"
import type { DaysOf } from "./trading_calendar.ts"

/** The end of a session is announced; only what that did not end is ended by the clock. */
const EXPIRY_GRACE_MS = 2_000

export type Outcome = { readonly order: OrderRecord; readonly change: Change } | Refusal

export interface ExchangeOptions {
  readonly seed: number
  readonly partialFillProbability: number
  readonly days: DaysOf
  readonly memory?: Memory
}

type Market = Pick<
  AlpacaMarket,
  "listings" | "book" | "lastPrice" | "isHalted" | "session"
>

export class AlpacaExchange {
  readonly account: Account
  readonly #books: OrderBooks
  readonly #market: Market
  readonly #options: ExchangeOptions
  readonly #phases = new Map<string, SessionPhase>()
  /** When the core session ends that `tick` saw last; 0 outside of one. */
  #coreUntil = 0
  /** Steering: cancels never finish; the next order is refused on its way. */
  isCancelStuck = false
  rejectsNext = false

  constructor(
    market: Market,
    contents: AlpacaLedgerContents,
    account: AccountRecord,
    options: ExchangeOptions,
  ) {
    this.#market = market
    this.#options = options
    this.#books = new OrderBooks(market, contents, account, options)
    this.account = this.#books.account
    for (const listing of market.listings.values()) {
      this.#phases.set(listing.assetClass, market.session(listing.symbol).phase)
    }
  }

  // Reading

  /** In the order of their arrival. */
  get orders(): ReadonlyArray<OrderRecord> {
    return this.#books.orders
  }

  get open(): ReadonlyArray<OrderRecord> {
    return this.#books.open
  }

  get fills(): ReadonlyArray<FillRecord> {
    return this.#books.fills
  }

  fill(executionId: string): FillRecord | undefined {
    return this.#books.fill(executionId)
  }

  get funds(): Funds {
    return this.account.funds(this.open)
  }

  order(id: string): OrderRecord | undefined {
    return this.#books.find(id)
  }

  orderByClientId(clientOrderId: string): OrderRecord | undefined {
    return this.#books.findByClientId(clientOrderId)
  }

  // The account's requests

  place(request: OrderRequest, now: number): Outcome {
    if (this.account.record.configuration.suspendTrade) {
      return forbidden("new orders are rejected by user request")
    }
    if (this.#books.findByClientId(request.clientOrderId) !== undefined) {
      return malformed("client_order_id must be unique")
    }
    const listing = this.#books.listing(request.symbol)
    const books = { account: this.account, market: this.#market, open: this.open }
    const holds = holdsFor(request, listing, books)
    if (isRefusal(holds)) return holds
    const problem = legProblem(request, books) ?? washTrade(request, books.open)
    if (problem !== undefined) return problem

    const order = this.#admit(request, holds, now)
    for (const leg of legsOf(request)) {
      const made = this.#make({ ...request, ...leg, clientOrderId: "" }, noHolds(holds, leg), now)
      this.#books.put({ ...made, status: "held", statusBefore: "held", parentId: order.id })
      this.#books.amend(order.id, { legIds: [...this.#books.order(order.id).legIds, made.id] })
    }
    const isRouted = this.#isInSession(order)
    this.#books.amend(order.id, status(isRouted ? "pending_new" : "accepted"))
    this.#books.tell(isRouted ? "pending_new" : "accepted", order.id, now)
    if (isRouted) this.#books.later("route", order.id)
    return { order: this.#books.order(order.id), change: this.#books.finish() }
  }

  /** Asks the market to cancel; whether and when it does shows later. */
  cancel(id: string, now: number): Outcome {
    const order = this.#books.find(id)
    if (order === undefined) return missing(`order not found for ${id}`)
    const problem = cancelProblem(order)
    if (problem !== undefined) return problem
    this.#books.amend(id, {
      status: "pending_cancel",
      statusBefore: order.status,
      cancelRequestedAt: now,
      updatedAt: now,
    })
    this.#books.tell("pending_cancel", id, now)
    this.#books.later("cancel", id)
    return { order: this.#books.order(id), change: this.#books.finish() }
  }

  /** Cancels at once: what the venue itself does before it closes a position. */
  cancelNow(id: string, now: number): Change {
    const order = this.#books.find(id)
    if (order !== undefined && !isTerminal(order)) this.#end(id, "canceled", now)
    return this.#books.finish()
  }

  replace(id: string, request: ReplaceRequest, now: number): Outcome {
    const order = this.#books.find(id)
    if (order === undefined) return missing(`order not found for ${id}`)
    if (this.#books.findByClientId(request.clientOrderId) !== undefined) {
      return malformed("client_order_id must be unique")
    }
    const books = { account: this.account, open: this.open }
    const next = replacementOf(order, request, this.#books.listing(order.symbol), books)
    if (isRefusal(next)) return next
    const made = this.#make({ ...next, clientOrderId: request.clientOrderId }, {
      intent: order.positionIntent,
      quantity: next.quantity,
      cash: next.heldCash,
      held: next.heldQuantity,
    }, now)
    this.#books.put({
      ...made,
      ...status("pending_new"),
      replaces: id,
      parentId: order.parentId,
      legIds: order.legIds,
      highWaterMark: order.highWaterMark,
      filled: order.filled,
      filledValue: order.filledValue,
    })
    this.#books.amend(id, {
      status: "pending_replace",
      statusBefore: order.status,
      replacedBy: made.id,
      updatedAt: now,
    })
    this.#books.tell("pending_replace", id, now)
    this.#books.tell("pending_new", made.id, now)
    this.#books.later("replace", made.id)
    return { order: this.#books.order(made.id), change: this.#books.finish() }
  }

  configure(change: Partial<AccountRecord["configuration"]>): Change {
    this.account.update({ configuration: { ...this.account.record.configuration, ...change } })
    return this.#books.finish()
  }

  // What was to be done later

  perform({ kind, orderId }: Task, now: number): Change {
    const order = this.#books.find(orderId)
    if (order !== undefined && !isTerminal(order)) {
      switch (kind) {
        case "route":
          if (order.status === "pending_new") this.#route(orderId, now)
          break
        case "cancel":
          if (order.status === "pending_cancel" && !this.isCancelStuck) {
            this.#end(orderId, "canceled", now)
          }
          break
        case "replace":
          if (order.status === "pending_new") this.#swap(order, now)
          break
        case "retry":
          this.#work(orderId, now)
      }
    }
    return this.#books.finish()
  }

  /** Goes on after a restart: what was under way, and what has expired meanwhile. */
  resume(now: number): Change {
    for (const order of this.open) {
      const isOver = order.expiresAt !== null && order.expiresAt <= now
      if (isOver && !isTerminal(this.#books.order(order.id))) this.#end(order.id, "expired", now)
    }
    for (const order of this.open) {
      if (order.status === "pending_cancel") this.#books.later("cancel", order.id)
      else if (order.status === "accepted" && this.#isInSession(order)) this.#route(order.id, now)
      else if (order.status === "pending_new") {
        this.#books.later(order.replaces === "" ? "route" : "replace", order.id)
      } else if (isAtMarket(order) && !order.isResting) this.#books.later("retry", order.id)
    }
    return this.#books.finish()
  }

  /**
   * What nobody announces: orders whose time is over, and a day that ends without a night, as it
   * does where the market never closes. To be called about once a second.
   */
  tick(now: number): Change | undefined {
    for (const listing of this.#market.listings.values()) {
      if (listing.assetClass !== "us_equity") continue
      const { phase, until } = this.#market.session(listing.symbol)
      const isNextDay = phase === "core" && this.#coreUntil !== 0 && now >= this.#coreUntil &&
        until > this.#coreUntil
      if (isNextDay) this.#endCore(now, this.#coreUntil)
      this.#coreUntil = phase === "core" ? until : 0
      break
    }
    for (const order of this.open) {
      const isOver = order.expiresAt !== null && order.expiresAt + EXPIRY_GRACE_MS <= now
      if (isOver && !isTerminal(this.#books.order(order.id))) this.#end(order.id, "expired", now)
    }
    return this.#books.isClean ? undefined : this.#books.finish()
  }

  /** Cancels that were stuck finish after all. */
  unstick(): Change {
    for (const order of this.open) {
      if (order.status === "pending_cancel") this.#books.later("cancel", order.id)
    }
    return this.#books.finish()
  }

  // The market

  /** `isOwn`: it is only the account's own fill that shows on the tape. */
  move(move: MarketMove, now: number, isOwn = false): Change | undefined {
    if (move.kind === "phase") this.#changePhase(move.assetClass, now)
    else if (!this.#books.hasOpen(move.symbol)) return undefined
    else if (move.kind === "trade") this.#onTrade(move, now, isOwn)
    else if (!this.#market.isHalted(move.symbol)) this.#onBook(move.symbol, now)
    return this.#books.isClean ? undefined : this.#books.finish()
  }

  /** Fills what is left of an order at its own price, or the last one. */
  fillResting(id: string, now: number): Change {
    const order = this.#books.order(id)
    const listing = this.#books.listing(order.symbol)
    const price = order.limitPrice > 0n ? order.limitPrice : this.account.price(order.symbol)
    if (isAtMarket(order) && price > 0n) {
      this.#fill(id, price, wanted(order, { price, size: WITHOUT_END }, listing), true, now)
    }
    return this.#books.finish()
  }

  /** A fill had another price. The order keeps saying what it said. */
  correct(executionId: string, price: Atoms, now: number): Change | undefined {
    const old = this.#books.lastOf(executionId)
    if (old === undefined) return undefined
    const settled = this.account.settle(old.symbol, old.side, price, old.quantity)
    const before = this.account.settle(old.symbol, old.side, old.price, old.quantity)
    const cash = settled.cash - before.cash
    this.account.reprice(old.symbol, cash)
    this.#books.touch(old.symbol)
    this.#books.note({
      ...old,
      kind: "correct",
      previousId: old.executionId,
      price,
      cash,
      time: now,
    })
    return this.#books.finish()
  }

  /** A fill never was. The order keeps saying what it said. */
  bust(executionId: string, now: number): Change | undefined {
    const old = this.#books.lastOf(executionId)
    if (old === undefined) return undefined
    const settled = this.account.settle(old.symbol, old.side, old.price, old.quantity)
    this.account.revert({ ...old, cash: settled.cash })
    this.#books.touch(old.symbol)
    const previousId = old.executionId
    this.#books.note({ ...old, kind: "bust", previousId, cash: -settled.cash, time: now })
    return this.#books.finish()
  }

  // Private: orders on their way

  #admit(request: OrderRequest, holds: Holds, now: number): OrderRecord {
    const order = this.#make(request, holds, now)
    if (order.type !== "trailing_stop") return order
    const highWaterMark = this.account.price(order.symbol)
    const stopPrice = trailingStop(order, highWaterMark, this.#books.listing(order.symbol))
    return this.#books.put({ ...order, highWaterMark, stopPrice })
  }

  #make(request: OrderShape, holds: Holds, now: number): OrderRecord {
    const { record } = this.account
    const id = this.#books.uuid()
    const clientOrderId = request.clientOrderId === "" ? this.#books.uuid() : request.clientOrderId
    this.account.update({ orderSequence: record.orderSequence + 1 })
    return this.#books.put({
      sequence: record.orderSequence + 1,
      id,
      clientOrderId,
      symbol: request.symbol,
      side: request.side,
      type: request.type,
      timeInForce: request.timeInForce,
      orderClass: request.orderClass,
      extendedHours: request.extendedHours,
      positionIntent: holds.intent,
      ...status("accepted"),
      quantity: holds.quantity,
      notional: request.notional,
      limitPrice: request.limitPrice,
      stopPrice: request.stopPrice,
      trailPercent: request.trailPercent,
      trailPrice: request.trailPrice,
      highWaterMark: 0n,
      filled: 0n,
      filledValue: 0n,
      heldCash: holds.cash,
      heldQuantity: holds.held,
      isTriggered: request.type === "market" || request.type === "limit",
      isResting: false,
      parentId: "",
      legIds: [],
      replaces: "",
      replacedBy: "",
      createdAt: now,
      updatedAt: now,
      submittedAt: now,
      filledAt: null,
      expiredAt: null,
      cancelRequestedAt: null,
      canceledAt: null,
      failedAt: null,
      replacedAt: null,
      expiresAt: expiryOf(
        request,
        this.#market.session(request.symbol),
        this.#options.days,
        now,
      ),
    })
  }

  #route(id: string, now: number) {
    if (this.rejectsNext) {
      this.rejectsNext = false
      return this.#end(id, "rejected", now)
    }
    this.#books.amend(id, { ...status("new"), updatedAt: now })
    this.#books.tell("new", id, now)
    this.#work(id, now)
  }

  /** The replacement reaches the market: the old order makes way, unless it is done already. */
  #swap(next: OrderRecord, now: number) {
    const old = this.#books.order(next.replaces)
    const isLate = isTerminal(old) || (next.quantity > 0n && old.filled >= next.quantity)
    if (isLate || this.rejectsNext) {
      this.rejectsNext = false
      const back = isTerminal(old) ? {} : { ...status(old.statusBefore), updatedAt: now }
      this.#books.amend(old.id, { ...back, replacedBy: "" })
      this.#books.tell("order_replace_rejected", old.id, now)
      this.#books.amend(next.id, { legIds: [], parentId: "" })
      this.#end(next.id, "rejected", now)
      return this.#routeLate(old.id, now)
    }
    const filled = { filled: old.filled, filledValue: old.filledValue }
    const wasAtMarket = isAtMarket(old)
    const before = old.statusBefore
    const holds = {
      heldCash: old.heldCash + next.heldCash,
      heldQuantity: old.heldQuantity > 0n ? next.quantity - old.filled : 0n,
    }
    this.#books.amend(old.id, {
      ...status("replaced"),
      heldCash: 0n,
      heldQuantity: 0n,
      legIds: [],
      replacedAt: now,
      updatedAt: now,
    })
    this.#books.tell("replaced", old.id, now)
    this.#relink(old, next.id)
    this.#books.amend(next.id, {
      ...filled,
      ...holds,
      ...status(wasAtMarket ? (old.filled > 0n ? "partially_filled" : "new") : before),
      isTriggered: old.isTriggered,
      updatedAt: now,
    })
    if (next.limitPrice > 0n) {
      const heldCash = remainingCash(this.#books.order(next.id), 0n)
      this.#books.amend(next.id, { heldCash })
    }
    if (next.type === "trailing_stop") {
      const { highWaterMark } = old
      const stopPrice = trailingStop(next, highWaterMark, this.#books.listing(next.symbol))
      this.#books.amend(next.id, { highWaterMark, stopPrice })
    }
    if (before === "held") return
    this.#books.tell(before === "accepted" ? "accepted" : "new", next.id, now)
    if (wasAtMarket) this.#work(next.id, now)
    else this.#routeLate(next.id, now)
  }

  /** Its session has begun, perhaps while something else was under way. */
  #routeLate(id: string, now: number) {
    const order = this.#books.order(id)
    if (order.status === "accepted" && this.#isInSession(order)) this.#route(id, now)
  }

  /** Legs and parent of an order that was replaced know the new one. */
  #relink(old: OrderRecord, nextId: string) {
    for (const legId of old.legIds) this.#books.amend(legId, { parentId: nextId })
    if (old.parentId === "") return
    const parent = this.#books.order(old.parentId)
    this.#books.amend(parent.id, { legIds: parent.legIds.map((id) => id === old.id ? nextId : id) })
  }

  // Private: matching

  /** Trades an order against the book; what is left rests, waits or ends by its kind. */
  #work(id: string, now: number, isAuction = false) {
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
      return this.#end(id, "canceled", now)
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
    const fills = this.account.record.fillSequence
    const listing = this.#books.listing(order.symbol)
    const price = this.account.price(order.symbol)
    return partOf(order, price, listing, { seed, probability, fills })
  }

  /** The book changed: orders that wait for it trade, best price first, then oldest. */
  #onBook(symbol: string, now: number) {
    for (const side of ["buy", "sell"] as const) {
      for (const { id } of queueOf(this.open, symbol, side)) {
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
  #onTrade(
    { symbol, price, size, buyerIsMaker }: Extract<MarketMove, { kind: "trade" }>,
    now: number,
    isOwn: boolean,
  ) {
    const listing = this.#books.listing(symbol)
    let left = isOwn || this.#market.isHalted(symbol) ? 0n : size
    for (const { id } of queueOf(this.open, symbol, buyerIsMaker ? "buy" : "sell")) {
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

  /** Stops whose price was reached start working; the stops of trailing orders follow. */
  #trigger(symbol: string, price: Atoms, now: number) {
    const listing = this.#books.listing(symbol)
    for (const { id } of this.open) {
      const order = this.#books.order(id)
      if (order.symbol !== symbol || order.isTriggered || isTerminal(order)) continue
      const isWatching = isAtMarket(order) || this.#isStandby(order)
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
      const partner = this.#partner(order)
      if (partner !== undefined) this.#finalise(partner, "canceled", now)
      const held = this.#books.order(order.id).quantity
      this.#books.amend(order.id, { ...status("new"), heldQuantity: held, updatedAt: now })
      this.#books.tell("new", order.id, now)
    }
    this.#books.amend(order.id, { isTriggered: true, updatedAt: now })
    this.#work(order.id, now)
  }

  #fill(id: string, price: Atoms, size: Atoms, isMaker: boolean, now: number) {
    const order = this.#books.order(id)
    const { symbol, side } = order
    const quantity = this.#affordable(order, price, size)
    if (quantity <= 0n) return this.#end(id, "canceled", now)
    const { cash, fee } = this.account.settle(symbol, side, price, quantity)
    const filled = order.filled + quantity
    const isDone = order.quantity > 0n && filled >= order.quantity
    this.account.apply({ symbol, side, quantity, price, cash, fee })
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
    const execution = { price, quantity, position: this.account.position(symbol).quantity }
    this.#books.tell(isDone ? "fill" : "partial_fill", id, now, {
      executionId: fill.executionId,
      execution,
    })
    this.#books.print(symbol, price, quantity, (side === "buy") === isMaker)
    this.#afterFill(order, quantity, isDone, now)
  }

  /** Crypto is not bought on margin, even when the price ran away from what was reserved. */
  #affordable(order: OrderRecord, price: Atoms, size: Atoms): Atoms {
    const { cash } = this.account.record
    const listing = this.#books.listing(order.symbol)
    if (order.side === "sell" || listing.assetClass !== "crypto") return size
    return cash <= 0n ? 0n : floorTo(minAtoms(size, cash * ONE / price), fractionStep(listing))
  }

  #complete(id: string, now: number) {
    const order = this.#books.amend(id, { ...status("filled"), heldCash: 0n, updatedAt: now })
    this.#afterFill(order, 0n, true, now)
    this.#books.complete(id)
  }

  // Private: orders that belong together

  #afterFill(order: OrderRecord, quantity: Atoms, isDone: boolean, now: number) {
    this.#holdForExit(order, quantity)
    const partner = this.#partner(order)
    if (partner !== undefined) {
      if (isDone) this.#finalise(partner, "canceled", now)
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
    const hasPartner = this.#partner(leg) !== undefined
    if (isTerminal(leg) || (leg.type !== "limit" && hasPartner)) return
    const inSession = this.#isInSession(leg)
    this.#books.amend(id, {
      ...status(inSession ? "new" : "accepted"),
      heldQuantity: leg.quantity,
      updatedAt: now,
    })
    if (!inSession) return
    this.#books.tell("new", id, now)
    this.#work(id, now)
  }

  /** The other exit, while both are open. */
  #partner(order: OrderRecord): OrderRecord | undefined {
    const parent = order.parentId === "" ? undefined : this.#books.order(order.parentId)
    const ids = parent === undefined
      ? order.orderClass === "oco" ? order.legIds : []
      : parent.orderClass === "oco"
      ? [parent.id]
      : parent.legIds
    return ids.filter((id) => id !== order.id).map((id) => this.#books.order(id))
      .find((other) => !isTerminal(other))
  }

  /** A stop-loss whose take-profit is at work. */
  #isStandby(order: OrderRecord): boolean {
    const partner = order.status === "held" && order.parentId !== ""
      ? this.#partner(order)
      : undefined
    return partner !== undefined && isAtMarket(partner)
  }

  // Private: ends

  /** A final status for an order and for what cannot go on without it. */
  #end(id: string, how: "canceled" | "expired" | "rejected", now: number) {
    const order = this.#books.order(id)
    const partner = this.#partner(order)
    this.#finalise(order, how, now)
    if (partner !== undefined) this.#finalise(partner, how === "rejected" ? "canceled" : how, now)
    if (order.replaces !== "" && how === "rejected") return
    for (const legId of order.legIds) {
      const leg = this.#books.order(legId)
      if (!isTerminal(leg)) this.#finalise(leg, how === "rejected" ? "canceled" : how, now)
    }
  }

  #finalise(order: OrderRecord, how: "canceled" | "expired" | "rejected", now: number) {
    if (isTerminal(this.#books.order(order.id))) return
    this.#books.amend(order.id, {
      ...status(how),
      heldCash: 0n,
      heldQuantity: 0n,
      updatedAt: now,
      ...(how === "canceled" && { canceledAt: now }),
      ...(how === "expired" && { expiredAt: now }),
      ...(how === "rejected" && { failedAt: now }),
    })
    this.#books.tell(how, order.id, now)
  }

  // Private: sessions

  #changePhase(assetClass: AlpacaListing["assetClass"], now: number) {
    const before = this.#phases.get(assetClass)
    for (const listing of this.#market.listings.values()) {
      if (listing.assetClass !== assetClass) continue
      this.#phases.set(assetClass, this.#market.session(listing.symbol).phase)
      break
    }
    const phase = this.#phases.get(assetClass)
    if (assetClass === "us_equity" && before !== phase) {
      if (before === "core") this.#endCore(now, Infinity)
      const isOver = phase === "closed" || phase === "overnight"
      if (isOver && (before === "core" || before === "post")) this.#endDay(now)
    }
    for (const { id } of this.open) {
      const order = this.#books.order(id)
      if (this.#books.listing(order.symbol).assetClass !== assetClass || isTerminal(order)) continue
      this.#routeLate(id, now)
      if (isAtMarket(order)) this.#work(id, now)
    }
  }

  /**
   * The closing auction is what the book shows at the close; then the day is over. Orders that are
   * good for longer than `until` belong to the next one already.
   */
  #endCore(now: number, until: number) {
    this.#books.closeDay()
    for (const { id } of this.open) {
      const order = this.#books.order(id)
      if (this.account.isCrypto(order.symbol) || isTerminal(order)) continue
      if ((order.expiresAt ?? 0) > until) continue
      if (order.timeInForce === "cls" && isAtMarket(order)) this.#work(id, now, true)
      else if (order.timeInForce === "day" && !order.extendedHours && this.#wasWorking(order)) {
        this.#end(id, "expired", now)
      }
    }
  }

  #endDay(now: number) {
    for (const { id } of this.open) {
      const order = this.#books.order(id)
      const isDay = order.timeInForce === "day" && order.extendedHours
      if (isDay && !isTerminal(order) && this.#wasWorking(order)) this.#end(id, "expired", now)
    }
  }

  /** Not for the next session only. */
  #wasWorking(order: OrderRecord): boolean {
    return order.status !== "accepted" && order.statusBefore !== "accepted" &&
      (order.status !== "held" || this.#isStandby(order))
  }

  #isInSession(order: OrderRecord): boolean {
    return isInSession(order, this.#market.session(order.symbol).phase)
  }

  /** Whether it can trade now, but for a halt. */
  #isWorking(order: OrderRecord): boolean {
    return order.isTriggered && order.timeInForce !== "cls" && this.#isInSession(order)
  }

  // Private: bookkeeping

  #opposite(order: Pick<OrderRecord, "symbol" | "side">) {
    const book = this.#market.book(order.symbol)
    return order.side === "buy" ? book.asks : book.bids
  }
}
