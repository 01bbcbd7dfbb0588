/**
 * Plays a recording in lock-step.
 *
 * The market's clock is the runtime's clock, and it moves only when everything that was sent has
 * been digested: frames received, requests answered, events durable, mailboxes empty. So what the
 * runtime decides depends on the recording and the seed alone, at any speed, over real sockets.
 */
import { type Clock, Duration, Effect } from "effect"
import type { EventStore } from "../storage/event_store.ts"
import type { MarketClock } from "../venues/simulator/market_clock.ts"
import type { Traffic } from "../venues/socket.ts"

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
}

/**
 * Turns of the event loop without any activity after which nothing is left to happen: what is not
 * counted above (a fiber that resumes, a promise that settles) takes one turn, two at the most.
 */
const QUIET_TURNS = 8
/** Frames that have not arrived by then were sent to a connection that is gone. */
const FRAMES_LOST_AFTER_MS = 5_000

/** Completes when everything that was under way has been digested. */
export function makeSettled(activity: Activity): Effect.Effect<void> {
  let lostFrames = 0
  const missing = () => activity.venue().framesSent - lostFrames - activity.traffic.framesReceived
  const isQuiet = () =>
    missing() <= 0 && activity.traffic.requestsOpen === 0 && activity.venue().requestsOpen === 0 &&
    activity.storePending() === 0 && activity.actorsIdle()
  return Effect.callback<void>((resume) => {
    let quiet = 0
    let missingSince: number | undefined
    const look = () => {
      quiet = isQuiet() ? quiet + 1 : 0
      if (missing() <= 0) missingSince = undefined
      else if (performance.now() - (missingSince ??= performance.now()) > FRAMES_LOST_AFTER_MS) {
        lostFrames += missing()
      }
      if (quiet >= QUIET_TURNS) resume(Effect.void)
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
