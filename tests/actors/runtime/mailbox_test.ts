/** Cases 37 to 42: what a mailbox promises. */
import assert from "node:assert/strict"
import { Effect, Fiber } from "effect"
import {
  actorName,
  become,
  behavior,
  type DeadLetter,
  type Mailbox,
  offer,
  type Receive,
  stop,
  type SupervisionReport,
} from "../../../actors/runtime/mod.ts"
import { actor, boot, named } from "./tree.ts"
import { settled, testActors, testVirtual, virtualWorld } from "./world.ts"

testActors(
  "case 37: the message being handled at a crash is dropped and reported with a hash of its content; queued ones survive in order",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const reports: Array<SupervisionReport> = []
      const system = yield* boot(
        world,
        [actor({ name: "a" }, (word) => void heard.push(word))],
        {},
        { onReport: (report) => report.kind === "crashed" && reports.push(report) },
      )
      const ref = system.ref(named("a"))
      for (const word of ["x", "crash", "y", "z"]) ref.send(word)
      yield* settled(system)
      assert.deepEqual(heard, ["x", "y", "z"])
      assert.match(reports[0]?.message ?? "", /^string#[0-9a-f]{8}$/)
      const [node] = system.tree().children
      assert.equal(node?.lastFailed, reports[0]?.message)
      assert.deepEqual(
        { processed: node?.processed, failed: node?.failed },
        { processed: 3, failed: 1 },
      )
    }),
)

testActors(
  "case 38: a crash in mid-batch loses nothing but the failing message",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const system = yield* boot(
        world,
        [actor({ name: "a" }, (word) => {
          if (word === "7") return Effect.fail("typed")
          if (word === "9") return Effect.andThen(Effect.sleep(1), Effect.fail("late"))
          heard.push(word)
        })],
        { intensity: 10 },
      )
      const ref = system.ref(named("a"))
      const words = Array.from({ length: 100 }, (_, i) => i === 50 ? "crash" : `${i}`)
      for (const word of words) ref.send(word)
      yield* Effect.sleep(5)
      yield* settled(system)
      assert.deepEqual(heard, words.filter((word) => !["7", "9", "crash"].includes(word)))
    }),
)

testActors(
  "case 39: FIFO per sender and receiver, with synchronous and Effect handlers mixed",
  (world) =>
    Effect.gen(function* () {
      const heard: Record<string, Array<number>> = { s: [], t: [], main: [] }
      const sender = (name: string) =>
        actor({ name }, (word, self) => {
          const to = self.ref(named("sink"))
          const send = () => {
            for (let i = 0; i < 50; i++) to.send(`${name} ${Number(word) * 50 + i}`)
          }
          return Number(word) % 2 === 0
            ? send()
            : Effect.andThen(Effect.sleep(1), Effect.sync(send))
        })
      const sink = actor({ name: "sink" }, (word) => {
        const [from = "", number = ""] = word.split(" ")
        const hear = () => void heard[from]?.push(Number(number))
        switch (Number(number) % 5) {
          case 0:
            return Effect.andThen(Effect.yieldNow, Effect.sync(hear))
          case 1:
            return Effect.sync(hear)
          case 2:
            return Effect.andThen(Effect.sleep(0), Effect.sync(hear))
          default:
            return hear()
        }
      })
      const system = yield* boot(world, [sink, sender("s"), sender("t")])
      for (let i = 0; i < 6; i++) {
        system.ref(named("s")).send(`${i}`)
        system.ref(named("t")).send(`${i}`)
      }
      for (let i = 0; i < 100; i++) system.ref(named("sink")).send(`main ${i}`)
      yield* Effect.sleep(10)
      yield* settled(system)
      const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
      assert.deepEqual(heard, { s: upTo(300), t: upTo(300), main: upTo(100) })
    }),
)

interface Tick {
  readonly key: string | undefined
  readonly price: number
}
const ticks = actorName<Tick>("ticks")

const flood = (mailbox: Mailbox<Tick>, heard: Array<number>) =>
  behavior<void, Tick>({
    name: ticks.id,
    mailbox,
    restart: "permanent",
    init: () => {},
    receive: (_, { price }) => void heard.push(price),
  })

const flooded =
  (mailbox: Mailbox<Tick>, sent: ReadonlyArray<Tick>) => (world: Parameters<typeof boot>[0]) =>
    Effect.gen(function* () {
      const heard: Array<number> = []
      const system = yield* boot(world, [flood(mailbox, heard)])
      const accepted = sent.map((tick) => system.ref(ticks).send(tick))
      const signalled = [91, 92, 93, 94, 95, 96].map((price) =>
        system.ref(ticks).signal({ key: "a", price })
      )
      yield* settled(system)
      assert.deepEqual(signalled, [true, true, true, true, true, true])
      assert.deepEqual(heard.splice(0, 6), [91, 92, 93, 94, 95, 96])
      const { dropped, rejected, processed } = system.tree().children[0]!
      assert.equal(processed, heard.length + 6)
      return { heard, accepted: accepted.filter(Boolean).length, dropped, rejected }
    })

const five = [1, 2, 3, 4, 5].map((price) => ({ key: "a", price }))

testActors(
  "case 40: reject refuses what comes after, to the sender's face; the control lane loses nothing",
  (world) =>
    Effect.gen(function* () {
      const outcome = yield* flooded({ capacity: 3, overflow: "reject" }, five)(world)
      assert.deepEqual(outcome, { heard: [1, 2, 3], accepted: 3, dropped: 0, rejected: 2 })
    }),
)

testActors("case 40: dropOldest keeps the newest and counts", (world) =>
  Effect.gen(function* () {
    const outcome = yield* flooded({ capacity: 3, overflow: "dropOldest" }, five)(world)
    assert.deepEqual(outcome, { heard: [3, 4, 5], accepted: 5, dropped: 2, rejected: 0 })
  }))

testActors(
  "case 40: conflate keeps the last per key, in the place of the first, and counts",
  (world) =>
    Effect.gen(function* () {
      const sent = [
        { key: "a", price: 1 },
        { key: undefined, price: 2 },
        { key: "b", price: 3 },
        { key: "a", price: 4 },
        { key: undefined, price: 5 },
        { key: "b", price: 6 },
        { key: "c", price: 7 },
        { key: "a", price: 8 },
      ]
      const mailbox = { capacity: 4, overflow: "conflate", key: (tick: Tick) => tick.key } as const
      const outcome = yield* flooded(mailbox, sent)(world)
      assert.deepEqual(outcome, { heard: [8, 2, 6, 5], accepted: 7, dropped: 3, rejected: 1 })
    }),
)

testActors(
  "conflation stays right while the mailbox fills and empties, and over a crash",
  (world) =>
    Effect.gen(function* () {
      const last = new Map<string, number>()
      let handled = 0
      const behaviorOf = behavior<void, Tick>({
        name: ticks.id,
        mailbox: { capacity: 40, overflow: "conflate", key: (tick) => tick.key },
        restart: "permanent",
        init: () => {},
        receive: (_, { key, price }) => {
          handled++
          if (price % 97 === 0) throw new Error("boom")
          last.set(key ?? "", price)
        },
      })
      const system = yield* boot(world, [behaviorOf], { intensity: 1e6 })
      const sent = new Map<string, number>()
      let accepted = 0
      for (let price = 1; price < 2_000; price++) {
        const key = `${(price * 7) % 30}`
        if (system.ref(ticks).send({ key, price })) accepted++
        if (price % 97 !== 0) sent.set(key, price)
        if (price % 211 === 0) yield* settled(system)
      }
      yield* settled(system)
      const { conflated, dropped, failed } = system.tree().children[0]!
      assert.equal(conflated, dropped)
      assert.equal(accepted, 1_999)
      assert.equal(handled + dropped, accepted)
      assert.ok(failed > 0)
      // A failing tick may have taken the place of a good one: every other key ends on its newest.
      for (const [key, price] of last) assert.ok(price <= sent.get(key)!)
      assert.equal([...last].filter(([key, price]) => price === sent.get(key)).length >= 29, true)
    }),
)

testActors(
  "case 40: a full mailbox that suspends lets fibers wait, and refuses those who cannot",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      let open = () => {}
      const gate = new Promise<void>((resolve) => open = resolve)
      const system = yield* boot(world, [actor(
        { name: "journal", mailbox: { capacity: 2, overflow: "suspend" } },
        (word) => {
          heard.push(word)
          if (word === "1") return Effect.promise(() => gate)
        },
      )])
      const ref = system.ref(named("journal"))
      ref.send("1")
      yield* Effect.sleep(1)
      assert.deepEqual([ref.send("2"), ref.send("3"), ref.send("refused")], [true, true, false])
      const waiting = yield* Effect.forkChild(
        Effect.forEach(["4", "5", "6", "7"], (word) => offer(ref, word)),
      )
      const impatient = yield* Effect.forkChild(Effect.timeoutOption(offer(ref, "never"), 2))
      yield* Effect.sleep(4)
      assert.equal(ref.send("must not overtake"), false)
      open()
      assert.deepEqual(yield* Fiber.join(waiting), [true, true, true, true])
      assert.equal((yield* Fiber.join(impatient))._tag, "None")
      yield* settled(system)
      assert.deepEqual(heard, ["1", "2", "3", "4", "5", "6", "7"])
      assert.equal(system.tree().children[0]?.rejected, 2)
    }),
)

testActors("who waits at a mailbox learns when its actor dies", (world) =>
  Effect.gen(function* () {
    const system = yield* boot(world, [actor(
      { name: "journal", mailbox: { capacity: 1, overflow: "suspend" } },
      () => Effect.never,
    )])
    const ref = system.ref(named("journal"))
    ref.send("1")
    yield* Effect.sleep(1)
    ref.send("2")
    const waiting = yield* Effect.forkChild(offer(ref, "3"))
    yield* Effect.sleep(1)
    yield* system.stopChild("root/journal")
    assert.equal(yield* Fiber.join(waiting), false)
    assert.equal(yield* offer(ref, "4"), false)
  }))

testActors(
  "case 41: sending to a dead reference is a dead letter with the cause of death; to a name that never existed, too",
  (world) =>
    Effect.gen(function* () {
      const letters: Array<DeadLetter> = []
      const system = yield* boot(world, [
        actor({ name: "once", restart: "temporary" }),
        actor({ name: "b" }),
      ])
      system.onDeadLetter((letter) => letters.push(letter))
      const ref = system.ref(named("once"))
      ref.send("crash hard")
      ref.send("queued")
      yield* settled(system)
      assert.equal(ref.send("late"), false)
      assert.equal(ref.signal("urgent"), false)
      assert.equal(system.ref(named("nobody")).send("hello"), false)
      assert.deepEqual(
        letters.map(({ message, reason, cause }) => ({ message, reason, cause })),
        [
          { message: "queued", reason: "dead", cause: "Error: crash hard" },
          { message: "late", reason: "dead", cause: "Error: crash hard" },
          { message: "urgent", reason: "dead", cause: "Error: crash hard" },
          { message: "hello", reason: "unknown_name", cause: undefined },
        ],
      )
      assert.equal(system.deadLetterCount, 4)
    }),
)

testActors(
  "case 42: a control message overtakes 100,000 queued user messages",
  (world) =>
    Effect.gen(function* () {
      let heard = 0
      let at = -1
      const system = yield* boot(world, [actor(
        { name: "a", mailbox: { capacity: 200_000, overflow: "reject" } },
        (word) => {
          if (word === "now") at = heard
          heard++
          if (heard === 1) return Effect.sleep(1)
        },
      )])
      const ref = system.ref(named("a"))
      for (let i = 0; i < 100_000; i++) ref.send("later")
      yield* Effect.yieldNow
      const before = heard
      ref.signal("now")
      yield* settled(system)
      assert.ok(at <= Math.max(1, before), `after ${at} of ${before}`)
      assert.equal(heard, 100_001)
    }),
)

testVirtual(
  "a timer's message arrives although the mailbox is full; a beat is skipped",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const system = yield* boot(world, [actor(
        { name: "a", mailbox: { capacity: 1, overflow: "reject" } },
        (word, self) => {
          heard.push(word)
          if (word !== "start") return
          self.sendAfter(2, "alarm")
          self.sendAfter(1, "cancelled").cancel()
          const beats = self.every(2, "beat")
          self.sendAfter(13, "enough")
          return Effect.andThen(Effect.sleep(12), Effect.sync(() => beats.cancel()))
        },
      )])
      const ref = system.ref(named("a"))
      ref.send("start")
      yield* Effect.sleep(1)
      assert.equal(ref.send("full"), true)
      yield* Effect.sleep(25)
      assert.deepEqual(heard, ["start", "full", "alarm", "enough"])
    }),
)

testVirtual(
  "every() beats without drift, and starts anew after a restart",
  (world) =>
    Effect.gen(function* () {
      let beats = 0
      const system = yield* boot(world, [
        actor({ name: "a", init: (self) => void self.every(5, "beat") }, () => void beats++),
      ])
      yield* Effect.sleep(52)
      assert.ok(beats >= 8 && beats <= 10, `${beats}`)
      system.crash("root/a", "boom")
      const before = beats
      yield* Effect.sleep(52)
      assert.ok(beats - before >= 8 && beats - before <= 10, `${beats - before}`)
    }),
)

testActors(
  "what is set aside comes back in order, before the rest",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      let ready = false
      const system = yield* boot(world, [actor({ name: "a" }, (word, self) => {
        if (word === "ready") {
          ready = true
          return self.unstashAll()
        }
        if (!ready) return void assert.equal(self.stash(word), true)
        heard.push(word)
      })])
      const ref = system.ref(named("a"))
      for (const word of ["1", "2", "3", "ready", "4", "5"]) ref.send(word)
      yield* settled(system)
      assert.deepEqual(heard, ["1", "2", "3", "4", "5"])
    }),
)

testActors(
  "a stash is bounded, and survives a crash, and a second one while unstashing",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const refused: Array<string> = []
      const system = yield* boot(world, [actor(
        { name: "a", mailbox: { capacity: 4, overflow: "reject" } },
        (word, self) => {
          if (self.incarnation === 0) {
            if (!self.stash(word)) refused.push(word)
            if (word === "e") throw new Error("first")
          } else {
            heard.push(word)
            if (word === "b") throw new Error("second")
          }
        },
      )])
      const ref = system.ref(named("a"))
      for (const word of ["a", "b", "c", "d"]) ref.send(word)
      yield* settled(system)
      ref.send("e")
      ref.send("f")
      yield* settled(system)
      // e was refused a place aside, and its own crash was its end; b crashed the second incarnation.
      assert.deepEqual(refused, ["e"])
      assert.deepEqual(heard, ["a", "b", "c", "d", "f"])
      assert.equal(system.tree().children[0]?.failed, 2)
    }),
)

testActors(
  "a message that was set aside and then crashed the actor is not tried again",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const system = yield* boot(world, [actor({ name: "a" }, (word, self) => {
        heard.push(word)
        self.stash(word)
        if (word === "poison") throw new Error("poison")
      })])
      system.ref(named("a")).send("poison")
      yield* settled(system)
      assert.deepEqual(heard, ["poison"])
      assert.equal(system.tree().children[0]?.restarts, 1)
    }),
)

testActors(
  "become changes what is done with messages, until a restart",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const light = actorName<string>("light")
      const red: Receive<number, string> = (count, word) => {
        heard.push(`red ${word} ${count}`)
        if (word === "crash") throw new Error("crash")
        return Effect.succeed(become(count + 1, green))
      }
      const green: Receive<number, string> = (count, word) => {
        heard.push(`green ${word} ${count}`)
        return become(count + 1, red)
      }
      const system = yield* boot(world, [behavior<number, string>({
        name: light.id,
        mailbox: { capacity: 10, overflow: "reject" },
        restart: "permanent",
        init: () => 0,
        receive: green,
      })])
      for (const word of ["a", "b", "c", "crash", "d"]) system.ref(light).send(word)
      yield* settled(system)
      assert.deepEqual(heard, ["green a 0", "red b 1", "green c 2", "red crash 3", "green d 0"])
    }),
)

testActors(
  "stop ends the actor after the present message; what is queued is a dead letter",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const system = yield* boot(world, [
        actor({ name: "a", restart: "transient" }, (word, self) => {
          heard.push(word)
          if (word === "return") return stop()
          if (word === "call") self.stop()
          if (word === "effect") return Effect.succeed(stop("enough"))
        }),
      ])
      for (const end of ["return", "call", "effect"]) {
        system.ref(named("a")).send(end)
        system.ref(named("a")).send("after")
        yield* settled(system)
        assert.equal(system.tree().children[0]?.status, "stopped")
        yield* system.restartChild("root/a")
      }
      assert.deepEqual(heard, ["return", "call", "effect"])
      assert.equal(system.deadLetterCount, 3)
    }),
)

testActors(
  "a burst's memory is given back, and positions start anew",
  (world) =>
    Effect.gen(function* () {
      let heard = 0
      const system = yield* boot(world, [actor(
        { name: "a", mailbox: { capacity: 1e6, overflow: "reject" } },
        () => void heard++,
      )])
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 150_000; i++) system.ref(named("a")).send("x")
        yield* settled(system)
      }
      assert.equal(heard, 450_000)
      assert.equal(system.tree().children[0]?.mailboxDepth, 0)
    }),
)

testVirtual(
  "what has gone stale while its actor restarted is dropped and counted",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<number> = []
      const system = yield* boot(world, [behavior<void, Tick>({
        name: ticks.id,
        mailbox: { capacity: 100, overflow: "reject" },
        restart: "permanent",
        keepOverRestart: ({ price }, nowMs) => nowMs - price <= 50,
        init: ({ incarnation }) => incarnation === 0 ? Effect.void : Effect.sleep(100),
        receive: (_, { key, price }) => {
          if (key === "crash") throw new Error("boom")
          heard.push(price)
        },
      })])
      const now = Effect.clockWith((clock) => clock.currentTimeMillis)
      const send = (key: string) =>
        Effect.map(now, (price) => system.ref(ticks).send({ key, price }))
      yield* send("crash")
      yield* send("stale")
      yield* Effect.sleep(80)
      const price = yield* now
      yield* send("fresh")
      yield* Effect.sleep(100)
      assert.deepEqual(heard, [price])
      const { dropped, restarts } = system.tree().children[0]!
      assert.deepEqual({ dropped, restarts }, { dropped: 1, restarts: 1 })
    }),
)

testActors(
  "a key that cannot be told crashes its actor, not the sender",
  (world) =>
    Effect.gen(function* () {
      const system = yield* boot(world, [behavior<void, Tick>({
        name: ticks.id,
        mailbox: {
          capacity: 10,
          overflow: "conflate",
          key: ({ key }) => {
            if (key === undefined) throw new Error("no key")
            return key
          },
        },
        restart: "permanent",
        init: () => {},
        receive: () => {},
      })])
      yield* settled(system)
      assert.equal(system.ref(ticks).send({ key: undefined, price: 1 }), false)
      yield* settled(system)
      assert.equal(system.tree().children[0]?.lastCause, "Error: no key")
      assert.equal(system.ref(ticks).send({ key: "a", price: 1 }), true)
    }),
)

testActors(
  "a hundred thousand signals are read in order, and quickly",
  (world) =>
    Effect.gen(function* () {
      let next = 0
      const system = yield* boot(world, [behavior<void, Tick>({
        name: ticks.id,
        mailbox: { capacity: 10, overflow: "reject" },
        restart: "permanent",
        init: () => {},
        receive: (_, { price }) => {
          assert.equal(price, next++)
          if (price % 10_000 === 0) return Effect.yieldNow
        },
      })])
      for (let price = 0; price < 100_000; price++) {
        system.ref(ticks).signal({ key: undefined, price })
      }
      yield* settled(system)
      assert.equal(next, 100_000)
    }),
)

testActors(
  "what was conflated and has been handled takes a new place",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<number> = []
      const system = yield* boot(world, [behavior<void, Tick>({
        name: ticks.id,
        mailbox: { capacity: 10, overflow: "conflate", key: (tick) => tick.key },
        restart: "permanent",
        init: () => {},
        receive: (_, { price }) => {
          heard.push(price)
          if (price === 1) return Effect.sleep(5)
        },
      })])
      const ref = system.ref(ticks)
      ref.send({ key: "a", price: 1 })
      ref.send({ key: "b", price: 2 })
      yield* Effect.sleep(2)
      // The first a is at work, and its place in the ring is free.
      ref.send({ key: "a", price: 3 })
      ref.send({ key: "b", price: 4 })
      yield* Effect.sleep(8)
      yield* settled(system)
      assert.deepEqual(heard, [1, 4, 3])
    }),
)

testActors(
  "who cannot wait does not overtake those who wait, although there is room",
  (world) =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const system = yield* boot(world, [actor(
        { name: "journal", mailbox: { capacity: 2, overflow: "suspend" } },
        (word) => {
          heard.push(word)
          return Effect.sleep(5)
        },
      )])
      const ref = system.ref(named("journal"))
      ref.send("1")
      yield* Effect.sleep(1)
      ref.send("2")
      ref.send("3")
      const waiting = yield* Effect.forkChild(
        Effect.all([offer(ref, "4"), offer(ref, "5")], { concurrency: "unbounded" }),
      )
      // 2 is at work, 3 and 4 wait in the mailbox, 5 outside; or there is room and 5 still waits.
      yield* Effect.sleep(7)
      assert.equal(ref.send("overtakes"), false)
      assert.deepEqual(yield* Fiber.join(waiting), [true, true])
      yield* Effect.sleep(25)
      yield* settled(system)
      assert.deepEqual(heard, ["1", "2", "3", "4", "5"])
    }),
)

Deno.test("who sends to himself leaves the turn to those he sends to", async () => {
  const world = virtualWorld()
  await world.run(Effect.gen(function* () {
    const system = yield* boot(world, [
      actor({ name: "feed" }, (word, self) => {
        self.ref(named("strategy")).send("tick")
        if (Number(word) < 5_000) self.self.send(`${Number(word) + 1}`)
      }),
      actor({ name: "strategy" }),
    ])
    system.ref(named("feed")).send("1")
    yield* settled(system)
    const [, strategy] = system.tree().children
    assert.equal(strategy?.processed, 5_000)
    assert.ok(strategy.mailboxDepthMax <= 2, `${strategy.mailboxDepthMax} ticks piled up`)
  }))
})
