/**
 * So many requests a minute, counted for trading and for data apart.
 */
import { Window } from "../rate_limits.ts"

export const REQUESTS_PER_MINUTE = 200
const MINUTE_MS = 60_000

export class RequestLimit {
  perMinute = REQUESTS_PER_MINUTE
  readonly #window = new Window(MINUTE_MS)

  /** False when this one is too many; it is counted either way. */
  admit(now: number): boolean {
    this.#window.add(1, now)
    return this.#window.used(now) <= this.perMinute
  }

  /** Seconds until the minute is over, for those who have to wait. */
  retryAfterSeconds(now: number): number {
    return this.#window.endsIn(now)
  }

  headers(now: number): Readonly<Record<string, string>> {
    const left = Math.max(0, this.perMinute - this.#window.used(now))
    return {
      "x-ratelimit-limit": String(this.perMinute),
      "x-ratelimit-remaining": String(left),
      "x-ratelimit-reset": String(Math.floor(now / 1_000) + this.#window.endsIn(now)),
    }
  }
}
