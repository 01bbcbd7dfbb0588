/** The heap of deadlines, against a sorted list. */
import assert from "node:assert/strict"
import { Clock, Effect } from "effect"
import fc from "fast-check"
import { type Timer, Timers } from "../../../actors/runtime/timers.ts"
import { VirtualTime } from "../../../actors/runtime/virtual_time.ts"

function makeTimers(time: VirtualTime): Timers {
  return Effect.runSync(time.provide(Effect.gen(function* () {
    return new Timers(yield* Clock.Clock, yield* Effect.context<never>())
  })))
}

Deno.test("timers fire in the order of their times, then of their arming; cancelled ones never", () => {
  const op = fc.record({
    delayMs: fc.integer({ min: 0, max: 50 }),
    cancel: fc.option(fc.nat(30)),
    wait: fc.option(fc.integer({ min: 0, max: 20 })),
  })
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      const time = new VirtualTime()
      const timers = makeTimers(time)
      const armed: Array<
        { at: number; id: number; timer: Timer; state: "armed" | "fired" | "cancelled" }
      > = []
      const fired: Array<number> = []
      for (const { delayMs, cancel, wait } of ops) {
        const id = armed.length
        const timer = timers.after(delayMs, () => {
          assert.equal(armed[id]!.state, "armed")
          assert.equal(time.now, armed[id]!.at)
          armed[id]!.state = "fired"
          fired.push(id)
        })
        armed.push({ at: time.now + delayMs, id, timer, state: "armed" })
        const victim = cancel === null ? undefined : armed[cancel]
        if (victim !== undefined) {
          victim.timer.cancel()
          if (victim.state === "armed") victim.state = "cancelled"
        }
        if (wait !== null) time.run(wait)
      }
      time.run(100)
      const due = armed.filter(({ state }) => state !== "cancelled")
      assert.deepEqual(
        fired,
        due.toSorted((a, b) => a.at - b.at || a.id - b.id).map(({ id }) => id),
      )
      assert.equal(timers.size, 0)
    }),
    { numRuns: 500 },
  )
})

Deno.test("closed timers fire no more, and leave no sleeper", () => {
  const time = new VirtualTime()
  const timers = makeTimers(time)
  timers.after(10, () => assert.fail("fired"))
  timers.close()
  timers.after(10, () => assert.fail("armed after the end"))
  time.settle()
  assert.equal(time.sleeping, 0)
  time.run(20)
})
