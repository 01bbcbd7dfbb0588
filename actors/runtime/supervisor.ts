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
import { Cause, Data, Effect, Exit, type Fiber, Scope } from "effect"
import { type Behavior, checkName, type ErasedBehavior, type ExitReason } from "./behavior.ts"
import { Cell } from "./cell.ts"
import type { Runnable } from "./dispatcher.ts"
import { Incarnation } from "./incarnation.ts"
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
import type { Timer } from "./timers.ts"

export interface SupervisorOptions {
  /** Id among its siblings; without `/`. */
  readonly name: string
  readonly strategy: Strategy
  /** More restarts than this within the period end the supervisor. */
  readonly intensity: number
  readonly periodMs: number
  /** Default permanent: a transient one that gives up counts as ended in good order, and is gone. */
  readonly restart?: Restart
  /** Default Infinity: each child has its own limit. */
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

export type Status = "starting" | "running" | "restarting" | "stopping" | "stopped" | "failed"

export interface TreeNode {
  readonly path: string
  readonly name: string
  readonly kind: "actor" | "supervisor"
  readonly strategy?: Strategy
  readonly restart: Restart
  readonly status: Status
  readonly restarts: number
  readonly mailboxDepth: number
  readonly mailboxDepthMax: number
  readonly processed: number
  /** Accepted and then lost by the mailbox's policy. */
  readonly dropped: number
  /** Refused because the mailbox was full. */
  readonly rejected: number
  /** Lost because handling them crashed the actor. */
  readonly failed: number
  /** Epoch milliseconds of the last start; 0 before the first. */
  readonly startedAt: number
  /** Epoch milliseconds of the last pass in which it handled a message; 0 before the first. */
  readonly lastActiveAt: number
  readonly lastCause?: string
  readonly lastCauseAt?: number
  /** Type and hash of the message that crashed it last. */
  readonly lastFailed?: string
  /** While it waits out a backoff: epoch milliseconds of the restart. */
  readonly restartAt?: number
  readonly children: ReadonlyArray<TreeNode>
}

/** A child could not start, and with it everything above it. */
export class StartError extends Data.TaggedError("StartError")<{
  readonly path: string
  readonly cause: Cause.Cause<unknown>
}> {
  override get message() {
    return `${this.path} did not start: ${causeLine(this.cause)}`
  }
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

/** What a supervisor knows of each child, be it an actor or another supervisor. */
export abstract class Child {
  status: Status = "stopped"
  starts = 0
  /** Epoch milliseconds. */
  startedAt = 0
  lastCause: Cause.Cause<unknown> | undefined = undefined
  lastCauseAt = 0
  /** Restarts in a row, for the backoff. */
  attempt = 0
  /** The last try to start it failed. */
  startFailed = false
  /** When the last start succeeded, by the monotonic clock. */
  startedMs = 0
  /** A restart of it, and of its group, is to come: after a backoff, or in the inbox. */
  waiting = false
  retry: Timer | undefined = undefined
  restartAt: number | undefined = undefined
  /** Its exit, while the supervisor has not handled it. */
  exit: ExitReason | undefined = undefined

  constructor(readonly runtime: Runtime, readonly parent: Supervisor | undefined) {}

  abstract readonly name: string
  abstract readonly restart: Restart
  abstract readonly significant: boolean
  abstract readonly backoff: BackoffPolicy | undefined
  /** An incarnation is up, or on its way down. */
  abstract readonly isLive: boolean
  abstract start(): Effect.Effect<void, StartError>
  /** Ends the present incarnation, if there is one; what is queued is kept. */
  abstract stop(): Effect.Effect<void>
  /** Ends it for good: its references are dead. */
  abstract kill(epitaph: string): void
  abstract tree(): TreeNode
  abstract get isIdle(): boolean

  get restarts(): number {
    return Math.max(0, this.starts - 1)
  }

  get path(): string {
    return this.parent === undefined ? this.name : `${this.parent.path}/${this.name}`
  }

  /** Whether an end with this reason is followed by a restart. */
  restartsAfter(reason: ExitReason): boolean {
    if (this.restart === "permanent") return true
    return this.restart === "transient" && (reason.kind === "crashed" || reason.kind === "killed")
  }

  noteCause(cause: Cause.Cause<unknown>) {
    this.lastCause = cause
    this.lastCauseAt = this.runtime.now()
  }

  noteStart() {
    this.starts++
    this.startedAt = this.runtime.now()
    this.startedMs = this.runtime.timers.monotonicMs()
    this.startFailed = false
    this.status = "running"
  }

  cancelRetry() {
    this.waiting = false
    this.retry?.cancel()
    this.retry = undefined
    this.restartAt = undefined
  }

  protected facts() {
    return {
      path: this.path,
      name: this.name,
      restart: this.restart,
      status: this.status,
      restarts: this.restarts,
      startedAt: this.startedAt,
      ...(this.lastCause && {
        lastCause: causeLine(this.lastCause),
        lastCauseAt: this.lastCauseAt,
      }),
      ...(this.restartAt !== undefined && { restartAt: this.restartAt }),
    }
  }
}

export class ActorChild extends Child {
  readonly cell: Cell
  life: Incarnation | undefined = undefined

  constructor(runtime: Runtime, parent: Supervisor, readonly behavior: ErasedBehavior) {
    super(runtime, parent)
    this.cell = new Cell(runtime, behavior.mailbox, this)
  }

  get name() {
    return this.behavior.name
  }

  get restart() {
    return this.behavior.restart
  }

  get significant() {
    return this.behavior.significant
  }

  get backoff() {
    return this.behavior.backoff
  }

  get isLive() {
    return this.life !== undefined
  }

  get isIdle() {
    if (this.status === "running") return !this.cell.isActive
    return this.status === "stopped" || this.status === "failed"
  }

  start(): Effect.Effect<void, StartError> {
    return Effect.suspend(() => {
      this.status = "starting"
      // An end that nobody has handled yet is settled by this start.
      this.exit = undefined
      this.cell.revive()
      const { registry } = this.runtime
      if (!registry.bind(this.name, this.cell)) {
        const taken = new Error(`the name ${this.name} is taken by ${registry.holder(this.name)}`)
        return Effect.flatMap(Effect.exit(Effect.die(taken)), (exit) => this.notStarted(exit))
      }
      const life = this.life = new Incarnation(this, this.starts)
      let value: unknown
      try {
        value = this.behavior.init(life)
      } catch (defect) {
        value = Effect.die(defect)
      }
      if (!Effect.isEffect(value)) {
        this.started(life, value)
        return Effect.void
      }
      const init = Effect.onExit(
        Scope.provide(value as Effect.Effect<unknown, unknown, Scope.Scope>, life.scope),
        (exit) => {
          if (exit._tag === "Success") return Effect.void
          // Also when it is interrupted, and nothing below comes to run.
          this.life = undefined
          return life.undo(exit)
        },
      )
      return Effect.matchCauseEffect(init, {
        onSuccess: (value) => Effect.sync(() => this.started(life, value)),
        onFailure: (cause) => this.notStarted(Exit.failCause(cause)),
      })
    })
  }

  private started(life: Incarnation, value: unknown) {
    this.noteStart()
    this.runtime.report(life.incarnation === 0 ? "started" : "restarted", this.path, this.restarts)
    life.begin(value)
  }

  private notStarted(exit: Exit.Exit<unknown, unknown>): Effect.Effect<never, StartError> {
    const cause = exit._tag === "Failure" ? exit.cause : Cause.empty
    this.status = "failed"
    this.noteCause(cause)
    this.runtime.report("start_failed", this.path, this.restarts, { cause })
    return Effect.fail(new StartError({ path: this.path, cause }))
  }

  stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const life = this.life
      this.exit = undefined
      this.cancelRetry()
      if (life === undefined) {
        this.status = "stopped"
        return Effect.void
      }
      this.status = "stopping"
      life.expected = true
      if (this.behavior.shutdownMs === "brutal_kill") life.abandon()
      else life.end({ kind: "shutdown" })
      if (this.life !== life) return Effect.void
      return Effect.callback<void>((resume) => {
        life.onEnd = () => resume(Effect.void)
      })
    })
  }

  kill(epitaph: string) {
    this.exit = undefined
    this.cancelRetry()
    this.status = "stopped"
    this.runtime.registry.unbind(this.name, this.cell, epitaph)
    this.cell.kill(epitaph)
  }

  /** The incarnation is over, its scope closed or abandoned. */
  ended(life: Incarnation, reason: ExitReason) {
    if (this.life !== life) return
    this.life = undefined
    if (life.expected) {
      this.status = "stopped"
      if (reason.kind !== "killed") this.runtime.report("stopped", this.path, this.restarts)
      life.onEnd?.()
      return
    }
    this.status = "restarting"
    this.exit = reason
    if (reason.kind === "crashed") {
      this.noteCause(reason.cause)
      this.runtime.report("crashed", this.path, this.restarts, {
        cause: reason.cause,
        message: this.cell.lastFailed,
      })
    } else this.runtime.report("exited", this.path, this.restarts)
    this.parent!.childEnded(this)
  }

  tree(): TreeNode {
    const { cell } = this
    return {
      ...this.facts(),
      kind: "actor",
      mailboxDepth: cell.depth,
      mailboxDepthMax: Math.max(cell.depthMax, cell.depth),
      processed: cell.processed,
      dropped: cell.dropped,
      rejected: cell.rejected,
      failed: cell.failed,
      lastActiveAt: cell.lastActiveAt,
      ...(cell.lastFailed !== undefined && { lastFailed: cell.lastFailed }),
      children: [],
    }
  }
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
    parent: Supervisor | undefined,
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
      return stopped
    })
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
        const exit = yield* Effect.exit(this.root.escalated(cause))
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
      this.enqueue(
        Effect.suspend(() =>
          member.status === "restarting" && this.children.get(member.name) === member
            ? this.restartChildren(member)
            : Effect.void
        ),
      )
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
