/** Frames as the venue sends them, one of each, to be decoded and to be damaged. */

export const trade = {
  ...{
    e: "trade",
    E: 1_700_000_000_100,
    s: "BTCUSDT",
    t: 12345,
    p: "37000.01000000",
    q: "0.00150000",
  },
  ...{ T: 1_700_000_000_099, m: true, M: true },
}
export const bookTicker = {
  ...{ u: 400900217, s: "BTCUSDT", b: "37000.00000000", B: "1.50000000" },
  ...{ a: "37000.01000000", A: "0.25000000" },
}
export const kline = {
  ...{ e: "kline", E: 1_700_000_060_005, s: "BTCUSDT" },
  k: {
    ...{
      t: 1_700_000_000_000 - 1_700_000_000_000 % 60_000,
      T: 1_700_000_000_000 - 1_700_000_000_000 % 60_000 + 59_999,
    },
    ...{
      s: "BTCUSDT",
      i: "1m",
      f: 100,
      L: 200,
      o: "37000.00",
      c: "37001.50",
      h: "37002.00",
      l: "36999.00",
    },
    ...{ v: "12.34500000", n: 101, x: true, q: "456789.00", V: "6.0", Q: "222222.00", B: "0" },
  },
}
export const depth = {
  ...{ e: "depthUpdate", E: 1_700_000_000_200, s: "BTCUSDT", U: 157, u: 160 },
  ...{ b: [["37000.00", "10.0"]], a: [["37000.01", "0.00000000"], ["37000.02", "3"]] },
}
export const snapshot = {
  lastUpdateId: 156,
  bids: [["37000.00", "4.0"]],
  asks: [["37000.01", "12.0"]],
}

export const executionReport = {
  ...{
    e: "executionReport",
    E: 1_700_000_000_300,
    s: "BTCUSDT",
    c: "keel-1",
    S: "BUY",
    o: "MARKET",
    f: "GTC",
  },
  ...{
    q: "0.00200000",
    p: "0.00000000",
    P: "0.00000000",
    F: "0.00000000",
    g: -1,
    C: "",
    x: "TRADE",
  },
  ...{
    X: "PARTIALLY_FILLED",
    r: "NONE",
    i: 4293153,
    l: "0.00100000",
    z: "0.00100000",
    L: "37000.01",
  },
  ...{
    n: "0.00000100",
    N: "BTC",
    T: 1_700_000_000_299,
    t: 77,
    I: 8641984,
    w: false,
    m: false,
    M: false,
  },
  ...{ O: 1_700_000_000_290, Z: "37.00", Y: "37.00", Q: "0.0", W: 1_700_000_000_290, V: "NONE" },
}
export const accountPosition = {
  ...{ e: "outboundAccountPosition", E: 1_700_000_000_300, u: 1_700_000_000_299 },
  B: [{ a: "BTC", f: "0.00099900", l: "0.00000000" }, { a: "USDT", f: "99963.00", l: "10.5" }],
}

export const everyFrame: ReadonlyArray<unknown> = [
  ...[trade, bookTicker, kline, depth].map((data) => ({ stream: "btcusdt@x", data })),
  ...[trade, bookTicker, kline, depth, snapshot],
  { result: null, id: 1 },
  { code: 2, msg: "Invalid request", id: 1 },
  { stream: "!serverShutdown", data: { e: "serverShutdown", E: 1 } },
  { id: "subscribe", status: 200, result: { subscriptionId: 0 }, rateLimits: [] },
  {
    id: null,
    status: 401,
    error: { code: -2015, msg: "Invalid API-key, IP, or permissions for action." },
  },
  ...[executionReport, accountPosition].map((event) => ({ subscriptionId: 0, event })),
  { subscriptionId: 0, event: { e: "balanceUpdate", E: 1, a: "BTC", d: "1.0", T: 1 } },
  { event: { e: "eventStreamTerminated", E: 1 } },
]
