/**
 * A recorded market, read from a file whose format is told from its content.
 *
 * Raw frames, trade lists, bars; plain or gzip. Whatever the format, what comes out is
 * the same: changes of one market in order of time. A file that is none of these is
 * refused in one line that says where and what was expected.
 */
import { Effect } from "effect"
import { arrayBar, jsonBars, parseCsv } from "./bar_file.ts"
import { type Recording, RecordingError } from "./recorded.ts"
import { isFrameLine, openFrames } from "./recorded_frames.ts"
import { openBars, openTrades } from "./recorded_trades.ts"
import {
  isRecord,
  parseJson,
  readJsonLines,
  readLines,
  readText,
  unreadable,
} from "./recording_file.ts"

export { RecordingError }
export type {
  MarketChange,
  RawFrame,
  RecordedEvent,
  RecordedSymbol,
  Recording,
  RecordingFormat,
  TradeSpan,
} from "./recorded.ts"

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
