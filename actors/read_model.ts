/**
 * What everybody outside may know.
 *
 * The monitor writes it, pages and scripts read it, and nothing in here reaches an actor. It lives
 * outside the tree: while the monitor restarts, the last picture stands, with its age.
 *
 *     read_model/facts.ts          what was heard last of everything
 *     read_model/accounts.ts       what is held, and what it is worth
 *     read_model/feed_views.ts     prices, with their ages
 *     read_model/journal_views.ts  orders, fills, alerts, events
 *     read_model/tree_views.ts     actors and strategies
 *     read_model/charts.ts         what the charts draw
 *     read_model/progress_log.ts   commands, step by step
 */
import { type Books, emptyBooks } from "../domain/books.ts"
import type { CommandProgress } from "../domain/command.ts"
import { type Equity, equityOf, type Mark } from "../domain/equity.ts"
import type { JournalRecord } from "../domain/event.ts"
import type { Instrument, InstrumentId } from "../domain/instrument.ts"
import { isOpen } from "../domain/order.ts"
import type {
  EventView,
  FeedView,
  FillView,
  OrderView,
  Overview,
  ReplayView,
  Series,
} from "../domain/overview.ts"
import type { PrivateLink, RunnerView } from "./names.ts"
import { accountViews, equityOfAll, positionViews } from "./read_model/accounts.ts"
import { Charts, type Point } from "./read_model/charts.ts"
import type { Facts, ReadModelOptions } from "./read_model/facts.ts"
import { feedViews } from "./read_model/feed_views.ts"
import {
  alertViews,
  eventView,
  fillView,
  orderView,
  type RecordView,
  recordView,
} from "./read_model/journal_views.ts"
import { ProgressLog } from "./read_model/progress_log.ts"
import { ActorViews, strategyViews } from "./read_model/tree_views.ts"
import type { ActorSystem } from "./runtime/mod.ts"

export { recordView } from "./read_model/journal_views.ts"

type Listener<A> = (value: A) => void

export class ReadModel implements Facts {
  books: Books = emptyBooks()
  system: ActorSystem | undefined
  replay: (() => ReplayView) | undefined
  readonly rules = new Map<InstrumentId, Instrument>()
  readonly marks = new Map<InstrumentId, Mark>()
  readonly feeds = new Map<string, FeedView>()
  readonly runners = new Map<string, RunnerView>()
  readonly links = new Map<string, PrivateLink>()
  readonly equities = new Map<string, Equity>()
  private events: ReadonlyArray<EventView> = []
  private readonly charts: Charts
  private readonly progressLog: ProgressLog
  private readonly actors = new ActorViews()
  private readonly changeListeners = new Set<Listener<void>>()
  private readonly recordListeners = new Set<Listener<RecordView>>()
  private cached: Overview | undefined
  /**
   * Seq of the last record shown. A monitor that starts again reads the newest ones again, and its
   * books may be ahead of them.
   */
  private followed = 0

  constructor(readonly options: ReadModelOptions) {
    this.charts = new Charts(options.limits.points)
    this.progressLog = new ProgressLog(options.limits)
  }

  // ---- written by the monitor --------------------------------------------------------

  /** Starts from the books and the newest records, whatever was shown before. */
  reset(books: Books, recent: ReadonlyArray<JournalRecord>) {
    this.books = books
    this.events = recent.map(eventView).reverse().slice(0, this.options.limits.events)
    for (const record of recent) this.follow(record)
    this.progressLog.lookAgain()
    this.charts.reset(books)
    // Until the first valuation: an equity of nothing would be a lie.
    for (const venue of books.accounts.keys()) {
      this.equities.set(venue, equityOf(books, venue, this.marks))
    }
    this.changed()
  }

  recorded(records: ReadonlyArray<JournalRecord>) {
    const { events } = this.options.limits
    const news = records.filter(({ seq }) => seq > this.followed)
    this.events = [...news.map(eventView).reverse(), ...this.events].slice(0, events)
    for (const record of news) this.follow(record)
    this.changed()
  }

  marked(mark: Mark) {
    this.marks.set(mark.instrument, mark)
    this.charts.marked(mark)
  }

  /** Prices from before we listened, oldest first. */
  prefill(instrument: InstrumentId, history: ReadonlyArray<Point>) {
    this.charts.prefill(instrument, history)
  }

  valued(venue: string, equity: Equity) {
    this.equities.set(venue, equity)
    this.charts.valued(this.equities.values(), this.options.now())
  }

  /** Something that is shown is different now. */
  changed() {
    this.cached = undefined
    for (const listener of this.changeListeners) listener()
  }

  private follow(record: JournalRecord) {
    const { seq, time, event } = record
    if (seq <= this.followed) return
    this.followed = seq
    if (this.recordListeners.size > 0) {
      const view = recordView(record)
      for (const listener of this.recordListeners) listener(view)
    }
    if (event._tag === "StrategySwapped") this.runners.delete(event.from)
    if (event._tag !== "CommandProgressed") return
    const { commandId, text, tone, final } = event
    this.progressLog.add({ commandId, time, text, tone, final })
  }

  // ---- read by everybody ---------------------------------------------------------------

  readonly onChange = (listener: Listener<void>): () => void => {
    this.changeListeners.add(listener)
    return () => void this.changeListeners.delete(listener)
  }

  readonly onRecord = (listener: Listener<RecordView>): () => void => {
    this.recordListeners.add(listener)
    return () => void this.recordListeners.delete(listener)
  }

  /** Lines of a command from its beginning, then live; ends after the final one. */
  progress(commandId: string): AsyncGenerator<CommandProgress> {
    return this.progressLog.watch(commandId, () => {
      const command = this.books.commands.get(commandId)
      // What the books know and nobody was shown yet may be its last line.
      const isAllShown = this.followed >= this.books.seq
      return isAllShown && command?.final === true ? command : undefined
    })
  }

  readonly overview = (): Overview => this.cached ??= this.build()

  readonly series = (instrument: string): Series | undefined =>
    this.options.instruments.some(({ id }) => id === instrument)
      ? this.charts.series(instrument, this.books)
      : undefined

  readonly allOrders = (): ReadonlyArray<OrderView> =>
    [...this.books.orders.values()].map(orderView).reverse()

  readonly allFills = (): ReadonlyArray<FillView> => [...this.books.fills].reverse().map(fillView)

  private build(): Overview {
    const { books, options } = this
    const now = options.now()
    const { limits } = options
    const orders = [...books.orders.values()].reverse()
    return {
      seq: books.seq,
      asOf: now,
      mode: options.mode,
      version: options.version,
      startedAt: options.startedAt,
      tradingState: books.tradingState,
      ...(books.tradingStateReason !== undefined && {
        tradingStateReason: books.tradingStateReason,
      }),
      ...(books.tradingStateSince !== undefined && {
        tradingStateSince: books.tradingStateSince,
      }),
      ...(this.replay && { replay: this.replay() }),
      accounts: accountViews(this),
      equity: equityOfAll(this, now),
      positions: positionViews(this, now),
      orders: [...orders.filter(isOpen), ...orders.filter((order) => !isOpen(order))]
        .slice(0, limits.orders).map(orderView),
      fills: books.fills.slice(-limits.fills).reverse().map(fillView),
      strategies: strategyViews(this),
      feeds: feedViews(this, now),
      actors: this.actors.look(this, now),
      alerts: alertViews(books),
      events: this.events,
    }
  }
}
