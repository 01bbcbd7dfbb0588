/** The contract of the HTTP interface, in process, over the fixture. */
import assert from "node:assert/strict"
import { makeApp } from "../../http/app.tsx"
import { limits } from "../../http/limits.ts"
import { type FakeOptions, FakeRuntime } from "../fake_runtime.ts"

const START_MS = 1_764_000_000_000

interface Fixture {
  readonly runtime: FakeRuntime
  /** Lets time of the machine pass, which else stands still. */
  readonly elapse: (ms: number) => void
  readonly get: (path: string, headers?: HeadersInit) => Promise<Response>
  readonly post: (path: string, body: unknown, headers?: HeadersInit) => Promise<Response>
  readonly form: (
    path: string,
    fields: Record<string, string>,
    headers?: HeadersInit,
  ) => Promise<Response>
}

function testApi(
  name: string,
  body: (fixture: Fixture) => Promise<void>,
  options: Partial<FakeOptions> = {},
) {
  Deno.test(name, async () => {
    const runtime = new FakeRuntime({ now: () => START_MS, ...options })
    let machineNow = 0
    const { fetch, close } = makeApp(runtime, () => machineNow)
    const request = (path: string, init?: RequestInit) =>
      fetch(new Request(`http://localhost:8000${path}`, init))
    try {
      await body({
        runtime,
        elapse: (ms) => machineNow += ms,
        get: (path, headers = {}) => request(path, { headers }),
        post: (path, body, headers = {}) =>
          request(path, {
            method: "POST",
            body: typeof body === "string" ? body : JSON.stringify(body),
            headers: { "content-type": "application/json", ...headers },
          }),
        form: (path, fields, headers = {}) =>
          request(path, { method: "POST", body: new URLSearchParams(fields), headers }),
      })
    } finally {
      close()
    }
    assert.equal(runtime.listeners, 0)
    assert.deepEqual(runtime.defects, [])
  })
}

const pause = { commandId: "c-1", type: "pause", scope: { kind: "all" } }
const script = { "hx-request": "true" }

/** Reads a stream until it has said `wanted`, then leaves. */
async function until(response: Response, wanted: string): Promise<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  while (!text.includes(wanted)) {
    const { done, value } = await reader.read()
    if (done) break
    text += value
  }
  await reader.cancel()
  return text
}

function idsOf(stream: string): ReadonlyArray<number> {
  return [...stream.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
}

testApi("every answer carries the content policy, errors too", async ({ get }) => {
  for (const path of ["/", "/nowhere", "/api/v1/state", "/static/app.css", "/healthz"]) {
    const response = await get(path)
    await response.body?.cancel()
    assert.equal(
      response.headers.get("content-security-policy"),
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      path,
    )
    assert.equal(response.headers.get("x-content-type-options"), "nosniff")
  }
})

Deno.test("a request under a name that is not ours is turned away", async () => {
  const { fetch, close } = makeApp(new FakeRuntime({ now: () => START_MS }))
  const response = await fetch(new Request("http://evil.test/api/v1/state"))
  assert.equal(response.status, 421)
  close()
})

testApi("a command sent by another site is refused, whichever header says so", async (it) => {
  const cases: ReadonlyArray<readonly [HeadersInit, number]> = [
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "sec-fetch-site": "same-site" }, 403],
    [{ origin: "http://evil.test", host: "localhost:8000" }, 403],
    [{ origin: "null", host: "localhost:8000" }, 403],
    [{ "sec-fetch-site": "same-origin" }, 202],
    [{ origin: "http://localhost:8000", host: "localhost:8000" }, 202],
    [{}, 202],
  ]
  for (const [headers, status] of cases) {
    const response = await it.post("/api/v1/commands", pause, headers)
    assert.equal(response.status, status, JSON.stringify(headers))
  }
  assert.equal(it.runtime.taken.length, 1)
})

testApi("state is the read model", async ({ get, runtime }) => {
  const state = await (await get("/api/v1/state")).json()
  assert.deepEqual(state, JSON.parse(JSON.stringify(runtime.overview())))
})

testApi(
  "a command is answered 202 with its event, and acts once however often it is sent",
  async (it) => {
    const first = await it.post("/api/v1/commands", pause)
    assert.equal(first.status, 202)
    const receipt = await first.json()
    assert.equal(receipt.commandId, "c-1")
    assert.equal(receipt.seq, it.runtime.overview().seq)
    assert.deepEqual(await (await it.post("/api/v1/commands", pause)).json(), receipt)
    assert.equal(it.runtime.taken.length, 1)
    assert.equal(it.runtime.overview().tradingState, "halted")
  },
)

testApi("a refused command says why, with the status the runtime gave it", async ({ post }) => {
  const close = (id: string) =>
    post("/api/v1/commands", {
      commandId: `c-${id.length}`,
      type: "close_position",
      scope: { kind: "position", id },
    })
  const unknown = await close("XRP/USDT.BINANCE")
  assert.equal(unknown.status, 404)
  assert.match((await unknown.json()).error, /no open position/)
})

testApi("balances of an account are accepted by command", async (it) => {
  const command = {
    ...{ commandId: "b-1", type: "accept_balances" },
    scope: { kind: "account", id: "binance" },
  }
  assert.equal((await it.post("/api/v1/commands", command)).status, 202)
  assert.deepEqual(it.runtime.taken.at(-1), command)
})

testApi("malformed commands are refused before they reach the runtime", async (it) => {
  const cases: ReadonlyArray<readonly [unknown, HeadersInit, number]> = [
    ["{", {}, 400],
    [{ ...pause, type: "<script>" }, {}, 400],
    [pause, { "content-type": "text/plain" }, 415],
    [{ ...pause, note: "x".repeat(limits.bodyMaxBytes) }, {}, 413],
  ]
  for (const [body, headers, status] of cases) {
    const response = await it.post("/api/v1/commands", body, headers)
    assert.equal(response.status, status)
    assert.doesNotMatch(await response.text(), /<script>/)
  }
  assert.equal(it.runtime.taken.length, 0)
})

testApi(
  "a script that has run wild is slowed, but can always make things safe",
  async ({ elapse, post }) => {
    const resume = (n: number) =>
      post("/api/v1/commands", { ...pause, commandId: `r-${n}`, type: "resume" })
    for (let n = 0; n < limits.commandBurst; n++) assert.equal((await resume(n)).status, 202)
    assert.equal((await resume(limits.commandBurst)).status, 429)
    assert.equal((await post("/api/v1/commands", { ...pause, type: "flatten" })).status, 202)
    elapse(1_000 / limits.commandsPerSecond)
    assert.equal((await resume(limits.commandBurst)).status, 202)
    assert.equal((await resume(limits.commandBurst + 1)).status, 429)
  },
)

testApi(
  "the journal streams dense ids from the cursor, then each record as it is committed",
  async (it) => {
    const { seq } = it.runtime.overview()
    const response = await it.get("/api/v1/events?from=2")
    assert.equal(response.headers.get("content-type"), "text/event-stream")
    setTimeout(() => it.runtime.commit("OrderFilled", "trade", "executor", "live"))
    const ids = idsOf(await until(response, `id: ${seq + 1}\n`))
    assert.deepEqual(ids, Array.from({ length: seq }, (_, i) => i + 2))
  },
)

testApi("the journal resumes after Last-Event-ID", async ({ get, runtime }) => {
  const { seq } = runtime.overview()
  const response = await get("/api/v1/events?from=0", { "last-event-id": String(seq - 1) })
  assert.deepEqual(idsOf(await until(response, `id: ${seq}\n`)), [seq])
})

testApi("a journal record is JSON with its sequence, time and tagged event", async ({ get }) => {
  const stream = await until(await get("/api/v1/events"), "id: 1\n")
  const record = JSON.parse(/^data: (.*)$/m.exec(stream)![1]!)
  assert.deepEqual(Object.keys(record), ["seq", "time", "event"])
  assert.equal(record.seq, 1)
  assert.equal(record.event._tag, "RuntimeStarted")
})

testApi("a reader of a long journal gets it in pages, none skipped", async ({ get, runtime }) => {
  for (let n = 0; n < limits.recordsPerRead * 2; n++) runtime.commit("Tested", "plain", "test", "x")
  const { seq } = runtime.overview()
  const ids = idsOf(await until(await get("/api/v1/events?from=0"), `id: ${seq}\n`))
  assert.deepEqual(ids, Array.from({ length: seq }, (_, i) => i + 1))
})

testApi("a cursor that is no number is refused", async ({ get }) => {
  for (const from of ["x", "-1", "1.5", "1e3"]) {
    assert.equal((await get(`/api/v1/events?from=${from}`)).status, 400, from)
  }
})

testApi("series, spreadsheets, metrics and health answer in their formats", async (it) => {
  const series = await (await it.get("/api/v1/series?instrument=BTC/USDT.BINANCE")).json()
  assert.equal(series.instrument, "BTC/USDT.BINANCE")
  assert.equal((await it.get("/api/v1/series?instrument=NOPE")).status, 404)
  const orders = await it.get("/api/v1/orders.csv")
  assert.match(orders.headers.get("content-type") ?? "", /text\/csv/)
  assert.equal((await orders.text()).trim().split("\r\n").length, 1 + it.runtime.orders().length)
  const fills = await (await it.get("/api/v1/fills.csv")).text()
  assert.match(fills, /^executionId,clientOrderId,instrument,side,quantity,price,fee,feeAsset,time/)
  assert.match(await (await it.get("/metrics")).text(), /^# HELP/)
  assert.equal((await it.get("/healthz")).status, 200)
  assert.equal((await it.get("/readyz")).status, 200)
  it.runtime.loseFeed()
  const notReady = await it.get("/readyz")
  assert.equal(notReady.status, 503)
  assert.deepEqual((await notReady.json()).reasons, ["the binance feed is reconnecting"])
})

testApi("the page's stream goes on exactly where the page ends", async ({ get, runtime }) => {
  const html = await (await get("/")).text()
  const cursor = /\/events\?from=([^"]+)"/.exec(html)?.[1]
  assert.ok(cursor)
  const stream = await get(`/events?from=${cursor}`)
  setTimeout(() => runtime.commit("OrderFilled", "trade", "executor", "after the page"))
  const text = await until(stream, "after the page")
  assert.doesNotMatch(text, /event: snapshot/)
  assert.equal(text.match(/after the page/g)?.length, 1)
})

testApi("text from outside stays text, in the page and in the stream", async ({ get, runtime }) => {
  const html = await (await get("/")).text()
  const cursor = /\/events\?from=([^"]+)"/.exec(html)?.[1]
  const stream = await get(`/events?from=${cursor}`)
  setTimeout(() =>
    runtime.commit("Headline", "plain", "news", "<img src=x onerror=alert(1)>\rdata: forged &done")
  )
  const text = await until(stream, "done")
  assert.match(text, /&lt;img src=x onerror=alert\(1\)&gt;/)
  assert.doesNotMatch(text, /<img|\r/)
  assert.doesNotMatch(await (await get("/")).text(), /<img/)
})

testApi("the page contains every region of its stream", async ({ get }) => {
  const html = await (await get("/")).text()
  const snapshot = await until(await get("/events"), "\nid: ")
  const targets = [...snapshot.matchAll(/hx-target="#([^"]+)"/g)].map(([, id = ""]) => id)
  assert.ok(targets.length > 15)
  for (const id of targets) assert.ok(html.includes(`id="${id}"`), id)
})

testApi("a form's answer names the id of its next command, a refusal too", async ({ form }) => {
  const taken = await form("/controls/pause", { commandId: "f-1" }, script)
  assert.equal(taken.status, 200)
  const next = taken.headers.get("keel-next-command-id")
  assert.ok(next && next !== "f-1")
  assert.match(await taken.text(), /hx-target="#toasts".*Journaled as event/s)
  const refused = await form("/orders/cancel", { commandId: "f-2", order: "nope" }, script)
  assert.equal(refused.status, 409)
  assert.ok(refused.headers.get("keel-next-command-id"))
})

testApi("flatten does nothing without the word", async ({ form, runtime }) => {
  for (const confirm of [undefined, "", "flatten", "FLATTEN "]) {
    const fields = { commandId: "f-1", ...(confirm !== undefined && { confirm }) }
    assert.equal((await form("/controls/flatten", fields, script)).status, 422)
    assert.match(await (await form("/controls/flatten", fields)).text(), /Type.*FLATTEN/s)
  }
  assert.equal(runtime.taken.length, 0)
})

testApi(
  "one account is paused, resumed and flattened by its own buttons",
  async ({ form, runtime }) => {
    const scope = { kind: "account", id: "binance" }
    for (const type of ["pause", "resume"]) {
      const fields = { commandId: "a-1", set: `${type} binance` }
      assert.equal((await form("/controls/account", fields, script)).status, 200)
      const last = runtime.taken.at(-1)
      assert.deepEqual([last?.type, last?.scope], [type, scope])
    }
    // Without script the button says which, and the page that asks keeps it.
    const asked = await form("/controls/flatten", {
      commandId: "f-1",
      only: "binance",
      account: "",
    })
    const page = await asked.text()
    assert.match(page, /Flatten Binance\?/)
    assert.match(page, /name="account" value="binance"/)
    const confirmed = { commandId: "f-1", account: "binance", confirm: "FLATTEN" }
    await (await form("/controls/flatten", confirmed, script)).text()
    assert.deepEqual(runtime.taken.at(-1)?.scope, scope)
  },
)

testApi("flatten streams its steps, and ends with what the venue confirmed", async (it) => {
  const answer = await it.form(
    "/controls/flatten",
    { commandId: "f-1", confirm: "FLATTEN" },
    script,
  )
  assert.equal(answer.headers.get("content-type"), "text/event-stream")
  const steps = (await answer.text()).split("\n\n").filter((step) => step !== "")
  assert.match(steps.at(-1) ?? "", /data-final="yes".*Flat: the venue reports no position/s)
  assert.equal(it.runtime.positions, 0)
})

testApi("without script flatten answers with a page that ends", async ({ form, runtime }) => {
  const answer = await form("/controls/flatten", { commandId: "f-1", confirm: "FLATTEN" })
  assert.match(answer.headers.get("content-type") ?? "", /text\/html/)
  const html = await answer.text()
  assert.match(html, /^<!DOCTYPE html>.*Flat: the venue reports no position.*<\/html>$/s)
  assert.equal(runtime.positions, 0)
})

testApi("leaving while a flatten runs does not stop it", async ({ form, runtime }) => {
  const answer = await form("/controls/flatten", { commandId: "f-1", confirm: "FLATTEN" }, script)
  await answer.body?.cancel()
  for (let turn = 0; turn < 100 && runtime.positions > 0; turn++) await Promise.resolve()
  assert.equal(runtime.positions, 0)
})

testApi("a page without script asks before it closes a position", async ({ form, runtime }) => {
  const fields = { commandId: "f-1", instrument: "BTC/USDT.BINANCE" }
  assert.match(await (await form("/positions/close", fields)).text(), /Close this position/)
  assert.equal(runtime.positions, 3)
  const done = await form("/positions/close", { ...fields, confirmed: "yes" })
  assert.match(await done.text(), /closed at the venue/)
  assert.equal(runtime.positions, 2)
})

testApi("swapping a strategy hands on the chosen one's parameters", async ({ form, runtime }) => {
  const fields = {
    commandId: "f-1",
    runner: "rsi_momentum:BTC/USDT.BINANCE",
    strategy: "mean_reversion",
    "param:mean_reversion:period": "30",
    "param:mean_reversion:deviations": "2.5",
    confirmed: "yes",
  }
  assert.equal((await form("/strategies/swap", fields, script)).status, 200)
  assert.deepEqual(runtime.taken[0]?.params, { period: 30, deviations: 2.5 })
  const bad = { ...fields, commandId: "f-2", "param:mean_reversion:period": "1" }
  const refused = await form("/strategies/swap", bad, script)
  assert.equal(refused.status, 422)
  assert.match(await refused.text(), /Period must be an integer/)
})

testApi("an actor can be looked into, and one that is gone says so", async ({ get }) => {
  const path = encodeURIComponent("root/feeds/feed:binance")
  const panel = await (await get(`/actors?path=${path}`, script)).text()
  assert.match(panel, /^<p class="panel-state">.*SocketClosed: code 1006/s)
  assert.match(await (await get(`/actors?path=${path}`)).text(), /<html/)
  assert.equal((await get("/actors?path=nobody")).status, 404)
})

testApi("crashing an actor on purpose is offered in simulation only", async ({ get }) => {
  assert.match(await (await get("/")).text(), /Crash on purpose/)
})
testApi("with real money nothing offers to crash an actor", async ({ get }) => {
  assert.doesNotMatch(await (await get("/")).text(), /Crash on purpose/)
}, { mode: "live" })

testApi("the journal can be paged from its beginning to its end", async ({ get, runtime }) => {
  for (let n = 0; n < limits.journalPageRows; n++) {
    runtime.commit("Tested", "plain", "t", `no ${n}.`)
  }
  const first = await (await get("/journal?after=0")).text()
  assert.match(first, /Started, 14 actors/)
  const newer = /href="(\/journal\?after=\d+)">Newer/.exec(first)?.[1]
  assert.ok(newer)
  assert.match(await (await get(newer)).text(), new RegExp(`no ${limits.journalPageRows - 1}\\.`))
})

testApi("a first run says what it waits for", async ({ get }) => {
  const html = await (await get("/")).text()
  for (const text of ["No open position", "No order yet", "No account yet", "never received"]) {
    assert.ok(html.includes(text), text)
  }
}, { isEmpty: true })

testApi("a replay shows its file and how far it is", async ({ get }) => {
  assert.match(await (await get("/")).text(), /btcusdt\.jsonl.*value="25"/s)
}, {
  replay: {
    file: "btcusdt.jsonl",
    speed: 20,
    startMs: START_MS,
    endMs: START_MS + 4_000,
    atMs: START_MS + 1_000,
    finished: false,
  },
})
