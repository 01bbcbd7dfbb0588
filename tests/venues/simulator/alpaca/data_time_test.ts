import assert from "node:assert/strict"
import fc from "fast-check"
import { formatTime, nanosOf, parseTime } from "../../../../venues/simulator/alpaca/data_time.ts"

Deno.test("what is written is read again, to the nanosecond", () => {
  const times = fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n })
  fc.assert(fc.property(times, (time) => assert.equal(parseTime(formatTime(time)), time)))
})

Deno.test("formatTime() drops zeros that say nothing", () => {
  assert.equal(formatTime(nanosOf(1_646_816_400_000)), "2022-03-09T09:00:00Z")
  assert.equal(formatTime(nanosOf(1_646_816_400_000) + 59_000n), "2022-03-09T09:00:00.000059Z")
})

Deno.test("parseTime() takes dates, zones and an offset whose plus became a space", () => {
  const noon = nanosOf(Date.parse("2026-11-23T12:00:00Z"))
  for (
    const text of ["2026-11-23T12:00:00Z", "2026-11-23T07:00:00-05:00", "2026-11-23T13:00:00 01:00"]
  ) assert.equal(parseTime(text), noon)
  assert.equal(parseTime("2026-11-23"), noon - nanosOf(12 * 3_600_000))
  for (const text of ["", "now", "2026-11-23T12", "2026-13-01", "2026-11-23T12:00:00"]) {
    assert.equal(parseTime(text), undefined, text)
  }
})
