/**
 * The secrets of the venues, from the environment and nowhere else.
 *
 * A venue without any of its keys is one that does not run; half a pair is a mistake. What is read
 * here is redacted before it goes anywhere, and no message repeats it.
 */
import { Redacted, Result } from "effect"
import { type Config, ConfigError } from "./config.ts"

const secretNames = [
  "APCA_API_KEY_ID",
  "APCA_API_SECRET_KEY",
  "BINANCE_API_KEY",
  "BINANCE_API_SECRET",
] as const
/** Of a file with an Ed25519 key in PEM, instead of `BINANCE_API_SECRET`. */
const privateKeyFile = "BINANCE_PRIVATE_KEY_FILE"
/** Shorter lines of a key file say nothing. */
const LINE_MIN = 20

/** Where secrets are read from: `Deno.env.get` and `Deno.readTextFileSync`, or a test's. */
export interface SecretSource {
  readonly variable: (name: string) => string | undefined
  /** Throws. */
  readonly file: (path: string) => string
}

/** What is set of them: must never be printed, by whichever library. */
export function secretTexts(source: SecretSource): ReadonlyArray<Redacted.Redacted> {
  const path = valueOf(source, privateKeyFile)
  const key = path === undefined ? undefined : readOr(source, path)
  return [
    ...secretNames.flatMap((name) => valueOf(source, name) ?? []),
    ...(key ?? "").split(/\s+/).filter((line) => line.length >= LINE_MIN),
  ].map((value) => Redacted.make(value))
}

function valueOf({ variable }: SecretSource, name: string): string | undefined {
  return variable(name)?.trim() || undefined
}

function readOr({ file }: SecretSource, path: string): string | undefined {
  try {
    return file(path).trim()
  } catch {
    return undefined
  }
}

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
 * Keys of the configured venues. Fails when there are none, when one of a pair is missing, and when
 * a venue that is required has none.
 */
export function venueKeys(
  { venues }: Config,
  source: SecretSource,
): Result.Result<VenueKeys, ConfigError> {
  const path = valueOf(source, privateKeyFile)
  const pem = path === undefined ? undefined : readOr(source, path)
  if (path !== undefined && venues.binance !== undefined) {
    if (valueOf(source, names.binance.secret) !== undefined) {
      return refused(`${names.binance.secret} and ${privateKeyFile} are both set: keep one of them`)
    }
    if (!pem?.includes("PRIVATE KEY")) {
      const says = "must name a readable file with an Ed25519 private key in PEM (PKCS#8)"
      return refused(`${privateKeyFile} ${says}`)
    }
  }
  const read = (name: string) =>
    name === names.binance.secret && pem !== undefined ? pem : valueOf(source, name)
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

function refused(problem: string): Result.Result<never, ConfigError> {
  return Result.fail(new ConfigError({ file: "environment", problems: [problem] }))
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
