/**
 * What the journal says of an outage, as a person would tell it: when, what, why.
 *
 * An expected timeline is text, a line for each event in their order:
 *
 *     0.00        FeedLost 1 .*code 1006
 *     0.05..0.55  FeedRestored after
 *
 * Seconds after the fault, as they are or between two bounds, and a pattern that the line begins
 * with. Events of the kinds that are named nowhere are not looked at; of the others none may be
 * missing and none too many.
 */
import assert from "node:assert/strict"
import type { Event, EventTag, JournalRecord } from "../../domain/event.ts"

/** What an outage is told with; orders and signals are checked apart. */
const TOLD: ReadonlySet<EventTag> = new Set<EventTag>([
  "FeedLost",
  "FeedPolling",
  "FeedRestored",
  "FeedTroubled",
  "FeedTroubleEnded",
  "Gap",
  "SourceChanged",
  "InstrumentHalted",
  "InstrumentResumed",
  "AccountLost",
  "AccountReconciled",
  "AlertRaised",
  "AlertResolved",
  "ActorRestarted",
  "ActorFailed",
])

/** `FeedLost 2 binance: market stream: no data for 6000 ms`. */
export function lineOf(event: Event): string {
  switch (event._tag) {
    case "FeedLost":
      return `FeedLost ${event.attempt} ${event.cause}`
    case "FeedRestored":
      return `FeedRestored after ${(event.outageMs / 1_000).toFixed(2)}`
    case "FeedTroubled":
      return `FeedTroubled ${event.trouble} ${event.detail}`
    case "FeedTroubleEnded":
      return `FeedTroubleEnded ${event.trouble}`
    case "Gap":
      return `Gap ${event.instrument} ${event.complete ? "complete" : "incomplete"} ` +
        `recovered=${event.recovered} ${event.cause}`
    case "SourceChanged":
      return `SourceChanged ${event.instrument ?? "all"} ${event.source}`
    case "InstrumentHalted":
      return `InstrumentHalted ${event.instrument} ${event.status} ${event.reason}`
    case "InstrumentResumed":
      return `InstrumentResumed ${event.instrument}`
    case "AccountLost":
      return `AccountLost ${event.cause}`
    case "AccountReconciled":
      return `AccountReconciled${event.differences.map((each) => ` (${each})`).join("")}`
    case "AlertRaised":
      return `AlertRaised ${event.id} ${event.severity} ${event.title}`
    case "AlertResolved":
      return `AlertResolved ${event.id}`
    case "ActorRestarted":
      return `ActorRestarted ${event.path} ${event.cause}`
    case "ActorFailed":
      return `ActorFailed ${event.path} ${event.cause}`
    default:
      return event._tag
  }
}

/** The events of these kinds, each on a line with its time in seconds after `from`. */
export function timeline(
  records: ReadonlyArray<JournalRecord>,
  from: number,
  kinds: ReadonlySet<EventTag> = TOLD,
): ReadonlyArray<string> {
  return records.filter(({ event }) => kinds.has(event._tag))
    .map(({ time, event }) => `${((time - from) / 1_000).toFixed(2).padStart(7)}  ${lineOf(event)}`)
}

interface Expected {
  readonly text: string
  readonly fromS: number
  readonly toS: number
  readonly kind: string
  readonly pattern: RegExp
}

/** Times are rounded to hundredths of a second: so far two of them may differ. */
const ROUNDING_S = 0.006

export function assertTimeline(
  records: ReadonlyArray<JournalRecord>,
  from: number,
  expected: string,
) {
  const lines = expected.split("\n").map((line) => line.trim()).filter((line) => line !== "")
    .map(readLine)
  const kinds = new Set<string>(lines.map(({ kind }) => kind))
  const told = records.filter(({ event }) => kinds.has(event._tag))
  const failed = (why: string) =>
    assert.fail(
      `${why}\n\nexpected:\n${lines.map(({ text }) => `  ${text}`).join("\n")}\n\n` +
        `happened:\n${timeline(records, from).map((line) => `  ${line}`).join("\n")}`,
    )
  for (const [index, line] of lines.entries()) {
    const record = told[index]
    if (record === undefined) return failed(`never happened: ${line.text}`)
    const atS = (record.time - from) / 1_000
    const happened = lineOf(record.event)
    const isInTime = atS >= line.fromS - ROUNDING_S && atS <= line.toS + ROUNDING_S
    if (!isInTime || !line.pattern.test(happened)) {
      return failed(`expected: ${line.text}\n     got: ${atS.toFixed(2)} ${happened}`)
    }
  }
  const more = told[lines.length]
  if (more !== undefined) failed(`not expected: ${timeline([more], from)[0]?.trim()}`)
}

function readLine(text: string): Expected {
  const match = /^(-?[\d.]+?)(?:\.\.([\d.]+))?\s+((\w+).*)$/.exec(text)
  assert.ok(match, `a line of a timeline is a time and an event: ${text}`)
  const [, from, to, pattern, kind] = match
  return {
    text,
    fromS: Number(from),
    toS: Number(to ?? from),
    kind: kind ?? "",
    pattern: new RegExp(`^${pattern}`),
  }
}
