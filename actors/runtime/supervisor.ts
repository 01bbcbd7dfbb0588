/**
 * Supervision as OTP does it: an ordered list of children, a restart type each,
 * one strategy, one intensity for all.
 *
 * A supervisor takes one thing after another from its inbox (an exit, a retry, a
 * call) and finishes it before the next, in a fiber that lives only for it. What
 * it does to several children it does in their order: start as listed, stop in
 * reverse. A backoff is not waited out but comes back as another thing to do.
 *
 * It handles no messages and holds no state but the children's. When it is past
 * its intensity it stops them all and ends; that is its parent's exit to handle.
 */
import { Cause, Data, Effect, type Exit, type Fiber } from "effect"
import { type Behavior, checkName } from "./behavior.ts"
import type { Cell } from "./cell.ts"
import { ActorChild, Child, StartError, type TreeNode } from "./child.ts"
import type { Runnable } from "./dispatcher.ts"
import { causeLine, errorLine } from "./report.ts"
import {
  type AutoShutdown,
  backoffMs,
  type BackoffPolicy,
  type Restart,
  START_RETRY,
  type Strategy,
  withinPeriod,
} from "./restart_policy.ts"
import type { Runtime } from "./runtime.ts"

export interface SupervisorOptions {
  /** Id among its siblings; without `/`. */
  readonly name: string
  readonly strategy: Strategy
  /** More restarts than this within the period end the supervisor. */
  readonly intensity: number
  readonly periodMs: number
  /** Default permanent: a transient one that gives up counts as ended in good order, and is gone. */
  readonly restart?: Restart
  /**
   * How long all its children together may take to stop, in milliseconds, before those left are
   * abandoned. Default Infinity: each has its own limit.
   */
  readonly shutdownMs?: number
  readonly significant?: boolean
  /** Default never. */
  readonly autoShutdown?: AutoShutdown
  readonly backoff?: BackoffPolicy
  /** In start order; stopped in reverse. */
  readonly children: ReadonlyArray<ChildSpec>
}

export interface SupervisorSpec extends SupervisorOptions {
  readonly kind: "supervisor"
}
export type ChildSpec = Behavior<never> | SupervisorSpec

export function supervisor(options: SupervisorOptions): SupervisorSpec {
  checkName(options.name)
  const names = new Set<string>()
  for (const { name } of options.children) {
    if (names.has(name)) {
      throw new RangeError(`supervisor ${options.name}: two children named ${name}`)
    }
    names.add(name)
  }
  return { kind: "supervisor", ...options }
}

export class ManagementError extends Data.TaggedError("ManagementError")<{
  readonly reason:
    | "not_found"
    | "not_a_supervisor"
    | "running"
    | "restarting"
    | "already_started"
    | "already_present"
    | "start_failed"
    | "stopped"
  readonly path: string
  readonly cause?: StartError
}> {
  override get message() {
    return this.cause?.message ?? `${this.path}: ${this.reason.replaceAll("_", " ")}`
  }
}

/** Something for a supervisor to do in its turn. */
interface Task {
  readonly effect: Effect.Effect<void>
  /** Called when it is not going to be done. */
  readonly dropped: (() => void) | undefined
}

export class Supervisor extends Child implements Runnable {
  readonly children = new Map<string, Child>()
  private readonly deleted = new Set<string>()
  private inbox: Array<Task> = []
  private at: Fiber.Fiber<void> | undefined = undefined
  private busy = false
  private queued = false
  private restartTimes: Array<number> = []

  constructor(
    runtime: Runtime,
    override readonly parent: Supervisor | undefined,
    readonly spec: SupervisorOptions,
    /** The root's: hears that all is over, and may act before the children stop. */
    private readonly root?: {
      readonly escalated: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
      readonly ended: (cause: Cause.Cause<unknown> | undefined) => void
    },
  ) {
    super(runtime, parent)
  }

  get name() {
    return this.spec.name
  }

  get restart() {
    return this.spec.restart ?? "permanent"
  }

  get significant() {
    return this.spec.significant ?? false
  }

  get backoff() {
    return this.spec.backoff
  }

  get isLive() {
    return this.status === "running" || this.status === "starting" || this.status === "stopping"
  }

  get isIdle() {
    if (this.status === "stopped" || this.status === "failed") return true
    if (this.status !== "running" || this.busy || this.queued || this.inbox.length > 0) return false
    for (const child of this.children.values()) if (!child.isIdle) return false
    return true
  }

  // ---- one thing after another ---------------------------------------------------

  /** Does the next thing in the inbox. */
  run(): number {
    this.queued = false
    // While it starts or stops, what happens to the children is part of that.
    const task = this.busy || this.status !== "running" ? undefined : this.inbox.shift()
    if (task === undefined) return 1
    this.busy = true
    const fiber = this.runtime.runFork(task.effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) this.done(exit)
    else {
      this.at = fiber
      fiber.addObserver((exit) => this.done(exit))
    }
    return 1
  }

  private enqueue(effect: Effect.Effect<void>, dropped?: () => void) {
    this.inbox.push({ effect, dropped })
    this.wake()
  }

  private dropInbox() {
    const inbox = this.inbox
    this.inbox = []
    for (const task of inbox) task.dropped?.()
  }

  private wake() {
    if (this.busy || this.queued || this.inbox.length === 0 || this.status !== "running") return
    this.queued = true
    this.runtime.dispatcher.ready(this)
  }

  private done(exit: Exit.Exit<void>) {
    this.busy = false
    this.at = undefined
    if (exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)) {
      // A defect of our own: the tree below cannot be trusted any more.
      this.dropInbox()
      this.inbox = [{ effect: this.giveUp(exit.cause), dropped: undefined }]
    }
    this.wake()
  }

  // ---- the supervisor's own life ---------------------------------------------------

  start(): Effect.Effect<void, StartError> {
    return Effect.suspend(() => {
      this.status = "starting"
      this.exit = undefined
      this.restartTimes = []
      this.runtime.report("starting", this.path, this.restarts)
      this.listChildren()
      return this.startAll()
    })
  }

  private readonly startAll = Effect.fnUntraced(function* (this: Supervisor) {
    for (const child of [...this.children.values()]) {
      const exit = yield* Effect.onInterrupt(
        Effect.exit(child.start()),
        () => this.unwindChildren(),
      )
      if (exit._tag === "Success") continue
      yield* this.unwindChildren()
      this.status = "failed"
      this.dropInbox()
      const error = firstError(exit.cause)
      this.noteCause(error.cause)
      return yield* error
    }
    this.noteStart()
    this.runtime.report(this.starts === 1 ? "started" : "restarted", this.path, this.restarts)
    this.wake()
  })

  /** Those of the specification in its order, then those added while running. */
  private listChildren() {
    const known = [...this.children.values()]
    this.children.clear()
    for (const spec of this.spec.children) {
      if (this.deleted.has(spec.name)) continue
      const child = known.find((child) => child.name === spec.name)
      this.children.set(spec.name, child ?? this.makeChild(spec))
    }
    for (const child of known) {
      if (!this.children.has(child.name)) this.children.set(child.name, child)
    }
  }

  private makeChild(spec: ChildSpec): Child {
    return spec.kind === "actor"
      ? new ActorChild(this.runtime, this, spec.erased)
      : new Supervisor(this.runtime, this, spec)
  }

  stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.exit = undefined
      this.cancelRetry()
      if (!this.isLive) {
        this.status = "stopped"
        return Effect.void
      }
      this.status = "stopping"
      this.dropInbox()
      const stopped = Effect.andThen(
        this.interruptTask(),
        Effect.flatMap(this.unwindChildren(), () =>
          Effect.sync(() => {
            this.status = "stopped"
            this.runtime.report("stopped", this.path, this.restarts)
          })),
      )
      const { shutdownMs = Infinity } = this.spec
      if (shutdownMs === Infinity) return stopped
      return Effect.map(Effect.timeoutOption(stopped, shutdownMs), (inTime) => {
        if (inTime._tag === "None") this.abandon()
      })
    })
  }

  abandon() {
    if (!this.isLive) return
    for (const child of [...this.children.values()].reverse()) child.abandon()
    this.status = "stopped"
    this.runtime.report("abandoned", this.path, this.restarts)
  }

  private interruptTask(): Effect.Effect<void> {
    const fiber = this.at
    if (fiber === undefined) return Effect.void
    return Effect.callback<void>((resume) => {
      fiber.addObserver(() => resume(Effect.void))
      fiber.interruptUnsafe()
    })
  }

  kill(epitaph: string) {
    this.exit = undefined
    this.cancelRetry()
    this.status = "stopped"
    this.dropInbox()
    for (const child of this.children.values()) child.kill(epitaph)
  }

  /** Stops all children, the last started first. */
  private unwindChildren(): Effect.Effect<void> {
    return this.stopAll([...this.children.values()])
  }

  private readonly stopAll = Effect.fnUntraced(function* (
    this: Supervisor,
    children: ReadonlyArray<Child>,
  ) {
    for (let i = children.length - 1; i >= 0; i--) yield* children[i]!.stop()
  })

  /** Stops everything and ends, as its parent's child. */
  private readonly giveUp = Effect.fnUntraced(function* (
    this: Supervisor,
    cause: Cause.Cause<unknown> | undefined,
  ) {
    if (cause !== undefined) {
      this.noteCause(cause)
      this.runtime.report("escalated", this.path, this.restarts, { cause })
      if (this.root !== undefined) {
        const exit = yield* Effect.exit(Effect.uninterruptible(this.root.escalated(cause)))
        if (exit._tag === "Failure") {
          this.runtime.report("cleanup_failed", this.path, this.restarts, { cause: exit.cause })
        }
      }
    }
    this.status = "stopping"
    yield* this.unwindChildren()
    this.dropInbox()
    if (this.parent === undefined) {
      this.kill(cause === undefined ? "shut down" : causeLine(cause))
      return this.root?.ended(cause)
    }
    this.status = "restarting"
    this.exit = { kind: "shutdown" }
    this.parent.childEnded(this)
  })

  // ---- exits -----------------------------------------------------------------------

  childEnded(child: Child) {
    this.enqueue(Effect.suspend(() => this.handleExit(child)))
  }

  private handleExit(child: Child): Effect.Effect<void> {
    const reason = child.exit
    // Stopped or restarted since: its exit is old news.
    if (reason === undefined || this.children.get(child.name) !== child) return Effect.void
    child.exit = undefined
    if (child.restartsAfter(reason)) return this.restartChildren(child)
    const failed = reason.kind === "crashed" || reason.kind === "killed"
    child.kill(failed && child.lastCause ? causeLine(child.lastCause) : reason.kind)
    if (failed) child.status = "failed"
    if (child.restart === "temporary") this.children.delete(child.name)
    return this.shouldShutDown(child) ? this.giveUp(undefined) : Effect.void
  }

  private shouldShutDown(ended: Child): boolean {
    const { autoShutdown = "never" } = this.spec
    if (autoShutdown === "never" || !ended.significant) return false
    if (autoShutdown === "any_significant") return true
    for (const child of this.children.values()) {
      if (child.significant && child.isLive) return false
    }
    return true
  }

  /** One restart of `child` and of whoever the strategy takes along; counted, and delayed by its backoff. */
  private restartChildren(child: Child): Effect.Effect<void> {
    const now = this.runtime.timers.monotonicMs()
    this.restartTimes = withinPeriod(this.restartTimes, now, this.spec.periodMs)
    this.restartTimes.push(now)
    if (this.restartTimes.length > this.spec.intensity) {
      const last = child.lastCause === undefined ? "it ended" : causeLine(child.lastCause)
      const limit = `more than ${this.spec.intensity} restarts in ${this.spec.periodMs} ms`
      child.kill(last)
      if (child.restart === "temporary") this.children.delete(child.name)
      return this.giveUp(
        Cause.die(new RestartIntensityExceeded(`${limit}, the last of ${child.path}: ${last}`)),
      )
    }
    const delayMs = this.delayOf(child, now)
    child.status = "restarting"
    return this.regroup(child, delayMs)
  }

  private delayOf(child: Child, now: number): number {
    const policy = child.backoff ?? (child.startFailed ? START_RETRY : undefined)
    if (policy === undefined) return 0
    if (!child.startFailed && now - child.startedMs >= policy.resetAfterMs) child.attempt = 0
    child.attempt++
    return backoffMs(policy, child.attempt, this.runtime.random())
  }

  private group(child: Child): Array<Child> {
    if (this.spec.strategy === "one_for_one") return [child]
    const all = [...this.children.values()]
    return this.spec.strategy === "one_for_all" ? all : all.slice(all.indexOf(child))
  }

  private readonly regroup = Effect.fnUntraced(function* (
    this: Supervisor,
    child: Child,
    delayMs: number,
  ) {
    const group = this.group(child)
    if (group.length > 1 || child.isLive) yield* this.stopAll(group)
    for (const member of group) {
      member.cancelRetry()
      if (member.restart === "temporary" && member !== child) {
        member.kill("stopped with its group")
        this.children.delete(member.name)
      } else member.status = "restarting"
    }
    if (delayMs === 0) return yield* this.startGroup(child)
    child.waiting = true
    child.restartAt = this.runtime.now() + delayMs
    this.runtime.report("restarting", child.path, child.restarts, { restartAt: child.restartAt })
    child.retry = this.runtime.timers.after(delayMs, () => {
      this.enqueue(Effect.suspend(() => {
        if (!child.waiting) return Effect.void
        child.cancelRetry()
        return this.startGroup(child)
      }))
    })
  })

  private readonly startGroup = Effect.fnUntraced(function* (this: Supervisor, child: Child) {
    for (const member of this.group(child)) {
      if (member.status !== "restarting") continue
      const exit = yield* Effect.exit(member.start())
      if (exit._tag === "Success") continue
      member.startFailed = true
      member.status = "restarting"
      // Behind what has happened meanwhile; it counts, and waits out a backoff of its own.
      member.waiting = true
      this.enqueue(Effect.suspend(() => {
        if (!member.waiting) return Effect.void
        member.waiting = false
        return this.restartChildren(member)
      }))
      return
    }
  })

  // ---- management --------------------------------------------------------------------

  /** Has `task` done in its turn; fails when the supervisor ends before. */
  private call(
    path: string,
    task: () => Effect.Effect<void, ManagementError>,
  ): Effect.Effect<void, ManagementError> {
    return Effect.callback((resume) => {
      const refuse = () => resume(Effect.fail(new ManagementError({ reason: "stopped", path })))
      if (this.status !== "running" && this.status !== "starting") return refuse()
      const effect = Effect.onExit(
        Effect.exit(Effect.suspend(task)),
        (exit) => Effect.sync(() => exit._tag === "Success" ? resume(exit.value) : refuse()),
      )
      this.enqueue(Effect.asVoid(effect), refuse)
    })
  }

  addChild(spec: ChildSpec) {
    const path = `${this.path}/${spec.name}`
    return this.call(path, () => {
      const present = this.children.get(spec.name)
      if (present !== undefined) {
        const reason = present.isLive || present.status === "restarting"
          ? "already_started"
          : "already_present"
        return Effect.fail(new ManagementError({ reason, path }))
      }
      const child = this.makeChild(spec)
      this.children.set(spec.name, child)
      this.deleted.delete(spec.name)
      return Effect.catch(child.start(), (cause) => {
        child.kill(cause.message)
        this.children.delete(spec.name)
        return Effect.fail(new ManagementError({ reason: "start_failed", path, cause }))
      })
    })
  }

  /** Stops the child and keeps its specification. */
  terminateChild(name: string) {
    return this.callFor(name, (child) => this.terminate(child))
  }

  private readonly terminate = Effect.fnUntraced(function* (this: Supervisor, child: Child) {
    const waited = child.waiting && this.spec.strategy !== "one_for_one"
    yield* child.stop()
    child.kill("stopped by an operator")
    if (child.restart === "temporary") this.children.delete(child.name)
    if (!waited) return
    // Its group waited with it, and now has nobody to wait for.
    for (const member of this.children.values()) {
      if (member.status === "restarting") return yield* this.startGroup(member)
    }
  })

  /** Forgets a child that is not running. */
  deleteChild(name: string) {
    return this.callFor(name, (child, path) => {
      if (child.isLive) return Effect.fail(new ManagementError({ reason: "running", path }))
      if (child.status === "restarting") {
        return Effect.fail(new ManagementError({ reason: "restarting", path }))
      }
      this.forget(child)
      return Effect.void
    })
  }

  removeChild(name: string) {
    return this.callFor(
      name,
      (child) => Effect.map(this.terminate(child), () => this.forget(child)),
    )
  }

  private forget(child: Child) {
    this.children.delete(child.name)
    this.deleted.add(child.name)
  }

  /** Starts a stopped child; a running one, with those the strategy takes along, is stopped before. */
  restartChild(name: string, ifRunning: "restart" | "refuse") {
    return this.callFor(name, (child, path) => {
      if (ifRunning === "refuse") {
        if (child.isLive) return Effect.fail(new ManagementError({ reason: "running", path }))
        if (child.status === "restarting") {
          return Effect.fail(new ManagementError({ reason: "restarting", path }))
        }
      }
      const fresh = !child.isLive && child.status !== "restarting"
      const failed = (cause: StartError) => {
        child.status = "stopped"
        return Effect.fail(new ManagementError({ reason: "start_failed", path, cause }))
      }
      if (fresh) return Effect.catch(child.start(), failed)
      child.attempt = 0
      // Who waits for an earlier one starts with it, not before.
      const earlier = [...this.children.values()].find((other) => other.waiting)
      const together = this.spec.strategy === "one_for_one" ? undefined : earlier
      return this.regroup(together ?? child, 0)
    })
  }

  private callFor(
    name: string,
    task: (child: Child, path: string) => Effect.Effect<void, ManagementError>,
  ) {
    const path = `${this.path}/${name}`
    return this.call(path, () => {
      const child = this.children.get(name)
      return child === undefined
        ? Effect.fail(new ManagementError({ reason: "not_found", path }))
        : task(child, path)
    })
  }

  /** All cells below. */
  *cells(): Iterable<Cell> {
    for (const child of this.children.values()) {
      if (child instanceof ActorChild) yield child.cell
      else if (child instanceof Supervisor) yield* child.cells()
    }
  }

  tree(): TreeNode {
    return {
      ...this.facts(),
      kind: "supervisor",
      strategy: this.spec.strategy,
      mailboxDepth: this.inbox.length,
      mailboxDepthMax: this.inbox.length,
      processed: 0,
      dropped: 0,
      conflated: 0,
      rejected: 0,
      failed: 0,
      lastActiveAt: 0,
      children: [...this.children.values()].map((child) => child.tree()),
    }
  }
}

/** Why a supervisor gave up. */
export class RestartIntensityExceeded extends Error {
  override readonly name = "RestartIntensityExceeded"
}

function firstError(cause: Cause.Cause<StartError>): StartError {
  const error = Cause.squash(cause)
  if (error instanceof StartError) return error
  throw new Error(`a start failed with ${errorLine(error)}`, { cause: error })
}
