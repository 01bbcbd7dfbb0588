/**
 * One of several processes that want to own a journal. Says what it does as one JSON line each.
 *
 * `write FILE` takes the database over, whoever has it, and appends until it is refused; then it
 * tries everything else that a stubborn owner would. `contend FOLDER…` opens every folder at the
 * word `contend`, keeps what it wins, and closes it at the word `release`.
 */
import { writeSync } from "node:fs"
import { Effect, Exit, Scope } from "effect"
import { type EventStore, StoreError } from "../../storage/event_store.ts"
import { openKvEventStore, takeOver } from "../../storage/kv.ts"

/** Between two appends: a frozen process is then hardly ever inside a transaction of SQLite. */
const WRITE_EVERY_MS = 100
/** Of appends after the first refusal, each with the head as it is by then. */
const STUBBORN_APPENDS = 3

export type Line =
  | { readonly says: "ready" }
  | { readonly says: "owner"; readonly epoch: number; readonly head: number }
  | { readonly says: "kept"; readonly seq: number; readonly count: number }
  | { readonly says: "refused"; readonly what: string; readonly why: string; readonly by?: number }
  | { readonly says: "won"; readonly folder: string; readonly epoch: number }
  | { readonly says: "lost"; readonly folder: string; readonly why: string; readonly text: string }
  | { readonly says: "released" }

/** At once and whole: what was said before a kill has been said. */
function say(line: Line) {
  writeSync(1, new TextEncoder().encode(`${JSON.stringify(line)}\n`))
}

const appendOne = (store: EventStore, seq: number, event: unknown) =>
  store.append([{ seq, time: seq, epoch: store.epoch, event }])

function refused(what: string, { reason }: StoreError): Line {
  const by = reason._tag === "Fenced" ? { by: reason.by } : {}
  return { says: "refused", what, why: reason._tag, ...by }
}

const write = Effect.fn("write")(function* (file: string) {
  const kv = yield* Effect.acquireRelease(
    Effect.promise(() => Deno.openKv(file)),
    (kv) => Effect.sync(() => kv.close()),
  )
  const store = yield* takeOver(kv, file)
  const head = yield* store.head
  say({ says: "owner", epoch: store.epoch, head })
  for (let count = 1;; count++) {
    const seq = head + count
    const said = yield* appendOne(store, seq, { by: store.epoch, count }).pipe(
      Effect.match({
        onSuccess: (): Line => ({ says: "kept", seq, count }),
        onFailure: (error) => refused("append", error),
      }),
    )
    say(said)
    if (said.says !== "kept") break
    yield* Effect.sleep(WRITE_EVERY_MS)
  }
  for (let tried = 1; tried <= STUBBORN_APPENDS; tried++) {
    yield* store.head.pipe(
      Effect.flatMap((seq) => appendOne(store, seq + 1, { by: store.epoch, tried })),
      Effect.match({
        onSuccess: () => say({ says: "kept", seq: -1, count: -1 }),
        onFailure: (error) => say(refused("append", error)),
      }),
    )
  }
  yield* store.saveSnapshot(1, { by: store.epoch }).pipe(Effect.match({
    onSuccess: () => say({ says: "kept", seq: -1, count: -1 }),
    onFailure: (error) => say(refused("snapshot", error)),
  }))
}, Effect.scoped)

const contend = Effect.fn("contend")(
  function* (folder: string, scope: Scope.Scope) {
    const store = yield* openKvEventStore({ folder }).pipe(Scope.provide(scope))
    yield* appendOne(store, (yield* store.head) + 1, { pid: Deno.pid })
    say({ says: "won", folder, epoch: store.epoch })
  },
  (effect, folder) =>
    Effect.catch(
      effect,
      (error) =>
        Effect.sync(() =>
          say({ says: "lost", folder, why: error.reason._tag, text: error.message })
        ),
    ),
)

const contendWhenTold = Effect.fn("contendWhenTold")(function* (folders: ReadonlyArray<string>) {
  let scope = yield* Scope.make()
  const words = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader()
  say({ says: "ready" })
  while (true) {
    const { value: word } = yield* Effect.promise(() => words.read())
    if (word === undefined) break
    if (word === "contend\n") {
      yield* Effect.forEach(folders, (folder) => contend(folder, scope), {
        concurrency: "unbounded",
        discard: true,
      })
    } else {
      yield* Scope.close(scope, Exit.void)
      scope = yield* Scope.make()
      say({ says: "released" })
    }
  }
  yield* Scope.close(scope, Exit.void)
})

if (import.meta.main) {
  const [mode, ...places] = Deno.args
  const work = mode === "write" ? write(places[0] ?? "") : contendWhenTold(places)
  const failed = await Effect.runPromise(
    work.pipe(
      Effect.as(undefined),
      Effect.catch((error) => Effect.succeed(error)),
    ),
  )
  if (failed !== undefined) {
    say(refused("takeOver", failed))
    Deno.exit(1)
  }
}
