/**
 * Reads an order from a request's body, by the venue's rules.
 *
 * Only what can be said without looking at the account is said here; texts and codes are the
 * venue's. Amounts keep 8 decimals, one fewer than the venue: a ninth is refused, never dropped.
 */
import { newYorkDate, type SessionPhase } from "../../../domain/calendar.ts"
import { type Atoms, ONE, parseAtoms } from "../decimals.ts"
import type { OrderRecord } from "./ledger.ts"
import type { AlpacaListing } from "./market.ts"
import { forbidden, isRefusal, malformed, type Refusal, unprocessable } from "./refusal.ts"
import { type DaysOf, newYorkMinute } from "./trading_calendar.ts"

export interface LegRequest {
  readonly limitPrice: Atoms
  readonly stopPrice: Atoms
}

export type OrderRequest =
  & Pick<
    OrderRecord,
    | "symbol"
    | "side"
    | "type"
    | "timeInForce"
    | "orderClass"
    | "extendedHours"
    | "clientOrderId"
    | "quantity"
    | "notional"
    | "limitPrice"
    | "stopPrice"
    | "trailPercent"
    | "trailPrice"
  >
  & {
    /** What the client says it is for, else empty. */
    readonly positionIntent: OrderRecord["positionIntent"] | ""
    readonly takeProfit: LegRequest | undefined
    readonly stopLoss: LegRequest | undefined
  }

export interface Surroundings {
  readonly listings: ReadonlyMap<string, AlpacaListing>
  readonly phase: (symbol: string) => SessionPhase
  readonly days: DaysOf
  readonly now: number
}

export const CLIENT_ORDER_ID_MAX = 128
const TRAIL_PERCENT_MIN = ONE / 10n
/** Between these minutes of New York's day no order for the auction is taken. */
const OPEN_AUCTION = { from: 568, until: 1_140 } as const
const CLOSE_AUCTION = { minutesBeforeClose: 5, until: 1_140 } as const

type Fields = Readonly<Record<string, unknown>>

/** Symbols are written with or without their slash: `BTC/USD`, `BTCUSD`. */
export function findListing(
  listings: ReadonlyMap<string, AlpacaListing>,
  name: string,
): AlpacaListing | undefined {
  const known = listings.get(name) ?? listings.get(name.toUpperCase())
  if (known !== undefined) return known
  for (const listing of listings.values()) {
    if (listing.assetId === name || positionSymbol(listing) === name.toUpperCase()) return listing
  }
  return undefined
}

/** How positions write a symbol: crypto without its slash. */
export function positionSymbol(listing: Pick<AlpacaListing, "symbol">): string {
  return listing.symbol.replace("/", "")
}

export function readOrder(fields: Fields, around: Surroundings): OrderRequest | Refusal {
  const name = text(fields.symbol)
  if (name === "") return malformed("symbol is required")
  const listing = findListing(around.listings, name)
  if (listing === undefined) return unprocessable(`asset "${name}" not found`)
  if (!listing.tradable) return unprocessable(`asset ${listing.symbol} is not tradable`)

  const side = oneOf(["buy", "sell"], fields.side)
  if (side === undefined) return malformed("invalid side")
  const type = oneOf(["market", "limit", "stop", "stop_limit", "trailing_stop"], fields.type)
  if (type === undefined) return malformed("invalid order type")
  const timeInForce = oneOf(["day", "gtc", "opg", "cls", "ioc", "fok"], fields.time_in_force)
  if (timeInForce === undefined) return malformed("invalid time_in_force")
  const orderClass = oneOf(["", "simple", "bracket", "oco", "oto"], fields.order_class ?? "")
  if (orderClass === undefined) return malformed("invalid order_class")
  const positionIntent = oneOf(
    ["", "buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"],
    fields.position_intent ?? "",
  )
  if (positionIntent === undefined) return malformed("invalid position_intent")
  const clientOrderId = text(fields.client_order_id)
  if (clientOrderId.length > CLIENT_ORDER_ID_MAX) {
    return malformed(`client_order_id must be no more than ${CLIENT_ORDER_ID_MAX} characters`)
  }

  const amounts = readAmounts(fields)
  if (isRefusal(amounts)) return amounts
  const { quantity, notional, limitPrice, stopPrice, trailPrice, trailPercent } = amounts
  const takeProfit = readLeg(fields.take_profit, "take_profit")
  const stopLoss = readLeg(fields.stop_loss, "stop_loss")
  if (takeProfit !== undefined && isRefusal(takeProfit)) return takeProfit
  if (stopLoss !== undefined && isRefusal(stopLoss)) return stopLoss

  const request: OrderRequest = {
    symbol: listing.symbol,
    side,
    type,
    timeInForce,
    orderClass,
    extendedHours: fields.extended_hours === true || fields.extended_hours === "true",
    clientOrderId,
    // The limit of an OCO order is its take-profit's.
    limitPrice: orderClass === "oco" && limitPrice === 0n
      ? takeProfit?.limitPrice ?? 0n
      : limitPrice,
    quantity,
    notional,
    stopPrice,
    trailPrice,
    trailPercent,
    positionIntent,
    takeProfit,
    stopLoss,
  }
  return shapeProblem(request) ?? gridProblem(request, listing) ??
    assetProblem(request, listing, around) ?? classProblem(request, listing) ?? request
}

/** What of an order a replacement may change; absent means: as it was. */
export interface ReplaceRequest {
  readonly quantity: Atoms | undefined
  readonly limitPrice: Atoms | undefined
  readonly stopPrice: Atoms | undefined
  readonly trail: Atoms | undefined
  readonly timeInForce: OrderRecord["timeInForce"] | undefined
  readonly clientOrderId: string
}

export function readReplace(fields: Fields): ReplaceRequest | Refusal {
  const clientOrderId = text(fields.client_order_id)
  if (clientOrderId.length > CLIENT_ORDER_ID_MAX) {
    return malformed(`client_order_id must be no more than ${CLIENT_ORDER_ID_MAX} characters`)
  }
  const timeInForce = oneOf(["day", "gtc", "opg", "cls", "ioc", "fok"], fields.time_in_force)
  if (timeInForce === undefined && given(fields.time_in_force)) {
    return malformed("invalid time_in_force")
  }
  const amounts = { qty: 0n, limit_price: 0n, stop_price: 0n, trail: 0n }
  for (const key of ["qty", "limit_price", "stop_price", "trail"] as const) {
    const amount = readAmount(fields[key], key.replace("_", " "))
    if (typeof amount !== "bigint") return amount
    amounts[key] = amount
  }
  const orAsBefore = (key: keyof typeof amounts) => given(fields[key]) ? amounts[key] : undefined
  return {
    quantity: orAsBefore("qty"),
    limitPrice: orAsBefore("limit_price"),
    stopPrice: orAsBefore("stop_price"),
    trail: orAsBefore("trail"),
    timeInForce,
    clientOrderId,
  }
}

/** Whether prices and quantity fit the symbol's steps. */
export function gridProblem(
  order: Pick<OrderRequest, "limitPrice" | "stopPrice" | "quantity"> & {
    readonly takeProfit?: LegRequest | undefined
    readonly stopLoss?: LegRequest | undefined
  },
  listing: AlpacaListing,
): Refusal | undefined {
  const prices = [
    ["limit_price", order.limitPrice],
    ["stop_price", order.stopPrice],
    ["take_profit.limit_price", order.takeProfit?.limitPrice ?? 0n],
    ["stop_loss.stop_price", order.stopLoss?.stopPrice ?? 0n],
    ["stop_loss.limit_price", order.stopLoss?.limitPrice ?? 0n],
  ] as const
  for (const [name, price] of prices) {
    if (price % priceStep(listing, price) !== 0n) {
      return unprocessable(
        `invalid ${name} ${plain(price)}. sub-penny increment does not fulfill minimum pricing ` +
          `criteria`,
      )
    }
  }
  return undefined
}

/** What a price is a multiple of. */
export function priceStep(listing: AlpacaListing, price: Atoms): Atoms {
  if (listing.assetClass === "crypto") return listing.priceIncrement
  return price >= ONE ? ONE / 100n : ONE / 10_000n
}

function shapeProblem(order: OrderRequest): Refusal | undefined {
  if (order.quantity === 0n && order.notional === 0n) {
    return malformed("qty or notional is required")
  }
  if (order.quantity > 0n && order.notional > 0n) {
    return malformed("only one of qty or notional is accepted")
  }
  const hasLimit = order.limitPrice > 0n
  const hasStop = order.stopPrice > 0n
  const hasTrail = order.trailPrice > 0n || order.trailPercent > 0n
  switch (order.type) {
    case "market":
      if (hasLimit || hasStop) return unprocessable("market orders require no stop or limit price")
      break
    case "limit":
      if (!hasLimit) return malformed("limit orders require a limit price")
      if (hasStop) return malformed("limit orders require only limit price")
      break
    case "stop":
      if (!hasStop) return malformed("stop orders require a stop price")
      if (hasLimit) return malformed("stop orders require only stop price")
      break
    case "stop_limit":
      if (!hasStop || !hasLimit) {
        return malformed("stop limit orders require both stop and limit price")
      }
      break
    case "trailing_stop":
      if ((order.trailPrice > 0n) === (order.trailPercent > 0n)) {
        return malformed("trailing stop orders must specify one of trail_price or trail_percent")
      }
      if (order.trailPercent > 0n && order.trailPercent < TRAIL_PERCENT_MIN) {
        return malformed("trail_percent must be greater than or equal to 0.1")
      }
      if (hasLimit || hasStop) {
        return malformed("trailing stop orders require no stop or limit price")
      }
  }
  if (order.type !== "trailing_stop" && hasTrail) {
    return malformed("trail_price and trail_percent are for trailing stop orders only")
  }
  if (
    order.extendedHours &&
    (order.type !== "limit" || (order.timeInForce !== "day" && order.timeInForce !== "gtc"))
  ) {
    return unprocessable("extended hours order must be DAY or GTC limit orders")
  }
  return undefined
}

function assetProblem(
  order: OrderRequest,
  listing: AlpacaListing,
  { phase, days, now }: Surroundings,
): Refusal | undefined {
  const { symbol } = listing
  if (listing.assetClass === "crypto") {
    if (order.timeInForce !== "gtc" && order.timeInForce !== "ioc") {
      return unprocessable("invalid crypto time_in_force")
    }
    if (order.type === "stop" || order.type === "trailing_stop") {
      return unprocessable(`invalid order type for crypto order`)
    }
    if (order.quantity % listing.quantityStep !== 0n) {
      return unprocessable(
        `qty must be a multiple of min_trade_increment ${plain(listing.quantityStep)}`,
      )
    }
    return undefined
  }
  const isFractional = order.notional > 0n || order.quantity % ONE !== 0n
  if (isFractional) {
    if (!listing.fractionable) return forbidden(`asset "${symbol}" is not fractionable`)
    if (order.timeInForce !== "day") return unprocessable("fractional orders must be DAY orders")
    if (order.type === "trailing_stop") {
      return unprocessable(
        "fractional orders must be market, limit, stop, or stop_limit orders",
      )
    }
    if (order.orderClass !== "" && order.orderClass !== "simple") {
      return unprocessable("fractional orders must be simple orders")
    }
  }
  if (order.timeInForce === "opg" || order.timeInForce === "cls") {
    return auctionProblem(order, phase(symbol), days, now)
  }
  return undefined
}

function auctionProblem(
  order: OrderRequest,
  phase: SessionPhase,
  days: DaysOf,
  now: number,
): Refusal | undefined {
  if (order.type !== "market" && order.type !== "limit") {
    return unprocessable(`${order.timeInForce} orders must be market or limit orders`)
  }
  const [date, minute] = [newYorkDate(now), newYorkMinute(now)]
  const day = days(date, date)[0]
  if (order.timeInForce === "opg") {
    const isLate = phase === "core" ||
      (day !== undefined && minute >= OPEN_AUCTION.from && minute < OPEN_AUCTION.until)
    return isLate
      ? forbidden("opg orders must be submitted after 7:00pm and before 9:28am")
      : undefined
  }
  const lateFrom = (day?.close ?? CLOSE_AUCTION.until) - CLOSE_AUCTION.minutesBeforeClose
  const isLate = phase === "post" || (day !== undefined && minute >= lateFrom &&
    (minute < CLOSE_AUCTION.until || phase === "core"))
  return isLate
    ? forbidden("cls orders must be submitted after 7:00pm and before 3:55pm")
    : undefined
}

function classProblem(order: OrderRequest, listing: AlpacaListing): Refusal | undefined {
  const { orderClass, takeProfit, stopLoss } = order
  if (orderClass === "" || orderClass === "simple") {
    return takeProfit === undefined && stopLoss === undefined
      ? undefined
      : unprocessable("simple orders require no take_profit or stop_loss")
  }
  if (listing.assetClass === "crypto") {
    return unprocessable(`crypto orders not allowed for advanced order_class: ${orderClass}`)
  }
  if (order.timeInForce !== "day" && order.timeInForce !== "gtc") {
    return unprocessable("complex orders are only supported for day or gtc time_in_force")
  }
  if (order.extendedHours) return unprocessable("extended hours orders must be simple orders")
  const hasProfit = takeProfit !== undefined && takeProfit.limitPrice > 0n
  const hasLoss = stopLoss !== undefined && stopLoss.stopPrice > 0n
  if (orderClass !== "oto" && !hasLoss) {
    return unprocessable(`${orderClass} orders require stop_loss.stop_price`)
  }
  if (orderClass === "bracket" && !hasProfit) {
    return unprocessable("bracket orders require take_profit.limit_price")
  }
  if (orderClass === "bracket" && order.type !== "market" && order.type !== "limit") {
    return unprocessable("bracket orders must be market or limit orders")
  }
  if (orderClass === "oco" && order.type !== "limit") {
    return unprocessable("oco orders must be limit orders")
  }
  if (orderClass === "oto" && hasProfit === hasLoss) {
    return unprocessable("oto orders require either take_profit or stop_loss")
  }
  const profit = orderClass === "oco" ? order.limitPrice : takeProfit?.limitPrice ?? 0n
  const loss = stopLoss?.stopPrice ?? 0n
  const isLongEntry = (order.side === "buy") === (orderClass !== "oco")
  if (profit > 0n && loss > 0n && (isLongEntry ? profit <= loss : profit >= loss)) {
    return unprocessable(
      `take_profit.limit_price must be ${isLongEntry ? ">" : "<"} stop_loss.stop_price`,
    )
  }
  return undefined
}

// Amounts

function readAmounts(fields: Fields) {
  const amounts = {
    quantity: 0n,
    notional: 0n,
    limitPrice: 0n,
    stopPrice: 0n,
    trailPrice: 0n,
    trailPercent: 0n,
  }
  const names = [
    ["quantity", "qty", "qty"],
    ["notional", "notional", "notional"],
    ["limitPrice", "limit_price", "limit price"],
    ["stopPrice", "stop_price", "stop price"],
    ["trailPrice", "trail_price", "trail_price"],
    ["trailPercent", "trail_percent", "trail_percent"],
  ] as const
  for (const [key, field, name] of names) {
    const amount = readAmount(fields[field], name)
    if (typeof amount !== "bigint") return amount
    amounts[key] = amount
  }
  if (amounts.notional % (ONE / 100n) !== 0n) {
    return unprocessable("notional value must be limited to 2 decimal places")
  }
  return amounts
}

/** 0 when it is not given. Clients send text and numbers. */
function readAmount(value: unknown, name: string): Atoms | Refusal {
  if (!given(value)) return 0n
  const written = typeof value === "number" ? String(value) : text(value)
  const amount = parseAtoms(written)
  if (amount === undefined) {
    return /^-?\d+\.\d+$/.test(written)
      ? malformed(`${name} must be limited to 8 decimal places`)
      : malformed(`invalid ${name}`)
  }
  return amount > 0n ? amount : malformed(`${name} must be > 0`)
}

function readLeg(value: unknown, name: string): LegRequest | Refusal | undefined {
  if (!given(value)) return undefined
  if (typeof value !== "object" || value === null) return malformed(`invalid ${name}`)
  const fields = Object.fromEntries(Object.entries(value))
  const limitPrice = readAmount(fields.limit_price, `${name}.limit_price`)
  if (typeof limitPrice !== "bigint") return limitPrice
  const stopPrice = readAmount(fields.stop_price, `${name}.stop_price`)
  return typeof stopPrice === "bigint" ? { limitPrice, stopPrice } : stopPrice
}

function given(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ""
}

function text(value: unknown): string {
  return typeof value === "string" ? value.trim() : ""
}

function oneOf<const A extends string>(known: ReadonlyArray<A>, value: unknown): A | undefined {
  return known.find((one) => one === value)
}

function plain(price: Atoms): string {
  const whole = price / ONE
  const rest = (price % ONE).toString().padStart(8, "0").replace(/0+$/, "")
  return rest === "" ? `${whole}` : `${whole}.${rest}`
}
