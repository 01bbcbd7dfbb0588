/**
 * The engines that can run `programs.ts`, each through its public interface.
 *
 * Ours runs with everything on: bounded mailboxes, counters, scopes, supervision,
 * references that are fenced when their incarnation ends. The peers do less, and
 * the table says so: see `bench/actors/README.md`.
 */
import { Deferred, Effect } from "effect"
import { actorName, behavior, start, supervisor } from "../../actors/runtime/mod.ts"
import type { Actor, Find, Message, Program, Target } from "./programs.ts"

/** Runs a program to its end. `done` of the program resolves `finished`. */
export type Engine = (program: Program, finished: Promise<void>) => Promise<void>

// Peers are loaded only in the process that measures them, and only there resolved: neither the
// lock file nor the types of this repository know them.
const NACT = "npm:nact@7.6.2"
const XSTATE = "npm:xstate@5.33.3"
const COMEDY = "npm:comedy@2.1.7"

/** More than the largest burst, `counting` at scale 2: a rejected message would end nothing. */
const CAPACITY = 2 ** 22

export const engines: Readonly<Record<string, () => Promise<Engine>>> = {
  keel: () =>
    Promise.resolve((program, finished) =>
      Effect.runPromise(Effect.scoped(Effect.gen(function* () {
        const children = program.actors.map((actor) => keelActor(actor))
        const system = yield* start(
          supervisor({
            name: "root",
            strategy: "one_for_one",
            intensity: 0,
            periodMs: 1_000,
            children,
          }),
        )
        program.push((name) => system.ref(actorName<Message>(name)))
        yield* Effect.promise(() => finished)
      })))
    ),

  /** The least that mailboxes on one thread can cost: no bounds, no failures, no fairness. */
  array_mailbox: () => Promise.resolve(arrayMailboxes()),

  xstate: async () => {
    const { createActor, fromTransition } = await import(XSTATE) as XState
    return (program, finished) => {
      const find = registry((actor, find) => {
        const handle = actor.make(find)
        const running = createActor(
          fromTransition((state: number, message: Message) => {
            handle(message)
            return state
          }, 0),
        )
        running.start()
        return running
      }, program)
      program.push(find)
      return finished
    }
  },

  xstate_machine: async () => {
    const { createActor, setup } = await import(XSTATE) as XState
    return (program, finished) => {
      const find = registry((actor, find) => {
        const handle = actor.make(find)
        const types = [
          ...new Set(["go", "get", "token", "ping", "pong", "tick", "signal", "order"]),
        ]
        const act = { actions: ({ event }: { event: Message }) => handle(event) }
        const machine = setup({}).createMachine({
          initial: "active",
          states: { active: { on: Object.fromEntries(types.map((type) => [type, act])) } },
        })
        const running = createActor(machine)
        running.start()
        return running
      }, program)
      program.push(find)
      return finished
    }
  },

  nact: async () => {
    const nact = await import(NACT) as Nact
    return (program, finished) => {
      const system = nact.start()
      const find = registry((actor, find) => {
        const handle = actor.make(find)
        const running = nact.spawn(system, (_state, message) => handle(message))
        return { send: (message) => nact.dispatch(running, message) }
      }, program)
      program.push(find)
      return finished
    }
  },

  /** In-memory mode. */
  comedy: async () => {
    // It guesses its folder from a CommonJS main module, which there is not.
    Deno.env.set("APP_ROOT_PATH", Deno.cwd())
    const { default: comedy } = await import(COMEDY) as { default: Comedy }
    return async (program, finished) => {
      const system = comedy({ loggerConfiguration: {} })
      system.getLog().setLevel(0)
      const root = await system.rootActor()
      const running = new Map<string, Awaited<ReturnType<typeof root.createChild>>>()
      const find: Find = (name) => ({
        send: (message) => running.get(name)!.send("handle", message),
      })
      for (const { name, make } of program.actors) {
        running.set(name, await root.createChild({ handle: make(find) }))
      }
      program.push(find)
      await finished
    }
  },
}

function keelActor({ name, make }: Actor) {
  return behavior<(message: Message) => void, Message>({
    name,
    mailbox: { capacity: CAPACITY, overflow: "reject" },
    restart: "permanent",
    init: (actor) => make((target) => actor.ref(actorName<Message>(target))),
    receive: (handle, message) => {
      handle(message)
      return handle
    },
  })
}

/** For engines without names: actors are made when they are first looked for. */
function registry(create: (actor: Actor, find: Find) => Target, program: Program): Find {
  const specs = new Map(program.actors.map((actor) => [actor.name, actor]))
  const made = new Map<string, { target: Target | undefined } & Target>()
  const find: Find = (name) => {
    const known = made.get(name)
    if (known !== undefined) return known.target ?? known
    // A circle finds its own beginning unfinished, and goes through this until it is.
    const link = {
      target: undefined as Target | undefined,
      send: (message: Message) => link.target!.send(message),
    }
    made.set(name, link)
    link.target = create(specs.get(name)!, find)
    return link.target
  }
  for (const { name } of program.actors) find(name)
  return find
}

function arrayMailboxes(): Engine {
  let ready: Array<Box> = []
  let scheduled = false
  const pass = () => {
    while (ready.length > 0) {
      const now = ready
      ready = []
      for (const box of now) box.drain()
    }
    scheduled = false
  }
  class Box implements Target {
    handle: (message: Message) => void = () => {}
    private waiting: Array<Message> = []

    send(message: Message) {
      if (this.waiting.push(message) > 1) return
      ready.push(this)
      if (scheduled) return
      scheduled = true
      queueMicrotask(pass)
    }

    drain() {
      const messages = this.waiting
      this.waiting = []
      for (let i = 0; i < messages.length; i++) this.handle(messages[i]!)
    }
  }
  return (program, finished) => {
    const boxes = new Map(program.actors.map(({ name }) => [name, new Box()]))
    const find: Find = (name) => boxes.get(name)!
    for (const { name, make } of program.actors) boxes.get(name)!.handle = make(find)
    program.push(find)
    return finished
  }
}

/** A promise and what resolves it. */
export function completion(): { readonly finished: Promise<void>; readonly done: () => void } {
  const deferred = Effect.runSync(Deferred.make<void>())
  return {
    finished: Effect.runPromise(Deferred.await(deferred)),
    done: () => void Effect.runFork(Deferred.succeed(deferred, undefined)),
  }
}

// What we use of the peers.

interface Running extends Target {
  start(): unknown
}
interface XState {
  createActor(logic: unknown): Running
  fromTransition(step: (state: number, message: Message) => number, initial: number): unknown
  setup(options: object): { createMachine(config: object): unknown }
}
interface Nact {
  start(): object
  spawn(parent: object, handle: (state: unknown, message: Message) => unknown): object
  dispatch(actor: object, message: Message): void
}
type Comedy = (options: object) => {
  getLog(): { setLevel(level: number): void }
  rootActor(): Promise<{
    createChild(behavior: object): Promise<{ send(topic: string, message: Message): unknown }>
  }>
}
