/**
 * What requests to Binance cost, and how the venue tells its limits.
 *
 * Weights per minute and connections count per address, orders per account. The numbers here are
 * only where it begins: `exchangeInfo` names the real limits, and every answer's headers say what
 * has been used. Source: rest-api of the vendor's documentation (2026-07).
 */
import { type BucketSpec, type Governor, type Priority } from "../governor.ts"

export type Params = Readonly<Record<string, string | number>>

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const reserve = { cancels: 0.05, trading: 0.15 }

export const buckets: ReadonlyArray<BucketSpec> = [
  { name: "weight_1m", counts: "weight", limit: 6_000, windowMs: MINUTE_MS, reserve },
  { name: "orders_10s", counts: "orders", limit: 100, windowMs: 10_000 },
  { name: "orders_1d", counts: "orders", limit: 200_000, windowMs: DAY_MS },
  { name: "requests_5m", counts: "requests", limit: 300_000, windowMs: 5 * MINUTE_MS, reserve },
  { name: "connections_5m", counts: "connections", limit: 300, windowMs: 5 * MINUTE_MS },
]

/** How long a request may wait for its turn. An order that comes late is a different order. */
const waitsMs: Readonly<Record<Priority, number>> = {
  cancel: 1_000,
  order: 1_000,
  reconcile: 3_000,
  data: 3_000,
}

const weights: Readonly<Record<string, number>> = {
  "GET api/v3/exchangeInfo": 20,
  "GET api/v3/account": 20,
  "GET api/v3/order": 4,
  "GET api/v3/klines": 2,
  "GET api/v3/historicalTrades": 25,
}

const reconciling: ReadonlySet<string> = new Set([
  ...["GET api/v3/account", "GET api/v3/order", "GET api/v3/openOrders"],
  ...["GET api/v3/myTrades", "GET api/v3/time"],
])

export function spendingOf(method: string, path: string, params: Params) {
  const route = `${method} ${path}`
  const priority = priorityOf(method, route)
  const orders = method === "POST" && path.startsWith("api/v3/order")
  return {
    priority,
    maxWaitMs: waitsMs[priority],
    cost: { weight: weightOf(route, params), requests: 1, ...(orders && { orders: 1 }) },
  }
}

/** To open a stream, and what is then said on it at once. */
export function connectionOf(priority: Priority, weight: number) {
  const maxWaitMs = waitsMs[priority]
  return { priority, maxWaitMs, cost: { connections: 1, ...(weight > 0 && { weight }) } }
}

function priorityOf(method: string, route: string): Priority {
  if (method === "DELETE") return "cancel"
  if (method === "POST") return "order"
  return reconciling.has(route) ? "reconcile" : "data"
}

function weightOf(route: string, params: Params): number {
  const isOne = "symbol" in params
  switch (route) {
    case "GET api/v3/openOrders":
      return isOne ? 6 : 80
    case "GET api/v3/myTrades":
      return "orderId" in params ? 5 : 20
    case "GET api/v3/ticker/bookTicker":
      return isOne ? 2 : 4
    case "GET api/v3/depth": {
      const limit = Number(params.limit ?? 100)
      return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1_000 ? 50 : 250
    }
    default:
      return weights[route] ?? 1
  }
}

const units: Readonly<Record<string, readonly [counts: string, type: string]>> = {
  REQUEST_WEIGHT: ["weight", "weight"],
  ORDERS: ["orders", "orders"],
  RAW_REQUESTS: ["requests", "requests"],
}
const intervals: Readonly<Record<string, readonly [letter: string, ms: number]>> = {
  SECOND: ["s", 1_000],
  MINUTE: ["m", MINUTE_MS],
  HOUR: ["h", 3_600_000],
  DAY: ["d", DAY_MS],
}

export interface RateLimit {
  readonly rateLimitType: string
  readonly interval: string
  readonly intervalNum: number
  readonly limit: number
}

/** As `exchangeInfo` lists them. A kind that we do not count is passed over. */
export function applyLimits(governor: Governor, limits: ReadonlyArray<RateLimit>) {
  for (const { rateLimitType, interval, intervalNum, limit } of limits) {
    const unit = units[rateLimitType]
    const span = intervals[interval]
    if (unit === undefined || span === undefined) continue
    const name = `${unit[0]}_${intervalNum}${span[0]}`
    governor.limit(name, limit, { counts: unit[0], windowMs: intervalNum * span[1] })
  }
}

const counted = /^x-mbx-(used-weight|order-count)-(\d+)([smhd])$/
const letterMs: Readonly<Record<string, number>> = {
  ...{ s: 1_000, m: MINUTE_MS, h: 3_600_000, d: DAY_MS },
}

/** What an answer says has been used. The venue's windows begin on its own clock. */
export function applyUsage(
  governor: Governor,
  headers: Iterable<readonly [string, string]>,
  venueTime: number,
) {
  for (const [name, value] of headers) {
    const [, what, number, letter = ""] = counted.exec(name) ?? []
    const windowMs = Number(number) * (letterMs[letter] ?? NaN)
    const used = Number(value)
    if (what === undefined || !Number.isFinite(windowMs) || !Number.isFinite(used)) continue
    const bucket = `${what === "used-weight" ? "weight" : "orders"}_${number}${letter}`
    governor.correct(bucket, used, windowMs - venueTime % windowMs)
  }
}

/** Of `Way too much request weight used; IP banned until 1732323232323.`, the venue's clock. */
export function bannedUntil(text: string): number | undefined {
  const match = /banned until (\d{13})\b/.exec(text)
  return match === null ? undefined : Number(match[1])
}
