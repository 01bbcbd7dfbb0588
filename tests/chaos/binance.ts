/** A simulated Binance and our adapters to it, for a `ChaosWorld`. */
import { simulatedBinanceDoor } from "../../assembly/binance.ts"
import { makeMemoryLedger } from "../../venues/simulator/ledger.ts"
import { ChaosWorld, type WorldOptions } from "./world.ts"

export const VENUE = "binance"
export const BTC = "BTC/USDT.BINANCE"
export const ETH = "ETH/USDT.BINANCE"

/** Prices stream, the account is reconciled, and the strategies trade. */
export async function startBinance(
  options: Omit<WorldOptions, "wire"> = {},
): Promise<ChaosWorld> {
  const config = {
    isRequired: true,
    instruments: [BTC, ETH],
    staleAfterMs: 3_000,
    staleAfterMsOf: new Map(),
  }
  const market = { kind: "synthetic", seed: options.seed ?? 1 } as const
  const wire = simulatedBinanceDoor(config, { ledger: makeMemoryLedger(), market })
  return await ChaosWorld.start({ ...options, wire })
}
