/**
 * Alpaca market data: a stream for shares, a stream for crypto, and REST for what they cannot say.
 *
 * Both streams together are the port's one connection: each must stand, and the end of one ends
 * both. The account has one place per stream, so a connection is only given up with its closing
 * handshake; the next one would find the place taken.
 */
import { Effect, Redacted, Result, Schema } from "effect"
import { marketData } from "@alpacahq/alpaca-trade-api"
import { forever } from "../../actors/runtime/forever.ts"
import { addTrade, aggregate, barBuilder, closeBar } from "../../domain/bars.ts"
import type { TradingDay } from "../../domain/calendar.ts"
import { decimal, isPositive, larger, zero } from "../../domain/decimal.ts"
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
import type { Bar, Trade } from "../../domain/market.ts"
import {
  Faulty,
  Forbidden,
  type MarketData,
  type MarketDataSink,
  Overrun,
  Silent,
  SlotBusy,
  VenueError,
  type VenueFailure,
} from "../market_data.ts"
import { type LivenessPolicy, openConnection, type Traffic } from "../socket.ts"
import { barOf, type Control, type Decoded, decodeMarketFrame, quoteOf, tradeOf } from "./decode.ts"
import {
  AssetBodies,
  AssetBody,
  BarPage,
  BarRow,
  CalendarBodies,
  LatestQuotes,
  TradePage,
  TradeRow,
} from "./messages.ts"
import { type Keys, type Refused, type Rest, venueError } from "./rest.ts"
import { instrumentId, isPair, symbolMap, symbolOf, VENUE } from "./symbols.ts"

/** Which trades of shares are seen: one exchange's, all exchanges', or a made-up share's. */
export type Feed = "iex" | "sip" | "test"

export interface MarketDataOptions {
  /** `wss://stream.data.alpaca.markets`, or any other host. */
  readonly streamUrl: string
  readonly feed: Feed
  readonly rest: Rest
  readonly keys: Keys
  readonly policy: LivenessPolicy
  readonly traffic: Traffic
  /** For every answer until the subscription stands. */
  readonly subscribeTimeoutMs: number
}

export function makeMarketData(options: MarketDataOptions): MarketData {
  const { rest } = options
  // The made-up share has no history of its own.
  const feed = options.feed === "sip" ? "sip" : "iex"
  return {
    venue: VENUE,
    tradeIds: "opaque",
    instruments: instrumentsOf(rest),
    stream: (instruments, sink) => {
      const [pairs, shares] = [instruments.filter(isPair), instruments.filter((id) => !isPair(id))]
      const streams = [
        ...shares.length === 0
          ? []
          : [streamOf(options, sharesEndpoint(options.feed), shares, sink)],
        ...pairs.length === 0 ? [] : [streamOf(options, cryptoEndpoint, pairs, sink)],
      ]
      const reason = new Faulty({ detail: "there is nothing to subscribe to" })
      return streams.reduce(
        (all, stream) => Effect.raceFirst(all, stream),
        streams.length === 0
          ? Effect.fail(new VenueError({ venue: VENUE, doing: "market stream", reason }))
          : Effect.never,
      )
    },
    quotes: quotesOf(rest, feed),
    bars: barsOf(rest, feed),
    tradesAfter: tradesOf(rest, feed),
    calendar: calendarOf(rest),
  }
}

// Streams

interface Endpoint {
  readonly doing: string
  readonly path: string
  /** Beside trades and quotes: halts and price bands, which crypto does not have. */
  readonly hasStatuses: boolean
}

const cryptoEndpoint: Endpoint = {
  doing: "crypto stream",
  path: "/v1beta3/crypto/us",
  hasStatuses: false,
}

function sharesEndpoint(feed: Feed): Endpoint {
  return { doing: `${feed} stream`, path: `/v2/${feed}`, hasStatuses: true }
}

/** One subscription that the venue takes or refuses as a whole. */
interface Wish {
  readonly what: "prices" | "statuses" | "both"
  readonly instruments: ReadonlyArray<InstrumentId>
}

const streamOf = Effect.fn("alpaca.stream")(
  function* (
    { streamUrl, keys, policy, traffic, subscribeTimeoutMs }: MarketDataOptions,
    { doing, path, hasStatuses }: Endpoint,
    instruments: ReadonlyArray<InstrumentId>,
    sink: MarketDataSink,
  ): Effect.fn.Return<never, VenueError, never> {
    const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })
    const symbols = symbolMap(instruments)
    return yield* Effect.scoped(Effect.gen(function* () {
      const connection = yield* openConnection({
        venue: VENUE,
        doing,
        url: `${streamUrl}${path}`,
        policy,
        traffic,
        awaitsClose: true,
      })
      const subscribing = new Subscribing(instruments, hasStatuses, sink)
      const overdue = failed(new Silent({ what: "data", afterMs: subscribeTimeoutMs }))
      const frames = Effect.suspend(() =>
        subscribing.isDone ? connection.pull : Effect.timeoutOrElse(connection.pull, {
          duration: subscribeTimeoutMs,
          orElse: () => Effect.fail(overdue),
        })
      )
      const outbox: Array<unknown> = []
      /** Hands one message on; what ends the connection, if it does. */
      const taken = (decoded: Decoded, frame: string): VenueFailure | undefined => {
        switch (decoded._tag) {
          case "Trade":
          case "Quote":
          case "Status":
          case "PriceBand":
          case "TradeCorrection":
          case "TradeCancel":
            return sink.event(decoded) ? undefined : new Overrun({ waiting: 0 })
          case "Undecoded":
            sink.undecoded(frame, decoded.reason)
            return undefined
          case "Connected":
            outbox.push({
              action: "auth",
              key: Redacted.value(keys.key),
              secret: Redacted.value(keys.secret),
            })
            return undefined
          case "Authenticated":
          case "Subscribed": {
            const next = subscribing.next()
            if (next !== undefined) outbox.push(next)
            return undefined
          }
          case "Refusal": {
            if (!subscribing.refuses(decoded, frame)) return refusalFailure(decoded)
            const next = subscribing.next()
            if (next !== undefined) outbox.push(next)
            return undefined
          }
          case "Unauthorized":
            return new Forbidden({ detail: decoded.reason })
          case "Aside":
          case "Bar":
          case "Ignored":
          case "Listening":
            return undefined
        }
      }
      return yield* forever(Effect.flatMap(frames, (batch) => {
        for (const frame of batch) {
          for (const decoded of decodeMarketFrame(frame, symbols)) {
            const failure = taken(decoded, frame)
            if (failure !== undefined) return Effect.fail(failed(failure))
          }
        }
        const messages = outbox.splice(0).map((message) => JSON.stringify(message))
        return Effect.forEach(messages, connection.send, { discard: true })
      }))
    }))
  },
)

/**
 * Asks for everything at once, and where the plan does not allow that, for one instrument after the
 * other until it is full: an error does not say which symbol it is about.
 */
class Subscribing {
  #wishes: Array<Wish>
  #asked: Wish | undefined
  #started = false

  constructor(
    private readonly instruments: ReadonlyArray<InstrumentId>,
    private readonly hasStatuses: boolean,
    private readonly sink: MarketDataSink,
  ) {
    this.#wishes = [{ what: hasStatuses ? "both" : "prices", instruments }]
  }

  /** Nothing is left to ask, and the last question has been answered. */
  get isDone(): boolean {
    return this.#started && this.#asked === undefined && this.#wishes.length === 0
  }

  /** What to send now. */
  next(): Readonly<Record<string, unknown>> | undefined {
    this.#started = true
    this.#asked = this.#wishes.shift()
    if (this.#asked === undefined) return undefined
    const { what, instruments } = this.#asked
    const names = instruments.map(symbolOf)
    return {
      action: "subscribe",
      ...what !== "statuses" && { trades: names, quotes: names },
      ...what !== "prices" && { statuses: names, lulds: names },
    }
  }

  /** Whether the refusal is about a subscription, and is dealt with. */
  refuses({ code, reason }: Extract<Control, { _tag: "Refusal" }>, frame: string): boolean {
    const asked = this.#asked
    if (asked === undefined || !planCodes.has(code)) return false
    const isFirst = asked.instruments === this.instruments && asked.what !== "statuses"
    if (isFirst && (this.hasStatuses || this.instruments.length > 1)) {
      this.#wishes = [
        ...this.instruments.map((id): Wish => ({ what: "prices", instruments: [id] })),
        ...this.hasStatuses ? [{ what: "statuses", instruments: this.instruments } as const] : [],
      ]
      return true
    }
    if (asked.what === "statuses") {
      this.#refused(asked.instruments, "statuses", reason, frame)
      return true
    }
    // Full: the rest would be refused like this one.
    const rest = this.#wishes.filter(({ what }) => what === "prices")
    const left = [asked, ...rest].flatMap(({ instruments }) => instruments)
    this.#wishes = this.#wishes.filter(({ what }) => what !== "prices").map((wish) => ({
      ...wish,
      instruments: wish.instruments.filter((id) => !left.includes(id)),
    })).filter(({ instruments }) => instruments.length > 0)
    this.#refused(left, "prices", reason, frame)
    return true
  }

  #refused(
    instruments: ReadonlyArray<InstrumentId>,
    what: "prices" | "statuses",
    reason: string,
    frame: string,
  ) {
    if (this.sink.refused !== undefined) return this.sink.refused(instruments, what, reason)
    this.sink.undecoded(frame, `no ${what} of ${instruments.join(", ")}: ${reason}`)
  }
}

/** More symbols than the plan has, data that it has not, a channel that the feed has not. */
const planCodes: ReadonlySet<number> = new Set([405, 409, 410])

/** What the error of a stream means for whoever wants to try again. */
export function refusalFailure({ code, reason }: { code: number; reason: string }): VenueFailure {
  switch (code) {
    case 401:
    case 402:
    case 403:
    case 408:
    case 409:
      return new Forbidden({ detail: reason })
    case 406:
      return new SlotBusy({ detail: reason })
    // Told that we are too slow.
    case 407:
      return new Overrun({ waiting: 0 })
    default:
      return new Faulty({ detail: reason })
  }
}

// Instruments

/**
 * Finer quantities are taken, but their cost is finer than what the venue keeps of a dollar: it
 * rounds, by a rule that nobody knows, and the books would never agree again.
 */
const LOT_MIN = decimal("0.000001")
const WHOLE_SHARE = decimal("1")
const CENT = decimal("0.01")
const SUB_DOLLAR = { price: decimal("1"), tickSize: decimal("0.0001") }
/** Of an order that is not whole shares. */
const FRACTION_NOTIONAL_MIN = decimal("1")
const QUANTITY_UNLIMITED = decimal("99999999999999999999")
const ASSETS_AT_ONCE = 4

function instrumentsOf(rest: Rest): MarketData["instruments"] {
  const share = (id: InstrumentId) =>
    rest.trading(
      "reconcile",
      AssetBody,
      ({ assets }, init) =>
        assets.getV2AssetsSymbolOrAssetIdRaw({ symbolOrAssetId: symbolOf(id) }, init),
    ).pipe(
      Effect.map((asset) => [asset]),
      Effect.catchTag(
        "Refused",
        (refused) => refused.status === 404 ? Effect.succeed([]) : Effect.fail(refused),
      ),
    )
  // All pairs are one short list; all shares would be megabytes.
  const pairs = rest.trading(
    "reconcile",
    AssetBodies,
    ({ assets }, init) => assets.getV2AssetsRaw({ assetClass: "crypto" }, init),
  )
  return (ids) =>
    Effect.all([
      Effect.forEach(ids.filter((id) => !isPair(id)), share, { concurrency: ASSETS_AT_ONCE }),
      ids.some(isPair) ? pairs : Effect.succeed([]),
    ]).pipe(
      Effect.flatMap(([shares, crypto]): Effect.Effect<ReadonlyArray<Instrument>, Faulty> => {
        const known = [...shares.flat(), ...crypto].map(instrument)
          .filter(({ id }) => ids.includes(id))
        const missing = ids.find((id) => known.every((each) => each.id !== id))
        return missing === undefined
          ? Effect.succeed(known)
          : Effect.fail(new Faulty({ detail: `no trading rules for ${missing}` }))
      }),
      Effect.mapError(venueError("GET /v2/assets")),
    )
}

function instrument(asset: typeof AssetBody.Type): Instrument {
  const isCrypto = asset.class === "crypto"
  const [base, quote = "USD"] = isCrypto ? asset.symbol.split("/") : [asset.symbol]
  const isFractional = isCrypto || asset.fractionable === true
  const step = asset.min_trade_increment
  const lotSize = !isFractional ? WHOLE_SHARE : step ? larger(step, LOT_MIN) : LOT_MIN
  const tick = asset.price_increment
  return {
    id: instrumentId(asset.symbol),
    venue: VENUE,
    assetClass: isCrypto ? "crypto" : "us_equity",
    symbol: asset.symbol,
    base: base!,
    quote,
    tickSize: isCrypto && tick && isPositive(tick) ? tick : CENT,
    ...!isCrypto && { tickBelow: SUB_DOLLAR },
    lotSize,
    quantityMin: asset.min_order_size ? larger(asset.min_order_size, lotSize) : lotSize,
    quantityMax: QUANTITY_UNLIMITED,
    notionalMin: !isCrypto && isFractional ? FRACTION_NOTIONAL_MIN : zero,
    status: asset.status === "active" && asset.tradable ? "trading" : "closed",
  }
}

// Prices and history

type RestFeed = "iex" | "sip"

function quotesOf(rest: Rest, feed: RestFeed): MarketData["quotes"] {
  return (instruments) => {
    const idOf = symbolMap(instruments)
    const [pairs, shares] = [instruments.filter(isPair), instruments.filter((id) => !isPair(id))]
    const none = Effect.succeed({ quotes: {} })
    return Effect.all([
      shares.length === 0
        ? none
        : rest.data(LatestQuotes, ({ stocks }, init) =>
          stocks.stockLatestQuotesRaw({ symbols: shares.map(symbolOf).join(), feed }, init)),
      pairs.length === 0
        ? none
        : rest.data(LatestQuotes, ({ crypto }, init) =>
          crypto.cryptoLatestQuotesRaw({ loc: "us", symbols: pairs.map(symbolOf).join() }, init)),
    ], { concurrency: "unbounded" }).pipe(
      Effect.map((answers) =>
        answers.flatMap(({ quotes }) =>
          Object.entries(quotes).flatMap(([symbol, row]) => {
            const id = idOf(symbol)
            const quote = id === undefined ? undefined : quoteOf(row, id)
            return quote === undefined ? [] : [quote]
          })
        )
      ),
      Effect.mapError(venueError("GET latest quotes")),
    )
  }
}

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const ROWS_PER_PAGE = 10_000
/** What one question for history may cost. */
const PAGES_MAX = 10
/** Markets are closed most of the week: that much further back than the bars would take. */
const SPAN_FACTOR = 8
const SPAN_MIN_MS = 7 * 86_400_000

interface Span {
  readonly start: Date
  readonly end: Date
  readonly sort: "asc" | "desc"
  readonly limit: number
}

interface Page {
  readonly rows: ReadonlyArray<unknown>
  readonly next: string | undefined
}

function barsOf(rest: Rest, feed: RestFeed): MarketData["bars"] {
  return (id, intervalMs, until, limit) => {
    const ending = until - until % intervalMs
    const spanMs = Math.max(limit * intervalMs * SPAN_FACTOR, SPAN_MIN_MS)
    const span: Omit<Span, "limit"> = {
      start: new Date(Math.max(0, ending - spanMs)),
      // Inclusive at the venue.
      end: new Date(ending - 1),
      sort: "desc",
    }
    const unit = [HOUR_MS, MINUTE_MS].find((each) => intervalMs % each === 0)
    if (unit === undefined) {
      return tradeBars(rest, feed, id, intervalMs, span, limit).pipe(
        Effect.mapError(venueError("GET trades")),
      )
    }
    const factor = intervalMs / unit
    const asked = Math.min(ROWS_PER_PAGE, (limit + 1) * factor)
    return backwards(
      (token) => barPage(rest, feed, id, unit, { ...span, limit: asked }, token),
      BarRow,
      (row) => Math.floor(row.t / intervalMs),
      limit,
    ).pipe(
      Effect.map(({ rows, isCut }) => {
        const bars = rows.filter(({ n }) => n !== 0).map((row) => barOf(row, id, unit))
        return lastOf(aggregate(bars, intervalMs), limit, isCut)
      }),
      Effect.mapError(venueError("GET bars")),
    )
  }
}

/** The venue's shortest bar is a minute; shorter ones are built as they are live, from trades. */
function tradeBars(
  rest: Rest,
  feed: RestFeed,
  id: InstrumentId,
  intervalMs: number,
  span: Omit<Span, "limit">,
  limit: number,
) {
  return Effect.map(
    backwards(
      (token) => tradePage(rest, feed, id, { ...span, limit: ROWS_PER_PAGE }, token),
      TradeRow,
      (row) => Math.floor(row.t / intervalMs),
      limit,
    ),
    ({ rows }) => {
      const bars: Array<Bar> = []
      let builder = barBuilder(id, intervalMs)
      for (const trade of priced(rows, id)) {
        const [rest, bar] = addTrade(builder, trade)
        builder = rest
        if (bar !== undefined) bars.push(bar)
      }
      const [, last] = closeBar(builder, span.end.getTime() + 1)
      return lastOf(last === undefined ? bars : [...bars, last], limit, false)
    },
  )
}

/** The first bar of a history that was cut may be half a bar. */
function lastOf(bars: ReadonlyArray<Bar>, limit: number, isCut: boolean): ReadonlyArray<Bar> {
  return (isCut ? bars.slice(1) : bars).slice(-limit)
}

function priced(
  rows: ReadonlyArray<typeof TradeRow.Type>,
  id: InstrumentId,
): ReadonlyArray<Trade> {
  return rows.map((row) => tradeOf(row, id)).filter((each) => each._tag === "Trade")
}

/** Newest page first, until `limit` whole buckets are there; the rows come oldest first. */
const backwards = Effect.fnUntraced(function* <A extends { readonly t: number }>(
  page: (token: string | undefined) => Effect.Effect<Page, Refused | VenueFailure>,
  row: Schema.Codec<A, unknown>,
  bucketOf: (row: A) => number,
  limit: number,
) {
  const rows: Array<A> = []
  const buckets = new Set<number>()
  let token: string | undefined
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const { rows: raw, next } = yield* page(token)
    for (const each of yield* decodedRows(row, raw)) {
      rows.push(each)
      buckets.add(bucketOf(each))
    }
    token = next
    if (token === undefined || buckets.size > limit) break
  }
  return { rows: rows.reverse(), isCut: token !== undefined }
})

/** As on the stream, a row that means nothing costs itself alone, and is told. */
const decodedRows = Effect.fnUntraced(function* <A>(
  row: Schema.Codec<A, unknown>,
  raw: ReadonlyArray<unknown>,
) {
  const decode = Schema.decodeUnknownResult(row)
  const results = raw.map((each) => decode(each))
  const bad = results.find(Result.isFailure)
  if (bad !== undefined) {
    const count = results.filter(Result.isFailure).length
    const reason = bad.failure.message.replaceAll(/\s+/g, " ").slice(0, 200)
    yield* Effect.logWarning(`${VENUE}: ${count} of ${raw.length} rows undecoded: ${reason}`)
  }
  return results.flatMap((each) => Result.isSuccess(each) ? [each.success] : [])
})

function barPage(
  rest: Rest,
  feed: RestFeed,
  id: InstrumentId,
  unit: number,
  span: Span,
  token: string | undefined,
): Effect.Effect<Page, Refused | VenueFailure> {
  const symbols = symbolOf(id)
  const timeframe = unit === HOUR_MS ? "1Hour" : "1Min"
  const request = { symbols, timeframe, ...sdkSpan(span, token) }
  const answer = rest.data(
    BarPage,
    ({ stocks, crypto }, init) =>
      isPair(id)
        ? crypto.cryptoBarsRaw({ loc: "us", ...request }, init)
        // Prices before a split, in today's shares: live prices continue them.
        : stocks.stockBarsRaw({ ...request, feed, adjustment: "split" }, init),
  )
  return Effect.map(answer, ({ bars, next_page_token }) => ({
    rows: bars?.[symbols] ?? [],
    next: next_page_token || undefined,
  }))
}

function tradePage(
  rest: Rest,
  feed: RestFeed,
  id: InstrumentId,
  span: Omit<Span, "end"> & { readonly end?: Date },
  token: string | undefined,
): Effect.Effect<Page, Refused | VenueFailure> {
  const symbols = symbolOf(id)
  const request = { symbols, ...sdkSpan(span, token) }
  const answer = rest.data(
    TradePage,
    ({ stocks, crypto }, init) =>
      isPair(id)
        ? crypto.cryptoTradesRaw({ loc: "us", ...request }, init)
        : stocks.stockTradesRaw({ ...request, feed }, init),
  )
  return Effect.map(answer, ({ trades, next_page_token }) => ({
    rows: trades?.[symbols] ?? [],
    next: next_page_token || undefined,
  }))
}

function sdkSpan(
  { sort, ...span }: Omit<Span, "end"> & { readonly end?: Date },
  token: string | undefined,
) {
  const order = sort === "asc" ? marketData.Sort.Asc : marketData.Sort.Desc
  return { ...span, sort: order, ...token !== undefined && { pageToken: token } }
}

const TRADES_MAX = 1_000

function tradesOf(rest: Rest, feed: RestFeed): MarketData["tradesAfter"] {
  return (id, { time }) =>
    tradePage(
      rest,
      feed,
      id,
      { start: new Date(Math.floor(time)), sort: "asc", limit: TRADES_MAX },
      undefined,
    ).pipe(
      Effect.flatMap(({ rows }) => decodedRows(TradeRow, rows)),
      Effect.map((rows) => priced(rows, id)),
      Effect.mapError(venueError("GET trades")),
    )
}

// Calendar

function calendarOf(rest: Rest): NonNullable<MarketData["calendar"]> {
  return (from, to) =>
    rest.trading(
      "reconcile",
      CalendarBodies,
      ({ calendar }, init) =>
        calendar.legacyCalendarRaw({ start: new Date(from), end: new Date(to) }, init),
    ).pipe(
      Effect.flatMap((days) => Effect.forEach(days, tradingDay)),
      Effect.mapError(venueError("GET /v2/calendar")),
    )
}

/** Where the day does not tell its long session, it has the usual one, of `04:00` to `20:00`. */
function tradingDay(
  day: typeof CalendarBodies.Type[number],
): Effect.Effect<TradingDay, Faulty> {
  const [preOpen, open, close, postClose] = [
    minutes(day.session_open ?? "04:00"),
    minutes(day.open),
    minutes(day.close),
    minutes(day.session_close ?? "20:00"),
  ]
  const isDay = preOpen !== undefined && open !== undefined && close !== undefined &&
    postClose !== undefined && preOpen <= open && open < close && close <= postClose
  return isDay
    ? Effect.succeed({ date: day.date, preOpen, open, close, postClose })
    : Effect.fail(new Faulty({ detail: `a trading day that makes no sense: ${day.date}` }))
}

/** Of a time of day, `09:30` or `0930`. */
function minutes(text: string): number | undefined {
  const [, hour, minute] = /^([01]\d|2[0-4]):?([0-5]\d)$/.exec(text) ?? []
  return hour === undefined ? undefined : Number(hour) * 60 + Number(minute)
}
