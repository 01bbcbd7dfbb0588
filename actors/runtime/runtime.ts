/**
 * What all actors of one system share: time, chance, threads of work, names, listeners.
 *
 * Everything ambient enters here, once, from the context in which the system was
 * started; below, nothing reads a clock of its own.
 */
import { Cause, Clock, Context, Effect, Fiber, Random } from "effect"
import type { Dispatcher } from "./dispatcher.ts"
import { Registry } from "./registry.ts"
import {
  causeLine,
  type DeadLetter,
  Listeners,
  type ReportKind,
  type SupervisionReport,
} from "./report.ts"
import { Timers } from "./timers.ts"

export class Runtime {
  readonly clock: Clock.Clock
  readonly timers: Timers
  readonly registry: Registry
  readonly reports: Listeners<SupervisionReport>
  readonly deadLetters: Listeners<DeadLetter>
  deadLetterCount = 0
  /** Fibers of abandoned incarnations that still run. What they send is ignored. */
  readonly zombies = new Set<Fiber.Fiber<unknown, unknown>>()
  /** Called when there is a first zombie, and when there is none left. */
  onZombies: () => void = () => {}
  /** Starts a fiber at once, on this stack, up to its first suspension. */
  readonly runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly #random: { nextDoubleUnsafe(): number }

  constructor(context: Context.Context<never>, readonly dispatcher: Dispatcher) {
    this.clock = Context.get(context, Clock.Clock)
    this.#random = Context.get(context, Random.Random)
    this.timers = new Timers(this.clock, context)
    this.registry = new Registry(this)
    this.runFork = Effect.runForkWith(context)
    const failed = (error: unknown) => {
      this.runFork(Effect.logError("a listener of the actor system has thrown", error))
    }
    this.reports = new Listeners(failed)
    this.deadLetters = new Listeners(failed)
  }

  /** Ignores from now on what `fiber` sends; it could not be ended in time. */
  fence(fiber: Fiber.Fiber<unknown, unknown> | undefined) {
    if (fiber === undefined || fiber.pollUnsafe() !== undefined) return
    this.zombies.add(fiber)
    if (this.zombies.size === 1) this.onZombies()
    fiber.addObserver(() => {
      this.zombies.delete(fiber)
      if (this.zombies.size === 0) this.onZombies()
    })
  }

  /** The sender is an abandoned incarnation. To be asked only while there are any: it is not free. */
  sentByZombie(): boolean {
    const fiber = Fiber.getCurrent()
    return fiber !== undefined && this.zombies.has(fiber)
  }

  /** Epoch milliseconds. */
  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** In [0, 1). */
  random(): number {
    return this.#random.nextDoubleUnsafe()
  }

  report(
    kind: ReportKind,
    path: string,
    restarts: number,
    more: {
      readonly cause?: Cause.Cause<unknown> | undefined
      readonly message?: string | undefined
      readonly restartAt?: number | undefined
    } = {},
  ) {
    // Rendering a cause costs more than a restart does.
    if (this.reports.empty) return
    const { cause, message, restartAt } = more
    this.reports.tell({
      at: this.now(),
      kind,
      path,
      restarts,
      ...(cause && { cause: causeLine(cause), trace: Cause.pretty(cause) }),
      ...(message !== undefined && { message }),
      ...(restartAt !== undefined && { restartAt }),
    })
  }

  deadLetter(
    path: string,
    message: unknown,
    reason: DeadLetter["reason"],
    cause?: string | undefined,
  ) {
    this.deadLetterCount++
    if (this.deadLetters.empty) return
    this.deadLetters.tell({
      at: this.now(),
      path,
      message,
      reason,
      ...(cause !== undefined && { cause }),
    })
  }
}
