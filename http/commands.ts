/**
 * From what was sent to a `Command`, or to a sentence that says what is wrong with it.
 *
 * JSON of scripts and forms of the pages meet in the same Schema. A message never repeats what was
 * sent: it may be shown on a page, or written to a log.
 */
import { Schema } from "effect"
import { Command, commandTypes } from "../domain/command.ts"

export type Decoded =
  | { readonly _tag: "Command"; readonly command: Command }
  | { readonly _tag: "Malformed"; readonly message: string }

const validator = Schema.toStandardSchemaV1(Command, { parseOptions: { errors: "all" } })

/** What each field must be, for people. */
const expected: Readonly<Record<string, string>> = {
  commandId: "commandId must be 1 to 64 characters of A-Z a-z 0-9 _ -",
  type: `type must be one of ${commandTypes.join(", ")}`,
  scope: "scope must be { kind: all, account, strategy, instrument, position or order, id? } " +
    "with an id of at most 120 characters",
  control: "control must be auto or hold",
  strategy: "strategy must be a name of at most 60 characters",
  params: "params must be an object",
  note: "note must be text of at most 500 characters",
}

export function decodeCommand(input: unknown): Decoded {
  const result = validator["~standard"].validate(input)
  if (result instanceof Promise) throw new Error("the schema of a command is not asynchronous")
  if (!result.issues) return withItsParts(result.value)
  const fields = new Set(result.issues.map(({ path }) => fieldOf(path?.[0])))
  const complaints = [...fields].map((field) => expected[field] ?? "a command must be an object")
  return { _tag: "Malformed", message: complaints.join("; ") }
}

function fieldOf(step: PropertyKey | { readonly key: PropertyKey } | undefined): string {
  return String(typeof step === "object" ? step.key : step)
}

/** Parts that only some types need. */
function withItsParts(command: Command): Decoded {
  const { type, scope } = command
  if (type === "override_position" && command.control === undefined) {
    return { _tag: "Malformed", message: "override_position needs control: auto or hold" }
  }
  if (type === "swap_strategy" && command.strategy === undefined) {
    return { _tag: "Malformed", message: "swap_strategy needs strategy: the name of the new one" }
  }
  if (scope.kind !== "all" && scope.id === undefined) {
    return { _tag: "Malformed", message: `a scope of kind ${scope.kind} needs an id` }
  }
  return { _tag: "Command", command }
}

export type Fields = Readonly<Record<string, string>>

/**
 * The command of a form. Several buttons share a form and its id, so what was pressed becomes part
 * of the id: the same press twice is one command, two different presses are two.
 */
export function commandOf(
  fields: Fields,
  parts: Omit<Command, "commandId">,
): Decoded {
  const digest = fnv1a(JSON.stringify(parts))
  return decodeCommand({
    ...parts,
    commandId: `${(fields.commandId ?? "").slice(0, 55)}-${digest}`,
  })
}

/** `param:rsi_momentum:period=14` of the chosen strategy, as JSON where it is JSON. */
export function paramsOf(fields: Fields): Record<string, unknown> {
  const prefix = `param:${fields.strategy}:`
  const mine = Object.entries(fields).filter(([name]) => name.startsWith(prefix))
  return Object.fromEntries(mine.map(([name, text]) => [name.slice(prefix.length), scalar(text)]))
}

/** `14` is a number and `true` a boolean; decimals that must stay exact are text in the schema. */
function scalar(text: string): unknown {
  const trimmed = text.trim()
  if (/^-?\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed)
  return trimmed === "true" ? true : trimmed === "false" ? false : trimmed
}

/** Not a secret and not a proof: it only keeps different presses apart. */
function fnv1a(text: string): string {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, "0")
}
