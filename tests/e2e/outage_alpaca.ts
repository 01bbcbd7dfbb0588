/**
 * Outages that only Alpaca can have: a dead session keeps the only place of its stream, and whoever
 * comes back is told 406 until the venue has given up on it.
 */
import assert from "node:assert/strict"
import { linkDefaults } from "../../domain/link.ts"
import { limits } from "../../limits.ts"
import {
  assertShownLost,
  feedAlerts,
  type OutageCase,
  outageCases,
  restored,
  sleep,
  toldWithinMs,
} from "./outage_case.ts"
import type { OutageWorld } from "./outage_world.ts"

/** The venue's own, by all that is known. */
const SLOT_HELD_MS = 90_000
/** Longer than the place may be taken before prices are polled. */
const SHORTER_MS = linkDefaults.slotPatienceMs + linkDefaults.slotCapMs + 5_000

/** What is the same whether or not the venue closes the connection that it has refused. */
async function waitsForItsPlace(
  world: OutageWorld,
  heldMs: number,
  begin: () => Promise<string>,
  end: () => Promise<void>,
) {
  const after = world.mark
  const before = await world.counted()
  const at = await world.struckAt(await begin())
  const lost = await world.next("FeedLost", { after })
  assert.ok(lost.time - at < toldWithinMs, `noticed after ${lost.time - at} ms`)
  const busy = await world.next("FeedLost", { after, is: ({ rule }) => rule === "slot_busy" })
  assert.match(busy.event.cause, /406|connection limit/)
  const shown = await assertShownLost(world, /connection limit/)
  assert.equal(shown.rule, "slot_busy")
  assert.equal(shown.attempt, 1, "waiting for our own place burns no attempt")
  // Nothing is alarming about it for a while; then prices are polled, and a person is told.
  const polling = await world.next("FeedPolling", { after, timeoutMs: 60_000 })
  const { slotCapMs, slotPatienceMs } = linkDefaults
  const patientMs = polling.time - busy.time
  assert.ok(patientMs >= slotPatienceMs, `${patientMs} ms`)
  assert.ok(patientMs < slotPatienceMs + slotCapMs + 2_000, `${patientMs} ms`)
  const { feeds } = await world.eventually(
    ({ feeds, alerts }) =>
      feeds[0]!.status === "polling" && feeds[0]!.instruments.every((line) =>
        line.source === "rest" && line.ageMs! < 2 * limits.feed.pollEveryMs
      ) && alerts.some(({ id, resolvedAt }) =>
        id === "feed:alpaca" && resolvedAt === null
      ),
    10_000,
  )
  assert.ok(feeds[0]!.instruments.every(({ fresh }) => !fresh), "a polled price opens nothing")
  assert.equal(feeds[0]!.attempt, 1)
  await sleep(at + heldMs - Date.now())
  await end()
  const back = await restored(world, after, slotCapMs + 10_000)
  assert.ok(back.time - at >= heldMs, `${back.time - at} ms`)
  // The delay of the moment, and two seconds to connect, read on, compare and be steady.
  assert.ok(back.time - at < heldMs + slotCapMs + 2_000, `${back.time - at} ms`)
  assert.match(
    world.timeline(after),
    /^lost 1 backoff(, lost 1 slot_busy)+, polling, rest(, lost 1 slot_busy)*, restored, stream$/,
  )
  assert.deepEqual(feedAlerts(world, after), ["feed:alpaca"])
  const resolved = await world.next("AlertResolved", {
    after,
    is: ({ id }) => id === "feed:alpaca",
  })
  assert.ok(resolved.time - back.time < 1_000)
  // Gently: five to twenty seconds in between, half of it by chance.
  const asked = world.all("FeedLost", after).filter(({ event }) => event.rule === "slot_busy")
  for (const [index, { time }] of asked.entries()) {
    const previous = asked[index - 1]
    if (previous === undefined) continue
    assert.ok(time - previous.time >= linkDefaults.slotBaseMs / 2, `${time - previous.time} ms`)
  }
  await world.assertEveryTradeOnce(before)
}

const real = outageCases({ venue: "alpaca" })
real.outage("the place of a session that was reset is waited for, all of 90 s", async (world) => {
  const reset = { kind: "reset_connections", ...world.streams } as const
  await waitsForItsPlace(
    world,
    SLOT_HELD_MS,
    () => world.arm(reset),
    () => Promise.resolve(),
  )
})

const shorter = outageCases({ venue: "alpaca", slotHeldMs: 1_000 })
shorter.outage("a venue that says 406 and hangs on is left, and waited for", async (world) => {
  let busy = ""
  await waitsForItsPlace(
    world,
    SHORTER_MS,
    async () => {
      busy = await world.arm({ kind: "slot_busy", closes: false, ...world.streams })
      return await world.arm({ kind: "cut_connections", ...world.streams })
    },
    () => world.disarm(busy),
  )
})

export const alpacaCases: ReadonlyArray<OutageCase> = [...real.cases, ...shorter.cases]
