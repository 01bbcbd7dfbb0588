import assert from "node:assert/strict"
import { Klines } from "../../../venues/simulator/klines.ts"
import { atoms } from "./simulator.ts"

const MINUTE = 60_000

function klines(...trades: ReadonlyArray<readonly [time: number, price: string, size: string]>) {
  const all = new Klines()
  trades.forEach(([time, price, size], index) =>
    all.add({
      tradeId: index + 1,
      time,
      price: atoms(price),
      size: atoms(size),
      buyerIsMaker: index % 2 === 0,
    })
  )
  return all
}

Deno.test("range() sums trades into open, high, low, close and volumes", () => {
  const bars = klines([0, "10", "1"], [20_000, "12", "2"], [30_000, "9", "1"], [59_999, "11", "1"])
    .range("1m", 59_999, { limit: 10 })
  assert.equal(bars.length, 1)
  assert.deepEqual(bars[0], {
    openTime: 0,
    open: atoms("10"),
    high: atoms("12"),
    low: atoms("9"),
    close: atoms("11"),
    volume: atoms("5"),
    quoteVolume: atoms("54"),
    trades: 4,
    takerBase: atoms("3"),
    takerQuote: atoms("35"),
    firstTradeId: 1,
    lastTradeId: 4,
  })
})

Deno.test("range() shows minutes without trades as flat bars", () => {
  const bars = klines([0, "10", "1"], [3 * MINUTE, "20", "1"]).range("1m", 4 * MINUTE, {
    limit: 10,
  })
  assert.deepEqual(bars.map((bar) => [bar.open, bar.close, bar.trades]), [
    [atoms("10"), atoms("10"), 1],
    [atoms("10"), atoms("10"), 0],
    [atoms("10"), atoms("10"), 0],
    [atoms("20"), atoms("20"), 1],
    [atoms("20"), atoms("20"), 0],
  ])
})

Deno.test("longer intervals are sums of minutes and begin on their own multiples", () => {
  const all = klines([4 * MINUTE, "10", "1"], [5 * MINUTE, "12", "1"], [9 * MINUTE, "8", "1"], [
    10 * MINUTE,
    "11",
    "1",
  ])
  const bars = all.range("5m", 12 * MINUTE, { startTime: 5 * MINUTE, limit: 10 })
  assert.deepEqual(bars.map((bar) => [bar.openTime / MINUTE, bar.open, bar.low, bar.trades]), [
    [5, atoms("12"), atoms("8"), 2],
    [10, atoms("11"), atoms("11"), 1],
  ])
})

Deno.test("range() gives the last bars without a start, the first ones with it", () => {
  const all = klines(...[0, 1, 2, 3, 4].map((i) => [i * 1_000, String(10 + i), "1"] as const))
  const times = (query: { startTime?: number; endTime?: number; limit: number }) =>
    all.range("1s", 4_500, query).map((bar) => bar.openTime)
  assert.deepEqual(times({ limit: 2 }), [3_000, 4_000])
  assert.deepEqual(times({ startTime: 1_000, limit: 2 }), [1_000, 2_000])
  assert.deepEqual(times({ endTime: 2_999, limit: 2 }), [1_000, 2_000])
  assert.deepEqual(times({ startTime: 9_000, limit: 2 }), [])
})
