import assert from "node:assert/strict"
import { WebsocketAPIClient, WebsocketClient } from "binance"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { SimulatedBinance } from "../../../venues/simulator/binance.ts"
import {
  answer,
  atoms,
  Ear,
  KEY,
  restClient,
  scopedTest,
  SECRET,
  startVenue,
  venueTest,
} from "./simulator.ts"
import { subscribed } from "./user_data.ts"

const SILENT = { trace: () => {}, info: () => {}, error: () => {} }

/** The official stream clients keep timers until they hear that their sockets are closed. */
async function closed(client: WebsocketClient, close: () => unknown, sockets: number) {
  const gone = new Promise<void>((resolve) => {
    let open = sockets
    client.on("close", () => --open === 0 && resolve())
  })
  close()
  await gone
}

venueTest(
  "the official stream client subscribes and gets trades, quotes, klines and depth",
  async (venue) => {
    const client = new WebsocketClient({ wsUrl: venue.endpoints.ws }, SILENT)
    const heard = new Set<string>()
    const all = new Promise<void>((resolve) => {
      client.on("message", (message) => {
        if ("streamName" in message) heard.add(String(message.streamName))
        if (heard.size === 4) resolve()
      })
    })
    const streams = [
      "btcusdt@trade",
      "btcusdt@bookTicker",
      "ethusdt@kline_1s",
      "solusdt@depth@100ms",
    ]
    await client.subscribe(streams, "main")
    await all
    assert.deepEqual([...heard].toSorted(), streams.toSorted())
    await closed(client, () => client.closeAll(true), 1)
  },
)

venueTest(
  "the official WS-API client trades and hears of it on its user data stream",
  async (venue) => {
    const api = new WebsocketAPIClient({
      api_key: KEY,
      api_secret: SECRET,
      wsUrl: venue.endpoints.ws,
      attachEventListeners: false,
      muteLatencyWarning: true,
    }, SILENT)
    const reports = new Array<Record<string, unknown>>()
    const filled = new Promise<void>((resolve) => {
      api.getWSClient().on("message", (message) => {
        const event = message as unknown as Record<string, unknown>
        if (event["e"] === "executionReport") reports.push(event)
        if (event["e"] === "outboundAccountPosition") resolve()
      })
    })
    await api.subscribeUserDataStream("mainWSAPI")
    const client = restClient(venue)
    await answer(
      client.postPrivate("api/v3/order", {
        symbol: "BTCUSDT",
        side: "BUY",
        type: "MARKET",
        quantity: "0.01",
      }),
    )
    await filled
    assert.deepEqual(reports.map((report) => [report["x"], report["X"]]), [["NEW", "NEW"], [
      "TRADE",
      "FILLED",
    ]])
    await closed(api.getWSClient(), () => api.disconnectAll(), 1)
  },
)

venueTest("frames come wrapped on /stream and bare on /ws", async (venue) => {
  const wrapped = await new Ear(`${venue.endpoints.ws}/stream?streams=btcusdt@bookTicker`).opened()
  const bare = await new Ear(`${venue.endpoints.ws}/ws/btcusdt@bookTicker`).opened()
  const outer = await wrapped.hears(() => true)
  assert.equal(outer.stream, "btcusdt@bookTicker")
  const inner = await bare.hears(() => true)
  assert.deepEqual(Object.keys(inner), ["u", "s", "b", "B", "a", "A"])
  await Promise.all([wrapped.close(), bare.close()])
})

/** What a fresh connection answers to each message; five are the most that a second allows. */
async function answers(venue: SimulatedBinance, ...messages: ReadonlyArray<object | string>) {
  const ear = await new Ear(`${venue.endpoints.ws}/stream`).opened()
  for (const message of messages) ear.say(message)
  await ear.hears(() =>
    ear.heard.filter((frame) => frame.stream === undefined).length === messages.length
  )
  await ear.close()
  return ear.heard.filter((frame) => frame.stream === undefined)
}

venueTest("control frames subscribe, list and unsubscribe", async (venue) => {
  const params = ["bnbusdt@trade"]
  assert.deepEqual(
    await answers(
      venue,
      { method: "SUBSCRIBE", params, id: 1 },
      { method: "LIST_SUBSCRIPTIONS", id: "two" },
      { method: "UNSUBSCRIBE", params, id: 3 },
      { method: "LIST_SUBSCRIPTIONS", id: null },
      { method: "GET_PROPERTY", params: ["combined"], id: 7 },
    ),
    [
      { result: null, id: 1 },
      { result: params, id: "two" },
      { result: null, id: 3 },
      { result: [], id: null },
      { result: true, id: 7 },
    ],
  )
})

venueTest("control frames that make no sense are refused by number", async (venue) => {
  const refused = await answers(
    venue,
    { method: "SHOUT", id: 5 },
    { method: "SUBSCRIBE", params: "x", id: 6 },
    { method: "GET_PROPERTY", params: ["colour"], id: 8 },
    { method: "SET_PROPERTY", params: ["combined", 1], id: 9 },
    "{",
  )
  assert.deepEqual(refused.map((frame) => [frame.id, frame.code]), [
    [5, 2],
    [6, 2],
    [8, 0],
    [9, 1],
    [null, 3],
  ])
})

venueTest("who sends more than five messages in a second is closed with 1008", async (venue) => {
  const ear = await new Ear(`${venue.endpoints.ws}/stream`).opened()
  for (let id = 0; id < 12; id++) ear.say({ method: "LIST_SUBSCRIPTIONS", id })
  assert.equal(await ear.closed, 1008)
})

venueTest("aggregate trades, tickers and partial depth are streams too", async (venue) => {
  const names = ["aggTrade", "miniTicker", "ticker", "depth5@100ms", "depth20"]
    .map((one) => `btcusdt@${one}`)
  const ear = await new Ear(`${venue.endpoints.ws}/stream?streams=${names.join("/")}`).opened()
  const [aggregate, mini, ticker, five, twenty] = await Promise.all(
    names.map((name) => ear.hears((frame) => frame.stream === name)),
  )
  assert.deepEqual(
    [aggregate.data.e, mini.data.e, ticker.data.e],
    ["aggTrade", "24hrMiniTicker", "24hrTicker"],
  )
  assert.equal(aggregate.data.f, aggregate.data.l)
  assert.ok(atoms(ticker.data.h) >= atoms(ticker.data.l))
  assert.deepEqual([five.data.bids.length, twenty.data.asks.length], [5, 10])
  await ear.close()
})

venueTest(
  "trade ids have no gap, and what was missed can be fetched from any id",
  async (venue) => {
    const ear = await new Ear(`${venue.endpoints.ws}/ws/btcusdt@trade`).opened()
    await ear.count(5)
    const ids = ear.heard.map((trade) => trade.t)
    assert.deepEqual(ids, ids.map((_, index) => ids[0] + index))
    const fetched = await answer(
      restClient(venue).get("api/v3/historicalTrades", {
        symbol: "BTCUSDT",
        fromId: ids[0],
        limit: 5,
      }),
    )
    assert.deepEqual(fetched.map((trade: { id: number }) => trade.id), ids.slice(0, 5))
    assert.deepEqual(
      fetched.map((trade: { price: string }) => trade.price),
      ear.heard.slice(0, 5).map((trade) => trade.p),
    )
    await ear.close()
  },
)

venueTest("a local book kept from snapshot and diffs is the venue's book", async (venue) => {
  const ear = await new Ear(`${venue.endpoints.ws}/ws/ethusdt@depth@100ms`).opened()
  await ear.count(2)
  const client = restClient(venue)
  const snapshot = await answer(client.get("api/v3/depth", { symbol: "ETHUSDT", limit: 100 }))
  const book = {
    b: new Map<string, string>(snapshot.bids),
    a: new Map<string, string>(snapshot.asks),
  }
  let last: number = snapshot.lastUpdateId
  // A snapshot taken between two diffs has no counterpart; take one until it has.
  let later = snapshot
  while (later === snapshot || !ear.heard.some((diff) => diff.u === later.lastUpdateId)) {
    await ear.count(ear.heard.length + 1)
    later = await answer(client.get("api/v3/depth", { symbol: "ETHUSDT", limit: 100 }))
  }
  for (const diff of ear.heard) {
    if (diff.u <= snapshot.lastUpdateId || diff.u > later.lastUpdateId) continue
    assert.ok(diff.U <= last + 1 && diff.u > last)
    last = diff.u
    for (const side of ["b", "a"] as const) {
      for (const [price, size] of diff[side]) {
        if (Number(size) === 0) book[side].delete(price)
        else book[side].set(price, size)
      }
    }
  }
  assert.equal(last, later.lastUpdateId)
  assert.deepEqual([...book.b].toSorted(), later.bids.toSorted())
  assert.deepEqual([...book.a].toSorted(), later.asks.toSorted())
  await ear.close()
})

venueTest("an order's life arrives as execution reports and balances, in order", async (venue) => {
  const { ear, ack } = await subscribed(venue)
  assert.deepEqual([ack.status, ack.result], [200, { subscriptionId: 0 }])
  const client = restClient(venue)
  await answer(
    client.postPrivate("api/v3/order", {
      symbol: "SOLUSDT",
      side: "BUY",
      type: "LIMIT",
      timeInForce: "GTC",
      price: "100.00",
      quantity: "2",
      newClientOrderId: "mine",
    }),
  )
  await answer(
    client.deletePrivate("api/v3/order", {
      symbol: "SOLUSDT",
      origClientOrderId: "mine",
      newClientOrderId: "undo",
    }),
  )
  const canceled = (await ear.hears((frame) => frame.event?.x === "CANCELED")).event
  assert.deepEqual([canceled.c, canceled.C, canceled.X, canceled.w], [
    "undo",
    "mine",
    "CANCELED",
    false,
  ])
  const created = (await ear.hears((frame) => frame.event?.x === "NEW")).event
  assert.deepEqual([created.c, created.C, created.t, created.N, created.w], [
    "mine",
    "",
    -1,
    null,
    true,
  ])
  await ear.hears(() =>
    ear.heard.filter((frame) => frame.event?.e === "outboundAccountPosition").length === 2
  )
  const positions = ear.heard.filter((frame) => frame.event?.e === "outboundAccountPosition")
  assert.deepEqual(positions.map((frame) => frame.event.B[0]), [
    { a: "USDT", f: "99800.00000000", l: "200.00000000" },
    { a: "USDT", f: "100000.00000000", l: "0.00000000" },
  ])
  await ear.close()
})

venueTest(
  "a resting order is filled by the market, maker, with cumulative amounts that add up",
  async (venue) => {
    const { ear } = await subscribed(venue)
    const client = restClient(venue)
    const { askPrice } = await answer(client.get("api/v3/ticker/bookTicker", { symbol: "BTCUSDT" }))
    // Just below the offer: the market walks through it within moments.
    const price = (Number(askPrice) * 0.99999).toFixed(2)
    await answer(
      client.postPrivate("api/v3/order", {
        symbol: "BTCUSDT",
        side: "BUY",
        type: "LIMIT",
        timeInForce: "GTC",
        price,
        quantity: "0.002",
      }),
    )
    const { event: filled } = await ear.hears((frame) => frame.event?.X === "FILLED")
    const fills = ear.heard.filter((frame) => frame.event?.x === "TRADE").map((frame) =>
      frame.event
    )
    assert.equal(fills.reduce((sum, fill) => sum + atoms(fill.l), 0n), atoms(filled.z))
    assert.equal(fills.reduce((sum, fill) => sum + atoms(fill.Y), 0n), atoms(filled.Z))
    assert.ok(fills.every((fill) => fill.n !== "0" && fill.N === "BTC"))
    await ear.close()
  },
)

venueTest("WS-API requests are refused like REST ones, and unknown methods too", async (venue) => {
  const ear = await new Ear(venue.endpoints.wsApi).opened()
  const ask = async (id: string, method: string, params = {}) => {
    ear.say({ id, method, params })
    return await ear.hears((frame) => frame.id === id)
  }
  const time = await ask("a", "time")
  assert.equal(time.status, 200)
  assert.ok(time.rateLimits.length > 0)
  const short = await ask("s", "time", { returnRateLimits: false })
  assert.deepEqual([short.status, short.rateLimits], [200, undefined])
  assert.deepEqual((await ask("b", "depth", { symbol: "NOPE" })).error, {
    code: -1121,
    msg: "Invalid symbol.",
  })
  const timestamp = time.result.serverTime
  const wrong = await ask("c", "userDataStream.subscribe.signature", {
    apiKey: KEY,
    timestamp,
    signature: "00",
  })
  assert.deepEqual([wrong.status, wrong.error.code], [400, -1022])
  const stranger = await ask("d", "account.status", { apiKey: "other", timestamp, signature: "00" })
  assert.deepEqual([stranger.status, stranger.error.code], [401, -2015])
  assert.equal((await ask("e", "order.shout")).status, 404)
  ear.say("not json")
  assert.equal((await ear.hears((frame) => frame.id === null)).error.code, -5000)
  await ear.close()
})

venueTest(
  "one connection has one user data subscription; without one it hears nothing",
  async (venue) => {
    const { ear } = await subscribed(venue)
    ear.say({ id: "off", method: "userDataStream.unsubscribe", params: {} })
    await ear.hears((frame) => frame.id === "off")
    await answer(
      restClient(venue).postPrivate("api/v3/order", {
        symbol: "BTCUSDT",
        side: "BUY",
        type: "MARKET",
        quantity: "0.001",
      }),
    )
    ear.say({ id: "list", method: "session.subscriptions" })
    assert.deepEqual((await ear.hears((frame) => frame.id === "list")).result, [])
    assert.equal(ear.heard.some((frame) => frame.event !== undefined), false)
    await ear.close()
  },
)

scopedTest(
  "the venue pings every 20 s and drops who has not answered for a minute",
  () =>
    Effect.gen(function* () {
      const venue = yield* startVenue()
      const [deaf, alive] = yield* Effect.promise(() =>
        Promise.all([
          new Ear(`${venue.endpoints.ws}/stream`, { autoPong: false }).opened(),
          new Ear(`${venue.endpoints.ws}/stream`).opened(),
        ])
      )
      let code: number | undefined
      deaf.closed.then((closed) => void (code = closed))
      // The pongs of the living travel over a real socket, so time has to wait for them.
      for (let second = 0; second < 85 && code === undefined; second++) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
        if (second < 75) assert.equal(code, undefined, `dropped after ${second} s`)
      }
      yield* Effect.promise(() => deaf.closed)
      assert.equal(code, 1006)
      alive.say({ method: "LIST_SUBSCRIPTIONS", id: 1 })
      yield* Effect.promise(() => alive.hears((frame) => frame.id === 1))
      yield* Effect.promise(() => alive.close())
    }).pipe(Effect.provide(TestClock.layer())),
)

scopedTest(
  "who comes back to a stream of klines is not told the bars of before",
  () =>
    Effect.gen(function* () {
      const venue = yield* startVenue()
      const ear = yield* Effect.promise(() => new Ear(`${venue.endpoints.ws}/ws`).opened())
      const control = (method: string, id: number) =>
        Effect.promise(() => {
          ear.say({ method, params: ["btcusdt@kline_1s"], id })
          return ear.hears((frame) => frame.id === id)
        })
      const klines = () => ear.heard.filter((frame) => frame.e === "kline")
      const elapse = Effect.fnUntraced(function* (seconds: number) {
        for (let tenth = 0; tenth < seconds * 10; tenth++) yield* TestClock.adjust("100 millis")
        yield* Effect.promise(() => ear.ping())
      })
      yield* control("SUBSCRIBE", 1)
      yield* elapse(3)
      assert.ok(klines().some(({ k }) => k.x))
      yield* control("UNSUBSCRIBE", 2)
      yield* elapse(10)
      const before = klines().length
      yield* control("SUBSCRIBE", 3)
      yield* elapse(1)
      const [first] = klines().slice(before)
      assert.deepEqual([first.k.t, first.k.x], [13_000, false])
      yield* Effect.promise(() => ear.close())
    }).pipe(Effect.provide(TestClock.layer())),
)

scopedTest("closing the venue ends every connection at once", () =>
  Effect.gen(function* () {
    const ears = yield* Effect.scoped(Effect.gen(function* () {
      const venue = yield* startVenue()
      const ears = yield* Effect.promise(() =>
        Promise.all([
          new Ear(`${venue.endpoints.ws}/stream?streams=btcusdt@bookTicker`).opened(),
          new Ear(venue.endpoints.wsApi).opened(),
        ])
      )
      return ears
    })).pipe(Effect.timeout("2 seconds"), Effect.orDie)
    yield* Effect.promise(() => Promise.all(ears.map((ear) => ear.closed)))
  }))

scopedTest("a port in use is one clear error", () =>
  Effect.gen(function* () {
    const venue = yield* startVenue()
    const port = Number(new URL(venue.endpoints.rest).port)
    const error = yield* Effect.flip(startVenue({ port }))
    assert.equal(error.message, `port ${port} on 127.0.0.1 is in use; choose another or 0`)
  }))
