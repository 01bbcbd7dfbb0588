/**
 * The simulated Binance spot venue: real sockets, real protocol, own market.
 *
 * One loopback port serves REST, the public streams and the WS-API, so that a
 * client of the real venue needs nothing but other addresses. The market is either
 * generated, on the clock of its surroundings, or a recording that `play` walks
 * through on its own clock, event by event, waiting for its listener each time.
 */
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { Clock, Duration, Effect, Option, Schema, type Scope, Stream } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { BinanceApi } from "./binance_api.ts"
import { type MyTradeBody, myTradeBody, type OrderBody, orderBody } from "./binance_messages.ts"
import { BinanceVenue } from "./binance_venue.ts"
import { formatAtoms, parseAtoms } from "./decimals.ts"
import type { Change } from "./exchange.ts"
import type { Ledger, LedgerContents, LedgerError } from "./ledger.ts"
import { makeListing } from "./listing.ts"
import type { MarketClock } from "./market_clock.ts"
import { makeOutbox } from "./outbox.ts"
import type { Recording, RecordingError } from "./recording.ts"
import { StreamHub } from "./stream_hub.ts"
import {
  history,
  PROFILES,
  resumeMarket,
  seedMarket,
  stepMarket,
  type SyntheticState,
  SyntheticStateText,
} from "./synthetic.ts"
import { Wire } from "./wire.ts"

export class SimulatorError extends Schema.TaggedError<SimulatorError>()("SimulatorError", {
  text: Schema.String,
}) {
  override get message() {
    return this.text
  }
}

export interface VenueBooks {
  readonly balances: Readonly<Record<string, { readonly free: string; readonly locked: string }>>
  readonly openOrders: ReadonlyArray<OrderBody>
  readonly orders: ReadonlyArray<OrderBody>
  readonly trades: ReadonlyArray<MyTradeBody>
}

export interface PlayOptions {
  /** Times the recording's own speed; 0 or Infinity: as fast as its listener follows. */
  readonly speed: number
  /** Real time, for pacing. */
  readonly pacing: Clock.Clock
  /** Completes when everything sent so far has been digested; awaited after every step. */
  readonly settled: Effect.Effect<void>
}

export interface ReplaySummary {
  /** Per symbol. */
  readonly trades: Readonly<
    Record<string, { readonly sent: number; readonly lastTradeId: number }>
  >
  readonly events: number
  readonly framesSent: number
  readonly startMs: number
  readonly endMs: number
}

export interface SimulatedBinance {
  readonly endpoints: { readonly rest: string; readonly ws: string; readonly wsApi: string }
  readonly key: string
  readonly secret: string
  /** Frames handed to sockets so far, pings aside; requests whose answer has not left. */
  readonly traffic: () => { readonly framesSent: number; readonly requestsOpen: number }
  /** The venue's own books. */
  readonly books: () => VenueBooks
  /** Plays a recorded market once, from beginning to end. */
  readonly play: (
    options: PlayOptions,
  ) => Effect.Effect<ReplaySummary, SimulatorError | RecordingError>
}

export type SimulatorMarket =
  | { readonly kind: "synthetic"; readonly seed: number }
  | { readonly kind: "recording"; readonly recording: Recording; readonly clock: MarketClock }

export interface SimulatorOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly key: string
  readonly secret: string
  readonly market: SimulatorMarket
  readonly ledger: Ledger
  /** What the account begins with, when its ledger is empty; by default 100 000 USDT. */
  readonly balances?: Readonly<Record<string, string>>
}

const STEP_MS = 50
const DEPTH_EVERY_MS = 100
const STORE_EVERY_MS = 1_000
/** What a generated market remembers of its past when it starts. */
const HISTORY = { secondsMs: 2 * 3_600_000, minutesMs: 24 * 3_600_000 } as const
/** Ids that a restart skips: more than a market gives out between two stored states. */
const ID_JUMP = 1_000_000

export const startSimulatedBinance = Effect.fn("SimulatedBinance.start")(function* (
  options: SimulatorOptions,
): Effect.fn.Return<SimulatedBinance, SimulatorError, Scope.Scope> {
  const { market } = options
  const clock = market.kind === "recording" ? market.clock.clock : yield* Clock.Clock
  const now = () => Math.floor(clock.currentTimeMillisUnsafe())
  const contents = yield* options.ledger.load.pipe(Effect.mapError(asSimulatorError))

  const wire = new Wire()
  const hub = new StreamHub(wire)
  const venue = makeVenue(market, contents, hub)
  yield* fund(venue, options, contents, now())

  let stop = () => {}
  const outbox = yield* makeOutbox(options.ledger, (error) => {
    stop()
    return Effect.logError(`simulated venue stopped: ${error.message}`)
  })
  const api = new BinanceApi({ venue, credentials: options, outbox, wire, now })
  stop = () => {
    api.abort()
    wire.terminateAll()
  }
  const start = market.kind === "synthetic"
    ? storedMarket(contents, now()) ?? seedMarket(market.seed, now())
    : undefined
  if (start !== undefined) writeHistory(venue, start, now())
  const address = yield* listen(options, { api, hub, wire, now })
  const host = `${options.host.includes(":") ? `[${options.host}]` : options.host}:${address.port}`

  if (start !== undefined) {
    yield* Effect.forkScoped(
      Effect.provideService(generate(venue, api, outbox.send, start, now), Clock.Clock, clock),
    )
    // A recording's time may stand still or fly: pings would mean nothing there.
    yield* Effect.forkScoped(
      Effect.forever(Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => wire.beat(now())))),
    )
  }
  const requestsOpen = () => api.requestsOpen + outbox.pending()
  let isPlayed = false
  return {
    endpoints: {
      rest: `http://${host}`,
      ws: `ws://${host}`,
      wsApi: `ws://${host}/ws-api/v3`,
    },
    key: options.key,
    secret: options.secret,
    traffic: () => ({ framesSent: wire.framesSent, requestsOpen: requestsOpen() }),
    books: () => booksOf(venue),
    play: (how) => {
      if (market.kind !== "recording") {
        return new SimulatorError({ text: "nothing recorded to play" })
      }
      if (isPlayed) return new SimulatorError({ text: "the recording has been played already" })
      isPlayed = true
      return play(market, how, { venue, api, wire, isIdle: () => outbox.pending() === 0 })
    },
  }
})

// The market

function makeVenue(
  market: SimulatorMarket,
  contents: LedgerContents,
  hub: StreamHub,
): BinanceVenue {
  if (market.kind === "synthetic") {
    const listings = PROFILES.map((profile) => profile.listing)
    const venue = new BinanceVenue(listings, contents, hub, {
      printsOwnFills: true,
      updateId: (contents.counters?.updateId ?? 0) + ID_JUMP,
    })
    for (const { symbol } of listings) {
      venue.exchange.reserveTradeIds(symbol, (contents.counters?.tradeIds[symbol] ?? 0) + ID_JUMP)
    }
    return venue
  }
  const { recording } = market
  const venue = new BinanceVenue(recording.symbols.map(makeListing), contents, hub, {
    printsOwnFills: false,
    updateId: contents.counters?.updateId ?? 0,
  })
  // Our fills are numbered after the recording's last trade, so no id means two things.
  for (const [symbol, span] of Object.entries(recording.trades)) {
    venue.exchange.reserveTradeIds(symbol, span.lastTradeId)
  }
  return venue
}

function storedMarket(contents: LedgerContents, now: number) {
  if (contents.market === undefined) return undefined
  const stored = Schema.decodeUnknownOption(SyntheticStateText)(contents.market)
  return Option.isSome(stored) ? resumeMarket(stored.value, now) : undefined
}

const encodeMarket = Schema.encodeSync(SyntheticStateText)

const generate = Effect.fn("SimulatedBinance.generate")(function* (
  venue: BinanceVenue,
  api: BinanceApi,
  store: (batch: { market: string; counters: typeof venue.counters }, done: () => void) => void,
  start: SyntheticState,
  now: () => number,
) {
  let state = resumeMarket(start, now())
  let depthAt = 0
  let storedAt = 0
  while (true) {
    const at = now()
    const [next, events] = stepMarket(state, at)
    state = next
    const changes = new Array<Change>()
    for (const event of events) changes.push(venue.generate(event, at))
    api.report(changes.filter((change) => change.reports.length > 0))
    venue.publishKlines(at)
    if (at - depthAt >= DEPTH_EVERY_MS) {
      venue.publishDepth(at)
      depthAt = at
    }
    if (at - storedAt >= STORE_EVERY_MS) {
      store({ market: encodeMarket(state), counters: venue.counters }, () => {})
      storedAt = at
    }
    yield* Effect.sleep(STEP_MS)
  }
})

/** A day of minutes and two hours of seconds, up to `now`, for every instrument. */
function writeHistory(venue: BinanceVenue, state: SyntheticState, now: number) {
  const endMs = now - now % 1_000
  const secondsFrom = Math.floor((endMs - HISTORY.secondsMs) / 60_000) * 60_000
  for (const { listing: { symbol } } of PROFILES) {
    const { klines } = venue.tape(symbol)
    const [older, seconds] = history(state, symbol, {
      endMs,
      barMs: 1_000,
      count: (endMs - secondsFrom) / 1_000,
    })
    const [, minutes] = history(older, symbol, {
      endMs: secondsFrom,
      barMs: 60_000,
      count: HISTORY.minutesMs / 60_000,
    })
    for (const bar of minutes) klines.addMinute(bar)
    for (const bar of seconds) klines.addBar(bar)
  }
}

// Playing

const play = Effect.fn("SimulatedBinance.play")(function* (
  { recording, clock }: Extract<SimulatorMarket, { kind: "recording" }>,
  { speed, pacing, settled }: PlayOptions,
  parts: {
    readonly venue: BinanceVenue
    readonly api: BinanceApi
    readonly wire: Wire
    readonly isIdle: () => boolean
  },
) {
  const { venue, api, wire } = parts
  const isPaced = speed > 0 && Number.isFinite(speed)
  const beganAt = pacing.currentTimeMillisUnsafe()
  const trades: Record<string, { sent: number; lastTradeId: number }> = {}
  let events = 0

  // What has been told is digested only when all of it has been told.
  const digested = Effect.gen(function* () {
    while (!parts.isIdle()) yield* Effect.yieldNow
    yield* settled
  })
  const moveTo = Effect.fnUntraced(function* (timeMs: number) {
    while (!clock.advanceTo(timeMs)) yield* digested
  })

  yield* Stream.runForEach(
    recording.events,
    Effect.fnUntraced(function* (event) {
      if (isPaced) {
        const dueMs = beganAt + (event.timeMs - recording.startMs) / speed
        const waitMs = dueMs - pacing.currentTimeMillisUnsafe()
        if (waitMs >= 1) yield* pacing.sleep(Duration.millis(waitMs))
      }
      yield* moveTo(event.timeMs)
      events++
      const change = venue.replay(event.change, event.frame, event.timeMs)
      api.report([change])
      if (event.change?.type === "trade") {
        const { symbol, tradeId } = event.change
        trades[symbol] = { sent: (trades[symbol]?.sent ?? 0) + 1, lastTradeId: tradeId }
      }
      venue.publishKlines(event.timeMs, recording.streams)
      yield* digested
    }),
  )
  const { startMs, endMs } = recording
  return { trades, events, framesSent: wire.framesSent, startMs, endMs }
})

// The account

const fund = Effect.fn("SimulatedBinance.fund")(function* (
  venue: BinanceVenue,
  options: SimulatorOptions,
  contents: LedgerContents,
  now: number,
) {
  if (contents.balances.length > 0) return
  for (const [asset, text] of Object.entries(options.balances ?? { USDT: "100000" })) {
    const amount = parseAtoms(text)
    if (amount === undefined || amount < 0n) {
      return yield* new SimulatorError({
        text: `balance of ${asset} must be a decimal like 100000.5, got "${text}"`,
      })
    }
    const batch = venue.batch(venue.exchange.deposit(asset, amount, now))
    if (batch !== undefined) {
      yield* options.ledger.commit(batch).pipe(Effect.mapError(asSimulatorError))
    }
  }
})

function booksOf({ exchange }: BinanceVenue): VenueBooks {
  return {
    balances: Object.fromEntries(exchange.balances.map(({ asset, free, locked }) => [
      asset,
      { free: formatAtoms(free), locked: formatAtoms(locked) },
    ])),
    openOrders: exchange.openOrders().map(orderBody),
    orders: exchange.orders.map(orderBody),
    trades: exchange.fills.map(myTradeBody),
  }
}

// The server

interface Doors {
  readonly api: BinanceApi
  readonly hub: StreamHub
  readonly wire: Wire
  readonly now: () => number
}

const listen = Effect.fn("SimulatedBinance.listen")(function* (
  { host, port }: SimulatorOptions,
  doors: Doors,
) {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const server = createServer((request, response) => doors.api.serve(request, response))
  server.on("upgrade", (request, socket, head) => {
    upgrade(request, socket, head, sockets, doors)
  })
  yield* Effect.acquireRelease(
    Effect.callback<void, SimulatorError>((resume) => {
      server.once("error", (error: Error & { code?: string }) => {
        const text = error.code === "EADDRINUSE"
          ? `port ${port} on ${host} is in use; choose another or 0`
          : `cannot listen on ${host}:${port}: ${error.message}`
        resume(Effect.fail(new SimulatorError({ text })))
      })
      server.listen(port, host, () => resume(Effect.void))
    }),
    () => close(server, sockets, doors.wire),
  )
  const address = server.address()
  if (!isAddress(address)) return yield* new SimulatorError({ text: "no address after listening" })
  return address
})

function isAddress(address: ReturnType<Server["address"]>): address is AddressInfo {
  return typeof address === "object" && address !== null
}

function upgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Parameters<WebSocketServer["handleUpgrade"]>[2],
  sockets: WebSocketServer,
  { api, hub, wire, now }: Doors,
) {
  const url = new URL(request.url ?? "/", "ws://venue")
  const path = decodeURIComponent(url.pathname)
  const open = (serve: (opened: WebSocket) => void) =>
    sockets.handleUpgrade(request, socket, head, (opened) => {
      wire.attach(opened, now())
      serve(opened)
    })
  if (path === "/ws-api/v3") return open((opened) => api.attach(opened))
  if (path === "/stream" || path === "/ws" || path.startsWith("/ws/")) {
    const isCombined = path === "/stream"
    const names = isCombined ? url.searchParams.get("streams") ?? "" : path.slice("/ws/".length)
    const streams = names.split("/").filter((name) => name !== "")
    return open((opened) => hub.attach(opened, { isCombined, streams }))
  }
  socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

/** Ends everything at once: clients of a venue that stops see it stop. */
function close(server: Server, sockets: WebSocketServer, wire: Wire): Effect.Effect<void> {
  return Effect.callback<void>((resume) => {
    wire.terminateAll()
    sockets.close()
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
}

function asSimulatorError(error: LedgerError): SimulatorError {
  return new SimulatorError({ text: error.message })
}
