import assert from "node:assert/strict"
import fc from "fast-check"
import { decimal } from "../../domain/decimal.ts"
import { narrate } from "../../domain/narration.ts"
import { anyEventOf, eventTags } from "./events.ts"

for (const tag of eventTags) {
  Deno.test(`narrate() has a line for every ${tag}`, () => {
    fc.assert(
      fc.property(anyEventOf(tag), (event) => {
        const { tone, source, text } = narrate(event)
        assert.ok(["plain", "trade", "warning", "error"].includes(tone))
        assert.equal(typeof source, "string")
        assert.ok(text.length > 0)
        assert.doesNotMatch(text, /undefined|\[object|NaN/)
      }),
      { numRuns: 30 },
    )
  })
}

Deno.test("narrate() tells a fill with its numbers", () => {
  const line = narrate({
    ...{ _tag: "OrderFilled", clientOrderId: "keel-1", executionId: "7", venueOrderId: "9" },
    ...{
      quantity: decimal("0.5"),
      price: decimal("61000.10"),
      fee: decimal("0.0005"),
      feeAsset: "BTC",
      executedAt: 0,
    },
  })
  assert.deepEqual(line, {
    tone: "trade",
    source: "executor",
    text: "keel-1 filled 0.5 at 61000.1, fee 0.0005 BTC",
  })
})

Deno.test("narrate() raises its voice where something is wrong", () => {
  const tones = [
    narrate({ _tag: "FeedLost", venue: "binance", cause: "closed", attempt: 1 }),
    narrate({ _tag: "OrderUnconfirmed", clientOrderId: "1", cause: "timeout" }),
    narrate({
      _tag: "AccountReconciled",
      venue: "binance",
      ordersOpen: 0,
      fillsFound: 0,
      differences: ["BTC"],
    }),
    narrate({
      _tag: "AccountReconciled",
      venue: "binance",
      ordersOpen: 0,
      fillsFound: 0,
      differences: [],
    }),
  ].map(({ tone }) => tone)
  assert.deepEqual(tones, ["error", "warning", "error", "plain"])
})
