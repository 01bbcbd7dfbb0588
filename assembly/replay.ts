/**
 * A recording instead of a market: what it changes about a run, and how it is played.
 *
 * It is a recording of Binance, so only Binance is simulated, on a clock of its own and with an
 * account that begins empty every time.
 */
import { Clock, Effect } from "effect"
import type { BinanceConfig, Config } from "../config.ts"
import { assignmentId } from "../domain/strategy.ts"
import { strategies } from "../strategies/mod.ts"
import { instrumentId } from "../venues/binance/symbols.ts"
import type { SimulatedBinance } from "../venues/simulator/binance.ts"
import { MarketClock } from "../venues/simulator/market_clock.ts"
import { openRecording, type Recording } from "../venues/simulator/recording.ts"
import type { Traffic } from "../venues/socket.ts"
import { passTimeUntil } from "./lock_step.ts"
import { StartFailed, startFailed } from "./start_failed.ts"

export interface Replay {
  readonly recording: Recording
  readonly clock: MarketClock
  readonly speed: number
}

/** Market time before the recording begins, in which everything connects. */
const REPLAY_LEAD_MS = 5_000
const CONNECT_TIMEOUT_MS = 15_000

export const openReplay = Effect.fnUntraced(
  function* (path: string, speed: number, config: Config) {
    if (config.mode !== "sim") {
      return yield* new StartFailed({
        message: `--replay plays on the simulated venue; mode is ${config.mode}: use "mode": "sim"`,
      })
    }
    const recording = yield* Effect.mapError(openRecording(path), startFailed)
    return { recording, clock: new MarketClock(recording.startMs - REPLAY_LEAD_MS), speed }
  },
)

/** Where the configuration has no Binance. */
const usual: BinanceConfig = {
  isRequired: true,
  instruments: [],
  staleAfterMs: 3_000,
  staleAfterMsOf: new Map(),
}

/** A recording brings its own instruments, and every strategy trades them unless told otherwise. */
export function configFor(config: Config, replay: Replay): Config {
  const { format, symbols } = replay.recording
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
    venues: { binance: { ...(config.venues.binance ?? usual), instruments: ids } },
    strategies: [...assignments.values()],
  }
}

/** Whatever the recorded instruments are paid in. */
export function fundsFor({ recording }: Replay): Readonly<Record<string, string>> {
  return Object.fromEntries(recording.symbols.map(({ quoteAsset }) => [quoteAsset, "100000"]))
}

/** A replay begins with an empty account every time, and keeps out of the journal of other runs. */
export const dataFolder = Effect.fnUntraced(function* (data: string) {
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

const replayed = { finished: new WeakSet<Replay>() }

export function replayView(replay: Replay) {
  const { path, startMs, endMs } = replay.recording
  const atMs = Math.min(Math.max(replay.clock.nowMs, startMs), endMs)
  const finished = replayed.finished.has(replay)
  return { file: path, speed: replay.speed, startMs, endMs, atMs, finished }
}

export const playAll = Effect.fnUntraced(function* (
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
