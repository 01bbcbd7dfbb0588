/**
 * Recorded frames of Alpaca, line by line, as normalised events.
 *
 * It tells what the messages say; those that mean nothing are `undecoded`, with the reason. Trades
 * of shares are not numbered, so no gap can be told, and nothing is kept between the lines.
 */
import {
  barEvent,
  executionEvent,
  orderEvent,
  partsOf,
  texts,
  tradeEvent,
  type Transcript as Port,
  type TranscriptEvent,
} from "../transcript.ts"
import { cryptoFee, TAKER_FEE_BPS } from "./crypto_fee.ts"
import { type Decoded, type DecodedPrivate, decodeFrame } from "./decode.ts"
import type { SymbolMap } from "./symbols.ts"

export class Transcript implements Port {
  frames = 0
  private line = 0
  private readonly fee = cryptoFee(TAKER_FEE_BPS)

  constructor(private readonly symbols: SymbolMap) {}

  read(line: string): ReadonlyArray<TranscriptEvent> {
    this.line++
    const { frame } = partsOf(line)
    if (frame === "") return []
    this.frames++
    return decodeFrame(frame, this.symbols, this.fee).flatMap((decoded) => this.told(decoded))
  }

  unreadable(reason: string): TranscriptEvent {
    this.line++
    this.frames++
    return { type: "undecoded", line: this.line, reason }
  }

  private told(decoded: Decoded | DecodedPrivate): ReadonlyArray<TranscriptEvent> {
    switch (decoded._tag) {
      case "Trade":
        return [tradeEvent(decoded)]
      case "Aside":
        return [{ ...tradeEvent(decoded.trade), aside: true }]
      case "Quote": {
        const { instrument, bid, bidSize, ask, askSize, time } = decoded
        return [{ type: "quote", instrument, ...texts({ bid, bidSize, ask, askSize }), time }]
      }
      case "Bar":
        return [barEvent(decoded)]
      case "Status": {
        const { instrument, status, reason, time } = decoded
        return [{ type: "status", instrument, status, reason, time }]
      }
      case "PriceBand": {
        const { instrument, lower, upper, time } = decoded
        return [{ type: "price_band", instrument, ...texts({ lower, upper }), time }]
      }
      case "TradeCorrection": {
        const { instrument, tradeId, corrected, time } = decoded
        const { price, size } = texts({ price: corrected.price, size: corrected.size })
        const by = { correctedId: corrected.tradeId, price, size }
        return [{ type: "trade_correction", instrument, tradeId, ...by, time }]
      }
      case "TradeCancel": {
        const { instrument, tradeId, time } = decoded
        return [{ type: "trade_cancel", instrument, tradeId, time }]
      }
      case "Executed":
        return [executionEvent(decoded.execution), orderEvent(decoded.report)]
      case "Report":
        return [orderEvent(decoded.report)]
      case "Corrected": {
        const { instrument, executionId, reason } = decoded
        return [{ type: "execution_correction", instrument, executionId, reason }]
      }
      case "Undecoded":
        return [{ type: "undecoded", line: this.line, reason: decoded.reason }]
      case "Connected":
      case "Authenticated":
      case "Unauthorized":
      case "Subscribed":
      case "Listening":
      case "Refusal":
      case "Ignored":
        return []
    }
  }
}
