import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { decode, encode } from "@msgpack/msgpack"
import { WebSocket } from "ws"
import type { SimulatedAlpaca } from "../../../../venues/simulator/alpaca/mod.ts"
import { arm, Ear, KEY, SECRET, strike } from "../simulator.ts"
import { HEADERS, order, settled, venueTest } from "./venue.ts"

const OLD = { action: "authenticate", data: { key_id: KEY, secret_key: SECRET } }
const NEW = { action: "auth", key: KEY, secret: SECRET }
const LISTEN = { action: "listen", data: { streams: ["trade_updates"] } }

const stranger = (venue: SimulatedAlpaca) => new Ear(venue.endpoints.tradingStream).opened()

async function listener(venue: SimulatedAlpaca): Promise<Ear> {
  const ear = await stranger(venue)
  ear.say(NEW)
  ear.say(LISTEN)
  await ear.hears((frame) => frame.stream === "listening")
  return ear
}

const buy = { symbol: "SPY", qty: "2", side: "buy", type: "market", time_in_force: "day" }

venueTest("both forms of authentication are taken, the old one with a warning", async (venue) => {
  const [old, now] = [await stranger(venue), await stranger(venue)]
  old.say(OLD)
  now.say(NEW)
  await Promise.all([old.count(1), now.count(1)])
  const { message, ...rest } = old.heard[0].data
  assert.match(message, /being deprecated.*"action":"auth"/)
  assert.deepEqual(rest, { action: "authenticate", status: "authorized" })
  assert.deepEqual(now.heard[0], {
    stream: "authorization",
    data: { action: "auth", status: "authorized" },
  })
  await Promise.all([old.close(), now.close()])
})

venueTest("who is not authorised is told so, whatever it asks", async (venue) => {
  const ear = await stranger(venue)
  ear.say(LISTEN)
  ear.say({ action: "auth", key: KEY, secret: "wrong" })
  ear.say({ action: "authenticate", data: { key_id: "x", secret_key: SECRET } })
  ear.say("{")
  await ear.count(4)
  assert.deepEqual(ear.heard.slice(0, 3).map(({ data }) => [data.action, data.status]), [
    ["listen", "unauthorized"],
    ["auth", "unauthorized"],
    ["authenticate", "unauthorized"],
  ])
  assert.equal(ear.heard[3].data.error_message, "not authenticated")
  await order(venue, buy)
  await settled(venue)
  ear.say(NEW)
  await ear.count(5)
  assert.equal(ear.heard.some(({ stream }) => stream === "trade_updates"), false)
  await ear.close()
})

venueTest("the list of streams replaces what was there", async (venue) => {
  const ear = await listener(venue)
  ear.say({ action: "listen", data: { streams: ["account_updates"] } })
  await ear.hears((frame) => frame.data.error !== undefined)
  assert.deepEqual(ear.heard.at(-1).data.streams, [])
  await order(venue, buy)
  await settled(venue)
  ear.say(LISTEN)
  await ear.hears((frame) => frame !== ear.heard[1] && frame.data.streams?.length === 1)
  assert.equal(ear.heard.some(({ stream }) => stream === "trade_updates"), false)
  await ear.close()
})

venueTest("what becomes of an order is told in binary frames that hold JSON", async (venue) => {
  const socket = new WebSocket(venue.endpoints.tradingStream)
  await new Promise((resolve) => socket.on("open", resolve))
  // deno-lint-ignore no-explicit-any
  const updates = new Array<any>()
  const filled = new Promise<void>((resolve) => {
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      assert.equal(isBinary, true)
      const { stream, data: update } = JSON.parse(data.toString())
      if (stream === "listening") order(venue, { ...buy, client_order_id: "mine" })
      if (stream !== "trade_updates") return
      updates.push(update)
      if (update.event === "fill") resolve()
    })
  })
  socket.send(JSON.stringify(NEW))
  socket.send(JSON.stringify(LISTEN))
  await filled
  assert.deepEqual(updates.map(({ event }) => event), ["pending_new", "new", "fill"])
  const fill = updates[2]
  assert.deepEqual([fill.order.client_order_id, fill.qty, fill.order.filled_qty], [
    "mine",
    "2",
    "2",
  ])
  assert.equal(fill.position_qty, "2")
  const gone = new Promise((resolve) => socket.on("close", resolve))
  socket.close()
  await gone
})

venueTest("who asks for MessagePack hears and is heard in it", async (venue) => {
  const socket = new WebSocket(venue.endpoints.tradingStream, {
    headers: { "Content-Type": "application/msgpack" },
  })
  await new Promise((resolve) => socket.on("open", resolve))
  const heard = new Array<unknown>()
  const both = new Promise<void>((resolve) => {
    socket.on("message", (data: Buffer) => heard.push(decode(data)) === 2 && resolve())
  })
  socket.send(encode(NEW))
  socket.send(encode(LISTEN))
  await both
  assert.deepEqual(heard, [
    { stream: "authorization", data: { action: "auth", status: "authorized" } },
    { stream: "listening", data: { streams: ["trade_updates"] } },
  ])
  const gone = new Promise((resolve) => socket.on("close", resolve))
  socket.close()
  await gone
})

venueTest("updates can be lost, doubled, or end without a word", async (venue) => {
  const ear = await listener(venue)
  const events = () =>
    ear.heard.filter(({ stream }) => stream === "trade_updates").map(({ data }) => data.event)
  await arm(venue, { kind: "drop", count: 1, match: { event: "new" } })
  await arm(venue, { kind: "duplicate", count: 1, match: { event: "fill", symbol: "SPY" } })
  await order(venue, buy)
  await ear.hears(() => events().length === 3)
  assert.deepEqual(events(), ["pending_new", "fill", "fill"])
  await strike(venue, { kind: "end_user_data" })
  await order(venue, buy)
  await settled(venue)
  await ear.ping()
  assert.equal(events().length, 3)
  await ear.close()
})

venueTest("the stream of updates can die alone, and its key can be revoked", async (venue) => {
  const ear = await listener(venue)
  await arm(venue, { kind: "cut_connections", match: { door: "tradingStream" } })
  assert.equal(await ear.closed, 1006)
  await arm(venue, { kind: "auth_failure", count: 1, match: { door: "tradingStream" } })
  const again = await stranger(venue)
  again.say(NEW)
  await again.hears(({ data }) => data.status === "unauthorized")
  await strike(venue, { kind: "revoke_key" })
  again.say(NEW)
  await again.count(2)
  assert.equal(again.heard[1].data.status, "unauthorized")
  const response = await fetch(`${venue.endpoints.trading}/v2/account`, { headers: HEADERS })
  assert.deepEqual([response.status, await response.json()], [403, {
    code: 40110000,
    message: "request is not authorized",
  }])
  await again.close()
})
