/**
 * What becomes of our orders and our money, from the user data stream of the WS-API.
 *
 * An Ed25519 key logs the session on and subscribes; any other signs the subscription itself. There
 * is one subscription per connection, and a connection is replaced in time (`rotation.ts`): from
 * `StreamUp` on, nothing is missing.
 */
import { Effect, Redacted, type Scope } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import { TEXT_MAX } from "../answer.ts"
import type { Balance, Broker, PrivateEvent } from "../broker.ts"
import { Closed, Silent, VenueError, type VenueFailure } from "../market_data.ts"
import { type LivenessPolicy, refusal, type Traffic } from "../socket.ts"
import { openGoverned } from "./connection.ts"
import { decodePrivateFrame } from "./decode.ts"
import { bannedUntil } from "./request_costs.ts"
import { refusedFailure, type Rest, WRONG_TIME } from "./rest.ts"
import {
  type Handover,
  type Line,
  rotating,
  type RotationPolicy,
  rotationPolicy,
} from "./rotation.ts"
import { keyKind, type Keys, sign } from "./signing.ts"
import { symbolMap, VENUE } from "./symbols.ts"

export interface PrivateStreamOptions {
  /** `wss://ws-api.binance.com:443/ws-api/v3`, or any other host. */
  readonly wsApiUrl: string
  readonly rest: Rest
  readonly keys: Keys
  readonly policy: LivenessPolicy
  readonly traffic: Traffic
  readonly instruments: ReadonlyArray<InstrumentId>
  readonly recvWindowMs: number
  readonly subscribeTimeoutMs: number
  readonly rotation?: RotationPolicy
}

const doing = "private stream"
const LOGON_ID = "logon"
const SUBSCRIBE_ID = "subscribe"
/** Of a connection to the WS-API and of subscribing on it. */
const CONNECT_WEIGHT = 4
/** Events that a new connection may repeat. */
const REMEMBERED_MAX = 1_000

const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })

/** `balances` is asked when the venue says that money has moved, but not how much there is. */
export function privateStream(
  options: PrivateStreamOptions,
  balances: Effect.Effect<ReadonlyArray<Balance>, VenueError>,
): Broker["stream"] {
  return Effect.fn("binance.privateStream")(
    function* (sink) {
      const deliver = (event: PrivateEvent) => void sink.event(event)
      return yield* rotating<PrivateEvent>({
        doing,
        policy: options.rotation ?? rotationPolicy,
        connect: (line) => connection(options, balances, line, sink.undecoded),
        handover: new ByContent(),
        deliver,
        ready: () => sink.event({ _tag: "StreamUp" }),
      })
    },
    Effect.scoped,
  )
}

/** One connection with its subscription, until it ends. */
const connection = Effect.fnUntraced(function* (
  options: PrivateStreamOptions,
  balances: Effect.Effect<ReadonlyArray<Balance>, VenueError>,
  line: Line<PrivateEvent>,
  undecoded: (frame: string, reason: string) => void,
): Effect.fn.Return<never, VenueError, Scope.Scope> {
  const { keys, policy, rest, subscribeTimeoutMs, traffic, wsApiUrl } = options
  const symbols = symbolMap(options.instruments)
  const { pull, send } = yield* openGoverned(
    rest,
    { venue: VENUE, doing, url: wsApiUrl, policy, traffic },
    { priority: "reconcile", weight: CONNECT_WEIGHT },
  )
  const isSession = keyKind(keys) === "ed25519"
  const params = yield* signed(options)
  yield* send(JSON.stringify({
    id: isSession ? LOGON_ID : SUBSCRIBE_ID,
    method: isSession ? "session.logon" : "userDataStream.subscribe.signature",
    params,
  }))
  let [isLoggedOn, isSubscribed, hasMoved] = [false, false, false]

  /** Hands one frame on; what ends the connection, if it does. */
  const taken = (frame: string, now: number): VenueFailure | undefined => {
    const decoded = decodePrivateFrame(frame, symbols)
    switch (decoded._tag) {
      case "Answer":
        if (decoded.status !== 200) return answerFailure(decoded.status, decoded.error, now)
        isLoggedOn ||= decoded.id === LOGON_ID
        if (decoded.id === SUBSCRIBE_ID && !isSubscribed) {
          isSubscribed = true
          line.ready()
        }
        return undefined
      case "Terminated":
        return new Closed({ code: 1012, detail: decoded.reason })
      case "Shutdown":
        line.leaving()
        return undefined
      case "BalanceMoved":
        hasMoved = true
        return undefined
      case "Undecoded":
        undecoded(frame, decoded.reason)
        return undefined
      case "Ignored":
        return undefined
      default:
        return line.event(inShort(decoded))
    }
  }
  const overdue = Effect.suspend(() =>
    Effect.fail(failed(new Silent({ what: "data", afterMs: subscribeTimeoutMs })))
  )
  const readBalances = Effect.map(
    balances,
    (all) => void line.event({ _tag: "Balances", balances: all }),
  )
  return yield* forever(Effect.gen(function* () {
    const frames = yield* isSubscribed
      ? pull
      : Effect.timeoutOrElse(pull, { duration: subscribeTimeoutMs, orElse: () => overdue })
    const now = yield* rest.venueTime
    const wasLoggedOn = isLoggedOn
    for (const frame of frames) {
      const failure = taken(frame, now)
      if (failure === undefined) continue
      yield* rest.heed(failure)
      // The next connection signs with the right time.
      if (isWrongTime(failure)) yield* Effect.ignore(rest.syncClock)
      return yield* failed(failure)
    }
    if (isLoggedOn && !wasLoggedOn) {
      yield* send(JSON.stringify({ id: SUBSCRIBE_ID, method: "userDataStream.subscribe" }))
    }
    if (!hasMoved) return
    hasMoved = false
    // Should this fail, the next reconciliation will see it.
    yield* Effect.ignore(readBalances)
  }))
})

function isWrongTime(failure: VenueFailure): boolean {
  return failure._tag === "Faulty" && failure.detail.startsWith(String(WRONG_TIME))
}

const signed = Effect.fnUntraced(function* (options: PrivateStreamOptions) {
  const { keys, recvWindowMs, rest } = options
  const params = {
    apiKey: Redacted.value(keys.key),
    recvWindow: recvWindowMs,
    timestamp: Math.round(yield* rest.venueTime),
  }
  return { ...params, signature: yield* Effect.mapError(sign(keys, params), failed) }
})

/** The venue's words as far as they are kept. */
function inShort(event: PrivateEvent): PrivateEvent {
  if (!("report" in event)) return event
  const { report } = event
  return { ...event, report: { ...report, reason: report.reason.slice(0, TEXT_MAX) } }
}

function answerFailure(status: number, error: string, venueTime: number): VenueFailure {
  if (status === 429 || status === 418) {
    const until = bannedUntil(error)
    const seconds = until === undefined ? undefined : Math.ceil((until - venueTime) / 1_000)
    return refusal(status, seconds === undefined ? undefined : String(Math.max(0, seconds)))
  }
  const code = /^-\d+/.exec(error)?.[0]
  const text = (code === undefined ? error : error.slice(code.length).trim()).slice(0, TEXT_MAX)
  if (code !== undefined) return refusedFailure({ code: Number(code), text })
  return refusal(status, undefined, text || undefined)
}

/** By what an event says: orders and executions carry numbers, balances may come twice. */
class ByContent implements Handover<PrivateEvent> {
  // A report that never came cannot be missed by its number: it has none.
  readonly showsHoles = false
  readonly #recent = new Set<string>()
  #floor: ReadonlySet<string> = new Set()

  delivered(event: PrivateEvent) {
    const key = keyOf(event)
    if (key === undefined) return
    this.#recent.delete(key)
    this.#recent.add(key)
    if (this.#recent.size <= REMEMBERED_MAX) return
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest)
      return
    }
  }

  joins() {
    return true
  }

  turn() {
    this.#floor = new Set(this.#recent)
  }

  isRepeat(event: PrivateEvent): boolean {
    const key = keyOf(event)
    return key !== undefined && this.#floor.has(key)
  }
}

function keyOf(event: PrivateEvent): string | undefined {
  switch (event._tag) {
    case "Executed":
      return `${event.execution.instrument} ${event.execution.executionId}`
    case "Report": {
      const { venueOrderId, status, filledQuantity, time } = event.report
      return `${venueOrderId} ${status} ${filledQuantity.value} ${time}`
    }
    case "Balances":
    case "Corrected":
    case "StreamUp":
      return undefined
  }
}
