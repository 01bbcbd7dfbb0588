/** The simulated venues as a process of their own, and how Keel is pointed at them. */
import type { Process } from "./process.ts"

export interface BinanceAddress {
  readonly rest: string
  readonly ws: string
  readonly wsApi: string
  readonly key: string
  readonly secret: string
}

export interface AlpacaAddress {
  readonly trading: string
  readonly data: string
  readonly dataStream: string
  readonly tradingStream: string
  readonly key: string
  readonly secret: string
}

export interface Addresses {
  readonly binance: BinanceAddress
  readonly alpaca: AlpacaAddress
  readonly control: string
}

/** As a venue's process says where it is. */
export async function addressesOf(venue: Pick<Process, "printed">): Promise<Addresses> {
  const [line] = await venue.printed(/^\{.*\}$/m)
  return JSON.parse(line)
}

export function binanceUrls({ rest, ws, wsApi }: BinanceAddress) {
  return { restUrl: rest, streamUrl: ws, wsApiUrl: wsApi }
}

export function binanceKeys({ key, secret }: BinanceAddress) {
  return { BINANCE_API_KEY: key, BINANCE_API_SECRET: secret }
}

export function alpacaUrls({ trading, data, dataStream, tradingStream }: AlpacaAddress) {
  return {
    ...{ tradingUrl: trading, dataUrl: data },
    ...{ dataStreamUrl: dataStream, tradingStreamUrl: tradingStream },
  }
}

export function alpacaKeys({ key, secret }: AlpacaAddress) {
  return { APCA_API_KEY_ID: key, APCA_API_SECRET_KEY: secret }
}

/** Trades often, so that something is nearly always under way and every fault can spoil something. */
export function nervousConfig(
  venues: Readonly<Record<string, object>>,
  instruments: ReadonlyArray<string>,
  params = { period: 4, deviations: 0.5 },
): string {
  return JSON.stringify({
    mode: "paper",
    venues,
    strategies: instruments.map((instrument) => ({
      ...{ strategy: "mean_reversion", instrument, interval: "1s", params, notional: "500" },
    })),
    risk: { maxOrdersPerMinute: 600 },
  })
}

export const pairs = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT"] as const
