import assert from "node:assert/strict"
import fc from "fast-check"
import { isSuspect, learnt, noSilence, usualSilenceMs } from "../../domain/silence.ts"

const HOUR_MS = 3_600_000

Deno.test("nothing is usual before anything has been learnt", () => {
  assert.equal(usualSilenceMs(noSilence, 1e12), 0)
})

Deno.test("the longest silence counts, and less every half hour", () => {
  const silence = learnt(learnt(learnt(noSilence, 4_000, 1e12), 9_000, 1e12), 2_000, 1e12)
  assert.equal(usualSilenceMs(silence, 1e12), 9_000)
  assert.equal(usualSilenceMs(silence, 1e12 + HOUR_MS / 2), 4_500)
  // A shorter one is news once the longer one has faded.
  const later = 1e12 + HOUR_MS
  assert.equal(usualSilenceMs(learnt(silence, 3_000, later), later), 3_000)
})

Deno.test("a silence is suspect that is clearly longer than the longest", () => {
  assert.ok(isSuspect(noSilence, 1, 1e12))
  const silence = learnt(noSilence, 8_000, 1e12)
  assert.ok(!isSuspect(silence, 9_900, 1e12))
  assert.ok(isSuspect(silence, 10_100, 1e12))
})

Deno.test("whatever happens, what has just been learnt is usual and nothing longer is", () => {
  const steps = fc.array(
    fc.record({ silentMs: fc.integer({ min: 0, max: 86_400_000 }), waitMs: fc.nat(HOUR_MS) }),
    { minLength: 1 },
  )
  fc.assert(
    fc.property(steps, (steps) => {
      let [silence, now, longest] = [noSilence, 1e12, 0]
      for (const { silentMs, waitMs } of steps) {
        now += waitMs
        silence = learnt(silence, silentMs, now)
        longest = Math.max(longest, silentMs)
        assert.ok(usualSilenceMs(silence, now) >= silentMs)
        assert.ok(usualSilenceMs(silence, now) <= longest)
        // A clock that is set back makes nothing longer.
        assert.equal(usualSilenceMs(silence, now - HOUR_MS) <= longest, true)
      }
    }),
  )
})
