/**
 * Keel whole on virtual time: the real tree, the real adapters and a simulated venue, talking over
 * sockets on loopback, in lock-step.
 *
 * One clock is everybody's: the runtime's, the venue's, and the network's, by which silence is
 * measured. It goes from one sleeper to the next, and only when everything under way has been
 * digested. So a minute takes seconds, and a scenario has one timeline.
 */
import assert from "node:assert/strict"
import { Clock, Effect, Exit, Logger, Option, Random, Scope } from "effect"
import { Operator, riskManagerOf } from "../../actors/names.ts"
import { ReadModel } from "../../actors/read_model.ts"
import { type ActorSystem, EventLoopDispatcher, start } from "../../actors/runtime/mod.ts"
import { strategyRunner } from "../../actors/strategy_runner.ts"
import { tree, type TreeOptions } from "../../actors/tree.ts"
import { treeOptions } from "../../assembly/actors.ts"
import { countingStore, makeSettled } from "../../assembly/lock_step.ts"
import type { OpenVenue, VenueDoor } from "../../assembly/venue.ts"
import { openVenues } from "../../assembly/venues.ts"
import { applyRecord, type Books, emptyBooks } from "../../domain/books.ts"
import { decimal } from "../../domain/decimal.ts"
import { decodeEvent, type EventOf, type EventTag, type JournalRecord } from "../../domain/event.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Bar } from "../../domain/market.ts"
import { type Assignment, assignmentId, type StrategyEvent } from "../../domain/strategy.ts"
import { limits } from "../../limits.ts"
import { decodeRecord } from "../../storage/event_store.ts"
import { emptyDisk, type MemoryDisk, openMemoryDisk } from "../../storage/memory.ts"
import type { Fault } from "../../venues/simulator/fault.ts"
import type { Strike } from "../../venues/simulator/faults.ts"
import { MarketClock } from "../../venues/simulator/market_clock.ts"
import { Network, type Traffic } from "../../venues/socket.ts"
import { chaosConfig } from "./config.ts"

/** A venue that runs here, and the way to it. */
export interface Wired extends VenueDoor {
  /** Our side of the wire. */
  readonly traffic: Traffic
  readonly simulated: {
    readonly arm: (fault: Fault) => Effect.Effect<string, { readonly message: string }>
    readonly faults: {
      readonly disarm: (id?: string) => boolean
      readonly journal: ReadonlyArray<Strike>
    }
    /** Frames it has handed to sockets; requests it works on. */
    readonly traffic: () => { readonly framesSent: number; readonly requestsOpen: number }
  }
}

export interface WorldOptions {
  readonly seed?: number
  /** Epoch milliseconds at which everything begins. */
  readonly startMs?: number
  /** Starts the venue; everything in it runs on the world's clock. */
  readonly wire: Effect.Effect<Wired, { readonly message: string }, Scope.Scope>
  /** What the strategy trades; by default everything. */
  readonly trade?: ReadonlyArray<InstrumentId>
  readonly interval?: string
  readonly change?: (options: TreeOptions) => TreeOptions
  /** When it may be told what happens to it; by default when it streams, reconciled and warm. */
  readonly isReady?: (world: ChaosWorld) => boolean
}

/** 2026-01-05 15:00 UTC: a Monday, half an hour into the core session of US shares. */
export const START_MS = 1_767_625_200_000
const STRATEGY = "there_and_back"
const READY_WITHIN_MS = 20_000

export class ChaosWorld implements AsyncDisposable {
  readonly seen = new Map<string, Array<StrategyEvent>>()
  readonly #disk: MemoryDisk = emptyDisk()
  readonly #records: Array<JournalRecord> = []
  readonly #books = emptyBooks()
  readonly #scope = Scope.makeUnsafe()
  readonly #clock: MarketClock
  readonly #network: CountingNetwork
  readonly #aside = countSignatures()
  readonly #settled: () => Promise<void>
  #storePending = () => 0
  #system: ActorSystem | undefined
  #wired: Wired | undefined
  #venue: OpenVenue | undefined
  #model: ReadModel | undefined

  private constructor(readonly options: WorldOptions) {
    this.#clock = new MarketClock(options.startMs ?? START_MS)
    this.#network = new CountingNetwork(this.#clock)
    const none = { framesSent: 0, framesReceived: 0, requestsOpen: 0 }
    const ours = () => this.#wired?.traffic ?? none
    const settled = makeSettled({
      venue: () => this.#wired?.simulated.traffic() ?? none,
      traffic: {
        get framesReceived() {
          return ours().framesReceived
        },
        get requestsOpen() {
          return ours().requestsOpen
        },
      },
      storePending: () => this.#storePending(),
      actorsIdle: () => this.#system?.idle() ?? true,
      faulty: {
        network: this.#network,
        aside: this.#aside.pending,
        strikes: () => this.#wired?.simulated.faults.journal ?? [],
      },
    })
    this.#settled = () => Effect.runPromise(settled)
  }

  /** The venue is up, prices stream, the account is reconciled and the strategies are warm. */
  static async start(options: WorldOptions): Promise<ChaosWorld> {
    const world = new ChaosWorld(options)
    try {
      await world.#start()
    } catch (error) {
      await world[Symbol.asyncDispose]()
      throw error
    }
    return world
  }

  async #start() {
    const wired = await this.run(this.options.wire)
    this.#wired = wired
    const venues = await this.run(openVenues([wired]))
    const venue = venues.open[0]
    assert.ok(venue)
    this.#venue = venue
    const model = new ReadModel({
      mode: "sim",
      version: "test",
      startedAt: this.now,
      now: () => this.now,
      instruments: venues.instruments,
      labels: new Map([[venue.venue, wired.label]]),
      limits: limits.overview,
    })
    this.#model = model
    const { pending, store } = countingStore(Effect.runSync(openMemoryDisk(this.#disk)))
    this.#storePending = pending
    const options = treeOptions({
      config: chaosConfig(this.assignments),
      venues,
      store,
      model,
      started: { _tag: "RuntimeStarted", mode: "sim", version: "test", journalId: "chaos" },
      system: () => this.#system,
      edge: [],
    })
    const roster = {
      ...options.roster,
      runner: (assignment: Assignment) => this.#runner(assignment, venue),
    }
    const spec = tree((this.options.change ?? ((same) => same))({ ...options, roster }))
    this.#system = await this.run(start(spec, { dispatcher: new EventLoopDispatcher() }))
    model.system = this.#system
    const isReady = this.options.isReady ?? isTrading
    await this.until(() => isReady(this), READY_WITHIN_MS)
  }

  get now(): number {
    return this.#clock.nowMs
  }

  /** Times at which a connection was begun, whichever it was. */
  get connectsAt(): ReadonlyArray<number> {
    return this.#network.connectsAt
  }

  get wired(): Wired {
    assert.ok(this.#wired)
    return this.#wired
  }

  get venue(): OpenVenue {
    assert.ok(this.#venue)
    return this.#venue
  }

  get system(): ActorSystem {
    assert.ok(this.#system)
    return this.#system
  }

  get model(): ReadModel {
    assert.ok(this.#model)
    return this.#model
  }

  // ---- time --------------------------------------------------------------------------------

  /** Lets time pass, from sleeper to sleeper. */
  async advance(ms: number): Promise<this> {
    const until = this.#clock.nowMs + ms
    await this.#settled()
    while (this.#clock.nextDeadline !== undefined && this.#clock.nextDeadline <= until) {
      this.#clock.advanceTo(this.#clock.nextDeadline)
      await this.#settled()
    }
    this.#clock.advanceTo(until)
    return this
  }

  /** Until `isTrue`; fails with the timeline since `since` when that takes longer than `limitMs`. */
  async until(isTrue: () => boolean, limitMs = 60_000, since = 0): Promise<this> {
    const end = this.#clock.nowMs + limitMs
    await this.#settled()
    while (!isTrue()) {
      const next = this.#clock.nextDeadline ?? Infinity
      if (next > end) {
        const told = this.records().filter(({ seq }) => seq > since).slice(-40)
          .map(({ time, event }) => `${time - this.now} ${JSON.stringify(event)}`)
        throw new Error(`not within ${limitMs} ms: ${isTrue}\n${told.join("\n")}`)
      }
      this.#clock.advanceTo(next)
      await this.#settled()
    }
    return this
  }

  /** Runs it on this world's time, to its end. */
  async run<A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> {
    const fiber = Effect.runFork(this.#provide(effect))
    for (let turn = 0;; turn++) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return await Effect.runPromise(exit)
      await this.#settled()
      // What is done by the platform alone (a port that opens) has its time.
      if (turn % 8 !== 7 || this.#clock.nextDeadline === undefined) {
        await new Promise((done) => setImmediate(done))
      } else this.#clock.advanceTo(this.#clock.nextDeadline)
    }
  }

  readonly #provide = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
    effect.pipe(
      Scope.provide(this.#scope),
      Effect.provideService(Clock.Clock, this.#clock.clock),
      Effect.provideService(Network, this.#network),
      Random.withSeed(String(this.options.seed ?? 1)),
      Effect.provide(Logger.layer([])),
    )

  // ---- what happens to it --------------------------------------------------------------------

  async arm(fault: Fault): Promise<string> {
    return await this.run(this.wired.simulated.arm(fault))
  }

  disarm(id: string) {
    this.wired.simulated.faults.disarm(id)
  }

  strikes(id: string): ReadonlyArray<Strike> {
    return this.wired.simulated.faults.journal.filter(({ faultId }) => faultId === id)
  }

  /** As an operator would who has seen to what was wrong. */
  resume() {
    this.system.ref(Operator).send({
      _tag: "Submit",
      command: { type: "resume", scope: { kind: "all" }, commandId: `resume-${this.now}` },
      reply: { succeed: () => {}, fail: () => {} },
    })
  }

  /** As its strategy would. */
  signal(intent: "enter" | "exit", instrument: InstrumentId) {
    this.system.ref(riskManagerOf(this.venue.venue)).send({
      _tag: "Signalled",
      runner: assignmentId(STRATEGY, instrument),
      notional: decimal("500"),
      signal: { instrument, intent, price: decimal("100"), reason: "asked" },
    })
  }

  // ---- what it says --------------------------------------------------------------------------

  /** Everything that is durable, in order. */
  records(): ReadonlyArray<JournalRecord> {
    const read = this.#records.length
    for (const [index, bytes] of this.#disk.events.slice(read).entries()) {
      const { event, ...rest } = Option.getOrThrow(decodeRecord(read + index + 1, bytes))
      const record = { ...rest, event: Effect.runSync(decodeEvent(event)) }
      this.#records.push(record)
      applyRecord(this.#books, record)
    }
    return this.#records
  }

  get books(): Books {
    this.records()
    return this.#books
  }

  /** Where the journal ends now. */
  get mark(): number {
    return this.#disk.events.length
  }

  all<Tag extends EventTag>(tag: Tag, after = 0): ReadonlyArray<EventOf<Tag>> {
    return this.records().flatMap(({ seq, event }) =>
      seq > after && event._tag === tag ? [event as EventOf<Tag>] : []
    )
  }

  /** As the newest incarnation of the strategy on `instrument` has seen them, history included. */
  bars(instrument: InstrumentId): ReadonlyArray<Bar> {
    const events = this.seen.get(assignmentId(STRATEGY, instrument)) ?? []
    return events.filter((each) => each._tag === "Bar")
  }

  get assignments(): ReadonlyArray<Assignment> {
    const ids = this.options.trade ?? this.wired.config.instruments
    return ids.map((instrument) => ({
      id: assignmentId(STRATEGY, instrument),
      strategy: STRATEGY,
      instrument,
      interval: this.options.interval ?? "1s",
      params: {},
      notional: decimal("500"),
    }))
  }

  async [Symbol.asyncDispose]() {
    const closing = Effect.runPromise(Scope.close(this.#scope, Exit.void))
    let closed = false
    closing.finally(() => closed = true)
    // Who waits for its own timeouts must have them.
    while (!closed) {
      await new Promise((done) => setTimeout(done, 1))
      this.#clock.advanceTo(this.#clock.nextDeadline ?? this.#clock.nowMs)
    }
    await closing
    this.#aside.stop()
  }

  // ---- putting together ------------------------------------------------------------------------

  /** In after every bar that finds it out, and out after the next: so there is always an order to spoil. */
  #runner(assignment: Assignment, { config, instruments, market }: OpenVenue) {
    const instrument = instruments.find(({ id }) => id === assignment.instrument)
    if (instrument === undefined) return undefined
    return strategyRunner({
      assignment,
      instrument,
      history: market.bars,
      mailboxMax: limits.mailbox.runner,
      staleAfterMs: config.staleAfterMs,
      ...limits.runner,
      start: Effect.sync(() => {
        const seen: Array<StrategyEvent> = []
        this.seen.set(assignment.id, seen)
        let isHolding = false
        return {
          warmUpBars: 3,
          step: (event: StrategyEvent) => {
            seen.push(event)
            if (event._tag === "HoldingChanged") isHolding = event.quantity.value > 0n
            if (event._tag !== "Bar") return []
            const intent = isHolding ? "exit" as const : "enter" as const
            return [{
              instrument: assignment.instrument,
              intent,
              price: event.close,
              reason: "there and back",
            }]
          },
          indicators: () => ({ seen: String(seen.length) }),
        }
      }),
    })
  }
}

function isTrading({ books, model, venue, assignments }: ChaosWorld): boolean {
  return books.accounts.get(venue.venue)?.ready === true &&
    books.feeds.get(venue.venue)?.status === "streaming" &&
    assignments.every(({ id }) => model.runners.get(id)?.status === "running")
}

/** Remembers when connections were begun. */
class CountingNetwork implements Network {
  readonly clock: Clock.Clock
  readonly connectsAt = new Array<number>()
  pingsOpen = 0
  stirred = 0
  #handshakesOpen = 0

  constructor(private readonly market: MarketClock) {
    this.clock = market.clock
  }

  get handshakesOpen(): number {
    return this.#handshakesOpen
  }

  set handshakesOpen(open: number) {
    if (open > this.#handshakesOpen) this.connectsAt.push(this.market.nowMs)
    this.#handshakesOpen = open
  }
}

/** Signing is done by threads of the platform, which no other count sees. */
function countSignatures(): { readonly pending: () => number; readonly stop: () => void } {
  let pending = 0
  const { subtle } = crypto
  const names = ["importKey", "sign"] as const
  const originals = names.map((name) => [name, subtle[name]] as const)
  for (const [name, original] of originals) {
    Object.defineProperty(subtle, name, {
      configurable: true,
      value: (...args: ReadonlyArray<unknown>) => {
        pending++
        return Promise.resolve(Reflect.apply(original, subtle, args)).finally(() => pending--)
      },
    })
  }
  return {
    pending: () => pending,
    stop: () => names.forEach((name) => Reflect.deleteProperty(subtle, name)),
  }
}
