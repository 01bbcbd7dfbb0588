/**
 * What Binance sends, as schemas. These shapes stay in this folder.
 *
 * Prices and quantities are decimal text; `""` and `null` are not decimals and do not decode.
 * Ids are integers on the wire and text from here on. Unknown fields are ignored, unknown events are
 * reported as such. Source: web-socket-streams, web-socket-api, user-data-stream and rest-api of the
 * vendor's documentation (2026-07).
 */
import { Schema } from "effect"
import { DecimalText } from "../../domain/decimal.ts"

const { String: Text, Int, Struct, Array: List } = Schema

/** Written by `parseWithIds` for integers too long for a float; plain integers otherwise. */
const Id = Schema.Union([
  Schema.String.check(Schema.isPattern(/^-?\d{1,20}$/)),
  Schema.Int,
])

export const TradeMessage = Struct({
  e: Schema.Literal("trade"),
  E: Int,
  s: Text,
  t: Id,
  p: DecimalText,
  q: DecimalText,
  T: Int,
  /** The buyer was the maker: the aggressor sold. */
  m: Schema.Boolean,
})

/** Has neither an event name nor a time. */
export const BookTickerMessage = Struct({
  u: Id,
  s: Text,
  b: DecimalText,
  B: DecimalText,
  a: DecimalText,
  A: DecimalText,
})

export const KlineMessage = Struct({
  e: Schema.Literal("kline"),
  E: Int,
  s: Text,
  k: Struct({
    t: Int,
    T: Int,
    i: Text,
    o: DecimalText,
    c: DecimalText,
    h: DecimalText,
    l: DecimalText,
    v: DecimalText,
    n: Int,
    /** Closed: the only bars we ever look at. */
    x: Schema.Boolean,
  }),
})

const Level = Schema.Tuple([DecimalText, DecimalText])

export const DepthMessage = Struct({
  e: Schema.Literal("depthUpdate"),
  E: Int,
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
  E: Int,
  s: Text,
  /** The order's client id; on a cancel the cancel's own, and then `C` is the order's. */
  c: Text,
  C: Text,
  S: Schema.Literals(["BUY", "SELL"]),
  x: Text,
  X: Text,
  r: Text,
  i: Id,
  l: DecimalText,
  L: DecimalText,
  z: DecimalText,
  n: DecimalText,
  N: Schema.NullOr(Text),
  T: Int,
  t: Id,
})

export const AccountPosition = Struct({
  e: Schema.Literal("outboundAccountPosition"),
  E: Int,
  B: List(Struct({ a: Text, f: DecimalText, l: DecimalText })),
})

export const ServerTime = Struct({ serverTime: Int })

/** Filters differ by symbol and grow over the years: those we need are picked by their type. */
export const ExchangeInfo = Struct({
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
  Schema.Tuple([
    Int,
    DecimalText,
    DecimalText,
    DecimalText,
    DecimalText,
    DecimalText,
    Int,
    Text,
    Int,
  ]),
  [Schema.Unknown],
))

export const HistoricalTrades = List(Struct({
  id: Id,
  price: DecimalText,
  qty: DecimalText,
  time: Int,
  isBuyerMaker: Schema.Boolean,
}))

export const AccountInformation = Struct({
  canTrade: Schema.Boolean,
  balances: List(Struct({ asset: Text, free: DecimalText, locked: DecimalText })),
})

export const OrderInformation = Struct({
  symbol: Text,
  orderId: Id,
  clientOrderId: Text,
  executedQty: DecimalText,
  status: Text,
  updateTime: Schema.optionalKey(Int),
  transactTime: Schema.optionalKey(Int),
})
export const OrderInformations = List(OrderInformation)

export const MyTrades = List(Struct({
  id: Id,
  orderId: Id,
  symbol: Text,
  price: DecimalText,
  qty: DecimalText,
  commission: DecimalText,
  commissionAsset: Text,
  time: Int,
  isBuyer: Schema.Boolean,
}))

export const ErrorBody = Struct({ code: Int, msg: Text })

/** Parses JSON and keeps integers that a float cannot hold as text. */
export function parseWithIds(text: string): unknown {
  return JSON.parse(
    text,
    (_key, value: unknown, context?: { readonly source: string }) =>
      typeof value === "number" && context !== undefined && !Number.isSafeInteger(value) &&
        /^-?\d+$/.test(context.source)
        ? context.source
        : value,
  )
}
