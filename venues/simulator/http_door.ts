/**
 * HTTP requests in, answers out, for either venue.
 *
 * Faults strike here in two places: before a request is worked on, when nothing has
 * happened yet, and after, when everything has and only the answer is at stake.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import type { RequestFault } from "./fault.ts"
import type { Faults, Subject } from "./faults.ts"
import { readBody } from "./http_body.ts"

const BODY_MAX = 100_000
const DRIPS = 10
const JSON_TYPE = "application/json;charset=UTF-8"

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly body: string
  readonly headers: IncomingHttpHeaders
}

export interface HttpReply {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/** What a venue does about requests. */
export interface HttpDesk {
  /** How a fault would name it. */
  readonly subject: (request: HttpRequest) => Subject
  /** `reply` is called once, now or later. */
  readonly answer: (request: HttpRequest, reply: (reply: HttpReply) => void) => void
  /** Fills the order that the request is about to cancel, and then goes on. */
  readonly fillEarly: (request: HttpRequest, done: () => void) => void
  /** A request came, or has been dealt with. */
  readonly count: (change: 1 | -1) => void
  /** Goes on with a request after so many milliseconds of the venue's time. */
  readonly hold: (ms: number, act: () => void) => void
  /** True when nothing may be answered any more. */
  readonly isClosed: () => boolean
}

interface Exchange {
  readonly request: HttpRequest
  readonly response: ServerResponse
  readonly subject: Subject
}

export class HttpDoor {
  readonly #desk: HttpDesk
  readonly #faults: Faults
  readonly #responses = new Set<ServerResponse>()

  constructor(desk: HttpDesk, faults: Faults) {
    this.#desk = desk
    this.#faults = faults
  }

  /** Cuts off everybody who waits for an answer that will not come. */
  abort() {
    for (const response of this.#responses) response.socket?.destroy()
  }

  readonly serve = (incoming: IncomingMessage, response: ServerResponse) => {
    this.#desk.count(1)
    this.#responses.add(response)
    response.on("close", () => this.#done(response))
    readBody(incoming, BODY_MAX, (body) => {
      const url = incoming.url ?? "/"
      const at = url.indexOf("?")
      const request: HttpRequest = {
        method: incoming.method ?? "",
        path: at < 0 ? url : url.slice(0, at),
        query: at < 0 ? "" : url.slice(at + 1),
        body,
        headers: incoming.headers,
      }
      this.#receive({ request, response, subject: this.#desk.subject(request) })
    })
  }

  #receive(exchange: Exchange) {
    const { request, response, subject } = exchange
    if (this.#desk.isClosed()) return response.socket?.destroy()
    const fault = this.#faults.request(subject, "before")
    if (fault === undefined) return this.#answer(exchange)
    switch (fault.kind) {
      case "delay":
        return this.#desk.hold(fault.ms, () => this.#answer(exchange))
      case "fill_before_cancel":
        return this.#desk.fillEarly(request, () => this.#answer(exchange))
      default:
        return this.#strike(fault, response, undefined)
    }
  }

  #answer({ request, response, subject }: Exchange) {
    this.#desk.answer(request, (reply) => {
      const fault = this.#faults.request(subject, "after")
      if (fault === undefined) this.#send(response, reply)
      else this.#strike(fault, response, reply)
    })
  }

  #strike(fault: RequestFault, response: ServerResponse, reply: HttpReply | undefined) {
    switch (fault.kind) {
      case "respond":
        return this.#send(response, {
          status: fault.status,
          body: fault.body,
          headers: {
            ...(fault.contentType !== undefined && { "content-type": fault.contentType }),
            ...(fault.retryAfterSeconds !== undefined &&
              { "retry-after": String(fault.retryAfterSeconds) }),
          },
        })
      case "reset": {
        const { socket } = response
        if (socket instanceof Socket) socket.resetAndDestroy()
        else response.destroy()
        return this.#done(response)
      }
      case "hang":
        // Nobody works on it any more; only its connection does not know.
        return this.#done(response)
      case "delay":
        return this.#desk.hold(fault.ms, () => reply && this.#send(response, reply))
      case "truncate":
        return reply && this.#truncate(response, reply)
      case "drip":
        return reply && this.#drip(response, reply, fault.ms)
      case "fill_before_cancel":
        return reply && this.#send(response, reply)
    }
  }

  #send(response: ServerResponse, { status, body, headers }: HttpReply) {
    response.writeHead(status, { "content-type": JSON_TYPE, ...headers })
    response.end(body)
    this.#done(response)
  }

  #truncate(response: ServerResponse, { status, body, headers }: HttpReply) {
    response.writeHead(status, {
      "content-type": JSON_TYPE,
      "content-length": String(new TextEncoder().encode(body).length),
      ...headers,
    })
    response.write(body.slice(0, Math.floor(body.length / 2)), () => response.socket?.destroy())
    this.#done(response)
  }

  #drip(response: ServerResponse, { status, body, headers }: HttpReply, ms: number) {
    response.writeHead(status, { "content-type": JSON_TYPE, ...headers })
    const size = Math.max(1, Math.ceil(body.length / DRIPS))
    const drop = (from: number) => {
      if (!this.#responses.has(response)) return
      response.write(body.slice(from, from + size))
      if (from + size < body.length) return this.#desk.hold(ms, () => drop(from + size))
      response.end()
      this.#done(response)
    }
    drop(0)
  }

  #done(response: ServerResponse) {
    if (this.#responses.delete(response)) this.#desk.count(-1)
  }
}
