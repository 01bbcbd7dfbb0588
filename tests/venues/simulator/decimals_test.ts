import assert from "node:assert/strict"
import fc from "fast-check"
import {
  floorTo,
  formatAtoms,
  formatTrimmed,
  notional,
  parseAtoms,
  parseAtomsRounded,
} from "../../../venues/simulator/decimals.ts"

Deno.test("parseAtoms() and formatAtoms() are each other's inverse", () => {
  fc.assert(fc.property(fc.bigInt({ min: -(10n ** 26n), max: 10n ** 26n }), (atoms) => {
    assert.equal(parseAtoms(formatAtoms(atoms)), atoms)
    assert.equal(parseAtoms(formatTrimmed(atoms)), atoms)
  }))
})

Deno.test("parseAtoms() takes plain decimals of at most eight places and nothing else", () => {
  assert.equal(parseAtoms("61837.63"), 6_183_763_000_000n)
  assert.equal(parseAtoms("0.00000001"), 1n)
  assert.equal(parseAtoms("1.000000000"), 100_000_000n)
  for (const text of ["", ".5", "1.", "1e3", "0.000000001", "1,000", " 1", "NaN", "0x10"]) {
    assert.equal(parseAtoms(text), undefined, text)
  }
})

Deno.test("parseAtomsRounded() reads what files write, float noise and exponents included", () => {
  assert.equal(parseAtomsRounded("418.46299999999997"), parseAtoms("418.463"))
  assert.equal(parseAtomsRounded("1.5e-7"), 15n)
  assert.equal(parseAtomsRounded("2E3"), parseAtoms("2000"))
  assert.equal(parseAtomsRounded("0.000000005"), 1n)
  assert.equal(parseAtomsRounded("-0.000000004"), 0n)
  for (const text of ["", "abc", "1e9999", "--1"]) {
    assert.equal(parseAtomsRounded(text), undefined, text)
  }
})

Deno.test("formatTrimmed() keeps whole numbers whole", () => {
  assert.equal(formatTrimmed(10_000_000_000n), "100")
  assert.equal(formatTrimmed(1_000_000n), "0.01")
  assert.equal(formatTrimmed(0n), "0")
})

Deno.test("notional() is exact on a grid whose tick times step is at least 1e-8", () => {
  fc.assert(fc.property(fc.bigInt(1n, 10n ** 10n), fc.bigInt(1n, 10n ** 10n), (ticks, lots) => {
    const [tick, step] = [1_000_000n, 1_000n]
    assert.equal(notional(ticks * tick, lots * step) * 100_000_000n, ticks * tick * lots * step)
  }))
  assert.equal(floorTo(12_345n, 1_000n), 12_000n)
})
