import assert from "node:assert/strict"
import fc from "fast-check"
import { backoffMs } from "../../domain/backoff.ts"

const policy = { baseMs: 500, capMs: 30_000, attemptsMax: 5 }
const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

Deno.test("backoffMs() is whole, at least a tenth of the doubled delay, and never above the cap", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 5_000 }), anyRandom, (attempt, random) => {
    const full = Math.min(policy.capMs, policy.baseMs * 2 ** (attempt - 1))
    const delay = backoffMs(policy, attempt, random)
    assert.ok(Number.isSafeInteger(delay))
    assert.ok(delay >= Math.round(full / 10) && delay <= full, `${delay} of ${full}`)
  }))
})

Deno.test("backoffMs() doubles, then stays at the cap", () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 99].map((attempt) =>
    backoffMs(policy, attempt, 0.9999999)
  )
  assert.deepEqual(longest, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
})

Deno.test("backoffMs() grows with its chance", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), anyRandom, anyRandom, (attempt, a, b) => {
    const [low, high] = a < b ? [a, b] : [b, a]
    assert.ok(backoffMs(policy, attempt, low) <= backoffMs(policy, attempt, high))
  }))
})
