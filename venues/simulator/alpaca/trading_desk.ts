/**
 * The trading API: which request asks what of the exchange, and what it is answered.
 *
 * Runs a request at once and returns what it changed beside the answer; making that durable before
 * the answer leaves is the caller's business, and so are keys and limits.
 */
import { newYorkDate } from "../../../domain/calendar.ts"
import { type Atoms, floorTo, ONE, parseAtoms } from "../decimals.ts"
import { decodedPart } from "../url_part.ts"
import type { AlpacaExchange, Outcome } from "./exchange.ts"
import type { AccountRecord, FillRecord, OrderRecord, PositionRecord } from "./ledger.ts"
import type { AlpacaListing, AlpacaMarket } from "./market.ts"
import type { Change } from "./order_books.ts"
import { heldQuantity } from "./order_checks.ts"
import { findListing, positionSymbol, readOrder, readReplace } from "./order_request.ts"
import type { OrderRequest } from "./order_request.ts"
import { isTerminal } from "./order_state.ts"
import { isRefusal, malformed, missing, type Refusal } from "./refusal.ts"
import { type DaysOf, nextTime } from "./trading_calendar.ts"
import * as message from "./trading_messages.ts"

export interface ApiRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
}

export interface ApiAnswer {
  readonly status: number
  /** JSON, or nothing. */
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Handled {
  readonly answer: ApiAnswer
  /** In the order in which they happened. */
  readonly changes: ReadonlyArray<Change>
}

const ORDERS_PER_PAGE = { usual: 50, max: 500 } as const
const ACTIVITIES_PER_PAGE_MAX = 100
/** Itself, and its fee. */
const ACTIVITIES_PER_FILL_MAX = 2
const CALENDAR = { from: "1970-01-01", to: "2029-12-31" } as const

type Fields = Readonly<Record<string, unknown>>

export class TradingDesk {
  readonly #exchange: AlpacaExchange
  readonly #market: AlpacaMarket
  readonly #days: DaysOf

  constructor(exchange: AlpacaExchange, market: AlpacaMarket, days: DaysOf) {
    this.#exchange = exchange
    this.#market = market
    this.#days = days
  }

  /** `undefined` when the path is not one of trading. */
  run(request: ApiRequest): Handled | undefined {
    const { method, path, query } = request
    const [, version, resource = "", ...rest] = path.split("/")
    const name = decodedPart(rest.join("/"))
    if (version === "v3") return this.#runV3(method, resource, name, query)
    if (version !== "v2") return undefined
    switch (`${method} ${resource}${name === "" ? "" : "/*"}`) {
      case "GET account":
        return answer(message.accountBody(this.#account.record, this.#exchange.funds))
      case "GET account/*":
        return this.#accountPart(name, query)
      case "PATCH account/*":
        return name === "configurations" ? this.#configure(request.body) : undefined
      case "GET orders":
        return this.#listOrders(query)
      case "POST orders":
        return this.#place(request.body)
      case "DELETE orders":
        return this.#cancelAll()
      case "GET orders:by_client_order_id":
        return this.#showOrder(
          this.#exchange.orderByClientId(query.get("client_order_id") ?? ""),
          query.get("client_order_id") ?? "",
          query,
        )
      case "GET orders/*":
        return this.#showOrder(this.#exchange.order(uuidOf(name)), name, query)
      case "PATCH orders/*":
        return this.#replace(uuidOf(name), request.body)
      case "DELETE orders/*":
        return withoutBody(this.#exchange.cancel(uuidOf(name), this.#now))
      case "GET positions":
        return answer(this.#account.positions.map((position) => this.#position(position)))
      case "DELETE positions":
        return this.#closeAll(query)
      case "GET positions/*":
        return this.#showPosition(name)
      case "DELETE positions/*":
        return this.#closeOne(name, query)
      case "GET assets":
        return this.#listAssets(query)
      case "GET assets/*":
        return this.#showAsset(name)
      case "GET clock":
        return answer(message.clockBody(this.#clock()))
      case "GET calendar": {
        const days = this.#calendar(query)
        return isRefusal(days) ? refused(days) : answer(message.calendarBody(days, this.#days))
      }
    }
    return undefined
  }

  /** An order as the venue shows it, its legs within. */
  nestedOrder(order: OrderRecord): Record<string, unknown> {
    const legs = order.legIds.flatMap((id) => {
      const leg = this.#exchange.order(id)
      return leg === undefined ? [] : [this.#flatOrder(leg)]
    })
    return message.orderBody(order, this.#listing(order.symbol), legs.length > 0 ? legs : null)
  }

  position(position: PositionRecord): object {
    return this.#position(position)
  }

  activitiesOf(fill: FillRecord): ReadonlyArray<message.Activity> {
    const previous = this.#exchange.fill(fill.previousId)
    return message.activitiesOf(fill, previous, this.#listing(fill.symbol))
  }

  // Orders

  #place(body: string): Handled {
    const fields = parse(body)
    if (isRefusal(fields)) return refused(fields)
    const request = readOrder(fields, {
      listings: this.#market.listings,
      phase: (symbol) => this.#market.session(symbol).phase,
      days: this.#days,
      now: this.#now,
    })
    return isRefusal(request) ? refused(request) : this.#show(this.#placed(request))
  }

  #placed(request: OrderRequest): Outcome {
    return this.#exchange.place(request, this.#now)
  }

  #replace(id: string, body: string): Handled {
    const fields = parse(body)
    if (isRefusal(fields)) return refused(fields)
    const request = readReplace(fields)
    return isRefusal(request)
      ? refused(request)
      : this.#show(this.#exchange.replace(id, request, this.#now))
  }

  #show(outcome: Outcome): Handled {
    if (isRefusal(outcome)) return refused(outcome)
    return answer(this.nestedOrder(outcome.order), [outcome.change])
  }

  #showOrder(order: OrderRecord | undefined, name: string, query: URLSearchParams): Handled {
    if (order === undefined) return refused(missing(`order not found for ${name}`))
    return answer(query.get("nested") === "true" ? this.nestedOrder(order) : this.#flatOrder(order))
  }

  #listOrders(query: URLSearchParams): Handled {
    const status = query.get("status") ?? "open"
    if (!["open", "closed", "all"].includes(status)) return refused(malformed("invalid status"))
    const limit = Number(query.get("limit") ?? ORDERS_PER_PAGE.usual)
    if (!Number.isInteger(limit) || limit < 1) return refused(malformed("invalid limit"))
    const times = { after: timeOf(query.get("after")), until: timeOf(query.get("until")) }
    if (Number.isNaN(times.after)) return refused(malformed("invalid after"))
    if (Number.isNaN(times.until)) return refused(malformed("invalid until"))
    const isNested = query.get("nested") === "true"
    const symbols = query.get("symbols")?.split(",").filter((name) => name !== "")
      .map((name) => findListing(this.#market.listings, name)?.symbol)
    const side = query.get("side")
    const assetClass = query.get("asset_class")
    const bounds = {
      after: this.#exchange.order(query.get("after_order_id") ?? "")?.sequence ?? -Infinity,
      before: this.#exchange.order(query.get("before_order_id") ?? "")?.sequence ?? Infinity,
    }
    const found = this.#exchange.orders.filter((order) =>
      (status === "all" || isTerminal(order) === (status === "closed")) &&
      (times.after === undefined || order.submittedAt > times.after) &&
      (times.until === undefined || order.submittedAt < times.until) &&
      (symbols === undefined || symbols.length === 0 || symbols.includes(order.symbol)) &&
      (side === null || side === "" || order.side === side) &&
      (assetClass === null || this.#listing(order.symbol).assetClass === assetClass) &&
      order.sequence > bounds.after && order.sequence < bounds.before &&
      !(isNested && order.parentId !== "")
    )
    if (query.get("direction") !== "asc") found.reverse()
    return answer(
      found.slice(0, Math.min(limit, ORDERS_PER_PAGE.max))
        .map((order) => isNested ? this.nestedOrder(order) : this.#flatOrder(order)),
    )
  }

  #cancelAll(): Handled {
    const changes = new Array<Change>()
    const results = new Array<object>()
    for (const { id } of this.#exchange.open) {
      const outcome = this.#exchange.cancel(id, this.#now)
      if (isRefusal(outcome)) {
        results.push({ id, status: 500, body: message.refusalBody(outcome) })
      } else {
        changes.push(outcome.change)
        results.push({ id, status: 200 })
      }
    }
    return answer(results, changes, 207)
  }

  // Positions

  #position(position: PositionRecord): object {
    return message.positionBody(
      this.#account.value(position),
      this.#listing(position.symbol),
      heldQuantity(position.symbol, this.#exchange.open),
    )
  }

  #held(name: string): PositionRecord | undefined {
    const listing = findListing(this.#market.listings, name)
    const position = listing && this.#account.position(listing.symbol)
    return position?.quantity === 0n ? undefined : position
  }

  #showPosition(name: string): Handled {
    const position = this.#held(name)
    return position === undefined
      ? refused(missing("position does not exist"))
      : answer(this.#position(position))
  }

  #closeOne(name: string, query: URLSearchParams): Handled {
    const position = this.#held(name)
    if (position === undefined) return refused(missing("position does not exist"))
    const quantity = this.#toClose(position, query.get("qty"), query.get("percentage"))
    return typeof quantity === "bigint"
      ? this.#show(this.#placed(this.#closing(position, quantity)))
      : refused(quantity)
  }

  #toClose(
    { quantity, symbol }: PositionRecord,
    asked: string | null,
    percentage: string | null,
  ): Atoms | Refusal {
    const size = quantity < 0n ? -quantity : quantity
    if (asked !== null && percentage !== null) {
      return malformed("only one of qty or percentage is accepted")
    }
    if (asked !== null) {
      const amount = parseAtoms(asked)
      return amount === undefined || amount <= 0n ? malformed("qty must be > 0") : amount
    }
    if (percentage === null) return size
    const share = parseAtoms(percentage)
    if (share === undefined || share <= 0n || share > 100n * ONE) {
      return malformed("percentage must be between 0 and 100")
    }
    const listing = this.#listing(symbol)
    const isWhole = size % ONE === 0n && listing.assetClass === "us_equity"
    const step = isWhole ? ONE : listing.assetClass === "crypto" ? listing.quantityStep : 1n
    const part = floorTo(size * share / (100n * ONE), step)
    return part > 0n ? part : malformed("qty must be > 0")
  }

  #closing({ symbol, quantity }: PositionRecord, amount: Atoms): OrderRequest {
    const isCrypto = this.#listing(symbol).assetClass === "crypto"
    return {
      symbol,
      side: quantity > 0n ? "sell" : "buy",
      type: "market",
      timeInForce: isCrypto ? "gtc" : "day",
      orderClass: "",
      extendedHours: false,
      clientOrderId: "",
      quantity: amount,
      notional: 0n,
      limitPrice: 0n,
      stopPrice: 0n,
      trailPercent: 0n,
      trailPrice: 0n,
      positionIntent: "",
      takeProfit: undefined,
      stopLoss: undefined,
    }
  }

  #closeAll(query: URLSearchParams): Handled {
    const changes = new Array<Change>()
    if (query.get("cancel_orders") === "true") {
      for (const { id } of this.#exchange.open) {
        changes.push(this.#exchange.cancelNow(id, this.#now))
      }
    }
    const results = this.#account.positions.map((position) => {
      const size = position.quantity < 0n ? -position.quantity : position.quantity
      const outcome = this.#placed(this.#closing(position, size))
      const symbol = positionSymbol(this.#listing(position.symbol))
      if (isRefusal(outcome)) {
        return { symbol, status: outcome.status, body: message.refusalBody(outcome) }
      }
      changes.push(outcome.change)
      return { symbol, status: 200, body: this.nestedOrder(outcome.order) }
    })
    return answer(results, changes, 207)
  }

  // The account

  #accountPart(name: string, query: URLSearchParams): Handled | undefined {
    if (name === "configurations") {
      return answer(message.configurationBody(this.#account.record))
    }
    const [part, types, more] = name.split("/")
    if (part !== "activities" || more !== undefined) return undefined
    return this.#listActivities(query, types ?? query.get("activity_types") ?? "")
  }

  #listActivities(query: URLSearchParams, types: string): Handled {
    const wanted = types.split(",").filter((type) => type !== "")
    const date = query.get("date")?.slice(0, 10)
    const times = { after: timeOf(query.get("after")), until: timeOf(query.get("until")) }
    if (Number.isNaN(times.after)) return refused(malformed("invalid after"))
    if (Number.isNaN(times.until)) return refused(malformed("invalid until"))
    const size = Number(query.get("page_size") ?? ACTIVITIES_PER_PAGE_MAX)
    if (!Number.isInteger(size) || size < 1) return refused(malformed("invalid page_size"))
    const isDescending = query.get("direction") !== "asc"
    const token = query.get("page_token") ?? ""
    const fills = this.#exchange.fills.filter(({ time }) =>
      (times.after === undefined || time > times.after) &&
      (times.until === undefined || time < times.until) &&
      (date === undefined || newYorkDate(time) === date)
    )
    if (isDescending) fills.reverse()
    const first = token === "" ? 0 : fills.findIndex((fill) => message.isActivityOf(fill, token))
    // Only what the page may hold is written out: that is most of the work.
    const limit = Math.min(size, ACTIVITIES_PER_PAGE_MAX)
    const found = new Array<message.Activity>()
    for (const fill of first < 0 ? [] : fills.slice(first)) {
      const made = this.activitiesOf(fill)
        .filter(({ type }) => wanted.length === 0 || wanted.includes(type))
      found.push(...isDescending ? made.toReversed() : made)
      if (found.length >= limit + ACTIVITIES_PER_FILL_MAX) break
    }
    const from = token === "" ? 0 : found.findIndex(({ id }) => id === token) + 1
    if (token !== "" && from === 0) return refused(malformed("invalid page_token"))
    return answer(found.slice(from, from + limit).map(({ body }) => body))
  }

  #configure(body: string): Handled {
    const fields = parse(body)
    if (isRefusal(fields)) return refused(fields)
    const change = readConfiguration(fields)
    if (isRefusal(change)) return refused(change)
    const changed = this.#exchange.configure(change)
    return answer(message.configurationBody(this.#account.record), [changed])
  }

  // Assets and calendar

  #listAssets(query: URLSearchParams): Handled {
    const assetClass = query.get("asset_class") || "us_equity"
    const exchange = query.get("exchange") ?? ""
    const isInactive = query.get("status") === "inactive"
    const found = [...this.#market.listings.values()].filter((listing) =>
      !isInactive && listing.assetClass === assetClass &&
      (exchange === "" || listing.exchange === exchange)
    )
    return answer(found.map(message.assetBody))
  }

  #showAsset(name: string): Handled {
    const listing = findListing(this.#market.listings, name)
    return listing === undefined
      ? refused(missing(`asset not found for ${name}`))
      : answer(message.assetBody(listing))
  }

  #runV3(
    method: string,
    resource: string,
    name: string,
    query: URLSearchParams,
  ): Handled | undefined {
    if (method !== "GET") return undefined
    if (resource === "clock" && name === "") {
      const markets = query.get("markets")?.toUpperCase().split(",") ?? []
      const isAsked = markets.length === 0 || markets.includes("NYSE") || markets.includes("XNYS")
      return answer({ clocks: isAsked ? [message.marketClockBody(this.#clock())] : [] })
    }
    if (resource !== "calendar" || !["NYSE", "XNYS"].includes(name.toUpperCase())) return undefined
    const days = this.#calendar(query)
    return isRefusal(days) ? refused(days) : answer(message.marketCalendarBody(days, this.#days))
  }

  #clock(): message.ClockFacts {
    const now = this.#now
    const share = [...this.#market.listings.values()]
      .find((listing) => listing.assetClass === "us_equity")
    const session = share && this.#market.session(share.symbol)
    const phase = session?.phase ?? "closed"
    const today = newYorkDate(now)
    const close = nextTime(this.#days, now, (day) => day.close)
    return {
      now,
      phase,
      phaseUntil: session?.until ?? close,
      nextOpen: phase !== "core" && session !== undefined && phase === "pre"
        ? session.until
        : nextTime(this.#days, now, (day) => day.open),
      nextClose: phase === "core" && session !== undefined ? session.until : close,
      isMarketDay: this.#days(today, today).length > 0,
    }
  }

  #calendar(query: URLSearchParams) {
    const start = query.get("start")?.slice(0, 10) ?? CALENDAR.from
    const end = query.get("end")?.slice(0, 10) ?? CALENDAR.to
    for (const date of [start, end]) {
      if (!/^\d{4}-\d\d-\d\d$/.test(date) || Number.isNaN(Date.parse(date))) {
        return malformed(`invalid date ${date}`)
      }
    }
    return this.#days(
      start < CALENDAR.from ? CALENDAR.from : start,
      end > CALENDAR.to ? CALENDAR.to : end,
    )
  }

  // Shared

  get #now(): number {
    return this.#market.now()
  }

  get #account() {
    return this.#exchange.account
  }

  #flatOrder(order: OrderRecord): Record<string, unknown> {
    return message.orderBody(order, this.#listing(order.symbol))
  }

  #listing(symbol: string): AlpacaListing {
    const listing = this.#market.listings.get(symbol)
    if (listing === undefined) throw new RangeError(`not listed: ${symbol}`)
    return listing
  }
}

function answer(body: unknown, changes: ReadonlyArray<Change> = [], status = 200): Handled {
  return { answer: { status, body: JSON.stringify(body) }, changes }
}

function refused(refusal: Refusal): Handled {
  return answer(message.refusalBody(refusal), [], refusal.status)
}

function withoutBody(outcome: Outcome): Handled {
  if (isRefusal(outcome)) return refused(outcome)
  return { answer: { status: 204, body: "" }, changes: [outcome.change] }
}

function parse(body: string): Fields | Refusal {
  const unreadable = { status: 400, code: 40010000, message: "request body format is invalid" }
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== "object" || value === null || Array.isArray(value)) return unreadable
    return Object.fromEntries(Object.entries(value))
  } catch {
    return unreadable
  }
}

function readConfiguration(fields: Fields): Partial<AccountRecord["configuration"]> | Refusal {
  const flags = [
    ["noShorting", "no_shorting"],
    ["suspendTrade", "suspend_trade"],
    ["fractionalTrading", "fractional_trading"],
    ["ptpNoExceptionEntry", "ptp_no_exception_entry"],
    ["disableOvernightTrading", "disable_overnight_trading"],
  ] as const
  let change: Partial<AccountRecord["configuration"]> = {}
  for (const [key, name] of flags) {
    const value = fields[name]
    if (value === undefined || value === null) continue
    if (typeof value !== "boolean") return malformed(`${name} must be true or false`)
    change = { ...change, [key]: value }
  }
  const multiplier = fields.max_margin_multiplier
  if (multiplier === "1" || multiplier === "2" || multiplier === "4") {
    change = { ...change, maxMarginMultiplier: multiplier }
  } else if (multiplier !== undefined && multiplier !== null) {
    return malformed("max_margin_multiplier must be 1, 2 or 4")
  }
  const email = fields.trade_confirm_email
  if (email === "all" || email === "none") change = { ...change, tradeConfirmEmail: email }
  else if (email !== undefined && email !== null) {
    return malformed("trade_confirm_email must be all or none")
  }
  return change
}

/** Epoch milliseconds; NaN when it is no time. */
function timeOf(text: string | null): number | undefined {
  return text === null || text === "" ? undefined : Date.parse(text)
}

/** Ids are taken without their dashes, too. */
function uuidOf(name: string): string {
  const match = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i
    .exec(name)
  return match === null ? name : match.slice(1).join("-").toLowerCase()
}
