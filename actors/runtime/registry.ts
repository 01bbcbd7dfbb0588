/**
 * Names, and references by name.
 *
 * There is one entry per name, made by whoever asks first, and it is itself the
 * reference: it stays valid while actors come and go under the name. A name
 * belongs to an actor from its first start until it is dead, over restarts.
 */
import type { ActorRef } from "./behavior.ts"
import type { Cell } from "./cell.ts"
import type { Runtime } from "./runtime.ts"

/** References of ours lead to a cell; `ask` and `monitor` need it. */
export abstract class Ref implements ActorRef<unknown> {
  abstract readonly path: string
  abstract send(message: unknown): boolean
  abstract signal(message: unknown): boolean
  abstract cell(): Cell | undefined
}

export class NamedRef extends Ref {
  target: Cell | undefined = undefined
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

  #nobody(message: unknown): false {
    this.runtime.deadLetter(this.id, message, "unknown_name")
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

  unbind(id: string, cell: Cell) {
    const entry = this.#entries.get(id)
    if (entry?.target !== cell) return
    entry.target = undefined
    if (!entry.shared) this.#entries.delete(id)
  }

  #entry(id: string): NamedRef {
    let entry = this.#entries.get(id)
    if (entry === undefined) this.#entries.set(id, entry = new NamedRef(id, this.runtime))
    return entry
  }
}
