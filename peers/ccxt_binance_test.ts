/**
 * ccxt trades at the simulated Binance, by REST and by its stream client, as it comes.
 *
 * What it needs to be told is in `configured`: addresses, and that the account has no other markets
 * than spot.
 */
import assert from "node:assert/strict"
import ccxt, { type Order } from "ccxt"
import { type BinanceAddress, farBelow, peerTest, within } from "./venue.ts"

const SYMBOL = "BTC/USDT"
const ANSWER_MS = 10_000

// Refused on a stream, it also rejects a promise of its own that nobody else can wait for.
globalThis.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof ccxt.AuthenticationError) event.preventDefault()
})

function configured(
  { rest, ws, wsApi, key, secret }: BinanceAddress,
  options: Readonly<Record<string, unknown>> = {},
) {
  const api = { public: `${rest}/api/v3`, private: `${rest}/api/v3`, v1: `${rest}/api/v1` }
  return new ccxt.pro.binance({
    apiKey: key,
    secret,
    urls: { api: { ...api, ws: { spot: `${ws}/ws`, "ws-api": { spot: wsApi } } } },
    options: {
      fetchMarkets: { types: ["spot"] },
      fetchCurrencies: false,
      fetchMargins: false,
      ...options,
    },
  })
}

peerTest("ccxt trades at the simulated Binance", async ({ binance }, step) => {
  const exchange = configured(binance)
  let resting: Order | undefined
  let price = 0
  await step("markets, with their grids", async () => {
    await exchange.loadMarkets()
    const { precision, limits, base, quote, active } = exchange.market(SYMBOL)
    assert.deepEqual([base, quote, active], ["BTC", "USDT", true])
    assert.deepEqual([precision.price, precision.amount], [0.01, 0.00001])
    assert.equal(limits.cost?.min, 5)
  })
  await step("clock", async () => {
    const time = await exchange.fetchTime()
    assert.ok(time !== undefined && Math.abs(time - Date.now()) < 2_000)
  })
  await step("prices: ticker, quotes, trades and bars", async () => {
    const { bid, ask, last } = await exchange.fetchTicker(SYMBOL)
    assert.ok(bid! > 0 && bid! < ask! && last! > 0)
    price = bid!
    const quotes = await exchange.fetchBidsAsks([SYMBOL, "ETH/USDT"])
    assert.deepEqual(Object.keys(quotes).toSorted(), [SYMBOL, "ETH/USDT"])
    const trades = await exchange.fetchTrades(SYMBOL, undefined, 5)
    assert.ok(trades.length > 0 && trades.every(({ price, amount }) => price! > 0 && amount! > 0))
    const bars = await exchange.fetchOHLCV(SYMBOL, "1m", undefined, 3)
    assert.equal(bars.length, 3)
    assert.ok(
      bars.every(([, open, high, low, close]) =>
        low! <= Math.min(open!, close!) && high! >= Math.max(open!, close!)
      ),
    )
  })
  await step("book", async () => {
    const { bids, asks, nonce } = await exchange.fetchOrderBook(SYMBOL, 5)
    assert.deepEqual([bids.length, asks.length], [5, 5])
    assert.ok(bids[0]![0]! < asks[0]![0]! && nonce! > 0)
  })
  await step("streamed prices: trades, quotes, bars, ticker and a local book", async () => {
    const [trades, quotes, bars, ticker, book] = await within(
      ANSWER_MS,
      "five streams",
      Promise.all([
        exchange.watchTrades(SYMBOL),
        exchange.watchBidsAsks([SYMBOL]),
        exchange.watchOHLCV(SYMBOL, "1m"),
        exchange.watchTicker(SYMBOL),
        exchange.watchOrderBook(SYMBOL, 10),
      ]),
    )
    assert.ok(trades[0]!.price! > 0)
    assert.ok(quotes[SYMBOL]!.bid! > 0)
    assert.ok(bars.at(-1)![4]! > 0)
    assert.ok(ticker.last! > 0)
    assert.ok(book.bids[0]![0]! < book.asks[0]![0]!)
  })
  await step("a market order, with its fill on the private stream", async () => {
    const heard = exchange.watchOrders(SYMBOL)
    const filled = exchange.watchMyTrades(SYMBOL)
    // Its answer says that it listens before anything can happen to an order.
    await within(ANSWER_MS, "user data", exchange.authenticate({ type: "spot" }))
    const order = await exchange.createOrder(SYMBOL, "market", "buy", 0.01)
    assert.deepEqual([order.status, order.filled], ["closed", 0.01])
    const told = (await within(ANSWER_MS, "the order", heard)).find(({ id }) => id === order.id)
    assert.ok(told !== undefined)
    const fills = await within(ANSWER_MS, "the fill", filled)
    assert.equal(fills.reduce((sum, { amount }) => sum + amount!, 0), 0.01)
    assert.equal(fills[0]!.order, order.id)
    assert.equal(fills[0]!.fee?.currency, "BTC")
    const listed = await exchange.fetchMyTrades(SYMBOL)
    assert.deepEqual(listed.map(({ id }) => id), fills.map(({ id }) => id))
  })
  await step("the account, less what was paid", async () => {
    const balance = await exchange.fetchBalance()
    assert.equal(balance["BTC"]!.free, 0.00999)
    assert.ok(balance["USDT"]!.total! < 100_000)
  })
  await step("a limit order rests, and is found", async () => {
    const order = await exchange.createOrder(SYMBOL, "limit", "buy", 0.01, farBelow(price))
    assert.equal(order.status, "open")
    const found = await exchange.fetchOrder(order.id!, SYMBOL)
    assert.deepEqual([found.id, found.remaining, found.price], [order.id, 0.01, farBelow(price)])
    assert.deepEqual((await exchange.fetchOpenOrders(SYMBOL)).map(({ id }) => id), [order.id])
    resting = order
  })
  await step("cancel, told on the private stream too", async () => {
    const canceled = await exchange.cancelOrder(resting!.id!, SYMBOL)
    assert.equal(canceled.status, "canceled")
    const orders = exchange.orders as unknown as ReadonlyArray<Order>
    const told = async (): Promise<Order> =>
      orders.find(({ id, status }) => id === resting!.id && status === "canceled") ??
        (await exchange.watchOrders(SYMBOL), await told())
    await within(ANSWER_MS, "the cancel", told())
    assert.deepEqual(await exchange.fetchOpenOrders(SYMBOL), [])
  })
  await step("the same over the WS-API: place, query, list, replace, cancel", async () => {
    const order = await exchange.createOrderWs(SYMBOL, "limit", "buy", 0.01, farBelow(price))
    assert.equal(order.status, "open")
    assert.equal((await exchange.fetchOrderWs(order.id!, SYMBOL)).status, "open")
    assert.equal((await exchange.fetchOpenOrdersWs(SYMBOL)).length, 1)
    const edited = await exchange.editOrderWs(
      order.id!,
      SYMBOL,
      "limit",
      "buy",
      0.02,
      farBelow(price),
    )
    assert.deepEqual([edited.amount, edited.id === order.id], [0.02, false])
    await exchange.cancelOrderWs(edited.id!, SYMBOL)
    assert.deepEqual(await exchange.fetchOpenOrders(SYMBOL), [])
    // Of a spot account ccxt makes no balances here; what came is in `info`.
    const { info } = await exchange.fetchBalanceWs()
    const usdt = info.balances.find(({ asset }: { readonly asset: string }) => asset === "USDT")
    assert.equal(Number(usdt.locked), 0)
  })
  await step("replace and cancel everything", async () => {
    const order = await exchange.createOrder(SYMBOL, "limit", "buy", 0.01, farBelow(price))
    const edited = await exchange.editOrder(
      order.id!,
      SYMBOL,
      "limit",
      "buy",
      0.02,
      farBelow(price),
    )
    assert.deepEqual((await exchange.fetchOpenOrders(SYMBOL)).map(({ id }) => id), [edited.id])
    await exchange.cancelAllOrders(SYMBOL)
    assert.deepEqual(await exchange.fetchOpenOrders(SYMBOL), [])
    const states = (await exchange.fetchOrders(SYMBOL)).map(({ status }) => status)
    assert.deepEqual(new Set(states), new Set(["closed", "canceled"]))
  })
  await step("a filter violation", async () => {
    const tiny = exchange.createOrder(SYMBOL, "limit", "buy", 0.00001, farBelow(price))
    await assert.rejects(
      tiny,
      (error) => error instanceof ccxt.BadRequest && /-1013.*NOTIONAL/.test(error.message),
    )
  })
  await step("an unknown order", async () => {
    await assert.rejects(exchange.fetchOrder("999999", SYMBOL), ccxt.OrderNotFound)
    await assert.rejects(exchange.cancelOrder("999999", SYMBOL), ccxt.OrderNotFound)
  })
  await step("insufficient funds", async () => {
    const huge = exchange.createOrder(SYMBOL, "limit", "buy", 5, farBelow(price))
    await assert.rejects(huge, ccxt.InsufficientFunds)
  })
  await exchange.close()
})

peerTest(
  "ccxt is refused by the simulated Binance as by the real one",
  async ({ binance }, step) => {
    const refused = async (exchange: ReturnType<typeof configured>, as: typeof ccxt.BaseError) => {
      await exchange.loadMarkets()
      await assert.rejects(exchange.fetchBalance(), (error) => error instanceof as)
    }
    await step(
      "a wrong signature",
      () => refused(configured({ ...binance, secret: "another" }), ccxt.AuthenticationError),
    )
    await step(
      "a wrong key",
      () => refused(configured({ ...binance, key: "another" }), ccxt.AuthenticationError),
    )
    await step(
      "a stale timestamp",
      () => refused(configured(binance, { timeDifference: 60_000 }), ccxt.InvalidNonce),
    )
    await step(
      "a timestamp from the future",
      () => refused(configured(binance, { timeDifference: -60_000 }), ccxt.InvalidNonce),
    )
    await step("a wrong key on the private stream", async () => {
      const exchange = configured({ ...binance, key: "another" })
      const heard = exchange.watchOrders(SYMBOL)
      await assert.rejects(within(ANSWER_MS, "a refusal", heard), ccxt.AuthenticationError)
      await exchange.close()
    })
    await step("too many requests", async () => {
      const exchange = configured(binance)
      await exchange.loadMarkets()
      // It would wait by itself.
      exchange.enableRateLimit = false
      const tooMany = async () => {
        for (let weight = 0; weight < 20_000; weight += 250) {
          await exchange.fetchOrderBook(SYMBOL, 5_000)
        }
      }
      await assert.rejects(
        tooMany(),
        (error) => error instanceof ccxt.DDoSProtection && /429/.test(error.message),
      )
    })
  },
)
