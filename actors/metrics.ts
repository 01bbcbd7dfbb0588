/** The read model as Prometheus text: what an alert outside of Keel would be built on. */
import { venueOf } from "../domain/instrument.ts"
import type { Overview } from "../domain/overview.ts"

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number | string]

export function prometheusText(overview: Overview): string {
  const { accounts, actors, alerts, equity, feeds, orders, positions } = overview
  const lines: Array<string> = []
  const metric = (
    name: string,
    type: "gauge" | "counter",
    help: string,
    samples: ReadonlyArray<Sample>,
  ) => {
    lines.push(`# HELP keel_${name} ${help}`, `# TYPE keel_${name} ${type}`)
    for (const [labels, value] of samples) lines.push(`keel_${name}${braces(labels)} ${value}`)
  }
  metric("journal_seq", "counter", "Sequence number of the last journal event.", [
    [{}, overview.seq],
  ])
  metric("trading_active", "gauge", "1 while entries are allowed, 0 otherwise.", [
    [{}, overview.tradingState === "active" ? 1 : 0],
  ])
  metric("equity", "gauge", "Of all accounts in dollars, by part.", [
    [{ part: "total" }, equity.total],
    [{ part: "cash" }, equity.cash],
    [{ part: "realised" }, equity.realisedPnl],
    [{ part: "unrealised" }, equity.unrealisedPnl],
    [{ part: "fees" }, equity.fees],
    [{ part: "exposure" }, equity.exposure],
  ])
  metric("drawdown_ratio", "gauge", "Largest fall of the equity from its peak.", [
    [{}, equity.drawdown],
  ])
  metric(
    "account_equity",
    "gauge",
    "Of one account in its quote asset, by part.",
    accounts.flatMap(({ equity, venue }): ReadonlyArray<Sample> =>
      equity === undefined ? [] : [
        [{ venue, part: "total" }, equity.total],
        [{ venue, part: "cash" }, equity.cash],
        [{ venue, part: "realised" }, equity.realisedPnl],
        [{ venue, part: "unrealised" }, equity.unrealisedPnl],
        [{ venue, part: "fees" }, equity.fees],
        [{ venue, part: "exposure" }, equity.exposure],
      ]
    ),
  )
  metric(
    "account_drawdown_ratio",
    "gauge",
    "Largest fall of one account's equity from its peak.",
    accounts.flatMap(({ equity, venue }): ReadonlyArray<Sample> =>
      equity === undefined ? [] : [[{ venue }, equity.drawdown]]
    ),
  )
  metric(
    "requests_used",
    "gauge",
    "Counted against a limit of the venue in its present window.",
    accounts.flatMap(({ requests, venue }) =>
      requests.map(({ name, used }): Sample => [{ venue, limit: name }, used])
    ),
  )
  metric(
    "requests_limit",
    "gauge",
    "What the venue takes in one window.",
    accounts.flatMap(({ requests, venue }) =>
      requests.map(({ name, limit }): Sample => [{ venue, limit: name }, limit])
    ),
  )
  metric(
    "position_quantity",
    "gauge",
    "Signed quantity held.",
    positions.map(({ instrument, quantity, venue }) => [{ venue, instrument }, quantity]),
  )
  metric(
    "orders_open",
    "gauge",
    "Orders that may still be filled.",
    accounts.map(({ venue }) => [
      { venue },
      orders.filter(({ instrument, status }) =>
        venueOf(instrument) === venue && !closed.has(status)
      ).length,
    ]),
  )
  metric(
    "account_ready",
    "gauge",
    "1 while the account is reconciled and its private stream is up.",
    accounts.map(({ venue, status }) => [{ venue }, status === "ready" ? 1 : 0]),
  )
  metric(
    "feed_streaming",
    "gauge",
    "1 while prices are streamed.",
    feeds.map(({ venue, status }) => [{ venue }, status === "streaming" ? 1 : 0]),
  )
  metric(
    "feed_reconnects_total",
    "counter",
    "Outages that have ended.",
    feeds.map(({ venue, reconnects }) => [{ venue }, reconnects]),
  )
  metric(
    "feed_undecoded_total",
    "counter",
    "Frames that meant nothing.",
    feeds.map(({ venue, undecoded }) => [{ venue }, undecoded]),
  )
  metric(
    "price_age_seconds",
    "gauge",
    "Since the last price.",
    feeds.flatMap(({ instruments, venue }) =>
      instruments.flatMap(({ ageMs, instrument }): ReadonlyArray<Sample> =>
        ageMs === null ? [] : [[{ venue, instrument }, ageMs / 1_000]]
      )
    ),
  )
  metric(
    "actor_restarts_total",
    "counter",
    "Restarts of an actor or supervisor.",
    actors.map(({ path, restarts }) => [{ path }, restarts]),
  )
  metric(
    "actor_mailbox_depth",
    "gauge",
    "Messages waiting.",
    actors.map(({ mailboxDepth, path }) => [{ path }, mailboxDepth]),
  )
  metric("alerts_active", "gauge", "Alerts that are not resolved.", [
    [{}, alerts.filter(({ resolvedAt }) => resolvedAt === null).length],
  ])
  return lines.join("\n") + "\n"
}

const closed: ReadonlySet<string> = new Set(["filled", "canceled", "expired", "rejected", "denied"])

function braces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`
  )
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}
