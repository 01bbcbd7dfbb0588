import assert from "node:assert/strict"
import { Cause, Effect, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import { decimal } from "../domain/decimal.ts"
import { layerLog, type LevelName, type LogOptions, readLevel, redactor } from "../log.ts"

const apiKey = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsW0MuIgwCIPy6utIco14y7Ju91duEh8A"
const apiSecret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
const signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdce76ff7bb8a5c6c8c8c8c"

/** What is logged by `program`, at 1970-01-01T00:00:05Z. */
async function lines(
  program: Effect.Effect<unknown>,
  options: Partial<LogOptions> = {},
): Promise<Array<string>> {
  const written: Array<string> = []
  const write = (line: string) => void written.push(line)
  const logged = program.pipe(
    Effect.provide(
      layerLog({ level: "trace", form: "human", color: false, secrets: [], write, ...options }),
    ),
  )
  await Effect.runPromise(
    Effect.andThen(TestClock.adjust("5 seconds"), logged).pipe(Effect.provide(TestClock.layer())),
  )
  return written
}

/** What the HTTP library of a venue throws: the request is inside. */
function requestError(): Error {
  const error = new Error(
    `Request failed: GET https://api.example.org/api/v3/order?symbol=BTCUSDT&signature=${signature}`,
  )
  error.name = "AxiosError"
  const url = `https://api.example.org/api/v3/account?timestamp=1&signature=${signature}`
  const headers = { "X-MBX-APIKEY": apiKey, authorization: `Bearer ${apiSecret}` }
  return Object.assign(error, {
    config: { url, headers, auth: { username: "u", password: apiSecret } },
    request: { path: url, _header: `GET ${url} HTTP/1.1\r\nX-MBX-APIKEY: ${apiKey}\r\n` },
    response: { status: 400, config: { headers }, data: { code: -1021, msg: "Timestamp" } },
  })
}

Deno.test("a line for people has time, level, source, message and fields", async () => {
  const program = Effect.logInfo("order filled", {
    order: "k1-7",
    price: decimal("61000.50"),
    reason: "rsi 27.4 below 30",
    count: 3,
    big: 10n,
    none: null,
  }).pipe(Effect.annotateLogs({ source: "executor:binance", attempt: 2 }))
  assert.deepEqual(await lines(program), [
    "00:00:05.000Z info  executor:binance order filled attempt=2 order=k1-7 price=61000.5 " +
    'reason="rsi 27.4 below 30" count=3 big=10 none=null',
  ])
})

Deno.test("a line for programs is one JSON document with the same content", async () => {
  const program = Effect.logWarning("feed", "lost", {
    attempt: 1,
    time: "mine",
    nested: { a: [1n] },
  })
  const [line, ...others] = await lines(program, { form: "json" })
  assert.deepEqual(others, [])
  assert.deepEqual(JSON.parse(line ?? ""), {
    time: "1970-01-01T00:00:05.000Z",
    level: "warn",
    source: "keel",
    message: "feed lost",
    attempt: 1,
    time_: "mine",
    nested: { a: ["1"] },
  })
})

Deno.test("color is only around the words, and only when asked for", async () => {
  const [colored = ""] = await lines(Effect.logError("down", { venue: "binance" }), { color: true })
  // deno-lint-ignore no-control-regex -- it is what is looked for.
  const escapes = /\x1b\[\d+m/g
  assert.ok((colored.match(escapes) ?? []).length >= 4)
  const [bare] = await lines(Effect.logError("down", { venue: "binance" }))
  assert.equal(colored.replace(escapes, ""), bare)
})

const levels: ReadonlyArray<[LevelName, ReadonlyArray<string>]> = [
  ["trace", ["trace", "debug", "info", "warn", "error", "fatal"]],
  ["debug", ["debug", "info", "warn", "error", "fatal"]],
  ["info", ["info", "warn", "error", "fatal"]],
  ["warn", ["warn", "error", "fatal"]],
  ["error", ["error", "fatal"]],
  ["silent", []],
]

for (const [level, expected] of levels) {
  Deno.test(`level ${level} prints ${expected.join(", ") || "nothing"}`, async () => {
    const all = Effect.all([
      Effect.logTrace("x"),
      Effect.logDebug("x"),
      Effect.logInfo("x"),
      Effect.logWarning("x"),
      Effect.logError("x"),
      Effect.logFatal("x"),
    ])
    const written = await lines(all, { level, form: "json" })
    assert.deepEqual(written.map((line) => JSON.parse(line).level), expected)
  })
}

Deno.test("readLevel() takes the six names, info for nothing, and refuses the rest in one line", () => {
  assert.deepEqual(readLevel(undefined), Result.succeed("info"))
  assert.deepEqual(readLevel(""), Result.succeed("info"))
  assert.deepEqual(readLevel("silent"), Result.succeed("silent"))
  assert.deepEqual(
    readLevel("verbose"),
    Result.fail('KEEL_LOG must be one of trace, debug, info, warn, error, silent, got "verbose"'),
  )
})

Deno.test("a crash is one phrase, with its stack only at debug", async () => {
  const crash = Effect.logError("runner crashed", Cause.die(new TypeError("x is not a function")))
  const [short = "", ...others] = await lines(crash, { level: "info" })
  assert.deepEqual(others, [])
  assert.match(short, /runner crashed cause="defect: TypeError: x is not a function"$/)
  const [long = ""] = await lines(crash, { level: "debug" })
  assert.match(long, /defect: TypeError: x is not a function"\n {4}at /)
  const [json = ""] = await lines(crash, { level: "debug", form: "json" })
  assert.match(JSON.parse(json).stack, /^TypeError: x is not a function\n/)
})

Deno.test("a failure and an interruption are told apart from a crash", async () => {
  const [failed = ""] = await lines(Effect.logError("stopped", Cause.fail("no route")))
  assert.match(failed, /stopped cause="no route"$/)
  const [data = ""] = await lines(Effect.logError("stopped", Cause.fail({ code: 7, apiKey })))
  assert.match(data, /stopped cause=.*code.*7.*redacted/)
  const [interrupted = ""] = await lines(Effect.logError("stopped", Cause.interrupt(1)))
  assert.match(interrupted, /stopped cause=interrupted$/)
})

Deno.test("no form and no level prints a key, a secret or a signature", async () => {
  const error = requestError()
  const program = Effect.all([
    Effect.logError("request failed", error),
    Effect.logError(error),
    Effect.logError({ error }),
    Effect.logError("request failed", Cause.die(error)),
    Effect.logError("request failed", Cause.fail({ error, headers: { "X-MBX-APIKEY": apiKey } })),
    Effect.logInfo("sent", Object.assign({}, error)),
    Effect.logInfo(`GET /api/v3/account?timestamp=1&signature=${signature}`),
    Effect.logInfo(JSON.stringify(error)),
    Effect.logInfo(Deno.inspect(error, { depth: 9 })),
    Effect.logInfo(`listening with ${apiSecret} in ${apiKey}`),
    Effect.logInfo("keys", { key: Redacted.make(apiKey), secret: apiSecret }),
    Effect.logInfo("map", new Map([["api_key", apiKey]]), {
      deep: { a: { b: { c: { d: apiKey } } } },
    }),
    Effect.logInfo("url").pipe(
      Effect.annotateLogs({ url: `https://user:${apiSecret}@example.org/` }),
    ),
  ])
  for (const form of ["human", "json"] as const) {
    for (const level of ["trace", "info"] as const) {
      const secrets = [Redacted.make(apiKey), Redacted.make(apiSecret)]
      const written = (await lines(program, { form, level, secrets })).join("\n")
      for (const secret of [apiKey, apiSecret, signature]) {
        assert.ok(!written.includes(secret.slice(0, 16)), written)
      }
      assert.match(written, /request failed/)
    }
  }
})

Deno.test("redactor() finds secrets that nobody told it of, by their name and place", () => {
  const hide = redactor([])
  const shown = JSON.stringify(hide({
    headers: {
      "X-MBX-APIKEY": apiKey,
      Authorization: "Bearer abc.def",
      "APCA-API-SECRET-KEY": "s3cr3t",
    },
    listenKey: "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv",
    url: `https://x.example/api?signature=${signature}&apiKey=${apiKey}&symbol=BTCUSDT`,
    log: `X-MBX-APIKEY: ${apiKey}, authorization=Basic ${apiSecret}`,
    privateKey: "MC4CAQAwBQYDK2VwBCIEIA",
    password: "hunter2",
    accessToken: "abc123",
    proxy: "http://me:pa55w@proxy.example:8080/",
    wrapped: Redacted.make("wrapped-up"),
  }, ""))
  assert.match(shown, /"wrapped":"<redacted>"/)
  assert.doesNotMatch(shown, /vmPUZ|abc\.def|s3cr3t|pqia|c8db|NhqPt|MC4C|hunter2|abc123|pa55w/)
  assert.match(shown, /&symbol=BTCUSDT/)
})

Deno.test("redactor() leaves what is no secret readable", () => {
  const hide = redactor([])
  const harmless = {
    clientOrderId: "k1-7",
    executionId: "28457",
    tokens: 5,
    idempotencyKeyCount: 2,
    message: "signature of the request is not valid",
    url: "https://x.example/api/v3/order?symbol=BTCUSDT&timestamp=1",
  }
  assert.deepEqual(hide(harmless, ""), harmless)
})

Deno.test("what a venue wrote cannot break a line or move the cursor", async () => {
  const [line = "", ...others] = await lines(
    Effect.logInfo("venue says\nfake line \x1b[2J", { note: "a\r\nb", "k\n": 1 }),
  )
  assert.deepEqual(others, [])
  // deno-lint-ignore no-control-regex -- it is what must not be there.
  assert.doesNotMatch(line, /[\u0000-\u001f]/)
  assert.match(line, /venue says\\nfake line \\u001b\[2J note="a\\r\\nb" k\\n=1/)
})

Deno.test("long and endless values are cut", async () => {
  const endless: Record<string, unknown> = {}
  endless["self"] = endless
  const [line = ""] = await lines(
    Effect.logInfo("x".repeat(10_000), { endless, list: Array(1_000).fill(1) }),
  )
  assert.ok(line.length < 5_000)
})

Deno.test("standard error gets JSON when it is not a terminal, and standard output nothing", async () => {
  const script = `
    import { Effect } from "effect"
    import { layerLog, logOptions } from "./log.ts"
    await Effect.runPromise(Effect.logInfo("hello", { n: 1 }).pipe(Effect.provide(layerLog(logOptions("info")))))
  `
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", script],
    cwd: new URL("..", import.meta.url),
  })
  const { stdout, stderr, code } = await child.output()
  assert.equal(code, 0, new TextDecoder().decode(stderr))
  assert.equal(stdout.length, 0)
  const said = JSON.parse(new TextDecoder().decode(stderr))
  assert.deepEqual([said.level, said.message, said.n], ["info", "hello", 1])
})
