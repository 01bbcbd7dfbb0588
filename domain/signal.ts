/** What a strategy wants. It names no size and no order: those belong to risk and execution. */
import type { Decimal } from "./decimal.ts"
import type { InstrumentId } from "./instrument.ts"

export interface Signal {
  readonly instrument: InstrumentId
  /** `enter` goes long when flat, `exit` sells what the strategy holds. */
  readonly intent: "enter" | "exit"
  /** The price that it was decided on. */
  readonly price: Decimal
  /** In words and numbers: `rsi 27.4 below 30`. */
  readonly reason: string
}
