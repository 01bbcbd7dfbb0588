/** What each command does, once it has been taken. */
import { Effect } from "effect"
import { openOrders } from "../../domain/books.ts"
import type { Command } from "../../domain/command.ts"
import { add } from "../../domain/decimal.ts"
import type { Event } from "../../domain/event.ts"
import { venueOf } from "../../domain/instrument.ts"
import { isOpen } from "../../domain/order.ts"
import { type Assignment, assignmentId } from "../../domain/strategy.ts"
import { catchUp, record } from "../journal.ts"
import { executorOf } from "../names.ts"
import { closeAll } from "./flatten.ts"
import { finish, type OperatorOptions, step, type Task, waitUntil } from "./task.ts"

export const carryOut = Effect.fnUntraced(function* (task: Task) {
  const { command, options } = task
  const { scope, type } = command
  const id = scope.id ?? ""
  const done = (text: string, ...events: ReadonlyArray<Event>) =>
    finish(task, text, "confirmed", events)
  switch (type) {
    case "pause":
      return yield* scope.kind === "all"
        ? done("Paused.", halt(`paused by the operator${command.note ? `: ${command.note}` : ""}`))
        : done(`${id} is paused.`, ...controls(command, "hold", options))
    case "resume":
      return yield* scope.kind === "all"
        ? done("Trading.", {
          _tag: "TradingStateChanged",
          state: "active",
          reason: "",
          by: "operator",
        })
        : done(`${id} trades again.`, ...controls(command, "auto", options))
    case "override_position": {
      const control = command.control ?? "hold"
      return yield* done(`${id}: ${control}.`, ...controls(command, control, options))
    }
    case "cancel_order":
      return yield* cancelOrder(task)
    case "close_position":
      return yield* closeAll(task, [id])
    case "flatten":
      return yield* flatten(task)
    case "swap_strategy":
      return yield* swap(task)
    case "accept_balances":
      return yield* acceptBalances(task)
    case "restart_actor": {
      const system = options.system()
      if (system === undefined) return yield* finish(task, "The tree is not up yet.", "error")
      yield* system.restartChild(id)
      return yield* done(`${id} restarted.`)
    }
    case "crash_actor": {
      const crashed = options.system()?.crash(id, "crashed on purpose by the operator") ?? false
      return yield* crashed ? done(`${id} crashed.`) : finish(task, `${id} does not run.`, "error")
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

const flatten = Effect.fnUntraced(function* (task: Task) {
  const { actor, books, command, options } = task
  const { commandId, scope } = command
  const isAll = scope.kind === "all"
  yield* record(
    actor,
    books,
    isAll
      ? [halt("flattened by the operator"), step(commandId, "Trading is halted.", "plain")]
      // The other accounts go on.
      : [
        ...controls(command, "hold", options),
        step(commandId, `Trading at ${scope.id} is paused.`, "plain"),
      ],
  )
  const ids = new Set([...options.instruments.map(({ id }) => id), ...books.positions.keys()])
  yield* closeAll(task, [...ids].filter((id) => isAll || venueOf(id) === scope.id))
})

const swap = Effect.fnUntraced(function* (task: Task) {
  const { books, command } = task
  const from = command.scope.id ?? ""
  const before = books.assignments.get(from)
  if (before === undefined || command.strategy === undefined) {
    return yield* finish(task, `${from} is not assigned any more.`, "error")
  }
  const to: Assignment = {
    ...before,
    id: assignmentId(command.strategy, before.instrument),
    strategy: command.strategy,
    params: command.params ?? {},
  }
  yield* finish(task, `${to.id} takes over from ${from}.`, "confirmed", [
    { _tag: "StrategySwapped", from, to, by: "operator" },
  ])
})

/** From here on the venue's balances are what we expect; the next reconciliation agrees or says why. */
const acceptBalances = Effect.fnUntraced(function* (task: Task) {
  const { actor, books, command, options } = task
  const broker = options.brokers.find(({ venue }) => venue === command.scope.id)
  if (broker === undefined) return yield* finish(task, "There is no such account.", "error")
  const { venue } = broker
  const before = books.accounts.get(venue)?.moved
  const balances = yield* broker.balances
  yield* catchUp(actor, books)
  const isMoving = openOrders(books).some((order) => order.venue === venue) ||
    books.accounts.get(venue)?.moved !== before
  if (isMoving) return yield* finish(task, "An order came in between: try again.", "error")
  yield* finish(task, `The balances of ${venue} are accepted.`, "confirmed", [{
    _tag: "AccountBaselineChanged",
    venue,
    balances: balances.map(({ asset, free, locked }) => ({ asset, quantity: add(free, locked) })),
    by: "operator",
  }])
})

const cancelOrder = Effect.fnUntraced(function* (task: Task) {
  const { actor, books, command, options } = task
  const id = command.scope.id ?? ""
  const order = books.orders.get(id)
  if (order === undefined) return yield* finish(task, `Order ${id} has ended long ago.`, "error")
  actor.ref(executorOf(order.venue)).signal({ _tag: "Cancel", clientOrderId: id, by: "operator" })
  const isDone = () => {
    const now = books.orders.get(id)
    return now === undefined || !isOpen(now)
  }
  const confirmed = yield* waitUntil(isDone, options)
  const status = books.orders.get(id)?.status ?? "unknown"
  yield* confirmed
    ? finish(task, `The venue confirms: ${id} is ${status}.`, "confirmed")
    : finish(task, `No confirmation yet: ${id} is ${status}.`, "warning")
})
