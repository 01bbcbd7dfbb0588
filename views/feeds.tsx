/**
 * Market data by venue and instrument: how old each price is, where it is from, and whether it may
 * open a position; of an outage the cause, the next attempt and what is paused; and why nothing is
 * traded, one click away.
 */
import type { FC } from "hono/jsx"
import { whyNotTrading } from "../domain/explanation.ts"
import type {
  FeedInstrumentView,
  FeedPhase,
  FeedView,
  LinkStatus,
  Overview,
} from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { attemptText, price, rate, symbolOf, words } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { Dot, linkShape } from "./status.tsx"
import { Elapsed } from "./time.tsx"

export const Feeds: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.feeds.length === 0
    ? <Empty title="Waiting for the first price">No feed has started yet.</Empty>
    : (
      <>
        {overview.feeds.map((feed) => <Feed key={feed.venue} feed={feed} overview={overview} />)}
      </>
    )

const Feed: FC<{ feed: FeedView; overview: Overview }> = ({ feed, overview }) => (
  <div class="feed" id={`feed-${feed.venue}`}>
    <p class="feed-head">
      <Dot shape={linkShape(feed.status)} />
      <b>{words(feed.venue)}</b>
      <span>{phaseWords[feed.phase ?? feed.status]}</span>
      <span class="since">
        <Elapsed at={feed.since} as="up" />
      </span>
      <button type="button" class="btn small" popovertarget={`why-${feed.venue}`}>
        Why is it not trading?
      </button>
    </p>
    <Why venue={feed.venue} overview={overview} />
    {feed.status !== "streaming" && (
      <p class="feed-cause">
        {feed.cause ?? "Connecting"}
        {feed.attempt > 0 && `. ${attemptText(feed.attempt, feed.attemptMax)}`}
        {feed.nextAttemptAt !== undefined && (
          <>
            , next in <Elapsed at={feed.nextAttemptAt} as="in" />
          </>
        )}
        {feed.waitsFor !== undefined && `. Waiting for ${feed.waitsFor.join(", ")}`}.
      </p>
    )}
    {feed.outageSince !== undefined && (
      <p class="feed-cause">
        Entries are off for <Elapsed at={feed.outageSince} as="age" />:{" "}
        {paused(feed, overview)}. Exits go on.
      </p>
    )}
    {feed.troubles?.map((trouble) => <p class="feed-cause" key={trouble}>{trouble}</p>)}
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
        <dt title="Later than the fastest events, whatever the clocks say">Behind</dt>
        <dd class={feed.lagMs !== undefined && feed.lagMs > LAG_SHOWN_MS ? "warn" : ""}>
          {feed.lagMs === undefined ? "unknown" : `${feed.lagMs} ms`}
        </dd>
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
          <Instrument
            key={instrument.instrument}
            instrument={instrument}
            asOf={overview.asOf}
          />
        ))}
      </tbody>
    </table>
  </div>
)

const LAG_SHOWN_MS = 1_000

const phaseWords: Readonly<Record<FeedPhase | LinkStatus, string>> = {
  connecting: "connecting",
  streaming: "streaming",
  recovering: "recovering",
  reconnecting: "reconnecting",
  polling: "polling",
  waiting: "waiting, as the venue says",
  blocked: "refused",
  down: "down",
}

/** What an outage of this venue holds up. */
function paused({ venue, instruments }: FeedView, { strategies }: Overview): string {
  const runners = strategies.filter(({ instrument }) =>
    instrument.endsWith(`.${venue.toUpperCase()}`)
  )
  const count = `${instruments.length} instrument${instruments.length === 1 ? "" : "s"}`
  return runners.length === 0
    ? count
    : `${count}, and ${
      runners.map(({ instrument, strategy }) => `${words(strategy)} on ${symbolOf(instrument)}`)
        .join(", ")
    }`
}

/** The whole answer, for every instrument and strategy; open or not is the browser's to remember. */
const Why: FC<{ venue: string; overview: Overview }> = ({ venue, overview }) => {
  const explanations = whyNotTrading(overview, venue)
  return (
    <div class="why" id={`why-${venue}`} popover="auto">
      <h3>Why is {words(venue)} not trading?</h3>
      {explanations.length === 0 && <p>Nothing of this venue is followed.</p>}
      <dl>
        {explanations.map(({ kind, notes, obstacles, subject }) => (
          <div key={subject}>
            <dt>{kind === "instrument" ? symbolOf(subject) : subject}</dt>
            {obstacles.map(({ code, text }) => <dd key={code} title={code}>{text}</dd>)}
            {obstacles.length === 0 && (
              <dd class="dim">
                {kind === "instrument"
                  ? "Nothing stands in the way of an entry."
                  : "Nothing stands in the way: it trades when it wants to."}
              </dd>
            )}
            {notes.map(({ at, text }) => (
              <dd class="dim" key={text}>
                {text}, <Elapsed at={at} />
              </dd>
            ))}
          </div>
        ))}
      </dl>
    </div>
  )
}

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
      title={`${it.trades} trades, ${it.duplicates} repeats dropped, ${
        it.recovered ?? 0
      } missed ones read again, last trade ${it.lastTradeId ?? "none"}`}
    >
      {it.gaps}
    </td>
  </tr>
)

const Freshness: FC<{ instrument: FeedInstrumentView; asOf: number }> = (
  { instrument: it, asOf },
) => {
  if (it.halt !== undefined) {
    return <span class="authority stale" title={it.halt.reason}>{it.halt.status}</span>
  }
  if (it.withheld?.code === "MARKET_CLOSED") {
    return (
      <span class="authority exits_only">
        market closed {it.ageMs !== null && <Elapsed at={asOf - it.ageMs} as="age" />}
      </span>
    )
  }
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
