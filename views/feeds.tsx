/**
 * Market data by venue and instrument: how old each price is, where it is from, and whether it may
 * open a position.
 */
import type { FC } from "hono/jsx"
import type { FeedInstrumentView, FeedView } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { price, rate, symbolOf, words } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { Dot, linkShape } from "./status.tsx"
import { Elapsed } from "./time.tsx"

export const Feeds: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.feeds.length === 0
    ? <Empty title="Waiting for the first price">No feed has started yet.</Empty>
    : (
      <>
        {overview.feeds.map((feed) => <Feed key={feed.venue} feed={feed} asOf={overview.asOf} />)}
      </>
    )

const Feed: FC<{ feed: FeedView; asOf: number }> = ({ feed, asOf }) => (
  <div class="feed" id={`feed-${feed.venue}`}>
    <p class="feed-head">
      <Dot shape={linkShape(feed.status)} />
      <b>{words(feed.venue)}</b>
      <span>{feed.status}</span>
      <span class="since">
        <Elapsed at={feed.since} as="up" />
      </span>
    </p>
    {feed.status !== "streaming" && (
      <p class="feed-cause">
        {feed.cause ?? "Connecting"}
        {feed.attempt > 0 && `. Attempt ${feed.attempt} of ${feed.attemptMax}`}
        {feed.nextAttemptAt !== undefined && (
          <>
            , next in <Elapsed at={feed.nextAttemptAt} as="in" />
          </>
        )}.
      </p>
    )}
    <dl class="facts">
      <div>
        <dt>Frames</dt>
        <dd>{rate(feed.framesPerSecond)}/s</dd>
      </div>
      <div>
        <dt>Last data</dt>
        <dd>{feed.lastDataAt === null ? "none" : <Elapsed at={feed.lastDataAt} as="age" />}</dd>
      </div>
      <div>
        <dt>Reconnects</dt>
        <dd class={feed.reconnects > 0 ? "warn" : ""}>{feed.reconnects}</dd>
      </div>
      <div>
        <dt>Undecoded</dt>
        <dd class={feed.undecoded > 0 ? "warn" : ""} title={feed.lastUndecoded}>
          {feed.undecoded}
        </dd>
      </div>
    </dl>
    <table>
      <thead>
        <tr>
          <th scope="col">Instrument</th>
          <th scope="col" class="n">Last</th>
          <th scope="col" class="n wide">Bid / ask</th>
          <th scope="col">Authority</th>
          <th scope="col" class="n wide" title="Gaps found and repeats dropped">Gaps</th>
        </tr>
      </thead>
      <tbody>
        {feed.instruments.map((instrument) => (
          <Instrument key={instrument.instrument} instrument={instrument} asOf={asOf} />
        ))}
      </tbody>
    </table>
  </div>
)

const Instrument: FC<{ instrument: FeedInstrumentView; asOf: number }> = (
  { instrument: it, asOf },
) => (
  <tr id={`price-${it.instrument}`}>
    <th scope="row">{symbolOf(it.instrument)}</th>
    <td class="n">{it.price === null ? <span class="dim">waiting</span> : price(it.price)}</td>
    <td class="n wide">
      {it.bid === null && it.ask === null ? <span class="dim">none</span> : (
        <>
          {it.bid === null ? "none" : price(it.bid)}
          <small>{it.ask === null ? "none" : price(it.ask)}</small>
        </>
      )}
    </td>
    <td>
      <Freshness instrument={it} asOf={asOf} />
    </td>
    <td
      class={`n wide ${it.gaps > 0 ? "warn" : "dim"}`}
      title={`${it.trades} trades, ${it.duplicates} repeats dropped, last trade ${
        it.lastTradeId ?? "none"
      }`}
    >
      {it.gaps}
    </td>
  </tr>
)

const Freshness: FC<{ instrument: FeedInstrumentView; asOf: number }> = (
  { instrument: it, asOf },
) => {
  if (it.ageMs === null) return <span class="authority stale">never received</span>
  const isStreamed = it.source === "stream"
  const isStale = it.ageMs > it.staleAfterMs
  const authority = isStale ? "stale" : it.fresh && isStreamed ? "may_open" : "exits_only"
  return (
    <span class={`authority ${authority}`} title={`stale after ${it.staleAfterMs / 1000} s`}>
      {isStreamed ? "streamed" : "polled"} <Elapsed at={asOf - it.ageMs} as="age" />{" "}
      <b>
        {authority === "may_open" ? "may open" : authority === "stale" ? "stale" : "exits only"}
      </b>
    </span>
  )
}
