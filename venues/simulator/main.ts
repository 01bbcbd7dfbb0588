/**
 * The simulated venues alone, on the wall clock, for any client.
 *
 * Prints where they are as one JSON line on standard output and everything else on
 * standard error; runs until it is told to stop.
 */
import { Effect, type Scope } from "effect"
import { openAlpacaLedger } from "../../storage/alpaca_ledger_kv.ts"
import { openVenueLedger } from "../../storage/venue_ledger_kv.ts"
import { makeMemoryAlpacaLedger } from "./alpaca/ledger.ts"
import { type SessionsKind, type SimulatedAlpaca, startSimulatedAlpaca } from "./alpaca/mod.ts"
import { type SimulatedBinance, startSimulatedBinance } from "./binance.ts"
import { startControl } from "./control.ts"
import { makeMemoryLedger } from "./ledger.ts"
import { NOTHING_WRONG, readScenario } from "./scenario.ts"

const HELP =
  `The simulated venues alone, Binance and Alpaca, with moving markets and funded accounts.

  deno task venue [options]

  --host HOST      address to listen on           (127.0.0.1)
  --port PORT      Binance's; Alpaca and the control endpoint pick free ones (0: a free one too)
  --seed N         the markets' seed              (1)
  --key KEY        the accounts' API key          (a fixed one)
  --secret SECRET  their secret                   (a fixed one)
  --sessions KIND  when shares trade: always, or as the exchange does (always)
  --data DIR       keep the books in DIR          (in memory)
  --scenario FILE  faults to begin with, as JSON: { "seed", "faults": [...] }
  --help           this text

Prints one JSON line with the addresses, then runs until SIGINT or SIGTERM. At the
control address GET /books, /faults and /journal show the venues' own view, POST
/faults makes something go wrong; a fault names its venue, binance or alpaca.`

/** Not secrets: they open nothing but a simulation on this machine. */
const DEMO = { key: "simulated-key", secret: "simulated-secret" } as const

export interface VenueArguments {
  readonly host: string
  readonly port: number
  /** The market's; by default the scenario's, else 1. */
  readonly seed: number | undefined
  readonly key: string
  readonly secret: string
  readonly sessions: SessionsKind
  readonly data: string | undefined
  readonly scenario: string | undefined
}

/** What is asked for, or one line saying what is wrong with it. */
export function parseArguments(args: ReadonlyArray<string>): VenueArguments | "help" | Error {
  const values = new Map<string, string>()
  const known = ["host", "port", "seed", "key", "secret", "sessions", "data", "scenario"]
  for (let i = 0; i < args.length; i++) {
    const [name = "", inline] = (args[i] ?? "").split(/=(.*)/s)
    if (name === "--help" || name === "-h") return "help"
    if (!name.startsWith("--") || !known.includes(name.slice(2))) {
      return new Error(`unknown argument ${args[i]}; see --help`)
    }
    const value = inline ?? args[++i]
    if (value === undefined || value === "") return new Error(`${name} needs a value`)
    values.set(name.slice(2), value)
  }
  const port = integer(values.get("port") ?? "0", 0, 65_535)
  if (port === undefined) return new Error(`--port must be 0 to 65535, got ${values.get("port")}`)
  const seed = integer(values.get("seed") ?? "1", 0, 2 ** 32 - 1)
  if (seed === undefined) {
    return new Error(`--seed must be a whole number below 2^32, got ${values.get("seed")}`)
  }
  const sessions = values.get("sessions") ?? "always"
  if (sessions !== "always" && sessions !== "exchange") {
    return new Error(`--sessions must be always or exchange, got ${sessions}`)
  }
  return {
    host: values.get("host") ?? "127.0.0.1",
    port,
    seed: values.has("seed") ? seed : undefined,
    key: values.get("key") ?? DEMO.key,
    secret: values.get("secret") ?? DEMO.secret,
    sessions,
    data: values.get("data"),
    scenario: values.get("scenario"),
  }
}

function integer(text: string, min: number, max: number): number | undefined {
  const value = Number(text)
  return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined
}

/** The line a client reads to find its venue. */
export function addressLine(
  { binance, alpaca }: { readonly binance: SimulatedBinance; readonly alpaca: SimulatedAlpaca },
  control: string,
): string {
  const address = ({ endpoints, key, secret }: SimulatedBinance | SimulatedAlpaca) => ({
    ...endpoints,
    key,
    secret,
  })
  return JSON.stringify({ binance: address(binance), alpaca: address(alpaca), control })
}

/** Runs until its scope closes; gives the line to print. */
export const runVenue = Effect.fn("Venue.run")(function* (
  { data, seed, sessions, scenario: path, ...options }: VenueArguments,
): Effect.fn.Return<string, Error, Scope.Scope> {
  const scenario = path === undefined ? NOTHING_WRONG : yield* readScenario(path)
  const ledger = data === undefined
    ? makeMemoryLedger()
    : yield* openVenueLedger(`${data}/venue.kv`)
  const market = { kind: "synthetic", seed: seed ?? scenario.seed ?? 1 } as const
  const binance = yield* startSimulatedBinance({
    ...options,
    ledger,
    market,
    faults: scenario.faults.binance,
  })
  const alpaca = yield* startSimulatedAlpaca({
    ...options,
    port: 0,
    ledger: data === undefined
      ? makeMemoryAlpacaLedger()
      : yield* openAlpacaLedger(`${data}/alpaca.kv`),
    market,
    sessions,
    faults: scenario.faults.alpaca,
  })
  const venues = { binance, alpaca }
  const control = yield* startControl({ host: options.host, port: 0 }, venues)
  return addressLine(venues, control)
})

async function main(args: ReadonlyArray<string>): Promise<number> {
  const parsed = parseArguments(args)
  if (parsed === "help") {
    console.log(HELP)
    return 0
  }
  if (parsed instanceof Error) {
    console.error(`venue: ${parsed.message}`)
    return 2
  }
  const stop = Promise.withResolvers<void>()
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop.resolve)
  const run = Effect.gen(function* () {
    console.log(yield* runVenue(parsed))
    yield* Effect.promise(() => stop.promise)
  })
  return await Effect.runPromise(
    Effect.scoped(run).pipe(
      Effect.as(0),
      Effect.catch((error) =>
        Effect.sync(() => {
          console.error(`venue: ${error.message}`)
          return 1
        })
      ),
    ),
  )
}

if (import.meta.main) Deno.exit(await main(Deno.args))
