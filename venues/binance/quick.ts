/**
 * Trades, quotes and book changes read straight from the text, without building the message first.
 *
 * The venue writes its most frequent messages in one form, key by key in the same order. What has
 * exactly this form is read here, in one walk over its characters; anything else, be it wrong or only
 * unusual, is `undefined` and left to the schemas, which alone say what a message means and what is
 * wrong with it. So this can be slower than it need be, but never of another opinion.
 */
import { type Decimal, fromUnits, zero } from "../../domain/decimal.ts"
import type { Quote, Trade } from "../../domain/market.ts"
import type { Depth } from "./decode.ts"
import type { SymbolMap } from "./symbols.ts"

/** More would not be exact as a number. */
const DIGITS_MAX = 15
/** More would not be exact as a machine's integer, which each half of a decimal is while it is read. */
const HALF_MAX = 9
/** Epoch milliseconds; microseconds are something else. */
const TIME_DIGITS_MAX = 13
/** What shifts a whole number by so many decimals. */
const SHIFTS = Array.from({ length: HALF_MAX + 1 }, (_, scale) => 10 ** scale)

const [ZERO, NINE, POINT, QUOTE, COMMA, BRACKET] = [48, 57, 46, 34, 44, 93]

type Levels = ReadonlyArray<readonly [price: Decimal, size: Decimal]>

// One frame is read at a time: where the reader stands, and what it has read last.
let frame = ""
let at = 0
/** False from the first character on that is not as expected. */
let isGood = true

/** The message in one combined or raw frame, if it is written as usual. */
export function readQuickly(
  text: string,
  symbols: SymbolMap,
  receivedAt: number,
): Trade | Quote | Depth | undefined {
  frame = text
  at = 0
  isGood = true
  const isWrapped = text.startsWith('{"stream":"')
  if (isWrapped) {
    at = 11
    skipName()
    expect('","data":')
  }
  const event = text.startsWith('{"u":', at)
    ? quote(symbols, receivedAt)
    : text.startsWith('{"e":"trade","E":', at)
    ? trade(symbols)
    : text.startsWith('{"e":"depthUpdate","E":', at)
    ? depth(symbols)
    : undefined
  if (isWrapped) expect("}")
  frame = ""
  return isGood && at === text.length ? event : undefined
}

function quote(symbols: SymbolMap, receivedAt: number): Quote | undefined {
  at += 5
  const updateId = id()
  expect(',"s":"')
  const instrument = symbols(symbol())
  expect('","b":"')
  const bid = price()
  expect('","B":"')
  const bidSize = decimal()
  expect('","a":"')
  const ask = price()
  expect('","A":"')
  const askSize = decimal()
  expect('"}')
  if (!isGood || instrument === undefined) return undefined
  return {
    _tag: "Quote",
    instrument,
    updateId,
    bid,
    bidSize,
    ask,
    askSize,
    time: receivedAt,
    venueTime: false,
  }
}

function trade(symbols: SymbolMap): Trade | undefined {
  at += 17
  time()
  expect(',"s":"')
  const instrument = symbols(symbol())
  expect('","t":')
  const tradeId = id()
  expect(',"p":"')
  const paid = price()
  expect('","q":"')
  const size = decimal()
  expect('","T":')
  const tradedAt = time()
  expect(',"m":')
  const isSell = truth()
  expect(',"M":')
  truth()
  expect("}")
  if (!isGood || instrument === undefined) return undefined
  return {
    _tag: "Trade",
    instrument,
    tradeId,
    price: paid,
    size,
    side: isSell ? "sell" : "buy",
    time: tradedAt,
  }
}

function depth(symbols: SymbolMap): Depth | undefined {
  at += 23
  const sentAt = time()
  expect(',"s":"')
  const instrument = symbols(symbol())
  expect('","U":')
  const firstUpdateId = id()
  expect(',"u":')
  const updateId = id()
  expect(',"b":')
  const bids = levels()
  expect(',"a":')
  const asks = levels()
  expect("}")
  if (!isGood || instrument === undefined) return undefined
  return { _tag: "Depth", instrument, firstUpdateId, updateId, bids, asks, time: sentAt }
}

function levels(): Levels {
  const read: Array<readonly [Decimal, Decimal]> = []
  expect("[")
  if (frame.charCodeAt(at) !== BRACKET) {
    while (isGood) {
      expect('["')
      const level = price()
      expect('","')
      read.push([level, decimal()])
      expect('"]')
      if (frame.charCodeAt(at) !== COMMA) break
      at++
    }
  }
  expect("]")
  return read
}

function expect(text: string) {
  if (frame.startsWith(text, at)) at += text.length
  else isGood = false
}

/** Up to the quote that ends it; nothing that would have to be escaped. */
function skipName() {
  const text = frame
  let end = at
  while (isPlain(text.charCodeAt(end))) end++
  at = end
}

function symbol(): string {
  const from = at
  skipName()
  return frame.slice(from, at)
}

/** Printable, and neither a quote nor a backslash. False at the end of the frame. */
function isPlain(code: number): boolean {
  return code > 32 && code < 127 && code !== QUOTE && code !== 92
}

/** A whole number as its text. */
function digits(countMax: number): string {
  const text = frame
  const from = at
  let end = from
  for (let code = text.charCodeAt(end); code >= ZERO && code <= NINE;) code = text.charCodeAt(++end)
  const count = end - from
  const leads = count > 1 && text.charCodeAt(from) === ZERO
  if (count === 0 || count > countMax || leads) isGood = false
  at = end
  return text.slice(from, end)
}

const id = () => digits(DIGITS_MAX)
const time = () => Number(digits(TIME_DIGITS_MAX))

function truth(): boolean {
  const isTrue = frame.startsWith("true", at)
  expect(isTrue ? "true" : "false")
  return isTrue
}

/** Above zero. */
function price(): Decimal {
  const read = decimal()
  if (read.value <= 0n) isGood = false
  return read
}

/** Digits with an optional fraction. */
function decimal(): Decimal {
  const text = frame
  const from = at
  let end = from
  let whole = 0
  let code = text.charCodeAt(end)
  while (code >= ZERO && code <= NINE) {
    whole = (Math.imul(whole, 10) + code - ZERO) | 0
    code = text.charCodeAt(++end)
  }
  const digits = end - from
  if (digits === 0 || (digits > 1 && text.charCodeAt(from) === ZERO)) isGood = false
  let fraction = 0
  let scale = 0
  if (code === POINT) {
    const point = end
    code = text.charCodeAt(++end)
    while (code >= ZERO && code <= NINE) {
      fraction = (Math.imul(fraction, 10) + code - ZERO) | 0
      code = text.charCodeAt(++end)
    }
    scale = end - point - 1
    if (scale === 0) isGood = false
  }
  if (digits > HALF_MAX || scale > HALF_MAX || digits + scale > DIGITS_MAX) isGood = false
  at = end
  return isGood ? fromUnits(whole * SHIFTS[scale]! + fraction, scale) : zero
}
