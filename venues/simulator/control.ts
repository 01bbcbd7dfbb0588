/**
 * The control endpoint: look into the simulated venues, and make things go wrong in them.
 *
 *   GET    /books          what each venue knows: balances, orders, trades
 *   GET    /faults         what is armed          POST /faults    arms one -> { id }
 *   DELETE /faults[/ID]    disarms it, or all     GET  /journal   what has struck
 *
 * A fault that names no `venue` is for Binance.
 *
 * On a port of its own, on loopback, without a password: it is for tests and for the
 * person at this machine. It never touches anything but the simulation.
 */
import { createServer, type ServerResponse } from "node:http"
import { Effect } from "effect"
import type { Fault } from "./fault.ts"
import type { Faults } from "./faults.ts"
import { readBody } from "./http_body.ts"
import { decodeAddressed, type VenueName, VENUES } from "./scenario.ts"
import { decodedPart } from "./url_part.ts"
import { SimulatorError } from "./venue_server.ts"

const BODY_MAX = 1_000_000

/** What can be seen and spoiled of a venue. */
export interface Controlled {
  readonly books: () => unknown
  readonly faults: Pick<Faults, "armed" | "journal" | "disarm">
  readonly arm: (fault: Fault) => Effect.Effect<string, SimulatorError>
}
export type ControlledVenues = Readonly<Partial<Record<VenueName, Controlled>>>

/** Where it is, as `http://host:port`. */
export const startControl = Effect.fn("Control.start")(function* (
  { host, port }: { readonly host: string; readonly port: number },
  venues: ControlledVenues,
) {
  const server = createServer((request, response) => {
    readBody(request, BODY_MAX, (body) => {
      Effect.runFork(
        answer(venues, request.method ?? "", request.url ?? "/", body).pipe(
          Effect.map((reply) => send(response, reply)),
        ),
      )
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void, SimulatorError>((resume) => {
      server.once("error", (error) =>
        resume(
          new SimulatorError({ text: `cannot listen on ${host}:${port}: ${error.message}` }),
        ))
      server.listen(port, host, () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      }),
  )
  const address = server.address()
  const taken = typeof address === "object" && address !== null ? address.port : port
  return `http://${host.includes(":") ? `[${host}]` : host}:${taken}`
})

interface Reply {
  readonly status: number
  readonly body: unknown
}

const answer = Effect.fn("Control.answer")(function* (
  venues: ControlledVenues,
  method: string,
  path: string,
  body: string,
): Effect.fn.Return<Reply> {
  const all = VENUES.flatMap((venue) => {
    const controlled = venues[venue]
    return controlled === undefined ? [] : [{ venue, ...controlled }]
  })
  if (method === "GET" && path === "/books") {
    return ok(Object.fromEntries(all.map(({ venue, books }) => [venue, books()])))
  }
  if (method === "GET" && path === "/faults") {
    return ok(all.flatMap(({ venue, faults }) => faults.armed.map((one) => ({ venue, ...one }))))
  }
  if (method === "GET" && path === "/journal") {
    const strikes = all.flatMap(({ venue, faults }) =>
      faults.journal.map((one) => ({ venue, ...one }))
    )
    return ok(strikes.toSorted((a, b) => a.atMs - b.atMs))
  }
  if (method === "POST" && path === "/faults") {
    return yield* Effect.try({ try: (): unknown => JSON.parse(body), catch: () => undefined }).pipe(
      Effect.flatMap((value) => decodeAddressed(value, "fault")),
      Effect.flatMap(({ venue, fault }) => arm(venues, venue, fault)),
      Effect.map((id) => ({ status: 201, body: { id } })),
      Effect.catch((error) =>
        Effect.succeed({
          status: 400,
          body: { error: error === undefined ? "the body is not valid JSON" : error.message },
        })
      ),
    )
  }
  if (method === "DELETE" && (path === "/faults" || path.startsWith("/faults/"))) {
    const id = path === "/faults" ? undefined : decodedPart(path.slice("/faults/".length))
    const found = all.map(({ faults }) => faults.disarm(id)).includes(true)
    if (found || id === undefined) return ok({})
    return { status: 404, body: { error: `no fault ${id} is armed` } }
  }
  return { status: 404, body: { error: `no ${method} ${path} here` } }
})

const arm = Effect.fn("Control.arm")(function* (
  venues: ControlledVenues,
  venue: VenueName,
  fault: Fault,
) {
  const controlled = venues[venue]
  if (controlled === undefined) return yield* new SimulatorError({ text: `no ${venue} runs here` })
  return yield* controlled.arm(fault)
})

function ok(body: unknown): Reply {
  return { status: 200, body }
}

function send(response: ServerResponse, { status, body }: Reply) {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(JSON.stringify(body))
}
