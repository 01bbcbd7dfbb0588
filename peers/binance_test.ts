/**
 * The `binance` package, REST, streams and WS-API, trades at the simulated Binance as it comes.
 */
import assert from "node:assert/strict"
import {
  DefaultLogger,
  MainClient,
  type OrderResponseFull,
  WebsocketAPIClient,
  WebsocketClient,
} from "binance"
import { type BinanceAddress, farBelow, Heard, peerTest, within } from "./venue.ts"

const symbol = "BTCUSDT"
const ANSWER_MS = 10_000
const quiet = { ...DefaultLogger, trace() {}, info() {}, error() {} }

// It names the time of its own host, whatever it is told: its clock is set by hand.
const restClient = ({ rest, key, secret }: BinanceAddress) =>
  new MainClient(
    { api_key: key, api_secret: secret, baseUrl: rest, disableTimeSync: true },
    { timeout: 5_000 },
  )

const apiClient = ({ ws, key, secret }: BinanceAddress) =>
  new WebsocketAPIClient({
    ...{ api_key: key, api_secret: secret, wsUrl: ws },
    ...{ attachEventListeners: false, muteLatencyWarning: true },
  }, quiet)

interface Message {
  readonly e?: string
  readonly s?: string
  readonly X?: string
  readonly x?: string
  readonly c?: string
  readonly C?: string
  readonly streamName?: string
}

function heardFrom(client: WebsocketClient): Heard<Message> {
  const heard = new Heard<Message>()
  client.on("message", (message) => heard.push(message as unknown as Message))
  client.on("exception", () => {})
  return heard
}

/** As the package throws it. */
const refusedWith = (code: number, words: RegExp) => (error: unknown): boolean => {
  const { code: given, message } = error as { readonly code: number; readonly message: string }
  assert.equal(given, code, message)
  assert.match(message, words)
  return true
}

peerTest("the binance package trades at the simulated Binance", async ({ binance }, step) => {
  const client = restClient(binance)
  const streams = new WebsocketClient({ wsUrl: binance.ws, beautify: false }, quiet)
  const api = apiClient(binance)
  const market = heardFrom(streams)
  const account = heardFrom(api.getWSClient())
  let bid = 0
  await step("markets, with their filters", async () => {
    const { symbols } = await client.getExchangeInfo()
    const names = symbols.map((one) => one.symbol)
    assert.ok(names.includes(symbol) && names.includes("ETHUSDT"))
    const filters = symbols.find((one) => one.symbol === symbol)!.filters
    const types = filters.map(({ filterType }) => filterType)
    for (const type of ["PRICE_FILTER", "LOT_SIZE", "NOTIONAL"] as const) {
      assert.ok(types.includes(type), type)
    }
  })
  await step("clock", async () => {
    const { serverTime } = await client.get("api/v3/time") as { readonly serverTime: number }
    client.setTimeOffset(serverTime - Date.now())
    assert.ok(Math.abs(client.getTimeOffset()) < 2_000)
  })
  await step("prices: quotes, trades and bars", async () => {
    const quote = await client.getSymbolOrderBookTicker({ symbol })
    assert.ok(!Array.isArray(quote))
    bid = Number(quote.bidPrice)
    assert.ok(bid > 0 && bid < Number(quote.askPrice))
    const bars = await client.getKlines({ symbol, interval: "1m", limit: 3 })
    assert.ok(bars.length === 3 && bars.every((bar) => bar.length === 12))
    assert.ok((await client.getRecentTrades({ symbol })).length > 0)
  })
  await step("book", async () => {
    const { lastUpdateId, bids, asks } = await client.getOrderBook({ symbol, limit: 5 })
    assert.ok(lastUpdateId > 0 && bids.length === 5 && asks.length === 5)
  })
  await step("streamed prices: trades, quotes, bars and book changes", async () => {
    const names = ["btcusdt@trade", "btcusdt@bookTicker", "btcusdt@kline_1s", "btcusdt@depth@100ms"]
    await streams.subscribe(names, "main")
    for (const name of names) {
      await within(ANSWER_MS, name, market.first(({ streamName }) => streamName === name))
    }
  })
  await step("a market order, with its fill on the private stream", async () => {
    await api.subscribeUserDataStream("mainWSAPI")
    const order = await client.submitNewOrder({
      ...{ symbol, side: "BUY", type: "MARKET", quantity: 0.01, newOrderRespType: "FULL" },
      newClientOrderId: "x-U5D79M5B-market",
    }) as OrderResponseFull
    assert.deepEqual([order.status, order.executedQty], ["FILLED", "0.01000000"])
    const fills = order.fills.reduce((sum, { qty }) => sum + Number(qty), 0)
    assert.equal(fills, 0.01)
    const isFill = ({ x, X, c }: Message) =>
      x === "TRADE" && X === "FILLED" && c === "x-U5D79M5B-market"
    await within(ANSWER_MS, "the fill", account.first(isFill))
    await within(ANSWER_MS, "balances", account.first(({ e }) => e === "outboundAccountPosition"))
    const trades = await client.getAccountTradeList({ symbol })
    assert.equal(trades.reduce((sum, { qty }) => sum + Number(qty), 0), 0.01)
  })
  await step("a limit order rests, is found, and is canceled", async () => {
    const newClientOrderId = "x-U5D79M5B-limit"
    const order = await client.submitNewOrder({
      ...{ symbol, side: "BUY", type: "LIMIT", timeInForce: "GTC", newClientOrderId },
      ...{ quantity: 0.01, price: farBelow(bid) },
    })
    const found = await client.getOrder({ symbol, origClientOrderId: newClientOrderId })
    assert.deepEqual([found.orderId, found.status], [order.orderId, "NEW"])
    const open = await client.getOpenOrders({ symbol })
    assert.deepEqual(open.map(({ orderId }) => orderId), [order.orderId])
    const canceled = await client.cancelOrder({ symbol, orderId: order.orderId })
    assert.equal(canceled.status, "CANCELED")
    const isCancel = ({ X, C }: Message) => X === "CANCELED" && C === newClientOrderId
    await within(ANSWER_MS, "the cancel", account.first(isCancel))
  })
  await step("the same over the WS-API", async () => {
    const timestamp = Date.now()
    const placed = await api.submitNewSpotOrder({
      ...{ symbol, side: "BUY", type: "LIMIT", timeInForce: "GTC", timestamp },
      ...{ quantity: 0.01, price: farBelow(bid), newClientOrderId: "x-U5D79M5B-ws" },
    })
    const { orderId } = placed.result as { readonly orderId: number }
    const found = await api.getSpotOrderStatus({ symbol, orderId, timestamp: Date.now() })
    assert.equal(found.result.status, "NEW")
    await api.cancelSpotOrder({ symbol, orderId, timestamp: Date.now() })
    const isCancel = ({ X, C }: Message) => X === "CANCELED" && C === "x-U5D79M5B-ws"
    await within(ANSWER_MS, "the cancel", account.first(isCancel))
    assert.deepEqual(await client.getOpenOrders({ symbol }), [])
  })
  await step("a filter violation", () => {
    const tiny = { symbol, side: "BUY", type: "LIMIT", timeInForce: "GTC" } as const
    return assert.rejects(
      client.submitNewOrder({ ...tiny, quantity: 0.000015, price: farBelow(bid) }),
      refusedWith(-1013, /LOT_SIZE/),
    )
  })
  await step("insufficient funds", () =>
    assert.rejects(
      client.submitNewOrder({ symbol, side: "SELL", type: "MARKET", quantity: 5 }),
      refusedWith(-2010, /insufficient balance/),
    ))
  await step("an unknown order", async () => {
    const order = { symbol, orderId: 999_999 }
    await assert.rejects(client.getOrder(order), refusedWith(-2013, /does not exist/))
    await assert.rejects(client.cancelOrder(order), refusedWith(-2011, /Unknown order/))
    await assert.rejects(
      api.getSpotOrderStatus({ ...order, timestamp: Date.now() }),
      ({ error }: { readonly error: { readonly code: number } }) => error.code === -2013,
    )
  })
  streams.closeAll(true)
  api.disconnectAll()
})

peerTest("the binance package is refused as by the real one", async ({ binance }, step) => {
  const refused = async (client: MainClient, code: number, words: RegExp) => {
    await assert.rejects(client.getAccountInformation(), refusedWith(code, words))
  }
  await step(
    "a wrong signature",
    () => refused(restClient({ ...binance, secret: "another" }), -1022, /Signature/),
  )
  await step(
    "a wrong key",
    () => refused(restClient({ ...binance, key: "another" }), -2015, /Invalid API-key/),
  )
  await step("a stale timestamp", () => {
    const client = restClient(binance)
    client.setTimeOffset(-60_000)
    return refused(client, -1021, /outside of the recvWindow/)
  })
  await step("a timestamp from the future", () => {
    const client = restClient(binance)
    client.setTimeOffset(60_000)
    return refused(client, -1021, /ahead of the server/)
  })
  await step("a wrong signature on the private stream", async () => {
    const api = apiClient({ ...binance, secret: "another" })
    const answers = heardFrom(api.getWSClient())
    const subscribed = api.subscribeUserDataStream("mainWSAPI")
    await assert.rejects(
      within(ANSWER_MS, "a refusal", subscribed),
      ({ error }: { readonly error: { readonly code: number } }) => error.code === -1022,
    )
    assert.ok(!answers.all.some(({ e }) => e === "executionReport"))
    api.disconnectAll()
  })
  await step("too many requests, and a ban for who goes on", async () => {
    const client = restClient(binance)
    const ask = async (until: RegExp) => {
      for (let weight = 0; weight < 20_000; weight += 250) {
        try {
          await client.getOrderBook({ symbol, limit: 5_000 })
        } catch (error) {
          if (refusedWith(-1003, /./)(error) && until.test((error as Error).message)) return
        }
      }
      assert.fail("never refused")
    }
    await ask(/Too much request weight/)
    await ask(/IP banned until \d{13}/)
  })
})
