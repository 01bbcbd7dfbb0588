/**
 * A venue that can be told what to do wrong, Keel trading on it, and what its journal says.
 *
 * Two processes and real sockets; faults go in by the venue's control endpoint, everything else is
 * seen as a person or a script would see it.
 */
import assert from "node:assert/strict"
import { decodeEvent, type EventOf, type EventTag, type JournalRecord } from "../../domain/event.ts"
import type { FeedView, Overview } from "../../domain/overview.ts"
import type { Fault } from "../../venues/simulator/fault.ts"
import type { VenueBooks } from "../../venues/simulator/binance.ts"
import type { Strike } from "../../venues/simulator/faults.ts"
import { Effect } from "effect"
import { command, stateOf, type VenueAddress } from "./api.ts"
import { assertIsVenues, quietMoment } from "./books.ts"
import { eventually, Process, startKeel, temporaryFolder } from "./process.ts"

export const pairs = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT"]

/** Trades often, so that every fault finds something to spoil. */
function nervousConfig({ rest, ws, wsApi }: VenueAddress): string {
  return JSON.stringify({
    mode: "paper",
    venues: { binance: { restUrl: rest, streamUrl: ws, wsApiUrl: wsApi } },
    strategies: pairs.map((pair) => ({
      strategy: "mean_reversion",
      instrument: `${pair}.BINANCE`,
      interval: "1s",
      params: { period: 4, deviations: 0.5 },
      notional: "500",
    })),
    risk: { maxOrdersPerMinute: 600 },
  })
}

type RecordOf<Tag extends EventTag> = JournalRecord & { readonly event: EventOf<Tag> }

export class OutageWorld implements AsyncDisposable {
  readonly records: Array<JournalRecord> = []
  readonly #ended = new AbortController()
  readonly #reader: Promise<void>
  readonly #waiting = new Set<() => void>()

  private constructor(
    readonly url: string,
    readonly address: VenueAddress,
    private readonly control: string,
    private readonly resources: AsyncDisposableStack,
  ) {
    this.#reader = this.#read()
  }

  /** Both are up, the account is reconciled and the first order has been filled. */
  static async start(): Promise<OutageWorld> {
    await using starting = new AsyncDisposableStack()
    const folder = starting.use(await temporaryFolder())
    const venue = starting.use(new Process("venue", ["--port", "0", "--seed", "3"]))
    const [line] = await venue.printed(/^\{.*\}$/m)
    const { binance, control }: { binance: VenueAddress; control: string } = JSON.parse(line)
    const config = `${folder.path}/keel.json`
    Deno.writeTextFileSync(config, nervousConfig(binance))
    const { keel, url } = await startKeel(["--data", `${folder.path}/data`, "--config", config], {
      BINANCE_API_KEY: binance.key,
      BINANCE_API_SECRET: binance.secret,
      KEEL_LOG: "error",
    })
    starting.use(keel)
    const world = new OutageWorld(url, binance, control, starting.move())
    await world.next("OrderFilled", { timeoutMs: 30_000 })
    return world
  }

  async arm(fault: Fault): Promise<string> {
    const answer = await fetch(`${this.control}/faults`, {
      method: "POST",
      body: JSON.stringify(fault),
    })
    const body = await answer.json()
    assert.equal(answer.status, 201, JSON.stringify(body))
    return body.id
  }

  async disarm(id: string) {
    const answer = await fetch(`${this.control}/faults/${id}`, { method: "DELETE" })
    await answer.body?.cancel()
  }

  /** How often a fault struck so far, and when, in milliseconds. */
  async strikes(id: string): Promise<ReadonlyArray<Strike>> {
    const journal: ReadonlyArray<Strike> = await (await fetch(`${this.control}/journal`)).json()
    return journal.filter(({ faultId }) => faultId === id)
  }

  async venueBooks(): Promise<VenueBooks> {
    const { binance } = await (await fetch(`${this.control}/books`)).json()
    return binance
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

  /**
   * What holds after every fault: nothing was opened without authority, no alert is left, trading
   * goes on, no order exists twice and the books are the venue's.
   */
  async assertHealed(after: number) {
    await this.next("OrderSubmitted", { after: this.mark, timeoutMs: 20_000 })
    await this.eventually(
      ({ alerts, feeds, accounts }) =>
        alerts.every(({ resolvedAt }) => resolvedAt !== null) &&
        feeds.every(({ status, attempt }) => status === "streaming" && attempt === 0) &&
        accounts.every(({ status }) => status === "ready"),
      25_000,
    )
    await command(this.url, { type: "pause", scope: { kind: "all" } })
    const { books, balances } = await quietMoment(this.url, this.address)
    assertIsVenues(books, balances)
    assertNothingOpenedBlindly(this.records)
    const { orders, trades } = await this.venueBooks()
    const known = orders.map(({ clientOrderId }) => clientOrderId)
    assert.equal(new Set(known).size, known.length, "no order twice at the venue")
    for (const id of known) assert.ok(books.orders.has(id), `${id} is ours`)
    // One intent, one order; and every fill once.
    const sent = [...books.orders.values()].filter(({ venueOrderId }) => venueOrderId !== undefined)
    assert.equal(sent.length, known.length)
    assert.deepEqual(
      this.all("OrderFilled").map(({ event }) => event.executionId).toSorted(),
      trades.map(({ id }) => String(id)).toSorted(),
    )
    // Nothing had to be started again for it.
    assert.deepEqual(this.all("ActorRestarted", after), [])
    assert.deepEqual(this.all("ActorFailed", after), [])
  }

  async [Symbol.asyncDispose]() {
    this.#ended.abort()
    await this.#reader
    await this.resources.disposeAsync()
  }

  #wake() {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  async #read() {
    try {
      const answer = await fetch(`${this.url}/api/v1/events?from=0`, { signal: this.#ended.signal })
      let rest = ""
      const decoder = new TextDecoder()
      for await (const bytes of answer.body ?? []) {
        const messages = (rest + decoder.decode(bytes, { stream: true })).split("\n\n")
        rest = messages.pop() ?? ""
        for (const message of messages) {
          const data = message.split("\n").filter((line) => line.startsWith("data:"))
          if (data.length === 0) continue
          const record = JSON.parse(data.map((line) => line.slice(5)).join("\n"))
          this.records.push({ ...record, event: Effect.runSync(decodeEvent(record.event)) })
        }
        this.#wake()
      }
    } catch (error) {
      if (!this.#ended.signal.aborted) throw error
    }
  }
}

/** An order that opens needs a feed that streams and an account that is reconciled. */
/** Of what left: an intent that was written when the gate fell is stopped before it is sent. */
function assertNothingOpenedBlindly(records: ReadonlyArray<JournalRecord>) {
  const stopped = new Set(
    records.flatMap(({ event }) =>
      event._tag === "OrderRejected" && event.code === "NOT_SENT" ? [event.clientOrderId] : []
    ),
  )
  let feed = false
  let account = false
  for (const { event, seq } of records) {
    switch (event._tag) {
      case "FeedLost":
        feed = false
        break
      case "FeedRestored":
        feed = true
        break
      case "AccountLost":
        account = false
        break
      case "AccountReconciled":
        account = event.differences.length === 0
        break
      case "OrderSubmitted":
        if (event.purpose === "reduce" || stopped.has(event.clientOrderId)) break
        assert.ok(feed, `${event.clientOrderId} at ${seq} was opened while the feed was lost`)
        assert.ok(account, `${event.clientOrderId} at ${seq} was opened on an account in doubt`)
    }
  }
}
