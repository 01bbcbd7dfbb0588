import assert from "node:assert/strict"
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { openAlpacaLedger } from "../../../../storage/alpaca_ledger_kv.ts"
import { LedgerError } from "../../../../venues/simulator/ledger.ts"
import {
  type AlpacaLedger,
  makeMemoryAlpacaLedger,
} from "../../../../venues/simulator/alpaca/ledger.ts"
import {
  type AlpacaTrading,
  startTrading,
  type TradeUpdate,
  type TradingOptions,
} from "../../../../venues/simulator/alpaca/trading.ts"
import { MONDAY, TestMarket } from "./trading_market.ts"

// deno-lint-ignore no-explicit-any -- bodies are the venue's, and asserted field by field
type Body = any

/** The trading side on virtual time, asked like over HTTP. */
class Venue {
  readonly updates = new Array<TradeUpdate["data"]>()

  constructor(readonly trading: AlpacaTrading, readonly market: TestMarket) {
    trading.onUpdate(({ data }) => this.updates.push(data))
  }

  ask(method: string, target: string, body?: object) {
    const [path = "", query = ""] = target.split("?")
    return this.trading.handle({
      method,
      path,
      query: new URLSearchParams(query),
      body: body === undefined ? "" : JSON.stringify(body),
    }).pipe(Effect.map((answer) => {
      assert.ok(answer !== undefined, `${method} ${target} is not a path of trading`)
      const parsed: Body = answer.body === "" ? undefined : JSON.parse(answer.body)
      return { status: answer.status, body: parsed }
    }))
  }

  /** Its body, which must be a success. */
  get(method: string, target: string, body?: object) {
    return this.ask(method, target, body).pipe(Effect.map((answer) => {
      assert.ok(answer.status < 300, JSON.stringify(answer.body))
      return answer.body
    }))
  }

  events() {
    return this.updates.map((update) => update.event)
  }
}

const start = (options: Partial<TradingOptions> & { market?: TestMarket } = {}) =>
  Effect.gen(function* () {
    const market = options.market ?? new TestMarket()
    const trading = yield* startTrading({
      ledger: makeMemoryAlpacaLedger(),
      cash: "100000",
      seed: 7,
      partialFillProbability: 0,
      ...options,
      market,
    })
    return new Venue(trading, market)
  })

/** Lets the venue's time pass; the market's clock with it. */
const pass = (venue: Venue, ms: number) =>
  Effect.gen(function* () {
    for (let passed = 0; passed < ms; passed += 5) {
      venue.market.time += 5
      yield* TestClock.adjust(5)
      yield* settled
    }
  })
const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

function tradingTest<E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) {
  Deno.test(
    name,
    () => body().pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise),
  )
}

const buy = (fields: object = {}) => ({
  symbol: "AAPL",
  side: "buy",
  type: "market",
  time_in_force: "day",
  qty: "10",
  ...fields,
})
const limit = (price: string, fields: object = {}) =>
  buy({ type: "limit", limit_price: price, ...fields })

tradingTest(
  "an order is answered before it is on the market, and told as it goes",
  () =>
    Effect.gen(function* () {
      const venue = yield* start()
      const order = yield* venue.get("POST", "/v2/orders", buy({ client_order_id: "first" }))
      assert.equal(order.status, "pending_new")
      assert.equal(order.client_order_id, "first")
      assert.equal(order.qty, "10")
      assert.equal(order.filled_avg_price, null)
      yield* settled
      assert.deepEqual(venue.events(), ["pending_new"])
      yield* pass(venue, 20)
      assert.deepEqual(venue.events(), ["pending_new", "new", "fill"])
      const [pending, fresh, fill] = venue.updates as ReadonlyArray<Body>
      assert.deepEqual(Object.keys(pending), ["at", "event_id", "event", "timestamp", "order"])
      assert.deepEqual(Object.keys(fresh), [
        "at",
        "event_id",
        "event",
        "timestamp",
        "order",
        "execution_id",
      ])
      assert.deepEqual(Object.keys(fill), [
        "at",
        "event_id",
        "event",
        "timestamp",
        "order",
        "price",
        "qty",
        "position_qty",
        "execution_id",
        "swap_rate",
        "settle_date",
      ])
      assert.deepEqual([fill.price, fill.qty, fill.position_qty], ["100", "10", "10"])
      assert.deepEqual([fill.swap_rate, fill.settle_date], ["1", "2026-11-24"])
      assert.equal(fill.order.filled_avg_price, "100")
      assert.equal(fill.order.status, "filled")
      assert.equal(fill.order.expires_at, "2026-11-23T21:00:00Z")
      const ids = venue.updates.map((update) => String(update.event_id))
      assert.deepEqual(ids, ids.toSorted())
      assert.ok(ids.every((id) => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id)))
      assert.notEqual(fresh.execution_id, fill.execution_id)
      assert.equal(venue.market.prints.length, 1)
    }),
)

tradingTest("an order is found by its ids, with and without dashes", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    const { id } = yield* venue.get("POST", "/v2/orders", limit("99", { client_order_id: "a/b" }))
    yield* pass(venue, 20)
    for (
      const target of [
        `/v2/orders/${id}`,
        `/v2/orders/${id.replaceAll("-", "")}`,
        "/v2/orders:by_client_order_id?client_order_id=a%2Fb",
      ]
    ) {
      const found = yield* venue.get("GET", target)
      assert.deepEqual([found.id, found.status, found.limit_price], [id, "new", "99"])
    }
    for (
      const target of [
        "/v2/orders/00000000-0000-4000-8000-000000000000",
        "/v2/orders:by_client_order_id?client_order_id=nobody",
      ]
    ) {
      const none = yield* venue.ask("GET", target)
      assert.deepEqual([none.status, none.body.code], [404, 40410000])
    }
  }))

tradingTest(
  "orders are listed by status, time, symbol, side and page",
  () =>
    Effect.gen(function* () {
      const venue = yield* start()
      const made = new Array<Body>()
      for (const [i, fields] of [{}, { symbol: "MSFT", limit_price: "40" }, {}].entries()) {
        made.push(yield* venue.get("POST", "/v2/orders", limit(`9${i}`, fields)))
        yield* pass(venue, 20)
      }
      yield* venue.get("POST", "/v2/orders", buy())
      yield* pass(venue, 20)
      const list = (query: string) =>
        venue.get("GET", `/v2/orders?${query}`).pipe(
          Effect.map((orders: ReadonlyArray<Body>) => orders.map((order) => order.id)),
        )
      const [a, b, c] = made.map((order) => order.id)
      assert.deepEqual(yield* list(""), [c, b, a])
      assert.deepEqual(yield* list("direction=asc&limit=2"), [a, b])
      assert.deepEqual(yield* list("symbols=MSFT,BTCUSD"), [b])
      assert.equal((yield* list("status=closed")).length, 1)
      assert.equal((yield* list("status=all")).length, 4)
      assert.deepEqual(yield* list("side=sell"), [])
      assert.deepEqual(yield* list(`after=${made[0].submitted_at}&direction=asc`), [b, c])
      assert.deepEqual(yield* list(`until=${made[1].submitted_at}`), [a])
      assert.deepEqual(yield* list(`after_order_id=${a}&before_order_id=${c}`), [b])
      const bad = yield* venue.ask("GET", "/v2/orders?after=yesterday")
      assert.equal(bad.status, 422)
    }),
)

tradingTest("a bracket is shown nested or flat", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    const order = yield* venue.get(
      "POST",
      "/v2/orders",
      limit("99", {
        order_class: "bracket",
        take_profit: { limit_price: "110" },
        stop_loss: { stop_price: "90", limit_price: "89" },
      }),
    )
    assert.deepEqual(order.legs.map((leg: Body) => [leg.type, leg.status, leg.side]), [
      ["limit", "held", "sell"],
      ["stop_limit", "held", "sell"],
    ])
    const flat = yield* venue.get("GET", "/v2/orders")
    assert.deepEqual(flat.map((one: Body) => one.legs), [null, null, null])
    const nested = yield* venue.get("GET", "/v2/orders?nested=true")
    assert.equal(nested.length, 1)
    assert.equal(nested[0].legs.length, 2)
  }))

tradingTest("a cancel is taken at once and done later", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    const { id } = yield* venue.get("POST", "/v2/orders", limit("99"))
    yield* pass(venue, 20)
    const taken = yield* venue.ask("DELETE", `/v2/orders/${id}`)
    assert.deepEqual([taken.status, taken.body], [204, undefined])
    const pending = yield* venue.get("GET", `/v2/orders/${id}`)
    assert.equal(pending.status, "pending_cancel")
    assert.notEqual(pending.cancel_requested_at, null)
    yield* pass(venue, 20)
    assert.deepEqual(venue.events(), ["pending_new", "new", "pending_cancel", "canceled"])
    const again = yield* venue.ask("DELETE", `/v2/orders/${id}`)
    assert.deepEqual([again.status, again.body], [422, {
      code: 42210000,
      message: 'order is already in "canceled" state',
    }])
  }))

tradingTest("all orders are canceled together", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    yield* venue.get("POST", "/v2/orders", limit("99"))
    yield* venue.get("POST", "/v2/orders", limit("98"))
    yield* pass(venue, 20)
    const { status, body } = yield* venue.ask("DELETE", "/v2/orders")
    assert.equal(status, 207)
    assert.deepEqual(body.map((one: Body) => one.status), [200, 200])
    yield* pass(venue, 20)
    assert.deepEqual(yield* venue.get("GET", "/v2/orders"), [])
  }))

tradingTest("a replacement is another order", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    const old = yield* venue.get("POST", "/v2/orders", limit("99"))
    const early = yield* venue.ask("PATCH", `/v2/orders/${old.id}`, { limit_price: "98" })
    assert.equal(early.body.message, "unable to replace order, order isn't sent to exchange yet")
    yield* pass(venue, 20)
    const next = yield* venue.get("PATCH", `/v2/orders/${old.id}`, { limit_price: "98" })
    assert.notEqual(next.id, old.id)
    assert.notEqual(next.client_order_id, old.client_order_id)
    assert.equal(next.replaces, old.id)
    yield* pass(venue, 20)
    const done = yield* venue.get("GET", `/v2/orders/${old.id}`)
    assert.deepEqual([done.status, done.replaced_by], ["replaced", next.id])
    assert.equal((yield* venue.get("GET", `/v2/orders/${next.id}`)).status, "new")
    assert.deepEqual(venue.events().slice(2), ["pending_replace", "pending_new", "replaced", "new"])
  }))

tradingTest("positions are shown and closed, whole and in part", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    const none = yield* venue.ask("GET", "/v2/positions/AAPL")
    assert.deepEqual([none.status, none.body], [404, {
      code: 40410000,
      message: "position does not exist",
    }])
    yield* venue.get("POST", "/v2/orders", buy())
    yield* venue.get(
      "POST",
      "/v2/orders",
      buy({ symbol: "BTCUSD", qty: "0.2", time_in_force: "gtc" }),
    )
    yield* pass(venue, 20)
    venue.market.trade("AAPL", "110", "1", "buyer")
    const [share, coin] = yield* venue.get("GET", "/v2/positions")
    assert.deepEqual(
      [share.symbol, share.qty, share.avg_entry_price, share.market_value, share.unrealized_pl],
      ["AAPL", "10", "100", "1100", "100"],
    )
    assert.equal(share.unrealized_plpc, "0.1")
    assert.deepEqual([coin.symbol, coin.qty, coin.qty_available], ["BTCUSD", "0.1995", "0.1995"])
    for (const name of ["BTCUSD", "BTC%2FUSD", coin.asset_id]) {
      assert.equal((yield* venue.get("GET", `/v2/positions/${name}`)).qty, "0.1995")
    }
    const half = yield* venue.get("DELETE", "/v2/positions/AAPL?percentage=50")
    assert.deepEqual([half.qty, half.side, half.type, half.time_in_force], [
      "5",
      "sell",
      "market",
      "day",
    ])
    yield* pass(venue, 20)
    assert.equal((yield* venue.get("GET", "/v2/positions/AAPL")).qty, "5")
    yield* venue.get("POST", "/v2/orders", limit("150", { side: "sell", qty: "5" }))
    const held = yield* venue.ask("DELETE", "/v2/positions")
    assert.equal(held.status, 207)
    assert.deepEqual(held.body.map((one: Body) => [one.symbol, one.status]), [
      ["AAPL", 403],
      ["BTCUSD", 200],
    ])
    assert.equal(held.body[1].body.time_in_force, "gtc")
    const closed = yield* venue.ask("DELETE", "/v2/positions?cancel_orders=true")
    assert.deepEqual(closed.body.map((one: Body) => [one.symbol, one.status]), [
      ["AAPL", 200],
      ["BTCUSD", 200],
    ])
    yield* pass(venue, 20)
    assert.deepEqual(yield* venue.get("GET", "/v2/positions"), [])
  }))

tradingTest("the account shows what it has and what it may spend", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    yield* venue.get("POST", "/v2/orders", buy())
    yield* venue.get("POST", "/v2/orders", limit("50", { qty: "100" }))
    yield* pass(venue, 20)
    const account = yield* venue.get("GET", "/v2/account")
    assert.deepEqual(
      [account.status, account.cash, account.equity, account.long_market_value],
      ["ACTIVE", "99000", "100000", "1000"],
    )
    assert.deepEqual([account.initial_margin, account.multiplier], ["500", "2"])
    // (100 000 equity - 500 margin - 5 000 / 2 held) * 2
    assert.equal(account.buying_power, "194000")
    assert.equal(account.regt_buying_power, "199000")
    assert.ok(!("pattern_day_trader" in account) && !("daytrade_count" in account))
    const before = yield* venue.get("GET", "/v2/account/configurations")
    assert.equal(before.no_shorting, false)
    const after = yield* venue.get("PATCH", "/v2/account/configurations", { no_shorting: true })
    assert.equal(after.no_shorting, true)
    const short = yield* venue.ask("POST", "/v2/orders", buy({ symbol: "MSFT", side: "sell" }))
    assert.equal(short.body.message, "account is not allowed to short")
  }))

tradingTest("activities are paged, and fees are among them", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    yield* venue.get("POST", "/v2/orders", buy({ qty: "150" }))
    yield* venue.get(
      "POST",
      "/v2/orders",
      buy({ symbol: "BTC/USD", qty: "0.1", time_in_force: "gtc" }),
    )
    yield* pass(venue, 20)
    const all = yield* venue.get("GET", "/v2/account/activities?direction=asc")
    assert.deepEqual(all.map((one: Body) => one.activity_type), ["FILL", "FILL", "FILL", "CFEE"])
    assert.deepEqual([all[0].type, all[0].leaves_qty, all[0].cum_qty], [
      "partial_fill",
      "50",
      "100",
    ])
    assert.deepEqual([all[1].type, all[1].qty, all[1].order_status], ["fill", "50", "filled"])
    assert.deepEqual([all[3].symbol, all[3].qty], ["BTCUSD", "-0.00025"])
    assert.ok(all.every((one: Body) => /^20261123100000\d{3}::[0-9a-f-]{36}$/.test(one.id)))
    assert.equal(new Set(all.map((one: Body) => one.id)).size, 4)
    const page = yield* venue.get("GET", "/v2/account/activities/FILL?page_size=2")
    assert.equal(page.length, 2)
    const rest = yield* venue.get(
      "GET",
      `/v2/account/activities/FILL?page_size=2&page_token=${page[1].id}`,
    )
    assert.deepEqual(rest.map((one: Body) => one.id), [all[0].id])
    for (const direction of ["asc", "desc"]) {
      const found = new Array<Body>()
      const path = `/v2/account/activities?page_size=1&direction=${direction}`
      for (let i = 0; i < all.length; i++) {
        const after = i === 0 ? "" : `&page_token=${found[i - 1].id}`
        found.push(...(yield* venue.get("GET", path + after)))
      }
      assert.deepEqual(found, direction === "asc" ? all : all.toReversed())
      const end = yield* venue.get("GET", `${path}&page_token=${found[3].id}`)
      assert.deepEqual(end, [])
    }
    const later = yield* venue.get("GET", "/v2/account/activities?after=2026-11-24T00:00:00Z")
    assert.deepEqual(later, [])
    const none = yield* venue.ask("GET", "/v2/account/activities?page_token=20261123::x")
    assert.deepEqual([none.status, none.body.message], [422, "invalid page_token"])
  }))

tradingTest("assets, clock and calendar", () =>
  Effect.gen(function* () {
    const venue = yield* start()
    const crypto = yield* venue.get("GET", "/v2/assets?asset_class=crypto&status=active")
    assert.deepEqual(crypto.map((one: Body) => [one.symbol, one.min_order_size]), [
      ["BTC/USD", "0.0001"],
    ])
    for (const name of ["BTC/USD", "BTC%2FUSD", "BTCUSD", crypto[0].id]) {
      assert.equal((yield* venue.get("GET", `/v2/assets/${name}`)).symbol, "BTC/USD")
    }
    assert.equal((yield* venue.ask("GET", "/v2/assets/NOPE")).status, 404)
    assert.deepEqual(yield* venue.get("GET", "/v2/clock"), {
      timestamp: "2026-11-23T10:00:00.000000000-05:00",
      is_open: true,
      next_open: "2026-11-24T09:30:00-05:00",
      next_close: "2026-11-23T16:00:00-05:00",
    })
    const { clocks } = yield* venue.get("GET", "/v3/clock?markets=NYSE")
    assert.deepEqual([clocks[0].phase, clocks[0].phase_until, clocks[0].is_market_day], [
      "core",
      "2026-11-23T16:00:00-05:00",
      true,
    ])
    const week = yield* venue.get("GET", "/v2/calendar?start=2026-11-25&end=2026-11-30")
    assert.deepEqual(week, [
      {
        date: "2026-11-25",
        open: "09:30",
        close: "16:00",
        session_open: "0400",
        session_close: "2000",
        settlement_date: "2026-11-27",
      },
      {
        date: "2026-11-27",
        open: "09:30",
        close: "13:00",
        session_open: "0400",
        session_close: "1700",
        settlement_date: "2026-11-30",
      },
      {
        date: "2026-11-30",
        open: "09:30",
        close: "16:00",
        session_open: "0400",
        session_close: "2000",
        settlement_date: "2026-12-01",
      },
    ])
  }))

tradingTest("what is not trading is left to others", () =>
  Effect.gen(function* () {
    const { trading } = yield* start()
    for (
      const path of [
        "/v2/stocks/bars",
        "/v1beta1/news",
        "/",
        "/v2/account/portfolio/history",
        "/v1/%",
      ]
    ) {
      const query = new URLSearchParams()
      assert.equal(yield* trading.handle({ method: "GET", path, query, body: "" }), undefined)
    }
    const query = new URLSearchParams()
    const broken = yield* trading.handle({ method: "POST", path: "/v2/orders", query, body: "{" })
    assert.equal(broken?.status, 400)
  }))

tradingTest(
  "steering: rejected later, stuck, filled, corrected, busted",
  () =>
    Effect.gen(function* () {
      const venue = yield* start()
      const { control } = venue.trading
      control.rejectLater()
      const rejected = yield* venue.get("POST", "/v2/orders", buy())
      assert.equal(rejected.status, "pending_new")
      yield* pass(venue, 20)
      assert.deepEqual(venue.events(), ["pending_new", "rejected"])

      control.stickPendingCancel(true)
      const stuck = yield* venue.get("POST", "/v2/orders", limit("99"))
      yield* pass(venue, 20)
      yield* venue.ask("DELETE", `/v2/orders/${stuck.id}`)
      yield* pass(venue, 1_000)
      assert.equal((yield* venue.get("GET", `/v2/orders/${stuck.id}`)).status, "pending_cancel")
      control.stickPendingCancel(false)
      yield* pass(venue, 20)
      assert.equal((yield* venue.get("GET", `/v2/orders/${stuck.id}`)).status, "canceled")

      yield* venue.get("POST", "/v2/orders", limit("98", { client_order_id: "rest" }))
      yield* pass(venue, 20)
      assert.equal(control.fillResting("rest"), true)
      assert.equal(control.fillResting("nobody"), false)
      yield* settled
      const fill = venue.updates.at(-1) as Body
      assert.deepEqual([fill.event, fill.price, fill.position_qty], ["fill", "98", "10"])

      assert.equal(control.correctFill(fill.execution_id, "97"), true)
      yield* settled
      const [correction, original] = yield* venue.get("GET", "/v2/account/activities/FILL")
      assert.deepEqual([correction.price, correction.previous_id], ["97", original.id])
      assert.equal((yield* venue.get("GET", "/v2/account")).cash, "99030")
      assert.equal((yield* venue.get("GET", "/v2/positions/AAPL")).avg_entry_price, "97")

      const latest = String(correction.id).split("::")[1] ?? ""
      assert.equal(control.bust(latest), true)
      assert.equal(control.bust(latest), false)
      yield* settled
      assert.equal((yield* venue.get("GET", "/v2/account")).cash, "100000")
      assert.deepEqual(yield* venue.get("GET", "/v2/positions"), [])
    }),
)

tradingTest(
  "a venue started again on its ledger goes on where it was",
  () =>
    Effect.gen(function* () {
      const folder = yield* Effect.promise(() => Deno.makeTempDir())
      yield* Effect.addFinalizer(() =>
        Effect.promise(() => Deno.remove(folder, { recursive: true }))
      )
      const path = `${folder}/deep/alpaca.kv`
      const written = (venue: Venue) =>
        Effect.promise(async () => {
          do await new Promise((done) => setTimeout(done, 5))
          while (!venue.trading.isIdle())
        })
      const seen = new Array<string>()
      const before = yield* Effect.scoped(Effect.gen(function* () {
        const venue = yield* start({ ledger: yield* openAlpacaLedger(path) })
        yield* venue.get("POST", "/v2/orders", buy({ client_order_id: "filled" }))
        yield* venue.get("POST", "/v2/orders", limit("99", { client_order_id: "open" }))
        yield* written(venue)
        yield* pass(venue, 20)
        yield* written(venue)
        const open = yield* venue.get("GET", "/v2/orders:by_client_order_id?client_order_id=open")
        yield* venue.ask("DELETE", `/v2/orders/${open.id}`)
        // On its way to the market when everything ends.
        yield* venue.get("POST", "/v2/orders", limit("98", { client_order_id: "under way" }))
        yield* written(venue)
        seen.push(...venue.updates.map((update) => String(update.event_id)))
        assert.equal(venue.trading.isIdle(), true)
        return venue.trading.books()
      }))
      yield* Effect.scoped(Effect.gen(function* () {
        const market = new TestMarket()
        market.trade("AAPL", "100", "1", "buyer")
        const venue = yield* start({ ledger: yield* openAlpacaLedger(path), market })
        assert.deepEqual(venue.trading.books(), before)
        const again = yield* venue.ask("POST", "/v2/orders", buy({ client_order_id: "filled" }))
        assert.equal(again.body.message, "client_order_id must be unique")
        yield* pass(venue, 20)
        yield* written(venue)
        const status = (name: string) =>
          venue.get("GET", `/v2/orders:by_client_order_id?client_order_id=${name}`)
            .pipe(Effect.map((order: Body) => order.status))
        assert.equal(yield* status("open"), "canceled")
        assert.equal(yield* status("under%20way"), "new")
        assert.ok(venue.updates.length > 0)
        for (const { event_id: id } of venue.updates) {
          assert.ok(String(id) > (seen.at(-1) ?? ""), `${id} after ${seen.at(-1)}`)
        }
        yield* venue.get("POST", "/v2/orders", buy())
        yield* written(venue)
      }))
    }),
)

tradingTest("what cannot be written has not happened", () =>
  Effect.gen(function* () {
    const memory = makeMemoryAlpacaLedger()
    let isBroken = false
    const ledger: AlpacaLedger = {
      load: memory.load,
      commit: (batch) =>
        isBroken ? Effect.fail(new LedgerError({ text: "disk full" })) : memory.commit(batch),
    }
    const venue = yield* start({ ledger })
    isBroken = true
    const answer = yield* venue.ask("POST", "/v2/orders", buy())
    assert.equal(answer.status, 500)
    yield* pass(venue, 100)
    assert.deepEqual(venue.updates, [])
    assert.deepEqual((yield* memory.load).orders, [])
    assert.equal(MONDAY < venue.market.time, true)
  }))
