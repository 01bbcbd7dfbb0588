/** Lists that come in pages, from a venue that answers as it is told. */
import assert from "node:assert/strict"
import { Effect, Logger } from "effect"
import { formatDecimal } from "../../../domain/decimal.ts"
import { type Answering, venueTest } from "../harness.ts"
import { AAPL, badVenue, BTC, connectTo } from "./venue.ts"

const END = Date.UTC(2026, 10, 23, 16)
const MINUTE = 60_000

/** Answers with `rows` of the wanted page, `perPage` at a time, newest first. */
function paged(
  key: "bars" | "trades",
  symbol: string,
  rows: ReadonlyArray<object>,
  perPage: number,
) {
  const answer: Answering = (request, response) => {
    const query = new URL(request.url!, "http://x").searchParams
    const from = Number(query.get("page_token") ?? 0)
    const next = from + perPage < rows.length ? String(from + perPage) : null
    response.end(JSON.stringify({
      [key]: { [symbol]: rows.slice(from, from + perPage) },
      next_page_token: next,
    }))
  }
  return answer
}

const minute = (ago: number, price: number, n = 3) => ({
  ...{ t: new Date(END - ago * MINUTE).toISOString(), o: price, h: price + 1, l: price - 1 },
  ...{ c: price + 0.5, v: 10, n, vw: price },
})

venueTest(
  "bars are read backwards until there are enough, and half a bar is none",
  () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 60 }, (_, at) => minute(at + 1, 100 + at))
      const { asked, endpoints } = yield* badVenue(paged("bars", "AAPL", rows, 7))
      const { market } = yield* connectTo(endpoints)
      const bars = yield* market.bars(AAPL, 5 * MINUTE, END + 17_000, 2)
      assert.deepEqual(bars.map(({ openTime }) => openTime), [END - 10 * MINUTE, END - 5 * MINUTE])
      const last = bars.at(-1)!
      assert.deepEqual(
        [last.open, last.high, last.low, last.close, last.volume].map(formatDecimal),
        ["104", "105", "99", "100.5", "50"],
      )
      assert.equal(last.trades, 15)
      // Two pages held three buckets; the rest was not asked for.
      assert.equal(asked.length, 2)
      const first = new URL(asked[0]!.split(" ")[1]!, "http://x").searchParams
      assert.deepEqual([first.get("sort"), first.get("feed"), first.get("timeframe")], [
        ...["desc", "iex", "1Min"],
      ])
      assert.equal(first.get("end"), new Date(END - 1).toISOString())
    }),
)

venueTest("a minute of crypto that nobody traded in has no bar", () =>
  Effect.gen(function* () {
    const rows = [minute(1, 100), minute(2, 101, 0), minute(3, 102)]
    const { endpoints } = yield* badVenue(paged("bars", "BTC/USD", rows, 10))
    const { market } = yield* connectTo(endpoints)
    const bars = yield* market.bars(BTC, MINUTE, END, 10)
    assert.deepEqual(bars.map(({ openTime }) => (END - openTime) / MINUTE), [3, 1])
  }))

const trade = (msAgo: number, p: number | string, i: number, c: ReadonlyArray<string> = ["@"]) => ({
  ...{ t: new Date(END - msAgo).toISOString(), x: "V", p, s: 2, c, i, z: "C" },
})

venueTest(
  "bars shorter than a minute are built from trades, without what is aside",
  () =>
    Effect.gen(function* () {
      const rows = [
        ...[trade(500, 105, 9), trade(1_500, 104, 8), trade(4_000, 103, 7)],
        // At an average price; and one that means nothing.
        ...[trade(4_500, 999, 6, ["W"]), trade(4_600, "", 5)],
        ...[trade(6_000, 102, 4), trade(9_000, 101, 3), trade(12_000, 100, 2)],
      ]
      const { asked, endpoints } = yield* badVenue(paged("trades", "AAPL", rows, 3))
      const { market } = yield* connectTo(endpoints)
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      const bars = yield* Effect.provide(
        market.bars(AAPL, 5_000, END, 2),
        Logger.layer([logger]),
      )
      assert.deepEqual(
        bars.map(({ openTime, open, high, low, close, volume, trades }) => [
          ...[openTime - END, ...[open, high, low, close, volume].map(formatDecimal), trades],
        ]),
        [
          [-10_000, "101", "102", "101", "102", "4", 2],
          [-5_000, "103", "105", "103", "105", "6", 3],
        ],
      )
      assert.equal(asked.length, 3)
      assert.match(logged.join(), /^alpaca: 1 of 3 rows undecoded: /)
    }),
)

venueTest("a venue without any history has no bars", () =>
  Effect.gen(function* () {
    const { endpoints } = yield* badVenue((_request, response) =>
      response.end('{"bars":{},"trades":null,"next_page_token":null}')
    )
    const { market } = yield* connectTo(endpoints)
    assert.deepEqual(yield* market.bars(AAPL, MINUTE, END, 5), [])
    assert.deepEqual(yield* market.bars(AAPL, 1_000, END, 5), [])
    assert.deepEqual(yield* market.tradesAfter(AAPL, { tradeId: "V:1", time: END }), [])
  }))

const ORDER = "8b21a4a6-5fd4-4c1c-9a52-6a2df5eb3a01"
const uuid = (n: number) => `${String(n).padStart(8, "0")}-0000-4000-8000-000000000000`
const activity = (n: number, more: object = {}) => ({
  ...{ id: `20261123110000000::${uuid(n)}`, activity_type: "FILL", type: "partial_fill" },
  ...{ transaction_time: new Date(END + Math.floor(n / 3)).toISOString(), symbol: "AAPL" },
  ...{ price: "230.15", qty: "1", cum_qty: String(n + 1), leaves_qty: "9", side: "buy" },
  ...{ order_id: ORDER, ...more },
})

venueTest("fills come page by page, in order, and as they hold now", () =>
  Effect.gen(function* () {
    const rows = Array.from({ length: 230 }, (_, n) => activity(n)) // Of one millisecond, and the wrong way round.
    ;[rows[3], rows[5]] = [rows[5]!, rows[3]!]
    rows.push(
      activity(230, { symbol: "MSFT" }),
      activity(231, { previous_id: uuid(10), status: "canceled", cum_qty: "11" }),
      activity(232, { previous_id: uuid(20), status: "correct", price: "231", cum_qty: "21" }),
    )
    const { asked, endpoints } = yield* badVenue((request, response) => {
      const url = new URL(request.url!, "http://x")
      if (url.pathname.startsWith("/v2/orders/")) {
        const order = { id: ORDER, client_order_id: "keel-1", symbol: "AAPL", status: "filled" }
        return response.end(JSON.stringify({ ...order, filled_qty: "230" }))
      }
      const token = url.searchParams.get("page_token")
      const from = token === null ? 0 : rows.findIndex(({ id }) => id === token) + 1
      response.end(JSON.stringify(rows.slice(from, from + 100)))
    })
    const { broker } = yield* connectTo(endpoints)
    const fills = yield* broker.executions(AAPL, END)
    assert.equal(fills.length, 229)
    assert.deepEqual(
      fills.map(({ executionId }) => executionId),
      Array.from({ length: 230 }, (_, n) => `${ORDER}:${n + 1}`).filter((id) =>
        !id.endsWith(":11")
      ),
    )
    assert.ok(fills.every(({ clientOrderId }) => clientOrderId === "keel-1"))
    const repriced = fills.filter(({ price }) => formatDecimal(price) === "231")
    assert.deepEqual(repriced.map(({ executionId }) => executionId), [`${ORDER}:21`])
    // Three pages, and one question for the order that all of them belong to.
    assert.equal(asked.length, 4)
  }))

venueTest(
  "open orders that cannot be read on are not taken for all of them",
  () =>
    Effect.gen(function* () {
      const orders = Array.from({ length: 500 }, (_, n) => ({
        ...{ id: uuid(n), client_order_id: `keel-${n}`, symbol: "AAPL", status: "new" },
        ...{ filled_qty: "0", submitted_at: null },
      }))
      const { endpoints } = yield* badVenue((_request, response) =>
        response.end(JSON.stringify(orders))
      )
      const { broker } = yield* connectTo(endpoints)
      const error = yield* Effect.flip(broker.openOrders)
      assert.match(error.message, /more open orders than can be read/)
    }),
)

venueTest("open orders of several pages are all there, once", () =>
  Effect.gen(function* () {
    const orders = Array.from({ length: 1_100 }, (_, n) => ({
      ...{ id: uuid(n), client_order_id: `keel-${n}`, symbol: "AAPL", status: "new" },
      ...{ filled_qty: "0", submitted_at: new Date(END - Math.floor(n / 2)).toISOString() },
    }))
    const { asked, endpoints } = yield* badVenue((request, response) => {
      const until = new URL(request.url!, "http://x").searchParams.get("until")
      const before = orders.filter(({ submitted_at }) => until === null || submitted_at < until)
      response.end(JSON.stringify(before.slice(0, 500)))
    })
    const { broker } = yield* connectTo(endpoints)
    const open = yield* broker.openOrders
    assert.equal(new Set(open.map(({ clientOrderId }) => clientOrderId)).size, 1_100)
    assert.deepEqual([open.length, asked.length], [1_100, 3])
  }))
