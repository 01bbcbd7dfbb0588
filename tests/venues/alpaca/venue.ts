/** What the tests of the adapter share: a venue to talk to, ours or one that misbehaves. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, Redacted, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import type { InstrumentId } from "../../../domain/instrument.ts"
import type { MarketEvent } from "../../../domain/market.ts"
import { makeBroker } from "../../../venues/alpaca/broker.ts"
import { type Feed, makeMarketData } from "../../../venues/alpaca/market_data.ts"
import { buckets, makeRest } from "../../../venues/alpaca/rest.ts"
import { makeGovernor, noBanStore } from "../../../venues/governor.ts"
import type { MarketData } from "../../../venues/market_data.ts"
import { makeMemoryAlpacaLedger } from "../../../venues/simulator/alpaca/ledger.ts"
import {
  type AlpacaSimulatorOptions,
  type SimulatedAlpaca,
  startSimulatedAlpaca,
} from "../../../venues/simulator/alpaca/mod.ts"

export const KEY = "PKTEST0123456789ABCD"
export const SECRET = "secret-fedcba9876543210"
export const AAPL = "AAPL.ALPACA"
export const MSFT = "MSFT.ALPACA"
export const SPY = "SPY.ALPACA"
export const BTC = "BTC/USD.ALPACA"
export const instruments = [AAPL, MSFT, SPY, BTC]

export const policy = {
  pingEveryMs: 500,
  deadAfterMs: 2_000,
  handshakeTimeoutMs: 1_000,
  closeGraceMs: 300,
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
  readonly feed?: Feed
}

/** The adapter, as the runtime builds it. */
export const connectTo = Effect.fnUntraced(function* (
  endpoints: SimulatedAlpaca["endpoints"],
  options: Connecting = {},
) {
  const { key = KEY, secret = SECRET, timeoutMs = 2_000, feed = "iex" } = options
  const traffic = { framesReceived: 0, requestsOpen: 0 }
  const keys = { key: Redacted.make(key), secret: Redacted.make(secret) }
  const governor = yield* makeGovernor({ venue: "alpaca", buckets, bans: noBanStore })
  const rest = yield* makeRest({
    ...{ tradingUrl: endpoints.trading, dataUrl: endpoints.data },
    ...{ keys, timeoutMs, governor, traffic },
  })
  const common = { rest, keys, policy, traffic, subscribeTimeoutMs: 1_000 }
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
  return { asked, endpoints: endpointsAt(at) }
})

/** A WebSocket server that does with every connection what it is told. */
export const badStream = Effect.fnUntraced(function* (greet: (socket: WebSocket) => void) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
  server.on("connection", greet)
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
  const at = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { server, endpoints: endpointsAt(at) }
})

function endpointsAt(authority: string): SimulatedAlpaca["endpoints"] {
  return {
    trading: `http://${authority}`,
    data: `http://${authority}`,
    dataStream: `ws://${authority}`,
    tradingStream: `ws://${authority}/stream`,
  }
}

/** Waits until `check` has a value; the test's own time limit ends it. */
export const eventually = <A>(check: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = check()
    return found === undefined
      ? Effect.andThen(Effect.sleep(10), eventually(check))
      : Effect.succeed(found)
  })
