/**
 * A recording as normalised events: what is the same for every venue.
 *
 * A line is a frame, with or without the time at which it was received; an event is JSON, so that a
 * recording can be read with anything.
 */
import { type Decimal, formatDecimal } from "../domain/decimal.ts"
import type { Bar, Trade } from "../domain/market.ts"
import type { Execution, OrderReport } from "./broker.ts"

/** JSON-ready: decimals and ids are text, times are epoch milliseconds. */
export type TranscriptEvent = { readonly type: string } & Readonly<Record<string, unknown>>

/** Reads the lines of one recording, in order. */
export interface Transcript {
  /** Lines that held a frame; headers and empty lines do not count. */
  readonly frames: number
  /** What the next line says, in order. */
  readonly read: (line: string) => ReadonlyArray<TranscriptEvent>
  /** A line that could not even be read. */
  readonly unreadable: (reason: string) => TranscriptEvent
}

/**
 * `{...}`, `<receive time in ns> {...}`, `<unix seconds>: {...}` or `<url> -> <unix seconds>: {...}`.
 * A header `<url> <-> <unix seconds>` holds no frame.
 */
export function partsOf(
  line: string,
): { readonly frame: string; readonly receivedAt: number | undefined } {
  const text = line.trim()
  const raw = { frame: text, receivedAt: undefined }
  if (/^[{[]/u.test(text)) return raw
  const nanoseconds = /^(\d{16,20}) (.*)$/su.exec(text)
  if (nanoseconds !== null) {
    const receivedAt = Number(BigInt(nanoseconds[1]!) / 1_000_000n)
    return { frame: nanoseconds[2]!, receivedAt }
  }
  if (/^\S+ <-> \d{9,11}(?:\.\d+)?$/u.test(text)) return { ...raw, frame: "" }
  const seconds = /^(?:\S+ -> )?(\d{9,11})(?:\.(\d+))?: (.*)$/su.exec(text)
  if (seconds === null) return raw
  const milliseconds = `${seconds[1]}${(seconds[2] ?? "").slice(0, 3).padEnd(3, "0")}`
  return { frame: seconds[3]!, receivedAt: Number(milliseconds) }
}

export function tradeEvent(trade: Trade): TranscriptEvent {
  const { instrument, tradeId, side, time } = trade
  const { price, size } = texts({ price: trade.price, size: trade.size })
  return { type: "trade", instrument, tradeId, price, size, side, time }
}

export function barEvent(bar: Bar): TranscriptEvent {
  const { instrument, intervalMs, openTime, open, high, low, close, volume, trades } = bar
  const prices = texts({ open, high, low, close, volume })
  return { type: "bar", instrument, intervalMs, openTime, ...prices, trades }
}

export function executionEvent(execution: Execution): TranscriptEvent {
  const { instrument, executionId, clientOrderId, venueOrderId, side, feeAsset, time } = execution
  const { quantity, price, fee } = execution
  return {
    type: "execution",
    instrument,
    executionId,
    clientOrderId,
    venueOrderId,
    side,
    ...texts({ quantity, price, fee }),
    feeAsset,
    time,
  }
}

export function orderEvent({ filledQuantity, ...report }: OrderReport): TranscriptEvent {
  return { type: "order", ...report, filledQuantity: formatDecimal(filledQuantity) }
}

export function texts(decimals: Readonly<Record<string, Decimal>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(decimals).map(([name, value]) => [name, formatDecimal(value)]),
  )
}
