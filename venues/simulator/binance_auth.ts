/**
 * Who is asking, and whether it was asked just now.
 *
 * The signature covers exactly what was sent: query string and body as they came over
 * the wire, or a frame's parameters sorted, without the signature itself. An account
 * may sign with its secret (HMAC) or, when it has registered a key, with Ed25519. A
 * request is accepted while it is at most `recvWindow` old and less than a second
 * ahead of the venue.
 */
import { Buffer } from "node:buffer"
import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto"
import { ApiError, missing, type Params } from "./binance_params.ts"

export interface Credentials {
  readonly key: string
  readonly secret: string
  /** Ed25519, PEM; without it only the secret signs. */
  readonly publicKey?: string
  /** A revoked key opens nothing any more. */
  isRevoked: boolean
}

export interface Claim {
  /** `timed`: known already, but not too old. */
  readonly security: "none" | "timed" | "signed"
  readonly params: Params
  readonly now: number
  readonly key: string | undefined
  /** One of them must be what was signed. */
  readonly payloads: ReadonlyArray<string>
}

const AHEAD_MAX_MS = 1_000
const RECV_WINDOW_MS = { usual: 5_000, max: 60_000 } as const

/** Throws the venue's refusal of a claim that does not hold. */
export function authorise(credentials: Credentials, claim: Claim) {
  if (claim.security === "none") return
  checkKey(claim.key, credentials)
  checkTime(claim.params, claim.now)
  if (claim.security === "timed") return
  const signature = claim.params.text("signature")
  if (signature === undefined) throw missing("signature")
  const isGood = claim.payloads.some((payload) =>
    isHmac(signature, payload, credentials) || isEd25519(signature, payload, credentials)
  )
  if (!isGood) throw new ApiError(-1022, "Signature for this request is not valid.")
}

/** Logging on takes an Ed25519 signature; others sign each request. */
export function checkLogon(
  credentials: Credentials,
  params: Params,
  payloads: ReadonlyArray<string>,
) {
  const signature = params.mandatory("signature")
  if (!payloads.some((payload) => isEd25519(signature, payload, credentials))) {
    throw new ApiError(-4056, "HMAC_SHA256 API key is not supported.")
  }
}

function checkKey(key: string | undefined, credentials: Credentials) {
  if (key === undefined || !/^[A-Za-z0-9_-]{1,128}$/.test(key)) {
    throw new ApiError(-2014, "API-key format invalid.", 401)
  }
  if (key !== credentials.key || credentials.isRevoked) {
    throw new ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
  }
}

function isHmac(signature: string, payload: string, { secret }: Credentials): boolean {
  const given = Buffer.from(signature.toLowerCase())
  const expected = Buffer.from(createHmac("sha256", secret).update(payload).digest("hex"))
  return expected.length === given.length && timingSafeEqual(expected, given)
}

function isEd25519(signature: string, payload: string, { publicKey }: Credentials): boolean {
  if (publicKey === undefined) return false
  const bytes = Buffer.from(signature, "base64")
  return bytes.length === 64 &&
    verify(null, Buffer.from(payload), createPublicKey(publicKey), bytes)
}

function checkTime(params: Params, now: number) {
  const timestamp = params.integer("timestamp")
  if (timestamp === undefined) throw missing("timestamp")
  const recvWindow = Number(params.text("recvWindow") ?? RECV_WINDOW_MS.usual)
  if (!(recvWindow >= 0)) throw missing("recvWindow")
  if (recvWindow > RECV_WINDOW_MS.max) {
    throw new ApiError(-1131, "recvWindow must be less than 60000.")
  }
  // Microseconds are allowed; nobody's milliseconds have sixteen digits.
  const sentAt = timestamp >= 1e15 ? timestamp / 1_000 : timestamp
  if (sentAt >= now + AHEAD_MAX_MS) {
    throw new ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
  }
  if (now - sentAt > recvWindow) {
    throw new ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")
  }
}
