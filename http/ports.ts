/**
 * What the HTTP side needs from the runtime, and nothing else.
 *
 * Reads are immutable values of the read model; the only way in is `submit`. So the pages can be
 * driven by the runtime or by a fixture, and can do nothing to an actor that a command cannot.
 */
import type { Command, CommandProgress, CommandReceipt } from "../domain/command.ts"
import type { EventView, FillView, OrderView, Overview, Series } from "../domain/overview.ts"

export interface HttpDeps {
  /** Current read model; cheap to call, immutable. */
  readonly overview: () => Overview
  /** Called at most about 4 times a second after it changed, and at once for new journal events. */
  readonly onChange: (listener: () => void) => () => void
  /** New journal records as they are committed, in order, without gaps. */
  readonly onRecord: (listener: (record: JournalRecordView) => void) => () => void
  /** Records with `seq > after`, ascending, at most `limit`. */
  readonly readRecords: (after: number, limit: number) => Promise<ReadonlyArray<JournalRecordView>>
  /** Absent for an instrument nobody knows. */
  readonly series: (instrument: string) => Series | undefined
  readonly instruments: () => ReadonlyArray<string>
  /**
   * Resolves once the command is journaled; its outcome comes by `progress`. Rejects with
   * `CommandRefused`. Idempotent by id, and never under the request's abort signal: a closed laptop
   * must not stop a flatten half-way.
   */
  readonly submit: (command: Command) => Promise<CommandReceipt>
  /** Lines of a command from its beginning, then live; ends after the `final` one. */
  readonly progress: (commandId: string) => AsyncIterable<CommandProgress>
  /** In the text format of Prometheus. */
  readonly metrics: () => string
  readonly health: () => Health
  readonly orders: () => ReadonlyArray<OrderView>
  readonly fills: () => ReadonlyArray<FillView>
  /** What may be swapped in. */
  readonly strategies: () => ReadonlyArray<StrategyChoice>
  /** Unguessable; at most 54 characters of `A-Z a-z 0-9 _ -`. */
  readonly newId: () => string
  /** Epoch milliseconds. */
  readonly now: () => number
  /** A request that died of a bug; its answer says nothing about the cause. Else standard error. */
  readonly reportDefect?: (where: string, cause: unknown) => void
  /** Names this server answers to, as `URL.hostname` spells them: `localhost`, `127.0.0.1`, `[::1]`. */
  readonly hostnames: ReadonlySet<string>
}

export interface JournalRecordView {
  /** Dense: the next record's is one more. */
  readonly seq: number
  readonly time: number
  /** JSON-ready. */
  readonly event: { readonly _tag: string; readonly [field: string]: unknown }
  readonly view: EventView
}

export interface Health {
  readonly live: boolean
  readonly ready: boolean
  /** Why not, in words; empty when ready. */
  readonly reasons: ReadonlyArray<string>
}

export interface StrategyChoice {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly params: ReadonlyArray<
    { readonly name: string; readonly description: string; readonly default: string }
  >
}
