/** One suite for every store: what the port promises, and nothing that only one of them does. */
import assert from "node:assert/strict"
import { Effect, Option, type Scope } from "effect"
import fc from "fast-check"
import {
  type EventStore,
  limits,
  type StoredRecord,
  StoreError,
} from "../../storage/event_store.ts"
import { takeOver } from "../../storage/kv.ts"
import { emptyDisk, openMemoryDisk, openMemoryEventStore } from "../../storage/memory.ts"

/** Something that survives; each `open` of it is one process that starts. */
interface Medium {
  readonly open: Effect.Effect<EventStore, StoreError, Scope.Scope>
}

const media: Record<string, Effect.Effect<Medium, never, Scope.Scope>> = {
  memory: Effect.sync(() => {
    const disk = emptyDisk()
    return { open: openMemoryDisk(disk) }
  }),
  kv: Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => Deno.openKv(":memory:")),
      (kv) => Effect.sync(() => kv.close()),
    ),
    (kv) => ({ open: takeOver(kv, "keel.db") }),
  ),
}

function each(
  name: string,
  body: (medium: Medium) => Effect.Effect<void, StoreError, Scope.Scope>,
): void {
  for (const [kind, medium] of Object.entries(media)) {
    Deno.test(
      `${kind} store ${name}`,
      () => Effect.runPromise(Effect.scoped(Effect.flatMap(medium, body))),
    )
  }
}

function records(store: EventStore, after: number, count: number): Array<StoredRecord> {
  return Array.from({ length: count }, (_, index) => ({
    seq: after + index + 1,
    time: 1_700_000_000_000 + after + index,
    epoch: store.epoch,
    event: { _tag: "Noted", text: `event ${after + index + 1}` },
  }))
}

const failure = <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<StoreError> =>
  Effect.flip(effect).pipe(Effect.catch(() => Effect.die("it was accepted")))

each("is empty at first", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    assert.equal(store.epoch, 1)
    assert.equal(yield* store.head, 0)
    assert.deepEqual(yield* store.read(0, 10), [])
    assert.deepEqual(yield* store.loadSnapshot, Option.none())
  }))

each("gives back what was appended, in order and in pages", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    const written = records(store, 0, 7)
    yield* store.append(written.slice(0, 4))
    yield* store.append(written.slice(4))
    assert.equal(yield* store.head, 7)
    assert.deepEqual(yield* store.read(0, 100), written)
    assert.deepEqual(yield* store.read(2, 3), written.slice(2, 5))
    assert.deepEqual(yield* store.read(7, 3), [])
    assert.deepEqual(yield* store.read(0, 0), [])
  }))

each("takes an empty append for nothing", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    yield* store.append([])
    assert.equal(yield* store.head, 0)
  }))

each(
  "keeps events and raises the epoch when it is opened again",
  (medium) =>
    Effect.gen(function* () {
      const first = yield* medium.open
      const old = records(first, 0, 3)
      yield* first.append(old)
      const second = yield* medium.open
      assert.equal(second.epoch, first.epoch + 1)
      const fresh = records(second, 3, 2)
      yield* second.append(fresh)
      assert.deepEqual(yield* second.read(0, 10), [...old, ...fresh])
    }),
)

each("refuses every write of a writer that was overtaken", (medium) =>
  Effect.gen(function* () {
    const first = yield* medium.open
    yield* first.append(records(first, 0, 1))
    const second = yield* medium.open
    for (const write of [first.append(records(first, 1, 1)), first.saveSnapshot(1, {})]) {
      const error = yield* failure(write)
      assert.equal(error.reason._tag, "Fenced")
      assert.match(error.message, /another writer took over \(its epoch 2, this one's 1\)/)
    }
    assert.equal(yield* second.head, 1)
    assert.deepEqual(yield* second.loadSnapshot, Option.none())
    yield* second.append(records(second, 1, 1))
  }))

each(
  "refuses a gap, a repeat and a foreign epoch, and writes nothing of them",
  (medium) =>
    Effect.gen(function* () {
      const store = yield* medium.open
      const good = records(store, 0, 3)
      yield* store.append(good)
      const [a, b, c] = records(store, 3, 3)
      assert.ok(a && b && c)
      const bad: Array<[ReadonlyArray<StoredRecord>, RegExp]> = [
        [[b], /seq 5 where 4 is next/],
        [[a, c], /seq 6 where 5 is next/],
        [[a, a], /seq 4 where 5 is next/],
        [good, /seq 1 where 4 is next/],
        [[a, { ...b, epoch: store.epoch + 1 }], /seq 5 has epoch 2, this writer's is 1/],
        [[a, { ...b, time: NaN }], /seq 5 has no time/],
        [[{ ...a, event: undefined }], /seq 4 is not JSON/],
      ]
      for (const [attempted, says] of bad) {
        const error = yield* failure(store.append(attempted))
        assert.equal(error.reason._tag, "Refused")
        assert.match(error.message, says)
      }
      assert.equal(yield* store.head, 3)
      assert.deepEqual(yield* store.read(0, 10), good)
    }),
)

each("takes the most that it promises, and refuses more", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    const most = limits.appendRecordsMax
    yield* store.append(records(store, 0, most))
    assert.equal(yield* store.head, most)
    const many = yield* failure(store.append(records(store, most, most + 1)))
    assert.match(many.message, /501 records in one append, at most 500/)

    const wide = (bytes: number, count: number) =>
      records(store, most, count).map((record) => ({ ...record, event: "x".repeat(bytes) }))
    const large = yield* failure(store.append(wide(limits.recordBytesMax, 1)))
    assert.match(large.message, /seq 501 has \d+ bytes, at most 60000/)
    const heavy = yield* failure(store.append(wide(50_000, 14)))
    assert.match(heavy.message, /bytes in one append, at most 700000/)
    yield* store.append(wide(49_000, 14))
    assert.equal(yield* store.head, most + 14)
  }))

each("shares no object with its callers", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    const event = { list: [1, 2] }
    yield* store.append([{ seq: 1, time: 1, epoch: store.epoch, event }])
    event.list.push(3)
    const [record] = yield* store.read(0, 1)
    assert.deepEqual(record?.event, { list: [1, 2] })
  }))

each("gives back the newest snapshot, however large", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    yield* store.append(records(store, 0, 5))
    for (const bytes of [0, 10, 59_998, 59_999, 1_300_000]) {
      const value = { text: "é".repeat(bytes / 2), seq: bytes }
      yield* store.saveSnapshot(4, value)
      assert.deepEqual(yield* store.loadSnapshot, Option.some({ seq: 4, value }))
    }
    yield* store.saveSnapshot(4, "shorter again")
    assert.deepEqual(yield* store.loadSnapshot, Option.some({ seq: 4, value: "shorter again" }))
    yield* store.saveSnapshot(5, [5])
    yield* store.saveSnapshot(3, [3])
    assert.deepEqual(yield* store.loadSnapshot, Option.some({ seq: 5, value: [5] }))
    const reopened = yield* medium.open
    assert.deepEqual(yield* reopened.loadSnapshot, Option.some({ seq: 5, value: [5] }))
  }))

each("takes events while a large snapshot is written", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    yield* store.append(records(store, 0, 1))
    const value = "x".repeat(2_000_000)
    const appends = Effect.gen(function* () {
      for (let after = 1; after < 20; after++) yield* store.append(records(store, after, 1))
    })
    yield* Effect.all([store.saveSnapshot(1, value), appends], { concurrency: 2 })
    assert.equal(yield* store.head, 20)
    assert.deepEqual(yield* store.loadSnapshot, Option.some({ seq: 1, value }))
  }))

each("refuses a snapshot of events that are not there", (medium) =>
  Effect.gen(function* () {
    const store = yield* medium.open
    const beyond = yield* failure(store.saveSnapshot(1, {}))
    assert.match(beyond.message, /a snapshot of event 1, which is not stored/)
    const shapeless = yield* failure(store.saveSnapshot(0, undefined))
    assert.match(shapeless.message, /the snapshot is not JSON/)
    assert.deepEqual(yield* store.loadSnapshot, Option.none())
  }))

each(
  "gives concurrent appends one order: those that lost it are refused",
  (medium) =>
    Effect.gen(function* () {
      const store = yield* medium.open
      const outcomes = yield* Effect.all(
        Array.from({ length: 10 }, () => Effect.exit(store.append(records(store, 0, 2)))),
        { concurrency: "unbounded" },
      )
      assert.equal(outcomes.filter((exit) => exit._tag === "Success").length, 1)
      assert.equal(yield* store.head, 2)
    }),
)

for (const [kind, medium] of Object.entries(media)) {
  Deno.test(`${kind} store is a dense list whatever is appended, reopened and read`, async () => {
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant("append" as const),
        events: fc.array(fc.jsonValue(), { maxLength: 9 }),
      }),
      fc.record({ kind: fc.constant("read" as const), after: fc.nat(30), limit: fc.nat(12) }),
      fc.record({ kind: fc.constant("reopen" as const) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 20 }),
        (operations) =>
          Effect.runPromise(Effect.scoped(Effect.gen(function* () {
            const { open } = yield* medium
            let store = yield* open
            const model: Array<StoredRecord> = []
            for (const [step, act] of operations.entries()) {
              if (act.kind === "reopen") store = yield* open
              else if (act.kind === "append") {
                const added = act.events.map((event, index) => ({
                  seq: model.length + 1 + index,
                  time: step,
                  epoch: store.epoch,
                  // JSON has one zero.
                  event: JSON.parse(JSON.stringify(event)) as unknown,
                }))
                yield* store.append(added)
                model.push(...added)
              } else {
                const expected = model.slice(act.after, act.after + act.limit)
                assert.deepEqual(yield* store.read(act.after, act.limit), expected)
              }
              assert.equal(yield* store.head, model.length)
            }
            assert.deepEqual(yield* store.read(0, model.length + 1), model)
          }))),
      ),
      { numRuns: 60 },
    )
  })
}

Deno.test("openMemoryEventStore() begins empty each time", () =>
  Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const first = yield* openMemoryEventStore
    yield* first.append(records(first, 0, 1))
    const second = yield* openMemoryEventStore
    assert.equal(yield* second.head, 0)
    assert.equal(yield* first.head, 1)
  }))))
