/**
 * Values the account: its books at the latest prices.
 *
 * Fills change what is held, prices change what it is worth; both lead to one number, which goes to
 * whoever decides or shows, and from time to time into the journal as a point of the equity curve.
 */
import { Effect } from "effect"
import type { Books } from "../domain/books.ts"
import { type Decimal, decimalsMax, isEqual, roundTo } from "../domain/decimal.ts"
import { equityOf, type Mark } from "../domain/equity.ts"
import type { InstrumentId } from "../domain/instrument.ts"
import { follow, keepUp, record } from "./journal.ts"
import { Monitor, portfolioKeeperOf, type PortfolioMessage, riskManagerOf } from "./names.ts"
import { type ActorContext, behavior } from "./runtime/mod.ts"

export interface PortfolioKeeperOptions {
  readonly venue: string
  readonly mailboxMax: number
  readonly valueEveryMs: number
  /** How often a changed equity is written down. */
  readonly markEveryMs: number
}

interface State {
  readonly books: Books
  readonly marks: Map<InstrumentId, Mark>
  markedAt: number
}

export function portfolioKeeper(options: PortfolioKeeperOptions) {
  return behavior<State, PortfolioMessage>({
    name: portfolioKeeperOf(options.venue).id,
    restart: "permanent",
    mailbox: {
      capacity: options.mailboxMax,
      overflow: "conflate",
      key: (message) => message._tag === "Marked" ? message.mark.instrument : undefined,
    },
    init: Effect.fn("PortfolioKeeper.init")(
      function* (actor: ActorContext<PortfolioMessage>) {
        const books = yield* follow(actor)
        actor.every(options.valueEveryMs, { _tag: "Value" })
        return { books, marks: new Map<InstrumentId, Mark>(), markedAt: actor.now() }
      },
    ),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Marked":
          state.marks.set(message.mark.instrument, message.mark)
          return state
        case "Recorded":
          keepUp(state.books, message.records)
          // A fill changes what the account is worth: not only at the next beat.
          return message.records.some(({ event }) => event._tag === "OrderFilled")
            ? value(state, options, actor)
            : state
        case "Value":
          return value(state, options, actor)
      }
    },
  })
}

function value(
  state: State,
  { venue, markEveryMs }: PortfolioKeeperOptions,
  actor: ActorContext<PortfolioMessage>,
) {
  const { books } = state
  if (!books.accounts.has(venue)) return state
  const equity = equityOf(books, venue, state.marks)
  actor.ref(riskManagerOf(venue)).send({ _tag: "Valued", equity })
  actor.ref(Monitor).send({ _tag: "Valued", venue, equity })
  const isDue = actor.now() - state.markedAt >= markEveryMs
  if (!isDue && books.curves.has(venue)) return state
  state.markedAt = actor.now()
  // Price times quantity has as many decimals as both together, and text of the journal has limits.
  const total = roundTo(equity.total, decimalsMax)
  return isNews(books, venue, total, actor.now())
    ? Effect.as(
      record(actor, books, [{
        _tag: "EquityMarked",
        venue,
        total,
        peak: roundTo(equity.peak, decimalsMax),
        drawdown: equity.drawdown,
      }]),
      state,
    )
    : state
}

function isNews(books: Books, venue: string, total: Decimal, now: number): boolean {
  const curve = books.curves.get(venue)
  return curve === undefined || !isEqual(curve.last, total) ||
    curve.day !== Math.floor(now / 86_400_000)
}
