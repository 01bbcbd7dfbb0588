/** A simulated Alpaca and our adapters to it, for a `ChaosWorld`. */
import { Effect, Redacted } from "effect"
import type { AlpacaConfig } from "../../config.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import { limits } from "../../limits.ts"
import { makeBroker } from "../../venues/alpaca/broker.ts"
import { makeMarketData } from "../../venues/alpaca/market_data.ts"
import { buckets, makeRest } from "../../venues/alpaca/rest.ts"
import { makeGovernor, noBanStore } from "../../venues/governor.ts"
import { makeMemoryAlpacaLedger } from "../../venues/simulator/alpaca/ledger.ts"
import {
  type AlpacaSimulatorOptions,
  startSimulatedAlpaca,
} from "../../venues/simulator/alpaca/mod.ts"
import type { Traffic } from "../../venues/socket.ts"
import { ChaosWorld, type WorldOptions } from "./world.ts"

export const VENUE = "alpaca"
export const AAPL = "AAPL.ALPACA"
export const SPY = "SPY.ALPACA"
export const BTC = "BTC/USD.ALPACA"

/** Prices stream, the account is reconciled, and the strategies trade. */
export async function startAlpaca(
  options: Omit<WorldOptions, "wire"> & {
    readonly instruments?: ReadonlyArray<InstrumentId>
    readonly venue?: Partial<
      Pick<AlpacaSimulatorOptions, "sessions" | "slotHeldMs" | "busyCloses" | "symbolsMax">
    >
  } = {},
): Promise<ChaosWorld> {
  const config: AlpacaConfig = {
    isRequired: true,
    instruments: options.instruments ?? [AAPL, SPY],
    staleAfterMs: 3_000,
    staleAfterMsOf: new Map(),
    feed: "iex",
  }
  return await ChaosWorld.start({
    ...options,
    wire: wire(config, {
      market: { kind: "synthetic", seed: options.seed ?? 1 },
      // Parts that fill later are another matter.
      partialFillProbability: 0,
      ...options.venue,
    }),
  })
}

const wire = Effect.fnUntraced(function* (
  config: AlpacaConfig,
  options: Omit<AlpacaSimulatorOptions, "host" | "port" | "key" | "secret" | "ledger">,
) {
  const simulated = yield* startSimulatedAlpaca({
    host: "127.0.0.1",
    port: 0,
    key: "key",
    secret: "secret",
    ledger: makeMemoryAlpacaLedger(),
    ...options,
  })
  const { liveness: policy, orders, account: { subscribeTimeoutMs } } = limits
  const { data: dataUrl, dataStream, trading: tradingUrl, tradingStream } = simulated.endpoints
  const keys = { key: Redacted.make(simulated.key), secret: Redacted.make(simulated.secret) }
  const traffic: Traffic = { framesReceived: 0, requestsOpen: 0 }
  const governor = yield* makeGovernor({ venue: VENUE, buckets, bans: noBanStore })
  const rest = yield* makeRest({
    ...{ tradingUrl, dataUrl, keys, governor, traffic },
    timeoutMs: orders.requestTimeoutMs,
  })
  const common = { rest, keys, policy, traffic, subscribeTimeoutMs }
  const market = makeMarketData({ ...common, streamUrl: dataStream, feed: config.feed })
  const { instruments } = config
  const broker = makeBroker({ ...common, streamUrl: tradingStream, instruments })
  const open = Effect.map(market.instruments(instruments), (found) => ({
    ...{ venue: VENUE, config, market, broker, instruments: found, usage: governor.usage },
  }))
  return { venue: VENUE, label: "Alpaca simulated", config, open, simulated, traffic }
})
