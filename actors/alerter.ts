/**
 * Turns what the journal says into what a person must know.
 *
 * One alert per trouble: raised once, updated while it lasts, resolved with it. The alert is itself
 * an event; where it is shown is not decided here.
 */
import { Effect } from "effect"
import type { Books } from "../domain/books.ts"
import type { Event, JournalRecord } from "../domain/event.ts"
import { follow, keepUp, record, type Recorded } from "./journal.ts"
import { runnerOf } from "./names.ts"
import { type ActorContext, type ActorName, actorName, behavior } from "./runtime/mod.ts"

export const Alerter: ActorName<Recorded> = actorName("alerter")

export interface AlerterOptions {
  readonly mailboxMax: number
  /** Failed attempts after which an outage is an alert. */
  readonly attemptsMax: number
}

export function alerter(options: AlerterOptions) {
  return behavior<Books, Recorded>({
    name: Alerter.id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: Effect.fn("Alerter.init")(function* (actor: ActorContext<Recorded>) {
      const books = yield* follow(actor)
      // What ended while nobody looked.
      yield* record(
        actor,
        books,
        [...books.alerts.keys()].flatMap((id) =>
          isOver(id, books, actor.incarnation) ? resolved(id, books) : []
        ),
      )
      return books
    }),
    receive: (books, message, actor) => {
      keepUp(books, message.records)
      const alerts: Array<Event> = []
      for (const each of message.records) alerts.push(...alertsFor(each, books, alerts, options))
      return alerts.length === 0 ? books : Effect.as(record(actor, books, alerts), books)
    },
  })
}

function alertsFor(
  { event }: JournalRecord,
  books: Books,
  /** Raised and resolved already for records of the same message, and not yet in the books. */
  before: ReadonlyArray<Event>,
  { attemptsMax }: AlerterOptions,
): ReadonlyArray<Event> {
  const over = (id: string) => resolved(id, books, before)
  switch (event._tag) {
    case "FeedLost": {
      if (event.attempt < attemptsMax) return []
      const detail = `${event.cause}; attempt ${event.attempt}. Entries are off, prices are polled.`
      return [
        raised(`feed:${event.venue}`, "critical", `No live prices from ${event.venue}`, detail),
      ]
    }
    case "FeedRestored":
      return over(`feed:${event.venue}`)
    case "AccountLost": {
      const title = `Order reports from ${event.venue} are interrupted`
      return [
        raised(`account:${event.venue}`, "warning", title, `${event.cause}. Entries are off.`),
      ]
    }
    case "AccountReconciled": {
      if (event.differences.length === 0) return over(`account:${event.venue}`)
      const title = `Our books and ${event.venue} disagree`
      return [raised(`account:${event.venue}`, "critical", title, event.differences.join("; "))]
    }
    case "OrderUnconfirmed": {
      const title = `Nobody knows yet what became of order ${event.clientOrderId}`
      return [raised(`order:${event.clientOrderId}`, "warning", title, event.cause)]
    }
    case "OrderAccepted":
    case "OrderFilled":
    case "OrderRejected":
    case "OrderCanceled":
    case "OrderExpired":
      return over(`order:${event.clientOrderId}`)
    case "ActorRestarted":
      return over(`actor:${event.path}`)
    case "ActorFailed":
      return [raised(`actor:${event.path}`, "critical", `${event.path} has failed`, event.cause)]
    // Whoever failed has been replaced.
    case "StrategySwapped":
      return [...books.alerts.keys()]
        .filter((id) => id.startsWith("actor:") && id.endsWith(`/${runnerOf(event.from).id}`))
        .flatMap(over)
    default:
      return []
  }
}

function isOver(alertId: string, books: Books, incarnation: number): boolean {
  const [kind = ""] = alertId.split(":", 1)
  const subject = alertId.slice(kind.length + 1)
  switch (kind) {
    case "feed":
      return books.feeds.get(subject)?.status === "streaming"
    case "account":
      return books.accounts.get(subject)?.ready === true
    case "order":
      return books.orders.get(subject)?.status !== "unconfirmed"
    // A new process has actors of its own.
    case "actor":
      return incarnation === 0
    // Whoever raised it says when it is over.
    default:
      return false
  }
}

function raised(
  id: string,
  severity: "warning" | "critical",
  title: string,
  detail: string,
): Event {
  return { _tag: "AlertRaised", id, severity, title, detail }
}

function resolved(
  id: string,
  books: Books,
  before: ReadonlyArray<Event> = [],
): ReadonlyArray<Event> {
  const last = before.findLast((each) =>
    (each._tag === "AlertRaised" || each._tag === "AlertResolved") && each.id === id
  )
  const alert = books.alerts.get(id)
  const isRaised = last === undefined
    ? alert !== undefined && alert.resolvedAt === undefined
    : last._tag === "AlertRaised"
  return isRaised ? [{ _tag: "AlertResolved", id }] : []
}
