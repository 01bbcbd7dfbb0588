/**
 * Hours in seconds, in one order only: a clock, a scheduler for fibers and a
 * dispatcher for actors that share one run queue and one heap of timers.
 *
 * Time stands still while anything can run, and then jumps to the next timer.
 * What may run next is drawn with a seed, so one seed is one interleaving and
 * many seeds are many. The order that the runtime promises (first in, first out
 * between two actors) holds under every seed: the draw is between runnables, not
 * between messages.
 *
 * It cannot hold back what comes from outside. A promise of the platform resolves
 * when it likes; `runAsync` gives it the chance.
 */
import { Clock, Duration, Effect, Scheduler } from "effect"
import type { Dispatcher, Runnable } from "./dispatcher.ts"

export interface VirtualTimeOptions {
  /** Epoch milliseconds at which time stands first. Default 0. */
  readonly startMs?: number
  /** Without a seed, first come, first served. */
  readonly seed?: number
}

interface Alarm {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

/** Most messages one cell handles in a turn. Small, so that turns mix. */
const TURN_MAX = 8

export class VirtualTime {
  #now: number
  #offset = 0
  readonly #random: (() => number) | undefined
  readonly #alarms: Array<Alarm> = []
  #ready: Array<() => void> = []
  #at = 0
  #order = 0

  constructor(options: VirtualTimeOptions = {}) {
    this.#now = options.startMs ?? 0
    this.#random = options.seed === undefined ? undefined : mulberry32(options.seed)
  }

  /** Epoch milliseconds. */
  get now(): number {
    return this.#now + this.#offset
  }

  /** Fibers and cells that could run now. */
  get runnable(): number {
    return this.#ready.length - this.#at
  }

  /** Sleeping fibers. */
  get sleeping(): number {
    return this.#alarms.filter((alarm) => alarm.run !== undefined).length
  }

  readonly scheduler: Scheduler.Scheduler = new Scheduler.MixedScheduler("async", (task) => {
    let live = true
    this.#ready.push(() => live && task())
    return () => void (live = false)
  })

  readonly clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => this.now,
    currentTimeMillis: Effect.sync(() => this.now),
    currentTimeNanosUnsafe: () => nanos(this.now),
    currentTimeNanos: Effect.sync(() => nanos(this.now)),
    monotonicTimeNanosUnsafe: () => nanos(this.#now),
    monotonicTimeNanos: Effect.sync(() => nanos(this.#now)),
    sleep: (duration) => this.#sleep(Duration.toMillis(duration)),
  }

  readonly dispatcher: Dispatcher = this.#makeDispatcher()

  /** Gives a program this time; its dispatcher goes to the actor system's options. */
  readonly provide = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    effect.pipe(
      Effect.provideService(Clock.Clock, this.clock),
      Effect.provideService(Scheduler.Scheduler, this.scheduler),
    )

  /** The wall clock jumps by `ms`; timers, which follow the monotonic clock, notice nothing. */
  stepWallClock(ms: number) {
    this.#offset += ms
  }

  /** Runs all that can run now. Returns how many turns that took; throws past `turnsMax`. */
  settle(turnsMax = Infinity): number {
    let turns = 0
    while (this.#at < this.#ready.length) {
      if (turns++ >= turnsMax) throw new Error(`still busy after ${turnsMax} turns`)
      this.#take()()
    }
    this.#ready = []
    this.#at = 0
    return turns
  }

  /** Lets time pass, timer by timer; returns how many fired. */
  run(durationMs: number): number {
    return this.#runTo(this.#now + durationMs)
  }

  /** As `run`, but lets promises of the platform resolve before each step of time. */
  async runAsync(durationMs: number): Promise<number> {
    const until = this.#now + durationMs
    let fired = 0
    while (true) {
      await this.#settleAsync()
      const next = this.#nextAlarm()
      if (next === undefined || next.at > until) break
      fired += this.#runTo(next.at)
    }
    this.#now = until
    return fired
  }

  /** Runs an Effect on this time until it ends; throws when it waits for what will never come. */
  async runPromise<A, E>(effect: Effect.Effect<A, E>, limitMs = 86_400_000): Promise<A> {
    const fiber = Effect.runFork(this.provide(effect))
    const until = this.#now + limitMs
    while (true) {
      await this.#settleAsync()
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return Effect.runSync(exit as Effect.Effect<A, E>)
      const next = this.#nextAlarm()
      if (next === undefined || next.at > until) {
        fiber.interruptUnsafe()
        throw new Error(
          next ? `not done after ${limitMs} ms` : "waits for something that never comes",
        )
      }
      this.#runTo(next.at)
    }
  }

  #runTo(until: number): number {
    let fired = 0
    this.settle()
    for (let next = this.#nextAlarm(); next !== undefined && next.at <= until;) {
      this.#pop()
      this.#now = next.at
      next.run?.()
      fired++
      this.settle()
      next = this.#nextAlarm()
    }
    this.#now = Math.max(this.#now, until)
    return fired
  }

  async #settleAsync() {
    // An immediate comes after every microtask; twice, since the first may have let a socket speak.
    for (let quiet = 0; quiet < 2;) {
      quiet = this.settle() === 0 ? quiet + 1 : 0
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }

  #take(): () => void {
    const ready = this.#ready
    if (this.#random !== undefined) {
      const chosen = this.#at + Math.floor(this.#random() * (ready.length - this.#at))
      const task = ready[chosen]!
      ready[chosen] = ready[this.#at]!
      ready[this.#at] = task
    }
    const task = ready[this.#at++]!
    if (this.#at > 1_024) {
      this.#ready = ready.slice(this.#at)
      this.#at = 0
    }
    return task
  }

  #makeDispatcher(): Dispatcher {
    const originMs = this.#now
    const elapsed = () => Math.floor(this.now - originMs)
    const turn = () => this.#random === undefined ? 256 : 1 + Math.floor(this.#random() * TURN_MAX)
    return {
      originMs,
      get elapsedMs() {
        return elapsed()
      },
      ready: (runnable: Runnable) => void this.#ready.push(() => runnable.run(turn())),
    }
  }

  #sleep(durationMs: number): Effect.Effect<void> {
    if (durationMs === Infinity) return Effect.never
    return Effect.callback<void>((resume) => {
      const alarm: Alarm = {
        at: this.#now + Math.max(0, durationMs),
        order: this.#order++,
        run: () => resume(Effect.void),
      }
      this.#push(alarm)
      return Effect.sync(() => void (alarm.run = undefined))
    })
  }

  #nextAlarm(): Alarm | undefined {
    while (this.#alarms.length > 0 && this.#alarms[0]!.run === undefined) this.#pop()
    return this.#alarms[0]
  }

  #push(alarm: Alarm) {
    const heap = this.#alarms
    let index = heap.push(alarm) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(alarm, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = alarm
  }

  #pop() {
    const heap = this.#alarms
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    while (true) {
      let least = 2 * index + 1
      if (least >= heap.length) break
      if (least + 1 < heap.length && before(heap[least + 1]!, heap[least]!)) least++
      if (!before(heap[least]!, last)) break
      heap[index] = heap[least]!
      index = least
    }
    heap[index] = last
  }
}

function before(a: Alarm, b: Alarm): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

function nanos(ms: number): bigint {
  return BigInt(Math.round(ms * 1_000_000))
}

/** Uniform in [0, 1), the same sequence for the same seed. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
