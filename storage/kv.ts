/**
 * The journal in a Deno KV file.
 *
 * The one idea: opening raises the epoch, and the versionstamp of that one row is checked by every
 * write. A writer that was overtaken can therefore commit nothing, however late it wakes up. Keys
 * are known before the write, so that a retry lands on the same rows.
 *
 *   ["j", stream, seq]                one event
 *   ["head", stream]                  seq of the last one, in the same commit
 *   ["snapshot", stream, seq]         parts and bytes; written last, so a torn one is never seen
 *   ["snap", stream, seq, part]       its pieces
 *   ["lease", "trader", "epoch"]      who writes
 *   ["meta", "schema"]                version of this layout
 *
 * It uses no `sum`, no `expireIn`, no queues and no `watch`.
 */
import { join } from "node:path"
import { Effect, Option, Schema, type Scope, Semaphore } from "effect"
import {
  brokenLink,
  Corrupt,
  decodeRecord,
  encodeAppend,
  encodeJson,
  type EventStore,
  Fenced,
  limits,
  Refused,
  type Snapshot,
  type StoredRecord,
  StoreError,
  Unavailable,
} from "./event_store.ts"
import { attempt, commit, lockFolder, openKvFile } from "./kv_file.ts"

export const fileName = "keel.db"
export const lockName = "keel.lock"

const schemaVersion = 1
/** Of one value; Deno KV takes 65,536. */
const partBytesMax = 60_000
/** Of one commit; Deno KV takes 819,200 bytes. */
const partsPerCommit = 10
/** Rows fetched at a time; larger batches hold the event loop for longer. */
const readBatchSize = 100

const stream = "keel"
const eventKey = (seq: number) => ["j", stream, seq]
const headKey = ["head", stream]
const snapshotKey = (seq: number) => ["snapshot", stream, seq]
const partKey = (seq: number, part: number) => ["snap", stream, seq, part]
const epochKey = ["lease", "trader", "epoch"]
const schemaKey = ["meta", "schema"]

const decodeEpoch = Schema.decodeUnknownOption(
  Schema.Struct({ n: Schema.Int, holder: Schema.String }),
)
const decodeManifest = Schema.decodeUnknownOption(
  Schema.Struct({ parts: Schema.Int, bytes: Schema.Int }),
)

/** The journal of `<folder>/keel.db`, for this process alone until the scope closes. */
export const openKvEventStore = Effect.fn("openKvEventStore")(
  function* (
    options: { readonly folder: string },
  ): Effect.fn.Return<EventStore, StoreError, Scope.Scope> {
    yield* lockFolder(options.folder, lockName, [fileName])
    const kv = yield* openKvFile(options.folder, fileName)
    const journal = new Journal(kv, join(options.folder, fileName))
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
    const journal = new Journal(kv, place)
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
  function* ({ kv, place, lease }: Journal): Effect.fn.Return<Lease, StoreError> {
    const held = yield* lease
    const epoch = held.n + 1
    const result = yield* commit(
      place,
      () =>
        kv.atomic().check({ key: epochKey, versionstamp: held.versionstamp })
          .set(epochKey, { n: epoch, holder: `pid ${Deno.pid}` })
          .set(schemaKey, schemaVersion),
    )
    if (result.ok) return { epoch, fence: result.versionstamp }
    return yield* new StoreError({ place, reason: new Fenced({ epoch: held.n, by: epoch }) })
  },
)

/** What the file holds; reads only. */
class Journal {
  constructor(readonly kv: Deno.Kv, readonly place: string) {}

  readonly list = (selector: Deno.KvListSelector, options: Deno.KvListOptions) =>
    attempt(
      this.place,
      () => Array.fromAsync(this.kv.list(selector, { batchSize: readBatchSize, ...options })),
    )

  /** Who writes; epoch 0 before the first. */
  readonly lease = Effect.suspend(() => attempt(this.place, () => this.kv.get(epochKey))).pipe(
    Effect.map(({ value, versionstamp }) => ({
      n: Option.match(decodeEpoch(value), { onNone: () => 0, onSome: ({ n }) => n }),
      versionstamp,
    })),
  )

  /** The seq that the file claims; every append writes it beside its events. */
  readonly head = Effect.suspend(() => attempt(this.place, () => this.kv.get(headKey))).pipe(
    Effect.flatMap(({ value }) => {
      if (value === null) return Effect.succeed(0)
      return typeof value === "number" && Number.isSafeInteger(value) && value > 0
        ? Effect.succeed(value)
        : corrupt(this.place, "its head is not a sequence number")
    }),
  )

  readonly read = Effect.fn("Journal.read")({ self: this }, function* (
    this: Journal,
    after: number,
    limit: number,
  ): Effect.fn.Return<ReadonlyArray<StoredRecord>, StoreError> {
    if (limit < 1) return []
    const rows = yield* this.list(
      { prefix: ["j", stream], start: eventKey(after + 1) },
      { limit },
    )
    const records: Array<StoredRecord> = []
    for (const { key, value } of rows) {
      const seq = Number(key[2])
      const record = decodeRecord(seq, value)
      if (Option.isNone(record)) return yield* corrupt(this.place, `event ${seq} is unreadable`)
      records.push(record.value)
    }
    return records
  })

  readonly loadSnapshot = Effect.gen({ self: this }, function* () {
    const manifests = yield* this.list(
      { prefix: ["snapshot", stream] },
      { reverse: true, limit: limits.snapshotsKept },
    )
    for (const { key, value } of manifests) {
      const seq = Number(key[2])
      const manifest = decodeManifest(value)
      if (Option.isNone(manifest)) continue
      const rows = yield* this.list({ prefix: ["snap", stream, seq] }, {})
      const snapshot = assemble(seq, manifest.value, rows)
      if (Option.isSome(snapshot)) return snapshot
    }
    return Option.none<Snapshot>()
  })

  /** The journal must add up from its newest snapshot to its head. */
  readonly check = Effect.gen({ self: this }, function* () {
    const schema = yield* attempt(this.place, () => this.kv.get(schemaKey))
    if (schema.value !== null && schema.value !== schemaVersion) {
      const detail = `its layout is version ${schema.value}, this Keel knows ${schemaVersion}; ` +
        "use the Keel that wrote it"
      return yield* new StoreError({ place: this.place, reason: new Unavailable({ detail }) })
    }
    const head = yield* this.head
    const snapshot = yield* this.loadSnapshot
    let last = {
      seq: Option.match(snapshot, { onNone: () => 0, onSome: ({ seq }) => seq }),
      epoch: 0,
    }
    if (last.seq > head) {
      return yield* corrupt(this.place, `its snapshot is of event ${last.seq}, its head ${head}`)
    }
    while (true) {
      const records = yield* this.read(last.seq, 10 * readBatchSize)
      for (const record of records) {
        const broken = brokenLink(last, record)
        if (broken !== undefined) return yield* corrupt(this.place, broken)
        last = record
      }
      if (records.length === 0) break
    }
    if (last.seq !== head) {
      return yield* corrupt(this.place, `its last event is ${last.seq}, its head ${head}`)
    }
    const { n } = yield* this.lease
    if (last.epoch > n) {
      return yield* corrupt(this.place, `its events are of epoch ${last.epoch}, its lease of ${n}`)
    }
  })
}

const fencedStore = Effect.fn("fencedStore")(
  function* (journal: Journal, { epoch, fence }: Lease) {
    const { kv, place } = journal
    const oneAtATime = yield* Semaphore.make(1)
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
          () => build(kv.atomic().check({ key: epochKey, versionstamp: fence })),
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
            writes.set(eventKey(before + 1 + index), body)
          }
          return writes.set(headKey, after)
        })
        known = after
      },
      Effect.uninterruptible,
      oneAtATime.withPermits(1),
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
        const stale = yield* journal.list({ prefix: ["snap", stream, seq] }, {})
        yield* write((writes) => writes.delete(snapshotKey(seq)))
        for (let first = 0; first < Math.max(parts, stale.length); first += partsPerCommit) {
          yield* write((writes) => {
            for (let part = first; part < first + partsPerCommit; part++) {
              const at = part * partBytesMax
              if (part < parts) {
                writes.set(partKey(seq, part), bytes.slice(at, at + partBytesMax))
              } else if (part < stale.length) writes.delete(partKey(seq, part))
            }
            return writes
          })
        }
        yield* write((writes) => writes.set(snapshotKey(seq), { parts, bytes: bytes.length }))
        yield* forgetSnapshots
      },
      oneAtATime.withPermits(1),
    )

    /** Removes what is older than the newest ones, torn remains included; manifests first. */
    const forgetSnapshots = Effect.gen(function* () {
      const kept = yield* journal.list(
        { prefix: ["snapshot", stream] },
        { reverse: true, limit: limits.snapshotsKept },
      )
      const oldest = kept.at(-1)?.key[2]
      if (oldest === undefined) return
      for (const [table, end] of [["snapshot", oldest], ["snap", oldest]] as const) {
        const rows = yield* journal.list({ prefix: [table, stream], end: [table, stream, end] }, {})
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

function assemble(
  seq: number,
  manifest: { readonly parts: number; readonly bytes: number },
  rows: ReadonlyArray<Deno.KvEntry<unknown>>,
): Option.Option<Snapshot> {
  const whole = new Uint8Array(manifest.bytes)
  let size = 0
  for (const { value } of rows) {
    if (!(value instanceof Uint8Array) || size + value.length > whole.length) return Option.none()
    whole.set(value, size)
    size += value.length
  }
  if (rows.length !== manifest.parts || size !== whole.length) return Option.none()
  try {
    return Option.some({ seq, value: JSON.parse(new TextDecoder().decode(whole)) })
  } catch {
    return Option.none()
  }
}

function corrupt(place: string, detail: string): StoreError {
  return new StoreError({ place, reason: new Corrupt({ detail }) })
}
