/**
 * The listening socket as a resource: it opens or says in one line why not, and closes within a
 * second even around clients that have stopped reading.
 */
import { Effect, Schema, type Scope } from "effect"
import type { KeelApp } from "./app.tsx"
import { limits } from "./limits.ts"

export interface Address {
  readonly hostname: string
  /** 0 picks a free one. */
  readonly port: number
}

export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  message: Schema.String,
}) {}

export const serve = Effect.fn("http.serve")(function* (
  app: KeelApp,
  { hostname, port }: Address,
): Effect.fn.Return<{ url: string; port: number }, ListenError, Scope.Scope> {
  const server = yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        const cut = new AbortController()
        const options = { hostname, port, signal: cut.signal, onListen() {} }
        return { cut, http: Deno.serve(options, (request) => app.fetch(request)) }
      },
      catch: (cause) => new ListenError({ message: inWords(cause, { hostname, port }) }),
    }),
    // `shutdown()` would wait for ever on a client that has stopped reading; cutting what is left
    // after the streams have ended and requests have had their time does not.
    ({ cut, http }) =>
      Effect.gen(function* () {
        app.close()
        yield* Effect.promise(() => app.idle()).pipe(Effect.timeoutOption(limits.drainMs))
        yield* Effect.sleep(limits.lastWordsMs)
        cut.abort()
        yield* Effect.promise(() => http.finished)
      }),
  )
  const bound = server.http.addr.port
  return {
    url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${bound}`,
    port: bound,
  }
})

function inWords(cause: unknown, { hostname, port }: Address): string {
  const where = `port ${port} on ${hostname}`
  if (cause instanceof Deno.errors.AddrInUse) {
    return `${where} is in use: stop the other program or start with --port 0`
  }
  if (cause instanceof Deno.errors.AddrNotAvailable) {
    return `${hostname} is not an address of this machine: use --host 127.0.0.1`
  }
  if (cause instanceof Deno.errors.PermissionDenied || cause instanceof Deno.errors.NotCapable) {
    return `${where} may not be opened: choose a port above 1023 or allow it with --allow-net`
  }
  return `${where} cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`
}
