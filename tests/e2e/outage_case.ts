/** One fault each, and what several of them look at. */
import assert from "node:assert/strict"
import { limits } from "../../limits.ts"
import { OutageWorld, type WorldOptions } from "./outage_world.ts"

export interface OutageCase {
  readonly name: string
  readonly world: WorldOptions
  /** Of the alerts, once the venue is well again. */
  readonly patienceMs: number | undefined
  readonly body: (world: OutageWorld) => Promise<void>
}

export const staleAfterMs = 3_000
/** Noticing silence: the limit, one look later, and what two busy cores may add. */
export const noticedWithinMs = 3_500 + 500
/** A socket that ends is heard of at once, by a process that gets the processor at once. */
export const toldWithinMs = 500

/** A list of cases at one kind of world, and how to add to it. */
export function outageCases(world: WorldOptions) {
  const cases: Array<OutageCase> = []
  const outage = (name: string, body: OutageCase["body"], patienceMs?: number) => {
    cases.push({ name: `${world.venue}: ${name}`, world, patienceMs, body })
  }
  return { cases, outage }
}

/** Each has two processes of its own, which mostly wait: so many at a time. */
const AT_A_TIME = 5

/** One test of many steps that run side by side, the last of `cases` first. */
export function testOutages(name: string, cases: ReadonlyArray<OutageCase>) {
  Deno.test(name, async (t) => {
    const waiting = cases.toReversed().map((each) => ({
      each,
      outcome: Promise.withResolvers<PromiseSettledResult<void>>(),
    }))
    const begun = waiting.values()
    const worker = async () => {
      for (const { each, outcome } of begun) {
        const [settled] = await Promise.allSettled([runCase(each)])
        outcome.resolve(settled)
      }
    }
    const workers = Array.from({ length: AT_A_TIME }, worker)
    for (const { each, outcome } of waiting) {
      await t.step(each.name, async () => {
        const settled = await outcome.promise
        if (settled.status === "rejected") throw settled.reason
      })
    }
    await Promise.all(workers)
  })
}

async function runCase({ body, patienceMs, world: options }: OutageCase) {
  await using world = await OutageWorld.start(options)
  const after = world.mark
  await body(world)
  await world.assertHealed(after, patienceMs)
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** What is shown while nothing streams: the cause, the attempt, the next one, and no live price. */
export async function assertShownLost(world: OutageWorld, cause: RegExp) {
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
  assert.ok(feed.outageSince !== undefined)
  for (const { ageMs, fresh, instrument, withheld } of feed.instruments) {
    assert.equal(fresh, false, instrument)
    assert.equal(withheld?.code, "MARKET_DATA_STALE", instrument)
    assert.ok(ageMs !== null, instrument)
  }
  for (const { markAuthority } of positions) assert.notEqual(markAuthority, "may_open")
  return feed
}

/** The return after the first loss after `after`; what was missed was read before it. */
export async function restored(world: OutageWorld, after: number, timeoutMs = 20_000) {
  const lost = await world.next("FeedLost", { after })
  const { event, seq, time } = await world.next("FeedRestored", { after: lost.seq, timeoutMs })
  // Told as long as it was, to what a write may take.
  assert.ok(Math.abs(event.outageMs - (time - lost.time)) < 250, `${event.outageMs}`)
  for (const { event: gap, seq: at } of world.all("Gap", after)) {
    assert.ok(at > lost.seq && at < seq, "a gap is closed before entries are on")
    assert.ok(gap.complete && gap.recovered > 0, JSON.stringify(gap))
  }
  return { time, event, lost }
}

/** Alerts about the feed that were raised, by id. */
export function feedAlerts(world: OutageWorld, after: number): ReadonlyArray<string> {
  return world.all("AlertRaised", after).map(({ event }) => event.id)
    .filter((id) => id.startsWith("feed:"))
}
