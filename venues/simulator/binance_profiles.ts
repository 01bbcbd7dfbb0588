/**
 * What the simulated Binance trades when nothing is recorded. BTCUSDT is its canary.
 */
import { parseAtoms } from "./decimals.ts"
import { type Listing, makeListing } from "./listing.ts"
import type { Profile } from "./synthetic.ts"

export const PROFILES: ReadonlyArray<Profile & { readonly listing: Listing }> = [
  { ...profile("BTC", "0.01", "0.00001", 64_000, 1.3, 90_000), isCanary: true },
  profile("ETH", "0.01", "0.0001", 3_200, 1.7, 50_000),
  profile("SOL", "0.01", "0.001", 160, 2.3, 25_000),
  profile("BNB", "0.01", "0.001", 580, 1.5, 20_000),
]

function profile(
  baseAsset: string,
  tick: string,
  step: string,
  startPrice: number,
  sigmaBps: number,
  depth: number,
) {
  const listing = makeListing({
    symbol: `${baseAsset}USDT`,
    baseAsset,
    quoteAsset: "USDT",
    tickSize: parseAtoms(tick) ?? 0n,
    stepSize: parseAtoms(step) ?? 0n,
  })
  return { listing, startPrice, sigmaBps, depth }
}
