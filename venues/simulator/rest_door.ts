/**
 * The REST door: HTTP requests in, JSON out, with the venue's headers.
 */
import { authorise } from "./binance_auth.ts"
import type { BinanceDesk } from "./binance_desk.ts"
import { REST_ROUTES } from "./binance_operations.ts"
import { ApiError, Params } from "./binance_params.ts"
import type { Faults } from "./faults.ts"
import { HttpDoor, type HttpReply, type HttpRequest } from "./http_door.ts"

export function makeRestDoor(desk: BinanceDesk, faults: Faults): HttpDoor {
  return new HttpDoor({
    subject: ({ method, path, query, body }) => {
      const symbol = new URLSearchParams(query).get("symbol") ??
        new URLSearchParams(body).get("symbol")
      return { door: "rest", method, path, ...(symbol !== null && { symbol }) }
    },
    answer: (request, reply) => answer(desk, request, reply),
    fillEarly: (request, done) => {
      const change = desk.venue.fillEarly(readParams(request), desk.now())
      if (change !== undefined) desk.report([change])
      done()
    },
    count: (change) => {
      desk.requestsOpen += change
    },
    hold: (ms, act) => desk.hold(ms, act),
    isClosed: () => desk.isClosed,
  }, faults)
}

function answer(desk: BinanceDesk, request: HttpRequest, reply: (reply: HttpReply) => void) {
  const { method, path, query, body, headers: sent } = request
  const { usage } = desk
  const run = desk.run(
    REST_ROUTES.get(`${method} ${path}`),
    `Path ${path}, Method ${method} is invalid`,
    () => {
      const params = readParams(request)
      return {
        params,
        authorise: ({ security }) =>
          authorise(desk.credentials, {
            security,
            params,
            now: desk.now(),
            key: sent["x-mbx-apikey"]?.toString(),
            payloads: [unsigned(query) + unsigned(body)],
          }),
      }
    },
  )
  const now = desk.now()
  const weight = String(usage.weight(now))
  const headers: Record<string, string> = {
    "x-mbx-used-weight": weight,
    "x-mbx-used-weight-1m": weight,
  }
  if (run instanceof ApiError) {
    if (run.retryAfterSeconds !== undefined) headers["retry-after"] = String(run.retryAfterSeconds)
  } else if (run.isOrder) {
    headers["x-mbx-order-count-10s"] = String(usage.orders10s(now))
    headers["x-mbx-order-count-1d"] = String(usage.orders1d(now))
  }
  const prepared: HttpReply = run instanceof ApiError
    ? { status: run.status, body: JSON.stringify(run.toBody()), headers }
    : { status: run.status ?? 200, body: JSON.stringify(run.body), headers }
  desk.settle(run instanceof ApiError ? [] : run.changes ?? [], () => reply(prepared))
}

/** A parameter in both places is read from the query. */
function readParams({ query, body }: HttpRequest): Params {
  return new Params(new Map([...new URLSearchParams(body), ...new URLSearchParams(query)]))
}

/** What was signed: everything but the signature, byte for byte. */
function unsigned(form: string): string {
  return form.split("&").filter((part) => !part.startsWith("signature=")).join("&")
}
