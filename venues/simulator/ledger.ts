/**
 * Port: the venue's durable books.
 *
 * The venue commits what an answer or an execution report is about to say before
 * it says it, so a venue that was killed and started again knows all that it told
 * anybody and has not forgotten since (`memory.ts`). One writer; a commit is all or
 * nothing. What failed to commit has not happened: the venue stops rather than go
 * on with other books than its ledger's.
 */
import { Effect, Schema } from "effect"

export const OrderRecord = Schema.Struct({
  orderId: Schema.Int,
  clientOrderId: Schema.String,
  symbol: Schema.String,
  side: Schema.Literals(["BUY", "SELL"]),
  type: Schema.Literals(["LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]),
  timeInForce: Schema.Literals(["GTC", "IOC", "FOK"]),
  status: Schema.Literals([
    "NEW",
    "PARTIALLY_FILLED",
    "FILLED",
    "CANCELED",
    "EXPIRED",
    "EXPIRED_IN_MATCH",
  ]),
  /** 0 for MARKET. All amounts here are atoms (1e-8). */
  price: Schema.BigInt,
  quantity: Schema.BigInt,
  /** What a MARKET order by quote amount asked for, else 0. */
  quoteQuantity: Schema.BigInt,
  stopPrice: Schema.BigInt,
  executed: Schema.BigInt,
  cumulativeQuote: Schema.BigInt,
  /** What is still reserved for it, in quote asset for BUY and base asset for SELL. */
  locked: Schema.BigInt,
  selfTradePrevention: Schema.Literals(["EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"]),
  /** False while a stop price has not been reached. */
  isWorking: Schema.Boolean,
  /** Epoch milliseconds, like all times here; -1 while not working. */
  workingTime: Schema.Int,
  time: Schema.Int,
  updateTime: Schema.Int,
})
export type OrderRecord = typeof OrderRecord.Type

export const FillRecord = Schema.Struct({
  tradeId: Schema.Int,
  executionId: Schema.Int,
  orderId: Schema.Int,
  symbol: Schema.String,
  price: Schema.BigInt,
  quantity: Schema.BigInt,
  quoteQuantity: Schema.BigInt,
  commission: Schema.BigInt,
  commissionAsset: Schema.String,
  time: Schema.Int,
  isBuyer: Schema.Boolean,
  isMaker: Schema.Boolean,
})
export type FillRecord = typeof FillRecord.Type

export const BalanceRecord = Schema.Struct({
  asset: Schema.String,
  free: Schema.BigInt,
  locked: Schema.BigInt,
})
export type BalanceRecord = typeof BalanceRecord.Type

/** Ids given out so far; a venue starts above them, so none is ever given twice. */
export const Counters = Schema.Struct({
  orderId: Schema.Int,
  executionId: Schema.Int,
  /** Highest trade id per symbol. */
  tradeIds: Schema.Record(Schema.String, Schema.Int),
  /** Highest book update id of any symbol. */
  updateId: Schema.Int,
  updateTime: Schema.Int,
})
export type Counters = typeof Counters.Type

/** Keys of the rows that a venue remembers no longer. */
export interface Forgotten {
  readonly orders: ReadonlyArray<number>
  readonly fills: ReadonlyArray<number>
}

/** Rows to write over the ones with the same key; `market` is the synthetic market's own text. */
export interface LedgerBatch {
  readonly orders?: ReadonlyArray<OrderRecord>
  readonly fills?: ReadonlyArray<FillRecord>
  readonly balances?: ReadonlyArray<BalanceRecord>
  readonly counters?: Counters
  readonly market?: string
  /** Rows to take away, after all else is written; they never come back. */
  readonly forgotten?: Forgotten
}

export interface LedgerContents {
  /** By order id, ascending. */
  readonly orders: ReadonlyArray<OrderRecord>
  /** In the order in which they happened. */
  readonly fills: ReadonlyArray<FillRecord>
  /** Empty means: nobody has ever been funded here. */
  readonly balances: ReadonlyArray<BalanceRecord>
  readonly counters: Counters | undefined
  readonly market: string | undefined
}

export class LedgerError extends Schema.TaggedError<LedgerError>()("LedgerError", {
  text: Schema.String,
}) {
  override get message() {
    return this.text
  }
}

export interface Ledger {
  readonly load: Effect.Effect<LedgerContents, LedgerError>
  /** Durable when it succeeds; nothing is written when it fails. */
  readonly commit: (batch: LedgerBatch) => Effect.Effect<void, LedgerError>
}

/** Books that live as long as this value; hand it to a second venue to restart the first. */
export function makeMemoryLedger(): Ledger {
  const orders = new Map<number, OrderRecord>()
  const fills = new Map<number, FillRecord>()
  const balances = new Map<string, BalanceRecord>()
  let counters: Counters | undefined
  let market: string | undefined
  return {
    load: Effect.sync(() => ({
      orders: [...orders.values()].sort((a, b) => a.orderId - b.orderId),
      fills: [...fills.values()].sort((a, b) => a.executionId - b.executionId),
      balances: [...balances.values()],
      counters,
      market,
    })),
    commit: (batch) =>
      Effect.sync(() => {
        for (const order of batch.orders ?? []) orders.set(order.orderId, order)
        for (const fill of batch.fills ?? []) fills.set(fill.executionId, fill)
        for (const balance of batch.balances ?? []) balances.set(balance.asset, balance)
        counters = batch.counters ?? counters
        market = batch.market ?? market
        for (const orderId of batch.forgotten?.orders ?? []) orders.delete(orderId)
        for (const executionId of batch.forgotten?.fills ?? []) fills.delete(executionId)
      }),
  }
}

/** One batch that writes what both would, `later` last. */
export function mergeBatches(earlier: LedgerBatch, later: LedgerBatch): LedgerBatch {
  const counters = later.counters ?? earlier.counters
  const market = later.market ?? earlier.market
  return {
    orders: lastOf(earlier.orders, later.orders, (order) => order.orderId),
    fills: lastOf(earlier.fills, later.fills, (fill) => fill.executionId),
    balances: lastOf(earlier.balances, later.balances, (balance) => balance.asset),
    ...(counters && { counters }),
    ...(market !== undefined && { market }),
    forgotten: bothForgotten(earlier.forgotten, later.forgotten),
  }
}

export function bothForgotten(a?: Forgotten, b?: Forgotten): Forgotten {
  return {
    orders: [...a?.orders ?? [], ...b?.orders ?? []],
    fills: [...a?.fills ?? [], ...b?.fills ?? []],
  }
}

/** All rows, of those with one key the last. */
export function lastOf<A, K>(
  a: ReadonlyArray<A> = [],
  b: ReadonlyArray<A> = [],
  key: (row: A) => K,
): ReadonlyArray<A> {
  const rows = new Map<K, A>()
  for (const row of a) rows.set(key(row), row)
  for (const row of b) rows.set(key(row), row)
  return [...rows.values()]
}
