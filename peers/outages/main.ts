/**
 * The same ten faults thrown at Keel and at the stream clients that one could have instead.
 *
 * Every client meets every fault on a venue of its own, all clients at the same time. A fault lasts
 * 20 s where it lasts; then the venue is well again and the client has 130 s to come back, because
 * Alpaca keeps the only place for a dead session for 90. Attempts are counted by a proxy in between,
 * missed trades against the venue's own tape, from the last one before the fault to the end.
 */
import { parseArgs } from "node:util"
import {
  alpacaSdk,
  binanceClient,
  ccxtAlpaca,
  ccxtBinance,
  type Session,
  type StreamClient,
} from "./clients.ts"
import { alpacaKeys, alpacaUrls, binanceKeys, binanceUrls } from "../../tests/e2e/venue.ts"
import { openKeel } from "./keel.ts"
import { SpoiledVenue } from "./venue.ts"

const HELP = `deno task outages [--json] [--only REGEXP] [--client TEXT] [--seed N]

  --json         one JSON document on stdout; without it a table in Markdown
  --only REGEXP  the faults whose name matches
  --client TEXT  the clients with this in "Keel (binance)" and the like
  --seed N       of the synthetic markets, default 7

Half an hour for all of them.`

const LASTS_MS = 20_000
const RECOVERS_MS = 130_000
const SETTLES_MS = 6_000
const GOODBYE_MS = 5_000

interface Outage {
  readonly name: string
  readonly door: (contestant: Pick<Contestant, "venue" | "watched">) => Record<string, unknown>
  readonly begin: (venue: SpoiledVenue, door: Record<string, unknown>) => Promise<void>
  readonly end: (venue: SpoiledVenue) => Promise<void>
  readonly isOneMute?: boolean
}

const anyStream = ({ venue }: Pick<Contestant, "venue">) => ({
  match: { door: venue === "binance" ? "streams" : "dataStream" },
})
const disarm = (venue: SpoiledVenue) => venue.disarm()

/** Of faults that the venue has by itself, once it has been told. */
function spoiled(
  name: string,
  ...faults: ReadonlyArray<Readonly<Record<string, unknown>>>
): Outage {
  const begin: Outage["begin"] = async (venue, door) => {
    for (const fault of faults) await venue.arm({ ...fault, ...door })
  }
  return { name, door: anyStream, begin, end: disarm }
}

/** Strikes every two seconds, as a venue behind a bad balancer does. */
async function flap(venue: SpoiledVenue, door: Record<string, unknown>) {
  for (let at = 0; at < LASTS_MS; at += 2_000) {
    await venue.arm({ kind: "reset_connections", ...door })
    await sleep(2_000)
  }
}

const outages: ReadonlyArray<Outage> = [
  spoiled("reset (RST)", { kind: "reset_connections" }),
  spoiled("ended without a close frame (FIN)", { kind: "cut_connections" }),
  spoiled(
    "closed with 1001 after 24 h",
    { kind: "close_connections", code: 1001, reason: "connection is 24 hours old" },
  ),
  spoiled("frozen peer: no data, no pong, no end", { kind: "freeze_connections" }),
  spoiled("mute for 20 s, pongs come", { kind: "drop" }),
  {
    ...spoiled("one mute instrument for 20 s", { kind: "drop" }),
    door: ({ watched }) => ({ match: { symbol: watched } }),
    isOneMute: true,
  },
  spoiled(
    "reset, then handshakes that nobody answers for 20 s",
    { kind: "hang_upgrade" },
    { kind: "reset_connections" },
  ),
  spoiled(
    "reset, then HTTP 429 with Retry-After 5 for 20 s",
    { kind: "refuse_upgrade", status: 429, retryAfterSeconds: 5 },
    { kind: "reset_connections" },
  ),
  {
    name: "connections refused for 20 s",
    door: anyStream,
    begin: (venue) => venue.proxy.shut(),
    end: (venue) => venue.proxy.open(),
  },
  { name: "reset every 2 s for 20 s", door: anyStream, begin: flap, end: disarm },
]

interface Result {
  readonly fault: string
  readonly client: string
  /** Null: not while the fault lasted. */
  readonly noticedMs: number | null
  /** After the venue was well again; null: not within 130 s. */
  readonly recoveredMs: number | null
  readonly attemptsPerMinute: number
  readonly missedTrades: number | null
  /** An error of the client that nobody can catch would have ended the program. */
  readonly isFatal: boolean
}

/** What clients throw where no program of theirs could catch it, with the stack that tells whose. */
const uncaught: Array<{ readonly at: number; readonly stack: string }> = []
globalThis.addEventListener("error", (event) => {
  event.preventDefault()
  uncaught.push({ at: performance.now(), stack: String(event.error?.stack ?? event.message) })
})

type Opened = Session & { readonly missed: (tape: ReadonlyArray<string>) => Promise<number | null> }

interface Contestant {
  readonly name: string
  readonly venue: "binance" | "alpaca"
  readonly watched: StreamClient["watched"]
  /** In the stack of its errors. */
  readonly module: string
  /** Ready to be struck: what it has missed counts from here. */
  readonly open: (venue: SpoiledVenue, outage: Outage) => Promise<Opened>
}

const contestants: ReadonlyArray<Contestant> = [
  keelOn("binance"),
  other(binanceClient),
  other(ccxtBinance),
  keelOn("alpaca"),
  other(alpacaSdk),
  other(ccxtAlpaca),
]

function other(client: StreamClient): Contestant {
  const { name, venue, watched } = client
  return {
    name,
    venue,
    watched,
    module: name.startsWith("Alpaca") ? "alpaca-trade-api" : name.split(" ")[0]!,
    open: async ({ proxy, venue: { binance, alpaca } }) => {
      const session = await client.open(
        venue === "binance"
          ? { ...binance, stream: proxy.through(binance.ws), rest: proxy.through(binance.rest) }
          : {
            ...alpaca,
            stream: proxy.through(alpaca.dataStream),
            rest: proxy.through(alpaca.data),
          },
      )
      await until(() => session.trades().size > 0, RECOVERS_MS)
      return { ...session, missed: (tape) => Promise.resolve(missing(tape, session.trades())) }
    },
  }
}

/** Of the tape since the first trade that was handed out, but the last moments, still on their way. */
function missing(tape: ReadonlyArray<string>, heard: ReadonlySet<string>): number | null {
  const first = tape.findIndex((id) => heard.has(id))
  return first < 0 ? null : tape.slice(first).filter((id) => !heard.has(id)).length
}

function keelOn(venue: "binance" | "alpaca"): Contestant {
  const watched = venue === "binance" ? "BTCUSDT" : "SPY"
  return {
    name: "Keel",
    venue,
    watched,
    // A process of its own: it would not come back.
    module: "keel",
    open: async (taken, { isOneMute = false }) => {
      const { proxy, venue: { binance, alpaca } } = taken
      const urls = Object.entries(venue === "binance" ? binanceUrls(binance) : alpacaUrls(alpaca))
      const config = {
        ...venue === "alpaca" && { instruments: ["SPY", "AAPL", "MSFT"] },
        ...Object.fromEntries(urls.map(([name, url]) => [name, proxy.through(url)])),
      }
      const instrument = venue === "binance" ? "BTC/USDT.BINANCE" : "SPY.ALPACA"
      const session = await openKeel(
        { mode: "paper", venues: { [venue]: config }, strategies: [] },
        venue === "binance" ? binanceKeys(binance) : alpacaKeys(alpaca),
        { venue, instrument, isOneMute },
      )
      let before = await session.progress()
      while (before.lastTradeId === null) {
        await sleep(100)
        before = await session.progress()
      }
      return {
        ...session,
        missed: async (tape) => {
          const now = await session.progress()
          // Taken afterwards, so that it holds whatever has been counted.
          const whole = await taken.tape(watched)
          const [first, last] = [
            whole.indexOf(before.lastTradeId!),
            whole.indexOf(now.lastTradeId!),
          ]
          if (first < 0 || last < 0) return null
          const end = Math.max(last, whole.indexOf(tape.at(-1)!))
          return end - first - (now.trades - before.trades)
        },
      }
    },
  }
}

async function run(contestant: Contestant, outage: Outage, seed: number): Promise<Result> {
  await using venue = await SpoiledVenue.start(contestant.venue, seed)
  const session = await contestant.open(venue, outage)
  try {
    await sleep(SETTLES_MS)
    const attemptsBefore = venue.proxy.attempts.length
    const struckAt = performance.now()
    const begun = outage.begin(venue, outage.door(contestant))
    let noticedMs: number | null = null
    await until(() => {
      const at = session.noticedAt()
      if (noticedMs === null && at !== undefined && at >= struckAt) noticedMs = at - struckAt
      return false
    }, LASTS_MS)
    await begun
    await outage.end(venue)
    const wellAt = performance.now()
    const attempts = venue.proxy.attempts.length - attemptsBefore
    let heardAt = wellAt
    const isBack = await until(() => {
      const at = session.heardAt()
      if (at === undefined || at < wellAt) return false
      heardAt = at
      return true
    }, RECOVERS_MS)
    // Who is back may still be asking for what it has missed.
    await sleep(SETTLES_MS)
    // A trade of this very moment is still on its way to everybody.
    const tape = await venue.tape(contestant.watched)
    await sleep(1_000)
    const missed = await session.missed(tape)
    return {
      fault: outage.name,
      client: `${contestant.name} (${contestant.venue})`,
      noticedMs: noticedMs === null ? null : Math.round(noticedMs),
      recoveredMs: isBack ? Math.max(0, Math.round(heardAt - wellAt)) : null,
      attemptsPerMinute: Math.round(attempts * 60_000 / LASTS_MS),
      missedTrades: missed === null ? null : Math.max(0, missed),
      isFatal: uncaught.some(({ at, stack }) =>
        at >= struckAt && stack.includes(`/${contestant.module}/`)
      ),
    }
  } finally {
    // Some wait for ever for a peer that says nothing to say goodbye.
    await Promise.race([session.close(), sleep(GOODBYE_MS)])
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!isTrue()) {
    if (performance.now() > deadline) return false
    await sleep(2)
  }
  return true
}

function markdown(results: ReadonlyArray<Result>): string {
  const seconds = (ms: number | null) => ms === null ? "**never**" : `${(ms / 1_000).toFixed(2)} s`
  const rows = results.map((result) =>
    `| ${result.fault} | ${result.client} | ${seconds(result.noticedMs)} | ` +
    `${
      result.isFatal ? "**its error ends the program**" : seconds(result.recoveredMs)
    } | ${result.attemptsPerMinute} | ${result.missedTrades ?? "?"} |`
  )
  return [
    "| fault | client | noticed after | back after | attempts per minute | trades missed |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n")
}

/** What to run, or what is wrong with the arguments. */
function read(args: ReadonlyArray<string>) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      client: { type: "string", default: "" },
      seed: { type: "string", default: "7" },
    },
  })
  const { client, json } = values
  const [only, seed] = [new RegExp(values.only), Number(values.seed)]
  const faults = outages.filter(({ name }) => only.test(name))
  const clients = contestants.filter(({ name, venue }) => `${name} (${venue})`.includes(client))
  if (faults.length === 0) throw new Error(`no fault matches ${values.only}`)
  if (clients.length === 0) throw new Error(`no client has ${client} in its name`)
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error("--seed takes a whole number")
  return { faults, clients, json, seed }
}

async function main(args: ReadonlyArray<string>): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP)
    return 0
  }
  let chosen: ReturnType<typeof read>
  try {
    chosen = read(args)
  } catch (error) {
    console.error(`outages: ${(error as Error).message}; --help shows what it takes`)
    return 2
  }
  const { clients, faults, json, seed } = chosen
  const results = new Array<Result>()
  for (const outage of faults) {
    results.push(...await Promise.all(clients.map((contestant) => run(contestant, outage, seed))))
    console.error(`${outage.name}: done`)
  }
  console.log(json ? JSON.stringify(results) : markdown(results))
  return 0
}

Deno.exit(await main(Deno.args))
