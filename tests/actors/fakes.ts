/**
 * A venue that is honest by default and can be told how to fail.
 *
 * It implements both ports on virtual time. It has one tape, one set of orders and one set of
 * balances, whatever it tells its clients about them: a lost answer is lost on the way, never in
 * its books. What it was sent is kept, with the time, for tests to look at.
 */
import { Deferred, Effect } from "effect"
import type { VirtualTime } from "../../actors/runtime/virtual_time.ts"
import { add, type Decimal, decimal, isLess, subtract, zero } from "../../domain/decimal.ts"
import { dateAfter, type TradingDay } from "../../domain/calendar.ts"
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
import type { Bar, MarketEvent, Quote, Trade } from "../../domain/market.ts"
import type { NewOrder, PrivateEvent, PrivateSink } from "../../venues/broker.ts"
import {
  Closed,
  type MarketData,
  type MarketDataSink,
  Overrun,
  VenueError,
  type VenueFailure,
} from "../../venues/market_data.ts"
import { ANSWER_MS, FakeBooks } from "./fake_books.ts"

export { instrument, type SubmitFault, unreachable } from "./fake_books.ts"

export const VENUE = "binance"
export const BTC = "BTC/USDT.BINANCE"
export const ETH = "ETH/USDT.BINANCE"
/** At a venue of its own, beside that one. */
export const USD_BTC = "BTC/USD.ALPACA"

interface Connection<Sink> {
  readonly sink: Sink
  readonly dead: Deferred.Deferred<never, VenueError>
}

const TRADES_MAX = 1_000

export class FakeVenue extends FakeBooks {
  /** One entry is used up by each request; without an entry nothing goes wrong. */
  readonly faults = {
    submit: this.submitFaults,
    fills: this.fillPlans,
    frames: this.privateFaults,
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

  /** How long an answer takes. */
  answerMs = ANSWER_MS

  readonly name: string
  readonly connectsAt: Array<number> = []
  readonly polls: Array<number> = []
  readonly historyReads: Array<{ readonly until: number; readonly limit: number }> = []
  readonly tradeReads: Array<
    { readonly instrument: InstrumentId; readonly after: string; readonly at: number }
  > = []
  readonly tape: Array<Trade> = []
  /** When each instrument's last quote went out on a live stream. */
  readonly quotedAt = new Map<InstrumentId, number>()

  readonly #prices = new Map<InstrumentId, Decimal>()
  readonly #market = new Set<Connection<MarketDataSink>>()
  readonly #private = new Set<Connection<PrivateSink>>()
  readonly #trades = new Map<InstrumentId, number>()
  #driving = 0

  constructor(time: VirtualTime, instruments: ReadonlyArray<Instrument>) {
    const account = instruments[0] ?? { quote: "USDT", venue: VENUE }
    super(time, instruments, account)
    const { quote, venue } = account
    this.name = venue
    this.market = { ...this.market, venue }
    this.deposit(quote, "100000")
    for (const { id } of instruments) this.#prices.set(id, decimal("100"))
  }

  get now(): number {
    return this.time.now
  }

  // ---- what a test does ------------------------------------------------------------------

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
      updateId: this.nextId(),
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
      clientOrderId: `web-${this.nextId()}`,
      instrument: id,
      side: "buy",
      type: "limit",
      quantity: decimal("1"),
      price: decimal("1"),
    }
    const placed = this.place(order)
    return () => this.finish(placed, "canceled")
  }

  /** The end of the day: nothing rests any more. */
  expireAll() {
    for (const order of this.orders.values()) this.finish(order, "expired", "end of day")
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

  protected read<A>(doing: string, value: () => A): Effect.Effect<A, VenueError> {
    const reason = this.readsDown
    return reason === undefined
      ? Effect.delay(Effect.sync(value), this.answerMs)
      : this.#fail(doing, reason, this.answerMs)
  }

  protected listen(sink: PrivateSink) {
    return this.privateDown !== undefined
      ? this.#fail("private stream", this.privateDown, ANSWER_MS)
      : this.#connect(this.#private, sink, () => sink.event({ _tag: "StreamUp" }))
  }

  protected tell(event: PrivateEvent) {
    for (const { sink } of this.#private) sink.event(event)
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
