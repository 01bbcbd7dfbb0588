/**
 * The venue's one port: HTTP and WebSocket upgrades, and the ways both can be refused.
 *
 * `node:http` and `ws` on Deno, because faults need the socket below the protocol. An
 * outage really closes the port, and opens the same one again.
 */
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { Effect, Schema } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { ApiError } from "./binance_params.ts"
import type { Faults } from "./faults.ts"
import type { RestDoor } from "./rest_door.ts"
import type { StreamHub } from "./stream_hub.ts"
import type { Door, Wire } from "./wire.ts"
import type { WsApiDoor } from "./ws_api_door.ts"

export class SimulatorError extends Schema.TaggedError<SimulatorError>()("SimulatorError", {
  text: Schema.String,
}) {
  override get message() {
    return this.text
  }
}

export interface Doors {
  readonly rest: RestDoor
  readonly wsApi: WsApiDoor
  readonly hub: StreamHub
  readonly wire: Wire
  readonly faults: Faults
  /** The venue's clock. */
  readonly now: () => number
  /** Whether clients of the streams are held to so many messages a second. */
  readonly limitsMessages: boolean
  /** Throws when nobody may connect now. */
  readonly admitConnection: () => void
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
  const server = createServer((request, response) => doors.rest.serve(request, response))
  const upgrading = new Set<Duplex>()
  server.on("upgrade", (request, socket, head) => {
    upgrading.add(socket)
    socket.on("close", () => upgrading.delete(socket))
    upgrade(request, socket, head, sockets, doors)
  })
  yield* Effect.acquireRelease(
    Effect.callback<void, SimulatorError>((resume) => {
      server.once("error", (error: Error & { code?: string }) => {
        const text = error.code === "EADDRINUSE"
          ? `port ${port} on ${host} is in use; choose another or 0`
          : `cannot listen on ${host}:${port}: ${error.message}`
        resume(Effect.fail(new SimulatorError({ text })))
      })
      server.listen(port, host, () => resume(Effect.void))
    }),
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
  const opened: VenueServer = {
    port: taken,
    close: () => {
      doors.wire.cut()
      server.close()
      server.closeAllConnections()
    },
    reopen: () => {
      if (!server.listening) server.listen(taken, host)
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
  const url = new URL(request.url ?? "/", "ws://venue")
  const path = decodeURIComponent(url.pathname)
  const door = doorOf(path)
  if (door === undefined) return refuse(socket, 404)
  // A client that gives up during the handshake is not the venue's error.
  socket.on("error", () => socket.destroy())
  const fault = doors.faults.upgrade({ door, path })
  if (fault?.kind === "hang_upgrade") return
  if (fault?.kind === "refuse_upgrade") return refuse(socket, fault.status, fault.retryAfterSeconds)
  try {
    doors.admitConnection()
  } catch (error) {
    if (error instanceof ApiError) return refuse(socket, error.status, error.retryAfterSeconds)
    throw error
  }
  sockets.handleUpgrade(request, socket, head, (opened) => {
    const { wire, now } = doors
    const limitsMessages = doors.limitsMessages && door === "streams"
    wire.attach(opened, { door, raw: socket, now, limitsMessages })
    serve(opened, socket, path, url, doors)
  })
}

function doorOf(path: string): Door | undefined {
  if (path === "/ws-api/v3") return "wsApi"
  return path === "/stream" || path === "/ws" || path.startsWith("/ws/") ? "streams" : undefined
}

function serve(opened: WebSocket, raw: Duplex, path: string, url: URL, { hub, wsApi }: Doors) {
  if (path === "/ws-api/v3") return wsApi.attach(opened, raw)
  const isCombined = path === "/stream"
  const names = isCombined ? url.searchParams.get("streams") ?? "" : path.slice("/ws/".length)
  hub.attach(opened, { isCombined, streams: names.split("/").filter((name) => name !== "") })
}

function refuse(socket: Duplex, status: number, retryAfterSeconds?: number) {
  const wait = retryAfterSeconds === undefined ? "" : `retry-after: ${retryAfterSeconds}\r\n`
  socket.end(`HTTP/1.1 ${status} Refused\r\n${wait}connection: close\r\ncontent-length: 0\r\n\r\n`)
}
