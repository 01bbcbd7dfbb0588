/**
 * Port: the simulated Alpaca account's durable books.
 *
 * What an answer or an update is about to say is committed before it is said, so a venue that was
 * killed and started again knows all that it told anybody and has not forgotten since
 * (`../memory.ts`). One writer; a commit is all or nothing. All amounts are atoms (1e-8), all times epoch milliseconds.
 */
import { Effect, Schema } from "effect"
import { bothForgotten, type Forgotten, lastOf, LedgerError } from "../ledger.ts"

export { LedgerError }

const Time = Schema.NullOr(Schema.Int)

export const OrderStatus = Schema.Literals([
  "accepted",
  "pending_new",
  "new",
  "held",
  "partially_filled",
  "pending_cancel",
  "pending_replace",
  "filled",
  "canceled",
  "expired",
  "replaced",
  "rejected",
  "done_for_day",
])
export type OrderStatus = typeof OrderStatus.Type

export const OrderRecord = Schema.Struct({
  /** Order of arrival; no two orders have the same. */
  sequence: Schema.Int,
  id: Schema.String,
  clientOrderId: Schema.String,
  symbol: Schema.String,
  side: Schema.Literals(["buy", "sell"]),
  type: Schema.Literals(["market", "limit", "stop", "stop_limit", "trailing_stop"]),
  timeInForce: Schema.Literals(["day", "gtc", "opg", "cls", "ioc", "fok"]),
  /** Empty when the client named none. */
  orderClass: Schema.Literals(["", "simple", "bracket", "oco", "oto"]),
  extendedHours: Schema.Boolean,
  positionIntent: Schema.Literals(["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]),
  status: OrderStatus,
  /** What goes back to when a cancel or a replacement that is under way fails. */
  statusBefore: OrderStatus,
  /** 0 while an order by notional has no quantity yet; so are the other amounts that are not given. */
  quantity: Schema.BigInt,
  notional: Schema.BigInt,
  limitPrice: Schema.BigInt,
  stopPrice: Schema.BigInt,
  trailPercent: Schema.BigInt,
  trailPrice: Schema.BigInt,
  highWaterMark: Schema.BigInt,
  filled: Schema.BigInt,
  /** Sum of price times quantity, in atoms squared: exact. */
  filledValue: Schema.BigInt,
  /** Dollars that a buy, or a short sale, has reserved. */
  heldCash: Schema.BigInt,
  /** Part of the position that closing it has reserved. */
  heldQuantity: Schema.BigInt,
  /** A stop whose price has been reached works like a market or limit order. */
  isTriggered: Schema.Boolean,
  /** Has met what it could of the book and now waits for others to come to its price. */
  isResting: Schema.Boolean,
  /** Of a leg: the order that it belongs to, else empty. */
  parentId: Schema.String,
  legIds: Schema.Array(Schema.String),
  /** Ids; empty when there is none. */
  replaces: Schema.String,
  replacedBy: Schema.String,
  createdAt: Schema.Int,
  updatedAt: Schema.Int,
  submittedAt: Schema.Int,
  filledAt: Time,
  expiredAt: Time,
  cancelRequestedAt: Time,
  canceledAt: Time,
  failedAt: Time,
  replacedAt: Time,
  expiresAt: Time,
})
export type OrderRecord = typeof OrderRecord.Type

export const FillRecord = Schema.Struct({
  /** Order in which they happened. */
  sequence: Schema.Int,
  executionId: Schema.String,
  orderId: Schema.String,
  symbol: Schema.String,
  side: Schema.Literals(["buy", "sell"]),
  /** A later record changes the price of an earlier one, or takes it back. */
  kind: Schema.Literals(["fill", "correct", "bust"]),
  /** Execution id of the record that this one changes, else empty. */
  previousId: Schema.String,
  price: Schema.BigInt,
  quantity: Schema.BigInt,
  /** Dollars in (positive) or out for it, fees included; of a correction: the difference. */
  cash: Schema.BigInt,
  /** Fee in what was received: base asset on buys, dollars on sells; only crypto has one. */
  fee: Schema.BigInt,
  cumulative: Schema.BigInt,
  leaves: Schema.BigInt,
  orderStatus: OrderStatus,
  time: Schema.Int,
})
export type FillRecord = typeof FillRecord.Type

export const PositionRecord = Schema.Struct({
  symbol: Schema.String,
  /** Negative when short; 0 when there is none any more. */
  quantity: Schema.BigInt,
  /** What it cost, with the sign of the quantity; in atoms squared, for it is a sum of products. */
  cost: Schema.BigInt,
  /** The same with what was held at the last close valued at that close. */
  dayCost: Schema.BigInt,
})
export type PositionRecord = typeof PositionRecord.Type

export const Configuration = Schema.Struct({
  noShorting: Schema.Boolean,
  suspendTrade: Schema.Boolean,
  fractionalTrading: Schema.Boolean,
  maxMarginMultiplier: Schema.Literals(["1", "2", "4"]),
  tradeConfirmEmail: Schema.Literals(["all", "none"]),
  ptpNoExceptionEntry: Schema.Boolean,
  disableOvernightTrading: Schema.Boolean,
})
export type Configuration = typeof Configuration.Type

export const AccountRecord = Schema.Struct({
  id: Schema.String,
  accountNumber: Schema.String,
  createdAt: Schema.Int,
  cash: Schema.BigInt,
  lastEquity: Schema.BigInt,
  lastMaintenanceMargin: Schema.BigInt,
  /** Prices at the last close, by symbol. */
  closes: Schema.Record(Schema.String, Schema.BigInt),
  /** Crypto fees taken today, in dollars. */
  accruedFees: Schema.BigInt,
  configuration: Configuration,
  /** Ids given out so far; a venue starts above them, so none is ever given twice. */
  idSequence: Schema.Int,
  orderSequence: Schema.Int,
  fillSequence: Schema.Int,
  eventSequence: Schema.Int,
  /** No event id is of an earlier time. */
  eventTime: Schema.Int,
})
export type AccountRecord = typeof AccountRecord.Type

/** Rows to write over the ones with the same key. */
export interface AlpacaLedgerBatch {
  readonly orders: ReadonlyArray<OrderRecord>
  readonly fills: ReadonlyArray<FillRecord>
  readonly positions: ReadonlyArray<PositionRecord>
  readonly account: AccountRecord
  /** Rows to take away, after all else is written; they never come back. */
  readonly forgotten?: Forgotten
}

export interface AlpacaLedgerContents {
  /** In the order of their arrival. */
  readonly orders: ReadonlyArray<OrderRecord>
  /** In the order in which they happened. */
  readonly fills: ReadonlyArray<FillRecord>
  readonly positions: ReadonlyArray<PositionRecord>
  /** Nobody has ever traded here while there is none. */
  readonly account: AccountRecord | undefined
}

export interface AlpacaLedger {
  readonly load: Effect.Effect<AlpacaLedgerContents, LedgerError>
  /** Durable when it succeeds; nothing is written when it fails. */
  readonly commit: (batch: AlpacaLedgerBatch) => Effect.Effect<void, LedgerError>
}

/** Books that live as long as this value; hand it to a second venue to restart the first. */
export function makeMemoryAlpacaLedger(): AlpacaLedger {
  const orders = new Map<number, OrderRecord>()
  const fills = new Map<number, FillRecord>()
  const positions = new Map<string, PositionRecord>()
  let account: AccountRecord | undefined
  return {
    load: Effect.sync(() => ({
      orders: [...orders.values()].sort((a, b) => a.sequence - b.sequence),
      fills: [...fills.values()].sort((a, b) => a.sequence - b.sequence),
      positions: [...positions.values()],
      account,
    })),
    commit: (batch) =>
      Effect.sync(() => {
        for (const order of batch.orders) orders.set(order.sequence, order)
        for (const fill of batch.fills) fills.set(fill.sequence, fill)
        for (const position of batch.positions) positions.set(position.symbol, position)
        account = batch.account
        for (const sequence of batch.forgotten?.orders ?? []) orders.delete(sequence)
        for (const sequence of batch.forgotten?.fills ?? []) fills.delete(sequence)
      }),
  }
}

/** One batch that writes what both would, `later` last. */
export function mergeAlpacaBatches(
  earlier: AlpacaLedgerBatch,
  later: AlpacaLedgerBatch,
): AlpacaLedgerBatch {
  return {
    orders: lastOf(earlier.orders, later.orders, (order) => order.sequence),
    fills: lastOf(earlier.fills, later.fills, (fill) => fill.sequence),
    positions: lastOf(earlier.positions, later.positions, (position) => position.symbol),
    account: later.account,
    forgotten: bothForgotten(earlier.forgotten, later.forgotten),
  }
}
