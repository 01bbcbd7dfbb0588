/**
 * Every strategy by name. To add one: write its file, list it here.
 */
import { Effect, Schema } from "effect"
import type { InstrumentId } from "../domain/instrument.ts"
import type { RunningStrategy, Strategy } from "../domain/strategy.ts"
import { meanReversion } from "./mean_reversion.ts"
import { rsiMomentum } from "./rsi_momentum.ts"

/** A strategy with its types closed over: parameters come in as data and are checked here. */
export interface StrategyEntry {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly params: Schema.Codec<unknown, unknown>
  /** Each parameter with its default, for forms. */
  readonly settings: ReadonlyArray<Setting>
  /** Fails when the parameters are not what the strategy takes. */
  readonly start: (
    instrument: InstrumentId,
    params: unknown,
  ) => Effect.Effect<RunningStrategy, Schema.SchemaError>
}

export interface Setting {
  readonly name: string
  readonly description: string
  readonly default: string
}

export const strategies: ReadonlyMap<string, StrategyEntry> = new Map(
  [entry(rsiMomentum), entry(meanReversion)].map((each) => [each.name, each]),
)

function entry<Params, State>(strategy: Strategy<Params, State>): StrategyEntry {
  const decode = Schema.decodeUnknownEffect(strategy.params)
  return {
    name: strategy.name,
    title: strategy.title,
    description: strategy.description,
    params: strategy.params as Schema.Codec<unknown, unknown>,
    settings: settingsOf(strategy.params),
    start: (instrument, params) =>
      Effect.map(decode(params), (decoded) => running(strategy, instrument, decoded)),
  }
}

function running<Params, State>(
  strategy: Strategy<Params, State>,
  instrument: InstrumentId,
  params: Params,
): RunningStrategy {
  let state = strategy.init(instrument, params)
  return {
    warmUpBars: strategy.warmUpBars(params),
    step: (event) => {
      const [next, signals] = strategy.step(state, event, params)
      state = next
      return signals
    },
    indicators: () => strategy.indicators(state),
  }
}

/** Read from the schema itself: every parameter has a default, so nothing at all decodes. */
function settingsOf(params: Schema.Codec<unknown, unknown>): ReadonlyArray<Setting> {
  // Keys are described where they are decoded to; beside other rules the description is set apart.
  const document = Schema.toJsonSchemaDocument(Schema.toType(params))
  const properties = Object(document.schema.properties) as Record<string, Described>
  return Object.entries(Object(Schema.decodeUnknownSync(params)({}))).map(([name, value]) => {
    const told = [properties[name] ?? {}, ...(properties[name]?.allOf ?? [])]
    const description = told.find((each) => each.description !== undefined)?.description ?? ""
    return { name, description, default: String(value) }
  })
}

interface Described {
  readonly description?: string
  readonly allOf?: ReadonlyArray<Described>
}
