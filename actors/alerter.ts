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
    init: (actor: ActorContext<Recorded>) => follow(actor),
    receive: (books, message, actor) => {
      keepUp(books, message.records)
      const alerts = message.records.flatMap((each) => alertsFor(each, books, options))
      return alerts.length === 0 ? books : Effect.as(record(actor, books, alerts), books)
    },
  })
}

function alertsFor(
  { event }: JournalRecord,
  books: Books,
  { attemptsMax }: AlerterOptions,
): ReadonlyArray<Event> {
  switch (event._tag) {
    case "FeedLost": {
      if (event.attempt < attemptsMax) return []
      const detail = `${event.cause}; attempt ${event.attempt}. Entries are off, prices are polled.`
      return [
        raised(`feed:${event.venue}`, "critical", `No live prices from ${event.venue}`, detail),
      ]
    }
    case "FeedRestored":
      return resolved(`feed:${event.venue}`, books)
    case "AccountLost": {
      const title = `Order reports from ${event.venue} are interrupted`
      return [
        raised(`account:${event.venue}`, "warning", title, `${event.cause}. Entries are off.`),
      ]
    }
    case "AccountReconciled": {
      if (event.differences.length === 0) return resolved(`account:${event.venue}`, books)
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
      return resolved(`order:${event.clientOrderId}`, books)
    case "ActorFailed":
      return [raised(`actor:${event.path}`, "critical", `${event.path} has failed`, event.cause)]
    default:
      return []
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

function resolved(id: string, books: Books): ReadonlyArray<Event> {
  const alert = books.alerts.get(id)
  return alert === undefined || alert.resolvedAt !== undefined
    ? []
    : [{ _tag: "AlertResolved", id }]
}
