/**
 * Recordings of trades or bars, made into a market of trades and quotes.
 *
 * Neither has quotes, so a one-tick-wide quote is put around each price, and repeated
 * so that a living market does not look like a dead one. A bar becomes four trades on
 * the shortest path through its prices. Nothing else is invented.
 */
import { Stream } from "effect"
import { type BarFile, type FileBar, millisOf } from "./bar_file.ts"
import { type Atoms, floorTo } from "./decimals.ts"
import { Grid, symbolOfPath } from "./grid.ts"
import {
  type MarketChange,
  type RecordedEvent,
  type RecordedSymbol,
  type Recording,
  RecordingError,
  type RecordingFormat,
} from "./recorded.ts"
import { atomsOf } from "./recording_file.ts"
import type { Level } from "./shown_book.ts"

/** Between events a quote is repeated at least this often, unless bars are longer than a minute. */
const QUOTE_EVERY_MS = 2_000
/** A gap in a trade list longer than this is a gap in the recording, not a quiet market. */
const QUIET_MAX_MS = 10 * 60_000

interface FileTrade {
  readonly time: number
  readonly tradeId: number
  readonly price: Atoms
  readonly size: Atoms
  readonly buyerIsMaker: boolean
}

export function openTrades(path: string, rows: ReadonlyArray<unknown>): Recording {
  const trades = rows.map((row, index): FileTrade => {
    const cells: ReadonlyArray<unknown> = Array.isArray(row) ? row : []
    const time = millisOf(cells[0])
    const price = atomsOf(cells[4])
    const size = atomsOf(cells[5])
    const side = cells[3]
    if (
      time === undefined || price === undefined || size === undefined || size === 0n ||
      (side !== "buy" && side !== "sell")
    ) {
      throw new RecordingError({
        path,
        line: index + 1,
        text: `expected [ms, id, type, "buy"|"sell", price, amount, …], got ${JSON.stringify(row)}`,
      })
    }
    // The side of a trade in such lists is the taker's.
    return {
      time,
      tradeId: Number(cells[1] ?? index + 1),
      price,
      size,
      buyerIsMaker: side === "sell",
    }
  }).toSorted((a, b) => a.time - b.time)
  const grid = new Grid()
  for (const trade of trades) grid.add(trade.price, trade.size)
  const market = grid.describe(path, symbolOfPath(path))
  return loaded(path, "trades", market, trades, (emit) => {
    let usual = trades[0]?.size ?? 0n
    for (const trade of trades) {
      usual = (usual * 7n + trade.size) / 8n
      emit(trade, usual * 2n)
    }
  }, { quoteEveryMs: QUOTE_EVERY_MS, quietMaxMs: QUIET_MAX_MS })
}

export function openBars(path: string, file: BarFile): Recording {
  const bars = file.bars.toSorted((a, b) => a.time - b.time)
  const width = barWidth(bars)
  const grid = new Grid()
  for (const bar of bars) {
    for (const price of [bar.open, bar.high, bar.low, bar.close]) grid.add(price, bar.volume)
  }
  const market = grid.describe(path, file.symbol ?? symbolOfPath(path))
  const trades = bars.flatMap((bar, index) => tradesOfBar(bar, index * 4 + 1, width, market))
  return loaded(path, "bars", market, trades, (emit) => {
    trades.forEach((trade, index) => {
      const volume = bars[index >> 2]?.volume ?? 0n
      emit(trade, volume / 40n)
    })
  }, {
    quoteEveryMs: Math.max(QUOTE_EVERY_MS, width / 30),
    quietMaxMs: width * 2,
  })
}

/** Open, the extreme on the way, the other extreme, close; the volume in four parts. */
function tradesOfBar(
  bar: FileBar,
  firstId: number,
  width: number,
  market: RecordedSymbol,
): FileTrade[] {
  const rises = bar.close >= bar.open
  const path = rises
    ? [bar.open, bar.low, bar.high, bar.close]
    : [bar.open, bar.high, bar.low, bar.close]
  const step = market.stepSize
  const quarter = floorTo(bar.volume / 4n, step)
  return path.map((price, part) => {
    const size = part === 3 ? floorTo(bar.volume - quarter * 3n, step) : quarter
    const before = path[part - 1] ?? bar.open
    return {
      time: bar.time + Math.floor(part * width / 4),
      tradeId: firstId + part,
      price,
      // A bar without volume still moved the price: one lot shows it.
      size: size > 0n ? size : step,
      buyerIsMaker: price < before || (price === before && !rises),
    }
  })
}

/** A market of one symbol whose trades fit into memory. */
function loaded(
  path: string,
  format: RecordingFormat,
  market: RecordedSymbol,
  trades: ReadonlyArray<FileTrade>,
  sizes: (emit: (trade: FileTrade, quoteSize: Atoms) => void) => void,
  quotes: { readonly quoteEveryMs: number; readonly quietMaxMs: number },
): Recording {
  const first = trades[0]
  const last = trades.at(-1)
  if (first === undefined || last === undefined) throw new RecordingError({ path, text: "no rows" })
  const steps = new Array<{ trade: FileTrade; size: Atoms }>()
  sizes((trade, size) => {
    const onGrid = floorTo(size, market.stepSize)
    steps.push({ trade, size: onGrid > 0n ? onGrid : market.stepSize })
  })
  function* events(): Generator<RecordedEvent> {
    let updateId = 0
    let quoted: { bid: Level; ask: Level; at: number } | undefined
    for (const { trade, size } of steps) {
      // Somebody keeps quoting between two trades, as long as this is one market day.
      if (quoted !== undefined && trade.time - quoted.at <= quotes.quietMaxMs) {
        for (let at = quoted.at + quotes.quoteEveryMs; at < trade.time; at += quotes.quoteEveryMs) {
          yield { timeMs: Math.floor(at), change: quote(market.symbol, ++updateId, quoted) }
        }
      }
      // A seller hit the bid, a buyer lifted the offer.
      const bid = trade.buyerIsMaker || trade.price <= market.tickSize
        ? trade.price
        : trade.price - market.tickSize
      quoted = {
        bid: { price: bid, size },
        ask: { price: bid + market.tickSize, size },
        at: trade.time,
      }
      yield { timeMs: trade.time, change: quote(market.symbol, ++updateId, quoted) }
      yield { timeMs: trade.time, change: { type: "trade", symbol: market.symbol, ...trade } }
    }
  }
  return {
    path,
    format,
    symbols: [market],
    startMs: first.time,
    endMs: last.time,
    trades: {
      [market.symbol]: {
        count: trades.length,
        firstTradeId: first.tradeId,
        lastTradeId: last.tradeId,
      },
    },
    streams: new Set(),
    events: Stream.fromIterable({ [Symbol.iterator]: events }),
  }
}

function quote(
  symbol: string,
  updateId: number,
  { bid, ask }: { bid: Level; ask: Level },
): MarketChange {
  return { type: "quote", symbol, updateId, bid, ask }
}

function barWidth(bars: ReadonlyArray<FileBar>): number {
  const counts = new Map<number, number>()
  for (let i = 1; i < bars.length; i++) {
    const width = (bars[i]?.time ?? 0) - (bars[i - 1]?.time ?? 0)
    if (width > 0) counts.set(width, (counts.get(width) ?? 0) + 1)
  }
  let best = 60_000
  let most = 0
  for (const [width, count] of counts) if (count > most) [best, most] = [width, count]
  return best
}
