/**
 * One schedule, played to its end on virtual time.
 *
 * The real tree runs between the ports of a venue that knows the truth: what is sent is judged there
 * at the moment at which it arrives, against what the venue knows and not against what we believe.
 */
import { createHash } from "node:crypto"
import { Effect, Exit, Logger, Random, Scope } from "effect"
import { ReadModel } from "../../actors/read_model.ts"
import { Operator, riskManagerOf } from "../../actors/names.ts"
import { type ActorSystem, start } from "../../actors/runtime/mod.ts"
import { mulberry32, VirtualTime } from "../../actors/runtime/virtual_time.ts"
import { strategyRunner } from "../../actors/strategy_runner.ts"
import { tree } from "../../actors/tree.ts"
import { treeOptions } from "../../assembly/actors.ts"
import type { OpenVenue } from "../../assembly/venue.ts"
import { Venues } from "../../assembly/venues.ts"
import type { Books } from "../../domain/books.ts"
import { newYorkTime, type TradingDay } from "../../domain/calendar.ts"
import { decimal } from "../../domain/decimal.ts"
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
import { type Assignment, assignmentId, type StrategyEvent } from "../../domain/strategy.ts"
import { limits } from "../../limits.ts"
import type { EventStore, StoredRecord } from "../../storage/event_store.ts"
import { emptyDisk, openMemoryDisk } from "../../storage/memory.ts"
import type { NewOrder } from "../../venues/broker.ts"
import { instrument } from "../actors/fake_books.ts"
import { chaosConfig } from "./config.ts"
import { PortVenue, VENUE } from "./port_venue.ts"
import { begin, end, endOf, type Schedule, told } from "./schedule.ts"
import {
  alertsLeft,
  type Evidence,
  noticedMs,
  STALE_AFTER_MS,
  type Written,
  wrongAtSending,
  wrongInTheEnd,
} from "./verdict.ts"

export interface Outcome {
  readonly schedule: Schedule
  /** What did not hold, each in a line; empty when all did. */
  readonly violations: ReadonlyArray<string>
  /** Everything that was written and sent, with its times, as one number. */
  readonly digest: string
  readonly timeline: ReadonlyArray<string>
  readonly tally: {
    readonly orders: number
    readonly outages: number
    readonly denials: number
    readonly bars: number
    readonly virtualMs: number
  }
}

/** 2026-01-05, a Monday: the core session of shares begins at 14:30 UTC. */
const DATE = "2026-01-05"
const STRATEGY = "there_and_back"
const PRINT_EVERY_MS = 450
const READY_WITHIN_MS = 5_000
/** What is left of recovery after the first connection that can succeed. */
const RECOVERED_WITHIN_MS = 2_000
/** A stream that came and went has to be steady for so long before it is trusted again. */
const STEADY_AGAIN_MS = 5_000
/** For orders whose answers were lost: the slowest conclusion. */
const SETTLED_WITHIN_MS = 60_000
export function run(schedule: Schedule): Outcome {
  return new Run(schedule).play()
}

class Run implements Evidence {
  readonly time: VirtualTime
  readonly venue: PortVenue
  readonly written = new Array<Written>()
  readonly violations = new Array<string>()
  readonly seen = new Map<InstrumentId, Array<StrategyEvent>>()
  readonly seenBefore = new Array<ReadonlyArray<StrategyEvent>>()
  readonly #scope = Scope.makeUnsafe()
  readonly #startMs: number
  readonly #hash = createHash("sha256")
  readonly #draw: () => number
  readonly #model: ReadModel
  readonly #system: ActorSystem
  #beganAt = 0
  #wants = true

  constructor(readonly schedule: Schedule) {
    const { bell, instruments, seed, skewMs } = schedule
    const days = hours(bell?.rings)
    // The bell rings on a whole minute of New York; everything else is counted from it.
    const bellMs = bell === undefined
      ? newYorkTime(DATE, 600)
      : newYorkTime(DATE, bell.rings === "open" ? days[0]!.open : days[0]!.close)
    this.#startMs = bellMs - (bell?.atMs ?? 0) - READY_WITHIN_MS
    this.time = new VirtualTime({ startMs: this.#startMs, seed })
    this.#draw = mulberry32(seed * 31 + 7)
    this.venue = new PortVenue(this.time, instruments.map(instrument), days)
    this.venue.skewMs = skewMs
    this.venue.onSubmit = (order) => this.#sent(order)
    this.#model = new ReadModel({
      mode: "sim",
      version: "test",
      startedAt: this.time.now,
      now: () => this.time.now,
      instruments: this.venue.instruments,
      labels: new Map([[VENUE, "chaos"]]),
      limits: limits.overview,
    })
    this.#system = this.#start()
  }

  play(): Outcome {
    const { bell, steps } = this.schedule
    const { time, venue } = this
    venue.drive(PRINT_EVERY_MS, this.#draw)
    this.#pester()
    // Shares that are still closed have no price, and nothing has to be ready for them.
    this.#until(() => this.#isWell(), READY_WITHIN_MS - 500)
    if (!this.#isWell()) this.violations.push("was not ready in time")
    time.run(this.#startMs + READY_WITHIN_MS - venue.trueNow)
    this.#beganAt = venue.trueNow
    for (const step of steps) {
      venue.later(step.atMs, () => begin(step, venue))
      if (step.forMs > 0) venue.later(step.atMs + step.forMs, () => end(step, venue))
    }
    time.run(Math.max(endOf(this.schedule), bell?.atMs ?? 0))
    this.#recover()
    // Nothing new is begun while it is seen how it ends.
    time.run(1_500)
    this.#wants = false
    // What is settled has to stay so for a moment: a frame that is missing is noticed later.
    for (let again = true; again;) {
      again = this.#until(() => this.#isSettled(), SETTLED_WITHIN_MS) <= SETTLED_WITHIN_MS
      time.run(700)
      again &&= !this.#isSettled()
    }
    venue.stop()
    this.violations.push(...wrongInTheEnd(this))
    const outcome = this.#outcome()
    this.#stop()
    return outcome
  }

  // ---- what happens --------------------------------------------------------------------------

  #recover() {
    const { venue } = this
    venue.heal()
    const healedAt = venue.trueNow
    if (this.#isForbidden()) this.#resume()
    const isBack = () => this.#model.books.feeds.get(VENUE)?.status === "streaming"
    const steadyMs = this.#losses(60_000) >= 3 ? STEADY_AGAIN_MS : 0
    const tookMs = this.#until(isBack, limits.reconnect.capMs + 20_000)
    const attempts = venue.connects.market.filter((at) => at > healedAt).map((at) => at - healedAt)
    const waitedMs = attempts.at(-1) ?? 0
    const text = `restored ${Math.round(tookMs)} ms after the venue was well, with attempts after ${
      attempts.map(Math.round).join(", ")
    } ms`
    if (waitedMs > limits.reconnect.capMs || attempts.length > 2) this.violations.push(text)
    else if (tookMs > waitedMs + RECOVERED_WITHIN_MS + steadyMs + noticedMs(this.schedule)) {
      this.violations.push(text)
    }
    this.#until(() => this.#isWell(), 40_000)
    if (!this.#isWell()) this.violations.push("the account was not ready again")
  }

  #isForbidden(): boolean {
    const lost = this.written.findLast(({ event }) => event._tag === "FeedLost")
    return String(lost?.event.cause).includes("451")
  }

  #losses(withinMs: number): number {
    const since = this.venue.trueNow - withinMs
    return this.written.filter(({ event, trueTime }) =>
      event._tag === "FeedLost" && event.attempt === 1 && trueTime > since
    ).length
  }

  #resume() {
    this.#system.ref(Operator).send({
      _tag: "Submit",
      command: { type: "resume", scope: { kind: "all" }, commandId: "resume" },
      reply: { succeed: () => {}, fail: () => {} },
    })
  }

  /** Wants in now and then whatever there is to see, as a strategy would that asks nobody. */
  #pester() {
    const wish = () => {
      const { instruments } = this.schedule
      const instrument = instruments[Math.floor(this.#draw() * instruments.length)]!
      if (this.#wants) {
        this.#system.ref(riskManagerOf(VENUE)).send({
          _tag: "Signalled",
          runner: assignmentId(STRATEGY, instrument),
          notional: decimal("500"),
          signal: { instrument, intent: "enter", price: decimal("100"), reason: "now and then" },
        })
      }
      this.venue.later(300 + this.#draw() * 700, wish)
    }
    this.venue.later(0, wish)
  }

  /** Returns how long it took. */
  #until(isTrue: () => boolean, limitMs: number): number {
    let passed = 0
    for (; passed <= limitMs && !isTrue(); passed += 50) this.time.run(50)
    return passed
  }

  #isWell(): boolean {
    const { books, runners } = this.#model
    return books.accounts.get(VENUE)?.ready === true &&
      books.feeds.get(VENUE)?.status === "streaming" &&
      this.#assignments().every(({ id, instrument }) =>
        !this.venue.isOpen(instrument) || runners.get(id)?.status === "running"
      )
  }

  #isSettled(): boolean {
    const { books } = this.#model
    const isOpen = [...books.orders.values()].some(({ status }) => !isFinal(status))
    return !isOpen && alertsLeft(books).length === 0 &&
      books.fills.length === this.venue.executions.length && this.#isWell()
  }

  // ---- what is told --------------------------------------------------------------------------

  get books(): Books {
    return this.#model.books
  }

  readonly since = (trueTime: number) => `${Math.round(trueTime - this.#beganAt)} ms`

  #sent(order: NewOrder) {
    const { clientOrderId, instrument, side } = order
    const now = this.venue.trueNow
    this.#hash.update(`${now} ${clientOrderId} ${side} ${instrument}\n`)
    for (const why of wrongAtSending(this, order)) {
      this.violations.push(`${this.since(now)} ${side} ${clientOrderId} ${instrument}: ${why}`)
    }
  }

  #outcome(): Outcome {
    const { venue, written } = this
    const count = (tag: string) => written.filter(({ event }) => event._tag === tag).length
    const bars = [...this.seen.values()].flat().filter(({ _tag }) => _tag === "Bar").length
    return {
      schedule: this.schedule,
      violations: this.violations,
      digest: this.#hash.digest("hex"),
      timeline: written.filter(({ event }) => !quietTags.has(event._tag))
        .map(({ event, trueTime }) => `${this.since(trueTime).padStart(10)}  ${text(event)}`),
      tally: {
        orders: venue.submits.length,
        outages: count("FeedRestored") - 1,
        denials: count("OrderDenied"),
        bars,
        virtualMs: venue.trueNow - this.#startMs,
      },
    }
  }

  // ---- putting together ------------------------------------------------------------------------

  #start(): ActorSystem {
    const { venue } = this
    const config = {
      isRequired: true,
      instruments: this.schedule.instruments,
      staleAfterMs: STALE_AFTER_MS,
      staleAfterMsOf: new Map<string, number>(),
    }
    const open: OpenVenue = {
      venue: VENUE,
      config,
      market: venue.market,
      broker: venue.broker,
      instruments: venue.instruments,
      usage: () => [],
    }
    const venues = new Venues([{
      venue: VENUE,
      label: "chaos",
      config,
      open: Effect.succeed(open),
    }])
    venues.open.push(open)
    const system = () => this.#model.system
    const options = treeOptions({
      config: chaosConfig(this.#assignments()),
      venues,
      store: this.#store(),
      model: this.#model,
      started: { _tag: "RuntimeStarted", mode: "sim", version: "test", journalId: "chaos" },
      system,
      edge: [],
    })
    const spec = tree({
      ...options,
      roster: {
        ...options.roster,
        runner: (assignment) =>
          this.#runner(
            assignment,
            venue.instruments.find(({ id }) => id === assignment.instrument),
          ),
      },
      // Looked at seldom, which makes more seeds.
      monitor: { ...options.monitor, refreshEveryMs: 1_000 },
    })
    const started = this.#run(
      start(spec, { dispatcher: this.time.dispatcher }).pipe(Scope.provide(this.#scope)),
    )
    this.#model.system = started
    return started
  }

  #store(): EventStore {
    const store = Effect.runSync(openMemoryDisk(emptyDisk()))
    const noted = (records: ReadonlyArray<StoredRecord>) => {
      for (const { time, event } of records) {
        this.written.push({ time, trueTime: this.venue.trueNow, event: event as Written["event"] })
        this.#hash.update(`${time} ${JSON.stringify(event)}\n`)
      }
    }
    return {
      ...store,
      append: (records) => Effect.andThen(store.append(records), Effect.sync(() => noted(records))),
    }
  }

  #assignments(): ReadonlyArray<Assignment> {
    return this.schedule.instruments.map((id) => ({
      id: assignmentId(STRATEGY, id),
      strategy: STRATEGY,
      instrument: id,
      interval: "1s",
      params: {},
      notional: decimal("500"),
    }))
  }

  /** In after a bar that finds it out, and out after one that finds it in: always about to trade. */
  #runner(assignment: Assignment, found: Instrument | undefined) {
    if (found === undefined) return undefined
    return strategyRunner({
      assignment,
      instrument: found,
      history: this.venue.market.bars,
      mailboxMax: limits.mailbox.runner,
      staleAfterMs: STALE_AFTER_MS,
      ...limits.runner,
      start: Effect.sync(() => {
        const seen: Array<StrategyEvent> = []
        const before = this.seen.get(assignment.instrument)
        if (before !== undefined) this.seenBefore.push(before)
        this.seen.set(assignment.instrument, seen)
        let isHolding = false
        return {
          warmUpBars: 3,
          step: (event: StrategyEvent) => {
            seen.push(event)
            if (event._tag === "HoldingChanged") isHolding = event.quantity.value > 0n
            if (event._tag !== "Bar" || !this.#wants || this.#draw() < 0.5) return []
            const intent = isHolding ? "exit" as const : "enter" as const
            const { instrument } = assignment
            return [{ instrument, intent, price: event.close, reason: "there and back" }]
          },
          indicators: () => ({}),
        }
      }),
    })
  }

  #stop() {
    this.#run(Scope.close(this.#scope, Exit.void))
  }

  /** Runs an Effect on this world's time until it ends. */
  #run<A, E>(effect: Effect.Effect<A, E>): A {
    const fiber = Effect.runFork(
      this.time.provide(effect).pipe(
        Random.withSeed(String(this.schedule.seed)),
        Effect.provide(Logger.layer([])),
      ),
    )
    for (let passed = 0; passed <= 30_000; passed++) {
      this.time.run(passed === 0 ? 0 : 1)
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return Effect.runSync(exit)
    }
    throw new Error("it neither started nor stopped within 30 s")
  }
}

/** A day of shares whose bell is what the schedule wants; without one it is open all the time. */
function hours(rings: "open" | "close" | undefined): ReadonlyArray<TradingDay> {
  const full = { date: DATE, preOpen: 240, open: 570, close: 960, postClose: 1_200 }
  const next = { ...full, date: "2026-01-06" }
  if (rings === "open") return [{ ...full, open: 600 }, next]
  return rings === "close" ? [{ ...full, close: 600 }, next] : [full, next]
}

function isFinal(status: string): boolean {
  return ["filled", "canceled", "expired", "rejected"].includes(status)
}

const quietTags: ReadonlySet<string> = new Set([
  "RuntimeStarted",
  "StrategyAssigned",
  "SignalRaised",
  "EquityMarked",
  "OrderAccepted",
  "OrderFilled",
])

function text({ _tag, ...rest }: Written["event"]): string {
  const fields = Object.entries(rest).filter(([name]) => name !== "venue")
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
  return `${_tag} ${fields.join(" ")}`
}

/** What failed, and how to see it again. */
export function report({ schedule, timeline, violations }: Outcome): string {
  return [
    `seed ${schedule.seed}:`,
    ...violations.map((each) => `  ${each}`),
    "schedule:",
    ...told(schedule).map((each) => `  ${each}`),
    "timeline:",
    ...timeline.slice(-120).map((each) => `  ${each}`),
  ].join("\n")
}

/** The same failure with fewer steps: each is left out in turn, for as long as it still fails. */
export function shrink(outcome: Outcome, play: (schedule: Schedule) => Outcome = run): Outcome {
  for (const step of outcome.schedule.steps) {
    const steps = outcome.schedule.steps.filter((each) => each !== step)
    const shorter = play({ ...outcome.schedule, steps })
    if (shorter.violations.length > 0) return shrink(shorter, play)
  }
  return outcome
}
