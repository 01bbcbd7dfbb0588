/** Keeps a script that has run wild from filling the journal. What makes orders safe always passes. */
import type { Command } from "../domain/command.ts"

const ALWAYS: ReadonlyArray<Command["type"]> = [
  "pause",
  "flatten",
  "close_position",
  "cancel_order",
]

export class TokenBucket {
  #tokens: number
  #filledAt: number

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
    private readonly now: () => number,
  ) {
    this.#tokens = burst
    this.#filledAt = now()
  }

  admits(type: Command["type"]): boolean {
    if (ALWAYS.includes(type)) return true
    const now = this.now()
    const earned = Math.max(0, now - this.#filledAt) / 1000 * this.perSecond
    this.#tokens = Math.min(this.burst, this.#tokens + earned)
    this.#filledAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
