import assert from "node:assert/strict"
import fc from "fast-check"
import { decimal, formatDecimal, isLess, subtract } from "../../domain/decimal.ts"
import {
  accept,
  doubt,
  fill,
  finish,
  isOpen,
  leavesQuantity,
  type Order,
  requestCancel,
} from "../../domain/order.ts"
import type { Fill } from "../../domain/position.ts"

const submitted: Order = {
  clientOrderId: "keel-1",
  venueOrderId: undefined,
  venue: "binance",
  instrument: "BTC/USDT.BINANCE",
  side: "buy",
  type: "market",
  purpose: "open",
  quantity: decimal("10"),
  price: undefined,
  filledQuantity: decimal("0"),
  filledNotional: decimal("0"),
  status: "submitted",
  origin: "a",
  reason: "",
  note: undefined,
  submittedAt: 0,
  updatedAt: 0,
}

function execution(quantity: string, price = "2"): Fill {
  return {
    executionId: "1",
    clientOrderId: "keel-1",
    instrument: submitted.instrument,
    side: "buy",
    quantity: decimal(quantity),
    price: decimal(price),
    fee: decimal("0"),
    feeAsset: "USDT",
    time: 1,
  }
}

Deno.test("accept() learns the venue's id and opens what was submitted or in doubt", () => {
  const accepted = accept(submitted, "77", 1)
  assert.deepEqual([accepted.status, accepted.venueOrderId, accepted.updatedAt], [
    "accepted",
    "77",
    1,
  ])
  assert.equal(accept(doubt(submitted, 1, "lost"), "77", 2).status, "accepted")
})

Deno.test("accept() that arrives late changes no status", () => {
  const partly = fill(submitted, execution("4"))
  assert.equal(accept(partly, "77", 9).status, "partially_filled")
  const filled = accept(fill(submitted, execution("10")), "77", 9)
  assert.deepEqual([filled.status, filled.venueOrderId], ["filled", "77"])
  assert.equal(accept(requestCancel(submitted, 1), "77", 2).status, "cancel_pending")
  assert.equal(accept(finish(submitted, "rejected", 1), "77", 2).status, "rejected")
})

Deno.test("fill() adds up quantity and notional, partly and in full", () => {
  const partly = fill(accept(submitted, "77", 1), execution("4", "2.5"))
  assert.equal(partly.status, "partially_filled")
  assert.equal(formatDecimal(leavesQuantity(partly)), "6")
  const filled = fill(partly, execution("6", "3"))
  assert.equal(filled.status, "filled")
  assert.equal(formatDecimal(filled.filledNotional), "28")
  assert.equal(formatDecimal(leavesQuantity(filled)), "0")
})

Deno.test("fill() beyond the quantity is a defect", () => {
  assert.throws(() => fill(submitted, execution("10.1")), /keel-1 is filled beyond its quantity/)
})

Deno.test("fill() that races a cancel counts; the order is filled only when all of it is", () => {
  const canceled = finish(submitted, "canceled", 1)
  const partly = fill(canceled, execution("4"))
  assert.deepEqual([partly.status, formatDecimal(partly.filledQuantity)], ["canceled", "4"])
  assert.equal(fill(partly, execution("6")).status, "filled")
  const pending = fill(requestCancel(submitted, 1), execution("4"))
  assert.equal(pending.status, "cancel_pending")
  assert.equal(fill(pending, execution("6")).status, "filled")
})

Deno.test("finish() ends an order once, with its reason", () => {
  const expired = finish(submitted, "expired", 3, "no liquidity")
  assert.deepEqual([expired.status, expired.note, expired.updatedAt], [
    "expired",
    "no liquidity",
    3,
  ])
  assert.equal(finish(expired, "canceled", 4), expired)
  assert.equal(requestCancel(expired, 4), expired)
})

Deno.test("doubt() is for an order nobody has heard of", () => {
  assert.deepEqual([doubt(submitted, 1, "timeout").status, doubt(submitted, 1, "timeout").note], [
    "unconfirmed",
    "timeout",
  ])
  for (
    const heard of [
      accept(submitted, "7", 1),
      fill(submitted, execution("1")),
      finish(submitted, "canceled", 1),
    ]
  ) {
    assert.equal(doubt(heard, 2, "timeout"), heard)
  }
  assert.equal(isOpen(doubt(submitted, 1, "timeout")), true)
})

type Evidence = (order: Order) => Order
const anyEvidence: fc.Arbitrary<Evidence> = fc.oneof(
  fc.constant<Evidence>((order) => accept(order, "77", 1)),
  fc.integer({ min: 1, max: 4 }).map((quantity): Evidence => (order) => {
    const left = subtract(order.quantity, order.filledQuantity)
    return isLess(left, decimal(`${quantity}`)) ? order : fill(order, execution(`${quantity}`))
  }),
  fc.constantFrom("canceled" as const, "expired" as const, "rejected" as const)
    .map((status): Evidence => (order) => finish(order, status, 1)),
  fc.constant<Evidence>((order) => requestCancel(order, 1)),
  fc.constant<Evidence>((order) => doubt(order, 1, "?")),
)

Deno.test("whatever evidence comes in whatever order, fills never shrink and an end stays an end", () => {
  fc.assert(
    fc.property(fc.array(anyEvidence, { maxLength: 12 }), (evidence) => {
      let order = submitted
      for (const each of evidence) {
        const next = each(order)
        assert.ok(!isLess(next.filledQuantity, order.filledQuantity))
        assert.ok(!isLess(next.quantity, next.filledQuantity))
        if (!isOpen(order)) assert.ok(next.status === order.status || next.status === "filled")
        if (order.status === "filled") assert.equal(next.status, "filled")
        assert.equal(next.status === "filled", !isLess(next.filledQuantity, next.quantity))
        if (order.venueOrderId !== undefined) assert.equal(next.venueOrderId, "77")
        order = next
      }
    }),
    { numRuns: 500 },
  )
})

Deno.test("accept(), finish() and requestCancel() twice are the same as once", () => {
  fc.assert(fc.property(fc.array(anyEvidence, { maxLength: 8 }), (evidence) => {
    const order = evidence.reduce((state, each) => each(state), submitted)
    const once: ReadonlyArray<Evidence> = [
      (it) => accept(it, "77", 1),
      (it) => finish(it, "canceled", 1),
      (it) => requestCancel(it, 1),
      (it) => doubt(it, 1, "?"),
    ]
    for (const each of once) assert.deepEqual(each(each(order)), each(order))
  }))
})
