/**
 * Alpaca market data: a stream for shares, a stream for crypto, and REST for what they cannot say.
 *
 * Both streams together are the port's one connection: each must stand, and the end of one ends
 * both.
 */
import { Effect } from "effect"
import type { TradingDay } from "../../domain/calendar.ts"
import { decimal, isPositive, larger, zero } from "../../domain/decimal.ts"
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
import { Faulty, type MarketData, VenueError } from "../market_data.ts"
import type { ConnectionOptions } from "./connection.ts"
import { quoteOf } from "./decode.ts"
import { barsOf, type RestFeed, tradesOf } from "./history.ts"
import { cryptoEndpoint, sharesEndpoint, streamOf } from "./market_stream.ts"
import { AssetBodies, AssetBody, CalendarBodies, LatestQuotes } from "./messages.ts"
import { type Keys, type Rest, venueError } from "./rest.ts"
import { instrumentId, isPair, symbolMap, symbolOf, VENUE } from "./symbols.ts"

/** Which trades of shares are seen: one exchange's, all exchanges', or a made-up share's. */
export type Feed = "iex" | "sip" | "test"

export interface MarketDataOptions extends ConnectionOptions {
  /** `wss://stream.data.alpaca.markets`, or any other host. */
  readonly streamUrl: string
  readonly feed: Feed
  readonly rest: Rest
  readonly keys: Keys
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

/** The venue takes one decimal more; what that would be worth, nobody could sell again. */
const SHARE_FRACTION = decimal("0.00000001")
const WHOLE_SHARE = decimal("1")
const CENT = decimal("0.01")
const SUB_DOLLAR = { price: decimal("1"), tickSize: decimal("0.0001") }
/** Of an order for a fraction of a share or a coin. */
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
  const lotSize = isFractional ? asset.min_trade_increment ?? SHARE_FRACTION : WHOLE_SHARE
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
    notionalMin: isFractional ? FRACTION_NOTIONAL_MIN : zero,
    status: asset.status === "active" && asset.tradable ? "trading" : "closed",
  }
}

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
