import assert from "node:assert/strict"
import type { FeedInstrumentView, FeedView, Overview } from "../../domain/overview.ts"
import type { PageView } from "../../views/page_view.ts"
import { Feeds } from "../../views/feeds.tsx"

const line: FeedInstrumentView = {
  instrument: "AAPL.ALPACA",
  price: "190.5",
  bid: "190.49",
  ask: "190.51",
  ageMs: 700,
  source: "stream",
  fresh: true,
  staleAfterMs: 3_000,
  trades: 12,
  lastTradeId: "7",
  duplicates: 0,
  gaps: 0,
}

function html(feed: Partial<FeedView>, lineChange: Partial<FeedInstrumentView> = {}): string {
  const overview = {
    asOf: 1_000_000,
    tradingState: "active",
    accounts: [{ venue: "alpaca", status: "ready", link: "streaming" }],
    strategies: [{
      id: "rsi_momentum:AAPL.ALPACA",
      strategy: "rsi_momentum",
      instrument: "AAPL.ALPACA",
      status: "running",
      holding: "0",
    }],
    positions: [],
    orders: [],
    events: [],
    feeds: [{
      venue: "alpaca",
      status: "streaming",
      phase: "streaming",
      attempt: 0,
      attemptMax: 5,
      lastDataAt: 999_300,
      since: 1,
      reconnects: 0,
      framesPerSecond: 3,
      undecoded: 0,
      instruments: [{ ...line, ...lineChange }],
      ...feed,
    }],
  } as unknown as Overview
  const view = { overview, events: [] } as unknown as PageView
  return String(<Feeds view={view} />).replaceAll(
    /<[^>]*datetime="([^"]*)"[^>]*>[^<]*<\/time>/g,
    "[$1]",
  )
}

Deno.test("a feed in an outage tells its cause, the attempt, the next try and what is paused", () => {
  const page = html({
    status: "polling",
    phase: "polling",
    cause: "alpaca: market stream: closed with code 1006",
    attempt: 3,
    nextAttemptAt: 1_004_000,
    outageSince: 980_000,
  }, { fresh: false, source: "rest" })
  assert.match(page, /closed with code 1006\. Attempt 3 of 5, next in \[1970-01-01T00:16:44/)
  assert.match(page, /Entries are off for \[1970-01-01T00:16:20/)
  assert.match(page, /1 instrument, and Rsi momentum on AAPL/i)
  assert.doesNotMatch(page, /may open/)
})

Deno.test("a feed that recovers tells what is still waited for", () => {
  const waitsFor = ["orders and balances to be compared"]
  const page = html({ status: "reconnecting", phase: "recovering", waitsFor, outageSince: 1 })
  assert.match(page, /Waiting for orders and balances to be compared/)
})

Deno.test("a price has the authority that it has, and never that of another", () => {
  const closed = { code: "MARKET_CLOSED", numbers: { session: "closed" } } as const
  const cases: ReadonlyArray<readonly [Partial<FeedInstrumentView>, RegExp]> = [
    [{}, /may open/],
    [{ ageMs: 3_500, fresh: false }, /<b>stale<\/b>/],
    [{ ageMs: null, fresh: false }, /never received/],
    [{ source: "rest", fresh: false }, /exits only/],
    [{ fresh: false, withheld: closed }, /market closed/],
    [{ halt: { status: "halted", reason: "LUDP" } }, /title="LUDP">halted/],
  ]
  for (const [change, expected] of cases) {
    const page = html({}, change)
    assert.match(page, expected)
    if (Object.keys(change).length > 0) assert.doesNotMatch(page, /may open/)
  }
})

Deno.test("why it is not trading is one click away, and answers for every strategy", () => {
  const page = html({}, { ageMs: 4_000, fresh: false })
  assert.match(page, /<button[^>]*popovertarget="why-alpaca"[^>]*>\s*Why is it not trading\?/)
  assert.match(page, /id="why-alpaca" popover="auto"/)
  const answers = page.match(/Its last price is 4\.0 s old; 3\.0 s are allowed\./g)
  assert.equal(answers?.length, 2)
})
