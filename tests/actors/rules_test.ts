/** Trading rules that change while Keel runs: the next order keeps the new ones. */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { decimal, formatDecimal } from "../../domain/decimal.ts"
import { whyNotTrading } from "../../domain/explanation.ts"
import type { Instrument } from "../../domain/instrument.ts"
import { BTC, VENUE } from "./fakes.ts"
import { everySeed, type Keel, type World } from "./harness.ts"

/** Keel, and how the venue changes an instrument. */
function ruled(
  world: World,
): { readonly keel: Keel; readonly change: (to: Partial<Instrument>) => void } {
  let tell: ((instrument: Instrument) => void) | undefined
  const keel = world.start({
    change: (options) => ({
      ...options,
      accounts: options.accounts.map((each) => ({
        ...each,
        riskManager: {
          ...each.riskManager,
          watchRules: (_, changed) => {
            tell = changed
            return Effect.never
          },
        },
      })),
    }),
  })
  world.venue.drive(200)
  keel.ready().run(1_000)
  const known = world.venue.instruments.find(({ id }) => id === BTC)!
  return { keel, change: (to) => tell!({ ...known, ...to }) }
}

everySeed("an order is built on the rules that hold now", (world) => {
  const { keel, change } = ruled(world)
  change({ lotSize: decimal("0.01") })
  keel.run(100)
  keel.signal("enter", BTC)
  keel.run(1_000)
  const [order] = world.venue.submits
  assert.match(formatDecimal(order!.quantity), /^\d+\.\d{1,2}$/)
  keel.stop()
})

everySeed(
  "nothing is opened in what the venue has stopped trading, until it trades again",
  (world) => {
    const { keel, change } = ruled(world)
    change({ status: "cancel_only" })
    keel.run(100)
    keel.signal("enter", BTC)
    keel.run(1_000)
    assert.equal(world.events("OrderDenied").at(-1)?.code, "INSTRUMENT_NOT_TRADING")
    assert.deepEqual(obstacles(keel, BTC), ["INSTRUMENT_NOT_TRADING"])
    assert.equal(world.venue.submits.length, 0)
    change({ status: "trading" })
    keel.run(100)
    keel.signal("enter", BTC)
    keel.run(1_000)
    assert.equal(world.venue.submits.length, 1)
    assert.deepEqual(obstacles(keel, BTC), [])
    keel.stop()
  },
)

function obstacles(keel: Keel, id: string) {
  const why = whyNotTrading(keel.model.overview(), VENUE).find(({ subject }) => subject === id)
  return why?.obstacles.map(({ code }) => code)
}
