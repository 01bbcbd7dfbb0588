/**
 * One instrument's order book, live.
 *
 * Changes come by stream, the beginning by request, and the numbers of the changes say whether the
 * two fit. Until they do, and from every hole on, there is no book: whoever prices with it is told
 * so at once, and a new beginning is fetched, never more often than its weight allows.
 */
import { Clock, Effect, type Scope } from "effect"
import { forever } from "../../actors/runtime/forever.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import { Faulty, VenueError, type VenueFailure } from "../market_data.ts"
import type { LivenessPolicy, Traffic } from "../socket.ts"
import { openGoverned } from "./connection.ts"
import { decodeMarketFrame, type Depth } from "./decode.ts"
import { LocalBook, type MissingUpdates, type TopOfBook } from "./local_book.ts"
import { DepthSnapshot } from "./messages.ts"
import { type Rest, venueError } from "./rest.ts"
import { symbolMap, symbolOf, VENUE } from "./symbols.ts"

export interface BookStreamOptions {
  /** `wss://stream.binance.com:9443`, or any other host. */
  readonly streamUrl: string
  readonly rest: Rest
  readonly policy: LivenessPolicy
  readonly traffic: Traffic
  /** Levels of each side that the book begins with: 5000 weigh 250, 1000 weigh 50. */
  readonly levels?: number
  /** Between two tries to find a beginning that fits. Default: a second. */
  readonly retryMs?: number
}

export interface BookSink {
  /** After every change, while there is a book with two sides. */
  readonly top: (top: TopOfBook) => void
  /** There is no book from here on; `missing` are the changes that never came. */
  readonly lost: (missing: MissingUpdates) => void
  readonly undecoded: (frame: string, reason: string) => void
}

const LEVELS = 5_000
const RETRY_MS = 1_000

const doing = "book stream"
const failed = (reason: VenueFailure) => new VenueError({ venue: VENUE, doing, reason })

/** One connection of one book, until it ends. Never succeeds. */
export function bookStream(options: BookStreamOptions) {
  return Effect.fn("binance.book")(
    function* (instrument: InstrumentId, sink: BookSink) {
      return yield* connection(options, instrument, sink)
    },
    Effect.scoped,
  )
}

const connection = Effect.fnUntraced(function* (
  options: BookStreamOptions,
  instrument: InstrumentId,
  sink: BookSink,
): Effect.fn.Return<never, VenueError, Scope.Scope> {
  const { policy, rest, retryMs = RETRY_MS, streamUrl, traffic } = options
  const clock = yield* Clock.Clock
  const symbols = symbolMap([instrument])
  const book = new LocalBook()
  const stream = `${symbolOf(instrument).toLowerCase()}@depth@100ms`
  const { pull } = yield* openGoverned(
    rest,
    { venue: VENUE, doing, url: `${streamUrl}/stream?streams=${stream}`, policy, traffic },
    { priority: "data", weight: 0 },
  )

  const show = () => {
    const { top } = book
    if (top !== undefined) sink.top(top)
  }
  const apply = (depth: Depth) => {
    const had = book.isValid
    const missing = book.apply(depth)
    if (had && missing !== undefined) sink.lost(missing)
    show()
  }
  const snapshot = rest.call(
    "GET",
    "api/v3/depth",
    { symbol: symbolOf(instrument), limit: options.levels ?? LEVELS },
    DepthSnapshot,
    false,
  ).pipe(
    Effect.map(({ lastUpdateId, bids, asks }) => {
      book.begin({ _tag: "Snapshot", updateId: String(lastUpdateId), bids, asks })
      show()
    }),
    Effect.mapError(venueError("GET /api/v3/depth")),
  )
  /** Changes have to come first: a beginning that nothing continues is of no use. */
  const beginnings = forever(Effect.gen(function* () {
    yield* Effect.sleep(retryMs)
    if (book.isValid || !book.isWaiting) return
    // One that the venue will not give now comes later; the changes go on waiting.
    yield* Effect.catchIf(
      snapshot,
      ({ reason }) => reason._tag === "Throttled" || reason._tag === "Unreachable",
      () => Effect.void,
    )
  }))

  const taken = (frame: string): VenueFailure | undefined => {
    const decoded = decodeMarketFrame(frame, symbols, clock.currentTimeMillisUnsafe())
    switch (decoded._tag) {
      case "Depth":
        apply(decoded)
        return undefined
      case "Undecoded":
        sink.undecoded(frame, decoded.reason)
        return undefined
      case "Control":
        return decoded.error === undefined ? undefined : new Faulty({ detail: decoded.error })
      default:
        return undefined
    }
  }
  const listening = forever(Effect.flatMap(pull, (frames) => {
    for (const frame of frames) {
      const failure = taken(frame)
      if (failure !== undefined) return Effect.fail(failed(failure))
    }
    return Effect.void
  }))
  return yield* Effect.raceFirst(listening, beginnings)
})
