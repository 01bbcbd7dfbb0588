import { Effect, Exit, Scope } from "effect"
import assert from "node:assert/strict"
import { makeApp } from "../../http/app.tsx"
import { serve } from "../../http/server.ts"
import { FakeRuntime } from "../fake_runtime.ts"

const app = () => makeApp(new FakeRuntime({ now: () => 1_764_000_000_000 }))

async function start() {
  const scope = await Effect.runPromise(Scope.make())
  const address = { hostname: "127.0.0.1", port: 0 }
  const { url, port } = await Effect.runPromise(Scope.provide(serve(app(), address), scope))
  return { url, port, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

Deno.test("a port in use is one clear line, and what to do", async () => {
  const first = await start()
  const second = app()
  const error = await Effect.runPromise(
    Effect.scoped(Effect.flip(serve(second, { hostname: "127.0.0.1", port: first.port }))),
  )
  assert.equal(
    error.message,
    `port ${first.port} on 127.0.0.1 is in use: stop the other program or start with --port 0`,
  )
  second.close()
  await first.stop()
})

Deno.test("it stops within a second around open streams, and ends them cleanly", async () => {
  const server = await start()
  const streams = await Promise.all(
    ["/events", "/api/v1/events"].map((path) => fetch(server.url + path)),
  )
  const rest = Promise.all(streams.map((stream) => stream.text()))
  const before = performance.now()
  await server.stop()
  assert.ok(performance.now() - before < 1_000)
  for (const text of await rest) assert.ok(text.length > 0)
})

Deno.test("it stops around a client that has stopped reading", async () => {
  const server = await start()
  const socket = await Deno.connect({ port: server.port })
  await socket.write(
    new TextEncoder().encode(`GET /events HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\n\r\n`),
  )
  await socket.read(new Uint8Array(64))
  await server.stop()
  socket.close()
})
