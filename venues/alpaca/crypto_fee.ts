/**
 * What Alpaca keeps of a crypto fill.
 *
 * The venue takes its fee from what the trade brings in (the coin of a buy, the dollars of a sale)
 * and tells it neither with the fill nor on the day: the activity `CFEE` comes at the day's end and
 * names no order. So the fee is computed by the published schedule, from what is the same wherever
 * a fill is read. Where the schedule is wrong for an account, say because its volume has earned a
 * better rate or an order rested, the balances will show it, and reconciliation says by how much.
 * Shares are free.
 */
import { ceilTo, type Decimal, decimal, multiply, zero } from "../../domain/decimal.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import { baseOf, isPair, symbolOf } from "./symbols.ts"

export type CryptoFee = (fill: {
  readonly instrument: InstrumentId
  readonly side: "buy" | "sell"
  readonly quantity: Decimal
  readonly price: Decimal
}) => { readonly fee: Decimal; readonly feeAsset: string }

/** A taker's, up to 100,000 dollars a month: what every account begins with. */
export const TAKER_FEE_BPS = 25
/** Rounded up to this: nothing is rounded in the account's favour. */
const FEE_STEP = decimal("0.00000001")
const basisPoint = decimal("0.0001")

export function cryptoFee(feeBps: number): CryptoFee {
  const rate = multiply(decimal(String(feeBps)), basisPoint)
  return ({ instrument, side, quantity, price }) => {
    const [base, quote = "USD"] = [baseOf(instrument), symbolOf(instrument).split("/")[1]]
    if (!isPair(instrument)) return { fee: zero, feeAsset: quote }
    const received = side === "buy" ? quantity : multiply(quantity, price)
    return {
      fee: ceilTo(multiply(received, rate), FEE_STEP),
      feeAsset: side === "buy" ? base : quote,
    }
  }
}
