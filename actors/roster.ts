/**
 * Makes the strategies that run the strategies that are assigned.
 *
 * The assignments are in the journal; the runners are children of a supervisor. Whenever the two
 * differ, runners are started and stopped until they do not, so swapping a strategy touches neither
 * feed nor execution.
 */
import { Effect } from "effect"
import type { Books } from "../domain/books.ts"
import type { Event } from "../domain/event.ts"
import { venueOf } from "../domain/instrument.ts"
import type { Assignment } from "../domain/strategy.ts"
import { follow, keepUp, record, type Recorded } from "./journal.ts"
import { runnerOf } from "./names.ts"
import {
  type ActorContext,
  type ActorName,
  actorName,
  type ActorSystem,
  type Behavior,
  behavior,
} from "./runtime/mod.ts"

export interface RosterOptions {
  /** Of the supervisor that runs them. */
  readonly supervisorPath: string
  /** Undefined until the whole tree has been started. */
  readonly system: () => ActorSystem | undefined
  /**
   * Undefined for what cannot be run here now: an instrument that is not configured any more, or
   * whose venue has not answered yet.
   */
  readonly runner: (assignment: Assignment) => Behavior<never> | undefined
  /** What the configuration wants at the start; later changes are the operator's and stay. */
  readonly configured: ReadonlyArray<Assignment>
  readonly mailboxMax: number
}

export type RosterMessage = Recorded | { readonly _tag: "Arrange" }
export const Roster: ActorName<RosterMessage> = actorName("roster")

interface State {
  readonly books: Books
  /** Assignment of every runner that was started, by its id. */
  readonly running: Map<string, Assignment>
  /** Those that cannot be run, and of which that has been said. */
  readonly absent: Set<string>
}

/** Until the tree stands. */
const ARRANGE_AGAIN_MS = 5

export function roster(options: RosterOptions) {
  return behavior<State, RosterMessage>({
    name: Roster.id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: Effect.fn("Roster.init")(function* (actor: ActorContext<RosterMessage>) {
      const books = yield* follow(actor)
      yield* record(actor, books, changes(books, options.configured))
      actor.sendAfter(0, { _tag: "Arrange" })
      return { books, running: runningNow(books, options), absent: new Set<string>() }
    }),
    receive: (state, message, actor) => {
      if (message._tag === "Arrange") return arrange(state, options, actor)
      keepUp(state.books, message.records)
      return message.records.some(({ event }) => event._tag.startsWith("Strategy"))
        ? arrange(state, options, actor)
        : state
    },
  })
}

/** The configuration decides at the first start with a venue; after that the journal does. */
function changes(books: Books, configured: ReadonlyArray<Assignment>): ReadonlyArray<Event> {
  const known = new Set(
    [...books.assignments.values()].map(({ instrument }) => venueOf(instrument)),
  )
  return configured
    .filter(({ instrument }) => !known.has(venueOf(instrument)))
    .map((assignment) => ({ _tag: "StrategyAssigned", ...assignment }))
}

/** After a restart of this actor its runners are still there. */
function runningNow(books: Books, { system, supervisorPath }: RosterOptions) {
  const children = system()?.whichChildren(supervisorPath) ?? []
  const names = new Set(children.map(({ name }) => name))
  return new Map(
    [...books.assignments].filter(([id]) => names.has(runnerOf(id).id)),
  )
}

const arrange = Effect.fnUntraced(function* (
  state: State,
  options: RosterOptions,
  actor: ActorContext<RosterMessage>,
) {
  const system = options.system()
  if (system === undefined) {
    actor.sendAfter(ARRANGE_AGAIN_MS, { _tag: "Arrange" })
    return state
  }
  const { assignments } = state.books
  for (const id of [...state.running.keys()]) {
    if (assignments.has(id)) continue
    yield* stopRunner(system, id, options)
    state.running.delete(id)
  }
  for (const [id, assignment] of assignments) {
    const before = state.running.get(id)
    if (before === assignment) continue
    // Same strategy and instrument, other parameters: a new runner under the same name.
    if (before !== undefined) yield* stopRunner(system, id, options)
    const runner = options.runner(assignment)
    if (runner === undefined) {
      state.running.delete(id)
      if (!state.absent.has(id)) {
        yield* Effect.logWarning(`${id} does not run: its instrument is not there`)
      }
      state.absent.add(id)
    } else {
      state.running.set(id, assignment)
      state.absent.delete(id)
      // One strategy that does not start must not keep the others from running.
      yield* system.startChild(options.supervisorPath, runner).pipe(
        Effect.catch((error) => Effect.logError(`${id} does not start: ${error.message}`)),
      )
    }
  }
  return state
})

function stopRunner(system: ActorSystem, id: string, { supervisorPath }: RosterOptions) {
  const name = runnerOf(id).id
  const runs = system.whichChildren(supervisorPath)?.some((child) => child.name === name) ?? false
  return runs ? system.stopChild(`${supervisorPath}/${name}`) : Effect.void
}
