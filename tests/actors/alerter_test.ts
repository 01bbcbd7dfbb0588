import assert from "node:assert/strict"
import { Journal } from "../../actors/journal.ts"
import type { Event } from "../../domain/event.ts"
import { BTC, unreachable, VENUE } from "./fakes.ts"
import { everySeed, type Keel, paths } from "./harness.ts"

everySeed("trouble that begins and ends in one breath leaves no alert open", (world) => {
  const keel = world.start().ready()
  append(keel, [
    { _tag: "FeedLost", venue: VENUE, cause: "x", attempt: 5 },
    { _tag: "FeedRestored", venue: VENUE, outageMs: 5 },
    { _tag: "ActorFailed", path: "root/x", cause: "gave up" },
    { _tag: "ActorRestarted", path: "root/x", cause: "gave up", restarts: 1 },
  ])
  keel.run(100)
  assert.deepEqual(open(keel), [])
  assert.equal(world.events("AlertRaised").length, 2)
  keel.stop()
})

everySeed("an alert that ends while the alerter restarts is resolved", (world) => {
  world.venue.drive(250)
  const keel = world.start().ready().run(2_000)
  world.venue.privateDown = unreachable
  world.venue.cutPrivate()
  keel.run(1_000)
  assert.deepEqual(open(keel), [`account:${VENUE}`])
  world.venue.privateDown = undefined
  keel.crash(paths.alerter)
  keel.ready().run(2_000)
  assert.deepEqual(open(keel), [])
  keel.stop()
})

everySeed("an alert that ends while nobody runs is resolved by the next process", (world) => {
  world.venue.drive(250)
  const first = world.start().ready().run(2_000)
  world.venue.faults.submit.push("lose_answer")
  world.venue.faults.frames.push("lose", "lose")
  first.signal("enter", BTC)
  first.until(() => open(first).length > 0)
  append(first, [{ _tag: "ActorFailed", path: "root/x", cause: "gave up" }])
  first.run(50)
  first.kill()
  const second = world.start().ready().run(10_000)
  assert.deepEqual(open(second), [])
  second.stop()
})

everySeed("an order that nobody knows about is an alert until it is known", (world) => {
  world.venue.drive(250)
  const keel = world.start().ready().run(2_000)
  world.venue.faults.submit.push("lose_request")
  keel.signal("enter", BTC)
  keel.until(() => open(keel).length > 0)
  assert.deepEqual(open(keel), ["order:keel-test-binance-1"])
  keel.run(30_000)
  assert.deepEqual(open(keel), [])
  assert.equal(world.books().orders.get("keel-test-binance-1")!.status, "rejected")
  keel.stop()
})

function open(keel: Keel): ReadonlyArray<string> {
  return [...keel.books.alerts.values()]
    .filter(({ resolvedAt }) => resolvedAt === undefined)
    .map(({ id }) => id)
}

function append(keel: Keel, events: ReadonlyArray<Event>) {
  keel.send(Journal, { _tag: "Append", events, after: 0, reply: undefined })
}
