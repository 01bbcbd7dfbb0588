/**
 * The secrets of the venues, from the environment and nowhere else.
 *
 * A venue without any of its keys is one that does not run; half a pair is a mistake. What is read
 * here is redacted before it goes anywhere, and no message repeats it.
 */
import { Redacted, Result } from "effect"
import { type Config, ConfigError } from "./config.ts"

/** Names in the environment whose values must never be printed, by whichever library. */
export const secretNames = [
  "APCA_API_KEY_ID",
  "APCA_API_SECRET_KEY",
  "BINANCE_API_KEY",
  "BINANCE_API_SECRET",
] as const

export interface KeyPair {
  readonly key: Redacted.Redacted
  readonly secret: Redacted.Redacted
}

export type VenueName = keyof Config["venues"]
export type VenueKeys = { readonly [Venue in VenueName]?: KeyPair }

const names = {
  binance: { key: "BINANCE_API_KEY", secret: "BINANCE_API_SECRET", of: "the Binance testnet" },
  alpaca: { key: "APCA_API_KEY_ID", secret: "APCA_API_SECRET_KEY", of: "Alpaca paper" },
} as const
const venueNames = ["binance", "alpaca"] as const satisfies ReadonlyArray<VenueName>

/**
 * Keys of the configured venues; `readVariable` is `Deno.env.get`. Fails when there are none, when
 * one of a pair is missing, and when a venue that is required has none.
 */
export function venueKeys(
  { venues }: Config,
  readVariable: (name: string) => string | undefined,
): Result.Result<VenueKeys, ConfigError> {
  const read = (name: string) => readVariable(name)?.trim() || undefined
  const found: { [Venue in VenueName]?: KeyPair } = {}
  const wanted = venueNames.filter((venue) => venues[venue] !== undefined)
  for (const venue of wanted) {
    const { key: keyName, secret: secretName } = names[venue]
    const key = read(keyName)
    const secret = read(secretName)
    if (key !== undefined && secret !== undefined) {
      found[venue] = { key: Redacted.make(key), secret: Redacted.make(secret) }
    } else if (key !== secret || venues[venue]?.isRequired) {
      return Result.fail(missing([venue], [key ? "" : keyName, secret ? "" : secretName]))
    }
  }
  if (Object.keys(found).length > 0) return Result.succeed(found)
  return Result.fail(missing(wanted, []))
}

function missing(
  venues: ReadonlyArray<VenueName>,
  variables: ReadonlyArray<string>,
): ConfigError {
  const named = variables.filter((name) => name !== "")
  const needs = named.length > 0
    ? named.join(" and ")
    : venues.map((venue) => `${names[venue].key} and ${names[venue].secret}`).join(", or ")
  const systems = venues.map((venue) => names[venue].of).join(" or of ")
  return new ConfigError({
    file: "environment",
    problems: [
      `mode paper needs ${needs} in the environment; set the keys of ${systems}, ` +
      'or use "mode": "sim"',
    ],
  })
}
