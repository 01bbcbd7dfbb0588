/**
 * ccxt trades at the simulated Alpaca, by REST and by its stream client, as it comes.
 *
 * It knows the crypto of this venue, not its shares. On Deno it cannot read binary frames, which the
 * private stream consists of: there orders are asked for, and Node hears the stream.
 */
import assert from "node:assert/strict"
import ccxt from "ccxt"
import { type AlpacaAddress, farBelow, peerTest, within } from "./venue.ts"

const SYMBOL = "BTC/USD"
const ANSWER_MS = 10_000

function configured({ trading, data, dataStream, tradingStream, key, secret }: AlpacaAddress) {
  const ws = { crypto: `${dataStream}/v1beta3/crypto/us`, trading: tradingStream }
  return new ccxt.pro.alpaca({
    apiKey: key,
    secret,
    urls: { api: { trader: trading, market: data, broker: trading, ws } },
  })
}

interface Told {
  readonly filled: number
  readonly first: ReadonlyArray<{ readonly isOurs: boolean; readonly amount: number }>
}

/** The same release, from the same lock file, laid out as Node wants it. */
async function onNode(alpaca: AlpacaAddress) {
  const folder = await Deno.makeTempDir({ prefix: "keel-peers-" })
  try {
    for (const name of ["deno.json", "deno.lock", "ccxt_on_node.mjs"]) {
      await Deno.copyFile(new URL(name, import.meta.url), `${folder}/${name}`)
    }
    const run = async (command: string, ...args: ReadonlyArray<string>) => {
      const { success, stdout, stderr } = await new Deno.Command(command, {
        args: [...args],
        cwd: folder,
      }).output()
      if (!success) throw new Error(new TextDecoder().decode(stderr))
      return new TextDecoder().decode(stdout)
    }
    await run(Deno.execPath(), "install", "--quiet", "--node-modules-dir=auto")
    const answer = await run("node", "ccxt_on_node.mjs", JSON.stringify(alpaca))
    return JSON.parse(answer) as Told
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}

peerTest("ccxt trades at the simulated Alpaca", async ({ alpaca }, step) => {
  const exchange = configured(alpaca)
  let price = 0
  await step("markets, with their grids", async () => {
    await exchange.loadMarkets()
    const { base, quote, active, limits } = exchange.market(SYMBOL)
    assert.deepEqual([base, quote, active], ["BTC", "USD", true])
    assert.ok(limits.amount!.min! > 0)
  })
  await step("clock", async () => {
    const time = await exchange.fetchTime()
    assert.ok(time !== undefined && Math.abs(time - Date.now()) < 2_000)
  })
  await step("prices: ticker, trades and bars", async () => {
    const { bid, ask } = await exchange.fetchTicker(SYMBOL)
    assert.ok(bid! > 0 && bid! < ask!)
    price = bid!
    assert.ok((await exchange.fetchTrades(SYMBOL)).length > 0)
    const bars = await exchange.fetchOHLCV(SYMBOL, "1m", undefined, 3)
    assert.equal(bars.length, 3)
  })
  await step("book", async () => {
    const { bids, asks } = await exchange.fetchOrderBook(SYMBOL)
    assert.ok(bids[0]![0]! < asks[0]![0]!)
  })
  await step("streamed prices: quotes, trades and a book", async () => {
    const [ticker, trades, book] = await within(
      ANSWER_MS,
      "three streams",
      Promise.all([
        exchange.watchTicker(SYMBOL),
        exchange.watchTrades(SYMBOL),
        exchange.watchOrderBook(SYMBOL),
      ]),
    )
    assert.ok(ticker.bid! < ticker.ask!)
    assert.ok(trades[0]!.price! > 0)
    assert.ok(book.bids[0]![0]! < book.asks[0]![0]!)
  })
  await step("a market order fills", async () => {
    const order = await exchange.createOrder(SYMBOL, "market", "buy", 0.01)
    const filled = async () => {
      while ((await exchange.fetchOrder(order.id!, SYMBOL)).status !== "closed") {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    await within(ANSWER_MS, "the fill", filled())
    const fills = (await exchange.fetchMyTrades(SYMBOL)).filter((one) => one.order === order.id)
    assert.equal(fills.reduce((sum, { amount }) => sum + amount!, 0), 0.01)
  })
  await step("a limit order rests, is found, replaced, and canceled", async () => {
    const order = await exchange.createOrder(SYMBOL, "limit", "buy", 0.01, farBelow(price))
    const open = await exchange.fetchOpenOrders(SYMBOL)
    assert.deepEqual(open.map(({ id }) => id), [order.id])
    const edited = await exchange.editOrder(
      ...[order.id!, SYMBOL, "limit", "buy", 0.02, farBelow(price)] as const,
    )
    assert.notEqual(edited.id, order.id)
    await exchange.cancelOrder(edited.id!, SYMBOL)
    const canceled = async () => {
      while ((await exchange.fetchOpenOrders(SYMBOL)).length > 0) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    await within(ANSWER_MS, "the cancel", canceled())
  })
  await step("a fill on the private stream, on Node", async () => {
    const told = await within(ANSWER_MS, "Node", onNode(alpaca))
    assert.equal(told.filled, 0.01)
    assert.ok(told.first.length > 0 && told.first.every((one) => one.isOurs && one.amount > 0))
  })
  await step("an order below the least, insufficient funds, an unknown order", async () => {
    await assert.rejects(
      exchange.createOrder(SYMBOL, "limit", "buy", 0.00001, 10),
      ccxt.InvalidOrder,
    )
    const huge = exchange.createOrder(SYMBOL, "limit", "buy", 100, farBelow(price))
    await assert.rejects(huge, ccxt.InsufficientFunds)
    const unknown = exchange.fetchOrder("61e69015-8549-4bfd-b9c3-01e75843f47d", SYMBOL)
    await assert.rejects(
      unknown,
      (error) => error instanceof ccxt.ExchangeError && /40410000/.test(error.message),
    )
  })
  await exchange.close()
})

peerTest("ccxt is refused by the simulated Alpaca as by the real one", async ({ alpaca }, step) => {
  await step("wrong keys", async () => {
    const exchange = configured({ ...alpaca, secret: "another" })
    await assert.rejects(exchange.fetchBalance(), ccxt.BaseError)
  })
  await step("wrong keys on the stream", async () => {
    const exchange = configured({ ...alpaca, secret: "another" })
    const heard = exchange.watchTicker(SYMBOL)
    await assert.rejects(within(ANSWER_MS, "a refusal", heard), ccxt.BaseError)
    await exchange.close().catch(() => {})
  })
  await step("too many requests", async () => {
    const exchange = configured(alpaca)
    // It would wait by itself.
    exchange.enableRateLimit = false
    const tooMany = async () => {
      for (let asked = 0; asked < 450; asked++) await exchange.fetchBalance()
    }
    await assert.rejects(tooMany(), ccxt.RateLimitExceeded)
  })
})
