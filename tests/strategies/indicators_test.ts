import assert from "node:assert/strict"
import fc from "fast-check"
import { decimal } from "../../domain/decimal.ts"
import {
  isBelowBand,
  isFull,
  meanAndDeviation,
  onGrid,
  rsi,
  rsiNext,
  sideOfMean,
  window,
  windowNext,
} from "../../strategies/indicators.ts"
import { textOf } from "../domain/arbitraries.ts"

const anyCloses = fc.array(fc.integer({ min: 1, max: 5_000_000 }), { minLength: 1, maxLength: 80 })
const anyPeriod = fc.integer({ min: 2, max: 15 })
const cents = (value: number) => onGrid(decimal(textOf(BigInt(value), 2)))

/** Wilder's index as the books print it: over all closes at once, for the last of them. */
function textbookRsi(closes: ReadonlyArray<number>, period: number): number | undefined {
  if (closes.length <= period) return undefined
  const changes = closes.slice(1).map((close, at) => close - closes[at]!)
  let gain = 0
  let loss = 0
  for (const change of changes.slice(0, period)) {
    if (change > 0) gain += change
    else loss -= change
  }
  gain /= period
  loss /= period
  for (const change of changes.slice(period)) {
    gain = (gain * (period - 1) + (change > 0 ? change : 0)) / period
    loss = (loss * (period - 1) + (change < 0 ? -change : 0)) / period
  }
  return loss === 0 ? 100 : 100 - 100 / (1 + gain / loss)
}

Deno.test("rsiNext() is Wilder's index, and undefined before `period` changes", () => {
  fc.assert(
    fc.property(anyCloses, anyPeriod, (closes, period) => {
      const last = closes.map(cents).reduce(rsiNext, rsi(period)).value
      const expected = textbookRsi(closes, period)
      if (expected === undefined) return assert.equal(last, undefined)
      assert.ok(
        last !== undefined && Math.abs(last - expected) < 1e-6,
        `${last} is not ${expected}`,
      )
      assert.ok(last >= 0 && last <= 100)
    }),
    { numRuns: 300 },
  )
})

Deno.test("rsiNext() is 100 where nothing was lost and 0 where nothing was gained", () => {
  const after = (closes: ReadonlyArray<number>) => closes.map(cents).reduce(rsiNext, rsi(3)).value
  assert.equal(after([1, 2, 3, 4]), 100)
  assert.equal(after([5, 5, 5, 5]), 100)
  assert.equal(after([4, 3, 2, 1]), 0)
})

Deno.test("windowNext() keeps the sums of the last closes exactly", () => {
  fc.assert(fc.property(anyCloses, anyPeriod, (closes, period) => {
    const state = closes.map(cents).reduce(windowNext, window(period))
    const last = closes.slice(-period).map(cents)
    assert.deepEqual(state.closes, last)
    assert.equal(state.sum, last.reduce((sum, each) => sum + each, 0n))
    assert.equal(state.sumOfSquares, last.reduce((sum, each) => sum + each * each, 0n))
    assert.equal(isFull(state), closes.length >= period)
  }))
})

Deno.test("sideOfMean() and isBelowBand() decide as exact fractions do", () => {
  fc.assert(
    fc.property(
      anyCloses,
      anyPeriod,
      fc.integer({ min: 100, max: 4_000 }),
      (closes, period, thousandths) => {
        fc.pre(closes.length >= period)
        const state = closes.map(cents).reduce(windowNext, window(period))
        const last = closes.slice(-period).map(BigInt)
        const close = last.at(-1)!
        const n = BigInt(period)
        const sum = last.reduce((total, each) => total + each, 0n)
        // n * variance = sum of (n x - sum)^2 / n^2: another way to the same number.
        const spread = last.reduce((total, each) => total + (n * each - sum) ** 2n, 0n)
        const distance = sum - n * close
        assert.equal(
          sideOfMean(state, cents(Number(close))),
          distance > 0n ? -1 : distance < 0n ? 1 : 0,
        )
        const isBelow = distance > 0n &&
          distance * distance * n * 1_000_000n > BigInt(thousandths) ** 2n * spread
        assert.equal(isBelowBand(state, cents(Number(close)), thousandths / 1_000), isBelow)
      },
    ),
    { numRuns: 300 },
  )
})

Deno.test("sideOfMean() is zero exactly on the mean, where floats are not", () => {
  const closes = ["0.1", "0.3", "0.2"].map((text) => onGrid(decimal(text)))
  assert.equal(sideOfMean(closes.reduce(windowNext, window(3)), closes.at(-1)!), 0)
  assert.notEqual((0.1 + 0.3 + 0.2) / 3, 0.2)
})

Deno.test("isBelowBand() is false exactly on the band and in a market that stands still", () => {
  // 1, 1, 1, 1, 6 is mirrored by 6, 6, 6, 6, 1: mean 5, deviation 2, and 1 lies two deviations below.
  const closes = ["6", "6", "6", "6", "1"].map((text) => onGrid(decimal(text)))
  const state = closes.reduce(windowNext, window(5))
  assert.equal(isBelowBand(state, closes.at(-1)!, 2), false)
  assert.equal(isBelowBand(state, closes.at(-1)! - 1n, 2), true)
  assert.equal(isBelowBand(state, closes.at(-1)!, 1.999), true)
  const still = ["7", "7"].map((text) => onGrid(decimal(text)))
  assert.equal(isBelowBand(still.reduce(windowNext, window(2)), still[0]!, 0.1), false)
})

Deno.test("meanAndDeviation() shows a full window as prices", () => {
  const closes = ["6", "6", "6", "6", "1"].map((text) => onGrid(decimal(text)))
  assert.deepEqual(meanAndDeviation(closes.reduce(windowNext, window(5))), [5, 2])
})

Deno.test("onGrid() counts in units of 1e-10", () => {
  assert.deepEqual(
    ["1", "0.0000000001", "61837.63", "0.00000000005"].map((text) => onGrid(decimal(text))),
    [
      10_000_000_000n,
      1n,
      618_376_300_000_000n,
      1n,
    ],
  )
})
