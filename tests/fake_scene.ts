/** What the fake runtime shows at its beginning: markets, books, strategies, actors, a little history. */
import type { ActorView, EventView, FillView, OrderView, StrategyView } from "../domain/overview.ts"

export interface Market {
  readonly instrument: string
  readonly base: number
  readonly swing: number
  readonly places: number
}

export const markets: ReadonlyArray<Market> = [
  { instrument: "BTC/USDT.BINANCE", base: 97_061.4, swing: 140, places: 2 },
  { instrument: "ETH/USDT.BINANCE", base: 3_488.3, swing: 9, places: 2 },
  { instrument: "SOL/USDT.BINANCE", base: 184.16, swing: 0.8, places: 2 },
  { instrument: "DOGE/USDT.BINANCE", base: 0.38214, swing: 0.0016, places: 5 },
  { instrument: "AAPL.ALPACA", base: 228.4, swing: 0.9, places: 2 },
]

/** Of a position, as far as it changes by command. */
export interface Holding {
  readonly instrument: string
  readonly quantity: number
  readonly averagePrice: number
  readonly strategy: string
  control: "auto" | "hold"
  closing: boolean
}

export function wave({ base, swing }: Market, time: number): number {
  return base +
    swing * (Math.sin(time / 140) + 0.45 * Math.sin(time / 37) + 0.16 * Math.sin(time / 5))
}

/** Every step is another price, also within one second. */
export function tremble({ swing, places }: Market, steps: number): number {
  return Math.max(10 ** -places, swing * 0.003) * (steps % 13)
}

export function holdings(): Array<Holding> {
  const auto = { control: "auto", closing: false } as const
  return [
    {
      instrument: "BTC/USDT.BINANCE",
      quantity: 0.42,
      averagePrice: 96_740.4,
      strategy: "rsi_momentum",
      ...auto,
    },
    {
      instrument: "ETH/USDT.BINANCE",
      quantity: -6.5,
      averagePrice: 3_502.9,
      strategy: "mean_reversion",
      ...auto,
    },
    {
      instrument: "SOL/USDT.BINANCE",
      quantity: 180,
      averagePrice: 185.18,
      strategy: "rsi_momentum",
      ...auto,
    },
  ]
}

export function orders(now: number): Array<OrderView> {
  const row = (
    n: number,
    instrument: string,
    side: "buy" | "sell",
    status: OrderView["status"],
    quantity: string,
    filledQuantity: string,
    price: string,
    reason: string,
    note?: string,
  ): OrderView => {
    const isLimit = n % 2 === 0
    return {
      clientOrderId: `keel-${1000 + n}`,
      venueOrderId: status === "denied" ? null : String(880_000 + n),
      instrument: `${instrument}/USDT.BINANCE`,
      side,
      type: isLimit ? "limit" : "market",
      quantity,
      filledQuantity,
      price: isLimit ? price : null,
      averagePrice: filledQuantity === "0" ? null : price,
      status,
      time: now - (9 - n) * 41_000,
      updatedAt: now - (9 - n) * 40_000,
      reason,
      origin: n % 3 === 0 ? "operator" : `rsi_momentum:${instrument}/USDT.BINANCE`,
      ...(note && { note }),
    }
  }
  return [
    row(8, "BTC", "sell", "accepted", "0.20", "0", "98347.70", "rsi_momentum: rsi 71.2 above 70"),
    row(6, "ETH", "buy", "partially_filled", "3.00", "1.20", "3458.90", "mean_reversion: z −2.1"),
    row(
      7,
      "SOL",
      "buy",
      "unconfirmed",
      "60",
      "0",
      "182.73",
      "rsi_momentum: rsi 28.8 below 30",
      "no answer within 5 s; being queried",
    ),
    row(5, "SOL", "buy", "filled", "60", "60", "183.91", "rsi_momentum: rsi 27.4 below 30"),
    row(
      4,
      "DOGE",
      "buy",
      "denied",
      "90000",
      "0",
      "0.38",
      "mean_reversion: z −2.4",
      "NOTIONAL_EXCEEDS_LIMIT notional=34392 limit=10000",
    ),
    row(3, "BTC", "buy", "filled", "0.193", "0.193", "97090.40", "rsi_momentum: rsi 29.0 below 30"),
    row(
      2,
      "ETH",
      "sell",
      "rejected",
      "9.5",
      "0",
      "3496.60",
      "mean_reversion: z 2.3",
      "venue: LOT_SIZE",
    ),
    row(1, "BTC", "buy", "canceled", "0.10", "0", "96001.00", "closed by the operator"),
  ]
}

export function fills(now: number): Array<FillView> {
  return [60, 240, 380, 610, 790, 1_050].map((age, i) => ({
    executionId: `x-${900 - i}`,
    clientOrderId: `keel-${1005 - i}`,
    instrument: markets[i % 3 === 2 ? 1 : 0]?.instrument ?? "",
    side: i % 2 === 0 ? "buy" : "sell",
    quantity: "0.193",
    price: "97090.40",
    fee: "1.87",
    feeAsset: "USDT",
    time: now - age * 1_000,
  }))
}

export function strategies(now: number, isEmpty: boolean): Array<StrategyView> {
  const row = (
    strategy: string,
    symbol: string,
    params: Record<string, unknown>,
    indicators: Record<string, string>,
    holding: string,
    lastSignal: string,
  ): StrategyView => ({
    id: `${strategy}:${symbol}/USDT.BINANCE`,
    strategy,
    instrument: `${symbol}/USDT.BINANCE`,
    interval: "1m",
    params,
    notional: "5000",
    status: isEmpty ? "warming_up" : "running",
    bars: isEmpty ? 3 : 412,
    signals: isEmpty ? 0 : 9,
    ...(!isEmpty && { lastSignal, lastSignalAt: now - 64_000 }),
    indicators: isEmpty ? {} : indicators,
    holding: isEmpty ? "0" : holding,
  })
  return [
    row(
      "rsi_momentum",
      "BTC",
      { period: 14, oversold: "30", overbought: "70" },
      { rsi: "48.2" },
      "0.42",
      "buy: rsi 29.0 below 30",
    ),
    row(
      "mean_reversion",
      "ETH",
      { period: 20, deviations: "2" },
      { mean: "3491.20", lower: "3468.75", upper: "3513.65", z: "-0.26" },
      "-6.5",
      "sell: z 2.3 above 2",
    ),
    row(
      "rsi_momentum",
      "SOL",
      { period: 14, oversold: "30", overbought: "70" },
      { rsi: "33.9" },
      "180",
      "buy: rsi 27.4 below 30",
    ),
    row(
      "mean_reversion",
      "DOGE",
      { period: 20, deviations: "2" },
      { mean: "0.3829", z: "-2.41" },
      "0",
      "buy: z −2.4 below −2",
    ),
  ]
}

type Node = readonly [depth: number, name: string, strategy?: ActorView["strategy"]]

const tree: ReadonlyArray<Node> = [
  [0, "root", "rest_for_one"],
  [1, "journal"],
  [1, "event_bus"],
  [1, "alerter"],
  [1, "accounts", "one_for_one"],
  [2, "account:binance", "rest_for_one"],
  [3, "reconciler"],
  [3, "executor"],
  [3, "risk_manager"],
  [3, "portfolio_keeper"],
  [1, "feeds", "one_for_one"],
  [2, "feed:binance"],
  [1, "strategies", "one_for_one"],
  [2, "rsi_momentum:BTC"],
  [2, "mean_reversion:ETH"],
  [2, "rsi_momentum:SOL"],
  [2, "mean_reversion:DOGE"],
  [1, "monitor"],
  [1, "http"],
]

export function actors(now: number, startedAt: number): Array<ActorView> {
  const parents: Array<string> = []
  return tree.map(([depth, name, strategy], i) => {
    parents.length = depth
    const path = [...parents, name].join("/")
    parents.push(name)
    const crash = name === "mean_reversion:ETH"
      ? { ago: 2_460_000, cause: "RangeError: division by zero in deviations", restarts: 2 }
      : name === "feed:binance"
      ? { ago: 5_760_000, cause: "SocketClosed: code 1006 after 23 h 59 m", restarts: 1 }
      : undefined
    return {
      path,
      name,
      depth,
      kind: strategy ? "supervisor" : "actor",
      ...(strategy && { strategy }),
      status: "running",
      restarts: crash?.restarts ?? 0,
      mailboxDepth: 0,
      ratePerSecond: strategy ? 0 : (i * 37) % 271,
      dropped: 0,
      startedAt: crash ? now - crash.ago : startedAt,
      lastCause: crash?.cause ?? null,
      lastCauseAt: crash ? now - crash.ago : null,
    }
  })
}

export const events: ReadonlyArray<
  readonly [ageMs: number, tag: string, tone: EventView["tone"], source: string, text: string]
> = [
  [11_220_000, "RuntimeStarted", "plain", "root", "Started, 14 actors, 5 supervisors"],
  [
    11_216_000,
    "Reconciled",
    "plain",
    "reconciler",
    "Books and venue agree: 3 positions, 2 open orders",
  ],
  [
    5_772_000,
    "FeedLost",
    "error",
    "feed:binance",
    "WebSocket closed 1006, attempt 1 of 5 in 0.9 s",
  ],
  [
    5_760_000,
    "FeedRestored",
    "plain",
    "feed:binance",
    "Streaming again after 12 s; 214 trades filled in",
  ],
  [
    2_460_000,
    "ActorRestarted",
    "warning",
    "mean_reversion:ETH",
    "RangeError: division by zero in deviations; state restored from the journal",
  ],
  [
    240_000,
    "OrderDenied",
    "warning",
    "risk_manager",
    "Buy 90,000 DOGE denied: NOTIONAL_EXCEEDS_LIMIT notional=34392 limit=10000",
  ],
  [236_000, "SignalRaised", "plain", "mean_reversion:ETH", "Sell: z 2.3 above 2"],
  [235_000, "OrderRejected", "warning", "executor", "Sell 9.5 ETH rejected by the venue: LOT_SIZE"],
  [212_000, "SnapshotTaken", "plain", "journal", "Snapshot at event 9, 14 kB"],
  [181_000, "OrderSubmitted", "plain", "executor", "Buy 60 SOL at market (rsi_momentum)"],
  [180_000, "OrderFilled", "trade", "executor", "Bought 60 SOL at 183.91 (rsi_momentum)"],
  [
    160_000,
    "Reconciled",
    "plain",
    "reconciler",
    "Books and venue agree: 3 positions, 2 open orders",
  ],
  [121_000, "OrderSubmitted", "plain", "executor", "Buy 0.193 BTC at market (rsi_momentum)"],
  [120_000, "OrderFilled", "trade", "executor", "Bought 0.193 BTC at 97,090.40 (rsi_momentum)"],
  [64_000, "SignalRaised", "plain", "rsi_momentum:BTC", "Buy: rsi 29.0 below 30"],
]
