/**
 * How much of its past a simulated venue remembers: all that is open, and the newest of what is
 * over. What is older leaves memory and ledger together, as real venues archive it, so that a venue
 * which runs for weeks needs no more of either than one that runs for a day.
 */
export interface Memory {
  /** Orders of which nothing becomes any more. */
  readonly doneOrdersMax: number
  readonly fillsMax: number
}

/** Pages of days, of a busy account: far more than anybody who reconciles asks for. */
export const MEMORY: Memory = { doneOrdersMax: 10_000, fillsMax: 20_000 }

interface Rows<K> {
  readonly size: number
  /** Oldest first. */
  readonly keys: () => Iterable<K>
  readonly delete: (key: K) => boolean
}

/** Takes the oldest out of `rows` until `max` are left, but for those that may not go yet. */
export function forgetOldest<K>(
  rows: Rows<K>,
  max: number,
  mayGo: (key: K) => boolean = () => true,
): ReadonlyArray<K> {
  const forgotten = new Array<K>()
  for (const key of rows.keys()) {
    if (rows.size <= max) break
    if (!mayGo(key)) continue
    rows.delete(key)
    forgotten.push(key)
  }
  return forgotten
}
