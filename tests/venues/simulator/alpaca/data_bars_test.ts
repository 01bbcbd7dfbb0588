import assert from "node:assert/strict"
import fc from "fast-check"
import { type Bar, Bars, parseTimeframe } from "../../../../venues/simulator/alpaca/data_bars.ts"
import { atoms } from "../simulator.ts"

/** Just before midnight in New York, on a Sunday. */
const EVENING = Date.parse("2026-11-22T23:58:00-05:00")

Deno.test("parseTimeframe() reads what the venue has and nothing else", () => {
  assert.deepEqual(parseTimeframe("15T"), { count: 15, unit: "Min" })
  assert.deepEqual(parseTimeframe("23Hour"), { count: 23, unit: "Hour" })
  assert.deepEqual(parseTimeframe("1min"), { count: 1, unit: "Min" })
  assert.deepEqual(parseTimeframe("3M"), { count: 3, unit: "Month" })
  for (const text of ["", "Min", "0Min", "60Min", "24Hour", "2Day", "1Sec", "5Month", "1Minute"]) {
    assert.equal(parseTimeframe(text), undefined, text)
  }
})

Deno.test("a minute without a trade has no bar", () => {
  const bars = new Bars(0)
  bars.add(EVENING, atoms("10"), atoms("1"))
  bars.add(EVENING + 180_000, atoms("11"), atoms("2"))
  assert.deepEqual(
    bars.all({ count: 1, unit: "Min" }).map(({ time, close }) => [time - EVENING, close]),
    [[0, atoms("10")], [180_000, atoms("11")]],
  )
})

Deno.test("a day, a week and a month begin at New York's midnight", () => {
  const bars = new Bars(0)
  bars.add(EVENING, atoms("10"), atoms("1"))
  bars.add(EVENING + 180_000, atoms("11"), atoms("2"))
  const begins = (count: number, unit: "Day" | "Week" | "Month") =>
    bars.all({ count, unit }).map(({ time }) => new Date(time).toISOString().slice(0, 13))
  assert.deepEqual(begins(1, "Day"), ["2026-11-22T05", "2026-11-23T05"])
  assert.deepEqual(begins(1, "Week"), ["2026-11-16T05", "2026-11-23T05"])
  // The first of November was still summer time.
  assert.deepEqual(begins(1, "Month"), ["2026-11-01T04"])
  assert.deepEqual(begins(3, "Month"), ["2026-10-01T04"])
})

const trades = fc.array(
  fc.record({
    after: fc.integer({ min: 0, max: 400_000 }),
    price: fc.bigInt({ min: 1n, max: 10n ** 12n }),
    size: fc.bigInt({ min: 1n, max: 10n ** 12n }),
  }),
  { minLength: 1, maxLength: 200 },
)

Deno.test("no grouping loses volume, trades or extremes", () => {
  fc.assert(fc.property(trades, fc.constantFrom(...["1Min", "7Min", "2Hour", "1Day", "1Week"]), (
    list,
    text,
  ) => {
    const bars = new Bars(0)
    let time = EVENING
    for (const { after, price, size } of list) bars.add(time += after, price, size)
    const timeframe = parseTimeframe(text)
    assert.ok(timeframe)
    const all = bars.all(timeframe)
    const total = (pick: (bar: Bar) => bigint) => all.reduce((sum, bar) => sum + pick(bar), 0n)
    assert.equal(total(({ volume }) => volume), list.reduce((sum, { size }) => sum + size, 0n))
    assert.equal(total((bar) => BigInt(bar.trades)), BigInt(list.length))
    assert.equal(all[0]?.open, list[0]?.price)
    assert.equal(all.at(-1)?.close, list.at(-1)?.price)
    const highest = list.reduce((max, { price }) => price > max ? price : max, 0n)
    assert.ok(all.some(({ high }) => high === highest))
    all.slice(1).forEach((bar, index) => assert.ok(bar.time > (all[index]?.time ?? 0)))
  }))
})

Deno.test("minutes that are forgotten live on as days", () => {
  const bars = new Bars(0)
  for (let minute = 0; minute < 14_500; minute++) {
    bars.add(EVENING + minute * 60_000, atoms("10"), atoms("1"))
  }
  const days = bars.all({ count: 1, unit: "Day" })
  assert.ok(bars.all({ count: 1, unit: "Min" }).length < 14_500)
  assert.equal(days.reduce((sum, { trades }) => sum + trades, 0), 14_500)
  assert.equal(new Set(days.map(({ time }) => time)).size, days.length)
  assert.deepEqual(days.slice(1, 5).map(({ trades }) => trades), [1_440, 1_440, 1_440, 1_440])
})
