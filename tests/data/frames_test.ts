/** Every recorded frame decodes, or says why not. */
import assert from "node:assert/strict"
import { formatDecimal } from "../../domain/decimal.ts"
import { decodeFrame, decodePrivateFrame } from "../../venues/binance/decode.ts"
import { guessedSymbols } from "../../venues/binance/symbols.ts"
import { Transcript } from "../../venues/binance/transcript.ts"
import type { TranscriptEvent } from "../../venues/transcript.ts"
import { dataTest, filesOf, linesOf, textOf } from "./recorded.ts"

const recording = "wire/binance/spot-ws-btcusdt-20240808.jsonl.gz"

function read(lines: ReadonlyArray<string>, transcript = new Transcript(guessedSymbols, true)) {
  return lines.flatMap((line) => transcript.read(line))
}

function counted(events: ReadonlyArray<TranscriptEvent>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { type } of events) counts[type] = (counts[type] ?? 0) + 1
  return counts
}

dataTest("a recorded session decodes whole: no frame lost, no trade missing, no gap", () => {
  const lines = linesOf(recording)
  const events = read(lines)
  assert.equal(lines.length, 41_249)
  assert.deepEqual(counted(events), {
    quote: 28_040,
    trade: 9_757,
    depth: 3_451,
    snapshot: 1,
    book: 3_448,
  })
  const ids = events.filter(({ type }) => type === "trade").map(({ tradeId }) => Number(tradeId))
  assert.ok(ids.every((id, at) => at === 0 || id === ids[at - 1]! + 1))
  assert.equal(ids.at(-1), 3_735_693_015)
})

dataTest("the local book agrees with every book ticker of the same update", () => {
  const events = read(linesOf(recording))
  const tops = new Map(
    events.filter(({ type }) => type === "book").map((book) => [book.updateId, book]),
  )
  let compared = 0
  for (const event of events) {
    const book = event.type === "quote" ? tops.get(event.updateId) : undefined
    if (book === undefined) continue
    const { bid, bidSize, ask, askSize } = event
    assert.deepEqual([book.bid, book.bidSize, book.ask, book.askSize], [bid, bidSize, ask, askSize])
    compared++
  }
  assert.equal(compared, 564)
})

dataTest(
  "a recorded session of four markets decodes; what we do not use is reported as such",
  () => {
    const events = read(linesOf("wire/binance/cryptofeed/BINANCE.ws.1.0"))
    assert.deepEqual(counted(events), { depth: 177, quote: 84, undecoded: 2 })
    const reasons = events.filter(({ type }) => type === "undecoded").map(({ reason }) => reason)
    assert.deepEqual(new Set(reasons), new Set(['unknown event "aggTrade"']))
  },
)

dataTest("snapshots and changes of four markets find each other", () => {
  const transcript = new Transcript(guessedSymbols, true)
  read(linesOf("wire/binance/cryptofeed/BINANCE.http.0.0"), transcript)
  const events = read(linesOf("wire/binance/cryptofeed/BINANCE.ws.1.0"), transcript)
  const { gap, ...rest } = counted(events)
  assert.equal(gap, undefined)
  const books = events.filter(({ type }) => type === "book")
  assert.deepEqual(
    [...new Set(books.map(({ instrument }) => instrument))].sort(),
    ["BLZ/ETH.BINANCE", "LRC/BTC.BINANCE", "NKN/USDT.BINANCE", "RUNE/EUR.BINANCE"],
  )
  assert.equal(rest.depth, 177)
  const tops = new Map(books.map((book) => [`${book.instrument} ${book.updateId}`, book]))
  const compared = events.filter(({ type, instrument, updateId, bid, ask }) => {
    const book = type === "quote" ? tops.get(`${instrument} ${updateId}`) : undefined
    if (book !== undefined) assert.deepEqual([book.bid, book.ask], [bid, ask])
    return book !== undefined
  })
  assert.ok(compared.length > 0)
})

dataTest("every user data frame decodes or is reported, and tells the order's state", () => {
  const states: Record<string, string> = {}
  for (const file of filesOf("wire/binance/nautilus/spot/user_data_json")) {
    const decoded = decodePrivateFrame(textOf(file), guessedSymbols)
    const name = file.slice(file.lastIndexOf("/") + 1, -".json".length)
    const isOrder = decoded._tag === "Report" || decoded._tag === "Executed"
    states[name] = isOrder ? `${decoded._tag} ${decoded.report.status}` : decoded._tag
    if (decoded._tag === "Executed") {
      const { quantity, price, fee, feeAsset, executionId } = decoded.execution
      const numbers = [quantity, price, fee].map(formatDecimal)
      assert.deepEqual([...numbers, feeAsset, executionId], [
        "1",
        "2500",
        "0.001",
        "ETH",
        "98765432",
      ])
    }
    if (decoded._tag === "Report" && decoded.report.status === "expired") {
      assert.equal(decoded.report.reason, "INSUFFICIENT_LIQUIDITY")
    }
  }
  assert.deepEqual(states, {
    account_position: "Balances",
    account_position_wrapped: "Balances",
    balance_update: "BalanceMoved",
    balance_update_wrapped: "BalanceMoved",
    execution_report_canceled: "Report canceled",
    execution_report_expired: "Report expired",
    execution_report_new: "Report accepted",
    execution_report_stop_loss: "Report accepted",
    execution_report_trade: "Executed filled",
    execution_report_wrapped: "Report accepted",
    list_status_wrapped: "Ignored",
  })
})

dataTest("the frames in the documents of another client decode or are reported", () => {
  const folder = "wire/binance/binance-net/Subscriptions/Spot"
  const tags: Record<string, ReadonlyArray<string>> = {}
  for (const file of [...filesOf(`${folder}/Account`), ...filesOf(`${folder}/ExchangeData`)]) {
    // Their requests, answers with placeholders, and the frames, which may span lines.
    const frames = textOf(file).split(/^[<>=]\d*/mu)
      .filter((_, at, parts) => at > 0 && parts[at] !== "")
      .map((part) => part.trim()).filter((part) => part.startsWith("{") && !/:\s*\|/u.test(part))
    tags[file.slice(folder.length + 1)] = frames
      .map((frame) => decodeFrame(frame, guessedSymbols, 0)._tag)
  }
  const all = Object.values(tags).flat()
  assert.ok(all.length > 20, `${all.length}`)
  assert.deepEqual(tags["Account/Order.txt"]?.at(-1), "Report")
  assert.deepEqual(tags["Account/AccountPosition.txt"]?.at(-1), "Balances")
  assert.deepEqual(tags["Account/Balance.txt"]?.at(-1), "BalanceMoved")
  assert.deepEqual(tags["ExchangeData/Trades.txt"]?.at(-1), "Trade")
  assert.deepEqual(tags["ExchangeData/BookTicker.txt"]?.at(-1), "Quote")
})
