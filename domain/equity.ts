/** What the account is worth, from its books and the latest prices. */
import type { Books } from "./books.ts"
import { drawdownFrom, expectedBalance } from "./books.ts"
import {
  absolute,
  add,
  type Decimal,
  isNegative,
  isZero,
  larger,
  multiply,
  subtract,
  zero,
} from "./decimal.ts"
import { type InstrumentId, venueOf } from "./instrument.ts"
import type { PriceSource } from "./overview.ts"
import { averagePrice, type Position } from "./position.ts"

/** The latest price of one instrument, with where and when it came from. */
export interface Mark {
  readonly instrument: InstrumentId
  readonly bid: Decimal
  readonly ask: Decimal
  /** The market's last trade, where one has been seen. */
  readonly last: Decimal | undefined
  readonly heardAt: number
  readonly source: PriceSource
  readonly staleAfterMs: number
}

export interface Equity {
  readonly total: Decimal
  readonly cash: Decimal
  readonly realisedPnl: Decimal
  readonly unrealisedPnl: Decimal
  readonly fees: Decimal
  readonly start: Decimal
  readonly peak: Decimal
  readonly drawdown: Decimal
  readonly exposure: Decimal
}

/** What closing would fetch now: the bid of a long position, the ask of a short one. */
export function markPrice(position: Position, mark: Mark | undefined): Decimal {
  if (mark === undefined) return averagePrice(position)
  return isNegative(position.quantity) ? mark.ask : mark.bid
}

/**
 * Of one venue's account. Total = start + realised + unrealised - fees, which is the same as cash +
 * positions at their marks, fees taken in a third asset aside. A position without a price yet is valued at its cost.
 */
export function equityOf(
  books: Books,
  venue: string,
  marks: ReadonlyMap<InstrumentId, Mark>,
): Equity {
  const account = books.accounts.get(venue)
  const curve = books.curves.get(venue)
  const start = account?.opening.get(account.quoteAsset) ?? zero
  let realised = zero
  let unrealised = zero
  let fees = zero
  let exposure = zero
  for (const position of books.positions.values()) {
    if (venueOf(position.instrument) !== venue) continue
    realised = add(realised, position.realisedPnl)
    fees = add(fees, position.fees)
    if (isZero(position.quantity)) continue
    const mark = marks.get(position.instrument)
    // Without a price, exactly its cost: an average price would be rounded.
    const value = mark === undefined
      ? position.cost
      : multiply(position.quantity, markPrice(position, mark))
    unrealised = add(unrealised, subtract(value, position.cost))
    exposure = add(exposure, absolute(value))
  }
  const total = subtract(add(add(start, realised), unrealised), fees)
  const peak = larger(curve?.peak ?? total, total)
  const drawdown = drawdownFrom(peak, total)
  return {
    total,
    cash: account === undefined ? zero : expectedBalance(account, account.quoteAsset),
    realisedPnl: realised,
    unrealisedPnl: unrealised,
    fees,
    start,
    peak,
    drawdown: larger(drawdown, curve?.drawdown ?? zero),
    exposure,
  }
}
