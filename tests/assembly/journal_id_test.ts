import assert from "node:assert/strict"
import { Effect, Random } from "effect"
import { newJournalId } from "../../assembly/journal_id.ts"

Deno.test("a journal's id has eight letters and digits, and a seed gives the same one", async () => {
  const ids = (seed: string) =>
    Effect.runPromise(
      Effect.replicateEffect(newJournalId, 1_000).pipe(Random.withSeed(seed)),
    )
  const some = await ids("a")
  assert.deepEqual(some.filter((id) => !/^[a-z0-9]{8}$/.test(id)), [])
  assert.equal(new Set(some).size, some.length)
  assert.deepEqual(await ids("a"), some)
})
