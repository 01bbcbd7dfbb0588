/** Names, dynamic children, operation by path, and insight. */
import assert from "node:assert/strict"
import { Effect, Logger } from "effect"
import { behavior, ManagementError, start, supervisor } from "../../../actors/runtime/mod.ts"
import { actor, boot, named, root } from "./tree.ts"
import { settled, testActors } from "./world.ts"

const reasonOf = (effect: Effect.Effect<void, ManagementError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

testActors(
  "a reference by name is valid before its actor exists, over restarts, and for its successor",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const answers: Array<boolean> = []
      const late = actor(
        { name: "late" },
        (word, self) => void heard.push(`${self.incarnation} ${word}`),
      )
      const system = yield* boot(world, [actor({
        name: "early",
        init: (self) => void answers.push(self.ref(named("late")).send("too early")),
      }, (word, self) => void answers.push(self.ref(named("late")).send(word)))])
      const early = Effect.fnUntraced(function* (word: string) {
        system.ref(named("early")).send(word)
        yield* settled(system)
      })
      yield* system.startChild("root", late)
      yield* early("first")
      system.crash("root/late", "boom")
      yield* early("after a restart")
      yield* system.stopChild("root/late")
      yield* early("nobody there")
      yield* system.startChild("root", late)
      yield* early("successor")
      assert.deepEqual(answers, [false, true, true, false, true])
      assert.deepEqual(heard, ["0 first", "1 after a restart", "0 successor"])
    }),
)

testActors("a name belongs to one actor at a time", (world) =>
  Effect.gen(function* () {
    const inner = root([actor({ name: "twin" })], { name: "inner" })
    const error = yield* Effect.flip(boot(world, [actor({ name: "twin" }), inner]))
    assert.match(
      error.message,
      /root\/inner\/twin did not start: .*name twin is taken by root\/twin/,
    )
    const system = yield* boot(world, [actor({ name: "twin" }), root([], { name: "inner" })])
    const refused = yield* Effect.flip(system.startChild("root/inner", actor({ name: "twin" })))
    assert.equal(refused.reason, "start_failed")
    assert.equal(system.ref(named("twin")).path, "root/twin")
    assert.equal(system.ref(named("twin")).send("x"), true)
  }))

testActors("children come and go while their supervisor runs", (world) =>
  Effect.gen(function* () {
    const trace: Array<string> = []
    const runner = (name: string) =>
      actor({
        name,
        init: () => void trace.push(`start ${name}`),
        terminate: () => void trace.push(`stop ${name}`),
      })
    const system = yield* boot(world, [root([runner("r1")], { name: "strategies" })])
    yield* system.startChild("root/strategies", runner("r2"))
    yield* system.startChild("root/strategies", runner("r3"))
    yield* system.stopChild("root/strategies/r1")
    assert.deepEqual(
      system.whichChildren("root/strategies")?.map(({ name }) => name),
      ["r2", "r3"],
    )
    assert.deepEqual(system.countChildren("root/strategies"), {
      specs: 2,
      active: 2,
      supervisors: 0,
      actors: 2,
    })
    assert.equal(
      yield* reasonOf(system.startChild("root/strategies", runner("r2"))),
      "already_started",
    )
    assert.equal(yield* reasonOf(system.startChild("root/nowhere", runner("r4"))), "not_found")
    assert.equal(
      yield* reasonOf(system.startChild("root/strategies/r2", runner("r4"))),
      "not_a_supervisor",
    )
    assert.equal(yield* reasonOf(system.stopChild("root/strategies/r1")), "not_found")
    assert.equal(yield* reasonOf(system.stopChild("root")), "not_found")
    yield* system.terminateChild("root/strategies/r3")
    assert.equal(
      yield* reasonOf(system.startChild("root/strategies", runner("r3"))),
      "already_present",
    )
    assert.equal(system.countChildren("root/strategies")?.active, 1)
    assert.equal(system.whichChildren("root/strategies/r2"), undefined)
    assert.deepEqual(trace, ["start r1", "start r2", "start r3", "stop r1", "stop r3"])
  }))

testActors(
  "a restart of their supervisor keeps the children that were added, and those deleted away",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const runner = (name: string) => actor({ name }, (word) => void heard.push(`${name} ${word}`))
      const inner = root([runner("r1"), runner("r2")], { name: "strategies", intensity: 0 })
      const system = yield* boot(world, [inner])
      yield* system.startChild("root/strategies", runner("r3"))
      yield* system.stopChild("root/strategies/r1")
      const ref = system.ref(named("r3"))
      system.crash("root/strategies/r2", "past the intensity")
      ref.send("sent in between")
      yield* settled(system)
      assert.deepEqual(system.whichChildren("root/strategies")?.map(({ name }) => name), [
        "r2",
        "r3",
      ])
      assert.equal(system.tree().children[0]?.restarts, 1)
      assert.deepEqual(heard, ["r3 sent in between"])
    }),
)

testActors(
  "an operator's restart takes along whom the strategy says, and does not count",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const child = (name: string) =>
        actor({
          name,
          init: () => void trace.push(`start ${name}`),
          terminate: () => void trace.push(`stop ${name}`),
        })
      const system = yield* boot(
        world,
        [child("feed"), child("book"), child("strategy")],
        { strategy: "rest_for_one", intensity: 0 },
      )
      trace.length = 0
      yield* system.restartChild("root/book")
      assert.deepEqual(trace, ["stop strategy", "stop book", "start book", "start strategy"])
      assert.deepEqual(system.tree().children.map(({ restarts }) => restarts), [0, 1, 1])
      assert.equal(
        yield* reasonOf(system.restartChild("root/book", { ifRunning: "refuse" })),
        "running",
      )
    }),
)

testActors("an operator's restart ends a backoff", (world) =>
  Effect.gen(function* () {
    const backoff = { baseMs: 1e9, capMs: 1e9, resetAfterMs: 1 }
    const system = yield* boot(world, [actor({ name: "a", backoff })])
    system.crash("root/a", "boom")
    yield* Effect.sleep(1)
    assert.equal(yield* reasonOf(system.deleteChild("root/a")), "restarting")
    yield* system.restartChild("root/a")
    const [node] = system.tree().children
    assert.deepEqual([node?.status, node?.restarts, node?.restartAt], ["running", 1, undefined])
  }))

testActors("a call to a supervisor that ends is answered", (world) =>
  Effect.gen(function* () {
    const inner = supervisor({
      name: "inner",
      strategy: "one_for_one",
      intensity: 0,
      periodMs: 1_000,
      restart: "temporary",
      children: [
        actor({ name: "a" }),
        actor({ name: "slow", terminate: () => Effect.sleep(5) }),
      ],
    })
    const system = yield* boot(world, [inner])
    system.crash("root/inner/a", "boom")
    yield* Effect.sleep(1)
    assert.equal(
      yield* reasonOf(system.startChild("root/inner", actor({ name: "b" }))),
      "stopped",
    )
    yield* settled(system)
    assert.equal(
      yield* reasonOf(system.startChild("root/inner", actor({ name: "b" }))),
      "not_found",
    )
  }))

testActors("the tree shows what everyone is doing", (world) =>
  Effect.gen(function* () {
    const system = yield* boot(world, [
      actor({ name: "idle" }),
      actor({ name: "busy", mailbox: { capacity: 2, overflow: "reject" } }, () => Effect.sleep(20)),
      actor({ name: "waiting", backoff: { baseMs: 1e9, capMs: 1e9, resetAfterMs: 1 } }),
      actor({ name: "gone", restart: "transient" }),
    ])
    for (let i = 0; i < 4; i++) {
      system.ref(named("busy")).send(`${i}`)
      yield* Effect.yieldNow
    }
    system.crash("root/waiting", "no venue")
    yield* system.terminateChild("root/gone")
    yield* Effect.sleep(2)
    const tree = system.tree()
    assert.deepEqual([tree.path, tree.kind, tree.strategy], ["root", "supervisor", "one_for_one"])
    const [idle, busy, waiting, gone] = tree.children
    assert.deepEqual([idle?.path, idle?.status, idle?.mailboxDepth], ["root/idle", "running", 0])
    assert.deepEqual([busy?.mailboxDepth, busy?.rejected], [2, 1])
    assert.deepEqual(
      [waiting?.status, waiting?.lastCause, typeof waiting?.restartAt],
      ["restarting", "Error: no venue", "number"],
    )
    assert.equal(gone?.status, "stopped")
    assert.equal(system.idle(), false)
  }))

testActors(
  "reports have one shape, and a listener that throws hurts nobody",
  (world) => {
    const logged: Array<unknown> = []
    return Effect.gen(function* () {
      const kinds: Array<string> = []
      const system = yield* boot(world, [actor({ name: "a" })], {}, {
        onReport: ({ kind, path }) => kinds.push(`${kind} ${path}`),
      })
      let told = 0
      system.onReport(() => {
        told++
        throw new Error("a listener's own")
      })
      system.crash("root/a", "boom")
      yield* settled(system)
      system.crash("root/a", "boom")
      yield* settled(system)
      assert.equal(told, 1)
      assert.deepEqual(kinds, [
        "starting root",
        "started root/a",
        "started root",
        ...["crashed root/a", "restarted root/a"],
        ...["crashed root/a", "restarted root/a"],
      ])
      assert.equal(logged.length, 1)
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(message))])))
  },
)

testActors(
  "two systems in one isolate do not know each other's names",
  (world) =>
    Effect.gen(function* () {
      const one = yield* boot(world, [actor({ name: "a" })])
      const two = yield* boot(world, [actor({ name: "b" })])
      assert.equal(one.ref(named("b")).send("x"), false)
      assert.equal(two.ref(named("b")).send("x"), true)
    }),
)

testActors(
  "auto shutdown of the root ends the system in good order",
  (world) =>
    Effect.gen(function* () {
      const system = yield* boot(world, [
        actor({ name: "risk", restart: "transient", significant: true }, (_, self) => self.stop()),
        actor({ name: "other" }),
      ], { autoShutdown: "any_significant" })
      system.ref(named("risk")).send("end")
      assert.deepEqual(yield* system.ended, { reason: "shutdown" })
      assert.equal(system.tree().children.every(({ status }) => status === "stopped"), true)
    }),
)

testActors(
  "after the end every reference is dead and every call is refused",
  (world) =>
    Effect.gen(function* () {
      const system = yield* Effect.scoped(start(root([actor({ name: "a" })]), {
        dispatcher: world.dispatcher,
      }))
      assert.deepEqual(yield* system.ended, { reason: "closed" })
      assert.equal(system.ref(named("a")).send("x"), false)
      assert.equal(system.crash("root/a", "x"), false)
      assert.equal(yield* reasonOf(system.startChild("root", actor({ name: "b" }))), "stopped")
      assert.equal(system.idle(), true)
    }),
)

Deno.test("mistakes in a tree are told when it is written down", () => {
  assert.throws(() => actor({ name: "a/b" }), /must be a non-empty text without "\/"/)
  assert.throws(() => actor({ name: "" }), RangeError)
  assert.throws(() => root([actor({ name: "a" }), actor({ name: "a" })]), /two children named a/)
  assert.throws(
    () =>
      behavior<void, string>({
        name: "a",
        mailbox: { capacity: 0, overflow: "reject" },
        restart: "permanent",
        init: () => {},
        receive: () => {},
      }),
    /capacity must be at least 1, got 0/,
  )
})
