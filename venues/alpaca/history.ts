/**
 * Alpaca's past: bars, and the trades that shorter bars are built from.
 *
 * It reads backwards from the end that was asked for, page by page, because nobody knows beforehand
 * how far back the last hundred bars of a share are that trades five days a week.
 */
import { Effect, Result, Schema } from "effect"
import { marketData } from "@alpacahq/alpaca-trade-api"
import { addTrade, aggregate, barBuilder, closeBar } from "../../domain/bars.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Bar, Trade } from "../../domain/market.ts"
import type { Refused } from "../answer.ts"
import { oneLine } from "../decoding.ts"
import type { MarketData, VenueFailure } from "../market_data.ts"
import { barOf, tradeOf } from "./decode.ts"
import { BarPage, BarRow, TradePage, TradeRow } from "./messages.ts"
import { type Rest, venueError } from "./rest.ts"
import { isPair, symbolOf, VENUE } from "./symbols.ts"

/** Whose past: one exchange's, or all exchanges'. */
export type RestFeed = "iex" | "sip"

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const ROWS_PER_PAGE = 10_000
/** What one question for history may cost. */
const PAGES_MAX = 10
/** Markets are closed most of the week: that much further back than the bars would take. */
const SPAN_FACTOR = 8
const SPAN_MIN_MS = 7 * 86_400_000

interface Span {
  readonly start: Date
  readonly end: Date
  readonly sort: "asc" | "desc"
  readonly limit: number
}

interface Page {
  readonly rows: ReadonlyArray<unknown>
  readonly next: string | undefined
}

export function barsOf(rest: Rest, feed: RestFeed): MarketData["bars"] {
  return (id, intervalMs, until, limit) => {
    const ending = until - until % intervalMs
    const spanMs = Math.max(limit * intervalMs * SPAN_FACTOR, SPAN_MIN_MS)
    const span: Omit<Span, "limit"> = {
      start: new Date(Math.max(0, ending - spanMs)),
      // Inclusive at the venue.
      end: new Date(ending - 1),
      sort: "desc",
    }
    const unit = [HOUR_MS, MINUTE_MS].find((each) => intervalMs % each === 0)
    if (unit === undefined) {
      return tradeBars(rest, feed, id, intervalMs, span, limit).pipe(
        Effect.mapError(venueError("GET trades")),
      )
    }
    const factor = intervalMs / unit
    const asked = Math.min(ROWS_PER_PAGE, (limit + 1) * factor)
    return backwards(
      (token) => barPage(rest, feed, id, unit, { ...span, limit: asked }, token),
      BarRow,
      (row) => Math.floor(row.t / intervalMs),
      limit,
    ).pipe(
      Effect.map(({ rows, isCut }) => {
        const bars = rows.filter(({ n }) => n !== 0).map((row) => barOf(row, id, unit))
        return lastOf(aggregate(bars, intervalMs), limit, isCut)
      }),
      Effect.mapError(venueError("GET bars")),
    )
  }
}

/** The venue's shortest bar is a minute; shorter ones are built as they are live, from trades. */
function tradeBars(
  rest: Rest,
  feed: RestFeed,
  id: InstrumentId,
  intervalMs: number,
  span: Omit<Span, "limit">,
  limit: number,
) {
  return Effect.map(
    backwards(
      (token) => tradePage(rest, feed, id, { ...span, limit: ROWS_PER_PAGE }, token),
      TradeRow,
      (row) => Math.floor(row.t / intervalMs),
      limit,
    ),
    ({ rows }) => {
      const bars: Array<Bar> = []
      let builder = barBuilder(id, intervalMs)
      for (const trade of priced(rows, id)) {
        const [rest, bar] = addTrade(builder, trade)
        builder = rest
        if (bar !== undefined) bars.push(bar)
      }
      const [, last] = closeBar(builder, span.end.getTime() + 1)
      return lastOf(last === undefined ? bars : [...bars, last], limit, false)
    },
  )
}

/** The first bar of a history that was cut may be half a bar. */
function lastOf(bars: ReadonlyArray<Bar>, limit: number, isCut: boolean): ReadonlyArray<Bar> {
  return (isCut ? bars.slice(1) : bars).slice(-limit)
}

function priced(
  rows: ReadonlyArray<typeof TradeRow.Type>,
  id: InstrumentId,
): ReadonlyArray<Trade> {
  return rows.map((row) => tradeOf(row, id)).filter((each) => each._tag === "Trade")
}

/** Newest page first, until `limit` whole buckets are there; the rows come oldest first. */
const backwards = Effect.fnUntraced(function* <A extends { readonly t: number }>(
  page: (token: string | undefined) => Effect.Effect<Page, Refused | VenueFailure>,
  row: Schema.Codec<A, unknown>,
  bucketOf: (row: A) => number,
  limit: number,
) {
  const rows: Array<A> = []
  const buckets = new Set<number>()
  let token: string | undefined
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const { rows: raw, next } = yield* page(token)
    for (const each of yield* decodedRows(row, raw)) {
      rows.push(each)
      buckets.add(bucketOf(each))
    }
    token = next
    if (token === undefined || buckets.size > limit) break
  }
  return { rows: rows.reverse(), isCut: token !== undefined }
})

/** As on the stream, a row that means nothing costs itself alone, and is told. */
const decodedRows = Effect.fnUntraced(function* <A>(
  row: Schema.Codec<A, unknown>,
  raw: ReadonlyArray<unknown>,
) {
  const decode = Schema.decodeUnknownResult(row)
  const results = raw.map((each) => decode(each))
  const bad = results.find(Result.isFailure)
  if (bad !== undefined) {
    const count = results.filter(Result.isFailure).length
    const reason = oneLine(bad.failure.message)
    yield* Effect.logWarning(`${VENUE}: ${count} of ${raw.length} rows undecoded: ${reason}`)
  }
  return results.flatMap((each) => Result.isSuccess(each) ? [each.success] : [])
})

function barPage(
  rest: Rest,
  feed: RestFeed,
  id: InstrumentId,
  unit: number,
  span: Span,
  token: string | undefined,
): Effect.Effect<Page, Refused | VenueFailure> {
  const symbols = symbolOf(id)
  const timeframe = unit === HOUR_MS ? "1Hour" : "1Min"
  const request = { symbols, timeframe, ...sdkSpan(span, token) }
  const answer = rest.data(
    BarPage,
    ({ stocks, crypto }, init) =>
      isPair(id)
        ? crypto.cryptoBarsRaw({ loc: "us", ...request }, init)
        // Prices before a split, in today's shares: live prices continue them.
        : stocks.stockBarsRaw({ ...request, feed, adjustment: "split" }, init),
  )
  return Effect.map(answer, ({ bars, next_page_token }) => ({
    rows: bars?.[symbols] ?? [],
    next: next_page_token || undefined,
  }))
}

function tradePage(
  rest: Rest,
  feed: RestFeed,
  id: InstrumentId,
  span: Omit<Span, "end"> & { readonly end?: Date },
  token: string | undefined,
): Effect.Effect<Page, Refused | VenueFailure> {
  const symbols = symbolOf(id)
  const request = { symbols, ...sdkSpan(span, token) }
  const answer = rest.data(
    TradePage,
    ({ stocks, crypto }, init) =>
      isPair(id)
        ? crypto.cryptoTradesRaw({ loc: "us", ...request }, init)
        : stocks.stockTradesRaw({ ...request, feed }, init),
  )
  return Effect.map(answer, ({ trades, next_page_token }) => ({
    rows: trades?.[symbols] ?? [],
    next: next_page_token || undefined,
  }))
}

function sdkSpan(
  { sort, ...span }: Omit<Span, "end"> & { readonly end?: Date },
  token: string | undefined,
) {
  const order = sort === "asc" ? marketData.Sort.Asc : marketData.Sort.Desc
  return { ...span, sort: order, ...token !== undefined && { pageToken: token } }
}

const TRADES_MAX = 1_000

export function tradesOf(rest: Rest, feed: RestFeed): MarketData["tradesAfter"] {
  return (id, { time }) =>
    tradePage(
      rest,
      feed,
      id,
      { start: new Date(Math.floor(time)), sort: "asc", limit: TRADES_MAX },
      undefined,
    ).pipe(
      Effect.flatMap(({ rows }) => decodedRows(TradeRow, rows)),
      Effect.map((rows) => priced(rows, id)),
      Effect.mapError(venueError("GET trades")),
    )
}
