/**
 * What is made of trades: bars, each trade once, none across a hole.
 *
 * A trade is known by the venue's id. Where ids are dense, one that is missing shows at once; what
 * follows it then waits until it has been read, so that a bar is either whole or does not exist.
 */
import { addTrade, breakBar, closeBar, reform } from "../../domain/bars.ts"
import { intervalMs } from "../../domain/instrument.ts"
import type { Bar, Trade, TradeCancel, TradeCorrection } from "../../domain/market.ts"
import { runnerOf } from "../names.ts"
import type { Context, Line, State } from "./state.ts"

/** Beyond this an id that is lower than the last one is no repeat: the venue counts anew. */
const RECOUNT_MS = 60_000

export type Standing = "next" | "repeat" | "after_a_hole" | "recount"

/** How a trade stands to those before it. */
export function standing(state: State, line: Line, trade: Trade): Standing {
  const { last } = line
  if (line.recent.has(trade.tradeId)) return "repeat"
  if (last === undefined || state.options.market.tradeIds === "opaque") return "next"
  const step = distance(last.tradeId, trade.tradeId)
  if (step === 1) return "next"
  if (step > 1) return "after_a_hole"
  return trade.time - last.time > RECOUNT_MS ? "recount" : "repeat"
}

/** From one dense id to another, exactly where it matters; ids can be longer than a number is exact. */
export function distance(from: string, to: string): number {
  return from.length < 16 && to.length < 16
    ? Number(to) - Number(from)
    : Number(BigInt(to) - BigInt(from))
}

/** Counts one trade that is new, and closes the bars it ends. */
export function count(state: State, line: Line, trade: Trade, actor: Context) {
  line.last = trade
  line.trades += 1
  line.recent.set(trade.tradeId, trade)
  if (line.recent.size > state.options.recentTradesMax) {
    for (const oldest of line.recent.keys()) {
      line.recent.delete(oldest)
      break
    }
  }
  for (const [length, { builder, last }] of line.builders) {
    const [next, bar] = addTrade(builder, trade)
    line.builders.set(length, { builder: next, last })
    if (bar !== undefined) publish(state, line, bar, actor)
  }
}

/** Whether it belongs to a bar that has been published without it. */
export function isTooLate(line: Line, trade: Trade): boolean {
  return [...line.builders.values()].some(({ builder }) => trade.time < builder.closedUntil)
}

/** Trades are missing for good: no bar may be built across the hole, and history has to be read again. */
export function breakLine(state: State, line: Line, actor: Context) {
  for (const [length, { builder }] of line.builders) {
    line.builders.set(length, { builder: breakBar(builder), last: undefined })
  }
  tellGap(state, line, actor)
}

export function tellGap(state: State, { instrument }: Line, actor: Context) {
  for (const assigned of state.books.assignments.values()) {
    if (assigned.instrument !== instrument || state.deaf.has(assigned.id)) continue
    actor.ref(runnerOf(assigned.id)).send({ _tag: "Gap", instrument })
  }
}

/** Closes the bars that have ended at `until`, in the venue's time. */
export function closeBars(state: State, line: Line, until: number, actor: Context) {
  for (const [length, { builder, last }] of line.builders) {
    const [next, bar] = closeBar(builder, until)
    line.builders.set(length, { builder: next, last })
    if (bar !== undefined) publish(state, line, bar, actor)
  }
}

function publish(state: State, line: Line, bar: Bar, actor: Context) {
  const bars = line.builders.get(bar.intervalMs)
  if (bars === undefined) return
  const after = bars.last
  line.builders.set(bar.intervalMs, { ...bars, last: bar.openTime })
  for (const { id, instrument, interval } of state.books.assignments.values()) {
    const wanted = instrument === bar.instrument && intervalMs(interval) === bar.intervalMs
    if (wanted && !state.deaf.has(id)) {
      actor.ref(runnerOf(id)).send({ _tag: "BarClosed", bar, after })
    }
  }
}

/**
 * A print was wrong. A bar that is forming is built again without it, if every trade of it is still
 * known; a bar that has been published stays, and whoever has seen it reads history again.
 */
export function correct(
  state: State,
  line: Line,
  event: TradeCorrection | TradeCancel,
  actor: Context,
) {
  const wrong = line.recent.get(event.tradeId)
  if (wrong !== undefined) {
    if (event._tag === "TradeCorrection") {
      line.recent.set(event.tradeId, { ...event.corrected, tradeId: event.tradeId })
    } else line.recent.delete(event.tradeId)
  }
  let isMarked = wrong === undefined
  for (const [length, { builder, last }] of line.builders) {
    const { forming } = builder
    if (wrong === undefined || forming === undefined || wrong.time < forming.openTime) {
      isMarked = true
      continue
    }
    const inBar = ({ time }: Trade) => time >= forming.openTime && time < forming.openTime + length
    const trades = [...line.recent.values()].filter(inBar)
    const isWhole = trades.length === forming.trades - (event._tag === "TradeCancel" ? 1 : 0)
    line.builders.set(length, {
      builder: isWhole ? reform(builder, trades) : breakBar(builder),
      last,
    })
    if (!isWhole) isMarked = true
  }
  if (isMarked) breakPublished(state, line, actor)
}

function breakPublished(state: State, line: Line, actor: Context) {
  for (const [length, bars] of line.builders) {
    line.builders.set(length, { ...bars, last: undefined })
  }
  tellGap(state, line, actor)
}
