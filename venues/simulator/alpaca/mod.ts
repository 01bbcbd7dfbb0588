/**
 * The simulated Alpaca: shares and crypto, data and trading, over real sockets.
 *
 * One loopback port serves both REST hosts, the data streams and the stream of trade updates, so
 * that a client of the real venue needs nothing but other addresses. The market is generated on
 * the clock of its surroundings.
 */
import { Clock, Effect, type Scope } from "effect"
import { forever } from "../../../actors/runtime/forever.ts"
import type { Fault } from "../fault.ts"
import { Faults } from "../faults.ts"
import { HttpDoor } from "../http_door.ts"
import { makeLater } from "../later.ts"
import { seedMarket } from "../synthetic.ts"
import { type Arrival, listen, SimulatorError } from "../venue_server.ts"
import { type Door, Wire } from "../wire.ts"
import type { Credentials } from "./credentials.ts"
import { DataDoor } from "./data_door.ts"
import type { AlpacaLedger } from "./ledger.ts"
import { AlpacaRequests } from "./requests.ts"
import { Sessions, type SessionsKind } from "./sessions.ts"
import { Slots } from "./slots.ts"
import { impossible, strike, type Struck } from "./strike.ts"
import { PROFILES, SyntheticAlpacaMarket } from "./synthetic_market.ts"
import { startTrading } from "./trading.ts"
import { TradingDoor } from "./trading_door.ts"

export { SimulatorError }
export type { SessionsKind }

export interface AlpacaSimulatorOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly key: string
  readonly secret: string
  readonly market: { readonly kind: "synthetic"; readonly seed: number }
  readonly ledger: AlpacaLedger
  /** Dollars that a new account begins with; 100000. */
  readonly cash?: string
  /** How often only a part of an order fills at first; a tenth of the time. */
  readonly partialFillProbability?: number
  /** `always`, the default: every hour of every day is one of trading. */
  readonly sessions?: SessionsKind
  /** Armed from the start. */
  readonly faults?: ReadonlyArray<Fault>
  /** How long a session that ended uncleanly keeps the only slot of its endpoint; 90 000. */
  readonly slotHeldMs?: number
  /** Whether who finds the slot taken is closed as well as told; true. */
  readonly busyCloses?: boolean
  /** Symbols that one connection may have trades or quotes of; by default as many as there are. */
  readonly symbolsMax?: number
}

export interface SimulatedAlpaca {
  readonly endpoints: {
    readonly trading: string
    readonly data: string
    readonly dataStream: string
    readonly tradingStream: string
  }
  readonly key: string
  readonly secret: string
  /** Frames handed to sockets so far, pings aside; requests being worked on. */
  readonly traffic: () => { readonly framesSent: number; readonly requestsOpen: number }
  /** The venue's own books. */
  readonly books: () => unknown
  readonly faults: Pick<Faults, "armed" | "journal" | "disarm">
  /** Its id. */
  readonly arm: (fault: Fault) => Effect.Effect<string, SimulatorError>
}

const STEP_MS = 50
const SLOT_HELD_MS = 90_000

export const startSimulatedAlpaca = Effect.fn("SimulatedAlpaca.start")(function* (
  options: AlpacaSimulatorOptions,
): Effect.fn.Return<SimulatedAlpaca, SimulatorError, Scope.Scope> {
  const { host, port, key, secret, market: { seed } } = options
  const clock = yield* Clock.Clock
  const skew = { ms: 0 }
  const time = () => Math.floor(clock.currentTimeMillisUnsafe())
  const now = () => time() + skew.ms
  const later = yield* makeLater()
  const faults = new Faults(time, "alpaca-")
  // How long a connection may last is not documented; nobody here lives to see its end.
  const wire = new Wire(faults, later, Infinity)
  const credentials: Credentials = { key, secret, isRevoked: false }
  const sessions = new Sessions(options.sessions ?? "always")
  const market = new SyntheticAlpacaMarket(seedMarket(PROFILES, seed, now()), {
    now,
    skewMs: () => skew.ms,
    sessions,
    seed,
  })
  const slots = new Slots({
    heldMs: options.slotHeldMs ?? SLOT_HELD_MS,
    now: time,
    frozenSince: (socket) => wire.frozenSince(socket),
  })
  const data = new DataDoor({
    market,
    credentials,
    faults,
    wire,
    slots,
    now,
    later,
    busyCloses: options.busyCloses ?? true,
    symbolsMax: options.symbolsMax,
  })
  const updates = new TradingDoor({ credentials, faults, wire, now })
  const trading = yield* startTrading({
    market,
    ledger: options.ledger,
    cash: options.cash ?? "100000",
    seed,
    days: (from, to) => sessions.days(from, to),
    ...(options.partialFillProbability !== undefined &&
      { partialFillProbability: options.partialFillProbability }),
  })
  trading.onUpdate((message, facts) => updates.tell(message, facts))
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const requests = new AlpacaRequests({ credentials, market, trading, later, now, seed, fork })
  const rest = new HttpDoor(requests, faults)
  const server = yield* listen({ host, port }, {
    wire,
    faults,
    serve: rest.serve,
    doorOf,
    admit: () => undefined,
    welcome: (arrival: Arrival) =>
      arrival.door === "tradingStream" ? updates.welcome(arrival) : data.welcome(arrival),
  })
  const struck: Struck = {
    market,
    sessions,
    trading,
    credentials,
    wire,
    updates,
    requests,
    server,
    later,
    now,
    skew,
  }
  const arm = Effect.fn("SimulatedAlpaca.arm")(function* (fault: Fault) {
    const text = impossible(fault, market)
    if (text !== undefined) {
      return yield* new SimulatorError({ text: `fault ${fault.kind}: ${text}` })
    }
    return faults.arm(fault)
  })
  for (const fault of options.faults ?? []) yield* arm(fault)

  const every = (ms: number, act: () => void) =>
    Effect.forkScoped(forever(Effect.andThen(Effect.sync(act), Effect.sleep(ms))))
  yield* every(STEP_MS, () => market.step())
  yield* every(STEP_MS, () => {
    for (const fault of faults.due()) strike(fault, struck)
  })
  yield* every(1_000, () => wire.beat(time()))

  const authority = `${host.includes(":") ? `[${host}]` : host}:${server.port}`
  return {
    endpoints: {
      trading: `http://${authority}`,
      data: `http://${authority}`,
      dataStream: `ws://${authority}`,
      tradingStream: `ws://${authority}/stream`,
    },
    key,
    secret,
    traffic: () => ({
      framesSent: wire.framesSent,
      requestsOpen: requests.busy + (trading.isIdle() ? 0 : 1),
    }),
    books: trading.books,
    faults,
    arm,
  }
})

function doorOf(path: string): Door | undefined {
  if (path === "/stream") return "tradingStream"
  return DataDoor.knows(path) ? "dataStream" : undefined
}
