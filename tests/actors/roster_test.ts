import assert from "node:assert/strict"
import { BTC, ETH } from "./fakes.ts"
import { assignment, everySeed, type Keel, paths } from "./harness.ts"

const wanted = [assignment("a", BTC), assignment("b", ETH)]

everySeed("the first start runs what is configured, later ones what the journal says", (world) => {
  const first = world.start({ assignments: wanted }).ready()
  assert.deepEqual(running(first), ["runner:a:BTC-USDT.BINANCE", "runner:b:ETH-USDT.BINANCE"])
  first.command({
    commandId: "s",
    type: "swap_strategy",
    scope: { kind: "strategy", id: `b:${ETH}` },
    strategy: "c",
  })
  first.run(500)
  first.stop()
  const second = world.start({ assignments: wanted }).ready()
  assert.deepEqual(running(second), ["runner:a:BTC-USDT.BINANCE", "runner:c:ETH-USDT.BINANCE"])
  assert.equal(world.events("StrategyAssigned").length, 2)
  second.stop()
})

everySeed("a roster that crashes leaves its runners as they are", (world) => {
  world.venue.drive(250)
  const keel = world.start({ assignments: wanted }).ready().run(3_000)
  const made = keel.made.get(`a:${BTC}`)
  keel.crash(paths.roster)
  keel.run(3_000)
  assert.equal(keel.restarts(paths.roster), 1)
  assert.equal(keel.made.get(`a:${BTC}`), made)
  assert.equal(running(keel).length, 2)
  keel.stop()
})

everySeed("other parameters are a new runner under the same name", (world) => {
  world.venue.drive(250)
  const keel = world.start({ assignments: wanted }).ready().run(3_000)
  const made = keel.made.get(`a:${BTC}`)!
  keel.command({
    commandId: "s",
    type: "swap_strategy",
    scope: { kind: "strategy", id: `a:${BTC}` },
    strategy: "a",
    params: { period: 9 },
  })
  keel.run(3_000)
  assert.deepEqual(running(keel), ["runner:a:BTC-USDT.BINANCE", "runner:b:ETH-USDT.BINANCE"].sort())
  assert.ok(keel.made.get(`a:${BTC}`)! > made)
  assert.deepEqual(
    keel.model.overview().strategies.find(({ strategy }) => strategy === "a")!.params,
    {
      period: 9,
    },
  )
  keel.stop()
})

everySeed(
  "a strategy that cannot be started, or run here, keeps no other from running",
  (world) => {
    const elsewhere = assignment("x", "XRP/USDT.BINANCE")
    const broken = assignment("broken", BTC)
    const keel = world.start({ assignments: [elsewhere, broken, ...wanted] }).ready().run(30_000)
    const runs = running(keel)
    assert.ok(runs.includes("runner:a:BTC-USDT.BINANCE"), runs.join())
    assert.ok(runs.includes("runner:b:ETH-USDT.BINANCE"), runs.join())
    assert.ok(!runs.includes("runner:broken:BTC-USDT.BINANCE"), runs.join())
    assert.equal(keel.restarts(paths.roster), 0)
    const status = new Map(keel.model.overview().strategies.map((each) => [each.id, each.status]))
    assert.equal(status.get(broken.id), "stopped")
    assert.equal(status.get(elsewhere.id), "stopped")
    keel.stop()
  },
)

everySeed("a strategy that crashes again and again comes back, and the others stay up", (world) => {
  const keel = world.start({ assignments: wanted }).ready()
  const startedAt = node(keel, "runner:b:ETH-USDT.BINANCE")!.startedAt
  for (let i = 0; i < 8; i++) {
    keel.system.crash(`${paths.strategies}/runner:a:BTC-USDT.BINANCE`, "again")
    keel.until(() => node(keel, "runner:a:BTC-USDT.BINANCE")?.status === "running", 20_000)
  }
  keel.run(5_000)
  assert.equal(running(keel).length, 2)
  assert.equal(keel.restarts(paths.strategies), 0)
  assert.equal(node(keel, "runner:b:ETH-USDT.BINANCE")!.startedAt, startedAt)
  keel.stop()
})

function running(keel: Keel): ReadonlyArray<string> {
  return keel.node(paths.strategies).children
    .filter(({ status }) => status === "running")
    .map(({ name }) => name)
    .sort()
}

function node(keel: Keel, name: string) {
  return keel.node(paths.strategies).children.find((each) => each.name === name)
}
