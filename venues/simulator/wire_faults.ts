/**
 * The faults that strike connections alike, whoever the venue is.
 */
import type { ConnectionFault } from "./fault.ts"
import { type Door, DOORS, type Wire } from "./wire.ts"

type WireFault = Extract<ConnectionFault, {
  kind:
    | "reset_connections"
    | "cut_connections"
    | "close_connections"
    | "freeze_connections"
    | "mute"
    | "no_pings"
}>

/** Carries it out; false when it takes more than connections, and nothing was done. */
export function strikeWire(
  fault: ConnectionFault,
  wire: Wire,
  now: number,
): fault is WireFault {
  const door = doorOf(fault)
  switch (fault.kind) {
    case "reset_connections":
      wire.reset(door)
      return true
    case "cut_connections":
      wire.cut(door)
      return true
    case "close_connections":
      wire.close(fault.code, fault.reason ?? "", door)
      return true
    case "freeze_connections":
      wire.freeze(now, door)
      return true
    case "mute":
      wire.mute(door)
      return true
    case "no_pings":
      wire.isPinging = false
      return true
    default:
      return false
  }
}

/** The door that a fault is for; by default all. */
export function doorOf({ match }: ConnectionFault): Door | undefined {
  return DOORS.find((door) => door === match?.door)
}
