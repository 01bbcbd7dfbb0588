/** What a request means when the way there, or the venue, is broken. */
import assert from "node:assert/strict"
import { Clock, Effect } from "effect"
import { decimal } from "../../../domain/decimal.ts"
import type { NewOrder } from "../../../venues/broker.ts"
import { banFile } from "../../../storage/ban_file.ts"
import { type Answering, json, text, venueTest } from "../harness.ts"
import { badVenue, BTC, connectTo, KEY, SECRET } from "./venue.ts"

const order: NewOrder = {
  ...{ clientOrderId: "keel-1", instrument: BTC, side: "buy", type: "market" },
  ...{ quantity: decimal("0.001"), price: undefined },
}

const html = { "content-type": "text/html" }
const accepted = {
  ...{
    symbol: "BTCUSDT",
    orderId: 28,
    clientOrderId: "keel-1",
    executedQty: "0.001",
    status: "FILLED",
  },
}

/** Says more than it sends, then cuts the connection. */
const cut: Answering = (_request, response) => {
  response.writeHead(200, { "content-length": "500", "content-type": "application/json" })
  response.write('{"symbol":"BTCUSDT",')
  setTimeout(() => response.destroy(), 20)
}
const reset: Answering = (request) => void request.socket.destroy()
const silent: Answering = () => {}

function assertNoSecrets(shown: unknown) {
  const told = `${Deno.inspect(shown, { depth: 20 })} ${String(shown)} ${JSON.stringify(shown)}`
  assert.ok(!told.includes(KEY), `the key is in ${told}`)
  assert.ok(!told.includes(SECRET), "the secret is told")
  assert.doesNotMatch(told, /signature=[0-9a-f]/i)
}

const submitTo = (answer: Answering, timeoutMs = 2_000) =>
  Effect.gen(function* () {
    const { endpoints, asked } = yield* badVenue(answer)
    const { broker } = yield* connectTo(endpoints, { timeoutMs })
    const error = yield* Effect.flip(broker.submit(order))
    assertNoSecrets(error)
    assert.equal(asked.length, 1, "an order is sent once")
    assert.match(asked[0]!, /^POST \/api\/v3\/order\?/)
    return error
  })

const ambiguous: Readonly<Record<string, Answering>> = {
  "200 with an empty body": text(200, ""),
  "200 with a page instead of an answer": text(200, "<html>welcome</html>", html),
  "200 with half an answer": text(200, '{"symbol":"BTCUSDT","orderId":2', html),
  "200 without an order id": json(200, { ...accepted, orderId: undefined }),
  "200 with an order id that is none": json(200, { ...accepted, orderId: "soon" }),
  "200 about another order": json(200, { ...accepted, clientOrderId: "keel-2" }),
  "200 with a bare null": text(200, "null"),
  "a body that is cut": cut,
  "a connection that is reset": reset,
  "403 with a page": text(403, "<html>blocked</html>", html),
  "504 with a page": text(504, "<html>gateway timeout</html>", html),
  "502 without a body": text(502, ""),
  "500 with a code": json(500, { code: -1000, msg: "An unknown error occurred." }),
  "503 with a refusal's code": json(503, { code: -2010, msg: "later" }),
  "400 that says unknown status": json(400, { code: -1007, msg: "Timeout waiting for response." }),
  "400 that says unexpected response": json(400, { code: -1006, msg: "Unexpected response." }),
  "400 without a code": text(400, "bad request"),
  "400 with a code that is text": json(400, { code: "-2010", msg: "?" }),
  "429 with its time to wait": json(429, { code: -1003, msg: "Too many." }, {
    "retry-after": "42",
  }),
  "418": json(418, { code: -1003, msg: "Banned." }, { "retry-after": "120" }),
  "451": text(451, ""),
}

for (const [name, answer] of Object.entries(ambiguous)) {
  venueTest(
    `submit() does not know what became of an order after ${name}`,
    () =>
      Effect.map(submitTo(answer), (error) => {
        assert.equal(error._tag, "OrderUnknown", String(error))
        if (error._tag !== "OrderUnknown") return
        assert.ok(error.cause.length > 0)
        assert.ok(Math.abs(error.conclusiveAt - Date.now() - 13_000) < 3_000)
      }),
  )
}

for (
  const [how, end] of [
    ["is reset", (request: Parameters<Answering>[0]) => request.socket.resetAndDestroy()],
    ["is cut", (request: Parameters<Answering>[0]) => request.socket.destroy()],
  ] as const
) {
  venueTest(
    `submit() sends an order once, on a connection that was in use before and ${how}`,
    () =>
      Effect.gen(function* () {
        const { endpoints, asked } = yield* badVenue((request, response) => {
          if (request.method === "POST" && asked.length > 2) return end(request)
          json(200, request.method === "POST" ? accepted : { serverTime: 1 })(request, response)
        })
        const { broker, rest } = yield* connectTo(endpoints)
        yield* rest.syncClock
        yield* broker.submit(order)
        const error = yield* Effect.flip(broker.submit(order))
        assert.equal(error._tag, "OrderUnknown")
        assert.deepEqual(asked.map((each) => each.slice(0, 12)), [
          "GET /api/v3/",
          "POST /api/v3",
          "POST /api/v3",
        ])
      }),
  )
}

venueTest(
  "submit() does not know what became of an order that is not answered in time",
  () =>
    Effect.map(submitTo(silent, 300), (error) => {
      assert.equal(error._tag, "OrderUnknown")
      if (error._tag === "OrderUnknown") assert.match(error.cause, /no answer in time/)
    }),
)

venueTest(
  "submit() does not know what became of an order when nobody listens",
  () =>
    Effect.gen(function* () {
      const { endpoints } = yield* Effect.scoped(badVenue(silent))
      const { broker } = yield* connectTo(endpoints)
      const error = yield* Effect.flip(broker.submit(order))
      assert.equal(error._tag, "OrderUnknown")
      assertNoSecrets(error)
    }),
)

for (
  const [status, code, says] of [
    [400, -2010, "Account has insufficient balance for requested action."],
    [400, -1013, "Filter failure: LOT_SIZE"],
    [401, -2015, "Invalid API-key, IP, or permissions for action."],
  ] as const
) {
  venueTest(
    `submit() is refused where the venue itself says so: ${code}`,
    () =>
      Effect.map(submitTo(json(status, { code, msg: says })), (error) => {
        assert.deepEqual(error._tag === "OrderRefused" && [error.code, error.text], [
          `${code}`,
          says,
        ])
      }),
  )
}

const late = json(400, { code: -1021, msg: "Timestamp for this request is outside." })

venueTest(
  "submit() measures the clock and sends once more what was refused for its time",
  () =>
    Effect.gen(function* () {
      const serverTime = Date.now() + 60_000
      const { endpoints, asked } = yield* badVenue((request, response) => {
        if (request.url?.startsWith("/api/v3/time")) {
          return json(200, { serverTime })(request, response)
        }
        const sentAt = Number(new URL(request.url!, "http://x").searchParams.get("timestamp"))
        const answer = sentAt < serverTime - 1_000 ? late : json(200, accepted)
        answer(request, response)
      })
      const { broker, rest } = yield* connectTo(endpoints)
      assert.deepEqual(yield* broker.submit(order), { venueOrderId: "28" })
      assert.deepEqual(asked.map((each) => each.replace(/\?.*/, "")), [
        "POST /api/v3/order",
        "GET /api/v3/time",
        "POST /api/v3/order",
      ])
      assert.ok(Math.abs(rest.clockOffsetMs() - 60_000) < 1_000)
    }),
)

venueTest(
  "submit() has sent nothing that counts when the time stays wrong, and tries twice at most",
  () =>
    Effect.gen(function* () {
      const { endpoints, asked } = yield* badVenue((request, response) =>
        (request.url?.startsWith("/api/v3/time") ? json(200, { serverTime: Date.now() }) : late)(
          request,
          response,
        )
      )
      const { broker } = yield* connectTo(endpoints)
      const error = yield* Effect.flip(broker.submit(order))
      assert.equal(error._tag, "OrderNotSent")
      assert.equal(asked.filter((each) => each.startsWith("POST")).length, 2)
    }),
)

venueTest(
  "many requests that are refused for their time share one measurement",
  () =>
    Effect.gen(function* () {
      let isRight = false
      const held: Array<() => void> = []
      const { endpoints, asked } = yield* badVenue((request, response) => {
        if (request.url?.startsWith("/api/v3/time")) {
          isRight = true
          return json(200, { serverTime: Date.now() })(request, response)
        }
        if (isRight) return json(200, { canTrade: true, balances: [] })(request, response)
        // None is answered before all have been asked.
        if (held.push(() => late(request, response)) === 5) held.forEach((answer) => answer())
      })
      const { broker } = yield* connectTo(endpoints)
      yield* Effect.all(Array.from({ length: 5 }, () => broker.balances), {
        concurrency: "unbounded",
      })
      assert.equal(asked.filter((each) => each.includes("/time")).length, 1)
      assert.equal(asked.filter((each) => each.includes("/account")).length, 10)
    }),
)

venueTest(
  "what the clock shows does not depend on how long the question had to wait for its turn",
  () =>
    Effect.gen(function* () {
      const serverTime = () => Date.now() + 60_000
      const { endpoints } = yield* badVenue((request, response) =>
        json(200, { serverTime: serverTime() })(request, response)
      )
      const { rest } = yield* connectTo(endpoints)
      rest.governor.limit("slow", 1, { counts: "requests", windowMs: 2_500 })
      yield* rest.governor.spend({ priority: "data", cost: { requests: 1 }, maxWaitMs: 0 })
      const began = performance.now()
      const offsetMs = yield* rest.syncClock
      assert.ok(performance.now() - began > 2_000)
      assert.ok(Math.abs(offsetMs - 60_000) < 1_000, `${offsetMs}`)
    }),
)

venueTest(
  "Retry-After as a date is compared with the date of the answer",
  () =>
    Effect.gen(function* () {
      const limited = yield* reading(json(429, { code: -1003, msg: "" }, {
        ...{ date: "Mon, 23 Nov 2026 01:00:00 GMT" },
        ...{ "retry-after": "Mon, 23 Nov 2026 01:00:42 GMT" },
      }))
      assert.equal(limited._tag === "Throttled" && limited.retryAfterMs, 42_000)
      const words = `Way too much request weight used; IP banned until ${Date.now() + 90_000}.`
      const banned = yield* reading(json(418, { code: -1003, msg: words }))
      assert.ok(banned._tag === "Throttled" && Math.abs(banned.retryAfterMs - 90_000) < 2_000)
    }),
)

venueTest(
  "a ban outlives the process: the next one asks nothing until its end",
  () =>
    Effect.gen(function* () {
      const folder = yield* Effect.promise(() => Deno.makeTempDir())
      const bans = banFile(`${folder}/bans.json`)
      const { endpoints, asked } = yield* badVenue(
        json(418, { code: -1003, msg: "" }, { "retry-after": "60" }),
      )
      const first = yield* connectTo(endpoints, { bans })
      yield* Effect.flip(first.broker.balances)
      const second = yield* connectTo(endpoints, { bans })
      const { reason } = yield* Effect.flip(second.broker.balances)
      assert.ok(reason._tag === "Throttled" && reason.status === 418 && reason.sent === false)
      assert.equal((yield* Effect.flip(second.broker.submit(order)))._tag, "OrderNotSent")
      const { stream } = second.broker
      const silent = yield* Effect.flip(stream({ event: () => {}, undecoded: () => {} }))
      assert.equal(silent.reason._tag, "Throttled")
      assert.equal(asked.length, 1)
      yield* Effect.promise(() => Deno.remove(folder, { recursive: true }))
    }),
)

venueTest(
  "what the venue says of its limits and of what is used is taken from its answers",
  () =>
    Effect.gen(function* () {
      const usage = { "x-mbx-used-weight-1m": "5690", "x-mbx-order-count-10s": "7" }
      const { endpoints, asked } = yield* badVenue(
        json(200, { canTrade: true, balances: [] }, usage),
      )
      const { broker, rest } = yield* connectTo(endpoints)
      // The venue counts by minutes of the clock, and who asks just before the next one waits for it.
      const leftMs = 60_000 - (yield* Clock.currentTimeMillis) % 60_000
      if (leftMs < 5_000) yield* Effect.sleep(leftMs + 100)
      yield* broker.balances
      const used = (name: string) =>
        rest.governor.usage().find(({ bucket }) => bucket === name)?.used
      assert.equal(used("weight_1m"), 5_690)
      assert.equal(used("orders_10s"), 7)
      // What is left is kept for cancels.
      assert.equal((yield* Effect.flip(broker.balances)).reason._tag, "Throttled")
      assert.equal(asked.length, 1)
      assert.equal(yield* broker.cancel(BTC, "keel-1"), "requested")
      assert.equal(asked.length, 2)
    }),
)

venueTest(
  "submit() returns the venue's id, whatever its length, and sends what was asked",
  () =>
    Effect.gen(function* () {
      const body = JSON.stringify(accepted).replace('"orderId":28', '"orderId":8389765521519383888')
      const { endpoints, asked } = yield* badVenue(text(200, body))
      const { broker, traffic } = yield* connectTo(endpoints)
      assert.deepEqual(yield* broker.submit(order), { venueOrderId: "8389765521519383888" })
      const sent = new URL(asked[0]!.slice("POST ".length), endpoints.rest).searchParams
      assert.equal(sent.get("symbol"), "BTCUSDT")
      assert.equal(sent.get("side"), "BUY")
      assert.equal(sent.get("type"), "MARKET")
      assert.equal(sent.get("quantity"), "0.001")
      assert.equal(sent.get("newClientOrderId"), "keel-1")
      assert.equal(sent.get("recvWindow"), "3000")
      assert.equal(sent.get("price"), null)
      assert.equal(traffic.requestsOpen, 0)
    }),
)

venueTest("submit() of a limit order without a price never leaves", () =>
  Effect.gen(function* () {
    const { endpoints, asked } = yield* badVenue(silent)
    const { broker } = yield* connectTo(endpoints)
    const error = yield* Effect.flip(broker.submit({ ...order, type: "limit" }))
    assert.equal(error._tag, "OrderNotSent")
    assert.deepEqual(asked, [])
  }))

const reading = (answer: Answering, timeoutMs = 2_000) =>
  Effect.gen(function* () {
    const { endpoints } = yield* badVenue(answer)
    const { broker } = yield* connectTo(endpoints, { timeoutMs })
    const error = yield* Effect.flip(broker.balances)
    assertNoSecrets(error)
    assert.match(error.message, /^binance: GET \/api\/v3\/account: ./)
    assert.doesNotMatch(error.message, /\n/)
    return error.reason
  })

const readings: ReadonlyArray<readonly [string, Answering, string, RegExp]> = [
  [
    "401 with the key's code",
    json(401, { code: -2015, msg: "Invalid API-key." }),
    "Forbidden",
    /-2015 Invalid API-key/,
  ],
  [
    "400 with the signature's code",
    json(400, { code: -1022, msg: "Signature is not valid." }),
    "Forbidden",
    /-1022/,
  ],
  ["403 with a page", text(403, "<html>blocked</html>", html), "Forbidden", /HTTP 403/],
  ["451", text(451, ""), "Forbidden", /not served in this region/],
  ["504 with a page", text(504, "<html></html>", html), "Faulty", /HTTP 504/],
  ["another code", json(400, { code: -1021, msg: "Timestamp" }), "Faulty", /-1021 Timestamp/],
  ["an empty body", text(200, ""), "Faulty", /an answer that makes no sense: empty/],
  ["a page", text(200, "<html>", html), "Faulty", /not JSON/],
  [
    "balances that are none",
    json(200, { canTrade: true, balances: [{ asset: "BTC", free: "", locked: "0" }] }),
    "Faulty",
    /makes no sense/,
  ],
  ["a body that is cut", cut, "Unreachable", /./],
  ["a reset", reset, "Unreachable", /./],
]

for (const [name, answer, tag, says] of readings) {
  venueTest(
    `a request after ${name} fails as ${tag}`,
    () =>
      Effect.map(reading(answer), (reason) => {
        assert.equal(reason._tag, tag)
        assert.match("detail" in reason ? reason.detail : "", says)
      }),
  )
}

for (const status of [429, 418]) {
  venueTest(
    `after ${status} nothing is sent until the time is over, and no order is in doubt`,
    () =>
      Effect.gen(function* () {
        let banned = true
        let leapMs = 0
        const { endpoints, asked } = yield* badVenue((request, response) => {
          const answer = banned
            ? json(status, { code: -1003, msg: "" }, { "retry-after": "60" })
            : json(200, { canTrade: true, balances: [] })
          banned = false
          answer(request, response)
        })
        const { broker } = yield* connectTo(endpoints, { leapMs: () => leapMs })
        assert.equal((yield* Effect.flip(broker.balances)).reason._tag, "Throttled")
        const { reason } = yield* Effect.flip(broker.balances)
        assert.ok(reason._tag === "Throttled" && reason.retryAfterMs <= 60_000)
        const error = yield* Effect.flip(broker.submit(order))
        assert.equal(error._tag, "OrderNotSent")
        assert.equal(asked.length, 1)
        leapMs = 60_001
        assert.deepEqual(yield* broker.balances, [])
        assert.equal(asked.length, 2)
      }),
  )
}

venueTest(
  "the venue's words are kept as far as they are worth keeping",
  () =>
    Effect.gen(function* () {
      const endless = json(400, { code: -2010, msg: "x".repeat(100_000) })
      const error = yield* submitTo(endless)
      assert.equal(error._tag === "OrderRefused" && error.text, "x".repeat(500))
    }),
)

venueTest("a request after 429 and 418 fails with the time to wait", () =>
  Effect.gen(function* () {
    const limited = yield* reading(json(429, { code: -1003, msg: "" }, { "retry-after": "42" }))
    assert.deepEqual(limited._tag === "Throttled" && [limited.status, limited.retryAfterMs], [
      429,
      42_000,
    ])
    const banned = yield* reading(text(418, "<html>", { ...html, "retry-after": "120" }))
    assert.deepEqual(banned._tag === "Throttled" && [banned.status, banned.retryAfterMs], [
      418,
      120_000,
    ])
    const unsaid = yield* reading(text(429, ""))
    assert.equal(unsaid._tag === "Throttled" && unsaid.retryAfterMs, 60_000)
  }))

venueTest(
  "a request that is not answered in time fails as Unreachable",
  () =>
    Effect.map(reading(silent, 200), (reason) => {
      assert.deepEqual(reason._tag === "Unreachable" && reason.detail, "no answer in time")
    }),
)

venueTest(
  "an answer that quotes the request does not give the secrets away",
  () =>
    Effect.gen(function* () {
      const echo: Answering = (request, response) => {
        const body = `${request.headers["x-mbx-apikey"]} ${request.url?.slice(-80)}`
        response.writeHead(400).end(JSON.stringify({ code: -1100, msg: body }))
      }
      const { endpoints } = yield* badVenue(echo)
      const { broker } = yield* connectTo(endpoints)
      const error = yield* Effect.flip(broker.balances)
      assertNoSecrets(error)
      assertNoSecrets(yield* Effect.flip(broker.submit(order)))
      assert.match(error.message, /-1100 \*\*\*.*signature=\*\*\*/)
    }),
)
