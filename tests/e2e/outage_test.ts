/**
 * Outages over real connections: noticed in time, bounded while they last, healed by themselves.
 *
 * Every test spoils one thing at a venue that is a process of its own, and reads from outside what
 * Keel makes of it: the journal for order and time, the state for what a person is shown meanwhile,
 * the venue's tape and books for what was missed and what was done.
 */
import { alpacaCases } from "./outage_alpaca.ts"
import { binanceCases } from "./outage_binance.ts"
import { testOutages } from "./outage_case.ts"
import { venueCases } from "./outage_venues.ts"

// The last ones wait longest, and begin first.
const { alpaca, binance } = venueCases
testOutages("outages over real connections", [
  ...[...binanceCases, ...binance.slice(0, -1), ...alpaca.slice(0, -1)],
  ...[...binance.slice(-1), ...alpaca.slice(-1), ...alpacaCases],
])
