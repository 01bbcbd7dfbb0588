/**
 * What an actor costs besides its messages. One engine, one question, one process:
 *   deno run -A [--v8-flags=--expose-gc] bench/actors/costs.ts ENGINE spawn|ask|restart|memory
 * Prints one line of JSON. `memory` needs `--expose-gc`.
 */
import { Deferred, Effect, Fiber, Queue, type Scope } from "effect"
import {
  actorName,
  ask,
  behavior,
  type ChildSpec,
  type ReplyTo,
  start,
  supervisor,
} from "../../actors/runtime/mod.ts"

type Cost = () => Effect.Effect<Record<string, number>, unknown, Scope.Scope>

const tree = (children: ReadonlyArray<ChildSpec>) =>
  start(
    supervisor({ name: "root", strategy: "one_for_one", intensity: 1e9, periodMs: 1, children }),
  )

const mailbox = { capacity: 1_000, overflow: "reject" } as const

const idle = (name: string) =>
  behavior<void, string>({
    name,
    mailbox,
    restart: "permanent",
    init: () => {},
    receive: () => {},
  })

const SPAWNS = 20_000

/** Actors started one after another under a running supervisor, each with its scope and its name. */
const spawn: Cost = Effect.fnUntraced(function* () {
  const rates: Array<number> = []
  for (let round = 0; round < 4; round++) {
    const system = yield* tree([])
    const startedAt = performance.now()
    for (let i = 0; i < SPAWNS; i++) yield* system.startChild("root", idle(`${i}`))
    rates.push(SPAWNS / (performance.now() - startedAt) * 1_000)
  }
  return { spawnsPerSecond: median(rates.slice(1)) }
})

const ASKS = 50_000

interface Question {
  readonly x: number
  readonly reply: ReplyTo<number>
}
const server = actorName<Question>("server")

/** A fiber asks, with a deadline, and is told at once when the callee crashes. */
const asking: Cost = Effect.fnUntraced(function* () {
  const system = yield* tree([behavior<void, Question>({
    name: server.id,
    mailbox,
    restart: "permanent",
    init: () => {},
    receive: (_, { x, reply }) => reply.succeed(x + 1),
  })])
  const ref = system.ref(server)
  const rates: Array<number> = []
  for (let round = 0; round < 6; round++) {
    const startedAt = performance.now()
    for (let x = 0; x < ASKS; x++) {
      yield* ask(ref, (reply: ReplyTo<number>) => ({ x, reply }), { timeoutMs: 5_000 })
    }
    rates.push(ASKS / (performance.now() - startedAt) * 1_000)
  }
  return { asksPerSecond: median(rates.slice(1)) }
})

/** The same with a queue, a Deferred and a timeout: who crashes keeps the asker waiting for it. */
const askingByDeferred: Cost = Effect.fnUntraced(function* () {
  const mailbox = yield* Queue.unbounded<{ x: number; reply: Deferred.Deferred<number> }>()
  yield* Effect.forkScoped(Effect.gen(function* () {
    while (true) {
      const { x, reply } = yield* Queue.take(mailbox)
      yield* Deferred.succeed(reply, x + 1)
    }
  }))
  const rates: Array<number> = []
  for (let round = 0; round < 4; round++) {
    const startedAt = performance.now()
    for (let x = 0; x < ASKS / 5; x++) {
      const reply = yield* Deferred.make<number>()
      yield* Queue.offer(mailbox, { x, reply })
      yield* Effect.timeout(Deferred.await(reply), "5 seconds")
    }
    rates.push(ASKS / 5 / (performance.now() - startedAt) * 1_000)
  }
  return { asksPerSecond: median(rates.slice(1)) }
})

/** From the throw to the next incarnation's handling of the message queued behind it. */
const restart: Cost = Effect.fnUntraced(function* () {
  const latencies: Array<number> = []
  let crashedAt = 0
  const crasher = actorName<"crash" | "next">("crasher")
  const system = yield* tree([behavior<void, "crash" | "next">({
    name: crasher.id,
    mailbox,
    restart: "permanent",
    // A resource to give back: a scope that has nothing to close is not what an actor has.
    init: () => Effect.asVoid(Effect.acquireRelease(Effect.void, () => Effect.void)),
    receive: (_, message) => {
      if (message === "next") return void latencies.push(performance.now() - crashedAt)
      crashedAt = performance.now()
      throw new Error("boom")
    },
  })])
  const ref = system.ref(crasher)
  while (latencies.length < 6_000) {
    const before = latencies.length
    ref.send("crash")
    ref.send("next")
    while (latencies.length === before) yield* Effect.yieldNow
  }
  const sorted = latencies.slice(1_000).sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)]! * 10_000) / 10
  return { restartP50Us: at(0.5), restartP99Us: at(0.99) }
})

const IDLE = 50_000

/** Resident bytes of an idle actor with its scope, its specification, its name, its supervisor's entry. */
const memory: Cost = Effect.fnUntraced(function* () {
  const system = yield* tree([])
  const spawn = Effect.fnUntraced(function* (prefix: string, count: number) {
    for (let i = 0; i < count; i++) yield* system.startChild("root", idle(`${prefix}${i}`))
  })
  yield* spawn("warm-up ", 1_000)
  const before = yield* settledBytes
  yield* Effect.flatMap(Effect.forkChild(spawn("idle ", IDLE)), Fiber.join)
  const after = yield* settledBytes
  return { bytesPerActor: Math.round((after - before) / IDLE) }
})

/** An idle actor in idiomatic Effect: a fiber, a queue, a scope. */
const memoryOfQueue: Cost = Effect.fnUntraced(function* () {
  const kept: Array<unknown> = []
  const spawn = Effect.fnUntraced(function* (count: number) {
    for (let i = 0; i < count; i++) {
      const queue = yield* Queue.unbounded<string>()
      kept.push(queue)
      yield* Effect.forkDetach(Effect.scoped(Effect.forever(Queue.take(queue))))
    }
  })
  yield* spawn(1_000)
  const before = yield* settledBytes
  yield* Effect.flatMap(Effect.forkChild(spawn(IDLE)), Fiber.join)
  const after = yield* settledBytes
  return { bytesPerActor: Math.round((after - before) / IDLE) }
})

const settledBytes = Effect.gen(function* () {
  const gc: unknown = Reflect.get(globalThis, "gc")
  if (typeof gc !== "function") throw new Error("memory needs --v8-flags=--expose-gc")
  for (let i = 0; i < 4; i++) {
    gc()
    yield* Effect.sleep(50)
  }
  const { heapUsed, external } = Deno.memoryUsage()
  return heapUsed + external
})

function median(rates: Array<number>): number {
  return Math.round(rates.sort((a, b) => a - b)[rates.length >> 1]!)
}

const costs: Readonly<Record<string, Readonly<Record<string, Cost>>>> = {
  keel: { spawn, ask: asking, restart, memory },
  effect_queue: { ask: askingByDeferred, memory: memoryOfQueue },
}

const [engine = "", question = ""] = Deno.args
const cost = costs[engine]?.[question]
if (cost === undefined) throw new Error(`no cost ${question} of ${engine}`)
const answer = await Effect.runPromise(Effect.scoped(cost()))
console.log(JSON.stringify({ engine, question, ...answer }))
Deno.exit(0)
