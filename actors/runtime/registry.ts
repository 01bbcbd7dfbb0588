/**
 * Names, and references by name.
 *
 * There is one entry per name, made by whoever asks first, and it is itself the
 * reference: it stays valid while actors come and go under the name. A name
 * belongs to an actor from its first start until it is dead, over restarts.
 */
import type { ActorRef, ExitReason } from "./behavior.ts"
import type { Cell } from "./cell.ts"
import type { Runtime } from "./runtime.ts"

/** References of ours lead to a cell; `ask` and `monitor` need it. */
export abstract class Ref implements ActorRef<unknown> {
  abstract readonly path: string
  abstract send(message: unknown): boolean
  abstract signal(message: unknown): boolean
  abstract cell(): Cell | undefined
  /** How the actor ended, once it is dead. */
  abstract get lastExit(): ExitReason | undefined
}

export class NamedRef extends Ref {
  target: Cell | undefined = undefined
  /** How the last one of this name ended, and why in one line. */
  lastExit: ExitReason | undefined = undefined
  private epitaph: string | undefined = undefined
  /** Somebody may hold it: it has to stay the entry of its name. */
  shared = false

  constructor(readonly id: string, private readonly runtime: Runtime) {
    super()
  }

  get path() {
    return this.target?.path ?? this.id
  }

  cell() {
    return this.target
  }

  send(message: unknown): boolean {
    const cell = this.target
    return cell === undefined ? this.#nobody(message) : cell.send(message)
  }

  signal(message: unknown): boolean {
    const cell = this.target
    return cell === undefined ? this.#nobody(message) : cell.signal(message)
  }

  /** Its actor is dead. */
  clear(cell: Cell, epitaph: string) {
    this.target = undefined
    this.lastExit = cell.lastExit
    this.epitaph = epitaph
  }

  #nobody(message: unknown): false {
    const reason = this.epitaph === undefined ? "unknown_name" : "dead"
    this.runtime.deadLetter(this.id, message, reason, this.epitaph)
    return false
  }
}

export class Registry {
  readonly #entries = new Map<string, NamedRef>()

  constructor(private readonly runtime: Runtime) {}

  ref(id: string): NamedRef {
    const entry = this.#entry(id)
    entry.shared = true
    return entry
  }

  /** Where the actor is that has the name. */
  holder(id: string): string | undefined {
    return this.#entries.get(id)?.target?.path
  }

  /** False when another actor has the name. */
  bind(id: string, cell: Cell): boolean {
    const entry = this.#entry(id)
    if (entry.target !== undefined) return entry.target === cell
    entry.target = cell
    return true
  }

  unbind(id: string, cell: Cell, epitaph: string) {
    const entry = this.#entries.get(id)
    if (entry?.target !== cell) return
    if (entry.shared) entry.clear(cell, epitaph)
    else this.#entries.delete(id)
  }

  #entry(id: string): NamedRef {
    let entry = this.#entries.get(id)
    if (entry === undefined) this.#entries.set(id, entry = new NamedRef(id, this.runtime))
    return entry
  }
}
