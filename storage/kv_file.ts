/**
 * A Deno KV file that is safe to open and write.
 *
 * The one idea: what Deno KV throws becomes one line that a person can act on, before anything is
 * written where that can be known. `database is locked` alone is retried, because it alone means
 * that nothing was committed. It holds no schema: what the keys mean is its callers' business.
 */
import { DatabaseSync } from "node:sqlite"
import { join } from "node:path"
import { Effect, Random, type Scope } from "effect"
import { Corrupt, Locked, StoreError, Unavailable } from "./event_store.ts"

/** Tries of a commit that another connection keeps out, about 6 ms apart. */
const commitAttemptsMax = 200
const commitDelayMinMs = 1
const commitDelayMaxMs = 11
/** The whole file is read and checked on opening up to this size; a larger one as far as it is used. */
const checkedBytesMax = 256_000_000

const sqliteMagic = "SQLite format 3\0"

/** Opens `<folder>/<name>`, creating both; closed with the scope. The caller holds `lockFolder`. */
export const openKvFile = Effect.fn("openKvFile")(
  function* (folder: string, name: string): Effect.fn.Return<Deno.Kv, StoreError, Scope.Scope> {
    const path = join(folder, name)
    yield* attempt(path, () => checkFile(path))
    return yield* Effect.acquireRelease(
      attempt(path, async () => {
        if (await sizeOf(path) === undefined) await createKvFile(path)
        return await Deno.openKv(path)
      }),
      (kv) => Effect.sync(() => kv.close()),
    )
  },
)

/**
 * Takes the folder for this process until the scope closes; creates it where it is missing.
 * `files` must be sound in their first bytes, so that a folder which is not ours is left as it is.
 */
export const lockFolder = Effect.fn("lockFolder")(
  function* (
    folder: string,
    lockName: string,
    files: ReadonlyArray<string>,
  ): Effect.fn.Return<void, StoreError, Scope.Scope> {
    yield* attempt(folder, () => checkFolder(folder))
    for (const name of files) {
      const path = join(folder, name)
      yield* attempt(path, () => checkHeader(path))
    }
    yield* attempt(folder, () => Deno.mkdir(folder, { recursive: true }))
    const path = join(folder, lockName)
    yield* Effect.acquireRelease(
      attempt(folder, () => lock(folder, path)),
      // The name goes first: whoever opened it before sees in `lock` that it guards nothing.
      (file) =>
        attempt(folder, () => Deno.remove(path)).pipe(
          Effect.ignore,
          Effect.andThen(Effect.sync(() => file.close())),
        ),
    )
  },
)

/** Commits what `build` makes; `ok: false` is a failed check, and the caller's to judge. */
export const commit = Effect.fn("commit")(
  function* (
    place: string,
    build: () => Deno.AtomicOperation,
  ): Effect.fn.Return<Deno.KvCommitResult | Deno.KvCommitError, StoreError> {
    for (let tried = 1;; tried++) {
      const result = yield* Effect.promise(() =>
        build().commit().catch((error: unknown) => ({ error }))
      )
      if (!("error" in result)) return result
      if (!isLocked(result.error) || tried === commitAttemptsMax) {
        return yield* storeError(place, result.error)
      }
      yield* Effect.sleep(yield* Random.nextBetween(commitDelayMinMs, commitDelayMaxMs))
    }
  },
  // A commit cannot be taken back: to leave it half waited for would hide its outcome.
  Effect.uninterruptible,
)

/** Runs `work` on the file or folder `place`, and says in one line what went wrong. */
export function attempt<A>(place: string, work: () => Promise<A>): Effect.Effect<A, StoreError> {
  return Effect.tryPromise({ try: work, catch: (error) => storeError(place, error) })
}

/** What a person should know about an error of Deno, of Deno KV or of SQLite. */
export function storeError(place: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const said = error instanceof Error ? error.message : String(error)
  const reason = /not a database|malformed/.test(said)
    ? new Corrupt({ detail: "it is not a readable database" })
    : new Unavailable({ detail: unavailable(error, said) })
  return new StoreError({ place, reason })
}

function unavailable(error: unknown, said: string): string {
  if (/disk is full|No space left|Disk quota/i.test(said)) {
    return "the disk is full; free some space and start again"
  }
  if (/disk I\/O error/.test(said)) {
    return "the disk refuses to write; check the disk and its free space"
  }
  if (isLocked(error)) return "another process keeps the file locked; stop it and start again"
  if (error instanceof Deno.errors.NotCapable) {
    return "Deno may not use it; start it with a folder inside its permissions"
  }
  if (
    error instanceof Deno.errors.PermissionDenied ||
    /readonly database|Read-only file system|Operation not permitted/.test(said)
  ) {
    return "it cannot be written; check its owner and permissions, or choose another folder"
  }
  if (
    error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory
  ) {
    return "it is not a folder; choose another one"
  }
  if (error instanceof Deno.errors.IsADirectory) {
    return "it is a folder where a file should be; move it away"
  }
  if (error instanceof Deno.errors.NotFound || /unable to open database file/.test(said)) {
    return "it cannot be created; check the path"
  }
  if (error instanceof Deno.errors.BadResource) return "it is already closed"
  return said.split("\n", 1)[0] ?? "it cannot be used"
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && error.message.includes("database is locked")
}

/** Bytes of the file, or `undefined` where there is none. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await Deno.stat(path)
    if (found.isDirectory) throw new Deno.errors.IsADirectory(path)
    return found.size
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined
    throw error
  }
}

async function checkFolder(folder: string): Promise<void> {
  try {
    if (!(await Deno.stat(folder)).isDirectory) throw new Deno.errors.NotADirectory(folder)
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error
  }
}

function corrupt(place: string, detail: string): StoreError {
  return new StoreError({ place, reason: new Corrupt({ detail }) })
}

/** Reads only; true even while another process writes. */
async function checkHeader(path: string): Promise<void> {
  if (await sizeOf(path) === undefined) return
  using file = await Deno.open(path, { read: true })
  const head = new Uint8Array(sqliteMagic.length)
  const count = await file.read(head) ?? 0
  // Files are created whole, so an empty one has lost what it held.
  if (count === 0) throw corrupt(path, "it is empty")
  if (new TextDecoder().decode(head.subarray(0, count)) !== sqliteMagic) {
    throw corrupt(path, "it is not a Keel database")
  }
}

/** Under the lock only: a writer beside it would look like damage. */
async function checkFile(path: string): Promise<void> {
  await checkHeader(path)
  const size = await sizeOf(path)
  if (size === undefined) return
  // Refuses a read-only file before SQLite finds out at the first commit.
  using _writable = await Deno.open(path, { write: true })
  if (size > checkedBytesMax) return
  // Closing a writable connection folds the write-ahead log into the file; a file in doubt must
  // not be touched. Without a log it is the other way round: only a writable one tidies up.
  const readOnly = (await sizeOf(`${path}-wal`) ?? 0) > 0
  const database = new DatabaseSync(path, { readOnly })
  try {
    const found = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]
    if (found !== "ok") throw corrupt(path, "its pages do not add up")
  } finally {
    database.close()
  }
}

/** A crash on the way leaves no file rather than an empty one. */
async function createKvFile(path: string): Promise<void> {
  const draft = `${path}.new`
  for (const leftover of [draft, `${draft}-wal`, `${draft}-shm`]) {
    if (await sizeOf(leftover) !== undefined) await Deno.remove(leftover)
  }
  const kv = await Deno.openKv(draft)
  kv.close()
  await Deno.rename(draft, path)
}

async function lock(folder: string, path: string): Promise<Deno.FsFile> {
  while (true) {
    const file = await Deno.open(path, { create: true, read: true, write: true })
    try {
      if (!await file.tryLock(true)) {
        const holder = (await Deno.readTextFile(path)).trim() || "pid unknown"
        throw new StoreError({ place: folder, reason: new Locked({ holder }) })
      }
      // Someone may have removed the name between opening and locking: then it guards nothing.
      const named = await inode(path)
      if (named !== undefined && named === (await file.stat()).ino) {
        await file.truncate()
        await file.write(new TextEncoder().encode(`pid ${Deno.pid}\n`))
        return file
      }
      file.close()
    } catch (error) {
      file.close()
      throw error
    }
  }
}

async function inode(path: string): Promise<number | null | undefined> {
  try {
    return (await Deno.stat(path)).ino
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined
    throw error
  }
}
