/**
 * The simulated Binance's doors: which path leads to the public streams and which to the
 * WS-API, and who is let in.
 */
import type { BinanceDesk } from "./binance_desk.ts"
import { ApiError } from "./binance_params.ts"
import type { Faults } from "./faults.ts"
import type { HttpDoor } from "./http_door.ts"
import type { StreamHub } from "./stream_hub.ts"
import type { Doors, Refusal } from "./venue_server.ts"
import type { Door, Wire } from "./wire.ts"
import type { WsApiDoor } from "./ws_api_door.ts"

export function binanceDoors(parts: {
  readonly desk: BinanceDesk
  readonly rest: HttpDoor
  readonly wsApi: WsApiDoor
  readonly hub: StreamHub
  readonly wire: Wire
  readonly faults: Faults
  /** Whether clients of the streams are held to so many messages a second. */
  readonly limitsMessages: boolean
}): Doors {
  const { desk, rest, wsApi, hub, wire, faults } = parts
  return {
    wire,
    faults,
    serve: rest.serve,
    doorOf,
    admit: () => admit(desk),
    welcome: ({ socket, raw, door, path, url }) => {
      const limitsMessages = parts.limitsMessages && door === "streams"
      wire.attach(socket, { door, raw, now: desk.now, limitsMessages })
      if (door === "wsApi") return wsApi.attach(socket, raw)
      const isCombined = path === "/stream"
      const names = isCombined ? url.searchParams.get("streams") ?? "" : path.slice("/ws/".length)
      hub.attach(socket, { isCombined, streams: names.split("/").filter((name) => name !== "") })
    },
  }
}

function doorOf(path: string): Door | undefined {
  if (path === "/ws-api/v3") return "wsApi"
  return path === "/stream" || path === "/ws" || path.startsWith("/ws/") ? "streams" : undefined
}

function admit({ usage, now }: BinanceDesk): Refusal | undefined {
  try {
    usage.admitConnection(now())
    return undefined
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
}
