/**
 * Requests to Binance, through the official-shaped client of the `binance` package.
 *
 * The package signs and sends; it neither retries nor decodes for us, because an order must not be
 * sent twice and a long id must not pass through a float. Every answer is text until a schema has
 * read it, and every failure is one of ours, without the key that its headers hold.
 */
import { Clock, Effect, Redacted, Result, Schema } from "effect"
import { MainClient } from "binance"
import {
  Faulty,
  Forbidden,
  Throttled,
  Unreachable,
  VenueError,
  type VenueFailure,
} from "../market_data.ts"
import { causeText, refusal, type Traffic } from "../socket.ts"
import { ErrorBody, parseWithIds, ServerTime } from "./messages.ts"
import { VENUE } from "./symbols.ts"

export interface RestOptions {
  /** `https://api.binance.com`, or any other host. */
  readonly url: string
  /** Undefined: only public data. */
  readonly keys: Keys | undefined
  readonly timeoutMs: number
  /** For how long after its timestamp the venue may still execute a request. */
  readonly recvWindowMs: number
  /** The wall clock that the package itself reads: what it adds to it is corrected by us. */
  readonly wallClockMs: () => number
  readonly traffic: Traffic
}

export interface Keys {
  readonly key: Redacted.Redacted<string>
  readonly secret: Redacted.Redacted<string>
}

/** Characters of the venue's own words that are worth keeping. */
export const TEXT_MAX = 500

type Method = "GET" | "POST" | "DELETE"
type Params = Readonly<Record<string, string | number>>

/** The venue's own refusal, with its code. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.Int,
  text: Schema.String,
  status: Schema.Int,
}) {}

export interface Rest {
  /** Fails with `Refused` when the venue says no, with a failure of the way there otherwise. */
  readonly call: <A>(
    method: Method,
    path: string,
    params: Params,
    schema: Schema.Codec<A, unknown>,
    signed: boolean,
  ) => Effect.Effect<A, Refused | VenueFailure>
  /** Measures the venue's clock against ours and signs with it from now on. Returns the offset. */
  readonly syncClock: Effect.Effect<number, Refused | VenueFailure>
  /** Epoch milliseconds of the venue, as far as we know. */
  readonly venueTime: Effect.Effect<number>
}

/** Gives every timestamp our clock (virtual in a replay) plus the measured offset. */
class Client extends MainClient {
  now: () => number = () => 0
  wallClock: () => number = () => 0
  override getTimeOffset(): number {
    return Math.round(this.now() - this.wallClock())
  }
}

export const makeRest = Effect.fn("binance.makeRest")(function* (options: RestOptions) {
  const clock = yield* Clock.Clock
  const { keys, traffic } = options
  const secrets = keys === undefined
    ? []
    : [Redacted.value(keys.secret), Redacted.value(keys.key)].filter((each) => each !== "")
  let offsetMs = 0
  // The venue counts all requests of an address together, and bans who goes on for longer.
  let blocked = { until: 0, status: 429 }
  const venueTime = () => clock.currentTimeMillisUnsafe() + offsetMs
  const client = new Client(
    {
      ...(keys && {
        api_key: Redacted.value(keys.key),
        api_secret: Redacted.value(keys.secret),
      }),
      baseUrl: options.url,
      // With its own parsing on, an error has no HTTP status.
      parseExceptions: false,
      recvWindow: options.recvWindowMs,
      // Its clock request ignores `baseUrl`.
      disableTimeSync: true,
      beautifyResponses: false,
    },
    {
      adapter: "fetch",
      env: { fetch: fetchOnce },
      timeout: options.timeoutMs,
      transformResponse: [(text: string) => text],
    },
  )
  client.now = venueTime
  client.wallClock = options.wallClockMs

  const send = (method: Method, path: string, params: Params, signed: boolean) => {
    if (method === "POST") return client.postPrivate(path, params)
    if (method === "DELETE") return client.deletePrivate(path, params)
    return signed ? client.getPrivate(path, params) : client.get(path, params)
  }

  const call: Rest["call"] = (method, path, params, schema, signed) => {
    const decode = Schema.decodeUnknownResult(schema)
    const request = Effect.tryPromise({
      try: () => send(method, path, params, signed),
      catch: (error) => withoutSecrets(failureOf(error), secrets),
    })
    return Effect.suspend(() => {
      const waitMs = blocked.until - clock.currentTimeMillisUnsafe()
      if (waitMs > 0) {
        const { status } = blocked
        return Effect.fail(new Throttled({ status, retryAfterMs: Math.ceil(waitMs), sent: false }))
      }
      traffic.requestsOpen++
      return request.pipe(
        // The package's own timeout runs on the machine's clock; whoever waits, waits on this one.
        Effect.timeoutOrElse({
          duration: options.timeoutMs,
          orElse: () => Effect.fail(new Unreachable({ detail: "no answer in time" })),
        }),
        Effect.ensuring(Effect.sync(() => void traffic.requestsOpen--)),
      )
    }).pipe(
      Effect.tapError((failure) =>
        Effect.sync(() => {
          if (failure._tag !== "Throttled" || failure.sent === false) return
          const until = clock.currentTimeMillisUnsafe() + failure.retryAfterMs
          if (until > blocked.until) blocked = { until, status: failure.status }
        })
      ),
      Effect.flatMap((answer) => {
        const result = Result.flatMap(parsed(answer), decode)
        if (Result.isSuccess(result)) return Effect.succeed(result.success)
        const detail = `an answer that makes no sense: ${oneLine(result.failure)}`
        return Effect.fail(withoutSecrets(new Faulty({ detail }), secrets))
      }),
    )
  }

  const syncClock = Effect.gen(function* () {
    const asked = clock.currentTimeMillisUnsafe()
    const { serverTime } = yield* call("GET", "api/v3/time", {}, ServerTime, false)
    const answered = clock.currentTimeMillisUnsafe()
    offsetMs = Math.round(serverTime - (asked + answered) / 2)
    return offsetMs
  })

  const rest: Rest = { call, syncClock, venueTime: Effect.sync(venueTime) }
  return rest
})

/**
 * `fetch` sends a request again, unasked, when a connection it had kept fails under it, even after
 * the venue has read it: an order would be placed twice, under one id. On a connection of its own
 * there is no second time; it costs a handshake. The other methods may be repeated.
 */
async function fetchOnce(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init)
  if (request.method !== "POST") return await fetch(request)
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 })
  const answer = await fetch(request, { client })
  // Read while the connection is there.
  const body = await answer.arrayBuffer()
  return new Response(body.byteLength === 0 ? null : body, answer)
}

/** A failure as the port knows it; the venue's refusals become `Faulty` with their code. */
export function venueError(doing: string) {
  return (failure: Refused | VenueFailure): VenueError =>
    new VenueError({
      venue: VENUE,
      doing,
      reason: failure._tag === "Refused" ? refusedFailure(failure) : failure,
    })
}

// -2014, -2015: the key is malformed, unknown, not allowed from here or without the permission.
const keyCodes: ReadonlySet<number> = new Set([-2014, -2015, -1022])

/** What a refusal by the venue's code means for whoever wants to try again. */
export function refusedFailure(refused: { readonly code: number; readonly text: string }) {
  const detail = `${refused.code} ${refused.text}`
  if (keyCodes.has(refused.code)) return refusal(401, undefined, detail)
  return new Faulty({ detail })
}

/**
 * Below us an error may quote the address it asked, signature included, and a proxy may send back
 * what it was sent.
 */
function withoutSecrets<A extends Refused | VenueFailure>(
  failure: A,
  secrets: ReadonlyArray<string>,
) {
  // Cut last: half a secret would not be found. It goes into the journal, which has room for words.
  const clean = (text: string) =>
    secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text)
      .replaceAll(/signature=[^&\s"')]*/giu, "signature=***")
      .slice(0, TEXT_MAX)
  switch (failure._tag) {
    case "Refused":
      return new Refused({ ...failure, text: clean(failure.text) })
    case "Unreachable":
      return new Unreachable({ detail: clean(failure.detail) })
    case "Forbidden":
      return new Forbidden({ detail: clean(failure.detail) })
    case "Faulty":
      return new Faulty({ detail: clean(failure.detail) })
    default:
      return failure
  }
}

function parsed(answer: unknown): Result.Result<unknown, Error> {
  if (typeof answer !== "string") return Result.succeed(answer)
  try {
    return Result.succeed(parseWithIds(answer))
  } catch {
    return Result.fail(new Error(answer === "" ? "empty" : `not JSON: ${answer.slice(0, 60)}`))
  }
}

/** Looks only at status, headers named here, and body: the rest of the error holds the key. */
function failureOf(error: unknown): Refused | VenueFailure {
  const response = isRecord(error) && isRecord(error.response) ? error.response : undefined
  if (response === undefined) return new Unreachable({ detail: transportText(error) })
  const status = Number(response.status)
  const body = Result.flatMap(parsed(response.data), Schema.decodeUnknownResult(ErrorBody))
  const retryAfter = isRecord(response.headers) ? response.headers["retry-after"] : undefined
  const header = typeof retryAfter === "string" ? retryAfter : undefined
  if (status === 429 || status === 418) return refusal(status, header)
  if (Result.isSuccess(body)) {
    return new Refused({ code: body.success.code, text: body.success.msg, status })
  }
  return refusal(status, header)
}

function transportText(error: unknown): string {
  if (isRecord(error) && (error.code === "ECONNABORTED" || error.code === "ETIMEDOUT")) {
    return "no answer in time"
  }
  if (isRecord(error) && isRecord(error.cause)) return causeText(error.cause)
  return causeText(error)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null
}

function oneLine(error: { readonly message: string }): string {
  return error.message.replaceAll(/\s+/g, " ").slice(0, 200)
}
