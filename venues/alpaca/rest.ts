/**
 * Requests to Alpaca, through the API classes of its official SDK.
 *
 * The SDK knows the paths and the names, and sends; it neither retries nor limits nor decodes for
 * us, because an order must not be sent twice, a cancel must not queue behind history, and a price
 * must not pass through a float. Every answer is text until a schema has read it, and every failure
 * is one of ours, without the keys.
 */
import { Clock, Effect, Redacted, Result, Schema } from "effect"
import { ApiError, marketData, trading } from "@alpacahq/alpaca-trade-api"
import { answerReader, Refused, venueErrors, withoutSecrets } from "../answer.ts"
import type { BucketSpec } from "../budget.ts"
import { fetchOnce } from "../fetch_once.ts"
import type { Governor, Priority } from "../governor.ts"
import { Faulty, Forbidden, Throttled, Unreachable, type VenueFailure } from "../market_data.ts"
import { causeText, refusal, type Traffic } from "../socket.ts"
import { ErrorBody, parseExact } from "./messages.ts"
import { VENUE } from "./symbols.ts"

export interface RestOptions {
  /** `https://paper-api.alpaca.markets`, or any other host. */
  readonly tradingUrl: string
  readonly dataUrl: string
  readonly keys: Keys
  readonly timeoutMs: number
  /** Made with `buckets`. */
  readonly governor: Governor
  readonly traffic: Traffic
}

export interface Keys {
  readonly key: Redacted.Redacted<string>
  readonly secret: Redacted.Redacted<string>
}

const TRADING = "alpaca:trading"
const DATA = "alpaca:data"
const WINDOW_MS = 60_000

/** The limits of the free plan; the answers say what they really are. */
export const buckets: ReadonlyArray<BucketSpec> = [
  { name: TRADING, limit: 200, windowMs: WINDOW_MS, reserve: { cancels: 0.1, trading: 0.2 } },
  { name: DATA, limit: 200, windowMs: WINDOW_MS },
]

/** How long a request may wait for its turn. An order that comes late was meant for another price. */
const waitMaxMs: Readonly<Record<Priority, number>> = {
  cancel: 5_000,
  order: 1_000,
  reconcile: 15_000,
  data: 15_000,
}

/** The classes of the SDK that are used, each bound to its host. */
interface TradingApis {
  readonly account: trading.AccountsApi
  readonly activities: trading.AccountActivitiesApi
  readonly assets: trading.AssetsApi
  readonly calendar: trading.CalendarApi
  readonly clock: trading.ClockApi
  readonly orders: trading.OrdersApi
  readonly positions: trading.PositionsApi
}
interface DataApis {
  readonly stocks: marketData.StockApi
  readonly crypto: marketData.CryptoApi
}
type Sent = Promise<{ readonly raw: Response }>

export interface Rest {
  /** Fails with `Refused` when the venue says no, with a failure of the way there otherwise. */
  readonly trading: <A>(
    priority: Priority,
    schema: Schema.Codec<A, unknown>,
    send: (apis: TradingApis, init: RequestInit) => Sent,
  ) => Effect.Effect<A, Refused | VenueFailure>
  readonly data: <A>(
    schema: Schema.Codec<A, unknown>,
    send: (apis: DataApis, init: RequestInit) => Sent,
  ) => Effect.Effect<A, Refused | VenueFailure>
}

export const makeRest = Effect.fn("alpaca.makeRest")(function* (options: RestOptions) {
  const clock = yield* Clock.Clock
  const { governor, keys, timeoutMs, traffic } = options
  const [keyId, secret] = [Redacted.value(keys.key), Redacted.value(keys.secret)]
  const secrets = [secret, keyId].filter((each) => each !== "")
  // The high-level client of the SDK ignores a base path: only its parts can be sent elsewhere.
  const common = { keyId, secret, timeoutMs, fetchApi: fetchOnce }
  const toTrading = new trading.Configuration({ ...common, basePath: options.tradingUrl })
  const toData = new marketData.Configuration({
    ...common,
    basePath: options.dataUrl,
    // The SDK asks for crypto without keys, which the venue allows, at the rate of a stranger.
    headers: { "APCA-API-KEY-ID": keyId, "APCA-API-SECRET-KEY": secret },
  })
  const tradingApis: TradingApis = {
    account: new trading.AccountsApi(toTrading),
    activities: new trading.AccountActivitiesApi(toTrading),
    assets: new trading.AssetsApi(toTrading),
    calendar: new trading.CalendarApi(toTrading),
    clock: new trading.ClockApi(toTrading),
    orders: new trading.OrdersApi(toTrading),
    positions: new trading.PositionsApi(toTrading),
  }
  const dataApis: DataApis = {
    stocks: new marketData.StockApi(toData),
    crypto: new marketData.CryptoApi(toData),
  }

  const heed = (bucket: string, headers: Headers) => {
    const [limit, remaining] = ["limit", "remaining"].map((name) =>
      count(headers.get(`x-ratelimit-${name}`))
    )
    if (limit === undefined || limit === 0) return
    governor.limit(bucket, limit)
    if (remaining === undefined || remaining > limit) return
    const reset = count(headers.get("x-ratelimit-reset"))
    const resetsInMs = reset === undefined
      ? WINDOW_MS
      : reset * 1_000 - clock.currentTimeMillisUnsafe()
    governor.correct(bucket, limit - remaining, Math.min(Math.max(resetsInMs, 0), WINDOW_MS))
  }

  const read = answerReader(parsed, secrets)
  const call = <A>(
    bucket: string,
    priority: Priority,
    schema: Schema.Codec<A, unknown>,
    send: (init: RequestInit) => Sent,
  ): Effect.Effect<A, Refused | VenueFailure> => {
    const request = Effect.tryPromise({
      try: async (signal) => {
        try {
          const { raw } = await send({ signal })
          heed(bucket, raw.headers)
          return await raw.text()
        } catch (error) {
          if (error instanceof ApiError) heed(bucket, error.response.headers)
          throw await failureOf(error)
        }
      },
      catch: (error) => withoutSecrets(isFailure(error) ? error : unreachable(error), secrets),
    })
    const counted = Effect.suspend(() => {
      traffic.requestsOpen++
      return request.pipe(
        // The package's own timeout runs on the machine's clock; whoever waits, waits on this one.
        Effect.timeoutOrElse({
          duration: timeoutMs,
          orElse: () => Effect.fail(new Unreachable({ detail: "no answer in time" })),
        }),
        Effect.ensuring(Effect.sync(() => void traffic.requestsOpen--)),
      )
    })
    return governor.run(
      { priority, cost: { [bucket]: 1 }, maxWaitMs: waitMaxMs[priority] },
      counted,
    ).pipe(
      Effect.tapError((failure) => {
        if (failure._tag !== "Throttled" || failure.sent === false) return Effect.void
        const until = clock.currentTimeMillisUnsafe() + failure.retryAfterMs
        return governor.ban(until, { status: failure.status, buckets: [bucket] })
      }),
      Effect.flatMap(read(schema)),
    )
  }

  const rest: Rest = {
    trading: (priority, schema, send) =>
      call(TRADING, priority, schema, (init) => send(tradingApis, init)),
    data: (schema, send) => call(DATA, "data", schema, (init) => send(dataApis, init)),
  }
  return rest
})

/** What a refusal means for whoever wants to try again. */
function refusedFailure(refused: Refused): VenueFailure {
  const detail = `${refused.status} ${refused.text}`
  if (refused.status === 401) return refusal(401, undefined, detail)
  // The same status says that an order is not possible now; that has a code of its own.
  if (refused.status === 403 && !isOrderRefusal(refused)) return refusal(403, undefined, detail)
  return new Faulty({ detail })
}

export const venueError = venueErrors(VENUE, refusedFailure)

/** 40310000: no money, no shares, a wash trade, a halt, and whatever else an order lacks. */
export function isOrderRefusal({ code }: Refused): boolean {
  return Math.trunc(code / 10_000) === 4_031
}

/** Nothing at all is `undefined`: the answer to a cancel, and to whoever expects more a failure. */
function parsed(answer: string): Result.Result<unknown, Error> {
  if (answer === "") return Result.succeed(undefined)
  try {
    return Result.succeed(parseExact(answer))
  } catch {
    return Result.fail(new Error(`not JSON: ${answer}`))
  }
}

function isFailure(error: unknown): error is Refused | VenueFailure {
  return [Refused, Throttled, Forbidden, Faulty, Unreachable].some((each) => error instanceof each)
}

/** Looks only at status, headers named here, and body. */
async function failureOf(error: unknown): Promise<Refused | VenueFailure> {
  if (!(error instanceof ApiError)) return unreachable(error)
  const { response, status } = error
  const text = await response.text().catch(() => "")
  const body = Result.flatMap(parsed(text), Schema.decodeUnknownResult(ErrorBody))
  if (status === 429 || Result.isFailure(body)) {
    const { headers } = response
    const retryAfter = headers.get("retry-after") ?? secondsToReset(headers)
    return refusal(status, retryAfter, undefined, headers.get("date") ?? undefined)
  }
  return new Refused({ code: body.success.code ?? 0, text: body.success.message, status })
}

/** A cut connection, a time that ran out, a body that ended early: nobody knows what was done. */
function unreachable(error: unknown): Unreachable {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const isTimeout = cause instanceof Error && cause.name === "TimeoutError"
  return new Unreachable({ detail: isTimeout ? "no answer in time" : causeText(cause) })
}

/** Until the venue counts anew, by its own clock: it need not say how long to wait besides. */
function secondsToReset(headers: Headers): string | undefined {
  const reset = count(headers.get("x-ratelimit-reset"))
  const now = Date.parse(headers.get("date") ?? "")
  if (reset === undefined || Number.isNaN(now)) return undefined
  return String(Math.min(Math.max(reset - now / 1_000, 1), WINDOW_MS / 1_000))
}

function count(header: string | null): number | undefined {
  return header !== null && /^\d{1,12}$/.test(header) ? Number(header) : undefined
}
