/**
 * From the command line to a running Keel.
 *
 * Opens the outside world (venues, disk, port), hands it to the actors as ports, and takes it all
 * down in the reverse order. Whatever can be wrong with the input is found before anything is
 * written.
 */
import { Clock, Effect, Random, type Scope } from "effect"
import { feedOf } from "../actors/feed.ts"
import { Journal, record } from "../actors/journal.ts"
import { portfolioKeeperOf } from "../actors/names.ts"
import { ReadModel } from "../actors/read_model.ts"
import {
  type ActorSystem,
  EventLoopDispatcher,
  start as startTree,
  type SupervisionReport,
} from "../actors/runtime/mod.ts"
import { tree } from "../actors/tree.ts"
import type { StartOptions } from "../cli.ts"
import { checkMode, type Config, fileName, loadConfig } from "../config.ts"
import type { Event } from "../domain/event.ts"
import type { RequestLimitView } from "../domain/overview.ts"
import { type SecretSource, type VenueKeys, venueKeys } from "../keys.ts"
import { limits } from "../limits.ts"
import { openKvEventStore } from "../storage/kv.ts"
import { strategies } from "../strategies/mod.ts"
import type { BucketUsage } from "../venues/governor.ts"
import type { ReplaySummary } from "../venues/simulator/binance.ts"
import { treeOptions } from "./actors.ts"
import { Edge, httpActor } from "./dashboard.ts"
import { newJournalId } from "./journal_id.ts"
import { countingStore, makeSettled, makeThaw } from "./lock_step.ts"
import { firstPrices } from "./ready.ts"
import { configFor, dataFolder, openReplay, playAll, type Replay, replayView } from "./replay.ts"
import { StartFailed, startFailed } from "./start_failed.ts"
import { openVenues, paperDoors, simulate, type Simulated } from "./venues.ts"

export const version = "0.1.0"

export interface Keel {
  readonly url: string
  readonly mode: Config["mode"]
  readonly model: ReadModel
  readonly system: ActorSystem
  /** The simulated venues that run in this process. */
  readonly simulated: Simulated
  /** Completes when every venue has a price, or is known to have none now. */
  readonly ready: Effect.Effect<void>
  /** Plays the recording to its end; absent without one. */
  readonly play: Effect.Effect<ReplaySummary, Error> | undefined
  /** Writes the end down, so that the next start knows that this was one. */
  readonly farewell: (reason: string) => Effect.Effect<void>
}

/** Of this process. */
export const secretSource: SecretSource = {
  variable: (name) => Deno.env.get(name),
  file: (path) => Deno.readTextFileSync(path),
}

/** Runs until the scope closes. */
export const startKeel = Effect.fn("startKeel")(function* (
  options: StartOptions,
): Effect.fn.Return<Keel, StartFailed, Scope.Scope> {
  const config = yield* Effect.mapError(
    loadConfig({ file: options.config, strategies }),
    startFailed,
  )
  yield* Effect.mapError(
    Effect.fromResult(checkMode(options.config ?? fileName, config.mode)),
    startFailed,
  )
  const replay = options.replay === undefined
    ? undefined
    : yield* openReplay(options.replay, options.speed ?? 1, config)
  yield* portIsFree(options)
  const keys = config.mode === "sim" ? undefined : yield* Effect.mapError(
    Effect.fromResult(venueKeys(config, secretSource)),
    startFailed,
  )
  const run = assemble(options, replay ? configFor(config, replay) : config, replay, keys)
  if (replay === undefined) return yield* run
  return yield* run.pipe(
    Effect.provideService(Clock.Clock, replay.clock.clock),
    Random.withSeed(String(options.seed)),
  )
})

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
  keys: VenueKeys | undefined,
): Effect.fn.Return<Keel, StartFailed, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  // With keys of the operator's the venue is asked first: a wrong key must leave nothing behind.
  const real = keys === undefined
    ? undefined
    : yield* openVenues(paperDoors(config, keys, options.data))
  const folder = replay === undefined ? options.data : yield* dataFolder(options.data)
  const opened = yield* Effect.mapError(openKvEventStore({ folder }), startFailed)
  const { store, pending } = countingStore(opened)
  const simulated = real === undefined ? yield* simulate(options, config, replay, folder) : {}
  const venues = real ?? (yield* openVenues(Object.values(simulated)))

  const model = new ReadModel({
    mode: config.mode,
    version,
    startedAt: now(),
    now,
    get instruments() {
      return venues.instruments
    },
    requests: (venue) => (venues.named(venue)?.usage() ?? []).map(requestLimit),
    labels: new Map(venues.doors.map(({ venue, label }) => [venue, label])),
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
    venues,
    store,
    model,
    started,
    system: () => model.system,
    edge: [httpActor(edge, options, config, model, now)],
  }))
  const system = yield* Effect.mapError(
    startTree(spec, { dispatcher: new EventLoopDispatcher() }),
    startFailed,
  )
  model.system = system
  edge.system = system
  yield* journalSupervision(system)
  // Added last, so that it comes first when all of this is taken down.
  yield* Effect.addFinalizer(() => Effect.sync(() => thaw?.start()))

  return {
    url: edge.url,
    mode: config.mode,
    model,
    system,
    simulated,
    ready: firstPrices(model, venues, now),
    play: replay && player(replay, simulated, { model, system, pending }),
    farewell: (reason) =>
      Effect.andThen(Effect.sync(() => thaw?.start()), farewell(system, model, reason)),
  }
})

/** Lock-step with the one simulated venue that can play a recording. */
function player(
  replay: Replay,
  { binance }: Simulated,
  { model, system, pending }: {
    readonly model: ReadModel
    readonly system: ActorSystem
    readonly pending: () => number
  },
) {
  if (binance === undefined) return undefined
  const { simulated, traffic, venue } = binance
  const settled = makeSettled({
    venue: simulated.traffic,
    traffic,
    storePending: pending,
    actorsIdle: () => system.idle(),
  })
  const isConnected = () =>
    model.books.accounts.get(venue)?.ready === true &&
    model.runners.size >= model.books.assignments.size
  // With the recording the clock stands still: no timer will show the last of it.
  const showTheEnd = Effect.gen(function* () {
    system.ref(feedOf(venue)).send({ _tag: "Show" })
    system.ref(portfolioKeeperOf(venue)).send({ _tag: "Value" })
    yield* settled
    model.changed()
  })
  return playAll(replay, simulated, settled, isConnected, traffic, showTheEnd)
}

function requestLimit({ bucket, bannedUntil, ...usage }: BucketUsage): RequestLimitView {
  const { used, limit, windowMs, waiting } = usage
  return {
    name: bucket,
    used,
    limit,
    windowMs,
    waiting,
    ...(bannedUntil !== undefined && { bannedUntil }),
  }
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
