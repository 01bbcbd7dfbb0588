/**
 * One life of an actor: its scope, its timers, its fibers, and its end.
 *
 * However it ends, it ends the same way: no more messages, no more timers, the
 * Effect at work interrupted, `terminate`, the scope closed. Only then does the
 * supervisor learn of it, so nothing of incarnation n is left when n + 1 begins.
 * What does not end in time is abandoned: it may go on running, there is no kill
 * inside a process, but nothing it does counts any more.
 */
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { outside } from "./async_context.ts"
import {
  type ActorContext,
  type ActorName,
  type ActorRef,
  type Down,
  type ErasedBehavior,
  type ExitReason,
  type Monitor,
  stop,
} from "./behavior.ts"
import type { Cell, Signal, Watcher } from "./cell.ts"
import { type NamedRef, Ref } from "./registry.ts"
import type { Runtime } from "./runtime.ts"
import type { Timer } from "./timers.ts"

/** Who has to know about the end of an incarnation. */
export interface Parent {
  readonly path: string
  readonly behavior: ErasedBehavior
  readonly cell: Cell
  readonly runtime: Runtime
  readonly restarts: number
  ended(life: Incarnation, reason: ExitReason): void
}

const noTimer: Timer = { cancel() {} }
const noMonitor: Monitor = { demonitor() {} }

export class Incarnation implements ActorContext<unknown> {
  /** False from the end on: what is still done in its name is void. */
  alive = true
  /** Why it ends; set once. */
  ending: ExitReason | undefined = undefined
  /** The fiber of the Effect that the handler returned. */
  working: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** Its supervisor told it to stop, and waits. */
  expected = false
  onEnd: (() => void) | undefined = undefined
  readonly scope = Scope.makeUnsafe()

  /** What failed beside `init`, while that was still at work. */
  private failedEarly: Cause.Cause<unknown> | undefined = undefined
  private initialised = false
  private unwinding: Fiber.Fiber<ExitReason> | undefined = undefined
  private deadline: Timer | undefined = undefined
  private timers: Set<Timer> | undefined = undefined
  private monitors: Set<Monitor> | undefined = undefined
  private aside: Array<unknown> | undefined = undefined
  private refs: Map<string, FencedRef> | undefined = undefined
  private forks: Set<Fiber.Fiber<unknown, unknown>> | undefined = undefined

  constructor(private readonly parent: Parent, readonly incarnation: number) {}

  // ---- beginning ---------------------------------------------------------------

  /** `init` has succeeded with `value`: the mailbox opens. */
  begin(value: unknown) {
    this.initialised = true
    const { cell, behavior, runtime } = this.parent
    const { keepOverRestart } = behavior
    if (this.incarnation > 0 && keepOverRestart !== undefined) {
      const now = runtime.now()
      try {
        cell.sift((message) => keepOverRestart(message, now))
      } catch (error) {
        this.failedEarly ??= Cause.die(error)
      }
    }
    cell.begin(this, value, behavior.receive)
    if (this.failedEarly !== undefined) this.end({ kind: "crashed", cause: this.failedEarly })
  }

  /** `init` has failed: what it had acquired is given back. */
  readonly undo = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.alive = false
      this.cancelTimers()
      this.dropMonitors()
      this.fenceRefs()
      return Effect.asVoid(Effect.exit(Scope.close(this.scope, exit)))
    })

  // ---- ending ------------------------------------------------------------------

  /** Begins the end. `failing` is the message whose handling crashed it. */
  end(reason: ExitReason, failing?: unknown) {
    if (this.ending !== undefined) return
    this.ending = reason
    this.cancelTimers()
    const { cell, behavior, runtime } = this.parent
    // A message that was set aside and then crashed the handler is not tried again.
    cell.suspend(this.aside?.filter((message) => message !== failing))
    this.aside = undefined
    if (reason.kind === "crashed") cell.failReplies("crashed", reason.cause)
    if (
      this.working === undefined && behavior.terminate === undefined &&
      this.scope.state._tag === "Empty"
    ) return this.finish(reason)
    const fiber = runtime.runFork(unwind(this, this.parent, reason))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.unwound(exit)
    this.unwinding = fiber
    const { shutdownMs } = behavior
    if (shutdownMs !== Infinity) {
      const graceMs = shutdownMs === "brutal_kill" ? 0 : shutdownMs
      this.deadline = runtime.timers.after(graceMs, () => this.abandon())
    }
    fiber.addObserver((exit) => this.unwound(exit))
  }

  /** Waits no longer. Interrupts what can be interrupted, and lets the scope close on its own. */
  abandon() {
    if (!this.alive) return
    const { cell, runtime, path, restarts } = this.parent
    this.cancelTimers()
    cell.suspend(this.aside)
    this.aside = undefined
    const reason = this.ending ??= { kind: "killed" }
    const { working, unwinding } = this
    runtime.report("abandoned", path, restarts)
    this.finish(reason.kind === "crashed" ? reason : { kind: "killed" })
    working?.interruptUnsafe()
    unwinding?.interruptUnsafe()
    // Unless it is closing already, and stuck in that.
    const closing = runtime.runFork(Effect.exit(Scope.close(this.scope, exitOf(reason))))
    for (const fiber of [working, unwinding, closing, ...this.forks ?? []]) runtime.fence(fiber)
  }

  private unwound(exit: Exit.Exit<ExitReason>) {
    this.finish(exit._tag === "Success" ? exit.value : { kind: "killed" })
  }

  private finish(reason: ExitReason) {
    if (!this.alive) return
    this.alive = false
    this.deadline?.cancel()
    this.cancelTimers()
    this.dropMonitors()
    this.fenceRefs()
    const { cell } = this.parent
    cell.failReplies("dead", undefined)
    cell.release()
    cell.tellWatchers(reason)
    this.parent.ended(this, reason)
  }

  private cancelTimers() {
    const timers = this.timers
    this.timers = undefined
    if (timers !== undefined) { for (const timer of timers) timer.cancel() }
  }

  private dropMonitors() {
    const monitors = this.monitors
    this.monitors = undefined
    if (monitors !== undefined) { for (const monitor of monitors) monitor.demonitor() }
  }

  private fenceRefs() {
    if (this.refs !== undefined) { for (const ref of this.refs.values()) ref.fence() }
  }

  // ---- what the actor may do ---------------------------------------------------

  get path() {
    return this.parent.path
  }

  get self(): ActorRef<unknown> {
    return this.parent.cell
  }

  ref<N>(name: ActorName<N>): ActorRef<N> {
    const refs = this.refs ??= new Map()
    let ref = refs.get(name.id)
    if (ref === undefined) {
      const { runtime } = this.parent
      ref = new FencedRef(runtime.registry.ref(name.id), runtime)
      if (!this.alive) ref.fence()
      refs.set(name.id, ref)
    }
    return ref
  }

  now(): number {
    return this.parent.runtime.now()
  }

  sendAfter(delayMs: number, message: unknown): Timer {
    if (!this.active()) return noTimer
    const timers = this.timers ??= new Set()
    const timer = this.parent.runtime.timers.after(delayMs, () => {
      timers.delete(timer)
      this.parent.cell.sendAnyway(message)
    })
    timers.add(timer)
    return { cancel: () => void (timers.delete(timer), timer.cancel()) }
  }

  every(intervalMs: number, message: unknown): Timer {
    if (!(intervalMs > 0)) throw new RangeError(`every ${intervalMs} ms: must be more than 0`)
    if (!this.active()) return noTimer
    const timers = this.timers ??= new Set()
    const beats = new Beats(this.parent, intervalMs, message)
    timers.add(beats)
    return { cancel: () => void (timers.delete(beats), beats.cancel()) }
  }

  fork(effect: Effect.Effect<unknown, unknown>) {
    if (!this.active()) return
    // Yields first: what it does must not happen in the middle of the present message.
    const fiber = outside(() =>
      this.parent.runtime.runFork(Effect.andThen(Effect.yieldNow, effect))
    )
    Fiber.runIn(fiber, this.scope)
    const forks = this.forks ??= new Set()
    forks.add(fiber)
    fiber.addObserver((exit) => {
      forks.delete(fiber)
      if (exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)) this.fail(exit.cause)
    })
  }

  crash(error: unknown) {
    this.fail(Cause.die(error))
  }

  stop(reason?: string) {
    if (this.active()) this.parent.cell.post({ message: undefined, stop: stop(reason).reason })
  }

  stash(message: unknown): boolean {
    if (!this.active()) return false
    const aside = this.aside ??= []
    if (aside.length >= this.parent.behavior.mailbox.capacity) return false
    aside.push(message)
    return true
  }

  unstashAll() {
    const aside = this.aside
    this.aside = undefined
    if (aside !== undefined && this.active()) this.parent.cell.prepend(aside)
  }

  monitor<N>(ref: ActorRef<N>, message: (down: Down) => unknown): Monitor {
    if (!this.active()) return noMonitor
    const monitors = this.monitors ??= new Set()
    const target = ref instanceof Ref ? ref.cell() : undefined
    const monitor = new Watch(this, this.parent.cell, target, message, monitors)
    monitors.add(monitor)
    if (target === undefined || target.isDead) {
      const reason = ref instanceof Ref ? ref.lastExit : undefined
      monitor.down(ref.path, reason ?? { kind: "unknown" })
    } else target.watch(monitor)
    return monitor
  }

  private active(): boolean {
    return this.alive && this.ending === undefined
  }

  private fail(cause: Cause.Cause<unknown>) {
    if (this.initialised) this.end({ kind: "crashed", cause })
    else this.failedEarly ??= cause
  }
}

/** Ends a life in order; answers with the reason, which a failing finalizer may make worse. */
const unwind = Effect.fnUntraced(function* (
  life: Incarnation,
  parent: Parent,
  reason: ExitReason,
) {
  if (life.working !== undefined) yield* Fiber.interrupt(life.working)
  let outcome = reason
  const judge = (exit: Exit.Exit<unknown, unknown>) => {
    if (exit._tag === "Success") return
    // The first cause is the one to know; one who was told to stop is not restarted anyway.
    if (outcome.kind !== "crashed" && !life.expected) {
      outcome = { kind: "crashed", cause: exit.cause }
    } else {
      parent.runtime.report("cleanup_failed", parent.path, parent.restarts, { cause: exit.cause })
    }
  }
  const { terminate } = parent.behavior
  if (terminate !== undefined) {
    const state = parent.cell.state
    judge(
      yield* Effect.exit(Effect.suspend(() => {
        const result = terminate(state, reason)
        return Effect.isEffect(result) ? result as Effect.Effect<unknown, unknown> : Effect.void
      })),
    )
  }
  judge(yield* Effect.exit(Scope.close(life.scope, exitOf(reason))))
  return outcome
})

function exitOf(reason: ExitReason): Exit.Exit<void, unknown> {
  if (reason.kind === "crashed") return Exit.failCause(reason.cause)
  return reason.kind === "normal" ? Exit.void : Exit.interrupt()
}

/** A reference that dies with the incarnation that holds it: an abandoned one reaches nobody. */
class FencedRef extends Ref {
  /** Who had the name when it was last looked up: looking for every message costs as much as one. */
  private known: Cell | undefined = undefined
  private fenced = false

  constructor(private readonly target: NamedRef, private readonly runtime: Runtime) {
    super()
  }

  get path() {
    return this.target.path
  }

  get lastExit() {
    return this.target.lastExit
  }

  cell() {
    return this.fenced ? undefined : this.target.cell()
  }

  send(message: unknown): boolean {
    const cell = this.known
    return cell === undefined || cell.isDead ? this.sendSlowly(message) : cell.send(message)
  }

  signal(message: unknown): boolean {
    return this.fenced ? this.refuse(message) : this.target.signal(message)
  }

  fence() {
    this.fenced = true
    this.known = undefined
  }

  private sendSlowly(message: unknown): boolean {
    if (this.fenced) return this.refuse(message)
    this.known = this.target.cell()
    return this.target.send(message)
  }

  private refuse(message: unknown): false {
    this.runtime.deadLetter(this.path, message, "fenced")
    return false
  }
}

/** A message at a fixed rate, without drift. */
class Beats implements Timer {
  private next: Timer

  constructor(
    private readonly parent: Parent,
    private readonly intervalMs: number,
    private readonly message: unknown,
  ) {
    this.next = this.arm(parent.runtime.timers.monotonicMs() + intervalMs)
  }

  cancel() {
    this.next.cancel()
  }

  private arm(at: number): Timer {
    const { timers } = this.parent.runtime
    return timers.at(at, () => {
      // Beats that were missed stay missed: a late thread must not get a burst as well.
      const missed = Math.floor((timers.monotonicMs() - at) / this.intervalMs)
      this.next = this.arm(at + (missed + 1) * this.intervalMs)
      this.parent.cell.send(this.message)
    })
  }
}

class Watch implements Monitor, Watcher {
  private signal: Signal | undefined = undefined

  constructor(
    private readonly life: Incarnation,
    private readonly watcher: Cell,
    private readonly target: Cell | undefined,
    private readonly message: (down: Down) => unknown,
    private readonly monitors: Set<Monitor>,
  ) {}

  down(path: string, reason: Down["reason"]) {
    this.monitors.delete(this)
    try {
      this.signal = { message: this.message({ path, reason }) }
    } catch (error) {
      return this.life.crash(error)
    }
    this.watcher.post(this.signal)
  }

  demonitor() {
    this.monitors.delete(this)
    this.target?.unwatch(this)
    if (this.signal !== undefined) this.watcher.retract(this.signal)
  }
}
