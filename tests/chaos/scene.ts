/** One fault, what it leads to, and that it is over in the end. */
import assert from "node:assert/strict"
import type { EventOf } from "../../domain/event.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Fault } from "../../venues/simulator/fault.ts"
import { assertNothingOpenedBlindly } from "../entries.ts"
import { assertHealed } from "./safety.ts"
import { assertTimeline } from "./timeline.ts"
import type { ChaosWorld } from "./world.ts"

/** Before every fault: strategies trade, and bars have been seen from their beginning. */
export const LEAD_MS = 6_000

export interface Scene {
  readonly world: ChaosWorld
  /** When the fault was armed; most strike at the venue's next look, 50 ms later. */
  readonly at: number
  /** Where the journal ended then. */
  readonly after: number
  /** Of the faults, in their order. */
  readonly ids: ReadonlyArray<string>
  /** What has happened since, in seconds after the fault; see `timeline.ts`. */
  readonly expect: (timeline: string) => void
}

/**
 * Of two symbols one is mute for 26 seconds: nothing is opened in it, its price is polled, and the
 * other is not disturbed. Returns the gap that was found when it spoke again.
 */
export async function playMute(
  { after, expect, world }: Scene,
  mute: InstrumentId,
  other: InstrumentId,
  /** When it has to be said that it is polled: `9.50..10.60`. */
  polled: string,
): Promise<EventOf<"Gap">> {
  await world.advance(4_000)
  const stale = world.mark
  await world.advance(10_000)
  const opened = world.all("OrderSubmitted", stale).filter(({ purpose }) => purpose === "open")
  assert.ok(opened.some(({ instrument }) => instrument === other))
  assert.ok(!opened.some(({ instrument }) => instrument === mute))
  await world.advance(12_000)
  assert.deepEqual(world.all("FeedLost", after), [])
  expect(`
    ${polled}  SourceChanged ${mute} rest
    18.0..25.50  SourceChanged ${mute} stream
  `)
  const gap = world.all("Gap", after).find(({ instrument }) => instrument === mute)
  assert.ok(gap?.complete)
  return gap
}

export interface SceneOptions {
  /** Alerts that stay for a good reason. */
  readonly lasting?: ReadonlyArray<string>
  /** False where it cannot heal by itself within the scene. Default true. */
  readonly heals?: boolean
}

export function sceneTest(
  name: string,
  start: () => Promise<ChaosWorld>,
  faults: ReadonlyArray<Fault>,
  body: (scene: Scene) => Promise<void>,
  { heals = true, lasting = [] }: SceneOptions,
) {
  Deno.test(name, async () => {
    await using world = await start()
    await world.advance(LEAD_MS)
    const after = world.mark
    const ids = new Array<string>()
    for (const fault of faults) ids.push(await world.arm(fault))
    const at = world.now
    const expect = (timeline: string) =>
      assertTimeline(world.records().filter(({ seq }) => seq > after), at, timeline)
    await body({ world, at, after, ids, expect })
    if (heals) await assertHealed(world, { after, lasting })
    else assertNothingOpenedBlindly(world.records())
  })
}
