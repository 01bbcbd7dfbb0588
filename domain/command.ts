/**
 * What an operator may ask for.
 *
 * A command is journaled before it acts and is idempotent by its id: sent twice it acts once, and
 * the second answer is the first. What it may not do is bypass the order path.
 */
import { Schema } from "effect"

export const CommandScope = Schema.Struct({
  kind: Schema.Literals(["all", "account", "strategy", "instrument", "position", "order"]),
  /** Venue, runner id, instrument id or client order id, as `kind` says; absent for `all`. */
  id: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(120))),
})
export type CommandScope = typeof CommandScope.Type

export const CommandId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]{1,64}$/, {
    expected: "1 to 64 characters of A-Z a-z 0-9 _ -",
  }),
)

export const commandTypes = [
  "pause",
  "resume",
  "flatten",
  "close_position",
  "override_position",
  "cancel_order",
  "swap_strategy",
  "accept_balances",
  "restart_actor",
  "crash_actor",
] as const

export const Command = Schema.Struct({
  commandId: CommandId,
  type: Schema.Literals(commandTypes),
  scope: CommandScope,
  /** `override_position`: hands off, or back to the strategy. */
  control: Schema.optionalKey(Schema.Literals(["auto", "hold"])),
  /** `swap_strategy`: the strategy that takes over, and its parameters. */
  strategy: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(60))),
  params: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  /** Why, in the operator's words; journaled. */
  note: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(500))),
})
export type Command = typeof Command.Type

/** 202: taken and journaled as event `seq`. It says nothing about the outcome. */
export interface CommandReceipt {
  readonly commandId: string
  readonly seq: number
}

/** One line of what happened to a command; `final` ends it. Only what the venue has confirmed is `confirmed`. */
export interface CommandProgress {
  readonly commandId: string
  readonly time: number
  readonly text: string
  readonly tone: "plain" | "confirmed" | "warning" | "error"
  readonly final: boolean
}

/** Not done, and it will not be: nothing was journaled. The message is shown to people as it is. */
export class CommandRefused extends Schema.TaggedError<CommandRefused>()("CommandRefused", {
  message: Schema.String,
  /** 404: no such thing. 409: not now. 422: not like this. */
  status: Schema.Literals([404, 409, 422]),
}) {}
