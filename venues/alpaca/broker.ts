/**
 * Orders, account and private stream of Alpaca.
 *
 * Orders go by REST, what becomes of them comes by the stream of trade updates. Only a refusal that
 * the venue itself has stated counts as one; every other failure of a submission means that nobody
 * knows. A request that was taken is not yet done: cancels and replacements are decided by events.
 */
import { Clock, Effect, Option, Schema } from "effect"
import { trading } from "@alpacahq/alpaca-trade-api"
import { decimal, subtract, zero } from "../../domain/decimal.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Balance, Broker, OrderReport } from "../broker.ts"
import type { Priority } from "../governor.ts"
import { Faulty, Forbidden, VenueError } from "../market_data.ts"
import type { ConnectionOptions } from "./connection.ts"
import { cryptoFee, TAKER_FEE_BPS } from "./crypto_fee.ts"
import { reportOf } from "./decode.ts"
import { executionsOf } from "./fills.ts"
import { KnownOrders } from "./known_orders.ts"
import {
  AccountBody,
  CancelBodies,
  ClockBody,
  OrderBodies,
  OrderBody,
  PositionBodies,
} from "./messages.ts"
import { streamOf } from "./private_stream.ts"
import { type Keys, type Rest, venueError } from "./rest.ts"
import { orderTypes, replaceOf, submitOf } from "./submission.ts"
import { baseOf, type SymbolMap, symbolMap, VENUE } from "./symbols.ts"

export interface BrokerOptions extends ConnectionOptions {
  /** `wss://paper-api.alpaca.markets/stream`, or any other host. */
  readonly streamUrl: string
  readonly rest: Rest
  readonly keys: Keys
  readonly instruments: ReadonlyArray<InstrumentId>
  /** Of crypto, in hundredths of a percent. Default: what every account begins with. */
  readonly cryptoFeeBps?: number
}

const QUOTE_ASSET = "USD"
/** A fraction of a share costs a fraction of a cent, which the venue does not keep. */
const ROUNDING_MAX = decimal("0.01")
const ORDERS_PER_PAGE = 500
const PAGES_MAX = 100

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
        ? Effect.map(orderOf(rest, clientOrderId, "cancel"), (order) => known.remember(order).id)
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
      orderOf(rest, clientOrderId, "reconcile").pipe(
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

function connectOf(rest: Rest): Broker["connect"] {
  return Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let sentAt = 0
    const { timestamp } = yield* rest.trading("reconcile", ClockBody, (apis, init) => {
      // Only now, when it is its turn: to wait for that is no part of the way.
      sentAt = clock.currentTimeMillisUnsafe()
      return apis.clock.legacyClockRaw(init)
    }).pipe(Effect.mapError(venueError("GET /v2/clock")))
    const answeredAt = clock.currentTimeMillisUnsafe()
    const account = yield* accountOf(rest)
    const problem = accountProblem(account)
    if (problem === undefined) {
      return { clockOffsetMs: Math.round(timestamp - (sentAt + answeredAt) / 2) }
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

function orderOf(rest: Rest, clientOrderId: string, priority: Priority) {
  return rest.trading(
    priority,
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
      if (page.length < ORDERS_PER_PAGE) return [...reports.values()]
      const last = page.at(-1)?.submitted_at ?? undefined
      if (last === undefined) break
      // The next page repeats those of the same millisecond.
      until = last + 1
    }
    return yield* new Faulty({ detail: "more open orders than can be read" })
  }).pipe(Effect.mapError(venueError("GET /v2/orders")))
}

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
