import assert from "node:assert/strict"
import { runnerOf } from "../../actors/names.ts"
import { decimal, formatDecimal, isEqual } from "../../domain/decimal.ts"
import type { Bar } from "../../domain/market.ts"
import { limits } from "../../limits.ts"
import { BTC, ETH, unreachable } from "./fakes.ts"
import {
  assignment,
  everySeed,
  type Keel,
  paths,
  STALE_AFTER_MS,
  START_MS,
  World,
} from "./harness.ts"

const A = `a:${BTC}`
const B = `b:${ETH}`
const pathOf = (id: string) => `${paths.strategies}/${runnerOf(id).id}`

/** Ten seconds of market before anybody listens. */
function withHistory(world: World, more: Parameters<World["start"]>[0] = {}): Keel {
  world.venue.drive(250, () => world.random() - 0.5)
  world.time.run(10_000)
  return world.start({ assignments: [assignment("a", BTC), assignment("b", ETH)], ...more }).ready()
}

everySeed("history ends exactly where the first live bar begins", (world) => {
  const keel = withHistory(world, { warmUpBars: 5 }).run(6_000)
  for (const id of [A, B]) {
    const bars = barsOf(keel, id)
    assert.ok(bars.length >= 9, `${bars.length} bars`)
    bars.slice(1).forEach(({ openTime }, index) =>
      assert.equal(openTime - bars[index]!.openTime, 1_000)
    )
    // Each is what the venue's own tape says, wherever it came from.
    for (const bar of bars) {
      const trades = world.venue.tape.filter((each) =>
        each.instrument === bar.instrument && each.time >= bar.openTime &&
        each.time < bar.openTime + 1_000
      )
      assert.equal(bar.trades, trades.length)
      assert.ok(isEqual(bar.close, trades.at(-1)!.price))
    }
    const first = world.venue.historyReads.find(({ limit }) => limit === 5)!
    assert.ok(first.until % 1_000 === 0)
  }
  keel.stop()
})

everySeed("what history would have signalled is past", (world) => {
  const keel = withHistory(world, {
    warmUpBars: 5,
    scripts: {
      a: (event) =>
        event._tag === "Bar"
          ? { intent: "enter", price: event.close, reason: `bar ${event.openTime}` }
          : undefined,
    },
  }).run(6_000)
  const signals = world.events("SignalRaised")
  const listenedSince = START_MS + 10_000
  assert.ok(signals.length > 0)
  for (const { reason } of signals) assert.ok(Number(reason.slice(4)) >= listenedSince, reason)
  keel.stop()
})

everySeed("a crash inside a strategy restarts its runner and touches nobody else", (world) => {
  const keel = withHistory(world)
  const before = keel.allRestarts()
  world.venue.faults.fills.push("rest")
  keel.run(3_000).signal("enter", ETH, B)
  keel.run(500)
  const open = world.venue.orders.get("keel-test-binance-1")!
  const connects = world.venue.connectsAt.length
  const starts = startsOf(keel)
  let crashes = 1
  keel.scripts.a = (event) => {
    if (event._tag === "Bar" && crashes-- > 0) throw new Error("strategy divides by zero")
    return undefined
  }
  keel.run(5_000)
  const changed = [...keel.allRestarts()].filter(([path, count]) => before.get(path) !== count)
  assert.deepEqual(changed, [[pathOf(A), 1]])
  assert.match(keel.node(pathOf(A)).lastCause ?? "", /strategy divides by zero/)
  const startsNow = startsOf(keel)
  for (const [path, at] of starts) {
    if (path !== pathOf(A)) assert.equal(startsNow.get(path), at, `${path} was started again`)
  }
  assert.equal(world.venue.connectsAt.length, connects)
  assert.equal(open.status, "accepted")
  assert.equal(world.books().orders.get("keel-test-binance-1")!.status, "accepted")
  // It has its state back, and goes on.
  const bars = barsOf(keel, A)
  assert.ok(bars.length > 3)
  assert.equal(keel.model.runners.get(A)?.status, "running")
  const view = keel.model.overview().actors.find(({ path }) => path === pathOf(A))!
  assert.equal(view.restarts, 1)
  assert.match(view.lastCause ?? "", /strategy divides by zero/)
  keel.stop()
})

everySeed("a strategy that crashes on every bar leaves the others their bars", (world) => {
  const keel = withHistory(world, {
    scripts: {
      a: (event, seen) => {
        if (event._tag === "Bar" && seen.length > 4) throw new Error("always")
        return undefined
      },
    },
  })
  keel.run(60_000)
  assert.ok(keel.restarts(pathOf(A)) > 2)
  assert.equal(keel.restarts(paths.feed), 0)
  assert.equal(keel.restarts(paths.executor), 0)
  const bars = barsOf(keel, B)
  bars.slice(1).forEach(({ openTime }, index) =>
    assert.equal(openTime - bars[index]!.openTime, 1_000)
  )
  keel.stop()
})

Deno.test("a strategy that is broken on eight instruments is stopped, and takes nobody along", () => {
  const ids = Array.from({ length: 8 }, (_, index) => `C${index}/USDT.BINANCE`)
  const bugs = ids.map((id) => assignment("bug", id))
  const good = assignment("good", ids[0]!)
  const world = new World({ instruments: ids, seed: 1 })
  world.venue.drive(250)
  const keel = world.start({
    assignments: [...bugs, good],
    scripts: {
      bug: (event, seen) => {
        if (event._tag === "Bar" && seen.length > 4) throw new Error("strategy divides by zero")
        return undefined
      },
    },
  }).ready().run(300_000)
  const broken = new Set(bugs.map(({ id }) => pathOf(id)))
  for (const [path, count] of keel.allRestarts()) {
    assert.equal(count, broken.has(path) ? limits.runner.intensity + 1 : 0, path)
  }
  for (const path of broken) {
    const { status, lastCause } = keel.node(path)
    assert.equal(status, "stopped", path)
    assert.match(lastCause ?? "", /strategy divides by zero/)
    const failures = world.events("ActorFailed").filter((each) => each.path === path)
    assert.equal(failures.length, 1, path)
    assert.match(failures[0]!.cause, /^crashed 11 times within 900 s, .*strategy divides by zero/)
    const alert = world.books().alerts.get(`actor:${path}`)!
    assert.equal(alert.severity, "critical")
    assert.equal(alert.resolvedAt, undefined)
  }
  const status = new Map(keel.model.overview().strategies.map((each) => [each.id, each.status]))
  assert.equal(status.get(bugs[0]!.id), "stopped")
  assert.equal(status.get(good.id), "running")
  keel.stop()
})

everySeed(
  "a strategy that was stopped for crashing is restarted, or swapped, by command",
  (world) => {
    const crash = () => {
      throw new Error("always")
    }
    const keel = withHistory(world, { scripts: { a: crash, b: crash } })
    keel.until(() => world.events("ActorFailed").length === 2, 120_000).run(1_000)
    delete keel.scripts.a
    const restart = { kind: "all", id: pathOf(A) } as const
    keel.command({ commandId: "r", type: "restart_actor", scope: restart })
    const swap = { kind: "strategy", id: B } as const
    keel.command({ commandId: "s", type: "swap_strategy", scope: swap, strategy: "c" })
    keel.run(60_000)
    for (const id of [A, `c:${ETH}`]) {
      assert.equal(keel.node(pathOf(id)).status, "running", id)
      assert.equal(keel.model.runners.get(id)?.status, "running", id)
    }
    // Crashing again it has its whole intensity again.
    const restarts = keel.restarts(pathOf(A))
    keel.crash(pathOf(A))
    keel.run(5_000)
    assert.equal(keel.node(pathOf(A)).status, "running")
    assert.equal(keel.restarts(pathOf(A)), restarts + 1)
    keel.stop()
  },
)

everySeed("history that cannot be read is waited for, not crashed over", (world) => {
  world.venue.historyDown = unreachable
  const keel = withHistory(world)
  keel.run(20_000)
  assert.deepEqual([...keel.allRestarts().values()].filter((each) => each > 0), [])
  assert.equal(keel.model.runners.get(A)?.status, "warming_up")
  assert.equal(barsOf(keel, A).length, 0)
  world.venue.historyDown = undefined
  keel.run(3_000)
  assert.equal(keel.model.runners.get(A)?.status, "running")
  assert.ok(barsOf(keel, A).length > 0)
  keel.stop()
})

everySeed("a bar that was missed is a reason to read history again", (world) => {
  const keel = withHistory(world).run(3_000)
  const made = keel.made.get(A)!
  const last = barsOf(keel, A).at(-1)!
  const later = (openTime: number, after: number | undefined) =>
    keel.send(runnerOf(A), { _tag: "BarClosed", bar: { ...last, openTime }, after })
  later(last.openTime + 3_000, last.openTime + 2_000)
  keel.run(100)
  assert.equal(keel.made.get(A), made + 1)
  keel.stop()
})

everySeed("a strategy is told what it holds, and dust is nothing", (world) => {
  const keel = withHistory(world, {
    scripts: {
      a: (event, seen) => {
        const bars = seen.filter(({ _tag }) => _tag === "Bar").length
        if (event._tag !== "Bar" || (bars !== 6 && bars !== 12)) return undefined
        return { intent: bars === 6 ? "enter" : "exit", price: event.close, reason: "the plan" }
      },
    },
  })
  keel.run(20_000)
  assert.equal(world.venue.submits.length, 2)
  const told = keel.seen.get(A)!.filter((each) => each._tag === "HoldingChanged")
    .map(({ quantity }) => formatDecimal(quantity))
  const held = world.venue.submits[1]!.quantity
  assert.deepEqual(told, ["0", formatDecimal(held), "0"])
  // The fee was taken in what was bought: less than a lot is left.
  const left = world.books().positions.get(BTC)!.quantity
  assert.ok(left.value > 0n && Number(formatDecimal(left)) < 0.0001)
  keel.stop()
})

everySeed("a signal from a bar that was held up is skipped, and the fold goes on", (world) => {
  const keel = withHistory(world, {
    scripts: {
      a: (event) =>
        event._tag === "Bar"
          ? { intent: "enter", price: event.close, reason: `bar ${event.openTime}` }
          : undefined,
    },
  }).run(3_000)
  // Ended longer ago than one interval and the time after which prices are stale.
  world.venue.drive(100_000)
  keel.run(1_000 + 1_000 + STALE_AFTER_MS + 1_000)
  const raised = world.events("SignalRaised").length
  const last = barsOf(keel, A).at(-1)!
  const bar = { ...last, openTime: last.openTime + 1_000 }
  keel.send(runnerOf(A), { _tag: "BarClosed", bar, after: last.openTime })
  keel.run(100)
  assert.ok(raised > 0)
  assert.equal(world.events("SignalRaised").length, raised)
  assert.equal(barsOf(keel, A).at(-1)!.openTime, bar.openTime)
  assert.match(keel.model.runners.get(A)!.lastSignal!, /^skipped, \d+ s old: enter: bar /)
  keel.stop()
})

everySeed("signals are written down before they are judged", (world) => {
  const keel = withHistory(world, {
    scripts: {
      a: (event) =>
        event._tag === "Bar"
          ? { intent: "enter", price: event.close, reason: "always" }
          : undefined,
    },
  }).run(5_000)
  const records = world.records()
  const judged = records.findIndex(({ event }) =>
    (event._tag === "OrderSubmitted" || event._tag === "OrderDenied") && event.origin === A
  )
  const signal = records.findIndex(({ event }) => event._tag === "SignalRaised")
  assert.ok(signal >= 0 && judged > signal)
  assert.equal(world.events("SignalRaised")[0]!.runner, A)
  assert.ok(isEqual(assignment("a", BTC).notional, decimal("1000")))
  keel.stop()
})

/** As the newest incarnation has seen them: history first. */
function barsOf(keel: Keel, id: string): ReadonlyArray<Bar> {
  return (keel.seen.get(id) ?? []).filter((each) => each._tag === "Bar")
}

function startsOf(keel: Keel): ReadonlyMap<string, number> {
  return new Map([...keel.allRestarts().keys()].map((path) => [path, keel.node(path).startedAt]))
}
