/**
 * Outages over real connections: noticed in time, bounded while they last, healed by themselves.
 *
 * Every test spoils one thing at a venue that is a process of its own, and reads from outside what
 * Keel makes of it: the journal for order and time, the state for what a person is shown meanwhile.
 */
import assert from "node:assert/strict"
import type { Fault } from "../../venues/simulator/fault.ts"
import { limits } from "../../limits.ts"
import { OutageWorld } from "./outage_world.ts"

const BTC = "BTC/USDT.BINANCE"
const STALE_AFTER_MS = 3_000
/** Noticing silence: the limit, one look later, and what two busy cores may add. */
const NOTICED_WITHIN_MS = 3_500 + 500
const streams = { match: { door: "streams" } } as const
const wsApi = { match: { door: "wsApi" } } as const

const outages: Array<
  { readonly name: string; readonly body: (world: OutageWorld) => Promise<void> }
> = []

function outageTest(name: string, body: (world: OutageWorld) => Promise<void>) {
  outages.push({ name, body })
}

/** Holds the outage for some attempts, so that it can be looked at. */
const refusing = (count: number): Fault => ({
  kind: "refuse_upgrade",
  status: 503,
  count,
  ...streams,
})

/** What is shown while nothing streams: the cause, the attempt, the next one, and no live price. */
async function assertShownLost(world: OutageWorld, cause: RegExp) {
  const { feeds, positions } = await world.eventually(
    ({ feeds }) => feeds[0]!.status !== "streaming" && feeds[0]!.nextAttemptAt !== undefined,
    5_000,
  )
  const feed = feeds[0]!
  assert.ok(feed.status === "reconnecting" || feed.status === "polling", feed.status)
  assert.ok(feed.attempt >= 1)
  assert.equal(feed.attemptMax, limits.reconnect.attemptsMax)
  assert.ok(feed.nextAttemptAt! > feed.since)
  assert.match(feed.cause ?? "", cause)
  assert.deepEqual(feed.instruments.map(({ fresh }) => fresh), [false, false, false, false])
  for (const { markAuthority } of positions) assert.notEqual(markAuthority, "may_open")
}

async function restored(world: OutageWorld, after: number, timeoutMs = 15_000) {
  const lost = await world.next("FeedLost", { after })
  const { time, event } = await world.next("FeedRestored", { after: lost.seq, timeoutMs })
  // Told as long as it was, to what a write may take.
  assert.ok(Math.abs(event.outageMs - (time - lost.time)) < 250, `${event.outageMs}`)
  return { time, event }
}

for (
  const { fault, what } of [
    { fault: "reset_connections", what: "reset (RST)" },
    { fault: "cut_connections", what: "ended without a close frame (FIN)" },
  ] as const
) {
  outageTest(`a market stream that is ${what} is lost at once and comes back`, async (world) => {
    const after = world.mark
    const refusals = await world.arm(refusing(3))
    const at = Date.now()
    await world.arm({ kind: fault, ...streams })
    const lost = await world.next("FeedLost", { after })
    assert.ok(lost.time - at < 500, `noticed after ${lost.time - at} ms`)
    assert.match(lost.event.cause, /closed with code 1006|unreachable/)
    await assertShownLost(world, /closed with code 1006|unreachable|HTTP 503/)
    await restored(world, after)
    assert.deepEqual(world.all("FeedLost", after).map(({ event }) => event.attempt), [1, 2, 3, 4])
    assert.equal((await world.strikes(refusals)).length, 3)
    // Short of five attempts nobody is woken.
    assert.deepEqual(world.all("AlertRaised", after).map(({ event }) => event.id), [])
  })
}

outageTest("a frozen peer, without data, pongs or an end, is noticed and left", async (world) => {
  const after = world.mark
  const at = Date.now()
  await world.arm({ kind: "freeze_connections", ...streams })
  const lost = await world.next("FeedLost", { after })
  const noticedMs = lost.time - at
  assert.ok(noticedMs > STALE_AFTER_MS - 500 && noticedMs < NOTICED_WITHIN_MS, `${noticedMs} ms`)
  assert.match(lost.event.cause, /no (data|connection) for 3000 ms/)
  await restored(world, after)
})

outageTest("a peer that pongs and says nothing is mute, as often as it connects", async (world) => {
  const after = world.mark
  const at = Date.now()
  const mute = await world.arm({ kind: "drop", ...streams })
  const lost = await world.next("FeedLost", { after })
  const noticedMs = lost.time - at
  assert.ok(noticedMs > STALE_AFTER_MS - 500 && noticedMs < NOTICED_WITHIN_MS, `${noticedMs} ms`)
  assert.match(lost.event.cause, /no data for 3000 ms/)
  // The handshake succeeds every time, and counts for nothing.
  await world.next("FeedLost", { after, is: ({ attempt }) => attempt === 2 })
  assert.equal(world.all("FeedRestored", after).length, 0)
  await assertShownLost(world, /no data for 6000 ms/)
  await world.disarm(mute)
  await restored(world, after)
})

outageTest("a handshake that nobody answers is given up, and tried again", async (world) => {
  const after = world.mark
  const hung = await world.arm({ kind: "hang_upgrade", count: 1, ...streams })
  await world.arm({ kind: "reset_connections", ...streams })
  const first = await world.next("FeedLost", { after })
  const second = await world.next("FeedLost", { after, is: ({ attempt }) => attempt === 2 })
  assert.match(second.event.cause, /no handshake for 5000 ms/)
  const tookMs = second.time - first.time
  const { handshakeTimeoutMs } = limits.liveness
  assert.ok(tookMs >= handshakeTimeoutMs && tookMs < handshakeTimeoutMs + 1_500, `${tookMs} ms`)
  await restored(world, after)
  assert.equal((await world.strikes(hung)).length, 1)
})

outageTest("429 with Retry-After is waited out, and not asked past", async (world) => {
  const after = world.mark
  const told = await world.arm({
    kind: "refuse_upgrade",
    status: 429,
    retryAfterSeconds: 4,
    count: 1,
    ...streams,
  })
  await world.arm({ kind: "reset_connections", ...streams })
  const { time, event } = await world.next("FeedLost", {
    after,
    is: ({ attempt }) => attempt === 2,
  })
  assert.match(event.cause, /rate limited \(429\), wait 4000 ms/)
  // Whoever tries before that is refused, and seen here.
  const early = await world.arm(refusing(100))
  await assertShownLost(world, /rate limited \(429\)/)
  const { nextAttemptAt } = await world.feed()
  assert.ok(Math.abs(nextAttemptAt! - (time + 4_000)) < 500, `${nextAttemptAt! - time}`)
  await new Promise((resolve) => setTimeout(resolve, nextAttemptAt! - Date.now() - 500))
  assert.deepEqual(await world.strikes(early), [])
  await world.disarm(early)
  const back = await restored(world, after)
  assert.ok(back.time - time >= 4_000, `${back.time - time}`)
  assert.equal((await world.strikes(told)).length, 1)
})

outageTest("one mute symbol among many loses its authority, and no other does", async (world) => {
  const after = world.mark
  const at = Date.now()
  // Trades go on: its strategy wants to trade, on a price that nobody has confirmed.
  const mute = await world.arm({ kind: "drop", match: { stream: "btcusdt@bookTicker" } })
  const isBtc = ({ instrument }: { readonly instrument: string }) => instrument === BTC
  const { feeds } = await world.eventually(
    ({ feeds }) => feeds[0]!.instruments.some((each) => isBtc(each) && !each.fresh),
    5_000,
  )
  const noticedMs = Date.now() - at
  assert.ok(noticedMs > STALE_AFTER_MS - 500 && noticedMs < NOTICED_WITHIN_MS, `${noticedMs} ms`)
  assert.equal(feeds[0]!.status, "streaming")
  for (const each of feeds[0]!.instruments) assert.equal(each.fresh, !isBtc(each), each.instrument)
  const stale = world.mark
  const denied = await world.next("OrderDenied", { after: stale, timeoutMs: 20_000, is: isBtc })
  assert.equal(denied.event.code, "MARKET_DATA_STALE")
  const opening = { is: ({ purpose }: { purpose: string }) => purpose === "open" }
  const opened = await world.next("OrderSubmitted", {
    after: stale,
    timeoutMs: 20_000,
    ...opening,
  })
  assert.ok(!isBtc(opened.event))
  const until = world.mark
  await world.disarm(mute)
  const meanwhile = world.all("OrderSubmitted", stale).filter(({ seq }) => seq <= until)
  assert.deepEqual(meanwhile.filter(({ event }) => isBtc(event) && opening.is(event)), [])
  await world.eventually(({ feeds }) => feeds[0]!.instruments.every(({ fresh }) => fresh), 5_000)
  // The connection was good all the time.
  assert.deepEqual(world.all("FeedLost", after), [])
})

outageTest(
  "a private stream that is killed is compared before anything is opened",
  async (world) => {
    const after = world.mark
    const held = await world.arm({ kind: "refuse_upgrade", status: 503, count: 3, ...wsApi })
    await world.arm({ kind: "reset_connections", ...wsApi })
    const lost = await world.next("AccountLost", { after })
    const { accounts } = await world.eventually(
      ({ accounts }) => accounts[0]!.status !== "ready",
      2_000,
    )
    assert.equal(accounts[0]!.link, "reconnecting")
    assert.match(accounts[0]!.lastCause ?? "", /private stream/)
    const reconciled = await world.next("AccountReconciled", { after: lost.seq, timeoutMs: 20_000 })
    assert.deepEqual(reconciled.event.differences, [])
    assert.equal((await world.strikes(held)).length, 3)
    // Prices went on all the time.
    assert.deepEqual(world.all("FeedLost", after), [])
    const alerts = world.since(after).flatMap(({ event }) =>
      event._tag === "AlertRaised" || event._tag === "AlertResolved" ? [event._tag] : []
    )
    assert.deepEqual(alerts.slice(0, 2), ["AlertRaised", "AlertResolved"])
  },
)

outageTest("a private stream that is frozen is noticed and left", async (world) => {
  const after = world.mark
  const at = Date.now()
  await world.arm({ kind: "freeze_connections", ...wsApi })
  const lost = await world.next("AccountLost", { after })
  const noticedMs = lost.time - at
  assert.ok(noticedMs < NOTICED_WITHIN_MS, `${noticedMs} ms`)
  assert.match(lost.event.cause, /no connection for 3000 ms/)
  await world.next("AccountReconciled", { after: lost.seq })
})

outageTest(
  "a fill that the private stream never tells is found by the order's age",
  async (world) => {
    const after = world.mark
    const drop = await world.arm({
      kind: "drop",
      count: 1,
      match: { event: "executionReport", execution: "TRADE" },
    })
    await world.eventually(() => world.all("OrderSubmitted", after).length > 0, 20_000)
    while ((await world.strikes(drop)).length === 0) {
      await world.next("OrderSubmitted", { after: world.mark, timeoutMs: 20_000 })
    }
    const at = Date.now()
    // By its age and not by the reconciliation that comes twice a minute.
    const { trades } = await world.venueBooks()
    const isKnown = (id: string) =>
      world.all("OrderFilled").some(({ event }) => event.executionId === id)
    await world.eventually(() => trades.every(({ id }) => isKnown(String(id))), 10_000)
    assert.ok(Date.now() - at < limits.orders.askAfterMs + 3 * limits.orders.checkEveryMs)
    assert.deepEqual(world.all("AccountLost", after), [])
  },
)

for (const kind of ["truncate", "reset"] as const) {
  outageTest(`an order whose answer is lost (${kind}) exists once, and is found`, async (world) => {
    const after = world.mark
    // Nor does the private stream tell.
    const silence = await world.arm({ kind: "drop", match: { event: "executionReport" } })
    const lost = await world.arm({
      kind,
      when: "after",
      count: 1,
      match: { method: "POST", path: "/api/v3/order" },
    })
    const doubt = await world.next("OrderUnconfirmed", { after, timeoutMs: 20_000 })
    await world.disarm(silence)
    const { clientOrderId } = doubt.event
    const isIt = (event: { readonly clientOrderId: string }) =>
      event.clientOrderId === clientOrderId
    const filled = await world.next("OrderFilled", { after, is: isIt, timeoutMs: 20_000 })
    assert.ok(filled.seq > doubt.seq)
    assert.equal((await world.strikes(lost)).length, 1)
    const { orders } = await world.venueBooks()
    assert.equal(orders.filter(isIt).length, 1)
    // Said once, and taken back.
    const id = `order:${clientOrderId}`
    await world.next("AlertResolved", { after, is: (event) => event.id === id })
    assert.equal(world.all("AlertRaised", after).filter(({ event }) => event.id === id).length, 1)
  })
}

outageTest("a trade that comes twice counts once, and none is made up", async (world) => {
  const lines = async () => (await world.feed()).instruments
  const twice = await world.arm({ kind: "duplicate", match: { stream: "*@trade" } })
  // What is shown may be half a second old.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const before = await lines()
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  const after = await lines()
  for (const [index, line] of after.entries()) {
    const { trades, lastTradeId, duplicates, instrument } = before[index]!
    // The venue numbers the trades of a symbol without holes.
    const told = Number(line.lastTradeId) - Number(lastTradeId)
    assert.ok(told > 0, `${instrument} was traded`)
    assert.equal(line.trades - trades, told, instrument)
    assert.ok(line.duplicates - duplicates >= told - 1, instrument)
  }
  // What is missed in an outage is missing, and what comes twice after it is not new.
  const at = world.mark
  await world.arm({ kind: "reset_connections", ...streams })
  await restored(world, at)
  await world.eventually(
    ({ feeds }) =>
      feeds[0]!.instruments.every((line, index) => line.lastTradeId !== after[index]!.lastTradeId),
    10_000,
  )
  for (const [index, line] of (await lines()).entries()) {
    const told = Number(line.lastTradeId) - Number(after[index]!.lastTradeId)
    assert.ok(line.trades - after[index]!.trades <= told, line.instrument)
    assert.equal(line.gaps, after[index]!.gaps + 1, line.instrument)
  }
  await world.disarm(twice)
})

outageTest("a venue that is gone is one alert, and probed until it is back", async (world) => {
  const after = world.mark
  const at = Date.now()
  const goneMs = 14_000
  await world.arm({ kind: "outage", ms: goneMs })
  await world.next("AccountLost", { after })
  const fifth = await world.next("FeedLost", {
    after,
    timeoutMs: 20_000,
    is: ({ attempt }) => attempt === limits.reconnect.attemptsMax,
  })
  await world.next("FeedPolling", { after: fifth.seq })
  const alert = await world.next("AlertRaised", {
    after: fifth.seq,
    is: ({ id }) => id === "feed:binance",
  })
  assert.equal(alert.event.severity, "critical")
  const { feeds, alerts } = await world.eventually(
    ({ feeds, alerts }) =>
      feeds[0]!.status === "polling" && alerts.some(({ id }) => id === "feed:binance"),
    5_000,
  )
  assert.equal(feeds[0]!.attempt >= limits.reconnect.attemptsMax, true)
  assert.ok(feeds[0]!.nextAttemptAt === undefined || feeds[0]!.nextAttemptAt > at)
  assert.deepEqual(feeds[0]!.instruments.map(({ fresh }) => fresh), [false, false, false, false])
  assert.equal(alerts.filter(({ id }) => id === "feed:binance").length, 1)
  const back = await restored(world, after, 40_000)
  // Within the present delay and two seconds, once there is somebody to connect to.
  const attempts = world.all("FeedLost", after)
  const { baseMs, capMs } = limits.reconnect
  const delayMs = Math.min(capMs, baseMs * 2 ** (attempts.length - 1))
  assert.ok(back.time - at < goneMs + delayMs + 2_000, `${back.time - at} ms`)
  // Full jitter, but never less than a tenth of it.
  for (const [index, { time }] of attempts.entries()) {
    const before = attempts[index - 1]
    if (before === undefined) continue
    const leastMs = Math.min(capMs, baseMs * 2 ** (index - 1)) / 10
    assert.ok(time - before.time >= leastMs - 25, `attempt ${index + 1}: ${time - before.time} ms`)
  }
  const resolved = await world.next("AlertResolved", {
    after: alert.seq,
    is: ({ id }) => id === "feed:binance",
  })
  assert.ok(resolved.time - back.time < 1_000)
})

/** Each has two processes of its own, which mostly wait: so many at a time. */
const AT_A_TIME = 3

Deno.test("outages over real connections", async (t) => {
  // The longest is the last of them: it must not be the last to begin.
  const waiting = outages.toReversed()
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name, body } = next
      await t.step({
        name,
        // Steps that run at the same time cannot be told apart by what they leave; their test can.
        sanitizeOps: false,
        sanitizeResources: false,
        sanitizeExit: false,
        async fn() {
          await using world = await OutageWorld.start()
          const after = world.mark
          await body(world)
          await world.assertHealed(after)
        },
      })
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
})
