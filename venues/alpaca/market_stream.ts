/**
 * One stream of Alpaca's market data: shares, or crypto.
 *
 * Everything is asked for at once; where the plan does not allow that, what it refuses is told and
 * not asked for again.
 */
import { Effect, type Scope } from "effect"
import type { InstrumentId } from "../../domain/instrument.ts"
import {
  Forbidden,
  type MarketDataSink,
  Overrun,
  type VenueError,
  type VenueFailure,
} from "../market_data.ts"
import { converse, login, refusalFailure } from "./connection.ts"
import { type Control, type Decoded, decodeMarketFrame } from "./decode.ts"
import type { Feed, MarketDataOptions } from "./market_data.ts"
import { symbolMap, symbolOf } from "./symbols.ts"

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
    options: MarketDataOptions,
    { doing, path, hasStatuses }: Endpoint,
    instruments: ReadonlyArray<InstrumentId>,
    sink: MarketDataSink,
  ): Effect.fn.Return<never, VenueError, Scope.Scope> {
    const symbols = symbolMap(instruments)
    const subscribing = new Subscribing(instruments, hasStatuses, sink)
    const taken = (
      decoded: Decoded,
      frame: string,
      say: (message: unknown) => void,
    ): VenueFailure | undefined => {
      const ask = () => {
        const next = subscribing.next()
        if (next !== undefined) say(next)
      }
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
          say(login(options.keys))
          return undefined
        case "Authenticated":
        case "Subscribed":
          ask()
          return undefined
        case "Refusal":
          if (!subscribing.refuses(decoded, frame)) return refusalFailure(decoded)
          ask()
          return undefined
        case "Unauthorized":
          return new Forbidden({ detail: decoded.reason })
        case "Aside":
        case "Bar":
        case "Ignored":
        case "Listening":
          return undefined
      }
    }
    return yield* converse(options, {
      doing,
      url: `${options.streamUrl}${path}`,
      decode: (frame) => decodeMarketFrame(frame, symbols),
      taken,
      isSubscribed: () => subscribing.isDone,
    })
  },
  Effect.scoped,
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
