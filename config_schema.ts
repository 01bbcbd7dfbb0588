/**
 * The JSON Schema of `keel.json`, from which editors know what it may say.
 *
 * Run as a program it writes `keel.schema.json`. The schemas that read the file are the only source:
 * the parameters of each strategy come from the strategy.
 */
import { ConfigJson, fileName, type StrategyParams } from "./config.ts"
import { jsonSchemaOf } from "./config_problem.ts"
import { strategies } from "./strategies/mod.ts"

export const schemaFileName = "keel.schema.json"

export function configSchema(strategies: StrategyParams): unknown {
  const { properties = {}, ...top } = jsonSchemaOf(ConfigJson)
  const assignment = properties["strategies"]?.items ?? {}
  const paramsOf = [...strategies].map(([name, { params, description }]) => ({
    if: { properties: { strategy: { const: name } } },
    then: {
      properties: { params: { ...jsonSchemaOf(params), ...(description && { description }) } },
    },
  }))
  const items = {
    ...assignment,
    properties: {
      ...assignment.properties,
      strategy: { ...assignment.properties?.["strategy"], enum: [...strategies.keys()] },
    },
    allOf: paramsOf,
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: fileName,
    ...top,
    properties: { ...properties, strategies: { ...properties["strategies"], items } },
  }
}

if (import.meta.main) {
  const text = `${JSON.stringify(configSchema(strategies), null, 2)}\n`
  await Deno.writeTextFile(new URL(schemaFileName, import.meta.url), text)
}
