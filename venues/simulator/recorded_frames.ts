/**
 * Recordings of raw frames: their bytes are kept, and they are read twice, line by
 * line, so their length does not matter.
 *
 * The time of a frame is its receive time, shifted as a whole so that no venue event
 * lies in the future of the clock that shows it: recorders' clocks are wrong by
 * seconds, their spacing is right.
 */
import { Stream } from "effect"
import { type Grid, gridOf } from "./grid.ts"
import {
  type MarketChange,
  type RawFrame,
  type RecordedEvent,
  type Recording,
  RecordingError,
  type TradeSpan,
} from "./recorded.ts"
import { atomsOf, isRecord, readLines, unreadable } from "./recording_file.ts"
import type { Level } from "./shown_book.ts"

interface ParsedLine {
  /** Nanoseconds, when the recorder wrote them. */
  readonly receivedMs: number | undefined
  /** Venue time inside the frame. */
  readonly eventMs: number | undefined
  readonly change?: MarketChange
  readonly frame?: RawFrame
}

export function isFrameLine(line: string): boolean {
  return /^\d{16,19} \{/.test(line) ||
    (line.startsWith("{") && /"(stream|lastUpdateId|e|u)"\s*:/.test(line) &&
      !/"(open|close)"\s*:/.test(line))
}

export async function openFrames(path: string): Promise<Recording> {
  const grids = new Map<string, Grid>()
  const spans = new Map<string, TradeSpan>()
  const streams = new Set<string>()
  let offsetMs = -Infinity
  let startMs: number | undefined
  let endMs = 0
  for await (const line of frameLines(path)) {
    const at = line.receivedMs ?? line.eventMs
    if (at !== undefined) {
      startMs ??= at
      endMs = Math.max(endMs, at)
    }
    if (line.receivedMs !== undefined && line.eventMs !== undefined) {
      offsetMs = Math.max(offsetMs, line.eventMs - line.receivedMs)
    }
    if (line.frame !== undefined) streams.add(line.frame.stream)
    const change = line.change
    if (change?.type === "trade") {
      gridOf(grids, change.symbol).add(change.price, change.size)
      const span = spans.get(change.symbol)
      spans.set(change.symbol, {
        count: (span?.count ?? 0) + 1,
        firstTradeId: span?.firstTradeId ?? change.tradeId,
        lastTradeId: change.tradeId,
      })
    } else if (change?.type === "quote") {
      gridOf(grids, change.symbol).add(change.bid.price, change.bid.size)
      gridOf(grids, change.symbol).add(change.ask.price, change.ask.size)
    }
  }
  const offset = offsetMs === -Infinity ? 0 : offsetMs
  if (startMs === undefined || grids.size === 0) {
    throw new RecordingError({ path, text: "no trade or bookTicker frame in it" })
  }
  const begins = startMs + offset
  return {
    path,
    format: "frames",
    symbols: [...grids].map(([symbol, grid]) => grid.describe(path, symbol)),
    startMs: begins,
    endMs: endMs + offset,
    trades: Object.fromEntries(spans),
    streams,
    events: Stream.fromAsyncIterable(
      frameEvents(path, begins, offset),
      (cause) => cause instanceof RecordingError ? cause : unreadable(path, cause),
    ),
  }
}

/** An iterable, not an iterator: every run opens the file anew. */
function frameEvents(path: string, startMs: number, offset: number): AsyncIterable<RecordedEvent> {
  return {
    async *[Symbol.asyncIterator]() {
      let timeMs = startMs
      for await (const line of frameLines(path)) {
        timeMs = Math.max(timeMs, (line.receivedMs ?? line.eventMs ?? timeMs - offset) + offset)
        yield {
          timeMs,
          ...(line.change && { change: line.change }),
          ...(line.frame && { frame: line.frame }),
        }
      }
    },
  }
}

async function* frameLines(path: string): AsyncGenerator<ParsedLine> {
  let number = 0
  let symbol = ""
  let broken: RecordingError | undefined
  for await (const text of readLines(path)) {
    number++
    if (text.trim() === "") continue
    // Only the last line may be cut short: a recorder that was stopped leaves one.
    if (broken !== undefined) throw broken
    const line = parseFrameLine(text, symbol)
    if (line === undefined) {
      broken = new RecordingError({
        path,
        line: number,
        text: `expected \`<receive time ns> <frame>\` or a JSON frame, got ${text.slice(0, 40)}`,
      })
      continue
    }
    symbol = line.change?.symbol ?? symbol
    yield line
  }
}

/** `symbol` is whom a depth snapshot is about, which does not say so itself. */
function parseFrameLine(text: string, symbol: string): ParsedLine | undefined {
  const match = /^(\d{16,19}) (.*)$/s.exec(text.trimEnd())
  const body = (match?.[2] ?? text).trim()
  const receivedMs = match === null ? undefined : Number(BigInt(match[1] ?? 0) / 1_000_000n)
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return undefined
  }
  if (!isRecord(json)) return undefined
  const wrapped = typeof json["stream"] === "string" && isRecord(json["data"])
  const data = wrapped && isRecord(json["data"]) ? json["data"] : json
  const change = changeOf(data, symbol)
  const eventMs = typeof data["E"] === "number" ? data["E"] : undefined
  const line = { receivedMs, eventMs, ...(change && { change }) }
  if (wrapped && typeof json["stream"] === "string") {
    const from = body.indexOf('"data":') + '"data":'.length
    return {
      ...line,
      frame: {
        stream: json["stream"],
        combined: body,
        data: body.slice(from, body.lastIndexOf("}")),
      },
    }
  }
  const stream = streamOf(data)
  if (stream === undefined) return change === undefined ? undefined : line
  return {
    ...line,
    frame: { stream, combined: `{"stream":"${stream}","data":${body}}`, data: body },
  }
}

function changeOf(data: Record<string, unknown>, symbol: string): MarketChange | undefined {
  const own = typeof data["s"] === "string" ? data["s"] : symbol
  if (data["e"] === "trade") {
    const price = atomsOf(data["p"])
    const size = atomsOf(data["q"])
    const { t, T, m } = data
    if (
      price === undefined || size === undefined || typeof t !== "number" || typeof T !== "number"
    ) return
    return {
      type: "trade",
      symbol: own,
      tradeId: t,
      price,
      size,
      buyerIsMaker: m === true,
      time: T,
    }
  }
  if (
    data["e"] === "depthUpdate" && typeof data["U"] === "number" && typeof data["u"] === "number"
  ) {
    const [bids, asks] = [levelsOf(data["b"]), levelsOf(data["a"])]
    if (bids === undefined || asks === undefined) return
    return { type: "depth", symbol: own, firstUpdateId: data["U"], updateId: data["u"], bids, asks }
  }
  if (typeof data["lastUpdateId"] === "number" && own !== "") {
    const [bids, asks] = [levelsOf(data["bids"]), levelsOf(data["asks"])]
    if (bids === undefined || asks === undefined) return
    const updateId = data["lastUpdateId"]
    return { type: "snapshot", symbol: own, firstUpdateId: updateId, updateId, bids, asks }
  }
  if (data["e"] === undefined && typeof data["u"] === "number") {
    const bid = levelOf([data["b"], data["B"]])
    const ask = levelOf([data["a"], data["A"]])
    if (bid === undefined || ask === undefined) return
    return { type: "quote", symbol: own, updateId: data["u"], bid, ask }
  }
  return undefined
}

function streamOf(data: Record<string, unknown>): string | undefined {
  if (typeof data["s"] !== "string") return undefined
  const symbol = data["s"].toLowerCase()
  if (data["e"] === "depthUpdate") return `${symbol}@depth@100ms`
  if (data["e"] === "kline" && isRecord(data["k"])) {
    return `${symbol}@kline_${String(data["k"]["i"])}`
  }
  if (typeof data["e"] === "string") return `${symbol}@${data["e"]}`
  return data["u"] === undefined ? undefined : `${symbol}@bookTicker`
}

function levelsOf(rows: unknown): ReadonlyArray<Level> | undefined {
  if (!Array.isArray(rows)) return undefined
  const levels = new Array<Level>()
  for (const row of rows) {
    const level = levelOf(row)
    if (level === undefined) return undefined
    levels.push(level)
  }
  return levels
}

function levelOf(row: unknown): Level | undefined {
  if (!Array.isArray(row)) return undefined
  const price = atomsOf(row[0])
  const size = atomsOf(row[1])
  return price === undefined || size === undefined ? undefined : { price, size }
}
