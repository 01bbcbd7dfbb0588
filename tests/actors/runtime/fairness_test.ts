/** Case 45, in real time: who floods himself must not delay others. */
import assert from "node:assert/strict"
import process from "node:process"
import { Effect } from "effect"
import { actor, boot, named } from "./tree.ts"
import { realWorld } from "./world.ts"

/** More than this late at most once in a hundred times, in milliseconds. */
const LATE_MS = 20
const FLOOD_MS = 600

/** Milliseconds that this process has had a processor: the turns of other processes are not our doing. */
function usedMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** By how much a timer of 5 ms is late because of us. */
const lateness = Effect.gen(function* () {
  const before = performance.now()
  const usedBefore = usedMs()
  yield* Effect.sleep(5)
  return Math.min(performance.now() - before, usedMs() - usedBefore) - 5
})

const flood = (actors: number, messages: number) =>
  Effect.gen(function* () {
    const seen = new Array<number>(actors).fill(0)
    let flooding = true
    const system = yield* boot(realWorld(), [
      ...Array.from({ length: actors }, (_, i) =>
        actor(
          { name: `flood${i}`, mailbox: { capacity: 10_000, overflow: "reject" } },
          (_, self) => {
            seen[i]!++
            if (flooding) self.self.send("again")
          },
        )),
      actor({
        name: "quiet",
        init: (self) => void self.every(1, "beat"),
      }, () => void quiet++),
    ])
    let quiet = 0
    for (let i = 0; i < actors; i++) {
      for (let k = 0; k < messages; k++) system.ref(named(`flood${i}`)).send("go")
    }
    const late: Array<number> = []
    const usedBefore = usedMs()
    // In the time we had, not in the machine's: a busy one would leave nothing to count.
    while (usedMs() - usedBefore < FLOOD_MS) late.push(yield* lateness)
    flooding = false
    late.sort((a, b) => a - b)
    const fair = seen.map((count) => count / messages)
    return {
      p50: late[late.length >> 1]!,
      p99: late[Math.floor(late.length * 0.99) - 1]!,
      // For how long each beat had to wait, in the time we had.
      beatMs: (usedMs() - usedBefore) / quiet,
      least: Math.min(...fair),
      most: Math.max(...fair),
    }
  })

const flooded = (actors: number, messages: number) =>
  Effect.runPromise(Effect.scoped(flood(actors, messages)))

for (const [actors, messages] of [[1, 1_000], [1_000, 1], [300, 30]] as const) {
  Deno.test(
    `case 45: ${actors} actors flooding themselves with ${messages} messages neither delay a 5 ms timer nor starve one another`,
    async () => {
      const { p50, p99, beatMs, least, most } = await flooded(actors, messages)
      assert.ok(p99 < LATE_MS, `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms late`)
      assert.ok(beatMs < LATE_MS, `a beat of 1 ms every ${beatMs} ms`)
      assert.ok(least > 0 && most < 2 * least, `turns between ${least} and ${most}`)
    },
  )
}

Deno.test("case 45: a chain of promises does not get a new budget at every link", async () => {
  // Each message is answered by a promise, whose reaction sends the next: one endless turn.
  const late = await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    let going = true
    const system = yield* boot(realWorld(), [
      actor({ name: "a" }, (_, self) => {
        if (going) Promise.resolve().then(() => self.self.send("again"))
      }),
    ])
    system.ref(named("a")).send("go")
    const late: Array<number> = []
    while (late.length < 21) late.push(yield* lateness)
    going = false
    return late.sort((a, b) => a - b)[late.length >> 1]!
  })))
  assert.ok(late < LATE_MS, `${late} ms late`)
})
