/** When a start may be called done: there are prices to trade on, or it is known why not. */
import { Effect } from "effect"
import type { ReadModel } from "../actors/read_model.ts"
import { dateAfter, newYorkDate, sessionAt, usTradingDays } from "../domain/calendar.ts"
import type { Instrument } from "../domain/instrument.ts"
import { limits } from "../limits.ts"
import type { Venues } from "./venues.ts"

/**
 * Completes when every venue has a price or is known to be out of reach, and for those that only
 * keep silent after a while, provided that anything at all can be traded or that all is closed.
 */
export const firstPrices = Effect.fn("assembly.ready")(function* (
  model: ReadModel,
  venues: Venues,
  now: () => number,
) {
  const startedAt = now()
  const isReady = () => {
    const names = venues.doors.map(({ venue }) => venue)
    const priced = names.filter((venue) => hasPrice(model, venue))
    const others = names.filter((venue) => !priced.includes(venue))
    const isLate = now() - startedAt >= limits.firstPriceMs
    if (priced.length === 0) {
      return isLate && venues.instruments.every((each) => isClosed(each, now()))
    }
    return isLate || others.every((venue) => isLost(model, venue))
  }
  yield* Effect.callback<void>((resume) => {
    const look = () => {
      if (!isReady()) return
      stop()
      resume(Effect.void)
    }
    const stop = model.onChange(look)
    look()
    return Effect.sync(stop)
  })
})

function hasPrice({ feeds }: ReadModel, venue: string): boolean {
  return feeds.get(venue)?.instruments.some(({ ageMs }) => ageMs !== null) ?? false
}

function isLost({ books }: ReadModel, venue: string): boolean {
  const feed = books.feeds.get(venue)
  return feed !== undefined && feed.status !== "streaming"
}

/** By the exchanges' rules; crypto never is. */
function isClosed({ assetClass }: Instrument, time: number): boolean {
  if (assetClass === "crypto") return false
  const today = newYorkDate(time)
  const { phase } = sessionAt(usTradingDays(dateAfter(today, -1), dateAfter(today, 5)), time)
  return phase !== "core"
}
