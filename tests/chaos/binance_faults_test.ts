/**
 * What goes wrong with connections and market data at Binance, fault by fault, on virtual time.
 *
 * Numbers are those of the catalogue of faults that the simulated venues carry out. Each test says
 * what must happen and when; what must hold after every fault is said once, in `safety.ts`.
 */
import assert from "node:assert/strict"
import type { EventTag } from "../../domain/event.ts"
import { limits } from "../../limits.ts"
import type { Fault } from "../../venues/simulator/fault.ts"
import { BTC, ETH, startBinance, VENUE } from "./binance.ts"
import { alertsLeft } from "./safety.ts"
import { playMute, type Scene, type SceneOptions, sceneTest } from "./scene.ts"
import type { ChaosWorld } from "./world.ts"

const streams = { match: { door: "streams" } } as const
const wsApi = { match: { door: "wsApi" } } as const
const rest = { match: { door: "rest" } } as const

function faultTest(
  name: string,
  faults: ReadonlyArray<Fault>,
  body: (scene: Scene) => Promise<void>,
  options: SceneOptions = {},
) {
  sceneTest(name, startBinance, faults, body, options)
}

/** Events of one kind since the fault, with their times in milliseconds after it. */
function times({ world, at, after }: Scene, tag: EventTag): ReadonlyArray<number> {
  return world.records()
    .filter(({ seq, event }) => seq > after && event._tag === tag)
    .map(({ time }) => time - at)
}

const refusing = (count: number): Fault => ({
  kind: "refuse_upgrade",
  status: 503,
  count,
  ...streams,
})

// ---- connections that end ------------------------------------------------------------------

faultTest(
  "1: a market stream that is reset (RST) is lost at once, completed and trusted again",
  [{ kind: "reset_connections", ...streams }],
  async ({ world, expect }) => {
    await world.advance(8_000)
    expect(`
      0.05        FeedLost 1 .*closed with code 1006
      0.10..0.70  AccountReconciled$
      1.10..1.70  FeedRestored after 1\\.
    `)
    // What was traded meanwhile has been read, and said.
    assert.ok(world.all("Gap").every(({ complete, recovered }) => complete && recovered > 0))
    assert.ok(world.all("Gap").length > 0)
    assert.equal(world.all("AlertRaised").length, 0)
  },
)

faultTest(
  "2: an end without a close frame (FIN) is 1006, and attempts wait longer and longer",
  [{ kind: "cut_connections", ...streams }, refusing(3)],
  async ({ world, expect, ids }) => {
    await world.advance(15_000)
    expect(`
      0.05        FeedLost 1 .*closed with code 1006
      0.05..0.60  FeedLost 2 .*HTTP 503
      0.10..1.60  FeedLost 3 .*HTTP 503
      0.20..3.60  FeedLost 4 .*HTTP 503
      1.00..9.60  FeedRestored
    `)
    assert.equal(world.strikes(ids[1]!).length, 3)
    // Short of five attempts nobody is woken.
    assert.equal(world.all("AlertRaised").length, 0)
  },
)

for (const code of [1001, 1012]) {
  faultTest(
    `3: a close with ${code} and a reason is an outage with that cause`,
    [{ kind: "close_connections", code, reason: "restarting", ...streams }],
    async ({ world, expect }) => {
      await world.advance(5_000)
      expect(`
        0.05        FeedLost 1 .*closed with code ${code} \\(restarting\\)
        1.00..2.00  FeedRestored
      `)
    },
  )
}

faultTest(
  "3: the third close with 1008 says that we break a rule",
  [0, 30_000, 60_000].map((fromMs): Fault => ({
    kind: "close_connections",
    fromMs: fromMs + 10_000,
    code: 1008,
    reason: "disconnected",
    ...streams,
  })),
  async ({ world, after }) => {
    await world.advance(70_000)
    assert.deepEqual(world.all("FeedLost", after).map(({ attempt }) => attempt), [1, 1, 1])
    assert.equal(world.all("FeedRestored", after).length, 3)
    const troubles = world.all("FeedTroubled", after).map(({ trouble }) => trouble)
    assert.equal(troubles.filter((each) => each === "misbehaving").length, 1)
    assert.ok(alertsLeft(world).includes(`feed:${VENUE}:misbehaving`))
  },
  // The rule is still broken, as far as anybody knows.
  { lasting: [`feed:${VENUE}:misbehaving`, `feed:${VENUE}:flapping`] },
)

faultTest(
  "4: a handshake that is never answered is one attempt of five seconds",
  [
    { kind: "hang_upgrade", count: 1, ...streams },
    { kind: "reset_connections", ...streams },
  ],
  async ({ world, expect, at, after }) => {
    await world.advance(15_000)
    expect(`
      0.05         FeedLost 1 .*closed with code 1006
      5.05..5.60   FeedLost 2 .*no handshake for 5000 ms
      6.10..7.70   FeedRestored
    `)
    const [first, second] = world.records()
      .filter(({ seq, event }) => seq > after && event._tag === "FeedLost")
      .map(({ time }) => time)
    const began = world.connectsAt.find((each) => each > at)
    assert.ok(first && second && began)
    assert.equal(second - began, limits.liveness.handshakeTimeoutMs)
  },
)

// ---- venues that refuse ----------------------------------------------------------------------

for (const status of [429, 418]) {
  faultTest(
    `5: ${status} with Retry-After is waited out, and nothing is asked meanwhile`,
    [
      { kind: "refuse_upgrade", status, retryAfterSeconds: 7, count: 1, ...streams },
      { kind: "reset_connections", ...streams },
    ],
    async ({ world, expect, at }) => {
      await world.advance(12_000)
      expect(`
        0.05        FeedLost 1 .*closed with code 1006
        0.05..0.60  FeedLost 2 .*rate limited \\(${status}\\), wait 7000 ms
        8.10..8.80  FeedRestored
      `)
      const attempts = world.connectsAt.filter((each) => each > at)
      assert.equal(attempts.length, 2)
      assert.equal(attempts[1]! - attempts[0]!, 7_000)
      assert.equal(world.all("FeedPolling").length, 0)
    },
  )
}

for (const status of [403, 451]) {
  faultTest(
    `5: ${status} is an alert and no loop, until an operator says go on`,
    [
      { kind: "refuse_upgrade", status, ...streams },
      { kind: "reset_connections", ...streams },
    ],
    async ({ world, expect, at, ids }) => {
      await world.advance(120_000)
      expect(`
        0.05        FeedLost 1 .*closed with code 1006
        0.05..0.60  FeedLost 2 .*HTTP ${status}
        0.05..0.60  AlertRaised feed:binance critical
      `)
      assert.equal(world.connectsAt.filter((each) => each > at).length, 1)
      // Somebody has seen to it, and says so.
      world.disarm(ids[0]!)
      world.resume()
      await world.advance(3_000)
      assert.equal(world.connectsAt.filter((each) => each > at).length, 2)
    },
  )
}

faultTest(
  "6: a venue that is gone is one alert, polled and probed, and comes back by itself",
  [{ kind: "outage", ms: 20_000, ...streams }],
  async (scene) => {
    const { world, after, at } = scene
    await world.until(() => world.all("FeedRestored", after).length > 0, 60_000, after)
    scene.expect(`
      0.05          FeedLost 1
      0.05..0.60    FeedLost 2 .*unreachable
      0.10..1.60    FeedLost 3 .*unreachable
      0.20..3.60    FeedLost 4 .*unreachable
      0.40..7.60    FeedLost 5 .*unreachable
      0.40..7.60    FeedPolling
      1.20..23.60   FeedLost 6 .*unreachable
      2.00..40.00   FeedLost 7 .*unreachable
      20.0..52.00   FeedRestored
    `)
    const raised = world.all("AlertRaised", after).filter(({ id }) => id === `feed:${VENUE}`)
    assert.equal(raised.length, 1)
    assert.ok(world.all("AlertUpdated", after).some(({ id }) => id === `feed:${VENUE}`))
    // Within the present delay and two seconds of the first attempt that could succeed.
    const back = world.connectsAt.findLast((each) => each > at + 20_000)
    assert.ok(back !== undefined)
    const restored = times(scene, "FeedRestored")[0]! + at
    assert.ok(restored - back <= 2_000, `${restored - back} ms`)
  },
)

// ---- connections that only look connected ----------------------------------------------------

faultTest(
  "7: a frozen peer, without FIN and pongs, is noticed after three seconds",
  [{ kind: "freeze_connections", ...streams }],
  async ({ world, expect }) => {
    await world.advance(8_000)
    expect(`
      3.00..3.50  FeedLost 1 .*no (data|connection) for 3000 ms
      4.00..5.30  FeedRestored
    `)
  },
)

faultTest(
  "7: a private stream that is frozen is noticed after three seconds",
  [{ kind: "freeze_connections", ...wsApi }],
  async ({ world, expect, after }) => {
    await world.advance(8_000)
    expect(`
      3.00..4.10  AccountLost .*no connection for 3000 ms
      3.00..4.10  AlertRaised account:binance
      3.05..4.90  AccountReconciled
      3.05..4.90  AlertResolved account:binance
    `)
    assert.deepEqual(world.all("FeedLost", after), [])
  },
)

faultTest(
  "8: a peer that pongs and says nothing is mute, as often as it connects",
  [{ kind: "drop", ...streams }],
  async (scene) => {
    const { world, ids } = scene
    await world.advance(12_000)
    world.disarm(ids[0]!)
    await world.advance(12_000)
    // A new connection has twice the time: it still has its subscriptions to do.
    scene.expect(`
      2.80..3.30   FeedLost 1 .*no data for 3000 ms
      8.80..9.90   FeedLost 2 .*no data for 6000 ms
      12.0..19.00  FeedRestored
    `)
  },
)

faultTest(
  "9: one mute symbol loses its authority, is polled, and no other is disturbed",
  [{ kind: "drop", untilMs: 26_000, match: { stream: "ethusdt@*" } }],
  async (scene) => {
    const gap = await playMute(scene, ETH, BTC, "9.50..10.60")
    // The hole shows as soon as the next trade comes, and is read.
    assert.ok(gap.recovered > 0)
  },
)

faultTest(
  "10: pings of the venue are answered with their payload, and none are needed",
  [],
  async ({ world, after }) => {
    // Every 20 s the venue pings, and drops who has not answered for 60 s.
    await world.advance(130_000)
    assert.deepEqual(world.all("FeedLost", after), [])
    assert.deepEqual(world.all("AccountLost", after), [])
    await world.arm({ kind: "no_pings" })
    await world.advance(70_000)
    assert.deepEqual(world.all("FeedLost", after), [])
    assert.deepEqual(world.all("AccountLost", after), [])
  },
)

// ---- frames that are wrong -------------------------------------------------------------------

for (
  const as of [
    "truncated_json",
    "unknown_event",
    "null_price",
    "empty_price",
    "crossed_quote",
  ] as const
) {
  faultTest(
    `11: a frame with ${as.replace("_", " ")} is counted and left, and the connection stays`,
    [{ kind: "garble", as, count: 5, ...streams }],
    async ({ world, after, ids }) => {
      await world.advance(5_000)
      assert.equal(world.strikes(ids[0]!).length, 5)
      assert.deepEqual(world.all("FeedLost", after), [])
      assert.ok((world.model.feeds.get(VENUE)?.undecoded ?? 0) >= 1)
      assertPricesAreReal(world)
    },
  )
}

faultTest(
  "11: fields that nobody knows are no reason for anything",
  [{ kind: "garble", as: "extra_fields", count: 20, ...streams }],
  async ({ world, after, ids }) => {
    await world.advance(5_000)
    assert.equal(world.strikes(ids[0]!).length, 20)
    assert.deepEqual(world.all("FeedLost", after), [])
    assert.equal(world.model.feeds.get(VENUE)?.undecoded, 0)
  },
)

for (const as of ["bad_utf8", "reserved_bits", "huge_length"] as const) {
  faultTest(
    `11: ${as.replace("_", " ")} breaks the protocol, and the connection`,
    [{ kind: "garble", as, count: 1, ...streams }],
    async ({ world, expect, after }) => {
      await world.advance(15_000)
      expect(`
        0.00..4.10  FeedLost 1
        1.00..7.00  FeedRestored
      `)
      assert.equal(world.all("FeedLost", after).length, 1)
    },
  )
}

faultTest(
  "12: a burst of 50,000 quotes is conflated, and costs no private event",
  [{ kind: "burst", frames: 50_000, ...streams }],
  async ({ world, after }) => {
    await world.advance(5_000)
    assert.deepEqual(world.all("AccountLost", after), [])
    const lost = world.all("FeedLost", after)
    assert.ok(lost.every(({ cause }) => cause.includes("too slow")), `${lost[0]?.cause}`)
    assert.ok(world.all("OrderFilled", after).length > 0)
  },
)

for (
  const [what, fault] of [
    ["come twice", { kind: "duplicate", match: { stream: "*@trade" } }],
    ["come in another order", { kind: "swap", match: { stream: "*@trade" }, probability: 0.5 }],
    ["come late", { kind: "late", ms: 400, match: { stream: "*@trade" }, probability: 0.3 }],
    ["are lost", { kind: "drop", match: { stream: "*@trade" }, probability: 0.3 }],
  ] as const
) {
  faultTest(
    `13: of trades that ${what} each counts once`,
    [{ ...fault, seed: 4 }],
    async ({ world, after, ids }) => {
      await world.advance(20_000)
      assert.ok(world.strikes(ids[0]!).length > 10)
      world.disarm(ids[0]!)
      assert.deepEqual(world.all("FeedLost", after), [])
      assert.ok(world.all("Gap", after).every(({ complete }) => complete))
    },
  )
}

faultTest(
  "13: a time that goes backwards makes no negative duration and no second bar",
  [{ kind: "garble", as: "past_time", count: 10, match: { stream: "*@trade" } }],
  async ({ world, after, ids }) => {
    await world.advance(8_000)
    assert.equal(world.strikes(ids[0]!).length, 10)
    assert.deepEqual(world.all("FeedLost", after), [])
    for (const instrument of [BTC, ETH]) {
      const opened = world.bars(instrument).map(({ openTime }) => openTime)
      assert.deepEqual(opened, [...new Set(opened)].toSorted((a, b) => a - b))
    }
    // Those bars hold a trade whose time was wrong: only what comes after them is the venue's.
    world.seen.forEach((events) => events.splice(0))
    await world.advance(5_000)
  },
)

faultTest(
  "14: a crossed quote authorises nothing",
  [{ kind: "garble", as: "crossed_quote", untilMs: 20_000, match: { stream: "*@bookTicker" } }],
  async ({ world, after }) => {
    await world.advance(3_500)
    const stale = world.mark
    await world.advance(6_000)
    const opened = world.all("OrderSubmitted", stale).filter(({ purpose }) => purpose === "open")
    assert.deepEqual(opened, [])
    assert.ok(world.all("OrderDenied", after).some(({ code }) => code === "MARKET_DATA_STALE"))
  },
)

faultTest(
  "15: a shutdown that is announced is left before it happens, without a hole",
  [{ kind: "server_shutdown", ms: 10_000, ...streams }],
  async ({ world, after, at }) => {
    await world.advance(15_000)
    assert.deepEqual(world.all("FeedLost", after), [])
    assert.deepEqual(world.all("Gap", after), [])
    assert.equal(world.connectsAt.filter((each) => each > at).length, 1)
  },
)

// ---- the private stream --------------------------------------------------------------------

faultTest(
  "19: without the private stream nothing is opened, and the account is compared before anything is",
  [
    { kind: "refuse_upgrade", status: 503, count: 5, ...wsApi },
    { kind: "reset_connections", ...wsApi },
  ],
  async ({ world, expect, after }) => {
    await world.until(() => world.all("AlertResolved", after).length > 0, 60_000, after)
    // Five refusals: a tenth of 15.5 s of delays at least, and all of 31.5 s at most.
    expect(`
      0.05          AccountLost .*private stream
      0.05          AlertRaised account:binance warning
      1.50..33.00   AccountReconciled$
      1.50..33.00   AlertResolved account:binance
    `)
    assert.deepEqual(world.all("FeedLost", after), [])
    const denied = world.all("OrderDenied", after).map(({ code }) => code)
    assert.ok(denied.includes("ACCOUNT_NOT_RECONCILED"))
  },
)

faultTest(
  "20: a subscription that says nothing is found out by an order that it should have told of",
  [{ kind: "drop", untilMs: 20_000, ...wsApi }],
  async ({ world, after }) => {
    await world.advance(12_000)
    const [lost] = world.all("AccountLost", after)
    assert.match(lost?.cause ?? "", /order reports: no data for 5000 ms/)
    // The fills were found all the same.
    assert.ok(world.all("OrderFilled", after).length > 0)
  },
)

faultTest(
  "20: a subscription that the venue ends is made again",
  [{ kind: "end_user_data" }],
  async ({ world, expect }) => {
    await world.advance(5_000)
    expect(`
      0.05        AccountLost .*eventStreamTerminated
      0.05        AlertRaised account:binance
      0.06..0.80  AccountReconciled
      0.06..0.80  AlertResolved account:binance
    `)
  },
)

faultTest(
  "20: a key that is revoked is an alert and no loop",
  [{ kind: "revoke_key" }, { kind: "reset_connections", ...wsApi }],
  async ({ world, after, at }) => {
    await world.advance(60_000)
    assert.match(world.all("AccountLost", after).at(-1)?.cause ?? "", /-2015|API-key|refused/)
    assert.ok(alertsLeft(world).includes(`account:${VENUE}`))
    assert.ok(world.connectsAt.filter((each) => each > at).length <= 3)
    const opened = world.all("OrderSubmitted", after).filter(({ purpose }) => purpose === "open")
    assert.deepEqual(opened, [])
    assert.deepEqual(world.all("FeedLost", after), [])
  },
  { heals: false },
)

// ---- requests ----------------------------------------------------------------------------------

faultTest(
  "37: 429 with Retry-After on data is silence for as long, and then goes on",
  [
    {
      kind: "respond",
      when: "before",
      count: 1,
      status: 429,
      retryAfterSeconds: 42,
      body: '{"code":-1003,"msg":"Too many requests."}',
      match: { door: "rest", method: "GET" },
    },
    { kind: "reset_connections", ...streams },
  ],
  async ({ world, after, ids, at }) => {
    await world.advance(3_000)
    assert.equal(world.strikes(ids[0]!).length, 1)
    await world.advance(60_000)
    const restored = world.records().find(({ seq, event }) =>
      seq > after && event._tag === "FeedRestored"
    )
    // The account could not be compared before.
    assert.ok(restored !== undefined && restored.time - at >= 42_000 - 2_000)
    assert.equal(world.strikes(ids[0]!).length, 1)
  },
)

faultTest(
  "37: 429 on orders is a refusal, and the bot goes silent instead of being banned",
  [{
    kind: "respond",
    when: "before",
    count: 1,
    status: 429,
    retryAfterSeconds: 10,
    body: '{"code":-1015,"msg":"Too many new orders."}',
    match: { door: "rest", method: "POST" },
  }],
  async ({ world, after, at }) => {
    await world.advance(30_000)
    const accepted = world.records().filter(({ seq, event }) =>
      seq > after && event._tag === "OrderAccepted"
    )
    const struck = world.records().find(({ seq, event }) =>
      seq > after && (event._tag === "OrderUnconfirmed" || event._tag === "OrderRejected")
    )
    assert.ok(struck !== undefined, "the answer was seen")
    const early = accepted.filter(({ time }) => time > struck.time && time < struck.time + 9_900)
    assert.deepEqual(early.map(({ time }) => time - at), [])
  },
)

for (
  const [what, status, body, contentType] of [
    ["a 403 page", 403, "<html><body>Forbidden</body></html>", "text/html"],
    ["a 200 page", 200, "<html><body>Maintenance</body></html>", "text/html"],
    ["an empty 200", 200, "", "application/json"],
    ["garbage", 200, "\u001f\u008b\b\0\u0001", "application/json"],
  ] as const
) {
  faultTest(
    `38: ${what} in place of an answer is the venue's trouble, and doubt for an order`,
    [
      {
        kind: "respond",
        when: "after",
        count: 1,
        status,
        body,
        contentType,
        match: { door: "rest", method: "POST", path: "/api/v3/order" },
      },
      {
        kind: "respond",
        when: "after",
        count: 2,
        status,
        body,
        contentType,
        match: { door: "rest", method: "GET" },
      },
      { kind: "reset_connections", ...wsApi },
    ],
    async ({ world, after, ids }) => {
      await world.advance(40_000)
      assert.equal(world.strikes(ids[0]!).length, 1)
      assert.equal(world.strikes(ids[1]!).length, 2)
      // The order had been placed: it was doubted, never sent again, and found.
      const [doubt] = world.all("OrderUnconfirmed", after)
      const filled = world.all("OrderFilled", after).map(({ clientOrderId }) => clientOrderId)
      const sent = world.all("OrderSubmitted", after).map(({ clientOrderId }) => clientOrderId)
      assert.equal(new Set(sent).size, sent.length)
      if (doubt !== undefined) assert.ok(filled.includes(doubt.clientOrderId))
    },
  )
}

faultTest(
  "39: answers that drip or come ten seconds late are given up in time, and count nevertheless",
  [
    { kind: "delay", when: "after", ms: 10_000, count: 3, ...rest },
    { kind: "drip", when: "after", ms: 900, count: 3, ...rest },
    { kind: "reset_connections", ...streams },
  ],
  async ({ world, after, ids }) => {
    await world.advance(60_000)
    assert.equal(world.strikes(ids[0]!).length, 3)
    assert.equal(world.strikes(ids[1]!).length, 3)
    assert.equal(world.all("FeedRestored", after).length, 1)
    const sent = world.all("OrderSubmitted", after).map(({ clientOrderId }) => clientOrderId)
    assert.equal(new Set(sent).size, sent.length)
  },
)

faultTest(
  "45: a stream that flaps every two seconds is one outage to those who trade, and one alert",
  Array.from({ length: 15 }, (_, index): Fault => ({
    kind: "reset_connections",
    fromMs: 10_000 + index * 2_000,
    ...streams,
  })),
  async ({ world, after }) => {
    await world.advance(40_000)
    assert.equal(world.all("FeedLost", after).length, 15)
    // Trusted again between the first two only; then it has to be steady for a while.
    const restored = world.all("FeedRestored", after)
    assert.ok(restored.length <= 3, `${restored.length}`)
    assert.ok(restored.at(-1)!.outageMs > 20_000)
    const sources = world.all("SourceChanged", after).filter(({ instrument }) =>
      instrument === null
    )
    assert.deepEqual(sources.map(({ source }) => source), ["rest", "stream"])
    const raised = world.all("AlertRaised", after).map(({ id }) => id)
    assert.equal(raised.filter((id) => id.startsWith("feed:")).length, 1, raised.join())
    assert.ok(world.all("Gap", after).every(({ complete }) => complete))
  },
)

/** Nobody is shown a price that is none. */
function assertPricesAreReal(world: ChaosWorld) {
  for (const { bid, ask, instrument } of world.model.feeds.get(VENUE)?.instruments ?? []) {
    assert.ok(Number(bid) > 0 && Number(ask) > Number(bid), `${instrument}: ${bid} ${ask}`)
  }
}
