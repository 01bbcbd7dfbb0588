/**
 * The venue's two request doors, REST and WS-API, in front of one set of operations;
 * and the user data stream that leaves through the second.
 *
 * A request is authorised, read, run and counted at once; its answer and the
 * reports it caused leave through the outbox, when they are durable.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { WebSocket } from "ws"
import { checkKey, checkSignature, checkTime, type Credentials } from "./binance_auth.ts"
import * as message from "./binance_messages.ts"
import { type Answer, type Operation, REST_ROUTES, WS_METHODS } from "./binance_operations.ts"
import { ApiError, Params } from "./binance_params.ts"
import type { BinanceVenue } from "./binance_venue.ts"
import type { Change } from "./exchange.ts"
import { type LedgerBatch, mergeBatches } from "./ledger.ts"
import type { Outbox } from "./outbox.ts"
import { Usage } from "./rate_limits.ts"
import type { Wire } from "./wire.ts"

const BODY_MAX = 100_000
const COMMON_PARAMS = ["timestamp", "recvWindow", "signature", "apiKey"]

interface Session {
  readonly socket: WebSocket
  readonly subscriptions: Set<number>
  nextSubscriptionId: number
}

export class BinanceApi {
  readonly #venue: BinanceVenue
  readonly #credentials: Credentials
  readonly #outbox: Outbox
  readonly #wire: Wire
  readonly #now: () => number
  readonly #usage = new Usage()
  readonly #sessions = new Set<Session>()
  readonly #responses = new Set<ServerResponse>()
  #requestsOpen = 0

  constructor(options: {
    readonly venue: BinanceVenue
    readonly credentials: Credentials
    readonly outbox: Outbox
    readonly wire: Wire
    readonly now: () => number
  }) {
    this.#venue = options.venue
    this.#credentials = options.credentials
    this.#outbox = options.outbox
    this.#wire = options.wire
    this.#now = options.now
  }

  /** Requests whose answer has not left yet. */
  get requestsOpen(): number {
    return this.#requestsOpen
  }

  /** What the market did to our orders: durable first, then told. */
  report(changes: ReadonlyArray<Change>) {
    const batch = this.#batch(changes)
    if (batch !== undefined) this.#outbox.send(batch, () => this.#tell(changes))
  }

  /** Cuts off everybody who waits for an answer that will not come. */
  abort() {
    for (const response of this.#responses) response.socket?.destroy()
  }

  // REST

  serve(request: IncomingMessage, response: ServerResponse) {
    this.#requestsOpen++
    this.#responses.add(response)
    const done = () => {
      if (this.#responses.delete(response)) this.#requestsOpen--
    }
    response.on("close", done)
    const chunks = new Array<string>()
    let length = 0
    request.setEncoding("utf8")
    request.on("data", (chunk: string) => {
      length += chunk.length
      if (length > BODY_MAX) request.destroy()
      else chunks.push(chunk)
    })
    request.on("end", () => {
      if (this.#outbox.failure() !== undefined) return response.socket?.destroy()
      this.#answer(request, chunks.join(""), (status, body, headers) => {
        response.writeHead(status, { "content-type": "application/json;charset=UTF-8", ...headers })
        response.end(body)
        done()
      })
    })
  }

  #answer(
    request: IncomingMessage,
    body: string,
    reply: (status: number, body: string, headers: Record<string, string>) => void,
  ) {
    const now = this.#now()
    const url = request.url ?? "/"
    const at = url.indexOf("?")
    const path = at < 0 ? url : url.slice(0, at)
    const query = at < 0 ? "" : url.slice(at + 1)
    const run = this.#run(REST_ROUTES.get(`${request.method} ${path}`), now, () => {
      // A parameter in both places is read from the query.
      const params = new Params(new Map([...formEntries(body), ...formEntries(query)]))
      return {
        params,
        authorise: (operation) => this.#authoriseRest(operation, request, query, body, params, now),
      }
    }, `Path ${path}, Method ${request.method} is invalid`)
    const headers: Record<string, string> = {
      "x-mbx-used-weight": String(this.#usage.weight(now)),
      "x-mbx-used-weight-1m": String(this.#usage.weight(now)),
    }
    if (run instanceof ApiError) {
      if (run.retryAfterSeconds !== undefined) {
        headers["retry-after"] = String(run.retryAfterSeconds)
      }
      const text = JSON.stringify({ code: run.code, msg: run.message })
      return this.#outbox.send(undefined, () => reply(run.status, text, headers))
    }
    if (run.isOrder) {
      headers["x-mbx-order-count-10s"] = String(this.#usage.orders10s(now))
      headers["x-mbx-order-count-1d"] = String(this.#usage.orders1d(now))
    }
    const changes = run.changes ?? []
    const text = JSON.stringify(run.body)
    this.#outbox.send(this.#batch(changes), () => {
      reply(200, text, headers)
      this.#tell(changes)
    })
  }

  #authoriseRest(
    operation: Operation,
    request: IncomingMessage,
    query: string,
    body: string,
    params: Params,
    now: number,
  ) {
    if (operation.security === "none") return
    checkKey(request.headers["x-mbx-apikey"]?.toString(), this.#credentials)
    if (operation.security === "key") return
    checkTime(params, now)
    const payload = unsigned(query) + unsigned(body)
    checkSignature(params.text("signature"), [payload], this.#credentials)
  }

  // WS-API

  attach(socket: WebSocket) {
    const session: Session = { socket, subscriptions: new Set(), nextSubscriptionId: 0 }
    this.#sessions.add(session)
    socket.on("message", (data) => this.#receive(session, String(data)))
    socket.on("close", () => this.#sessions.delete(session))
  }

  #receive(session: Session, text: string) {
    if (this.#outbox.failure() !== undefined) return session.socket.terminate()
    this.#requestsOpen++
    const now = this.#now()
    const request = parseRequest(text)
    const params = new Params(request.params)
    const own = this.#sessionOperation(session, request.method)
    const run = this.#run(own ?? WS_METHODS.get(request.method), now, () => ({
      params,
      authorise: (operation) => this.#authoriseWs(operation, params, now),
    }), request.fault ?? "Unknown method")
    const rateLimits = this.#usage.counts(now)
    const changes = run instanceof ApiError ? [] : run.changes ?? []
    const answer = run instanceof ApiError
      ? {
        id: request.id,
        status: run.status,
        error: { code: run.code, msg: run.message },
        rateLimits,
      }
      : { id: request.id, status: 200, result: run.body, rateLimits }
    this.#outbox.send(this.#batch(changes), () => {
      this.#wire.send(session.socket, JSON.stringify(answer))
      this.#tell(changes)
      this.#requestsOpen--
    })
  }

  /** Requests that are about the connection itself. */
  #sessionOperation(session: Session, method: string): Operation | undefined {
    switch (method) {
      case "userDataStream.subscribe.signature":
        return {
          security: "signed",
          weight: () => 2,
          params: [],
          run: () => {
            if (session.subscriptions.size > 0) {
              throw new ApiError(-2035, "User Data Stream subscription already active.")
            }
            const subscriptionId = session.nextSubscriptionId++
            session.subscriptions.add(subscriptionId)
            return { body: { subscriptionId } }
          },
        }
      case "userDataStream.unsubscribe":
        return {
          security: "none",
          weight: () => 2,
          params: ["subscriptionId"],
          run: (_, params) => {
            const id = params.integer("subscriptionId")
            if (id === undefined) session.subscriptions.clear()
            else if (!session.subscriptions.delete(id)) {
              throw new ApiError(-2036, "User Data Stream subscription not active.")
            }
            return { body: {} }
          },
        }
      case "session.subscriptions":
        return {
          security: "none",
          weight: () => 2,
          params: [],
          run: () => ({
            body: [...session.subscriptions].map((subscriptionId) => ({ subscriptionId })),
          }),
        }
      case "session.status":
        return {
          security: "none",
          weight: () => 2,
          params: [],
          run: ({ now }) => ({
            body: {
              apiKey: null,
              authorizedSince: null,
              connectedSince: now,
              returnRateLimits: true,
              serverTime: now,
              userDataStream: session.subscriptions.size > 0,
            },
          }),
        }
      default:
        return undefined
    }
  }

  #authoriseWs(operation: Operation, params: Params, now: number) {
    if (operation.security === "none") return
    checkKey(params.text("apiKey"), this.#credentials)
    checkTime(params, now)
    const entries = params.names.filter((name) => name !== "signature").toSorted()
      .map((name) => [name, params.text(name) ?? ""] as const)
    // Clients percent-encode values or do not; both were meant by the one who signed.
    checkSignature(params.text("signature"), [
      entries.map(([name, value]) => `${name}=${value}`).join("&"),
      entries.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&"),
    ], this.#credentials)
  }

  // Both

  #run(
    operation: Operation | undefined,
    now: number,
    read: () => { params: Params; authorise: (operation: Operation) => void },
    unknown: string,
  ): Answer | ApiError {
    let weight = 1
    try {
      if (operation === undefined) throw new ApiError(-5000, unknown, 404)
      const { params, authorise } = read()
      weight = operation.weight(params)
      authorise(operation)
      checkNames(operation, params)
      const answer = operation.run({ venue: this.#venue, usage: this.#usage, now }, params)
      if (operation.isFreeWhenDone) weight = 0
      if (answer.isOrder) this.#usage.addOrder(now)
      return answer
    } catch (error) {
      if (error instanceof ApiError) return error
      throw error
    } finally {
      this.#usage.addWeight(weight, now)
    }
  }

  #batch(changes: ReadonlyArray<Change>): LedgerBatch | undefined {
    return changes.map((change) => this.#venue.batch(change))
      .reduce((all, batch) => all && batch ? mergeBatches(all, batch) : all ?? batch, undefined)
  }

  #tell(changes: ReadonlyArray<Change>) {
    const now = this.#now()
    for (const { reports, balances } of changes) {
      for (const report of reports) this.#emit(message.executionReport(report, now))
      const time = reports.at(-1)?.time ?? now
      if (balances.length > 0) this.#emit(message.accountPosition(balances, time, now))
    }
  }

  #emit(event: object) {
    for (const { socket, subscriptions } of this.#sessions) {
      for (const subscriptionId of subscriptions) {
        this.#wire.send(socket, JSON.stringify({ subscriptionId, event }))
      }
    }
  }
}

function checkNames(operation: Operation, params: Params) {
  const known = [...operation.params, ...COMMON_PARAMS]
  const sent = params.names
  const read = sent.filter((name) => known.includes(name)).length
  if (read < sent.length) {
    throw new ApiError(
      -1104,
      `Not all sent parameters were read; read '${read}' parameter(s) but was sent '${sent.length}'.`,
    )
  }
}

function formEntries(text: string): Array<[string, string]> {
  return text === "" ? [] : [...new URLSearchParams(text)]
}

/** What was signed: everything but the signature, byte for byte. */
function unsigned(form: string): string {
  return form.split("&").filter((part) => !part.startsWith("signature=")).join("&")
}

interface WsRequest {
  readonly id: string | number | null
  readonly method: string
  readonly params: ReadonlyMap<string, string>
  readonly fault?: string
}

function parseRequest(text: string): WsRequest {
  const fault = (why: string, id: WsRequest["id"] = null) => ({
    id,
    method: "",
    params: new Map<string, string>(),
    fault: why,
  })
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return fault("JSON parse error: expected value at line 1 column 1")
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return fault("Invalid request")
  }
  const fields: Record<string, unknown> = { ...json }
  const id = fields["id"]
  const isId = id === null || typeof id === "string" || typeof id === "number"
  if (!isId) return fault("Invalid request: request ID must be a string, an integer or null")
  if (typeof fields["method"] !== "string") return fault("Invalid request: no method", id)
  const params = fields["params"] ?? {}
  if (typeof params !== "object" || Array.isArray(params)) {
    return fault("Invalid request: params must be an object", id)
  }
  return {
    id,
    method: fields["method"],
    params: new Map(
      Object.entries(params).map(([name, value]) => [
        name,
        typeof value === "object" ? JSON.stringify(value) : String(value),
      ]),
    ),
  }
}
