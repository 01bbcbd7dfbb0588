/**
 * A venue that can be told what to do wrong, Keel trading on it, and what its journal says.
 *
 * Two processes and real sockets; faults go in by the venue's control endpoint, everything else is
 * seen as a person or a script would see it.
 */
import assert from "node:assert/strict"
import { fileURLToPath } from "node:url"
import type { EventOf, EventTag, JournalRecord } from "../../domain/event.ts"
import type { FeedInstrumentView, FeedView, Overview } from "../../domain/overview.ts"
import type { VenueBooks } from "../../venues/simulator/binance.ts"
import type { Fault } from "../../venues/simulator/fault.ts"
import type { Strike } from "../../venues/simulator/faults.ts"
import { assertNothingOpenedBlindly } from "../entries.ts"
import { command, JournalStream, stateOf } from "./api.ts"
import { assertIsVenues, quietMoment } from "./books.ts"
import { eventually, Process, startKeel, taskArguments, temporaryFolder } from "./process.ts"
import {
  type Addresses,
  addressesOf,
  alpacaKeys,
  alpacaUrls,
  binanceKeys,
  binanceUrls,
  nervousConfig,
  pairs,
} from "./venue.ts"

export type VenueName = "binance" | "alpaca"

export interface WorldOptions {
  readonly venue: VenueName
  /** How long Alpaca keeps the place of a session that ended uncleanly; the task's 90 s if absent. */
  readonly slotHeldMs?: number
}

/** What an order and a fill have in common wherever they are. */
interface VenueView {
  readonly orders: ReadonlyArray<{ readonly clientOrderId: string; readonly receivedAt: number }>
  /** As our fills name them. */
  readonly executionIds: ReadonlyArray<string>
}

interface AlpacaBooks {
  readonly orders: ReadonlyArray<
    { readonly client_order_id: string; readonly created_at: string }
  >
  readonly activities: ReadonlyArray<{
    readonly activity_type: string
    readonly order_id: string
    readonly cum_qty: string
  }>
}

const SEED = 3
const traded = {
  binance: pairs,
  alpaca: ["AAPL", "MSFT", "SPY"],
} as const
/** Its stream is a connection of its own: what happens to shares happens to it as well. */
const watched = { binance: traded.binance, alpaca: [...traded.alpaca, "BTC/USD"] } as const

/** The quickest of so many is quick. */
const CLOCK_LOOKS = 5

/** An order that passed the gate before it fell may be on its way for so long, on a busy machine. */
const IN_FLIGHT_MS = 500

/** Where the venue is, and the keys. */
function connection(venue: VenueName, { binance, alpaca }: Addresses) {
  return venue === "binance"
    ? { urls: binanceUrls(binance), keys: binanceKeys(binance) }
    : { urls: alpacaUrls(alpaca), keys: alpacaKeys(alpaca) }
}

/** The venue of the task, or one that differs from it in its patience. */
class PatientVenue implements AsyncDisposable {
  readonly #child: Deno.ChildProcess

  constructor(slotHeldMs: number) {
    const args = taskArguments("venue")
    const script = fileURLToPath(new URL("./outage_venue.ts", import.meta.url))
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...args.slice(0, -1), "--no-lock", script, String(SEED), String(slotHeldMs)],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn()
  }

  async line(): Promise<string> {
    let text = ""
    for await (const part of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      text += part
      if (text.includes("\n")) return text
    }
    throw new Error("the venue ended before it said where it is")
  }

  async [Symbol.asyncDispose]() {
    this.#child.kill("SIGKILL")
    await this.#child.status
  }
}

type RecordOf<Tag extends EventTag> = JournalRecord & { readonly event: EventOf<Tag> }

export class OutageWorld implements AsyncDisposable {
  readonly records: Array<JournalRecord> = []
  readonly #reading: Promise<void>
  readonly #waiting = new Set<() => void>()
  #venueBegan = 0

  private constructor(
    readonly url: string,
    readonly venue: VenueName,
    readonly addresses: Addresses,
    private readonly journal: JournalStream,
    private readonly resources: AsyncDisposableStack,
  ) {
    this.#reading = this.#read()
  }

  /** Both are up, the account is reconciled and the first order has been filled. */
  static async start({ venue, slotHeldMs }: WorldOptions): Promise<OutageWorld> {
    await using starting = new AsyncDisposableStack()
    const folder = starting.use(await temporaryFolder())
    const addresses = slotHeldMs === undefined
      ? await addressesOf(
        starting.use(new Process("venue", ["--port", "0", "--seed", String(SEED)])),
      )
      : JSON.parse(await starting.use(new PatientVenue(slotHeldMs)).line())
    const { urls, keys } = connection(venue, addresses)
    const file = `${folder.path}/keel.json`
    const venues = { [venue]: { ...urls, instruments: watched[venue] } }
    const instruments = traded[venue].map((symbol) => `${symbol}.${venue.toUpperCase()}`)
    Deno.writeTextFileSync(file, nervousConfig(venues, instruments))
    const { keel, url } = await startKeel(["--data", `${folder.path}/data`, "--config", file], {
      ...keys,
      KEEL_LOG: "error",
    })
    starting.use(keel)
    const journal = await JournalStream.open(url)
    const world = new OutageWorld(url, venue, addresses, journal, starting.move())
    try {
      await world.next("OrderFilled", { timeoutMs: 30_000 })
      world.#venueBegan = await world.#whenVenueBegan()
      return world
    } catch (error) {
      await world[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Whom a fault strikes that is about the venue's market streams. */
  get streams() {
    return { match: { door: this.venue === "binance" ? "streams" : "dataStream" } } as const
  }

  async arm(fault: Fault): Promise<string> {
    const answer = await fetch(`${this.addresses.control}/faults`, {
      method: "POST",
      body: JSON.stringify({ venue: this.venue, ...fault }),
    })
    const body = await answer.json()
    assert.equal(answer.status, 201, JSON.stringify(body))
    return body.id
  }

  async disarm(id: string) {
    const answer = await fetch(`${this.addresses.control}/faults/${id}`, { method: "DELETE" })
    await answer.body?.cancel()
  }

  /** How often a fault struck so far, and when, in milliseconds. */
  async strikes(id: string): Promise<ReadonlyArray<Strike>> {
    const journal: ReadonlyArray<Strike> = await (await fetch(`${this.addresses.control}/journal`))
      .json()
    return journal.filter(({ faultId }) => faultId === id)
  }

  /** When a fault struck first, in epoch milliseconds by the venue's clock, or earlier by a trip. */
  async struckAt(id: string): Promise<number> {
    const [first] = await eventually(() => this.strikes(id), (all) => all.length > 0, 5_000, 20)
    return this.#venueBegan + first!.atMs
  }

  /** The latest moment before which the venue's time surely began: it strikes what we ask it. */
  async #whenVenueBegan(): Promise<number> {
    const { binance, alpaca } = this.addresses
    const path = "/what-time-is-it"
    const id = await this.arm({
      ...{ kind: "respond", when: "before", status: 200, body: "", match: { path } },
    })
    const asked: Array<number> = []
    for (let look = 0; look < CLOCK_LOOKS; look++) {
      asked.push(Date.now())
      const host = this.venue === "binance" ? binance.rest : alpaca.trading
      await (await fetch(`${host}${path}`)).body?.cancel()
    }
    await this.disarm(id)
    const strikes = await this.strikes(id)
    assert.equal(strikes.length, CLOCK_LOOKS)
    return Math.max(...strikes.map(({ atMs }, look) => asked[look]! - atMs))
  }

  /** The venue's own. */
  async venueBooks(): Promise<VenueView> {
    const books: { readonly binance: VenueBooks; readonly alpaca: AlpacaBooks } = await (
      await fetch(`${this.addresses.control}/books`)
    ).json()
    if (this.venue === "binance") {
      const { orders, trades } = books.binance
      return {
        orders: orders.map(({ clientOrderId, time }) => ({ clientOrderId, receivedAt: time })),
        executionIds: trades.map(({ id }) => String(id)),
      }
    }
    const { orders, activities } = books.alpaca
    return {
      orders: orders.map((order) => ({
        clientOrderId: order.client_order_id,
        receivedAt: Date.parse(order.created_at),
      })),
      executionIds: activities.filter((one) => one.activity_type === "FILL")
        .map((one) => `${one.order_id}:${one.cum_qty}`),
    }
  }

  /** Where the journal ends now: what is looked for after this has happened after it. */
  get mark(): number {
    return this.records.at(-1)?.seq ?? 0
  }

  /** The first such event, after `after` where that is given. */
  async next<Tag extends EventTag>(
    tag: Tag,
    { after = 0, timeoutMs = 10_000, is = () => true }: {
      readonly after?: number
      readonly timeoutMs?: number
      readonly is?: (event: EventOf<Tag>) => boolean
    } = {},
  ): Promise<RecordOf<Tag>> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#wake()
    }, timeoutMs)
    try {
      while (true) {
        const found = this.all(tag, after).find(({ event }) => is(event))
        if (found !== undefined) return found
        if (late) {
          const told = this.since(after).map(({ event }) => event._tag).join(" ")
          throw new Error(`no ${tag} within ${timeoutMs} ms; since then: ${told.slice(-1_000)}`)
        }
        await new Promise<void>((resolve) => this.#waiting.add(resolve))
      }
    } finally {
      clearTimeout(timer)
    }
  }

  all<Tag extends EventTag>(tag: Tag, after = 0): ReadonlyArray<RecordOf<Tag>> {
    return this.since(after).filter((record): record is RecordOf<Tag> => record.event._tag === tag)
  }

  since(after: number): ReadonlyArray<JournalRecord> {
    return this.records.filter(({ seq }) => seq > after)
  }

  /**
   * What the feed's records say, in order, each in a word or two. What concerns one instrument is
   * left out: which of them missed a trade, or was quiet by itself for a while, is chance.
   */
  timeline(after: number): string {
    const words = this.since(after).flatMap(({ event }) => {
      switch (event._tag) {
        case "FeedLost":
          return [`lost ${event.attempt} ${event.rule}`]
        case "FeedPolling":
          return ["polling"]
        case "FeedRestored":
          return ["restored"]
        case "SourceChanged":
          return event.instrument === null ? [event.source] : []
        case "FeedTroubled":
          return [event.trouble]
        case "FeedTroubleEnded":
          return [`no longer ${event.trouble}`]
        default:
          return []
      }
    })
    return words.join(", ")
  }

  async feed(): Promise<FeedView> {
    const { feeds } = await stateOf(this.url)
    assert.ok(feeds[0])
    return feeds[0]
  }

  async eventually(
    isWanted: (state: Overview) => boolean,
    timeoutMs: number,
  ): Promise<Overview> {
    return await eventually(() => stateOf(this.url), isWanted, timeoutMs, 50)
  }

  /** Trades as Keel has counted them until now. */
  async counted(): Promise<ReadonlyArray<FeedInstrumentView>> {
    return (await this.feed()).instruments
  }

  /** Since `before`, Keel has counted every trade of the venue's tape, each once. */
  async assertEveryTradeOnce(before: ReadonlyArray<FeedInstrumentView>) {
    // Whatever was under way has been counted when every instrument has traded on.
    const isOn = (lines: ReadonlyArray<FeedInstrumentView>) =>
      lines.every(({ lastTradeId }, index) => lastTradeId !== before[index]!.lastTradeId)
    await this.eventually(({ feeds }) => isOn(feeds[0]!.instruments), 20_000)
    for (const [index, line] of (await this.counted()).entries()) {
      const { instrument, lastTradeId, trades } = before[index]!
      assert.ok(lastTradeId !== null, instrument)
      const tape = await this.#tape(instrument, lastTradeId)
      const [first, last] = [tape.indexOf(lastTradeId), tape.indexOf(line.lastTradeId ?? "")]
      assert.ok(first >= 0 && last > first, `${instrument}: ${lastTradeId} to ${line.lastTradeId}`)
      assert.equal(line.trades - trades, last - first, `${instrument}, against the venue's tape`)
    }
  }

  /** Ids of the venue's trades, oldest first, at least from `from` on. */
  async #tape(instrument: string, from: string): Promise<ReadonlyArray<string>> {
    const symbol = instrument.slice(0, instrument.lastIndexOf("."))
    const ids = new Array<string>()
    if (this.venue === "binance") {
      const { rest } = this.addresses.binance
      while (true) {
        const next = ids.length === 0 ? from : Number(ids.at(-1)) + 1
        const query = `symbol=${symbol.replace("/", "")}&limit=1000&fromId=${next}`
        const page: ReadonlyArray<{ readonly id: number }> = await (
          await fetch(`${rest}/api/v3/historicalTrades?${query}`)
        ).json()
        ids.push(...page.map(({ id }) => String(id)))
        if (page.length < 1_000) return ids
      }
    }
    const { data, key, secret } = this.addresses.alpaca
    const isPair = symbol.includes("/")
    const query = new URLSearchParams({
      symbols: symbol,
      start: new Date(this.records[0]!.time).toISOString(),
      limit: "10000",
      ...!isPair && { feed: "iex" },
    })
    while (true) {
      const url = `${data}/${isPair ? "v1beta3/crypto/us" : "v2/stocks"}/trades?${query}`
      const headers = { "APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret }
      const { trades, next_page_token } = await (await fetch(url, { headers })).json()
      for (const { i, x } of trades?.[symbol] ?? []) ids.push(isPair ? String(i) : `${x}:${i}`)
      if (!next_page_token) return ids
      query.set("page_token", next_page_token)
    }
  }

  /** Nothing that opens has reached the venue between the two, but what was on its way at `from`. */
  async assertNothingOpened(from: number, until: number) {
    const opening = new Set(
      this.all("OrderSubmitted").filter(({ event }) => event.purpose === "open")
        .map(({ event }) => event.clientOrderId),
    )
    const { orders } = await this.venueBooks()
    const opened = orders.filter(({ clientOrderId, receivedAt }) =>
      opening.has(clientOrderId) && receivedAt > from + IN_FLIGHT_MS && receivedAt < until
    )
    assert.deepEqual(opened, [], `nothing may be opened from ${from} until ${until}`)
  }

  /**
   * What holds after every fault: nothing was opened without authority, no alert is left, trading
   * goes on, no order exists twice and the books are the venue's.
   */
  async assertHealed(after: number, patienceMs = 25_000) {
    await this.next("OrderSubmitted", { after: this.mark, timeoutMs: 20_000 })
    await this.eventually(
      ({ alerts, feeds, accounts }) =>
        alerts.every(({ resolvedAt }) => resolvedAt !== null) &&
        feeds.every(({ status, attempt }) => status === "streaming" && attempt === 0) &&
        accounts.every(({ status }) => status === "ready"),
      patienceMs,
    )
    await command(this.url, { type: "pause", scope: { kind: "all" } })
    const { books, held } = await quietMoment(this.url, this.addresses.control)
    assertIsVenues(books, held)
    assertNothingOpenedBlindly(this.records)
    for (const { from, until } of outages(this.records)) await this.assertNothingOpened(from, until)
    const { orders, executionIds } = await this.venueBooks()
    const known = orders.map(({ clientOrderId }) => clientOrderId)
    assert.equal(new Set(known).size, known.length, "no order twice at the venue")
    for (const id of known) assert.ok(books.orders.has(id), `${id} is ours`)
    // One intent, one order; and every fill once.
    const sent = [...books.orders.values()].filter(({ venueOrderId }) => venueOrderId !== undefined)
    assert.equal(sent.length, known.length)
    assert.deepEqual(
      this.all("OrderFilled").map(({ event }) => event.executionId).toSorted(),
      executionIds.toSorted(),
    )
    // Nothing had to be started again for it.
    assert.deepEqual(this.all("ActorRestarted", after), [])
    assert.deepEqual(this.all("ActorFailed", after), [])
  }

  async [Symbol.asyncDispose]() {
    await this.journal.cancel()
    await this.#reading
    await this.resources.disposeAsync()
  }

  #wake() {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  async #read() {
    for await (const records of this.journal.batches()) {
      this.records.push(...records)
      this.#wake()
    }
  }
}

/** From each loss of the feed to the return that ends it, in epoch milliseconds. */
function outages(records: ReadonlyArray<JournalRecord>) {
  const found: Array<{ readonly from: number; readonly until: number }> = []
  let from: number | undefined
  for (const { event, time } of records) {
    if (event._tag === "FeedLost") from ??= time
    if (event._tag !== "FeedRestored" || from === undefined) continue
    found.push({ from, until: time })
    from = undefined
  }
  return found
}
