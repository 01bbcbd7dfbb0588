/**
 * A runtime small enough to read, for tests of the pages: it implements the port of `http/`.
 *
 * Everything it shows follows from the number of steps taken and the commands received, so a test
 * knows what it will see. It trades nothing and knows no venue; the order path has its own tests.
 */
import {
  type Command,
  type CommandProgress,
  type CommandReceipt,
  CommandRefused,
} from "../domain/command.ts"
import { venueOf } from "../domain/instrument.ts"
import type {
  ActorView,
  AlertView,
  EventView,
  FeedView,
  FillView,
  OrderView,
  Overview,
  PositionView,
  ReplayView,
  StrategyView,
  TradingState,
} from "../domain/overview.ts"
import type { HttpDeps, JournalRecordView } from "../http/ports.ts"
import {
  actors,
  events,
  fills,
  type Holding,
  holdings,
  markets,
  orders,
  strategies,
  tremble,
  wave,
} from "./fake_scene.ts"

export interface FakeOptions {
  /** Epoch milliseconds; a test moves it, a demo passes the wall clock. */
  readonly now: () => number
  /** Names this run; another run must have another. */
  readonly epoch?: string
  readonly mode?: Overview["mode"]
  /** As on a first run: nothing connected, traded or decided yet. */
  readonly isEmpty?: boolean
  readonly replay?: ReplayView
  /** Between two lines of progress. */
  readonly pace?: () => Promise<void>
}

const START_EQUITY = 250_000
const HISTORY_S = 1_200

export class FakeRuntime implements HttpDeps {
  #steps = 0
  #ids = 0
  #tradingState: TradingState = "active"
  #stateReason = ""
  #stateSince: number
  #feedStatus: FeedView["status"] = "streaming"
  #feedSince: number
  readonly #startedAt: number
  readonly #holdings: Array<Holding>
  #orders: Array<OrderView>
  readonly #fills: Array<FillView>
  readonly #records: Array<JournalRecordView> = []
  readonly #strategies: Array<StrategyView>
  #actors: Array<ActorView>
  #alerts: Array<AlertView> = []
  readonly #receipts = new Map<string, CommandReceipt>()
  readonly #progress = new Map<string, Array<CommandProgress>>()
  readonly #progressWaiting = new Set<() => void>()
  readonly #changeListeners = new Set<() => void>()
  readonly #recordListeners = new Set<(record: JournalRecordView) => void>()
  /** Every command taken, repetitions left out. */
  readonly taken: Array<Command> = []
  /** What died of a bug; a test expects none. */
  readonly defects: Array<unknown> = []
  readonly hostnames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"])

  constructor(private readonly options: FakeOptions) {
    const now = options.now()
    this.#startedAt = now - 11_220_000
    this.#stateSince = this.#startedAt
    this.#feedSince = now - 5_760_000
    const isEmpty = options.isEmpty ?? false
    this.#holdings = isEmpty ? [] : holdings()
    this.#orders = isEmpty ? [] : orders(now)
    this.#fills = isEmpty ? [] : fills(now)
    this.#strategies = strategies(now, isEmpty)
    this.#actors = isEmpty ? [] : actors(now, this.#startedAt)
    const history = isEmpty ? [] : events
    history.forEach(([ageMs, tag, tone, source, text]) =>
      this.#commit(tag, tone, source, text, now - ageMs)
    )
  }

  readonly now = (): number => this.options.now()
  readonly newId = (): string =>
    `${this.options.epoch ?? "fake"}-${String(++this.#ids).padStart(6, "0")}`

  readonly reportDefect = (where: string, cause: unknown): void => {
    this.defects.push(`${where}: ${String(cause)}`)
  }

  /** Moves every market once. */
  step(): void {
    this.#steps += 1
    this.#changed()
  }

  commit(tag: string, tone: EventView["tone"], source: string, text: string): void {
    this.#commit(tag, tone, source, text, this.now())
    this.#changed()
  }

  loseFeed(): void {
    this.#feedStatus = "reconnecting"
    this.#feedSince = this.now()
    this.commit("FeedLost", "error", "feed:binance", "WebSocket closed 1006, attempt 2 of 5")
  }

  restoreFeed(): void {
    this.#feedStatus = "streaming"
    this.#feedSince = this.now()
    this.commit(
      "FeedRestored",
      "plain",
      "feed:binance",
      "Streaming again after 12 s, no trade missed",
    )
  }

  alert(alert: AlertView): void {
    this.#alerts = [alert, ...this.#alerts]
    this.#changed()
  }

  /** Open positions, as the venue of the test has them. */
  get positions(): number {
    return this.#holdings.length
  }

  readonly overview = (): Overview => {
    const now = this.now()
    const isEmpty = this.options.isEmpty ?? false
    const positions = this.#holdings.map((holding) => this.#position(holding))
    const unrealised = positions.reduce((sum, { unrealisedPnl }) => sum + Number(unrealisedPnl), 0)
    const exposure = positions.reduce(
      (sum, { quantity, markPrice }) => sum + Math.abs(Number(quantity) * Number(markPrice)),
      0,
    )
    const realised = isEmpty ? 0 : 1_714.91
    const total = START_EQUITY + realised + unrealised
    return {
      seq: this.#records.at(-1)?.seq ?? 0,
      asOf: now,
      mode: this.options.mode ?? "sim",
      version: "0.1.0",
      startedAt: this.#startedAt,
      tradingState: this.#tradingState,
      ...(this.#tradingState !== "active" && {
        tradingStateReason: this.#stateReason,
        tradingStateSince: this.#stateSince,
      }),
      ...(this.options.replay && { replay: this.options.replay }),
      accounts: isEmpty ? [] : [{
        venue: "binance",
        label: `binance ${this.options.mode ?? "sim"}`,
        status: "ready",
        reconciledAt: now - 8_000,
        link: "streaming",
        lastEventAt: now - 74_000,
        clockOffsetMs: -3,
        cash: [{ asset: "USDT", quantity: "209118.42" }, { asset: "BNB", quantity: "1.250" }],
        dust: [{ asset: "DOGE", quantity: "0.37" }],
        paused: false,
        requests: [{ name: "weight_1m", used: 212, limit: 6_000, windowMs: 60_000, waiting: 0 }],
      }, {
        venue: "alpaca",
        label: `alpaca ${this.options.mode ?? "sim"}`,
        status: "ready",
        reconciledAt: now - 11_000,
        link: "streaming",
        lastEventAt: now - 31_000,
        clockOffsetMs: 12,
        cash: [{ asset: "USD", quantity: "50000" }],
        dust: [],
        equity: {
          total: "50000",
          cash: "50000",
          realisedPnl: "0",
          unrealisedPnl: "0",
          fees: "0",
          asOf: now,
          start: "50012.5",
          drawdown: "0.00025",
          peak: "50012.5",
          exposure: "0",
        },
        paused: true,
        requests: [{
          name: "alpaca:trading",
          used: 200,
          limit: 200,
          windowMs: 60_000,
          waiting: 1,
          bannedUntil: now + 20_000,
        }],
      }],
      equity: {
        total: total.toFixed(2),
        cash: (total - exposure).toFixed(2),
        realisedPnl: realised.toFixed(2),
        unrealisedPnl: unrealised.toFixed(2),
        fees: isEmpty ? "0" : "96.12",
        asOf: now,
        start: START_EQUITY.toFixed(2),
        drawdown: isEmpty ? "0" : "0.0063",
        peak: (START_EQUITY + 1_961.95).toFixed(2),
        exposure: exposure.toFixed(2),
      },
      positions,
      orders: this.#orders,
      fills: this.#fills,
      strategies: this.#strategies,
      feeds: [this.#feed("binance", this.#feedStatus), this.#feed("alpaca", "streaming")],
      actors: this.#actors.map((actor, i) => ({
        ...actor,
        mailboxDepth: actor.kind === "actor" ? (this.#steps * 7 + i * 5) % 9 : 0,
        ratePerSecond: actor.ratePerSecond === 0 ? 0 : actor.ratePerSecond + (this.#steps + i) % 7,
      })),
      alerts: this.#alerts,
      events: this.#records.slice(-100).toReversed().map(({ view }) => view),
    }
  }

  readonly onChange = (listener: () => void): () => void => {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  readonly onRecord = (listener: (record: JournalRecordView) => void): () => void => {
    this.#recordListeners.add(listener)
    return () => this.#recordListeners.delete(listener)
  }

  get listeners(): number {
    return this.#changeListeners.size + this.#recordListeners.size
  }

  readonly readRecords = (after: number, limit: number) =>
    Promise.resolve(this.#records.filter(({ seq }) => seq > after).slice(0, limit))

  /** Venues that have not been let in yet: their instruments are unknown. */
  readonly waiting = new Set<string>()
  readonly instruments = (): ReadonlyArray<string> =>
    markets.map(({ instrument }) => instrument).filter((each) => !this.waiting.has(venueOf(each)))

  readonly series = (instrument: string) => {
    const market = markets.find((it) => it.instrument === instrument)
    if (!market) return undefined
    const end = Math.floor(this.now() / 1000)
    const shape = (time: number) =>
      time * 0.7 + 180 * Math.sin(time / 90) + 60 * Math.sin(time / 17)
    const { total, start } = this.overview().equity
    const pnlNow = Number(total) - Number(start)
    const times = this.options.isEmpty
      ? []
      : Array.from({ length: HISTORY_S }, (_, i) => end - HISTORY_S + i)
    return {
      instrument,
      price: times.map((time) => ({ time, value: wave(market, time) })),
      pnl: times.map((time) => ({ time, value: pnlNow + shape(time) - shape(end) })),
      fills: this.#fills.filter((fill) => fill.instrument === instrument)
        .map(({ time, side, quantity, price }) => ({
          time: Math.floor(time / 1000),
          side,
          text: `${side} ${quantity} at ${price}`,
        })).toSorted((a, b) => a.time - b.time),
    }
  }

  readonly orders = (): ReadonlyArray<OrderView> => this.#orders
  readonly fills = (): ReadonlyArray<FillView> => this.#fills
  readonly metrics = (): string =>
    `# HELP keel_steps Steps of the fixture.\n# TYPE keel_steps counter\nkeel_steps ${this.#steps}\n`
  readonly health = () => ({
    live: true,
    ready: this.#feedStatus === "streaming",
    reasons: this.#feedStatus === "streaming" ? [] : ["the binance feed is reconnecting"],
  })

  readonly strategies = () => [
    {
      name: "rsi_momentum",
      title: "RSI momentum",
      description: "Buys when RSI rises out of oversold, sells when it falls out of overbought.",
      params: [
        { name: "period", description: "bars", default: "14" },
        { name: "oversold", description: "RSI below", default: "30" },
        { name: "overbought", description: "RSI above", default: "70" },
      ],
    },
    {
      name: "mean_reversion",
      title: "Mean reversion",
      description: "Buys below the lower Bollinger band and sells at the mean.",
      params: [
        { name: "period", description: "bars", default: "20" },
        { name: "deviations", description: "width of the band", default: "2" },
      ],
    },
  ]

  readonly submit = (command: Command): Promise<CommandReceipt> => {
    const known = this.#receipts.get(command.commandId)
    if (known) return Promise.resolve(known)
    const refusal = this.#refusal(command)
    if (refusal) return Promise.reject(refusal)
    const note = command.scope.id ? ` ${command.scope.id}` : ""
    this.#commit("CommandTaken", "plain", "operator", `${command.type}${note}`, this.now())
    const receipt = { commandId: command.commandId, seq: this.#records.length }
    this.#receipts.set(command.commandId, receipt)
    this.taken.push(command)
    this.#act(command)
    this.#changed()
    return Promise.resolve(receipt)
  }

  readonly progress = async function* (
    this: FakeRuntime,
    commandId: string,
  ): AsyncGenerator<CommandProgress> {
    for (let i = 0;; i++) {
      let line: CommandProgress | undefined
      while (!(line = this.#progress.get(commandId)?.[i])) {
        await new Promise<void>((resolve) => this.#progressWaiting.add(resolve))
      }
      yield line
      if (line.final) return
    }
  }.bind(this)

  #refusal({ type, scope, params }: Command): CommandRefused | undefined {
    const holding = this.#holdings.find(({ instrument }) => instrument === scope.id)
    if ((type === "close_position" || type === "override_position") && !holding) {
      return new CommandRefused({
        message: `There is no open position in ${scope.id}`,
        status: 404,
      })
    }
    if (type === "close_position" && holding?.closing) {
      return new CommandRefused({ message: `${scope.id} is being closed already`, status: 409 })
    }
    if (type === "cancel_order" && this.#order(scope.id)?.status !== "accepted") {
      return new CommandRefused({ message: "That order is not open any more", status: 409 })
    }
    if (type === "swap_strategy" && !(Number(params?.period) >= 2)) {
      return new CommandRefused({ message: "period must be an integer of at least 2", status: 422 })
    }
  }

  #act(command: Command): void {
    const { type, scope } = command
    switch (type) {
      case "pause":
      case "resume":
        return this.#setTrading(type === "pause" ? "halted" : "active", "paused by the operator")
      case "override_position":
        for (const holding of this.#holdings) {
          if (holding.instrument === scope.id) holding.control = command.control ?? "auto"
        }
        return
      case "cancel_order":
        this.#orders = this.#orders.map((order) =>
          order.clientOrderId === scope.id
            ? { ...order, status: "canceled", updatedAt: this.now() }
            : order
        )
        return
      case "swap_strategy":
        for (const [i, runner] of this.#strategies.entries()) {
          if (runner.id !== scope.id) continue
          this.#strategies[i] = {
            ...runner,
            strategy: command.strategy ?? runner.strategy,
            params: command.params ?? {},
            indicators: {},
            status: "warming_up",
            bars: 0,
          }
        }
        return
      case "restart_actor":
      case "crash_actor":
        return this.#restart(scope.id ?? "", type === "crash_actor")
      case "close_position":
        void this.#close(command.commandId, [scope.id ?? ""], false)
        return
      case "flatten":
        this.#setTrading("halted", "flattened by the operator")
        void this.#close(command.commandId, this.#holdings.map((it) => it.instrument), true)
        return
    }
  }

  /** Confirms each close before it says so, as a venue would. */
  async #close(
    commandId: string,
    instruments: ReadonlyArray<string>,
    isAll: boolean,
  ): Promise<void> {
    const pace = this.options.pace ?? (() => Promise.resolve())
    for (const holding of this.#holdings) {
      if (instruments.includes(holding.instrument)) holding.closing = true
    }
    await pace()
    if (isAll) {
      const open = this.#orders.filter(({ status }) => status === "accepted")
      this.#orders = this.#orders.map((order) =>
        open.includes(order) ? { ...order, status: "canceled" } : order
      )
      this.#say(commandId, `${open.length} open orders canceled`, "confirmed")
      await pace()
    }
    for (const instrument of instruments) {
      this.#say(commandId, `Closing ${instrument} at market`, "plain")
      this.#changed()
      await pace()
      const index = this.#holdings.findIndex((it) => it.instrument === instrument)
      const [closed] = this.#holdings.splice(index, 1)
      if (!closed) continue
      const now = this.now()
      this.#commit(
        "OrderFilled",
        "trade",
        "executor",
        `Closed ${closed.quantity} ${instrument}`,
        now,
      )
      this.#say(commandId, `${instrument} is closed at the venue`, "confirmed")
      this.#changed()
    }
    await pace()
    this.#say(commandId, isAll ? "Flat: the venue reports no position" : "Done", "confirmed", true)
    this.#changed()
  }

  #say(
    commandId: string,
    text: string,
    tone: CommandProgress["tone"],
    final = false,
  ): void {
    const lines = this.#progress.get(commandId) ?? []
    lines.push({ commandId, time: this.now(), text, tone, final })
    this.#progress.set(commandId, lines)
    for (const wake of [...this.#progressWaiting]) {
      this.#progressWaiting.delete(wake)
      wake()
    }
  }

  #setTrading(state: TradingState, reason: string): void {
    this.#tradingState = state
    this.#stateReason = reason
    this.#stateSince = this.now()
  }

  #restart(path: string, isCrash: boolean): void {
    const now = this.now()
    const cause = isCrash
      ? "Error: crashed on purpose by the operator"
      : "restarted by the operator"
    this.#actors = this.#actors.map((actor) =>
      actor.path === path
        ? {
          ...actor,
          restarts: actor.restarts + 1,
          startedAt: now,
          lastCause: cause,
          lastCauseAt: now,
        }
        : actor
    )
    this.#commit("ActorRestarted", "warning", path, `${path} restarted: ${cause}`, now)
  }

  #order(id: string | undefined): OrderView | undefined {
    return this.#orders.find(({ clientOrderId }) => clientOrderId === id)
  }

  #commit(tag: string, tone: EventView["tone"], source: string, text: string, time: number): void {
    const seq = this.#records.length + 1
    const record = {
      seq,
      time,
      event: { _tag: tag, source },
      view: { seq, time, type: tag, tone, source, text },
    }
    this.#records.push(record)
    for (const listener of this.#recordListeners) listener(record)
  }

  #changed(): void {
    for (const listener of [...this.#changeListeners]) listener()
  }

  #price(instrument: string): number {
    const market = markets.find((it) => it.instrument === instrument)
    return market ? wave(market, Math.floor(this.now() / 1000)) + tremble(market, this.#steps) : 0
  }

  #position(holding: Holding): PositionView {
    const { instrument, quantity, averagePrice, strategy, control, closing } = holding
    const mark = Number(this.#price(instrument).toFixed(2))
    const isStreaming = this.#feedStatus === "streaming"
    const isPolled = !isStreaming || instrument.startsWith("SOL")
    return {
      instrument,
      venue: "binance",
      quantity: String(quantity),
      averagePrice: averagePrice.toFixed(2),
      markPrice: mark.toFixed(2),
      markAgeMs: isPolled ? 2_100 : 400,
      markSource: isPolled ? "rest" : "stream",
      markAuthority: isPolled ? "exits_only" : "may_open",
      unrealisedPnl: ((mark - averagePrice) * quantity).toFixed(2),
      realisedPnl: "412.50",
      openedAt: this.#startedAt,
      strategies: [strategy],
      closing,
      control,
    }
  }

  #feed(venue: string, status: FeedView["status"]): FeedView {
    const now = this.now()
    const isEmpty = this.options.isEmpty ?? false
    const isStreaming = status === "streaming"
    return {
      venue,
      status: isEmpty ? "connecting" : status,
      attempt: isStreaming ? 0 : 2,
      attemptMax: 5,
      lastDataAt: isEmpty ? null : isStreaming ? now - 100 : this.#feedSince,
      ...(!isStreaming &&
        { nextAttemptAt: this.#feedSince + 8_000, cause: "WebSocket closed 1006" }),
      since: this.#feedSince,
      reconnects: 1,
      framesPerSecond: isStreaming && !isEmpty ? 848 + this.#steps % 40 : 0,
      undecoded: 0,
      instruments: markets.filter((each) => venueOf(each.instrument) === venue).map((market, i) => {
        const price = this.#price(market.instrument)
        const tick = 10 ** -market.places
        const isPolled = market.instrument.startsWith("SOL")
        return {
          instrument: market.instrument,
          price: isEmpty ? null : price.toFixed(market.places),
          bid: isEmpty ? null : (price - tick).toFixed(market.places),
          ask: isEmpty ? null : (price + tick).toFixed(market.places),
          ageMs: isEmpty ? null : isPolled ? 2_100 : isStreaming ? 100 + 300 * i : 12_000,
          source: isPolled ? "rest" : "stream",
          fresh: isStreaming && !isEmpty && !isPolled,
          staleAfterMs: 3_000,
          trades: 10_000 * (i + 1) + this.#steps,
          lastTradeId: String(3_712_000_000 + this.#steps),
          duplicates: i,
          gaps: isPolled ? 2 : 0,
        }
      }),
    }
  }
}
