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

/** Days of a busy account: more than anybody asks for who comes back from an outage. */
export const MEMORY: Memory = { doneOrdersMax: 10_000, fillsMax: 20_000 }

interface Rows<K> {
  readonly size: number
  /** Oldest first. */
  readonly keys: () => Iterable<K>
}

/** The oldest of `rows`, for whose sake there are more than `max`; but for those needed still. */
export function oldestBeyond<K>(
  max: number,
  rows: Rows<K>,
  isNeeded: (key: K) => boolean = () => false,
): ReadonlyArray<K> {
  const oldest = new Array<K>()
  for (const key of rows.keys()) {
    if (rows.size - oldest.length <= max) break
    if (!isNeeded(key)) oldest.push(key)
  }
  return oldest
}
