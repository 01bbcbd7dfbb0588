/**
 * Carries out what a person asks for.
 *
 * A command is refused at once or journaled and then acted on; what happens to it is journaled too,
 * step by step, and "flat" is said only when the venue has said it. Nothing here depends on whoever
 * asked still being there, nor on this actor staying up: what gets out of the market is taken up again
 * after a restart.
 *
 *     operator/refusal.ts    what is not done         operator/flatten.ts   out of the market
 *     operator/carry_out.ts  what is                  operator/holdings.ts  what is still held
 */
import { Effect } from "effect"
import type { Books, CommandState } from "../domain/books.ts"
import type { Command, CommandReceipt } from "../domain/command.ts"
import type { Event } from "../domain/event.ts"
import { catchUp, follow, keepUp, record } from "./journal.ts"
import { Operator, type OperatorMessage } from "./names.ts"
import { carryOut } from "./operator/carry_out.ts"
import { alertsAfter, venuesOf } from "./operator/flatten.ts"
import { refusalOf } from "./operator/refusal.ts"
import {
  type Context,
  finish,
  type OperatorOptions,
  step,
  type Task,
  waitUntil,
} from "./operator/task.ts"
import { behavior, type ReplyTo } from "./runtime/mod.ts"

export type { OperatorOptions } from "./operator/task.ts"

export function operator(options: OperatorOptions) {
  return behavior<Books, OperatorMessage>({
    name: Operator.id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: Effect.fn("Operator.init")(function* (actor: Context) {
      const books = yield* follow(actor)
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
        if (isAgain) actor.fork(resume({ command, books, options, actor }))
      }
      return books
    }),
    receive: (books, message, actor) => {
      switch (message._tag) {
        case "Recorded":
          keepUp(books, message.records)
          return books
        case "Submit":
          return Effect.as(
            submit({ command: message.command, books, options, actor }, message.reply),
            books,
          )
      }
    },
  })
}

const submit = Effect.fnUntraced(function* (task: Task, reply: ReplyTo<CommandReceipt>) {
  const { actor, books, command, options } = task
  const { commandId } = command
  // Judged by what whoever asks may have seen already.
  yield* catchUp(actor, books)
  const known = books.commands.get(commandId)
  if (known !== undefined) return reply.succeed({ commandId, seq: known.seq })
  const refusal = yield* refusalOf(command, books, options)
  if (refusal !== undefined) return reply.fail(refusal)
  yield* record(actor, books, [{ _tag: "CommandReceived", command }])
  reply.succeed({ commandId, seq: books.commands.get(commandId)?.seq ?? books.seq })
  actor.fork(begin(task))
})

function begin(task: Task) {
  const { books, command, options } = task
  return carryOut(task).pipe(
    Effect.catch((error) => {
      const text = `failed: ${error.message}`
      return finish(
        task,
        text,
        "error",
        alertsAfter(command, books, venuesOf(command, options), text),
      )
    }),
  )
}

/** What was on its way when the process ended comes into the books with the reconciliation. */
const resume = Effect.fnUntraced(function* (task: Task) {
  const { books, options } = task
  const isReconciled = () =>
    options.brokers.every(({ venue }) => books.accounts.get(venue)?.ready === true)
  // Without one it is tried all the same: being able to get out outranks knowing everything.
  yield* waitUntil(isReconciled, options)
  yield* begin(task)
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
