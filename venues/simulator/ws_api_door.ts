/**
 * The WS-API door: requests and answers as frames, and the user data streams that
 * leave through it.
 *
 * A connection may log on once with an Ed25519 key, or sign each request; it has one
 * user data subscription at most.
 */
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"
import { authorise, checkLogon } from "./binance_auth.ts"
import type { BinanceDesk } from "./binance_desk.ts"
import * as message from "./binance_messages.ts"
import { type Answer, type Operation, WS_METHODS } from "./binance_operations.ts"
import { ApiError, Params } from "./binance_params.ts"
import type { Change } from "./exchange_books.ts"
import type { RequestFault } from "./fault.ts"
import type { Faults, Subject } from "./faults.ts"
import type { Wire } from "./wire.ts"

interface Session {
  readonly socket: WebSocket
  readonly raw: Duplex
  readonly connectedSince: number
  readonly subscriptions: Set<number>
  nextSubscriptionId: number
  /** Since when it is logged on. */
  authorizedSince: number | undefined
}

interface Request {
  readonly id: string | number | null
  readonly method: string
  readonly params: ReadonlyMap<string, string>
  /** Why it is none. */
  readonly fault?: string
}

export class WsApiDoor {
  readonly #desk: () => BinanceDesk
  readonly #faults: Faults
  readonly #wire: Wire
  readonly #sessions = new Set<Session>()

  constructor(desk: () => BinanceDesk, faults: Faults, wire: Wire) {
    this.#desk = desk
    this.#faults = faults
    this.#wire = wire
  }

  attach(socket: WebSocket, raw: Duplex) {
    const session: Session = {
      socket,
      raw,
      connectedSince: this.#desk().now(),
      subscriptions: new Set(),
      nextSubscriptionId: 0,
      authorizedSince: undefined,
    }
    this.#sessions.add(session)
    socket.on("message", (data) => this.#receive(session, parseRequest(String(data))))
    socket.on("close", () => this.#sessions.delete(session))
  }

  // User data

  tell(changes: ReadonlyArray<Change>) {
    const now = this.#desk().now()
    for (const { reports, balances } of changes) {
      for (const report of reports) {
        this.#emit(message.executionReport(report, now), {
          door: "wsApi",
          event: "executionReport",
          execution: report.executionType,
          symbol: report.order.symbol,
        })
      }
      if (balances.length === 0) continue
      const time = reports.at(-1)?.time ?? now
      const position = message.accountPosition(balances, time, now)
      this.#emit(position, { door: "wsApi", event: position.e })
    }
  }

  /** Ends every subscription, as the venue does when it cannot go on. */
  endUserData() {
    this.#emit({ e: "eventStreamTerminated", E: this.#desk().now() }, {
      door: "wsApi",
      event: "eventStreamTerminated",
    })
    for (const session of this.#sessions) session.subscriptions.clear()
  }

  announce(event: object) {
    for (const { socket } of this.#sessions) this.#wire.send(socket, JSON.stringify({ event }))
  }

  #emit(event: object, subject: Subject) {
    for (const { socket, subscriptions } of this.#sessions) {
      for (const subscriptionId of subscriptions) {
        this.#wire.send(socket, JSON.stringify({ subscriptionId, event }), subject)
      }
    }
  }

  // Requests

  #receive(session: Session, request: Request) {
    const desk = this.#desk()
    if (desk.isClosed) return session.socket.terminate()
    desk.requestsOpen++
    const symbol = request.params.get("symbol")
    const subject: Subject = {
      door: "wsApi",
      method: request.method,
      ...(symbol !== undefined && { symbol }),
    }
    const fault = this.#faults.request(subject, "before")
    if (fault === undefined) return this.#answer(session, request, subject)
    switch (fault.kind) {
      case "delay":
        return desk.hold(fault.ms, () => this.#answer(session, request, subject))
      case "fill_before_cancel": {
        const change = desk.venue.fillEarly(new Params(request.params), desk.now())
        if (change !== undefined) desk.report([change])
        return this.#answer(session, request, subject)
      }
      default:
        return this.#strike(fault, session, request, undefined)
    }
  }

  #answer(session: Session, request: Request, subject: Subject) {
    const desk = this.#desk()
    const sent = new Params(request.params)
    const params = new Params(withoutFormat(request.params))
    const own = this.#ownOperation(session, request.method)
    const run = desk.run(
      own ?? WS_METHODS.get(request.method),
      request.fault ?? "Unknown method",
      // What only shapes the answer was signed all the same.
      () => ({ params, authorise: (operation) => this.#authorise(session, operation, sent) }),
    )
    const status = run instanceof ApiError ? run.status : run.status ?? 200
    const wantsLimits = request.params.get("returnRateLimits") !== "false"
    const text = JSON.stringify({
      id: request.id,
      status,
      ...(run instanceof ApiError ? { error: run.toBody() } : answerFields(run, status)),
      ...(wantsLimits && { rateLimits: desk.usage.counts(desk.now()) }),
    })
    desk.settle(run instanceof ApiError ? [] : run.changes ?? [], () => {
      const fault = this.#faults.request(subject, "after")
      if (fault !== undefined) return this.#strike(fault, session, request, text)
      this.#wire.send(session.socket, text)
      desk.requestsOpen--
    })
  }

  #strike(
    fault: RequestFault,
    { socket, raw }: Session,
    request: Request,
    text: string | undefined,
  ) {
    const desk = this.#desk()
    const send = (frame: string) => {
      this.#wire.send(socket, frame)
      desk.requestsOpen--
    }
    switch (fault.kind) {
      case "respond":
        return send(JSON.stringify({
          id: request.id,
          status: fault.status,
          ...(fault.status === 200
            ? { result: jsonOr(fault.body, {}) }
            : { error: jsonOr(fault.body, { code: -1000, msg: fault.body }) }),
        }))
      case "reset":
        desk.requestsOpen--
        return raw instanceof Socket ? raw.resetAndDestroy() : raw.destroy()
      case "hang":
        desk.requestsOpen--
        return
      case "delay":
      case "drip":
        return desk.hold(fault.ms, () => send(text ?? ""))
      case "truncate":
        return send((text ?? "").slice(0, Math.floor((text ?? "").length / 2)))
      case "fill_before_cancel":
        return send(text ?? "")
    }
  }

  #authorise(session: Session, { security }: Operation, params: Params) {
    const { credentials, now } = this.#desk()
    if (security !== "none" && credentials.isRevoked && session.subscriptions.size > 0) {
      session.subscriptions.clear()
      const error = { code: -2015, msg: "Invalid API-key, IP, or permissions for action." }
      this.#wire.send(session.socket, JSON.stringify({ id: null, status: 401, error }))
    }
    // Who has logged on need not say again who it is.
    const isLoggedOn = session.authorizedSince !== undefined && !params.has("apiKey")
    authorise(credentials, {
      security: isLoggedOn && security === "signed" ? "timed" : security,
      params,
      now: now(),
      key: isLoggedOn ? credentials.key : params.text("apiKey"),
      payloads: signedPayloads(params),
    })
  }

  /** Requests that are about the connection itself. */
  #ownOperation(session: Session, method: string): Operation | undefined {
    const about = (fields: Partial<Operation> & Pick<Operation, "run">): Operation => ({
      security: "none",
      weight: () => 2,
      params: [],
      ...fields,
    })
    const subscribe = () => {
      if (session.subscriptions.size > 0) {
        throw new ApiError(-2035, "User Data Stream subscription already active.")
      }
      const subscriptionId = session.nextSubscriptionId++
      session.subscriptions.add(subscriptionId)
      return { body: { subscriptionId } }
    }
    const status = (now: number) => ({
      body: {
        apiKey: session.authorizedSince === undefined ? null : this.#desk().credentials.key,
        authorizedSince: session.authorizedSince ?? null,
        connectedSince: session.connectedSince,
        returnRateLimits: true,
        serverTime: now,
        userDataStream: session.subscriptions.size > 0,
      },
    })
    switch (method) {
      case "userDataStream.subscribe.signature":
        return about({ security: "signed", run: subscribe })
      case "userDataStream.subscribe":
        return about({
          run: () => {
            if (session.authorizedSince === undefined) {
              throw new ApiError(
                -2014,
                "Session is not authenticated; call session.logon first.",
                401,
              )
            }
            return subscribe()
          },
        })
      case "userDataStream.unsubscribe":
        return about({
          params: ["subscriptionId"],
          run: (_, params) => {
            const id = params.integer("subscriptionId")
            if (id === undefined) session.subscriptions.clear()
            else if (!session.subscriptions.delete(id)) {
              throw new ApiError(-2036, "User Data Stream subscription not active.")
            }
            return { body: {} }
          },
        })
      case "session.subscriptions":
        return about({
          run: () => ({
            body: [...session.subscriptions].map((subscriptionId) => ({ subscriptionId })),
          }),
        })
      case "session.logon":
        return about({
          security: "signed",
          run: ({ now }, params) => {
            checkLogon(this.#desk().credentials, params, signedPayloads(params))
            session.authorizedSince = now
            return status(now)
          },
        })
      case "session.status":
        return about({ run: ({ now }) => status(now) })
      case "session.logout":
        return about({
          run: ({ now }) => {
            session.authorizedSince = undefined
            return status(now)
          },
        })
      default:
        return undefined
    }
  }
}

/** Every request may say whether it wants its limits with the answer. */
function withoutFormat(params: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...params].filter(([name]) => name !== "returnRateLimits"))
}

/** A request half done is an error that says which half. */
function answerFields({ body }: Answer, status: number) {
  return status === 200 ? { result: body } : { error: body }
}

/** Clients percent-encode values or do not; both were meant by the one who signed. */
function signedPayloads(params: Params): ReadonlyArray<string> {
  const entries = params.names.filter((name) => name !== "signature").toSorted()
    .map((name) => [name, params.text(name) ?? ""] as const)
  return [
    entries.map(([name, value]) => `${name}=${value}`).join("&"),
    entries.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&"),
  ]
}

function jsonOr(text: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return otherwise
  }
}

function parseRequest(text: string): Request {
  const broken = (fault: string, id: Request["id"] = null) => ({
    id,
    method: "",
    params: new Map<string, string>(),
    fault,
  })
  const json = jsonOr(text, undefined)
  if (json === undefined) return broken("JSON parse error: expected value at line 1 column 1")
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return broken("Invalid request")
  }
  const fields: Readonly<Record<string, unknown>> = { ...json }
  const id = fields["id"]
  if (id !== null && typeof id !== "string" && typeof id !== "number") {
    return broken("Invalid request: request ID must be a string, an integer or null")
  }
  if (typeof fields["method"] !== "string") return broken("Invalid request: no method", id)
  const params = fields["params"] ?? {}
  if (typeof params !== "object" || Array.isArray(params)) {
    return broken("Invalid request: params must be an object", id)
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
