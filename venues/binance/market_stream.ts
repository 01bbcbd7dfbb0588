/**
 * Trades and quotes, without an end and without a hole.
 *
 * What should be subscribed is known here and not taken from a connection: each subscribes to all of
 * it, checks the acknowledgements, and later asks the venue what it thinks, because a subscription
 * can be lost without a word. Connections are replaced in time (`rotation.ts`).
 */
import { Clock, Effect, type Scope } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Quote, Trade } from "../../domain/market.ts"
import { Faulty, type MarketData, Overrun, VenueError, type VenueFailure } from "../market_data.ts"
import type { LivenessPolicy, Traffic } from "../socket.ts"
import { openGoverned } from "./connection.ts"
import { decodeMarketFrame } from "./decode.ts"
import type { Rest } from "./rest.ts"
import {
  type Handover,
  isLater,
  type Line,
  rotating,
  type RotationPolicy,
  rotationPolicy,
} from "./rotation.ts"
import { symbolMap, symbolOf, VENUE } from "./symbols.ts"

export interface MarketStreamOptions {
  /** `wss://stream.binance.com:9443`, or any other host. */
  readonly streamUrl: string
  readonly rest: Rest
  readonly policy: LivenessPolicy
  readonly traffic: Traffic
  readonly rotation?: RotationPolicy
  /** Between two questions to the venue about what is subscribed. Default: a minute. */
  readonly listEveryMs?: number
  /** For the acknowledgement of a subscription. Default: five seconds. */
  readonly subscribeTimeoutMs?: number
}

/** Streams in one SUBSCRIBE, so that the frame stays small. */
const STREAMS_PER_REQUEST = 200
/** Five frames a second are allowed, and pings are among them. */
const CONTROL_EVERY_MS = 350
const LIST_EVERY_MS = 60_000
const SUBSCRIBE_TIMEOUT_MS = 5_000
const LIST_ID = "list"

const doing = "market stream"
const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })

export function marketStream(options: MarketStreamOptions): MarketData["stream"] {
  return Effect.fn("binance.stream")(
    function* (instruments, sink) {
      return yield* rotating<Trade | Quote>({
        doing,
        policy: options.rotation ?? rotationPolicy,
        connect: (line) => connection(options, instruments, line, sink.undecoded),
        handover: new ByIds(),
        deliver: (event) => sink.event(event) ? undefined : new Overrun({ waiting: 0 }),
        ready: () => {},
      })
    },
    Effect.scoped,
  )
}

/** One connection with all its subscriptions, until it ends. */
const connection = Effect.fnUntraced(function* (
  options: MarketStreamOptions,
  instruments: ReadonlyArray<InstrumentId>,
  line: Line<Trade | Quote>,
  undecoded: (frame: string, reason: string) => void,
): Effect.fn.Return<never, VenueError, Scope.Scope> {
  const { rest, policy, streamUrl, traffic } = options
  const clock = yield* Clock.Clock
  const symbols = symbolMap(instruments)
  const { pull, send } = yield* openGoverned(
    rest,
    { venue: VENUE, doing, url: `${streamUrl}/stream`, policy, traffic },
    { priority: "data", weight: 0 },
  )
  const subscriptions = new Subscriptions(streamsOf(instruments))

  const control = Effect.gen(function* () {
    yield* Effect.forEach(
      subscriptions.requests(subscriptions.wanted),
      (request, at) =>
        Effect.andThen(at === 0 ? Effect.void : Effect.sleep(CONTROL_EVERY_MS), send(request)),
    )
    const timeoutMs = options.subscribeTimeoutMs ?? SUBSCRIBE_TIMEOUT_MS
    yield* Effect.sleep(timeoutMs)
    if (!subscriptions.isReady) {
      const detail = `subscribing: no acknowledgement for ${timeoutMs} ms`
      return yield* failed(new Faulty({ detail }))
    }
    return yield* forever(Effect.gen(function* () {
      yield* Effect.sleep(options.listEveryMs ?? LIST_EVERY_MS)
      yield* send(JSON.stringify({ method: "LIST_SUBSCRIPTIONS", id: LIST_ID }))
      yield* Effect.sleep(CONTROL_EVERY_MS)
      for (const request of subscriptions.requests(subscriptions.takeMissing())) {
        yield* send(request)
        yield* Effect.sleep(CONTROL_EVERY_MS)
      }
    }))
  })

  /** What ends the connection, if this frame does. */
  const taken = (frame: string, receivedAt: number): VenueFailure | undefined => {
    const decoded = decodeMarketFrame(frame, symbols, receivedAt)
    switch (decoded._tag) {
      case "Trade":
      case "Quote":
        return line.event(decoded)
      case "Undecoded":
        undecoded(frame, decoded.reason)
        return undefined
      case "Control": {
        if (decoded.error !== undefined) {
          return new Faulty({ detail: `subscribing: ${decoded.error}` })
        }
        const wasReady = subscriptions.isReady
        const failure = subscriptions.answered(decoded.id, decoded.streams)
        if (!wasReady && subscriptions.isReady) line.ready()
        return failure
      }
      case "Shutdown":
        line.leaving()
        return undefined
      case "Bar":
      case "Depth":
      case "Snapshot":
        return undefined
    }
  }
  const listening = forever(Effect.flatMap(pull, (frames) => {
    // They came in one read.
    const receivedAt = clock.currentTimeMillisUnsafe()
    for (const frame of frames) {
      const failure = taken(frame, receivedAt)
      if (failure !== undefined) return Effect.fail(failed(failure))
    }
    return Effect.void
  }))
  return yield* Effect.raceFirst(listening, control)
})

function streamsOf(instruments: ReadonlyArray<InstrumentId>): ReadonlyArray<string> {
  return instruments.map(symbolOf).flatMap((symbol) => [
    `${symbol.toLowerCase()}@trade`,
    `${symbol.toLowerCase()}@bookTicker`,
  ])
}

/** What one connection should deliver, and what the venue has said about it. */
class Subscriptions {
  readonly wanted: ReadonlyArray<string>
  readonly #unanswered = new Set<string>()
  #sent = 0
  #missing: ReadonlyArray<string> = []

  constructor(wanted: ReadonlyArray<string>) {
    this.wanted = wanted
  }

  /** All that was asked for so far has been acknowledged. */
  get isReady(): boolean {
    return this.#sent > 0 && this.#unanswered.size === 0
  }

  requests(streams: ReadonlyArray<string>): ReadonlyArray<string> {
    const requests: Array<string> = []
    for (let at = 0; at < streams.length; at += STREAMS_PER_REQUEST) {
      const id = ++this.#sent
      this.#unanswered.add(String(id))
      const params = streams.slice(at, at + STREAMS_PER_REQUEST)
      requests.push(JSON.stringify({ method: "SUBSCRIBE", params, id }))
    }
    return requests
  }

  /** A connection without one of its streams asks for it again; without all of them it is broken. */
  answered(
    id: string | undefined,
    streams: ReadonlyArray<string> | undefined,
  ): VenueFailure | undefined {
    if (id !== LIST_ID || streams === undefined) {
      if (id !== undefined) this.#unanswered.delete(id)
      return undefined
    }
    const known = new Set(streams)
    this.#missing = this.wanted.filter((each) => !known.has(each))
    return this.#missing.length > 0 && this.#missing.length === this.wanted.length
      ? new Faulty({ detail: "the venue has forgotten every subscription of this connection" })
      : undefined
  }

  takeMissing(): ReadonlyArray<string> {
    const missing = this.#missing
    this.#missing = []
    return missing
  }
}

interface Ids {
  trade: string | undefined
  update: string | undefined
}

/** By the venue's own numbers: trades are dense, updates only rise. */
export class ByIds implements Handover<Trade | Quote> {
  readonly showsHoles = true
  #last = new Map<InstrumentId, Ids>()
  /** As it was at the last turn. */
  #floor: ReadonlyMap<InstrumentId, Ids> = new Map()

  delivered(event: Trade | Quote) {
    let ids = this.#last.get(event.instrument)
    if (ids === undefined) {
      this.#last.set(event.instrument, ids = { trade: undefined, update: undefined })
    }
    if (event._tag === "Quote") ids.update = event.updateId
    else if (ids.trade === undefined || isLater(event.tradeId, ids.trade)) ids.trade = event.tradeId
  }

  joins(waiting: ReadonlyArray<Trade | Quote>): boolean {
    // It must have shown that it delivers.
    if (waiting.length === 0) return false
    const seen = new Set<InstrumentId>()
    for (const event of waiting) {
      if (event._tag !== "Trade" || seen.has(event.instrument)) continue
      seen.add(event.instrument)
      const last = this.#last.get(event.instrument)?.trade
      if (last !== undefined && BigInt(event.tradeId) > BigInt(last) + 1n) return false
    }
    return true
  }

  turn() {
    this.#floor = new Map([...this.#last].map(([id, ids]) => [id, { ...ids }]))
  }

  isRepeat(event: Trade | Quote): boolean {
    const floor = this.#floor.get(event.instrument)
    if (floor === undefined) return false
    const [before, id] = event._tag === "Trade"
      ? [floor.trade, event.tradeId]
      : [floor.update, event.updateId]
    return before !== undefined && !isLater(id, before)
  }
}
