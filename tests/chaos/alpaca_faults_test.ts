/**
 * What goes wrong with connections and market data at Alpaca, fault by fault, on virtual time: one
 * connection per endpoint, logins, plans, halts, and a market that closes.
 */
import assert from "node:assert/strict"
import type { Fault } from "../../venues/simulator/fault.ts"
import { AAPL, SPY, startAlpaca, VENUE } from "./alpaca.ts"
import { alertsLeft } from "./safety.ts"
import { LEAD_MS, playMute, type Scene, type SceneOptions, sceneTest } from "./scene.ts"
import type { ChaosWorld } from "./world.ts"

const stream = { match: { door: "dataStream" } } as const
const updates = { match: { door: "tradingStream" } } as const
/** A dead session keeps the only slot for so long. */
const SLOT_HELD_MS = 90_000
/** Longest wait for a slot that is taken. */
const SLOT_WAIT_MS = 20_000

function faultTest(
  name: string,
  faults: ReadonlyArray<Fault>,
  body: (scene: Scene) => Promise<void>,
  { start, ...options }: SceneOptions & {
    readonly start?: Parameters<typeof startAlpaca>[0]
  } = {},
) {
  sceneTest(name, () => startAlpaca(start), faults, body, options)
}

faultTest(
  "1, 3: a data stream that is closed in order gives its slot back, and is completed and trusted",
  [{ kind: "close_connections", code: 1001, ...stream }],
  async ({ world, expect }) => {
    await world.advance(8_000)
    expect(`
      0.05        FeedLost 1 .*closed with code 1001
      0.10..0.70  AccountReconciled$
      1.10..1.70  FeedRestored
    `)
    assert.ok(world.all("Gap").every(({ complete, recovered }) => complete && recovered > 0))
  },
)

faultTest(
  "5: 429 in place of an upgrade is waited out, as long as it says",
  [
    { kind: "refuse_upgrade", status: 429, retryAfterSeconds: 9, count: 1, ...stream },
    { kind: "close_connections", code: 1001, ...stream },
  ],
  async ({ world, expect }) => {
    await world.advance(15_000)
    expect(`
      0.05         FeedLost 1 .*closed with code 1001
      0.05..0.60   FeedLost 2 .*rate limited \\(429\\), wait 9000 ms
      10.0..10.80  FeedRestored
    `)
  },
)

faultTest(
  "8: a data stream that pongs and says nothing is mute after three seconds",
  [{ kind: "mute", ...stream }],
  async ({ world, expect }) => {
    await world.advance(10_000)
    expect(`
      2.80..3.50  FeedLost 1 .*no data for 3000 ms
      3.90..6.00  FeedRestored
    `)
  },
)

faultTest(
  "9: one mute symbol loses its authority, is polled, and what it traded is read when it speaks",
  [{ kind: "drop", untilMs: 26_000, match: { symbol: "SPY" } }],
  async (scene) => {
    const gap = await playMute(scene, SPY, AAPL, "9.50..10.90")
    // Ids have no order here: the silence is the only sign of what was missed.
    assert.ok(gap.recovered > 10)
    assert.match(gap.cause, /^silent for 1[5-9]\.\d s, until then at most \d\.\d s$/)
  },
)

for (const busyCloses of [true, false]) {
  faultTest(
    `16: a slot that a dead session holds for 90 s (406, ${
      busyCloses ? "closed" : "left open"
    }) burns no attempt, is polled past, and is taken back`,
    [{ kind: "reset_connections", ...stream }],
    async ({ world, after, at }) => {
      await world.until(() => world.all("FeedRestored", after).length > 0, 130_000, after)
      const lost = world.records().filter(({ seq, event }) =>
        seq > after && event._tag === "FeedLost"
      )
      // The one that was reset; what finds the slot taken counts for nothing.
      assert.ok(lost.every(({ event }) => event._tag === "FeedLost" && event.attempt === 1))
      const busy = lost.slice(1)
      assert.ok(busy.every(({ event }) => event._tag === "FeedLost" && event.rule === "slot_busy"))
      assert.ok(busy.length >= 5 && busy.length <= 14, `${busy.length} attempts`)
      const [polling] = world.records().filter(({ seq, event }) =>
        seq > after && event._tag === "FeedPolling"
      )
      assert.ok(polling !== undefined)
      assert.ok(polling.time - at >= 30_000 && polling.time - at <= 30_000 + SLOT_WAIT_MS + 1_000)
      const raised = world.all("AlertRaised", after).map(({ id }) => id)
      assert.deepEqual(raised, [`feed:${VENUE}`])
      const restored = world.now - at
      assert.ok(restored >= SLOT_HELD_MS && restored <= SLOT_HELD_MS + SLOT_WAIT_MS + 2_000)
      // Nobody opened anything meanwhile, though prices were polled.
      const gap = world.all("Gap", after)
      assert.deepEqual(gap.map(({ instrument }) => instrument).toSorted(), [AAPL, SPY])
      assert.ok(gap.every(({ complete }) => complete))
    },
    { start: { venue: { busyCloses } } },
  )
}

faultTest(
  "5, 19: trade updates that are refused with 429 are waited for, and nothing is opened meanwhile",
  [
    { kind: "refuse_upgrade", status: 429, retryAfterSeconds: 12, count: 1, ...updates },
    { kind: "close_connections", code: 1001, ...updates },
  ],
  async ({ world, after, expect }) => {
    await world.advance(20_000)
    expect(`
      0.05          AccountLost .*closed with code 1001
      0.05          AlertRaised account:alpaca
      12.1..13.60   AccountReconciled$
      12.1..13.60   AlertResolved account:alpaca
    `)
    assert.ok(world.all("OrderDenied", after).some(({ code }) => code === "ACCOUNT_NOT_RECONCILED"))
    assert.deepEqual(world.all("FeedLost", after), [])
  },
)

for (const door of ["dataStream", "tradingStream"] as const) {
  faultTest(
    `17: a key that is refused at the ${door} is an alert and no loop`,
    [
      { kind: "auth_failure", match: { door } },
      { kind: "close_connections", code: 1001, match: { door } },
    ],
    async ({ world, after, at }) => {
      await world.advance(120_000)
      assert.ok(world.connectsAt.filter((each) => each > at).length <= 2)
      const id = door === "dataStream" ? `feed:${VENUE}` : `account:${VENUE}`
      assert.ok(alertsLeft(world).includes(id), alertsLeft(world).join())
      const stale = world.records().find(({ seq, event }) =>
        seq > after && (event._tag === "FeedLost" || event._tag === "AccountLost")
      )
      assert.ok(stale !== undefined)
      const opened = world.all("OrderSubmitted", stale.seq).filter(({ purpose }) =>
        purpose === "open"
      )
      assert.deepEqual(opened, [])
    },
    { heals: false },
  )
}

for (const code of [405, 409] as const) {
  faultTest(
    `18: a subscription that is refused (${code}) is said, and not asked for in a loop`,
    [
      { kind: "subscription_error", code, count: 1, ...stream },
      { kind: "close_connections", code: 1001, ...stream },
    ],
    async ({ world, after, ids, at }) => {
      await world.advance(30_000)
      assert.equal(world.strikes(ids[0]!).length, 1)
      assert.equal(world.connectsAt.filter((each) => each > at).length, 1)
      assert.equal(world.all("FeedLost", after).length, 1)
    },
  )
}

faultTest(
  "18: more symbols than the plan has: the others go on, and the missing are known to be",
  [],
  async ({ world, after }) => {
    await world.advance(20_000)
    assert.deepEqual(world.all("FeedLost", after), [])
    const opened = world.all("OrderSubmitted", after).filter(({ purpose }) => purpose === "open")
    assert.ok(opened.some(({ instrument }) => instrument === AAPL))
    assert.ok(opened.every(({ instrument }) => instrument === AAPL))
  },
  {
    heals: false,
    start: { venue: { symbolsMax: 1 }, trade: [AAPL] },
  },
)

faultTest(
  "33: in a volatility pause nothing is opened in that share, and the others go on",
  [{ kind: "halt", symbol: "AAPL", code: "LUDP", ms: 15_000 }],
  async ({ world, expect, after, at }) => {
    await world.advance(5_000)
    world.signal("enter", AAPL)
    await world.advance(15_000)
    expect(`
      0.05   InstrumentHalted ${AAPL} halted LUDP
      15.05  InstrumentResumed ${AAPL}
    `)
    const opened = world.records().flatMap(({ seq, time, event }) =>
      seq > after && event._tag === "OrderSubmitted" && event.purpose === "open"
        ? [{ instrument: event.instrument, atMs: time - at }]
        : []
    )
    const meanwhile = opened.filter(({ atMs }) => atMs > 100 && atMs < 15_000)
    assert.ok(meanwhile.some(({ instrument }) => instrument === SPY))
    assert.ok(meanwhile.every(({ instrument }) => instrument === SPY))
    assert.ok(opened.some(({ atMs, instrument }) => atMs > 15_000 && instrument === AAPL))
    assert.ok(world.all("OrderDenied", after).some(({ code }) => code === "INSTRUMENT_HALTED"))
    assert.deepEqual(world.all("FeedLost", after), [])
  },
)

faultTest(
  "33: outside the price band of a share nothing is opened",
  [{ kind: "luld", symbol: "AAPL", up: "1.01", down: "1.00" }],
  async ({ world, after }) => {
    await world.advance(1_000)
    const banded = world.mark
    await world.advance(8_000)
    const opened = world.all("OrderSubmitted", banded).filter(({ purpose }) => purpose === "open")
    assert.ok(opened.every(({ instrument }) => instrument === SPY))
    assert.ok(world.all("OrderDenied", after).some(({ code }) => code === "PRICE_OUTSIDE_BAND"))
    await world.arm({ kind: "luld", symbol: "AAPL" })
  },
)

// ---- sessions ----------------------------------------------------------------------------------

/** Wakes up shortly before the bell, on the exchanges' own calendar. */
const beforeBell = (bell: string, leadMs: number) => ({
  startMs: Date.parse(bell) - leadMs - LEAD_MS,
  venue: { sessions: "exchange" } as const,
  isReady: ({ books, model }: ChaosWorld) =>
    books.accounts.get(VENUE)?.ready === true && model.feeds.has(VENUE),
})

/** Times of opening orders, in milliseconds after `from`. */
function openedAfter(world: ChaosWorld, from: number): ReadonlyArray<number> {
  return world.records().flatMap(({ time, event }) =>
    event._tag === "OrderSubmitted" && event.purpose === "open" ? [time - from] : []
  )
}

for (
  const [what, bell] of [
    ["on a usual day", "2026-01-05T21:00:00Z"],
    ["early, the day after Thanksgiving", "2026-11-27T18:00:00Z"],
    ["under daylight saving time", "2026-03-09T20:00:00Z"],
  ] as const
) {
  faultTest(
    `43: when the market closes ${what} entries end with the bell, and silence is no alarm`,
    [],
    async ({ world }) => {
      const rings = Date.parse(bell)
      await world.advance(rings - world.now + 90_000)
      const opened = openedAfter(world, rings)
      assert.ok(opened.some((atMs) => atMs < 0), "it traded before")
      assert.ok(opened.every((atMs) => atMs < 0), `${opened.filter((atMs) => atMs >= 0)}`)
      const lost = world.records().filter(({ event, time }) =>
        event._tag === "FeedLost" && time > rings
      )
      assert.deepEqual(lost, [])
      assert.deepEqual(alertsLeft(world), [])
    },
    { heals: false, start: beforeBell(bell, 30_000) },
  )
}

for (
  const [what, bell] of [
    ["on a usual day", "2026-01-05T14:30:00Z"],
    ["on the first day of daylight saving time", "2026-03-09T13:30:00Z"],
  ] as const
) {
  faultTest(
    `43: when the market opens ${what} the first entry comes with the bell, not before`,
    [],
    async ({ world }) => {
      const rings = Date.parse(bell)
      await world.advance(rings - world.now + 20_000)
      const opened = openedAfter(world, rings)
      assert.ok(opened.length > 0)
      assert.ok(opened.every((atMs) => atMs >= 0), `${opened.filter((atMs) => atMs < 0)}`)
      assert.ok(Math.min(...opened) < 10_000)
      assert.deepEqual(alertsLeft(world), [])
    },
    { heals: false, start: beforeBell(bell, 20_000) },
  )
}

faultTest(
  "43: on a holiday nothing is traded, nothing is lost, and nobody is called",
  [],
  async ({ world, after }) => {
    await world.advance(120_000)
    assert.deepEqual(openedAfter(world, 0), [])
    assert.deepEqual(world.all("FeedLost", after), [])
    assert.deepEqual(world.all("AlertRaised", after), [])
  },
  // Christmas, at noon in New York.
  { heals: false, start: beforeBell("2026-12-25T17:00:00Z", 0) },
)
