/**
 * The simulated venue's books in a Deno KV file.
 *
 * One row per order, fill and balance, and one row of counters. Fills may be written ahead of their
 * commit: they count only once the counters have passed them.
 */
import { Effect, Schema, type Scope } from "effect"
import {
  BalanceRecord,
  Counters,
  FillRecord,
  type Ledger,
  type LedgerBatch,
  type LedgerContents,
  type LedgerError,
  OrderRecord,
} from "../venues/simulator/ledger.ts"
import { type LedgerRow, type LedgerRows, openLedgerFile } from "./kv_ledger.ts"

const ROOT = "venue"
const ORDER = [ROOT, "order"] as const
const FILL = [ROOT, "fill"] as const
const BALANCE = [ROOT, "balance"] as const
const COUNTERS = [ROOT, "counters"] as const
const MARKET = [ROOT, "market"] as const

const order = Schema.toCodecJson(OrderRecord)
const fill = Schema.toCodecJson(FillRecord)
const balance = Schema.toCodecJson(BalanceRecord)
const counters = Schema.toCodecJson(Counters)

/** Opens the books at `path`, creating folder and file; closes them with the scope. */
export const openVenueLedger = Effect.fn("VenueLedger.open")(function* (
  path: string,
): Effect.fn.Return<Ledger, LedgerError, Scope.Scope> {
  const file = yield* openLedgerFile(path, { name: "venue ledger", root: ROOT })
  return {
    load: file.read(load),
    commit: (batch) => file.write(rowsOf(batch)),
  }
})

async function load(rows: LedgerRows): Promise<LedgerContents> {
  const known = await rows.one(COUNTERS, Schema.decodeUnknownSync(counters))
  const fills = await rows.all(FILL, Schema.decodeUnknownSync(fill))
  return {
    orders: await rows.all(ORDER, Schema.decodeUnknownSync(order)),
    // What lies beyond the counters belongs to a commit that did not finish.
    fills: fills.filter((row) => row.executionId <= (known?.executionId ?? 0)),
    balances: await rows.all(BALANCE, Schema.decodeUnknownSync(balance)),
    counters: known,
    market: await rows.one(MARKET, (text) => typeof text === "string" ? text : undefined),
  }
}

function rowsOf(batch: LedgerBatch) {
  const { orders = [], fills = [], balances = [], forgotten } = batch
  return {
    ahead: fills.map((
      row,
    ): LedgerRow => [[...FILL, row.executionId], Schema.encodeSync(fill)(row)]),
    rows: [
      ...orders.map((row): LedgerRow => [[...ORDER, row.orderId], Schema.encodeSync(order)(row)]),
      ...balances.map((row): LedgerRow => [
        [...BALANCE, row.asset],
        Schema.encodeSync(balance)(row),
      ]),
      ...(batch.counters ? [[COUNTERS, Schema.encodeSync(counters)(batch.counters)] as const] : []),
      ...(batch.market === undefined ? [] : [[MARKET, batch.market] as const]),
    ],
    gone: [
      ...(forgotten?.orders ?? []).map((orderId) => [...ORDER, orderId]),
      ...(forgotten?.fills ?? []).map((executionId) => [...FILL, executionId]),
    ],
  }
}
