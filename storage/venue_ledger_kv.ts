/**
 * The simulated venue's books in a Deno KV file.
 *
 * One row per order, fill and balance, and one row of counters. A commit is one
 * transaction; should it have more fills than a transaction takes, the first ones go
 * ahead of it, and count only once the counters have passed them. Every transaction
 * checks that no other process has opened the same file since: the last one to open
 * it owns it.
 */
import { Effect, Schema, type Scope } from "effect"
import {
  BalanceRecord,
  Counters,
  FillRecord,
  type Ledger,
  type LedgerBatch,
  type LedgerContents,
  LedgerError,
  OrderRecord,
} from "../venues/simulator/ledger.ts"

const ORDER = ["venue", "order"] as const
const FILL = ["venue", "fill"] as const
const BALANCE = ["venue", "balance"] as const
const COUNTERS = ["venue", "counters"] as const
const MARKET = ["venue", "market"] as const
const OWNER = ["venue", "owner"] as const
const LAYOUT = ["venue", "layout"] as const

const LAYOUT_VERSION = 1
/** Rows per transaction; KV takes 1 000 and 800 KB. */
const ROWS_MAX = 500

const order = Schema.toCodecJson(OrderRecord)
const fill = Schema.toCodecJson(FillRecord)
const balance = Schema.toCodecJson(BalanceRecord)
const counters = Schema.toCodecJson(Counters)

/** Opens the books at `path`, creating folder and file; closes them with the scope. */
export const openVenueLedger = Effect.fn("VenueLedger.open")(function* (
  path: string,
): Effect.fn.Return<Ledger, LedgerError, Scope.Scope> {
  const attempt = <A>(doing: string, act: () => Promise<A>) =>
    Effect.tryPromise({
      try: act,
      catch: (cause) =>
        new LedgerError({ text: `venue ledger ${path}: cannot ${doing}: ${why(cause)}` }),
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
      text: `venue ledger ${path}: written in layout ${String(layout.value)}, this version reads ` +
        `${LAYOUT_VERSION}; use another --data folder`,
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

  const load = attempt("read", async (): Promise<LedgerContents> => {
    const counted = await kv.get(COUNTERS)
    const known = counted.value === null
      ? undefined
      : Schema.decodeUnknownSync(counters)(counted.value)
    const market = await kv.get(MARKET)
    const fills = await rows(kv, FILL, Schema.decodeUnknownSync(fill))
    return {
      orders: await rows(kv, ORDER, Schema.decodeUnknownSync(order)),
      // What lies beyond the counters belongs to a commit that did not finish.
      fills: fills.filter((row) => row.executionId <= (known?.executionId ?? 0)),
      balances: await rows(kv, BALANCE, Schema.decodeUnknownSync(balance)),
      counters: known,
      market: typeof market.value === "string" ? market.value : undefined,
    }
  })

  const commit = Effect.fnUntraced(function* (batch: LedgerBatch) {
    const fills = (batch.fills ?? []).map((row) =>
      [[...FILL, row.executionId], Schema.encodeSync(fill)(row)] as const
    )
    while (fills.length > ROWS_MAX) yield* transact(fills.splice(0, ROWS_MAX))
    yield* transact([
      ...fills,
      ...(batch.orders ?? []).map((row) =>
        [[...ORDER, row.orderId], Schema.encodeSync(order)(row)] as const
      ),
      ...(batch.balances ?? []).map((row) =>
        [[...BALANCE, row.asset], Schema.encodeSync(balance)(row)] as const
      ),
      ...(batch.counters ? [[COUNTERS, Schema.encodeSync(counters)(batch.counters)] as const] : []),
      ...(batch.market === undefined ? [] : [[MARKET, batch.market] as const]),
    ])
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
