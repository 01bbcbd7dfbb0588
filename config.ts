/**
 * What an operator decides: `keel.json`. The secrets are in the environment, see `keys.ts`.
 *
 * The one idea: one schema reads the file, writes `keel.schema.json` for editors and words every
 * complaint. Everything has a default, so that no file at all is the simplest configuration. A key
 * that nobody knows is an error, because a misspelt limit is no limit; a secret is never taken from
 * the file and never repeated.
 */
import { Effect, Result, Schema, SchemaTransformation } from "effect"
import { decimal, formatDecimal } from "./domain/decimal.ts"
import { dollars, isDollar } from "./domain/dollar.ts"
import { type InstrumentId, instrumentPattern, intervalMs } from "./domain/instrument.ts"
import type { Mode } from "./domain/overview.ts"
import type { RiskLimits } from "./domain/risk.ts"
import { type Assignment, assignmentId } from "./domain/strategy.ts"
import { nearest, pathText, type Problem, problemsOf, shown } from "./config_problem.ts"
import { readJson } from "./config_syntax.ts"
import { limits } from "./limits.ts"

export const fileName = "keel.json"

/** Strategies by name, as far as a configuration needs to know them. */
export type StrategyParams = ReadonlyMap<
  string,
  { readonly description?: string; readonly params: Schema.Codec<unknown, unknown> }
>

export interface Config {
  readonly mode: Mode
  /** Those that are to run; in mode paper only where there are keys. */
  readonly venues: { readonly binance?: BinanceConfig; readonly alpaca?: AlpacaConfig }
  readonly strategies: ReadonlyArray<Assignment>
  readonly risk: RiskLimits
  readonly server: {
    /** Names besides the loopback ones under which the dashboard may be asked for. */
    readonly hostnames: ReadonlyArray<string>
  }
}

export interface VenueConfig {
  /** Asked for by name: without it nothing starts. */
  readonly isRequired: boolean
  readonly instruments: ReadonlyArray<InstrumentId>
  /** Age at which a price no longer authorises an opening order. */
  readonly staleAfterMs: number
  /** Where that age is another. */
  readonly staleAfterMsOf: ReadonlyMap<InstrumentId, number>
}

/** An absent URL is the mode's own. */
export interface BinanceConfig extends VenueConfig {
  readonly restUrl?: string
  readonly streamUrl?: string
  readonly wsApiUrl?: string
}

export interface AlpacaConfig extends VenueConfig {
  readonly tradingUrl?: string
  readonly dataUrl?: string
  readonly dataStreamUrl?: string
  readonly tradingStreamUrl?: string
  /** Which tape of shares: one exchange, all of them, or the test symbol. */
  readonly feed: "iex" | "sip" | "test"
}

/** One line for people: file, place, what must be there, what was there. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  file: Schema.String,
  /** The first one is the message; the others are as true. */
  problems: Schema.NonEmptyArray(Schema.String),
}) {
  override get message(): string {
    const more = this.problems.length - 1
    return this.problems[0] + (more === 0 ? "" : ` (and ${more} more)`)
  }
}

const Amount = Schema.String.check(
  Schema.isPattern(/^(?=.*[1-9])(?:0|[1-9]\d{0,22})(?:\.\d{1,18})?$/u, {
    expected: 'an amount above zero such as "1250" or "0.5", as text',
  }),
).pipe(
  Schema.decodeTo(
    Schema.BigDecimal,
    SchemaTransformation.transform({ decode: decimal, encode: formatDecimal }),
  ),
)

const Pair = Schema.String.check(
  Schema.isPattern(/^[A-Z0-9]{1,20}\/[A-Z0-9]{1,20}$/u, { expected: 'a pair such as "BTC/USDT"' }),
)
const ShareOrPair = Schema.String.check(
  Schema.isPattern(/^[A-Z0-9]{1,20}(?:\/[A-Z0-9]{1,20})?$/u, {
    expected: 'a share such as "AAPL" or a pair such as "BTC/USD"',
  }),
)
const url = (schemes: string) =>
  Schema.String.check(
    Schema.isPattern(
      new RegExp(`^(?:${schemes})://[A-Za-z0-9.:\\[\\]-]+(?:/[A-Za-z0-9._~/-]*)?$`, "u"),
      {
        expected: `a URL that begins with ${schemes.replace("|", ":// or ")}://, ` +
          "without user, query or fragment",
      },
    ),
  )
const HttpUrl = Schema.optionalKey(url("https|http"))
const WebSocketUrl = Schema.optionalKey(url("wss|ws"))

/** A key that may be left out. */
function defaulting<S extends Schema.Top>(
  schema: S,
  value: S["Encoded"],
  description: string,
) {
  const optional = Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)
  return Schema.annotateKey<Schema.withDecodingDefaultKey<S>>({ description })(optional)
}

const pairs = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT"]
const symbols = ["AAPL", "MSFT", "SPY", "BTC/USD"]

const StaleAfterMs = Schema.Int.check(Schema.isBetween({ minimum: 100, maximum: 600_000 }))

/** What every venue's section has. */
const venueFields = <S extends Schema.Top>(
  instrument: S,
  given: ReadonlyArray<S["Encoded"]>,
  expected: string,
) => ({
  enabled: Schema.optionalKey(Schema.Boolean).pipe(
    Schema.annotateKey({
      description: "true: nothing starts without it; false: it does not run; " +
        "absent: it runs, in mode paper where its keys are in the environment",
    }),
  ),
  instruments: defaulting(
    Schema.Array(instrument).check(
      Schema.isMinLength(1, { expected }),
      Schema.isUnique({ expected: "a list without repeats" }),
    ),
    given,
    "what to watch and trade",
  ),
  staleAfterMs: defaulting(
    StaleAfterMs,
    3_000,
    "age of a price in milliseconds at which nothing may be opened on it",
  ),
  staleAfterMsOf: defaulting(
    Schema.Record(Schema.String, StaleAfterMs),
    {},
    "the same for single instruments, by name",
  ),
})

const BinanceJson = Schema.Struct({
  ...venueFields(Pair, pairs, "a list of at least one pair"),
  restUrl: HttpUrl,
  streamUrl: WebSocketUrl,
  wsApiUrl: WebSocketUrl,
})

const AlpacaJson = Schema.Struct({
  ...venueFields(ShareOrPair, symbols, "a list of at least one share or pair"),
  tradingUrl: HttpUrl,
  dataUrl: HttpUrl,
  dataStreamUrl: WebSocketUrl,
  tradingStreamUrl: WebSocketUrl,
  feed: defaulting(
    Schema.Literals(["iex", "sip", "test"]),
    "iex",
    "tape of shares: one exchange, all of them (paid), or Alpaca's test symbol",
  ),
})

const AssignmentJson = Schema.Struct({
  strategy: Schema.String.pipe(
    Schema.annotateKey({ description: "name of the strategy, as in strategies/" }),
  ),
  instrument: Schema.String.check(
    Schema.isPattern(instrumentPattern, {
      expected: 'an instrument such as "BTC/USDT.BINANCE" or "AAPL.ALPACA"',
    }),
  ).pipe(Schema.annotateKey({ description: "pair or share, and venue" })),
  interval: defaulting(
    Schema.String.check(
      Schema.isPattern(/^[1-9]\d{0,3}[smhd]$/u, {
        expected: 'a bar interval such as "5s" or "1m"',
      }),
    ),
    "1m",
    "length of the bars it sees",
  ),
  params: defaulting(
    Schema.Record(Schema.String, Schema.Unknown),
    {},
    "parameters of the strategy; each has a default",
  ),
  notional: defaulting(Amount, "1000", "value of one entry, in dollars or the venue's quote asset"),
})

/** The file, as it is written. */
export const ConfigJson = Schema.Struct({
  $schema: Schema.optionalKey(Schema.String),
  mode: defaulting(
    Schema.Literals(["sim", "paper", "live"]),
    "sim",
    "sim trades on simulated venues, paper on the venues' test systems",
  ),
  venues: defaulting(
    Schema.Struct({
      binance: Schema.optionalKey(BinanceJson).pipe(
        Schema.annotateKey({ description: "Binance spot" }),
      ),
      alpaca: Schema.optionalKey(AlpacaJson).pipe(
        Schema.annotateKey({ description: "Alpaca: US shares and crypto" }),
      ),
    }),
    { binance: {}, alpaca: {} },
    "where to trade: the venues that are named here, or both",
  ),
  strategies: defaulting(
    Schema.Array(AssignmentJson),
    [
      ...pairs.map((pair) => `${pair}.BINANCE`),
      ...symbols.map((symbol) => `${symbol}.ALPACA`),
    ].flatMap((instrument) =>
      ["rsi_momentum", "mean_reversion"].map((strategy) => ({
        strategy,
        instrument,
        // Short, so that somebody who looks at a first run sees it trade.
        interval: "2s",
      }))
    ),
    "which strategy trades which instrument",
  ),
  risk: defaulting(
    Schema.Struct({
      maxOrderNotional: defaulting(Amount, "5000", "value of one order"),
      maxPositionNotional: defaulting(Amount, "10000", "value of one position"),
      maxExposure: defaulting(Amount, "40000", "value of all positions on all venues together"),
      maxOrdersPerMinute: defaulting(
        Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 })),
        60,
        "orders in any minute on one venue, after which nothing is opened there",
      ),
      maxDailyLoss: defaulting(
        Amount,
        "2000",
        "loss of one account since midnight UTC at which nothing is opened there any more",
      ),
    }),
    {},
    "limits of every opening order, in dollars: USD, USDT, USDC and FDUSD count one to one; of a " +
      "venue alone, in its quote asset",
  ),
  server: defaulting(
    Schema.Struct({
      hostnames: defaulting(
        Schema.Array(
          Schema.String.check(
            Schema.isPattern(/^[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?$/u, {
              expected: 'a host name such as "keel.lan", without port',
            }),
          ),
        ),
        [],
        "further names under which the dashboard may be asked for",
      ),
    }),
    {},
    "the dashboard",
  ),
})

const decodeJson = Schema.decodeUnknownResult(ConfigJson)
const strict = { errors: "all", onExcessProperty: "error" } as const

/** What runs without a file. */
export function defaultConfig(strategies: StrategyParams): Config {
  return Result.getOrThrow(parseConfig("default", "{}", strategies))
}

/** Reads the text of a configuration; `file` is its name in messages. */
export function parseConfig(
  file: string,
  text: string,
  strategies: StrategyParams,
): Result.Result<Config, ConfigError> {
  const json = readJson(text)
  if ("problem" in json) {
    const { line, column, says } = json.problem
    return Result.fail(
      new ConfigError({ file, problems: [`${file}:${line}:${column} is not JSON: ${says}`] }),
    )
  }
  const decoded = decodeJson(json.value, strict)
  if (Result.isFailure(decoded)) {
    return failed(file, problemsOf(ConfigJson, decoded.failure.issue, json.value))
  }
  const { risk, server, mode } = decoded.success
  const problems: Array<Problem> = []
  const venues = venuesOf(decoded.success, problems)
  const known = new Set(Object.values(venues).flatMap(({ instruments }) => instruments))
  const assignments: Array<Assignment> = []
  const chosen = typeof json.value === "object" && Object.hasOwn(json.value ?? {}, "strategies")
  for (const [index, given] of decoded.success.strategies.entries()) {
    // The default strategies trade what is listed, and no more.
    if (!chosen && !known.has(given.instrument)) continue
    const assignment = assign(["strategies", index], given, known, strategies, problems)
    if (assignment === undefined) continue
    if (assignments.some(({ id }) => id === assignment.id)) {
      problems.push({ path: ["strategies", index], says: `repeats ${assignment.id}` })
    }
    assignments.push(assignment)
  }
  if (problems.length > 0) return failed(file, problems)
  return Result.succeed({
    mode,
    venues,
    strategies: assignments,
    risk: {
      orderNotionalMax: risk.maxOrderNotional,
      positionNotionalMax: risk.maxPositionNotional,
      exposureMax: risk.maxExposure,
      ordersPerMinuteMax: risk.maxOrdersPerMinute,
      dailyLossMax: risk.maxDailyLoss,
    },
    server,
  })
}

/** The configuration in `file`, or in `keel.json` if that is there, or the default one. */
export const loadConfig = Effect.fn("loadConfig")(
  function* (
    options: { readonly file?: string | undefined; readonly strategies: StrategyParams },
  ): Effect.fn.Return<Config, ConfigError> {
    const file = options.file ?? fileName
    const fail = (says: string) => new ConfigError({ file, problems: [`${file} ${says}`] })
    const text = yield* Effect.tryPromise({
      try: async () => {
        const { size, isFile } = await Deno.stat(file)
        if (!isFile) throw new Deno.errors.IsADirectory()
        if (size > limits.configBytesMax) throw new RangeError()
        return await Deno.readTextFile(file)
      },
      catch: (error) => {
        if (error instanceof Deno.errors.NotFound) return fail("does not exist")
        if (error instanceof Deno.errors.IsADirectory) return fail("is not a file")
        if (error instanceof RangeError) {
          return fail(`is larger than ${limits.configBytesMax} bytes`)
        }
        return fail("cannot be read; check its permissions")
      },
    }).pipe(
      Effect.catch((error) =>
        options.file === undefined && error.message.endsWith("does not exist")
          ? Effect.succeed("{}")
          : Effect.fail(error)
      ),
    )
    return yield* Effect.fromResult(parseConfig(file, text, options.strategies))
  },
)

/** Refuses what may not run; `sim` and `paper` may. */
export function checkMode(file: string, mode: Mode): Result.Result<Mode, ConfigError> {
  if (mode !== "live") return Result.succeed(mode)
  return Result.fail(
    new ConfigError({
      file,
      problems: [
        `${file}: mode live is refused: the dashboard has no login yet, and live trading needs one; ` +
        "use sim or paper",
      ],
    }),
  )
}

type GivenVenues = (typeof ConfigJson.Type)["venues"]

/** Those that are named and not switched off. */
function venuesOf(
  { mode, venues }: typeof ConfigJson.Type,
  problems: Array<Problem>,
): Config["venues"] {
  const binance = venues.binance?.enabled === false ? undefined : venues.binance
  const alpaca = venues.alpaca?.enabled === false ? undefined : venues.alpaca
  if (binance === undefined && alpaca === undefined) {
    problems.push({ path: ["venues"], says: "must leave one venue to trade on: binance or alpaca" })
  }
  if (mode !== "live") {
    problems.push(...liveHosts({ ...binance && { binance }, ...alpaca && { alpaca } }))
  }
  if (binance !== undefined) {
    problems.push(...quoteProblems(binance.instruments, alpaca !== undefined))
  }
  const foreign = alpaca?.instruments.find((symbol) =>
    symbol.includes("/") && !symbol.endsWith("/USD")
  )
  if (foreign !== undefined) {
    const says = `must be shares and pairs in USD, which the account is kept in, got ${foreign}`
    problems.push({ path: ["venues", "alpaca", "instruments"], says })
  }
  return {
    ...(binance && { binance: withIds("binance", binance, problems) }),
    ...(alpaca && { alpaca: withIds("alpaca", alpaca, problems) }),
  }
}

/** Amounts of one account are of one asset; those of several are added up, and so must be dollars. */
function quoteProblems(pairs: ReadonlyArray<string>, isBeside: boolean): ReadonlyArray<Problem> {
  const path = ["venues", "binance", "instruments"]
  const quotes = [...new Set(pairs.map((pair) => pair.split("/")[1] ?? ""))]
  if (quotes.length > 1) {
    return [{ path, says: `must be pairs of one quote asset, got ${quotes.join(" and ")}` }]
  }
  const [quote = ""] = quotes
  if (!isBeside || isDollar(quote)) return []
  const says =
    `must be pairs in ${dollars.join(", ")} while another venue runs, because limits and ` +
    `equity are dollars, got ${quote}`
  return [{ path, says }]
}

/** Orders of a mode without login must not reach money. */
function liveHosts({ binance, alpaca }: GivenVenues): ReadonlyArray<Problem> {
  const given = [
    [["venues", "binance", "restUrl"], binance?.restUrl, "https://testnet.binance.vision"],
    [["venues", "binance", "wsApiUrl"], binance?.wsApiUrl, "wss://ws-api.testnet.binance.vision"],
    [["venues", "alpaca", "tradingUrl"], alpaca?.tradingUrl, "https://paper-api.alpaca.markets"],
    [
      ["venues", "alpaca", "tradingStreamUrl"],
      alpaca?.tradingStreamUrl,
      "wss://paper-api.alpaca.markets",
    ],
  ] as const
  const live = /^(?:(?:ws-)?api[a-z0-9-]*\.binance\.(?:com|us)|api\.alpaca\.markets)\.?$/u
  return given.flatMap(([path, text, instead]) =>
    text !== undefined && live.test(URL.parse(text)?.hostname ?? "")
      ? [{ path, says: `is where money is traded, which only mode live may; use ${instead}` }]
      : []
  )
}

interface GivenVenue {
  readonly enabled?: boolean
  readonly instruments: ReadonlyArray<string>
  readonly staleAfterMsOf: Readonly<Record<string, number>>
}

/** From the venue's own names to ids. */
function withIds<A extends GivenVenue>(venue: string, given: A, problems: Array<Problem>) {
  const { enabled, instruments, staleAfterMsOf, ...rest } = given
  const idOf = (name: string) => `${name}.${venue.toUpperCase()}`
  for (const name of Object.keys(staleAfterMsOf)) {
    if (instruments.includes(name)) continue
    const says = `is unknown; known are ${instruments.join(", ")}`
    problems.push({ path: ["venues", venue, "staleAfterMsOf", name], says })
  }
  return {
    ...rest,
    isRequired: enabled === true,
    instruments: instruments.map(idOf),
    staleAfterMsOf: new Map(
      Object.entries(staleAfterMsOf).map(([name, ms]) => [idOf(name), ms]),
    ),
  }
}

type GivenAssignment = (typeof ConfigJson.Type)["strategies"][number]

function assign(
  path: ReadonlyArray<PropertyKey>,
  given: GivenAssignment,
  instruments: ReadonlySet<InstrumentId>,
  strategies: StrategyParams,
  problems: Array<Problem>,
): Assignment | undefined {
  const found = problems.length
  const say = (key: keyof GivenAssignment, must: string) => {
    const at = [...path, key]
    problems.push({ path: at, says: `must be ${must}, got ${shown(given[key], at)}` })
  }
  const entry = strategies.get(given.strategy)
  if (entry === undefined) say("strategy", oneOf(given.strategy, [...strategies.keys()].toSorted()))
  if (!instruments.has(given.instrument)) {
    say("instrument", oneOf(given.instrument, [...instruments]))
  }
  if (intervalMs(given.interval) === undefined) say("interval", 'a bar interval such as "5s"')
  let params: Readonly<Record<string, unknown>> = {}
  if (entry !== undefined) {
    const decoded = Schema.decodeUnknownResult(entry.params)(given.params, strict)
    if (Result.isFailure(decoded)) {
      const at = [...path, "params"]
      problems.push(...problemsOf(entry.params, decoded.failure.issue, given.params, at))
    } else params = recordOf(Schema.encodeSync(entry.params)(decoded.success))
  }
  if (problems.length > found) return undefined
  const { strategy, instrument, interval, notional } = given
  const id = assignmentId(strategy, instrument)
  return { id, strategy, instrument, interval, params, notional }
}

function oneOf(name: string, known: ReadonlyArray<string>): string {
  const meant = known.length > 8 ? nearest(name, known) : undefined
  return `one of ${meant === undefined ? known.join(", ") : `the listed ones (${meant}?)`}`
}

/** With every default written out, so that a change of defaults does not change a running strategy. */
function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {}
}

function failed(file: string, found: ReadonlyArray<Problem>): Result.Result<never, ConfigError> {
  const [first = "is not a configuration", ...rest] = found.map(({ path, says }) =>
    `${file}: ${path.length === 0 ? "it" : pathText(path)} ${says}`
  )
  return Result.fail(new ConfigError({ file, problems: [first, ...rest] }))
}
