/**
 * Carries out the faults that strike the simulated Alpaca as a whole: its connections, its
 * exchanges, its account. Those that strike a request, a login or a frame are carried out where
 * it passes.
 */
import { parseAtoms } from "../decimals.ts"
import type { ConnectionFault, Fault, VenueFault } from "../fault.ts"
import { strikesConnections } from "../faults.ts"
import type { Later } from "../later.ts"
import type { VenueServer } from "../venue_server.ts"
import type { Wire } from "../wire.ts"
import { doorOf, strikeWire } from "../wire_faults.ts"
import type { Credentials } from "./credentials.ts"
import type { AlpacaRequests } from "./requests.ts"
import type { Sessions } from "./sessions.ts"
import type { SyntheticAlpacaMarket } from "./synthetic_market.ts"
import type { AlpacaTrading } from "./trading.ts"
import type { TradingDoor } from "./trading_door.ts"

export interface Struck {
  readonly market: SyntheticAlpacaMarket
  readonly sessions: Sessions
  readonly trading: Pick<AlpacaTrading, "control">
  readonly credentials: Credentials
  readonly wire: Wire
  readonly updates: TradingDoor
  readonly requests: AlpacaRequests
  readonly server: VenueServer
  readonly later: Later
  readonly now: () => number
  /** Milliseconds the venue's clock is off. */
  readonly skew: { ms: number }
}

const CANARY = "SPY"

export function strike(fault: ConnectionFault | VenueFault, struck: Struck) {
  if (strikesConnections(fault)) strikeConnections(fault, struck)
  else strikeVenue(fault, struck)
}

function strikeConnections(fault: ConnectionFault, struck: Struck) {
  const { wire, server, later, market, updates, credentials, now } = struck
  if (strikeWire(fault, wire, now())) return
  switch (fault.kind) {
    case "server_shutdown":
      // Nothing announces it here.
      return later(fault.ms, () => wire.close(1001, "server shutdown", doorOf(fault)))
    case "outage":
      server.close()
      return later(fault.ms, server.reopen)
    case "burst":
      return market.burst(fault.match?.symbol ?? CANARY, fault.frames)
    case "end_user_data":
      return updates.endUpdates()
    case "revoke_key":
      credentials.isRevoked = true
  }
}

function strikeVenue(fault: VenueFault, struck: Struck) {
  const { market, sessions, trading: { control }, requests, later, now, skew } = struck
  switch (fault.kind) {
    case "clock_skew":
      skew.ms = fault.ms
      return
    case "limits":
      for (const limit of [requests.limits.trading, requests.limits.data]) {
        limit.perMinute = fault.weightPerMinute ?? limit.perMinute
      }
      return
    case "listing":
      return relist(fault, market)
    case "halt":
      market.halt(fault.symbol, fault)
      if (fault.ms !== undefined) later(fault.ms, () => market.resume(fault.symbol))
      return
    case "resume":
      return market.resume(fault.symbol)
    case "luld":
      return market.band(fault.symbol, atomsOf(fault.up), atomsOf(fault.down))
    case "trade_correction":
      market.correct(fault.symbol, atomsOf(fault.price), atomsOf(fault.size))
      return
    case "trade_cancel":
      market.cancel(fault.symbol)
      return
    case "imbalance":
      return market.imbalance(fault.symbol)
    case "session":
      return sessions.force(fault.phase, now() + fault.ms)
    case "early_close":
      return sessions.closeEarly(now() + fault.ms)
    case "reject_later":
      return control.rejectLater()
    case "stuck_cancels":
      control.stickPendingCancel(true)
      if (fault.ms !== undefined) later(fault.ms, () => control.stickPendingCancel(false))
      return
    case "fill_correction":
      control.correctFill(fault.executionId, fault.price)
      return
    case "fill_bust":
      control.bust(fault.executionId)
      return
    case "read_lag":
      return
  }
}

function relist(fault: Extract<VenueFault, { kind: "listing" }>, market: SyntheticAlpacaMarket) {
  const { symbol, status } = fault
  market.setTradable(symbol, status === "TRADING" || status === "HALT")
  if (status === "HALT") market.halt(symbol, {})
  else if (status === "TRADING" && market.isHalted(symbol)) market.resume(symbol)
}

/** What about a fault cannot be carried out at this venue, in one line. */
export function impossible(fault: Fault, market: SyntheticAlpacaMarket): string | undefined {
  if (fault.kind === "read_lag") return "Alpaca's queries show what is so"
  if ("symbol" in fault && market.instrument(fault.symbol) === undefined) {
    return `symbol ${fault.symbol} is not listed`
  }
  if (fault.kind === "burst") {
    const symbol = fault.match?.symbol
    if (symbol !== undefined && market.instrument(symbol) === undefined) {
      return `symbol ${symbol} is not listed`
    }
  }
  if (fault.kind === "listing" && fault.status === undefined) {
    return "only the status of a listing changes here"
  }
  if (fault.kind === "limits" && fault.weightPerMinute === undefined) {
    return "weightPerMinute is the one limit here: requests per minute"
  }
  for (const name of ["price", "size", "up", "down"] as const) {
    const text = name in fault ? Reflect.get(fault, name) : undefined
    if (text !== undefined && !((parseAtoms(String(text)) ?? 0n) > 0n)) {
      return `${name} must be a positive decimal, got "${text}"`
    }
  }
  return undefined
}

function atomsOf(text: string | undefined): bigint | undefined {
  return text === undefined ? undefined : parseAtoms(text)
}
