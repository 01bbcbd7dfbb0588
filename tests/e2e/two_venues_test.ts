/**
 * Stocks and crypto side by side, at venues that are processes of their own.
 *
 * They go on while Keel is killed, they can be missing when it starts, and each keeps its own books,
 * with which ours are compared.
 */
import assert from "node:assert/strict"
import { venueOf } from "../../domain/instrument.ts"
import { command, intentsAt, stateOf } from "./api.ts"
import { assertIsVenues, quietMoment } from "./books.ts"
import { eventually, Process, startKeel, temporaryFolder } from "./process.ts"
import {
  type Addresses,
  addressesOf,
  alpacaKeys,
  alpacaUrls,
  binanceKeys,
  binanceUrls,
  nervousConfig,
} from "./venue.ts"

const KILLS = 3

interface Place extends AsyncDisposable {
  readonly folder: string
  readonly addresses: Addresses
  readonly keys: ReturnType<typeof binanceKeys> & ReturnType<typeof alpacaKeys>
  /** Of a Keel that trades at both. */
  readonly args: ReadonlyArray<string>
}

/** Both venues in one process of their own, and a configuration; `tradingUrl` may be another way. */
async function startVenues(tradingUrl?: string): Promise<Place> {
  await using resources = new AsyncDisposableStack()
  const { path } = resources.use(await temporaryFolder())
  const venue = resources.use(new Process("venue", ["--port", "0", "--seed", "11"]))
  const addresses = await addressesOf(venue)
  const { alpaca, binance } = addresses
  const config = `${path}/keel.json`
  const venues = {
    binance: binanceUrls(binance),
    alpaca: { ...alpacaUrls(alpaca), ...tradingUrl !== undefined && { tradingUrl } },
  }
  const pairs = ["BTC/USDT.BINANCE", "ETH/USDT.BINANCE"]
  const shares = ["AAPL.ALPACA", "MSFT.ALPACA", "SPY.ALPACA"]
  Deno.writeTextFileSync(config, nervousConfig(venues, [...pairs, ...shares]))
  const kept = resources.move()
  return {
    ...{ folder: path, addresses },
    keys: { ...binanceKeys(binance), ...alpacaKeys(alpaca) },
    args: ["--data", `${path}/data`, "--config", config],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

Deno.test(`after ${KILLS} kill -9 while both venues trade, our books are theirs`, async () => {
  await using place = await startVenues()
  for (let kill = 0; kill <= KILLS; kill++) {
    const { keel, url } = await startKeel(place.args, place.keys)
    await using _ = keel
    const { state, books, held } = await quietMoment(url, place.addresses.control, 60_000)
    assertIsVenues(books, held)
    const ids = [...books.orders.keys()]
    assert.equal(new Set(ids).size, ids.length)
    // Alpaca keeps the place of a dead session for 90 s: prices come late there, its account does not.
    const trading = kill === 0 ? ["binance", "alpaca"] : kill < KILLS ? ["binance"] : ["alpaca"]
    await eventually(
      () => stateOf(url),
      (now) => trading.every((each) => intentsAt(each, now) > intentsAt(each, state)),
      150_000,
    )
    if (kill === KILLS) break
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_000))
    keel.signal("SIGKILL")
    await keel.status()
  }
})

Deno.test("a venue that is not there at the start is let in when it is; the other one trades meanwhile", async () => {
  // A port that answers only later.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
  const { port } = listener.addr
  listener.close()
  await using place = await startVenues(`http://127.0.0.1:${port}`)
  const { keel, url } = await startKeel(place.args, place.keys)
  await using _ = keel
  assert.match(keel.stderr, /alpaca: .*starting without it, and trying again/)
  await eventually(
    () => stateOf(url),
    ({ fills }) => fills.some(({ instrument }) => venueOf(instrument) === "binance"),
    60_000,
  )
  const { accounts } = await stateOf(url)
  assert.deepEqual(accounts.map(({ venue, status }) => `${venue} ${status}`), [
    "binance ready",
    "alpaca down",
  ])
  await using __ = forward(port, place.addresses.alpaca.trading)
  const after = await eventually(
    () => stateOf(url),
    ({ accounts, fills }) =>
      accounts.every(({ status }) => status === "ready") &&
      fills.some(({ instrument }) => venueOf(instrument) === "alpaca"),
    120_000,
  )
  assert.deepEqual(after.feeds.map(({ venue }) => venue), ["binance", "alpaca"])
  const receipt = await command(url, { type: "flatten", scope: { kind: "all" } })
  const said = (text: string) =>
    eventually(
      () => stateOf(url),
      ({ events }) => events.some(({ seq, text: line }) => seq > receipt.seq && line === text),
      60_000,
    )
  await said("Flat: confirmed by binance and alpaca.")
})

/** Answers at `port` in the name of `target`. */
function forward(port: number, target: string): AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url)
    const headers = new Headers(request.headers)
    headers.delete("host")
    const body = request.body === null ? null : await request.text()
    return await fetch(`${target}${pathname}${search}`, { method: request.method, headers, body })
  })
  return { [Symbol.asyncDispose]: () => server.shutdown() }
}

Deno.test("with keys of one venue that venue trades, and nothing is assigned at the other", async () => {
  await using place = await startVenues()
  const { keel, url } = await startKeel(place.args, alpacaKeys(place.addresses.alpaca))
  await using _ = keel
  const { accounts, strategies } = await eventually(
    () => stateOf(url),
    ({ fills, strategies }) => fills.length > 0 && strategies.length > 0,
    60_000,
  )
  assert.deepEqual(accounts.map(({ venue }) => venue), ["alpaca"])
  assert.match(accounts[0]!.label, /^Alpaca at 127\.0\.0\.1:\d+$/)
  assert.ok(strategies.every(({ instrument }) => instrument.endsWith(".ALPACA")))
})

Deno.test("wrong keys of one of two venues: nothing starts, and one line says whose", async () => {
  await using place = await startVenues()
  const env = { ...place.keys, APCA_API_SECRET_KEY: "a-wrong-s3cret" }
  await using keel = new Process("start", ["--port", "0", ...place.args], env)
  const { code } = await keel.status()
  assert.equal(code, 1)
  assert.match(
    keel.stderr,
    /^keel: alpaca: .*check APCA_API_KEY_ID and APCA_API_SECRET_KEY\n$/,
  )
  assert.ok(!keel.stderr.includes("s3cret"), keel.stderr)
  assert.deepEqual([...Deno.readDirSync(place.folder)].map(({ name }) => name), ["keel.json"])
})
