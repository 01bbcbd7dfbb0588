/**
 * Orders, account and private stream of Alpaca.
 *
 * Orders go by REST, what becomes of them comes by the stream of trade updates. Only a refusal that
 * the venue itself has stated counts as one; every other failure of a submission means that nobody
 * knows. A request that was taken is not yet done: cancels and replacements are decided by events.
 */
import { Clock, Effect, Option, Redacted, Schema } from "effect"
import { trading } from "@alpacahq/alpaca-trade-api"
import { forever } from "../../actors/runtime/forever.ts"
import { compare, decimal, decimalsOf, formatDecimal, subtract, zero } from "../../domain/decimal.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { OrderType, TimeInForce } from "../../domain/order.ts"
import {
  type Balance,
  type Broker,
  type Execution,
  type NewOrder,
  OrderNotSent,
  OrderRefused,
  type OrderReport,
  OrderUnknown,
  type RefusalReason,
  type SubmitError,
} from "../broker.ts"
import {
  describe,
  Faulty,
  Forbidden,
  Silent,
  VenueError,
  type VenueFailure,
} from "../market_data.ts"
import { type LivenessPolicy, openConnection, type Traffic } from "../socket.ts"
import { type CryptoFee, cryptoFee, TAKER_FEE_BPS } from "./crypto_fee.ts"
import {
  type DecodedPrivate,
  decodePrivateFrame,
  executionIdOf,
  reportOf,
  sideOf,
} from "./decode.ts"
import { refusalFailure } from "./market_stream.ts"
import {
  AccountBody,
  CancelBodies,
  ClockBody,
  FillBodies,
  OrderBodies,
  OrderBody,
  PositionBodies,
} from "./messages.ts"
import { isOrderRefusal, type Keys, type Refused, type Rest, venueError } from "./rest.ts"
import { baseOf, isPair, type SymbolMap, symbolMap, symbolOf, VENUE } from "./symbols.ts"

export interface BrokerOptions {
  /** `wss://paper-api.alpaca.markets/stream`, or any other host. */
  readonly streamUrl: string
  readonly rest: Rest
  readonly keys: Keys
  readonly policy: LivenessPolicy
  readonly traffic: Traffic
  readonly instruments: ReadonlyArray<InstrumentId>
  readonly subscribeTimeoutMs: number
  /** Of crypto, in hundredths of a percent. Default: what every account begins with. */
  readonly cryptoFeeBps?: number
}

const QUOTE_ASSET = "USD"
/** A fraction of a share costs a fraction of a cent, which the venue does not keep. */
const ROUNDING_MAX = decimal("0.01")
/**
 * The venue states no time after which an order that it does not know will never be known: its
 * documentation says that a 404 is no proof. This is many times what an order has ever taken.
 */
const CONCLUSIVE_AFTER_MS = 60_000
/** In the older description of the venue; the newer one takes 128. */
const CLIENT_ID_MAX = 48
const QUANTITY_DECIMALS_MAX = 9
const NOTIONAL_DECIMALS_MAX = 2
const ORDERS_PER_PAGE = 500
const FILLS_PER_PAGE = 100
const PAGES_MAX = 100
/** Orders whose client id is looked up for one list of fills; the others go without. */
const LOOKUPS_MAX = 20
/** Order ids remembered with their client ids. */
const KNOWN_MAX = 10_000

const Nothing = Schema.Unknown

export function makeBroker(options: BrokerOptions): Broker {
  const { rest } = options
  const symbols = symbolMap(options.instruments)
  const fee = cryptoFee(options.cryptoFeeBps ?? TAKER_FEE_BPS)
  const known = new KnownOrders()
  const orderIdOf = (clientOrderId: string) =>
    Effect.suspend(() => {
      const id = known.orderId(clientOrderId)
      return id === undefined
        ? Effect.map(orderOf(rest, clientOrderId), (order) => known.remember(order).id)
        : Effect.succeed(id)
    })
  return {
    venue: VENUE,
    quoteAsset: QUOTE_ASSET,
    roundingMax: ROUNDING_MAX,
    capabilities: {
      orderTypes: new Set(orderTypes.keys()),
      timeInForces: new Set(["day", "gtc", "ioc", "fok"]),
      notional: true,
      bracket: true,
      extendedHours: true,
    },
    connect: connectOf(rest),
    submit: submitOf(rest, known),
    cancel: (_instrument, clientOrderId) =>
      orderIdOf(clientOrderId).pipe(
        Effect.flatMap((orderId) =>
          rest.trading("cancel", Nothing, ({ orders }, init) =>
            orders.deleteOrderByOrderIDRaw({ orderId }, init))
        ),
        Effect.as("requested" as const),
        // Not known, or nothing is left of it to cancel.
        Effect.catchTag("Refused", (refused) =>
          refused.status === 404 || refused.status === 422
            ? Effect.succeed("unknown_order" as const)
            : Effect.fail(refused)),
        Effect.mapError(venueError("DELETE /v2/orders/{id}")),
      ),
    replace: replaceOf(rest, known, orderIdOf),
    cancelAll: rest.trading(
      "cancel",
      CancelBodies,
      ({ orders }, init) => orders.deleteAllOrdersRaw(init),
    ).pipe(
      Effect.map((answers) => answers.filter(({ status }) => status >= 200 && status < 300).length),
      Effect.mapError(venueError("DELETE /v2/orders")),
    ),
    order: (instrument, clientOrderId) =>
      orderOf(rest, clientOrderId).pipe(
        Effect.flatMap((order) => Effect.asSome(reported(known.remember(order), instrument))),
        Effect.catchTag("Refused", (refused) =>
          refused.status === 404
            ? Effect.succeed(Option.none<OrderReport>())
            : Effect.fail(refused)),
        Effect.mapError(venueError("GET /v2/orders:by_client_order_id")),
      ),
    openOrders: openOrdersOf(rest, known, symbols),
    executions: executionsOf(rest, known, symbols, fee),
    balances: balancesOf(rest, symbols),
    stream: streamOf(options, known, symbols, fee),
  }
}

/** The venue's order ids and our client ids, learned from every order that was ever shown. */
class KnownOrders {
  readonly #clientIds = new Map<string, string>()
  readonly #orderIds = new Map<string, string>()

  remember<A extends { readonly id: string; readonly client_order_id: string }>(order: A): A {
    this.#clientIds.set(order.id, order.client_order_id)
    this.#orderIds.set(order.client_order_id, order.id)
    for (const kept of [this.#clientIds, this.#orderIds]) {
      for (const key of kept.keys()) {
        if (kept.size <= KNOWN_MAX) break
        kept.delete(key)
      }
    }
    return order
  }

  orderId(clientOrderId: string): string | undefined {
    return this.#orderIds.get(clientOrderId)
  }

  clientId(orderId: string): string | undefined {
    return this.#clientIds.get(orderId)
  }
}

function connectOf(rest: Rest): Broker["connect"] {
  return Effect.gen(function* () {
    const asked = yield* Clock.currentTimeMillis
    const { timestamp } = yield* Effect.mapError(
      rest.trading("reconcile", ClockBody, ({ clock }, init) => clock.legacyClockRaw(init)),
      venueError("GET /v2/clock"),
    )
    const answered = yield* Clock.currentTimeMillis
    const account = yield* accountOf(rest)
    const problem = accountProblem(account)
    if (problem === undefined) {
      return { clockOffsetMs: Math.round(timestamp - (asked + answered) / 2) }
    }
    const reason = new Forbidden({ detail: problem })
    return yield* new VenueError({ venue: VENUE, doing: "GET /v2/account", reason })
  })
}

function accountOf(rest: Rest) {
  return Effect.mapError(
    rest.trading("reconcile", AccountBody, ({ account }, init) => account.getAccountRaw(init)),
    venueError("GET /v2/account"),
  )
}

/** Why this account cannot trade, where it cannot. */
function accountProblem(account: typeof AccountBody.Type): string | undefined {
  if (account.account_blocked) return "the account is blocked: ask the venue why"
  if (account.trading_blocked) return "the venue has blocked trading on this account"
  if (account.trade_suspended_by_user) return "trading is suspended in the account's settings"
  if (account.status !== "ACTIVE") return `the account is not active: ${account.status}`
  if (account.currency !== QUOTE_ASSET) return `the account is kept in ${account.currency}`
  return undefined
}

// Orders

const orderTypes = new Map<OrderType, trading.OrderType>([
  ["market", trading.OrderType.Market],
  ["limit", trading.OrderType.Limit],
  ["stop", trading.OrderType.Stop],
  ["stop_limit", trading.OrderType.StopLimit],
  ["trailing_stop", trading.OrderType.TrailingStop],
])
const pairTypes: ReadonlySet<OrderType> = new Set(["market", "limit", "stop_limit"])
const pairTimes: ReadonlySet<TimeInForce> = new Set(["gtc", "ioc"])

function submitOf(rest: Rest, known: KnownOrders): Broker["submit"] {
  return Effect.fn("alpaca.submit")(function* (order) {
    const problem = unsendable(order)
    const type = orderTypes.get(order.type)
    if (problem !== undefined || type === undefined) {
      return yield* new OrderNotSent({ detail: problem ?? `no orders of type ${order.type} here` })
    }
    const conclusiveAt = Math.ceil(yield* Clock.currentTimeMillis) + CONCLUSIVE_AFTER_MS
    const answer = yield* rest.trading(
      "order",
      OrderBody,
      ({ orders }, init) =>
        orders.postOrderRaw({ postOrderRequest: orderRequest(order, type) }, init),
    ).pipe(
      Effect.mapError((failure) => submitError(failure, conclusiveAt)),
    )
    if (answer.client_order_id !== order.clientOrderId) {
      const cause = `the answer is about another order: ${answer.client_order_id.slice(0, 40)}`
      return yield* new OrderUnknown({ cause, conclusiveAt })
    }
    return { venueOrderId: known.remember(answer).id }
  })
}

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

function replaceOf(
  rest: Rest,
  known: KnownOrders,
  orderIdOf: (clientOrderId: string) => Effect.Effect<string, Refused | VenueFailure>,
): Broker["replace"] {
  return Effect.fn("alpaca.replace")(function* (_instrument, clientOrderId, change) {
    const { quantity, price, stopPrice } = change
    if (change.clientOrderId.length > CLIENT_ID_MAX) {
      return yield* new OrderNotSent({ detail: "the client order id is too long" })
    }
    const conclusiveAt = Math.ceil(yield* Clock.currentTimeMillis) + CONCLUSIVE_AFTER_MS
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
    const answer = yield* rest.trading(
      "order",
      OrderBody,
      ({ orders }, init) => orders.patchOrderByOrderIdRaw({ orderId, patchOrderRequest }, init),
    ).pipe(
      Effect.mapError((failure) => submitError(failure, conclusiveAt)),
    )
    return { venueOrderId: known.remember(answer).id }
  })
}

function orderOf(rest: Rest, clientOrderId: string) {
  return rest.trading(
    "reconcile",
    OrderBody,
    ({ orders }, init) => orders.getOrderByClientOrderIdRaw({ clientOrderId }, init),
  )
}

/** A status that means nothing to us is a failure: an order must not seem to be missing. */
function reported(
  order: Omit<typeof OrderBody.Type, "legs">,
  instrument: InstrumentId,
): Effect.Effect<OrderReport, Faulty> {
  const report = reportOf(order, instrument)
  return report === undefined
    ? Effect.fail(
      new Faulty({ detail: `unknown order status ${JSON.stringify(order.status.slice(0, 40))}` }),
    )
    : Effect.succeed(report)
}

const isOver: ReadonlySet<OrderReport["status"]> = new Set([
  "filled",
  "canceled",
  "expired",
  "rejected",
])

/** Exits of brackets included. Newest first, page by page: the venue takes no other cursor. */
function openOrdersOf(rest: Rest, known: KnownOrders, symbols: SymbolMap): Broker["openOrders"] {
  return Effect.gen(function* () {
    const reports = new Map<string, OrderReport>()
    let until: number | undefined
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const page = yield* rest.trading(
        "reconcile",
        OrderBodies,
        ({ orders }, init) =>
          orders.getAllOrdersRaw({
            status: trading.GetAllOrdersStatusEnum.Open,
            direction: trading.GetAllOrdersDirectionEnum.Desc,
            limit: ORDERS_PER_PAGE,
            // Nested, the exits of a bracket that has opened are listed under no open order.
            nested: false,
            ...until !== undefined && { until: new Date(until).toISOString() },
          }, init),
      )
      for (const order of page.flatMap((each) => [each, ...each.legs ?? []])) {
        const instrument = symbols(known.remember(order).symbol)
        if (instrument === undefined) continue
        const report = yield* reported(order, instrument)
        // Of a bracket that is half done, the legs that are over come along.
        if (!isOver.has(report.status)) reports.set(order.id, report)
      }
      const last = page.at(-1)?.submitted_at ?? undefined
      if (page.length < ORDERS_PER_PAGE || last === undefined || last === until) break
      // The next page repeats those of the same millisecond.
      until = last + 1
    }
    return [...reports.values()]
  }).pipe(Effect.mapError(venueError("GET /v2/orders")))
}

// Account

/** All fills since then, page by page: the venue does not choose by symbol. */
function executionsOf(
  rest: Rest,
  known: KnownOrders,
  symbols: SymbolMap,
  fee: CryptoFee,
): Broker["executions"] {
  return (instrument, since) =>
    Effect.gen(function* () {
      const fills: Array<FillBody> = []
      let pageToken: string | undefined
      for (let pages = 0; pages < PAGES_MAX; pages++) {
        const page = yield* rest.trading("reconcile", FillBodies, ({ activities }, init) =>
          activities.getAccountActivitiesByActivityTypeRaw({
            activityType: "FILL",
            // The venue means later than this.
            after: new Date(Math.max(0, Math.floor(since) - 1)),
            direction: trading.GetAccountActivitiesByActivityTypeDirectionEnum.Asc,
            pageSize: FILLS_PER_PAGE,
            ...pageToken !== undefined && { pageToken },
          }, init))
        fills.push(...page.filter(({ symbol }) =>
          symbols(symbol) === instrument
        ))
        pageToken = page.at(-1)?.id
        if (page.length < FILLS_PER_PAGE) {
          break
        }
      }
      // Those of one millisecond come in any order.
      fills.sort((a, b) =>
        a.transaction_time - b.transaction_time || compare(a.cum_qty, b.cum_qty)
      )
      const valid = withChanges(fills)
      yield* lookUp(rest, known, valid.map(({ order_id }) => order_id))
      return yield* Effect.forEach(valid, (fill): Effect.Effect<Execution, Faulty> => {
        const side = sideOf(fill.side)
        if (side === undefined) {
          return Effect.fail(new Faulty({ detail: `a fill with the side ${fill.side}` }))
        }
        const traded = { instrument, side, quantity: fill.qty, price: fill.price }
        return Effect.succeed({
          ...traded,
          executionId: executionIdOf(fill.order_id, fill.cum_qty),
          clientOrderId: known.clientId(fill.order_id) ?? "",
          venueOrderId: fill.order_id,
          ...fee(traded),
          time: fill.transaction_time,
        })
      })
    }).pipe(Effect.mapError(venueError("GET /v2/account/activities/FILL")))
}

type FillBody = typeof FillBodies.Type[number]

/** As they hold now: without those that were taken back, with the price of those that were changed. */
function withChanges(fills: ReadonlyArray<FillBody>): ReadonlyArray<FillBody> {
  const changes = new Map(
    fills.flatMap((fill) => fill.previous_id ? [[fill.previous_id, fill]] : []),
  )
  return fills.filter((fill) => !fill.previous_id).flatMap((fill) => {
    // An id is the time and the name of the execution; a change refers to the name.
    const change = changes.get(fill.id) ?? changes.get(fill.id.split("::").at(-1)!)
    if (change === undefined) return [fill]
    return change.status === "canceled" ? [] : [{ ...fill, price: change.price, qty: change.qty }]
  })
}

/** Fills name the venue's order id only. What cannot be found now is left to the venue's id. */
const lookUp = Effect.fnUntraced(function* (
  rest: Rest,
  known: KnownOrders,
  orderIds: ReadonlyArray<string>,
) {
  const unknown = [...new Set(orderIds)].filter((id) => known.clientId(id) === undefined)
  for (const orderId of unknown.slice(0, LOOKUPS_MAX)) {
    yield* rest.trading(
      "reconcile",
      OrderBody,
      ({ orders }, init) => orders.getOrderByOrderIDRaw({ orderId }, init),
    ).pipe(
      Effect.map((order) => known.remember(order)),
      Effect.catchTag(
        "Refused",
        (refused) => refused.status === 404 ? Effect.void : Effect.fail(refused),
      ),
    )
  }
})

/** Dollars, and of every position what is held and what open orders have reserved of it. */
function balancesOf(rest: Rest, symbols: SymbolMap): Broker["balances"] {
  return Effect.gen(function* () {
    const account = yield* accountOf(rest)
    const positions = yield* Effect.mapError(
      rest.trading(
        "reconcile",
        PositionBodies,
        ({ positions }, init) => positions.getAllOpenPositionsRaw(init),
      ),
      venueError("GET /v2/positions"),
    )
    const cash: Balance = { asset: QUOTE_ASSET, free: account.cash, locked: zero }
    return [
      cash,
      ...positions.map((position): Balance => {
        const { symbol, qty, asset_class, qty_available } = position
        const instrument = symbols(symbol)
        const asset = instrument !== undefined
          ? baseOf(instrument)
          : asset_class === "crypto"
          ? symbol.replace(/\/?USD[TC]?$/u, "")
          : symbol
        const free = qty_available ?? qty
        return { asset, free, locked: subtract(qty, free) }
      }),
    ]
  })
}

// Private stream

const doing = "private stream"
const UPDATES = "trade_updates"

function streamOf(
  options: BrokerOptions,
  known: KnownOrders,
  symbols: SymbolMap,
  fee: CryptoFee,
): Broker["stream"] {
  const { keys, policy, traffic, streamUrl, subscribeTimeoutMs } = options
  const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })
  return Effect.fn("alpaca.privateStream")(
    function* (sink) {
      const connection = yield* openConnection({
        venue: VENUE,
        doing,
        url: streamUrl,
        policy,
        traffic,
        awaitsClose: true,
      })
      yield* connection.send(JSON.stringify({
        action: "auth",
        key: Redacted.value(keys.key),
        secret: Redacted.value(keys.secret),
      }))
      let isListening = false
      const overdue = failed(new Silent({ what: "data", afterMs: subscribeTimeoutMs }))
      const frames = Effect.suspend(() =>
        isListening ? connection.pull : Effect.timeoutOrElse(connection.pull, {
          duration: subscribeTimeoutMs,
          orElse: () => Effect.fail(overdue),
        })
      )
      const outbox: Array<unknown> = []
      /** Hands one message on; what ends the connection, if it does. */
      const taken = (decoded: DecodedPrivate, frame: string): VenueFailure | undefined => {
        switch (decoded._tag) {
          case "Authenticated":
            outbox.push({ action: "listen", data: { streams: [UPDATES] } })
            return undefined
          case "Listening":
            if (!decoded.streams.includes(UPDATES)) {
              return new Faulty({ detail: `the venue does not stream ${UPDATES}` })
            }
            if (!isListening) sink.event({ _tag: "StreamUp" })
            isListening = true
            return undefined
          case "Unauthorized":
            return new Forbidden({ detail: decoded.reason })
          case "Refusal":
            return refusalFailure(decoded)
          case "Undecoded":
            sink.undecoded(frame, decoded.reason)
            return undefined
          case "Connected":
          case "Subscribed":
            return undefined
          case "Report":
          case "Executed": {
            const { clientOrderId, venueOrderId } = decoded.report
            known.remember({ id: venueOrderId, client_order_id: clientOrderId })
            sink.event(decoded)
            return undefined
          }
          case "Corrected":
            sink.event(decoded)
            return undefined
        }
      }
      return yield* forever(Effect.flatMap(frames, (batch) => {
        for (const frame of batch) {
          for (const decoded of decodePrivateFrame(frame, symbols, fee)) {
            const failure = taken(decoded, frame)
            if (failure !== undefined) return Effect.fail(failed(failure))
          }
        }
        const messages = outbox.splice(0).map((message) => JSON.stringify(message))
        return Effect.forEach(messages, connection.send, { discard: true })
      }))
    },
    Effect.scoped,
  )
}
