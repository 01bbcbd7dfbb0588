/** Orders and account against the simulated venue, over real sockets. */
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { Effect, Exit, Fiber, Option, Result, Scope } from "effect"
import { decimal, formatDecimal, isEqual, isLess, isZero } from "../../../domain/decimal.ts"
import type { NewOrder } from "../../../venues/broker.ts"
import { eventually, fillsOf, json, listening, reportsOf, struck, venueTest } from "../harness.ts"
import { badVenue, BTC, connectTo, deafVenue, ETH, KEY, SECRET, simulated } from "./venue.ts"

const buy: NewOrder = {
  ...{ clientOrderId: "keel-1", instrument: BTC, side: "buy", type: "market" },
  ...{ quantity: decimal("0.002"), price: undefined },
}

venueTest(
  "a market order is acknowledged, filled on the private stream, and found by every question",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker } = yield* connectTo(venue.endpoints)
      const before = yield* broker.balances
      const { events, undecoded } = yield* listening(broker)
      const began = Date.now()
      const ack = yield* broker.submit(buy)
      const filled = yield* eventually(() =>
        reportsOf(events).find(({ status }) => status === "filled")
      )
      assert.deepEqual([filled.clientOrderId, filled.venueOrderId], ["keel-1", ack.venueOrderId])
      assert.equal(formatDecimal(filled.filledQuantity), "0.002")

      const order = Option.getOrThrow(yield* broker.order(BTC, "keel-1"))
      assert.deepEqual([order.status, order.venueOrderId], ["filled", ack.venueOrderId])
      assert.deepEqual(yield* broker.openOrders, [])

      const listed = yield* broker.executions(BTC, began - 5_000)
      assert.ok(listed.length > 0)
      assert.deepEqual(
        listed.map((each) => ({ ...each, clientOrderId: "keel-1" })),
        fillsOf(events),
      )
      assert.deepEqual(yield* broker.executions(ETH, 0), [])

      const after = yield* broker.balances
      const btc = after.find(({ asset }) => asset === "BTC")
      const had = before.find(({ asset }) => asset === "BTC")
      assert.ok(btc !== undefined && (had === undefined || isLess(had.free, btc.free)))
      assert.ok(events.some(({ _tag }) => _tag === "Balances"))
      assert.deepEqual(undecoded, [])
    }),
)

venueTest(
  "a limit order rests, is found open, and is cancelled on the stream under its own id",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      const { events } = yield* listening(broker)
      const [quote] = yield* market.quotes([BTC])
      const price = decimal(`${Math.floor(Number(formatDecimal(quote!.bid)) * 0.9)}`)
      yield* broker.submit({ ...buy, type: "limit", price })
      assert.deepEqual(
        (yield* broker.openOrders).map(({ clientOrderId, status }) => [clientOrderId, status]),
        [
          ["keel-1", "accepted"],
        ],
      )
      const usdt = (yield* broker.balances).find(({ asset }) => asset === "USDT")
      assert.ok(usdt !== undefined && !isZero(usdt.locked))
      assert.equal(yield* broker.cancel(BTC, "keel-1"), "requested")
      const ended = yield* eventually(() =>
        reportsOf(events).find(({ status }) => status === "canceled")
      )
      assert.equal(ended.clientOrderId, "keel-1")
      assert.ok(isZero(ended.filledQuantity))
      assert.equal(yield* broker.cancel(BTC, "keel-1"), "unknown_order")
      assert.equal(Option.getOrThrow(yield* broker.order(BTC, "keel-1")).status, "canceled")
    }),
)

venueTest(
  "an order that never was is none, and cannot be cancelled",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker } = yield* connectTo(venue.endpoints)
      assert.ok(Option.isNone(yield* broker.order(BTC, "keel-9")))
      assert.equal(yield* broker.cancel(BTC, "keel-9"), "unknown_order")
    }),
)

venueTest(
  "the venue's refusals keep their codes: too small, too expensive, used twice",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, market } = yield* connectTo(venue.endpoints)
      const refusal = (change: Partial<NewOrder>) =>
        Effect.map(Effect.result(broker.submit({ ...buy, ...change })), (result) =>
          Result.isFailure(result) && result.failure._tag === "OrderRefused"
            ? result.failure.code
            : Deno.inspect(result))
      assert.equal(yield* refusal({ quantity: decimal("0.00000001") }), "-1013")
      assert.equal(yield* refusal({ quantity: decimal("5") }), "-2010")
      const [quote] = yield* market.quotes([BTC])
      const price = decimal(`${Math.floor(Number(formatDecimal(quote!.bid)) * 0.9)}`)
      yield* broker.submit({ ...buy, type: "limit", price })
      assert.equal(yield* refusal({ type: "limit", price }), "-2010")
      assert.equal(venue.books().orders.length, 1)
    }),
)

/** Of an answer that took longer nobody knows when it was given. */
const swiftly = <A, E>(asking: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    while (true) {
      const began = performance.now()
      const answer = yield* asking
      if (performance.now() - began < 450) return answer
    }
  })

venueTest(
  "connect measures the clock, and a clock that is wrong signs right from then on",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      for (const skewMs of [-60_000, 0, 45_000]) {
        const { broker, rest } = yield* connectTo(venue.endpoints, { skewMs })
        const { clockOffsetMs } = yield* swiftly(broker.connect)
        assert.ok(Math.abs(clockOffsetMs + skewMs) < 250, `${clockOffsetMs} for ${skewMs}`)
        assert.ok(Math.abs((yield* rest.venueTime) - Date.now()) < 250)
        yield* broker.balances
      }
      // A clock that nobody has measured is measured when the venue complains of it.
      const { broker, rest } = yield* connectTo(venue.endpoints, { skewMs: -60_000 })
      const began = performance.now()
      yield* broker.submit(buy)
      const tookMs = performance.now() - began
      assert.ok(Math.abs((yield* rest.venueTime) - Date.now()) < Math.max(250, tookMs / 2))
      assert.equal(venue.books().orders.length, 1)
    }),
)

for (
  const [name, keys] of [
    ["key", { key: "wrong-key-0123456789" }],
    ["secret", { secret: "wrong-secret-0123456789" }],
  ] as const
) {
  venueTest(
    `a wrong ${name} is Forbidden, by request and by stream, and is not told`,
    () =>
      Effect.gen(function* () {
        const venue = yield* simulated()
        const { broker } = yield* connectTo(venue.endpoints, keys)
        const asking = yield* Effect.flip(broker.connect)
        const streaming = yield* Effect.flip(
          broker.stream({ event: () => {}, undecoded: () => {} }),
        )
        for (const error of [asking, streaming]) {
          assert.equal(error.reason._tag, "Forbidden", error.message)
          assert.match(error.message, /-20(?:14|15)|-1022/)
          for (const secret of [KEY, SECRET, ...Object.values(keys)]) {
            assert.ok(!Deno.inspect(error).includes(secret))
          }
        }
        const refused = yield* Effect.flip(broker.submit(buy))
        assert.equal(refused._tag, "OrderRefused")
      }),
  )
}

venueTest("the private stream ends with the venue, and says so", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const venue = yield* Effect.provideService(simulated(), Scope.Scope, scope)
    const { broker } = yield* connectTo(venue.endpoints)
    const { fiber } = yield* listening(broker)
    yield* Scope.close(scope, Exit.void)
    const error = yield* Effect.flip(Fiber.join(fiber))
    assert.match(error.message, /^binance: private stream: closed with code 1\d\d\d/)
  }))

venueTest(
  "the stream is complete from StreamUp on: what is ordered right after it is reported",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker } = yield* connectTo(venue.endpoints)
      for (const id of ["keel-1", "keel-2", "keel-3"]) {
        const { events, fiber } = yield* listening(broker)
        yield* broker.submit({ ...buy, clientOrderId: id })
        const seen = yield* eventually(() =>
          reportsOf(events).find(({ clientOrderId, status }) =>
            clientOrderId === id && status === "filled"
          )
        )
        assert.ok(isEqual(seen.filledQuantity, buy.quantity))
        yield* Fiber.interrupt(fiber)
      }
    }),
)

venueTest("a subscription that is never answered is Silent", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const { endpoints } = yield* deafVenue
    const { broker } = yield* connectTo({ ...venue.endpoints, wsApi: endpoints.wsApi }, {
      subscribeTimeoutMs: 1_000,
    })
    const error = yield* Effect.flip(broker.stream({ event: () => {}, undecoded: () => {} }))
    assert.equal(error.message, "binance: private stream: no data for 1000 ms")
  }))

const pair = generateKeyPairSync("ed25519", {
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
})

venueTest(
  "an Ed25519 key signs requests and logs the private stream on",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({ publicKey: pair.publicKey })
      const { broker } = yield* connectTo(venue.endpoints, { secret: pair.privateKey })
      yield* broker.connect
      const { events } = yield* listening(broker)
      yield* broker.submit(buy)
      yield* eventually(() => reportsOf(events).find(({ status }) => status === "filled"))
    }),
)

venueTest("a private key that is none is Forbidden, and not told", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const secret = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----"
    const { broker } = yield* connectTo(venue.endpoints, { secret })
    const error = yield* Effect.flip(broker.stream({ event: () => {}, undecoded: () => {} }))
    assert.match(error.message, /refused \(the private key is not an Ed25519 key in PEM/)
    assert.ok(!Deno.inspect(error).includes("bm90IGEga2V5"))
  }))

venueTest(
  "the private stream changes its connection, and every fill is told once",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, rest } = yield* connectTo(venue.endpoints, {
        rotation: { afterMs: 500, jitterMs: 0, overlapMs: 250, overlapMaxMs: 500, retryMs: 100 },
      })
      const { events, undecoded } = yield* listening(broker)
      const connections = () =>
        rest.governor.usage().find(({ bucket }) => bucket === "connections_5m")!.used
      let placed = 0
      while (connections() < 4) {
        yield* broker.submit({ ...buy, clientOrderId: `keel-${++placed}` })
        // A hundred orders in ten seconds are allowed, however long the changes take.
        yield* Effect.sleep(100)
      }
      const last = `keel-${placed}`
      yield* eventually(() =>
        reportsOf(events).find(({ clientOrderId, status }) =>
          clientOrderId === last && status === "filled"
        )
      )
      const listed = yield* broker.executions(BTC, 0)
      assert.deepEqual(
        fillsOf(events).map(({ executionId }) => executionId),
        listed.map(({ executionId }) => executionId),
      )
      assert.equal(events.filter(({ _tag }) => _tag === "StreamUp").length, 1)
      assert.deepEqual(undecoded, [])
    }),
)

venueTest(
  "the end of the subscription and a revoked key end the private stream",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker } = yield* connectTo(venue.endpoints)
      const first = yield* listening(broker)
      yield* venue.arm({ kind: "end_user_data" })
      const ended = yield* Effect.flip(Fiber.join(first.fiber))
      assert.match(ended.message, /eventStreamTerminated/)
      yield* struck(venue, { kind: "revoke_key" })
      const revoked = yield* Effect.flip(broker.stream({ event: () => {}, undecoded: () => {} }))
      assert.equal(revoked.reason._tag, "Forbidden")
    }),
)

const sayingTo = (respond: (request: { readonly id: unknown }) => ReadonlyArray<unknown>) =>
  Effect.gen(function* () {
    const { server, endpoints } = yield* deafVenue
    server.on("connection", (socket) => {
      socket.on("message", (data: unknown) => {
        for (const each of respond(JSON.parse(String(data)))) socket.send(JSON.stringify(each))
      })
    })
    return endpoints
  })

venueTest("a deposit makes the private stream read the balances", () =>
  Effect.gen(function* () {
    const venue = yield* simulated()
    const event = { e: "balanceUpdate", E: 1, a: "USDT", d: "5.0", T: 1 }
    const { wsApi } = yield* sayingTo(({ id }) => [{ id, status: 200, result: {} }, { event }])
    const { broker } = yield* connectTo({ ...venue.endpoints, wsApi })
    const { events } = yield* listening(broker)
    const read = yield* eventually(() => events.find(({ _tag }) => _tag === "Balances"))
    const usdt = read._tag === "Balances" && read.balances.find(({ asset }) => asset === "USDT")
    assert.equal(usdt && formatDecimal(usdt.free), "100000")
  }))

venueTest(
  "a stream that is told to wait makes everything else wait, too",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const until = Date.now() + 60_000
      const { wsApi } = yield* sayingTo(({ id }) => [{
        ...{ id, status: 418 },
        error: { code: -1003, msg: `Way too much request weight used; IP banned until ${until}.` },
      }])
      const { broker } = yield* connectTo({ ...venue.endpoints, wsApi })
      const told = yield* Effect.flip(broker.stream({ event: () => {}, undecoded: () => {} }))
      const { reason } = told
      assert.ok(reason._tag === "Throttled" && Math.abs(reason.retryAfterMs - 60_000) < 2_000)
      assert.equal((yield* Effect.flip(broker.submit(buy)))._tag, "OrderNotSent")
    }),
)

venueTest(
  "a private stream that is refused for its time has the right one the next time",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { broker, rest } = yield* connectTo(venue.endpoints, { skewMs: -60_000 })
      const refused = yield* Effect.flip(broker.stream({ event: () => {}, undecoded: () => {} }))
      assert.match(refused.message, /-1021/)
      assert.ok(Math.abs(rest.clockOffsetMs() - 60_000) < 500)
      yield* listening(broker)
    }),
)

venueTest(
  "an upgrade that is refused with a time to wait keeps connections back, not requests",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated({
        faults: [{ kind: "refuse_upgrade", status: 429, retryAfterSeconds: 30, count: 1 }],
      })
      const { broker, market } = yield* connectTo(venue.endpoints)
      const sink = { event: () => true, undecoded: () => {} }
      const first = (yield* Effect.flip(market.stream([BTC], sink))).reason
      assert.ok(first._tag === "Throttled" && first.sent !== false && first.retryAfterMs === 30_000)
      const second =
        (yield* Effect.flip(broker.stream({ event: () => {}, undecoded: () => {} }))).reason
      assert.ok(second._tag === "Throttled" && second.sent === false)
      assert.ok((yield* broker.balances).length > 0)
    }),
)

// ---- answers that the simulated venue would not give ----------------------------------------

const accepted = {
  ...{ symbol: "BTCUSDT", orderId: 28, clientOrderId: "keel-1", executedQty: "0.001" },
  status: "FILLED",
}

venueTest(
  "order() never takes a state that it does not know for no order at all",
  () =>
    Effect.gen(function* () {
      const strange = yield* badVenue(json(200, { ...accepted, status: "PENDING_CANCEL" }))
      const { broker } = yield* connectTo(strange.endpoints)
      const error = yield* Effect.flip(broker.order(BTC, "keel-1"))
      assert.match(error.message, /unknown order status "PENDING_CANCEL"/)
      const missing = yield* badVenue(json(400, { code: -2013, msg: "Order does not exist." }))
      const honest = yield* connectTo(missing.endpoints)
      assert.ok(Option.isNone(yield* honest.broker.order(BTC, "keel-1")))
    }),
)

venueTest(
  "openOrders leaves out what nobody asked for, and fails on a state it does not know",
  () =>
    Effect.gen(function* () {
      const rows = [{ ...accepted, status: "NEW" }, {
        ...accepted,
        symbol: "DOGEUSDT",
        status: "?",
      }]
      const { endpoints } = yield* badVenue(json(200, rows))
      const { broker } = yield* connectTo(endpoints)
      assert.deepEqual(
        (yield* broker.openOrders).map(({ instrument, status }) => [instrument, status]),
        [[BTC, "accepted"]],
      )
      const strange = yield* badVenue(json(200, [{ ...accepted, status: "?" }]))
      const other = yield* connectTo(strange.endpoints)
      assert.equal((yield* Effect.flip(other.broker.openOrders)).reason._tag, "Faulty")
    }),
)

venueTest(
  "executions() reads a long history page by page, to its end",
  () =>
    Effect.gen(function* () {
      const all = Array.from({ length: 2_300 }, (_, at) => ({
        ...{ id: at + 1, orderId: 9, symbol: "BTCUSDT", price: "1.5", qty: "2", commission: "0.1" },
        ...{ commissionAsset: "BNB", time: 1_000 + at, isBuyer: at % 2 === 0 },
      }))
      const { endpoints, asked } = yield* badVenue((request, response) => {
        const query = new URL(request.url!, "http://x").searchParams
        const from = Number(query.get("fromId") ?? 0)
        const since = Number(query.get("startTime") ?? 0)
        const rows = all.filter(({ id, time }) => id >= from && time >= since)
        response.end(JSON.stringify(rows.slice(0, Number(query.get("limit")))))
      })
      const { broker } = yield* connectTo(endpoints)
      const executions = yield* broker.executions(BTC, 1_100.5)
      assert.equal(asked.length, 3)
      assert.deepEqual(
        executions.map(({ executionId }) => Number(executionId)),
        all.slice(100).map(({ id }) => id),
      )
      assert.deepEqual(executions[0], {
        ...{
          executionId: "101",
          clientOrderId: "",
          venueOrderId: "9",
          instrument: BTC,
          side: "buy",
        },
        ...{
          quantity: decimal("2"),
          price: decimal("1.5"),
          fee: decimal("0.1"),
          feeAsset: "BNB",
          time: 1_100,
        },
      })
    }),
)

venueTest("connect fails for good when the key may not trade", () =>
  Effect.gen(function* () {
    const { endpoints } = yield* badVenue((request, response) => {
      const body = request.url?.startsWith("/api/v3/time")
        ? { serverTime: Date.now() }
        : { canTrade: false, balances: [] }
      response.end(JSON.stringify(body))
    })
    const { broker } = yield* connectTo(endpoints)
    const error = yield* Effect.flip(broker.connect)
    assert.equal(error.message, "binance: GET /api/v3/account: refused (this key may not trade)")
  }))
