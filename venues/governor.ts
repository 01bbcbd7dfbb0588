/**
 * One governor for all requests to one venue.
 *
 * It asks `budget.ts`, waits in the order of priority, and remembers bans across restarts. Checking
 * and reserving are one step without a pause between them, over every limit that a request counts
 * against, so that two fibers can never spend the same remainder. It never sends, and it never
 * repeats: who has waited long enough is told so, with the proof that nothing was sent.
 */
import { Clock, Deferred, Effect, Schema } from "effect"
import {
  admit,
  banned,
  type BucketSpec,
  type Budget,
  corrected,
  limited,
  makeBudget,
  obstacle,
  type Request,
  settle,
  used,
  type Waiting,
} from "./budget.ts"
import { Throttled } from "./market_data.ts"

export type { BucketSpec, Priority } from "./budget.ts"

/** A time until which the venue wants to hear nothing. */
export const Ban = Schema.Struct({
  bucket: Schema.String,
  /** Epoch milliseconds of our clock. */
  untilMs: Schema.Finite,
  /** 429 or 418. */
  status: Schema.Int,
})
export type Ban = typeof Ban.Type

/** Where bans outlive the process; of one venue and one address. */
export interface BanStore {
  readonly load: Effect.Effect<ReadonlyArray<Ban>, { readonly message: string }>
  readonly save: (bans: ReadonlyArray<Ban>) => Effect.Effect<void, { readonly message: string }>
}

/** Forgets with the process: for a venue that does the same. */
export const noBanStore: BanStore = { load: Effect.succeed([]), save: () => Effect.void }

export interface Spending extends Request {
  /** How long it may wait for its turn; 0: now or not at all. */
  readonly maxWaitMs: number
}

/** For metrics and for people. */
export interface BucketUsage {
  readonly bucket: string
  readonly used: number
  readonly limit: number
  readonly windowMs: number
  /** Epoch milliseconds by which everything counted now is forgotten; undefined when nothing is. */
  readonly resetsAt: number | undefined
  /** Epoch milliseconds. */
  readonly bannedUntil: number | undefined
  /** Requests waiting for their turn that it counts. */
  readonly waiting: number
}

export interface Governor {
  readonly venue: string
  /** Takes what `effect` costs, runs it, and counts it until one window after its end. */
  readonly run: <A, E, R>(
    spending: Spending,
    effect: Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | Throttled, R>
  /** The same for what has no end of its own: a connection, a frame. */
  readonly spend: (spending: Spending) => Effect.Effect<void, Throttled>
  /** What the venue says it has counted, for `resetsInMs` more; only ever raises the count. */
  readonly correct: (bucket: string, used: number, resetsInMs?: number) => void
  /** What the venue says its limit is. A bucket of a new name needs a window. */
  readonly limit: (
    bucket: string,
    limit: number,
    more?: Pick<Partial<BucketSpec>, "counts" | "windowMs" | "reserve">,
  ) => void
  /** Silence until `untilMs` (epoch milliseconds of our clock), of the whole venue by default. */
  readonly ban: (
    untilMs: number,
    options?: { readonly status?: number; readonly buckets?: ReadonlyArray<string> },
  ) => Effect.Effect<void>
  readonly usage: () => ReadonlyArray<BucketUsage>
}

interface Waiter extends Waiting {
  readonly granted: Deferred.Deferred<void>
}

/** Waiting longer than this is a programming error somewhere: later ones are turned away. */
const WAITING_MAX = 1_000
/** No venue bans for longer than three days. */
const BAN_MAX_MS = 3 * 86_400_000
/** Told when a request is more than its priority may ever take. */
const NEVER_MS = 86_400_000

export const makeGovernor = Effect.fn("makeGovernor")(function* (options: {
  readonly venue: string
  readonly buckets: ReadonlyArray<BucketSpec>
  readonly bans: BanStore
}): Effect.fn.Return<Governor> {
  const { venue, bans } = options
  const clock = yield* Clock.Clock
  // Budgets live on the monotonic clock: a wall clock that is set back must not stop us for hours.
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const epoch = (time: number) => Math.ceil(clock.currentTimeMillisUnsafe() + time - now())
  const fromEpoch = (time: number) =>
    now() + Math.min(time - clock.currentTimeMillisUnsafe(), BAN_MAX_MS)

  let budget: Budget = makeBudget(options.buckets)
  let waiting: ReadonlyArray<Waiter> = []
  const underway = new Set<Waiter>()
  let arrivals = 0

  const known = yield* Effect.catch(bans.load, (error) =>
    Effect.as(
      Effect.logWarning(
        `${venue}: earlier bans cannot be read, going on without: ${error.message}`,
      ),
      [],
    ))
  for (const { bucket, untilMs, status } of known) {
    if (untilMs > clock.currentTimeMillisUnsafe()) {
      budget = banned(budget, fromEpoch(untilMs), status, [bucket])
    }
  }

  /** Lets go whoever may; returns when to look again. */
  const pump = (): number => {
    const decision = admit(budget, now(), waiting)
    budget = decision.budget
    if (decision.admitted.length > 0) {
      const gone = new Set(decision.admitted)
      waiting = waiting.filter((each) => !gone.has(each))
      for (const waiter of gone) {
        underway.add(waiter)
        Deferred.doneUnsafe(waiter.granted, Effect.void)
      }
    }
    return decision.wakeAt
  }

  const throttled = (request: Request) => {
    const found = obstacle(budget, now(), request)
    const waitMs = found === undefined ? 0 : Math.min(found.until - now(), NEVER_MS)
    return new Throttled({
      status: found?.status ?? 429,
      retryAfterMs: Math.max(1, Math.ceil(waitMs)),
      sent: false,
    })
  }

  /** Until it may go. */
  const turn = (waiter: Waiter, deadline: number): Effect.Effect<void, Throttled> =>
    Effect.suspend(() => {
      const wakeAt = pump()
      if (underway.has(waiter)) return Effect.void
      const found = obstacle(budget, now(), waiter)
      // A ban is told at once: whoever asks has better things to do than to sit it out.
      const isHopeless = found?.isBan === true || (found?.until ?? 0) > deadline
      if (isHopeless || now() >= deadline) return Effect.fail(throttled(waiter))
      const sleepMs = Math.max(1, Math.ceil(Math.min(wakeAt, deadline) - now()))
      return Effect.andThen(
        Effect.raceFirst(Deferred.await(waiter.granted), Effect.sleep(sleepMs)),
        turn(waiter, deadline),
      )
    })

  /** However it ended: before its turn, or with its answer. */
  const leave = (waiter: Waiter) => {
    if (underway.delete(waiter)) {
      budget = settle(budget, now(), waiter)
    } else {
      waiting = waiting.filter((each) => each !== waiter)
      pump()
    }
  }

  const run: Governor["run"] = ({ priority, cost, maxWaitMs }, effect) =>
    Effect.suspend(() => {
      const waiter: Waiter = { priority, cost, order: arrivals++, granted: Deferred.makeUnsafe() }
      if (waiting.length >= WAITING_MAX) return Effect.fail(throttled(waiter))
      waiting = [...waiting, waiter]
      return Effect.ensuring(
        Effect.andThen(turn(waiter, now() + maxWaitMs), effect),
        Effect.sync(() => leave(waiter)),
      )
    })

  return {
    venue,
    run,
    spend: (spending) => run(spending, Effect.void),
    correct: (bucket, count, resetsInMs) => {
      budget = corrected(budget, now(), bucket, count, resetsInMs)
    },
    limit: (name, limit, more = {}) => {
      budget = limited(budget, { name, limit, ...more })
      pump()
    },
    ban: Effect.fnUntraced(function* (untilMs, { status = 429, buckets } = {}) {
      budget = banned(budget, fromEpoch(untilMs), status, buckets)
      const all = [...budget].flatMap(([bucket, { banned: ban }]) =>
        ban !== undefined && ban.until > now()
          ? [{ bucket, untilMs: epoch(ban.until), status: ban.status }]
          : []
      )
      yield* Effect.catch(
        bans.save(all),
        (error) =>
          Effect.logWarning(
            `${venue}: a ban will be forgotten at the next start: ${error.message}`,
          ),
      )
    }),
    usage: () =>
      [...budget.values()].map((bucket) => {
        const { spec, spent, banned: ban } = bucket
        const last = spent.findLast(({ until }) => until > now())
        const unit = spec.counts ?? spec.name
        return {
          bucket: spec.name,
          used: used(bucket, now()),
          limit: spec.limit,
          windowMs: spec.windowMs,
          resetsAt: last === undefined ? undefined : epoch(last.until),
          bannedUntil: ban !== undefined && ban.until > now() ? epoch(ban.until) : undefined,
          waiting: waiting.filter(({ cost }) => cost[unit] !== undefined).length,
        }
      }),
  }
})
