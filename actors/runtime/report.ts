/**
 * What happens to actors, as data of one shape: for logs, for alerts, for the dashboard.
 *
 * Listeners are told on the stack of what they are told about. One that throws
 * is logged and told no more: watching must not change what is watched.
 */
import { Cause } from "effect"

export type ReportKind =
  /** A supervisor is about to start its children. */
  | "starting"
  | "started"
  /** `init` failed; at a restart it is tried again, and counts. */
  | "start_failed"
  | "crashed"
  /** Ended by itself in good order. */
  | "exited"
  /** Waits out its backoff until `restartAt`. */
  | "restarting"
  | "restarted"
  /** Told to stop, and did. */
  | "stopped"
  /** Did not stop in time: its reference is dead, what it still does is ignored. */
  | "abandoned"
  /** A finalizer or `terminate` failed where that changes nothing else. */
  | "cleanup_failed"
  /** A supervisor gave up: more restarts than its intensity allows. */
  | "escalated"

export interface SupervisionReport {
  /** Epoch milliseconds of the injected Clock. */
  readonly at: number
  readonly kind: ReportKind
  readonly path: string
  /** One line: what went wrong. */
  readonly cause?: string
  /** The cause with its stack, over several lines. */
  readonly trace?: string
  /** Type (if it has one) and hash of the content of the message whose handling crashed. */
  readonly message?: string
  /** How often this child has been restarted so far. */
  readonly restarts: number
  /** With `restarting`: epoch milliseconds. */
  readonly restartAt?: number
}

export interface DeadLetter {
  /** Epoch milliseconds of the injected Clock. */
  readonly at: number
  /** Path of the actor, or the name that nobody has. */
  readonly path: string
  readonly message: unknown
  readonly reason: "dead" | "unknown_name" | "fenced" | "late_reply"
  /** One line: why the actor is dead. */
  readonly cause?: string
}

/** The cause in one line: the error's name and message. */
export function causeLine(cause: Cause.Cause<unknown>): string {
  return errorLine(Cause.hasInterruptsOnly(cause) ? new Error("interrupted") : Cause.squash(cause))
}

export function errorLine(error: unknown): string {
  if (error instanceof Error) {
    const text = error.message === "" ? error.name : `${error.name}: ${error.message}`
    return text.split("\n", 1)[0]!
  }
  return typeof error === "string" ? error : contentOf(error).slice(0, 200)
}

/** `type#hash`: tells messages apart in a report without telling what is in them. */
export function fingerprint(message: unknown): string {
  const text = contentOf(message)
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  const digits = (hash >>> 0).toString(16).padStart(8, "0")
  return `${typeOf(message)}#${digits}`
}

function typeOf(message: unknown): string {
  if (typeof message !== "object" || message === null) return typeof message
  for (const key of ["type", "_tag", "kind"]) {
    const tag: unknown = Reflect.get(message, key)
    if (typeof tag === "string") return tag
  }
  return "object"
}

function contentOf(value: unknown): string {
  const seen = new Set<unknown>()
  try {
    return JSON.stringify(value, (_, part: unknown) => {
      if (typeof part === "bigint") return part.toString()
      if (typeof part === "function") return undefined
      if (typeof part !== "object" || part === null) return part
      if (seen.has(part) || seen.size > 1_000) return undefined
      seen.add(part)
      return part
    }) ?? String(value)
  } catch {
    return Object.prototype.toString.call(value)
  }
}

/** Listeners of one kind of news. */
export class Listeners<T> {
  readonly #listeners = new Set<(news: T) => void>()

  /** `onError` hears of a listener that has thrown, once. */
  constructor(private readonly onError: (error: unknown) => void) {}

  get empty() {
    return this.#listeners.size === 0
  }

  add(listener: (news: T) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  tell(news: T) {
    for (const listener of this.#listeners) {
      try {
        listener(news)
      } catch (error) {
        // Who throws once would throw again: at the next crash, when it is needed least.
        this.#listeners.delete(listener)
        this.onError(error)
      }
    }
  }
}
