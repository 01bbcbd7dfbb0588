import assert from "node:assert/strict"
import fc from "fast-check"
import { decimal } from "../../../domain/decimal.ts"
import {
  type Decoded,
  type DecodedPrivate,
  decodeFrame,
  decodeMarketFrame,
  decodePrivateFrame,
  orderStatus,
} from "../../../venues/binance/decode.ts"
import { parseWithIds } from "../../../venues/binance/messages.ts"
import { guessedSymbols, symbolMap, symbolOf } from "../../../venues/binance/symbols.ts"
import {
  accountPosition,
  bookTicker,
  depth,
  everyFrame,
  executionReport,
  kline,
  snapshot,
  trade,
} from "./frames.ts"

const instrument = "BTC/USDT.BINANCE"
const symbols = symbolMap([instrument])
const HEARD = 1_700_000_000_500

const market = (frame: unknown) =>
  decodeMarketFrame(typeof frame === "string" ? frame : JSON.stringify(frame), symbols, HEARD)
const personal = (frame: unknown) =>
  decodePrivateFrame(typeof frame === "string" ? frame : JSON.stringify(frame), symbols)
const event = (change: Record<string, unknown>) =>
  personal({ subscriptionId: 0, event: { ...executionReport, ...change } })

function reasonOf(decoded: Decoded | DecodedPrivate): string {
  if (decoded._tag !== "Undecoded") assert.fail(`decoded as ${decoded._tag}`)
  assert.ok(decoded.reason.length > 0 && decoded.reason.length <= 200)
  return decoded.reason
}

Deno.test("decodeMarketFrame() reads a trade, combined or raw, and names the aggressor", () => {
  const expected = {
    ...{ _tag: "Trade", instrument, tradeId: "12345", price: decimal("37000.01000000") },
    ...{ size: decimal("0.00150000"), side: "sell", time: 1_700_000_000_099 },
  }
  assert.deepEqual(market(trade), expected)
  assert.deepEqual(market({ stream: "btcusdt@trade", data: trade }), expected)
  const bought = market({ ...trade, m: false })
  assert.equal(bought._tag === "Trade" && bought.side, "buy")
})

Deno.test("decodeMarketFrame() reads a book ticker and dates it by its arrival", () => {
  assert.deepEqual(market({ stream: "btcusdt@bookTicker", data: bookTicker }), {
    ...{ _tag: "Quote", instrument, updateId: "400900217", bid: decimal("37000.00000000") },
    ...{
      bidSize: decimal("1.50000000"),
      ask: decimal("37000.01000000"),
      askSize: decimal("0.25000000"),
    },
    ...{ time: HEARD, venueTime: false },
  })
})

Deno.test("decodeMarketFrame() reads a bar once it is closed", () => {
  const closed = market(kline)
  assert.deepEqual(closed, {
    ...{
      _tag: "Bar",
      instrument,
      intervalMs: 60_000,
      openTime: kline.k.t,
      open: decimal("37000.00"),
    },
    ...{ high: decimal("37002.00"), low: decimal("36999.00"), close: decimal("37001.50") },
    ...{ volume: decimal("12.34500000"), trades: 101 },
  })
  assert.equal(market({ ...kline, k: { ...kline.k, x: false } })._tag, "Control")
})

Deno.test("decodeMarketFrame() reads the changes of a book and its snapshot", () => {
  assert.deepEqual(market(depth), {
    ...{
      _tag: "Depth",
      instrument,
      firstUpdateId: "157",
      updateId: "160",
      time: 1_700_000_000_200,
    },
    bids: [[decimal("37000.00"), decimal("10.0")]],
    asks: [[decimal("37000.01"), decimal("0.00000000")], [decimal("37000.02"), decimal("3")]],
  })
  const whole = market(snapshot)
  assert.equal(whole._tag === "Snapshot" && whole.updateId, "156")
})

Deno.test("decodeMarketFrame() takes the top of a book on a stream for no snapshot", () => {
  reasonOf(market({ stream: "btcusdt@depth20", data: snapshot }))
})

Deno.test("decodeMarketFrame() reads answers, errors and the announced end", () => {
  assert.deepEqual(market({ result: null, id: 7 }), { _tag: "Control", id: "7", error: undefined })
  assert.deepEqual(market({ code: 2, msg: "Invalid request", id: 7 }), {
    _tag: "Control",
    id: "7",
    error: "2 Invalid request",
  })
  assert.deepEqual(market({ error: { code: 2, msg: "bad" } }), {
    _tag: "Control",
    id: undefined,
    error: "2 bad",
  })
  assert.deepEqual(market({ stream: "!serverShutdown", data: { e: "serverShutdown", E: 1 } }), {
    _tag: "Shutdown",
  })
})

Deno.test("ids beyond 2^53 are kept to the last digit", () => {
  const id = "8389765521519383888"
  const text = JSON.stringify(trade).replace('"t":12345', `"t":${id}`)
  const decoded = market(text)
  assert.equal(decoded._tag === "Trade" && decoded.tradeId, id)
  const report = personal(
    JSON.stringify({ event: executionReport }).replace('"i":4293153', `"i":${id}`),
  )
  assert.equal(report._tag === "Executed" && report.execution.venueOrderId, id)
})

Deno.test("parseWithIds() keeps long integers as text, and no number that is not an integer", () => {
  assert.deepEqual(
    parseWithIds("[9007199254740991, 9007199254740993, -9007199254740993, 1.5, 1e3, 0]"),
    [
      9007199254740991,
      "9007199254740993",
      "-9007199254740993",
      NaN,
      NaN,
      0,
    ],
  )
})

Deno.test("decimals of more than fifteen digits are exact", () => {
  const decoded = market({ ...trade, p: "12345678901234567.123456789012345678" })
  assert.deepEqual(
    decoded._tag === "Trade" && decoded.price,
    decimal("12345678901234567.123456789012345678"),
  )
})

Deno.test("what is no price is not a price: nothing becomes zero, nothing is rounded", () => {
  const bad = [
    "",
    null,
    0,
    1,
    37000.01,
    "0",
    "0.00000000",
    "-1",
    "1e5",
    " 1",
    "1,5",
    "NaN",
    true,
    [],
    {},
    "9".repeat(41),
  ]
  for (const value of bad) {
    reasonOf(market({ ...trade, p: value }))
    reasonOf(market({ ...bookTicker, b: value }))
    reasonOf(market({ ...bookTicker, a: value }))
    reasonOf(market({ ...kline, k: { ...kline.k, c: value } }))
    reasonOf(market({ ...depth, b: [[value, "1"]] }))
    reasonOf(market({ ...snapshot, asks: [["1", "1"], [value, "1"]] }))
  }
})

Deno.test("what is no quantity is not a quantity; none at all is one", () => {
  for (const value of ["", null, 1, "-0.1", "1e5", undefined]) {
    reasonOf(market({ ...trade, q: value }))
    reasonOf(market({ ...bookTicker, A: value }))
    reasonOf(event({ l: value }))
    reasonOf(event({ z: value }))
  }
  assert.equal(market({ ...bookTicker, A: "0.00000000" })._tag, "Quote")
})

Deno.test("what is no id, time or side is refused", () => {
  for (const value of [null, "", "12", "abc", -1, 1.5, 1e300, "1234567890123456789012", true]) {
    reasonOf(market({ ...trade, t: value }))
    reasonOf(market({ ...depth, u: value }))
  }
  for (const value of [null, "1700000000099", 1.5, -1, 1_700_000_000_099_000]) {
    reasonOf(market({ ...trade, T: value }))
  }
  for (const value of [null, 1, "true"]) reasonOf(market({ ...trade, m: value }))
  for (const value of ["HOLD", "buy", null]) reasonOf(event({ S: value }))
})

Deno.test("a frame that is cut anywhere says so", () => {
  const text = JSON.stringify({ stream: "btcusdt@trade", data: trade })
  for (let length = 0; length < text.length; length++) {
    assert.equal(reasonOf(market(text.slice(0, length))), "not a JSON object")
  }
})

Deno.test("fields that nobody knows are passed over, events that nobody knows are reported", () => {
  assert.equal(market({ ...trade, zz: { deep: [1] } })._tag, "Trade")
  assert.equal(reasonOf(market({ ...trade, e: "aggTrade" })), 'unknown event "aggTrade"')
  assert.equal(reasonOf(market({ ...trade, s: "ETHUSDT" })), 'a symbol nobody asked for: "ETHUSDT"')
  assert.equal(reasonOf(personal({ event: { e: "news", E: 1 } })), 'unknown event "news"')
  assert.equal(reasonOf(event({ X: "PENDING_CANCEL" })), 'unknown order status "PENDING_CANCEL"')
  for (
    const each of [
      "",
      "null",
      "5",
      '"x"',
      "[]",
      "{}",
      "{",
      "\u0000",
      '{"stream":"x"}',
      '{"stream":"x","data":[]}',
    ]
  ) {
    reasonOf(market(each))
    reasonOf(personal(each))
  }
})

Deno.test("decodePrivateFrame() reads an execution with its order", () => {
  const report = {
    ...{ clientOrderId: "keel-1", venueOrderId: "4293153", instrument, status: "partially_filled" },
    ...{ filledQuantity: decimal("0.00100000"), reason: "", time: 1_700_000_000_299 },
  }
  assert.deepEqual(event({}), {
    _tag: "Executed",
    report,
    execution: {
      ...{
        executionId: "77",
        clientOrderId: "keel-1",
        venueOrderId: "4293153",
        instrument,
        side: "buy",
      },
      ...{
        quantity: decimal("0.00100000"),
        price: decimal("37000.01"),
        fee: decimal("0.00000100"),
      },
      ...{ feeAsset: "BTC", time: 1_700_000_000_299 },
    },
  })
})

Deno.test("decodePrivateFrame() reads what happens to an order without a trade", () => {
  const quiet = { l: "0.00000000", L: "0.00000000", n: "0", N: null, t: -1, z: "0.00000000" }
  const status = (x: string, X: string, change = {}) => {
    const decoded = event({ ...quiet, x, X, ...change })
    if (decoded._tag !== "Report") assert.fail(decoded._tag)
    return [decoded.report.status, decoded.report.clientOrderId, decoded.report.reason]
  }
  assert.deepEqual(status("NEW", "NEW"), ["accepted", "keel-1", ""])
  assert.deepEqual(status("REJECTED", "REJECTED", { r: "INSUFFICIENT_BALANCE" }), [
    "rejected",
    "keel-1",
    "INSUFFICIENT_BALANCE",
  ])
  assert.deepEqual(status("EXPIRED", "EXPIRED", { eR: "INSUFFICIENT_LIQUIDITY" }), [
    "expired",
    "keel-1",
    "INSUFFICIENT_LIQUIDITY",
  ])
  assert.deepEqual(status("TRADE_PREVENTION", "EXPIRED_IN_MATCH"), [
    "expired",
    "keel-1",
    "SELF_TRADE_PREVENTION",
  ])
  // A cancel has an id of its own; the order's is `C`.
  assert.deepEqual(status("CANCELED", "CANCELED", { c: "web_1", C: "keel-1" }), [
    "canceled",
    "keel-1",
    "",
  ])
})

Deno.test("decodePrivateFrame() never invents a fill: without price, id or asset of its fee there is none", () => {
  const unpriced = event({ L: "0.00000000" })
  assert.equal(unpriced._tag, "Report")
  assert.deepEqual(
    unpriced._tag === "Report" && unpriced.report.filledQuantity,
    decimal("0.00100000"),
  )
  assert.equal(reasonOf(event({ t: -1 })), "a fill without an id")
  assert.equal(reasonOf(event({ N: null })), "a fee in no asset")
  const free = event({ n: "0", N: null })
  assert.equal(free._tag === "Executed" && free.execution.feeAsset, "")
})

Deno.test("decodePrivateFrame() reads balances, answers and the end of a subscription", () => {
  assert.deepEqual(personal({ subscriptionId: 0, event: accountPosition }), {
    _tag: "Balances",
    balances: [
      { asset: "BTC", free: decimal("0.00099900"), locked: decimal("0.00000000") },
      { asset: "USDT", free: decimal("99963.00"), locked: decimal("10.5") },
    ],
  })
  assert.deepEqual(personal({ id: "subscribe", status: 200, result: {} }), {
    ...{ _tag: "Answer", id: "subscribe", status: 200, error: "" },
  })
  assert.deepEqual(
    personal({ id: null, status: 401, error: { code: -2015, msg: "Invalid API-key" } }),
    {
      ...{ _tag: "Answer", id: "null", status: 401, error: "-2015 Invalid API-key" },
    },
  )
  assert.deepEqual(personal({ event: { e: "eventStreamTerminated", E: 1 } }), {
    _tag: "Terminated",
    reason: "eventStreamTerminated",
  })
  for (const e of ["listStatus", "externalLockUpdate"]) {
    assert.deepEqual(personal({ event: { e, E: 1 } }), { _tag: "Ignored" })
  }
  const moved = { e: "balanceUpdate", E: 1, a: "BTC", d: "-0.5", T: 1 }
  assert.deepEqual(personal({ event: moved }), { _tag: "BalanceMoved", asset: "BTC" })
  assert.equal(personal({ event: { ...moved, d: "" } })._tag, "Undecoded")
  assert.deepEqual(personal({ event: { e: "serverShutdown", E: 1 } }), { _tag: "Shutdown" })
})

Deno.test("orderStatus() knows every status of the venue and no other", () => {
  const known = [
    "NEW",
    "PENDING_NEW",
    "PARTIALLY_FILLED",
    "FILLED",
    "CANCELED",
    "EXPIRED",
    "EXPIRED_IN_MATCH",
    "REJECTED",
  ]
  assert.deepEqual(known.map(orderStatus), [
    ...["accepted", "accepted", "partially_filled", "filled"],
    ...["canceled", "expired", "expired", "rejected"],
  ])
  for (const status of ["", "new", "REPLACED", "toString"]) {
    assert.equal(orderStatus(status), undefined)
  }
})

Deno.test("decodeFrame() tells the streams apart", () => {
  const tags = everyFrame.map((frame) => decodeFrame(JSON.stringify(frame), symbols, HEARD)._tag)
  assert.deepEqual(tags, [
    ...["Trade", "Quote", "Bar", "Depth", "Trade", "Quote", "Bar", "Depth", "Snapshot"],
    ...[
      "Control",
      "Control",
      "Shutdown",
      "Answer",
      "Answer",
      "Executed",
      "Balances",
      "BalanceMoved",
      "Terminated",
    ],
  ])
})

/** Replaces, drops, doubles or swaps pieces of a frame's text. */
const anyDamage = fc.record({
  at: fc.nat(2_000),
  length: fc.nat(12),
  by: fc.string({ maxLength: 8 }),
})
const anyDamaged = fc.tuple(
  fc.constantFrom(...everyFrame),
  fc.array(anyDamage, { minLength: 1, maxLength: 4 }),
).map(
  ([frame, damages]) =>
    damages.reduce((text, { at, length, by }) => {
      const from = at % (text.length + 1)
      return text.slice(0, from) + by + text.slice(from + length)
    }, JSON.stringify(frame)),
)

/** Values of a frame exchanged for anything that JSON can hold. */
const anyMutated = fc.tuple(fc.constantFrom(...everyFrame), fc.nat(40), fc.jsonValue()).map(
  ([frame, at, value]) => {
    let seen = 0
    return JSON.stringify(frame, (_key, each) => seen++ === at + 1 ? value : each)
  },
)

function assertSound(decoded: Decoded | DecodedPrivate) {
  assert.equal(typeof decoded._tag, "string")
  if (decoded._tag === "Undecoded") reasonOf(decoded)
  if (decoded._tag === "Trade") {
    assert.match(decoded.tradeId, /^\d+$/)
    assert.ok(
      decoded.price.value > 0n && decoded.size.value >= 0n && Number.isSafeInteger(decoded.time),
    )
  }
  if (decoded._tag === "Quote") assert.ok(decoded.bid.value > 0n && decoded.ask.value > 0n)
  if (decoded._tag === "Executed") {
    const { execution } = decoded
    assert.ok(execution.price.value > 0n && execution.quantity.value > 0n)
    assert.match(execution.executionId, /^\d+$/)
  }
}

Deno.test("no frame makes the decoders throw or let through what is not sound", () => {
  const anyFrame = fc.oneof(fc.string(), fc.json(), anyDamaged, anyMutated)
  fc.assert(
    fc.property(anyFrame, (frame) => {
      assertSound(decodeMarketFrame(frame, symbols, HEARD))
      assertSound(decodePrivateFrame(frame, symbols))
      assertSound(decodeFrame(frame, guessedSymbols, HEARD))
    }),
    { numRuns: 3_000 },
  )
})

Deno.test("values whose conversion to text would throw do no harm", () => {
  for (const value of [{ toString: 1, valueOf: 1 }, { toJSON: 1 }, [], { __proto__: null }]) {
    for (const key of ["id", "code", "msg", "status", "e", "s", "error", "result"]) {
      assertSound(market(JSON.stringify({ id: 1, code: 2, [key]: value })))
      assertSound(
        personal(
          JSON.stringify({ id: 1, status: 400, error: { code: 1, [key]: value }, [key]: value }),
        ),
      )
      assertSound(personal(JSON.stringify({ event: { ...executionReport, [key]: value } })))
    }
  }
})

Deno.test("symbols are pairs everywhere else", () => {
  assert.equal(symbolOf("BTC/USDT.BINANCE"), "BTCUSDT")
  assert.deepEqual(["BTCUSDT", "ETHBTC", "BTCFDUSD", "XRPETH", "1INCHUSDC"].map(guessedSymbols), [
    ...[
      "BTC/USDT.BINANCE",
      "ETH/BTC.BINANCE",
      "BTC/FDUSD.BINANCE",
      "XRP/ETH.BINANCE",
      "1INCH/USDC.BINANCE",
    ],
  ])
  assert.deepEqual(["USDT", "", "XYZ"].map(guessedSymbols), [undefined, undefined, undefined])
})
