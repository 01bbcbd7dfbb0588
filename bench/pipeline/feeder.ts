/**
 * A venue that does nothing but send: whoever subscribes gets one session after the other, as fast
 * as the socket takes it.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { type WebSocket, WebSocketServer } from "ws"

export interface Feeding {
  /** Bytes of each pass, sent without a break. */
  readonly passes: ReadonlyArray<Uint8Array>
  /** Sending begins when all of these have been asked for. */
  readonly streams: ReadonlyArray<string>
  /** Answer of `GET /api/v3/depth`. */
  readonly snapshot: string
}

const CHUNK = 1_048_576
/** For answers to be read before the flood. */
const SETTLE_MS = 300

/** What a client has to know of the market before it listens. */
const EXCHANGE_INFO = JSON.stringify({
  timezone: "UTC",
  serverTime: 0,
  rateLimits: [],
  exchangeFilters: [],
  symbols: [{
    ...{ symbol: "BTCUSDT", status: "TRADING", baseAsset: "BTC", quoteAsset: "USDT" },
    ...{ baseAssetPrecision: 8, quotePrecision: 8, quoteAssetPrecision: 8 },
    ...{ isSpotTradingAllowed: true, isMarginTradingAllowed: false, permissions: [] },
    permissionSets: [["SPOT"]],
    orderTypes: ["LIMIT", "MARKET"],
    filters: [
      { filterType: "PRICE_FILTER", minPrice: "0.01", maxPrice: "1000000", tickSize: "0.01" },
      { filterType: "LOT_SIZE", minQty: "0.00001", maxQty: "9000", stepSize: "0.00001" },
    ],
  }],
})

/** Listens on loopback until it is disposed. */
export async function startFeeder(feeding: Feeding) {
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0] ?? ""
    const body = path.endsWith("/depth")
      ? feeding.snapshot
      : path.endsWith("/exchangeInfo")
      ? EXCHANGE_INFO
      : "{}"
    response.writeHead(200, { "content-type": "application/json" })
    response.end(body)
  })
  // A pong would land in the middle of a frame.
  const upgrades = new WebSocketServer({
    ...{ noServer: true, perMessageDeflate: false, autoPong: false },
  })
  server.on("upgrade", (request, raw: Duplex, head) => {
    upgrades.handleUpgrade(request, raw, head, (socket) => serve(socket, raw, feeding))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const authority = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    authority,
    async [Symbol.asyncDispose]() {
      for (const socket of upgrades.clients) socket.terminate()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function serve(socket: WebSocket, raw: Duplex, { streams, passes }: Feeding) {
  const missing = new Set(streams)
  socket.on("error", () => {})
  socket.on("message", (data) => {
    const { id, params } = JSON.parse(String(data)) as {
      readonly id: number | string
      readonly params?: ReadonlyArray<string>
    }
    socket.send(JSON.stringify({ result: null, id }))
    const before = missing.size
    for (const stream of params ?? []) missing.delete(stream)
    if (before > 0 && missing.size === 0) setTimeout(() => pour(raw, passes), SETTLE_MS)
  })
}

/** Past the WebSocket of the server: its own cost must not be the limit. */
async function pour(raw: Duplex, passes: ReadonlyArray<Uint8Array>) {
  let isTaken = Promise.withResolvers<void>()
  raw.on("error", () => {})
  raw.on("drain", () => isTaken.resolve())
  raw.on("close", () => isTaken.resolve())
  for (const bytes of passes) {
    for (let at = 0; at < bytes.length; at += CHUNK) {
      if (raw.destroyed) return
      isTaken = Promise.withResolvers()
      if (!raw.write(bytes.subarray(at, at + CHUNK))) await isTaken.promise
    }
  }
}
