/**
 * The control endpoint: look into a simulated venue, and make things go wrong in it.
 *
 *   GET    /books          what the venue knows: balances, orders, trades
 *   GET    /faults         what is armed          POST /faults    arms one -> { id }
 *   DELETE /faults[/ID]    disarms it, or all     GET  /journal   what has struck
 *
 * On a port of its own, on loopback, without a password: it is for tests and for the
 * person at this machine. It never touches anything but the simulation.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Effect } from "effect"
import type { SimulatedBinance } from "./binance.ts"
import { decodeFault } from "./scenario.ts"
import { SimulatorError } from "./venue_server.ts"

const BODY_MAX = 1_000_000

/** Where it is, as `http://host:port`. */
export const startControl = Effect.fn("Control.start")(function* (
  { host, port }: { readonly host: string; readonly port: number },
  binance: SimulatedBinance,
) {
  const server = createServer((request, response) => {
    readBody(request, (body) => {
      Effect.runFork(
        answer(binance, request.method ?? "", request.url ?? "/", body).pipe(
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
  binance: SimulatedBinance,
  method: string,
  path: string,
  body: string,
): Effect.fn.Return<Reply> {
  const { faults } = binance
  if (method === "GET" && path === "/books") return { status: 200, body: binance.books() }
  if (method === "GET" && path === "/faults") return { status: 200, body: faults.armed }
  if (method === "GET" && path === "/journal") return { status: 200, body: faults.journal }
  if (method === "POST" && path === "/faults") {
    return yield* Effect.try({ try: (): unknown => JSON.parse(body), catch: () => undefined }).pipe(
      Effect.flatMap((value) => decodeFault(value, "fault")),
      Effect.flatMap(binance.arm),
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
    const id = path === "/faults" ? undefined : decodeURIComponent(path.slice("/faults/".length))
    const found = faults.disarm(id)
    if (found || id === undefined) return { status: 200, body: {} }
    return { status: 404, body: { error: `no fault ${id} is armed` } }
  }
  return { status: 404, body: { error: `no ${method} ${path} here` } }
})

function send(response: ServerResponse, { status, body }: Reply) {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(JSON.stringify(body))
}

function readBody(request: IncomingMessage, done: (body: string) => void) {
  const chunks = new Array<string>()
  let length = 0
  request.setEncoding("utf8")
  request.on("data", (chunk: string) => {
    length += chunk.length
    if (length > BODY_MAX) request.socket.destroy()
    else chunks.push(chunk)
  })
  request.on("end", () => done(chunks.join("")))
}
