/**
 * Alpaca's market data as it is written: the same fields in REST bodies and in stream messages.
 *
 * Numbers are JSON numbers. Atoms become the shortest number that reads back as the same decimal,
 * so no digit is lost that fifteen can hold.
 */
import { type Atoms, formatTrimmed, ONE } from "../decimals.ts"
import type { Level } from "../shown_book.ts"
import type { Bar } from "./data_bars.ts"
import { type Feed, IEX, type TapeQuote, type TapeTrade } from "./data_tape.ts"
import { formatTime, type Nanos, nanosOf } from "./data_time.ts"

export function numberOf(atoms: Atoms): number {
  return Number(formatTrimmed(atoms))
}

/** `tape` is empty for crypto. */
export function tradeBody(trade: TapeTrade, tape: string) {
  const { id, price, size, time } = trade
  const body = { t: formatTime(time), p: numberOf(price), s: numberOf(size), i: id }
  return tape === ""
    ? { ...body, tks: trade.takerBuys ? "B" : "S" }
    : { ...body, x: trade.exchange, c: trade.conditions, z: tape, ...updateOf(trade) }
}

export function quoteBody(quote: TapeQuote, tape: string, feed: Feed) {
  const { time, bid, bidSize, ask, askSize } = quote
  const sides = {
    bp: numberOf(bid),
    bs: numberOf(bidSize),
    ap: numberOf(ask),
    as: numberOf(askSize),
  }
  if (tape === "") return { t: formatTime(time), ...sides }
  // Whoever is best now; on the one exchange's own feed it is always that one.
  const [bx, ax] = feed === "iex" ? [IEX, IEX] : exchangesOf(quote)
  return { t: formatTime(time), bx, ax, ...sides, c: ["R"], z: tape }
}

export function barBody(bar: Bar) {
  const average = bar.volume === 0n ? bar.close : bar.notional * ONE / bar.volume
  return {
    t: formatTime(nanosOf(bar.time)),
    o: numberOf(bar.open),
    h: numberOf(bar.high),
    l: numberOf(bar.low),
    c: numberOf(bar.close),
    v: numberOf(bar.volume),
    n: bar.trades,
    vw: numberOf(average - average % 100n),
  }
}

export function orderbookBody(
  time: Nanos,
  bids: ReadonlyArray<Level>,
  asks: ReadonlyArray<Level>,
) {
  const side = (levels: ReadonlyArray<Level>) =>
    levels.map(({ price, size }) => ({ p: numberOf(price), s: numberOf(size) }))
  return { t: formatTime(time), b: side(bids), a: side(asks) }
}

const EXCHANGES = ["Q", "P", "K", IEX, "N", "Z"]

/** Drawn from the quote itself, so that a quote says the same whenever it is asked for. */
function exchangesOf({ time }: TapeQuote): readonly [string, string] {
  const at = Number(time / 1_000n % 36n)
  return [EXCHANGES[at % 6] ?? IEX, EXCHANGES[Math.floor(at / 6)] ?? IEX]
}

function updateOf({ update }: TapeTrade) {
  return update === undefined ? {} : { u: update }
}
