/**
 * What an actor is: a value that says how to start, what to do with a message,
 * and what becomes of it when it crashes.
 *
 * `receive` is a fold. It returns the next state, and is then run by the
 * dispatcher at the cost of a function call; or an Effect of it, and is then run
 * in a fiber while the mailbox waits. Nothing here runs anything.
 */
import type { Cause, Effect, Scope } from "effect"
import type { BackoffPolicy, Restart } from "./restart_policy.ts"
import type { Timer } from "./timers.ts"

/** Stays valid over restarts. */
export interface ActorRef<in M> {
  /** Where the actor is in the tree: `root/feeds/feed:binance`. */
  readonly path: string
  /** False when not accepted (full and rejecting, or dead: then it is a dead letter). */
  send(message: M): boolean
  /** Control lane: read before all user messages, never dropped; false only when dead. */
  signal(message: M): boolean
}

/**
 * What happens at the capacity: the new message is refused, the oldest is lost, or the sender
 * waits (`offer`; a plain `send` is refused). `conflate` keeps one message per key, the newest, in
 * the place of the first; `undefined` is never conflated, and a new key is refused when full.
 */
export type Mailbox<M> =
  | { readonly capacity: number; readonly overflow: "reject" | "dropOldest" | "suspend" }
  | {
    readonly capacity: number
    readonly overflow: "conflate"
    readonly key: (message: M) => unknown
  }

/** Why an incarnation ended. `killed` ones did not end in time and were abandoned. */
export type ExitReason =
  | { readonly kind: "normal" }
  | { readonly kind: "shutdown"; readonly detail?: string }
  | { readonly kind: "crashed"; readonly cause: Cause.Cause<unknown> }
  | { readonly kind: "killed" }

/** What a watcher learns, once, when the incarnation it watched has ended. */
export interface Down {
  readonly path: string
  /** `unknown` when nobody has the name. */
  readonly reason: ExitReason | { readonly kind: "unknown" }
}

export interface Monitor {
  /** Takes back a Down that is on its way, too. */
  demonitor(): void
}

/** Ends the actor after the present message. */
export class Stop {
  constructor(readonly reason: ExitReason) {}
}

/** The next state, and what is to be done with messages from now on. */
export class Become<out S, in M> {
  declare protected readonly message: (message: M) => void
  constructor(readonly state: S, readonly receive: unknown) {}
}

export type Receive<S, M> = (
  state: S,
  message: M,
  actor: ActorContext<M>,
) => S | Stop | Become<S, M> | Effect.Effect<S | Stop | Become<S, M>, unknown>

/**
 * Returned from `receive`, ends the actor in good order. Whether it is started again is for its
 * restart type to say. Any reason but `normal` is a kind of `shutdown`: to crash, throw.
 */
export const stop = (reason: "normal" | "shutdown" | (string & Record<never, never>) = "normal") =>
  new Stop(
    reason === "normal"
      ? { kind: "normal" }
      : reason === "shutdown"
      ? { kind: "shutdown" }
      : { kind: "shutdown", detail: reason },
  )

/** Returned from `receive`: `state` is the next state, `receive` handles what follows, until a restart. */
export const become = <S, M>(state: S, receive: Receive<S, M>): Become<S, M> =>
  new Become<S, M>(state, receive)

/** What one incarnation may do. It belongs to that incarnation: afterwards every call is void. */
export interface ActorContext<M> {
  readonly self: ActorRef<M>
  readonly path: string
  /** How often this actor has been started before; 0 for the first incarnation. */
  readonly incarnation: number
  /** Late-bound, valid even before that actor exists; `send` answers false while nobody has the name. */
  ref<N>(name: ActorName<N>): ActorRef<N>
  /** Never lost to a full mailbox. Ends with the incarnation. */
  sendAfter(delayMs: number, message: M): Timer
  /** Skips a beat when the mailbox is full or the thread was late. Ends with the incarnation. */
  every(intervalMs: number, message: M): Timer
  /**
   * Runs beside the mailbox, in the incarnation's scope; begins after the present message. A failure
   * or defect crashes the actor.
   */
  fork(effect: Effect.Effect<unknown, unknown>): void
  /** Epoch milliseconds of the injected Clock, as of now. */
  now(): number
  /** Puts the message aside. False when as many as the mailbox's capacity are aside already. */
  stash(message: M): boolean
  /** Puts everything set aside before the mailbox, in order. A crash does that, too. */
  unstashAll(): void
  /**
   * One message by the control lane when the present incarnation of `ref` ends; at once when it is
   * dead. While it is being restarted, the next incarnation is watched.
   */
  monitor<N>(ref: ActorRef<N>, message: (down: Down) => M): Monitor
  /** Ends the actor after the present message, before the next; also from a callback. */
  stop(reason?: "normal" | "shutdown" | (string & Record<never, never>)): void
  /** For callbacks: crashes the actor as if its handler had thrown `error`. */
  crash(error: unknown): void
}

/** A typed name under which an actor registers; unique in a system. */
export interface ActorName<in M> {
  readonly id: string
  readonly message?: (message: M) => void
}

export const actorName = <M>(id: string): ActorName<M> => ({ id })

export interface BehaviorOptions<S, M> {
  /** Id among its siblings, and registered name in the system; without `/`. */
  readonly name: string
  readonly mailbox: Mailbox<M>
  /** There is no default: whether an actor may end for good is a decision. */
  readonly restart: Restart
  /** How long its end may take, in milliseconds, before it is abandoned; `brutal_kill` asks nobody. Default 5000. */
  readonly shutdownMs?: number | "brutal_kill"
  /** Counts for the supervisor's `autoShutdown`. Default false. */
  readonly significant?: boolean
  /** Waits before restarts. Default: none after a crash, up to 100 ms and doubling after a failed start. */
  readonly backoff?: BackoffPolicy
  /**
   * Whether a message that waited through a restart is still worth handling; others are dropped and
   * counted. Default: all are. `nowMs` is the Clock's, epoch milliseconds.
   */
  readonly keepOverRestart?: (message: M, nowMs: number) => boolean
  /** The first state, and whatever has to be acquired; a failure here is a failed start. */
  readonly init: (actor: ActorContext<M>) => S | Effect.Effect<S, unknown, Scope.Scope>
  readonly receive: Receive<S, M>
  /** Runs when an incarnation ends, before its scope closes. */
  readonly terminate?: (state: S, reason: ExitReason) => void | Effect.Effect<void, unknown>
}

/** Behaviors of all states and messages, as the runtime sees them. */
export interface ErasedBehavior {
  readonly name: string
  readonly mailbox: Mailbox<unknown>
  readonly restart: Restart
  readonly shutdownMs: number | "brutal_kill"
  readonly significant: boolean
  readonly backoff: BackoffPolicy | undefined
  readonly keepOverRestart: ((message: unknown, nowMs: number) => boolean) | undefined
  readonly init: (actor: ActorContext<unknown>) => unknown
  readonly receive: ErasedReceive
  readonly terminate: ((state: unknown, reason: ExitReason) => unknown) | undefined
}
export type ErasedReceive = (
  state: unknown,
  message: unknown,
  actor: ActorContext<unknown>,
) => unknown

export interface Behavior<in M> {
  readonly kind: "actor"
  readonly name: string
  /** Only the runtime looks inside. */
  readonly erased: ErasedBehavior
  readonly message?: (message: M) => void
}

export function behavior<S, M>(options: BehaviorOptions<S, M>): Behavior<M> {
  checkName(options.name)
  const { capacity } = options.mailbox
  if (!(capacity >= 1)) {
    throw new RangeError(
      `actor ${options.name}: mailbox capacity must be at least 1, got ${capacity}`,
    )
  }
  // Only messages of type M reach `receive`, and only states it returned itself: by the types of
  // the references. The runtime in between need not know either.
  const erased = options as unknown as ErasedBehavior
  return {
    kind: "actor",
    name: options.name,
    erased: {
      name: options.name,
      mailbox: erased.mailbox,
      restart: options.restart,
      shutdownMs: options.shutdownMs ?? 5_000,
      significant: options.significant ?? false,
      backoff: options.backoff,
      keepOverRestart: erased.keepOverRestart,
      init: erased.init,
      receive: erased.receive,
      terminate: erased.terminate,
    },
  }
}

export function checkName(name: string) {
  if (name === "" || name.includes("/")) {
    throw new RangeError(`an actor's name must be a non-empty text without "/", got "${name}"`)
  }
}
