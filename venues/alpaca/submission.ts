/**
 * How orders get to Alpaca, and what its answers mean.
 *
 * What the venue would not take anyway is not sent. What it has refused has a reason, by its words;
 * every other failure means that nobody knows whether there is an order.
 */
import { Clock, Effect } from "effect"
import { trading } from "@alpacahq/alpaca-trade-api"
import { decimalsOf, formatDecimal } from "../../domain/decimal.ts"
import type { OrderType, TimeInForce } from "../../domain/order.ts"
import type { Refused } from "../answer.ts"
import {
  type Broker,
  type NewOrder,
  OrderNotSent,
  OrderRefused,
  OrderUnknown,
  type RefusalReason,
  type SubmitError,
} from "../broker.ts"
import { describe, type VenueFailure } from "../market_data.ts"
import type { KnownOrders } from "./known_orders.ts"
import { OrderBody } from "./messages.ts"
import { isOrderRefusal, type Rest } from "./rest.ts"
import { isPair, symbolOf } from "./symbols.ts"

/**
 * The venue states no time after which an order that it does not know will never be known: its
 * documentation says that a 404 is no proof. This is many times what an order has ever taken.
 */
const CONCLUSIVE_AFTER_MS = 60_000
/** In the older description of the venue; the newer one takes 128. */
const CLIENT_ID_MAX = 48
const QUANTITY_DECIMALS_MAX = 9
const NOTIONAL_DECIMALS_MAX = 2

export const orderTypes = new Map<OrderType, trading.OrderType>([
  ["market", trading.OrderType.Market],
  ["limit", trading.OrderType.Limit],
  ["stop", trading.OrderType.Stop],
  ["stop_limit", trading.OrderType.StopLimit],
  ["trailing_stop", trading.OrderType.TrailingStop],
])
const pairTypes: ReadonlySet<OrderType> = new Set(["market", "limit", "stop_limit"])
const pairTimes: ReadonlySet<TimeInForce> = new Set(["gtc", "ioc"])

export function submitOf(rest: Rest, known: KnownOrders): Broker["submit"] {
  return Effect.fn("alpaca.submit")(function* (order) {
    const problem = unsendable(order)
    const type = orderTypes.get(order.type)
    if (problem !== undefined || type === undefined) {
      return yield* new OrderNotSent({ detail: problem ?? `no orders of type ${order.type} here` })
    }
    const postOrderRequest = orderRequest(order, type)
    return yield* acknowledged(
      rest.trading(
        "order",
        OrderBody,
        ({ orders }, init) => orders.postOrderRaw({ postOrderRequest }, init),
      ),
      order.clientOrderId,
      known,
    )
  })
}

/** What the answer to an order under this id says of it. */
const acknowledged = Effect.fnUntraced(function* (
  sending: Effect.Effect<typeof OrderBody.Type, Refused | VenueFailure>,
  clientOrderId: string,
  known: KnownOrders,
) {
  const conclusiveAt = Math.ceil(yield* Clock.currentTimeMillis) + CONCLUSIVE_AFTER_MS
  const answer = yield* Effect.mapError(sending, (failure) => submitError(failure, conclusiveAt))
  if (answer.client_order_id === clientOrderId) return { venueOrderId: known.remember(answer).id }
  const cause = `the answer is about another order: ${answer.client_order_id.slice(0, 40)}`
  return yield* new OrderUnknown({ cause, conclusiveAt })
})

/** What the venue would not take, as far as it can be known without asking it. */
function unsendable(order: NewOrder): string | undefined {
  const { type, instrument, timeInForce, notional, bracket } = order
  const needsPrice = type === "limit" || type === "stop_limit"
  const needsStop = type === "stop" || type === "stop_limit"
  if (!orderTypes.has(type)) return `no orders of type ${type} here`
  if (order.clientOrderId.length > CLIENT_ID_MAX) return "the client order id is too long"
  if (needsPrice && order.price === undefined) return `a ${words(type)} order needs a price`
  if (needsStop && order.stopPrice === undefined) return `a ${words(type)} order needs a stop price`
  if (type === "trailing_stop" && order.trail === undefined) {
    return "a trailing stop order needs to know how far behind"
  }
  if (order.extendedHours && type !== "limit") {
    return "outside the core session only limit orders are taken"
  }
  if (notional !== undefined && decimalsOf(notional) > NOTIONAL_DECIMALS_MAX) {
    return "an order by dollars is not finer than cents"
  }
  if (notional === undefined && decimalsOf(order.quantity) > QUANTITY_DECIMALS_MAX) {
    return `a quantity has at most ${QUANTITY_DECIMALS_MAX} decimals`
  }
  if (bracket !== undefined && notional !== undefined) return "a bracket needs a quantity"
  if (!isPair(instrument)) return undefined
  if (!pairTypes.has(type)) return `crypto takes no ${words(type)} orders`
  if (timeInForce !== undefined && !pairTimes.has(timeInForce)) {
    return `crypto takes no ${timeInForce} orders`
  }
  if (bracket !== undefined) return "crypto takes no brackets"
  if (order.extendedHours) return "crypto has no sessions"
  return undefined
}

function words(type: OrderType): string {
  return type.replaceAll("_", " ")
}

function orderRequest(order: NewOrder, type: trading.OrderType): trading.PostOrderRequest {
  const { price, stopPrice, trail, notional, bracket } = order
  return {
    symbol: symbolOf(order.instrument),
    side: order.side,
    type,
    timeInForce: order.timeInForce ?? (isPair(order.instrument) ? "gtc" : "day"),
    clientOrderId: order.clientOrderId,
    ...notional === undefined
      ? { qty: formatDecimal(order.quantity) }
      : { notional: formatDecimal(notional) },
    ...(type === "limit" || type === "stop_limit") && price !== undefined &&
      { limitPrice: formatDecimal(price) },
    ...(type === "stop" || type === "stop_limit") && stopPrice !== undefined &&
      { stopPrice: formatDecimal(stopPrice) },
    ...type === "trailing_stop" && trail !== undefined &&
      (trail.by === "amount"
        ? { trailPrice: formatDecimal(trail.value) }
        : { trailPercent: formatDecimal(trail.value) }),
    ...order.extendedHours && { extendedHours: true },
    ...bracket !== undefined && {
      orderClass: trading.OrderClass.Bracket,
      takeProfit: { limitPrice: formatDecimal(bracket.takeProfit) },
      stopLoss: {
        stopPrice: formatDecimal(bracket.stopLoss),
        ...bracket.stopLossLimit !== undefined &&
          { limitPrice: formatDecimal(bracket.stopLossLimit) },
      },
    },
  }
}

function submitError(failure: Refused | VenueFailure, conclusiveAt: number): SubmitError {
  if (failure._tag === "Throttled" && failure.sent === false) {
    return new OrderNotSent({ detail: describe(failure) })
  }
  if (failure._tag !== "Refused") {
    return new OrderUnknown({ cause: describe(failure), conclusiveAt })
  }
  const { code, text, status } = failure
  if (status >= 500 || status === 408) {
    return new OrderUnknown({ cause: `${status} ${text}`, conclusiveAt })
  }
  return new OrderRefused({ reason: reasonOf(failure), code: String(code || status), text })
}

/** By the words: one code says most of it, and which one has changed over the years. */
const reasons: ReadonlyArray<readonly [RegExp, RefusalReason]> = [
  [/client_order_id must be unique/, "duplicate_id"],
  [/wash trade/, "wash_trade"],
  [/insufficient (?:qty|quantity)/, "insufficient_quantity"],
  [
    /insufficient balance for usd\b|buying power|insufficient (?:funds|balance for usd)|margin/,
    "insufficient_funds",
  ],
  // Of the coin that was to be sold.
  [/insufficient balance/, "insufficient_quantity"],
  [/short|borrow|flip/, "not_shortable"],
  [/halt|paused/, "halted"],
  [/market is (?:not open|closed)|only .*market hours|session is closed/, "market_closed"],
  [
    /asset .*(?:not found|not tradable|not active)|could not find asset|invalid symbol/,
    "unknown_instrument",
  ],
]

function reasonOf(refused: Refused): RefusalReason {
  const text = refused.text.toLowerCase()
  const found = reasons.find(([pattern]) => pattern.test(text))
  if (found !== undefined) return found[1]
  if (refused.status === 401) return "keys"
  if (refused.status === 403) return isOrderRefusal(refused) ? "other" : "keys"
  return refused.status === 400 || refused.status === 422 ? "trading_rule" : "other"
}

export function replaceOf(
  rest: Rest,
  known: KnownOrders,
  orderIdOf: (clientOrderId: string) => Effect.Effect<string, Refused | VenueFailure>,
): Broker["replace"] {
  return Effect.fn("alpaca.replace")(function* (_instrument, clientOrderId, change) {
    const { quantity, price, stopPrice } = change
    if (change.clientOrderId.length > CLIENT_ID_MAX) {
      return yield* new OrderNotSent({ detail: "the client order id is too long" })
    }
    const orderId = yield* Effect.mapError(
      orderIdOf(clientOrderId),
      (failure) =>
        failure._tag === "Refused"
          ? new OrderRefused({ reason: "other", code: String(failure.status), text: failure.text })
          : new OrderNotSent({ detail: `the order was not found: ${describe(failure)}` }),
    )
    const patchOrderRequest: trading.PatchOrderRequest = {
      clientOrderId: change.clientOrderId,
      ...quantity !== undefined && { qty: formatDecimal(quantity) },
      ...price !== undefined && { limitPrice: formatDecimal(price) },
      ...stopPrice !== undefined && { stopPrice: formatDecimal(stopPrice) },
    }
    return yield* acknowledged(
      rest.trading(
        "order",
        OrderBody,
        ({ orders }, init) => orders.patchOrderByOrderIdRaw({ orderId, patchOrderRequest }, init),
      ),
      change.clientOrderId,
      known,
    )
  })
}
