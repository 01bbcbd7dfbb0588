/**
 * The market data streams: connect, authenticate, subscribe, listen.
 *
 * Each feed is an endpoint with a slot of its own. A subscription adds to what was there, and is
 * answered with all there is. The door does not make messages; it knows who may hear them.
 */
import type { WebSocket } from "ws"
import type { Faults, Subject } from "../faults.ts"
import type { Arrival } from "../venue_server.ts"
import type { Wire } from "../wire.ts"
import { type Credentials, keysOf, opens } from "./credentials.ts"
import type { Feed } from "./data_tape.ts"
import { TEST_SYMBOL } from "./listings.ts"
import type { Slots } from "./slots.ts"
import { asMarketPack, readMessage, wantsPack } from "./stream_codec.ts"
import {
  type Channel,
  type DataMessage,
  LETTERS,
  type SyntheticAlpacaMarket,
} from "./synthetic_market.ts"

interface Endpoint {
  readonly path: string
  readonly feed: Feed
  readonly channels: ReadonlyArray<Channel>
  readonly shows: (symbol: string) => boolean
  readonly delayMs: number
}

const SHARES = [
  "trades",
  "quotes",
  "bars",
  "updatedBars",
  "dailyBars",
  "statuses",
  "lulds",
  "imbalances",
  "corrections",
  "cancelErrors",
] as const
const CRYPTO = ["trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"] as const
/** What comes along with trades, whether it was asked for or not. */
const WITH_TRADES = ["corrections", "cancelErrors"] as const

const isShare = (symbol: string) => !symbol.includes("/") && symbol !== TEST_SYMBOL
const endpoint = (
  path: string,
  feed: Feed,
  channels: ReadonlyArray<Channel>,
  shows: (symbol: string) => boolean,
  delayMs = 0,
): Endpoint => ({ path, feed, channels, shows, delayMs })

const ENDPOINTS: ReadonlyArray<Endpoint> = [
  endpoint("/v2/iex", "iex", SHARES, isShare),
  endpoint("/v2/sip", "sip", SHARES, isShare),
  endpoint("/v2/delayed_sip", "sip", SHARES, isShare, 15 * 60_000),
  endpoint("/v2/test", "sip", SHARES, (symbol) => symbol === TEST_SYMBOL),
  endpoint("/v1beta3/crypto/us", "sip", CRYPTO, (symbol) => symbol.includes("/")),
]

export const AUTH_WITHIN_MS = 10_000
/** Bytes that wait for a client before it counts as too slow. */
const WAITING_MAX = 4_000_000

const ERRORS = {
  400: "invalid syntax",
  401: "not authenticated",
  402: "auth failed",
  403: "already authenticated",
  404: "auth timeout",
  405: "symbol limit exceeded",
  406: "connection limit exceeded",
  407: "slow client",
  408: "v2 not enabled",
  409: "insufficient subscription",
  410: "invalid subscribe action for this feed",
  500: "internal error",
} as const
export type DataError = keyof typeof ERRORS

interface Session {
  readonly endpoint: Endpoint
  readonly socket: WebSocket
  isAuthenticated: boolean
  readonly lists: Map<Channel, Set<string>>
}

export class DataDoor {
  readonly #parts: DataDoorParts
  readonly #sessions = new Set<Session>()

  constructor(parts: DataDoorParts) {
    this.#parts = parts
    parts.market.onData((message) => this.#publish(message))
  }

  static knows(path: string): boolean {
    return ENDPOINTS.some((one) => one.path === path)
  }

  welcome({ socket, raw, path, headers }: Arrival) {
    const found = ENDPOINTS.find((one) => one.path === path)
    if (found === undefined) return socket.close(1008)
    const { wire, now, later, credentials } = this.#parts
    const packs = wantsPack(headers)
    wire.attach(socket, {
      door: "dataStream",
      raw,
      now,
      limitsMessages: false,
      ...(packs && { encode: asMarketPack }),
    })
    const session: Session = {
      endpoint: found,
      socket,
      isAuthenticated: false,
      lists: new Map(found.channels.map((channel) => [channel, new Set()])),
    }
    this.#sessions.add(session)
    socket.on("close", () => this.#sessions.delete(session))
    socket.on("message", (data: Uint8Array, isBinary: boolean) => {
      this.#receive(session, readMessage(data, isBinary, packs))
    })
    this.#say(session, { T: "success", msg: "connected" })
    const { key, secret } = keysOf(headers)
    if (key !== undefined) this.#authenticate(session, opens(credentials, key, secret))
    later(AUTH_WITHIN_MS, () => {
      if (session.isAuthenticated || !this.#sessions.has(session)) return
      this.#refuse(session, 404)
      socket.close(1000)
    })
  }

  // What clients say

  #receive(session: Session, message: unknown) {
    if (typeof message !== "object" || message === null || Array.isArray(message)) {
      return this.#refuse(session, 400)
    }
    const fields: Readonly<Record<string, unknown>> = { ...message }
    switch (fields["action"]) {
      case "auth": {
        if (session.isAuthenticated) return this.#refuse(session, 403)
        const { credentials } = this.#parts
        return this.#authenticate(
          session,
          opens(credentials, textOf(fields["key"]), textOf(fields["secret"])),
        )
      }
      case "subscribe":
      case "unsubscribe":
        if (!session.isAuthenticated) return this.#refuse(session, 401)
        return this.#subscribe(session, fields, fields["action"] === "subscribe")
      default:
        return this.#refuse(session, session.isAuthenticated ? 400 : 401)
    }
  }

  #authenticate(session: Session, isAllowed: boolean) {
    const { faults, slots, busyCloses } = this.#parts
    const { socket, endpoint: { path } } = session
    const fault = faults.login({ door: "dataStream", path, method: "auth" })
    if (fault?.kind === "auth_failure" || !isAllowed) {
      this.#refuse(session, 402)
      if (fault?.kind === "auth_failure" && fault.closes) socket.close(1000)
      return
    }
    if (fault?.kind === "slot_busy" || !slots.take(path, socket)) {
      this.#refuse(session, 406)
      if (fault?.kind === "slot_busy" ? fault.closes ?? busyCloses : busyCloses) socket.close(1000)
      return
    }
    session.isAuthenticated = true
    this.#say(session, { T: "success", msg: "authenticated" })
  }

  #subscribe(session: Session, fields: Readonly<Record<string, unknown>>, isMore: boolean) {
    const { endpoint: { path, channels }, lists } = session
    const asked = new Map<Channel, ReadonlyArray<string>>()
    for (const [name, value] of Object.entries(fields)) {
      if (name === "action") continue
      const channel = SHARES.find((one) => one === name) ?? CRYPTO.find((one) => one === name)
      if (channel === undefined || !isTexts(value)) return this.#refuse(session, 400)
      if (value.length > 0 && !channels.includes(channel)) return this.#refuse(session, 410)
      asked.set(channel, value)
    }
    if (isMore) {
      const fault = this.#parts.faults.login({ door: "dataStream", path, method: "subscribe" })
      if (fault?.kind === "subscription_error") return this.#refuse(session, fault.code)
      if (this.#exceeds(session, asked)) return this.#refuse(session, 405)
    }
    const begun = new Set<string>()
    for (const [channel, symbols] of asked) {
      const others = channel === "trades" && channels.includes("corrections") ? WITH_TRADES : []
      for (const one of [channel, ...others]) {
        for (const symbol of symbols) {
          const list = lists.get(one)
          if (isMore && one === "orderbooks" && !list?.has(symbol)) begun.add(symbol)
          if (isMore) list?.add(symbol)
          else list?.delete(symbol)
        }
      }
    }
    this.#say(session, {
      T: "subscription",
      ...Object.fromEntries([...lists].map(([channel, symbols]) => [channel, [...symbols]])),
    })
    for (const symbol of begun) this.#sayOrderbook(session, symbol)
  }

  /** Of a plan that allows so many symbols for trades and quotes. */
  #exceeds({ lists }: Session, asked: ReadonlyMap<Channel, ReadonlyArray<string>>): boolean {
    const { symbolsMax } = this.#parts
    if (symbolsMax === undefined) return false
    return (["trades", "quotes"] as const).some((channel) => {
      const symbols = new Set([...lists.get(channel) ?? [], ...asked.get(channel) ?? []])
      return symbols.has("*") || symbols.size > symbolsMax
    })
  }

  #sayOrderbook(session: Session, wanted: string) {
    const { market } = this.#parts
    for (const symbol of market.listings.keys()) {
      if (wanted !== "*" && wanted !== symbol) continue
      const body = market.orderbook(symbol)
      if (body === undefined) continue
      const text = JSON.stringify([{ T: LETTERS.orderbooks, S: symbol, ...body }])
      this.#send(session, text, "orderbooks", symbol)
    }
  }

  // What they hear

  #publish({ channel, symbol, body }: DataMessage) {
    if (this.#sessions.size === 0) return
    const texts = new Map<Feed, string | undefined>()
    for (const session of this.#sessions) {
      const { endpoint: { feed, shows, delayMs }, lists } = session
      const list = lists.get(channel)
      if (list === undefined || !shows(symbol) || !(list.has(symbol) || list.has("*"))) continue
      if (!texts.has(feed)) {
        const data = body(feed)
        texts.set(feed, data && JSON.stringify([{ T: LETTERS[channel], S: symbol, ...data }]))
      }
      const text = texts.get(feed)
      if (text === undefined) continue
      if (delayMs === 0) this.#send(session, text, channel, symbol)
      else this.#parts.later(delayMs, () => this.#send(session, text, channel, symbol))
    }
  }

  #send(session: Session, text: string, channel: Channel, symbol: string) {
    const { socket, endpoint: { path } } = session
    if (socket.bufferedAmount > WAITING_MAX) {
      this.#sessions.delete(session)
      this.#refuse(session, 407)
      return socket.close(1008, "slow client")
    }
    const subject: Subject = { door: "dataStream", path, stream: channel, symbol }
    this.#parts.wire.send(socket, text, subject)
  }

  #refuse(session: Session, code: DataError) {
    this.#say(session, { T: "error", code, msg: ERRORS[code] })
  }

  #say({ socket }: Session, message: object) {
    this.#parts.wire.send(socket, JSON.stringify([message]))
  }
}

export interface DataDoorParts {
  readonly market: SyntheticAlpacaMarket
  readonly credentials: Credentials
  readonly faults: Faults
  readonly wire: Wire
  readonly slots: Slots
  readonly now: () => number
  readonly later: (ms: number, act: () => void) => void
  /** Whether the venue closes the connection that found its slot taken. */
  readonly busyCloses: boolean
  /** Symbols for trades and for quotes; without it there is no limit. */
  readonly symbolsMax: number | undefined
}

function isTexts(value: unknown): value is ReadonlyArray<string> {
  return Array.isArray(value) && value.every((one) => typeof one === "string")
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined
}
