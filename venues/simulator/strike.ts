/**
 * Carries out the faults that strike everybody at once: connections and the venue
 * itself. Those that strike a request or a frame are carried out where it passes.
 */
import type { Credentials } from "./binance_auth.ts"
import type { BinanceDesk } from "./binance_desk.ts"
import { type Atoms, parseAtoms } from "./decimals.ts"
import type { ConnectionFault, Fault, VenueFault } from "./fault.ts"
import { strikesConnections } from "./faults.ts"
import type { Listing } from "./listing.ts"
import type { StreamHub } from "./stream_hub.ts"
import type { VenueServer } from "./venue_server.ts"
import type { Wire } from "./wire.ts"
import { doorOf, strikeWire } from "./wire_faults.ts"
import type { WsApiDoor } from "./ws_api_door.ts"

export interface Struck {
  readonly desk: BinanceDesk
  readonly credentials: Credentials
  readonly wire: Wire
  readonly hub: StreamHub
  readonly wsApi: WsApiDoor
  readonly server: VenueServer
  /** Milliseconds the venue's clock is off. */
  readonly skew: { ms: number }
}

export function strike(fault: ConnectionFault | VenueFault, struck: Struck) {
  if (strikesConnections(fault)) strikeConnections(fault, struck)
  else strikeVenue(fault, struck)
}

function strikeConnections(fault: ConnectionFault, struck: Struck) {
  const { desk, credentials, wire, hub, wsApi, server } = struck
  if (strikeWire(fault, wire, desk.now())) return
  const door = doorOf(fault)
  switch (fault.kind) {
    case "server_shutdown": {
      const event = { e: "serverShutdown", E: desk.now() }
      if (door !== "wsApi") hub.announce(event)
      if (door !== "streams") wsApi.announce(event)
      // Only who was told: whoever has come since is on another server.
      const leaving = wire.sockets(door)
      return desk.later(fault.ms, () => {
        for (const socket of leaving) socket.close(1001, "server shutdown")
      })
    }
    case "outage":
      server.close()
      return desk.later(fault.ms, server.reopen)
    case "burst":
      return desk.venue.burst(fault.match?.symbol ?? firstSymbol(desk), fault.frames)
    case "end_user_data":
      return wsApi.endUserData()
    case "revoke_key":
      credentials.isRevoked = true
  }
}

function strikeVenue(fault: VenueFault, { desk, skew }: Struck) {
  switch (fault.kind) {
    case "clock_skew":
      skew.ms = fault.ms
      return
    case "read_lag":
      desk.venue.replica.lagMs = fault.ms
      return
    case "listing": {
      const listing = desk.venue.listing(fault.symbol)
      if (listing !== undefined) desk.venue.relist(changed(listing, fault))
      return
    }
    case "limits": {
      const { weightPerMinute, ordersPer10s, connectionsPer5m } = fault
      desk.usage.limits = {
        ...desk.usage.limits,
        ...(weightPerMinute !== undefined && { weightPerMinute }),
        ...(ordersPer10s !== undefined && { ordersPer10s }),
        ...(connectionsPer5m !== undefined && { connectionsPer5m }),
      }
    }
  }
}

const OF_SHARES: ReadonlySet<Fault["kind"]> = new Set([
  "slot_busy",
  "auth_failure",
  "subscription_error",
  "halt",
  "resume",
  "luld",
  "trade_correction",
  "trade_cancel",
  "imbalance",
  "session",
  "early_close",
  "reject_later",
  "stuck_cancels",
  "fill_correction",
  "fill_bust",
])

/** What about a fault cannot be carried out at this venue, in one line. */
export function impossible(fault: Fault, listings: ReadonlyArray<Listing>): string | undefined {
  if (OF_SHARES.has(fault.kind)) return "Binance has none of that; say which venue is meant"
  if (fault.kind !== "listing") return undefined
  const listing = listings.find((one) => one.symbol === fault.symbol)
  if (listing === undefined) return `symbol ${fault.symbol} is not listed`
  for (const name of ["tickSize", "stepSize", "notionalMin"] as const) {
    const text = fault[name]
    if (text !== undefined && !((parseAtoms(text) ?? 0n) > 0n)) {
      return `${name} must be a positive decimal, got "${text}"`
    }
  }
  const { tickSize, stepSize } = changed(listing, fault)
  return tickSize * stepSize < 100_000_000n
    ? "tickSize times stepSize must be at least 0.00000001"
    : undefined
}

function changed(listing: Listing, fault: Extract<VenueFault, { kind: "listing" }>): Listing {
  const read = (text: string | undefined, otherwise: Atoms) =>
    text === undefined ? otherwise : parseAtoms(text) ?? otherwise
  return {
    ...listing,
    status: fault.status ?? listing.status,
    tickSize: read(fault.tickSize, listing.tickSize),
    stepSize: read(fault.stepSize, listing.stepSize),
    notionalMin: read(fault.notionalMin, listing.notionalMin),
  }
}

function firstSymbol(desk: BinanceDesk): string {
  return desk.venue.listings[0]?.symbol ?? ""
}
