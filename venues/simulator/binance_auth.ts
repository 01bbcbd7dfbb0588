/**
 * Who is asking, and whether it was asked just now.
 *
 * The signature covers exactly what was sent: query string and body as they came
 * over the wire, without the signature itself. A request is accepted while it is at
 * most `recvWindow` old and less than a second ahead of the venue.
 */
import { Buffer } from "node:buffer"
import { createHmac, timingSafeEqual } from "node:crypto"
import { ApiError, missing, type Params } from "./binance_params.ts"

export interface Credentials {
  readonly key: string
  readonly secret: string
}

const AHEAD_MAX_MS = 1_000
const RECV_WINDOW_MS = { usual: 5_000, max: 60_000 } as const

export function checkKey(key: string | undefined, credentials: Credentials) {
  if (key === undefined || !/^[A-Za-z0-9_-]{1,128}$/.test(key)) {
    throw new ApiError(-2014, "API-key format invalid.", 401)
  }
  if (key !== credentials.key) {
    throw new ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
  }
}

/** One of `payloads` must be what was signed. */
export function checkSignature(
  signature: string | undefined,
  payloads: ReadonlyArray<string>,
  credentials: Credentials,
) {
  if (signature === undefined || signature === "") throw missing("signature")
  const given = Buffer.from(signature.toLowerCase())
  const matches = payloads.some((payload) => {
    const expected = Buffer.from(
      createHmac("sha256", credentials.secret).update(payload).digest("hex"),
    )
    return expected.length === given.length && timingSafeEqual(expected, given)
  })
  if (!matches) throw new ApiError(-1022, "Signature for this request is not valid.")
}

export function checkTime(params: Params, now: number) {
  const timestamp = params.integer("timestamp")
  if (timestamp === undefined) throw missing("timestamp")
  const recvWindow = Number(params.text("recvWindow") ?? RECV_WINDOW_MS.usual)
  if (!(recvWindow >= 0)) throw new ApiError(-1102, missing("recvWindow").message)
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
