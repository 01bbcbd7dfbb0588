/** The hub's promises, with neither browser nor clock. */
import assert from "node:assert/strict"
import fc from "fast-check"
import { Hub, type HubOptions } from "../../http/hub.ts"

const hub = (options: Partial<HubOptions> = {}) =>
  new Hub({ epoch: "a", noticesMax: 3, clientsMax: 2, snapshot: () => "WHOLE", ...options })

/** A client that reads one chunk at a time, as a socket does. */
function client(of: Hub, from?: string) {
  const reader = of.connect(from).body!.getReader()
  const next = async () => new TextDecoder().decode((await reader.read()).value)
  return { next, leave: () => reader.cancel() }
}

const settle = () => new Promise((resolve) => setTimeout(resolve))

Deno.test("a slow client gets the newest value of a region, not those in between", async () => {
  const it = hub()
  const slow = client(it, it.cursor)
  it.set("figures", "1")
  it.flush()
  await slow.next()
  for (const value of ["2", "3", "4"]) {
    it.set("figures", value)
    it.flush()
    await settle()
  }
  assert.equal(await slow.next(), "data: 2\n\nid: a.2\n\n") // already on its way when 3 came
  assert.equal(await slow.next(), "data: 4\n\nid: a.4\n\n")
  await slow.leave()
})

Deno.test("a region set to what it was costs nothing", () => {
  const it = hub()
  it.set("figures", "1")
  const before = it.cursor
  it.set("figures", "1")
  assert.equal(it.cursor, before)
})

Deno.test("all markup is one message, and each named event its own", async () => {
  const it = hub()
  const reader = client(it, it.cursor)
  it.set("one", "<a>")
  it.set("tick", "1", "tick")
  it.set("two", "<b>")
  it.flush()
  assert.equal(
    await reader.next(),
    "data: <a>\ndata: <b>\n\nevent: tick\ndata: 1\n\nid: a.3\n\n",
  )
  await reader.leave()
})

Deno.test("a client that comes back gets what it missed, each notice once", async () => {
  const it = hub()
  it.append("first")
  const seen = it.cursor
  it.append("second", "fill")
  it.set("figures", "new")
  const back = client(it, seen)
  assert.equal(
    await back.next(),
    "data: new\n\nevent: fill\nid: a.2\ndata: second\n\nid: a.3\n\n",
  )
  await back.leave()
})

Deno.test("each notice carries its own id, so a client cut off inside a chunk repeats none", async () => {
  const it = hub()
  it.append("first")
  it.append("second")
  const back = client(it, "a.1")
  assert.equal(await back.next(), "id: a.2\ndata: second\n\nid: a.2\n\n")
  await back.leave()
})

Deno.test("a client further behind than the notices kept gets a snapshot, though it never left", async () => {
  const it = hub()
  const slow = client(it, it.cursor)
  for (const line of ["1", "2", "3", "4", "5"]) it.append(line)
  it.flush()
  assert.equal(await slow.next(), "event: snapshot\ndata:\n\ndata: WHOLE\n\nid: a.5\n\n")
  await slow.leave()
})

Deno.test("a cursor of another run, from the future or malformed gets a snapshot", async () => {
  const it = hub()
  it.append("1")
  for (const from of [undefined, "", "z.1", "a.9", "a.x", "a.-1", "a.", "a.0x1", "resync"]) {
    const stranger = client(it, from)
    assert.match(await stranger.next(), /^event: snapshot/, String(from))
    await stranger.leave()
  }
})

Deno.test("a beat reaches those who are up to date and moves no cursor", async () => {
  const it = hub()
  const reader = client(it, it.cursor)
  await settle()
  const before = it.cursor
  it.beat("7")
  assert.equal(await reader.next(), "event: beat\ndata: 7\n\n")
  assert.equal(it.cursor, before)
  it.append("news")
  it.flush()
  assert.match(await reader.next(), /data: news/)
  await reader.leave()
})

Deno.test("no line end in a text from outside can begin a line of the stream", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("\r", "\n", "data: forged", "id: 9", "event: x", "a", ":"), {
        minLength: 1,
        maxLength: 12,
      }),
      async (parts) => {
        const it = hub()
        const from = it.cursor
        it.append(parts.join(""))
        const reader = client(it, from)
        const lines = (await reader.next()).split("\n")
        await reader.leave()
        const [id, ...data] = lines.slice(0, -4)
        assert.equal(id, "id: a.1")
        assert.ok(data.every((line) => line.startsWith("data: ") && !line.includes("\r")))
        assert.deepEqual(lines.slice(-4), ["", "id: a.1", "", ""])
      },
    ),
  ))

Deno.test("clients are counted, capped, and gone when they leave", async () => {
  const it = hub()
  const one = client(it)
  const two = client(it)
  assert.equal(it.connect(undefined).status, 503)
  await one.leave()
  assert.equal(it.clients, 1)
  await two.leave()
  assert.equal(it.clients, 0)
})

Deno.test("closing ends every stream, and refuses new ones", async () => {
  const it = hub()
  const response = it.connect(it.cursor)
  await settle()
  it.close()
  assert.equal(await response.text(), "")
  assert.equal(it.clients, 0)
  assert.equal(it.connect(undefined).status, 503)
})
