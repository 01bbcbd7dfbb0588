/**
 * Alpaca's stream of trade updates: what becomes of our orders.
 *
 * It stands once the venue has confirmed that it will tell; before that, nothing that it says is
 * complete.
 */
import { Effect, Redacted } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import type { Broker } from "../broker.ts"
import { Faulty, Forbidden, Silent, VenueError, type VenueFailure } from "../market_data.ts"
import { openConnection } from "../socket.ts"
import type { BrokerOptions } from "./broker.ts"
import type { CryptoFee } from "./crypto_fee.ts"
import { type DecodedPrivate, decodePrivateFrame } from "./decode.ts"
import type { KnownOrders } from "./known_orders.ts"
import { refusalFailure } from "./market_stream.ts"
import { type SymbolMap, VENUE } from "./symbols.ts"

const doing = "private stream"
const UPDATES = "trade_updates"

export function streamOf(
  options: BrokerOptions,
  known: KnownOrders,
  symbols: SymbolMap,
  fee: CryptoFee,
): Broker["stream"] {
  const { keys, policy, traffic, streamUrl, subscribeTimeoutMs } = options
  const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })
  return Effect.fn("alpaca.privateStream")(
    function* (sink) {
      const connection = yield* openConnection({
        venue: VENUE,
        doing,
        url: streamUrl,
        policy,
        traffic,
        awaitsClose: true,
      })
      yield* connection.send(JSON.stringify({
        action: "auth",
        key: Redacted.value(keys.key),
        secret: Redacted.value(keys.secret),
      }))
      let isListening = false
      const overdue = failed(new Silent({ what: "data", afterMs: subscribeTimeoutMs }))
      const frames = Effect.suspend(() =>
        isListening ? connection.pull : Effect.timeoutOrElse(connection.pull, {
          duration: subscribeTimeoutMs,
          orElse: () => Effect.fail(overdue),
        })
      )
      const outbox: Array<unknown> = []
      /** Hands one message on; what ends the connection, if it does. */
      const taken = (decoded: DecodedPrivate, frame: string): VenueFailure | undefined => {
        switch (decoded._tag) {
          case "Authenticated":
            outbox.push({ action: "listen", data: { streams: [UPDATES] } })
            return undefined
          case "Listening":
            if (!decoded.streams.includes(UPDATES)) {
              return new Faulty({ detail: `the venue does not stream ${UPDATES}` })
            }
            if (!isListening) sink.event({ _tag: "StreamUp" })
            isListening = true
            return undefined
          case "Unauthorized":
            return new Forbidden({ detail: decoded.reason })
          case "Refusal":
            return refusalFailure(decoded)
          case "Undecoded":
            sink.undecoded(frame, decoded.reason)
            return undefined
          case "Connected":
          case "Subscribed":
            return undefined
          case "Report":
          case "Executed": {
            const { clientOrderId, venueOrderId } = decoded.report
            known.remember({ id: venueOrderId, client_order_id: clientOrderId })
            sink.event(decoded)
            return undefined
          }
          case "Corrected":
            sink.event(decoded)
            return undefined
        }
      }
      return yield* forever(Effect.flatMap(frames, (batch) => {
        for (const frame of batch) {
          for (const decoded of decodePrivateFrame(frame, symbols, fee)) {
            const failure = taken(decoded, frame)
            if (failure !== undefined) return Effect.fail(failed(failure))
          }
        }
        const messages = outbox.splice(0).map((message) => JSON.stringify(message))
        return Effect.forEach(messages, connection.send, { discard: true })
      }))
    },
    Effect.scoped,
  )
}
