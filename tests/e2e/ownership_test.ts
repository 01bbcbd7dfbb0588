/**
 * One owner per account, over several processes: killed, frozen, or a hundred at once.
 *
 * The journal is what decides who the owner is, by the folder's lock and by the epoch that every
 * write is fenced with; the venue knows neither. So an order is journaled before it is sent, and
 * whoever owns the journal next asks the venue about it instead of sending it again.
 */
import assert from "node:assert/strict"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { decodeEvent, type JournalRecord } from "../../domain/event.ts"
import type { StoredRecord } from "../../storage/event_store.ts"
import { fileName, openKvEventStore } from "../../storage/kv.ts"
import type { VenueBooks } from "../../venues/simulator/binance.ts"
import type { Fault } from "../../venues/simulator/fault.ts"
import { command, stateOf } from "./api.ts"
import { assertIsVenues, quietMoment } from "./books.ts"
import type { Line } from "./owner_child.ts"
import { eventually, Process, startKeel, temporaryFolder } from "./process.ts"
import { addressesOf, binanceKeys, binanceUrls, nervousConfig, pairs } from "./venue.ts"

const KILLS = 2
const TAKEOVERS = 4
/** Of one takeover: a process may be frozen inside a transaction, and then nobody can write. */
const FREEZES_MAX = 20
/** Who has not said by then that it took over is kept out. */
const SILENT_MS = 30_000
const FOLDERS = 10
const CONTENDERS = 10
const JOURNAL_MAX = 100_000

/** The journal of a folder that nobody uses. */
function journalOf(folder: string): Promise<ReadonlyArray<StoredRecord>> {
  return Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(openKvEventStore({ folder }), (store) => store.read(0, JOURNAL_MAX)),
    ),
  )
}

/** What Keel knew of an order when it ended. */
async function knownOf(folder: string, clientOrderId: string): Promise<ReadonlyArray<string>> {
  const records: Array<JournalRecord> = []
  for (const { event, ...record } of await journalOf(folder)) {
    records.push({ ...record, event: Effect.runSync(decodeEvent(event)) })
  }
  return records.flatMap(({ event }) =>
    "clientOrderId" in event && event.clientOrderId === clientOrderId ? [event._tag] : []
  )
}

Deno.test("case 46: kill -9 of the owner between side effect and reply: exactly one order at the venue", async () => {
  await using folder = await temporaryFolder()
  await using venue = new Process("venue", ["--port", "0", "--seed", "11"])
  const { binance, control } = await addressesOf(venue)
  const venueBooks = async (): Promise<VenueBooks> =>
    (await (await fetch(`${control}/books`)).json()).binance
  const assertOneAtVenue = async (id: string) => {
    const { orders } = await venueBooks()
    const known = orders.filter(({ clientOrderId }) => clientOrderId === id)
    assert.equal(known.length, 1, `${id} is one order at the venue`)
    return known[0]!
  }
  const arm = async (fault: Fault) => {
    const answer = await fetch(`${control}/faults`, { method: "POST", body: JSON.stringify(fault) })
    assert.equal(answer.status, 201, await answer.text())
  }
  const config = `${folder.path}/keel.json`
  const instruments = pairs.map((pair) => `${pair}.BINANCE`)
  Deno.writeTextFileSync(config, nervousConfig({ binance: binanceUrls(binance) }, instruments))
  const data = `${folder.path}/data`
  const args = ["--data", data, "--config", config]
  const struck: Array<string> = []
  for (let kill = 0; kill <= KILLS; kill++) {
    const { keel, url } = await startKeel(args, binanceKeys(binance))
    await using _ = keel
    if (kill === KILLS) {
      await command(url, { type: "pause", scope: { kind: "all" } })
      await eventually(() => stateOf(url), (state) => state.tradingState === "halted", 5_000)
    }
    const newest = struck.at(-1)
    await eventually(
      () => stateOf(url),
      ({ orders }) =>
        newest === undefined ||
        orders.some(({ clientOrderId, status }) => clientOrderId === newest && status === "filled"),
      15_000,
      50,
    )
    // Before the books are compared, because an order sent twice would never let them agree.
    for (const id of struck) await assertOneAtVenue(id)
    const { books, held } = await quietMoment(url, control)
    assertIsVenues(books, held)
    const { orders, trades } = await venueBooks()
    for (const id of struck) {
      const atVenue = await assertOneAtVenue(id)
      const order = books.orders.get(id)
      assert.equal(order?.status, "filled", id)
      assert.equal(order.venueOrderId, String(atVenue.orderId))
      assert.deepEqual(
        books.fills.filter(({ clientOrderId }) => clientOrderId === id)
          .map(({ executionId }) => executionId).toSorted(),
        trades.filter(({ orderId }) => orderId === atVenue.orderId)
          .map(({ id }) => String(id)).toSorted(),
        `${id} is filled once`,
      )
    }
    if (kill === KILLS) {
      // Nor was any of them sent again under another name.
      const ids = orders.map(({ clientOrderId }) => clientOrderId)
      assert.equal(new Set(ids).size, ids.length)
      assert.deepEqual(
        ids.toSorted(),
        [...books.orders.values()].filter(({ venueOrderId }) => venueOrderId !== undefined)
          .map(({ clientOrderId }) => clientOrderId).toSorted(),
      )
      break
    }
    // The venue accepts and is silent, by either way on which it could answer.
    await arm({ kind: "drop", match: { door: "wsApi" } })
    await arm({
      kind: "hang",
      when: "after",
      match: { method: "POST", path: "/api/v3/order" },
    })
    const before = new Set((await venueBooks()).orders.map(({ orderId }) => orderId))
    const { orders: after } = await eventually(
      venueBooks,
      ({ orders }) => orders.some(({ orderId }) => !before.has(orderId)),
      20_000,
      20,
    )
    keel.signal("SIGKILL")
    assert.equal((await keel.status()).signal, "SIGKILL")
    await (await fetch(`${control}/faults`, { method: "DELETE" })).body?.cancel()
    const { orderId, clientOrderId } = after.find(({ orderId }) => !before.has(orderId))!
    assert.ok(!struck.includes(clientOrderId), `${orderId} has a client order id of its own`)
    // It had been decided, and nothing had been heard of it.
    assert.deepEqual(await knownOf(data, clientOrderId), ["OrderSubmitted"])
    struck.push(clientOrderId)
  }
  assert.equal(struck.length, KILLS)
})

/** A process of `owner_child.ts`, and all that it has said. */
class Owner implements AsyncDisposable {
  readonly #child: Deno.ChildProcess
  readonly #words: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>
  readonly #readers: Promise<unknown>
  readonly lines: Array<Line> = []
  stderr = ""
  #ended = false

  constructor(args: ReadonlyArray<string>) {
    const script = fileURLToPath(new URL("./owner_child.ts", import.meta.url))
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--no-prompt", "--unstable-kv", "-A", script, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn()
    this.#words = this.#child.stdin.getWriter()
    const listen = async () => {
      let rest = ""
      for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + text).split("\n")
        rest = lines.pop() ?? ""
        this.lines.push(...lines.map((line): Line => JSON.parse(line)))
      }
    }
    const complain = async () => {
      for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
        this.stderr += text
      }
    }
    this.#readers = Promise.all([listen(), complain()])
  }

  get pid(): number {
    return this.#child.pid
  }

  all<Says extends Line["says"]>(says: Says): ReadonlyArray<Extract<Line, { says: Says }>> {
    return this.lines.filter((line): line is Extract<Line, { says: Says }> => line.says === says)
  }

  async tell(word: "contend" | "release") {
    await this.#words.write(new TextEncoder().encode(`${word}\n`))
  }

  signal(signal: Deno.Signal) {
    if (!this.#ended) this.#child.kill(signal)
  }

  /** Everything has been read when this resolves. */
  async status(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status
    this.#ended = true
    await this.#readers
    await this.#words.abort().catch(() => {})
    return status
  }

  async until(isWanted: (owner: Owner) => boolean, timeoutMs = 60_000) {
    await eventually(
      () => Promise.resolve(this),
      isWanted,
      timeoutMs,
      10,
    ).catch((error: unknown) => {
      throw new Error(`${JSON.stringify(this.lines.slice(-5))} ${this.stderr}`, { cause: error })
    })
  }

  async [Symbol.asyncDispose]() {
    // A frozen process dies of it too.
    this.signal("SIGKILL")
    await this.status()
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Freezes `owner` somewhere in its loop and lets another one take over. */
async function usurp(owner: Owner, file: string, owners: AsyncDisposableStack): Promise<Owner> {
  for (let freeze = 1;; freeze++) {
    const kept = owner.all("kept").length
    await owner.until(() => owner.all("kept").length > kept)
    await sleep(Math.random() * 100)
    owner.signal("SIGSTOP")
    const usurper = owners.use(new Owner(["write", file]))
    const speaks = usurper.until(() => usurper.lines.length > 0, SILENT_MS)
    const hasSpoken = await speaks.then(() => true, () => false)
    if (usurper.all("owner").length === 1) return usurper
    // Frozen inside its transaction it keeps everybody out, and is still the owner: who wants to be
    // is refused, or waits for ever for the database to open.
    if (hasSpoken) assert.equal(usurper.all("refused")[0]?.why, "Unavailable", usurper.stderr)
    else usurper.signal("SIGKILL")
    await usurper.status()
    assert.deepEqual(usurper.all("owner"), [])
    owner.signal("SIGCONT")
    assert.ok(freeze < FREEZES_MAX, "never frozen outside a transaction")
  }
}

Deno.test({
  name:
    "case 46: an owner frozen (SIGSTOP) past its lease and woken: no write accepted from its epoch",
  // There is no SIGSTOP on Windows.
  ignore: Deno.build.os === "windows",
  async fn() {
    await using folder = await temporaryFolder()
    const file = join(folder.path, fileName)
    await using owners = new AsyncDisposableStack()
    const written: Array<Owner> = []
    let owner = owners.use(new Owner(["write", file]))
    for (let taken = 0; taken < TAKEOVERS; taken++) {
      written.push(owner)
      const usurper = await usurp(owner, file, owners)
      const { epoch, head } = usurper.all("owner")[0]!
      const keptWhileFrozen = owner.all("kept").length
      await usurper.until(() => usurper.all("kept").length >= 5)
      assert.equal(owner.all("kept").length, keptWhileFrozen, "it was frozen all the time")
      owner.signal("SIGCONT")
      // What it had committed before it was overtaken it may still say; nothing later.
      const isLate = ({ seq }: { readonly seq: number }) => seq < 1 || seq > head
      await owner.until(() => owner.all("refused").length === 5 || owner.all("kept").some(isLate))
      assert.deepEqual(owner.all("kept").filter(isLate), [])
      assert.ok((await owner.status()).success, owner.stderr)
      assert.equal(epoch, owner.all("owner")[0]!.epoch + 1)
      assert.deepEqual(
        owner.all("refused").map(({ what, why, by }) => [what, why, by]),
        [...Array(4).fill(["append", "Fenced", epoch]), ["snapshot", "Fenced", epoch]],
      )
      // And whoever took over does not notice.
      const kept = usurper.all("kept").length
      await usurper.until(() => usurper.all("kept").length > kept)
      owner = usurper
    }
    written.push(owner)
    owner.signal("SIGKILL")
    await owner.status()
    const stored = await journalOf(folder.path)
    assert.deepEqual(stored.map(({ seq }) => seq), stored.map((_, index) => index + 1))
    const epochs = stored.map(({ epoch }) => epoch)
    assert.deepEqual(epochs, epochs.toSorted((left, right) => left - right), "epochs never go back")
    for (const writer of written) {
      const { epoch, head } = writer.all("owner")[0]!
      const kept = writer.all("kept")
      assert.ok(kept.length > 0)
      for (const { seq, count } of kept) {
        assert.equal(seq, head + count)
        const { epoch: by, event } = stored[seq - 1]!
        assert.deepEqual({ by, event }, { by: epoch, event: { by: epoch, count } })
      }
      // One append can have been committed and not yet told when it was frozen or killed for good.
      const own = stored.filter((record) => record.epoch === epoch).length
      assert.ok(own === kept.length || (writer === owner && own === kept.length + 1), `${own}`)
    }
    assert.deepEqual([...new Set(epochs)], written.map((_, index) => index + 1))
  },
})

Deno.test(`case 46: ${FOLDERS * CONTENDERS} concurrent activations of ${FOLDERS} keys: one owner each`, async () => {
  await using folder = await temporaryFolder()
  const folders = Array.from({ length: FOLDERS }, (_, index) => join(folder.path, `${index}`))
  await using processes = new AsyncDisposableStack()
  let contenders = Array.from(
    { length: CONTENDERS },
    () => processes.use(new Owner(["contend", ...folders])),
  )
  for (const each of contenders) await each.until(() => each.all("ready").length === 1)
  const pids = new Set(contenders.map(({ pid }) => pid))

  /** All at once for every folder; who has each one now. */
  const activate = async (epoch: number): Promise<ReadonlyMap<string, Owner>> => {
    for (const each of contenders) each.lines.length = 0
    await Promise.all(contenders.map((each) => each.tell("contend")))
    for (const each of contenders) await each.until(() => each.lines.length === FOLDERS)
    const owners = new Map<string, Owner>()
    for (const folder of folders) {
      const winners = contenders.filter((each) =>
        each.all("won").some((won) => won.folder === folder)
      )
      assert.equal(winners.length, 1, `${folder} has one owner`)
      const [winner] = winners
      owners.set(folder, winner!)
      assert.equal(winner!.all("won").find((won) => won.folder === folder)?.epoch, epoch)
      const losses = contenders.flatMap((each) =>
        each.all("lost").filter((lost) => lost.folder === folder)
      )
      assert.equal(losses.length, contenders.length - 1)
      for (const { why, text } of losses) {
        assert.equal(why, "Locked", text)
        const [, pid] = /^another Keel is using .+ \(pid (\d+|unknown)\); stop it, or choose .+$/
          .exec(text) ?? assert.fail(text)
        // Who asks in the very moment may be told nobody, or whoever had it before.
        assert.ok(pid === "unknown" || pids.has(Number(pid)), text)
      }
    }
    return owners
  }

  const first = await activate(1)
  // One ends by force and never comes back, the others in order; then all the others want it.
  const killed = [...first.values()][0]!
  killed.signal("SIGKILL")
  await killed.status()
  contenders = contenders.filter((each) => each !== killed)
  await Promise.all(contenders.map((each) => each.tell("release")))
  for (const each of contenders) await each.until(() => each.all("released").length === 1)
  const second = await activate(2)
  for (const each of contenders) each.signal("SIGKILL")
  await Promise.all(contenders.map((each) => each.status()))
  for (const folder of folders) {
    const stored = await journalOf(folder)
    assert.deepEqual(
      stored.map(({ seq, epoch, event }) => ({ seq, epoch, event })),
      [first, second].map((owners, index) => ({
        seq: index + 1,
        epoch: index + 1,
        event: { pid: owners.get(folder)!.pid },
      })),
      "only owners wrote",
    )
  }
})
