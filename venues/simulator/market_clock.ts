/**
 * A clock that shows a recording's time.
 *
 * It stands still until told to move, and then goes no further than the next
 * sleeper: whoever moves it lets that one finish before moving on, so what wakes
 * when does not depend on how fast anything runs. It never looks at a real clock.
 */
import { Clock, Duration, Effect } from "effect"

interface Sleep {
  readonly deadline: number
  /** Order of arrival, for sleeps with one deadline. */
  readonly order: number
  wake: () => void
}

export class MarketClock {
  #now: number
  #order = 0
  /** By deadline, then arrival; the next one last. */
  readonly #sleeps: Array<Sleep> = []
  readonly clock: Clock.Clock

  constructor(startMs: number) {
    this.#now = startMs
    const now = () => this.#now
    const nanos = () => BigInt(Math.round(this.#now * 1_000)) * 1_000n
    this.clock = {
      currentTimeMillisUnsafe: now,
      currentTimeMillis: Effect.sync(now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => this.#sleep(Duration.toMillis(duration)),
    }
  }

  get nowMs(): number {
    return this.#now
  }

  /** When the next sleeper is due, epoch milliseconds. */
  get nextDeadline(): number | undefined {
    return this.#sleeps.at(-1)?.deadline
  }

  /**
   * Moves towards `timeMs`. Wakes at most one sleeper, and then stops at its
   * deadline; true when it arrived with nobody woken. Never moves back.
   */
  advanceTo(timeMs: number): boolean {
    const next = this.#sleeps.at(-1)
    if (next !== undefined && next.deadline <= timeMs) {
      this.#sleeps.pop()
      this.#now = Math.max(this.#now, next.deadline)
      next.wake()
      return false
    }
    this.#now = Math.max(this.#now, timeMs)
    return true
  }

  #sleep(durationMs: number): Effect.Effect<void> {
    if (durationMs <= 0) return Effect.yieldNow
    return Effect.callback<void>((resume) => {
      // An endless sleep is nobody's deadline.
      if (durationMs === Infinity) return
      const sleep: Sleep = {
        deadline: this.#now + durationMs,
        order: this.#order++,
        wake: () => resume(Effect.void),
      }
      this.#insert(sleep)
      return Effect.sync(() => {
        const at = this.#sleeps.indexOf(sleep)
        if (at >= 0) this.#sleeps.splice(at, 1)
      })
    })
  }

  #insert(sleep: Sleep) {
    let low = 0
    let high = this.#sleeps.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#sleeps[middle]
      // `order` grows, so among equals the newcomer is woken after those already here.
      if (other !== undefined && other.deadline > sleep.deadline) low = middle + 1
      else high = middle
    }
    this.#sleeps.splice(low, 0, sleep)
  }
}
