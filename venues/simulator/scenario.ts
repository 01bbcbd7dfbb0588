/**
 * A scenario: the faults a venue starts with, read from a file.
 *
 * `{ "seed": 7, "faults": [{ "kind": "outage", "fromMs": 60000, "ms": 8000 }] }`. A seed
 * given here is the markets', and the faults' where they name none. A fault may say at
 * which `venue`; Binance is meant where it does not.
 */
import { Effect, Schema } from "effect"
import {
  ConnectionFault,
  type Fault,
  FrameFault,
  LoginFault,
  RequestFault,
  UpgradeFault,
  VenueFault,
} from "./fault.ts"

export const VENUES = ["binance", "alpaca"] as const
export type VenueName = typeof VENUES[number]

export interface Scenario {
  readonly seed?: number
  readonly faults: Readonly<Record<VenueName, ReadonlyArray<Fault>>>
}

export const NOTHING_WRONG: Scenario = { faults: { binance: [], alpaca: [] } }

export class ScenarioError extends Schema.TaggedError<ScenarioError>()("ScenarioError", {
  text: Schema.String,
}) {
  override get message() {
    return this.text
  }
}

const Kind = Schema.Struct({ kind: Schema.String })
const FAULTS = [
  ...RequestFault.members,
  ...UpgradeFault.members,
  ...LoginFault.members,
  ...FrameFault.members,
  ...ConnectionFault.members,
  ...VenueFault.members,
]
const decoder = (schema: Schema.Decoder<Fault>) =>
  Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })
const DECODERS = new Map<string, ReturnType<typeof decoder>>(
  FAULTS.map((schema) => [schema.fields.kind.literal, decoder(schema)]),
)

/** A fault from outside; its complaint names the field, not the whole list of faults. */
export const decodeFault = Effect.fn("Scenario.decodeFault")(function* (
  value: unknown,
  where: string,
) {
  const kind = Schema.is(Kind)(value) ? value.kind : undefined
  const decode = kind === undefined ? undefined : DECODERS.get(kind)
  if (decode === undefined) {
    const known = [...DECODERS.keys()].join(", ")
    return yield* new ScenarioError({
      text: `${where}.kind must be one of ${known}, got ${JSON.stringify(kind ?? null)}`,
    })
  }
  return yield* decode(value).pipe(
    Effect.mapError((error) => new ScenarioError({ text: `${where}: ${oneLine(error.message)}` })),
  )
})

const Addressed = Schema.Struct({ venue: Schema.optionalKey(Schema.Unknown) })

/** A fault from outside with the venue it is for. */
export const decodeAddressed = Effect.fn("Scenario.decodeAddressed")(function* (
  value: unknown,
  where: string,
) {
  if (!Schema.is(Addressed)(value)) {
    return { venue: VENUES[0], fault: yield* decodeFault(value, where) }
  }
  const { venue: named = VENUES[0], ...rest } = value
  const venue = VENUES.find((one) => one === named)
  if (venue === undefined) {
    const text = `${where}.venue must be one of ${VENUES.join(", ")}, got ${JSON.stringify(named)}`
    return yield* new ScenarioError({ text })
  }
  return { venue, fault: yield* decodeFault(rest, where) }
})

/** The scenario in the file at `path`. */
export const readScenario = Effect.fn("Scenario.read")(function* (
  path: string,
): Effect.fn.Return<Scenario, ScenarioError> {
  const text = yield* Effect.tryPromise({
    try: () => Deno.readTextFile(path),
    catch: (cause) =>
      new ScenarioError({
        text: cause instanceof Deno.errors.NotFound
          ? `${path}: no such file`
          : `${path}: cannot be read`,
      }),
  })
  const json = yield* Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (cause) =>
      new ScenarioError({ text: `${path}: not valid JSON: ${oneLine(String(cause))}` }),
  })
  const outline = yield* Schema.decodeUnknownEffect(
    Schema.Struct({
      seed: Schema.optionalKey(Schema.Int),
      faults: Schema.optionalKey(Schema.Array(Schema.Unknown)),
    }),
    { onExcessProperty: "error" },
  )(json).pipe(
    Effect.mapError((error) => new ScenarioError({ text: `${path}: ${oneLine(error.message)}` })),
  )
  const faults = { binance: new Array<Fault>(), alpaca: new Array<Fault>() }
  for (const [index, value] of (outline.faults ?? []).entries()) {
    const { venue, fault } = yield* decodeAddressed(value, `${path}: faults[${index}]`)
    faults[venue].push(outline.seed === undefined ? fault : { seed: outline.seed, ...fault })
  }
  return { ...outline, faults }
})

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").trim()
}
