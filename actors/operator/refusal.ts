/** What is refused at once, and why: it has not happened, and nothing of it is journaled. */
import { Effect } from "effect"
import { type Books, openOrders } from "../../domain/books.ts"
import { type Command, CommandRefused, type CommandScope } from "../../domain/command.ts"
import { isZero } from "../../domain/decimal.ts"
import { isOpen } from "../../domain/order.ts"
import { assignmentId } from "../../domain/strategy.ts"
import type { OperatorOptions } from "./task.ts"

export const refusalOf = Effect.fnUntraced(function* (
  { type, scope, strategy, params, control }: Command,
  books: Books,
  options: OperatorOptions,
) {
  const id = scope.id ?? ""
  // An id that is looked up in the wrong place could be found there.
  if (!kinds[type].includes(scope.kind)) {
    const more = type === "flatten" ? "; close_position closes one" : ""
    return refused(422, `${type} takes the scope ${kinds[type].join(" or ")}${more}`)
  }
  switch (type) {
    case "pause":
    case "resume":
      if (scope.kind === "all") return undefined
      return scope.kind === "account" ? unknownVenue(id, options) : unknownInstrument(id, options)
    case "flatten":
      return scope.kind === "all" ? undefined : unknownVenue(id, options)
    case "close_position": {
      const position = books.positions.get(id)
      return position === undefined || isZero(position.quantity)
        ? refused(404, `there is no position in ${id}`)
        : undefined
    }
    case "override_position":
      if (control === undefined) return refused(422, "control must be auto or hold")
      return unknownInstrument(id, options)
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
      const unknown = unknownVenue(id, options)
      if (unknown !== undefined) return unknown
      if (!books.accounts.has(id)) return refused(409, `the account at ${id} was never seen yet`)
      const open = openOrders(books).find(({ venue }) => venue === id)
      return open === undefined
        ? undefined
        : refused(409, `order ${open.clientOrderId} is open: what it moves is not known yet`)
    }
    case "restart_actor":
      return unknownActor(id, options)
    case "crash_actor":
      if (!options.mayCrash) return refused(409, "actors are crashed on purpose in sim mode only")
      return unknownActor(id, options)
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

function refused(status: 404 | 409 | 422, message: string) {
  return new CommandRefused({ status, message })
}

/** Or one that has not answered since the start. */
function unknownVenue(venue: string, { brokers }: OperatorOptions) {
  return brokers.some((each) => each.venue === venue)
    ? undefined
    : refused(404, `there is no account at ${venue}`)
}

function unknownInstrument(id: string, { instruments }: OperatorOptions) {
  return instruments.some((each) => each.id === id)
    ? undefined
    : refused(404, `there is no instrument ${id}`)
}

/** The root is none: nobody is left to start it again. */
function unknownActor(path: string, { system }: OperatorOptions) {
  const at = path.lastIndexOf("/")
  const siblings = system()?.whichChildren(path.slice(0, Math.max(at, 0))) ?? []
  return siblings.some(({ name }) => name === path.slice(at + 1))
    ? undefined
    : refused(404, `there is no actor ${path}`)
}
