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
import type { OrderType } from "../domain/order.ts"
import type { Fill } from "../domain/position.ts"
import type { VenueError } from "./market_data.ts"

export interface NewOrder {
  readonly clientOrderId: string
  readonly instrument: InstrumentId
  readonly side: "buy" | "sell"
  readonly type: OrderType
  readonly quantity: Decimal
  /** Required for a limit order. */
  readonly price: Decimal | undefined
}

export interface OrderAck {
  readonly venueOrderId: string
}

/** Refused by the venue: the order does not exist. */
export class OrderRefused extends Schema.TaggedError<OrderRefused>()("OrderRefused", {
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

export interface PrivateSink {
  readonly event: (event: PrivateEvent) => void
  readonly undecoded: (frame: string, reason: string) => void
}

export interface Broker {
  readonly venue: string
  readonly quoteAsset: string
  /** Checks keys and clock; fails with `Forbidden` when trying again cannot help. */
  readonly connect: Effect.Effect<{ readonly clockOffsetMs: number }, VenueError>
  readonly submit: (order: NewOrder) => Effect.Effect<OrderAck, SubmitError>
  /** Done when the venue has taken the request; the order may still fill before it is cancelled. */
  readonly cancel: (
    instrument: InstrumentId,
    clientOrderId: string,
  ) => Effect.Effect<"requested" | "unknown_order", VenueError>
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
