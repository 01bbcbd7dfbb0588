/**
 * The message path of ccxt's stream client, from the socket to the structure its user awaits.
 *
 *   deno run -A pipeline/ccxt.ts AUTHORITY EVENTS PASSES
 */
import process from "node:process"
import ccxt from "ccxt"

const [authority = "", events = "", passes = ""] = Deno.args
const SYMBOL = "BTC/USDT"
const endedAt: Array<number> = []
const usedMs: Array<number> = []
let count = 0

/** Its own path, counted at its end. */
class Counted extends ccxt.pro.binance {
  override handleTrade(...args: Parameters<InstanceType<typeof ccxt.pro.binance>["handleTrade"]>) {
    super.handleTrade(...args)
    counted(this)
  }
  override handleBidsAsks(
    ...args: Parameters<InstanceType<typeof ccxt.pro.binance>["handleBidsAsks"]>
  ) {
    super.handleBidsAsks(...args)
    counted(this)
  }
}

function counted(exchange: Counted) {
  if (++count % Number(events) !== 0) return
  const { user, system } = process.cpuUsage()
  endedAt.push(performance.now())
  usedMs.push((user + system) / 1_000)
  if (endedAt.length < Number(passes)) return
  const last = exchange.trades[SYMBOL]!.at(-1)
  const { bid, ask } = exchange.bidsasks[SYMBOL]!
  const result = { trade: [last.id, last.price, last.amount], quote: [bid, ask] }
  console.log(JSON.stringify({ endedAt, usedMs, undecoded: 0, last: result }))
  Deno.exit(0)
}

const rest = `http://${authority}/api/v3`
const exchange = new Counted({
  urls: { api: { public: rest, private: rest, ws: { spot: `ws://${authority}/ws` } } },
  options: {
    ...{ fetchMarkets: { types: ["spot"] }, fetchCurrencies: false, fetchMargins: false },
    // One connection, as the others have.
    streamLimits: { spot: 1 },
  },
})
await exchange.loadMarkets()
const listen = async (watch: () => Promise<unknown>) => {
  while (true) await watch()
}
await Promise.all([
  listen(() => exchange.watchTrades(SYMBOL)),
  listen(() => exchange.watchBidsAsks([SYMBOL])),
])
