import assert from "node:assert/strict"
import { Effect } from "effect"
import { formatTrimmed } from "../../../../venues/simulator/decimals.ts"
import { isRefusal, type Refusal } from "../../../../venues/simulator/alpaca/refusal.ts"
import { atoms } from "../simulator.ts"
import { Floor } from "./trading_floor.ts"
import { CLOSE } from "./trading_market.ts"

const fillsOf = (floor: Floor) =>
  floor.exchange.fills.map((fill) => `${formatTrimmed(fill.quantity)}@${formatTrimmed(fill.price)}`)

const limitBuy = (price: string, qty = "10") => ({
  side: "buy",
  type: "limit",
  limit_price: price,
  qty,
})
/** Ten shares with an exit at 110 and one at 90. */
const bracket = (fields: Record<string, unknown> = {}) => ({
  side: "buy",
  qty: "10",
  order_class: "bracket",
  take_profit: { limit_price: "110" },
  stop_loss: { stop_price: "90" },
  ...fields,
})

Deno.test("a market order walks the shown book, best level first, at the shown prices", () => {
  const floor = new Floor()
  const order = floor.placed({ side: "buy", qty: "150" })
  assert.equal(order.status, "filled")
  assert.deepEqual(fillsOf(floor), ["100@100", "50@100.1"])
  assert.equal(floor.position("AAPL"), "150")
  assert.equal(floor.cash, "84995")
  assert.deepEqual(floor.events, [
    "market pending_new",
    "market new",
    "market partial_fill",
    "market fill",
  ])
})

Deno.test("what the book does not show waits until it does", () => {
  const floor = new Floor()
  const order = floor.placed({ side: "buy", qty: "250" })
  assert.equal(order.status, "partially_filled")
  floor.market.ladder("AAPL", [["99.90", "100"]], [["100.20", "100"]])
  assert.equal(floor.order(order).status, "filled")
  assert.deepEqual(fillsOf(floor), ["100@100", "100@100.1", "50@100.2"])
})

Deno.test("a resting limit order fills at its price when others trade there, for no more", () => {
  const floor = new Floor()
  const order = floor.placed(limitBuy("99.95"))
  assert.equal(order.status, "new")
  floor.market.trade("AAPL", "99.96", "100", "seller")
  floor.market.trade("AAPL", "99.95", "100", "buyer")
  assert.equal(floor.order(order).filled, 0n)
  floor.market.trade("AAPL", "99.94", "4", "seller")
  assert.equal(floor.order(order).status, "partially_filled")
  floor.market.ladder("AAPL", [["99.80", "5"]], [["99.90", "100"]])
  assert.deepEqual(fillsOf(floor), ["4@99.95", "6@99.95"])
  assert.equal(floor.order(order).status, "filled")
})

Deno.test("the better price comes first, then the older order", () => {
  const floor = new Floor()
  const at = (limit: string) => floor.placed(limitBuy(limit))
  const [low, first, second] = [at("99.91"), at("99.95"), at("99.95")]
  floor.market.trade("AAPL", "99.90", "15", "seller")
  assert.equal(floor.order(first).status, "filled")
  assert.equal(floor.order(second).filled, atoms("5"))
  assert.equal(floor.order(low).filled, 0n)
})

Deno.test("fill or kill takes all or nothing, immediate or cancel what there is", () => {
  const floor = new Floor()
  const killed = floor.placed({ side: "buy", qty: "201", time_in_force: "fok" })
  assert.equal(killed.status, "canceled")
  assert.equal(killed.filled, 0n)
  const rest = floor.placed({ side: "buy", qty: "201", time_in_force: "ioc" })
  assert.equal(rest.status, "canceled")
  assert.equal(rest.filled, atoms("200"))
  assert.equal(rest.heldCash, 0n)
})

Deno.test("a stop waits for a trade at its price", () => {
  const floor = new Floor()
  const order = floor.placed({ side: "buy", type: "stop", stop_price: "101", qty: "10" })
  floor.market.trade("AAPL", "100.99", "1", "buyer")
  assert.equal(floor.order(order).status, "new")
  floor.market.trade("AAPL", "101", "1", "buyer")
  assert.equal(floor.order(order).status, "filled")
})

Deno.test("a trailing stop follows the price and never goes back", () => {
  const floor = new Floor()
  floor.placed({ side: "buy", qty: "10" })
  const order = floor.placed({ side: "sell", type: "trailing_stop", trail_price: "2", qty: "10" })
  const stop = () => formatTrimmed(floor.order(order).stopPrice)
  assert.equal(stop(), "98")
  floor.market.trade("AAPL", "103", "1", "buyer")
  assert.equal(stop(), "101")
  floor.market.trade("AAPL", "102", "1", "buyer")
  assert.equal(stop(), "101")
  floor.market.trade("AAPL", "101", "1", "seller")
  assert.equal(floor.order(order).status, "filled")
})

Deno.test("a bracket's exits begin with its entry, and one cancels the other", () => {
  const floor = new Floor()
  const entry = floor.placed(bracket())
  assert.equal(entry.status, "filled")
  const [profit, loss] = entry.legIds.map((id) => floor.order({ id }))
  assert.ok(profit && loss)
  assert.equal(profit.status, "new")
  assert.equal(loss.status, "held")
  assert.equal(profit.positionIntent, "sell_to_close")
  floor.market.trade("AAPL", "110", "4", "buyer")
  assert.equal(floor.order(profit).status, "partially_filled")
  assert.equal(formatTrimmed(floor.order(loss).quantity), "6")
  floor.market.trade("AAPL", "111", "100", "buyer")
  assert.equal(floor.order(profit).status, "filled")
  assert.equal(floor.order(loss).status, "canceled")
  assert.equal(floor.position("AAPL"), "0")
})

Deno.test("a bracket's stop-loss takes over when its price is reached", () => {
  const floor = new Floor()
  const entry = floor.placed(bracket({ stop_loss: { stop_price: "95" } }))
  const [profit, loss] = entry.legIds.map((id) => ({ id }))
  assert.ok(profit && loss)
  floor.market.trade("AAPL", "95", "1", "seller")
  assert.equal(floor.order(profit).status, "canceled")
  assert.equal(floor.order(loss).status, "filled")
  assert.equal(floor.position("AAPL"), "0")
})

Deno.test("a bracket whose entry is canceled has no exits", () => {
  const floor = new Floor()
  const entry = floor.placed(
    bracket({
      type: "limit",
      limit_price: "98",
      stop_loss: { stop_price: "90", limit_price: "89.5" },
    }),
  )
  floor.market.trade("AAPL", "90", "1", "buyer")
  assert.deepEqual(entry.legIds.map((id) => floor.order({ id }).status), ["held", "held"])
  floor.cancel(entry)
  floor.settle()
  assert.deepEqual(entry.legIds.map((id) => floor.order({ id }).status), ["canceled", "canceled"])
})

Deno.test("one cancels the other holds the position once", () => {
  const floor = new Floor()
  floor.placed({ side: "buy", qty: "10" })
  const exit = floor.placed({
    side: "sell",
    type: "limit",
    limit_price: "105",
    qty: "10",
    order_class: "oco",
    stop_loss: { stop_price: "95" },
  })
  assert.equal(exit.status, "new")
  assert.match(floor.refused({ side: "sell", qty: "1" }).message, /available: 0/)
  floor.market.trade("AAPL", "94", "1", "seller")
  assert.equal(floor.order(exit).status, "canceled")
  assert.equal(floor.position("AAPL"), "0")
})

Deno.test("one triggers the other", () => {
  const floor = new Floor()
  const entry = floor.placed({
    side: "buy",
    qty: "10",
    order_class: "oto",
    stop_loss: { stop_price: "95" },
  })
  const [leg] = entry.legIds.map((id) => floor.order({ id }))
  assert.equal(leg?.status, "new")
  assert.equal(leg?.heldQuantity, atoms("10"))
})

Deno.test("an order outside of the session waits for the open, and expires at the close", () => {
  const floor = new Floor()
  const open = Date.parse("2026-11-24T14:30:00Z")
  floor.market.enter("post", CLOSE + 60_000, CLOSE + 4 * 3_600_000)
  const market = floor.placed({ side: "buy", qty: "1" })
  const limit = floor.placed(limitBuy("90", "1"))
  assert.equal(market.status, "accepted")
  assert.equal(new Date(market.expiresAt ?? 0).toISOString(), "2026-11-24T21:00:00.000Z")
  floor.market.enter("closed", CLOSE + 4 * 3_600_000, open)
  floor.market.ladder("AAPL", [["99.90", "100"]], [["80", "100"]])
  assert.equal(floor.order(market).status, "accepted")
  floor.market.ladder("AAPL", [["99.90", "100"]], [["100", "100"]])
  floor.market.enter("core", open, open + 6.5 * 3_600_000)
  assert.equal(floor.order(market).status, "filled")
  assert.equal(floor.order(limit).status, "new")
  floor.market.enter("post", open + 6.5 * 3_600_000, open + 10.5 * 3_600_000)
  assert.equal(floor.order(limit).status, "expired")
})

Deno.test("extended hours orders trade late and expire when the late session ends", () => {
  const floor = new Floor()
  floor.market.enter("post", CLOSE, CLOSE + 4 * 3_600_000)
  const late = { side: "buy", type: "limit", extended_hours: true }
  const taken = floor.placed({ ...late, limit_price: "100", qty: "1" })
  const rest = floor.placed({ ...late, limit_price: "90", qty: "1" })
  assert.equal(taken.status, "filled")
  assert.equal(rest.status, "new")
  floor.market.enter("overnight", CLOSE + 4 * 3_600_000, CLOSE + 12 * 3_600_000)
  assert.equal(floor.order(rest).status, "expired")
})

Deno.test("orders for the auctions trade at the open and at the close, then end", () => {
  const floor = new Floor()
  const open = Date.parse("2026-11-24T14:30:00Z")
  const night = Date.parse("2026-11-24T04:00:00Z")
  const close = floor.placed({ side: "buy", qty: "150", time_in_force: "cls" })
  assert.equal(close.status, "new")
  floor.market.enter("post", CLOSE, night)
  assert.equal(floor.order(close).filled, atoms("150"))
  floor.market.ladder("AAPL", [["99.90", "100"]], [["100", "100"]])
  floor.market.enter("closed", night, open)
  const atOpen = floor.placed({ side: "buy", qty: "150", time_in_force: "opg" })
  assert.equal(atOpen.status, "accepted")
  floor.market.enter("core", open, open + 6.5 * 3_600_000)
  assert.equal(floor.order(atOpen).filled, atoms("100"))
  assert.equal(floor.order(atOpen).status, "canceled")
})

Deno.test("orders of a halted symbol wait", () => {
  const floor = new Floor()
  floor.market.halt("AAPL", true)
  const order = floor.placed({ side: "buy", qty: "1" })
  assert.equal(order.status, "new")
  floor.market.trade("AAPL", "100", "10", "seller")
  floor.market.ladder("AAPL", [["99", "10"]], [["100", "10"]])
  assert.equal(floor.order(order).status, "new")
  floor.market.halt("AAPL", false)
  assert.equal(floor.order(order).status, "filled")
})

Deno.test("where the market never closes a day ends all the same", () => {
  const floor = new Floor()
  floor.tick()
  const order = floor.placed(limitBuy("90", "1"))
  floor.market.enter("core", CLOSE, CLOSE + 86_400_000)
  const next = floor.placed(limitBuy("90", "1"))
  floor.tick()
  assert.equal(floor.order(order).status, "expired")
  assert.equal(floor.order(next).status, "new")
})

Deno.test("a cancel takes its time, and a fill may come first", () => {
  const floor = new Floor()
  const limit = limitBuy("99.95")
  const [kept, lost] = [floor.placed(limit), floor.placed(limit)]
  floor.cancel(lost)
  assert.equal(floor.order(lost).status, "pending_cancel")
  assert.equal((floor.cancel(lost) as Refusal).message, "order pending cancel")
  floor.market.trade("AAPL", "99.90", "12", "seller")
  assert.equal(floor.order(kept).status, "filled")
  assert.equal(floor.order(lost).status, "pending_cancel")
  assert.equal(floor.order(lost).filled, atoms("2"))
  floor.settle()
  assert.equal(floor.order(lost).status, "canceled")
  const late = floor.cancel(kept)
  assert.ok(isRefusal(late))
  assert.deepEqual([late.status, late.code, late.message], [
    422,
    42210000,
    'order is already in "filled" state',
  ])
})

Deno.test("a replacement is a new order whose quantity is the total", () => {
  const floor = new Floor()
  const old = floor.placed(limitBuy("99.95"))
  floor.market.trade("AAPL", "99.90", "4", "seller")
  const next = floor.replace(old, { qty: "8", limit_price: "99.96" })
  assert.ok(!isRefusal(next))
  assert.equal(next.status, "pending_new")
  assert.equal(next.replaces, old.id)
  assert.equal(floor.order(old).status, "pending_replace")
  floor.settle()
  assert.equal(floor.order(old).status, "replaced")
  assert.equal(floor.order(old).replacedBy, next.id)
  assert.equal(floor.order(next).filled, atoms("4"))
  floor.market.trade("AAPL", "99.90", "100", "seller")
  assert.equal(floor.order(next).status, "filled")
  assert.equal(floor.position("AAPL"), "8")
  assert.equal(floor.exchange.funds.cash, floor.exchange.account.record.cash)
  assert.equal(floor.order(next).heldCash, 0n)
})

Deno.test("a replacement that comes too late is rejected", () => {
  const floor = new Floor()
  const old = floor.placed(limitBuy("99.95"))
  const next = floor.replace(old, { limit_price: "99.90" })
  assert.ok(!isRefusal(next))
  floor.market.trade("AAPL", "99.90", "10", "seller")
  floor.settle()
  assert.equal(floor.order(old).status, "filled")
  assert.equal(floor.order(old).replacedBy, "")
  assert.equal(floor.order(next).status, "rejected")
  assert.deepEqual(floor.events.slice(-2), ["limit order_replace_rejected", "limit rejected"])
})

Deno.test("what a replacement may not be", () => {
  const floor = new Floor()
  const old = floor.placed(limitBuy("99.95"))
  floor.market.trade("AAPL", "99.90", "4", "seller")
  const text = (fields: Record<string, unknown>) => {
    const outcome = floor.replace(old, fields)
    return isRefusal(outcome) ? outcome.message : "accepted"
  }
  assert.equal(text({}), "order parameters are not changed")
  assert.equal(text({ qty: "4" }), "unable to replace order, qty must be > filled_qty")
  assert.match(text({ limit_price: "99.951" }), /sub-penny/)
  assert.equal(text({ qty: "1000000" }), "insufficient buying power")
})

Deno.test("shares are sold short only whole, lendable, and within buying power", () => {
  const floor = new Floor()
  assert.equal(
    floor.refused({ side: "sell", qty: "1.5" }).message,
    "fractional orders cannot be sold short",
  )
  assert.match(
    floor.refused({ side: "sell", qty: "1", symbol: "OLD" }).message,
    /cannot be sold short/,
  )
  const short = floor.placed({ side: "sell", qty: "100" })
  assert.equal(short.positionIntent, "sell_to_open")
  assert.equal(floor.position("AAPL"), "-100")
  assert.equal(floor.cash, "109990")
  floor.placed({ side: "buy", qty: "40" })
  assert.equal(floor.position("AAPL"), "-60")
  assert.match(floor.refused({ side: "buy", qty: "61" }).message, /requested: 61, available: 60/)
})

Deno.test("the fee of crypto is taken from what is received", () => {
  const floor = new Floor()
  const crypto = { symbol: "BTC/USD", time_in_force: "gtc" }
  floor.placed({ ...crypto, side: "buy", qty: "0.1" })
  assert.equal(floor.position("BTC/USD"), "0.09975")
  assert.equal(floor.cash, "95000")
  const dust = floor.refused({ ...crypto, side: "sell", qty: "0.1" })
  assert.equal(dust.message, "insufficient balance for BTC (requested: 0.1, available: 0.09975)")
  floor.placed({ ...crypto, side: "sell", qty: "0.09975" })
  assert.equal(floor.position("BTC/USD"), "0")
  assert.equal(floor.cash, "99974.03624375")
})

Deno.test("an order by notional spends no more than it says", () => {
  const floor = new Floor()
  const order = floor.placed({ side: "buy", notional: "333.33" })
  assert.equal(order.status, "filled")
  assert.equal(formatTrimmed(order.filled), "3.3333")
  assert.equal(floor.cash, "99666.67")
  assert.equal(order.heldCash, 0n)
})

Deno.test("a tenth of the time an order fills in parts, and fills all the same", () => {
  const floor = new Floor(0.1)
  let parts = 0
  for (let i = 0; i < 100; i++) {
    floor.market.ladder("MSFT", [["49.90", "1000"]], [["50.00", "1000"]])
    const order = floor.placed({ symbol: "MSFT", side: i % 2 === 0 ? "buy" : "sell", qty: "20" })
    assert.equal(order.status, "filled")
    if (floor.exchange.fills.filter((fill) => fill.orderId === order.id).length > 1) parts++
  }
  assert.ok(parts >= 3 && parts <= 25, `${parts} of 100`)
})

Deno.test("own prints move stops but fill nothing", () => {
  const floor = new Floor()
  const bid = floor.placed(limitBuy("99.95"))
  floor.market.ladder("MSFT", [["49", "1"]], [["50", "1"]])
  assert.equal(floor.market.prints.length, 0)
  floor.placed(limitBuy("100"))
  assert.equal(floor.market.prints.length, 1)
  assert.equal(floor.order(bid).filled, 0n)
})

Deno.test("an exit may be replaced, and goes on belonging to its entry", () => {
  const floor = new Floor()
  const entry = floor.placed(bracket({ stop_loss: { stop_price: "95" } }))
  const [profit, loss] = entry.legIds.map((id) => floor.order({ id }))
  assert.ok(profit && loss)
  const [higher, tighter] = [
    floor.replace(profit, { limit_price: "105" }),
    floor.replace(loss, { stop_price: "97" }),
  ]
  assert.ok(!isRefusal(higher) && !isRefusal(tighter))
  floor.settle()
  assert.deepEqual(floor.order(entry).legIds, [higher.id, tighter.id])
  assert.deepEqual([floor.order(higher).status, floor.order(tighter).status], ["new", "held"])
  assert.equal(floor.order(higher).heldQuantity, atoms("10"))
  floor.market.trade("AAPL", "97", "1", "seller")
  assert.equal(floor.order(higher).status, "canceled")
  assert.equal(floor.order(tighter).status, "filled")
  const refused = floor.replace(tighter, { stop_price: "96" })
  assert.ok(isRefusal(refused))
  assert.equal(refused.message, "unable to replace order, order is not open")
})

Deno.test("shares of an entry that is not done yet are its exits' already", () => {
  const floor = new Floor()
  const entry = floor.placed({
    side: "buy",
    qty: "201",
    order_class: "bracket",
    take_profit: { limit_price: "120" },
    stop_loss: { stop_price: "80" },
  })
  assert.equal(entry.status, "partially_filled")
  assert.match(floor.refused({ side: "sell", qty: "1" }).message, /wash trade|available: 0/)
  floor.cancel(entry)
  floor.settle()
  assert.equal(floor.order(entry).status, "canceled")
  assert.equal(floor.placed({ side: "sell", qty: "100" }).status, "filled")
})

Deno.test("the last price of a day is what the next one is compared with", () => {
  const floor = new Floor()
  floor.placed({ side: "buy", qty: "10" })
  floor.market.trade("AAPL", "104", "1", "buyer")
  floor.market.enter("post", CLOSE, CLOSE + 4 * 3_600_000)
  const { account } = floor.exchange
  assert.equal(formatTrimmed(account.record.lastEquity), "100040")
  assert.equal(formatTrimmed(account.record.closes.AAPL ?? 0n), "104")
  floor.market.trade("AAPL", "103", "1", "buyer")
  const { position, lastPrice, marketValue } = account.value(account.position("AAPL"))
  assert.equal(formatTrimmed(lastPrice), "104")
  assert.equal(formatTrimmed(marketValue - position.dayCost / atoms("1")), "-10")
})

Deno.test("good till canceled is until the ninetieth day", () => {
  const floor = new Floor()
  const order = floor.placed({
    side: "buy",
    type: "limit",
    limit_price: "90",
    qty: "1",
    time_in_force: "gtc",
  })
  assert.equal(new Date(order.expiresAt ?? 0).toISOString(), "2027-02-20T21:00:00.000Z")
  floor.market.time = (order.expiresAt ?? 0) + 2_000
  floor.tick()
  assert.equal(floor.order(order).status, "expired")
})

Deno.test("crypto is not bought with money that the price ran away with", () => {
  const floor = new Floor(0, { cash: atoms("5000") })
  const order = floor.place({
    symbol: "BTC/USD",
    side: "buy",
    qty: "0.1",
    time_in_force: "gtc",
  })
  assert.ok(!isRefusal(order))
  floor.market.ladder("BTC/USD", [["59990", "1"]], [["60000", "1"]])
  floor.settle()
  assert.equal(floor.order(order).status, "canceled")
  assert.equal(formatTrimmed(floor.order(order).filled), "0.08333333")
  assert.ok(floor.exchange.account.record.cash >= 0n)
})

Deno.test("money borrowed on shares does not buy crypto", () => {
  const floor = new Floor()
  floor.placed({ symbol: "MSFT", side: "buy", qty: "1000" })
  floor.market.ladder("MSFT", [["49.90", "1000"]], [["50.00", "1000"]])
  floor.placed({ symbol: "MSFT", side: "buy", qty: "1000" })
  const { buyingPower, nonMarginableBuyingPower } = floor.exchange.funds
  assert.equal(formatTrimmed(buyingPower), "100000")
  assert.equal(formatTrimmed(nonMarginableBuyingPower), "0")
})

Deno.test("an order whose session begins while it is replaced is not forgotten", () => {
  const floor = new Floor()
  const open = Date.parse("2026-11-24T14:30:00Z")
  floor.market.enter("closed", CLOSE + 4 * 3_600_000, open)
  const waiting = limitBuy("90", "1")
  const [old, other] = [floor.placed(waiting), floor.placed(waiting)]
  const next = floor.replace(old, { limit_price: "91" })
  const refused = floor.replace(other, { limit_price: "91" })
  assert.ok(!isRefusal(next) && !isRefusal(refused))
  floor.market.enter("core", open, open + 6.5 * 3_600_000)
  floor.settle()
  assert.deepEqual([floor.order(old).status, floor.order(next).status], ["replaced", "new"])
})

Deno.test("a trailing stop that is replaced keeps its best price", () => {
  const floor = new Floor()
  floor.placed({ side: "buy", qty: "10" })
  const old = floor.placed({ side: "sell", type: "trailing_stop", trail_price: "2", qty: "10" })
  const next = floor.replace(old, { trail: "1" })
  assert.ok(!isRefusal(next))
  floor.market.trade("AAPL", "103", "1", "buyer")
  floor.settle()
  const { highWaterMark, stopPrice, trailPrice, status } = floor.order(next)
  assert.deepEqual([highWaterMark, stopPrice, trailPrice].map(formatTrimmed), ["103", "102", "1"])
  assert.equal(status, "new")
})

Deno.test("what closes a short position by its worth holds its part of it", () => {
  const floor = new Floor()
  const short = floor.placed({ side: "sell", qty: "10" })
  assert.equal(short.status, "filled")
  const rest = floor.placed(limitBuy("40", "1"))
  const worth = floor.place({ side: "buy", notional: "50" })
  assert.ok(!isRefusal(worth))
  assert.deepEqual([worth.positionIntent, formatTrimmed(worth.heldQuantity)], [
    "buy_to_close",
    "0.5",
  ])
  const more = floor.replace(rest, { qty: "10" })
  assert.ok(isRefusal(more))
  assert.match(more.message, /requested: 9, available: 8.5/)
  floor.settle()
  assert.equal(floor.order(worth).status, "filled")
  assert.equal(floor.position("AAPL"), "-9.5")
  assert.match(floor.refused({ side: "buy", notional: "1000" }).message, /available: 8.5/)
})

Deno.test("of what is over the newest is remembered, of what is open all of its family", () => {
  const floor = new Floor(0, {}, { doneOrdersMax: 3, fillsMax: 4 })
  const entry = floor.placed(bracket({ client_order_id: "entry" }))
  const buy = (name: string) => {
    floor.market.ladder("AAPL", [["99.90", "100"]], [["100.00", "100"]])
    return floor.placed({ side: "buy", qty: "1", client_order_id: name })
  }
  const ids = () =>
    floor.exchange.orders.filter(({ parentId }) => parentId === "")
      .map(({ clientOrderId }) => clientOrderId)
  for (let i = 0; i < 6; i++) buy(`order ${i}`)
  assert.deepEqual(ids(), ["entry", "order 4", "order 5"])
  assert.equal(floor.exchange.orders.length, 5)
  assert.equal(floor.exchange.fills.length, 4)
  assert.equal(buy("order 0").status, "filled")
  const [profit, loss] = entry.legIds.map((id) => ({ id }))
  assert.ok(profit && loss)
  floor.market.trade("AAPL", "111", "100", "buyer")
  assert.deepEqual([floor.order(profit).status, floor.order(loss).status], ["filled", "canceled"])
  for (const name of ["a", "b", "c"]) buy(name)
  assert.deepEqual(ids(), ["a", "b", "c"])
  assert.equal(floor.exchange.orderByClientId("order 5"), undefined)
  const { orders, fills } = Effect.runSync(floor.ledger.load)
  assert.deepEqual(orders, floor.exchange.orders)
  assert.deepEqual(fills, floor.exchange.fills)
})
