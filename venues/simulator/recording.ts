/**
 * A recorded market, read from a file whose format is told from its content.
 *
 * Raw frames keep their bytes and are read twice, line by line, so their length
 * does not matter; trades and bars are loaded. Whatever the format, what comes out
 * is the same: changes of one market in order of time. A trade list or a bar has
 * no quotes, so a one-tick-wide quote is put around each price, and repeated so
 * that a living market does not look like a dead one. Nothing else is invented.
 *
 * The time of a raw frame is its receive time, shifted as a whole so that no
 * venue event lies in the future of the clock that shows it: recorders' clocks are
 * wrong by seconds, their spacing is right.
 */
import { Effect, Schema, Stream } from "effect"
import { type Atoms, floorTo, formatTrimmed, notional, ONE, parseAtomsRounded } from "./decimals.ts"
import { splitSymbol } from "./listing.ts"
import type { Level } from "./shown_book.ts"

export class RecordingError extends Schema.TaggedError<RecordingError>()("RecordingError", {
  path: Schema.String,
  /** Counted from 1; absent when the file as a whole is meant. */
  line: Schema.optionalKey(Schema.Int),
  text: Schema.String,
}) {
  override get message() {
    return this.line === undefined
      ? `${this.path}: ${this.text}`
      : `${this.path}:${this.line}: ${this.text}`
  }
}

export type MarketChange =
  | {
    readonly type: "trade"
    readonly symbol: string
    readonly tradeId: number
    readonly price: Atoms
    readonly size: Atoms
    readonly buyerIsMaker: boolean
    /** When it happened at the venue, epoch milliseconds. */
    readonly time: number
  }
  | {
    readonly type: "quote"
    readonly symbol: string
    readonly updateId: number
    readonly bid: Level
    readonly ask: Level
  }
  | {
    readonly type: "depth" | "snapshot"
    readonly symbol: string
    readonly firstUpdateId: number
    readonly updateId: number
    readonly bids: ReadonlyArray<Level>
    readonly asks: ReadonlyArray<Level>
  }

export interface RecordedEvent {
  /** On the recording's clock, whole epoch milliseconds, never falling. */
  readonly timeMs: number
  /** Absent for a frame that says nothing about trades, quotes or depth. */
  readonly change?: MarketChange
  /** A raw frame to be sent again as it was. */
  readonly frame?: RawFrame
}

export interface RawFrame {
  readonly stream: string
  /** `{"stream":…,"data":…}`, and the data alone, byte for byte. */
  readonly combined: string
  readonly data: string
}

export interface RecordedSymbol {
  readonly symbol: string
  readonly baseAsset: string
  readonly quoteAsset: string
  readonly tickSize: Atoms
  readonly stepSize: Atoms
}

export interface TradeSpan {
  readonly count: number
  /** 0 when there is none. */
  readonly firstTradeId: number
  readonly lastTradeId: number
}

export type RecordingFormat = "frames" | "trades" | "bars"

export interface Recording {
  readonly path: string
  readonly format: RecordingFormat
  readonly symbols: ReadonlyArray<RecordedSymbol>
  readonly startMs: number
  readonly endMs: number
  readonly trades: Readonly<Record<string, TradeSpan>>
  /** The public streams it has frames of. */
  readonly streams: ReadonlySet<string>
  /** The whole market from its beginning; can be run more than once. */
  readonly events: Stream.Stream<RecordedEvent, RecordingError>
}

/** Trades and bars are loaded; a file of more than this is refused, in characters. */
const LOADED_MAX = 256_000_000
/** Between events a quote is repeated at least this often, unless bars are longer than a minute. */
const QUOTE_EVERY_MS = 2_000
/** A gap in a trade list longer than this is a gap in the recording, not a quiet market. */
const QUIET_MAX_MS = 10 * 60_000

export const openRecording = Effect.fn("Recording.open")(function* (path: string) {
  return yield* Effect.tryPromise({
    try: () => open(path),
    catch: (cause) => cause instanceof RecordingError ? cause : unreadable(path, cause),
  })
})

async function open(path: string): Promise<Recording> {
  let first: string | undefined
  for await (const line of readLines(path)) {
    if (line.trim() === "") continue
    first = line.trimStart()
    break
  }
  if (first === undefined) throw new RecordingError({ path, text: "the file is empty" })
  if (isFrameLine(first)) return await openFrames(path)
  if (first.startsWith("[")) return openRows(path, parseJson(path, await readText(path)))
  if (first.startsWith("{")) return openRows(path, await readJsonLines(path))
  return openBars(path, parseCsv(path, await readText(path)))
}

// Reading

async function* readLines(path: string): AsyncGenerator<string> {
  const file = await Deno.open(path)
  try {
    const magic = new Uint8Array(2)
    const length = await file.read(magic)
    await file.seek(0, Deno.SeekMode.Start)
    const isGzip = length === 2 && magic[0] === 0x1f && magic[1] === 0x8b
    const bytes = isGzip
      ? file.readable.pipeThrough(new DecompressionStream("gzip"))
      : file.readable
    let rest = ""
    for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      yield* lines
    }
    if (rest !== "") yield rest
  } finally {
    try {
      file.close()
    } catch {
      // The stream closes the file when it was read to its end.
    }
  }
}

async function readText(path: string): Promise<string> {
  const lines = new Array<string>()
  let length = 0
  for await (const line of readLines(path)) {
    length += line.length + 1
    if (length > LOADED_MAX) {
      throw new RecordingError({ path, text: `longer than ${LOADED_MAX} characters; split it` })
    }
    lines.push(line)
  }
  return lines.join("\n")
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RecordingError({ path, text: `not valid JSON: ${messageOf(cause)}` })
  }
}

async function readJsonLines(path: string): Promise<unknown> {
  const text = await readText(path)
  // One object over several lines is not a recording; one object per line is.
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return []
    try {
      return [JSON.parse(line)]
    } catch {
      throw new RecordingError({ path, line: index + 1, text: "expected one JSON object per line" })
    }
  })
}

function unreadable(path: string, cause: unknown): RecordingError {
  const text = cause instanceof Deno.errors.NotFound
    ? "no such file"
    : cause instanceof Deno.errors.NotCapable || cause instanceof Deno.errors.PermissionDenied
    ? "no permission to read it"
    : `cannot be read: ${messageOf(cause)}`
  return new RecordingError({ path, text })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

// Raw frames

interface ParsedLine {
  /** Nanoseconds, when the recorder wrote them. */
  readonly receivedMs: number | undefined
  /** Venue time inside the frame. */
  readonly eventMs: number | undefined
  readonly change?: MarketChange
  readonly frame?: RawFrame
}

function isFrameLine(line: string): boolean {
  return /^\d{16,19} \{/.test(line) ||
    (line.startsWith("{") && /"(stream|lastUpdateId|e|u)"\s*:/.test(line) &&
      !/"(open|close)"\s*:/.test(line))
}

async function openFrames(path: string): Promise<Recording> {
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

/** A file's number, written as text or as a JSON number. */
function atomsOf(value: unknown): Atoms | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined
  return value === "" ? undefined : parseAtomsRounded(String(value))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

// Trades and bars

interface FileTrade {
  readonly time: number
  readonly tradeId: number
  readonly price: Atoms
  readonly size: Atoms
  readonly buyerIsMaker: boolean
}

interface FileBar {
  readonly time: number
  readonly open: Atoms
  readonly high: Atoms
  readonly low: Atoms
  readonly close: Atoms
  readonly volume: Atoms
}

interface BarFile {
  readonly symbol: string | undefined
  readonly bars: ReadonlyArray<FileBar>
}

function openRows(path: string, json: unknown): Recording {
  if (!Array.isArray(json) || json.length === 0) {
    throw new RecordingError({ path, text: "expected a JSON array of trades or bars" })
  }
  const rows: ReadonlyArray<unknown> = json
  const first = rows[0]
  if (isRecord(first)) return openBars(path, jsonBars(path, rows))
  if (Array.isArray(first) && (first[3] === "buy" || first[3] === "sell")) {
    return openTrades(path, rows)
  }
  if (Array.isArray(first) && first.length >= 6) {
    return openBars(path, {
      symbol: undefined,
      bars: rows.map((row, i) => arrayBar(path, row, i + 1)),
    })
  }
  throw new RecordingError({
    path,
    text:
      "expected trades [ms, id, type, side, price, amount, …] or bars [time, o, h, l, c, volume, …]",
  })
}

function openTrades(path: string, rows: ReadonlyArray<unknown>): Recording {
  const trades = rows.map((row, index): FileTrade => {
    const cells: ReadonlyArray<unknown> = Array.isArray(row) ? row : []
    const time = millisOf(cells[0])
    const price = atomsOf(cells[4])
    const size = atomsOf(cells[5])
    const side = cells[3]
    if (
      time === undefined || price === undefined || size === undefined || size === 0n ||
      (side !== "buy" && side !== "sell")
    ) {
      throw new RecordingError({
        path,
        line: index + 1,
        text: `expected [ms, id, type, "buy"|"sell", price, amount, …], got ${JSON.stringify(row)}`,
      })
    }
    // The side of a trade in such lists is the taker's.
    return {
      time,
      tradeId: Number(cells[1] ?? index + 1),
      price,
      size,
      buyerIsMaker: side === "sell",
    }
  }).toSorted((a, b) => a.time - b.time)
  const grid = new Grid()
  for (const trade of trades) grid.add(trade.price, trade.size)
  const market = grid.describe(path, symbolOfPath(path))
  return loaded(path, "trades", market, trades, (emit) => {
    let usual = trades[0]?.size ?? 0n
    for (const trade of trades) {
      usual = (usual * 7n + trade.size) / 8n
      emit(trade, usual * 2n)
    }
  }, { quoteEveryMs: QUOTE_EVERY_MS, quietMaxMs: QUIET_MAX_MS })
}

function openBars(path: string, file: BarFile): Recording {
  const bars = file.bars.toSorted((a, b) => a.time - b.time)
  const width = barWidth(bars)
  const grid = new Grid()
  for (const bar of bars) {
    for (const price of [bar.open, bar.high, bar.low, bar.close]) grid.add(price, bar.volume)
  }
  const market = grid.describe(path, file.symbol ?? symbolOfPath(path))
  const trades = bars.flatMap((bar, index) => tradesOfBar(bar, index * 4 + 1, width, market))
  return loaded(path, "bars", market, trades, (emit) => {
    trades.forEach((trade, index) => {
      const volume = bars[index >> 2]?.volume ?? 0n
      emit(trade, volume / 40n)
    })
  }, {
    quoteEveryMs: Math.max(QUOTE_EVERY_MS, width / 30),
    quietMaxMs: width * 2,
  })
}

/** Open, the extreme on the way, the other extreme, close; the volume in four parts. */
function tradesOfBar(
  bar: FileBar,
  firstId: number,
  width: number,
  market: RecordedSymbol,
): FileTrade[] {
  const rises = bar.close >= bar.open
  const path = rises
    ? [bar.open, bar.low, bar.high, bar.close]
    : [bar.open, bar.high, bar.low, bar.close]
  const step = market.stepSize
  const quarter = floorTo(bar.volume / 4n, step)
  return path.map((price, part) => {
    const size = part === 3 ? floorTo(bar.volume - quarter * 3n, step) : quarter
    const before = path[part - 1] ?? bar.open
    return {
      time: bar.time + Math.floor(part * width / 4),
      tradeId: firstId + part,
      price,
      // A bar without volume still moved the price: one lot shows it.
      size: size > 0n ? size : step,
      buyerIsMaker: price < before || (price === before && !rises),
    }
  })
}

/** A market of one symbol whose trades fit into memory. */
function loaded(
  path: string,
  format: RecordingFormat,
  market: RecordedSymbol,
  trades: ReadonlyArray<FileTrade>,
  sizes: (emit: (trade: FileTrade, quoteSize: Atoms) => void) => void,
  quotes: { readonly quoteEveryMs: number; readonly quietMaxMs: number },
): Recording {
  const first = trades[0]
  const last = trades.at(-1)
  if (first === undefined || last === undefined) throw new RecordingError({ path, text: "no rows" })
  const steps = new Array<{ trade: FileTrade; size: Atoms }>()
  sizes((trade, size) => {
    const onGrid = floorTo(size, market.stepSize)
    steps.push({ trade, size: onGrid > 0n ? onGrid : market.stepSize })
  })
  function* events(): Generator<RecordedEvent> {
    let updateId = 0
    let quoted: { bid: Level; ask: Level; at: number } | undefined
    for (const { trade, size } of steps) {
      // Somebody keeps quoting between two trades, as long as this is one market day.
      if (quoted !== undefined && trade.time - quoted.at <= quotes.quietMaxMs) {
        for (let at = quoted.at + quotes.quoteEveryMs; at < trade.time; at += quotes.quoteEveryMs) {
          yield { timeMs: Math.floor(at), change: quote(market.symbol, ++updateId, quoted) }
        }
      }
      // A seller hit the bid, a buyer lifted the offer.
      const bid = trade.buyerIsMaker || trade.price <= market.tickSize
        ? trade.price
        : trade.price - market.tickSize
      quoted = {
        bid: { price: bid, size },
        ask: { price: bid + market.tickSize, size },
        at: trade.time,
      }
      yield { timeMs: trade.time, change: quote(market.symbol, ++updateId, quoted) }
      yield { timeMs: trade.time, change: { type: "trade", symbol: market.symbol, ...trade } }
    }
  }
  return {
    path,
    format,
    symbols: [market],
    startMs: first.time,
    endMs: last.time,
    trades: {
      [market.symbol]: {
        count: trades.length,
        firstTradeId: first.tradeId,
        lastTradeId: last.tradeId,
      },
    },
    streams: new Set(),
    events: Stream.fromIterable({ [Symbol.iterator]: events }),
  }
}

function quote(
  symbol: string,
  updateId: number,
  { bid, ask }: { bid: Level; ask: Level },
): MarketChange {
  return { type: "quote", symbol, updateId, bid, ask }
}

function barWidth(bars: ReadonlyArray<FileBar>): number {
  const counts = new Map<number, number>()
  for (let i = 1; i < bars.length; i++) {
    const width = (bars[i]?.time ?? 0) - (bars[i - 1]?.time ?? 0)
    if (width > 0) counts.set(width, (counts.get(width) ?? 0) + 1)
  }
  let best = 60_000
  let most = 0
  for (const [width, count] of counts) if (count > most) [best, most] = [width, count]
  return best
}

// Bars from CSV and JSON

const TIME_COLUMNS = [
  "open_time",
  "open_time_s",
  "opentime",
  "unix",
  "timestamp",
  "time",
  "datetime",
  "date",
]

function parseCsv(path: string, text: string): BarFile {
  const lines = text.split("\n").map((line) => line.trim())
  const cells = (line: string) => line.split(/[,;\t]/).map((cell) => cell.trim())
  const names = cells(lines[0] ?? "").map((name) => name.toLowerCase().replaceAll('"', ""))
  const hasHeader = names.some((name) => name === "open") && names.some((name) => name === "close")
  const column = (name: string, otherwise: number) => hasHeader ? names.indexOf(name) : otherwise
  // Data frames are often saved with a nameless first column for the time.
  const timeColumn = Math.max(0, names.findIndex((name) => TIME_COLUMNS.includes(name)))
  const at = {
    time: timeColumn,
    open: column("open", 1),
    high: column("high", 2),
    low: column("low", 3),
    close: column("close", 4),
    volume: column("volume", 5),
  }
  const missing = Object.entries(at).filter(([, index]) => index < 0).map(([name]) => name)
  if (missing.length > 0) {
    throw new RecordingError({ path, line: 1, text: `no column ${missing.join(", ")}` })
  }
  const frameColumn = hasHeader ? names.indexOf("time_frame") : -1
  const symbolColumn = hasHeader ? names.indexOf("symbol") : -1
  const rows = lines.flatMap((line, index) => {
    if (line === "" || (hasHeader && index === 0)) return []
    return [{ cells: cells(line), line: index + 1 }]
  })
  // A file with several time frames holds the same time several times: play the finest.
  const finest = frameColumn < 0
    ? undefined
    : rows.map((row) => row.cells[frameColumn] ?? "").toSorted((a, b) => frameMs(a) - frameMs(b))[0]
  const bars = rows.flatMap(({ cells, line }) => {
    if (finest !== undefined && cells[frameColumn] !== finest) return []
    return [makeBar(path, line, {
      time: cells[at.time],
      open: cells[at.open],
      high: cells[at.high],
      low: cells[at.low],
      close: cells[at.close],
      volume: cells[at.volume],
    })]
  })
  return { symbol: symbolColumn < 0 ? undefined : rows[0]?.cells[symbolColumn], bars }
}

function frameMs(name: string): number {
  const match = /^(\d+)([smhdwM])$/.exec(name)
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, M: 2_592_000 }[match?.[2] ?? "M"] ??
    0
  return Number(match?.[1] ?? Infinity) * unit
}

function jsonBars(path: string, rows: ReadonlyArray<unknown>): BarFile {
  const first = rows[0]
  const base = isRecord(first) ? first["base"] : undefined
  const counter = isRecord(first) ? first["counter"] : undefined
  const symbol = isRecord(first) ? first["symbol"] ?? first["S"] : undefined
  return {
    symbol: typeof base === "string" && typeof counter === "string"
      ? `${base}/${counter}`
      : typeof symbol === "string"
      ? symbol
      : undefined,
    bars: rows.map((row, index) => {
      if (!isRecord(row)) {
        throw new RecordingError({ path, line: index + 1, text: "expected one object per bar" })
      }
      const time = row["openTimeInMillis"] ?? row["openTime"] ?? row["time"] ?? row["t"]
      return makeBar(path, index + 1, {
        time,
        open: row["open"] ?? row["o"],
        high: row["high"] ?? row["h"],
        low: row["low"] ?? row["l"],
        close: row["close"] ?? row["c"],
        volume: row["volume"] ?? row["v"],
      })
    }),
  }
}

function arrayBar(path: string, row: unknown, line: number): FileBar {
  const cells: ReadonlyArray<unknown> = Array.isArray(row) ? row : []
  const [time, open, high, low, close, volume] = cells
  return makeBar(path, line, { time, open, high, low, close, volume })
}

function makeBar(
  path: string,
  line: number,
  cells: Record<"time" | "open" | "high" | "low" | "close" | "volume", unknown>,
): FileBar {
  const bar = {
    time: millisOf(cells.time),
    open: atomsOf(cells.open),
    high: atomsOf(cells.high),
    low: atomsOf(cells.low),
    close: atomsOf(cells.close),
    volume: atomsOf(cells.volume),
  }
  const { time, open, high, low, close, volume } = bar
  const wrong = Object.entries(bar).find(([, value]) => value === undefined)?.[0]
  if (
    time === undefined || open === undefined || high === undefined || low === undefined ||
    close === undefined || volume === undefined
  ) {
    const got = String(Object.entries(cells).find(([name]) => name === wrong)?.[1])
    throw new RecordingError({ path, line, text: `${wrong} of the bar is not readable: ${got}` })
  }
  if (low <= 0n || volume < 0n || high < open || high < close || low > open || low > close) {
    throw new RecordingError({ path, line, text: "expected 0 < low <= open, close <= high" })
  }
  return { time, open, high, low, close, volume }
}

/** Epoch milliseconds of seconds, milli-, micro-, nanoseconds or a date; UTC unless it says so. */
function millisOf(value: unknown): number | undefined {
  const text = String(value ?? "").trim().replaceAll('"', "")
  if (/^\d+(\.\d+)?$/.test(text)) {
    const number = Number(text)
    if (number >= 1e17) return Math.floor(number / 1e6)
    if (number >= 1e14) return Math.floor(number / 1e3)
    return number >= 1e11 ? Math.floor(number) : Math.round(number * 1_000)
  }
  const american = /^(\d{1,2})\/(\d{1,2})\/(\d{4})(?: (\d{1,2}):(\d{2}))?$/.exec(text)
  if (american !== null) {
    const [, month, day, year, hour = "0", minute = "0"] = american.map(String)
    return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute))
  }
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return undefined
  const iso = text.replace(" ", "T")
  const time = Date.parse(
    /T.*(Z|[+-]\d{2}:?\d{2})$/.test(iso) || !iso.includes("T") ? iso : `${iso}Z`,
  )
  return Number.isNaN(time) ? undefined : time
}

// What is traded

/** `BTCUSDT` of `…/BTCUSDT-spot-1m.csv.gz`; a name without a known quote asset trades in USD. */
function symbolOfPath(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toUpperCase()
  const symbol = /^[A-Z0-9]+/.exec(name)?.[0]
  if (symbol === undefined) {
    throw new RecordingError({ path, text: "which symbol is it? Name the file SYMBOL-anything" })
  }
  return symbol
}

/** The coarsest power of ten that prices and sizes fit on. */
class Grid {
  #price = 100_000_000n
  #size = 100_000_000n
  #last: Atoms = 0n

  add(price: Atoms, size: Atoms) {
    this.#last = price
    while (price % this.#price !== 0n) this.#price /= 10n
    while (size % this.#size !== 0n) this.#size /= 10n
  }

  describe(path: string, text: string): RecordedSymbol {
    const symbol = text.toUpperCase().replace(/[^A-Z0-9]/g, "")
    const assets = splitSymbol(text.toUpperCase()) ?? { baseAsset: symbol, quoteAsset: "USD" }
    const tickSize = this.#price
    // One lot costs no more than about one unit of quote, however coarse the file's sizes are,
    // but never so fine that a notional would need more than eight decimals.
    let stepSize = this.#size
    while (stepSize > 1n && notional(this.#last, stepSize) > ONE) stepSize /= 10n
    while (tickSize * stepSize < ONE) stepSize *= 10n
    if (this.#last === 0n) {
      throw new RecordingError({
        path,
        text: `no price of ${symbol} (tick ${formatTrimmed(tickSize)})`,
      })
    }
    return {
      symbol: splitSymbol(text.toUpperCase()) === undefined ? `${symbol}USD` : symbol,
      ...assets,
      tickSize,
      stepSize,
    }
  }
}

function gridOf(grids: Map<string, Grid>, symbol: string): Grid {
  const grid = grids.get(symbol) ?? new Grid()
  grids.set(symbol, grid)
  return grid
}
