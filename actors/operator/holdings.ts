/** What is still held, by our books and by the venue's: dust aside, and what was never ours. */
import { Effect } from "effect"
import { type Books, openOrders } from "../../domain/books.ts"
import {
  add,
  type Decimal,
  formatDecimal,
  isNegative,
  isPositive,
  isZero,
  larger,
  subtract,
  zero,
} from "../../domain/decimal.ts"
import {
  type Instrument,
  type InstrumentId,
  tradableQuantity,
  venueOf,
} from "../../domain/instrument.ts"
import { averagePrice } from "../../domain/position.ts"
import { closableQuantity } from "../../domain/risk.ts"
import type { Broker } from "../../venues/broker.ts"

/** What closing would take from the position; zero when that is nothing that the venue takes. */
export function sellable(books: Books, instrument: Instrument): Decimal {
  const position = books.positions.get(instrument.id)?.quantity ?? zero
  const side = isNegative(position) ? "buy" : "sell"
  const quantity = closableQuantity(books, instrument, side)
  return tradableQuantity(instrument, quantity, lastPaid(books, instrument))
}

/** Near enough to tell a position from dust; the books forget fills, and never what is held. */
function lastPaid({ fills, positions }: Books, { id }: Instrument): Decimal | undefined {
  const fill = fills.findLast((each) => each.instrument === id)
  const position = positions.get(id)
  const isHeld = position !== undefined && !isZero(position.quantity)
  return fill?.price ?? (isHeld ? averagePrice(position) : undefined)
}

export interface Held {
  readonly id: InstrumentId
  /** `0.4 BTC` */
  readonly text: string
}

/** What the venue itself says is still held of ours, dust aside. */
export const heldAtVenue = Effect.fnUntraced(function* (
  books: Books,
  instruments: ReadonlyArray<Instrument>,
  broker: Broker,
) {
  const balances = yield* broker.balances
  const account = books.accounts.get(broker.venue)
  return instruments.flatMap((instrument): ReadonlyArray<Held> => {
    const { base, id } = instrument
    const balance = balances.find(({ asset }) => asset === base)
    const total = balance === undefined ? zero : add(balance.free, balance.locked)
    // What the account held before Keel ever saw it is not ours to sell.
    const notOurs = larger(account?.opening.get(base) ?? zero, zero)
    const ours = subtract(total, notOurs)
    const quantity = tradableQuantity(instrument, ours, lastPaid(books, instrument))
    // Less than it began with is a short position only where we have gone short.
    const isOurs = isPositive(quantity) ||
      isNegative(quantity) && isNegative(books.positions.get(id)?.quantity ?? zero)
    return isOurs ? [{ id, text: `${formatDecimal(quantity)} ${base}` }] : []
  })
})

/**
 * Why it cannot be called flat: what the venue holds, what our books hold though the venue's balance
 * does not show it, and what may still be filled. Undefined when there is nothing.
 */
export function notFlat(
  books: Books,
  ids: ReadonlyArray<InstrumentId>,
  instruments: ReadonlyArray<Instrument>,
  atVenue: ReadonlyArray<Held>,
  /** Those that run. */
  venues: ReadonlyArray<string>,
): string | undefined {
  const inBooks = instruments.filter((each) =>
    !isZero(sellable(books, each)) && !atVenue.some(({ id }) => id === each.id)
  )
  const orphans = [...books.positions.values()].filter(({ instrument, quantity }) =>
    ids.includes(instrument) && !isZero(quantity) &&
    !instruments.some(({ id }) => id === instrument)
  )
  const held = [
    ...atVenue.map(({ text }) => text),
    ...inBooks.map(({ id }) => `${id} by our books`),
    ...orphans.map(({ instrument }) => `${instrument}, ${whyOrphaned(instrument, venues)}`),
  ]
  const open = openOrders(books).filter(({ instrument }) => ids.includes(instrument))
  const reasons = [
    ...(held.length > 0 ? [`still held: ${held.join(", ")}`] : []),
    ...(open.length > 0
      ? [`may still be filled: ${open.map(({ clientOrderId }) => clientOrderId).join(", ")}`]
      : []),
  ]
  return reasons.length === 0 ? undefined : reasons.join("; ")
}

function whyOrphaned(instrument: InstrumentId, venues: ReadonlyArray<string>): string {
  return venues.includes(venueOf(instrument))
    ? "which is not configured any more"
    : "whose venue has not answered since the start or is not configured any more"
}
