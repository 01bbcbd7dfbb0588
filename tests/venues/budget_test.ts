/** What a budget lets through, whatever comes in whatever order. */
import assert from "node:assert/strict"
import fc from "fast-check"
import {
  admit,
  banned,
  type Budget,
  ceiling,
  compareWaiting,
  corrected,
  limited,
  makeBudget,
  obstacle,
  type Priority,
  type Request,
  settle,
  take,
  used,
} from "../../venues/budget.ts"

const priorities: ReadonlyArray<Priority> = ["cancel", "order", "reconcile", "data"]
const reserve = { cancels: 0.1, trading: 0.2 }
const weight = { name: "weight", limit: 100, windowMs: 60_000, reserve }
const orders10s = { name: "orders_10s", counts: "orders", limit: 10, windowMs: 10_000, reserve }
const ordersDay = { name: "orders_1d", counts: "orders", limit: 50, windowMs: 86_400_000 }

const asking = (priority: Priority, cost: Request["cost"]): Request => ({ priority, cost })
const spendAt = (budget: Budget, now: number, request: Request) =>
  settle(take(budget, request), now, request)

Deno.test("obstacle() names nothing while everything fits, and the bucket that is full longest", () => {
  const order = asking("order", { weight: 1, orders: 1 })
  let budget = makeBudget([weight, orders10s, ordersDay])
  for (let sent = 0; sent < 9; sent++) {
    assert.equal(obstacle(budget, 1_000, order), undefined)
    budget = spendAt(budget, 1_000, order)
  }
  assert.deepEqual(obstacle(budget, 1_000, order), {
    ...{ bucket: "orders_10s", until: 11_000, status: 429, isBan: false },
  })
  assert.equal(obstacle(budget, 1_000, asking("cancel", { weight: 1, orders: 1 })), undefined)
  assert.equal(obstacle(budget, 11_000, order), undefined)
})

Deno.test("obstacle() counts what is not answered yet, for a window after its answer", () => {
  const big = asking("order", { weight: 90 })
  const one = asking("order", { weight: 1 })
  const budget = take(makeBudget([weight]), big)
  assert.equal(obstacle(budget, 0, one)?.until, 60_000)
  assert.equal(obstacle(budget, 500_000, one)?.until, 560_000, "an answer may take its time")
  const answered = settle(budget, 500_000, big)
  assert.equal(obstacle(answered, 559_999, one)?.until, 560_000)
  assert.equal(obstacle(answered, 560_000, one), undefined)
})

Deno.test("obstacle() says never to a request that is more than its priority may take", () => {
  const budget = makeBudget([weight])
  assert.equal(obstacle(budget, 0, asking("data", { weight: 71 }))?.until, Infinity)
  assert.equal(obstacle(budget, 0, asking("order", { weight: 90 })), undefined)
  assert.equal(obstacle(budget, 0, asking("cancel", { weight: 100 })), undefined)
})

Deno.test("ceiling() keeps one part for cancels and another from data", () => {
  const bucket = makeBudget([weight]).get("weight")!
  assert.deepEqual(priorities.map((each) => ceiling(bucket, each)), [100, 90, 90, 70])
  const plain = makeBudget([ordersDay]).get("orders_1d")!
  assert.deepEqual(priorities.map((each) => ceiling(plain, each)), [50, 50, 50, 50])
})

Deno.test("banned() silences everything until its end, and never ends early", () => {
  let budget = banned(makeBudget([weight, orders10s]), 120_000, 418)
  const cancel = asking("cancel", { weight: 0 })
  assert.deepEqual(obstacle(budget, 0, cancel), {
    ...{ bucket: "weight", until: 120_000, status: 418, isBan: true },
  })
  budget = banned(budget, 30_000, 429)
  assert.equal(obstacle(budget, 119_999, cancel)?.status, 418)
  assert.equal(obstacle(budget, 120_000, cancel), undefined)
})

Deno.test("banned() of one bucket leaves the others alone", () => {
  const budget = banned(makeBudget([weight, orders10s, ordersDay]), 5_000, 429, ["orders_10s"])
  assert.equal(obstacle(budget, 0, asking("data", { weight: 1 })), undefined)
  assert.equal(obstacle(budget, 0, asking("order", { orders: 1 }))?.bucket, "orders_10s")
})

Deno.test("corrected() raises the count to the venue's, and never lowers it", () => {
  const one = asking("order", { weight: 10 })
  let budget = spendAt(makeBudget([weight]), 0, one)
  budget = corrected(budget, 1_000, "weight", 3)
  assert.equal(used(budget.get("weight")!, 1_000), 10)
  budget = corrected(budget, 1_000, "weight", 60, 20_000)
  assert.equal(used(budget.get("weight")!, 1_000), 60)
  assert.equal(used(budget.get("weight")!, 22_000), 10, "the venue's window has ended")
  assert.equal(corrected(budget, 0, "unheard", 5), budget)
})

Deno.test("settle() gives a bucket that was named meanwhile nothing back", () => {
  const order = asking("order", { orders: 2 })
  const named = { name: "orders_1m", limit: 3, windowMs: 60_000, counts: "orders" }
  const budget = settle(limited(take(makeBudget([weight]), order), named), 0, order)
  assert.equal(used(budget.get("orders_1m")!, 0), 2)
  assert.equal(used(budget.get("orders_1m")!, 60_000), 0)
  assert.equal(obstacle(budget, 60_000, asking("order", { orders: 4 }))?.until, Infinity)
})

Deno.test("limited() takes a limit from the venue, and a bucket it has not had", () => {
  let budget = limited(makeBudget([weight]), { name: "weight", limit: 1_200 })
  assert.equal(obstacle(budget, 0, asking("data", { weight: 800 })), undefined)
  budget = limited(budget, { name: "orders_1m", limit: 2, windowMs: 60_000, counts: "orders" })
  assert.equal(obstacle(budget, 0, asking("order", { orders: 3 }))?.until, Infinity)
  assert.equal(limited(budget, { name: "weight", limit: 0 }), budget, "a zero is no limit")
  assert.equal(limited(budget, { name: "orders_2m", limit: 1 }), budget, "no window, no bucket")
})

// ---- properties ----------------------------------------------------------------------------

const anyRequest = fc.record({
  priority: fc.constantFrom(...priorities),
  cost: fc.record({
    weight: fc.integer({ min: 0, max: 40 }),
    orders: fc.integer({ min: 0, max: 2 }),
  }),
  /** Since the one before. */
  afterMs: fc.integer({ min: 0, max: 9_000 }),
  /** From going out to being counted by the venue, and from there to the answer. */
  toVenueMs: fc.integer({ min: 0, max: 6_000 }),
  backMs: fc.integer({ min: 0, max: 6_000 }),
})

interface Counted {
  readonly at: number
  readonly cost: Request["cost"]
}

/** Lets requests through as they come, each turned away at once that does not fit. */
function traffic(
  requests: ReadonlyArray<typeof anyRequest extends fc.Arbitrary<infer A> ? A : never>,
) {
  let budget = makeBudget([weight, orders10s])
  const counted: Array<Counted> = []
  let open: Array<{ readonly answered: number; readonly request: Request }> = []
  const refused: Array<{ readonly at: number; readonly request: Request }> = []
  let now = 0
  for (const { priority, cost, afterMs, toVenueMs, backMs } of requests) {
    now += afterMs
    for (const { answered, request } of open.toSorted((a, b) => a.answered - b.answered)) {
      if (answered <= now) budget = settle(budget, answered, request)
    }
    open = open.filter(({ answered }) => answered > now)
    const request = { priority, cost }
    if (obstacle(budget, now, request) !== undefined) {
      refused.push({ at: now, request })
      continue
    }
    budget = take(budget, request)
    counted.push({ at: now + toVenueMs, cost })
    open.push({ answered: now + toVenueMs + backMs, request })
  }
  return { counted, refused }
}

function mostIn(counted: ReadonlyArray<Counted>, unit: string, windowMs: number): number {
  return Math.max(
    0,
    ...counted.map(({ at }) =>
      counted.reduce(
        (sum, each) =>
          each.at > at - windowMs && each.at <= at ? sum + (each.cost[unit] ?? 0) : sum,
        0,
      )
    ),
  )
}

Deno.test("no window of the venue, wherever it begins, ever sees more than the limit", () => {
  fc.assert(
    fc.property(fc.array(anyRequest, { minLength: 1, maxLength: 120 }), (requests) => {
      const { counted } = traffic(requests)
      assert.ok(mostIn(counted, "weight", weight.windowMs) <= weight.limit)
      assert.ok(mostIn(counted, "orders", orders10s.windowMs) <= orders10s.limit)
    }),
    { numRuns: 300 },
  )
})

Deno.test("cancels within their reserve go at once, whatever else is asked", () => {
  fc.assert(
    fc.property(
      fc.array(anyRequest, { minLength: 1, maxLength: 120 }),
      fc.nat(),
      (requests, at) => {
        // One cancel among a flood of everything else: the reserve holds ten of weight.
        const flood = requests.map((each) =>
          each.priority === "cancel" ? { ...each, priority: "order" as const } : each
        )
        const cancel = {
          ...{ priority: "cancel" as const, cost: { weight: 10, orders: 1 } },
          ...{ afterMs: 0, toVenueMs: 0, backMs: 0 },
        }
        const { refused } = traffic(flood.toSpliced(at % (flood.length + 1), 0, cancel))
        assert.deepEqual(refused.filter(({ request }) => request.priority === "cancel"), [])
      },
    ),
    { numRuns: 300 },
  )
})

Deno.test("nobody waiting is overtaken at its expense by one that comes after it", () => {
  const anyWaiting = fc.array(
    fc.record({
      priority: fc.constantFrom(...priorities),
      cost: fc.record({ weight: fc.integer({ min: 1, max: 60 }) }),
    }),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(anyWaiting, fc.integer({ min: 0, max: 100 }), (requests, spent) => {
      const before = settle(makeBudget([weight]), 0, asking("cancel", { weight: spent }))
      const budget = settle(take(before, asking("cancel", { weight: 0 })), 0, asking("data", {}))
      const waiting = requests.map((each, order) => ({ ...each, order }))
      const { admitted, wakeAt } = admit(budget, 0, waiting)
      const left = waiting.filter((each) => !admitted.includes(each))
      for (const each of left) {
        const after = admitted.filter((other) => compareWaiting(other, each) > 0)
        assert.deepEqual(after, [], "one bucket: what comes later waits, too")
      }
      assert.deepEqual(admitted.toSorted(compareWaiting), admitted)
      if (left.length > 0) assert.ok(wakeAt > 0)
    }),
  )
})

Deno.test("one that waits for orders does not hold up what needs no orders", () => {
  const full = spendAt(makeBudget([weight, orders10s]), 0, asking("cancel", { orders: 10 }))
  const waiting = [
    { ...asking("order", { weight: 1, orders: 1 }), order: 0 },
    { ...asking("data", { weight: 2 }), order: 1 },
  ]
  const { admitted, wakeAt } = admit(full, 0, waiting)
  assert.deepEqual(admitted.map(({ order }) => order), [1])
  assert.equal(wakeAt, 10_000)
})

Deno.test("what is remembered of a window does not grow with its requests", () => {
  let budget = makeBudget([ordersDay])
  for (let at = 0; at < 5_000; at++) {
    budget = spendAt(budget, at * 1_000, asking("cancel", { orders: 0.001 }))
  }
  assert.ok(budget.get("orders_1d")!.spent.length <= 62)
})
