/** What the doctor says of everything that can be wrong, asked of venues over real sockets. */
import assert from "node:assert/strict"
import { Effect, type Scope } from "effect"
import { examine } from "../doctor.ts"
import { type Finding, lineOf, spaceFinding } from "../doctor_findings.ts"
import type { SecretSource } from "../keys.ts"
import { banFile } from "../storage/ban_file.ts"
import { makeMemoryAlpacaLedger } from "../venues/simulator/alpaca/ledger.ts"
import { startSimulatedAlpaca } from "../venues/simulator/alpaca/mod.ts"
import type { Fault } from "../venues/simulator/fault.ts"
import { badVenue, KEY, SECRET, simulated } from "./venues/binance/venue.ts"

const ALPACA_KEY = "PKTEST0123456789ABCD"
const ALPACA_SECRET = "secret-of-alpaca-0123456789"
const keys = { BINANCE_API_KEY: KEY, BINANCE_API_SECRET: SECRET }
const alpacaKeys = { APCA_API_KEY_ID: ALPACA_KEY, APCA_API_SECRET_KEY: ALPACA_SECRET }

/** Of a test that asks venues, and of one that starts processes, on a busy machine. */
const PATIENCE_MS = 25_000
const PROCESSES_PATIENCE_MS = 120_000

function doctorTest<E>(
  name: string,
  body: (folder: string) => Effect.Effect<void, E, Scope.Scope>,
  patienceMs = PATIENCE_MS,
) {
  Deno.test(name, () =>
    Effect.runPromise(
      Effect.acquireRelease(
        Effect.promise(() => Deno.makeTempDir()),
        (folder) => Effect.promise(() => Deno.remove(folder, { recursive: true })),
      ).pipe(
        Effect.flatMap(body),
        Effect.scoped,
        Effect.timeoutOrElse({
          duration: patienceMs,
          orElse: () => Effect.die(new Error("the test took too long")),
        }),
      ),
    ))
}

/** The doctor's lines about a configuration; no line may tell a secret. */
const diagnose = Effect.fnUntraced(function* (
  folder: string,
  config: unknown,
  environment: Readonly<Record<string, string>> = {},
) {
  const file = `${folder}/keel.json`
  yield* Effect.promise(() => Deno.writeTextFile(file, JSON.stringify(config)))
  const source: SecretSource = {
    variable: (name) => environment[name],
    file: (path) => Deno.readTextFileSync(path),
  }
  const options = { config: file, data: `${folder}/data`, port: 0 }
  const findings = yield* examine(options, source)
  const lines = findings.map(lineOf)
  for (const secret of Object.values(environment)) {
    assert.ok(lines.every((line) => !line.includes(secret)), `a secret is told: ${lines}`)
  }
  return { findings, lines, about: (what: string) => lineAbout(findings, what) }
})

function lineAbout(findings: ReadonlyArray<Finding>, what: string): string {
  const found = findings.find((each) => each.what === what)
  return found === undefined ? `nothing about ${what}` : lineOf(found)
}

const binanceAt = ({ rest, ws, wsApi }: {
  readonly rest: string
  readonly ws: string
  readonly wsApi: string
}) => ({
  mode: "paper",
  venues: {
    binance: { instruments: ["BTC/USDT"], restUrl: rest, streamUrl: ws, wsApiUrl: wsApi },
  },
  strategies: [],
})

doctorTest(
  "a default configuration is well, simulated, and nothing is left behind",
  (folder) =>
    Effect.gen(function* () {
      const { findings, about } = yield* diagnose(folder, {})
      assert.deepEqual(findings.filter(({ level }) => level !== "ok"), [])
      assert.match(about("binance"), /^ok {4}binance {2}— simulated inside Keel/)
      assert.match(about("alpaca"), /simulated/)
      assert.match(about("Deno KV"), /it opens/)
      const left = [...Deno.readDirSync(folder)].map(({ name }) => name)
      assert.deepEqual(left, ["keel.json"])
    }),
)

doctorTest("a venue that is well is well in everything", (folder) =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const { lines, findings } = yield* diagnose(folder, binanceAt(venue.endpoints), keys)
    assert.deepEqual(findings.filter(({ level }) => level !== "ok"), [])
    const told = lines.filter((line) => line.includes("binance"))
    assert.deepEqual(told.map((line) => line.replace(/ {2}—.*/, "")), [
      "ok    binance host",
      "ok    binance clock",
      "ok    binance keys",
      "ok    binance instruments",
      "ok    binance private stream",
      "ok    binance market stream",
    ])
  }))

const wrongKeys: ReadonlyArray<
  readonly [string, Readonly<Record<string, string>>, string, RegExp]
> = [
  [
    "a wrong secret",
    { ...keys, BINANCE_API_SECRET: "another-secret" },
    "binance keys",
    /FAIL .*\(-1022\): BINANCE_API_SECRET does not belong to BINANCE_API_KEY; copy both again/,
  ],
  [
    "an unknown key",
    { ...keys, BINANCE_API_KEY: "another-key" },
    "binance keys",
    /FAIL .*\(-2015\): it is unknown, expired or revoked.*not allowed from this address.*its date/,
  ],
  [
    "a key with blanks in it",
    { ...keys, BINANCE_API_KEY: "a key of mine" },
    "binance key format",
    /FAIL .*BINANCE_API_KEY holds characters that no key has; copy it again, without quotes/,
  ],
  [
    "half a pair",
    { BINANCE_API_KEY: KEY },
    "binance keys",
    /FAIL .*needs BINANCE_API_SECRET in the environment/,
  ],
  ["no keys at all", {}, "binance keys", /FAIL .*set the keys of the Binance testnet/],
]

for (const [name, environment, what, line] of wrongKeys) {
  doctorTest(`${name} is told, with what to do`, (folder) =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const config = binanceAt(venue.endpoints)
      const { about } = yield* diagnose(folder, config, environment)
      assert.match(about(what), line)
    }))
}

const faults: ReadonlyArray<readonly [string, Fault, string, RegExp]> = [
  [
    "a clock that is a minute behind",
    { kind: "clock_skew", ms: 60_000 },
    "binance clock",
    /^FAIL {2}binance clock {2}— the clock of this machine is (?:60|59)\d{3} ms behind Binance; set it.*NTP/,
  ],
  [
    "a clock that is a little ahead",
    { kind: "clock_skew", ms: -2_000 },
    "binance clock",
    /^warn {2}binance clock {2}— the clock of this machine is \d{4} ms ahead of Binance; set it/,
  ],
  [
    "a region that is not served",
    { kind: "respond", when: "before", status: 451, body: "" },
    "binance host",
    /FAIL .*does not serve this region.*HTTP 451.*trying again cannot help.*URLs of binance/,
  ],
  [
    "a firewall that turns us away",
    { kind: "respond", when: "before", status: 403, body: "<html></html>" },
    "binance host",
    /FAIL .*firewall of Binance turns this address away \(HTTP 403\); stop every program/,
  ],
  [
    "a ban",
    {
      ...{ kind: "respond", when: "before", status: 418, retryAfterSeconds: 90 },
      body: '{"code":-1003,"msg":"Way too much request weight used."}',
    },
    "binance host",
    /FAIL .*wants to hear nothing from this address for 90 s \(HTTP 418\); stop every program/,
  ],
  [
    "a venue in trouble",
    { kind: "respond", when: "before", status: 502, body: "" },
    "binance host",
    /FAIL .*has trouble of its own \(HTTP 502\); see its status page/,
  ],
  [
    "a revoked key",
    { kind: "revoke_key" },
    "binance keys",
    /FAIL .*\(-2015\): it is unknown, expired or revoked/,
  ],
  [
    "an instrument that is halted",
    { kind: "listing", symbol: "BTCUSDT", status: "HALT" },
    "binance instruments",
    /^warn .*BTC\/USDT\.BINANCE is halted; nothing is opened/,
  ],
  [
    "a WebSocket that is refused",
    { kind: "refuse_upgrade", status: 403, match: { door: "wsApi" } },
    "binance private stream",
    /FAIL .*HTTP 403/,
  ],
]

for (const [name, fault, what, line] of faults) {
  doctorTest(`${name} is told, with what to do`, (folder) =>
    Effect.gen(function* () {
      const venue = yield* simulated({ faults: [fault] })
      // What strikes the venue itself is noticed at its next beat.
      yield* Effect.sleep(150)
      const { about } = yield* diagnose(folder, binanceAt(venue.endpoints), keys)
      assert.match(about(what), line)
    }))
}

doctorTest(
  "an instrument that the venue does not trade is named",
  (folder) =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const config = binanceAt(venue.endpoints)
      config.venues.binance.instruments = ["BTC/USDT", "NONE/USDT"]
      const { about } = yield* diagnose(folder, config, keys)
      assert.match(
        about("binance instruments"),
        /FAIL .*does not trade NONE\/USDT\.BINANCE; correct the instruments of binance/,
      )
    }),
)

doctorTest("a key that may not trade is told", (folder) =>
  Effect.gen(function* () {
    const { endpoints } = yield* badVenue((request, response) => {
      const body = request.url?.startsWith("/api/v3/time")
        ? { serverTime: Date.now() }
        : { canTrade: false, balances: [] }
      response.end(JSON.stringify(body))
    })
    const { about } = yield* diagnose(folder, binanceAt(endpoints), keys)
    assert.match(about("binance keys"), /FAIL .*may not trade; allow it to trade/)
  }))

doctorTest(
  "no network: a port that nobody listens on, a name that nobody knows",
  (folder) =>
    Effect.gen(function* () {
      const { endpoints } = yield* Effect.scoped(badVenue(() => {}))
      const { about } = yield* diagnose(folder, binanceAt(endpoints), keys)
      assert.match(about("binance host"), /FAIL .*connection refused; check the URLs of binance/)
      const lost = { ...endpoints, rest: "http://no-such-venue.invalid" }
      const named = yield* diagnose(folder, binanceAt(lost), keys)
      assert.match(
        named.about("binance host"),
        /FAIL .*name no-such-venue\.invalid cannot be resolved/,
      )
    }),
)

doctorTest(
  "a stream that nobody serves is told with its own host",
  (folder) =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { endpoints } = yield* Effect.scoped(badVenue(() => {}))
      const config = binanceAt({ ...venue.endpoints, wsApi: endpoints.wsApi })
      const { about } = yield* diagnose(folder, config, keys)
      assert.ok(about("binance private stream").startsWith("FAIL"))
      assert.ok(about("binance private stream").includes(new URL(endpoints.wsApi).host))
      assert.match(about("binance market stream"), /^ok/)
    }),
)

doctorTest(
  "inside a ban that is remembered the venue is not asked at all",
  (folder) =>
    Effect.gen(function* () {
      const { asked, endpoints } = yield* badVenue((_, response) => void response.end("{}"))
      const until = Date.now() + 3_600_000
      const bans = banFile(`${folder}/data/bans.binance.json`)
      yield* bans.save([{ bucket: "weight_1m", untilMs: until, status: 418 }])
      const { about } = yield* diagnose(folder, binanceAt(endpoints), keys)
      assert.ok(about("binance limits").includes(`until ${new Date(until).toISOString()}`))
      assert.match(about("binance limits"), /^FAIL/)
      assert.deepEqual(asked, [])
    }),
)

// ---- Alpaca --------------------------------------------------------------------------------

const alpaca = (options: { readonly faults?: ReadonlyArray<Fault> } = {}) =>
  startSimulatedAlpaca({
    ...{ host: "127.0.0.1", port: 0, key: ALPACA_KEY, secret: ALPACA_SECRET },
    market: { kind: "synthetic", seed: 1 },
    ledger: makeMemoryAlpacaLedger(),
    ...options,
  })

const alpacaAt = (endpoints: {
  readonly trading: string
  readonly data: string
  readonly dataStream: string
  readonly tradingStream: string
}) => ({
  mode: "paper",
  venues: {
    alpaca: {
      instruments: ["AAPL"],
      tradingUrl: endpoints.trading,
      dataUrl: endpoints.data,
      dataStreamUrl: endpoints.dataStream,
      tradingStreamUrl: endpoints.tradingStream,
    },
  },
  strategies: [],
})

doctorTest("an Alpaca that is well is well in everything", (folder) =>
  Effect.gen(function* () {
    const venue = yield* alpaca()
    const { findings } = yield* diagnose(folder, alpacaAt(venue.endpoints), alpacaKeys)
    assert.deepEqual(findings.filter(({ level }) => level !== "ok"), [])
    assert.ok(findings.some(({ what }) => what === "alpaca private stream"))
  }))

doctorTest(
  "wrong, revoked and live keys of Alpaca are told, and a skewed clock",
  (folder) =>
    Effect.gen(function* () {
      const venue = yield* alpaca()
      const config = alpacaAt(venue.endpoints)
      const wrong = { ...alpacaKeys, APCA_API_SECRET_KEY: "another-secret-0123456789" }
      const { about } = yield* diagnose(folder, config, wrong)
      assert.match(about("alpaca host"), /^ok/)
      assert.match(about("alpaca keys"), /FAIL .*APCA_API_KEY_ID.*wrong, revoked, or of the other/)
      const live = yield* diagnose(folder, config, { ...alpacaKeys, APCA_API_KEY_ID: "AKLIVE01" })
      assert.match(live.about("alpaca key format"), /FAIL .*live trading.*begins with PK/)
      yield* venue.arm({ kind: "clock_skew", ms: 30_000 })
      yield* Effect.sleep(150)
      const skewed = yield* diagnose(folder, config, alpacaKeys)
      assert.match(skewed.about("alpaca clock"), /^FAIL .*ms behind Alpaca; set it/)
      yield* venue.arm({ kind: "revoke_key" })
      yield* Effect.sleep(150)
      const revoked = yield* diagnose(folder, config, alpacaKeys)
      assert.match(revoked.about("alpaca keys"), /FAIL .*wrong, revoked/)
    }),
)

doctorTest(
  "no network to Alpaca is told as what it is",
  (folder) =>
    Effect.gen(function* () {
      const venue = yield* alpaca()
      const unknown = { ...venue.endpoints, trading: "http://no-such-venue.invalid" }
      const { about } = yield* diagnose(folder, alpacaAt(unknown), alpacaKeys)
      assert.match(about("alpaca host"), /FAIL .*name no-such-venue\.invalid cannot be resolved/)
      const { endpoints } = yield* Effect.scoped(badVenue(() => {}))
      const closed = { ...venue.endpoints, trading: endpoints.rest }
      const refused = yield* diagnose(folder, alpacaAt(closed), alpacaKeys)
      assert.match(refused.about("alpaca host"), /FAIL .*connection refused/)
    }),
)

doctorTest(
  "a venue without keys beside one with keys is a warning: it does not run",
  (folder) =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const config = binanceAt(venue.endpoints)
      const both = { ...config, venues: { ...config.venues, alpaca: { instruments: ["AAPL"] } } }
      const { about } = yield* diagnose(folder, both, keys)
      assert.match(about("alpaca keys"), /^warn .*APCA_API_KEY_ID/)
      assert.match(about("binance keys"), /^ok/)
    }),
)

// ---- the machine ---------------------------------------------------------------------------

doctorTest(
  "a configuration that is wrong is told line by line",
  (folder) =>
    Effect.gen(function* () {
      const { lines } = yield* diagnose(folder, { mode: "sin", risk: { maxOrderNotional: "" } })
      assert.equal(lines.filter((line) => line.startsWith("FAIL  configuration")).length, 2)
      assert.match(lines[0]!, /mode must be .*; correct it in .*keel\.json/)
    }),
)

doctorTest(
  "a data folder that is none, and a port that is taken, are told",
  (folder) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => Deno.writeTextFile(`${folder}/file`, ""))
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
      const source: SecretSource = { variable: () => undefined, file: () => "" }
      const { port } = listener.addr as Deno.NetAddr
      const findings = yield* examine({ config: undefined, data: `${folder}/file`, port }, source)
      listener.close()
      assert.match(lineAbout(findings, "data folder"), /FAIL .*is not a folder; choose another/)
      assert.match(lineAbout(findings, `port ${port}`), /^warn .*another program listens/)
    }),
)

Deno.test("spaceFinding() warns before the disk is full", () => {
  assert.equal(spaceFinding("disk", 5e9).level, "ok")
  assert.equal(spaceFinding("disk", 5e8).level, "warn")
  assert.equal(spaceFinding("disk", 5e7).level, "FAIL")
})

doctorTest(
  "as a command it prints one JSON document and ends with 1 when something is wrong",
  (folder) =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const file = `${folder}/keel.json`
      yield* Effect.promise(() =>
        Deno.writeTextFile(file, JSON.stringify(binanceAt(venue.endpoints)))
      )
      const run = (args: ReadonlyArray<string>) =>
        Effect.promise(() =>
          new Deno.Command(Deno.execPath(), {
            args: [
              ...["run", "--no-prompt", "--lock=tests/deno.lock", "--allow-all", "doctor.ts"],
              ...["--config", file, "--data", `${folder}/data`, "--port", "0", ...args],
            ],
            env: { BINANCE_API_KEY: "another-key", BINANCE_API_SECRET: SECRET, NO_COLOR: "1" },
          }).output()
        )
      const told = yield* run(["--json"])
      const { ok, findings } = JSON.parse(new TextDecoder().decode(told.stdout))
      assert.equal(told.code, 1)
      assert.equal(ok, false)
      assert.match(lineAbout(findings, "binance keys"), /-2015/)
      const lines = new TextDecoder().decode((yield* run([])).stdout)
      assert.match(lines, /^FAIL {2}binance keys {2}— /m)
      assert.ok(!lines.includes(SECRET))
      assert.equal((yield* run(["--nonsense"])).code, 2)
    }),
  PROCESSES_PATIENCE_MS,
)
