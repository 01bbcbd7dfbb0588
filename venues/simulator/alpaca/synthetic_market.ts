/**
 * A market of shares and crypto, generated.
 *
 * It steps the walk that both venues share, and adds what an exchange adds: sessions, halts,
 * prints with exchange, conditions and id, bars as minutes end, corrections. What it shows to the
 * public leaves as data messages; what happened, as moves for whoever matches orders.
 */
import { Chance } from "../chance.ts"
import { type Atoms, floorTo, notional, ONE } from "../decimals.ts"
import { type Level, ShownBook } from "../shown_book.ts"
import { stepMarket, type SyntheticEvent, type SyntheticState } from "../synthetic.ts"
import { type Bar, Bars, MINUTE_MS } from "./data_bars.ts"
import { pastOf } from "./data_history.ts"
import { barBody, numberOf, orderbookBody, quoteBody, tradeBody } from "./data_messages.ts"
import { type Feed, IEX, isSeen, Tape, type TapeQuote, type TapeTrade } from "./data_tape.ts"
import { formatTime, type Nanos, nanosOf } from "./data_time.ts"
import { type Instrument, INSTRUMENTS, TEST_SYMBOL } from "./listings.ts"
import type { AlpacaListing, AlpacaMarket, MarketMove } from "./market.ts"
import type { Sessions } from "./sessions.ts"

export type Channel =
  | "trades"
  | "quotes"
  | "bars"
  | "updatedBars"
  | "dailyBars"
  | "statuses"
  | "lulds"
  | "imbalances"
  | "corrections"
  | "cancelErrors"
  | "orderbooks"

/** The letter by which a message says what it is. */
export const LETTERS: Readonly<Record<Channel, string>> = {
  trades: "t",
  quotes: "q",
  bars: "b",
  updatedBars: "u",
  dailyBars: "d",
  statuses: "s",
  lulds: "l",
  imbalances: "i",
  corrections: "c",
  cancelErrors: "x",
  orderbooks: "o",
}

export interface DataMessage {
  readonly channel: Channel
  readonly symbol: string
  /** What this feed says; `undefined` when it does not see it. */
  readonly body: (feed: Feed) => object | undefined
}

export interface Halt {
  /** The tape's code of the reason, `T1`. */
  readonly code?: string | undefined
  readonly reason?: string | undefined
}

export const PROFILES = INSTRUMENTS.map(({ profile }) => profile)

/** Shares change hands at midnight, New York; crypto's day is Chicago's. */
const DAY_BEGINS = { us_equity: 0, crypto: 60 } as const
/** A print is reported by one of these; the first two thirds of the time by IEX. */
const OTHERS = ["D", "Q", "P", "K", "Z"] as const
const IEX_SHARE = 0.66
const BURST_STEP_NS = 1_000n

interface Listed {
  readonly instrument: Instrument
  readonly book: ShownBook
  readonly tape: Tape
  readonly ids: Map<string, number>
  /** What the order book channel has shown. */
  shown: { bids: ReadonlyArray<Level>; asks: ReadonlyArray<Level> }
  /** The last minute of which each feed has been told the bar. */
  readonly told: Record<Feed, number>
  isHalted: boolean
}

export class SyntheticAlpacaMarket implements AlpacaMarket {
  readonly listings: Map<string, AlpacaListing>
  readonly now: () => number
  readonly sessions: Sessions
  readonly #listed = new Map<string, Listed>()
  readonly #skewMs: () => number
  readonly #chance: Chance
  readonly #moves = new Array<(move: MarketMove) => void>()
  readonly #hearers = new Array<(message: DataMessage) => void>()
  #state: SyntheticState
  #updateId = 0
  #stampedAt: Nanos = 0n
  #phase: string

  constructor(
    state: SyntheticState,
    options: {
      /** The venue's clock, which may be wrong. */
      readonly now: () => number
      /** How far it is off, milliseconds; the market itself moves in true time. */
      readonly skewMs: () => number
      readonly sessions: Sessions
      readonly seed: number
    },
  ) {
    const { now, skewMs, sessions, seed } = options
    this.now = now
    this.#skewMs = skewMs
    this.sessions = sessions
    this.#state = state
    this.#chance = Chance.seeded(seed, "prints")
    this.#phase = sessions.at(now()).phase
    this.listings = new Map(
      INSTRUMENTS.map(({ listing }) => listing).filter(({ symbol }) => symbol !== TEST_SYMBOL)
        .map((listing) => [listing.symbol, listing]),
    )
    for (const instrument of INSTRUMENTS) {
      const { listing: { symbol, assetClass }, profile } = instrument
      const dayBegins = DAY_BEGINS[assetClass]
      const past = pastOf(PROFILES, state, profile, {
        nowMs: now(),
        dayBegins,
        sessions: followsSessions(instrument) ? sessions : undefined,
      })
      const bars = () => new Bars(dayBegins, past.days, past.minutes)
      this.#listed.set(symbol, {
        instrument,
        book: new ShownBook(),
        tape: new Tape({ iex: bars(), sip: bars() }),
        ids: new Map(),
        shown: { bids: [], asks: [] },
        // What was before this market began is history, not news.
        told: lastTold(past.minutes.at(-1)),
        isHalted: false,
      })
    }
  }

  get state(): SyntheticState {
    return this.#state
  }

  // What the trading side sees

  readonly book = (symbol: string) => this.#of(symbol).book

  readonly lastPrice = (symbol: string) => {
    const { tape } = this.#of(symbol)
    return tape.lastTrade("sip")?.price ?? tape.bars.sip.lastMinute?.close
  }

  readonly isHalted = (symbol: string) => this.#of(symbol).isHalted

  readonly session = (symbol: string) =>
    followsSessions(this.#of(symbol).instrument)
      ? this.sessions.at(this.now())
      : { phase: "core" as const, until: Infinity }

  readonly onMove = (listener: (move: MarketMove) => void) => {
    this.#moves.push(listener)
  }

  readonly print = (symbol: string, price: Atoms, size: Atoms, buyerIsMaker: boolean) => {
    const listed = this.#of(symbol)
    // The tape knows whole shares only.
    const shown = listed.instrument.tape === "" ? size : floorTo(size, ONE)
    if (shown > 0n) this.#trade(listed, price, shown, !buyerIsMaker, nanosOf(this.now()), IEX)
  }

  // What the data side sees

  readonly onData = (hearer: (message: DataMessage) => void) => {
    this.#hearers.push(hearer)
  }

  /** `undefined` for a symbol that nobody quotes. */
  tape(symbol: string): Tape | undefined {
    return this.#listed.get(symbol)?.tape
  }

  instrument(symbol: string): Instrument | undefined {
    return this.#listed.get(symbol)?.instrument
  }

  /** The whole order book of crypto, for somebody who begins to listen. */
  orderbook(symbol: string): object | undefined {
    const listed = this.#listed.get(symbol)
    if (listed === undefined || listed.instrument.tape !== "") return undefined
    const { bids, asks } = listed.shown
    return { ...orderbookBody(this.#stamp(nanosOf(this.now())), bids, asks), r: true }
  }

  // Time

  /** Everything that happens up to now. */
  step() {
    const nowMs = this.now()
    const { phase } = this.sessions.at(nowMs)
    if (phase !== this.#phase) {
      this.#phase = phase
      this.#move({ kind: "phase", assetClass: "us_equity" })
    }
    const [state, events] = stepMarket(PROFILES, this.#state, nowMs - this.#skewMs())
    this.#state = state
    const isOpen = this.sessions.isTrading(nowMs)
    for (const event of events) {
      const listed = this.#of(event.symbol)
      if (listed.isHalted || (followsSessions(listed.instrument) && !isOpen)) continue
      this.#happen(listed, event)
    }
    for (const listed of this.#listed.values()) this.#closeMinutes(listed, nowMs)
  }

  // What can be made to happen

  halt(symbol: string, { code, reason }: Halt) {
    const listed = this.#of(symbol)
    listed.isHalted = true
    const isNasdaq = listed.instrument.tape === "C"
    this.#status(listed, {
      sc: isNasdaq ? "H" : "2",
      sm: "Trading Halt",
      rc: code ?? (isNasdaq ? "T1" : "P"),
      rm: reason ?? (isNasdaq ? "Halt - News Pending" : "News pending"),
    })
  }

  resume(symbol: string) {
    const listed = this.#of(symbol)
    listed.isHalted = false
    const isNasdaq = listed.instrument.tape === "C"
    this.#status(listed, {
      sc: isNasdaq ? "T" : "3",
      sm: isNasdaq ? "Trading Resumption" : "Resume",
      rc: "",
      rm: "",
    })
  }

  /** Prices outside of which nobody may trade; by default five percent around the last one. */
  band(symbol: string, up?: Atoms, down?: Atoms) {
    const { instrument } = this.#of(symbol)
    const last = this.lastPrice(symbol) ?? ONE
    const u = numberOf(up ?? floorTo(last * 105n / 100n, ONE / 100n))
    const d = numberOf(down ?? floorTo(last * 95n / 100n, ONE / 100n))
    const t = formatTime(this.#stamp(nanosOf(this.now())))
    this.#tell("lulds", symbol, () => ({ u, d, i: "B", t, z: instrument.tape }))
  }

  /** The last print was something else: by default a cent less, and half as much. */
  correct(symbol: string, price?: Atoms, size?: Atoms): boolean {
    const listed = this.#of(symbol)
    const { tape, instrument } = listed
    const trade = tape.lastTrade("sip")
    if (trade === undefined) return false
    const corrected: TapeTrade = {
      ...trade,
      id: this.#takeId(listed, trade.exchange),
      price: price ?? trade.price - instrument.profile.listing.tickSize,
      size: size ?? (trade.size > ONE ? floorTo(trade.size / 2n, ONE) : trade.size),
      update: "corrected",
    }
    tape.amend(trade, corrected)
    const t = formatTime(this.#stamp(nanosOf(this.now())))
    this.#tellSeen("corrections", listed, trade, {
      x: trade.exchange,
      oi: trade.id,
      op: numberOf(trade.price),
      os: numberOf(trade.size),
      oc: trade.conditions,
      ci: corrected.id,
      cp: numberOf(corrected.price),
      cs: numberOf(corrected.size),
      cc: corrected.conditions,
      t,
      z: instrument.tape,
    })
    this.#tellUpdatedBar(listed, trade)
    return true
  }

  /** The last print did not happen. */
  cancel(symbol: string): boolean {
    const listed = this.#of(symbol)
    const { tape, instrument } = listed
    const trade = tape.lastTrade("sip")
    if (trade === undefined) return false
    tape.amend(trade, { ...trade, update: "canceled" })
    this.#tellSeen("cancelErrors", listed, trade, {
      x: trade.exchange,
      i: trade.id,
      p: numberOf(trade.price),
      s: numberOf(trade.size),
      a: "C",
      t: formatTime(this.#stamp(nanosOf(this.now()))),
      z: instrument.tape,
    })
    this.#tellUpdatedBar(listed, trade)
    return true
  }

  imbalance(symbol: string) {
    const { instrument } = this.#of(symbol)
    const p = numberOf(this.lastPrice(symbol) ?? ONE)
    const t = formatTime(this.#stamp(nanosOf(this.now())))
    this.#tell("imbalances", symbol, () => ({ p, t, z: instrument.tape }))
  }

  /** The same quote, so many times at once. */
  burst(symbol: string, quotes: number) {
    const listed = this.#of(symbol)
    const last = listed.tape.lastQuote
    if (last === undefined) return
    for (let i = 0; i < quotes; i++) {
      this.#quote(listed, { ...last, time: this.#stamp(nanosOf(this.now()) + BURST_STEP_NS) })
    }
  }

  /** Whether orders for it are taken at all. */
  setTradable(symbol: string, tradable: boolean) {
    const listing = this.listings.get(symbol)
    if (listing !== undefined) this.listings.set(symbol, { ...listing, tradable })
  }

  #of(symbol: string): Listed {
    const listed = this.#listed.get(symbol)
    if (listed === undefined) throw new RangeError(`${symbol} is not listed`)
    return listed
  }

  #happen(listed: Listed, event: SyntheticEvent) {
    const { symbol } = event
    const time = this.#stamp(nanosOf(event.time + this.#skewMs()))
    if (event.type === "trade") {
      const { price, size, buyerIsMaker } = event
      const exchange = this.#chance.next() < IEX_SHARE
        ? IEX
        : OTHERS[Math.floor(this.#chance.next() * OTHERS.length)] ?? IEX
      this.#trade(listed, price, size, !buyerIsMaker, time, exchange)
      return this.#move({ kind: "trade", symbol, price, size, buyerIsMaker })
    }
    const { bids, asks } = event
    const [bid, ask] = [bids[0], asks[0]]
    listed.book.ladder(++this.#updateId, bids, asks)
    if (bid !== undefined && ask !== undefined) {
      this.#quote(listed, {
        time,
        bid: bid.price,
        bidSize: bid.size,
        ask: ask.price,
        askSize: ask.size,
      })
    }
    if (listed.instrument.tape === "") {
      const { shown } = listed
      listed.shown = { bids, asks }
      const changes = [changed(shown.bids, bids), changed(shown.asks, asks)] as const
      this.#tell("orderbooks", symbol, () => orderbookBody(time, ...changes))
    }
    this.#move({ kind: "book", symbol })
  }

  #quote(listed: Listed, quote: TapeQuote) {
    const { tape, listing: { symbol } } = listed.instrument
    listed.tape.addQuote(quote)
    this.#tell("quotes", symbol, (feed) => quoteBody(quote, tape, feed))
  }

  #trade(
    listed: Listed,
    price: Atoms,
    size: Atoms,
    takerBuys: boolean,
    time: Nanos,
    exchange: string,
  ) {
    const { tape } = listed.instrument
    const isShare = tape !== ""
    const trade: TapeTrade = {
      id: this.#takeId(listed, isShare ? exchange : ""),
      exchange: isShare ? exchange : "",
      price,
      size,
      time: this.#stamp(time),
      conditions: isShare ? this.#conditions(tape, size) : [],
      takerBuys,
    }
    this.#closeMinutes(listed, Number(trade.time / 1_000_000n))
    listed.tape.addTrade(trade)
    this.#tellSeen("trades", listed, trade, tradeBody(trade, tape))
  }

  #conditions(tape: string, size: Atoms): ReadonlyArray<string> {
    const conditions = [tape === "C" ? "@" : " "]
    if (this.#phase !== "core") conditions.push("T")
    if (notional(size, ONE) < 100n * ONE) conditions.push("I")
    return conditions
  }

  /** Tells the bars of the minute that has ended by `nowMs`, once. */
  #closeMinutes(listed: Listed, nowMs: number) {
    const { instrument: { listing: { symbol } }, tape, told } = listed
    const ended = (feed: Feed): Bar | undefined => {
      const last = tape.bars[feed].lastMinute
      if (last === undefined || last.time + MINUTE_MS > nowMs || last.time <= told[feed]) {
        return undefined
      }
      told[feed] = last.time
      return last
    }
    const bars = { iex: ended("iex"), sip: ended("sip") }
    if (bars.iex === undefined && bars.sip === undefined) return
    this.#tell("bars", symbol, (feed) => bars[feed] && barBody(bars[feed]))
    this.#tell("dailyBars", symbol, (feed) => {
      const day = bars[feed] && tape.bars[feed].day(bars[feed].time)
      return day && barBody(day)
    })
  }

  /** The bar of a minute that had been told as something else. */
  #tellUpdatedBar(listed: Listed, trade: TapeTrade) {
    const timeMs = Number(trade.time / 1_000_000n)
    const minute = timeMs - timeMs % MINUTE_MS
    const { symbol } = listed.instrument.listing
    this.#tell("updatedBars", symbol, (feed) => {
      if (listed.told[feed] < minute) return undefined
      const bar = listed.tape.bars[feed].all({ count: 1, unit: "Min" })
        .findLast((one) => one.time === minute)
      return bar && barBody(bar)
    })
  }

  #status(listed: Listed, body: object) {
    const { tape, listing: { symbol } } = listed.instrument
    const t = formatTime(this.#stamp(nanosOf(this.now())))
    this.#tell("statuses", symbol, () => ({ ...body, t, z: tape }))
    this.#move({ kind: "status", symbol })
  }

  #tellSeen(channel: Channel, { instrument }: Listed, trade: TapeTrade, body: object) {
    const { symbol } = instrument.listing
    this.#tell(channel, symbol, (feed) => isSeen(feed, trade) ? body : undefined)
  }

  #tell(channel: Channel, symbol: string, body: DataMessage["body"]) {
    for (const hearer of this.#hearers) hearer({ channel, symbol, body })
  }

  #move(move: MarketMove) {
    for (const listener of this.#moves) listener(move)
  }

  /** Ids begin where no run before this one can have come. */
  #takeId({ ids }: Listed, exchange: string): number {
    const id = (ids.get(exchange) ?? Math.floor(this.now() / 100)) + 1
    ids.set(exchange, id)
    return id
  }

  /** Times never repeat, and never go back unless the clock did. */
  #stamp(time: Nanos): Nanos {
    const isClockWrong = this.#stampedAt - time > 1_000_000_000n
    this.#stampedAt = time > this.#stampedAt || isClockWrong
      ? time + BigInt(Math.floor(this.#chance.next() * 900_000))
      : this.#stampedAt + 1_000n
    return this.#stampedAt
  }
}

function lastTold(bar: Bar | undefined): Record<Feed, number> {
  const time = bar?.time ?? -Infinity
  return { iex: time, sip: time }
}

/** The test feed and crypto never close. */
function followsSessions({ listing: { assetClass, symbol } }: Instrument): boolean {
  return assetClass === "us_equity" && symbol !== TEST_SYMBOL
}

/** Levels that differ from what was shown before; size 0 for those that are gone. */
function changed(
  before: ReadonlyArray<Level>,
  after: ReadonlyArray<Level>,
): ReadonlyArray<Level> {
  const sizes = new Map(before.map((level) => [level.price, level.size]))
  const changes = after.filter((level) => sizes.get(level.price) !== level.size)
  const kept = new Set(after.map((level) => level.price))
  const gone = before.filter((level) => !kept.has(level.price))
  return [...changes, ...gone.map(({ price }) => ({ price, size: 0n }))]
}
