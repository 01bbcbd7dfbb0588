/** What holds after every fault, whatever it was. */
import assert from "node:assert/strict"
import { formatDecimal } from "../../domain/decimal.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Bar } from "../../domain/market.ts"
import { assertNothingOpenedBlindly } from "../entries.ts"
import { timeline } from "./timeline.ts"
import { overBudget } from "./verdict.ts"
import type { ChaosWorld } from "./world.ts"

/**
 * Trading goes on, nothing was opened without authority, strategies were shown what was traded, no
 * venue was asked too often, every alert but `lasting` is over, and nothing had to be started again.
 */
export async function assertHealed(
  world: ChaosWorld,
  { after, lasting = [], streams = 2 }: {
    readonly after: number
    readonly lasting?: ReadonlyArray<string>
    readonly streams?: number
  },
) {
  try {
    await world.until(
      () =>
        alertsLeft(world).every((id) => lasting.includes(id)) &&
        [...world.books.feeds.values()].every(({ status }) => status === "streaming") &&
        [...world.books.accounts.values()].every(({ ready }) => ready),
      70_000,
      after,
    )
    const healed = world.mark
    await world.until(
      () => world.all("OrderSubmitted", healed).some(({ purpose }) => purpose === "open"),
      30_000,
      healed,
    )
    assertNothingOpenedBlindly(world.records())
    assert.deepEqual(overBudget(world.connectsAt, streams), [])
    assert.deepEqual(world.all("ActorRestarted", after), [])
    assert.deepEqual(world.all("ActorFailed", after), [])
    for (const { instrument } of world.assignments) await assertBarsAreTheTape(world, instrument)
  } catch (error) {
    const records = world.records().filter(({ seq }) => seq > after)
    const told = timeline(records, records[0]?.time ?? world.now).join("\n")
    throw new Error(`not healed:\n${told}`, { cause: error })
  }
}

export function alertsLeft({ books }: ChaosWorld): ReadonlyArray<string> {
  return [...books.alerts.values()]
    .filter(({ resolvedAt }) => resolvedAt === undefined)
    .map(({ id }) => id)
}

/** Every bar a strategy was shown is the venue's own, and between two of them none is missing. */
async function assertBarsAreTheTape(world: ChaosWorld, instrument: InstrumentId) {
  const seen = world.bars(instrument)
  const [first, last] = [seen[0], seen.at(-1)]
  assert.ok(first && last && seen.length > 2, `${instrument}: no bars`)
  const { intervalMs } = first
  const count = 1 + (last.openTime - first.openTime) / intervalMs
  const tape = await world.run(
    world.venue.market.bars(instrument, intervalMs, last.openTime + intervalMs, count),
  )
  const theirs = tape.filter(({ openTime }) => openTime >= first.openTime)
  assert.deepEqual(seen.map(textOf), theirs.map(textOf), instrument)
}

function textOf({ openTime, open, high, low, close, volume, trades }: Bar): string {
  const prices = [open, high, low, close, volume].map(formatDecimal)
  return `${openTime}: ${prices.join(" ")} in ${trades}`
}
