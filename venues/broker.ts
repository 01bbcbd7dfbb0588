/**
 * The port for orders and accounts.
 *
 * `submit` never throws for ambiguity: an order whose answer was lost is `OrderUnknown`, a value
 * that the executor must handle by asking, and `OrderNotSent` is the only failure after which
 * sending again is safe. Nothing here retries an order.
 */
import { type Effect, type Option, Schema } from "effect"
import type { Decimal } from "../domain/decimal.ts"
import type { InstrumentId } from "../domain/instrument.ts"
import type { OrderType, TimeInForce } from "../domain/order.ts"
import type { Fill } from "../domain/position.ts"
import type { VenueError } from "./market_data.ts"

export interface NewOrder {
  readonly clientOrderId: string
  readonly instrument: InstrumentId
  readonly side: "buy" | "sell"
  readonly type: OrderType
  readonly quantity: Decimal
  /** Required for every kind of limit order. */
  readonly price: Decimal | undefined
  /** Absent: the venue's usual one for this type. */
  readonly timeInForce?: TimeInForce
  /** Where a stop or take-profit order wakes up. */
  readonly stopPrice?: Decimal
  /** Of a trailing stop: how far behind the best price, in quote units or in percent of it. */
  readonly trail?: { readonly by: "amount" | "percent"; readonly value: Decimal }
  /** Spend this much of the quote asset instead of naming a quantity, which is then ignored. */
  readonly notional?: Decimal
  /** Also outside the core session; limit orders only. */
  readonly extendedHours?: boolean
  /** Orders that close what this one opens, one cancelling the other. */
  readonly bracket?: {
    readonly takeProfit: Decimal
    readonly stopLoss: Decimal
    readonly stopLossLimit?: Decimal
  }
}

/** What this account takes; whatever is not named here fails with `OrderNotSent`. */
export interface BrokerCapabilities {
  readonly orderTypes: ReadonlySet<OrderType>
  readonly timeInForces: ReadonlySet<TimeInForce>
  readonly notional: boolean
  readonly bracket: boolean
  readonly extendedHours: boolean
}

/** What `replace` changes; what is absent stays. */
export interface OrderChange {
  /** Of the order that takes the old one's place. */
  readonly clientOrderId: string
  /** In all: with what the old order has filled. */
  readonly quantity?: Decimal
  readonly price?: Decimal
  readonly stopPrice?: Decimal
}

export interface OrderAck {
  readonly venueOrderId: string
}

/** Why a venue refuses an order, as far as it matters what to do next. */
export const RefusalReason = Schema.Literals([
  "insufficient_funds",
  "insufficient_quantity",
  "wash_trade",
  "halted",
  "market_closed",
  "not_shortable",
  "trading_rule",
  "duplicate_id",
  "unknown_instrument",
  "keys",
  "throttled",
  "other",
])
export type RefusalReason = typeof RefusalReason.Type

/** Refused by the venue: the order does not exist. */
export class OrderRefused extends Schema.TaggedError<OrderRefused>()("OrderRefused", {
  reason: RefusalReason,
  code: Schema.String,
  text: Schema.String,
}) {}
/** Sent, and the answer was lost: it may exist. Ask by client order id. */
export class OrderUnknown extends Schema.TaggedError<OrderUnknown>()("OrderUnknown", {
  cause: Schema.String,
  /** Epoch milliseconds after which an answer of "no such order" can be believed. */
  conclusiveAt: Schema.Int,
}) {}
/** Never left this process. */
export class OrderNotSent extends Schema.TaggedError<OrderNotSent>()("OrderNotSent", {
  detail: Schema.String,
}) {}

export type SubmitError = OrderRefused | OrderUnknown | OrderNotSent

/** What the venue says about one order now. */
export interface OrderReport {
  readonly clientOrderId: string
  readonly venueOrderId: string
  readonly instrument: InstrumentId
  readonly status: "accepted" | "partially_filled" | "filled" | "canceled" | "expired" | "rejected"
  readonly filledQuantity: Decimal
  /** Why it expired or was rejected, in the venue's words; empty otherwise. */
  readonly reason: string
  readonly time: number
}

/** A fill as the venue reports it, with the order that it belongs to. */
export interface Execution extends Fill {
  readonly venueOrderId: string
}

export interface Balance {
  readonly asset: string
  readonly free: Decimal
  readonly locked: Decimal
}

export type PrivateEvent =
  /** The subscription stands: what follows is complete from here on. */
  | { readonly _tag: "StreamUp" }
  | { readonly _tag: "Report"; readonly report: OrderReport }
  | { readonly _tag: "Executed"; readonly execution: Execution; readonly report: OrderReport }
  | { readonly _tag: "Balances"; readonly balances: ReadonlyArray<Balance> }
  /** An execution that was reported is void, and `execution`, if any, holds in its place. */
  | {
    readonly _tag: "Corrected"
    readonly instrument: InstrumentId
    readonly executionId: string
    readonly execution: Execution | undefined
    readonly reason: string
  }

export interface PrivateSink {
  readonly event: (event: PrivateEvent) => void
  readonly undecoded: (frame: string, reason: string) => void
}

export interface Broker {
  readonly venue: string
  readonly quoteAsset: string
  /**
   * How far the venue's sum of the quote asset may be from what our fills say: it rounds every cost,
   * by a rule of its own. Exact where it is absent.
   */
  readonly roundingMax?: Decimal
  readonly capabilities: BrokerCapabilities
  /** Checks keys and clock; fails with `Forbidden` when trying again cannot help. */
  readonly connect: Effect.Effect<{ readonly clockOffsetMs: number }, VenueError>
  readonly submit: (order: NewOrder) => Effect.Effect<OrderAck, SubmitError>
  /** Done when the venue has taken the request; the order may still fill before it is cancelled. */
  readonly cancel: (
    instrument: InstrumentId,
    clientOrderId: string,
  ) => Effect.Effect<"requested" | "unknown_order", VenueError>
  /**
   * Cancels one order and places another with what is left of it. After `OrderRefused` there is no
   * new one; the old one usually stands, but may be gone where the venue cancels first: ask. Success
   * is the request taken, not the replacement made: reports tell.
   */
  readonly replace: (
    instrument: InstrumentId,
    clientOrderId: string,
    change: OrderChange,
  ) => Effect.Effect<OrderAck, SubmitError>
  /**
   * Every open order of our instruments, and where the venue knows only all, all of the account's;
   * how many it took it for. Asynchronous like `cancel`.
   */
  readonly cancelAll: Effect.Effect<number, VenueError>
  readonly order: (
    instrument: InstrumentId,
    clientOrderId: string,
  ) => Effect.Effect<Option.Option<OrderReport>, VenueError>
  readonly openOrders: Effect.Effect<ReadonlyArray<OrderReport>, VenueError>
  /** Executions of one instrument, ascending, from `since` (epoch milliseconds) on. */
  readonly executions: (
    instrument: InstrumentId,
    since: number,
  ) => Effect.Effect<ReadonlyArray<Execution>, VenueError>
  readonly balances: Effect.Effect<ReadonlyArray<Balance>, VenueError>
  /** One connection of the private stream until it dies; never succeeds. */
  readonly stream: (sink: PrivateSink) => Effect.Effect<never, VenueError>
}
