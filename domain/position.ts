/**
 * What we hold of one instrument, as a fold over fills.
 *
 * The cost is kept exactly and divided only when a part is closed, so that profits and costs always
 * add up to the cash that moved. Fees are apart: profit is before fees.
 */
import {
  absolute,
  add,
  compare,
  type Decimal,
  divide,
  isPositive,
  isZero,
  larger,
  multiply,
  negate,
  smaller,
  subtract,
  zero,
} from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"

/** Our execution. */
export interface Fill {
  /** The venue's id of this execution, unique per instrument: fills are a set keyed by both. */
  readonly executionId: string
  readonly clientOrderId: string
  readonly instrument: InstrumentId
  readonly side: "buy" | "sell"
  readonly quantity: Decimal
  readonly price: Decimal
  readonly fee: Decimal
  readonly feeAsset: string
  readonly time: number
}

export interface Position {
  readonly instrument: InstrumentId
  /** Negative is short. Fees taken in the base asset are already gone. */
  readonly quantity: Decimal
  /** Quantity x average entry price; has the sign of the quantity. */
  readonly cost: Decimal
  /** Before fees, in the quote asset. */
  readonly realisedPnl: Decimal
  /** Fees in the quote asset; those taken in the base asset at the price of their fill. */
  readonly fees: Decimal
  /** Fees in any other asset, by asset: they cannot be valued here. */
  readonly otherFees: ReadonlyMap<string, Decimal>
  readonly openedAt: number
  /** Who holds how much of it: runner -> signed quantity. Parts nobody owns are the operator's. */
  readonly holders: ReadonlyMap<string, Decimal>
}

/** Decimals kept when a cost is divided among the parts of a position. */
const COST_SCALE = 18
/** Decimals of an average price, for reading. */
const PRICE_SCALE = 10

export function flat(instrument: InstrumentId): Position {
  return {
    instrument,
    quantity: zero,
    cost: zero,
    realisedPnl: zero,
    fees: zero,
    otherFees: new Map(),
    openedAt: 0,
    holders: new Map(),
  }
}

/** `BTC/USDT.BINANCE` -> BTC, USDT; a stock has no base asset that a fee could be taken in. */
export function assetsOf(
  instrument: InstrumentId,
): { readonly base: string; readonly quote: string } {
  const pair = instrument.slice(0, instrument.lastIndexOf("."))
  const [base, quote] = pair.split("/")
  return { base: base ?? pair, quote: quote ?? "USD" }
}

/**
 * Folds one fill. Buying 2 at 10 and selling 3 at 12 leaves -1 at 12 and a profit of 4: what closes
 * is settled first, what is left opens the other way.
 */
export function applyFill(position: Position, fill: Fill, holder: string): Position {
  const { base, quote } = assetsOf(position.instrument)
  const feeInBase = fill.feeAsset === base
  const signed = fill.side === "buy" ? fill.quantity : negate(fill.quantity)
  const moved = feeInBase ? subtract(signed, fill.fee) : signed
  const traded = settle(position, moved, fill.price, fill.time)
  const fees = feeInBase
    ? multiply(fill.fee, fill.price)
    : fill.feeAsset === quote
    ? fill.fee
    : zero
  const isOther = !feeInBase && fill.feeAsset !== quote && !isZero(fill.fee)
  return {
    ...traded,
    fees: add(traded.fees, fees),
    otherFees: isOther ? added(traded.otherFees, fill.feeAsset, fill.fee) : traded.otherFees,
    holders: isZero(traded.quantity) ? new Map() : attribute(position.holders, holder, moved),
  }
}

function settle(position: Position, moved: Decimal, price: Decimal, time: number): Position {
  const { quantity, cost } = position
  const increases = isZero(quantity) || isPositive(quantity) === isPositive(moved)
  if (increases) {
    return {
      ...position,
      quantity: add(quantity, moved),
      cost: add(cost, multiply(moved, price)),
      openedAt: isZero(quantity) ? time : position.openedAt,
    }
  }
  const left = add(quantity, moved)
  const flips = !isZero(left) && isPositive(left) !== isPositive(quantity)
  const closed = flips ? negate(quantity) : moved
  const costClosed = flips || isZero(left)
    ? cost
    : divide(multiply(cost, absolute(closed)), absolute(quantity), COST_SCALE)
  const realised = subtract(negate(multiply(closed, price)), costClosed)
  return {
    ...position,
    quantity: left,
    cost: flips ? multiply(left, price) : subtract(cost, costClosed),
    realisedPnl: add(position.realisedPnl, realised),
    openedAt: flips ? time : position.openedAt,
  }
}

/**
 * Books a movement to its holder: first against what it holds itself. One who closes more than that
 * (an operator closing a position, say) takes from the others, the largest first; what is left over
 * after them is its own.
 */
function attribute(
  holders: ReadonlyMap<string, Decimal>,
  holder: string,
  moved: Decimal,
): ReadonlyMap<string, Decimal> {
  const next = new Map(holders)
  let left = moved
  const ownFirst = (a: Holding, b: Holding) =>
    Number(b[0] === holder) - Number(a[0] === holder) || largestFirst(a, b)
  for (const [name, held] of [...holders].sort(ownFirst)) {
    if (isPositive(held) === isPositive(moved)) continue
    const taken = isPositive(held) ? larger(left, negate(held)) : smaller(left, negate(held))
    left = subtract(left, taken)
    book(next, name, taken)
  }
  book(next, holder, left)
  return next
}

type Holding = readonly [holder: string, quantity: Decimal]

function book(holders: Map<string, Decimal>, holder: string, moved: Decimal) {
  const quantity = add(holders.get(holder) ?? zero, moved)
  if (isZero(quantity)) holders.delete(holder)
  else holders.set(holder, quantity)
}

function largestFirst(a: Holding, b: Holding): number {
  return -compare(absolute(a[1]), absolute(b[1]))
}

function added(map: ReadonlyMap<string, Decimal>, key: string, value: Decimal) {
  return new Map(map).set(key, add(map.get(key) ?? zero, value))
}

/** Moves one holder's part to another: a swapped strategy inherits the position. */
export function transferHolding(position: Position, from: string, to: string): Position {
  const held = position.holders.get(from)
  if (held === undefined || from === to) return position
  const holders = new Map(position.holders)
  holders.delete(from)
  book(holders, to, held)
  return { ...position, holders }
}

/** Of the open quantity; zero when flat. */
export function averagePrice(position: Position): Decimal {
  return isZero(position.quantity) ? zero : divide(position.cost, position.quantity, PRICE_SCALE)
}

export function unrealisedPnl(position: Position, mark: Decimal): Decimal {
  return subtract(multiply(position.quantity, mark), position.cost)
}
