/**
 * Seven programs by which actor engines are compared, each written once.
 *
 * A program is a list of actors by name and a first push. An engine starts the
 * actors, pushes, and is done when the program says so: when every message has
 * arrived. Five have the shapes of the Savina suite, two those of trading.
 * `effect_queue.ts` and `otp_bench.erl` hold the same seven for engines that
 * cannot be driven through this interface.
 */

/** Some engines want a `type`, so every message of every engine carries one. */
export interface Message {
  readonly type: string
}
export interface Target {
  send(message: Message): unknown
}
/** The actor of that name; valid before it exists. */
export type Find = (name: string) => Target
export interface Actor {
  readonly name: string
  /** Called once when it starts; what it returns is called for every message. */
  readonly make: (find: Find) => (message: Message) => void
}
export interface Program {
  /** The messages that count: a rate is this over the wall time. */
  readonly messages: number
  readonly actors: ReadonlyArray<Actor>
  readonly push: (find: Find) => void
}

/** Messages without content are shared; those with content are new objects every time. */
export const GO: Message = { type: "go" }
export const GET: Message = { type: "get" }

interface Token extends Message {
  readonly left: number
}
interface Numbered extends Message {
  readonly from: number
}
interface Tick extends Message {
  readonly price: number
  readonly sequence: number
}
interface Order extends Message {
  readonly quantity: number
  readonly price: number
}

export const RING = 100
export const WORKERS = 60
export const PEERS = 120
export const STRATEGIES = 10
export const PIPELINE_BURST = 64
export const FANOUT_BURST = 50

/** At scale 1; slow engines run a smaller scale, which leaves rates comparable. */
export function sizes(scale: number) {
  const scaled = (count: number) => Math.max(1, Math.round(count * scale))
  return {
    roundTrips: scaled(200_000),
    increments: scaled(1_000_000),
    hops: scaled(400_000),
    jobs: scaled(10_000),
    pings: scaled(3_000),
    // In whole bursts.
    ticks: scaled(8_000) * PIPELINE_BURST,
    fanoutTicks: scaled(2_000) * FANOUT_BURST,
  }
}

export const priceOf = (sequence: number) => 100 + (sequence & 15)
export const smooth = (average: number, price: number) => 0.99 * average + 0.01 * price
export const jobOf = (index: number) => Math.sin(37.2 + index) ** 2
/** On 31 bits; peer `i` starts from `i * 7919 + 1`. */
export const nextRandom = (state: number) => (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff

const numbered = (count: number, make: (index: number) => Actor): Array<Actor> =>
  Array.from({ length: count }, (_, index) => make(index))

type Make = (scale: number, done: () => void) => Program

/** Two actors and one message between them: nothing but latency. */
const pingpong: Make = (scale, done) => {
  const { roundTrips } = sizes(scale)
  return {
    messages: 2 * roundTrips,
    actors: [
      {
        name: "ping",
        make(find) {
          const pong = find("pong")
          let left = roundTrips
          return () => {
            if (left-- === 0) done()
            else pong.send(GO)
          }
        },
      },
      {
        name: "pong",
        make(find) {
          const ping = find("ping")
          return () => void ping.send(GO)
        },
      },
    ],
    push: (find) => find("ping").send(GO),
  }
}

/** A producer fills a counter's mailbox in one handler call, and then asks for the count. */
const counting: Make = (scale, done) => {
  const { increments } = sizes(scale)
  return {
    messages: increments,
    actors: [
      {
        name: "counter",
        make() {
          let count = 0
          return ({ type }) => {
            if (type === "go") count++
            else if (count === increments) done()
            else throw new Error(`counted ${count} of ${increments}`)
          }
        },
      },
      {
        name: "producer",
        make(find) {
          const counter = find("counter")
          return () => {
            for (let i = 0; i < increments; i++) counter.send(GO)
            counter.send(GET)
          }
        },
      },
    ],
    push: (find) => find("producer").send(GO),
  }
}

/** One token round a hundred actors, a new message at every hop. */
const ring: Make = (scale, done) => {
  const { hops } = sizes(scale)
  return {
    messages: hops,
    actors: numbered(RING, (index) => ({
      name: `member${index}`,
      make(find) {
        const next = find(`member${(index + 1) % RING}`)
        return (message) => {
          const { left } = message as Token
          if (left === 0) done()
          else next.send({ type: "token", left: left - 1 } as Token)
        }
      },
    })),
    push: (find) => find("member0").send({ type: "token", left: hops } as Token),
  }
}

/** The main program, no actor itself, deals jobs to sixty workers in turn. */
const forkjoin: Make = (scale, done) => {
  const { jobs } = sizes(scale)
  let finished = 0
  return {
    messages: WORKERS * jobs,
    actors: numbered(WORKERS, (index) => ({
      name: `worker${index}`,
      make() {
        let count = 0
        let sum = 0
        return () => {
          sum += jobOf(count)
          if (++count === jobs && sum > 0 && ++finished === WORKERS) done()
        }
      },
    })),
    push(find) {
      const workers = Array.from({ length: WORKERS }, (_, index) => find(`worker${index}`))
      for (let i = 0; i < jobs; i++) for (const worker of workers) worker.send(GO)
    },
  }
}

/** A hundred and twenty actors ping one another at random, each with one ping in the air. */
const big: Make = (scale, done) => {
  const { pings } = sizes(scale)
  let finished = 0
  return {
    messages: 2 * PEERS * pings,
    actors: numbered(PEERS, (index) => ({
      name: `peer${index}`,
      make(find) {
        const peers = Array.from({ length: PEERS }, (_, other) => find(`peer${other}`))
        let left = pings
        let random = index * 7_919 + 1
        return (message) => {
          if (message.type === "ping") {
            peers[(message as Numbered).from]!.send({ type: "pong", from: index } as Numbered)
          } else if (left-- === 0) {
            if (++finished === PEERS) done()
          } else {
            random = nextRandom(random)
            peers[random % PEERS]!.send({ type: "ping", from: index } as Numbered)
          }
        }
      },
    })),
    push(find) {
      for (let index = 0; index < PEERS; index++) {
        find(`peer${index}`).send({ type: "pong", from: 0 } as Numbered)
      }
    },
  }
}

/** Feed, strategy, risk, executor: an order for every eighth tick. Ticks count, signals and orders do not. */
const pipeline: Make = (scale, done) => {
  const { ticks } = sizes(scale)
  return {
    messages: ticks,
    actors: [
      {
        name: "executor",
        make() {
          let orders = 0
          return () => {
            if (++orders === ticks / 8) done()
          }
        },
      },
      {
        name: "risk",
        make(find) {
          const executor = find("executor")
          let exposure = 0
          return (message) => {
            const { quantity, price } = message as Order
            exposure += quantity
            if (exposure < 1e12) executor.send({ type: "order", quantity, price } as Order)
          }
        },
      },
      {
        name: "strategy",
        make(find) {
          const risk = find("risk")
          let average = 0
          let count = 0
          return (message) => {
            average = smooth(average, (message as Tick).price)
            if (++count % 8 === 0) {
              risk.send({ type: "signal", quantity: 1, price: average } as Order)
            }
          }
        },
      },
      {
        name: "feed",
        make(find) {
          const strategy = find("strategy")
          const self = find("feed")
          let sent = 0
          return () => {
            for (let i = 0; i < PIPELINE_BURST; i++, sent++) {
              strategy.send({ type: "tick", price: priceOf(sent), sequence: sent } as Tick)
            }
            // Between bursts the others have their turn.
            if (sent < ticks) self.send(GO)
          }
        },
      },
    ],
    push: (find) => find("feed").send(GO),
  }
}

/** One feed tells ten strategies every tick, the same object to all. Counts deliveries. */
const fanout10: Make = (scale, done) => {
  const { fanoutTicks } = sizes(scale)
  let finished = 0
  return {
    messages: STRATEGIES * fanoutTicks,
    actors: [
      ...numbered(STRATEGIES, (index) => ({
        name: `strategy${index}`,
        make() {
          let average = 0
          let count = 0
          return (message: Message) => {
            average = smooth(average, (message as Tick).price)
            if (++count === fanoutTicks && average > 0 && ++finished === STRATEGIES) done()
          }
        },
      })),
      {
        name: "feed",
        make(find) {
          const strategies = Array.from(
            { length: STRATEGIES },
            (_, index) => find(`strategy${index}`),
          )
          const self = find("feed")
          let sent = 0
          return () => {
            for (let i = 0; i < FANOUT_BURST; i++, sent++) {
              const tick = { type: "tick", price: priceOf(sent), sequence: sent } as Tick
              for (const strategy of strategies) strategy.send(tick)
            }
            if (sent < fanoutTicks) self.send(GO)
          }
        },
      },
    ],
    push: (find) => find("feed").send(GO),
  }
}

export const programs: Readonly<Record<string, Make>> = {
  pingpong,
  counting,
  ring,
  forkjoin,
  big,
  pipeline,
  fanout10,
}
