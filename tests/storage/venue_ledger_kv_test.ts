import assert from "node:assert/strict"
import { Effect } from "effect"
import { openVenueLedger } from "../../storage/venue_ledger_kv.ts"
import type { FillRecord, LedgerBatch, OrderRecord } from "../../venues/simulator/ledger.ts"

const order = (orderId: number, fields: Partial<OrderRecord> = {}): OrderRecord => ({
  orderId,
  clientOrderId: `c-${orderId}`,
  symbol: "BTCUSDT",
  side: "BUY",
  type: "LIMIT",
  timeInForce: "GTC",
  status: "NEW",
  price: 6_000_000_000_000n,
  quantity: 2n ** 70n,
  quoteQuantity: 0n,
  stopPrice: 0n,
  executed: 0n,
  cumulativeQuote: 0n,
  locked: 5n,
  selfTradePrevention: "EXPIRE_MAKER",
  isWorking: true,
  workingTime: 1,
  time: 1,
  updateTime: 1,
  ...fields,
})

const fill = (executionId: number): FillRecord => ({
  tradeId: executionId,
  executionId,
  orderId: 1,
  symbol: "BTCUSDT",
  price: 1n,
  quantity: 1n,
  quoteQuantity: 1n,
  commission: 0n,
  commissionAsset: "BTC",
  time: 1,
  isBuyer: true,
  isMaker: false,
})

const counters = (executionId: number) => ({
  orderId: 2,
  executionId,
  tradeIds: { BTCUSDT: executionId },
  updateId: 9,
  updateTime: 1,
})

async function inFolder(body: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir()
  try {
    await body(`${folder}/books/venue.kv`)
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}

const commit = (path: string, ...batches: ReadonlyArray<LedgerBatch>) =>
  Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const ledger = yield* openVenueLedger(path)
    for (const batch of batches) yield* ledger.commit(batch)
  })))

const load = (path: string) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(openVenueLedger(path), (ledger) => ledger.load)))

const complaint = (path: string) =>
  Effect.runPromise(Effect.flip(Effect.scoped(
    Effect.flatMap(openVenueLedger(path), (ledger) => ledger.load),
  ))).then((error) => error.message)

Deno.test("what was committed is there after opening again, exact to the last digit", () =>
  inFolder(async (path) => {
    await commit(
      path,
      { orders: [order(2), order(1)], balances: [{ asset: "USDT", free: 10n ** 20n, locked: 0n }] },
      {
        orders: [order(1, { status: "FILLED" })],
        fills: [fill(3)],
        counters: counters(3),
        market: "{}",
      },
    )
    assert.deepEqual(await load(path), {
      orders: [order(1, { status: "FILLED" }), order(2)],
      fills: [fill(3)],
      balances: [{ asset: "USDT", free: 10n ** 20n, locked: 0n }],
      counters: counters(3),
      market: "{}",
    })
  }))

Deno.test("more fills than one transaction takes are one commit still", () =>
  inFolder(async (path) => {
    const fills = Array.from({ length: 1_700 }, (_, i) => fill(i + 1))
    await commit(path, { fills, counters: counters(1_700) })
    assert.equal((await load(path)).fills.length, 1_700)
  }))

Deno.test("what is forgotten is not there any more", () =>
  inFolder(async (path) => {
    await commit(
      path,
      { orders: [order(1), order(2)], fills: [fill(1), fill(2)], counters: counters(2) },
      { orders: [order(1)], forgotten: { orders: [1], fills: [1] } },
    )
    const { orders, fills } = await load(path)
    assert.deepEqual([orders, fills], [[order(2)], [fill(2)]])
  }))

Deno.test("fills beyond the counters are of a commit that did not finish, and are not there", () =>
  inFolder(async (path) => {
    await commit(path, { fills: [fill(1), fill(2)], counters: counters(1) })
    assert.deepEqual((await load(path)).fills, [fill(1)])
  }))

Deno.test("who opens the books last owns them", () =>
  inFolder(async (path) => {
    const text = await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const first = yield* openVenueLedger(path)
      yield* openVenueLedger(path)
      return (yield* Effect.flip(first.commit({ orders: [order(1)] }))).message
    })))
    assert.equal(text, `venue ledger ${path}: cannot commit: another process has opened it`)
  }))

Deno.test("a file that is no database, a folder that cannot be made, rows of another shape: one line each", () =>
  inFolder(async (path) => {
    await commit(path, { counters: counters(1) })
    const kv = await Deno.openKv(path)
    await kv.set(["venue", "order", 1], { symbol: 5 })
    kv.close()
    const shape = await complaint(path)
    assert.match(shape, /^venue ledger .*venue\.kv: cannot read: /)
    assert.equal(shape.includes("\n"), false)

    const folder = path.slice(0, path.lastIndexOf("/"))
    await Deno.writeTextFile(
      `${folder}/text.kv`,
      "not a database, but long enough to be looked at".repeat(50),
    )
    assert.match(
      await complaint(`${folder}/text.kv`),
      /cannot open: the file is not a Deno KV database$/,
    )
    assert.match(await complaint(`${folder}/text.kv/venue.kv`), /^venue ledger .*: cannot open: /)
  }))
