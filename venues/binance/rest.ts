/**
 * Requests to Binance, through the official-shaped client of the `binance` package.
 *
 * The package signs and sends; it neither retries nor decodes for us, because an order must not be
 * sent twice and a long id must not pass through a float. Every answer is text until a schema has
 * read it, and every failure is one of ours, without the key that its headers hold.
 */
import { Clock, Effect, Redacted, Result, Schema, Semaphore } from "effect"
import { MainClient } from "binance"
import { answerReader, Refused, venueErrors, withoutSecrets } from "../answer.ts"
import { isObject } from "../decoding.ts"
import { fetchOnce } from "../fetch_once.ts"
import { type BanStore, type Governor, makeGovernor, noBanStore } from "../governor.ts"
import { Faulty, Throttled, Unreachable, type VenueFailure } from "../market_data.ts"
import { causeText, refusal, type Traffic } from "../socket.ts"
import { ErrorBody, parseWithIds, ServerTime } from "./messages.ts"
import { applyUsage, bannedUntil, buckets, type Params, spendingOf } from "./request_costs.ts"
import type { Keys } from "./signing.ts"
import { VENUE } from "./symbols.ts"

export type { Keys } from "./signing.ts"

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
  /** Where bans outlive the process; without one they end with it. */
  readonly bans?: BanStore
}

const TIME_PATH = "api/v3/time"
/** The venue's code for a timestamp that it does not take. */
export const WRONG_TIME = -1021
const TOO_MANY_ORDERS = -1015

const orderBuckets = ["orders_10s", "orders_1d"]
const requestBuckets = ["weight_1m", "requests_5m"]
const connectionBuckets = ["connections_5m"]

type Method = "GET" | "POST" | "DELETE"

export interface Rest {
  /** Everything that is asked of the venue, by request or by stream, passes through it. */
  readonly governor: Governor
  /**
   * Fails with `Refused` when the venue says no, with a failure of the way there otherwise. A
   * request that was refused for its timestamp alone is sent once more, with the time measured anew.
   */
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
  /** The venue's clock minus ours, as measured last. */
  readonly clockOffsetMs: () => number
  /** What a refused upgrade or a 429 on a stream means for all that comes after it. */
  readonly heed: (failure: VenueFailure) => Effect.Effect<void>
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
  /** Counts the measurements, so that many who need one share it. */
  let measured = 0
  const measuring = yield* Semaphore.make(1)
  const governor = yield* makeGovernor({
    venue: VENUE,
    buckets,
    bans: options.bans ?? noBanStore,
  })
  const venueTime = () => clock.currentTimeMillisUnsafe() + offsetMs
  const fetchCounted = async (input: string | URL | Request, init?: RequestInit) => {
    const answer = await fetchOnce(input, init)
    applyUsage(governor, answer.headers, venueTime())
    return answer
  }
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
      env: { fetch: fetchCounted },
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

  const heed = (failure: VenueFailure, names: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      if (failure._tag !== "Throttled" || failure.sent === false) return Effect.void
      const { status, retryAfterMs } = failure
      const untilMs = clock.currentTimeMillisUnsafe() + retryAfterMs
      // A ban is of the address, whatever it was for.
      return governor.ban(untilMs, { status, ...(status === 429 && { buckets: names }) })
    })

  const once = (method: Method, path: string, params: Params, signed: boolean) =>
    Effect.suspend(() => {
      traffic.requestsOpen++
      return Effect.tryPromise({
        try: () => send(method, path, params, signed),
        catch: (error) => failureOf(error, venueTime()),
      }).pipe(
        Effect.ensuring(Effect.sync(() => void traffic.requestsOpen--)),
        Effect.tapError(({ failure, isOrders }) =>
          failure._tag === "Refused"
            ? Effect.void
            : heed(failure, isOrders ? orderBuckets : requestBuckets)
        ),
        Effect.mapError(({ failure }) => withoutSecrets(failure, secrets)),
      )
    })

  const read = answerReader(parsed, secrets)
  const call: Rest["call"] = (method, path, params, schema, signed) => {
    const request = governor.run(
      spendingOf(method, path, params),
      once(method, path, params, signed),
    )
    return Effect.suspend(() => {
      const before = measured
      if (!signed) return request
      return Effect.catchTag(request, "Refused", (refused) =>
        refused.code === WRONG_TIME
          // It was refused for certain; without the right time it would be again.
          ? Effect.andThen(Effect.mapError(measureAfter(before), () => refused), request)
          : Effect.fail(refused))
    }).pipe(Effect.flatMap(read(schema)))
  }

  const monotonicMs = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const syncClock = Effect.gen(function* () {
    let sentAt = 0
    // Only now, when it is its turn: to wait for that is no part of the way.
    const sent = Effect.suspend(() => {
      sentAt = monotonicMs()
      return once("GET", TIME_PATH, {}, false)
    })
    const answer = yield* governor.run(spendingOf("GET", TIME_PATH, {}), sent)
    const { serverTime } = yield* read(ServerTime)(answer)
    const roundTripMs = monotonicMs() - sentAt
    offsetMs = Math.round(serverTime + roundTripMs / 2 - clock.currentTimeMillisUnsafe())
    measured++
    return offsetMs
  })
  /** Measures, unless somebody has since `before`: one answer is for all who ask at a time. */
  const measureAfter = (before: number) =>
    measuring.withPermits(1)(
      Effect.suspend(() => measured > before ? Effect.succeed(offsetMs) : syncClock),
    )

  const rest: Rest = {
    governor,
    call,
    syncClock,
    venueTime: Effect.sync(venueTime),
    clockOffsetMs: () => offsetMs,
    heed: (failure) => heed(failure, connectionBuckets),
  }
  return rest
})

// -2014, -2015: the key is malformed, unknown, not allowed from here or without the permission.
const keyCodes: ReadonlySet<number> = new Set([-2014, -2015, -1022])

/** What a refusal by the venue's code means for whoever wants to try again. */
export function refusedFailure(refused: { readonly code: number; readonly text: string }) {
  const detail = `${refused.code} ${refused.text}`
  if (keyCodes.has(refused.code)) return refusal(401, undefined, detail)
  return new Faulty({ detail })
}

export const venueError = venueErrors(VENUE, refusedFailure)

function parsed(answer: unknown): Result.Result<unknown, Error> {
  if (typeof answer !== "string") return Result.succeed(answer)
  try {
    return Result.succeed(parseWithIds(answer))
  } catch {
    return Result.fail(new Error(answer === "" ? "empty" : `not JSON: ${answer}`))
  }
}

interface Failed {
  readonly failure: Refused | VenueFailure
  /** The limit is that of orders, and only they have to wait. */
  readonly isOrders: boolean
}

/** Looks only at status, headers named here, and body: the rest of the error holds the key. */
function failureOf(error: unknown, venueTime: number): Failed {
  const response = isObject(error) && isObject(error.response) ? error.response : undefined
  if (response === undefined) {
    return { failure: new Unreachable({ detail: transportText(error) }), isOrders: false }
  }
  const status = Number(response.status)
  const body = Result.flatMap(parsed(response.data), Schema.decodeUnknownResult(ErrorBody))
  const said = Result.isSuccess(body) ? body.success : undefined
  const headers = isObject(response.headers) ? response.headers : {}
  const header = (name: string) => typeof headers[name] === "string" ? headers[name] : undefined
  const unsaid = refusal(status, header("retry-after"), undefined, header("date"))
  if (unsaid._tag === "Throttled") {
    const until = said === undefined ? undefined : bannedUntil(said.msg)
    const retryAfterMs = header("retry-after") === undefined && until !== undefined
      ? Math.max(0, Math.ceil(until - venueTime))
      : unsaid.retryAfterMs
    const failure = new Throttled({ status, retryAfterMs })
    return { failure, isOrders: said?.code === TOO_MANY_ORDERS }
  }
  if (said === undefined) return { failure: unsaid, isOrders: false }
  const { code, msg, data } = said
  const failure = new Refused({ code, text: msg, status, ...(data !== undefined && { data }) })
  return { failure, isOrders: false }
}

function transportText(error: unknown): string {
  if (isObject(error) && (error.code === "ECONNABORTED" || error.code === "ETIMEDOUT")) {
    return "no answer in time"
  }
  if (isObject(error) && isObject(error.cause)) return causeText(error.cause)
  return causeText(error)
}
