import assert from "node:assert/strict"
import { parseArguments } from "../../../venues/simulator/main.ts"

const MAIN = new URL("../../../venues/simulator/main.ts", import.meta.url).pathname

Deno.test("arguments are read, and wrong ones named in one line", () => {
  const read = parseArguments(["--port", "9000", "--seed=5", "--key", "k"])
  assert.ok(typeof read === "object" && !(read instanceof Error))
  assert.deepEqual([read.port, read.seed, read.key, read.host], [9_000, 5, "k", "127.0.0.1"])
  assert.equal(parseArguments(["--port", "1", "--help"]), "help")
  for (
    const [args, text] of [
      [["--port", "99999"], "--port must be 0 to 65535, got 99999"],
      [["--seed", "-1"], "--seed must be a whole number below 2^32, got -1"],
      [["--seed"], "--seed needs a value"],
      [["--sessions", "never"], "--sessions must be always or exchange, got never"],
      [["--colour", "red"], "unknown argument --colour; see --help"],
    ] as const
  ) {
    const wrong = parseArguments(args)
    assert.ok(wrong instanceof Error)
    assert.equal(wrong.message, text)
  }
})

Deno.test("the venue alone prints one JSON line, serves, and ends on SIGTERM", async () => {
  const scenario = await Deno.makeTempFile({ suffix: ".json" })
  await Deno.writeTextFile(scenario, '{"seed":4,"faults":[{"kind":"drop"}]}')
  const keys = ["--key", "abc", "--secret", "def"]
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, ...keys, "--scenario", scenario],
    stdout: "piped",
    stderr: "null",
  }).spawn()
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  while (!text.includes("\n")) {
    const { value, done } = await reader.read()
    if (done) break
    text += value
  }
  const { binance, alpaca, control } = JSON.parse(text)
  assert.deepEqual([binance.key, binance.secret], ["abc", "def"])
  assert.equal(binance.wsApi, `${binance.ws}/ws-api/v3`)
  const response = await fetch(`${binance.rest}/api/v3/ticker/price?symbol=BTCUSDT`)
  assert.ok(Number((await response.json()).price) > 0)
  assert.deepEqual([alpaca.key, alpaca.secret], ["abc", "def"])
  const headers = { "APCA-API-KEY-ID": "abc", "APCA-API-SECRET-KEY": "def" }
  const trades = await fetch(`${alpaca.data}/v2/stocks/quotes/latest?symbols=SPY`, { headers })
  assert.ok((await trades.json()).quotes.SPY.bp > 0)
  const account = await fetch(`${alpaca.trading}/v2/account`, { headers })
  assert.equal((await account.json()).cash, "100000")
  assert.deepEqual(
    [alpaca.tradingStream, alpaca.dataStream].map((url) => new URL(url).pathname),
    ["/stream", "/"],
  )
  const armed = await fetch(`${control}/faults`).then((response) => response.json())
  assert.deepEqual(armed, [{ venue: "binance", kind: "drop", seed: 4, id: "fault-1" }])
  child.kill("SIGTERM")
  assert.equal((await child.status).code, 0)
  assert.equal((await reader.read()).done, true)
  await Deno.remove(scenario)
})

Deno.test("bad arguments exit with 2 and one line on standard error", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, "--port", "x"],
  }).output()
  assert.equal(code, 2)
  assert.equal(stdout.length, 0)
  assert.equal(new TextDecoder().decode(stderr), "venue: --port must be 0 to 65535, got x\n")
})
