import assert from "node:assert/strict"
import fc from "fast-check"
import {
  dateAfter,
  newYorkDate,
  newYorkTime,
  sessionAt,
  type SessionPhase,
  type TradingDay,
  usTradingDays,
} from "../../domain/calendar.ts"

const utc = (text: string) => Date.parse(text)
const dates = (from: string, to: string) => usTradingDays(from, to).map(({ date }) => date)

/** As the exchange published them. */
const holidays: Readonly<Record<string, ReadonlyArray<string>>> = {
  2021: ["01-01", "01-18", "02-15", "04-02", "05-31", "07-05", "09-06", "11-25", "12-24"],
  2022: ["01-17", "02-21", "04-15", "05-30", "06-20", "07-04", "09-05", "11-24", "12-26"],
  2023: ["01-02", "01-16", "02-20", "04-07", "05-29", "06-19", "07-04", "09-04", "11-23", "12-25"],
  2024: ["01-01", "01-15", "02-19", "03-29", "05-27", "06-19", "07-04", "09-02", "11-28", "12-25"],
  2025: [
    "01-01",
    "01-09",
    "01-20",
    "02-17",
    "04-18",
    "05-26",
    "06-19",
    "07-04",
    "09-01",
    "11-27",
    "12-25",
  ],
  2026: ["01-01", "01-19", "02-16", "04-03", "05-25", "06-19", "07-03", "09-07", "11-26", "12-25"],
  2027: ["01-01", "01-18", "02-15", "03-26", "05-31", "06-18", "07-05", "09-06", "11-25", "12-24"],
}

const earlyCloses: Readonly<Record<string, ReadonlyArray<string>>> = {
  2021: ["11-26"],
  2022: ["11-25"],
  2023: ["07-03", "11-24"],
  2024: ["07-03", "11-29", "12-24"],
  2025: ["07-03", "11-28", "12-24"],
  2026: ["11-27", "12-24"],
  2027: ["11-26"],
}

Deno.test("weekdays without trading are the published holidays, and no other", () => {
  for (const [year, expected] of Object.entries(holidays)) {
    const open = new Set(dates(`${year}-01-01`, `${year}-12-31`))
    const closed = new Array<string>()
    for (let date = `${year}-01-01`; date <= `${year}-12-31`; date = dateAfter(date, 1)) {
      const weekday = new Date(`${date}T00:00:00Z`).getUTCDay()
      if (weekday !== 0 && weekday !== 6 && !open.has(date)) closed.push(date.slice(5))
    }
    assert.deepEqual(closed, expected, year)
  }
})

Deno.test("the days that end at one o'clock are the published ones", () => {
  for (const [year, expected] of Object.entries(earlyCloses)) {
    const early = usTradingDays(`${year}-01-01`, `${year}-12-31`).filter(({ close }) =>
      close === 13 * 60
    )
    assert.deepEqual(early.map(({ date }) => date.slice(5)), expected, year)
  }
})

Deno.test("New York's clock follows daylight saving time, now and under the older rule", () => {
  assert.equal(newYorkTime("2026-11-23", 570), utc("2026-11-23T14:30:00Z"))
  assert.equal(newYorkTime("2026-07-01", 570), utc("2026-07-01T13:30:00Z"))
  // The Friday before and the Monday after each change.
  assert.equal(newYorkTime("2026-03-06", 570), utc("2026-03-06T14:30:00Z"))
  assert.equal(newYorkTime("2026-03-09", 570), utc("2026-03-09T13:30:00Z"))
  assert.equal(newYorkTime("2026-10-30", 570), utc("2026-10-30T13:30:00Z"))
  assert.equal(newYorkTime("2026-11-02", 570), utc("2026-11-02T14:30:00Z"))
  // Until 2006 it began in April and ended in October.
  assert.equal(newYorkTime("2004-03-31", 570), utc("2004-03-31T14:30:00Z"))
  assert.equal(newYorkTime("2004-04-05", 570), utc("2004-04-05T13:30:00Z"))
  assert.equal(newYorkTime("2004-11-01", 570), utc("2004-11-01T14:30:00Z"))
})

Deno.test("New York's clock is the one of the platform's time zone data", () => {
  const clock = new Intl.DateTimeFormat("en-CA", {
    timeZone: "America/New_York",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  })
  const [from, to] = [utc("1998-01-01T00:00:00Z"), utc("2036-12-31T00:00:00Z")]
  fc.assert(
    fc.property(fc.integer({ min: from, max: to }), (time) => {
      const date = newYorkDate(time)
      assert.equal(date, clock.format(time))
      assert.ok(newYorkTime(date, 0) <= time && time < newYorkTime(dateAfter(date, 1), 0))
    }),
    { numRuns: 2_000 },
  )
})

Deno.test("a trading day runs from the evening before through pre, core and post", () => {
  const days = usTradingDays("2026-11-19", "2026-11-24")
  const phases: ReadonlyArray<readonly [string, SessionPhase, string]> = [
    ["2026-11-20T14:29:59.999Z", "pre", "2026-11-20T14:30:00Z"],
    ["2026-11-20T14:30:00Z", "core", "2026-11-20T21:00:00Z"],
    ["2026-11-20T21:00:00Z", "post", "2026-11-21T01:00:00Z"],
    // The weekend, and Sunday evening.
    ["2026-11-21T01:00:00Z", "closed", "2026-11-23T01:00:00Z"],
    ["2026-11-22T18:00:00Z", "closed", "2026-11-23T01:00:00Z"],
    ["2026-11-23T01:00:00Z", "overnight", "2026-11-23T09:00:00Z"],
    ["2026-11-23T09:00:00Z", "pre", "2026-11-23T14:30:00Z"],
  ]
  for (const [time, phase, until] of phases) {
    assert.deepEqual(sessionAt(days, utc(time)), { phase, until: utc(until) }, time)
  }
})

Deno.test("an early close moves the end of core and of post", () => {
  const days = usTradingDays("2026-11-25", "2026-12-01")
  const at = (time: string) => sessionAt(days, utc(time))
  assert.equal(at("2026-11-26T15:00:00Z").phase, "closed")
  assert.deepEqual(at("2026-11-27T15:00:00Z"), {
    phase: "core",
    until: utc("2026-11-27T18:00:00Z"),
  })
  assert.deepEqual(at("2026-11-27T18:00:00Z"), {
    phase: "post",
    until: utc("2026-11-27T22:00:00Z"),
  })
  assert.equal(at("2026-11-27T22:00:00Z").phase, "closed")
})

Deno.test("there is no overnight session into a day without trading", () => {
  const days = usTradingDays("2026-11-24", "2026-11-30")
  // Wednesday evening leads into Thanksgiving.
  assert.equal(sessionAt(days, utc("2026-11-26T02:00:00Z")).phase, "closed")
  assert.equal(sessionAt(days, utc("2026-11-27T02:00:00Z")).phase, "overnight")
})

Deno.test("a market without a pause is always in its core session", () => {
  const allDay = { preOpen: 0, open: 0, close: 1_440, postClose: 1_440 } as const
  const days: ReadonlyArray<TradingDay> = ["2026-11-21", "2026-11-22", "2026-11-23"]
    .map((date) => ({ date, ...allDay }))
  fc.assert(
    fc.property(
      fc.integer({ min: newYorkTime("2026-11-21", 0), max: newYorkTime("2026-11-23", 1_439) }),
      (time) => {
        const { phase, until } = sessionAt(days, time)
        assert.equal(phase, "core")
        assert.ok(until > time && until - time <= 86_400_000)
      },
    ),
  )
})

Deno.test("every phase ends where the next one begins", () => {
  const days = usTradingDays("2026-01-01", "2026-12-31")
  const [from, to] = [utc("2026-01-03T00:00:00Z"), utc("2026-12-28T00:00:00Z")]
  fc.assert(
    fc.property(fc.integer({ min: from, max: to }), (time) => {
      const { phase, until } = sessionAt(days, time)
      assert.ok(until > time)
      assert.equal(sessionAt(days, until - 1).phase, phase)
      assert.notEqual(sessionAt(days, until).phase, phase)
    }),
    { numRuns: 500 },
  )
})

Deno.test("behind the last day known the market counts as closed", () => {
  const days = usTradingDays("2026-11-20", "2026-11-20")
  assert.equal(sessionAt(days, utc("2026-11-24T15:00:00Z")).phase, "closed")
  assert.equal(sessionAt([], utc("2026-11-24T15:00:00Z")).phase, "closed")
})
