/**
 * The venue's bodies and updates, written from its records.
 *
 * Money and quantities are text without trailing zeros, times are RFC 3339. Orders write crypto as
 * `BTC/USD`, positions as `BTCUSD`, as the venue does. Fields of the pattern-day-trader rule are
 * absent, for the venue has removed them.
 */
import {
  newYorkDate,
  newYorkTime,
  type SessionPhase,
  type TradingDay,
} from "../../../domain/calendar.ts"
import { type Atoms, formatTrimmed, ONE } from "../decimals.ts"
import type { Funds, Valued } from "./account.ts"
import type { OrderEvent } from "./order_books.ts"
import type { AccountRecord, FillRecord, OrderRecord } from "./ledger.ts"
import type { AlpacaListing } from "./market.ts"
import { positionSymbol } from "./order_request.ts"
import type { Refusal } from "./refusal.ts"
import {
  clockText,
  dayAfter,
  type DaysOf,
  newYorkStamp,
  newYorkText,
  newYorkWall,
} from "./trading_calendar.ts"

export function refusalBody({ code, message, facts }: Refusal): object {
  return { ...facts, code, message }
}

export function orderBody(
  order: OrderRecord,
  listing: AlpacaListing,
  legs: ReadonlyArray<object> | null = null,
): Record<string, unknown> {
  return {
    id: order.id,
    client_order_id: order.clientOrderId,
    created_at: time(order.createdAt),
    updated_at: time(order.updatedAt),
    submitted_at: time(order.submittedAt),
    filled_at: order.status === "filled" || order.filled > 0n ? time(order.filledAt) : null,
    expired_at: time(order.expiredAt),
    cancel_requested_at: time(order.cancelRequestedAt),
    canceled_at: time(order.canceledAt),
    failed_at: time(order.failedAt),
    replaced_at: time(order.replacedAt),
    replaced_by: order.replacedBy === "" ? null : order.replacedBy,
    replaces: order.replaces === "" ? null : order.replaces,
    asset_id: listing.assetId,
    symbol: order.symbol,
    asset_class: listing.assetClass,
    notional: amount(order.notional),
    qty: order.notional > 0n ? null : formatTrimmed(order.quantity),
    filled_qty: formatTrimmed(order.filled),
    filled_avg_price: averagePrice(order),
    order_class: order.orderClass,
    order_type: order.type,
    type: order.type,
    side: order.side,
    position_intent: order.positionIntent,
    time_in_force: order.timeInForce,
    limit_price: amount(order.limitPrice),
    stop_price: amount(order.stopPrice),
    status: order.status,
    extended_hours: order.extendedHours,
    legs,
    trail_percent: amount(order.trailPercent),
    trail_price: amount(order.trailPrice),
    hwm: amount(order.highWaterMark),
    subtag: null,
    source: null,
    expires_at: time(order.expiresAt),
  }
}

/** The `data` of one `trade_updates` message. */
export function updateData(
  { event, eventId, executionId, time: at, order, execution }: OrderEvent,
  listing: AlpacaListing,
  days: DaysOf,
): Record<string, unknown> {
  return {
    at: time(at),
    event_id: eventId,
    event,
    timestamp: time(at),
    order: withoutQueryFields(orderBody(order, listing)),
    ...(execution && {
      price: formatTrimmed(execution.price),
      qty: formatTrimmed(execution.quantity),
      position_qty: formatTrimmed(execution.position),
    }),
    ...(executionId !== "" && { execution_id: executionId }),
    ...(execution && { swap_rate: "1", settle_date: settleDate(at, listing, days) }),
  }
}

export function accountBody(record: AccountRecord, funds: Funds): object {
  const { configuration } = record
  return {
    id: record.id,
    admin_configurations: {},
    user_configurations: null,
    account_number: record.accountNumber,
    status: "ACTIVE",
    crypto_status: "ACTIVE",
    options_approved_level: 0,
    options_trading_level: 0,
    currency: "USD",
    buying_power: formatTrimmed(funds.buyingPower),
    regt_buying_power: formatTrimmed(funds.regTBuyingPower),
    options_buying_power: "0",
    non_marginable_buying_power: formatTrimmed(funds.nonMarginableBuyingPower),
    cash: formatTrimmed(funds.cash),
    accrued_fees: formatTrimmed(record.accruedFees),
    portfolio_value: formatTrimmed(funds.equity),
    trading_blocked: false,
    transfers_blocked: false,
    account_blocked: false,
    created_at: time(record.createdAt),
    trade_suspended_by_user: configuration.suspendTrade,
    multiplier: configuration.maxMarginMultiplier === "1" ? "1" : "2",
    shorting_enabled: !configuration.noShorting,
    equity: formatTrimmed(funds.equity),
    last_equity: formatTrimmed(record.lastEquity),
    long_market_value: formatTrimmed(funds.longMarketValue),
    short_market_value: formatTrimmed(funds.shortMarketValue),
    position_market_value: formatTrimmed(funds.longMarketValue + funds.shortMarketValue),
    initial_margin: formatTrimmed(funds.initialMargin),
    maintenance_margin: formatTrimmed(funds.maintenanceMargin),
    last_maintenance_margin: formatTrimmed(record.lastMaintenanceMargin),
    sma: "0",
    balance_asof: newYorkDate(record.createdAt),
    crypto_tier: 1,
    intraday_adjustments: "0",
    pending_reg_taf_fees: "0",
    pending_transfer_in: "0",
    pending_transfer_out: "0",
  }
}

export function configurationBody({ configuration }: AccountRecord): object {
  return {
    disable_overnight_trading: configuration.disableOvernightTrading,
    fractional_trading: configuration.fractionalTrading,
    max_margin_multiplier: configuration.maxMarginMultiplier,
    max_options_trading_level: 0,
    no_shorting: configuration.noShorting,
    ptp_no_exception_entry: configuration.ptpNoExceptionEntry,
    suspend_trade: configuration.suspendTrade,
    trade_confirm_email: configuration.tradeConfirmEmail,
  }
}

/** `held`: what open orders hold of it. */
export function positionBody(
  { position, price, marketValue, lastPrice }: Valued,
  listing: AlpacaListing,
  held: Atoms,
): object {
  const { quantity } = position
  const [cost, dayCost] = [quotient(position.cost, ONE), quotient(position.dayCost, ONE)]
  const isLong = quantity > 0n
  const size = isLong ? quantity : -quantity
  const profit = marketValue - cost
  const dayProfit = marketValue - dayCost
  return {
    asset_id: listing.assetId,
    symbol: positionSymbol(listing),
    exchange: listing.exchange,
    asset_class: listing.assetClass,
    asset_marginable: listing.marginable,
    qty: formatTrimmed(quantity),
    avg_entry_price: formatTrimmed(quotient(position.cost, quantity)),
    side: isLong ? "long" : "short",
    market_value: formatTrimmed(marketValue),
    cost_basis: formatTrimmed(cost),
    unrealized_pl: formatTrimmed(profit),
    unrealized_plpc: ratio(profit, cost),
    unrealized_intraday_pl: formatTrimmed(dayProfit),
    unrealized_intraday_plpc: ratio(dayProfit, dayCost),
    current_price: formatTrimmed(price),
    lastday_price: formatTrimmed(lastPrice),
    change_today: ratio(price - lastPrice, lastPrice),
    qty_available: formatTrimmed(isLong ? size - held : held - size),
  }
}

export function assetBody(listing: AlpacaListing): object {
  const isCrypto = listing.assetClass === "crypto"
  return {
    id: listing.assetId,
    class: listing.assetClass,
    exchange: listing.exchange,
    symbol: listing.symbol,
    name: listing.name,
    status: "active",
    tradable: listing.tradable,
    marginable: listing.marginable,
    maintenance_margin_requirement: isCrypto ? 100 : 30,
    margin_requirement_long: isCrypto ? "100" : "30",
    margin_requirement_short: isCrypto ? "100" : "30",
    shortable: listing.shortable,
    easy_to_borrow: listing.shortable,
    ...(!isCrypto && { borrow_status: listing.shortable ? "easy_to_borrow" : "hard_to_borrow" }),
    fractionable: listing.fractionable,
    attributes: listing.fractionable ? ["fractional_eh_enabled"] : [],
    ...(isCrypto && {
      min_order_size: formatTrimmed(listing.quantityMin),
      min_trade_increment: formatTrimmed(listing.quantityStep),
      price_increment: formatTrimmed(listing.priceIncrement),
    }),
  }
}

// Activities

export interface Activity {
  /** Sorts by time. */
  readonly id: string
  readonly type: "FILL" | "CFEE"
  readonly body: object
}

/** A fill is one activity; its fee, when it has one, another. `previous`: what it changes. */
export function activitiesOf(
  fill: FillRecord,
  previous: FillRecord | undefined,
  listing: AlpacaListing,
): ReadonlyArray<Activity> {
  const id = activityId(fill)
  const made: Activity = {
    id,
    type: "FILL",
    body: {
      activity_type: "FILL",
      cum_qty: formatTrimmed(fill.cumulative),
      id,
      leaves_qty: formatTrimmed(fill.leaves),
      order_id: fill.orderId,
      order_status: fill.orderStatus,
      ...(previous !== undefined && {
        previous_id: activityId(previous),
        status: fill.kind === "bust" ? "canceled" : "correct",
      }),
      price: formatTrimmed(fill.price),
      qty: formatTrimmed(fill.quantity),
      side: fill.side,
      symbol: fill.symbol,
      transaction_time: time(fill.time),
      type: fill.orderStatus === "filled" ? "fill" : "partial_fill",
    },
  }
  if (fill.fee === 0n || fill.kind !== "fill") return [made]
  const isBuy = fill.side === "buy"
  const feeId = activityId({ ...fill, executionId: feeIdOf(fill.executionId) })
  return [made, {
    id: feeId,
    type: "CFEE",
    body: {
      activity_type: "CFEE",
      id: feeId,
      date: newYorkDate(fill.time),
      net_amount: isBuy ? "0" : formatTrimmed(-fill.fee),
      description: `Coin Pair Transaction Fee (${isBuy ? "Non USD" : "USD"})`,
      symbol: positionSymbol(listing),
      qty: isBuy ? formatTrimmed(-fill.fee) : "0",
      price: formatTrimmed(fill.price),
      status: "executed",
    },
  }]
}

/** Whether `id` is of one of the activities that a fill makes. */
export function isActivityOf({ executionId }: FillRecord, id: string): boolean {
  return id.endsWith(`::${executionId}`) || id.endsWith(`::${feeIdOf(executionId)}`)
}

/** `20261123093000250::…`, in New York's time. */
export function activityId({ executionId, time }: Pick<FillRecord, "executionId" | "time">) {
  return `${newYorkWall(time).toISOString().replace(/\D/g, "")}::${executionId}`
}

/** Another id that nothing else has: only one of two halves of an id is drawn. */
function feeIdOf(executionId: string): string {
  const first = Number.parseInt(executionId.slice(0, 1), 16) ^ 8
  return first.toString(16) + executionId.slice(1)
}

// Calendar

export interface ClockFacts {
  readonly now: number
  readonly phase: SessionPhase
  readonly phaseUntil: number
  readonly nextOpen: number
  readonly nextClose: number
  readonly isMarketDay: boolean
}

export function clockBody({ now, phase, nextOpen, nextClose }: ClockFacts): object {
  return {
    timestamp: newYorkStamp(now),
    is_open: phase === "core",
    next_open: newYorkText(nextOpen),
    next_close: newYorkText(nextClose),
  }
}

/** The night belongs to another market: here it is closed. */
export function marketClockBody(facts: ClockFacts): object {
  return {
    market: NYSE,
    timestamp: newYorkStamp(facts.now),
    is_market_day: facts.isMarketDay,
    next_market_open: newYorkText(facts.nextOpen),
    next_market_close: newYorkText(facts.nextClose),
    phase: facts.phase === "overnight" ? "closed" : facts.phase,
    phase_until: newYorkText(facts.phaseUntil),
  }
}

/** `listed` in order and without a gap, like the days of a calendar. */
export function calendarBody(
  listed: ReadonlyArray<TradingDay>,
  days: DaysOf,
): ReadonlyArray<object> {
  return listed.map((day, index) => ({
    date: day.date,
    open: clockText(day.open),
    close: clockText(day.close),
    session_open: clockText(day.preOpen).replace(":", ""),
    session_close: clockText(day.postClose).replace(":", ""),
    settlement_date: listed[index + 1]?.date ?? dayAfter(days, day.date),
  }))
}

export function marketCalendarBody(listed: ReadonlyArray<TradingDay>, days: DaysOf): object {
  return {
    market: NYSE,
    calendar: listed.map((day, index) => ({
      date: day.date,
      pre_start: newYorkText(newYorkTime(day.date, day.preOpen)),
      pre_end: newYorkText(newYorkTime(day.date, day.open)),
      core_start: newYorkText(newYorkTime(day.date, day.open)),
      core_end: newYorkText(newYorkTime(day.date, day.close)),
      post_start: newYorkText(newYorkTime(day.date, day.close)),
      post_end: newYorkText(newYorkTime(day.date, day.postClose)),
      settlement_date: listed[index + 1]?.date ?? dayAfter(days, day.date),
    })),
  }
}

const NYSE = {
  mic: "XNYS",
  bic: "XNYSUS33",
  acronym: "NYSE",
  name: "New York Stock Exchange",
  timezone: "America/New_York",
} as const

/** Crypto settles at once, shares on the next day of trading. */
function settleDate(at: number, listing: AlpacaListing, days: DaysOf): string {
  const date = newYorkDate(at)
  return listing.assetClass === "crypto" ? date : dayAfter(days, date)
}

/** Updates do not say where an order came from. */
function withoutQueryFields(body: Record<string, unknown>): Record<string, unknown> {
  const { subtag: _subtag, source: _source, ...rest } = body
  return rest
}

function averagePrice(order: OrderRecord): string | null {
  if (order.filled === 0n) return null
  return formatTrimmed(quotient(order.filledValue, order.filled))
}

/** Rounded to the nearest, halves away from zero; 0 by 0. */
function quotient(part: bigint, whole: bigint): bigint {
  if (whole === 0n) return 0n
  const isNegative = (part < 0n) !== (whole < 0n)
  const [size, by] = [part < 0n ? -part : part, whole < 0n ? -whole : whole]
  const rounded = (2n * size + by) / (2n * by)
  return isNegative ? -rounded : rounded
}

function amount(atoms: Atoms): string | null {
  return atoms === 0n ? null : formatTrimmed(atoms)
}

function ratio(part: Atoms, whole: Atoms): string {
  if (whole === 0n) return "0"
  const size = whole < 0n ? -whole : whole
  return formatTrimmed(part * ONE / size)
}

function time(timeMs: number): string
function time(timeMs: number | null): string | null
function time(timeMs: number | null): string | null {
  if (timeMs === null) return null
  return new Date(timeMs).toISOString().replace(/\.?0*Z$/, "Z")
}
