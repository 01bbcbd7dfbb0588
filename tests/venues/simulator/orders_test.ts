import assert from "node:assert/strict"
import { createHmac, generateKeyPairSync } from "node:crypto"
import { WebsocketAPIClient } from "binance"
import type { SimulatedBinance } from "../../../venues/simulator/binance.ts"
import { answer, atoms, Ear, KEY, outcome, restClient, venueTest } from "./simulator.ts"
import { subscribed } from "./user_data.ts"

const limit = {
  symbol: "BTCUSDT",
  side: "BUY",
  type: "LIMIT",
  timeInForce: "GTC",
  price: "50000.00",
  quantity: "0.001",
}
const SILENT = { trace: () => {}, info: () => {}, error: () => {} }

const quote = async (venue: SimulatedBinance) => {
  const { bidPrice, askPrice } = await answer(
    restClient(venue).get("api/v3/ticker/bookTicker", { symbol: "BTCUSDT" }),
  )
  return { bid: Number(bidPrice), ask: Number(askPrice) }
}

venueTest("a stop-loss order waits for its price, works from there and says so", async (venue) => {
  const client = restClient(venue)
  await answer(client.postPrivate("api/v3/order", {
    symbol: "BTCUSDT",
    side: "BUY",
    type: "MARKET",
    quantity: "0.01",
  }))
  const { ear } = await subscribed(venue)
  const { bid } = await quote(venue)
  const stop = {
    symbol: "BTCUSDT",
    side: "SELL",
    type: "STOP_LOSS_LIMIT",
    timeInForce: "GTC",
    quantity: "0.005",
    price: (bid * 0.98).toFixed(2),
    // A hair below the market, which gets there soon.
    stopPrice: (bid * 0.9999).toFixed(2),
  }
  const placed = await answer(client.postPrivate("api/v3/order", stop))
  assert.deepEqual(Object.keys(placed), [
    "symbol",
    "orderId",
    "orderListId",
    "clientOrderId",
    "transactTime",
  ])
  const asleep = (await ear.hears((frame) => frame.event?.i === placed.orderId)).event
  assert.deepEqual([asleep.x, asleep.w, asleep.P, asleep.W], [
    "NEW",
    false,
    Number(stop.stopPrice).toFixed(8),
    undefined,
  ])
  const filled = (await ear.hears((frame) =>
    frame.event?.i === placed.orderId && frame.event.X === "FILLED"
  )).event
  assert.equal(typeof filled.W, "number")
  assert.ok(atoms(filled.L) >= atoms(filled.p))
  await ear.close()
})

venueTest("a stop price on the wrong side of the market is refused", async (venue) => {
  const { ask } = await quote(venue)
  const wrong = await outcome(
    restClient(venue).postPrivate("api/v3/order", {
      ...limit,
      type: "TAKE_PROFIT_LIMIT",
      stopPrice: (ask * 1.01).toFixed(2),
    }),
  )
  assert.deepEqual(wrong.body, { code: -2010, msg: "Stop price would trigger immediately." })
})

venueTest("cancelReplace does both, neither, or one half, and says which", async (venue) => {
  const client = restClient(venue)
  const replace = (fields: object) =>
    outcome(client.postPrivate("api/v3/order/cancelReplace", {
      ...limit,
      cancelReplaceMode: "STOP_ON_FAILURE",
      ...fields,
    }))
  await answer(client.postPrivate("api/v3/order", { ...limit, newClientOrderId: "old" }))
  const both = await replace({
    cancelOrigClientOrderId: "old",
    newClientOrderId: "new",
    price: "50001.00",
  })
  const parts = (body: unknown) =>
    body as {
      cancelResult: string
      newOrderResult: string
      code: number
      data: { cancelResult: string; newOrderResult: string }
    }
  assert.equal(both.status, 200)
  assert.deepEqual([parts(both.body).cancelResult, parts(both.body).newOrderResult], [
    "SUCCESS",
    "SUCCESS",
  ])
  assert.deepEqual(venue.books().openOrders.map((order) => order.clientOrderId), ["new"])

  const neither = await replace({ cancelOrigClientOrderId: "nobody" })
  assert.deepEqual([neither.status, parts(neither.body).code], [400, -2022])
  assert.deepEqual(parts(neither.body).data.newOrderResult, "NOT_ATTEMPTED")

  const onlyNew = await replace({
    cancelOrigClientOrderId: "nobody",
    cancelReplaceMode: "ALLOW_FAILURE",
  })
  assert.deepEqual([onlyNew.status, parts(onlyNew.body).code], [409, -2021])
  assert.deepEqual(
    [parts(onlyNew.body).data.cancelResult, parts(onlyNew.body).data.newOrderResult],
    ["FAILURE", "SUCCESS"],
  )

  const onlyCancel = await replace({ cancelOrigClientOrderId: "new", quantity: "100" })
  assert.deepEqual([onlyCancel.status, parts(onlyCancel.body).code], [409, -2021])
  assert.deepEqual(
    [parts(onlyCancel.body).data.cancelResult, parts(onlyCancel.body).data.newOrderResult],
    ["SUCCESS", "FAILURE"],
  )

  const broken = await replace({ cancelOrigClientOrderId: "new", price: "0.001" })
  assert.deepEqual(broken.body, { code: -1013, msg: "Filter failure: PRICE_FILTER" })
})

venueTest("the official WS-API client places, queries and cancels orders", async (venue) => {
  const api = apiClient(venue, { api_key: KEY, api_secret: venue.secret })
  const placed = await api.submitNewSpotOrder({
    symbol: "BTCUSDT",
    side: "BUY",
    type: "LIMIT",
    timeInForce: "GTC",
    price: "50000.00" as unknown as number,
    quantity: "0.001" as unknown as number,
    newClientOrderId: "x-U5D79M5Bone",
    ...timed(),
  })
  assert.equal(placed.status, 200)
  const found = await api.getSpotOrderStatus({
    symbol: "BTCUSDT",
    origClientOrderId: "x-U5D79M5Bone",
    timestamp: Date.now(),
  })
  assert.equal(found.result.status, "NEW")
  const canceled = await api.cancelSpotOrder({
    symbol: "BTCUSDT",
    origClientOrderId: "x-U5D79M5Bone",
    timestamp: Date.now(),
  })
  assert.equal((canceled.result as unknown as { status: string }).status, "CANCELED")
  await closed(api)
})

const ED25519 = generateKeyPairSync("ed25519", {
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
})

venueTest(
  "with an Ed25519 key the official clients log on and sign, and the secret still works",
  async (venue) => {
    const api = apiClient(venue, { api_key: KEY, api_secret: ED25519.privateKey })
    await api.subscribeUserDataStream("mainWSAPI")
    const placed = await api.submitNewSpotOrder({
      symbol: "ETHUSDT",
      side: "BUY",
      type: "MARKET",
      quantity: "0.1" as unknown as number,
      ...timed(),
    })
    assert.equal(placed.status, 200)
    const status = await api.getSpotSessionStatus("mainWSAPI") as unknown as {
      result: { apiKey: string; authorizedSince: number }
    }
    assert.equal(status.result.apiKey, KEY)
    await closed(api)
    await answer(restClient(venue, { secret: ED25519.privateKey }).getPrivate("api/v3/account"))
    await answer(restClient(venue).getPrivate("api/v3/account"))
  },
  { publicKey: ED25519.publicKey },
)

venueTest(
  "session.logon without an Ed25519 key is refused, and so is what needs a session",
  async (venue) => {
    const ear = await new Ear(venue.endpoints.wsApi).opened()
    ear.say({ id: 1, method: "userDataStream.subscribe" })
    assert.equal((await ear.hears((frame) => frame.id === 1)).status, 401)
    const { serverTime } = await answer(restClient(venue).get("api/v3/time"))
    const payload = `apiKey=${KEY}&timestamp=${serverTime}`
    const signature = createHmac("sha256", venue.secret).update(payload).digest("hex")
    const params = { apiKey: KEY, timestamp: serverTime, signature }
    ear.say({ id: 2, method: "session.logon", params })
    const refused = await ear.hears((frame) => frame.id === 2)
    assert.deepEqual(refused.error, { code: -4056, msg: "HMAC_SHA256 API key is not supported." })
    await ear.close()
  },
)

/** What the client's types leave out and the venue demands. */
const timed = (): object => ({ timestamp: Date.now() })

function apiClient(venue: SimulatedBinance, keys: { api_key: string; api_secret: string }) {
  return new WebsocketAPIClient({
    ...keys,
    wsUrl: venue.endpoints.ws,
    attachEventListeners: false,
    muteLatencyWarning: true,
  }, SILENT)
}

async function closed(api: WebsocketAPIClient) {
  const gone = new Promise((resolve) => api.getWSClient().on("close", resolve))
  await api.disconnectAll()
  await gone
}
