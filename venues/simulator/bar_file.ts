/**
 * Bars as files hold them: CSV with or without header, JSON objects, kline arrays;
 * times as dates or numbers, in any order.
 */
import type { Atoms } from "./decimals.ts"
import { RecordingError } from "./recorded.ts"
import { atomsOf, isRecord } from "./recording_file.ts"

export interface FileBar {
  readonly time: number
  readonly open: Atoms
  readonly high: Atoms
  readonly low: Atoms
  readonly close: Atoms
  readonly volume: Atoms
}

export interface BarFile {
  readonly symbol: string | undefined
  readonly bars: ReadonlyArray<FileBar>
}

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

export function parseCsv(path: string, text: string): BarFile {
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

export function jsonBars(path: string, rows: ReadonlyArray<unknown>): BarFile {
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

export function arrayBar(path: string, row: unknown, line: number): FileBar {
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
export function millisOf(value: unknown): number | undefined {
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
