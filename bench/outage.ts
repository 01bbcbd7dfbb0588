/**
 * `deno task bench outage`: how long it takes until somebody notices.
 *
 * Keel whole, in this process, on either venue, beside the stream clients of the `binance` package
 * and of Alpaca's SDK as they come, each on simulated venues of its own over real sockets, with the
 * same faults. Every fault strikes at a random moment of the heartbeats; what is measured runs from
 * the strike to the moment at which prices no longer count as live, which for Keel includes writing
 * that down. Who has not noticed after 20 s counts as never noticing.
 */
import { createRequire } from "node:module"
// Only what is imported somewhere can be required below, where the streaming build is.
import "@alpacahq/alpaca-trade-api"
import { Effect, Logger, type Scope } from "effect"
import { DefaultLogger, WebsocketClient } from "binance"
import { type Keel, startKeel } from "../assembly/start.ts"
import { makeMemoryAlpacaLedger } from "../venues/simulator/alpaca/ledger.ts"
import {
  type SimulatedAlpaca,
  type SimulatorError,
  startSimulatedAlpaca,
} from "../venues/simulator/alpaca/mod.ts"
import { type SimulatedBinance, startSimulatedBinance } from "../venues/simulator/binance.ts"
import type { Fault } from "../venues/simulator/fault.ts"
import { makeMemoryLedger } from "../venues/simulator/ledger.ts"

const HELP = `deno task bench outage [--json] [--runs N] [--venue NAME]

  --json        one JSON document on stdout; without it a table
  --runs N      strikes per fault, default 20
  --venue NAME  binance or alpaca, default both, one after the other`

const NEVER_MS = 20_000
/** More strikes than the budget of connections has at once wait for it. */
const WELL_WITHIN_MS = 60_000
const PEER_STRIKES = 5
const LOOK_EVERY_MS = 2
/** Below this, differences are those of the looks. */
const RESOLUTION_MS = 10

type Simulated = SimulatedBinance | SimulatedAlpaca

interface Peer {
  readonly name: string
  /** Connected and hearing prices. */
  readonly open: (venue: Simulated) => Promise<PeerSession>
}

interface PeerSession {
  readonly hasNoticed: () => boolean
  readonly close: () => void
}

/** A venue, how Keel is pointed at it, and who else could listen to it. */
interface Market {
  readonly venue: "binance" | "alpaca"
  readonly start: Effect.Effect<Simulated, SimulatorError, Scope.Scope>
  readonly config: (endpoints: Readonly<Record<string, string>>) => object
  readonly keys: Readonly<Record<string, string>>
  readonly door: "streams" | "dataStream"
  /** The mute one, among others. */
  readonly symbol: string
  readonly instrument: string
  readonly peer: Peer
}

const account = { key: "key", secret: "secret" }
const place = { host: "127.0.0.1", port: 0 } as const
const synthetic = { market: { kind: "synthetic", seed: 1 } } as const
const shares = ["SPY", "AAPL", "MSFT"]
const binanceStreams = ["btcusdt", "ethusdt", "solusdt", "bnbusdt"].flatMap((symbol) => [
  `${symbol}@trade`,
  `${symbol}@bookTicker`,
])

const markets: ReadonlyArray<Market> = [
  {
    venue: "binance",
    start: startSimulatedBinance({
      ...{ ...place, ...account, ...synthetic },
      ledger: makeMemoryLedger(),
    }),
    config: ({ rest, ws, wsApi }) => ({ restUrl: rest, streamUrl: ws, wsApiUrl: wsApi }),
    keys: { BINANCE_API_KEY: account.key, BINANCE_API_SECRET: account.secret },
    door: "streams",
    symbol: "BTCUSDT",
    instrument: "BTC/USDT.BINANCE",
    peer: { name: "binance WebsocketClient", open: openBinanceClient },
  },
  {
    venue: "alpaca",
    start: startSimulatedAlpaca({
      ...{ ...place, ...account, ...synthetic },
      ledger: makeMemoryAlpacaLedger(),
      // How long a dead session keeps its place is about coming back, not about noticing.
      slotHeldMs: 0,
    }),
    config: ({ trading, data, dataStream, tradingStream }) => ({
      instruments: shares,
      ...{ tradingUrl: trading, dataUrl: data },
      ...{ dataStreamUrl: dataStream, tradingStreamUrl: tradingStream },
    }),
    keys: { APCA_API_KEY_ID: account.key, APCA_API_SECRET_KEY: account.secret },
    door: "dataStream",
    symbol: "SPY",
    instrument: "SPY.ALPACA",
    peer: { name: "Alpaca SDK stockStream", open: openAlpacaSdk },
  },
]

interface Outage {
  readonly metric: string
  readonly fault: (market: Market) => Fault
  readonly isNoticed: (keel: Keel, market: Market) => boolean
}

const isLost = ({ model }: Keel, { venue }: Market) =>
  model.books.feeds.get(venue)?.status !== "streaming"
const outages: ReadonlyArray<Outage> = [
  {
    metric: "frozen peer",
    fault: ({ door }) => ({ kind: "freeze_connections", match: { door } }),
    isNoticed: isLost,
  },
  {
    metric: "mute data with pongs",
    fault: ({ door }) => ({ kind: "drop", match: { door } }),
    isNoticed: isLost,
  },
  {
    metric: "closed socket (RST)",
    fault: ({ door }) => ({ kind: "reset_connections", match: { door } }),
    isNoticed: isLost,
  },
  {
    metric: "one mute symbol",
    fault: ({ symbol }) => ({ kind: "drop", match: { symbol } }),
    isNoticed: (keel, market) => !isFresh(keel, market),
  },
]

interface Row {
  readonly bench: "outage"
  readonly venue: Market["venue"]
  readonly metric: string
  readonly unit: "ms"
  readonly ours: number
  /** Null where it never noticed. */
  readonly peers: Readonly<Record<string, number | null>>
  readonly ratio: Readonly<Record<string, number | null>>
  readonly runs: number
}

/** Fresh by what a person would be shown. */
function isFresh({ model }: Keel, { instrument }: Market): boolean {
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
async function strike({ arm, faults }: Simulated, fault: Fault): Promise<() => void> {
  const id = await Effect.runPromise(arm(fault))
  const isStanding = fault.kind === "drop"
  await until(() => isStanding || faults.journal.some(({ faultId }) => faultId === id), 1_000)
  return () => void faults.disarm(id)
}

/** Milliseconds until each of `runs` strikes was noticed. */
async function measureOurs(
  market: Market,
  { fault, isNoticed }: Outage,
  runs: number,
): Promise<ReadonlyArray<number>> {
  const folder = await Deno.makeTempDir({ prefix: "keel-bench-" })
  const config = `${folder}/keel.json`
  const measured: Array<number> = []
  const run = Effect.gen(function* () {
    const simulated = yield* market.start
    const venues = { [market.venue]: market.config(simulated.endpoints) }
    Deno.writeTextFileSync(config, JSON.stringify({ mode: "paper", venues, strategies: [] }))
    const keel = yield* startKeel({
      ...{ host: "127.0.0.1", port: 0, data: folder, config, replay: undefined, seed: 1 },
      ...{ speed: undefined, logLevel: "error" },
    })
    const isWell = () => !isLost(keel, market) && isFresh(keel, market)
    yield* Effect.promise(async () => {
      while (measured.length < runs) {
        if (await until(isWell, WELL_WITHIN_MS) === undefined) {
          throw new Error("it did not come back")
        }
        await sleep(500 + Math.random() * 1_000)
        const stop = await strike(simulated, fault(market))
        const noticedMs = await until(() => isNoticed(keel, market), NEVER_MS)
        stop()
        if (noticedMs === undefined) throw new Error(`${fault(market).kind} was never noticed`)
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

/** As it comes, but for its log; a new one for every strike, each at another point of its heartbeat. */
async function measurePeer(
  market: Market,
  { fault }: Outage,
): Promise<ReadonlyArray<number | undefined>> {
  const measured: Array<number | undefined> = []
  const run = Effect.gen(function* () {
    const venue = yield* market.start
    yield* Effect.promise(async () => {
      while (measured.length < PEER_STRIKES) {
        const session = await market.peer.open(venue)
        await sleep(Math.random() * 9_000)
        const stop = await strike(venue, fault(market))
        measured.push(await until(session.hasNoticed, NEVER_MS))
        stop()
        session.close()
      }
    })
  })
  await Effect.runPromise(Effect.scoped(run).pipe(Effect.provide(Logger.layer([]))))
  return measured
}

async function openBinanceClient({ endpoints }: Simulated): Promise<PeerSession> {
  const quiet = { ...DefaultLogger, trace() {}, info() {}, error() {} }
  const wsUrl = "ws" in endpoints ? endpoints.ws : ""
  const client = new WebsocketClient({ wsUrl, beautify: false }, quiet)
  let hasNoticed = false
  let heard = 0
  const notice = () => void (hasNoticed = true)
  client.on("message", () => heard++)
  client.on("close", notice)
  client.on("reconnecting", notice)
  client.on("exception", () => {})
  await client.subscribe(binanceStreams, "main")
  await hears(() => heard > 0)
  hasNoticed = false
  return { hasNoticed: () => hasNoticed, close: () => client.closeAll(true) }
}

/** What the SDK's streaming build hands out; its types are not reachable from this runtime. */
interface AlpacaStream {
  connect: () => void
  disconnect: () => void
  onConnect: (act: () => void) => void
  onDisconnect: (act: () => void) => void
  onError: (act: () => void) => void
  onReconnecting: (act: () => void) => void
  onQuote: (act: () => void) => void
  subscribeForTrades: (symbols: ReadonlyArray<string>) => void
  subscribeForQuotes: (symbols: ReadonlyArray<string>) => void
}

async function openAlpacaSdk({ endpoints, key, secret }: Simulated): Promise<PeerSession> {
  const { Alpaca } = createRequire(import.meta.url)("@alpacahq/alpaca-trade-api")
  const host = "dataStream" in endpoints ? endpoints.dataStream : ""
  const stream: AlpacaStream = new Alpaca({ keyId: key, secret, paper: true })
    .marketData.stockStream({ url: `${host}/v2/iex` })
  let hasNoticed = false
  let heard = 0
  const notice = () => void (hasNoticed = true)
  stream.onConnect(() => {
    stream.subscribeForTrades(shares)
    stream.subscribeForQuotes(shares)
  })
  stream.onDisconnect(notice)
  stream.onError(notice)
  stream.onReconnecting(notice)
  stream.onQuote(() => heard++)
  stream.connect()
  await hears(() => heard > 0)
  hasNoticed = false
  return { hasNoticed: () => hasNoticed, close: () => stream.disconnect() }
}

async function hears(isHeard: () => boolean) {
  if (await until(isHeard, NEVER_MS) === undefined) throw new Error("a peer hears nothing")
}

/** The peer's is null where it never noticed, the ratio also where the two cannot be told apart. */
function rows(
  { peer: { name: peerName }, venue }: Market,
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
      ...{ bench: "outage", venue, metric: `${metric}, ${name}`, unit: "ms", ours: mine },
      ...{ peers: { [peerName]: value }, ratio: { [peerName]: ratio }, runs: ours.length },
    }
  }
  return [
    row("median", (values) => values[values.length >> 1] ?? Infinity),
    row("worst", (values) => values.at(-1) ?? Infinity),
  ]
}

/** They wait far more than they work: all of one venue at the same time. */
async function measure(market: Market, runs: number): Promise<ReadonlyArray<Row>> {
  for (const [name, value] of Object.entries(market.keys)) Deno.env.set(name, value)
  try {
    const measured = await Promise.all(outages.map(async (outage) =>
      rows(
        market,
        outage.metric,
        ...await Promise.all([measureOurs(market, outage, runs), measurePeer(market, outage)]),
      )
    ))
    return measured.flat()
  } finally {
    for (const name of Object.keys(market.keys)) Deno.env.delete(name)
  }
}

async function main(args: ReadonlyArray<string>): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP)
    return 0
  }
  const valueOf = (name: string) => {
    const at = args.indexOf(name)
    return at < 0 ? undefined : args[at + 1] ?? ""
  }
  const runs = Number(valueOf("--runs") ?? 20)
  const only = valueOf("--venue")
  const chosen = markets.filter(({ venue }) => only === undefined || venue === only)
  const known = ["--json", "--runs", "--venue"]
  const unknown = args.find((arg, index) =>
    !known.includes(arg) && !["--runs", "--venue"].includes(args[index - 1] ?? "")
  )
  const isNumber = Number.isInteger(runs) && runs >= 1 && runs <= 1_000
  if (unknown !== undefined || !isNumber || chosen.length === 0) {
    const wrong = unknown ?? (isNumber ? `no venue ${only}` : "--runs takes 1 to 1000")
    console.error(`bench outage: ${wrong}; --help shows what it takes`)
    return 2
  }
  const all: Array<Row> = []
  // Both at once would be measured with each other's load.
  for (const market of chosen) all.push(...await measure(market, runs))
  if (args.includes("--json")) {
    console.log(JSON.stringify(all))
    return 0
  }
  for (const { metric, ours, peers, venue } of all) {
    const [[name, value] = ["", null]] = Object.entries(peers)
    const theirs = value === null ? "never" : `${value} ms`
    const what = `${venue}: ${metric}`.padEnd(40)
    console.log(`${what}${`${ours} ms`.padStart(10)}   ${name} ${theirs}`)
  }
  return 0
}

Deno.exit(await main(Deno.args))
