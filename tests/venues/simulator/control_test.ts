import assert from "node:assert/strict"
import { Effect } from "effect"
import { startControl } from "../../../venues/simulator/control.ts"
import { decodeFault, readScenario } from "../../../venues/simulator/scenario.ts"
import { answer, Ear, restClient, scopedTest, startVenue } from "./simulator.ts"

scopedTest(
  "the control endpoint shows the books, arms and disarms faults, and keeps the journal",
  () =>
    Effect.gen(function* () {
      const venue = yield* startVenue()
      const control = yield* startControl({ host: "127.0.0.1", port: 0 }, { binance: venue })
      yield* Effect.promise(async () => {
        const get = (path: string) => fetch(`${control}${path}`).then((response) => response.json())
        const post = async (body: string) => {
          const response = await fetch(`${control}/faults`, { method: "POST", body })
          return { status: response.status, body: await response.json() }
        }
        await answer(
          restClient(venue).postPrivate("api/v3/order", {
            symbol: "BTCUSDT",
            side: "BUY",
            type: "MARKET",
            quantity: "0.01",
          }),
        )
        const { binance: books } = await get("/books")
        assert.deepEqual(books, JSON.parse(JSON.stringify(venue.books())))
        assert.equal(books.balances.BTC.free, "0.00999000")

        const armed = await post(JSON.stringify({ kind: "drop", match: { stream: "nothing" } }))
        assert.equal(armed.status, 201)
        assert.deepEqual((await get("/faults")).map((fault: { id: string }) => fault.id), [
          armed.body.id,
        ])
        const ear = await new Ear(`${venue.endpoints.ws}/stream`).opened()
        await post(JSON.stringify({ kind: "close_connections", code: 1012 }))
        assert.equal(await ear.closed, 1012)
        assert.deepEqual((await get("/journal")).map((strike: { kind: string }) => strike.kind), [
          "close_connections",
        ])
        const removed = await fetch(`${control}/faults/${armed.body.id}`, { method: "DELETE" })
        assert.deepEqual([removed.status, await removed.json()], [200, {}])
        const again = await fetch(`${control}/faults/${armed.body.id}`, { method: "DELETE" })
        assert.deepEqual([again.status, await again.json()], [404, {
          error: `no fault ${armed.body.id} is armed`,
        }])

        const unreadable = await fetch(`${control}/faults/%ZZ`, { method: "DELETE" })
        assert.deepEqual([unreadable.status, await unreadable.json()], [404, {
          error: "no fault %ZZ is armed",
        }])

        assert.match(
          (await post('{"venue":"nyse","kind":"swap"}')).body.error,
          /^fault\.venue must be one of binance, alpaca, got "nyse"$/,
        )
        assert.deepEqual(await post('{"venue":"alpaca","kind":"swap"}'), {
          status: 400,
          body: { error: "no alpaca runs here" },
        })
        assert.deepEqual(await post("{"), {
          status: 400,
          body: { error: "the body is not valid JSON" },
        })
        assert.match(
          (await post('{"kind":"boom"}')).body.error,
          /^fault\.kind must be one of .*outage.*, got "boom"$/,
        )
        assert.match((await post('{"kind":"outage"}')).body.error, /^fault: .*ms/)
        assert.match((await post('{"kind":"outage","ms":1,"mss":2}')).body.error, /^fault: .*mss/)
        assert.match(
          (await post('{"kind":"listing","symbol":"X"}')).body.error,
          /symbol X is not listed/,
        )
        assert.deepEqual(await get("/nothing"), { error: "no GET /nothing here" })
      })
    }),
)

async function read(text: string) {
  const path = await Deno.makeTempFile()
  try {
    await Deno.writeTextFile(path, text)
    const result = await Effect.runPromise(Effect.result(readScenario(path)))
    return result._tag === "Success" ? result.success : result.failure.message.replace(path, "FILE")
  } finally {
    await Deno.remove(path)
  }
}

Deno.test("a scenario's seed is that of its faults which name none", async () => {
  assert.deepEqual(
    await read('{"seed":7,"faults":[{"kind":"drop"},{"kind":"swap","seed":1,"probability":0.5}]}'),
    {
      seed: 7,
      faults: {
        binance: [{ kind: "drop", seed: 7 }, { kind: "swap", seed: 1, probability: 0.5 }],
        alpaca: [],
      },
    },
  )
})

Deno.test("a fault of a scenario may be for the other venue", async () => {
  assert.deepEqual(await read('{"faults":[{"kind":"drop","venue":"alpaca"}]}'), {
    faults: { binance: [], alpaca: [{ kind: "drop" }] },
  })
})

Deno.test("a wrong scenario is refused in one line that says where", async () => {
  const text = async (content: string) => {
    const complaint = await read(content)
    assert.equal(typeof complaint, "string")
    assert.equal(String(complaint).includes("\n"), false)
    return String(complaint)
  }
  assert.match(await text("{"), /^FILE: not valid JSON: /)
  assert.match(await text('{"fault":[]}'), /^FILE: .*fault/)
  assert.match(
    await text('{"faults":[{"kind":"drop"},{"kind":"late"}]}'),
    /^FILE: faults\[1\]: .*ms/,
  )
  assert.match(
    await text('{"faults":[{"kind":"drop","probability":2}]}'),
    /^FILE: faults\[0\]: .*probability/,
  )
  const missing = await Effect.runPromise(Effect.flip(readScenario("no/such.json")))
  assert.equal(missing.message, "no/such.json: no such file")
})

Deno.test("every kind of fault is read back as it was written", async () => {
  for (
    const fault of [
      {
        kind: "respond",
        when: "after",
        status: 504,
        body: "x",
        match: { door: "rest", symbol: "BTC*" },
      },
      { kind: "reset", when: "before" },
      { kind: "hang", when: "after" },
      { kind: "delay", when: "after", ms: 10 },
      { kind: "truncate", when: "after" },
      { kind: "drip", when: "after", ms: 1 },
      { kind: "fill_before_cancel", when: "before" },
      { kind: "refuse_upgrade", status: 418, retryAfterSeconds: 3 },
      { kind: "hang_upgrade" },
      { kind: "drop", fromMs: 1, untilMs: 2, count: 3 },
      { kind: "duplicate" },
      { kind: "swap" },
      { kind: "late", ms: 5 },
      { kind: "garble", as: "crossed_quote" },
      { kind: "reset_connections" },
      { kind: "cut_connections" },
      { kind: "close_connections", code: 1008, reason: "x" },
      { kind: "freeze_connections" },
      { kind: "server_shutdown", ms: 1 },
      { kind: "outage", ms: 1 },
      { kind: "burst", frames: 9 },
      { kind: "end_user_data" },
      { kind: "revoke_key" },
      { kind: "no_pings" },
      { kind: "clock_skew", ms: -5 },
      { kind: "read_lag", ms: 5 },
      { kind: "listing", symbol: "BTCUSDT", status: "CANCEL_ONLY" },
      { kind: "limits", ordersPer10s: 1 },
      { kind: "mute", match: { door: "dataStream" } },
      { kind: "slot_busy", closes: false, match: { path: "/v2/iex" } },
      { kind: "auth_failure" },
      { kind: "subscription_error", code: 409 },
      { kind: "halt", symbol: "AAPL", code: "LUDP", reason: "pause", ms: 5 },
      { kind: "resume", symbol: "AAPL" },
      { kind: "luld", symbol: "AAPL", up: "240.1", down: "220" },
      { kind: "trade_correction", symbol: "AAPL", price: "1.5", size: "10" },
      { kind: "trade_cancel", symbol: "AAPL" },
      { kind: "imbalance", symbol: "AAPL" },
      { kind: "session", phase: "overnight", ms: 5 },
      { kind: "early_close", ms: 5 },
    ]
  ) {
    assert.deepEqual(await Effect.runPromise(decodeFault(fault, "fault")), fault)
  }
})
