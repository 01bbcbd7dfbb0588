/**
 * One instrument's order book, kept from a snapshot and the changes after it.
 *
 * Changes are numbered, and the numbers are the only proof that none is missing: until a snapshot
 * fits into their chain, and from a missing one on, there is no book. It asks for nothing: whoever
 * sees that it waits fetches the snapshot.
 */
import { compare, type Decimal, isZero } from "../../domain/decimal.ts"
import type { Depth, Snapshot } from "./decode.ts"

export interface TopOfBook {
  readonly updateId: string
  readonly bid: Decimal
  readonly bidSize: Decimal
  readonly ask: Decimal
  readonly askSize: Decimal
}

/** Numbers of changes that never came, both inclusive. */
export interface MissingUpdates {
  readonly from: string
  readonly to: string
}

interface Level {
  readonly price: Decimal
  readonly size: Decimal
}

/** Changes kept while waiting for a snapshot; older ones are forgotten. Ten a second arrive. */
const BUFFERED_MAX = 10_000

export class LocalBook {
  /** Of the last change that is in the book; undefined while there is none. */
  private updateId: bigint | undefined
  private waiting: Array<Depth> = []
  /** Both ascending by price. */
  private bids: Array<Level> = []
  private asks: Array<Level> = []

  get isValid(): boolean {
    return this.updateId !== undefined
  }

  /** Changes are kept for a snapshot to come. */
  get isWaiting(): boolean {
    return this.waiting.length > 0
  }

  /** Undefined while the book is not valid, or one of its sides is empty. */
  get top(): TopOfBook | undefined {
    const bid = this.bids.at(-1)
    const ask = this.asks[0]
    if (this.updateId === undefined || bid === undefined || ask === undefined) return undefined
    return {
      updateId: String(this.updateId),
      bid: bid.price,
      bidSize: bid.size,
      ask: ask.price,
      askSize: ask.size,
    }
  }

  /** Whether a snapshot continues the changes that are waiting, so that nothing lies between. */
  fits(snapshot: Snapshot): boolean {
    const first = this.waiting[0]
    const last = this.waiting.at(-1)
    const id = BigInt(snapshot.updateId)
    return first !== undefined && last !== undefined &&
      BigInt(first.firstUpdateId) <= id + 1n && id <= BigInt(last.updateId)
  }

  /** Begins the book, if the snapshot fits; returns whether it did. */
  begin(snapshot: Snapshot): boolean {
    if (this.isValid || !this.fits(snapshot)) return false
    this.bids = side(snapshot.bids)
    this.asks = side(snapshot.asks)
    this.updateId = BigInt(snapshot.updateId)
    const waiting = this.waiting
    this.waiting = []
    for (const depth of waiting) this.apply(depth)
    return this.isValid
  }

  /**
   * Takes the next change. A change that is older than the book is passed over; one that leaves a
   * hole ends the book, and is the first to wait for the next snapshot.
   */
  apply(depth: Depth): MissingUpdates | undefined {
    const known = this.updateId ?? this.lastWaiting()
    const missing = known !== undefined && BigInt(depth.firstUpdateId) > known + 1n
      ? { from: String(known + 1n), to: String(BigInt(depth.firstUpdateId) - 1n) }
      : undefined
    if (missing !== undefined) this.end()
    if (this.updateId === undefined) {
      this.waiting.push(depth)
      if (this.waiting.length > BUFFERED_MAX) this.waiting.shift()
      return missing
    }
    if (BigInt(depth.updateId) <= this.updateId) return undefined
    for (const [price, size] of depth.bids) change(this.bids, { price, size })
    for (const [price, size] of depth.asks) change(this.asks, { price, size })
    this.updateId = BigInt(depth.updateId)
  }

  private lastWaiting(): bigint | undefined {
    const last = this.waiting.at(-1)
    return last === undefined ? undefined : BigInt(last.updateId)
  }

  private end() {
    this.updateId = undefined
    this.waiting = []
    this.bids = []
    this.asks = []
  }
}

function side(levels: Snapshot["bids"]): Array<Level> {
  return levels.filter(([, size]) => !isZero(size))
    .map(([price, size]) => ({ price, size }))
    .sort((a, b) => compare(a.price, b.price))
}

/** A size of zero removes the level; removing one that is not there is normal. */
function change(levels: Array<Level>, level: Level) {
  let low = 0
  let high = levels.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(levels[middle]!.price, level.price) < 0) low = middle + 1
    else high = middle
  }
  const found = levels[low]
  const isKnown = found !== undefined && compare(found.price, level.price) === 0
  if (isZero(level.size)) levels.splice(low, isKnown ? 1 : 0)
  else levels.splice(low, isKnown ? 1 : 0, level)
}
