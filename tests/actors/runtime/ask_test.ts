/** Cases 43 and 44: questions, and watching. */
import assert from "node:assert/strict"
import { Effect, Fiber } from "effect"
import {
  actorName,
  type ActorRef,
  ask,
  AskError,
  behavior,
  type DeadLetter,
  type Down,
  type ReplyTo,
  stop,
} from "../../../actors/runtime/mod.ts"
import { actor, boot, named } from "./tree.ts"
import { settled, testActors, type World } from "./world.ts"

interface Question {
  readonly verb: "double" | "keep" | "answer kept" | "crash" | "refuse" | "end" | "slow"
  readonly n: number
  readonly reply: ReplyTo<number>
}
const oracle = actorName<Question>("oracle")

function oracleBehavior(capacity = 100) {
  return behavior<Array<ReplyTo<number>>, Question>({
    name: oracle.id,
    mailbox: { capacity, overflow: "reject" },
    restart: "transient",
    init: () => [],
    receive: (kept, { verb, n, reply }) => {
      switch (verb) {
        case "double":
          reply.succeed(2 * n)
          return kept
        case "keep":
          return [...kept, reply]
        case "answer kept":
          kept.forEach((kept, index) => kept.succeed(index))
          reply.succeed(n)
          return []
        case "refuse":
          reply.fail(new Error("not today"))
          return kept
        case "slow":
          return Effect.as(
            Effect.andThen(Effect.sleep(20), Effect.sync(() => reply.succeed(n))),
            kept,
          )
        case "end":
          return stop()
        case "crash":
          throw new Error("crash")
      }
    },
  })
}

const asking = (ref: ActorRef<Question>) => (verb: Question["verb"], n = 0, timeoutMs = 1_000) =>
  ask(ref, (reply: ReplyTo<number>) => ({ verb, n, reply }), { timeoutMs })

const setUp = Effect.fnUntraced(function* (world: World, capacity?: number) {
  const system = yield* boot(world, [oracleBehavior(capacity)])
  const letters: Array<DeadLetter> = []
  system.onDeadLetter((letter) => letters.push(letter))
  const ref = system.ref(oracle)
  return { system, letters, ref, question: asking(ref) }
})

const failure = Effect.fnUntraced(function* (question: Effect.Effect<number, AskError>) {
  const error = yield* Effect.flip(question)
  assert.ok(error instanceof AskError)
  return error
})

testActors("case 43: a question is answered", (world) =>
  Effect.gen(function* () {
    const { question } = yield* setUp(world)
    assert.equal(yield* question("double", 21), 42)
    assert.deepEqual(
      yield* Effect.all([question("double", 1), question("double", 2)], {
        concurrency: "unbounded",
      }),
      [2, 4],
    )
  }))

testActors("case 43: the callee's own failure is the asker's", (world) =>
  Effect.gen(function* () {
    const { question, system } = yield* setUp(world)
    const error = yield* failure(question("refuse"))
    assert.equal(error.reason, "failed")
    assert.equal(error.message, "asking root/oracle: failed: Error: not today")
    assert.equal(system.tree().children[0]?.restarts, 0)
  }))

testActors(
  "case 43: an answer that does not come in time; when it comes it is a dead letter",
  (world) =>
    Effect.gen(function* () {
      const { question, letters } = yield* setUp(world)
      const error = yield* failure(question("slow", 7, 5))
      assert.equal(error.reason, "timeout")
      yield* Effect.sleep(30)
      assert.deepEqual(letters.map(({ reason, message }) => ({ reason, message })), [
        { reason: "late_reply", message: 7 },
      ])
    }),
)

testActors(
  "case 43: asking the dead, or nobody, fails at once",
  (world) =>
    Effect.gen(function* () {
      const { question, system } = yield* setUp(world)
      assert.equal((yield* failure(question("end"))).reason, "dead")
      yield* settled(system)
      assert.equal((yield* failure(question("double", 1, 1e9))).reason, "dead")
      const nobody = asking(system.ref(actorName<Question>("nobody")))
      assert.equal((yield* failure(nobody("double", 1, 1e9))).reason, "dead")
    }),
)

testActors(
  "case 43: when the callee crashes on it, the question fails at once, with the cause",
  (world) =>
    Effect.gen(function* () {
      const { question } = yield* setUp(world)
      const error = yield* failure(question("crash", 0, 1e9))
      assert.equal(error.reason, "crashed")
      assert.equal(error.message, "asking root/oracle: crashed: Error: crash")
    }),
)

testActors(
  "case 43: a kept question is answered later, and fails when that incarnation crashes; queued ones live on",
  (world) =>
    Effect.gen(function* () {
      const { question, ref } = yield* setUp(world)
      const kept = yield* Effect.forkChild(
        Effect.all([question("keep"), question("keep")], { concurrency: "unbounded" }),
      )
      yield* Effect.sleep(2)
      yield* question("answer kept")
      assert.deepEqual(yield* Fiber.join(kept), [0, 1])

      const lost = yield* Effect.forkChild(Effect.flip(question("keep", 0, 1e9)))
      yield* Effect.sleep(2)
      const slow = yield* Effect.forkChild(question("slow", 5))
      yield* Effect.sleep(2)
      ref.send({ verb: "crash", n: 0, reply: { succeed() {}, fail() {} } })
      const queued = yield* Effect.forkChild(question("double", 4))
      assert.equal(yield* Fiber.join(slow), 5)
      assert.equal((yield* Fiber.join(lost)).reason, "crashed")
      assert.equal(yield* Fiber.join(queued), 8)
    }),
)

testActors("case 43: a full mailbox rejects the question", (world) =>
  Effect.gen(function* () {
    const { question, ref } = yield* setUp(world, 1)
    const slow = yield* Effect.forkChild(question("slow", 1))
    yield* Effect.sleep(2)
    ref.send({ verb: "double", n: 0, reply: { succeed() {}, fail() {} } })
    assert.equal((yield* failure(question("double"))).reason, "rejected")
    yield* Fiber.join(slow)
  }))

testActors(
  "case 43: an asker that is interrupted leaves nothing behind",
  (world) =>
    Effect.gen(function* () {
      const { question, system, letters } = yield* setUp(world)
      const asker = yield* Effect.forkChild(question("slow", 3, 1e9))
      yield* Effect.sleep(2)
      yield* Fiber.interrupt(asker)
      yield* Effect.sleep(30)
      yield* settled(system)
      assert.deepEqual(letters.map(({ reason }) => reason), ["late_reply"])
      assert.equal(yield* question("double", 2), 4)
    }),
)

testActors(
  "case 43: actors can ask each other in their handlers",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<number> = []
      const system = yield* boot(world, [
        oracleBehavior(),
        actor({ name: "asker" }, (word, self) =>
          Effect.map(asking(self.ref(oracle))("double", Number(word)), (n) =>
            void heard.push(n))),
      ])
      for (const word of ["1", "2", "3"]) {
        system.ref(named("asker")).send(word)
      }
      yield* settled(system)
      assert.deepEqual(heard, [2, 4, 6])
    }),
)

interface Watching {
  readonly verb: "watch" | "unwatch" | "down" | "wait"
  readonly down?: Down
}
const watcher = actorName<Watching>("watcher")

function watching(name: string, downs: Array<Down>, before: () => void = () => {}) {
  let demonitor = () => {}
  return behavior<void, Watching>({
    name: watcher.id,
    mailbox: { capacity: 2, overflow: "reject" },
    restart: "permanent",
    init: () => {},
    receive: (_, { verb, down }, self) => {
      if (verb === "watch") {
        const monitor = self.monitor(self.ref(named(name)), (down) => ({ verb: "down", down }))
        demonitor = () => monitor.demonitor()
      } else if (verb === "unwatch") {
        before()
        demonitor()
      } else if (verb === "wait") return Effect.sleep(5)
      else if (down !== undefined) downs.push(down)
    },
  })
}

testActors(
  "case 44: exactly one Down, with the reason, when the watched incarnation ends",
  (world) =>
    Effect.gen(function* () {
      const downs: Array<Down> = []
      const system = yield* boot(world, [actor({ name: "a" }), watching("a", downs)])
      system.ref(watcher).send({ verb: "watch" })
      yield* settled(system)
      system.crash("root/a", "boom")
      yield* settled(system)
      system.crash("root/a", "again, unwatched")
      yield* settled(system)
      assert.equal(downs.length, 1)
      assert.equal(downs[0]?.path, "root/a")
      assert.equal(downs[0]?.reason.kind, "crashed")
    }),
)

testActors(
  "case 44: watching the dead, or nobody, brings a Down at once",
  (world) =>
    Effect.gen(function* () {
      const downs: Array<Down> = []
      const system = yield* boot(world, [
        actor({ name: "a", restart: "temporary" }, () => stop("over")),
        watching("a", downs),
      ])
      const ref = system.ref(named("a"))
      ref.send("end")
      yield* settled(system)
      system.ref(watcher).send({ verb: "watch" })
      yield* settled(system)
      assert.deepEqual(downs.map(({ reason }) => reason), [{ kind: "shutdown", detail: "over" }])

      const nobody: Array<Down> = []
      const other = yield* boot(world, [watching("nobody", nobody)])
      other.ref(watcher).send({ verb: "watch" })
      yield* settled(other)
      assert.deepEqual(nobody, [{ path: "nobody", reason: { kind: "unknown" } }])
    }),
)

testActors(
  "case 44: demonitor takes back a Down that is on its way",
  (world) =>
    Effect.gen(function* () {
      const downs: Array<Down> = []
      let crash = () => {}
      const system = yield* boot(world, [actor({ name: "a" }), watching("a", downs, () => crash())])
      crash = () => void system.crash("root/a", "boom")
      system.ref(watcher).send({ verb: "watch" })
      // The Down is on the control lane when the same handler call demonitors.
      system.ref(watcher).send({ verb: "unwatch" })
      yield* settled(system)
      assert.equal(system.tree().children[0]?.restarts, 1)
      assert.equal(downs.length, 0)
    }),
)

testActors(
  "case 44: a watcher with a full mailbox still gets its Down",
  (world) =>
    Effect.gen(function* () {
      const downs: Array<Down> = []
      const system = yield* boot(world, [actor({ name: "a" }), watching("a", downs)])
      const ref = system.ref(watcher)
      ref.send({ verb: "watch" })
      yield* settled(system)
      ref.send({ verb: "wait" })
      yield* Effect.sleep(1)
      assert.deepEqual(
        [ref.send({ verb: "wait" }), ref.send({ verb: "wait" }), ref.send({ verb: "wait" })],
        [true, true, false],
      )
      system.crash("root/a", "boom")
      yield* Effect.sleep(20)
      yield* settled(system)
      assert.equal(downs.length, 1)
    }),
)

testActors(
  "case 44: during a restart the next incarnation is watched; when none comes, Down",
  (world) =>
    Effect.gen(function* () {
      const downs: Array<Down> = []
      const system = yield* boot(world, [
        actor({ name: "a", backoff: { baseMs: 1e9, capMs: 1e9, resetAfterMs: 1 } }),
        watching("a", downs),
      ])
      system.crash("root/a", "boom")
      yield* Effect.sleep(1)
      system.ref(watcher).send({ verb: "watch" })
      yield* Effect.sleep(2)
      assert.equal(downs.length, 0)
      yield* system.stopChild("root/a")
      yield* settled(system)
      assert.deepEqual(downs.map(({ reason }) => reason.kind), ["crashed"])
    }),
)
