/**
 * Indicators as reducers: one close in, the next state out.
 *
 * Prices enter as integers on a fixed grid, so sums and comparisons of prices are exact: a close
 * that equals its average is equal on every machine. Only ratios, such as the RSI, are floats.
 * Nothing is emitted before enough closes have been seen.
 */
import { type Decimal, roundTo } from "../domain/decimal.ts"

/** Decimals of the integer grid: enough for every venue's tick. */
const GRID_SCALE = 10

/** A price as an integer number of 1e-10. */
export function onGrid(price: Decimal): bigint {
  const { value, scale } = roundTo(price, GRID_SCALE)
  return value * 10n ** BigInt(GRID_SCALE - scale)
}

/** Wilder's relative strength index. */
export interface Rsi {
  readonly period: number
  readonly last: bigint | undefined
  /** Changes seen, up to `period`. */
  readonly seen: number
  readonly averageGain: number
  readonly averageLoss: number
  /** 0 to 100; undefined until `period` changes have been seen. */
  readonly value: number | undefined
}

export function rsi(period: number): Rsi {
  return { period, last: undefined, seen: 0, averageGain: 0, averageLoss: 0, value: undefined }
}

/** Seeds with the mean of the first `period` changes, then smooths: (previous x (n - 1) + new) / n. */
export function rsiNext(state: Rsi, close: bigint): Rsi {
  if (state.last === undefined) return { ...state, last: close }
  const change = Number(close - state.last)
  const gain = Math.max(change, 0)
  const loss = Math.max(-change, 0)
  const { period } = state
  const seen = Math.min(state.seen + 1, period)
  const seeding = state.seen < period
  const averageGain = seeding
    ? state.averageGain + gain / period
    : (state.averageGain * (period - 1) + gain) / period
  const averageLoss = seeding
    ? state.averageLoss + loss / period
    : (state.averageLoss * (period - 1) + loss) / period
  const value = seen < period
    ? undefined
    : averageLoss === 0
    ? 100
    : 100 - 100 / (1 + averageGain / averageLoss)
  return { period, last: close, seen, averageGain, averageLoss, value }
}

/** The last `period` closes with their exact sums, for means and deviations. */
export interface Window {
  readonly period: number
  readonly closes: ReadonlyArray<bigint>
  readonly sum: bigint
  readonly sumOfSquares: bigint
}

export function window(period: number): Window {
  return { period, closes: [], sum: 0n, sumOfSquares: 0n }
}

export function windowNext(state: Window, close: bigint): Window {
  const full = state.closes.length === state.period
  const leaving = full ? state.closes[0]! : 0n
  return {
    period: state.period,
    closes: full ? [...state.closes.slice(1), close] : [...state.closes, close],
    sum: state.sum + close - leaving,
    sumOfSquares: state.sumOfSquares + close * close - leaving * leaving,
  }
}

export function isFull(state: Window): boolean {
  return state.closes.length === state.period
}

/** Where `close` lies against the mean of a full window: -1 below, 0 exactly on it, 1 above. */
export function sideOfMean(state: Window, close: bigint): -1 | 0 | 1 {
  const distance = close * BigInt(state.period) - state.sum
  return distance < 0n ? -1 : distance > 0n ? 1 : 0
}

/**
 * Whether `close` is more than `deviations` population standard deviations below the mean, decided
 * on squares of integers: no root is drawn and nothing is rounded. `deviations` has at most three
 * decimals.
 */
export function isBelowBand(state: Window, close: bigint, deviations: number): boolean {
  const n = BigInt(state.period)
  const distance = state.sum - close * n
  if (distance <= 0n) return false
  const thousandths = BigInt(Math.round(deviations * 1_000))
  const variance = n * state.sumOfSquares - state.sum * state.sum
  return distance * distance * 1_000_000n > thousandths * thousandths * variance
}

/** For reading only: mean and standard deviation of a full window, as prices. */
export function meanAndDeviation(state: Window): readonly [mean: number, deviation: number] {
  const n = state.period
  const unit = 10 ** GRID_SCALE
  const variance = BigInt(n) * state.sumOfSquares - state.sum * state.sum
  return [Number(state.sum) / n / unit, Math.sqrt(Number(variance)) / n / unit]
}
