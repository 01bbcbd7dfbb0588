/**
 * `@alpacahq/alpaca-trade-api`, Alpaca's own client, REST and streams, trades at the simulated
 * Alpaca as it comes.
 *
 * On Deno its streams are in another build than its types: `createRequire` finds it.
 */
import assert from "node:assert/strict"
import { createRequire } from "node:module"
import { errors, marketData, trading } from "@alpacahq/alpaca-trade-api"
import { type AlpacaAddress, Heard, peerTest, within } from "./venue.ts"

const { streaming: streams }: { readonly streaming: Streams } = createRequire(import.meta.url)(
  "@alpacahq/alpaca-trade-api",
)

interface Stream {
  connect(): void
  disconnect(): void
  onError(listener: (problem: string) => void): this
  waitForAuthentication(timeoutMs: number): Promise<boolean>
}
interface Priced {
  readonly symbol: string
  readonly bidPrice?: number
}
interface MarketStream extends Stream {
  onTrade(listener: (trade: Priced) => void): this
  onQuote(listener: (quote: Priced) => void): this
  subscribeForTrades(symbols: ReadonlyArray<string>): void
  subscribeForQuotes(symbols: ReadonlyArray<string>): void
}
interface Update {
  readonly event: string
  readonly order: { readonly id?: string; readonly filledQty?: string }
}
interface AccountStream extends Stream {
  onTradeUpdate(listener: (update: Update) => void): this
  subscribeTradeUpdates(): void
}
interface StreamOptions {
  readonly credentials: { readonly keyId: string; readonly secret: string }
  readonly url: string
  readonly reconnect?: boolean
}
/** What of the streams is used here. */
interface Streams {
  readonly TradingStream: new (options: StreamOptions) => AccountStream
  readonly StockDataStream: new (options: StreamOptions) => MarketStream
  readonly CryptoDataStream: new (options: StreamOptions) => MarketStream
}

const ANSWER_MS = 10_000
const CRYPTO = "BTC/USD"
const SHARE = "AAPL"

function configured({ trading: basePath, data, key, secret }: AlpacaAddress) {
  const keys = { keyId: key, secret }
  const trade = new trading.Configuration({ basePath, ...keys })
  const market = new marketData.Configuration({ basePath: data, ...keys })
  return {
    accounts: new trading.AccountsApi(trade),
    activities: new trading.AccountActivitiesApi(trade),
    assets: new trading.AssetsApi(trade),
    calendar: new trading.CalendarApi(trade),
    clock: new trading.ClockApi(trade),
    orders: new trading.OrdersApi(trade),
    positions: new trading.PositionsApi(trade),
    stocks: new marketData.StockApi(market),
    crypto: new marketData.CryptoApi(market),
  }
}

const credentialsOf = ({ key, secret }: AlpacaAddress) => ({ keyId: key, secret })

/** What it makes of a refusal: its class, the status and the venue's code. */
const refusedAs =
  (kind: new (...args: never) => Error, status: number, words: RegExp) => (error: unknown) => {
    assert.ok(error instanceof kind, String(error))
    assert.equal((error as Error & { readonly status: number }).status, status)
    assert.match(error.message, words)
    return true
  }

peerTest("Alpaca's own client trades at the simulated Alpaca", async ({ alpaca }, step) => {
  const client = configured(alpaca)
  const credentials = credentialsOf(alpaca)
  const updates = new Heard<Update>()
  const account = new streams.TradingStream({ credentials, url: alpaca.tradingStream })
  account.onTradeUpdate(updates.push)
  await step("markets: shares and pairs", async () => {
    const shares = await client.assets.getV2Assets({ status: "active" })
    const pairs = await client.assets.getV2Assets({ status: "active", assetClass: "crypto" })
    const symbols = [...shares, ...pairs].map(({ symbol }) => symbol)
    for (const symbol of [SHARE, "MSFT", "SPY", CRYPTO]) assert.ok(symbols.includes(symbol), symbol)
    const share = await client.assets.getV2AssetsSymbolOrAssetId({ symbolOrAssetId: SHARE })
    assert.deepEqual([share.tradable, share.fractionable, share._class], [true, true, "us_equity"])
  })
  await step("clock and calendar", async () => {
    const { timestamp, nextClose } = await client.clock.legacyClock()
    assert.ok(Math.abs(Number(timestamp) - Date.now()) < 2_000)
    assert.ok(Number(nextClose) > Number(timestamp))
    const { clocks } = await client.clock.clock({ markets: "NYSE" })
    assert.equal(clocks[0]?.market.acronym, "NYSE")
    const days = await client.calendar.legacyCalendar({
      start: new Date("2026-11-23"),
      end: new Date("2026-11-27"),
    })
    assert.ok(days.length > 0)
  })
  await step("prices: snapshots, quotes, bars over several pages", async () => {
    const snapshots = await client.stocks.stockSnapshots({ symbols: `${SHARE},SPY` })
    assert.deepEqual(Object.keys(snapshots).toSorted(), [SHARE, "SPY"])
    const { quotes } = await client.stocks.stockLatestQuotes({ symbols: SHARE })
    assert.ok(quotes[SHARE]!.bp! > 0 && quotes[SHARE]!.bp! < quotes[SHARE]!.ap!)
    const page = { symbols: SHARE, timeframe: "1Min", limit: 3, feed: "iex" } as const
    const first = await client.stocks.stockBars(page)
    assert.equal(first.bars[SHARE]?.length, 3)
    const second = await client.stocks.stockBars({ ...page, pageToken: first.nextPageToken! })
    assert.ok(second.bars[SHARE]![0]!.t! > first.bars[SHARE]![2]!.t!)
    const pair = await client.crypto.cryptoBars({
      ...{ loc: "us", symbols: CRYPTO, timeframe: "1Min", limit: 3 },
    })
    assert.equal(pair.bars[CRYPTO]?.length, 3)
  })
  await step("book", async () => {
    const { orderbooks } = await client.crypto.cryptoLatestOrderbooks({
      ...{ loc: "us", symbols: CRYPTO },
    })
    const { b, a } = orderbooks[CRYPTO]!
    assert.ok(b[0]!.p! < a[0]!.p!)
  })
  await step("streamed prices, packed: trades and quotes of shares and pairs", async () => {
    const stocks = new streams.StockDataStream({ credentials, url: `${alpaca.dataStream}/v2/iex` })
    const url = `${alpaca.dataStream}/v1beta3/crypto/us`
    const crypto = new streams.CryptoDataStream({ credentials, url })
    for (const [stream, symbol] of [[stocks, SHARE], [crypto, CRYPTO]] as const) {
      const heard = new Heard<Priced>()
      stream.onTrade(heard.push)
      stream.onQuote(heard.push)
      stream.connect()
      assert.equal(await stream.waitForAuthentication(ANSWER_MS), true)
      stream.subscribeForTrades([symbol])
      stream.subscribeForQuotes([symbol])
      const isQuote = ({ bidPrice }: Priced) => bidPrice !== undefined
      await within(ANSWER_MS, `quotes of ${symbol}`, heard.first(isQuote))
      await within(ANSWER_MS, `trades of ${symbol}`, heard.first((one) => !isQuote(one)))
      assert.ok(heard.all.every((one) => one.symbol === symbol))
      stream.disconnect()
    }
  })
  for (const [symbol, timeInForce] of [[SHARE, "day"], [CRYPTO, "gtc"]] as const) {
    await step(`a market order in ${symbol}, with its fill on the private stream`, async () => {
      if (updates.all.length === 0) {
        account.connect()
        assert.equal(await account.waitForAuthentication(ANSWER_MS), true)
        account.subscribeTradeUpdates()
      }
      const clientOrderId = `market-${symbol.slice(0, 3)}`
      const ordered = { symbol, side: "buy", type: "market", timeInForce, qty: "0.1" } as const
      const order = await client.orders.postOrder({
        postOrderRequest: { ...ordered, clientOrderId },
      })
      const isFill = ({ event, order: { id } }: Update) => event === "fill" && id === order.id
      const fill = await within(ANSWER_MS, "the fill", updates.first(isFill))
      assert.equal(Number(fill.order.filledQty), 0.1)
      const events = updates.all.filter(({ order: { id } }) => id === order.id)
      assert.equal(events.map(({ event }) => event)[0], "pending_new")
      const found = await client.orders.getOrderByClientOrderId({ clientOrderId })
      assert.equal(found.status, "filled")
      const activities = await client.activities.getAccountActivitiesByActivityType({
        activityType: "FILL",
      })
      assert.ok(activities.some((one) => "symbol" in one && one.symbol === symbol))
    })
  }
  await step("positions", async () => {
    const positions = await client.positions.getAllOpenPositions()
    assert.deepEqual(positions.map(({ symbol }) => symbol).toSorted(), [SHARE, "BTCUSD"])
    assert.ok(Number((await client.accounts.getAccount()).cash) < 100_000)
  })
  await step("a limit order rests, is found, replaced, and canceled", async () => {
    const ordered = { symbol: SHARE, side: "buy", type: "limit", timeInForce: "day" } as const
    const { id } = await client.orders.postOrder({
      postOrderRequest: { ...ordered, qty: "1", limitPrice: "100", clientOrderId: "limit-1" },
    })
    await within(
      ANSWER_MS,
      "new",
      updates.first((one) => one.event === "new" && one.order.id === id),
    )
    const replaced = await client.orders.patchOrderByOrderId({
      ...{ orderId: id!, patchOrderRequest: { qty: "2", limitPrice: "101" } },
    })
    assert.equal(replaced.replaces, id)
    const isReplaced = ({ event, order }: Update) => event === "replaced" && order.id === id
    await within(ANSWER_MS, "replaced", updates.first(isReplaced))
    const open = await client.orders.getAllOrders({ status: "open" })
    assert.deepEqual(open.map(({ id, qty }) => [id, qty]), [[replaced.id, "2"]])
    await client.orders.deleteOrderByOrderID({ orderId: replaced.id! })
    const isCanceled = ({ event, order }: Update) =>
      event === "canceled" && order.id === replaced.id
    await within(ANSWER_MS, "the cancel", updates.first(isCanceled))
    assert.deepEqual(await client.orders.getAllOrders({ status: "open" }), [])
  })
  const bad = { symbol: SHARE, side: "buy", type: "limit", timeInForce: "day" } as const
  const place = (
    rest: { readonly qty: string; readonly limitPrice: string; readonly clientOrderId?: string },
  ) => client.orders.postOrder({ postOrderRequest: { ...bad, ...rest } })
  await step("a price off the grid", () =>
    assert.rejects(
      place({ qty: "1", limitPrice: "100.001" }),
      refusedAs(errors.ValidationError, 422, /sub-penny/),
    ))
  await step("insufficient funds", () =>
    assert.rejects(
      place({ qty: "100000", limitPrice: "100" }),
      refusedAs(errors.PermissionError, 403, /insufficient buying power/),
    ))
  await step("an unknown order, and an id used before", async () => {
    const unknown = client.orders.getOrderByClientOrderId({ clientOrderId: "nobody" })
    await assert.rejects(unknown, refusedAs(errors.NotFoundError, 404, /not found/))
    const again = place({ qty: "1", limitPrice: "100", clientOrderId: "limit-1" })
    await assert.rejects(again, refusedAs(errors.ValidationError, 422, /unique/))
  })
  account.disconnect()
})

peerTest("Alpaca's own client is refused as by the real one", async ({ alpaca }, step) => {
  const another = { ...alpaca, secret: "another" }
  await step("wrong keys", async () => {
    const { accounts, stocks } = configured(another)
    await assert.rejects(
      accounts.getAccount(),
      refusedAs(errors.PermissionError, 403, /authorized/),
    )
    const quotes = stocks.stockLatestQuotes({ symbols: SHARE })
    await assert.rejects(quotes, refusedAs(errors.AuthError, 401, /unauthorized/))
  })
  await step("wrong keys on the streams", async () => {
    const options = { credentials: credentialsOf(another), reconnect: false }
    for (
      const stream of [
        new streams.TradingStream({ ...options, url: alpaca.tradingStream }),
        new streams.StockDataStream({ ...options, url: `${alpaca.dataStream}/v2/iex` }),
      ]
    ) {
      stream.onError(() => {})
      stream.connect()
      assert.equal(await stream.waitForAuthentication(ANSWER_MS), false)
      stream.disconnect()
    }
  })
  await step("one connection for market data, and no second", async () => {
    const options = { credentials: credentialsOf(alpaca), url: `${alpaca.dataStream}/v2/iex` }
    const first = new streams.StockDataStream(options)
    first.connect()
    assert.equal(await first.waitForAuthentication(ANSWER_MS), true)
    const second = new streams.StockDataStream({ ...options, reconnect: false })
    const problems = new Heard<string>()
    second.onError(problems.push)
    second.connect()
    await within(ANSWER_MS, "406", problems.first((text) => /connection limit|406/i.test(text)))
    second.disconnect()
    first.disconnect()
  })
  await step("too many requests", async () => {
    const { accounts } = configured(alpaca)
    const tooMany = async () => {
      for (let asked = 0; asked < 450; asked++) await accounts.getAccount()
    }
    await assert.rejects(tooMany(), refusedAs(errors.RateLimitError, 429, /too many|rate limit/i))
  })
})
