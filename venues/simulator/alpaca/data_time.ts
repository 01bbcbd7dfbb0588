/**
 * Times as Alpaca writes them: RFC 3339 in UTC, to the nanosecond, without trailing zeros.
 */

export type Nanos = bigint

const TIME =
  /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|z|[+-]\d{2}:\d{2}))?$/

export function formatTime(time: Nanos): string {
  const seconds = new Date(Number(time / 1_000_000n)).toISOString().slice(0, 19)
  const fraction = (time % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "")
  return fraction === "" ? `${seconds}Z` : `${seconds}.${fraction}Z`
}

/** A date alone is its midnight in UTC; `undefined` for what is neither date nor time. */
export function parseTime(text: string): Nanos | undefined {
  // `+` of an offset, which somebody forgot to encode.
  const match = TIME.exec(text.replace(/ (\d{2}:\d{2})$/, "+$1"))
  if (match === null) return undefined
  const [, date = "", clock = "00:00:00", fraction = "", zone = "Z"] = match
  const seconds = Date.parse(`${date}T${clock}${zone.toUpperCase()}`)
  if (Number.isNaN(seconds)) return undefined
  return nanosOf(seconds) + BigInt(fraction.padEnd(9, "0"))
}

/** Of epoch milliseconds. */
export function nanosOf(timeMs: number): Nanos {
  return BigInt(Math.floor(timeMs)) * 1_000_000n
}
