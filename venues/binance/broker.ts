/**
 * Orders, account and private stream of Binance spot.
 *
 * Orders go by REST, what becomes of them comes by the signed subscription of the WS-API. Only a
 * refusal that the venue itself has stated counts as one; every other failure of a submission means
 * that nobody knows.
 */
import { Clock, Effect, Option, Result, Schema } from "effect"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Refused } from "../answer.ts"
import {
  type Broker,
  type Execution,
  OrderNotSent,
  type OrderReport,
  OrderUnknown,
} from "../broker.ts"
import { describe, Faulty, Forbidden, VenueError, type VenueFailure } from "../market_data.ts"
import { orderStatus } from "./decode.ts"
import {
  AccountInformation,
  CanceledOrder,
  MyTrades,
  OrderInformation,
  OrderInformations,
  Replaced,
} from "./messages.ts"
import {
  capabilities,
  orderParams,
  replaceError,
  replacementParams,
  submitError,
} from "./orders.ts"
import type { Params } from "./request_costs.ts"
import { privateStream, type PrivateStreamOptions } from "./private_stream.ts"
import { type Rest, venueError } from "./rest.ts"
import { symbolMap, symbolOf, VENUE } from "./symbols.ts"

export interface BrokerOptions extends PrivateStreamOptions {
  readonly quoteAsset: string
  /** Told when the venue refuses an order by its trading rules: ours are old. */
  readonly rulesBroken?: (instrument: InstrumentId) => void
}

/** The venue gives up on its matching engine after ten seconds: later, "no such order" is true. */
const ENGINE_TIMEOUT_MS = 10_000
const EXECUTIONS_MAX = 1_000
const FILTER_FAILURE = -1013
const UNKNOWN_ORDER = -2011
const NO_SUCH_ORDER = -2013
const Answer = Schema.Unknown

export function makeBroker(options: BrokerOptions): Broker {
  const { rest } = options
  const symbols = symbolMap(options.instruments)
  const balances = Effect.map(
    accountOf(rest),
    (account) => account.balances.map(({ asset, free, locked }) => ({ asset, free, locked })),
  )
  return {
    venue: VENUE,
    quoteAsset: options.quoteAsset,
    connect: Effect.gen(function* () {
      const clockOffsetMs = yield* Effect.mapError(rest.syncClock, venueError("GET /api/v3/time"))
      const account = yield* accountOf(rest)
      if (account.canTrade) return { clockOffsetMs }
      const reason = new Forbidden({ detail: "this key may not trade" })
      return yield* new VenueError({ venue: VENUE, doing: "GET /api/v3/account", reason })
    }),
    capabilities,
    submit: submitOf(options),
    replace: replaceOf(options),
    cancelAll: cancelAllOf(rest, options.instruments),
    cancel: (instrument, clientOrderId) =>
      rest.call(
        "DELETE",
        "api/v3/order",
        {
          symbol: symbolOf(instrument),
          origClientOrderId: clientOrderId,
        },
        Answer,
        true,
      ).pipe(
        Effect.as("requested" as const),
        Effect.catchTag("Refused", (refused) =>
          refused.code === UNKNOWN_ORDER
            ? Effect.succeed("unknown_order" as const)
            : Effect.fail(refused)),
        Effect.mapError(venueError("DELETE /api/v3/order")),
      ),
    order: (instrument, clientOrderId) =>
      rest.call(
        "GET",
        "api/v3/order",
        {
          symbol: symbolOf(instrument),
          origClientOrderId: clientOrderId,
        },
        OrderInformation,
        true,
      ).pipe(
        Effect.flatMap((order) => Effect.asSome(reportOf(order, instrument))),
        Effect.catchTag("Refused", (refused) =>
          refused.code === NO_SUCH_ORDER
            ? Effect.succeed(Option.none<OrderReport>())
            : Effect.fail(refused)),
        Effect.mapError(venueError("GET /api/v3/order")),
      ),
    openOrders: rest.call("GET", "api/v3/openOrders", {}, OrderInformations, true).pipe(
      Effect.flatMap((orders) =>
        Effect.all(orders.flatMap((order) => {
          const instrument = symbols(order.symbol)
          return instrument === undefined ? [] : [reportOf(order, instrument)]
        }))
      ),
      Effect.mapError(venueError("GET /api/v3/openOrders")),
    ),
    executions: (instrument, since) => executionsOf(rest, instrument, since),
    balances,
    stream: privateStream(options, balances),
  }
}

/** The venue takes one symbol at a time. One that fails does not keep the others' orders open. */
function cancelAllOf(rest: Rest, instruments: ReadonlyArray<InstrumentId>): Broker["cancelAll"] {
  return Effect.gen(function* () {
    const results = yield* Effect.forEach(
      instruments,
      (instrument) => Effect.result(cancelAllIn(rest, instrument)),
    )
    const failed = results.find(Result.isFailure)
    if (failed !== undefined) return yield* Effect.fail(failed.failure)
    return results.reduce((sum, each) => sum + (Result.isSuccess(each) ? each.success : 0), 0)
  })
}

function cancelAllIn(rest: Rest, instrument: InstrumentId): Effect.Effect<number, VenueError> {
  return rest.call(
    "DELETE",
    "api/v3/openOrders",
    { symbol: symbolOf(instrument) },
    Schema.Array(Answer),
    true,
  ).pipe(
    Effect.map((canceled) => canceled.length),
    Effect.catchTag(
      "Refused",
      (refused) => refused.code === UNKNOWN_ORDER ? Effect.succeed(0) : Effect.fail(refused),
    ),
    Effect.mapError(venueError("DELETE /api/v3/openOrders")),
  )
}

function accountOf(rest: Rest) {
  return Effect.mapError(
    rest.call("GET", "api/v3/account", { omitZeroBalances: "true" }, AccountInformation, true),
    venueError("GET /api/v3/account"),
  )
}

function submitOf(options: BrokerOptions): Broker["submit"] {
  return Effect.fn("binance.submit")(function* (order) {
    const params = orderParams(order)
    if (params instanceof OrderNotSent) return yield* params
    return yield* place(options, order.instrument, params)
  })
}

/** Sends one order, once. */
const place = Effect.fnUntraced(function* (
  options: BrokerOptions,
  instrument: InstrumentId,
  params: Params,
) {
  const { rest, rulesBroken } = options
  const answer = yield* rest.call("POST", "api/v3/order", params, OrderInformation, true).pipe(
    Effect.catch((failure) => {
      if (isRuleBroken(failure)) rulesBroken?.(instrument)
      return Effect.flatMap(
        conclusiveAt(options),
        (time) => Effect.fail(submitError(failure, time)),
      )
    }),
  )
  return yield* acknowledged(options, answer, String(params.newClientOrderId))
})

const acknowledged = Effect.fnUntraced(function* (
  options: BrokerOptions,
  answer: typeof OrderInformation.Type,
  clientOrderId: string,
) {
  if (answer.clientOrderId === clientOrderId) return { venueOrderId: String(answer.orderId) }
  const cause = `the answer is about another order: ${answer.clientOrderId.slice(0, 40)}`
  return yield* new OrderUnknown({ cause, conclusiveAt: yield* conclusiveAt(options) })
})

/** From now on, in the worst case: sent just now, held back by the venue for as long as it may. */
function conclusiveAt({ recvWindowMs }: BrokerOptions): Effect.Effect<number> {
  return Effect.map(
    Clock.currentTimeMillis,
    (now) => Math.ceil(now) + recvWindowMs + ENGINE_TIMEOUT_MS,
  )
}

/** Its grid or its limits are not what we think they are. */
function isRuleBroken(failure: Refused | VenueFailure): boolean {
  return failure._tag === "Refused" && failure.code === FILTER_FAILURE
}

/**
 * An order that nothing was filled of is replaced in one step, which fails when that has changed. Of
 * any other, the cancel's answer says what is left, and only then can that be sent anew: in one step
 * a fill on the way would come on top of it.
 */
function replaceOf(options: BrokerOptions): Broker["replace"] {
  const { rest } = options
  return Effect.fn("binance.replace")(function* (instrument, clientOrderId, change) {
    const symbol = symbolOf(instrument)
    const of = { symbol, origClientOrderId: clientOrderId }
    const old = yield* rest.call("GET", "api/v3/order", of, OrderInformation, true).pipe(
      Effect.mapError((failure) =>
        new OrderNotSent({
          detail: failure._tag === "Refused"
            ? `the old order: ${failure.code} ${failure.text}`
            : `the old order: ${describe(failure)}`,
        })
      ),
    )
    const params = replacementParams(old, change)
    if (params instanceof OrderNotSent) return yield* params
    if (old.status === "NEW") {
      return yield* replaceAtOnce(options, instrument, clientOrderId, params)
    }
    const canceled = yield* rest.call("DELETE", "api/v3/order", of, CanceledOrder, true).pipe(
      Effect.catch((failure) =>
        Effect.flatMap(
          conclusiveAt(options),
          (time) => Effect.fail(submitError(failure, time)),
        )
      ),
    )
    const remaining = replacementParams({ ...old, executedQty: canceled.executedQty }, change)
    if (remaining instanceof OrderNotSent) return yield* remaining
    return yield* place(options, instrument, remaining)
  })
}

const replaceAtOnce = Effect.fnUntraced(function* (
  options: BrokerOptions,
  instrument: InstrumentId,
  clientOrderId: string,
  params: Params,
) {
  const answer = yield* options.rest.call(
    "POST",
    "api/v3/order/cancelReplace",
    {
      ...params,
      cancelReplaceMode: "STOP_ON_FAILURE",
      cancelRestrictions: "ONLY_NEW",
      cancelOrigClientOrderId: clientOrderId,
    },
    Replaced,
    true,
  ).pipe(
    Effect.map(({ newOrderResponse }) => newOrderResponse),
    Effect.catch((failure) =>
      Effect.flatMap(conclusiveAt(options), (time) => {
        if (isRuleBroken(failure)) options.rulesBroken?.(instrument)
        const error = replaceError(failure, time)
        return "placed" in error ? Effect.succeed(error.placed) : Effect.fail(error)
      })
    ),
  )
  return yield* acknowledged(options, answer, String(params.newClientOrderId))
})

/** A status that means nothing to us is a failure: an order must not seem to be missing. */
function reportOf(
  order: typeof OrderInformation.Type,
  instrument: InstrumentId,
): Effect.Effect<OrderReport, Faulty> {
  const status = orderStatus(order.status)
  if (status === undefined) {
    return Effect.fail(
      new Faulty({ detail: `unknown order status ${JSON.stringify(order.status.slice(0, 40))}` }),
    )
  }
  return Effect.succeed({
    clientOrderId: order.clientOrderId,
    venueOrderId: String(order.orderId),
    instrument,
    status,
    filledQuantity: order.executedQty,
    reason: order.expiryReason ?? "",
    time: order.updateTime ?? order.transactTime ?? 0,
  })
}

/** Page by page: the first by time, the others by id, because the venue takes only one of them. */
function executionsOf(rest: Rest, instrument: InstrumentId, since: number) {
  const page = (from: Readonly<Record<string, string | number>>) =>
    rest.call(
      "GET",
      "api/v3/myTrades",
      { symbol: symbolOf(instrument), limit: EXECUTIONS_MAX, ...from },
      MyTrades,
      true,
    )
  return Effect.gen(function* () {
    const executions: Array<Execution> = []
    // `since` may be of our clock or of a fill: earlier is safe, later would miss some.
    const behindMs = Math.min(0, rest.clockOffsetMs())
    let from: Readonly<Record<string, string | number>> = {
      startTime: Math.max(0, Math.floor(since + behindMs)),
    }
    while (true) {
      const trades = yield* page(from)
      executions.push(...trades.map((trade) => executionOf(trade, instrument)))
      const last = trades.at(-1)
      if (last === undefined || trades.length < EXECUTIONS_MAX) return executions
      from = { fromId: String(BigInt(last.id) + 1n) }
    }
  }).pipe(Effect.mapError(venueError("GET /api/v3/myTrades")))
}

function executionOf(trade: typeof MyTrades.Type[number], instrument: InstrumentId): Execution {
  return {
    executionId: String(trade.id),
    // The list names the venue's order id only; whoever asked knows ours.
    clientOrderId: "",
    venueOrderId: String(trade.orderId),
    instrument,
    side: trade.isBuyer ? "buy" : "sell",
    quantity: trade.qty,
    price: trade.price,
    fee: trade.commission,
    feeAsset: trade.commissionAsset,
    time: trade.time,
  }
}
