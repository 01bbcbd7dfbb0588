/**
 * The venue's open sockets: sends, counts, pings, and drops who does not answer.
 *
 * Every frame that is not a ping goes out through `send`, so that a replay knows
 * when all has been handed over.
 */
import { Buffer } from "node:buffer"
import { WebSocket } from "ws"

export const PING_EVERY_MS = 20_000
export const PONG_WITHIN_MS = 60_000

interface Health {
  pingedAt: number
  /** When the oldest unanswered ping was sent. */
  unansweredSince: number | undefined
  payload: string
}

export class Wire {
  #framesSent = 0
  readonly #sockets = new Map<WebSocket, Health>()

  get framesSent(): number {
    return this.#framesSent
  }

  get sockets(): Iterable<WebSocket> {
    return this.#sockets.keys()
  }

  send(socket: WebSocket, text: string) {
    if (socket.readyState !== WebSocket.OPEN) return
    this.#framesSent++
    socket.send(text)
  }

  attach(socket: WebSocket, now: number) {
    const health: Health = { pingedAt: now, unansweredSince: undefined, payload: "" }
    this.#sockets.set(socket, health)
    socket.on("pong", (data: Buffer) => {
      // A pong that does not carry the ping's payload is not its answer.
      if (data.toString() === health.payload) health.unansweredSince = undefined
    })
    // Without a listener a protocol error of the peer would end the process.
    socket.on("error", () => socket.terminate())
    socket.on("close", () => this.#sockets.delete(socket))
  }

  /** To be called about once a second. */
  beat(now: number) {
    for (const [socket, health] of this.#sockets) {
      if (health.unansweredSince !== undefined && now - health.unansweredSince >= PONG_WITHIN_MS) {
        socket.terminate()
      } else if (now - health.pingedAt >= PING_EVERY_MS && socket.readyState === WebSocket.OPEN) {
        health.pingedAt = now
        health.payload = String(now)
        health.unansweredSince ??= now
        socket.ping(health.payload)
      }
    }
  }

  terminateAll() {
    for (const socket of this.#sockets.keys()) socket.terminate()
  }
}
