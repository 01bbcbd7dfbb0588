/**
 * Exact decimals for prices, quantities and money.
 *
 * Effect's `BigDecimal` does the arithmetic. Reading and writing are ours, because at the boundary
 * the library is too kind: it reads `""` as zero, accepts `1e999999999`, and writes small numbers
 * with an exponent. Division always names its scale.
 */
import { BigDecimal, Option, Schema, SchemaTransformation } from "effect"

export type Decimal = BigDecimal.BigDecimal

/** Plain digits with an optional fraction: no exponent, no `+`, no blanks, at most 40 characters. */
export const decimalPattern = /^-?(?:0|[1-9]\d{0,19})(?:\.\d{1,18})?$/u

/** Of a decimal that travels as text. What was computed may have more, and is rounded first. */
export const decimalsMax = 18

export const zero: Decimal = BigDecimal.make(0n, 0)
export const one: Decimal = BigDecimal.make(1n, 0)

/** `None` for everything that is not a plain decimal, the empty string included. */
export function parseDecimal(text: string): Option.Option<Decimal> {
  return decimalPattern.test(text) ? Option.some(fromDigits(text)) : Option.none()
}

/** For literals in the code and for text a schema has already checked; a bad one is a defect. */
export function decimal(text: string): Decimal {
  if (!decimalPattern.test(text)) throw new Error(`not a decimal: "${text.slice(0, 40)}"`)
  return fromDigits(text)
}

function fromDigits(text: string): Decimal {
  const point = text.indexOf(".")
  if (point < 0) return BigDecimal.make(BigInt(text), 0)
  return BigDecimal.make(
    BigInt(text.slice(0, point) + text.slice(point + 1)),
    text.length - point - 1,
  )
}

/** `units` / 10^`scale`; `units` must be a safe integer. For readers that count digits themselves. */
export function fromUnits(units: number, scale: number): Decimal {
  return BigDecimal.make(BigInt(units), scale)
}

/** Fixed notation without trailing zeros: `0.00000001`, `1250`, `-0.5`. Zero has no sign. */
export function formatDecimal(value: Decimal): string {
  const { value: digits, scale } = BigDecimal.normalize(value)
  if (scale <= 0) return (digits * 10n ** BigInt(-scale)).toString()
  const negative = digits < 0n
  const text = (negative ? -digits : digits).toString().padStart(scale + 1, "0")
  const point = text.length - scale
  return `${negative ? "-" : ""}${text.slice(0, point)}.${text.slice(point)}`
}

/** Fixed notation with exactly `scale` decimals, half away from zero. */
export function formatFixed(value: Decimal, scale: number): string {
  const text = formatDecimal(roundTo(value, scale))
  if (scale === 0) return text
  const point = text.indexOf(".")
  const decimals = point < 0 ? 0 : text.length - point - 1
  return (point < 0 ? `${text}.` : text) + "0".repeat(scale - decimals)
}

export function add(a: Decimal, b: Decimal): Decimal {
  return BigDecimal.sum(a, b)
}
export function subtract(a: Decimal, b: Decimal): Decimal {
  return BigDecimal.subtract(a, b)
}
export function multiply(a: Decimal, b: Decimal): Decimal {
  return BigDecimal.multiply(a, b)
}
export function negate(a: Decimal): Decimal {
  return BigDecimal.negate(a)
}
export function absolute(a: Decimal): Decimal {
  return BigDecimal.abs(a)
}
/** -1, 0 or 1. */
export function compare(a: Decimal, b: Decimal): -1 | 0 | 1 {
  return BigDecimal.Order(a, b)
}
export function isLess(a: Decimal, b: Decimal): boolean {
  return BigDecimal.isLessThan(a, b)
}
export function isGreater(a: Decimal, b: Decimal): boolean {
  return BigDecimal.isGreaterThan(a, b)
}
export function isEqual(a: Decimal, b: Decimal): boolean {
  return BigDecimal.equals(a, b)
}
export function isZero(a: Decimal): boolean {
  return a.value === 0n
}
export function isPositive(a: Decimal): boolean {
  return a.value > 0n
}
export function isNegative(a: Decimal): boolean {
  return a.value < 0n
}
export function smaller(a: Decimal, b: Decimal): Decimal {
  return isLess(b, a) ? b : a
}
export function larger(a: Decimal, b: Decimal): Decimal {
  return isLess(a, b) ? b : a
}

/** a / b with `scale` decimals, half away from zero. `b` must not be zero: a defect otherwise. */
export function divide(a: Decimal, b: Decimal, scale: number): Decimal {
  if (b.value === 0n) throw new Error("division by zero")
  const shift = scale + b.scale - a.scale
  const numerator = shift >= 0 ? a.value * 10n ** BigInt(shift) : a.value
  const denominator = shift >= 0 ? b.value : b.value * 10n ** BigInt(-shift)
  return BigDecimal.make(roundedQuotient(numerator, denominator), scale)
}

/** To `scale` decimals, half away from zero. */
export function roundTo(value: Decimal, scale: number): Decimal {
  if (value.scale <= scale) return value
  return BigDecimal.make(
    roundedQuotient(value.value, 10n ** BigInt(value.scale - scale)),
    scale,
  )
}

/** The largest multiple of `step` that is not greater than `value`; exact, on the integer grid. */
export function floorTo(value: Decimal, step: Decimal): Decimal {
  return onGrid(value, step, (count, rest) => rest < 0n ? count - 1n : count)
}

/** The smallest multiple of `step` that is not less than `value`; exact, on the integer grid. */
export function ceilTo(value: Decimal, step: Decimal): Decimal {
  return onGrid(value, step, (count, rest) => rest > 0n ? count + 1n : count)
}

function onGrid(
  value: Decimal,
  step: Decimal,
  round: (count: bigint, rest: bigint) => bigint,
): Decimal {
  if (step.value <= 0n) throw new Error("a step must be positive")
  const scale = Math.max(value.scale, step.scale)
  const units = value.value * 10n ** BigInt(scale - value.scale)
  const stepUnits = step.value * 10n ** BigInt(scale - step.scale)
  const rest = units % stepUnits
  return BigDecimal.make(round(units / stepUnits, rest) * stepUnits, scale)
}

function roundedQuotient(numerator: bigint, denominator: bigint): bigint {
  const negative = (numerator < 0n) !== (denominator < 0n)
  const n = numerator < 0n ? -numerator : numerator
  const d = denominator < 0n ? -denominator : denominator
  const quotient = (2n * n + d) / (2n * d)
  return negative ? -quotient : quotient
}

/** How many decimals a step such as `0.00100` really has: 3. */
export function decimalsOf(step: Decimal): number {
  return Math.max(0, BigDecimal.normalize(step).scale)
}

/** For the canvas and for indicators only: never for money. */
export function toNumber(value: Decimal): number {
  return BigDecimal.toNumberUnsafe(value)
}

/** A decimal that travels as text: in the journal, on the wire, in `keel.json`. */
export const DecimalText = Schema.String.check(
  Schema.isPattern(decimalPattern, { expected: "a decimal such as 1250 or 0.005, as text" }),
).pipe(
  Schema.decodeTo(
    Schema.BigDecimal,
    SchemaTransformation.transform({ decode: decimal, encode: formatDecimal }),
  ),
)
