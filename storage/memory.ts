/**
 * The journal in memory, for tests and simulations.
 *
 * The one idea: what survives a restart is a value of its own, the disk; opening it again is a new
 * writer with a higher epoch, and fences the earlier one off exactly as the file does. It keeps
 * events encoded, so that nobody shares an object with the journal.
 */
import { Effect, Option, type Scope } from "effect"
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
} from "./event_store.ts"

type Bytes = Uint8Array<ArrayBuffer>

/** What is kept between two openings. */
export interface MemoryDisk {
  epoch: number
  /** Bodies by seq - 1. */
  readonly events: Array<Bytes>
  /** Oldest first. */
  snapshots: Array<{ readonly seq: number; readonly body: Bytes }>
}

const place = "memory"

export function emptyDisk(): MemoryDisk {
  return { epoch: 0, events: [], snapshots: [] }
}

/** A journal that begins empty and ends with the process. */
export const openMemoryEventStore: Effect.Effect<EventStore, never, Scope.Scope> = Effect.suspend(
  // An empty disk cannot be corrupt.
  () => Effect.orDie(openMemoryDisk(emptyDisk())),
)

/** Becomes the one writer of `disk`; an earlier one is fenced off. */
export const openMemoryDisk = Effect.fn("openMemoryDisk")(
  function* (disk: MemoryDisk): Effect.fn.Return<EventStore, StoreError> {
    yield* Effect.suspend(() => check(disk))
    disk.epoch += 1
    return memoryStore(disk, disk.epoch)
  },
)

function memoryStore(disk: MemoryDisk, epoch: number): EventStore {
  const fenced = Effect.suspend(() =>
    disk.epoch === epoch ? Effect.void : fail(new Fenced({ epoch, by: disk.epoch }))
  )
  const append = Effect.fn("EventStore.append")(
    function* (records: ReadonlyArray<StoredRecord>) {
      yield* fenced
      const bodies = encodeAppend(records, disk.events.length, epoch)
      if (bodies instanceof Refused) return yield* fail(bodies)
      disk.events.push(...bodies)
    },
  )
  const saveSnapshot = Effect.fn("EventStore.saveSnapshot")(
    function* (seq: number, value: unknown) {
      const body = encodeJson(value)
      if (body === undefined) {
        return yield* fail(new Refused({ detail: "the snapshot is not JSON" }))
      }
      if (!Number.isSafeInteger(seq) || seq < 0 || seq > disk.events.length) {
        const detail = `a snapshot of event ${seq}, which is not stored`
        return yield* fail(new Refused({ detail }))
      }
      yield* fenced
      disk.snapshots = [...disk.snapshots.filter((kept) => kept.seq !== seq), { seq, body }]
        .toSorted((a, b) => a.seq - b.seq)
        .slice(-limits.snapshotsKept)
    },
  )
  return {
    epoch,
    head: Effect.sync(() => disk.events.length),
    append,
    read: (after, limit) => Effect.suspend(() => read(disk, after, limit)),
    loadSnapshot: Effect.sync(() => newestSnapshot(disk)),
    saveSnapshot,
  }
}

function read(
  disk: MemoryDisk,
  after: number,
  limit: number,
): Effect.Effect<ReadonlyArray<StoredRecord>, StoreError> {
  const records: Array<StoredRecord> = []
  for (const [index, body] of disk.events.slice(after, after + Math.max(0, limit)).entries()) {
    const seq = after + index + 1
    const record = decodeRecord(seq, body)
    if (Option.isNone(record)) return fail(new Corrupt({ detail: `event ${seq} is unreadable` }))
    records.push(record.value)
  }
  return Effect.succeed(records)
}

function newestSnapshot(disk: MemoryDisk): Option.Option<Snapshot> {
  const newest = disk.snapshots.at(-1)
  if (newest === undefined) return Option.none()
  return Option.some({ seq: newest.seq, value: JSON.parse(new TextDecoder().decode(newest.body)) })
}

/** The journal must add up from its newest snapshot to its head. */
function check(disk: MemoryDisk): Effect.Effect<void, StoreError> {
  const from = disk.snapshots.at(-1)?.seq ?? 0
  return Effect.flatMap(read(disk, from, disk.events.length), (records) => {
    let last = { seq: from, epoch: 0 }
    for (const record of records) {
      const broken = brokenLink(last, record)
      if (broken !== undefined) return fail(new Corrupt({ detail: broken }))
      last = record
    }
    return Effect.void
  })
}

function fail(reason: StoreError["reason"]): Effect.Effect<never, StoreError> {
  return Effect.fail(new StoreError({ place, reason }))
}
