/**
 * The simulated Alpaca's orders: from a request to its last fill.
 *
 * Pure of I/O: time is an argument, a call returns everything it changed and what is to be done
 * later, and the caller makes that durable before telling anyone. What is under way (a new order on
 * its way to the market, a cancel, a replacement) is a status of the order, so a restart finds it
 * and goes on. Who trades with whom is the matcher's business.
 */
import type { SessionPhase } from "../../../domain/calendar.ts"
import type { Atoms } from "../decimals.ts"
import type { Memory } from "../memory.ts"
import type { Account, Funds } from "./account.ts"
import type { AccountRecord, AlpacaLedgerContents, FillRecord, OrderRecord } from "./ledger.ts"
import type { AlpacaListing, AlpacaMarket, MarketMove } from "./market.ts"
import { type Change, OrderBooks, type Task } from "./order_books.ts"
import {
  type Holds,
  holdsFor,
  legProblem,
  remainingCash,
  trailingStop,
  washTrade,
} from "./order_checks.ts"
import { endOrder, isStandby } from "./order_family.ts"
import { type MatchingOptions, OrderMatcher } from "./order_matcher.ts"
import type { OrderRequest, ReplaceRequest } from "./order_request.ts"
import { expiryOf } from "./order_sessions.ts"
import {
  cancelProblem,
  isAtMarket,
  isTerminal,
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

export interface ExchangeOptions extends MatchingOptions {
  readonly days: DaysOf
  readonly memory?: Memory | undefined
}

type Market = Pick<
  AlpacaMarket,
  "listings" | "book" | "lastPrice" | "isHalted" | "session"
>

export class AlpacaExchange {
  readonly account: Account
  readonly #books: OrderBooks
  readonly #matcher: OrderMatcher
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
    this.#matcher = new OrderMatcher(this.#books, market, options)
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
    const isRouted = this.#matcher.isInSession(order)
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
    if (order !== undefined && !isTerminal(order)) endOrder(this.#books, id, "canceled", now)
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
            endOrder(this.#books, orderId, "canceled", now)
          }
          break
        case "replace":
          if (order.status === "pending_new") this.#swap(order, now)
          break
        case "retry":
          this.#matcher.work(orderId, now)
      }
    }
    return this.#books.finish()
  }

  /** Goes on after a restart: what was under way, and what has expired meanwhile. */
  resume(now: number): Change {
    for (const order of this.open) {
      const isOver = order.expiresAt !== null && order.expiresAt <= now
      if (isOver && !isTerminal(this.#books.order(order.id))) {
        endOrder(this.#books, order.id, "expired", now)
      }
    }
    for (const order of this.open) {
      if (order.status === "pending_cancel") this.#books.later("cancel", order.id)
      else if (order.status === "accepted" && this.#matcher.isInSession(order)) {
        this.#route(order.id, now)
      } else if (order.status === "pending_new") {
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
      if (isOver && !isTerminal(this.#books.order(order.id))) {
        endOrder(this.#books, order.id, "expired", now)
      }
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
    else if (move.kind === "trade") this.#matcher.onTrade(move, now, isOwn)
    else if (!this.#market.isHalted(move.symbol)) this.#matcher.onBook(move.symbol, now)
    return this.#books.isClean ? undefined : this.#books.finish()
  }

  /** Fills what is left of an order at its own price, or the last one. */
  fillResting(id: string, now: number): Change {
    this.#matcher.fillRest(id, now)
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
      return endOrder(this.#books, id, "rejected", now)
    }
    this.#books.amend(id, { ...status("new"), updatedAt: now })
    this.#books.tell("new", id, now)
    this.#matcher.work(id, now)
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
      endOrder(this.#books, next.id, "rejected", now)
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
    if (wasAtMarket) this.#matcher.work(next.id, now)
    else this.#routeLate(next.id, now)
  }

  /** Its session has begun, perhaps while something else was under way. */
  #routeLate(id: string, now: number) {
    const order = this.#books.order(id)
    if (order.status === "accepted" && this.#matcher.isInSession(order)) this.#route(id, now)
  }

  /** Legs and parent of an order that was replaced know the new one. */
  #relink(old: OrderRecord, nextId: string) {
    for (const legId of old.legIds) this.#books.amend(legId, { parentId: nextId })
    if (old.parentId === "") return
    const parent = this.#books.order(old.parentId)
    this.#books.amend(parent.id, { legIds: parent.legIds.map((id) => id === old.id ? nextId : id) })
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
      if (isAtMarket(order)) this.#matcher.work(id, now)
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
      if (order.timeInForce === "cls" && isAtMarket(order)) this.#matcher.work(id, now, true)
      else if (order.timeInForce === "day" && !order.extendedHours && this.#wasWorking(order)) {
        endOrder(this.#books, id, "expired", now)
      }
    }
  }

  #endDay(now: number) {
    for (const { id } of this.open) {
      const order = this.#books.order(id)
      const isDay = order.timeInForce === "day" && order.extendedHours
      if (isDay && !isTerminal(order) && this.#wasWorking(order)) {
        endOrder(this.#books, id, "expired", now)
      }
    }
  }

  /** Not for the next session only. */
  #wasWorking(order: OrderRecord): boolean {
    return order.status !== "accepted" && order.statusBefore !== "accepted" &&
      (order.status !== "held" || isStandby(this.#books, order))
  }
}
