/**
 * The liquidity one symbol shows: what an order sent now could trade against.
 *
 * The driving market owns the levels; our own fills only note what they took, and
 * a level forgets that as soon as the market quotes it again. So one order cannot
 * eat the same size twice, and nobody has to invent a reaction of other traders.
 * A best price on one side removes what it contradicts on the other (a quote is
 * newer than the depth below it); it never invents levels.
 */
import type { Atoms } from "./decimals.ts"

export interface Level {
  readonly price: Atoms
  readonly size: Atoms
}

/**
 * One side, kept worst level first: what changes is near the best price, and the end
 * of an array is its cheap one.
 */
class Side {
  readonly #better: (a: Atoms, b: Atoms) => boolean
  #levels: Array<{ price: Atoms; size: Atoms; taken: Atoms }> = []

  constructor(better: (a: Atoms, b: Atoms) => boolean) {
    this.#better = better
  }

  get best(): Level | undefined {
    return this.#levels.at(-1)
  }

  /** Best first. */
  get levels(): ReadonlyArray<Level> {
    return this.#levels.toReversed()
  }

  /** Takes them best first. */
  replace(levels: ReadonlyArray<Level>) {
    this.#levels = levels.filter((level) => level.size > 0n)
      .map((level) => ({ price: level.price, size: level.size, taken: 0n })).reverse()
  }

  /** A new size at one price; 0 removes the level. */
  set(price: Atoms, size: Atoms) {
    const at = this.#position(price)
    const isKnown = this.#levels[at]?.price === price
    if (size === 0n) {
      if (isKnown) this.#levels.splice(at, 1)
    } else if (isKnown) {
      this.#levels[at] = { price, size, taken: 0n }
    } else {
      this.#levels.splice(at, 0, { price, size, taken: 0n })
    }
  }

  /** The best level is this one: whatever is better is gone. */
  top(price: Atoms, size: Atoms) {
    this.#levels.splice(this.#position(price))
    this.set(price, size)
  }

  /** Drops levels that the other side's best price has passed. */
  uncross(otherBest: Atoms) {
    for (let best = this.best; best !== undefined; best = this.best) {
      if (this.#better(otherBest, best.price)) return
      this.#levels.pop()
    }
  }

  /** What is left to trade, best first. Taking from it meanwhile is fine. */
  *available(): Iterable<Level> {
    for (let i = this.#levels.length - 1; i >= 0; i--) {
      const level = this.#levels[i]
      if (level === undefined || level.size <= level.taken) continue
      yield { price: level.price, size: level.size - level.taken }
    }
  }

  take(price: Atoms, size: Atoms) {
    const level = this.#levels[this.#position(price)]
    if (level === undefined || level.price !== price || level.taken + size > level.size) {
      throw new RangeError(`took ${size} at ${price}, which is not shown`)
    }
    level.taken += size
  }

  /** Index of `price`, or of where it belongs. */
  #position(price: Atoms): number {
    let low = 0
    let high = this.#levels.length
    while (low < high) {
      const middle = (low + high) >> 1
      const level = this.#levels[middle]
      if (level !== undefined && this.#better(price, level.price)) low = middle + 1
      else high = middle
    }
    return low
  }
}

export class ShownBook {
  readonly bids = new Side((a, b) => a > b)
  readonly asks = new Side((a, b) => a < b)
  /** Update id of the last change. */
  updateId = 0

  /** The best price and size of both sides. */
  quote(updateId: number, bid: Level, ask: Level) {
    this.updateId = Math.max(this.updateId, updateId)
    this.bids.uncross(ask.price)
    this.asks.uncross(bid.price)
    this.bids.top(bid.price, bid.size)
    this.asks.top(ask.price, ask.size)
  }

  /** All that is shown, best first. */
  ladder(updateId: number, bids: ReadonlyArray<Level>, asks: ReadonlyArray<Level>) {
    this.updateId = Math.max(this.updateId, updateId)
    this.bids.replace(bids)
    this.asks.replace(asks)
  }
}
