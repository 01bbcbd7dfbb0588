/**
 * Whatever goes wrong, in whatever order: no order without authority, no trade lost or counted
 * twice, no venue asked too often, and every outage ends.
 *
 * Each seed is one schedule of faults on one interleaving of the actors. Usually some hundred are
 * played; `KEEL_SEEDS=10000` plays as many as it says, `KEEL_SEED_FROM` begins elsewhere.
 */
import assert from "node:assert/strict"
import { scheduleOf } from "./schedule.ts"
import { type Outcome, report, run, shrink } from "./schedule_run.ts"

const SEEDS = Number(Deno.env.get("KEEL_SEEDS") ?? 200)
const FROM = Number(Deno.env.get("KEEL_SEED_FROM") ?? 1)
/** Of the seeds that fail so many are told in full. */
const TOLD_MAX = 3

Deno.test("no schedule of faults breaks what must hold", () => {
  const failures = new Array<Outcome>()
  const tally = { orders: 0, outages: 0, denials: 0, bars: 0 }
  for (let seed = FROM; seed < FROM + SEEDS; seed++) {
    const outcome = run(scheduleOf(seed))
    tally.orders += outcome.tally.orders
    tally.outages += outcome.tally.outages
    tally.denials += outcome.tally.denials
    tally.bars += outcome.tally.bars
    if (outcome.violations.length > 0) failures.push(outcome)
  }
  const seeds = failures.map(({ schedule }) => schedule.seed)
  assert.deepEqual(
    seeds,
    [],
    failures.slice(0, TOLD_MAX).map((each) => report(shrink(each))).join("\n\n"),
  )
  // A run in which nothing happens proves nothing.
  assert.ok(tally.orders > 5 * SEEDS, JSON.stringify(tally))
  assert.ok(tally.outages > SEEDS / 2, JSON.stringify(tally))
  assert.ok(tally.denials > SEEDS, JSON.stringify(tally))
  assert.ok(tally.bars > 20 * SEEDS, JSON.stringify(tally))
})

Deno.test("one seed is one run, to the last byte", () => {
  for (const seed of [3, 14, 26]) {
    const once = run(scheduleOf(seed))
    const again = run(scheduleOf(seed))
    assert.equal(again.digest, once.digest)
    assert.deepEqual(again.timeline, once.timeline)
  }
  assert.notEqual(run(scheduleOf(3)).digest, run(scheduleOf(4)).digest)
})
