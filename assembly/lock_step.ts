/**
 * Runtime and venue in lock-step, for a recording that is played and for faults that are tried.
 *
 * The market's clock is the runtime's clock, and it moves only when everything that was sent has
 * been digested: frames received, requests answered, events durable, mailboxes empty. So what the
 * runtime decides depends on the market and the seed alone, at any speed, over real sockets.
 */
import { type Clock, Duration, Effect } from "effect"
import type { EventStore } from "../storage/event_store.ts"
import type { Strike } from "../venues/simulator/faults.ts"
import type { MarketClock } from "../venues/simulator/market_clock.ts"
import type { Network, Traffic } from "../venues/socket.ts"

/** Counts what is on its way to the disk. */
export function countingStore(store: EventStore): { store: EventStore; pending: () => number } {
  let pending = 0
  const counted = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      pending++
      return Effect.ensuring(effect, Effect.sync(() => void pending--))
    })
  return {
    pending: () => pending,
    store: {
      epoch: store.epoch,
      head: counted(store.head),
      append: (records) => counted(store.append(records)),
      read: (after, limit) => counted(store.read(after, limit)),
      loadSnapshot: counted(store.loadSnapshot),
      saveSnapshot: (seq, value) => counted(store.saveSnapshot(seq, value)),
    },
  }
}

export interface Activity {
  /** The venue's side of the wire. */
  readonly venue: () => { readonly framesSent: number; readonly requestsOpen: number }
  /** Ours. */
  readonly traffic: Traffic
  readonly storePending: () => number
  readonly actorsIdle: () => boolean
  /** Where the venue fails on purpose. Without it everything is expected to be answered. */
  readonly faulty?: Faulty
}

/** What else is under way when connections may end, hang and stay without an answer. */
export interface Faulty {
  readonly network: Network
  /** Faults that have struck so far. */
  readonly strikes: () => ReadonlyArray<Strike>
  /** Work that the platform does aside: signatures. */
  readonly aside: () => number
}

/**
 * Turns of the event loop without any activity after which nothing is left to happen: what is not
 * counted above (a fiber that resumes, a promise that settles) takes one turn, two at the most.
 */
const QUIET_TURNS = 8
/** While something is stuck nobody can tell when it comes loose: it has the time of a round trip. */
const QUIET_TURNS_STUCK = 60
/** Frames that have not arrived by then were sent to a connection that is gone. */
const FRAMES_LOST_AFTER_MS = 5_000
/** The same, and for answers that are withheld, where a venue fails on purpose. */
const STUCK_AFTER_MS = 250
/**
 * What we send, and the end of a connection, is no frame of the venue and no answer: after either,
 * what follows has so much time to get through by the machine's clock.
 */
const STIRRED_MS = 6
/** Connections that these faults end are waited for to end here, too. */
const ENDING: ReadonlySet<Strike["kind"]> = new Set(
  [
    "reset_connections",
    "cut_connections",
    "close_connections",
    "outage",
  ] as const,
)

/**
 * Completes when everything that was under way has been digested. Where the venue fails on purpose
 * some of it never is: what has not moved for some real time is stuck, and waited for no longer
 * until it moves again.
 */
export function makeSettled(activity: Activity): Effect.Effect<void> {
  const { faulty, traffic } = activity
  const patienceMs = faulty === undefined ? FRAMES_LOST_AFTER_MS : STUCK_AFTER_MS
  let framesLost = 0
  let stuck = { requests: 0, handshakes: 0, pings: 0 }
  let stirred = 0
  let struck = 0
  /** How much had stirred when connections were ended at the other side. */
  let ending: number | undefined

  const missing = () => activity.venue().framesSent - framesLost - traffic.framesReceived
  const open = () => ({
    requests: traffic.requestsOpen,
    handshakes: faulty?.network.handshakesOpen ?? 0,
    pings: faulty?.network.pingsOpen ?? 0,
  })
  const isQuiet = () =>
    activity.venue().requestsOpen === 0 && activity.storePending() === 0 &&
    activity.actorsIdle() && (faulty?.aside() ?? 0) === 0

  /** Whether something stirs that no other count sees. */
  const isStirred = ({ network, strikes }: Faulty): boolean => {
    const all = strikes()
    if (all.slice(struck).some(({ kind }) => ENDING.has(kind))) ending = stirred - struck
    if (ending !== undefined && network.stirred > ending) ending = undefined
    struck = all.length
    const before = stirred
    stirred = struck + network.stirred
    return stirred !== before
  }

  return Effect.callback<void>((resume) => {
    let quiet = 0
    let unmoved = { sign: "", since: 0 }
    let stirredAt = -Infinity
    const look = () => {
      if (faulty !== undefined && isStirred(faulty)) stirredAt = performance.now()
      const now = open()
      stuck = {
        requests: Math.min(stuck.requests, now.requests),
        handshakes: Math.min(stuck.handshakes, now.handshakes),
        pings: Math.min(stuck.pings, now.pings),
      }
      const isWaiting = ending !== undefined || missing() > 0 || now.requests > stuck.requests ||
        now.handshakes > stuck.handshakes || now.pings > stuck.pings
      quiet = !isWaiting && isQuiet() ? quiet + 1 : 0
      if (isWaiting) {
        const sign = `${ending} ${missing()} ${now.requests} ${now.handshakes} ${now.pings}`
        if (sign !== unmoved.sign) unmoved = { sign, since: performance.now() }
        else if (performance.now() - unmoved.since > patienceMs) {
          framesLost += Math.max(0, missing())
          ending = undefined
          if (faulty !== undefined) stuck = now
        }
      }
      const isStuck = stuck.requests + stuck.handshakes + stuck.pings > 0
      const isOver = faulty === undefined || performance.now() - stirredAt > STIRRED_MS
      if (isOver && quiet >= (isStuck ? QUIET_TURNS_STUCK : QUIET_TURNS)) resume(Effect.void)
      else setImmediate(look)
    }
    look()
  })
}

/** Lets market time pass until `isTrue`, in steps of 10 ms: connecting takes a few of them. */
export const passTimeUntil = Effect.fnUntraced(function* (
  clock: MarketClock,
  settled: Effect.Effect<void>,
  isTrue: () => boolean,
  pacing: Clock.Clock,
  timeoutMs: number,
) {
  const until = pacing.currentTimeMillisUnsafe() + timeoutMs
  while (pacing.currentTimeMillisUnsafe() < until) {
    yield* settled
    if (isTrue()) return true
    const target = clock.nowMs + 10
    while (!clock.advanceTo(target)) yield* settled
    yield* pacing.sleep(Duration.millis(1))
  }
  return false
})

/**
 * Lets market time run on by itself, as fast as real time: a runtime that is told to stop waits for
 * its own timeouts, and a clock that stands still has none.
 */
export function makeThaw(clock: MarketClock): { start: () => void; stop: () => void } {
  let timer: ReturnType<typeof setInterval> | undefined
  return {
    start: () => {
      timer ??= setInterval(() => {
        const target = clock.nowMs + THAW_STEP_MS
        while (!clock.advanceTo(target)) { /* each sleeper is woken at its own time */ }
      }, THAW_STEP_MS)
    },
    stop: () => clearInterval(timer),
  }
}

const THAW_STEP_MS = 10
