/**
 * The port of every strategy: a pure fold.
 *
 * `step` sees one event and returns the next state and what it wants. It has no clock, no input and
 * no output, so that live, paper, replay and backtest run the same code and a test is an array. Its
 * state is plain data: it can be shown, compared and thrown away, because history rebuilds it.
 */
import type { Schema } from "effect"
import type { Decimal } from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"
import type { Bar } from "./market.ts"
import type { Signal } from "./signal.ts"

export type StrategyEvent =
  | Bar
  /** What this strategy itself holds now; sent before the first bar and after every fill. */
  | { readonly _tag: "HoldingChanged"; readonly quantity: Decimal }

export interface Strategy<Params, State> {
  readonly name: string
  readonly title: string
  /** One sentence: when it buys, when it sells. */
  readonly description: string
  readonly params: Schema.Codec<Params, unknown>
  /** Bars of history after which its indicators can be trusted. */
  readonly warmUpBars: (params: Params) => number
  readonly init: (instrument: InstrumentId, params: Params) => State
  readonly step: (
    state: State,
    event: StrategyEvent,
    params: Params,
  ) => readonly [State, ReadonlyArray<Signal>]
  /** Latest values for people, by name; empty until warm. */
  readonly indicators: (state: State) => Readonly<Record<string, string>>
}

/** A strategy with its parameters bound: what a runner runs, whatever the types inside. */
export interface RunningStrategy {
  readonly warmUpBars: number
  readonly step: (event: StrategyEvent) => ReadonlyArray<Signal>
  readonly indicators: () => Readonly<Record<string, string>>
}

/** How one strategy is put to work on one instrument. */
export interface Assignment {
  /** `rsi_momentum:BTC/USDT.BINANCE`: names the runner and what it holds. */
  readonly id: string
  readonly strategy: string
  readonly instrument: InstrumentId
  /** `5s`, `1m`: of the bars it sees. */
  readonly interval: string
  readonly params: Readonly<Record<string, unknown>>
  /** Value of one entry in the quote asset. */
  readonly notional: Decimal
}

export function assignmentId(strategy: string, instrument: InstrumentId): string {
  return `${strategy}:${instrument}`
}
