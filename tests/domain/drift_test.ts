import assert from "node:assert/strict"
import fc from "fast-check"
import { type Drift, lagMs, noDrift, observe, offsetMs, shifted } from "../../domain/drift.ts"

/** Events every 100 ms, each `delayMs(at)` on the way, on a clock that is `skewMs` ahead of ours. */
function stream(seconds: number, delayMs: (at: number) => number, skewMs = 0): Drift {
  let drift = noDrift
  for (let at = 0; at < seconds * 1_000; at += 100) {
    drift = observe(drift, at + skewMs - delayMs(at), at)
  }
  return drift
}

Deno.test("offsetMs() is the difference of the clocks and the shortest way, before any event unknown", () => {
  assert.equal(offsetMs(noDrift), undefined)
  assert.equal(offsetMs(stream(10, () => 20)), 20)
  // The recorded venue is 1.27 s ahead of whoever recorded it.
  assert.equal(offsetMs(stream(10, () => 20, 1_290)), -1_270)
})

Deno.test("lagMs() of a steady stream is nothing, whatever the clocks say", () => {
  fc.assert(
    fc.property(fc.integer({ min: -86_400_000, max: 86_400_000 }), (skewMs) => {
      assert.equal(lagMs(stream(10, () => 35, skewMs), 10_000), 0)
    }),
  )
})

Deno.test("lagMs() grows with a stream that is slower than its market", () => {
  // Delivered at 82 % of its rate: 18 % of the time is added to the delay.
  const slow = stream(20, (at) => at * 0.18)
  const lag = lagMs(slow, 20_000)
  assert.ok(lag > 3_000 && lag < 3_600, `${lag} ms`)
})

Deno.test("lagMs() does not take one late print for a late stream", () => {
  const drift = stream(10, (at) => at === 9_500 ? 8_000 : 15)
  assert.equal(lagMs(drift, 10_000), 0)
  assert.equal(lagMs(observe(noDrift, 0, 9_000), 9_000), 0)
})

Deno.test("lagMs() says nothing of a stream that says nothing", () => {
  assert.equal(lagMs(stream(10, (at) => at), 60_000), 0)
})

Deno.test("offsetMs() forgets a clock that was set, in ten minutes", () => {
  let drift = stream(10, () => 10)
  for (let at = 10_000; at < 620_000; at += 1_000) drift = observe(drift, at - 5_000, at)
  assert.equal(offsetMs(drift), 5_000)
})

Deno.test("shifted() by a step of our clock: the offset moves with it, and nothing seems late", () => {
  let drift = noDrift
  for (let at = 0; at < 3_000; at += 100) drift = observe(drift, at, at + 40)
  const set = shifted(drift, -5_000)
  assert.equal(offsetMs(set), 40 - 5_000)
  assert.equal(lagMs(set, 3_000 - 5_000), 0)
  // What comes after it is as fast as what came before.
  const later = observe(set, 3_100, 3_100 + 40 - 5_000)
  assert.equal(offsetMs(later), 40 - 5_000)
  assert.deepEqual(shifted(noDrift, 1_000), noDrift)
})
