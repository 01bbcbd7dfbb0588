/**
 * `deno task bench actors`: our runtime beside others, in one run.
 *
 * Every measurement is a process of its own. Engines take turns within a round,
 * so that a slow minute of the machine hits all of them, and what is compared are
 * medians over the rounds. Rates say nothing outside the machine; ratios do.
 */
import { programs } from "./programs.ts"

const HELP = `deno task bench actors [--json] [--rounds N] [--only NAME,..] [--peers NAME,..]

  --json          one JSON document on stdout; without it a table
  --rounds N      rounds to take the medians of, default 3
  --only NAME,..  some of ${
  [...Object.keys(programs), "spawn", "ask", "restart", "memory"].join(" ")
}
  --peers NAME,.. some of erlang array_mailbox xstate xstate_machine nact comedy effect_queue

erlang needs erl and erlc (Debian package erlang-base), and is left out without them.`

/** What a benchmark may be asked to reach, as ours / peer. */
type Goals = Readonly<Record<string, number>>
interface Result {
  readonly bench: string
  readonly metric: string
  readonly unit: string
  readonly ours: number
  readonly peers: Readonly<Record<string, number>>
  readonly ratio: Readonly<Record<string, number>>
  readonly runs: number
  /** Ratios that were to be reached: at least, or at most where less is better. */
  readonly goals: Goals
  readonly missed: ReadonlyArray<string>
}

/** Smaller programs for slow engines: a run should take some tenths of a second. */
const SCALES: Readonly<Record<string, number>> = {
  keel: 2,
  erlang: 1,
  array_mailbox: 2,
  xstate: 1,
  xstate_machine: 0.2,
  nact: 0.5,
  comedy: 0.5,
  effect_queue: 0.25,
}
/**
 * Longer ones for fast engines, alike for all of them: under half a second one measures the
 * compiler. Not where the size is what fills a mailbox.
 */
const LONGER: Readonly<Record<string, number>> = {
  pingpong: 6,
  ring: 6,
  big: 4,
  pipeline: 4,
  fanout10: 3,
}
const FAST = ["keel", "array_mailbox", "xstate"]

function scaleOf(engine: string, program: string): number {
  return SCALES[engine]! * (FAST.includes(engine) ? LONGER[program] ?? 1 : 1)
}
const REPETITIONS = 5
const LATENCY_BOUND = ["pingpong", "ring", "big"]

function goalsOf(program: string): Goals {
  const direct = program === "pingpong" || program === "ring"
  return {
    erlang: 1.2,
    array_mailbox: 0.4,
    xstate: direct ? 0.6 : 1.3,
    nact: 10,
    comedy: 5,
    effect_queue: LATENCY_BOUND.includes(program) ? 20 : 6,
  }
}

interface Cost {
  readonly metrics: Readonly<Record<string, { readonly metric: string; readonly unit: string }>>
  readonly peers: ReadonlyArray<string>
  readonly goals: Readonly<Record<string, Goals>>
  /** In absolute terms, for ours. */
  readonly most?: number
}
const COSTS: Readonly<Record<string, Cost>> = {
  spawn: {
    metrics: { spawnsPerSecond: { metric: "rate", unit: "actors/s" } },
    peers: ["erlang"],
    goals: {},
  },
  ask: {
    metrics: { asksPerSecond: { metric: "rate", unit: "asks/s" } },
    peers: ["erlang", "effect_queue"],
    goals: {},
  },
  restart: {
    metrics: {
      restartP50Us: { metric: "latency p50", unit: "us" },
      restartP99Us: { metric: "latency p99", unit: "us" },
    },
    peers: ["erlang"],
    goals: { restartP50Us: { erlang: 0.5 }, restartP99Us: { erlang: 0.5 } },
  },
  memory: {
    metrics: { bytesPerActor: { metric: "idle actor", unit: "bytes" } },
    peers: ["erlang", "effect_queue"],
    goals: {},
    most: 2_700,
  },
}

interface Options {
  readonly json: boolean
  readonly rounds: number
  readonly only: ReadonlyArray<string>
  readonly peers: ReadonlyArray<string>
}

function parse(args: ReadonlyArray<string>): Options {
  const known = {
    only: [...Object.keys(programs), ...Object.keys(COSTS)],
    peers: Object.keys(SCALES),
  }
  let json = false
  let rounds = 3
  const chosen = { only: known.only, peers: known.peers.filter((peer) => peer !== "keel") }
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === "--json") json = true
    else if (arg === "--rounds") {
      rounds = Number(args[++i])
      if (!Number.isInteger(rounds) || rounds < 1) fail(`--rounds must be a whole number from 1`)
    } else if (arg === "--only" || arg === "--peers") {
      const key = arg === "--only" ? "only" : "peers"
      const names = (args[++i] ?? "").split(",").filter((name) => name !== "")
      const strange = names.find((name) => !known[key].includes(name))
      if (strange !== undefined) fail(`${arg} ${strange}: choose from ${known[key].join(" ")}`)
      chosen[key] = names
    } else if (arg === "--help") {
      console.log(HELP)
      Deno.exit(0)
    } else fail(`unknown argument ${arg}; see --help`)
  }
  return { json, rounds, ...chosen }
}

function fail(message: string): never {
  console.error(`bench actors: ${message}`)
  Deno.exit(2)
}

async function output(command: string, args: ReadonlyArray<string>): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    signal: AbortSignal.timeout(120_000),
  }).output()
  if (success) return new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? ""
  throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr).slice(-500)}`)
}

const fileOf = (name: string) => new URL(name, import.meta.url).pathname

class Bench {
  constructor(private readonly beams: string | undefined) {}

  /** Erlang is there only where it is installed. */
  static async prepare(): Promise<Bench> {
    const beams = await Deno.makeTempDir()
    try {
      await output("erlc", ["-Werror", "-o", beams, fileOf("otp_bench.erl")])
      await output("erl", ["-noshell", "-eval", "halt()."])
      return new Bench(beams)
    } catch (error) {
      await Deno.remove(beams, { recursive: true })
      if (!(error instanceof Deno.errors.NotFound)) throw error
      console.error("erlang is not installed, and left out (apt-get install -y erlang-base)")
      return new Bench(undefined)
    }
  }

  async close() {
    if (this.beams !== undefined) await Deno.remove(this.beams, { recursive: true })
  }

  has(engine: string): boolean {
    return engine !== "erlang" || this.beams !== undefined
  }

  async measure(engine: string, program: string): Promise<number> {
    const args = [program, `${REPETITIONS}`, `${scaleOf(engine, program)}`]
    const line = engine === "erlang"
      ? await this.erl(args)
      : await output(Deno.execPath(), [...this.deno("measure.ts"), engine, ...args])
    return (JSON.parse(line) as { median: number }).median
  }

  async cost(engine: string, question: string): Promise<Record<string, number>> {
    const line = engine === "erlang"
      ? await this.erl([question])
      : await output(Deno.execPath(), [...this.deno("costs.ts"), engine, question])
    return JSON.parse(line) as Record<string, number>
  }

  private erl(args: ReadonlyArray<string>) {
    return output("erl", [
      ...["+S", "1:1", "-noshell", "-pa", this.beams!],
      ...["-run", "otp_bench", "main", ...args],
    ])
  }

  private deno(file: string) {
    // --no-lock: the peers are no dependencies of ours.
    return ["run", "-A", "--no-lock", "--no-check", "--v8-flags=--expose-gc", fileOf(file)]
  }
}

const median = (numbers: ReadonlyArray<number>) =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN

/** Asks every engine once per round; a table of what each answered. */
async function rounds(
  engines: ReadonlyArray<string>,
  count: number,
  measure: (engine: string) => Promise<number>,
): Promise<Map<string, number>> {
  const answers = new Map<string, Array<number>>(engines.map((engine) => [engine, []]))
  for (let round = 0; round < count; round++) {
    for (const engine of engines) answers.get(engine)!.push(await measure(engine))
  }
  return new Map([...answers].map(([engine, numbers]) => [engine, median(numbers)]))
}

function result(
  bench: string,
  { metric, unit }: { readonly metric: string; readonly unit: string },
  answers: ReadonlyMap<string, number>,
  runs: number,
  goals: Goals,
  most?: number,
): Result {
  const ours = answers.get("keel")!
  const others = [...answers].filter(([engine]) => engine !== "keel")
  const ratio = Object.fromEntries(
    others.map(([engine, theirs]) => [engine, Number((ours / theirs).toFixed(3))]),
  )
  const lessIsBetter = unit === "us" || unit === "bytes"
  const missed = Object.entries(goals).filter(([engine, goal]) => {
    const reached = ratio[engine]
    return reached !== undefined && (lessIsBetter ? reached > goal : reached < goal)
  }).map(([engine, goal]) => `${engine} ${ratio[engine]} instead of ${goal}`)
  if (most !== undefined && ours > most) missed.push(`${ours} instead of at most ${most}`)
  return {
    bench,
    metric,
    unit,
    ours,
    peers: Object.fromEntries(others),
    ratio,
    runs,
    goals,
    missed,
  }
}

function row({ bench, metric, unit, ours, ratio, missed }: Result): string {
  const ratios = Object.entries(ratio).map(([engine, value]) => `${engine} ${value}`)
  const mark = missed.length === 0 ? "" : `   MISSED: ${missed.join(", ")}`
  return `${bench.padEnd(9)} ${metric.padEnd(11)} ${short(ours).padStart(7)} ${
    unit.padEnd(11)
  } ours/peer: ${ratios.join(" · ")}${mark}`
}

function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`
  return value >= 1e4 ? `${(value / 1e3).toFixed(0)} k` : `${value}`
}

const options = parse(Deno.args)
const bench = await Bench.prepare()
const results: Array<Result> = []
const note = (result: Result) => {
  results.push(result)
  if (options.json) console.error(row(result))
  else console.log(row(result))
}
try {
  const peers = options.peers.filter((peer) => bench.has(peer))
  for (const name of options.only) {
    const cost = COSTS[name]
    if (cost === undefined) {
      const engines = ["keel", ...peers]
      const answers = await rounds(engines, options.rounds, (engine) => bench.measure(engine, name))
      const shape = { metric: "throughput", unit: "messages/s" }
      note(result(name, shape, answers, options.rounds, goalsOf(name)))
      continue
    }
    const engines = ["keel", ...cost.peers.filter((peer) => peers.includes(peer))]
    const asked = new Map<string, Array<Record<string, number>>>()
    await rounds(engines, options.rounds, async (engine) => {
      const answer = await bench.cost(engine, name)
      asked.set(engine, [...asked.get(engine) ?? [], answer])
      return 0
    })
    for (const [key, shape] of Object.entries(cost.metrics)) {
      const answers = new Map(
        [...asked].map(([engine, list]) => [engine, median(list.map((answer) => answer[key]!))]),
      )
      note(result(name, shape, answers, options.rounds, cost.goals[key] ?? {}, cost.most))
    }
  }
} finally {
  await bench.close()
}
if (options.json) console.log(JSON.stringify(results))
