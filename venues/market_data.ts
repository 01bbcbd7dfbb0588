/**
 * The port for prices.
 *
 * An adapter knows one venue's words and one connection at a time. When to connect, how long to
 * wait and what a lost connection means is the feed's business, so an adapter never retries.
 */
import { type Effect, Schema } from "effect"
import type { Instrument, InstrumentId } from "../domain/instrument.ts"
import type { TradingDay } from "../domain/calendar.ts"
import type { Bar, MarketEvent, Quote, Trade } from "../domain/market.ts"

/** Why a connection ended or a request failed, with what a person should know. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  detail: Schema.String,
}) {}
/** The peer closed, or vanished (code 1006). */
export class Closed extends Schema.TaggedError<Closed>()("Closed", {
  code: Schema.Int,
  detail: Schema.String,
}) {}
/** Nothing was heard for the time stated, pongs included or data alone, as `what` says. */
export class Silent extends Schema.TaggedError<Silent>()("Silent", {
  what: Schema.Literals(["handshake", "connection", "data"]),
  afterMs: Schema.Int,
}) {}
/** Told to wait: 429 and 418. */
export class Throttled extends Schema.TaggedError<Throttled>()("Throttled", {
  status: Schema.Int,
  retryAfterMs: Schema.Int,
  /** False when we kept the request back because the venue had told us before. Default true. */
  sent: Schema.optionalKey(Schema.Boolean),
}) {}
/** Keys or location are refused: trying again cannot help. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {
  detail: Schema.String,
}) {}
/** Another session of ours, often a dead one, still holds the only place: Alpaca's 406. */
export class SlotBusy extends Schema.TaggedError<SlotBusy>()("SlotBusy", {
  detail: Schema.String,
}) {}
/** The venue has announced the end: a shutdown, the end of a connection's longest life. */
export class Announced extends Schema.TaggedError<Announced>()("Announced", {
  detail: Schema.String,
}) {}
/** The venue answered, and what it said makes no sense or is an error of its own. */
export class Faulty extends Schema.TaggedError<Faulty>()("Faulty", {
  detail: Schema.String,
}) {}
/** Events came faster than they could be taken: shown as an outage, not as growth. */
export class Overrun extends Schema.TaggedError<Overrun>()("Overrun", {
  /** 0 where only the venue knows, or whoever would not take them. */
  waiting: Schema.Int,
}) {}

export class VenueError extends Schema.TaggedError<VenueError>()("VenueError", {
  venue: Schema.String,
  /** What was being done: `market stream`, `GET /api/v3/account`. */
  doing: Schema.String,
  reason: Schema.Union([
    Unreachable,
    Closed,
    Silent,
    Throttled,
    Forbidden,
    SlotBusy,
    Announced,
    Faulty,
    Overrun,
  ]),
}) {
  override get message(): string {
    return `${this.venue}: ${this.doing}: ${describe(this.reason)}`
  }
}
export type VenueFailure = VenueError["reason"]

export function describe(reason: VenueFailure): string {
  switch (reason._tag) {
    case "Unreachable":
      return `unreachable (${reason.detail})`
    case "Closed":
      return `closed with code ${reason.code}${reason.detail && ` (${reason.detail})`}`
    case "Silent":
      return `no ${reason.what} for ${reason.afterMs} ms`
    case "Throttled":
      return `rate limited (${reason.status}), wait ${reason.retryAfterMs} ms`
    case "Forbidden":
      return `refused (${reason.detail})`
    case "SlotBusy":
      return `another session holds the connection (${reason.detail})`
    case "Announced":
    case "Faulty":
      return reason.detail
    case "Overrun":
      return reason.waiting === 0
        ? "we were too slow to take its events"
        : `${reason.waiting} events waiting: too slow`
  }
}

export interface MarketDataSink {
  /** In the order of arrival. False when it cannot be taken: the connection then ends with `Overrun`. */
  readonly event: (event: MarketEvent) => boolean
  /** A frame that means nothing to us; counted and shown, never fatal, never guessed. */
  readonly undecoded: (frame: string, reason: string) => void
  /**
   * The venue will not send this on this connection, for the reason stated, while the rest goes on:
   * more instruments than the plan has, a channel it has not. Asking again would not help. Where it
   * is absent such an answer counts as `undecoded`.
   */
  readonly refused?: (
    instruments: ReadonlyArray<InstrumentId>,
    what: "prices" | "statuses",
    reason: string,
  ) => void
}

export interface MarketData {
  readonly venue: string
  /**
   * `dense`: ascending by one per instrument, so that a hole shows. `opaque`: unique and no more,
   * because several exchanges print on one tape.
   */
  readonly tradeIds: "dense" | "opaque"
  /** The named instruments as the venue describes them now; fails when it does not know one. */
  readonly instruments: (
    ids: ReadonlyArray<InstrumentId>,
  ) => Effect.Effect<ReadonlyArray<Instrument>, VenueError>
  /**
   * One connection, from handshake to its end: trades and quotes of `instruments`. Never succeeds.
   * Interruption closes the socket.
   */
  readonly stream: (
    instruments: ReadonlyArray<InstrumentId>,
    sink: MarketDataSink,
  ) => Effect.Effect<never, VenueError>
  /** By REST, one request for all; the time is the venue's answer, not the market's. */
  readonly quotes: (
    instruments: ReadonlyArray<InstrumentId>,
  ) => Effect.Effect<ReadonlyArray<Quote>, VenueError>
  /** Closed bars that end at or before `until` (epoch milliseconds), oldest first, at most `limit`. */
  readonly bars: (
    instrument: InstrumentId,
    intervalMs: number,
    until: number,
    limit: number,
  ) => Effect.Effect<ReadonlyArray<Bar>, VenueError>
  /**
   * What was traded after `last`, ascending, at most 1,000: to fill a gap. With opaque ids it begins
   * at the time of `last`, and trades of that very moment may come again.
   */
  readonly tradesAfter: (
    instrument: InstrumentId,
    last: { readonly tradeId: string; readonly time: number },
  ) => Effect.Effect<ReadonlyArray<Trade>, VenueError>
  /** Sessions of the days from `from` to `to` (`2026-11-23`); absent where the market never closes. */
  readonly calendar?: (
    from: string,
    to: string,
  ) => Effect.Effect<ReadonlyArray<TradingDay>, VenueError>
}
