/** Events drawn at random: any one alone, and journals in which each fits what came before. */
import fc from "fast-check"
import { applyRecord, type Books, emptyBooks } from "../../domain/books.ts"
import { commandTypes } from "../../domain/command.ts"
import { decimal, isZero, subtract } from "../../domain/decimal.ts"
import { type Event, type EventTag, FeedTrouble, type JournalRecord } from "../../domain/event.ts"
import { isOpen } from "../../domain/order.ts"
import { anyDecimal, anyPrice, anyQuantity } from "./arbitraries.ts"

const text = fc.string({ minLength: 1, maxLength: 12 })
const instrument = fc.constantFrom("BTC/USDT.BINANCE", "ETH/USDT.BINANCE")
const venue = fc.constant("binance")
const side = fc.constantFrom("buy" as const, "sell" as const)
const clientOrderId = fc.nat(40).map((id) => `keel-${id}`)
const id = fc.nat(8).map((each) => `id-${each}`)
const trouble = fc.constantFrom(...FeedTrouble.literals)
const amount = anyDecimal({ min: -(10n ** 12n), max: 10n ** 12n, scaleMax: 8 })
const assignment = {
  id,
  strategy: text,
  instrument,
  interval: fc.constantFrom("5s", "1m"),
  params: fc.dictionary(text, fc.oneof(fc.integer(), text, fc.boolean())),
  notional: anyQuantity,
}
const command = fc.record({
  commandId: id,
  type: fc.constantFrom(...commandTypes),
  scope: fc.oneof(
    fc.constant({ kind: "all" as const }),
    fc.record({ kind: fc.constant("order" as const), id }),
  ),
  note: text,
}, { requiredKeys: ["commandId", "type", "scope"] })

function tagged<Tag extends EventTag>(
  tag: Tag,
  fields: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<Event> {
  return fc.record(fields).map((drawn) => ({ _tag: tag, ...drawn }) as unknown as Event)
}

/** One for every tag of the union: a tag that is missing here does not compile. */
const byTag: { readonly [Tag in EventTag]: fc.Arbitrary<Event> } = {
  RuntimeStarted: tagged("RuntimeStarted", {
    mode: fc.constantFrom("sim", "paper", "live"),
    version: text,
    journalId: fc.constantFrom("abc", "def"),
  }),
  RuntimeStopped: tagged("RuntimeStopped", { reason: text }),
  AccountOpened: tagged("AccountOpened", {
    venue,
    quoteAsset: fc.constant("USDT"),
    balances: fc.array(
      fc.record({ asset: fc.constantFrom("USDT", "BTC"), quantity: anyQuantity }),
      { maxLength: 2 },
    ),
  }),
  AccountReconciled: tagged("AccountReconciled", {
    venue,
    ordersOpen: fc.nat(),
    fillsFound: fc.nat(),
    differences: fc.array(text, { maxLength: 2 }),
  }),
  AccountBaselineChanged: tagged("AccountBaselineChanged", {
    venue,
    balances: fc.uniqueArray(
      fc.record({ asset: fc.constantFrom("BTC", "USDT"), quantity: amount }),
      {
        selector: ({ asset }) => asset,
      },
    ),
    by: text,
  }),
  AccountLost: tagged("AccountLost", { venue, cause: text }),
  CommandReceived: tagged("CommandReceived", { command }),
  CommandProgressed: tagged("CommandProgressed", {
    commandId: id,
    text,
    tone: fc.constantFrom("plain", "confirmed", "warning", "error"),
    final: fc.boolean(),
  }),
  TradingStateChanged: tagged("TradingStateChanged", {
    state: fc.constantFrom("active", "reducing", "halted"),
    reason: text,
    by: text,
  }),
  PositionControlChanged: tagged("PositionControlChanged", {
    instrument,
    control: fc.constantFrom("auto", "hold"),
    by: text,
  }),
  StrategyAssigned: tagged("StrategyAssigned", assignment),
  StrategySwapped: tagged("StrategySwapped", { from: id, to: fc.record(assignment), by: text }),
  SignalRaised: tagged("SignalRaised", {
    runner: id,
    instrument,
    intent: fc.constantFrom("enter", "exit"),
    price: anyPrice,
    reason: text,
  }),
  OrderDenied: tagged("OrderDenied", { origin: id, instrument, side, code: text, detail: text }),
  OrderSubmitted: tagged("OrderSubmitted", {
    clientOrderId,
    venue,
    instrument,
    side,
    type: fc.constantFrom("market", "limit"),
    purpose: fc.constantFrom("open", "reduce"),
    quantity: anyQuantity,
    price: fc.option(anyPrice),
    origin: id,
    reason: text,
  }),
  OrderAccepted: tagged("OrderAccepted", { clientOrderId, venueOrderId: text }),
  OrderRejected: tagged("OrderRejected", { clientOrderId, code: text, text }),
  OrderUnconfirmed: tagged("OrderUnconfirmed", { clientOrderId, cause: text }),
  OrderFilled: tagged("OrderFilled", {
    clientOrderId,
    executionId: fc.nat(60).map(String),
    venueOrderId: text,
    quantity: anyQuantity,
    price: anyPrice,
    fee: anyDecimal({ min: 0n, max: 10n ** 6n, scaleMax: 8 }),
    feeAsset: fc.constantFrom("BTC", "USDT", "BNB"),
    executedAt: fc.nat(),
  }),
  OrderCancelRequested: tagged("OrderCancelRequested", { clientOrderId, by: text }),
  OrderCanceled: tagged("OrderCanceled", { clientOrderId }),
  OrderExpired: tagged("OrderExpired", { clientOrderId, reason: text }),
  FeedLost: tagged("FeedLost", { venue, cause: text, attempt: fc.nat() }),
  FeedPolling: tagged("FeedPolling", { venue }),
  FeedRestored: tagged("FeedRestored", { venue, outageMs: fc.nat() }),
  AlertRaised: tagged("AlertRaised", {
    id,
    severity: fc.constantFrom("info", "warning", "critical"),
    title: text,
    detail: text,
  }),
  Gap: tagged("Gap", {
    venue,
    instrument,
    fromId: fc.option(text),
    toId: fc.option(text),
    recovered: fc.nat(),
    complete: fc.boolean(),
    cause: text,
  }),
  SourceChanged: tagged("SourceChanged", {
    venue,
    instrument: fc.option(instrument),
    source: fc.constantFrom("stream", "rest"),
  }),
  FeedTroubled: tagged("FeedTroubled", { venue, trouble, detail: text }),
  FeedTroubleEnded: tagged("FeedTroubleEnded", { venue, trouble }),
  InstrumentHalted: tagged("InstrumentHalted", {
    instrument,
    status: fc.constantFrom("halted", "cancel_only", "closed"),
    reason: text,
  }),
  InstrumentResumed: tagged("InstrumentResumed", { instrument }),
  AlertUpdated: tagged("AlertUpdated", {
    id,
    severity: fc.constantFrom("info", "warning", "critical"),
    title: text,
    detail: text,
  }),
  AlertResolved: tagged("AlertResolved", { id }),
  ActorRestarted: tagged("ActorRestarted", { path: text, cause: text, restarts: fc.nat() }),
  ActorFailed: tagged("ActorFailed", { path: text, cause: text }),
  EquityMarked: tagged("EquityMarked", { venue, total: amount, peak: amount, drawdown: amount }),
}

export const eventTags = Object.keys(byTag) as ReadonlyArray<EventTag>
export const anyEventOf = (tag: EventTag): fc.Arbitrary<Event> => byTag[tag]
const anyEvent: fc.Arbitrary<Event> = fc.oneof(...Object.values(byTag))

export const opened: Event = {
  _tag: "AccountOpened",
  venue: "binance",
  quoteAsset: "USDT",
  balances: [{ asset: "USDT", quantity: decimal("100000") }, {
    asset: "BTC",
    quantity: decimal("2"),
  }],
}

export function journal(events: ReadonlyArray<Event>): ReadonlyArray<JournalRecord> {
  return events.map((event, at) => ({ seq: at + 1, time: (at + 1) * 1_000, epoch: 1, event }))
}

export function fold(events: ReadonlyArray<Event>): Books {
  const books = emptyBooks()
  for (const record of journal(events)) applyRecord(books, record)
  return books
}

/** An account, then orders whose fills never exceed what was asked for, among everything else. */
export const anyJournal: fc.Arbitrary<ReadonlyArray<Event>> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: byTag.OrderSubmitted },
    { weight: 4, arbitrary: byTag.OrderFilled },
    { weight: 4, arbitrary: anyEvent },
  ),
  { maxLength: 60 },
).map((drawn) => {
  const events: Array<Event> = [opened]
  const books = fold(events)
  for (const each of drawn) {
    const event = fitting(each, books)
    if (event === undefined) continue
    events.push(event)
    applyRecord(books, { seq: events.length, time: events.length * 1_000, epoch: 1, event })
  }
  return events
})

function fitting(event: Event, books: Books): Event | undefined {
  if (event._tag === "AccountOpened") return undefined
  if (event._tag === "OrderSubmitted") {
    return books.orders.has(event.clientOrderId) ? undefined : event
  }
  if (event._tag !== "OrderFilled") return event
  const open = [...books.orders.values()].filter(isOpen)
  const order = open[Number(event.executionId) % Math.max(1, open.length)]
  if (order === undefined) return undefined
  const left = subtract(order.quantity, order.filledQuantity)
  const quantity = event.quantity.value % 2n === 0n
    ? left
    : subtract(left, { ...left, value: left.value / 2n })
  return isZero(quantity) ? undefined : { ...event, clientOrderId: order.clientOrderId, quantity }
}
