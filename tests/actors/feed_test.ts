import assert from "node:assert/strict"
import { Effect } from "effect"
import { backoffMs } from "../../domain/backoff.ts"
import { linkDefaults } from "../../domain/link.ts"
import type { Bar } from "../../domain/market.ts"
import { limits } from "../../limits.ts"
import {
  Closed,
  Forbidden,
  Overrun,
  Silent,
  Throttled,
  type VenueFailure,
} from "../../venues/market_data.ts"
import { BTC, ETH, unreachable, VENUE } from "./fakes.ts"
import {
  assignment,
  everySeed,
  type Keel,
  paths,
  STALE_AFTER_MS,
  START_MS,
  type World,
} from "./harness.ts"

const { attemptsMax, baseMs, capMs } = limits.reconnect
const { forbiddenProbeMs, stableMs } = linkDefaults

function trading(world: World, more: Parameters<World["start"]>[0] = {}): Keel {
  world.venue.drive(250)
  return world.start(more).ready().run(3_000)
}

function status(world: World) {
  return world.books().feeds.get(VENUE)?.status
}

function denials(world: World) {
  return world.events("OrderDenied").map(({ code }) => code)
}

everySeed("a lost stream denies entries and lets exits pass", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 1)
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  keel.run(10)
  assert.equal(status(world), "lost")
  keel.signal("enter", ETH)
  keel.signal("exit", BTC)
  keel.run(1_000)
  assert.deepEqual(denials(world), ["MARKET_DATA_STALE"])
  assert.deepEqual(world.venue.submits.map(({ side }) => side), ["buy", "sell"])
  keel.stop()
})

everySeed("reconnection waits longer and longer, with jitter, never beyond the cap", (world) => {
  const keel = trading(world)
  world.venue.connectsAt.length = 0
  world.venue.marketDown = unreachable
  const lostAt = world.time.now
  world.venue.cutMarket()
  keel.run(600_000)
  const lost = world.events("FeedLost")
  assert.deepEqual(lost.map(({ attempt }) => attempt), lost.map((_, index) => index + 1))
  const { connectsAt } = world.venue
  assert.ok(connectsAt.length > 20, `${connectsAt.length} attempts`)
  let before = lostAt
  connectsAt.forEach((at, index) => {
    const waited = at - before
    const full = Math.min(capMs, baseMs * 2 ** index)
    // A refusal takes the fake 20 ms.
    assert.ok(waited >= full / 10 - 1, `attempt ${index + 1} after ${waited} ms`)
    assert.ok(waited <= full + 25, `attempt ${index + 1} after ${waited} ms`)
    before = at + 20
  })
  assert.equal(backoffMs(limits.reconnect, 20, 0.999), Math.round(capMs * 0.999))
  keel.stop()
})

everySeed("a stream that flaps stays within the venue's budget, and is forgiven", (world) => {
  const keel = trading(world)
  const { venue } = world
  venue.connectsAt.length = 0
  const startedAt = world.time.now
  while (world.time.now - startedAt < 600_000) {
    keel.until(() => status(world) === "streaming", 60_000).run(100)
    venue.cutMarket()
    keel.run(10)
  }
  // Every outage ended with data: for people the count begins again.
  assert.ok(world.events("FeedLost").every(({ attempt }) => attempt === 1))
  const { connectsAt } = venue
  for (const [index, at] of connectsAt.entries()) {
    const soon = connectsAt.slice(index).filter((each) => each < at + 300_000)
    assert.ok(soon.length <= 85, `${soon.length} connections in five minutes`)
  }
  keel.until(() => status(world) === "streaming", 60_000).run(60_000)
  venue.cutMarket()
  const lostAt = world.time.now
  keel.run(10)
  keel.until(() => status(world) === "streaming", 60_000)
  assert.ok(world.time.now - lostAt < baseMs + stableMs + 500, `${world.time.now - lostAt} ms`)
  keel.stop()
})

everySeed("after five attempts there is one alert, updated, and prices are polled", (world) => {
  const keel = trading(world)
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  keel.until(() => world.events("FeedLost").length === attemptsMax - 1)
  assert.equal(world.books().alerts.size, 0)
  assert.equal(world.venue.polls.length, 0)
  keel.until(() => world.events("FeedLost").length === attemptsMax).run(3_000)
  assert.equal(status(world), "polling")
  assert.equal(world.events("FeedPolling").length, 1)
  assert.ok(world.venue.polls.length > 0)
  keel.run(300_000)
  const alerts = [...world.books().alerts.values()]
  assert.deepEqual(alerts.map(({ id, resolvedAt }) => [id, resolvedAt]), [[
    `feed:${VENUE}`,
    undefined,
  ]])
  const attempts = world.events("FeedLost").length
  assert.match(alerts[0]!.detail, new RegExp(`attempt ${attempts}\\.`))
  assert.ok(alerts[0]!.updatedAt > alerts[0]!.raisedAt)
  assert.equal(world.events("FeedPolling").length, 1)
  // Polling is spent waiting: at most one round in its interval.
  const gaps = world.venue.polls.slice(1).map((at, index) => at - world.venue.polls[index]!)
  assert.ok(Math.min(...gaps) >= 20)
  keel.stop()
})

everySeed("data ends an outage, a handshake does not", (world) => {
  const keel = trading(world)
  const { venue } = world
  venue.mute = true
  venue.cutMarket()
  // Connected for a while, and nothing is said.
  keel.until(() => venue.streaming).run(2_000)
  assert.equal(status(world), "lost")
  assert.equal(world.events("FeedRestored").length, 1)
  keel.until(() => world.events("FeedLost").length >= 3)
  assert.ok(world.events("FeedLost").slice(1).every(({ cause }) => cause.includes("no data")))
  venue.mute = false
  keel.until(() => status(world) === "streaming")
  const restored = world.events("FeedRestored")
  assert.equal(restored.length, 2)
  assert.ok(restored[1]!.outageMs > 6_000)
  // The count begins again.
  venue.cutMarket()
  keel.run(10)
  assert.equal(world.events("FeedLost").at(-1)!.attempt, 1)
  keel.stop()
})

everySeed(
  "when data returns the feed leaves polling by itself and the alert is resolved",
  (world) => {
    const keel = trading(world)
    world.venue.marketDown = unreachable
    world.venue.cutMarket()
    keel.until(() => status(world) === "polling").run(20_000)
    world.venue.marketDown = undefined
    keel.until(() => status(world) === "streaming", capMs + 1_000).run(100)
    const alert = world.books().alerts.get(`feed:${VENUE}`)!
    assert.notEqual(alert.resolvedAt, undefined)
    const { polls } = world.venue
    const { length } = polls
    keel.run(30_000)
    assert.equal(polls.length, length)
    keel.signal("enter")
    keel.run(1_000)
    assert.equal(world.venue.submits.length, 1)
    keel.stop()
  },
)

everySeed("a loss is told at once, and the next connection waits for the goodbye", (world) => {
  const keel = trading(world)
  const { venue } = world
  venue.leavingTakesMs = 8_000
  const connects = venue.connectsAt.length
  venue.mute = true
  const mutedAt = world.time.now
  keel.until(() => status(world) === "lost")
  assert.ok(world.time.now - mutedAt < 3_500, `${world.time.now - mutedAt} ms`)
  const lostAt = world.time.now
  keel.until(() => venue.connectsAt.length > connects)
  assert.ok(world.time.now - lostAt >= 7_500, `${world.time.now - lostAt} ms`)
  venue.mute = false
  keel.until(() => status(world) === "streaming")
  keel.stop()
})

everySeed("a price that is slow in coming does not hold up the next attempt", (world) => {
  const keel = trading(world)
  world.venue.marketDown = unreachable
  world.venue.quotesTakeMs = 10 * capMs
  world.venue.cutMarket()
  keel.until(() => status(world) === "polling").run(2 * capMs)
  assert.ok(world.venue.polls.length > 1)
  world.venue.marketDown = undefined
  keel.until(() => status(world) === "streaming", capMs + 2_000)
  keel.stop()
})

everySeed("polled prices close positions and never open one", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  keel.until(() => status(world) === "polling").run(3_000)
  const line = keel.model.feeds.get(VENUE)!.instruments.find((each) => each.instrument === BTC)!
  assert.equal(line.source, "rest")
  assert.equal(line.fresh, false)
  keel.signal("enter", ETH)
  keel.signal("exit", BTC)
  keel.run(1_000)
  assert.deepEqual(denials(world), ["MARKET_DATA_STALE"])
  assert.deepEqual(world.venue.submits.map(({ side }) => side), ["buy", "sell"])
  assert.equal(world.events("OrderFilled").length, 2)
  keel.stop()
})

everySeed("a mute stream is cut after staleAfterMs and found lost", (world) => {
  const keel = trading(world)
  world.venue.mute = true
  const mutedAt = world.time.now
  keel.until(() => status(world) === "lost")
  const took = world.time.now - mutedAt
  assert.ok(took <= STALE_AFTER_MS + limits.feed.sweepEveryMs + 10, `${took} ms`)
  assert.match(world.events("FeedLost")[0]!.cause, /no data for 3000 ms/)
  keel.stop()
})

everySeed("a stream that never says anything is cut, too", (world) => {
  world.venue.faults.connects.push("mute")
  world.venue.drive(250)
  const keel = world.start()
  keel.until(() => status(world) === "lost", 2 * STALE_AFTER_MS + 500)
  keel.until(() => status(world) === "streaming")
  keel.stop()
})

everySeed("an instrument that has gone quiet among others is denied as stale", (world) => {
  const keel = trading(world)
  world.venue.drive(100_000)
  const beat = () => {
    world.venue.print(ETH, "100")
    world.venue.later(250, beat)
  }
  beat()
  keel.run(STALE_AFTER_MS + 500)
  assert.equal(status(world), "streaming")
  keel.signal("enter", BTC)
  keel.signal("enter", ETH)
  keel.run(1_000)
  assert.deepEqual(denials(world), ["MARKET_DATA_STALE"])
  assert.deepEqual(world.venue.submits.map(({ instrument }) => instrument), [ETH])
  keel.stop()
})

everySeed("a trade that comes twice counts once", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const trade = world.venue.tape.findLast(({ instrument }) => instrument === BTC)!
  for (let i = 0; i < 5; i++) world.venue.emit(trade)
  keel.run(3_000)
  const line = keel.model.feeds.get(VENUE)!.instruments.find((each) => each.instrument === BTC)!
  assert.equal(line.duplicates, 5)
  const live = liveBars(keel, "a")
  for (const bar of live.slice(1)) assert.deepEqual(bar.trades, onTape(world, bar), name(bar))
  keel.stop()
})

everySeed("what was missed is read again, and bars are as if nothing had happened", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const id = `a:${BTC}`
  assert.equal(keel.made.get(id), 2)
  // In the middle of a bar.
  keel.run(400)
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  keel.run(4_000)
  world.venue.marketDown = undefined
  keel.until(() => status(world) === "streaming").run(4_000)
  // It has missed nothing, so it need not read history.
  assert.equal(keel.made.get(id), 2)
  const bars = liveBars(keel, "a")
  for (const bar of bars) assert.equal(bar.trades, onTape(world, bar), name(bar))
  assertNoHole(bars)
  const [gap, ...more] = world.events("Gap").filter(({ instrument }) => instrument === BTC)
  assert.deepEqual(more, [])
  assert.equal(gap!.complete, true)
  assert.ok(gap!.recovered >= 15, `${gap!.recovered} trades`)
  keel.stop()
})

everySeed(
  "no bar is built across a hole that cannot be filled, and history is read again",
  (world) => {
    const keel = trading(world, { assignments: [assignment("a", BTC)] })
    const id = `a:${BTC}`
    keel.run(400)
    world.venue.marketDown = unreachable
    world.venue.tradesDown = unreachable
    world.venue.cutMarket()
    keel.run(4_000)
    world.venue.marketDown = undefined
    keel.until(() => status(world) === "streaming").run(4_000)
    assert.equal(keel.made.get(id), 3)
    assert.equal(keel.model.runners.get(id)?.status, "running")
    const bars = liveBars(keel, "a")
    for (const bar of bars) assert.equal(bar.trades, onTape(world, bar), name(bar))
    assertNoHole(bars)
    const gaps = world.events("Gap").filter(({ instrument }) => instrument === BTC)
    assert.deepEqual(gaps.map(({ complete, recovered }) => [complete, recovered]), [[false, 0]])
    keel.stop()
  },
)

everySeed("a bar whose end nobody has heard is not closed by the clock", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const { venue, time } = world
  keel.run(1_000 - (time.now - START_MS) % 1_000 + 600)
  // Silent from the middle of a bar on, while the market goes on.
  venue.mute = true
  keel.run(2_000)
  const bars = liveBars(keel, "a")
  assert.ok(bars.every(({ openTime }) => openTime + 1_000 <= time.now - 1_900), name(bars.at(-1)!))
  venue.cutMarket()
  venue.mute = false
  keel.run(10_000)
  for (const bar of liveBars(keel, "a")) assert.equal(bar.trades, onTape(world, bar), name(bar))
  keel.stop()
})

everySeed("a bar that the clock has closed is not published again by a late trade", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const { time, venue } = world
  // Quotes go on, trades do not: the clock has to close the bar.
  venue.drive(100_000)
  const quote = () => {
    venue.emit(venue.quote(BTC))
    venue.later(200, quote)
  }
  quote()
  keel.run(2_000)
  const closedBar = liveBars(keel, "a").at(-1)!
  assert.ok(time.now - closedBar.openTime > 1_900)
  venue.print(BTC, "100", closedBar.openTime + 999)
  keel.run(100)
  venue.print(BTC, "100")
  keel.run(3_000)
  const times = liveBars(keel, "a").map(({ openTime }) => openTime)
  assert.deepEqual(times, [...new Set(times)])
  keel.stop()
})

everySeed("a price that has waited to be read is as old as it is", (world) => {
  const disk = { delayMs: 0 }
  const keel = trading(world, {
    store: (store) => ({
      ...store,
      append: (records) => Effect.suspend(() => Effect.delay(store.append(records), disk.delayMs)),
    }),
  })
  const { venue } = world
  // The feed writes for four seconds that it is lost; what comes meanwhile waits in its mailbox.
  disk.delayMs = 4_000
  venue.cutMarket()
  keel.run(800)
  assert.ok(venue.streaming)
  venue.drive(100_000)
  const beat = () => {
    venue.print(ETH, "100")
    venue.later(250, beat)
  }
  beat()
  keel.run(3_100)
  disk.delayMs = 0
  keel.run(200)
  assert.equal(status(world), "streaming")
  keel.signal("enter", BTC)
  keel.signal("enter", ETH)
  keel.run(500)
  assert.deepEqual(denials(world), ["MARKET_DATA_STALE"])
  assert.deepEqual(venue.submits.map(({ instrument }) => instrument), [ETH])
  keel.stop()
})

everySeed("more events than the mailbox holds are an outage, not growth", (world) => {
  const keel = trading(world, {
    change: (options) => ({
      ...options,
      feeds: options.feeds.map((each) => ({ ...each, mailboxMax: 50 })),
    }),
  })
  // All at once: nobody can read in between.
  for (let i = 0; i < 200; i++) world.venue.print(BTC, "100")
  keel.run(10)
  assert.match(world.events("FeedLost")[0]?.cause ?? "", /too slow/)
  assert.equal(status(world), "lost")
  keel.until(() => status(world) === "streaming")
  assert.equal(keel.restarts(paths.feed), 0)
  keel.stop()
})

const waits: ReadonlyArray<readonly [string, VenueFailure, number]> = [
  ["what Retry-After says", new Throttled({ status: 429, retryAfterMs: 45_000 }), 45_000],
  ["very long when it is forbidden", new Forbidden({ detail: "region" }), forbiddenProbeMs],
]
for (const [what, reason, waitMs] of waits) {
  everySeed(`the feed waits ${what}`, (world) => {
    const keel = trading(world)
    world.venue.connectsAt.length = 0
    world.venue.faults.connects.push(reason)
    world.venue.cutMarket(reason)
    const lostAt = world.time.now
    keel.run(3 * waitMs)
    const [first, second] = world.venue.connectsAt
    assert.equal(first! - lostAt, waitMs)
    assert.equal(second! - first!, waitMs + 20)
    assert.equal(world.venue.connectsAt.length, 2)
    keel.stop()
  })
}

everySeed("who has been told to wait does not poll meanwhile", (world) => {
  const keel = trading(world)
  world.venue.marketDown = new Throttled({ status: 418, retryAfterMs: 10_000 })
  world.venue.cutMarket()
  keel.until(() => world.events("FeedLost").length > attemptsMax + 2, 600_000)
  assert.equal(world.venue.polls.length, 0)
  world.venue.marketDown = unreachable
  world.venue.quotesDown = new Throttled({ status: 429, retryAfterMs: 15_000 })
  keel.run(300_000)
  const gaps = world.venue.polls.slice(1).map((at, index) => at - world.venue.polls[index]!)
  assert.ok(world.venue.polls.length > 3)
  // A poll begins with every new wait; within one, the venue's word counts.
  const rate = world.venue.polls.length / 300
  assert.ok(rate < 0.15, `${rate} a second, gaps of ${gaps}`)
  keel.stop()
})

everySeed("an outage goes on when the feed crashes in it", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  const lostAt = world.time.now
  keel.until(() => status(world) === "polling")
  keel.crash(paths.feed)
  keel.run(5_000)
  assert.equal(keel.restarts(paths.feed), 1)
  assert.equal(status(world), "polling")
  assert.ok(world.events("FeedLost").at(-1)!.attempt > attemptsMax)
  world.venue.marketDown = undefined
  keel.until(() => status(world) === "streaming")
  const outageMs = world.time.now - lostAt
  assert.ok(Math.abs(world.events("FeedRestored").at(-1)!.outageMs - outageMs) < 50)
  keel.stop()
})

everySeed("a feed that crashes while streaming costs the strategies no bar", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  keel.run(300)
  keel.crash(paths.feed)
  keel.run(6_000)
  assert.equal(keel.restarts(paths.feed), 1)
  assert.equal(keel.restarts(`${paths.strategies}/runner:a:BTC-USDT.BINANCE`), 0)
  const bars = liveBars(keel, "a")
  for (const bar of bars) assert.equal(bar.trades, onTape(world, bar), name(bar))
  assertNoHole(bars)
  keel.stop()
})

for (
  const reason of [
    new Closed({ code: 1006, detail: "" }),
    new Silent({ what: "connection", afterMs: 3_000 }),
    new Overrun({ waiting: 9 }),
  ]
) {
  everySeed(`a stream that ends with ${reason._tag} is connected again`, (world) => {
    const keel = trading(world)
    world.venue.cutMarket(reason)
    keel.until(() => world.events("FeedRestored").length === 2, baseMs + stableMs + 500)
    keel.stop()
  })
}

/** As the newest incarnation of the strategy has seen them, history included. */
function liveBars(keel: Keel, strategy: string): ReadonlyArray<Bar> {
  return (keel.seen.get(`${strategy}:${BTC}`) ?? []).filter((each) => each._tag === "Bar")
}

function onTape({ venue }: World, { instrument, openTime, intervalMs }: Bar): number {
  return venue.tape.filter((each) =>
    each.instrument === instrument && each.time >= openTime && each.time < openTime + intervalMs
  ).length
}

/** The market trades in every second: so has every second to have its bar. */
function assertNoHole(bars: ReadonlyArray<Bar>) {
  assert.ok(bars.length > 3)
  bars.slice(1).forEach(({ openTime }, index) =>
    assert.equal(openTime - bars[index]!.openTime, 1_000, `hole before ${openTime - START_MS}`)
  )
}

function name(bar: Bar): string {
  return `bar at ${bar.openTime - START_MS} with ${bar.trades} trades`
}
