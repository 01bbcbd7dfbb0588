/**
 * A venue behind the ports, on virtual time, that can be told how to fail.
 *
 * It has one tape, one set of orders and one set of balances, whatever it tells its clients about
 * them: what is lost is lost on the way, never in its books. It keeps its own time, so that a step
 * of our clock is nothing to it, and it remembers what it could know: when it was asked, when it
 * had told somebody to wait, when a price went out last.
 */
import { Clock, Context, Deferred, Duration, Effect, Scheduler } from "effect"
import type { VirtualTime } from "../../actors/runtime/virtual_time.ts"
import { newYorkTime, type TradingDay } from "../../domain/calendar.ts"
import { type Decimal, decimal } from "../../domain/decimal.ts"
import type { Instrument, InstrumentId } from "../../domain/instrument.ts"
import type { Bar, MarketEvent, Quote, Trade } from "../../domain/market.ts"
import {
  type NewOrder,
  OrderRefused,
  type PrivateEvent,
  type PrivateSink,
} from "../../venues/broker.ts"
import {
  Closed,
  type MarketData,
  type MarketDataSink,
  Overrun,
  VenueError,
  type VenueFailure,
} from "../../venues/market_data.ts"
import { ANSWER_MS, FakeBooks, type FrameFault } from "../actors/fake_books.ts"

export const VENUE = "chaos"
export const BTC = "BTC/USD.CHAOS"
export const ETH = "ETH/USD.CHAOS"
export const AAPL = "AAPL.CHAOS"

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

const PAGE_MAX = 1_000

export class PortVenue extends FakeBooks {
  /** What becomes of trades on the market stream; one entry is used up by each. */
  readonly tradeFaults = new Array<FrameFault>()
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
  /** Its clock against the true one. */
  skewMs = 0

  readonly tape = new Map<InstrumentId, Array<Print>>()
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

  /** Known to whoever has had the answer. */
  readonly #waits = {
    market: { from: 0, until: 0 },
    private: { from: 0, until: 0 },
    quotes: { from: 0, until: 0 },
  }
  readonly #cents = new Map<InstrumentId, number>()
  readonly #market = new Set<Connection<MarketDataSink>>()
  readonly #private = new Set<Connection<PrivateSink>>()
  readonly #fork: (effect: Effect.Effect<void>) => unknown
  #isDriven = false

  constructor(
    time: VirtualTime,
    instruments: ReadonlyArray<Instrument>,
    readonly days: ReadonlyArray<TradingDay>,
  ) {
    super(time, instruments, { quote: "USD", venue: VENUE })
    this.deposit("USD", "100000")
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

  price(id: InstrumentId): Decimal {
    return money(this.#cents.get(id)!)
  }

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
      updateId: this.nextId(),
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

  protected override objection({ instrument }: NewOrder): OrderRefused | undefined {
    const because = (reason: OrderRefused["reason"], text: string) =>
      new OrderRefused({ reason, code: "-2010", text })
    if (this.halted.has(instrument)) return because("halted", "Trading is halted.")
    if (!this.isOpen(instrument)) return because("market_closed", "Market is closed.")
  }

  protected read<A>(doing: string, value: () => A) {
    return this.#read("reads", doing, value)
  }

  protected listen(sink: PrivateSink) {
    this.#asked("private")
    const reason = this.down.private
    return reason !== undefined
      ? this.#refuse("private", "private stream", reason)
      : this.#connect("private", this.#private, sink, () => sink.event({ _tag: "StreamUp" }))
  }

  protected tell(event: PrivateEvent) {
    for (const { sink } of this.#private) sink.event(event)
  }
}

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
