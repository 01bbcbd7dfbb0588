/**
 * Keeps market data from one venue flowing, and says what it is good for.
 *
 * Streams over the socket; when the socket dies, waits out the backoff and connects again. A short
 * outage is spent asleep. A long one is spent polling, so polling is only a better way of waiting.
 * Health is authority: a proof of freshness is issued for every streamed quote and for nothing
 * else. What is wanted (instruments, bars) lives here, outside any connection, and is a fold over
 * the journal.
 */
import { Deferred, Effect, Random } from "effect"
import { backoffMs, type BackoffPolicy } from "../domain/backoff.ts"
import { addTrade, type BarBuilder, barBuilder, breakBar, closeBar } from "../domain/bars.ts"
import type { Books } from "../domain/books.ts"
import { formatDecimal } from "../domain/decimal.ts"
import type { Mark } from "../domain/equity.ts"
import { Fresh } from "../domain/freshness.ts"
import { type InstrumentId, intervalMs } from "../domain/instrument.ts"
import type { Bar, MarketEvent, Quote, Trade } from "../domain/market.ts"
import type { FeedInstrumentView, FeedView, LinkStatus } from "../domain/overview.ts"
import { type MarketData, Silent, VenueError } from "../venues/market_data.ts"
import { fullBudget, spendAttempt } from "./connection_budget.ts"
import { follow, keepUp, record, type Recorded } from "./journal.ts"
import { Monitor, portfolioKeeperOf, riskManagerOf, runnerOf } from "./names.ts"
import { type ActorContext, type ActorName, actorName, behavior } from "./runtime/mod.ts"

export interface FeedOptions {
  readonly market: MarketData
  readonly instruments: ReadonlyArray<InstrumentId>
  readonly staleAfterMs: number
  readonly backoff: BackoffPolicy
  /** Events that may wait; more is an outage. */
  readonly mailboxMax: number
  readonly pollEveryMs: number
  /** How often bars are closed by the clock and silence is looked for. */
  readonly sweepEveryMs: number
  /** How long after its end a bar waits for late trades. */
  readonly barGraceMs: number
  readonly showEveryMs: number
}

export type FeedMessage =
  /** With the time of arrival: what has waited must not look new. */
  | { readonly _tag: "Heard"; readonly event: MarketEvent; readonly at: number }
  | { readonly _tag: "Undecoded"; readonly frame: string; readonly reason: string }
  | { readonly _tag: "Lost"; readonly error: VenueError; readonly attempt: number }
  | { readonly _tag: "Trying"; readonly nextAttemptAt: number | undefined }
  | { readonly _tag: "Polled"; readonly quotes: ReadonlyArray<Quote> }
  | { readonly _tag: "Sweep" }
  | { readonly _tag: "Show" }
  | Recorded

export const feedOf = (venue: string): ActorName<FeedMessage> => actorName(`feed:${venue}`)

/** What is known of one instrument. */
interface Line {
  readonly instrument: InstrumentId
  last: Trade | undefined
  quote: Quote | undefined
  quoteSource: "stream" | "rest"
  /** When the last price arrived, by our clock; undefined before the first. */
  heardAt: number | undefined
  trades: number
  duplicates: number
  gaps: number
  /** By interval in milliseconds. */
  builders: Map<number, Bars>
}

interface Bars {
  readonly builder: BarBuilder
  /** When the newest published bar opened; undefined when there is none since the last gap. */
  readonly last: number | undefined
}

interface State {
  readonly books: Books
  readonly lines: Map<InstrumentId, Line>
  status: LinkStatus
  since: number
  attempt: number
  cause: string | undefined
  nextAttemptAt: number | undefined
  lastDataAt: number | undefined
  outageSince: number | undefined
  reconnects: number
  frames: number
  framesShown: { readonly at: number; readonly frames: number; readonly rate: number }
  undecoded: number
  lastUndecoded: string | undefined
  connection: Connection | undefined
}

/** The present attempt. */
interface Connection {
  readonly startedAt: number
  /** Ends it with an error of ours. */
  readonly cut: Deferred.Deferred<never, VenueError>
  /** When it said something last, whether or not that has been looked at. */
  heardAt: number | undefined
}

type Context = ActorContext<FeedMessage>

export function feed(options: FeedOptions) {
  const { market } = options
  return behavior<State, FeedMessage>({
    name: feedOf(market.venue).id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    backoff: { baseMs: 200, capMs: 10_000, resetAfterMs: 60_000 },
    init: Effect.fn("Feed.init")(function* (actor: Context) {
      const books = yield* follow(actor)
      const state = initial(books, options, actor.now())
      want(state)
      // What the last incarnation did not hear nobody has heard.
      if (actor.incarnation > 0) tellGap(state, actor)
      actor.fork(keepConnected(state, options, actor))
      actor.every(options.sweepEveryMs, { _tag: "Sweep" })
      actor.every(options.showEveryMs, { _tag: "Show" })
      return state
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Heard":
          return heard(state, message, options, actor)
        case "Undecoded":
          state.undecoded += 1
          state.lastUndecoded = `${message.reason}: ${message.frame.slice(0, 120)}`
          return state
        case "Lost":
          return lost(state, message, options, actor)
        case "Trying":
          state.nextAttemptAt = message.nextAttemptAt
          return state
        case "Polled":
          for (const quote of message.quotes) {
            price(state, quote, "rest", actor.now(), options, actor)
          }
          return state
        case "Sweep":
          return sweep(state, options, actor)
        case "Show":
          show(state, options, actor)
          return state
        case "Recorded": {
          keepUp(state.books, message.records)
          if (message.records.some(({ event }) => event._tag.startsWith("Strategy"))) want(state)
          return state
        }
      }
    },
  })
}

/** An outage does not end because this process has crashed in it. */
function initial(books: Books, options: FeedOptions, now: number): State {
  const before = books.feeds.get(options.market.venue)
  const outage = before?.status === "streaming" ? undefined : before
  return {
    books,
    lines: new Map(options.instruments.map((instrument) => [instrument, emptyLine(instrument)])),
    status: outage === undefined
      ? "connecting"
      : outage.status === "polling"
      ? "polling"
      : "reconnecting",
    since: outage?.since ?? now,
    attempt: outage?.attempt ?? 0,
    cause: outage?.cause,
    nextAttemptAt: undefined,
    lastDataAt: undefined,
    outageSince: outage?.since,
    reconnects: 0,
    frames: 0,
    framesShown: { at: now, frames: 0, rate: 0 },
    undecoded: 0,
    lastUndecoded: undefined,
    connection: undefined,
  }
}

function emptyLine(instrument: InstrumentId): Line {
  return {
    instrument,
    last: undefined,
    quote: undefined,
    quoteSource: "stream",
    heardAt: undefined,
    trades: 0,
    duplicates: 0,
    gaps: 0,
    builders: new Map(),
  }
}

/** One bar builder for every interval that an assignment asks for. */
function want(state: State) {
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

// ---- the connection -------------------------------------------------------------------

/** Lives as long as this incarnation: connect, lose, wait or poll, connect. */
const keepConnected = Effect.fnUntraced(function* (
  state: State,
  options: FeedOptions,
  actor: Context,
) {
  const { market, instruments, backoff } = options
  let attempt = state.attempt
  let budget = fullBudget(actor.now())
  while (true) {
    actor.self.signal({ _tag: "Trying", nextAttemptAt: undefined })
    const connection: Connection = {
      startedAt: actor.now(),
      cut: yield* Deferred.make<never, VenueError>(),
      heardAt: undefined,
    }
    state.connection = connection
    const stream = market.stream(instruments, {
      event: (event) => {
        const at = actor.now()
        attempt = 0
        connection.heardAt = at
        return actor.self.send({ _tag: "Heard", event, at })
      },
      undecoded: (frame, reason) => void actor.self.send({ _tag: "Undecoded", frame, reason }),
    })
    const error = yield* Effect.flip(Effect.raceFirst(stream, Deferred.await(connection.cut)))
    state.connection = undefined
    attempt += 1
    // Behind what was heard before, and never refused: a mailbox that is full is one of the causes.
    actor.sendAfter(0, { _tag: "Lost", error, attempt })
    const [rest, leastMs] = spendAttempt(budget, actor.now())
    budget = rest
    const delayMs = Math.max(leastMs, waitMs(error, backoff, attempt, yield* Random.next))
    actor.self.signal({ _tag: "Trying", nextAttemptAt: actor.now() + delayMs })
    // Who has told us to wait must not be asked by another way meanwhile.
    const mayPoll = attempt >= backoff.attemptsMax && error.reason._tag !== "Throttled"
    if (mayPoll) yield* poll(options, actor, delayMs)
    else yield* Effect.sleep(delayMs)
  }
})

function waitMs(error: VenueError, policy: BackoffPolicy, attempt: number, random: number): number {
  if (error.reason._tag === "Throttled") return error.reason.retryAfterMs
  if (error.reason._tag === "Forbidden") return policy.capMs
  return backoffMs(policy, attempt, random)
}

/** Spends `forMs` asking for prices; a request that fails is only one price less. */
const poll = Effect.fnUntraced(function* (options: FeedOptions, actor: Context, forMs: number) {
  const until = actor.now() + forMs
  while (actor.now() < until) {
    const pauseMs = yield* options.market.quotes(options.instruments).pipe(
      Effect.map((quotes) => {
        actor.self.send({ _tag: "Polled", quotes })
        return options.pollEveryMs
      }),
      Effect.catch((error) =>
        Effect.as(
          Effect.logDebug(error.message),
          error.reason._tag === "Throttled" ? error.reason.retryAfterMs : options.pollEveryMs,
        )
      ),
    )
    yield* Effect.sleep(Math.max(1, Math.min(pauseMs, until - actor.now())))
  }
})

const lost = Effect.fnUntraced(function* (
  state: State,
  { error, attempt }: Extract<FeedMessage, { _tag: "Lost" }>,
  options: FeedOptions,
  actor: Context,
) {
  const { venue } = options.market
  const polling = attempt >= options.backoff.attemptsMax
  state.attempt = attempt
  state.cause = error.message
  state.status = polling ? "polling" : "reconnecting"
  if (state.outageSince === undefined) {
    state.outageSince = actor.now()
    state.since = actor.now()
    breakBars(state, actor)
  }
  yield* record(actor, state.books, [
    { _tag: "FeedLost", venue, cause: error.message, attempt },
    ...(attempt === options.backoff.attemptsMax ? [{ _tag: "FeedPolling", venue } as const] : []),
  ])
  show(state, options, actor)
  return state
})

/** Trades are being missed: no bar may be built across the hole. */
function breakBars(state: State, actor: Context) {
  for (const line of state.lines.values()) {
    for (const [length, { builder }] of line.builders) {
      line.builders.set(length, { builder: breakBar(builder), last: undefined })
    }
    line.gaps += 1
  }
  tellGap(state, actor)
}

function tellGap(state: State, actor: Context) {
  for (const { id, instrument } of state.books.assignments.values()) {
    if (state.lines.has(instrument)) actor.ref(runnerOf(id)).send({ _tag: "Gap", instrument })
  }
}

// ---- data ------------------------------------------------------------------------------

function heard(
  state: State,
  { event, at }: Extract<FeedMessage, { _tag: "Heard" }>,
  options: FeedOptions,
  actor: Context,
) {
  state.frames += 1
  state.lastDataAt = at
  if (event._tag === "Trade") traded(state, event, options, actor)
  else if (event._tag === "Quote") price(state, event, "stream", at, options, actor)
  return state.status === "streaming" ? state : restored(state, options, actor)
}

/**
 * The first data ends an outage, not the handshake: a venue over its limit accepts connections only
 * to close them, and must not reset the backoff.
 */
const restored = Effect.fnUntraced(function* (
  state: State,
  options: FeedOptions,
  actor: Context,
) {
  const { venue } = options.market
  const wasOut = state.outageSince !== undefined
  const outageMs = wasOut ? Math.round(actor.now() - state.outageSince!) : 0
  state.status = "streaming"
  state.attempt = 0
  state.since = actor.now()
  state.cause = undefined
  state.nextAttemptAt = undefined
  state.outageSince = undefined
  if (wasOut) state.reconnects += 1
  yield* record(actor, state.books, [{ _tag: "FeedRestored", venue, outageMs }])
  show(state, options, actor)
  return state
})

function traded(state: State, trade: Trade, options: FeedOptions, actor: Context) {
  const line = state.lines.get(trade.instrument)
  if (line === undefined) return
  if (line.last !== undefined && !isAfter(trade.tradeId, line.last.tradeId)) {
    line.duplicates += 1
    return
  }
  line.last = trade
  line.trades += 1
  for (const [length, { builder, last }] of line.builders) {
    const [next, bar] = addTrade(builder, trade)
    line.builders.set(length, { builder: next, last })
    if (bar !== undefined) publish(state, line, bar, actor)
  }
  if (line.quote !== undefined) tell(line, options, actor)
}

/** Venue trade ids are ascending integers of any length. */
function isAfter(id: string, before: string): boolean {
  return id.length === before.length ? id > before : id.length > before.length
}

function price(
  state: State,
  quote: Quote,
  source: "stream" | "rest",
  at: number,
  options: FeedOptions,
  actor: Context,
) {
  const line = state.lines.get(quote.instrument)
  if (line === undefined) return
  line.quote = quote
  line.quoteSource = source
  line.heardAt = at
  tell(line, options, actor)
  if (source === "rest") return
  const fresh = Fresh.issue(line.instrument, quote, line.heardAt, options.staleAfterMs)
  actor.ref(riskManagerOf(options.market.venue)).send({ _tag: "Proof", fresh })
}

function tell(line: Line, options: FeedOptions, actor: Context) {
  const { venue } = options.market
  const { quote } = line
  if (quote === undefined || line.heardAt === undefined) return
  const mark: Mark = {
    instrument: line.instrument,
    bid: quote.bid,
    ask: quote.ask,
    last: line.last?.price,
    heardAt: line.heardAt,
    source: line.quoteSource,
    staleAfterMs: options.staleAfterMs,
  }
  const message = { _tag: "Marked", mark } as const
  if (line.quoteSource === "rest") actor.ref(riskManagerOf(venue)).send(message)
  actor.ref(portfolioKeeperOf(venue)).send(message)
  actor.ref(Monitor).send(message)
}

function publish(state: State, line: Line, bar: Bar, actor: Context) {
  const bars = line.builders.get(bar.intervalMs)
  if (bars === undefined) return
  const after = bars.last
  line.builders.set(bar.intervalMs, { ...bars, last: bar.openTime })
  for (const { id, instrument, interval } of state.books.assignments.values()) {
    if (instrument === bar.instrument && intervalMs(interval) === bar.intervalMs) {
      actor.ref(runnerOf(id)).send({ _tag: "BarClosed", bar, after })
    }
  }
}

/** Closes bars that the clock has ended, and notices a connection that says nothing. */
function sweep(state: State, options: FeedOptions, actor: Context): State {
  const now = actor.now()
  if (state.status === "streaming" && state.lastDataAt !== undefined) {
    // Only as far as the connection has been heard: it may have died before the end of the bar, and
    // nobody would know yet.
    const until = Math.min(now - options.barGraceMs, state.lastDataAt)
    for (const line of state.lines.values()) {
      for (const [length, { builder, last }] of line.builders) {
        const [next, bar] = closeBar(builder, until)
        line.builders.set(length, { builder: next, last })
        if (bar !== undefined) publish(state, line, bar, actor)
      }
    }
  }
  if (state.connection !== undefined) cutIfMute(state.connection, options, now)
  return state
}

/** Connected and mute: a pong proves that a machine is there, not that a market is. */
function cutIfMute(connection: Connection, options: FeedOptions, now: number) {
  const { cut, heardAt, startedAt } = connection
  // A new connection still has its handshake and its subscriptions to do.
  const limitMs = heardAt === undefined ? 2 * options.staleAfterMs : options.staleAfterMs
  if (now - (heardAt ?? startedAt) < limitMs) return
  const reason = new Silent({ what: "data", afterMs: limitMs })
  const { venue } = options.market
  Deferred.doneUnsafe(cut, Effect.fail(new VenueError({ venue, doing: "market stream", reason })))
}

// ---- what others see ---------------------------------------------------------------------

function show(state: State, options: FeedOptions, actor: Context) {
  const now = actor.now()
  const { at, frames } = state.framesShown
  if (now - at >= 1_000) {
    const rate = Math.round((state.frames - frames) * 1_000 / (now - at))
    state.framesShown = { at: now, frames: state.frames, rate }
  }
  const view: FeedView = {
    venue: options.market.venue,
    status: state.status,
    attempt: state.attempt,
    attemptMax: options.backoff.attemptsMax,
    lastDataAt: state.lastDataAt ?? null,
    ...(state.nextAttemptAt !== undefined && { nextAttemptAt: state.nextAttemptAt }),
    ...(state.cause !== undefined && { cause: state.cause }),
    since: state.since,
    reconnects: state.reconnects,
    framesPerSecond: state.framesShown.rate,
    undecoded: state.undecoded,
    ...(state.lastUndecoded !== undefined && { lastUndecoded: state.lastUndecoded }),
    instruments: [...state.lines.values()].map((line) => lineView(line, state, options, now)),
  }
  actor.ref(Monitor).send({ _tag: "FeedChanged", feed: view })
}

function lineView(
  line: Line,
  state: State,
  options: FeedOptions,
  now: number,
): FeedInstrumentView {
  const ageMs = line.heardAt === undefined ? null : Math.max(0, Math.round(now - line.heardAt))
  return {
    instrument: line.instrument,
    price: line.last === undefined ? null : formatDecimal(line.last.price),
    bid: line.quote === undefined ? null : formatDecimal(line.quote.bid),
    ask: line.quote === undefined ? null : formatDecimal(line.quote.ask),
    ageMs,
    source: line.quoteSource,
    fresh: state.status === "streaming" && line.quoteSource === "stream" && ageMs !== null &&
      ageMs < options.staleAfterMs,
    staleAfterMs: options.staleAfterMs,
    trades: line.trades,
    lastTradeId: line.last?.tradeId ?? null,
    duplicates: line.duplicates,
    gaps: line.gaps,
  }
}
