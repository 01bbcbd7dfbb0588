/**
 * Alpaca frames into Keel's words.
 *
 * A frame of market data is an array; each of its messages becomes exactly one `Decoded`: an event,
 * something known that carries no event, or `Undecoded` with the reason. A message that means
 * nothing does not cost its neighbours. Nothing is guessed: a field that is not what it should be
 * makes the whole message `Undecoded`.
 */
import { Schema } from "effect"
import { formatDecimal, isPositive, zero } from "../../domain/decimal.ts"
import type { InstrumentId, InstrumentStatus } from "../../domain/instrument.ts"
import type { Bar, MarketEvent, Quote, Trade } from "../../domain/market.ts"
import type { Execution, OrderReport, PrivateEvent } from "../broker.ts"
import {
  foreign,
  isObject,
  quoted,
  settled,
  type Undecoded,
  undecoded,
  words,
} from "../decoding.ts"
import type { CryptoFee } from "./crypto_fee.ts"
import {
  BarMessage,
  type BarRow,
  CancelMessage,
  CorrectionMessage,
  LuldMessage,
  type OrderBody,
  parseExact,
  QuoteMessage,
  type QuoteRow,
  StatusMessage,
  TradeMessage,
  type TradeRow,
  TradeUpdate,
} from "./messages.ts"
import type { SymbolMap } from "./symbols.ts"

/** Any answer of either stream to what we said. */
export type Control =
  | { readonly _tag: "Connected" }
  | { readonly _tag: "Authenticated" }
  | { readonly _tag: "Unauthorized"; readonly reason: string }
  /** What the market stream sends has changed as asked. */
  | { readonly _tag: "Subscribed" }
  | { readonly _tag: "Listening"; readonly streams: ReadonlyArray<string> }
  | { readonly _tag: "Refusal"; readonly code: number; readonly reason: string }

export type Decoded =
  | MarketEvent
  | Bar
  | Control
  /** A print whose price is not the market's of its moment: late, averaged, part of a package. */
  | { readonly _tag: "Aside"; readonly trade: Trade }
  /** Known, and no event of ours: a book with one side, a status that neither halts nor resumes. */
  | { readonly _tag: "Ignored" }
  | Undecoded

export type DecodedPrivate =
  | Exclude<PrivateEvent, { readonly _tag: "StreamUp" | "Balances" }>
  | Control
  | Undecoded

const decodeTrade = Schema.decodeUnknownResult(TradeMessage)
const decodeQuote = Schema.decodeUnknownResult(QuoteMessage)
const decodeBar = Schema.decodeUnknownResult(BarMessage)
const decodeStatus = Schema.decodeUnknownResult(StatusMessage)
const decodeLuld = Schema.decodeUnknownResult(LuldMessage)
const decodeCorrection = Schema.decodeUnknownResult(CorrectionMessage)
const decodeCancel = Schema.decodeUnknownResult(CancelMessage)
const decodeUpdate = Schema.decodeUnknownResult(TradeUpdate)

const ignored = { _tag: "Ignored" } as const

/** One frame of a market stream, message by message. */
export function decodeMarketFrame(frame: string, symbols: SymbolMap): ReadonlyArray<Decoded> {
  const parsed = parse(frame)
  if (!Array.isArray(parsed)) return [undecoded("not an array of messages")]
  return parsed.map((message) => market(message, symbols))
}

/** One frame of any stream, for a recording that does not say which. */
export function decodeFrame(
  frame: string,
  symbols: SymbolMap,
  fee: CryptoFee,
): ReadonlyArray<Decoded | DecodedPrivate> {
  const parsed = parse(frame)
  if (Array.isArray(parsed)) return parsed.map((message) => market(message, symbols))
  // A recording may have been cut into its messages.
  if (isObject(parsed) && "T" in parsed) return [market(parsed, symbols)]
  return [personal(parsed, symbols, fee)]
}

function market(message: unknown, symbols: SymbolMap): Decoded {
  if (!isObject(message)) return undecoded("not a message")
  switch (message.T) {
    case "t":
      return settled(decodeTrade(message), (it) => known(it.S, symbols, (id) => tradeOf(it, id)))
    case "q":
      return settled(
        decodeQuote(message),
        (it) => known(it.S, symbols, (id) => quoteOf(it, id) ?? ignored),
      )
    case "b":
    case "u":
      return settled(
        decodeBar(message),
        (it) => known(it.S, symbols, (id) => barOf(it, id, 60_000)),
      )
    case "s":
      return settled(decodeStatus(message), (it) => known(it.S, symbols, (id) => status(it, id)))
    case "l":
      return settled(decodeLuld(message), (it) =>
        known(it.S, symbols, (instrument) => ({
          ...{ _tag: "PriceBand", instrument, lower: it.d, upper: it.u, time: it.t },
        } as const)))
    case "c":
      return settled(
        decodeCorrection(message),
        (it) => known(it.S, symbols, (id) => correction(it, id)),
      )
    case "x":
      return settled(decodeCancel(message), (it) =>
        known(it.S, symbols, (instrument) => ({
          ...{ _tag: "TradeCancel", instrument, tradeId: tradeId(it.x, it.i), time: it.t },
        } as const)))
    case "success":
      if (message.msg === "connected") return { _tag: "Connected" }
      if (message.msg === "authenticated") return { _tag: "Authenticated" }
      return undecoded(`unknown success ${quoted(message.msg)}`)
    case "subscription":
      return { _tag: "Subscribed" }
    case "error":
      return refusal(message)
    // Daily bars follow New York's days, the others are not asked for.
    case "d":
    case "i":
    case "o":
    case "n":
      return ignored
    default:
      return undecoded(`unknown message type ${quoted(message.T)}`)
  }
}

function refusal(message: Readonly<Record<string, unknown>>): Decoded & Control | Undecoded {
  const code = /^\d{1,9}$/.test(words(message.code)) ? Number(message.code) : NaN
  if (!Number.isSafeInteger(code)) return undecoded(`an error without a code: ${quoted(message)}`)
  return { _tag: "Refusal", code, reason: `${code} ${words(message.msg)}` }
}

/** Ids are unique per exchange only. */
function tradeId(exchange: string | undefined, id: string): string {
  return exchange === undefined ? id : `${exchange}:${id}`
}

/**
 * Conditions of a print that says nothing of the market's price now: sold out of sequence, average
 * and prior reference prices, contingent and derivatively priced trades, unusual settlement, the
 * exchanges' official prices. The two tapes use some letters differently; each is odd on one.
 */
const asideConditions: ReadonlySet<string> = new Set("BCGHMNPQRUVWZ479")

export function tradeOf(
  row: typeof TradeRow.Type,
  instrument: InstrumentId,
): Trade | { readonly _tag: "Aside"; readonly trade: Trade } {
  const trade: Trade = {
    _tag: "Trade",
    instrument,
    tradeId: tradeId(row.x, row.i),
    price: row.p,
    size: row.s,
    side: row.tks === "B" ? "buy" : row.tks === "S" ? "sell" : "unknown",
    time: row.t,
  }
  const isAside = row.c?.some((condition) => asideConditions.has(condition)) ?? false
  return isAside ? { _tag: "Aside", trade } : trade
}

/** Undefined when a side has no orders: half a quote is not a price. */
export function quoteOf(row: typeof QuoteRow.Type, instrument: InstrumentId): Quote | undefined {
  const { bp, ap } = row
  if (bp === undefined || ap === undefined || !isPositive(bp) || !isPositive(ap)) return undefined
  return {
    _tag: "Quote",
    instrument,
    // The venue does not number its quotes.
    updateId: "0",
    bid: bp,
    bidSize: row.bs ?? zero,
    ask: ap,
    askSize: row.as ?? zero,
    time: row.t,
    venueTime: true,
  }
}

export function barOf(row: typeof BarRow.Type, instrument: InstrumentId, intervalMs: number): Bar {
  return {
    _tag: "Bar",
    instrument,
    intervalMs,
    openTime: row.t,
    open: row.o,
    high: row.h,
    low: row.l,
    close: row.c,
    volume: row.v,
    trades: row.n ?? 0,
  }
}

function status(message: typeof StatusMessage.Type, instrument: InstrumentId): Decoded {
  const { sc, sm = "", rc = "", rm = "", t } = message
  const change = tradingStatus(sc, sm)
  if (change === undefined) return ignored
  const reason = [rc || sc, rm || sm].filter((each) => each !== "").join(" ")
  return { _tag: "Status", instrument, status: change, reason: words(reason), time: t }
}

/**
 * Halted and trading again, by the codes of both tapes; undefined for what changes neither, like an
 * imbalance. Quoting that resumes is not trading that resumes. A code nobody knows that speaks of a
 * halt is one: that errs on the side of not trading.
 */
function tradingStatus(code: string, text: string): InstrumentStatus | undefined {
  switch (code) {
    case "2":
    case "H":
    case "P":
    case "Q":
      return "halted"
    case "3":
    case "T":
      return "trading"
    default:
      return /\b(?:halt|pause|suspen)/iu.test(text) ? "halted" : undefined
  }
}

function correction(
  { x, oi, ci, cp, cs, t }: typeof CorrectionMessage.Type,
  instrument: InstrumentId,
): Decoded {
  const corrected: Trade = {
    _tag: "Trade",
    instrument,
    tradeId: tradeId(x, ci),
    price: cp,
    size: cs,
    side: "unknown",
    time: t,
  }
  return { _tag: "TradeCorrection", instrument, tradeId: tradeId(x, oi), corrected, time: t }
}

/** One frame of the trading stream: an answer to us, or what became of an order. */
export function decodePrivateFrame(
  frame: string,
  symbols: SymbolMap,
  fee: CryptoFee,
): ReadonlyArray<DecodedPrivate> {
  const parsed = parse(frame)
  // Errors come as on the market stream.
  const messages = Array.isArray(parsed) ? parsed : [parsed]
  return messages.map((message) => personal(message, symbols, fee))
}

function personal(message: unknown, symbols: SymbolMap, fee: CryptoFee): DecodedPrivate {
  if (!isObject(message)) return undecoded("not a JSON object")
  if (message.T === "error") return refusal(message)
  if (message.T === "success") {
    return { _tag: message.msg === "authenticated" ? "Authenticated" : "Connected" }
  }
  const data = isObject(message.data) ? message.data : {}
  if (message.action === "error") {
    return { _tag: "Refusal", code: 400, reason: words(data.error_message) }
  }
  switch (message.stream) {
    case "authorization":
      return data.status === "authorized"
        ? { _tag: "Authenticated" }
        : { _tag: "Unauthorized", reason: words(data.message ?? data.status ?? "unauthorized") }
    case "listening": {
      const streams = Array.isArray(data.streams) ? data.streams.map(words) : []
      return { _tag: "Listening", streams }
    }
    case "trade_updates":
      return settled(decodeUpdate(data), (it) => tradeUpdate(it, symbols, fee))
    default:
      return undecoded(`unknown stream ${quoted(message.stream)}`)
  }
}

function tradeUpdate(
  update: typeof TradeUpdate.Type,
  symbols: SymbolMap,
  fee: CryptoFee,
): DecodedPrivate {
  const { event, order } = update
  const instrument = symbols(order.symbol)
  if (instrument === undefined) return foreign(order.symbol)
  const time = update.timestamp ?? update.at ?? order.updated_at ?? undefined
  const report = reportOf(order, instrument, time)
  if (report === undefined) return undecoded(`unknown order status ${quoted(order.status)}`)
  if (event === "trade_bust" || event === "trade_correct") {
    const executionId = update.previous_execution_id ?? update.execution_id ?? order.id
    const reason = `${event}: the venue has taken back or changed a fill of ${order.id}`
    return { _tag: "Corrected", instrument, executionId, execution: undefined, reason }
  }
  if (event !== "fill" && event !== "partial_fill") return { _tag: "Report", report }
  const { price, qty } = update
  // The report shows that a fill is missing, and the list of our fills will say which.
  if (!price || !qty || !isPositive(price) || !isPositive(qty)) return { _tag: "Report", report }
  const side = sideOf(order.side)
  if (side === undefined) return undecoded(`unknown side ${quoted(order.side)}`)
  if (time === undefined) return undecoded("a fill without a time")
  const traded = { instrument, side, quantity: qty, price }
  const execution: Execution = {
    ...traded,
    executionId: executionIdOf(order.id, order.filled_qty),
    clientOrderId: order.client_order_id,
    venueOrderId: order.id,
    ...fee(traded),
    time,
  }
  return { _tag: "Executed", execution, report }
}

/**
 * An order and how much of it was filled with this execution. The stream and the list of activities
 * name the same fill by different ids, and both tell the running sum; without one name for it, a
 * fill that both report would count twice.
 */
export function executionIdOf(orderId: string, filled: typeof OrderBody.Type["filled_qty"]) {
  return `${orderId}:${formatDecimal(filled)}`
}

export function sideOf(side: string | undefined): "buy" | "sell" | undefined {
  if (side === "buy") return "buy"
  return side === "sell" || side === "sell_short" ? "sell" : undefined
}

/** Undefined for a status that this code does not know; `time` for an order that tells none. */
export function reportOf(
  order: Omit<typeof OrderBody.Type, "legs">,
  instrument: InstrumentId,
  time?: number,
): OrderReport | undefined {
  const status = orderStatus(order.status, isPositive(order.filled_qty))
  if (status === undefined) return undefined
  return {
    clientOrderId: order.client_order_id,
    venueOrderId: order.id,
    instrument,
    status,
    filledQuantity: order.filled_qty,
    reason: order.status === "replaced"
      ? `replaced by ${order.replaced_by ?? "another order"}`
      : order.status === "rejected"
      ? "rejected by the venue"
      : "",
    time: time ?? order.updated_at ?? order.submitted_at ?? 0,
  }
}

/** Done for the day, stopped or suspended is not the end: a later event says what is. */
function orderStatus(status: string, isFilled: boolean): OrderReport["status"] | undefined {
  switch (status) {
    case "new":
    case "accepted":
    case "pending_new":
    case "accepted_for_bidding":
    case "held":
    case "partially_filled":
    case "pending_cancel":
    case "pending_replace":
    case "done_for_day":
    case "stopped":
    case "suspended":
    case "calculated":
      return isFilled ? "partially_filled" : "accepted"
    case "filled":
      return "filled"
    // What is left goes on under another id; here it has ended.
    case "canceled":
    case "replaced":
      return "canceled"
    case "expired":
      return "expired"
    case "rejected":
      return "rejected"
    default:
      return undefined
  }
}

function known<A extends { readonly _tag: string }>(
  symbol: string,
  symbols: SymbolMap,
  build: (instrument: InstrumentId) => A,
): A | Undecoded {
  const instrument = symbols(symbol)
  return instrument === undefined ? foreign(symbol) : build(instrument)
}

function parse(frame: string): unknown {
  try {
    return parseExact(frame)
  } catch {
    return undefined
  }
}
