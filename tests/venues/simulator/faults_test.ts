import assert from "node:assert/strict"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { WebSocket } from "ws"
import type { SimulatedBinance } from "../../../venues/simulator/binance.ts"
import type { Fault, FrameFault } from "../../../venues/simulator/fault.ts"
import { Faults } from "../../../venues/simulator/faults.ts"
import {
  answer,
  arm,
  Ear,
  outcome,
  restClient,
  scopedTest,
  startVenue,
  strike,
  venueTest,
} from "./simulator.ts"
import { subscribed } from "./user_data.ts"

const market = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" }
const limit = {
  symbol: "BTCUSDT",
  side: "BUY",
  type: "LIMIT",
  timeInForce: "GTC",
  price: "50000.00",
  quantity: "0.001",
}
const POST = { method: "POST", path: "/api/v3/order" }

/** Places an order that must not be answered properly; whatever it gets instead. */
async function unanswered(venue: SimulatedBinance, order: object = market): Promise<unknown> {
  try {
    return { answered: await restClient(venue).postPrivate("api/v3/order", order) }
  } catch (error) {
    const { response, message } = error as {
      response?: { status: number; data: string }
      message: string
    }
    return response === undefined ? message : { status: response.status, body: response.data }
  }
}

/** The clock of its surroundings, `laterMs` on. */
const laterClock = Effect.map(Clock.Clock, (clock) => {
  const time: { laterMs: number; readonly clock: Clock.Clock } = {
    laterMs: 0,
    clock: Object.assign(Object.create(clock), {
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + time.laterMs,
    }),
  }
  return time
})

// Deciding

Deno.test("a fault strikes from its time to its time, whom it matches, as often as it may", () => {
  let now = 1_000
  const faults = new Faults(() => now)
  faults.arm({ kind: "drop", fromMs: 100, untilMs: 200, match: { stream: "btc*@trade" }, count: 2 })
  const strikes = (stream: string) => faults.frame({ door: "streams", stream }) !== undefined
  assert.equal(strikes("btcusdt@trade"), false)
  now = 1_150
  assert.equal(strikes("ethusdt@trade"), false)
  assert.equal(strikes("btcusdt@bookTicker"), false)
  assert.equal(strikes("btcusdt@trade"), true)
  assert.equal(strikes("btcusdt@trade"), true)
  assert.equal(strikes("btcusdt@trade"), false)
  assert.deepEqual(faults.armed, [])
  faults.arm({ kind: "drop", untilMs: 100 })
  assert.equal(strikes("btcusdt@trade"), false)
  assert.deepEqual(
    faults.journal.map((strike) => [strike.kind, strike.atMs, strike.subject.stream]),
    [
      ["drop", 150, "btcusdt@trade"],
      ["drop", 150, "btcusdt@trade"],
    ],
  )
})

Deno.test("chance is seeded: the same fault strikes the same frames again", () => {
  const pattern = (seed: number) => {
    const faults = new Faults(() => 0)
    faults.arm({ kind: "drop", id: "x", probability: 0.3, seed })
    return Array.from({ length: 200 }, () => faults.frame({}) !== undefined)
  }
  assert.deepEqual(pattern(1), pattern(1))
  assert.notDeepEqual(pattern(1), pattern(2))
  const share = pattern(3).filter(Boolean).length / 200
  assert.ok(share > 0.15 && share < 0.45, String(share))
})

Deno.test("what strikes everybody strikes once, unless it says how often", () => {
  const faults = new Faults(() => 0)
  faults.arm({ kind: "reset_connections" })
  faults.arm({ kind: "clock_skew", ms: 5, count: 2 })
  assert.deepEqual([faults.due().length, faults.due().length, faults.due().length], [2, 1, 0])
})

Deno.test("disarm() takes one fault or all away", () => {
  const faults = new Faults(() => 0)
  const [a] = [faults.arm({ kind: "drop" }), faults.arm({ kind: "hang_upgrade" })]
  assert.equal(faults.disarm(a), true)
  assert.equal(faults.disarm(a), false)
  assert.equal(faults.armed.length, 1)
  assert.equal(faults.disarm(), true)
  assert.deepEqual(faults.armed, [])
})

// Requests

for (
  const [name, fault] of [
    ["reset", { kind: "reset", when: "after", match: POST, count: 1 }],
    ["truncated", { kind: "truncate", when: "after", match: POST, count: 1 }],
    ["a 504 page", {
      kind: "respond",
      when: "after",
      status: 504,
      body: "<html>",
      match: POST,
      count: 1,
    }],
    ["empty", { kind: "respond", when: "after", status: 200, body: "", match: POST, count: 1 }],
  ] as ReadonlyArray<readonly [string, Fault]>
) {
  venueTest(`an order whose answer is lost (${name}) exists all the same`, async (venue) => {
    await arm(venue, fault)
    const got = await unanswered(venue)
    assert.equal(JSON.stringify(got).includes("FILLED"), false, JSON.stringify(got))
    assert.deepEqual(venue.books().orders.map((order) => order.status), ["FILLED"])
    assert.equal(venue.faults.journal.length, 1)
    await answer(restClient(venue).postPrivate("api/v3/order", market))
  })
}

for (
  const [name, fault] of [
    ["reset", { kind: "reset", when: "before", match: POST, count: 1 }],
    ["-1007", {
      kind: "respond",
      when: "before",
      status: 504,
      body: JSON.stringify({
        code: -1007,
        msg: "Timeout waiting for response from backend server.",
      }),
      match: POST,
      count: 1,
    }],
    ["a firewall's page", {
      kind: "respond",
      when: "before",
      status: 403,
      body: "<html>403</html>",
      contentType: "text/html",
      match: POST,
      count: 1,
    }],
  ] as ReadonlyArray<readonly [string, Fault]>
) {
  venueTest(`an order that is lost on the way (${name}) does not exist`, async (venue) => {
    await arm(venue, fault)
    const got = await unanswered(venue)
    assert.equal(JSON.stringify(got).includes("FILLED"), false)
    assert.deepEqual(venue.books().orders, [])
  })
}

venueTest("a request that hangs is never answered and holds nobody up", async (venue) => {
  await arm(venue, { kind: "hang", when: "before", match: { path: "/api/v3/time" }, count: 1 })
  const hanging = fetch(`${venue.endpoints.rest}/api/v3/time`, { signal: AbortSignal.timeout(300) })
  await assert.rejects(hanging)
  assert.equal(venue.traffic().requestsOpen, 0)
  assert.equal(
    (await fetch(`${venue.endpoints.rest}/api/v3/ping`).then((r) => r.json(), String)) !==
      undefined,
    true,
  )
})

venueTest("an answer can come late, and in drops, whole", async (venue) => {
  await arm(venue, {
    kind: "drip",
    when: "after",
    ms: 10,
    match: { path: "*exchangeInfo" },
    count: 1,
  })
  const info = await answer(restClient(venue).get("api/v3/exchangeInfo"))
  assert.equal(info.symbols.length, 4)
  await arm(venue, { kind: "delay", when: "after", ms: 500, match: POST, count: 1 })
  const { ear } = await subscribed(venue)
  let isAnswered = false
  const placing = answer(restClient(venue).postPrivate("api/v3/order", market))
    .then(() => void (isAnswered = true))
  // The fill is told before the order is acknowledged.
  await ear.hears((frame) => frame.event?.X === "FILLED")
  assert.equal(isAnswered, false)
  await placing
  await ear.close()
})

venueTest("a fill can win the race against a cancel", async (venue) => {
  const client = restClient(venue)
  await answer(client.postPrivate("api/v3/order", { ...limit, newClientOrderId: "race" }))
  await arm(venue, {
    kind: "fill_before_cancel",
    when: "before",
    match: { method: "DELETE" },
    count: 1,
  })
  const canceled = await outcome(
    client.deletePrivate("api/v3/order", { symbol: "BTCUSDT", origClientOrderId: "race" }),
  )
  assert.deepEqual(canceled.body, { code: -2011, msg: "Unknown order sent." })
  const order = await answer(
    client.getPrivate("api/v3/order", { symbol: "BTCUSDT", origClientOrderId: "race" }),
  )
  assert.deepEqual([order.status, order.executedQty], ["FILLED", "0.00100000"])
})

// Upgrades

venueTest(
  "upgrades are refused with a status and a time to wait, or never answered",
  async (venue) => {
    await arm(venue, { kind: "refuse_upgrade", status: 429, retryAfterSeconds: 7, count: 1 })
    const refused = await new Promise<[number | undefined, string | undefined]>((resolve) => {
      const socket = new WebSocket(`${venue.endpoints.ws}/stream`)
      socket.on("unexpected-response", (request, response) => {
        resolve([response.statusCode, response.headers["retry-after"]])
        request.destroy()
      })
      socket.on("error", () => {})
    })
    assert.deepEqual(refused, [429, "7"])
    await arm(venue, { kind: "hang_upgrade", match: { door: "wsApi" }, count: 1 })
    const text = await new Promise<string>((resolve) => {
      const socket = new WebSocket(venue.endpoints.wsApi, { handshakeTimeout: 100 })
      socket.on("error", (error) => resolve(error.message))
    })
    assert.match(text, /timed out/)
    await (await new Ear(venue.endpoints.wsApi).opened()).close()
  },
)

// Frames

/** What is heard of `symbol` when the first trade of it is spoiled. */
async function tradesUnder(
  venue: SimulatedBinance,
  fault: FrameFault,
  symbol: string,
  frames: number,
) {
  const stream = `${symbol}@trade`
  await arm(venue, { ...fault, match: { stream }, count: 1 })
  const ear = await new Ear(`${venue.endpoints.ws}/ws/${stream}`).opened()
  await ear.count(frames)
  await ear.close()
  return ear
}

venueTest("frames are dropped, doubled and swapped", async (venue) => {
  const ids = async (kind: "drop" | "duplicate" | "swap", symbol: string) => {
    const ear = await tradesUnder(venue, { kind }, symbol, 3)
    const first = ear.heard[0].t
    return ear.heard.slice(0, 3).map((trade) => trade.t - first)
  }
  assert.deepEqual(await ids("duplicate", "btcusdt"), [0, 0, 1])
  assert.deepEqual(await ids("swap", "ethusdt"), [0, -1, 1])
  const before = venue.faults.journal.length
  assert.deepEqual(await ids("drop", "btcusdt"), [0, 1, 2])
  assert.equal(venue.faults.journal.length, before + 1)
})

venueTest("frames are garbled in ways a decoder has to survive", async (venue) => {
  let isBitcoin = false
  const garbled = async (as: Extract<FrameFault, { kind: "garble" }>["as"]) => {
    // Never the stream that somebody has only just left.
    isBitcoin = !isBitcoin
    const symbol = isBitcoin ? "btcusdt" : "ethusdt"
    return (await tradesUnder(venue, { kind: "garble", as }, symbol, 1)).heard[0]
  }
  assert.equal((await garbled("null_price")).p, null)
  assert.equal((await garbled("empty_price")).p, "")
  assert.equal((await garbled("unknown_event")).e, "somethingNew")
  assert.deepEqual((await garbled("extra_fields")).zz.nested, [1, null, "x"])
  const late = await garbled("past_time")
  assert.ok(late.E < Date.now() - 50_000)
})

for (const as of ["bad_utf8", "reserved_bits", "huge_length"] as const) {
  venueTest(
    `bytes that no WebSocket may carry (${as}) end the connection, not the venue`,
    async (venue) => {
      const socket = new WebSocket(`${venue.endpoints.ws}/ws/btcusdt@bookTicker`, {
        maxPayload: 1_000_000,
      })
      const failed = new Promise<string>((resolve) =>
        socket.on("error", (error) => resolve(error.message))
      )
      const closed = new Promise((resolve) => socket.on("close", resolve))
      await new Promise((resolve) => socket.on("open", resolve))
      await arm(venue, { kind: "garble", as, count: 1 })
      assert.match(await failed, /UTF-8|RSV|payload|opcode/i)
      await closed
      await answer(restClient(venue).get("api/v3/ping"))
    },
  )
}

venueTest("reports are lost, doubled or late like any frame", async (venue) => {
  const { ear } = await subscribed(venue)
  await arm(venue, {
    kind: "duplicate",
    match: { event: "executionReport", execution: "TRADE" },
    count: 1,
  })
  await arm(venue, {
    kind: "drop",
    match: { event: "executionReport", execution: "NEW" },
    count: 1,
  })
  await answer(restClient(venue).postPrivate("api/v3/order", market))
  await ear.hears((frame) => frame.event?.e === "outboundAccountPosition")
  const told = ear.heard.filter((frame) => frame.event?.e === "executionReport").map((frame) =>
    frame.event.x
  )
  assert.deepEqual(told, ["TRADE", "TRADE"])
  await ear.close()
})

// Everybody

venueTest("connections are reset, cut and closed with a code", async (venue) => {
  for (
    const [fault, code] of [
      [{ kind: "reset_connections" }, 1006],
      [{ kind: "cut_connections" }, 1006],
      [{ kind: "close_connections", code: 1012, reason: "restart" }, 1012],
    ] as ReadonlyArray<readonly [Fault, number]>
  ) {
    const ear = await new Ear(`${venue.endpoints.ws}/stream`).opened()
    await arm(venue, fault)
    assert.equal(await ear.closed, code, fault.kind)
  }
})

venueTest(
  "a frozen connection neither speaks nor answers pings, and does not end",
  async (venue) => {
    const socket = new WebSocket(`${venue.endpoints.ws}/ws/btcusdt@bookTicker`)
    let [frames, pongs] = [0, 0]
    socket.on("message", () => frames++)
    socket.on("pong", () => pongs++)
    await new Promise((resolve) => socket.on("message", resolve))
    await strike(venue, { kind: "freeze_connections", match: { door: "streams" } })
    // What was on its way when it froze.
    while (frames < venue.traffic().framesSent) await new Promise((done) => setTimeout(done, 5))
    frames = 0
    socket.ping()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    assert.deepEqual([frames, pongs, socket.readyState], [0, 0, WebSocket.OPEN])
    const closed = new Promise((resolve) => socket.on("close", resolve))
    socket.terminate()
    await closed
  },
)

venueTest("a mute connection answers pings and says nothing more", async (venue) => {
  const ear = await new Ear(`${venue.endpoints.ws}/ws/btcusdt@bookTicker`).opened()
  await ear.count(1)
  await strike(venue, { kind: "mute", match: { door: "streams" } })
  await ear.ping()
  const count = ear.heard.length
  await new Promise((done) => setTimeout(done, 1_000))
  await ear.ping()
  assert.equal(ear.heard.length, count)
  const other = await new Ear(`${venue.endpoints.ws}/ws/btcusdt@bookTicker`).opened()
  await other.count(1)
  await Promise.all([ear.close(), other.close()])
})

venueTest("serverShutdown is announced in both doors' shapes before the end", async (venue) => {
  const [wrapped, bare, api] = await Promise.all([
    new Ear(`${venue.endpoints.ws}/stream`).opened(),
    new Ear(`${venue.endpoints.ws}/ws`).opened(),
    new Ear(venue.endpoints.wsApi).opened(),
  ])
  await arm(venue, { kind: "server_shutdown", ms: 100 })
  assert.equal(
    (await wrapped.hears((frame) => frame.stream === "!serverShutdown")).data.e,
    "serverShutdown",
  )
  assert.equal((await bare.hears(() => true)).e, "serverShutdown")
  assert.equal((await api.hears(() => true)).event.e, "serverShutdown")
  assert.deepEqual(await Promise.all([wrapped.closed, bare.closed, api.closed]), [1001, 1001, 1001])
})

scopedTest("an outage closes the port and opens the same one again", () =>
  Effect.gen(function* () {
    const venue = yield* startVenue()
    const stream = `${venue.endpoints.ws}/stream`
    const ear = yield* Effect.promise(() => new Ear(stream).opened())
    yield* Effect.promise(() => arm(venue, { kind: "outage", ms: 300 }))
    yield* TestClock.adjust("50 millis")
    assert.equal(yield* Effect.promise(() => ear.closed), 1006)
    const ping = () =>
      fetch(`${venue.endpoints.rest}/api/v3/ping`).then((response) => response.json())
    yield* Effect.promise(() => assert.rejects(ping()))
    yield* TestClock.adjust("300 millis")
    yield* Effect.promise(async () => {
      while (await ping().then(() => false, () => true));
      await (await new Ear(stream).opened()).close()
    })
  }).pipe(Effect.provide(TestClock.layer())))

venueTest("a burst is many quotes at once", async (venue) => {
  const ear = await new Ear(`${venue.endpoints.ws}/ws/ethusdt@bookTicker`).opened()
  await arm(venue, { kind: "burst", frames: 5_000, match: { symbol: "ETHUSDT" } })
  await ear.count(5_000)
  const ids = ear.heard.map((quote) => quote.u)
  assert.deepEqual(ids, ids.toSorted((a, b) => a - b))
  await ear.close()
})

venueTest("user data ends with a word, and a revoked key opens nothing any more", async (venue) => {
  const { ear } = await subscribed(venue)
  await arm(venue, { kind: "end_user_data" })
  await ear.hears((frame) => frame.event?.e === "eventStreamTerminated")
  await ear.close()
  const again = await subscribed(venue)
  await strike(venue, { kind: "revoke_key" })
  assert.equal((await outcome(restClient(venue).getPrivate("api/v3/account"))).status, 401)
  again.ear.say({
    id: "late",
    method: "account.status",
    params: { apiKey: venue.key, timestamp: 1 },
  })
  const told = await again.ear.hears((frame) => frame.id === null)
  assert.deepEqual([told.status, told.error.code], [401, -2015])
  await again.ear.close()
})

// The venue

venueTest("the venue's clock can be wrong", async (venue) => {
  await strike(venue, { kind: "clock_skew", ms: 60_000 })
  const refused = await outcome(restClient(venue).getPrivate("api/v3/account"))
  assert.deepEqual(refused.body, {
    code: -1021,
    msg: "Timestamp for this request is outside of the recvWindow.",
  })
  const { serverTime } = await answer(restClient(venue).get("api/v3/time"))
  const client = restClient(venue)
  client.setTimeOffset(serverTime - Date.now())
  await answer(client.getPrivate("api/v3/account"))
})

scopedTest("queries can lag behind the engine, which knows at once", () =>
  Effect.gen(function* () {
    const time = yield* laterClock
    const venue = yield* startVenue().pipe(Effect.provideService(Clock.Clock, time.clock))
    yield* Effect.promise(async () => {
      await strike(venue, { kind: "read_lag", ms: 60_000 })
      const client = restClient(venue)
      const young = { symbol: "BTCUSDT", origClientOrderId: "young" }
      const query = () => outcome(client.getPrivate("api/v3/order", young))
      const place = () =>
        outcome(client.postPrivate("api/v3/order", { ...limit, newClientOrderId: "young" }))
      assert.equal((await place()).status, 200)
      assert.deepEqual((await query()).body, { code: -2013, msg: "Order does not exist." })
      const open = await answer(client.getPrivate("api/v3/openOrders", { symbol: "BTCUSDT" }))
      assert.deepEqual(open, [])
      assert.deepEqual((await place()).body, { code: -2010, msg: "Duplicate order sent." })
      client.setTimeOffset(time.laterMs = 60_000)
      assert.equal((await query()).status, 200)
    })
  }))

venueTest("rules and status of a symbol can change while it trades", async (venue) => {
  await strike(venue, { kind: "listing", symbol: "BTCUSDT", tickSize: "1", notionalMin: "20" })
  const client = restClient(venue)
  const place = (price: string, quantity = "0.001") =>
    outcome(client.postPrivate("api/v3/order", { ...limit, price, quantity }))
  assert.deepEqual((await place("50000.50")).body, {
    code: -1013,
    msg: "Filter failure: PRICE_FILTER",
  })
  assert.deepEqual((await place("50000", "0.0003")).body, {
    code: -1013,
    msg: "Filter failure: NOTIONAL",
  })
  assert.equal((await place("50000")).status, 200)
  const info = await answer(client.get("api/v3/exchangeInfo", { symbol: "BTCUSDT" }))
  assert.equal(info.symbols[0].filters[0].tickSize, "1.00000000")
  await strike(venue, { kind: "listing", symbol: "BTCUSDT", status: "HALT" })
  assert.deepEqual((await place("50001")).body, { code: -1013, msg: "Market is closed." })
})

venueTest("a fault that this venue cannot have is refused in one line", async (venue) => {
  const text = (fault: Fault) =>
    Effect.runPromise(Effect.flip(venue.arm(fault))).then((error) => error.message)
  assert.equal(
    await text({ kind: "listing", symbol: "NOPE" }),
    "fault listing: symbol NOPE is not listed",
  )
  assert.equal(
    await text({ kind: "listing", symbol: "BTCUSDT", tickSize: "-1" }),
    'fault listing: tickSize must be a positive decimal, got "-1"',
  )
})

// Limits

scopedTest(
  "over the weight limit comes 429 with the seconds to wait, and then a ban",
  () =>
    Effect.gen(function* () {
      const now = Date.parse("2026-11-23T15:00:18Z")
      yield* TestClock.setTime(now)
      const venue = yield* startVenue()
      yield* Effect.promise(() => arm(venue, { kind: "limits", weightPerMinute: 100 }))
      yield* TestClock.adjust("50 millis")
      const get = () => fetch(`${venue.endpoints.rest}/api/v3/exchangeInfo`)
      yield* Effect.promise(async () => {
        const seen = new Array<readonly [number, number, number]>()
        let until = 0
        while (seen.at(-1)?.[0] !== 418) {
          const response = await get()
          const body = await response.json()
          const wait = Number(response.headers.get("retry-after"))
          seen.push([response.status, body.code ?? 0, wait])
          until = Number(/banned until (\d+)/.exec(body.msg ?? "")?.[1] ?? 0)
          assert.ok(seen.length < 30)
        }
        const refused = seen.filter(([status]) => status === 429)
        assert.deepEqual(refused, Array.from({ length: 5 }, () => [429, -1003, 42]))
        assert.deepEqual(seen.at(-1)?.slice(1), [-1003, 120])
        assert.equal(until, now + 50 + 120_000)
        const { status } = await get().then(async (response) => {
          await response.body?.cancel()
          return response
        })
        assert.equal(status, 418)
        await assert.rejects(new Ear(`${venue.endpoints.ws}/stream`).opened(), /418/)
      })
    }).pipe(Effect.provide(TestClock.layer())),
)

scopedTest(
  "too many orders and too many connections have limits of their own",
  () =>
    Effect.gen(function* () {
      const time = yield* laterClock
      // Far from the end of any window.
      const windowMs = 300_000
      time.laterMs = windowMs / 2 - time.clock.currentTimeMillisUnsafe() % windowMs
      const venue = yield* startVenue().pipe(Effect.provideService(Clock.Clock, time.clock))
      yield* Effect.promise(async () => {
        await strike(venue, { kind: "limits", ordersPer10s: 2, connectionsPer5m: 2 })
        const client = restClient(venue)
        client.setTimeOffset(time.laterMs)
        const codes = new Array<unknown>()
        for (let i = 0; i < 5; i++) {
          const { status, body } = await outcome(client.postPrivate("api/v3/order", market))
          if (status !== 200) codes.push([status, (body as { code: number }).code])
        }
        assert.deepEqual(codes[0], [429, -1015])
        const connect = () => new Ear(`${venue.endpoints.ws}/stream`).opened()
        const ears = await Promise.all([connect(), connect()])
        await assert.rejects(connect(), /429/)
        await Promise.all(ears.map((ear) => ear.close()))
      })
    }),
)

scopedTest("a connection ends when it is a day old", () =>
  Effect.gen(function* () {
    const time = yield* laterClock
    const venue = yield* startVenue().pipe(Effect.provideService(Clock.Clock, time.clock))
    const old = yield* Effect.promise(() => new Ear(`${venue.endpoints.ws}/stream`).opened())
    time.laterMs = 24 * 3_600_000 - 1_000
    const young = yield* Effect.promise(() => new Ear(`${venue.endpoints.ws}/stream`).opened())
    assert.equal(yield* Effect.promise(() => old.closed), 1001)
    young.say({ method: "LIST_SUBSCRIPTIONS", id: 1 })
    yield* Effect.promise(() => young.hears((frame) => frame.id === 1))
    yield* Effect.promise(() => young.close())
  }))

scopedTest("a frozen connection is given up after an hour", () =>
  Effect.gen(function* () {
    const time = yield* laterClock
    const venue = yield* startVenue().pipe(Effect.provideService(Clock.Clock, time.clock))
    yield* Effect.promise(async () => {
      const ear = await new Ear(`${venue.endpoints.ws}/stream`).opened()
      await strike(venue, { kind: "freeze_connections" })
      time.laterMs = 3_600_000
      assert.equal(await ear.closed, 1006)
    })
  }))
