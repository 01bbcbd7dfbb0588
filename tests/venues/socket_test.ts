/** A connection that can be trusted to end: over real sockets, with short limits. */
import assert from "node:assert/strict"
import { createServer, type Server } from "node:http"
import { createServer as createTcpServer, type Socket as TcpSocket } from "node:net"
import { Effect, Exit, Fiber, Scope } from "effect"
import {
  causeText,
  type LivenessPolicy,
  Network,
  openConnection,
  refusal,
  retryAfterMs,
} from "../../venues/socket.ts"
import { eventually, ownClock, patience, portOf, socketPeer, venueTest } from "./harness.ts"

const patient: LivenessPolicy = { pingEveryMs: 50, ...patience }
const hasty: LivenessPolicy = {
  ...{ pingEveryMs: 50, deadAfterMs: 250, handshakeTimeoutMs: 300, closeGraceMs: 100 },
}

const open = (
  port: number,
  { policy = patient, traffic = { framesReceived: 0, requestsOpen: 0 }, awaitsClose = false } = {},
) =>
  openConnection({
    ...{ venue: "test", doing: "stream", url: `ws://127.0.0.1:${port}`, policy, traffic },
    awaitsClose,
  })

const refusing = Effect.fnUntraced(function* (status: number, headers: Record<string, string>) {
  const server: Server = createServer()
  server.on("upgrade", (_request, socket: TcpSocket) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")
    socket.end(`HTTP/1.1 ${status} No\r\n${lines}content-length: 0\r\nconnection: close\r\n\r\n`)
  })
  yield* bound(server)
  return portOf(server)
})

const bound = (
  server: {
    listen(port: number, host: string, done: () => void): unknown
    close(done: () => void): unknown
  },
) =>
  Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((done) => void server.listen(0, "127.0.0.1", done))),
    () => Effect.promise(() => new Promise<void>((done) => void server.close(done))),
  )

/** The failure that ends a connection, and how long it took. */
const endOf = (port: number, policy = patient) =>
  Effect.gen(function* () {
    const began = performance.now()
    const error = yield* Effect.flip(Effect.gen(function* () {
      const connection = yield* open(port, { policy })
      while (true) yield* connection.pull
    }))
    return { error, reason: error.reason, tookMs: performance.now() - began }
  })

venueTest(
  "a peer that speaks faster than it is heard has to wait, and nothing is lost",
  () =>
    Effect.gen(function* () {
      const frame = "x".repeat(100_000)
      const frames = 200
      const { port } = yield* socketPeer((socket) => {
        for (let at = 0; at < frames; at++) socket.send(`${at} ${frame}`)
      })
      const traffic = { framesReceived: 0, requestsOpen: 0 }
      const connection = yield* open(port, { traffic })
      // As long as nobody pulls, it stops after what may wait and what was under way.
      let before = -1
      while (traffic.framesReceived !== before || before === 0) {
        before = traffic.framesReceived
        yield* Effect.sleep(100)
      }
      assert.ok(before < frames / 2, `${before} frames have come`)
      const seen: Array<number> = []
      while (seen.length < frames) {
        seen.push(...(yield* connection.pull).map((text) => Number(text.split(" ")[0])))
      }
      assert.deepEqual(seen, Array.from({ length: frames }, (_, at) => at))
    }),
)

venueTest(
  "frames arrive in order, whatever their kind, and are counted",
  () =>
    Effect.gen(function* () {
      const { port } = yield* socketPeer((socket) => {
        socket.send("one")
        socket.send(new TextEncoder().encode("two €"))
        socket.on("message", (data) => socket.send(`echo ${data}`))
      })
      const traffic = { framesReceived: 0, requestsOpen: 0 }
      const connection = yield* open(port, { traffic })
      yield* connection.send("hello")
      const seen: Array<string> = []
      while (seen.length < 3) seen.push(...yield* connection.pull)
      assert.deepEqual(seen, ["one", "two €", "echo hello"])
      assert.equal(traffic.framesReceived, 3)
    }),
)

venueTest(
  "a peer that freezes without a word is noticed within its time",
  () =>
    Effect.gen(function* () {
      const { port } = yield* socketPeer((socket) => socket.send("last words"), { autoPong: false })
      const { reason, error, tookMs } = yield* endOf(port, hasty)
      assert.equal(reason._tag, "Silent")
      assert.equal(error.message, "test: stream: no connection for 250 ms")
      assert.ok(tookMs >= 250 && tookMs < 1_500, `${tookMs}`)
    }),
)

/** A connection on whose clock time passes as it is told, in steps of a look at the peer. */
const watched = Effect.fnUntraced(function* (port: number, policy: LivenessPolicy) {
  const { clock } = yield* ownClock
  const network = { clock, handshakesOpen: 0, pingsOpen: 0, stirred: 0 }
  const connection = yield* Effect.provideService(open(port, { policy }), Network, network)
  const fiber = yield* Effect.forkScoped(Effect.flip(Effect.forever(connection.pull)))
  const now = () => clock.currentTimeMillisUnsafe()
  const passTo = (time: number, stepMs: number) =>
    Effect.gen(function* () {
      while (now() < time) {
        yield* Effect.sleep(1)
        yield* clock.adjust(stepMs)
      }
      yield* Effect.sleep(1)
    })
  return { network, fiber, now, passTo }
})

venueTest(
  "silence is noticed a quarter of a ping late at most",
  () =>
    Effect.gen(function* () {
      let pong: (() => void) | undefined
      const { port } = yield* socketPeer((socket) => {
        // Answers once, between two looks of the other side, and never again.
        socket.once("ping", () => pong = () => socket.pong())
      }, { autoPong: false })
      const seldom = { ...patient, pingEveryMs: 400, deadAfterMs: 800 }
      const { fiber, network, passTo } = yield* watched(port, seldom)
      yield* passTo(400, 50)
      const answer = yield* eventually(() => pong)
      yield* passTo(450, 50)
      answer()
      yield* eventually(() => network.pingsOpen === 0 || undefined)
      yield* passTo(1_250, 50)
      assert.equal(fiber.pollUnsafe(), undefined)
      yield* passTo(1_300, 50)
      const error = yield* Fiber.join(fiber)
      assert.equal(error.message, "test: stream: no connection for 800 ms")
    }),
)

venueTest("a peer that is quiet but answers pings stays connected", () =>
  Effect.gen(function* () {
    let pings = 0
    const { port, server } = yield* socketPeer((socket) => void socket.on("ping", () => pings++))
    const { fiber, network, now, passTo } = yield* watched(port, hasty)
    while (now() < 600) {
      yield* passTo(now() + 25, 12.5)
      yield* eventually(() => network.pingsOpen === 0 || undefined)
    }
    assert.equal(fiber.pollUnsafe(), undefined)
    assert.ok(pings >= 5, `${pings}`)
    assert.equal(server.clients.size, 1)
  }))

venueTest("a handshake that is never answered fails in time", () =>
  Effect.gen(function* () {
    const taken: Array<TcpSocket> = []
    const server = createTcpServer((socket) => {
      taken.push(socket)
      socket.on("error", () => {})
      socket.resume()
    })
    yield* bound(server)
    yield* Effect.addFinalizer(() => Effect.sync(() => taken.forEach((socket) => socket.destroy())))
    const { reason, tookMs } = yield* endOf(portOf(server), hasty)
    assert.deepEqual([reason._tag, reason._tag === "Silent" && reason.what], [
      "Silent",
      "handshake",
    ])
    assert.ok(tookMs >= 290 && tookMs < 1_500, `${tookMs}`)
  }))

venueTest(
  "a refused upgrade is told by its status, and by the time to wait",
  () =>
    Effect.gen(function* () {
      const limited = yield* endOf(yield* refusing(429, { "Retry-After": "7" }))
      assert.deepEqual({ ...limited.reason }, {
        _tag: "Throttled",
        status: 429,
        retryAfterMs: 7_000,
      })
      const banned = yield* endOf(yield* refusing(418, {}))
      assert.deepEqual({ ...banned.reason }, {
        _tag: "Throttled",
        status: 418,
        retryAfterMs: 60_000,
      })
      for (const status of [401, 403, 451]) {
        const { reason } = yield* endOf(yield* refusing(status, {}))
        assert.equal(reason._tag, "Forbidden")
        assert.match(reason._tag === "Forbidden" ? reason.detail : "", new RegExp(`HTTP ${status}`))
      }
      for (const status of [200, 404, 500, 503]) {
        assert.equal((yield* endOf(yield* refusing(status, {}))).reason._tag, "Faulty")
      }
    }),
)

venueTest("nobody there is Unreachable, at once", () =>
  Effect.gen(function* () {
    const port = yield* Effect.scoped(Effect.map(socketPeer(), ({ port }) => port))
    const { error, reason } = yield* endOf(port)
    assert.equal(reason._tag, "Unreachable")
    assert.match(error.message, /ECONNREFUSED/)
  }))

venueTest("an end is told with its code and reason", () =>
  Effect.gen(function* () {
    const closing = yield* socketPeer((socket) => socket.close(1008, "disconnected"))
    const closed = yield* endOf(closing.port)
    assert.equal(closed.error.message, "test: stream: closed with code 1008 (disconnected)")
    const dropping = yield* socketPeer((socket) => socket.terminate())
    const dropped = yield* endOf(dropping.port)
    assert.equal(dropped.reason._tag === "Closed" && dropped.reason.code, 1006)
  }))

venueTest("what breaks the protocol ends the connection", () =>
  Effect.gen(function* () {
    const { port } = yield* socketPeer((socket) => {
      const raw = (socket as unknown as { readonly _socket: TcpSocket })._socket
      // A text frame with reserved bits set.
      raw.write(new Uint8Array([0xf1, 0x01, 0x41]))
    })
    const { reason } = yield* endOf(port)
    assert.ok(reason._tag === "Unreachable" || reason._tag === "Closed", reason._tag)
  }))

venueTest("frames that came before the end are not lost", () =>
  Effect.gen(function* () {
    const { port } = yield* socketPeer((socket) => {
      for (let at = 0; at < 50; at++) socket.send(`${at}`)
      socket.close(1000)
    })
    const connection = yield* open(port)
    const seen: Array<string> = []
    const error = yield* Effect.flip(Effect.forever(
      Effect.map(connection.pull, (frames) => void seen.push(...frames)),
    ))
    assert.equal(seen.length, 50)
    assert.equal(error.reason._tag, "Closed")
  }))

venueTest(
  "closing the scope closes the connection, even when the peer is frozen",
  () =>
    Effect.gen(function* () {
      for (const autoPong of [true, false]) {
        const { port, server } = yield* socketPeer((socket) => {
          // Reads nothing any more, so it never answers a closing handshake.
          if (!autoPong) socket.pause()
        }, { autoPong })
        const scope = yield* Scope.make()
        const opening = open(port, { policy: autoPong ? patient : hasty })
        yield* Effect.provideService(opening, Scope.Scope, scope)
        assert.equal(server.clients.size, 1)
        const began = performance.now()
        yield* Scope.close(scope, Exit.void)
        assert.ok(performance.now() - began < 1_000)
        if (!autoPong) { for (const client of server.clients) client.resume() }
        while (server.clients.size > 0) yield* Effect.sleep(10)
      }
    }),
)

venueTest(
  "a close that is awaited is over when the scope is, or the grace is",
  () =>
    Effect.gen(function* () {
      for (const answers of [true, false]) {
        const { port, server } = yield* socketPeer((socket) => {
          // Reads nothing any more, so it never answers a closing handshake.
          if (!answers) socket.pause()
        })
        const scope = yield* Scope.make()
        const policy = answers ? patient : { ...patient, closeGraceMs: 100 }
        const opening = open(port, { policy, awaitsClose: true })
        yield* Effect.provideService(opening, Scope.Scope, scope)
        const began = performance.now()
        yield* Scope.close(scope, Exit.void)
        const tookMs = performance.now() - began
        if (answers) assert.ok(tookMs < policy.closeGraceMs, `${tookMs} ms`)
        else assert.ok(tookMs >= policy.closeGraceMs * 0.9 && tookMs < 1_000, `${tookMs} ms`)
        // The peer has heard it.
        if (answers) assert.ok([...server.clients].every(({ readyState }) => readyState >= 2))
        for (const client of server.clients) client.resume()
        while (server.clients.size > 0) yield* Effect.sleep(10)
      }
    }),
)

venueTest("interrupting the opening leaves nothing behind", () =>
  Effect.gen(function* () {
    const taken: Array<TcpSocket> = []
    const server = createTcpServer((socket) => {
      taken.push(socket)
      socket.on("error", () => {})
      socket.resume()
    })
    yield* bound(server)
    const outcome = yield* Effect.timeoutOption(Effect.scoped(open(portOf(server))), 100)
    assert.equal(outcome._tag, "None")
    while (!taken.every((socket) => socket.destroyed || socket.readableEnded)) {
      yield* Effect.sleep(10)
    }
    taken.forEach((socket) => socket.destroy())
  }))

Deno.test("retryAfterMs() reads seconds, and waits a minute where nothing is said", () => {
  assert.deepEqual(["42", "0", "1.5"].map((each) => retryAfterMs(each)), [42_000, 0, 1_500])
  for (
    const header of [undefined, "", " ", "soon", "-5", "Wed, 21 Oct 2026 07:28:00 GMT", "Infinity"]
  ) {
    assert.equal(retryAfterMs(header), 60_000, JSON.stringify(header))
  }
})

Deno.test("refusal() prefers the venue's own words", () => {
  assert.deepEqual({ ...refusal(403, undefined, "-2015 Invalid API-key") }, {
    _tag: "Forbidden",
    detail: "-2015 Invalid API-key",
  })
  assert.deepEqual({ ...refusal(502, undefined) }, { _tag: "Faulty", detail: "HTTP 502" })
})

Deno.test("causeText() finds the words wherever they are", () => {
  const deep = { error: { error: new Error("connect ECONNREFUSED") } }
  assert.equal(causeText(deep), "connect ECONNREFUSED")
  assert.equal(causeText({ code: "ENOTFOUND" }), "ENOTFOUND")
  assert.equal(causeText("words"), "words")
  for (const nothing of [undefined, null, 5, {}, "", { message: "" }]) {
    assert.equal(causeText(nothing), "connection failed")
  }
})
