/**
 * One stream out of several connections, each begun before the last one ends.
 *
 * The venue closes every connection after a day, and any of them when it restarts a server. So a
 * second connection is opened in time; what it delivers is kept back until it continues, without a
 * hole, what the first has delivered, and then it takes over, without what had been delivered
 * already. A connection that ends by itself, with no other beside it, ends the stream: how often to
 * try again is not decided here.
 */
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Random, type Scope } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import { Overrun, VenueError, type VenueFailure } from "../market_data.ts"
import { VENUE } from "./symbols.ts"

export interface RotationPolicy {
  /** Age at which a connection is replaced. */
  readonly afterMs: number
  /** At most so much earlier, by chance: not all of an account's connections at once. */
  readonly jitterMs: number
  /** Both connections deliver for at least so long. */
  readonly overlapMs: number
  /** After which the new one takes over whatever is missing: better a hole than an end. */
  readonly overlapMaxMs: number
  /** Between two tries to open the second connection. */
  readonly retryMs: number
}

/** A connection lives for 24 hours. */
export const rotationPolicy: RotationPolicy = {
  afterMs: 86_400_000 - 600_000,
  jitterMs: 300_000,
  overlapMs: 1_000,
  overlapMaxMs: 15_000,
  retryMs: 30_000,
}

/** What a connection tells about itself. */
export interface Line<E> {
  /** Its subscriptions stand: from here on it misses nothing. */
  readonly ready: () => void
  /** What ends the connection, if the event could not be taken. */
  readonly event: (event: E) => VenueFailure | undefined
  /** The venue has announced that it will end it. */
  readonly leaving: () => void
}

/** How events of two connections are told apart. */
export interface Handover<E> {
  /**
   * Whether whoever is delivered to sees that something is missing between two connections. Where
   * not, the stream ends rather than go on behind a hole.
   */
  readonly showsHoles: boolean
  /** Told of everything that is delivered, in order. */
  readonly delivered: (event: E) => void
  /** Whether nothing is missing between what was delivered and what waits. */
  readonly joins: (waiting: ReadonlyArray<E>) => boolean
  /** From here on another connection delivers. */
  readonly turn: () => void
  /** Whether it was delivered before the last `turn`. */
  readonly isRepeat: (event: E) => boolean
}

interface Running<E> {
  isReady: boolean
  /** It has been announced that it will end. */
  isLeaving: boolean
  ended: Cause.Cause<VenueError> | undefined
  readyAt: number
  waiting: Array<E>
  fiber: Fiber.Fiber<void> | undefined
}

const WAITING_MAX = 20_000
const LOOK_EVERY_MS = 50

export const rotating = Effect.fnUntraced(function* <E>(options: {
  /** Names the stream in errors. */
  readonly doing: string
  readonly policy: RotationPolicy
  /** One connection until it ends. */
  readonly connect: (line: Line<E>) => Effect.Effect<never, VenueError, Scope.Scope>
  readonly handover: Handover<E>
  readonly deliver: (event: E) => VenueFailure | undefined
  /** Once, when the first connection is ready. */
  readonly ready: () => void
}): Effect.fn.Return<never, VenueError, Scope.Scope> {
  const { connect, deliver, doing, handover, policy } = options
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const over = yield* Deferred.make<never, VenueError>()
  let leaving = Deferred.makeUnsafe<void>()
  let next: Running<E> | undefined
  let isAnnounced = false

  const end = (cause: Cause.Cause<VenueError>) =>
    void Deferred.doneUnsafe(over, Effect.failCause(cause))

  const pass = (event: E): VenueFailure | undefined => {
    if (handover.isRepeat(event)) return undefined
    const failure = deliver(event)
    if (failure === undefined) handover.delivered(event)
    return failure
  }

  const lineOf = (running: Running<E>): Line<E> => ({
    ready: () => {
      running.isReady = true
      running.readyAt = now()
      if (running !== active || isAnnounced) return
      isAnnounced = true
      options.ready()
    },
    event: (event) => {
      if (running === active) return pass(event)
      if (running !== next) return undefined
      if (running.waiting.length >= WAITING_MAX) return new Overrun({ waiting: WAITING_MAX })
      running.waiting.push(event)
    },
    leaving: () => {
      running.isLeaving = true
      if (running === active) Deferred.doneUnsafe(leaving, Effect.void)
    },
  })

  const begin = Effect.fnUntraced(function* (running: Running<E>) {
    running.fiber = yield* Effect.scoped(connect(lineOf(running))).pipe(
      Effect.exit,
      Effect.flatMap((exit) =>
        Effect.sync(() => {
          if (!Exit.isFailure(exit)) return
          running.ended = exit.cause
          if (running !== active) return
          if (next?.isReady) promote(next)
          else if (next === undefined || !handover.showsHoles) end(running.ended)
        })
      ),
      Effect.forkIn(scope),
    )
  })

  const promote = (to: Running<E>) => {
    active = to
    next = undefined
    leaving = Deferred.makeUnsafe<void>()
    // Announced before its turn: its server goes the way of the old one's.
    if (to.isLeaving) Deferred.doneUnsafe(leaving, Effect.void)
    handover.turn()
    const waiting = to.waiting
    to.waiting = []
    for (const event of waiting) {
      const failure = pass(event)
      if (failure === undefined) continue
      return end(Cause.fail(new VenueError({ venue: VENUE, doing, reason: failure })))
    }
  }

  /** Whether the next connection may take over now. */
  const mayTurn = (to: Running<E>): boolean => {
    if (!to.isReady) return false
    if (active.ended !== undefined) return true
    const overlapMs = now() - to.readyAt
    if (overlapMs >= policy.overlapMaxMs) return true
    return overlapMs >= policy.overlapMs && handover.joins(to.waiting)
  }

  /** Waits for the end of a connection's time, and brings the next one in. */
  const rotation = Effect.gen(function* () {
    const earlierMs = policy.jitterMs * (yield* Random.next)
    yield* Effect.raceFirst(
      Effect.sleep(Math.max(1, Math.round(policy.afterMs - earlierMs))),
      Deferred.await(leaving),
    )
    const old = active
    while (active === old) {
      const candidate = idle<E>()
      next = candidate
      yield* begin(candidate)
      while (next === candidate && candidate.ended === undefined && !mayTurn(candidate)) {
        yield* Effect.sleep(LOOK_EVERY_MS)
      }
      if (next === candidate && candidate.ended === undefined) promote(candidate)
      if (active !== old) break
      next = undefined
      if (old.ended !== undefined) return end(old.ended)
      yield* Effect.sleep(policy.retryMs)
    }
    if (old.fiber !== undefined) yield* Fiber.interrupt(old.fiber)
  })

  let active = idle<E>()
  yield* begin(active)
  yield* Effect.forkScoped(forever(rotation))
  return yield* Deferred.await(over)
})

function idle<E>(): Running<E> {
  return {
    ...{ isReady: false, isLeaving: false, ended: undefined },
    ...{ readyAt: 0, waiting: [], fiber: undefined },
  }
}

/** Whether the id `a` is later than `b`: both are plain digits, of any length. */
export function isLater(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length
}
