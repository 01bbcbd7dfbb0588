import assert from "node:assert/strict"
import { Schema } from "effect"
import { PROFILES } from "../../../venues/simulator/binance_profiles.ts"
import {
  history,
  resumeMarket,
  seedMarket,
  stepMarket,
  type SyntheticEvent,
  type SyntheticState,
  SyntheticStateText,
} from "../../../venues/simulator/synthetic.ts"

const START = 1_700_000_000_000

function run(state: SyntheticState, fromMs: number, toMs: number, stepMs = 50) {
  const events = new Array<SyntheticEvent>()
  for (let at = fromMs; at < toMs; at += stepMs) {
    const [next, happened] = stepMarket(PROFILES, state, at)
    state = next
    events.push(...happened)
  }
  return [state, events] as const
}

Deno.test("one seed is one market; another seed is another", () => {
  const [, one] = run(seedMarket(PROFILES, 5, START), START, START + 20_000)
  const [, two] = run(seedMarket(PROFILES, 5, START), START, START + 20_000)
  const [, other] = run(seedMarket(PROFILES, 6, START), START, START + 20_000)
  assert.deepEqual(one, two)
  assert.notDeepEqual(one, other)
})

Deno.test("a stored market goes on exactly as it would have", () => {
  const [half] = run(seedMarket(PROFILES, 9, START), START, START + 10_000)
  const stored = Schema.decodeSync(SyntheticStateText)(Schema.encodeSync(SyntheticStateText)(half))
  assert.deepEqual(
    run(stored, START + 10_000, START + 20_000)[1],
    run(half, START + 10_000, START + 20_000)[1],
  )
})

Deno.test("stepMarket() changes nothing it was given", () => {
  const state = seedMarket(PROFILES, 2, START)
  const before = structuredClone(state)
  stepMarket(PROFILES, state, START + 1_000)
  assert.deepEqual(state, before)
})

Deno.test("prices and sizes are on the grid, books are ordered, trades are at the best price shown", () => {
  const [, events] = run(seedMarket(PROFILES, 3, START), START, START + 60_000)
  const best = new Map<string, { bid: bigint; ask: bigint }>()
  for (const event of events) {
    const listing = PROFILES.find((one) => one.listing.symbol === event.symbol)?.listing
    assert.ok(listing)
    if (event.type === "ladder") {
      const { bids, asks } = event
      for (const { price, size } of [...bids, ...asks]) {
        assert.ok(price > 0n && price % listing.tickSize === 0n)
        assert.ok(size > 0n && size % listing.stepSize === 0n)
      }
      bids.slice(1).forEach((level, i) => assert.ok(level.price < (bids[i]?.price ?? 0n)))
      asks.slice(1).forEach((level, i) => assert.ok(level.price > (asks[i]?.price ?? 0n)))
      const [bid, ask] = [bids[0]?.price ?? 0n, asks[0]?.price ?? 0n]
      assert.ok(bid < ask)
      best.set(event.symbol, { bid, ask })
    } else {
      const shown = best.get(event.symbol)
      assert.equal(event.price, event.buyerIsMaker ? shown?.bid : shown?.ask)
    }
  }
})

Deno.test("BTCUSDT quotes at least once a second, quiet spells included", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const [, events] = run(seedMarket(PROFILES, seed, START), START, START + 300_000)
    const times = events.filter((event) => event.type === "ladder" && event.symbol === "BTCUSDT")
      .map((event) => event.time)
    const gap = Math.max(...times.slice(1).map((time, i) => time - (times[i] ?? 0)))
    assert.ok(gap <= 1_000, `seed ${seed}: ${gap} ms`)
  }
})

Deno.test("some instrument falls quiet for seconds at a time", () => {
  const [, events] = run(seedMarket(PROFILES, 4, START), START, START + 1_800_000)
  const spells = PROFILES.flatMap(({ listing: { symbol } }) => {
    const times = events.filter((event) => event.type === "trade" && event.symbol === symbol)
      .map((event) => event.time)
    return times.slice(1).filter((time, i) => time - (times[i] ?? 0) >= 4_000)
  })
  assert.ok(spells.length > 4, `${spells.length} spells`)
})

Deno.test("within two minutes an RSI(14) of 5 s bars passes 30 or 70 and a Bollinger band is pierced, for every seed", () => {
  const BAR = 5_000
  const WARM = 40
  for (let seed = 1; seed <= 20; seed++) {
    const [, events] = run(seedMarket(PROFILES, seed, START), START, START + (WARM + 24) * BAR)
    let [extremes, pierced] = [0, 0]
    for (const { listing: { symbol } } of PROFILES) {
      const closes = new Array<number>()
      for (const event of events) {
        if (event.type !== "trade" || event.symbol !== symbol) continue
        closes[Math.floor((event.time - START) / BAR)] = Number(event.price)
      }
      for (let i = 1; i < closes.length; i++) closes[i] ??= closes[i - 1] ?? NaN
      let [gain, loss] = [0, 0]
      for (let i = 1; i < closes.length; i++) {
        const move = (closes[i] ?? 0) - (closes[i - 1] ?? 0)
        gain = (gain * 13 + Math.max(move, 0)) / 14
        loss = (loss * 13 + Math.max(-move, 0)) / 14
        if (i < WARM) continue
        const rsi = 100 * gain / (gain + loss)
        if (rsi < 30 || rsi > 70) extremes++
        const window = closes.slice(i - 19, i + 1)
        const mean = window.reduce((sum, close) => sum + close, 0) / 20
        const deviation = Math.sqrt(
          window.reduce((sum, close) => sum + (close - mean) ** 2, 0) / 20,
        )
        if (Math.abs((closes[i] ?? 0) - mean) > 2 * deviation) pierced++
      }
    }
    assert.ok(extremes > 0 && pierced > 0, `seed ${seed}: rsi ${extremes}, bands ${pierced}`)
  }
})

Deno.test("history() ends at the present price, joins bar to bar, and is not the future mirrored", () => {
  const state = resumeMarket(seedMarket(PROFILES, 8, START), START)
  const [, bars] = history(PROFILES, state, "ETHUSDT", { endMs: START, barMs: 1_000, count: 600 })
  assert.equal(bars.length, 600)
  assert.equal(bars.at(-1)?.openTime, START - 1_000)
  bars.slice(1).forEach((bar, i) => {
    assert.equal(bar.open, bars[i]?.close)
    assert.equal(bar.openTime, (bars[i]?.openTime ?? 0) + 1_000)
    assert.ok(bar.low <= bar.open && bar.low <= bar.close)
    assert.ok(bar.high >= bar.open && bar.high >= bar.close)
  })
  const [, events] = stepMarket(PROFILES, state, START)
  const first = events.find((event) => event.type === "ladder" && event.symbol === "ETHUSDT")
  assert.ok(first?.type === "ladder")
  const close = Number(bars.at(-1)?.close) / 1e8
  assert.ok(Math.abs(Number(first.bids[0]?.price) / 1e8 / close - 1) < 0.002)
})

Deno.test("a market that slept moves on instead of catching up", () => {
  const [, events] = stepMarket(PROFILES, seedMarket(PROFILES, 1, START), START + 3_600_000)
  assert.ok(events.length < 20)
})
