import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import type { SimulatedBinance } from "../../../venues/simulator/binance.ts"
import { answer, atoms, KEY, outcome, restClient, SECRET, venueTest } from "./simulator.ts"

/** A signed request made by hand, for what the official client cannot be made to send. */
async function signed(
  venue: SimulatedBinance,
  method: string,
  path: string,
  form: string,
  options: {
    readonly key?: string | null
    readonly inBody?: boolean
    readonly timestamp?: number
  } = {},
) {
  const { serverTime } = await (await fetch(`${venue.endpoints.rest}/api/v3/time`)).json()
  const payload = [form, `timestamp=${options.timestamp ?? serverTime}`].filter(Boolean).join("&")
  const signature = createHmac("sha256", SECRET).update(payload).digest("hex")
  const full = `${payload}&signature=${signature}`
  const key = options.key === undefined ? KEY : options.key
  const response = await fetch(
    `${venue.endpoints.rest}${path}${options.inBody ? "" : `?${full}`}`,
    {
      method,
      headers: {
        ...(key !== null && { "x-mbx-apikey": key }),
        ...(options.inBody && { "content-type": "application/x-www-form-urlencoded" }),
      },
      ...(options.inBody && { body: full }),
    },
  )
  return { status: response.status, headers: response.headers, body: await response.json() }
}

const market = (side: string, quantity: string) => ({
  symbol: "BTCUSDT",
  side,
  type: "MARKET",
  quantity,
})

venueTest(
  "the official REST client reads the venue's clock, rules, klines, quotes and trades",
  async (venue) => {
    const client = restClient(venue)
    const { serverTime } = await answer(client.get("api/v3/time"))
    assert.ok(Number.isSafeInteger(serverTime))
    const info = await answer(client.get("api/v3/exchangeInfo"))
    assert.deepEqual(
      info.symbols.map((one: { symbol: string }) => one.symbol),
      ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT"],
    )
    const filters = info.symbols[0].filters.map((one: { filterType: string }) => one.filterType)
    assert.ok(
      ["PRICE_FILTER", "LOT_SIZE", "NOTIONAL", "PERCENT_PRICE_BY_SIDE"].every((one) =>
        filters.includes(one)
      ),
    )
    for (const interval of ["1s", "1m", "3m", "5m", "15m", "1h"]) {
      const klines = await answer(
        client.get("api/v3/klines", { symbol: "BTCUSDT", interval, limit: 3 }),
      )
      assert.equal(klines.length, 3, interval)
      assert.equal(klines[0].length, 12)
      assert.equal(klines[1][0] - 1, klines[0][6])
    }
    const seconds = await answer(
      client.get("api/v3/klines", { symbol: "SOLUSDT", interval: "1s", limit: 1000 }),
    )
    assert.equal(seconds.length, 1000)
    const both = await answer(
      client.get("api/v3/ticker/bookTicker", { symbols: '["BTCUSDT","ETHUSDT"]' }),
    )
    assert.equal(both.length, 2)
    const depth = await answer(client.get("api/v3/depth", { symbol: "BTCUSDT", limit: 5 }))
    assert.ok(depth.lastUpdateId > 0)
  },
)

venueTest(
  "a market order fills from the shown book, moves the balances and is remembered",
  async (venue) => {
    const client = restClient(venue)
    await answer(client.get("api/v3/time"))
    const placed = await answer(
      client.postPrivate("api/v3/order", { ...market("BUY", "0.01"), newClientOrderId: "one" }),
    )
    assert.equal(placed.status, "FILLED")
    const [fill] = placed.fills
    assert.equal(fill.commission, "0.00001000")
    assert.equal(fill.commissionAsset, "BTC")
    const found = await answer(
      client.getPrivate("api/v3/order", { symbol: "BTCUSDT", origClientOrderId: "one" }),
    )
    assert.equal(found.executedQty, "0.01000000")
    const account = await answer(client.getPrivate("api/v3/account"))
    const free = (asset: string) =>
      account.balances.find((one: { asset: string }) => one.asset === asset)?.free
    assert.equal(free("BTC"), "0.00999000")
    assert.equal(atoms(free("USDT")), atoms("100000") - atoms(placed.cummulativeQuoteQty))
    const [trade] = await answer(client.getPrivate("api/v3/myTrades", { symbol: "BTCUSDT" }))
    assert.equal(trade.id, fill.tradeId)
    const [print] = await answer(
      client.get("api/v3/historicalTrades", { symbol: "BTCUSDT", fromId: trade.id, limit: 1 }),
    )
    assert.deepEqual([print.id, print.price, print.qty], [trade.id, trade.price, trade.qty])
    assert.deepEqual(venue.books().balances["BTC"], { free: "0.00999000", locked: "0.00000000" })
  },
)

venueTest(
  "a limit order rests, locks its money, and gives it back when canceled",
  async (venue) => {
    const client = restClient(venue)
    const resting = await answer(client.postPrivate("api/v3/order", {
      symbol: "ETHUSDT",
      side: "BUY",
      type: "LIMIT",
      timeInForce: "GTC",
      price: "2000.00",
      quantity: "1.5",
      newClientOrderId: "rest",
    }))
    assert.equal(resting.status, "NEW")
    assert.deepEqual(venue.books().balances["USDT"], {
      free: "97000.00000000",
      locked: "3000.00000000",
    })
    const open = await answer(client.getPrivate("api/v3/openOrders", { symbol: "ETHUSDT" }))
    assert.deepEqual(open.map((one: { clientOrderId: string }) => one.clientOrderId), ["rest"])
    const canceled = await answer(
      client.deletePrivate("api/v3/order", { symbol: "ETHUSDT", origClientOrderId: "rest" }),
    )
    assert.deepEqual([canceled.status, canceled.origClientOrderId], ["CANCELED", "rest"])
    assert.notEqual(canceled.clientOrderId, "rest")
    assert.deepEqual(venue.books().balances["USDT"], {
      free: "100000.00000000",
      locked: "0.00000000",
    })
    assert.deepEqual(
      await outcome(client.deletePrivate("api/v3/openOrders", { symbol: "ETHUSDT" })),
      {
        status: 400,
        body: { code: -2011, msg: "Unknown order sent." },
      },
    )
  },
)

venueTest("requests are refused with the venue's codes and words", async (venue) => {
  const client = restClient(venue)
  const limit = {
    symbol: "BTCUSDT",
    side: "BUY",
    type: "LIMIT",
    timeInForce: "GTC",
    price: "60000.00",
    quantity: "0.001",
  }
  const place = (order: object) => outcome(client.postPrivate("api/v3/order", order))
  const cases: ReadonlyArray<
    readonly [string, Promise<{ body: unknown }>, number, string | RegExp]
  > = [
    [
      "symbol",
      outcome(client.get("api/v3/klines", { symbol: "NOPE", interval: "1m" })),
      -1121,
      "Invalid symbol.",
    ],
    [
      "interval",
      outcome(client.get("api/v3/klines", { symbol: "BTCUSDT", interval: "7m" })),
      -1120,
      "Invalid interval.",
    ],
    [
      "missing",
      place({ symbol: "BTCUSDT", side: "BUY", type: "LIMIT", timeInForce: "GTC", quantity: "1" }),
      -1102,
      "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
    ],
    ["side", place({ ...limit, side: "LONG" }), -1117, "Invalid side."],
    ["type", place({ ...limit, type: "ICEBERG" }), -1116, "Invalid orderType."],
    ["tif", place({ ...limit, timeInForce: "DAY" }), -1115, "Invalid timeInForce."],
    [
      "market with price",
      place({ ...market("BUY", "0.1"), price: "1" }),
      -1106,
      "Parameter 'price' sent when not required.",
    ],
    [
      "both amounts",
      place({ ...market("BUY", "0.1"), quoteOrderQty: "10" }),
      -1106,
      /quoteOrderQty/,
    ],
    [
      "letters",
      place({ ...limit, quantity: "lots" }),
      -1100,
      /^Illegal characters found in parameter 'quantity'/,
    ],
    [
      "precision",
      place({ ...limit, quantity: "0.0000000001" }),
      -1111,
      "Parameter 'quantity' has too much precision.",
    ],
    [
      "unknown parameter",
      place({ ...limit, colour: "red" }),
      -1104,
      /^Not all sent parameters were read/,
    ],
    ["tick", place({ ...limit, price: "60000.001" }), -1013, "Filter failure: PRICE_FILTER"],
    ["step", place({ ...limit, quantity: "0.000001" }), -1013, "Filter failure: LOT_SIZE"],
    ["notional", place({ ...limit, quantity: "0.00001" }), -1013, "Filter failure: NOTIONAL"],
    [
      "band",
      place({ ...limit, price: "600000.00" }),
      -1013,
      "Filter failure: PERCENT_PRICE_BY_SIDE",
    ],
    [
      "money",
      place({ ...limit, quantity: "5" }),
      -2010,
      "Account has insufficient balance for requested action.",
    ],
    ["client id", place({ ...limit, newClientOrderId: "a b" }), -1100, /newClientOrderId/],
    [
      "order",
      outcome(client.getPrivate("api/v3/order", { symbol: "BTCUSDT", orderId: 999 })),
      -2013,
      "Order does not exist.",
    ],
    [
      "cancel",
      outcome(client.deletePrivate("api/v3/order", { symbol: "BTCUSDT", orderId: 999 })),
      -2011,
      "Unknown order sent.",
    ],
    [
      "path",
      outcome(client.get("api/v3/nothing")),
      -5000,
      "Path /api/v3/nothing, Method GET is invalid",
    ],
  ]
  for (const [name, call, code, text] of cases) {
    const { body } = await call as { body: { code: number; msg: string } }
    assert.equal(body.code, code, `${name}: ${JSON.stringify(body)}`)
    if (typeof text === "string") assert.equal(body.msg, text, name)
    else assert.match(body.msg, text, name)
  }
  assert.deepEqual(venue.books().orders, [])
})

venueTest("an open client order id cannot be used twice, a closed one can", async (venue) => {
  const client = restClient(venue)
  const order = {
    symbol: "BTCUSDT",
    side: "BUY",
    type: "LIMIT",
    timeInForce: "GTC",
    price: "50000.00",
    quantity: "0.001",
    newClientOrderId: "same",
  }
  await answer(client.postPrivate("api/v3/order", order))
  assert.deepEqual((await outcome(client.postPrivate("api/v3/order", order))).body, {
    code: -2010,
    msg: "Duplicate order sent.",
  })
  await answer(
    client.deletePrivate("api/v3/order", { symbol: "BTCUSDT", origClientOrderId: "same" }),
  )
  await answer(client.postPrivate("api/v3/order", order))
  const all = await answer(client.getPrivate("api/v3/allOrders", { symbol: "BTCUSDT" }))
  assert.deepEqual(all.map((one: { status: string }) => one.status), ["CANCELED", "NEW"])
})

venueTest("order/test checks everything and places nothing", async (venue) => {
  const client = restClient(venue)
  assert.deepEqual(await answer(client.postPrivate("api/v3/order/test", market("BUY", "0.01"))), {})
  assert.equal(
    (await outcome(client.postPrivate("api/v3/order/test", market("SELL", "0.01")))).status,
    400,
  )
  assert.deepEqual(venue.books().orders, [])
})

venueTest("keys, signatures and timestamps are checked", async (venue) => {
  const account = "/api/v3/account"
  const codes = async (promise: ReturnType<typeof signed>) => {
    const { status, body } = await promise
    return [status, body.code]
  }
  assert.deepEqual(await codes(signed(venue, "GET", account, "", { key: null })), [401, -2014])
  assert.deepEqual(await codes(signed(venue, "GET", account, "", { key: "other" })), [401, -2015])
  const wrong = await outcome(restClient(venue, { secret: "wrong" }).getPrivate("api/v3/account"))
  assert.deepEqual(wrong, {
    status: 400,
    body: { code: -1022, msg: "Signature for this request is not valid." },
  })
  const unsignedRequest = await fetch(`${venue.endpoints.rest}${account}?timestamp=1`, {
    headers: { "x-mbx-apikey": KEY },
  })
  assert.equal((await unsignedRequest.json()).code, -1021)
  const { serverTime } = await (await fetch(`${venue.endpoints.rest}/api/v3/time`)).json()
  const late = await signed(venue, "GET", account, "", { timestamp: serverTime - 6_000 })
  assert.equal(late.body.msg, "Timestamp for this request is outside of the recvWindow.")
  const ahead = await signed(venue, "GET", account, "", { timestamp: serverTime + 5_000 })
  assert.equal(ahead.body.msg, "Timestamp for this request was 1000ms ahead of the server's time.")
  assert.equal(
    (await signed(venue, "GET", account, "recvWindow=60000", { timestamp: serverTime - 6_000 }))
      .status,
    200,
  )
  assert.equal((await signed(venue, "GET", account, "recvWindow=60001")).body.code, -1131)
})

venueTest("parameters may come in a form body, whole or in part", async (venue) => {
  const form = "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=50"
  const { status, body } = await signed(venue, "POST", "/api/v3/order", form, { inBody: true })
  assert.deepEqual([status, body.status], [200, "FILLED"])
  assert.equal(body.origQuoteOrderQty, "50.00000000")
})

venueTest(
  "answers say what weight and how many orders were used; good orders weigh nothing",
  async (venue) => {
    const before = await fetch(`${venue.endpoints.rest}/api/v3/exchangeInfo`)
    await before.body?.cancel()
    const used = Number(before.headers.get("x-mbx-used-weight-1m"))
    const order = await signed(
      venue,
      "POST",
      "/api/v3/order",
      "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001",
    )
    assert.equal(order.headers.get("x-mbx-order-count-10s"), "1")
    assert.equal(order.headers.get("x-mbx-order-count-1d"), "1")
    // One for the clock asked in between, none for the order.
    assert.equal(Number(order.headers.get("x-mbx-used-weight-1m")), used + 1)
  },
)

venueTest(
  "the rolling day, the average price and aggregate trades agree with klines and trades",
  async (venue) => {
    const client = restClient(venue)
    await answer(client.postPrivate("api/v3/order", market("BUY", "0.01")))
    const day = await answer(client.get("api/v3/ticker/24hr", { symbol: "BTCUSDT" }))
    const klines = await answer(
      client.get("api/v3/klines", { symbol: "BTCUSDT", interval: "1m", limit: 1000 }),
    )
    assert.ok(
      klines.every((kline: ReadonlyArray<string>) => atoms(kline[2] ?? "") <= atoms(day.highPrice)),
    )
    assert.equal(atoms(day.priceChange), atoms(day.lastPrice) - atoms(day.openPrice))
    const percent = 100 * Number(day.priceChange) / Number(day.openPrice)
    assert.ok(Math.abs(Number(day.priceChangePercent) - percent) < 0.002)
    assert.equal((await answer(client.get("api/v3/ticker/24hr"))).length, 4)
    const { mins, price } = await answer(client.get("api/v3/avgPrice", { symbol: "BTCUSDT" }))
    assert.equal(mins, 5)
    assert.ok(Math.abs(Number(price) / Number(day.lastPrice) - 1) < 0.05)
    const [aggregate] = await answer(
      client.get("api/v3/aggTrades", { symbol: "BTCUSDT", limit: 1 }),
    )
    const [trade] = await answer(
      client.get("api/v3/historicalTrades", { symbol: "BTCUSDT", fromId: aggregate.f, limit: 1 }),
    )
    assert.deepEqual([aggregate.p, aggregate.q, aggregate.T], [trade.price, trade.qty, trade.time])
    const commission = await answer(
      client.getPrivate("api/v3/account/commission", { symbol: "BTCUSDT" }),
    )
    assert.equal(commission.standardCommission.taker, "0.00100000")
  },
)
