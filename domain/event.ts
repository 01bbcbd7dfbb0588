/**
 * Everything that is ever written down.
 *
 * The journal is the truth: every decision and every fact is one of these, appended before it is
 * acted on, and all that Keel knows is a fold over them. The union is closed and only grows: an old
 * journal must always be readable.
 */
import { Schema } from "effect"
import { Command } from "./command.ts"
import { DecimalText } from "./decimal.ts"

const { String: Text, Int, Literals, NullOr, Array: List, Struct } = Schema

const Side = Literals(["buy", "sell"])
const WaitRule = Literals(["backoff", "rate_limited", "slot_busy", "forbidden", "planned"])
export const FeedTrouble = Literals([
  /** Data comes and goes. */
  "flapping",
  /** Closed again and again for breaking the venue's rules. */
  "misbehaving",
  /** Nothing is subscribed to, or nothing was ever heard of it: there is nothing to watch. */
  "nothing_to_watch",
  /** Events arrive later and later. */
  "lagging",
  /** The venue does not stream something that was asked for. */
  "refused",
])
export type FeedTrouble = typeof FeedTrouble.Type
const AssignmentFields = {
  id: Text,
  strategy: Text,
  instrument: Text,
  interval: Text,
  params: Schema.Record(Text, Schema.Unknown),
  notional: DecimalText,
} as const

export const Event = Schema.TaggedUnion({
  RuntimeStarted: {
    mode: Literals(["sim", "paper", "live"]),
    version: Text,
    /** Drawn once per journal: makes its order ids unlike those of any other journal. */
    journalId: Text,
  },
  RuntimeStopped: { reason: Text },

  /** An account seen for the first time: what it held is not ours to trade. */
  AccountOpened: {
    venue: Text,
    quoteAsset: Text,
    balances: List(Struct({ asset: Text, quantity: DecimalText })),
  },
  /** The venue's orders, fills and balances have been compared with ours. */
  AccountReconciled: {
    venue: Text,
    ordersOpen: Int,
    fillsFound: Int,
    /** What does not agree, in words; empty when all does. */
    differences: List(Text),
  },
  /**
   * What the venue holds is right, whatever our fills explain: assets came or went by another way.
   * An asset that is not listed is not held.
   */
  AccountBaselineChanged: {
    venue: Text,
    balances: List(Struct({ asset: Text, quantity: DecimalText })),
    by: Text,
  },
  /** Nothing may be opened on this venue until it has been reconciled again. */
  AccountLost: { venue: Text, cause: Text, rule: Schema.optionalKey(WaitRule) },

  CommandReceived: { command: Command },
  CommandProgressed: {
    commandId: Text,
    text: Text,
    tone: Literals(["plain", "confirmed", "warning", "error"]),
    final: Schema.Boolean,
  },
  TradingStateChanged: {
    state: Literals(["active", "reducing", "halted"]),
    reason: Text,
    by: Text,
  },
  PositionControlChanged: { instrument: Text, control: Literals(["auto", "hold"]), by: Text },

  StrategyAssigned: AssignmentFields,
  /** What `from` held is held by the new assignment from here on. */
  StrategySwapped: { from: Text, to: Struct(AssignmentFields), by: Text },

  SignalRaised: {
    runner: Text,
    instrument: Text,
    intent: Literals(["enter", "exit"]),
    price: DecimalText,
    reason: Text,
  },
  /** Refused by us: it never left. */
  OrderDenied: {
    origin: Text,
    instrument: Text,
    side: Side,
    code: Text,
    detail: Text,
  },
  /** Written ahead of the request: from here on the order may exist at the venue. */
  OrderSubmitted: {
    clientOrderId: Text,
    venue: Text,
    instrument: Text,
    side: Side,
    type: Literals([
      "market",
      "limit",
      "limit_maker",
      "stop",
      "stop_limit",
      "take_profit_limit",
      "trailing_stop",
    ]),
    purpose: Literals(["open", "reduce"]),
    quantity: DecimalText,
    price: NullOr(DecimalText),
    origin: Text,
    reason: Text,
  },
  OrderAccepted: { clientOrderId: Text, venueOrderId: Text },
  /** Refused by the venue: it does not exist there. */
  OrderRejected: { clientOrderId: Text, code: Text, text: Text },
  /** Sent, and nobody knows yet what became of it. */
  OrderUnconfirmed: { clientOrderId: Text, cause: Text },
  OrderFilled: {
    clientOrderId: Text,
    executionId: Text,
    venueOrderId: Text,
    quantity: DecimalText,
    price: DecimalText,
    fee: DecimalText,
    feeAsset: Text,
    /** The venue's, in epoch milliseconds. */
    executedAt: Int,
  },
  OrderCancelRequested: { clientOrderId: Text, by: Text },
  OrderCanceled: { clientOrderId: Text },
  OrderExpired: { clientOrderId: Text, reason: Text },

  FeedLost: {
    venue: Text,
    cause: Text,
    /** Failed attempts that count, since the last data; 0 when it was planned. */
    attempt: Int,
    /** How it is waited out, and until when nothing may be asked, where the venue has said so. */
    rule: Schema.optionalKey(WaitRule),
    retryAt: Schema.optionalKey(Int),
  },
  FeedPolling: { venue: Text },
  /** Streaming, complete and reconciled again: entries are on. */
  FeedRestored: { venue: Text, outageMs: Int },
  /** Trades were missed between two that are known; null where an end is not. */
  Gap: {
    venue: Text,
    instrument: Text,
    fromId: NullOr(Text),
    toId: NullOr(Text),
    /** Trades read again; all that were missed, if `complete`. */
    recovered: Int,
    complete: Schema.Boolean,
    cause: Text,
  },
  /** Where prices come from now: of one instrument, or of the whole venue when it is null. */
  SourceChanged: { venue: Text, instrument: NullOr(Text), source: Literals(["stream", "rest"]) },
  /** Something about a feed that lasts and that a person should know. */
  FeedTroubled: { venue: Text, trouble: FeedTrouble, detail: Text },
  FeedTroubleEnded: { venue: Text, trouble: FeedTrouble },
  /** The venue takes no orders in it: a halt, a volatility pause, an announcement. */
  InstrumentHalted: {
    instrument: Text,
    status: Literals(["halted", "cancel_only", "closed"]),
    reason: Text,
  },
  InstrumentResumed: { instrument: Text },

  AlertRaised: {
    id: Text,
    severity: Literals(["info", "warning", "critical"]),
    title: Text,
    detail: Text,
  },
  /** It goes on, and there is more to say: nobody is called again. */
  AlertUpdated: {
    id: Text,
    severity: Literals(["info", "warning", "critical"]),
    title: Text,
    detail: Text,
  },
  AlertResolved: { id: Text },

  ActorRestarted: { path: Text, cause: Text, restarts: Int },
  ActorFailed: { path: Text, cause: Text },

  /** A point of the equity curve. */
  EquityMarked: { venue: Text, total: DecimalText, peak: DecimalText, drawdown: DecimalText },
})
export type Event = typeof Event.Type
export type EventTag = Event["_tag"]
export type EventOf<Tag extends EventTag> = Extract<Event, { readonly _tag: Tag }>

export interface JournalRecord {
  /** Dense, from 1. */
  readonly seq: number
  /** When it was appended, in epoch milliseconds. */
  readonly time: number
  /** Of the writer; grows by one with every start. */
  readonly epoch: number
  readonly event: Event
}

export const encodeEvent = Schema.encodeSync(Event)
export const decodeEvent = Schema.decodeUnknownEffect(Event)
