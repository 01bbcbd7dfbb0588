/**
 * One Binance spot venue without its sockets: listings, matching, tapes and books.
 *
 * Whatever drives the market, generator or recording, arrives here as changes and
 * leaves as frames for the public streams; what it does to our orders is returned,
 * so that the caller can make it durable before anybody hears of it. A recorded
 * frame leaves as the bytes it came in.
 */
import * as message from "./binance_messages.ts"
import { type Canceled, Exchange, type OrderRequest, type Placed } from "./exchange.ts"
import { type Change, NO_CHANGE } from "./exchange_books.ts"
import type { Params } from "./binance_params.ts"
import { type Interval, isInterval } from "./klines.ts"
import type { LedgerBatch, LedgerContents } from "./ledger.ts"
import type { Listing } from "./listing.ts"
import { ReadReplica } from "./read_replica.ts"
import type { MarketChange, RawFrame } from "./recording.ts"
import { type Level, ShownBook } from "./shown_book.ts"
import type { SyntheticEvent } from "./synthetic.ts"
import { Tape } from "./tape.ts"

/** Where frames for the public streams go. */
export interface Publisher {
  /** `data` is made only when somebody listens. */
  readonly publish: (stream: string, data: () => object) => void
  readonly republish: (frame: RawFrame) => void
  /** Streams that somebody listens to. */
  readonly listened: () => Iterable<string>
}

/** The venue pushes a kline at most this often, unless it closes. */
const KLINE_PUSH_MS = { "1s": 1_000, others: 2_000 } as const

const PARTIAL_DEPTHS = [5, 10, 20] as const

/** The last bar that was pushed on a stream, and when. */
interface KlinePush {
  readonly openTime: number
  readonly at: number
}

interface Market {
  listing: Listing
  readonly tape: Tape
  /** The recorded depth book: a snapshot and the diffs after it. */
  depth: ShownBook | undefined
  /** Diffs that came before their snapshot. */
  waiting: Array<Extract<MarketChange, { type: "depth" | "snapshot" }>>
  /** What listeners to depth know: the last published ladder. */
  published: { updateId: number; bids: ReadonlyArray<Level>; asks: ReadonlyArray<Level> }
}

export class BinanceVenue {
  readonly exchange: Exchange
  /** What queries see. */
  readonly replica: ReadReplica
  /** Whether our fills are prints on the public tape; a recording's tape stays as it was. */
  readonly #printsOwnFills: boolean
  readonly #markets = new Map<string, Market>()
  readonly #publisher: Publisher
  /** Of the streams that somebody listens to. */
  #klinesPushed = new Map<string, KlinePush>()
  #updateId: number

  constructor(
    listings: ReadonlyArray<Listing>,
    contents: LedgerContents,
    publisher: Publisher,
    options: {
      readonly printsOwnFills: boolean
      readonly updateId: number
      readonly now: () => number
    },
  ) {
    this.exchange = new Exchange(listings, contents)
    this.replica = new ReadReplica(contents, options.now)
    this.#publisher = publisher
    this.#printsOwnFills = options.printsOwnFills
    this.#updateId = options.updateId
    for (const listing of listings) {
      this.#markets.set(listing.symbol, {
        listing,
        tape: new Tape(),
        depth: undefined,
        waiting: [],
        published: { updateId: options.updateId, bids: [], asks: [] },
      })
    }
  }

  get listings(): ReadonlyArray<Listing> {
    return [...this.#markets.values()].map((market) => market.listing)
  }

  listing(symbol: string): Listing | undefined {
    return this.#markets.get(symbol)?.listing
  }

  /** New rules for a symbol that is listed already. */
  relist(listing: Listing) {
    this.#market(listing.symbol).listing = listing
    this.exchange.relist(listing)
  }

  tape(symbol: string): Tape {
    return this.#market(symbol).tape
  }

  /** What `GET depth` shows; consistent with the diffs published so far. */
  depth(symbol: string, limit: number) {
    const book = this.#market(symbol).depth ?? this.exchange.book(symbol)
    return {
      lastUpdateId: book.updateId,
      bids: book.bids.levels.slice(0, limit),
      asks: book.asks.levels.slice(0, limit),
    }
  }

  /** Rows to commit for a change. */
  batch(change: Change): LedgerBatch | undefined {
    if (change === NO_CHANGE) return undefined
    return {
      orders: change.orders,
      fills: change.fills,
      balances: change.balances,
      forgotten: change.forgotten,
      counters: this.exchange.counters(this.#updateId),
    }
  }

  get counters() {
    return this.exchange.counters(this.#updateId)
  }

  // The account

  place(request: OrderRequest, now: number): Placed {
    const placed = this.exchange.place(request, now)
    if ("change" in placed) this.#note(placed.change, now)
    return placed
  }

  cancel(orderId: number, cancelId: string, now: number): Canceled {
    const canceled = this.exchange.cancel(orderId, cancelId, now)
    if ("change" in canceled) this.#note(canceled.change, now)
    return canceled
  }

  deposit(asset: string, amount: bigint, now: number): Change {
    return this.#note(this.exchange.deposit(asset, amount, now), now)
  }

  /** The order that a cancel request names fills just before it can be canceled. */
  fillEarly(params: Params, now: number): Change | undefined {
    const order = this.exchange.openOrders(params.text("symbol")).find((one) =>
      String(one.orderId) === params.text("orderId") ||
      one.clientOrderId === params.text("origClientOrderId")
    )
    return order && this.#note(this.exchange.fillResting(order.orderId, now), now)
  }

  // The market

  /** A generated change. */
  generate(event: SyntheticEvent, now: number): Change {
    if (event.type === "ladder") {
      const updateId = ++this.#updateId
      const change = this.exchange.ladder(event.symbol, updateId, event.bids, event.asks, now)
      this.#note(change, now)
      const [bid, ask] = [event.bids[0], event.asks[0]]
      if (bid !== undefined && ask !== undefined) {
        this.#quote(event.symbol, { updateId, bid, ask })
      }
      return change
    }
    const { symbol, price, size, buyerIsMaker, time } = event
    const change = this.#note(this.exchange.trade(symbol, price, size, buyerIsMaker, now), now)
    const tradeId = this.exchange.takeTradeId(symbol)
    this.#trade(symbol, { tradeId, price, size, buyerIsMaker, time }, now)
    return change
  }

  /** A recorded change, and the frame it came in, if it came in one. */
  replay(change: MarketChange | undefined, frame: RawFrame | undefined, now: number): Change {
    if (frame !== undefined) this.#publisher.republish(frame)
    switch (change?.type) {
      case undefined:
        return NO_CHANGE
      case "trade": {
        const { symbol, price, size, buyerIsMaker } = change
        if (frame === undefined) this.#trade(symbol, change, now)
        else this.tape(symbol).add(change)
        return this.#note(this.exchange.trade(symbol, price, size, buyerIsMaker, now), now)
      }
      case "quote": {
        if (frame === undefined) this.#quote(change.symbol, change)
        else this.tape(change.symbol).quote = change
        const { symbol, updateId, bid, ask } = change
        return this.#note(this.exchange.quote(symbol, updateId, bid, ask, now), now)
      }
      case "depth":
      case "snapshot":
        this.#deepen(change)
        return NO_CHANGE
    }
  }

  /** Partial and diff depth of generated books: what changed since the last time. */
  publishDepth(now: number) {
    for (const [symbol, market] of this.#markets) {
      const { updateId, bids, asks } = this.exchange.book(symbol)
      const before = market.published
      if (updateId <= before.updateId) continue
      market.published = { updateId, bids: bids.levels, asks: asks.levels }
      const diff = {
        firstUpdateId: before.updateId + 1,
        updateId,
        bids: differences(before.bids, bids.levels),
        asks: differences(before.asks, asks.levels),
      }
      const name = symbol.toLowerCase()
      for (const stream of [`${name}@depth@100ms`, `${name}@depth`]) {
        this.#publisher.publish(stream, () => message.depthFrame(symbol, diff, now))
      }
      for (const levels of PARTIAL_DEPTHS) {
        const partial = () => message.depthBody(this.depth(symbol, levels))
        this.#publisher.publish(`${name}@depth${levels}`, partial)
        this.#publisher.publish(`${name}@depth${levels}@100ms`, partial)
      }
    }
  }

  /** The rolling day of every symbol, about once a second; not of the streams in `except`. */
  publishTickers(now: number, except: ReadonlySet<string> = new Set()) {
    for (const [symbol, { tape }] of this.#markets) {
      for (
        const [kind, make] of [
          ["miniTicker", message.miniTickerFrame],
          ["ticker", message.tickerFrame],
        ] as const
      ) {
        const stream = `${symbol.toLowerCase()}@${kind}`
        if (!except.has(stream)) this.#publisher.publish(stream, () => make(symbol, tape, now))
      }
    }
  }

  /**
   * Kline frames that are due: every close, and the running bar now and then.
   * Not of the streams in `except`, which have frames of their own.
   */
  publishKlines(now: number, except: ReadonlySet<string> = new Set()) {
    const before = this.#klinesPushed
    this.#klinesPushed = new Map()
    for (const stream of this.#publisher.listened()) {
      if (except.has(stream)) continue
      const [name, kind = ""] = stream.split("@")
      const interval = kind.startsWith("kline_") ? kind.slice("kline_".length) : ""
      const market = this.#markets.get(name?.toUpperCase() ?? "")
      if (market !== undefined && isInterval(interval)) {
        const pushed = this.#pushKline(stream, market, interval, before.get(stream), now)
        if (pushed !== undefined) this.#klinesPushed.set(stream, pushed)
      }
    }
  }

  #pushKline(
    stream: string,
    market: Market,
    interval: Interval,
    pushed: KlinePush | undefined,
    now: number,
  ): KlinePush | undefined {
    const { listing: { symbol }, tape: { klines } } = market
    const last = klines.last(interval, now)
    if (last === undefined) return pushed
    if (pushed !== undefined && last.openTime > pushed.openTime) {
      const closed = klines.range(interval, now, { startTime: pushed.openTime, limit: 1 })[0]
      if (closed !== undefined) {
        this.#publisher.publish(
          stream,
          () => message.klineFrame(symbol, interval, closed, true, now),
        )
      }
    }
    const every = interval === "1s" ? KLINE_PUSH_MS["1s"] : KLINE_PUSH_MS.others
    const isDue = pushed === undefined || last.openTime > pushed.openTime ||
      now - pushed.at >= every
    if (!isDue) return pushed
    this.#publisher.publish(
      stream,
      () => message.klineFrame(symbol, interval, last, false, now),
    )
    return { openTime: last.openTime, at: now }
  }

  #deepen(change: Extract<MarketChange, { type: "depth" | "snapshot" }>) {
    const market = this.#market(change.symbol)
    if (change.type === "snapshot") {
      const depth = new ShownBook()
      depth.ladder(change.updateId, change.bids, change.asks)
      market.depth = depth
      const shown = this.exchange.book(change.symbol)
      shown.ladder(change.updateId, change.bids, change.asks)
      const quote = market.tape.quote
      if (quote !== undefined) shown.quote(quote.updateId, quote.bid, quote.ask)
      const waiting = market.waiting
      market.waiting = []
      for (const diff of waiting) this.#deepen(diff)
      return
    }
    const { depth } = market
    if (depth === undefined) return void market.waiting.push(change)
    if (change.updateId <= depth.updateId) return
    depth.updateId = change.updateId
    const shown = this.exchange.book(change.symbol)
    for (const side of ["bids", "asks"] as const) {
      for (const { price, size } of change[side]) {
        depth[side].set(price, size)
        // The quote is newer than a diff: the best level is its business alone.
        const best = shown[side].best
        const isDeeper = best === undefined ||
          (side === "bids" ? price < best.price : price > best.price)
        if (isDeeper) shown[side].set(price, size)
      }
    }
  }

  #trade(symbol: string, trade: Parameters<Tape["add"]>[0], now: number) {
    const name = symbol.toLowerCase()
    this.tape(symbol).add(trade)
    this.#publisher.publish(`${name}@trade`, () => message.tradeFrame(symbol, trade, now))
    this.#publisher.publish(`${name}@aggTrade`, () => message.aggTradeFrame(symbol, trade, now))
  }

  #quote(symbol: string, quote: NonNullable<Tape["quote"]>) {
    this.tape(symbol).quote = quote
    const stream = `${symbol.toLowerCase()}@bookTicker`
    this.#publisher.publish(stream, () => message.bookTickerFrame(symbol, quote))
  }

  /** `frames` quotes of a symbol at once, each as good as any. */
  burst(symbol: string, frames: number) {
    const { quote } = this.tape(symbol)
    if (quote === undefined) return
    for (let i = 0; i < frames; i++) this.#quote(symbol, { ...quote, updateId: ++this.#updateId })
  }

  /** Queries will see it, and the tape if our fills are prints. */
  #note(change: Change, now: number): Change {
    if (change === NO_CHANGE) return change
    this.replica.follow(change)
    if (this.#printsOwnFills) this.#print(change, now)
    return change
  }

  #print(change: Change, now: number) {
    for (const fill of change.fills) {
      const { tradeId, price, quantity: size, time, isBuyer, isMaker } = fill
      this.#trade(
        fill.symbol,
        { tradeId, price, size, time, buyerIsMaker: isBuyer === isMaker },
        now,
      )
    }
  }

  #market(symbol: string): Market {
    const market = this.#markets.get(symbol)
    if (market === undefined) throw new RangeError(`not listed: ${symbol}`)
    return market
  }
}

/** Levels that are new, changed, or gone (size 0). */
function differences(
  before: ReadonlyArray<Level>,
  after: ReadonlyArray<Level>,
): ReadonlyArray<Level> {
  const old = new Map(before.map((level) => [level.price, level.size]))
  const changed = new Array<Level>()
  for (const { price, size } of after) {
    if (old.get(price) !== size) changed.push({ price, size })
    old.delete(price)
  }
  for (const price of old.keys()) changed.push({ price, size: 0n })
  return changed
}
