/**
 * kill -9 while trading.
 *
 * The venue is a process of its own and goes on: what it fills while Keel is dead must be in the
 * books after the restart, and nothing twice.
 */
import assert from "node:assert/strict"
import type { Books } from "../../domain/books.ts"
import { formatDecimal } from "../../domain/decimal.ts"
import type { Overview } from "../../domain/overview.ts"
import { stateOf, type VenueAddress } from "./api.ts"
import { assertIsVenues, quietMoment } from "./books.ts"
import { eventually, Process, startKeel, temporaryFolder } from "./process.ts"

const KILLS = 10

/** What the state says of money, as the fold says it. */
function assertIsFold(state: Overview, books: Books) {
  const orders = new Map(state.orders.map((order) => [order.clientOrderId, order]))
  for (const order of books.orders.values()) {
    const shown = orders.get(order.clientOrderId)
    assert.ok(shown, `${order.clientOrderId} is shown`)
    assert.equal(shown.status, order.status, order.clientOrderId)
    assert.equal(shown.filledQuantity, formatDecimal(order.filledQuantity))
    assert.equal(shown.venueOrderId, order.venueOrderId ?? null)
  }
  assert.equal(state.orders.length, books.orders.size)
  assert.deepEqual(
    state.fills.map(({ executionId }) => executionId).toReversed(),
    books.fills.slice(-state.fills.length).map(({ executionId }) => executionId),
  )
  for (const shown of state.positions) {
    const position = books.positions.get(shown.instrument)
    assert.ok(position, shown.instrument)
    assert.equal(shown.quantity, formatDecimal(position.quantity))
    assert.equal(shown.realisedPnl, formatDecimal(position.realisedPnl))
  }
  assert.equal(state.tradingState, books.tradingState)
  assert.deepEqual(
    state.strategies.map(({ id }) => id).toSorted(),
    [...books.assignments.keys()].toSorted(),
  )
}

Deno.test(`after kill -9 at ${KILLS} random moments the state is the journal's fold, and the venue's`, async () => {
  await using folder = await temporaryFolder()
  await using venue = new Process("venue", ["--port", "0", "--seed", "7"])
  const [line] = await venue.printed(/^\{.*\}$/m)
  const { binance, control }: { binance: VenueAddress; control: string } = JSON.parse(line)
  const config = `${folder.path}/keel.json`
  const pairs = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT"]
  Deno.writeTextFileSync(
    config,
    JSON.stringify({
      mode: "paper",
      venues: {
        binance: { restUrl: binance.rest, streamUrl: binance.ws, wsApiUrl: binance.wsApi },
      },
      // Nervous on purpose: something is nearly always under way when the process dies.
      strategies: pairs.map((pair) => ({
        strategy: "mean_reversion",
        instrument: `${pair}.BINANCE`,
        interval: "1s",
        params: { period: 4, deviations: 0.5 },
        notional: "500",
      })),
      risk: { maxOrdersPerMinute: 600 },
    }),
  )
  const args = ["--data", `${folder.path}/data`, "--config", config]
  const env = { BINANCE_API_KEY: binance.key, BINANCE_API_SECRET: binance.secret }
  const ordersSeen: Array<number> = []
  for (let kill = 0; kill <= KILLS; kill++) {
    const { keel, url } = await startKeel(args, env)
    await using _ = keel
    const { state, books, held } = await quietMoment(url, control)
    assertIsFold(state, books)
    assertIsVenues(books, held)
    const ids = [...books.orders.keys()]
    assert.equal(new Set(ids).size, ids.length)
    ordersSeen.push(ids.length)
    if (kill === KILLS) break
    // While it trades: not before this life has sent something of its own.
    await eventually(() => stateOf(url), ({ orders }) => orders.length > ids.length, 30_000, 20)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500))
    keel.signal("SIGKILL")
    await keel.status()
  }
  assert.ok((ordersSeen.at(-1) ?? 0) >= KILLS, `it did trade: ${ordersSeen}`)
})

Deno.test("kill -9 and start again: pause, positions, orders and assignments of the simulated account are there", async () => {
  await using folder = await temporaryFolder()
  const args = ["--data", folder.path]
  const first = await startKeel(args)
  await using _ = first.keel
  const before = await eventually(
    () => stateOf(first.url),
    ({ positions, orders }) =>
      positions.length > 0 && orders.every(({ status }) => status === "filled"),
    120_000,
  )
  const pause = { commandId: "pause", type: "pause", scope: { kind: "all" } }
  await fetch(`${first.url}/api/v1/commands`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(pause),
  }).then((answer) => answer.body?.cancel())
  await eventually(() => stateOf(first.url), (state) => state.tradingState === "halted", 5_000)
  await eventually(
    () => stateOf(first.url),
    ({ orders }) => orders.every(({ status }) => status === "filled"),
    5_000,
  )
  // The last fill has been valued, too.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const halted = await stateOf(first.url)
  first.keel.signal("SIGKILL")
  await first.keel.status()
  const second = await startKeel(args)
  await using __ = second.keel
  const after = await eventually(
    () => stateOf(second.url),
    ({ accounts }) => accounts.every(({ status }) => status === "ready"),
    15_000,
  )
  assert.equal(after.tradingState, "halted")
  assert.deepEqual(after.orders, halted.orders)
  assert.deepEqual(after.fills, halted.fills)
  assert.deepEqual(
    after.positions.map(({ instrument, quantity, averagePrice }) => [
      instrument,
      quantity,
      averagePrice,
    ]),
    halted.positions.map(({ instrument, quantity, averagePrice }) => [
      instrument,
      quantity,
      averagePrice,
    ]),
  )
  assert.deepEqual(
    after.strategies.map(({ id }) => id),
    before.strategies.map(({ id }) => id),
  )
  assert.equal(after.equity.realisedPnl, halted.equity.realisedPnl)
  assert.equal(after.equity.fees, halted.equity.fees)
  assert.ok(after.seq > halted.seq)
})
