/**
 * Sends orders, and finds out what became of them.
 *
 * An intent is durable before its request leaves, and a request leaves once. Evidence comes by four
 * ways (the answer, the private stream, a query, a reconciliation), in any order and more than once;
 * each is compared with the books and only what is new is written down. An order nobody has heard
 * of is asked about, never sent again.
 */
import { Effect, Option } from "effect"
import { type Books, executionKey, openOrders } from "../domain/books.ts"
import {
  add,
  type Decimal,
  formatDecimal,
  isLess,
  isZero,
  subtract,
  zero,
} from "../domain/decimal.ts"
import type { Event } from "../domain/event.ts"
import { isOpen, leavesQuantity, type Order } from "../domain/order.ts"
import { type Approved, closableQuantity, type DenialCode } from "../domain/risk.ts"
import type {
  Broker,
  Execution,
  OrderAck,
  OrderRefused,
  OrderReport,
  RefusalReason,
  SubmitError,
} from "../venues/broker.ts"
import { follow, keepUp, record } from "./journal.ts"
import { type ExecutorMessage, executorOf, riskManagerOf } from "./names.ts"
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
  /** For how long nothing is opened for whoever was refused for a reason that lasts. */
  readonly coolDownMs: number
}

interface State {
  readonly books: Books
  /** Orders whose request is on its way, from this incarnation. */
  readonly inFlight: Set<string>
  /** When each order was last asked about, and how often the venue has denied knowing it. */
  readonly asked: Map<string, { readonly at: number; readonly denials: number }>
  /** When a venue that has lost an answer may be believed about the order, where it has said so. */
  readonly conclusiveAt: Map<string, number>
  /** Until when the venue wants no questions; epoch milliseconds. */
  silentUntil: number
  /** Who was refused for a reason that lasts, and until when that is remembered. */
  readonly refusals: Map<string, { readonly reason: RefusalReason; readonly until: number }>
}

/** Asking again at once would end the same. */
const lasting: ReadonlySet<RefusalReason> = new Set([
  "insufficient_funds",
  "wash_trade",
  "halted",
  "market_closed",
  "not_shortable",
])

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
      return {
        books,
        inFlight: new Set<string>(),
        asked: new Map(),
        conclusiveAt: new Map(),
        silentUntil: 0,
        refusals: new Map(),
      }
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Recorded":
          keepUp(state.books, message.records)
          return state
        case "Execute":
          return execute(state, message.order, options, actor)
        case "Answered": {
          const { answer, clientOrderId } = message
          state.inFlight.delete(clientOrderId)
          if ("_tag" in answer && answer._tag === "OrderUnknown") {
            state.conclusiveAt.set(clientOrderId, answer.conclusiveAt)
          }
          rememberRefusal(state, clientOrderId, answer, options, actor.now())
          return write(state, answered(state.books, clientOrderId, answer), actor)
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
  const { books } = state
  const { instrument, purpose, side, quantity } = order
  const refused = coolingDown(state, order, actor.now()) ??
    refusedAtSending(books, order, actor.now())
  if (refused !== undefined) {
    yield* record(actor, books, [denied(order, refused)])
    actor.ref(riskManagerOf(instrument.venue))
      .signal({ _tag: "Refused", instrument: instrument.id, purpose })
    return state
  }
  const clientOrderId = nextOrderId(books, instrument.venue)
  yield* record(actor, books, [{
    _tag: "OrderSubmitted",
    clientOrderId,
    venue: instrument.venue,
    instrument: instrument.id,
    side,
    type: "market",
    purpose,
    quantity,
    price: null,
    origin: order.origin,
    reason: order.reason,
  }])
  // Writing takes time, and the books now hold whatever was written before the intent.
  const late = refusedAtSending(books, order, actor.now(), clientOrderId)
  if (late !== undefined) {
    const text = `${late.code} ${late.detail}`.trim()
    yield* record(actor, books, [{ _tag: "OrderRejected", clientOrderId, code: "NOT_SENT", text }])
    return state
  }
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

/**
 * `keel-<journal>-<venue>-<n>`: unique over journals, venues and the life of one journal, within
 * the 36 characters of `A-Z a-z 0-9 _ -` that every venue takes.
 */
function nextOrderId({ intents, journalId }: Books, venue: string): string {
  return `keel-${journalId}-${venue}-${(intents.get(venue) ?? 0) + 1}`
}

interface Refusal {
  readonly code: DenialCode | "COOLING_DOWN"
  readonly detail: string
}

function rememberRefusal(
  { books, refusals }: State,
  clientOrderId: string,
  answer: OrderAck | SubmitError,
  { coolDownMs }: ExecutorOptions,
  now: number,
) {
  const order = books.orders.get(clientOrderId)
  if (order?.purpose !== "open" || !("_tag" in answer) || answer._tag !== "OrderRefused") return
  if (lasting.has(answer.reason)) {
    refusals.set(order.origin, { reason: answer.reason, until: now + coolDownMs })
  }
}

/** Entries only: getting out is tried whatever the venue has said. */
function coolingDown({ refusals }: State, order: Approved, now: number): Refusal | undefined {
  const refusal = refusals.get(order.origin)
  if (refusal === undefined || order.purpose !== "open") return undefined
  if (now >= refusal.until) {
    refusals.delete(order.origin)
    return undefined
  }
  const leftMs = Math.ceil(refusal.until - now)
  return { code: "COOLING_DOWN", detail: `refusedFor=${refusal.reason} leftMs=${leftMs}` }
}

/**
 * The gate once more, at the last moment: what was approved may have become wrong in the queue.
 * `own` is the order itself, where it is in the books already.
 */
function refusedAtSending(
  books: Books,
  order: Approved,
  now: number,
  own?: string,
): Refusal | undefined {
  const { instrument } = order
  const reason = books.tradingStateReason ?? ""
  if (books.tradingState === "halted" && order.origin !== "operator") {
    return { code: "TRADING_HALTED", detail: reason }
  }
  if (order.purpose === "reduce") return refusedReducing(books, order, own)
  if (books.tradingState !== "active") return { code: "TRADING_REDUCING", detail: reason }
  // Swapped while its signal was on the way: nobody would ever close what it opens.
  if (!books.assignments.has(order.origin)) {
    return { code: "STRATEGY_NOT_ASSIGNED", detail: `origin=${order.origin}` }
  }
  if (books.holds.has(instrument.id)) {
    return { code: "POSITION_ON_HOLD", detail: `instrument=${instrument.id}` }
  }
  const halt = books.halts.get(instrument.id)
  if (halt !== undefined) {
    return { code: "INSTRUMENT_HALTED", detail: `instrument=${instrument.id} at=sending` }
  }
  const feed = books.feeds.get(instrument.venue)
  const isStreaming = feed === undefined || feed.status === "streaming"
  if (!order.fresh.isValidAt(now) || !isStreaming) {
    return { code: "MARKET_DATA_STALE", detail: `ageMs=${now - order.fresh.heardAt} at=sending` }
  }
  const account = books.accounts.get(instrument.venue)
  if (!account?.ready) return { code: "ACCOUNT_NOT_RECONCILED", detail: account?.cause ?? "" }
  // Approved twice: by a risk manager that has forgotten the first time in a restart.
  const isTwin = openOrders(books).some((each) =>
    each.instrument === instrument.id && each.origin === order.origin &&
    each.clientOrderId !== own
  )
  if (isTwin) return { code: "ORDER_IN_FLIGHT", detail: `origin=${order.origin} at=sending` }
}

/** Never more than is held and not being closed already: beyond that it would open. */
function refusedReducing(books: Books, order: Approved, own?: string): Refusal | undefined {
  const { id } = order.instrument
  const held = closableQuantity(books, order.instrument, order.side)
  const underWay = openOrders(books)
    .filter((each) =>
      each.instrument === id && each.side === order.side && each.clientOrderId !== own
    )
    .reduce((sum, each) => add(sum, leavesQuantity(each)), zero)
  if (!isLess(subtract(held, underWay), order.quantity)) return undefined
  const numbers = `held=${formatDecimal(held)} underWay=${formatDecimal(underWay)} at=sending`
  return { code: isZero(underWay) ? "NOTHING_TO_REDUCE" : "ORDER_IN_FLIGHT", detail: numbers }
}

function denied({ instrument, origin, side }: Approved, { code, detail }: Refusal): Event {
  return { _tag: "OrderDenied", origin, instrument: instrument.id, side, code, detail }
}

function answered(
  books: Books,
  clientOrderId: string,
  answer: OrderAck | SubmitError,
): ReadonlyArray<Event> {
  const order = books.orders.get(clientOrderId)
  if (order === undefined) return []
  if (!("_tag" in answer)) return acceptedEvents(order, answer.venueOrderId)
  switch (answer._tag) {
    case "OrderRefused":
      return refusedEvents(order, answer)
    case "OrderNotSent":
      return [{ _tag: "OrderRejected", clientOrderId, code: "NOT_SENT", text: answer.detail }]
    case "OrderUnknown":
      return order.status === "submitted"
        ? [{ _tag: "OrderUnconfirmed", clientOrderId, cause: answer.cause }]
        : []
  }
}

function refusedEvents(order: Order, { code, reason, text }: OrderRefused): ReadonlyArray<Event> {
  const { clientOrderId } = order
  // Nobody else draws our ids: it has the order, which came by another way than this request.
  if (reason === "duplicate_id") {
    return order.status === "submitted"
      ? [{ _tag: "OrderUnconfirmed", clientOrderId, cause: `the venue knows the id: ${text}` }]
      : []
  }
  const why = reason === "other" ? text : `${reason.replaceAll("_", " ")}: ${text}`
  return [{ _tag: "OrderRejected", clientOrderId, code, text: why }]
}

function acceptedEvents(order: Order, venueOrderId: string): ReadonlyArray<Event> {
  const { clientOrderId } = order
  return isOpen(order) && order.venueOrderId === undefined
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
    [...books.orders.values()].map((order) => [`${order.instrument}:${order.venueOrderId}`, order]),
  )
  const seen = new Set<string>()
  const filled = new Map<string, Decimal>()
  return executions.flatMap((execution): ReadonlyArray<Event> => {
    const order = books.orders.get(execution.clientOrderId) ??
      byVenueId.get(`${execution.instrument}:${execution.venueOrderId}`)
    // Somebody else's: the reconciler reports what does not add up.
    if (order === undefined || order.instrument !== execution.instrument) return []
    const key = executionKey(order.instrument, execution.executionId)
    if (books.executions.has(key) || seen.has(key)) return []
    const { clientOrderId } = order
    const sum = add(filled.get(clientOrderId) ?? order.filledQuantity, execution.quantity)
    // More than was asked for is one fill under two ids, or nonsense. It would not fit the books;
    // the comparison of balances shows what it was.
    if (isLess(order.quantity, sum)) return []
    seen.add(key)
    filled.set(clientOrderId, sum)
    return [{
      _tag: "OrderFilled",
      clientOrderId,
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
  // A finished order is not watched any more, so it is not finished while a fill of it is missing.
  if (isLess(order.filledQuantity, report.filledQuantity)) return []
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
  for (const { clientOrderId } of found.reports) {
    state.asked.set(clientOrderId, { at: actor.now(), denials: 0 })
  }
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
  // Only of an order that nobody has ever heard of may it be said that it never arrived.
  const isUnheardOf = order !== undefined && isOpen(order) && order.venueOrderId === undefined &&
    order.status !== "submitted" && !state.inFlight.has(clientOrderId)
  if (!isUnheardOf) return []
  const denials = (state.asked.get(clientOrderId)?.denials ?? 0) + 1
  state.asked.set(clientOrderId, { at: now, denials })
  const conclusiveAt = Math.max(
    order.submittedAt + options.conclusiveAfterMs,
    state.conclusiveAt.get(clientOrderId) ?? 0,
  )
  if (now < conclusiveAt || denials < DENIALS_CONCLUSIVE) return []
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
  const own = openOrders(books).filter(({ venue }) => venue === options.broker.venue)
  for (const known of [state.asked, state.conclusiveAt, state.inFlight]) {
    for (const id of known.keys()) {
      if (!own.some(({ clientOrderId }) => clientOrderId === id)) known.delete(id)
    }
  }
  yield* record(actor, books, own.flatMap((order) => doubts(state, order, options, now)))
  for (const { clientOrderId } of own) {
    const order = books.orders.get(clientOrderId)
    if (order && isOpen(order) && now - lastNews(state, order) >= patience(order, options)) {
      inspect(state, order, options, actor)
    }
  }
  return state
})

function doubts(
  state: State,
  { clientOrderId, status, submittedAt }: Order,
  { answerTimeoutMs }: ExecutorOptions,
  now: number,
): ReadonlyArray<Event> {
  if (status !== "submitted") return []
  const doubted = (cause: string): ReadonlyArray<Event> => [
    { _tag: "OrderUnconfirmed", clientOrderId, cause },
  ]
  // Submitted by an incarnation that has ended: its request may or may not have left.
  if (!state.inFlight.has(clientOrderId)) return doubted("restarted before the answer")
  if (now - submittedAt < answerTimeoutMs) return []
  state.inFlight.delete(clientOrderId)
  return doubted(`no answer for ${answerTimeoutMs} ms`)
}

function lastNews(state: State, order: Order): number {
  return Math.max(order.updatedAt, state.asked.get(order.clientOrderId)?.at ?? 0)
}

function patience(order: Order, options: ExecutorOptions): number {
  if (order.status === "submitted") return Infinity
  const rests = order.type === "limit" && order.status !== "cancel_pending" &&
    order.status !== "unconfirmed"
  return rests ? options.askRestingAfterMs : options.askAfterMs
}

/** Asks the venue about one order, in the background; the answer comes as `Absorb`. */
function inspect(state: State, order: Order, options: ExecutorOptions, actor: Context) {
  const { broker } = options
  // The venue has told us to wait; asking would only make it longer.
  if (actor.now() < state.silentUntil) return
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
      Effect.catch((error) => {
        if (error.reason._tag === "Throttled") {
          const until = actor.now() + error.reason.retryAfterMs
          state.silentUntil = Math.max(state.silentUntil, until)
        }
        return Effect.logWarning(`asking for ${clientOrderId}: ${error.message}`)
      }),
    ),
  )
}
