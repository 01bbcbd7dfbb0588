/** What the account is worth, from its books and the latest prices. */
import type { Account, Books } from "./books.ts"
import { expectedBalance } from "./books.ts"
import {
  absolute,
  add,
  type Decimal,
  divide,
  isGreater,
  isNegative,
  isPositive,
  isZero,
  larger,
  multiply,
  subtract,
  zero,
} from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"
import type { PriceSource } from "./overview.ts"
import { averagePrice, type Position, unrealisedPnl } from "./position.ts"

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
 * Total = start + realised + unrealised - fees, which is the same as cash + positions at their
 * marks. A position without a price yet is valued at its cost.
 */
export function equityOf(books: Books, marks: ReadonlyMap<InstrumentId, Mark>): Equity {
  const accounts = [...books.accounts.values()]
  const start = sum(accounts, openingCash)
  const cash = sum(accounts, (account) => expectedBalance(account, account.quoteAsset))
  let realised = zero
  let unrealised = zero
  let fees = zero
  let exposure = zero
  for (const position of books.positions.values()) {
    realised = add(realised, position.realisedPnl)
    fees = add(fees, position.fees)
    if (isZero(position.quantity)) continue
    const price = markPrice(position, marks.get(position.instrument))
    unrealised = add(unrealised, unrealisedPnl(position, price))
    exposure = add(exposure, absolute(multiply(position.quantity, price)))
  }
  const total = subtract(add(add(start, realised), unrealised), fees)
  const peak = larger(books.peak, total)
  const drawdown = isPositive(peak) ? divide(subtract(peak, total), peak, 6) : zero
  return {
    total,
    cash,
    realisedPnl: realised,
    unrealisedPnl: unrealised,
    fees,
    start,
    peak,
    drawdown: isGreater(drawdown, books.drawdown) ? drawdown : books.drawdown,
    exposure,
  }
}

function openingCash(account: Account): Decimal {
  return account.opening.get(account.quoteAsset) ?? zero
}

function sum<A>(items: ReadonlyArray<A>, of: (item: A) => Decimal): Decimal {
  return items.reduce((total, item) => add(total, of(item)), zero)
}
