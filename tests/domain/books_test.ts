import assert from "node:assert/strict"
import { BigDecimal, Effect } from "effect"
import fc from "fast-check"
import {
  applyRecord,
  type Books,
  booksLimits,
  copyBooks,
  emptyBooks,
  executionKey,
  expectedBalance,
  openOrders,
} from "../../domain/books.ts"
import { decimal, formatDecimal } from "../../domain/decimal.ts"
import { decodeEvent, encodeEvent, type Event, type EventOf } from "../../domain/event.ts"
import { anyEventOf, anyJournal, eventTags, fold, journal, opened } from "./events.ts"

/** Comparable text of everything in the books. */
function shown(books: Books): string {
  return JSON.stringify(books, (_key, value: unknown) => {
    if (BigDecimal.isBigDecimal(value)) return formatDecimal(value)
    if (value instanceof Map || value instanceof Set) return [...value]
    return value === undefined ? null : value
  })
}

function submitted(
  clientOrderId: string,
  quantity = "2",
  side: "buy" | "sell" = "buy",
): EventOf<"OrderSubmitted"> {
  return {
    _tag: "OrderSubmitted",
    clientOrderId,
    venue: "binance",
    instrument: "BTC/USDT.BINANCE",
    side,
    type: "market",
    purpose: side === "buy" ? "open" : "reduce",
    quantity: decimal(quantity),
    price: null,
    origin: "a",
    reason: "",
  }
}

function filled(
  clientOrderId: string,
  executionId: string,
  quantity = "1",
  fee = "0",
): EventOf<"OrderFilled"> {
  return {
    _tag: "OrderFilled",
    clientOrderId,
    executionId,
    venueOrderId: "9",
    quantity: decimal(quantity),
    price: decimal("100"),
    fee: decimal(fee),
    feeAsset: fee === "0" ? "" : "USDT",
    executedAt: 5,
  }
}

const balance = (books: Books, asset: string) =>
  formatDecimal(expectedBalance(books.accounts.get("binance")!, asset))

for (const tag of eventTags) {
  Deno.test(`every ${tag} survives the journal`, async () => {
    await fc.assert(
      fc.asyncProperty(anyEventOf(tag), async (event) => {
        const written = JSON.stringify(encodeEvent(event))
        const read = await Effect.runPromise(decodeEvent(JSON.parse(written)))
        assert.equal(JSON.stringify(encodeEvent(read)), written)
        assert.equal(read._tag, tag)
      }),
      { numRuns: 30 },
    )
  })
}

Deno.test("decodeEvent refuses what is not an event", async () => {
  const bad = [
    null,
    {},
    { _tag: "Nothing" },
    { _tag: "AlertResolved" },
    { _tag: "AlertResolved", id: 5 },
    { _tag: "FeedLost", venue: "binance", cause: "", attempt: 1.5 },
    { _tag: "EquityMarked", venue: "binance", total: "", peak: "1", drawdown: "0" },
    { _tag: "EquityMarked", venue: "binance", total: 1, peak: "1", drawdown: "0" },
  ]
  for (const each of bad) {
    const exit = await Effect.runPromiseExit(decodeEvent(each))
    assert.equal(exit._tag, "Failure", JSON.stringify(each))
  }
})

Deno.test("applyRecord() treats a gap in the sequence as a defect", () => {
  const [first, second, third] = journal([opened, submitted("1"), submitted("2")])
  const books = emptyBooks()
  assert.throws(() => applyRecord(books, second!), /journal gap: expected 1, got 2/)
  applyRecord(books, first!)
  assert.throws(() => applyRecord(books, first!), /journal gap: expected 2, got 1/)
  assert.throws(() => applyRecord(books, third!), /journal gap: expected 2, got 3/)
  applyRecord(books, second!)
  assert.equal(books.seq, 2)
})

Deno.test("applyRecord() folds the same journal into the same books, from any copy on", () => {
  fc.assert(fc.property(anyJournal, fc.nat(60), (events, at) => {
    const whole = fold(events)
    assert.equal(shown(fold(events)), shown(whole))
    const records = journal(events)
    const books = emptyBooks()
    for (const record of records.slice(0, at)) applyRecord(books, record)
    const copy = copyBooks(books)
    for (const record of records.slice(at)) applyRecord(copy, record)
    assert.equal(shown(copy), shown(whole))
  }))
})

Deno.test("copyBooks() stands still whatever happens to the original", () => {
  fc.assert(fc.property(anyJournal, fc.nat(30), (events, at) => {
    const records = journal(events)
    const books = emptyBooks()
    for (const record of records.slice(0, at)) applyRecord(books, record)
    const copy = copyBooks(books)
    const before = shown(copy)
    for (const record of records.slice(at)) applyRecord(books, record)
    assert.equal(shown(copy), before)
  }))
})

Deno.test("applyRecord() counts an execution once per instrument, however often it is reported", () => {
  const other = { ...submitted("2"), instrument: "ETH/USDT.BINANCE" }
  const events: ReadonlyArray<Event> = [
    opened,
    submitted("1"),
    other,
    filled("1", "7"),
    filled("1", "7"),
    filled("2", "7"),
  ]
  const books = fold(events)
  assert.equal(formatDecimal(books.orders.get("1")!.filledQuantity), "1")
  assert.equal(formatDecimal(books.orders.get("2")!.filledQuantity), "1")
  assert.equal(books.fills.length, 2)
  assert.deepEqual([...books.executions], [
    executionKey("BTC/USDT.BINANCE", "7"),
    executionKey("ETH/USDT.BINANCE", "7"),
  ])
})

Deno.test("applyRecord() moves the cash of a fill, its fee included", () => {
  const books = fold([opened, submitted("1"), filled("1", "7", "1", "0.5")])
  assert.deepEqual([balance(books, "USDT"), balance(books, "BTC")], ["99899.5", "3"])
  const sold = fold([opened, submitted("1", "2", "sell"), filled("1", "7")])
  assert.deepEqual([balance(sold, "USDT"), balance(sold, "BTC")], ["100100", "1"])
  assert.deepEqual([...sold.accounts.get("binance")!.moved.keys()], ["BTC", "USDT"])
})

Deno.test("applyRecord() refuses what cannot have happened", () => {
  assert.throws(
    () => fold([opened, submitted("1"), submitted("1")]),
    /client order id 1 is used twice/,
  )
  assert.throws(() => fold([opened, filled("1", "7")]), /fill of an unknown order 1/)
  assert.throws(
    () => fold([submitted("1"), filled("1", "7")]),
    /account of binance was never opened/,
  )
  const compared = { ordersOpen: 0, fillsFound: 0, differences: [] }
  assert.throws(
    () => fold([{ _tag: "AccountReconciled", venue: "binance", ...compared }]),
    /never opened/,
  )
})

Deno.test("a venue that refuses us before it has shown the account leaves none behind", () => {
  const books = fold([{ _tag: "AccountLost", venue: "alpaca", cause: "refused" }, opened])
  assert.deepEqual([...books.accounts.keys()], ["binance"])
})

Deno.test("a start forgets what was true of the venues, and keeps everything else", () => {
  const started: Event = { _tag: "RuntimeStarted", mode: "sim", version: "1", journalId: "abc" }
  const books = fold([
    started,
    opened,
    { _tag: "AccountReconciled", venue: "binance", ordersOpen: 0, fillsFound: 0, differences: [] },
    { _tag: "FeedRestored", venue: "binance", outageMs: 0 },
    submitted("1"),
    { ...started, journalId: "other" },
  ])
  assert.equal(books.journalId, "abc")
  assert.equal(books.accounts.get("binance")!.ready, false)
  assert.equal(books.feeds.size, 0)
  assert.deepEqual(openOrders(books).map(({ clientOrderId }) => clientOrderId), ["1"])
})

Deno.test("an account is ready only when it was compared and nothing differed", () => {
  const compared = (differences: ReadonlyArray<string>): Event => ({
    ...{ _tag: "AccountReconciled", venue: "binance", ordersOpen: 0, fillsFound: 0, differences },
  })
  const ready = (events: ReadonlyArray<Event>) =>
    fold([opened, ...events]).accounts.get("binance")!.ready
  assert.equal(ready([]), false)
  assert.equal(ready([compared([])]), true)
  assert.equal(ready([compared([]), compared(["BTC 1 not 2"])]), false)
  assert.equal(
    ready([compared([]), { _tag: "AccountLost", venue: "binance", cause: "closed" }]),
    false,
  )
})

Deno.test("a swap hands the holding over to the strategy that takes over", () => {
  const to = {
    ...{ id: "b", strategy: "rsi_momentum", instrument: "BTC/USDT.BINANCE", interval: "1m" },
    ...{ params: {}, notional: decimal("10") },
  }
  const books = fold([opened, submitted("1"), filled("1", "7"), {
    _tag: "StrategySwapped",
    from: "a",
    to,
    by: "operator",
  }])
  assert.deepEqual([...books.positions.get("BTC/USDT.BINANCE")!.holders.keys()], ["b"])
  assert.deepEqual([...books.assignments.keys()], ["b"])
  // What is still to be filled is its own, too.
  assert.equal(books.orders.get("1")!.origin, "b")
})

Deno.test("an outage lasts from its first sign to the end, whatever is tried in between", () => {
  const lost = (attempt: number): Event => ({
    _tag: "FeedLost",
    venue: "binance",
    cause: `c${attempt}`,
    attempt,
  })
  const feed = (events: ReadonlyArray<Event>) => fold(events).feeds.get("binance")!
  assert.deepEqual(feed([lost(1), lost(2), { _tag: "FeedPolling", venue: "binance" }, lost(6)]), {
    venue: "binance",
    status: "polling",
    attempt: 6,
    since: 1_000,
    cause: "c6",
    retryAt: undefined,
  })
  const restored = feed([lost(1), { _tag: "FeedRestored", venue: "binance", outageMs: 5 }])
  assert.deepEqual([restored.status, restored.attempt, restored.since], ["streaming", 0, 2_000])
})

Deno.test("an alert that is raised again before it is resolved is the same alert", () => {
  const raised = (detail: string): Event => ({
    _tag: "AlertRaised",
    id: "x",
    severity: "warning",
    title: "t",
    detail,
  })
  const alert = (events: ReadonlyArray<Event>) => fold(events).alerts.get("x")!
  assert.deepEqual([
    alert([raised("1"), raised("2")]).raisedAt,
    alert([raised("1"), raised("2")]).detail,
  ], [1_000, "2"])
  const again = alert([raised("1"), { _tag: "AlertResolved", id: "x" }, raised("3")])
  assert.deepEqual([again.raisedAt, again.resolvedAt], [3_000, undefined])
})

Deno.test("the equity of a day begins with the last mark of the day before", () => {
  const books = emptyBooks()
  const mark = (seq: number, time: number, total: string) =>
    applyRecord(books, {
      ...{ seq, time, epoch: 1 },
      event: {
        _tag: "EquityMarked",
        venue: "binance",
        total: decimal(total),
        peak: decimal("9"),
        drawdown: decimal("0"),
      },
    })
  mark(1, 86_400_000 - 1, "1")
  mark(2, 86_400_000, "2")
  mark(3, 86_400_001, "3")
  const curve = books.curves.get("binance")!
  assert.deepEqual([curve.day, formatDecimal(curve.dayStart), formatDecimal(curve.last)], [
    1,
    "1",
    "3",
  ])
  assert.equal(curve.points.length, 3)
})

Deno.test("the books keep a bounded past, and every open order", () => {
  const events: Array<Event> = [opened, submitted("open")]
  const many = 2 * booksLimits.closedOrders + 200
  for (let at = 0; at < many; at++) {
    events.push(submitted(`${at}`, "1"), filled(`${at}`, `${at}`))
    events.push({ _tag: "AlertRaised", id: `${at}`, severity: "info", title: "", detail: "" })
    events.push({
      _tag: "CommandReceived",
      command: { commandId: `${at}`, type: "pause", scope: { kind: "all" } },
    })
  }
  for (let at = 0; at < booksLimits.equityPoints + 10; at++) {
    events.push({
      _tag: "EquityMarked",
      venue: "binance",
      total: decimal("1"),
      peak: decimal("1"),
      drawdown: decimal("0"),
    })
  }
  const books = fold(events)
  assert.ok(books.orders.size <= 2 * booksLimits.closedOrders + 1)
  assert.equal(books.orders.get("open")!.status, "submitted")
  assert.equal(books.orders.get(`${many - 1}`)!.status, "filled")
  assert.equal(books.fills.length, booksLimits.fills)
  assert.equal(books.alerts.size, booksLimits.alerts)
  assert.equal(books.commands.size, booksLimits.commands)
  assert.equal(books.curves.get("binance")!.points.length, booksLimits.equityPoints)
  assert.equal(books.intents.get("binance"), many + 1)
  assert.equal(books.executions.size, many)
  // Late evidence of an order that is forgotten changes nothing.
  const before = shown(books)
  applyRecord(books, {
    seq: books.seq + 1,
    time: books.time,
    epoch: 1,
    event: { _tag: "OrderCanceled", clientOrderId: "0" },
  })
  assert.equal(shown(books), before.replace(`"seq":${books.seq - 1}`, `"seq":${books.seq}`))
})

Deno.test("an alert that stands is not forgotten for those that came and went", () => {
  const raised = (id: string): Event => (
    { _tag: "AlertRaised", id, severity: "critical", title: "", detail: "" }
  )
  const passing = (at: number): ReadonlyArray<Event> => [
    raised(`order:${at}`),
    { _tag: "AlertResolved", id: `order:${at}` },
  ]
  const many = Array.from({ length: 2 * booksLimits.alerts }, (_, at) => at)
  const { alerts } = fold([raised("actor:root/x"), ...many.flatMap(passing)])
  assert.equal(alerts.size, booksLimits.alerts)
  assert.deepEqual([...alerts.keys()].slice(0, 2), ["actor:root/x", "order:101"])
})

Deno.test("the drawdown of all accounts is that of their sum, and an account that joins is no profit", () => {
  const mark = (venue: string, total: string) =>
    ({
      _tag: "EquityMarked",
      venue,
      total: decimal(total),
      peak: decimal(total),
      drawdown: decimal("0"),
    }) as const
  const books = fold([mark("binance", "1000"), mark("alpaca", "1000")])
  assert.equal(formatDecimal(books.peak), "2000")
  assert.equal(formatDecimal(books.drawdown), "0")
  // One loses what the other wins: nothing was lost together.
  const even = fold([
    mark("binance", "1000"),
    mark("alpaca", "1000"),
    mark("binance", "1100"),
    mark("alpaca", "900"),
  ])
  assert.equal(formatDecimal(even.peak), "2100")
  assert.equal(formatDecimal(even.drawdown), "0.047619")
})

Deno.test("client order ids are counted by venue", () => {
  const at = (venue: string, id: string) => ({ ...submitted(id), venue }) as const
  const books = fold([at("binance", "a"), at("alpaca", "b"), at("binance", "c")])
  assert.deepEqual([...books.intents], [["binance", 2], ["alpaca", 1]])
})
