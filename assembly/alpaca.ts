/** Alpaca, its paper account or simulated in this process. */
import { Effect, Redacted } from "effect"
import type { AlpacaConfig } from "../config.ts"
import type { KeyPair } from "../keys.ts"
import { limits } from "../limits.ts"
import { makeBroker } from "../venues/alpaca/broker.ts"
import { makeMarketData } from "../venues/alpaca/market_data.ts"
import { buckets, makeRest } from "../venues/alpaca/rest.ts"
import { VENUE } from "../venues/alpaca/symbols.ts"
import { type BanStore, makeGovernor, noBanStore } from "../venues/governor.ts"
import { makeRules } from "../venues/rules.ts"
import {
  type AlpacaSimulatorOptions,
  type SimulatedAlpaca,
  startSimulatedAlpaca,
} from "../venues/simulator/alpaca/mod.ts"
import { startFailed } from "./start_failed.ts"
import { introduced, labelOf, newTraffic, type VenueDoor } from "./venue.ts"

/** Where paper money is traded. */
export const paper = {
  trading: "https://paper-api.alpaca.markets",
  data: "https://data.alpaca.markets",
  dataStream: "wss://stream.data.alpaca.markets",
  tradingStream: "wss://paper-api.alpaca.markets/stream",
} as const

const keyNames = "APCA_API_KEY_ID and APCA_API_SECRET_KEY"

type Urls = { readonly [Name in keyof typeof paper]: string }

/** The paper account, or whatever speaks its protocol at the configured hosts. */
export function alpacaDoor(config: AlpacaConfig, keys: KeyPair, bans: BanStore): VenueDoor {
  const urls = urlsOf(config)
  return {
    venue: VENUE,
    label: labelOf("Alpaca", "paper", paper.trading, urls.trading),
    config,
    open: introduced(connect(config, keys, urls, bans), keyNames),
  }
}

/** As configured, or else those of the paper account. */
export function urlsOf(config: AlpacaConfig): Urls {
  return {
    trading: config.tradingUrl ?? paper.trading,
    data: config.dataUrl ?? paper.data,
    dataStream: config.dataStreamUrl ?? paper.dataStream,
    tradingStream: config.tradingStreamUrl ?? paper.tradingStream,
  }
}

export interface SimulatedAlpacaDoor extends VenueDoor {
  readonly simulated: SimulatedAlpaca
}

/** Started here, with a secret that nobody else knows. Its market never closes. */
export const simulatedAlpacaDoor = Effect.fn("assembly.simulatedAlpaca")(function* (
  config: AlpacaConfig,
  options: Pick<AlpacaSimulatorOptions, "ledger" | "market">,
) {
  const simulated = yield* startSimulatedAlpaca({
    host: "127.0.0.1",
    port: 0,
    key: "keel-sim",
    secret: crypto.randomUUID(),
    ...options,
  }).pipe(Effect.mapError(startFailed))
  const keys = { key: Redacted.make(simulated.key), secret: Redacted.make(simulated.secret) }
  return {
    venue: VENUE,
    label: "Alpaca simulated",
    config,
    open: connect(config, keys, simulated.endpoints, noBanStore),
    simulated,
  } satisfies SimulatedAlpacaDoor
})

const connect = Effect.fn("assembly.alpaca")(function* (
  ...args: Parameters<typeof adapters>
) {
  const [config] = args
  const { broker, governor, market, rules } = yield* adapters(...args)
  const instruments = yield* market.instruments(config.instruments)
  return { venue: VENUE, config, market, broker, instruments, rules, usage: governor.usage }
})

/** All of it that can be opened without asking it anything. */
export const adapters = Effect.fn("assembly.alpacaAdapters")(function* (
  config: AlpacaConfig,
  keys: KeyPair,
  urls: Urls,
  bans: BanStore,
) {
  const { liveness: policy, orders, account: { subscribeTimeoutMs } } = limits
  const traffic = newTraffic()
  const governor = yield* makeGovernor({ venue: VENUE, buckets, bans })
  const rest = yield* makeRest({
    tradingUrl: urls.trading,
    dataUrl: urls.data,
    keys,
    timeoutMs: orders.requestTimeoutMs,
    governor,
    traffic,
  })
  const common = { rest, keys, policy, traffic, subscribeTimeoutMs }
  const market = makeMarketData({ ...common, streamUrl: urls.dataStream, feed: config.feed })
  const rules = makeRules({ read: market.instruments(config.instruments), ...limits.rules })
  const broker = makeBroker({
    ...common,
    streamUrl: urls.tradingStream,
    instruments: config.instruments,
  })
  return { governor, market, broker, rules }
})
