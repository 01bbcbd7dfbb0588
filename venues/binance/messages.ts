/**
 * What Binance sends, as schemas. These shapes stay in this folder.
 *
 * Prices and quantities are decimal text; `""` and `null` are not decimals and do not decode.
 * Ids are integers on the wire and text from here on. Unknown fields are ignored, unknown events are
 * reported as such. Source: web-socket-streams, web-socket-api, user-data-stream and rest-api of the
 * vendor's documentation (2026-07).
 */
import { Schema } from "effect"
import { DecimalText, isNegative, isPositive } from "../../domain/decimal.ts"

const { String: Text, Int, Struct, Array: List } = Schema

/** Text is written by `parseWithIds` alone, for integers too long for a float. */
const Id = Schema.Union([
  Schema.String.check(Schema.isPattern(/^[1-9]\d{15,19}$/)),
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
])

/** Epoch milliseconds; microseconds, which a connection can be asked to send, are something else. */
const Time = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9_999_999_999_999 }))

const Price = DecimalText.check(Schema.makeFilter((it) => isPositive(it) || "must be above zero"))
const Quantity = DecimalText.check(
  Schema.makeFilter((it) => !isNegative(it) || "must not be negative"),
)

export const TradeMessage = Struct({
  e: Schema.Literal("trade"),
  E: Time,
  s: Text,
  t: Id,
  p: Price,
  q: Quantity,
  T: Time,
  /** The buyer was the maker: the aggressor sold. */
  m: Schema.Boolean,
})

/** Has neither an event name nor a time. An empty side has the price zero, which is not a price. */
export const BookTickerMessage = Struct({
  u: Id,
  s: Text,
  b: Price,
  B: Quantity,
  a: Price,
  A: Quantity,
})

export const KlineMessage = Struct({
  e: Schema.Literal("kline"),
  E: Time,
  s: Text,
  k: Struct({
    t: Time,
    T: Time,
    i: Text,
    o: Price,
    c: Price,
    h: Price,
    l: Price,
    v: Quantity,
    n: Int,
    /** Closed: the only bars we ever look at. */
    x: Schema.Boolean,
  }),
})

const Level = Schema.Tuple([Price, Quantity])

export const DepthMessage = Struct({
  e: Schema.Literal("depthUpdate"),
  E: Time,
  s: Text,
  U: Id,
  u: Id,
  b: List(Level),
  a: List(Level),
})

export const DepthSnapshot = Struct({
  lastUpdateId: Id,
  bids: List(Level),
  asks: List(Level),
})

export const ExecutionReport = Struct({
  e: Schema.Literal("executionReport"),
  E: Time,
  s: Text,
  /** The order's client id; on a cancel the cancel's own, and then `C` is the order's. */
  c: Text,
  C: Text,
  S: Schema.Literals(["BUY", "SELL"]),
  x: Text,
  X: Text,
  r: Text,
  /** Why it expired; absent otherwise. */
  eR: Schema.optionalKey(Text),
  i: Id,
  l: Quantity,
  L: Quantity,
  z: Quantity,
  /** Negative for a rebate. */
  n: DecimalText,
  N: Schema.NullOr(Text),
  T: Time,
  /** -1 when nothing was traded. */
  t: Schema.Union([Id, Schema.Literal(-1)]),
})

export const AccountPosition = Struct({
  e: Schema.Literal("outboundAccountPosition"),
  E: Time,
  B: List(Struct({ a: Text, f: Quantity, l: Quantity })),
})

/** Money came or went, and how much; not what there is now. */
export const BalanceUpdate = Struct({
  e: Schema.Literal("balanceUpdate"),
  E: Time,
  a: Text,
  d: DecimalText,
})

export const ServerTime = Struct({ serverTime: Time })

/** Filters differ by symbol and grow over the years: those we need are picked by their type. */
export const ExchangeInfo = Struct({
  rateLimits: Schema.optionalKey(List(Struct({
    rateLimitType: Text,
    interval: Text,
    intervalNum: Int.check(Schema.isGreaterThan(0)),
    limit: Int,
  }))),
  symbols: List(Struct({
    symbol: Text,
    status: Text,
    baseAsset: Text,
    quoteAsset: Text,
    filters: List(Struct({
      filterType: Text,
      tickSize: Schema.optionalKey(DecimalText),
      stepSize: Schema.optionalKey(DecimalText),
      minQty: Schema.optionalKey(DecimalText),
      maxQty: Schema.optionalKey(DecimalText),
      minNotional: Schema.optionalKey(DecimalText),
    })),
  })),
})

export const BookTicker = Struct({
  symbol: Text,
  bidPrice: DecimalText,
  bidQty: DecimalText,
  askPrice: DecimalText,
  askQty: DecimalText,
})
export const BookTickers = List(BookTicker)

/** `[open time, open, high, low, close, volume, close time, quote volume, trades, ...]`. */
export const Klines = List(Schema.TupleWithRest(
  Schema.Tuple([Time, Price, Price, Price, Price, Quantity, Time, Text, Int]),
  [Schema.Unknown],
))

export const HistoricalTrades = List(Struct({
  id: Id,
  price: Price,
  qty: Quantity,
  time: Time,
  isBuyerMaker: Schema.Boolean,
}))

export const AccountInformation = Struct({
  canTrade: Schema.Boolean,
  balances: List(Struct({ asset: Text, free: Quantity, locked: Quantity })),
})

export const OrderInformation = Struct({
  symbol: Text,
  orderId: Id,
  clientOrderId: Text,
  executedQty: Quantity,
  status: Text,
  side: Schema.optionalKey(Text),
  type: Schema.optionalKey(Text),
  timeInForce: Schema.optionalKey(Text),
  origQty: Schema.optionalKey(Quantity),
  price: Schema.optionalKey(Quantity),
  stopPrice: Schema.optionalKey(Quantity),
  /** On an order that has expired, if the venue says why. */
  expiryReason: Schema.optionalKey(Text),
  updateTime: Schema.optionalKey(Time),
  transactTime: Schema.optionalKey(Time),
})
export const OrderInformations = List(OrderInformation)

/** What was cancelled: its own id is `origClientOrderId`. */
export const CanceledOrder = Struct({ orderId: Id, executedQty: Quantity, status: Text })

export const Replaced = Struct({
  cancelResult: Schema.Literal("SUCCESS"),
  newOrderResult: Schema.Literal("SUCCESS"),
  newOrderResponse: OrderInformation,
})

export const MyTrades = List(Struct({
  id: Id,
  orderId: Id,
  symbol: Text,
  price: Price,
  qty: Quantity,
  commission: DecimalText,
  commissionAsset: Text,
  time: Time,
  isBuyer: Schema.Boolean,
}))

export const ErrorBody = Struct({
  code: Int,
  msg: Text,
  data: Schema.optionalKey(Schema.Unknown),
})

const integer = /^-?\d+$/

/**
 * Parses JSON and keeps integers that a float cannot hold as text. Every other number of the venue
 * is text on the wire: one with a fraction or an exponent is none of its own, and becomes NaN, which
 * nothing accepts, before it can be rounded to an integer that nobody wrote.
 */
export function parseWithIds(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source: string }) => {
    if (typeof value !== "number" || context === undefined) return value
    if (!integer.test(context.source)) return NaN
    return Number.isSafeInteger(value) ? value : context.source
  })
}
