/** Every decoder of both venues, with messages that it knows. */
import { Result, Schema } from "effect"
import { zero } from "../../domain/decimal.ts"
import * as alpacaDecode from "../../venues/alpaca/decode.ts"
import * as alpaca from "../../venues/alpaca/messages.ts"
import { guessedSymbols as alpacaSymbols } from "../../venues/alpaca/symbols.ts"
import * as binanceDecode from "../../venues/binance/decode.ts"
import * as binance from "../../venues/binance/messages.ts"
import { guessedSymbols as binanceSymbols } from "../../venues/binance/symbols.ts"
import * as alpacaFrames from "../venues/alpaca/frames.ts"
import * as binanceFrames from "../venues/binance/frames.ts"
import type { Rules } from "./truth.ts"

export interface Decoder extends Rules {
  readonly name: string
  readonly seeds: ReadonlyArray<string>
  readonly decode: (text: string) => ReadonlyArray<unknown>
}

const RECEIVED_AT = 0
const fee = () => ({ fee: zero, feeAsset: "USD" })
const texts = (messages: ReadonlyArray<unknown>) => messages.map((one) => JSON.stringify(one))

const recording = new URL("../fixtures/recordings/ABCUSDT-frames.txt", import.meta.url)
const recorded = Deno.readTextFileSync(recording).split("\n").filter((line) => line !== "")
  .map((line) => line.slice(line.indexOf(" ") + 1))

const binanceStreams: ReadonlyArray<Decoder> = [
  {
    name: "Binance market frames",
    seeds: [...recorded, ...texts(binanceFrames.everyFrame)],
    writesTimesAsText: false,
    // What carries no time is dated by the receiver.
    decode: (text) => [undated(binanceDecode.decodeMarketFrame(text, binanceSymbols, RECEIVED_AT))],
  },
  {
    name: "Binance private frames",
    seeds: texts(binanceFrames.everyFrame),
    writesTimesAsText: false,
    decode: (text) => [undated(binanceDecode.decodePrivateFrame(text, binanceSymbols))],
  },
]

const alpacaStreams: ReadonlyArray<Decoder> = [
  {
    name: "Alpaca market frames",
    seeds: [
      ...alpacaFrames.marketMessages.map((one) => JSON.stringify([one])),
      JSON.stringify(alpacaFrames.marketMessages),
    ],
    writesTimesAsText: true,
    decode: (text) => alpacaDecode.decodeMarketFrame(text, alpacaSymbols),
  },
  {
    name: "Alpaca trading frames",
    seeds: texts([
      ...[alpacaFrames.fill, alpacaFrames.accepted, alpacaFrames.authorized],
      ...[alpacaFrames.listening, ...alpacaFrames.marketMessages],
    ]),
    writesTimesAsText: true,
    decode: (text) => alpacaDecode.decodePrivateFrame(text, alpacaSymbols, fee),
  },
]

/** A body as the adapter reads it. */
function body<A>(
  name: string,
  schema: Schema.Codec<A, unknown>,
  parse: (text: string) => unknown,
  writesTimesAsText: boolean,
  seed: unknown,
): Decoder {
  const decode = Schema.decodeUnknownResult(schema)
  return {
    name,
    seeds: [JSON.stringify(seed)],
    writesTimesAsText,
    decode: (text) => {
      let parsed: unknown
      try {
        parsed = parse(text)
      } catch {
        return []
      }
      return Result.match(decode(parsed), { onFailure: () => [], onSuccess: (value) => [value] })
    },
  }
}

const ofBinance = <A>(name: string, schema: Schema.Codec<A, unknown>, seed: unknown) =>
  body(`Binance ${name}`, schema, binance.parseWithIds, false, seed)
const ofAlpaca = <A>(name: string, schema: Schema.Codec<A, unknown>, seed: unknown) =>
  body(`Alpaca ${name}`, schema, alpaca.parseExact, true, seed)

/** What comes after the number of trades is neither read nor checked. */
function klinesRead(decoder: Decoder): Decoder {
  const read = (rows: unknown) =>
    Array.isArray(rows) ? rows.map((row: ReadonlyArray<unknown>) => row.slice(0, 9)) : []
  return { ...decoder, decode: (text) => decoder.decode(text).map(read) }
}

const filters = [
  { filterType: "PRICE_FILTER", minPrice: "0.01", maxPrice: "1000000.00", tickSize: "0.01" },
  { filterType: "LOT_SIZE", minQty: "0.00001", maxQty: "9000", stepSize: "0.00001" },
  { filterType: "NOTIONAL", minNotional: "5.00", applyMinToMarket: true },
]
const binanceOrder = {
  ...{ symbol: "BTCUSDT", orderId: 28, orderListId: -1, clientOrderId: "keel-1" },
  ...{ price: "37000.01", origQty: "1.00000000", executedQty: "0.25000000", status: "CANCELED" },
  ...{ timeInForce: "GTC", type: "LIMIT", side: "BUY", updateTime: 1_700_000_000_000 },
}
const binanceBodies: ReadonlyArray<Decoder> = [
  ofBinance("time", binance.ServerTime, { serverTime: 1_700_000_000_000 }),
  ofBinance("exchangeInfo", binance.ExchangeInfo, {
    symbols: [{
      symbol: "BTCUSDT",
      status: "TRADING",
      baseAsset: "BTC",
      quoteAsset: "USDT",
      filters,
    }],
  }),
  ofBinance("bookTicker", binance.BookTickers, [
    { symbol: "BTCUSDT", bidPrice: "37000.01", bidQty: "1.5", askPrice: "37000.02", askQty: "2" },
  ]),
  klinesRead(ofBinance("klines", binance.Klines, [
    [
      ...[1_700_000_000_000, "1.10", "1.25", "1.05", "1.20", "148976.11427815", 1_700_000_059_999],
      ...["2434.19055334", 308, "1756.87402397", "28.46694368", "0"],
    ],
  ])),
  ofBinance("historicalTrades", binance.HistoricalTrades, [
    { id: 28457, price: "4.00000100", qty: "12.0", time: 1_700_000_000_000, isBuyerMaker: true },
  ]),
  ofBinance("account", binance.AccountInformation, {
    canTrade: true,
    balances: [{ asset: "BTC", free: "4723846.89208129", locked: "0.00000000" }],
  }),
  { ...ofBinance("order", binance.OrderInformation, binanceOrder), isOfOrders: true },
  { ...ofBinance("openOrders", binance.OrderInformations, [binanceOrder]), isOfOrders: true },
  ofBinance("myTrades", binance.MyTrades, [{
    ...{ symbol: "BTCUSDT", id: 28457, orderId: 100234, price: "4.00000100", qty: "12.00000000" },
    ...{ commission: "10.10000000", commissionAsset: "BNB", time: 1_700_000_000_000 },
    ...{ isBuyer: true, isMaker: false, isBestMatch: true },
  }]),
  ofBinance("depth", binance.DepthSnapshot, binanceFrames.snapshot),
  ofBinance("error", binance.ErrorBody, { code: -1121, msg: "Invalid symbol." }),
]

const { T: _trade, S: _of, ...tradeRow } = alpacaFrames.trade
const { T: _bar, S: _for, ...barRow } = alpacaFrames.bar
const { T: _quote, S: _by, ...quoteRow } = alpacaFrames.quote
const alpacaBodies: ReadonlyArray<Decoder> = [
  ofAlpaca("quotes", alpaca.LatestQuotes, { quotes: { AAPL: quoteRow } }),
  ofAlpaca("trade", alpaca.TradeRow, tradeRow),
  ofAlpaca("bar", alpaca.BarRow, barRow),
  ofAlpaca("clock", alpaca.ClockBody, { timestamp: "2026-11-23T10:30:00.5-05:00", is_open: true }),
  ofAlpaca("account", alpaca.AccountBody, {
    ...{ status: "ACTIVE", currency: "USD", cash: "-23140.2", account_blocked: false },
    ...{ trading_blocked: false, trade_suspended_by_user: false },
  }),
  ofAlpaca("positions", alpaca.PositionBodies, [
    { symbol: "AAPL", asset_class: "us_equity", qty: "-5", qty_available: "-4.5" },
  ]),
  ofAlpaca("assets", alpaca.AssetBodies, [{
    ...{ class: "crypto", symbol: "BTC/USD", status: "active", tradable: true, fractionable: true },
    ...{ min_order_size: "0.0001", min_trade_increment: "0.0001", price_increment: "1" },
  }]),
  ofAlpaca("orders", alpaca.OrderBodies, [alpacaFrames.order]),
  ofAlpaca("fills", alpaca.FillBodies, [{
    ...{ id: "20261123::1", transaction_time: "2026-11-23T15:30:00Z", price: "230.15", qty: "4" },
    ...{ cum_qty: "4", side: "buy", symbol: "AAPL", order_id: "8b21a4a6", previous_id: null },
  }]),
  ofAlpaca("error", alpaca.ErrorBody, { code: 40310000, message: "insufficient buying power" }),
]

export const decoders: ReadonlyArray<Decoder> = [
  ...binanceStreams,
  ...alpacaStreams,
  ...binanceBodies,
  ...alpacaBodies,
]

function undated<A extends object>(decoded: A): A {
  return "venueTime" in decoded && decoded.venueTime === false
    ? { ...decoded, time: undefined }
    : decoded
}
