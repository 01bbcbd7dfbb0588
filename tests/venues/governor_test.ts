/** Waiting for one's turn, on virtual time, and bans that outlive the process. */
import assert from "node:assert/strict"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { banFile } from "../../storage/ban_file.ts"
import {
  type Ban,
  type BanStore,
  type BucketSpec,
  type Governor,
  makeGovernor,
  noBanStore,
  type Priority,
} from "../../venues/governor.ts"

const requests: BucketSpec = {
  ...{ name: "requests", limit: 10, windowMs: 60_000 },
  reserve: { cancels: 0.2, trading: 0.2 },
}

/** Noon, so that virtual time is a time. */
const NOON = 1_700_000_000_000

function virtualTest<E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) {
  Deno.test(name, () =>
    Effect.suspend(body).pipe(
      (run) => Effect.andThen(TestClock.setTime(NOON), run),
      Effect.scoped,
      Effect.provide(TestClock.layer()),
      Effect.runPromise,
    ))
}

/** In small steps, so that every fiber sees the times in between. */
const pass = (ms: number) =>
  Effect.repeat(
    Effect.andThen(
      TestClock.adjust(250),
      Effect.repeat(Effect.yieldNow, { times: 20 }),
    ),
    { times: Math.max(0, Math.ceil(ms / 250) - 1) },
  )

const governorOf = (bans: BanStore = noBanStore, buckets = [requests]) =>
  makeGovernor({ venue: "anywhere", buckets, bans })

const spending = (priority: Priority, maxWaitMs = 0, cost = 1) => ({
  ...{ priority, maxWaitMs },
  cost: { requests: cost },
})

const fill = (governor: Governor, cost: number) => governor.spend(spending("cancel", 0, cost))
const used = (governor: Governor) => governor.usage()[0]!.used

/** Who has had its turn, in order. */
const inTurn = (governor: Governor) => {
  const done: Array<string> = []
  const ask = (name: string, priority: Priority, maxWaitMs = 120_000, cost = 1) =>
    Effect.forkScoped(Effect.andThen(
      governor.spend(spending(priority, maxWaitMs, cost)),
      Effect.sync(() => void done.push(name)),
    ))
  return { done, ask }
}

virtualTest(
  "spend() passes at once while there is room, and counts",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      yield* governor.spend(spending("data"))
      yield* governor.spend(spending("order", 0, 3))
      assert.equal(used(governor), 4)
      assert.equal(governor.usage()[0]!.resetsAt, NOON + 60_000)
    }),
)

virtualTest(
  "what does not fit and may not wait is Throttled, with when to come back",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      yield* fill(governor, 8)
      const error = yield* Effect.flip(governor.spend(spending("order")))
      assert.deepEqual([error.status, error.retryAfterMs, error.sent], [429, 60_000, false])
      assert.equal(used(governor), 8, "what was turned away costs nothing")
      assert.equal(governor.usage()[0]!.waiting, 0)
    }),
)

virtualTest("a wait that cannot end in time is not begun", () =>
  Effect.gen(function* () {
    const governor = yield* governorOf()
    yield* fill(governor, 8)
    const fiber = yield* Effect.forkScoped(Effect.flip(governor.spend(spending("order", 5_000))))
    yield* pass(250)
    assert.equal((yield* Fiber.join(fiber)).retryAfterMs, 60_000)
  }))

virtualTest(
  "who waits goes as soon as there is room: cancels, orders, reconciling, data",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      yield* fill(governor, 10)
      const { done, ask } = inTurn(governor)
      yield* ask("data", "data")
      yield* ask("reconcile", "reconcile")
      yield* ask("first order", "order")
      yield* ask("second order", "order")
      yield* ask("cancel", "cancel")
      yield* pass(59_000)
      assert.deepEqual(done, [])
      yield* pass(2_000)
      assert.deepEqual(done, ["cancel", "first order", "second order", "reconcile", "data"])
    }),
)

virtualTest(
  "a cancel goes at once while orders and data wait for room",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      yield* fill(governor, 8)
      const { done, ask } = inTurn(governor)
      yield* ask("order", "order")
      yield* ask("data", "data")
      yield* ask("cancel", "cancel")
      yield* pass(250)
      assert.deepEqual(done, ["cancel"])
    }),
)

virtualTest(
  "small requests do not starve a large one that came before them",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      yield* fill(governor, 4)
      const { done, ask } = inTurn(governor)
      yield* ask("large", "order", 120_000, 6)
      for (let at = 0; at < 4; at++) yield* ask(`small ${at}`, "order")
      yield* pass(1_000)
      assert.deepEqual(done, [])
      yield* pass(60_000)
      // Eight for all of them: the large one's six, and the first two that came after it.
      assert.deepEqual(done.toSorted(), ["large", "small 0", "small 1"])
    }),
)

virtualTest(
  "a fiber that is interrupted gives up its place, and what it had taken still counts",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      const running = yield* Effect.forkScoped(governor.run(spending("order", 0, 7), Effect.never))
      yield* pass(250)
      const waiting = yield* Effect.forkScoped(governor.spend(spending("order", 120_000, 2)))
      const { done, ask } = inTurn(governor)
      yield* ask("behind", "order", 120_000)
      yield* pass(250)
      assert.equal(governor.usage()[0]!.waiting, 2)
      yield* Fiber.interrupt(waiting)
      yield* pass(250)
      assert.deepEqual(done, ["behind"])
      yield* Fiber.interrupt(running)
      assert.equal(used(governor), 8)
      yield* pass(62_000)
      assert.equal(used(governor), 0)
    }),
)

virtualTest(
  "the venue's own count and limit hold where they are stricter",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      governor.correct("requests", 8, 30_000)
      assert.equal((yield* Effect.flip(governor.spend(spending("order")))).retryAfterMs, 30_000)
      governor.correct("requests", 0)
      assert.equal(used(governor), 8)
      governor.limit("requests", 20)
      yield* governor.spend(spending("order"))
      governor.limit("requests", 5)
      assert.equal((yield* Effect.flip(governor.spend(spending("cancel")))).sent, false)
    }),
)

virtualTest("a raised limit lets go who waits", () =>
  Effect.gen(function* () {
    const governor = yield* governorOf()
    yield* fill(governor, 10)
    const { done, ask } = inTurn(governor)
    yield* ask("order", "order")
    yield* pass(250)
    governor.limit("requests", 20)
    yield* pass(250)
    assert.deepEqual(done, ["order"])
  }))

virtualTest(
  "during a ban nothing goes, cancels included, and nobody waits for its end",
  () =>
    Effect.gen(function* () {
      const governor = yield* governorOf()
      yield* governor.ban(NOON + 120_000, { status: 418 })
      const error = yield* Effect.flip(governor.spend(spending("cancel")))
      assert.deepEqual([error.status, error.retryAfterMs, error.sent], [418, 120_000, false])
      const patient = yield* Effect.flip(governor.spend(spending("cancel", 130_000)))
      assert.equal(patient.retryAfterMs, 120_000)
      yield* pass(119_000)
      yield* Effect.flip(governor.spend(spending("cancel")))
      assert.equal(governor.usage()[0]!.bannedUntil, NOON + 120_000)
      yield* pass(1_500)
      yield* governor.spend(spending("cancel"))
      assert.equal(governor.usage()[0]!.bannedUntil, undefined)
    }),
)

virtualTest(
  "a governor that starts inside a ban is silent until its end",
  () =>
    Effect.gen(function* () {
      let stored: ReadonlyArray<Ban> = []
      const bans: BanStore = {
        load: Effect.sync(() => stored),
        save: (next) => Effect.sync(() => void (stored = next)),
      }
      yield* (yield* governorOf(bans)).ban(NOON + 600_000, { status: 418, buckets: ["requests"] })
      yield* pass(60_000)
      const restarted = yield* governorOf(bans)
      const error = yield* Effect.flip(restarted.spend(spending("cancel")))
      assert.deepEqual([error.status, error.retryAfterMs], [418, 540_000])
      yield* TestClock.adjust(540_000)
      yield* restarted.spend(spending("cancel"))
      yield* (yield* governorOf(bans)).spend(spending("cancel"))
    }),
)

virtualTest(
  "bans that cannot be read or written do not stop anything",
  () =>
    Effect.gen(function* () {
      const broken: BanStore = {
        load: Effect.fail({ message: "the disk is gone" }),
        save: () => Effect.fail({ message: "the disk is gone" }),
      }
      const governor = yield* governorOf(broken)
      yield* governor.ban(NOON + 1_000)
      assert.equal((yield* Effect.flip(governor.spend(spending("data")))).status, 429)
    }),
)

virtualTest(
  "several buckets that count one unit all have to have room",
  () =>
    Effect.gen(function* () {
      const orders = (name: string, limit: number, windowMs: number) => ({
        ...{ name, counts: "orders", limit, windowMs },
      })
      const governor = yield* governorOf(noBanStore, [
        requests,
        orders("orders_10s", 2, 10_000),
        orders("orders_1d", 3, 86_400_000),
      ])
      const order = { priority: "order" as const, maxWaitMs: 0, cost: { requests: 1, orders: 1 } }
      yield* governor.spend(order)
      yield* governor.spend(order)
      assert.equal((yield* Effect.flip(governor.spend(order))).retryAfterMs, 10_000)
      yield* pass(10_500)
      yield* governor.spend(order)
      assert.ok((yield* Effect.flip(governor.spend(order))).retryAfterMs > 80_000_000)
      yield* governor.spend(spending("data"))
    }),
)

Deno.test("a ban file keeps what was saved, and begins empty", async () => {
  const folder = await Deno.makeTempDir()
  const store = banFile(`${folder}/data/bans/binance.json`)
  const bans: ReadonlyArray<Ban> = [{ bucket: "weight", untilMs: NOON, status: 418 }]
  assert.deepEqual(await Effect.runPromise(store.load), [])
  await Effect.runPromise(store.save([...bans, ...bans, ...bans]))
  await Effect.runPromise(store.save(bans))
  assert.deepEqual(await Effect.runPromise(store.load), bans)
  await Deno.writeTextFile(`${folder}/data/bans/binance.json`, '[{"bucket":')
  const error = await Effect.runPromise(Effect.flip(store.load))
  assert.match(error.message, /binance\.json is damaged: it is not a list of bans/)
  await Deno.remove(folder, { recursive: true })
})
