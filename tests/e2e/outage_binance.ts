/**
 * Outages that only Binance can have, or that are about orders: the private stream, answers that are
 * lost, a connection that is replaced before it ends.
 */
import assert from "node:assert/strict"
import { limits } from "../../limits.ts"
import { stateOf } from "./api.ts"
import { noticedWithinMs, outageCases, restored, sleep, staleAfterMs } from "./outage_case.ts"
import type { OutageWorld } from "./outage_world.ts"

const BTC = "BTC/USDT.BINANCE"
const wsApi = { match: { door: "wsApi" } } as const

const { cases, outage } = outageCases({ venue: "binance" })
export { cases as binanceCases }

outage("one mute symbol among many loses its authority, and no other does", async (world) => {
  const after = world.mark
  // Trades go on: its strategy wants to trade, on a price that nobody has confirmed.
  const mute = await world.arm({ kind: "drop", match: { stream: "btcusdt@bookTicker" } })
  const at = await world.struckAt(mute)
  const isBtc = ({ instrument }: { readonly instrument: string }) => instrument === BTC
  const freshAt: Array<number> = []
  const { asOf, feeds } = await world.eventually(({ asOf, feeds }) => {
    const isFresh = feeds[0]!.instruments.some((each) => isBtc(each) && each.fresh)
    if (isFresh) freshAt.push(asOf)
    return !isFresh
  }, 5_000)
  // By the age of its last quote: how long ago that came, and how often we look, is chance.
  const endedAt = asOf - feeds[0]!.instruments.find(isBtc)!.ageMs! + staleAfterMs
  assert.ok(endedAt <= asOf, "it had its authority as long as it may")
  assert.deepEqual(freshAt.filter((time) => time > endedAt), [], "and no longer")
  const noticedMs = endedAt - at
  assert.ok(noticedMs < noticedWithinMs, `${noticedMs} ms`)
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

outage(
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

outage("a private stream that is frozen is noticed and left", async (world) => {
  const after = world.mark
  const at = await world.struckAt(await world.arm({ kind: "freeze_connections", ...wsApi }))
  const lost = await world.next("AccountLost", { after })
  const noticedMs = lost.time - at
  assert.ok(noticedMs < noticedWithinMs, `${noticedMs} ms`)
  assert.match(lost.event.cause, /no connection for 3000 ms/)
  await world.next("AccountReconciled", { after: lost.seq })
})

/** From the sending of an order whose fills nobody tells until they are known; the longest. */
async function untoldForMs(world: OutageWorld): Promise<number> {
  const after = world.mark
  // All of an order's: a later one would show that there was an earlier one.
  const drop = await world.arm({
    kind: "drop",
    match: { event: "executionReport", execution: "TRADE" },
  })
  while ((await world.strikes(drop)).length === 0) {
    await world.next("OrderSubmitted", { after: world.mark, timeoutMs: 20_000 })
  }
  await world.disarm(drop)
  const { executionIds } = await world.venueBooks()
  const isKnown = (id: string) =>
    world.all("OrderFilled").some(({ event }) => event.executionId === id)
  await world.eventually(() => executionIds.every(isKnown), 10_000)
  const sentAt = new Map(
    world.all("OrderSubmitted").map(({ event, time }) => [event.clientOrderId, time]),
  )
  return Math.max(
    ...world.all("OrderFilled", after)
      .map(({ event, time }) => time - (sentAt.get(event.clientOrderId) ?? NaN)),
  )
}

outage(
  "a fill that the private stream never tells is found by the order's age",
  async (world) => {
    const after = world.mark
    const { askAfterMs, checkEveryMs } = limits.orders
    // The reconciliation that comes twice a minute may be there first: then once more.
    let longestMs = 0
    for (let tries = 0; longestMs < askAfterMs; tries++) {
      assert.ok(tries < 5, "none was found by its age")
      longestMs = await untoldForMs(world)
      assert.ok(longestMs < askAfterMs + 3 * checkEveryMs, `${longestMs} ms`)
    }
    assert.deepEqual(world.all("AccountLost", after), [])
  },
)

for (const kind of ["truncate", "reset"] as const) {
  outage(`an order whose answer is lost (${kind}) exists once, and is found`, async (world) => {
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

outage("a trade that comes twice counts once, and none is made up", async (world) => {
  const twice = await world.arm({ kind: "duplicate", match: { stream: "*@trade" } })
  // What is shown may be half a second old.
  await sleep(1_000)
  const before = await world.counted()
  await sleep(3_000)
  const after = await world.counted()
  for (const [index, line] of after.entries()) {
    const { trades, lastTradeId, duplicates, instrument } = before[index]!
    // The venue numbers the trades of a symbol without holes.
    const told = Number(line.lastTradeId) - Number(lastTradeId)
    assert.ok(told > 0, `${instrument} was traded`)
    assert.equal(line.trades - trades, told, instrument)
    assert.ok(line.duplicates - duplicates >= told - 1, instrument)
  }
  // What is read again after an outage comes twice as well.
  const at = world.mark
  await world.arm({ kind: "reset_connections", ...world.streams })
  await restored(world, at)
  await world.assertEveryTradeOnce(after)
  await world.disarm(twice)
})

outage("a venue that is gone is one alert, and probed until it is back", async (world) => {
  const after = world.mark
  const goneMs = 14_000
  const at = await world.struckAt(await world.arm({ kind: "outage", ms: goneMs }))
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

outage("a server that says that it will stop is left before it does", async (world) => {
  const after = world.mark
  const before = await world.counted()
  const leaves = await world.arm({ kind: "server_shutdown", ms: 6_000 })
  // Until after the end of every connection that was told.
  await sleep(6_000 + 2_000)
  assert.equal((await world.strikes(leaves)).length, 1)
  const { feeds, accounts } = await stateOf(world.url)
  assert.equal(feeds[0]!.status, "streaming")
  assert.equal(accounts[0]!.link, "streaming")
  assert.equal(world.timeline(after), "")
  assert.deepEqual(world.all("Gap", after), [])
  assert.deepEqual(world.all("AccountLost", after), [])
  await world.assertEveryTradeOnce(before)
  for (const [index, line] of (await world.counted()).entries()) {
    assert.equal(line.recovered, before[index]!.recovered, "nothing had to be read again")
  }
})
