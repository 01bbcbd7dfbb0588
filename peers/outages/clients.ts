/**
 * The stream clients that a trader could have instead, each as its documentation tells to use it.
 *
 * What counts as noticing is generous: any event, rejection or state by which the client lets the
 * program know that prices may be missing. None is patched; all are told is the address.
 */
import { createRequire } from "node:module"
// Only what is imported somewhere can be required below, where the streaming build is.
import "@alpacahq/alpaca-trade-api"
import { DefaultLogger, WebsocketClient } from "binance"
import ccxt from "ccxt"

export interface Session {
  /** When it last let its user know of trouble, by `performance.now()`. */
  readonly noticedAt: () => number | undefined
  /** When its last price or trade came. */
  readonly heardAt: () => number | undefined
  /** The trades of the watched instrument that it has handed out, by venue id. */
  readonly trades: () => ReadonlySet<string>
  readonly close: () => Promise<void> | void
}

export interface StreamClient {
  readonly name: string
  readonly venue: "binance" | "alpaca"
  /** The instrument whose trades are counted, as the venue writes it. */
  readonly watched: "BTCUSDT" | "SPY" | "BTC/USD"
  readonly open: (address: {
    readonly stream: string
    readonly rest: string
    readonly key: string
    readonly secret: string
  }) => Promise<Session>
}

class Notes {
  noticedAt: number | undefined
  heardAt: number | undefined
  readonly trades = new Set<string>()

  notice = () => void (this.noticedAt = performance.now())
  hear = () => void (this.heardAt = performance.now())
  trade = (id: string) => {
    this.hear()
    this.trades.add(id)
  }

  session(close: Session["close"]): Session {
    return {
      noticedAt: () => this.noticedAt,
      heardAt: () => this.heardAt,
      trades: () => this.trades,
      close,
    }
  }
}

const binanceStreams = ["btcusdt", "ethusdt", "solusdt", "bnbusdt"].flatMap((symbol) => [
  `${symbol}@trade`,
  `${symbol}@bookTicker`,
])

export const binanceClient: StreamClient = {
  name: "binance 3.6.5 WebsocketClient",
  venue: "binance",
  watched: "BTCUSDT",
  open: async ({ stream }) => {
    const notes = new Notes()
    const quiet = { ...DefaultLogger, trace() {}, info() {}, error() {} }
    const client = new WebsocketClient({ wsUrl: stream, beautify: false }, quiet)
    client.on("message", (message: unknown) => {
      const data = dataOf(message)
      if (data["e"] === "trade" && data["s"] === "BTCUSDT") notes.trade(String(data["t"]))
      else notes.hear()
    })
    client.on("close", notes.notice)
    client.on("reconnecting", notes.notice)
    client.on("exception", notes.notice)
    await client.subscribe(binanceStreams, "main")
    return notes.session(() => client.closeAll(true))
  },
}

export const ccxtBinance: StreamClient = {
  name: "ccxt 4.5.84 binance",
  venue: "binance",
  watched: "BTCUSDT",
  open: async ({ stream, rest }) => {
    const api = { public: `${rest}/api/v3`, private: `${rest}/api/v3`, v1: `${rest}/api/v1` }
    const exchange = new ccxt.pro.binance({
      urls: { api: { ...api, ws: { spot: `${stream}/ws` } } },
      options: { fetchMarkets: { types: ["spot"] }, fetchCurrencies: false, fetchMargins: false },
      newUpdates: true,
    })
    await exchange.loadMarkets()
    const symbols = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT"]
    return watching(exchange, async () => {
      const trades = await exchange.watchTradesForSymbols(symbols)
      return trades.map(({ id, symbol }) => ({ id: String(id), symbol: String(symbol) }))
    }, "BTC/USDT")
  },
}

export const ccxtAlpaca: StreamClient = {
  name: "ccxt 4.5.84 alpaca",
  venue: "alpaca",
  watched: "BTC/USD",
  open: async ({ stream, rest, key, secret }) => {
    const exchange = new ccxt.pro.alpaca({
      apiKey: key,
      secret,
      urls: {
        api: {
          broker: rest,
          trader: rest,
          market: rest,
          ws: { crypto: `${stream}/v1beta3/crypto/us`, trading: `${stream}/stream` },
        },
      },
      newUpdates: true,
    })
    await exchange.loadMarkets()
    return watching(exchange, async () => {
      const trades = await exchange.watchTrades("BTC/USD")
      return trades.map(({ id, symbol }) => ({ id: String(id), symbol: String(symbol) }))
    }, "BTC/USD")
  },
}

/** ccxt's way: wait for the next, catch, and wait again. */
function watching(
  exchange: { close: () => Promise<unknown> },
  next: () => Promise<ReadonlyArray<{ readonly id: string; readonly symbol: string }>>,
  symbol: string,
): Session {
  const notes = new Notes()
  let isOpen = true
  const watch = async () => {
    while (isOpen) {
      try {
        for (const trade of await next()) {
          if (trade.symbol === symbol) notes.trade(trade.id)
          else notes.hear()
        }
      } catch {
        notes.notice()
        // The least that keeps a program from spinning; ccxt has its own waits inside.
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }
  void watch()
  return notes.session(async () => {
    isOpen = false
    await exchange.close().catch(() => {})
  })
}

/** What the SDK's streaming build hands out; its types are not reachable from this runtime. */
interface AlpacaStream {
  connect: () => void
  disconnect: () => void
  onConnect: (act: () => void) => void
  onDisconnect: (act: () => void) => void
  onError: (act: (error: string) => void) => void
  onReconnecting: (act: (attempt: number) => void) => void
  onTrade: (act: (trade: Readonly<Record<string, unknown>>) => void) => void
  onQuote: (act: () => void) => void
  subscribeForTrades: (symbols: ReadonlyArray<string>) => void
  subscribeForQuotes: (symbols: ReadonlyArray<string>) => void
}

export const alpacaSdk: StreamClient = {
  name: "Alpaca SDK 4.0.2 stockStream",
  venue: "alpaca",
  watched: "SPY",
  open: ({ stream, key, secret }) => {
    const { Alpaca } = createRequire(import.meta.url)("@alpacahq/alpaca-trade-api")
    const notes = new Notes()
    const client = new Alpaca({ keyId: key, secret, paper: true })
    const stocks: AlpacaStream = client.marketData.stockStream({ url: `${stream}/v2/iex` })
    const symbols = ["SPY", "AAPL", "MSFT"]
    stocks.onConnect(() => {
      stocks.subscribeForTrades(symbols)
      stocks.subscribeForQuotes(symbols)
    })
    stocks.onDisconnect(notes.notice)
    stocks.onError(notes.notice)
    stocks.onReconnecting(notes.notice)
    stocks.onQuote(notes.hear)
    stocks.onTrade((trade) => {
      if (trade["symbol"] !== "SPY") return notes.hear()
      notes.trade(`${trade["exchange"]}:${trade["id"]}`)
    })
    stocks.connect()
    return Promise.resolve(notes.session(() => stocks.disconnect()))
  },
}

function dataOf(message: unknown): Readonly<Record<string, unknown>> {
  const outer = record(message)
  return "data" in outer ? record(outer["data"]) : outer
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {}
}
