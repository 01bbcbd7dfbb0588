/** Recorded bodies decode as the adapters read them, and lose nothing that is used. */
import assert from "node:assert/strict"
import { Result, Schema } from "effect"
import { decimal, formatDecimal, zero } from "../../domain/decimal.ts"
import { accept, fill, finish, type Order } from "../../domain/order.ts"
import * as alpacaDecode from "../../venues/alpaca/decode.ts"
import * as alpaca from "../../venues/alpaca/messages.ts"
import { decodeFrame, decodePrivateFrame, orderStatus } from "../../venues/binance/decode.ts"
import * as binance from "../../venues/binance/messages.ts"
import { guessedSymbols } from "../../venues/binance/symbols.ts"
import { holdsTrue } from "../fuzz/truth.ts"
import { dataTest, filesBelow, linesOf, textOf } from "./recorded.ts"

const net = "wire/binance/binance-net"
const nautilus = "wire/binance/nautilus/spot/http_json"

type Codec = Schema.Codec<unknown, unknown>

/** Bodies of the requests that the adapter makes, by the shape it reads them with. */
const binanceBodies: ReadonlyArray<readonly [Codec, ReadonlyArray<string>]> = [
  [binance.ServerTime, [
    `${nautilus}/server_time_response.json`,
    `${net}/Endpoints/Spot/ExchangeData/GetServerTime.txt`,
  ]],
  [binance.ExchangeInfo, [`${nautilus}/exchange_info_response.json`]],
  [binance.DepthSnapshot, [
    `${nautilus}/depth_response.json`,
    `${net}/Socket/Spot/ExchangeData/GetOrderBook.txt`,
  ]],
  [binance.BookTicker, [`${nautilus}/book_ticker_response.json`]],
  [binance.BookTickers, [`${net}/Socket/Spot/ExchangeData/GetBookTickers.txt`]],
  [binance.Klines, [
    `${nautilus}/klines_response.json`,
    `${net}/Endpoints/Spot/ExchangeData/GetKlines.txt`,
    `${net}/Socket/Spot/ExchangeData/GetKlines.txt`,
  ]],
  [binance.HistoricalTrades, [
    `${nautilus}/trades_response.json`,
    `${net}/Endpoints/Spot/ExchangeData/GetTradeHistory.txt`,
    `${net}/Endpoints/Spot/ExchangeData/GetRecentTrades.txt`,
    `${net}/Socket/Spot/ExchangeData/GetTradeHistory.txt`,
  ]],
  [binance.AccountInformation, [
    `${nautilus}/account_response.json`,
    `${net}/Endpoints/Spot/Account/GetAccountInfo.txt`,
    `${net}/Socket/Spot/Account/GetAccountInfo.txt`,
  ]],
  [binance.OrderInformation, [
    `${nautilus}/order_response.json`,
    `${nautilus}/new_order_full_response.json`,
    `${net}/Endpoints/Spot/Trading/GetOrder.txt`,
    `${net}/Endpoints/Spot/Trading/PlaceOrder.txt`,
    `${net}/Socket/Spot/Trading/GetOrder.txt`,
    `${net}/Socket/Spot/Trading/PlaceOrder.txt`,
  ]],
  [binance.OrderInformations, [
    `${nautilus}/all_orders_response.json`,
    `${nautilus}/open_orders_response.json`,
    `${net}/Endpoints/Spot/Trading/GetOrders.txt`,
    `${net}/Endpoints/Spot/Trading/GetOpenOrders.txt`,
    `${net}/Socket/Spot/Trading/GetOpenOrders.txt`,
  ]],
  [binance.CanceledOrder, [
    `${nautilus}/cancel_order_response.json`,
    `${net}/Endpoints/Spot/Trading/CancelOrder.txt`,
    `${net}/Socket/Spot/Trading/CancelOrder.txt`,
  ]],
  [binance.MyTrades, [
    `${nautilus}/account_trades_response.json`,
    `${net}/Endpoints/Spot/Trading/GetUserTrades.txt`,
    `${net}/Socket/Spot/Trading/GetUserTrades.txt`,
  ]],
]

/** The answer in a file that may begin with its request; of the WS-API its result. */
function bodyOf(file: string): string {
  const text = textOf(file)
  const start = file.includes("/Socket/")
    ? text.indexOf("{", text.indexOf("\n="))
    : text.search(/^[[{]/mu)
  const body = text.slice(start)
  if (!file.includes("/Socket/")) return body
  // Placeholders of the other client's tests.
  const answer = JSON.parse(body.replaceAll(/:\s*\|\d+\|/gu, ": 1")) as { readonly result: unknown }
  return JSON.stringify(answer.result)
}

/** What is read where it is there, by a key that tells the kind of thing. */
const optional: Readonly<Record<string, ReadonlyArray<string>>> = {
  filterType: ["tickSize", "stepSize", "minQty", "maxQty", "minNotional"],
  clientOrderId: ["updateTime", "transactTime"],
  client_order_id: ["side", "replaced_by", "submitted_at", "updated_at", "legs"],
  asset_class: ["qty_available"],
  tradable: ["fractionable", "min_order_size", "min_trade_increment", "price_increment"],
  trading_blocked: ["trade_suspended_by_user"],
  quotes: ["next_page_token"],
  bars: ["next_page_token"],
  trades: ["next_page_token"],
}

/** Keys that are read and were given, and that the decoded value lacks. */
function lost(raw: unknown, decoded: unknown): ReadonlyArray<string> {
  if (Array.isArray(raw) && Array.isArray(decoded)) {
    return decoded.flatMap((each, at) => lost(raw[at], each))
  }
  if (!isRecord(raw) || !isRecord(decoded)) return []
  const wanted = Object.keys(decoded).flatMap((key) => optional[key] ?? [])
  return [
    ...wanted.filter((key) => raw[key] !== undefined && !(key in decoded)),
    ...Object.entries(decoded).flatMap(([key, value]) => lost(raw[key], value)),
  ]
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

dataTest("Binance: the bodies that are read decode, digit for digit", () => {
  let count = 0
  for (const [schema, files] of binanceBodies) {
    for (const file of files) {
      const text = bodyOf(file)
      const raw = binance.parseWithIds(text)
      const result = Schema.decodeUnknownResult(schema)(raw)
      assert.ok(Result.isSuccess(result), `${file}: ${Result.isFailure(result) && result.failure}`)
      // Examples of the documents are not always priced, nor is an order at the market.
      const rules = { writesTimesAsText: false, isOfOrders: true }
      const read = schema === binance.Klines
        ? (result.success as typeof binance.Klines.Type).map((row) => row.slice(0, 9))
        : result.success
      holdsTrue(text, [read], rules)
      assert.deepEqual(lost(raw, result.success), [], file)
      count++
    }
  }
  assert.equal(count, 34)
})

dataTest("Binance: every body and frame there is is read or refused, none crashes", () => {
  const files = filesBelow("wire/binance").filter((file) => /\.(?:txt|json)$/u.test(file))
  assert.ok(files.length > 200, `${files.length}`)
  for (const file of files) {
    const text = textOf(file)
    const parts = [text, ...text.split(/^[<>=]\d*/mu)].map((part) => part.trim())
    for (const part of parts) {
      decodeFrame(part, guessedSymbols, 0)
      decodePrivateFrame(part, guessedSymbols)
      for (const [schema] of binanceBodies) {
        let raw: unknown
        try {
          raw = binance.parseWithIds(part)
        } catch {
          continue
        }
        Schema.decodeUnknownResult(schema)(raw)
      }
    }
  }
})

interface Body {
  readonly origQty: string
  readonly executedQty: string
  readonly status: string
  readonly fills?: ReadonlyArray<{ readonly qty: string; readonly price: string }>
}

const submitted = (quantity: string): Order => ({
  ...{ clientOrderId: "recorded", venueOrderId: undefined, venue: "binance" },
  ...{ instrument: "BTC/USDT.BINANCE", side: "buy", type: "limit", purpose: "open" },
  ...{ quantity: decimal(quantity), price: undefined, filledQuantity: zero, filledNotional: zero },
  ...{ status: "submitted", origin: "test", reason: "", note: undefined },
  ...{ submittedAt: 0, updatedAt: 0 },
})

const stateOf = ({ status, filledQuantity }: Order) => [status, formatDecimal(filledQuantity)]

dataTest("Binance: the fills of an order add up to the state that its body reports", () => {
  for (
    const file of [
      `${nautilus}/new_order_full_response.json`,
      `${net}/Endpoints/Spot/Trading/PlaceOrder.txt`,
      `${net}/Socket/Spot/Trading/PlaceOrder.txt`,
    ]
  ) {
    const { origQty, executedQty, status, fills = [] } = JSON.parse(bodyOf(file)) as Body
    const folded = fills.reduce(
      (order, { qty, price }) => {
        const traded = { quantity: decimal(qty), price: decimal(price), fee: zero, feeAsset: "BNB" }
        return fill(order, { ...filling(order), ...traded })
      },
      accept(submitted(origQty), "1", 1),
    )
    assert.deepEqual(
      stateOf(folded),
      [orderStatus(status), formatDecimal(decimal(executedQty))],
      file,
    )
  }
})

const filling = ({ clientOrderId, instrument, side }: Order) => ({
  ...{ executionId: "1", clientOrderId, venueOrderId: "1", venue: "binance", instrument, side },
  time: 2,
})

dataTest("Binance: the events of an order lead to the state that the last one reports", () => {
  const events = "wire/binance/nautilus/spot/user_data_json/execution_report"
  for (const end of ["trade", "canceled", "expired"]) {
    const order = ["new", end].reduce((order, name) => {
      const decoded = decodePrivateFrame(textOf(`${events}_${name}.json`), guessedSymbols)
      assert.ok(decoded._tag === "Report" || decoded._tag === "Executed")
      const { report } = decoded
      if (decoded._tag === "Executed") {
        return fill(order, { ...filling(order), ...decoded.execution })
      }
      if (report.status === "canceled" || report.status === "expired") {
        return finish(order, report.status, report.time)
      }
      return accept(order, report.venueOrderId, report.time)
    }, submitted("1"))
    const last = JSON.parse(textOf(`${events}_${end}.json`)) as {
      readonly X: string
      readonly z: string
    }
    assert.deepEqual(stateOf(order), [orderStatus(last.X), formatDecimal(decimal(last.z))])
  }
})

interface Recorded {
  readonly request: string
  readonly body: unknown
}

/** By the request they answer; options and corporate actions are nothing that is asked for. */
const alpacaBodies: ReadonlyArray<readonly [RegExp, Codec]> = [
  [/GET \S*\/v2\/account$/, alpaca.AccountBody],
  [/GET \S*\/v2\/assets\?/, alpaca.AssetBodies],
  [/GET \S*\/v2\/assets\/\{/, alpaca.AssetBody],
  [/GET \S*\/v2\/orders$/, alpaca.OrderBodies],
  [/(?:POST \S*\/v2\/orders|(?:GET|PATCH) \S*\/v2\/orders[/:])/, alpaca.OrderBody],
  [/DELETE \S*\/v2\/orders$/, alpaca.CancelBodies],
  [/GET \S*\/v2\/positions$/, alpaca.PositionBodies],
  [/\/(?:stocks|crypto\/us)\/(?:quotes\/latest|latest\/quotes)/, alpaca.LatestQuotes],
  [/\/(?:stocks|crypto\/us)\/bars\?/, alpaca.BarPage],
  [/\/(?:stocks|crypto\/us)\/trades\?/, alpaca.TradePage],
]

dataTest("Alpaca: the bodies that are read decode, digit for digit", () => {
  const kinds = new Map<Codec, number>()
  for (const line of linesOf("wire/alpaca/alpaca-py-bodies.jsonl")) {
    const { request } = JSON.parse(line) as Recorded
    const schema = alpacaBodies.find(([pattern]) => pattern.test(request))?.[1]
    if (schema === undefined) continue
    // The digits of the line itself: written anew they would have gone through a float.
    const raw = (alpaca.parseExact(line) as Recorded).body
    const result = Schema.decodeUnknownResult(schema)(raw)
    assert.ok(Result.isSuccess(result), `${request}: ${Result.isFailure(result) && result.failure}`)
    holdsTrue(line, [result.success], { writesTimesAsText: true })
    assert.deepEqual(lost(raw, result.success), [], request)
    kinds.set(schema, (kinds.get(schema) ?? 0) + 1)
  }
  assert.equal(kinds.size, alpacaBodies.length)
})

dataTest("Alpaca: rows of history become trades and bars, all of them", () => {
  let [trades, bars] = [0, 0]
  for (const line of linesOf("wire/alpaca/alpaca-py-bodies.jsonl")) {
    const { request, body } = alpaca.parseExact(line) as Recorded
    if (!/\/(?:stocks|crypto\/us)\//.test(request)) continue
    const rows = (key: "trades" | "bars") => {
      const bySymbol: unknown = Reflect.get(Object(body), key)
      return Object.values(Object(bySymbol)).flatMap((each) => Array.isArray(each) ? each : [])
    }
    for (const row of rows("trades")) {
      const trade = alpacaDecode.tradeOf(Schema.decodeUnknownSync(alpaca.TradeRow)(row), "A.ALPACA")
      holdsTrue(line, [trade._tag === "Aside" ? trade.trade : trade], { writesTimesAsText: true })
      trades++
    }
    for (const row of rows("bars")) {
      const bar = alpacaDecode.barOf(
        ...[Schema.decodeUnknownSync(alpaca.BarRow)(row), "A.ALPACA", 60_000] as const,
      )
      holdsTrue(line, [bar], { writesTimesAsText: true })
      bars++
    }
  }
  assert.ok(trades > 5 && bars > 5, `${trades} trades, ${bars} bars`)
})

dataTest("Alpaca: an order's quantity filled agrees with its status", () => {
  let count = 0
  for (const line of linesOf("wire/alpaca/alpaca-py-bodies.jsonl")) {
    const { request } = JSON.parse(line) as Recorded
    const { body } = alpaca.parseExact(line) as Recorded
    if (!/POST \S*\/v2\/orders|(?:GET|PATCH) \S*\/v2\/orders[/:]/.test(request)) continue
    const order = Schema.decodeUnknownSync(alpaca.OrderBody)(body)
    const report = alpacaDecode.reportOf(order, "AAPL.ALPACA")
    const { qty } = body as { readonly qty: string | null }
    const isWhole = qty !== null && formatDecimal(order.filled_qty) === formatDecimal(decimal(qty))
    assert.equal(report?.status === "filled", isWhole, line)
    count++
  }
  assert.ok(count > 4)
})
