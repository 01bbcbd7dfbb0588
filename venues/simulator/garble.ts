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

const PRICES = ["p", "b", "a", "L"]
const PAST_MS = 60_000

function spoil(text: string, as: GarbledAs): string {
  const frame: unknown = JSON.parse(text)
  if (!isFields(frame)) return text
  // What the frame is about may be wrapped in one of two ways.
  const data = isFields(frame["data"])
    ? frame["data"]
    : isFields(frame["event"])
    ? frame["event"]
    : frame
  switch (as) {
    case "unknown_event":
      data["e"] = "somethingNew"
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
        if (typeof data[name] === "number") data[name] -= PAST_MS
      }
      break
    case "crossed_quote": {
      const { a, b } = data
      if (typeof a === "string" && typeof b === "string") Object.assign(data, { a: b, b: a })
      break
    }
  }
  return JSON.stringify(frame)
}

function isFields(value: unknown): value is Record<string, unknown> & { E?: number; T?: number } {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
