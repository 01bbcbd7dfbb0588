/**
 * What must hold of one run, whatever happened in it.
 *
 * Judged by what the venue knows and by what was written down, and not by what we believe: our own
 * books are one of the things that are judged. Each function answers with what did not hold, in
 * words; with nothing when all did.
 */
import type { Books } from "../../domain/books.ts"
import { formatDecimal, isEqual, zero } from "../../domain/decimal.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Bar } from "../../domain/market.ts"
import type { StrategyEvent } from "../../domain/strategy.ts"
import { limits } from "../../limits.ts"
import type { NewOrder } from "../../venues/broker.ts"
import { type PortVenue, VENUE } from "./port_venue.ts"
import type { Kind, Schedule } from "./schedule.ts"

export const STALE_AFTER_MS = 3_000
export const BAR_MS = 1_000
/** When the feed looks at its clock again, and a little. */
const NOTICED_MS = limits.feed.sweepEveryMs + 50
/** Attempts that may be made at once on a stream, and how soon there is one more: of 300 in five minutes. */
const BURST = 20
const ONE_MORE_MS = 5_000

type Found = ReadonlyArray<string>

/** An event as it was written, at the journal's time and at the true one. */
export interface Written {
  readonly time: number
  readonly trueTime: number
  readonly event: { readonly _tag: string } & Readonly<Record<string, unknown>>
}

export interface Evidence {
  readonly schedule: Schedule
  readonly venue: PortVenue
  readonly books: Books
  readonly written: ReadonlyArray<Written>
  /** What the newest fold on each instrument has seen. */
  readonly seen: ReadonlyMap<InstrumentId, ReadonlyArray<StrategyEvent>>
  /** Folds that a newer one has replaced: what they saw, they saw. */
  readonly seenBefore: ReadonlyArray<ReadonlyArray<StrategyEvent>>
  /** `1200 ms` after the beginning. */
  readonly since: (trueTime: number) => string
}

/** At the moment an order reaches the venue. */
export function wrongAtSending(
  { schedule, venue, written }: Evidence,
  { clientOrderId, instrument }: NewOrder,
): Found {
  const now = venue.trueNow
  const found = new Array<string>()
  const sent = venue.submits.filter((each) => each.clientOrderId === clientOrderId)
  if (sent.length !== 1) found.push("sent twice")
  const intent = written.findLast(({ event }) =>
    event._tag === "OrderSubmitted" && event.clientOrderId === clientOrderId
  )
  if (intent === undefined) return [...found, "sent before it was written"]
  if (intent.event.purpose !== "open") return found
  const ageMs = now - (venue.quotedAt.get(instrument) ?? -Infinity)
  if (ageMs >= STALE_AFTER_MS + noticedMs(schedule)) found.push(`opened on a price of ${ageMs} ms`)
  if (venue.goneSince.market !== undefined) found.push("opened without a market stream")
  if (venue.goneSince.private !== undefined) found.push("opened without a private stream")
  const halt = venue.halted.get(instrument)
  // What a mute stream has not told shows as silence, a little later.
  const knownAt = halt?.toldAt ?? (halt?.since ?? 0) + STALE_AFTER_MS + noticedMs(schedule)
  if (halt !== undefined && now >= knownAt) found.push("opened in a halt")
  if (!venue.isOpen(instrument)) found.push("opened while the market is closed")
  const gates = gatesOf(written)
  if (!gates.account) found.push("opened while not reconciled")
  if (!gates.feed) found.push("opened while the feed was lost")
  return found
}

/** A clock that is set is noticed a moment later; until then ages are wrong by as much. */
export function noticedMs({ steps }: Schedule): number {
  return NOTICED_MS * steps.filter(({ kind }) => kind === "our_clock").length
}

/** As the journal has them, read apart from our own fold. */
function gatesOf(written: ReadonlyArray<Written>) {
  const gates = { account: false, feed: false }
  for (const { event } of written) {
    if (event._tag === "AccountLost") gates.account = false
    else if (event._tag === "AccountReconciled") gates.account = hasNoDifference(event)
    else if (event._tag === "FeedLost") gates.feed = false
    else if (event._tag === "FeedRestored") gates.feed = true
  }
  return gates
}

function hasNoDifference({ differences }: Written["event"]): boolean {
  return Array.isArray(differences) && differences.length === 0
}

/** When all has been quiet for long enough. */
export function wrongInTheEnd(evidence: Evidence): Found {
  const { books, venue } = evidence
  return [
    ...venue.impatience,
    ...Object.entries(venue.connects).flatMap(([name, attempts]) =>
      overBudget(attempts).map((each) => `${name} stream: ${each}`)
    ),
    ...wrongAlerts(evidence),
    ...alertsLeft(books),
    ...missingComparisons(evidence),
    ...venue.instruments.flatMap(({ id }) => wrongBars(evidence, id)),
    ...wrongBooks(books, venue),
  ]
}

/** In every span of time no more attempts than fit into the bucket of each of so many streams. */
export function overBudget(attempts: ReadonlyArray<number>, streams = 1): Found {
  for (const [from, began] of attempts.entries()) {
    for (let to = from + 1; to < attempts.length; to++) {
      const count = to - from + 1
      const spanMs = attempts[to]! - began
      if (count <= streams * (BURST + 1 + spanMs / ONE_MORE_MS)) continue
      return [`${count} connections within ${Math.round(spanMs)} ms`]
    }
  }
  return []
}

function wrongBooks(books: Books, venue: PortVenue): Found {
  const found = new Array<string>()
  for (const order of books.orders.values()) {
    const theirs = venue.orders.get(order.clientOrderId)
    const status = theirs?.status ?? "rejected"
    if (order.status !== status) {
      found.push(`${order.clientOrderId} is ${order.status}, at the venue ${status}`)
    }
    if (!isEqual(order.filledQuantity, theirs?.filled ?? zero)) {
      found.push(`${order.clientOrderId} is filled otherwise at the venue`)
    }
  }
  for (const id of venue.orders.keys()) {
    if (!books.orders.has(id)) found.push(`the venue has ${id}, and we do not know it`)
  }
  const ours = books.fills.map(({ executionId }) => executionId).toSorted()
  const theirs = venue.executions.map(({ executionId }) => executionId).toSorted()
  if (ours.join() !== theirs.join()) found.push("our fills are not the venue's")
  for (const { id, base } of venue.instruments) {
    const quantity = books.positions.get(id)?.quantity ?? zero
    if (!isEqual(quantity, venue.balance(base))) {
      found.push(`${id}: we hold ${formatDecimal(quantity)}, the venue says otherwise`)
    }
  }
  return found
}

/** One for every outage that lasted, none for the others. */
function wrongAlerts({ since, written }: Evidence): Found {
  const found = new Array<string>()
  const id = `feed:${VENUE}`
  const open = new Set<unknown>()
  let raised = 0
  let most = 1
  let deserved = false
  let isOut = false
  for (const { event, trueTime } of written) {
    const at = since(trueTime)
    switch (event._tag) {
      case "FeedLost":
        isOut = true
        deserved ||= Number(event.attempt) >= limits.reconnect.attemptsMax
        // Now a person has to do something, whatever there was before.
        if (event.rule === "forbidden") most = 2
        break
      case "FeedPolling":
        deserved = true
        break
      case "AlertRaised":
        // Whoever has been told that data comes and goes is not told of every time.
        if (event.id !== id && event.id !== `${id}:flapping`) break
        open.add(event.id)
        raised++
        if (event.id === id && !isOut) found.push(`${at} an alert without an outage`)
        if (raised > most) found.push(`${at} a second alert for one outage`)
        break
      case "AlertResolved":
        open.delete(event.id)
        break
      case "FeedRestored":
        if (deserved && raised === 0 && open.size === 0) {
          found.push(`${at} no alert for a long outage`)
        }
        raised = 0
        most = 1
        deserved = isOut = false
    }
  }
  return found
}

export function alertsLeft({ alerts }: Books): Found {
  return [...alerts.values()]
    // Data that came and went is watched for a minute longer.
    .filter(({ id, resolvedAt }) => resolvedAt === undefined && !id.endsWith(":flapping"))
    .map(({ id, title }) => `alert ${id} is left: ${title}`)
}

/** After every outage the account is compared before entries are on again. */
function missingComparisons({ since, written }: Evidence): Found {
  const found = new Array<string>()
  let compared = true
  let isReady = false
  for (const { event, trueTime } of written) {
    if (event._tag === "FeedLost") compared = false
    else if (event._tag === "AccountLost") isReady = false
    else if (event._tag === "AccountReconciled") {
      isReady = hasNoDifference(event)
      compared = true
    } else if (event._tag === "FeedRestored" && isReady && !compared) {
      found.push(`${since(trueTime)} entries are on before the account was compared`)
    }
  }
  return found
}

/** What strategies were shown is what was traded, once and without a hole. */
function wrongBars(
  { schedule, seen, seenBefore, since, venue }: Evidence,
  id: InstrumentId,
): Found {
  const found = new Array<string>()
  const tape = new Map(venue.barsOf(id, BAR_MS).map((bar) => [bar.openTime, bar]))
  const newest = seen.get(id) ?? []
  for (const events of [...seenBefore, newest]) {
    let last: number | undefined
    // A fold that waits for a market to open has not read what came late.
    const isNewest = events === newest && venue.isOpen(id)
    for (const event of events) {
      if (event._tag !== "Bar" || event.instrument !== id) continue
      const theirs = tape.get(event.openTime)
      const name = `bar of ${id} at ${since(event.openTime - schedule.skewMs)}`
      // A print that came after its bar had ended is seen by the next fold, which reads history;
      // one that never came, because the market closed before the silence ended, by nobody.
      const isTold = event.openTime + BAR_MS <= venue.untoldSince(id)
      if (isTold && (isNewest || !comesLate(schedule)) && barText(event) !== barText(theirs)) {
        found.push(`${name} is ${barText(event)}, on the tape ${barText(theirs)}`)
      }
      if (last !== undefined && event.openTime <= last) found.push(`${name} came again`)
      const missing = [...tape.keys()].find((at) =>
        last !== undefined && at > last && at < event.openTime
      )
      if (missing !== undefined) found.push(`a hole before the ${name}`)
      last = event.openTime
    }
    if (!isNewest) continue
    const lastOnTape = [...tape.keys()].at(-2) ?? 0
    if (last === undefined || last < lastOnTape) found.push(`no bars of ${id} at the end`)
  }
  return found
}

/** Whether a bar may be seen before all of its trades, by a fold that is replaced for it. */
function comesLate({ steps }: Schedule): boolean {
  const has = (...kinds: ReadonlyArray<Kind>) => steps.some(({ kind }) => kinds.includes(kind))
  return has("lag", "our_clock", "mute_one") ||
    // What ends the silence is then no trade, by whose number the missing ones would show.
    (has("mute") && has("halt")) ||
    steps.some(({ kind, of }) => kind === "trades" && of !== "duplicate")
}

function barText(bar: Bar | undefined): string {
  if (bar === undefined) return "nothing"
  const { open, high, low, close, volume, trades } = bar
  return `${[open, high, low, close].map(formatDecimal).join(" ")} of ${
    formatDecimal(volume)
  } in ${trades}`
}
