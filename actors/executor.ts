/**
 * Sends orders, and finds out what became of them.
 *
 * An intent is durable before its request leaves, and a request leaves once. Evidence comes by four
 * ways (the answer, the private stream, a query, a reconciliation), in any order and more than once;
 * each is compared with the books and only what is new is written down. An order nobody has heard
 * of is asked about, never sent again.
 */
import { Effect, Option } from "effect"
import { type Books, executionKey } from "../domain/books.ts"
import { isLess } from "../domain/decimal.ts"
import type { Event } from "../domain/event.ts"
import { isOpen, type Order } from "../domain/order.ts"
import type { Approved } from "../domain/risk.ts"
import type { Broker, Execution, OrderReport, SubmitError } from "../venues/broker.ts"
import { follow, keepUp, record } from "./journal.ts"
import { type ExecutorMessage, executorOf } from "./names.ts"
import { type ActorContext, behavior } from "./runtime/mod.ts"

export interface ExecutorOptions {
  readonly broker: Broker
  readonly mailboxMax: number
  /** How often open orders are looked over. */
  readonly checkEveryMs: number
  /** Age at which an order that should be done by now is asked about. */
  readonly askAfterMs: number
  /** The same for a resting limit order. */
  readonly askRestingAfterMs: number
  /** How long a request may be on its way before its order counts as unconfirmed. */
  readonly answerTimeoutMs: number
  /** After an order's submission, when "no such order" may be believed. */
  readonly conclusiveAfterMs: number
}

interface State {
  readonly books: Books
  /** Orders whose request is on its way, from this incarnation. */
  readonly inFlight: Set<string>
  /** When each order was last asked about, and how often the venue has denied knowing it. */
  readonly asked: Map<string, { readonly at: number; readonly denials: number }>
}

/** Two denials in a row, so that one lagging replica cannot make an order disappear. */
const DENIALS_CONCLUSIVE = 2

type Context = ActorContext<ExecutorMessage>

export function executor(options: ExecutorOptions) {
  const { broker } = options
  return behavior<State, ExecutorMessage>({
    name: executorOf(broker.venue).id,
    restart: "permanent",
    // A full mailbox refuses: who asks for an order must notice.
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: Effect.fn("Executor.init")(function* (actor: Context) {
      const books = yield* follow(actor)
      actor.every(options.checkEveryMs, { _tag: "CheckAges" })
      return { books, inFlight: new Set<string>(), asked: new Map() }
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Recorded":
          keepUp(state.books, message.records)
          return state
        case "Execute":
          return execute(state, message.order, options, actor)
        case "Answered": {
          state.inFlight.delete(message.clientOrderId)
          return write(state, answered(state.books, message.clientOrderId, message.answer), actor)
        }
        case "Reported":
          return reported(state, [message.report], [], options, actor)
        case "Executed":
          return reported(state, [message.report], [message.execution], options, actor)
        case "Cancel":
          return cancel(state, message.clientOrderId, message.by, options, actor)
        case "Absorb":
          return absorb(state, message, options, actor)
        case "CheckAges":
          return checkAges(state, options, actor)
      }
    },
  })
}

function write(state: State, events: ReadonlyArray<Event>, actor: Context) {
  return events.length === 0 ? state : Effect.as(record(actor, state.books, events), state)
}

const execute = Effect.fnUntraced(function* (
  state: State,
  order: Approved,
  options: ExecutorOptions,
  actor: Context,
) {
  const refused = refusedAtSending(state.books, order, actor.now())
  if (refused !== undefined) {
    yield* record(actor, state.books, [refused])
    return state
  }
  const { books } = state
  const clientOrderId = `keel-${books.journalId}-${books.intents + 1}`
  const { instrument, side, quantity } = order
  yield* record(actor, books, [{
    _tag: "OrderSubmitted",
    clientOrderId,
    venue: instrument.venue,
    instrument: instrument.id,
    side,
    type: "market",
    purpose: order.purpose,
    quantity,
    price: null,
    origin: order.origin,
    reason: order.reason,
  }])
  state.inFlight.add(clientOrderId)
  actor.fork(
    options.broker.submit({
      clientOrderId,
      instrument: instrument.id,
      side,
      type: "market",
      quantity,
      price: undefined,
    }).pipe(
      Effect.catch((error: SubmitError) => Effect.succeed(error)),
      Effect.map((answer) => actor.self.signal({ _tag: "Answered", clientOrderId, answer })),
    ),
  )
  return state
})

/** The gate once more, at the last moment: what was approved may have become wrong in the queue. */
function refusedAtSending(books: Books, order: Approved, now: number): Event | undefined {
  const denied = (code: string, detail: string): Event => ({
    _tag: "OrderDenied",
    origin: order.origin,
    instrument: order.instrument.id,
    side: order.side,
    code,
    detail,
  })
  const byOperator = order.origin === "operator"
  if (books.tradingState === "halted" && !byOperator) {
    return denied("TRADING_HALTED", books.tradingStateReason ?? "")
  }
  if (order.purpose === "reduce") return undefined
  if (books.tradingState !== "active") {
    return denied("TRADING_REDUCING", books.tradingStateReason ?? "")
  }
  const feed = books.feeds.get(order.instrument.venue)
  const isStreaming = feed === undefined || feed.status === "streaming"
  if (!order.fresh.isValidAt(now) || !isStreaming) {
    return denied("MARKET_DATA_STALE", `ageMs=${now - order.fresh.heardAt} at=sending`)
  }
  const account = books.accounts.get(order.instrument.venue)
  if (!account?.ready) return denied("ACCOUNT_NOT_RECONCILED", account?.cause ?? "")
}

function answered(
  books: Books,
  clientOrderId: string,
  answer: { readonly venueOrderId: string } | SubmitError,
): ReadonlyArray<Event> {
  const order = books.orders.get(clientOrderId)
  if (order === undefined) return []
  if (!("_tag" in answer)) return acceptedEvents(order, answer.venueOrderId)
  switch (answer._tag) {
    case "OrderRefused":
      return [{ _tag: "OrderRejected", clientOrderId, code: answer.code, text: answer.text }]
    case "OrderNotSent":
      return [{ _tag: "OrderRejected", clientOrderId, code: "NOT_SENT", text: answer.detail }]
    case "OrderUnknown":
      return order.status === "submitted"
        ? [{ _tag: "OrderUnconfirmed", clientOrderId, cause: answer.cause }]
        : []
  }
}

function acceptedEvents(order: Order, venueOrderId: string): ReadonlyArray<Event> {
  const { clientOrderId } = order
  return order.venueOrderId === undefined
    ? [{ _tag: "OrderAccepted", clientOrderId, venueOrderId }]
    : []
}

/** Writes down what is new in the evidence, and asks for the fills that it only counts. */
const reported = Effect.fnUntraced(function* (
  state: State,
  reports: ReadonlyArray<OrderReport>,
  executions: ReadonlyArray<Execution>,
  options: ExecutorOptions,
  actor: Context,
) {
  const { books } = state
  yield* record(
    actor,
    books,
    reports.flatMap((report) => {
      const order = books.orders.get(report.clientOrderId)
      return order === undefined ? [] : acceptedEvents(order, report.venueOrderId)
    }),
  )
  const fills = newFills(books, executions)
  yield* record(actor, books, fills)
  yield* record(actor, books, reports.flatMap((report) => endEvents(books, report)))
  for (const report of reports) {
    const order = books.orders.get(report.clientOrderId)
    if (order !== undefined && isLess(order.filledQuantity, report.filledQuantity)) {
      inspect(state, order, options, actor)
    }
  }
  return state
})

function newFills(books: Books, executions: ReadonlyArray<Execution>): ReadonlyArray<Event> {
  const byVenueId = new Map(
    [...books.orders.values()].map((order) => [order.venueOrderId, order]),
  )
  const seen = new Set<string>()
  return executions.flatMap((execution): ReadonlyArray<Event> => {
    const order = books.orders.get(execution.clientOrderId) ?? byVenueId.get(execution.venueOrderId)
    // Somebody else's: the reconciler reports what does not add up.
    if (order === undefined || order.instrument !== execution.instrument) return []
    const key = executionKey(order.instrument, execution.executionId)
    if (books.executions.has(key) || seen.has(key)) return []
    seen.add(key)
    return [{
      _tag: "OrderFilled",
      clientOrderId: order.clientOrderId,
      executionId: execution.executionId,
      venueOrderId: execution.venueOrderId,
      quantity: execution.quantity,
      price: execution.price,
      fee: execution.fee,
      feeAsset: execution.feeAsset,
      executedAt: Math.round(execution.time),
    }]
  })
}

function endEvents(books: Books, report: OrderReport): ReadonlyArray<Event> {
  const order = books.orders.get(report.clientOrderId)
  if (order === undefined || !isOpen(order)) return []
  const { clientOrderId } = order
  switch (report.status) {
    case "canceled":
      return [{ _tag: "OrderCanceled", clientOrderId }]
    case "expired":
      return [{ _tag: "OrderExpired", clientOrderId, reason: report.reason || "expired" }]
    case "rejected":
      return [{ _tag: "OrderRejected", clientOrderId, code: "REJECTED", text: report.reason }]
    case "accepted":
    case "partially_filled":
    case "filled":
      return []
  }
}

const cancel = Effect.fnUntraced(function* (
  state: State,
  clientOrderId: string,
  by: string,
  options: ExecutorOptions,
  actor: Context,
) {
  const order = state.books.orders.get(clientOrderId)
  if (order === undefined || !isOpen(order)) return state
  yield* record(actor, state.books, [{ _tag: "OrderCancelRequested", clientOrderId, by }])
  actor.fork(
    options.broker.cancel(order.instrument, clientOrderId).pipe(
      // Whether it was cancelled, had filled before, or nobody answered: the order itself will tell.
      Effect.catch((error) => Effect.logWarning(`cancel of ${clientOrderId}: ${error.message}`)),
      Effect.map(() => inspect(state, order, options, actor)),
    ),
  )
  return state
})

const absorb = Effect.fnUntraced(function* (
  state: State,
  found: Extract<ExecutorMessage, { _tag: "Absorb" }>,
  options: ExecutorOptions,
  actor: Context,
) {
  const { books } = state
  for (const { clientOrderId } of found.reports) state.asked.delete(clientOrderId)
  yield* record(
    actor,
    books,
    found.reports.flatMap((report) => {
      const order = books.orders.get(report.clientOrderId)
      return order === undefined ? [] : acceptedEvents(order, report.venueOrderId)
    }),
  )
  const fills = newFills(books, found.executions)
  yield* record(actor, books, fills)
  yield* record(actor, books, [
    ...found.reports.flatMap((report) => endEvents(books, report)),
    ...found.missing.flatMap((id) => missingEvents(state, id, options, actor.now())),
  ])
  found.reply?.succeed(fills.length)
  return state
})

function missingEvents(
  state: State,
  clientOrderId: string,
  options: ExecutorOptions,
  now: number,
): ReadonlyArray<Event> {
  const order = state.books.orders.get(clientOrderId)
  if (order === undefined || order.status !== "unconfirmed") return []
  const denials = (state.asked.get(clientOrderId)?.denials ?? 0) + 1
  state.asked.set(clientOrderId, { at: now, denials })
  const conclusive = now >= order.submittedAt + options.conclusiveAfterMs
  if (!conclusive || denials < DENIALS_CONCLUSIVE) return []
  const text = "the venue never had it"
  return [{ _tag: "OrderRejected", clientOrderId, code: "NEVER_ARRIVED", text }]
}

const checkAges = Effect.fnUntraced(function* (
  state: State,
  options: ExecutorOptions,
  actor: Context,
) {
  const now = actor.now()
  const { books } = state
  const lost = [...books.orders.values()].filter((order) =>
    order.status === "submitted" && !state.inFlight.has(order.clientOrderId)
  )
  // Submitted by an incarnation that has ended: its request may or may not have left.
  yield* record(
    actor,
    books,
    lost.map(({ clientOrderId }): Event => ({
      _tag: "OrderUnconfirmed",
      clientOrderId,
      cause: "restarted before the answer",
    })),
  )
  for (const order of books.orders.values()) {
    if (isOpen(order) && now - lastNews(state, order) >= patience(order, options)) {
      inspect(state, order, options, actor)
    }
  }
  return state
})

function lastNews(state: State, order: Order): number {
  return Math.max(order.updatedAt, state.asked.get(order.clientOrderId)?.at ?? 0)
}

function patience(order: Order, options: ExecutorOptions): number {
  if (order.status === "submitted") return options.answerTimeoutMs
  const rests = order.type === "limit" && order.status !== "cancel_pending" &&
    order.status !== "unconfirmed"
  return rests ? options.askRestingAfterMs : options.askAfterMs
}

/** Asks the venue about one order, in the background; the answer comes as `Absorb`. */
function inspect(state: State, order: Order, options: ExecutorOptions, actor: Context) {
  const { broker } = options
  const { clientOrderId, instrument } = order
  const denials = state.asked.get(clientOrderId)?.denials ?? 0
  state.asked.set(clientOrderId, { at: actor.now(), denials })
  actor.fork(
    Effect.gen(function* () {
      const report = yield* broker.order(instrument, clientOrderId)
      const executions = Option.isSome(report)
        ? yield* broker.executions(instrument, order.submittedAt - 60_000)
        : []
      actor.self.send({
        _tag: "Absorb",
        executions,
        reports: Option.toArray(report),
        missing: Option.isNone(report) ? [clientOrderId] : [],
        reply: undefined,
      })
    }).pipe(
      Effect.catch((error) => Effect.logWarning(`asking for ${clientOrderId}: ${error.message}`)),
    ),
  )
}
