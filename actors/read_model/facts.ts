/** What has been heard last of everything that can be shown: what the views of a moment are made of. */
import type { Books } from "../../domain/books.ts"
import type { Equity, Mark } from "../../domain/equity.ts"
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
import type { FeedView, Mode, RequestLimitView } from "../../domain/overview.ts"
import type { PrivateLink, RunnerView } from "../names.ts"
import type { ActorSystem } from "../runtime/mod.ts"

export interface ReadModelOptions {
  readonly mode: Mode
  readonly version: string
  readonly startedAt: number
  readonly now: () => number
  /** Read again whenever they are needed: a venue may be let in later. */
  readonly instruments: ReadonlyArray<Instrument>
  /** Of every venue, in the order in which they are shown: what a person calls the account. */
  readonly labels: ReadonlyMap<string, string>
  /** Of one venue's limits on requests. */
  readonly requests?: (venue: string) => ReadonlyArray<RequestLimitView>
  readonly limits: ReadModelLimits
}

export interface ReadModelLimits {
  readonly orders: number
  readonly fills: number
  readonly events: number
  /** Points of a chart's series, one a second. */
  readonly points: number
  readonly commands: number
  readonly progressLines: number
}

export interface Facts {
  readonly options: ReadModelOptions
  readonly books: Books
  /** Undefined until the whole tree has been started. */
  readonly system: ActorSystem | undefined
  /** Of instruments whose tick, lot, minimum or status has changed since the start. */
  readonly rules: ReadonlyMap<InstrumentId, Instrument>
  readonly marks: ReadonlyMap<InstrumentId, Mark>
  readonly equities: ReadonlyMap<string, Equity>
  readonly feeds: ReadonlyMap<string, FeedView>
  readonly links: ReadonlyMap<string, PrivateLink>
  readonly runners: ReadonlyMap<string, RunnerView>
}

/** As the venue lists them now. */
export function instrumentsOf({ options, rules }: Facts): ReadonlyArray<Instrument> {
  return options.instruments.map((each) => rules.get(each.id) ?? each)
}
