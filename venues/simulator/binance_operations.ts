/**
 * What can be asked of the venue, once for REST and WS-API alike.
 *
 * An operation reads its parameters, does its work at once and says what changed;
 * when the answer may leave is the server's business. Refusals are thrown as
 * `ApiError`, always before anything has changed.
 */
import { ApiError, missing, type Params } from "./binance_params.ts"
import * as message from "./binance_messages.ts"
import {
  asked,
  findOrder,
  lastPrice,
  listed,
  orderRequest,
  page,
  pageSize,
  refused,
  responseDetail,
  timeRange,
} from "./binance_requests.ts"
import type { BinanceVenue } from "./binance_venue.ts"
import type { Change } from "./exchange_books.ts"
import { formatAtoms, ONE } from "./decimals.ts"
import { isInterval, sum } from "./klines.ts"
import type { OrderRecord } from "./ledger.ts"
import type { Usage } from "./rate_limits.ts"

export interface Answer {
  readonly body: unknown
  /** HTTP status; 200 unless a part of it failed. */
  readonly status?: number
  /** What to make durable and report before the answer leaves. */
  readonly changes?: ReadonlyArray<Change>
  /** A new order, whose answer says how many there have been. */
  readonly isOrder?: boolean
}

export interface Operation {
  /** Whether the caller has to sign. */
  readonly security: "none" | "signed"
  readonly weight: (params: Params) => number
  /** Successful orders and cancels weigh nothing. */
  readonly isFreeWhenDone?: boolean
  /** Counts towards the order limits. */
  readonly isOrder?: boolean
  readonly params: ReadonlyArray<string>
  readonly run: (context: Context, params: Params) => Answer
}

export interface Context {
  readonly venue: BinanceVenue
  readonly usage: Usage
  readonly now: number
}

const ORDER_PARAMS = [
  "symbol",
  "side",
  "type",
  "timeInForce",
  "quantity",
  "quoteOrderQty",
  "price",
  "newClientOrderId",
  "strategyId",
  "strategyType",
  "stopPrice",
  "newOrderRespType",
  "selfTradePreventionMode",
]
const AVERAGE_MINUTES = 5

export const OPERATIONS = {
  ping: { security: "none", weight: () => 1, params: [], run: () => ({ body: {} }) },
  time: {
    security: "none",
    weight: () => 1,
    params: [],
    run: ({ now }) => ({ body: { serverTime: now } }),
  },
  exchangeInfo: {
    security: "none",
    weight: () => 20,
    params: ["symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"],
    run: ({ venue, usage, now }, params) => {
      const body = message.exchangeInfoBody(asked(venue, params).listings, usage.limits, now)
      // Anything that may be left out to save bytes is left out only on request.
      if (params.text("showPermissionSets") !== "false") return { body }
      return {
        body: { ...body, symbols: body.symbols.map((one) => ({ ...one, permissionSets: [] })) },
      }
    },
  },
  depth: {
    security: "none",
    weight: (params) => {
      const limit = params.integer("limit") ?? 100
      return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1_000 ? 50 : 250
    },
    params: ["symbol", "limit", "symbolStatus"],
    run: ({ venue }, params) => {
      const { symbol } = listed(venue, params)
      const limit = params.integer("limit", { min: 1, max: 5_000 }) ?? 100
      return { body: message.depthBody(venue.depth(symbol, limit)) }
    },
  },
  trades: {
    security: "none",
    weight: () => 25,
    params: ["symbol", "limit"],
    run: ({ venue }, params) => {
      const { symbol } = listed(venue, params)
      return { body: venue.tape(symbol).recent(pageSize(params)).map(message.publicTradeBody) }
    },
  },
  historicalTrades: {
    security: "none",
    weight: () => 25,
    params: ["symbol", "limit", "fromId"],
    run: ({ venue }, params) => {
      const tape = venue.tape(listed(venue, params).symbol)
      const fromId = params.integer("fromId")
      const limit = pageSize(params)
      const trades = fromId === undefined ? tape.recent(limit) : tape.from(fromId, limit)
      return { body: trades.map(message.publicTradeBody) }
    },
  },
  aggTrades: {
    security: "none",
    weight: () => 4,
    params: ["symbol", "fromId", "startTime", "endTime", "limit"],
    run: ({ venue }, params) => {
      const tape = venue.tape(listed(venue, params).symbol)
      const fromId = params.integer("fromId")
      const within = timeRange(params)
      const trades = tape.from(fromId ?? 0, Infinity).filter((trade) => within(trade.time))
      return { body: page(trades, params, fromId !== undefined).map(message.aggTradeBody) }
    },
  },
  avgPrice: {
    security: "none",
    weight: () => 2,
    params: ["symbol"],
    run: ({ venue, now }, params) => {
      const { symbol } = listed(venue, params)
      const recent = sum(
        venue.tape(symbol).klines.range("1m", now, { limit: AVERAGE_MINUTES }),
        now,
      )
      const price = recent.volume === 0n ? recent.close : recent.quoteVolume * ONE / recent.volume
      return { body: { mins: AVERAGE_MINUTES, price: formatAtoms(price), closeTime: now } }
    },
  },
  ticker24hr: {
    security: "none",
    weight: (params) => params.has("symbol") ? 2 : 80,
    params: ["symbol", "symbols", "type", "symbolStatus"],
    run: ({ venue, now }, params) => {
      const { listings, isOne } = asked(venue, params)
      return one(
        isOne,
        listings.map(({ symbol }) => message.tickerBody(symbol, venue.tape(symbol), now)),
      )
    },
  },
  klines: {
    security: "none",
    weight: () => 2,
    params: ["symbol", "interval", "startTime", "endTime", "timeZone", "limit"],
    run: ({ venue, now }, params) => {
      const { symbol } = listed(venue, params)
      const interval = params.mandatory("interval")
      if (!isInterval(interval)) throw new ApiError(-1120, "Invalid interval.")
      const startTime = params.integer("startTime")
      const endTime = params.integer("endTime")
      const klines = venue.tape(symbol).klines.range(interval, now, {
        ...(startTime !== undefined && { startTime }),
        ...(endTime !== undefined && { endTime }),
        limit: pageSize(params),
      })
      return { body: klines.map((kline) => message.klineBody(interval, kline)) }
    },
  },
  tickerPrice: {
    security: "none",
    weight: (params) => params.has("symbol") ? 2 : 4,
    params: ["symbol", "symbols", "symbolStatus"],
    run: ({ venue }, params) => {
      const { listings, isOne } = asked(venue, params)
      return one(
        isOne,
        listings.map(({ symbol }) => message.priceBody(symbol, lastPrice(venue, symbol))),
      )
    },
  },
  tickerBook: {
    security: "none",
    weight: (params) => params.has("symbol") ? 2 : 4,
    params: ["symbol", "symbols", "symbolStatus"],
    run: ({ venue }, params) => {
      const { listings, isOne } = asked(venue, params)
      return one(
        isOne,
        listings.map(({ symbol }) => message.bookTickerBody(symbol, venue.tape(symbol).quote)),
      )
    },
  },
  account: {
    security: "signed",
    weight: () => 20,
    params: ["omitZeroBalances"],
    run: ({ venue: { exchange, replica } }, params) => {
      const omits = params.text("omitZeroBalances") === "true"
      const balances = replica.balances.filter(({ free, locked }) => !omits || free + locked > 0n)
      return { body: message.accountBody(balances, exchange.updateTime) }
    },
  },
  place: {
    security: "signed",
    weight: () => 1,
    isFreeWhenDone: true,
    isOrder: true,
    params: ORDER_PARAMS,
    run: ({ venue, now }, params) => {
      const request = orderRequest(venue, params)
      const detail = responseDetail(request, params)
      const placed = venue.place(request, now)
      if ("refusal" in placed) throw refused(placed.refusal)
      return {
        body: message.placedBody(placed.order, placed.fills, detail),
        changes: [placed.change],
        isOrder: true,
      }
    },
  },
  testPlace: {
    security: "signed",
    weight: (params) => params.text("computeCommissionRates") === "true" ? 20 : 1,
    params: [...ORDER_PARAMS, "computeCommissionRates"],
    run: ({ venue }, params) => {
      const request = orderRequest(venue, params)
      responseDetail(request, params)
      const refusal = venue.exchange.check(request)
      if (refusal !== undefined) throw refused(refusal)
      return { body: {} }
    },
  },
  order: {
    security: "signed",
    weight: () => 4,
    params: ["symbol", "orderId", "origClientOrderId"],
    run: ({ venue }, params) => {
      const order = findOrder(venue, venue.replica, params)
      if (order === undefined) throw new ApiError(-2013, "Order does not exist.")
      return { body: message.orderBody(order) }
    },
  },
  cancel: {
    security: "signed",
    weight: () => 1,
    isFreeWhenDone: true,
    params: ["symbol", "orderId", "origClientOrderId", "newClientOrderId", "cancelRestrictions"],
    run: ({ venue, now }, params) => {
      const order = findOrder(venue, venue.exchange, params)
      return cancelOne(venue, order, params.clientOrderId("newClientOrderId"), params, now)
    },
  },
  cancelReplace: {
    security: "signed",
    weight: () => 1,
    isFreeWhenDone: true,
    isOrder: true,
    params: [
      ...ORDER_PARAMS,
      "cancelReplaceMode",
      "cancelNewClientOrderId",
      "cancelOrigClientOrderId",
      "cancelOrderId",
      "cancelRestrictions",
      "orderRateLimitExceededMode",
    ],
    run: cancelReplace,
  },
  openOrders: {
    security: "signed",
    weight: (params) => params.has("symbol") ? 6 : 80,
    params: ["symbol"],
    run: ({ venue }, params) => {
      const symbol = params.has("symbol") ? listed(venue, params).symbol : undefined
      return { body: venue.replica.openOrders(symbol).map(message.orderBody) }
    },
  },
  cancelAll: {
    security: "signed",
    weight: () => 1,
    isFreeWhenDone: true,
    params: ["symbol"],
    run: ({ venue, now }, params) => {
      const { symbol } = listed(venue, params)
      const open = venue.exchange.openOrders(symbol)
      if (open.length === 0) throw new ApiError(-2011, "Unknown order sent.")
      const changes = new Array<Change>()
      const body = open.flatMap((order) => {
        const cancelId = `cancel-${order.orderId}`
        const canceled = venue.cancel(order.orderId, cancelId, now)
        if ("refusal" in canceled) return []
        changes.push(canceled.change)
        return [message.canceledBody(canceled.order, cancelId)]
      })
      return { body, changes }
    },
  },
  allOrders: {
    security: "signed",
    weight: () => 20,
    params: ["symbol", "orderId", "startTime", "endTime", "limit"],
    run: ({ venue }, params) => {
      const { symbol } = listed(venue, params)
      const fromId = params.integer("orderId")
      const within = timeRange(params)
      const orders = venue.replica.orders.filter((order) =>
        order.symbol === symbol && (fromId === undefined || order.orderId >= fromId) &&
        within(order.time)
      )
      return { body: page(orders, params, fromId !== undefined).map(message.orderBody) }
    },
  },
  myTrades: {
    security: "signed",
    weight: (params) => params.has("orderId") ? 5 : 20,
    params: ["symbol", "orderId", "startTime", "endTime", "fromId", "limit"],
    run: ({ venue }, params) => {
      const { symbol } = listed(venue, params)
      const orderId = params.integer("orderId")
      const fromId = params.integer("fromId")
      if (fromId !== undefined && (params.has("startTime") || params.has("endTime"))) {
        throw new ApiError(-1128, "Combination of optional parameters invalid.")
      }
      const within = timeRange(params)
      const fills = venue.replica.fills.filter((fill) =>
        fill.symbol === symbol && (orderId === undefined || fill.orderId === orderId) &&
        (fromId === undefined || fill.tradeId >= fromId) && within(fill.time)
      )
      return { body: page(fills, params, fromId !== undefined).map(message.myTradeBody) }
    },
  },
  commission: {
    security: "signed",
    weight: () => 20,
    params: ["symbol"],
    run: ({ venue }, params) => ({ body: message.commissionBody(listed(venue, params).symbol) }),
  },
  orderUsage: {
    security: "signed",
    weight: () => 40,
    params: [],
    run: ({ usage, now }) => ({ body: usage.counts(now).slice(1) }),
  },
} as const satisfies Record<string, Operation>

/** Where REST clients find them. */
export const REST_ROUTES: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["GET /api/v3/ping", OPERATIONS.ping],
  ["GET /api/v3/time", OPERATIONS.time],
  ["GET /api/v3/exchangeInfo", OPERATIONS.exchangeInfo],
  ["GET /api/v3/depth", OPERATIONS.depth],
  ["GET /api/v3/trades", OPERATIONS.trades],
  ["GET /api/v3/historicalTrades", OPERATIONS.historicalTrades],
  ["GET /api/v3/aggTrades", OPERATIONS.aggTrades],
  ["GET /api/v3/avgPrice", OPERATIONS.avgPrice],
  ["GET /api/v3/ticker/24hr", OPERATIONS.ticker24hr],
  ["GET /api/v3/account/commission", OPERATIONS.commission],
  ["GET /api/v3/klines", OPERATIONS.klines],
  ["GET /api/v3/uiKlines", OPERATIONS.klines],
  ["GET /api/v3/ticker/price", OPERATIONS.tickerPrice],
  ["GET /api/v3/ticker/bookTicker", OPERATIONS.tickerBook],
  ["GET /api/v3/account", OPERATIONS.account],
  ["POST /api/v3/order", OPERATIONS.place],
  ["POST /api/v3/order/test", OPERATIONS.testPlace],
  ["GET /api/v3/order", OPERATIONS.order],
  ["DELETE /api/v3/order", OPERATIONS.cancel],
  ["POST /api/v3/order/cancelReplace", OPERATIONS.cancelReplace],
  ["GET /api/v3/openOrders", OPERATIONS.openOrders],
  ["DELETE /api/v3/openOrders", OPERATIONS.cancelAll],
  ["GET /api/v3/allOrders", OPERATIONS.allOrders],
  ["GET /api/v3/myTrades", OPERATIONS.myTrades],
  ["GET /api/v3/rateLimit/order", OPERATIONS.orderUsage],
])

/** Where WS-API clients find them. */
export const WS_METHODS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["ping", OPERATIONS.ping],
  ["time", OPERATIONS.time],
  ["exchangeInfo", OPERATIONS.exchangeInfo],
  ["depth", OPERATIONS.depth],
  ["trades.recent", OPERATIONS.trades],
  ["trades.historical", OPERATIONS.historicalTrades],
  ["trades.aggregate", OPERATIONS.aggTrades],
  ["avgPrice", OPERATIONS.avgPrice],
  ["ticker.24hr", OPERATIONS.ticker24hr],
  ["account.commission", OPERATIONS.commission],
  ["klines", OPERATIONS.klines],
  ["uiKlines", OPERATIONS.klines],
  ["ticker.price", OPERATIONS.tickerPrice],
  ["ticker.book", OPERATIONS.tickerBook],
  ["account.status", OPERATIONS.account],
  ["order.place", OPERATIONS.place],
  ["order.test", OPERATIONS.testPlace],
  ["order.status", OPERATIONS.order],
  ["order.cancel", OPERATIONS.cancel],
  ["order.cancelReplace", OPERATIONS.cancelReplace],
  ["openOrders.status", OPERATIONS.openOrders],
  ["openOrders.cancelAll", OPERATIONS.cancelAll],
  ["allOrders", OPERATIONS.allOrders],
  ["myTrades", OPERATIONS.myTrades],
  ["account.rateLimits.orders", OPERATIONS.orderUsage],
])

// Answers of more than one step

function one(isOne: boolean, bodies: ReadonlyArray<unknown>): Answer {
  return { body: isOne ? bodies[0] : bodies }
}

function cancelOne(
  venue: BinanceVenue,
  order: OrderRecord | undefined,
  newId: string | undefined,
  params: Params,
  now: number,
): Answer & { readonly changes: ReadonlyArray<Change> } {
  const restriction = params.oneOf("cancelRestrictions", ["ONLY_NEW", "ONLY_PARTIALLY_FILLED"], {
    code: -1145,
    text: "Invalid cancelRestrictions",
  })
  if (order === undefined) throw new ApiError(-2011, "Unknown order sent.")
  const allowed = restriction === "ONLY_NEW" ? "NEW" : "PARTIALLY_FILLED"
  if (restriction !== undefined && order.status !== allowed) {
    throw new ApiError(-2011, "Order was not canceled due to cancel restrictions.")
  }
  const cancelId = newId ?? `cancel-${order.orderId}`
  const canceled = venue.cancel(order.orderId, cancelId, now)
  if ("refusal" in canceled) throw refused(canceled.refusal)
  return { body: message.canceledBody(canceled.order, cancelId), changes: [canceled.change] }
}

/** Cancels one order and places another; each half may fail, and the answer says which. */
function cancelReplace(context: Context, params: Params): Answer {
  const { venue, now } = context
  const mode = params.oneOf("cancelReplaceMode", ["STOP_ON_FAILURE", "ALLOW_FAILURE"], {
    code: -1130,
    text: "Data sent for parameter 'cancelReplaceMode' is not valid.",
  })
  if (mode === undefined) throw missing("cancelReplaceMode")
  const old = findOrder(venue, venue.exchange, params, {
    orderId: "cancelOrderId",
    clientOrderId: "cancelOrigClientOrderId",
  })
  // A new order that breaks a rule stops everything before anything is canceled.
  const request = orderRequest(venue, params)
  const detail = responseDetail(request, params)
  const cancelId = params.clientOrderId("cancelNewClientOrderId")
  const canceled = attempt(() => cancelOne(venue, old, cancelId, params, now))
  const placed = canceled instanceof ApiError && mode === "STOP_ON_FAILURE"
    ? undefined
    : venue.place(request, now)
  const isPlaced = placed !== undefined && "change" in placed
  const parts = {
    cancelResult: canceled instanceof ApiError ? "FAILURE" : "SUCCESS",
    newOrderResult: placed === undefined ? "NOT_ATTEMPTED" : isPlaced ? "SUCCESS" : "FAILURE",
    cancelResponse: canceled instanceof ApiError ? canceled.toBody() : canceled.body,
    newOrderResponse: placed === undefined
      ? null
      : isPlaced
      ? message.placedBody(placed.order, placed.fills, detail)
      : { code: placed.refusal.code, msg: placed.refusal.text },
  }
  const changes = [
    ...(canceled instanceof ApiError ? [] : canceled.changes),
    ...(isPlaced ? [placed.change] : []),
  ]
  if (isPlaced && !(canceled instanceof ApiError)) return { body: parts, changes, isOrder: true }
  if (changes.length === 0) {
    throw new ApiError(-2022, "Order cancel-replace failed.", 400, undefined, parts)
  }
  return {
    status: 409,
    body: { code: -2021, msg: "Order cancel-replace partially failed.", data: parts },
    changes,
    isOrder: isPlaced,
  }
}

function attempt<A>(act: () => A): A | ApiError {
  try {
    return act()
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
}
