/**
 * What the journal's Deno KV file holds, and whether it adds up. Reads only.
 *
 *   ["j", stream, seq]                one event
 *   ["head", stream]                  seq of the last one, in the same commit
 *   ["snapshot", stream, seq]         parts and bytes; written last, so a torn one is never seen
 *   ["snap", stream, seq, part]       its pieces
 *   ["lease", "trader", "epoch"]      who writes
 *   ["meta", "schema"]                version of this layout
 */
import { Effect, Option, Schema } from "effect"
import {
  brokenLink,
  Corrupt,
  decodeRecord,
  limits,
  type Snapshot,
  type StoredRecord,
  StoreError,
  Unavailable,
} from "./event_store.ts"
import { attempt } from "./kv_file.ts"

export const schemaVersion = 1
/** Rows fetched at a time; larger batches hold the event loop for longer. */
const readBatchSize = 100

const stream = "keel"
export const keys = {
  events: ["j", stream],
  event: (seq: number) => ["j", stream, seq],
  head: ["head", stream],
  snapshots: ["snapshot", stream],
  snapshot: (seq: number) => ["snapshot", stream, seq],
  parts: (seq: number) => ["snap", stream, seq],
  part: (seq: number, part: number) => ["snap", stream, seq, part],
  allParts: ["snap", stream],
  epoch: ["lease", "trader", "epoch"],
  schema: ["meta", "schema"],
} as const

const decodeEpoch = Schema.decodeUnknownOption(
  Schema.Struct({ n: Schema.Int, holder: Schema.String }),
)
const decodeManifest = Schema.decodeUnknownOption(
  Schema.Struct({ parts: Schema.Int, bytes: Schema.Int }),
)

export class KvJournal {
  constructor(readonly kv: Deno.Kv, readonly place: string) {}

  readonly list = (selector: Deno.KvListSelector, options: Deno.KvListOptions) =>
    attempt(
      this.place,
      () => Array.fromAsync(this.kv.list(selector, { batchSize: readBatchSize, ...options })),
    )

  /** Who writes; epoch 0 before the first. */
  readonly lease = Effect.suspend(() => attempt(this.place, () => this.kv.get(keys.epoch))).pipe(
    Effect.map(({ value, versionstamp }) => ({
      n: Option.match(decodeEpoch(value), { onNone: () => 0, onSome: ({ n }) => n }),
      versionstamp,
    })),
  )

  /** The seq that the file claims; every append writes it beside its events. */
  readonly head = Effect.suspend(() => attempt(this.place, () => this.kv.get(keys.head))).pipe(
    Effect.flatMap(({ value }) => {
      if (value === null) return Effect.succeed(0)
      return typeof value === "number" && Number.isSafeInteger(value) && value > 0
        ? Effect.succeed(value)
        : corrupt(this.place, "its head is not a sequence number")
    }),
  )

  readonly read = Effect.fn("KvJournal.read")({ self: this }, function* (
    this: KvJournal,
    after: number,
    limit: number,
  ): Effect.fn.Return<ReadonlyArray<StoredRecord>, StoreError> {
    if (limit < 1) return []
    const rows = yield* this.list(
      { prefix: keys.events, start: keys.event(after + 1) },
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
      { prefix: keys.snapshots },
      { reverse: true, limit: limits.snapshotsKept },
    )
    for (const { key, value } of manifests) {
      const seq = Number(key[2])
      const manifest = decodeManifest(value)
      if (Option.isNone(manifest)) continue
      const rows = yield* this.list({ prefix: keys.parts(seq) }, {})
      const snapshot = assemble(seq, manifest.value, rows)
      if (Option.isSome(snapshot)) return snapshot
    }
    return Option.none<Snapshot>()
  })

  /** The journal must add up from its newest snapshot to its head. */
  readonly check = Effect.gen({ self: this }, function* () {
    const schema = yield* attempt(this.place, () => this.kv.get(keys.schema))
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

function assemble(
  seq: number,
  manifest: { readonly parts: number; readonly bytes: number },
  rows: ReadonlyArray<Deno.KvEntry<unknown>>,
): Option.Option<Snapshot> {
  const parts = rows.map(({ value }) => value).filter((value) => value instanceof Uint8Array)
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  if (parts.length !== manifest.parts || size !== manifest.bytes) return Option.none()
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  try {
    return Option.some({ seq, value: JSON.parse(new TextDecoder().decode(whole)) })
  } catch {
    return Option.none()
  }
}

function corrupt(place: string, detail: string): StoreError {
  return new StoreError({ place, reason: new Corrupt({ detail }) })
}
