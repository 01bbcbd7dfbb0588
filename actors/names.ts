/**
 * Who may be addressed, and with what. References are late-bound, so that actors need each other's
 * names and never each other's instances.
 */
import type { Approved } from "../domain/risk.ts"
import type { Equity, Mark } from "../domain/equity.ts"
import type { Decimal } from "../domain/decimal.ts"
import type { Fresh } from "../domain/freshness.ts"
import type { Withheld } from "../domain/gate.ts"
import type { Instrument, InstrumentId } from "../domain/instrument.ts"
import type { Bar, Quote } from "../domain/market.ts"
import type { OrderPurpose } from "../domain/order.ts"
import type { FeedView, StrategyView } from "../domain/overview.ts"
import type { Command, CommandReceipt } from "../domain/command.ts"
import type { Signal } from "../domain/signal.ts"
import type { Execution, OrderReport, PrivateEvent, SubmitError } from "../venues/broker.ts"
import type { Recorded } from "./journal.ts"
import { type ActorName, actorName, type ReplyTo } from "./runtime/mod.ts"

export type ReconcilerMessage =
  | { readonly _tag: "PrivateEvent"; readonly event: PrivateEvent }
  | { readonly _tag: "Undecoded"; readonly frame: string; readonly reason: string }
  /** Answered when one has succeeded that began after this; with false when none can be made now. */
  | { readonly _tag: "Reconcile"; readonly reply?: ReplyTo<boolean> }
  | { readonly _tag: "Sweep" }
  | Recorded

export type ExecutorMessage =
  | { readonly _tag: "Execute"; readonly order: Approved }
  | {
    readonly _tag: "Answered"
    readonly clientOrderId: string
    readonly answer: { readonly venueOrderId: string } | SubmitError
  }
  | { readonly _tag: "Reported"; readonly report: OrderReport }
  | { readonly _tag: "Executed"; readonly execution: Execution; readonly report: OrderReport }
  | { readonly _tag: "Cancel"; readonly clientOrderId: string; readonly by: string }
  /** What a reconciliation has found; answered with the number of fills that were new. */
  | {
    readonly _tag: "Absorb"
    readonly executions: ReadonlyArray<Execution>
    readonly reports: ReadonlyArray<OrderReport>
    /** Orders that the venue says it never had. */
    readonly missing: ReadonlyArray<string>
    readonly reply: ReplyTo<number> | undefined
  }
  | { readonly _tag: "CheckAges" }
  | Recorded

export type FeedRequest =
  /** The price by REST, for who must get out; fails when it cannot be had. */
  | {
    readonly _tag: "Confirm"
    readonly instrument: InstrumentId
    readonly reply: ReplyTo<Quote>
  }
  /** What it knows, at once: where no clock runs no timer does it. */
  | { readonly _tag: "Show" }
  | Recorded

export type RiskMessage =
  /** The venue's tick, lot, minimum or status is another from here on. */
  | { readonly _tag: "RulesChanged"; readonly instrument: Instrument }
  | { readonly _tag: "Proof"; readonly fresh: Fresh }
  /** Why there are no proofs for it from here on; undefined when there are again. */
  | {
    readonly _tag: "Withheld"
    readonly instrument: InstrumentId
    readonly withheld: Withheld | undefined
  }
  | { readonly _tag: "Marked"; readonly mark: Mark }
  | { readonly _tag: "Valued"; readonly equity: Equity }
  | {
    readonly _tag: "Signalled"
    readonly runner: string
    readonly signal: Signal
    readonly notional: Decimal
    /** From the risk manager to itself: the price has been asked for, as well as it could be. */
    readonly confirmed?: boolean
  }
  /** An operator's order to get out; answered with what was decided. */
  | {
    readonly _tag: "Close"
    readonly instrument: InstrumentId
    readonly reason: string
    readonly reply: ReplyTo<{ readonly approved: boolean; readonly text: string }>
    readonly confirmed?: boolean
  }
  /** What had been approved became wrong before it was sent. */
  | { readonly _tag: "Refused"; readonly instrument: InstrumentId; readonly purpose: OrderPurpose }
  | Recorded

export type PortfolioMessage =
  | { readonly _tag: "Marked"; readonly mark: Mark }
  | { readonly _tag: "Value" }
  | Recorded

export type RunnerMessage =
  | {
    readonly _tag: "BarClosed"
    readonly bar: Bar
    /**
     * When the bar before it opened; undefined after a gap. Who has not seen that one has missed
     * something, whatever the reason.
     */
    readonly after: number | undefined
  }
  /** Prices are missing from here on: what is known of the market has to be read again. */
  | { readonly _tag: "Gap"; readonly instrument: InstrumentId }
  /** From the runner to itself: it has crashed too often. */
  | { readonly _tag: "GiveUp" }
  | Recorded

export type OperatorMessage =
  | {
    readonly _tag: "Submit"
    readonly command: Command
    readonly reply: ReplyTo<CommandReceipt>
  }
  | Recorded

export type MonitorMessage =
  | { readonly _tag: "Marked"; readonly mark: Mark }
  | { readonly _tag: "RulesChanged"; readonly instrument: Instrument }
  | { readonly _tag: "FeedChanged"; readonly feed: FeedView }
  | { readonly _tag: "RunnerChanged"; readonly runner: RunnerView }
  | { readonly _tag: "LinkChanged"; readonly link: PrivateLink }
  | { readonly _tag: "Valued"; readonly venue: string; readonly equity: Equity }
  | { readonly _tag: "Tick" }
  | Recorded

/** What a runner knows of its strategy; how it was assigned is in the books. */
export type RunnerView = Omit<
  StrategyView,
  "strategy" | "instrument" | "interval" | "params" | "notional"
>

/** State of a venue's private stream. */
export interface PrivateLink {
  readonly venue: string
  readonly status: "connecting" | "streaming" | "reconnecting" | "down"
  readonly lastEventAt: number | undefined
  readonly cause: string | undefined
  readonly clockOffsetMs: number | undefined
  /** When all was compared last, whether or not that was news. */
  readonly reconciledAt?: number
}

export const reconcilerOf = (venue: string): ActorName<ReconcilerMessage> =>
  actorName(`reconciler:${venue}`)
export const feedOf = (venue: string): ActorName<FeedRequest> => actorName(`feed:${venue}`)
export const executorOf = (venue: string): ActorName<ExecutorMessage> =>
  actorName(`executor:${venue}`)
export const riskManagerOf = (venue: string): ActorName<RiskMessage> =>
  actorName(`risk_manager:${venue}`)
export const portfolioKeeperOf = (venue: string): ActorName<PortfolioMessage> =>
  actorName(`portfolio_keeper:${venue}`)
/** Names cannot hold a stroke, instruments do: `runner:rsi_momentum:BTC-USDT.BINANCE`. */
export const runnerOf = (assignmentId: string): ActorName<RunnerMessage> =>
  actorName(`runner:${assignmentId.replaceAll("/", "-")}`)
export const Operator: ActorName<OperatorMessage> = actorName("operator")
export const Monitor: ActorName<MonitorMessage> = actorName("monitor")
