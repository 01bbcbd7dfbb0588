/**
 * What a recording is, whatever file it came from: changes of one market in order of
 * time, and the words for a file that is none.
 */
import { Schema, type Stream } from "effect"
import type { Atoms } from "./decimals.ts"
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
