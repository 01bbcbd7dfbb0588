/** One fault, what it leads to, and that it is over in the end. */
import type { Fault } from "../../venues/simulator/fault.ts"
import { assertHealed, assertNothingOpenedBlindly } from "./safety.ts"
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
    else assertNothingOpenedBlindly(world)
  })
}
