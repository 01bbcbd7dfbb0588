/**
 * A venue behind the ports, on virtual time, that can be told how to fail.
 *
 * It has one tape, one set of orders and one set of balances, whatever it tells its clients about
 * them: what is lost is lost on the way, never in its books. It keeps its own time, so that a step
 * of our clock is nothing to it, and it remembers what it could know: when it was asked, when it
 * had told somebody to wait, when a price went out last.
 */
import { Context, Deferred, Duration, Effect, Option } from "effect"
import { Clock, Scheduler } from "effect"
import type { VirtualTime } from "../../actors/runtime/virtual_time.ts"
import { newYorkTime, type TradingDay } from "../../domain/calendar.ts"
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
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
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

export const VENUE = "chaos"
export const BTC = "BTC/USD.CHAOS"
export const ETH = "ETH/USD.CHAOS"
export const AAPL = "AAPL.CHAOS"

export function instrument(id: InstrumentId): Instrument {
  const [base = "", quote = "USD"] = id.slice(0, id.lastIndexOf(".")).split("/")
  return {
    id,
    venue: VENUE,
    assetClass: id.includes("/") ? "crypto" : "us_equity",
    symbol: base,
    base,
    quote,
    tickSize: decimal("0.01"),
    lotSize: decimal("0.0001"),
    quantityMin: decimal("0.0001"),
    quantityMax: decimal("9000"),
    notionalMin: decimal("5"),
    status: "trading",
  }
}

/** What becomes of one order request and its answer. */
export const submitFaults = [
  "lose_request",
  "lose_answer",
  "late_answer",
  /** Arrives after its answer was given up. */
  "late_request",
  /** Taken, and never answered. */
  "hang",
  "refuse",
  "not_sent",
] as const
/** What the market does with one order. */
export const fillPlans = ["pieces", "part_then_expire", "slow"] as const
/** What becomes of one frame of the private stream, or of one trade of the market stream. */
export const frameFaults = ["lose", "duplicate", "late"] as const

interface Order extends NewOrder {
  readonly venueOrderId: string
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

/** A print, on integers. */
interface Print {
  readonly id: number
  readonly time: number
  readonly cents: number
  readonly size: number
}

const FEE = decimal("0.001")
const ANSWER_MS = 20
const FRAME_MS = 15
const LATE_MS = 2_500
/** When a client gives up on an answer. */
const GIVE_UP_MS = 1_000
/** When the venue may be believed about an order whose answer was lost. */
const CONCLUSIVE_MS = 5_000
const PAGE_MAX = 1_000

export class PortVenue {
  /** One entry is used up by each; without an entry nothing goes wrong. */
  readonly submitFaults = new Array<(typeof submitFaults)[number]>()
  readonly fillPlans = new Array<(typeof fillPlans)[number]>()
  readonly privateFaults = new Array<(typeof frameFaults)[number]>()
  readonly tradeFaults = new Array<(typeof frameFaults)[number]>()
  /** As long as it is set, every attempt and every request ends with it. */
  readonly down: {
    market?: VenueFailure | undefined
    private?: VenueFailure | undefined
    reads?: VenueFailure | undefined
    quotes?: VenueFailure | undefined
    history?: VenueFailure | undefined
  } = {}
  /** Handshakes are not answered. */
  hangsUp = false
  /** Connected, and silent: all, or these. */
  isMute = false
  readonly mute = new Set<InstrumentId>()
  /** Since when, and since when whoever listens to the stream has been told. */
  readonly halted = new Map<InstrumentId, { readonly since: number; toldAt: number | undefined }>()
  /** Everything on the market stream arrives so much later. */
  lagMs = 0
  /** Reads show the books as they were so long ago. */
  readLagMs = 0
  /** Its clock against the true one. */
  skewMs = 0

  readonly tape = new Map<InstrumentId, Array<Print>>()
  readonly orders = new Map<string, Order>()
  readonly executions = new Array<Execution>()
  readonly submits = new Map<string, number>()
  /** True times at which it was connected to. */
  readonly connects = { market: new Array<number>(), private: new Array<number>() }
  /** What was asked of it while it had told us to wait. */
  readonly impatience = new Array<string>()
  /** When each instrument's last quote was taken by a live stream. */
  readonly quotedAt = new Map<InstrumentId, number>()
  /** Id of the newest trade of each that a live stream has taken: what came after it nobody can miss yet. */
  readonly toldUntil = new Map<InstrumentId, number>()
  /** Since when there has been no such stream; undefined while there is one. */
  readonly goneSince = { market: 0 as number | undefined, private: 0 as number | undefined }
  onSubmit: (order: NewOrder) => void = () => {}

  /** Known to whoever has had the answer. */
  readonly #waits = {
    market: { from: 0, until: 0 },
    private: { from: 0, until: 0 },
    quotes: { from: 0, until: 0 },
  }
  readonly #cents = new Map<InstrumentId, number>()
  readonly #moves = new Array<{ readonly time: number; readonly asset: string; by: Decimal }>()
  readonly #market = new Set<Connection<MarketDataSink>>()
  readonly #private = new Set<Connection<PrivateSink>>()
  readonly #fork: (effect: Effect.Effect<void>) => unknown
  #ids = 0
  #isDriven = false

  constructor(
    readonly time: VirtualTime,
    readonly instruments: ReadonlyArray<Instrument>,
    readonly days: ReadonlyArray<TradingDay>,
  ) {
    this.#moves.push({ time: -Infinity, asset: "USD", by: decimal("100000") })
    for (const { id } of instruments) {
      this.#cents.set(id, 10_000)
      this.tape.set(id, [])
    }
    this.#fork = Effect.runForkWith(
      Context.make(Clock.Clock, time.clock).pipe(Context.add(Scheduler.Scheduler, time.scheduler)),
    )
  }

  /** Milliseconds of the true clock, which nobody sets. */
  get trueNow(): number {
    return Number(this.time.clock.monotonicTimeNanosUnsafe() / 1_000n) / 1_000
  }

  /** The venue's own clock. */
  get now(): number {
    return Math.round(this.trueNow + this.skewMs)
  }

  later(ms: number, what: () => void) {
    this.#fork(Effect.andThen(this.time.clock.sleep(Duration.millis(ms)), Effect.sync(what)))
  }

  // ---- the market ------------------------------------------------------------------------

  isOpen(id: InstrumentId): boolean {
    if (id.includes("/")) return true
    // By its own clock, whatever the true time is.
    const now = this.trueNow + this.skewMs
    return this.days.some(({ date, open, close }) =>
      now >= newYorkTime(date, open) && now < newYorkTime(date, close)
    )
  }

  /** Prints every open instrument every `everyMs`, on a walk that `draw` makes. */
  drive(everyMs: number, draw: () => number) {
    this.#isDriven = true
    const beat = () => {
      if (!this.#isDriven) return
      for (const { id } of this.instruments) {
        if (!this.isOpen(id)) continue
        const cents = Math.max(5_000, this.#cents.get(id)! + Math.floor(draw() * 401) - 200)
        // Halted, nobody trades; the quotes go on.
        if (!this.halted.has(id)) {
          this.#cents.set(id, cents)
          this.#print(id, cents, 1 + Math.floor(draw() * 9))
        }
        this.#quote(id)
      }
      this.later(everyMs, beat)
    }
    this.later(everyMs, beat)
  }

  stop() {
    this.#isDriven = false
  }

  halt(id: InstrumentId, isHalted: boolean) {
    if (isHalted) this.halted.set(id, { since: this.trueNow, toldAt: undefined })
    else this.halted.delete(id)
    this.#emit(this.#status(id))
  }

  tellStatus(id: InstrumentId) {
    if (this.halted.has(id)) this.#emit(this.#status(id))
  }

  #status(id: InstrumentId): MarketEvent {
    const status = this.halted.has(id) ? "halted" : "trading"
    return { _tag: "Status", instrument: id, status, reason: "LUDP", time: this.now }
  }

  #print(id: InstrumentId, cents: number, size: number) {
    const tape = this.tape.get(id)!
    const print: Print = { id: tape.length + 1, time: this.now, cents, size }
    tape.push(print)
    const trade = tradeOf(id, print)
    switch (this.tradeFaults.shift()) {
      case "lose":
        return
      case "duplicate":
        this.#emit(trade)
        return this.#emit(trade)
      case "late":
        return this.later(700, () => this.#emit(trade))
      case undefined:
        return this.#emit(trade)
    }
  }

  #quote(id: InstrumentId) {
    this.#emit(this.quoteOf(id))
  }

  quoteOf(id: InstrumentId): Quote {
    const cents = this.#cents.get(id)!
    return {
      _tag: "Quote",
      instrument: id,
      updateId: String(++this.#ids),
      bid: money(cents - 1),
      bidSize: decimal("100"),
      ask: money(cents + 1),
      askSize: decimal("100"),
      time: this.now,
      venueTime: true,
    }
  }

  #emit(event: MarketEvent) {
    if (this.isMute || this.mute.has(event.instrument)) return
    if (this.#market.size === 0) return
    const connections = [...this.#market]
    const deliver = () => {
      for (const connection of connections) {
        if (!this.#market.has(connection)) continue
        if (!connection.sink.event(event)) {
          this.#end("market", connection, new Overrun({ waiting: 1 }))
        } else this.#delivered(event)
      }
    }
    if (this.lagMs === 0) deliver()
    else this.later(this.lagMs, deliver)
  }

  #delivered(event: MarketEvent) {
    const now = this.trueNow
    if (event._tag === "Quote") this.quotedAt.set(event.instrument, now)
    if (event._tag === "Trade") {
      const before = this.toldUntil.get(event.instrument) ?? 0
      this.toldUntil.set(event.instrument, Math.max(before, Number(event.tradeId)))
    }
    const halt = event._tag === "Status" ? this.halted.get(event.instrument) : undefined
    if (halt !== undefined) halt.toldAt ??= now
  }

  get isStreaming(): boolean {
    return this.#market.size > 0
  }

  cut(which: "market" | "private", reason: VenueFailure) {
    if (which === "market") { for (const each of [...this.#market]) this.#end(which, each, reason) }
    else for (const each of [...this.#private]) this.#end(which, each, reason)
  }

  /** Nothing is wrong any more; what rests is given up. */
  heal() {
    this.down.market = this.down.private = this.down.reads = undefined
    this.down.quotes = this.down.history = undefined
    this.hangsUp = this.isMute = false
    this.mute.clear()
    for (const id of [...this.halted.keys()]) this.halt(id, false)
    this.lagMs = this.readLagMs = 0
    this.submitFaults.length = this.fillPlans.length = 0
    this.privateFaults.length = this.tradeFaults.length = 0
  }

  /** When the first trade was made that no stream has told yet. */
  untoldSince(id: InstrumentId): number {
    return this.tape.get(id)?.[this.toldUntil.get(id) ?? 0]?.time ?? Infinity
  }

  /** The tape of `id` cut into bars, oldest first, as far as they have ended at `until`. */
  barsOf(id: InstrumentId, intervalMs: number, until = Infinity): ReadonlyArray<Bar> {
    const bars = new Array<Bar>()
    let prints = new Array<Print>()
    let openTime = -1
    const close = () => {
      if (prints.length > 0 && openTime + intervalMs <= until) {
        bars.push(barOf(id, intervalMs, openTime, prints))
      }
    }
    for (const print of this.tape.get(id)!) {
      const opens = print.time - print.time % intervalMs
      if (opens !== openTime) {
        close()
        prints = []
        openTime = opens
      }
      prints.push(print)
    }
    close()
    return bars
  }

  // ---- the ports -------------------------------------------------------------------------

  readonly market: MarketData = {
    venue: VENUE,
    tradeIds: "dense",
    instruments: (ids) =>
      this.#read(
        "reads",
        "GET instruments",
        () =>
          this.instruments.filter(({ id }) => ids.includes(id)).map((each) => ({
            ...each,
            status: this.halted.has(each.id) ? "halted" as const : "trading" as const,
          })),
      ),
    stream: (_, sink) =>
      Effect.suspend(() => {
        this.#asked("market")
        const reason = this.down.market
        if (reason !== undefined) return this.#refuse("market", "market stream", reason)
        if (this.hangsUp) {
          return this.#fail("market stream", new Closed({ code: 1006, detail: "hung" }), 5_000)
        }
        return this.#connect("market", this.#market, sink, () => {
          // Whoever subscribes is told what is not as usual.
          for (const id of this.halted.keys()) {
            if (sink.event(this.#status(id))) this.#delivered(this.#status(id))
          }
        })
      }),
    quotes: (ids) =>
      Effect.suspend(() => {
        this.#asked("quotes")
        const reason = this.down.quotes
        return reason !== undefined
          ? this.#refuse("quotes", "GET quotes", reason)
          : Effect.delay(Effect.sync(() => ids.map((id) => this.quoteOf(id))), ANSWER_MS)
      }),
    bars: (id, intervalMs, until, limit) =>
      this.#read("history", "GET bars", () => this.barsOf(id, intervalMs, until).slice(-limit)),
    tradesAfter: (id, { tradeId }) =>
      this.#read(
        "history",
        "GET trades",
        () =>
          this.tape.get(id)!.slice(Number(tradeId), Number(tradeId) + PAGE_MAX)
            .map((print) => tradeOf(id, print)),
      ),
    calendar: () => this.#read("reads", "GET calendar", () => this.days),
  }

  readonly broker: Broker = {
    venue: VENUE,
    quoteAsset: "USD",
    connect: Effect.suspend(() => this.#read("reads", "GET account", () => ({ clockOffsetMs: 0 }))),
    capabilities: {
      orderTypes: new Set(["market", "limit"]),
      timeInForces: new Set(["gtc"]),
      notional: false,
      bracket: false,
      extendedHours: false,
    },
    replace: () => Effect.fail(new OrderNotSent({ detail: "orders are not replaced here" })),
    cancelAll: Effect.suspend(() =>
      this.#read("reads", "DELETE openOrders", () => {
        const open = [...this.orders.values()].filter(({ status }) => !finals.has(status))
        for (const order of open) this.#finish(order, "canceled", "")
        return open.length
      })
    ),
    submit: (order) => Effect.suspend(() => this.#submit(order)),
    cancel: (_, clientOrderId) =>
      this.#read("reads", "DELETE order", () => {
        const order = this.orders.get(clientOrderId)
        if (order === undefined || finals.has(order.status)) return "unknown_order"
        this.#finish(order, "canceled", "")
        return "requested"
      }),
    order: (_, clientOrderId) =>
      this.#read(
        "reads",
        "GET order",
        () => Option.fromUndefinedOr(this.#asRead(this.orders.get(clientOrderId))),
      ),
    openOrders: Effect.suspend(() =>
      this.#read("reads", "GET openOrders", () =>
        [...this.orders.values()].flatMap((order) => {
          const report = this.#asRead(order)
          return report === undefined || finals.has(report.status) ? [] : [report]
        }))
    ),
    executions: (id, since) =>
      this.#read(
        "reads",
        "GET executions",
        () =>
          this.executions.filter((each) =>
            each.instrument === id && each.time >= since && each.time <= this.now - this.readLagMs
          ),
      ),
    balances: Effect.suspend(() =>
      this.#read(
        "reads",
        "GET balances",
        () =>
          [...new Set(this.#moves.map(({ asset }) => asset))].map((asset): Balance => ({
            asset,
            free: this.balance(asset, this.now - this.readLagMs),
            locked: zero,
          })),
      )
    ),
    stream: (sink) =>
      Effect.suspend(() => {
        this.#asked("private")
        const reason = this.down.private
        return reason !== undefined
          ? this.#refuse("private", "private stream", reason)
          : this.#connect("private", this.#private, sink, () => sink.event({ _tag: "StreamUp" }))
      }),
  }

  balance(asset: string, at = Infinity): Decimal {
    return this.#moves.filter((move) => move.asset === asset && move.time <= at)
      .reduce((sum, { by }) => add(sum, by), zero)
  }

  // ---- inside ----------------------------------------------------------------------------

  /** Whoever was told to wait and asks all the same is remembered. */
  #asked(what: "market" | "private" | "quotes") {
    const now = this.trueNow
    if (what !== "quotes") this.connects[what].push(now)
    const { from, until } = this.#waits[what]
    const earlyMs = until - now
    if (now > from && earlyMs > 1) {
      this.impatience.push(`${what} asked ${Math.round(earlyMs)} ms too early`)
    }
  }

  #refuse(what: "market" | "private" | "quotes", doing: string, reason: VenueFailure) {
    if (reason._tag === "Throttled") {
      const from = this.trueNow + ANSWER_MS
      this.#waits[what] = { from, until: from + reason.retryAfterMs }
    }
    return this.#fail(doing, reason, ANSWER_MS)
  }

  #fail(doing: string, reason: VenueFailure, afterMs: number) {
    return Effect.delay(Effect.fail(new VenueError({ venue: VENUE, doing, reason })), afterMs)
  }

  #read<A>(what: "reads" | "history", doing: string, value: () => A) {
    return Effect.suspend((): Effect.Effect<A, VenueError> => {
      const reason = this.down[what]
      return reason === undefined
        ? Effect.delay(Effect.sync(value), ANSWER_MS)
        : this.#fail(doing, reason, ANSWER_MS)
    })
  }

  #connect<Sink>(
    which: "market" | "private",
    all: Set<Connection<Sink>>,
    sink: Sink,
    up: () => void,
  ) {
    const { goneSince } = this
    const gone = () => {
      if (all.size === 0) goneSince[which] = this.trueNow
    }
    return Effect.gen(function* () {
      yield* Effect.sleep(ANSWER_MS)
      const connection = { sink, dead: yield* Deferred.make<never, VenueError>() }
      all.add(connection)
      goneSince[which] = undefined
      up()
      return yield* Effect.ensuring(
        Deferred.await(connection.dead),
        Effect.sync(() => {
          if (all.delete(connection)) gone()
        }),
      )
    })
  }

  #end<Sink>(which: "market" | "private", connection: Connection<Sink>, reason: VenueFailure) {
    const all: Set<unknown> = which === "market" ? this.#market : this.#private
    all.delete(connection)
    if (all.size === 0) this.goneSince[which] = this.trueNow
    const error = new VenueError({ venue: VENUE, doing: `${which} stream`, reason })
    Deferred.doneUnsafe(connection.dead, Effect.fail(error))
  }

  #submit(order: NewOrder): Effect.Effect<OrderAck, SubmitError> {
    const fault = this.submitFaults.shift()
    if (fault === "not_sent") return Effect.fail(new OrderNotSent({ detail: "no socket" }))
    this.submits.set(order.clientOrderId, (this.submits.get(order.clientOrderId) ?? 0) + 1)
    this.onSubmit(order)
    const unknown = Effect.suspend(() =>
      Effect.fail(
        new OrderUnknown({
          cause: "no answer",
          conclusiveAt: Math.round(this.time.now) + CONCLUSIVE_MS,
        }),
      )
    )
    const taken = Effect.sync(() => this.#take(order))
    const answer = (ms: number) => Effect.flatMap(taken, (ack) => Effect.delay(ack, ms))
    switch (fault) {
      case "lose_request":
        return Effect.delay(unknown, GIVE_UP_MS)
      case "lose_answer":
        return Effect.andThen(taken, Effect.delay(unknown, GIVE_UP_MS))
      case "late_answer":
        return answer(LATE_MS)
      case "late_request":
        this.later(GIVE_UP_MS + LATE_MS, () => void this.#take(order))
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
  #take(order: NewOrder): Effect.Effect<OrderAck, SubmitError> {
    const refused = (reason: OrderRefused["reason"], text: string) =>
      Effect.fail(new OrderRefused({ reason, code: "-2010", text }))
    if (this.orders.has(order.clientOrderId)) return refused("duplicate_id", "Duplicate order")
    if (this.halted.has(order.instrument)) return refused("halted", "Trading is halted.")
    if (!this.isOpen(order.instrument)) return refused("market_closed", "Market is closed.")
    const { base, quote } = this.#listing(order.instrument)
    const isShort = order.side === "sell" ? isLess(this.balance(base), order.quantity) : isLess(
      this.balance(quote),
      multiply(order.quantity, money(this.#cents.get(order.instrument)!)),
    )
    if (isShort) return refused("insufficient_funds", "Account has insufficient balance.")
    const placed: Order = {
      ...order,
      venueOrderId: String(++this.#ids),
      filled: zero,
      status: "accepted",
      reason: "",
      history: [],
    }
    this.orders.set(order.clientOrderId, placed)
    this.#changed(placed)
    this.#frame({ _tag: "Report", report: this.#report(placed) })
    this.#match(placed)
    return Effect.succeed({ venueOrderId: placed.venueOrderId })
  }

  #match(order: Order) {
    const rest = () => subtract(order.quantity, order.filled)
    const { lotSize } = this.#listing(order.instrument)
    const part = floorTo(divide(order.quantity, decimal("3"), 18), lotSize)
    switch (this.fillPlans.shift()) {
      case undefined:
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
    }
  }

  #fill(order: Order, quantity: Decimal) {
    if (finals.has(order.status) || isZero(quantity)) return
    const { base, quote } = this.#listing(order.instrument)
    const isBuy = order.side === "buy"
    const price = money(this.#cents.get(order.instrument)! + (isBuy ? 1 : -1))
    const notional = multiply(quantity, price)
    // As venues of pairs take it: from what is received.
    const fee = multiply(isBuy ? quantity : notional, FEE)
    const feeAsset = isBuy ? base : quote
    const time = this.now
    this.#moves.push(
      { time, asset: base, by: isBuy ? quantity : negate(quantity) },
      { time, asset: quote, by: isBuy ? negate(notional) : notional },
      { time, asset: feeAsset, by: negate(fee) },
    )
    order.filled = add(order.filled, quantity)
    order.status = isLess(order.filled, order.quantity) ? "partially_filled" : "filled"
    const execution: Execution = {
      executionId: String(++this.#ids),
      clientOrderId: order.clientOrderId,
      venueOrderId: order.venueOrderId,
      instrument: order.instrument,
      side: order.side,
      quantity,
      price,
      fee,
      feeAsset,
      time,
    }
    this.executions.push(execution)
    this.#changed(order)
    this.#frame({ _tag: "Executed", execution, report: this.#report(order) })
  }

  #finish(order: Order, status: "canceled" | "expired", reason: string) {
    if (finals.has(order.status)) return
    order.status = status
    order.reason = reason
    this.#changed(order)
    this.#frame({ _tag: "Report", report: this.#report(order) })
  }

  #changed(order: Order) {
    order.history.push({ time: this.now, report: this.#report(order) })
  }

  #report(order: Order): OrderReport {
    return {
      clientOrderId: order.clientOrderId,
      venueOrderId: order.venueOrderId,
      instrument: order.instrument,
      status: order.status,
      filledQuantity: order.filled,
      reason: order.reason,
      time: this.now,
    }
  }

  #asRead(order: Order | undefined): OrderReport | undefined {
    const until = this.now - this.readLagMs
    return order?.history.findLast(({ time }) => time <= until)?.report
  }

  #frame(event: PrivateEvent) {
    const fault = this.privateFaults.shift()
    if (fault === "lose") return
    // Whoever listens when it arrives gets it.
    const deliver = () => {
      for (const { sink } of this.#private) sink.event(event)
    }
    this.later(fault === "late" ? LATE_MS : FRAME_MS, deliver)
    if (fault === "duplicate") this.later(FRAME_MS + 30, deliver)
  }

  #listing(id: InstrumentId): Instrument {
    return this.instruments.find((each) => each.id === id)!
  }
}

export const unreachable = new Unreachable({ detail: "ECONNREFUSED" })
const finals: ReadonlySet<OrderReport["status"]> = new Set([
  "filled",
  "canceled",
  "expired",
  "rejected",
])

function money(cents: number): Decimal {
  return decimal((cents / 100).toFixed(2))
}

function tradeOf(id: InstrumentId, print: Print): Trade {
  return {
    _tag: "Trade",
    instrument: id,
    tradeId: String(print.id),
    price: money(print.cents),
    size: decimal(String(print.size)),
    side: "buy",
    time: print.time,
  }
}

function barOf(
  id: InstrumentId,
  intervalMs: number,
  openTime: number,
  prints: ReadonlyArray<Print>,
): Bar {
  const cents = prints.map((print) => print.cents)
  return {
    _tag: "Bar",
    instrument: id,
    intervalMs,
    openTime,
    open: money(cents[0]!),
    high: money(Math.max(...cents)),
    low: money(Math.min(...cents)),
    close: money(cents.at(-1)!),
    volume: decimal(String(prints.reduce((sum, { size }) => sum + size, 0))),
    trades: prints.length,
  }
}
