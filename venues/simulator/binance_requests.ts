/**
 * What a request is about: listings, pages and orders, read from its parameters and
 * refused in the venue's words when they make no sense.
 */
import { ApiError, missing, type Params } from "./binance_params.ts"
import type { BinanceVenue } from "./binance_venue.ts"
import type { OrderRequest, Refusal } from "./exchange.ts"
import type { OrderRecord } from "./ledger.ts"
import type { Listing } from "./listing.ts"
import { brokenRule } from "./order_rules.ts"

const PAGE_MAX = 1_000

export function listed(venue: BinanceVenue, params: Params): Listing {
  const symbol = params.mandatory("symbol")
  const listing = venue.listing(symbol)
  if (listing === undefined) throw new ApiError(-1121, "Invalid symbol.")
  return listing
}

/** One `symbol`, several as JSON in `symbols`, or all. */
export function asked(venue: BinanceVenue, params: Params) {
  if (params.has("symbol")) return { listings: [listed(venue, params)], isOne: true }
  const text = params.text("symbols")
  if (text === undefined) return { listings: venue.listings, isOne: false }
  const symbols = symbolList(text)
  const listings = symbols.map((symbol) => {
    const listing = venue.listing(symbol)
    if (listing === undefined) throw new ApiError(-1121, "Invalid symbol.")
    return listing
  })
  return { listings, isOne: false }
}

function symbolList(text: string): ReadonlyArray<string> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = undefined
  }
  if (!Array.isArray(parsed) || parsed.some((one) => typeof one !== "string")) {
    throw new ApiError(
      -1100,
      "Illegal characters found in parameter 'symbols'; legal range is '^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$'.",
    )
  }
  return parsed.map(String)
}

export function lastPrice(venue: BinanceVenue, symbol: string) {
  const tape = venue.tape(symbol)
  return tape.lastTrade?.price ?? tape.quote?.bid.price
}

export function pageSize(params: Params): number {
  return params.integer("limit", { min: 1, max: PAGE_MAX }) ?? 500
}

/** The first rows from an id or a time on, else the last ones. */
export function page<A>(rows: ReadonlyArray<A>, params: Params, fromId: boolean): ReadonlyArray<A> {
  const limit = pageSize(params)
  return fromId || params.has("startTime") ? rows.slice(0, limit) : rows.slice(-limit)
}

export function timeRange(params: Params): (time: number) => boolean {
  const from = params.integer("startTime") ?? 0
  const to = params.integer("endTime") ?? Infinity
  if (to < from) throw new ApiError(-1127, "Start time is greater than end time.")
  return (time) => time >= from && time <= to
}

/** An order by either id, among those that `books` know. */
export function findOrder(
  venue: BinanceVenue,
  books: Pick<BinanceVenue["replica"], "order" | "orders">,
  params: Params,
  names = { orderId: "orderId", clientOrderId: "origClientOrderId" },
): OrderRecord | undefined {
  const { symbol } = listed(venue, params)
  const orderId = params.integer(names.orderId)
  const clientOrderId = params.text(names.clientOrderId)
  if (orderId === undefined && clientOrderId === undefined) {
    throw new ApiError(
      -1102,
      `Param '${names.clientOrderId}' or '${names.orderId}' must be sent, but both were empty/null!`,
    )
  }
  // A client id may have been used again once its order had ended: the newest one is meant.
  const order = orderId === undefined
    ? books.orders.findLast((one) => one.symbol === symbol && one.clientOrderId === clientOrderId)
    : books.order(orderId)
  if (order?.symbol !== symbol) return undefined
  return clientOrderId === undefined || order.clientOrderId === clientOrderId ? order : undefined
}

export function orderRequest(venue: BinanceVenue, params: Params): OrderRequest {
  const listing = listed(venue, params)
  const side = params.oneOf("side", ["BUY", "SELL"], { code: -1117, text: "Invalid side." })
  if (side === undefined) throw missing("side")
  const type = params.oneOf(
    "type",
    ["LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
    { code: -1116, text: "Invalid orderType." },
  )
  if (type === undefined) throw missing("type")
  const timeInForce = params.oneOf("timeInForce", ["GTC", "IOC", "FOK"], {
    code: -1115,
    text: "Invalid timeInForce.",
  })
  requireShape(type, params)
  const request: OrderRequest = {
    symbol: listing.symbol,
    side,
    type,
    timeInForce: timeInForce ?? "GTC",
    price: params.amount("price"),
    quantity: params.amount("quantity"),
    quoteQuantity: params.amount("quoteOrderQty"),
    stopPrice: params.amount("stopPrice"),
    clientOrderId: params.clientOrderId("newClientOrderId") ??
      `sim-${venue.counters.orderId + 1}-${venue.counters.executionId}`,
    selfTradePrevention: params.oneOf(
      "selfTradePreventionMode",
      ["EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"],
      { code: -2010, text: "This symbol does not allow the specified self-trade prevention mode." },
    ) ?? "EXPIRE_MAKER",
  }
  const quote = venue.tape(listing.symbol).quote
  const referencePrice = lastPrice(venue, listing.symbol) ?? quote?.ask.price
  const open = venue.exchange.openOrders(listing.symbol)
  const broken = brokenRule(request, {
    listing,
    referencePrice,
    openOrders: open.length,
    openStops: open.filter((order) => !order.isWorking).length,
  })
  if (broken !== undefined) throw refused(broken)
  return request
}

/** Every type has to be sent with what it needs and without what it has no use for. */
function requireShape(type: OrderRequest["type"], params: Params) {
  const needs = (name: string) => {
    if (!params.has(name)) throw missing(name)
  }
  const forbids = (name: string) => {
    if (params.has(name)) throw new ApiError(-1106, `Parameter '${name}' sent when not required.`)
  }
  if (type === "MARKET") {
    forbids("price")
    forbids("timeInForce")
    forbids("stopPrice")
    if (params.has("quantity") === params.has("quoteOrderQty")) {
      if (params.has("quantity")) forbids("quoteOrderQty")
      throw new ApiError(
        -1102,
        "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
      )
    }
    return
  }
  forbids("quoteOrderQty")
  needs("quantity")
  needs("price")
  if (type === "LIMIT_MAKER") forbids("timeInForce")
  else needs("timeInForce")
  if (type === "STOP_LOSS_LIMIT" || type === "TAKE_PROFIT_LIMIT") needs("stopPrice")
  else forbids("stopPrice")
}

export function responseDetail(request: OrderRequest, params: Params): "ACK" | "RESULT" | "FULL" {
  const detail = params.oneOf("newOrderRespType", ["ACK", "RESULT", "FULL"], {
    code: -1130,
    text: "Data sent for parameter 'newOrderRespType' is not valid.",
  })
  return detail ?? (request.type === "LIMIT" || request.type === "MARKET" ? "FULL" : "ACK")
}

export function refused(refusal: Refusal): ApiError {
  return new ApiError(refusal.code, refusal.text)
}
