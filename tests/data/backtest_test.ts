/**
 * The strategies trade as worked examples say, bar for bar.
 *
 * Decided at the close, filled at the next open, fixed quantity, long or flat.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { add, decimal, formatDecimal, multiply, subtract, zero } from "../../domain/decimal.ts"
import type { Bar } from "../../domain/market.ts"
import { strategies } from "../../strategies/mod.ts"
import { dataTest, linesOf, textOf } from "./recorded.ts"

interface Worked {
  readonly qty: string
  readonly fills: number
  readonly final_equity: number
  readonly fees: number
  /** Entry bar, exit bar, entry price, exit price. */
  readonly trades: ReadonlyArray<readonly [number, number, number, number]>
}

const files: Readonly<Record<string, string>> = {
  "GOOG-1d": "backtest/GOOG-1d.csv",
  "BTCUSDT-1m": "backtest/BTCUSDT-1m.csv.gz",
}

function bars(name: string): ReadonlyArray<Bar> {
  return linesOf(name).slice(1).map((line) => line.split(",")).map(([time, ...cells]) => {
    const [open, high, low, close, volume] = cells.map(decimal)
    const prices = { open: open!, high: high!, low: low!, close: close!, volume: volume! }
    return {
      _tag: "Bar",
      instrument: "X/Y.Z",
      intervalMs: 60_000,
      openTime: Number(time),
      ...prices,
      trades: 0,
    }
  })
}

function play(strategy: string, params: unknown, data: ReadonlyArray<Bar>, quantity: string) {
  const running = Effect.runSync(strategies.get(strategy)!.start("X/Y.Z", params))
  const size = decimal(quantity)
  const feeRate = decimal("0.001")
  const trades: Array<readonly [number, number, number, number]> = []
  let cash = decimal("100000")
  let fees = zero
  let fills = 0
  let entry: { readonly bar: number; readonly price: number } | undefined
  let wanted: "enter" | "exit" | undefined
  data.forEach((bar, at) => {
    if (wanted !== undefined) {
      const notional = multiply(size, bar.open)
      const fee = multiply(notional, feeRate)
      fees = add(fees, fee)
      fills++
      cash = subtract(wanted === "enter" ? subtract(cash, notional) : add(cash, notional), fee)
      const price = Number(formatDecimal(bar.open))
      if (entry === undefined) entry = { bar: at, price }
      else {
        trades.push([entry.bar, at, entry.price, price])
        entry = undefined
      }
      running.step({ _tag: "HoldingChanged", quantity: entry === undefined ? zero : size })
    }
    wanted = running.step(bar)[0]?.intent
  })
  const open = entry === undefined ? zero : multiply(size, data.at(-1)!.close)
  return { trades, fills, fees: formatDecimal(fees), equity: formatDecimal(add(cash, open)) }
}

const rules = [
  ["RSI14_30/70", "rsi_momentum", { period: 14, oversold: 30, overbought: 70 }],
  ["BOLL20_2", "mean_reversion", { period: 20, deviations: 2 }],
] as const

for (const [dataset, file] of Object.entries(files)) {
  for (const [rule, strategy, params] of rules) {
    dataTest(`${strategy} trades ${dataset} as worked out by hand`, () => {
      const worked =
        (JSON.parse(textOf("backtest/oracle.json")) as Record<string, Worked>)[`${dataset}|${rule}`]
      assert.ok(worked !== undefined)
      const played = play(strategy, params, bars(file), worked.qty)
      assert.deepEqual(played.trades, worked.trades)
      assert.equal(played.fills, worked.fills)
      assert.ok(Math.abs(Number(played.fees) - worked.fees) < 1e-6)
      assert.ok(Math.abs(Number(played.equity) - worked.final_equity) < 1e-6)
    })
  }
}
