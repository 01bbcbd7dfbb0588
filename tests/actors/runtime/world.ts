/** The same tests in two worlds: the event loop, and virtual time under several seeds. */
import { Effect, type Scope } from "effect"
import {
  type ActorSystem,
  type Dispatcher,
  EventLoopDispatcher,
} from "../../../actors/runtime/mod.ts"
import { VirtualTime } from "../../../actors/runtime/virtual_time.ts"

export interface World {
  readonly name: string
  readonly dispatcher: Dispatcher
  run<A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A>
}

export function realWorld(): World {
  return {
    name: "real time",
    dispatcher: new EventLoopDispatcher(),
    run: (effect) => Effect.runPromise(Effect.scoped(effect)),
  }
}

export function virtualWorld(seed?: number, time?: VirtualTime): World {
  const virtual = time ?? new VirtualTime(seed === undefined ? {} : { seed })
  return {
    name: seed === undefined ? "virtual time" : `virtual time, seed ${seed}`,
    dispatcher: virtual.dispatcher,
    run: (effect) => virtual.runPromise(Effect.scoped(effect)),
  }
}

export const SEEDS = [undefined, 1, 2, 3, 4, 5, 6, 7]

type Body = (world: World) => Effect.Effect<void, unknown, Scope.Scope>

/** On real time, and on virtual time in order and under seven seeds. */
export function testActors(name: string, body: Body) {
  testVirtual(name, body)
  Deno.test(`${name} [real time]`, () => {
    const world = realWorld()
    return world.run(body(world))
  })
}

/** Where milliseconds have to be exact, or hours to pass. */
export function testVirtual(name: string, body: Body) {
  Deno.test(name, async () => {
    for (const seed of SEEDS) {
      const world = virtualWorld(seed)
      try {
        await world.run(body(world))
      } catch (error) {
        throw new Error(`on ${world.name}`, { cause: error })
      }
    }
  })
}

/** Until nothing in the system has anything to do. */
export const settled = (system: ActorSystem) =>
  Effect.gen(function* () {
    for (let i = 0; i < 2_000; i++) {
      yield* Effect.sleep(1)
      if (system.idle()) return
    }
    throw new Error("the system does not come to rest")
  })
