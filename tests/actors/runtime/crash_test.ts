/** Cases 10, 26 and 32 to 36: what a crash does, and when what is tried again. */
import assert from "node:assert/strict"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import fc from "fast-check"
import {
  backoffMs,
  type ExitReason,
  start,
  stop,
  type SupervisionReport,
} from "../../../actors/runtime/mod.ts"
import { actor, boot, named, root } from "./tree.ts"
import { settled, testActors, testVirtual } from "./world.ts"

testVirtual(
  "case 10: a partly aged window frees exactly the expired restarts; one exactly one period old still counts",
  (world) =>
    Effect.gen(function* () {
      const system = yield* boot(world, [actor({ name: "a" })], { intensity: 2, periodMs: 1_000 })
      const crash = () => system.crash("root/a", "boom")
      crash() // at 0
      yield* Effect.sleep(600)
      crash() // at 600
      yield* Effect.sleep(401)
      crash() // at 1001: the first is forgotten, the second is not
      yield* Effect.sleep(1)
      assert.equal(system.tree().status, "running")
      yield* Effect.sleep(598)
      assert.equal(crash(), true) // at 1600: the one of 600 is exactly a period old
      yield* Effect.sleep(1)
      assert.equal(system.tree().status, "stopped")
    }),
)

testActors(
  "case 26: a stop that arrives during a backoff cancels the pending restart; no timer is left",
  (world) =>
    Effect.gen(function* () {
      let starts = 0
      const scope = yield* Scope.make()
      const system = yield* Scope.provide(
        boot(world, [
          actor({
            name: "a",
            backoff: { baseMs: 1e9, capMs: 1e9, resetAfterMs: 1 },
            init: () => void starts++,
          }),
        ]),
        scope,
      )
      system.crash("root/a", "boom")
      yield* Effect.sleep(5)
      const [node] = system.tree().children
      assert.equal(node?.status, "restarting")
      assert.ok(node.restartAt !== undefined)
      assert.equal(system.ref(named("a")).send("kept"), true)
      yield* Scope.close(scope, Exit.void)
      assert.equal(system.ref(named("a")).send("lost"), false)
      yield* Effect.sleep(10)
      assert.equal(starts, 1)
    }),
)

testActors(
  "case 26: a child that is stopped during its backoff does not come back",
  (world) =>
    Effect.gen(function* () {
      let starts = 0
      const backoff = { baseMs: 40, capMs: 40, resetAfterMs: 1_000 }
      const system = yield* boot(world, [
        actor({ name: "a", backoff, init: () => void starts++ }),
      ])
      system.crash("root/a", "boom")
      yield* Effect.sleep(0)
      yield* system.stopChild("root/a")
      yield* Effect.sleep(60)
      // Its jitter may have been none at all, and the restart before the stop.
      assert.ok(starts <= 2)
      assert.deepEqual(system.tree().children, [])
      assert.equal(system.idle(), true)
    }),
)

testVirtual(
  "case 32: backoff delays lie in their jitter bounds, are capped, and start over after a stable time",
  (world) =>
    Effect.gen(function* () {
      const waits: Array<SupervisionReport> = []
      const backoff = { baseMs: 100, capMs: 1_000, resetAfterMs: 60_000 }
      const system = yield* boot(world, [actor({ name: "a", backoff })], { intensity: 1e6 }, {
        onReport: (report) => report.kind === "restarting" && waits.push(report),
      })
      const crash = Effect.fnUntraced(function* (ceiling: number) {
        waits.length = 0
        system.crash("root/a", "boom")
        yield* Effect.sleep(ceiling)
        yield* settled(system)
        const delay = waits.length === 0 ? 0 : waits[0]!.restartAt! - waits[0]!.at
        assert.ok(delay >= 0 && delay <= ceiling, `${delay} of ${ceiling}`)
        return delay
      })
      const seen: Array<number> = []
      for (let round = 0; round < 40; round++) {
        for (const ceiling of [100, 200, 400, 800, 1_000, 1_000]) seen.push(yield* crash(ceiling))
        // Healthy for the stable time: the next crash is the first again.
        yield* Effect.sleep(60_001)
      }
      const last = seen.filter((_, index) => index % 6 === 5)
      // Full jitter: the whole range is used.
      assert.ok(Math.max(...last) > 700 && Math.min(...last) < 300)
    }),
)

Deno.test("backoffMs() lies between nothing and the doubled, capped base", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 200 }),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    (attempt, random) => {
      const policy = { baseMs: 250, capMs: 30_000, resetAfterMs: 1 }
      const delay = backoffMs(policy, attempt, random)
      assert.ok(Number.isInteger(delay) && delay >= 0)
      assert.ok(delay <= Math.min(30_000, 250 * 2 ** (attempt - 1)))
    },
  ))
})

testActors(
  "case 33: crashes in start, in a handler, after an await, in a timer and in a finalizer are six causes, each restarted once",
  (world) =>
    Effect.gen(function* () {
      const causes: Array<string> = []
      const restarts: Array<string> = []
      let starts = 0
      const system = yield* boot(
        world,
        [
          actor(
            {
              name: "a",
              backoff: { baseMs: 0, capMs: 0, resetAfterMs: 0 },
              init: () =>
                Effect.gen(function* () {
                  starts++
                  if (starts === 2) return yield* Effect.fail(new Error("in start"))
                  if (starts === 7) {
                    yield* Effect.addFinalizer(() => Effect.die(new Error("in a finalizer")))
                  }
                }),
            },
            (word, self) => {
              if (word === "typed") return Effect.fail(new Error("typed failure"))
              if (word === "late") {
                return Effect.andThen(Effect.sleep(2), Effect.die(new Error("after an await")))
              }
              if (word === "timer") void self.sendAfter(2, "crash in a timer")
              if (word === "end") return stop()
            },
          ),
        ],
        {},
        {
          onReport: ({ kind, cause }) => {
            if (kind === "crashed" || kind === "start_failed") causes.push(cause ?? "")
            if (kind === "restarted") restarts.push(kind)
          },
        },
      )
      const ref = system.ref(named("a"))
      for (const word of ["crash by a throw", "typed", "late", "timer"]) {
        ref.send(word)
        yield* Effect.sleep(8)
        yield* settled(system)
      }
      system.crash("root/a", "on purpose")
      yield* settled(system)
      ref.send("end")
      yield* settled(system)
      assert.deepEqual(causes, [
        "Error: crash by a throw",
        "Error: in start",
        "Error: typed failure",
        "Error: after an await",
        "Error: crash in a timer",
        "Error: on purpose",
        "Error: in a finalizer",
      ])
      assert.equal(starts, 8)
      assert.equal(restarts.length, 6)
    }),
)

testActors(
  "case 34: a finalizer crashes: the others still run, the restart happens, the cause of the body is reported",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const causes: Array<string> = []
      const system = yield* boot(
        world,
        [actor({
          name: "a",
          init: () =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer(() => Effect.sync(() => void trace.push("first")))
              yield* Effect.addFinalizer(() => Effect.die(new Error("finalizer")))
              yield* Effect.addFinalizer((exit) =>
                Effect.sync(() => void trace.push(`third saw ${exit._tag}`))
              )
            }),
        }, (word) => void trace.push(word))],
        {},
        {
          onReport: ({ kind, cause }) => cause && causes.push(`${kind}: ${cause}`),
        },
      )
      const ref = system.ref(named("a"))
      ref.send("crash body")
      ref.send("next")
      yield* settled(system)
      assert.deepEqual(trace, ["third saw Failure", "first", "next"])
      assert.deepEqual(causes, ["cleanup_failed: Error: finalizer", "crashed: Error: crash body"])
      assert.equal(system.tree().children[0]?.lastCause, "Error: crash body")
    }),
)

testActors(
  "case 35: the finalizers of incarnation n end before incarnation n + 1 begins",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const system = yield* boot(world, [actor({
        name: "a",
        init: (self) =>
          Effect.acquireRelease(
            Effect.sync(() => void trace.push(`open ${self.incarnation}`)),
            () =>
              Effect.andThen(
                Effect.sleep(5),
                Effect.sync(() => void trace.push(`closed ${self.incarnation}`)),
              ),
          ),
      })])
      system.ref(named("a")).send("crash")
      yield* Effect.sleep(10)
      yield* settled(system)
      system.ref(named("a")).send("crash")
      yield* Effect.sleep(10)
      yield* settled(system)
      assert.deepEqual(trace, ["open 0", "closed 0", "open 1", "closed 1", "open 2"])
    }),
)

testActors(
  "case 36: a child stuck in an uninterruptible region: the stop returns at its timeout, the reference is dead, what the zombie still sends is ignored",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const reports: Array<string> = []
      const answers: Array<boolean> = []
      let done = () => {}
      const finished = new Promise<void>((resolve) => done = resolve)
      const letters: Array<string> = []
      const system = yield* boot(
        world,
        [
          actor({ name: "witness" }, (word) => void heard.push(word)),
          actor({ name: "stuck", shutdownMs: 20 }, (_, self) => {
            const direct = system.ref(named("witness"))
            const witness = self.ref(named("witness"))
            return Effect.uninterruptible(Effect.gen(function* () {
              witness.send("alive")
              yield* Effect.sleep(200)
              answers.push(
                witness.send("by its own reference"),
                direct.send("by another's"),
                direct.signal("by the control lane"),
                self.self.send("to itself"),
              )
              self.sendAfter(1, "by a timer")
              self.fork(Effect.sync(() => direct.send("by a fork")))
              done()
            }))
          }),
        ],
        {},
        { onReport: ({ kind, path }) => reports.push(`${kind} ${path}`) },
      )
      system.onDeadLetter(({ reason }) => letters.push(reason))
      const stuck = system.ref(named("stuck"))
      stuck.send("go")
      stuck.send("queued")
      yield* Effect.sleep(5)
      const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* system.terminateChild("root/stuck")
      const tookMs = (yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - before
      assert.ok(tookMs >= 19 && tookMs < 190, `${tookMs}`)
      assert.equal(stuck.send("too late"), false)
      assert.ok(reports.includes("abandoned root/stuck"))
      yield* system.restartChild("root/stuck")
      yield* Effect.promise(() => finished)
      yield* Effect.sleep(10)
      assert.deepEqual(answers, [false, false, false, false])
      assert.deepEqual(heard, ["alive"])
      assert.deepEqual(letters, ["dead", "dead", "fenced", "fenced", "fenced", "fenced"])
      // The fence is gone with the zombie: others are heard.
      assert.equal(system.ref(named("witness")).send("after"), true)
      yield* settled(system)
      assert.deepEqual(heard, ["alive", "after"])
    }),
)

testActors(
  "a stop interrupts the Effect at work, and terminate learns why",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const reasons: Array<ExitReason> = []
      const system = yield* boot(world, [actor(
        {
          name: "a",
          terminate: (_, reason) => void reasons.push(reason),
        },
        () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => trace.push("interrupted"))),
      )])
      system.ref(named("a")).send("wait")
      yield* Effect.sleep(1)
      yield* system.stopChild("root/a")
      assert.deepEqual(trace, ["interrupted"])
      assert.deepEqual(reasons, [{ kind: "shutdown" }])
    }),
)

testActors(
  "terminate sees the last state and the cause of the crash",
  (world) =>
    Effect.gen(function* () {
      const reasons: Array<string> = []
      const system = yield* boot(world, [actor({
        name: "a",
        terminate: (_, reason) => {
          if (reason.kind === "crashed") reasons.push(String(Cause.squash(reason.cause)))
        },
      })])
      system.ref(named("a")).send("crash one")
      yield* settled(system)
      assert.deepEqual(reasons, ["Error: crash one"])
    }),
)

testActors("terminate that fails makes a normal end a crash", (world) =>
  Effect.gen(function* () {
    let fails = true
    const system = yield* boot(world, [actor({
      name: "a",
      restart: "transient",
      terminate: () => fails ? Effect.fail(new Error("could not say goodbye")) : undefined,
    }, () => stop())])
    system.ref(named("a")).send("end")
    yield* settled(system)
    const [node] = system.tree().children
    assert.equal(node?.lastCause, "Error: could not say goodbye")
    assert.equal(node.status, "running")
    fails = false
    system.ref(named("a")).send("end")
    yield* settled(system)
    assert.equal(system.tree().children[0]?.status, "stopped")
  }))

testActors("timers and forks end with their incarnation", (world) =>
  Effect.gen(function* () {
    const heard: Array<string> = []
    let beats = 0
    const system = yield* boot(world, [actor({
      name: "a",
      init: (self) => {
        if (self.incarnation > 0) return
        self.sendAfter(20, "timer of the first life")
        self.every(20, "beat of the first life")
        self.fork(Effect.forever(Effect.andThen(
          Effect.sleep(2),
          Effect.sync(() => void beats++),
        )))
      },
    }, (word) => void heard.push(word))])
    yield* Effect.sleep(11)
    assert.ok(beats > 0)
    system.crash("root/a", "boom")
    yield* settled(system)
    const before = beats
    yield* Effect.sleep(40)
    assert.deepEqual(heard, [])
    assert.equal(beats, before)
  }))

testActors(
  "a fork that fails crashes its actor; one that ends does not",
  (world) =>
    Effect.gen(function* () {
      const system = yield* boot(world, [actor({ name: "a" }, (word, self) => {
        self.fork(word === "fail" ? Effect.fail(new Error("forked")) : Effect.void)
      })])
      const ref = system.ref(named("a"))
      ref.send("end")
      yield* settled(system)
      yield* Effect.sleep(2)
      assert.equal(system.tree().children[0]?.restarts, 0)
      ref.send("fail")
      yield* Effect.sleep(2)
      yield* settled(system)
      assert.equal(system.tree().children[0]?.restarts, 1)
      assert.equal(system.tree().children[0]?.lastCause, "Error: forked")
    }),
)

testActors(
  "a boot that fails says which child and why, and leaves nothing behind",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const scoped = (name: string) =>
        actor({
          name,
          init: () =>
            Effect.acquireRelease(
              Effect.sync(() => void trace.push(`open ${name}`)),
              () => Effect.sync(() => void trace.push(`close ${name}`)),
            ),
        })
      const inner = root([
        scoped("b"),
        actor({
          name: "c",
          init: () =>
            Effect.andThen(
              Effect.addFinalizer(() => Effect.sync(() => void trace.push("close c"))),
              Effect.fail(new Error("no key")),
            ),
        }),
      ], { name: "inner" })
      const error = yield* Effect.flip(boot(world, [scoped("a"), inner]))
      assert.equal(error.path, "root/inner/c")
      assert.equal(error.message, "root/inner/c did not start: Error: no key")
      assert.deepEqual(trace, ["open a", "open b", "close c", "close b", "close a"])
    }),
)

testActors("a boot that is interrupted gives back what it had", (world) =>
  Effect.gen(function* () {
    const trace: Array<string> = []
    const scope = yield* Scope.make()
    const booting = Scope.provide(
      start(
        root([
          actor({
            name: "a",
            init: () => Effect.addFinalizer(() => Effect.sync(() => void trace.push("close a"))),
          }),
          actor({
            name: "b",
            init: () =>
              Effect.andThen(
                Effect.addFinalizer(() => Effect.sync(() => void trace.push("close b"))),
                Effect.never,
              ),
          }),
        ]),
        { dispatcher: world.dispatcher },
      ),
      scope,
    )
    yield* Effect.timeoutOption(booting, 10)
    yield* Scope.close(scope, Exit.void)
    assert.deepEqual(trace, ["close b", "close a"])
  }))

testActors(
  "a supervisor can be stopped while a restart hangs in init",
  (world) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const system = yield* Scope.provide(
        boot(world, [actor({
          name: "a",
          init: (self) => self.incarnation === 0 ? undefined : Effect.never,
        })]),
        scope,
      )
      system.crash("root/a", "boom")
      yield* Effect.sleep(3)
      assert.equal(system.tree().children[0]?.status, "starting")
      yield* Scope.close(scope, Exit.void)
      assert.equal(system.tree().children[0]?.status, "stopped")
    }),
)

testActors(
  "the root gives up: its hook runs while the children live, then they stop",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const system = yield* boot(
        world,
        [
          actor(
            { name: "executor", terminate: () => void trace.push("stop executor") },
            (word) => void trace.push(word),
          ),
          actor({ name: "feed" }),
        ],
        { intensity: 1 },
        {
          onEscalation: (cause) =>
            Effect.gen(function* () {
              trace.push(String(Cause.squash(cause)))
              system.ref(named("executor")).send("make orders safe")
              yield* Effect.sleep(3)
            }),
        },
      )
      system.crash("root/feed", "one")
      yield* settled(system)
      system.crash("root/feed", "two")
      const exit = yield* system.ended
      assert.equal(exit.reason, "escalated")
      assert.deepEqual(trace, [
        "RestartIntensityExceeded: more than 1 restarts in 1000 ms, the last of root/feed: Error: two",
        "make orders safe",
        "stop executor",
      ])
      assert.equal(system.ref(named("executor")).send("x"), false)
    }),
)

testActors(
  "a supervisor with a limit of its own abandons who is left when it is over",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const slow = (name: string) =>
        actor({
          name,
          shutdownMs: 1_000,
          terminate: () => Effect.andThen(Effect.sleep(60), Effect.sync(() => trace.push(name))),
        })
      const inner = root([
        actor({ name: "a", terminate: () => void trace.push("a") }),
        slow("b"),
        slow("c"),
      ], {
        name: "inner",
        shutdownMs: 90,
      })
      const system = yield* boot(world, [inner])
      const clock = yield* Effect.clockWith(Effect.succeed)
      const before = clock.currentTimeMillisUnsafe()
      yield* system.stopChild("root/inner")
      assert.ok(clock.currentTimeMillisUnsafe() - before < 119)
      // c had its time, b did not, and a's turn never came.
      assert.deepEqual(trace, ["c"])
      for (const name of ["a", "b", "c"]) assert.equal(system.ref(named(name)).send("x"), false)
      yield* Effect.sleep(100)
      assert.deepEqual(trace, ["c"])
    }),
)

testActors(
  "a group that waits for a child whose start failed starts without it when it is stopped",
  (world) =>
    Effect.gen(function* () {
      let broken = true
      const system = yield* boot(world, [
        actor({ name: "a" }),
        actor({
          name: "b",
          init: (self) => {
            if (self.incarnation > 0 && broken) throw new Error("no venue")
          },
          backoff: { baseMs: 1e9, capMs: 1e9, resetAfterMs: 1e9 },
        }),
        actor({ name: "c" }),
      ], { strategy: "rest_for_one" })
      const statuses = () => system.tree().children.map(({ status }) => status)
      yield* system.restartChild("root/b")
      yield* Effect.sleep(2)
      assert.deepEqual(statuses(), ["running", "restarting", "restarting"])
      yield* system.terminateChild("root/b")
      assert.deepEqual(statuses(), ["running", "stopped", "running"])
      broken = false
      yield* system.restartChild("root/b")
      assert.deepEqual(statuses(), ["running", "running", "running"])
    }),
)

testActors(
  "the hook of the root ends its work although the system is closed meanwhile",
  (world) =>
    Effect.gen(function* () {
      const trace: Array<string> = []
      const scope = yield* Scope.make()
      const system = yield* Scope.provide(
        boot(world, [actor({ name: "a", terminate: () => void trace.push("a ended") })], {
          intensity: 0,
        }, {
          onEscalation: () =>
            Effect.andThen(Effect.sleep(20), Effect.sync(() => void trace.push("safe"))),
        }),
        scope,
      )
      trace.length = 0
      system.crash("root/a", "boom")
      yield* Effect.sleep(5)
      yield* Scope.close(scope, Exit.void)
      assert.deepEqual(trace, ["a ended", "safe"])
    }),
)

testActors(
  "a reference that an ended incarnation has left behind reaches nobody",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const letters: Array<string> = []
      let leaked = (_: string) => true
      const system = yield* boot(world, [
        actor({ name: "witness" }, (word) => void heard.push(word)),
        actor({
          name: "a",
          init: (self) => {
            const witness = self.ref(named("witness"))
            // As a socket does that was not closed: it calls from outside any fiber.
            if (self.incarnation === 0) leaked = (word) => witness.send(word)
          },
        }),
      ])
      system.onDeadLetter(({ reason }) => letters.push(reason))
      assert.equal(leaked("while alive"), true)
      system.crash("root/a", "boom")
      assert.equal(leaked("after its end"), false)
      yield* settled(system)
      assert.equal(leaked("beside its successor"), false)
      assert.deepEqual(heard, ["while alive"])
      assert.deepEqual(letters, ["fenced", "fenced"])
    }),
)

testActors(
  "a child that crashes while its supervisor stops is not started again",
  (world) =>
    Effect.gen(function* () {
      let starts = 0
      const scope = yield* Scope.make()
      const inner = root([
        actor({ name: "a", init: () => void starts++ }),
        actor({ name: "slow", terminate: () => Effect.sleep(20) }),
      ], { name: "inner" })
      const system = yield* Scope.provide(boot(world, [inner]), scope)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Effect.sleep(5)
      assert.equal(system.crash("root/inner/a", "boom"), true)
      yield* Fiber.join(closing)
      assert.equal(starts, 1)
    }),
)
