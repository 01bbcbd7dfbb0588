/**
 * Gets out of the market, and says so only when the venue has.
 *
 * Cancel, confirm, close, confirm: in rounds, because a fill may be on its way while we look, and at
 * all venues side by side. The last word is the venue's own balances. It opens nothing, so that what
 * is begun twice still ends once.
 */
import { Effect, Result } from "effect"
import { type Books, openOrders } from "../../domain/books.ts"
import type { Command } from "../../domain/command.ts"
import { formatDecimal, isZero } from "../../domain/decimal.ts"
import type { Event } from "../../domain/event.ts"
import { type Instrument, type InstrumentId, venueOf } from "../../domain/instrument.ts"
import { executorOf, riskManagerOf } from "../names.ts"
import { ask, type AskError, type ReplyTo } from "../runtime/mod.ts"
import { heldAtVenue, notFlat, sellable } from "./holdings.ts"
import { finish, type OperatorOptions, say, type Task, waitUntil } from "./task.ts"

/** A position that moved while it was closed is closed again; more rounds than this is a person's case. */
const ROUNDS = 3
const REPLY_TIMEOUT_MS = 10_000

/** What became of one venue's part. */
type Ending =
  | { readonly _tag: "Flat" }
  /** Its orders are with the venue, which is closed: flat when it has opened, and not before. */
  | { readonly _tag: "Queued"; readonly detail: string }
  | { readonly _tag: "NotFlat"; readonly detail: string }

/** None waits for another, and each speaks for itself. */
export const closeAll = Effect.fnUntraced(function* (
  task: Task,
  ids: ReadonlyArray<InstrumentId>,
) {
  const endings = yield* Effect.forEach(
    [...Map.groupBy(ids, venueOf)],
    ([venue, its]) => Effect.map(closeAt(task, venue, its), (ending) => [venue, ending] as const),
    { concurrency: "unbounded" },
  )
  const isFlat = endings.every(([, { _tag }]) => _tag === "Flat")
  const isQueued = endings.every(([, { _tag }]) => _tag !== "NotFlat")
  const alerts = endings.flatMap(([venue, ending]) => {
    const trouble = ending._tag === "Flat" ? undefined : endingText(ending)
    return alertsAfter(task.command, task.books, [venue], trouble)
  })
  const tone = isFlat ? "confirmed" : isQueued ? "warning" : "error"
  yield* finish(task, lastWord(endings, ids), tone, alerts)
})

/** A flatten that did not end flat is everybody's business; `trouble` undefined is flat. */
export function alertsAfter(
  { type }: Command,
  books: Books,
  venues: ReadonlyArray<string>,
  trouble: string | undefined,
): ReadonlyArray<Event> {
  if (type !== "flatten") return []
  return venues.flatMap((venue): ReadonlyArray<Event> => {
    // Resolved by the next one that does end flat there.
    const id = `flatten:${venue}`
    if (trouble !== undefined) {
      const title = `A flatten of ${venue} did not end flat`
      return [{ _tag: "AlertRaised", id, severity: "critical", title, detail: trouble }]
    }
    const alert = books.alerts.get(id)
    const isRaised = alert !== undefined && alert.resolvedAt === undefined
    return isRaised ? [{ _tag: "AlertResolved", id }] : []
  })
}

/** Those that a flatten is about. */
export function venuesOf({ scope }: Command, { brokers }: OperatorOptions): ReadonlyArray<string> {
  return scope.kind === "account" ? [scope.id ?? ""] : brokers.map(({ venue }) => venue)
}

/** The venues that are not flat first. */
function lastWord(
  endings: ReadonlyArray<readonly [venue: string, Ending]>,
  ids: ReadonlyArray<InstrumentId>,
): string {
  const [only] = endings
  const flat = endings.filter(([, { _tag }]) => _tag === "Flat").map(([venue]) => venue)
  if (only === undefined) return "Flat: there is nothing to close."
  if (endings.length === 1) {
    const [, ending] = only
    if (ending._tag !== "Flat") return endingText(ending)
    return `${ids.length === 1 ? `${ids[0]} is flat` : "Flat"}: confirmed by the venue.`
  }
  if (flat.length === endings.length) return `Flat: confirmed by ${flat.join(" and ")}.`
  return [
    ...endings.flatMap(([venue, ending]) =>
      ending._tag === "Flat" ? [] : [`${venue}: ${endingText(ending)}`]
    ),
    ...flat.map((venue) => `${venue}: flat, confirmed by the venue.`),
  ].join(" ")
}

function endingText(ending: Exclude<Ending, { readonly _tag: "Flat" }>): string {
  return ending._tag === "Queued"
    ? `NOT flat yet: ${ending.detail}.`
    : `NOT flat: ${ending.detail}. Look at the positions.`
}

const closeAt = Effect.fnUntraced(function* (
  task: Task,
  venue: string,
  ids: ReadonlyArray<InstrumentId>,
): Effect.fn.Return<Ending, AskError> {
  const { books, options } = task
  const instruments = options.instruments.filter(({ id }) => ids.includes(id))
  const broker = options.brokers.find((each) => each.venue === venue)
  const venues = options.brokers.map((each) => each.venue)
  let trouble = ""
  for (let round = 1; round <= ROUNDS; round++) {
    yield* cancelOpen(task, venue, ids)
    // Side by side: one that does not close must not keep the others open.
    yield* Effect.forEach(
      instruments.filter((each) => !isZero(sellable(books, each))),
      (each) =>
        closeOne(task, each).pipe(
          Effect.catch((error) => say(task, `${each.id} is not closed: ${error.message}`, "error")),
        ),
      { concurrency: "unbounded", discard: true },
    )
    const left = broker === undefined
      ? Result.succeed([])
      : yield* Effect.result(heldAtVenue(books, instruments, broker))
    const found = Result.isFailure(left)
      ? `the venue does not confirm it (${left.failure.message})`
      : notFlat(books, ids, instruments, left.success, venues)
    if (found === undefined) return { _tag: "Flat" }
    const queued = queuedAt(task, instruments)
    const others = ids.filter((id) => !queued.some((each) => each === id))
    const isAllQueued = queued.length > 0 && Result.isSuccess(left) &&
      notFlat(
          books,
          others,
          instruments.filter(({ id }) => others.includes(id)),
          left.success.filter(({ id }) => others.includes(id)),
          venues,
        ) === undefined
    if (isAllQueued) {
      const detail = `the market is closed, and ${queued.join(", ")} closes when it opens`
      return { _tag: "Queued", detail }
    }
    trouble = found
    if (round === ROUNDS) break
    yield* say(task, `Not flat yet: ${trouble}.`, "warning")
    yield* Effect.sleep(options.confirmTimeoutMs / ROUNDS)
  }
  return { _tag: "NotFlat", detail: trouble }
})

const cancelOpen = Effect.fnUntraced(function* (
  task: Task,
  venue: string,
  ids: ReadonlyArray<InstrumentId>,
) {
  const { actor, books, options } = task
  const open = () => openOrders(books).filter((order) => ids.includes(order.instrument))
  const orders = open()
  if (orders.length === 0) return
  for (const { clientOrderId } of orders) {
    actor.ref(executorOf(venue)).signal({ _tag: "Cancel", clientOrderId, by: "operator" })
  }
  const count = (n: number) => n === 1 ? "1 open order" : `${n} open orders`
  yield* say(task, `Cancelling ${count(orders.length)} at ${venue}.`, "plain")
  const confirmed = yield* waitUntil(() => open().length === 0, options)
  yield* confirmed
    ? say(task, `The venue confirms: no order is open at ${venue}.`, "confirmed")
    : say(task, `${count(open().length)} at ${venue} not confirmed as cancelled.`, "warning")
})

const closeOne = Effect.fnUntraced(function* (task: Task, instrument: Instrument) {
  const { actor, books, command, options } = task
  const { id, venue } = instrument
  const quantity = formatDecimal(sellable(books, instrument))
  const reason = `${command.type} by the operator`
  const decision = yield* ask(
    actor.ref(riskManagerOf(venue)),
    (reply: ReplyTo<{ readonly approved: boolean; readonly text: string }>) =>
      ({ _tag: "Close", instrument: id, reason, reply }) as const,
    { timeoutMs: REPLY_TIMEOUT_MS },
  )
  if (!decision.approved) {
    return yield* say(task, `${id} cannot be closed: ${decision.text}`, "error")
  }
  yield* say(task, `Closing ${quantity} ${id} at market.`, "plain")
  const isQueued = () => queuedAt(task, [instrument]).length > 0
  const confirmed = yield* waitUntil(
    () => isZero(sellable(books, instrument)) || isQueued(),
    options,
  )
  if (isQueued()) {
    const text = `The market of ${id} is closed: the order waits for its opening.`
    return yield* say(task, text, "warning")
  }
  const fill = books.fills.findLast((each) => each.instrument === id)
  const at = fill === undefined ? "" : ` at ${formatDecimal(fill.price)}`
  yield* confirmed
    ? say(task, `The venue confirms: ${id} closed${at}.`, "confirmed")
    : say(task, `${id} is not confirmed as closed yet.`, "warning")
})

/** Whose closing order has been taken by a venue that is closed. */
function queuedAt(
  { books, options }: Task,
  instruments: ReadonlyArray<Instrument>,
): ReadonlyArray<InstrumentId> {
  return instruments
    .filter((instrument) =>
      isClosed(instrument, options) &&
      openOrders(books).some((order) =>
        order.instrument === instrument.id && order.purpose === "reduce" &&
        order.status === "accepted"
      )
    )
    .map(({ id }) => id)
}

/** Orders at market are filled in the core session alone. */
function isClosed(instrument: Instrument, { session }: OperatorOptions): boolean {
  const phase = session(instrument)
  return phase !== undefined && phase !== "core"
}
