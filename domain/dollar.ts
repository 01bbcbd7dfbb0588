/**
 * What counts as a dollar when the accounts of several venues are added up.
 *
 * One to one, without asking for a rate: that a stablecoin has lost its peg is not noticed here.
 */
export const dollars: ReadonlyArray<string> = ["USD", "USDT", "USDC", "FDUSD"]

export function isDollar(asset: string): boolean {
  return dollars.includes(asset)
}
