/**
 * Keeps market data from one venue flowing, and says what it is good for.
 *
 * Streams over the socket; when the socket dies, waits by the rule of the cause and connects again.
 * A short outage is spent asleep, a long one polling. It ends with data, and entries are on again
 * only after what was missed has been read and the account has been compared. Health is authority:
 * a proof of freshness is issued for every streamed quote that is worth one, for nothing else, and
 * is taken back when its stream dies. What is wanted (instruments, bars) lives here, outside any
 * connection, and is a fold over the journal.
 *
 *     feed/state.ts       what it knows            feed/connection.ts  connect, lose, wait or poll
 *     feed/lines.ts       trades into bars         feed/recovery.ts    from first data to the gate
 *     feed/gap_filler.ts  trades that were missed  feed/watch.ts       silence, lateness, troubles
 *     feed/session.ts     when there is a market   feed/show.ts        what others see
 */
import { Clock, Deferred, Effect } from "effect"
import { lagMs, observe, offsetMs } from "../domain/drift.ts"
import { formatDecimal, isLess } from "../domain/decimal.ts"
import type { Command } from "../domain/command.ts"
import type { Mark } from "../domain/equity.ts"
import type { Event, JournalRecord } from "../domain/event.ts"
import { Fresh } from "../domain/freshness.ts"
import type { Quote, StatusChange, Trade } from "../domain/market.ts"
import type { FeedPhase } from "../domain/overview.ts"
import { Unreachable, VenueError } from "../venues/market_data.ts"
import { keepConnected, pollOnce, revokeAll } from "./feed/connection.ts"
import { correct, tellGap } from "./feed/lines.ts"
import {
  beginRecovery,
  confirmWhenFilled,
  endSilence,
  filled,
  takeTrade,
  waitsFor,
} from "./feed/recovery.ts"
import { keepCalendar, sessionOf } from "./feed/session.ts"
import { show } from "./feed/show.ts"
import { followClock } from "./feed/steady.ts"
import {
  type Context,
  type FeedMessage,
  type FeedOptions,
  freshMemory,
  initial,
  type Line,
  type State,
  want,
} from "./feed/state.ts"
import { tellWithheld, watch, watchTroubles, withheldOf, withhold } from "./feed/watch.ts"
import { follow, keepUp, record } from "./journal.ts"
import { feedOf, Monitor, portfolioKeeperOf, riskManagerOf, runnerOf } from "./names.ts"
import { behavior } from "./runtime/mod.ts"

export { feedOf } from "./names.ts"
export { feedDefaults, type FeedLimits, type FeedOptions } from "./feed/state.ts"

type Message<Tag extends FeedMessage["_tag"]> = Extract<FeedMessage, { readonly _tag: Tag }>

export function feed(options: FeedOptions) {
  const { market } = options
  const memory = freshMemory()
  return behavior<State, FeedMessage>({
    name: feedOf(market.venue).id,
    restart: "permanent",
    // Of quotes only the newest is true; a trade that finds no place is an outage, never a silence.
    mailbox: {
      capacity: options.mailboxMax,
      overflow: "conflate",
      key: (message) => conflationKey(message),
    },
    backoff: { baseMs: 200, capMs: 10_000, resetAfterMs: 60_000 },
    // What an earlier incarnation heard is nothing to go on with: this one begins with a gap.
    keepOverRestart: ({ _tag }) => _tag !== "Heard" && _tag !== "Polled" && _tag !== "Filled",
    init: Effect.fn("Feed.init")(function* (actor: Context) {
      const books = yield* follow(actor)
      const clock = yield* Clock.Clock
      const monotonicMs = () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
      const state = initial(books, options, memory, actor.now(), monotonicMs)
      want(state)
      for (const id of endedRunners(state)) state.deaf.add(id)
      // What the last incarnation did not hear nobody has heard.
      if (actor.incarnation > 0) {
        for (const line of state.lines.values()) tellGap(state, line, actor)
      }
      actor.fork(keepConnected(state, actor))
      actor.fork(keepCalendar(state, actor))
      actor.every(options.sweepEveryMs, { _tag: "Sweep" })
      actor.every(options.showEveryMs, { _tag: "Show" })
      return state
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Heard":
          return heard(state, message, actor)
        case "Undecoded":
          state.undecoded += 1
          state.lastUndecoded = `${message.reason}: ${message.frame.slice(0, 120)}`
          return state
        case "Lost":
          return lost(state, message, actor)
        case "Trying":
          state.nextAttemptAt = message.nextAttemptAt
          return state
        case "Polled":
          if (state.phase === "waiting" && state.rule !== "rate_limited") state.phase = "polling"
          for (const quote of message.quotes) polled(state, quote, message.at, actor)
          return state
        case "PollThrottled":
          if (state.phase === "polling") state.phase = "waiting"
          return state
        case "Filled":
          return filled(state, message.filling, message.outcome, actor)
        case "Confirmed":
          // The answer to an earlier connection may come after the one to this.
          state.confirmed = Math.max(state.confirmed, message.connection)
          return settled(state, [], actor)
        case "Calendar":
          state.days = message.days
          state.session = undefined
          return state
        case "Confirm":
          confirm(state, message, actor)
          return state
        case "Sweep":
          followClock(state, actor.now())
          return settled(state, watch(state, actor), actor)
        case "Show":
          show(state, actor)
          // Whoever has restarted since does not know.
          for (const line of state.lines.values()) {
            if (line.withheld !== undefined) tellWithheld(state, line, actor)
          }
          return state
        case "Recorded":
          recorded(state, message.records)
          return state
      }
    },
    terminate: (state) => revokeAll(state),
  })
}

/** The connection is part of it: a quote must not move to before the end of the one it came after. */
function conflationKey(message: FeedMessage): unknown {
  return message._tag === "Heard" && message.event._tag === "Quote"
    ? `${message.connection} ${message.event.instrument}`
    : undefined
}

function write(state: State, events: ReadonlyArray<Event>, actor: Context) {
  return events.length === 0 ? state : Effect.as(record(actor, state.books, events), state)
}

// ---- the journal ---------------------------------------------------------------------------

function recorded(state: State, records: ReadonlyArray<JournalRecord>) {
  keepUp(state.books, records)
  for (const { event } of records) {
    switch (event._tag) {
      case "StrategyAssigned":
        state.deaf.delete(event.id)
        want(state)
        break
      case "StrategySwapped":
        state.deaf.delete(event.to.id)
        want(state)
        break
      case "ActorFailed":
        for (const id of runnersAt(state, event.path)) state.deaf.add(id)
        break
      case "ActorRestarted":
        for (const id of runnersAt(state, event.path)) state.deaf.delete(id)
        break
      case "CommandReceived":
        commanded(state, event.command)
    }
  }
}

function commanded(state: State, { scope, type }: Command) {
  // A person has seen to it, or wants to know whether somebody has.
  if (type === "resume" && state.phase === "blocked") wake(state)
  if (type !== "restart_actor") return
  const path = scope.id ?? ""
  const isAbove = path === "root" || path === "root/strategies"
  for (const id of isAbove ? [...state.deaf] : runnersAt(state, path)) state.deaf.delete(id)
}

function wake({ wake: sleeping }: State) {
  if (sleeping !== undefined) Deferred.doneUnsafe(sleeping, Effect.void)
}

function runnersAt({ books }: State, path: string): ReadonlyArray<string> {
  return [...books.assignments.keys()].filter((id) => path.endsWith(`/${runnerOf(id).id}`))
}

function endedRunners(state: State): ReadonlyArray<string> {
  return [...state.books.alerts.values()]
    .filter(({ id, resolvedAt }) => id.startsWith("actor:") && resolvedAt === undefined)
    .flatMap(({ id }) => runnersAt(state, id))
}

// ---- the end and the beginning of an outage --------------------------------------------------

const lost = Effect.fnUntraced(function* (
  state: State,
  { at, error, link, wait }: Message<"Lost">,
  actor: Context,
) {
  const { venue } = state.options.market
  state.rule = wait.rule
  state.cause = error.message
  const isPolling = state.degraded && wait.rule !== "rate_limited" && wait.rule !== "forbidden"
  state.phase = phaseOf(wait.rule, isPolling)
  if (state.outageSince === undefined) {
    state.outageSince = at
    state.since = at
  }
  for (const line of state.lines.values()) {
    // What waits behind the missing trades will be read with them.
    line.filling = undefined
    line.streamsSince = undefined
    withhold(state, line, actor.now(), actor)
  }
  const saysPolling = isPolling && !state.polled
  if (saysPolling) state.polled = true
  yield* record(actor, state.books, [
    {
      _tag: "FeedLost",
      venue,
      cause: error.message,
      attempt: link.attempt,
      rule: wait.rule,
      ...(wait.rule === "rate_limited" && { retryAt: Math.round(at + wait.delayMs) }),
    },
    // Before it is said that prices are polled: what has an alert of its own needs no other.
    ...watchTroubles(state, at),
    ...(saysPolling
      ? [
        { _tag: "FeedPolling", venue } as const,
        { _tag: "SourceChanged", venue, instrument: null, source: "rest" } as const,
      ]
      : []),
  ])
  show(state, actor)
  return state
})

function phaseOf(rule: State["rule"], isPolling: boolean): FeedPhase {
  if (rule === "rate_limited") return "waiting"
  if (rule === "forbidden") return "blocked"
  return isPolling ? "polling" : "reconnecting"
}

/**
 * The first data ends the waiting, not the handshake: a venue over its limit accepts connections
 * only to close them, and must not reset the backoff. What was missed comes first.
 */
function begun(state: State, connection: number, at: number, actor: Context) {
  state.heardConnection = connection
  state.heardSince = at
  state.nextAttemptAt = undefined
  if (state.outageSince === undefined) return
  beginRecovery(state, actor)
  confirmWhenFilled(state, actor)
}

/** Lifts the gate when nothing stands in its way any more. */
function settled(state: State, events: ReadonlyArray<Event>, actor: Context) {
  const isDone = state.phase === "recovering" && waitsFor(state, actor.now()).length === 0
  return isDone ? restored(state, events, actor) : write(state, events, actor)
}

const restored = Effect.fnUntraced(function* (
  state: State,
  events: ReadonlyArray<Event>,
  actor: Context,
) {
  const { venue } = state.options.market
  const { outageSince, polled: wasPolled } = state
  const now = actor.now()
  const outageMs = outageSince === undefined ? 0 : Math.round(now - outageSince)
  state.phase = "streaming"
  state.since = now
  state.rule = undefined
  state.cause = undefined
  state.nextAttemptAt = undefined
  state.outageSince = undefined
  state.degraded = false
  state.polled = false
  state.lateCuts = 0
  if (outageSince !== undefined) state.reconnects += 1
  for (const line of state.lines.values()) line.source = "stream"
  yield* record(actor, state.books, [
    ...events,
    { _tag: "FeedRestored", venue, outageMs },
    ...(wasPolled
      ? [{ _tag: "SourceChanged", venue, instrument: null, source: "stream" } as const]
      : []),
  ])
  for (const line of state.lines.values()) {
    withhold(state, line, actor.now(), actor)
    issued(state, line, actor.now(), actor)
  }
  show(state, actor)
  return state
})

// ---- data ------------------------------------------------------------------------------------

function heard(state: State, { at, connection, event }: Message<"Heard">, actor: Context) {
  state.frames += 1
  state.lastDataAt = at
  if (connection > state.heardConnection) begun(state, connection, at, actor)
  const line = state.lines.get(event.instrument)
  const isFirst = state.phase === "connecting"
  if (line !== undefined) {
    if (line.heardAt === undefined || at - line.heardAt >= state.options.quietAfterMs) {
      line.streamsSince = at
    }
    line.streamsSince ??= at
    endSilence(state, line, at - silentSince(state, line, at), at, actor)
    line.heardAt = at
    switch (event._tag) {
      case "Trade":
        traded(state, line, event, at, actor)
        break
      case "Quote":
        quoted(state, line, event, at, connection, actor)
        break
      case "TradeCorrection":
      case "TradeCancel":
        correct(state, line, event, actor)
        break
      case "PriceBand":
        line.band = event
        withhold(state, line, at, actor)
        break
      case "Status":
        return Effect.flatMap(
          statusChanged(state, line, event, actor),
          () => isFirst ? restored(state, [], actor) : Effect.succeed(state),
        )
    }
  }
  return isFirst ? restored(state, [], actor) : state
}

/** A connection and an opening bell begin anew: what was before them has been read, or was no market. */
function silentSince(state: State, line: Line, now: number): number {
  return Math.max(line.heardAt ?? 0, state.heardSince, sessionOf(state, line, now)?.since ?? 0)
}

function traded(state: State, line: Line, trade: Trade, at: number, actor: Context) {
  state.drift = observe(state.drift, trade.time, at)
  takeTrade(state, line, trade, actor)
  if (line.quote !== undefined) tell(state, line, actor)
}

function quoted(
  state: State,
  line: Line,
  quote: Quote,
  at: number,
  connection: number,
  actor: Context,
) {
  if (quote.venueTime) state.drift = observe(state.drift, quote.time, at)
  const before = line.quote
  // A quote that comes after a newer one is no news.
  const isOld = before !== undefined && before.venueTime && quote.venueTime &&
    line.quoteSource === "stream" && quote.time < before.time
  if (isOld) return
  // Somebody bids more than somebody asks: the book is broken, and neither is a price.
  if (isLess(quote.ask, quote.bid)) {
    const { ask, bid, instrument } = quote
    state.undecoded += 1
    state.lastUndecoded = `crossed quote: ${instrument} ${formatDecimal(bid)} over ${
      formatDecimal(ask)
    }`
    return
  }
  line.quotedOn = connection
  priced(state, line, quote, "stream", knownSince(state, quote, at), actor)
  if (!issued(state, line, at, actor)) tellRisk(state, line, actor)
}

/** Issues the proof of what the stream has said last, if it is worth one. */
function issued(state: State, line: Line, now: number, actor: Context): boolean {
  const { instrument, pricedAt, quote, quotedOn, staleAfterMs } = line
  if (quote === undefined || pricedAt === undefined || quotedOn !== state.connection?.id) {
    return false
  }
  if (withheldOf(state, line, now) !== undefined) return false
  const skewMs = offsetMs(state.drift) ?? 0
  const endMs = (sessionOf(state, line, now)?.until ?? Infinity) + skewMs - pricedAt
  line.fresh = Fresh.issue(instrument, quote, pricedAt, Math.min(staleAfterMs, endMs))
  actor.ref(riskManagerOf(state.options.market.venue)).send({ _tag: "Proof", fresh: line.fresh })
  return true
}

/**
 * Since when a price has been true, by our clock: what was slow on the way is older than its
 * arrival. A quote without a time is as late as the trades around it.
 */
function knownSince({ drift }: State, quote: Quote, at: number): number {
  return quote.venueTime ? Math.min(at, quote.time + (offsetMs(drift) ?? 0)) : at - lagMs(drift, at)
}

/** Judged by its own time, and never against what is known to be newer. */
function polled(state: State, quote: Quote, at: number, actor: Context) {
  const line = state.lines.get(quote.instrument)
  if (line === undefined) return
  const since = quote.venueTime ? Math.min(at, quote.time + (offsetMs(state.drift) ?? 0)) : at
  if (line.pricedAt !== undefined && since < line.pricedAt) return
  line.quotedOn = 0
  priced(state, line, quote, "rest", since, actor)
  tellRisk(state, line, actor)
}

function priced(
  state: State,
  line: Line,
  quote: Quote,
  source: "stream" | "rest",
  since: number,
  actor: Context,
) {
  line.quote = quote
  line.quoteSource = source
  line.pricedAt = since
  tell(state, line, actor)
}

function tell(state: State, line: Line, actor: Context) {
  const mark = markOf(line)
  if (mark === undefined) return
  const message = { _tag: "Marked", mark } as const
  actor.ref(portfolioKeeperOf(state.options.market.venue)).send(message)
  actor.ref(Monitor).send(message)
}

/** A price without a proof: for exits, and for what is held. */
function tellRisk(state: State, line: Line, actor: Context) {
  const mark = markOf(line)
  if (mark === undefined) return
  actor.ref(riskManagerOf(state.options.market.venue)).send({ _tag: "Marked", mark })
}

function markOf(line: Line): Mark | undefined {
  const { last, pricedAt, quote } = line
  if (quote === undefined || pricedAt === undefined) return undefined
  return {
    instrument: line.instrument,
    bid: quote.bid,
    ask: quote.ask,
    last: last?.price,
    heardAt: pricedAt,
    source: line.quoteSource,
    staleAfterMs: line.staleAfterMs,
  }
}

const statusChanged = Effect.fnUntraced(function* (
  state: State,
  line: Line,
  { reason, status }: StatusChange,
  actor: Context,
) {
  const { instrument } = line
  const before = state.books.halts.get(instrument)
  if (status === "trading") {
    if (before !== undefined) {
      yield* record(actor, state.books, [{ _tag: "InstrumentResumed", instrument }])
    }
  } else {
    // Not when it has been written: the proof ends with the news.
    line.fresh?.revoke()
    if (before?.status !== status || before.reason !== reason) {
      yield* record(actor, state.books, [{ _tag: "InstrumentHalted", instrument, status, reason }])
    }
  }
  withhold(state, line, actor.now(), actor)
})

/** For who must get out: asked at once, whatever the stream does, unless the venue wants no questions. */
function confirm(state: State, { instrument, reply }: Message<"Confirm">, actor: Context) {
  const { market } = state.options
  const line = state.lines.get(instrument)
  const refuse = (detail: string) =>
    reply.fail(
      new VenueError({ venue: market.venue, doing: "quotes", reason: new Unreachable({ detail }) }),
    )
  if (line === undefined) return refuse(`${instrument} is not followed`)
  actor.fork(
    Effect.map(pollOnce(state, actor, [instrument]), (quotes) => {
      const quote = quotes.find((each) => each.instrument === instrument)
      if (quote === undefined) refuse("no price by REST")
      else reply.succeed(quote)
    }),
  )
}
