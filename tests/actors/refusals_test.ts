/** What a venue's refusal changes: the journal says why, and nobody asks again at once. */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { limits } from "../../limits.ts"
import { type Broker, OrderRefused, type RefusalReason } from "../../venues/broker.ts"
import { BTC, ETH } from "./fakes.ts"
import { everySeed, type Keel, type World } from "./harness.ts"

/** Refuses everything for `reason()`, where there is one, before the venue has seen it. */
function refusing(world: World, reason: () => RefusalReason | undefined): Keel {
  const refuse = (broker: Broker): Broker => ({
    ...broker,
    submit: (order) =>
      Effect.suspend(() => {
        const why = reason()
        return why === undefined ? broker.submit(order) : Effect.fail(
          new OrderRefused({ reason: why, code: "40310000", text: "no, thank you" }),
        )
      }),
  })
  const keel = world.start({
    change: (options) => ({
      ...options,
      accounts: options.accounts.map((each) => ({
        ...each,
        executor: { ...each.executor, broker: refuse(each.executor.broker) },
      })),
    }),
  })
  world.venue.drive(200)
  return keel.ready().run(1_000)
}

everySeed("whoever was refused for a reason that lasts opens nothing for a while", (world) => {
  let why: RefusalReason | undefined = "not_shortable"
  const keel = refusing(world, () => why)
  keel.signal("enter", BTC)
  keel.run(1_000)
  assert.equal(world.events("OrderRejected").at(-1)?.text, "not shortable: no, thank you")
  why = undefined
  keel.signal("enter", BTC)
  keel.run(1_000)
  const denied = world.events("OrderDenied").at(-1)
  assert.equal(denied?.code, "COOLING_DOWN")
  assert.match(denied?.detail ?? "", /^refusedFor=not_shortable leftMs=\d+$/)
  assert.equal(world.venue.submits.length, 0)
  // Whoever was not refused goes on.
  keel.signal("enter", ETH, "another")
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 1)
  keel.run(limits.orders.coolDownMs)
  keel.signal("enter", BTC)
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 2)
  keel.stop()
})

everySeed("a refusal that may not last, and one of an exit, hold nobody back", (world) => {
  let why: RefusalReason | undefined = "throttled"
  const keel = refusing(world, () => why)
  keel.signal("enter", BTC)
  keel.run(1_000)
  why = undefined
  keel.signal("enter", BTC)
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 1)
  why = "market_closed"
  keel.signal("exit", BTC)
  keel.run(1_000)
  why = undefined
  keel.signal("exit", BTC)
  keel.run(1_000)
  assert.equal(world.venue.submits.length, 2)
  keel.stop()
})

everySeed(
  "an id that the venue knows already is an order to ask for, not one that is missing",
  (world) => {
    let answers = 0
    const keel = refusing(world, () => ++answers === 1 ? "duplicate_id" : undefined)
    keel.signal("enter", BTC)
    keel.run(1_000)
    assert.equal(world.events("OrderRejected").length, 0)
    const { cause } = world.events("OrderUnconfirmed").at(-1)!
    assert.match(cause, /the venue knows the id/)
    keel.stop()
  },
)
