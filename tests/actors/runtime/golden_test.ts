/** Our supervision against OTP's own, event by event. */
import assert from "node:assert/strict"
import { type Outcome, play, type Scenario } from "./scenario.ts"

interface GoldenTrace extends Scenario, Outcome {
  readonly cases: ReadonlyArray<number>
  readonly name: string
}

const file = new URL("../../fixtures/actors/otp_traces.jsonl", import.meta.url)
const traces = Deno.readTextFileSync(file).trim().split("\n")
  .map((line) => JSON.parse(line) as GoldenTrace)

for (const { cases, name, supervisor, children, actions, ...recorded } of traces) {
  Deno.test(`case ${cases.join(", ")}, as OTP did: ${name}`, () => {
    assert.deepEqual(play({ supervisor, children, actions }), recorded)
    for (let seed = 0; seed < 20; seed++) {
      assert.deepEqual(play({ supervisor, children, actions }, seed), recorded, `seed ${seed}`)
    }
  })
}

Deno.test("all 47 recorded scenarios are played", () => assert.equal(traces.length, 47))
