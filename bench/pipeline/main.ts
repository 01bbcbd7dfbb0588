/**
 * `deno task bench pipeline`: from the bytes of a socket to a normalised event.
 *
 * Every client gets the same recorded frames over loopback, as fast as it reads them, in a process
 * of its own: ours as the runtime uses it, the others as they come. The session is played several
 * times over one connection; the first few warm up. Clients take turns within a round, and each round
 * has a ratio of its own, so that a slow minute of the machine hits both sides of it. Rates by the
 * clock are those of an idle machine only; the time that a process was on the processor says the
 * same of a busy one.
 */
import { bytesOf, generated, isCounted, recorded, type Session } from "./frames.ts"
import { startFeeder } from "./feeder.ts"

const HELP = `deno task bench pipeline [--json] [--rounds N]

  --json      one JSON document on stdout; without it a table
  --rounds N  rounds to take the medians of, default 5

Plays the recorded session below the folder that KEEL_DATA names, or a generated one of its shape.`

const PASSES = 20
/** Not counted: until then it is the compilers of all of them that are measured. */
const WARM_UP = 10
const TIMEOUT_MS = 60_000
const GOAL = 1.5

interface Client {
  readonly args: ReadonlyArray<string>
  /** Where its dependencies are pinned. */
  readonly folder: string
}

const clients: Readonly<Record<string, Client>> = {
  keel: { args: ["bench/pipeline/keel.ts"], folder: "../.." },
  "binance WebsocketClient": { args: ["pipeline/binance.ts"], folder: "../../peers" },
  "binance WebsocketClient, beautified": {
    args: ["pipeline/binance.ts", "--beautify"],
    folder: "../../peers",
  },
  "ccxt watch": { args: ["pipeline/ccxt.ts"], folder: "../../peers" },
}
const OURS = "keel"
const peers = Object.keys(clients).filter((name) => name !== OURS)

interface Scene {
  readonly metric: string
  readonly streams: ReadonlyArray<string>
  readonly isIn: (frame: string) => boolean
}
const MARKET = ["btcusdt@trade", "btcusdt@bookTicker"]
const scenes: ReadonlyArray<Scene> = [
  { metric: "trades and quotes", streams: MARKET, isIn: isCounted },
]

interface Row {
  readonly bench: "pipeline"
  readonly metric: string
  readonly unit: "frames/s"
  readonly ours: number
  readonly peers: Readonly<Record<string, number>>
  readonly ratio: Readonly<Record<string, number>>
  readonly runs: number
  readonly source: string
  /** Against the faster one of those that are as they come. */
  readonly goal: number
  readonly isReached: boolean
}

/** What each client says at its end; only ours keeps every digit, and must show it. */
interface Outcome {
  /** When each pass had ended, and how much of the processor the process had used by then. */
  readonly endedAt: ReadonlyArray<number>
  readonly usedMs: ReadonlyArray<number>
  readonly undecoded: number
  readonly last: {
    readonly trade: ReadonlyArray<string | number>
    readonly quote: ReadonlyArray<string | number>
  }
}

const median = (numbers: ReadonlyArray<number>) =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN

const CLOCK = "by the clock"
const PROCESSOR = "by time on the processor"

/** Frames per second of one client's run. */
async function play(
  name: string,
  scene: Scene,
  session: Session,
  passes: ReadonlyArray<Uint8Array>,
) {
  const frames = session.frames.filter(scene.isIn)
  const events = frames.filter(isCounted)
  const { args, folder } = clients[name]!
  await using feeder = await startFeeder({
    passes,
    streams: scene.streams,
    snapshot: session.snapshot,
  })
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--frozen", "--no-check", "--allow-all", ...args],
      ...[feeder.authority, String(events.length), String(PASSES)],
    ],
    cwd: new URL(folder, import.meta.url),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).output()
  const decoder = new TextDecoder()
  if (!success) throw new Error(`${name}: ${decoder.decode(stderr).slice(0, 800)}`)
  const outcome = JSON.parse(decoder.decode(stdout).trim().split("\n").at(-1) ?? "") as Outcome
  check(name, outcome, events)
  const rate = (marks: ReadonlyArray<number>, of: (passes: ReadonlyArray<number>) => number) =>
    frames.length * 1_000 / of(marks.map((at, pass) => at - (marks[pass - 1] ?? 0)).slice(WARM_UP))
  return {
    // Others use the machine, too: the pass that they disturbed least.
    [CLOCK]: rate(outcome.endedAt, (passes) => Math.min(...passes)),
    [PROCESSOR]: rate(outcome.usedMs, median),
  }
}

/** A client that lost something, or read something else, has not done the work. */
function check(name: string, { endedAt, undecoded, last }: Outcome, events: ReadonlyArray<string>) {
  const lastOf = (stream: string) =>
    JSON.parse(events.findLast((frame) => frame.includes(stream)) ?? "{}").data
  const { p, q } = lastOf("@trade")
  const { b, a } = lastOf("@bookTicker")
  const given = [...last.trade.slice(1), ...last.quote].map(Number)
  const wanted = [p, q, b, a].map(Number)
  if (endedAt.length !== PASSES || undecoded > 0 || wanted.some((each, at) => each !== given[at])) {
    throw new Error(`${name} ended with ${JSON.stringify({ endedAt, undecoded, last })}`)
  }
}

async function measure(
  scene: Scene,
  session: Session,
  rounds: number,
): Promise<ReadonlyArray<Row>> {
  const frames = session.frames.filter(scene.isIn)
  const passes = Array.from({ length: PASSES }, (_, pass) => bytesOf(frames, pass))
  const names = Object.keys(clients)
  const played: Array<Readonly<Record<string, Awaited<ReturnType<typeof play>>>>> = []
  for (let round = 0; round < rounds; round++) {
    // Whoever comes first meets another machine than whoever comes last.
    const turn = round % names.length
    const results: Record<string, Awaited<ReturnType<typeof play>>> = {}
    for (const name of [...names.slice(turn), ...names.slice(0, turn)]) {
      results[name] = await play(name, scene, session, passes)
    }
    played.push(results)
  }
  return ([CLOCK, PROCESSOR] as const).map((how): Row => {
    const rate = (name: string) => Math.round(median(played.map((each) => each[name]![how])))
    const ratio = (name: string) =>
      Number(median(played.map((each) => each[OURS]![how] / each[name]![how])).toPrecision(3))
    const ratios = Object.fromEntries(peers.map((name) => [name, ratio(name)]))
    return {
      ...{ bench: "pipeline", metric: `${scene.metric}, ${how}`, unit: "frames/s" },
      ours: rate(OURS),
      peers: Object.fromEntries(peers.map((name) => [name, rate(name)])),
      ratio: ratios,
      ...{ runs: rounds, source: session.source, goal: GOAL },
      isReached: Object.values(ratios).every((each) => each >= GOAL),
    }
  })
}

async function main(args: ReadonlyArray<string>): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP)
    return 0
  }
  const at = args.indexOf("--rounds")
  const rounds = at < 0 ? 5 : Number(args[at + 1])
  const unknown = args.find((arg, index) =>
    arg !== "--json" && (at < 0 || (index !== at && index !== at + 1))
  )
  if (unknown !== undefined || !Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
    const what = unknown === undefined ? "--rounds takes 1 to 100" : `unknown argument ${unknown}`
    console.error(`bench pipeline: ${what}; --help shows what it takes`)
    return 2
  }
  const folder = Deno.env.get("KEEL_DATA")
  const session = folder === undefined ? generated() : recorded(folder)
  const rows: Array<Row> = []
  for (const scene of scenes) rows.push(...await measure(scene, session, rounds))
  if (args.includes("--json")) {
    console.log(JSON.stringify(rows))
    return 0
  }
  for (const { metric, ours, peers, ratio, source } of rows) {
    console.log(`${metric} (${source})`)
    console.log(`  ${OURS.padEnd(40)}${String(ours).padStart(10)} frames/s`)
    for (const [name, value] of Object.entries(peers)) {
      console.log(
        `  ${name.padEnd(40)}${String(value).padStart(10)} frames/s   ours/peer ${ratio[name]}`,
      )
    }
  }
  return 0
}

Deno.exit(await main(Deno.args))
