/**
 * All that the journal says, folded.
 *
 * Positions, orders, cash, pauses and assignments are what remains when the events are applied in
 * order; there is no other way to change them. Restart, cold start and recovery are this one path.
 * The maps are changed in place by `applyRecord`, and by nobody else: whoever needs a copy that
 * stands still takes `copyBooks`.
 */
import type { Command } from "./command.ts"
import {
  add,
  type Decimal,
  divide,
  isPositive,
  isZero,
  larger,
  multiply,
  subtract,
  zero,
} from "./decimal.ts"
import type { EventOf, JournalRecord } from "./event.ts"
import type { InstrumentId } from "./instrument.ts"
import {
  accept,
  doubt,
  fill as fillOrder,
  finish,
  isOpen,
  type Order,
  requestCancel,
} from "./order.ts"
import type { TradingState } from "./overview.ts"
import { applyFill, assetsOf, type Fill, flat, type Position, transferHolding } from "./position.ts"
import type { Assignment } from "./strategy.ts"

export interface Account {
  readonly venue: string
  readonly quoteAsset: string
  /** What the account held when it was first seen, by asset. */
  readonly opening: ReadonlyMap<string, Decimal>
  /** Movements since then that our fills explain, by asset. */
  readonly moved: ReadonlyMap<string, Decimal>
  /** Reconciled since it was last lost or the runtime last started. */
  readonly ready: boolean
  readonly reconciledAt: number | undefined
  readonly differences: ReadonlyArray<string>
  readonly cause: string | undefined
}

export interface Alert {
  readonly id: string
  readonly severity: "info" | "warning" | "critical"
  readonly title: string
  readonly detail: string
  readonly raisedAt: number
  readonly updatedAt: number
  readonly resolvedAt: number | undefined
}

export interface CommandState {
  readonly command: Command
  readonly seq: number
  readonly time: number
  readonly final: boolean
}

export interface FeedState {
  readonly venue: string
  readonly status: "streaming" | "lost" | "polling"
  readonly attempt: number
  readonly since: number
  readonly cause: string | undefined
  /** Until when the venue wants to be left alone; holds for the next process, too. */
  readonly retryAt: number | undefined
}

/** Why the venue takes no orders in an instrument. */
export interface Halt {
  readonly status: "halted" | "cancel_only" | "closed"
  readonly reason: string
  readonly since: number
}

export interface EquityCurve {
  readonly last: Decimal
  /** Highest equity ever marked, and the largest (peak - equity) / peak. */
  readonly peak: Decimal
  readonly drawdown: Decimal
  /** Days since 1970 (UTC), and the equity with which that day began: the last one before it. */
  readonly day: number
  readonly dayStart: Decimal
  /** The newest points, oldest first; bounded. */
  readonly points: ReadonlyArray<{ readonly time: number; readonly total: Decimal }>
}

export interface Books {
  seq: number
  time: number
  /** Empty until the first start has been journaled. */
  journalId: string
  tradingState: TradingState
  tradingStateReason: string | undefined
  tradingStateSince: number | undefined
  /** Intents ever written, by venue: its next client order id is derived from it. */
  readonly intents: Map<string, number>
  /** By venue. */
  readonly curves: Map<string, EquityCurve>
  /** Of all accounts together, dollars counted one to one. */
  peak: Decimal
  drawdown: Decimal
  readonly accounts: Map<string, Account>
  readonly positions: Map<InstrumentId, Position>
  readonly holds: Set<InstrumentId>
  /** Open orders, and the newest closed ones. */
  readonly orders: Map<string, Order>
  /** Newest last; bounded. */
  readonly fills: Array<Fill>
  /** `executionKey` of every fill that could still be reported again. */
  readonly executions: Set<string>
  readonly assignments: Map<string, Assignment>
  readonly alerts: Map<string, Alert>
  readonly commands: Map<string, CommandState>
  readonly feeds: Map<string, FeedState>
  readonly halts: Map<InstrumentId, Halt>
}

/** How much of the past the books keep; the journal keeps all of it. */
export const booksLimits = {
  closedOrders: 500,
  fills: 1_000,
  executions: 20_000,
  alerts: 100,
  commands: 500,
  equityPoints: 2_000,
}

export function emptyBooks(): Books {
  return {
    seq: 0,
    time: 0,
    journalId: "",
    tradingState: "active",
    tradingStateReason: undefined,
    tradingStateSince: undefined,
    intents: new Map(),
    curves: new Map(),
    peak: zero,
    drawdown: zero,
    accounts: new Map(),
    positions: new Map(),
    holds: new Set(),
    orders: new Map(),
    fills: [],
    executions: new Set(),
    assignments: new Map(),
    alerts: new Map(),
    commands: new Map(),
    feeds: new Map(),
    halts: new Map(),
  }
}

/** What is inside the maps is never changed in place, so that copying the maps is enough. */
export function copyBooks(books: Books): Books {
  return {
    ...books,
    intents: new Map(books.intents),
    curves: new Map(books.curves),
    accounts: new Map(books.accounts),
    positions: new Map(books.positions),
    holds: new Set(books.holds),
    orders: new Map(books.orders),
    fills: [...books.fills],
    executions: new Set(books.executions),
    assignments: new Map(books.assignments),
    alerts: new Map(books.alerts),
    commands: new Map(books.commands),
    feeds: new Map(books.feeds),
    halts: new Map(books.halts),
  }
}

/** Applies the next record. A gap in the sequence is a defect: what follows would be wrong. */
export function applyRecord(books: Books, record: JournalRecord): void {
  if (record.seq !== books.seq + 1) {
    throw new Error(`journal gap: expected ${books.seq + 1}, got ${record.seq}`)
  }
  books.seq = record.seq
  books.time = record.time
  const { event, time } = record
  switch (event._tag) {
    case "RuntimeStarted":
      if (books.journalId === "") books.journalId = event.journalId
      // What was true of the venues before we were away is not known any more.
      for (const [venue, account] of books.accounts) {
        books.accounts.set(venue, { ...account, ready: false })
      }
      forgetFeeds(books, time)
      return
    case "AccountOpened":
      books.accounts.set(event.venue, openAccount(event))
      return
    case "AccountReconciled":
      return changeAccount(books, event.venue, {
        ready: event.differences.length === 0,
        reconciledAt: time,
        differences: event.differences,
        cause: event.differences[0],
      })
    case "AccountBaselineChanged":
      return acceptBalances(books, event)
    case "AccountLost":
      // A venue may refuse us before it has ever shown the account.
      if (!books.accounts.has(event.venue)) return
      return changeAccount(books, event.venue, { ready: false, cause: event.cause })
    case "CommandReceived":
      books.commands.set(event.command.commandId, {
        command: event.command,
        seq: record.seq,
        time,
        final: false,
      })
      return forgetOldest(books.commands, booksLimits.commands)
    case "CommandProgressed": {
      const state = books.commands.get(event.commandId)
      if (state && event.final) books.commands.set(event.commandId, { ...state, final: true })
      return
    }
    case "TradingStateChanged":
      books.tradingState = event.state
      books.tradingStateReason = event.state === "active" ? undefined : event.reason
      books.tradingStateSince = event.state === "active" ? undefined : time
      return
    case "PositionControlChanged":
      if (event.control === "hold") books.holds.add(event.instrument)
      else books.holds.delete(event.instrument)
      return
    case "StrategyAssigned":
      books.assignments.set(event.id, event)
      return
    case "StrategySwapped":
      return swap(books, event)
    case "OrderSubmitted":
      return submit(books, event, time)
    case "OrderAccepted":
      return changeOrder(
        books,
        event.clientOrderId,
        (order) => accept(order, event.venueOrderId, time),
      )
    case "OrderRejected":
      return changeOrder(
        books,
        event.clientOrderId,
        (order) => finish(order, "rejected", time, `${event.code} ${event.text}`.trim()),
      )
    case "OrderUnconfirmed":
      return changeOrder(books, event.clientOrderId, (order) => doubt(order, time, event.cause))
    case "OrderFilled":
      return applyExecution(books, event)
    case "OrderCancelRequested":
      return changeOrder(books, event.clientOrderId, (order) => requestCancel(order, time))
    case "OrderCanceled":
      return changeOrder(books, event.clientOrderId, (order) => finish(order, "canceled", time))
    case "OrderExpired":
      return changeOrder(
        books,
        event.clientOrderId,
        (order) => finish(order, "expired", time, event.reason),
      )
    case "FeedLost":
      return changeFeed(books, event.venue, "lost", time, event)
    case "FeedPolling":
      return changeFeed(books, event.venue, "polling", time)
    case "FeedRestored":
      books.feeds.set(event.venue, {
        venue: event.venue,
        status: "streaming",
        attempt: 0,
        since: time,
        cause: undefined,
        retryAt: undefined,
      })
      return
    case "InstrumentHalted": {
      const { status, reason } = event
      books.halts.set(event.instrument, { status, reason, since: time })
      return
    }
    case "InstrumentResumed":
      books.halts.delete(event.instrument)
      return
    case "AlertRaised":
    case "AlertUpdated":
      return raiseAlert(books, event, time)
    case "AlertResolved": {
      const alert = books.alerts.get(event.id)
      if (alert) books.alerts.set(event.id, { ...alert, updatedAt: time, resolvedAt: time })
      return
    }
    case "EquityMarked": {
      const { venue, total, peak, drawdown } = event
      const day = Math.floor(time / 86_400_000)
      const before = books.curves.get(venue)
      const dayStart = before?.day === day ? before.dayStart : before?.last ?? total
      const points = [...(before?.points ?? []).slice(1 - booksLimits.equityPoints), {
        time,
        total,
      }]
      books.curves.set(venue, { last: total, peak, drawdown, day, dayStart, points })
      // An account that joins brings its own: that is no profit.
      if (before === undefined) books.peak = add(books.peak, total)
      return markTogether(books)
    }
    case "RuntimeStopped":
    case "Gap":
    case "SourceChanged":
    case "FeedTroubled":
    case "FeedTroubleEnded":
    case "SignalRaised":
    case "OrderDenied":
    case "ActorRestarted":
    case "ActorFailed":
      return
  }
}

function openAccount(event: EventOf<"AccountOpened">): Account {
  return {
    venue: event.venue,
    quoteAsset: event.quoteAsset,
    opening: new Map(event.balances.map(({ asset, quantity }) => [asset, quantity])),
    moved: new Map(),
    ready: false,
    reconciledAt: undefined,
    differences: [],
    cause: undefined,
  }
}

function markTogether(books: Books) {
  const total = [...books.curves.values()].reduce((sum, { last }) => add(sum, last), zero)
  books.peak = larger(books.peak, total)
  books.drawdown = larger(books.drawdown, drawdownFrom(books.peak, total))
}

/** (peak - total) / peak, as a ratio. */
export function drawdownFrom(peak: Decimal, total: Decimal): Decimal {
  return isPositive(peak) ? divide(subtract(peak, total), peak, 6) : zero
}

/**
 * The expected balances become the venue's. It stays as not reconciled as it was, and what came or
 * went in cash is neither profit nor loss, so the curve moves along.
 */
function acceptBalances(books: Books, { balances, venue }: EventOf<"AccountBaselineChanged">) {
  const account = books.accounts.get(venue)
  if (account === undefined) throw new Error(`account of ${venue} was never opened`)
  const held = new Map(balances.map(({ asset, quantity }) => [asset, quantity]))
  const assets = new Set([...account.opening.keys(), ...account.moved.keys(), ...held.keys()])
  const opening = new Map(
    [...assets].map((asset) => [
      asset,
      subtract(held.get(asset) ?? zero, account.moved.get(asset) ?? zero),
    ]),
  )
  books.accounts.set(venue, { ...account, opening })
  const curve = books.curves.get(venue)
  if (curve === undefined) return
  const cash = account.quoteAsset
  const by = subtract(opening.get(cash) ?? zero, account.opening.get(cash) ?? zero)
  books.curves.set(venue, {
    ...curve,
    last: add(curve.last, by),
    peak: add(curve.peak, by),
    dayStart: add(curve.dayStart, by),
  })
  books.peak = add(books.peak, by)
}

function changeAccount(books: Books, venue: string, change: Partial<Account>) {
  const account = books.accounts.get(venue)
  if (account === undefined) throw new Error(`account of ${venue} was never opened`)
  books.accounts.set(venue, { ...account, ...change })
}

function changeFeed(
  books: Books,
  venue: string,
  status: "lost" | "polling",
  time: number,
  lost?: EventOf<"FeedLost">,
) {
  const before = books.feeds.get(venue)
  const wasLost = before !== undefined && before.status !== "streaming"
  books.feeds.set(venue, {
    venue,
    status: status === "lost" && before?.status === "polling" ? "polling" : status,
    attempt: lost?.attempt ?? before?.attempt ?? 0,
    since: wasLost ? before.since : time,
    cause: lost?.cause ?? before?.cause,
    retryAt: lost === undefined ? before?.retryAt : lost.retryAt,
  })
}

/** A halt that ended while nobody listened must not hold for ever. */
const HALT_KEPT_MS = 12 * 3_600_000

/** What was true of the markets before we were away is not known any more, but for a ban. */
function forgetFeeds(books: Books, time: number) {
  for (const [venue, feed] of books.feeds) {
    if (feed.retryAt === undefined || feed.retryAt <= time) books.feeds.delete(venue)
  }
  for (const [instrument, halt] of books.halts) {
    if (time - halt.since > HALT_KEPT_MS) books.halts.delete(instrument)
  }
}

function swap(books: Books, event: EventOf<"StrategySwapped">) {
  books.assignments.delete(event.from)
  books.assignments.set(event.to.id, event.to)
  for (const [instrument, position] of books.positions) {
    books.positions.set(instrument, transferHolding(position, event.from, event.to.id))
  }
  // Written just before the swap: what they fill must belong to somebody who runs.
  for (const order of openOrders(books)) {
    if (order.origin !== event.from) continue
    books.orders.set(order.clientOrderId, { ...order, origin: event.to.id })
  }
}

function submit(books: Books, event: EventOf<"OrderSubmitted">, time: number) {
  if (books.orders.has(event.clientOrderId)) {
    throw new Error(`client order id ${event.clientOrderId} is used twice`)
  }
  books.intents.set(event.venue, (books.intents.get(event.venue) ?? 0) + 1)
  books.orders.set(event.clientOrderId, {
    clientOrderId: event.clientOrderId,
    venueOrderId: undefined,
    venue: event.venue,
    instrument: event.instrument,
    side: event.side,
    type: event.type,
    purpose: event.purpose,
    quantity: event.quantity,
    price: event.price ?? undefined,
    filledQuantity: zero,
    filledNotional: zero,
    status: "submitted",
    origin: event.origin,
    reason: event.reason,
    note: undefined,
    submittedAt: time,
    updatedAt: time,
  })
  if (books.orders.size > 2 * booksLimits.closedOrders) forgetClosedOrders(books)
}

function forgetClosedOrders(books: Books) {
  const closed = [...books.orders.values()].filter((order) => !isOpen(order))
  for (const order of closed.slice(0, -booksLimits.closedOrders)) {
    books.orders.delete(order.clientOrderId)
  }
}

function changeOrder(books: Books, clientOrderId: string, change: (order: Order) => Order) {
  const order = books.orders.get(clientOrderId)
  // Long closed and forgotten: late evidence of it changes nothing.
  if (order !== undefined) books.orders.set(clientOrderId, change(order))
}

function applyExecution(books: Books, event: EventOf<"OrderFilled">) {
  const order = books.orders.get(event.clientOrderId)
  if (order === undefined) throw new Error(`fill of an unknown order ${event.clientOrderId}`)
  const key = executionKey(order.instrument, event.executionId)
  if (books.executions.has(key)) return
  const fill: Fill = {
    executionId: event.executionId,
    clientOrderId: event.clientOrderId,
    instrument: order.instrument,
    side: order.side,
    quantity: event.quantity,
    price: event.price,
    fee: event.fee,
    feeAsset: event.feeAsset,
    time: event.executedAt,
  }
  const known = order.venueOrderId === undefined
    ? accept(order, event.venueOrderId, event.executedAt)
    : order
  books.orders.set(order.clientOrderId, fillOrder(known, fill))
  books.executions.add(key)
  forgetOldest(books.executions, booksLimits.executions)
  books.fills.push(fill)
  if (books.fills.length > booksLimits.fills) books.fills.shift()
  const position = books.positions.get(order.instrument) ?? flat(order.instrument)
  books.positions.set(order.instrument, applyFill(position, fill, order.origin))
  moveCash(books, order.venue, fill)
}

/** Venues number their executions per instrument. */
export function executionKey(instrument: InstrumentId, executionId: string): string {
  return `${instrument}:${executionId}`
}

function moveCash(books: Books, venue: string, fill: Fill) {
  const account = books.accounts.get(venue)
  if (account === undefined) throw new Error(`account of ${venue} was never opened`)
  const { base, quote } = assetsOf(fill.instrument)
  const notional = multiply(fill.quantity, fill.price)
  const moved = new Map(account.moved)
  const move = (asset: string, quantity: Decimal) =>
    moved.set(asset, add(moved.get(asset) ?? zero, quantity))
  const isBuy = fill.side === "buy"
  move(base, isBuy ? fill.quantity : subtract(zero, fill.quantity))
  move(quote, isBuy ? subtract(zero, notional) : notional)
  // A fill without a fee need not name an asset for it.
  if (!isZero(fill.fee)) move(fill.feeAsset, subtract(zero, fill.fee))
  books.accounts.set(venue, { ...account, moved })
}

/** What the venue should say the account holds of `asset`. */
export function expectedBalance(account: Account, asset: string): Decimal {
  return add(account.opening.get(asset) ?? zero, account.moved.get(asset) ?? zero)
}

function raiseAlert(
  books: Books,
  event: EventOf<"AlertRaised"> | EventOf<"AlertUpdated">,
  time: number,
) {
  const before = books.alerts.get(event.id)
  const continues = before !== undefined && before.resolvedAt === undefined
  books.alerts.delete(event.id)
  books.alerts.set(event.id, {
    id: event.id,
    severity: event.severity,
    title: event.title,
    detail: event.detail,
    raisedAt: continues ? before.raisedAt : time,
    updatedAt: time,
    resolvedAt: undefined,
  })
  if (books.alerts.size > booksLimits.alerts) forgetAlert(books)
}

/** What is over goes first: an alert that stands for weeks is not to be pushed out by what came and went. */
function forgetAlert({ alerts }: Books) {
  const [oldest] = alerts.keys()
  const over = [...alerts.values()].find(({ resolvedAt }) => resolvedAt !== undefined)
  const id = over?.id ?? oldest
  if (id !== undefined) alerts.delete(id)
}

function forgetOldest(kept: Map<string, unknown> | Set<string>, most: number) {
  for (const key of kept.keys()) {
    if (kept.size <= most) return
    kept.delete(key)
  }
}

/** Orders that may still be filled. */
export function openOrders(books: Books): ReadonlyArray<Order> {
  return [...books.orders.values()].filter(isOpen)
}
