import assert from "node:assert/strict"
import { decimal } from "../../domain/decimal.ts"
import { Fresh } from "../../domain/freshness.ts"

const price = { bid: decimal("1"), ask: decimal("2") }

Deno.test("isValidAt() holds from hearing the price until it expires, its end excluded", () => {
  const fresh = Fresh.issue("BTC/USDT.BINANCE", price, 1_000, 3_000)
  assert.deepEqual([999, 1_000, 3_999, 4_000].map((time) => fresh.isValidAt(time)), [
    false,
    true,
    true,
    false,
  ])
  assert.equal(fresh.expiresAt, 4_000)
})

Deno.test("isValidAt() is never true of a price that may be as old as it likes", () => {
  assert.equal(Fresh.issue("BTC/USDT.BINANCE", price, 1_000, 0).isValidAt(1_000), false)
})
