import assert from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { Exchange, type OrderRequest, type Placed } from "../../../venues/simulator/exchange.ts"
import { type Change, NO_CHANGE } from "../../../venues/simulator/exchange_books.ts"
import {
  type FillRecord,
  type LedgerContents,
  makeMemoryLedger,
} from "../../../venues/simulator/ledger.ts"
import { makeListing } from "../../../venues/simulator/listing.ts"
import { ReadReplica } from "../../../venues/simulator/read_replica.ts"
import { atoms } from "./simulator.ts"

const EMPTY: LedgerContents = {
  orders: [],
  fills: [],
  balances: [],
  counters: undefined,
  market: undefined,
}
const BTC = makeListing({
  symbol: "BTCUSDT",
  baseAsset: "BTC",
  quoteAsset: "USDT",
  tickSize: atoms("0.01"),
  stepSize: atoms("0.001"),
})
const NOW = 1_000

const level = (price: string, size: string) => ({ price: atoms(price), size: atoms(size) })

/** A funded exchange that shows 99 and 98 bid, 101 and 102 asked, 1 BTC each. */
function exchange(): Exchange {
  const one = new Exchange([BTC], EMPTY)
  one.deposit("USDT", atoms("10000"), NOW)
  one.deposit("BTC", atoms("10"), NOW)
  one.ladder(
    "BTCUSDT",
    1,
    [level("99", "1"), level("98", "1")],
    [level("101", "1"), level("102", "1")],
    NOW,
  )
  return one
}

let ids = 0
function order(fields: Partial<OrderRequest>): OrderRequest {
  return {
    symbol: "BTCUSDT",
    side: "BUY",
    type: "MARKET",
    timeInForce: "GTC",
    price: 0n,
    quantity: 0n,
    quoteQuantity: 0n,
    stopPrice: 0n,
    clientOrderId: `id-${++ids}`,
    selfTradePrevention: "EXPIRE_MAKER",
    ...fields,
  }
}

const limit = (
  side: "BUY" | "SELL",
  price: string,
  quantity: string,
  more: Partial<OrderRequest> = {},
) => order({ side, type: "LIMIT", price: atoms(price), quantity: atoms(quantity), ...more })

function accepted(placed: Placed) {
  if ("refusal" in placed) throw new Error(placed.refusal.text)
  return placed
}

function refusal(placed: Placed) {
  if (!("refusal" in placed)) throw new Error("accepted")
  return placed.refusal.text
}

Deno.test("a market order walks the shown book, best level first, at the shown prices", () => {
  const { order: bought, fills } = accepted(
    exchange().place(order({ quantity: atoms("1.5") }), NOW),
  )
  assert.deepEqual(fills.map((fill) => [fill.price, fill.quantity]), [
    [atoms("101"), atoms("1")],
    [atoms("102"), atoms("0.5")],
  ])
  assert.equal(bought.status, "FILLED")
  assert.equal(bought.cumulativeQuote, atoms("152"))
})

Deno.test("a market order that finds too little ends EXPIRED with what it got", () => {
  const one = exchange()
  const { order: bought, change } = accepted(one.place(order({ quantity: atoms("5") }), NOW))
  assert.equal(bought.status, "EXPIRED")
  assert.equal(bought.executed, atoms("2"))
  assert.deepEqual(change.reports.map((report) => report.executionType), [
    "NEW",
    "TRADE",
    "TRADE",
    "EXPIRED",
  ])
  assert.equal(one.balance("USDT").locked, 0n)
})

Deno.test("what our fills took is gone until the market quotes that level again", () => {
  const one = exchange()
  accepted(one.place(order({ quantity: atoms("1") }), NOW))
  assert.equal(
    accepted(one.place(order({ quantity: atoms("0.5") }), NOW)).fills[0]?.price,
    atoms("102"),
  )
  one.quote("BTCUSDT", 2, level("99", "1"), level("101", "1"), NOW)
  assert.equal(
    accepted(one.place(order({ quantity: atoms("0.5") }), NOW)).fills[0]?.price,
    atoms("101"),
  )
})

Deno.test("the fee is a thousandth of what is received, in that asset", () => {
  const one = exchange()
  const bought = accepted(one.place(order({ quantity: atoms("0.5") }), NOW)).fills[0]
  assert.deepEqual([bought?.commission, bought?.commissionAsset], [atoms("0.0005"), "BTC"])
  const sold = accepted(one.place(order({ side: "SELL", quantity: atoms("1") }), NOW)).fills[0]
  assert.deepEqual([sold?.commission, sold?.commissionAsset], [atoms("0.099"), "USDT"])
  assert.equal(one.balance("BTC").free, atoms("10") + atoms("0.4995") - atoms("1"))
  assert.equal(one.balance("USDT").free, atoms("10000") - atoms("50.5") + atoms("98.901"))
})

Deno.test("an order by quote amount buys whole lots and is filled when the rest buys none", () => {
  const one = exchange()
  const { order: bought } = accepted(one.place(order({ quoteQuantity: atoms("150") }), NOW))
  assert.equal(bought.status, "FILLED")
  // 101 buys 1, the remaining 49 buy 0.480 at 102.
  assert.equal(bought.executed, atoms("1.48"))
  assert.equal(bought.quantity, atoms("1.48"))
  assert.equal(one.balance("USDT").locked, 0n)
  const { order: sold } = accepted(
    one.place(order({ side: "SELL", quoteQuantity: atoms("99") }), NOW),
  )
  assert.deepEqual([sold.status, sold.executed], ["FILLED", atoms("1")])
})

Deno.test("a limit order takes what crosses it and rests with the rest, which stays locked", () => {
  const one = exchange()
  const placed = accepted(one.place(limit("BUY", "101.5", "3"), NOW))
  assert.equal(placed.order.status, "PARTIALLY_FILLED")
  assert.equal(placed.order.executed, atoms("1"))
  assert.equal(one.balance("USDT").locked, atoms("203"))
  assert.equal(one.balance("USDT").free, atoms("10000") - atoms("101") - atoms("203"))
})

Deno.test("IOC ends with what it got, FOK with all or nothing", () => {
  const one = exchange()
  const ioc = accepted(one.place(limit("BUY", "101", "2", { timeInForce: "IOC" }), NOW)).order
  assert.deepEqual([ioc.status, ioc.executed], ["EXPIRED", atoms("1")])
  const fok = accepted(one.place(limit("BUY", "102", "2", { timeInForce: "FOK" }), NOW)).order
  assert.deepEqual([fok.status, fok.executed], ["EXPIRED", 0n])
  const all = accepted(one.place(limit("BUY", "102", "1", { timeInForce: "FOK" }), NOW)).order
  assert.equal(all.status, "FILLED")
  assert.equal(one.balance("USDT").locked, 0n)
})

Deno.test("LIMIT_MAKER is refused when it would take, else rests", () => {
  const one = exchange()
  const maker = (price: string) => limit("BUY", price, "1", { type: "LIMIT_MAKER" })
  assert.equal(refusal(one.place(maker("101"), NOW)), "Order would immediately match and take.")
  assert.equal(accepted(one.place(maker("100.99"), NOW)).order.status, "NEW")
})

Deno.test("a resting order fills at its own price when the market trades through it, bounded by size", () => {
  const one = exchange()
  const { order: resting } = accepted(one.place(limit("BUY", "100", "1"), NOW))
  // A buyer lifting the offer does not reach a bid.
  assert.equal(one.trade("BTCUSDT", atoms("101"), atoms("5"), false, NOW), NO_CHANGE)
  assert.equal(one.trade("BTCUSDT", atoms("100.01"), atoms("5"), true, NOW), NO_CHANGE)
  const first = one.trade("BTCUSDT", atoms("99"), atoms("0.4"), true, NOW)
  assert.deepEqual(first.fills.map((fill) => [fill.price, fill.quantity, fill.isMaker]), [
    [atoms("100"), atoms("0.4"), true],
  ])
  const second = one.trade("BTCUSDT", atoms("100"), atoms("5"), true, NOW)
  assert.equal(second.fills[0]?.quantity, atoms("0.6"))
  assert.equal(one.order(resting.orderId)?.status, "FILLED")
  assert.equal(one.balance("USDT").locked, 0n)
})

Deno.test("resting orders fill by price, then by age", () => {
  const one = exchange()
  const [a, b, c] = [limit("BUY", "100", "1"), limit("BUY", "100.5", "1"), limit("BUY", "100", "1")]
    .map((request, index) => accepted(one.place(request, NOW + index)).order.orderId)
  const { fills } = one.trade("BTCUSDT", atoms("99"), atoms("2.5"), true, NOW)
  assert.deepEqual(fills.map((fill) => [fill.orderId, fill.quantity]), [
    [b, atoms("1")],
    [a, atoms("1")],
    [c, atoms("0.5")],
  ])
})

Deno.test("a resting order fills when the other side is quoted through it, for what is shown", () => {
  const one = exchange()
  accepted(one.place(limit("SELL", "101", "2"), NOW))
  const { fills } = one.quote("BTCUSDT", 2, level("101.5", "0.3"), level("101.6", "1"), NOW)
  assert.deepEqual(fills.map((fill) => [fill.price, fill.quantity, fill.isMaker]), [
    [atoms("101"), atoms("0.3"), true],
  ])
})

Deno.test("what the account cannot pay is refused and changes nothing", () => {
  const one = exchange()
  const before = one.balances
  for (
    const request of [
      limit("BUY", "101", "100"),
      order({ side: "SELL", quantity: atoms("11") }),
      order({ quoteQuantity: atoms("10001") }),
    ]
  ) {
    assert.equal(
      refusal(one.place(request, NOW)),
      "Account has insufficient balance for requested action.",
    )
  }
  assert.deepEqual(one.balances, before)
  assert.deepEqual(one.orders, [])
})

Deno.test("a client order id is unique among open orders only", () => {
  const one = exchange()
  const request = limit("BUY", "90", "1", { clientOrderId: "mine" })
  const { order: first } = accepted(one.place(request, NOW))
  assert.equal(refusal(one.place(request, NOW)), "Duplicate order sent.")
  one.cancel(first.orderId, "c", NOW)
  assert.notEqual(accepted(one.place(request, NOW)).order.orderId, first.orderId)
})

Deno.test("cancel frees what was locked, once", () => {
  const one = exchange()
  const { order: resting } = accepted(one.place(limit("SELL", "200", "4"), NOW))
  assert.equal(one.balance("BTC").locked, atoms("4"))
  const canceled = one.cancel(resting.orderId, "cancel-id", NOW)
  assert.ok("change" in canceled)
  assert.equal(canceled.change.reports[0]?.cancelId, "cancel-id")
  assert.equal(one.balance("BTC").free, atoms("10"))
  assert.deepEqual(one.cancel(resting.orderId, "again", NOW), {
    refusal: { code: -2011, text: "Unknown order sent." },
  })
})

Deno.test("own orders never trade with each other: the resting one expires", () => {
  const one = exchange()
  const { order: resting } = accepted(one.place(limit("SELL", "100.5", "1"), NOW))
  const { order: taker, fills } = accepted(one.place(order({ quantity: atoms("0.5") }), NOW))
  assert.equal(one.order(resting.orderId)?.status, "EXPIRED_IN_MATCH")
  assert.deepEqual([taker.status, fills[0]?.price], ["FILLED", atoms("101")])
})

Deno.test("a stop order sleeps until a trade reaches its price, then works as a limit", () => {
  const one = exchange()
  one.trade("BTCUSDT", atoms("100"), atoms("1"), true, NOW)
  const stop = limit("SELL", "97", "1", { type: "STOP_LOSS_LIMIT", stopPrice: atoms("98.5") })
  const { order: sleeping } = accepted(one.place(stop, NOW))
  assert.deepEqual([sleeping.status, sleeping.isWorking], ["NEW", false])
  assert.deepEqual(one.trade("BTCUSDT", atoms("99"), atoms("1"), true, NOW).fills, [])
  const { fills } = one.trade("BTCUSDT", atoms("98.5"), atoms("1"), true, NOW)
  assert.deepEqual(fills.map((fill) => fill.price), [atoms("99")])
  const wrong = { ...stop, stopPrice: atoms("98.6"), clientOrderId: "late" }
  assert.equal(refusal(one.place(wrong, NOW)), "Stop price would trigger immediately.")
})

Deno.test("of what is over the newest is remembered, of what is open all", () => {
  const one = new Exchange([BTC], EMPTY, { doneOrdersMax: 3, fillsMax: 4 })
  const replica = new ReadReplica(EMPTY, () => NOW)
  const ledger = makeMemoryLedger()
  const follow = (change: Change) => {
    replica.follow(change)
    Effect.runSync(ledger.commit(change))
    return change
  }
  follow(one.deposit("USDT", atoms("10000"), NOW))
  const { order: open, change } = accepted(one.place(limit("BUY", "90", "1"), NOW))
  follow(change)
  const kept = { orders: [open.orderId], fills: new Array<number>() }
  for (let i = 0; i < 8; i++) {
    one.ladder("BTCUSDT", i, [level("99", "1")], [level("101", "1")], NOW)
    const placed = accepted(one.place(order({ quantity: atoms("0.1") }), NOW))
    follow(placed.change)
    if (i >= 5) kept.orders.push(placed.order.orderId)
    if (i >= 4) kept.fills.push(...placed.fills.map((fill) => fill.executionId))
  }
  follow(accepted(one.place(limit("BUY", "80", "1"), NOW)).change)
  for (const books of [one, replica, Effect.runSync(ledger.load)]) {
    assert.deepEqual(books.orders.map(({ orderId }) => orderId), [...kept.orders, 10])
    assert.deepEqual(books.fills.map(({ executionId }) => executionId), kept.fills)
  }
  const two = new Exchange([BTC], Effect.runSync(ledger.load), { doneOrdersMax: 1, fillsMax: 1 })
  const { forgotten } = two.deposit("USDT", 1n, NOW)
  assert.deepEqual(forgotten, { orders: kept.orders.slice(1, 3), fills: kept.fills.slice(0, 3) })
})

Deno.test("a new exchange over the same contents goes on where the last one stopped", () => {
  const one = exchange()
  accepted(one.place(order({ quantity: atoms("1") }), NOW))
  const { order: resting } = accepted(one.place(limit("SELL", "200", "1"), NOW))
  const two = new Exchange([BTC], {
    orders: one.orders,
    fills: one.fills,
    balances: one.balances,
    counters: one.counters(7),
    market: undefined,
  })
  assert.deepEqual(two.openOrders(), [resting])
  assert.deepEqual(two.balances, one.balances)
  assert.equal(
    accepted(two.place(limit("SELL", "201", "1"), NOW)).order.orderId,
    resting.orderId + 1,
  )
})

// Properties

type Action =
  | { readonly do: "place"; readonly request: Omit<OrderRequest, "clientOrderId"> }
  | { readonly do: "cancel"; readonly nth: number }
  | { readonly do: "ladder"; readonly mid: number; readonly sizes: ReadonlyArray<number> }
  | { readonly do: "quote"; readonly mid: number; readonly bid: number; readonly ask: number }
  | {
    readonly do: "trade"
    readonly price: number
    readonly size: number
    readonly buyerIsMaker: boolean
  }

const TICK = BTC.tickSize
const STEP = BTC.stepSize
const ticks = fc.integer({ min: 9_990, max: 10_010 })
const lots = fc.integer({ min: 1, max: 2_000 })

const side = fc.constantFrom("BUY" as const, "SELL" as const)
const prevention = fc.constantFrom(
  "EXPIRE_MAKER" as const,
  "EXPIRE_TAKER" as const,
  "EXPIRE_BOTH" as const,
)
const request = fc.oneof(
  fc.record({ side, lots, price: ticks, prevention, tif: fc.constantFrom("GTC", "IOC", "FOK") })
    .map((
      draw,
    ) => ({
      ...order({ side: draw.side, type: "LIMIT", selfTradePrevention: draw.prevention }),
      timeInForce: draw.tif as OrderRequest["timeInForce"],
      price: BigInt(draw.price) * TICK,
      quantity: BigInt(draw.lots) * STEP,
    })),
  fc.record({ side, lots, prevention }).map((draw) =>
    order({
      side: draw.side,
      quantity: BigInt(draw.lots) * STEP,
      selfTradePrevention: draw.prevention,
    })
  ),
  fc.record({ side, cents: fc.integer({ min: 1, max: 50_000 }) }).map((draw) =>
    order({ side: draw.side, quoteQuantity: BigInt(draw.cents) * 1_000_000n })
  ),
  fc.record({ side, lots, price: ticks, stop: ticks, gain: fc.boolean() }).map((draw) => ({
    ...order({ side: draw.side, type: draw.gain ? "TAKE_PROFIT_LIMIT" : "STOP_LOSS_LIMIT" }),
    price: BigInt(draw.price) * TICK,
    stopPrice: BigInt(draw.stop) * TICK,
    quantity: BigInt(draw.lots) * STEP,
  })),
)
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: request.map((request) => ({ do: "place" as const, request })) },
  { weight: 1, arbitrary: fc.nat(20).map((nth) => ({ do: "cancel" as const, nth })) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("ladder" as const),
      mid: ticks,
      sizes: fc.array(lots, { minLength: 6, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("quote" as const), mid: ticks, bid: lots, ask: lots }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("trade" as const),
      price: ticks,
      size: lots,
      buyerIsMaker: fc.boolean(),
    }),
  },
)

const DEPOSITS = { USDT: atoms("2000"), BTC: atoms("20") } as const

function act(one: Exchange, step: Action, now: number) {
  switch (step.do) {
    case "place":
      return one.place({ ...step.request, clientOrderId: `p-${++ids}` }, now)
    case "cancel": {
      const open = one.openOrders()
      const target = open[step.nth % Math.max(1, open.length)]
      return target && one.cancel(target.orderId, "c", now)
    }
    case "ladder": {
      const at = (i: number) => BigInt(step.sizes[i] ?? 1) * STEP
      const bids = [0, 1, 2].map((i) => ({ price: BigInt(step.mid - i) * TICK, size: at(i) }))
      const asks = [0, 1, 2].map((i) => ({
        price: BigInt(step.mid + 1 + i) * TICK,
        size: at(3 + i),
      }))
      return one.ladder("BTCUSDT", now, bids, asks, now)
    }
    case "quote":
      return one.quote(
        "BTCUSDT",
        now,
        { price: BigInt(step.mid) * TICK, size: BigInt(step.bid) * STEP },
        { price: BigInt(step.mid + 1) * TICK, size: BigInt(step.ask) * STEP },
        now,
      )
    case "trade":
      return one.trade(
        "BTCUSDT",
        BigInt(step.price) * TICK,
        BigInt(step.size) * STEP,
        step.buyerIsMaker,
        now,
      )
  }
}

function property(check: (one: Exchange, step: Action, before: { fills: number }) => void) {
  let [taken, made] = [0, 0]
  fc.assert(
    fc.property(fc.array(action, { minLength: 20, maxLength: 60 }), (steps) => {
      const one = new Exchange([BTC], EMPTY)
      for (const [asset, amount] of Object.entries(DEPOSITS)) one.deposit(asset, amount, 0)
      steps.forEach((step, index) => {
        const before = { fills: one.fills.length }
        act(one, step, index + 1)
        check(one, step, before)
      })
      for (const fill of one.fills) fill.isMaker ? made++ : taken++
    }),
    { numRuns: 300 },
  )
  // A property over runs in which nothing trades would hold for nothing.
  assert.ok(taken > 1_000 && made > 150, `taken=${taken} made=${made}`)
}

Deno.test("balances are deposits plus fills less fees, and what is locked is what open orders reserve", () => {
  property((one) => {
    const expected = { ...DEPOSITS } as Record<string, bigint>
    for (const fill of one.fills) {
      const sign = fill.isBuyer ? 1n : -1n
      expected["BTC"] = (expected["BTC"] ?? 0n) + sign * fill.quantity
      expected["USDT"] = (expected["USDT"] ?? 0n) - sign * fill.quoteQuantity
      const asset = fill.commissionAsset
      expected[asset] = (expected[asset] ?? 0n) - fill.commission
    }
    const locked: Record<string, bigint> = { BTC: 0n, USDT: 0n }
    for (const open of one.openOrders()) {
      const rest = open.quantity - open.executed
      const asset = open.side === "BUY" ? "USDT" : "BTC"
      const reserve = open.side === "BUY" ? open.price * rest / 100_000_000n : rest
      assert.equal(open.locked, reserve)
      locked[asset] = (locked[asset] ?? 0n) + reserve
    }
    for (const asset of ["BTC", "USDT"]) {
      const balance = one.balance(asset)
      assert.equal(balance.free + balance.locked, expected[asset], asset)
      assert.equal(balance.locked, locked[asset], asset)
    }
  })
})

Deno.test("an order's executed quantity is the sum of its fills, only grows, and never passes its size", () => {
  const seen = new Map<Exchange, Map<number, bigint>>()
  property((one) => {
    const last = seen.get(one) ?? new Map<number, bigint>()
    seen.set(one, last)
    const sums = new Map<number, bigint>()
    const quotes = new Map<number, bigint>()
    for (const fill of one.fills) {
      sums.set(fill.orderId, (sums.get(fill.orderId) ?? 0n) + fill.quantity)
      quotes.set(fill.orderId, (quotes.get(fill.orderId) ?? 0n) + fill.quoteQuantity)
    }
    for (const order of one.orders) {
      assert.equal(order.executed, sums.get(order.orderId) ?? 0n)
      assert.equal(order.cumulativeQuote, quotes.get(order.orderId) ?? 0n)
      assert.ok(order.executed <= order.quantity)
      assert.ok(order.executed >= (last.get(order.orderId) ?? 0n))
      if (order.status === "FILLED") assert.equal(order.executed, order.quantity)
      if (order.quoteQuantity === 0n && order.executed === order.quantity) {
        assert.equal(order.status, "FILLED")
      }
      if (order.quoteQuantity > 0n && order.side === "BUY") {
        assert.ok(order.cumulativeQuote <= order.quoteQuantity)
      }
      last.set(order.orderId, order.executed)
    }
    const tradeIds = one.fills.map((fill) => fill.tradeId)
    assert.equal(new Set(tradeIds).size, tradeIds.length)
  })
})

Deno.test("nothing fills outside what the market showed or traded", () => {
  const shown = new Map<Exchange, Map<string, bigint>>()
  property((one, step, before) => {
    // Our own copy of what is left at each price, kept from the market's actions alone.
    let book = shown.get(one) ?? new Map<string, bigint>()
    const key = (asks: boolean, price: bigint) => `${asks ? "ask" : "bid"} ${price}`
    if (step.do === "ladder") {
      book = new Map()
      for (const i of [0, 1, 2]) {
        book.set(key(false, BigInt(step.mid - i) * TICK), BigInt(step.sizes[i] ?? 1) * STEP)
        book.set(key(true, BigInt(step.mid + 1 + i) * TICK), BigInt(step.sizes[3 + i] ?? 1) * STEP)
      }
    } else if (step.do === "quote") {
      for (const name of [...book.keys()]) {
        const [side, price] = name.split(" ")
        const isBetter = side === "bid"
          ? BigInt(price ?? 0) >= BigInt(step.mid) * TICK
          : BigInt(price ?? 0) <= BigInt(step.mid + 1) * TICK
        if (isBetter) book.delete(name)
      }
      book.set(key(false, BigInt(step.mid) * TICK), BigInt(step.bid) * STEP)
      book.set(key(true, BigInt(step.mid + 1) * TICK), BigInt(step.ask) * STEP)
    }
    shown.set(one, book)
    const fresh = one.fills.slice(before.fills)
    const takes = (fill: FillRecord) => {
      const name = key(fill.isBuyer, fill.price)
      const left = (book.get(name) ?? 0n) - fill.quantity
      assert.ok(left >= 0n, `${fill.quantity} at ${name}, which shows ${book.get(name)}`)
      book.set(name, left)
    }
    for (const fill of fresh.filter((fill) => !fill.isMaker)) takes(fill)
    const made = fresh.filter((fill) => fill.isMaker)
    const total = made.reduce((sum, fill) => sum + fill.quantity, 0n)
    if (step.do === "trade") {
      assert.ok(total <= BigInt(step.size) * STEP)
      for (const fill of made) assert.equal(fill.isBuyer, step.buyerIsMaker)
    } else {
      // Quoted through: never for more than what was shown at its price or better.
      for (const isBuyer of [true, false]) {
        const mine = made.filter((fill) => fill.isBuyer === isBuyer)
        let left = mine.reduce((sum, fill) => sum + fill.quantity, 0n)
        const worst = mine.reduce(
          (price, fill) => isBuyer === (fill.price > price) ? fill.price : price,
          mine[0]?.price ?? 0n,
        )
        for (const [name, size] of book) {
          const [side, price] = name.split(" ")
          if (side !== (isBuyer ? "ask" : "bid") || left === 0n) continue
          if (isBuyer ? BigInt(price ?? 0) > worst : BigInt(price ?? 0) < worst) continue
          const taken = size < left ? size : left
          book.set(name, size - taken)
          left -= taken
        }
        assert.equal(left, 0n)
      }
    }
  })
})
