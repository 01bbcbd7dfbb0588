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
import { decodedPart } from "../url_part.ts"
import { type Credentials, keysOf, opens } from "./credentials.ts"
import { answerData } from "./data_rest.ts"
import { RequestLimit } from "./limits.ts"
import { uuidOf } from "./listings.ts"
import type { SyntheticAlpacaMarket } from "./synthetic_market.ts"
import type { AlpacaTrading } from "./trading.ts"

export interface RequestParts {
  readonly credentials: Credentials
  readonly market: SyntheticAlpacaMarket
  readonly trading: Pick<AlpacaTrading, "handle" | "control">
  readonly later: Later
  readonly now: () => number
  readonly seed: number
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
}

const NO_DATA_ACCESS = { message: "unauthorized." }
const NO_DATA = { message: "Not Found" }
const TOO_MUCH_DATA = { message: "too many requests." }
const TOO_MANY = { code: 42910000, message: "rate limit exceeded" }
const NOTHING_THERE = { code: 40410000, message: "endpoint not found." }
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

  readonly fillEarly = ({ path }: HttpRequest, done: () => void) => {
    const { trading, fork } = this.#parts
    const query = new URLSearchParams()
    fork(
      Effect.map(trading.handle({ method: "GET", path, query, body: "" }), (found) => {
        const clientOrderId = clientOrderIdOf(found?.body)
        if (clientOrderId !== undefined) trading.control.fillResting(clientOrderId)
        done()
      }),
    )
  }

  readonly answer = (request: HttpRequest, reply: (reply: HttpReply) => void) => {
    const { credentials, market, trading, now, fork } = this.#parts
    const side = sideOf(request.path)
    const write = (status: number, text: string, more: HttpReply["headers"] = {}) =>
      reply({
        status,
        body: text,
        headers: {
          "x-request-id": uuidOf(`request ${this.#chance.next()}`).replaceAll("-", ""),
          ...this.limits[side].headers(now()),
          ...more,
        },
      })
    const send = (status: number, body: object, more?: HttpReply["headers"]) =>
      write(status, JSON.stringify(body), more)
    const { key, secret } = keysOf(request.headers)
    const isAnyones = isPublic(request.path) && key === undefined && secret === undefined
    if (!isAnyones && !opens(credentials, key, secret)) {
      return side === "data" ? send(401, NO_DATA_ACCESS) : send(403, NO_ACCESS)
    }
    const limit = this.limits[side]
    if (!limit.admit(now())) {
      const wait = { "retry-after": String(limit.retryAfterSeconds(now())) }
      return send(429, side === "data" ? TOO_MUCH_DATA : TOO_MANY, wait)
    }
    const { method, path, body } = request
    const query = new URLSearchParams(request.query)
    if (side === "data") {
      const found = method === "GET" ? answerData(market, path, query) : undefined
      return found === undefined ? send(404, NO_DATA) : send(found.status, found.body)
    }
    fork(
      Effect.map(
        trading.handle({ method, path, query, body }),
        (found) =>
          found === undefined
            ? send(404, NOTHING_THERE)
            : write(found.status, found.body, found.headers),
      ),
    )
  }
}

function clientOrderIdOf(text: string | undefined): string | undefined {
  return /"client_order_id"\s*:\s*"([^"]+)"/.exec(text ?? "")?.[1]
}

/** The history of crypto is for everybody; who shows a key has to show a good one. */
function isPublic(path: string): boolean {
  return path.startsWith("/v1beta3/crypto/")
}

function sideOf(path: string): "trading" | "data" {
  return path.startsWith("/v2/stocks/") || path.startsWith("/v1beta") ? "data" : "trading"
}

/** What a request is about, when it is about one thing. */
function symbolOf(path: string, query: string, body: string): string | undefined {
  const named = new URLSearchParams(query).get("symbols") ?? undefined
  if (named !== undefined) return named
  const inPath = /^\/v2\/(?:stocks|positions)\/([A-Z/.%0-9]+)(?:\/|$)/.exec(path)?.[1]
  if (inPath !== undefined) return decodedPart(inPath)
  return /"symbol"\s*:\s*"([^"]+)"/.exec(body)?.[1]
}
