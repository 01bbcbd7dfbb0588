/**
 * What a venue behind the ports holds: its orders, executions and balances.
 *
 * They are one and true, whatever their owners are told about them: a lost answer is lost on the
 * way, never in the books. How a request, its fills and its reports fare can be told beforehand,
 * one by one. What the venue's market does, and who listens, is for whoever extends it.
 */
import { Effect, Option } from "effect"
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
import { type Instrument, type InstrumentId, venueOf } from "../../domain/instrument.ts"
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
import { Unreachable, type VenueError } from "../../venues/market_data.ts"

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
export type SubmitFault = (typeof submitFaults)[number]
/** What the market does with one order, but for filling it at once. */
export const fillPlans = ["pieces", "part_then_expire", "slow"] as const
/** What becomes of one frame: of the private stream, or one trade of the market's. */
export const frameFaults = ["lose", "duplicate", "late"] as const
export type FrameFault = (typeof frameFaults)[number]

interface VenueOrder extends NewOrder {
  readonly venueOrderId: string
  filled: Decimal
  status: OrderReport["status"]
  reason: string
  /** Every change, for reads that lag. */
  readonly history: Array<{ readonly time: number; readonly report: OrderReport }>
}

const FEE = decimal("0.001")
const TICK = decimal("0.01")
/** How long an answer takes that nothing holds up. */
export const ANSWER_MS = 20
const FRAME_MS = 15
const LATE_MS = 2_500
/** When a client gives up on an answer. */
const GIVE_UP_MS = 1_000

export const unreachable = new Unreachable({ detail: "ECONNREFUSED" })

export function instrument(id: InstrumentId): Instrument {
  const [base = "", quote] = id.slice(0, id.lastIndexOf(".")).split("/")
  return {
    id,
    venue: venueOf(id),
    assetClass: quote === undefined ? "us_equity" : "crypto",
    symbol: base + (quote ?? ""),
    base,
    quote: quote ?? "USD",
    tickSize: TICK,
    lotSize: decimal("0.0001"),
    quantityMin: decimal("0.0001"),
    quantityMax: decimal("9000"),
    notionalMin: decimal("5"),
    status: "trading",
  }
}

export abstract class FakeBooks {
  /** One entry is used up by each; without an entry nothing goes wrong. */
  readonly submitFaults = new Array<SubmitFault>()
  readonly fillPlans = new Array<(typeof fillPlans)[number] | "full" | "rest">()
  readonly privateFaults = new Array<FrameFault>()
  /** Orders in these are refused. */
  readonly refuses = new Set<InstrumentId>()
  /** Fees are taken in this, whatever is traded. */
  feeAsset: string | undefined
  /** Reads show the books as they were so long ago. */
  readLagMs = 0
  /** When the venue may be believed about an order whose answer was lost. */
  conclusiveMs = 5_000

  readonly submits = new Array<NewOrder & { readonly at: number }>()
  readonly orders = new Map<string, VenueOrder>()
  readonly executions = new Array<Execution>()
  /** What was asked of it. */
  readonly orderReads = new Array<{ readonly clientOrderId: string; readonly at: number }>()
  readonly executionReads = new Array<{ readonly since: number; readonly at: number }>()
  readonly cancels = new Array<string>()
  /** Called with every order at the moment it reaches the wire. */
  onSubmit: (order: NewOrder) => void = () => {}

  readonly #moves = new Array<
    { readonly time: number; readonly asset: string; readonly by: Decimal }
  >()
  #ids = 0

  /** The port of all this. */
  readonly broker: Broker

  constructor(
    readonly time: VirtualTime,
    readonly instruments: ReadonlyArray<Instrument>,
    { quote, venue }: Pick<Instrument, "quote" | "venue">,
  ) {
    this.broker = this.#broker(venue, quote)
  }

  /** By the venue's own clock, in epoch milliseconds. */
  abstract get now(): number
  /** What was paid last. */
  abstract price(id: InstrumentId): Decimal
  abstract later(ms: number, what: () => void): void
  /** How a request is answered, if it is. */
  protected abstract read<A>(doing: string, value: () => A): Effect.Effect<A, VenueError>
  /** The private stream, until it ends. */
  protected abstract listen(sink: PrivateSink): Effect.Effect<never, VenueError>
  /** To whoever listens at that moment. */
  protected abstract tell(event: PrivateEvent): void
  /** Why an order is not taken, apart from what it costs. */
  protected objection(_order: NewOrder): OrderRefused | undefined {
    return undefined
  }

  // ---- balances ----------------------------------------------------------------------------

  deposit(asset: string, quantity: string) {
    this.#moves.push({ time: -Infinity, asset, by: decimal(quantity) })
  }

  /** Somebody moves assets by another way than through us. */
  withdraw(asset: string, quantity: string) {
    this.#move(asset, negate(decimal(quantity)))
  }

  balance(asset: string, at = Infinity): Decimal {
    return this.#sum((move) => move.asset === asset && move.time <= at)
  }

  /** Held beyond what was deposited. */
  position(id: InstrumentId): Decimal {
    const { base } = this.#listing(id)
    return this.#sum(({ asset, time }) => asset === base && time !== -Infinity)
  }

  #move(asset: string, by: Decimal) {
    this.#moves.push({ time: this.now, asset, by })
  }

  #sum(counts: (move: { readonly asset: string; readonly time: number }) => boolean): Decimal {
    return this.#moves.filter(counts).reduce((sum, { by }) => add(sum, by), zero)
  }

  // ---- what is asked -----------------------------------------------------------------------

  #broker(venue: string, quoteAsset: string): Broker {
    const read = <A>(doing: string, value: () => A) => Effect.suspend(() => this.read(doing, value))
    return {
      venue,
      quoteAsset,
      connect: read("GET account", () => ({ clockOffsetMs: 0 })),
      capabilities: {
        orderTypes: new Set(["market", "limit"]),
        timeInForces: new Set(["gtc"]),
        notional: false,
        bracket: false,
        extendedHours: false,
      },
      submit: (order) => Effect.suspend(() => this.#submit(order)),
      replace: () => Effect.fail(new OrderNotSent({ detail: "orders are not replaced here" })),
      cancel: (_, clientOrderId) =>
        read("DELETE order", () => {
          this.cancels.push(clientOrderId)
          return this.#cancel(clientOrderId)
        }),
      cancelAll: read("DELETE openOrders", () => this.#cancelAll()),
      order: (_, clientOrderId) =>
        read("GET order", () => {
          this.orderReads.push({ clientOrderId, at: this.time.now })
          return Option.fromUndefinedOr(this.#report(clientOrderId))
        }),
      openOrders: read("GET openOrders", () => this.#openReports()),
      executions: (id, since) =>
        read("GET executions", () => {
          this.executionReads.push({ since, at: this.time.now })
          const until = this.now - this.readLagMs
          return this.executions.filter(({ instrument, time }) =>
            instrument === id && time >= since && time <= until
          )
        }),
      balances: read("GET balances", () => this.#balances()),
      stream: (sink) => Effect.suspend(() => this.listen(sink)),
    }
  }

  #balances(): ReadonlyArray<Balance> {
    const at = this.now - this.readLagMs
    return [...new Set(this.#moves.map(({ asset }) => asset))]
      .map((asset) => ({ asset, free: this.balance(asset, at), locked: zero }))
  }

  #report(clientOrderId: string): OrderReport | undefined {
    const until = this.now - this.readLagMs
    return this.orders.get(clientOrderId)?.history.findLast(({ time }) => time <= until)?.report
  }

  #openReports(): ReadonlyArray<OrderReport> {
    return [...this.orders.keys()].flatMap((id) => {
      const report = this.#report(id)
      return report === undefined || finals.has(report.status) ? [] : [report]
    })
  }

  // ---- the life of an order ----------------------------------------------------------------

  #submit(order: NewOrder): Effect.Effect<OrderAck, SubmitError> {
    const fault = this.submitFaults.shift()
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
    const taken = Effect.sync(() => this.#take(order))
    const answer = (ms: number) => Effect.flatMap(taken, (ack) => Effect.delay(ack, ms))
    switch (this.refuses.has(order.instrument) ? "refuse" : fault) {
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
    const refused = this.#refusal(order)
    if (refused !== undefined) return Effect.fail(refused)
    const placed = this.place(order)
    this.#match(placed)
    return Effect.succeed({ venueOrderId: placed.venueOrderId })
  }

  #refusal(order: NewOrder): OrderRefused | undefined {
    const { clientOrderId, instrument, quantity, side } = order
    if (this.orders.has(clientOrderId)) {
      return new OrderRefused({ reason: "duplicate_id", code: "-2010", text: "Duplicate order" })
    }
    const { base, quote } = this.#listing(instrument)
    const isShort = side === "sell"
      ? isLess(this.balance(base), quantity)
      : isLess(this.balance(quote), multiply(quantity, this.price(instrument)))
    const text = "Account has insufficient balance for requested action."
    return this.objection(order) ??
      (isShort
        ? new OrderRefused({ reason: "insufficient_funds", code: "-2010", text })
        : undefined)
  }

  protected place(order: NewOrder): VenueOrder {
    const placed: VenueOrder = {
      ...order,
      venueOrderId: this.nextId(),
      filled: zero,
      status: "accepted",
      reason: "",
      history: [],
    }
    this.orders.set(order.clientOrderId, placed)
    this.#tellOf(placed)
    return placed
  }

  #match(order: VenueOrder) {
    const { lotSize } = this.#listing(order.instrument)
    const part = floorTo(divide(order.quantity, decimal("3"), 18), lotSize)
    const rest = () => subtract(order.quantity, order.filled)
    switch (this.fillPlans.shift() ?? "full") {
      case "full":
        return this.#fill(order, order.quantity)
      case "pieces":
        this.#fill(order, part)
        this.later(40, () => this.#fill(order, part))
        return this.later(80, () => this.#fill(order, rest()))
      case "part_then_expire":
        this.#fill(order, part)
        return this.later(40, () => this.finish(order, "expired", "no liquidity"))
      case "slow":
        return this.later(1_500, () => this.#fill(order, rest()))
      case "rest":
        return
    }
  }

  #fill(order: VenueOrder, quantity: Decimal) {
    if (finals.has(order.status) || isZero(quantity)) return
    const { base, quote } = this.#listing(order.instrument)
    const last = this.price(order.instrument)
    const isBuy = order.side === "buy"
    const price = isBuy ? add(last, TICK) : subtract(last, TICK)
    const notional = multiply(quantity, price)
    // As venues of pairs take it: from what is received.
    const inKind = multiply(isBuy ? quantity : notional, FEE)
    const fee = this.feeAsset === undefined ? inKind : multiply(quantity, FEE)
    const feeAsset = this.feeAsset ?? (isBuy ? base : quote)
    this.#move(base, isBuy ? quantity : negate(quantity))
    this.#move(quote, isBuy ? negate(notional) : notional)
    this.#move(feeAsset, negate(fee))
    order.filled = add(order.filled, quantity)
    order.status = isLess(order.filled, order.quantity) ? "partially_filled" : "filled"
    const execution: Execution = {
      executionId: this.nextId(),
      clientOrderId: order.clientOrderId,
      venueOrderId: order.venueOrderId,
      instrument: order.instrument,
      side: order.side,
      quantity,
      price,
      fee,
      feeAsset,
      time: this.now,
    }
    this.executions.push(execution)
    this.#tellOf(order, execution)
  }

  protected finish(order: VenueOrder, status: "canceled" | "expired", reason = "") {
    if (finals.has(order.status)) return
    order.status = status
    order.reason = reason
    this.#tellOf(order)
  }

  #cancel(clientOrderId: string): "requested" | "unknown_order" {
    const order = this.orders.get(clientOrderId)
    if (order === undefined || finals.has(order.status)) return "unknown_order"
    this.finish(order, "canceled")
    return "requested"
  }

  /** How many there were. */
  #cancelAll(): number {
    const open = [...this.orders.values()].filter(({ status }) => !finals.has(status))
    for (const order of open) this.finish(order, "canceled")
    return open.length
  }

  #tellOf(order: VenueOrder, execution?: Execution) {
    const report: OrderReport = {
      clientOrderId: order.clientOrderId,
      venueOrderId: order.venueOrderId,
      instrument: order.instrument,
      status: order.status,
      filledQuantity: order.filled,
      reason: order.reason,
      time: this.now,
    }
    order.history.push({ time: this.now, report })
    const fault = this.privateFaults.shift()
    if (fault === "lose") return
    const deliver = () =>
      this.tell(execution ? { _tag: "Executed", execution, report } : { _tag: "Report", report })
    this.later(fault === "late" ? LATE_MS : FRAME_MS, deliver)
    if (fault === "duplicate") this.later(FRAME_MS + 30, deliver)
  }

  protected nextId(): string {
    return String(++this.#ids)
  }

  #listing(id: InstrumentId): Instrument {
    return this.instruments.find((each) => each.id === id)!
  }
}

const finals: ReadonlySet<OrderReport["status"]> = new Set([
  "filled",
  "canceled",
  "expired",
  "rejected",
])
