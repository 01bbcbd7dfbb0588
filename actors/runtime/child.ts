/**
 * A child as its supervisor sees it: how it is started, stopped and given up, and
 * what is known of it. Here the actor; a supervisor is the other kind.
 *
 * A child keeps its mailbox, its name and its counts over its incarnations. It
 * decides nothing: when it ends, it tells its supervisor.
 */
import { Cause, Data, Effect, Exit, Scope } from "effect"
import type { ErasedBehavior, ExitReason } from "./behavior.ts"
import { Cell } from "./cell.ts"
import { Incarnation } from "./incarnation.ts"
import { causeLine } from "./report.ts"
import type { BackoffPolicy, Restart, Strategy } from "./restart_policy.ts"
import type { Runtime } from "./runtime.ts"
import type { Timer } from "./timers.ts"

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
  /** Of these: whose place a newer one of its key has taken. */
  readonly conflated: number
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

/** The supervisor above a child. */
interface Guardian {
  readonly path: string
  /** The child has ended by itself; why is in its `exit`. */
  childEnded(child: Child): void
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

  constructor(readonly runtime: Runtime, readonly parent: Guardian | undefined) {}

  abstract readonly name: string
  abstract readonly restart: Restart
  abstract readonly significant: boolean
  abstract readonly backoff: BackoffPolicy | undefined
  /** An incarnation is up, or on its way down. */
  abstract readonly isLive: boolean
  abstract start(): Effect.Effect<void, StartError>
  /** Ends the present incarnation, if there is one; what is queued is kept. */
  abstract stop(): Effect.Effect<void>
  /** Waits for nothing any more. */
  abstract abandon(): void
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

  constructor(runtime: Runtime, parent: Guardian, readonly behavior: ErasedBehavior) {
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

  abandon() {
    if (this.life === undefined) return
    this.life.expected = true
    this.life.abandon()
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
      conflated: cell.conflated,
      rejected: cell.rejected,
      failed: cell.failed,
      lastActiveAt: cell.lastActiveAt,
      ...(cell.lastFailed !== undefined && { lastFailed: cell.lastFailed }),
      children: [],
    }
  }
}
