/**
 * A venue's one port: HTTP and WebSocket upgrades, and the ways both can be refused.
 *
 * `node:http` and `ws` on Deno, because faults need the socket below the protocol. An
 * outage really closes the port, and opens the same one again.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { Effect, Schedule, Schema } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import type { Faults } from "./faults.ts"
import { decodedPart } from "./url_part.ts"
import type { Door, Wire } from "./wire.ts"

const REOPEN_EVERY_MS = 1_000

export class SimulatorError extends Schema.TaggedError<SimulatorError>()("SimulatorError", {
  text: Schema.String,
}) {
  override get message() {
    return this.text
  }
}

/** Why a WebSocket was not opened. */
export interface Refusal {
  readonly status: number
  readonly retryAfterSeconds?: number | undefined
}

/** Somebody who asked for a WebSocket and got it. */
export interface Arrival {
  readonly socket: WebSocket
  readonly raw: Duplex
  readonly door: Door
  /** Decoded, without its query. */
  readonly path: string
  readonly url: URL
  readonly headers: IncomingMessage["headers"]
}

/** What one venue puts behind its port. */
export interface Doors {
  readonly wire: Wire
  readonly faults: Faults
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void
  /** `undefined` where there is nothing to connect to. */
  readonly doorOf: (path: string) => Door | undefined
  /** Counts an attempt to connect, and says why it must fail. */
  readonly admit: () => Refusal | undefined
  readonly welcome: (arrival: Arrival) => void
}

export interface VenueServer {
  readonly port: number
  /** Closes the port and every connection; `reopen` takes the same port again. */
  readonly close: () => void
  readonly reopen: () => void
}

export const listen = Effect.fn("VenueServer.listen")(function* (
  { host, port }: { readonly host: string; readonly port: number },
  doors: Doors,
) {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  const server = createServer(doors.serve)
  const upgrading = new Set<Duplex>()
  server.on("upgrade", (request, socket, head) => {
    upgrading.add(socket)
    socket.on("close", () => upgrading.delete(socket))
    upgrade(request, socket, head, sockets, doors)
  })
  const open = (at: number) =>
    Effect.callback<void, SimulatorError>((resume) => {
      const failed = (error: Error & { code?: string }) => {
        server.off("listening", opened)
        const text = error.code === "EADDRINUSE"
          ? `port ${at} on ${host} is in use; choose another or 0`
          : `cannot listen on ${host}:${at}: ${error.message}`
        resume(Effect.fail(new SimulatorError({ text })))
      }
      const opened = () => {
        server.off("error", failed)
        resume(Effect.void)
      }
      server.once("error", failed)
      server.once("listening", opened)
      server.listen(at, host)
    })
  yield* Effect.acquireRelease(
    open(port),
    () =>
      Effect.callback<void>((resume) => {
        doors.wire.terminateAll()
        sockets.close()
        // A handshake that nobody answered belongs to no WebSocket that could be closed.
        for (const socket of upgrading) socket.destroy()
        if (!server.listening) return resume(Effect.void)
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      }),
  )
  const address = server.address()
  if (!isAddress(address)) return yield* new SimulatorError({ text: "no address after listening" })
  const taken = address.port
  const scope = yield* Effect.scope
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  // Somebody may have taken the port meanwhile: a venue that is gone for good is no outage.
  const openAgain = open(taken).pipe(
    Effect.tapError(({ text }) =>
      Effect.logWarning(`simulated venue cannot open its port again yet: ${text}`)
    ),
    Effect.retry(Schedule.spaced(REOPEN_EVERY_MS)),
  )
  const opened: VenueServer = {
    port: taken,
    close: () => {
      doors.wire.cut()
      server.close()
      server.closeAllConnections()
    },
    reopen: () => {
      if (!server.listening) fork(Effect.forkIn(openAgain, scope))
    },
  }
  return opened
})

function isAddress(address: ReturnType<Server["address"]>): address is AddressInfo {
  return typeof address === "object" && address !== null
}

function upgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Parameters<WebSocketServer["handleUpgrade"]>[2],
  sockets: WebSocketServer,
  doors: Doors,
) {
  const url = URL.parse(request.url ?? "/", "ws://venue")
  if (url === null) return refuse(socket, { status: 400 })
  const path = decodedPart(url.pathname)
  const door = doors.doorOf(path)
  if (door === undefined) return refuse(socket, { status: 404 })
  // A client that gives up during the handshake is not the venue's error.
  socket.on("error", () => socket.destroy())
  const fault = doors.faults.upgrade({ door, path })
  if (fault?.kind === "hang_upgrade") return
  if (fault?.kind === "refuse_upgrade") return refuse(socket, fault)
  const refusal = doors.admit()
  if (refusal !== undefined) return refuse(socket, refusal)
  const { headers } = request
  sockets.handleUpgrade(
    request,
    socket,
    head,
    (opened) => doors.welcome({ socket: opened, raw: socket, door, path, url, headers }),
  )
}

function refuse(socket: Duplex, { status, retryAfterSeconds }: Refusal) {
  const wait = retryAfterSeconds === undefined ? "" : `retry-after: ${retryAfterSeconds}\r\n`
  socket.end(`HTTP/1.1 ${status} Refused\r\n${wait}connection: close\r\ncontent-length: 0\r\n\r\n`)
}
