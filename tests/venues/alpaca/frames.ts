/** Messages as the venue sends them, one of each, to be decoded and to be damaged. */

export const trade = {
  ...{ T: "t", S: "AAPL", i: 52983525029461, x: "V", p: 230.155, s: 100 },
  ...{ c: ["@"], z: "C", t: "2026-11-23T15:30:00.123456789Z" },
}
export const cryptoTrade = {
  ...{ T: "t", S: "BTC/USD", p: 64123.45, s: 0.00210777, t: "2026-11-23T15:30:00.5Z" },
  ...{ i: 3741, tks: "S" },
}
export const quote = {
  ...{ T: "q", S: "AAPL", bx: "V", bp: 230.15, bs: 200, ax: "V", ap: 230.17, as: 300 },
  ...{ c: ["R"], z: "C", t: "2026-11-23T15:30:00.000000001Z" },
}
export const cryptoQuote = {
  ...{ T: "q", S: "BTC/USD", bp: 64123.4, bs: 0.5, ap: 64130.1, as: 1.25 },
  t: "2026-11-23T15:30:01Z",
}
export const bar = {
  ...{ T: "b", S: "AAPL", o: 230.1, h: 230.5, l: 230.05, c: 230.4, v: 12345, n: 88, vw: 230.2 },
  t: "2026-11-23T15:30:00Z",
}
export const halt = {
  ...{ T: "s", S: "AAPL", sc: "P", sm: "Volatility Trading Pause", rc: "LUDP" },
  ...{ rm: "Volatility Trading Pause", t: "2026-11-23T15:31:00.25Z", z: "C" },
}
export const resume = {
  ...{ T: "s", S: "AAPL", sc: "T", sm: "Trading Resumption", rc: "", rm: "" },
  ...{ t: "2026-11-23T15:36:00Z", z: "C" },
}
export const luld = {
  ...{ T: "l", S: "AAPL", u: 241.66, d: 218.64, i: "B", t: "2026-11-23T15:30:02Z", z: "C" },
}
export const correction = {
  ...{ T: "c", S: "AAPL", x: "V", oi: 71, op: 230.2, os: 10, oc: ["@"], ci: 72, cp: 230.1 },
  ...{ cs: 10, cc: ["@"], t: "2026-11-23T15:30:03Z", z: "C" },
}
export const cancel = {
  ...{ T: "x", S: "AAPL", i: 71, x: "V", p: 230.2, s: 10, a: "C", z: "C" },
  t: "2026-11-23T15:30:04Z",
}

export const order = {
  ...{ id: "8b21a4a6-5fd4-4c1c-9a52-6a2df5eb3a01", client_order_id: "keel-a1-7" },
  ...{ created_at: "2026-11-23T15:30:00.1Z", updated_at: "2026-11-23T15:30:00.4Z" },
  ...{ submitted_at: "2026-11-23T15:30:00.1Z", filled_at: null, expired_at: null },
  ...{ canceled_at: null, failed_at: null, replaced_at: null, replaced_by: null, replaces: null },
  ...{ asset_id: "0f2f4bfe-7f0d-4b0e-9d0e-2d5a5ce8ff9e", symbol: "AAPL", asset_class: "us_equity" },
  ...{ notional: null, qty: "10", filled_qty: "4", filled_avg_price: "230.155", side: "buy" },
  ...{ order_class: "", order_type: "market", type: "market", time_in_force: "day" },
  ...{ limit_price: null, stop_price: null, status: "partially_filled", extended_hours: false },
  ...{ legs: null, trail_percent: null, trail_price: null, hwm: null },
}
export const fill = {
  stream: "trade_updates",
  data: {
    ...{ event: "partial_fill", event_id: "01KAT0000000000000000000F1" },
    ...{ at: "2026-11-23T15:30:00.41Z", timestamp: "2026-11-23T15:30:00.4001Z" },
    ...{ execution_id: "2c9b8a3d-7b0b-4a57-8f0c-6c3c1bb1d0aa", price: "230.155", qty: "4" },
    ...{ position_qty: "4", order },
  },
}
export const accepted = {
  stream: "trade_updates",
  data: {
    ...{ event: "new", event_id: "01KAT0000000000000000000N1" },
    ...{ execution_id: "e1", timestamp: "2026-11-23T15:30:00.2Z" },
    order: { ...order, status: "new", filled_qty: "0" },
  },
}
export const authorized = {
  stream: "authorization",
  data: { action: "authenticate", status: "authorized" },
}
export const listening = { stream: "listening", data: { streams: ["trade_updates"] } }

export const marketMessages = [
  ...[trade, cryptoTrade, quote, cryptoQuote, bar, halt, resume, luld, correction, cancel],
  { T: "success", msg: "connected" },
  { T: "success", msg: "authenticated" },
  { T: "subscription", trades: ["AAPL"], quotes: ["AAPL"] },
  { T: "error", code: 406, msg: "connection limit exceeded" },
]
export const everyFrame = [
  ...marketMessages.map((message) => JSON.stringify([message])),
  JSON.stringify(marketMessages),
  ...[fill, accepted, authorized, listening].map((message) => JSON.stringify(message)),
]
