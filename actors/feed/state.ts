/**
 * What a feed knows, and what it was told to want. Changed in place, by the feed alone.
 */
import type { Deferred } from "effect"
import type { BackoffPolicy } from "../../domain/backoff.ts"
import { type BarBuilder, barBuilder } from "../../domain/bars.ts"
import type { Books } from "../../domain/books.ts"
import type { SessionPhase, TradingDay } from "../../domain/calendar.ts"
import { type Drift, noDrift } from "../../domain/drift.ts"
import type { FeedTrouble } from "../../domain/event.ts"
import type { Fresh } from "../../domain/freshness.ts"
import type { Withheld } from "../../domain/gate.ts"
import { type InstrumentId, intervalMs } from "../../domain/instrument.ts"
import {
  freshLink,
  type Link,
  linkDefaults,
  type LinkPolicy,
  type Wait,
  type WaitRule,
} from "../../domain/link.ts"
import type { MarketEvent, PriceBand, Quote, Trade } from "../../domain/market.ts"
import type { FeedPhase } from "../../domain/overview.ts"
import { noSilence, type Silence } from "../../domain/silence.ts"
import type { MarketData, VenueError } from "../../venues/market_data.ts"
import { type ConnectionBudget, fullBudget } from "../connection_budget.ts"
import { feedOf, type FeedRequest } from "../names.ts"
import type { ActorContext } from "../runtime/mod.ts"

export interface FeedOptions extends Partial<FeedLimits> {
  readonly market: MarketData
  readonly instruments: ReadonlyArray<InstrumentId>
  /** Of one instrument, or of all. */
  readonly staleAfterMs: number | ((instrument: InstrumentId) => number)
  readonly backoff: BackoffPolicy
  /** Rules of waiting that differ from `linkDefaults`. */
  readonly link?: Partial<LinkPolicy>
  /** Events that may wait; more is an outage. */
  readonly mailboxMax: number
  readonly pollEveryMs: number
  /** How often bars are closed by the clock and silence is looked for. */
  readonly sweepEveryMs: number
  /** How long after its end a bar waits for late trades. */
  readonly barGraceMs: number
  readonly showEveryMs: number
}

export interface FeedLimits {
  /** Silence of the whole connection after which it is cut; by default the shortest `staleAfterMs`. */
  readonly muteAfterMs: number | undefined
  /** Events so much later than the fastest ones are no basis for entries. */
  readonly lagMaxMs: number
  /** How long they may come as late before the connection is cut. */
  readonly lagPatienceMs: number
  /** Silence of one instrument among others after which its price is asked for by REST. */
  readonly quietAfterMs: number
  /** How long an instrument has to stream again before it is said to. */
  readonly sourceHoldMs: number
  /** Trades of one instrument that are read again after a gap; beyond, its bars are broken. */
  readonly gapTradesMax: number
  /** Attempts to read on after a failure, and the pause between them. */
  readonly gapTries: number
  readonly gapPauseMs: number
  /** Streamed trades of one instrument that may wait for the missed ones before them. */
  readonly heldMax: number
  /** Between two attempts to have the account compared after an outage. */
  readonly reconcileRetryMs: number
  readonly reconcileTimeoutMs: number
  /** Trades kept per instrument: to know repeats, and to correct a bar that is forming. */
  readonly recentTradesMax: number
  readonly calendarEveryMs: number
}

export const feedDefaults: FeedLimits = {
  muteAfterMs: undefined,
  lagMaxMs: 3_000,
  lagPatienceMs: 3_000,
  quietAfterMs: 10_000,
  sourceHoldMs: 5_000,
  gapTradesMax: 20_000,
  gapTries: 5,
  gapPauseMs: 250,
  heldMax: 20_000,
  reconcileRetryMs: 500,
  reconcileTimeoutMs: 15_000,
  recentTradesMax: 4_096,
  calendarEveryMs: 6 * 3_600_000,
}

export type FeedMessage =
  | FeedRequest
  /** With the time of arrival: what has waited must not look new. */
  | {
    readonly _tag: "Heard"
    readonly event: MarketEvent
    readonly at: number
    readonly connection: number
  }
  | { readonly _tag: "Undecoded"; readonly frame: string; readonly reason: string }
  | {
    readonly _tag: "Lost"
    readonly error: VenueError
    readonly wait: Wait
    readonly link: Link
    readonly at: number
  }
  | { readonly _tag: "Trying"; readonly nextAttemptAt: number | undefined }
  | { readonly _tag: "Polled"; readonly quotes: ReadonlyArray<Quote>; readonly at: number }
  | { readonly _tag: "PollThrottled"; readonly until: number }
  | { readonly _tag: "Filled"; readonly filling: Filling; readonly outcome: FillOutcome }
  | { readonly _tag: "Confirmed"; readonly connection: number }
  | { readonly _tag: "Calendar"; readonly days: ReadonlyArray<TradingDay> }
  | { readonly _tag: "Sweep" }

export interface FillOutcome {
  readonly trades: ReadonlyArray<Trade>
  /** Nothing is missing up to the first trade that has been held. */
  readonly complete: boolean
  /** Why it is not, where it is not. */
  readonly problem: string | undefined
}

/** Missed trades on their way; what the stream says meanwhile waits. */
export interface Filling {
  readonly instrument: InstrumentId
  readonly after: Trade
  readonly cause: string
  readonly held: Array<Trade>
  /** The silence that made us ask, where it was one. */
  readonly silentMs: number | undefined
}

/** What is known of one instrument. */
export interface Line {
  readonly instrument: InstrumentId
  readonly staleAfterMs: number
  last: Trade | undefined
  quote: Quote | undefined
  /** Of the newest price. */
  quoteSource: "stream" | "rest"
  /** Since when that price is known, by our clock and judged by its own time; undefined before the first. */
  pricedAt: number | undefined
  /** The connection that the quote came by; 0 for a polled one. */
  quotedOn: number
  /** When the stream said anything about it last. */
  heardAt: number | undefined
  /** What is no sign of missed trades, where their ids are none either. */
  silence: Silence
  /** Where its prices come from, said once and not with every price; and since when it streams again. */
  source: "stream" | "rest"
  streamsSince: number | undefined
  trades: number
  duplicates: number
  gaps: number
  recovered: number
  /** By interval in milliseconds. */
  builders: Map<number, Bars>
  filling: Filling | undefined
  /** Newest last: ids against repeats, trades for corrections. */
  recent: Map<string, Trade>
  band: PriceBand | undefined
  /** The proof that was issued last, to take it back. */
  fresh: Fresh | undefined
  withheld: Withheld | undefined
}

export interface Bars {
  readonly builder: BarBuilder
  /** When the newest published bar opened; undefined when there is none since the last gap. */
  readonly last: number | undefined
}

/** The present attempt. */
export interface Connection {
  readonly id: number
  startedAt: number
  /** Ends it with an error of ours. */
  readonly cut: Deferred.Deferred<never, VenueError>
  /** When it said something last, whether or not that has been looked at. */
  heardAt: number | undefined
}

export interface Session {
  phase: SessionPhase
  since: number | undefined
  until: number
}

export interface State {
  readonly books: Books
  readonly options: FeedOptions & FeedLimits
  readonly policy: LinkPolicy
  readonly lines: Map<InstrumentId, Line>
  readonly memory: Memory
  phase: FeedPhase
  rule: WaitRule | undefined
  since: number
  cause: string | undefined
  nextAttemptAt: number | undefined
  lastDataAt: number | undefined
  outageSince: number | undefined
  /** This outage lasts so long that prices are polled between attempts; and that this has been said. */
  degraded: boolean
  polled: boolean
  /** The connection whose first data has been looked at, and when that came. */
  heardConnection: number
  heardSince: number
  /** The connection of which the account has been compared since. */
  confirmed: number
  confirming: number
  connection: Connection | undefined
  drift: Drift
  /** When our clock and the one that nobody can set were held against each other last. */
  clock: { readonly wall: number; readonly monotonic: number }
  readonly monotonicMs: () => number
  lateSince: number | undefined
  /** Connections cut for coming late since entries were on last. */
  lateCuts: number
  pollSilentUntil: number
  quietPolledAt: number
  days: ReadonlyArray<TradingDay>
  session: Session | undefined
  readonly troubles: Map<FeedTrouble, string>
  /** Runners that have ended for good: bars are nothing to them. */
  readonly deaf: Set<string>
  /** What the venue would not stream on the present connection, in words, by instrument. */
  refusals: ReadonlyMap<InstrumentId, string>
  /** Ends the present wait. */
  wake: Deferred.Deferred<void> | undefined
  reconnects: number
  frames: number
  framesShown: { readonly at: number; readonly frames: number; readonly rate: number }
  undecoded: number
  lastUndecoded: string | undefined
}

/** What outlives an incarnation: a crash is no reason to hurry a venue. */
export interface Memory {
  /** Connections made so far: each has a number of its own. */
  connections: number
  budget: ConnectionBudget | undefined
  link: Link
}

export type Context = ActorContext<FeedMessage>

export function freshMemory(): Memory {
  return { connections: 0, budget: undefined, link: freshLink }
}

/** An outage does not end because this process has crashed in it. */
export function initial(
  books: Books,
  given: FeedOptions,
  memory: Memory,
  now: number,
  monotonicMs: () => number,
): State {
  const options = { ...feedDefaults, ...given }
  const { venue } = options.market
  const before = books.feeds.get(venue)
  const outage = before?.status === "streaming" ? undefined : before
  memory.budget ??= fullBudget(now)
  if (memory.link === freshLink && outage !== undefined) {
    memory.link = { ...freshLink, attempt: outage.attempt }
  }
  return {
    books,
    options,
    policy: { ...linkDefaults, ...options.link, backoff: options.backoff },
    memory,
    lines: new Map(
      options.instruments.map((instrument) => [instrument, emptyLine(instrument, options)]),
    ),
    phase: outage === undefined
      ? "connecting"
      : outage.status === "polling"
      ? "polling"
      : "reconnecting",
    rule: undefined,
    since: outage?.since ?? now,
    cause: outage?.cause,
    nextAttemptAt: undefined,
    lastDataAt: undefined,
    outageSince: outage?.since,
    degraded: outage?.status === "polling",
    polled: outage?.status === "polling",
    heardConnection: 0,
    heardSince: 0,
    confirmed: 0,
    confirming: 0,
    connection: undefined,
    drift: noDrift,
    clock: { wall: now, monotonic: monotonicMs() },
    monotonicMs,
    lateSince: undefined,
    lateCuts: 0,
    pollSilentUntil: 0,
    quietPolledAt: 0,
    days: [],
    session: undefined,
    troubles: openTroubles(books, venue),
    deaf: new Set(),
    refusals: new Map(),
    wake: undefined,
    reconnects: 0,
    frames: 0,
    framesShown: { at: now, frames: 0, rate: 0 },
    undecoded: 0,
    lastUndecoded: undefined,
  }
}

/** Of an earlier incarnation or process: whoever says that they have begun says that they end. */
function openTroubles(books: Books, venue: string): Map<FeedTrouble, string> {
  const prefix = `${feedOf(venue).id}:`
  return new Map(
    [...books.alerts.values()]
      .filter(({ id, resolvedAt }) => id.startsWith(prefix) && resolvedAt === undefined)
      .map(({ id, detail }) => [id.slice(prefix.length) as FeedTrouble, detail]),
  )
}

export function staleAfterMsOf({ staleAfterMs }: FeedOptions, instrument: InstrumentId): number {
  return typeof staleAfterMs === "number" ? staleAfterMs : staleAfterMs(instrument)
}

function emptyLine(instrument: InstrumentId, options: FeedOptions): Line {
  return {
    instrument,
    staleAfterMs: staleAfterMsOf(options, instrument),
    last: undefined,
    quote: undefined,
    quoteSource: "stream",
    pricedAt: undefined,
    quotedOn: 0,
    heardAt: undefined,
    silence: noSilence,
    source: "stream",
    streamsSince: undefined,
    trades: 0,
    duplicates: 0,
    gaps: 0,
    recovered: 0,
    builders: new Map(),
    filling: undefined,
    recent: new Map(),
    band: undefined,
    fresh: undefined,
    withheld: undefined,
  }
}

/** One bar builder for every interval that an assignment asks for. */
export function want(state: State) {
  const assignments = [...state.books.assignments.values()]
  for (const line of state.lines.values()) {
    const wanted = assignments
      .filter(({ instrument }) => instrument === line.instrument)
      .map(({ interval }) => intervalMs(interval) ?? 60_000)
    for (const length of line.builders.keys()) {
      if (!wanted.includes(length)) line.builders.delete(length)
    }
    for (const length of wanted) {
      if (!line.builders.has(length)) {
        line.builders.set(length, { builder: barBuilder(line.instrument, length), last: undefined })
      }
    }
  }
}
