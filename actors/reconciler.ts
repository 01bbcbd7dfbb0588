/**
 * Keeps an account's private stream alive and our books equal to the venue's.
 *
 * A stream can be lost and so can a single message on a healthy one; both are cured the same way:
 * ask for everything, hand it to the executor, compare. That happens at the start, after every
 * reconnection and periodically, and until it has succeeded nothing may be opened. "The venue says
 * nothing", "the venue says there is nothing" and "the venue does not answer" stay three things.
 */
import { Deferred, Effect, Option, Random } from "effect"
import type { BackoffPolicy } from "../domain/backoff.ts"
import { type Books, expectedBalance, openOrders } from "../domain/books.ts"
import {
  absolute,
  add,
  formatDecimal,
  isEqual,
  isGreater,
  subtract,
  zero,
} from "../domain/decimal.ts"
import type { Event } from "../domain/event.ts"
import type { Instrument } from "../domain/instrument.ts"
import {
  failed,
  freshLink,
  heardData,
  type Link,
  linkDefaults,
  type LinkPolicy,
  type Wait,
  type WaitRule,
} from "../domain/link.ts"
import { isOpen } from "../domain/order.ts"
import type { Balance, Broker, Execution, OrderReport } from "../venues/broker.ts"
import { Silent, VenueError } from "../venues/market_data.ts"
import { type ConnectionBudget, fullBudget, spendAttempt } from "./connection_budget.ts"
import { catchUp, follow, keepUp, record } from "./journal.ts"
import {
  executorOf,
  Monitor,
  type PrivateLink,
  type ReconcilerMessage,
  reconcilerOf,
} from "./names.ts"
import { type ActorContext, ask, type AskError, behavior, type ReplyTo } from "./runtime/mod.ts"

export interface ReconcilerOptions {
  readonly broker: Broker
  readonly instruments: ReadonlyArray<Instrument>
  readonly backoff: BackoffPolicy
  readonly mailboxMax: number
  readonly everyMs: number
  /** Waited before a failed reconciliation is tried again. */
  readonly retryMs: number
  readonly timeoutMs: number
  /** Rules of waiting that differ from `linkDefaults`. */
  readonly link?: Partial<LinkPolicy>
  /** How long after its acceptance an order's own report may take; then the stream is made anew. */
  readonly echoAfterMs?: number
}

interface State {
  readonly books: Books
  running: boolean
  /** Asked for while one was running, which may have looked too early. */
  again: boolean
  link: PrivateLink
  /** Counts the streams that have stood; a comparison is worth nothing beyond the one it was made on. */
  stream: number
  /** When the present one has stood since; what was sent before may have been told to nobody. */
  upAt: number
  /** Since when fills may be missing; undefined until this incarnation has read them once. */
  fillsReadAt: number | undefined
  /** Waiting for one that begins after they asked, and for the one that is running. */
  asked: Array<ReplyTo<boolean>>
  answering: Array<ReplyTo<boolean>>
  /** Until when the venue wants no questions; epoch milliseconds. */
  silentUntil: number
  /** Orders the stream has spoken of, the newest; and accepted ones that it has not, since when. */
  readonly echoed: Set<string>
  readonly unechoed: Map<string, number>
  /** Ends the present stream with an error of ours. */
  cut: Deferred.Deferred<never, VenueError> | undefined
  /** Ends the present wait. */
  wake: Deferred.Deferred<void> | undefined
  /** The venue refuses our key, and that has been said. */
  isForbidden: boolean
}

/** What outlives an incarnation: a crash is no reason to hurry a venue. */
interface Memory {
  budget: ConnectionBudget | undefined
  link: Link
}

type Context = ActorContext<ReconcilerMessage>

/** Fills are asked for from a little before the last one we know. */
const OVERLAP_MS = 60_000
/** Comparisons before a difference is believed: a fill may be on its way. */
const COMPARISONS = 3
const COMPARE_AGAIN_MS = 500
const BALANCE_DIFFERS = "the venue holds"
/** Beside the executor's own questions after such an order. */
const ECHO_AFTER_MS = 5_000
const ECHO_SWEEP_MS = 1_000
const ECHOED_MAX = 1_000
/** Questions that wait for a comparison; of one feed it is one. */
const ASKED_MAX = 20

export function reconciler(options: ReconcilerOptions) {
  const { broker } = options
  const memory: Memory = { budget: undefined, link: freshLink }
  return behavior<State, ReconcilerMessage>({
    name: reconcilerOf(broker.venue).id,
    restart: "permanent",
    // Private events are never dropped by us; should they ever pile up, the restart reconciles.
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: Effect.fn("Reconciler.init")(function* (actor: Context) {
      const books = yield* follow(actor)
      const state: State = {
        books,
        running: false,
        again: false,
        link: connecting(broker.venue),
        stream: 0,
        upAt: Infinity,
        fillsReadAt: undefined,
        asked: [],
        answering: [],
        silentUntil: 0,
        echoed: new Set(),
        unechoed: new Map(),
        cut: undefined,
        wake: undefined,
        isForbidden: false,
      }
      // Nobody has listened since the last incarnation ended.
      yield* lost(state, broker.venue, "restarted", "backoff", actor)
      actor.fork(keepConnected(state, memory, options, actor))
      actor.every(options.everyMs, { _tag: "Reconcile" })
      actor.every(ECHO_SWEEP_MS, { _tag: "Sweep" })
      return state
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Recorded":
          keepUp(state.books, message.records)
          for (const { event } of message.records) recorded(state, event, broker.venue, actor)
          return state
        case "PrivateEvent":
          return privateEvent(state, message.event, broker.venue, actor)
        case "Undecoded":
          return Effect.as(
            Effect.logWarning(`${broker.venue} private stream: ${message.reason}`),
            state,
          )
        case "Reconcile":
          if (message.reply !== undefined) state.asked.push(message.reply)
          keepNewest(state)
          begin(state, options, actor)
          return state
        case "Sweep":
          cutIfUnechoed(state, options, actor)
          return state
      }
    },
  })
}

function connecting(venue: string): PrivateLink {
  return {
    venue,
    status: "connecting",
    lastEventAt: undefined,
    cause: undefined,
    clockOffsetMs: undefined,
  }
}

function privateEvent(
  state: State,
  event: Extract<ReconcilerMessage, { _tag: "PrivateEvent" }>["event"],
  venue: string,
  actor: Context,
): State {
  show(state, { lastEventAt: actor.now() }, actor)
  switch (event._tag) {
    case "Report":
      echo(state, event.report.clientOrderId)
      actor.ref(executorOf(venue)).signal({ _tag: "Reported", report: event.report })
      return state
    case "Executed":
      echo(state, event.report.clientOrderId)
      actor.ref(executorOf(venue)).signal(event)
      return state
    case "Corrected":
      // Our fills no longer explain what is held: the comparison finds it, and stops openings.
      actor.self.signal({ _tag: "Reconcile" })
      return state
    case "StreamUp":
    case "Balances":
      return state
  }
}

function recorded(state: State, event: Event, venue: string, actor: Context) {
  if (event._tag === "OrderAccepted") {
    const { clientOrderId } = event
    const order = state.books.orders.get(clientOrderId)
    const isOwed = order?.venue === venue && order.submittedAt >= state.upAt
    if (isOwed && state.link.status === "streaming" && !state.echoed.has(clientOrderId)) {
      state.unechoed.set(clientOrderId, actor.now())
    }
  }
  // A person has seen to it, or wants to know whether somebody has.
  if (event._tag === "CommandReceived" && event.command.type === "resume" && state.isForbidden) {
    if (state.wake !== undefined) Deferred.doneUnsafe(state.wake, Effect.void)
  }
}

function echo({ echoed, unechoed }: State, clientOrderId: string) {
  unechoed.delete(clientOrderId)
  echoed.add(clientOrderId)
  if (echoed.size <= ECHOED_MAX) return
  for (const oldest of echoed) {
    echoed.delete(oldest)
    return
  }
}

/**
 * A subscription can die on a healthy connection. An order that was sent while the stream stood, that
 * the venue has accepted and the stream never speaks of is the proof; what else was not said is found
 * by the next comparison.
 */
function cutIfUnechoed(state: State, options: ReconcilerOptions, actor: Context) {
  const { broker, echoAfterMs = ECHO_AFTER_MS } = options
  const [oldest] = state.unechoed.values()
  if (oldest === undefined || actor.now() - oldest < echoAfterMs || state.cut === undefined) return
  state.unechoed.clear()
  const reason = new Silent({ what: "data", afterMs: echoAfterMs })
  const error = new VenueError({ venue: broker.venue, doing: "order reports", reason })
  Deferred.doneUnsafe(state.cut, Effect.fail(error))
}

function show(state: State, change: Partial<PrivateLink>, actor: Context) {
  state.link = { ...state.link, ...change }
  actor.ref(Monitor).send({ _tag: "LinkChanged", link: state.link })
}

/** Lives as long as this incarnation: connect, lose, wait by the rule of the cause, connect. */
const keepConnected = Effect.fnUntraced(function* (
  state: State,
  memory: Memory,
  { broker, backoff, link }: ReconcilerOptions,
  actor: Context,
) {
  const { venue } = broker
  const policy: LinkPolicy = { ...linkDefaults, ...link, backoff }
  memory.budget ??= fullBudget(actor.now())
  while (true) {
    const ended = yield* Deferred.make<never, VenueError>()
    state.cut = ended
    const stream = broker.stream({
      event: (event) => {
        // The subscription stands, not the handshake: a venue over its limit accepts connections
        // only to close them.
        memory.link = heardData(memory.link)
        // Not by the mailbox: a stream that dies meanwhile must not come up again when it is read.
        if (event._tag === "StreamUp") up(state, actor)
        const accepted = actor.self.send({ _tag: "PrivateEvent", event })
        if (!accepted) actor.crash(new Error("private events pile up"))
      },
      undecoded: (frame, reason) => void actor.self.send({ _tag: "Undecoded", frame, reason }),
    })
    const error = yield* Effect.flip(Effect.raceFirst(stream, Deferred.await(ended)))
    state.cut = undefined
    const now = actor.now()
    const [next, wait] = failed(memory.link, error.reason, now, yield* Random.next, policy)
    memory.link = next
    const [rest, leastMs] = spendAttempt(memory.budget, now)
    memory.budget = rest
    down(state, error, wait, actor)
    yield* lost(state, venue, error.message, wait.rule, actor)
    yield* Effect.logWarning(`${error.message} attempt=${next.attempt}`)
    const wake = yield* Deferred.make<void>()
    state.wake = wake
    const waiting = Effect.sleep(Math.max(leastMs, wait.delayMs))
    yield* Effect.raceFirst(waiting, Deferred.await(wake))
    state.wake = undefined
  }
})

function down(state: State, error: VenueError, { rule }: Wait, actor: Context) {
  const status = rule === "forbidden" ? "down" : "reconnecting"
  show(state, { status, cause: error.message }, actor)
  // What was not echoed until here is found by the next comparison.
  state.unechoed.clear()
  for (const reply of state.asked.splice(0)) reply.succeed(false)
}

function up(state: State, actor: Context) {
  state.stream += 1
  state.upAt = actor.now()
  state.isForbidden = false
  show(state, { status: "streaming", cause: undefined }, actor)
  actor.self.signal({ _tag: "Reconcile" })
}

/** Written before anything else happens: until the account is reconciled again nothing may be opened. */
const lost = Effect.fnUntraced(function* (
  state: State,
  venue: string,
  cause: string,
  rule: WaitRule,
  actor: Context,
) {
  const { books } = state
  yield* catchUp(actor, books)
  const isNewlyForbidden = rule === "forbidden" && !state.isForbidden
  state.isForbidden = rule === "forbidden"
  if (!books.accounts.get(venue)?.ready && !isNewlyForbidden) return
  yield* record(actor, books, [{ _tag: "AccountLost", venue, cause, rule }])
})

/** Some wait for a venue that is silent for days; whoever asks again has given up on the first answer. */
function keepNewest({ asked }: State) {
  for (const oldest of asked.splice(0, asked.length - ASKED_MAX)) oldest.succeed(false)
}

function begin(state: State, options: ReconcilerOptions, actor: Context) {
  if (state.running) {
    state.again = true
    return
  }
  // The venue wants no questions; whoever asks waits with us.
  if (actor.now() < state.silentUntil) return
  state.running = true
  state.again = false
  state.answering = state.asked.splice(0)
  const answer = (isDone: boolean) => {
    for (const reply of state.answering.splice(0)) reply.succeed(isDone)
  }
  const askAgain = (afterMs: number) => {
    state.asked.unshift(...state.answering.splice(0))
    keepNewest(state)
    actor.sendAfter(afterMs, { _tag: "Reconcile" })
  }
  actor.fork(
    reconcile(state, options, actor).pipe(
      Effect.map((outcome) =>
        outcome === "undecided" ? askAgain(options.retryMs) : answer(
          outcome === "compared",
        )
      ),
      Effect.catch((error) =>
        Effect.sync(() => {
          show(state, { cause: error.message }, actor)
          const afterMs = retryMs(error, options)
          if (afterMs > options.retryMs) state.silentUntil = actor.now() + afterMs
          askAgain(afterMs)
        })
      ),
      Effect.ensuring(Effect.sync(() => {
        state.running = false
        if (state.again) actor.self.signal({ _tag: "Reconcile" })
      })),
    ),
  )
}

function retryMs(error: VenueError | AskError, options: ReconcilerOptions): number {
  const isThrottled = error._tag === "VenueError" && error.reason._tag === "Throttled"
  return isThrottled ? Math.max(options.retryMs, error.reason.retryAfterMs) : options.retryMs
}

const reconcile = Effect.fnUntraced(function* (
  state: State,
  options: ReconcilerOptions,
  actor: Context,
) {
  const { broker, instruments } = options
  const { venue } = broker
  const { books } = state
  // Without the private stream what we read now would be old as soon as we have it.
  if (state.link.status !== "streaming") return "lost" as const
  const { stream } = state
  const { clockOffsetMs } = yield* broker.connect
  show(state, { clockOffsetMs }, actor)
  if (!books.accounts.has(venue)) {
    const balances = yield* broker.balances
    yield* record(actor, books, [opened(broker, balances)])
  }
  const since = fillsMissingSince(state, venue) - OVERLAP_MS
  const readAt = actor.now()
  const atVenue = yield* broker.openOrders
  const reports: Array<OrderReport> = [...atVenue]
  const missing: Array<string> = []
  const known = new Set(atVenue.map(({ clientOrderId }) => clientOrderId))
  for (const order of openOrders(books)) {
    if (order.venue !== venue || known.has(order.clientOrderId)) continue
    const report = yield* broker.order(order.instrument, order.clientOrderId)
    if (Option.isSome(report)) reports.push(report.value)
    else missing.push(order.clientOrderId)
  }
  const executions: Array<Execution> = []
  for (const { id } of instruments) {
    if (hasTraded(books, id)) executions.push(...yield* broker.executions(id, since))
  }
  const fillsFound = yield* ask(
    actor.ref(executorOf(venue)),
    (reply: ReplyTo<number>) => ({ _tag: "Absorb", executions, reports, missing, reply }) as const,
    { timeoutMs: options.timeoutMs },
  )
  state.fillsReadAt = readAt
  // Whatever the venue knows of ours was in the journal before it was sent.
  yield* catchUp(actor, books)
  const balancesDiffer = yield* compare(state, options, actor)
  const earlier = books.accounts.get(venue)?.differences ?? []
  if (balancesDiffer === undefined && !books.accounts.get(venue)?.ready) {
    return "undecided" as const
  }
  const differences = [
    ...atVenue.flatMap((report) => unexpected(books, report)),
    // What could not be compared now is as it was.
    ...balancesDiffer ?? earlier.filter((each) => each.includes(BALANCE_DIFFERS)),
  ]
  const before = books.accounts.get(venue)
  // Told once, not twice a minute: agreement, fills that had been missed, and each new difference.
  const isNews = state.answering.length > 0 || fillsFound > 0 ||
    before?.differences.join() !== differences.join() ||
    (!before.ready && differences.length === 0)
  const stands = state.link.status === "streaming" && state.stream === stream
  if (!stands) return "lost" as const
  show(state, { reconciledAt: readAt }, actor)
  if (isNews) {
    yield* record(actor, books, [{
      _tag: "AccountReconciled",
      venue,
      ordersOpen: atVenue.length,
      fillsFound,
      differences: fewer(differences),
    }])
  }
  return "compared" as const
})

/** What people can read, and what one event can hold. */
const DIFFERENCES_MAX = 20

function fewer(differences: ReadonlyArray<string>): ReadonlyArray<string> {
  const more = differences.length - DIFFERENCES_MAX
  return more > 0 ? [...differences.slice(0, DIFFERENCES_MAX), `and ${more} more`] : differences
}

function opened(broker: Broker, balances: ReadonlyArray<Balance>): Event {
  return {
    _tag: "AccountOpened",
    venue: broker.venue,
    quoteAsset: broker.quoteAsset,
    balances: balances.map(({ asset, free, locked }) => ({ asset, quantity: add(free, locked) })),
  }
}

/** All fills have been read once up to then, but for those of orders that were open. */
function fillsMissingSince({ books, fillsReadAt }: State, venue: string): number {
  if (fillsReadAt !== undefined) return fillsReadAt
  const orders = [...books.orders.values()].filter((order) => order.venue === venue)
  const reconciledAt = books.accounts.get(venue)?.reconciledAt
  const inDoubt = reconciledAt === undefined ? orders : orders.filter(isOpen)
  const submitted = inDoubt.map(({ submittedAt }) => submittedAt)
  return Math.max(OVERLAP_MS, Math.min(reconciledAt ?? books.time, ...submitted))
}

/** Read as open at the venue, and not open in our books: somebody else's, or one we had given up. */
function unexpected(books: Books, report: OrderReport): ReadonlyArray<string> {
  const { clientOrderId, instrument } = report
  const order = books.orders.get(clientOrderId)
  if (order === undefined) {
    return [`an open order that is not ours: ${clientOrderId} ${instrument}`]
  }
  // What has ended since it was read is no difference.
  const isLate = order.status === "filled" || order.venueOrderId !== undefined
  return isOpen(order) || isLate
    ? []
    : [`an open order that our books say is ${order.status}: ${clientOrderId} ${instrument}`]
}

function hasTraded(books: Books, instrument: string): boolean {
  return [...books.orders.values()].some((order) => order.instrument === instrument)
}

/**
 * Balances against what our fills explain; undefined when that cannot be said. While an order is
 * open, or as long as a second look helps, a difference says nothing: the two sides were read at
 * different moments.
 */
const compare = Effect.fnUntraced(function* (
  { books }: State,
  { broker, instruments }: ReconcilerOptions,
  actor: Context,
) {
  const { venue } = broker
  const assets = new Set([broker.quoteAsset, ...instruments.map(({ base }) => base)])
  const isOpenNow = () => openOrders(books).some((order) => order.venue === venue)
  let differences: ReadonlyArray<string> | undefined
  for (let round = 1; round <= COMPARISONS; round++) {
    if (round > 1) yield* Effect.sleep(COMPARE_AGAIN_MS)
    const wasOpen = isOpenNow()
    const before = books.accounts.get(venue)?.moved
    const balances = yield* broker.balances
    yield* catchUp(actor, books)
    differences = differencesOf(books, broker, assets, balances)
    if (differences.length === 0) return differences
    const inMotion = wasOpen || isOpenNow() || books.accounts.get(venue)?.moved !== before
    if (inMotion) differences = undefined
  }
  return differences
})

function differencesOf(
  books: Books,
  { venue, quoteAsset, roundingMax = zero }: Broker,
  assets: ReadonlySet<string>,
  balances: ReadonlyArray<Balance>,
): ReadonlyArray<string> {
  const account = books.accounts.get(venue)
  if (account === undefined) return []
  return [...assets].flatMap((asset) => {
    const balance = balances.find((each) => each.asset === asset)
    const actual = balance === undefined ? zero : add(balance.free, balance.locked)
    const expected = expectedBalance(account, asset)
    const isNear = asset === quoteAsset &&
      !isGreater(absolute(subtract(actual, expected)), roundingMax)
    return isNear || isEqual(actual, expected) ? [] : [
      `${asset}: ${BALANCE_DIFFERS} ${formatDecimal(actual)}, our books say ${
        formatDecimal(expected)
      }`,
    ]
  })
}
