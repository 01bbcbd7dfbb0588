/** What the tests of both adapters share: venues that misbehave, and ways to wait for a fact. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Clock, Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws"
import type { Broker, PrivateEvent } from "../../venues/broker.ts"
import type { Controlled } from "../../venues/simulator/control.ts"
import type { Fault } from "../../venues/simulator/fault.ts"

/** Patient: what is judged here is not how soon a busy machine answers. */
export const patience = { handshakeTimeoutMs: 5_000, deadAfterMs: 5_000, closeGraceMs: 3_000 }

/** A test in a scope of its own, on the real clock: sockets have no other. */
export function venueTest<E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) {
  Deno.test(name, () =>
    Effect.runPromise(
      Effect.scoped(Effect.suspend(body)).pipe(
        Effect.timeoutOrElse({
          duration: 30_000,
          orElse: () => Effect.die(new Error("the test took too long")),
        }),
      ),
    ))
}

/** Waits until `check` has a value; the test's own time limit ends it. */
export const eventually = <A>(check: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = check()
    return found === undefined
      ? Effect.andThen(Effect.sleep(10), eventually(check))
      : Effect.succeed(found)
  })

/**
 * A clock of its own for whoever is to wait on it, while sockets go on in real time. `passUntil` lets
 * its time pass, `stepMs` after `stepMs`, until there is what is waited for.
 */
export const ownClock = Effect.gen(function* () {
  const clock = yield* TestClock.make()
  const passUntil = <A>(stepMs: number, check: () => A | undefined): Effect.Effect<A> =>
    Effect.suspend(() => {
      const found = check()
      if (found !== undefined) return Effect.succeed(found)
      return clock.adjust(stepMs).pipe(
        Effect.andThen(Effect.sleep(5)),
        Effect.andThen(passUntil(stepMs, check)),
      )
    })
  return { clock, passUntil, on: Effect.provideService(Clock.Clock, clock) }
})

/** Arms what strikes by itself, and waits until it has struck. */
export const struck = Effect.fnUntraced(function* (
  venue: Pick<Controlled, "arm" | "faults">,
  fault: Fault,
) {
  const id = yield* venue.arm(fault)
  yield* eventually(() => venue.faults.journal.find(({ faultId }) => faultId === id))
})

export type Answering = (request: IncomingMessage, response: ServerResponse) => void

export const text =
  (status: number, body: string, headers: Record<string, string> = {}): Answering =>
  (_request, response) => void response.writeHead(status, headers).end(body)
export const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  text(status, JSON.stringify(body), { "content-type": "application/json", ...headers })

/** An HTTP server that answers as it is told; everything it was asked is kept. */
export const httpPeer = Effect.fnUntraced(function* (answer: Answering) {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    request.resume()
    answer(request, response)
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done))),
    () =>
      Effect.promise(() =>
        new Promise<void>((done) => {
          server.close(() => done())
          server.closeAllConnections()
        })
      ),
  )
  return { asked, port: portOf(server) }
})

/** A WebSocket server that does with every connection what it is told; pongs as a peer should. */
export const socketPeer = Effect.fnUntraced(function* (
  greet: (socket: WebSocket) => void = () => {},
  options: Pick<ServerOptions, "autoPong"> = {},
) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, ...options })
  server.on("connection", greet)
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((done) => void server.once("listening", done))),
    () =>
      Effect.promise(() =>
        new Promise<void>((done) => {
          for (const client of server.clients) client.terminate()
          server.close(() => done())
        })
      ),
  )
  return { server, port: portOf(server) }
})

export function portOf(server: { address(): AddressInfo | string | null }): number {
  return (server.address() as AddressInfo).port
}

/** The private stream, running, and what it has said so far. */
export const listening = Effect.fnUntraced(function* (broker: Broker) {
  const events: Array<PrivateEvent> = []
  const undecoded: Array<string> = []
  const fiber = yield* Effect.forkScoped(broker.stream({
    event: (event) => void events.push(event),
    undecoded: (frame, reason) => void undecoded.push(`${reason}: ${frame}`),
  }))
  yield* eventually(() => events.find(({ _tag }) => _tag === "StreamUp"))
  return { events, undecoded, fiber }
})

export function reportsOf(events: ReadonlyArray<PrivateEvent>) {
  return events.flatMap((event) =>
    event._tag === "Report" || event._tag === "Executed" ? [event.report] : []
  )
}

export function fillsOf(events: ReadonlyArray<PrivateEvent>) {
  return events.flatMap((event) => event._tag === "Executed" ? [event.execution] : [])
}

export const until = (
  events: ReadonlyArray<PrivateEvent>,
  clientOrderId: string,
  status: string,
) =>
  eventually(() =>
    reportsOf(events).find((report) =>
      report.clientOrderId === clientOrderId && report.status === status
    )
  )
