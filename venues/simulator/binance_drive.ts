/**
 * What drives the venue's market: the generator on its clock, or a recording that is
 * walked through event by event.
 */
import { type Clock, Duration, Effect, Option, Schema, Stream } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import type { BinanceDesk } from "./binance_desk.ts"
import { PROFILES } from "./binance_profiles.ts"
import { BinanceVenue } from "./binance_venue.ts"
import type { Change } from "./exchange_books.ts"
import type { LedgerBatch, LedgerContents } from "./ledger.ts"
import { makeListing } from "./listing.ts"
import type { MarketClock } from "./market_clock.ts"
import type { Recording } from "./recording.ts"
import type { StreamHub } from "./stream_hub.ts"
import {
  history,
  resumeMarket,
  seedMarket,
  stepMarket,
  type SyntheticState,
  SyntheticStateText,
} from "./synthetic.ts"
import type { Wire } from "./wire.ts"

export type SimulatorMarket =
  | { readonly kind: "synthetic"; readonly seed: number }
  | { readonly kind: "recording"; readonly recording: Recording; readonly clock: MarketClock }

export interface PlayOptions {
  /** Times the recording's own speed; 0 or Infinity: as fast as its listener follows. */
  readonly speed: number
  /** Real time, for pacing. */
  readonly pacing: Clock.Clock
  /** Completes when everything sent so far has been digested; awaited after every step. */
  readonly settled: Effect.Effect<void>
}

export interface ReplaySummary {
  /** Per symbol. */
  readonly trades: Readonly<
    Record<string, { readonly sent: number; readonly lastTradeId: number }>
  >
  readonly events: number
  readonly framesSent: number
  readonly startMs: number
  readonly endMs: number
}

const STEP_MS = 50
const DEPTH_EVERY_MS = 100
const STORE_EVERY_MS = 1_000
const TICKERS_EVERY_MS = 1_000
/** What a generated market remembers of its past when it starts. */
const HISTORY = { secondsMs: 2 * 3_600_000, minutesMs: 24 * 3_600_000 } as const
/** Ids that a restart skips: more than a market gives out between two stored states. */
const ID_JUMP = 1_000_000

// The market

export function makeVenue(
  market: SimulatorMarket,
  contents: LedgerContents,
  hub: StreamHub,
  now: () => number,
): BinanceVenue {
  if (market.kind === "synthetic") {
    const listings = PROFILES.map((profile) => profile.listing)
    const venue = new BinanceVenue(listings, contents, hub, {
      printsOwnFills: true,
      updateId: (contents.counters?.updateId ?? 0) + ID_JUMP,
      now,
    })
    for (const { symbol } of listings) {
      venue.exchange.reserveTradeIds(symbol, (contents.counters?.tradeIds[symbol] ?? 0) + ID_JUMP)
    }
    return venue
  }
  const { recording } = market
  const venue = new BinanceVenue(recording.symbols.map(makeListing), contents, hub, {
    printsOwnFills: false,
    updateId: contents.counters?.updateId ?? 0,
    now,
  })
  // Our fills are numbered after the recording's last trade, so no id means two things.
  for (const [symbol, span] of Object.entries(recording.trades)) {
    venue.exchange.reserveTradeIds(symbol, span.lastTradeId)
  }
  return venue
}

/** Where the generated market begins, its past written into `venue`; `undefined` for a recording. */
export function startingMarket(
  market: SimulatorMarket,
  venue: BinanceVenue,
  contents: LedgerContents,
  now: number,
): SyntheticState | undefined {
  if (market.kind === "recording") return undefined
  const stored = Schema.decodeUnknownOption(SyntheticStateText)(contents.market)
  const start = Option.isSome(stored)
    ? resumeMarket(stored.value, now)
    : seedMarket(PROFILES, market.seed, now)
  writeHistory(venue, start, now)
  return start
}

const encodeMarket = Schema.encodeSync(SyntheticStateText)

export const generate = Effect.fn("SimulatedBinance.generate")(function* (
  desk: BinanceDesk,
  store: (batch: LedgerBatch, done: () => void) => void,
  start: SyntheticState,
) {
  const { venue, now } = desk
  let state = resumeMarket(start, now())
  let depthAt = 0
  let storedAt = 0
  return yield* forever(Effect.suspend(() => {
    const at = now()
    const [next, events] = stepMarket(PROFILES, state, at)
    state = next
    const changes = new Array<Change>()
    for (const event of events) changes.push(venue.generate(event, at))
    desk.report(changes.filter((change) => change.reports.length > 0))
    venue.publishKlines(at)
    if (at - depthAt >= DEPTH_EVERY_MS) {
      venue.publishDepth(at)
      depthAt = at
    }
    if (at - storedAt >= STORE_EVERY_MS) {
      venue.publishTickers(at)
      store({ market: encodeMarket(state), counters: venue.counters }, () => {})
      storedAt = at
    }
    return Effect.sleep(STEP_MS)
  }))
})

/** A day of minutes and two hours of seconds, up to `now`, for every instrument. */
function writeHistory(venue: BinanceVenue, state: SyntheticState, now: number) {
  const endMs = now - now % 1_000
  const secondsFrom = Math.floor((endMs - HISTORY.secondsMs) / 60_000) * 60_000
  for (const { listing: { symbol } } of PROFILES) {
    const { klines } = venue.tape(symbol)
    const [older, seconds] = history(PROFILES, state, symbol, {
      endMs,
      barMs: 1_000,
      count: (endMs - secondsFrom) / 1_000,
    })
    const [, minutes] = history(PROFILES, older, symbol, {
      endMs: secondsFrom,
      barMs: 60_000,
      count: HISTORY.minutesMs / 60_000,
    })
    for (const bar of minutes) klines.addMinute(bar)
    for (const bar of seconds) klines.addBar(bar)
  }
}

// Playing

export const play = Effect.fn("SimulatedBinance.play")(function* (
  { recording, clock }: Extract<SimulatorMarket, { kind: "recording" }>,
  { speed, pacing, settled }: PlayOptions,
  parts: {
    readonly desk: BinanceDesk
    readonly wire: Wire
    readonly strikeDue: () => void
    readonly isIdle: () => boolean
  },
) {
  const { desk, wire } = parts
  const { venue } = desk
  const isPaced = speed > 0 && Number.isFinite(speed)
  const beganAt = pacing.currentTimeMillisUnsafe()
  const trades: Record<string, { sent: number; lastTradeId: number }> = {}
  let events = 0
  let tickersAt = 0

  // What has been told is digested only when all of it has been told.
  const digested = Effect.gen(function* () {
    while (!parts.isIdle()) yield* Effect.yieldNow
    yield* settled
  })
  const moveTo = Effect.fnUntraced(function* (timeMs: number) {
    while (!clock.advanceTo(timeMs)) yield* digested
  })

  yield* Stream.runForEach(
    recording.events,
    Effect.fnUntraced(function* (event) {
      if (isPaced) {
        const dueMs = beganAt + (event.timeMs - recording.startMs) / speed
        const waitMs = dueMs - pacing.currentTimeMillisUnsafe()
        if (waitMs >= 1) yield* pacing.sleep(Duration.millis(waitMs))
      }
      yield* moveTo(event.timeMs)
      events++
      const change = venue.replay(event.change, event.frame, event.timeMs)
      desk.report([change])
      if (event.change?.type === "trade") {
        const { symbol, tradeId } = event.change
        trades[symbol] = { sent: (trades[symbol]?.sent ?? 0) + 1, lastTradeId: tradeId }
      }
      venue.publishKlines(event.timeMs, recording.streams)
      if (event.timeMs - tickersAt >= TICKERS_EVERY_MS) {
        venue.publishTickers(event.timeMs, recording.streams)
        tickersAt = event.timeMs
      }
      yield* digested
    }),
  )
  const { startMs, endMs } = recording
  return { trades, events, framesSent: wire.framesSent, startMs, endMs }
})
