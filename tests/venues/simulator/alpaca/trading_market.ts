/**
 * A market that does what a test says: its quotes, trades, halts and sessions, told synchronously
 * like the real one's. Prints are told back, as on a real tape.
 */
import type { SessionPhase } from "../../../../domain/calendar.ts"
import type {
  AlpacaListing,
  AlpacaMarket,
  MarketMove,
} from "../../../../venues/simulator/alpaca/market.ts"
import { ShownBook } from "../../../../venues/simulator/shown_book.ts"
import { atoms } from "../simulator.ts"

/** Monday, 23 November 2026, 10:00 in New York. */
export const MONDAY = Date.parse("2026-11-23T15:00:00Z")
export const CLOSE = Date.parse("2026-11-23T21:00:00Z")

type Level = readonly [price: string, size: string]

const share = (symbol: string, fields: Partial<AlpacaListing> = {}): AlpacaListing => ({
  symbol,
  assetId: `b0b6dd9d-8b9b-48a9-ba46-${
    symbol.toLowerCase().padEnd(12, "0").replace(/[^0-9a-f]/g, "1")
  }`,
  assetClass: "us_equity",
  exchange: "NASDAQ",
  name: `${symbol} Common Stock`,
  tradable: true,
  fractionable: true,
  shortable: true,
  marginable: true,
  quantityMin: 1n,
  quantityStep: 1n,
  priceIncrement: atoms("0.01"),
  ...fields,
})

const LISTINGS = [
  share("AAPL"),
  share("MSFT"),
  share("OLD", { fractionable: false, shortable: false }),
  share("GONE", { tradable: false }),
  share("BTC/USD", {
    assetClass: "crypto",
    exchange: "CRYPTO",
    name: "Bitcoin / US Dollar",
    shortable: false,
    marginable: false,
    quantityMin: atoms("0.0001"),
    quantityStep: 1n,
    assetId: "276e2673-764b-4ab6-a611-caf665ca6340",
  }),
]

export class TestMarket implements AlpacaMarket {
  readonly listings = new Map(LISTINGS.map((listing) => [listing.symbol, listing]))
  readonly prints = new Array<Parameters<AlpacaMarket["print"]>>()
  readonly #books = new Map(LISTINGS.map(({ symbol }) => [symbol, new ShownBook()]))
  readonly #last = new Map<string, bigint>()
  readonly #halted = new Set<string>()
  readonly #listeners = new Array<(move: MarketMove) => void>()
  #phase: SessionPhase = "core"
  #until = CLOSE
  #updateId = 0
  time = MONDAY

  /** 99.90 and 99.80 bid, 100.00 and 100.10 asked, 100 shares each; bitcoin at 50 000. */
  constructor() {
    this.ladder("AAPL", [["99.90", "100"], ["99.80", "100"]], [["100.00", "100"], [
      "100.10",
      "100",
    ]])
    this.ladder("MSFT", [["49.90", "1000"]], [["50.00", "1000"]])
    this.ladder("OLD", [["9.90", "1000"]], [["10.00", "1000"]])
    this.ladder("BTC/USD", [["49990", "1"]], [["50000", "1"], ["50010", "1"]])
  }

  readonly book = (symbol: string) => {
    const book = this.#books.get(symbol)
    if (book === undefined) return new ShownBook()
    return book
  }
  readonly lastPrice = (symbol: string) => this.#last.get(symbol)
  readonly isHalted = (symbol: string) => this.#halted.has(symbol)
  readonly session = (symbol: string) =>
    this.listings.get(symbol)?.assetClass === "crypto"
      ? { phase: "core" as const, until: Infinity }
      : { phase: this.#phase, until: this.#until }
  readonly onMove = (listener: (move: MarketMove) => void) => {
    this.#listeners.push(listener)
  }
  readonly print = (...print: Parameters<AlpacaMarket["print"]>) => {
    this.prints.push(print)
    const [symbol, price, size, buyerIsMaker] = print
    this.#last.set(symbol, price)
    this.#tell({ kind: "trade", symbol, price, size, buyerIsMaker })
  }
  readonly now = () => this.time

  ladder(symbol: string, bids: ReadonlyArray<Level>, asks: ReadonlyArray<Level>) {
    const level = ([price, size]: Level) => ({ price: atoms(price), size: atoms(size) })
    this.book(symbol).ladder(++this.#updateId, bids.map(level), asks.map(level))
    this.#tell({ kind: "book", symbol })
  }

  /** Somebody else traded; `seller` when he sold into the bids. */
  trade(symbol: string, price: string, size: string, by: "buyer" | "seller") {
    this.#last.set(symbol, atoms(price))
    const buyerIsMaker = by === "seller"
    this.#tell({ kind: "trade", symbol, price: atoms(price), size: atoms(size), buyerIsMaker })
  }

  halt(symbol: string, isHalted: boolean) {
    if (isHalted) this.#halted.add(symbol)
    else this.#halted.delete(symbol)
    this.#tell({ kind: "status", symbol })
  }

  enter(phase: SessionPhase, at: number, until: number) {
    this.time = at
    this.#phase = phase
    this.#until = until
    this.#tell({ kind: "phase", assetClass: "us_equity" })
  }

  #tell(move: MarketMove) {
    for (const listener of this.#listeners) listener(move)
  }
}
