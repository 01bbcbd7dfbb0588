/** Our books against the venues', once nothing is under way. */
import assert from "node:assert/strict"
import type { Books } from "../../domain/books.ts"
import { toNumber, zero } from "../../domain/decimal.ts"
import { venueOf } from "../../domain/instrument.ts"
import type { Overview } from "../../domain/overview.ts"
import { isOpen } from "../../domain/order.ts"
import { assetsOf } from "../../domain/position.ts"
import type { VenueBooks } from "../../venues/simulator/binance.ts"
import { Fold, stateOf } from "./api.ts"
import { eventually } from "./process.ts"

/** Of every simulated account, in its money. */
const OPENING = 100_000

/** What each venue holds of ours by asset, free and locked together, and its money among it. */
export type Holdings = ReadonlyMap<string, ReadonlyMap<string, number>>

interface AlpacaBooks {
  readonly account: { readonly cash: string }
  readonly positions: ReadonlyArray<
    { readonly symbol: string; readonly qty: string; readonly asset_class: string }
  >
}

/**
 * As the venues' control endpoint tells it: asked as the account's owner, by REST, the venue would
 * count our questions with Keel's, and refuse both.
 */
export async function holdingsAt(control: string): Promise<Holdings> {
  const books: { readonly binance?: VenueBooks; readonly alpaca?: AlpacaBooks } = await (
    await fetch(`${control}/books`)
  ).json()
  const held = new Map<string, ReadonlyMap<string, number>>()
  if (books.binance !== undefined) {
    const balances = Object.entries(books.binance.balances)
    held.set(
      "binance",
      new Map(balances.map(([asset, { free, locked }]) => [asset, Number(free) + Number(locked)])),
    )
  }
  if (books.alpaca !== undefined) {
    const { account, positions } = books.alpaca
    held.set(
      "alpaca",
      new Map([
        ["USD", Number(account.cash)],
        ...positions.map(({ symbol, qty, asset_class }) =>
          [
            asset_class === "crypto" ? symbol.replace(/\/?USD$/, "") : symbol,
            Number(qty),
          ] as const
        ),
      ]),
    )
  }
  return held
}

/** Quantities are multiples of 1e-8: floats of this size are told apart well below that. */
export function assertIsVenues({ accounts, positions }: Books, held: Holdings) {
  for (const { instrument, quantity } of positions.values()) {
    const { base } = assetsOf(instrument)
    const theirs = held.get(venueOf(instrument))?.get(base) ?? 0
    const ours = toNumber(quantity)
    assert.ok(Math.abs(theirs - ours) < 1e-9, `${instrument}: the venue has ${theirs}, we ${ours}`)
  }
  assert.ok(accounts.size > 0)
  for (const [venue, { moved, quoteAsset }] of accounts) {
    const theirs = held.get(venue)?.get(quoteAsset) ?? 0
    const ours = OPENING + toNumber(moved.get(quoteAsset) ?? zero)
    assert.ok(Math.abs(theirs - ours) < 1e-6, `${quoteAsset}: ${venue} has ${theirs}, we ${ours}`)
  }
}

/** Every order that is shown, by name. */
function ordersOf({ orders }: Overview): string {
  return orders.map(({ clientOrderId }) => clientOrderId).toSorted().join()
}

/** Reconciled, and nothing in flight: the moment at which both sides can be compared. */
export async function quietMoment(
  url: string,
  control: string,
  patienceMs = 30_000,
): Promise<{ readonly state: Overview; readonly books: Books; readonly held: Holdings }> {
  await using fold = await Fold.open(url)
  const moment = await eventually(
    async () => {
      const state = await stateOf(url)
      const books = await fold.upTo(state.seq)
      const isReady = state.accounts.every(({ status }) => status === "ready")
      if (!isReady || [...books.orders.values()].some(isOpen)) return undefined
      const held = await holdingsAt(control)
      // Nothing was sent while the venue was asked.
      const after = await stateOf(url)
      return ordersOf(after) === ordersOf(state) ? { state, books, held } : undefined
    },
    (moment) => moment !== undefined,
    patienceMs,
    50,
  )
  return moment ?? assert.fail("there was none")
}
