/**
 * Orders in Binance's words, and what its answers to them mean.
 *
 * What an order may not ask for here is found before anything is sent. A refusal is only what the
 * venue itself has stated; every other failure of a submission means that nobody knows.
 */
import { Option, Schema } from "effect"
import { type Decimal, formatDecimal, isPositive, subtract } from "../../domain/decimal.ts"
import type { OrderType, TimeInForce } from "../../domain/order.ts"
import { type Refused, TEXT_MAX } from "../answer.ts"
import {
  type BrokerCapabilities,
  type NewOrder,
  type OrderChange,
  OrderNotSent,
  OrderRefused,
  OrderUnknown,
  type RefusalReason,
  type SubmitError,
} from "../broker.ts"
import { describe, type VenueFailure } from "../market_data.ts"
import { ErrorBody, OrderInformation } from "./messages.ts"
import type { Params } from "./request_costs.ts"
import { WRONG_TIME } from "./rest.ts"
import { symbolOf } from "./symbols.ts"

export const capabilities: BrokerCapabilities = {
  orderTypes: new Set(["market", "limit", "limit_maker", "stop_limit", "take_profit_limit"]),
  timeInForces: new Set(["gtc", "ioc", "fok"]),
  notional: true,
  bracket: false,
  extendedHours: false,
}

const types: Readonly<Partial<Record<OrderType, string>>> = {
  market: "MARKET",
  limit: "LIMIT",
  limit_maker: "LIMIT_MAKER",
  stop_limit: "STOP_LOSS_LIMIT",
  take_profit_limit: "TAKE_PROFIT_LIMIT",
}
const times: Readonly<Partial<Record<TimeInForce, string>>> = { gtc: "GTC", ioc: "IOC", fok: "FOK" }
/** Sent without a time in force: the first takes at once, the second rests. */
const timeless: ReadonlySet<OrderType> = new Set(["market", "limit_maker"])
const clientOrderIdPattern = /^[a-zA-Z0-9\-_]{1,36}$/

/** The parameters of a new order, or why there are none. */
export function orderParams(order: NewOrder): Params | OrderNotSent {
  const { type, price, stopPrice, notional, timeInForce } = order
  const no = (detail: string) => new OrderNotSent({ detail })
  const venueType = types[type]
  if (venueType === undefined) return no(`Binance has no ${type} orders`)
  if (!clientOrderIdPattern.test(order.clientOrderId)) {
    return no(`the id ${order.clientOrderId.slice(0, 40)} is not one that Binance takes`)
  }
  if (order.bracket !== undefined) return no("brackets are not sent to Binance")
  if (order.extendedHours === true) return no("Binance has no sessions, and none beside them")
  if (order.trail !== undefined) return no("Binance has no trailing orders here")
  if (type !== "market" && price === undefined) return no(`a ${type} order needs a price`)
  if (type !== "market" && notional !== undefined) return no("a notional is for market orders")
  const isStop = type === "stop_limit" || type === "take_profit_limit"
  if (isStop !== (stopPrice !== undefined)) {
    return no(isStop ? `a ${type} order needs a stop price` : `a ${type} order has no stop price`)
  }
  const time = times[timeInForce ?? "gtc"]
  if (time === undefined) return no(`Binance does not take ${timeInForce} orders`)
  if (timeless.has(type) && (timeInForce ?? "gtc") === "fok") {
    return no(`a ${type} order cannot be fill or kill`)
  }
  if (type === "limit_maker" && timeInForce === "ioc") {
    return no("a limit_maker order rests, and cannot be immediate")
  }
  return {
    symbol: symbolOf(order.instrument),
    side: order.side === "buy" ? "BUY" : "SELL",
    type: venueType,
    ...(notional === undefined
      ? { quantity: formatDecimal(order.quantity) }
      : { quoteOrderQty: formatDecimal(notional) }),
    ...(type !== "market" && price !== undefined && { price: formatDecimal(price) }),
    ...(stopPrice !== undefined && { stopPrice: formatDecimal(stopPrice) }),
    ...(!timeless.has(type) && { timeInForce: time }),
    newClientOrderId: order.clientOrderId,
    // What was filled comes by the private stream, in one form only.
    newOrderRespType: "RESULT",
  }
}

type OrderInformation = typeof OrderInformation.Type

/** The parameters of the order that takes the place of `old`, with what is left of that. */
export function replacementParams(
  old: OrderInformation,
  change: OrderChange,
): Params | OrderNotSent {
  const { side, type, timeInForce, price, stopPrice, origQty } = old
  if (side === undefined || type === undefined || origQty === undefined) {
    return new OrderNotSent({ detail: "the venue does not say what the old order was" })
  }
  const quantity = subtract(change.quantity ?? origQty, old.executedQty)
  if (!isPositive(quantity)) return new OrderNotSent({ detail: "nothing is left of the old order" })
  const stop = change.stopPrice ?? positive(stopPrice)
  const limit = change.price ?? positive(price)
  return {
    symbol: old.symbol,
    side,
    type,
    quantity: formatDecimal(quantity),
    ...(limit !== undefined && { price: formatDecimal(limit) }),
    ...(stop !== undefined && { stopPrice: formatDecimal(stop) }),
    ...(type !== "LIMIT_MAKER" && timeInForce !== undefined && { timeInForce }),
    newClientOrderId: change.clientOrderId,
    newOrderRespType: "RESULT",
  }
}

/** The venue writes a zero where an order has no such price. */
function positive(price: Decimal | undefined): Decimal | undefined {
  return price !== undefined && isPositive(price) ? price : undefined
}

// The answer of the matching engine was lost on the venue's side: the order may stand.
const unknownCodes: ReadonlySet<number> = new Set([-1000, -1001, -1006, -1007, -1008, -1016])

/** What became of a submission that failed. */
export function submitError(failure: Refused | VenueFailure, conclusiveAt: number): SubmitError {
  if (failure._tag === "Throttled" && failure.sent === false) {
    return new OrderNotSent({ detail: describe(failure) })
  }
  if (failure._tag !== "Refused") {
    return new OrderUnknown({ cause: describe(failure), conclusiveAt })
  }
  const { code, text, status } = failure
  // Refused for its time alone: for certain nothing of it exists.
  if (code === WRONG_TIME) return new OrderNotSent({ detail: `${code} ${text}` })
  if (status >= 500 || unknownCodes.has(code)) {
    return new OrderUnknown({ cause: `${code} ${text}`, conclusiveAt })
  }
  return new OrderRefused({ reason: reasonOf(code, text), code: String(code), text })
}

const Halves = Schema.Struct({
  cancelResult: Schema.Literals(["SUCCESS", "FAILURE"]),
  newOrderResult: Schema.Literals(["SUCCESS", "FAILURE", "NOT_ATTEMPTED"]),
  cancelResponse: Schema.NullOr(Schema.Unknown),
  newOrderResponse: Schema.NullOr(Schema.Unknown),
})
const decodeHalves = Schema.decodeUnknownOption(Halves)
const decodeError = Schema.decodeUnknownOption(ErrorBody)
const decodeOrder = Schema.decodeUnknownOption(OrderInformation)

const REPLACED_IN_PART = -2021
const NOT_REPLACED = -2022

/**
 * What became of a replacement that failed: each half has its own answer. When the old order was
 * cancelled and the new one refused, it is refused, and the report of the cancel says the rest.
 */
export function replaceError(
  failure: Refused | VenueFailure,
  conclusiveAt: number,
): SubmitError | { readonly placed: OrderInformation } {
  if (failure._tag !== "Refused") return submitError(failure, conclusiveAt)
  const { code, status } = failure
  if (code !== REPLACED_IN_PART && code !== NOT_REPLACED) return submitError(failure, conclusiveAt)
  const halves = decodeHalves(failure.data)
  if (Option.isNone(halves)) {
    return new OrderUnknown({ cause: `${code} ${failure.text}`, conclusiveAt })
  }
  const { cancelResult, newOrderResult, cancelResponse, newOrderResponse } = halves.value
  if (newOrderResult === "SUCCESS") {
    const placed = decodeOrder(newOrderResponse)
    return Option.isSome(placed)
      ? { placed: placed.value }
      : new OrderUnknown({ cause: `${code} an answer that makes no sense`, conclusiveAt })
  }
  const said = decodeError(newOrderResult === "FAILURE" ? newOrderResponse : cancelResponse)
  const text = Option.isSome(said) ? said.value.msg.slice(0, TEXT_MAX) : failure.text
  const inner = Option.isSome(said) ? said.value.code : code
  if (status >= 500 || newOrderResult === "FAILURE" && unknownCodes.has(inner)) {
    return new OrderUnknown({ cause: `${inner} ${text}`, conclusiveAt })
  }
  const half = newOrderResult === "NOT_ATTEMPTED"
    ? "the old order was not cancelled"
    : cancelResult === "SUCCESS"
    ? "the old order is cancelled, the new one refused"
    : "neither was done"
  return new OrderRefused({
    reason: newOrderResult === "FAILURE" ? reasonOf(inner, text) : "other",
    code: String(inner),
    text: `${half}: ${text}`,
  })
}

/** The venue says most of it in words under two codes. */
function reasonOf(code: number, text: string): RefusalReason {
  if (code === -1013) return text.startsWith("Market is closed") ? "market_closed" : "trading_rule"
  if (code === -1015) return "throttled"
  if (code === -1121) return "unknown_instrument"
  if (code === -2014 || code === -2015 || code === -1022) return "keys"
  if (code !== -2010) return "other"
  if (text.includes("insufficient balance")) return "insufficient_funds"
  if (text.startsWith("Duplicate order")) return "duplicate_id"
  if (text.startsWith("Market is closed")) return "market_closed"
  return "trading_rule"
}
