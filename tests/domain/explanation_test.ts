import assert from "node:assert/strict"
import { whyNotTrading } from "../../domain/explanation.ts"
import { type ClosedGate, closedGates, type GateFacts } from "../../domain/gate.ts"
import type {
  AccountView,
  FeedInstrumentView,
  FeedView,
  Overview,
  StrategyView,
} from "../../domain/overview.ts"

const BTC = "BTC/USDT.BINANCE"

const line: FeedInstrumentView = {
  instrument: BTC,
  price: "100",
  bid: "99.99",
  ask: "100.01",
  ageMs: 200,
  source: "stream",
  fresh: true,
  staleAfterMs: 3_000,
  trades: 1,
  lastTradeId: "1",
  duplicates: 0,
  gaps: 0,
}
const feed: FeedView = {
  venue: "binance",
  status: "streaming",
  phase: "streaming",
  attempt: 0,
  attemptMax: 5,
  lastDataAt: 1_000,
  since: 0,
  reconnects: 0,
  framesPerSecond: 1,
  undecoded: 0,
  instruments: [line],
}
const account = { venue: "binance", status: "ready", link: "streaming" } as unknown as AccountView
const strategy: StrategyView = {
  id: `rsi:${BTC}`,
  strategy: "rsi",
  instrument: BTC,
  interval: "1m",
  params: {},
  notional: "100",
  status: "running",
  bars: 9,
  signals: 0,
  indicators: {},
  holding: "0",
}

function overview(change: Partial<Overview> = {}): Overview {
  return {
    tradingState: "active",
    accounts: [account],
    feeds: [feed],
    strategies: [strategy],
    positions: [],
    orders: [],
    events: [],
    ...change,
  } as unknown as Overview
}

function lineIs(change: Partial<FeedInstrumentView>): Partial<Overview> {
  return { feeds: [{ ...feed, instruments: [{ ...line, ...change }] }] }
}

function obstacles(change: Partial<Overview>, kind: "instrument" | "strategy" = "instrument") {
  const found = whyNotTrading(overview(change), "binance").find((each) => each.kind === kind)
  return found?.obstacles.map(({ code, text }) => `${code}: ${text}`) ?? []
}

Deno.test("whyNotTrading() has nothing to say of what may trade", () => {
  assert.deepEqual(
    whyNotTrading(overview(), "binance").map(({ kind, obstacles, subject }) => [
      kind,
      subject,
      obstacles.length,
    ]),
    [["instrument", BTC, 0], ["strategy", `rsi:${BTC}`, 0]],
  )
})

const outage = (change: Partial<FeedView>): Partial<Overview> => ({
  feeds: [{ ...feed, status: "reconnecting", instruments: [{ ...line, fresh: false }], ...change }],
})
const cases: ReadonlyArray<readonly [string, Partial<Overview>, RegExp]> = [
  ["a pause", { tradingState: "halted", tradingStateReason: "lunch" }, /^TRADING_HALTED: .*lunch/],
  [
    "an account that is not compared",
    { accounts: [{ ...account, status: "reconciling", lastCause: "reset" }] },
    /^ACCOUNT_NOT_RECONCILED: .*: reset/,
  ],
  [
    "a lost stream with its cause",
    outage({ phase: "reconnecting", cause: "closed with code 1006" }),
    /^MARKET_DATA_STALE: .*interrupted: closed with code 1006/,
  ],
  [
    "what a recovery waits for",
    outage({ phase: "recovering", waitsFor: ["the trades that were missed"] }),
    /^MARKET_DATA_STALE: .*waiting for the trades that were missed/,
  ],
  ["polling", outage({ phase: "polling", cause: "x" }), /good for exits only/],
  ["a venue that says wait", outage({ phase: "waiting" }), /told us to wait/],
  ["a venue that refuses", outage({ phase: "blocked", cause: "451" }), /refuses us: 451/],
  ["an old price", lineIs({ fresh: false, ageMs: 4_200 }), /4\.2 s old; 3\.0 s are allowed/],
  ["a price that never came", lineIs({ fresh: false, ageMs: null }), /No price of it has been/],
  [
    "a closed market, and not its old price",
    lineIs({
      fresh: false,
      ageMs: 9_000_000,
      withheld: { code: "MARKET_CLOSED", numbers: { session: "closed" } },
    }),
    /^MARKET_CLOSED: The market is closed/,
  ],
  [
    "a halt",
    lineIs({ halt: { status: "halted", reason: "LUDP" }, fresh: true }),
    /^INSTRUMENT_HALTED: .*LUDP/,
  ],
  ["a hold", lineIs({ onHold: true }), /^POSITION_ON_HOLD: You have put it on hold/],
  [
    "what the venue does not trade",
    lineIs({ listed: "cancel_only" }),
    /^INSTRUMENT_NOT_TRADING: .*cancel_only/,
  ],
]
for (const [what, change, expected] of cases) {
  Deno.test(`whyNotTrading() names ${what}, for the instrument and its strategy`, () => {
    for (const kind of ["instrument", "strategy"] as const) {
      const found = obstacles(change, kind)
      assert.equal(found.length, 1, found.join("\n"))
      assert.match(found[0]!, expected)
    }
  })
}

Deno.test("whyNotTrading() names all that stands in the way, not only the first", () => {
  const found = obstacles({
    ...outage({ phase: "polling" }),
    tradingState: "halted",
    accounts: [{ ...account, status: "down" }],
  })
  assert.deepEqual(found.map((each) => each.split(":")[0]), [
    "TRADING_HALTED",
    "ACCOUNT_NOT_RECONCILED",
    "MARKET_DATA_STALE",
  ])
})

Deno.test("whyNotTrading() tells a strategy's own state, its order, its holding and its last refusal", () => {
  const [, found] = whyNotTrading(
    overview({
      strategies: [{ ...strategy, status: "stopped", holding: "0.5" }],
      orders: [{
        clientOrderId: "keel-1",
        instrument: BTC,
        origin: strategy.id,
        status: "unconfirmed",
      }] as unknown as Overview["orders"],
      events: [{
        seq: 9,
        time: 77,
        type: "OrderDenied",
        tone: "warning",
        source: strategy.id,
        text: "buy denied: ORDER_RATE_EXCEEDED",
      }],
    }),
    "binance",
  )
  assert.deepEqual(found!.obstacles.map(({ code }) => code), [
    "STRATEGY_NOT_RUNNING",
    "ORDER_IN_FLIGHT",
    "ALREADY_HOLDING",
  ])
  assert.deepEqual(found!.notes.map(({ at }) => at), [77])
})

Deno.test("closedGates() is empty only when every fact is good", () => {
  const good: GateFacts = {
    tradingState: "active",
    tradingStateReason: undefined,
    venue: "binance",
    account: { ready: true, cause: undefined },
    feed: "streaming",
    instrument: BTC,
    status: "trading",
    halt: undefined,
    onHold: false,
    withheld: undefined,
  }
  assert.deepEqual(closedGates(good), [])
  const bad: ReadonlyArray<readonly [Partial<GateFacts>, ClosedGate["code"]]> = [
    [{ tradingState: "halted" }, "TRADING_HALTED"],
    [{ tradingState: "reducing" }, "TRADING_REDUCING"],
    [{ account: undefined }, "ACCOUNT_NOT_RECONCILED"],
    [{ account: { ready: false, cause: "x" } }, "ACCOUNT_NOT_RECONCILED"],
    [{ feed: "lost" }, "MARKET_DATA_STALE"],
    [{ halt: { status: "halted", reason: "" } }, "INSTRUMENT_HALTED"],
    [{ status: "closed" }, "INSTRUMENT_NOT_TRADING"],
    [{ onHold: true }, "POSITION_ON_HOLD"],
    [{ withheld: { code: "PRICE_OUTSIDE_BAND", numbers: {} } }, "PRICE_OUTSIDE_BAND"],
    [{ withheld: { code: "MARKET_CLOSED", numbers: {} } }, "MARKET_CLOSED"],
  ]
  for (const [change, code] of bad) {
    assert.deepEqual(closedGates({ ...good, ...change }).map((each) => each.code), [code])
  }
})
