/**
 * The venue's bodies and frames: what it knows, in Binance spot's own shapes.
 *
 * One function per shape, from records to plain objects, nothing decided here.
 * Numbers leave as text with eight decimals; ids and times as JSON integers.
 */
import { type Atoms, formatAtoms, ONE } from "./decimals.ts"
import { FEE_BPS } from "./exchange.ts"
import type { Report } from "./exchange_books.ts"
import { type Interval, INTERVALS_MS, type Kline } from "./klines.ts"
import type { BalanceRecord, FillRecord, OrderRecord } from "./ledger.ts"
import { type Listing, PRICE_BAND_MILLI } from "./listing.ts"
import { type Limits, rateLimitsBody } from "./rate_limits.ts"
import type { Level } from "./shown_book.ts"
import type { Quote, Tape, TapeTrade } from "./tape.ts"

const NOTHING = formatAtoms(0n)
const FEE_RATE = formatAtoms(FEE_BPS * 10_000n)

// Market data

export function tradeFrame(symbol: string, trade: TapeTrade, now: number) {
  return {
    e: "trade",
    E: now,
    s: symbol,
    t: trade.tradeId,
    p: formatAtoms(trade.price),
    q: formatAtoms(trade.size),
    T: trade.time,
    m: trade.buyerIsMaker,
    M: true,
  }
}

export function bookTickerFrame(symbol: string, quote: Quote) {
  return {
    u: quote.updateId,
    s: symbol,
    b: formatAtoms(quote.bid.price),
    B: formatAtoms(quote.bid.size),
    a: formatAtoms(quote.ask.price),
    A: formatAtoms(quote.ask.size),
  }
}

/** Every trade is an aggregate of its own here. */
export function aggTradeFrame(symbol: string, trade: TapeTrade, now: number) {
  return { e: "aggTrade", E: now, s: symbol, ...aggTradeBody(trade) }
}

export function aggTradeBody(trade: TapeTrade) {
  return {
    a: trade.tradeId,
    p: formatAtoms(trade.price),
    q: formatAtoms(trade.size),
    f: trade.tradeId,
    l: trade.tradeId,
    T: trade.time,
    m: trade.buyerIsMaker,
    M: true,
  }
}

export function depthBody(depth: {
  readonly lastUpdateId: number
  readonly bids: ReadonlyArray<Level>
  readonly asks: ReadonlyArray<Level>
}) {
  return {
    lastUpdateId: depth.lastUpdateId,
    bids: depth.bids.map(levelBody),
    asks: depth.asks.map(levelBody),
  }
}

export function miniTickerFrame(symbol: string, tape: Tape, now: number) {
  const day = tape.day(now)
  return {
    e: "24hrMiniTicker",
    E: now,
    s: symbol,
    c: formatAtoms(day.close),
    o: formatAtoms(day.open),
    h: formatAtoms(day.high),
    l: formatAtoms(day.low),
    v: formatAtoms(day.volume),
    q: formatAtoms(day.quoteVolume),
  }
}

export function tickerFrame(symbol: string, tape: Tape, now: number) {
  const body = tickerBody(symbol, tape, now)
  return {
    e: "24hrTicker",
    E: now,
    s: symbol,
    p: body.priceChange,
    P: body.priceChangePercent,
    w: body.weightedAvgPrice,
    x: body.prevClosePrice,
    c: body.lastPrice,
    Q: body.lastQty,
    b: body.bidPrice,
    B: body.bidQty,
    a: body.askPrice,
    A: body.askQty,
    o: body.openPrice,
    h: body.highPrice,
    l: body.lowPrice,
    v: body.volume,
    q: body.quoteVolume,
    O: body.openTime,
    C: body.closeTime,
    F: body.firstId,
    L: body.lastId,
    n: body.count,
  }
}

/** The last 24 hours. */
export function tickerBody(symbol: string, tape: Tape, now: number) {
  const day = tape.day(now)
  const change = day.close - day.open
  const { bidPrice, bidQty, askPrice, askQty } = bookTickerBody(symbol, tape.quote)
  return {
    symbol,
    priceChange: formatAtoms(change),
    priceChangePercent: thousandths(day.open === 0n ? 0n : change * 100_000n / day.open),
    weightedAvgPrice: formatAtoms(
      day.volume === 0n ? day.close : day.quoteVolume * ONE / day.volume,
    ),
    prevClosePrice: formatAtoms(day.open),
    lastPrice: formatAtoms(day.close),
    lastQty: formatAtoms(tape.lastTrade?.size ?? 0n),
    bidPrice,
    bidQty,
    askPrice,
    askQty,
    openPrice: formatAtoms(day.open),
    highPrice: formatAtoms(day.high),
    lowPrice: formatAtoms(day.low),
    volume: formatAtoms(day.volume),
    quoteVolume: formatAtoms(day.quoteVolume),
    openTime: day.openTime,
    closeTime: now,
    firstId: day.firstTradeId,
    lastId: day.lastTradeId,
    count: day.trades,
  }
}

/** Three decimals, as percentages have. */
function thousandths(value: bigint): string {
  const digits = (value < 0n ? -value : value).toString().padStart(4, "0")
  return `${value < 0n ? "-" : ""}${digits.slice(0, -3)}.${digits.slice(-3)}`
}

export function depthFrame(
  symbol: string,
  diff: {
    readonly firstUpdateId: number
    readonly updateId: number
    readonly bids: ReadonlyArray<Level>
    readonly asks: ReadonlyArray<Level>
  },
  now: number,
) {
  return {
    e: "depthUpdate",
    E: now,
    s: symbol,
    U: diff.firstUpdateId,
    u: diff.updateId,
    b: diff.bids.map(levelBody),
    a: diff.asks.map(levelBody),
  }
}

export function klineFrame(
  symbol: string,
  interval: Interval,
  kline: Kline,
  isClosed: boolean,
  now: number,
) {
  return {
    e: "kline",
    E: now,
    s: symbol,
    k: {
      t: kline.openTime,
      T: kline.openTime + INTERVALS_MS[interval] - 1,
      s: symbol,
      i: interval,
      f: kline.firstTradeId,
      L: kline.lastTradeId,
      o: formatAtoms(kline.open),
      c: formatAtoms(kline.close),
      h: formatAtoms(kline.high),
      l: formatAtoms(kline.low),
      v: formatAtoms(kline.volume),
      n: kline.trades,
      x: isClosed,
      q: formatAtoms(kline.quoteVolume),
      V: formatAtoms(kline.takerBase),
      Q: formatAtoms(kline.takerQuote),
      B: "0",
    },
  }
}

export function klineBody(interval: Interval, kline: Kline) {
  return [
    kline.openTime,
    formatAtoms(kline.open),
    formatAtoms(kline.high),
    formatAtoms(kline.low),
    formatAtoms(kline.close),
    formatAtoms(kline.volume),
    kline.openTime + INTERVALS_MS[interval] - 1,
    formatAtoms(kline.quoteVolume),
    kline.trades,
    formatAtoms(kline.takerBase),
    formatAtoms(kline.takerQuote),
    "0",
  ]
}

export function bookTickerBody(symbol: string, quote: Quote | undefined) {
  return {
    symbol,
    bidPrice: quote ? formatAtoms(quote.bid.price) : NOTHING,
    bidQty: quote ? formatAtoms(quote.bid.size) : NOTHING,
    askPrice: quote ? formatAtoms(quote.ask.price) : NOTHING,
    askQty: quote ? formatAtoms(quote.ask.size) : NOTHING,
  }
}

export function priceBody(symbol: string, price: Atoms | undefined) {
  return { symbol, price: formatAtoms(price ?? 0n) }
}

export function publicTradeBody(trade: TapeTrade) {
  return {
    id: trade.tradeId,
    price: formatAtoms(trade.price),
    qty: formatAtoms(trade.size),
    quoteQty: formatAtoms(trade.price * trade.size / 100_000_000n),
    time: trade.time,
    isBuyerMaker: trade.buyerIsMaker,
    isBestMatch: true,
  }
}

export function levelBody(level: Level) {
  return [formatAtoms(level.price), formatAtoms(level.size)]
}

// The venue

export function exchangeInfoBody(
  listings: ReadonlyArray<Listing>,
  limits: Limits,
  now: number,
) {
  return {
    timezone: "UTC",
    serverTime: now,
    rateLimits: rateLimitsBody(limits),
    exchangeFilters: [],
    symbols: listings.map(symbolBody),
  }
}

function symbolBody(listing: Listing) {
  const band = {
    up: String(Number(PRICE_BAND_MILLI.up) / 1_000),
    down: String(Number(PRICE_BAND_MILLI.down) / 1_000),
  }
  return {
    symbol: listing.symbol,
    status: listing.status,
    baseAsset: listing.baseAsset,
    baseAssetPrecision: 8,
    quoteAsset: listing.quoteAsset,
    quotePrecision: 8,
    quoteAssetPrecision: 8,
    baseCommissionPrecision: 8,
    quoteCommissionPrecision: 8,
    orderTypes: ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
    icebergAllowed: false,
    ocoAllowed: false,
    otoAllowed: false,
    opoAllowed: false,
    quoteOrderQtyMarketAllowed: true,
    allowTrailingStop: false,
    cancelReplaceAllowed: true,
    amendAllowed: false,
    pegInstructionsAllowed: false,
    isSpotTradingAllowed: true,
    isMarginTradingAllowed: false,
    filters: [
      {
        filterType: "PRICE_FILTER",
        minPrice: formatAtoms(listing.priceMin),
        maxPrice: formatAtoms(listing.priceMax),
        tickSize: formatAtoms(listing.tickSize),
      },
      {
        filterType: "LOT_SIZE",
        minQty: formatAtoms(listing.quantityMin),
        maxQty: formatAtoms(listing.quantityMax),
        stepSize: formatAtoms(listing.stepSize),
      },
      {
        filterType: "MARKET_LOT_SIZE",
        minQty: NOTHING,
        maxQty: formatAtoms(listing.marketQuantityMax),
        stepSize: NOTHING,
      },
      {
        filterType: "PERCENT_PRICE_BY_SIDE",
        bidMultiplierUp: band.up,
        bidMultiplierDown: band.down,
        askMultiplierUp: band.up,
        askMultiplierDown: band.down,
        avgPriceMins: 5,
      },
      {
        filterType: "NOTIONAL",
        minNotional: formatAtoms(listing.notionalMin),
        applyMinToMarket: true,
        maxNotional: formatAtoms(listing.notionalMax),
        applyMaxToMarket: false,
        avgPriceMins: 5,
      },
      { filterType: "MAX_NUM_ORDERS", maxNumOrders: listing.openOrdersMax },
      { filterType: "MAX_NUM_ALGO_ORDERS", maxNumAlgoOrders: listing.openStopsMax },
    ],
    permissions: [],
    permissionSets: [["SPOT"]],
    defaultSelfTradePreventionMode: "EXPIRE_MAKER",
    allowedSelfTradePreventionModes: ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
  }
}

// Orders

/** The answer to a new order. */
export function placedBody(
  order: OrderRecord,
  fills: ReadonlyArray<FillRecord>,
  detail: "ACK" | "RESULT" | "FULL",
) {
  const ack = {
    symbol: order.symbol,
    orderId: order.orderId,
    orderListId: -1,
    clientOrderId: order.clientOrderId,
    transactTime: order.updateTime,
  }
  if (detail === "ACK") return ack
  const result = {
    ...ack,
    ...amounts(order),
    ...(order.isWorking && { workingTime: order.workingTime }),
    ...expiry(order),
  }
  if (detail === "RESULT") return { ...result, selfTradePreventionMode: order.selfTradePrevention }
  return {
    ...result,
    fills: fills.filter((fill) => fill.orderId === order.orderId).map((fill) => ({
      price: formatAtoms(fill.price),
      qty: formatAtoms(fill.quantity),
      commission: formatAtoms(fill.commission),
      commissionAsset: fill.commissionAsset,
      tradeId: fill.tradeId,
    })),
    selfTradePreventionMode: order.selfTradePrevention,
  }
}

export function canceledBody(order: OrderRecord, cancelId: string) {
  return {
    symbol: order.symbol,
    origClientOrderId: order.clientOrderId,
    orderId: order.orderId,
    orderListId: -1,
    clientOrderId: cancelId,
    transactTime: order.updateTime,
    ...amounts(order),
    selfTradePreventionMode: order.selfTradePrevention,
  }
}

export function orderBody(order: OrderRecord) {
  return {
    symbol: order.symbol,
    orderId: order.orderId,
    orderListId: -1,
    clientOrderId: order.clientOrderId,
    ...amounts(order),
    stopPrice: formatAtoms(order.stopPrice),
    icebergQty: NOTHING,
    time: order.time,
    updateTime: order.updateTime,
    isWorking: order.isWorking,
    workingTime: order.workingTime,
    selfTradePreventionMode: order.selfTradePrevention,
    ...expiry(order),
  }
}
export type OrderBody = ReturnType<typeof orderBody>

function amounts(order: OrderRecord) {
  return {
    price: formatAtoms(order.price),
    origQty: formatAtoms(order.quantity),
    executedQty: formatAtoms(order.executed),
    origQuoteOrderQty: formatAtoms(order.quoteQuantity),
    cummulativeQuoteQty: formatAtoms(order.cumulativeQuote),
    status: order.status,
    timeInForce: order.timeInForce,
    type: order.type,
    side: order.side,
    ...(order.stopPrice > 0n && { stopPrice: formatAtoms(order.stopPrice) }),
  }
}

function expiry(order: OrderRecord) {
  return order.status === "EXPIRED" ? { expiryReason: "INSUFFICIENT_LIQUIDITY" } : {}
}

export function myTradeBody(fill: FillRecord) {
  return {
    symbol: fill.symbol,
    id: fill.tradeId,
    orderId: fill.orderId,
    orderListId: -1,
    price: formatAtoms(fill.price),
    qty: formatAtoms(fill.quantity),
    quoteQty: formatAtoms(fill.quoteQuantity),
    commission: formatAtoms(fill.commission),
    commissionAsset: fill.commissionAsset,
    time: fill.time,
    isBuyer: fill.isBuyer,
    isMaker: fill.isMaker,
    isBestMatch: true,
  }
}
export type MyTradeBody = ReturnType<typeof myTradeBody>

export function accountBody(balances: ReadonlyArray<BalanceRecord>, updateTime: number) {
  return {
    makerCommission: Number(FEE_BPS),
    takerCommission: Number(FEE_BPS),
    buyerCommission: 0,
    sellerCommission: 0,
    commissionRates: { maker: FEE_RATE, taker: FEE_RATE, buyer: NOTHING, seller: NOTHING },
    canTrade: true,
    canWithdraw: false,
    canDeposit: false,
    brokered: false,
    requireSelfTradePrevention: false,
    preventSor: false,
    updateTime,
    accountType: "SPOT",
    balances: balances.map((balance) => ({
      asset: balance.asset,
      free: formatAtoms(balance.free),
      locked: formatAtoms(balance.locked),
    })),
    permissions: ["SPOT"],
    uid: 1,
  }
}

export function commissionBody(symbol: string) {
  const rates = { maker: FEE_RATE, taker: FEE_RATE, buyer: NOTHING, seller: NOTHING }
  const none = { maker: NOTHING, taker: NOTHING, buyer: NOTHING, seller: NOTHING }
  return {
    symbol,
    standardCommission: rates,
    specialCommission: none,
    taxCommission: none,
    discount: {
      enabledForAccount: false,
      enabledForSymbol: false,
      discountAsset: "BNB",
      discount: NOTHING,
    },
  }
}

// User data

export function executionReport(report: Report, now: number) {
  const { order, fill, cancelId } = report
  return {
    e: "executionReport",
    E: now,
    s: order.symbol,
    c: cancelId ?? order.clientOrderId,
    S: order.side,
    o: order.type,
    f: order.timeInForce,
    q: formatAtoms(order.quantity),
    p: formatAtoms(order.price),
    P: formatAtoms(order.stopPrice),
    F: NOTHING,
    g: -1,
    C: cancelId === undefined ? "" : order.clientOrderId,
    x: report.executionType,
    X: order.status,
    r: "NONE",
    i: order.orderId,
    l: formatAtoms(fill?.quantity ?? 0n),
    z: formatAtoms(order.executed),
    L: formatAtoms(fill?.price ?? 0n),
    n: fill ? formatAtoms(fill.commission) : "0",
    N: fill?.commissionAsset ?? null,
    T: report.time,
    t: fill?.tradeId ?? -1,
    I: report.executionId,
    w: order.isWorking && (order.status === "NEW" || order.status === "PARTIALLY_FILLED"),
    m: fill?.isMaker ?? false,
    M: fill !== undefined,
    O: order.time,
    Z: formatAtoms(order.cumulativeQuote),
    Y: formatAtoms(fill?.quoteQuantity ?? 0n),
    Q: formatAtoms(order.quoteQuantity),
    ...(order.isWorking && { W: order.workingTime }),
    V: order.selfTradePrevention,
    ...(order.status === "EXPIRED" && { eR: "INSUFFICIENT_LIQUIDITY" }),
  }
}

export function accountPosition(balances: ReadonlyArray<BalanceRecord>, time: number, now: number) {
  return {
    e: "outboundAccountPosition",
    E: now,
    u: time,
    B: balances.map((balance) => ({
      a: balance.asset,
      f: formatAtoms(balance.free),
      l: formatAtoms(balance.locked),
    })),
  }
}
