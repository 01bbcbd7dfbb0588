/**
 * Alpaca's stream of trade updates: what becomes of our orders.
 *
 * It stands once the venue has confirmed that it will tell; before that, nothing that it says is
 * complete.
 */
import { Effect } from "effect"
import type { Broker, PrivateSink } from "../broker.ts"
import { Faulty, Forbidden, type VenueFailure } from "../market_data.ts"
import type { BrokerOptions } from "./broker.ts"
import { converse, login, refusalFailure } from "./connection.ts"
import type { CryptoFee } from "./crypto_fee.ts"
import { type DecodedPrivate, decodePrivateFrame } from "./decode.ts"
import type { KnownOrders } from "./known_orders.ts"
import type { SymbolMap } from "./symbols.ts"

const UPDATES = "trade_updates"

export function streamOf(
  options: BrokerOptions,
  known: KnownOrders,
  symbols: SymbolMap,
  fee: CryptoFee,
): Broker["stream"] {
  return Effect.fn("alpaca.privateStream")(
    function* (sink: PrivateSink) {
      let isListening = false
      const taken = (
        decoded: DecodedPrivate,
        frame: string,
        say: (message: unknown) => void,
      ): VenueFailure | undefined => {
        switch (decoded._tag) {
          case "Authenticated":
            say({ action: "listen", data: { streams: [UPDATES] } })
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
      return yield* converse(options, {
        doing: "private stream",
        url: options.streamUrl,
        greeting: login(options.keys),
        decode: (frame) => decodePrivateFrame(frame, symbols, fee),
        taken,
        isSubscribed: () => isListening,
      })
    },
    Effect.scoped,
  )
}
