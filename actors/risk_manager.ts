/**
 * Decides what may be sent.
 *
 * It holds the newest proof of freshness for every instrument and asks `domain/risk.ts`; a denial
 * is written down with its numbers, an approval goes to the executor. What it has approved counts
 * as exposure until the books show it. An exit whose price is old asks for a new one first, for a
 * short time, and then goes out whatever the answer: to get out outranks to know. Entries that rest
 * when prices, reports or trading end are taken back.
 */
import { Effect } from "effect"
import { type Books, type FeedState, openOrders } from "../domain/books.ts"
import { add, type Decimal, multiply, zero } from "../domain/decimal.ts"
import type { Equity, Mark } from "../domain/equity.ts"
import type { EventOf, JournalRecord } from "../domain/event.ts"
import type { Fresh } from "../domain/freshness.ts"
import type { Withheld } from "../domain/gate.ts"
import type { Instrument, InstrumentId } from "../domain/instrument.ts"
import type { Quote } from "../domain/market.ts"
import type { Order, OrderPurpose } from "../domain/order.ts"
import {
  type Approved,
  approveOpening,
  approveReducing,
  type Denied,
  type RiskContext,
  type RiskLimits,
} from "../domain/risk.ts"
import { follow, keepUp, record } from "./journal.ts"
import { executorOf, feedOf, Monitor, riskManagerOf, type RiskMessage } from "./names.ts"
import { type ActorContext, ask, behavior, type ReplyTo } from "./runtime/mod.ts"

export interface RiskManagerOptions {
  readonly venue: string
  readonly instruments: ReadonlyArray<Instrument>
  readonly limits: RiskLimits
  readonly mailboxMax: number
  /** Follows the venue's trading rules, where they can change. */
  readonly watchRules?: (
    known: ReadonlyArray<Instrument>,
    changed: (instrument: Instrument) => void,
  ) => Effect.Effect<never>
  /** After which an approval that never reached the books is forgotten. */
  readonly pendingForMs: number
  /** How long an exit waits for its price to be confirmed by REST. Default 1,500. */
  readonly confirmTimeoutMs?: number
}

interface State {
  readonly books: Books
  readonly instruments: Map<InstrumentId, Instrument>
  readonly proofs: Map<InstrumentId, Fresh>
  readonly marks: Map<InstrumentId, Decimal>
  /** Until when each mark is good for an exit without asking; epoch milliseconds. */
  readonly goodUntil: Map<InstrumentId, number>
  /** Approved, and neither in the books nor refused: openings as notional, exits as quantity. */
  readonly pending: Map<InstrumentId, { readonly notional: Decimal; readonly at: number }>
  readonly exits: Map<InstrumentId, { readonly quantity: Decimal; readonly at: number }>
  readonly approvedAt: Array<number>
  readonly withheld: Map<InstrumentId, Withheld>
  equity: Equity | undefined
}

type Context = ActorContext<RiskMessage>
const MINUTE_MS = 60_000
const CONFIRM_TIMEOUT_MS = 1_500

export function riskManager(options: RiskManagerOptions) {
  return behavior<State, RiskMessage>({
    name: riskManagerOf(options.venue).id,
    restart: "permanent",
    mailbox: {
      capacity: options.mailboxMax,
      overflow: "conflate",
      // Of prices only the newest is true; signals and records are each worth their place.
      key: (message) => conflationKey(message),
    },
    init: Effect.fn("RiskManager.init")(function* (actor: Context) {
      const books = yield* follow(actor)
      const { instruments, watchRules } = options
      if (watchRules !== undefined) {
        actor.fork(
          watchRules(
            instruments,
            (instrument) => actor.self.signal({ _tag: "RulesChanged", instrument }),
          ),
        )
      }
      return {
        books,
        instruments: new Map(instruments.map((each) => [each.id, each])),
        proofs: new Map<InstrumentId, Fresh>(),
        marks: new Map<InstrumentId, Decimal>(),
        goodUntil: new Map<InstrumentId, number>(),
        pending: new Map(),
        exits: new Map(),
        approvedAt: [...books.orders.values()]
          .filter(({ venue }) => venue === options.venue)
          .map(({ submittedAt }) => submittedAt)
          .filter((at) => at > actor.now() - MINUTE_MS),
        withheld: new Map<InstrumentId, Withheld>(),
        equity: undefined,
      }
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Proof":
          state.proofs.set(message.fresh.instrument, message.fresh)
          state.marks.set(message.fresh.instrument, message.fresh.bid)
          state.goodUntil.set(message.fresh.instrument, message.fresh.expiresAt)
          return state
        case "Withheld":
          if (message.withheld === undefined) state.withheld.delete(message.instrument)
          else state.withheld.set(message.instrument, message.withheld)
          return state
        case "RulesChanged":
          state.instruments.set(message.instrument.id, message.instrument)
          actor.ref(Monitor).send(message)
          return state
        case "Marked":
          marked(state, message.mark)
          return state
        case "Valued":
          state.equity = message.equity
          return state
        case "Recorded":
          keepUp(state.books, message.records)
          for (const each of message.records) {
            settle(state, each)
            for (const id of entriesToCancel(state, each, options)) {
              actor.ref(executorOf(options.venue))
                .send({ _tag: "Cancel", clientOrderId: id, by: "risk_manager" })
            }
          }
          return state
        case "Signalled":
          return signalled(state, message, options, actor)
        case "Close":
          return close(state, message, options, actor)
        case "Refused":
          pendingOf(state, message.purpose).delete(message.instrument)
          return state
      }
    },
  })
}

function conflationKey(message: RiskMessage): unknown {
  switch (message._tag) {
    case "Proof":
      return `proof ${message.fresh.instrument}`
    case "Marked":
      return `mark ${message.mark.instrument}`
    case "Withheld":
      return `withheld ${message.instrument}`
    case "Valued":
      return "valued"
    case "RulesChanged":
    case "Recorded":
    case "Signalled":
    case "Close":
    case "Refused":
      return undefined
  }
}

/** An approval is no longer pending once the books show its order. */
function settle(state: State, { event }: JournalRecord) {
  if (event._tag === "OrderSubmitted") pendingOf(state, event.purpose).delete(event.instrument)
}

function marked(state: State, { bid, heardAt, instrument, staleAfterMs }: Mark) {
  state.marks.set(instrument, bid)
  state.goodUntil.set(instrument, heardAt + staleAfterMs)
}

/** Entries that rest at the venue, and what they were approved on is gone. */
function entriesToCancel(
  { books }: State,
  { event }: JournalRecord,
  { venue }: RiskManagerOptions,
): ReadonlyArray<string> {
  const rests = ({ purpose, status, type, venue: at }: Order) =>
    at === venue && purpose === "open" && type !== "market" &&
    (status === "accepted" || status === "partially_filled")
  const isLost = ({ instrument }: Order) =>
    isOut(books.feeds.get(venue)) || !books.accounts.get(venue)?.ready ||
    books.halts.has(instrument)
  switch (event._tag) {
    case "FeedLost":
    case "AccountLost":
    case "InstrumentHalted":
    // Sent before the loss, and taken after it.
    case "OrderAccepted":
      return openOrders(books).filter((order) => rests(order) && isLost(order))
        .map(({ clientOrderId }) => clientOrderId)
    default:
      return []
  }
}

function isOut(feed: FeedState | undefined): boolean {
  return feed !== undefined && feed.status !== "streaming"
}

function pendingOf(
  state: State,
  purpose: OrderPurpose,
): { readonly delete: (id: InstrumentId) => boolean } {
  return purpose === "open" ? state.pending : state.exits
}

function contextOf(
  state: State,
  instrument: Instrument,
  options: RiskManagerOptions,
  now: number,
): RiskContext {
  while (state.approvedAt.length > 0 && state.approvedAt[0]! <= now - MINUTE_MS) {
    state.approvedAt.shift()
  }
  for (const [id, { at }] of state.pending) {
    if (at <= now - options.pendingForMs) state.pending.delete(id)
  }
  for (const [id, { at }] of state.exits) {
    if (at <= now - options.pendingForMs) state.exits.delete(id)
  }
  return {
    books: state.books,
    limits: options.limits,
    instrument,
    marks: state.marks,
    equity: state.equity?.total,
    equityAtDayStart: state.books.curves.get(options.venue)?.dayStart,
    withheld: state.withheld.get(instrument.id),
    ordersLastMinute: state.approvedAt.length,
    pending: new Map([...state.pending].map(([id, { notional }]) => [id, notional])),
    reducing: new Map([...state.exits].map(([id, { quantity }]) => [id, quantity])),
    now,
  }
}

const signalled = Effect.fnUntraced(function* (
  state: State,
  message: Extract<RiskMessage, { _tag: "Signalled" }>,
  options: RiskManagerOptions,
  actor: Context,
) {
  const { runner, signal, notional } = message
  const instrument = state.instruments.get(signal.instrument)
  if (instrument === undefined) return state
  const context = contextOf(state, instrument, options, actor.now())
  const wish = { origin: runner, reason: signal.reason }
  const decision = signal.intent === "enter"
    ? approveOpening(context, { ...wish, notional }, state.proofs.get(signal.instrument))
    : approveReducing(context, { ...wish, quantity: undefined, byOperator: false })
  if (decision._tag === "Denied") {
    const side = signal.intent === "enter" ? "buy" : "sell"
    yield* record(actor, state.books, [denial(decision, runner, instrument.id, side)])
    return state
  }
  if (asksFirst(state, decision, message, options, actor)) return state
  send(state, decision, actor)
  return state
})

/**
 * Whether an exit asks for its price first. It comes back as the same message, confirmed as well as
 * it could be, and is judged again: what it wanted to close may be closed by then.
 */
function asksFirst(
  state: State,
  order: Approved,
  message: Extract<RiskMessage, { _tag: "Signalled" | "Close" }>,
  { confirmTimeoutMs = CONFIRM_TIMEOUT_MS, venue }: RiskManagerOptions,
  actor: Context,
): boolean {
  const { id } = order.instrument
  const isGood = actor.now() < (state.goodUntil.get(id) ?? 0)
  if (order.purpose === "open" || message.confirmed === true || isGood) return false
  const confirmed = { ...message, confirmed: true }
  actor.fork(
    ask(
      actor.ref(feedOf(venue)),
      (reply: ReplyTo<Quote>) => ({ _tag: "Confirm", instrument: id, reply }) as const,
      { timeoutMs: confirmTimeoutMs },
    ).pipe(
      Effect.catch((error) =>
        Effect.logWarning(`${id} is closed on an old price: ${error.message}`)
      ),
      // Never refused: whoever must get out does.
      Effect.map(() => void actor.self.signal(confirmed)),
    ),
  )
  return true
}

const close = Effect.fnUntraced(function* (
  state: State,
  message: Extract<RiskMessage, { _tag: "Close" }>,
  options: RiskManagerOptions,
  actor: Context,
) {
  const { instrument: id, reason, reply } = message
  const instrument = state.instruments.get(id)
  if (instrument === undefined) {
    reply.succeed({ approved: false, text: `no such instrument: ${id}` })
    return state
  }
  const decision = approveReducing(contextOf(state, instrument, options, actor.now()), {
    origin: "operator",
    reason,
    quantity: undefined,
    byOperator: true,
  })
  if (decision._tag === "Denied") {
    const event = denial(decision, "operator", id, "sell")
    yield* record(actor, state.books, [event])
    reply.succeed({ approved: false, text: `${decision.code} ${decision.detail}` })
    return state
  }
  if (asksFirst(state, decision, message, options, actor)) return state
  const sent = send(state, decision, actor)
  reply.succeed(
    sent
      ? { approved: true, text: `${decision.side} ${id} at market` }
      : { approved: false, text: "the executor takes no orders now" },
  )
  return state
})

function denial(
  { code, detail }: Denied,
  origin: string,
  instrument: InstrumentId,
  side: "buy" | "sell",
): EventOf<"OrderDenied"> {
  return { _tag: "OrderDenied", origin, instrument, side, code, detail }
}

function send(state: State, order: Approved, actor: Context): boolean {
  const { id, venue } = order.instrument
  const accepted = actor.ref(executorOf(venue)).send({ _tag: "Execute", order })
  if (!accepted) return false
  state.approvedAt.push(actor.now())
  if (order.purpose === "open") {
    const notional = multiply(order.quantity, order.fresh.ask)
    state.pending.set(id, { notional, at: actor.now() })
  } else {
    const before = state.exits.get(id)?.quantity ?? zero
    state.exits.set(id, { quantity: add(before, order.quantity), at: actor.now() })
  }
  return true
}
