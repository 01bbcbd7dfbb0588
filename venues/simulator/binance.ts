/**
 * The simulated Binance spot venue: real sockets, real protocol, own market.
 *
 * One loopback port serves REST, the public streams and the WS-API, so that a client
 * of the real venue needs nothing but other addresses. The market is either generated,
 * on the clock of its surroundings, or a recording that `play` walks through on its
 * own clock, event by event, waiting for its listener each time.
 */
import { Clock, Effect, Scope } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import { BinanceDesk } from "./binance_desk.ts"
import { binanceDoors } from "./binance_doors.ts"
import {
  generate,
  makeVenue,
  play,
  type PlayOptions,
  type ReplaySummary,
  type SimulatorMarket,
  startingMarket,
} from "./binance_drive.ts"
import { type MyTradeBody, myTradeBody, type OrderBody, orderBody } from "./binance_messages.ts"
import type { BinanceVenue } from "./binance_venue.ts"
import { formatAtoms, parseAtoms } from "./decimals.ts"
import type { Fault } from "./fault.ts"
import { Faults } from "./faults.ts"
import { makeLater } from "./later.ts"
import { type Ledger, type LedgerContents, type LedgerError, mergeBatches } from "./ledger.ts"
import { makeOutbox } from "./outbox.ts"
import type { RecordingError } from "./recording.ts"
import { makeRestDoor } from "./rest_door.ts"
import { StreamHub } from "./stream_hub.ts"
import { impossible, strike } from "./strike.ts"
import { listen, SimulatorError } from "./venue_server.ts"
import { Wire } from "./wire.ts"
import { WsApiDoor } from "./ws_api_door.ts"

export { SimulatorError }
export type { PlayOptions, ReplaySummary, SimulatorMarket }

export interface VenueBooks {
  readonly balances: Readonly<Record<string, { readonly free: string; readonly locked: string }>>
  readonly openOrders: ReadonlyArray<OrderBody>
  readonly orders: ReadonlyArray<OrderBody>
  readonly trades: ReadonlyArray<MyTradeBody>
}

export interface SimulatedBinance {
  readonly endpoints: { readonly rest: string; readonly ws: string; readonly wsApi: string }
  readonly key: string
  readonly secret: string
  /** Frames handed to sockets so far, pings aside; requests being worked on. */
  readonly traffic: () => { readonly framesSent: number; readonly requestsOpen: number }
  /** The venue's own books. */
  readonly books: () => VenueBooks
  /** Plays a recorded market once, from beginning to end. */
  readonly play: (
    options: PlayOptions,
  ) => Effect.Effect<ReplaySummary, SimulatorError | RecordingError>
  /** What goes wrong on purpose, and what has gone wrong. */
  readonly faults: Pick<Faults, "armed" | "journal" | "disarm">
  /** Its id. */
  readonly arm: (fault: Fault) => Effect.Effect<string, SimulatorError>
}

export interface SimulatorOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly key: string
  readonly secret: string
  /** Ed25519, PEM: lets the account sign with its private key and log sessions on. */
  readonly publicKey?: string
  readonly market: SimulatorMarket
  readonly ledger: Ledger
  /** What the account begins with, when its ledger is empty; by default 100 000 USDT. */
  readonly balances?: Readonly<Record<string, string>>
  /** Armed from the start. */
  readonly faults?: ReadonlyArray<Fault>
}

const STRIKE_EVERY_MS = 50

export const startSimulatedBinance = Effect.fn("SimulatedBinance.start")(function* (
  options: SimulatorOptions,
): Effect.fn.Return<SimulatedBinance, SimulatorError, Scope.Scope> {
  const { market, host, port } = options
  const clock = market.kind === "recording" ? market.clock.clock : yield* Clock.Clock
  const onClock = Effect.provideService(Clock.Clock, clock)
  const skew = { ms: 0 }
  const time = () => Math.floor(clock.currentTimeMillisUnsafe())
  const now = () => time() + skew.ms
  const later = yield* makeLater(onClock)
  const contents = yield* options.ledger.load.pipe(Effect.mapError(asSimulatorError))

  const faults = new Faults(time)
  const wire = new Wire(faults, later)
  const hub = new StreamHub(wire)
  const venue = makeVenue(market, contents, hub, now)
  yield* fund(venue, options, contents, now())
  const start = startingMarket(market, venue, contents, now())

  const outbox = yield* makeOutbox({
    commit: options.ledger.commit,
    merge: mergeBatches,
    onFailure: (error) => {
      rest.abort()
      wire.terminateAll()
      return Effect.logError(`simulated venue stopped: ${error.message}`)
    },
  })
  const { key, secret, publicKey } = options
  const credentials = {
    key,
    secret,
    ...(publicKey !== undefined && { publicKey }),
    isRevoked: false,
  }
  const wsApi: WsApiDoor = new WsApiDoor(() => desk, faults, wire)
  const desk = new BinanceDesk({
    venue,
    credentials,
    outbox,
    now,
    later,
    tell: (changes) => wsApi.tell(changes),
  })
  const rest = makeRestDoor(desk, faults)
  // A recording's time may stand still or fly: seconds mean nothing there.
  const limitsMessages = market.kind === "synthetic"
  const server = yield* listen(
    { host, port },
    binanceDoors({ desk, rest, wsApi, hub, wire, faults, limitsMessages }),
  )

  const struck = { desk, credentials, wire, hub, wsApi, server, skew }
  const strikeDue = () => {
    for (const fault of faults.due()) strike(fault, struck)
  }
  const arm = Effect.fn("SimulatedBinance.arm")(function* (fault: Fault) {
    const text = impossible(fault, venue.listings)
    if (text !== undefined) {
      return yield* new SimulatorError({ text: `fault ${fault.kind}: ${text}` })
    }
    return faults.arm(fault)
  })
  for (const fault of options.faults ?? []) yield* arm(fault)

  const every = (ms: number, act: () => void) =>
    Effect.forkScoped(onClock(forever(Effect.andThen(Effect.sync(act), Effect.sleep(ms)))))
  if (start !== undefined) {
    yield* Effect.forkScoped(onClock(generate(desk, outbox.send, start)))
    yield* every(STRIKE_EVERY_MS, strikeDue)
    yield* every(1_000, () => wire.beat(time()))
  }
  const authority = `${host.includes(":") ? `[${host}]` : host}:${server.port}`
  let isPlayed = false
  return {
    endpoints: {
      rest: `http://${authority}`,
      ws: `ws://${authority}`,
      wsApi: `ws://${authority}/ws-api/v3`,
    },
    key,
    secret,
    traffic: () => ({
      framesSent: wire.framesSent,
      requestsOpen: desk.requestsBusy + outbox.pending(),
    }),
    books: () => booksOf(venue),
    play: (how) => {
      if (market.kind !== "recording") {
        return new SimulatorError({ text: "nothing recorded to play" })
      }
      if (isPlayed) return new SimulatorError({ text: "the recording has been played already" })
      isPlayed = true
      return play(market, how, { desk, wire, strikeDue, isIdle: () => outbox.pending() === 0 })
    },
    faults,
    arm,
  }
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
    const batch = venue.batch(venue.deposit(asset, amount, now))
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

function asSimulatorError(error: LedgerError): SimulatorError {
  return new SimulatorError({ text: error.message })
}
