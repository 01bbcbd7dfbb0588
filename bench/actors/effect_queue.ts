/**
 * The seven programs as one writes them in Effect without a runtime for actors: a
 * fiber and an unbounded queue each, handlers that are Effects, `Queue.offer` to
 * send. Every empty mailbox suspends its fiber; that is what is being compared.
 */
import { Deferred, Effect, Queue } from "effect"
import {
  FANOUT_BURST,
  jobOf,
  nextRandom,
  PEERS,
  PIPELINE_BURST,
  priceOf,
  RING,
  sizes,
  smooth,
  STRATEGIES,
  WORKERS,
} from "./programs.ts"

type Sizes = ReturnType<typeof sizes>
type End = Effect.Effect<unknown>

const serve = <M>(mailbox: Queue.Queue<M>, handle: (message: M) => Effect.Effect<unknown>) =>
  Effect.forkChild(Effect.gen(function* () {
    while (true) yield* handle(yield* Queue.take(mailbox))
  }))

const queues = <M>(count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Queue.unbounded<M>())

const pingpong = Effect.fnUntraced(function* ({ roundTrips }: Sizes, end: End) {
  const ping = yield* Queue.unbounded<"go">()
  const pong = yield* Queue.unbounded<"go">()
  let left = roundTrips
  yield* serve(ping, () => left-- === 0 ? end : Queue.offer(pong, "go"))
  yield* serve(pong, () => Queue.offer(ping, "go"))
  yield* Queue.offer(ping, "go")
})

const counting = Effect.fnUntraced(function* ({ increments }: Sizes, end: End) {
  const counter = yield* Queue.unbounded<"increment" | "get">()
  let count = 0
  yield* serve(counter, (message) => {
    if (message === "increment") return Effect.sync(() => void count++)
    return count === increments ? end : Effect.die(`counted ${count} of ${increments}`)
  })
  for (let i = 0; i < increments; i++) yield* Queue.offer(counter, "increment")
  yield* Queue.offer(counter, "get")
})

const ring = Effect.fnUntraced(function* ({ hops }: Sizes, end: End) {
  const members = yield* queues<{ readonly left: number }>(RING)
  for (const [index, member] of members.entries()) {
    const next = members[(index + 1) % RING]!
    yield* serve(member, ({ left }) => left === 0 ? end : Queue.offer(next, { left: left - 1 }))
  }
  yield* Queue.offer(members[0]!, { left: hops })
})

const forkjoin = Effect.fnUntraced(function* ({ jobs }: Sizes, end: End) {
  const workers = yield* queues<"job">(WORKERS)
  let finished = 0
  for (const worker of workers) {
    let count = 0
    let sum = 0
    yield* serve(worker, () =>
      Effect.suspend(() => {
        sum += jobOf(count)
        return ++count === jobs && sum > 0 && ++finished === WORKERS ? end : Effect.void
      }))
  }
  for (let i = 0; i < jobs; i++) for (const worker of workers) yield* Queue.offer(worker, "job")
})

const big = Effect.fnUntraced(function* ({ pings }: Sizes, end: End) {
  const peers = yield* queues<{ readonly type: "ping" | "pong"; readonly from: number }>(PEERS)
  let finished = 0
  for (const [index, peer] of peers.entries()) {
    let left = pings
    let random = index * 7_919 + 1
    yield* serve(peer, (message) => {
      if (message.type === "ping") {
        return Queue.offer(peers[message.from]!, { type: "pong", from: index })
      }
      if (left-- === 0) return ++finished === PEERS ? end : Effect.void
      random = nextRandom(random)
      return Queue.offer(peers[random % PEERS]!, { type: "ping", from: index })
    })
  }
  for (const peer of peers) yield* Queue.offer(peer, { type: "pong", from: 0 })
})

interface Tick {
  readonly price: number
  readonly sequence: number
}
interface Order {
  readonly quantity: number
  readonly price: number
}

const pipeline = Effect.fnUntraced(function* ({ ticks }: Sizes, end: End) {
  const feed = yield* Queue.unbounded<"go">()
  const strategy = yield* Queue.unbounded<Tick>()
  const risk = yield* Queue.unbounded<Order>()
  const executor = yield* Queue.unbounded<Order>()
  let sent = 0
  let average = 0
  let count = 0
  let exposure = 0
  let orders = 0
  yield* serve(executor, () => ++orders === ticks / 8 ? end : Effect.void)
  yield* serve(risk, ({ quantity, price }) => {
    exposure += quantity
    return exposure < 1e12 ? Queue.offer(executor, { quantity, price }) : Effect.void
  })
  yield* serve(strategy, ({ price }) => {
    average = smooth(average, price)
    return ++count % 8 === 0 ? Queue.offer(risk, { quantity: 1, price: average }) : Effect.void
  })
  yield* serve(
    feed,
    Effect.fnUntraced(function* () {
      for (let i = 0; i < PIPELINE_BURST; i++, sent++) {
        yield* Queue.offer(strategy, { price: priceOf(sent), sequence: sent })
      }
      if (sent < ticks) yield* Queue.offer(feed, "go")
    }),
  )
  yield* Queue.offer(feed, "go")
})

const fanout10 = Effect.fnUntraced(function* ({ fanoutTicks }: Sizes, end: End) {
  const feed = yield* Queue.unbounded<"go">()
  const strategies = yield* queues<Tick>(STRATEGIES)
  let sent = 0
  let finished = 0
  for (const strategy of strategies) {
    let average = 0
    let count = 0
    yield* serve(strategy, ({ price }) => {
      average = smooth(average, price)
      const all = ++count === fanoutTicks && average > 0 && ++finished === STRATEGIES
      return all ? end : Effect.void
    })
  }
  yield* serve(
    feed,
    Effect.fnUntraced(function* () {
      for (let i = 0; i < FANOUT_BURST; i++, sent++) {
        const tick = { price: priceOf(sent), sequence: sent }
        for (const strategy of strategies) yield* Queue.offer(strategy, tick)
      }
      if (sent < fanoutTicks) yield* Queue.offer(feed, "go")
    }),
  )
  yield* Queue.offer(feed, "go")
})

const programs: Readonly<Record<string, (sizes: Sizes, end: End) => Effect.Effect<unknown>>> = {
  pingpong,
  counting,
  ring,
  forkjoin,
  big,
  pipeline,
  fanout10,
}

/** Runs one program to its end; its fibers are children of this one, and end with it. */
export const runEffectQueue = (name: string, scale: number) =>
  Effect.runPromise(Effect.gen(function* () {
    const finished = yield* Deferred.make<void>()
    yield* programs[name]!(sizes(scale), Deferred.succeed(finished, undefined))
    yield* Deferred.await(finished)
  }))
