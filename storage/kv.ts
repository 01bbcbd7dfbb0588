/**
 * The journal in a Deno KV file.
 *
 * The one idea: opening raises the epoch, and the versionstamp of that one row is checked by every
 * write. A writer that was overtaken can therefore commit nothing, however late it wakes up. Keys
 * are known before the write, so that a retry lands on the same rows.
 *
 * It uses no `sum`, no `expireIn`, no queues and no `watch`.
 */
import { join } from "node:path"
import { Effect, type Scope, Semaphore } from "effect"
import {
  encodeAppend,
  encodeJson,
  type EventStore,
  Fenced,
  limits,
  Refused,
  type StoredRecord,
  StoreError,
} from "./event_store.ts"
import { commit, lockFolder, openKvFile } from "./kv_file.ts"
import { keys, KvJournal, schemaVersion } from "./kv_journal.ts"

export const fileName = "keel.db"
export const lockName = "keel.lock"

/** Of one value; Deno KV takes 65,536. */
const partBytesMax = 60_000
/** Of one commit; Deno KV takes 819,200 bytes. */
const partsPerCommit = 10

/** The journal of `<folder>/keel.db`, for this process alone until the scope closes. */
export const openKvEventStore = Effect.fn("openKvEventStore")(
  function* (
    options: { readonly folder: string },
  ): Effect.fn.Return<EventStore, StoreError, Scope.Scope> {
    yield* lockFolder(options.folder, lockName, [fileName])
    const kv = yield* openKvFile(options.folder, fileName)
    const journal = new KvJournal(kv, join(options.folder, fileName))
    // Under the lock nobody else writes: what does not add up is found before the epoch is raised.
    yield* journal.check
    return yield* fencedStore(journal, yield* raiseEpoch(journal))
  },
)

/**
 * Becomes the one writer of a database that others may be writing; they are fenced off. Raises the
 * epoch before it looks, because until then what it looks at may change.
 */
export const takeOver = Effect.fn("takeOver")(
  function* (kv: Deno.Kv, place: string): Effect.fn.Return<EventStore, StoreError> {
    const journal = new KvJournal(kv, place)
    const lease = yield* raiseEpoch(journal)
    yield* journal.check.pipe(
      Effect.catch((error) =>
        Effect.flatMap(journal.lease, ({ versionstamp, n }) => {
          if (versionstamp === lease.fence) return Effect.fail(error)
          // A later writer appended while we looked: that is no damage.
          const reason = new Fenced({ epoch: lease.epoch, by: n })
          return Effect.fail(new StoreError({ place, reason }))
        })
      ),
    )
    return yield* fencedStore(journal, lease)
  },
)

interface Lease {
  readonly epoch: number
  /** Versionstamp of the epoch's row, which changes only when someone else takes over. */
  readonly fence: string
}

const raiseEpoch = Effect.fn("raiseEpoch")(
  function* ({ kv, place, lease }: KvJournal): Effect.fn.Return<Lease, StoreError> {
    const held = yield* lease
    const epoch = held.n + 1
    const result = yield* commit(
      place,
      () =>
        kv.atomic().check({ key: keys.epoch, versionstamp: held.versionstamp })
          .set(keys.epoch, { n: epoch, holder: `pid ${Deno.pid}` })
          .set(keys.schema, schemaVersion),
    )
    if (result.ok) return { epoch, fence: result.versionstamp }
    return yield* new StoreError({ place, reason: new Fenced({ epoch: held.n, by: epoch }) })
  },
)

const fencedStore = Effect.fn("fencedStore")(
  function* (journal: KvJournal, { epoch, fence }: Lease) {
    const { kv, place } = journal
    const appending = yield* Semaphore.make(1)
    // A large snapshot takes several commits, and must not hold up the events.
    const snapshotting = yield* Semaphore.make(1)
    /** Unknown after a commit without a clear outcome: the next use reads it again. */
    let known: number | undefined = yield* journal.head

    const head = Effect.suspend(() =>
      known !== undefined
        ? Effect.succeed(known)
        : Effect.tap(journal.head, (seq) =>
          Effect.sync(() => {
            known = seq
          }))
    )

    const write = Effect.fn("EventStore.write")(
      function* (build: (writes: Deno.AtomicOperation) => Deno.AtomicOperation) {
        const result = yield* commit(
          place,
          () => build(kv.atomic().check({ key: keys.epoch, versionstamp: fence })),
        )
        if (result.ok) return
        const { n } = yield* journal.lease
        return yield* new StoreError({ place, reason: new Fenced({ epoch, by: n }) })
      },
    )

    const append = Effect.fn("EventStore.append")(
      function* (records: ReadonlyArray<StoredRecord>) {
        const before = yield* head
        const bodies = encodeAppend(records, before, epoch)
        if (bodies instanceof Refused) return yield* new StoreError({ place, reason: bodies })
        if (bodies.length === 0) return
        known = undefined
        const after = before + bodies.length
        yield* write((writes) => {
          for (const [index, body] of bodies.entries()) {
            writes.set(keys.event(before + 1 + index), body)
          }
          return writes.set(keys.head, after)
        })
        known = after
      },
      Effect.uninterruptible,
      appending.withPermits(1),
    )

    const saveSnapshot = Effect.fn("EventStore.saveSnapshot")(
      function* (seq: number, value: unknown) {
        const bytes = encodeJson(value)
        const beyond = seq > (yield* head)
        if (bytes === undefined || beyond || !Number.isSafeInteger(seq) || seq < 0) {
          const detail = bytes === undefined
            ? "the snapshot is not JSON"
            : `a snapshot of event ${seq}, which is not stored`
          return yield* new StoreError({ place, reason: new Refused({ detail }) })
        }
        const parts = Math.ceil(bytes.length / partBytesMax)
        const stale = yield* journal.list({ prefix: keys.parts(seq) }, {})
        yield* write((writes) => writes.delete(keys.snapshot(seq)))
        for (let first = 0; first < Math.max(parts, stale.length); first += partsPerCommit) {
          yield* write((writes) => {
            for (let part = first; part < first + partsPerCommit; part++) {
              const at = part * partBytesMax
              if (part < parts) {
                writes.set(keys.part(seq, part), bytes.slice(at, at + partBytesMax))
              } else if (part < stale.length) writes.delete(keys.part(seq, part))
            }
            return writes
          })
        }
        yield* write((writes) => writes.set(keys.snapshot(seq), { parts, bytes: bytes.length }))
        yield* forgetSnapshots
      },
      snapshotting.withPermits(1),
    )

    /** Removes what is older than the newest ones, torn remains included; manifests first. */
    const forgetSnapshots = Effect.gen(function* () {
      const kept = yield* journal.list(
        { prefix: keys.snapshots },
        { reverse: true, limit: limits.snapshotsKept },
      )
      const oldest = kept.at(-1)?.key[2]
      if (oldest === undefined) return
      for (const prefix of [keys.snapshots, keys.allParts]) {
        const rows = yield* journal.list({ prefix, end: [...prefix, oldest] }, {})
        for (let first = 0; first < rows.length; first += limits.appendRecordsMax) {
          yield* write((writes) => {
            for (const { key } of rows.slice(first, first + limits.appendRecordsMax)) {
              writes.delete(key)
            }
            return writes
          })
        }
      }
    })

    const store: EventStore = {
      epoch,
      head,
      append,
      read: journal.read,
      loadSnapshot: journal.loadSnapshot,
      saveSnapshot,
    }
    return store
  },
)
