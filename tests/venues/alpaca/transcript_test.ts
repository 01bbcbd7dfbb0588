import assert from "node:assert/strict"
import fc from "fast-check"
import { guessedSymbols } from "../../../venues/alpaca/symbols.ts"
import { Transcript } from "../../../venues/alpaca/transcript.ts"
import {
  cancel,
  correction,
  cryptoTrade,
  everyFrame,
  fill,
  halt,
  listening,
  luld,
  order,
  quote,
  trade,
} from "./frames.ts"

const instrument = "AAPL.ALPACA"

function read(...lines: ReadonlyArray<unknown>) {
  const transcript = new Transcript(guessedSymbols)
  return lines.flatMap((line) =>
    transcript.read(typeof line === "string" ? line : JSON.stringify(line))
  )
}

Deno.test("trades and quotes are told in the words of the contract", () => {
  const time = Date.UTC(2026, 10, 23, 15, 30, 0, 123)
  assert.deepEqual(read([trade, quote]), [
    {
      ...{ type: "trade", instrument, tradeId: "V:52983525029461", price: "230.155", size: "100" },
      ...{ side: "unknown", time },
    },
    {
      ...{ type: "quote", instrument, bid: "230.15", bidSize: "200", ask: "230.17" },
      ...{ askSize: "300", time: Date.UTC(2026, 10, 23, 15, 30) },
    },
  ])
})

Deno.test("a message may come alone, with the time of its receipt or without", () => {
  const types = read(
    cryptoTrade,
    `1764000000000000000 ${JSON.stringify([cryptoTrade])}`,
    `1764000000.5: ${JSON.stringify(cryptoTrade)}`,
  ).map(({ type, instrument }) => `${type} ${instrument}`)
  assert.deepEqual(types, Array(3).fill("trade BTC/USD.ALPACA"))
})

Deno.test("halts, bands, corrections and cancels are told", () => {
  const events = read([halt, luld, correction, cancel])
  assert.deepEqual(events.map(({ type }) => type), [
    ...["status", "price_band", "trade_correction", "trade_cancel"],
  ])
  assert.deepEqual(events[2], {
    ...{ type: "trade_correction", instrument, tradeId: "V:71", correctedId: "V:72" },
    ...{ price: "230.1", size: "10", time: Date.UTC(2026, 10, 23, 15, 30, 3) },
  })
})

Deno.test("a fill is told with its order", () => {
  const [execution, state] = read(fill)
  assert.deepEqual(
    [execution?.type, execution?.executionId, execution?.quantity, execution?.price],
    ["execution", `${order.id}:4`, "4", "230.155"],
  )
  assert.deepEqual([state?.type, state?.status, state?.filledQuantity], [
    ...["order", "partially_filled", "4"],
  ])
})

Deno.test("a line that means nothing is undecoded with its number; answers to us are nothing", () => {
  const transcript = new Transcript(guessedSymbols)
  assert.deepEqual(transcript.read(JSON.stringify(listening)), [])
  assert.deepEqual(transcript.read(""), [])
  const [event] = transcript.read("garbage")
  assert.deepEqual([event?.type, event?.line], ["undecoded", 3])
  assert.deepEqual(transcript.unreadable("too long"), {
    ...{ type: "undecoded", line: 4, reason: "too long" },
  })
  assert.equal(transcript.frames, 3)
})

Deno.test("every event is JSON, whatever the line", () => {
  const transcript = new Transcript(guessedSymbols)
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.constantFrom(...everyFrame)), (line) => {
      for (const event of transcript.read(line)) {
        assert.deepEqual(JSON.parse(JSON.stringify(event)), event)
      }
    }),
  )
})
