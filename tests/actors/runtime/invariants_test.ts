/**
 * What holds whatever happens: random trees, random crashes, random messages, on
 * virtual time under a random seed, against a model that only counts.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Random, Scope } from "effect"
import fc from "fast-check"
import {
  actorName,
  type ActorSystem,
  behavior,
  type ChildSpec,
  type Restart,
  start,
  stop,
  type Strategy,
  type SupervisionReport,
  supervisor,
  type TreeNode,
} from "../../../actors/runtime/mod.ts"
import { VirtualTime } from "../../../actors/runtime/virtual_time.ts"
import { settled } from "./world.ts"

const PERIOD_MS = 100

type Deed = "note" | "work" | "throw" | "fail" | "fail later" | "stop" | "stash" | "unstash"
interface Message {
  readonly from: number
  readonly number: number
  readonly deed: Deed
}

interface Plan {
  readonly strategy: Strategy
  readonly intensity: number
  readonly children: ReadonlyArray<Leaf | Plan>
}
interface Leaf {
  readonly restart: Restart
  readonly mailbox: "reject" | "dropOldest"
  readonly backoffMs: number
  readonly slowMs: number
}
type Act =
  | { readonly kind: "send"; readonly to: number; readonly from: number; readonly deed: Deed }
  | { readonly kind: "crash"; readonly to: number }
  | { readonly kind: "terminate" | "restart"; readonly to: number }
  | { readonly kind: "wait"; readonly ms: number }

const strategies: ReadonlyArray<Strategy> = ["one_for_one", "one_for_all", "rest_for_one"]
const leaves: fc.Arbitrary<Leaf> = fc.record({
  restart: fc.constantFrom<Restart>("permanent", "permanent", "transient", "temporary"),
  mailbox: fc.constantFrom("reject", "dropOldest"),
  backoffMs: fc.constantFrom(0, 0, 5, 30),
  slowMs: fc.constantFrom(0, 0, 3),
})
const plans = (depth: number): fc.Arbitrary<Plan> =>
  fc.record({
    strategy: fc.constantFrom(...strategies),
    intensity: fc.integer({ min: 0, max: 4 }),
    children: fc.array(depth === 0 ? leaves : fc.oneof(leaves, leaves, plans(depth - 1)), {
      minLength: 1,
      maxLength: 4,
    }),
  })
const deeds = fc.constantFrom<Deed>(
  ...(["note", "note", "note", "work", "throw", "fail", "fail later", "stop"] as const),
  ...(["stash", "unstash"] as const),
)
const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      to: fc.nat(12),
      from: fc.nat(2),
      deed: deeds,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const), to: fc.nat(12) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("terminate" as const, "restart" as const),
      to: fc.nat(12),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(0, 1, 2, 10, 40, 120),
    }),
  },
)

/** What one actor has gone through, over all its incarnations. */
class Witness {
  open = 0
  openMax = 0
  readonly accepted = new Set<number>()
  /** Accepted, and then a dead letter. */
  readonly lost = new Set<number>()
  stashed = false
  /** Numbers by sender, in the order in which they were handled; a stashed one counts when it is. */
  readonly handled = new Map<number, Array<number>>()
  constructor(readonly name: string, readonly path: string, readonly restart: Restart) {}
}

class Run {
  readonly witnesses: Array<Witness> = []
  readonly order: Array<string> = []
  readonly reports: Array<SupervisionReport> = []
  private number = 0

  build(plan: Plan, path: string): ChildSpec {
    const name = path.slice(path.lastIndexOf("/") + 1)
    return supervisor({
      name,
      strategy: plan.strategy,
      intensity: plan.intensity,
      periodMs: PERIOD_MS,
      children: plan.children.map((child, index) => {
        const childPath = `${path}/${name === "root" ? "" : name}${index}`
        return "strategy" in child ? this.build(child, childPath) : this.leaf(child, childPath)
      }),
    })
  }

  private leaf(leaf: Leaf, path: string): ChildSpec {
    const name = path.slice(path.lastIndexOf("/") + 1)
    const witness = new Witness(name, path, leaf.restart)
    this.witnesses.push(witness)
    const { order } = this
    return behavior<number, Message>({
      name,
      mailbox: { capacity: 6, overflow: leaf.mailbox },
      restart: leaf.restart,
      shutdownMs: 50,
      ...(leaf.backoffMs > 0 && {
        backoff: { baseMs: leaf.backoffMs, capMs: 4 * leaf.backoffMs, resetAfterMs: 50 },
      }),
      init: () =>
        Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => {
              witness.openMax = Math.max(witness.openMax, ++witness.open)
              order.push(`open ${name}`)
            }),
            () =>
              Effect.andThen(
                leaf.slowMs > 0 ? Effect.sleep(leaf.slowMs) : Effect.void,
                Effect.sync(() => {
                  witness.open--
                  order.push(`close ${name}`)
                }),
              ),
          ),
          0,
        ),
      receive: (count, message, self) => {
        if (message.deed === "stash" && self.incarnation === 0 && count < 3) {
          witness.stashed = true
          if (self.stash(message)) return count + 1
        }
        const list = witness.handled.get(message.from) ?? []
        witness.handled.set(message.from, list)
        list.push(message.number)
        switch (message.deed) {
          case "work":
            return Effect.as(Effect.sleep(2), count + 1)
          case "throw":
            throw new Error("thrown")
          case "fail":
            return Effect.fail("failed")
          case "fail later":
            return Effect.andThen(Effect.sleep(1), Effect.fail("failed later"))
          case "stop":
            return stop()
          case "unstash":
            self.unstashAll()
            return count + 1
          default:
            return count + 1
        }
      },
    })
  }

  act(act: Act, system: ActorSystem): Effect.Effect<unknown> {
    if (act.kind === "wait") return Effect.sleep(act.ms)
    const witness = this.witnesses[act.to % this.witnesses.length]
    if (witness === undefined) return Effect.void
    if (act.kind !== "send") {
      if (act.kind === "terminate") return Effect.exit(system.terminateChild(witness.path))
      if (act.kind === "restart") return Effect.exit(system.restartChild(witness.path))
      return Effect.sync(() => system.crash(witness.path, "on purpose"))
    }
    const { from, deed } = act
    return Effect.sync(() => {
      const message = { from, number: this.number++, deed }
      if (system.ref(actorName<Message>(witness.name)).send(message)) {
        witness.accepted.add(message.number)
      }
    })
  }
}

const nodes = (node: TreeNode): Array<TreeNode> => [node, ...node.children.flatMap(nodes)]

Deno.test("random trees, crashes and stops keep every promise", async () => {
  const runs = fc.asyncProperty(
    plans(2),
    fc.array(acts, { minLength: 10, maxLength: 60 }),
    fc.nat(),
    async (plan, acts, seed) => {
      const time = new VirtualTime({ seed })
      const run = new Run()
      const program = Effect.gen(function* () {
        const scope = yield* Scope.make()
        const root = run.build(plan, "root")
        assert.ok(root.kind === "supervisor")
        const system = yield* Scope.provide(
          start(root, {
            dispatcher: time.dispatcher,
            onReport: (report) => run.reports.push(report),
          }),
          scope,
        )
        const forget = system.onDeadLetter(({ message }) => {
          const { number } = message as Message
          run.witnesses.find(({ accepted }) => accepted.has(number))?.lost.add(number)
        })
        for (const act of acts) yield* run.act(act, system)
        yield* Effect.sleep(1_000)
        yield* settled(system)
        const tree = nodes(system.tree())
        const opened = run.order.length
        forget()
        yield* Scope.close(scope, Exit.void)
        return { tree, closing: run.order.slice(opened) }
      })
      const { tree, closing } = await time.runPromise(
        program.pipe(Random.withSeed(`${seed}`), Effect.orDie),
      )
      checkIncarnations(run)
      checkMessages(run, tree)
      checkOrder(run, closing)
      checkIntensity(run, plan, "root")
      time.run(100_000)
      assert.equal(time.sleeping, 0, "no timer is left")
    },
  )
  await fc.assert(runs, { numRuns: 1_000 })
})

function checkIncarnations(run: Run) {
  for (const { name, open, openMax } of run.witnesses) {
    assert.equal(open, 0, `${name}: a scope is open`)
    assert.ok(openMax <= 1, `${name}: two incarnations at once`)
  }
}

function checkMessages(run: Run, tree: ReadonlyArray<TreeNode>) {
  for (const { name, path, restart, handled, accepted, lost, stashed } of run.witnesses) {
    const seen = new Set<number>()
    for (const numbers of handled.values()) {
      for (const number of numbers) {
        assert.ok(!seen.has(number), `${name}: ${number} twice`)
        assert.ok(accepted.has(number) && !lost.has(number), `${name}: ${number} from nowhere`)
        seen.add(number)
      }
      if (!stashed) assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b), name)
    }
    const node = tree.find((node) => node.path === path)
    // A temporary one that ended is forgotten; a restart of its supervisor makes another. What is
    // set aside is handled twice.
    if (node === undefined || restart === "temporary" || stashed) continue
    const { processed, failed, dropped, mailboxDepth } = node
    assert.equal(accepted.size, processed + failed + dropped + mailboxDepth + lost.size, name)
    assert.equal(seen.size, processed + failed, name)
  }
}

/** In the end they stop in the reverse order of the tree. */
function checkOrder(run: Run, closing: ReadonlyArray<string>) {
  const expected = run.witnesses.map(({ name }) => `close ${name}`).reverse()
  const rank = closing.map((event) => expected.indexOf(event))
  assert.deepEqual(rank, rank.toSorted((a, b) => a - b))
}

/** A supervisor gives up when, and only when, there were more restarts than its intensity. */
function checkIntensity(run: Run, plan: Plan, path: string) {
  const name = path.slice(path.lastIndexOf("/") + 1)
  const deaths: Array<number> = []
  for (const report of run.reports) {
    if (report.path === path && report.kind === "starting") deaths.length = 0
    const child = report.path.startsWith(`${path}/`) &&
      !report.path.slice(path.length + 1).includes("/")
    if (child && ["crashed", "exited", "start_failed", "escalated"].includes(report.kind)) {
      deaths.push(report.at)
    }
    if (report.path === path && report.kind === "escalated") {
      const recent = deaths.filter((at) => report.at - at <= PERIOD_MS + 1_000)
      assert.ok(recent.length > plan.intensity, `${path} gave up after ${recent.length}`)
    }
  }
  plan.children.forEach((child, index) => {
    if ("strategy" in child) {
      checkIntensity(run, child, `${path}/${name === "root" ? "" : name}${index}`)
    }
  })
}

Deno.test("no more restarts than the intensity ever fall into one period, and fewer never end it", async () => {
  const crashes = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(
      crashes,
      fc.integer({ min: 0, max: 5 }),
      fc.nat(),
      async (gaps, intensity, seed) => {
        const time = new VirtualTime({ seed })
        const at: Array<number> = []
        let now = 0
        let lastAlive = -1
        const program = Effect.scoped(Effect.gen(function* () {
          const child = behavior<void, string>({
            name: "a",
            mailbox: { capacity: 1, overflow: "reject" },
            restart: "permanent",
            init: () => {},
            receive: () => {},
          })
          const system = yield* start(
            supervisor({
              name: "root",
              strategy: "one_for_one",
              intensity,
              periodMs: PERIOD_MS,
              children: [child],
            }),
            { dispatcher: time.dispatcher },
          )
          for (const gap of gaps) {
            yield* Effect.sleep(gap)
            now += gap
            if (!system.crash("root/a", "boom")) break
            at.push(now)
            yield* Effect.yieldNow
            yield* Effect.yieldNow
            yield* Effect.sleep(0)
            if (system.tree().status === "running") lastAlive = at.length
            else break
          }
        }))
        await time.runPromise(program)
        const within = (index: number) =>
          at.slice(0, index + 1).filter((t) => at[index]! - t <= PERIOD_MS).length
        for (let index = 0; index < at.length; index++) {
          const alive = index < lastAlive
          assert.equal(alive, within(index) <= intensity, `crash ${index} at ${at[index]} of ${at}`)
        }
      },
    ),
    { numRuns: 200 },
  )
})

Deno.test("between two actors nothing is lost, doubled or reordered, whatever crashes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 200 }),
      async (seed, kinds) => {
        const time = new VirtualTime({ seed })
        const seen: Array<number> = []
        const sink = actorName<number>("sink")
        const program = Effect.scoped(Effect.gen(function* () {
          const system = yield* start(
            supervisor({
              name: "root",
              strategy: "one_for_one",
              intensity: 1e6,
              periodMs: 1,
              children: [behavior<void, number>({
                name: sink.id,
                mailbox: { capacity: 1_000, overflow: "reject" },
                restart: "permanent",
                init: () => {},
                receive: (_, n) => {
                  seen.push(n)
                  switch (kinds[n]) {
                    case 0:
                      throw new Error("boom")
                    case 1:
                      return Effect.andThen(Effect.sleep(1), Effect.fail("boom"))
                    case 2:
                      return Effect.yieldNow
                    case 3:
                      return Effect.sleep(1)
                    case 4:
                      return Effect.void
                  }
                },
              })],
            }),
            { dispatcher: time.dispatcher },
          )
          for (let n = 0; n < kinds.length; n++) {
            system.ref(sink).send(n)
            if (n % 7 === 0) yield* Effect.yieldNow
            if (n % 31 === 0) yield* Effect.sleep(1)
          }
          yield* Effect.sleep(1_000)
          yield* settled(system)
          const [node] = system.tree().children
          const lost = kinds.filter((kind) => kind <= 1).length
          assert.deepEqual(
            { processed: node?.processed, failed: node?.failed, restarts: node?.restarts },
            { processed: kinds.length - lost, failed: lost, restarts: lost },
          )
        }))
        await time.runPromise(program)
        assert.deepEqual(seen, kinds.map((_, n) => n))
      },
    ),
    { numRuns: 200 },
  )
})
