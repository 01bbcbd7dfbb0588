/**
 * A market nobody recorded: some instruments, one seed, one future.
 *
 * Each instrument's price is a random walk whose character changes: it trends,
 * reverts to a level, or turns volatile, jumps now and then, and falls quiet. A
 * step is a pure function from state to state and events, and the state is plain
 * data with its own chance inside it, so a market can be stored, restarted and
 * replayed. Floats choose where the price goes; what leaves is on the grid, exact.
 *
 * A canary quotes at least once a second whatever happens: a silent venue and a
 * quiet market stay different things.
 */
import { Schema } from "effect"
import { Chance } from "./chance.ts"
import { type Atoms, floorTo, notional } from "./decimals.ts"
import type { Kline } from "./klines.ts"
import type { Level } from "./shown_book.ts"

/** What the walk needs to know of an instrument. */
export interface Profile {
  readonly listing: { readonly symbol: string; readonly tickSize: Atoms; readonly stepSize: Atoms }
  readonly startPrice: number
  /** Standard deviation of one second's return, in basis points. */
  readonly sigmaBps: number
  /** A usual size at one level, in quote units. */
  readonly depth: number
  /** Quotes through every quiet spell. */
  readonly isCanary?: boolean
}
export type Profiles = ReadonlyArray<Profile>

const Regime = Schema.Literals(["trending", "reverting", "volatile"])

const InstrumentState = Schema.Struct({
  symbol: Schema.String,
  /** Natural logarithm of the fair price. */
  logPrice: Schema.Finite,
  /** Where a reverting market pulls to. */
  anchor: Schema.Finite,
  regime: Regime,
  /** Per second, as a return. */
  drift: Schema.Finite,
  regimeEndsAt: Schema.Finite,
  quietUntil: Schema.Finite,
  /** Whether a quiet spell silences the quotes too. */
  isSilent: Schema.Boolean,
  steppedAt: Schema.Finite,
  nextAt: Schema.Finite,
  chance: Schema.Tuple([Schema.Int, Schema.Int, Schema.Int, Schema.Int]),
})
type InstrumentState = typeof InstrumentState.Type

export const SyntheticState = Schema.Struct({ instruments: Schema.Array(InstrumentState) })
export type SyntheticState = typeof SyntheticState.Type
export const SyntheticStateText = Schema.fromJsonString(SyntheticState)

export type SyntheticEvent =
  | {
    readonly type: "ladder"
    readonly symbol: string
    readonly time: number
    readonly bids: ReadonlyArray<Level>
    readonly asks: ReadonlyArray<Level>
  }
  | {
    readonly type: "trade"
    readonly symbol: string
    readonly time: number
    readonly price: Atoms
    readonly size: Atoms
    readonly buyerIsMaker: boolean
  }

const LEVELS = 10
/** A market that was not stepped for longer moves on in one go instead of catching up. */
const CATCH_UP_MS = 2_000
const QUOTE_EVERY_MS = { mean: 170, min: 40, max: 800 } as const

/** The market of `seed` at its beginning. */
export function seedMarket(profiles: Profiles, seed: number, now: number): SyntheticState {
  return {
    instruments: profiles.map(({ listing, startPrice }) => {
      const chance = Chance.seeded(seed, listing.symbol)
      const logPrice = Math.log(startPrice * chance.between(0.95, 1.05))
      return {
        symbol: listing.symbol,
        logPrice,
        anchor: logPrice,
        regime: "reverting",
        drift: 0,
        regimeEndsAt: now + chance.between(10, 60) * 1_000,
        quietUntil: now,
        isSilent: false,
        steppedAt: now,
        nextAt: now,
        chance: [...chance.state],
      }
    }),
  }
}

/** The same market, asleep until `now`: prices stay, clocks move on. */
export function resumeMarket(state: SyntheticState, now: number): SyntheticState {
  return {
    instruments: state.instruments.map((one) => ({
      ...one,
      steppedAt: now,
      nextAt: now,
      quietUntil: now,
      regimeEndsAt: Math.max(one.regimeEndsAt, now),
    })),
  }
}

/** Everything that happens up to and including `now`, in order of time. */
export function stepMarket(
  profiles: Profiles,
  state: SyntheticState,
  now: number,
): readonly [SyntheticState, ReadonlyArray<SyntheticEvent>] {
  const events = new Array<SyntheticEvent>()
  const instruments = state.instruments.map((before, index) => {
    const profile = profiles[index]
    if (profile?.listing.symbol !== before.symbol) throw new RangeError(`no ${before.symbol}`)
    let one = before.nextAt < now - CATCH_UP_MS ? { ...before, nextAt: now } : before
    while (one.nextAt <= now) one = stepInstrument(one, profile, events)
    return one
  })
  events.sort((a, b) => a.time - b.time)
  return [{ instruments }, events]
}

/**
 * A past that leads to the price `symbol` has now: `count` bars of `barMs`, oldest
 * first, the last one ending at `endMs`. It is a walk from now, told backwards. The
 * state it returns stands where the past begins, for a still older one.
 */
export function history(
  profiles: Profiles,
  state: SyntheticState,
  symbol: string,
  range: { readonly endMs: number; readonly barMs: number; readonly count: number },
): readonly [SyntheticState, ReadonlyArray<Kline>] {
  const index = state.instruments.findIndex((one) => one.symbol === symbol)
  const start = state.instruments[index]
  const profile = profiles[index]
  if (start === undefined || profile === undefined) return [state, []]
  const { listing, depth } = profile
  const parts = 4
  const seconds = range.barMs / 1_000
  // Its own chance: the future must not repeat the past.
  const chance = Chance.seeded(start.chance[0], `${symbol} before ${range.barMs}`)
  const bars = new Array<Kline>()
  // The walk's own time runs on from the end, where regimes begin and end as always.
  let one: InstrumentState = { ...start, steppedAt: range.endMs }
  let close = onGrid(Math.exp(one.logPrice), listing.tickSize)
  for (let bar = 1; bar <= range.count; bar++) {
    let high = close
    let low = close
    let open = close
    for (let part = 1; part <= parts; part++) {
      one = move(one, profile, chance, one.steppedAt + range.barMs / parts)
      open = onGrid(Math.exp(one.logPrice), listing.tickSize)
      if (open > high) high = open
      if (open < low) low = open
    }
    const lots = chance.waiting(depth * 0.12 * seconds) / Math.exp(one.logPrice) / stepOf(listing)
    const volume = BigInt(Math.max(1, Math.round(lots))) * listing.stepSize
    const takerBase = floorTo(
      volume * BigInt(Math.round(chance.between(350, 650))) / 1_000n,
      listing.stepSize,
    )
    bars.push({
      openTime: range.endMs - bar * range.barMs,
      open,
      high,
      low,
      close,
      volume,
      quoteVolume: notional(close, volume),
      trades: Math.max(1, Math.round(3 * seconds)),
      takerBase,
      takerQuote: notional(close, takerBase),
      firstTradeId: -1,
      lastTradeId: -1,
    })
    close = open
  }
  const next = { ...one, chance: start.chance }
  return [
    { instruments: state.instruments.map((old, i) => i === index ? next : old) },
    bars.reverse(),
  ]
}

function stepInstrument(
  before: InstrumentState,
  profile: Profile,
  events: Array<SyntheticEvent>,
): InstrumentState {
  const chance = new Chance(before.chance)
  const time = before.nextAt
  let one = move(before, profile, chance, time)

  if (time >= one.quietUntil && chance.next() < 1 / 1_500) {
    one = {
      ...one,
      quietUntil: time + chance.between(4, 15) * 1_000,
      isSilent: profile.isCanary !== true && chance.next() < 0.5,
    }
  }
  const isQuiet = time < one.quietUntil
  if (!isQuiet || !one.isSilent) {
    const { listing } = profile
    const { bids, asks } = ladder(one, profile, chance)
    events.push({ type: "ladder", symbol: listing.symbol, time, bids, asks })
    if (!isQuiet && chance.next() < 0.6) {
      const rose = one.logPrice >= before.logPrice
      const buyerIsMaker = chance.next() < (rose ? 0.35 : 0.65)
      const level = buyerIsMaker ? bids[0] : asks[0]
      const lots = Math.ceil(
        chance.waiting(profile.depth * 0.05) / Math.exp(one.logPrice) / stepOf(listing),
      )
      if (level !== undefined) {
        const size = BigInt(Math.max(1, lots)) * listing.stepSize
        events.push({
          type: "trade",
          symbol: listing.symbol,
          time,
          price: level.price,
          size: size < level.size ? size : level.size,
          buyerIsMaker,
        })
      }
    }
  }
  const wait = Math.min(
    QUOTE_EVERY_MS.max,
    Math.max(QUOTE_EVERY_MS.min, chance.waiting(QUOTE_EVERY_MS.mean)),
  )
  return { ...one, nextAt: time + Math.round(wait), chance: [...chance.state] }
}

/** The fair price at `time`. */
function move(
  before: InstrumentState,
  profile: Profile,
  chance: Chance,
  time: number,
): InstrumentState {
  const one = time >= before.regimeEndsAt ? newRegime(before, profile, chance, time) : before
  const seconds = Math.max(0, time - one.steppedAt) / 1_000
  const sigma = profile.sigmaBps / 10_000 * (one.regime === "volatile" ? 2.2 : 1)
  const home = Math.log(profile.startPrice)
  const pull = one.regime === "reverting" ? 0.05 * (one.anchor - one.logPrice) : 0
  const jumps = chance.next() < seconds / 300
  const change = (one.drift + pull + 2e-5 * (home - one.logPrice)) * seconds +
    sigma * Math.sqrt(seconds) * chance.normal() +
    (jumps ? sigma * chance.between(6, 16) * (chance.next() < 0.5 ? -1 : 1) : 0)
  return { ...one, logPrice: one.logPrice + change, steppedAt: time }
}

function newRegime(
  one: InstrumentState,
  profile: Profile,
  chance: Chance,
  time: number,
): InstrumentState {
  const draw = chance.next()
  const regime = draw < 0.45 ? "trending" : draw < 0.8 ? "reverting" : "volatile"
  const strength = chance.between(0.25, 0.6) * profile.sigmaBps / 10_000
  return {
    ...one,
    regime,
    anchor: one.logPrice,
    drift: regime === "trending" ? (chance.next() < 0.5 ? -strength : strength) : 0,
    regimeEndsAt: time + chance.between(20, 75) * 1_000,
  }
}

function ladder(one: InstrumentState, profile: Profile, chance: Chance) {
  const { listing } = profile
  const price = Math.exp(one.logPrice)
  const ticks = Number(onGrid(price, listing.tickSize) / listing.tickSize)
  // About a tenth of a basis point between levels, never less than a tick.
  const gap = Math.max(1, Math.round(ticks * 1e-5))
  const side = (sign: 1 | -1) => {
    let at = sign === 1 ? ticks + 1 : ticks
    return Array.from({ length: LEVELS }, (_, i): Level => {
      const lots = Math.ceil(
        profile.depth * (0.15 + chance.waiting(0.85)) * (1 + i * 0.25) / price / stepOf(listing),
      )
      const level = {
        price: BigInt(at) * listing.tickSize,
        size: BigInt(lots) * listing.stepSize,
      }
      at += sign * (1 + Math.floor(chance.next() * gap * 2))
      return level
    })
  }
  return { bids: side(-1), asks: side(1) }
}

function onGrid(price: number, tick: Atoms): Atoms {
  return BigInt(Math.round(price * 1e8 / Number(tick))) * tick
}

function stepOf(listing: Profile["listing"]): number {
  return Number(listing.stepSize) / 1e8
}
