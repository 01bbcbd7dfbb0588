/**
 * What one client has used of the venue's limits, in the venue's own windows.
 *
 * Windows are fixed and start on whole minutes, ten seconds and days, as the venue
 * counts them. Counting only; who is refused is decided by the caller.
 */
export const RATE_LIMITS = [
  { rateLimitType: "REQUEST_WEIGHT", interval: "MINUTE", intervalNum: 1, limit: 6_000 },
  { rateLimitType: "ORDERS", interval: "SECOND", intervalNum: 10, limit: 100 },
  { rateLimitType: "ORDERS", interval: "DAY", intervalNum: 1, limit: 200_000 },
  { rateLimitType: "RAW_REQUESTS", interval: "MINUTE", intervalNum: 5, limit: 300_000 },
] as const

const MINUTE_MS = 60_000
const TEN_SECONDS_MS = 10_000
const DAY_MS = 86_400_000

class Window {
  readonly #lengthMs: number
  #startedAt = 0
  #used = 0

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs
  }

  used(now: number): number {
    const start = now - now % this.#lengthMs
    if (start !== this.#startedAt) {
      this.#startedAt = start
      this.#used = 0
    }
    return this.#used
  }

  add(amount: number, now: number) {
    this.#used = this.used(now) + amount
  }
}

export class Usage {
  readonly #weight = new Window(MINUTE_MS)
  readonly #orders10s = new Window(TEN_SECONDS_MS)
  readonly #orders1d = new Window(DAY_MS)
  readonly #raw = new Window(5 * MINUTE_MS)

  addWeight(weight: number, now: number) {
    this.#weight.add(weight, now)
    this.#raw.add(1, now)
  }

  addOrder(now: number) {
    this.#orders10s.add(1, now)
    this.#orders1d.add(1, now)
  }

  weight(now: number): number {
    return this.#weight.used(now)
  }

  orders10s(now: number): number {
    return this.#orders10s.used(now)
  }

  orders1d(now: number): number {
    return this.#orders1d.used(now)
  }

  /** As WS-API answers list it. */
  counts(now: number) {
    return [
      { ...RATE_LIMITS[0], count: this.weight(now) },
      { ...RATE_LIMITS[1], count: this.orders10s(now) },
      { ...RATE_LIMITS[2], count: this.orders1d(now) },
    ]
  }
}
