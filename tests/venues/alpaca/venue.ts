/** What the tests of the adapter share: a venue to talk to, ours or one that misbehaves. */
import { Effect, Redacted } from "effect"
import type { WebSocket } from "ws"
import type { InstrumentId } from "../../../domain/instrument.ts"
import type { MarketEvent } from "../../../domain/market.ts"
import { decimal, formatDecimal } from "../../../domain/decimal.ts"
import { makeBroker } from "../../../venues/alpaca/broker.ts"
import { type Feed, makeMarketData } from "../../../venues/alpaca/market_data.ts"
import { buckets, makeRest } from "../../../venues/alpaca/rest.ts"
import type { NewOrder } from "../../../venues/broker.ts"
import { makeGovernor, noBanStore } from "../../../venues/governor.ts"
import type { MarketData } from "../../../venues/market_data.ts"
import { makeMemoryAlpacaLedger } from "../../../venues/simulator/alpaca/ledger.ts"
import {
  type AlpacaSimulatorOptions,
  type SimulatedAlpaca,
  startSimulatedAlpaca,
} from "../../../venues/simulator/alpaca/mod.ts"
import { type Answering, httpPeer, patience, socketPeer } from "../harness.ts"

export const KEY = "PKTEST0123456789ABCD"
export const SECRET = "secret-fedcba9876543210"
export const AAPL = "AAPL.ALPACA"
export const MSFT = "MSFT.ALPACA"
export const SPY = "SPY.ALPACA"
export const BTC = "BTC/USD.ALPACA"
export const instruments = [AAPL, MSFT, SPY, BTC]

const policy = { pingEveryMs: 500, ...patience }

export const simulated = (options: Partial<AlpacaSimulatorOptions> = {}) =>
  startSimulatedAlpaca({
    ...{ host: "127.0.0.1", port: 0, key: KEY, secret: SECRET },
    market: { kind: "synthetic", seed: 1 },
    ledger: makeMemoryAlpacaLedger(),
    ...options,
  })

export interface Connecting {
  readonly key?: string
  readonly secret?: string
  readonly timeoutMs?: number
  readonly subscribeTimeoutMs?: number
  readonly feed?: Feed
}

/** The adapter, as the runtime builds it. */
export const connectTo = Effect.fnUntraced(function* (
  endpoints: SimulatedAlpaca["endpoints"],
  options: Connecting = {},
) {
  const { key = KEY, secret = SECRET, timeoutMs = 5_000, feed = "iex" } = options
  const { subscribeTimeoutMs = 5_000 } = options
  const traffic = { framesReceived: 0, requestsOpen: 0 }
  const keys = { key: Redacted.make(key), secret: Redacted.make(secret) }
  const governor = yield* makeGovernor({ venue: "alpaca", buckets, bans: noBanStore })
  const rest = yield* makeRest({
    ...{ tradingUrl: endpoints.trading, dataUrl: endpoints.data },
    ...{ keys, timeoutMs, governor, traffic },
  })
  const common = { rest, keys, policy, traffic, subscribeTimeoutMs }
  const market = makeMarketData({ ...common, streamUrl: endpoints.dataStream, feed })
  const broker = makeBroker({ ...common, streamUrl: endpoints.tradingStream, instruments })
  return { rest, market, broker, traffic, governor }
})

/** The market stream, running, and what it has said so far. */
export const watching = Effect.fnUntraced(function* (
  market: MarketData,
  ids: ReadonlyArray<InstrumentId>,
) {
  const events: Array<MarketEvent> = []
  const undecoded: Array<string> = []
  const refused: Array<string> = []
  const fiber = yield* Effect.forkScoped(market.stream(ids, {
    event: (event) => events.push(event) > 0,
    undecoded: (frame, reason) => void undecoded.push(`${reason}: ${frame}`),
    refused: (which, what, reason) => void refused.push(`${what} ${which.join()} ${reason}`),
  }))
  return { events, undecoded, refused, fiber }
})

/** An HTTP server that answers as it is told; everything it was asked is kept. */
export const badVenue = Effect.fnUntraced(function* (answer: Answering) {
  const { asked, port } = yield* httpPeer(answer)
  return { asked, endpoints: endpointsAt(port) }
})

/** A WebSocket server that does with every connection what it is told. */
export const badStream = Effect.fnUntraced(function* (greet: (socket: WebSocket) => void) {
  const { port } = yield* socketPeer(greet)
  return { endpoints: endpointsAt(port) }
})

function endpointsAt(port: number): SimulatedAlpaca["endpoints"] {
  const authority = `127.0.0.1:${port}`
  return {
    trading: `http://${authority}`,
    data: `http://${authority}`,
    dataStream: `ws://${authority}`,
    tradingStream: `ws://${authority}/stream`,
  }
}

export const buy: NewOrder = {
  ...{ clientOrderId: "keel-1", instrument: AAPL, side: "buy", type: "market" },
  ...{ quantity: decimal("10"), price: undefined },
}

/** A price that nothing will reach: far below the market, or above it. */
export const farPrice = Effect.fnUntraced(
  function* (market: MarketData, id: string, factor: number) {
    const [quote] = yield* market.quotes([id])
    return decimal(String(Math.floor(Number(formatDecimal(quote!.bid)) * factor)))
  },
)
