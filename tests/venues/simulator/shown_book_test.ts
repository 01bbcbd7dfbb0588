import assert from "node:assert/strict"
import fc from "fast-check"
import { type Level, ShownBook } from "../../../venues/simulator/shown_book.ts"

const level = (price: number, size: number): Level => ({ price: BigInt(price), size: BigInt(size) })
const plain = (levels: Iterable<Level>) =>
  [...levels].map(({ price, size }) => [Number(price), Number(size)])

function book() {
  const one = new ShownBook()
  one.ladder(1, [level(99, 5), level(98, 6), level(97, 7)], [level(101, 5), level(102, 6)])
  return one
}

Deno.test("ladder() shows exactly what it was given, best first", () => {
  const one = book()
  assert.deepEqual(plain(one.bids.levels), [[99, 5], [98, 6], [97, 7]])
  assert.deepEqual(plain(one.asks.available()), [[101, 5], [102, 6]])
  assert.equal(one.bids.best?.price, 99n)
})

Deno.test("a quote replaces what is better, keeps what is deeper and removes what it contradicts", () => {
  const one = book()
  one.quote(2, level(98, 1), level(100, 2))
  assert.deepEqual(plain(one.bids.levels), [[98, 1], [97, 7]])
  assert.deepEqual(plain(one.asks.levels), [[100, 2], [101, 5], [102, 6]])
  one.quote(3, level(101, 3), level(103, 4))
  assert.deepEqual(plain(one.asks.levels), [[103, 4]])
  assert.deepEqual(plain(one.bids.levels), [[101, 3], [98, 1], [97, 7]])
})

Deno.test("what was taken is gone until the level is quoted again; more than is shown cannot be taken", () => {
  const one = book()
  one.asks.take(101n, 5n)
  assert.deepEqual(plain(one.asks.available()), [[102, 6]])
  assert.throws(() => one.asks.take(101n, 1n), RangeError)
  assert.throws(() => one.asks.take(100n, 1n), RangeError)
  one.asks.set(101n, 2n)
  assert.deepEqual(plain(one.asks.available()), [[101, 2], [102, 6]])
})

Deno.test("set() keeps both sides as a plain map of prices would be, in order", () => {
  const change = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 3 }))
  fc.assert(fc.property(fc.array(change, { maxLength: 100 }), (changes) => {
    const one = new ShownBook()
    const model = new Map<number, number>()
    for (const [price, size] of changes) {
      one.bids.set(BigInt(price), BigInt(size))
      one.asks.set(BigInt(price), BigInt(size))
      if (size === 0) model.delete(price)
      else model.set(price, size)
    }
    const sorted = [...model].sort(([a], [b]) => a - b)
    assert.deepEqual(plain(one.asks.levels), sorted)
    assert.deepEqual(plain(one.bids.levels), sorted.toReversed())
  }))
})
