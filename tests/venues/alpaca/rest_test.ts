/** Requests over connections and to venues that misbehave. */
import assert from "node:assert/strict"
import { Effect, Fiber } from "effect"
import { decimal } from "../../../domain/decimal.ts"
import { eventually, venueTest } from "../harness.ts"
import { AAPL, badVenue, buy, connectTo, KEY, SECRET } from "./venue.ts"

const order = {
  ...{ id: "o1", client_order_id: "keel-1", symbol: "AAPL", status: "new", filled_qty: "0" },
}

for (const how of ["reset", "cut"] as const) {
  venueTest(
    `an order is sent once, on a connection that was in use before and is ${how}`,
    () =>
      Effect.gen(function* () {
        const { asked, endpoints } = yield* badVenue((request, response) => {
          if (request.method === "GET") return response.end(JSON.stringify(order))
          if (how === "reset") request.socket.resetAndDestroy()
          else request.socket.destroy()
        })
        const { broker } = yield* connectTo(endpoints)
        yield* broker.order(AAPL, "keel-1")
        const error = yield* Effect.flip(broker.submit(buy))
        assert.equal(error._tag, "OrderUnknown")
        const change = { clientOrderId: "keel-2", quantity: decimal("5") }
        const other = yield* Effect.flip(broker.replace(AAPL, "keel-1", change))
        assert.equal(other._tag, "OrderUnknown")
        assert.deepEqual(asked.slice(1), ["POST /v2/orders", "PATCH /v2/orders/o1"])
      }),
  )
}

venueTest("what is sent is what was asked, as text, with the keys", () =>
  Effect.gen(function* () {
    let body = ""
    let headers: Record<string, unknown> = {}
    const { endpoints } = yield* badVenue((request, response) => {
      headers = request.headers
      request.on("data", (chunk) => body += chunk)
      request.on("end", () => response.end(JSON.stringify(order)))
    })
    const { broker } = yield* connectTo(endpoints)
    const ack = yield* broker.submit({
      ...{ ...buy, quantity: decimal("0.00000001"), timeInForce: "gtc" },
      bracket: { takeProfit: decimal("250.10"), stopLoss: decimal("200") },
    })
    assert.equal(ack.venueOrderId, "o1")
    assert.deepEqual(JSON.parse(body), {
      ...{ symbol: "AAPL", side: "buy", type: "market", time_in_force: "gtc", qty: "0.00000001" },
      ...{ client_order_id: "keel-1", order_class: "bracket" },
      ...{ take_profit: { limit_price: "250.1" }, stop_loss: { stop_price: "200" } },
    })
    assert.deepEqual(
      [headers["apca-api-key-id"], headers["apca-api-secret-key"]],
      [KEY, SECRET],
    )
  }))

venueTest("an answer about another order tells nothing of ours", () =>
  Effect.gen(function* () {
    const { endpoints } = yield* badVenue((request, response) => {
      const client_order_id = request.method === "GET" ? "keel-1" : "somebody"
      response.end(JSON.stringify({ ...order, client_order_id }))
    })
    const { broker } = yield* connectTo(endpoints)
    const change = { clientOrderId: "keel-2", quantity: decimal("5") }
    for (const asking of [broker.submit(buy), broker.replace(AAPL, "keel-1", change)]) {
      const error = yield* Effect.flip(asking)
      assert.ok(error._tag === "OrderUnknown" && /another order: somebody/.test(error.cause))
    }
  }))

venueTest(
  "what the clock shows does not depend on how long the question had to wait for its turn",
  () =>
    Effect.gen(function* () {
      const account = {
        ...{ status: "ACTIVE", currency: "USD", cash: "1" },
        ...{ account_blocked: false, trading_blocked: false },
      }
      const { endpoints } = yield* badVenue((request, response) => {
        const timestamp = new Date(Date.now() + 60_000).toISOString()
        response.end(JSON.stringify(request.url === "/v2/clock" ? { timestamp } : account))
      })
      const { broker, governor } = yield* connectTo(endpoints)
      governor.limit("slow", 2, { counts: "alpaca:trading", windowMs: 2_500 })
      const spending = { priority: "order", cost: { "alpaca:trading": 1 }, maxWaitMs: 0 } as const
      yield* Effect.all([governor.spend(spending), governor.spend(spending)])
      const { clockOffsetMs } = yield* broker.connect
      assert.ok(Math.abs(clockOffsetMs - 60_000) < 1_000, `${clockOffsetMs}`)
    }),
)

venueTest("a request that nobody waits for any more is given up", () =>
  Effect.gen(function* () {
    let closed = false
    const { asked, endpoints } = yield* badVenue((_request, response) => {
      response.on("close", () => closed = true)
    })
    const { market, traffic } = yield* connectTo(endpoints, { timeoutMs: 60_000 })
    const fiber = yield* Effect.forkScoped(market.quotes([AAPL]))
    yield* eventually(() => asked[0])
    assert.equal(traffic.requestsOpen, 1)
    yield* Fiber.interrupt(fiber)
    yield* eventually(() => closed || undefined)
    assert.equal(traffic.requestsOpen, 0)
  }))

venueTest(
  "the limits of the answers are ours, and what others have used counts",
  () =>
    Effect.gen(function* () {
      const reset = String(Math.ceil(Date.now() / 1_000) + 30)
      const { endpoints } = yield* badVenue((_request, response) => {
        response.writeHead(200, {
          ...{ "x-ratelimit-limit": "1000", "x-ratelimit-remaining": "100" },
          "x-ratelimit-reset": reset,
        }).end("[]")
      })
      const { broker, governor } = yield* connectTo(endpoints)
      yield* broker.openOrders
      const usage = governor.usage().find(({ bucket }) => bucket === "alpaca:trading")!
      assert.deepEqual([usage.limit, usage.used], [1_000, 900])
    }),
)

venueTest(
  "who is told to slow down waits until the venue counts anew, by its clock",
  () =>
    Effect.gen(function* () {
      const date = "Mon, 23 Nov 2026 15:30:20 GMT"
      const reset = Date.UTC(2026, 10, 23, 15, 30, 27) / 1_000
      const waits = [
        [{ "x-ratelimit-reset": String(reset) }, 7_000],
        [{ "x-ratelimit-reset": String(reset), "retry-after": "3" }, 3_000],
        [{ "x-ratelimit-reset": String(reset + 86_400) }, 60_000],
        [{ "x-ratelimit-reset": String(reset - 7) }, 1_000],
        [{ "x-ratelimit-reset": "soon" }, 60_000],
        [{}, 60_000],
      ] as const
      for (const [headers, waitMs] of waits) {
        const { endpoints } = yield* badVenue((_request, response) => {
          response.writeHead(429, { date, ...headers }).end('{"message":"too many requests."}')
        })
        const { broker } = yield* connectTo(endpoints)
        const { reason } = yield* Effect.flip(broker.balances)
        assert.equal(reason._tag === "Throttled" && reason.retryAfterMs, waitMs)
      }
    }),
)

venueTest(
  "no failure quotes half a key, where its text is cut",
  () =>
    Effect.gen(function* () {
      for (let before = 30; before < 500; before += 10) {
        const { endpoints } = yield* badVenue((_request, response) => {
          response.end(`${"x".repeat(before)}${SECRET}`)
        })
        const { broker } = yield* connectTo(endpoints)
        const { message } = yield* Effect.flip(broker.balances)
        assert.match(message, /not JSON: x/)
        assert.ok(!message.includes(SECRET.slice(0, 4)), message)
      }
    }),
)

venueTest(
  "no failure quotes the keys, whatever the venue sends back",
  () =>
    Effect.gen(function* () {
      for (const status of [200, 400, 401, 403, 422, 500]) {
        const { endpoints } = yield* badVenue((_request, response) => {
          response.writeHead(status).end(`{"code":40010001,"message":"got ${KEY} and ${SECRET}"}`)
        })
        const { broker, market } = yield* connectTo(endpoints)
        const texts = [
          (yield* Effect.flip(broker.balances)).message,
          (yield* Effect.flip(market.quotes([AAPL]))).message,
          JSON.stringify(yield* Effect.flip(broker.submit(buy))),
        ]
        for (const text of texts) {
          assert.ok(!text.includes(KEY) && !text.includes(SECRET), `${status}: ${text}`)
        }
      }
    }),
)
