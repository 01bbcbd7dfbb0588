/**
 * Bans of a venue in a small file, so that a process that restarts inside one stays silent.
 *
 * The file is replaced as a whole, by renaming, and is synced before: after a crash it holds the old
 * list or the new one. A file that is damaged is an error for people, not an empty list.
 */
import { dirname } from "node:path"
import { Effect, Schema } from "effect"
import { Ban, type BanStore } from "../venues/governor.ts"
import { Corrupt, StoreError } from "./event_store.ts"
import { attempt } from "./kv_file.ts"

const Bans = Schema.fromJsonString(Schema.Array(Ban))
const decode = Schema.decodeUnknownOption(Bans)
const encode = Schema.encodeSync(Bans)

/** A missing file is no ban. */
export function banFile(path: string): BanStore {
  return {
    load: Effect.gen(function* () {
      const text = yield* attempt(path, () => read(path))
      if (text === undefined) return []
      const bans = decode(text)
      if (bans._tag === "Some") return bans.value
      const reason = new Corrupt({ detail: "it is not a list of bans" })
      return yield* new StoreError({ place: path, reason })
    }),
    save: (bans) => attempt(path, () => replace(path, encode(bans))),
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path)
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined
    throw error
  }
}

async function replace(path: string, text: string): Promise<void> {
  const draft = `${path}.new`
  await Deno.mkdir(dirname(path), { recursive: true })
  const options = { write: true, create: true, truncate: true, mode: 0o600 } as const
  {
    using file = await Deno.open(draft, options)
    for (let rest = new TextEncoder().encode(text); rest.length > 0;) {
      rest = rest.subarray(await file.write(rest))
    }
    await file.sync()
  }
  await Deno.rename(draft, path)
}
