/**
 * The trading side of the simulated Alpaca: requests in, answers and `trade_updates` out.
 *
 * Ties the exchange to its market, its ledger and the venue's clock. Whatever changes is committed
 * before anybody hears of it; what takes time at the venue (the way to the market, a cancel) takes
 * it here, on the ambient clock. Keys, limits, sockets and faults are the server's business.
 */
import { Effect, type Scope } from "effect"
import { forever } from "../../../actors/runtime/forever.ts"
import { usTradingDays } from "../../../domain/calendar.ts"
import { Chance } from "../chance.ts"
import { parseAtoms } from "../decimals.ts"
import { makeLater } from "../later.ts"
import { makeOutbox } from "../outbox.ts"
import { SimulatorError } from "../venue_server.ts"
import { newAccount } from "./account.ts"
import { AlpacaExchange } from "./exchange.ts"
import {
  type AccountRecord,
  type AlpacaLedger,
  type AlpacaLedgerBatch,
  mergeAlpacaBatches,
} from "./ledger.ts"
import type { AlpacaMarket } from "./market.ts"
import type { Change, Task } from "./order_books.ts"
import { accountBody, updateData } from "./trading_messages.ts"
import type { DaysOf } from "./trading_calendar.ts"
import { type ApiAnswer, type ApiRequest, TradingDesk } from "./trading_desk.ts"
import { makeUuid } from "./trading_ids.ts"

export type { ApiAnswer, ApiRequest }

export interface TradingOptions {
  readonly market: AlpacaMarket
  readonly ledger: AlpacaLedger
  /** What a new account begins with, dollars. */
  readonly cash: string
  /** Of the ids and of partial fills. */
  readonly seed: number
  /** How often only a part of an order fills at first; by default a tenth of the time. */
  readonly partialFillProbability?: number
  /** The calendar that the venue shows; by default the exchanges' own. */
  readonly days?: DaysOf
}

export interface TradeUpdate {
  readonly stream: "trade_updates"
  readonly data: Record<string, unknown>
}

export interface AlpacaTrading {
  /** `undefined`: not a path of trading. Durable before it answers. */
  readonly handle: (request: ApiRequest) => Effect.Effect<ApiAnswer | undefined>
  /** Updates in order, after they are durable. */
  readonly onUpdate: (
    listener: (
      message: TradeUpdate,
      facts: { readonly symbol: string; readonly event: string },
    ) => void,
  ) => void
  /** The venue's own view: account, positions, orders with their legs, activities. */
  readonly books: () => unknown
  /** Steering by tests; each is false when there is nothing it could do that to. */
  readonly control: {
    /** Fills what is left of an order at its own price. */
    readonly fillResting: (clientOrderId: string) => boolean
    /** The next order, or replacement, is accepted and rejected on its way. */
    readonly rejectLater: () => void
    /** While on, cancels are accepted and never finish. */
    readonly stickPendingCancel: (isOn: boolean) => void
    /** A fill had another price: an activity says so, naming the one it corrects. */
    readonly correctFill: (executionId: string, price: string) => boolean
    /** A fill never was. */
    readonly bust: (executionId: string) => boolean
  }
  /** Everything that happened so far has been told. */
  readonly isIdle: () => boolean
}

const PARTIAL_FILL_PROBABILITY = 0.1
const TICK_MS = 1_000
const FAILED: ApiAnswer = {
  status: 500,
  body: JSON.stringify({ code: 50010000, message: "internal server error occurred" }),
}

export const startTrading = Effect.fn("AlpacaTrading.start")(function* (
  options: TradingOptions,
): Effect.fn.Return<AlpacaTrading, SimulatorError, Scope.Scope> {
  const { market, ledger, seed } = options
  const now = () => market.now()
  const contents = yield* ledger.load.pipe(Effect.mapError(asSimulatorError))
  const account = contents.account ?? (yield* openAccount(options, now()))
  const days = options.days ?? usTradingDays
  const exchange = new AlpacaExchange(market, contents, account, {
    seed,
    days,
    partialFillProbability: options.partialFillProbability ?? PARTIAL_FILL_PROBABILITY,
  })
  const desk = new TradingDesk(exchange, market, days)
  const outbox = yield* makeOutbox({
    commit: ledger.commit,
    merge: mergeAlpacaBatches,
    onFailure: (error) => Effect.logError(`simulated Alpaca stopped: ${error.message}`),
  })
  const later = yield* makeLater()
  const listeners = new Array<Parameters<AlpacaTrading["onUpdate"]>[0]>()
  /** While the account's own fills are printed: the tape must not fill its orders again. */
  let isPrinting = false

  const deliver = (change: Change) => {
    for (const event of change.events) {
      const { symbol } = event.order
      const listing = market.listings.get(symbol)
      if (listing === undefined) continue
      const update: TradeUpdate = {
        stream: "trade_updates",
        data: updateData(event, listing, days),
      }
      for (const listener of listeners) listener(update, { symbol, event: event.event })
    }
    isPrinting = true
    for (const print of change.prints) market.print(...print)
    isPrinting = false
    for (const task of change.tasks) later(task.afterMs, () => perform(task))
  }
  const tell = (change: Change | undefined) => {
    if (change !== undefined) outbox.send(batchOf(change), () => deliver(change))
  }
  const perform = (task: Task) => tell(exchange.perform(task, now()))

  yield* Effect.forkScoped(
    forever(
      Effect.andThen(Effect.sleep(TICK_MS), Effect.sync(() => tell(exchange.tick(now())))),
    ),
  )
  let isOpen = true
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isOpen = false
    })
  )
  market.onMove((move) => {
    if (isOpen) tell(exchange.move(move, now(), isPrinting))
  })
  tell(exchange.resume(now()))

  return {
    handle: (request) =>
      Effect.callback<ApiAnswer | undefined>((resume) => {
        const handled = desk.run(request)
        if (handled === undefined) return resume(Effect.succeed(undefined))
        const { answer, changes } = handled
        outbox.send(
          changes.map(batchOf).reduce<AlpacaLedgerBatch | undefined>(
            (all, batch) => all === undefined ? batch : mergeAlpacaBatches(all, batch),
            undefined,
          ),
          () => {
            resume(Effect.succeed(answer))
            for (const change of changes) deliver(change)
          },
          () => resume(Effect.succeed(FAILED)),
        )
      }),
    onUpdate: (listener) => {
      listeners.push(listener)
    },
    books: () => ({
      account: accountBody(exchange.account.record, exchange.funds),
      positions: exchange.account.positions.map((position) => desk.position(position)),
      orders: exchange.orders.filter((order) => order.parentId === "")
        .map((order) => desk.nestedOrder(order)),
      activities: exchange.fills.flatMap((fill) => desk.activitiesOf(fill)).map(({ body }) => body),
    }),
    control: {
      fillResting: (clientOrderId) => {
        const order = exchange.orderByClientId(clientOrderId)
        if (order === undefined) return false
        const change = exchange.fillResting(order.id, now())
        tell(change)
        return change.fills.length > 0
      },
      rejectLater: () => {
        exchange.rejectsNext = true
      },
      stickPendingCancel: (isOn) => {
        exchange.isCancelStuck = isOn
        if (!isOn) tell(exchange.unstick())
      },
      correctFill: (executionId, text) => {
        const price = parseAtoms(text)
        if (price === undefined || price <= 0n) return false
        const change = exchange.correct(executionId, price, now())
        tell(change)
        return change !== undefined
      },
      bust: (executionId) => {
        const change = exchange.bust(executionId, now())
        tell(change)
        return change !== undefined
      },
    },
    isIdle: () => outbox.pending() === 0,
  }
})

const openAccount = Effect.fn("AlpacaTrading.openAccount")(function* (
  { cash: text, ledger, seed }: TradingOptions,
  now: number,
) {
  const cash = parseAtoms(text)
  if (cash === undefined || cash < 0n) {
    return yield* new SimulatorError({
      text: `cash of the simulated Alpaca must be a decimal like 100000.50, got "${text}"`,
    })
  }
  const chance = Chance.seeded(seed, "account number")
  const letters = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
  const number = Array.from({ length: 10 }, () => letters[Math.floor(chance.next() * 34)]).join("")
  const account: AccountRecord = {
    ...newAccount({ id: makeUuid(seed, 1), accountNumber: `PA${number}`, cash, createdAt: now }),
    idSequence: 1,
  }
  yield* ledger.commit({ orders: [], fills: [], positions: [], account })
    .pipe(Effect.mapError(asSimulatorError))
  return account
})

function batchOf({ orders, fills, positions, account, forgotten }: Change): AlpacaLedgerBatch {
  return { orders, fills, positions, account, forgotten }
}

function asSimulatorError(error: { readonly message: string }): SimulatorError {
  return new SimulatorError({ text: error.message })
}
