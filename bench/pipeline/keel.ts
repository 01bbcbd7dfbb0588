/**
 * Ours: the adapter's own stream, from the socket to the event that an actor would be handed.
 *
 *   deno run -A bench/pipeline/keel.ts AUTHORITY EVENTS PASSES
 */
import process from "node:process"
import { Effect } from "effect"
import { formatDecimal } from "../../domain/decimal.ts"
import type { Quote, Trade } from "../../domain/market.ts"
import { makeMarketData } from "../../venues/binance/market_data.ts"
import { makeRest } from "../../venues/binance/rest.ts"

const [authority = "", events = "", passes = ""] = Deno.args
const perPass = Number(events)
const traffic = { framesReceived: 0, requestsOpen: 0 }
const policy = {
  pingEveryMs: 1_000,
  deadAfterMs: 10_000,
  handshakeTimeoutMs: 5_000,
  closeGraceMs: 100,
}

const program = Effect.gen(function* () {
  const rest = yield* makeRest({
    ...{ url: `http://${authority}`, keys: undefined, timeoutMs: 5_000, recvWindowMs: 5_000 },
    ...{ traffic, wallClockMs: () => Date.now() },
  })
  const market = makeMarketData({ streamUrl: `ws://${authority}`, rest, policy, traffic })
  const endedAt: Array<number> = []
  const usedMs: Array<number> = []
  let undecoded = 0
  let count = 0
  let trade: Trade | undefined
  let quote: Quote | undefined
  const done = Promise.withResolvers<void>()
  const sink: Parameters<typeof market.stream>[1] = {
    event: (event) => {
      if (event._tag === "Trade") trade = event
      else if (event._tag === "Quote") quote = event
      if (++count % perPass === 0) {
        const { user, system } = process.cpuUsage()
        endedAt.push(performance.now())
        usedMs.push((user + system) / 1_000)
        if (endedAt.length === Number(passes)) done.resolve()
      }
      return true
    },
    undecoded: () => undecoded++,
  }
  const end = yield* Effect.raceFirst(
    market.stream(["BTC/USDT.BINANCE"], sink),
    Effect.promise(() => done.promise),
  )
  const last = {
    trade: trade && [trade.tradeId, formatDecimal(trade.price), formatDecimal(trade.size)],
    quote: quote && [formatDecimal(quote.bid), formatDecimal(quote.ask)],
  }
  console.log(JSON.stringify({ endedAt, usedMs, undecoded, last }))
  return end
})

await Effect.runPromise(Effect.scoped(program))
Deno.exit(0)
