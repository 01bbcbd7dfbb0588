/**
 * Keeps ages true when our clock is set.
 *
 * A feed stamps what it hears with our time and judges it by its age. When somebody sets the clock,
 * by hand or by its time server, every stamp is wrong by as much: a price would stay fresh for too
 * long, a stream seem mute, events seem late. So the clock is held against the one that nobody can
 * set, and when they part, the stamps are moved. It corrects no clock.
 */
import { shifted } from "../../domain/drift.ts"
import { revokeAll } from "./connection.ts"
import type { State } from "./state.ts"

/** Less is the clocks' own wavering, and no age that matters. */
const STEP_MIN_MS = 50

/** To be called before anything is judged by its age. */
export function followClock(state: State, now: number) {
  const monotonic = state.monotonicMs()
  const { clock } = state
  const movedMs = now - clock.wall - (monotonic - clock.monotonic)
  if (Math.abs(movedMs) < STEP_MIN_MS) return
  state.clock = { wall: now, monotonic }
  // They carry the time that was.
  revokeAll(state)
  const moved = (time: number | undefined) => time === undefined ? undefined : time + movedMs
  for (const line of state.lines.values()) {
    line.pricedAt = moved(line.pricedAt)
    line.heardAt = moved(line.heardAt)
    line.streamsSince = moved(line.streamsSince)
  }
  if (state.connection !== undefined) {
    const { heardAt, startedAt } = state.connection
    state.connection.heardAt = moved(heardAt)
    state.connection.startedAt = startedAt + movedMs
  }
  state.lastDataAt = moved(state.lastDataAt)
  state.outageSince = moved(state.outageSince)
  state.lateSince = moved(state.lateSince)
  state.nextAttemptAt = moved(state.nextAttemptAt)
  state.since += movedMs
  state.heardSince += movedMs
  state.quietPolledAt += movedMs
  state.pollSilentUntil += movedMs
  state.drift = shifted(state.drift, movedMs)
}
