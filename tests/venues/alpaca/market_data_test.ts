/** Prices against the simulated venue, over real sockets. */
import assert from "node:assert/strict"
import { Effect, Exit, Fiber, Scope } from "effect"
import { formatDecimal } from "../../../domain/decimal.ts"
import type { MarketEvent } from "../../../domain/market.ts"
import { eventually, venueTest } from "../harness.ts"
import { AAPL, badStream, BTC, connectTo, MSFT, simulated, SPY, watching } from "./venue.ts"

const of = (events: ReadonlyArray<MarketEvent>, tag: MarketEvent["_tag"], id: string) =>
  events.filter((event) => event._tag === tag && event.instrument === id)

venueTest(
  "shares and crypto stream together, decoded to the last message",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const { events, undecoded, refused } = yield* watching(market, [SPY, BTC])
      yield* eventually(() =>
        [SPY, BTC].every((id) =>
          of(events, "Quote", id).length > 3 && of(events, "Trade", id).length > 0
        ) || undefined
      )
      const now = Date.now()
      for (const event of events) assert.ok(Math.abs(event.time - now) < 15_000)
      const ids = events.flatMap((event) => event._tag === "Trade" ? [event.tradeId] : [])
      assert.equal(new Set(ids).size, ids.length)
      assert.deepEqual([undecoded, refused], [[], []])
    }),
)

venueTest("the end of one stream ends both, and says which", () =>
  Effect.gen(function* () {
    const match = { door: "dataStream", path: "/v1beta3/crypto/us" } as const
    const venue = yield* simulated({ slotHeldMs: 60_000 })
    const { market } = yield* connectTo(venue.endpoints)
    yield* venue.arm({ kind: "slot_busy", count: 1, match })
    const { fiber } = yield* watching(market, [SPY, BTC])
    const error = yield* Effect.flip(Fiber.join(fiber))
    assert.deepEqual([error.doing, error.reason._tag], ["crypto stream", "SlotBusy"])
    // The one that stood has given its place back.
    const { events } = yield* watching(market, [SPY, BTC])
    yield* eventually(() => of(events, "Quote", SPY)[0] && of(events, "Quote", BTC)[0])
  }))

venueTest("a stream that is given up frees its place at once", () =>
  Effect.gen(function* () {
    const venue = yield* simulated({ slotHeldMs: 60_000 })
    const { market } = yield* connectTo(venue.endpoints)
    for (let round = 0; round < 5; round++) {
      const scope = yield* Scope.make()
      const { events, fiber } = yield* Scope.provide(watching(market, [SPY, BTC]), scope)
      yield* eventually(() => {
        const ended = fiber.pollUnsafe()
        if (ended !== undefined) assert.fail(`round ${round}: ${JSON.stringify(ended)}`)
        return of(events, "Quote", SPY)[0] && of(events, "Quote", BTC)[0]
      })
      yield* Scope.close(scope, Exit.void)
    }
  }))

for (const busyCloses of [true, false]) {
  const how = busyCloses ? "closes" : "stays open"
  venueTest(
    `a place that is taken is a busy slot, when the venue ${how}`,
    () =>
      Effect.gen(function* () {
        const venue = yield* simulated({ busyCloses })
        const { market } = yield* connectTo(venue.endpoints)
        const { events } = yield* watching(market, [SPY])
        yield* eventually(() => of(events, "Quote", SPY)[0])
        const second = yield* watching(market, [SPY])
        const error = yield* Effect.flip(Fiber.join(second.fiber))
        assert.deepEqual([error.reason._tag, error.doing], ["SlotBusy", "iex stream"])
        assert.match(error.message, /406 connection limit exceeded/)
      }),
  )
}

venueTest(
  "wrong keys are refused for good, on the stream and by REST, and never quoted",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints, { secret: "wrong-secret" })
      const { fiber } = yield* watching(market, [SPY])
      const attempts = [
        Fiber.join(fiber),
        Effect.asVoid(market.quotes([SPY])),
        Effect.asVoid(market.instruments([AAPL])),
      ]
      for (const attempt of attempts) {
        const error = yield* Effect.flip(attempt)
        assert.equal(error.reason._tag, "Forbidden", error.message)
        assert.ok(!error.message.includes("wrong-secret"))
      }
    }),
)

venueTest(
  "what the plan does not have is told, and the rest streams",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({ symbolsMax: 2 })
      const { market } = yield* connectTo(venue.endpoints)
      const { events, refused, undecoded } = yield* watching(market, [SPY, AAPL, MSFT])
      yield* eventually(() => of(events, "Quote", SPY)[0] && of(events, "Quote", AAPL)[0])
      assert.deepEqual(refused, [`prices ${MSFT} 405 symbol limit exceeded`])
      assert.deepEqual(undecoded, [])
    }),
)

venueTest(
  "without a way to tell it, a refused subscription is a frame that was not understood",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({ symbolsMax: 1 })
      const { market } = yield* connectTo(venue.endpoints)
      const undecoded: Array<string> = []
      yield* Effect.forkScoped(market.stream([SPY, AAPL], {
        event: () => true,
        undecoded: (_frame, reason) => void undecoded.push(reason),
      }))
      const [reason] = yield* eventually(() => undecoded.length > 0 ? undecoded : undefined)
      assert.equal(reason, `no prices of ${AAPL}: 405 symbol limit exceeded`)
    }),
)

venueTest(
  "a venue that accepts and says nothing has not subscribed us",
  () =>
    Effect.gen(function* () {
      const { endpoints } = yield* badStream(() => {})
      const { market } = yield* connectTo(endpoints, { subscribeTimeoutMs: 500 })
      const { fiber } = yield* watching(market, [SPY])
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepEqual([error.reason._tag, "what" in error.reason && error.reason.what], [
        ...["Silent", "data"],
      ])
    }),
)

const codes = [
  ...[[400, "Faulty"], [401, "Forbidden"], [402, "Forbidden"], [403, "Forbidden"]],
  ...[[404, "Faulty"], [406, "SlotBusy"], [407, "Overrun"], [408, "Forbidden"]],
  ...[[409, "Forbidden"], [500, "Faulty"]],
] as const
venueTest("every error of the login has its kind", () =>
  Effect.gen(function* () {
    for (const [code, kind] of codes) {
      const { endpoints } = yield* badStream((socket) => {
        socket.send('[{"T":"success","msg":"connected"}]')
        socket.on("message", () => socket.send(`[{"T":"error","code":${code},"msg":"no"}]`))
      })
      const { market } = yield* connectTo(endpoints)
      const { fiber } = yield* watching(market, [SPY])
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.equal(error.reason._tag, kind, String(code))
      assert.doesNotMatch(error.message, /\b0 events/)
    }
  }))

venueTest(
  "corrections, cancels and price bands come along with the trades",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const { events, undecoded } = yield* watching(market, [SPY])
      const trades = () =>
        of(events, "Trade", SPY).flatMap((each) => "tradeId" in each ? [each] : [])
      yield* eventually(() => trades()[0])
      yield* venue.arm({ kind: "trade_correction", symbol: "SPY", price: "590.01" })
      yield* venue.arm({ kind: "luld", symbol: "SPY", up: "600.5", down: "580.25" })
      const band = yield* eventually(() =>
        events.find((event) => event._tag === "PriceBand" && event.instrument === SPY)
      )
      assert.ok(band._tag === "PriceBand")
      assert.deepEqual([band.lower, band.upper].map(formatDecimal), ["580.25", "600.5"])
      const corrected = yield* eventually(() =>
        events.find((event) => event._tag === "TradeCorrection")
      )
      assert.ok(corrected._tag === "TradeCorrection")
      assert.equal(formatDecimal(corrected.corrected.price), "590.01")
      yield* venue.arm({ kind: "trade_cancel", symbol: "SPY" })
      const canceled = yield* eventually(() => events.find((event) => event._tag === "TradeCancel"))
      assert.ok(canceled._tag === "TradeCancel" && /^[A-Z]:\d+$/.test(canceled.tradeId))
      assert.deepEqual(undecoded, [])
    }),
)

venueTest(
  "a halt and its end are told by the stream",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const statuses: Array<string> = []
      let heard = 0
      yield* Effect.forkScoped(market.stream([AAPL], {
        event: (event) => {
          heard++
          if (event._tag === "Status") statuses.push(`${event.status} ${event.reason}`)
          return true
        },
        undecoded: () => {},
      }))
      yield* eventually(() => heard > 0 || undefined)
      yield* venue.arm({ kind: "halt", symbol: "AAPL", code: "T1", reason: "Halt News Pending" })
      yield* eventually(() => statuses.find((each) => each.startsWith("halted T1")))
      yield* venue.arm({ kind: "resume", symbol: "AAPL" })
      yield* eventually(() => statuses.find((each) => each.startsWith("trading")))
    }),
)

for (const feed of ["sip", "test"] as const) {
  const id = feed === "test" ? "FAKEPACA.ALPACA" : AAPL
  venueTest(`the ${feed} feed streams`, () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints, { feed })
      const { events, undecoded } = yield* watching(market, [id])
      yield* eventually(() => of(events, "Quote", id)[0] && of(events, "Trade", id)[0])
      assert.deepEqual(undecoded, [])
    }))
}

venueTest("prices by REST have the venue's time", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const { market } = yield* connectTo(venue.endpoints)
    const quotes = yield* market.quotes([AAPL, BTC])
    assert.deepEqual(quotes.map(({ instrument }) => instrument).toSorted(), [AAPL, BTC])
    for (const quote of quotes) {
      assert.ok(quote.venueTime)
      assert.ok(Math.abs(quote.time - Date.now()) < 60_000)
    }
  }))

for (const [name, intervalMs] of [["1 s", 1_000], ["1 m", 60_000], ["1 h", 3_600_000]] as const) {
  venueTest(
    `history of ${name} bars ends where it was asked to, without holes in its order`,
    () =>
      Effect.gen(function* () {
        const venue = yield* simulated()
        const { market } = yield* connectTo(venue.endpoints)
        for (const id of [SPY, BTC]) {
          let until = Date.now()
          let bars = yield* market.bars(id, intervalMs, until, 20)
          // The venue has just begun to keep its trades.
          while (bars.length < 2) {
            yield* Effect.sleep(200)
            until = Date.now()
            bars = yield* market.bars(id, intervalMs, until, 20)
          }
          assert.ok(bars.length <= 20, `${id}: ${bars.length} bars`)
          const times = bars.map(({ openTime }) => openTime)
          assert.deepEqual(times, [...new Set(times)].toSorted((a, b) => a - b))
          for (const bar of bars) {
            assert.deepEqual([bar.intervalMs, bar.openTime % intervalMs], [intervalMs, 0])
            assert.ok(bar.openTime + intervalMs <= until)
          }
        }
      }),
  )
}

venueTest("a five minute bar is what its five minutes were", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const { market } = yield* connectTo(venue.endpoints)
    const until = Date.now()
    const [bar] = yield* market.bars(SPY, 300_000, until, 1)
    const minutes = (yield* market.bars(SPY, 60_000, until, 20))
      .filter(({ openTime }) => openTime - openTime % 300_000 === bar?.openTime)
    assert.ok(bar !== undefined && minutes.length > 0)
    assert.equal(formatDecimal(bar.open), formatDecimal(minutes[0]!.open))
    assert.equal(formatDecimal(bar.close), formatDecimal(minutes.at(-1)!.close))
    assert.equal(bar.trades, minutes.reduce((sum, { trades }) => sum + trades, 0))
  }))

venueTest(
  "trades after one begin at its moment, and hold what the stream has said",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const { events } = yield* watching(market, [SPY, BTC])
      for (const id of [SPY, BTC]) {
        yield* eventually(() => of(events, "Trade", id).length > 5 || undefined)
        const streamed = of(events, "Trade", id).flatMap((event) =>
          event._tag === "Trade" ? [event] : []
        )
        const [first] = streamed
        const later = yield* market.tradesAfter(id, first!)
        assert.ok(later.every(({ time }) => time >= first!.time))
        const ids = new Set(later.map(({ tradeId }) => tradeId))
        assert.ok(streamed.every(({ tradeId }) => ids.has(tradeId)))
      }
    }),
)

venueTest("rules and sessions are read", () =>
  Effect.gen(function* () {
    const venue = yield* simulated({ sessions: "exchange" })
    const { market } = yield* connectTo(venue.endpoints)
    const rules = yield* market.instruments([AAPL, BTC])
    const [aapl, btc] = [AAPL, BTC].map((id) => rules.find((each) => each.id === id)!)
    assert.deepEqual([aapl?.assetClass, aapl?.base, aapl?.quote, aapl?.status], [
      ...["us_equity", "AAPL", "USD", "trading"],
    ])
    assert.deepEqual([btc?.assetClass, btc?.base, btc?.quote, btc?.symbol], [
      ...["crypto", "BTC", "USD", "BTC/USD"],
    ])
    assert.equal(formatDecimal(aapl!.tickBelow!.tickSize), "0.0001")
    const error = yield* Effect.flip(market.instruments([AAPL, "NOPE.ALPACA"]))
    assert.match(error.message, /no trading rules for NOPE\.ALPACA/)

    const days = yield* market.calendar!("2026-11-23", "2026-11-27")
    assert.deepEqual(days.map(({ date, close }) => [date, close]), [
      ...[["2026-11-23", 960], ["2026-11-24", 960], ["2026-11-25", 960]],
      // Thanksgiving is missing, and the day after it is short.
      ["2026-11-27", 780],
    ])
    assert.deepEqual([days[0]?.preOpen, days[0]?.open, days[0]?.postClose], [240, 570, 1_200])
  }))
