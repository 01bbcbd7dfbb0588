/**
 * Questions: a message with a slot for the answer, and a deadline.
 *
 * The runtime knows which questions an incarnation has taken and not answered,
 * and fails them when it ends: who asks never waits for somebody who is gone. A
 * question still in the mailbox survives a crash, like every other message.
 */
import { Cause, Data, Effect } from "effect"
import type { ActorRef } from "./behavior.ts"
import type { Cell, PendingReply } from "./cell.ts"
import { Ref } from "./registry.ts"
import { causeLine, errorLine } from "./report.ts"
import type { Runtime } from "./runtime.ts"
import type { Timer } from "./timers.ts"

/** May be kept and answered later. Only the first answer counts; a late one is a dead letter. */
export interface ReplyTo<in A> {
  succeed(value: A): void
  fail(error: unknown): void
}

export class AskError extends Data.TaggedError("AskError")<{
  /** `rejected`: the mailbox was full. `failed`: the callee answered with a failure, the `cause`. */
  readonly reason: "timeout" | "dead" | "crashed" | "rejected" | "failed"
  readonly path: string
  readonly cause?: unknown
}> {
  override get message() {
    const why = this.cause === undefined
      ? ""
      : `: ${Cause.isCause(this.cause) ? causeLine(this.cause) : errorLine(this.cause)}`
    return `asking ${this.path}: ${this.reason}${why}`
  }
}

/** Fails at once when the callee is dead, or crashes while it has the question. */
export const ask = <M, A>(
  ref: ActorRef<M>,
  make: (reply: ReplyTo<A>) => M,
  options: { readonly timeoutMs: number },
): Effect.Effect<A, AskError> =>
  Effect.callback<A, AskError>((resume) => {
    const cell = ref instanceof Ref ? ref.cell() : undefined
    if (cell === undefined) {
      // Nobody has the name; sending makes the dead letter.
      ref.send(make({ succeed: () => {}, fail: () => {} }))
      return resume(Effect.fail(new AskError({ reason: "dead", path: ref.path })))
    }
    const question = new Question<A>(cell, resume)
    question.ask(make(question), options.timeoutMs)
    return question.abandon
  })

class Question<A> implements ReplyTo<A>, PendingReply {
  private readonly path: string
  private readonly runtime: Runtime
  private message: unknown = undefined
  private timer: Timer | undefined = undefined
  private open = true

  constructor(
    private readonly cell: Cell,
    private readonly resume: (answer: Effect.Effect<A, AskError>) => void,
  ) {
    this.path = cell.path
    this.runtime = cell.runtime
  }

  ask(message: unknown, timeoutMs: number) {
    this.message = message
    const accepted = this.cell.ask(message, this)
    if (!accepted) return this.fails(this.cell.isDead ? "dead" : "rejected")
    if (!this.open) return
    this.timer = this.runtime.timers.after(timeoutMs, () => this.fails("timeout"))
  }

  succeed(value: A) {
    if (this.open) this.close(Effect.succeed(value))
    else this.tooLate(value)
  }

  fail(error: unknown) {
    if (this.open) this.fails("failed", error)
    else this.tooLate(error)
  }

  endedBy(reason: "dead" | "crashed" | "rejected", cause: Cause.Cause<unknown> | undefined) {
    if (this.open) this.fails(reason, cause)
  }

  /** The caller has been interrupted. */
  readonly abandon = Effect.sync(() => {
    this.open = false
    this.forget()
  })

  /** In the fingerprint of a message it counts as what it is, not with all it leads to. */
  toJSON() {
    return "reply"
  }

  private fails(reason: AskError["reason"], cause?: unknown) {
    this.close(
      Effect.fail(
        new AskError({ reason, path: this.path, ...(cause !== undefined && { cause }) }),
      ),
    )
  }

  private close(answer: Effect.Effect<A, AskError>) {
    this.open = false
    this.forget()
    this.resume(answer)
  }

  private forget() {
    this.timer?.cancel()
    this.cell.settled(this.message)
  }

  private tooLate(answer: unknown) {
    this.runtime.deadLetter(`${this.path} (asker)`, answer, "late_reply")
  }
}

/**
 * For senders that can wait: while a `suspend` mailbox is full, until there is room. False when it
 * was not accepted. Waiting senders come first, in the order in which they came.
 */
export const offer = <M>(ref: ActorRef<M>, message: M): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const cell = ref instanceof Ref ? ref.cell() : undefined
    if (cell === undefined) return resume(Effect.succeed(ref.send(message)))
    const giveUp = cell.offer(message, (accepted) => resume(Effect.succeed(accepted)))
    return Effect.sync(giveUp)
  })
