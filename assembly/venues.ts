/**
 * Which venues run, and which of them answer.
 *
 * One that does not answer keeps no other from trading: it is let in later. One that refuses our
 * keys, or does not know what we want to trade, is a mistake that somebody should see at once, so
 * nothing starts.
 */
import { Effect } from "effect"
import type { StartOptions } from "../cli.ts"
import type { Config } from "../config.ts"
import type { Instrument } from "../domain/instrument.ts"
import type { VenueKeys } from "../keys.ts"
import type { Broker } from "../venues/broker.ts"
import { openAlpacaLedger } from "../storage/alpaca_ledger_kv.ts"
import { banFile } from "../storage/ban_file.ts"
import { openVenueLedger } from "../storage/venue_ledger_kv.ts"
import { makeMemoryLedger } from "../venues/simulator/ledger.ts"
import { alpacaDoor, type SimulatedAlpacaDoor, simulatedAlpacaDoor } from "./alpaca.ts"
import { binanceDoor, type SimulatedBinanceDoor, simulatedBinanceDoor } from "./binance.ts"
import { fundsFor, type Replay } from "./replay.ts"
import { StartFailed, startFailed } from "./start_failed.ts"
import type { OpenVenue, VenueDoor } from "./venue.ts"

/** Grows when a venue is let in. */
export class Venues {
  readonly open: Array<OpenVenue> = []

  constructor(readonly doors: ReadonlyArray<VenueDoor>) {}

  get instruments(): ReadonlyArray<Instrument> {
    return this.open.flatMap(({ instruments }) => instruments)
  }

  get brokers(): ReadonlyArray<Broker> {
    return this.open.map(({ broker }) => broker)
  }

  /** Not open yet. */
  get waiting(): ReadonlyArray<VenueDoor> {
    return this.doors.filter(({ venue }) => this.named(venue) === undefined)
  }

  named(venue: string): OpenVenue | undefined {
    return this.open.find((each) => each.venue === venue)
  }
}

/** The venues' test systems, where there are keys. */
export function paperDoors(
  { venues: { alpaca, binance } }: Config,
  keys: VenueKeys,
  folder: string,
): ReadonlyArray<VenueDoor> {
  const bans = (venue: string) => banFile(`${folder}/bans.${venue}.json`)
  return [
    ...(binance && keys.binance ? [binanceDoor(binance, keys.binance, bans("binance"))] : []),
    ...(alpaca && keys.alpaca ? [alpacaDoor(alpaca, keys.alpaca, bans("alpaca"))] : []),
  ]
}

/** The simulated venues of this process. */
export interface Simulated {
  readonly binance?: SimulatedBinanceDoor
  readonly alpaca?: SimulatedAlpacaDoor
}

/** Their books outlive this process as those of real ones would; a replay's are its own. */
export const simulate = Effect.fn("assembly.simulate")(function* (
  { seed }: StartOptions,
  { venues }: Config,
  replay: Replay | undefined,
  folder: string,
) {
  const simulated: { binance?: SimulatedBinanceDoor; alpaca?: SimulatedAlpacaDoor } = {}
  if (venues.binance !== undefined) {
    const ledger = replay === undefined
      ? yield* Effect.mapError(openVenueLedger(`${folder}/venue.db`), startFailed)
      : makeMemoryLedger()
    simulated.binance = yield* simulatedBinanceDoor(venues.binance, {
      ledger,
      market: replay === undefined
        ? { kind: "synthetic", seed }
        : { kind: "recording", recording: replay.recording, clock: replay.clock },
      ...(replay && { balances: fundsFor(replay) }),
    })
  }
  if (venues.alpaca !== undefined) {
    const path = `${folder}/alpaca.db`
    const ledger = yield* Effect.mapError(openAlpacaLedger(path), startFailed)
    const market = { kind: "synthetic", seed } as const
    simulated.alpaca = yield* simulatedAlpacaDoor(venues.alpaca, { ledger, market })
  }
  return simulated
})

/** Asks all of them at once; fails when none answers, or one that must. */
export const openVenues = Effect.fn("assembly.openVenues")(function* (
  doors: ReadonlyArray<VenueDoor>,
) {
  const venues = new Venues(doors)
  const answers = yield* Effect.forEach(
    doors,
    ({ open }) =>
      Effect.matchEffect(open, {
        onSuccess: (venue) => Effect.succeed(venue),
        onFailure: (error) =>
          error._tag === "StartFailed" ? Effect.fail(error) : Effect.succeed(error),
      }),
    { concurrency: "unbounded" },
  )
  for (const [index, answer] of answers.entries()) {
    if (!("_tag" in answer)) venues.open.push(answer)
    else if (doors[index]?.config.isRequired) return yield* startFailed(answer)
  }
  for (const answer of answers) {
    if (!("_tag" in answer)) continue
    if (venues.open.length === 0) return yield* startFailed(answer)
    yield* Effect.logWarning(`${answer.message}: starting without it, and trying again`)
  }
  if (venues.open.length === 0) return yield* new StartFailed({ message: "no venue to trade on" })
  return venues
})
