/** A command on its way: what it may look at and use, and how it says what happens. */
import { Effect } from "effect"
import type { Books } from "../../domain/books.ts"
import type { SessionPhase } from "../../domain/calendar.ts"
import type { Command } from "../../domain/command.ts"
import type { Event } from "../../domain/event.ts"
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
import type { Broker } from "../../venues/broker.ts"
import { record } from "../journal.ts"
import type { OperatorMessage } from "../names.ts"
import type { ActorContext, ActorSystem } from "../runtime/mod.ts"

export interface OperatorOptions {
  /** These two are read again for every command: a venue may be let in later. */
  readonly instruments: ReadonlyArray<Instrument>
  readonly brokers: ReadonlyArray<Broker>
  readonly system: () => ActorSystem | undefined
  /** Checks strategy and parameters; fails with a sentence for people. */
  readonly checkStrategy: (
    strategy: string,
    instrument: InstrumentId,
    params: unknown,
  ) => Effect.Effect<void, { readonly message: string }>
  /** Crashing an actor on purpose is for the simulated venue only. */
  readonly mayCrash: boolean
  readonly mailboxMax: number
  /** Undefined where the market never closes, and while it is not known. */
  readonly session: (instrument: Instrument) => SessionPhase | undefined
  /** How long the venue may take over cancelling, and over closing, in one round of a flatten. */
  readonly confirmTimeoutMs: number
  readonly lookEveryMs: number
}

export type Context = ActorContext<OperatorMessage>

export interface Task {
  readonly command: Command
  readonly books: Books
  readonly options: OperatorOptions
  readonly actor: Context
}

type Tone = "plain" | "confirmed" | "warning" | "error"

export function step(commandId: string, text: string, tone: Tone, final = false): Event {
  return { _tag: "CommandProgressed", commandId, text, tone, final }
}

export function say({ actor, books, command }: Task, text: string, tone: Tone) {
  return record(actor, books, [step(command.commandId, text, tone)])
}

/** What has happened to the books, and the last word about it. */
export function finish(
  { actor, books, command }: Task,
  text: string,
  tone: Tone,
  events: ReadonlyArray<Event> = [],
) {
  return record(actor, books, [...events, step(command.commandId, text, tone, true)])
}

/** Looks at the books until they say so, or until the time is up. */
export const waitUntil = Effect.fnUntraced(function* (
  isTrue: () => boolean,
  { confirmTimeoutMs, lookEveryMs }: OperatorOptions,
) {
  for (let waited = 0; waited <= confirmTimeoutMs; waited += lookEveryMs) {
    if (isTrue()) return true
    yield* Effect.sleep(lookEveryMs)
  }
  return isTrue()
})
