/** What the tests of the adapter share: a venue to talk to, ours or one that misbehaves. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Clock, Effect, Redacted, type Scope } from "effect"
import { WebSocketServer } from "ws"
import type { BanStore } from "../../../venues/governor.ts"
import { makeBroker } from "../../../venues/binance/broker.ts"
import { makeMarketData } from "../../../venues/binance/market_data.ts"
import type { RotationPolicy } from "../../../venues/binance/rotation.ts"
import { makeRest } from "../../../venues/binance/rest.ts"
import {
  type SimulatedBinance,
  type SimulatorOptions,
  startSimulatedBinance,
} from "../../../venues/simulator/binance.ts"
import { makeMemoryLedger } from "../../../venues/simulator/ledger.ts"

export const KEY = "key-0123456789abcdef"
export const SECRET = "secret-fedcba9876543210"
export const BTC = "BTC/USDT.BINANCE"
export const ETH = "ETH/USDT.BINANCE"

/** The venue takes no more than five messages a second, pings included. */
export const policy = {
  pingEveryMs: 500,
  deadAfterMs: 2_000,
  handshakeTimeoutMs: 1_000,
  closeGraceMs: 100,
}

/** A test in a scope of its own, on the real clock: sockets have no other. */
export function venueTest<E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) {
  Deno.test(name, () =>
    Effect.runPromise(
      Effect.scoped(Effect.suspend(body)).pipe(
        Effect.timeoutOrElse({
          duration: 15_000,
          orElse: () => Effect.die(new Error("the test took too long")),
        }),
      ),
    ))
}

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
  /** Our clock minus the machine's. */
  readonly skewMs?: number
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
  const { key = KEY, secret = SECRET, timeoutMs = 2_000, skewMs = 0 } = options
  const traffic = { framesReceived: 0, requestsOpen: 0 }
  const keys = { key: Redacted.make(key), secret: Redacted.make(secret) }
  const real = yield* Clock.Clock
  const clock: Clock.Clock = Object.assign(Object.create(real), {
    currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + skewMs,
    currentTimeMillis: Effect.sync(() => real.currentTimeMillisUnsafe() + skewMs),
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
    ...{ streamUrl: endpoints.ws, rest, policy, traffic, subscribeTimeoutMs: 1_000 },
    ...(rotation !== undefined && { rotation }),
    ...(listEveryMs !== undefined && { listEveryMs }),
  })
  const broker = makeBroker({
    ...{ wsApiUrl: endpoints.wsApi, rest, keys, policy, traffic, quoteAsset: "USDT" },
    ...{ instruments: [BTC, ETH], recvWindowMs: 3_000, subscribeTimeoutMs: 1_000 },
    ...(rotation !== undefined && { rotation }),
    ...(options.rulesBroken !== undefined && { rulesBroken: options.rulesBroken }),
  })
  return { rest, market, broker, traffic }
})

export type Answering = (request: IncomingMessage, response: ServerResponse) => void

/** An HTTP server that answers as it is told; everything it was asked is kept. */
export const badVenue = Effect.fnUntraced(function* (answer: Answering) {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    request.resume()
    answer(request, response)
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done))),
    () =>
      Effect.promise(() =>
        new Promise<void>((done) => {
          server.close(() => done())
          server.closeAllConnections()
        })
      ),
  )
  const at = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { asked, endpoints: { rest: `http://${at}`, ws: `ws://${at}`, wsApi: `ws://${at}` } }
})

/** A WebSocket server that accepts every connection and says nothing, pongs aside. */
export const deafVenue = Effect.gen(function* () {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((done) => void server.once("listening", done))),
    () =>
      Effect.promise(() =>
        new Promise<void>((done) => {
          for (const client of server.clients) client.terminate()
          server.close(() => done())
        })
      ),
  )
  const at = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { server, endpoints: { ws: at, wsApi: at } }
})

/** Waits until `check` has a value; the test's own time limit ends it. */
export const eventually = <A>(check: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = check()
    return found === undefined
      ? Effect.andThen(Effect.sleep(10), eventually(check))
      : Effect.succeed(found)
  })
