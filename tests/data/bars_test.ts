/** Bars built here are the bars that the venue itself recorded. */
import assert from "node:assert/strict"
import { addTrade, aggregate, type BarBuilder, barBuilder } from "../../domain/bars.ts"
import { type Decimal, decimal, formatDecimal } from "../../domain/decimal.ts"
import type { Bar, Trade } from "../../domain/market.ts"
import { dataTest, linesOf, textOf } from "./recorded.ts"

const MINUTE = 60_000

/** The text of a number, from the source itself: a float would already have rounded it. */
function parsedExactly(text: string): unknown {
  return JSON.parse(
    text,
    (_key, value: unknown, context?: { readonly source: string }) =>
      typeof value === "number" && context !== undefined ? context.source : value,
  )
}

/** Some files write small numbers with an exponent. */
function exact(text: string): Decimal {
  const match = /^(-?\d+)(?:\.(\d+))?e-(\d+)$/u.exec(text)
  if (match === null) return decimal(text)
  const digits = match[1]! + (match[2] ?? "")
  const scale = Number(match[3]) + (match[2] ?? "").length
  return decimal(`0.${digits.padStart(scale, "0")}`)
}

function bar(
  instrument: string,
  intervalMs: number,
  openTime: number,
  cells: ReadonlyArray<string>,
): Bar {
  const [open, high, low, close, volume] = cells.map(exact)
  const prices = { open: open!, high: high!, low: low!, close: close!, volume: volume! }
  return { _tag: "Bar", instrument, intervalMs, openTime, ...prices, trades: 0 }
}

const prices = ({ openTime, open, high, low, close }: Bar) =>
  [openTime, ...[open, high, low, close].map(formatDecimal)].join(" ")

dataTest("12,477 recorded trades make exactly the 2,469 recorded minute bars", () => {
  const instrument = "XRP/ETH.BINANCE"
  const rows = parsedExactly(textOf("market/crypto/XRPETH-binance-trades-20191011_13.json.gz"))
  assert.ok(Array.isArray(rows))
  assert.equal(rows.length, 12_477)
  const trades = rows.map((row: ReadonlyArray<string>): Trade => ({
    _tag: "Trade",
    instrument,
    tradeId: row[1]!,
    side: row[3] === "buy" ? "buy" : "sell",
    price: exact(row[4]!),
    size: exact(row[5]!),
    time: Number(row[0]),
  }))
  // The file begins with its first minute.
  let builder: BarBuilder = { ...barBuilder(instrument, MINUTE), completeFrom: 0 }
  const bars: Array<Bar> = []
  const end: Trade = { ...trades.at(-1)!, time: trades.at(-1)!.time + MINUTE }
  for (const each of [...trades, end]) {
    const [next, closed] = addTrade(builder, each)
    builder = next
    if (closed !== undefined) bars.push(closed)
  }
  const recorded = linesOf("market/crypto/XRPETH-binance-1m-20191011_13.csv").slice(1)
    .map((line) => line.split(","))
    .map(([time, ...cells]) => bar(instrument, MINUTE, Number(time), cells))
  assert.equal(recorded.length, 2_469)
  const shown = (each: Bar) => `${prices(each)} ${formatDecimal(each.volume)}`
  assert.deepEqual(bars.map(shown), recorded.map(shown))
})

dataTest("45 days of minute bars make exactly the venue's own 5 minute bars", () => {
  const instrument = "BTC/USDT.BINANCE"
  const read = (name: string, intervalMs: number) =>
    linesOf(name).slice(1).map((line) => line.split(",")).map(([time, ...cells]) =>
      bar(
        instrument,
        intervalMs,
        Date.parse(`${time!.replace(" ", "T").replace(/\.000$/u, "")}Z`),
        cells,
      )
    )
  const minutes = read("market/crypto/BTCUSDT-perp-1m-20240101_20240215.csv.gz", MINUTE)
  const recorded = read("market/crypto/BTCUSDT-perp-5m-20240101_20240215.csv.gz", 5 * MINUTE)
  const merged = aggregate(minutes, 5 * MINUTE)
  assert.deepEqual([minutes.length, recorded.length, merged.length], [65_178, 13_036, 13_036])
  // The last was still open when it was recorded.
  const complete = (bars: ReadonlyArray<Bar>) => bars.slice(0, -1).map(prices)
  assert.deepEqual(complete(merged), complete(recorded))
  assert.equal(complete(merged).length, 13_035)
})
