/**
 * What one client has used of the venue's limits, and what happens beyond them.
 *
 * Windows are fixed and start on whole minutes, ten seconds and days, as the venue
 * counts them. Over the limit a request is turned away with the seconds to wait; who
 * keeps coming is banned, and a ban is served in full. Everybody on loopback shares
 * one address, so there is one client.
 */
import { ApiError } from "./binance_params.ts"

export interface Limits {
  readonly weightPerMinute: number
  readonly ordersPer10s: number
  readonly ordersPerDay: number
  readonly connectionsPer5m: number
}

export const LIMITS: Limits = {
  weightPerMinute: 6_000,
  ordersPer10s: 100,
  ordersPerDay: 200_000,
  connectionsPer5m: 300,
}

const RAW_REQUESTS_PER_5M = 300_000
const MINUTE_MS = 60_000
const FIVE_MINUTES_MS = 300_000
const TEN_SECONDS_MS = 10_000
const DAY_MS = 86_400_000
/** Requests beyond the limit before a ban, and its length. */
const REFUSALS_MAX = 5
const BAN_MS = 120_000

/** As `exchangeInfo` lists them. */
export function rateLimitsBody(limits: Limits) {
  const { weightPerMinute, ordersPer10s, ordersPerDay } = limits
  return [
    { rateLimitType: "REQUEST_WEIGHT", interval: "MINUTE", intervalNum: 1, limit: weightPerMinute },
    { rateLimitType: "ORDERS", interval: "SECOND", intervalNum: 10, limit: ordersPer10s },
    { rateLimitType: "ORDERS", interval: "DAY", intervalNum: 1, limit: ordersPerDay },
    {
      rateLimitType: "RAW_REQUESTS",
      interval: "MINUTE",
      intervalNum: 5,
      limit: RAW_REQUESTS_PER_5M,
    },
  ]
}

/** A count that begins again with every whole period. */
export class Window {
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

  /** Whole seconds until it begins again. */
  endsIn(now: number): number {
    return Math.ceil((this.#lengthMs - now % this.#lengthMs) / 1_000)
  }
}

export class Usage {
  limits: Limits = LIMITS
  readonly #weight = new Window(MINUTE_MS)
  readonly #orders10s = new Window(TEN_SECONDS_MS)
  readonly #orders1d = new Window(DAY_MS)
  readonly #connections = new Window(FIVE_MINUTES_MS)
  #refusals = 0
  #bannedUntil = 0

  /** Throws when `weight` more does not fit any more. */
  admit(weight: number, isOrder: boolean, now: number) {
    this.#checkBan(now)
    const { weightPerMinute, ordersPer10s, ordersPerDay } = this.limits
    if (this.#weight.used(now) + weight > weightPerMinute) {
      this.#refuse(now)
      throw new ApiError(
        -1003,
        `Too much request weight used; current limit is ${weightPerMinute} request weight per 1 ` +
          "MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
        429,
        this.#weight.endsIn(now),
      )
    }
    this.#refusals = 0
    if (!isOrder) return
    for (
      const [window, limit, name] of [
        [this.#orders10s, ordersPer10s, "10 SECOND"],
        [this.#orders1d, ordersPerDay, "1 DAY"],
      ] as const
    ) {
      if (window.used(now) < limit) continue
      throw new ApiError(
        -1015,
        `Too many new orders; current limit is ${limit} orders per ${name}.`,
        429,
        window.endsIn(now),
      )
    }
  }

  /** Throws when nobody may connect; counts the attempt in any case. */
  admitConnection(now: number) {
    this.#connections.add(1, now)
    this.#checkBan(now)
    if (this.#connections.used(now) > this.limits.connectionsPer5m) {
      const wait = this.#connections.endsIn(now)
      throw new ApiError(-1003, "Too many connection attempts.", 429, wait)
    }
  }

  addWeight(weight: number, now: number) {
    this.#weight.add(weight, now)
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
    const [weight, orders10s, orders1d] = rateLimitsBody(this.limits)
    return [
      { ...weight, count: this.weight(now) },
      { ...orders10s, count: this.orders10s(now) },
      { ...orders1d, count: this.orders1d(now) },
    ]
  }

  #refuse(now: number) {
    if (++this.#refusals <= REFUSALS_MAX) return
    this.#refusals = 0
    this.#bannedUntil = now + BAN_MS
    this.#checkBan(now)
  }

  #checkBan(now: number) {
    if (now >= this.#bannedUntil) return
    throw new ApiError(
      -1003,
      `Way too much request weight used; IP banned until ${this.#bannedUntil}. Please use ` +
        "WebSocket Streams for live updates to avoid bans.",
      418,
      Math.ceil((this.#bannedUntil - now) / 1_000),
    )
  }
}
