/**
 * Who trades first, and how much at once. Pure.
 */
import { Chance } from "../chance.ts"
import { type Atoms, floorTo, ONE } from "../decimals.ts"
import type { Level } from "../shown_book.ts"
import type { OrderRecord } from "./ledger.ts"
import type { AlpacaListing } from "./market.ts"
import { accepts, fractionStep, wanted } from "./order_checks.ts"
import { isAtMarket } from "./order_state.ts"

/** More than any market shows. */
export const WITHOUT_END: Atoms = 1n << 100n

/** One side of a symbol: orders without a limit first, then by price, then by age. */
export function queueOf(
  open: ReadonlyArray<OrderRecord>,
  symbol: string,
  side: OrderRecord["side"],
): ReadonlyArray<OrderRecord> {
  const sign = side === "buy" ? -1n : 1n
  return open
    .filter((order) => order.symbol === symbol && order.side === side && isAtMarket(order))
    .sort((a, b) => {
      if ((a.limitPrice === 0n) !== (b.limitPrice === 0n)) return a.limitPrice === 0n ? -1 : 1
      if (a.limitPrice !== b.limitPrice) {
        return a.limitPrice * sign < b.limitPrice * sign ? -1 : 1
      }
      return a.sequence - b.sequence
    })
}

/** Whether `levels`, best first, have all that an order wants. */
export function canFill(
  order: OrderRecord,
  levels: Iterable<Level>,
  listing: AlpacaListing,
): boolean {
  let left = order.quantity - order.filled
  for (const level of levels) {
    if (!accepts(order, level.price)) break
    left -= wanted(order, level, listing)
    if (left <= 0n) return true
  }
  return left <= 0n
}

/**
 * Paper orders fill only in part now and then: how much of the order at first, or `undefined` when
 * this is not one of those times. `fills` so far tell one time from another.
 */
export function partOf(
  order: OrderRecord,
  price: Atoms,
  listing: AlpacaListing,
  chances: { readonly seed: number; readonly probability: number; readonly fills: number },
): Atoms | undefined {
  if (order.timeInForce === "fok" || chances.probability <= 0 || price === 0n) return undefined
  const chance = Chance.seeded(chances.seed, `partial ${order.sequence} ${chances.fills}`)
  if (chance.next() >= chances.probability) return undefined
  const whole = wanted(order, { price, size: WITHOUT_END }, listing)
  const share = BigInt(1 + Math.floor(chance.next() * 99))
  const isWhole = order.quantity > 0n && order.quantity % ONE === 0n &&
    listing.assetClass === "us_equity"
  const part = floorTo(whole * share / 100n, isWhole ? ONE : fractionStep(listing))
  return part > 0n ? part : undefined
}
