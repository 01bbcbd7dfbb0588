/** A connection that can be trusted to end: on the machine's own clock, with short limits. */
import assert from "node:assert/strict"
import { createServer, type Server } from "node:http"
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket as TcpSocket,
} from "node:net"
import { Effect, Exit, Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { causeText, openConnection, refusal, retryAfterMs } from "../../venues/socket.ts"

const policy = { pingEveryMs: 50, deadAfterMs: 250, handshakeTimeoutMs: 300, closeGraceMs: 100 }

function socketTest<E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) {
  Deno.test(name, () =>
    Effect.runPromise(
      Effect.scoped(Effect.suspend(body)).pipe(
        Effect.timeoutOrElse({
          duration: 5_000,
          orElse: () => Effect.die(new Error("took too long")),
        }),
      ),
    ))
}

const open = (port: number, traffic = { framesReceived: 0, requestsOpen: 0 }) =>
  openConnection({ venue: "test", doing: "stream", url: `ws://127.0.0.1:${port}`, policy, traffic })

const openAwaited = (port: number) =>
  openConnection({
    ...{ venue: "test", doing: "stream", url: `ws://127.0.0.1:${port}`, policy },
    ...{ traffic: { framesReceived: 0, requestsOpen: 0 }, awaitsClose: true },
  })

const portOf = (server: { address(): AddressInfo | string | null }) =>
  (server.address() as AddressInfo).port

/** Accepts connections and does with each what it is told; pongs as a peer should, unless frozen. */
const peer = Effect.fnUntraced(function* (
  greet: (socket: WebSocket) => void,
  options: { readonly autoPong?: boolean } = {},
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

const refusing = Effect.fnUntraced(function* (status: number, headers: Record<string, string>) {
  const server: Server = createServer()
  server.on("upgrade", (_request, socket: TcpSocket) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")
    socket.end(`HTTP/1.1 ${status} No\r\n${lines}content-length: 0\r\nconnection: close\r\n\r\n`)
  })
  yield* listening(server)
  return portOf(server)
})

const listening = (
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
const endOf = (port: number) =>
  Effect.gen(function* () {
    const began = performance.now()
    const error = yield* Effect.flip(Effect.gen(function* () {
      const connection = yield* open(port)
      while (true) yield* connection.pull
    }))
    return { error, reason: error.reason, tookMs: performance.now() - began }
  })

socketTest(
  "a peer that speaks faster than it is heard has to wait, and nothing is lost",
  () =>
    Effect.gen(function* () {
      const frame = "x".repeat(100_000)
      const frames = 200
      const { port } = yield* peer((socket) => {
        for (let at = 0; at < frames; at++) socket.send(`${at} ${frame}`)
      })
      const traffic = { framesReceived: 0, requestsOpen: 0 }
      const connection = yield* open(port, traffic)
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

socketTest(
  "frames arrive in order, whatever their kind, and are counted",
  () =>
    Effect.gen(function* () {
      const { port } = yield* peer((socket) => {
        socket.send("one")
        socket.send(new TextEncoder().encode("two €"))
        socket.on("message", (data) => socket.send(`echo ${data}`))
      })
      const traffic = { framesReceived: 0, requestsOpen: 0 }
      const connection = yield* open(port, traffic)
      yield* connection.send("hello")
      const seen: Array<string> = []
      while (seen.length < 3) seen.push(...yield* connection.pull)
      assert.deepEqual(seen, ["one", "two €", "echo hello"])
      assert.equal(traffic.framesReceived, 3)
    }),
)

socketTest(
  "a peer that freezes without a word is noticed within its time",
  () =>
    Effect.gen(function* () {
      const { port } = yield* peer((socket) => socket.send("last words"), { autoPong: false })
      const { reason, error, tookMs } = yield* endOf(port)
      assert.equal(reason._tag, "Silent")
      assert.equal(error.message, "test: stream: no connection for 250 ms")
      assert.ok(tookMs >= 250 && tookMs < 1_500, `${tookMs}`)
    }),
)

socketTest(
  "silence is noticed a quarter of a ping late at most",
  () =>
    Effect.gen(function* () {
      const seldom = { ...policy, pingEveryMs: 400, deadAfterMs: 800 }
      let pongedAt = 0
      const { port } = yield* peer((socket) => {
        // Answers once, between two looks of the other side, and never again.
        socket.once("ping", () => {
          setTimeout(() => {
            pongedAt = performance.now()
            socket.pong()
          }, 20)
        })
      }, { autoPong: false })
      const connection = yield* openConnection({
        ...{ venue: "test", doing: "stream", url: `ws://127.0.0.1:${port}`, policy: seldom },
        traffic: { framesReceived: 0, requestsOpen: 0 },
      })
      const error = yield* Effect.flip(Effect.forever(connection.pull))
      const silentMs = performance.now() - pongedAt
      assert.equal(error.message, "test: stream: no connection for 800 ms")
      assert.ok(silentMs >= 795 && silentMs < 1_050, `${silentMs} ms`)
    }),
)

socketTest("a peer that is quiet but answers pings stays connected", () =>
  Effect.gen(function* () {
    let pings = 0
    const { port, server } = yield* peer((socket) => void socket.on("ping", () => pings++))
    const connection = yield* open(port)
    const outcome = yield* Effect.timeoutOption(Effect.result(connection.pull), 600)
    assert.equal(outcome._tag, "None")
    assert.ok(pings >= 5, `${pings}`)
    assert.equal(server.clients.size, 1)
  }))

socketTest("a handshake that is never answered fails in time", () =>
  Effect.gen(function* () {
    const taken: Array<TcpSocket> = []
    const server = createTcpServer((socket) => {
      taken.push(socket)
      socket.on("error", () => {})
      socket.resume()
    })
    yield* listening(server)
    yield* Effect.addFinalizer(() => Effect.sync(() => taken.forEach((socket) => socket.destroy())))
    const { reason, tookMs } = yield* endOf(portOf(server))
    assert.deepEqual([reason._tag, reason._tag === "Silent" && reason.what], [
      "Silent",
      "handshake",
    ])
    assert.ok(tookMs >= 290 && tookMs < 1_500, `${tookMs}`)
  }))

socketTest(
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

socketTest("nobody there is Unreachable, at once", () =>
  Effect.gen(function* () {
    const port = yield* Effect.scoped(Effect.map(peer(() => {}), ({ port }) => port))
    const { error, reason } = yield* endOf(port)
    assert.equal(reason._tag, "Unreachable")
    assert.match(error.message, /ECONNREFUSED/)
  }))

socketTest("an end is told with its code and reason", () =>
  Effect.gen(function* () {
    const closing = yield* peer((socket) => socket.close(1008, "disconnected"))
    const closed = yield* endOf(closing.port)
    assert.equal(closed.error.message, "test: stream: closed with code 1008 (disconnected)")
    const dropping = yield* peer((socket) => socket.terminate())
    const dropped = yield* endOf(dropping.port)
    assert.equal(dropped.reason._tag === "Closed" && dropped.reason.code, 1006)
  }))

socketTest("what breaks the protocol ends the connection", () =>
  Effect.gen(function* () {
    const { port } = yield* peer((socket) => {
      const raw = (socket as unknown as { readonly _socket: TcpSocket })._socket
      // A text frame with reserved bits set.
      raw.write(new Uint8Array([0xf1, 0x01, 0x41]))
    })
    const { reason } = yield* endOf(port)
    assert.ok(reason._tag === "Unreachable" || reason._tag === "Closed", reason._tag)
  }))

socketTest("frames that came before the end are not lost", () =>
  Effect.gen(function* () {
    const { port } = yield* peer((socket) => {
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

socketTest(
  "closing the scope closes the connection, even when the peer is frozen",
  () =>
    Effect.gen(function* () {
      for (const autoPong of [true, false]) {
        const { port, server } = yield* peer((socket) => {
          // Reads nothing any more, so it never answers a closing handshake.
          if (!autoPong) socket.pause()
        }, { autoPong })
        const scope = yield* Scope.make()
        yield* Effect.provideService(open(port), Scope.Scope, scope)
        assert.equal(server.clients.size, 1)
        const began = performance.now()
        yield* Scope.close(scope, Exit.void)
        assert.ok(performance.now() - began < 1_000)
        if (!autoPong) { for (const client of server.clients) client.resume() }
        while (server.clients.size > 0) yield* Effect.sleep(10)
      }
    }),
)

socketTest(
  "a close that is awaited is over when the scope is, or the grace is",
  () =>
    Effect.gen(function* () {
      for (const answers of [true, false]) {
        const { port, server } = yield* peer((socket) => {
          // Reads nothing any more, so it never answers a closing handshake.
          if (!answers) socket.pause()
        })
        const scope = yield* Scope.make()
        yield* Effect.provideService(openAwaited(port), Scope.Scope, scope)
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

socketTest("interrupting the opening leaves nothing behind", () =>
  Effect.gen(function* () {
    const taken: Array<TcpSocket> = []
    const server = createTcpServer((socket) => {
      taken.push(socket)
      socket.on("error", () => {})
      socket.resume()
    })
    yield* listening(server)
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
