/**
 * Why nothing is traded, in words.
 *
 * Asked of the same gates that the risk manager asks, for every instrument and every strategy of a
 * venue. What it answers is everything that stands in the way, what concerns most first, so that
 * nobody repairs one thing to find the next. An empty answer means that a strategy only has to want.
 */
import { type ClosedGate, closedGates, type DenialCode, type Numbers } from "./gate.ts"
import type { FeedInstrumentView, FeedView, Overview, StrategyView } from "./overview.ts"

export interface Obstacle {
  readonly code: DenialCode | "STRATEGY_NOT_RUNNING"
  readonly text: string
}

export interface Explanation {
  /** An instrument's or a strategy's id. */
  readonly subject: string
  readonly kind: "instrument" | "strategy"
  /** What stands in the way of an entry now, what concerns most first. */
  readonly obstacles: ReadonlyArray<Obstacle>
  /** What else helps to understand: the last signal, the last refusal; with its time. */
  readonly notes: ReadonlyArray<{ readonly text: string; readonly at: number }>
}

/** Of one venue: its instruments, then its strategies. */
export function whyNotTrading(overview: Overview, venue: string): ReadonlyArray<Explanation> {
  const feed = overview.feeds.find((each) => each.venue === venue)
  const lines = feed?.instruments ?? []
  const ids = new Set(lines.map(({ instrument }) => instrument))
  const strategies = overview.strategies.filter(({ instrument }) =>
    ids.has(instrument) || instrument.endsWith(`.${venue.toUpperCase()}`)
  )
  return [
    ...lines.map((line): Explanation => ({
      subject: line.instrument,
      kind: "instrument",
      obstacles: obstaclesOf(overview, venue, feed, line),
      notes: [],
    })),
    ...strategies.map((strategy): Explanation => {
      const line = lines.find(({ instrument }) => instrument === strategy.instrument)
      return {
        subject: strategy.id,
        kind: "strategy",
        obstacles: [
          ...(line === undefined ? [unheard(strategy)] : obstaclesOf(overview, venue, feed, line)),
          ...ownObstacles(overview, strategy),
        ],
        notes: notesOf(overview, strategy),
      }
    }),
  ]
}

function obstaclesOf(
  overview: Overview,
  venue: string,
  feed: FeedView | undefined,
  line: FeedInstrumentView,
): ReadonlyArray<Obstacle> {
  const { instrument } = line
  const account = overview.accounts.find((each) => each.venue === venue)
  const gates = closedGates({
    tradingState: overview.tradingState,
    tradingStateReason: overview.tradingStateReason,
    venue,
    account: account && { ready: account.status === "ready", cause: account.lastCause },
    feed: feed === undefined ? undefined : feed.phase ?? feed.status,
    instrument,
    status: line.listed ?? "trading",
    halt: line.halt,
    onHold: line.onHold === true,
    withheld: line.withheld,
  })
  const isStale = !line.fresh && gates.every(({ code }) => code !== "MARKET_CLOSED") &&
    gates.every(({ code }) => code !== "MARKET_DATA_STALE")
  const stale: ReadonlyArray<ClosedGate> = isStale
    ? [{
      code: "MARKET_DATA_STALE",
      numbers: {
        ageMs: line.ageMs === null ? "never" : String(line.ageMs),
        staleAfterMs: String(line.staleAfterMs),
      },
    }]
    : []
  return [...gates, ...stale].map(({ code, numbers }) => ({
    code,
    text: inWords(code, numbers, feed),
  }))
}

function unheard({ instrument }: StrategyView): Obstacle {
  return { code: "MARKET_DATA_STALE", text: `Nobody subscribes to ${instrument}.` }
}

/** What concerns this strategy alone. */
function ownObstacles(overview: Overview, strategy: StrategyView): ReadonlyArray<Obstacle> {
  const { id, instrument, status } = strategy
  const found = new Array<Obstacle>()
  if (status !== "running" && status !== "paused") {
    found.push({ code: "STRATEGY_NOT_RUNNING", text: runningWords[status] })
  }
  const order = overview.orders.find((each) =>
    each.instrument === instrument && each.origin === id && openStatuses.has(each.status)
  )
  if (order !== undefined) {
    const text = `Its order ${order.clientOrderId} is ${order.status.replaceAll("_", " ")}.`
    found.push({ code: "ORDER_IN_FLIGHT", text })
  }
  if (!/^-?0(?:\.0*)?$/.test(strategy.holding)) {
    const text = `It holds ${strategy.holding} and waits for its own exit.`
    found.push({ code: "ALREADY_HOLDING", text })
  }
  return found
}

const openStatuses: ReadonlySet<string> = new Set([
  "submitted",
  "accepted",
  "partially_filled",
  "cancel_pending",
  "unconfirmed",
])

const runningWords = {
  warming_up: "It reads history and has not seen enough of it yet.",
  restarting: "It has crashed and is being restarted.",
  stopped: "It has crashed too often and is stopped; restart or swap it.",
} as const

function notesOf(overview: Overview, strategy: StrategyView) {
  const refusal = overview.events.find(({ source, type }) =>
    type === "OrderDenied" && source === strategy.id
  )
  return [
    ...(strategy.lastSignal !== undefined && strategy.lastSignalAt !== undefined
      ? [{ text: `Last signal: ${strategy.lastSignal}`, at: strategy.lastSignalAt }]
      : []),
    ...(refusal === undefined ? [] : [{ text: `Last refusal: ${refusal.text}`, at: refusal.time }]),
  ]
}

function inWords(code: DenialCode, numbers: Numbers, feed: FeedView | undefined): string {
  switch (code) {
    case "TRADING_HALTED":
      return `Trading is paused${because(numbers.reason)}. Resume it to go on.`
    case "TRADING_REDUCING":
      return `Positions are only closed${because(numbers.reason)}.`
    case "ACCOUNT_NOT_RECONCILED":
      return `The account has not been compared with the venue${because(numbers.cause)}.`
    case "MARKET_CLOSED":
      return `The market is closed (${numbers.session ?? "no session"}).`
    case "MARKET_DATA_STALE":
      return staleWords(numbers, feed)
    case "INSTRUMENT_HALTED":
      return `The venue takes no orders in it (${numbers.status})${because(numbers.reason)}.`
    case "PRICE_OUTSIDE_BAND":
      return "Its price is outside the band in which the exchanges trade it."
    case "INSTRUMENT_NOT_TRADING":
      return `The venue lists it as ${numbers.status}.`
    case "POSITION_ON_HOLD":
      return "You have put it on hold: Keel leaves it alone."
    default:
      return code.toLowerCase().replaceAll("_", " ")
  }
}

function staleWords(numbers: Numbers, feed: FeedView | undefined): string {
  if (numbers.late !== undefined) return "Its prices arrive too late to act on."
  if (numbers.ageMs === "never") return "No price of it has been streamed yet."
  if (numbers.ageMs !== undefined) {
    const seconds = (ms: string | undefined) => `${(Number(ms) / 1_000).toFixed(1)} s`
    return `Its last price is ${seconds(numbers.ageMs)} old; ${
      seconds(numbers.staleAfterMs)
    } are allowed.`
  }
  const cause = because(feed?.cause)
  switch (numbers.feed) {
    case "recovering":
      return `Prices flow again. Still waiting for ${
        feed?.waitsFor?.join(", ") ?? "what was missed"
      }.`
    case "waiting":
      return `The venue has told us to wait${cause}.`
    case "blocked":
      return `The venue refuses us${cause}. When the cause is gone, resume trading.`
    case "polling":
      return `Prices are polled, which is good for exits only${cause}.`
    case "connecting":
      return "The stream of prices is being connected."
    default:
      return `The stream of prices is interrupted${cause}.`
  }
}

function because(cause: string | undefined): string {
  return cause === undefined || cause === "" ? "" : `: ${cause}`
}
