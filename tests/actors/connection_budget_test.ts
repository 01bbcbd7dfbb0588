import assert from "node:assert/strict"
import { type ConnectionBudget, fullBudget, spendAttempt } from "../../actors/connection_budget.ts"

/** When each of `count` attempts is made by somebody who never waits longer than told. */
function attemptsAt(count: number): ReadonlyArray<number> {
  let budget: ConnectionBudget = fullBudget(0)
  let now = 0
  return Array.from({ length: count }, () => {
    const [rest, waitMs] = spendAttempt(budget, now)
    budget = rest
    now += waitMs
    return now
  })
}

Deno.test("spendAttempt() lets twenty pass at once, then one every five seconds", () => {
  const at = attemptsAt(100)
  assert.deepEqual(at.slice(0, 20), Array.from({ length: 20 }, () => 0))
  assert.deepEqual(at.slice(20, 23), [5_000, 10_000, 15_000])
  assert.equal(at.filter((each) => each <= 300_000).length, 80)
})

Deno.test("spendAttempt() forgives with time, up to what it began with, and ignores a clock set back", () => {
  const [empty] = spendAttempt({ left: 0, at: 0 }, 0)
  assert.equal(empty.left, -1)
  assert.equal(spendAttempt(empty, 10_000)[1], 0)
  assert.equal(spendAttempt(empty, 3_600_000)[0].left, 19)
  assert.equal(spendAttempt(fullBudget(1_000), 0)[0].left, 19)
})
