/**
 * Recorded frames, line by line, as normalised events.
 *
 * It tells what the lines say and what they do not: numbers that are missing become a `gap`, lines
 * that mean nothing an `undecoded` with the reason. It keeps the books of the instruments it has
 * seen and nothing else, so a recording may be of any length.
 */
import { formatDecimal } from "../../domain/decimal.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import {
  barEvent,
  executionEvent,
  orderEvent,
  partsOf,
  texts,
  tradeEvent,
  type Transcript as Port,
  type TranscriptEvent,
} from "../transcript.ts"
import { decodeFrame, type Depth, type Snapshot } from "./decode.ts"
import { LocalBook } from "./local_book.ts"
import type { SymbolMap } from "./symbols.ts"

/** Snapshots whose instrument is not known yet; a recorder fetches one per instrument. */
const ORPHANS_MAX = 64

export class Transcript implements Port {
  frames = 0
  private line = 0
  private readonly lastTradeIds = new Map<InstrumentId, bigint>()
  private readonly books = new Map<InstrumentId, LocalBook>()
  private orphans: Array<Snapshot> = []

  constructor(
    private readonly symbols: SymbolMap,
    /** With the top of the book after every change while there is one. */
    private readonly showsBooks: boolean,
  ) {}

  read(line: string): ReadonlyArray<TranscriptEvent> {
    this.line++
    const { frame, receivedAt } = partsOf(line)
    if (frame === "") return []
    this.frames++
    const decoded = decodeFrame(frame, this.symbols, receivedAt ?? 0)
    switch (decoded._tag) {
      case "Trade":
        return [...this.missingTrades(decoded.instrument, decoded.tradeId), tradeEvent(decoded)]
      case "Quote": {
        const { instrument, updateId, bid, bidSize, ask, askSize } = decoded
        const sides = texts({ bid, bidSize, ask, askSize })
        // The frame has no time of its own.
        return [{ type: "quote", instrument, updateId, ...sides, time: receivedAt ?? null }]
      }
      case "Bar":
        return [barEvent(decoded)]
      case "Depth":
        return this.depth(decoded)
      case "Snapshot":
        return this.snapshot(decoded)
      case "Executed":
        return [executionEvent(decoded.execution), orderEvent(decoded.report)]
      case "Report":
        return [orderEvent(decoded.report)]
      case "Balances": {
        const balances = decoded.balances.map(({ asset, free, locked }) => ({
          asset,
          ...texts({ free, locked }),
        }))
        return [{ type: "balances", balances }]
      }
      case "Undecoded":
        return [this.undecoded(decoded.reason)]
      case "Control":
      case "Answer":
      case "Ignored":
      case "Shutdown":
      case "Terminated":
      case "BalanceMoved":
      case "StreamUp":
        return []
    }
  }

  unreadable(reason: string): TranscriptEvent {
    this.line++
    this.frames++
    return this.undecoded(reason)
  }

  private undecoded(reason: string): TranscriptEvent {
    return { type: "undecoded", line: this.line, reason }
  }

  private missingTrades(instrument: InstrumentId, tradeId: string): ReadonlyArray<TranscriptEvent> {
    const id = BigInt(tradeId)
    const before = this.lastTradeIds.get(instrument)
    if (before === undefined || id > before) this.lastTradeIds.set(instrument, id)
    return before === undefined || id <= before + 1n
      ? []
      : [gap(instrument, "trade", { from: String(before + 1n), to: String(id - 1n) })]
  }

  private depth(depth: Depth): ReadonlyArray<TranscriptEvent> {
    const { instrument, firstUpdateId, updateId, time } = depth
    const book = this.books.get(instrument) ?? new LocalBook()
    this.books.set(instrument, book)
    const missing = book.apply(depth)
    const fitting = book.isValid ? undefined : this.orphans.find((each) => book.fits(each))
    if (fitting !== undefined && book.begin(fitting)) {
      this.orphans = this.orphans.filter((each) => each !== fitting)
    }
    const [bids, asks] = [levels(depth.bids), levels(depth.asks)]
    return [
      ...(missing === undefined ? [] : [gap(instrument, "depth", missing)]),
      { type: "depth", instrument, firstUpdateId, updateId, bids, asks, time },
      ...this.top(instrument, book),
    ]
  }

  private top(instrument: InstrumentId, book: LocalBook): ReadonlyArray<TranscriptEvent> {
    const top = this.showsBooks ? book.top : undefined
    if (top === undefined) return []
    const { updateId, ...sides } = top
    return [{ type: "book", instrument, updateId, ...texts(sides) }]
  }

  /** A snapshot does not say whose it is: it belongs to the one book whose changes it continues. */
  private snapshot(snapshot: Snapshot): ReadonlyArray<TranscriptEvent> {
    const fitting = [...this.books.values()].filter((book) => !book.isValid && book.fits(snapshot))
    if (fitting.length > 1) return [this.undecoded("a snapshot that fits several instruments")]
    if (fitting[0]?.begin(snapshot) !== true) {
      this.orphans = [...this.orphans, snapshot].slice(-ORPHANS_MAX)
    }
    const { updateId } = snapshot
    return [{
      type: "snapshot",
      updateId,
      bids: snapshot.bids.length,
      asks: snapshot.asks.length,
    }]
  }
}

function gap(
  instrument: InstrumentId,
  stream: "trade" | "depth",
  missing: { readonly from: string; readonly to: string },
): TranscriptEvent {
  return { type: "gap", instrument, stream, ...missing }
}

function levels(pairs: Depth["bids"]): ReadonlyArray<readonly [string, string]> {
  return pairs.map(([price, size]) => [formatDecimal(price), formatDecimal(size)])
}
