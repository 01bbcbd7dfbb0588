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
import { limits } from "../../limits.ts"
import { command, stateOf } from "./api.ts"
import { assertIsVenues, quietMoment } from "./books.ts"
import { eventually, Process, startKeel, temporaryFolder } from "./process.ts"
import { addressesOf, binanceKeys, binanceUrls, nervousConfig, pairs } from "./venue.ts"

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
  const { binance, control } = await addressesOf(venue)
  const config = `${folder.path}/keel.json`
  const instruments = pairs.map((pair) => `${pair}.BINANCE`)
  Deno.writeTextFileSync(config, nervousConfig({ binance: binanceUrls(binance) }, instruments))
  const args = ["--data", `${folder.path}/data`, "--config", config]
  const ordersSeen: Array<number> = []
  for (let kill = 0; kill <= KILLS; kill++) {
    const { keel, url } = await startKeel(args, binanceKeys(binance))
    await using _ = keel
    const { state, books, held } = await quietMoment(url, control)
    assertIsFold(state, books)
    assertIsVenues(books, held)
    const ids = [...books.orders.keys()]
    assert.equal(new Set(ids).size, ids.length)
    ordersSeen.push(ids.length)
    if (kill === KILLS) break
    // While it trades: not before this life has sent something of its own.
    await eventually(() => stateOf(url), ({ orders }) => orders.length > ids.length, 30_000)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500))
    keel.signal("SIGKILL")
    await keel.status()
  }
  assert.ok((ordersSeen.at(-1) ?? 0) >= KILLS, `it did trade: ${ordersSeen}`)
})

/** The state once fees and profit stand still: the last fill has been valued, too. */
async function valued(url: string): Promise<Overview> {
  const moneyOf = ({ equity }: Overview) => `${equity.realisedPnl} ${equity.fees}`
  let before = ""
  return await eventually(
    () => stateOf(url),
    (state) => {
      const isStill = moneyOf(state) === before
      before = moneyOf(state)
      return isStill
    },
    30_000,
    4 * limits.account.valueEveryMs,
  )
}

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
  await command(first.url, { type: "pause", scope: { kind: "all" } })
  await eventually(
    () => stateOf(first.url),
    ({ orders, tradingState }) =>
      tradingState === "halted" && orders.every(({ status }) => status === "filled"),
    15_000,
  )
  const halted = await valued(first.url)
  first.keel.signal("SIGKILL")
  await first.keel.status()
  const second = await startKeel(args)
  await using __ = second.keel
  await eventually(
    () => stateOf(second.url),
    ({ accounts }) => accounts.every(({ status }) => status === "ready"),
    15_000,
  )
  const after = await valued(second.url)
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
