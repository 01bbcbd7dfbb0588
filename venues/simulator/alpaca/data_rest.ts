/**
 * Market data by REST: what was, what is now, page by page.
 *
 * A multi-symbol answer is sorted by symbol first and time second, and a page may end between two
 * symbols. What a page token says is where the next page begins; nobody else may read it.
 */
import { Buffer } from "node:buffer"
import { decodedPart } from "../url_part.ts"
import { type Bar, parseTimeframe } from "./data_bars.ts"
import { barBody, orderbookBody, quoteBody, tradeBody } from "./data_messages.ts"
import type { Feed, Tape } from "./data_tape.ts"
import { type Nanos, nanosOf, parseTime } from "./data_time.ts"
import type { SyntheticAlpacaMarket } from "./synthetic_market.ts"

export interface DataAnswer {
  readonly status: number
  readonly body: object
}

type Kind = "bars" | "trades" | "quotes"

const LIMIT_MAX = 10_000
const LIMIT_DEFAULT = 1_000
const SHARES = "/v2/stocks/"
const CRYPTO = "/v1beta3/crypto/us/"
const EXCHANGES = {
  A: "NYSE American (AMEX)",
  D: "FINRA ADF",
  K: "Cboe EDGX",
  N: "New York Stock Exchange",
  P: "NYSE Arca",
  Q: "NASDAQ OMX",
  V: "IEX",
  Z: "Cboe BZ",
}
const CONDITIONS = {
  trade: {
    " ": "Regular Sale",
    "@": "Regular Sale",
    I: "Odd Lot Trade",
    T: "Form T",
  },
  quote: { R: "Regular Market Maker Open Quote" },
}

/** `undefined` when no such path is known. */
export function answerData(
  market: SyntheticAlpacaMarket,
  path: string,
  query: URLSearchParams,
): DataAnswer | undefined {
  try {
    if (path.startsWith(SHARES)) return answerShares(market, path.slice(SHARES.length), query)
    if (path.startsWith(CRYPTO)) return answerCrypto(market, path.slice(CRYPTO.length), query)
    return undefined
  } catch (error) {
    if (error instanceof BadRequest) return { status: 400, body: { message: error.message } }
    throw error
  }
}

class BadRequest extends Error {}

interface Source {
  readonly symbol: string
  readonly tape: Tape
  /** As the venue marks it; empty for crypto. */
  readonly letter: string
}

function answerShares(
  market: SyntheticAlpacaMarket,
  path: string,
  query: URLSearchParams,
): DataAnswer | undefined {
  const feed = feedOf(query)
  const meta = answerMeta(path)
  if (meta !== undefined) return meta
  const kind = kindOf(path)
  if (kind !== undefined) {
    return ok(paged(kind, symbolsOf(market, query, false), query, feed, market))
  }
  if (path === "snapshots") {
    return ok(Object.fromEntries(
      symbolsOf(market, query, false).map((source) => [source.symbol, snapshot(source, feed)]),
    ))
  }
  const latest = /^(bars|trades|quotes)\/latest$/.exec(path)?.[1]
  if (latest !== undefined) return ok(latestOf(latest, symbolsOf(market, query, false), feed))
  const [text = "", what = "", when] = path.split("/")
  const source = sourceOf(market, decodedPart(text).toUpperCase(), false)
  if (source === undefined) return undefined
  if (what === "snapshot") return ok({ symbol: source.symbol, ...snapshot(source, feed) })
  const one = kindOf(what)
  if (one === undefined) return undefined
  if (when === "latest") {
    return ok({ symbol: source.symbol, [one.slice(0, -1)]: latestBody(one, source, feed) })
  }
  if (when !== undefined) return undefined
  const { [one]: groups, next_page_token } = paged(one, [source], query, feed, market)
  const list = Object.values(groups ?? {})[0] ?? []
  return ok({ [one]: list, symbol: source.symbol, next_page_token })
}

function answerCrypto(
  market: SyntheticAlpacaMarket,
  path: string,
  query: URLSearchParams,
): DataAnswer | undefined {
  const kind = kindOf(path)
  const sources = () => symbolsOf(market, query, true)
  if (kind !== undefined) return ok(paged(kind, sources(), query, "sip", market))
  if (path === "snapshots") {
    const snapshots = sources().map((one) => [one.symbol, snapshot(one, "sip")])
    return ok({ snapshots: Object.fromEntries(snapshots) })
  }
  if (path === "latest/orderbooks") {
    const orderbooks = sources().map(({ symbol }) => [symbol, orderbook(market, symbol)])
    return ok({ orderbooks: Object.fromEntries(orderbooks) })
  }
  const latest = /^latest\/(bars|trades|quotes)$/.exec(path)?.[1]
  return latest === undefined ? undefined : ok(latestOf(latest, sources(), "sip"))
}

function answerMeta(path: string): DataAnswer | undefined {
  if (path === "meta/exchanges") return ok(EXCHANGES)
  if (path === "meta/conditions/trade") return ok(CONDITIONS.trade)
  if (path === "meta/conditions/quote") return ok(CONDITIONS.quote)
  return undefined
}

// One moment

function latestOf(text: string, sources: ReadonlyArray<Source>, feed: Feed) {
  const kind = kindOf(text) ?? "trades"
  const found = sources.map((source) => [source.symbol, latestBody(kind, source, feed)] as const)
  return { [kind]: Object.fromEntries(found.filter(([, body]) => body !== undefined)) }
}

function latestBody(kind: Kind, { tape, letter }: Source, feed: Feed): object | undefined {
  switch (kind) {
    case "trades": {
      const trade = tape.lastTrade(feed)
      return trade && tradeBody(trade, letter)
    }
    case "quotes":
      return tape.lastQuote && quoteBody(tape.lastQuote, letter, feed)
    case "bars": {
      const bar = tape.bars[feed].lastMinute
      return bar && barBody(bar)
    }
  }
}

function snapshot(source: Source, feed: Feed) {
  const bars = source.tape.bars[feed]
  const days = bars.all({ count: 1, unit: "Day" })
  const [day, before] = [days.at(-1), days.at(-2)]
  const fields = {
    latestTrade: latestBody("trades", source, feed),
    latestQuote: latestBody("quotes", source, feed),
    minuteBar: bars.lastMinute && barBody(bars.lastMinute),
    dailyBar: day && barBody(day),
    prevDailyBar: before && barBody(before),
  }
  return Object.fromEntries(Object.entries(fields).filter(([, body]) => body !== undefined))
}

function orderbook(market: SyntheticAlpacaMarket, symbol: string) {
  const { bids, asks } = market.book(symbol)
  const time = market.tape(symbol)?.lastQuote?.time ?? nanosOf(market.now())
  return orderbookBody(time, bids.levels, asks.levels)
}

// A time between two

interface Row {
  readonly time: Nanos
  readonly body: () => object
}

interface Page {
  readonly next_page_token: string | null
  readonly bars?: Readonly<Record<string, ReadonlyArray<object>>>
  readonly trades?: Readonly<Record<string, ReadonlyArray<object>>>
  readonly quotes?: Readonly<Record<string, ReadonlyArray<object>>>
}

function paged(
  kind: Kind,
  sources: ReadonlyArray<Source>,
  query: URLSearchParams,
  feed: Feed,
  market: SyntheticAlpacaMarket,
): Page {
  const now = nanosOf(market.now()) + 1_000_000n
  const limit = limitOf(query)
  const isDescending = sortOf(query) === "desc"
  const startOfDay = now - now % 86_400_000_000_000n
  const start = timeOf(query, "start") ?? startOfDay
  const end = timeOf(query, "end") ?? now
  if (start > end) throw new BadRequest("end should not be before start")
  const from = tokenOf(query)
  const list: Record<string, Array<object>> = {}
  let left = limit
  for (const source of sources) {
    if (from !== undefined && source.symbol < from.symbol) continue
    // Where the page before ended, on its last symbol.
    const since = from?.symbol === source.symbol ? from.time : undefined
    const first = isDescending ? start : since ?? start
    const last = isDescending ? since ?? end : end
    const all = rows(kind, source, query, feed).filter(({ time }) => time >= first && time <= last)
    if (isDescending) all.reverse()
    for (const row of all) {
      if (left === 0) {
        const token = writeToken({ symbol: source.symbol, time: row.time })
        return { [kind]: list, next_page_token: token }
      }
      const bodies = list[source.symbol] ?? []
      bodies.push(row.body())
      list[source.symbol] = bodies
      left--
    }
  }
  return { [kind]: list, next_page_token: null }
}

function rows(
  kind: Kind,
  { tape, letter }: Source,
  query: URLSearchParams,
  feed: Feed,
): Array<Row> {
  switch (kind) {
    case "trades":
      return tape.trades(feed).map((trade) => ({
        time: trade.time,
        body: () => tradeBody(trade, letter),
      }))
    case "quotes":
      return tape.quotes.map((quote) => ({
        time: quote.time,
        body: () => quoteBody(quote, letter, feed),
      }))
    case "bars": {
      const text = query.get("timeframe") ?? ""
      const timeframe = parseTimeframe(text)
      if (timeframe === undefined) throw new BadRequest(`invalid timeframe: ${text}`)
      return tape.bars[feed].all(timeframe).map((bar: Bar) => ({
        time: nanosOf(bar.time),
        body: () => barBody(bar),
      }))
    }
  }
}

// Reading a query

function symbolsOf(
  market: SyntheticAlpacaMarket,
  query: URLSearchParams,
  isCrypto: boolean,
): ReadonlyArray<Source> {
  const text = query.get("symbols") ?? ""
  if (text === "") throw new BadRequest("symbols is required")
  const symbols = [...new Set(text.split(",").map((one) => one.trim().toUpperCase()))].toSorted()
  return symbols.flatMap((symbol) => sourceOf(market, symbol, isCrypto) ?? [])
}

function sourceOf(
  market: SyntheticAlpacaMarket,
  symbol: string,
  isCrypto: boolean,
): Source | undefined {
  const tape = market.tape(symbol)
  const letter = market.instrument(symbol)?.tape
  if (tape === undefined || letter === undefined || (letter === "") !== isCrypto) return undefined
  return { symbol, tape, letter }
}

function feedOf(query: URLSearchParams): Feed {
  const text = (query.get("feed") ?? "sip").toLowerCase()
  if (text === "iex") return "iex"
  if (["sip", "delayed_sip", "otc", "boats", "overnight"].includes(text)) return "sip"
  throw new BadRequest(`invalid feed: ${text}`)
}

function kindOf(text: string): Kind | undefined {
  return text === "bars" || text === "trades" || text === "quotes" ? text : undefined
}

function limitOf(query: URLSearchParams): number {
  const text = query.get("limit")
  if (text === null) return LIMIT_DEFAULT
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    throw new BadRequest(`invalid limit: ${text}: must be between 1 and ${LIMIT_MAX}`)
  }
  return limit
}

function sortOf(query: URLSearchParams): "asc" | "desc" {
  const text = query.get("sort") ?? "asc"
  if (text === "asc" || text === "desc") return text
  throw new BadRequest(`invalid sort: ${text}`)
}

function timeOf(query: URLSearchParams, name: "start" | "end"): Nanos | undefined {
  const text = query.get(name)
  if (text === null || text === "") return undefined
  const time = parseTime(text)
  if (time === undefined) throw new BadRequest(`invalid ${name}: ${text}`)
  return time
}

interface Token {
  readonly symbol: string
  /** Of the first row of the page. */
  readonly time: Nanos
}

function writeToken({ symbol, time }: Token): string {
  return Buffer.from(`${symbol}|${time}`).toString("base64")
}

function tokenOf(query: URLSearchParams): Token | undefined {
  const text = query.get("page_token")
  if (text === null || text === "") return undefined
  const [symbol, time = ""] = Buffer.from(text, "base64").toString("utf8").split("|")
  if (symbol === undefined || !/^\d+$/.test(time)) {
    throw new BadRequest(`invalid page_token: ${text}`)
  }
  return { symbol, time: BigInt(time) }
}

function ok(body: object): DataAnswer {
  return { status: 200, body }
}
