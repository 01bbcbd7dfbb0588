/**
 * The simulated Alpaca account's books in a Deno KV file.
 *
 * One row per order, fill and position, and one row for the account with its counters. Fills may be
 * written ahead of their commit: they count only once the counters have passed them.
 */
import { Effect, Schema, type Scope } from "effect"
import {
  AccountRecord,
  type AlpacaLedger,
  type AlpacaLedgerBatch,
  type AlpacaLedgerContents,
  FillRecord,
  type LedgerError,
  OrderRecord,
  PositionRecord,
} from "../venues/simulator/alpaca/ledger.ts"
import { type LedgerRow, type LedgerRows, openLedgerFile } from "./kv_ledger.ts"

const ROOT = "alpaca"
const ORDER = [ROOT, "order"] as const
const FILL = [ROOT, "fill"] as const
const POSITION = [ROOT, "position"] as const
const ACCOUNT = [ROOT, "account"] as const

const order = Schema.toCodecJson(OrderRecord)
const fill = Schema.toCodecJson(FillRecord)
const position = Schema.toCodecJson(PositionRecord)
const account = Schema.toCodecJson(AccountRecord)

/** Opens the books at `path`, creating folder and file; closes them with the scope. */
export const openAlpacaLedger = Effect.fn("AlpacaLedger.open")(function* (
  path: string,
): Effect.fn.Return<AlpacaLedger, LedgerError, Scope.Scope> {
  const file = yield* openLedgerFile(path, { name: "Alpaca ledger", root: ROOT })
  return {
    load: file.read(load),
    commit: (batch) => file.write(rowsOf(batch)),
  }
})

async function load(rows: LedgerRows): Promise<AlpacaLedgerContents> {
  const known = await rows.one(ACCOUNT, Schema.decodeUnknownSync(account))
  const orders = await rows.all(ORDER, Schema.decodeUnknownSync(order))
  const fills = await rows.all(FILL, Schema.decodeUnknownSync(fill))
  return {
    // What lies beyond the counters belongs to a commit that did not finish.
    orders: orders.filter((row) => row.sequence <= (known?.orderSequence ?? 0)),
    fills: fills.filter((row) => row.sequence <= (known?.fillSequence ?? 0)),
    positions: await rows.all(POSITION, Schema.decodeUnknownSync(position)),
    account: known,
  }
}

function rowsOf({ orders, fills, positions, account: known, forgotten }: AlpacaLedgerBatch) {
  return {
    ahead: fills.map((row): LedgerRow => [[...FILL, row.sequence], Schema.encodeSync(fill)(row)]),
    rows: [
      ...orders.map((row): LedgerRow => [[...ORDER, row.sequence], Schema.encodeSync(order)(row)]),
      ...positions.map((row): LedgerRow => [
        [...POSITION, row.symbol],
        Schema.encodeSync(position)(row),
      ]),
      [ACCOUNT, Schema.encodeSync(account)(known)] as const,
    ],
    gone: [
      ...(forgotten?.orders ?? []).map((sequence) => [...ORDER, sequence]),
      ...(forgotten?.fills ?? []).map((sequence) => [...FILL, sequence]),
    ],
  }
}
