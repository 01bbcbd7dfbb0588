/**
 * What Alpaca sends, as schemas. These shapes stay in this folder.
 *
 * Market data writes prices as JSON numbers, trading as text and sometimes as numbers: `parseExact`
 * keeps the digits of both, so that no price goes through a float. What is not a plain decimal
 * (`""`, `null`, an exponent, more than 40 characters) does not decode. Times have nanoseconds on
 * the wire and milliseconds from here on. Unknown fields are ignored, unknown events are reported as
 * such. Source: real-time and trading documentation of the vendor, and its SDK 4.0.2.
 */
import { Schema, SchemaTransformation } from "effect"
import { DecimalText, isNegative, isPositive } from "../../domain/decimal.ts"

const { String: Text, Boolean: Flag, Struct, Array: List, NullOr, optionalKey } = Schema

/** Parses JSON; every number becomes the text it was written as. */
export function parseExact(text: string): unknown {
  return JSON.parse(
    text,
    (_key, value: unknown, context?: { readonly source: string }) =>
      typeof value === "number" && context !== undefined ? context.source : value,
  )
}

const timePattern =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/
const TIME_MAX = 9_999_999_999_999

/** Epoch milliseconds of an RFC 3339 time, rounded down; -1 for one that no calendar has. */
function epochMs(text: string): number {
  const [, year, month, day, hour, minute, second, fraction = "", sign, hours, minutes] =
    timePattern.exec(text) ?? []
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute)) +
    Number(second) * 1_000 + Number(fraction.slice(0, 3).padEnd(3, "0"))
  const isReal = Number(year) >= 1970 && Number(month) <= 12 && Number(hour) < 24 &&
    Number(minute) < 60 &&
    Number(second) < 60 &&
    Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  if (!isReal) return -1
  const offset = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60_000
  return sign === "-" ? ms + offset : ms - offset
}

/** Epoch milliseconds. The venue's zero time, in the year 1, is not one. */
export const Timestamp = Text.check(Schema.isPattern(timePattern, { expected: "an RFC 3339 time" }))
  .pipe(Schema.decodeTo(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: TIME_MAX })),
    SchemaTransformation.transform({
      decode: epochMs,
      encode: (ms) => new Date(ms).toISOString(),
    }),
  ))

const Price = DecimalText.check(Schema.makeFilter((it) => isPositive(it) || "must be above zero"))
const Quantity = DecimalText.check(
  Schema.makeFilter((it) => !isNegative(it) || "must not be negative"),
)
/** Up to 64 bits. */
const Id = Text.check(Schema.isPattern(/^\d{1,20}$/, { expected: "an integer id" }))
const Count = Text.check(Schema.isPattern(/^\d{1,15}$/, { expected: "a count" })).pipe(
  Schema.decodeTo(
    Schema.Int,
    SchemaTransformation.transform({ decode: Number, encode: String }),
  ),
)

// Market data

/** Of the stream; by REST the same without `T` and `S`. */
const tradeFields = {
  i: Id,
  /** The exchange that printed it; crypto has only one. */
  x: optionalKey(Text),
  p: Price,
  s: Quantity,
  t: Timestamp,
  c: optionalKey(NullOr(List(Text))),
  /** Of the taker, `B` or `S`; only crypto tells. */
  tks: optionalKey(Text),
}
export const TradeRow = Struct(tradeFields)
export const TradeMessage = Struct({ S: Text, ...tradeFields })

/** A side without orders has the price zero, or is left out. */
const quoteFields = {
  bp: optionalKey(Quantity),
  bs: optionalKey(Quantity),
  ap: optionalKey(Quantity),
  as: optionalKey(Quantity),
  t: Timestamp,
}
export const QuoteRow = Struct(quoteFields)
export const QuoteMessage = Struct({ S: Text, ...quoteFields })

const barFields = {
  o: Price,
  h: Price,
  l: Price,
  c: Price,
  v: Quantity,
  /** Zero for a bar of crypto that was made from quotes alone. */
  n: optionalKey(Count),
  t: Timestamp,
}
export const BarRow = Struct(barFields)
export const BarMessage = Struct({ S: Text, ...barFields })

/** Codes differ between the tapes; see `decode.ts`. */
export const StatusMessage = Struct({
  S: Text,
  sc: Text,
  sm: optionalKey(Text),
  rc: optionalKey(Text),
  rm: optionalKey(Text),
  t: Timestamp,
})

export const LuldMessage = Struct({ S: Text, u: Price, d: Price, t: Timestamp })

export const CorrectionMessage = Struct({
  S: Text,
  x: optionalKey(Text),
  /** Original id; then the corrected id, price and size. */
  oi: Id,
  ci: Id,
  cp: Price,
  cs: Quantity,
  t: Timestamp,
})

export const CancelMessage = Struct({ S: Text, x: optionalKey(Text), i: Id, t: Timestamp })

/** Row by row: one that does not decode must not cost the others. */
const rows = NullOr(Schema.Record(Text, NullOr(List(Schema.Unknown))))
const nextPage = optionalKey(NullOr(Text))
export const TradePage = Struct({ trades: rows, next_page_token: nextPage })
export const BarPage = Struct({ bars: rows, next_page_token: nextPage })
export const LatestQuotes = Struct({ quotes: Schema.Record(Text, QuoteRow) })

// Trading

export const ClockBody = Struct({ timestamp: Timestamp })

export const AccountBody = Struct({
  status: Text,
  currency: Text,
  cash: DecimalText,
  account_blocked: Flag,
  trading_blocked: Flag,
  trade_suspended_by_user: optionalKey(Flag),
})

/** A short position has a negative quantity. */
export const PositionBodies = List(Struct({
  symbol: Text,
  asset_class: Text,
  qty: DecimalText,
  qty_available: optionalKey(NullOr(DecimalText)),
}))

export const AssetBody = Struct({
  class: Text,
  symbol: Text,
  status: Text,
  tradable: Flag,
  fractionable: optionalKey(Flag),
  min_order_size: optionalKey(NullOr(DecimalText)),
  min_trade_increment: optionalKey(NullOr(DecimalText)),
  price_increment: optionalKey(NullOr(DecimalText)),
})
export const AssetBodies = List(AssetBody)

const orderFields = {
  id: Text,
  client_order_id: Text,
  symbol: Text,
  status: Text,
  side: optionalKey(Text),
  filled_qty: Quantity,
  /** Of what takes this order's place. */
  replaced_by: optionalKey(NullOr(Text)),
  submitted_at: optionalKey(NullOr(Timestamp)),
  updated_at: optionalKey(NullOr(Timestamp)),
}
const OrderLeg = Struct(orderFields)
export const OrderBody = Struct({ ...orderFields, legs: optionalKey(NullOr(List(OrderLeg))) })
export const OrderBodies = List(OrderBody)

/** One line per order; 200 is "will be cancelled". */
export const CancelBodies = List(Struct({ id: Text, status: Count }))

/** A row with a previous id changes an earlier one, or takes it back. */
export const FillBodies = List(Struct({
  id: Text,
  previous_id: optionalKey(NullOr(Text)),
  status: optionalKey(NullOr(Text)),
  transaction_time: Timestamp,
  price: Price,
  qty: Quantity,
  cum_qty: Quantity,
  side: Text,
  symbol: Text,
  order_id: Text,
}))

/** Times of day in New York: `09:30`, and `0400` for the long session. */
export const CalendarBodies = List(Struct({
  date: Text.check(Schema.isPattern(/^\d{4}-\d\d-\d\d$/)),
  open: Text,
  close: Text,
  session_open: optionalKey(Text),
  session_close: optionalKey(Text),
}))

export const ErrorBody = Struct({ code: optionalKey(Count), message: Text })

// Private stream

export const TradeUpdate = Struct({
  event: Text,
  /** Of a fill, what it traded: the order has the sums. */
  price: optionalKey(NullOr(DecimalText)),
  qty: optionalKey(NullOr(DecimalText)),
  timestamp: optionalKey(NullOr(Timestamp)),
  at: optionalKey(NullOr(Timestamp)),
  execution_id: optionalKey(NullOr(Text)),
  previous_execution_id: optionalKey(NullOr(Text)),
  order: OrderBody,
})
