/** Serves the dashboard over the fake runtime: `deno run -A tests/demo_server.ts [port]`. */
import { Effect, Exit, Scope } from "effect"
import { makeApp } from "../http/app.tsx"
import { serve } from "../http/server.ts"
import { type FakeOptions, FakeRuntime } from "./fake_runtime.ts"

const STEP_EVERY_MS = 250
const PACE_MS = 120

export interface Demo {
  readonly url: string
  readonly port: number
  readonly runtime: FakeRuntime
  readonly stop: () => Promise<void>
}

/** `port` 0 picks a free one. */
export async function startDemo(port = 0, options: Partial<FakeOptions> = {}): Promise<Demo> {
  const runtime = new FakeRuntime({
    now: Date.now,
    epoch: crypto.randomUUID().slice(0, 8),
    pace: () => new Promise((resolve) => setTimeout(resolve, PACE_MS)),
    ...options,
  })
  const app = makeApp(runtime)
  const steps = setInterval(() => runtime.step(), STEP_EVERY_MS)
  const scope = await Effect.runPromise(Scope.make())
  const address = await Effect.runPromise(
    Scope.provide(serve(app, { hostname: "127.0.0.1", port }), scope),
  )
  return {
    ...address,
    runtime,
    stop: () => {
      clearInterval(steps)
      return Effect.runPromise(Scope.close(scope, Exit.void))
    },
  }
}

if (import.meta.main) {
  const demo = await startDemo(Number(Deno.args[0] ?? 8000))
  console.log(demo.url)
}
