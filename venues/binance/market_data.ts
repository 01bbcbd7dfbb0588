/**
 * Binance market data: one combined stream, and REST for what a stream cannot say.
 *
 * Nothing is remembered here: whoever asks says about what. The venue's limits come with its
 * trading rules, and are handed on to the governor.
 */
import { Clock, Effect } from "effect"
import { aggregate } from "../../domain/bars.ts"
import { type Decimal, decimal, isPositive, larger, smaller, zero } from "../../domain/decimal.ts"
import type { Instrument, InstrumentId, InstrumentStatus } from "../../domain/instrument.ts"
import type { Bar, Trade } from "../../domain/market.ts"
import { Faulty, type MarketData } from "../market_data.ts"
import { marketStream, type MarketStreamOptions } from "./market_stream.ts"
import { BookTickers, ExchangeInfo, HistoricalTrades, Klines } from "./messages.ts"
import { applyLimits } from "./request_costs.ts"
import { type Rest, venueError } from "./rest.ts"
import { instrumentId, symbolMap, symbolOf, VENUE } from "./symbols.ts"

const KLINES_MAX = 1_000
const TRADES_MAX = 1_000
const QUANTITY_UNLIMITED = decimal("99999999999999999999")

export type MarketDataOptions = MarketStreamOptions

/** The intervals that the venue itself builds bars for, longest first. */
const nativeIntervals = new Map([
  [86_400_000, "1d"],
  [14_400_000, "4h"],
  [3_600_000, "1h"],
  [1_800_000, "30m"],
  [900_000, "15m"],
  [300_000, "5m"],
  [180_000, "3m"],
  [60_000, "1m"],
  [1_000, "1s"],
])

export function makeMarketData(options: MarketDataOptions): MarketData {
  const { rest } = options
  return {
    venue: VENUE,
    tradeIds: "dense",
    instruments: (ids) =>
      rest.call(
        "GET",
        "api/v3/exchangeInfo",
        {
          symbols: JSON.stringify(ids.map(symbolOf)),
        },
        ExchangeInfo,
        false,
      ).pipe(
        Effect.tap(({ rateLimits }) =>
          Effect.sync(() => applyLimits(rest.governor, rateLimits ?? []))
        ),
        Effect.flatMap(({ symbols }) => {
          const known = symbols.flatMap(instrument)
          const missing = ids.find((id) => known.every((each) => each.id !== id))
          return missing === undefined
            ? Effect.succeed(known)
            : Effect.fail(new Faulty({ detail: `no trading rules for ${missing}` }))
        }),
        Effect.mapError(venueError("GET /api/v3/exchangeInfo")),
      ),
    stream: marketStream(options),
    quotes: quotesOf(rest),
    bars: barsOf(rest),
    tradesAfter: tradesOf(rest),
  }
}

function instrument(info: typeof ExchangeInfo.Type["symbols"][number]): ReadonlyArray<Instrument> {
  const filter = (type: string) => info.filters.find(({ filterType }) => filterType === type)
  const price = filter("PRICE_FILTER")
  const lot = filter("LOT_SIZE")
  const tickSize = enabled(price?.tickSize)
  const lotSize = enabled(lot?.stepSize)
  // Without a grid an order cannot be built: such a symbol is not offered.
  if (!tickSize || !lotSize || !lot?.minQty || !lot.maxQty) return []
  // Market orders have limits of their own beside those of all orders.
  const market = filter("MARKET_LOT_SIZE")
  // Older symbols have MIN_NOTIONAL, newer ones NOTIONAL; some have neither.
  const notional = filter("NOTIONAL") ?? filter("MIN_NOTIONAL")
  return [{
    id: instrumentId(info.baseAsset, info.quoteAsset),
    venue: VENUE,
    assetClass: "crypto",
    symbol: info.symbol,
    base: info.baseAsset,
    quote: info.quoteAsset,
    tickSize,
    lotSize,
    quantityMin: larger(lot.minQty, market?.minQty ?? zero),
    quantityMax: smaller(
      enabled(lot.maxQty) ?? QUANTITY_UNLIMITED,
      enabled(market?.maxQty) ?? QUANTITY_UNLIMITED,
    ),
    notionalMin: notional?.minNotional ?? zero,
    status: statusOf(info.status),
  }]
}

/** A zero switches a rule off. */
function enabled(rule: Decimal | undefined): Decimal | undefined {
  return rule !== undefined && isPositive(rule) ? rule : undefined
}

function statusOf(status: string): InstrumentStatus {
  if (status === "TRADING") return "trading"
  if (status === "CANCEL_ONLY") return "cancel_only"
  return status === "HALT" || status === "BREAK" ? "halted" : "closed"
}

function quotesOf(rest: Rest): MarketData["quotes"] {
  return (instruments) => {
    const symbols = symbolMap(instruments)
    const names = JSON.stringify(instruments.map(symbolOf))
    return Effect.gen(function* () {
      const tickers = yield* rest.call(
        "GET",
        "api/v3/ticker/bookTicker",
        { symbols: names },
        BookTickers,
        false,
      )
      const now = yield* Clock.currentTimeMillis
      return tickers.flatMap((ticker) => {
        const id = symbols(ticker.symbol)
        // A side without orders has the price zero, which is not a price.
        const isPriced = isPositive(ticker.bidPrice) && isPositive(ticker.askPrice)
        return id === undefined || !isPriced ? [] : [{
          _tag: "Quote" as const,
          instrument: id,
          updateId: "0",
          bid: ticker.bidPrice,
          bidSize: ticker.bidQty,
          ask: ticker.askPrice,
          askSize: ticker.askQty,
          time: now,
          venueTime: false,
        }]
      })
    }).pipe(Effect.mapError(venueError("GET /api/v3/ticker/bookTicker")))
  }
}

function barsOf(rest: Rest): MarketData["bars"] {
  return (id, intervalMs, until, limit) => {
    const native = [...nativeIntervals.keys()].find((each) => intervalMs % each === 0) ?? 1_000
    const factor = intervalMs / native
    const ending = until - until % intervalMs
    // Whole bars only: the window starts on a boundary of the wanted interval.
    const wanted = Math.min(limit, Math.floor(KLINES_MAX / factor))
    return rest.call(
      "GET",
      "api/v3/klines",
      {
        symbol: symbolOf(id),
        interval: nativeIntervals.get(native) ?? "1s",
        startTime: Math.max(0, ending - wanted * intervalMs),
        endTime: ending - 1,
        limit: KLINES_MAX,
      },
      Klines,
      false,
    ).pipe(
      Effect.map((rows) =>
        aggregate(
          // Live, a bar without a trade does not exist: nor may it in history.
          rows.filter((row) => row[8] > 0).map((row) => kline(id, native, row)),
          intervalMs,
        )
      ),
      Effect.mapError(venueError("GET /api/v3/klines")),
    )
  }
}

function kline(id: InstrumentId, intervalMs: number, row: typeof Klines.Type[number]): Bar {
  return {
    _tag: "Bar",
    instrument: id,
    intervalMs,
    openTime: row[0],
    open: row[1],
    high: row[2],
    low: row[3],
    close: row[4],
    volume: row[5],
    trades: row[8],
  }
}

function tradesOf(rest: Rest): MarketData["tradesAfter"] {
  return (id, { tradeId }) =>
    rest.call(
      "GET",
      "api/v3/historicalTrades",
      {
        symbol: symbolOf(id),
        fromId: String(BigInt(tradeId) + 1n),
        limit: TRADES_MAX,
      },
      HistoricalTrades,
      false,
    ).pipe(
      Effect.map((trades) =>
        trades.map((each): Trade => ({
          _tag: "Trade",
          instrument: id,
          tradeId: String(each.id),
          price: each.price,
          size: each.qty,
          side: each.isBuyerMaker ? "sell" : "buy",
          time: each.time,
        }))
      ),
      Effect.mapError(venueError("GET /api/v3/historicalTrades")),
    )
}
