/**
 * Whether an order may be sent: a pure function to approved, or denied with a code and the numbers.
 *
 * An order that opens or increases exposure needs a `Fresh` proof, a reconciled account and active
 * trading; there is no way to write one without the proof. An order that only reduces passes
 * whenever there is something to reduce, because being able to get out outranks every limit.
 */
import { type Account, type Books, expectedBalance, openOrders } from "./books.ts"
import {
  absolute,
  add,
  type Decimal,
  divide,
  formatDecimal,
  isGreater,
  isLess,
  isPositive,
  isZero,
  larger,
  multiply,
  negate,
  smaller,
  subtract,
  zero,
} from "./decimal.ts"
import type { Fresh } from "./freshness.ts"
import { closedGates, type DenialCode, type Numbers, type Withheld } from "./gate.ts"
import { type Instrument, isTradable, quantise, tradableQuantity, venueOf } from "./instrument.ts"
import { leavesQuantity } from "./order.ts"
import type { OrderPurpose } from "./order.ts"

export interface RiskLimits {
  /** In the quote asset, as are all amounts here. */
  readonly orderNotionalMax: Decimal
  readonly positionNotionalMax: Decimal
  readonly exposureMax: Decimal
  readonly ordersPerMinuteMax: number
  /** Loss since the start of the day (UTC) beyond which nothing is opened any more. */
  readonly dailyLossMax: Decimal
}

export type { DenialCode } from "./gate.ts"

export interface Denied {
  readonly _tag: "Denied"
  readonly code: DenialCode
  /** `key=value` pairs: the numbers that decided. */
  readonly detail: string
}

declare const approval: unique symbol

interface ApprovedOrder {
  /** Made by `approveOpening` and `approveReducing` only. */
  readonly [approval]: true
  readonly _tag: "Approved"
  readonly instrument: Instrument
  readonly side: "buy" | "sell"
  readonly quantity: Decimal
  readonly origin: string
  readonly reason: string
}
/** May increase exposure, and carries the proof it was approved on. */
export interface ApprovedOpening extends ApprovedOrder {
  readonly purpose: Extract<OrderPurpose, "open">
  readonly fresh: Fresh
}
export interface ApprovedReducing extends ApprovedOrder {
  readonly purpose: Extract<OrderPurpose, "reduce">
}
export type Approved = ApprovedOpening | ApprovedReducing

export interface RiskContext {
  readonly books: Books
  readonly limits: RiskLimits
  readonly instrument: Instrument
  /** Last known price by instrument, whatever its age: for exposure only. */
  readonly marks: ReadonlyMap<string, Decimal>
  /** Equity at the start of the day (UTC), and now; undefined until known. */
  readonly equityAtDayStart: Decimal | undefined
  readonly equity: Decimal | undefined
  /** Orders approved within the last minute. */
  readonly ordersLastMinute: number
  /** Openings approved but not yet in the books, as notional by instrument. */
  readonly pending: ReadonlyMap<string, Decimal>
  /** Reductions approved but not yet in the books, as quantity by instrument. */
  readonly reducing?: ReadonlyMap<string, Decimal>
  /** Why the feed issues no proof for this instrument; absent while it does. */
  readonly withheld?: Withheld | undefined
  readonly now: number
}

/** A buy of about `notional`, at the ask of the proof. */
export function approveOpening(
  context: RiskContext,
  wish: { readonly origin: string; readonly reason: string; readonly notional: Decimal },
  fresh: Fresh | undefined,
): ApprovedOpening | Denied {
  const { books, instrument, now } = context
  const [gate] = closedGates(gateFacts(context))
  if (gate) return denied(gate.code, gate.numbers)
  if (fresh === undefined || fresh.instrument !== instrument.id || !fresh.isValidAt(now)) {
    const age = fresh === undefined ? "never" : `${now - fresh.heardAt}`
    return denied("MARKET_DATA_STALE", { instrument: instrument.id, ageMs: age })
  }
  const price = fresh.ask
  const wanted = smaller(divide(wish.notional, price, 18), instrument.quantityMax)
  const quantity = quantise(instrument, wanted)
  const notional = multiply(quantity, price)
  if (!isTradable(instrument, quantity, price)) {
    return denied("BELOW_MINIMUM", {
      quantity: formatDecimal(quantity),
      notional: formatDecimal(notional),
      minimum: formatDecimal(instrument.notionalMin),
    })
  }
  return deniedByHolding(context, wish.origin, fresh) ??
    deniedByLimits(context, notional) ??
    deniedByCash(context, books.accounts.get(instrument.venue), notional) ??
    approved({
      _tag: "Approved",
      purpose: "open",
      instrument,
      side: "buy",
      quantity,
      origin: wish.origin,
      reason: wish.reason,
      fresh,
    })
}

/**
 * Closes up to `quantity` of the position, never more than is held and not already being sold, and
 * no more than the venue takes in one order. `quantity` undefined means all that `origin` holds, or
 * the whole position for the operator.
 */
export function approveReducing(
  context: RiskContext,
  wish: {
    readonly origin: string
    readonly reason: string
    readonly quantity: Decimal | undefined
    /** A strategy's exit respects a hold; an operator's order does not. */
    readonly byOperator: boolean
  },
): ApprovedReducing | Denied {
  const { books, instrument } = context
  const position = books.positions.get(instrument.id)
  if (!wish.byOperator) {
    if (books.tradingState === "halted") return haltedBy(books)
    if (books.holds.has(instrument.id)) {
      return denied("POSITION_ON_HOLD", { instrument: instrument.id })
    }
  }
  if (position === undefined || isZero(position.quantity)) {
    return denied("NOTHING_TO_REDUCE", { instrument: instrument.id })
  }
  const side = isPositive(position.quantity) ? "sell" : "buy"
  const held = closableQuantity(books, instrument, side)
  const own = wish.byOperator
    ? absolute(position.quantity)
    : alongWith(position.quantity, position.holders.get(wish.origin) ?? zero)
  if (isZero(own)) {
    return denied("NOTHING_TO_REDUCE", { instrument: instrument.id, origin: wish.origin })
  }
  const pending = context.reducing?.get(instrument.id) ?? zero
  const underWay = add(pending, closingQuantity(books, instrument.id, side))
  const available = smaller(own, subtract(held, underWay))
  // An operator closes what is not being closed already; a strategy waits for its own order.
  if (isPositive(underWay) && (!wish.byOperator || !isPositive(available))) {
    return denied("ORDER_IN_FLIGHT", {
      instrument: instrument.id,
      quantity: formatDecimal(underWay),
    })
  }
  const wanted = smaller(smaller(wish.quantity ?? available, available), instrument.quantityMax)
  const quantity = tradableQuantity(instrument, wanted, context.marks.get(instrument.id))
  if (!isPositive(quantity)) {
    return denied("BELOW_MINIMUM", {
      quantity: formatDecimal(wanted),
      minimum: formatDecimal(instrument.quantityMin),
      notionalMinimum: formatDecimal(instrument.notionalMin),
    })
  }
  return approved({
    _tag: "Approved",
    purpose: "reduce",
    instrument,
    side,
    quantity,
    origin: wish.origin,
    reason: wish.reason,
  })
}

/**
 * What orders of this side may still take from the position. An order is written before it is sent,
 * so whoever sends can ask again with the newest books: `closingQuantity` plus the order must not
 * exceed what is held.
 */
export function closingQuantity(
  books: Books,
  instrument: string,
  side: "buy" | "sell",
): Decimal {
  return openOrders(books)
    .filter((order) => order.instrument === instrument && order.side === side)
    .reduce((sum, order) => add(sum, leavesQuantity(order)), zero)
}

/**
 * What of the position orders of this side can take. Fees may have been paid out of it by other
 * instruments, so a sale takes no more than the account has beyond what it began with, which was
 * never ours to sell.
 */
export function closableQuantity(
  books: Books,
  { id, base, venue }: Instrument,
  side: "buy" | "sell",
): Decimal {
  const position = books.positions.get(id)?.quantity ?? zero
  if (side === "buy") return larger(negate(position), zero)
  const account = books.accounts.get(venue)
  if (account === undefined) return larger(position, zero)
  const notOurs = larger(account.opening.get(base) ?? zero, zero)
  return larger(smaller(position, subtract(expectedBalance(account, base), notOurs)), zero)
}

/** How much of `part` lies on the same side of zero as `whole`. */
function alongWith(whole: Decimal, part: Decimal): Decimal {
  return isPositive(whole) === isPositive(part) ? absolute(part) : zero
}

function gateFacts({ books, instrument, withheld }: RiskContext) {
  const { halts, holds, tradingState, tradingStateReason } = books
  return {
    tradingState,
    tradingStateReason,
    venue: instrument.venue,
    account: books.accounts.get(instrument.venue),
    feed: books.feeds.get(instrument.venue)?.status,
    instrument: instrument.id,
    status: instrument.status,
    halt: halts.get(instrument.id),
    onHold: holds.has(instrument.id),
    withheld,
  }
}

function haltedBy(books: Books): Denied {
  return denied("TRADING_HALTED", { reason: books.tradingStateReason ?? "" })
}

function deniedByHolding(context: RiskContext, origin: string, fresh: Fresh): Denied | undefined {
  const { books, instrument, pending } = context
  const held = books.positions.get(instrument.id)?.holders.get(origin)
  if (held !== undefined && isTradable(instrument, held, fresh.bid)) {
    return denied("ALREADY_HOLDING", { origin, quantity: formatDecimal(held) })
  }
  const inFlight = openOrders(books).some((order) =>
    order.instrument === instrument.id && order.origin === origin
  )
  if (inFlight || pending.has(instrument.id)) {
    return denied("ORDER_IN_FLIGHT", { instrument: instrument.id, origin })
  }
}

function deniedByLimits(context: RiskContext, notional: Decimal): Denied | undefined {
  const { instrument, limits } = context
  if (context.ordersLastMinute >= limits.ordersPerMinuteMax) {
    return denied("ORDER_RATE_EXCEEDED", {
      orders: `${context.ordersLastMinute}`,
      limit: `${limits.ordersPerMinuteMax}`,
    })
  }
  if (isGreater(notional, limits.orderNotionalMax)) {
    return exceeds("NOTIONAL_EXCEEDS_LIMIT", notional, limits.orderNotionalMax)
  }
  const exposures = exposureByInstrument(context)
  const position = add(exposures.get(instrument.id) ?? zero, notional)
  if (isGreater(position, limits.positionNotionalMax)) {
    return exceeds("POSITION_EXCEEDS_LIMIT", position, limits.positionNotionalMax)
  }
  const exposure = [...exposures.values()].reduce(add, notional)
  if (isGreater(exposure, limits.exposureMax)) {
    return exceeds("EXPOSURE_EXCEEDS_LIMIT", exposure, limits.exposureMax)
  }
  if (context.equity !== undefined && context.equityAtDayStart !== undefined) {
    const loss = subtract(context.equityAtDayStart, context.equity)
    if (isGreater(loss, limits.dailyLossMax)) {
      return exceeds("DAILY_LOSS_EXCEEDED", loss, limits.dailyLossMax)
    }
  }
}

/** Positions at their marks, opening orders that may still fill, and what is approved and not yet written. */
function exposureByInstrument(context: RiskContext): Map<string, Decimal> {
  const exposures = openingByInstrument(context)
  for (const [instrument, position] of context.books.positions) {
    const mark = context.marks.get(instrument)
    const notional = mark === undefined ? position.cost : multiply(position.quantity, mark)
    expose(exposures, instrument, absolute(notional))
  }
  return exposures
}

/** What has been approved or sent to open, and is not filled: it still needs its cash. */
function openingByInstrument({ books, marks, pending }: RiskContext): Map<string, Decimal> {
  const opening = new Map<string, Decimal>(pending)
  for (const order of openOrders(books)) {
    const price = order.price ?? marks.get(order.instrument)
    if (order.purpose === "open" && price !== undefined) {
      expose(opening, order.instrument, multiply(leavesQuantity(order), price))
    }
  }
  return opening
}

function expose(exposures: Map<string, Decimal>, instrument: string, notional: Decimal) {
  exposures.set(instrument, add(exposures.get(instrument) ?? zero, notional))
}

function deniedByCash(
  context: RiskContext,
  account: Account | undefined,
  notional: Decimal,
): Denied | undefined {
  if (account === undefined) return undefined
  const cash = expectedBalance(account, account.quoteAsset)
  const reserved = [...openingByInstrument(context)]
    .filter(([instrument]) => venueOf(instrument) === account.venue)
    .reduce((sum, [, amount]) => add(sum, amount), notional)
  if (isLess(cash, reserved)) {
    return denied("INSUFFICIENT_CASH", {
      cash: formatDecimal(cash),
      needed: formatDecimal(reserved),
    })
  }
}

function exceeds(code: DenialCode, value: Decimal, limit: Decimal): Denied {
  return denied(code, { notional: formatDecimal(value), limit: formatDecimal(limit) })
}

function denied(code: DenialCode, numbers: Numbers): Denied {
  const detail = Object.entries(numbers).map(([key, value]) => `${key}=${value}`).join(" ")
  return { _tag: "Denied", code, detail }
}

type Unsigned<A> = A extends unknown ? Omit<A, typeof approval> : never

// The brand exists for the compiler only; this is the single place that grants it.
function approved<A extends Approved>(order: Unsigned<A>): A {
  return order as unknown as A
}
