import assert from "node:assert/strict"
import { Effect } from "effect"
import { Journal } from "../../actors/journal.ts"
import { portfolioKeeperOf } from "../../actors/names.ts"
import { ask, AskError, type ReplyTo } from "../../actors/runtime/mod.ts"
import { type Books, copyBooks } from "../../domain/books.ts"
import { type Decimal, decimal, formatDecimal } from "../../domain/decimal.ts"
import type { Event, JournalRecord } from "../../domain/event.ts"
import { type EventStore, StoreError, Unavailable } from "../../storage/event_store.ts"
import { BTC, ETH, VENUE } from "./fakes.ts"
import { assignment, everySeed, type Keel, paths, World } from "./harness.ts"

const note: Event = { _tag: "ActorRestarted", path: "root/x", cause: "a test", restarts: 1 }

everySeed("journal commits what arrives during a commit together", (world) => {
  const batches: Array<number> = []
  const keel = world.start({ store: slowly(50, batches) }).ready()
  keel.run(2_000)
  batches.length = 0
  for (let i = 0; i < 100; i++) append(keel, [note])
  keel.run(200)
  assert.equal(batches.reduce((sum, each) => sum + each, 0), 100)
  assert.equal(batches.length, 3, `commits of ${batches}`)
  keel.stop()
})

everySeed("journal answers an append only when the store has it", (world) => {
  const keel = world.start({ store: slowly(50, []) }).ready()
  keel.run(2_000)
  const before = world.disk.events.length
  const answers: Array<number> = []
  const { time } = world
  Effect.runFork(time.provide(
    ask(
      keel.system.ref(Journal),
      (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
        ({ _tag: "Append", events: [note, note], after: before, reply }) as const,
      { timeoutMs: 1_000 },
    ).pipe(Effect.map((records) => {
      assert.equal(world.disk.events.length, before + 2)
      answers.push(...records.map(({ seq }) => seq))
    })),
  ))
  keel.run(40)
  assert.deepEqual(answers, [])
  keel.run(40)
  assert.deepEqual(answers, [before + 1, before + 2])
  keel.stop()
})

everySeed("journal answers at once who appends nothing", (world) => {
  const keel = world.start().ready()
  keel.run(2_000)
  const { seq } = keel.books
  const records = keel.ask(
    Journal,
    (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
      ({ _tag: "Append", events: [], after: seq - 1, reply }) as const,
  )
  assert.deepEqual(records.map((each) => each.seq), [seq])
  keel.stop()
})

everySeed("nothing reaches the venue before its intent is durable", (world) => {
  world.venue.drive(500)
  const keel = world.start({ store: slowly(200, []) }).ready()
  keel.run(3_000)
  const durableAtSubmit: Array<boolean> = []
  world.venue.onSubmit = ({ clientOrderId }) => {
    const intents = world.events("OrderSubmitted").map((each) => each.clientOrderId)
    durableAtSubmit.push(intents.includes(clientOrderId))
  }
  keel.signal("enter", BTC)
  keel.signal("enter", ETH)
  keel.run(3_000)
  assert.deepEqual(durableAtSubmit, [true, true])
  keel.stop()
})

everySeed("sequence numbers are dense and times never go back, whoever appends", (world) => {
  world.venue.drive(300)
  const keel = world.start({
    assignments: [assignment("a", BTC), assignment("b", ETH)],
    scripts: { a: onEveryBar, b: onEveryBar },
  }).ready()
  keel.run(20_000)
  keel.stop()
  const records = world.records()
  assert.ok(records.length > 50)
  records.forEach(({ seq, time }, index) => {
    assert.equal(seq, index + 1)
    assert.ok(index === 0 || time >= records[index - 1]!.time)
  })
})

everySeed("a follower that has missed a record starts again from the books", (world) => {
  world.venue.drive(500)
  const keel = world.start().ready()
  keel.run(2_000)
  const { seq } = keel.books
  const missed = { seq: seq + 5, time: world.time.now, epoch: 1, event: note }
  keel.send(portfolioKeeperOf(VENUE), { _tag: "Recorded", records: [missed] })
  keel.run(100)
  const keeper = keel.node(`${paths.account}/portfolio_keeper:${VENUE}`)
  assert.equal(keeper.restarts, 1)
  assert.match(keeper.lastCause ?? "", /journal gap/)
  assert.equal(keel.restarts(paths.risk), 0)
  keel.signal("enter")
  keel.run(20_000)
  const marked = world.events("EquityMarked").at(-1)!
  assert.equal(keel.restarts(`${paths.account}/portfolio_keeper:${VENUE}`), 1)
  assert.notEqual(formatDecimal(marked.total), "100000")
  keel.stop()
})

for (const written of [false, true]) {
  const outcome = written ? "after it was written" : "before it was written"
  everySeed(`a commit that fails ${outcome} restarts the journal and all that follows`, (world) => {
    world.venue.drive(500)
    const fault = { armed: false }
    const keel = world.start({
      assignments: [assignment("a", BTC)],
      store: failing(fault, written),
    }).ready()
    keel.run(3_000)
    fault.armed = true
    append(keel, [note])
    keel.run(2_000)
    assert.equal(keel.restarts(paths.journal), 1)
    assert.match(keel.node(paths.journal).lastCause ?? "", /disk full/)
    for (const path of [paths.executor, paths.feed, paths.operator, paths.alerter]) {
      assert.ok(keel.node(path).startedAt > keel.node("root").startedAt, path)
    }
    keel.ready().run(3_000)
    keel.signal("enter", ETH)
    keel.run(3_000)
    assert.equal(world.events("OrderFilled").length, 1)
    assert.equal(written, world.events("ActorRestarted").some((each) => each.path === note.path))
    world.records().forEach(({ seq }, index) => assert.equal(seq, index + 1))
    assert.equal(text(keel.model.books), text(world.books()))
    keel.stop()
  })
}

everySeed("what runs, what is stored and what a restart reads are one fold", (world) => {
  world.venue.drive(400, () => world.random() - 0.5)
  const options = {
    assignments: [assignment("a", BTC), assignment("b", ETH)],
    scripts: { a: onEveryBar, b: onEveryBar },
  }
  const first = world.start(options).ready()
  first.run(30_000)
  first.run(0)
  assert.equal(text(first.model.books), text(world.books()))
  first.stop()
  const before = copyBooks(world.books())
  const second = world.start(options)
  second.run(0)
  const after = second.model.books
  assert.equal(text(after.positions), text(before.positions))
  assert.equal(text(after.executions), text(before.executions))
  assert.equal(text(after.assignments), text(before.assignments))
  assert.deepEqual(after.intents, before.intents)
  second.ready().run(1_000)
  assert.equal(text(second.model.books), text(world.books()))
  second.stop()
})

everySeed("a burst of long events is written in as many commits as its bytes need", (world) => {
  const batches: Array<number> = []
  const keel = world.start({ store: slowly(50, batches) })
  keel.run(500)
  batches.length = 0
  const long = (index: number): Event => ({
    ...{ _tag: "ActorFailed", path: `root/${index}`, cause: "x".repeat(50_000) },
  })
  append(keel, Array.from({ length: 40 }, (_, index) => long(index)))
  keel.run(2_000)
  assert.equal(keel.restarts(paths.journal), 0)
  assert.equal(world.events("ActorFailed").length, 40)
  assert.ok(batches.length >= 3 && batches.every((each) => each <= 13), batches.join())
  keel.stop()
})

everySeed("an event that fits no books ends its incarnation and stores nothing", (world) => {
  world.venue.drive(500)
  const keel = world.start().ready()
  keel.run(3_000)
  const poison: Event = {
    _tag: "OrderFilled",
    clientOrderId: "keel-nobody-1",
    executionId: "1",
    venueOrderId: "1",
    quantity: decimal("1"),
    price: decimal("1"),
    fee: decimal("0"),
    feeAsset: "USDT",
    executedAt: world.time.now,
  }
  const error = answerOf(keel, [note, poison])
  assert.ok(error instanceof AskError)
  assert.equal(error.reason, "crashed")
  assert.match(error.message, /fill of an unknown order/)
  keel.run(2_000)
  assert.equal(world.events("OrderFilled").length, 0)
  assert.equal(world.events("ActorRestarted").filter(({ path }) => path === note.path).length, 0)
  assert.equal(keel.restarts(paths.journal), 1)
  assert.equal(keel.restarts("root"), 0)
  keel.ready().run(3_000)
  keel.signal("enter")
  keel.run(3_000)
  assert.equal(world.events("OrderFilled").length, 1)
  keel.stop()
})

Deno.test("a journal that a later process has opened takes nothing more from the first", () => {
  const world = new World()
  world.venue.drive(500)
  const first = world.start().ready()
  first.run(1_000)
  const second = world.start()
  const { length } = world.disk.events
  append(first, [note])
  first.run(10)
  assert.equal(world.disk.events.length, length)
  assert.match(first.node(paths.journal).lastCause ?? "", /another writer took over/)
  second.stop()
  first.stop()
})

function onEveryBar(event: { readonly _tag: string }, seen: ReadonlyArray<unknown>) {
  if (event._tag !== "Bar") return undefined
  return {
    intent: seen.length % 4 < 2 ? "enter" : "exit",
    price: decimal("100"),
    reason: "every bar",
  } as const
}

function append(keel: Keel, events: ReadonlyArray<Event>) {
  keel.send(Journal, { _tag: "Append", events, after: 0, reply: undefined })
}

function answerOf(keel: Keel, events: ReadonlyArray<Event>) {
  const { time } = keel.world
  const fiber = Effect.runFork(time.provide(Effect.flip(ask(
    keel.system.ref(Journal),
    (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
      ({ _tag: "Append", events, after: 0, reply }) as const,
    { timeoutMs: 1_000 },
  ))))
  keel.run(100)
  const exit = fiber.pollUnsafe()
  return exit?._tag === "Success" ? exit.value : undefined
}

function slowly(ms: number, batches: Array<number>) {
  return (store: EventStore): EventStore => ({
    ...store,
    append: (records) =>
      Effect.suspend(() => {
        batches.push(records.length)
        return Effect.delay(store.append(records), ms)
      }),
  })
}

function failing(fault: { armed: boolean }, written: boolean) {
  const error = new StoreError({ place: "disk", reason: new Unavailable({ detail: "disk full" }) })
  return (store: EventStore): EventStore => ({
    ...store,
    append: (records) =>
      Effect.suspend(() => {
        if (!fault.armed) return store.append(records)
        fault.armed = false
        return written ? Effect.andThen(store.append(records), error) : Effect.fail(error)
      }),
  })
}

/** Comparable: maps in their order, decimals as text. */
function text(value: Books | ReadonlyMap<string, unknown> | ReadonlySet<string>): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Map || part instanceof Set) return [...part]
    if (isDecimal(part)) return formatDecimal(part)
    return part
  }, 1)
}

function isDecimal(value: unknown): value is Decimal {
  return typeof value === "object" && value !== null && "scale" in value && "value" in value
}
