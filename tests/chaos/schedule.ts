/**
 * What goes wrong in one run, and when: a list drawn from a seed.
 *
 * A schedule is data, so that one that fails can be printed, run again, and made shorter.
 */
import { mulberry32 } from "../../actors/runtime/virtual_time.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import {
  Announced,
  Closed,
  Faulty,
  Forbidden,
  Silent,
  SlotBusy,
  Throttled,
  type VenueFailure,
} from "../../venues/market_data.ts"
import { fillPlans, frameFaults, submitFaults, unreachable } from "../actors/fake_books.ts"
import { AAPL, BTC, ETH, type PortVenue } from "./port_venue.ts"

export interface Step {
  /** After the beginning, in milliseconds. */
  readonly atMs: number
  readonly forMs: number
  readonly kind: Kind
  /** Of what kind, on what instrument, how often: whatever the kind says. */
  readonly of: string
  readonly ms: number
}

export interface Schedule {
  readonly seed: number
  readonly instruments: ReadonlyArray<InstrumentId>
  /** When the market of shares opens or closes, in milliseconds after the beginning. */
  readonly bell: { readonly rings: "open" | "close"; readonly atMs: number } | undefined
  /** The venue's clock against the true one. */
  readonly skewMs: number
  readonly steps: ReadonlyArray<Step>
}

type Draw = () => number

const LAST_BEGINS_MS = 8_000
const causes: Readonly<Record<string, VenueFailure>> = {
  reset: new Closed({ code: 1006, detail: "ECONNRESET" }),
  "1001": new Closed({ code: 1001, detail: "going away" }),
  "1008": new Closed({ code: 1008, detail: "disconnected" }),
  "1012": new Closed({ code: 1012, detail: "restart" }),
  frozen: new Silent({ what: "connection", afterMs: 3_000 }),
  protocol: new Faulty({ detail: "bad UTF-8" }),
  announced: new Announced({ detail: "the venue shuts down" }),
}
const refusals: Readonly<Record<string, VenueFailure>> = {
  refused: unreachable,
  "503": new Faulty({ detail: "HTTP 503" }),
  busy: new SlotBusy({ detail: "406" }),
  forbidden: new Forbidden({ detail: "HTTP 451, not served in this region" }),
}

/** How each kind is drawn. */
const kinds = {
  cut: (draw: Draw) => ({ of: one(draw, Object.keys(causes)) }),
  refuse: (draw: Draw) => ({
    of: one(draw, ["refused", "refused", "503", "busy", "busy", "forbidden"]),
    forMs: 500 + draw() * 7_000,
  }),
  throttle: (draw: Draw) => ({
    of: one(draw, ["429", "418"]),
    ms: Math.round(1_000 + draw() * 5_000),
    forMs: 100 + draw() * 2_000,
  }),
  hang: (draw: Draw) => ({ forMs: 500 + draw() * 6_000 }),
  flap: (draw: Draw) => ({ ms: one(draw, [300, 1_000, 2_000]), forMs: 2_000 + draw() * 5_000 }),
  mute: (draw: Draw) => ({ forMs: 500 + draw() * 7_000 }),
  mute_one: (draw: Draw) => ({ forMs: 500 + draw() * 6_000 }),
  halt: (draw: Draw) => ({ forMs: 500 + draw() * 5_000 }),
  trades: (draw: Draw) => ({ of: some(draw, frameFaults) }),
  lag: (draw: Draw) => ({ ms: Math.round(100 + draw() * 3_000), forMs: 500 + draw() * 6_000 }),
  private_cut: (draw: Draw) => ({ of: one(draw, Object.keys(causes)) }),
  private_refuse: (draw: Draw) => ({
    of: one(draw, ["refused", "503"]),
    forMs: 300 + draw() * 4_000,
  }),
  private_frames: (draw: Draw) => ({ of: some(draw, frameFaults) }),
  reads: (draw: Draw) => ({
    of: one(draw, ["refused", "503", "429"]),
    forMs: 300 + draw() * 4_000,
  }),
  read_lag: (draw: Draw) => ({ ms: 2_000, forMs: 500 + draw() * 5_000 }),
  quotes: (draw: Draw) => ({
    of: one(draw, ["refused", "429"]),
    ms: Math.round(1_000 + draw() * 5_000),
    forMs: 500 + draw() * 7_000,
  }),
  history: (draw: Draw) => ({ of: one(draw, ["refused", "503"]), forMs: 300 + draw() * 4_000 }),
  our_clock: (draw: Draw) => ({ ms: Math.round((draw() - 0.5) * 4_000) }),
  orders: (draw: Draw) => ({ of: some(draw, submitFaults) }),
  fills: (draw: Draw) => ({ of: some(draw, fillPlans) }),
} as const satisfies Readonly<Record<string, (draw: Draw) => Partial<Step>>>
export type Kind = keyof typeof kinds

export function scheduleOf(seed: number): Schedule {
  const draw = mulberry32(seed * 7_919 + 13)
  const hasShares = draw() < 0.25
  const rings = one(draw, ["open", "close", undefined] as const)
  const count = 2 + Math.floor(draw() * 6)
  const names = Object.keys(kinds) as ReadonlyArray<Kind>
  const instruments = hasShares ? [BTC, AAPL] : [BTC, ETH]
  const steps = Array.from({ length: count }, (): Step => {
    const kind = one(draw, names)
    const atMs = Math.round(draw() * LAST_BEGINS_MS)
    const drawn: Partial<Step> = kinds[kind](draw)
    const of = kind === "mute_one" || kind === "halt" ? one(draw, instruments) : drawn.of ?? ""
    return { kind, atMs, of, ms: drawn.ms ?? 0, forMs: Math.round(drawn.forMs ?? 0) }
  })
  return {
    seed,
    instruments,
    bell: hasShares && rings !== undefined
      ? { rings, atMs: Math.round(1_000 + draw() * 8_000) }
      : undefined,
    skewMs: one(draw, [0, 0, -1_270, 2_000]),
    steps: steps.toSorted((a, b) => a.atMs - b.atMs),
  }
}

/** When the last of it is over, in milliseconds after the beginning. */
export function endOf({ steps, bell }: Schedule): number {
  return Math.max(1_000, bell?.atMs ?? 0, ...steps.map(({ atMs, forMs }) => atMs + forMs)) + 1
}

export function begin({ kind, of, ms, forMs }: Step, venue: PortVenue) {
  const { down } = venue
  const throttled = new Throttled({ status: of === "418" ? 418 : 429, retryAfterMs: ms })
  switch (kind) {
    case "cut":
      return venue.cut("market", causes[of]!)
    case "refuse":
      down.market = refusals[of]
      return venue.cut("market", causes.reset!)
    case "throttle":
      down.market = throttled
      return venue.cut("market", causes.reset!)
    case "hang":
      venue.hangsUp = true
      return venue.cut("market", causes.reset!)
    case "flap":
      for (let at = 0; at < forMs; at += ms) {
        venue.later(at, () => venue.cut("market", causes.reset!))
      }
      return
    case "mute":
      venue.isMute = true
      return
    case "mute_one":
      venue.mute.add(of)
      return
    case "halt":
      return venue.halt(of, true)
    case "trades":
      return void venue.tradeFaults.push(...listed(of, frameFaults))
    case "lag":
      venue.lagMs = ms
      return
    case "private_cut":
      return venue.cut("private", causes[of]!)
    case "private_refuse":
      down.private = refusals[of]
      return venue.cut("private", causes.reset!)
    case "private_frames":
      return void venue.privateFaults.push(...listed(of, frameFaults))
    case "reads":
      down.reads = of === "429" ? new Throttled({ status: 429, retryAfterMs: 1_000 }) : refusals[of]
      return
    case "read_lag":
      venue.readLagMs = ms
      return
    case "quotes":
      down.quotes = of === "429" ? throttled : refusals[of]
      return
    case "history":
      down.history = refusals[of]
      return
    case "our_clock":
      return venue.time.stepWallClock(ms)
    case "orders":
      return void venue.submitFaults.push(...listed(of, submitFaults))
    case "fills":
      return void venue.fillPlans.push(...listed(of, fillPlans))
  }
}

export function end({ kind, of }: Step, venue: PortVenue) {
  const { down } = venue
  switch (kind) {
    case "refuse":
    case "throttle":
      down.market = undefined
      return
    case "hang":
      venue.hangsUp = false
      return
    case "mute":
      venue.isMute = false
      return venue.halted.forEach((_, id) => venue.tellStatus(id))
    case "mute_one":
      venue.mute.delete(of)
      // Where it stands is told again; a halt that is never told shows in the first refusal.
      return venue.tellStatus(of)
    case "halt":
      return venue.halt(of, false)
    case "lag":
      venue.lagMs = 0
      return
    case "private_refuse":
      down.private = undefined
      return
    case "reads":
      down.reads = undefined
      return
    case "read_lag":
      venue.readLagMs = 0
      return
    case "quotes":
      down.quotes = undefined
      return
    case "history":
      down.history = undefined
      return
    default:
      return
  }
}

/** A line for each step, as a person would read it. */
export function told({ instruments, bell, skewMs, steps }: Schedule): ReadonlyArray<string> {
  return [
    `${instruments.join(", ")}; the venue's clock is ${skewMs} ms off`,
    ...(bell === undefined ? [] : [`${bell.atMs} ms: the bell rings to ${bell.rings}`]),
    ...steps.map(({ atMs, forMs, kind, ms, of }) =>
      [
        `${atMs} ms: ${kind}`,
        of,
        ms === 0 ? "" : `(${ms} ms)`,
        forMs === 0 ? "" : `for ${forMs} ms`,
      ].filter((part) => part !== "").join(" ")
    ),
  ]
}

function one<A>(draw: Draw, of: ReadonlyArray<A>): A {
  return of[Math.floor(draw() * of.length)]!
}

function some(draw: Draw, of: ReadonlyArray<string>): string {
  return Array.from({ length: 1 + Math.floor(draw() * 3) }, () => one(draw, of)).join(" ")
}

function listed<A extends string>(text: string, known: ReadonlyArray<A>): ReadonlyArray<A> {
  return text.split(" ").flatMap((word) => known.filter((each) => each === word))
}
