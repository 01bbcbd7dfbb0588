/**
 * What the simulated venues answer is what the vendors' own documents describe.
 *
 * The documents are not part of the repository: `KEEL_DATA` names the folder that has them. They are
 * older than the venues are; what has moved since is written down in `drifts`, and nothing else may
 * differ. A drift that no longer shows fails, too.
 */
import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { Ajv, type ErrorObject } from "ajv"
import { parse } from "yaml"
import { type AlpacaAddress, type BinanceAddress, peerTest } from "./venue.ts"

const folder = Deno.env.get("KEEL_DATA")

/** `METHOD path field: rule` -> why our answer is right all the same. */
const drifts: Readonly<Record<string, string>> = {
  ...all("GET /api/v3/exchangeInfo /symbols/*/filters/*: must have required property", {
    "'minPrice'": "the document knows the price filter alone; each type has fields of its own",
    "'maxPrice'": "as minPrice",
    "'tickSize'": "as minPrice",
  }),
  "GET /api/v3/aggTrades /*/T: must be boolean": "a slip: `T` is the time in the text beside it",
  "POST /api/v3/order : matches 0,1 of those that exclude each other":
    "the short answer is a part of the longer ones, so a long one is never exactly one of them",
  ...all("POST /v2/orders", trailing("")),
  ...all("GET /v2/orders", trailing("/*")),
  ...all("GET /v2/orders/{order_id}", trailing("")),
}

/** Real orders, too, have null there unless they trail. */
function trailing(at: string): Readonly<Record<string, string>> {
  const fields = ["trail_percent", "trail_price", "hwm"]
  return Object.fromEntries(
    fields.map((field) => [`${at}/${field}: must be string`, "null in recorded orders"]),
  )
}

function all(start: string, rest: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(rest).map(([end, why]) => [`${start} ${end}`, why]))
}

interface Exchange {
  readonly method: string
  /** As the document names it. */
  readonly path: string
  readonly status: number
  readonly body: unknown
}

/** Says how a body differs from its document, in lines. */
function reader(name: string) {
  const document = parse(Deno.readTextFileSync(`${folder}/wire/specs/${name}`))
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, logger: false })
  ajv.addSchema(document, name)
  const escaped = (part: string) =>
    encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))
  return ({ method, path, status, body }: Exchange): ReadonlyArray<string> => {
    const operation = document.paths[path]?.[method.toLowerCase()]
    assert.ok(operation !== undefined, `${name} has no ${method} ${path}`)
    const response = operation.responses[status]
    const parts = response.$ref === undefined
      ? ["paths", path, method.toLowerCase(), "responses", String(status)]
      : response.$ref.slice(2).split("/")
    const pointer = [...parts, "content", "application/json", "schema"].map(escaped).join("/")
    const validate = ajv.compile({ $ref: `${name}#/${pointer}` })
    if (validate(body)) return []
    return [...new Set((validate.errors ?? []).map((error) => `${method} ${path} ${line(error)}`))]
  }
}

/** The members of a list are all alike. */
function line({ instancePath, keyword, message, params }: ErrorObject): string {
  const where = instancePath.replaceAll(/\/\d+(?=\/|$)/g, "/*")
  const what = keyword === "enum"
    ? `${message} ${params["allowedValues"]}`
    : keyword === "oneOf"
    ? `matches ${params["passingSchemas"] ?? "none"} of those that exclude each other`
    : message
  return `${where}: ${what}`
}

const seen = new Set<string>()
function compare(read: ReturnType<typeof reader>, exchanges: ReadonlyArray<Exchange>) {
  const differences = exchanges.flatMap(read)
  for (const one of differences) seen.add(one)
  const strange = differences.filter((one) => drifts[one] === undefined)
  assert.deepEqual(strange, [])
}

async function binanceBodies({ rest, key, secret }: BinanceAddress) {
  const exchanges: Array<Exchange> = []
  const ask = async (
    method: string,
    path: string,
    params: Readonly<Record<string, string>> = {},
  ) => {
    const isSigned = /order|Order|account|myTrades/.test(path)
    const sent = isSigned ? { ...params, timestamp: String(Date.now()) } : params
    const query = new URLSearchParams(sent).toString()
    const signature = createHmac("sha256", secret).update(query).digest("hex")
    const url = `${rest}${path}?${query}${isSigned ? `&signature=${signature}` : ""}`
    const response = await fetch(url, { method, headers: { "x-mbx-apikey": key } })
    const body = await response.json()
    assert.equal(response.status, 200, `${method} ${path}: ${JSON.stringify(body)}`)
    exchanges.push({ method, path, status: 200, body })
    return body
  }
  const symbol = { symbol: "BTCUSDT" }
  for (
    const [path, params] of [
      ["/api/v3/ping", {}],
      ["/api/v3/time", {}],
      ["/api/v3/exchangeInfo", {}],
      ["/api/v3/depth", symbol],
      ["/api/v3/trades", symbol],
      ["/api/v3/historicalTrades", symbol],
      ["/api/v3/aggTrades", symbol],
      ["/api/v3/klines", { ...symbol, interval: "1m", limit: "3" }],
      ["/api/v3/avgPrice", symbol],
      ["/api/v3/ticker/24hr", symbol],
      ["/api/v3/ticker/24hr", {}],
      ["/api/v3/ticker/price", symbol],
      ["/api/v3/ticker/bookTicker", symbol],
      ["/api/v3/ticker/bookTicker", {}],
    ] as const
  ) await ask("GET", path, params)
  const order = { ...symbol, side: "BUY", quantity: "0.01" }
  await ask("POST", "/api/v3/order", { ...order, type: "MARKET" })
  const limit = { ...order, type: "LIMIT", timeInForce: "GTC", price: "50000" }
  await ask("POST", "/api/v3/order/test", limit)
  const { orderId } = await ask("POST", "/api/v3/order", limit)
  await ask("GET", "/api/v3/order", { ...symbol, orderId: String(orderId) })
  await ask("GET", "/api/v3/openOrders", symbol)
  const replaced = await ask("POST", "/api/v3/order/cancelReplace", {
    ...limit,
    cancelReplaceMode: "STOP_ON_FAILURE",
    cancelOrderId: String(orderId),
  })
  await ask("DELETE", "/api/v3/order", {
    ...symbol,
    orderId: String(replaced.newOrderResponse.orderId),
  })
  await ask("POST", "/api/v3/order", limit)
  await ask("DELETE", "/api/v3/openOrders", symbol)
  for (const path of ["allOrders", "myTrades", "account/commission"]) {
    await ask("GET", `/api/v3/${path}`, symbol)
  }
  for (const path of ["account", "rateLimit/order"]) await ask("GET", `/api/v3/${path}`)
  return exchanges
}

async function alpacaBodies({ trading, data, key, secret }: AlpacaAddress) {
  const headers = { "apca-api-key-id": key, "apca-api-secret-key": secret }
  const trades: Array<Exchange> = []
  const market: Array<Exchange> = []
  const ask = async (
    kept: Array<Exchange>,
    method: string,
    path: string,
    query = "",
    sent?: object,
  ) => {
    const response = await fetch(`${kept === market ? data : trading}${path}${query}`, {
      method,
      headers,
      ...(sent !== undefined && { body: JSON.stringify(sent) }),
    })
    const text = await response.text()
    assert.ok(response.ok, `${method} ${path}: ${text}`)
    const body = text === "" ? undefined : JSON.parse(text)
    const named = path.replace(/orders\/[0-9a-f-]{36}$/, "orders/{order_id}")
      .replace(/positions\/AAPL$/, "positions/{symbol_or_asset_id}")
    if (body !== undefined) kept.push({ method, path: named, status: response.status, body })
    return body
  }
  const order = { symbol: "AAPL", side: "buy", time_in_force: "day" }
  const { id } = await ask(trades, "POST", "/v2/orders", "", { ...order, type: "market", qty: "1" })
  await ask(trades, "POST", "/v2/orders", "", {
    ...order,
    type: "limit",
    qty: "1",
    limit_price: "100",
  })
  const isFilled = async () => {
    const response = await fetch(`${trading}/v2/orders/${id}`, { headers })
    return (await response.json()).status === "filled"
  }
  while (!await isFilled()) await new Promise((resolve) => setTimeout(resolve, 20))
  await ask(trades, "GET", "/v2/orders", "?status=all")
  await ask(trades, "GET", `/v2/orders/${id}`)
  await ask(trades, "GET", "/v2/positions/AAPL")
  for (const path of ["account", "positions", "clock", "account/activities"]) {
    await ask(trades, "GET", `/v2/${path}`)
  }
  await ask(trades, "GET", "/v2/calendar", "?start=2026-11-23&end=2026-11-27")
  const symbols = "?symbols=AAPL,SPY"
  for (const path of ["bars/latest", "trades/latest", "quotes/latest", "snapshots"]) {
    await ask(market, "GET", `/v2/stocks/${path}`, symbols)
  }
  await ask(market, "GET", "/v2/stocks/bars", `${symbols}&timeframe=1Min&limit=5`)
  for (const path of ["trades", "quotes"]) {
    await ask(market, "GET", `/v2/stocks/${path}`, `${symbols}&limit=5`)
  }
  return { trades, market }
}

if (folder !== undefined) {
  peerTest("the simulated venues answer as the vendors' documents say", async (venue, step) => {
    await step(
      "Binance",
      async () => compare(reader("binance-spot-openapi.yaml"), await binanceBodies(venue.binance)),
    )
    const alpaca = await alpacaBodies(venue.alpaca)
    await step(
      "Alpaca, trading",
      () => Promise.resolve(compare(reader("alpaca-trading-openapi.yaml"), alpaca.trades)),
    )
    await step(
      "Alpaca, market data",
      () => Promise.resolve(compare(reader("alpaca-data-openapi.yaml"), alpaca.market)),
    )
    await step("every drift that is written down is one", () => {
      assert.deepEqual(Object.keys(drifts).filter((one) => !seen.has(one)), [])
      return Promise.resolve()
    })
  })
}
