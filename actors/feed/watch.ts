/**
 * What is looked for while nothing happens: silence, lateness, troubles that last.
 *
 * A connection that is open, and answers pings, and says nothing, is dead; one that delivers later
 * and later is dying; one of whose instruments is silent is alive. A watch that has nothing to look
 * at is itself a trouble.
 */
import { lagMs, noDrift, offsetMs } from "../../domain/drift.ts"
import type { Event, FeedTrouble } from "../../domain/event.ts"
import type { Withheld } from "../../domain/gate.ts"
import { venueOf } from "../../domain/instrument.ts"
import { isLess } from "../../domain/decimal.ts"
import { isFlapping, isMisbehaving } from "../../domain/link.ts"
import { Faulty, Silent } from "../../venues/market_data.ts"
import { riskManagerOf } from "../names.ts"
import { cut, pollOnce } from "./connection.ts"
import { closeBars } from "./lines.ts"
import { isOpen, sessionOf } from "./session.ts"
import type { Connection, Context, Line, State } from "./state.ts"

/** Everything that time alone can change; what is to be written down. */
export function watch(state: State, actor: Context): ReadonlyArray<Event> {
  const now = actor.now()
  closeEndedBars(state, now, actor)
  if (state.connection !== undefined) {
    cutIfMute(state, state.connection, now)
    cutIfLate(state, now)
  }
  for (const line of state.lines.values()) withhold(state, line, now, actor)
  const changed = watchSources(state, now)
  pollQuiet(state, now, actor)
  return [...changed, ...watchTroubles(state, now)]
}

/**
 * By the venue's clock, and only as far as its stream has been heard: it may have died before the
 * end of the bar, and nobody would know yet.
 */
function closeEndedBars(state: State, now: number, actor: Context) {
  const { connection, drift, options } = state
  const skewMs = offsetMs(drift)
  if (connection?.heardAt === undefined || connection.id !== state.heardConnection) return
  if (skewMs === undefined) return
  const until = Math.min(now - options.barGraceMs, connection.heardAt - lagMs(drift, now)) - skewMs
  for (const line of state.lines.values()) {
    if (line.filling === undefined) closeBars(state, line, until, actor)
  }
}

/** Connected and mute: a pong proves that a machine is there, not that a market is. */
function cutIfMute(state: State, connection: Connection, now: number) {
  const limitMs = muteAfterMs(state, now)
  if (limitMs === undefined) return
  // A new connection still has its handshake and its subscriptions to do.
  const afterMs = connection.heardAt === undefined ? 2 * limitMs : limitMs
  const since = Math.max(connection.heardAt ?? connection.startedAt, openSince(state, now))
  if (now - since >= afterMs) cut(state, new Silent({ what: "data", afterMs: Math.round(afterMs) }))
}

/** Undefined while no market is open: then silence says nothing. */
function muteAfterMs(state: State, now: number): number | undefined {
  const open = [...state.lines.values()].filter((line) => isOpen(state, line, now))
  if (open.length === 0) return undefined
  return state.options.muteAfterMs ?? Math.min(...open.map(({ staleAfterMs }) => staleAfterMs))
}

/** Since when some market has been open; 0 when it was so from the start. */
function openSince(state: State, now: number): number {
  const since = [...state.lines.values()]
    .filter((line) => isOpen(state, line, now))
    .map((line) => sessionOf(state, line, now)?.since ?? 0)
  return since.length === 0 ? 0 : Math.min(...since)
}

/** Something arrives all the time, and all of it is old. */
function cutIfLate(state: State, now: number) {
  const behindMs = lagMs(state.drift, now)
  if (behindMs <= state.options.lagMaxMs) {
    state.lateSince = undefined
    return
  }
  state.lateSince ??= now
  if (now - state.lateSince < state.options.lagPatienceMs) return
  state.lateSince = undefined
  // Should it be our clock that was set, the next connection measures anew.
  state.drift = noDrift
  state.lateCuts += 1
  cut(state, new Faulty({ detail: `events come ${Math.round(behindMs)} ms late` }))
}

// ---- freshness ---------------------------------------------------------------------------

/** Why no proof may be issued for `line` now, its age apart. */
export function withheldOf(state: State, line: Line, now: number): Withheld | undefined {
  const { instrument, band, quote } = line
  const session = sessionOf(state, line, now)
  if (session !== undefined && !isOpen(state, line, now)) {
    const until = String(Math.round(session.until))
    return { code: "MARKET_CLOSED", numbers: { instrument, session: session.phase, until } }
  }
  if (state.phase !== "streaming") {
    const { venue } = state.options.market
    return { code: "MARKET_DATA_STALE", numbers: { venue, feed: state.phase } }
  }
  const halt = state.books.halts.get(instrument)
  if (halt !== undefined) {
    const { status, reason } = halt
    return { code: "INSTRUMENT_HALTED", numbers: { instrument, status, reason } }
  }
  const isOutside = band !== undefined && quote !== undefined &&
    (isLess(band.upper, quote.ask) || isLess(quote.bid, band.lower))
  if (isOutside) return { code: "PRICE_OUTSIDE_BAND", numbers: { instrument } }
  if (state.lateSince !== undefined) {
    const lagMaxMs = String(state.options.lagMaxMs)
    return { code: "MARKET_DATA_STALE", numbers: { instrument, late: "true", lagMaxMs } }
  }
}

/** Takes the proof back, and says why, once for every reason. */
export function withhold(state: State, line: Line, now: number, actor: Context) {
  const withheld = withheldOf(state, line, now)
  if (withheld !== undefined) line.fresh?.revoke()
  if (isSame(withheld, line.withheld)) return
  line.withheld = withheld
  tellWithheld(state, line, actor)
}

export function tellWithheld(state: State, { instrument, withheld }: Line, actor: Context) {
  actor.ref(riskManagerOf(state.options.market.venue))
    .send({ _tag: "Withheld", instrument, withheld })
}

function isSame(a: Withheld | undefined, b: Withheld | undefined): boolean {
  return a === b || (a?.code === b?.code && JSON.stringify(a) === JSON.stringify(b))
}

// ---- one instrument among many -------------------------------------------------------------

/** Said seldom: an instrument that is heard now and then is not heard. */
function watchSources(state: State, now: number): ReadonlyArray<Event> {
  const { market, quietAfterMs, sourceHoldMs } = state.options
  if (state.phase !== "streaming") return []
  return [...state.lines.values()].flatMap((line): ReadonlyArray<Event> => {
    const quietMs = now - Math.max(line.heardAt ?? 0, state.heardSince)
    const isQuiet = quietMs >= quietAfterMs && isOpen(state, line, now)
    const { heardAt = 0, streamsSince = Infinity } = line
    const isBack = quietMs < quietAfterMs && heardAt - streamsSince >= sourceHoldMs
    const source = isQuiet ? "rest" : isBack ? "stream" : line.source
    if (source === line.source) return []
    line.source = source
    const { venue } = market
    return [{ _tag: "SourceChanged", venue, instrument: line.instrument, source }]
  })
}

function pollQuiet(state: State, now: number, actor: Context) {
  const quiet = [...state.lines.values()].filter(({ source }) => source === "rest")
  const isDue = now - state.quietPolledAt >= state.options.pollEveryMs
  if (state.phase !== "streaming" || quiet.length === 0 || !isDue) return
  state.quietPolledAt = now
  actor.fork(pollOnce(state, actor, quiet.map(({ instrument }) => instrument)))
}

// ---- what lasts ----------------------------------------------------------------------------

/** What has begun and what has ended of it, each once. */
export function watchTroubles(state: State, now: number): ReadonlyArray<Event> {
  const { venue } = state.options.market
  const found = troublesOf(state, now)
  const events = new Array<Event>()
  for (const [trouble, detail] of found) {
    if (!state.troubles.has(trouble)) {
      events.push({ _tag: "FeedTroubled", venue, trouble, detail })
      state.troubles.set(trouble, detail)
    }
  }
  for (const trouble of state.troubles.keys()) {
    if (found.has(trouble)) continue
    state.troubles.delete(trouble)
    events.push({ _tag: "FeedTroubleEnded", venue, trouble })
  }
  return events
}

function troublesOf(state: State, now: number): ReadonlyMap<FeedTrouble, string> {
  const { memory, options, policy } = state
  const { venue } = options.market
  const found = new Map<FeedTrouble, string>()
  if (isFlapping(memory.link, now, policy)) {
    const { flapWindowMs, flapsMax } = policy
    const text = `lost after data ${flapsMax} times and more within ${flapWindowMs / 1_000} s`
    found.set("flapping", `The stream of ${venue} comes and goes: ${text}. Entries stay off.`)
  }
  if (isMisbehaving(memory.link, now, policy)) {
    const text = `closed ${policy.breachesMax} times for a breach of the venue's rules (1008)`
    found.set("misbehaving", `${venue}: ${text}. Something we send has to change.`)
  }
  if (state.lateSince !== undefined || (state.lateCuts > 0 && state.phase !== "streaming")) {
    found.set("lagging", `Events of ${venue} arrive later and later.`)
  }
  if (state.refusals.size > 0) {
    const text = [...state.refusals].map(([instrument, reason]) => `${instrument} (${reason})`)
    found.set("refused", `${venue} does not stream ${text.join(", ")}.`)
  }
  const unwatched = [...state.books.assignments.values()]
    .map(({ instrument }) => instrument)
    .filter((instrument) => venueOf(instrument) === venue && !state.lines.has(instrument))
  if (options.instruments.length === 0) {
    found.set("nothing_to_watch", `No instrument of ${venue} is subscribed to.`)
  } else if (unwatched.length > 0) {
    const text = [...new Set(unwatched)].join(", ")
    found.set("nothing_to_watch", `Strategies wait for ${text}, and nobody subscribes to it.`)
  }
  return found
}
