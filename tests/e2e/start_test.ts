/** A first run, as somebody has it who has just cloned the repository. */
import assert from "node:assert/strict"
import { command, stateOf } from "./api.ts"
import { eventually, Process, startKeel, temporaryFolder } from "./process.ts"

Deno.test("a first run has fresh prices of both venues at once, and within three minutes fills and a moving equity at each", async () => {
  await using folder = await temporaryFolder()
  const { keel, url } = await startKeel(["--data", folder.path])
  await using _ = keel
  const first = await eventually(
    () => stateOf(url),
    ({ feeds, accounts }) =>
      accounts.every(({ equity, status }) => status === "ready" && equity !== undefined) &&
      feeds.every(({ status }) => status === "streaming") &&
      feeds.flatMap(({ instruments }) => instruments).every(({ fresh, price }) =>
        fresh && price !== null
      ),
    20_000,
  )
  assert.equal(first.mode, "sim")
  assert.deepEqual(
    first.accounts.map(({ venue, label }) => `${venue}: ${label}`),
    ["binance: Binance simulated", "alpaca: Alpaca simulated"],
  )
  assert.deepEqual(first.feeds.map(({ venue }) => venue), ["binance", "alpaca"])
  assert.equal(first.equity.start, "200000")
  const venueOf = (instrument: string) => instrument.split(".").at(-1)?.toLowerCase()
  const traded = await eventually(
    () => stateOf(url),
    ({ orders, accounts }) =>
      accounts.every(({ venue, equity }) =>
        orders.some(({ status, instrument }) =>
          status === "filled" && venueOf(instrument) === venue
        ) && equity?.total !== "100000"
      ),
    180_000,
  )
  for (const { venue } of traded.accounts) {
    const filled = traded.orders.find(({ status, instrument }) =>
      status === "filled" && venueOf(instrument) === venue
    )
    assert.match(filled?.clientOrderId ?? "", new RegExp(`^keel-[a-z0-9]{8}-${venue}-\\d+$`))
    const fill = traded.fills.find(({ clientOrderId }) => clientOrderId === filled?.clientOrderId)
    assert.ok(fill, "a filled order has its fills")
    assert.ok(Number(fill.price) > 0 && Number(fill.fee) >= 0)
  }
})

Deno.test("a crash inside a strategy restarts that strategy alone, and the tree shows it", async () => {
  await using folder = await temporaryFolder()
  const { keel, url } = await startKeel(["--data", folder.path])
  await using _ = keel
  const path = "root/strategies/runner:rsi_momentum:BTC-USDT.BINANCE"
  const before = await eventually(
    () => stateOf(url),
    ({ actors, accounts }) =>
      accounts.every(({ status }) => status === "ready") &&
      actors.some((actor) => actor.path === path),
    15_000,
  )
  await command(url, { type: "crash_actor", scope: { kind: "all", id: path } })
  const after = await eventually(
    () => stateOf(url),
    ({ actors }) =>
      actors.some((actor) =>
        actor.path === path && actor.restarts === 1 && actor.status === "running"
      ),
    10_000,
  )
  const crashed = after.actors.find((actor) => actor.path === path)
  assert.match(crashed?.lastCause ?? "", /crashed on purpose/)
  for (const actor of after.actors) {
    if (actor.path === path) continue
    const same = before.actors.find((each) => each.path === actor.path)
    assert.equal(actor.restarts, 0, actor.path)
    assert.equal(actor.startedAt, same?.startedAt, `${actor.path} was not touched`)
  }
  assert.deepEqual(after.feeds.map(({ reconnects }) => reconnects), [0, 0])
  assert.ok(after.events.some(({ type, source }) => type === "ActorRestarted" && source === path))
})

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} ends everything within three seconds, with viewers and readers attached`, async () => {
    await using folder = await temporaryFolder()
    const { keel, url } = await startKeel(["--data", folder.path])
    await using _ = keel
    const viewer = await fetch(`${url}/events`)
    const reader = await fetch(`${url}/api/v1/events?from=0`)
    const askedAt = performance.now()
    keel.signal(signal)
    const { code } = await keel.status()
    const tookMs = performance.now() - askedAt
    assert.equal(code, 0, keel.stderr)
    assert.ok(tookMs < 3_000, `${Math.round(tookMs)} ms`)
    await Promise.allSettled([viewer.body?.cancel(), reader.body?.cancel()])
  })
}

Deno.test("SIGTERM ends a start that waits for a venue that says nothing", async () => {
  await using folder = await temporaryFolder()
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
  const config = `${folder.path}/keel.json`
  const restUrl = `http://127.0.0.1:${listener.addr.port}`
  Deno.writeTextFileSync(
    config,
    JSON.stringify({ mode: "paper", venues: { binance: { restUrl } } }),
  )
  const args = ["--port", "0", "--data", `${folder.path}/data`, "--config", config]
  const env = { BINANCE_API_KEY: "a-key", BINANCE_API_SECRET: "a-secret" }
  await using keel = new Process("start", args, env)
  using _ = await listener.accept()
  const askedAt = performance.now()
  keel.signal("SIGTERM")
  const { code } = await keel.status()
  const tookMs = performance.now() - askedAt
  assert.equal(code, 0, keel.stderr)
  assert.ok(tookMs < 3_000, `${Math.round(tookMs)} ms`)
  assert.equal(keel.stdout, "")
})

Deno.test("a command sent twice acts once", async () => {
  await using folder = await temporaryFolder()
  const { keel, url } = await startKeel(["--data", folder.path])
  await using _ = keel
  const pause = { commandId: "twice", type: "pause", scope: { kind: "all" } } as const
  const first = await command(url, pause)
  const second = await command(url, pause)
  assert.deepEqual(first, second)
  const { events, tradingState } = await eventually(
    () => stateOf(url),
    (state) => state.tradingState === "halted",
    5_000,
  )
  assert.equal(tradingState, "halted")
  assert.equal(events.filter(({ type }) => type === "TradingStateChanged").length, 1)
})

Deno.test("the same port twice: the second says so, and writes nothing", async () => {
  await using folder = await temporaryFolder()
  const { keel, url } = await startKeel(["--data", `${folder.path}/a`])
  await using _ = keel
  const { port } = new URL(url)
  await using second = new Process("start", ["--port", port, "--data", `${folder.path}/b`])
  const { code } = await second.status()
  assert.equal(code, 1)
  assert.match(second.stderr, new RegExp(`^keel: port ${port} on 127.0.0.1 is in use: .*\\n$`))
  assert.equal(second.stdout, "")
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["a"])
})
