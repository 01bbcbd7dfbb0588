import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { createRequire } from "node:module"
import { decode, ExtensionCodec } from "@msgpack/msgpack"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { WebSocket } from "ws"
import type { SimulatedAlpaca } from "../../../../venues/simulator/alpaca/mod.ts"
import { arm, Ear, KEY, scopedTest, SECRET, strike } from "../simulator.ts"
import {
  AUTH,
  connected,
  CRYPTO,
  get,
  HEADERS,
  heard,
  IEX,
  listening,
  message,
  startVenue,
  venueTest,
} from "./venue.ts"

const NOTHING = {
  trades: [],
  quotes: [],
  bars: [],
  updatedBars: [],
  dailyBars: [],
  statuses: [],
  lulds: [],
  imbalances: [],
  corrections: [],
  cancelErrors: [],
}

/** Lets time pass so slowly that sockets keep up with it. */
const elapse = Effect.fn(function* (ms: number) {
  for (let passed = 0; passed < ms; passed += 100) {
    yield* TestClock.adjust(100)
    if (passed % 1_000 === 0) yield* Effect.promise(() => new Promise((done) => setTimeout(done)))
  }
})

// Who may listen

venueTest(
  "a stream greets, authenticates, and answers each subscription with all there is",
  async (venue) => {
    const ear = await connected(venue, IEX)
    ear.say(AUTH)
    ear.say({ action: "subscribe", trades: ["NONE"], statuses: ["*"] })
    ear.say({ action: "subscribe", trades: ["NIL"], quotes: ["NONE"] })
    ear.say({ action: "unsubscribe", trades: ["NONE"], statuses: ["*"] })
    await ear.count(5)
    const pair = ["NONE", "NIL"]
    assert.deepEqual(ear.heard, [
      [{ T: "success", msg: "connected" }],
      [{ T: "success", msg: "authenticated" }],
      [{
        T: "subscription",
        ...NOTHING,
        trades: ["NONE"],
        statuses: ["*"],
        corrections: ["NONE"],
        cancelErrors: ["NONE"],
      }],
      [{
        T: "subscription",
        ...NOTHING,
        trades: pair,
        quotes: ["NONE"],
        statuses: ["*"],
        corrections: pair,
        cancelErrors: pair,
      }],
      [{
        T: "subscription",
        ...NOTHING,
        trades: ["NIL"],
        quotes: ["NONE"],
        corrections: ["NIL"],
        cancelErrors: ["NIL"],
      }],
    ])
    await ear.close()
  },
)

venueTest("keys in the handshake's headers authenticate without a message", async (venue) => {
  const ear = await connected(venue, IEX, HEADERS)
  await ear.count(2)
  assert.deepEqual(ear.heard[1], [{ T: "success", msg: "authenticated" }])
  await ear.close()
})

venueTest("what a client says wrong has a number", async (venue) => {
  const code = async (ear: Ear, say: unknown) => {
    const before = ear.heard.length
    ear.say(say)
    await ear.count(before + 1)
    return ear.heard[before][0].code
  }
  const stranger = await connected(venue, IEX)
  await stranger.count(1)
  assert.equal(await code(stranger, "{"), 400)
  assert.equal(await code(stranger, { action: "subscribe", trades: ["SPY"] }), 401)
  assert.equal(await code(stranger, { action: "auth", key: KEY, secret: "wrong" }), 402)
  await stranger.close()
  const ear = await listening(venue, CRYPTO)
  assert.equal(await code(ear, AUTH), 403)
  assert.equal(await code(ear, { action: "shout" }), 400)
  assert.equal(await code(ear, { action: "subscribe", trades: "BTC/USD" }), 400)
  assert.equal(await code(ear, { action: "subscribe", lulds: ["BTC/USD"] }), 410)
  await ear.close()
})

scopedTest(
  "who has not authenticated within ten seconds is told so, and closed",
  () =>
    Effect.gen(function* () {
      const venue = yield* startVenue()
      const ear = yield* Effect.promise(() => connected(venue, IEX))
      yield* Effect.promise(() => ear.count(1))
      yield* TestClock.adjust("9 seconds")
      assert.equal(ear.heard.length, 1)
      yield* TestClock.adjust("1 second")
      yield* Effect.promise(() => ear.closed)
      assert.deepEqual(ear.heard[1], [{ T: "error", code: 404, msg: "auth timeout" }])
    }).pipe(Effect.provide(TestClock.layer())),
)

venueTest(
  "a plan's number of symbols is a limit for trades and quotes, not for bars",
  async (venue) => {
    const ear = await listening(venue, IEX, { trades: ["A", "B"], bars: ["*"] })
    for (const wish of [{ trades: ["C"] }, { quotes: ["*"] }]) {
      const before = ear.heard.length
      ear.say({ action: "subscribe", ...wish })
      await ear.hears((frame) => ear.heard.indexOf(frame) >= before && frame[0].code === 405)
    }
    await ear.close()
  },
  { symbolsMax: 2 },
)

// One connection

for (const busyCloses of [true, false]) {
  venueTest(
    `a second connection finds the slot taken and ${busyCloses ? "is closed" : "stays, useless"}`,
    async (venue) => {
      const first = await listening(venue, IEX)
      const second = await connected(venue, IEX)
      second.say(AUTH)
      assert.deepEqual(await second.hears(([one]) => one.T === "error"), [
        { T: "error", code: 406, msg: "connection limit exceeded" },
      ])
      if (busyCloses) await second.closed
      else {
        second.say({ action: "subscribe", trades: ["SPY"] })
        await message(second, ({ code }) => code === 401)
        await second.close()
      }
      // Another endpoint has a slot of its own.
      const crypto = await listening(venue, CRYPTO)
      await Promise.all([first.close(), crypto.close()])
    },
    { busyCloses },
  )
}

/** What somebody new is answered: `authenticated`, or that the slot is taken. */
async function attempt(venue: SimulatedAlpaca): Promise<string> {
  const ear = await connected(venue, IEX)
  ear.say(AUTH)
  const [answer] = await ear.hears(([one]) => one.msg !== "connected")
  await ear.close()
  return answer.msg
}

const TAKEN = "connection limit exceeded"

venueTest(
  "a proper close frees the slot at once",
  async (venue) => {
    const socket = new WebSocket(`${venue.endpoints.dataStream}${IEX}`, { headers: HEADERS })
    await new Promise<void>((resolve) => {
      socket.on("message", (data) => String(data).includes("authenticated") && resolve())
    })
    const gone = new Promise((resolve) => socket.on("close", resolve))
    socket.close(1000)
    await gone
    assert.equal(await attempt(venue), "authenticated")
  },
  { slotHeldMs: 3_600_000 },
)

for (const kind of ["reset_connections", "cut_connections", "freeze_connections"] as const) {
  scopedTest(
    `a session that died (${kind}) holds its slot for a while`,
    () =>
      Effect.gen(function* () {
        const venue = yield* startVenue({ slotHeldMs: 90_000 })
        const ear = yield* Effect.promise(() => listening(venue, IEX))
        yield* Effect.promise(() => arm(venue, { kind }))
        yield* TestClock.adjust("50 millis")
        if (kind !== "freeze_connections") yield* Effect.promise(() => ear.closed)
        assert.equal(yield* Effect.promise(() => attempt(venue)), TAKEN)
        yield* TestClock.adjust("89 seconds")
        assert.equal(yield* Effect.promise(() => attempt(venue)), TAKEN)
        yield* TestClock.adjust("1 second")
        assert.equal(yield* Effect.promise(() => attempt(venue)), "authenticated")
        yield* Effect.promise(() => ear.close())
      }).pipe(Effect.provide(TestClock.layer())),
  )
}

venueTest(
  "busy slots, refused keys and refused subscriptions can be made to happen",
  async (venue) => {
    await arm(venue, { kind: "slot_busy", closes: false, count: 1, match: { path: IEX } })
    await arm(venue, { kind: "auth_failure", count: 1 })
    await arm(venue, { kind: "subscription_error", code: 409, count: 1 })
    const ear = await connected(venue, IEX)
    for (const answer of [406, 402, "authenticated"]) {
      ear.say(AUTH)
      await message(ear, ({ code, msg }) => code === answer || msg === answer)
    }
    ear.say({ action: "subscribe", trades: ["SPY"] })
    await message(ear, ({ code }) => code === 409)
    assert.deepEqual(venue.faults.journal.map(({ kind }) => kind), [
      "slot_busy",
      "auth_failure",
      "subscription_error",
    ])
    await ear.close()
  },
)

// What is heard

venueTest("quotes and trades of shares have all that the tape has", async (venue) => {
  const ear = await listening(venue, "/v2/sip", { trades: ["*"], quotes: ["SPY"] })
  const quote = await message(ear, ({ T }) => T === "q")
  assert.deepEqual(Object.keys(quote).toSorted(), [
    "S",
    "T",
    "ap",
    "as",
    "ax",
    "bp",
    "bs",
    "bx",
    "c",
    "t",
    "z",
  ])
  assert.ok(quote.bp < quote.ap && Number.isInteger(quote.bs) && Number.isInteger(quote.as))
  await ear.hears(() => new Set(heard(ear, "t").map(({ x }) => x)).size > 2)
  const ids = new Map<string, number>()
  for (const { S, x, i, t, s, z } of heard(ear, "t")) {
    const last = ids.get(`${S} ${x}`)
    assert.ok(last === undefined || i === last + 1, `${S} on ${x}: ${i} after ${last}`)
    ids.set(`${S} ${x}`, i)
    assert.match(t, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/)
    assert.ok(Number.isInteger(s) && s > 0)
    assert.equal(z, S === "SPY" ? "B" : "C")
  }
  assert.ok(heard(ear, "q").every(({ S }) => S === "SPY"))
  await ear.close()
})

venueTest("IEX's own feed shows what is traded there and nothing else", async (venue) => {
  const all = await listening(venue, "/v2/sip", { trades: ["SPY"] })
  const own = await listening(venue, IEX, { trades: ["SPY"], quotes: ["SPY"] })
  await own.hears(() => heard(own, "t").length >= 5 && heard(own, "q").length >= 3)
  assert.ok(heard(own, "t").every(({ x }) => x === "V"))
  assert.ok(heard(own, "q").every(({ ax, bx }) => ax === "V" && bx === "V"))
  for (const trade of heard(own, "t").slice(0, 4)) {
    assert.deepEqual(await message(all, ({ x, i }) => x === "V" && i === trade.i), trade)
  }
  await Promise.all([all.close(), own.close()])
})

venueTest("the test feed has one symbol that nobody else has", async (venue) => {
  const test = await listening(venue, "/v2/test", { quotes: ["*"] })
  const sip = await listening(venue, "/v2/sip", { quotes: ["*"] })
  await test.hears(() => heard(test, "q").length >= 3)
  await sip.hears(() => heard(sip, "q").length >= 3)
  assert.deepEqual([...new Set(heard(test, "q").map(({ S }) => S))], ["FAKEPACA"])
  assert.equal(heard(sip, "q").some(({ S }) => S === "FAKEPACA"), false)
  await Promise.all([test.close(), sip.close()])
})

venueTest("an order book begins whole and stays right by its changes", async (venue) => {
  const ear = await listening(venue, CRYPTO, { orderbooks: ["ETH/USD"], quotes: ["ETH/USD"] })
  await ear.hears(() => heard(ear, "o").length >= 8)
  const sides = { b: new Map<number, number>(), a: new Map<number, number>() }
  const [first, ...later] = heard(ear, "o")
  assert.equal(first.r, true)
  assert.equal(later.some(({ r }) => r), false)
  const quotes = heard(ear, "q")
  let compared = 0
  for (const update of heard(ear, "o")) {
    if (update.r) { for (const side of ["b", "a"] as const) sides[side].clear() }
    for (const side of ["b", "a"] as const) {
      for (const { p, s } of update[side]) {
        if (s === 0) sides[side].delete(p)
        else sides[side].set(p, s)
      }
    }
    const quote = quotes.find(({ t }) => t === update.t)
    if (quote === undefined) continue
    compared++
    const [bid, ask] = [Math.max(...sides.b.keys()), Math.min(...sides.a.keys())]
    assert.deepEqual([bid, sides.b.get(bid), ask, sides.a.get(ask)], [
      quote.bp,
      quote.bs,
      quote.ap,
      quote.as,
    ])
    assert.equal(sides.b.size, 10)
  }
  assert.ok(compared >= 5)
  await ear.close()
})

scopedTest(
  "a minute's bar is the sum of its trades, and the day's bar goes along",
  () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-11-23T15:00:30Z"))
      const venue = yield* startVenue()
      const ear = yield* Effect.promise(() =>
        listening(venue, "/v2/sip", { trades: ["NVDA"], bars: ["NVDA"], dailyBars: ["NVDA"] })
      )
      yield* elapse(100_000)
      yield* Effect.promise(() => ear.hears(() => heard(ear, "b").length >= 2))
      // Of the first minute the beginning is missing.
      const bar = heard(ear, "b")[1]
      const trades = heard(ear, "t").filter(({ t }) => t.slice(0, 16) === bar.t.slice(0, 16))
      const prices = trades.map(({ p }) => p)
      assert.ok(trades.length > 50)
      assert.deepEqual(
        [bar.o, bar.h, bar.l, bar.c, bar.v, bar.n],
        [
          prices[0],
          Math.max(...prices),
          Math.min(...prices),
          prices.at(-1),
          trades.reduce((sum, { s }) => sum + s, 0),
          trades.length,
        ],
      )
      assert.ok(bar.vw >= bar.l && bar.vw <= bar.h)
      const day = heard(ear, "d").at(-1)
      assert.deepEqual([day.c, day.v >= bar.v, day.h >= bar.h], [bar.c, true, true])
      yield* Effect.promise(() => ear.close())
    }).pipe(Effect.provide(TestClock.layer())),
)

venueTest(
  "who asks for MessagePack gets it: timestamps, 64-bit ids, the same prices",
  async (venue) => {
    const socket = new WebSocket(`${venue.endpoints.dataStream}/v2/sip`, {
      headers: { "Content-Type": "application/msgpack", ...HEADERS },
    })
    const times = new Array<bigint>()
    const extensionCodec = new ExtensionCodec()
    extensionCodec.register({
      type: -1,
      encode: () => null,
      decode: (data) => {
        const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
        const word = view.getBigUint64(0)
        const nanos = (word & 0x3ffffffffn) * 1_000_000_000n + (word >> 34n)
        times.push(nanos)
        return nanos
      },
    })
    // deno-lint-ignore no-explicit-any
    const trade = await new Promise<any>((resolve) => {
      socket.on("message", (data: Buffer, isBinary: boolean) => {
        assert.equal(isBinary, true)
        // deno-lint-ignore no-explicit-any
        const frame = decode(data, { useBigInt64: true, extensionCodec }) as any
        if (frame[0].msg === "authenticated") {
          socket.send(JSON.stringify({ action: "subscribe", trades: ["NVDA", "SPY"] }))
        }
        if (frame[0].T === "t") resolve(frame[0])
      })
    })
    assert.equal(typeof trade.i, "bigint")
    assert.equal(times[0], trade.t)
    assert.ok(trade.t > 1_700_000_000_000_000_000n)
    const { body } = await get(venue, `/v2/stocks/${trade.S}/trades`, { limit: "10000" })
    const same = body.trades.find((one: { i: number; x: string }) =>
      BigInt(one.i) === trade.i && one.x === trade.x
    )
    assert.deepEqual([same.p, same.s], [trade.p, Number(trade.s)])
    const gone = new Promise((resolve) => socket.on("close", resolve))
    socket.close()
    await gone
  },
)

venueTest("the official stream client, unmodified, hears trades and quotes", async (venue) => {
  const require = createRequire(import.meta.url)
  const sdk: { readonly streaming: OfficialStreams } = require("@alpacahq/alpaca-trade-api")
  const stream = new sdk.streaming.StockDataStream({
    credentials: { keyId: KEY, secret: SECRET },
    url: `${venue.endpoints.dataStream}${IEX}`,
  })
  const both = new Promise<void>((resolve) => {
    const kinds = new Set<string>()
    const note = (kind: string) => () => kinds.add(kind).size === 2 && resolve()
    stream.onTrade(note("trade"))
    stream.onQuote(note("quote"))
  })
  stream.subscribeForTrades(["SPY", "NVDA"])
  stream.subscribeForQuotes(["SPY"])
  stream.connect()
  await both
  await new Promise<void>((resolve) => {
    stream.onDisconnect(() => resolve())
    stream.disconnect()
  })
})

interface OfficialStreams {
  readonly StockDataStream: new (options: object) => OfficialStream
}

/** The part of the official client that its types do not show on this runtime. */
interface OfficialStream {
  onTrade(hear: () => void): unknown
  onQuote(hear: () => void): unknown
  subscribeForTrades(symbols: ReadonlyArray<string>): void
  subscribeForQuotes(symbols: ReadonlyArray<string>): void
  onDisconnect(hear: () => void): unknown
  connect(): void
  disconnect(): void
}

// What an exchange does

venueTest(
  "a halted share is told, and neither quoted nor printed until it is resumed",
  async (venue) => {
    const ear = await listening(venue, IEX, { trades: ["*"], quotes: ["*"], statuses: ["*"] })
    await arm(venue, { kind: "halt", symbol: "AAPL", code: "LUDP", reason: "Volatility pause" })
    const halted = await message(ear, ({ T }) => T === "s")
    assert.deepEqual(
      [halted.S, halted.sc, halted.sm, halted.rc, halted.rm, halted.z],
      ["AAPL", "H", "Trading Halt", "LUDP", "Volatility pause", "C"],
    )
    const from = ear.heard.length
    const since = () => ear.heard.slice(from).flat()
    await ear.hears(() => since().filter(({ S }) => S === "MSFT").length >= 10)
    assert.equal(since().some(({ S }) => S === "AAPL"), false)
    await arm(venue, { kind: "resume", symbol: "AAPL" })
    await message(ear, ({ T, S, sc }) => T === "s" && S === "AAPL" && sc === "T")
    await ear.hears(() => since().some(({ T, S }) => T === "q" && S === "AAPL"))
    await ear.close()
  },
)

venueTest("bands and imbalances are told to who asked for them", async (venue) => {
  const ear = await listening(venue, IEX, { lulds: ["SPY"], imbalances: ["SPY"] })
  await arm(venue, { kind: "luld", symbol: "SPY", up: "601.5", down: "580.25" })
  await arm(venue, { kind: "imbalance", symbol: "SPY" })
  const band = await message(ear, ({ T }) => T === "l")
  assert.deepEqual([band.u, band.d, band.i, band.z], [601.5, 580.25, "B", "B"])
  const imbalance = await message(ear, ({ T }) => T === "i")
  assert.ok(imbalance.p > 0)
  await ear.close()
})

venueTest(
  "a print can be corrected and taken back, and what is asked for later agrees",
  async (venue) => {
    const ear = await listening(venue, "/v2/sip", { trades: ["AAPL"] })
    await message(ear, ({ T }) => T === "t")
    await arm(venue, { kind: "trade_correction", symbol: "AAPL", price: "1.25", size: "7" })
    const corrected = await message(ear, ({ T }) => T === "c")
    const original = heard(ear, "t").find(({ i, x }) => i === corrected.oi && x === corrected.x)
    assert.deepEqual([corrected.op, corrected.os, corrected.cp, corrected.cs], [
      original.p,
      original.s,
      1.25,
      7,
    ])
    await arm(venue, { kind: "trade_cancel", symbol: "AAPL" })
    const canceled = await message(ear, ({ T }) => T === "x")
    assert.equal(canceled.a, "C")
    const { body } = await get(venue, "/v2/stocks/AAPL/trades", { limit: "10000" })
    const now = (id: number, x: string) =>
      body.trades.find((trade: { i: number; x: string }) => trade.i === id && trade.x === x)
    assert.equal(now(corrected.oi, corrected.x), undefined)
    const replaced = now(corrected.ci, corrected.x)
    assert.deepEqual([replaced.p, replaced.s], [1.25, 7])
    assert.equal(now(canceled.i, canceled.x).u, "canceled")
    await ear.close()
  },
)

scopedTest(
  "a correction of a minute that is over comes with its bar once more",
  () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-11-23T15:00:30Z"))
      const venue = yield* startVenue()
      const ear = yield* Effect.promise(() =>
        listening(venue, "/v2/sip", { trades: ["AAPL"], updatedBars: ["AAPL"] })
      )
      yield* elapse(20_000)
      // Nothing more is printed, and so the last print's minute passes.
      yield* Effect.promise(() => arm(venue, { kind: "halt", symbol: "AAPL" }))
      yield* elapse(60_000)
      yield* Effect.promise(() => arm(venue, { kind: "trade_cancel", symbol: "AAPL" }))
      yield* elapse(200)
      const [canceled, updated] = yield* Effect.promise(() =>
        Promise.all([message(ear, ({ T }) => T === "x"), message(ear, ({ T }) => T === "u")])
      )
      const trades = heard(ear, "t").filter(({ i, x }) => i !== canceled.i || x !== canceled.x)
      assert.equal(trades.length, heard(ear, "t").length - 1)
      // What was printed before anybody listened belongs to the minute, too.
      assert.ok(
        updated.n >= trades.length && updated.v >= trades.reduce((sum, { s }) => sum + s, 0),
      )
      assert.deepEqual([updated.t, updated.c], ["2026-11-23T15:00:00Z", trades.at(-1)?.p])
      yield* Effect.promise(() => ear.close())
    }).pipe(Effect.provide(TestClock.layer())),
)

// What can go wrong on the way

venueTest("a mute connection answers pings and says nothing more", async (venue) => {
  const ear = await listening(venue, IEX, { quotes: ["SPY"] })
  await message(ear, ({ T }) => T === "q")
  await strike(venue, { kind: "mute", match: { door: "dataStream" } })
  await ear.ping()
  const count = ear.heard.length
  await new Promise((done) => setTimeout(done, 1_000))
  await ear.ping()
  assert.equal(ear.heard.length, count)
  await ear.close()
})

venueTest("frames are lost, doubled and spoiled like those of the other venue", async (venue) => {
  const ear = await listening(venue, IEX, { quotes: ["SPY"], trades: ["NVDA"] })
  await arm(venue, { kind: "garble", as: "null_price", count: 1, match: { symbol: "SPY" } })
  await message(ear, ({ T, bp, ap }) => T === "q" && bp === null && ap === null)
  await arm(venue, { kind: "garble", as: "crossed_quote", count: 1, match: { symbol: "SPY" } })
  await message(ear, ({ T, bp, ap }) => T === "q" && bp > ap)
  await arm(venue, { kind: "garble", as: "unknown_event", count: 1, match: { stream: "trades" } })
  await message(ear, ({ T }) => T === "somethingNew")
  await arm(venue, { kind: "duplicate", count: 1, match: { symbol: "NVDA" } })
  await ear.hears(() => {
    const ids = heard(ear, "t").map(({ i }) => i)
    return new Set(ids).size < ids.length
  })
  await ear.close()
})

venueTest(
  "an upgrade can be refused with the seconds to wait, and left unanswered",
  async (venue) => {
    await arm(venue, {
      kind: "refuse_upgrade",
      status: 429,
      retryAfterSeconds: 7,
      count: 1,
      match: { door: "dataStream", path: IEX },
    })
    const socket = new WebSocket(`${venue.endpoints.dataStream}${IEX}`)
    const refused = await new Promise((resolve) => {
      socket.on("unexpected-response", (_, response) => {
        resolve([response.statusCode, response.headers["retry-after"]])
        socket.terminate()
      })
      socket.on("error", () => {})
    })
    assert.deepEqual(refused, [429, "7"])
    await arm(venue, { kind: "hang_upgrade", count: 1 })
    const hung = new WebSocket(`${venue.endpoints.dataStream}${IEX}`, { handshakeTimeout: 150 })
    const error = await new Promise<Error>((resolve) => hung.on("error", resolve))
    assert.match(error.message, /handshake has timed out/i)
  },
)

venueTest("a client that does not read is called slow and closed", async (venue) => {
  const ear = await listening(venue, IEX, { quotes: ["SPY"] })
  ear.pause()
  await strike(venue, { kind: "burst", frames: 150_000, match: { symbol: "SPY" } })
  ear.resume()
  await ear.closed
  assert.deepEqual(heard(ear, "error"), [{ T: "error", code: 407, msg: "slow client" }])
})
