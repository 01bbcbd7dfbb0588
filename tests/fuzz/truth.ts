/**
 * What a decoder may say about a text, judged by the text alone.
 *
 * Nothing here uses the decoders or their decimals: JSON is read once more with every number as the
 * text it was written as, and whatever decimal a decoder produced must be one of those texts, digit
 * for digit. So `""` cannot become zero, nor a long number a rounded one.
 */
import assert from "node:assert/strict"

const TIME_MAX = 9_999_999_999_999
/** Anything that is paid or asked: never zero, never below. */
const PRICES = new Set(["price", "bid", "ask", "open", "high", "low", "close", "lower", "upper"])
/** May be zero where the venue leaves it out, and be computed where it does not tell. */
const DEFAULTED = new Set(["bidSize", "askSize", "fee"])
const REASON_MAX = 400

export interface Rules {
  /** Times are given in words there, and are numbers here. */
  readonly writesTimesAsText: boolean
  /** An order at the market has the price zero. */
  readonly isOfOrders?: boolean
}

/** Throws unless every decimal and number of `decoded` was written in `text`. */
export function holdsTrue(text: string, decoded: ReadonlyArray<unknown>, rules: Rules) {
  const written = writtenIn(text)
  for (const one of decoded) {
    if (isRecord(one) && one["_tag"] === "Undecoded") {
      assert.ok(typeof one["reason"] === "string" && one["reason"] !== "")
      assert.ok(one["reason"].length <= REASON_MAX, one["reason"])
    } else inspect(one, "", written, rules)
  }
}

/** The text of every string and number in it, as plain decimals; none of what is no JSON. */
function writtenIn(text: string): ReadonlySet<string> {
  const texts = new Set<string>()
  try {
    JSON.parse(text, (_key, value: unknown, context?: { readonly source: string }) => {
      const source = typeof value === "string" ? value : context?.source
      const plain = source === undefined ? undefined : plainDecimal(source)
      if (plain !== undefined) texts.add(plain)
      return value
    })
  } catch {
    texts.clear()
  }
  return texts
}

function inspect(value: unknown, key: string, written: ReadonlySet<string>, rules: Rules) {
  if (Array.isArray(value)) return value.forEach((each) => inspect(each, key, written, rules))
  if (typeof value === "number") {
    assert.ok(Number.isSafeInteger(value), `${key}: ${value}`)
    const isTime = rules.writesTimesAsText && value >= 0 && value <= TIME_MAX
    const isInterval = key === "intervalMs"
    assert.ok(isTime || isInterval || written.has(String(value)), `${key}: nobody wrote ${value}`)
    return
  }
  if (!isRecord(value)) return
  if (typeof value["value"] === "bigint" && typeof value["scale"] === "number") {
    const text = decimalText(value["value"], value["scale"])
    const isPrice = PRICES.has(key) && !rules.isOfOrders
    if (isPrice) assert.ok(value["value"] > 0n, `${key}: ${text} is no price`)
    const isKnown = written.has(text) || DEFAULTED.has(key)
    assert.ok(isKnown, `${key}: nobody wrote ${text}`)
    return
  }
  for (const [name, each] of Object.entries(value)) inspect(each, name, written, rules)
}

/** Without leading and trailing zeros; undefined for what is no plain decimal. */
function plainDecimal(text: string): string | undefined {
  const match = /^(-?)0*(\d+)(?:\.(\d+))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = "", fraction = ""] = match
  const decimals = fraction.replace(/0+$/, "")
  const digits = decimals === "" ? whole : `${whole}.${decimals}`
  return digits === "0" ? "0" : sign + digits
}

function decimalText(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0")
  const [whole, fraction] = [
    digits.slice(0, digits.length - scale),
    digits.slice(digits.length - scale),
  ]
  const text = `${value < 0n ? "-" : ""}${whole}${scale > 0 ? `.${fraction}` : ""}`
  return plainDecimal(text) ?? text
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null
}
