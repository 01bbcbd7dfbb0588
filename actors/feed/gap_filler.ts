/**
 * Reads the trades that a stream has missed.
 *
 * From the last one known, page by page, until it meets what the stream has said since. It is
 * bounded in trades and tries: a hole that is larger than that is said to be one. What it reads is
 * for bars, which need every trade, and never for acting on.
 */
import { Effect } from "effect"
import type { Trade } from "../../domain/market.ts"
import type { VenueError } from "../../venues/market_data.ts"
import { distance } from "./lines.ts"
import type { Filling, FillOutcome, State } from "./state.ts"

/** Of the port: a shorter answer is the end of what there is. */
const PAGE_MAX = 1_000
/** Longer than that is not waited for a venue that says "later": bars are broken instead. */
const RETRY_AFTER_MAX_MS = 5_000

/**
 * Never fails: what could not be read is part of the outcome. It ends with the connection that it
 * reads for: the next one reads the same, and a venue must not be asked by both.
 */
export const fillGap = Effect.fnUntraced(function* (
  { lines, options }: State,
  filling: Filling,
): Effect.fn.Return<FillOutcome> {
  const { after, held, instrument } = filling
  const { gapPauseMs, gapTradesMax, gapTries, market } = options
  const isDense = market.tradeIds === "dense"
  const trades: Array<Trade> = []
  const known = new Set([after.tradeId])
  const broken = (problem: string): FillOutcome => ({ trades, complete: false, problem })
  let tries = 0
  while (true) {
    if (lines.get(instrument)?.filling !== filling) return broken("the stream was lost again")
    const page = yield* Effect.result(market.tradesAfter(instrument, trades.at(-1) ?? after))
    if (page._tag === "Failure") {
      const pauseMs = pauseAfter(page.failure, gapPauseMs)
      if (++tries >= gapTries || pauseMs > RETRY_AFTER_MAX_MS) return broken(page.failure.message)
      yield* Effect.sleep(pauseMs)
      continue
    }
    const before = trades.length
    for (const trade of page.success) {
      if (known.has(trade.tradeId)) continue
      known.add(trade.tradeId)
      trades.push(trade)
    }
    const isEnd = page.success.length < PAGE_MAX || trades.length === before
    const [first] = held
    const meets = first !== undefined &&
      (isDense
        ? distance((trades.at(-1) ?? after).tradeId, first.tradeId) <= 1
        : known.has(first.tradeId))
    if (meets || (isEnd && first === undefined)) {
      return { trades, complete: true, problem: undefined }
    }
    if (trades.length >= gapTradesMax) return broken(`more than ${gapTradesMax} trades missed`)
    if (!isEnd) continue
    // What the stream has said already is not to be had yet: the two are not read at one moment.
    if (++tries >= gapTries) return broken("the venue's history ends before its stream began")
    yield* Effect.sleep(gapPauseMs)
  }
})

function pauseAfter({ reason }: VenueError, pauseMs: number): number {
  return reason._tag === "Throttled" ? Math.max(pauseMs, reason.retryAfterMs) : pauseMs
}
