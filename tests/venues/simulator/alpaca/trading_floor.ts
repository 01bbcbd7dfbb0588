/**
 * An exchange without a clock: what it would do later it does when the test says so.
 */
import { Effect } from "effect"
import { usTradingDays } from "../../../../domain/calendar.ts"
import { formatTrimmed } from "../../../../venues/simulator/decimals.ts"
import { newAccount } from "../../../../venues/simulator/alpaca/account.ts"
import { AlpacaExchange, type Outcome } from "../../../../venues/simulator/alpaca/exchange.ts"
import type { Change, Task } from "../../../../venues/simulator/alpaca/order_books.ts"
import {
  type AccountRecord,
  type AlpacaLedgerContents,
  makeMemoryAlpacaLedger,
  type OrderRecord,
} from "../../../../venues/simulator/alpaca/ledger.ts"
import { MEMORY, type Memory } from "../../../../venues/simulator/memory.ts"
import { readOrder, readReplace } from "../../../../venues/simulator/alpaca/order_request.ts"
import { isRefusal, type Refusal } from "../../../../venues/simulator/alpaca/refusal.ts"
import { atoms } from "../simulator.ts"
import { MONDAY, TestMarket } from "./trading_market.ts"

export const ACCOUNT: AccountRecord = newAccount({
  id: "e6fe16f3-64a4-4921-8928-cadf02f92f98",
  accountNumber: "PA0000000001",
  createdAt: MONDAY,
  cash: atoms("100000"),
})

const EMPTY: AlpacaLedgerContents = { orders: [], fills: [], positions: [], account: undefined }

/** An exchange whose later work is done when the test says so. */
export class Floor {
  readonly market = new TestMarket()
  readonly exchange: AlpacaExchange
  readonly ledger = makeMemoryAlpacaLedger()
  readonly events = new Array<string>()
  #tasks = new Array<Task>()
  #prints = new Array<Change["prints"][number]>()
  #isPrinting = false

  constructor(
    partialFillProbability = 0,
    account: Partial<AccountRecord> = {},
    memory: Memory = MEMORY,
  ) {
    this.exchange = new AlpacaExchange(this.market, EMPTY, { ...ACCOUNT, ...account }, {
      seed: 1,
      partialFillProbability,
      days: usTradingDays,
      memory,
    })
    this.market.onMove((move) => {
      const change = this.exchange.move(move, this.market.time, this.#isPrinting)
      if (change !== undefined) this.#take(change)
    })
  }

  get now() {
    return this.market.time
  }

  place(fields: Record<string, unknown>): OrderRecord | Refusal {
    const request = readOrder({ time_in_force: "day", type: "market", symbol: "AAPL", ...fields }, {
      listings: this.market.listings,
      phase: (symbol) => this.market.session(symbol).phase,
      days: usTradingDays,
      now: this.now,
    })
    if (isRefusal(request)) return request
    return this.#taken(this.exchange.place(request, this.now))
  }

  /** Accepted, and on the market. */
  placed(fields: Record<string, unknown>): OrderRecord {
    const order = this.place(fields)
    if (isRefusal(order)) throw new Error(order.message)
    this.settle()
    return this.order(order)
  }

  refused(fields: Record<string, unknown>): Refusal {
    const outcome = this.place(fields)
    if (!isRefusal(outcome)) throw new Error("accepted")
    return outcome
  }

  replace(order: OrderRecord, fields: Record<string, unknown>) {
    const request = readReplace(fields)
    if (isRefusal(request)) return request
    return this.#taken(this.exchange.replace(order.id, request, this.now))
  }

  cancel(order: OrderRecord) {
    return this.#taken(this.exchange.cancel(order.id, this.now))
  }

  /** Does what was to be done later, and prints what was filled. */
  settle() {
    for (let rounds = 0; rounds < 1_000; rounds++) {
      const prints = this.#prints
      this.#prints = []
      this.#isPrinting = true
      for (const print of prints) this.market.print(...print)
      this.#isPrinting = false
      const tasks = this.#tasks
      this.#tasks = []
      if (tasks.length + prints.length === 0) return
      for (const task of tasks) this.#take(this.exchange.perform(task, this.now))
    }
    throw new Error("never settles")
  }

  tick() {
    const change = this.exchange.tick(this.now)
    if (change !== undefined) this.#take(change)
  }

  order(order: Pick<OrderRecord, "id">): OrderRecord {
    const found = this.exchange.order(order.id)
    if (found === undefined) throw new Error(`no order ${order.id}`)
    return found
  }

  position(symbol: string): string {
    return formatTrimmed(this.exchange.account.position(symbol).quantity)
  }

  get cash(): string {
    return formatTrimmed(this.exchange.account.record.cash)
  }

  #taken(outcome: Outcome): OrderRecord | Refusal {
    if (isRefusal(outcome)) return outcome
    this.#take(outcome.change)
    return outcome.order
  }

  #take(change: Change) {
    for (const { event, order } of change.events) this.events.push(`${order.type} ${event}`)
    this.#tasks.push(...change.tasks)
    this.#prints.push(...change.prints)
    Effect.runSync(this.ledger.commit(change))
  }
}
