/**
 * Whatever fails, in whatever order: no order too many, none without authority, none forgotten.
 *
 * Each seed is one script of faults, crashes and commands on one interleaving. What is sent is
 * judged at the venue, at the moment it arrives, against what the journal says; in the end, when
 * all is quiet, both sides have to agree. A seed that fails fails again: put it into `ONLY`.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { mulberry32 } from "../../actors/runtime/virtual_time.ts"
import { add, formatDecimal, isEqual, isLess, subtract, zero } from "../../domain/decimal.ts"
import type { EventOf, JournalRecord } from "../../domain/event.ts"
import type { StrategyEvent } from "../../domain/strategy.ts"
import { type EventStore, StoreError, Unavailable } from "../../storage/event_store.ts"
import type { NewOrder } from "../../venues/broker.ts"
import { Forbidden, Throttled } from "../../venues/market_data.ts"
import { submitFaults } from "./fake_books.ts"
import { BTC, ETH, unreachable, VENUE } from "./fakes.ts"
import {
  assignment,
  type Keel,
  type KeelOptions,
  STALE_AFTER_MS,
  START_MS,
  World,
} from "./harness.ts"

const SEEDS = 120
const ONLY: number | undefined = undefined
const CHAOS_MS = 30_000
/** Long enough for the slowest conclusion: a request that never arrived, after a backoff at its cap. */
const QUIET_MS = 75_000

Deno.test("no order too many, none without authority, none forgotten", () => {
  const tally = { orders: 0, fills: 0, denied: 0, unconfirmed: 0, starts: 0 }
  const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, index) => index + 1) : [ONLY]
  for (const seed of seeds) {
    const script = new Script(seed)
    try {
      script.play()
    } catch (error) {
      throw new Error(`seed ${seed}:\n${script.log.slice(-25).join("\n")}`, { cause: error })
    }
    const { world } = script
    tally.orders += world.venue.submits.length
    tally.fills += world.venue.executions.length
    tally.denied += world.events("OrderDenied").length
    tally.unconfirmed += world.events("OrderUnconfirmed").length
    tally.starts += world.events("RuntimeStarted").length
  }
  // A run in which nothing happens proves nothing.
  if (ONLY === undefined) {
    assert.ok(tally.orders > 4 * SEEDS, JSON.stringify(tally))
    assert.ok(tally.fills > 3 * SEEDS, JSON.stringify(tally))
    assert.ok(tally.denied > SEEDS, JSON.stringify(tally))
    assert.ok(tally.unconfirmed > SEEDS / 2, JSON.stringify(tally))
    assert.ok(tally.starts > SEEDS, JSON.stringify(tally))
  }
})

class Script {
  readonly world: World
  readonly log: Array<string> = []
  readonly #draw: () => number
  readonly #disk = { delayMs: 0, failing: undefined as "before" | "after" | undefined }
  readonly #violations: Array<unknown> = []
  #keel: Keel
  #commands = 0
  #isCalm = false

  constructor(seed: number) {
    this.world = new World({ seed })
    this.#draw = mulberry32(seed * 7_919)
    const { venue } = this.world
    venue.onSubmit = (order) => {
      // Thrown here it would be a crash of the executor, and pass for one of the faults.
      try {
        this.#judge(order)
      } catch (error) {
        this.#violations.push(error)
      }
    }
    venue.drive(700, () => this.#draw() * 4 - 2)
    this.#keel = this.world.start(this.#options())
  }

  play() {
    const { time } = this.world
    const end = START_MS + CHAOS_MS
    while (time.now < end && this.#violations.length === 0) {
      this.#run(300 + this.#draw() * 2_500)
      this.#act()
    }
    this.#calm()
    this.#run(QUIET_MS)
    if (this.#violations.length > 0) throw this.#violations[0]
    this.#agree()
    this.#keel.stop()
  }

  // ---- what happens --------------------------------------------------------------------------

  #run(ms: number) {
    this.#keel.run(ms)
    // A process that has given up is started again, as whoever runs it would.
    if (this.#keel.system.tree().status !== "running") this.#restart("kill", "it gave up")
  }

  #say(what: string) {
    this.log.push(`${this.world.time.now - START_MS} ms: ${what}`)
  }

  #one<A>(of: ReadonlyArray<A>): A {
    return of[Math.floor(this.#draw() * of.length)]!
  }

  #for(ms: number, what: string, begin: () => void, end: () => void) {
    this.#say(`${what} for ${Math.round(ms)} ms`)
    begin()
    this.world.venue.later(ms, end)
  }

  #act() {
    const { venue } = this.world
    const { faults } = venue
    const some = () => 300 + this.#draw() * 5_000
    const down = this.#one([
      unreachable,
      unreachable,
      new Throttled({ status: 429, retryAfterMs: 3_000 }),
      new Forbidden({ detail: "no" }),
    ])
    this.#one<() => void>([
      () => {
        const fault = this.#one(submitFaults)
        this.#say(`next order: ${fault}`)
        faults.submit.push(fault)
      },
      () => faults.submit.push(this.#one(["lose_request", "lose_answer", "late_request"])),
      () => {
        const plan = this.#one(["pieces", "part_then_expire", "slow", "rest"] as const)
        this.#say(`next order fills: ${plan}`)
        faults.fills.push(plan)
      },
      () => {
        const frames = [1, 2, 3].map(() => this.#one(["lose", "duplicate", "late"] as const))
        this.#say(`next frames: ${frames}`)
        faults.frames.push(...frames)
      },
      () =>
        this.#for(some(), "market down", () => {
          venue.marketDown = down
          venue.cutMarket()
        }, () => venue.marketDown = undefined),
      () =>
        this.#for(some(), "private stream down", () => {
          venue.privateDown = down
          venue.cutPrivate()
        }, () => venue.privateDown = undefined),
      () =>
        this.#for(
          some(),
          "reads down",
          () => venue.readsDown = down,
          () => venue.readsDown = undefined,
        ),
      () => this.#for(some(), "mute", () => venue.mute = true, () => venue.mute = false),
      () =>
        this.#for(some(), "reads lag", () => venue.readLagMs = 4_000, () => venue.readLagMs = 0),
      () =>
        this.#for(
          some(),
          "disk slow",
          () => this.#disk.delayMs = this.#one([50, 300, 900]),
          () => this.#disk.delayMs = 0,
        ),
      () => {
        this.#disk.failing = this.#one(["before", "after"])
        this.#say(`disk fails once, ${this.#disk.failing} writing`)
      },
      () => {
        const path = this.#one([...this.#keel.allRestarts().keys()])
        this.#say(`crash of ${path}`)
        this.#keel.system.crash(path, "chaos")
      },
      () => this.#restart(this.#one(["kill", "stop"]), "the script says so"),
      () => this.#command(),
      () => this.#command(),
    ])()
  }

  #restart(how: "kill" | "stop", why: string) {
    this.#say(`${how}, since ${why}`)
    this.#keel[how]()
    this.world.time.run(this.#draw() * 3_000)
    this.#disk.failing = undefined
    this.#keel = this.world.start(this.#options())
  }

  #command() {
    const orders = [...this.world.books().orders.keys()]
    const assigned = [...this.world.books().assignments.keys()]
    const all = { kind: "all" } as const
    const wish = this.#one(
      [
        { type: "pause", scope: all },
        { type: "resume", scope: all },
        { type: "resume", scope: all },
        { type: "flatten", scope: all },
        { type: "close_position", scope: { kind: "position", id: this.#one([BTC, ETH]) } },
        { type: "cancel_order", scope: { kind: "order", id: this.#one([...orders, "none"]) } },
        {
          type: "swap_strategy",
          scope: { kind: "strategy", id: this.#one([...assigned, "none"]) },
          strategy: this.#one(["a", "b", "c"]),
        },
      ] as const,
    )
    this.#say(`command ${wish.type} ${"id" in wish.scope ? wish.scope.id : ""}`)
    // Nobody waits for the answer: a person who has clicked may be gone, too.
    this.#keel.post({ ...wish, commandId: `c${++this.#commands}` })
    if (wish.type !== "pause" && wish.type !== "flatten") return
    // Or nothing else would happen to it.
    this.world.venue.later(3_000, () => this.#resume())
  }

  #resume() {
    if (!this.#isCalm) {
      this.#keel.post({
        type: "resume",
        scope: { kind: "all" },
        commandId: `c${++this.#commands}`,
      })
    }
  }

  #calm() {
    this.#say("quiet")
    this.#isCalm = true
    const { venue } = this.world
    const { faults } = venue
    for (const each of [faults.submit, faults.fills, faults.frames, faults.connects]) {
      each.length = 0
    }
    venue.marketDown = venue.privateDown = venue.readsDown = undefined
    venue.mute = false
    venue.readLagMs = 0
    this.#disk.delayMs = 0
    this.#disk.failing = undefined
    venue.expireAll()
    // Who was forbidden asks again when a person says so, and not before.
    this.#keel.post({ type: "resume", scope: { kind: "all" }, commandId: "again" })
    // Nothing new is begun while it is seen how it ends.
    this.#keel.post({ type: "pause", scope: { kind: "all" }, commandId: "last" })
  }

  // ---- what must hold ------------------------------------------------------------------------

  /** At the moment an order reaches the venue. */
  #judge(order: NewOrder) {
    const { world } = this
    const { venue } = world
    const { clientOrderId, instrument, quantity, side } = order
    this.#say(`${side} ${formatDecimal(quantity)} ${instrument} as ${clientOrderId}`)
    const sent = venue.submits.filter((each) => each.clientOrderId === clientOrderId).length
    assert.equal(sent, 1, `${clientOrderId} was sent ${sent} times`)
    const records = world.records()
    const at = records.findLastIndex(({ event }) =>
      event._tag === "OrderSubmitted" && event.clientOrderId === clientOrderId
    )
    assert.ok(at >= 0, `${clientOrderId} was sent before it was written`)
    const intent = records[at]!.event as EventOf<"OrderSubmitted">
    const before = stateBefore(records.slice(0, at))
    if (intent.origin !== "operator") assert.notEqual(before.trading, "halted", "sent in a halt")
    if (intent.purpose === "reduce") {
      const live = [...venue.orders.values()]
        .filter((each) => each.instrument === instrument && each.side === side)
        .filter(({ status }) => status === "accepted" || status === "partially_filled")
        .reduce((sum, each) => add(sum, subtract(each.quantity, each.filled)), zero)
      const over = isLess(venue.position(instrument), add(live, quantity))
      assert.ok(!over, `${clientOrderId} sells more than is held`)
      return
    }
    assert.equal(before.trading, "active", "opened while not active")
    assert.equal(before.account, true, "opened while not reconciled")
    assert.equal(before.feed, true, "opened while the feed was lost")
    const age = world.time.now - (venue.quotedAt.get(instrument) ?? -Infinity)
    assert.ok(age < STALE_AFTER_MS, `opened on a price of ${age} ms`)
  }

  /** When all has been quiet for long enough. */
  #agree() {
    const { world } = this
    const { venue } = world
    const books = world.books()
    world.records().forEach(({ seq }, index) => assert.equal(seq, index + 1))
    assert.equal(books.accounts.get(VENUE)?.ready, true, books.accounts.get(VENUE)?.cause ?? "")
    assert.deepEqual(books.accounts.get(VENUE)?.differences, [])
    assert.equal(books.feeds.get(VENUE)?.status, "streaming")
    for (const order of books.orders.values()) {
      const theirs = venue.orders.get(order.clientOrderId)
      const end = theirs?.status ?? "rejected"
      assert.equal(order.status, end, `${order.clientOrderId}: ${order.note}`)
      assert.ok(isEqual(order.filledQuantity, theirs?.filled ?? zero), order.clientOrderId)
    }
    for (const [id, theirs] of venue.orders) {
      assert.ok(books.orders.has(id), `the venue has ${id}, and we do not know it`)
      assert.ok(!isLess(theirs.quantity, theirs.filled))
    }
    assert.equal(books.fills.length, venue.executions.length)
    for (const { id } of venue.instruments) {
      const ours = books.positions.get(id)?.quantity ?? zero
      assert.ok(isEqual(ours, venue.position(id)), `${id}: ours is ${formatDecimal(ours)}`)
    }
    const open = [...books.commands.values()].filter(({ final }) => !final)
    assert.deepEqual(open.map(({ command }) => command), [])
    const alerts = [...books.alerts.values()].filter(({ resolvedAt }) => resolvedAt === undefined)
    // What was not flattened stays an alert until something is.
    const flattens = this.#flattenEnds()
    const isFlat = flattens.length === 0 || flattens.at(-1)!.tone === "confirmed"
    assert.deepEqual(alerts.map(({ id }) => id), isFlat ? [] : ["flatten:binance"])
  }

  #flattenEnds() {
    const flattens = new Set(
      this.world.events("CommandReceived")
        .filter(({ command }) => command.type === "flatten")
        .map(({ command }) => command.commandId),
    )
    return this.world.events("CommandProgressed").filter(({ commandId, final, text }) =>
      final && flattens.has(commandId) && !text.includes("trading was resumed since")
    )
  }

  // ---- what runs -----------------------------------------------------------------------------

  #options(): KeelOptions {
    const wish = (event: StrategyEvent, seen: ReadonlyArray<StrategyEvent>) => {
      if (event._tag !== "Bar" || this.#draw() < 0.4) return undefined
      const holding = seen.findLast((each) => each._tag === "HoldingChanged")
      const holds = holding !== undefined && holding.quantity.value > 0n
      // Now and then it wants what makes no sense.
      const intent = holds !== this.#draw() < 0.1 ? "exit" : "enter"
      return { intent, price: event.close, reason: "a whim" } as const
    }
    return {
      assignments: [assignment("a", BTC), assignment("b", BTC), assignment("c", ETH)],
      scripts: { a: wish, b: wish, c: wish },
      store: (store) => this.#unreliable(store),
      change: (options) => ({
        ...options,
        // Seen as well at a slower pace, which makes more seeds.
        feeds: options.feeds.map((each) => ({ ...each, showEveryMs: 5_000 })),
        monitor: { ...options.monitor, refreshEveryMs: 5_000 },
      }),
    }
  }

  #unreliable(store: EventStore): EventStore {
    const error = new StoreError({ place: "disk", reason: new Unavailable({ detail: "EIO" }) })
    return {
      ...store,
      append: (records) =>
        Effect.suspend(() => {
          const { delayMs, failing } = this.#disk
          this.#disk.failing = undefined
          if (failing === "before") return Effect.fail(error)
          if (failing === "after") return Effect.andThen(store.append(records), error)
          return delayMs === 0
            ? store.append(records)
            : Effect.delay(store.append(records), delayMs)
        }),
    }
  }
}

/** The gates as the journal has them, read apart from our own fold. */
function stateBefore(records: ReadonlyArray<JournalRecord>) {
  const state = { trading: "active", account: false, feed: true }
  for (const { event } of records) {
    switch (event._tag) {
      case "RuntimeStarted":
        state.account = false
        break
      case "TradingStateChanged":
        state.trading = event.state
        break
      case "AccountReconciled":
        state.account = event.differences.length === 0
        break
      case "AccountLost":
        state.account = false
        break
      case "FeedLost":
        state.feed = false
        break
      case "FeedRestored":
        state.feed = true
    }
  }
  return state
}
