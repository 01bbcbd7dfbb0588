/** Rules that change while we trade. */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { decimal, formatDecimal } from "../../domain/decimal.ts"
import type { Instrument } from "../../domain/instrument.ts"
import { makeRules } from "../../venues/rules.ts"
import { BTC, connectTo, ETH, eventually, simulated, venueTest } from "./binance/venue.ts"

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
        ...{ everyMs: 600_000, restMs: 50 },
      })
      refresh = rules.refresh
      yield* Effect.forkScoped(rules.watch(known, (instrument) => changed.push(instrument)))
      yield* venue.arm({ kind: "listing", symbol: "BTCUSDT", stepSize: "0.01000000" })
      yield* Effect.sleep(150)
      const order = {
        ...{ instrument: BTC, side: "buy", type: "market", price: undefined } as const,
        quantity: decimal("0.002"),
      }
      for (const clientOrderId of ["keel-1", "keel-2", "keel-3"]) {
        const error = yield* Effect.flip(broker.submit({ ...order, clientOrderId }))
        assert.ok(error._tag === "OrderRefused" && error.reason === "trading_rule")
      }
      yield* eventually(() => changed[0])
      yield* Effect.sleep(150)
      assert.deepEqual(changed.map(({ id, lotSize }) => [id, formatDecimal(lotSize)]), [[
        BTC,
        "0.01",
      ]])
      assert.ok(readings <= 2)
    }),
)

venueTest(
  "rules are read on a timer, a halt is a change, and a reading that fails is made up for",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({
        faults: [{
          ...{ kind: "respond", when: "before", status: 502, body: "", count: 1, fromMs: 300 },
          match: { path: "/api/v3/exchangeInfo" },
        }],
      })
      const { market } = yield* connectTo(venue.endpoints)
      const read = market.instruments([BTC])
      const changed: Array<Instrument> = []
      const { watch } = makeRules({ read, everyMs: 100, restMs: 0 })
      yield* Effect.forkScoped(watch(yield* read, (instrument) => changed.push(instrument)))
      yield* Effect.sleep(500)
      assert.equal(changed.length, 0)
      yield* venue.arm({ kind: "listing", symbol: "BTCUSDT", status: "HALT" })
      const halted = yield* eventually(() => changed[0])
      assert.equal(halted.status, "halted")
    }),
)
