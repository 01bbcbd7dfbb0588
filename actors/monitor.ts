/**
 * Keeps the read model.
 *
 * It hears everything that can be shown and writes it into one place, from which pages and scripts
 * read; a burst of prices is one change. It may die without touching trading.
 */
import { Effect } from "effect"
import type { Books } from "../domain/books.ts"
import { toNumber } from "../domain/decimal.ts"
import type { JournalRecord } from "../domain/event.ts"
import type { Instrument } from "../domain/instrument.ts"
import type { MarketData } from "../venues/market_data.ts"
import { follow, Journal, keepUp } from "./journal.ts"
import { Monitor, type MonitorMessage } from "./names.ts"
import type { ReadModel } from "./read_model.ts"
import { type ActorContext, ask, behavior, type ReplyTo } from "./runtime/mod.ts"

export interface MonitorOptions {
  readonly model: ReadModel
  readonly markets: ReadonlyArray<MarketData>
  readonly instruments: ReadonlyArray<Instrument>
  readonly mailboxMax: number
  readonly refreshEveryMs: number
  readonly timeoutMs: number
  /** Bars of history for the chart, one second each. */
  readonly chartBars: number
}

interface State {
  readonly books: Books
  /** Something has changed since the last refresh. */
  dirty: boolean
}

export function monitor(options: MonitorOptions) {
  const { model } = options
  return behavior<State, MonitorMessage>({
    name: Monitor.id,
    restart: "permanent",
    mailbox: {
      capacity: options.mailboxMax,
      overflow: "conflate",
      key: (message) => conflationKey(message),
    },
    init: Effect.fn("Monitor.init")(function* (actor: ActorContext<MonitorMessage>) {
      const books = yield* follow(actor)
      const recent = yield* readRecent(actor, books, options)
      model.reset(books, recent)
      actor.every(options.refreshEveryMs, { _tag: "Tick" })
      actor.fork(Effect.forEach(options.instruments, (each) => prefill(each, options)))
      return { books, dirty: true }
    }),
    receive: (state, message) => {
      state.dirty ||= message._tag !== "Tick"
      switch (message._tag) {
        case "Recorded":
          keepUp(state.books, message.records)
          model.recorded(message.records)
          return state
        case "Marked":
          model.marked(message.mark)
          return state
        case "RulesChanged":
          model.rules.set(message.instrument.id, message.instrument)
          return state
        case "FeedChanged":
          model.feeds.set(message.feed.venue, message.feed)
          return state
        case "RunnerChanged":
          model.runners.set(message.runner.id, message.runner)
          return state
        case "LinkChanged":
          model.links.set(message.link.venue, message.link)
          return state
        case "Valued":
          model.valued(message.venue, message.equity)
          return state
        case "Tick":
          if (state.dirty) model.changed()
          state.dirty = false
          return state
      }
    },
  })
}

function conflationKey(message: MonitorMessage): unknown {
  switch (message._tag) {
    case "Recorded":
    case "Tick":
      return undefined
    case "Marked":
      return `mark ${message.mark.instrument}`
    case "RulesChanged":
      return `rules ${message.instrument.id}`
    case "FeedChanged":
      return `feed ${message.feed.venue}`
    case "RunnerChanged":
      return `runner ${message.runner.id}`
    case "LinkChanged":
      return `link ${message.link.venue}`
    case "Valued":
      return `valued ${message.venue}`
  }
}

function readRecent(
  actor: ActorContext<MonitorMessage>,
  books: Books,
  { model, timeoutMs }: MonitorOptions,
) {
  const limit = model.options.limits.events
  return ask(
    actor.ref(Journal),
    (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
      ({ _tag: "Read", after: Math.max(0, books.seq - limit), limit, reply }) as const,
    { timeoutMs },
  ).pipe(Effect.map((records) => records.filter(({ seq }) => seq <= books.seq)))
}

/** A chart that starts empty is only less pretty: failing here changes nothing. */
function prefill({ id, venue }: Instrument, { markets, model, chartBars }: MonitorOptions) {
  const market = markets.find((each) => each.venue === venue)
  if (market === undefined) return Effect.void
  return market.bars(id, 1_000, model.options.now(), chartBars).pipe(
    Effect.map((bars) =>
      model.prefill(
        id,
        bars.map(({ openTime, close }) => ({ time: openTime / 1_000, value: toNumber(close) })),
      )
    ),
    Effect.catch((error) => Effect.logDebug(`chart history: ${error.message}`)),
  )
}
