/** The ground under the other tests here: one scenario has one timeline, and time is virtual. */
import assert from "node:assert/strict"
import { startBinance } from "./binance.ts"
import { lineOf } from "./timeline.ts"

/** Everything that was written, with its times; what happened at one moment is a set. */
async function told(seed: number): Promise<ReadonlyArray<string>> {
  await using world = await startBinance({ seed })
  await world.arm({ kind: "reset_connections", fromMs: 8_000, match: { door: "streams" } })
  await world.arm({ kind: "refuse_upgrade", status: 503, count: 3, match: { door: "streams" } })
  await world.arm({ kind: "freeze_connections", fromMs: 20_000, match: { door: "wsApi" } })
  await world.arm({
    kind: "hang",
    when: "after",
    fromMs: 26_000,
    count: 1,
    match: { door: "rest" },
  })
  await world.arm({ kind: "drop", fromMs: 32_000, untilMs: 40_000, match: { door: "streams" } })
  await world.advance(60_000)
  assert.ok(world.all("FeedRestored").length >= 3)
  assert.ok(world.all("AccountLost").length >= 1)
  assert.ok(world.all("OrderFilled").length >= 40)
  // Requests that are under way at the same time are answered in any order, within one moment.
  return world.records().map(({ time, event }) => `${time} ${lineOf(event)}`).toSorted()
}

Deno.test("a minute of faults takes seconds, and happens the same way every time", async () => {
  const began = performance.now()
  const once = await told(7)
  const tookMs = performance.now() - began
  assert.ok(tookMs < 45_000, `${tookMs} ms`)
  const again = await told(7)
  const differs = again.findIndex((line, index) => line !== once[index])
  assert.equal(differs, -1, `${once[differs]} once, ${again[differs]} again`)
  assert.equal(again.length, once.length)
  assert.notDeepEqual(await told(8), once)
})
