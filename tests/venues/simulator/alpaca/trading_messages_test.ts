import assert from "node:assert/strict"
import { usTradingDays } from "../../../../domain/calendar.ts"
import {
  calendarBody,
  marketCalendarBody,
} from "../../../../venues/simulator/alpaca/trading_messages.ts"

for (
  const [name, bodyOf] of [
    ["calendarBody()", calendarBody],
    ["marketCalendarBody()", marketCalendarBody],
  ] as const
) {
  Deno.test(`${name} looks the settlement up for its last day only`, () => {
    const listed = usTradingDays("2026-11-01", "2026-11-30")
    let asked = 0
    const body = JSON.stringify(bodyOf(listed, (from, to) => {
      asked++
      return usTradingDays(from, to)
    }))
    assert.equal(asked, 1)
    assert.match(body, /"2026-11-25".*?"settlement_date":"2026-11-27"/)
    assert.match(body, /"settlement_date":"2026-12-01"[^"]*$/)
  })
}
