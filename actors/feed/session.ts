/**
 * When there is a market.
 *
 * Pairs always trade. Shares have sessions: outside them silence is no trouble and an old price is
 * not stale but closed. The venue's calendar counts; until it has answered, the exchanges' rules do.
 */
import { Effect } from "effect"
import {
  dateAfter,
  newYorkDate,
  sessionAt,
  type TradingDay,
  usTradingDays,
} from "../../domain/calendar.ts"
import { offsetMs } from "../../domain/drift.ts"
import type { Context, Line, Session, State } from "./state.ts"

const DAYS_BEFORE = -4
const DAYS_AHEAD = 14
const CALENDAR_RETRY_MS = 60_000

/** A share is named without a stroke. */
function hasSessions({ instrument }: Pick<Line, "instrument">): boolean {
  return !instrument.includes("/")
}

/** Of `line` at `ourNow`; undefined where the market never closes. Its own times are the venue's. */
export function sessionOf(state: State, line: Line, ourNow: number): Session | undefined {
  if (!hasSessions(line)) return undefined
  // The bell rings by the venue's clock; ours may be wrong by more than a price may be old.
  const now = ourNow - (offsetMs(state.drift) ?? 0)
  const before = state.session
  if (before !== undefined && now < before.until) return before
  const isOver = (state.days.at(-1)?.date ?? "") < newYorkDate(now)
  if (isOver) state.days = ruled(now)
  const { phase, until } = sessionAt(state.days, now)
  return state.session = { phase, since: before?.until, until: Math.max(until, now + 1) }
}

export function isOpen(state: State, line: Line, now: number): boolean {
  const session = sessionOf(state, line, now)
  return session === undefined || session.phase === "core"
}

function ruled(now: number): ReadonlyArray<TradingDay> {
  const today = newYorkDate(now)
  return usTradingDays(dateAfter(today, DAYS_BEFORE), dateAfter(today, DAYS_AHEAD))
}

/** Keeps the venue's own calendar at hand; without it the rules go on. */
export const keepCalendar = Effect.fnUntraced(function* (state: State, actor: Context) {
  const { calendar } = state.options.market
  if (calendar === undefined || ![...state.lines.values()].some(hasSessions)) return
  while (true) {
    const today = newYorkDate(actor.now())
    const answer = yield* Effect.result(
      calendar(dateAfter(today, DAYS_BEFORE), dateAfter(today, DAYS_AHEAD)),
    )
    if (answer._tag === "Success" && answer.success.length > 0) {
      actor.self.signal({ _tag: "Calendar", days: answer.success })
    } else if (answer._tag === "Failure") {
      yield* Effect.logWarning(`calendar: ${answer.failure.message}; the exchanges' rules count`)
    }
    const isKnown = answer._tag === "Success"
    yield* Effect.sleep(isKnown ? state.options.calendarEveryMs : CALENDAR_RETRY_MS)
  }
})
