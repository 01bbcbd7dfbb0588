import assert from "node:assert/strict"
import { join } from "node:path"
import fc from "fast-check"
import { Effect, Redacted, Result, Schema } from "effect"
import {
  checkMode,
  type Config,
  defaultConfig,
  loadConfig,
  parseConfig,
  type StrategyParams,
} from "../config.ts"
import { secretTexts, type VenueKeys, venueKeys } from "../keys.ts"
import { nearest } from "../config_problem.ts"
import { configSchema, schemaFileName } from "../config_schema.ts"
import { readJson } from "../config_syntax.ts"
import { decimal } from "../domain/decimal.ts"
import { strategies } from "../strategies/mod.ts"

const Level = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
const registry: StrategyParams = new Map([
  ["mean_reversion", {
    params: Schema.Struct({
      period: Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)).pipe(
        Schema.withDecodingDefaultKey(Effect.succeed(20)),
      ),
      deviations: Schema.Finite.check(Schema.isGreaterThan(0)).pipe(
        Schema.withDecodingDefaultKey(Effect.succeed(2)),
      ),
    }),
  }],
  ["rsi_momentum", {
    params: Schema.Struct({
      period: Schema.Int.check(Schema.isGreaterThanOrEqualTo(2)).pipe(
        Schema.withDecodingDefault(Effect.succeed(14)),
      ),
      oversold: Level.pipe(Schema.withDecodingDefaultKey(Effect.succeed(30))),
      overbought: Level.pipe(Schema.withDecodingDefaultKey(Effect.succeed(70))),
    }).check(
      Schema.makeFilter(({ oversold, overbought }) =>
        oversold < overbought || { path: ["oversold"], issue: "must be below overbought" }
      ),
    ),
  }],
]) as ReadonlyMap<string, { params: Schema.Codec<unknown, unknown> }>

function parsed(value: unknown): Config {
  return Result.getOrThrow(parseConfig("keel.json", JSON.stringify(value), registry))
}

function complaint(text: string): string {
  const result = parseConfig("keel.json", text, registry)
  assert.ok(Result.isFailure(result), "it was accepted")
  assert.doesNotMatch(result.failure.message, /\n/)
  return result.failure.message
}

const withStrategy = (fields: Record<string, unknown>) => ({
  strategies: [
    { strategy: "mean_reversion", instrument: "ETH/USDT.BINANCE" },
    { strategy: "rsi_momentum", instrument: "BTC/USDT.BINANCE", ...fields },
  ],
})

Deno.test("parseConfig() fills in every default", () => {
  assert.deepEqual(parsed({}), defaultConfig(registry))
  const config = defaultConfig(registry)
  assert.equal(config.mode, "sim")
  assert.equal(config.venues.binance?.staleAfterMs, 3_000)
  assert.deepEqual(config.venues.alpaca?.instruments, [
    "AAPL.ALPACA",
    "MSFT.ALPACA",
    "SPY.ALPACA",
    "BTC/USD.ALPACA",
  ])
  assert.equal(config.venues.alpaca?.feed, "iex")
  assert.equal(config.strategies.length, 16)
  assert.deepEqual(config.risk.orderNotionalMax, decimal("5000"))
  assert.deepEqual(config.server.hostnames, [])
  assert.deepEqual(config.strategies.at(0), {
    id: "rsi_momentum:BTC/USDT.BINANCE",
    strategy: "rsi_momentum",
    instrument: "BTC/USDT.BINANCE",
    interval: "2s",
    params: { period: 14, oversold: 30, overbought: 70 },
    notional: decimal("1000"),
  })
})

Deno.test("parseConfig() takes what is given, and its own schema's name", () => {
  const config = parsed({
    $schema: "./keel.schema.json",
    mode: "paper",
    venues: {
      binance: {
        instruments: ["BTC/USDT"],
        restUrl: "http://127.0.0.1:8081",
        streamUrl: "wss://stream.example.org:9443",
        wsApiUrl: "ws://127.0.0.1:8081/ws-api/v3",
        staleAfterMs: 1_500,
        staleAfterMsOf: { "BTC/USDT": 900 },
      },
      alpaca: {
        enabled: true,
        instruments: ["AAPL", "ETH/USD"],
        tradingUrl: "http://127.0.0.1:8082",
        dataUrl: "http://127.0.0.1:8082",
        dataStreamUrl: "ws://127.0.0.1:8082",
        tradingStreamUrl: "ws://127.0.0.1:8082/stream",
        feed: "sip",
      },
    },
    strategies: [{
      strategy: "mean_reversion",
      instrument: "BTC/USDT.BINANCE",
      interval: "1m",
      params: { deviations: 2.5 },
      notional: "250.5",
    }],
    risk: { maxDailyLoss: "99.99" },
    server: { hostnames: ["keel.lan"] },
  })
  assert.equal(config.mode, "paper")
  assert.equal(config.venues.binance?.wsApiUrl, "ws://127.0.0.1:8081/ws-api/v3")
  assert.deepEqual(config.venues.binance?.staleAfterMsOf, new Map([["BTC/USDT.BINANCE", 900]]))
  assert.equal(config.venues.binance?.isRequired, false)
  assert.equal(config.venues.alpaca?.isRequired, true)
  assert.deepEqual(config.venues.alpaca?.instruments, ["AAPL.ALPACA", "ETH/USD.ALPACA"])
  assert.equal(config.venues.alpaca?.feed, "sip")
  assert.deepEqual(config.strategies.at(0)?.params, { period: 20, deviations: 2.5 })
  assert.deepEqual(config.strategies.at(0)?.notional, decimal("250.5"))
  assert.deepEqual(config.risk.dailyLossMax, decimal("99.99"))
  assert.deepEqual(config.risk.exposureMax, decimal("40000"))
})

Deno.test("parseConfig() puts the default strategies on the listed instruments only", () => {
  const config = parsed({ venues: { binance: { instruments: ["SOL/USDT"] } } })
  assert.deepEqual(config.strategies.map(({ id }) => id), [
    "rsi_momentum:SOL/USDT.BINANCE",
    "mean_reversion:SOL/USDT.BINANCE",
  ])
})

Deno.test("parseConfig() runs the venues that are named and not switched off", () => {
  const running = (venues: unknown) => Object.keys(parsed({ venues }).venues)
  assert.deepEqual(Object.keys(parsed({}).venues), ["binance", "alpaca"])
  assert.deepEqual(running({ binance: {} }), ["binance"])
  assert.deepEqual(running({ alpaca: {} }), ["alpaca"])
  assert.deepEqual(running({ binance: { enabled: false }, alpaca: {} }), ["alpaca"])
})

Deno.test("a venue alone may keep its account in any asset", () => {
  const config = parsed({ venues: { binance: { instruments: ["ETH/BTC"] } } })
  assert.deepEqual(config.venues.binance?.instruments, ["ETH/BTC.BINANCE"])
})

const complaints: ReadonlyArray<[unknown, string]> = [
  [
    { venues: { binance: { instruments: ["BTC/USDT", "ETH/BTC"] } } },
    "venues.binance.instruments must be pairs of one quote asset, got USDT and BTC",
  ],
  [
    withStrategy({ params: { period: "x" } }),
    'strategies[1].params.period must be an integer >= 2, got "x"',
  ],
  [
    withStrategy({ params: { period: 1 } }),
    "strategies[1].params.period must be an integer >= 2, got 1",
  ],
  [
    withStrategy({ params: { period: 2.5 } }),
    "strategies[1].params.period must be an integer >= 2, got 2.5",
  ],
  [
    withStrategy({ params: { oversold: 101 } }),
    "strategies[1].params.oversold must be a number between 0 and 100, got 101",
  ],
  [
    withStrategy({ params: { oversold: 80 } }),
    "strategies[1].params.oversold must be below overbought, got 80",
  ],
  [
    withStrategy({ params: { overbougth: 70 } }),
    "strategies[1].params.overbougth is unknown; did you mean overbought?",
  ],
  [withStrategy({ params: [] }), "strategies[1].params must be an object, got an empty list"],
  [
    withStrategy({ strategy: "macd" }),
    'strategies[1].strategy must be one of mean_reversion, rsi_momentum, got "macd"',
  ],
  [
    withStrategy({ instrument: "DOGE/USDT.BINANCE" }),
    "strategies[1].instrument must be one of BTC/USDT.BINANCE, ETH/USDT.BINANCE, " +
    "SOL/USDT.BINANCE, BNB/USDT.BINANCE, AAPL.ALPACA, MSFT.ALPACA, SPY.ALPACA, BTC/USD.ALPACA, " +
    'got "DOGE/USDT.BINANCE"',
  ],
  [
    withStrategy({ instrument: "BTCUSDT" }),
    'strategies[1].instrument must be an instrument such as "BTC/USDT.BINANCE" or "AAPL.ALPACA", ' +
    'got "BTCUSDT"',
  ],
  [
    withStrategy({ interval: "5 seconds" }),
    'strategies[1].interval must be a bar interval such as "5s" or "1m", got "5 seconds"',
  ],
  [
    withStrategy({ notional: 1000 }),
    'strategies[1].notional must be an amount above zero such as "1250" or "0.5", as text, got 1000',
  ],
  [
    { strategies: [{ strategy: "mean_reversion" }] },
    'strategies[0].instrument must be an instrument such as "BTC/USDT.BINANCE" or "AAPL.ALPACA", ' +
    "got nothing",
  ],
  [
    { strategies: Array(2).fill({ strategy: "mean_reversion", instrument: "BTC/USDT.BINANCE" }) },
    "strategies[1] repeats mean_reversion:BTC/USDT.BINANCE",
  ],
  [{ strategies: {} }, "strategies must be a list, got an object"],
  [{ mode: "prod" }, 'mode must be one of sim, paper, live, got "prod"'],
  [{ mode: null }, "mode must be one of sim, paper, live, got null"],
  [
    { risk: { maxExposure: "1e9" } },
    'risk.maxExposure must be an amount above zero such as "1250" or "0.5", as text, got "1e9"',
  ],
  [
    { risk: { maxExposure: "-1" } },
    'risk.maxExposure must be an amount above zero such as "1250" or "0.5", as text, got "-1"',
  ],
  [
    { risk: { maxExposure: "0.00" } },
    'risk.maxExposure must be an amount above zero such as "1250" or "0.5", as text, got "0.00"',
  ],
  [
    { risk: { maxOrdersPerMinute: 0 } },
    "risk.maxOrdersPerMinute must be an integer between 1 and 10000, got 0",
  ],
  [{ risk: { maxDailyLos: "1" } }, "risk.maxDailyLos is unknown; did you mean maxDailyLoss?"],
  [
    { venues: { binance: { instruments: [] } } },
    "venues.binance.instruments must be a list of at least one pair, got an empty list",
  ],
  [
    { venues: { binance: { instruments: ["BTC/USDT", "btc"] } } },
    'venues.binance.instruments[1] must be a pair such as "BTC/USDT", got "btc"',
  ],
  [
    { venues: { binance: { instruments: ["BTC/USDT", "BTC/USDT"] } }, strategies: [] },
    "venues.binance.instruments must be a list without repeats, got a list",
  ],
  [{ venues: { kraken: {} } }, "venues.kraken is unknown; known are binance, alpaca"],
  [
    { venues: { binance: { enabled: false }, alpaca: { enabled: false } } },
    "venues must leave one venue to trade on: binance or alpaca",
  ],
  [
    { venues: { binance: { instruments: ["ETH/BTC"] }, alpaca: {} } },
    "venues.binance.instruments must be pairs in USD, USDT, USDC, FDUSD while another venue runs, " +
    "because limits and equity are dollars, got BTC",
  ],
  [
    { venues: { alpaca: { instruments: ["AAPL", "ETH/BTC"] } } },
    "venues.alpaca.instruments must be shares and pairs in USD, which the account is kept in, " +
    "got ETH/BTC",
  ],
  [
    { venues: { alpaca: { staleAfterMsOf: { APPL: 900 } } } },
    "venues.alpaca.staleAfterMsOf.APPL is unknown; known are AAPL, MSFT, SPY, BTC/USD",
  ],
  [
    { mode: "paper", venues: { alpaca: { tradingUrl: "https://api.alpaca.markets" } } },
    "venues.alpaca.tradingUrl is where money is traded, which only mode live may; " +
    "use https://paper-api.alpaca.markets",
  ],
  [
    { mode: "paper", venues: { binance: { wsApiUrl: "wss://ws-api.binance.com/ws-api/v3" } } },
    "venues.binance.wsApiUrl is where money is traded, which only mode live may; " +
    "use wss://ws-api.testnet.binance.vision",
  ],
  [
    { mode: "paper", venues: { binance: { restUrl: "https://API.Binance.com." } } },
    "venues.binance.restUrl is where money is traded, which only mode live may; " +
    "use https://testnet.binance.vision",
  ],
  [
    { venues: { binance: { streamUrl: "https://example.org" } } },
    "venues.binance.streamUrl must be a URL that begins with wss:// or ws://, without user, query or " +
    'fragment, got "https://example.org"',
  ],
  [
    { server: { hostnames: ["Keel:80"] } },
    'server.hostnames[0] must be a host name such as "keel.lan", without port, got "Keel:80"',
  ],
  [{ strategy: [] }, "strategy is unknown; did you mean strategies?"],
  [{ "a b": 1 }, '["a b"] is unknown; known are $schema, mode, venues, strategies, risk, server'],
  [[], "it must be an object, got an empty list"],
]

for (const [value, says] of complaints) {
  Deno.test(`parseConfig() complains: ${says}`, () => {
    assert.equal(complaint(JSON.stringify(value)), `keel.json: ${says}`)
  })
}

Deno.test("parseConfig() says how much more is wrong", () => {
  const line = complaint(JSON.stringify({ mode: 1, risk: { maxExposure: 2 }, server: 3 }))
  assert.equal(line, "keel.json: mode must be one of sim, paper, live, got 1 (and 2 more)")
})

Deno.test("parseConfig() never repeats what may be a secret", () => {
  const secret = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsW0MuIgwCIPy6utIco14y7Ju91duEh8A"
  const places = [
    { apiKey: secret },
    { BINANCE_API_SECRET: secret },
    { mode: secret },
    { venues: { binance: { restUrl: `https://user:${secret.slice(0, 9)}@example.org` } } },
    { venues: { binance: { apiSecret: "short" } } },
    withStrategy({ params: { token: "short" } }),
    withStrategy({ notional: secret }),
    secret,
  ]
  for (const place of places) {
    const line = complaint(JSON.stringify(place))
    assert.ok(!line.includes(secret.slice(0, 9)) && !line.includes("short"), line)
  }
  assert.equal(
    complaint(JSON.stringify({ venues: { binance: { apiKey: secret } } })),
    "keel.json: venues.binance.apiKey is unknown; secrets are read from the environment alone",
  )
  assert.ok(!complaint(`{ "mode": "${secret}" "x" }`).includes(secret))
})

const syntax: ReadonlyArray<[string, string]> = [
  ["", "1:1 is not JSON: the file ends, expected a value"],
  ['{\n  "mode": "sim"\n  "risk": {}\n}', '3:3 is not JSON: expected "," or "}"'],
  ['{ "mode": "sim", }', "1:18 is not JSON: expected a key in double quotes"],
  ['{\n  "mode": sim\n}', "2:11 is not JSON: expected a value"],
  ['{ "mode" "sim" }', '1:10 is not JSON: expected ":"'],
  ["{\n  // my mode\n}", "2:3 is not JSON: JSON has no comments"],
  ["{ 'mode': 1 }", "1:3 is not JSON: expected a key in double quotes"],
  ['{ "mode": "sim }', "1:11 is not JSON: this text does not end, or holds a bad escape"],
  ['{ "mode": "sim"', '1:16 is not JSON: the file ends, expected "," or "}"'],
  ['{ "mode": "sim",\n  "mode": "live" }', "2:3 is not JSON: the same key stands here twice"],
  ["[1, 2", '1:6 is not JSON: the file ends, expected "," or "]"'],
  ["[01]", "1:2 is not JSON: expected a value"],
  ["{} {}", "1:4 is not JSON: expected the end of the file"],
  ["[".repeat(99), "1:52 is not JSON: nested more than 50 deep"],
]

for (const [text, says] of syntax) {
  Deno.test(`parseConfig() finds the place: ${JSON.stringify(text.slice(0, 30))}`, () => {
    assert.equal(complaint(text), `keel.json:${says}`)
  })
}

Deno.test("readJson() accepts exactly what JSON.parse() accepts", () => {
  const piece = fc.constantFrom(
    ...'{ } [ ] , : "a" "b\\n" "\\u00e9" "\\x" 1 -0.5e+3 1. 01 true nul null x'.split(" "),
    " ",
    "\n",
    '"c":[{}]',
  )
  const almost = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
    fc.jsonValue().map((value) => JSON.stringify(value, null, 1)),
    fc.tuple(fc.json(), fc.nat(), piece).map(([text, at, put]) => {
      const cut = at % (text.length + 1)
      return text.slice(0, cut) + put + text.slice(cut)
    }),
  )
  fc.assert(
    fc.property(almost, (text) => {
      const read = readJson(text)
      let expected: unknown
      try {
        expected = { value: JSON.parse(text) }
      } catch {
        expected = "not JSON"
      }
      if ("value" in read) assert.deepEqual(read, expected)
      else assert.ok(expected === "not JSON" || /twice|deep/.test(read.problem.says))
    }),
    { numRuns: 3_000 },
  )
})

Deno.test("loadConfig() reads a file, the one in the folder, or none", async () => {
  const folder = await Deno.makeTempDir({ prefix: "keel_config_" })
  const load = (file?: string) => Effect.runPromise(loadConfig({ file, strategies: registry }))
  const refusal = (file: string) =>
    Effect.runPromise(Effect.flip(loadConfig({ file, strategies: registry })))
  try {
    const file = join(folder, "own.json")
    await Deno.writeTextFile(file, '{ "mode": "paper" }')
    assert.equal((await load(file)).mode, "paper")
    const missing = join(folder, "missing.json")
    assert.equal((await refusal(missing)).message, `${missing} does not exist`)
    assert.equal((await refusal(folder)).message, `${folder} is not a file`)
    await Deno.writeTextFile(file, " ".repeat(1_000_001))
    assert.equal((await refusal(file)).message, `${file} is larger than 1000000 bytes`)
    assert.deepEqual(await load(), defaultConfig(registry))
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
})

Deno.test("checkMode() lets simulation and paper trading pass, and refuses live in one line", () => {
  assert.ok(Result.isSuccess(checkMode("keel.json", "sim")))
  assert.ok(Result.isSuccess(checkMode("keel.json", "paper")))
  const live = checkMode("keel.json", "live")
  assert.ok(Result.isFailure(live))
  assert.match(
    live.failure.message,
    /^keel\.json: mode live is refused: the dashboard has no login/,
  )
})

const keysOf = (config: unknown, env: Record<string, string>) =>
  venueKeys(parsed(config), { variable: (name) => env[name], file: readFile })
const pem = `-----BEGIN PRIVATE KEY-----\n${"Ab1+".repeat(16)}\n-----END PRIVATE KEY-----\n`
function readFile(path: string): string {
  if (path === "key.pem") return pem
  if (path === "other.txt") return "good morning"
  throw new Error(`no such file: ${path}`)
}
const found = (config: unknown, env: Record<string, string>): VenueKeys =>
  Result.getOrThrow(keysOf(config, env))
const keyComplaint = (config: unknown, env: Record<string, string>): string => {
  const keys = keysOf(config, env)
  assert.ok(Result.isFailure(keys), "it was accepted")
  return keys.failure.message
}
const binanceEnv = { BINANCE_API_KEY: " key-1 ", BINANCE_API_SECRET: "secret-1" }
const alpacaEnv = { APCA_API_KEY_ID: "key-2", APCA_API_SECRET_KEY: "secret-2" }

Deno.test("venueKeys() takes them from the environment and keeps them to itself", () => {
  const keys = found({}, { ...binanceEnv, ...alpacaEnv })
  assert.equal(Redacted.value(keys.binance!.key), "key-1")
  assert.equal(Redacted.value(keys.alpaca!.secret), "secret-2")
  assert.doesNotMatch(Deno.inspect(keys, { depth: 9 }) + JSON.stringify(keys), /(?:key|secret)-\d/)
})

Deno.test("venueKeys() leaves out a venue that has none, and one that is not configured", () => {
  assert.deepEqual(Object.keys(found({}, binanceEnv)), ["binance"])
  assert.deepEqual(Object.keys(found({}, alpacaEnv)), ["alpaca"])
  const onlyAlpaca = { venues: { alpaca: {} } }
  assert.deepEqual(Object.keys(found(onlyAlpaca, { ...binanceEnv, ...alpacaEnv })), ["alpaca"])
})

Deno.test("venueKeys() names the keys that are missing", () => {
  assert.equal(
    keyComplaint({}, { BINANCE_API_KEY: "key-1" }),
    "mode paper needs BINANCE_API_SECRET in the environment; set the keys of the Binance testnet, " +
      'or use "mode": "sim"',
  )
  assert.equal(
    keyComplaint({}, { ...binanceEnv, APCA_API_SECRET_KEY: "secret-2" }),
    "mode paper needs APCA_API_KEY_ID in the environment; set the keys of Alpaca paper, " +
      'or use "mode": "sim"',
  )
  assert.equal(
    keyComplaint({}, { BINANCE_API_SECRET: "" }),
    "mode paper needs BINANCE_API_KEY and BINANCE_API_SECRET, or APCA_API_KEY_ID and " +
      "APCA_API_SECRET_KEY in the environment; set the keys of the Binance testnet or of Alpaca " +
      'paper, or use "mode": "sim"',
  )
  assert.match(
    keyComplaint({ venues: { binance: {}, alpaca: { enabled: true } } }, binanceEnv),
    /^mode paper needs APCA_API_KEY_ID and APCA_API_SECRET_KEY in the environment/,
  )
})

Deno.test("venueKeys() takes an Ed25519 key of Binance from a file", () => {
  const env = { BINANCE_API_KEY: "key-1", BINANCE_PRIVATE_KEY_FILE: "key.pem" }
  assert.equal(Redacted.value(found({}, env).binance!.secret), pem.trim())
  const both = { ...env, BINANCE_API_SECRET: "secret-1" }
  assert.equal(
    keyComplaint({}, both),
    "BINANCE_API_SECRET and BINANCE_PRIVATE_KEY_FILE are both set: keep one of them",
  )
  for (const path of ["none.pem", "other.txt"]) {
    assert.equal(
      keyComplaint({}, { ...env, BINANCE_PRIVATE_KEY_FILE: path }),
      "BINANCE_PRIVATE_KEY_FILE must name a readable file with an Ed25519 private key in PEM (PKCS#8)",
    )
  }
})

Deno.test("secretTexts() are all that is set, a key file's own lines too", () => {
  const env: Record<string, string> = { ...alpacaEnv, BINANCE_PRIVATE_KEY_FILE: "key.pem" }
  const texts = secretTexts({ variable: (name) => env[name], file: readFile })
  assert.deepEqual(texts.map(Redacted.value), ["key-2", "secret-2", "Ab1+".repeat(16)])
})

Deno.test("nearest() finds slips, swaps and case, and nothing far away", () => {
  const known = ["maxOrderNotional", "maxDailyLoss", "instruments"]
  assert.equal(nearest("maxDialyLoss", known), "maxDailyLoss")
  assert.equal(nearest("maxorderNotionals", known), "maxOrderNotional")
  assert.equal(nearest("instrument", known), "instruments")
  assert.equal(nearest("leverage", known), undefined)
})

Deno.test("keel.schema.json is what the schema generates", async () => {
  const committed = await Deno.readTextFile(new URL(`../${schemaFileName}`, import.meta.url))
  assert.deepEqual(
    JSON.parse(committed),
    JSON.parse(JSON.stringify(configSchema(strategies))),
    "write it anew: deno run -A config_schema.ts",
  )
})

Deno.test("the default configuration uses strategies that exist", () => {
  for (const { strategy } of defaultConfig(strategies).strategies) {
    assert.ok(strategies.has(strategy))
  }
})
