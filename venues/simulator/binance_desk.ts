/**
 * The venue's desk: what both doors, REST and WS-API, hand their requests to.
 *
 * A request is admitted, authorised, read, run and counted at once; its answer and
 * the reports it caused leave through the outbox, when they are durable.
 */
import type { Credentials } from "./binance_auth.ts"
import type { Answer, Operation } from "./binance_operations.ts"
import { ApiError, type Params } from "./binance_params.ts"
import type { BinanceVenue } from "./binance_venue.ts"
import type { Change } from "./exchange_books.ts"
import { type LedgerBatch, mergeBatches } from "./ledger.ts"
import type { Outbox } from "./outbox.ts"
import { Usage } from "./rate_limits.ts"

const COMMON_PARAMS = ["timestamp", "recvWindow", "signature", "apiKey"]

export interface Call {
  readonly params: Params
  /** Throws when the caller may not do this. */
  readonly authorise: (operation: Operation) => void
}

export class BinanceDesk {
  readonly venue: BinanceVenue
  readonly credentials: Credentials
  readonly usage = new Usage()
  readonly now: () => number
  /** Runs something after so many milliseconds of the venue's time. */
  readonly later: (ms: number, act: () => void) => void
  readonly #outbox: Outbox<LedgerBatch>
  readonly #tell: (changes: ReadonlyArray<Change>) => void
  /** Requests whose answer has not left yet. */
  requestsOpen = 0
  /** Those among them that wait for a time to come: nobody can hurry them. */
  #waiting = 0

  /** `tell` spreads what happened to our orders. */
  constructor(options: {
    readonly venue: BinanceVenue
    readonly credentials: Credentials
    readonly outbox: Outbox<LedgerBatch>
    readonly now: () => number
    readonly later: (ms: number, act: () => void) => void
    readonly tell: (changes: ReadonlyArray<Change>) => void
  }) {
    this.venue = options.venue
    this.credentials = options.credentials
    this.now = options.now
    this.later = options.later
    this.#outbox = options.outbox
    this.#tell = options.tell
  }

  /** Requests that are being worked on now. */
  get requestsBusy(): number {
    return Math.max(0, this.requestsOpen - this.#waiting)
  }

  /** Goes on with a request after so many milliseconds of the venue's time. */
  hold(ms: number, act: () => void) {
    this.#waiting++
    this.later(ms, () => {
      this.#waiting--
      act()
    })
  }

  /** True when the books could not be written: nothing may be answered any more. */
  get isClosed(): boolean {
    return this.#outbox.failure() !== undefined
  }

  run(operation: Operation | undefined, unknown: string, read: () => Call): Answer | ApiError {
    const now = this.now()
    let weight = 1
    try {
      if (operation === undefined) throw new ApiError(-5000, unknown, 404)
      const { params, authorise } = read()
      weight = operation.weight(params)
      this.usage.admit(weight, operation.isOrder === true, now)
      authorise(operation)
      checkNames(operation, params)
      const answer = operation.run({ venue: this.venue, usage: this.usage, now }, params)
      if (operation.isFreeWhenDone) weight = 0
      if (answer.isOrder) this.usage.addOrder(now)
      return answer
    } catch (error) {
      if (error instanceof ApiError) return error
      throw error
    } finally {
      this.usage.addWeight(weight, now)
    }
  }

  /** Makes `changes` durable, then lets `deliver` answer, then tells what happened. */
  settle(changes: ReadonlyArray<Change>, deliver: () => void) {
    this.#outbox.send(this.#batch(changes), () => {
      deliver()
      this.#tell(changes)
    })
  }

  /** What the market did to our orders: durable first, then told. */
  report(changes: ReadonlyArray<Change>) {
    if (this.#batch(changes) !== undefined) this.settle(changes, () => {})
  }

  #batch(changes: ReadonlyArray<Change>): LedgerBatch | undefined {
    return changes.map((change) => this.venue.batch(change))
      .reduce((all, batch) => all && batch ? mergeBatches(all, batch) : all ?? batch, undefined)
  }
}

function checkNames(operation: Operation, params: Params) {
  const known = [...operation.params, ...COMMON_PARAMS]
  const sent = params.names
  const read = sent.filter((name) => known.includes(name)).length
  if (read < sent.length) {
    throw new ApiError(
      -1104,
      `Not all sent parameters were read; read '${read}' parameter(s) but was sent '${sent.length}'.`,
    )
  }
}
