import assert from "node:assert/strict"
import { Effect } from "effect"
import type { FeedOptions } from "../../actors/feed.ts"
import { Journal } from "../../actors/journal.ts"
import type { TreeOptions } from "../../actors/tree.ts"
import { newYorkTime } from "../../domain/calendar.ts"
import { decimal } from "../../domain/decimal.ts"
import { linkDefaults } from "../../domain/link.ts"
import type { Bar } from "../../domain/market.ts"
import { limits } from "../../limits.ts"
import { Announced, Closed, SlotBusy, Throttled } from "../../venues/market_data.ts"
import { BTC, ETH, instrument, unreachable, VENUE } from "./fakes.ts"
import {
  assignment,
  everySeed,
  type Keel,
  paths,
  STALE_AFTER_MS,
  START_MS,
  type World,
} from "./harness.ts"

const { attemptsMax, baseMs } = limits.reconnect
const { flappingStableMs, flapWindowMs, stableMs } = linkDefaults

function trading(world: World, more: Parameters<World["start"]>[0] = {}): Keel {
  world.venue.drive(250)
  return world.start(more).ready().run(3_000)
}

function feedsWith(change: Partial<FeedOptions>) {
  return (options: TreeOptions): TreeOptions => ({
    ...options,
    feeds: options.feeds.map((each) => ({ ...each, ...change })),
  })
}

function status(world: World) {
  return world.books().feeds.get(VENUE)?.status
}

function view(keel: Keel) {
  return keel.model.feeds.get(VENUE)!
}

function line(keel: Keel, id = BTC) {
  return view(keel).instruments.find((each) => each.instrument === id)!
}

function denials(world: World) {
  return world.events("OrderDenied").map(({ code }) => code)
}

function openAlerts(world: World) {
  return [...world.books().alerts.values()].filter(({ resolvedAt }) => resolvedAt === undefined)
    .map(({ id }) => id)
}

function raised(world: World, id: string) {
  return world.events("AlertRaised").filter((each) => each.id === id).length
}

/** As the newest incarnation of the strategy has seen them, history included. */
function bars(keel: Keel, strategy = "a"): ReadonlyArray<Bar> {
  return (keel.seen.get(`${strategy}:${BTC}`) ?? []).filter((each) => each._tag === "Bar")
}

function assertAsOnTape(world: World, seen: ReadonlyArray<Bar>) {
  assert.ok(seen.length > 3, `${seen.length} bars`)
  for (const { openTime, trades } of seen) {
    const onTape = world.venue.tape.filter((each) =>
      each.instrument === BTC && each.time >= openTime && each.time < openTime + 1_000
    )
    assert.equal(trades, onTape.length, `bar at ${openTime - START_MS}`)
  }
  const times = seen.map(({ openTime }) => openTime)
  assert.deepEqual(times, [...new Set(times)].toSorted((a, b) => a - b))
}

// ---- clocks --------------------------------------------------------------------------------

for (const skewMs of [1_270, -20_000]) {
  everySeed(`a venue whose clock is ${skewMs} ms ahead is neither stale nor late`, (world) => {
    world.venue.skewMs = skewMs
    const keel = trading(world, { assignments: [assignment("a", BTC)] })
    keel.run(5_000)
    assert.equal(status(world), "streaming")
    assert.deepEqual([view(keel).lagMs, view(keel).clockOffsetMs], [0, -skewMs])
    assert.equal(line(keel).fresh, true)
    assertAsOnTape(world, bars(keel))
    // A bar ends when the venue's clock says so.
    const venueNow = world.time.now + skewMs
    const last = bars(keel).at(-1)!
    const sinceEnd = venueNow - last.openTime - 1_000
    assert.ok(sinceEnd >= 0 && sinceEnd < 1_000 + limits.feed.barGraceMs + 300, `${sinceEnd} ms`)
    keel.signal("enter")
    keel.run(500)
    assert.equal(world.venue.submits.length, 1)
    keel.stop()
  })
}

everySeed("a stream that falls behind its market loses its authority, and is cut", (world) => {
  const keel = trading(world)
  const { venue } = world
  // Delivered at half its rate: something arrives all the time.
  const begun = world.time.now
  const slower = () => {
    venue.lateMs = Math.max(1, world.time.now - begun)
    if (status(world) === "streaming") venue.later(100, slower)
  }
  slower()
  keel.until(() => view(keel).lagMs! > 3_000, 10_000)
  keel.signal("enter")
  keel.run(300)
  assert.deepEqual(denials(world), ["MARKET_DATA_STALE"])
  keel.until(() => status(world) === "lost", 5_000)
  assert.match(world.events("FeedLost")[0]!.cause, /events come \d+ ms late/)
  keel.run(600)
  assert.ok(openAlerts(world).includes(`feed:${VENUE}:lagging`))
  venue.lateMs = 0
  keel.until(() => status(world) === "streaming", 5_000).run(1_000)
  assert.deepEqual(openAlerts(world), [])
  keel.stop()
})

everySeed("an instrument that is silent among others is polled, without authority", (world) => {
  const keel = trading(world)
  const { venue } = world
  venue.muted.add(BTC)
  const mutedAt = world.time.now
  keel.run(STALE_AFTER_MS + 300)
  assert.deepEqual([line(keel).fresh, line(keel, ETH).fresh], [false, true])
  keel.until(() => world.events("SourceChanged").length === 1, 20_000)
  assert.ok(world.time.now - mutedAt <= 10_500, `${world.time.now - mutedAt} ms`)
  keel.run(5_000)
  assert.equal(line(keel).source, "rest")
  assert.ok(line(keel).ageMs! < 2_500)
  keel.signal("enter", BTC)
  keel.run(200)
  assert.deepEqual(denials(world), ["MARKET_DATA_STALE"])
  // Heard once, and silent again: that is no change.
  venue.muted.clear()
  keel.run(300)
  venue.muted.add(BTC)
  keel.run(20_000)
  venue.muted.clear()
  keel.run(8_000)
  assert.deepEqual(
    world.events("SourceChanged").map(({ instrument, source }) => [instrument, source]),
    [[BTC, "rest"], [BTC, "stream"]],
  )
  assert.equal(world.events("FeedLost").length, 0)
  assert.equal(line(keel).fresh, true)
  keel.stop()
})

// ---- holes ---------------------------------------------------------------------------------

everySeed("trades that are missing on a healthy stream are noticed and read", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const { venue } = world
  for (let i = 0; i < 4; i++) {
    keel.run(1_370)
    venue.muted.add(BTC)
    keel.run(700)
    venue.muted.clear()
  }
  keel.run(3_000)
  const gaps = world.events("Gap")
  assert.ok(gaps.length >= 4, `${gaps.length} gaps`)
  assert.ok(gaps.every(({ complete, recovered }) => complete && recovered > 0))
  assert.equal(world.events("FeedLost").length, 0)
  assertAsOnTape(world, bars(keel))
  assert.equal(keel.made.get(`a:${BTC}`), 2)
  keel.stop()
})

/** As on a tape that several exchanges print on: ids say nothing, and pages begin with a moment. */
function opaque({ venue }: World) {
  const hidden = (id: string) => `x${(Number(id) * 7_919) % 100_003}`
  return (options: TreeOptions): TreeOptions => ({
    ...options,
    feeds: options.feeds.map((each) => ({
      ...each,
      market: {
        ...each.market,
        tradeIds: "opaque" as const,
        stream: (ids, sink) =>
          each.market.stream(ids, {
            ...sink,
            event: (event) =>
              sink.event(
                event._tag === "Trade" ? { ...event, tradeId: hidden(event.tradeId) } : event,
              ),
          }),
        tradesAfter: (id, { time }) =>
          Effect.delay(
            Effect.sync(() =>
              venue.tape
                .filter((trade) =>
                  trade.instrument === id && trade.time >= time &&
                  trade.time <= venue.time.now - venue.tapeLagMs
                )
                .slice(0, 1_000)
                .map((trade) => ({ ...trade, tradeId: hidden(trade.tradeId) }))
            ),
            20,
          ),
      },
    })),
  })
}

everySeed(
  "ids that say nothing: what a mute instrument has traded is read when it speaks",
  (world) => {
    const { venue } = world
    const keel = trading(world, { assignments: [assignment("a", BTC)], change: opaque(world) })
    for (const muteMs of [STALE_AFTER_MS + 500, 12_000]) {
      keel.run(3_000)
      const before = world.events("Gap").length
      venue.muted.add(BTC)
      keel.run(muteMs)
      venue.muted.clear()
      keel.run(3_000)
      const [gap, ...more] = world.events("Gap").slice(before)
      assert.deepEqual([gap?.instrument, gap?.complete, more], [BTC, true, []])
      assert.match(gap!.cause, /^silent for \d+\.\d s, until then at most 0\.\d s$/)
    }
    assert.equal(world.events("FeedLost").length, 0)
    assertAsOnTape(world, bars(keel))
    keel.stop()
  },
)

everySeed(
  "ids that say nothing: a silence in which nothing was traded is learnt, and asked about once",
  (world) => {
    const { venue } = world
    let reads = 0
    const counted = (options: TreeOptions): TreeOptions => {
      const changed = opaque(world)(options)
      return {
        ...changed,
        feeds: changed.feeds.map((each) => ({
          ...each,
          market: {
            ...each.market,
            tradesAfter: (id, after) =>
              Effect.suspend(() => {
                reads += 1
                return each.market.tradesAfter(id, after)
              }),
          },
        })),
      }
    }
    const keel = world.start({ assignments: [assignment("a", BTC)], change: counted }).ready()
    for (const silentMs of [1_000, 8_000, 8_000, 7_000, 1_000, 7_500]) {
      venue.print(BTC, "100")
      for (let ms = 0; ms < silentMs; ms += 250) {
        venue.print(ETH, "100")
        keel.run(250)
      }
    }
    assert.deepEqual([reads, world.events("Gap")], [1, []])
    keel.stop()
  },
)

everySeed("missed trades are not read on for a connection that is gone", (world) => {
  const { venue } = world
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  venue.tradesDown = unreachable
  venue.cutMarket()
  keel.until(() => venue.tradeReads.length > 0, 5_000)
  venue.marketDown = unreachable
  venue.cutMarket()
  const asked = venue.tradeReads.length
  keel.run(3_000)
  assert.equal(venue.tradeReads.length, asked)
  venue.marketDown = venue.tradesDown = undefined
  keel.until(() => status(world) === "streaming").run(3_000)
  assertAsOnTape(world, bars(keel))
  keel.stop()
})

for (const tapeLagMs of [0, 600]) {
  everySeed(`ids that say nothing lose no trade and count none twice, tape ${tapeLagMs} ms late`, (
    world,
  ) => {
    world.venue.tapeLagMs = tapeLagMs
    const keel = trading(world, { assignments: [assignment("a", BTC)], change: opaque(world) })
    keel.run(370)
    world.venue.marketDown = unreachable
    world.venue.cutMarket()
    // More than a page, many at one moment.
    for (let i = 0; i < 1_200; i++) {
      keel.run(i % 3)
      world.venue.print(BTC, "100")
    }
    world.venue.marketDown = undefined
    keel.until(() => status(world) === "streaming").run(4_000)
    const gap = world.events("Gap").find(({ instrument }) => instrument === BTC)!
    assert.deepEqual(gap.complete, true)
    assert.ok(gap.recovered >= 1_200, `${gap.recovered} trades`)
    assertAsOnTape(world, bars(keel))
    assert.equal(keel.made.get(`a:${BTC}`), 2)
    keel.stop()
  })
}

everySeed("history that lags behind the stream is waited for", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  world.venue.tapeLagMs = 700
  world.venue.muted.add(BTC)
  keel.run(1_000)
  world.venue.muted.clear()
  keel.run(5_000)
  assert.deepEqual(world.events("Gap").map(({ complete }) => complete), [true])
  assertAsOnTape(world, bars(keel))
  keel.stop()
})

everySeed("a hole that is larger than what is read again is said to be one", (world) => {
  const keel = trading(world, {
    assignments: [assignment("a", BTC)],
    change: feedsWith({ gapTradesMax: 1_500 }),
  })
  const { venue } = world
  venue.marketDown = unreachable
  venue.cutMarket()
  for (let i = 0; i < 3_000; i++) venue.print(BTC, "100")
  keel.run(2_000)
  venue.marketDown = undefined
  keel.until(() => status(world) === "streaming").run(4_000)
  const gap = world.events("Gap").find((each) => each.instrument === BTC)!
  assert.deepEqual([gap.complete, gap.recovered], [false, 2_000])
  assert.match(gap.cause, /more than 1500 trades missed/)
  // It has read history again.
  assert.equal(keel.made.get(`a:${BTC}`), 3)
  keel.stop()
})

everySeed("a print that was wrong is taken out of the bar that is forming", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const { time, venue } = world
  keel.run(1_000 - (time.now - START_MS) % 1_000 + 100)
  venue.print(BTC, "500")
  const wrong = venue.tape.at(-1)!
  venue.print(BTC, "100")
  keel.run(100)
  const corrected = { ...wrong, price: decimal("101") }
  venue.emit({
    _tag: "TradeCorrection",
    instrument: BTC,
    tradeId: wrong.tradeId,
    corrected,
    time: time.now,
  })
  venue.tape[venue.tape.indexOf(wrong)] = corrected
  keel.run(3_000)
  const bar = bars(keel).find(({ openTime }) => openTime === wrong.time - wrong.time % 1_000)!
  assert.equal(bar.high.value, 101n)
  assert.equal(keel.made.get(`a:${BTC}`), 2)
  // One of a bar that has been seen: history is read again.
  venue.emit({ _tag: "TradeCancel", instrument: BTC, tradeId: wrong.tradeId, time: time.now })
  keel.run(3_000)
  assert.equal(keel.made.get(`a:${BTC}`), 3)
  keel.stop()
})

// ---- halts and sessions --------------------------------------------------------------------

everySeed("a halt stops entries at once and lets exits pass, until trading resumes", (world) => {
  const keel = trading(world)
  const { venue } = world
  keel.signal("enter", BTC)
  keel.run(500)
  const status = (status: "halted" | "trading") =>
    venue.emit({
      _tag: "Status",
      instrument: BTC,
      status,
      reason: "LUDP volatility trading pause",
      time: world.time.now,
    })
  status("halted")
  keel.run(5)
  keel.signal("enter", BTC, "another")
  keel.signal("enter", ETH, "third")
  keel.signal("exit", BTC)
  keel.run(500)
  assert.deepEqual(denials(world), ["INSTRUMENT_HALTED"])
  assert.deepEqual(
    venue.submits.map(({ instrument, side }) => `${side} ${instrument}`).toSorted(),
    [`buy ${BTC}`, `buy ${ETH}`, `sell ${BTC}`],
  )
  assert.deepEqual(line(keel).halt, {
    status: "halted",
    reason: "LUDP volatility trading pause",
  })
  // Said twice, written once.
  status("halted")
  keel.run(100)
  assert.equal(world.events("InstrumentHalted").length, 1)
  status("trading")
  keel.run(500)
  keel.signal("enter", BTC, "another")
  keel.run(500)
  assert.equal(world.events("InstrumentResumed").length, 1)
  assert.equal(venue.submits.length, 4)
  keel.stop()
})

everySeed("a price outside its band opens nothing", (world) => {
  const keel = trading(world)
  const band = (lower: string, upper: string) =>
    world.venue.emit({
      _tag: "PriceBand",
      instrument: BTC,
      lower: decimal(lower),
      upper: decimal(upper),
      time: world.time.now,
    })
  band("90", "100")
  keel.run(10)
  keel.signal("enter", BTC)
  keel.run(300)
  assert.deepEqual(denials(world), ["PRICE_OUTSIDE_BAND"])
  band("90", "110")
  keel.run(600)
  keel.signal("enter", BTC)
  keel.run(300)
  assert.equal(world.venue.submits.length, 1)
  keel.stop()
})

const SHARE = "SPY.BINANCE"
everySeed("a closed market is closed, not stale, and its silence no outage", (world) => {
  const { time, venue } = world
  // Sunday evening in New York; that Monday's session is one minute long, and begins in a minute.
  const opens = START_MS + 60_000
  const minutes = (opens - newYorkTime("2026-01-04", 0)) / 60_000
  venue.tradingDays = () => [{
    date: "2026-01-04",
    preOpen: minutes - 1,
    open: minutes,
    close: minutes + 1,
    postClose: minutes + 2,
  }]
  const keel = world.start().ready().run(20_000)
  assert.equal(world.events("FeedLost").length, 0)
  const stop = venue.drive(250)
  keel.run(1_000)
  keel.signal("enter", SHARE)
  keel.run(300)
  assert.deepEqual(denials(world), ["MARKET_CLOSED"])
  assert.deepEqual([line(keel, SHARE).session, line(keel, SHARE).fresh], ["pre", false])
  keel.run(opens + 1_000 - time.now)
  keel.signal("enter", SHARE)
  keel.run(300)
  assert.equal(venue.submits.length, 1)
  // A proof from before the close is no proof after it.
  keel.run(opens + 59_900 - time.now)
  assert.equal(line(keel, SHARE).session, "core")
  keel.run(101)
  keel.signal("enter", SHARE, "late")
  keel.run(300)
  assert.deepEqual(denials(world), ["MARKET_CLOSED", "MARKET_CLOSED"])
  stop()
  keel.run(600_000)
  assert.equal(world.events("FeedLost").length, 0)
  assert.equal(raised(world, `feed:${VENUE}`), 0)
  keel.stop()
}, { instruments: [SHARE] })

everySeed("silence in an open session is an outage", (world) => {
  const keel = trading(world)
  world.venue.drive(1e9)
  keel.until(() => status(world) === "lost", STALE_AFTER_MS + 600)
  keel.stop()
}, { instruments: [SHARE] })

// ---- causes --------------------------------------------------------------------------------

everySeed(
  "a place that is taken for ninety seconds is waited for, and burns no attempt",
  (world) => {
    const keel = trading(world)
    const { time, venue } = world
    venue.connectsAt.length = 0
    venue.marketDown = new SlotBusy({ detail: "406" })
    venue.cutMarket()
    const lostAt = time.now
    venue.later(90_000, () => venue.marketDown = undefined)
    keel.run(25_000)
    assert.equal(venue.polls.length, 0)
    keel.run(64_000)
    assert.ok(venue.polls.length > 10)
    assert.ok(world.events("FeedLost").every(({ attempt }) => attempt <= 1))
    assert.ok(world.events("FeedLost").slice(1).every(({ rule }) => rule === "slot_busy"))
    assert.equal(raised(world, `feed:${VENUE}`), 1)
    keel.until(() => status(world) === "streaming", 25_000)
    assert.ok(time.now - lostAt < 90_000 + 20_000 + 2_000, `${time.now - lostAt} ms`)
    assert.ok(venue.connectsAt.length <= 14, `${venue.connectsAt.length} attempts`)
    keel.run(100)
    assert.deepEqual(openAlerts(world), [])
    keel.stop()
  },
)

everySeed("an end that was announced is no alarm, and misses nothing", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  world.venue.cutMarket(new Announced({ detail: "24 hours are over" }))
  const lostAt = world.time.now
  keel.until(() => world.events("FeedRestored").length === 2, 3_000)
  assert.ok(world.time.now - lostAt < stableMs + 700, `${world.time.now - lostAt} ms`)
  assert.deepEqual(world.events("FeedLost").map(({ attempt, rule }) => [attempt, rule]), [
    [0, "planned"],
  ])
  keel.run(3_000)
  assertAsOnTape(world, bars(keel))
  assert.equal(world.events("AlertRaised").length, 0)
  keel.stop()
})

everySeed("whoever is told to wait waits, says so, and does not poll", (world) => {
  const keel = trading(world)
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  keel.until(() => view(keel).phase === "polling", 60_000)
  world.venue.marketDown = new Throttled({ status: 429, retryAfterMs: 42_000 })
  keel.until(() => view(keel).phase === "waiting", 60_000).run(100)
  const { length } = world.venue.polls
  keel.run(40_000)
  assert.equal(view(keel).phase, "waiting")
  assert.equal(world.venue.polls.length, length)
  keel.stop()
})

everySeed("a ban holds for the next process, too", (world) => {
  const first = trading(world)
  world.venue.marketDown = new Throttled({ status: 418, retryAfterMs: 120_000 })
  world.venue.cutMarket()
  first.until(() => world.events("FeedLost").some(({ rule }) => rule === "rate_limited"))
  const until = world.events("FeedLost").at(-1)!.retryAt!
  first.kill()
  world.venue.marketDown = undefined
  world.venue.connectsAt.length = 0
  const second = world.start().run(until - world.time.now - 10)
  assert.deepEqual(world.venue.connectsAt, [])
  second.until(() => status(world) === "streaming", 5_000).stop()
})

everySeed("one alert for one outage, updated and never repeated", (world) => {
  const keel = trading(world)
  world.venue.marketDown = unreachable
  world.venue.cutMarket()
  keel.run(300_000)
  assert.ok(world.events("FeedLost").length > attemptsMax + 3)
  assert.equal(raised(world, `feed:${VENUE}`), 1)
  const updates = world.events("AlertUpdated").filter(({ id }) => id === `feed:${VENUE}`)
  assert.equal(updates.length, world.events("FeedLost").length - attemptsMax)
  keel.stop()
})

everySeed("a stream that flaps every two seconds is one trouble, and stays off", (world) => {
  const keel = trading(world, { assignments: [assignment("a", BTC)] })
  const { time, venue } = world
  venue.connectsAt.length = 0
  const begun = time.now
  let connectedAt: number | undefined
  const flap = () => {
    if (time.now - begun > 120_000) return
    if (!venue.streaming) connectedAt = undefined
    else connectedAt ??= time.now
    if (connectedAt !== undefined && time.now - connectedAt >= 2_000) venue.cutMarket()
    venue.later(50, flap)
  }
  flap()
  keel.run(20_000)
  const restoredBefore = world.events("FeedRestored").length
  assert.ok(openAlerts(world).includes(`feed:${VENUE}:flapping`), openAlerts(world).join())
  assert.ok(venue.polls.length > 0)
  keel.run(100_000)
  // It does not flicker: once it is known to flap, two seconds of data are not enough.
  assert.equal(world.events("FeedRestored").length, restoredBefore)
  assert.equal(raised(world, `feed:${VENUE}:flapping`), 1)
  assert.equal(raised(world, `feed:${VENUE}`), 0)
  assert.deepEqual(world.events("SourceChanged").map(({ source }) => source), ["rest"])
  assert.ok(venue.connectsAt.length <= 50, `${venue.connectsAt.length} connections`)
  keel.until(() => status(world) === "streaming", 30_000)
  assert.ok(time.now - begun > 120_000 + flappingStableMs - 3_000)
  keel.run(flapWindowMs + 1_000)
  assert.deepEqual(openAlerts(world), [])
  assert.deepEqual(world.events("SourceChanged").map(({ source }) => source), ["rest", "stream"])
  assertAsOnTape(world, bars(keel))
  keel.stop()
})

everySeed("a venue that closes for a breach of its rules three times is an alarm", (world) => {
  const keel = trading(world)
  for (let i = 0; i < 3; i++) {
    world.venue.cutMarket(new Closed({ code: 1008, detail: "policy" }))
    keel.run(100).until(() => status(world) === "streaming", 30_000).run(30_000)
  }
  assert.deepEqual(openAlerts(world), [`feed:${VENUE}:misbehaving`])
  keel.run(600_000)
  assert.deepEqual(openAlerts(world), [])
  keel.stop()
})

everySeed("a strategy that waits for what nobody subscribes to is an alarm", (world) => {
  const keel = trading(world, { assignments: [assignment("absent", "DOGE/USDT.BINANCE")] })
  keel.run(500)
  assert.deepEqual(openAlerts(world), [`feed:${VENUE}:nothing_to_watch`])
  keel.stop()
})

everySeed("what waited through a crash of the feed does not hold up its recovery", (world) => {
  const disk = { delayMs: 0 }
  const keel = trading(world, {
    store: (store) => ({
      ...store,
      append: (records) => Effect.suspend(() => Effect.delay(store.append(records), disk.delayMs)),
    }),
  })
  // Writes for four seconds that it is lost, while data of new connections waits.
  disk.delayMs = 4_000
  for (let i = 0; i < 3; i++) {
    world.venue.cutMarket()
    keel.run(1_100)
  }
  keel.crash(paths.feed)
  disk.delayMs = 0
  keel.run(6_000).until(() => status(world) === "streaming", 10_000).run(500)
  assert.equal(keel.restarts(paths.feed), 1)
  assert.equal(line(keel).fresh, true)
  keel.stop()
})

// ---- authority -----------------------------------------------------------------------------

everySeed("nothing is opened until the account has been compared after an outage", (world) => {
  const keel = trading(world)
  const { venue } = world
  venue.readsDown = unreachable
  venue.cutMarket()
  keel.run(10_000)
  // Data flows, and nobody answers about orders.
  assert.equal(view(keel).phase, "recovering")
  assert.deepEqual(view(keel).waitsFor, ["orders and balances to be compared"])
  keel.signal("enter")
  keel.run(200)
  assert.deepEqual(denials(world), ["MARKET_DATA_STALE"])
  venue.readsDown = undefined
  keel.until(() => status(world) === "streaming", 5_000)
  const order = world.records().map(({ event }) => event._tag)
  assert.ok(order.lastIndexOf("AccountReconciled") < order.lastIndexOf("FeedRestored"))
  assert.ok(order.lastIndexOf("AccountReconciled") > order.indexOf("FeedLost"))
  keel.signal("enter")
  keel.run(500)
  assert.equal(venue.submits.length, 1)
  keel.stop()
})

everySeed("a healthy venue is traded again within the backoff and two seconds", (world) => {
  const keel = trading(world)
  for (let i = 0; i < 8; i++) {
    keel.run(70_000)
    world.venue.cutMarket()
    const lostAt = world.time.now
    keel.run(5).until(() => status(world) === "streaming", 10_000)
    assert.ok(world.time.now - lostAt <= baseMs + 2_000, `${world.time.now - lostAt} ms`)
    assert.equal(line(keel).fresh, true)
  }
  keel.stop()
})

everySeed(
  "an exit on an old price asks for it first, and goes out whatever the answer",
  (world) => {
    const backoff = { ...limits.reconnect, attemptsMax: 1_000 }
    const keel = trading(world, { change: feedsWith({ backoff }) })
    const { venue } = world
    keel.signal("enter", BTC)
    keel.signal("enter", ETH, "other")
    keel.run(1_000)
    venue.marketDown = unreachable
    venue.cutMarket()
    keel.run(3_500)
    assert.equal(venue.polls.length, 0)
    keel.signal("exit", BTC)
    keel.run(15)
    assert.deepEqual([venue.polls.length, venue.submits.length], [1, 2])
    keel.run(100)
    assert.equal(venue.submits.length, 3)
    venue.quotesDown = unreachable
    keel.run(3_500)
    keel.signal("exit", ETH, "other")
    keel.run(200)
    assert.equal(venue.submits.length, 4)
    keel.stop()
  },
)

everySeed("entries that rest are taken back when the stream is lost, exits are not", (world) => {
  const keel = trading(world)
  keel.assign("someone")
  const order = (clientOrderId: string, purpose: "open" | "reduce") => [
    {
      _tag: "OrderSubmitted",
      clientOrderId,
      venue: VENUE,
      instrument: BTC,
      side: purpose === "open" ? "buy" : "sell",
      type: "limit",
      purpose,
      quantity: decimal("1"),
      price: decimal("90"),
      origin: "someone",
      reason: "rests",
    } as const,
    { _tag: "OrderAccepted", clientOrderId, venueOrderId: `at ${clientOrderId}` } as const,
  ]
  const events = [...order("resting-entry", "open"), ...order("resting-exit", "reduce")]
  keel.send(Journal, { _tag: "Append", events, after: 0, reply: undefined })
  keel.run(100)
  assert.equal(world.events("OrderCancelRequested").length, 0)
  world.venue.cutMarket()
  keel.run(100)
  assert.deepEqual(
    world.events("OrderCancelRequested").map(({ by, clientOrderId }) => [clientOrderId, by]),
    [["resting-entry", "risk_manager"]],
  )
  assert.ok(world.venue.cancels.includes("resting-entry"))
  keel.stop()
})

everySeed("a private stream that never speaks of an accepted order is made anew", (world) => {
  const keel = trading(world)
  world.venue.faults.frames.push("lose", "lose")
  keel.signal("enter")
  keel.run(500)
  assert.equal(world.events("OrderAccepted").length, 1)
  keel.until(() => world.events("AccountLost").length === 1, 7_000)
  assert.match(world.events("AccountLost")[0]!.cause, /order reports: no data for 5000 ms/)
  keel.ready().run(1_000)
  assert.equal(world.books().fills.length, 1)
  assert.deepEqual(openAlerts(world), [])
  // An order that is spoken of is no reason.
  keel.signal("exit")
  keel.run(20_000)
  assert.equal(world.events("AccountLost").length, 1)
  keel.stop()
})

everySeed("a strategy that has ended for good gets no bars any more", (world) => {
  const crash = () => {
    throw new Error("always")
  }
  const keel = trading(world, {
    assignments: [assignment("a", BTC)],
    scripts: { a: crash },
  })
  keel.until(() => world.events("ActorFailed").length === 1, 120_000).run(2_000)
  const { deadLetterCount } = keel.system
  keel.run(30_000)
  assert.equal(keel.system.deadLetterCount, deadLetterCount)
  keel.stop()
})

Deno.test("the fake's share is a share", () => {
  assert.equal(instrument(SHARE).assetClass, "us_equity")
})

everySeed("what the venue will not stream is an alert, until a connection has it", (world) => {
  let isFull = true
  const keel = trading(world, {
    change: (options) => ({
      ...options,
      feeds: options.feeds.map((each) => ({
        ...each,
        market: {
          ...each.market,
          stream: (ids, sink) => {
            if (!isFull) return each.market.stream(ids, sink)
            sink.refused?.([ETH], "prices", "symbol limit exceeded (405)")
            const event: typeof sink.event = (heard) =>
              heard.instrument === ETH || sink.event(heard)
            return each.market.stream(ids, { ...sink, event })
          },
        },
      })),
    }),
  })
  const [alert] = world.events("AlertRaised")
  assert.equal(alert?.id, `feed:${VENUE}:refused`)
  assert.match(alert?.detail ?? "", /ETH\/USDT\S+ \(no prices: symbol limit exceeded \(405\)\)/)
  keel.signal("enter", ETH)
  keel.run(1_000)
  assert.equal(world.events("OrderDenied").at(-1)?.code, "MARKET_DATA_STALE")
  isFull = false
  world.venue.cutMarket()
  keel.run(10_000)
  assert.deepEqual(world.events("AlertRaised").map(({ id }) => id), [alert?.id])
  assert.deepEqual(world.events("AlertResolved").map(({ id }) => id), [alert?.id])
  keel.stop()
})
