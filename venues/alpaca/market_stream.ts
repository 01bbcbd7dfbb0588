/**
 * One stream of Alpaca's market data: shares, or crypto.
 *
 * The account has one place per stream, so a connection is only given up with its closing
 * handshake; the next one would find the place taken. Everything is asked for at once; where the
 * plan does not allow that, what it refuses is told and not asked for again.
 */
import { Effect, Redacted } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import {
  Faulty,
  Forbidden,
  type MarketDataSink,
  Overrun,
  Silent,
  SlotBusy,
  VenueError,
  type VenueFailure,
} from "../market_data.ts"
import { openConnection } from "../socket.ts"
import { type Control, type Decoded, decodeMarketFrame } from "./decode.ts"
import type { Feed, MarketDataOptions } from "./market_data.ts"
import { symbolMap, symbolOf, VENUE } from "./symbols.ts"

export interface Endpoint {
  readonly doing: string
  readonly path: string
  /** Beside trades and quotes: halts and price bands, which crypto does not have. */
  readonly hasStatuses: boolean
}

export const cryptoEndpoint: Endpoint = {
  doing: "crypto stream",
  path: "/v1beta3/crypto/us",
  hasStatuses: false,
}

export function sharesEndpoint(feed: Feed): Endpoint {
  return { doing: `${feed} stream`, path: `/v2/${feed}`, hasStatuses: true }
}

/** One subscription that the venue takes or refuses as a whole. */
interface Wish {
  readonly what: "prices" | "statuses" | "both"
  readonly instruments: ReadonlyArray<InstrumentId>
}

export const streamOf = Effect.fn("alpaca.stream")(
  function* (
    { streamUrl, keys, policy, traffic, subscribeTimeoutMs }: MarketDataOptions,
    { doing, path, hasStatuses }: Endpoint,
    instruments: ReadonlyArray<InstrumentId>,
    sink: MarketDataSink,
  ): Effect.fn.Return<never, VenueError, never> {
    const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })
    const symbols = symbolMap(instruments)
    return yield* Effect.scoped(Effect.gen(function* () {
      const connection = yield* openConnection({
        venue: VENUE,
        doing,
        url: `${streamUrl}${path}`,
        policy,
        traffic,
        awaitsClose: true,
      })
      const subscribing = new Subscribing(instruments, hasStatuses, sink)
      const overdue = failed(new Silent({ what: "data", afterMs: subscribeTimeoutMs }))
      const frames = Effect.suspend(() =>
        subscribing.isDone ? connection.pull : Effect.timeoutOrElse(connection.pull, {
          duration: subscribeTimeoutMs,
          orElse: () => Effect.fail(overdue),
        })
      )
      const outbox: Array<unknown> = []
      /** Hands one message on; what ends the connection, if it does. */
      const taken = (decoded: Decoded, frame: string): VenueFailure | undefined => {
        switch (decoded._tag) {
          case "Trade":
          case "Quote":
          case "Status":
          case "PriceBand":
          case "TradeCorrection":
          case "TradeCancel":
            return sink.event(decoded) ? undefined : new Overrun({ waiting: 0 })
          case "Undecoded":
            sink.undecoded(frame, decoded.reason)
            return undefined
          case "Connected":
            outbox.push({
              action: "auth",
              key: Redacted.value(keys.key),
              secret: Redacted.value(keys.secret),
            })
            return undefined
          case "Authenticated":
          case "Subscribed": {
            const next = subscribing.next()
            if (next !== undefined) outbox.push(next)
            return undefined
          }
          case "Refusal": {
            if (!subscribing.refuses(decoded, frame)) return refusalFailure(decoded)
            const next = subscribing.next()
            if (next !== undefined) outbox.push(next)
            return undefined
          }
          case "Unauthorized":
            return new Forbidden({ detail: decoded.reason })
          case "Aside":
          case "Bar":
          case "Ignored":
          case "Listening":
            return undefined
        }
      }
      return yield* forever(Effect.flatMap(frames, (batch) => {
        for (const frame of batch) {
          for (const decoded of decodeMarketFrame(frame, symbols)) {
            const failure = taken(decoded, frame)
            if (failure !== undefined) return Effect.fail(failed(failure))
          }
        }
        const messages = outbox.splice(0).map((message) => JSON.stringify(message))
        return Effect.forEach(messages, connection.send, { discard: true })
      }))
    }))
  },
)

/**
 * Asks for everything at once, and where the plan does not allow that, for one instrument after the
 * other until it is full: an error does not say which symbol it is about.
 */
class Subscribing {
  #wishes: Array<Wish>
  #asked: Wish | undefined
  #started = false

  constructor(
    private readonly instruments: ReadonlyArray<InstrumentId>,
    private readonly hasStatuses: boolean,
    private readonly sink: MarketDataSink,
  ) {
    this.#wishes = [{ what: hasStatuses ? "both" : "prices", instruments }]
  }

  /** Nothing is left to ask, and the last question has been answered. */
  get isDone(): boolean {
    return this.#started && this.#asked === undefined && this.#wishes.length === 0
  }

  /** What to send now. */
  next(): Readonly<Record<string, unknown>> | undefined {
    this.#started = true
    this.#asked = this.#wishes.shift()
    if (this.#asked === undefined) return undefined
    const { what, instruments } = this.#asked
    const names = instruments.map(symbolOf)
    return {
      action: "subscribe",
      ...what !== "statuses" && { trades: names, quotes: names },
      ...what !== "prices" && { statuses: names, lulds: names },
    }
  }

  /** Whether the refusal is about a subscription, and is dealt with. */
  refuses({ code, reason }: Extract<Control, { _tag: "Refusal" }>, frame: string): boolean {
    const asked = this.#asked
    if (asked === undefined || !planCodes.has(code)) return false
    const isFirst = asked.instruments === this.instruments && asked.what !== "statuses"
    if (isFirst && (this.hasStatuses || this.instruments.length > 1)) {
      this.#wishes = [
        ...this.instruments.map((id): Wish => ({ what: "prices", instruments: [id] })),
        ...this.hasStatuses ? [{ what: "statuses", instruments: this.instruments } as const] : [],
      ]
      return true
    }
    if (asked.what === "statuses") {
      this.#refused(asked.instruments, "statuses", reason, frame)
      return true
    }
    // Full: the rest would be refused like this one.
    const rest = this.#wishes.filter(({ what }) => what === "prices")
    const left = [asked, ...rest].flatMap(({ instruments }) => instruments)
    this.#wishes = this.#wishes.filter(({ what }) => what !== "prices").map((wish) => ({
      ...wish,
      instruments: wish.instruments.filter((id) => !left.includes(id)),
    })).filter(({ instruments }) => instruments.length > 0)
    this.#refused(left, "prices", reason, frame)
    return true
  }

  #refused(
    instruments: ReadonlyArray<InstrumentId>,
    what: "prices" | "statuses",
    reason: string,
    frame: string,
  ) {
    if (this.sink.refused !== undefined) return this.sink.refused(instruments, what, reason)
    this.sink.undecoded(frame, `no ${what} of ${instruments.join(", ")}: ${reason}`)
  }
}

/** More symbols than the plan has, data that it has not, a channel that the feed has not. */
const planCodes: ReadonlySet<number> = new Set([405, 409, 410])

/** What the error of a stream means for whoever wants to try again. */
export function refusalFailure({ code, reason }: { code: number; reason: string }): VenueFailure {
  switch (code) {
    case 401:
    case 402:
    case 403:
    case 408:
    case 409:
      return new Forbidden({ detail: reason })
    case 406:
      return new SlotBusy({ detail: reason })
    // Told that we are too slow.
    case 407:
      return new Overrun({ waiting: 0 })
    default:
      return new Faulty({ detail: reason })
  }
}
