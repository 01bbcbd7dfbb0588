/** Appends to the journal of a folder until it has `count` events, saying each head it has kept. */
import { writeSync } from "node:fs"
import { Effect } from "effect"
import { openKvEventStore } from "../../storage/kv.ts"

const [folder = "", count = "0"] = Deno.args

const write = Effect.gen(function* () {
  const store = yield* openKvEventStore({ folder })
  let head = yield* store.head
  while (head < Number(count)) {
    const records = Array.from({ length: 1 + head % 7 }, (_, index) => ({
      seq: head + index + 1,
      time: head,
      epoch: store.epoch,
      event: { text: "x".repeat(head % 300) },
    }))
    yield* store.append(records)
    head += records.length
    writeSync(1, `${head}\n`)
    if (head % 50 < 7) yield* store.saveSnapshot(head, "y".repeat(70_000))
  }
})

const failed = await Effect.runPromise(
  Effect.scoped(write).pipe(Effect.as(""), Effect.catch((error) => Effect.succeed(error.message))),
)
if (failed !== "") {
  console.error(failed)
  Deno.exit(1)
}
