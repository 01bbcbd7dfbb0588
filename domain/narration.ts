/** Every event in one line for people: the log, the dashboard and the audit trail say the same. */
import { formatDecimal, formatFixed } from "./decimal.ts"
import type { Event } from "./event.ts"
import type { EventView } from "./overview.ts"

type Line = Pick<EventView, "tone" | "source" | "text">

export function narrate(event: Event): Line {
  switch (event._tag) {
    case "RuntimeStarted":
      return plain("root", `Keel ${event.version} started in ${event.mode} mode`)
    case "RuntimeStopped":
      return plain("root", `stopped: ${event.reason}`)
    case "AccountOpened":
      return plain(`account:${event.venue}`, `account seen with ${event.balances.length} assets`)
    case "AccountReconciled":
      return event.differences.length === 0
        ? plain(
          `account:${event.venue}`,
          `reconciled: ${event.ordersOpen} open orders, ${event.fillsFound} fills recovered`,
        )
        : line("error", `account:${event.venue}`, `differs: ${event.differences.join("; ")}`)
    case "AccountBaselineChanged":
      return line(
        "warning",
        `account:${event.venue}`,
        `${event.balances.length} balances of the venue accepted by ${event.by}`,
      )
    case "AccountLost":
      return line("warning", `account:${event.venue}`, `private stream lost: ${event.cause}`)
    case "CommandReceived": {
      const { type, scope, note } = event.command
      const on = scope.id === undefined ? scope.kind : `${scope.kind} ${scope.id}`
      return plain("operator", `${type} ${on}${note ? ` (${note})` : ""}`)
    }
    case "CommandProgressed":
      return line(
        event.tone === "error" ? "error" : event.tone === "warning" ? "warning" : "plain",
        "operator",
        event.text,
      )
    case "TradingStateChanged":
      return line(
        event.state === "active" ? "plain" : "warning",
        "operator",
        event.state === "active" ? "trading resumed" : `trading ${event.state}: ${event.reason}`,
      )
    case "PositionControlChanged":
      return plain("operator", `${event.instrument} is on ${event.control}`)
    case "StrategyAssigned":
      return plain(
        "strategies",
        `${event.strategy} assigned to ${event.instrument} (${event.interval})`,
      )
    case "StrategySwapped":
      return plain("strategies", `${event.from} swapped for ${event.to.id}`)
    case "SignalRaised":
      return plain(
        event.runner,
        `${event.intent} ${event.instrument} at ${formatDecimal(event.price)}: ${event.reason}`,
      )
    case "OrderDenied":
      return line(
        "warning",
        event.origin,
        `${event.side} ${event.instrument} denied: ${event.code} ${event.detail}`,
      )
    case "OrderSubmitted":
      return plain(
        event.origin,
        `${event.side} ${
          formatDecimal(event.quantity)
        } ${event.instrument} ${event.type}: ${event.reason}`,
      )
    case "OrderAccepted":
      return plain("executor", `${event.clientOrderId} accepted as ${event.venueOrderId}`)
    case "OrderRejected":
      return line(
        "error",
        "executor",
        `${event.clientOrderId} rejected: ${event.code} ${event.text}`,
      )
    case "OrderUnconfirmed":
      return line("warning", "executor", `${event.clientOrderId} unconfirmed: ${event.cause}`)
    case "OrderFilled":
      return line(
        "trade",
        "executor",
        `${event.clientOrderId} filled ${formatDecimal(event.quantity)} at ` +
          `${formatDecimal(event.price)}, fee ${formatDecimal(event.fee)} ${event.feeAsset}`,
      )
    case "OrderCancelRequested":
      return plain("executor", `${event.clientOrderId} to be cancelled by ${event.by}`)
    case "OrderCanceled":
      return plain("executor", `${event.clientOrderId} cancelled`)
    case "OrderExpired":
      return line("warning", "executor", `${event.clientOrderId} expired: ${event.reason}`)
    case "FeedLost":
      return event.rule === "planned"
        ? line("warning", `feed:${event.venue}`, `reconnecting as announced: ${event.cause}`)
        : line(
          "error",
          `feed:${event.venue}`,
          `lost (attempt ${event.attempt}): ${event.cause}; entries are off`,
        )
    case "FeedPolling":
      return line("warning", `feed:${event.venue}`, "polling prices by REST; exits only")
    case "FeedRestored":
      return event.outageMs === 0
        ? plain(`feed:${event.venue}`, "streaming")
        : plain(`feed:${event.venue}`, `restored after ${(event.outageMs / 1000).toFixed(1)} s`)
    case "Gap":
      return line(
        event.complete ? "plain" : "warning",
        `feed:${event.venue}`,
        `${event.instrument}: ${event.recovered} missed trades read again after ` +
          `${event.fromId ?? "the start"}${event.complete ? "" : "; more are missing"}: ` +
          event.cause,
      )
    case "SourceChanged":
      return line(
        event.source === "stream" ? "plain" : "warning",
        `feed:${event.venue}`,
        `${event.instrument ?? "all prices"} now from ${
          event.source === "stream" ? "the stream" : "REST"
        }`,
      )
    case "FeedTroubled":
      return line("error", `feed:${event.venue}`, event.detail)
    case "FeedTroubleEnded":
      return plain(`feed:${event.venue}`, `no longer ${event.trouble.replaceAll("_", " ")}`)
    case "InstrumentHalted":
      return line("warning", event.instrument, `${event.status}: ${event.reason}`)
    case "InstrumentResumed":
      return plain(event.instrument, "trading again")
    case "AlertUpdated":
      return plain("alerter", `${event.title}: ${event.detail}`)
    case "AlertRaised":
      return line(
        event.severity === "critical" ? "error" : "warning",
        "alerter",
        `${event.title}: ${event.detail}`,
      )
    case "AlertResolved":
      return plain("alerter", `${event.id} resolved`)
    case "ActorRestarted":
      return line("warning", event.path, `restarted (${event.restarts}) after ${event.cause}`)
    case "ActorFailed":
      return line("error", event.path, `failed: ${event.cause}`)
    case "EquityMarked":
      return plain(`account:${event.venue}`, `equity ${formatFixed(event.total, 2)}`)
  }
}

function plain(source: string, text: string): Line {
  return line("plain", source, text)
}

function line(tone: EventView["tone"], source: string, text: string): Line {
  return { tone, source, text }
}
