/** What the tests of the adapter share: a venue to talk to, ours or one that misbehaves. */
import { Clock, Effect, Redacted } from "effect"
import type { BanStore } from "../../../venues/governor.ts"
import type { MarketEvent } from "../../../domain/market.ts"
import { makeBroker } from "../../../venues/binance/broker.ts"
import { makeMarketData } from "../../../venues/binance/market_data.ts"
import type { RotationPolicy } from "../../../venues/binance/rotation.ts"
import { makeRest } from "../../../venues/binance/rest.ts"
import type { MarketData } from "../../../venues/market_data.ts"
import {
  type SimulatedBinance,
  type SimulatorOptions,
  startSimulatedBinance,
} from "../../../venues/simulator/binance.ts"
import { makeMemoryLedger } from "../../../venues/simulator/ledger.ts"
import { type Answering, httpPeer, patience, socketPeer } from "../harness.ts"

export const KEY = "key-0123456789abcdef"
export const SECRET = "secret-fedcba9876543210"
export const BTC = "BTC/USDT.BINANCE"
export const ETH = "ETH/USDT.BINANCE"

/** The venue takes no more than five messages a second, pings included. */
export const policy = { pingEveryMs: 500, ...patience }

export const simulated = (options: Partial<SimulatorOptions> = {}) =>
  startSimulatedBinance({
    ...{ host: "127.0.0.1", port: 0, key: KEY, secret: SECRET },
    market: { kind: "synthetic", seed: 1 },
    ledger: makeMemoryLedger(),
    ...options,
  })

export interface Connecting {
  readonly key?: string
  readonly secret?: string
  readonly timeoutMs?: number
  readonly subscribeTimeoutMs?: number
  /** Our clock minus the machine's. */
  readonly skewMs?: number
  /** How far requests are ahead of the machine's time, as it passes. */
  readonly leapMs?: () => number
  readonly bans?: BanStore
  readonly rulesBroken?: (instrument: string) => void
  readonly rotation?: RotationPolicy
  readonly listEveryMs?: number
}

/** The adapter, as the runtime builds it. */
export const connectTo = Effect.fnUntraced(function* (
  endpoints: SimulatedBinance["endpoints"],
  options: Connecting = {},
) {
  const { key = KEY, secret = SECRET, timeoutMs = 5_000, skewMs = 0 } = options
  const traffic = { framesReceived: 0, requestsOpen: 0 }
  const keys = { key: Redacted.make(key), secret: Redacted.make(secret) }
  const { leapMs = () => 0, subscribeTimeoutMs = 5_000 } = options
  const real = yield* Clock.Clock
  const clock: Clock.Clock = Object.assign(Object.create(real), {
    currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + skewMs + leapMs(),
    currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe()),
    monotonicTimeNanosUnsafe: () =>
      real.monotonicTimeNanosUnsafe() + BigInt(Math.round(leapMs() * 1e6)),
  })
  const rest = yield* Effect.provideService(
    makeRest({
      ...{ url: endpoints.rest, keys, timeoutMs, recvWindowMs: 3_000, traffic },
      wallClockMs: () => Date.now(),
      ...(options.bans !== undefined && { bans: options.bans }),
    }),
    Clock.Clock,
    clock,
  )
  const { rotation, listEveryMs } = options
  const market = makeMarketData({
    ...{ streamUrl: endpoints.ws, rest, policy, traffic, subscribeTimeoutMs },
    ...(rotation !== undefined && { rotation }),
    ...(listEveryMs !== undefined && { listEveryMs }),
  })
  const broker = makeBroker({
    ...{ wsApiUrl: endpoints.wsApi, rest, keys, policy, traffic, quoteAsset: "USDT" },
    ...{ instruments: [BTC, ETH], recvWindowMs: 3_000, subscribeTimeoutMs },
    ...(rotation !== undefined && { rotation }),
    ...(options.rulesBroken !== undefined && { rulesBroken: options.rulesBroken }),
  })
  return { rest, market, broker, traffic }
})

/** Both instruments' market stream, running, and what it has said so far. */
export const streaming = Effect.fnUntraced(
  function* (market: MarketData, accepts: (seen: number) => boolean = () => true) {
    const events: Array<MarketEvent> = []
    const undecoded: Array<string> = []
    const fiber = yield* Effect.forkScoped(market.stream([BTC, ETH], {
      event: (event) => accepts(events.push(event)),
      undecoded: (_frame, reason) => void undecoded.push(reason),
    }))
    return { events, undecoded, fiber }
  },
)

/** An HTTP server that answers as it is told; everything it was asked is kept. */
export const badVenue = Effect.fnUntraced(function* (answer: Answering) {
  const { asked, port } = yield* httpPeer(answer)
  const at = `127.0.0.1:${port}`
  return { asked, endpoints: { rest: `http://${at}`, ws: `ws://${at}`, wsApi: `ws://${at}` } }
})

/** A WebSocket server that accepts every connection and says nothing, pongs aside. */
export const deafVenue = Effect.gen(function* () {
  const { server, port } = yield* socketPeer()
  const at = `ws://127.0.0.1:${port}`
  return { server, endpoints: { ws: at, wsApi: at } }
})
