/**
 * `@binance/spot`, the connector of Binance itself, REST, streams and WS-API, trades at the
 * simulated Binance as it comes.
 */
import assert from "node:assert/strict"
import { Spot, SpotRestAPI, SpotWebsocketAPI } from "@binance/spot"
import { type BinanceAddress, farBelow, Heard, peerTest, within } from "./venue.ts"

const symbol = "BTCUSDT"
const ANSWER_MS = 10_000

function configured({ rest, ws, wsApi, key, secret }: BinanceAddress): Spot {
  const keys = { apiKey: key, apiSecret: secret }
  return new Spot({
    configurationRestAPI: { ...keys, basePath: rest, retries: 0 },
    configurationWebsocketAPI: { ...keys, wsURL: wsApi },
    configurationWebsocketStreams: { wsURL: ws },
  })
}

/** What the connector makes of a refusal. */
const refusedAs = (name: string, code: number) => (error: unknown): boolean => {
  const { name: given, code: number } = error as { readonly name: string; readonly code?: number }
  assert.deepEqual([given, number], [name, code])
  return true
}

interface Report {
  readonly e?: string
  readonly X?: string
  readonly c?: string
  readonly C?: string
}

peerTest("@binance/spot trades at the simulated Binance", async ({ binance }, step) => {
  const spot = configured(binance)
  const { restAPI } = spot
  const api = await spot.websocketAPI.connect()
  const streams = await spot.websocketStreams.connect()
  const account = new Heard<Report>()
  let bid = 0
  await step("markets, with their filters", async () => {
    const { symbols } = await (await restAPI.exchangeInfo({ symbol })).data()
    assert.equal(symbols?.[0]?.status, "TRADING")
    assert.ok((symbols?.[0]?.filters?.length ?? 0) >= 5)
  })
  await step("clock", async () => {
    const { serverTime } = await (await restAPI.time()).data()
    assert.ok(Math.abs(Number(serverTime) - Date.now()) < 2_000)
  })
  await step("prices and book", async () => {
    const { bids, asks } = await (await restAPI.depth({ symbol, limit: 5 })).data()
    bid = Number(bids?.[0]?.[0])
    assert.ok(bid > 0 && bid < Number(asks?.[0]?.[0]))
    const interval = SpotRestAPI.KlinesIntervalEnum.INTERVAL_1m
    assert.equal((await (await restAPI.klines({ symbol, interval, limit: 3 })).data()).length, 3)
    const book = await api.depth({ symbol, limit: 5 })
    assert.equal(book.data.bids?.length, 5)
  })
  await step("streamed prices: trades, quotes and book changes", async () => {
    const heard = new Heard<{ readonly s?: string; readonly e?: string; readonly B?: string }>()
    const subscribed = [
      streams.trade({ symbol: "btcusdt" }),
      streams.bookTicker({ symbol: "btcusdt" }),
      streams.diffBookDepth({ symbol: "btcusdt" }),
    ]
    for (const stream of subscribed) stream.on("message", heard.push)
    await within(ANSWER_MS, "a trade", heard.first(({ e }) => e === "trade"))
    await within(ANSWER_MS, "changes", heard.first(({ e }) => e === "depthUpdate"))
    await within(
      ANSWER_MS,
      "a quote",
      heard.first(({ e, B }) => e === undefined && B !== undefined),
    )
  })
  await step("a market order, with its fill on the private stream", async () => {
    const { stream } = await api.userDataStreamSubscribeSignature()
    stream.on("message", (event) => account.push(event as Report))
    const answer = await restAPI.newOrder({
      symbol,
      side: SpotRestAPI.NewOrderSideEnum.BUY,
      type: SpotRestAPI.NewOrderTypeEnum.MARKET,
      quantity: 0.01,
      newClientOrderId: "market-1",
    })
    assert.equal((await answer.data()).status, "FILLED")
    const isFill = ({ X, c }: Report) => X === "FILLED" && c === "market-1"
    await within(ANSWER_MS, "the fill", account.first(isFill))
    const trades = await (await restAPI.myTrades({ symbol })).data()
    assert.equal(trades.reduce((sum, { qty }) => sum + Number(qty), 0), 0.01)
  })
  await step("a limit order rests, is found, and is canceled", async () => {
    await restAPI.newOrder({
      symbol,
      side: SpotRestAPI.NewOrderSideEnum.BUY,
      type: SpotRestAPI.NewOrderTypeEnum.LIMIT,
      timeInForce: SpotRestAPI.NewOrderTimeInForceEnum.GTC,
      quantity: 0.01,
      price: farBelow(bid),
      newClientOrderId: "limit-1",
    })
    const found = await (await restAPI.getOrder({ symbol, origClientOrderId: "limit-1" })).data()
    assert.equal(found.status, "NEW")
    const canceled = await restAPI.deleteOrder({ symbol, origClientOrderId: "limit-1" })
    assert.equal((await canceled.data()).status, "CANCELED")
    const isCancel = ({ X, C }: Report) => X === "CANCELED" && C === "limit-1"
    await within(ANSWER_MS, "the cancel", account.first(isCancel))
  })
  await step("the same over the WS-API", async () => {
    const placed = await api.orderPlace({
      symbol,
      side: SpotWebsocketAPI.OrderPlaceSideEnum.BUY,
      type: SpotWebsocketAPI.OrderPlaceTypeEnum.LIMIT,
      timeInForce: SpotWebsocketAPI.OrderPlaceTimeInForceEnum.GTC,
      quantity: 0.01,
      price: farBelow(bid),
      newClientOrderId: "limit-2",
    })
    assert.equal(placed.data.status, "NEW")
    const order = { symbol, origClientOrderId: "limit-2" }
    assert.equal((await api.orderStatus(order)).data.status, "NEW")
    assert.equal((await api.orderCancel(order)).data.status, "CANCELED")
    const { balances } = (await api.accountStatus()).data
    assert.equal(balances?.find(({ asset }) => asset === "BTC")?.free, "0.00999000")
  })
  await step("a filter violation, insufficient funds, an unknown order", async () => {
    const order = {
      symbol,
      side: SpotRestAPI.NewOrderSideEnum.BUY,
      type: SpotRestAPI.NewOrderTypeEnum.LIMIT,
      timeInForce: SpotRestAPI.NewOrderTimeInForceEnum.GTC,
      price: farBelow(bid),
    }
    const tiny = restAPI.newOrder({ ...order, quantity: 0.00001 })
    await assert.rejects(tiny, refusedAs("BadRequestError", -1013))
    const huge = restAPI.newOrder({ ...order, quantity: 5 })
    await assert.rejects(huge, refusedAs("BadRequestError", -2010))
    const unknown = restAPI.getOrder({ symbol, orderId: 999_999 })
    await assert.rejects(unknown, refusedAs("BadRequestError", -2013))
  })
  await streams.disconnect()
  await api.disconnect()
})

peerTest("@binance/spot is refused as by the real one", async ({ binance, control }, step) => {
  const refused = (addresses: BinanceAddress, name: string, code: number) =>
    assert.rejects(configured(addresses).restAPI.getAccount(), refusedAs(name, code))
  await step(
    "a wrong signature",
    () => refused({ ...binance, secret: "another" }, "BadRequestError", -1022),
  )
  await step(
    "a wrong key",
    () => refused({ ...binance, key: "another" }, "UnauthorizedError", -2015),
  )
  await step("a stale timestamp", async () => {
    // It takes its time from the machine, so the venue's clock is moved instead.
    const fault = { kind: "clock_skew", ms: 60_000 }
    const armed = await fetch(`${control}/faults`, { method: "POST", body: JSON.stringify(fault) })
    const { id } = await armed.json()
    const isSkewed = async () => {
      const { serverTime } = await (await configured(binance).restAPI.time()).data()
      return Number(serverTime) - Date.now() > 30_000
    }
    while (!await isSkewed()) await new Promise((resolve) => setTimeout(resolve, 20))
    await refused(binance, "BadRequestError", -1021)
    await (await fetch(`${control}/faults/${id}`, { method: "DELETE" })).body?.cancel()
  })
  await step("too many requests", async () => {
    const { restAPI } = configured(binance)
    const tooMany = async () => {
      for (let weight = 0; weight < 20_000; weight += 250) {
        await restAPI.depth({ symbol, limit: 5_000 })
      }
    }
    await assert.rejects(tooMany(), refusedAs("TooManyRequestsError", -1003))
  })
})
