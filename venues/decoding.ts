/**
 * What every decoder says of a frame that means nothing, and what it may ask of one.
 *
 * A reason is for people: one line, short, and safe to make of whatever the venue has sent.
 */
import { Result } from "effect"

export interface Undecoded {
  readonly _tag: "Undecoded"
  readonly reason: string
}

export function undecoded(reason: string): Undecoded {
  return { _tag: "Undecoded", reason }
}

export function foreign(symbol: string): Undecoded {
  return undecoded(`a symbol nobody asked for: ${quoted(symbol)}`)
}

/** What `build` makes of it, if its schema has taken it. */
export function settled<A, B>(
  result: Result.Result<A, { readonly message: string }>,
  build: (value: A) => B,
): B | Undecoded {
  return Result.isSuccess(result)
    ? build(result.success)
    : undecoded(oneLine(result.failure.message))
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** What is not text is shown as JSON: its own conversion to text may throw. */
export function words(value: unknown): string {
  return typeof value === "string" ? value.slice(0, 200) : quoted(value)
}

export function quoted(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? "undefined"
}

export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 200)
}
