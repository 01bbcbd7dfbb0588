/**
 * Requests to the simulated Alpaca: who asks, how often, and which side of it answers.
 *
 * Trading and data share the port and are told apart by their paths. Each has its own limit of
 * requests, and its own words for a key that is none.
 */
import { Effect, type Fiber } from "effect"
import { Chance } from "../chance.ts"
import type { Subject } from "../faults.ts"
import type { HttpDesk, HttpReply, HttpRequest } from "../http_door.ts"
import type { Later } from "../later.ts"
import { type Credentials, keysOf, opens } from "./credentials.ts"
import { answerData } from "./data_rest.ts"
import { RequestLimit } from "./limits.ts"
import { uuidOf } from "./listings.ts"
import type { SyntheticAlpacaMarket } from "./synthetic_market.ts"

export interface TradingRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
}

export interface TradingReply {
  readonly status: number
  /** Nothing, for answers that have no body. */
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What orders and accounts answer; `undefined` for a path they do not know. */
export type HandleTrading = (
  request: TradingRequest,
) => Effect.Effect<TradingReply | undefined>

export interface RequestParts {
  readonly credentials: Credentials
  readonly market: SyntheticAlpacaMarket
  readonly trading: HandleTrading
  readonly later: Later
  readonly now: () => number
  readonly seed: number
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly fillEarly: (request: HttpRequest) => void
}

const NO_DATA_ACCESS = { message: "unauthorized." }
const NO_ACCESS = { code: 40110000, message: "request is not authorized" }

export class AlpacaRequests implements HttpDesk {
  readonly limits = { trading: new RequestLimit(), data: new RequestLimit() }
  readonly #parts: RequestParts
  readonly #chance: Chance
  #open = 0
  #waiting = 0

  constructor(parts: RequestParts) {
    this.#parts = parts
    this.#chance = Chance.seeded(parts.seed, "request ids")
  }

  /** Requests that are being worked on now. */
  get busy(): number {
    return Math.max(0, this.#open - this.#waiting)
  }

  readonly subject = ({ method, path, query, body }: HttpRequest): Subject => {
    const symbol = symbolOf(path, query, body)
    return { door: sideOf(path), method, path, ...(symbol !== undefined && { symbol }) }
  }

  readonly count = (change: 1 | -1) => {
    this.#open += change
  }

  readonly hold = (ms: number, act: () => void) => {
    this.#waiting++
    this.#parts.later(ms, () => {
      this.#waiting--
      act()
    })
  }

  readonly isClosed = () => false

  readonly fillEarly = (request: HttpRequest) => this.#parts.fillEarly(request)

  readonly answer = (request: HttpRequest, reply: (reply: HttpReply) => void) => {
    const { credentials, market, trading, now, fork } = this.#parts
    const side = sideOf(request.path)
    const send = (answer: TradingReply) =>
      reply({
        status: answer.status,
        body: answer.body === undefined ? "" : JSON.stringify(answer.body),
        headers: {
          "x-request-id": uuidOf(`request ${this.#chance.next()}`).replaceAll("-", ""),
          ...this.limits[side].headers(now()),
          ...answer.headers,
        },
      })
    const { key, secret } = keysOf(request.headers)
    if (!opens(credentials, key, secret)) {
      return send(
        side === "data" ? { status: 401, body: NO_DATA_ACCESS } : { status: 403, body: NO_ACCESS },
      )
    }
    const limit = this.limits[side]
    if (!limit.admit(now())) {
      return send({
        status: 429,
        body: side === "data"
          ? { message: "too many requests." }
          : { code: 42910000, message: "rate limit exceeded" },
        headers: { "retry-after": String(limit.retryAfterSeconds(now())) },
      })
    }
    const { method, path, body } = request
    const query = new URLSearchParams(request.query)
    if (side === "data") {
      const found = method === "GET" ? answerData(market, path, query) : undefined
      return send(found ?? { status: 404, body: { message: "Not Found" } })
    }
    fork(
      Effect.map(
        trading({ method, path, query, body }),
        (found) =>
          send(found ?? { status: 404, body: { code: 40410000, message: "endpoint not found." } }),
      ),
    )
  }
}

function sideOf(path: string): "trading" | "data" {
  return path.startsWith("/v2/stocks/") || path.startsWith("/v1beta") ? "data" : "trading"
}

/** What a request is about, when it is about one thing. */
function symbolOf(path: string, query: string, body: string): string | undefined {
  const named = new URLSearchParams(query).get("symbols") ?? undefined
  if (named !== undefined) return named
  const inPath = /^\/v2\/(?:stocks|positions)\/([A-Z/.%0-9]+)(?:\/|$)/.exec(path)?.[1]
  if (inPath !== undefined) return decodeURIComponent(inPath)
  return /"symbol"\s*:\s*"([^"]+)"/.exec(body)?.[1]
}
