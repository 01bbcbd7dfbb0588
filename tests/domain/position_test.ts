import assert from "node:assert/strict"
import fc from "fast-check"
import {
  add,
  type Decimal,
  decimal,
  formatDecimal,
  isEqual,
  isZero,
  multiply,
  negate,
  subtract,
  zero,
} from "../../domain/decimal.ts"
import {
  applyFill,
  assetsOf,
  averagePrice,
  type Fill,
  flat,
  type Position,
  transferHolding,
  unrealisedPnl,
} from "../../domain/position.ts"
import { anyFill, anyPrice } from "./arbitraries.ts"

const instrument = "BTC/USDT.BINANCE"

function fill(
  side: "buy" | "sell",
  quantity: string,
  price: string,
  fee = "0",
  feeAsset = "USDT",
): Fill {
  return {
    executionId: "1",
    clientOrderId: "a",
    instrument,
    side,
    quantity: decimal(quantity),
    price: decimal(price),
    fee: decimal(fee),
    feeAsset,
    time: 5,
  }
}

const fold = (fills: ReadonlyArray<readonly [Fill, string]>): Position =>
  fills.reduce((position, [each, holder]) => applyFill(position, each, holder), flat(instrument))

const holdings = ({ holders }: Position) =>
  Object.fromEntries([...holders].map(([name, quantity]) => [name, formatDecimal(quantity)]))

const sum = (values: Iterable<Decimal>) => [...values].reduce(add, zero)

const anyHeldFills = fc.array(fc.tuple(anyFill, fc.constantFrom("a", "b", "operator")), {
  maxLength: 25,
})

Deno.test("applyFill() profits and fees add up exactly to the cash that moved", () => {
  fc.assert(fc.property(anyHeldFills, anyPrice, (fills, mark) => {
    const position = fold(fills)
    const cash = sum(fills.map(([each]) => {
      const notional = multiply(each.quantity, each.price)
      const moved = each.side === "buy" ? negate(notional) : notional
      return each.feeAsset === "USDT" ? subtract(moved, each.fee) : moved
    }))
    const result = subtract(add(position.realisedPnl, unrealisedPnl(position, mark)), position.fees)
    assert.ok(isEqual(result, add(cash, multiply(position.quantity, mark))))
  }))
})

Deno.test("applyFill() holds what was traded, less the fees that were taken from it", () => {
  fc.assert(fc.property(anyHeldFills, (fills) => {
    const position = fold(fills)
    const held = sum(fills.map(([each]) => {
      const moved = each.side === "buy" ? each.quantity : negate(each.quantity)
      return each.feeAsset === "BTC" ? subtract(moved, each.fee) : moved
    }))
    assert.ok(isEqual(position.quantity, held))
    const other = sum(fills.map(([{ fee, feeAsset }]) => feeAsset === "BNB" ? fee : zero))
    assert.ok(isEqual(sum(position.otherFees.values()), other))
  }))
})

Deno.test("applyFill() attributes exactly what is held, and nothing to nobody", () => {
  fc.assert(fc.property(anyHeldFills, (fills) => {
    let position = flat(instrument)
    for (const [each, holder] of fills) {
      position = applyFill(position, each, holder)
      assert.ok(isEqual(sum(position.holders.values()), position.quantity))
      for (const held of position.holders.values()) assert.ok(!isZero(held))
      if (isZero(position.quantity)) assert.ok(isZero(position.cost))
    }
  }))
})

Deno.test("applyFill() averages what is bought and settles what is sold at that average", () => {
  const position = fold([[fill("buy", "1", "10"), "a"], [fill("buy", "3", "20"), "a"], [
    fill("sell", "2", "30"),
    "a",
  ]])
  assert.equal(formatDecimal(averagePrice(position)), "17.5")
  assert.equal(formatDecimal(position.quantity), "2")
  assert.equal(formatDecimal(position.realisedPnl), "25")
  assert.equal(formatDecimal(unrealisedPnl(position, decimal("18"))), "1")
})

Deno.test("applyFill() flips a long into a short and books the profit", () => {
  const position = fold([[fill("buy", "2", "10"), "a"], [fill("sell", "3", "12"), "a"]])
  assert.equal(formatDecimal(position.quantity), "-1")
  assert.equal(formatDecimal(averagePrice(position)), "12")
  assert.equal(formatDecimal(position.realisedPnl), "4")
  assert.deepEqual(holdings(position), { a: "-1" })
})

Deno.test("applyFill() flips a short into a long and books the loss", () => {
  const position = fold([[fill("sell", "2", "10"), "a"], [fill("buy", "5", "12"), "a"]])
  assert.equal(formatDecimal(position.quantity), "3")
  assert.equal(formatDecimal(averagePrice(position)), "12")
  assert.equal(formatDecimal(position.realisedPnl), "-4")
})

Deno.test("applyFill() takes fees from where they were charged", () => {
  const inQuote = fold([[fill("buy", "1", "100", "0.1", "USDT"), "a"]])
  assert.deepEqual([formatDecimal(inQuote.quantity), formatDecimal(inQuote.fees)], ["1", "0.1"])
  const inBase = fold([[fill("buy", "1", "100", "0.001", "BTC"), "a"]])
  assert.deepEqual([formatDecimal(inBase.quantity), formatDecimal(inBase.fees)], ["0.999", "0.1"])
  assert.deepEqual(holdings(inBase), { a: "0.999" })
  const elsewhere = fold([[fill("buy", "1", "100", "0.002", "BNB"), "a"]])
  assert.deepEqual([formatDecimal(elsewhere.quantity), formatDecimal(elsewhere.fees)], ["1", "0"])
  assert.equal(formatDecimal(elsewhere.otherFees.get("BNB")!), "0.002")
})

Deno.test("applyFill() dates a position by the fill that opened or flipped it", () => {
  const at = (time: number, each: Fill) => ({ ...each, time })
  let position = applyFill(flat(instrument), at(10, fill("buy", "1", "1")), "a")
  position = applyFill(position, at(20, fill("buy", "1", "1")), "a")
  assert.equal(position.openedAt, 10)
  position = applyFill(position, at(30, fill("sell", "3", "1")), "a")
  assert.equal(position.openedAt, 30)
})

Deno.test("applyFill() lets an operator close what the runners hold, the largest first", () => {
  const held = fold([[fill("buy", "1", "10"), "a"], [fill("buy", "3", "10"), "b"]])
  const closed = applyFill(held, fill("sell", "3.5", "10"), "operator")
  assert.deepEqual(holdings(closed), { a: "0.5" })
})

Deno.test("applyFill() takes from the holder itself first, then from the others", () => {
  const held = fold([[fill("buy", "0.1", "10"), "operator"], [fill("buy", "1.9", "10"), "a"]])
  assert.deepEqual(holdings(applyFill(held, fill("sell", "1", "10"), "operator")), { a: "1" })
  assert.deepEqual(holdings(applyFill(held, fill("sell", "1", "10"), "a")), {
    operator: "0.1",
    a: "0.9",
  })
})

Deno.test("transferHolding() moves a part whole, merges it, and changes nothing else", () => {
  const held = fold([[fill("buy", "1", "10"), "a"], [fill("buy", "3", "10"), "b"]])
  const moved = transferHolding(held, "a", "c")
  assert.deepEqual(holdings(moved), { b: "3", c: "1" })
  assert.deepEqual(holdings(transferHolding(held, "a", "b")), { b: "4" })
  assert.equal(transferHolding(held, "nobody", "c"), held)
  assert.equal(transferHolding(held, "a", "a"), held)
  assert.deepEqual({ ...moved, holders: held.holders }, held)
})

Deno.test("assetsOf() names the pair; a stock is its own base", () => {
  assert.deepEqual(assetsOf("BTC/USDT.BINANCE"), { base: "BTC", quote: "USDT" })
  assert.deepEqual(assetsOf("AAPL.ALPACA"), { base: "AAPL", quote: "USD" })
})
