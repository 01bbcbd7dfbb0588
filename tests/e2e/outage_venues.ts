/**
 * Outages that every venue can have, at both.
 *
 * At Alpaca whoever is cut off finds the place taken by the dead session at first, for three seconds
 * here: the rule of waiting is another, the outcome is not.
 */
import assert from "node:assert/strict"
import { linkDefaults } from "../../domain/link.ts"
import { limits } from "../../limits.ts"
import type { Fault } from "../../venues/simulator/fault.ts"
import {
  assertShownLost,
  feedAlerts,
  noticedWithinMs,
  type OutageCase,
  outageCases,
  restored,
  sleep,
  staleAfterMs,
  toldWithinMs,
} from "./outage_case.ts"
import type { OutageWorld, VenueName, WorldOptions } from "./outage_world.ts"

/** Each of them at one venue, the longest last. */
export const venueCases: Readonly<Record<VenueName, ReadonlyArray<OutageCase>>> = {
  binance: casesAt({ venue: "binance" }),
  alpaca: casesAt({ venue: "alpaca", slotHeldMs: 3_000 }),
}

/** What `timeline` says between the loss and the return when our own dead session is in the way. */
const MAYBE_BUSY = "(, lost \\d slot_busy)*"

function timeline(...words: ReadonlyArray<string>): RegExp {
  return new RegExp(`^${words.join(", ").replaceAll(", (,", "(,")}$`)
}

/** Nobody gets in, until it is disarmed. */
function refusing(world: OutageWorld): Promise<string> {
  return world.arm({ kind: "refuse_upgrade", status: 503, ...world.streams })
}

function casesAt(options: WorldOptions): ReadonlyArray<OutageCase> {
  const { cases, outage } = outageCases(options)
  const isAlpaca = options.venue === "alpaca"
  /** Alpaca's shares and its crypto are streams of their own. */
  const socketsPerAttempt = isAlpaca ? 2 : 1

  for (
    const { fault, what } of [
      { fault: "reset_connections", what: "reset (RST)" },
      { fault: "cut_connections", what: "ended without a close frame (FIN)" },
    ] as const
  ) {
    outage(`a market stream that is ${what} is lost at once and comes back`, async (world) => {
      const after = world.mark
      const before = await world.counted()
      const refusals = await refusing(world)
      const at = await world.struckAt(await world.arm({ kind: fault, ...world.streams }))
      const lost = await world.next("FeedLost", { after })
      assert.ok(lost.time - at < toldWithinMs, `noticed after ${lost.time - at} ms`)
      assert.match(lost.event.cause, /closed with code 1006|unreachable/)
      const letIn = async () => {
        await world.next("FeedLost", { after, is: ({ attempt }) => attempt === 3 })
        await world.disarm(refusals)
      }
      await Promise.all([
        assertShownLost(world, /closed with code 1006|unreachable|HTTP 503/),
        letIn(),
      ])
      await restored(world, after)
      const threeOrFour = ["lost 1 backoff", "lost 2 backoff", "lost 3 backoff(, lost 4 backoff)?"]
      assert.match(world.timeline(after), timeline(...threeOrFour, MAYBE_BUSY, "restored"))
      // Short of five attempts nobody is woken.
      assert.deepEqual(feedAlerts(world, after), [])
      await world.assertEveryTradeOnce(before)
    })
  }

  outage("a frozen peer, without data, pongs or an end, is noticed and left", async (world) => {
    const after = world.mark
    const before = await world.counted()
    const freeze = await world.arm({ kind: "freeze_connections", ...world.streams })
    const at = await world.struckAt(freeze)
    const lost = await world.next("FeedLost", { after })
    const noticedMs = lost.time - at
    assert.ok(noticedMs > staleAfterMs - 500 && noticedMs < noticedWithinMs, `${noticedMs} ms`)
    assert.match(lost.event.cause, /no (data|connection) for 3000 ms/)
    const back = await restored(world, after)
    assert.match(world.timeline(after), timeline("lost 1 backoff", MAYBE_BUSY, "restored"))
    assert.deepEqual(feedAlerts(world, after), [])
    // A proof ends by its age, whether or not anybody has noticed.
    await world.assertNothingOpened(at + staleAfterMs, back.time)
    await world.assertEveryTradeOnce(before)
  })

  outage("a peer that pongs and says nothing is mute, as often as it connects", async (world) => {
    const after = world.mark
    const before = await world.counted()
    const mute = await world.arm({ kind: "drop", ...world.streams })
    const at = await world.struckAt(mute)
    const lost = await world.next("FeedLost", { after })
    const noticedMs = lost.time - at
    assert.ok(noticedMs > staleAfterMs - 500 && noticedMs < noticedWithinMs, `${noticedMs} ms`)
    assert.match(lost.event.cause, /no data for 3000 ms/)
    // The handshake succeeds every time, and counts for nothing.
    await world.next("FeedLost", { after, is: ({ attempt }) => attempt === 2 })
    assert.equal(world.all("FeedRestored", after).length, 0)
    await assertShownLost(world, /no data for 6000 ms/)
    await world.disarm(mute)
    const back = await restored(world, after)
    assert.match(world.timeline(after), timeline("lost 1 backoff(, lost [2-4] backoff)+, restored"))
    assert.deepEqual(feedAlerts(world, after), [])
    await world.assertNothingOpened(at + staleAfterMs, back.time)
    await world.assertEveryTradeOnce(before)
  })

  outage("a handshake that nobody answers is given up, and tried again", async (world) => {
    const after = world.mark
    const before = await world.counted()
    const hung = await world.arm({
      kind: "hang_upgrade",
      count: socketsPerAttempt,
      ...world.streams,
    })
    await world.arm({ kind: "reset_connections", ...world.streams })
    const first = await world.next("FeedLost", { after })
    const second = await world.next("FeedLost", { after, is: ({ attempt }) => attempt === 2 })
    assert.match(second.event.cause, /no handshake for 5000 ms/)
    const tookMs = second.time - first.time
    const { handshakeTimeoutMs } = limits.liveness
    assert.ok(tookMs >= handshakeTimeoutMs && tookMs < handshakeTimeoutMs + 1_500, `${tookMs} ms`)
    await restored(world, after)
    assert.equal(world.timeline(after), "lost 1 backoff, lost 2 backoff, restored")
    assert.equal((await world.strikes(hung)).length, socketsPerAttempt)
    assert.deepEqual(feedAlerts(world, after), [])
    await world.assertEveryTradeOnce(before)
  })

  outage("429 with Retry-After is waited out, and not asked past", async (world) => {
    const after = world.mark
    const before = await world.counted()
    const told = await world.arm({
      kind: "refuse_upgrade",
      status: 429,
      retryAfterSeconds: 4,
      count: 1,
      ...world.streams,
    })
    await world.arm({ kind: "reset_connections", ...world.streams })
    const { time, event } = await world.next("FeedLost", {
      after,
      is: ({ attempt }) => attempt === 2,
    })
    assert.match(event.cause, /rate limited \(429\), wait 4000 ms/)
    // Whoever tries before that is refused, by the venue's own clock, and seen here.
    const [refused, ...more] = await world.strikes(told)
    assert.deepEqual(more, [])
    const early = await world.arm({
      ...{ kind: "refuse_upgrade", status: 503, untilMs: refused!.atMs + 4_000 },
      ...world.streams,
    })
    const { nextAttemptAt, rule } = await assertShownLost(world, /rate limited \(429\)/)
    assert.equal(rule, "rate_limited")
    assert.ok(Math.abs(nextAttemptAt! - (time + 4_000)) < 500, `${nextAttemptAt! - time}`)
    const back = await restored(world, after)
    assert.ok(back.time - time >= 4_000, `${back.time - time}`)
    assert.deepEqual(await world.strikes(early), [])
    assert.equal(world.timeline(after), "lost 1 backoff, lost 2 rate_limited, restored")
    assert.deepEqual(feedAlerts(world, after), [])
    await world.assertEveryTradeOnce(before)
  })

  outage("a connection that is closed after its 24 hours is missed for a moment", async (world) => {
    const after = world.mark
    const before = await world.counted()
    const close = await world.arm({
      ...{ kind: "close_connections", code: 1001, reason: "connection is 24 hours old" },
      ...world.streams,
    })
    const at = await world.struckAt(close)
    const lost = await world.next("FeedLost", { after })
    assert.ok(lost.time - at < toldWithinMs, `noticed after ${lost.time - at} ms`)
    assert.match(lost.event.cause, /closed with code 1001.*24 hours/)
    const back = await restored(world, after)
    // The first delay, a steady second, and reading what was missed.
    const { baseMs } = limits.reconnect
    assert.ok(back.time - lost.time < baseMs + linkDefaults.stableMs + 2_000)
    // Who takes leave leaves no dead session behind.
    assert.equal(world.timeline(after), "lost 1 backoff, restored")
    assert.deepEqual(feedAlerts(world, after), [])
    await world.assertEveryTradeOnce(before)
  })

  const latestQuotes = isAlpaca ? "*latest*" : "/api/v3/ticker/bookTicker"
  outage("bodies that drip while prices are polled hold nothing else up", async (world) => {
    const after = world.mark
    const before = await world.counted()
    const refusals = await refusing(world)
    // Longer than an answer may take.
    const drip = await world.arm({
      ...{ kind: "drip", when: "after", ms: 700 },
      match: { method: "GET", path: latestQuotes },
    })
    await world.arm({ kind: "reset_connections", ...world.streams })
    const polling = await world.next("FeedPolling", { after, timeoutMs: 25_000 })
    const { nextAttemptAt } = await assertShownLost(world, /HTTP 503/)
    // Nobody waits for a price that does not come, the next attempt least of all.
    const tried = await world.next("FeedLost", {
      after: polling.seq,
      is: ({ attempt }) => attempt > limits.reconnect.attemptsMax,
      timeoutMs: limits.reconnect.capMs + 5_000,
    })
    assert.ok(tried.time - nextAttemptAt! < 1_000, `${tried.time - nextAttemptAt!} ms late`)
    assert.ok((await world.strikes(drip)).length > 0)
    // Attempts are made at random, and all of them may be over before the price is old. A price
    // that were polled would never become so.
    await world.eventually(
      ({ feeds }) =>
        feeds[0]!.instruments.every(({ ageMs, fresh }) => !fresh && ageMs! > staleAfterMs),
      5_000,
    )
    await world.disarm(drip)
    const { feeds } = await world.eventually(
      ({ feeds }) => feeds[0]!.instruments.every(({ source }) => source === "rest"),
      10_000,
    )
    assert.ok(feeds[0]!.instruments.every(({ fresh }) => !fresh), "a polled price opens nothing")
    await world.disarm(refusals)
    const wellAt = Date.now()
    const back = await restored(world, after, limits.reconnect.capMs + 10_000)
    const due = world.all("FeedLost", after).at(-1)!
    assert.ok(back.time - Math.max(wellAt, due.time) < limits.reconnect.capMs + 2_000)
    assert.match(
      world.timeline(after),
      timeline("(lost [1-5] backoff, ){5}polling, rest(, lost \\d+ backoff)+, restored, stream"),
    )
    assert.deepEqual(feedAlerts(world, after), [`feed:${world.venue}`])
    await world.assertEveryTradeOnce(before)
  })

  outage("bodies that drip after an outage keep entries off, and do not lose it", async (world) => {
    const after = world.mark
    const before = await world.counted()
    const drip = await world.arm({
      ...{ kind: "drip", when: "after", ms: 200 },
      match: { method: "GET", path: "*" },
    })
    await world.arm({
      ...isAlpaca
        ? { kind: "close_connections", code: 1012 } as const
        : { kind: "reset_connections" } as const,
      ...world.streams,
    })
    const lost = await world.next("FeedLost", { after })
    const { feeds } = await world.eventually(({ feeds }) => feeds[0]!.phase === "recovering", 5_000)
    assert.ok((feeds[0]!.waitsFor?.length ?? 0) > 0)
    for (const { fresh, instrument } of feeds[0]!.instruments) {
      assert.equal(fresh, false, instrument)
    }
    const back = await restored(world, after, 30_000)
    // Two bodies one after the other at least: what was missed, and the account.
    assert.ok(back.time - lost.time > 3_000, `${back.time - lost.time} ms`)
    assert.ok((await world.strikes(drip)).length > 1)
    assert.equal(world.timeline(after), "lost 1 backoff, restored")
    assert.deepEqual(feedAlerts(world, after), [])
    await world.disarm(drip)
    await world.assertEveryTradeOnce(before)
  })

  const flaps = 4
  outage("a stream that dies every two seconds is one trouble and one alert", async (world) => {
    const after = world.mark
    const before = await world.counted()
    // Alpaca's dead sessions would keep it from flapping: there it is closed properly.
    const flap: Fault = isAlpaca
      ? { kind: "close_connections", code: 1012, ...world.streams }
      : { kind: "reset_connections", ...world.streams }
    for (let count = 0; count < flaps; count++) {
      if (count > 0) {
        await sleep(2_000)
        // What does not flow yet cannot die again.
        await world.eventually(
          ({ feeds: [feed] }) => feed!.phase === "streaming" || feed!.phase === "recovering",
          10_000,
        )
      }
      await world.arm(flap)
    }
    await world.next("FeedPolling", { after })
    const last = await world.next("FeedLost", {
      after: world.all("FeedLost", after)[flaps - 2]!.seq,
    })
    const { feeds } = await world.eventually(({ feeds }) => feeds[0]!.phase === "recovering", 5_000)
    assert.match(feeds[0]!.troubles?.join() ?? "", /comes and goes/)
    assert.match(feeds[0]!.waitsFor?.join() ?? "", /steady/)
    for (const { fresh, instrument } of feeds[0]!.instruments) {
      assert.equal(fresh, false, instrument)
    }
    const back = await world.next("FeedRestored", { after: last.seq, timeoutMs: 20_000 })
    assert.ok(back.time - last.time >= linkDefaults.flappingStableMs, `${back.time - last.time}`)
    await world.assertEveryTradeOnce(before)
    const alert = `feed:${world.venue}:flapping`
    await world.next("AlertResolved", {
      after,
      is: ({ id }) => id === alert,
      timeoutMs: linkDefaults.flapWindowMs + 15_000,
    })
    assert.deepEqual(feedAlerts(world, after), [alert])
    // Sources do not flap with it, and it is not tried more often than it dies.
    const once = "lost 1 backoff, (restored, )?"
    const third = "lost 1 backoff, polling, rest"
    assert.match(
      // The trouble is seen at the moment of the third loss: which is written first is chance.
      world.timeline(after).replace(/(?<!longer )flapping, /, ""),
      timeline(`(${once}){2}${third}`, "lost 1 backoff, restored, stream, no longer flapping"),
    )
    const [troubled, ...more] = world.all("FeedTroubled", after)
    const seenMs = troubled!.time - world.all("FeedLost", after)[2]!.time
    assert.ok(Math.abs(seenMs) < 500, `${seenMs} ms after the third loss`)
    assert.deepEqual(more, [])
  })

  return cases
}
