/**
 * Ids that look like chance and never repeat.
 *
 * Half of an id is a counter that the ledger keeps, so a restart cannot give one twice; the rest
 * comes from the seed, so the same run gives the same ids.
 */
import { Chance } from "../chance.ts"

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
/** Odd: multiplying by it shuffles the numbers below 2^48 without ever mapping two to one. */
const SHUFFLE = 0x9e3779b97f4bn
const TAIL = (1n << 48n) - 1n

/** A version 4 UUID; different for every `sequence`, whatever the seed. */
export function makeUuid(seed: number, sequence: number): string {
  const chance = Chance.seeded(seed, `id ${sequence}`)
  const word = () => Math.floor(chance.next() * 0x1_0000).toString(16).padStart(4, "0")
  const tail = (BigInt(sequence) * SHUFFLE & TAIL).toString(16).padStart(12, "0")
  const variant = "89ab"[Math.floor(chance.next() * 4)]
  return `${word()}${word()}-${word()}-4${word().slice(1)}-${variant}${word().slice(1)}-${tail}`
}

/** A ULID; sorts by time, then by `sequence`. */
export function makeUlid(timeMs: number, sequence: number): string {
  const chance = Chance.seeded(sequence, "ulid")
  const random = Math.floor(chance.next() * 0x100_0000)
  // 48 bits of time, 56 of the counter, 24 that only look good.
  let value = (BigInt(timeMs) << 80n) | (BigInt(sequence) << 24n) | BigInt(random)
  let text = ""
  for (let i = 0; i < 26; i++) {
    text = CROCKFORD[Number(value & 31n)] + text
    value >>= 5n
  }
  return text
}
