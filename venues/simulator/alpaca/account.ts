/**
 * The account: cash, positions, and what open orders may still spend.
 *
 * Shares are bought on margin of one half, crypto with money that is there. Nothing is ever
 * rounded in the account's favour: what is paid is rounded up to 1e-8 dollars, what is received
 * down. It knows nothing of orders beyond what they hold.
 */
import { type Atoms, minAtoms, notional, ONE } from "../decimals.ts"
import type { AccountRecord, FillRecord, OrderRecord, PositionRecord } from "./ledger.ts"
import type { AlpacaMarket } from "./market.ts"

/** Of crypto, for those who trade little: 25 basis points of what is received. */
export const FEE_BPS = 25n
/** A short sale reserves this much of its worth, in percent, for the price may rise. */
const SHORT_RESERVE_PERCENT = 103n

export interface Valued {
  readonly position: PositionRecord
  readonly price: Atoms
  /** Negative when short. */
  readonly marketValue: Atoms
  /** At the last close, or what it was bought for today. */
  readonly lastPrice: Atoms
}

export interface Funds {
  readonly cash: Atoms
  readonly equity: Atoms
  readonly longMarketValue: Atoms
  readonly shortMarketValue: Atoms
  readonly initialMargin: Atoms
  readonly maintenanceMargin: Atoms
  /** For shares. */
  readonly buyingPower: Atoms
  /** For crypto. */
  readonly nonMarginableBuyingPower: Atoms
  /** Before what open orders hold. */
  readonly regTBuyingPower: Atoms
}

type Market = Pick<AlpacaMarket, "listings" | "book" | "lastPrice">

export class Account {
  readonly #market: Market
  readonly #positions = new Map<string, PositionRecord>()
  #record: AccountRecord

  constructor(market: Market, record: AccountRecord, positions: ReadonlyArray<PositionRecord>) {
    this.#market = market
    this.#record = record
    for (const position of positions) this.#positions.set(position.symbol, position)
  }

  get record(): AccountRecord {
    return this.#record
  }

  update(change: Partial<AccountRecord>) {
    this.#record = { ...this.#record, ...change }
  }

  /** Those that are not flat, by symbol. */
  get positions(): ReadonlyArray<PositionRecord> {
    return [...this.#positions.values()].filter((position) => position.quantity !== 0n)
      .sort((a, b) => a.symbol < b.symbol ? -1 : 1)
  }

  position(symbol: string): PositionRecord {
    return this.#positions.get(symbol) ?? { symbol, quantity: 0n, cost: 0n, dayCost: 0n }
  }

  isCrypto(symbol: string): boolean {
    return this.#market.listings.get(symbol)?.assetClass === "crypto"
  }

  /** Where a symbol is worth something now: its last trade, else the middle of the book. */
  price(symbol: string): Atoms {
    const last = this.#market.lastPrice(symbol)
    if (last !== undefined) return last
    const { bids, asks } = this.#market.book(symbol)
    const [bid, ask] = [bids.best?.price, asks.best?.price]
    return bid !== undefined && ask !== undefined ? (bid + ask) / 2n : bid ?? ask ?? 0n
  }

  value(position: PositionRecord): Valued {
    const price = this.price(position.symbol)
    const close = this.#record.closes[position.symbol]
    return {
      position,
      price,
      marketValue: notional(price, position.quantity),
      lastPrice: close ?? price,
    }
  }

  funds(open: Iterable<OrderRecord>): Funds {
    const { cash } = this.#record
    let longMarketValue = 0n
    let shortMarketValue = 0n
    let marginOfShares = 0n
    let marginOfCrypto = 0n
    for (const position of this.positions) {
      const { marketValue } = this.value(position)
      if (marketValue > 0n) longMarketValue += marketValue
      else shortMarketValue += marketValue
      const size = marketValue < 0n ? -marketValue : marketValue
      if (this.isCrypto(position.symbol)) marginOfCrypto += size
      else marginOfShares += size
    }
    let heldForShares = 0n
    let heldForCrypto = 0n
    for (const order of open) {
      if (this.isCrypto(order.symbol)) heldForCrypto += order.heldCash
      else heldForShares += order.heldCash
    }
    const equity = cash + longMarketValue + shortMarketValue
    const initialMargin = (marginOfShares + 1n) / 2n + marginOfCrypto
    const excess = equity - initialMargin
    const available = excess - (heldForShares + 1n) / 2n - heldForCrypto
    const multiplier = this.#record.configuration.maxMarginMultiplier === "1" ? 1n : 2n
    const cashLeft = cash + shortMarketValue - heldForCrypto
    const unborrowed = positive(minAtoms(available, cashLeft))
    return {
      cash,
      equity,
      longMarketValue,
      shortMarketValue,
      initialMargin,
      maintenanceMargin: marginOfShares * 3n / 10n + marginOfCrypto,
      buyingPower: multiplier === 1n
        ? positive(minAtoms(available, cashLeft - heldForShares))
        : positive(available) * multiplier,
      nonMarginableBuyingPower: unborrowed,
      regTBuyingPower: positive(excess) * multiplier,
    }
  }

  /** What a fill does to cash: dollars, negative when paid; and the fee in what is received. */
  settle(
    symbol: string,
    side: FillRecord["side"],
    price: Atoms,
    quantity: Atoms,
  ): { readonly cash: Atoms; readonly fee: Atoms } {
    const isCrypto = this.isCrypto(symbol)
    if (side === "buy") {
      return { cash: -ceilNotional(price, quantity), fee: isCrypto ? feeOf(quantity) : 0n }
    }
    const proceeds = notional(price, quantity)
    const fee = isCrypto ? feeOf(proceeds) : 0n
    return { cash: proceeds - fee, fee }
  }

  /** Books a fill. */
  apply(fill: Pick<FillRecord, "symbol" | "side" | "quantity" | "price" | "cash" | "fee">) {
    const isBuy = fill.side === "buy"
    const received = isBuy ? fill.quantity - fill.fee : -fill.quantity
    this.#move(fill.symbol, received, fill.price)
    const feeInDollars = isBuy ? notional(fill.price, fill.fee) : fill.fee
    this.update({
      cash: this.#record.cash + fill.cash,
      accruedFees: this.#record.accruedFees + feeInDollars,
    })
  }

  /** Takes a fill back as if it had never been. */
  revert(fill: Pick<FillRecord, "symbol" | "side" | "quantity" | "price" | "cash" | "fee">) {
    const received = fill.side === "buy" ? fill.quantity - fill.fee : -fill.quantity
    this.#move(fill.symbol, -received, fill.price)
    this.update({ cash: this.#record.cash - fill.cash })
  }

  /** The price of a fill was another. `cash` is the difference in dollars. */
  reprice(symbol: string, cash: Atoms) {
    const position = this.position(symbol)
    this.update({ cash: this.#record.cash + cash })
    // What is paid or received later belongs to what is still held.
    if (position.quantity === 0n) return
    this.#positions.set(symbol, {
      ...position,
      cost: position.cost - cash * ONE,
      dayCost: position.dayCost - cash * ONE,
    })
  }

  /** The day is over: today's prices become yesterday's. */
  closeDay(funds: Funds) {
    const closes: Record<string, bigint> = { ...this.#record.closes }
    for (const symbol of this.#market.listings.keys()) {
      const price = this.price(symbol)
      if (price > 0n) closes[symbol] = price
    }
    for (const position of this.positions) {
      this.#positions.set(position.symbol, {
        ...position,
        dayCost: (closes[position.symbol] ?? 0n) * position.quantity,
      })
    }
    this.update({
      closes,
      lastEquity: funds.equity,
      lastMaintenanceMargin: funds.maintenanceMargin,
      accruedFees: 0n,
    })
  }

  #move(symbol: string, change: Atoms, price: Atoms) {
    const { quantity, cost, dayCost } = this.position(symbol)
    const next = quantity + change
    const grows = quantity === 0n || (quantity > 0n) === (change > 0n)
    const flips = !grows && (next > 0n) !== (quantity > 0n) && next !== 0n
    const moved = grows
      ? { cost: cost + price * change, dayCost: dayCost + price * change }
      : next === 0n
      ? { cost: 0n, dayCost: 0n }
      : flips
      ? { cost: price * next, dayCost: price * next }
      : { cost: cost * next / quantity, dayCost: dayCost * next / quantity }
    this.#positions.set(symbol, { symbol, quantity: next, ...moved })
  }
}

/** Somebody who has never traded, and has given out no id. */
export function newAccount(
  owner: Pick<AccountRecord, "id" | "accountNumber" | "createdAt" | "cash">,
): AccountRecord {
  return {
    ...owner,
    lastEquity: owner.cash,
    lastMaintenanceMargin: 0n,
    closes: {},
    accruedFees: 0n,
    configuration: {
      noShorting: false,
      suspendTrade: false,
      fractionalTrading: true,
      maxMarginMultiplier: "2",
      tradeConfirmEmail: "all",
      ptpNoExceptionEntry: false,
      disableOvernightTrading: false,
    },
    idSequence: 0,
    orderSequence: 0,
    fillSequence: 0,
    eventSequence: 0,
    eventTime: 0,
  }
}

/** What a short sale of `quantity` at about `price` reserves. */
export function shortReserve(price: Atoms, quantity: Atoms): Atoms {
  return ceilNotional(price, quantity) * SHORT_RESERVE_PERCENT / 100n
}

/** Price times quantity, any rest below 1e-8 dollars rounded up. */
export function ceilNotional(price: Atoms, quantity: Atoms): Atoms {
  return (price * quantity + ONE - 1n) / ONE
}

function feeOf(received: Atoms): Atoms {
  return (received * FEE_BPS + 9_999n) / 10_000n
}

function positive(amount: Atoms): Atoms {
  return amount > 0n ? amount : 0n
}
