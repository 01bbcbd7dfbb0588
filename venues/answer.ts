/**
 * Answers to requests, as far as venues do not differ: read by a schema, or a failure.
 *
 * Whatever is told of a failure goes into logs and the journal. So it is cut to what is worth
 * keeping, and holds no key: an error from below may quote the address that it asked, signature
 * included, and a proxy may send back what it was sent.
 */
import { Effect, Result, Schema } from "effect"
import { oneLine } from "./decoding.ts"
import { Faulty, Forbidden, Unreachable, VenueError, type VenueFailure } from "./market_data.ts"

/** Characters of the venue's own words that are worth keeping. */
export const TEXT_MAX = 500

/** The venue's own refusal; the code is 0 where it gave none. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.Int,
  text: Schema.String,
  status: Schema.Int,
  /** What the venue adds to some refusals. */
  data: Schema.optionalKey(Schema.Unknown),
}) {}

/** Of a failure as the port knows it; `meaning` is what a refusal means for who wants to try again. */
export function venueErrors(venue: string, meaning: (refused: Refused) => VenueFailure) {
  return (doing: string) => (failure: Refused | VenueFailure): VenueError =>
    new VenueError({
      venue,
      doing,
      reason: failure._tag === "Refused" ? meaning(failure) : failure,
    })
}

/** Reads what `parse` has made of an answer; one that does not fit is no answer. */
export function answerReader<T>(
  parse: (answer: T) => Result.Result<unknown, Error>,
  secrets: ReadonlyArray<string>,
) {
  return <A>(schema: Schema.Codec<A, unknown>) => {
    const decode = Schema.decodeUnknownResult(schema)
    return (answer: T): Effect.Effect<A, Faulty> => {
      const result = Result.flatMap(parse(answer), decode)
      if (Result.isSuccess(result)) return Effect.succeed(result.success)
      const problem = oneLine(clean(result.failure.message, secrets))
      return Effect.fail(new Faulty({ detail: `an answer that makes no sense: ${problem}` }))
    }
  }
}

export function withoutSecrets<A extends Refused | VenueFailure>(
  failure: A,
  secrets: ReadonlyArray<string>,
) {
  const kept = (text: string) => clean(text, secrets).slice(0, TEXT_MAX)
  switch (failure._tag) {
    case "Refused":
      return new Refused({ ...failure, text: kept(failure.text) })
    case "Unreachable":
      return new Unreachable({ detail: kept(failure.detail) })
    case "Forbidden":
      return new Forbidden({ detail: kept(failure.detail) })
    case "Faulty":
      return new Faulty({ detail: kept(failure.detail) })
    default:
      return failure
  }
}

/** Of the whole text, before it is cut: half a secret would not be found. */
function clean(text: string, secrets: ReadonlyArray<string>): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text)
    .replaceAll(/signature=[^&\s"')]*/giu, "signature=***")
}
