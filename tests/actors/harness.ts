/**
 * The real tree on virtual time, beside a venue that can be told how to fail.
 *
 * A process here is started, run for some time, looked at, and stopped or killed; its disk and its
 * venue outlive it. Everything is synchronous for the test: time passes when the test says so.
 */
import { Effect, Exit, Logger, Option, Random, Scope } from "effect"
import { feedOf } from "../../actors/feed.ts"
import { Journal } from "../../actors/journal.ts"
import { executorOf, Operator, reconcilerOf, riskManagerOf } from "../../actors/names.ts"
import { ReadModel } from "../../actors/read_model.ts"
import {
  type ActorName,
  type ActorSystem,
  ask,
  AskError,
  type ReplyTo,
  start as startTree,
  type SupervisionReport,
  type TreeNode,
} from "../../actors/runtime/mod.ts"
import { mulberry32, VirtualTime } from "../../actors/runtime/virtual_time.ts"
import { strategyRunner } from "../../actors/strategy_runner.ts"
import { tree, type TreeOptions } from "../../actors/tree.ts"
import { applyRecord, type Books, emptyBooks } from "../../domain/books.ts"
import { type Command, type CommandReceipt, CommandRefused } from "../../domain/command.ts"
import type { SessionPhase } from "../../domain/calendar.ts"
import { decimal } from "../../domain/decimal.ts"
import { decodeEvent, type EventOf, type EventTag, type JournalRecord } from "../../domain/event.ts"
import { type InstrumentId, venueOf } from "../../domain/instrument.ts"
import type { Signal } from "../../domain/signal.ts"
import { type Assignment, assignmentId, type StrategyEvent } from "../../domain/strategy.ts"
import { limits } from "../../limits.ts"
import { decodeRecord, type EventStore } from "../../storage/event_store.ts"
import { emptyDisk, type MemoryDisk, openMemoryDisk } from "../../storage/memory.ts"
import type { Broker } from "../../venues/broker.ts"
import type { MarketData } from "../../venues/market_data.ts"
import { BTC, ETH, FakeVenue, instrument, VENUE } from "./fakes.ts"

/** 2026-01-05 00:00 UTC: a whole minute. */
export const START_MS = 1_767_571_200_000

/** What a scripted strategy wants when it sees an event. */
export type Script = (event: StrategyEvent, seen: ReadonlyArray<StrategyEvent>) =>
  | Omit<Signal, "instrument">
  | undefined

export interface WorldOptions {
  readonly seed?: number
  readonly instruments?: ReadonlyArray<InstrumentId>
  /** Of a second venue. */
  readonly beside?: ReadonlyArray<InstrumentId>
}

export interface KeelOptions {
  readonly assignments?: ReadonlyArray<Assignment>
  /** By strategy name. Without one a strategy wants nothing; `broken` cannot be started. */
  readonly scripts?: Readonly<Record<string, Script>>
  readonly warmUpBars?: number
  readonly mayCrash?: boolean
  readonly change?: (options: TreeOptions) => TreeOptions
  /** Fails or delays what the journal does with its disk. */
  readonly store?: (store: EventStore) => EventStore
}

export function assignment(
  strategy: string,
  instrument: InstrumentId,
  more: Partial<Assignment> = {},
): Assignment {
  return {
    id: assignmentId(strategy, instrument),
    strategy,
    instrument,
    interval: "1s",
    params: {},
    notional: decimal("1000"),
    ...more,
  }
}

/** Time, a disk and a venue: what a process finds, and leaves behind. */
export class World {
  readonly time: VirtualTime
  readonly venue: FakeVenue
  /** The second one, where a test has asked for it. */
  readonly beside: FakeVenue
  readonly venues: ReadonlyArray<FakeVenue>
  readonly disk: MemoryDisk = emptyDisk()
  readonly random: () => number
  readonly #records: Array<JournalRecord> = []
  readonly #books = emptyBooks()

  constructor(options: WorldOptions = {}) {
    const { seed, instruments = [BTC, ETH] } = options
    this.time = new VirtualTime({ startMs: START_MS, ...(seed !== undefined && { seed }) })
    this.venue = new FakeVenue(this.time, instruments.map(instrument))
    this.beside = new FakeVenue(this.time, (options.beside ?? []).map(instrument))
    this.venues = options.beside === undefined ? [this.venue] : [this.venue, this.beside]
    this.random = mulberry32(seed ?? 1)
  }

  start(options: KeelOptions = {}): Keel {
    return new Keel(this, options)
  }

  /** Everything that is durable, in order. */
  records(): ReadonlyArray<JournalRecord> {
    const read = this.#records.length
    if (read === this.disk.events.length) return this.#records
    this.disk.events.slice(read).forEach((bytes, index) => {
      const { event, ...rest } = Option.getOrThrow(decodeRecord(read + index + 1, bytes))
      const record = { ...rest, event: Effect.runSync(decodeEvent(event)) }
      this.#records.push(record)
      applyRecord(this.#books, record)
    })
    return this.#records
  }

  events<Tag extends EventTag>(tag: Tag): ReadonlyArray<EventOf<Tag>> {
    return this.records().flatMap(({ event }) => event._tag === tag ? [event as EventOf<Tag>] : [])
  }

  /** A fold of what is durable: as it is now, and as it will be. */
  books(): Books {
    this.records()
    return this.#books
  }
}

/** One process. */
export class Keel {
  readonly model: ReadModel
  readonly system: ActorSystem
  readonly reports: Array<SupervisionReport> = []
  /** Of instruments whose market closes at times. */
  readonly sessions = new Map<InstrumentId, SessionPhase>()
  /** Events each strategy has seen since it was made last, by assignment. */
  readonly seen = new Map<string, Array<StrategyEvent>>()
  /** Times a strategy was made, by assignment. */
  readonly made = new Map<string, number>()
  readonly scripts: Record<string, Script>
  readonly #scope = Scope.makeUnsafe()
  #alive = true

  constructor(readonly world: World, readonly options: KeelOptions) {
    const { time } = world
    this.scripts = { ...options.scripts }
    this.model = new ReadModel({
      mode: "sim",
      version: "test",
      startedAt: time.now,
      now: () => time.now,
      instruments: world.venues.flatMap(({ instruments }) => instruments),
      labels: new Map(world.venues.map(({ name }) => [name, "fake"])),
      limits: limits.overview,
    })
    const store = Effect.runSync(openMemoryDisk(world.disk))
    const spec = tree((options.change ?? ((same) => same))(this.#treeOptions(store)))
    this.system = this.#run(
      startTree(spec, {
        dispatcher: time.dispatcher,
        onReport: (report) => void this.reports.push(report),
      }).pipe(Scope.provide(this.#scope)),
      60_000,
    )
    this.model.system = this.system
  }

  // ---- passing time ------------------------------------------------------------------------

  run(ms: number): this {
    this.world.time.run(ms)
    return this
  }

  /** Until `what` is true; fails when that takes longer than `limitMs`. */
  until(what: () => boolean, limitMs = 60_000, stepMs = 10): this {
    for (let passed = 0; passed <= limitMs; passed += stepMs) {
      if (what()) return this
      this.run(stepMs)
    }
    throw new Error(`not within ${limitMs} ms: ${what}`)
  }

  /** Connected, reconciled, and every strategy made. */
  ready(): this {
    return this.until(() =>
      this.world.venues.every(({ name }) => this.books.accounts.get(name)?.ready === true)
    ).run(20)
  }

  /** In good order. */
  stop() {
    this.#run(Scope.close(this.#scope, Exit.void), 60_000)
    this.#alive = false
  }

  /** As `kill -9`: nothing that it was doing gets any further. */
  kill() {
    this.#alive = false
    this.#run(Scope.close(this.#scope, Exit.void), 60_000)
  }

  // ---- looking -----------------------------------------------------------------------------

  get books(): Books {
    return this.world.books()
  }

  node(path: string): TreeNode {
    let node = this.system.tree()
    for (const name of path.split("/").slice(1)) {
      const child = node.children.find((each) => each.name === name)
      if (child === undefined) throw new Error(`no ${path}`)
      node = child
    }
    return node
  }

  restarts(path: string): number {
    return this.node(path).restarts
  }

  /** Restarts of every node, by path. */
  allRestarts(): ReadonlyMap<string, number> {
    const all = new Map<string, number>()
    const visit = (node: TreeNode) => {
      all.set(node.path, node.restarts)
      node.children.forEach(visit)
    }
    visit(this.system.tree())
    return all
  }

  // ---- acting ------------------------------------------------------------------------------

  send<M>(name: ActorName<M>, message: M): boolean {
    return this.system.ref(name).send(message)
  }

  /** As a strategy would; `origin` need not run. */
  signal(
    intent: "enter" | "exit",
    id: InstrumentId = BTC,
    origin = "someone",
    notional = "1000",
  ) {
    // One with an instrument in its name is assigned by the test, or is not.
    if (intent === "enter" && !origin.includes(":")) this.assign(origin)
    return this.send(riskManagerOf(venueOf(id)), {
      _tag: "Signalled",
      runner: origin,
      notional: decimal(notional),
      signal: { instrument: id, intent, price: decimal("100"), reason: "test" },
    })
  }

  /** Whoever is to open something is assigned, though it need not run. Takes the disk's time. */
  assign(...origins: ReadonlyArray<string>): this {
    const events = origins.filter((each) => !this.books.assignments.has(each)).map((id) =>
      ({ _tag: "StrategyAssigned", ...assignment("absent", BTC), id }) as const
    )
    if (events.length === 0) return this
    this.send(Journal, { _tag: "Append", events, after: 0, reply: undefined })
    const isDone = () => origins.every((each) => this.books.assignments.has(each))
    for (let waited = 0; waited < 5_000 && !isDone(); waited++) this.run(waited === 0 ? 0 : 1)
    return this
  }

  ask<M, A>(name: ActorName<M>, make: (reply: ReplyTo<A>) => M): A {
    return this.#run(ask(this.system.ref(name), make, { timeoutMs: 60_000 }), 60_000)
  }

  /** The receipt, or why it was refused. */
  command(command: Command): CommandReceipt | CommandRefused {
    return this.#run(
      ask(
        this.system.ref(Operator),
        (reply: ReplyTo<CommandReceipt>) => ({ _tag: "Submit", command, reply }) as const,
        { timeoutMs: 30_000 },
      ).pipe(
        Effect.catch((error) =>
          error instanceof AskError && error.cause instanceof CommandRefused
            ? Effect.succeed(error.cause)
            : Effect.die(error)
        ),
      ),
      30_000,
    )
  }

  /** As `command`, for who does not wait. */
  post(command: Command) {
    this.send(Operator, {
      _tag: "Submit",
      command,
      reply: { succeed: () => {}, fail: () => {} },
    })
  }

  /** What was said about a command, in order. */
  progress(commandId: string) {
    return this.world.events("CommandProgressed").filter((each) => each.commandId === commandId)
  }

  crash(path: string, message = "crashed by the test") {
    if (!this.system.crash(path, message)) throw new Error(`${path} does not run`)
  }

  /** Runs an Effect on this world's time until it ends. */
  #run<A, E>(effect: Effect.Effect<A, E>, limitMs: number): A {
    const { time } = this.world
    const fiber = Effect.runFork(
      time.provide(effect).pipe(
        Random.withSeed(String(this.world.random())),
        Effect.provide(Logger.layer([])),
      ),
    )
    for (let passed = 0; passed <= limitMs; passed += 1) {
      time.run(passed === 0 ? 0 : 1)
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return Effect.runSync(exit as Effect.Effect<A, E>)
    }
    throw new Error(`not done after ${limitMs} ms`)
  }

  // ---- putting together --------------------------------------------------------------------

  /** What it wants of the outside while it is alive; afterwards nothing arrives any more. */
  #outside<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => this.#alive ? effect : Effect.never)
  }

  #treeOptions(opened: EventStore): TreeOptions {
    const { world, options } = this
    const venues = world.venues.map(({ broker, instruments, market, name }) => ({
      name,
      instruments,
      broker: this.#broker(broker),
      market: this.#market(market),
    }))
    const instruments = venues.flatMap((each) => each.instruments)
    const { account, mailbox, monitor, operator, orders, reconnect, restart } = limits
    const system = () => this.model.system
    const alive: EventStore = {
      ...opened,
      append: (records) => this.#outside(opened.append(records)),
    }
    return {
      intensity: restart.intensity,
      periodMs: restart.periodMs,
      journal: {
        store: options.store?.(alive) ?? alive,
        started: {
          _tag: "RuntimeStarted",
          mode: "sim",
          version: "test",
          journalId: "test",
        },
        mailboxMax: mailbox.journal,
        recentMax: limits.journal.recentMax,
        readPage: limits.journal.pageSize,
      },
      alerter: { mailboxMax: mailbox.account, attemptsMax: reconnect.attemptsMax },
      accounts: venues.map(({ broker, instruments, name }) => ({
        venue: name,
        reconciler: {
          broker,
          instruments,
          backoff: reconnect,
          mailboxMax: mailbox.account,
          everyMs: account.reconcileEveryMs,
          retryMs: account.reconcileRetryMs,
          timeoutMs: account.reconcileTimeoutMs,
        },
        executor: { broker, mailboxMax: mailbox.account, ...orders },
        riskManager: {
          venue: name,
          instruments,
          limits: {
            orderNotionalMax: decimal("5000"),
            positionNotionalMax: decimal("10000"),
            exposureMax: decimal("20000"),
            ordersPerMinuteMax: 60,
            dailyLossMax: decimal("50000"),
          },
          mailboxMax: mailbox.account,
          pendingForMs: orders.pendingForMs,
        },
        portfolioKeeper: {
          venue: name,
          mailboxMax: mailbox.account,
          valueEveryMs: account.valueEveryMs,
          markEveryMs: account.markEveryMs,
        },
      })),
      feeds: venues.map(({ instruments, market }) => ({
        market,
        instruments: instruments.map(({ id }) => id),
        staleAfterMs: STALE_AFTER_MS,
        backoff: reconnect,
        mailboxMax: mailbox.feed,
        ...limits.feed,
      })),
      admission: {
        latecomers: [],
        system,
        backoff: reconnect,
        mailboxMax: mailbox.account,
      },
      roster: {
        system,
        runner: (each) => {
          const venue = venues.find(({ name }) => name === venueOf(each.instrument))
          return venue && this.#runner(each, venue.market)
        },
        configured: options.assignments ?? [],
        mailboxMax: mailbox.account,
      },
      operator: {
        instruments,
        brokers: venues.map(({ broker }) => broker),
        system,
        checkStrategy: (strategy) =>
          strategy.startsWith("bad")
            ? Effect.fail({ message: `strategy must not be ${strategy}` })
            : Effect.void,
        mayCrash: options.mayCrash ?? true,
        session: ({ id }) => this.sessions.get(id),
        mailboxMax: mailbox.account,
        ...operator,
      },
      monitor: {
        model: this.model,
        markets: venues.map(({ market }) => market),
        instruments,
        mailboxMax: mailbox.monitor,
        refreshEveryMs: monitor.refreshEveryMs,
        timeoutMs: account.reconcileTimeoutMs,
        chartBars: monitor.chartBars,
      },
      edge: [],
    }
  }

  #runner(each: Assignment, market: MarketData) {
    const wanted = this.world.venues.flatMap(({ instruments }) => instruments)
      .find(({ id }) => id === each.instrument)
    if (wanted === undefined || each.strategy === "absent") return undefined
    return strategyRunner({
      assignment: each,
      instrument: wanted,
      history: market.bars,
      mailboxMax: limits.mailbox.runner,
      staleAfterMs: STALE_AFTER_MS,
      ...limits.runner,
      start: Effect.suspend(() => {
        if (each.strategy === "broken") return Effect.fail({ message: "no such parameters" })
        const seen: Array<StrategyEvent> = []
        this.seen.set(each.id, seen)
        this.made.set(each.id, (this.made.get(each.id) ?? 0) + 1)
        return Effect.succeed({
          warmUpBars: this.options.warmUpBars ?? 3,
          step: (event: StrategyEvent) => {
            seen.push(event)
            const wish = this.scripts[each.strategy]?.(event, seen)
            return wish === undefined ? [] : [{ ...wish, instrument: each.instrument }]
          },
          indicators: () => ({ seen: String(seen.length) }),
        })
      }),
    })
  }

  #broker(broker: Broker): Broker {
    return {
      ...broker,
      connect: this.#outside(broker.connect),
      submit: (order) => this.#outside(broker.submit(order)),
      cancel: (id, order) => this.#outside(broker.cancel(id, order)),
      order: (id, order) => this.#outside(broker.order(id, order)),
      openOrders: this.#outside(broker.openOrders),
      executions: (id, since) => this.#outside(broker.executions(id, since)),
      balances: this.#outside(broker.balances),
      stream: (sink) => this.#outside(broker.stream(sink)),
    }
  }

  #market(market: MarketData): MarketData {
    return {
      ...market,
      stream: (ids, sink) => this.#outside(market.stream(ids, sink)),
      quotes: (ids) => this.#outside(market.quotes(ids)),
      bars: (...wish) => this.#outside(market.bars(...wish)),
    }
  }
}

export const STALE_AFTER_MS = 3_000
export const paths = {
  journal: "root/journal",
  alerter: "root/alerter",
  account: `root/accounts/account:${VENUE}`,
  reconciler: `root/accounts/account:${VENUE}/${reconcilerOf(VENUE).id}`,
  executor: `root/accounts/account:${VENUE}/${executorOf(VENUE).id}`,
  risk: `root/accounts/account:${VENUE}/${riskManagerOf(VENUE).id}`,
  feed: `root/feeds/${feedOf(VENUE).id}`,
  strategies: "root/strategies",
  roster: "root/roster",
  operator: `root/accounts/${Operator.id}`,
  monitor: "root/outside/monitor",
} as const

/** One test on many interleavings: in order of arrival, and under some seeds. */
export function everySeed(name: string, body: (world: World) => void, options: WorldOptions = {}) {
  Deno.test(name, () => {
    for (const seed of [undefined, 1, 2, 3]) {
      const world = new World({ ...options, ...(seed !== undefined && { seed }) })
      try {
        body(world)
      } catch (error) {
        throw new Error(`on ${seed === undefined ? "first come, first served" : `seed ${seed}`}`, {
          cause: error,
        })
      }
    }
  })
}
