/**
 * Stocks and crypto side by side, at venues that are processes of their own.
 *
 * They go on while Keel is killed, they can be missing when it starts, and each keeps its own books,
 * with which ours are compared.
 */
import assert from "node:assert/strict"
import { venueOf } from "../../domain/instrument.ts"
import { type AlpacaAddress, command, stateOf, type VenueAddress } from "./api.ts"
import { assertIsVenues, quietMoment } from "./books.ts"
import { eventually, Process, startKeel, temporaryFolder } from "./process.ts"

interface Venues {
  readonly binance: VenueAddress
  readonly alpaca: AlpacaAddress
  readonly control: string
}

const KILLS = 3

async function startVenues(): Promise<{ readonly venue: Process; readonly addresses: Venues }> {
  const venue = new Process("venue", ["--port", "0", "--seed", "11"])
  const [line] = await venue.printed(/^\{.*\}$/m)
  return { venue, addresses: JSON.parse(line) }
}

function keysOf({ binance, alpaca }: Venues) {
  return {
    BINANCE_API_KEY: binance.key,
    BINANCE_API_SECRET: binance.secret,
    APCA_API_KEY_ID: alpaca.key,
    APCA_API_SECRET_KEY: alpaca.secret,
  }
}

/** Nervous on purpose: something is nearly always under way. */
function configOf({ binance, alpaca }: Venues, tradingUrl = alpaca.trading) {
  const { data: dataUrl, dataStream: dataStreamUrl, tradingStream: tradingStreamUrl } = alpaca
  return {
    mode: "paper",
    venues: {
      binance: { restUrl: binance.rest, streamUrl: binance.ws, wsApiUrl: binance.wsApi },
      alpaca: { tradingUrl, dataUrl, dataStreamUrl, tradingStreamUrl },
    },
    strategies: ["BTC/USDT.BINANCE", "ETH/USDT.BINANCE", "AAPL.ALPACA", "MSFT.ALPACA", "SPY.ALPACA"]
      .map((instrument) => ({
        strategy: "mean_reversion",
        instrument,
        interval: "1s",
        params: { period: 4, deviations: 0.5 },
        notional: "500",
      })),
    risk: { maxOrdersPerMinute: 600 },
  }
}

Deno.test(`after ${KILLS} kill -9 while both venues trade, our books are theirs`, async () => {
  await using folder = await temporaryFolder()
  const { venue, addresses } = await startVenues()
  await using _ = venue
  const config = `${folder.path}/keel.json`
  Deno.writeTextFileSync(config, JSON.stringify(configOf(addresses)))
  const args = ["--data", `${folder.path}/data`, "--config", config]
  const count = (orders: ReadonlyArray<{ readonly instrument: string }>, venue: string) =>
    orders.filter(({ instrument }) => venueOf(instrument) === venue).length
  for (let kill = 0; kill <= KILLS; kill++) {
    const { keel, url } = await startKeel(args, keysOf(addresses))
    await using __ = keel
    const { state, books, held } = await quietMoment(url, addresses.control, 60_000)
    assertIsVenues(books, held)
    const ids = [...books.orders.keys()]
    assert.equal(new Set(ids).size, ids.length)
    // Alpaca keeps the place of a dead session for 90 s: prices come late there, its account does not.
    const trading = kill === 0 ? ["binance", "alpaca"] : kill < KILLS ? ["binance"] : ["alpaca"]
    await eventually(
      () => stateOf(url),
      ({ orders }) => trading.every((each) => count(orders, each) > count(state.orders, each)),
      150_000,
      20,
    )
    if (kill === KILLS) break
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_000))
    keel.signal("SIGKILL")
    await keel.status()
  }
})

Deno.test("a venue that is not there at the start is let in when it is; the other one trades meanwhile", async () => {
  await using folder = await temporaryFolder()
  const { venue, addresses } = await startVenues()
  await using _ = venue
  const config = `${folder.path}/keel.json`
  // A port that answers only later.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
  const { port } = listener.addr
  listener.close()
  const late = `http://127.0.0.1:${port}`
  Deno.writeTextFileSync(config, JSON.stringify(configOf(addresses, late)))
  const args = ["--data", `${folder.path}/data`, "--config", config]
  const { keel, url } = await startKeel(args, keysOf(addresses))
  await using __ = keel
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
  await using ___ = forward(port, addresses.alpaca.trading)
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
  await using folder = await temporaryFolder()
  const { venue, addresses } = await startVenues()
  await using _ = venue
  const config = `${folder.path}/keel.json`
  Deno.writeTextFileSync(config, JSON.stringify(configOf(addresses)))
  const args = ["--data", `${folder.path}/data`, "--config", config]
  const { APCA_API_KEY_ID, APCA_API_SECRET_KEY } = keysOf(addresses)
  const { keel, url } = await startKeel(args, { APCA_API_KEY_ID, APCA_API_SECRET_KEY })
  await using __ = keel
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
  await using folder = await temporaryFolder()
  const { venue, addresses } = await startVenues()
  await using _ = venue
  const config = `${folder.path}/keel.json`
  Deno.writeTextFileSync(config, JSON.stringify(configOf(addresses)))
  const env = { ...keysOf(addresses), APCA_API_SECRET_KEY: "a-wrong-s3cret" }
  const args = ["--port", "0", "--data", `${folder.path}/data`, "--config", config]
  await using keel = new Process("start", args, env)
  const { code } = await keel.status()
  assert.equal(code, 1)
  assert.match(
    keel.stderr,
    /^keel: alpaca: .*check APCA_API_KEY_ID and APCA_API_SECRET_KEY\n$/,
  )
  assert.ok(!keel.stderr.includes("s3cret"), keel.stderr)
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["keel.json"])
})
