/** Our supervision against OTP's own, event by event. */
import assert from "node:assert/strict"
import { type Outcome, play, type Scenario } from "./scenario.ts"
import { realWorld, SEEDS, virtualWorld } from "./world.ts"

interface GoldenTrace extends Scenario, Outcome {
  readonly cases: ReadonlyArray<number>
  readonly name: string
}

const file = new URL("../../fixtures/actors/otp_traces.jsonl", import.meta.url)
const traces = Deno.readTextFileSync(file).trim().split("\n")
  .map((line) => JSON.parse(line) as GoldenTrace)

for (const { cases, name, supervisor, children, actions, ...recorded } of traces) {
  const scenario = { supervisor, children, actions }
  Deno.test(`case ${cases.join(", ")}, as OTP did: ${name}`, async () => {
    for (const seed of [...SEEDS, 8, 9, 10, 11, 12]) {
      const world = virtualWorld(seed)
      assert.deepEqual(await play(scenario, world), recorded, world.name)
    }
  })
  Deno.test(`case ${cases.join(", ")}, as OTP did: ${name} [real time]`, async () => {
    assert.deepEqual(await play(scenario, realWorld()), recorded)
  })
}

Deno.test("all 47 recorded scenarios are played", () => assert.equal(traces.length, 47))
