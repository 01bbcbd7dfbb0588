/** Prices and bars from the simulated venue, over real sockets, and what a hostile one may send. */
import assert from "node:assert/strict"
import { Effect, Fiber } from "effect"
import { aggregate } from "../../../domain/bars.ts"
import { formatDecimal, isLess, isPositive, isZero } from "../../../domain/decimal.ts"
import type { Trade } from "../../../domain/market.ts"
import { eventually, venueTest } from "../harness.ts"
import { badVenue, BTC, connectTo, ETH, simulated, streaming } from "./venue.ts"

venueTest(
  "instruments() describes what may be traded, in exact steps",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const instruments = yield* market.instruments([BTC, ETH])
      assert.deepEqual(
        instruments.map(({ id, symbol, venue, status }) => [id, symbol, venue, status]).sort(),
        [
          [BTC, "BTCUSDT", "binance", "trading"],
          [ETH, "ETHUSDT", "binance", "trading"],
        ],
      )
      for (
        const { tickSize, lotSize, quantityMin, quantityMax, notionalMin, base, quote }
          of instruments
      ) {
        for (const step of [tickSize, lotSize, quantityMin, notionalMin]) {
          assert.ok(isPositive(step))
        }
        assert.ok(isLess(quantityMin, quantityMax))
        assert.equal(quote, "USDT")
        assert.match(base, /^(?:BTC|ETH)$/)
      }
    }),
)

venueTest("instruments() fails when the venue does not know one", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const { market } = yield* connectTo(venue.endpoints)
    const error = yield* Effect.flip(market.instruments([BTC, "NO/SUCH.BINANCE"]))
    assert.match(error.message, /^binance: GET \/api\/v3\/exchangeInfo: -1121/)
  }))

const symbolInfo = (filters: ReadonlyArray<Record<string, string>>, status = "TRADING") => ({
  symbols: [{ symbol: "BTCUSDT", status, baseAsset: "BTC", quoteAsset: "USDT", filters }],
})
const priceFilter = {
  filterType: "PRICE_FILTER",
  minPrice: "0",
  maxPrice: "0",
  tickSize: "0.01000000",
}
const lotFilter = {
  filterType: "LOT_SIZE",
  minQty: "0.00001000",
  maxQty: "9000.00000000",
  stepSize: "0.00001000",
}

const describing = (body: unknown) =>
  Effect.gen(function* () {
    const { endpoints } = yield* badVenue((_request, response) =>
      void response.end(JSON.stringify(body))
    )
    const { market } = yield* connectTo(endpoints)
    return yield* market.instruments([BTC])
  })

venueTest(
  "instruments() heeds both names of the smallest notional, and the limits of market orders",
  () =>
    Effect.gen(function* () {
      const marketLot = {
        filterType: "MARKET_LOT_SIZE",
        minQty: "0.00002",
        maxQty: "120.5",
        stepSize: "0.00000000",
      }
      const filters = [priceFilter, lotFilter, marketLot]
      for (const filterType of ["NOTIONAL", "MIN_NOTIONAL"]) {
        const [found] = yield* describing(
          symbolInfo([...filters, { filterType, minNotional: "5.00" }]),
        )
        const { notionalMin, quantityMin, quantityMax } = found!
        assert.deepEqual([notionalMin, quantityMin, quantityMax].map(formatDecimal), [
          "5",
          "0.00002",
          "120.5",
        ])
      }
      const zeros = { ...marketLot, minQty: "0.00000000", maxQty: "0.00000000" }
      const [found] = yield* describing(symbolInfo([priceFilter, lotFilter, zeros]))
      assert.deepEqual([found!.quantityMin, found!.quantityMax].map(formatDecimal), [
        "0.00001",
        "9000",
      ])
      assert.ok(isZero(found!.notionalMin))
    }),
)

venueTest("instruments() fails rather than offer what has no grid", () =>
  Effect.gen(function* () {
    const noTick = [{ ...priceFilter, tickSize: "0.00000000" }, lotFilter]
    const noStep = [priceFilter, { ...lotFilter, stepSize: "0" }]
    for (const filters of [[], [priceFilter], [lotFilter], noTick, noStep]) {
      const error = yield* Effect.flip(describing(symbolInfo(filters)))
      assert.match(error.message, /no trading rules for BTC\/USDT\.BINANCE/)
    }
  }))

venueTest(
  "instruments() knows what a status means, and takes an unknown one for closed",
  () =>
    Effect.gen(function* () {
      const found: Array<string> = []
      for (const status of ["TRADING", "HALT", "BREAK", "CANCEL_ONLY", "SOMETHING_NEW"]) {
        const [each] = yield* describing(symbolInfo([priceFilter, lotFilter], status))
        found.push(each!.status)
      }
      assert.deepEqual(found, ["trading", "halted", "halted", "cancel_only", "closed"])
    }),
)

venueTest(
  "quotes() asks for all at once and dates them by the answer",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const quotes = yield* market.quotes([BTC, ETH])
      assert.deepEqual(quotes.map(({ instrument }) => instrument).sort(), [BTC, ETH])
      for (const { bid, ask, time, venueTime } of quotes) {
        assert.ok(isPositive(bid) && !isLess(ask, bid))
        assert.ok(Math.abs(time - Date.now()) < 2_000)
        assert.equal(venueTime, false)
      }
    }),
)

venueTest(
  "quotes() leaves out a market with an empty side: zero is not a price",
  () =>
    Effect.gen(function* () {
      const ticker = (symbol: string, bidPrice: string) => ({
        symbol,
        bidPrice,
        bidQty: "0",
        askPrice: "2.0",
        askQty: "1",
      })
      const body = [
        ticker("BTCUSDT", "0.00000000"),
        ticker("ETHUSDT", "1.5"),
        ticker("DOGEUSDT", "1"),
      ]
      const { endpoints } = yield* badVenue((_request, response) =>
        void response.end(JSON.stringify(body))
      )
      const { market } = yield* connectTo(endpoints)
      assert.deepEqual((yield* market.quotes([BTC, ETH])).map(({ instrument }) => instrument), [
        ETH,
      ])
    }),
)

venueTest(
  "bars() are whole, aligned and oldest first, and none ends after `until`",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const until = Date.now() - 2_000
      for (
        const [intervalMs, limit] of [[1_000, 30], [5_000, 12], [60_000, 10], [120_000, 5]] as const
      ) {
        const bars = yield* market.bars(BTC, intervalMs, until, limit)
        assert.ok(bars.length > 0 && bars.length <= limit, `${bars.length} of ${intervalMs}`)
        bars.forEach((bar, at) => {
          assert.deepEqual([bar.instrument, bar.intervalMs, bar.openTime % intervalMs], [
            BTC,
            intervalMs,
            0,
          ])
          assert.ok(bar.openTime + intervalMs <= until)
          assert.ok(at === 0 || bar.openTime > bars[at - 1]!.openTime)
          assert.ok(
            !isLess(bar.high, bar.low) && !isLess(bar.high, bar.open) &&
              !isLess(bar.close, bar.low),
          )
        })
      }
    }),
)

venueTest(
  "bars() that the venue does not build are built from shorter ones",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const until = Math.floor(Date.now() / 5_000) * 5_000 - 5_000
      const seconds = yield* market.bars(ETH, 1_000, until, 60)
      const fives = yield* market.bars(ETH, 5_000, until, 12)
      assert.deepEqual(fives, aggregate(seconds, 5_000))
    }),
)

venueTest(
  "bars() leaves out what nobody traded in, as the live ones do",
  () =>
    Effect.gen(function* () {
      const row = (
        at: number,
        trades: number,
      ) => [at, "5", "5", "5", "5", trades === 0 ? "0" : "1", at + 999, "5", trades, "0", "0", "0"]
      const { endpoints } = yield* badVenue((_request, response) => {
        response.end(JSON.stringify([row(1_000, 0), row(2_000, 2), row(3_000, 0)]))
      })
      const { market } = yield* connectTo(endpoints)
      const bars = yield* market.bars(BTC, 1_000, 4_000, 3)
      assert.deepEqual(bars.map(({ openTime, trades }) => [openTime, trades]), [[2_000, 2]])
      const fives = yield* market.bars(BTC, 5_000, 5_000, 1)
      assert.deepEqual(fives.map(({ openTime, trades }) => [openTime, trades]), [[0, 2]])
    }),
)

venueTest(
  "bars() asks for exactly the time of whole bars, `until` excluded",
  () =>
    Effect.gen(function* () {
      const { endpoints, asked } = yield* badVenue((_request, response) => void response.end("[]"))
      const { market } = yield* connectTo(endpoints)
      const query = (at: number) => {
        const { searchParams } = new URL(asked[at]!.slice("GET ".length), endpoints.rest)
        return ["interval", "startTime", "endTime", "limit"].map((name) => searchParams.get(name))
      }
      yield* market.bars(BTC, 5_000, 1_000_004_999, 3)
      assert.deepEqual(query(0), ["1s", "999985000", "999999999", "1000"])
      yield* market.bars(BTC, 60_000, 1_000_020_000, 1)
      assert.deepEqual(query(1), ["1m", "999960000", "1000019999", "1000"])
      yield* market.bars(BTC, 5_000, 1_000_000_000, 9_999)
      assert.deepEqual(query(2).slice(0, 2), ["1s", "999000000"])
      yield* market.bars(BTC, 7_200_000, 72_000_000, 2)
      assert.deepEqual(query(3), ["1h", "57600000", "71999999", "1000"])
    }),
)

venueTest(
  "tradesAfter() continues exactly behind a trade that was streamed",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const { events, fiber } = yield* streaming(market)
      const trades = yield* eventually(() => {
        const found = events.filter((event): event is Trade =>
          event._tag === "Trade" && event.instrument === BTC
        )
        return found.length >= 4 ? found : undefined
      })
      yield* Fiber.interrupt(fiber)
      const after = yield* market.tradesAfter(BTC, trades[0]!)
      assert.deepEqual(after.slice(0, 3), trades.slice(1, 4))
      assert.deepEqual(
        yield* market.tradesAfter(BTC, {
          ...after.at(-1)!,
          tradeId: String(BigInt(after.at(-1)!.tradeId) + 1_000_000n),
        }),
        [],
      )
    }),
)
