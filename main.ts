/**
 * Puts Keel together and runs it.
 *
 * The only file that knows everybody: it reads what the operator wants, opens the outside world
 * (venue, disk, port), hands it to the actors as ports, and takes it all down in the reverse order.
 * Whatever can be wrong with the input is found before anything is written.
 */
import { Clock, Effect, Random, Redacted, Schema, type Scope } from "effect"
import { Journal, record } from "./actors/journal.ts"
import { prometheusText } from "./actors/metrics.ts"
import { feedOf } from "./actors/feed.ts"
import { Operator, portfolioKeeperOf } from "./actors/names.ts"
import { ReadModel, recordView } from "./actors/read_model.ts"
import {
  type ActorSystem,
  ask,
  AskError,
  behavior,
  type ChildSpec,
  EventLoopDispatcher,
  type ReplyTo,
  start as startTree,
  type SupervisionReport,
} from "./actors/runtime/mod.ts"
import { strategyRunner } from "./actors/strategy_runner.ts"
import { tree } from "./actors/tree.ts"
import { answer, readStart, type StartOptions } from "./cli.ts"
import { binanceKeys, checkMode, type Config, fileName, loadConfig } from "./config.ts"
import { type CommandReceipt, CommandRefused } from "./domain/command.ts"
import type { Event, JournalRecord } from "./domain/event.ts"
import type { Instrument, InstrumentId } from "./domain/instrument.ts"
import { type Assignment, assignmentId } from "./domain/strategy.ts"
import { makeApp } from "./http/app.tsx"
import type { HttpDeps } from "./http/ports.ts"
import { serve } from "./http/server.ts"
import { limits } from "./limits.ts"
import { layerLog, logOptions } from "./log.ts"
import { countingStore, makeSettled, makeThaw, passTimeUntil } from "./replay.ts"
import type { EventStore } from "./storage/event_store.ts"
import { openKvEventStore } from "./storage/kv.ts"
import { openVenueLedger } from "./storage/venue_ledger_kv.ts"
import { strategies } from "./strategies/mod.ts"
import { makeBroker } from "./venues/binance/broker.ts"
import { makeMarketData } from "./venues/binance/market_data.ts"
import { type Keys, makeRest } from "./venues/binance/rest.ts"
import { instrumentId, VENUE } from "./venues/binance/symbols.ts"
import type { Broker } from "./venues/broker.ts"
import type { MarketData } from "./venues/market_data.ts"
import {
  type ReplaySummary,
  type SimulatedBinance,
  startSimulatedBinance,
} from "./venues/simulator/binance.ts"
import { makeMemoryLedger } from "./venues/simulator/ledger.ts"
import { MarketClock } from "./venues/simulator/market_clock.ts"
import { openRecording, type Recording } from "./venues/simulator/recording.ts"
import type { Traffic } from "./venues/socket.ts"

export const version = "0.1.0"

/** One line for people. */
export class StartFailed extends Schema.TaggedError<StartFailed>()("StartFailed", {
  message: Schema.String,
}) {}

export interface Keel {
  readonly url: string
  readonly mode: Config["mode"]
  readonly model: ReadModel
  readonly system: ActorSystem
  /** The simulated venue that runs in this process, if one does. */
  readonly simulated: SimulatedBinance | undefined
  /** Completes when every configured instrument that has a market has a price. */
  readonly ready: Effect.Effect<void>
  /** Plays the recording to its end; absent without one. */
  readonly play: Effect.Effect<ReplaySummary, Error> | undefined
  /** Writes the end down, so that the next start knows that this was one. */
  readonly farewell: (reason: string) => Effect.Effect<void>
}

/** Everything the actors need of the outside. */
interface Outside {
  readonly market: MarketData
  readonly broker: Broker
  readonly instruments: ReadonlyArray<Instrument>
  readonly label: string
  readonly simulated: SimulatedBinance | undefined
  readonly traffic: Traffic
}

interface Replay {
  readonly recording: Recording
  readonly clock: MarketClock
  readonly speed: number
}

/** Market time before the recording begins, in which everything connects. */
const REPLAY_LEAD_MS = 5_000
const CONNECT_TIMEOUT_MS = 15_000

const endpoints = {
  paper: {
    rest: "https://testnet.binance.vision",
    stream: "wss://stream.testnet.binance.vision",
    wsApi: "wss://ws-api.testnet.binance.vision/ws-api/v3",
  },
} as const

/** Runs until the scope closes. */
export const startKeel = Effect.fn("startKeel")(function* (
  options: StartOptions,
): Effect.fn.Return<Keel, StartFailed, Scope.Scope> {
  const config = yield* Effect.mapError(
    loadConfig({ file: options.config, strategies }),
    failed,
  )
  yield* Effect.mapError(
    Effect.fromResult(checkMode(options.config ?? fileName, config.mode)),
    failed,
  )
  const replay = options.replay === undefined
    ? undefined
    : yield* openReplay(options.replay, options.speed ?? 1, config)
  yield* portIsFree(options)
  const keys = config.mode === "sim" ? undefined : yield* Effect.mapError(
    binanceKeys((name) => Deno.env.get(name)),
    failed,
  )
  const run = assemble(options, configFor(config, replay), replay, keys)
  if (replay === undefined) return yield* run
  return yield* run.pipe(
    Effect.provideService(Clock.Clock, replay.clock.clock),
    Random.withSeed(String(options.seed)),
  )
})

function failed(error: { readonly message: string }): StartFailed {
  return new StartFailed({ message: error.message })
}

const openReplay = Effect.fnUntraced(function* (path: string, speed: number, config: Config) {
  if (config.mode !== "sim") {
    return yield* new StartFailed({
      message: `--replay plays on the simulated venue; mode is ${config.mode}: use "mode": "sim"`,
    })
  }
  const recording = yield* Effect.mapError(openRecording(path), failed)
  return { recording, clock: new MarketClock(recording.startMs - REPLAY_LEAD_MS), speed }
})

/** A recording brings its own instruments, and every strategy trades them unless told otherwise. */
function configFor(config: Config, replay: Replay | undefined): Config {
  if (replay === undefined) return config
  const { format, symbols } = replay.recording
  const pairs = symbols.map(({ baseAsset, quoteAsset }) => `${baseAsset}/${quoteAsset}`)
  const ids = symbols.map(({ baseAsset, quoteAsset }) => instrumentId(baseAsset, quoteAsset))
  const chosen = config.strategies.filter(({ instrument }) => ids.includes(instrument))
  const notional = config.strategies[0]?.notional
  const everyOne = ids.flatMap((instrument) =>
    [...strategies.keys()].map((strategy) => ({ strategy, instrument }))
  )
  const assignments = new Map(chosen.map((each) => [each.id, each]))
  for (const { strategy, instrument } of everyOne) {
    const id = assignmentId(strategy, instrument)
    if (assignments.has(id) || notional === undefined) continue
    const interval = format === "bars" ? "1m" : "2s"
    assignments.set(id, { id, strategy, instrument, interval, params: {}, notional })
  }
  return {
    ...config,
    venues: { binance: { ...config.venues.binance, instruments: pairs } },
    strategies: [...assignments.values()],
  }
}

/** Asked before anything is written; taking the port for good comes later. */
const portIsFree = Effect.fnUntraced(function* ({ host, port }: StartOptions) {
  if (port === 0) return
  yield* Effect.try({
    try: () => Deno.listen({ hostname: host, port }).close(),
    catch: (cause) =>
      new StartFailed({
        message: cause instanceof Deno.errors.AddrInUse
          ? `port ${port} on ${host} is in use: stop the other program or start with --port 0`
          : `port ${port} on ${host} cannot be opened: ${
            cause instanceof Error ? cause.message : String(cause)
          }`,
      }),
  })
})

const assemble = Effect.fnUntraced(function* (
  options: StartOptions,
  config: Config,
  replay: Replay | undefined,
  keys: Keys | undefined,
): Effect.fn.Return<Keel, StartFailed, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  // With keys of the operator's the venue is asked first: a wrong key must leave nothing behind.
  const real = keys === undefined ? undefined : yield* reach(config, keys)
  const folder = yield* dataFolder(options, replay)
  const opened = yield* Effect.mapError(openKvEventStore({ folder }), failed)
  const { store, pending } = countingStore(opened)
  const outside = real ?? (yield* simulate(options, config, replay, folder))
  const { broker, instruments, simulated, traffic } = outside

  const model = new ReadModel({
    mode: config.mode,
    version,
    startedAt: now(),
    now,
    instruments,
    labels: new Map([[VENUE, outside.label]]),
    limits: limits.overview,
  })
  if (replay !== undefined) model.replay = () => replayView(replay)

  const thaw = replay === undefined ? undefined : makeThaw(replay.clock)
  yield* Effect.addFinalizer(() => Effect.sync(() => thaw?.stop()))
  const edge = new Edge()
  const journalId = yield* newJournalId
  const started: Event = { _tag: "RuntimeStarted", mode: config.mode, version, journalId }
  const spec = tree(treeOptions({
    config,
    outside,
    store,
    model,
    started,
    system: () => model.system,
    edge: [httpActor(edge, options, config, model, now)],
  }))
  const system = yield* Effect.mapError(
    startTree(spec, { dispatcher: new EventLoopDispatcher() }),
    failed,
  )
  model.system = system
  edge.system = system
  yield* journalSupervision(system)
  // Added last, so that it comes first when all of this is taken down.
  yield* Effect.addFinalizer(() => Effect.sync(() => thaw?.start()))

  const settled = simulated === undefined ? Effect.void : makeSettled({
    venue: simulated.traffic,
    traffic,
    storePending: pending,
    actorsIdle: () => system.idle(),
  })
  const isConnected = () =>
    model.books.accounts.get(VENUE)?.ready === true &&
    model.runners.size >= model.books.assignments.size
  // With the recording the clock stands still: no timer will show the last of it.
  const showTheEnd = Effect.gen(function* () {
    system.ref(feedOf(broker.venue)).send({ _tag: "Show" })
    system.ref(portfolioKeeperOf(broker.venue)).send({ _tag: "Value" })
    yield* settled
    model.changed()
  })
  return {
    url: edge.url,
    mode: config.mode,
    model,
    system,
    simulated,
    ready: firstPrices(model, broker.venue),
    play: replay === undefined || simulated === undefined
      ? undefined
      : playAll(replay, simulated, settled, isConnected, traffic, showTheEnd),
    farewell: (reason) =>
      Effect.andThen(Effect.sync(() => thaw?.start()), farewell(system, model, reason)),
  }
})

/** Random where the run is live, seeded where it is a replay. */
const newJournalId = Effect.map(
  Effect.forEach(Array.from({ length: 8 }), () => Random.nextIntBetween(0, 36)),
  (digits) => digits.map((digit) => digit.toString(36)).join(""),
)

/** A replay begins with an empty account every time, and keeps out of the journal of other runs. */
const dataFolder = Effect.fnUntraced(function* (
  { data }: StartOptions,
  replay: Replay | undefined,
) {
  if (replay === undefined) return data
  const folder = `${data}/replay`
  yield* Effect.tryPromise({
    try: () => Deno.remove(folder, { recursive: true }),
    catch: (cause) => cause,
  }).pipe(
    Effect.catch((cause) =>
      cause instanceof Deno.errors.NotFound ? Effect.void : Effect.fail(
        new StartFailed({
          message: `${folder} cannot be emptied (${
            cause instanceof Error ? cause.message : String(cause)
          }): choose another folder with --data`,
        }),
      )
    ),
  )
  return folder
})

// ---- the venue ---------------------------------------------------------------------------

/** A real venue, or any that speaks its protocol: asked who it is before anything else happens. */
const reach = Effect.fnUntraced(function* (config: Config, keys: Keys) {
  const { restUrl, streamUrl, wsApiUrl } = config.venues.binance
  const outside = yield* connect(config, keys, {
    rest: restUrl ?? endpoints.paper.rest,
    stream: streamUrl ?? endpoints.paper.stream,
    wsApi: wsApiUrl ?? endpoints.paper.wsApi,
  }, undefined)
  yield* Effect.mapError(outside.broker.connect, (error) =>
    new StartFailed({
      message: error.reason._tag === "Forbidden"
        ? `${error.message}: check BINANCE_API_KEY and BINANCE_API_SECRET`
        : error.message,
    }))
  return outside
})

const simulate = Effect.fnUntraced(function* (
  options: StartOptions,
  config: Config,
  replay: Replay | undefined,
  folder: string,
) {
  // The venue's books outlive this process as a real venue's would; a replay's are its own.
  const ledger = replay === undefined
    ? yield* Effect.mapError(openVenueLedger(`${folder}/venue.db`), failed)
    : makeMemoryLedger()
  const secret = crypto.randomUUID()
  const simulated = yield* Effect.mapError(
    startSimulatedBinance({
      host: "127.0.0.1",
      port: 0,
      key: "keel-sim",
      secret,
      market: replay === undefined
        ? { kind: "synthetic", seed: options.seed }
        : { kind: "recording", recording: replay.recording, clock: replay.clock },
      ledger,
      ...(replay !== undefined && { balances: fundsFor(replay) }),
    }),
    failed,
  )
  const { rest, ws, wsApi } = simulated.endpoints
  const keys = { key: Redacted.make(simulated.key), secret: Redacted.make(simulated.secret) }
  return yield* connect(config, keys, { rest, stream: ws, wsApi }, simulated)
})

/** Whatever the recorded instruments are paid in. */
function fundsFor({ recording }: Replay): Readonly<Record<string, string>> {
  return Object.fromEntries(recording.symbols.map(({ quoteAsset }) => [quoteAsset, "100000"]))
}

const connect = Effect.fnUntraced(function* (
  { mode, venues }: Config,
  keys: Keys,
  urls: { readonly rest: string; readonly stream: string; readonly wsApi: string },
  simulated: SimulatedBinance | undefined,
): Effect.fn.Return<Outside, StartFailed> {
  const traffic: Traffic = { framesReceived: 0, requestsOpen: 0 }
  const { liveness: policy, orders, account } = limits
  const rest = yield* makeRest({
    url: urls.rest,
    keys,
    timeoutMs: orders.requestTimeoutMs,
    recvWindowMs: orders.recvWindowMs,
    wallClockMs: () => Date.now(),
    traffic,
  })
  const ids = venues.binance.instruments.map((pair) => `${pair}.BINANCE`)
  const market = makeMarketData({ streamUrl: urls.stream, rest, policy, traffic })
  const instruments = yield* Effect.mapError(market.instruments(ids), failed)
  const unknown = ids.find((id) => !instruments.some((each) => each.id === id))
  if (unknown !== undefined) {
    return yield* new StartFailed({ message: `${urls.rest} does not trade ${unknown}` })
  }
  const broker = makeBroker({
    wsApiUrl: urls.wsApi,
    rest,
    keys,
    policy,
    traffic,
    quoteAsset: instruments[0]?.quote ?? "USDT",
    instruments: ids,
    recvWindowMs: orders.recvWindowMs,
    subscribeTimeoutMs: account.subscribeTimeoutMs,
  })
  const label = `Binance ${simulated === undefined ? mode : "simulated"}`
  return { market, broker, instruments, label, simulated, traffic }
})

// ---- the tree ------------------------------------------------------------------------------

function treeOptions(parts: {
  readonly config: Config
  readonly outside: Outside
  readonly store: EventStore
  readonly model: ReadModel
  readonly started: Event
  readonly system: () => ActorSystem | undefined
  readonly edge: ReadonlyArray<ChildSpec>
}) {
  const { config, outside, store, model, started, system, edge } = parts
  const { broker, instruments, market } = outside
  const { account, mailbox, monitor, operator, orders, reconnect, restart } = limits
  const venue = broker.venue
  return {
    intensity: restart.intensity,
    periodMs: restart.periodMs,
    journal: {
      store,
      started,
      mailboxMax: mailbox.journal,
      recentMax: limits.journal.recentMax,
      readPage: limits.journal.pageSize,
    },
    alerter: { mailboxMax: mailbox.account, attemptsMax: reconnect.attemptsMax },
    accounts: [{
      venue,
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
        venue,
        instruments,
        limits: config.risk,
        mailboxMax: mailbox.account,
        pendingForMs: orders.pendingForMs,
      },
      portfolioKeeper: {
        venue,
        mailboxMax: mailbox.account,
        valueEveryMs: account.valueEveryMs,
        markEveryMs: account.markEveryMs,
      },
    }],
    feeds: [{
      market,
      instruments: instruments.map(({ id }) => id),
      staleAfterMs: config.venues.binance.staleAfterMs,
      backoff: reconnect,
      mailboxMax: mailbox.feed,
      ...limits.feed,
    }],
    roster: {
      system,
      runner: (assignment: Assignment) => runnerFor(assignment, outside, config),
      configured: config.strategies,
      mailboxMax: mailbox.account,
    },
    operator: {
      instruments,
      brokers: [broker],
      system,
      checkStrategy,
      mayCrash: config.mode === "sim",
      mailboxMax: mailbox.account,
      ...operator,
    },
    monitor: {
      model,
      markets: [market],
      instruments,
      mailboxMax: mailbox.monitor,
      refreshEveryMs: monitor.refreshEveryMs,
      timeoutMs: account.reconcileTimeoutMs,
      chartBars: monitor.chartBars,
    },
    edge,
  }
}

function runnerFor(assignment: Assignment, { instruments, market }: Outside, config: Config) {
  const instrument = instruments.find(({ id }) => id === assignment.instrument)
  const entry = strategies.get(assignment.strategy)
  if (instrument === undefined || entry === undefined) return undefined
  return strategyRunner({
    assignment,
    instrument,
    start: entry.start(assignment.instrument, assignment.params),
    history: market.bars,
    mailboxMax: limits.mailbox.runner,
    staleAfterMs: config.venues.binance.staleAfterMs,
    ...limits.runner,
  })
}

function checkStrategy(name: string, instrument: InstrumentId, params: unknown) {
  const entry = strategies.get(name)
  return entry === undefined
    ? Effect.fail(
      new StartFailed({
        message: `strategy must be one of ${[...strategies.keys()].join(", ")}`,
      }),
    )
    : Effect.asVoid(entry.start(instrument, params))
}

/** Restarts and failures belong to the audit trail as much as orders do. */
const journalSupervision = Effect.fnUntraced(function* (system: ActorSystem) {
  const causes = new Map<string, string>()
  const stop = system.onReport((report) => {
    if (report.kind === "crashed" && report.cause) causes.set(report.path, report.cause)
    const event = supervisionEvent(report, causes.get(report.path))
    if (event === undefined) return
    causes.delete(report.path)
    system.ref(Journal).send({ _tag: "Append", events: [event], after: 0, reply: undefined })
  })
  yield* Effect.addFinalizer(() => Effect.sync(stop))
})

/** `crash` is the actor's own; without one it was restarted along with a sibling, or by hand. */
function supervisionEvent(
  { kind, path, cause, restarts }: SupervisionReport,
  crash: string | undefined,
): Event | undefined {
  if (kind === "restarted") {
    const why = crash ?? cause ?? "the restart of another, or of the operator"
    return { _tag: "ActorRestarted", path, cause: why, restarts }
  }
  if (kind === "escalated" || kind === "abandoned") {
    return { _tag: "ActorFailed", path, cause: cause ?? kind }
  }
}

const farewell = Effect.fnUntraced(function* (
  system: ActorSystem,
  model: ReadModel,
  reason: string,
) {
  yield* record(system, model.books, [{ _tag: "RuntimeStopped", reason }]).pipe(
    Effect.timeoutOption(limits.stopMs / 3),
    Effect.ignore,
  )
})

// ---- the edge ------------------------------------------------------------------------------

/** Known only once the tree stands, needed by the server inside it. */
class Edge {
  system: ActorSystem | undefined
  url = ""
}

function httpActor(
  edge: Edge,
  options: StartOptions,
  config: Config,
  model: ReadModel,
  now: () => number,
) {
  // After a restart of the server alone browsers must find it where it was.
  let port = options.port
  return behavior<null, never>({
    name: "http",
    restart: "permanent",
    mailbox: { capacity: 1, overflow: "reject" },
    backoff: limits.restart.backoff,
    init: Effect.fnUntraced(function* () {
      const hostnames = new Set(["localhost", "127.0.0.1", "[::1]", ...config.server.hostnames])
      const app = makeApp(httpDeps(edge, model, hostnames, now))
      const server = yield* serve(app, { hostname: options.host, port })
      port = server.port
      edge.url = server.url
      return null
    }),
    receive: (state) => state,
  })
}

function httpDeps(
  edge: Edge,
  model: ReadModel,
  hostnames: ReadonlySet<string>,
  now: () => number,
): HttpDeps {
  return {
    overview: model.overview,
    onChange: model.onChange,
    onRecord: model.onRecord,
    readRecords: (after, limit) => readRecords(edge, after, limit),
    series: model.series,
    instruments: () => model.options.instruments.map(({ id }) => id),
    submit: (command) =>
      Effect.runPromise(
        ask(
          systemOf(edge).ref(Operator),
          (reply: ReplyTo<CommandReceipt>) => ({ _tag: "Submit", command, reply }) as const,
          { timeoutMs: limits.account.reconcileTimeoutMs },
        ).pipe(Effect.mapError((error) =>
          error instanceof AskError && error.cause instanceof CommandRefused ? error.cause : error
        )),
      ),
    progress: (commandId) => model.progress(commandId),
    metrics: () => prometheusText(model.overview()),
    health: () => healthOf(model),
    orders: model.allOrders,
    fills: model.allFills,
    strategies: () =>
      [...strategies.values()].map(({ name, title, description, settings }) => ({
        name,
        title,
        description,
        params: settings,
      })),
    newId: () => crypto.randomUUID(),
    now,
    hostnames,
  }
}

function systemOf(edge: Edge): ActorSystem {
  if (edge.system === undefined) throw new Error("the runtime is still starting")
  return edge.system
}

function readRecords(edge: Edge, after: number, limit: number) {
  return Effect.runPromise(
    ask(
      systemOf(edge).ref(Journal),
      (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
        ({ _tag: "Read", after, limit, reply }) as const,
      { timeoutMs: limits.account.reconcileTimeoutMs },
    ).pipe(Effect.map((records) => records.map(recordView))),
  )
}

function healthOf(model: ReadModel): ReturnType<HttpDeps["health"]> {
  const { accounts, feeds, actors } = model.overview()
  const reasons = [
    ...accounts.filter(({ status }) => status !== "ready").map(({ venue, status }) =>
      `account ${venue} is ${status}`
    ),
    ...feeds.filter(({ status }) => status !== "streaming").map(({ venue, status }) =>
      `feed ${venue} is ${status}`
    ),
    ...(feeds.length === 0 ? ["no feed has reported yet"] : []),
  ]
  const live = actors.some(({ path, status }) => path === "root" && status === "running")
  return { live, ready: live && reasons.length === 0, reasons }
}

// ---- running -------------------------------------------------------------------------------

const firstPrices = Effect.fnUntraced(function* (model: ReadModel, venue: string) {
  yield* Effect.callback<void>((resume) => {
    const look = () => {
      const feed = model.feeds.get(venue)
      if (!feed?.instruments.some(({ ageMs }) => ageMs !== null)) return
      stop()
      resume(Effect.void)
    }
    const stop = model.onChange(look)
    look()
    return Effect.sync(stop)
  })
})

const replayed = { finished: new WeakSet<Replay>() }

function replayView(replay: Replay) {
  const { path, startMs, endMs } = replay.recording
  const atMs = Math.min(Math.max(replay.clock.nowMs, startMs), endMs)
  const finished = replayed.finished.has(replay)
  return { file: path, speed: replay.speed, startMs, endMs, atMs, finished }
}

const playAll = Effect.fnUntraced(function* (
  replay: Replay,
  simulated: SimulatedBinance,
  settled: Effect.Effect<void>,
  isConnected: () => boolean,
  traffic: Traffic,
  showTheEnd: Effect.Effect<void>,
) {
  const pacing = Clock.Clock.defaultValue()
  // Both streams have acknowledged what was asked of them, and history has been read.
  const isReady = () => isConnected() && traffic.framesReceived >= 2
  const connected = yield* passTimeUntil(replay.clock, settled, isReady, pacing, CONNECT_TIMEOUT_MS)
  if (!connected) {
    return yield* new StartFailed({ message: "the replay could not connect to its own venue" })
  }
  const summary = yield* simulated.play({ speed: replay.speed, pacing, settled })
  replayed.finished.add(replay)
  yield* showTheEnd
  return summary
})

async function main(): Promise<number> {
  const { options } = answer(readStart(Deno.args, (name) => Deno.env.get(name)))
  const stop = Promise.withResolvers<string>()
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.resolve(signal))
  }
  const program = Effect.gen(function* () {
    const keel = yield* startKeel(options)
    const told = Effect.promise(() => stop.promise)
    const play = keel.play === undefined
      ? Effect.void
      : Effect.flatMap(keel.play, (summary) =>
        Effect.sync(() => console.log(replayLine(keel, summary))))
    yield* Effect.forkScoped(Effect.catch(play, (error) =>
      Effect.sync(() => {
        console.error(`keel: ${error.message}`)
        stop.resolve("failed")
      })))
    yield* Effect.forkScoped(
      Effect.andThen(
        keel.ready,
        Effect.sync(() => console.log(`keel ready url=${keel.url} mode=${keel.mode}`)),
      ),
    )
    const ended = Effect.map(keel.system.ended, ({ cause, reason }) => `failed: ${cause ?? reason}`)
    const reason = yield* Effect.raceFirst(told, ended)
    if (reason.startsWith("SIG")) yield* keel.farewell(reason)
    else console.error(`keel: stopped, ${reason}`)
    return reason.startsWith("SIG") ? 0 : 1
  })
  return await Effect.runPromise(
    Effect.scoped(program).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          console.error(`keel: ${error.message}`)
          return 1
        })
      ),
      Effect.provide(layerLog(logOptions(options.logLevel, secretsHere()))),
    ),
  )
}

/** Whatever of them is set must never be printed, by whichever library. */
function secretsHere(): ReadonlyArray<Redacted.Redacted> {
  return ["BINANCE_API_KEY", "BINANCE_API_SECRET"]
    .map((name) => Deno.env.get(name)?.trim() ?? "")
    .filter((value) => value !== "")
    .map((value) => Redacted.make(value))
}

function replayLine(keel: Keel, summary: ReplaySummary): string {
  const trades = Object.entries(summary.trades).map(([symbol, { sent, lastTradeId }]) =>
    `${symbol}=${sent} last=${lastTradeId}`
  )
  const { equity } = keel.model.overview()
  return `keel replay finished events=${summary.events} trades ${trades.join(" ")} ` +
    `orders=${keel.model.books.intents.get(VENUE) ?? 0} equity=${equity.total}`
}

if (import.meta.main) Deno.exit(await main())
