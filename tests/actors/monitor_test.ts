import assert from "node:assert/strict"
import { Journal } from "../../actors/journal.ts"
import { prometheusText } from "../../actors/metrics.ts"
import { decimalPattern } from "../../domain/decimal.ts"
import { whyNotTrading } from "../../domain/explanation.ts"
import type { Overview } from "../../domain/overview.ts"
import { limits } from "../../limits.ts"
import { BTC, ETH, unreachable, VENUE } from "./fakes.ts"
import { assignment, everySeed, type Keel, paths, World } from "./harness.ts"

const A = `a:${BTC}`

function trading(world: World): Keel {
  world.venue.drive(250, () => world.random() - 0.5)
  const keel = world.start({ assignments: [assignment("a", BTC), assignment("b", ETH)] })
  keel.ready().run(3_000)
  keel.signal("enter", BTC, A)
  keel.run(2_000)
  return keel
}

/** Design, section 7: other programs read these names. */
const contract = {
  state: [
    "seq",
    "asOf",
    "mode",
    "tradingState",
    "accounts",
    "positions",
    "orders",
    "fills",
    "strategies",
    "feeds",
    "actors",
    "alerts",
    "equity",
  ],
  position: [
    "instrument",
    "quantity",
    "averagePrice",
    "markPrice",
    "markAgeMs",
    "unrealisedPnl",
    "realisedPnl",
  ],
  order: [
    "clientOrderId",
    "venueOrderId",
    "instrument",
    "side",
    "type",
    "quantity",
    "filledQuantity",
    "price",
    "status",
    "time",
  ],
  fill: [
    "executionId",
    "clientOrderId",
    "instrument",
    "side",
    "quantity",
    "price",
    "fee",
    "feeAsset",
    "time",
  ],
  equity: ["total", "cash", "realisedPnl", "unrealisedPnl", "fees", "asOf"],
  feed: ["venue", "status", "attempt", "lastDataAt", "instruments"],
  feedInstrument: ["instrument", "price", "ageMs", "source", "fresh"],
  actor: ["path", "status", "restarts", "mailboxDepth", "ratePerSecond", "lastCause"],
} as const

everySeed("the state has every name of the contract, money as text, times as numbers", (world) => {
  const keel = trading(world)
  // As it leaves the process.
  const state = JSON.parse(JSON.stringify(keel.model.overview()))
  const has = (value: unknown, names: ReadonlyArray<string>) => {
    for (const name of names) assert.ok(name in Object(value), `${name} is missing`)
  }
  has(state, contract.state)
  has(state.positions[0], contract.position)
  has(state.orders[0], contract.order)
  has(state.fills[0], contract.fill)
  has(state.equity, contract.equity)
  has(state.feeds[0], contract.feed)
  has(state.feeds[0].instruments[0], contract.feedInstrument)
  for (const actor of state.actors) has(actor, contract.actor)
  const money: ReadonlyArray<unknown> = [
    ...["quantity", "averagePrice", "markPrice", "unrealisedPnl", "realisedPnl"]
      .map((name) => state.positions[0][name]),
    ...["quantity", "filledQuantity"].map((name) => state.orders[0][name]),
    ...["quantity", "price", "fee"].map((name) => state.fills[0][name]),
    ...["total", "cash", "realisedPnl", "unrealisedPnl", "fees"].map((name) => state.equity[name]),
  ]
  for (const each of money) {
    assert.equal(typeof each, "string")
    assert.match(String(each), decimalPattern)
  }
  for (const time of [state.asOf, state.orders[0].time, state.fills[0].time, state.equity.asOf]) {
    assert.ok(Number.isInteger(time), String(time))
  }
  assert.equal(state.seq, world.books().seq)
  assert.equal(state.mode, "sim")
  assert.equal(state.tradingState, "active")
  assert.equal(state.orders[0].price, null)
  keel.stop()
})

everySeed(
  "whoever asks why nothing is traded is told of a hold, though nothing is held",
  (world) => {
    const keel = trading(world)
    const why = () =>
      whyNotTrading(keel.model.overview(), VENUE).flatMap(({ obstacles, subject }) =>
        subject.includes("ETH") ? obstacles.map(({ code }) => code) : []
      )
    assert.deepEqual(why(), [])
    keel.command({ commandId: "p", type: "pause", scope: { kind: "instrument", id: ETH } })
    keel.run(100)
    // The instrument's own, and its strategy's.
    assert.deepEqual(why(), ["POSITION_ON_HOLD", "POSITION_ON_HOLD"])
    keel.stop()
  },
)

everySeed("the state is what the journal says, seen now", (world) => {
  const keel = trading(world)
  const { accounts, feeds, fills, orders, positions, strategies } = keel.model.overview()
  assert.deepEqual(accounts.map(({ status, link, venue }) => [venue, status, link]), [
    [VENUE, "ready", "streaming"],
  ])
  assert.deepEqual(orders.map(({ clientOrderId, status }) => [clientOrderId, status]), [
    ["keel-test-binance-1", "filled"],
  ])
  assert.equal(fills.length, 1)
  assert.deepEqual(
    positions.map(({ instrument, markAuthority, strategies }) => [
      instrument,
      markAuthority,
      ...strategies,
    ]),
    [[BTC, "may_open", A]],
  )
  assert.deepEqual(strategies.map(({ id, status }) => [id, status]), [
    [A, "running"],
    [`b:${ETH}`, "running"],
  ])
  assert.equal(feeds[0]!.status, "streaming")
  assert.ok(feeds[0]!.instruments.every(({ fresh, ageMs }) => fresh && ageMs! <= 250))
  keel.stop()
})

everySeed("ages go on while nothing is heard, and stale is not fresh", (world) => {
  const keel = trading(world)
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  keel.run(10_000)
  const state = keel.model.overview()
  const line = state.feeds[0]!.instruments.find(({ instrument }) => instrument === BTC)!
  assert.ok(state.feeds[0]!.status === "reconnecting" || state.feeds[0]!.status === "polling")
  assert.equal(line.fresh, false)
  if (line.source === "stream") assert.ok(line.ageMs! >= 9_700, `${line.ageMs}`)
  assert.notEqual(state.positions[0]!.markAuthority, "may_open")
  assert.ok(state.feeds[0]!.attempt > 0)
  assert.ok(state.feeds[0]!.cause)
  keel.stop()
})

everySeed("the picture survives a crash of the monitor, and says nothing twice", (world) => {
  const keel = trading(world)
  const heard: Array<number> = []
  keel.model.onRecord(({ seq }) => void heard.push(seq))
  const from = world.books().seq
  keel.command({ commandId: "p", type: "pause", scope: { kind: "all" } })
  keel.run(100)
  keel.crash(paths.monitor)
  keel.command({ commandId: "r", type: "resume", scope: { kind: "all" } })
  keel.run(3_000)
  assert.equal(keel.restarts(paths.monitor), 1)
  const others = [...keel.allRestarts()].filter(([path, count]) =>
    count > 0 && path !== paths.monitor
  )
  assert.deepEqual(others, [])
  const { events, positions, seq } = keel.model.overview()
  assert.equal(seq, world.books().seq)
  assert.equal(positions.length, 1)
  const seqs = events.map((each) => each.seq)
  assert.deepEqual(seqs, seqs.map((_, index) => seq - index))
  // Whoever listens has heard every record once, the ones of the restart too.
  assert.deepEqual(heard, heard.map((_, index) => from + 1 + index))
  assert.equal(heard.at(-1), seq)
  assert.equal(keel.progress("p").length, 1)
  keel.stop()
})

Deno.test("the lines of a command are told from its beginning, once, to their end", async () => {
  const world = new World()
  const keel = trading(world)
  keel.command({ commandId: "c", type: "close_position", scope: { kind: "position", id: BTC } })
  keel.until(() => keel.progress("c").at(-1)?.final === true).run(300)
  keel.crash(paths.monitor)
  keel.run(1_000)
  const told: Array<string> = []
  for await (const { text } of keel.model.progress("c")) told.push(text)
  assert.deepEqual(told, keel.progress("c").map(({ text }) => text))
  keel.stop()
})

Deno.test("a command that ended long ago has an end for whoever watches it", async () => {
  const world = new World()
  const first = trading(world)
  first.command({ commandId: "c", type: "close_position", scope: { kind: "position", id: BTC } })
  first.until(() => first.progress("c").at(-1)?.final === true)
  const append = Array.from({ length: limits.overview.events }, (_, at) => (
    { _tag: "AlertResolved", id: String(at) } as const
  ))
  first.send(Journal, { _tag: "Append", events: append, after: 0, reply: undefined })
  first.run(100).kill()
  const keel = world.start().ready()
  const told: Array<string> = []
  for await (const { text } of keel.model.progress("c")) told.push(text)
  assert.deepEqual(told, ["It has ended; its last steps are in the journal."])
  keel.stop()
})

everySeed("after a restart of the process the past is shown again", (world) => {
  const first = trading(world)
  first.run(20_000)
  const before = first.model.overview()
  first.kill()
  const second = world.start().ready().run(2_000)
  const after = second.model.overview()
  assert.deepEqual(after.fills, before.fills)
  assert.deepEqual(after.orders, before.orders)
  assert.equal(after.positions[0]!.quantity, before.positions[0]!.quantity)
  assert.ok(after.events.some(({ type }) => type === "OrderFilled"))
  assert.ok(second.model.series(BTC)!.pnl.length > 1)
  assert.ok(second.model.series(BTC)!.price.length > 10)
  assert.equal(second.model.series("X"), undefined)
  second.stop()
})

everySeed("what is shown is bounded", (world) => {
  const keel = trading(world)
  for (let i = 0; i < 150; i++) {
    keel.signal(i % 2 === 0 ? "exit" : "enter", BTC, A)
    keel.run(400)
  }
  const { events, fills, orders } = keel.model.overview()
  assert.equal(events.length, limits.overview.events)
  assert.ok(orders.length <= limits.overview.orders)
  assert.ok(fills.length <= limits.overview.fills)
  assert.ok(keel.model.series(BTC)!.price.length <= limits.overview.points)
  keel.stop()
})

Deno.test("the metrics are Prometheus text, and true", () => {
  const world = new World()
  const keel = trading(world)
  keel.crash(paths.feed)
  keel.run(3_000)
  const overview = keel.model.overview()
  const samples = parsePrometheus(prometheusText(overview))
  const value = (name: string, labels: Record<string, string> = {}) => {
    const found = samples.find((each) =>
      each.name === name && Object.entries(labels).every(([key, text]) => each.labels[key] === text)
    )
    assert.ok(found, `no ${name} ${JSON.stringify(labels)}`)
    return found.value
  }
  assert.equal(value("keel_journal_seq"), overview.seq)
  assert.equal(value("keel_trading_active"), 1)
  assert.equal(value("keel_account_ready", { venue: VENUE }), 1)
  assert.equal(value("keel_feed_streaming", { venue: VENUE }), 1)
  assert.equal(value("keel_actor_restarts_total", { path: paths.feed }), 1)
  assert.equal(value("keel_equity", { part: "total" }), Number(overview.equity.total))
  assert.equal(
    value("keel_position_quantity", { instrument: BTC }),
    Number(overview.positions[0]!.quantity),
  )
  assert.ok(value("keel_price_age_seconds", { instrument: ETH }) < 1)
  keel.stop()
})

Deno.test("the metrics keep labels apart that hold quotes, strokes and line ends", () => {
  const world = new World()
  const keel = trading(world)
  const odd = 'a"b\\c\nd'
  const overview: Overview = {
    ...keel.model.overview(),
    actors: keel.model.overview().actors.map((actor) => ({ ...actor, path: odd })),
  }
  const found = parsePrometheus(prometheusText(overview))
    .filter(({ name }) => name === "keel_actor_restarts_total")
  assert.ok(found.length > 0)
  assert.ok(found.every(({ labels }) => labels.path === odd))
  keel.stop()
})

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Exposition format 0.0.4; throws at what is none. Each family comes once, its help and type first. */
function parsePrometheus(text: string): ReadonlyArray<Sample> {
  assert.ok(text.endsWith("\n"))
  const families = new Map<string, string>()
  const samples: Array<Sample> = []
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP ([a-z_]+) (.+)$/.exec(line)
    if (help) {
      assert.ok(!families.has(help[1]!), `${help[1]} comes twice`)
      families.set(help[1]!, "")
      continue
    }
    const type = /^# TYPE ([a-z_]+) (gauge|counter)$/.exec(line)
    if (type) {
      assert.equal(families.get(type[1]!), "")
      families.set(type[1]!, type[2]!)
      continue
    }
    const sample = /^([a-z_]+)(?:\{(.*)\})? (-?\d+(?:\.\d+)?)$/.exec(line)
    assert.ok(sample, `not a sample: ${line}`)
    const [, name, inner, value] = sample
    assert.ok(families.get(name!), `${name} has no type`)
    const labels: Record<string, string> = {}
    for (const [, key, quoted] of (inner ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[key!] = quoted!.replace(/\\(.)/g, (_, escaped) => escaped === "n" ? "\n" : escaped)
    }
    samples.push({ name: name!, labels, value: Number(value) })
  }
  return samples
}
