/** One market stream over one connection after the other, at venues that do what they are told. */
import assert from "node:assert/strict"
import { Effect, Fiber } from "effect"
import { WebSocket } from "ws"
import type { MarketEvent, Trade } from "../../../domain/market.ts"
import { eventually, ownClock, venueTest } from "../harness.ts"
import * as frames from "./frames.ts"
import { BTC, connectTo, deafVenue, ETH, simulated, streaming } from "./venue.ts"

venueTest(
  "stream() brings trades and quotes of every instrument, ids ascending without a gap",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market, traffic } = yield* connectTo(venue.endpoints)
      const { events, undecoded, fiber } = yield* streaming(market)
      const of = (tag: string, id: string) =>
        events.filter((event) => event._tag === tag && event.instrument === id)
      yield* eventually(() =>
        [BTC, ETH].every((id) => of("Trade", id).length >= 3 && of("Quote", id).length >= 3)
          ? true
          : undefined
      )
      for (const id of [BTC, ETH]) {
        const ids = (of("Trade", id) as ReadonlyArray<Trade>).map(({ tradeId }) => Number(tradeId))
        assert.ok(ids.every((each, at) => at === 0 || each === ids[at - 1]! + 1), `${ids}`)
      }
      assert.deepEqual(undecoded, [])
      assert.ok(traffic.framesReceived >= events.length)
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "stream() ends with Overrun when nobody takes the events, and with its interruption otherwise",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market } = yield* connectTo(venue.endpoints)
      const { fiber } = yield* streaming(market, (seen) => seen < 3)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.equal(error.reason._tag, "Overrun")
    }),
)

/** What the market stream makes of these frames. */
const fed = (texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { server, endpoints } = yield* deafVenue
    const subscriptions: Array<string> = []
    server.on("connection", (socket: WebSocket) => {
      socket.on("message", (data) => {
        subscriptions.push(String(data))
        for (const text of texts) socket.send(text)
      })
    })
    const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
      subscribeTimeoutMs: 1_000,
    })
    return { ...(yield* streaming(market)), subscriptions }
  })

venueTest(
  "stream() subscribes to trades and quotes and shows what it cannot read, without ending",
  () =>
    Effect.gen(function* () {
      const good = JSON.stringify({ stream: "x", data: frames.trade })
      const { events, undecoded, fiber, subscriptions } = yield* fed([
        '{"result":null,"id":1}',
        "garbage",
        good.slice(0, 40),
        good.replace('"37000.01000000"', "null"),
        good.replace("BTCUSDT", "DOGEUSDT"),
        JSON.stringify(frames.depth),
        good,
      ])
      yield* eventually(() => events[0])
      assert.deepEqual(events.map(({ _tag }) => _tag), ["Trade"])
      assert.equal(undecoded.length, 4)
      assert.deepEqual(JSON.parse(subscriptions[0]!), {
        ...{ method: "SUBSCRIBE", id: 1 },
        params: ["btcusdt@trade", "btcusdt@bookTicker", "ethusdt@trade", "ethusdt@bookTicker"],
      })
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "stream() ends when the subscription is refused",
  () =>
    Effect.gen(function* () {
      const refused = yield* fed(['{"code":2,"msg":"Invalid request: unknown stream","id":1}'])
      const error = yield* Effect.flip(Fiber.join(refused.fiber))
      assert.match(error.message, /market stream: subscribing: 2 Invalid request: unknown stream/)
    }),
)

/** A venue that acknowledges everything, and answers questions as `listed` says. */
const acknowledging = (listed: (wanted: ReadonlyArray<string>) => unknown) =>
  Effect.gen(function* () {
    const { server, endpoints } = yield* deafVenue
    const requests: Array<{ readonly method: string; readonly params?: ReadonlyArray<string> }> = []
    server.on("connection", (socket: WebSocket) => {
      let wanted: ReadonlyArray<string> = []
      socket.on("message", (data) => {
        const request = JSON.parse(String(data))
        requests.push(request)
        if (request.method === "SUBSCRIBE") wanted = [...wanted, ...request.params]
        const result = request.method === "SUBSCRIBE" ? null : listed(wanted)
        socket.send(JSON.stringify({ result, id: request.id }))
      })
    })
    const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
      listEveryMs: 50,
    })
    return { ...(yield* streaming(market)), requests }
  })

venueTest(
  "stream() asks what is subscribed, and subscribes again to what is not",
  () =>
    Effect.gen(function* () {
      const lost = "ethusdt@trade"
      const { fiber, requests } = yield* acknowledging((wanted) =>
        wanted.indexOf(lost) === wanted.lastIndexOf(lost)
          ? wanted.filter((each) => each !== lost)
          : wanted
      )
      const again = yield* eventually(() =>
        requests.filter(({ method }) => method === "SUBSCRIBE")[1]
      )
      assert.deepEqual(again.params, [lost])
      const after = requests.indexOf(again)
      yield* eventually(() =>
        requests.slice(after).filter(({ method }) => method === "LIST_SUBSCRIPTIONS")[1]
      )
      assert.equal(requests.filter(({ method }) => method === "SUBSCRIBE").length, 2)
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "stream() ends when the connection has lost every subscription, or never had one",
  () =>
    Effect.gen(function* () {
      const { fiber } = yield* acknowledging(() => [])
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.match(error.message, /the venue has forgotten every subscription/)
      const silent = yield* fed([])
      const unheard = yield* Effect.flip(Fiber.join(silent.fiber))
      assert.match(unheard.message, /subscribing: no acknowledgement for 1000 ms/)
    }),
)

venueTest(
  "stream() subscribes to hundreds of instruments in a few frames, as slowly as is allowed",
  () =>
    Effect.gen(function* () {
      const { clock, on, passUntil } = yield* ownClock
      const { server, endpoints } = yield* deafVenue
      const frames: Array<{ readonly at: number; readonly params: ReadonlyArray<string> }> = []
      server.on("connection", (socket: WebSocket) => {
        socket.on("message", (data) => {
          const { id, params } = JSON.parse(String(data))
          frames.push({ at: clock.currentTimeMillisUnsafe(), params })
          socket.send(JSON.stringify({ result: null, id }))
        })
      })
      const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints })
      const ids = Array.from({ length: 250 }, (_, at) => `A${at}/USDT.BINANCE`)
      const sink = { event: () => true, undecoded: () => {} }
      const fiber = yield* Effect.forkScoped(on(market.stream(ids, sink)))
      yield* eventually(() => frames[0])
      yield* passUntil(10, () => frames[2])
      yield* passUntil(100, () => clock.currentTimeMillisUnsafe() > 8_000 || undefined)
      assert.deepEqual(frames.map(({ params }) => params.length), [200, 200, 100])
      assert.equal(new Set(frames.flatMap(({ params }) => params)).size, 500)
      for (const [index, { at }] of frames.entries()) {
        assert.ok(index === 0 || at - frames[index - 1]!.at > 250)
      }
      assert.equal(fiber.pollUnsafe(), undefined)
      yield* Fiber.interrupt(fiber)
    }),
)

const fast = { afterMs: 700, jitterMs: 0, overlapMs: 300, overlapMaxMs: 3_000, retryMs: 100 }

/** Trade ids of one instrument; a hole or a repetition is an error. */
function assertDense(events: ReadonlyArray<MarketEvent>, instrument: string): number {
  const ids = events.flatMap((event) =>
    event._tag === "Trade" && event.instrument === instrument ? [Number(event.tradeId)] : []
  )
  const broken = ids.findIndex((id, at) => at > 0 && id !== ids[at - 1]! + 1)
  assert.equal(broken, -1, `after ${ids[broken - 1]} comes ${ids[broken]}`)
  const updates = events.flatMap((event) =>
    event._tag === "Quote" && event.instrument === instrument ? [Number(event.updateId)] : []
  )
  assert.ok(updates.every((id, at) => at === 0 || id > updates[at - 1]!), "quotes only go forward")
  return ids.length
}

venueTest(
  "stream() changes its connection again and again without a hole or a repetition",
  () =>
    Effect.gen(function* () {
      const venue = yield* simulated()
      const { market, rest } = yield* connectTo(venue.endpoints, { rotation: fast })
      const { events, fiber, undecoded } = yield* streaming(market)
      const connections = () =>
        rest.governor.usage().find(({ bucket }) => bucket === "connections_5m")!.used
      yield* eventually(() => connections() >= 4 ? true : undefined)
      yield* Effect.sleep(500)
      assert.ok(assertDense(events, BTC) > 5)
      assertDense(events, ETH)
      assert.deepEqual(undecoded, [])
      yield* Fiber.interrupt(fiber)
    }),
)

/** A venue of one market, whose servers can be shut down one by one. */
const runningVenue = Effect.gen(function* () {
  const { server, endpoints } = yield* deafVenue
  const sockets: Array<WebSocket> = []
  server.on("connection", (socket: WebSocket) => {
    socket.on("message", (data) => {
      const { id, method } = JSON.parse(String(data))
      socket.send(JSON.stringify({ result: null, id }))
      if (method === "SUBSCRIBE") sockets.push(socket)
    })
  })
  let tradeId = 100
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    Effect.sleep(20),
    Effect.sync(() => {
      tradeId++
      for (const socket of sockets) {
        socket.send(JSON.stringify({ ...frames.trade, t: tradeId }))
        socket.send(JSON.stringify({ ...frames.bookTicker, u: tradeId * 10 }))
      }
    }),
  )))
  const announce = (socket: WebSocket) =>
    socket.send('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')
  return { sockets, announce, endpoints }
})

venueTest(
  "stream() survives the shutdown of a server that the venue has announced, without a hole",
  () =>
    Effect.gen(function* () {
      const { announce, endpoints, sockets } = yield* runningVenue
      const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
        rotation: { ...fast, afterMs: 600_000 },
      })
      const { events, fiber } = yield* streaming(market)
      for (const turn of [0, 1]) {
        const old = yield* eventually(() => events.length > 10 ? sockets[turn] : undefined)
        announce(old)
        yield* eventually(() => old.readyState === WebSocket.CLOSED ? true : undefined)
        const before = events.length
        yield* eventually(() => events.length > before + 10 ? true : undefined)
      }
      assert.ok(assertDense(events, BTC) > 20)
      assert.equal(sockets.length, 3)
      yield* Fiber.interrupt(fiber)
    }),
)

venueTest(
  "stream() goes on with its second connection when the first one ends before its time",
  () =>
    Effect.gen(function* () {
      const { announce, endpoints, sockets } = yield* runningVenue
      const { market } = yield* connectTo({ rest: "http://127.0.0.1:9", ...endpoints }, {
        rotation: { ...fast, afterMs: 600_000, overlapMs: 60_000, overlapMaxMs: 90_000 },
      })
      const { events, fiber } = yield* streaming(market)
      const first = yield* eventually(() => events.length > 10 ? sockets[0] : undefined)
      announce(first)
      yield* eventually(() => sockets[1])
      // What comes on both has been read on both.
      const more = (count: number) => {
        const before = events.length
        return eventually(() => events.length > before + count ? true : undefined)
      }
      yield* more(20)
      first.close(1001)
      yield* more(30)
      assert.ok(assertDense(events, BTC) > 20)
      sockets[1]!.close(1001)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.match(error.message, /market stream: closed with code 1001/)
    }),
)
