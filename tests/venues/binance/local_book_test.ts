import assert from "node:assert/strict"
import fc from "fast-check"
import { decimal, formatDecimal } from "../../../domain/decimal.ts"
import type { Depth, Snapshot } from "../../../venues/binance/decode.ts"
import { LocalBook } from "../../../venues/binance/local_book.ts"

type Levels = ReadonlyArray<readonly [number, number]>

const pairs = (levels: Levels) =>
  levels.map(([price, size]) => [decimal(`${price}`), decimal(`${size}`)] as const)

function depth(first: number, last: number, bids: Levels = [], asks: Levels = []): Depth {
  return {
    ...{
      _tag: "Depth",
      instrument: "BTC/USDT.BINANCE",
      firstUpdateId: `${first}`,
      updateId: `${last}`,
      time: 0,
    },
    ...{ bids: pairs(bids), asks: pairs(asks) },
  }
}

function snapshot(updateId: number, bids: Levels, asks: Levels): Snapshot {
  return { _tag: "Snapshot", updateId: `${updateId}`, bids: pairs(bids), asks: pairs(asks) }
}

function top(book: LocalBook): string | undefined {
  if (book.top === undefined) return undefined
  const { updateId, bid, bidSize, ask, askSize } = book.top
  return [updateId, ...[bid, bidSize, ask, askSize].map(formatDecimal)].join(" ")
}

const whole = snapshot(12, [[99, 1], [98, 2]], [[101, 3], [102, 4]])

Deno.test("a book begins with the snapshot that its changes continue", () => {
  const book = new LocalBook()
  book.apply(depth(5, 9, [[99, 7]]))
  book.apply(depth(10, 14, [[99, 5]]))
  assert.equal(top(book), undefined)
  assert.equal(book.begin(whole), true)
  assert.equal(top(book), "14 99 5 101 3")
})

Deno.test("a snapshot from before the changes, or from after them, does not fit", () => {
  const book = new LocalBook()
  assert.equal(book.begin(whole), false)
  book.apply(depth(14, 15))
  assert.equal(book.fits(whole), false)
  const early = new LocalBook()
  early.apply(depth(5, 11))
  assert.equal(early.begin(whole), false)
  early.apply(depth(12, 13, [], [[101, 0]]))
  assert.equal(early.begin(whole), true)
  assert.equal(top(early), "13 99 1 102 4")
})

Deno.test("a snapshot right before the first change fits", () => {
  const book = new LocalBook()
  book.apply(depth(13, 13, [[100, 1]]))
  assert.equal(book.begin(whole), true)
  assert.equal(top(book), "13 100 1 101 3")
})

Deno.test("a size of zero removes a level, and removing what is not there is normal", () => {
  const book = new LocalBook()
  book.apply(depth(12, 12))
  book.begin(whole)
  book.apply(depth(13, 13, [[99, 0], [50, 0]], [[101, 0]]))
  assert.equal(top(book), "13 98 2 102 4")
  book.apply(depth(14, 14, [[98, 0]]))
  assert.equal(top(book), undefined)
  assert.equal(book.isValid, true)
})

Deno.test("changes that the book already has are passed over", () => {
  const book = new LocalBook()
  book.apply(depth(12, 12))
  book.begin(whole)
  assert.equal(book.apply(depth(10, 12, [[100, 9]])), undefined)
  assert.equal(top(book), "12 99 1 101 3")
})

Deno.test("a missing change ends the book until a snapshot fits again, and is named", () => {
  const book = new LocalBook()
  book.apply(depth(12, 12))
  book.begin(whole)
  assert.deepEqual(book.apply(depth(15, 16, [[100, 1]])), { from: "13", to: "14" })
  assert.equal(book.isValid, false)
  assert.equal(book.begin(whole), false)
  assert.equal(book.apply(depth(17, 17)), undefined)
  assert.equal(book.begin(snapshot(16, [[99, 1]], [[101, 1]])), true)
  assert.equal(top(book), "17 99 1 101 1")
})

Deno.test("a hole among the waiting changes is named too, and what lies before it is forgotten", () => {
  const book = new LocalBook()
  book.apply(depth(10, 12))
  assert.deepEqual(book.apply(depth(20, 21)), { from: "13", to: "19" })
  assert.equal(book.begin(whole), false)
  assert.equal(book.begin(snapshot(20, [[1, 1]], [[2, 1]])), true)
})

Deno.test("the top is what sorting all levels gives, after any changes", () => {
  const anyLevels = fc.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(3)), { maxLength: 6 })
  fc.assert(fc.property(fc.array(fc.tuple(anyLevels, anyLevels), { maxLength: 30 }), (changes) => {
    const book = new LocalBook()
    book.apply(depth(12, 12))
    book.begin(whole)
    const model = [new Map([[99, 1], [98, 2]]), new Map([[101, 3], [102, 4]])] as const
    changes.forEach(([bids, asks], at) => {
      book.apply(depth(13 + at, 13 + at, bids, asks.map(([price, size]) => [price + 100, size])))
      for (const [price, size] of bids) model[0].set(price, size)
      for (const [price, size] of asks) model[1].set(price + 100, size)
      const live = model.map((side) =>
        [...side].filter(([, size]) => size > 0).sort(([a], [b]) => a - b)
      )
      const bid = live[0]!.at(-1)
      const ask = live[1]![0]
      const expected = bid && ask ? [13 + at, ...bid, ...ask].join(" ") : undefined
      assert.equal(top(book), expected)
    })
  }))
})
