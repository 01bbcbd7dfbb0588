/**
 * What the tests of the simulated Alpaca's doors share: a running venue, sockets that are past
 * the greetings, requests with the account's keys.
 */
import { Effect } from "effect"
import { makeMemoryAlpacaLedger } from "../../../../venues/simulator/alpaca/ledger.ts"
import {
  type AlpacaSimulatorOptions,
  type SimulatedAlpaca,
  startSimulatedAlpaca,
} from "../../../../venues/simulator/alpaca/mod.ts"
import { Ear, KEY, scopedTest, SECRET } from "../simulator.ts"

export const HEADERS = { "APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET } as const
export const IEX = "/v2/iex"
export const CRYPTO = "/v1beta3/crypto/us"

export const startVenue = (options: Partial<AlpacaSimulatorOptions> = {}) =>
  startSimulatedAlpaca({
    host: "127.0.0.1",
    port: 0,
    key: KEY,
    secret: SECRET,
    market: { kind: "synthetic", seed: 1 },
    ledger: makeMemoryAlpacaLedger(),
    partialFillProbability: 0,
    slotHeldMs: 300,
    ...options,
  })

/** A test with a venue of its own, which must be gone without a trace at its end. */
export function venueTest(
  name: string,
  body: (venue: SimulatedAlpaca) => Promise<void>,
  options: Partial<AlpacaSimulatorOptions> = {},
) {
  scopedTest(
    name,
    () => Effect.flatMap(startVenue(options), (venue) => Effect.promise(() => body(venue))),
  )
}

/** Connected and greeted. */
export async function connected(
  venue: SimulatedAlpaca,
  path: string,
  headers: Record<string, string> = {},
): Promise<Ear> {
  return await new Ear(`${venue.endpoints.dataStream}${path}`, { headers }).opened()
}

export const AUTH = { action: "auth", key: KEY, secret: SECRET } as const

/** Authenticated, and subscribed to `channels`. */
export async function listening(
  venue: SimulatedAlpaca,
  path: string,
  channels: Readonly<Record<string, ReadonlyArray<string>>> = {},
): Promise<Ear> {
  const ear = await connected(venue, path)
  ear.say(AUTH)
  await ear.hears(([one]) => one.msg === "authenticated")
  if (Object.keys(channels).length > 0) {
    ear.say({ action: "subscribe", ...channels })
    await ear.hears(([one]) => one.T === "subscription")
  }
  return ear
}

/** Everything of one type that was heard, in order. */
// deno-lint-ignore no-explicit-any
export function heard(ear: Ear, type: string): ReadonlyArray<any> {
  return ear.heard.flat().filter((message) => message.T === type)
}

/** The first message like this, past or future. */
// deno-lint-ignore no-explicit-any
export async function message(ear: Ear, like: (message: any) => boolean): Promise<any> {
  return (await ear.hears((frame) => frame.some(like))).find(like)
}

export interface Answer {
  readonly status: number
  // deno-lint-ignore no-explicit-any
  readonly body: any
  readonly headers: Headers
}

export async function get(
  venue: SimulatedAlpaca,
  path: string,
  query: Readonly<Record<string, string>> = {},
  headers: Record<string, string> = HEADERS,
): Promise<Answer> {
  const url = `${venue.endpoints.data}${path}?${new URLSearchParams(query)}`
  const response = await fetch(url, { headers })
  return { status: response.status, body: await response.json(), headers: response.headers }
}

/** Places an order that must be taken. */
// deno-lint-ignore no-explicit-any
export async function order(venue: SimulatedAlpaca, fields: object): Promise<any> {
  const response = await fetch(`${venue.endpoints.trading}/v2/orders`, {
    method: "POST",
    headers: { ...HEADERS, "content-type": "application/json" },
    body: JSON.stringify(fields),
  })
  const body = await response.json()
  if (response.status !== 200) throw new Error(`refused: ${JSON.stringify(body)}`)
  return body
}

/** Nothing is open or under way any more, and all that became of the orders has been told. */
export async function settled(venue: SimulatedAlpaca) {
  const isOpen = async () => {
    const response = await fetch(`${venue.endpoints.trading}/v2/orders`, { headers: HEADERS })
    const orders = await response.json()
    if (response.status !== 200) throw new Error(`refused: ${JSON.stringify(orders)}`)
    return orders.length > 0
  }
  while (await isOpen()) await new Promise((done) => setTimeout(done, 20))
}
