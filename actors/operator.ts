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
import type { Event } from "../domain/event.ts"
import {
  type Instrument,
  type InstrumentId,
  tradableQuantity,
  venueOf,
} from "../domain/instrument.ts"
import { isOpen } from "../domain/order.ts"
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
/** The alert of a flatten that did not end flat; the next one that does resolves it. */
const FLATTEN = "flatten"
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
      record(actor, books, ended(command, books, `failed: ${error.message}`, "error"))
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
function isOverruled({ command, seq }: CommandState, books: Books): boolean {
  return command.type === "flatten" &&
    [...books.commands.values()].some((later) =>
      later.seq > seq && later.command.type === "resume" && later.command.scope.kind === "all"
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

/** The last word about a command. A flatten that did not end flat is everybody's business. */
function ended(
  { commandId, type }: Command,
  books: Books,
  text: string,
  tone: Tone,
): ReadonlyArray<Event> {
  const end = step(commandId, text, tone, true)
  if (type !== "flatten") return [end]
  if (tone !== "confirmed") {
    const title = "A flatten did not end flat"
    return [{ _tag: "AlertRaised", id: FLATTEN, severity: "critical", title, detail: text }, end]
  }
  const alert = books.alerts.get(FLATTEN)
  const isRaised = alert !== undefined && alert.resolvedAt === undefined
  return isRaised ? [{ _tag: "AlertResolved", id: FLATTEN }, end] : [end]
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
  pause: ["all", "instrument", "position"],
  resume: ["all", "instrument", "position"],
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
        : done([{
          _tag: "PositionControlChanged",
          instrument: id,
          control: "hold",
          by: "operator",
        }], `${id} is paused.`)
    case "resume":
      return yield* scope.kind === "all"
        ? done(
          [{ _tag: "TradingStateChanged", state: "active", reason: "", by: "operator" }],
          "Trading.",
        )
        : done([{
          _tag: "PositionControlChanged",
          instrument: id,
          control: "auto",
          by: "operator",
        }], `${id} trades again.`)
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
      yield* record(actor, books, [
        halt("flattened by the operator"),
        step(commandId, "Trading is halted.", "plain"),
      ])
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

/**
 * Cancel, confirm, close, confirm: in rounds, because a fill may be on its way while we look. The
 * last word is the venue's own balances.
 */
const closeAll = Effect.fnUntraced(function* (
  command: Command,
  state: State,
  ids: ReadonlyArray<InstrumentId>,
  options: OperatorOptions,
  actor: Context,
) {
  const { books } = state
  const say = (text: string, tone: Tone) =>
    record(actor, books, [step(command.commandId, text, tone)])
  const end = (text: string, tone: Tone) => record(actor, books, ended(command, books, text, tone))
  const instruments = options.instruments.filter(({ id }) => ids.includes(id))
  for (let round = 1; round <= ROUNDS; round++) {
    yield* cancelOpen(state, ids, say, options, actor)
    // Side by side: one that does not close must not keep the others open.
    yield* Effect.forEach(
      instruments.filter((each) => !isZero(sellable(books, each))),
      (each) =>
        closeOne(state, each, command.type, say, options, actor).pipe(
          Effect.catch((error) => say(`${each.id} is not closed: ${error.message}`, "error")),
        ),
      { concurrency: "unbounded", discard: true },
    )
    const left = yield* Effect.result(heldAtVenue(state, instruments, options))
    const trouble = Result.isFailure(left)
      ? `the venue does not confirm it (${left.failure.message})`
      : notFlat(books, ids, instruments, left.success)
    if (trouble === undefined) {
      const what = ids.length === 1 ? `${ids[0]} is flat` : "Flat"
      return yield* end(`${what}: confirmed by the venue.`, "confirmed")
    }
    const isLast = round === ROUNDS
    yield* isLast
      ? end(`NOT flat: ${trouble}. Look at the positions.`, "error")
      : say(`Not flat yet: ${trouble}.`, "warning")
    if (!isLast) yield* Effect.sleep(options.confirmTimeoutMs / ROUNDS)
  }
})

/**
 * Why it cannot be called flat: what the venue holds, what our books hold though the venue's balance
 * does not show it, and what may still be filled. Undefined when there is nothing.
 */
function notFlat(
  books: Books,
  ids: ReadonlyArray<InstrumentId>,
  instruments: ReadonlyArray<Instrument>,
  atVenue: ReadonlyArray<string>,
): string | undefined {
  const inBooks = instruments.filter((each) =>
    !isZero(sellable(books, each)) && !atVenue.some((held) => held.endsWith(` ${each.base}`))
  )
  const orphans = [...books.positions.values()].filter(({ instrument, quantity }) =>
    ids.includes(instrument) && !isZero(quantity) &&
    !instruments.some(({ id }) => id === instrument)
  )
  const held = [
    ...atVenue,
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
  { books }: State,
  ids: ReadonlyArray<InstrumentId>,
  say: Say,
  options: OperatorOptions,
  actor: Context,
) {
  const open = () => openOrders(books).filter((order) => ids.includes(order.instrument))
  const orders = open()
  if (orders.length === 0) return
  for (const { clientOrderId, venue } of orders) {
    actor.ref(executorOf(venue)).signal({ _tag: "Cancel", clientOrderId, by: "operator" })
  }
  yield* say(`Cancelling ${orders.length} open orders.`, "plain")
  const confirmed = yield* waitUntil(() => open().length === 0, options)
  yield* confirmed
    ? say(`The venue confirms: no order is open.`, "confirmed")
    : say(`${open().length} orders are not confirmed as cancelled.`, "warning")
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
  const confirmed = yield* waitUntil(() => isZero(sellable(books, instrument)), options)
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

/** Near enough to tell a position from dust: every position began with a fill. */
function lastPaid(books: Books, { id }: Instrument) {
  return books.fills.findLast((each) => each.instrument === id)?.price
}

/** What the venue itself says is still held of ours, dust aside; as `0.4 BTC`. */
const heldAtVenue = Effect.fnUntraced(function* (
  { books }: State,
  instruments: ReadonlyArray<Instrument>,
  { brokers }: OperatorOptions,
) {
  const held: Array<string> = []
  for (const broker of brokers) {
    const balances = yield* broker.balances
    const account = books.accounts.get(broker.venue)
    for (const instrument of instruments.filter(({ venue }) => venue === broker.venue)) {
      const balance = balances.find(({ asset }) => asset === instrument.base)
      const total = balance === undefined ? zero : add(balance.free, balance.locked)
      // What the account held before Keel ever saw it is not ours to sell.
      const notOurs = larger(account?.opening.get(instrument.base) ?? zero, zero)
      const ours = subtract(total, notOurs)
      const quantity = tradableQuantity(instrument, ours, lastPaid(books, instrument))
      if (isPositive(quantity)) held.push(`${formatDecimal(quantity)} ${instrument.base}`)
    }
  }
  return held
})
