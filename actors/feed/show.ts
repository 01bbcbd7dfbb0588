/** What others see of a feed: every number with its age, its source and what it is good for. */
import { formatDecimal } from "../../domain/decimal.ts"
import { lagMs, offsetMs } from "../../domain/drift.ts"
import type { FeedInstrumentView, FeedPhase, FeedView, LinkStatus } from "../../domain/overview.ts"
import { Monitor } from "../names.ts"
import { waitsFor } from "./recovery.ts"
import { sessionOf } from "./session.ts"
import type { Context, Line, State } from "./state.ts"

const statusOf: Readonly<Record<FeedPhase, LinkStatus>> = {
  connecting: "connecting",
  streaming: "streaming",
  recovering: "reconnecting",
  reconnecting: "reconnecting",
  polling: "polling",
  waiting: "reconnecting",
  blocked: "down",
}

export function show(state: State, actor: Context) {
  const now = actor.now()
  const { at, frames } = state.framesShown
  if (now - at >= 1_000) {
    const rate = Math.round((state.frames - frames) * 1_000 / (now - at))
    state.framesShown = { at: now, frames: state.frames, rate }
  }
  const { memory, options } = state
  const skewMs = offsetMs(state.drift)
  const waits = waitsFor(state, now)
  const view: FeedView = {
    venue: options.market.venue,
    status: statusOf[state.phase],
    phase: state.phase,
    attempt: memory.link.attempt,
    attemptMax: options.backoff.attemptsMax,
    lastDataAt: state.lastDataAt ?? null,
    ...(state.nextAttemptAt !== undefined && { nextAttemptAt: state.nextAttemptAt }),
    ...(state.cause !== undefined && { cause: state.cause }),
    ...(state.rule !== undefined && { rule: state.rule }),
    ...(state.outageSince !== undefined && { outageSince: state.outageSince }),
    ...(waits.length > 0 && { waitsFor: waits }),
    ...(state.troubles.size > 0 && { troubles: [...state.troubles.values()] }),
    lagMs: Math.round(lagMs(state.drift, now)),
    ...(skewMs !== undefined && { clockOffsetMs: Math.round(skewMs) }),
    since: state.since,
    reconnects: state.reconnects,
    framesPerSecond: state.framesShown.rate,
    undecoded: state.undecoded,
    ...(state.lastUndecoded !== undefined && { lastUndecoded: state.lastUndecoded }),
    instruments: [...state.lines.values()].map((line) => lineView(line, state, now)),
  }
  actor.ref(Monitor).send({ _tag: "FeedChanged", feed: view })
}

function lineView(line: Line, state: State, now: number): FeedInstrumentView {
  const { last, pricedAt, quote, withheld } = line
  const ageMs = pricedAt === undefined ? null : Math.max(0, Math.round(now - pricedAt))
  const session = sessionOf(state, line, now)
  const halt = state.books.halts.get(line.instrument)
  return {
    instrument: line.instrument,
    price: last === undefined ? null : formatDecimal(last.price),
    bid: quote === undefined ? null : formatDecimal(quote.bid),
    ask: quote === undefined ? null : formatDecimal(quote.ask),
    ageMs,
    source: line.quoteSource,
    fresh: withheld === undefined && line.quoteSource === "stream" && ageMs !== null &&
      state.phase === "streaming" && ageMs < line.staleAfterMs,
    staleAfterMs: line.staleAfterMs,
    trades: line.trades,
    lastTradeId: last?.tradeId ?? null,
    duplicates: line.duplicates,
    gaps: line.gaps,
    recovered: line.recovered,
    ...(session !== undefined && { session: session.phase, sessionUntil: session.until }),
    ...(halt !== undefined && { halt: { status: halt.status, reason: halt.reason } }),
    ...(withheld !== undefined && { withheld }),
  }
}
