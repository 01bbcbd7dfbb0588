/**
 * Ways in which a frame can be wrong, from one flipped character to a number nobody can hold.
 *
 * A damage is data, so that a property that fails shrinks to the least damage that makes it fail.
 */
import fc from "fast-check"

/** Put where a value was, as it stands on the wire. */
const values = [
  ...['""', "null", "NaN", "true", "[]", "{}", "0", '"0"', "-1", '"-1"', '"-0.5"', "1e3", '"1e3"'],
  ...['"1e999999999"', "1e999999999", "1e-7", '"0x10"', '" 1"', '"+1"', '".5"', '"1."', '"00.1"'],
  ...['"Infinity"', '"١٢"', '"1,5"', "9007199254740993", '"9007199254740993.00000001"'],
  ...["9007199254740990.6", "12345678901234567890", '"12345678901234567890.123456789012345678"'],
  ...['"1234567890123456.7"', "0.1000000000000000055511151231257827", '"0.00000000000000000001"'],
  ...[
    `"${"9".repeat(400)}"`,
    "1".repeat(400),
    '"\\u0031"',
    '"1\\u0000"',
    "123456789012345678901e2",
  ],
]
const pieces = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\\",
  "\0",
  "\n",
  "0",
  "9",
  "-",
  ".",
  "e",
  "\ud800",
]

type Damage =
  /** The value at one of the places of values becomes another. */
  | { readonly kind: "value"; readonly place: number; readonly value: string }
  /** A number gets more digits, in front or behind. */
  | {
    readonly kind: "digits"
    readonly place: number
    readonly digits: string
    readonly isFirst: boolean
  }
  | { readonly kind: "insert"; readonly place: number; readonly piece: string }
  | { readonly kind: "delete"; readonly place: number; readonly length: number }
  | { readonly kind: "cut"; readonly place: number }
  /** A part of it comes twice: keys, values, whole messages. */
  | { readonly kind: "repeat"; readonly place: number; readonly length: number }

const place = fc.nat({ max: 2 ** 24 })
export const damage: fc.Arbitrary<Damage> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("value" as const),
      place,
      value: fc.constantFrom(...values),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("digits" as const),
      place,
      digits: fc.stringMatching(/^[0-9]{1,20}$/),
      isFirst: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constant("insert" as const), place, piece: fc.constantFrom(...pieces) }),
  fc.record({
    kind: fc.constant("delete" as const),
    place,
    length: fc.integer({ min: 1, max: 8 }),
  }),
  fc.record({ kind: fc.constant("cut" as const), place }),
  fc.record({
    kind: fc.constant("repeat" as const),
    place,
    length: fc.integer({ min: 1, max: 40 }),
  }),
)

/** A JSON value that is neither an object nor a list, with what stands before it. */
const scalar = /(?<=[:,[])\s*(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)/g
const number = /\d[\d.]*/g

export function damaged(frame: string, damages: ReadonlyArray<Damage>): string {
  return damages.reduce((text, each) => damagedOnce(text, each), frame)
}

function damagedOnce(text: string, it: Damage): string {
  if (text.length === 0) return text
  const at = it.place % text.length
  switch (it.kind) {
    case "value":
      return replaced(text, scalar, it.place, () => it.value)
    case "digits":
      return replaced(
        text,
        number,
        it.place,
        (old) => it.isFirst ? it.digits + old : old + it.digits,
      )
    case "insert":
      return text.slice(0, at) + it.piece + text.slice(at)
    case "delete":
      return text.slice(0, at) + text.slice(at + it.length)
    case "cut":
      return text.slice(0, at)
    case "repeat":
      return text.slice(0, at) + text.slice(at, at + it.length) + text.slice(at)
  }
}

function replaced(
  text: string,
  pattern: RegExp,
  place: number,
  by: (old: string) => string,
): string {
  const found = [...text.matchAll(pattern)]
  const one = found[place % Math.max(1, found.length)]
  if (one === undefined) return text
  return text.slice(0, one.index) + by(one[0]) + text.slice(one.index + one[0].length)
}
