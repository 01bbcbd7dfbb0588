/**
 * A simulated venue whose dead sessions are forgotten sooner, or later, than the task's.
 *
 * Alpaca keeps the only place of a stream for a session that ended uncleanly, by all that is known
 * for 90 s; a test that is about something else need not wait so long. Prints one JSON line with the
 * addresses, as `deno task venue` does, and runs until it is killed.
 *
 *   outage_venue.ts SEED SLOT_HELD_MS
 */
import { Effect } from "effect"
import { startSimulatedAlpaca } from "../../venues/simulator/alpaca/mod.ts"
import { makeMemoryAlpacaLedger } from "../../venues/simulator/alpaca/ledger.ts"
import { startControl } from "../../venues/simulator/control.ts"

const run = Effect.fn("run")(function* (seed: number, slotHeldMs: number) {
  const host = "127.0.0.1"
  const alpaca = yield* startSimulatedAlpaca({
    ...{ host, port: 0, key: "simulated-key", secret: "simulated-secret", slotHeldMs },
    ledger: makeMemoryAlpacaLedger(),
    market: { kind: "synthetic", seed },
  })
  const control = yield* startControl({ host, port: 0 }, { alpaca })
  const { endpoints, key, secret } = alpaca
  console.log(JSON.stringify({ alpaca: { ...endpoints, key, secret }, control }))
  return yield* Effect.never
})

const [seed, slotHeldMs] = Deno.args.map(Number)
await Effect.runPromise(Effect.scoped(run(seed!, slotHeldMs!)))
