/**
 * A Deno KV file that holds the books of a simulated venue.
 *
 * Every transaction checks that no other process has opened the same file since: the last one to
 * open it owns it. A commit is one transaction; should it have more rows than a transaction takes,
 * those that its last one makes count go ahead of it. It knows no schema.
 */
import { dirname } from "node:path"
import { Effect, type Scope } from "effect"
import { LedgerError } from "../venues/simulator/ledger.ts"
import type { StoreError } from "./event_store.ts"
import { commit } from "./kv_file.ts"

const LAYOUT_VERSION = 1
/** Rows per transaction; KV takes 1 000 and 800 KB, and an order is about 1 KB. */
const ROWS_MAX = 400

export type LedgerRow = readonly [key: Deno.KvKey, value: unknown]

export interface LedgerWrite {
  /** Rows that count only once `rows` say so. */
  readonly ahead: ReadonlyArray<LedgerRow>
  /** Written together, or not at all. */
  readonly rows: ReadonlyArray<LedgerRow>
  /** Keys to take away afterwards. */
  readonly gone: ReadonlyArray<Deno.KvKey>
}

export interface LedgerFile {
  /** What `act` makes of the file; whatever it throws is said in one line. */
  readonly read: <A>(act: (rows: LedgerRows) => Promise<A>) => Effect.Effect<A, LedgerError>
  readonly write: (write: LedgerWrite) => Effect.Effect<void, LedgerError>
}

export class LedgerRows {
  readonly #kv: Deno.Kv

  constructor(kv: Deno.Kv) {
    this.#kv = kv
  }

  /** `undefined` where there is none. */
  async one<A>(key: Deno.KvKey, decode: (value: unknown) => A): Promise<A | undefined> {
    const { value } = await this.#kv.get(key)
    return value === null ? undefined : decode(value)
  }

  /** In the order of their keys. */
  async all<A>(prefix: Deno.KvKey, decode: (value: unknown) => A): Promise<ReadonlyArray<A>> {
    const found = new Array<A>()
    for await (const entry of this.#kv.list({ prefix }, { batchSize: 100 })) {
      found.push(decode(entry.value))
    }
    return found
  }
}

/**
 * Opens the file at `path`, creating it and its folder; closes it with the scope. `name` is for
 * people; the keys under `root` that are called `owner` and `layout` belong to this.
 */
export const openLedgerFile = Effect.fn("LedgerFile.open")(function* (
  path: string,
  { name, root }: { readonly name: string; readonly root: string },
): Effect.fn.Return<LedgerFile, LedgerError, Scope.Scope> {
  const failed = (doing: string, text: string) =>
    new LedgerError({ text: `${name} ${path}: cannot ${doing}: ${text}` })
  const attempt = <A>(doing: string, act: () => Promise<A>) =>
    Effect.tryPromise({ try: act, catch: (cause) => failed(doing, why(cause)) })
  const [owned, layout] = [[root, "owner"], [root, "layout"]]

  const kv = yield* Effect.acquireRelease(
    attempt("open", async () => {
      if (path !== ":memory:") await Deno.mkdir(dirname(path), { recursive: true })
      return await Deno.openKv(path)
    }),
    (kv) => Effect.sync(() => kv.close()),
  )
  const { value } = yield* attempt("read", () => kv.get(layout))
  if (value !== null && value !== LAYOUT_VERSION) {
    return yield* new LedgerError({
      text: `${name} ${path}: written in layout ${String(value)}, this version reads ` +
        `${LAYOUT_VERSION}; use another --data folder`,
    })
  }
  /** Commits and gives the versionstamp; another owner of the file is an error. */
  const transact = Effect.fnUntraced(function* (
    doing: string,
    intruder: string,
    build: (transaction: Deno.AtomicOperation) => Deno.AtomicOperation,
  ) {
    const result = yield* commit(path, () => build(kv.atomic())).pipe(
      Effect.mapError((error) => failed(doing, detailOf(error))),
    )
    return result.ok ? result.versionstamp : yield* failed(doing, intruder)
  })
  const before = yield* attempt("read", () => kv.get<number>(owned))
  const versionstamp = yield* transact(
    "write",
    "another process is opening it",
    (transaction) =>
      transaction.check(before).set(layout, LAYOUT_VERSION).set(owned, (before.value ?? 0) + 1),
  )

  const put = (rows: ReadonlyArray<LedgerRow>, gone: ReadonlyArray<Deno.KvKey>) =>
    transact("commit", "another process has opened it", (transaction) => {
      transaction.check({ key: owned, versionstamp })
      for (const [key, value] of rows) transaction.set(key, value)
      for (const key of gone) transaction.delete(key)
      return transaction
    })

  return {
    read: (act) => attempt("read", () => act(new LedgerRows(kv))),
    write: Effect.fnUntraced(function* ({ ahead, rows, gone }) {
      let at = 0
      while (at < ahead.length && ahead.length - at + rows.length > ROWS_MAX) {
        yield* put(ahead.slice(at, at + ROWS_MAX), [])
        at += ROWS_MAX
      }
      yield* put([...ahead.slice(at), ...rows], gone.slice(0, ROWS_MAX))
      for (let from = ROWS_MAX; from < gone.length; from += ROWS_MAX) {
        yield* put([], gone.slice(from, from + ROWS_MAX))
      }
    }),
  }
})

/** One line, whatever the cause says. */
function why(cause: unknown): string {
  const text = (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? ""
  return text.includes("not a database") ? "the file is not a Deno KV database" : text
}

function detailOf({ reason, message }: StoreError): string {
  return "detail" in reason ? reason.detail : message
}
