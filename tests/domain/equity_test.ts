import assert from "node:assert/strict"
import fc from "fast-check"
import { expectedBalance } from "../../domain/books.ts"
import { add, decimal, formatDecimal, isEqual, multiply } from "../../domain/decimal.ts"
import { equityOf, type Mark, markPrice } from "../../domain/equity.ts"
import type { Event } from "../../domain/event.ts"
import { flat } from "../../domain/position.ts"
import { anyPrice } from "./arbitraries.ts"
import { anyJournal, fold, opened } from "./events.ts"

function mark(instrument: string, bid: Mark["bid"], ask: Mark["ask"]): Mark {
  return {
    instrument,
    bid,
    ask,
    last: undefined,
    heardAt: 0,
    source: "stream",
    staleAfterMs: 3_000,
  }
}

const bought: ReadonlyArray<Event> = [
  opened,
  {
    ...{
      _tag: "OrderSubmitted",
      clientOrderId: "1",
      venue: "binance",
      instrument: "BTC/USDT.BINANCE",
    },
    ...{
      side: "buy",
      type: "market",
      purpose: "open",
      quantity: decimal("3"),
      price: null,
      origin: "a",
      reason: "",
    },
  },
  {
    ...{
      _tag: "OrderFilled",
      clientOrderId: "1",
      executionId: "1",
      venueOrderId: "1",
      quantity: decimal("3"),
    },
    ...{ price: decimal("100.01"), fee: decimal("0.3"), feeAsset: "USDT", executedAt: 0 },
  },
]

Deno.test("equityOf() start + profit - fees is exactly cash + positions at their marks", () => {
  fc.assert(
    fc.property(
      anyJournal,
      fc.array(fc.tuple(anyPrice, anyPrice), { minLength: 2, maxLength: 2 }),
      (events, prices) => {
        const books = fold(events)
        const marks = new Map(
          ["BTC/USDT.BINANCE", "ETH/USDT.BINANCE"].map((id, at) => [id, mark(id, ...prices[at]!)]),
        )
        const equity = equityOf(books, "binance", marks)
        const account = books.accounts.get("binance")!
        let worth = expectedBalance(account, "USDT")
        for (const position of books.positions.values()) {
          const price = markPrice(position, marks.get(position.instrument))
          worth = add(worth, multiply(position.quantity, price))
        }
        assert.ok(
          isEqual(equity.total, worth),
          `${formatDecimal(equity.total)} is not ${formatDecimal(worth)}`,
        )
        assert.ok(isEqual(equity.cash, expectedBalance(account, "USDT")))
      },
    ),
  )
})

Deno.test("equityOf() values a long at the bid and a short at the ask", () => {
  const [bid, ask] = [decimal("99"), decimal("101")]
  const long = { ...flat("BTC/USDT.BINANCE"), quantity: decimal("1") }
  const short = { ...long, quantity: decimal("-1") }
  assert.equal(markPrice(long, mark("", bid, ask)), bid)
  assert.equal(markPrice(short, mark("", bid, ask)), ask)
})

Deno.test("equityOf() values a position without a price at exactly its cost", () => {
  const equity = equityOf(fold(bought), "binance", new Map())
  assert.deepEqual(
    [equity.total, equity.unrealisedPnl, equity.exposure, equity.fees].map(formatDecimal),
    ["99999.7", "0", "300.03", "0.3"],
  )
})

Deno.test("equityOf() measures the drawdown from the highest equity, and never forgets the deepest", () => {
  const marks = new Map([[
    "BTC/USDT.BINANCE",
    mark("BTC/USDT.BINANCE", decimal("0.01"), decimal("1")),
  ]])
  const marked = (peak: string, drawdown: string): Event => ({
    ...{
      _tag: "EquityMarked",
      venue: "binance",
      total: decimal("1"),
      peak: decimal(peak),
      drawdown: decimal(drawdown),
    },
  })
  const fell = equityOf(fold([...bought, marked("200000", "0")]), "binance", marks)
  assert.deepEqual([formatDecimal(fell.peak), formatDecimal(fell.drawdown)], ["200000", "0.501502"])
  const deeper = equityOf(fold([...bought, marked("100000", "0.6")]), "binance", marks)
  assert.equal(formatDecimal(deeper.drawdown), "0.6")
})

Deno.test("equityOf() of an account that was never seen is nothing", () => {
  const equity = equityOf(fold([]), "binance", new Map())
  assert.equal(formatDecimal(equity.total), "0")
  assert.equal(formatDecimal(equityOf(fold(bought), "alpaca", new Map()).exposure), "0")
})
