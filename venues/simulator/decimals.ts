/**
 * The venue's arithmetic: every price, quantity and balance is a whole number of
 * 1e-8 units ("atoms") in a `bigint`.
 *
 * Eight decimals are what the venue itself writes, and a listing whose tick times
 * step is at least 1e-8 makes every notional a whole number of atoms, so nothing
 * here ever rounds without saying so. It never touches a float.
 */
export type Atoms = bigint

/** One unit of an asset, in atoms. */
export const ONE: Atoms = 100_000_000n

const PLAIN = /^-?\d{1,20}(\.\d{1,20})?$/
const SCIENTIFIC = /^(-?)(\d{1,20})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,3}))?$/

/** Atoms of plain decimal text; `undefined` when it is anything else or has more than 8 decimals. */
export function parseAtoms(text: string): Atoms | undefined {
  if (!PLAIN.test(text)) return undefined
  const dot = text.indexOf(".")
  if (dot < 0) return BigInt(text) * ONE
  const decimals = text.slice(dot + 1)
  if (decimals.length > 8 && !/^0*$/.test(decimals.slice(8))) return undefined
  const magnitude = BigInt(
    text.slice(0, dot).replace("-", "") + decimals.slice(0, 8).padEnd(8, "0"),
  )
  return text.startsWith("-") ? -magnitude : magnitude
}

/**
 * Atoms of decimal text as files write it: exponents allowed, anything beyond 8
 * decimals rounded to the nearest (`418.46299999999997` is float noise, not a size).
 */
export function parseAtomsRounded(text: string): Atoms | undefined {
  const match = SCIENTIFIC.exec(text.trim())
  if (match === null) return undefined
  const [, sign, whole = "", fraction = "", exponent = "0"] = match
  const shift = 8 - fraction.length + Number(exponent)
  const digits = BigInt(whole + fraction)
  const magnitude = shift >= 0
    ? digits * 10n ** BigInt(shift)
    : (digits * 2n + 10n ** BigInt(-shift)) / (2n * 10n ** BigInt(-shift))
  return sign === "-" ? -magnitude : magnitude
}

/** Plain text with exactly 8 decimals, as the venue writes all its numbers. */
export function formatAtoms(atoms: Atoms): string {
  const magnitude = (atoms < 0n ? -atoms : atoms).toString().padStart(9, "0")
  const text = `${magnitude.slice(0, -8)}.${magnitude.slice(-8)}`
  return atoms < 0n ? `-${text}` : text
}

/** Plain text without trailing zeros: `0.01`, `5`. */
export function formatTrimmed(atoms: Atoms): string {
  return formatAtoms(atoms).replace(/\.?0+$/, "")
}

/** Price times quantity. Exact on a listing's grid; off the grid the rest below 1e-8 is cut. */
export function notional(price: Atoms, quantity: Atoms): Atoms {
  return price * quantity / ONE
}

/** The largest multiple of `step` not above `atoms`. */
export function floorTo(atoms: Atoms, step: Atoms): Atoms {
  return atoms - atoms % step
}

export function minAtoms(a: Atoms, b: Atoms): Atoms {
  return a < b ? a : b
}
