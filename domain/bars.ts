/**
 * Builds bars from trades.
 *
 * A bar is closed by the first trade after it or by the clock, whichever comes first, and is never
 * seen before. A minute without a trade has no bar. The first bar after a start or a gap is thrown
 * away unless the builder saw it from its beginning: half a bar is not a small bar.
 */
import { add, larger, smaller } from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"
import type { Bar, Trade } from "./market.ts"

export interface BarBuilder {
  readonly instrument: InstrumentId
  readonly intervalMs: number
  /** Bars that open before this are incomplete; undefined until the first trade tells the time. */
  readonly completeFrom: number | undefined
  /** End of the last bar that was closed: nothing that opens before is published (again). */
  readonly closedUntil: number
  readonly forming: Bar | undefined
}

export function barBuilder(instrument: InstrumentId, intervalMs: number): BarBuilder {
  return { instrument, intervalMs, completeFrom: undefined, closedUntil: 0, forming: undefined }
}

/** Folds one trade; also returns the bar it closed, if it closed one. */
export function addTrade(
  builder: BarBuilder,
  trade: Trade,
): readonly [BarBuilder, Bar | undefined] {
  const openTime = trade.time - trade.time % builder.intervalMs
  const completeFrom = builder.completeFrom ??
    (openTime === trade.time ? openTime : openTime + builder.intervalMs)
  const forming = builder.forming
  if (forming !== undefined && openTime < forming.openTime) {
    // A late print of a bar that is closed: what has been published is not rewritten.
    return [builder, undefined]
  }
  if (forming !== undefined && openTime === forming.openTime) {
    return [{ ...builder, completeFrom, forming: grow(forming, trade) }, undefined]
  }
  const [rest, bar] = close(builder)
  return [{ ...rest, completeFrom, forming: open(builder, openTime, trade) }, bar]
}

/** Closes the forming bar when `time` has passed its end. */
export function closeBar(
  builder: BarBuilder,
  time: number,
): readonly [BarBuilder, Bar | undefined] {
  const forming = builder.forming
  if (forming === undefined || time < forming.openTime + builder.intervalMs) {
    return [builder, undefined]
  }
  return close(builder)
}

/** Trades may be missing from here on: the forming bar and the one `time` falls into are lost. */
export function breakBar(builder: BarBuilder): BarBuilder {
  return { ...builder, completeFrom: undefined, forming: undefined }
}

/** The forming bar again, from all trades it consists of: one of them was something else. */
export function reform(builder: BarBuilder, trades: ReadonlyArray<Trade>): BarBuilder {
  const [first, ...rest] = trades
  const { forming, intervalMs } = builder
  if (first === undefined || forming === undefined) return { ...builder, forming: undefined }
  const openTime = first.time - first.time % intervalMs
  return { ...builder, forming: rest.reduce(grow, open(builder, openTime, first)) }
}

/** Takes the forming bar away; also returns it when it is whole and has not been seen before. */
function close(builder: BarBuilder): readonly [BarBuilder, Bar | undefined] {
  const { forming, completeFrom, closedUntil, intervalMs } = builder
  if (forming === undefined || completeFrom === undefined) return [builder, undefined]
  const rest = {
    ...builder,
    forming: undefined,
    closedUntil: Math.max(closedUntil, forming.openTime + intervalMs),
  }
  const isWhole = forming.openTime >= Math.max(completeFrom, closedUntil)
  return [rest, isWhole ? forming : undefined]
}

function open(builder: BarBuilder, openTime: number, trade: Trade): Bar {
  return {
    _tag: "Bar",
    instrument: builder.instrument,
    intervalMs: builder.intervalMs,
    openTime,
    open: trade.price,
    high: trade.price,
    low: trade.price,
    close: trade.price,
    volume: trade.size,
    trades: 1,
  }
}

function grow(bar: Bar, trade: Trade): Bar {
  return {
    ...bar,
    high: larger(bar.high, trade.price),
    low: smaller(bar.low, trade.price),
    close: trade.price,
    volume: add(bar.volume, trade.size),
    trades: bar.trades + 1,
  }
}

/** Merges bars of a lower interval, oldest first, into complete bars of `intervalMs`. */
export function aggregate(bars: ReadonlyArray<Bar>, intervalMs: number): ReadonlyArray<Bar> {
  const merged: Array<Bar> = []
  for (const bar of bars) {
    const openTime = bar.openTime - bar.openTime % intervalMs
    const last = merged.at(-1)
    if (last === undefined || last.openTime !== openTime) {
      merged.push({ ...bar, intervalMs, openTime })
      continue
    }
    merged[merged.length - 1] = {
      ...last,
      high: larger(last.high, bar.high),
      low: smaller(last.low, bar.low),
      close: bar.close,
      volume: add(last.volume, bar.volume),
      trades: last.trades + bar.trades,
    }
  }
  return merged
}
