import assert from "node:assert/strict"
import { Bars } from "../../../venues/simulator/alpaca/data_bars.ts"
import { Tape as AlpacaTape } from "../../../venues/simulator/alpaca/data_tape.ts"
import { Tape } from "../../../venues/simulator/tape.ts"

const MOST = 25_000
const LEAST = 20_000
const SECOND_MS = 1_000

Deno.test("a tape forgets its oldest trades, and the last 20,000 can be asked for by number", () => {
  const tape = new Tape()
  for (let tradeId = 1; tradeId <= 2 * MOST; tradeId++) {
    const time = tradeId * SECOND_MS
    tape.add({ tradeId, price: 100n, size: 1n, time, buyerIsMaker: false })
    if (tradeId % 999 === 0) assert.ok(tape.recent(Infinity).length < MOST)
  }
  const first = 2 * MOST - LEAST + 1
  assert.deepEqual(tape.from(first, 2).map(({ tradeId }) => tradeId), [first, first + 1])
  assert.equal(tape.recent(1)[0]?.tradeId, 2 * MOST)
})

Deno.test("the simulated Alpaca's tape forgets its oldest trades and quotes", () => {
  const tape = new AlpacaTape({ iex: new Bars(0), sip: new Bars(0) })
  for (let id = 1; id <= 2 * MOST; id++) {
    const time = BigInt(id * SECOND_MS) * 1_000_000n
    const trade = { id, exchange: "V", price: 100n, size: 1n, time, conditions: [] }
    tape.addTrade({ ...trade, takerBuys: true })
    tape.addQuote({ time, bid: 99n, bidSize: 1n, ask: 101n, askSize: 1n })
  }
  const trades = tape.trades("sip")
  assert.ok(trades.length >= LEAST && trades.length < MOST, `${trades.length} trades`)
  assert.ok(tape.quotes.length < 10_000, `${tape.quotes.length} quotes`)
  assert.equal(trades.at(-1)?.id, 2 * MOST)
})
