/** What an account holds and is worth, alone and all together, and whether it may be relied on. */
import { type Books, drawdownFrom, expectedBalance, openOrders } from "../../domain/books.ts"
import { add, formatDecimal, isZero, larger, zero } from "../../domain/decimal.ts"
import { type Equity, markPrice } from "../../domain/equity.ts"
import { tradableQuantity, venueOf } from "../../domain/instrument.ts"
import type { AccountView, EquityView, PositionView } from "../../domain/overview.ts"
import { averagePrice, type Position, unrealisedPnl } from "../../domain/position.ts"
import { type Facts, instrumentsOf } from "./facts.ts"

export function accountViews(facts: Facts): ReadonlyArray<AccountView> {
  const { books, equities, links, options } = facts
  return [...options.labels].map(([venue, label]) => {
    const account = books.accounts.get(venue)
    const link = links.get(venue)
    const isReady = account?.ready ?? false
    const streaming = link?.status === "streaming"
    const differs = (account?.differences.length ?? 0) > 0
    const cause = link?.cause ?? (isReady ? undefined : account?.cause)
    const equity = equities.get(venue)
    return {
      venue,
      label,
      status: isReady && streaming
        ? "ready"
        : differs
        ? "degraded"
        : streaming
        ? "reconciling"
        : account === undefined && link?.cause === undefined
        ? "connecting"
        : "down",
      ...reconciled(account?.reconciledAt, link?.reconciledAt),
      link: link?.status ?? "connecting",
      ...(link?.lastEventAt !== undefined && { lastEventAt: link.lastEventAt }),
      ...(cause !== undefined && { lastCause: cause }),
      cash: account === undefined ? [] : [{
        asset: account.quoteAsset,
        quantity: formatDecimal(expectedBalance(account, account.quoteAsset)),
      }],
      dust: dustAt(facts, venue),
      ...(link?.clockOffsetMs !== undefined && { clockOffsetMs: link.clockOffsetMs }),
      ...(equity !== undefined && { equity: equityView(equity, options.now()) }),
      paused: isOnHold(facts, venue),
      requests: options.requests?.(venue) ?? [],
    }
  })
}

/** Written down only when it was news: the last one is the later of the two. */
function reconciled(written: number | undefined, done: number | undefined) {
  const at = Math.max(written ?? 0, done ?? 0)
  return at === 0 ? {} : { reconciledAt: at }
}

function isOnHold({ books, options }: Facts, venue: string): boolean {
  const own = options.instruments.filter((each) => each.venue === venue)
  return own.length > 0 && own.every(({ id }) => books.holds.has(id))
}

function dustAt(facts: Facts, venue: string) {
  return instrumentsOf(facts).flatMap((instrument) => {
    const position = facts.books.positions.get(instrument.id)
    if (instrument.venue !== venue || position === undefined) return []
    const isDust = !isZero(position.quantity) && isZero(tradable(facts, position))
    return isDust ? [{ asset: instrument.base, quantity: formatDecimal(position.quantity) }] : []
  })
}

/** What of a position the venue would take; zero for dust. */
function tradable(facts: Facts, position: Position) {
  const instrument = instrumentsOf(facts).find(({ id }) => id === position.instrument)
  if (instrument === undefined) return position.quantity
  const price = facts.marks.get(position.instrument)?.bid ?? averagePrice(position)
  return tradableQuantity(instrument, position.quantity, price)
}

/** Of all accounts together. */
export function equityOfAll({ books, equities }: Facts, now: number): EquityView {
  const all = [...equities.values()]
  const sum = (of: (equity: Equity) => Equity["total"]) =>
    all.reduce((total, each) => add(total, of(each)), zero)
  const total = sum(({ total }) => total)
  const peak = larger(books.peak, total)
  return equityView({
    total,
    cash: sum(({ cash }) => cash),
    realisedPnl: sum(({ realisedPnl }) => realisedPnl),
    unrealisedPnl: sum(({ unrealisedPnl }) => unrealisedPnl),
    fees: sum(({ fees }) => fees),
    start: sum(({ start }) => start),
    // Not the sum of the accounts' own: they need not stand at their peaks together.
    peak,
    drawdown: larger(books.drawdown, drawdownFrom(peak, total)),
    exposure: sum(({ exposure }) => exposure),
  }, now)
}

function equityView(equity: Equity, asOf: number): EquityView {
  return {
    total: formatDecimal(equity.total),
    cash: formatDecimal(equity.cash),
    realisedPnl: formatDecimal(equity.realisedPnl),
    unrealisedPnl: formatDecimal(equity.unrealisedPnl),
    fees: formatDecimal(equity.fees),
    asOf,
    start: formatDecimal(equity.start),
    drawdown: formatDecimal(equity.drawdown),
    peak: formatDecimal(equity.peak),
    exposure: formatDecimal(equity.exposure),
  }
}

/** Dust is none: it is listed with its account. */
export function positionViews(facts: Facts, now: number): ReadonlyArray<PositionView> {
  return [...facts.books.positions.values()]
    .filter((position) => !isZero(tradable(facts, position)))
    .map((position) => positionView(facts, position, now))
}

function positionView(
  { books, feeds, marks }: Facts,
  position: Position,
  now: number,
): PositionView {
  const { instrument } = position
  const venue = venueOf(instrument)
  const mark = marks.get(instrument)
  const price = markPrice(position, mark)
  const ageMs = mark === undefined ? now - position.openedAt : now - mark.heardAt
  const fresh = mark !== undefined && ageMs < mark.staleAfterMs
  const line = feeds.get(venue)?.instruments.find((each) => each.instrument === instrument)
  const mayOpen = fresh && mark.source === "stream" && line?.withheld === undefined &&
    books.feeds.get(venue)?.status === "streaming"
  return {
    instrument,
    venue,
    quantity: formatDecimal(position.quantity),
    averagePrice: formatDecimal(averagePrice(position)),
    markPrice: formatDecimal(price),
    markAgeMs: Math.max(0, Math.round(ageMs)),
    markSource: mark?.source ?? "rest",
    markAuthority: mayOpen ? "may_open" : fresh ? "exits_only" : "stale",
    unrealisedPnl: formatDecimal(unrealisedPnl(position, price)),
    realisedPnl: formatDecimal(position.realisedPnl),
    openedAt: position.openedAt,
    strategies: [...position.holders.keys()],
    closing: isBeingClosed(books, position),
    control: books.holds.has(instrument) ? "hold" : "auto",
  }
}

function isBeingClosed(books: Books, { instrument }: Position): boolean {
  return openOrders(books).some((order) =>
    order.instrument === instrument && order.purpose === "reduce"
  )
}
