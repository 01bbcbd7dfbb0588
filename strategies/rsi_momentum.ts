/**
 * RSI momentum: buys when the market turns oversold, sells when it turns overbought.
 *
 * It acts on crossings, not on levels: a market that stays oversold is bought once.
 */
import { Effect, Schema } from "effect"
import { type Decimal, isPositive, zero } from "../domain/decimal.ts"
import type { InstrumentId } from "../domain/instrument.ts"
import type { Bar } from "../domain/market.ts"
import type { Signal } from "../domain/signal.ts"
import type { Strategy } from "../domain/strategy.ts"
import { onGrid, type Rsi, rsi, rsiNext } from "./indicators.ts"

/** One page of history still warms it up. */
const PERIOD_MAX = 190

const Level = Schema.Finite.check(Schema.isBetween({ minimum: 1, maximum: 99 }))

export const RsiMomentumParams = Schema.Struct({
  period: Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(14)),
    Schema.annotateKey({ description: "price changes in the average" }),
  ),
  oversold: Level.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(30)),
    Schema.annotateKey({ description: "buys when the index falls below this" }),
  ),
  overbought: Level.pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(70)),
    Schema.annotateKey({ description: "sells when the index rises above this" }),
  ),
}).check(
  Schema.makeFilter(({ oversold, overbought }) =>
    oversold < overbought || { path: ["oversold"], issue: "must be below overbought" }
  ),
  Schema.makeFilter(({ period }) =>
    period <= PERIOD_MAX || { path: ["period"], issue: `must be at most ${PERIOD_MAX}` }
  ),
)
export type RsiMomentumParams = typeof RsiMomentumParams.Type

interface State {
  readonly instrument: InstrumentId
  readonly rsi: Rsi
  readonly holding: Decimal
}

export const rsiMomentum: Strategy<RsiMomentumParams, State> = {
  name: "rsi_momentum",
  title: "RSI momentum",
  description: "Buys when Wilder's RSI falls below oversold, sells when it rises above overbought.",
  params: RsiMomentumParams,
  // Wilder's smoothing forgets its seed slowly: five periods leave less than two per cent of it.
  warmUpBars: ({ period }) => 5 * period + 1,
  init: (instrument, { period }) => ({ instrument, rsi: rsi(period), holding: zero }),
  step: (state, event, params) => {
    if (event._tag === "HoldingChanged") return [{ ...state, holding: event.quantity }, []]
    const next = rsiNext(state.rsi, onGrid(event.close))
    return [{ ...state, rsi: next }, decide(state, next, event, params)]
  },
  indicators: ({ rsi: { value } }) => value === undefined ? {} : { rsi: value.toFixed(1) },
}

function decide(
  state: State,
  next: Rsi,
  bar: Bar,
  params: RsiMomentumParams,
): ReadonlyArray<Signal> {
  const before = state.rsi.value
  const now = next.value
  if (before === undefined || now === undefined) return []
  const { instrument, holding } = state
  const price = bar.close
  if (!isPositive(holding) && before >= params.oversold && now < params.oversold) {
    const reason = `rsi ${now.toFixed(1)} fell below ${params.oversold}`
    return [{ instrument, intent: "enter", price, reason }]
  }
  if (isPositive(holding) && before <= params.overbought && now > params.overbought) {
    const reason = `rsi ${now.toFixed(1)} rose above ${params.overbought}`
    return [{ instrument, intent: "exit", price, reason }]
  }
  return []
}
