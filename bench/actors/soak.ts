/**
 * Full rate for minutes, with a crash every 100 ms:
 *   deno run -A --v8-flags=--expose-gc bench/actors/soak.ts [MINUTES]
 *
 * Feeds send numbered ticks to books, as many as the books accept; every 100 ms
 * one tick is poisoned and crashes its book. Each book must see every number of
 * every feed in order, but for the poisoned ones, and memory must not grow.
 * Prints one line of JSON; exits with 1 when something was lost or memory grew.
 */
import { Deferred, Effect } from "effect"
import { actorName, behavior, start, supervisor } from "../../actors/runtime/mod.ts"

const [minutes = "1"] = Deno.args
const DURATION_MS = Number(minutes) * 60_000
if (!(DURATION_MS > 0)) {
  console.error(`soak: MINUTES must be a number above 0, got ${minutes}`)
  Deno.exit(2)
}

const FEEDS = 2
const BOOKS = 4
const BURST = 64
const CRASH_EVERY_MS = 100
const SAMPLE_EVERY_MS = 1_000
/** Compiled code and grown rings are no leak; this share of the time is not judged. */
const WARM_UP = 0.3
const SLOPE_MAX_MB = 1

interface Tick {
  readonly feed: number
  readonly number: number
  readonly poisoned: boolean
}

/** What arrived, kept outside the actors: they forget it when they crash. */
class Audit {
  private readonly next = new Int32Array(FEEDS * BOOKS)
  private readonly poisoned = new Set<string>()
  ticks = 0
  crashes = 0
  slow = 0
  wrong: Array<string> = []

  poison(book: number, { feed, number }: Tick) {
    this.poisoned.add(`${book} ${feed} ${number}`)
  }

  seen(book: number, { feed, number, poisoned }: Tick) {
    const at = book * FEEDS + feed
    if (this.next[at] !== number && this.wrong.length < 10) {
      this.wrong.push(`book ${book} feed ${feed}: ${number} instead of ${this.next[at]}`)
    }
    // Wraps like the senders' numbers do.
    this.next[at] = (number + 1) | 0
    this.ticks++
    if (poisoned) this.poisoned.delete(`${book} ${feed} ${number}`)
  }

  get neverArrived() {
    return this.poisoned.size
  }
}

const audit = new Audit()
let crashNext = false
let running = true

const bookName = (book: number) => actorName<Tick>(`book${book}`)

const book = (index: number) =>
  behavior<number, Tick>({
    name: bookName(index).id,
    mailbox: { capacity: 4_096, overflow: "reject" },
    restart: "permanent",
    backoff: { baseMs: 2, capMs: 10, resetAfterMs: 50 },
    // A resource, a timer and a fiber that every crash has to give back.
    init: (actor) =>
      Effect.gen(function* () {
        yield* Effect.acquireRelease(Effect.succeed(new Uint8Array(65_536)), () => Effect.void)
        actor.sendAfter(3_600_000, { feed: 0, number: -1, poisoned: false })
        actor.fork(Effect.never)
        return 0
      }),
    receive: (count, tick) => {
      audit.seen(index, tick)
      if (tick.poisoned) throw new Error(`poisoned tick ${tick.number}`)
      if ((count & 4_095) === 0) {
        audit.slow++
        return Effect.as(Effect.sleep(0), count + 1)
      }
      return count + 1
    },
  })

const feedName = (feed: number) => actorName<"go">(`feed${feed}`)

const feed = (index: number) =>
  behavior<Int32Array, "go">({
    name: feedName(index).id,
    mailbox: { capacity: 8, overflow: "reject" },
    restart: "permanent",
    init: (actor) => {
      actor.self.send("go")
      return new Int32Array(BOOKS)
    },
    receive: (numbers, _, actor) => {
      let refused = 0
      for (let to = 0; to < BOOKS; to++) {
        const book = actor.ref(bookName(to))
        for (let i = 0; i < BURST; i++) {
          const tick = { feed: index, number: numbers[to]!, poisoned: crashNext && i === 7 }
          // Refused: the same number again later. Nothing may be lost on this side either.
          if (!book.send(tick)) {
            refused++
            break
          }
          numbers[to] = (numbers[to]! + 1) | 0
          if (tick.poisoned) {
            crashNext = false
            audit.poison(to, tick)
          }
        }
      }
      if (running) {
        if (refused === BOOKS) actor.sendAfter(1, "go")
        else actor.self.send("go")
      }
      return numbers
    },
  })

interface Sample {
  readonly minute: number
  readonly mb: number
}

/** Megabytes per ten minutes: least squares over the samples. */
function slope(samples: ReadonlyArray<Sample>): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length
  const minute = mean((sample) => sample.minute)
  const mb = mean((sample) => sample.mb)
  const above = samples.reduce((sum, s) => sum + (s.minute - minute) * (s.mb - mb), 0)
  const below = samples.reduce((sum, s) => sum + (s.minute - minute) ** 2, 0)
  return 10 * above / below
}

const collect: unknown = Reflect.get(globalThis, "gc")
const clock = actorName<"beat">("clock")

/** Poisons, samples, and ends it all. */
const clockBehavior = (samples: Array<Sample>, over: () => void) =>
  behavior<{ crashAt: number; sampleAt: number }, "beat">({
    name: clock.id,
    mailbox: { capacity: 8, overflow: "reject" },
    restart: "permanent",
    init: (actor) => {
      actor.every(10, "beat")
      return { crashAt: CRASH_EVERY_MS, sampleAt: SAMPLE_EVERY_MS }
    },
    receive: ({ crashAt, sampleAt }) => {
      const elapsedMs = performance.now() - startedAt
      if (elapsedMs >= DURATION_MS) over()
      if (elapsedMs >= crashAt) {
        crashNext = true
        crashAt += CRASH_EVERY_MS
      }
      if (elapsedMs >= sampleAt) {
        sampleAt += SAMPLE_EVERY_MS
        samples.push(sample(elapsedMs))
      }
      return { crashAt, sampleAt }
    },
  })

function sample(elapsedMs: number): Sample {
  if (typeof collect === "function") collect()
  const { heapUsed, external } = Deno.memoryUsage()
  const minute = elapsedMs / 60_000
  const mb = (heapUsed + external) / 2 ** 20
  if (Math.floor(minute * 4) > Math.floor((elapsedMs - SAMPLE_EVERY_MS) / 15_000)) {
    console.error(`${minute.toFixed(2)} min: ${audit.ticks} ticks, ${mb.toFixed(2)} MB`)
  }
  return { minute, mb }
}

const startedAt = performance.now()

const program = Effect.gen(function* () {
  const samples: Array<Sample> = []
  const over = yield* Deferred.make<void>()
  const system = yield* start(supervisor({
    name: "root",
    strategy: "one_for_one",
    intensity: 1e9,
    periodMs: 1_000,
    children: [
      ...Array.from({ length: BOOKS }, (_, index) => book(index)),
      ...Array.from({ length: FEEDS }, (_, index) => feed(index)),
      clockBehavior(samples, () => Deferred.doneUnsafe(over, Effect.void)),
    ],
  }))
  system.onReport(({ kind }) => {
    if (kind === "crashed") audit.crashes++
  })
  yield* Deferred.await(over)
  running = false
  crashNext = false
  yield* system.stopChild("root/clock")
  yield* Effect.sleep(200)
  while (!system.idle()) yield* Effect.sleep(10)
  const nodes = system.tree().children
  const judged = samples.slice(Math.floor(samples.length * WARM_UP))
  return {
    minutes: Number(minutes),
    ticks: audit.ticks,
    ticksPerSecond: Math.round(audit.ticks / (DURATION_MS / 1_000)),
    crashes: audit.crashes,
    failed: nodes.reduce((sum, node) => sum + node.failed, 0),
    slowHandlers: audit.slow,
    outOfOrder: audit.wrong,
    neverArrived: audit.neverArrived,
    queued: nodes.reduce((sum, node) => sum + node.mailboxDepth, 0),
    mbAtStart: Number(judged[0]?.mb.toFixed(2)),
    mbAtEnd: Number(judged.at(-1)?.mb.toFixed(2)),
    slopeMbPer10Min: Number(slope(judged).toFixed(3)),
  }
})

const result = await Effect.runPromise(Effect.scoped(program))
const lost = result.outOfOrder.length > 0 || result.neverArrived > 0 || result.queued > 0 ||
  result.failed !== result.crashes
const grew = result.slopeMbPer10Min > SLOPE_MAX_MB
console.log(JSON.stringify({ ...result, ok: !lost && !grew }))
Deno.exit(lost || grew ? 1 : 0)
