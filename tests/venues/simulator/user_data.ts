/** A plain connection that is subscribed to the account's user data. */
import { createHmac } from "node:crypto"
import type { SimulatedBinance } from "../../../venues/simulator/binance.ts"
import { Ear, KEY, SECRET } from "./simulator.ts"

export async function subscribed(venue: SimulatedBinance) {
  const { serverTime } = await (await fetch(`${venue.endpoints.rest}/api/v3/time`)).json()
  const ear = await new Ear(venue.endpoints.wsApi).opened()
  const payload = `apiKey=${KEY}&timestamp=${serverTime}`
  const signature = createHmac("sha256", SECRET).update(payload).digest("hex")
  ear.say({
    id: "sub",
    method: "userDataStream.subscribe.signature",
    params: { apiKey: KEY, timestamp: serverTime, signature },
  })
  const ack = await ear.hears((frame) => frame.id === "sub")
  return { ear, ack }
}
