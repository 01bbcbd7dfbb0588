/**
 * Our executions, as Alpaca's list of activities has them.
 *
 * The list says more and less than the stream: corrections are rows of their own, and an order is
 * named by the venue's id alone. What comes out is what the stream would have said.
 */
import { Effect } from "effect"
import { trading } from "@alpacahq/alpaca-trade-api"
import { compare } from "../../domain/decimal.ts"
import type { Broker, Execution } from "../broker.ts"
import { Faulty } from "../market_data.ts"
import type { CryptoFee } from "./crypto_fee.ts"
import { executionIdOf, sideOf } from "./decode.ts"
import type { KnownOrders } from "./known_orders.ts"
import { FillBodies, OrderBody } from "./messages.ts"
import { type Rest, venueError } from "./rest.ts"
import type { SymbolMap } from "./symbols.ts"

const FILLS_PER_PAGE = 100
/** Orders whose client id is looked up for one list of fills; the others go without. */
const LOOKUPS_MAX = 20
const PAGES_MAX = 100

/** Out of all fills since then: the venue does not choose by symbol. */
export function executionsOf(
  rest: Rest,
  known: KnownOrders,
  symbols: SymbolMap,
  fee: CryptoFee,
): Broker["executions"] {
  return (instrument, since) =>
    Effect.gen(function* () {
      const fills = (yield* fillsSince(rest, since))
        .filter(({ symbol }) => symbols(symbol) === instrument)
      // Those of one millisecond come in any order.
      fills.sort((a, b) => a.transaction_time - b.transaction_time || compare(a.cum_qty, b.cum_qty))
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

/** Fails rather than leave some out: a fill that is missing looks like a loss. */
const fillsSince = Effect.fnUntraced(function* (rest: Rest, since: number) {
  const fills: Array<FillBody> = []
  let pageToken: string | undefined
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = yield* rest.trading(
      "reconcile",
      FillBodies,
      ({ activities }, init) =>
        activities.getAccountActivitiesByActivityTypeRaw({
          activityType: "FILL",
          // The venue means later than this.
          after: new Date(Math.max(0, Math.floor(since) - 1)),
          direction: trading.GetAccountActivitiesByActivityTypeDirectionEnum.Asc,
          pageSize: FILLS_PER_PAGE,
          ...pageToken !== undefined && { pageToken },
        }, init),
    )
    fills.push(...page)
    pageToken = page.at(-1)?.id
    if (page.length < FILLS_PER_PAGE) return fills
  }
  return yield* new Faulty({ detail: `more than ${fills.length} fills to read` })
})

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
