/**
 * The REST door: HTTP requests in, JSON out, with the venue's headers.
 *
 * Faults strike here in two places: before a request is worked on, when nothing has
 * happened yet, and after, when everything has and only the answer is at stake.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { authorise } from "./binance_auth.ts"
import type { BinanceDesk } from "./binance_desk.ts"
import { REST_ROUTES } from "./binance_operations.ts"
import { ApiError, Params } from "./binance_params.ts"
import type { RequestFault } from "./fault.ts"
import type { Faults, Subject } from "./faults.ts"

const BODY_MAX = 100_000
const DRIPS = 10

interface Reply {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly query: string
  readonly body: string
  readonly subject: Subject
}

export class RestDoor {
  readonly #desk: BinanceDesk
  readonly #faults: Faults
  readonly #responses = new Set<ServerResponse>()

  constructor(desk: BinanceDesk, faults: Faults) {
    this.#desk = desk
    this.#faults = faults
  }

  /** Cuts off everybody who waits for an answer that will not come. */
  abort() {
    for (const response of this.#responses) response.socket?.destroy()
  }

  serve(request: IncomingMessage, response: ServerResponse) {
    this.#desk.requestsOpen++
    this.#responses.add(response)
    response.on("close", () => this.#done(response))
    const chunks = new Array<string>()
    let length = 0
    request.setEncoding("utf8")
    request.on("data", (chunk: string) => {
      length += chunk.length
      if (length > BODY_MAX) request.socket.destroy()
      else chunks.push(chunk)
    })
    request.on("end", () => {
      const url = request.url ?? "/"
      const at = url.indexOf("?")
      const path = at < 0 ? url : url.slice(0, at)
      const query = at < 0 ? "" : url.slice(at + 1)
      const body = chunks.join("")
      const symbol = new URLSearchParams(query).get("symbol") ??
        new URLSearchParams(body).get("symbol")
      const subject: Subject = {
        door: "rest",
        method: request.method ?? "",
        path,
        ...(symbol !== null && { symbol }),
      }
      this.#receive({ request, response, path, query, body, subject })
    })
  }

  #receive(exchange: Exchange) {
    const { request, response, subject } = exchange
    if (this.#desk.isClosed) return request.socket.destroy()
    const fault = this.#faults.request(subject, "before")
    if (fault === undefined) return this.#answer(exchange)
    switch (fault.kind) {
      case "delay":
        return this.#desk.hold(fault.ms, () => this.#answer(exchange))
      case "fill_before_cancel": {
        const params = readParams(exchange)
        const change = this.#desk.venue.fillEarly(params, this.#desk.now())
        if (change !== undefined) this.#desk.report([change])
        return this.#answer(exchange)
      }
      default:
        return this.#strike(fault, response, undefined)
    }
  }

  #answer(exchange: Exchange) {
    const { request, response, path, query, body, subject } = exchange
    const { usage } = this.#desk
    const run = this.#desk.run(
      REST_ROUTES.get(`${request.method} ${path}`),
      `Path ${path}, Method ${request.method} is invalid`,
      () => {
        const params = readParams(exchange)
        return {
          params,
          authorise: ({ security }) =>
            authorise(this.#desk.credentials, {
              security,
              params,
              now: this.#desk.now(),
              key: request.headers["x-mbx-apikey"]?.toString(),
              payloads: [unsigned(query) + unsigned(body)],
            }),
        }
      },
    )
    const now = this.#desk.now()
    const weight = String(usage.weight(now))
    const headers: Record<string, string> = {
      "x-mbx-used-weight": weight,
      "x-mbx-used-weight-1m": weight,
    }
    if (run instanceof ApiError) {
      if (run.retryAfterSeconds !== undefined) {
        headers["retry-after"] = String(run.retryAfterSeconds)
      }
    } else if (run.isOrder) {
      headers["x-mbx-order-count-10s"] = String(usage.orders10s(now))
      headers["x-mbx-order-count-1d"] = String(usage.orders1d(now))
    }
    const reply: Reply = run instanceof ApiError
      ? { status: run.status, body: JSON.stringify(run.toBody()), headers }
      : { status: run.status ?? 200, body: JSON.stringify(run.body), headers }
    this.#desk.settle(run instanceof ApiError ? [] : run.changes ?? [], () => {
      const fault = this.#faults.request(subject, "after")
      if (fault === undefined) this.#send(response, reply)
      else this.#strike(fault, response, reply)
    })
  }

  #strike(fault: RequestFault, response: ServerResponse, reply: Reply | undefined) {
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

  #send(response: ServerResponse, { status, body, headers }: Reply) {
    response.writeHead(status, { "content-type": "application/json;charset=UTF-8", ...headers })
    response.end(body)
    this.#done(response)
  }

  #truncate(response: ServerResponse, { status, body, headers }: Reply) {
    response.writeHead(status, {
      "content-type": "application/json;charset=UTF-8",
      "content-length": String(new TextEncoder().encode(body).length),
      ...headers,
    })
    response.write(body.slice(0, Math.floor(body.length / 2)), () => response.socket?.destroy())
    this.#done(response)
  }

  #drip(response: ServerResponse, { status, body, headers }: Reply, ms: number) {
    response.writeHead(status, { "content-type": "application/json;charset=UTF-8", ...headers })
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
    if (this.#responses.delete(response)) this.#desk.requestsOpen--
  }
}

/** A parameter in both places is read from the query. */
function readParams({ query, body }: Exchange): Params {
  return new Params(new Map([...new URLSearchParams(body), ...new URLSearchParams(query)]))
}

/** What was signed: everything but the signature, byte for byte. */
function unsigned(form: string): string {
  return form.split("&").filter((part) => !part.startsWith("signature=")).join("&")
}
