/** Why nothing has started: one line for people. */
import { Schema } from "effect"

export class StartFailed extends Schema.TaggedError<StartFailed>()("StartFailed", {
  message: Schema.String,
}) {}

export function startFailed(error: { readonly message: string }): StartFailed {
  return new StartFailed({ message: error.message })
}
