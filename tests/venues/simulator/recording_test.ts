import assert from "node:assert/strict"
import { Effect, Stream } from "effect"
import { openRecording, type RecordedEvent } from "../../../venues/simulator/recording.ts"
import { atoms } from "./simulator.ts"

/** Writes a recording of our own making, reads it, removes it. */
async function read(name: string, content: string | Uint8Array<ArrayBuffer>) {
  const folder = await Deno.makeTempDir()
  const path = `${folder}/${name}`
  try {
    await Deno.writeFile(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    )
    const recording = await Effect.runPromise(openRecording(path))
    const events = await Effect.runPromise(Stream.runCollect(recording.events))
    return { recording, events: [...events] }
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}

async function complaint(name: string, content: string): Promise<string> {
  const folder = await Deno.makeTempDir()
  try {
    await Deno.writeTextFile(`${folder}/${name}`, content)
    const error = await Effect.runPromise(Effect.flip(openRecording(`${folder}/${name}`)))
    assert.equal(error.message.includes("\n"), false)
    return error.message.replace(`${folder}/`, "")
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}

const trades = (events: ReadonlyArray<RecordedEvent>) =>
  events.flatMap(({ change, timeMs }) => change?.type === "trade" ? [{ ...change, timeMs }] : [])

const quotes = (events: ReadonlyArray<RecordedEvent>) =>
  events.flatMap(({ change, timeMs }) => change?.type === "quote" ? [{ ...change, timeMs }] : [])

async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

const FRAMES = new URL("../../fixtures/recordings/ABCUSDT-frames.txt", import.meta.url)

Deno.test("raw frames keep their bytes, their order, and the spacing of their receive times", async () => {
  const text = await Deno.readTextFile(FRAMES)
  const { recording, events } = await read("anything.jsonl.gz", await gzip(text))
  assert.equal(recording.format, "frames")
  assert.deepEqual(recording.trades, { ABCUSDT: { count: 2, firstTradeId: 501, lastTradeId: 502 } })
  const lines = text.trimEnd().split("\n").map((line) => line.slice(line.indexOf(" ") + 1))
  assert.equal(events.length, lines.length)
  events.forEach((event, i) => {
    if (event.frame !== undefined) assert.equal(event.frame.combined, lines[i])
  })
  assert.equal(events[2]?.frame?.data.startsWith('{"e":"trade"'), true)
  const received = text.trimEnd().split("\n").map((line) => Number(line.slice(0, 13)))
  const offset = (events[0]?.timeMs ?? 0) - (received[0] ?? 0)
  assert.deepEqual(events.map((event) => event.timeMs), received.map((ms) => ms + offset))
})

Deno.test("no venue event lies in the future of a recording's clock, and one is exactly now", async () => {
  const { events } = await read("x.jsonl", await Deno.readTextFile(FRAMES))
  const lags = events.flatMap((event) => {
    const eventMs = /"E":(\d+)/.exec(event.frame?.data ?? "")?.[1]
    return eventMs === undefined ? [] : [event.timeMs - Number(eventMs)]
  })
  assert.equal(Math.min(...lags), 0)
})

Deno.test("a depth snapshot belongs to the symbol around it, and grids come from the prices seen", async () => {
  const { recording, events } = await read("x.jsonl", await Deno.readTextFile(FRAMES))
  const snapshot = events.find((event) => event.change?.type === "snapshot")
  assert.equal(snapshot?.change?.symbol, "ABCUSDT")
  assert.equal(snapshot?.frame, undefined)
  assert.deepEqual(recording.symbols, [{
    symbol: "ABCUSDT",
    baseAsset: "ABC",
    quoteAsset: "USDT",
    tickSize: atoms("0.01"),
    stepSize: atoms("0.01"),
  }])
})

Deno.test("only the last line of a recording may be cut short", async () => {
  const text = (await Deno.readTextFile(FRAMES)).trimEnd()
  const { events } = await read("x.jsonl", text.slice(0, -20))
  assert.equal(events.length, text.split("\n").length - 1)
  const broken = text.replace('"t":501', '"t":')
  assert.match(
    await complaint("x.jsonl", broken),
    /^x\.jsonl:3: expected `<receive time ns> <frame>`/,
  )
})

Deno.test("frames without a wrapper are wrapped, and time follows the events", async () => {
  const lines = [
    '{"e":"trade","E":1000,"s":"ABCUSDT","t":1,"p":"10.5","q":"2","T":1000,"m":true}',
    '{"u":7,"s":"ABCUSDT","b":"10.4","B":"1","a":"10.5","A":"3"}',
    '{"e":"trade","E":1250,"s":"ABCUSDT","t":2,"p":"10.4","q":"2","T":1250,"m":true}',
  ]
  const { events } = await read("x.txt", lines.join("\n"))
  assert.deepEqual(events.map((event) => event.timeMs), [1000, 1000, 1250])
  assert.equal(events[1]?.frame?.combined, `{"stream":"abcusdt@bookTicker","data":${lines[1]}}`)
})

Deno.test("a trade list becomes trades with their own ids and a one-tick quote around each", async () => {
  const { recording, events } = await read(
    "ABCETH-trades.json",
    JSON.stringify([
      [2_000_000_001_000, "8", null, "buy", 0.00141379, 581, 0.82],
      [2_000_000_000_000, "7", null, "sell", 0.00141342, 23.0, 0.03],
    ]),
  )
  assert.equal(recording.format, "trades")
  assert.deepEqual(recording.symbols[0], {
    symbol: "ABCETH",
    baseAsset: "ABC",
    quoteAsset: "ETH",
    tickSize: atoms("0.00000001"),
    stepSize: atoms("1"),
  })
  const prints = trades(events)
  assert.deepEqual(prints.map((trade) => [trade.tradeId, trade.buyerIsMaker]), [[7, true], [
    8,
    false,
  ]])
  const asked = quotes(events).at(-1)
  assert.deepEqual([asked?.bid.price, asked?.ask.price], [atoms("0.00141378"), atoms("0.00141379")])
})

Deno.test("a bar becomes four trades on its path, and the trades make the bar again", async () => {
  const csv = "time,open,high,low,close,volume\n" +
    "2024-01-01T00:00:00.000,100.5,103,99.25,102,41.003\n" +
    "2024-01-01T00:01:00.000,102,102,98,99,3\n"
  const { recording, events } = await read("ABCUSDT-1m.csv.gz", await gzip(csv))
  assert.deepEqual([recording.format, recording.startMs], ["bars", Date.UTC(2024, 0, 1)])
  const first = trades(events).slice(0, 4)
  assert.deepEqual(first.map((trade) => trade.price), ["100.5", "99.25", "103", "102"].map(atoms))
  assert.deepEqual(first.map((trade) => trade.time - recording.startMs), [
    0,
    15_000,
    30_000,
    45_000,
  ])
  assert.equal(first.reduce((sum, trade) => sum + trade.size, 0n), atoms("41.003"))
  const second = trades(events).slice(4)
  assert.deepEqual(second.map((trade) => trade.price), ["102", "102", "98", "99"].map(atoms))
})

Deno.test("between trades somebody quotes at least every two seconds", async () => {
  const csv =
    "time,open,high,low,close,volume\n1700000040,10,11,9,10.5,100\n1700000100,10,11,9,10.5,100\n"
  const { events } = await read("ABCUSDT.csv", csv)
  const times = quotes(events).map((quote) => quote.timeMs)
  const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0))
  assert.ok(Math.max(...gaps) <= 2_000)
  assert.deepEqual(
    events.map((event) => event.timeMs),
    events.map((event) => event.timeMs).toSorted((a, b) => a - b),
  )
})

Deno.test("bars are read newest first, without header, with other columns, as JSON", async () => {
  const path = (events: ReadonlyArray<RecordedEvent>) =>
    trades(events).map((trade) => Number(trade.price) / 1e8)
  const expected = [10, 9, 11, 10.5, 10.5, 12, 8, 8.5]
  const files: Record<string, string> = {
    "ABCUSDT-a.csv": "1700000100000,10.5,12,8,8.5,7\n1700000040000,10,11,9,10.5,5\n",
    "ABCUSDT-b.csv": "unix,symbol,open,close,high,low,Volume USD,volume\n" +
      "1700000100,ABC/USDT,10.5,8.5,12,8,99,7\n1700000040,ABC/USDT,10,10.5,11,9,99,5\n",
    "ABCUSDT-c.csv": "open_time,open,high,low,close,volume,close_time\n" +
      "1700000040000000,10,11,9,10.5,5,1\n1700000100000000,10.5,12,8,8.5,7,1\n",
    "d.json": JSON.stringify([
      {
        base: "ABC",
        counter: "USDT",
        openTimeInMillis: 1700000040000,
        open: "10",
        high: "11",
        low: "9",
        close: "10.50",
        volume: "5",
      },
      {
        base: "ABC",
        counter: "USDT",
        openTimeInMillis: 1700000100000,
        open: "10.5",
        high: "12",
        low: "8",
        close: "8.5",
        volume: "7",
      },
    ]),
    "ABCUSDT-e.csv": "symbol,time_frame,open_time_s,open,high,low,close,volume\n" +
      "ABC/USDT,1h,1699999200,1,2,1,2,3\nABC/USDT,1m,1700000040,10,11,9,10.5,5\n" +
      "ABC/USDT,1m,1700000100,10.5,12,8,8.5,7\n",
  }
  for (const [name, content] of Object.entries(files)) {
    const { recording, events } = await read(name, content)
    assert.equal(recording.symbols[0]?.symbol, "ABCUSDT", name)
    assert.deepEqual(path(events), expected, name)
  }
})

Deno.test("what cannot be a recording is refused in one line with file, line and what was expected", async () => {
  assert.equal(await complaint("x", ""), "x: the file is empty")
  assert.match(await complaint("x", "[]"), /^x: expected a JSON array of trades or bars/)
  assert.match(
    await complaint("ABC.csv", "a,open,close\n1,2,3\n"),
    /^ABC.csv:1: no column high, low, volume/,
  )
  assert.match(
    await complaint("ABC.csv", "time,open,high,low,close,volume\n1700000000,1,2,1,x,5\n"),
    /^ABC.csv:2: close of the bar is not readable: x/,
  )
  assert.match(
    await complaint("ABC.csv", "time,open,high,low,close,volume\n1700000000,1,2,3,1,5\n"),
    /^ABC.csv:2: expected 0 < low/,
  )
  const missing = await Effect.runPromise(Effect.flip(openRecording("no/such/file")))
  assert.equal(missing.message, "no/such/file: no such file")
})
