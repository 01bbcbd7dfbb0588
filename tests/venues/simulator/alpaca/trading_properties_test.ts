import assert from "node:assert/strict"
import fc from "fast-check"
import { notional } from "../../../../venues/simulator/decimals.ts"
import { ceilNotional } from "../../../../venues/simulator/alpaca/account.ts"
import type { OrderRecord } from "../../../../venues/simulator/alpaca/ledger.ts"
import { isRefusal } from "../../../../venues/simulator/alpaca/refusal.ts"
import { Floor } from "./trading_floor.ts"

const symbol = fc.constantFrom("AAPL", "MSFT", "BTC/USD")
const cents = (from: number, to: number) =>
  fc.integer({ min: from * 100, max: to * 100 }).map((value) => (value / 100).toFixed(2))
const quantity = fc.integer({ min: 1, max: 300 }).map(String)
const part = fc.integer({ min: 1, max: 30_000 }).map((value) => (value / 10_000).toFixed(4))
const side = fc.constantFrom("buy", "sell")

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant("place" as const),
      fields: fc.oneof(
        fc.record({ symbol, side, qty: fc.oneof(quantity, part), type: fc.constant("market") }),
        fc.record({ symbol, side, notional: cents(5, 900), type: fc.constant("market") }),
        fc.record({
          symbol: fc.constantFrom("AAPL", "MSFT"),
          side,
          qty: quantity,
          type: fc.constant("limit"),
          limit_price: cents(40, 120),
        }),
        fc.record({
          symbol: fc.constant("BTC/USD"),
          side,
          qty: part,
          type: fc.constant("limit"),
          limit_price: cents(45_000, 55_000),
        }),
        fc.record({
          symbol: fc.constant("AAPL"),
          side,
          qty: quantity,
          type: fc.constant("stop"),
          stop_price: cents(80, 120),
        }),
        fc.record({
          symbol: fc.constant("AAPL"),
          side: fc.constant("buy"),
          qty: quantity,
          type: fc.constant("market"),
          order_class: fc.constant("bracket"),
          take_profit: fc.record({ limit_price: cents(101, 120) }),
          stop_loss: fc.record({ stop_price: cents(80, 99) }),
        }),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant("cancel" as const), which: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant("replace" as const),
      which: fc.nat(20),
      qty: quantity,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant("trade" as const),
      price: cents(85, 115),
      size: quantity,
      by: fc.constantFrom("buyer" as const, "seller" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant("quote" as const),
      middle: fc.integer({ min: 90, max: 110 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ act: fc.constant("settle" as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer A> ? A : never

function take(floor: Floor, next: Step) {
  const open = floor.exchange.open
  switch (next.act) {
    case "place": {
      const isCrypto = next.fields.symbol === "BTC/USD"
      floor.place({ ...next.fields, time_in_force: isCrypto ? "gtc" : "day" })
      break
    }
    case "cancel": {
      const order = open[next.which % Math.max(1, open.length)]
      if (order !== undefined) floor.cancel(order)
      break
    }
    case "replace": {
      const order = open[next.which % Math.max(1, open.length)]
      if (order !== undefined) floor.replace(order, { qty: next.qty })
      break
    }
    case "trade":
      floor.market.trade("AAPL", next.price, next.size, next.by)
      break
    case "quote": {
      const { middle } = next
      floor.market.ladder(
        "AAPL",
        [[`${middle - 0.1}`.slice(0, 6), "100"], [`${middle - 1}`, "200"]],
        [[`${middle}`, "100"], [`${middle + 1}`, "200"]],
      )
      floor.market.ladder("BTC/USD", [[`${middle * 500 - 10}`, "1"]], [[`${middle * 500}`, "1"]])
      floor.market.ladder("MSFT", [["49.90", "500"]], [["50.00", "500"]])
      break
    }
    case "settle":
      floor.settle()
  }
}

const steps = fc.array(step, { maxLength: 60, size: "max" })

Deno.test("cash and positions are what the fills made them, to the last atom", () => {
  fc.assert(
    fc.property(steps, fc.constantFrom(0, 0.3), (all, probability) => {
      const floor = new Floor(probability)
      for (const one of all) take(floor, one)
      let cash = 100_000n * 100_000_000n
      const held = new Map<string, bigint>()
      for (const fill of floor.exchange.fills) {
        const isCrypto = fill.symbol === "BTC/USD"
        const isBuy = fill.side === "buy"
        const gross = isBuy
          ? -ceilNotional(fill.price, fill.quantity)
          : notional(fill.price, fill.quantity)
        assert.equal(fill.fee > 0n, isCrypto)
        assert.equal(fill.cash, isBuy ? gross : gross - fill.fee)
        cash += fill.cash
        const change = isBuy ? fill.quantity - fill.fee : -fill.quantity
        held.set(fill.symbol, (held.get(fill.symbol) ?? 0n) + change)
      }
      assert.equal(floor.exchange.account.record.cash, cash)
      for (const [name, amount] of held) {
        assert.equal(floor.exchange.account.position(name).quantity, amount)
      }
    }),
    { numRuns: 200 },
  )
})

Deno.test("orders never hold more than there is, and what is filled never shrinks", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const floor = new Floor(0.2)
      const before = new Map<string, OrderRecord>()
      for (const one of all) {
        take(floor, one)
        const held = new Map<string, bigint>()
        for (const order of floor.exchange.open) {
          held.set(order.symbol, (held.get(order.symbol) ?? 0n) + order.heldQuantity)
          assert.ok(order.heldCash >= 0n)
        }
        for (const [name, amount] of held) {
          const { quantity } = floor.exchange.account.position(name)
          const size = quantity < 0n ? -quantity : quantity
          assert.ok(amount <= size, `${name}: ${amount} held of ${quantity}`)
        }
        assert.ok(floor.exchange.account.position("BTC/USD").quantity >= 0n)
        for (const order of floor.exchange.orders) {
          const last = before.get(order.id)
          before.set(order.id, order)
          assert.ok(order.quantity === 0n || order.filled <= order.quantity)
          if (last === undefined) continue
          assert.ok(order.filled >= last.filled)
          const wasOver = ["filled", "canceled", "expired", "rejected", "replaced"]
            .includes(last.status)
          if (wasOver) assert.equal(order.status, last.status)
        }
      }
    }),
    { numRuns: 200 },
  )
})

Deno.test("no order is taken that the account cannot pay", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const floor = new Floor()
      for (const one of all) {
        if (one.act !== "place") {
          take(floor, one)
          continue
        }
        const isCrypto = one.fields.symbol === "BTC/USD"
        const before = floor.exchange.funds
        const placed = floor.place({ ...one.fields, time_in_force: isCrypto ? "gtc" : "day" })
        if (isRefusal(placed)) continue
        const power = isCrypto ? before.nonMarginableBuyingPower : before.buyingPower
        assert.ok(placed.heldCash <= power, `${placed.heldCash} of ${power}`)
      }
    }),
    { numRuns: 200 },
  )
})

Deno.test("nothing fills beyond what the market showed or traded", () => {
  fc.assert(
    fc.property(fc.array(quantity, { minLength: 1, maxLength: 10 }), (quantities) => {
      const floor = new Floor()
      for (const qty of quantities) floor.place({ side: "buy", qty, symbol: "AAPL" })
      floor.settle()
      const bought = floor.exchange.fills.reduce((sum, fill) => sum + fill.quantity, 0n)
      const wanted = quantities.reduce((sum, qty) => sum + BigInt(qty), 0n) * 100_000_000n
      const shown = 200n * 100_000_000n
      assert.equal(bought, wanted < shown ? wanted : shown)
    }),
  )
})

Deno.test("whatever happened, all can be canceled, and then nothing is held or under way", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const floor = new Floor(0.2)
      for (const one of all) take(floor, one)
      floor.settle()
      for (const order of floor.exchange.open) floor.cancel(order)
      floor.settle()
      assert.deepEqual(floor.exchange.open.map((order) => [order.type, order.status]), [])
      for (const order of floor.exchange.orders) {
        assert.equal(order.heldCash + order.heldQuantity, 0n, `${order.type} ${order.status}`)
      }
      const { equity, initialMargin, buyingPower } = floor.exchange.funds
      const free = equity - initialMargin
      assert.equal(buyingPower, free > 0n ? 2n * free : 0n)
    }),
    { numRuns: 200 },
  )
})
