/**
 * The public market streams: who listens to what, and the frames that reach them.
 *
 * A socket names its streams in its path or by control frames, and gets every frame
 * of them once, wrapped or bare. The hub does not know what a frame means.
 */
import type { WebSocket } from "ws"
import type { Publisher } from "./binance_venue.ts"
import type { RawFrame } from "./recording.ts"
import type { Wire } from "./wire.ts"

const STREAMS_MAX = 1_024
const METHODS = ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]

interface Listener {
  readonly socket: WebSocket
  /** Whether frames come wrapped as `{stream, data}`. */
  isCombined: boolean
  readonly streams: Set<string>
}

export class StreamHub implements Publisher {
  readonly #wire: Wire
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #all = new Set<Listener>()

  constructor(wire: Wire) {
    this.#wire = wire
  }

  readonly publish = (stream: string, data: () => object) => {
    const listeners = this.#listeners.get(stream)
    if (listeners === undefined) return
    const text = JSON.stringify(data())
    this.#send(stream, listeners, text, `{"stream":"${stream}","data":${text}}`)
  }

  readonly republish = (frame: RawFrame) => {
    const listeners = this.#listeners.get(frame.stream)
    if (listeners !== undefined) this.#send(frame.stream, listeners, frame.data, frame.combined)
  }

  readonly listened = () => this.#listeners.keys()

  /** Serves one socket until it closes. */
  attach(socket: WebSocket, options: { isCombined: boolean; streams: ReadonlyArray<string> }) {
    const listener: Listener = { socket, isCombined: options.isCombined, streams: new Set() }
    this.#all.add(listener)
    this.#subscribe(listener, options.streams)
    socket.on("message", (data) => this.#control(listener, String(data)))
    socket.on("close", () => {
      this.#all.delete(listener)
      this.#unsubscribe(listener, [...listener.streams])
    })
  }

  /** Tells every socket, whatever it listens to. */
  announce(data: object) {
    const text = JSON.stringify(data)
    for (const { socket, isCombined } of this.#all) {
      const combined = `{"stream":"!serverShutdown","data":${text}}`
      this.#wire.send(socket, isCombined ? combined : text)
    }
  }

  #send(stream: string, listeners: ReadonlySet<Listener>, data: string, combined: string) {
    const symbol = stream.slice(0, Math.max(0, stream.indexOf("@"))).toUpperCase()
    for (const { socket, isCombined } of listeners) {
      this.#wire.send(socket, isCombined ? combined : data, { door: "streams", stream, symbol })
    }
  }

  #subscribe(listener: Listener, streams: ReadonlyArray<string>) {
    for (const stream of streams) {
      listener.streams.add(stream)
      const listeners = this.#listeners.get(stream) ?? new Set()
      listeners.add(listener)
      this.#listeners.set(stream, listeners)
    }
  }

  #unsubscribe(listener: Listener, streams: ReadonlyArray<string>) {
    for (const stream of streams) {
      listener.streams.delete(stream)
      const listeners = this.#listeners.get(stream)
      listeners?.delete(listener)
      if (listeners?.size === 0) this.#listeners.delete(stream)
    }
  }

  #control(listener: Listener, text: string) {
    this.#wire.send(listener.socket, JSON.stringify(this.#answer(listener, text)))
  }

  #answer(listener: Listener, text: string): object {
    let request: unknown
    try {
      request = JSON.parse(text)
    } catch {
      return { code: 3, msg: "Invalid JSON: expected value at line 1 column 1", id: null }
    }
    if (typeof request !== "object" || request === null || Array.isArray(request)) {
      return invalid("expected an object", null)
    }
    const fields: Record<string, unknown> = { ...request }
    const { method, params, id = null } = fields
    const isId = id === null || (typeof id === "number" && Number.isSafeInteger(id)) ||
      (typeof id === "string" && id.length <= 36)
    if (!isId) {
      return invalid("request ID must be an integer, a string of at most 36, or null", null)
    }
    if (typeof method !== "string" || !METHODS.includes(method)) {
      return invalid(
        `unknown variant \`${String(method)}\`, expected one of ${METHODS.join(", ")}`,
        id,
      )
    }
    const list: ReadonlyArray<unknown> = Array.isArray(params) ? params : []
    switch (method) {
      case "SUBSCRIBE":
      case "UNSUBSCRIBE": {
        if (!Array.isArray(params) || list.some((one) => typeof one !== "string")) {
          return invalid("params must be an array of strings", id)
        }
        const streams = list.map(String)
        if (method === "UNSUBSCRIBE") this.#unsubscribe(listener, streams)
        else {
          if (new Set([...listener.streams, ...streams]).size > STREAMS_MAX) {
            return invalid("too many parameters", id)
          }
          this.#subscribe(listener, streams)
        }
        return { result: null, id }
      }
      case "LIST_SUBSCRIPTIONS":
        return { result: [...listener.streams], id }
      case "SET_PROPERTY": {
        if (list[0] !== "combined") return { code: 0, msg: "Unknown property", id }
        if (typeof list[1] !== "boolean") {
          return { code: 1, msg: "Invalid value type: expected Boolean", id }
        }
        listener.isCombined = list[1]
        return { result: null, id }
      }
      default:
        if (list[0] !== "combined") return { code: 0, msg: "Unknown property", id }
        return { result: listener.isCombined, id }
    }
  }
}

function invalid(text: string, id: unknown) {
  return { code: 2, msg: `Invalid request: ${text}`, id }
}
