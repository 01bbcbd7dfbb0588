/**
 * Turns what the journal says into what a person must know.
 *
 * One alert per trouble: raised once, updated while it lasts, resolved with it. An update calls nobody. The alert is itself
 * an event; where it is shown is not decided here.
 */
import { Effect } from "effect"
import type { Books } from "../domain/books.ts"
import type { Event, FeedTrouble, JournalRecord } from "../domain/event.ts"
import { follow, keepUp, record, type Recorded } from "./journal.ts"
import { feedOf, runnerOf } from "./names.ts"
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
  const raise = (
    id: string,
    severity: "warning" | "critical",
    title: string,
    detail: string,
  ): Event => ({
    // Raised once; what is new about it is an update, and nobody is called again.
    _tag: isOpen(id, books, before) ? "AlertUpdated" : "AlertRaised",
    id,
    severity,
    title,
    detail,
  })
  switch (event._tag) {
    case "FeedLost": {
      const id = feedOf(event.venue).id
      const title = `No live prices from ${event.venue}`
      if (event.rule === "forbidden") {
        const detail = `${event.cause}. Entries are off. Nothing is tried again for a long time: ` +
          "when the cause is gone, resume trading."
        return [raise(id, "critical", title, detail)]
      }
      // What comes and goes has an alert of its own, and a person is called once.
      if (isOpen(`${id}:flapping`, books, before) && !isOpen(id, books, before)) return []
      const isLong = event.attempt >= attemptsMax || isOpen(id, books, before)
      const polls = event.rule === "rate_limited" ? "" : ", prices are polled"
      const detail = `${event.cause}; attempt ${event.attempt}. Entries are off${polls}.`
      return isLong && event.rule !== "planned" ? [raise(id, "critical", title, detail)] : []
    }
    case "FeedPolling": {
      // Five attempts, or a place that stays taken; what comes and goes has an alert of its own.
      const id = feedOf(event.venue).id
      if (isOpen(id, books, before) || isOpen(`${id}:flapping`, books, before)) return []
      const cause = books.feeds.get(event.venue)?.cause ?? "no connection"
      const detail = `${cause}. Entries are off, prices are polled.`
      return [raise(id, "critical", `No live prices from ${event.venue}`, detail)]
    }
    case "FeedRestored":
      return over(feedOf(event.venue).id)
    case "FeedTroubled": {
      const { detail, trouble, venue } = event
      const id = feedOf(venue).id
      // The outage that it is part of has an alert already.
      if (trouble === "flapping" && isOpen(id, books, before)) {
        return [raise(id, "critical", titles[trouble], detail)]
      }
      return [raise(troubleId(venue, trouble), "critical", titles[trouble], detail)]
    }
    case "FeedTroubleEnded":
      return over(troubleId(event.venue, event.trouble))
    case "AccountLost": {
      const id = `account:${event.venue}`
      return event.rule === "forbidden"
        ? [
          raise(
            id,
            "critical",
            `${event.venue} refuses our key`,
            `${event.cause}. Entries are off, and nothing is tried again for a long time: when ` +
              "the cause is gone, resume trading.",
          ),
        ]
        : [
          raise(
            id,
            "warning",
            `Order reports from ${event.venue} are interrupted`,
            `${event.cause}. Entries are off.`,
          ),
        ]
    }
    case "AccountReconciled": {
      if (event.differences.length === 0) return over(`account:${event.venue}`)
      const title = `Our books and ${event.venue} disagree`
      return [raise(`account:${event.venue}`, "critical", title, event.differences.join("; "))]
    }
    case "OrderUnconfirmed": {
      const title = `Nobody knows yet what became of order ${event.clientOrderId}`
      return [raise(`order:${event.clientOrderId}`, "warning", title, event.cause)]
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
      return [raise(`actor:${event.path}`, "critical", `${event.path} has failed`, event.cause)]
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

function resolved(
  id: string,
  books: Books,
  before: ReadonlyArray<Event> = [],
): ReadonlyArray<Event> {
  return isOpen(id, books, before) ? [{ _tag: "AlertResolved", id }] : []
}

function isOpen(id: string, books: Books, before: ReadonlyArray<Event>): boolean {
  const last = before.findLast((each) =>
    (each._tag === "AlertRaised" || each._tag === "AlertResolved") && each.id === id
  )
  if (last !== undefined) return last._tag === "AlertRaised"
  const alert = books.alerts.get(id)
  return alert !== undefined && alert.resolvedAt === undefined
}

function troubleId(venue: string, trouble: FeedTrouble): string {
  return `${feedOf(venue).id}:${trouble}`
}

const titles: Readonly<Record<FeedTrouble, string>> = {
  flapping: "Prices come and go",
  misbehaving: "The venue says that we break its rules",
  nothing_to_watch: "Nothing to watch",
  lagging: "Prices arrive late",
  refused: "The venue does not stream all that was asked for",
}
