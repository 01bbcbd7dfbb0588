import assert from "node:assert/strict"
import { Effect } from "effect"
import { openAlpacaLedger } from "../../storage/alpaca_ledger_kv.ts"
import { newAccount } from "../../venues/simulator/alpaca/account.ts"
import type {
  AccountRecord,
  AlpacaLedgerBatch,
  FillRecord,
  OrderRecord,
} from "../../venues/simulator/alpaca/ledger.ts"

const account: AccountRecord = {
  ...newAccount({ id: "account", accountNumber: "PA1", createdAt: 1, cash: 2n ** 70n }),
  closes: { "BTC/USD": 5n },
  orderSequence: 1,
}

const order = (sequence: number, fields: Partial<OrderRecord> = {}): OrderRecord => ({
  sequence,
  id: `order-${sequence}`,
  clientOrderId: `client-${sequence}`,
  symbol: "AAPL",
  side: "buy",
  type: "limit",
  timeInForce: "day",
  orderClass: "",
  extendedHours: false,
  positionIntent: "buy_to_open",
  status: "new",
  statusBefore: "new",
  quantity: 1n,
  notional: 0n,
  limitPrice: 2n ** 64n,
  stopPrice: 0n,
  trailPercent: 0n,
  trailPrice: 0n,
  highWaterMark: 0n,
  filled: 0n,
  filledValue: 0n,
  heldCash: 1n,
  heldQuantity: 0n,
  isTriggered: true,
  isResting: true,
  parentId: "",
  legIds: ["a", "b"],
  replaces: "",
  replacedBy: "",
  createdAt: 1,
  updatedAt: 1,
  submittedAt: 1,
  filledAt: null,
  expiredAt: null,
  cancelRequestedAt: null,
  canceledAt: null,
  failedAt: null,
  replacedAt: null,
  expiresAt: 5,
  ...fields,
})

const fill = (sequence: number): FillRecord => ({
  sequence,
  executionId: `execution-${sequence}`,
  orderId: "order-1",
  symbol: "AAPL",
  side: "buy",
  kind: "fill",
  previousId: "",
  price: 3n,
  quantity: 1n,
  cash: -3n,
  fee: 0n,
  cumulative: 1n,
  leaves: 0n,
  orderStatus: "filled",
  time: 9,
})

const batch = (fields: Partial<AlpacaLedgerBatch> = {}): AlpacaLedgerBatch => ({
  orders: [],
  fills: [],
  positions: [],
  account,
  ...fields,
})

async function inFolder(body: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir()
  try {
    await body(`${folder}/books/alpaca.kv`)
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}

const load = (path: string) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(openAlpacaLedger(path), ({ load }) => load)))
const commit = (path: string, ...batches: ReadonlyArray<AlpacaLedgerBatch>) =>
  Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const ledger = yield* openAlpacaLedger(path)
    for (const one of batches) yield* ledger.commit(one)
  })))

Deno.test("an account that nobody has opened has no books", () =>
  inFolder(async (path) => {
    assert.deepEqual(await load(path), {
      orders: [],
      fills: [],
      positions: [],
      account: undefined,
    })
  }))

Deno.test("what was committed is there when it is opened again, later rows over earlier ones", () =>
  inFolder(async (path) => {
    const position = { symbol: "BTC/USD", quantity: -5n, cost: -(2n ** 90n), dayCost: 0n }
    const counted = { ...account, orderSequence: 2, fillSequence: 1 }
    await commit(
      path,
      batch({ orders: [order(2), order(1)], account: counted }),
      batch({
        orders: [order(1, { status: "filled", filledAt: 7 })],
        fills: [fill(1)],
        positions: [position],
        account: counted,
      }),
    )
    assert.deepEqual(await load(path), {
      orders: [order(1, { status: "filled", filledAt: 7 }), order(2)],
      fills: [fill(1)],
      positions: [position],
      account: counted,
    })
  }))

Deno.test("more fills than a transaction takes are written, in their order", () =>
  inFolder(async (path) => {
    const fills = Array.from({ length: 1_500 }, (_, i) => fill(i + 1))
    await commit(path, batch({ fills, account: { ...account, fillSequence: fills.length } }))
    assert.deepEqual((await load(path)).fills, fills)
  }))

Deno.test("what is forgotten is not there, and the rest is, whatever the number", () =>
  inFolder(async (path) => {
    const sequences = Array.from({ length: 900 }, (_, i) => i + 1)
    const counted = { ...account, orderSequence: 900, fillSequence: 900 }
    const [some, rest] = [sequences.slice(0, 300), sequences.slice(300)]
    const forgotten = { orders: some, fills: sequences.slice(0, 899) }
    await commit(
      path,
      batch({ orders: some.map((one) => order(one)), account: counted }),
      batch({
        orders: rest.slice(0, 300).map((one) => order(one)),
        fills: sequences.map(fill),
        account: counted,
        forgotten,
      }),
    )
    const found = await load(path)
    assert.deepEqual(found.orders.map(({ sequence }) => sequence), rest.slice(0, 300))
    assert.deepEqual(found.fills, [fill(900)])
  }))

Deno.test("what the counters have not passed belongs to a commit that did not finish", () =>
  inFolder(async (path) => {
    await commit(
      path,
      batch({ orders: [order(1), order(2)], fills: [fill(1)], account }),
    )
    const found = await load(path)
    assert.deepEqual(found.orders, [order(1)])
    assert.deepEqual(found.fills, [])
  }))

Deno.test("the last one to open the books owns them", () =>
  inFolder((path) =>
    Effect.runPromise(Effect.scoped(Effect.gen(function* () {
      const first = yield* openAlpacaLedger(path)
      yield* first.commit(batch())
      const second = yield* openAlpacaLedger(path)
      const refused = yield* Effect.flip(first.commit(batch()))
      assert.match(refused.message, /another process has opened it/)
      yield* second.commit(batch())
    })))
  ))

Deno.test("a file that is something else is named", () =>
  inFolder(async (path) => {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true })
    await Deno.writeTextFile(path, "not a database at all, but long enough to be read as one")
    await assert.rejects(load(path), /Alpaca ledger .*alpaca\.kv: cannot/)
  }))
