/** Prices and bars from the simulated venue, over real sockets, and what a hostile one may send. */
import assert from "node:assert/strict"
import { Effect, Fiber } from "effect"
import { WebSocket } from "ws"
import { aggregate } from "../../../domain/bars.ts"
import { formatDecimal, isLess, isPositive, isZero } from "../../../domain/decimal.ts"
import type { MarketEvent, Trade } from "../../../domain/market.ts"
import type { MarketData } from "../../../venues/market_data.ts"
import * as frames from "./frames.ts"
import { eventually, ownClock, venueTest } from "../harness.ts"
import { badVenue, BTC, connectTo, deafVenue, ETH, simulated } from "./venue.ts"

const streaming = Effect.fnUntraced(
  function* (market: MarketData, accepts: (seen: number) => boolean = () => true) {
    const events: Array<MarketEvent> = []
    const undecoded: Array<string> = []
    const fiber = yield* Effect.forkScoped(market.stream([BTC, ETH], {
      event: (event) => accepts(events.push(event)),
      undecoded: (_frame, reason) => void undecoded.push(reason),
    }))
    return { events, undecoded, fiber }
  },
)

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
  "stream() brings trades and quotes of every instrument, ids ascending without a gap",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market, traffic } = yield* connectTo(venue.endpoints)
      const { events, undecoded, fiber } = yield* streaming(market)
      const of = (tag: string, id: string) =>
        events.filter((event) => event._tag === tag && event.instrument === id)
      yield* eventually(() =>
        [BTC, ETH].every((id) => of("Trade", id).length >= 3 && of("Quote", id).length >= 3)
          ? true
          : undefined
      )
      for (const id of [BTC, ETH]) {
        const ids = (of("Trade", id) as ReadonlyArray<Trade>).map(({ tradeId }) => Number(tradeId))
        assert.ok(ids.every((each, at) => at === 0 || each === ids[at - 1]! + 1), `${ids}`)
      }
      assert.deepEqual(undecoded, [])
      assert.ok(traffic.framesReceived >= events.length)
      yield* Fiber.interrupt(fiber)
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

venueTest(
  "stream() ends with Overrun when nobody takes the events, and with its interruption otherwise",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const { fiber } = yield* streaming(market, (seen) => seen < 3)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.equal(error.reason._tag, "Overrun")
    }),
)

/** What the market stream makes of these frames. */
const fed = (texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { server, endpoints } = yield* deafVenue
    const subscriptions: Array<string> = []
    server.on("connection", (socket: WebSocket) => {
      socket.on("message", (data) => {
        subscriptions.push(String(data))
        for (const text of texts) socket.send(text)
      })
    })
    const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
      subscribeTimeoutMs: 1_000,
    })
    return { ...(yield* streaming(market)), subscriptions }
  })

venueTest(
  "stream() subscribes to trades and quotes and shows what it cannot read, without ending",
  () =>
    Effect.gen(function* () {
      const good = JSON.stringify({ stream: "x", data: frames.trade })
      const { events, undecoded, fiber, subscriptions } = yield* fed([
        '{"result":null,"id":1}',
        "garbage",
        good.slice(0, 40),
        good.replace('"37000.01000000"', "null"),
        good.replace("BTCUSDT", "DOGEUSDT"),
        JSON.stringify(frames.depth),
        good,
      ])
      yield* eventually(() => events[0])
      assert.deepEqual(events.map(({ _tag }) => _tag), ["Trade"])
      assert.equal(undecoded.length, 4)
      assert.deepEqual(JSON.parse(subscriptions[0]!), {
        ...{ method: "SUBSCRIBE", id: 1 },
        params: ["btcusdt@trade", "btcusdt@bookTicker", "ethusdt@trade", "ethusdt@bookTicker"],
      })
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "stream() ends when the subscription is refused",
  () =>
    Effect.gen(function* () {
      const refused = yield* fed(['{"code":2,"msg":"Invalid request: unknown stream","id":1}'])
      const error = yield* Effect.flip(Fiber.join(refused.fiber))
      assert.match(error.message, /market stream: subscribing: 2 Invalid request: unknown stream/)
    }),
)

/** A venue that acknowledges everything, and answers questions as `listed` says. */
const acknowledging = (listed: (wanted: ReadonlyArray<string>) => unknown) =>
  Effect.gen(function* () {
    const { server, endpoints } = yield* deafVenue
    const requests: Array<{ readonly method: string; readonly params?: ReadonlyArray<string> }> = []
    server.on("connection", (socket: WebSocket) => {
      let wanted: ReadonlyArray<string> = []
      socket.on("message", (data) => {
        const request = JSON.parse(String(data))
        requests.push(request)
        if (request.method === "SUBSCRIBE") wanted = [...wanted, ...request.params]
        const result = request.method === "SUBSCRIBE" ? null : listed(wanted)
        socket.send(JSON.stringify({ result, id: request.id }))
      })
    })
    const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
      listEveryMs: 50,
    })
    return { ...(yield* streaming(market)), requests }
  })

venueTest(
  "stream() asks what is subscribed, and subscribes again to what is not",
  () =>
    Effect.gen(function* () {
      const lost = "ethusdt@trade"
      const { fiber, requests } = yield* acknowledging((wanted) =>
        wanted.indexOf(lost) === wanted.lastIndexOf(lost)
          ? wanted.filter((each) => each !== lost)
          : wanted
      )
      const again = yield* eventually(() =>
        requests.filter(({ method }) => method === "SUBSCRIBE")[1]
      )
      assert.deepEqual(again.params, [lost])
      const after = requests.indexOf(again)
      yield* eventually(() =>
        requests.slice(after).filter(({ method }) => method === "LIST_SUBSCRIPTIONS")[1]
      )
      assert.equal(requests.filter(({ method }) => method === "SUBSCRIBE").length, 2)
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "stream() ends when the connection has lost every subscription, or never had one",
  () =>
    Effect.gen(function* () {
      const { fiber } = yield* acknowledging(() => [])
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.match(error.message, /the venue has forgotten every subscription/)
      const silent = yield* fed([])
      const unheard = yield* Effect.flip(Fiber.join(silent.fiber))
      assert.match(unheard.message, /subscribing: no acknowledgement for 1000 ms/)
    }),
)

venueTest(
  "stream() subscribes to hundreds of instruments in a few frames, as slowly as is allowed",
  () =>
    Effect.gen(function* () {
      const { clock, on, passUntil } = yield* ownClock
      const { server, endpoints } = yield* deafVenue
      const frames: Array<{ readonly at: number; readonly params: ReadonlyArray<string> }> = []
      server.on("connection", (socket: WebSocket) => {
        socket.on("message", (data) => {
          const { id, params } = JSON.parse(String(data))
          frames.push({ at: clock.currentTimeMillisUnsafe(), params })
          socket.send(JSON.stringify({ result: null, id }))
        })
      })
      const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints })
      const ids = Array.from({ length: 250 }, (_, at) => `A${at}/USDT.BINANCE`)
      const sink = { event: () => true, undecoded: () => {} }
      const fiber = yield* Effect.forkScoped(on(market.stream(ids, sink)))
      yield* eventually(() => frames[0])
      yield* passUntil(10, () => frames[2])
      yield* passUntil(100, () => clock.currentTimeMillisUnsafe() > 8_000 || undefined)
      assert.deepEqual(frames.map(({ params }) => params.length), [200, 200, 100])
      assert.equal(new Set(frames.flatMap(({ params }) => params)).size, 500)
      for (const [index, { at }] of frames.entries()) {
        assert.ok(index === 0 || at - frames[index - 1]!.at > 250)
      }
      assert.equal(fiber.pollUnsafe(), undefined)
      yield* Fiber.interrupt(fiber)
    }),
)

const fast = { afterMs: 700, jitterMs: 0, overlapMs: 300, overlapMaxMs: 3_000, retryMs: 100 }

/** Trade ids of one instrument; a hole or a repetition is an error. */
function assertDense(events: ReadonlyArray<MarketEvent>, instrument: string): number {
  const ids = events.flatMap((event) =>
    event._tag === "Trade" && event.instrument === instrument ? [Number(event.tradeId)] : []
  )
  const broken = ids.findIndex((id, at) => at > 0 && id !== ids[at - 1]! + 1)
  assert.equal(broken, -1, `after ${ids[broken - 1]} comes ${ids[broken]}`)
  const updates = events.flatMap((event) =>
    event._tag === "Quote" && event.instrument === instrument ? [Number(event.updateId)] : []
  )
  assert.ok(updates.every((id, at) => at === 0 || id > updates[at - 1]!), "quotes only go forward")
  return ids.length
}

venueTest(
  "stream() changes its connection again and again without a hole or a repetition",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market, rest } = yield* connectTo(venue.endpoints, { rotation: fast })
      const { events, fiber, undecoded } = yield* streaming(market)
      const connections = () =>
        rest.governor.usage().find(({ bucket }) => bucket === "connections_5m")!.used
      yield* eventually(() => connections() >= 4 ? true : undefined)
      yield* Effect.sleep(500)
      assert.ok(assertDense(events, BTC) > 5)
      assertDense(events, ETH)
      assert.deepEqual(undecoded, [])
      yield* Fiber.interrupt(fiber)
    }),
)

/** A venue of one market, whose servers can be shut down one by one. */
const runningVenue = Effect.gen(function* () {
  const { server, endpoints } = yield* deafVenue
  const sockets: Array<WebSocket> = []
  server.on("connection", (socket: WebSocket) => {
    socket.on("message", (data) => {
      const { id, method } = JSON.parse(String(data))
      socket.send(JSON.stringify({ result: null, id }))
      if (method === "SUBSCRIBE") sockets.push(socket)
    })
  })
  let tradeId = 100
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    Effect.sleep(20),
    Effect.sync(() => {
      tradeId++
      for (const socket of sockets) {
        socket.send(JSON.stringify({ ...frames.trade, t: tradeId }))
        socket.send(JSON.stringify({ ...frames.bookTicker, u: tradeId * 10 }))
      }
    }),
  )))
  const announce = (socket: WebSocket) =>
    socket.send('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')
  return { sockets, announce, endpoints }
})

venueTest(
  "stream() survives the shutdown of a server that the venue has announced, without a hole",
  () =>
    Effect.gen(function* () {
      const { announce, endpoints, sockets } = yield* runningVenue
      const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
        rotation: { ...fast, afterMs: 600_000 },
      })
      const { events, fiber } = yield* streaming(market)
      for (const turn of [0, 1]) {
        const old = yield* eventually(() => events.length > 10 ? sockets[turn] : undefined)
        announce(old)
        yield* eventually(() => old.readyState === WebSocket.CLOSED ? true : undefined)
        const before = events.length
        yield* eventually(() => events.length > before + 10 ? true : undefined)
      }
      assert.ok(assertDense(events, BTC) > 20)
      assert.equal(sockets.length, 3)
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "stream() goes on with its second connection when the first one ends before its time",
  () =>
    Effect.gen(function* () {
      const { announce, endpoints, sockets } = yield* runningVenue
      const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
        rotation: { ...fast, afterMs: 600_000, overlapMs: 60_000, overlapMaxMs: 90_000 },
      })
      const { events, fiber } = yield* streaming(market)
      const first = yield* eventually(() => events.length > 10 ? sockets[0] : undefined)
      announce(first)
      yield* eventually(() => sockets[1])
      // What comes on both has been read on both.
      const more = (count: number) => {
        const before = events.length
        return eventually(() => events.length > before + count ? true : undefined)
      }
      yield* more(20)
      first.close(1001)
      yield* more(30)
      assert.ok(assertDense(events, BTC) > 20)
      sockets[1]!.close(1001)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.match(error.message, /market stream: closed with code 1001/)
    }),
)
