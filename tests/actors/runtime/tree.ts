/** Small trees to test with. */
import type { Effect, Scope } from "effect"
import {
  type ActorContext,
  actorName,
  behavior,
  type BehaviorOptions,
  type ChildSpec,
  start,
  type StartOptions,
  type Stop,
  supervisor,
  type SupervisorOptions,
} from "../../../actors/runtime/mod.ts"
import type { World } from "./world.ts"

/** Words an actor of these tests understands; `crash…` throws. */
export type Word = string

/** Handlers here keep no state: what they see goes into a list of the test's. */
export type Hear = (
  word: Word,
  actor: ActorContext<Word>,
) => void | Stop | Effect.Effect<void | Stop, unknown>

export interface Options extends Partial<Omit<BehaviorOptions<void, Word>, "init" | "receive">> {
  readonly name: string
  readonly init?: (actor: ActorContext<Word>) => void | Effect.Effect<void, unknown, Scope.Scope>
}

export function actor(options: Options, hear: Hear = () => {}) {
  return behavior<void, Word>({
    mailbox: { capacity: 1_000, overflow: "reject" },
    restart: "permanent",
    init: () => {},
    ...options,
    receive: (_, word, actor) => {
      if (word.startsWith("crash")) throw new Error(word)
      return hear(word, actor)
    },
  })
}

export const named = (id: string) => actorName<Word>(id)

export function root(children: ReadonlyArray<ChildSpec>, flags: Partial<SupervisorOptions> = {}) {
  return supervisor({
    name: "root",
    strategy: "one_for_one",
    intensity: 10,
    periodMs: 1_000,
    ...flags,
    children,
  })
}

export const boot = (
  world: World,
  children: ReadonlyArray<ChildSpec>,
  flags: Partial<SupervisorOptions> = {},
  options: StartOptions = {},
) => start(root(children, flags), { dispatcher: world.dispatcher, ...options })
