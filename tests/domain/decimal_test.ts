import assert from "node:assert/strict"
import { Option, Schema } from "effect"
import fc from "fast-check"
import {
  absolute,
  add,
  ceilTo,
  compare,
  type Decimal,
  decimal,
  decimalsOf,
  DecimalText,
  divide,
  floorTo,
  formatDecimal,
  formatFixed,
  isEqual,
  larger,
  multiply,
  negate,
  parseDecimal,
  roundTo,
  smaller,
  subtract,
} from "../../domain/decimal.ts"
import { anyDecimal, textOf } from "./arbitraries.ts"

/** An exact fraction: the model against which the decimals are held. */
interface Fraction {
  readonly n: bigint
  readonly d: bigint
}
const fractionOf = (value: Decimal): Fraction =>
  value.scale >= 0
    ? { n: value.value, d: 10n ** BigInt(value.scale) }
    : { n: value.value * 10n ** BigInt(-value.scale), d: 1n }
const same = (a: Fraction, b: Fraction) => a.n * b.d === b.n * a.d
const assertSame = (actual: Decimal, expected: Fraction) =>
  assert.ok(
    same(fractionOf(actual), expected),
    `${formatDecimal(actual)} is not ${expected.n}/${expected.d}`,
  )

const anyOne = anyDecimal({ min: -(10n ** 17n), max: 10n ** 17n, scaleMax: 18 })
const anyStep = anyDecimal({ min: 1n, max: 10n ** 6n, scaleMax: 10 })

Deno.test("parseDecimal() and formatDecimal() give back every plain decimal", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n }),
      fc.nat(18),
      (units, scale) => {
        const text = textOf(units, scale)
        const value = Option.getOrThrow(parseDecimal(text))
        assertSame(value, { n: units, d: 10n ** BigInt(scale) })
        const written = formatDecimal(value)
        assert.match(written, /^-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?$/)
        assertSame(decimal(written), { n: units, d: 10n ** BigInt(scale) })
      },
    ),
  )
})

Deno.test("parseDecimal() refuses what is not plain digits", () => {
  const bad = [
    "",
    " ",
    "1 ",
    "+1",
    "1e5",
    "1E-2",
    "1e999999999",
    ".5",
    "5.",
    "01",
    "-",
    "1,5",
    "0x1",
    "NaN",
  ]
  bad.push(
    "Infinity",
    "null",
    "undefined",
    "١",
    "1\n",
    "--1",
    "1.2.3",
    "9".repeat(41),
    `0.${"1".repeat(39)}`,
  )
  for (const text of bad) {
    assert.ok(Option.isNone(parseDecimal(text)), JSON.stringify(text))
    assert.throws(() => decimal(text), /^Error: not a decimal: /)
  }
})

Deno.test("parseDecimal() reads no more than forty characters", () => {
  const longest = `-${"9".repeat(20)}.${"9".repeat(18)}`
  assert.equal(longest.length, 40)
  assert.equal(formatDecimal(decimal(longest)), longest)
  assert.ok(Option.isNone(parseDecimal(longest.replace("-", "-9"))))
  assert.ok(Option.isNone(parseDecimal(`${longest}9`)))
  fc.assert(
    fc.property(
      fc.string({ minLength: 41, maxLength: 60, unit: fc.constantFrom(..."0123456789.-") }),
      (text) => {
        assert.ok(Option.isNone(parseDecimal(text)))
      },
    ),
  )
})

Deno.test("parseDecimal() never throws, whatever the text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    parseDecimal(text)
  }))
})

Deno.test("formatDecimal() writes fixed notation at any size", () => {
  const cases = {
    "0.000000000000000001": "0.000000000000000001",
    "-0.50": "-0.5",
    "1250.00": "1250",
    "-0.0": "0",
  }
  for (const [text, written] of Object.entries(cases)) {
    assert.equal(formatDecimal(decimal(text)), written)
  }
  assert.equal(
    formatDecimal(multiply(decimal("1" + "0".repeat(19)), decimal("10000"))),
    "1" + "0".repeat(23),
  )
})

Deno.test("formatFixed() writes exactly so many decimals, half away from zero", () => {
  assert.equal(formatFixed(decimal("1.005"), 2), "1.01")
  assert.equal(formatFixed(decimal("-1.005"), 2), "-1.01")
  assert.equal(formatFixed(decimal("7"), 2), "7.00")
  assert.equal(formatFixed(decimal("2.5"), 0), "3")
  assert.equal(formatFixed(decimal("-0.001"), 2), "0.00")
})

Deno.test("arithmetic agrees with exact fractions", () => {
  fc.assert(fc.property(anyOne, anyOne, (a, b) => {
    const [x, y] = [fractionOf(a), fractionOf(b)]
    assertSame(add(a, b), { n: x.n * y.d + y.n * x.d, d: x.d * y.d })
    assertSame(subtract(a, b), { n: x.n * y.d - y.n * x.d, d: x.d * y.d })
    assertSame(multiply(a, b), { n: x.n * y.n, d: x.d * y.d })
    assertSame(negate(a), { n: -x.n, d: x.d })
    assertSame(absolute(a), { n: x.n < 0n ? -x.n : x.n, d: x.d })
    const difference = x.n * y.d - y.n * x.d
    assert.equal(compare(a, b), difference < 0n ? -1 : difference > 0n ? 1 : 0)
    assert.equal(isEqual(a, b), difference === 0n)
    assert.ok(isEqual(smaller(a, b), difference <= 0n ? a : b))
    assert.ok(isEqual(larger(a, b), difference <= 0n ? b : a))
  }))
})

Deno.test("divide() rounds half away from zero at the scale that is asked for", () => {
  fc.assert(
    fc.property(anyOne, anyOne.filter(({ value }) => value !== 0n), fc.nat(18), (a, b, scale) => {
      const quotient = divide(a, b, scale)
      const [x, y] = [fractionOf(a), fractionOf(b)]
      // Twice the remainder, in units of the last digit: |2q - 2a/b| <= 1, and on a tie |q| is larger.
      const unit = 10n ** BigInt(scale)
      const exact = { n: x.n * y.d * unit, d: x.d * y.n }
      const sign = exact.d < 0n ? -1n : 1n
      const units = fractionOf(multiply(quotient, decimal("1" + "0".repeat(scale))))
      assert.equal(units.n % units.d, 0n)
      const got = units.n / units.d
      const twice = 2n * (got * exact.d - exact.n) * sign
      const bound = exact.d * sign
      assert.ok(twice <= bound && -twice <= bound)
      if (twice === bound || -twice === bound) assert.equal(got > 0n, twice > 0n)
    }),
  )
  assert.equal(formatDecimal(divide(decimal("1"), decimal("8"), 2)), "0.13")
  assert.equal(formatDecimal(divide(decimal("-1"), decimal("8"), 2)), "-0.13")
  assert.equal(formatDecimal(divide(decimal("2"), decimal("3"), 0)), "1")
  assert.throws(() => divide(decimal("1"), decimal("0.00"), 2), /division by zero/)
})

Deno.test("roundTo() is division by one", () => {
  fc.assert(fc.property(anyOne, fc.nat(18), (value, scale) => {
    assert.ok(isEqual(roundTo(value, scale), divide(value, decimal("1"), scale)))
  }))
})

Deno.test("floorTo() and ceilTo() find the neighbours on the grid, below zero too", () => {
  fc.assert(fc.property(anyOne, anyStep, (value, step) => {
    const floor = floorTo(value, step)
    const ceil = ceilTo(value, step)
    for (const each of [floor, ceil]) {
      const [x, s] = [fractionOf(each), fractionOf(step)]
      assert.equal((x.n * s.d) % (x.d * s.n), 0n, "on the grid")
    }
    assert.ok(compare(floor, value) <= 0 && compare(value, add(floor, step)) < 0)
    assert.ok(compare(ceil, value) >= 0 && compare(subtract(ceil, step), value) < 0)
    assert.ok(isEqual(floorTo(floor, step), floor), "a multiple stays")
    assert.ok(isEqual(negate(floorTo(negate(value), step)), ceil), "mirrored")
  }))
  assert.equal(formatDecimal(floorTo(decimal("-0.15"), decimal("0.1"))), "-0.2")
  assert.equal(formatDecimal(floorTo(decimal("0.3"), decimal("0.1"))), "0.3")
  assert.throws(() => floorTo(decimal("1"), decimal("0")), /step must be positive/)
  assert.throws(() => ceilTo(decimal("1"), decimal("-1")), /step must be positive/)
})

Deno.test("decimalsOf() counts what a step really has", () => {
  assert.deepEqual(["0.00100", "1", "100", "0.5"].map((text) => decimalsOf(decimal(text))), [
    3,
    0,
    0,
    1,
  ])
})

Deno.test("DecimalText decodes decimal text and nothing else, and encodes it back", () => {
  const decode = Schema.decodeUnknownOption(DecimalText)
  for (const bad of ["", null, undefined, 1, 1.5, "1e5", [], {}, true, "9".repeat(41)]) {
    assert.ok(Option.isNone(decode(bad)), JSON.stringify(bad))
  }
  fc.assert(fc.property(anyOne, (value) => {
    const text = Schema.encodeSync(DecimalText)(value)
    assert.equal(text, formatDecimal(value))
    assert.ok(isEqual(Schema.decodeSync(DecimalText)(text), value))
  }))
})
