/**
 * One connection to Alpaca, from its handshake to its end: what is the same for every stream.
 *
 * The account has one place per stream, so a connection is only given up with its closing
 * handshake; the next one would find the place taken. Until its subscription stands, every answer
 * has to come in time.
 */
import { Effect, Redacted, type Scope } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import {
  Faulty,
  Forbidden,
  Overrun,
  Silent,
  SlotBusy,
  VenueError,
  type VenueFailure,
} from "../market_data.ts"
import { type LivenessPolicy, openConnection, type Traffic } from "../socket.ts"
import type { Keys } from "./rest.ts"
import { VENUE } from "./symbols.ts"

export interface ConnectionOptions {
  readonly policy: LivenessPolicy
  readonly traffic: Traffic
  /** For every answer until the subscription stands. */
  readonly subscribeTimeoutMs: number
}

export const converse = Effect.fnUntraced(function* <D>(
  { policy, subscribeTimeoutMs, traffic }: ConnectionOptions,
  { decode, doing, greeting, isSubscribed, taken, url }: {
    /** Names the stream in errors. */
    readonly doing: string
    readonly url: string
    /** Said first. */
    readonly greeting?: unknown
    readonly decode: (frame: string) => ReadonlyArray<D>
    /** Hands one message on, and says what it calls for; what ends the connection, if it does. */
    readonly taken: (
      decoded: D,
      frame: string,
      say: (message: unknown) => void,
    ) => VenueFailure | undefined
    readonly isSubscribed: () => boolean
  },
): Effect.fn.Return<never, VenueError, Scope.Scope> {
  const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })
  const { pull, send } = yield* openConnection({
    ...{ venue: VENUE, doing, url, policy, traffic },
    awaitsClose: true,
  })
  const overdue = failed(new Silent({ what: "data", afterMs: subscribeTimeoutMs }))
  const pullInTime = Effect.timeoutOrElse(pull, {
    duration: subscribeTimeoutMs,
    orElse: () => Effect.fail(overdue),
  })
  const outbox: Array<unknown> = greeting === undefined ? [] : [greeting]
  const say = (message: unknown) => void outbox.push(message)
  const saying = Effect.suspend(() =>
    Effect.forEach(outbox.splice(0), (message) => send(JSON.stringify(message)), { discard: true })
  )
  yield* saying
  return yield* forever(
    Effect.suspend(() =>
      Effect.flatMap(isSubscribed() ? pull : pullInTime, (frames) => {
        for (const frame of frames) {
          for (const decoded of decode(frame)) {
            const failure = taken(decoded, frame, say)
            if (failure !== undefined) return Effect.fail(failed(failure))
          }
        }
        return saying
      })
    ),
  )
})

export function login({ key, secret }: Keys) {
  return { action: "auth", key: Redacted.value(key), secret: Redacted.value(secret) }
}

/** What the error of a stream means for whoever wants to try again. */
export function refusalFailure({ code, reason }: { code: number; reason: string }): VenueFailure {
  switch (code) {
    case 401:
    case 402:
    case 403:
    case 408:
    case 409:
      return new Forbidden({ detail: reason })
    case 406:
      return new SlotBusy({ detail: reason })
    // Told that we are too slow.
    case 407:
      return new Overrun({ waiting: 0 })
    default:
      return new Faulty({ detail: reason })
  }
}
