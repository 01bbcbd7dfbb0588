/**
 * The venue's open sockets: sends, counts, pings, and drops who does not answer or
 * has been here for a day.
 *
 * Every frame that is not a ping goes out through `send`, so that a replay knows when
 * all has been handed over, and so that faults can strike it there.
 */
import { Buffer } from "node:buffer"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { WebSocket } from "ws"
import type { FrameFault } from "./fault.ts"
import type { Faults, Subject } from "./faults.ts"
import { garble } from "./garble.ts"

export const PING_EVERY_MS = 20_000
export const PONG_WITHIN_MS = 60_000
export const LIFETIME_MS = 24 * 3_600_000
/** Of a frozen connection; nobody waits for one as long. */
const FROZEN_MAX_MS = 3_600_000
/** Frames a client of the public streams may send per second, pings and pongs included. */
export const MESSAGES_PER_SECOND = 5

/** What a WebSocket can be of: Binance's two, Alpaca's two. */
export const DOORS = ["streams", "wsApi", "dataStream", "tradingStream"] as const
export type Door = typeof DOORS[number]

/** Text as one connection wants its frames: the text itself, or bytes for a binary frame. */
export type Encode = (text: string) => string | Uint8Array

interface Line {
  readonly door: Door
  readonly encode: Encode
  /** The connection below the WebSocket. */
  readonly raw: Duplex
  readonly openedAt: number
  pingedAt: number
  /** When the oldest unanswered ping was sent. */
  unansweredSince: number | undefined
  payload: string
  /** Since when nothing is sent or read, epoch milliseconds. */
  frozenSince: number | undefined
  /** Pings are answered, and nothing else is said. */
  isMute: boolean
  /** A frame that waits for the next one to go first. */
  held: string | undefined
  /** Incoming frames of the current second. */
  heard: { second: number; frames: number }
}

export class Wire {
  isPinging = true
  readonly #faults: Faults
  readonly #lifetimeMs: number
  readonly #later: (ms: number, act: () => void) => void
  readonly #lines = new Map<WebSocket, Line>()
  #framesSent = 0

  /** `lifetimeMs` is how long a connection may last. */
  constructor(
    faults: Faults,
    later: (ms: number, act: () => void) => void,
    lifetimeMs: number = LIFETIME_MS,
  ) {
    this.#faults = faults
    this.#later = later
    this.#lifetimeMs = lifetimeMs
  }

  get framesSent(): number {
    return this.#framesSent
  }

  /** Sockets that came through one door, or all. */
  sockets(door?: Door): ReadonlyArray<WebSocket> {
    return [...this.#lines].filter(([, line]) => (door ?? line.door) === line.door)
      .map(([socket]) => socket)
  }

  /** Without a `subject` no fault can strike: control frames and answers. */
  send(socket: WebSocket, text: string, subject?: Subject) {
    const fault = subject && this.#faults.frame(subject)
    if (fault !== undefined) return this.#spoil(socket, text, fault)
    this.#write(socket, text)
    const line = this.#lines.get(socket)
    if (line?.held === undefined) return
    const held = line.held
    line.held = undefined
    this.#write(socket, held)
  }

  /** `limitsMessages` where the client's frames are counted against the venue's limit. */
  attach(
    socket: WebSocket,
    options: {
      door: Door
      raw: Duplex
      now: () => number
      limitsMessages: boolean
      encode?: Encode
    },
  ) {
    const now = options.now()
    const line: Line = {
      door: options.door,
      encode: options.encode ?? ((text) => text),
      raw: options.raw,
      openedAt: now,
      pingedAt: now,
      unansweredSince: undefined,
      payload: "",
      frozenSince: undefined,
      isMute: false,
      held: undefined,
      heard: { second: 0, frames: 0 },
    }
    this.#lines.set(socket, line)
    socket.on("pong", (data: Buffer) => {
      // A pong that does not carry the ping's payload is not its answer.
      if (data.toString() === line.payload) line.unansweredSince = undefined
    })
    if (options.limitsMessages) {
      for (const kind of ["message", "ping", "pong"] as const) {
        socket.on(kind, () => countMessage(socket, line, options.now()))
      }
    }
    // Without a listener a protocol error of the peer would end the process.
    socket.on("error", () => socket.terminate())
    socket.on("close", () => this.#lines.delete(socket))
  }

  /** To be called about once a second. */
  beat(now: number) {
    for (const [socket, line] of this.#lines) {
      if (line.frozenSince !== undefined) {
        // What is not read does not notice that its client has gone.
        if (now - line.frozenSince >= FROZEN_MAX_MS) socket.terminate()
        continue
      }
      if (now - line.openedAt >= this.#lifetimeMs) {
        socket.close(1001, "connection is 24 hours old")
      } else if (
        line.unansweredSince !== undefined && now - line.unansweredSince >= PONG_WITHIN_MS
      ) {
        socket.terminate()
      } else if (
        this.isPinging && now - line.pingedAt >= PING_EVERY_MS &&
        socket.readyState === WebSocket.OPEN
      ) {
        line.pingedAt = now
        line.payload = String(now)
        line.unansweredSince ??= now
        socket.ping(line.payload)
      }
    }
  }

  // Ways to end, and one not to

  close(code: number, reason: string, door?: Door) {
    for (const socket of this.sockets(door)) socket.close(code, reason)
  }

  /** FIN, and no close frame. */
  cut(door?: Door) {
    for (const socket of this.sockets(door)) this.#lines.get(socket)?.raw.destroy()
  }

  /** RST. */
  reset(door?: Door) {
    for (const socket of this.sockets(door)) {
      const raw = this.#lines.get(socket)?.raw
      if (raw instanceof Socket) raw.resetAndDestroy()
      else raw?.destroy()
    }
  }

  /** Nothing is sent and nothing read any more, not even pings: it only looks connected. */
  freeze(now: number, door?: Door) {
    for (const socket of this.sockets(door)) {
      const line = this.#lines.get(socket)
      if (line === undefined) continue
      line.frozenSince ??= now
      socket.pause()
    }
  }

  frozenSince(socket: WebSocket): number | undefined {
    return this.#lines.get(socket)?.frozenSince
  }

  /** Connections live on, and no frame leaves through them any more. */
  mute(door?: Door) {
    for (const socket of this.sockets(door)) {
      const line = this.#lines.get(socket)
      if (line !== undefined) line.isMute = true
    }
  }

  terminateAll() {
    for (const socket of this.#lines.keys()) socket.terminate()
  }

  #write(socket: WebSocket, text: string) {
    const line = this.#speaking(socket)
    if (line === undefined) return
    this.#framesSent++
    socket.send(line.encode(text))
  }

  /** `undefined` when nothing leaves through it any more. */
  #speaking(socket: WebSocket): Line | undefined {
    const line = this.#lines.get(socket)
    if (line === undefined || line.isMute || line.frozenSince !== undefined) return undefined
    return socket.readyState === WebSocket.OPEN ? line : undefined
  }

  #spoil(socket: WebSocket, text: string, fault: FrameFault) {
    switch (fault.kind) {
      case "drop":
        return
      case "duplicate":
        this.#write(socket, text)
        return this.#write(socket, text)
      case "swap": {
        const line = this.#lines.get(socket)
        if (line?.held !== undefined) this.#write(socket, line.held)
        if (line !== undefined) line.held = text
        return
      }
      case "late":
        return this.#later(fault.ms, () => this.#write(socket, text))
      case "garble": {
        const garbled = garble(text, fault.as)
        if (typeof garbled === "string") return this.#write(socket, garbled)
        const line = this.#speaking(socket)
        if (line === undefined) return
        this.#framesSent++
        line.raw.write(garbled)
      }
    }
  }
}

function countMessage(socket: WebSocket, line: Line, now: number) {
  const second = Math.floor(now / 1_000)
  if (line.heard.second !== second) line.heard = { second, frames: 0 }
  if (++line.heard.frames > MESSAGES_PER_SECOND) socket.close(1008, "Too many requests")
}
