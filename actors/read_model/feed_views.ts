/** What the feeds have last reported of themselves, with ages that go on. */
import type { Mark } from "../../domain/equity.ts"
import type { FeedInstrumentView, FeedView } from "../../domain/overview.ts"
import type { Facts } from "./facts.ts"

export function feedViews({ feeds, marks, options }: Facts, now: number): ReadonlyArray<FeedView> {
  return [...options.labels.keys()].flatMap((venue) => feeds.get(venue) ?? []).map((feed) => ({
    ...feed,
    instruments: feed.instruments.map((line) => aged(line, feed, marks.get(line.instrument), now)),
  }))
}

function aged(
  line: FeedInstrumentView,
  { status }: FeedView,
  mark: Mark | undefined,
  now: number,
): FeedInstrumentView {
  if (mark === undefined) return line
  const ageMs = Math.max(0, Math.round(now - mark.heardAt))
  const fresh = status === "streaming" && mark.source === "stream" &&
    line.withheld === undefined && ageMs < line.staleAfterMs
  return { ...line, ageMs, fresh }
}
