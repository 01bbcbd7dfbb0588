/** What the feeds have last reported of themselves, with ages that go on and what else is known. */
import type { Mark } from "../../domain/equity.ts"
import type { FeedInstrumentView, FeedView, LinkStatus } from "../../domain/overview.ts"
import { type Facts, instrumentsOf } from "./facts.ts"

export function feedViews(facts: Facts, now: number): ReadonlyArray<FeedView> {
  const { feeds, marks, options } = facts
  return [...options.labels.keys()].flatMap((venue) => feeds.get(venue) ?? []).map((feed) => ({
    ...feed,
    instruments: feed.instruments.map((line) => ({
      ...line,
      ...aged(line, feed.status, marks.get(line.instrument), now),
      ...standing(facts, line),
    })),
  }))
}

function aged(
  { staleAfterMs, withheld }: FeedInstrumentView,
  feed: LinkStatus,
  mark: Mark | undefined,
  now: number,
): Partial<FeedInstrumentView> {
  if (mark === undefined) return {}
  const ageMs = Math.max(0, Math.round(now - mark.heardAt))
  const fresh = feed === "streaming" && mark.source === "stream" && withheld === undefined &&
    ageMs < staleAfterMs
  return { ageMs, fresh }
}

/** What a feed does not decide. */
function standing(
  facts: Facts,
  { instrument: id }: FeedInstrumentView,
): Partial<FeedInstrumentView> {
  const status = instrumentsOf(facts).find((each) => each.id === id)?.status ?? "trading"
  return {
    ...(status !== "trading" && { listed: status }),
    ...(facts.books.holds.has(id) && { onHold: true }),
  }
}
