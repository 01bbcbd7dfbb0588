/**
 * A venue that is honest by default and can be told how to fail.
 *
 * It implements both ports on virtual time. It has one tape, one set of orders and one set of
 * balances, whatever it tells its clients about them: a lost answer is lost on the way, never in
 * its books. What it was sent is kept, with the time, for tests to look at.
 */
import { Deferred, Effect, Option } from "effect"
import type { VirtualTime } from "../../actors/runtime/virtual_time.ts"
import {
  add,
  type Decimal,
  decimal,
  divide,
  floorTo,
  isLess,
  isZero,
  multiply,
  negate,
  subtract,
  zero,
} from "../../domain/decimal.ts"
import { dateAfter, type TradingDay } from "../../domain/calendar.ts"
import { type Instrument, type InstrumentId, venueOf } from "../../domain/instrument.ts"
import type { Bar, MarketEvent, Quote, Trade } from "../../domain/market.ts"
import {
  type Balance,
  type Broker,
  type Execution,
  type NewOrder,
  type OrderAck,
  OrderNotSent,
  OrderRefused,
  type OrderReport,
  OrderUnknown,
  type PrivateEvent,
  type PrivateSink,
  type SubmitError,
} from "../../venues/broker.ts"
import {
  Closed,
  type MarketData,
  type MarketDataSink,
  Overrun,
  Unreachable,
  VenueError,
  type VenueFailure,
} from "../../venues/market_data.ts"

export const VENUE = "binance"
export const BTC = "BTC/USDT.BINANCE"
export const ETH = "ETH/USDT.BINANCE"
/** At a venue of its own, beside that one. */
export const USD_BTC = "BTC/USD.ALPACA"

export function instrument(id: InstrumentId): Instrument {
  const [base = "", quote] = id.slice(0, id.lastIndexOf(".")).split("/")
  return {
    id,
    venue: venueOf(id),
    assetClass: quote === undefined ? "us_equity" : "crypto",
    symbol: base + (quote ?? ""),
    base,
    quote: quote ?? "USD",
    tickSize: decimal("0.01"),
    lotSize: decimal("0.0001"),
    quantityMin: decimal("0.0001"),
    quantityMax: decimal("9000"),
    notionalMin: decimal("5"),
    status: "trading",
  }
}

/** What becomes of one order request and its answer. */
export type SubmitFault =
  | "lose_request"
  | "lose_answer"
  | "late_answer"
  /** Arrives after its answer was given up. */
  | "late_request"
  /** Taken, and never answered. */
  | "hang"
  | "refuse"
  | "not_sent"
/** What the market does with one order. */
export type FillPlan = "full" | "pieces" | "part_then_expire" | "slow" | "rest"
/** What becomes of one frame of the private stream. */
export type FrameFault = "lose" | "duplicate" | "late"

export interface VenueOrder extends NewOrder {
  readonly venueOrderId: string
  readonly time: number
  filled: Decimal
  status: OrderReport["status"]
  reason: string
  /** Every change, for reads that lag. */
  readonly history: Array<{ readonly time: number; readonly report: OrderReport }>
}

interface Connection<Sink> {
  readonly sink: Sink
  readonly dead: Deferred.Deferred<never, VenueError>
}

const FEE = decimal("0.001")
const ANSWER_MS = 20
const FRAME_MS = 15
const LATE_MS = 2_500
const TRADES_MAX = 1_000
/** When a client gives up on an answer. */
const GIVE_UP_MS = 1_000

export class FakeVenue {
  /** One entry is used up by each request; without an entry nothing goes wrong. */
  readonly faults = {
    submit: [] as Array<SubmitFault>,
    fills: [] as Array<FillPlan>,
    frames: [] as Array<FrameFault>,
    /** Attempts to connect to the market stream. */
    connects: [] as Array<VenueFailure | "mute">,
  }
  /** As long as it is set, every connection attempt and every request ends with it. */
  marketDown: VenueFailure | undefined
  privateDown: VenueFailure | undefined
  readsDown: VenueFailure | undefined
  quotesDown: VenueFailure | undefined
  /** Of the peer's goodbye, when we end its stream. */
  leavingTakesMs = 0
  /** Of an answer with prices. */
  quotesTakeMs = ANSWER_MS
  historyDown: VenueFailure | undefined
  /** Requests for missed trades end with it. */
  tradesDown: VenueFailure | undefined
  /** Missed trades can be read so long after they were made. */
  tapeLagMs = 0
  /** Orders in these are refused. */
  readonly refuses = new Set<InstrumentId>()
  /** Fees are taken in this, whatever is traded. */
  feeAsset: string | undefined
  /** Connected, and silent. */
  mute = false
  /** Connected, and silent about these. */
  readonly muted = new Set<InstrumentId>()
  /** What the stream says is as old as that when it arrives. */
  lateMs = 0
  /** The venue's clock is ahead of ours by so much. */
  skewMs = 0
  /** When shares are traded; by default always. */
  tradingDays: (from: string, to: string) => ReadonlyArray<TradingDay> = everyDay
  /** Reads show the books as they were so long ago. */
  readLagMs = 0

  /** How long an answer takes. */
  answerMs = ANSWER_MS
  /** When the venue may be believed about an order whose answer was lost. */
  conclusiveMs = 5_000

  readonly orderReads: Array<{ readonly clientOrderId: string; readonly at: number }> = []
  readonly executionReads: Array<{ readonly since: number; readonly at: number }> = []
  readonly name: string
  readonly submits: Array<NewOrder & { readonly at: number }> = []
  readonly cancels: Array<string> = []
  readonly connectsAt: Array<number> = []
  readonly polls: Array<number> = []
  readonly historyReads: Array<{ readonly until: number; readonly limit: number }> = []
  readonly tradeReads: Array<
    { readonly instrument: InstrumentId; readonly after: string; readonly at: number }
  > = []
  readonly orders = new Map<string, VenueOrder>()
  readonly executions: Array<Execution> = []
  readonly tape: Array<Trade> = []
  /** Called with every order at the moment it reaches the wire. */
  onSubmit: (order: NewOrder) => void = () => {}
  /** When each instrument's last quote went out on a live stream. */
  readonly quotedAt = new Map<InstrumentId, number>()

  readonly #moves: Array<{ readonly time: number; readonly asset: string; readonly by: Decimal }> =
    []
  readonly #prices = new Map<InstrumentId, Decimal>()
  readonly #market = new Set<Connection<MarketDataSink>>()
  readonly #private = new Set<Connection<PrivateSink>>()
  readonly #trades = new Map<InstrumentId, number>()
  #ids = 0
  #driving = 0

  constructor(readonly time: VirtualTime, readonly instruments: ReadonlyArray<Instrument>) {
    const [{ quote, venue } = { quote: "USDT", venue: VENUE }] = instruments
    this.name = venue
    this.market = { ...this.market, venue }
    this.broker = { ...this.broker, venue, quoteAsset: quote }
    this.deposit(quote, "100000")
    for (const { id } of instruments) this.#prices.set(id, decimal("100"))
  }

  // ---- what a test does ------------------------------------------------------------------

  deposit(asset: string, quantity: string) {
    this.#moves.push({ time: -Infinity, asset, by: decimal(quantity) })
  }

  /** Somebody moves assets by another way than through us. */
  withdraw(asset: string, quantity: string) {
    this.#moves.push({ time: this.time.now, asset, by: negate(decimal(quantity)) })
  }

  price(id: InstrumentId): Decimal {
    return this.#prices.get(id)!
  }

  /** The market trades at `price`; who is connected learns it. */
  print(id: InstrumentId, price: string, at = this.time.now + this.skewMs) {
    this.#prices.set(id, decimal(price))
    const trade: Trade = {
      _tag: "Trade",
      instrument: id,
      tradeId: String(this.#nextTrade(id)),
      price: decimal(price),
      size: decimal("1"),
      side: "buy",
      time: at,
    }
    this.tape.push(trade)
    this.emit(trade)
    this.emit(this.quote(id))
  }

  quote(id: InstrumentId): Quote {
    const price = this.price(id)
    return {
      _tag: "Quote",
      instrument: id,
      updateId: String(this.#next()),
      bid: subtract(price, decimal("0.01")),
      bidSize: decimal("100"),
      ask: add(price, decimal("0.01")),
      askSize: decimal("100"),
      time: this.time.now,
      venueTime: false,
    }
  }

  emit(event: MarketEvent) {
    if (this.mute || this.muted.has(event.instrument)) return
    if (this.lateMs > 0) this.later(this.lateMs, () => this.#deliver(event))
    else this.#deliver(event)
  }

  #deliver(event: MarketEvent) {
    for (const connection of this.#market) {
      if (connection.sink.event(event)) {
        if (event._tag === "Quote") this.quotedAt.set(event.instrument, this.time.now)
      } else this.#end(this.#market, connection, "market stream", new Overrun({ waiting: 1 }))
    }
  }

  /** Prints every instrument every `everyMs`, on a walk that `step` draws; returns how to stop. */
  drive(everyMs: number, step: () => number = () => 0): () => void {
    const mine = ++this.#driving
    const beat = () => {
      if (this.#driving !== mine) return
      for (const { id } of this.instruments) {
        const next = add(this.price(id), decimal(step().toFixed(2)))
        this.print(id, isLess(next, decimal("50")) ? "50" : text(next))
      }
      this.later(everyMs, beat)
    }
    this.later(everyMs, beat)
    return () => void this.#driving++
  }

  cutMarket(reason: VenueFailure = closed) {
    for (const each of [...this.#market]) this.#end(this.#market, each, "market stream", reason)
  }

  cutPrivate(reason: VenueFailure = closed) {
    for (const each of [...this.#private]) this.#end(this.#private, each, "private stream", reason)
  }

  get streaming() {
    return this.#market.size > 0
  }

  /** An order of somebody else on the same account. */
  placeForeign(id: InstrumentId) {
    const order: NewOrder = {
      clientOrderId: `web-${this.#next()}`,
      instrument: id,
      side: "buy",
      type: "limit",
      quantity: decimal("1"),
      price: decimal("1"),
    }
    const placed = this.#place(order)
    return () => this.#finish(placed, "canceled", "")
  }

  /** The end of the day: nothing rests any more. */
  expireAll() {
    for (const order of this.orders.values()) this.#finish(order, "expired", "end of day")
  }

  /** Held beyond what was deposited. */
  position(id: InstrumentId): Decimal {
    const { base } = this.instruments.find((each) => each.id === id)!
    return this.#moves
      .filter(({ asset, time }) => asset === base && time !== -Infinity)
      .reduce((sum, { by }) => add(sum, by), zero)
  }

  balance(asset: string): Decimal {
    return this.#balanceAt(asset, this.time.now)
  }

  later(ms: number, what: () => void) {
    Effect.runFork(
      this.time.provide(Effect.andThen(Effect.sleep(ms), Effect.sync(what))),
    )
  }

  // ---- the ports -------------------------------------------------------------------------

  readonly market: MarketData = {
    venue: VENUE,
    tradeIds: "dense",
    instruments: (ids) => Effect.succeed(this.instruments.filter((each) => ids.includes(each.id))),
    stream: (_, sink) =>
      Effect.suspend(() => {
        this.connectsAt.push(this.time.now)
        const fault = this.faults.connects.shift() ?? this.marketDown
        if (fault === "mute") return Effect.never
        if (fault !== undefined) return this.#fail("market stream", fault, ANSWER_MS)
        return this.#connect(this.#market, sink, () => {}).pipe(
          Effect.onInterrupt(() => Effect.sleep(this.leavingTakesMs)),
        )
      }),
    quotes: (ids) =>
      Effect.suspend(() => {
        this.polls.push(this.time.now)
        const fault = this.quotesDown
        if (fault !== undefined) return this.#fail("GET quotes", fault, ANSWER_MS)
        return Effect.delay(Effect.sync(() => ids.map((id) => this.quote(id))), this.quotesTakeMs)
      }),
    bars: (id, intervalMs, until, limit) =>
      Effect.suspend(() => {
        this.historyReads.push({ until, limit })
        if (this.historyDown !== undefined) {
          return this.#fail("GET bars", this.historyDown, ANSWER_MS)
        }
        return Effect.delay(
          Effect.sync(() => barsOf(this.tape, id, intervalMs, until).slice(-limit)),
          ANSWER_MS,
        )
      }),
    tradesAfter: (id, { tradeId }) =>
      Effect.suspend(() => {
        this.tradeReads.push({ instrument: id, after: tradeId, at: this.time.now })
        if (this.tradesDown !== undefined) {
          return this.#fail("GET trades", this.tradesDown, ANSWER_MS)
        }
        return Effect.delay(Effect.sync(() => this.#tradesAfter(id, tradeId)), ANSWER_MS)
      }),
    calendar: (from, to) => Effect.sync(() => this.tradingDays(from, to)),
  }

  readonly broker: Broker = {
    venue: VENUE,
    quoteAsset: "USDT",
    connect: Effect.suspend(() => this.#read("GET account", () => ({ clockOffsetMs: 0 }))),
    capabilities: {
      orderTypes: new Set(["market", "limit"]),
      timeInForces: new Set(["gtc"]),
      notional: false,
      bracket: false,
      extendedHours: false,
    },
    replace: () => Effect.fail(new OrderNotSent({ detail: "orders are not replaced here" })),
    cancelAll: Effect.suspend(() => this.#read("DELETE openOrders", () => this.#cancelAll())),
    submit: (order) => Effect.suspend(() => this.#submit(order)),
    cancel: (_, clientOrderId) =>
      Effect.suspend(() =>
        this.#read("DELETE order", () => {
          this.cancels.push(clientOrderId)
          const order = this.orders.get(clientOrderId)
          if (order === undefined || isFinal(order)) return "unknown_order"
          this.#finish(order, "canceled", "")
          return "requested"
        })
      ),
    order: (_, clientOrderId) =>
      Effect.suspend(() =>
        this.#read("GET order", () => {
          this.orderReads.push({ clientOrderId, at: this.time.now })
          const order = this.orders.get(clientOrderId)
          return Option.fromUndefinedOr(order && this.#reportAsRead(order))
        })
      ),
    openOrders: Effect.suspend(() =>
      this.#read("GET openOrders", () =>
        [...this.orders.values()].flatMap((order) => {
          const report = this.#reportAsRead(order)
          return report === undefined || finals.has(report.status) ? [] : [report]
        }))
    ),
    executions: (id, since) =>
      Effect.suspend(() =>
        this.#read("GET myTrades", () => {
          this.executionReads.push({ since, at: this.time.now })
          return this.executions.filter((each) =>
            each.instrument === id && each.time >= since &&
            each.time <= this.time.now - this.readLagMs
          )
        })
      ),
    balances: Effect.suspend(() =>
      this.#read(
        "GET account",
        () =>
          [...new Set(this.#moves.map(({ asset }) => asset))].map((asset): Balance => ({
            asset,
            free: this.#balanceAt(asset, this.time.now - this.readLagMs),
            locked: zero,
          })),
      )
    ),
    stream: (sink) =>
      Effect.suspend(() =>
        this.privateDown !== undefined
          ? this.#fail("private stream", this.privateDown, ANSWER_MS)
          : this.#connect(this.#private, sink, () => sink.event({ _tag: "StreamUp" }))
      ),
  }

  // ---- inside ----------------------------------------------------------------------------

  /** Dense per instrument, as the port says. */
  #nextTrade(id: InstrumentId) {
    const next = (this.#trades.get(id) ?? 0) + 1
    this.#trades.set(id, next)
    return next
  }

  #tradesAfter(id: InstrumentId, tradeId: string): ReadonlyArray<Trade> {
    return this.tape
      .filter(({ instrument, time }) =>
        instrument === id && time <= this.time.now + this.skewMs - this.tapeLagMs
      )
      .filter((each) => Number(each.tradeId) > Number(tradeId))
      .slice(0, TRADES_MAX)
  }

  #next() {
    return ++this.#ids
  }

  #connect<Sink>(all: Set<Connection<Sink>>, sink: Sink, up: () => void) {
    return Effect.gen(function* () {
      yield* Effect.sleep(ANSWER_MS)
      const connection = { sink, dead: yield* Deferred.make<never, VenueError>() }
      all.add(connection)
      up()
      return yield* Effect.ensuring(
        Deferred.await(connection.dead),
        Effect.sync(() => void all.delete(connection)),
      )
    })
  }

  #end<Sink>(
    all: Set<Connection<Sink>>,
    connection: Connection<Sink>,
    doing: string,
    reason: VenueFailure,
  ) {
    all.delete(connection)
    Deferred.doneUnsafe(
      connection.dead,
      Effect.fail(new VenueError({ venue: this.name, doing, reason })),
    )
  }

  #fail(doing: string, reason: VenueFailure, afterMs: number) {
    const error = new VenueError({ venue: this.name, doing, reason })
    return Effect.delay(Effect.fail(error), afterMs)
  }

  #read<A>(doing: string, value: () => A): Effect.Effect<A, VenueError> {
    const reason = this.readsDown
    return reason === undefined
      ? Effect.delay(Effect.sync(value), this.answerMs)
      : this.#fail(doing, reason, this.answerMs)
  }

  #submit(order: NewOrder): Effect.Effect<OrderAck, SubmitError> {
    const fault = this.faults.submit.shift()
    if (fault === "not_sent") return Effect.fail(new OrderNotSent({ detail: "no socket" }))
    this.submits.push({ ...order, at: this.time.now })
    this.onSubmit(order)
    const unknown = Effect.suspend(() =>
      Effect.fail(
        new OrderUnknown({
          cause: "no answer",
          conclusiveAt: Math.round(this.time.now) + this.conclusiveMs,
        }),
      )
    )
    const taken = Effect.suspend(() => this.#take(order))
    const answer = (ms: number) => Effect.flatMap(taken, (ack) => Effect.delay(ack, ms))
    switch (this.refuses.has(order.instrument) ? "refuse" : fault) {
      case "lose_request":
        return Effect.delay(unknown, GIVE_UP_MS)
      case "lose_answer":
        return Effect.andThen(taken, Effect.delay(unknown, GIVE_UP_MS))
      case "late_answer":
        return answer(LATE_MS)
      case "late_request":
        this.later(GIVE_UP_MS + LATE_MS, () => void Effect.runSync(Effect.exit(this.#take(order))))
        return Effect.delay(unknown, GIVE_UP_MS)
      case "hang":
        return Effect.andThen(taken, Effect.never)
      case "refuse":
        return Effect.delay(
          Effect.fail(
            new OrderRefused({ reason: "trading_rule", code: "-1013", text: "Filter failure" }),
          ),
          ANSWER_MS,
        )
      case undefined:
        return answer(ANSWER_MS)
    }
  }

  /** The request has arrived: what the answer would be. */
  #take(order: NewOrder): Effect.Effect<Effect.Effect<OrderAck, SubmitError>> {
    return Effect.sync(() => {
      const refused = (text: string) =>
        Effect.fail(new OrderRefused({ reason: "insufficient_funds", code: "-2010", text }))
      if (this.orders.has(order.clientOrderId)) return refused("Duplicate order sent.")
      const { base, quote } = this.instruments.find(({ id }) => id === order.instrument)!
      const price = this.price(order.instrument)
      const isShort = order.side === "sell"
        ? isLess(this.balance(base), order.quantity)
        : isLess(this.balance(quote), multiply(order.quantity, price))
      if (isShort) return refused("Account has insufficient balance for requested action.")
      const placed = this.#place(order)
      this.#match(placed)
      return Effect.succeed({ venueOrderId: placed.venueOrderId })
    })
  }

  #cancelAll(): number {
    const open = [...this.orders.values()].filter((order) => !isFinal(order))
    for (const order of open) this.#finish(order, "canceled", "")
    return open.length
  }

  #place(order: NewOrder): VenueOrder {
    const placed: VenueOrder = {
      ...order,
      venueOrderId: String(this.#next()),
      time: this.time.now,
      filled: zero,
      status: "accepted",
      reason: "",
      history: [],
    }
    this.orders.set(order.clientOrderId, placed)
    this.#changed(placed)
    this.#frame({ _tag: "Report", report: reportOf(placed, this.time.now) })
    return placed
  }

  #match(order: VenueOrder) {
    const plan = this.faults.fills.shift() ?? "full"
    const { lotSize } = this.instruments.find(({ id }) => id === order.instrument)!
    const part = floorTo(divide(order.quantity, decimal("3"), 18), lotSize)
    const rest = () => subtract(order.quantity, order.filled)
    switch (plan) {
      case "full":
        return this.#fill(order, order.quantity)
      case "pieces":
        this.#fill(order, part)
        this.later(40, () => this.#fill(order, part))
        return this.later(80, () => this.#fill(order, rest()))
      case "part_then_expire":
        this.#fill(order, part)
        return this.later(40, () => this.#finish(order, "expired", "no liquidity"))
      case "slow":
        return this.later(1_500, () => this.#fill(order, rest()))
      case "rest":
        return
    }
  }

  #fill(order: VenueOrder, quantity: Decimal) {
    if (isFinal(order) || isZero(quantity)) return
    const { base, quote } = this.instruments.find(({ id }) => id === order.instrument)!
    const last = this.price(order.instrument)
    const isBuy = order.side === "buy"
    const price = isBuy ? add(last, decimal("0.01")) : subtract(last, decimal("0.01"))
    const notional = multiply(quantity, price)
    // As Binance takes it: from what is received.
    const inKind = multiply(isBuy ? quantity : notional, FEE)
    const fee = this.feeAsset === undefined ? inKind : multiply(quantity, FEE)
    const feeAsset = this.feeAsset ?? (isBuy ? base : quote)
    const { now } = this.time
    const move = (asset: string, by: Decimal) => void this.#moves.push({ time: now, asset, by })
    move(base, isBuy ? quantity : negate(quantity))
    move(quote, isBuy ? negate(notional) : notional)
    move(feeAsset, negate(fee))
    order.filled = add(order.filled, quantity)
    order.status = isLess(order.filled, order.quantity) ? "partially_filled" : "filled"
    const execution: Execution = {
      executionId: String(this.#next()),
      clientOrderId: order.clientOrderId,
      venueOrderId: order.venueOrderId,
      instrument: order.instrument,
      side: order.side,
      quantity,
      price,
      fee,
      feeAsset,
      time: now,
    }
    this.executions.push(execution)
    this.#changed(order)
    this.#frame({ _tag: "Executed", execution, report: reportOf(order, now) })
  }

  #finish(order: VenueOrder, status: "canceled" | "expired", reason: string) {
    if (isFinal(order)) return
    order.status = status
    order.reason = reason
    this.#changed(order)
    this.#frame({ _tag: "Report", report: reportOf(order, this.time.now) })
  }

  #changed(order: VenueOrder) {
    const { now } = this.time
    order.history.push({ time: now, report: reportOf(order, now) })
  }

  #frame(event: PrivateEvent) {
    const fault = this.faults.frames.shift()
    if (fault === "lose") return
    // Whoever listens when it arrives gets it.
    const deliver = () => {
      for (const { sink } of this.#private) sink.event(event)
    }
    this.later(fault === "late" ? LATE_MS : FRAME_MS, deliver)
    if (fault === "duplicate") this.later(FRAME_MS + 30, deliver)
  }

  #reportAsRead(order: VenueOrder): OrderReport | undefined {
    const until = this.time.now - this.readLagMs
    return order.history.findLast(({ time }) => time <= until)?.report
  }

  #balanceAt(asset: string, at: number): Decimal {
    return this.#moves
      .filter((move) => move.asset === asset && move.time <= at)
      .reduce((sum, { by }) => add(sum, by), zero)
  }
}

/** Of a market that never closes, whatever the exchanges do. */
function everyDay(from: string, to: string): ReadonlyArray<TradingDay> {
  const days = new Array<TradingDay>()
  for (let date = from; date <= to; date = dateAfter(date, 1)) {
    days.push({ date, preOpen: 0, open: 0, close: 1_440, postClose: 1_440 })
  }
  return days
}

const closed = new Closed({ code: 1006, detail: "" })
export const unreachable = new Unreachable({ detail: "ECONNREFUSED" })
const finals: ReadonlySet<OrderReport["status"]> = new Set([
  "filled",
  "canceled",
  "expired",
  "rejected",
])

function isFinal({ status }: VenueOrder): boolean {
  return finals.has(status)
}

function reportOf(order: VenueOrder, time: number): OrderReport {
  return {
    clientOrderId: order.clientOrderId,
    venueOrderId: order.venueOrderId,
    instrument: order.instrument,
    status: order.status,
    filledQuantity: order.filled,
    reason: order.reason,
    time,
  }
}

/** The venue's own bars: nothing but its tape, cut into intervals. */
function barsOf(
  tape: ReadonlyArray<Trade>,
  id: InstrumentId,
  intervalMs: number,
  until: number,
): ReadonlyArray<Bar> {
  const byTime = Map.groupBy(
    tape.filter(({ instrument }) => instrument === id),
    ({ time }) => time - time % intervalMs,
  )
  return [...byTime]
    .filter(([openTime]) => openTime + intervalMs <= until)
    .sort(([a], [b]) => a - b)
    .map(([openTime, trades]) => {
      const prices = trades.map(({ price }) => price)
      const sorted = prices.toSorted((a, b) => isLess(a, b) ? -1 : 1)
      return {
        _tag: "Bar",
        instrument: id,
        intervalMs,
        openTime,
        open: prices[0]!,
        high: sorted.at(-1)!,
        low: sorted[0]!,
        close: prices.at(-1)!,
        volume: trades.reduce((sum, { size }) => add(sum, size), zero),
        trades: trades.length,
      }
    })
}

function text(value: Decimal): string {
  return (Number(value.value) / 10 ** value.scale).toFixed(2)
}
