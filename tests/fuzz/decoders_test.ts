/**
 * Whatever comes over the wire: decoders neither crash nor guess.
 *
 * A hundred thousand damaged messages, the same ones on every run; `KEEL_FUZZ_SEED` picks others and
 * `KEEL_FUZZ_FRAMES` more. With `KEEL_DATA` recordings of real markets are damaged, too.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { decodeFrame } from "../../venues/binance/decode.ts"
import { readQuickly } from "../../venues/binance/quick.ts"
import { guessedSymbols } from "../../venues/binance/symbols.ts"
import { damage, damaged } from "./damage.ts"
import { decoders } from "./decoders.ts"
import { recordedSeeds } from "./recorded_seeds.ts"
import { holdsTrue } from "./truth.ts"

const frames = Number(Deno.env.get("KEEL_FUZZ_FRAMES") ?? 100_000)
const seed = Number(Deno.env.get("KEEL_FUZZ_SEED") ?? 1)
/** Streams get most of it: they are read all day. */
const shareOf = (name: string) => / frames$/.test(name) ? 0.17 : 0.32 / (decoders.length - 4)

for (const decoder of decoders) {
  const { name, decode } = decoder
  const seeds = [...decoder.seeds, ...recordedSeeds(name)]

  Deno.test(`${name}: what is whole decodes`, () => {
    for (const text of decoder.seeds) holdsTrue(text, decode(text), decoder)
    const isRead = (text: string) =>
      decode(text).some((one) => (one as { readonly _tag?: string })._tag !== "Undecoded")
    assert.ok(seeds.some(isRead), "none of it")
  })

  Deno.test(`${name}: what is damaged is refused or read as it stands`, () => {
    const property = fc.property(
      fc.constantFrom(...seeds),
      fc.array(damage, { minLength: 1, maxLength: 4 }),
      (text, damages) => {
        const frame = damaged(text, damages)
        holdsTrue(frame, decode(frame), decoder)
      },
    )
    fc.assert(property, { seed, numRuns: Math.ceil(frames * shareOf(name)) })
  })

  Deno.test(`${name}: anything else is no crash`, () => {
    const anything = fc.oneof(fc.string(), fc.json(), fc.string({ unit: "binary" }))
    const property = fc.property(anything, (text) => holdsTrue(text, decode(text), decoder))
    fc.assert(property, { seed, numRuns: 300 })
  })

  Deno.test(`${name}: a monster ends, too`, () => {
    for (const text of monsters) holdsTrue(text, decode(text), decoder)
  })
}

/** A megabyte each. */
const LONG = 1_000_000
const monsters = [
  "[".repeat(LONG),
  '{"data":'.repeat(LONG / 8),
  `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
  `{"e":"trade","p":"${"1".repeat(LONG)}"}`,
  `{"e":"trade","p":${"1".repeat(LONG)}}`,
  `[{"T":"t","S":"${"A".repeat(LONG)}"}]`,
  `{"stream":"${"a".repeat(LONG)}`,
  `{"u":${"1".repeat(LONG)}`,
  `"${"\\".repeat(LONG)}`,
]

Deno.test("Binance: what is read quickly is read the same the long way", () => {
  const { seeds } = decoders.find(({ name }) => name === "Binance market frames")!
  const all = [...seeds, ...recordedSeeds("Binance market frames")]
  let quick = 0
  const same = (frame: string) => {
    const read = readQuickly(frame, guessedSymbols, 7)
    if (read === undefined) return
    quick++
    assert.deepEqual(read, decodeFrame(frame, guessedSymbols, 7))
  }
  all.forEach(same)
  assert.ok(quick > 0, "nothing was read quickly")
  const damages = fc.array(damage, { minLength: 1, maxLength: 2 })
  const property = fc.property(
    fc.constantFrom(...all.filter((frame) => readQuickly(frame, guessedSymbols, 7) !== undefined)),
    damages,
    (text, each) => same(damaged(text, each)),
  )
  fc.assert(property, { seed, numRuns: Math.ceil(frames / 5) })
})
