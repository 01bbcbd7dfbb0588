/**
 * How a connection that has ended is waited out.
 *
 * Every cause has its rule: who is refused tries again later and later, who is told to wait waits,
 * whose place is still taken comes back for it gently, who is forbidden stops asking. It knows no
 * socket and no clock, so that the whole table can be read, and tested, as a table. The first data,
 * not the handshake, begins everything anew.
 */
import { backoffMs, type BackoffPolicy } from "./backoff.ts"

/** As much of a port's failure as the rules look at. */
export type LinkFailure =
  | { readonly _tag: "Unreachable" | "Forbidden" | "SlotBusy" | "Announced" | "Faulty" | "Overrun" }
  | { readonly _tag: "Closed"; readonly code: number }
  | { readonly _tag: "Silent"; readonly what: "handshake" | "connection" | "data" }
  | { readonly _tag: "Throttled"; readonly retryAfterMs: number }

/**
 * `backoff`: later and later. `rate_limited`: as long as the venue said. `slot_busy`: our own dead
 * session holds the place, which takes as long as it takes. `forbidden`: only a person can help.
 * `planned`: the venue had announced it.
 */
export type WaitRule = "backoff" | "rate_limited" | "slot_busy" | "forbidden" | "planned"

export interface LinkPolicy {
  readonly backoff: BackoffPolicy
  /** Of the place that is taken: from `slotBaseMs`, doubling, up to `slotCapMs`. */
  readonly slotBaseMs: number
  readonly slotCapMs: number
  /** How long a place may be taken before it is an outage like any other: prices are polled. */
  readonly slotPatienceMs: number
  /** Between two attempts while keys or location are refused; an operator's `resume` tries at once. */
  readonly forbiddenProbeMs: number
  /** Losses after data within `flapWindowMs` that make it flapping, and losses that end it: none. */
  readonly flapsMax: number
  readonly flapWindowMs: number
  /** How long data has to flow before entries are on again; and how long when it was flapping. */
  readonly stableMs: number
  readonly flappingStableMs: number
  /** Closings for a breach of the venue's rules (1008) within the window that are an alarm. */
  readonly breachesMax: number
  readonly breachWindowMs: number
}

export const linkDefaults = {
  slotBaseMs: 5_000,
  slotCapMs: 20_000,
  slotPatienceMs: 30_000,
  forbiddenProbeMs: 900_000,
  flapsMax: 3,
  flapWindowMs: 60_000,
  stableMs: 1_000,
  flappingStableMs: 5_000,
  breachesMax: 3,
  breachWindowMs: 600_000,
} as const satisfies Omit<LinkPolicy, "backoff">

export interface Link {
  /** Attempts that have failed since the last data and count: what is shown as `n of 5`. */
  readonly attempt: number
  /** Attempts since the last data that found our place taken, and since when. */
  readonly slotAttempts: number
  readonly slotSince: number | undefined
  /** This connection has delivered something. */
  readonly isHeard: boolean
  /** Times of losses after data, and of closings for a breach, within their windows. */
  readonly flaps: ReadonlyArray<number>
  readonly breaches: ReadonlyArray<number>
}

export interface Wait {
  readonly rule: WaitRule
  readonly delayMs: number
  /** Whether REST may be asked meanwhile: never against the word of the venue. */
  readonly mayPoll: boolean
  /** Long enough that prices should be polled and a person should know. */
  readonly isDegraded: boolean
}

export const freshLink: Link = {
  attempt: 0,
  slotAttempts: 0,
  slotSince: undefined,
  isHeard: false,
  flaps: [],
  breaches: [],
}

/** The first data of a connection: what was counted until here is over. */
export function heardData(link: Link): Link {
  return link.isHeard
    ? link
    : { ...link, attempt: 0, slotAttempts: 0, slotSince: undefined, isHeard: true }
}

/** A connection has ended or did not begin. `random` is in [0, 1); times are epoch milliseconds. */
export function failed(
  link: Link,
  failure: LinkFailure,
  now: number,
  random: number,
  policy: LinkPolicy,
): readonly [Link, Wait] {
  const rule = ruleOf(failure)
  const counts = rule === "backoff" || rule === "rate_limited" || rule === "forbidden"
  const isSlot = rule === "slot_busy"
  const isFlap = link.isHeard && rule !== "planned"
  const isBreach = failure._tag === "Closed" && failure.code === POLICY_VIOLATION
  const next: Link = {
    attempt: link.attempt + (counts ? 1 : 0),
    slotAttempts: link.slotAttempts + (isSlot ? 1 : 0),
    slotSince: isSlot ? link.slotSince ?? now : link.slotSince,
    isHeard: false,
    flaps: recent(link.flaps, now - policy.flapWindowMs, isFlap ? now : undefined),
    breaches: recent(link.breaches, now - policy.breachWindowMs, isBreach ? now : undefined),
  }
  const slotIsLong = next.slotSince !== undefined && now - next.slotSince >= policy.slotPatienceMs
  const isDegraded = rule === "forbidden" || next.attempt >= policy.backoff.attemptsMax ||
    slotIsLong || isFlapping(next, now, policy)
  return [next, {
    rule,
    delayMs: delayMs(next, failure, random, policy),
    mayPoll: isDegraded && rule !== "rate_limited" && rule !== "forbidden",
    isDegraded,
  }]
}

/** The policy code of RFC 6455: who is closed with it has done something that it should not. */
const POLICY_VIOLATION = 1_008

export function ruleOf(failure: LinkFailure): WaitRule {
  switch (failure._tag) {
    case "Unreachable":
    case "Closed":
    case "Silent":
    case "Faulty":
    case "Overrun":
      return "backoff"
    case "Throttled":
      return "rate_limited"
    case "SlotBusy":
      return "slot_busy"
    case "Forbidden":
      return "forbidden"
    case "Announced":
      return "planned"
  }
}

function delayMs(link: Link, failure: LinkFailure, random: number, policy: LinkPolicy): number {
  switch (failure._tag) {
    case "Throttled":
      // A venue that names no time at all is still not asked in a loop.
      return Math.max(failure.retryAfterMs, policy.backoff.baseMs)
    case "SlotBusy": {
      // Half of it jitter: nobody else returns with us, and the place is not asked for in a rush.
      const full = Math.min(policy.slotCapMs, policy.slotBaseMs * 2 ** (link.slotAttempts - 1))
      return Math.round(full / 2 + full / 2 * random)
    }
    case "Forbidden":
      return policy.forbiddenProbeMs
    case "Announced":
      return 0
    default:
      return backoffMs(policy.backoff, link.attempt, random)
  }
}

/** Data comes and goes: each loss alone looks like a short outage, together they are one trouble. */
export function isFlapping(link: Link, now: number, policy: LinkPolicy): boolean {
  const since = now - policy.flapWindowMs
  return link.flaps.filter((at) => at > since).length >= policy.flapsMax
}

/** The venue says that we break its rules: something has to be changed, by a person. */
export function isMisbehaving(link: Link, now: number, policy: LinkPolicy): boolean {
  const since = now - policy.breachWindowMs
  return link.breaches.filter((at) => at > since).length >= policy.breachesMax
}

/** How long data has to flow before it is trusted with entries. */
export function stableMsOf(link: Link, now: number, policy: LinkPolicy): number {
  return isFlapping(link, now, policy) ? policy.flappingStableMs : policy.stableMs
}

function recent(times: ReadonlyArray<number>, since: number, at: number | undefined) {
  const kept = times.filter((each) => each > since)
  return at === undefined ? kept : [...kept, at].slice(-TIMES_MAX)
}

/** More than any rule counts to. */
const TIMES_MAX = 100
