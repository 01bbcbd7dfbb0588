/**
 * The program: reads the command line, runs Keel until it is told to stop, and ends with a code.
 *
 * How it is put together is in `assembly/`.
 */
import { Effect } from "effect"
import { type Keel, secretSource, startKeel } from "./assembly/start.ts"
import { answer, readStart } from "./cli.ts"
import { secretTexts } from "./keys.ts"
import { layerLog, logOptions } from "./log.ts"
import type { ReplaySummary } from "./venues/simulator/binance.ts"

async function main(): Promise<number> {
  const { options } = answer(readStart(Deno.args, (name) => Deno.env.get(name)))
  const stop = Promise.withResolvers<string>()
  // Until it has started, which may take as long as a venue keeps silent, it is just given up.
  const start = new AbortController()
  let hasStarted = false
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => hasStarted ? stop.resolve(signal) : start.abort())
  }
  const program = Effect.gen(function* () {
    const keel = yield* startKeel(options)
    hasStarted = true
    const told = Effect.promise(() => stop.promise)
    const play = keel.play === undefined
      ? Effect.void
      : Effect.flatMap(keel.play, (summary) =>
        Effect.sync(() => console.log(replayLine(keel, summary))))
    yield* Effect.forkScoped(Effect.catch(play, (error) =>
      Effect.sync(() => {
        console.error(`keel: ${error.message}`)
        stop.resolve("failed")
      })))
    yield* Effect.forkScoped(
      Effect.andThen(
        keel.ready,
        Effect.sync(() => console.log(`keel ready url=${keel.url} mode=${keel.mode}`)),
      ),
    )
    const ended = Effect.map(keel.system.ended, ({ cause, reason }) => `failed: ${cause ?? reason}`)
    const reason = yield* Effect.raceFirst(told, ended)
    if (reason.startsWith("SIG")) yield* keel.farewell(reason)
    else console.error(`keel: stopped, ${reason}`)
    return reason.startsWith("SIG") ? 0 : 1
  })
  const run = Effect.runPromise(
    Effect.scoped(program).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          console.error(`keel: ${error.message}`)
          return 1
        })
      ),
      Effect.provide(layerLog(logOptions(options.logLevel, secretTexts(secretSource)))),
    ),
    { signal: start.signal },
  )
  return await run.catch((error) => {
    if (start.signal.aborted) return 0
    throw error
  })
}

function replayLine(keel: Keel, summary: ReplaySummary): string {
  const trades = Object.entries(summary.trades).map(([symbol, { sent, lastTradeId }]) =>
    `${symbol}=${sent} last=${lastTradeId}`
  )
  const { equity } = keel.model.overview()
  return `keel replay finished events=${summary.events} trades ${trades.join(" ")} ` +
    `orders=${keel.model.books.intents.get("binance") ?? 0} equity=${equity.total}`
}

if (import.meta.main) Deno.exit(await main())
