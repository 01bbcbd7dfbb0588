/**
 * Runs one strategy on one instrument.
 *
 * It feeds bars to a pure fold and passes on what the fold wants. It warms up on history that ends
 * exactly where the first live bar begins, at the start and again after every gap, so a strategy
 * never sees a hole; while it reads history it wants nothing. Crashing costs the strategy its state,
 * which history gives back, and costs nobody else anything; one that keeps crashing is stopped alone.
 */
import { Cause, Effect } from "effect"
import type { Books } from "../domain/books.ts"
import { type Decimal, formatDecimal, isEqual, zero } from "../domain/decimal.ts"
import { type Instrument, intervalMs, tradableQuantity, venueOf } from "../domain/instrument.ts"
import type { Bar } from "../domain/market.ts"
import type { Signal } from "../domain/signal.ts"
import type { Assignment, RunningStrategy } from "../domain/strategy.ts"
import type { MarketData } from "../venues/market_data.ts"
import { follow, keepUp, record } from "./journal.ts"
import { Monitor, riskManagerOf, type RunnerMessage, runnerOf, type RunnerView } from "./names.ts"
import { type ActorContext, behavior, type ExitReason, stop } from "./runtime/mod.ts"

export interface StrategyRunnerOptions {
  readonly assignment: Assignment
  readonly instrument: Instrument
  /** A new fold in its first state; fails when the parameters are not what the strategy takes. */
  readonly start: Effect.Effect<RunningStrategy, { readonly message: string }>
  readonly history: MarketData["bars"]
  readonly mailboxMax: number
  /** A bar older than its interval and this when it is seen is too old to act on. */
  readonly staleAfterMs: number
  /** More restarts than this within the period end this runner, and nobody else. */
  readonly intensity: number
  readonly periodMs: number
}

interface State {
  readonly books: Books
  /** It has crashed too often, for the cause stated: nothing is done any more but to end. */
  readonly gaveUp: string | undefined
  strategy: RunningStrategy
  /** History ends where the live bars begin, and none has been missed since. */
  warm: boolean
  /** When the newest bar opened that the strategy has seen live. */
  lastOpenTime: number | undefined
  holding: Decimal
  lastClose: Decimal | undefined
  bars: number
  signals: number
  lastSignal: { readonly text: string; readonly at: number } | undefined
}

/** Of one runner over its incarnations. */
interface Crashes {
  /** Starts that were not followed by an end in good order, epoch milliseconds. */
  starts: ReadonlyArray<number>
  last: string
}

type Context = ActorContext<RunnerMessage>

/** Stands in for one that will not be run. */
const idle: RunningStrategy = { warmUpBars: 0, step: () => [], indicators: () => ({}) }

export function strategyRunner(options: StrategyRunnerOptions) {
  const { assignment } = options
  const crashes: Crashes = { starts: [], last: "" }
  return behavior<State, RunnerMessage>({
    name: runnerOf(assignment.id).id,
    // Its own intensity, not its supervisor's: the others must not pay for a strategy that is broken.
    // An end in good order is final then, until an operator starts it again.
    restart: "transient",
    // Newest wins: should bars ever pile up, an old one is worth nothing.
    mailbox: { capacity: options.mailboxMax, overflow: "dropOldest" },
    backoff: { baseMs: 200, capMs: 10_000, resetAfterMs: 60_000 },
    init: Effect.fn("StrategyRunner.init")(function* (actor: Context) {
      const books = yield* follow(actor)
      const gaveUp = begun(crashes, options, actor.now())
      if (gaveUp !== undefined) actor.sendAfter(0, { _tag: "GiveUp" })
      const state: State = {
        books,
        gaveUp,
        strategy: gaveUp === undefined ? yield* started(crashes, options) : idle,
        warm: false,
        lastOpenTime: undefined,
        holding: zero,
        lastClose: undefined,
        bars: 0,
        signals: 0,
        lastSignal: undefined,
      }
      tellHolding(state, options)
      show(state, options, actor)
      return state
    }),
    receive: (state, message, actor) => {
      // Whatever waited in the mailbox comes too late.
      if (state.gaveUp !== undefined) return giveUp(state, state.gaveUp, actor)
      switch (message._tag) {
        case "Recorded":
          keepUp(state.books, message.records)
          tellHolding(state, options)
          return state
        case "Gap":
          state.warm = false
          show(state, options, actor)
          return state
        case "BarClosed": {
          const { after, bar } = message
          const follows = after !== undefined && after === state.lastOpenTime
          return state.warm && follows
            ? live(state, bar, options, actor)
            : warmUpWith(state, bar, options, actor)
        }
        case "GiveUp":
          return state
      }
    },
    terminate: (_, reason) => ended(crashes, reason),
  })
}

/** Notes a start; answers why it is one too many. */
function begun(
  crashes: Crashes,
  { intensity, periodMs }: StrategyRunnerOptions,
  now: number,
): string | undefined {
  crashes.starts = [...crashes.starts.filter((at) => now - at <= periodMs), now]
  const restarts = crashes.starts.length - 1
  if (restarts <= intensity) return undefined
  return `crashed ${restarts} times within ${periodMs / 1_000} s, the last time: ${crashes.last}`
}

function started(crashes: Crashes, { start }: StrategyRunnerOptions) {
  return Effect.tapError(start, ({ message }) =>
    Effect.sync(() => {
      crashes.last = message
    }))
}

function ended(crashes: Crashes, reason: ExitReason) {
  if (reason.kind === "normal" || reason.kind === "shutdown") crashes.starts = []
  if (reason.kind === "killed") crashes.last = "it did not end in time"
  if (reason.kind === "crashed") crashes.last = String(Cause.squash(reason.cause)).slice(0, 300)
}

/** Written down once it runs: its restart, which is reported before, must not end the alert. */
const giveUp = Effect.fnUntraced(function* (state: State, cause: string, actor: Context) {
  yield* record(actor, state.books, [{ _tag: "ActorFailed", path: actor.path, cause }])
  return stop("it has crashed too often")
})

/** Without history the strategy waits: the next bar is the next chance, and nobody has crashed. */
function warmUpWith(state: State, bar: Bar, options: StrategyRunnerOptions, actor: Context) {
  state.warm = false
  return Effect.matchEffect(warmUp(state, bar, options), {
    onSuccess: () => live(state, bar, options, actor),
    onFailure: (error) =>
      Effect.as(
        Effect.logWarning(`${options.assignment.id} waits for history: ${error.message}`),
        state,
      ),
  })
}

/** Reads the bars before `first` into a new fold; what they would have signalled is past. */
const warmUp = Effect.fnUntraced(function* (
  state: State,
  first: Bar,
  { assignment, history, start }: StrategyRunnerOptions,
) {
  const strategy = yield* start
  const length = intervalMs(assignment.interval) ?? first.intervalMs
  const bars = yield* history(assignment.instrument, length, first.openTime, strategy.warmUpBars)
  strategy.step({ _tag: "HoldingChanged", quantity: state.holding })
  for (const bar of bars) strategy.step(bar)
  state.strategy = strategy
  state.bars = bars.length
  state.warm = true
})

function live(state: State, bar: Bar, options: StrategyRunnerOptions, actor: Context) {
  state.lastClose = bar.close
  state.lastOpenTime = bar.openTime
  tellHolding(state, options)
  const signals = state.strategy.step(bar)
  state.bars += 1
  const last = signals.at(-1)
  if (last === undefined) {
    show(state, options, actor)
    return Effect.succeed(state)
  }
  // Held up by history or by a crowded mailbox: what it says was true at its end.
  const ageMs = actor.now() - bar.openTime - bar.intervalMs
  if (ageMs > bar.intervalMs + options.staleAfterMs) {
    const age = `${Math.round(ageMs / 1_000)} s old`
    state.lastSignal = { text: `skipped, ${age}: ${last.intent}: ${last.reason}`, at: actor.now() }
    show(state, options, actor)
    return Effect.succeed(state)
  }
  state.signals += signals.length
  state.lastSignal = { text: `${last.intent}: ${last.reason}`, at: actor.now() }
  show(state, options, actor)
  return raise(state, signals, options, actor)
}

const raise = Effect.fnUntraced(function* (
  state: State,
  signals: ReadonlyArray<Signal>,
  { assignment }: StrategyRunnerOptions,
  actor: Context,
) {
  const { id, instrument, notional } = assignment
  yield* record(
    actor,
    state.books,
    signals.map((signal) => ({ _tag: "SignalRaised", runner: id, ...signal })),
  )
  for (const signal of signals) {
    const wish = { _tag: "Signalled", runner: id, signal, notional } as const
    const accepted = actor.ref(riskManagerOf(venueOf(instrument))).send(wish)
    if (!accepted) yield* Effect.logWarning(`${id}: signal lost, risk takes nothing now`)
  }
  return state
})

/** Dust that cannot be sold is not a holding: a strategy that waited to sell it would wait for ever. */
function tellHolding(state: State, { assignment, instrument }: StrategyRunnerOptions) {
  const held = state.books.positions.get(assignment.instrument)?.holders.get(assignment.id) ?? zero
  const quantity = tradableQuantity(instrument, held, state.lastClose)
  if (isEqual(quantity, state.holding)) return
  state.holding = quantity
  state.strategy.step({ _tag: "HoldingChanged", quantity })
}

function show(state: State, { assignment }: StrategyRunnerOptions, actor: Context) {
  const runner: RunnerView = {
    id: assignment.id,
    status: state.warm ? "running" : "warming_up",
    bars: state.bars,
    signals: state.signals,
    ...(state.lastSignal && {
      lastSignal: state.lastSignal.text,
      lastSignalAt: state.lastSignal.at,
    }),
    indicators: { ...state.strategy.indicators() },
    holding: formatDecimal(state.holding),
  }
  actor.ref(Monitor).send({ _tag: "RunnerChanged", runner })
}
