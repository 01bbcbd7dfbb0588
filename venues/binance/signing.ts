/**
 * Signatures of frames, by either kind of key.
 *
 * The secret of a key is text of the venue's (HMAC), or the private half of an Ed25519 pair in PEM;
 * which one it is shows in the text. Only an Ed25519 key may log a session on.
 */
import { Effect, Redacted } from "effect"
import { Forbidden } from "../market_data.ts"

export interface Keys {
  readonly key: Redacted.Redacted<string>
  /** The HMAC secret, or an Ed25519 private key: PKCS#8 in PEM. */
  readonly secret: Redacted.Redacted<string>
}

export type KeyKind = "hmac" | "ed25519"

export function keyKind({ secret }: Keys): KeyKind {
  return Redacted.value(secret).includes("PRIVATE KEY") ? "ed25519" : "hmac"
}

/** Over the parameters sorted by name: hexadecimal for HMAC, base64 for Ed25519. */
export function sign(
  keys: Keys,
  params: Readonly<Record<string, string | number>>,
): Effect.Effect<string, Forbidden> {
  const text = Object.keys(params).sort().map((name) => `${name}=${params[name]}`).join("&")
  const bytes = new TextEncoder().encode(text)
  return Effect.tryPromise({
    try: () => keyKind(keys) === "hmac" ? hmac(keys, bytes) : ed25519(keys, bytes),
    // What the platform says of a bad key may quote it.
    catch: () =>
      new Forbidden({
        detail: keyKind(keys) === "hmac"
          ? "the secret cannot sign"
          : "the private key is not an Ed25519 key in PEM (PKCS#8)",
      }),
  })
}

async function hmac({ secret }: Keys, text: Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = new TextEncoder().encode(Redacted.value(secret))
  const algorithm = { name: "HMAC", hash: "SHA-256" }
  const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign"])
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, text)).toHex()
}

async function ed25519({ secret }: Keys, text: Uint8Array<ArrayBuffer>): Promise<string> {
  const body = Redacted.value(secret).replaceAll(/-----[A-Z ]+-----|\s+/g, "")
  const bytes = Uint8Array.fromBase64(body)
  const key = await crypto.subtle.importKey("pkcs8", bytes, "Ed25519", false, ["sign"])
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key, text)).toBase64()
}
