/**
 * What may still be asked of a venue: the decisions of the governor, without its waiting.
 *
 * Every request counts from the moment it is let through until one whole window after its answer,
 * because nobody knows when in between the venue counted it. So whatever windows the venue keeps,
 * sliding or fixed to its clock, none of them sees more than the limit. The count is corrected
 * upward only: what the venue has seen and we have not is somebody else on the same address.
 * Times are milliseconds on a monotonic clock. It neither waits nor sends.
 */

/** Descending: what gets us out of the market, into it, right about it, and informed about it. */
export type Priority = "cancel" | "order" | "reconcile" | "data"

const ranks: Readonly<Record<Priority, number>> = { cancel: 0, order: 1, reconcile: 2, data: 3 }

export interface BucketSpec {
  readonly name: string
  /** The unit of a request's cost that it counts, which several buckets may share. Default: its name. */
  readonly counts?: string
  readonly limit: number
  readonly windowMs: number
  /** Shares of the limit, from 0 to 1. Default: nothing is kept back. */
  readonly reserve?: {
    /** Only cancels may use it. */
    readonly cancels: number
    /** Kept, beside that, from requests for data. */
    readonly trading: number
  }
}

export interface Request {
  readonly priority: Priority
  /** What it takes of each unit; a unit that no bucket counts is free. */
  readonly cost: Readonly<Record<string, number>>
}

interface Spent {
  readonly until: number
  readonly amount: number
}

export interface Bucket {
  readonly spec: BucketSpec
  /** Of requests that are not answered yet. */
  readonly open: number
  /** Ascending by `until`, at most one per slot. */
  readonly spent: ReadonlyArray<Spent>
  readonly banned: { readonly until: number; readonly status: number } | undefined
}

export type Budget = ReadonlyMap<string, Bucket>

/** Parts of a window that are told apart: what is spent comes back up to one of them late. */
const SLOTS = 60

export function makeBudget(specs: ReadonlyArray<BucketSpec>): Budget {
  return new Map(specs.map((spec) => [
    spec.name,
    { spec, open: 0, spent: [], banned: undefined },
  ]))
}

export function used(bucket: Bucket, now: number): number {
  return bucket.spent.reduce((sum, { until, amount }) => until > now ? sum + amount : sum, 0) +
    bucket.open
}

/** How far the requests of one priority may fill a bucket. */
export function ceiling({ spec }: Bucket, priority: Priority): number {
  const { limit, reserve } = spec
  if (reserve === undefined || priority === "cancel") return limit
  const open = limit - Math.ceil(limit * reserve.cancels)
  return priority === "data" ? open - Math.ceil(limit * reserve.trading) : open
}

/** Why a request has to wait: `until` is the earliest end, Infinity when it will never fit. */
export interface Obstacle {
  readonly bucket: string
  readonly until: number
  /** What the venue answered, or would. */
  readonly status: number
  /** The venue has said so; else it is our own count. */
  readonly isBan: boolean
}

/** The obstacle that lasts longest; undefined when the request may go now. */
export function obstacle(budget: Budget, now: number, request: Request): Obstacle | undefined {
  let longest: Obstacle | undefined
  for (const bucket of budget.values()) {
    const cost = costIn(bucket, request)
    if (cost === undefined) continue
    const found = obstacleIn(bucket, now, request.priority, cost)
    if (found !== undefined && (longest === undefined || found.until > longest.until)) {
      longest = found
    }
  }
  return longest
}

function obstacleIn(
  bucket: Bucket,
  now: number,
  priority: Priority,
  cost: number,
): Obstacle | undefined {
  const { spec: { name, windowMs }, banned, spent } = bucket
  const top = ceiling(bucket, priority)
  if (cost > top) return { bucket: name, until: Infinity, status: 429, isBan: false }
  const full = { bucket: name, status: 429, isBan: false }
  let missing = used(bucket, now) + cost - top
  let until = now
  for (const each of spent) {
    if (missing <= 0) break
    if (each.until <= now) continue
    missing -= each.amount
    until = each.until
  }
  // What is still on its way will count for one window more.
  if (missing > 0) until = now + windowMs
  if (banned !== undefined && banned.until > Math.max(now, until)) {
    return { bucket: name, until: banned.until, status: banned.status, isBan: true }
  }
  return until > now ? { ...full, until } : undefined
}

/** Undefined where the bucket has no say; a bucket that is banned has one even about a cost of 0. */
function costIn({ spec }: Bucket, request: Request): number | undefined {
  return request.cost[spec.counts ?? spec.name]
}

/** The request goes out. */
export function take(budget: Budget, request: Request): Budget {
  return change(budget, request, (bucket, cost) => ({ ...bucket, open: bucket.open + cost }))
}

/** The request has been answered, or given up. */
export function settle(budget: Budget, now: number, request: Request): Budget {
  return change(budget, request, (bucket, cost) => ({
    ...bucket,
    // A bucket that the venue has named meanwhile did not see it go.
    open: Math.max(0, bucket.open - cost),
    spent: spend(bucket, now, bucket.spec.windowMs, cost),
  }))
}

/** The venue counts `used`, for `forMs` more; what we count beyond that stays. */
export function corrected(
  budget: Budget,
  now: number,
  name: string,
  count: number,
  forMs?: number,
): Budget {
  const bucket = budget.get(name)
  if (bucket === undefined) return budget
  const missing = count - used(bucket, now)
  if (!(missing > 0)) return budget
  const { windowMs } = bucket.spec
  const lasts = forMs === undefined ? windowMs : Math.min(Math.max(forMs, 0), windowMs)
  return replaced(budget, { ...bucket, spent: spend(bucket, now, lasts, missing) })
}

/** The venue's own word on a limit; a bucket it has not had before begins empty. */
export function limited(
  budget: Budget,
  change: { readonly name: string; readonly limit: number } & Partial<BucketSpec>,
): Budget {
  const bucket = budget.get(change.name)
  if (!(change.limit > 0)) return budget
  if (bucket !== undefined) {
    return replaced(budget, { ...bucket, spec: { ...bucket.spec, ...change } })
  }
  const { windowMs } = change
  if (windowMs === undefined) return budget
  const spec = { ...change, windowMs }
  return replaced(budget, { spec, open: 0, spent: [], banned: undefined })
}

/** Nothing may go before `until`; a longer ban is not shortened. No names: the whole venue. */
export function banned(
  budget: Budget,
  until: number,
  status: number,
  names?: ReadonlyArray<string>,
): Budget {
  let next = budget
  for (const [name, bucket] of budget) {
    if (names !== undefined && !names.includes(name)) continue
    if (bucket.banned !== undefined && bucket.banned.until >= until) continue
    next = replaced(next, { ...bucket, banned: { until, status } })
  }
  return next
}

export interface Waiting extends Request {
  /** Order of arrival. */
  readonly order: number
}

/** First who goes first. */
export function compareWaiting(a: Waiting, b: Waiting): number {
  return ranks[a.priority] - ranks[b.priority] || a.order - b.order
}

/**
 * Who of those waiting may go now. They are looked at in their order, and each that has to wait
 * keeps its place: what comes after it sees its cost as spent, so nobody overtakes at its expense.
 */
export function admit<W extends Waiting>(
  budget: Budget,
  now: number,
  waiting: ReadonlyArray<W>,
): { readonly budget: Budget; readonly admitted: ReadonlyArray<W>; readonly wakeAt: number } {
  let [real, pledged] = [budget, budget]
  let wakeAt = Infinity
  const admitted: Array<W> = []
  for (const each of waiting.toSorted(compareWaiting)) {
    const found = obstacle(pledged, now, each)
    pledged = take(pledged, each)
    if (found === undefined) {
      real = take(real, each)
      admitted.push(each)
    } else if (found.until < wakeAt) wakeAt = found.until
  }
  return { budget: real, admitted, wakeAt }
}

function change(
  budget: Budget,
  request: Request,
  apply: (bucket: Bucket, cost: number) => Bucket,
): Budget {
  let next = budget
  for (const bucket of budget.values()) {
    const cost = costIn(bucket, request)
    if (cost !== undefined && cost !== 0) next = replaced(next, apply(bucket, cost))
  }
  return next
}

function replaced(budget: Budget, bucket: Bucket): Budget {
  return new Map(budget).set(bucket.spec.name, bucket)
}

/** Added to what is counted, in the slot in which it ends; what has ended is forgotten. */
function spend(
  bucket: Bucket,
  now: number,
  lastsMs: number,
  amount: number,
): ReadonlyArray<Spent> {
  const slotMs = bucket.spec.windowMs / SLOTS
  const until = Math.ceil((now + lastsMs) / slotMs) * slotMs
  const live = bucket.spent.filter((each) => each.until > now)
  const at = live.findIndex((each) => each.until >= until)
  if (at < 0) return [...live, { until, amount }]
  if (live[at]?.until !== until) return live.toSpliced(at, 0, { until, amount })
  return live.with(at, { until, amount: live[at].amount + amount })
}
