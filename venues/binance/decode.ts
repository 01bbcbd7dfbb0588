/**
 * Binance frames into Keel's words.
 *
 * Every frame becomes exactly one `Decoded`: an event, something known that carries no event, or
 * `Undecoded` with the reason. Nothing is guessed: a field that is not what it should be makes the
 * whole frame `Undecoded`.
 */
import { Schema } from "effect"
import { type Decimal, isZero } from "../../domain/decimal.ts"
import type { Bar, Quote, Trade } from "../../domain/market.ts"
import type { Balance, Execution, OrderReport, PrivateEvent } from "../broker.ts"
import {
  foreign,
  isObject,
  quoted,
  settled,
  type Undecoded,
  undecoded,
  words,
} from "../decoding.ts"
import {
  AccountPosition,
  BalanceUpdate,
  BookTickerMessage,
  DepthMessage,
  DepthSnapshot,
  ExecutionReport,
  KlineMessage,
  parseWithIds,
  TradeMessage,
} from "./messages.ts"
import { readQuickly } from "./quick.ts"
import type { SymbolMap } from "./symbols.ts"

export interface Depth {
  readonly _tag: "Depth"
  readonly instrument: string
  readonly firstUpdateId: string
  readonly updateId: string
  readonly bids: ReadonlyArray<readonly [price: Decimal, size: Decimal]>
  readonly asks: ReadonlyArray<readonly [price: Decimal, size: Decimal]>
  readonly time: number
}

/** The REST answer: which instrument it is for only the asker knows. */
export interface Snapshot {
  readonly _tag: "Snapshot"
  readonly updateId: string
  readonly bids: ReadonlyArray<readonly [price: Decimal, size: Decimal]>
  readonly asks: ReadonlyArray<readonly [price: Decimal, size: Decimal]>
}

export type Decoded =
  | Trade
  | Quote
  | Bar
  | Depth
  | Snapshot
  /** Answers to our own requests, and bars that are still forming. */
  | {
    readonly _tag: "Control"
    readonly id: string | undefined
    readonly error: string | undefined
    /** The streams of this connection, where that was asked. */
    readonly streams?: ReadonlyArray<string>
  }
  /** The venue announces that it will close this connection. */
  | { readonly _tag: "Shutdown" }
  | Undecoded

const decodeTrade = Schema.decodeUnknownResult(TradeMessage)
const decodeBookTicker = Schema.decodeUnknownResult(BookTickerMessage)
const decodeKline = Schema.decodeUnknownResult(KlineMessage)
const decodeDepth = Schema.decodeUnknownResult(DepthMessage)
const decodeSnapshot = Schema.decodeUnknownResult(DepthSnapshot)
const decodeExecution = Schema.decodeUnknownResult(ExecutionReport)
const decodeBalanceUpdate = Schema.decodeUnknownResult(BalanceUpdate)
const decodeAccountPosition = Schema.decodeUnknownResult(AccountPosition)

/** One frame of a market stream, combined or raw. `receivedAt` dates what carries no time. */
export function decodeMarketFrame(
  frame: string,
  symbols: SymbolMap,
  receivedAt: number,
): Decoded {
  return readQuickly(frame, symbols, receivedAt) ?? market(parse(frame), symbols, receivedAt)
}

/** One frame of any stream, for a recording that does not say which. */
export function decodeFrame(
  frame: string,
  symbols: SymbolMap,
  receivedAt: number,
): Decoded | DecodedPrivate {
  const message = parse(frame)
  const isPrivate = isObject(message) &&
    (isObject(message.event) || "status" in message || privateEvents.has(message.e))
  return isPrivate ? personal(message, symbols) : market(message, symbols, receivedAt)
}

function market(message: unknown, symbols: SymbolMap, receivedAt: number): Decoded {
  if (!isObject(message)) return undecoded("not a JSON object")
  const data = "stream" in message ? message.data : message
  if (!isObject(data)) return undecoded("a stream without data")
  if ("e" in data) {
    switch (data.e) {
      case "trade":
        return settled(decodeTrade(data), (it) => trade(it, symbols))
      case "kline":
        return settled(decodeKline(data), (it) => bar(it, symbols))
      case "depthUpdate":
        return settled(decodeDepth(data), (it) => depth(it, symbols))
      case "serverShutdown":
        return { _tag: "Shutdown" }
      default:
        return undecoded(`unknown event ${quoted(data.e)}`)
    }
  }
  if ("u" in data && "B" in data) {
    return settled(decodeBookTicker(data), (it) => quote(it, symbols, receivedAt))
  }
  // On a stream the same shape is the top of a book, which no diff may be applied to.
  if ("lastUpdateId" in data && data === message) return settled(decodeSnapshot(data), snapshot)
  if ("result" in data || "code" in data || "error" in data) return control(data)
  return undecoded("neither an event nor an answer")
}

function trade(message: typeof TradeMessage.Type, symbols: SymbolMap): Decoded {
  const instrument = symbols(message.s)
  if (instrument === undefined) return foreign(message.s)
  const event: Trade = {
    _tag: "Trade",
    instrument,
    tradeId: String(message.t),
    price: message.p,
    size: message.q,
    side: message.m ? "sell" : "buy",
    time: message.T,
  }
  return event
}

function quote(
  message: typeof BookTickerMessage.Type,
  symbols: SymbolMap,
  receivedAt: number,
): Decoded {
  const instrument = symbols(message.s)
  if (instrument === undefined) return foreign(message.s)
  const event: Quote = {
    _tag: "Quote",
    instrument,
    updateId: String(message.u),
    bid: message.b,
    bidSize: message.B,
    ask: message.a,
    askSize: message.A,
    time: receivedAt,
    venueTime: false,
  }
  return event
}

function bar({ s, k }: typeof KlineMessage.Type, symbols: SymbolMap): Decoded {
  const instrument = symbols(s)
  if (instrument === undefined) return foreign(s)
  if (!k.x) return { _tag: "Control", id: undefined, error: undefined }
  return {
    _tag: "Bar",
    instrument,
    intervalMs: k.T + 1 - k.t,
    openTime: k.t,
    open: k.o,
    high: k.h,
    low: k.l,
    close: k.c,
    volume: k.v,
    trades: k.n,
  }
}

function depth(message: typeof DepthMessage.Type, symbols: SymbolMap): Decoded {
  const instrument = symbols(message.s)
  if (instrument === undefined) return foreign(message.s)
  return {
    _tag: "Depth",
    instrument,
    firstUpdateId: String(message.U),
    updateId: String(message.u),
    bids: message.b,
    asks: message.a,
    time: message.E,
  }
}

function snapshot(message: typeof DepthSnapshot.Type): Decoded {
  const { lastUpdateId, bids, asks } = message
  return { _tag: "Snapshot", updateId: String(lastUpdateId), bids, asks }
}

function control(data: Readonly<Record<string, unknown>>): Decoded {
  const id = data.id === undefined || data.id === null ? undefined : words(data.id)
  const problem = "error" in data ? data.error : "code" in data ? data : undefined
  if (problem !== undefined) return { _tag: "Control", id, error: problemText(problem) }
  const streams = Array.isArray(data.result) ? data.result.map(words) : undefined
  return { _tag: "Control", id, error: undefined, ...(streams !== undefined && { streams }) }
}

/** `-1121 Invalid symbol.` of `{ code, msg }`; never empty. */
function problemText(problem: unknown): string {
  if (!isObject(problem)) return quoted(problem)
  return `${words(problem.code)} ${words(problem.msg ?? "")}`.trim() || "an error without words"
}

export type DecodedPrivate =
  | Exclude<PrivateEvent, { readonly _tag: "Corrected" }>
  | {
    readonly _tag: "Answer"
    readonly id: string
    readonly status: number
    readonly error: string
  }
  | { readonly _tag: "Terminated"; readonly reason: string }
  | { readonly _tag: "Shutdown" }
  /** Money came or went other than by trading: the balances have to be read. */
  | { readonly _tag: "BalanceMoved"; readonly asset: string }
  | { readonly _tag: "Ignored" }
  | Undecoded

/** One frame of the WS-API: an answer to us, or an event of the user data stream. */
export function decodePrivateFrame(frame: string, symbols: SymbolMap): DecodedPrivate {
  return personal(parse(frame), symbols)
}

function personal(message: unknown, symbols: SymbolMap): DecodedPrivate {
  if (!isObject(message)) return undecoded("not a JSON object")
  if (isObject(message.event)) return privateEvent(message.event, symbols)
  if ("e" in message) return privateEvent(message, symbols)
  if (typeof message.status === "number" && Number.isSafeInteger(message.status)) {
    const error = "error" in message ? problemText(message.error) : ""
    return { _tag: "Answer", id: words(message.id), status: message.status, error }
  }
  return undecoded("neither an event nor an answer")
}

const privateEvents: ReadonlySet<unknown> = new Set([
  "executionReport",
  "outboundAccountPosition",
  "eventStreamTerminated",
  "balanceUpdate",
  "listStatus",
  "externalLockUpdate",
])

function privateEvent(
  event: Readonly<Record<string, unknown>>,
  symbols: SymbolMap,
): DecodedPrivate {
  switch (event.e) {
    case "executionReport":
      return settled(decodeExecution(event), (it) => execution(it, symbols))
    case "outboundAccountPosition":
      return settled(decodeAccountPosition(event), (it) => ({
        _tag: "Balances",
        balances: it.B.map(({ a, f, l }): Balance => ({ asset: a, free: f, locked: l })),
      }))
    case "serverShutdown":
      return { _tag: "Shutdown" }
    case "balanceUpdate":
      return settled(decodeBalanceUpdate(event), ({ a }) => ({ _tag: "BalanceMoved", asset: a }))
    case "eventStreamTerminated":
      return { _tag: "Terminated", reason: event.e }
    // Balances are compared on every reconciliation; these only say that they moved.
    case "listStatus":
    case "externalLockUpdate":
      return { _tag: "Ignored" }
    default:
      return undecoded(`unknown event ${quoted(event.e)}`)
  }
}

function execution(
  message: typeof ExecutionReport.Type,
  symbols: SymbolMap,
): DecodedPrivate {
  const instrument = symbols(message.s)
  if (instrument === undefined) return foreign(message.s)
  const status = orderStatus(message.X)
  if (status === undefined) return undecoded(`unknown order status ${quoted(message.X)}`)
  const report: OrderReport = {
    clientOrderId: message.C === "" ? message.c : message.C,
    venueOrderId: String(message.i),
    instrument,
    status,
    filledQuantity: message.z,
    reason: reasonOf(message),
    time: message.T,
  }
  if (message.x !== "TRADE" || isZero(message.l)) return { _tag: "Report", report }
  // A trade may be reported without its price. The report shows that a fill is missing, and the list
  // of our trades will say which.
  if (isZero(message.L)) return { _tag: "Report", report }
  if (message.t === -1) return undecoded("a fill without an id")
  if (message.N === null && !isZero(message.n)) return undecoded("a fee in no asset")
  const fill: Execution = {
    executionId: String(message.t),
    clientOrderId: report.clientOrderId,
    venueOrderId: report.venueOrderId,
    instrument,
    side: message.S === "BUY" ? "buy" : "sell",
    quantity: message.l,
    price: message.L,
    fee: message.n,
    feeAsset: message.N ?? "",
    time: message.T,
  }
  return { _tag: "Executed", execution: fill, report }
}

function reasonOf({ eR, r, x }: typeof ExecutionReport.Type): string {
  if (r !== "NONE") return r
  if (eR !== undefined) return eR
  return x === "TRADE_PREVENTION" ? "SELF_TRADE_PREVENTION" : ""
}

/** Undefined for a status that this code does not know. */
export function orderStatus(status: string): OrderReport["status"] | undefined {
  switch (status) {
    case "NEW":
    case "PENDING_NEW":
      return "accepted"
    case "PARTIALLY_FILLED":
      return "partially_filled"
    case "FILLED":
      return "filled"
    case "CANCELED":
      return "canceled"
    case "EXPIRED":
    case "EXPIRED_IN_MATCH":
      return "expired"
    case "REJECTED":
      return "rejected"
    default:
      return undefined
  }
}

function parse(frame: string): unknown {
  try {
    return parseWithIds(frame)
  } catch {
    return undefined
  }
}
