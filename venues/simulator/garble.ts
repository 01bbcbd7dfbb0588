/**
 * Frames as they should never be, for those who must survive them.
 *
 * The first kind is still text and spoils what a decoder trusts; the second is bytes
 * that no WebSocket may carry. Pure.
 */
import { Buffer } from "node:buffer"
import type { FrameFault } from "./fault.ts"

export type GarbledAs = Extract<FrameFault, { kind: "garble" }>["as"]

/** Text for a frame, or bytes for the socket below it. */
export function garble(text: string, as: GarbledAs): string | Uint8Array {
  switch (as) {
    case "truncated_json":
      return text.slice(0, Math.floor(text.length / 2))
    case "bad_utf8":
      return Buffer.from([0x81, 0x04, 0xff, 0xfe, 0xc3, 0x28])
    case "reserved_bits":
      return Buffer.from([0xf1, 0x02, 0x7b, 0x7d])
    case "huge_length":
      return Buffer.from([0x81, 0x7f, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00])
    default:
      return spoil(text, as)
  }
}

/** As Binance writes them, and Alpaca's trade updates: text. */
const PRICES = ["p", "b", "a", "L", "price"]
/** As Alpaca's market data has them: numbers. */
const PRICE_NUMBERS = ["p", "bp", "ap", "o", "h", "l", "c", "cp"]
const PAST_MS = 60_000

type SpoiledAs = Exclude<GarbledAs, "truncated_json" | "bad_utf8" | "reserved_bits" | "huge_length">

function spoil(text: string, as: SpoiledAs): string {
  const frame: unknown = JSON.parse(text)
  if (Array.isArray(frame)) {
    for (const message of frame) if (isFields(message)) spoilMarketData(message, as)
    return JSON.stringify(frame)
  }
  if (!isFields(frame)) return text
  // What the frame is about may be wrapped in one of two ways.
  const data = isFields(frame["data"])
    ? frame["data"]
    : isFields(frame["event"])
    ? frame["event"]
    : frame
  switch (as) {
    case "unknown_event":
      data["event" in data ? "event" : "e"] = "somethingNew"
      break
    case "extra_fields":
      data["zz"] = { nested: [1, null, "x"] }
      break
    case "null_price":
    case "empty_price":
      for (const name of PRICES) {
        if (typeof data[name] === "string") data[name] = as === "null_price" ? null : ""
      }
      break
    case "past_time":
      for (const name of ["E", "T"]) {
        const time = data[name]
        if (typeof time === "number") data[name] = time - PAST_MS
      }
      break
    case "crossed_quote":
      cross(data, "a", "b")
  }
  return JSON.stringify(frame)
}

function spoilMarketData(message: Record<string, unknown>, as: SpoiledAs) {
  switch (as) {
    case "unknown_event":
      message["T"] = "somethingNew"
      break
    case "extra_fields":
      message["zz"] = { nested: [1, null, "x"] }
      break
    case "null_price":
    case "empty_price":
      for (const name of PRICE_NUMBERS) {
        if (typeof message[name] === "number") message[name] = as === "null_price" ? null : ""
      }
      break
    case "past_time": {
      const time = typeof message["t"] === "string" ? Date.parse(message["t"]) : NaN
      if (!Number.isNaN(time)) message["t"] = new Date(time - PAST_MS).toISOString()
      break
    }
    case "crossed_quote":
      cross(message, "ap", "bp")
  }
}

/** Exchanges two prices of one kind. */
function cross(fields: Record<string, unknown>, ask: string, bid: string) {
  const [a, b] = [fields[ask], fields[bid]]
  if (typeof a === typeof b && a !== undefined) Object.assign(fields, { [ask]: b, [bid]: a })
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
