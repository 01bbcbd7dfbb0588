import assert from "node:assert/strict"
import fc from "fast-check"
import { guessedSymbols } from "../../../venues/binance/symbols.ts"
import { Transcript } from "../../../venues/binance/transcript.ts"
import { partsOf } from "../../../venues/transcript.ts"
import {
  accountPosition,
  bookTicker,
  depth,
  executionReport,
  kline,
  snapshot,
  trade,
} from "./frames.ts"

const instrument = "BTC/USDT.BINANCE"

function read(frames: ReadonlyArray<unknown>, showsBooks = false) {
  const transcript = new Transcript(guessedSymbols, showsBooks)
  return frames.flatMap((frame) =>
    transcript.read(typeof frame === "string" ? frame : JSON.stringify(frame))
  )
}

Deno.test("partsOf() reads every form of a line", () => {
  const frame = '{"a":1}'
  assert.deepEqual(partsOf(frame), { frame, receivedAt: undefined })
  assert.deepEqual(partsOf(`  ${frame}\r`), { frame, receivedAt: undefined })
  assert.deepEqual(partsOf(`1723161253937085768 ${frame}`), {
    frame,
    receivedAt: 1_723_161_253_937,
  })
  assert.deepEqual(partsOf(`1633998512.0633569: ${frame}`), {
    frame,
    receivedAt: 1_633_998_512_063,
  })
  assert.deepEqual(partsOf(`1633998512: ${frame}`), { frame, receivedAt: 1_633_998_512_000 })
  assert.deepEqual(partsOf(`https://x/depth?a=b -> 1633998512.32: ${frame}`), {
    frame,
    receivedAt: 1_633_998_512_320,
  })
  assert.deepEqual(partsOf("wss://x/stream <-> 1633998511.159679"), {
    frame: "",
    receivedAt: undefined,
  })
  assert.deepEqual(partsOf("anything else"), { frame: "anything else", receivedAt: undefined })
})

Deno.test("a trade, a quote and a bar are told in the words of the contract", () => {
  assert.deepEqual(read([{ stream: "x", data: trade }]), [{
    ...{
      type: "trade",
      instrument,
      tradeId: "12345",
      price: "37000.01",
      size: "0.0015",
      side: "sell",
    },
    time: 1_700_000_000_099,
  }])
  const quote = {
    ...{ type: "quote", instrument, updateId: "400900217", bid: "37000", bidSize: "1.5" },
    ...{ ask: "37000.01", askSize: "0.25" },
  }
  assert.deepEqual(read([bookTicker]), [{ ...quote, time: null }])
  assert.deepEqual(read([`1700000000123999999 ${JSON.stringify(bookTicker)}`]), [{
    ...quote,
    time: 1_700_000_000_123,
  }])
  assert.deepEqual(read([kline]), [{
    ...{
      type: "bar",
      instrument,
      intervalMs: 60_000,
      openTime: kline.k.t,
      open: "37000",
      high: "37002",
    },
    ...{ low: "36999", close: "37001.5", volume: "12.345", trades: 101 },
  }])
})

Deno.test("an execution is told with what became of its order", () => {
  assert.deepEqual(
    read([{ subscriptionId: 0, event: executionReport }, { event: accountPosition }]),
    [
      {
        ...{
          type: "execution",
          instrument,
          executionId: "77",
          clientOrderId: "keel-1",
          venueOrderId: "4293153",
        },
        ...{ side: "buy", quantity: "0.001", price: "37000.01", fee: "0.000001", feeAsset: "BTC" },
        time: 1_700_000_000_299,
      },
      {
        ...{ type: "order", instrument, clientOrderId: "keel-1", venueOrderId: "4293153" },
        ...{
          status: "partially_filled",
          filledQuantity: "0.001",
          reason: "",
          time: 1_700_000_000_299,
        },
      },
      {
        type: "balances",
        balances: [{ asset: "BTC", free: "0.000999", locked: "0" }, {
          asset: "USDT",
          free: "99963",
          locked: "10.5",
        }],
      },
    ],
  )
})

Deno.test("trades that are missing are a gap, named by their first and last; repeats are none", () => {
  const ids = (...given: ReadonlyArray<number>) => read(given.map((t) => ({ ...trade, t })))
  assert.deepEqual(ids(5, 6, 6, 5, 7).filter(({ type }) => type === "gap"), [])
  assert.deepEqual(ids(5, 9, 3, 10).filter(({ type }) => type === "gap"), [
    { type: "gap", instrument, stream: "trade", from: "6", to: "8" },
  ])
  const other = { ...trade, s: "ETHUSDT", t: 900 }
  assert.equal(read([trade, other]).some(({ type }) => type === "gap"), false)
})

Deno.test("changes of the book that are missing are a gap", () => {
  const events = read([{ ...depth, U: 10, u: 12 }, { ...depth, U: 15, u: 15 }])
  assert.deepEqual(events.map(({ type }) => type), ["depth", "gap", "depth"])
  assert.deepEqual(events[1], { type: "gap", instrument, stream: "depth", from: "13", to: "14" })
})

Deno.test("the top of the book is told after every change while the book is valid", () => {
  const book = (events: ReturnType<typeof read>) => events.filter(({ type }) => type === "book")
  const frames = [snapshot, depth, {
    ...depth,
    U: 161,
    u: 162,
    b: [["36999.5", "1"], ["37000.00", "0"]],
    a: [],
  }]
  const expected = [
    {
      type: "book",
      instrument,
      updateId: "160",
      bid: "37000",
      bidSize: "10",
      ask: "37000.02",
      askSize: "3",
    },
    {
      type: "book",
      instrument,
      updateId: "162",
      bid: "36999.5",
      bidSize: "1",
      ask: "37000.02",
      askSize: "3",
    },
  ]
  assert.deepEqual(book(read(frames, true)), expected)
  assert.deepEqual(book(read([depth, snapshot, frames[2]], true)), expected.slice(1))
  assert.deepEqual(
    book(read([{ ...depth, U: 150, u: 156 }, snapshot, ...frames.slice(1)], true)),
    expected,
  )
  assert.deepEqual(
    book(read([...frames, { ...depth, U: 170, u: 171 }, { ...depth, U: 172, u: 173 }], true)),
    expected,
  )
  assert.deepEqual(book(read(frames)), [])
})

Deno.test("a snapshot finds the one book that it continues", () => {
  const eth = { ...depth, s: "ETHUSDT", U: 900, u: 910 }
  const events = read([{ ...depth, U: 150, u: 158 }, eth, snapshot, { ...eth, U: 911, u: 912 }, {
    ...depth,
    U: 159,
    u: 160,
  }], true)
  assert.deepEqual(
    events.filter(({ type }) => type === "book").map((book) => [book.instrument, book.updateId]),
    [
      [instrument, "160"],
    ],
  )
  const twins = read([
    { ...depth, U: 150, u: 158 },
    { ...depth, s: "ETHUSDT", U: 150, u: 158 },
    snapshot,
  ], true)
  assert.deepEqual(twins.at(-1), {
    type: "undecoded",
    line: 3,
    reason: "a snapshot that fits several instruments",
  })
})

Deno.test("lines that mean nothing are told by their number, and lose nothing else", () => {
  const transcript = new Transcript(guessedSymbols, false)
  const lines = [
    "",
    "garbage",
    JSON.stringify(trade),
    '{"e":"news"}',
    "   ",
    JSON.stringify({ ...trade, t: 12346 }),
  ]
  const events = lines.flatMap((line) => transcript.read(line))
  assert.deepEqual(events.map(({ type, line }) => [type, line]), [
    ["undecoded", 2],
    ["trade", undefined],
    ["undecoded", 4],
    ["trade", undefined],
  ])
  assert.equal(transcript.frames, 4)
  assert.deepEqual(transcript.unreadable("too long"), {
    type: "undecoded",
    line: 7,
    reason: "too long",
  })
})

Deno.test("answers to requests are frames without events", () => {
  assert.deepEqual(
    read([{ result: null, id: 1 }, { id: 1, status: 200, result: {} }, {
      ...kline,
      k: { ...kline.k, x: false },
    }]),
    [],
  )
})

Deno.test("no line makes the transcript throw", () => {
  const frame = fc.constantFrom(trade, bookTicker, depth, snapshot, executionReport)
  const line = fc.oneof(fc.string(), fc.json(), frame.map((each) => JSON.stringify(each)))
  fc.assert(fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
    for (const event of read(lines, true)) assert.equal(typeof JSON.stringify(event), "string")
  }))
})
