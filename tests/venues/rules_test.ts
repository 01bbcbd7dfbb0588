/** Rules that change while we trade. */
import assert from "node:assert/strict"
import { Clock, Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { decimal, formatDecimal } from "../../domain/decimal.ts"
import type { Instrument } from "../../domain/instrument.ts"
import { Unreachable, VenueError } from "../../venues/market_data.ts"
import { makeRules } from "../../venues/rules.ts"
import { BTC, connectTo, ETH, simulated } from "./binance/venue.ts"
import { ownClock, struck, venueTest } from "./harness.ts"

venueTest(
  "an order refused by a rule makes the rules be read again, once, and the change told",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      let refresh = () => {}
      const { broker, market } = yield* connectTo(venue.endpoints, { rulesBroken: () => refresh() })
      const known = yield* market.instruments([BTC, ETH])
      const changed: Array<Instrument> = []
      let readings = 0
      const rules = makeRules({
        read: Effect.suspend(() => {
          readings++
          return market.instruments([BTC, ETH])
        }),
        ...{ everyMs: 600_000, restMs: 1_000 },
      })
      refresh = rules.refresh
      const { clock, on, passUntil } = yield* ownClock
      yield* Effect.forkScoped(on(rules.watch(known, (instrument) => changed.push(instrument))))
      yield* struck(venue, { kind: "listing", symbol: "BTCUSDT", stepSize: "0.01000000" })
      const order = {
        ...{ instrument: BTC, side: "buy", type: "market", price: undefined } as const,
        quantity: decimal("0.002"),
      }
      for (const clientOrderId of ["keel-1", "keel-2", "keel-3"]) {
        const error = yield* Effect.flip(broker.submit({ ...order, clientOrderId }))
        assert.ok(error._tag === "OrderRefused" && error.reason === "trading_rule")
      }
      yield* passUntil(100, () => changed[0])
      const now = clock.currentTimeMillisUnsafe()
      yield* passUntil(500, () => clock.currentTimeMillisUnsafe() > now + 5_000 || undefined)
      assert.deepEqual(changed.map(({ id, lotSize }) => [id, formatDecimal(lotSize)]), [[
        BTC,
        "0.01",
      ]])
      assert.equal(readings, 1)
    }),
)

const instrument: Instrument = {
  ...{ id: BTC, venue: "binance", assetClass: "crypto", symbol: "BTCUSDT", base: "BTC" },
  ...{ quote: "USDT", tickSize: decimal("0.01"), lotSize: decimal("0.001"), status: "trading" },
  ...{ quantityMin: decimal("0.001"), quantityMax: decimal("100"), notionalMin: decimal("5") },
}
const unreachable = new VenueError({
  ...{ venue: "binance", doing: "GET /api/v3/exchangeInfo" },
  reason: new Unreachable({ detail: "connection reset" }),
})

/** Rules that the venue tells as `answers` say, and what a watch says of them. */
const watching = Effect.fnUntraced(function* (
  answers: ReadonlyArray<Effect.Effect<ReadonlyArray<Instrument>, VenueError>>,
) {
  const changed: Array<Instrument> = []
  let readings = 0
  const rules = makeRules({
    read: Effect.suspend(() => answers[readings++] ?? Effect.succeed([])),
    ...{ everyMs: 60_000, restMs: 1_000 },
  })
  yield* Effect.forkScoped(rules.watch([instrument], (each) => changed.push(each)))
  const settle = Effect.repeat(Effect.yieldNow, { times: 20 })
  const pass = (ms: number) =>
    settle.pipe(Effect.andThen(TestClock.adjust(ms)), Effect.andThen(settle))
  return { rules, changed, pass, readings: () => readings }
})

function virtualTest(name: string, body: () => Effect.Effect<void, never, Scope.Scope>) {
  Deno.test(
    name,
    () =>
      Effect.suspend(body).pipe(
        Effect.scoped,
        Effect.provide(TestClock.layer()),
        Effect.runPromise,
      ),
  )
}

virtualTest(
  "rules are read on a timer, a halt is a change, and a reading that fails is made up for",
  () =>
    Effect.gen(function* () {
      const halted: Instrument = { ...instrument, status: "halted" }
      const { changed, pass, readings } = yield* watching([
        Effect.succeed([{ ...instrument, lotSize: decimal("0.00100") }]),
        Effect.fail(unreachable),
        Effect.succeed([halted]),
        Effect.succeed([halted]),
      ])
      yield* pass(59_999)
      assert.equal(readings(), 0)
      yield* pass(1)
      assert.equal(readings(), 1)
      yield* pass(60_000)
      assert.deepEqual([readings(), changed], [2, []])
      yield* pass(60_000)
      yield* pass(60_000)
      assert.deepEqual([readings(), changed], [4, [halted]])
    }),
)

virtualTest(
  "between two readings there is a rest, whoever asks and whatever the clock",
  () =>
    Effect.gen(function* () {
      const real = yield* Clock.Clock
      let setBackMs = 0
      const clock: Clock.Clock = Object.assign(Object.create(real), {
        currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() - setBackMs,
        currentTimeMillis: Effect.sync(() => real.currentTimeMillisUnsafe() - setBackMs),
      })
      const { pass, readings, rules } = yield* Effect.provideService(
        watching([]),
        Clock.Clock,
        clock,
      )
      yield* pass(1)
      setBackMs = 3_600_000
      rules.refresh()
      rules.refresh()
      yield* pass(900)
      assert.equal(readings(), 0)
      yield* pass(100)
      assert.equal(readings(), 1)
      rules.refresh()
      yield* pass(1_000)
      assert.equal(readings(), 2)
    }),
)
