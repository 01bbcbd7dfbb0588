/**
 * The same ten faults thrown at Keel and at the stream clients that one could have instead.
 *
 *   deno task outages [--json | --markdown] [--only REGEXP] [--seed N]
 *
 * Every client meets every fault on a venue of its own, all clients at the same time. A fault lasts
 * 20 s where it lasts; then the venue is well again and the client has 130 s to come back, because
 * Alpaca keeps the only place for a dead session for 90. Attempts are counted by a proxy in between,
 * missed trades against the venue's own tape, from the last one before the fault to the end.
 */
import {
  alpacaSdk,
  binanceClient,
  ccxtAlpaca,
  ccxtBinance,
  type Session,
  type StreamClient,
} from "./clients.ts"
import { openKeel } from "./keel.ts"
import { SpoiledVenue } from "./venue.ts"

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

/** Strikes every two seconds, as a venue behind a bad balancer does. */
async function flap(venue: SpoiledVenue, door: Record<string, unknown>) {
  for (let at = 0; at < LASTS_MS; at += 2_000) {
    await venue.arm({ kind: "reset_connections", ...door })
    await sleep(2_000)
  }
}

const outages: ReadonlyArray<Outage> = [
  {
    name: "reset (RST)",
    door: anyStream,
    begin: async (venue, door) => void await venue.arm({ kind: "reset_connections", ...door }),
    end: disarm,
  },
  {
    name: "ended without a close frame (FIN)",
    door: anyStream,
    begin: async (venue, door) => void await venue.arm({ kind: "cut_connections", ...door }),
    end: disarm,
  },
  {
    name: "closed with 1001 after 24 h",
    door: anyStream,
    begin: async (venue, door) =>
      void await venue.arm({
        kind: "close_connections",
        code: 1001,
        reason: "connection is 24 hours old",
        ...door,
      }),
    end: disarm,
  },
  {
    name: "frozen peer: no data, no pong, no end",
    door: anyStream,
    begin: async (venue, door) => void await venue.arm({ kind: "freeze_connections", ...door }),
    end: disarm,
  },
  {
    name: "mute for 20 s, pongs come",
    door: anyStream,
    begin: async (venue, door) => void await venue.arm({ kind: "drop", ...door }),
    end: disarm,
  },
  {
    name: "one mute instrument for 20 s",
    door: ({ watched }) => ({ match: { symbol: watched } }),
    begin: async (venue, door) => void await venue.arm({ kind: "drop", ...door }),
    end: disarm,
    isOneMute: true,
  },
  {
    name: "reset, then handshakes that nobody answers for 20 s",
    door: anyStream,
    begin: async (venue, door) => {
      await venue.arm({ kind: "hang_upgrade", ...door })
      await venue.arm({ kind: "reset_connections", ...door })
    },
    end: disarm,
  },
  {
    name: "reset, then HTTP 429 with Retry-After 5 for 20 s",
    door: anyStream,
    begin: async (venue, door) => {
      await venue.arm({ kind: "refuse_upgrade", status: 429, retryAfterSeconds: 5, ...door })
      await venue.arm({ kind: "reset_connections", ...door })
    },
    end: disarm,
  },
  {
    name: "connections refused for 20 s",
    door: anyStream,
    begin: (venue) => venue.proxy.shut(),
    end: (venue) => venue.proxy.open(),
  },
  {
    name: "reset every 2 s for 20 s",
    door: anyStream,
    begin: flap,
    end: disarm,
  },
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
      const config = venue === "binance"
        ? {
          restUrl: proxy.through(binance.rest),
          streamUrl: proxy.through(binance.ws),
          wsApiUrl: proxy.through(binance.wsApi),
        }
        : {
          instruments: ["SPY", "AAPL", "MSFT"],
          tradingUrl: proxy.through(alpaca.trading),
          dataUrl: proxy.through(alpaca.data),
          dataStreamUrl: proxy.through(alpaca.dataStream),
          tradingStreamUrl: proxy.through(alpaca.tradingStream),
        }
      const keys: Record<string, string> = venue === "binance"
        ? { BINANCE_API_KEY: binance.key, BINANCE_API_SECRET: binance.secret }
        : { APCA_API_KEY_ID: alpaca.key, APCA_API_SECRET_KEY: alpaca.secret }
      const instrument = venue === "binance" ? "BTC/USDT.BINANCE" : "SPY.ALPACA"
      const session = await openKeel(
        { mode: "paper", venues: { [venue]: config }, strategies: [] },
        keys,
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

async function main(args: ReadonlyArray<string>): Promise<number> {
  const value = (name: string) => {
    const at = args.indexOf(name)
    return at < 0 ? undefined : args[at + 1]
  }
  const only = value("--only")
  const client = value("--client")
  const seed = Number(value("--seed") ?? 7)
  const results = new Array<Result>()
  const chosen = contestants.filter(({ name, venue }) =>
    client === undefined || `${name} (${venue})`.includes(client)
  )
  for (const outage of outages) {
    if (only !== undefined && !new RegExp(only).test(outage.name)) continue
    results.push(...await Promise.all(chosen.map((contestant) => run(contestant, outage, seed))))
    console.error(`${outage.name}: done`)
  }
  console.log(args.includes("--json") ? JSON.stringify(results) : markdown(results))
  return 0
}

Deno.exit(await main(Deno.args))
