/**
 * One connection per endpoint: who holds the slot, and for how long after an unclean end.
 *
 * The venue notices a proper close at once. Whoever was cut off, reset or frozen keeps the slot
 * until the venue has given up on them, and everybody else is told that it is taken.
 */
import type { WebSocket } from "ws"

/** What `ws` says of a connection that ended without a close frame. */
const UNCLEAN = 1006

interface Slot {
  readonly socket: WebSocket
  /** Of a session that is dead already, epoch milliseconds. */
  heldUntil: number
}

export class Slots {
  readonly #slots = new Map<string, Slot>()
  readonly #heldMs: number
  readonly #now: () => number
  readonly #frozenSince: (socket: WebSocket) => number | undefined

  constructor(options: {
    /** How long a dead session holds its slot. */
    readonly heldMs: number
    readonly now: () => number
    readonly frozenSince: (socket: WebSocket) => number | undefined
  }) {
    this.#heldMs = options.heldMs
    this.#now = options.now
    this.#frozenSince = options.frozenSince
  }

  /** False when somebody else has it. */
  take(endpoint: string, socket: WebSocket): boolean {
    const slot = this.#slots.get(endpoint)
    if (slot !== undefined && slot.socket !== socket && this.#isHeld(slot)) return false
    this.#slots.set(endpoint, { socket, heldUntil: Infinity })
    socket.once("close", (code: number) => this.#left(endpoint, socket, code))
    return true
  }

  #left(endpoint: string, socket: WebSocket, code: number) {
    const slot = this.#slots.get(endpoint)
    if (slot?.socket !== socket) return
    if (code === UNCLEAN && this.#heldMs > 0) slot.heldUntil = this.#now() + this.#heldMs
    else this.#slots.delete(endpoint)
  }

  #isHeld(slot: Slot): boolean {
    const now = this.#now()
    const frozenSince = this.#frozenSince(slot.socket)
    if (frozenSince !== undefined && now - frozenSince >= this.#heldMs) return false
    return now < slot.heldUntil
  }
}
