/**
 * Mode, venue, trading state and the three links: what must be right before any figure matters.
 *
 * The links stand apart because they fail apart: this page may be cut off from a runtime that
 * trades happily, and a runtime may be blind in one eye.
 */
import type { FC } from "hono/jsx"
import type { Mode, Overview, TradingState } from "../domain/overview.ts"
import type { PageView } from "./page_view.ts"
import { accountShape, Dot, linkShape, type Shape, worst } from "./status.tsx"
import { attemptText, sentence, words } from "./format.ts"
import { Elapsed } from "./time.tsx"

export const modeWords: Readonly<Record<Mode, { name: string; meaning: string }>> = {
  sim: { name: "Simulation", meaning: "simulated venues, no money" },
  paper: { name: "Paper", meaning: "real prices, play money" },
  live: { name: "Live", meaning: "real money" },
}

/** Stands still: a process never changes its mode. */
export const ModeBadge: FC<{ overview: Overview }> = ({ overview: { mode, accounts } }) => (
  <span class="mode" title={modeWords[mode].meaning}>
    <b>{modeWords[mode].name}</b>
    <span class="venue">
      {accounts.map(({ label }) =>
        label
      ).join(", ") || "no account yet"}
    </span>
  </span>
)

const tradingWords: Readonly<Record<TradingState, { name: string; shape: Shape }>> = {
  active: { name: "Trading", shape: "ok" },
  reducing: { name: "Exits only", shape: "degraded" },
  halted: { name: "Halted", shape: "down" },
}

export const Status: FC<{ view: PageView }> = ({ view: { overview } }) => {
  const { name, shape } = tradingWords[overview.tradingState]
  const feed = worst(overview.feeds.map(({ status }) => linkShape(status)))
  const broker = worst(overview.accounts.map(({ status }) => accountShape(status)))
  return (
    <>
      <span class={`pill trading ${shape}`}>
        <Dot shape={shape} />
        <span class="word">{name}</span>
      </span>
      <a class={`pill ${feed}`} href="#feeds" title="Keel to the market data">
        <Dot shape={feed} />
        <span class="who">Feed</span>
        <span class="what word">{feedWord(overview)}</span>
      </a>
      <a class={`pill ${broker}`} href="#account" title="Keel to the account">
        <Dot shape={broker} />
        <span class="who">Broker</span>
        <span class="what word">{brokerWord(overview)}</span>
      </a>
    </>
  )
}

function feedWord({ feeds }: Overview): string {
  if (feeds.length === 0) return "none yet"
  const streaming = feeds.filter(({ status }) => status === "streaming").length
  if (streaming === feeds.length) return "streaming"
  const worse = feeds.find(({ status }) => status !== "streaming")
  return feeds.length === 1 && worse ? worse.status : `${streaming} of ${feeds.length} streaming`
}

function brokerWord({ accounts }: Overview): string {
  if (accounts.length === 0) return "none yet"
  const worse = accounts.find(({ status }) => status !== "ready")
  return worse?.status ?? "ready"
}

/** Pause while trading, resume while not; without script it posts the form of the dialog. */
export const PauseButton: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.tradingState === "active"
    ? (
      <button type="submit" form="form-pause" class="btn" data-open="dialog-pause">
        Pause all
      </button>
    )
    : (
      <button type="submit" form="form-resume" class="btn primary" data-open="dialog-resume">
        Resume
      </button>
    )

/** What is wrong now, since when, and what Keel does about it. Empty when nothing is. */
export const Strip: FC<{ view: PageView }> = ({ view: { overview } }) => {
  const troubles = [...tradingTroubles(overview), ...feedTroubles(overview)]
  const alerts = overview.alerts.filter(({ resolvedAt }) => resolvedAt === null)
  const rows = troubles.length + alerts.length
  return (
    <>
      {troubles.slice(0, ROWS_MAX)}
      {alerts.slice(0, Math.max(0, ROWS_MAX - troubles.length)).map((alert) => (
        <p class={`trouble ${alert.severity}`} id={`alert-${alert.id}`} key={alert.id}>
          <Dot shape={alert.severity === "critical" ? "down" : "degraded"} />
          <b>{alert.title}</b>
          <span>{alert.detail}</span>
          <span class="since">
            <Elapsed at={alert.raisedAt} />
          </span>
        </p>
      ))}
      {rows > ROWS_MAX && <p class="trouble info">and {rows - ROWS_MAX} more alerts</p>}
    </>
  )
}

const ROWS_MAX = 4

function tradingTroubles(overview: Overview) {
  const { tradingState, tradingStateReason, tradingStateSince } = overview
  if (tradingState === "active") return []
  return [
    <p class="trouble warning" id="trouble-trading" key="trading">
      <Dot shape={tradingWords[tradingState].shape} />
      <b>{tradingState === "reducing" ? "Trading is reduced to exits" : "Trading is halted"}</b>
      <span>
        {tradingStateReason && `${sentence(tradingStateReason)} `}
        {tradingState === "reducing"
          ? "Nothing new is opened; exits, closes and cancels keep working."
          : "No strategy sends an order; your own closes, cancels and flatten keep working."}
      </span>
      {tradingStateSince !== undefined && (
        <span class="since">
          <Elapsed at={tradingStateSince} />
        </span>
      )}
    </p>,
  ]
}

function feedTroubles({ feeds }: Overview) {
  return feeds.filter(({ status }) => status !== "streaming" && status !== "connecting").map((
    feed,
  ) => (
    <p class="trouble warning" id={`trouble-${feed.venue}`} key={feed.venue}>
      <Dot shape={linkShape(feed.status)} />
      <b>{words(feed.venue)} feed {feed.phase ?? feed.status}</b>
      <span>
        {feed.cause && `${feed.cause}. `}
        {feed.attempt > 0 && `${attemptText(feed.attempt, feed.attemptMax)}. `}
        {feed.nextAttemptAt !== undefined && (
          <>
            Next try in <Elapsed at={feed.nextAttemptAt} as="in" />.{" "}
          </>
        )}
        {feed.waitsFor !== undefined && `Waiting for ${feed.waitsFor.join(", ")}. `}
        {feed.status === "polling"
          ? "Prices are polled: they serve exits only; entries are off."
          : "Entries are off; exits, stops and cancels keep working."}
      </span>
      <span class="since">
        <Elapsed at={feed.since} />
      </span>
    </p>
  ))
}

/** Where a replay of recorded data has got to. Empty in every other run. */
export const ReplayBar: FC<{ view: PageView }> = ({ view: { overview: { replay } } }) => {
  if (!replay) return null
  const { file, speed, startMs, endMs, atMs, finished } = replay
  const share = endMs > startMs ? (atMs - startMs) / (endMs - startMs) : 0
  const percentDone = Math.round(Math.min(1, Math.max(0, share)) * 100)
  return (
    <p class="replay">
      <b>{finished ? "Replay finished" : "Replay"}</b>
      <span class="file">{file}</span>
      <span>{speed}&times; speed</span>
      <progress max="100" value={percentDone} aria-label="Replay progress"></progress>
      <span>{percentDone}%</span>
      <span class="dim">
        market time {new Date(atMs).toISOString().slice(0, 19).replace("T", " ")}
      </span>
    </p>
  )
}
