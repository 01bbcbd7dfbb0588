/** What an operator would have decided: limits wide enough that faults decide, and not they. */
import type { Config } from "../../config.ts"
import { decimal } from "../../domain/decimal.ts"
import type { Assignment } from "../../domain/strategy.ts"

export function chaosConfig(strategies: ReadonlyArray<Assignment>): Config {
  return {
    mode: "sim",
    venues: {},
    strategies,
    risk: {
      orderNotionalMax: decimal("5000"),
      positionNotionalMax: decimal("10000"),
      exposureMax: decimal("20000"),
      ordersPerMinuteMax: 600,
      dailyLossMax: decimal("50000"),
    },
    server: { hostnames: [] },
  }
}
