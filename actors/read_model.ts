/**
 * What everybody outside may know.
 *
 * The monitor writes it, pages and scripts read it, and nothing in here reaches an actor. It lives
 * outside the tree: while the monitor restarts, the last picture stands, with its age.
 */
import type { Alert, Books } from "../domain/books.ts"
import { drawdownFrom, emptyBooks, expectedBalance, openOrders } from "../domain/books.ts"
import type { CommandProgress } from "../domain/command.ts"
import {
  add,
  divide,
  formatDecimal,
  isPositive,
  isZero,
  larger,
  subtract,
  toNumber,
  zero,
} from "../domain/decimal.ts"
import { type Equity, equityOf, type Mark, markPrice } from "../domain/equity.ts"
import { encodeEvent, type JournalRecord } from "../domain/event.ts"
import {
  type Instrument,
  type InstrumentId,
  tradableQuantity,
  venueOf,
} from "../domain/instrument.ts"
import { narrate } from "../domain/narration.ts"
import { isOpen, type Order } from "../domain/order.ts"
import type {
  AccountView,
  ActorView,
  AlertView,
  EquityView,
  EventView,
  FeedView,
  FillView,
  Mode,
  OrderView,
  Overview,
  PositionView,
  ReplayView,
  RequestLimitView,
  Series,
  StrategyView,
} from "../domain/overview.ts"
import { averagePrice, type Fill, type Position, unrealisedPnl } from "../domain/position.ts"
import type { PrivateLink } from "./names.ts"
import type { ActorSystem, TreeNode } from "./runtime/mod.ts"

export interface ReadModelOptions {
  readonly mode: Mode
  readonly version: string
  readonly startedAt: number
  readonly now: () => number
  readonly instruments: ReadonlyArray<Instrument>
  /** Of every venue, in the order in which they are shown: what a person calls the account. */
  readonly labels: ReadonlyMap<string, string>
  /** Of one venue's limits on requests. */
  readonly requests?: (venue: string) => ReadonlyArray<RequestLimitView>
  readonly limits: ReadModelLimits
}

export interface ReadModelLimits {
  readonly orders: number
  readonly fills: number
  readonly events: number
  /** Points of a chart's series, one a second. */
  readonly points: number
  readonly commands: number
  readonly progressLines: number
}

/** A journal record as it leaves the process. */
export interface RecordView {
  readonly seq: number
  readonly time: number
  readonly event: { readonly _tag: string; readonly [field: string]: unknown }
  readonly view: EventView
}

interface Point {
  readonly time: number
  readonly value: number
}

type Listener<A> = (value: A) => void

export class ReadModel {
  books: Books = emptyBooks()
  system: ActorSystem | undefined
  replay: (() => ReplayView) | undefined
  readonly marks = new Map<InstrumentId, Mark>()
  readonly feeds = new Map<string, FeedView>()
  readonly runners = new Map<string, StrategyView>()
  readonly links = new Map<string, PrivateLink>()
  readonly equities = new Map<string, Equity>()
  private events: ReadonlyArray<EventView> = []
  private readonly prices = new Map<InstrumentId, Array<Point>>()
  private readonly pnl: Array<Point> = []
  private readonly progressLines = new Map<string, Array<CommandProgress>>()
  private readonly rates = new Map<string, { processed: number; at: number; rate: number }>()
  private readonly changeListeners = new Set<Listener<void>>()
  private readonly recordListeners = new Set<Listener<RecordView>>()
  private readonly progressListeners = new Set<Listener<string>>()
  private cached: Overview | undefined
  /**
   * Seq of the last record shown. A monitor that starts again reads the newest ones again, and its
   * books may be ahead of them.
   */
  private followed = 0

  constructor(readonly options: ReadModelOptions) {}

  // ---- written by the monitor --------------------------------------------------------

  /** Starts from the books and the newest records, whatever was shown before. */
  reset(books: Books, recent: ReadonlyArray<JournalRecord>) {
    this.books = books
    this.events = recent.map(viewOf).reverse().slice(0, this.options.limits.events)
    for (const record of recent) this.follow(record)
    this.pnl.length = 0
    for (const { time, value } of profitCurve(books)) {
      addPoint(this.pnl, time, value, this.options.limits.points)
    }
    // Until the first valuation: an equity of nothing would be a lie.
    for (const venue of books.accounts.keys()) {
      this.equities.set(venue, equityOf(books, venue, this.marks))
    }
    this.changed()
  }

  recorded(records: ReadonlyArray<JournalRecord>) {
    const { events } = this.options.limits
    const news = records.filter(({ seq }) => seq > this.followed)
    this.events = [...news.map(viewOf).reverse(), ...this.events].slice(0, events)
    for (const record of news) this.follow(record)
    this.changed()
  }

  marked(mark: Mark) {
    this.marks.set(mark.instrument, mark)
    const points = this.prices.get(mark.instrument) ?? []
    this.prices.set(mark.instrument, points)
    addPoint(points, mark.heardAt, toNumber(mark.last ?? mark.bid), this.options.limits.points)
  }

  /** Prices from before we listened, oldest first. */
  prefill(instrument: InstrumentId, history: ReadonlyArray<Point>) {
    const seen = this.prices.get(instrument) ?? []
    const first = seen[0]?.time ?? Infinity
    const before = history.filter(({ time }) => time < first)
    this.prices.set(instrument, [...before, ...seen].slice(-this.options.limits.points))
  }

  valued(venue: string, equity: Equity) {
    this.equities.set(venue, equity)
    let total = 0
    for (const each of this.equities.values()) {
      total += toNumber(subtract(each.total, each.start))
    }
    addPoint(this.pnl, this.options.now(), total, this.options.limits.points)
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
    const lines = this.progressLines.get(commandId) ?? []
    if (lines.length < this.options.limits.progressLines || final) {
      lines.push({ commandId, time, text, tone, final })
    }
    this.progressLines.set(commandId, lines)
    for (const key of this.progressLines.keys()) {
      if (this.progressLines.size <= this.options.limits.commands) break
      this.progressLines.delete(key)
    }
    for (const listener of this.progressListeners) listener(commandId)
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
  async *progress(commandId: string): AsyncGenerator<CommandProgress> {
    let sent = 0
    let wake = () => {}
    const listener = (id: string) => id === commandId && wake()
    this.progressListeners.add(listener)
    try {
      while (true) {
        const lines = this.progressLines.get(commandId) ?? []
        while (sent < lines.length) {
          const line = lines[sent++]!
          yield line
          if (line.final) return
        }
        await new Promise<void>((resolve) => wake = resolve)
      }
    } finally {
      this.progressListeners.delete(listener)
    }
  }

  readonly overview = (): Overview => this.cached ??= this.build()

  readonly series = (instrument: string): Series | undefined => {
    if (!this.options.instruments.some(({ id }) => id === instrument)) return undefined
    const points = this.prices.get(instrument) ?? []
    const first = points[0]?.time ?? 0
    return {
      instrument,
      price: points,
      pnl: this.pnl,
      fills: this.books.fills
        .filter((fill) => fill.instrument === instrument && fill.time / 1_000 >= first)
        .map(({ time, side, quantity, price }) => ({
          time: Math.floor(time / 1_000),
          side,
          text: `${side} ${formatDecimal(quantity)} at ${formatDecimal(price)}`,
        })),
    }
  }

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
      accounts: this.accounts(),
      equity: this.equity(now),
      positions: this.positions(now),
      orders: [...orders.filter(isOpen), ...orders.filter((order) => !isOpen(order))]
        .slice(0, limits.orders).map(orderView),
      fills: books.fills.slice(-limits.fills).reverse().map(fillView),
      strategies: this.strategies(),
      feeds: [...options.labels.keys()].flatMap((venue) => this.feeds.get(venue) ?? [])
        .map((feed) => aged(feed, this.marks, now)),
      actors: this.actors(now),
      alerts: alertViews(books),
      events: this.events,
    }
  }

  private accounts(): ReadonlyArray<AccountView> {
    return [...this.options.labels].map(([venue, label]) => {
      const account = this.books.accounts.get(venue)
      const link = this.links.get(venue)
      const isReady = account?.ready ?? false
      const streaming = link?.status === "streaming"
      const differs = (account?.differences.length ?? 0) > 0
      const cause = link?.cause ?? (isReady ? undefined : account?.cause)
      const equity = this.equities.get(venue)
      return {
        venue,
        label,
        status: isReady && streaming
          ? "ready"
          : differs
          ? "degraded"
          : streaming
          ? "reconciling"
          : account === undefined && link?.cause === undefined
          ? "connecting"
          : "down",
        ...reconciled(account?.reconciledAt, link?.reconciledAt),
        link: link?.status ?? "connecting",
        ...(link?.lastEventAt !== undefined && { lastEventAt: link.lastEventAt }),
        ...(cause !== undefined && { lastCause: cause }),
        cash: account === undefined ? [] : [{
          asset: account.quoteAsset,
          quantity: formatDecimal(expectedBalance(account, account.quoteAsset)),
        }],
        dust: this.dust(venue),
        ...(link?.clockOffsetMs !== undefined && { clockOffsetMs: link.clockOffsetMs }),
        ...(equity !== undefined && { equity: equityView(equity, this.options.now()) }),
        paused: this.isOnHold(venue),
        requests: this.options.requests?.(venue) ?? [],
      }
    })
  }

  private isOnHold(venue: string): boolean {
    const own = this.options.instruments.filter((each) => each.venue === venue)
    return own.length > 0 && own.every(({ id }) => this.books.holds.has(id))
  }

  private dust(venue: string) {
    return this.options.instruments.flatMap((instrument) => {
      const position = this.books.positions.get(instrument.id)
      if (instrument.venue !== venue || position === undefined) return []
      const isDust = !isZero(position.quantity) && isZero(this.tradable(position))
      return isDust ? [{ asset: instrument.base, quantity: formatDecimal(position.quantity) }] : []
    })
  }

  /** What of a position the venue would take; zero for dust. */
  private tradable(position: Position) {
    const instrument = this.options.instruments.find(({ id }) => id === position.instrument)
    if (instrument === undefined) return position.quantity
    const price = this.marks.get(position.instrument)?.bid ?? averagePrice(position)
    return tradableQuantity(instrument, position.quantity, price)
  }

  private equity(now: number): EquityView {
    const equities = [...this.equities.values()]
    const sum = (of: (equity: Equity) => Equity["total"]) =>
      equities.reduce((total, each) => add(total, of(each)), zero)
    const total = sum(({ total }) => total)
    const peak = larger(this.books.peak, total)
    return equityView({
      total,
      cash: sum(({ cash }) => cash),
      realisedPnl: sum(({ realisedPnl }) => realisedPnl),
      unrealisedPnl: sum(({ unrealisedPnl }) => unrealisedPnl),
      fees: sum(({ fees }) => fees),
      start: sum(({ start }) => start),
      // Not the sum of the accounts' own: they need not stand at their peaks together.
      peak,
      drawdown: larger(this.books.drawdown, drawdownFrom(peak, total)),
      exposure: sum(({ exposure }) => exposure),
    }, now)
  }

  private positions(now: number): ReadonlyArray<PositionView> {
    return [...this.books.positions.values()]
      .filter((position) => !isZero(this.tradable(position)))
      .map((position) => this.position(position, now))
  }

  private position(position: Position, now: number): PositionView {
    const { books } = this
    const mark = this.marks.get(position.instrument)
    const price = markPrice(position, mark)
    const ageMs = mark === undefined ? now - position.openedAt : now - mark.heardAt
    const fresh = mark !== undefined && ageMs < mark.staleAfterMs
    const venue = venueOf(position.instrument)
    const line = this.feeds.get(venue)?.instruments
      .find(({ instrument }) => instrument === position.instrument)
    const mayOpen = fresh && mark.source === "stream" && line?.withheld === undefined &&
      books.feeds.get(venue)?.status === "streaming"
    return {
      instrument: position.instrument,
      venue: venueOf(position.instrument),
      quantity: formatDecimal(position.quantity),
      averagePrice: formatDecimal(averagePrice(position)),
      markPrice: formatDecimal(price),
      markAgeMs: Math.max(0, Math.round(ageMs)),
      markSource: mark?.source ?? "rest",
      markAuthority: mayOpen ? "may_open" : fresh ? "exits_only" : "stale",
      unrealisedPnl: formatDecimal(unrealisedPnl(position, price)),
      realisedPnl: formatDecimal(position.realisedPnl),
      openedAt: position.openedAt,
      strategies: [...position.holders.keys()],
      closing: openOrders(books).some((order) =>
        order.instrument === position.instrument && order.purpose === "reduce"
      ),
      control: books.holds.has(position.instrument) ? "hold" : "auto",
    }
  }

  private strategies(): ReadonlyArray<StrategyView> {
    const { assignments, tradingState, holds } = this.books
    const statuses = new Map<string, TreeNode["status"]>()
    if (this.system) {
      walk(this.system.tree(), 0, (node) => void statuses.set(node.name, node.status))
    }
    return [...assignments.values()].map((assignment): StrategyView => {
      const runner = this.runners.get(assignment.id)
      const node = statuses.get(`runner:${assignment.id.replaceAll("/", "-")}`)
      const paused = tradingState === "halted" || holds.has(assignment.instrument)
      const running = node === "restarting" || node === "starting"
        ? "restarting"
        : node === undefined || node === "stopped" || node === "failed"
        ? "stopped"
        : paused
        ? "paused"
        : runner?.status ?? "warming_up"
      return {
        id: assignment.id,
        strategy: assignment.strategy,
        instrument: assignment.instrument,
        interval: assignment.interval,
        params: { ...assignment.params },
        notional: formatDecimal(assignment.notional),
        bars: 0,
        signals: 0,
        indicators: {},
        holding: "0",
        ...runner,
        status: running,
      }
    })
  }

  private actors(now: number): ReadonlyArray<ActorView> {
    if (this.system === undefined) return []
    const views: Array<ActorView> = []
    walk(this.system.tree(), 0, (node, depth) => {
      views.push({
        path: node.path,
        name: node.name,
        depth,
        kind: node.kind,
        ...(node.strategy !== undefined && { strategy: node.strategy }),
        status: node.status,
        restarts: node.restarts,
        mailboxDepth: node.mailboxDepth,
        ratePerSecond: this.rateOf(node, now),
        // A price that a newer one has replaced was not lost.
        dropped: node.dropped - node.conflated,
        startedAt: node.startedAt,
        lastCause: node.lastCause ?? null,
        lastCauseAt: node.lastCauseAt ?? null,
      })
    })
    return views
  }

  /** Messages a second, over at least one second. */
  private rateOf({ path, processed }: TreeNode, now: number): number {
    const before = this.rates.get(path)
    if (before === undefined || processed < before.processed) {
      this.rates.set(path, { processed, at: now, rate: 0 })
      return 0
    }
    if (now - before.at < 1_000) return before.rate
    const rate = Math.round((processed - before.processed) * 1_000 / (now - before.at))
    this.rates.set(path, { processed, at: now, rate })
    return rate
  }
}

function walk(node: TreeNode, depth: number, visit: (node: TreeNode, depth: number) => void) {
  visit(node, depth)
  for (const child of node.children) walk(child, depth + 1, visit)
}

/** One point a second: the newest value within it. */
function addPoint(points: Array<Point>, timeMs: number, value: number, most: number) {
  const time = Math.floor(timeMs / 1_000)
  const last = points.at(-1)
  if (last !== undefined && time < last.time) return
  if (last?.time === time) points[points.length - 1] = { time, value }
  else points.push({ time, value })
  if (points.length > most) points.shift()
}

/**
 * Profit of all accounts together whenever one of them was marked, oldest first; the others stand as
 * they were marked last.
 */
function profitCurve(books: Books): ReadonlyArray<Point> {
  const latest = new Map<string, number>()
  return [...books.curves]
    .flatMap(([venue, { points }]) => {
      const account = books.accounts.get(venue)
      const start = account?.opening.get(account.quoteAsset) ?? zero
      return points.map(({ time, total }) => ({
        venue,
        time,
        value: toNumber(subtract(total, start)),
      }))
    })
    .toSorted((a, b) => a.time - b.time)
    .map(({ venue, time, value }) => {
      latest.set(venue, value)
      return { time, value: [...latest.values()].reduce((sum, each) => sum + each, 0) }
    })
}

function equityView(equity: Equity, asOf: number): EquityView {
  return {
    total: formatDecimal(equity.total),
    cash: formatDecimal(equity.cash),
    realisedPnl: formatDecimal(equity.realisedPnl),
    unrealisedPnl: formatDecimal(equity.unrealisedPnl),
    fees: formatDecimal(equity.fees),
    asOf,
    start: formatDecimal(equity.start),
    drawdown: formatDecimal(equity.drawdown),
    peak: formatDecimal(equity.peak),
    exposure: formatDecimal(equity.exposure),
  }
}

/** Written down only when it was news: the last one is the later of the two. */
function reconciled(written: number | undefined, done: number | undefined) {
  const at = Math.max(written ?? 0, done ?? 0)
  return at === 0 ? {} : { reconciledAt: at }
}

/** The feed's own picture is from its last report: ages go on. */
function aged(feed: FeedView, marks: ReadonlyMap<InstrumentId, Mark>, now: number): FeedView {
  return {
    ...feed,
    instruments: feed.instruments.map((line) => {
      const mark = marks.get(line.instrument)
      if (mark === undefined) return line
      const ageMs = Math.max(0, Math.round(now - mark.heardAt))
      const fresh = feed.status === "streaming" && mark.source === "stream" &&
        line.withheld === undefined && ageMs < line.staleAfterMs
      return { ...line, ageMs, fresh }
    }),
  }
}

export function recordView(record: JournalRecord): RecordView {
  return {
    seq: record.seq,
    time: record.time,
    event: encodeEvent(record.event),
    view: viewOf(record),
  }
}

function viewOf({ seq, time, event }: JournalRecord): EventView {
  return { seq, time, type: event._tag, ...narrate(event) }
}

function orderView(order: Order): OrderView {
  return {
    clientOrderId: order.clientOrderId,
    venueOrderId: order.venueOrderId ?? null,
    instrument: order.instrument,
    side: order.side,
    type: order.type,
    quantity: formatDecimal(order.quantity),
    filledQuantity: formatDecimal(order.filledQuantity),
    price: order.price === undefined ? null : formatDecimal(order.price),
    averagePrice: isPositive(order.filledQuantity)
      ? formatDecimal(divide(order.filledNotional, order.filledQuantity, 8))
      : null,
    status: order.status,
    time: order.submittedAt,
    updatedAt: order.updatedAt,
    reason: order.reason,
    origin: order.origin,
    ...(order.note !== undefined && { note: order.note }),
  }
}

function fillView(fill: Fill): FillView {
  return {
    executionId: fill.executionId,
    clientOrderId: fill.clientOrderId,
    instrument: fill.instrument,
    side: fill.side,
    quantity: formatDecimal(fill.quantity),
    price: formatDecimal(fill.price),
    fee: formatDecimal(fill.fee),
    feeAsset: fill.feeAsset,
    time: fill.time,
  }
}

function alertViews(books: Books): ReadonlyArray<AlertView> {
  const view = ({ resolvedAt, ...alert }: Alert): AlertView => ({
    ...alert,
    resolvedAt: resolvedAt ?? null,
  })
  const alerts = [...books.alerts.values()].reverse()
  return [
    ...alerts.filter(({ resolvedAt }) => resolvedAt === undefined),
    ...alerts.filter(({ resolvedAt }) => resolvedAt !== undefined),
  ].map(view)
}
