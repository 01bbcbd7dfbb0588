/**
 * Mean reversion: buys below the lower Bollinger band, sells above the middle.
 *
 * Both comparisons are made on integers, so a close that lies exactly on a band or on the mean is
 * on the same side everywhere.
 */
import { Effect, Schema } from "effect"
import { type Decimal, formatDecimal, isPositive, zero } from "../domain/decimal.ts"
import type { InstrumentId } from "../domain/instrument.ts"
import type { Bar } from "../domain/market.ts"
import type { Signal } from "../domain/signal.ts"
import type { Strategy } from "../domain/strategy.ts"
import {
  isBelowBand,
  isFull,
  meanAndDeviation,
  onGrid,
  sideOfMean,
  type Window,
  window,
  windowNext,
} from "./indicators.ts"

/** One page of history still warms it up. */
const PERIOD_MAX = 500

export const MeanReversionParams = Schema.Struct({
  period: Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(20)),
    Schema.annotateKey({ description: "closes in the average" }),
  ),
  deviations: Schema.Finite.check(
    Schema.isBetween({ minimum: 0.1, maximum: 10 }),
    Schema.makeFilter((value) =>
      Math.round(value * 1_000) / 1_000 === value || "must have at most three decimals"
    ),
  ).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(2)),
    Schema.annotateKey({ description: "width of the band in standard deviations" }),
  ),
}).check(
  Schema.makeFilter(({ period }) =>
    period <= PERIOD_MAX || { path: ["period"], issue: `must be at most ${PERIOD_MAX}` }
  ),
)
export type MeanReversionParams = typeof MeanReversionParams.Type

interface State {
  readonly instrument: InstrumentId
  readonly window: Window
  readonly holding: Decimal
}

export const meanReversion: Strategy<MeanReversionParams, State> = {
  name: "mean_reversion",
  title: "Mean reversion",
  description: "Buys when a close falls below the lower Bollinger band, sells above the average.",
  params: MeanReversionParams,
  warmUpBars: ({ period }) => period,
  init: (instrument, { period }) => ({ instrument, window: window(period), holding: zero }),
  step: (state, event, params) => {
    if (event._tag === "HoldingChanged") return [{ ...state, holding: event.quantity }, []]
    const next = windowNext(state.window, onGrid(event.close))
    return [{ ...state, window: next }, decide(state, next, event, params)]
  },
  indicators: ({ window }) => {
    if (!isFull(window)) return {}
    const [mean, deviation] = meanAndDeviation(window)
    const last = Number(window.closes.at(-1)) / 1e10
    return {
      mean: mean.toPrecision(7),
      deviations: deviation === 0 ? "0.0" : ((last - mean) / deviation).toFixed(1),
    }
  },
}

function decide(
  state: State,
  next: Window,
  bar: Bar,
  params: MeanReversionParams,
): ReadonlyArray<Signal> {
  if (!isFull(next)) return []
  const { instrument, holding } = state
  const close = onGrid(bar.close)
  const price = bar.close
  if (!isPositive(holding) && isBelowBand(next, close, params.deviations)) {
    const reason = `close ${formatDecimal(price)} below the band of ${params.deviations} deviations`
    return [{ instrument, intent: "enter", price, reason }]
  }
  if (isPositive(holding) && sideOfMean(next, close) > 0) {
    const reason = `close ${formatDecimal(price)} above the average of ${params.period}`
    return [{ instrument, intent: "exit", price, reason }]
  }
  return []
}
