import assert from "node:assert/strict"
import { Clock, Effect } from "effect"
import { makeMemoryLedger } from "../../../venues/simulator/ledger.ts"
import { MarketClock } from "../../../venues/simulator/market_clock.ts"
import { openRecording } from "../../../venues/simulator/recording.ts"
import { answer, Ear, restClient, scopedTest, startVenue } from "./simulator.ts"

const FRAMES = new URL("../../fixtures/recordings/ABCUSDT-frames.txt", import.meta.url)

const startReplay = Effect.fn(function* (balances?: Record<string, string>) {
  const recording = yield* openRecording(FRAMES.pathname)
  const clock = new MarketClock(recording.startMs)
  const venue = yield* startVenue({
    market: { kind: "recording", recording, clock },
    ledger: makeMemoryLedger(),
    ...(balances && { balances }),
  })
  return { recording, clock, venue, pacing: yield* Clock.Clock }
})

scopedTest(
  "a replay sends every recorded frame once, byte for byte, in order",
  () =>
    Effect.gen(function* () {
      const { recording, venue, pacing } = yield* startReplay()
      const names = ["trade", "bookTicker", "depth@100ms", "kline_1m"].map((one) =>
        `abcusdt@${one}`
      )
      const ear = yield* Effect.promise(() =>
        new Ear(`${venue.endpoints.ws}/stream?streams=${names.join("/")}`).opened()
      )
      const settled = Effect.promise(() =>
        ear.hears(() => ear.texts.length === venue.traffic().framesSent)
      )
        .pipe(Effect.when(Effect.sync(() => venue.traffic().framesSent > 0)), Effect.asVoid)
      const summary = yield* venue.play({ speed: 0, pacing, settled })
      const text = yield* Effect.promise(() => Deno.readTextFile(FRAMES))
      const frames = text.trimEnd().split("\n").map((line) => line.slice(line.indexOf(" ") + 1))
        .filter((frame) => frame.includes('"stream"'))
      assert.deepEqual(ear.texts, frames)
      assert.deepEqual(summary, {
        trades: { ABCUSDT: { sent: 2, lastTradeId: 502 } },
        events: 8,
        framesSent: frames.length,
        startMs: recording.startMs,
        endMs: recording.endMs,
      })
      yield* Effect.promise(() => ear.close())
    }),
)

scopedTest(
  "orders of a replay fill at prices that were in the recorded book at that time",
  () =>
    Effect.gen(function* () {
      const { venue, pacing } = yield* startReplay()
      const client = restClient(venue)
      // The client signs with the recording's time, as a bot on the market's clock would.
      const { serverTime } = yield* Effect.promise(() => answer(client.get("api/v3/time")))
      client.setTimeOffset(serverTime - pacing.currentTimeMillisUnsafe())
      let steps = 0
      let placed: Record<string, unknown> | undefined
      const settled = Effect.promise(async () => {
        if (++steps !== 6) return
        placed = await answer(client.postPrivate("api/v3/order", {
          symbol: "ABCUSDT",
          side: "BUY",
          type: "MARKET",
          quantity: "7",
        }))
      })
      yield* venue.play({ speed: Infinity, pacing, settled })
      // 5.5 at the quoted offer, the rest one level deeper, which the recorded depth knows.
      const fills = placed?.["fills"] as ReadonlyArray<Record<string, unknown>>
      assert.deepEqual(fills.map((fill) => [fill["price"], fill["qty"], fill["tradeId"]]), [
        ["10.01000000", "5.50000000", 503],
        ["10.05000000", "1.50000000", 504],
      ])
    }),
)

scopedTest("during a replay the venue's clock is the recording's", () =>
  Effect.gen(function* () {
    const { recording, venue, pacing } = yield* startReplay()
    const times = new Array<number>()
    const settled = Effect.promise(async () => {
      times.push((await answer(restClient(venue).get("api/v3/time"))).serverTime)
    })
    yield* venue.play({ speed: 0, pacing, settled })
    assert.equal(times[0], recording.startMs)
    assert.equal(times.at(-1), recording.endMs)
    assert.deepEqual(times, times.toSorted((a, b) => a - b))
  }))

scopedTest(
  "a sleeper of the market's clock wakes at its own time, between the events around it",
  () =>
    Effect.gen(function* () {
      const { recording, clock, venue, pacing } = yield* startReplay()
      const woken = new Array<number>()
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.sleep(60).pipe(
            Effect.andThen(Clock.currentTimeMillis),
            Effect.map((now) => woken.push(now)),
          ),
        ).pipe(Effect.provideService(Clock.Clock, clock.clock)),
      )
      yield* venue.play({
        speed: 0,
        pacing,
        settled: Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0))),
      })
      const beats = Math.floor((recording.endMs - recording.startMs) / 60)
      assert.deepEqual(
        woken,
        Array.from({ length: beats }, (_, i) => recording.startMs + (i + 1) * 60),
      )
    }),
)

scopedTest(
  "an answer held back by a fault comes when the market's clock gets there",
  () =>
    Effect.gen(function* () {
      const { venue, pacing } = yield* startReplay()
      yield* venue.arm({
        kind: "delay",
        when: "before",
        ms: 200,
        match: { path: "/api/v3/time" },
        count: 1,
      })
      let asked: Promise<{ serverTime: number }> | undefined
      const settled = Effect.promise(async () => {
        asked ??= answer(restClient(venue).get("api/v3/time"))
        // Held requests must not keep the clock from moving.
        while (venue.faults.journal.length === 0 || venue.traffic().requestsOpen > 0) {
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      })
      const { startMs } = yield* venue.play({ speed: 0, pacing, settled })
      const { serverTime } = yield* Effect.promise(async () => await asked ?? { serverTime: 0 })
      assert.equal(serverTime, startMs + 200)
    }),
)

scopedTest("speed divides the recording's spacing", () =>
  Effect.gen(function* () {
    const { recording, venue, pacing } = yield* startReplay()
    const slept = new Array<number>()
    let now = 0
    const fast: Clock.Clock = {
      ...pacing,
      currentTimeMillisUnsafe: () => now,
      sleep: (duration) =>
        Effect.sync(() => {
          const ms = Number(duration.toString().match(/[\d.]+/)?.[0] ?? 0)
          slept.push(ms)
          now += ms
        }),
    }
    yield* venue.play({ speed: 10, pacing: fast, settled: Effect.void })
    const total = slept.reduce((sum, ms) => sum + ms, 0)
    assert.ok(Math.abs(total - (recording.endMs - recording.startMs) / 10) < 2, `${total} ms`)
  }))

scopedTest("klines that were not recorded are made from the trades", () =>
  Effect.gen(function* () {
    const { venue, pacing } = yield* startReplay()
    const ear = yield* Effect.promise(() =>
      new Ear(`${venue.endpoints.ws}/ws/abcusdt@kline_1s`).opened()
    )
    yield* venue.play({ speed: 0, pacing, settled: Effect.void })
    const { k: kline } = yield* Effect.promise(() => ear.hears((frame) => frame.k.n === 1))
    assert.deepEqual([kline.i, kline.o, kline.v, kline.x], [
      "1s",
      "10.01000000",
      "1.25000000",
      false,
    ])
    yield* Effect.promise(() => ear.close())
  }))

scopedTest("a recording is played once", () =>
  Effect.gen(function* () {
    const { venue, pacing } = yield* startReplay()
    yield* venue.play({ speed: 0, pacing, settled: Effect.void })
    const error = yield* Effect.flip(venue.play({ speed: 0, pacing, settled: Effect.void }))
    assert.equal(error.message, "the recording has been played already")
  }))
