/**
 * What the simulated Alpaca trades: shares, crypto, and the test feed's one share that exists
 * nowhere else. SPY, BTC/USD and FAKEPACA are the canaries of their feeds.
 */
import { Chance } from "../chance.ts"
import { type Atoms, ONE, parseAtoms } from "../decimals.ts"
import type { Profile } from "../synthetic.ts"
import type { AlpacaListing } from "./market.ts"

/** Symbol of the feed for testing; it cannot be traded. */
export const TEST_SYMBOL = "FAKEPACA"

export interface Instrument {
  readonly listing: AlpacaListing
  readonly profile: Profile
  /** Who reports its trades: `A` NYSE, `B` other exchanges, `C` Nasdaq; empty for crypto. */
  readonly tape: "A" | "B" | "C" | ""
}

export const INSTRUMENTS: ReadonlyArray<Instrument> = [
  share("SPY", "SPDR S&P 500 ETF Trust", "ARCA", "B", 590, 0.8, 150_000, true),
  share("AAPL", "Apple Inc. Common Stock", "NASDAQ", "C", 230, 1.3, 60_000),
  share("MSFT", "Microsoft Corporation Common Stock", "NASDAQ", "C", 430, 1.2, 60_000),
  share("NVDA", "NVIDIA Corporation Common Stock", "NASDAQ", "C", 140, 2.1, 70_000),
  crypto("BTC", "Bitcoin", "0.01", 64_000, 1.3, 90_000, true),
  crypto("ETH", "Ethereum", "0.01", 3_200, 1.7, 50_000),
  share(TEST_SYMBOL, "Test feed", "NYSE", "A", 134, 2, 40_000, true),
]

/** Deterministic, and shaped like the venue's. */
export function uuidOf(name: string): string {
  const chance = Chance.seeded(0, name)
  const hex = Array.from({ length: 32 }, () => Math.floor(chance.next() * 16).toString(16)).join("")
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20),
  ].join("-")
}

function share(
  symbol: string,
  name: string,
  exchange: string,
  tape: "A" | "B" | "C",
  startPrice: number,
  sigmaBps: number,
  depth: number,
  isCanary = false,
): Instrument {
  const isTest = symbol === TEST_SYMBOL
  return {
    tape,
    listing: {
      symbol,
      assetId: uuidOf(symbol),
      assetClass: "us_equity",
      exchange,
      name,
      tradable: !isTest,
      fractionable: true,
      shortable: true,
      marginable: true,
      quantityMin: 1n,
      quantityStep: 1n,
      priceIncrement: cents("0.01"),
    },
    // The market trades whole shares; fractions are between a broker and its customers.
    profile: {
      listing: { symbol, tickSize: cents("0.01"), stepSize: ONE },
      startPrice,
      sigmaBps,
      depth,
      isCanary,
    },
  }
}

function crypto(
  base: string,
  name: string,
  tick: string,
  startPrice: number,
  sigmaBps: number,
  depth: number,
  isCanary = false,
): Instrument {
  const symbol = `${base}/USD`
  return {
    tape: "",
    listing: {
      symbol,
      assetId: uuidOf(symbol),
      assetClass: "crypto",
      exchange: "CRYPTO",
      name: `${name} / US Dollar`,
      tradable: true,
      fractionable: true,
      shortable: false,
      marginable: false,
      quantityMin: cents("0.00001"),
      quantityStep: 1n,
      priceIncrement: cents(tick),
    },
    profile: {
      listing: { symbol, tickSize: cents(tick), stepSize: cents("0.00001") },
      startPrice,
      sigmaBps,
      depth,
      isCanary,
    },
  }
}

function cents(text: string): Atoms {
  return parseAtoms(text) ?? 0n
}
