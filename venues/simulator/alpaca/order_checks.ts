/**
 * Whether the account can have an order, and what the order then holds.
 *
 * An order that opens holds dollars, one that closes holds part of the position; the same share is
 * never held twice. Orders that could trade with the account's own are refused, for that would be
 * a wash trade. Changes nothing.
 */
import { type Atoms, floorTo, formatTrimmed, minAtoms, notional, ONE } from "../decimals.ts"
import type { Level } from "../shown_book.ts"
import { type Account, ceilNotional, shortReserve } from "./account.ts"
import type { OrderRecord } from "./ledger.ts"
import type { AlpacaListing, AlpacaMarket } from "./market.ts"
import type { OrderRequest } from "./order_request.ts"
import { positionSymbol, priceStep } from "./order_request.ts"
import { forbidden, type Refusal, unprocessable } from "./refusal.ts"

/** Dollars; what a smaller order would cost is not worth anybody's while. */
const COST_MIN = { crypto: 10n * ONE, us_equity: ONE } as const

export interface Books {
  readonly account: Account
  readonly market: Pick<AlpacaMarket, "book" | "lastPrice">
  /** Open orders of all symbols. */
  readonly open: ReadonlyArray<OrderRecord>
}

/** What an order needs before it is taken. */
export interface Holds {
  readonly intent: OrderRecord["positionIntent"]
  /** Of an order by notional: what it comes to, unless the market decides. */
  readonly quantity: Atoms
  readonly cash: Atoms
  readonly held: Atoms
}

type Shape = Pick<
  OrderRequest,
  | "symbol"
  | "side"
  | "type"
  | "quantity"
  | "notional"
  | "limitPrice"
  | "stopPrice"
  | "orderClass"
>

/** What `order` would hold, or why the account cannot have it. */
export function holdsFor(
  order: Shape & Pick<OrderRequest, "positionIntent">,
  listing: AlpacaListing,
  books: Books,
): Holds | Refusal {
  const position = books.account.position(order.symbol).quantity
  const intent = intentOf(order.side, position)
  if (order.positionIntent !== "" && order.positionIntent !== intent) {
    return unprocessable(
      `position intent mismatch, inferred: ${intent}, specified: ${order.positionIntent}`,
    )
  }
  const isClosing = intent === "buy_to_close" || intent === "sell_to_close"
  if (order.orderClass === "bracket" && isClosing) {
    return unprocessable("bracket orders must be entry orders")
  }
  if (order.orderClass === "oco" && !isClosing) {
    return unprocessable("oco orders must be exit orders")
  }
  const price = priceFor(order, books)
  const quantity = quantityOf(order, listing, price, isClosing)
  const cost = order.notional > 0n ? order.notional : costOf(order, quantity, price, books)
  const small = smallness(order, listing, quantity, cost)
  if (small !== undefined) return small
  if (isClosing) {
    return closingProblem(order.symbol, listing, quantity, position, books) ??
      { intent, quantity, cash: 0n, held: quantity }
  }
  const mixed = mixedProblem(order, books)
  if (mixed !== undefined) return mixed
  if (intent === "sell_to_open") {
    const problem = shortProblem(order, listing, quantity, books)
    if (problem !== undefined) return problem
    const reserve = shortReserve(price, quantity)
    return spendingProblem(reserve, listing, books) ??
      { intent, quantity, cash: reserve, held: 0n }
  }
  return spendingProblem(cost, listing, books) ?? { intent, quantity, cash: cost, held: 0n }
}

/** What an order holds of dollars once part of it has filled. */
export function remainingCash(order: OrderRecord, filledNow: Atoms): Atoms {
  if (order.heldCash === 0n) return 0n
  if (order.quantity === 0n) {
    const left = order.notional - ceilAtoms(order.filledValue)
    return left > 0n ? left : 0n
  }
  const left = order.quantity - order.filled
  if (left <= 0n) return 0n
  if (order.limitPrice > 0n && order.side === "buy") return ceilNotional(order.limitPrice, left)
  return order.heldCash * left / (left + filledNow)
}

/** Why an order would trade with the account's own, if it would. */
export function washTrade(order: Shape, open: ReadonlyArray<OrderRecord>): Refusal | undefined {
  if (isComplex(order)) return undefined
  for (const other of open) {
    if (other.symbol !== order.symbol || other.side === order.side) continue
    if (isComplex(other) || other.parentId !== "" || other.status === "held") continue
    if (!couldMeet(order, other)) continue
    const kind = other.limitPrice > 0n ? "limit" : "market/stop"
    return forbidden("potential wash trade detected. use complex orders", {
      existing_order_id: other.id,
      reject_reason: `opposite side ${kind} order exists`,
    })
  }
  return undefined
}

/** Whether a bracket's exits lie on the right side of where it enters. */
export function legProblem(
  order: Shape & Pick<OrderRequest, "takeProfit" | "stopLoss">,
  books: Books,
): Refusal | undefined {
  if (order.orderClass !== "bracket" && order.orderClass !== "oto") return undefined
  const base = order.limitPrice > 0n ? order.limitPrice : books.account.price(order.symbol)
  const step = ONE / 100n
  const isLong = order.side === "buy"
  const exits = [
    ["take_profit.limit_price", order.takeProfit?.limitPrice ?? 0n, isLong],
    ["stop_loss.stop_price", order.stopLoss?.stopPrice ?? 0n, !isLong],
  ] as const
  for (const [name, price, isAbove] of exits) {
    if (price === 0n || base === 0n) continue
    if (isAbove ? price >= base + step : price <= base - step) continue
    return unprocessable(
      `${name} must be ${isAbove ? ">= base_price +" : "<= base_price -"} 0.01`,
      {
        base_price: formatTrimmed(base),
      },
    )
  }
  return undefined
}

export function intentOf(
  side: OrderRecord["side"],
  position: Atoms,
): OrderRecord["positionIntent"] {
  if (side === "buy") return position < 0n ? "buy_to_close" : "buy_to_open"
  return position > 0n ? "sell_to_close" : "sell_to_open"
}

/** The part of a position that open orders hold. */
export function heldQuantity(symbol: string, open: ReadonlyArray<OrderRecord>): Atoms {
  let held = 0n
  for (const order of open) if (order.symbol === symbol) held += order.heldQuantity
  return held
}

/** `quantity` of the position is not free to be closed. */
export function closingProblem(
  symbol: string,
  listing: AlpacaListing,
  quantity: Atoms,
  position: Atoms,
  { open }: Pick<Books, "open">,
): Refusal | undefined {
  const size = position < 0n ? -position : position
  const held = heldQuantity(symbol, open)
  const available = size - held
  if (quantity <= available) return undefined
  const numbers = `(requested: ${formatTrimmed(quantity)}, available: ${formatTrimmed(available)})`
  if (listing.assetClass === "crypto") {
    const base = listing.symbol.split("/")[0] ?? listing.symbol
    return forbidden(`insufficient balance for ${base} ${numbers}`, {
      available: formatTrimmed(available),
      balance: formatTrimmed(size),
      symbol: base,
    })
  }
  return forbidden(`insufficient qty available for order ${numbers}`, {
    available: formatTrimmed(available),
    existing_qty: formatTrimmed(size),
    held_for_orders: formatTrimmed(held),
    related_orders: open.filter((one) => one.symbol === symbol && one.heldQuantity > 0n)
      .map((one) => one.id),
    symbol: positionSymbol(listing),
  })
}

export function spendingProblem(
  cost: Atoms,
  listing: AlpacaListing,
  { account, open }: Pick<Books, "account" | "open">,
): Refusal | undefined {
  const { buyingPower, nonMarginableBuyingPower } = account.funds(open)
  if (listing.assetClass === "crypto") {
    if (cost <= nonMarginableBuyingPower) return undefined
    const available = formatTrimmed(nonMarginableBuyingPower)
    return forbidden(
      `insufficient balance for USD (requested: ${formatTrimmed(cost)}, available: ${available})`,
      { available, balance: formatTrimmed(account.record.cash), symbol: "USD" },
    )
  }
  if (cost <= buyingPower) return undefined
  return forbidden("insufficient buying power", {
    buying_power: formatTrimmed(buyingPower),
    cost_basis: formatTrimmed(cost),
  })
}

function smallness(
  order: Shape,
  listing: AlpacaListing,
  quantity: Atoms,
  cost: Atoms,
): Refusal | undefined {
  const isFraction = order.notional > 0n || quantity % ONE !== 0n
  const minimum = COST_MIN[listing.assetClass]
  if (
    cost < minimum && order.side === "buy" && (listing.assetClass === "crypto" || isFraction)
  ) {
    return forbidden(`cost basis must be >= minimal amount of order ${formatTrimmed(minimum)}`)
  }
  if (listing.assetClass === "crypto" && quantity > 0n && quantity < listing.quantityMin) {
    return forbidden(
      `qty must be >= minimal qty of order ${formatTrimmed(listing.quantityMin)}`,
    )
  }
  return order.notional > 0n && order.type === "limit" && quantity === 0n
    ? forbidden("notional is too small for the limit price")
    : undefined
}

/** An account is long or short, or about to be one of them, but never both. */
function mixedProblem(order: Shape, { open }: Books): Refusal | undefined {
  const opening = open.some((other) =>
    other.symbol === order.symbol && other.side !== order.side && other.heldCash > 0n
  )
  if (!opening) return undefined
  return forbidden(
    order.side === "sell"
      ? "cannot open a short sell while a long buy order is open"
      : "cannot open a long buy while a short sell order is open",
  )
}

function shortProblem(
  order: Shape,
  listing: AlpacaListing,
  quantity: Atoms,
  books: Books,
): Refusal | undefined {
  if (listing.assetClass === "crypto") {
    return closingProblem(order.symbol, listing, quantity === 0n ? 1n : quantity, 0n, books)
  }
  if (books.account.record.configuration.noShorting) {
    return forbidden("account is not allowed to short")
  }
  if (!listing.shortable) return unprocessable(`asset "${listing.symbol}" cannot be sold short`)
  if (order.notional > 0n || quantity % ONE !== 0n) {
    return unprocessable("fractional orders cannot be sold short")
  }
  return undefined
}

/** About where an order would trade. */
function priceFor(order: Shape, { market, account }: Books): Atoms {
  const { bids, asks } = market.book(order.symbol)
  const best = (order.side === "buy" ? asks : bids).best?.price ?? account.price(order.symbol)
  if (order.side === "sell") return order.limitPrice > best ? order.limitPrice : best
  if (order.limitPrice > 0n) return order.limitPrice
  return order.stopPrice > best ? order.stopPrice : best
}

/**
 * 0 for a market buy by notional: what that comes to shows when it trades. One that closes a
 * position has to say now which part of it: that part it holds.
 */
function quantityOf(
  order: Shape,
  listing: AlpacaListing,
  price: Atoms,
  isClosing: boolean,
): Atoms {
  if (order.notional === 0n) return order.quantity
  const isOpenEnded = order.type === "market" && order.side === "buy" && !isClosing
  if (price === 0n || isOpenEnded) return 0n
  return floorTo(order.notional * ONE / price, fractionStep(listing))
}

/** What fractions of a symbol are multiples of. */
export function fractionStep(listing: AlpacaListing): Atoms {
  if (listing.assetClass === "crypto") return listing.quantityStep
  return listing.fractionable ? 1n : ONE
}

/** A market order's cost is what the book asks for now; beyond it, the last price it shows. */
function costOf(order: Shape, quantity: Atoms, price: Atoms, { market }: Books): Atoms {
  if (order.type !== "market" || order.side === "sell") return ceilNotional(price, quantity)
  let left = quantity
  let cost = 0n
  let last = price
  for (const level of market.book(order.symbol).asks.available()) {
    const size = minAtoms(left, level.size)
    cost += ceilNotional(level.price, size)
    left -= size
    last = level.price
    if (left === 0n) break
  }
  return cost + ceilNotional(last, left)
}

function isComplex(order: Pick<OrderRequest, "orderClass">): boolean {
  return order.orderClass !== "" && order.orderClass !== "simple"
}

function couldMeet(order: Shape, other: OrderRecord): boolean {
  const [mine, theirs] = [worstPrice(order), worstPrice(other)]
  // Without a limit either trades with whoever is there.
  if (mine === undefined) return true
  if (theirs === undefined) {
    const isStop = other.type !== "market" && !other.isTriggered
    if (!isStop) return true
    return order.side === "buy" ? mine >= other.stopPrice : mine <= other.stopPrice
  }
  return order.side === "buy" ? mine >= theirs : mine <= theirs
}

function worstPrice(order: Pick<OrderRequest, "limitPrice">): Atoms | undefined {
  return order.limitPrice > 0n ? order.limitPrice : undefined
}

function ceilAtoms(value: bigint): Atoms {
  return (value + ONE - 1n) / ONE
}

/** How much of a level an order still wants. */
export function wanted(order: OrderRecord, level: Level, listing: AlpacaListing): Atoms {
  const left = order.quantity > 0n
    ? order.quantity - order.filled
    : (order.notional * ONE - order.filledValue) / level.price
  return floorTo(minAtoms(left, level.size), fractionStep(listing))
}

/** Whether an order would trade at `price`. */
export function accepts(
  order: Pick<OrderRecord, "side" | "limitPrice">,
  price: Atoms,
): boolean {
  if (order.limitPrice === 0n) return true
  return order.side === "buy" ? price <= order.limitPrice : price >= order.limitPrice
}

/** The stop of a trailing order whose best price so far is `highWaterMark`. */
export function trailingStop(
  order: Pick<OrderRecord, "side" | "trailPercent" | "trailPrice">,
  highWaterMark: Atoms,
  listing: AlpacaListing,
): Atoms {
  const trail = order.trailPrice > 0n
    ? order.trailPrice
    : notional(highWaterMark, order.trailPercent) / 100n
  const stop = order.side === "sell" ? highWaterMark - trail : highWaterMark + trail
  return stop > 0n ? floorTo(stop, priceStep(listing, stop)) : 0n
}
