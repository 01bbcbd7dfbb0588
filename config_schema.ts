/** Writes `keel.schema.json`, from which editors know what `keel.json` may say. */
import { configSchema, schemaFileName } from "./config.ts"
import { strategies } from "./strategies/mod.ts"

const text = `${JSON.stringify(configSchema(strategies), null, 2)}\n`
await Deno.writeTextFile(new URL(schemaFileName, import.meta.url), text)
