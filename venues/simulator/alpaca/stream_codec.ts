/**
 * Frames as a client of Alpaca's streams asked for them: text, the same text in a binary frame, or
 * MessagePack.
 *
 * Messages are made as JSON text once; whoever wants MessagePack gets that text packed. There times
 * are timestamps (extension -1) and trade ids 64-bit integers, as the venue packs them.
 */
import { Buffer } from "node:buffer"
import { decode, encode, encodeTimeSpecToTimestamp, ExtData } from "@msgpack/msgpack"
import type { Encode } from "../wire.ts"
import { parseTime } from "./data_time.ts"

const TIMESTAMP = -1
/** Fields that hold ids of trades. */
const IDS = new Set(["i", "oi", "ci"])

export const asBinary: Encode = (text) => Buffer.from(text)

/** Market data. What is no JSON, because a fault spoiled it, is cut in the middle as well. */
export const asMarketPack: Encode = (text) => {
  const value = jsonOf(text)
  if (value === undefined) return encode(text).slice(0, Math.max(1, text.length >> 1))
  return encode(packed(value), { useBigInt64: true })
}

export const asPack: Encode = (text) => encode(jsonOf(text) ?? text)

/** A client's message; `undefined` when it is nothing that can be read. */
export function readMessage(data: Uint8Array, isBinary: boolean, packs: boolean): unknown {
  if (isBinary && packs) {
    try {
      return decode(data)
    } catch {
      return undefined
    }
  }
  return jsonOf(Buffer.from(data).toString("utf8"))
}

export function wantsPack(headers: Readonly<Record<string, unknown>>): boolean {
  return String(headers["content-type"] ?? "").includes("msgpack")
}

function packed(value: unknown, field = ""): unknown {
  if (Array.isArray(value)) return value.map((one) => packed(one))
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [name, packed(one, name)]),
    )
  }
  if (field === "t" && typeof value === "string") {
    const time = parseTime(value)
    if (time === undefined) return value
    const sec = Number(time / 1_000_000_000n)
    const nsec = Number(time % 1_000_000_000n)
    return new ExtData(TIMESTAMP, encodeTimeSpecToTimestamp({ sec, nsec }))
  }
  if (IDS.has(field) && typeof value === "number") return BigInt(value)
  return value
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
