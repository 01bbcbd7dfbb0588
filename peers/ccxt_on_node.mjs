/**
 * ccxt on Node, its home: one order in Alpaca's crypto, as its private stream tells it.
 *
 *   node ccxt_on_node.mjs ADDRESSES
 *
 * Where the venue is comes as JSON; what was told goes out as JSON.
 */
import ccxt from "ccxt"

const { trading, data, dataStream, tradingStream, key, secret } = JSON.parse(process.argv[2])
const ws = { crypto: `${dataStream}/v1beta3/crypto/us`, trading: tradingStream }
const exchange = new ccxt.pro.alpaca({
  apiKey: key,
  secret,
  urls: { api: { trader: trading, market: data, broker: trading, ws } },
})
const SYMBOL = "BTC/USD"
// For sockets without TLS its Node build wants this first.
await exchange.loadHttpProxyAgent()
await exchange.loadMarkets()
await exchange.authenticate(tradingStream)
const heard = [exchange.watchOrders(SYMBOL), exchange.watchMyTrades(SYMBOL)]
const { id } = await exchange.createOrder(SYMBOL, "market", "buy", 0.01)
const [, fills] = await Promise.all(heard)
// Orders that are told between two awaits it keeps; of fills it hands out only what is awaited.
const told = () => exchange.orders.find((order) => order.id === id)
while (told()?.status !== "closed") await exchange.sleep(20)
const first = fills.map(({ order, amount }) => ({ isOurs: order === id, amount }))
console.log(JSON.stringify({ filled: told().filled, first }))
process.exit(0)
