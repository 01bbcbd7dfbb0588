/** What holds of every order that opens a position, whatever happens. */
import assert from "node:assert/strict"
import type { JournalRecord } from "../domain/event.ts"
import type { InstrumentId } from "../domain/instrument.ts"

/**
 * It needs a feed that streams, an account that is reconciled and an instrument that trades; of one
 * venue. Judged is what left: an intent that was written when the gate fell is stopped before it is
 * sent.
 */
export function assertNothingOpenedBlindly(records: ReadonlyArray<JournalRecord>) {
  const stopped = new Set(
    records.flatMap(({ event }) =>
      event._tag === "OrderRejected" && event.code === "NOT_SENT" ? [event.clientOrderId] : []
    ),
  )
  let feed = false
  let account = false
  const halted = new Set<InstrumentId>()
  for (const { event, seq } of records) {
    switch (event._tag) {
      case "FeedLost":
        feed = false
        break
      case "FeedRestored":
        feed = true
        break
      case "AccountLost":
        account = false
        break
      case "AccountReconciled":
        account = event.differences.length === 0
        break
      case "InstrumentHalted":
        halted.add(event.instrument)
        break
      case "InstrumentResumed":
        halted.delete(event.instrument)
        break
      case "OrderSubmitted": {
        if (event.purpose === "reduce" || stopped.has(event.clientOrderId)) break
        const name = `${event.clientOrderId} at ${seq}`
        assert.ok(feed, `${name} was opened while the feed was lost`)
        assert.ok(account, `${name} was opened on an account in doubt`)
        assert.ok(!halted.has(event.instrument), `${name} was opened in a halt`)
      }
    }
  }
}
