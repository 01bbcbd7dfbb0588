import assert from "node:assert/strict"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Fault } from "../../../../venues/simulator/fault.ts"
import type { SimulatedAlpaca } from "../../../../venues/simulator/alpaca/mod.ts"
import { arm, Ear, scopedTest } from "../simulator.ts"
import { get, HEADERS, heard, IEX, listening, order, startVenue, venueTest } from "./venue.ts"

const CLOCK = "/v2/clock"

venueTest("keys that are none are refused by each side in its own words", async (venue) => {
  for (const keys of [{}, { ...HEADERS, "APCA-API-SECRET-KEY": "wrong" }]) {
    const data = await get(venue, "/v2/stocks/snapshots", { symbols: "SPY" }, keys)
    assert.deepEqual([data.status, data.body], [401, { message: "unauthorized." }])
    const trading = await get(venue, "/v2/account", {}, keys)
    assert.deepEqual([trading.status, trading.body], [403, {
      code: 40110000,
      message: "request is not authorized",
    }])
  }
})

scopedTest(
  "two hundred requests a minute, for trading and for data apart",
  () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-11-23T15:00:45Z"))
      const venue = yield* startVenue()
      const quotes = () => get(venue, "/v2/stocks/quotes/latest", { symbols: "SPY" })
      const first = yield* Effect.promise(quotes)
      const limits = ["limit", "remaining", "reset"]
        .map((name) => first.headers.get(`x-ratelimit-${name}`))
      assert.deepEqual(limits, ["200", "199", String(Date.parse("2026-11-23T15:01:00Z") / 1_000)])
      for (let i = 0; i < 199; i++) assert.equal((yield* Effect.promise(quotes)).status, 200)
      const refused = yield* Effect.promise(quotes)
      assert.deepEqual(
        [refused.status, refused.body, refused.headers.get("retry-after")],
        [429, { message: "too many requests." }, "15"],
      )
      assert.equal((yield* Effect.promise(() => get(venue, "/v2/account"))).status, 200)
      yield* TestClock.adjust("15 seconds")
      assert.equal((yield* Effect.promise(quotes)).status, 200)
    }).pipe(Effect.provide(TestClock.layer())),
)

venueTest("limits can be made easier to reach", async (venue) => {
  await arm(venue, { kind: "limits", weightPerMinute: 1 })
  const ask = () => get(venue, "/v2/account")
  let { status, body } = await ask()
  for (let i = 0; i < 100 && status === 200; i++) {
    ;({ status, body } = await ask())
    await new Promise((done) => setTimeout(done, 10))
  }
  assert.deepEqual([status, body.message], [429, "rate limit exceeded"])
})

venueTest("every answer has a request id of its own", async (venue) => {
  const ids = new Set<string | null>()
  for (const path of ["/v2/account", "/v2/stocks/AAPL/snapshot", "/v2/nothing", "/v2/stocks/x/y"]) {
    ids.add((await get(venue, path)).headers.get("x-request-id"))
  }
  assert.equal(ids.size, 4)
  assert.equal(ids.has(null), false)
})

venueTest("what cannot be decoded is found nowhere, and ends nobody else's", async (venue) => {
  for (const path of ["/v2/stocks/%ZZ/snapshot", "/v2/positions/%ZZ", "/v2/orders/%"]) {
    assert.equal((await get(venue, path)).status, 404, path)
  }
  for (const path of ["/v2/%ZZ", "//"]) {
    await assert.rejects(new Ear(`${venue.endpoints.dataStream}${path}`).opened(), /40[04]/)
  }
  assert.equal((await get(venue, CLOCK)).status, 200)
})

venueTest("requests to either side can be refused, spoiled and cut", async (venue) => {
  await arm(venue, {
    kind: "respond",
    when: "before",
    status: 503,
    body: "<html>",
    contentType: "text/html",
    count: 1,
    match: { door: "data", symbol: "SPY" },
  })
  const url = `${venue.endpoints.data}/v2/stocks/quotes/latest?symbols=SPY`
  const refused = await fetch(url, { headers: HEADERS })
  assert.deepEqual([refused.status, await refused.text()], [503, "<html>"])
  await arm(venue, { kind: "truncate", when: "after", count: 1, match: { door: "trading" } })
  await assert.rejects(get(venue, "/v2/account"))
  await arm(venue, {
    kind: "reset",
    when: "after",
    count: 1,
    match: { method: "POST", path: "/v2/orders", symbol: "SPY" },
  })
  const bought = {
    symbol: "SPY",
    qty: "1",
    side: "buy",
    type: "market",
    time_in_force: "day",
    client_order_id: "lost answer",
  }
  await assert.rejects(order(venue, bought))
  const found = await get(venue, "/v2/orders:by_client_order_id", {
    client_order_id: "lost answer",
  })
  assert.deepEqual([found.status, found.body.symbol], [200, "SPY"])
})

venueTest("an order fills just before it can be canceled", async (venue) => {
  const { id } = await order(venue, {
    symbol: "SPY",
    qty: "1",
    side: "buy",
    type: "limit",
    limit_price: "100",
    time_in_force: "day",
  })
  while ((await get(venue, `/v2/orders/${id}`)).body.status !== "new") { /* on its way */ }
  await arm(venue, { kind: "fill_before_cancel", when: "before", match: { method: "DELETE" } })
  const response = await fetch(`${venue.endpoints.trading}/v2/orders/${id}`, {
    method: "DELETE",
    headers: HEADERS,
  })
  assert.equal(response.status, 422)
  await response.body?.cancel()
  assert.equal((await get(venue, `/v2/orders/${id}`)).body.status, "filled")
})

/** A venue that has just gone away for 300 ms of its time. */
const inOutage = Effect.gen(function* () {
  const venue = yield* startVenue()
  const ear = yield* Effect.promise(() => listening(venue, IEX))
  yield* Effect.promise(() => arm(venue, { kind: "outage", ms: 300 }))
  yield* TestClock.adjust("50 millis")
  yield* Effect.promise(() => ear.closed)
  return venue
})

const isUp = (venue: SimulatedAlpaca) =>
  Effect.promise(() => get(venue, CLOCK).then(({ status }) => status === 200, () => false))

scopedTest(
  "an outage closes the port, and opens the same one again",
  () =>
    Effect.gen(function* () {
      const venue = yield* inOutage
      assert.equal(yield* isUp(venue), false)
      yield* TestClock.adjust("300 millis")
      while (!(yield* isUp(venue)));
    }).pipe(Effect.provide(TestClock.layer())),
)

scopedTest(
  "an outage during which somebody takes the port lasts until it is free again",
  () =>
    Effect.gen(function* () {
      const venue = yield* inOutage
      const { hostname, port } = new URL(venue.endpoints.data)
      const thief = Deno.listen({ hostname, port: Number(port) })
      yield* TestClock.adjust("300 millis")
      yield* Effect.promise(() => new Promise((done) => setTimeout(done, 50)))
      thief.close()
      let isBack = false
      for (let second = 0; second < 100 && !isBack; second++) {
        yield* TestClock.adjust("1 second")
        isBack = yield* isUp(venue)
      }
      assert.equal(isBack, true)
    }).pipe(Effect.provide(TestClock.layer())),
)

venueTest("a fault that this venue cannot have is refused in one line", async (venue) => {
  for (
    const [fault, text] of [
      [{ kind: "halt", symbol: "NOPE" }, "fault halt: symbol NOPE is not listed"],
      [{ kind: "read_lag", ms: 5 }, "fault read_lag: Alpaca's queries show what is so"],
      [
        { kind: "luld", symbol: "SPY", up: "-1" },
        'fault luld: up must be a positive decimal, got "-1"',
      ],
      [
        { kind: "listing", symbol: "SPY", tickSize: "1" },
        "fault listing: only the status of a listing changes here",
      ],
      [
        { kind: "limits", ordersPer10s: 1 },
        "fault limits: weightPerMinute is the one limit here: requests per minute",
      ],
    ] as const
  ) {
    const error = await Effect.runPromise(Effect.flip(venue.arm(fault)))
    assert.equal(error.message, text)
  }
})

// Sessions

/** What the clock and the calendar say, at a time in New York. */
const at = Effect.fn(function* (time: string, sessions: "always" | "exchange") {
  yield* TestClock.setTime(Date.parse(time))
  const venue = yield* startVenue({ sessions })
  const clock = yield* Effect.promise(() => get(venue, CLOCK))
  const day = time.slice(0, 10)
  const calendar = yield* Effect.promise(() => get(venue, "/v2/calendar", { start: day, end: day }))
  return { venue, clock: clock.body, days: calendar.body }
})

scopedTest("by default every hour of every day is one of trading", () =>
  Effect.gen(function* () {
    // A Sunday night.
    const { venue, clock, days } = yield* at("2026-11-22T22:00:00-05:00", "always")
    assert.equal(clock.is_open, true)
    assert.deepEqual(
      days.map((day: Record<string, string>) => [day["date"], day["open"], day["close"]]),
      [
        ["2026-11-22", "00:00", "23:59"],
      ],
    )
    const ear = yield* Effect.promise(() => listening(venue, IEX, { quotes: ["SPY"] }))
    yield* TestClock.adjust("2 seconds")
    yield* Effect.promise(() => ear.hears(() => heard(ear, "q").length > 0))
    yield* Effect.promise(() => ear.close())
  }).pipe(Effect.provide(TestClock.layer())))

/** Quotes of shares and of crypto heard in four seconds before and four after. */
const around = Effect.fn(function* (time: string) {
  const { venue, clock, days } = yield* at(time, "exchange")
  const [shares, crypto] = yield* Effect.promise(() =>
    Promise.all([
      listening(venue, IEX, { quotes: ["*"] }),
      listening(venue, "/v1beta3/crypto/us", { quotes: ["BTC/USD"] }),
    ])
  )
  const counts = new Array<readonly [number, number]>()
  for (let half = 0; half < 2; half++) {
    for (let i = 0; i < 40; i++) yield* TestClock.adjust("100 millis")
    yield* Effect.promise(() => Promise.all([shares.ping(), crypto.ping()]))
    counts.push([heard(shares, "q").length, heard(crypto, "q").length])
  }
  yield* Effect.promise(() => Promise.all([shares.close(), crypto.close()]))
  const [before = [0, 0], all = [0, 0]] = counts
  return { clock, days, before, after: [all[0] - before[0], all[1] - before[1]] as const }
})

scopedTest(
  "as at the exchange, quotes of shares stop when the late session is over",
  () =>
    Effect.gen(function* () {
      const { clock, days, before, after } = yield* around("2026-11-23T19:59:56-05:00")
      assert.equal(clock.is_open, false)
      assert.deepEqual([days[0].open, days[0].close], ["09:30", "16:00"])
      assert.ok(before[0] > 5 && before[1] > 5, String(before))
      assert.ok(after[0] <= 1 && after[1] > 5, String(after))
    }).pipe(Effect.provide(TestClock.layer())),
)

scopedTest(
  "as at the exchange, quotes of shares begin with the early session",
  () =>
    Effect.gen(function* () {
      const { before, after } = yield* around("2026-11-24T03:59:56-05:00")
      assert.ok(before[0] <= 1 && before[1] > 5, String(before))
      assert.ok(after[0] > 5 && after[1] > 5, String(after))
    }).pipe(Effect.provide(TestClock.layer())),
)

scopedTest(
  "a day can end early, and a phase can be had at any hour",
  () =>
    Effect.gen(function* () {
      const { venue } = yield* at("2026-11-23T11:00:00-05:00", "exchange")
      const isOpen = () => Effect.promise(async () => (await get(venue, CLOCK)).body.is_open)
      assert.equal(yield* isOpen(), true)
      yield* Effect.promise(() => arm(venue, { kind: "session", phase: "closed", ms: 60_000 }))
      yield* TestClock.adjust("1 second")
      assert.equal(yield* isOpen(), false)
      yield* TestClock.adjust("60 seconds")
      assert.equal(yield* isOpen(), true)
      yield* Effect.promise(() => arm(venue, { kind: "early_close", ms: 120_000 }))
      yield* TestClock.adjust("100 seconds")
      assert.equal(yield* isOpen(), true)
      yield* TestClock.adjust("80 seconds")
      assert.equal(yield* isOpen(), false)
      const { body } = yield* Effect.promise(() =>
        get(venue, "/v2/calendar", { start: "2026-11-23", end: "2026-11-24" })
      )
      assert.deepEqual(body.map(({ close }: { close: string }) => close), ["11:04", "16:00"])
    }).pipe(Effect.provide(TestClock.layer())),
)

// What the venue itself gets wrong

venueTest("its clock can be wrong, and its market goes on", async (venue) => {
  const ear = await listening(venue, IEX, { quotes: ["SPY"] })
  await ear.hears(() => heard(ear, "q").length > 0)
  await arm(venue, { kind: "clock_skew", ms: -3_600_000 })
  const isOff = ({ t }: { t: string }) => Date.parse(t) < Date.now() - 3_000_000
  await ear.hears(() => heard(ear, "q").filter(isOff).length >= 5)
  const { body } = await get(venue, CLOCK)
  assert.ok(Math.abs(Date.parse(body.timestamp) - Date.now() + 3_600_000) < 60_000)
  await ear.close()
})

scopedTest(
  "an order can be accepted and rejected later, and a cancel never finish",
  () =>
    Effect.gen(function* () {
      const venue = yield* startVenue()
      const limit = {
        symbol: "SPY",
        qty: "1",
        side: "buy",
        type: "limit",
        limit_price: "100",
        time_in_force: "day",
      }
      const statusOf = (id: string) =>
        Effect.promise(async () => (await get(venue, `/v2/orders/${id}`)).body.status)
      const placed = Effect.promise(async (): Promise<string> => (await order(venue, limit)).id)
      const strikes = (fault: Fault) =>
        Effect.andThen(Effect.promise(() => arm(venue, fault)), TestClock.adjust("50 millis"))

      yield* strikes({ kind: "reject_later" })
      const rejected = yield* placed
      assert.equal(yield* statusOf(rejected), "pending_new")
      yield* TestClock.adjust("50 millis")
      assert.equal(yield* statusOf(rejected), "rejected")
      const id = yield* placed
      yield* TestClock.adjust("50 millis")
      assert.equal(yield* statusOf(id), "new")
      yield* strikes({ kind: "stuck_cancels", ms: 400 })
      yield* Effect.promise(async () => {
        const url = `${venue.endpoints.trading}/v2/orders/${id}`
        await (await fetch(url, { method: "DELETE", headers: HEADERS })).body?.cancel()
      })
      yield* TestClock.adjust("300 millis")
      assert.equal(yield* statusOf(id), "pending_cancel")
      yield* TestClock.adjust("150 millis")
      assert.equal(yield* statusOf(id), "canceled")
    }).pipe(Effect.provide(TestClock.layer())),
)

venueTest("a symbol can stop being tradable, and be traded again", async (venue) => {
  const buy = { symbol: "NVDA", qty: "1", side: "buy", type: "market", time_in_force: "day" }
  const isTradable = async () => (await get(venue, "/v2/assets/NVDA")).body.tradable
  await arm(venue, { kind: "listing", symbol: "NVDA", status: "BREAK" })
  while (await isTradable()) await new Promise((done) => setTimeout(done, 10))
  await assert.rejects(order(venue, buy), /refused/)
  await arm(venue, { kind: "listing", symbol: "NVDA", status: "TRADING" })
  while (!await isTradable()) await new Promise((done) => setTimeout(done, 10))
  assert.equal((await order(venue, buy)).symbol, "NVDA")
})

scopedTest("one seed is one market", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(Date.parse("2026-11-23T15:00:00Z"))
    const bodies = new Array<unknown>()
    for (const seed of [5, 5, 6]) {
      const venue = yield* startVenue({ market: { kind: "synthetic", seed } })
      const { body } = yield* Effect.promise(() =>
        get(venue, "/v2/stocks/bars", {
          symbols: "AAPL,SPY",
          timeframe: "1Min",
          start: "2026-11-20",
          limit: "500",
        })
      )
      bodies.push(body)
    }
    assert.deepEqual(bodies[0], bodies[1])
    assert.notDeepEqual(bodies[1], bodies[2])
  }).pipe(Effect.provide(TestClock.layer())))
