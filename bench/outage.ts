/**
 * `deno task bench outage`: how long it takes until somebody notices.
 *
 * Keel whole, in this process, beside the stream client of the `binance` package as it comes, each
 * on simulated venues of its own over real sockets, with the same faults. Every fault strikes at a
 * random moment of the heartbeats; what is measured runs from the strike to the moment at which
 * prices no longer count as live, which for Keel includes writing that down. Who has not noticed
 * after 20 s counts as never noticing.
 */
import { Effect, Logger } from "effect"
import { DefaultLogger, WebsocketClient } from "binance"
import { type Keel, startKeel } from "../assembly/start.ts"
import { type SimulatedBinance, startSimulatedBinance } from "../venues/simulator/binance.ts"
import type { Fault } from "../venues/simulator/fault.ts"
import { makeMemoryLedger } from "../venues/simulator/ledger.ts"

const HELP = `deno task bench outage [--json] [--runs N]

  --json    one JSON document on stdout; without it a table
  --runs N  strikes per fault, default 20`

const PEER = "binance WebsocketClient"
const NEVER_MS = 20_000
/** More strikes than the budget of connections has at once wait for it. */
const WELL_WITHIN_MS = 60_000
const PEER_CLIENTS = 5
const LOOK_EVERY_MS = 2
/** Below this, differences are those of the looks. */
const RESOLUTION_MS = 10
const VENUE = "binance"
const MUTE = "BTC/USDT.BINANCE"
const STREAMS = ["btcusdt", "ethusdt", "solusdt", "bnbusdt"].flatMap((symbol) => [
  `${symbol}@trade`,
  `${symbol}@bookTicker`,
])

interface Outage {
  readonly metric: string
  readonly fault: Fault
  readonly isNoticed: (keel: Keel) => boolean
}

const isLost = ({ model }: Keel) => model.books.feeds.get(VENUE)?.status !== "streaming"
const match = { door: "streams" } as const
const outages: ReadonlyArray<Outage> = [
  { metric: "frozen peer", fault: { kind: "freeze_connections", match }, isNoticed: isLost },
  { metric: "mute data with pongs", fault: { kind: "drop", match }, isNoticed: isLost },
  { metric: "closed socket (RST)", fault: { kind: "reset_connections", match }, isNoticed: isLost },
  {
    metric: "one mute symbol",
    fault: { kind: "drop", match: { symbol: "BTCUSDT" } },
    isNoticed: (keel) => !isFresh(keel, MUTE),
  },
]

interface Row {
  readonly bench: "outage"
  readonly metric: string
  readonly unit: "ms"
  readonly ours: number
  /** Null where it never noticed. */
  readonly peers: Readonly<Record<string, number | null>>
  readonly ratio: Readonly<Record<string, number | null>>
  readonly runs: number
}

/** Fresh by what a person would be shown. */
function isFresh({ model }: Keel, instrument: string): boolean {
  const lines = model.overview().feeds.flatMap(({ instruments }) => instruments)
  return lines.some((line) => line.instrument === instrument && line.fresh)
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function until(isTrue: () => boolean, timeoutMs: number): Promise<number | undefined> {
  const startedAt = performance.now()
  while (!isTrue()) {
    if (performance.now() - startedAt > timeoutMs) return undefined
    await sleep(LOOK_EVERY_MS)
  }
  return performance.now() - startedAt
}

/** Arms it, and returns how to take it back once it has struck, or is ready to. */
async function strike({ arm, faults }: SimulatedBinance, fault: Fault): Promise<() => void> {
  const id = await Effect.runPromise(arm(fault))
  const isStanding = fault.kind === "drop"
  await until(() => isStanding || faults.journal.some(({ faultId }) => faultId === id), 1_000)
  return () => void faults.disarm(id)
}

/** Milliseconds until each of `runs` strikes was noticed. */
async function measureOurs({ fault, isNoticed }: Outage, runs: number): Promise<Array<number>> {
  const folder = await Deno.makeTempDir({ prefix: "keel-bench-" })
  const config = `${folder}/keel.json`
  await Deno.writeTextFile(config, JSON.stringify({ venues: { binance: {} }, strategies: [] }))
  const measured: Array<number> = []
  const run = Effect.gen(function* () {
    const keel = yield* startKeel({
      ...{ host: "127.0.0.1", port: 0, data: folder, config, replay: undefined, seed: 1 },
      ...{ speed: undefined, logLevel: "error" },
    })
    const simulated = keel.simulated.binance?.simulated
    if (simulated === undefined) throw new Error("no simulated venue")
    const isWell = () => !isLost(keel) && isFresh(keel, MUTE)
    yield* Effect.promise(async () => {
      while (measured.length < runs) {
        if (await until(isWell, WELL_WITHIN_MS) === undefined) {
          throw new Error("it did not come back")
        }
        await sleep(500 + Math.random() * 1_000)
        const stop = await strike(simulated, fault)
        const noticedMs = await until(() => isNoticed(keel), NEVER_MS)
        stop()
        if (noticedMs === undefined) throw new Error(`${fault.kind} was never noticed`)
        measured.push(noticedMs)
      }
    })
  })
  try {
    await Effect.runPromise(Effect.scoped(run).pipe(Effect.provide(Logger.layer([]))))
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
  return measured
}

/** As it comes, but for its log; several at a time, each at another point of its heartbeat. */
async function measurePeer({ fault }: Outage): Promise<ReadonlyArray<number | undefined>> {
  const run = Effect.gen(function* () {
    const venue = yield* startSimulatedBinance({
      ...{ host: "127.0.0.1", port: 0, key: "key", secret: "secret" },
      ...{ market: { kind: "synthetic", seed: 1 }, ledger: makeMemoryLedger() },
    })
    return yield* Effect.promise(async () => {
      const clients = await Promise.all(
        Array.from({ length: PEER_CLIENTS }, () => connectPeer(venue)),
      )
      const stop = await strike(venue, fault)
      const noticed = await Promise.all(
        clients.map((client) => until(() => client.hasNoticed(), NEVER_MS)),
      )
      stop()
      for (const { client } of clients) client.closeAll(true)
      return noticed
    })
  })
  return await Effect.runPromise(Effect.scoped(run).pipe(Effect.provide(Logger.layer([]))))
}

async function connectPeer({ endpoints }: SimulatedBinance) {
  await sleep(Math.random() * 9_000)
  const quiet = { ...DefaultLogger, trace() {}, info() {}, error() {} }
  const client = new WebsocketClient({ wsUrl: endpoints.ws, beautify: false }, quiet)
  let hasNoticed = false
  let heard = 0
  const notice = () => void (hasNoticed = true)
  client.on("message", () => heard++)
  client.on("close", notice)
  client.on("reconnecting", notice)
  client.on("exception", () => {})
  await client.subscribe(STREAMS, "main")
  if (await until(() => heard > 0, NEVER_MS) === undefined) throw new Error(`${PEER} hears nothing`)
  hasNoticed = false
  return { client, hasNoticed: () => hasNoticed }
}

/** The peer's is null where it never noticed, the ratio also where the two cannot be told apart. */
function rows(
  metric: string,
  ours: ReadonlyArray<number>,
  peer: ReadonlyArray<number | undefined>,
): ReadonlyArray<Row> {
  const sorted = (values: ReadonlyArray<number | undefined>) =>
    values.map((value) => value ?? Infinity).toSorted((a, b) => a - b)
  const row = (name: string, of: (values: ReadonlyArray<number>) => number): Row => {
    const mine = Math.round(of(sorted(ours)))
    const theirs = of(sorted(peer))
    const value = Number.isFinite(theirs) ? Math.round(theirs) : null
    const isBeyond = value === null || value < RESOLUTION_MS
    const ratio = isBeyond ? null : Number((mine / value).toPrecision(3))
    return {
      ...{ bench: "outage", metric: `${metric}, ${name}`, unit: "ms", ours: mine },
      ...{ peers: { [PEER]: value }, ratio: { [PEER]: ratio }, runs: ours.length },
    }
  }
  return [
    row("median", (values) => values[values.length >> 1] ?? Infinity),
    row("worst", (values) => values.at(-1) ?? Infinity),
  ]
}

async function main(args: ReadonlyArray<string>): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP)
    return 0
  }
  const at = args.indexOf("--runs")
  const runs = at < 0 ? 20 : Number(args[at + 1])
  const unknown = args.find((arg, index) => arg !== "--json" && index !== at && index !== at + 1)
  if (unknown !== undefined || !Number.isInteger(runs) || runs < 1 || runs > 1_000) {
    console.error(
      `bench outage: ${unknown ?? "--runs takes 1 to 1000"}; --help shows what it takes`,
    )
    return 2
  }
  // They wait far more than they work: all at the same time.
  const all = await Promise.all(
    outages.map(async (outage) =>
      rows(outage.metric, ...await Promise.all([measureOurs(outage, runs), measurePeer(outage)]))
    ),
  )
  if (args.includes("--json")) {
    console.log(JSON.stringify(all.flat()))
    return 0
  }
  for (const { metric, ours, peers } of all.flat()) {
    const theirs = peers[PEER] === null ? "never" : `${peers[PEER]} ms`
    console.log(`${metric.padEnd(30)}${`${ours} ms`.padStart(10)}   ${PEER} ${theirs}`)
  }
  return 0
}

Deno.exit(await main(Deno.args))
