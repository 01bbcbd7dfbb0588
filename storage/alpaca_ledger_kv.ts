/**
 * The simulated Alpaca account's books in a Deno KV file.
 *
 * One row per order, fill and position, and one row for the account with its counters. A commit is
 * one transaction; should it have more fills than a transaction takes, the first ones go ahead of
 * it, and count only once the counters have passed them: what is beyond them belongs to
 * a commit that did not finish. Every transaction checks that no other process has opened the same
 * file since: the last one to open it owns it.
 */
import { Effect, Schema, type Scope } from "effect"
import {
  AccountRecord,
  type AlpacaLedger,
  type AlpacaLedgerBatch,
  type AlpacaLedgerContents,
  FillRecord,
  LedgerError,
  OrderRecord,
  PositionRecord,
} from "../venues/simulator/alpaca/ledger.ts"

const ORDER = ["alpaca", "order"] as const
const FILL = ["alpaca", "fill"] as const
const POSITION = ["alpaca", "position"] as const
const ACCOUNT = ["alpaca", "account"] as const
const OWNER = ["alpaca", "owner"] as const
const LAYOUT = ["alpaca", "layout"] as const

const LAYOUT_VERSION = 1
/** Rows per transaction; KV takes 1 000 and 800 KB, and an order is about 1 KB. */
const ROWS_MAX = 400

const order = Schema.toCodecJson(OrderRecord)
const fill = Schema.toCodecJson(FillRecord)
const position = Schema.toCodecJson(PositionRecord)
const account = Schema.toCodecJson(AccountRecord)

/** Opens the books at `path`, creating folder and file; closes them with the scope. */
export const openAlpacaLedger = Effect.fn("AlpacaLedger.open")(function* (
  path: string,
): Effect.fn.Return<AlpacaLedger, LedgerError, Scope.Scope> {
  const attempt = <A>(doing: string, act: () => Promise<A>) =>
    Effect.tryPromise({
      try: act,
      catch: (cause) =>
        new LedgerError({ text: `Alpaca ledger ${path}: cannot ${doing}: ${why(cause)}` }),
    })
  const kv = yield* Effect.acquireRelease(
    attempt("open", async () => {
      if (path !== ":memory:" && path.includes("/")) {
        await Deno.mkdir(path.slice(0, path.lastIndexOf("/")) || "/", { recursive: true })
      }
      return await Deno.openKv(path)
    }),
    (kv) => Effect.sync(() => kv.close()),
  )
  const layout = yield* attempt("read", () => kv.get(LAYOUT))
  if (layout.value !== null && layout.value !== LAYOUT_VERSION) {
    return yield* new LedgerError({
      text: `Alpaca ledger ${path}: written in layout ${String(layout.value)}, this version ` +
        `reads ${LAYOUT_VERSION}; use another --data folder`,
    })
  }
  const owner = yield* attempt("write", async () => {
    const taken = await kv.get<number>(OWNER)
    const mine = await kv.atomic().check(taken).set(LAYOUT, LAYOUT_VERSION)
      .set(OWNER, (taken.value ?? 0) + 1).commit()
    if (!mine.ok) throw new Error("another process is opening it")
    return { key: [...OWNER], versionstamp: mine.versionstamp }
  })

  const transact = (rows: ReadonlyArray<readonly [Deno.KvKey, unknown]>) =>
    attempt("commit", async () => {
      const transaction = kv.atomic().check(owner)
      for (const [key, value] of rows) transaction.set(key, value)
      if (!(await transaction.commit()).ok) throw new Error("another process has opened it")
    })

  const load = attempt("read", async (): Promise<AlpacaLedgerContents> => {
    const stored = await kv.get(ACCOUNT)
    const known = stored.value === null
      ? undefined
      : Schema.decodeUnknownSync(account)(stored.value)
    const orders = await rows(kv, ORDER, Schema.decodeUnknownSync(order))
    const fills = await rows(kv, FILL, Schema.decodeUnknownSync(fill))
    return {
      orders: orders.filter((row) => row.sequence <= (known?.orderSequence ?? 0)),
      fills: fills.filter((row) => row.sequence <= (known?.fillSequence ?? 0)),
      positions: await rows(kv, POSITION, Schema.decodeUnknownSync(position)),
      account: known,
    }
  })

  const commit = Effect.fnUntraced(function* (batch: AlpacaLedgerBatch) {
    // Fills are only ever added, so those are what may go ahead.
    const fills = batch.fills.map((row) =>
      [[...FILL, row.sequence], Schema.encodeSync(fill)(row)] as const
    )
    const others = [
      ...batch.orders.map((row) =>
        [[...ORDER, row.sequence], Schema.encodeSync(order)(row)] as const
      ),
      ...batch.positions.map((row) =>
        [[...POSITION, row.symbol], Schema.encodeSync(position)(row)] as const
      ),
    ]
    while (fills.length > 0 && fills.length + others.length > ROWS_MAX) {
      yield* transact(fills.splice(0, ROWS_MAX))
    }
    yield* transact([...fills, ...others, [ACCOUNT, Schema.encodeSync(account)(batch.account)]])
  })
  return { load, commit }
})

async function rows<A>(kv: Deno.Kv, prefix: Deno.KvKey, decode: (value: unknown) => A) {
  const found = new Array<A>()
  for await (const entry of kv.list({ prefix: [...prefix] }, { batchSize: 100 })) {
    found.push(decode(entry.value))
  }
  return found
}

/** One line, whatever the cause says. */
function why(cause: unknown): string {
  const text = (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? ""
  return text.includes("not a database") ? "the file is not a Deno KV database" : text
}
