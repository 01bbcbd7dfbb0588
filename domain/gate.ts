/**
 * What stands between a strategy and an order that opens something.
 *
 * The gates are facts about the account, the venue and the instrument, each open or closed with a
 * code and its numbers. The risk manager refuses at the first closed one; a person who asks why
 * nothing is traded is told all of them. Both ask here, so that they cannot disagree.
 */
import type { InstrumentId, InstrumentStatus } from "./instrument.ts"

export type DenialCode =
  | "TRADING_HALTED"
  | "TRADING_REDUCING"
  | "ACCOUNT_NOT_RECONCILED"
  | "MARKET_CLOSED"
  | "MARKET_DATA_STALE"
  | "INSTRUMENT_HALTED"
  | "PRICE_OUTSIDE_BAND"
  | "INSTRUMENT_NOT_TRADING"
  | "POSITION_ON_HOLD"
  | "ALREADY_HOLDING"
  | "NOTHING_TO_REDUCE"
  | "ORDER_IN_FLIGHT"
  | "ORDER_RATE_EXCEEDED"
  | "NOTIONAL_EXCEEDS_LIMIT"
  | "POSITION_EXCEEDS_LIMIT"
  | "EXPOSURE_EXCEEDS_LIMIT"
  | "DAILY_LOSS_EXCEEDED"
  | "STRATEGY_NOT_ASSIGNED"
  | "INSUFFICIENT_CASH"
  | "BELOW_MINIMUM"

/** `key=value` pairs: the numbers that decided. */
export type Numbers = Readonly<Record<string, string>>

/** Why a feed issues no proof of freshness for an instrument. */
export interface Withheld {
  readonly code: Extract<
    DenialCode,
    "MARKET_CLOSED" | "MARKET_DATA_STALE" | "INSTRUMENT_HALTED" | "PRICE_OUTSIDE_BAND"
  >
  readonly numbers: Numbers
}

export interface GateFacts {
  readonly tradingState: "active" | "reducing" | "halted"
  readonly tradingStateReason: string | undefined
  readonly venue: string
  readonly account: { readonly ready: boolean; readonly cause: string | undefined } | undefined
  /** Undefined before the feed has said anything; its proofs are asked for all the same. */
  readonly feed: string | undefined
  readonly instrument: InstrumentId
  readonly status: InstrumentStatus
  readonly halt: { readonly status: string; readonly reason: string } | undefined
  readonly onHold: boolean
  readonly withheld: Withheld | undefined
}

export interface ClosedGate {
  readonly code: DenialCode
  readonly numbers: Numbers
}

/** All closed gates, what concerns most first; none when an entry would come as far as the limits. */
export function closedGates(facts: GateFacts): ReadonlyArray<ClosedGate> {
  const { account, feed, halt, instrument, status, tradingState, venue, withheld } = facts
  const gates = new Array<ClosedGate>()
  const close = (code: DenialCode, numbers: Numbers) => void gates.push({ code, numbers })
  const reason = facts.tradingStateReason ?? ""
  if (tradingState === "halted") close("TRADING_HALTED", { reason })
  if (tradingState === "reducing") close("TRADING_REDUCING", { reason })
  if (!account?.ready) {
    close("ACCOUNT_NOT_RECONCILED", { venue, cause: account?.cause ?? "not yet reconciled" })
  }
  if (withheld?.code === "MARKET_CLOSED") close("MARKET_CLOSED", withheld.numbers)
  if (feed !== undefined && feed !== "streaming") close("MARKET_DATA_STALE", { venue, feed })
  if (halt !== undefined) {
    close("INSTRUMENT_HALTED", { instrument, status: halt.status, reason: halt.reason })
  }
  if (status !== "trading") close("INSTRUMENT_NOT_TRADING", { instrument, status })
  if (facts.onHold) close("POSITION_ON_HOLD", { instrument })
  if (withheld !== undefined && gates.every(({ code }) => code !== withheld.code)) {
    close(withheld.code, withheld.numbers)
  }
  return gates
}
