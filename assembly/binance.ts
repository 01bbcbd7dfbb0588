/** Binance spot, on its test system or simulated in this process. */
import { Effect, Redacted } from "effect"
import type { BinanceConfig } from "../config.ts"
import { assetsOf } from "../domain/position.ts"
import type { KeyPair } from "../keys.ts"
import { limits } from "../limits.ts"
import type { Ledger } from "../venues/simulator/ledger.ts"
import { makeBroker } from "../venues/binance/broker.ts"
import { makeMarketData } from "../venues/binance/market_data.ts"
import { makeRest } from "../venues/binance/rest.ts"
import { VENUE } from "../venues/binance/symbols.ts"
import { makeRules } from "../venues/rules.ts"
import { type BanStore, noBanStore } from "../venues/governor.ts"
import {
  type SimulatedBinance,
  type SimulatorOptions,
  startSimulatedBinance,
} from "../venues/simulator/binance.ts"
import type { Traffic } from "../venues/socket.ts"
import { startFailed } from "./start_failed.ts"
import { introduced, labelOf, newTraffic, type VenueDoor } from "./venue.ts"

/** Where paper money is traded. */
export const testnet = {
  rest: "https://testnet.binance.vision",
  stream: "wss://stream.testnet.binance.vision",
  wsApi: "wss://ws-api.testnet.binance.vision/ws-api/v3",
} as const

const keyNames = "BINANCE_API_KEY and BINANCE_API_SECRET"

interface Urls {
  readonly rest: string
  readonly stream: string
  readonly wsApi: string
}

/** The test system, or whatever speaks its protocol at the configured hosts. */
export function binanceDoor(config: BinanceConfig, keys: KeyPair, bans: BanStore): VenueDoor {
  const urls = urlsOf(config)
  return {
    venue: VENUE,
    label: labelOf("Binance", "testnet", testnet.rest, urls.rest),
    config,
    open: introduced(connect(config, keys, urls, bans, newTraffic()), keyNames),
  }
}

/** As configured, or else the test system's. */
export function urlsOf({ restUrl, streamUrl, wsApiUrl }: BinanceConfig): Urls {
  return {
    rest: restUrl ?? testnet.rest,
    stream: streamUrl ?? testnet.stream,
    wsApi: wsApiUrl ?? testnet.wsApi,
  }
}

export interface SimulatedBinanceDoor extends VenueDoor {
  readonly simulated: SimulatedBinance
  /** Our side of the wire. */
  readonly traffic: Traffic
}

/** Started here, with a secret that nobody else knows. */
export const simulatedBinanceDoor = Effect.fn("assembly.simulatedBinance")(function* (
  config: BinanceConfig,
  { ledger, market, balances }: {
    readonly ledger: Ledger
    readonly market: SimulatorOptions["market"]
    readonly balances?: SimulatorOptions["balances"]
  },
) {
  const simulated = yield* startSimulatedBinance({
    host: "127.0.0.1",
    port: 0,
    key: "keel-sim",
    secret: crypto.randomUUID(),
    market,
    ledger,
    ...(balances && { balances }),
  }).pipe(Effect.mapError(startFailed))
  const { rest, ws, wsApi } = simulated.endpoints
  const keys = { key: Redacted.make(simulated.key), secret: Redacted.make(simulated.secret) }
  const traffic = newTraffic()
  return {
    venue: VENUE,
    label: "Binance simulated",
    config,
    open: connect(config, keys, { rest, stream: ws, wsApi }, noBanStore, traffic),
    simulated,
    traffic,
  } satisfies SimulatedBinanceDoor
})

const connect = Effect.fn("assembly.binance")(function* (
  ...args: Parameters<typeof adapters>
) {
  const [config] = args
  const { broker, market, rest, rules } = yield* adapters(...args)
  const instruments = yield* market.instruments(config.instruments)
  return { venue: VENUE, config, market, broker, instruments, rules, usage: rest.governor.usage }
})

/** All of it that can be opened without asking it anything. */
export const adapters = Effect.fn("assembly.binanceAdapters")(function* (
  config: BinanceConfig,
  keys: KeyPair,
  urls: Urls,
  bans: BanStore,
  traffic: Traffic,
) {
  const { liveness: policy, orders, account } = limits
  const rest = yield* makeRest({
    url: urls.rest,
    keys,
    timeoutMs: orders.requestTimeoutMs,
    recvWindowMs: orders.recvWindowMs,
    wallClockMs: () => Date.now(),
    traffic,
    bans,
  })
  const market = makeMarketData({ streamUrl: urls.stream, rest, policy, traffic })
  const rules = makeRules({ read: market.instruments(config.instruments), ...limits.rules })
  const broker = makeBroker({
    rulesBroken: rules.refresh,
    wsApiUrl: urls.wsApi,
    rest,
    keys,
    policy,
    traffic,
    // Of all pairs: the configuration takes no two.
    quoteAsset: assetsOf(config.instruments[0] ?? "").quote,
    instruments: config.instruments,
    recvWindowMs: orders.recvWindowMs,
    subscribeTimeoutMs: account.subscribeTimeoutMs,
  })
  return { rest, market, broker, rules }
})
