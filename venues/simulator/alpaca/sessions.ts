/**
 * When the simulated exchanges are open.
 *
 * Either as in New York, or always: a first run on a Sunday night should see prices. Both can be
 * overruled, because the end of a session is one of the things that must be tried.
 */
import {
  dateAfter,
  newYorkDate,
  newYorkTime,
  type Session,
  sessionAt,
  type SessionPhase,
  type TradingDay,
  usTradingDays,
} from "../../../domain/calendar.ts"

export type SessionsKind = "always" | "exchange"

/** A trading day without a night. */
const WHOLE_DAY = { preOpen: 0, open: 0, close: 1_440, postClose: 1_440 } as const

export class Sessions {
  readonly kind: SessionsKind
  #forced: Session | undefined
  /** Days that end earlier than they should: minutes after midnight by date. */
  readonly #closes = new Map<string, number>()
  #known: { readonly date: string; readonly days: ReadonlyArray<TradingDay> } | undefined

  constructor(kind: SessionsKind) {
    this.kind = kind
  }

  /** The trading days from one date to another, both included, as the venue's calendar shows them. */
  days(from: string, to: string): ReadonlyArray<TradingDay> {
    return this.#regular(from, to).map((day) => this.#shortened(day))
  }

  at(timeMs: number): Session {
    if (this.#forced !== undefined && timeMs < this.#forced.until) return this.#forced
    const date = newYorkDate(timeMs)
    if (this.kind === "exchange") return sessionAt(this.#around(date), timeMs)
    const midnight = newYorkTime(dateAfter(date, 1), 0)
    const close = this.#closes.get(date)
    if (close === undefined) return { phase: "core", until: midnight }
    const closesAt = newYorkTime(date, close)
    return timeMs < closesAt
      ? { phase: "core", until: closesAt }
      : { phase: "closed", until: midnight }
  }

  /** Shares are quoted and printed on an exchange. */
  isTrading(timeMs: number): boolean {
    const { phase } = this.at(timeMs)
    return phase === "pre" || phase === "core" || phase === "post"
  }

  /** Whatever the calendar says, until then. */
  force(phase: SessionPhase, untilMs: number) {
    this.#forced = { phase, until: untilMs }
  }

  /** Core and late session of the day end then. */
  closeEarly(timeMs: number) {
    const date = newYorkDate(timeMs)
    this.#closes.set(date, Math.ceil((timeMs - newYorkTime(date, 0)) / 60_000))
    this.#known = undefined
  }

  #regular(from: string, to: string): ReadonlyArray<TradingDay> {
    if (this.kind === "exchange") return usTradingDays(from, to)
    const days = new Array<TradingDay>()
    for (let date = from; date <= to; date = dateAfter(date, 1)) days.push({ date, ...WHOLE_DAY })
    return days
  }

  #around(date: string): ReadonlyArray<TradingDay> {
    if (this.#known?.date !== date) {
      this.#known = { date, days: this.days(dateAfter(date, -1), dateAfter(date, 10)) }
    }
    return this.#known.days
  }

  #shortened(day: TradingDay): TradingDay {
    const close = this.#closes.get(day.date)
    if (close === undefined || close >= day.postClose) return day
    return { ...day, close: Math.min(day.close, close), postClose: close }
  }
}
