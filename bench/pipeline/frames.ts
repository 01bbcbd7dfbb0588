/**
 * What every client gets to read: one recorded session of one market, or one of the same shape.
 *
 * A recording is played several times over without a break. Its ids go on from one pass to the
 * next, so that nobody may drop what seems to be old.
 */
import { gunzipSync } from "node:zlib"

export interface Session {
  /** Where it comes from, in words. */
  readonly source: string
  /** Combined frames, in order: trades, quotes and book changes. */
  readonly frames: ReadonlyArray<string>
  /** The REST snapshot that the book changes go with. */
  readonly snapshot: string
}

/** Trades and quotes: what all clients count. */
export const isCounted = (frame: string): boolean => !frame.includes("@depth")

export function recorded(folder: string): Session {
  const name = "wire/binance/spot-ws-btcusdt-20240808.jsonl.gz"
  const text = new TextDecoder().decode(gunzipSync(Deno.readFileSync(`${folder}/${name}`)))
  const lines = text.split("\n").filter((line) => line !== "")
    .map((line) => line.slice(line.indexOf(" ") + 1))
  const frames = lines.filter((line) => line.startsWith('{"stream"'))
  const snapshot = lines.find((line) => line.startsWith('{"lastUpdateId"'))
  if (snapshot === undefined) throw new Error(`${name} holds no snapshot`)
  return { source: name.slice(name.lastIndexOf("/") + 1), frames, snapshot }
}

const GENERATED_FRAMES = 41_248
/** Per hundred frames, as in the recording: quotes, trades; the rest are book changes. */
const SHARES = { quotes: 68, trades: 24 } as const
const LEVELS = 15

/** The same kinds of frames in the same shares and of the same lengths, from one seed. */
export function generated(): Session {
  const random = xorshift(1)
  const below = (limit: number) => Math.floor(random() * limit)
  const size = () => `${below(9)}.${String(below(100_000)).padStart(5, "0")}000`
  const priceOf = (ticks: number) =>
    `${Math.floor(ticks / 100)}.${String(ticks % 100).padStart(2, "0")}000000`
  let [ticks, updateId, tradeId] = [6_183_763, 50_093_239_218, 3_735_683_259]
  let [lastDepth, time] = [updateId, 1_723_161_255_343]
  const levels = (sign: number) =>
    Array.from(
      { length: 1 + below(2 * LEVELS) },
      (_, at) => [priceOf(ticks + sign * (at + 1)), size()],
    )
  const snapshot = JSON.stringify({ lastUpdateId: updateId, bids: levels(-1), asks: levels(1) })
  const s = "BTCUSDT"
  const frames = Array.from({ length: GENERATED_FRAMES }, () => {
    const kind = below(100)
    time += below(20)
    ticks += below(21) - 10
    if (kind < SHARES.quotes) {
      updateId += 1 + below(8)
      const data = {
        u: updateId,
        s,
        b: priceOf(ticks),
        B: size(),
        a: priceOf(ticks + 1),
        A: size(),
      }
      return JSON.stringify({ stream: "btcusdt@bookTicker", data })
    }
    if (kind < SHARES.quotes + SHARES.trades) {
      const of = { e: "trade", E: time, s, t: ++tradeId, p: priceOf(ticks), q: size() }
      return JSON.stringify({
        stream: "btcusdt@trade",
        data: { ...of, T: time - 1, m: below(2) === 0, M: true },
      })
    }
    updateId += 1 + below(8)
    const U = lastDepth + 1
    lastDepth = updateId
    const data = { e: "depthUpdate", E: time, s, U, u: updateId, b: levels(-1), a: levels(1) }
    return JSON.stringify({ stream: "btcusdt@depth@100ms", data })
  })
  return { source: "generated from seed 1", frames, snapshot }
}

function xorshift(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** One pass as the bytes of a WebSocket, its ids `pass` sessions later. */
export function bytesOf(frames: ReadonlyArray<string>, pass: number): Uint8Array {
  const encoder = new TextEncoder()
  const updates = spanOf(frames, /"u":(\d+)/)
  const trades = spanOf(frames, /"t":(\d+)/)
  const parts = frames.flatMap((frame) => {
    const later = frame
      .replace(/"(U|u)":(\d+)/g, (_, name, id) => `"${name}":${Number(id) + pass * updates}`)
      .replace(/"t":(\d+)/, (_, id) => `"t":${Number(id) + pass * trades}`)
    const body = encoder.encode(later)
    return [header(body.length), body]
  })
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** How far ids have to move for the next pass to follow the last. */
function spanOf(frames: ReadonlyArray<string>, id: RegExp): number {
  const ids = frames.flatMap((frame) => id.exec(frame)?.[1] ?? []).map(Number)
  const firsts = frames.flatMap((frame) => /"U":(\d+)/.exec(frame)?.[1] ?? []).map(Number)
  const least = id.source.includes("u") ? Math.min(ids[0]!, firsts[0] ?? Infinity) : ids[0]!
  return ids.reduce((most, each) => Math.max(most, each)) - least + 1
}

/** Of an unmasked text frame, as servers send them. */
function header(length: number): Uint8Array {
  if (length < 126) return Uint8Array.of(0x81, length)
  if (length < 65_536) return Uint8Array.of(0x81, 126, length >> 8, length & 255)
  throw new Error(`a frame of ${length} bytes`)
}
