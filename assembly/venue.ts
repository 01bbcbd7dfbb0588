/**
 * One venue as the rest is put together with it, whoever answers on the other side.
 *
 * To open it means to ask it: what it trades, and in a real one whether it takes our keys. What
 * comes back has no connection yet; those belong to the actors.
 */
import { Effect } from "effect"
import type { VenueConfig } from "../config.ts"
import type { Instrument, InstrumentId } from "../domain/instrument.ts"
import type { Broker } from "../venues/broker.ts"
import type { BucketUsage } from "../venues/governor.ts"
import type { MarketData, VenueError } from "../venues/market_data.ts"
import type { Rules } from "../venues/rules.ts"
import type { Traffic } from "../venues/socket.ts"
import { StartFailed } from "./start_failed.ts"

export interface OpenVenue {
  readonly venue: string
  readonly config: VenueConfig
  readonly market: MarketData
  readonly broker: Broker
  readonly instruments: ReadonlyArray<Instrument>
  /** Absent where the rules never change. */
  readonly rules?: Rules
  /** What of the venue's limits is used up. */
  readonly usage: () => ReadonlyArray<BucketUsage>
}

/** A venue that is to be opened. */
export interface VenueDoor {
  readonly venue: string
  /** What a person calls it: `Binance testnet`. */
  readonly label: string
  readonly config: VenueConfig
  /** `StartFailed` where trying again cannot help. */
  readonly open: Effect.Effect<OpenVenue, StartFailed | VenueError>
}

/** Asks who we are, too. A refusal is a mistake in the keys, whose `names` are said. */
export function introduced(
  open: VenueDoor["open"],
  names: string,
): VenueDoor["open"] {
  return open.pipe(
    Effect.tap(({ broker }) => broker.connect),
    Effect.mapError((error) => {
      if (error._tag === "StartFailed") return error
      const { message, reason } = error
      if (reason._tag === "Forbidden") {
        return new StartFailed({ message: `${message}: check ${names}` })
      }
      return reason._tag === "Faulty" && reason.detail.startsWith(UNKNOWN_INSTRUMENT)
        ? new StartFailed({ message: `${message}: check the instruments in keel.json` })
        : error
    }),
  )
}

/** In the words of all adapters. */
const UNKNOWN_INSTRUMENT = "no trading rules for "

/** `Binance testnet` on its own host, `Binance at 127.0.0.1:8081` on any other. */
export function labelOf(name: string, system: string, usual: string, url: string): string {
  return url === usual ? `${name} ${system}` : `${name} at ${new URL(url).host}`
}

export function staleAfterMs(config: VenueConfig, instrument: InstrumentId): number {
  return config.staleAfterMsOf.get(instrument) ?? config.staleAfterMs
}

export function newTraffic(): Traffic {
  return { framesReceived: 0, requestsOpen: 0 }
}
