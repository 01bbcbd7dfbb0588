import assert from "node:assert/strict"
import fc from "fast-check"
import {
  addTrade,
  aggregate,
  type BarBuilder,
  barBuilder,
  breakBar,
  closeBar,
} from "../../domain/bars.ts"
import { add, decimal, formatDecimal, larger, smaller } from "../../domain/decimal.ts"
import type { Bar, Trade } from "../../domain/market.ts"

const instrument = "BTC/USDT.BINANCE"
const MINUTE = 60_000

function trade(time: number, price: string, size = "1"): Trade {
  return {
    _tag: "Trade",
    instrument,
    tradeId: "1",
    price: decimal(price),
    size: decimal(size),
    side: "buy",
    time,
  }
}

type Step = Trade | { readonly closeAt: number } | "break"

/** Every bar that comes out of the steps, in order. */
function play(steps: ReadonlyArray<Step>, intervalMs = MINUTE): ReadonlyArray<Bar> {
  let builder: BarBuilder = barBuilder(instrument, intervalMs)
  const bars: Array<Bar> = []
  for (const step of steps) {
    if (step === "break") {
      builder = breakBar(builder)
      continue
    }
    const [next, bar] = "closeAt" in step
      ? closeBar(builder, step.closeAt)
      : addTrade(builder, step)
    builder = next
    if (bar !== undefined) bars.push(bar)
  }
  return bars
}

const shown = ({ openTime, open, high, low, close, volume, trades }: Bar) =>
  [openTime, ...[open, high, low, close, volume].map(formatDecimal), trades].join(" ")

Deno.test("addTrade() closes a bar with the first trade after it", () => {
  const bars = play([
    trade(60_000, "10", "1"),
    trade(80_000, "12.5", "2"),
    trade(100_000, "9", "0.5"),
    trade(119_999, "11", "1"),
    trade(120_000, "99"),
  ])
  assert.deepEqual(bars.map(shown), ["60000 10 12.5 9 11 4.5 4"])
})

Deno.test("closeBar() closes a bar at its end, not before, and once", () => {
  const steps = [trade(60_000, "10"), { closeAt: 119_999 }]
  assert.deepEqual(play(steps), [])
  const closed = [...steps, { closeAt: 120_000 }, { closeAt: 120_001 }, { closeAt: 999_999 }]
  assert.deepEqual(play(closed).map(shown), ["60000 10 10 10 10 1 1"])
})

Deno.test("addTrade() throws away the first bar unless it was seen from its beginning", () => {
  assert.deepEqual(
    play([trade(60_001, "10"), trade(120_000, "11"), trade(180_000, "12")]).map(shown),
    [
      "120000 11 11 11 11 1 1",
    ],
  )
})

Deno.test("addTrade() makes no bar of a minute without a trade", () => {
  const bars = play([trade(60_000, "10"), trade(240_000, "11"), trade(300_000, "12")])
  assert.deepEqual(bars.map(({ openTime }) => openTime), [60_000, 240_000])
})

Deno.test("addTrade() does not rewrite what has been published: a late print is left out", () => {
  const byTrade = play([
    trade(60_000, "10"),
    trade(120_000, "11"),
    trade(119_000, "99"),
    trade(180_000, "12"),
  ])
  assert.deepEqual(byTrade.map(shown), ["60000 10 10 10 10 1 1", "120000 11 11 11 11 1 1"])
  const byClock = play([trade(60_000, "10"), { closeAt: 120_000 }, trade(119_000, "99"), {
    closeAt: 121_000,
  }])
  assert.deepEqual(byClock.map(shown), ["60000 10 10 10 10 1 1"])
})

Deno.test("addTrade() goes on after a late print with the bar that follows", () => {
  const bars = play([
    trade(60_000, "10"),
    { closeAt: 120_000 },
    trade(119_000, "99"),
    trade(125_000, "11"),
    { closeAt: 180_000 },
  ])
  assert.deepEqual(bars.map(shown), ["60000 10 10 10 10 1 1", "120000 11 11 11 11 1 1"])
})

Deno.test("breakBar() loses the forming bar and the one that follows in its middle", () => {
  const bars = play([
    trade(60_000, "10"),
    trade(120_000, "11"),
    "break",
    trade(130_000, "12"),
    trade(180_000, "13"),
    trade(240_000, "14"),
  ])
  assert.deepEqual(bars.map(({ openTime }) => openTime), [60_000, 180_000])
})

Deno.test("no bar is published twice or out of order, whatever comes when", () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.nat(600).map((s) => trade(s * 1_000, "10")) },
    { weight: 2, arbitrary: fc.nat(600).map((s) => ({ closeAt: s * 1_000 })) },
    { weight: 1, arbitrary: fc.constant("break" as const) },
  )
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const times = play(steps).map(({ openTime }) => openTime)
    assert.deepEqual(times, [...new Set(times)].sort((a, b) => a - b))
  }))
})

Deno.test("addTrade() makes of trades in order what grouping them by minute makes", () => {
  const anyTrades = fc.array(
    fc.tuple(fc.nat(20_000), fc.integer({ min: 1, max: 999 }), fc.integer({ min: 1, max: 99 })),
    { maxLength: 80 },
  )
  fc.assert(fc.property(anyTrades, (drawn) => {
    let time = MINUTE
    const trades = drawn.map(([wait, price, size]) => trade(time += wait, `${price}`, `${size}`))
    const minutes = Map.groupBy(trades, (each) => Math.floor(each.time / MINUTE))
    const expected = [...minutes].flatMap(([minute, group]) => {
      // The first may be half a bar, and the last is still open.
      const isPartial = minute === Math.floor(trades[0]!.time / MINUTE) &&
        trades[0]!.time % MINUTE !== 0
      if (isPartial || minute === Math.floor(trades.at(-1)!.time / MINUTE)) return []
      const prices = group.map(({ price }) => price)
      return [shown({
        _tag: "Bar",
        instrument,
        intervalMs: MINUTE,
        openTime: minute * MINUTE,
        open: prices[0]!,
        high: prices.reduce(larger),
        low: prices.reduce(smaller),
        close: prices.at(-1)!,
        volume: group.map(({ size }) => size).reduce(add),
        trades: group.length,
      })]
    })
    assert.deepEqual(play(trades).map(shown), expected)
  }))
})

Deno.test("aggregate() merges bars on the boundaries of the longer interval", () => {
  const bar = (openTime: number, [open, high, low, close]: ReadonlyArray<string>): Bar => ({
    ...{ _tag: "Bar", instrument, intervalMs: MINUTE, openTime, volume: decimal("1.5"), trades: 2 },
    ...{ open: decimal(open!), high: decimal(high!), low: decimal(low!), close: decimal(close!) },
  })
  const merged = aggregate([
    bar(240_000, ["1", "3", "0.5", "2"]),
    bar(300_000, ["2", "4", "2", "3"]),
    bar(420_000, ["3", "3", "1", "1"]),
  ], 300_000)
  assert.deepEqual(merged.map(shown), ["0 1 3 0.5 2 1.5 2", "300000 2 4 1 1 3 4"])
  assert.deepEqual(merged.map(({ intervalMs }) => intervalMs), [300_000, 300_000])
  assert.deepEqual(aggregate([], 300_000), [])
})
