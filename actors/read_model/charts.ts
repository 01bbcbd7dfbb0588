/** What the charts draw: a point a second and no more than a screen shows. As floats, for a canvas. */
import type { Books } from "../../domain/books.ts"
import { formatDecimal, subtract, toNumber, zero } from "../../domain/decimal.ts"
import type { Equity, Mark } from "../../domain/equity.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Series } from "../../domain/overview.ts"

/** In epoch seconds. */
export interface Point {
  readonly time: number
  readonly value: number
}

export class Charts {
  private readonly prices = new Map<InstrumentId, Array<Point>>()
  private readonly pnl: Array<Point> = []

  constructor(private readonly pointsMax: number) {}

  /** The profit of before is what the journal says. */
  reset(books: Books) {
    this.pnl.length = 0
    for (const { time, value } of profitCurve(books)) {
      addPoint(this.pnl, time, value, this.pointsMax)
    }
  }

  marked({ instrument, heardAt, last, bid }: Mark) {
    const points = this.prices.get(instrument) ?? []
    this.prices.set(instrument, points)
    addPoint(points, heardAt, toNumber(last ?? bid), this.pointsMax)
  }

  /** Prices from before we listened, oldest first. */
  prefill(instrument: InstrumentId, history: ReadonlyArray<Point>) {
    const seen = this.prices.get(instrument) ?? []
    const first = seen[0]?.time ?? Infinity
    const before = history.filter(({ time }) => time < first)
    this.prices.set(instrument, [...before, ...seen].slice(-this.pointsMax))
  }

  valued(equities: Iterable<Equity>, now: number) {
    let total = 0
    for (const each of equities) total += toNumber(subtract(each.total, each.start))
    addPoint(this.pnl, now, total, this.pointsMax)
  }

  series(instrument: InstrumentId, { fills }: Books): Series {
    const points = this.prices.get(instrument) ?? []
    const first = points[0]?.time ?? 0
    return {
      instrument,
      price: points,
      pnl: this.pnl,
      fills: fills
        .filter((fill) => fill.instrument === instrument && fill.time / 1_000 >= first)
        .map(({ time, side, quantity, price }) => ({
          time: Math.floor(time / 1_000),
          side,
          text: `${side} ${formatDecimal(quantity)} at ${formatDecimal(price)}`,
        })),
    }
  }
}

/** One point a second: the newest value within it. */
function addPoint(points: Array<Point>, timeMs: number, value: number, most: number) {
  const time = Math.floor(timeMs / 1_000)
  const last = points.at(-1)
  if (last !== undefined && time < last.time) return
  if (last?.time === time) points[points.length - 1] = { time, value }
  else points.push({ time, value })
  if (points.length > most) points.shift()
}

/**
 * Profit of all accounts together whenever one of them was marked, oldest first; the others stand as
 * they were marked last.
 */
function profitCurve(books: Books): ReadonlyArray<Point> {
  const latest = new Map<string, number>()
  return [...books.curves]
    .flatMap(([venue, { points }]) => {
      const account = books.accounts.get(venue)
      const start = account?.opening.get(account.quoteAsset) ?? zero
      return points.map(({ time, total }) => ({
        venue,
        time,
        value: toNumber(subtract(total, start)),
      }))
    })
    .toSorted((a, b) => a.time - b.time)
    .map(({ venue, time, value }) => {
      latest.set(venue, value)
      return { time, value: [...latest.values()].reduce((sum, each) => sum + each, 0) }
    })
}
