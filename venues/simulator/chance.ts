/**
 * Chance that can be stored: the small fast counting generator (sfc32) whose whole
 * state is four 32-bit integers. The same state always goes on the same way.
 */
export type ChanceState = readonly [number, number, number, number]

export class Chance {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor([a, b, c, d]: ChanceState) {
    this.#a = a
    this.#b = b
    this.#c = c
    this.#d = d
  }

  static seeded(seed: number, name: string): Chance {
    let hash = (seed ^ 0x9e3779b9) >>> 0
    for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0
    const chance = new Chance([hash, seed >>> 0, Math.imul(hash, 0x85ebca6b) >>> 0, 1])
    for (let i = 0; i < 12; i++) chance.next()
    return chance
  }

  get state(): ChanceState {
    return [this.#a, this.#b, this.#c, this.#d]
  }

  /** In [0, 1). */
  next(): number {
    const sum = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0
    return (sum >>> 0) / 4294967296
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  /** Standard normal. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next())
  }

  /** Exponential with this mean. */
  waiting(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }
}
