/**
 * The journal's port: an ordered, durable list of events, with snapshots to start from.
 *
 * The one idea: a store accepts exactly the next dense sequence numbers from exactly one writer.
 * Whoever opens it later has a higher epoch, and from then on every write of the earlier one is
 * refused. It knows nothing of what an event means, and never repairs: a journal that does not add
 * up is an error for people, not a guess.
 */
import { Effect, Option, Schema } from "effect"

/** One journal event as stored; `event` is the already encoded, JSON-ready value. */
export interface StoredRecord {
  /** Dense from 1. */
  readonly seq: number
  /** Epoch milliseconds, of the writer. */
  readonly time: number
  /** Of the writer that appended it. */
  readonly epoch: number
  readonly event: unknown
}

export interface Snapshot {
  /** Of the last event contained. */
  readonly seq: number
  readonly value: unknown
}

export interface EventStore {
  /** Epoch of this writer: grows by one at each opening; every write is fenced with it. */
  readonly epoch: number
  /** Sequence number of the last stored event, 0 when empty. */
  readonly head: Effect.Effect<number, StoreError>
  /**
   * Appends records whose seqs are already assigned: head + 1, head + 2, ... One atomic commit,
   * durable when it returns; at most `limits.appendRecordsMax` records of
   * `limits.recordBytesMax` bytes. `Refused` and `Fenced` write nothing. After `Unavailable` the
   * outcome is unknown: read `head` again before the next append.
   */
  readonly append: (records: ReadonlyArray<StoredRecord>) => Effect.Effect<void, StoreError>
  /** Ascending, seq > `after`, at most `limit`. */
  readonly read: (
    after: number,
    limit: number,
  ) => Effect.Effect<ReadonlyArray<StoredRecord>, StoreError>
  /** The newest complete snapshot; one that was torn by a crash does not exist. */
  readonly loadSnapshot: Effect.Effect<Option.Option<Snapshot>, StoreError>
  /** `seq` must not be beyond the head; any JSON-ready value, of any size. Keeps the newest two. */
  readonly saveSnapshot: (seq: number, value: unknown) => Effect.Effect<void, StoreError>
}

/** What every store holds its callers to, whatever it could do itself. */
export const limits = {
  appendRecordsMax: 500,
  /** Of one record, encoded. */
  recordBytesMax: 60_000,
  /** Of all records of one append, encoded. */
  appendBytesMax: 700_000,
  snapshotsKept: 2,
} as const

/** The store cannot be reached or written; the outcome of a write is unknown. */
export class Unavailable
  extends Schema.TaggedError<Unavailable>()("Unavailable", { detail: Schema.String }) {}

/** What is stored is not what a store writes. */
export class Corrupt extends Schema.TaggedError<Corrupt>()("Corrupt", { detail: Schema.String }) {}

/** A later writer has opened the store; `by` is its epoch. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", {
  epoch: Schema.Int,
  by: Schema.Int,
}) {}

/** Another process has the folder; `holder` says which, as far as it is known. */
export class Locked extends Schema.TaggedError<Locked>()("Locked", { holder: Schema.String }) {}

/** The call broke the contract; nothing was written. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { detail: Schema.String }) {}

/** One line for people: where, what, and what to do. */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  /** File or folder as the operator named it. */
  place: Schema.String,
  reason: Schema.Union([Unavailable, Corrupt, Fenced, Locked, Refused]),
}) {
  override get message(): string {
    return inWords(this.place, this.reason)
  }
}

function inWords(place: string, reason: StoreError["reason"]): string {
  switch (reason._tag) {
    case "Unavailable":
      return `${place}: ${reason.detail}`
    case "Corrupt":
      return `${place} is damaged: ${reason.detail}; nothing was changed: ` +
        "restore a backup, or move the file away to start empty"
    case "Fenced":
      return `${place}: another writer took over (its epoch ${reason.by}, ` +
        `this one's ${reason.epoch}); this process must stop`
    case "Locked":
      return `another Keel is using ${place} (${reason.holder}); ` +
        "stop it, or choose another folder with --data"
    case "Refused":
      return `${place}: refused, nothing was written: ${reason.detail}`
  }
}

const utf8 = new TextEncoder()

/** A value as the bytes of its JSON; `undefined` where it has none. */
export function encodeJson(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  const text: string | undefined = JSON.stringify(value)
  return text === undefined ? undefined : utf8.encode(text)
}

const decodeBody = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ time: Schema.Finite, epoch: Schema.Int, event: Schema.Unknown }),
  ),
)
const text = new TextDecoder("utf-8", { fatal: true })

/** What is stored of a record besides its seq, which is its key. */
export function decodeRecord(seq: number, bytes: unknown): Option.Option<StoredRecord> {
  if (!(bytes instanceof Uint8Array)) return Option.none()
  try {
    return Option.map(decodeBody(text.decode(bytes)), (body) => ({ seq, ...body }))
  } catch {
    return Option.none()
  }
}

/** The bodies to store, in order, or why the append breaks the contract. */
export function encodeAppend(
  records: ReadonlyArray<StoredRecord>,
  head: number,
  epoch: number,
): ReadonlyArray<Uint8Array<ArrayBuffer>> | Refused {
  const refused = (detail: string) => new Refused({ detail })
  if (records.length > limits.appendRecordsMax) {
    return refused(`${records.length} records in one append, at most ${limits.appendRecordsMax}`)
  }
  let total = 0
  const bodies: Array<Uint8Array<ArrayBuffer>> = []
  for (const record of records) {
    const expected = head + bodies.length + 1
    if (record.seq !== expected) return refused(`seq ${record.seq} where ${expected} is next`)
    if (record.epoch !== epoch) {
      return refused(`seq ${record.seq} has epoch ${record.epoch}, this writer's is ${epoch}`)
    }
    if (!Number.isFinite(record.time)) return refused(`seq ${record.seq} has no time`)
    const { time, event } = record
    const body = event === undefined ? undefined : encodeJson({ time, epoch, event })
    if (body === undefined) return refused(`seq ${record.seq} is not JSON`)
    if (body.length > limits.recordBytesMax) {
      return refused(`seq ${record.seq} has ${body.length} bytes, at most ${limits.recordBytesMax}`)
    }
    total += body.length
    bodies.push(body)
  }
  if (total > limits.appendBytesMax) {
    return refused(`${total} bytes in one append, at most ${limits.appendBytesMax}`)
  }
  return bodies
}

/** What is wrong between two neighbours of the journal, or `undefined`. */
export function brokenLink(
  previous: { readonly seq: number; readonly epoch: number },
  next: StoredRecord,
): string | undefined {
  if (next.seq !== previous.seq + 1) return `event ${previous.seq + 1} is missing`
  if (next.epoch < previous.epoch) {
    return `event ${next.seq} has epoch ${next.epoch} after epoch ${previous.epoch}`
  }
}
