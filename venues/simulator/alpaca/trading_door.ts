/**
 * The stream of trade updates: who is authorised and listening hears what became of the orders.
 *
 * Frames are binary and hold JSON, unless MessagePack was asked for. The list of streams is
 * absolute: it replaces what was there. Nothing is repeated for those who were not there.
 */
import type { WebSocket } from "ws"
import type { Faults } from "../faults.ts"
import type { Arrival } from "../venue_server.ts"
import type { Wire } from "../wire.ts"
import { type Credentials, opens } from "./credentials.ts"
import { asBinary, asPack, readMessage, wantsPack } from "./stream_codec.ts"

const STREAMS = ["trade_updates"]
const DEPRECATION = 'this authentication format is being deprecated. Please use {"action":"auth",' +
  '"key":"<your-key>","secret":"<your-secret>"}'

interface Session {
  readonly socket: WebSocket
  isAuthorised: boolean
  streams: ReadonlyArray<string>
}

export class TradingDoor {
  readonly #parts: TradingDoorParts
  readonly #sessions = new Set<Session>()

  constructor(parts: TradingDoorParts) {
    this.#parts = parts
  }

  welcome({ socket, raw, headers }: Arrival) {
    const { wire, now } = this.#parts
    const packs = wantsPack(headers)
    const encode = packs ? asPack : asBinary
    wire.attach(socket, { door: "tradingStream", raw, now, limitsMessages: false, encode })
    const session: Session = { socket, isAuthorised: false, streams: [] }
    this.#sessions.add(session)
    socket.on("close", () => this.#sessions.delete(session))
    socket.on("message", (data: Uint8Array, isBinary: boolean) => {
      this.#receive(session, readMessage(data, isBinary, packs))
    })
  }

  tell(
    message: { readonly stream: string; readonly data: unknown },
    facts: { readonly symbol: string; readonly event: string },
  ) {
    const text = JSON.stringify(message)
    for (const { socket, isAuthorised, streams } of this.#sessions) {
      if (!isAuthorised || !streams.includes(message.stream)) continue
      this.#parts.wire.send(socket, text, {
        door: "tradingStream",
        path: "/stream",
        stream: message.stream,
        ...facts,
      })
    }
  }

  /** Everybody stays connected and authorised, and hears nothing any more. */
  endUpdates() {
    for (const session of this.#sessions) session.streams = []
  }

  #receive(session: Session, message: unknown) {
    const fields = fieldsOf(message)
    const data = fieldsOf(fields["data"])
    switch (fields["action"]) {
      case "auth":
        return this.#authorise(session, fields["key"], fields["secret"], "auth")
      case "authenticate":
        return this.#authorise(session, data["key_id"], data["secret_key"], "authenticate")
      case "listen":
        return this.#listen(session, data["streams"])
      default: {
        const error_message = session.isAuthorised
          ? `invalid action: ${String(fields["action"])}`
          : "not authenticated"
        return this.#say(session, { action: "error", data: { error_message } })
      }
    }
  }

  #authorise(session: Session, key: unknown, secret: unknown, action: "auth" | "authenticate") {
    const { credentials, faults } = this.#parts
    const fault = faults.login({ door: "tradingStream", path: "/stream", method: "auth" })
    const mayEnter = fault === undefined && opens(credentials, textOf(key), textOf(secret))
    session.isAuthorised = mayEnter
    if (!mayEnter) session.streams = []
    this.#say(session, {
      stream: "authorization",
      data: {
        action,
        ...(action === "authenticate" && { message: DEPRECATION }),
        status: mayEnter ? "authorized" : "unauthorized",
      },
    })
    if (fault !== undefined && "closes" in fault && fault.closes) session.socket.close(1000)
  }

  #listen(session: Session, streams: unknown) {
    if (!session.isAuthorised) {
      const data = { action: "listen", status: "unauthorized" }
      return this.#say(session, { stream: "authorization", data })
    }
    const asked: ReadonlyArray<unknown> = Array.isArray(streams) ? streams : []
    session.streams = STREAMS.filter((stream) => asked.includes(stream))
    const unknown = asked.filter((stream) => !STREAMS.includes(String(stream)))
    this.#say(session, {
      stream: "listening",
      data: {
        streams: session.streams,
        ...(unknown.length > 0 && { error: `unknown streams: ${unknown.join(", ")}` }),
      },
    })
  }

  #say({ socket }: Session, message: object) {
    this.#parts.wire.send(socket, JSON.stringify(message))
  }
}

export interface TradingDoorParts {
  readonly credentials: Credentials
  readonly faults: Faults
  readonly wire: Wire
  readonly now: () => number
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined
}
