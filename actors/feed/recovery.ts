/**
 * From the first data after an outage to the moment when entries are on again.
 *
 * What was missed is read, then the account is compared, then the stream has to have gone on for a
 * while; only then the gate is lifted. A connection that dies on the way takes all of it with it.
 */
import { Effect } from "effect"
import type { Event } from "../../domain/event.ts"
import { stableMsOf } from "../../domain/link.ts"
import type { Trade } from "../../domain/market.ts"
import { isSuspect, learnt, usualSilenceMs } from "../../domain/silence.ts"
import { Overrun } from "../../venues/market_data.ts"
import { catchUp, record } from "../journal.ts"
import { reconcilerOf } from "../names.ts"
import { ask, type ReplyTo } from "../runtime/mod.ts"
import { cut } from "./connection.ts"
import { fillGap } from "./gap_filler.ts"
import { breakLine, count, isTooLate, standing, tellGap } from "./lines.ts"
import type { Context, Filling, FillOutcome, Line, State } from "./state.ts"

/** Instruments whose missed trades are read at the same time. */
const FILLS_AT_ONCE = 4

/** The first data of a connection: whatever was missed lies before it. */
export function beginRecovery(state: State, actor: Context) {
  state.phase = "recovering"
  const cause = state.cause ?? "reconnected"
  const fillings = [...state.lines.values()].flatMap((line) => {
    const filling = hold(line, cause)
    return filling === undefined ? [] : [filling]
  })
  actor.fork(
    Effect.forEach(fillings, (each) => fill(state, each, actor), { concurrency: FILLS_AT_ONCE }),
  )
  actor.sendAfter(stableMsOf(state.memory.link, actor.now(), state.policy), { _tag: "Sweep" })
}

/** A hole on a healthy stream: ids are dense, and some are missing. */
function fillHole(state: State, line: Line, trade: Trade, actor: Context) {
  const cause = `after ${line.last?.tradeId ?? "nothing"} came ${trade.tradeId}`
  const filling = hold(line, cause)
  if (filling === undefined) return
  filling.held.push(trade)
  actor.fork(fill(state, filling, actor))
}

/**
 * An instrument speaks again on a healthy stream: was it silent, or was it not to be heard? Where
 * ids are dense the next one tells. Where they are not, a silence that is longer than any before
 * is looked into.
 */
export function endSilence(state: State, line: Line, silentMs: number, at: number, actor: Context) {
  if (state.options.market.tradeIds === "dense" || line.filling !== undefined) return
  if (silentMs < line.staleAfterMs || !isSuspect(line.silence, silentMs, at)) {
    line.silence = learnt(line.silence, silentMs, at)
    return
  }
  const usually = seconds(usualSilenceMs(line.silence, at))
  const cause = `silent for ${seconds(silentMs)}, until then at most ${usually}`
  const filling = hold(line, cause, silentMs)
  if (filling !== undefined) actor.fork(fill(state, filling, actor))
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}

function hold(line: Line, cause: string, silentMs?: number): Filling | undefined {
  // Nothing is known before it, so nothing is missing.
  if (line.last === undefined) return undefined
  return line.filling = { instrument: line.instrument, after: line.last, cause, held: [], silentMs }
}

function fill(state: State, filling: Filling, actor: Context) {
  return Effect.map(
    fillGap(state, filling),
    (outcome) => void actor.self.signal({ _tag: "Filled", filling, outcome }),
  )
}

/** Keeps a trade until those before it are known; too many of them are an outage of their own. */
function keepForLater(state: State, { held }: Filling, trade: Trade) {
  held.push(trade)
  if (held.length > state.options.heldMax) cut(state, new Overrun({ waiting: held.length }))
}

/** Counts what was missed and what has waited for it, in order, each once. */
export function filled(state: State, filling: Filling, outcome: FillOutcome, actor: Context) {
  const line = state.lines.get(filling.instrument)
  // Of a connection that is gone: the next one begins anew.
  if (line === undefined || line.filling !== filling) return state
  line.filling = undefined
  const missed = outcome.trades.filter((trade) => standing(state, line, trade) !== "repeat")
  const isLate = missed.some((trade) => isTooLate(line, trade))
  for (const trade of missed) count(state, line, trade, actor)
  const streamed = new Set(filling.held.map(({ tradeId }) => tradeId))
  const recovered = missed.filter(({ tradeId }) => !streamed.has(tradeId)).length
  line.recovered += recovered
  if (filling.silentMs !== undefined && recovered === 0 && outcome.complete) {
    line.silence = learnt(line.silence, filling.silentMs, actor.now())
  }
  if (!outcome.complete) breakLine(state, line, actor)
  else if (isLate) tellGap(state, line, actor)
  const known = new Set(missed.map(({ tradeId }) => tradeId))
  const waiting = filling.held.filter(({ tradeId }) => !known.has(tradeId))
  line.duplicates += filling.held.length - waiting.length
  waiting.forEach((trade, index) => {
    // What the venue does not have either is not missing.
    if (index === 0 && standing(state, line, trade) !== "repeat") count(state, line, trade, actor)
    else takeTrade(state, line, trade, actor)
  })
  if (state.phase === "recovering") confirmWhenFilled(state, actor)
  if (recovered === 0 && outcome.complete) return state
  line.gaps += 1
  const gap: Event = {
    _tag: "Gap",
    venue: state.options.market.venue,
    instrument: line.instrument,
    fromId: filling.after.tradeId,
    toId: filling.held[0]?.tradeId ?? null,
    recovered,
    complete: outcome.complete,
    cause: outcome.problem === undefined ? filling.cause : `${filling.cause}; ${outcome.problem}`,
  }
  return Effect.as(record(actor, state.books, [gap]), state)
}

/** One trade of the stream. */
export function takeTrade(state: State, line: Line, trade: Trade, actor: Context) {
  if (line.filling !== undefined) return keepForLater(state, line.filling, trade)
  switch (standing(state, line, trade)) {
    case "next": {
      // The clock has closed its bar, which stays as it is: whoever has seen it reads history again.
      const isLate = isTooLate(line, trade)
      count(state, line, trade, actor)
      if (isLate) tellGap(state, line, actor)
      return
    }
    case "repeat":
      line.duplicates += 1
      return
    case "after_a_hole":
      return fillHole(state, line, trade, actor)
    case "recount":
      breakLine(state, line, actor)
      line.recent.clear()
      return count(state, line, trade, actor)
  }
}

/** The account is compared once all that was missed is known. */
export function confirmWhenFilled(state: State, actor: Context) {
  const { heardConnection } = state
  if (isFilling(state) || state.confirming === heardConnection) return
  state.confirming = heardConnection
  actor.fork(confirmAccount(state, heardConnection, actor))
}

function isFilling({ lines }: State): boolean {
  for (const { filling } of lines.values()) if (filling !== undefined) return true
  return false
}

/** An account that is not in order holds the gate by itself: it will be compared before it is. */
const confirmAccount = Effect.fnUntraced(function* (
  state: State,
  connection: number,
  actor: Context,
) {
  const { market, reconcileRetryMs, reconcileTimeoutMs } = state.options
  const isReady = () => state.books.accounts.get(market.venue)?.ready === true
  while (state.connection?.id === connection) {
    yield* catchUp(actor, state.books)
    if (!isReady()) break
    const isDone = yield* ask(
      actor.ref(reconcilerOf(market.venue)),
      (reply: ReplyTo<boolean>) => ({ _tag: "Reconcile", reply }) as const,
      { timeoutMs: reconcileTimeoutMs },
    ).pipe(Effect.catch(() => Effect.succeed(false)))
    if (isDone) break
    yield* Effect.sleep(reconcileRetryMs)
  }
  actor.self.signal({ _tag: "Confirmed", connection })
})

/** What entries still wait for, in words; nothing once they may be on. */
export function waitsFor(state: State, now: number): ReadonlyArray<string> {
  const { connection, heardConnection, heardSince, memory, policy } = state
  if (state.phase !== "recovering") return []
  const stableAt = heardSince + stableMsOf(memory.link, now, policy)
  return [
    ...(connection?.id !== heardConnection ? ["data"] : []),
    ...(isFilling(state) ? ["the trades that were missed"] : []),
    ...(state.confirmed !== heardConnection ? ["orders and balances to be compared"] : []),
    ...(now < stableAt ? ["the stream to have been steady for a moment"] : []),
  ]
}
