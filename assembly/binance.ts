/** Binance spot, on its test system or simulated in this process. */
import { Effect, Redacted } from "effect"
import type { BinanceConfig } from "../config.ts"
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
  const rest = config.restUrl ?? testnet.rest
  const urls = {
    rest,
    stream: config.streamUrl ?? testnet.stream,
    wsApi: config.wsApiUrl ?? testnet.wsApi,
  }
  return {
    venue: VENUE,
    label: labelOf("Binance", "testnet", testnet.rest, rest),
    config,
    open: introduced(connect(config, keys, urls, newTraffic(), bans), keyNames),
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
    open: connect(config, keys, { rest, stream: ws, wsApi }, traffic, noBanStore),
    simulated,
    traffic,
  } satisfies SimulatedBinanceDoor
})

const connect = Effect.fn("assembly.binance")(function* (
  config: BinanceConfig,
  keys: KeyPair,
  urls: Urls,
  traffic: Traffic,
  bans: BanStore,
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
  const instruments = yield* market.instruments(config.instruments)
  const rules = makeRules({ read: market.instruments(config.instruments), ...limits.rules })
  const broker = makeBroker({
    rulesBroken: rules.refresh,
    wsApiUrl: urls.wsApi,
    rest,
    keys,
    policy,
    traffic,
    quoteAsset: instruments[0]?.quote ?? "USDT",
    instruments: config.instruments,
    recvWindowMs: orders.recvWindowMs,
    subscribeTimeoutMs: account.subscribeTimeoutMs,
  })
  return { venue: VENUE, config, market, broker, instruments, rules, usage: rest.governor.usage }
})
