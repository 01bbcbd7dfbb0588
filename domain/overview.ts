/**
 * What Keel looks like from outside: the answer of `GET /api/v1/state`, and what the pages draw.
 *
 * One plain, JSON-ready value. Money and quantities are decimal strings in fixed notation, times
 * are epoch milliseconds, ages are whole milliseconds. It holds no behaviour, so that a view is a
 * function of data and a script reads exactly what a person sees.
 */
import type { SessionPhase } from "./calendar.ts"
import type { Withheld } from "./gate.ts"
import type { InstrumentStatus } from "./instrument.ts"
import type { WaitRule } from "./link.ts"
import type { OrderType } from "./order.ts"

export type Mode = "sim" | "paper" | "live"
/** `active` trades, `reducing` only closes, `halted` sends nothing but cancels and flattening orders. */
export type TradingState = "active" | "reducing" | "halted"
export type LinkStatus = "connecting" | "streaming" | "reconnecting" | "polling" | "down"
export type PriceSource = "stream" | "rest"

export interface Overview {
  /** Sequence number of the last journal event contained. */
  readonly seq: number
  readonly asOf: number
  readonly mode: Mode
  readonly version: string
  readonly startedAt: number
  readonly tradingState: TradingState
  /** Who paused trading and when; absent while active. */
  readonly tradingStateReason?: string
  readonly tradingStateSince?: number
  readonly replay?: ReplayView
  readonly accounts: ReadonlyArray<AccountView>
  readonly equity: EquityView
  readonly positions: ReadonlyArray<PositionView>
  /** Open orders first, then the newest closed ones; at most `limits.orders`. */
  readonly orders: ReadonlyArray<OrderView>
  /** Newest first, at most `limits.fills`. */
  readonly fills: ReadonlyArray<FillView>
  readonly strategies: ReadonlyArray<StrategyView>
  readonly feeds: ReadonlyArray<FeedView>
  /** The supervision tree, depth first, parents before children. */
  readonly actors: ReadonlyArray<ActorView>
  /** Unresolved first, then the last resolved ones. */
  readonly alerts: ReadonlyArray<AlertView>
  /** The newest journal events in words, newest first. */
  readonly events: ReadonlyArray<EventView>
}

export interface ReplayView {
  readonly file: string
  readonly speed: number
  readonly startMs: number
  readonly endMs: number
  /** Market time reached. */
  readonly atMs: number
  readonly finished: boolean
}

export interface AccountView {
  readonly venue: string
  /** `binance sim`, `binance testnet`: what a person calls it. */
  readonly label: string
  readonly status: "connecting" | "reconciling" | "ready" | "degraded" | "down"
  readonly reconciledAt?: number
  /** Of the private stream, where orders and fills are reported. */
  readonly link: LinkStatus
  readonly lastEventAt?: number
  readonly lastCause?: string
  readonly cash: ReadonlyArray<{ readonly asset: string; readonly quantity: string }>
  /** Holdings too small for the venue to sell. */
  readonly dust: ReadonlyArray<{ readonly asset: string; readonly quantity: string }>
  /** Venue time minus our time. */
  readonly clockOffsetMs?: number
  /** Of this account alone; absent until it has been seen. */
  readonly equity?: EquityView
  /** Everything that it trades is on hold. */
  readonly paused: boolean
  /** What is used up of the venue's limits on requests. */
  readonly requests: ReadonlyArray<RequestLimitView>
}

export interface RequestLimitView {
  readonly name: string
  readonly used: number
  readonly limit: number
  readonly windowMs: number
  /** Requests that wait for their turn. */
  readonly waiting: number
  /** Until when the venue wants to hear nothing. */
  readonly bannedUntil?: number
}

/** In the quote asset of one account; of all accounts in dollars, stablecoins counted one to one. */
export interface EquityView {
  readonly total: string
  readonly cash: string
  readonly realisedPnl: string
  readonly unrealisedPnl: string
  readonly fees: string
  readonly asOf: number
  /** Equity when the account was first seen, against which profit is counted. */
  readonly start: string
  /** Largest (peak - equity) / peak seen, as a ratio. */
  readonly drawdown: string
  readonly peak: string
  /** Sum of |quantity x mark| over positions. */
  readonly exposure: string
}

export interface PositionView {
  readonly instrument: string
  readonly venue: string
  /** Negative is short. */
  readonly quantity: string
  readonly averagePrice: string
  readonly markPrice: string
  readonly markAgeMs: number
  readonly markSource: PriceSource
  /** What the price is good for: `may_open` only when streamed and fresh. */
  readonly markAuthority: "may_open" | "exits_only" | "stale"
  readonly unrealisedPnl: string
  readonly realisedPnl: string
  readonly openedAt: number
  /** Runners that hold a part of it, largest first. */
  readonly strategies: ReadonlyArray<string>
  /** A closing order is under way. */
  readonly closing: boolean
  readonly control: "auto" | "hold"
}

export type OrderStatus =
  | "submitted"
  | "accepted"
  | "partially_filled"
  | "filled"
  | "cancel_pending"
  | "canceled"
  | "expired"
  | "rejected"
  | "denied"
  | "unconfirmed"

export interface OrderView {
  readonly clientOrderId: string
  readonly venueOrderId: string | null
  readonly instrument: string
  readonly side: "buy" | "sell"
  readonly type: OrderType
  readonly quantity: string
  readonly filledQuantity: string
  /** Limit price, or null for a market order. */
  readonly price: string | null
  /** Of the fills so far. */
  readonly averagePrice: string | null
  readonly status: OrderStatus
  readonly time: number
  readonly updatedAt: number
  /** Why it was sent, in words: `rsi_momentum: rsi 27.4 below 30`. */
  readonly reason: string
  /** Runner, or `operator`. */
  readonly origin: string
  /** Why it was denied, rejected or is unconfirmed. */
  readonly note?: string
}

export interface FillView {
  readonly executionId: string
  readonly clientOrderId: string
  readonly instrument: string
  readonly side: "buy" | "sell"
  readonly quantity: string
  readonly price: string
  readonly fee: string
  readonly feeAsset: string
  readonly time: number
}

export interface StrategyView {
  /** `rsi_momentum:BTC/USDT.BINANCE`, the id for `swap_strategy` and the runner's name. */
  readonly id: string
  readonly strategy: string
  readonly instrument: string
  readonly interval: string
  readonly params: Record<string, unknown>
  readonly notional: string
  readonly status: "warming_up" | "running" | "paused" | "restarting" | "stopped"
  readonly bars: number
  readonly signals: number
  readonly lastSignal?: string
  readonly lastSignalAt?: number
  /** Latest indicator values by name, already rounded for reading. */
  readonly indicators: Record<string, string>
  readonly holding: string
}

export interface FeedView {
  readonly venue: string
  readonly status: LinkStatus
  /** Failed attempts of the present outage; 0 while streaming. */
  readonly attempt: number
  readonly attemptMax: number
  /** Null before the first. */
  readonly lastDataAt: number | null
  readonly nextAttemptAt?: number
  readonly cause?: string
  readonly since: number
  readonly reconnects: number
  readonly framesPerSecond: number
  readonly undecoded: number
  readonly lastUndecoded?: string
  /** What it is doing, finer than `status`. */
  readonly phase?: FeedPhase
  /** How the present outage is waited out. */
  readonly rule?: WaitRule
  /** When entries went off; absent while they are on. */
  readonly outageSince?: number
  /** While recovering: what entries still wait for, in words. */
  readonly waitsFor?: ReadonlyArray<string>
  /** What lasts and should not, in words. */
  readonly troubles?: ReadonlyArray<string>
  /** By how much events come later than the fastest ones did. */
  readonly lagMs?: number
  /** Our clock minus the venue's, as its events tell; absent before the first. */
  readonly clockOffsetMs?: number
  readonly instruments: ReadonlyArray<FeedInstrumentView>
}

/**
 * `recovering`: data flows again, and is being completed and compared. `waiting`: the venue has told
 * us to. `blocked`: it refuses us, and only a person can help.
 */
export type FeedPhase =
  | "connecting"
  | "streaming"
  | "recovering"
  | "reconnecting"
  | "polling"
  | "waiting"
  | "blocked"

export interface FeedInstrumentView {
  readonly instrument: string
  /** Null before the first; the middle is never invented: last trade, else null. */
  readonly price: string | null
  readonly bid: string | null
  readonly ask: string | null
  /** Since its last price; null before the first. */
  readonly ageMs: number | null
  readonly source: PriceSource
  readonly fresh: boolean
  readonly staleAfterMs: number
  readonly trades: number
  readonly lastTradeId: string | null
  readonly duplicates: number
  readonly gaps: number
  /** Missed trades that were read again. */
  readonly recovered?: number
  /** Where the instrument has sessions: the present one, and when it ends. */
  readonly session?: SessionPhase
  readonly sessionUntil?: number
  readonly halt?: { readonly status: string; readonly reason: string }
  /** How the venue lists it, where that is not as trading. */
  readonly listed?: Exclude<InstrumentStatus, "trading">
  /** A person wants it left alone, whether or not anything is held. */
  readonly onHold?: true
  /** Why its price may open nothing; absent while it may. */
  readonly withheld?: Withheld
}

export interface ActorView {
  readonly path: string
  readonly name: string
  readonly depth: number
  readonly kind: "actor" | "supervisor"
  readonly strategy?: "one_for_one" | "one_for_all" | "rest_for_one"
  readonly status: "starting" | "running" | "restarting" | "stopping" | "stopped" | "failed"
  readonly restarts: number
  readonly mailboxDepth: number
  readonly ratePerSecond: number
  readonly dropped: number
  readonly startedAt: number
  readonly lastCause: string | null
  readonly lastCauseAt: number | null
}

export interface AlertView {
  readonly id: string
  readonly severity: "info" | "warning" | "critical"
  readonly title: string
  readonly detail: string
  readonly raisedAt: number
  readonly updatedAt: number
  readonly resolvedAt: number | null
}

export interface EventView {
  readonly seq: number
  readonly time: number
  /** The event's tag: `OrderFilled`. */
  readonly type: string
  readonly tone: "plain" | "trade" | "warning" | "error"
  readonly source: string
  readonly text: string
}

/** What the chart draws; prices as numbers, because a canvas has no decimals. Times in epoch SECONDS, ascending. */
export interface Series {
  readonly instrument: string
  readonly price: ReadonlyArray<{ readonly time: number; readonly value: number }>
  /** Profit and loss against the starting equity, whole account. */
  readonly pnl: ReadonlyArray<{ readonly time: number; readonly value: number }>
  readonly fills: ReadonlyArray<
    { readonly time: number; readonly side: "buy" | "sell"; readonly text: string }
  >
}
