import assert from "node:assert/strict"
import { Effect, Result, Schema } from "effect"
import fc from "fast-check"
import { formatDecimal } from "../../domain/decimal.ts"
import type { StrategyEvent } from "../../domain/strategy.ts"
import { meanReversion, MeanReversionParams } from "../../strategies/mean_reversion.ts"
import { strategies } from "../../strategies/mod.ts"
import { rsiMomentum, RsiMomentumParams } from "../../strategies/rsi_momentum.ts"
import { textOf } from "../domain/arbitraries.ts"
import { bar, holding, instrument } from "./bars.ts"

const started = (name: string, params: unknown = {}) =>
  Effect.runSync(strategies.get(name)!.start(instrument, params))

/** Intents with the event's number, as `3 enter`. */
function intents(
  name: string,
  params: unknown,
  events: ReadonlyArray<StrategyEvent>,
): ReadonlyArray<string> {
  const running = started(name, params)
  return events.flatMap((event, at) => running.step(event).map(({ intent }) => `${at} ${intent}`))
}

const closes = (texts: string) => texts.split(" ").map(bar)

const complaint = (schema: Schema.Codec<unknown, unknown>, params: unknown) => {
  const result = Schema.decodeUnknownResult(schema)(params)
  return Result.isFailure(result) ? result.failure.message : "no complaint"
}

Deno.test("rsi_momentum enters when the index falls below oversold, once", () => {
  const falling = closes("100 102 103 104 103 100 95 90 85")
  const found = intents("rsi_momentum", { period: 3, oversold: 30, overbought: 70 }, falling)
  assert.deepEqual(found, ["6 enter"])
})

Deno.test("rsi_momentum exits when the index rises above overbought, and only what it holds", () => {
  const events = closes("100 99 98 97 98 101 106 111 116")
  const params = { period: 3, oversold: 30, overbought: 70 }
  assert.deepEqual(intents("rsi_momentum", params, [holding("1"), ...events]), ["6 exit"])
  assert.deepEqual(intents("rsi_momentum", params, [holding("0"), ...events]), [])
})

Deno.test("rsi_momentum does not buy again while it holds", () => {
  const falling = closes("100 102 103 104 103 100 95 90 85")
  assert.deepEqual(intents("rsi_momentum", { period: 3 }, [holding("0.5"), ...falling]), [])
})

Deno.test("rsi_momentum says nothing before it knows two values of its index", () => {
  assert.deepEqual(intents("rsi_momentum", { period: 3 }, closes("100 90 80 70")), [])
  assert.deepEqual(started("rsi_momentum", { period: 3 }).indicators(), {})
})

Deno.test("rsi_momentum refuses levels that are not in order", () => {
  for (const [oversold, overbought] of [[70, 30], [50, 50]]) {
    const text = complaint(RsiMomentumParams, { oversold, overbought })
    assert.match(text, /must be below overbought\n.*\["oversold"\]/)
  }
  assert.match(complaint(RsiMomentumParams, { oversold: 80 }), /must be below overbought/)
  assert.equal(complaint(RsiMomentumParams, { oversold: 49.5, overbought: 50 }), "no complaint")
})

Deno.test("parameters outside their range are refused", () => {
  for (
    const params of [{ period: 1 }, { period: 2.5 }, { period: "14" }, { oversold: 0 }, {
      overbought: NaN,
    }]
  ) {
    assert.notEqual(complaint(RsiMomentumParams, params), "no complaint", JSON.stringify(params))
  }
  for (
    const params of [{ period: 501 }, { deviations: 0 }, { deviations: 11 }, { deviations: null }]
  ) {
    assert.notEqual(complaint(MeanReversionParams, params), "no complaint", JSON.stringify(params))
  }
  assert.match(complaint(MeanReversionParams, { deviations: 2.0005 }), /at most three decimals/)
  assert.equal(complaint(MeanReversionParams, { deviations: 2.125 }), "no complaint")
})

Deno.test("mean_reversion enters below the band and exits above the middle", () => {
  const events = [...closes("6 6 6 6 0.9"), holding("1"), ...closes("3 8")]
  assert.deepEqual(intents("mean_reversion", { period: 5, deviations: 1.9 }, events), [
    "4 enter",
    "7 exit",
  ])
})

Deno.test("mean_reversion does nothing exactly on the band, and nothing exactly on the mean", () => {
  assert.deepEqual(intents("mean_reversion", { period: 5, deviations: 2 }, closes("6 6 6 6 1")), [])
  assert.deepEqual(
    intents("mean_reversion", { period: 3 }, [holding("1"), ...closes("0.1 0.3 0.2")]),
    [],
  )
  assert.deepEqual(
    intents("mean_reversion", { period: 3 }, [holding("1"), ...closes("0.1 0.3 0.2000000001")]),
    ["3 exit"],
  )
})

Deno.test("mean_reversion shows its mean and how far the last close is from it", () => {
  const running = started("mean_reversion", { period: 5 })
  for (const each of closes("6 6 6 6 1")) running.step(each)
  assert.deepEqual(running.indicators(), { mean: "5.000000", deviations: "-2.0" })
})

Deno.test("a signal names the price it was decided on and the reason", () => {
  const running = started("mean_reversion", { period: 5, deviations: 1.9 })
  const [signal] = closes("6 6 6 6 0.9").flatMap((each) => running.step(each))
  assert.equal(signal?.instrument, instrument)
  assert.equal(formatDecimal(signal!.price), "0.9")
  assert.equal(signal?.reason, "close 0.9 below the band of 1.9 deviations")
})

const anyEvents = fc.array(
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc.integer({ min: 9_000, max: 11_000 }).map((each) =>
        bar(textOf(BigInt(each), 2))
      ),
    },
    { weight: 1, arbitrary: fc.constantFrom(holding("0"), holding("1.5")) },
  ),
  { maxLength: 120 },
)

for (const name of strategies.keys()) {
  Deno.test(`${name} sees the same and wants the same: equal events, equal signals`, () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const first = started(name, { period: 4 })
        const second = started(name, { period: 4 })
        for (const event of events) {
          assert.deepEqual(first.step(event), second.step(event))
          assert.deepEqual(first.indicators(), second.indicators())
        }
      }),
      { numRuns: 50 },
    )
  })

  Deno.test(`${name} enters only when flat and exits only when holding`, () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const running = started(name, { period: 4 })
        let isHolding = false
        for (const event of events) {
          if (event._tag === "HoldingChanged") isHolding = event.quantity.value > 0n
          for (const { intent } of running.step(event)) {
            assert.equal(intent, isHolding ? "exit" : "enter")
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  Deno.test(`${name} has every setting described, with a default that it takes`, () => {
    const { settings, params } = strategies.get(name)!
    assert.ok(settings.length > 0)
    const defaults = Object.fromEntries(settings.map((each) => [each.name, Number(each.default)]))
    assert.equal(complaint(params, defaults), "no complaint")
    for (const each of settings) assert.ok(each.description.length > 0, each.name)
  })
}

Deno.test("step() leaves the state that it was given as it was", () => {
  const params = { period: 3, oversold: 30, overbought: 70 }
  const state = rsiMomentum.init(instrument, params)
  const before = structuredClone({ ...state, holding: undefined })
  rsiMomentum.step(state, bar("5"), params)
  rsiMomentum.step(state, holding("1"), params)
  assert.deepEqual({ ...state, holding: undefined }, before)
  const band = { period: 3, deviations: 2 }
  const [window] = meanReversion.step(meanReversion.init(instrument, band), bar("5"), band)
  assert.deepEqual(
    meanReversion.step(window, bar("6"), band),
    meanReversion.step(window, bar("6"), band),
  )
})
