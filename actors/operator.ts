/**
 * Carries out what a person asks for.
 *
 * A command is refused at once or journaled and then acted on; what happens to it is journaled too,
 * step by step, and "flat" is said only when the venue has said it. Nothing here depends on whoever
 * asked still being there, nor on this actor staying up: what gets out of the market is taken up again
 * after a restart.
 */
import { Effect, Result } from "effect"
import { type Books, type CommandState, openOrders } from "../domain/books.ts"
import {
  type Command,
  type CommandReceipt,
  CommandRefused,
  type CommandScope,
} from "../domain/command.ts"
import {
  add,
  formatDecimal,
  isNegative,
  isPositive,
  isZero,
  larger,
  subtract,
  zero,
} from "../domain/decimal.ts"
import type { SessionPhase } from "../domain/calendar.ts"
import type { Event } from "../domain/event.ts"
import {
  type Instrument,
  type InstrumentId,
  tradableQuantity,
  venueOf,
} from "../domain/instrument.ts"
import { isOpen } from "../domain/order.ts"
import { averagePrice } from "../domain/position.ts"
import { closableQuantity } from "../domain/risk.ts"
import { type Assignment, assignmentId } from "../domain/strategy.ts"
import type { Broker } from "../venues/broker.ts"
import { catchUp, follow, keepUp, record } from "./journal.ts"
import { executorOf, Operator, type OperatorMessage, riskManagerOf } from "./names.ts"
import { type ActorContext, type ActorSystem, ask, behavior, type ReplyTo } from "./runtime/mod.ts"

export interface OperatorOptions {
  /** These two are read again for every command: a venue may be let in later. */
  readonly instruments: ReadonlyArray<Instrument>
  readonly brokers: ReadonlyArray<Broker>
  readonly system: () => ActorSystem | undefined
  /** Checks strategy and parameters; fails with a sentence for people. */
  readonly checkStrategy: (
    strategy: string,
    instrument: InstrumentId,
    params: unknown,
  ) => Effect.Effect<void, { readonly message: string }>
  /** Crashing an actor on purpose is for the simulated venue only. */
  readonly mayCrash: boolean
  readonly mailboxMax: number
  /** Undefined where the market never closes, and while it is not known. */
  readonly session: (instrument: Instrument) => SessionPhase | undefined
  /** How long the venue may take over cancelling, and over closing, in one round of a flatten. */
  readonly confirmTimeoutMs: number
  readonly lookEveryMs: number
}

interface State {
  readonly books: Books
}

type Context = ActorContext<OperatorMessage>
type Tone = "plain" | "confirmed" | "warning" | "error"

/** A position that moved while it was closed is closed again; more rounds than this is a person's case. */
const ROUNDS = 3
/** The alert of a flatten that did not end flat there; the next one that does resolves it. */
const flattenAlert = (venue: string) => `flatten:${venue}`
const REPLY_TIMEOUT_MS = 10_000

export function operator(options: OperatorOptions) {
  return behavior<State, OperatorMessage>({
    name: Operator.id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: Effect.fn("Operator.init")(function* (actor: Context) {
      const books = yield* follow(actor)
      const state: State = { books }
      // Begun by an incarnation that has ended; without a word they would be open for ever.
      for (const each of [...books.commands.values()].filter(({ final }) => !final)) {
        const { command } = each
        const isAgain = resumable.has(command.type) && !isOverruled(each, books)
        yield* record(
          actor,
          books,
          isAgain
            ? [step(command.commandId, "Taken up again after a restart.", "warning")]
            : [orphanStep(command)],
        )
        if (isAgain) actor.fork(resume(command, state, options, actor))
      }
      return state
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Recorded":
          keepUp(state.books, message.records)
          return state
        case "Submit":
          return submit(state, message.command, message.reply, options, actor)
      }
    },
  })
}

const submit = Effect.fnUntraced(function* (
  state: State,
  command: Command,
  reply: ReplyTo<CommandReceipt>,
  options: OperatorOptions,
  actor: Context,
) {
  const { books } = state
  const { commandId } = command
  // Judged by what whoever asks may have seen already.
  yield* catchUp(actor, books)
  const known = books.commands.get(commandId)
  if (known !== undefined) {
    reply.succeed({ commandId, seq: known.seq })
    return state
  }
  const refusal = yield* refusalOf(command, books, options)
  if (refusal !== undefined) {
    reply.fail(refusal)
    return state
  }
  yield* record(actor, books, [{ _tag: "CommandReceived", command }])
  reply.succeed({ commandId, seq: books.commands.get(commandId)?.seq ?? books.seq })
  actor.fork(begin(command, state, options, actor))
  return state
})

function begin(command: Command, state: State, options: OperatorOptions, actor: Context) {
  const { books } = state
  return carryOut(command, state, options, actor).pipe(
    Effect.catch((error) =>
      record(actor, books, [
        ...alertsAfter(command, books, venuesOf(command, options), `failed: ${error.message}`),
        step(command.commandId, `failed: ${error.message}`, "error", true),
      ])
    ),
  )
}

/** What was on its way when the process ended comes into the books with the reconciliation. */
const resume = Effect.fnUntraced(function* (
  command: Command,
  state: State,
  options: OperatorOptions,
  actor: Context,
) {
  const isReconciled = () =>
    options.brokers.every(({ venue }) => state.books.accounts.get(venue)?.ready === true)
  // Without one it is tried all the same: being able to get out outranks knowing everything.
  yield* waitUntil(isReconciled, options)
  yield* begin(command, state, options, actor)
})

/** They get out of the market, from whatever the books say: begun twice they still end once. */
const resumable: ReadonlySet<Command["type"]> = new Set([
  "flatten",
  "close_position",
  "cancel_order",
])

/** Whoever has let trading go on since does not want a flatten of before to halt it again. */
function isOverruled({ command: { scope, type }, seq }: CommandState, books: Books): boolean {
  return type === "flatten" &&
    [...books.commands.values()].some(({ command, seq: later }) =>
      later > seq && command.type === "resume" &&
      (command.scope.kind === "all" ||
        command.scope.kind === scope.kind && command.scope.id === scope.id)
    )
}

function orphanStep({ commandId, scope, type }: Command): Event {
  // It took this actor along, and so cannot have said so itself.
  if (type === "restart_actor") return step(commandId, `${scope.id} restarted.`, "confirmed", true)
  const text = type === "flatten"
    ? "interrupted by a restart, and trading was resumed since: see the positions"
    : "interrupted by a restart: see the positions"
  return step(commandId, text, "warning", true)
}

/** A flatten that did not end flat is everybody's business; `trouble` undefined is flat. */
function alertsAfter(
  { type }: Command,
  books: Books,
  venues: ReadonlyArray<string>,
  trouble: string | undefined,
): ReadonlyArray<Event> {
  if (type !== "flatten") return []
  return venues.flatMap((venue): ReadonlyArray<Event> => {
    const id = flattenAlert(venue)
    if (trouble !== undefined) {
      const title = `A flatten of ${venue} did not end flat`
      return [{ _tag: "AlertRaised", id, severity: "critical", title, detail: trouble }]
    }
    const alert = books.alerts.get(id)
    const isRaised = alert !== undefined && alert.resolvedAt === undefined
    return isRaised ? [{ _tag: "AlertResolved", id }] : []
  })
}

/** Those that a flatten is about. */
function venuesOf({ scope }: Command, { brokers }: OperatorOptions): ReadonlyArray<string> {
  return scope.kind === "account" ? [scope.id ?? ""] : brokers.map(({ venue }) => venue)
}

function step(commandId: string, text: string, tone: Tone, final = false): Event {
  return { _tag: "CommandProgressed", commandId, text, tone, final }
}

const refusalOf = Effect.fnUntraced(function* (
  { type, scope, strategy, params, control }: Command,
  books: Books,
  options: OperatorOptions,
) {
  const refused = (status: 404 | 409 | 422, message: string) =>
    new CommandRefused({ status, message })
  const id = scope.id ?? ""
  // An id that is looked up in the wrong place could be found there.
  if (!kinds[type].includes(scope.kind)) {
    const more = type === "flatten" ? "; close_position closes one" : ""
    return refused(422, `${type} takes the scope ${kinds[type].join(" or ")}${more}`)
  }
  switch (type) {
    case "pause":
    case "resume":
      if (scope.kind === "account") {
        return options.brokers.some(({ venue }) => venue === id)
          ? undefined
          : refused(404, `there is no account at ${id}`)
      }
      return scope.kind === "all" || options.instruments.some((each) => each.id === id)
        ? undefined
        : refused(404, `there is no instrument ${id}`)
    case "flatten":
      return scope.kind === "all" || options.brokers.some(({ venue }) => venue === id)
        ? undefined
        : refused(404, `there is no account at ${id}`)
    case "close_position": {
      const position = books.positions.get(id)
      return position === undefined || isZero(position.quantity)
        ? refused(404, `there is no position in ${id}`)
        : undefined
    }
    case "override_position":
      if (control === undefined) return refused(422, "control must be auto or hold")
      return options.instruments.some((each) => each.id === id)
        ? undefined
        : refused(404, `there is no instrument ${id}`)
    case "cancel_order": {
      const order = books.orders.get(id)
      if (order === undefined) return refused(404, `there is no order ${id}`)
      return isOpen(order) ? undefined : refused(409, `order ${id} is ${order.status}`)
    }
    case "swap_strategy": {
      const before = books.assignments.get(id)
      if (before === undefined) return refused(404, `there is no strategy ${id}`)
      if (strategy === undefined) return refused(422, "swap_strategy needs a strategy")
      const next = assignmentId(strategy, before.instrument)
      if (next !== id && books.assignments.has(next)) return refused(409, `${next} runs already`)
      // What it fills would belong to a strategy that is gone.
      const underWay = openOrders(books).find(({ origin }) => origin === id)
      if (underWay !== undefined) {
        return refused(409, `${id} has an order under way (${underWay.clientOrderId}): try again`)
      }
      return yield* options.checkStrategy(strategy, before.instrument, params ?? {}).pipe(
        Effect.as(undefined),
        Effect.catch((error) => Effect.succeed(refused(422, error.message))),
      )
    }
    case "accept_balances": {
      if (!books.accounts.has(id)) return refused(404, `there is no account at ${id}`)
      const open = openOrders(books).find(({ venue }) => venue === id)
      return open === undefined
        ? undefined
        : refused(409, `order ${open.clientOrderId} is open: what it moves is not known yet`)
    }
    case "restart_actor":
      return isInTree(id, options) ? undefined : refused(404, `there is no actor ${id}`)
    case "crash_actor":
      if (!options.mayCrash) return refused(409, "actors are crashed on purpose in sim mode only")
      return isInTree(id, options) ? undefined : refused(404, `there is no actor ${id}`)
  }
})

/** What each command is about. An actor is named by its path in the tree, which has no kind. */
const kinds: Readonly<Record<Command["type"], ReadonlyArray<CommandScope["kind"]>>> = {
  pause: ["all", "account", "instrument", "position"],
  resume: ["all", "account", "instrument", "position"],
  flatten: ["all", "account"],
  close_position: ["position", "instrument"],
  override_position: ["position", "instrument"],
  cancel_order: ["order"],
  swap_strategy: ["strategy"],
  accept_balances: ["account"],
  restart_actor: ["all"],
  crash_actor: ["all"],
}

/** The root is not: nobody is left to start it again. */
function isInTree(path: string, { system }: OperatorOptions): boolean {
  const at = path.lastIndexOf("/")
  const siblings = system()?.whichChildren(path.slice(0, Math.max(at, 0))) ?? []
  return siblings.some(({ name }) => name === path.slice(at + 1))
}

const carryOut = Effect.fnUntraced(function* (
  command: Command,
  state: State,
  options: OperatorOptions,
  actor: Context,
) {
  const { commandId, scope, type } = command
  const { books } = state
  const id = scope.id ?? ""
  const done = (events: ReadonlyArray<Event>, text: string, tone: Tone = "confirmed") =>
    record(actor, books, [...events, step(commandId, text, tone, true)])
  switch (type) {
    case "pause":
      return yield* scope.kind === "all"
        ? done(
          [halt(`paused by the operator${command.note ? `: ${command.note}` : ""}`)],
          "Paused.",
        )
        : done(controls(command, "hold", options), `${id} is paused.`)
    case "resume":
      return yield* scope.kind === "all"
        ? done(
          [{ _tag: "TradingStateChanged", state: "active", reason: "", by: "operator" }],
          "Trading.",
        )
        : done(controls(command, "auto", options), `${id} trades again.`)
    case "override_position": {
      const control = command.control ?? "hold"
      return yield* done(
        [{ _tag: "PositionControlChanged", instrument: id, control, by: "operator" }],
        `${id}: ${control}.`,
      )
    }
    case "cancel_order":
      return yield* cancelOrder(command, state, options, actor)
    case "close_position":
      return yield* closeAll(command, state, [id], options, actor)
    case "flatten":
      yield* record(
        actor,
        books,
        scope.kind === "all"
          ? [halt("flattened by the operator"), step(commandId, "Trading is halted.", "plain")]
          // The other accounts go on.
          : [
            ...controls(command, "hold", options),
            step(commandId, `Trading at ${id} is paused.`, "plain"),
          ],
      )
      return yield* closeAll(
        command,
        state,
        [...new Set([...options.instruments.map((each) => each.id), ...books.positions.keys()])]
          .filter((each) => scope.kind === "all" || venueOf(each) === id),
        options,
        actor,
      )
    case "swap_strategy":
      return yield* swap(command, state, actor)
    case "accept_balances":
      return yield* acceptBalances(command, state, options, actor)
    case "restart_actor": {
      const system = options.system()
      if (system === undefined) return yield* done([], "The tree is not up yet.", "error")
      yield* system.restartChild(id)
      return yield* done([], `${id} restarted.`)
    }
    case "crash_actor": {
      const crashed = options.system()?.crash(id, "crashed on purpose by the operator") ?? false
      return yield* crashed ? done([], `${id} crashed.`) : done([], `${id} does not run.`, "error")
    }
  }
})

/** Of one instrument, or of all that an account trades. */
function controls(
  { scope }: Command,
  control: "auto" | "hold",
  { instruments }: OperatorOptions,
): ReadonlyArray<Event> {
  const ids = scope.kind === "account"
    ? instruments.filter(({ venue }) => venue === scope.id).map(({ id }) => id)
    : [scope.id ?? ""]
  return ids.map((instrument) => ({
    _tag: "PositionControlChanged",
    instrument,
    control,
    by: "operator",
  }))
}

function halt(reason: string): Event {
  return { _tag: "TradingStateChanged", state: "halted", reason, by: "operator" }
}

const swap = Effect.fnUntraced(function* (command: Command, { books }: State, actor: Context) {
  const from = command.scope.id ?? ""
  const before = books.assignments.get(from)
  if (before === undefined || command.strategy === undefined) return
  const to: Assignment = {
    ...before,
    id: assignmentId(command.strategy, before.instrument),
    strategy: command.strategy,
    params: command.params ?? {},
  }
  yield* record(actor, books, [
    { _tag: "StrategySwapped", from, to, by: "operator" },
    step(command.commandId, `${to.id} takes over from ${from}.`, "confirmed", true),
  ])
})

/** From here on the venue's balances are what we expect; the next reconciliation agrees or says why. */
const acceptBalances = Effect.fnUntraced(function* (
  { commandId, scope }: Command,
  { books }: State,
  options: OperatorOptions,
  actor: Context,
) {
  const broker = options.brokers.find(({ venue }) => venue === scope.id)
  if (broker === undefined) return
  const { venue } = broker
  const before = books.accounts.get(venue)?.moved
  const balances = yield* broker.balances
  yield* catchUp(actor, books)
  const isMoving = openOrders(books).some((order) => order.venue === venue) ||
    books.accounts.get(venue)?.moved !== before
  yield* record(
    actor,
    books,
    isMoving ? [step(commandId, "An order came in between: try again.", "error", true)] : [
      {
        _tag: "AccountBaselineChanged",
        venue,
        balances: balances.map(({ asset, free, locked }) => ({
          asset,
          quantity: add(free, locked),
        })),
        by: "operator",
      },
      step(commandId, `The balances of ${venue} are accepted.`, "confirmed", true),
    ],
  )
})

const cancelOrder = Effect.fnUntraced(function* (
  command: Command,
  state: State,
  options: OperatorOptions,
  actor: Context,
) {
  const { books } = state
  const { commandId } = command
  const id = command.scope.id ?? ""
  const order = books.orders.get(id)
  if (order === undefined) return
  actor.ref(executorOf(order.venue)).signal({ _tag: "Cancel", clientOrderId: id, by: "operator" })
  const isDone = () => {
    const now = books.orders.get(id)
    return now === undefined || !isOpen(now)
  }
  const confirmed = yield* waitUntil(isDone, options)
  const status = books.orders.get(id)?.status ?? "unknown"
  yield* record(actor, books, [
    confirmed
      ? step(commandId, `The venue confirms: ${id} is ${status}.`, "confirmed", true)
      : step(commandId, `No confirmation yet: ${id} is ${status}.`, "warning", true),
  ])
})

/** Looks at the books until they say so, or until the time is up. */
const waitUntil = Effect.fnUntraced(function* (
  isTrue: () => boolean,
  { confirmTimeoutMs, lookEveryMs }: OperatorOptions,
) {
  for (let waited = 0; waited <= confirmTimeoutMs; waited += lookEveryMs) {
    if (isTrue()) return true
    yield* Effect.sleep(lookEveryMs)
  }
  return isTrue()
})

/** What became of one venue's part. */
type Ending =
  | { readonly _tag: "Flat" }
  /** Its orders are with the venue, which is closed: flat when it has opened, and not before. */
  | { readonly _tag: "Queued"; readonly detail: string }
  | { readonly _tag: "NotFlat"; readonly detail: string }

/** All venues side by side: none waits for another, and each speaks for itself. */
const closeAll = Effect.fnUntraced(function* (
  command: Command,
  state: State,
  ids: ReadonlyArray<InstrumentId>,
  options: OperatorOptions,
  actor: Context,
) {
  const { books } = state
  const endings = yield* Effect.forEach(
    [...Map.groupBy(ids, venueOf)],
    ([venue, its]) =>
      Effect.map(
        closeAt(venue, command, state, its, options, actor),
        (ending) => [venue, ending] as const,
      ),
    { concurrency: "unbounded" },
  )
  const isFlat = endings.every(([, { _tag }]) => _tag === "Flat")
  const isQueued = endings.every(([, { _tag }]) => _tag !== "NotFlat")
  const tone = isFlat ? "confirmed" : isQueued ? "warning" : "error"
  yield* record(actor, books, [
    ...endings.flatMap(([venue, ending]) => {
      const trouble = ending._tag === "Flat" ? undefined : endingText(ending)
      return alertsAfter(command, books, [venue], trouble)
    }),
    step(command.commandId, lastWord(endings, ids), tone, true),
  ])
})

/** The venues that are not flat first. */
function lastWord(
  endings: ReadonlyArray<readonly [venue: string, Ending]>,
  ids: ReadonlyArray<InstrumentId>,
): string {
  const [only] = endings
  const flat = endings.filter(([, { _tag }]) => _tag === "Flat").map(([venue]) => venue)
  if (only === undefined) return "Flat: there is nothing to close."
  if (endings.length === 1) {
    const [, ending] = only
    if (ending._tag !== "Flat") return endingText(ending)
    return `${ids.length === 1 ? `${ids[0]} is flat` : "Flat"}: confirmed by the venue.`
  }
  if (flat.length === endings.length) return `Flat: confirmed by ${flat.join(" and ")}.`
  return [
    ...endings.flatMap(([venue, ending]) =>
      ending._tag === "Flat" ? [] : [`${venue}: ${endingText(ending)}`]
    ),
    ...flat.map((venue) => `${venue}: flat, confirmed by the venue.`),
  ].join(" ")
}

function endingText(ending: Exclude<Ending, { readonly _tag: "Flat" }>): string {
  return ending._tag === "Queued"
    ? `NOT flat yet: ${ending.detail}.`
    : `NOT flat: ${ending.detail}. Look at the positions.`
}

/**
 * Cancel, confirm, close, confirm: in rounds, because a fill may be on its way while we look. The
 * last word is the venue's own balances.
 */
const closeAt = Effect.fnUntraced(function* (
  venue: string,
  command: Command,
  state: State,
  ids: ReadonlyArray<InstrumentId>,
  options: OperatorOptions,
  actor: Context,
) {
  const { books } = state
  const say = (text: string, tone: Tone) =>
    record(actor, books, [step(command.commandId, text, tone)])
  const instruments = options.instruments.filter(({ id }) => ids.includes(id))
  const broker = options.brokers.find((each) => each.venue === venue)
  let trouble = ""
  for (let round = 1; round <= ROUNDS; round++) {
    yield* cancelOpen(venue, state, ids, say, options, actor)
    // Side by side: one that does not close must not keep the others open.
    yield* Effect.forEach(
      instruments.filter((each) => !isZero(sellable(books, each))),
      (each) =>
        closeOne(state, each, command.type, say, options, actor).pipe(
          Effect.catch((error) => say(`${each.id} is not closed: ${error.message}`, "error")),
        ),
      { concurrency: "unbounded", discard: true },
    )
    const left = broker === undefined
      ? Result.succeed([])
      : yield* Effect.result(heldAtVenue(state, instruments, broker))
    const found = Result.isFailure(left)
      ? `the venue does not confirm it (${left.failure.message})`
      : notFlat(books, ids, instruments, left.success)
    if (found === undefined) return { _tag: "Flat" } satisfies Ending
    const queued = queuedAt(state, instruments, options)
    const others = ids.filter((id) => !queued.some((each) => each === id))
    const isAllQueued = queued.length > 0 && Result.isSuccess(left) &&
      notFlat(
          books,
          others,
          instruments.filter(({ id }) => others.includes(id)),
          left.success.filter(({ id }) => others.includes(id)),
        ) === undefined
    if (isAllQueued) {
      const detail = `the market is closed, and ${queued.join(", ")} closes when it opens`
      return { _tag: "Queued", detail } satisfies Ending
    }
    trouble = found
    if (round === ROUNDS) break
    yield* say(`Not flat yet: ${trouble}.`, "warning")
    yield* Effect.sleep(options.confirmTimeoutMs / ROUNDS)
  }
  return { _tag: "NotFlat", detail: trouble } satisfies Ending
})

/** Whose closing order has been taken by a venue that is closed. */
function queuedAt(
  { books }: State,
  instruments: ReadonlyArray<Instrument>,
  options: OperatorOptions,
): ReadonlyArray<InstrumentId> {
  return instruments
    .filter((instrument) =>
      isClosed(instrument, options) &&
      openOrders(books).some((order) =>
        order.instrument === instrument.id && order.purpose === "reduce" &&
        order.status === "accepted"
      )
    )
    .map(({ id }) => id)
}

/** Orders at market are filled in the core session alone. */
function isClosed(instrument: Instrument, { session }: OperatorOptions): boolean {
  const phase = session(instrument)
  return phase !== undefined && phase !== "core"
}

interface Held {
  readonly id: InstrumentId
  /** `0.4 BTC` */
  readonly text: string
}

/**
 * Why it cannot be called flat: what the venue holds, what our books hold though the venue's balance
 * does not show it, and what may still be filled. Undefined when there is nothing.
 */
function notFlat(
  books: Books,
  ids: ReadonlyArray<InstrumentId>,
  instruments: ReadonlyArray<Instrument>,
  atVenue: ReadonlyArray<Held>,
): string | undefined {
  const inBooks = instruments.filter((each) =>
    !isZero(sellable(books, each)) && !atVenue.some(({ id }) => id === each.id)
  )
  const orphans = [...books.positions.values()].filter(({ instrument, quantity }) =>
    ids.includes(instrument) && !isZero(quantity) &&
    !instruments.some(({ id }) => id === instrument)
  )
  const held = [
    ...atVenue.map(({ text }) => text),
    ...inBooks.map(({ id }) => `${id} by our books`),
    ...orphans.map(({ instrument }) => `${instrument}, which is not configured any more`),
  ]
  const open = openOrders(books).filter(({ instrument }) => ids.includes(instrument))
  const reasons = [
    ...(held.length > 0 ? [`still held: ${held.join(", ")}`] : []),
    ...(open.length > 0
      ? [`may still be filled: ${open.map(({ clientOrderId }) => clientOrderId).join(", ")}`]
      : []),
  ]
  return reasons.length === 0 ? undefined : reasons.join("; ")
}

type Say = (text: string, tone: Tone) => Effect.Effect<unknown, Error>

const cancelOpen = Effect.fnUntraced(function* (
  venue: string,
  { books }: State,
  ids: ReadonlyArray<InstrumentId>,
  say: Say,
  options: OperatorOptions,
  actor: Context,
) {
  const open = () => openOrders(books).filter((order) => ids.includes(order.instrument))
  const orders = open()
  if (orders.length === 0) return
  for (const { clientOrderId } of orders) {
    actor.ref(executorOf(venue)).signal({ _tag: "Cancel", clientOrderId, by: "operator" })
  }
  const count = (n: number) => n === 1 ? "1 open order" : `${n} open orders`
  yield* say(`Cancelling ${count(orders.length)} at ${venue}.`, "plain")
  const confirmed = yield* waitUntil(() => open().length === 0, options)
  yield* confirmed
    ? say(`The venue confirms: no order is open at ${venue}.`, "confirmed")
    : say(`${count(open().length)} at ${venue} not confirmed as cancelled.`, "warning")
})

const closeOne = Effect.fnUntraced(function* (
  { books }: State,
  instrument: Instrument,
  type: string,
  say: Say,
  options: OperatorOptions,
  actor: Context,
) {
  const { id, venue } = instrument
  const quantity = formatDecimal(sellable(books, instrument))
  const decision = yield* ask(
    actor.ref(riskManagerOf(venue)),
    (reply: ReplyTo<{ readonly approved: boolean; readonly text: string }>) =>
      ({ _tag: "Close", instrument: id, reason: `${type} by the operator`, reply }) as const,
    { timeoutMs: REPLY_TIMEOUT_MS },
  )
  if (!decision.approved) return yield* say(`${id} cannot be closed: ${decision.text}`, "error")
  yield* say(`Closing ${quantity} ${id} at market.`, "plain")
  const isQueued = () => queuedAt({ books }, [instrument], options).length > 0
  const confirmed = yield* waitUntil(
    () => isZero(sellable(books, instrument)) || isQueued(),
    options,
  )
  if (isQueued()) {
    return yield* say(`The market of ${id} is closed: the order waits for its opening.`, "warning")
  }
  const fill = books.fills.findLast((each) => each.instrument === id)
  const at = fill === undefined ? "" : ` at ${formatDecimal(fill.price)}`
  yield* confirmed
    ? say(`The venue confirms: ${id} closed${at}.`, "confirmed")
    : say(`${id} is not confirmed as closed yet.`, "warning")
})

function sellable(books: Books, instrument: Instrument) {
  const position = books.positions.get(instrument.id)?.quantity ?? zero
  const side = isNegative(position) ? "buy" : "sell"
  const quantity = closableQuantity(books, instrument, side)
  return tradableQuantity(instrument, quantity, lastPaid(books, instrument))
}

/** Near enough to tell a position from dust; the books forget fills, and never what is held. */
function lastPaid({ fills, positions }: Books, { id }: Instrument) {
  const fill = fills.findLast((each) => each.instrument === id)
  const position = positions.get(id)
  const isHeld = position !== undefined && !isZero(position.quantity)
  return fill?.price ?? (isHeld ? averagePrice(position) : undefined)
}

/** What the venue itself says is still held of ours, dust aside. */
const heldAtVenue = Effect.fnUntraced(function* (
  { books }: State,
  instruments: ReadonlyArray<Instrument>,
  broker: Broker,
) {
  const balances = yield* broker.balances
  const account = books.accounts.get(broker.venue)
  return instruments.flatMap((instrument): ReadonlyArray<Held> => {
    const { base, id } = instrument
    const balance = balances.find(({ asset }) => asset === base)
    const total = balance === undefined ? zero : add(balance.free, balance.locked)
    // What the account held before Keel ever saw it is not ours to sell.
    const notOurs = larger(account?.opening.get(base) ?? zero, zero)
    const ours = subtract(total, notOurs)
    const quantity = tradableQuantity(instrument, ours, lastPaid(books, instrument))
    // Less than it began with is a short position only where we have gone short.
    const isOurs = isPositive(quantity) ||
      isNegative(quantity) && isNegative(books.positions.get(id)?.quantity ?? zero)
    return isOurs ? [{ id, text: `${formatDecimal(quantity)} ${base}` }] : []
  })
})
