import assert from "node:assert/strict"
import { reconcilerOf } from "../../actors/names.ts"
import type { TreeOptions } from "../../actors/tree.ts"
import { decimal, formatDecimal, isEqual } from "../../domain/decimal.ts"
import { limits } from "../../limits.ts"
import { Forbidden, Throttled } from "../../venues/market_data.ts"
import { BTC, ETH, unreachable, VENUE } from "./fakes.ts"
import { everySeed, type Keel, paths, type World } from "./harness.ts"

function trading(world: World): Keel {
  world.venue.drive(250)
  return world.start().ready().run(3_000)
}

function account(world: World) {
  return world.books().accounts.get(VENUE)
}

function withEcho(echoAfterMs: number) {
  return (options: TreeOptions): TreeOptions => ({
    ...options,
    accounts: options.accounts.map((each) => ({
      ...each,
      reconciler: { ...each.reconciler, echoAfterMs },
    })),
  })
}

function denials(world: World) {
  return world.events("OrderDenied").map(({ code }) => code)
}

everySeed("nothing is opened before the account has been reconciled", (world) => {
  world.venue.readsDown = unreachable
  world.venue.drive(250)
  const keel = world.start().run(5_000)
  assert.equal(account(world), undefined)
  keel.signal("enter")
  keel.run(1_000)
  assert.deepEqual(denials(world), ["ACCOUNT_NOT_RECONCILED"])
  world.venue.readsDown = undefined
  keel.ready()
  keel.signal("enter")
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 1)
  keel.stop()
})

everySeed("reads that fail are not an empty account", (world) => {
  const keel = trading(world)
  keel.signal("enter")
  keel.run(1_000)
  world.venue.readsDown = unreachable
  world.venue.cutPrivate()
  keel.run(120_000)
  assert.equal(account(world)!.ready, false)
  assert.deepEqual(account(world)!.differences, [])
  assert.ok(world.books().positions.get(BTC)!.quantity.value > 0n)
  keel.stop()
})

everySeed("a private stream that is lost denies openings until all is compared", (world) => {
  const keel = trading(world)
  keel.signal("enter", BTC)
  keel.run(1_000)
  world.venue.privateDown = unreachable
  world.venue.cutPrivate()
  keel.run(50)
  assert.equal(world.events("AccountLost").length, 1)
  keel.signal("enter", ETH)
  keel.run(500)
  assert.deepEqual(denials(world), ["ACCOUNT_NOT_RECONCILED"])
  // To get out is always allowed; what became of it is found by asking.
  keel.signal("exit", BTC)
  keel.until(() => world.books().orders.get("keel-test-binance-2")?.status === "filled", 20_000)
  world.venue.privateDown = undefined
  keel.ready()
  assert.equal(world.events("AccountLost").length, 1)
  keel.signal("enter", ETH)
  keel.run(1_000)
  assert.equal(world.books().orders.get("keel-test-binance-3")?.status, "filled")
  keel.stop()
})

everySeed("fills that were missed while away are recovered", (world) => {
  const first = trading(world)
  world.venue.faults.fills.push("slow")
  first.signal("enter", BTC)
  first.run(500)
  first.kill()
  world.time.run(600_000)
  assert.equal(world.books().fills.length, 0)
  const second = world.start().ready()
  assert.equal(world.books().fills.length, 1)
  assert.equal(world.events("AccountReconciled").at(-1)!.fillsFound, 1)
  assert.ok(isEqual(world.books().positions.get(BTC)!.quantity, world.venue.position(BTC)))
  second.stop()
})

everySeed("a fill that is lost while nothing can be read is found afterwards", (world) => {
  world.venue.drive(250)
  // Left to the comparison alone: the stream is not made anew for want of an echo.
  const keel = world.start({ change: withEcho(Infinity) }).ready().run(3_000)
  const { faults } = world.venue
  // The whole order passes unseen, but for its answer; the next is seen, much later.
  faults.frames.push("lose", "lose")
  keel.signal("enter", BTC)
  keel.run(100)
  world.venue.readsDown = unreachable
  const downSince = world.time.now
  keel.run(300_000)
  keel.signal("enter", ETH)
  keel.run(1_000)
  assert.equal(world.books().fills.length, 1)
  world.venue.readsDown = undefined
  const since = world.venue.executionReads.length
  keel.run(40_000)
  const [first] = world.venue.executionReads.slice(since)
  assert.ok(first!.since < downSince - 59_000)
  assert.equal(world.books().fills.length, 2)
  for (const id of [BTC, ETH]) {
    assert.ok(isEqual(world.books().positions.get(id)!.quantity, world.venue.position(id)))
  }
  assert.equal(account(world)!.ready, true)
  keel.stop()
})

everySeed("a stream is not made anew for an order from before it stood", (world) => {
  const keel = trading(world)
  // Accepted and filled, and neither the answer nor the stream says so: it ends with the request.
  world.venue.faults.submit.push("lose_answer")
  world.venue.onSubmit = () => world.venue.cutPrivate()
  keel.signal("enter", BTC)
  keel.run(20_000)
  assert.equal(world.events("OrderAccepted").length, 1)
  assert.equal(world.events("AccountLost").length, 1)
  assert.equal(account(world)!.ready, true)
  keel.stop()
})

everySeed("somebody else's order is a difference, an alert, and no openings", (world) => {
  const keel = trading(world)
  const gone = world.venue.placeForeign(BTC)
  keel.run(limits.account.reconcileEveryMs + 3_000)
  assert.match(account(world)!.differences.join(), /an open order that is not ours: web-\d+/)
  assert.equal(account(world)!.ready, false)
  const alert = world.books().alerts.get(`account:${VENUE}`)!
  assert.equal(alert.severity, "critical")
  assert.equal(alert.resolvedAt, undefined)
  keel.signal("enter")
  keel.run(1_000)
  assert.deepEqual(denials(world), ["ACCOUNT_NOT_RECONCILED"])
  // Told once.
  const told = world.events("AccountReconciled").length
  keel.run(3 * limits.account.reconcileEveryMs)
  assert.equal(world.events("AccountReconciled").length, told)
  gone()
  keel.run(limits.account.reconcileEveryMs + 3_000)
  assert.equal(account(world)!.ready, true)
  assert.notEqual(world.books().alerts.get(`account:${VENUE}`)!.resolvedAt, undefined)
  keel.stop()
})

everySeed("what a venue rounds away is no difference, and more than that is one", (world) => {
  Object.assign(world.venue.broker, { roundingMax: decimal("0.01") })
  const keel = trading(world)
  keel.signal("enter")
  keel.run(1_000)
  world.venue.withdraw("USDT", "0.00999999")
  keel.run(limits.account.reconcileEveryMs + 3_000)
  assert.equal(account(world)!.ready, true)
  world.venue.withdraw("USDT", "0.00000002")
  keel.run(limits.account.reconcileEveryMs + 3_000)
  assert.equal(account(world)!.ready, false)
  keel.stop()
})

everySeed("balances that our fills do not explain are a difference", (world) => {
  const keel = trading(world)
  keel.signal("enter")
  keel.run(1_000)
  world.venue.withdraw("USDT", "250")
  keel.run(limits.account.reconcileEveryMs + 3_000)
  const [difference] = account(world)!.differences
  assert.match(difference ?? "", /^USDT: the venue holds [\d.]+, our books say [\d.]+$/)
  assert.equal(account(world)!.ready, false)
  // And it stays one while an order keeps it from being compared.
  world.venue.faults.fills.push("rest")
  keel.signal("exit")
  keel.run(limits.account.reconcileEveryMs + 3_000)
  assert.equal(world.books().orders.get("keel-test-binance-2")!.status, "accepted")
  assert.equal(account(world)!.ready, false)
  keel.stop()
})

everySeed("a fill on its way is no difference", (world) => {
  const keel = trading(world)
  for (let i = 0; i < 60; i++) {
    world.venue.faults.frames.push("late", "late")
    keel.signal(i % 2 === 0 ? "enter" : "exit")
    keel.run(3_500 + i * 37)
  }
  assert.ok(world.events("OrderFilled").length > 20)
  assert.deepEqual(world.events("AccountReconciled").flatMap((each) => each.differences), [])
  keel.stop()
})

everySeed("what moves while it is compared is no difference", (world) => {
  const keel = trading(world)
  world.venue.faults.fills.push("slow")
  world.venue.faults.frames.push("late", "late")
  keel.signal("enter")
  // All fills have been read just before it is filled, and the balances just after.
  keel.until(() => world.venue.submits.length === 1, 1_000, 1).run(1_430)
  keel.send(reconcilerOf(VENUE), { _tag: "Reconcile" })
  keel.run(10_000)
  assert.equal(world.events("OrderFilled").length, 1)
  assert.deepEqual(world.events("AccountReconciled").flatMap((each) => each.differences), [])
  keel.stop()
})

everySeed("what the account held before belongs to nobody here", (world) => {
  world.venue.deposit("BTC", "3")
  const keel = trading(world)
  assert.equal(account(world)!.ready, true)
  keel.signal("exit")
  keel.run(1_000)
  assert.deepEqual(denials(world), ["NOTHING_TO_REDUCE"])
  assert.equal(formatDecimal(world.venue.balance("BTC")), "3")
  keel.stop()
})

everySeed("a reconciler that restarts has to compare before anything is opened", (world) => {
  const keel = trading(world)
  assert.equal(account(world)!.ready, true)
  world.venue.readsDown = unreachable
  keel.crash(paths.reconciler)
  keel.run(3_000)
  assert.equal(keel.restarts(paths.reconciler), 1)
  assert.equal(account(world)!.ready, false)
  keel.signal("enter")
  keel.run(1_000)
  assert.deepEqual(denials(world), ["ACCOUNT_NOT_RECONCILED"])
  world.venue.readsDown = undefined
  keel.ready().stop()
})

for (const reason of [unreachable, new Throttled({ status: 418, retryAfterMs: 199_000 })]) {
  everySeed(`of those who ask while reads are ${reason._tag} only the newest wait`, (world) => {
    const keel = trading(world)
    world.venue.readsDown = reason
    const answers = new Array<boolean>()
    for (let asked = 0; asked < 200; asked++) {
      const succeed = (isDone: boolean) => void answers.push(isDone)
      keel.send(reconcilerOf(VENUE), { _tag: "Reconcile", reply: { succeed, fail: () => {} } })
      keel.run(1_000)
    }
    const given = answers.length
    assert.ok(given > 100 && answers.every((isDone) => !isDone), `${given} were told no`)
    world.venue.readsDown = undefined
    keel.until(() => answers.length === 200, 210_000)
    assert.ok(answers.slice(given).every((isDone) => isDone))
    keel.stop()
  })
}

everySeed("a comparison that spans two streams lifts no gate", (world) => {
  const keel = trading(world)
  world.venue.cutPrivate()
  keel.run(20)
  // Up again, and comparing: lost before it is done, and for good.
  keel.until(() => keel.model.links.get(VENUE)?.status === "streaming", 5_000, 1)
  world.venue.privateDown = unreachable
  world.venue.cutPrivate()
  keel.run(10_000)
  assert.equal(account(world)!.ready, false)
  assert.notEqual(keel.model.links.get(VENUE)?.status, "streaming")
  keel.stop()
})

everySeed("a comparison that began before the loss counts for nothing after it", (world) => {
  const keel = trading(world)
  world.venue.answerMs = 400
  world.venue.cutPrivate()
  const streaming = () => keel.model.links.get(VENUE)?.status === "streaming"
  keel.until(() => !streaming(), 1_000, 1).until(streaming, 5_000, 1).run(100)
  world.venue.cutPrivate()
  keel.until(() => !streaming(), 1_000, 1).until(streaming, 5_000, 1)
  const upAt = world.time.now
  keel.until(() => account(world)!.ready, 10_000, 1)
  assert.ok(world.time.now - upAt >= 1_200, `ready ${world.time.now - upAt} ms after it came back`)
  keel.stop()
})

everySeed("a refused key is asked about seldom, a limited rate as told", (world) => {
  const keel = trading(world)
  world.venue.privateDown = new Forbidden({ detail: "invalid key" })
  world.venue.cutPrivate()
  keel.run(100_000)
  const refused = world.records().length
  assert.deepEqual(world.events("AccountLost").map(({ rule }) => rule), ["backoff", "forbidden"])
  assert.match(account(world)!.cause ?? "", /invalid key/)
  const alert = world.books().alerts.get(`account:${VENUE}`)!
  assert.deepEqual([alert.severity, alert.resolvedAt], ["critical", undefined])
  world.venue.privateDown = undefined
  keel.run(60_000)
  assert.equal(account(world)!.ready, false)
  keel.post({ type: "resume", scope: { kind: "all" }, commandId: "the key is good again" })
  world.venue.readsDown = new Throttled({ status: 429, retryAfterMs: 20_000 })
  keel.until(() => keel.model.links.get(VENUE)?.cause?.includes("rate limited") === true)
  const since = world.time.now
  world.venue.readsDown = undefined
  keel.ready()
  assert.ok(world.time.now - since >= 19_000, `${world.time.now - since} ms`)
  assert.ok(world.records().length > refused)
  keel.stop()
})

everySeed("a private stream that flaps stays within the venue's budget", (world) => {
  const keel = trading(world)
  const startedAt = world.time.now
  let connections = 0
  while (world.time.now - startedAt < 300_000) {
    keel.until(() => account(world)!.ready, 60_000).run(10)
    connections += 1
    world.venue.cutPrivate()
    keel.run(10)
  }
  assert.ok(connections > 20 && connections <= 85, `${connections} connections`)
  keel.stop()
})
