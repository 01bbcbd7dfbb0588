import assert from "node:assert/strict"
import fc from "fast-check"
import { decimal, formatDecimal } from "../../../domain/decimal.ts"
import { cryptoFee } from "../../../venues/alpaca/crypto_fee.ts"
import {
  type Decoded,
  type DecodedPrivate,
  decodeFrame,
  decodeMarketFrame,
  decodePrivateFrame,
  reportOf,
} from "../../../venues/alpaca/decode.ts"
import { parseExact } from "../../../venues/alpaca/messages.ts"
import { baseOf, guessedSymbols, symbolMap, symbolOf } from "../../../venues/alpaca/symbols.ts"
import {
  accepted,
  authorized,
  bar,
  cancel,
  correction,
  cryptoQuote,
  cryptoTrade,
  everyFrame,
  fill,
  halt,
  listening,
  luld,
  order,
  quote,
  resume,
  trade,
} from "./frames.ts"

const AAPL = "AAPL.ALPACA"
const BTC = "BTC/USD.ALPACA"
const symbols = symbolMap([AAPL, BTC])
const fee = cryptoFee(25)

const frame = (...messages: ReadonlyArray<unknown>) =>
  decodeMarketFrame(JSON.stringify(messages), symbols)
const raw = (text: string) => decodeMarketFrame(`[${text}]`, symbols)[0]!
const market = (message: unknown) => frame(message)[0]!
const personal = (message: unknown) => decodePrivateFrame(JSON.stringify(message), symbols, fee)[0]!
const update = (change: Record<string, unknown>, orderChange: Record<string, unknown> = {}) =>
  personal({ ...fill, data: { ...fill.data, ...change, order: { ...order, ...orderChange } } })

function reasonOf(decoded: Decoded | DecodedPrivate): string {
  if (decoded._tag !== "Undecoded") assert.fail(`decoded as ${decoded._tag}`)
  assert.ok(decoded.reason.length > 0 && decoded.reason.length <= 200)
  return decoded.reason
}

Deno.test("a share's trade has the exchange in its id, and no side that nobody told", () => {
  assert.deepEqual(market(trade), {
    ...{ _tag: "Trade", instrument: AAPL, tradeId: "V:52983525029461", side: "unknown" },
    ...{ price: decimal("230.155"), size: decimal("100") },
    time: Date.UTC(2026, 10, 23, 15, 30, 0, 123),
  })
})

Deno.test("a crypto trade has the taker's side", () => {
  assert.deepEqual(market(cryptoTrade), {
    ...{ _tag: "Trade", instrument: BTC, tradeId: "3741", side: "sell" },
    ...{ price: decimal("64123.45"), size: decimal("0.00210777") },
    time: Date.UTC(2026, 10, 23, 15, 30, 0, 500),
  })
})

Deno.test("a print away from the market is known as one", () => {
  for (const condition of ["W", "Z", "4", "7"]) {
    const decoded = market({ ...trade, c: ["@", condition] })
    assert.equal(decoded._tag, "Aside", condition)
  }
  for (const condition of ["I", "T", "F", " "]) {
    assert.equal(market({ ...trade, c: ["@", condition] })._tag, "Trade", condition)
  }
})

Deno.test("a quote has two sides and the venue's time", () => {
  assert.deepEqual(market(cryptoQuote), {
    ...{ _tag: "Quote", instrument: BTC, updateId: "0", venueTime: true },
    ...{ bid: decimal("64123.4"), bidSize: decimal("0.5") },
    ...{ ask: decimal("64130.1"), askSize: decimal("1.25") },
    time: Date.UTC(2026, 10, 23, 15, 30, 1),
  })
  assert.equal(market(quote)._tag, "Quote")
})

Deno.test("half a quote is not a price", () => {
  for (const side of ["bp", "ap"]) {
    assert.equal(market({ ...quote, [side]: 0 })._tag, "Ignored")
    assert.equal(market({ ...quote, [side]: undefined })._tag, "Ignored")
  }
})

Deno.test("numbers keep every digit that was written", () => {
  const text = JSON.stringify(cryptoTrade)
  for (const digits of ["37000.123456789012345", "12345678901234567.89", "0.000000000000000001"]) {
    const decoded = raw(text.replace("64123.45", digits))
    assert.ok(decoded._tag === "Trade")
    assert.equal(formatDecimal(decoded.price), digits)
  }
  const decoded = raw(text.replace("3741", "18446744073709551615"))
  assert.ok(decoded._tag === "Trade")
  assert.equal(decoded.tradeId, "18446744073709551615")
})

Deno.test("what is not a plain decimal is never a price", () => {
  const text = JSON.stringify(cryptoTrade)
  const bad = [
    ...['""', "null", '"NaN"', "NaN", "1e3", "6.4E4", "-1", "0", "true", "[64123]", '"+1"', '" 1"'],
    ...["1".repeat(41), `0.${"1".repeat(19)}`, "1e999999999"],
  ]
  for (const price of bad) {
    const decoded = raw(text.replace("64123.45", price))
    assert.equal(decoded._tag, "Undecoded", price)
  }
  for (const price of ['""', "null", "1e3", "-1"]) {
    const decoded = raw(JSON.stringify(quote).replace("230.15", price))
    assert.equal(decoded._tag, "Undecoded", price)
  }
})

Deno.test("a time is one of this calendar, to the millisecond below", () => {
  const at = (t: string) => market({ ...trade, t })
  const decoded = at("2026-11-23T10:30:00.999999999-05:00")
  assert.ok(decoded._tag === "Trade")
  assert.equal(decoded.time, Date.UTC(2026, 10, 23, 15, 30, 0, 999))
  const bad = [
    ...["0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-23"],
    ...["2026-11-23T24:00:00Z", "2026-11-23T10:60:00Z", "2026-11-23T10:00:00", "", "1764000000"],
  ]
  for (const time of bad) assert.equal(at(time)._tag, "Undecoded", time)
  assert.equal(at("2028-02-29T00:00:00Z")._tag, "Trade")
  assert.equal(at("2027-02-29T00:00:00Z")._tag, "Undecoded")
})

Deno.test("a halt, a pause and a resumption change the status, with the reason", () => {
  assert.deepEqual(market(halt), {
    ...{ _tag: "Status", instrument: AAPL, status: "halted" },
    ...{ reason: "LUDP Volatility Trading Pause", time: Date.UTC(2026, 10, 23, 15, 31, 0, 250) },
  })
  assert.deepEqual(market(resume), {
    ...{ _tag: "Status", instrument: AAPL, status: "trading", reason: "T Trading Resumption" },
    time: Date.UTC(2026, 10, 23, 15, 36),
  })
  const of = (sc: string, sm = "") => {
    const decoded = market({ ...halt, sc, sm, rc: undefined, rm: undefined })
    return decoded._tag === "Status" ? decoded.status : decoded._tag
  }
  // Both tapes; quoting again is not trading again, and a short sale restriction is not a halt.
  assert.deepEqual(["2", "H", "P", "Q", "3", "T"].map((code) => of(code)), [
    ...["halted", "halted", "halted", "halted", "trading", "trading"],
  ])
  assert.equal(of("E", "Short Sale Restriction"), "Ignored")
  assert.equal(of("5", "Price Indication"), "Ignored")
  assert.equal(of("?", "Regulatory Halt"), "halted")
})

Deno.test("price bands, corrections and cancels are told", () => {
  assert.deepEqual(market(luld), {
    ...{ _tag: "PriceBand", instrument: AAPL, lower: decimal("218.64"), upper: decimal("241.66") },
    time: Date.UTC(2026, 10, 23, 15, 30, 2),
  })
  const time = Date.UTC(2026, 10, 23, 15, 30, 3)
  assert.deepEqual(market(correction), {
    ...{ _tag: "TradeCorrection", instrument: AAPL, tradeId: "V:71", time },
    corrected: {
      ...{ _tag: "Trade", instrument: AAPL, tradeId: "V:72", side: "unknown", time },
      ...{ price: decimal("230.1"), size: decimal("10") },
    },
  })
  assert.deepEqual(market(cancel), {
    ...{ _tag: "TradeCancel", instrument: AAPL, tradeId: "V:71" },
    time: Date.UTC(2026, 10, 23, 15, 30, 4),
  })
})

Deno.test("a minute's bar is decoded", () => {
  const decoded = market(bar)
  assert.ok(decoded._tag === "Bar")
  assert.deepEqual(
    [decoded.intervalMs, decoded.openTime, decoded.trades, formatDecimal(decoded.volume)],
    [60_000, Date.UTC(2026, 10, 23, 15, 30), 88, "12345"],
  )
})

Deno.test("one message that means nothing does not cost its neighbours", () => {
  const tags = frame(trade, { ...trade, p: null }, { T: "?" }, 7, quote).map(({ _tag }) => _tag)
  assert.deepEqual(tags, ["Trade", "Undecoded", "Undecoded", "Undecoded", "Quote"])
})

Deno.test("answers to us are told apart", () => {
  const tags = frame(
    { T: "success", msg: "connected" },
    { T: "success", msg: "authenticated" },
    { T: "subscription", trades: ["AAPL"] },
    { T: "success", msg: "?" },
  ).map(({ _tag }) => _tag)
  assert.deepEqual(tags, ["Connected", "Authenticated", "Subscribed", "Undecoded"])
  assert.deepEqual(market({ T: "error", code: 405, msg: "symbol limit exceeded" }), {
    ...{ _tag: "Refusal", code: 405, reason: "405 symbol limit exceeded" },
  })
  assert.match(reasonOf(market({ T: "error", msg: "?" })), /without a code/)
})

Deno.test("what is not an array of messages, or of nobody's symbol, is undecoded", () => {
  for (const text of ["", "{}", "null", "[", '"t"', "1", '{"T":"t"}']) {
    const decoded = decodeMarketFrame(text, symbols)
    assert.equal(decoded.length, 1)
    assert.match(reasonOf(decoded[0]!), /array/)
  }
  assert.match(reasonOf(market({ ...trade, S: "GME" })), /nobody asked for: "GME"/)
  assert.match(
    reasonOf(personal({ ...fill, data: { ...fill.data, order: { ...order, symbol: "GME" } } })),
    /GME/,
  )
})

Deno.test("a fill is an execution and a report, named by its order and the running sum", () => {
  const time = Date.UTC(2026, 10, 23, 15, 30, 0, 400)
  const decoded = personal(fill)
  assert.ok(decoded._tag === "Executed")
  const { quantity, price, fee: paid, ...execution } = decoded.execution
  assert.deepEqual([quantity, price, paid].map(formatDecimal), ["4", "230.155", "0"])
  assert.deepEqual(execution, {
    ...{ executionId: `${order.id}:4`, clientOrderId: "keel-a1-7", venueOrderId: order.id },
    ...{ instrument: AAPL, side: "buy", feeAsset: "USD", time },
  })
  const { filledQuantity, ...report } = decoded.report
  assert.equal(formatDecimal(filledQuantity), "4")
  assert.deepEqual(report, {
    ...{ clientOrderId: "keel-a1-7", venueOrderId: order.id, instrument: AAPL },
    ...{ status: "partially_filled", reason: "", time },
  })
})

Deno.test("a fill without price or quantity is a report: the list of fills will tell", () => {
  for (const change of [{ price: null }, { qty: null }, { price: "0" }, { qty: undefined }]) {
    assert.equal(update(change)._tag, "Report")
  }
  assert.equal(update({ price: "" })._tag, "Undecoded")
  assert.equal(update({}, { side: "up" })._tag, "Undecoded")
})

Deno.test("crypto pays its fee in what it receives", () => {
  const feeOf = (side: string) => {
    const decoded = update({ price: "64000.5", qty: "0.0125" }, { symbol: "BTC/USD", side })
    assert.ok(decoded._tag === "Executed")
    return [formatDecimal(decoded.execution.fee), decoded.execution.feeAsset]
  }
  assert.deepEqual(feeOf("buy"), ["0.00003125", "BTC"])
  assert.deepEqual(feeOf("sell"), ["2.00001563", "USD"])
})

Deno.test("every status of an order has its meaning, and an unknown one has none", () => {
  const of = (status: string, filled_qty = "0") => {
    const body = { ...order, status, filled_qty: decimal(filled_qty), updated_at: 1 }
    return reportOf({ ...body, submitted_at: null }, AAPL)?.status
  }
  const open = [
    ...["new", "accepted", "pending_new", "accepted_for_bidding", "held", "pending_cancel"],
    ...["pending_replace", "done_for_day", "stopped", "suspended", "calculated"],
  ]
  for (const status of open) {
    assert.deepEqual([of(status), of(status, "1")], ["accepted", "partially_filled"], status)
  }
  assert.equal(of("replaced"), "canceled")
  assert.deepEqual(["filled", "canceled", "expired", "rejected"].map((each) => of(each)), [
    ...["filled", "canceled", "expired", "rejected"],
  ])
  assert.equal(of("resting"), undefined)
  assert.match(reasonOf(update({ event: "new" }, { status: "resting" })), /status "resting"/)
})

Deno.test("a bust says that a fill does not hold", () => {
  const decoded = update({ event: "trade_bust", previous_execution_id: "e7" })
  assert.ok(decoded._tag === "Corrected")
  assert.deepEqual([decoded.executionId, decoded.execution], ["e7", undefined])
})

Deno.test("the private stream's answers are told apart, in both forms", () => {
  assert.deepEqual(personal(authorized), { _tag: "Authenticated" })
  assert.deepEqual(personal([{ T: "success", msg: "authenticated" }]), { _tag: "Authenticated" })
  assert.deepEqual(personal(listening), { _tag: "Listening", streams: ["trade_updates"] })
  const refused = { stream: "authorization", data: { status: "unauthorized", action: "auth" } }
  assert.deepEqual(personal(refused), { _tag: "Unauthorized", reason: "unauthorized" })
  assert.deepEqual(personal([{ T: "error", code: 406, msg: "connection limit exceeded" }]), {
    ...{ _tag: "Refusal", code: 406, reason: "406 connection limit exceeded" },
  })
  assert.equal(personal(accepted)._tag, "Report")
})

Deno.test("symbols go both ways, and a pair may come without its stroke", () => {
  assert.deepEqual([symbolOf(AAPL), symbolOf(BTC), baseOf(AAPL), baseOf(BTC)], [
    ...["AAPL", "BTC/USD", "AAPL", "BTC"],
  ])
  assert.deepEqual([symbols("BTCUSD"), symbols("BTC/USD"), symbols("MSFT")], [BTC, BTC, undefined])
  assert.deepEqual(["AAPL", "ETH/USD", "ETHUSD", "AUSD", "a b"].map(guessedSymbols), [
    ...["AAPL.ALPACA", "ETH/USD.ALPACA", "ETH/USD.ALPACA", "AUSD.ALPACA", undefined],
  ])
})

Deno.test("parseExact() keeps numbers as they were written", () => {
  assert.deepEqual(parseExact('{"a":[1.50,-0,1e-7],"b":"1","c":true,"d":null}'), {
    ...{ a: ["1.50", "-0", "1e-7"], b: "1", c: true, d: null },
  })
})

const anyDamage = fc.record({
  at: fc.nat(3_000),
  length: fc.nat(12),
  by: fc.string({ maxLength: 8 }),
})
const anyDamaged = fc.tuple(
  fc.constantFrom(...everyFrame),
  fc.array(anyDamage, { minLength: 1, maxLength: 4 }),
).map(([text, damages]) =>
  damages.reduce((rest, { at, length, by }) => {
    const from = at % (rest.length + 1)
    return rest.slice(0, from) + by + rest.slice(from + length)
  }, text)
)

/** One leaf of a frame, wherever it is, becomes any JSON. */
const anyMutated = fc.tuple(fc.constantFrom(...everyFrame), fc.nat(60), fc.jsonValue()).map(
  ([text, which, value]) => {
    let leaf = 0
    const replaced = JSON.parse(text, (_key, each: unknown) => {
      if (typeof each === "object" && each !== null) return each
      return leaf++ === which ? value : each
    })
    return JSON.stringify(replaced)
  },
)

Deno.test("no frame makes it throw, and no price comes from nothing", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), anyDamaged, anyMutated), (text) => {
      const all = [
        ...decodeFrame(text, guessedSymbols, fee),
        ...decodeMarketFrame(text, symbols),
        ...decodePrivateFrame(text, symbols, fee),
      ]
      for (const decoded of all) {
        if (decoded._tag === "Undecoded") reasonOf(decoded)
        if (decoded._tag === "Trade") assert.ok(decoded.price.value > 0n)
        if (decoded._tag === "Quote") assert.ok(decoded.bid.value > 0n && decoded.ask.value > 0n)
        if (decoded._tag === "Executed") assert.ok(decoded.execution.quantity.value > 0n)
      }
    }),
    { numRuns: 20_000 },
  )
})
