import assert from "node:assert/strict"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { scopedTest } from "../simulator.ts"
import { get, startVenue, venueTest } from "./venue.ts"

const START = "2026-11-16T00:00:00Z"

interface BarBody {
  readonly t: string
  readonly o: number
  readonly h: number
  readonly l: number
  readonly c: number
  readonly v: number
  readonly n: number
}

/** Real sockets, and a clock that stands on a Monday of 2026, in New York's morning. */
function stillTest(name: string, body: (venue: VenueAt) => Promise<void>) {
  scopedTest(name, () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-11-23T15:00:30Z"))
      const venue = yield* startVenue()
      for (let i = 0; i < 40; i++) yield* TestClock.adjust("500 millis")
      yield* Effect.promise(() => body(venue))
    }).pipe(Effect.provide(TestClock.layer())))
}
type VenueAt = Parameters<typeof get>[0]

stillTest("pages of any size, one after another, are the whole", async (venue) => {
  const query = { symbols: "SPY,AAPL", timeframe: "1Min", start: START }
  const { body: whole } = await get(venue, "/v2/stocks/bars", { ...query, limit: "10000" })
  assert.equal(whole.next_page_token, null)
  assert.deepEqual(Object.keys(whole.bars), ["AAPL", "SPY"])
  const pages: Record<string, Array<BarBody>> = { AAPL: [], SPY: [] }
  let page_token = ""
  do {
    const { body } = await get(venue, "/v2/stocks/bars", { ...query, limit: "777", page_token })
    for (const [symbol, bars] of Object.entries<Array<BarBody>>(body.bars)) {
      pages[symbol]?.push(...bars)
    }
    page_token = body.next_page_token ?? ""
  } while (page_token !== "")
  assert.deepEqual(pages, whole.bars)
})

stillTest("the same rows come in either order", async (venue) => {
  for (const kind of ["trades", "quotes"]) {
    const ask = (sort: string) => get(venue, `/v2/stocks/SPY/${kind}`, { sort, limit: "10000" })
    const { body: up } = await ask("asc")
    const { body: down } = await ask("desc")
    assert.ok(up[kind].length > 20)
    assert.deepEqual(down[kind].toReversed(), up[kind])
    const { body: last } = await get(venue, `/v2/stocks/SPY/${kind}`, { sort: "desc", limit: "3" })
    assert.deepEqual(last[kind], down[kind].slice(0, 3))
    const { body: rest } = await get(venue, `/v2/stocks/SPY/${kind}`, {
      sort: "desc",
      limit: "10000",
      page_token: last.next_page_token,
    })
    assert.deepEqual([...last[kind], ...rest[kind]], down[kind])
  }
})

stillTest("longer bars are sums of shorter ones", async (venue) => {
  const bars = async (timeframe: string, path = "/v2/stocks/NVDA/bars"): Promise<Array<BarBody>> =>
    (await get(venue, path, { timeframe, start: START, limit: "10000", symbols: "BTC/USD" })).body
      .bars
  const minutes = await bars("1Min")
  assert.ok(minutes.length > 2_000)
  for (const [timeframe, prefix] of [["5Min", 5], ["1Hour", 60], ["4H", 240]] as const) {
    const longer = await bars(timeframe)
    for (const bar of longer.slice(1, 20)) {
      const parts = minutes.filter(({ t }) => {
        const offset = Date.parse(t) - Date.parse(bar.t)
        return offset >= 0 && offset < prefix * 60_000
      })
      assert.deepEqual(
        [bar.o, bar.h, bar.l, bar.c, bar.v, bar.n],
        [
          parts[0]?.o,
          Math.max(...parts.map(({ h }) => h)),
          Math.min(...parts.map(({ l }) => l)),
          parts.at(-1)?.c,
          parts.reduce((sum, { v }) => sum + v, 0),
          parts.reduce((sum, { n }) => sum + n, 0),
        ],
      )
    }
  }
  const days = await bars("1Day")
  // New York's midnights.
  assert.ok(days.every(({ t }) => t.endsWith("T05:00:00Z")))
})

stillTest("bars join, and a year of days leads to the price of now", async (venue) => {
  const { body } = await get(venue, "/v1beta3/crypto/us/bars", {
    symbols: "BTC/USD",
    timeframe: "1Day",
    start: "2025-01-01",
    limit: "1000",
  })
  const days: Array<BarBody> = body.bars["BTC/USD"]
  assert.ok(days.length > 250)
  days.slice(1).forEach(({ t, o, h, l, c }, index) => {
    assert.equal(o, days[index]?.c)
    assert.ok(l <= Math.min(o, c) && h >= Math.max(o, c))
    assert.ok(Date.parse(t) > Date.parse(days[index]?.t ?? ""))
  })
  const { body: latest } = await get(venue, "/v1beta3/crypto/us/latest/trades", {
    symbols: "BTC/USD",
  })
  assert.equal(days.at(-1)?.c, latest.trades["BTC/USD"].p)
})

stillTest("what is latest is the end of what was", async (venue) => {
  for (const feed of ["sip", "iex"]) {
    for (const kind of ["trades", "quotes", "bars"]) {
      const query = { feed, timeframe: "1Min" }
      const { body: latest } = await get(venue, `/v2/stocks/${kind}/latest`, {
        ...query,
        symbols: "AAPL,MSFT,NOPE",
      })
      assert.deepEqual(Object.keys(latest[kind]), ["AAPL", "MSFT"])
      const { body: one } = await get(venue, `/v2/stocks/AAPL/${kind}/latest`, query)
      assert.deepEqual(one, { symbol: "AAPL", [kind.slice(0, -1)]: latest[kind].AAPL })
      const { body: last } = await get(venue, `/v2/stocks/AAPL/${kind}`, {
        ...query,
        sort: "desc",
        limit: "1",
      })
      assert.deepEqual(last[kind], [latest[kind].AAPL])
    }
  }
  const { body: snapshots } = await get(venue, "/v2/stocks/snapshots", { symbols: "AAPL,SPY" })
  const { body: snapshot } = await get(venue, "/v2/stocks/AAPL/snapshot")
  assert.deepEqual(Object.keys(snapshots), ["AAPL", "SPY"])
  assert.deepEqual(snapshot, { symbol: "AAPL", ...snapshots.AAPL })
  assert.deepEqual(Object.keys(snapshots.SPY), [
    "latestTrade",
    "latestQuote",
    "minuteBar",
    "dailyBar",
    "prevDailyBar",
  ])
})

stillTest(
  "crypto has its own shapes: the taker's side, no exchange, an order book",
  async (venue) => {
    const ask = (path: string) => get(venue, `/v1beta3/crypto/us/${path}`, { symbols: "ETH/USD" })
    const { body: { trades } } = await ask("latest/trades")
    assert.deepEqual(Object.keys(trades["ETH/USD"]).toSorted(), ["i", "p", "s", "t", "tks"])
    const { body: { quotes } } = await ask("latest/quotes")
    const { body: { orderbooks } } = await ask("latest/orderbooks")
    const { bp, bs, ap, as } = quotes["ETH/USD"]
    const { a, b } = orderbooks["ETH/USD"]
    assert.deepEqual([b[0], a[0]], [{ p: bp, s: bs }, { p: ap, s: as }])
    const { body: { snapshots } } = await ask("snapshots")
    assert.deepEqual(snapshots["ETH/USD"].latestTrade, trades["ETH/USD"])
    const { body: { bars } } = await ask("latest/bars")
    assert.equal(bars["ETH/USD"].c, trades["ETH/USD"].p)
  },
)

venueTest("a query that makes no sense is refused with its reason", async (venue) => {
  for (
    const [path, query, message] of [
      ["/v2/stocks/bars", { timeframe: "1Min" }, "symbols is required"],
      ["/v2/stocks/AAPL/bars", { timeframe: "1Sec" }, "invalid timeframe: 1Sec"],
      ["/v2/stocks/AAPL/bars", { timeframe: "60Min" }, "invalid timeframe: 60Min"],
      ["/v2/stocks/AAPL/trades", { limit: "0" }, "invalid limit: 0: must be between 1 and 10000"],
      ["/v2/stocks/AAPL/trades", { sort: "up" }, "invalid sort: up"],
      ["/v2/stocks/AAPL/trades", { feed: "nyse" }, "invalid feed: nyse"],
      ["/v2/stocks/AAPL/trades", { start: "soon" }, "invalid start: soon"],
      ["/v2/stocks/AAPL/trades", { page_token: "bm8=" }, "invalid page_token: bm8="],
      [
        "/v2/stocks/AAPL/trades",
        { start: "2026-01-02", end: "2026-01-01" },
        "end should not be before start",
      ],
    ] as const
  ) {
    const { status, body } = await get(venue, path, query)
    assert.deepEqual([status, body], [400, { message }])
  }
  const { status } = await get(venue, "/v2/stocks/AAPL/feelings")
  assert.equal(status, 404)
})
