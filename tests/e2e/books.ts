/** Our books against the venue's, once nothing is under way. */
import assert from "node:assert/strict"
import type { Books } from "../../domain/books.ts"
import { toNumber } from "../../domain/decimal.ts"
import type { Overview } from "../../domain/overview.ts"
import { foldedJournal, stateOf, type VenueAddress, venueBalances } from "./api.ts"
import { eventually } from "./process.ts"

const OPENING_USDT = 100_000

/** Quantities are multiples of 1e-8: floats of this size are told apart well below that. */
export function assertIsVenues(books: Books, venue: ReadonlyMap<string, number>) {
  for (const position of books.positions.values()) {
    const base = position.instrument.split("/")[0] ?? ""
    const held = venue.get(base) ?? 0
    const ours = toNumber(position.quantity)
    assert.ok(Math.abs(held - ours) < 1e-9, `${base}: the venue has ${held}, we ${ours}`)
  }
  const account = books.accounts.get("binance")
  const moved = account?.moved.get("USDT")
  const cash = OPENING_USDT + (moved === undefined ? 0 : toNumber(moved))
  assert.ok(Math.abs((venue.get("USDT") ?? 0) - cash) < 1e-6, `USDT: ${venue.get("USDT")}, ${cash}`)
}

export function isQuiet(books: Books): boolean {
  return [...books.orders.values()].every(({ status }) =>
    ["filled", "canceled", "expired", "rejected"].includes(status)
  )
}

/** Reconciled, and nothing in flight: the moment at which both sides can be compared. */
export async function quietMoment(
  url: string,
  address: VenueAddress,
): Promise<{
  readonly state: Overview
  readonly books: Books
  readonly balances: ReadonlyMap<string, number>
}> {
  return await eventually(
    async () => {
      const state = await stateOf(url)
      const books = await foldedJournal(url, state.seq)
      if (state.accounts[0]?.status !== "ready" || !isQuiet(books)) return undefined
      // Asked only when it may be the answer: the venue counts our questions with Keel's.
      const balances = await venueBalances(address)
      const after = await stateOf(url)
      return after.orders.length === state.orders.length ? { state, books, balances } : undefined
    },
    (moment) => moment !== undefined,
    30_000,
    50,
  ).then((moment) => moment ?? assert.fail("there was none"))
}
