/**
 * One connection after the other, for as long as the feed lives.
 *
 * It connects, loses, waits by the rule of the cause and connects again; a long outage is spent
 * polling, so polling is only a better way of waiting. It decides nothing about the data: what it
 * hears goes to the feed's mailbox, with the time.
 */
import { Deferred, Effect, Fiber, Random } from "effect"
import { failed, heardData } from "../../domain/link.ts"
import type { InstrumentId } from "../../domain/instrument.ts"
import type { Quote } from "../../domain/market.ts"
import { Overrun, VenueError } from "../../venues/market_data.ts"
import { spendAttempt } from "../connection_budget.ts"
import type { Connection, Context, State } from "./state.ts"

/** The end of one connection is looked at before the next one begins. */
const BREATH_MS = 10
/** A venue that says what it will not stream says so soon. */
const REFUSED_WITHIN_MS = 2_000

/** Lives as long as this incarnation: connect, lose, wait or poll, connect. */
export const keepConnected = Effect.fnUntraced(function* (state: State, actor: Context) {
  const { memory, options, policy } = state
  const { instruments } = options
  // There is nothing to connect for; the watch says so.
  if (instruments.length === 0) return
  yield* waitOutBan(state, actor)
  while (true) {
    actor.self.signal({ _tag: "Trying", nextAttemptAt: undefined })
    const { error, left } = yield* connectOnce(state, actor)
    revokeAll(state)
    const now = actor.now()
    const [link, wait] = failed(memory.link, error.reason, now, yield* Random.next, policy)
    memory.link = link
    // Behind what was heard before, and never refused: a mailbox that is full is one of the causes.
    actor.sendAfter(0, { _tag: "Lost", error, wait, link, at: now })
    const [rest, leastMs] = spendAttempt(memory.budget!, now)
    memory.budget = rest
    const delayMs = Math.max(BREATH_MS, leastMs, wait.delayMs)
    actor.self.signal({ _tag: "Trying", nextAttemptAt: now + delayMs })
    const wake = yield* Deferred.make<void>()
    state.wake = wake
    state.degraded ||= wait.isDegraded
    // Who has told us to wait must not be asked by another way meanwhile.
    const mayPoll = state.degraded && wait.rule !== "rate_limited" && wait.rule !== "forbidden"
    const waited = Effect.raceFirst(Effect.sleep(delayMs), Deferred.await(wake))
    // A price that is slow in coming must not hold up the next attempt.
    yield* mayPoll
      ? Effect.raceFirst(poll(state, actor, [...state.lines.keys()], delayMs), waited)
      : waited
    state.wake = undefined
    // A venue that counts connections must not see two of them.
    yield* left
  }
})

/** What the venue has told an earlier process holds for this one. */
const waitOutBan = Effect.fnUntraced(function* (state: State, actor: Context) {
  const until = state.books.feeds.get(state.options.market.venue)?.retryAt ?? 0
  const delayMs = until - actor.now()
  if (delayMs <= 0) return
  actor.self.signal({ _tag: "Trying", nextAttemptAt: until })
  yield* Effect.sleep(delayMs)
})

const connectOnce = Effect.fnUntraced(function* (state: State, actor: Context) {
  const { market, instruments, mailboxMax } = state.options
  const id = ++state.memory.connections
  const connection: Connection = {
    id,
    startedAt: actor.now(),
    cut: yield* Deferred.make<never, VenueError>(),
    heardAt: undefined,
  }
  state.connection = connection
  const refusals = new Map<InstrumentId, string>()
  const stream = market.stream(instruments, {
    event: (event) => {
      const at = actor.now()
      connection.heardAt = at
      // Whoever had something to refuse has done so by now; before, the last answer still holds.
      if (at - connection.startedAt >= REFUSED_WITHIN_MS) state.refusals = refusals
      state.memory.link = heardData(state.memory.link)
      return actor.self.send({ _tag: "Heard", event, at, connection: id })
    },
    undecoded: (frame, reason) => void actor.self.send({ _tag: "Undecoded", frame, reason }),
    refused: (instruments, what, reason) => {
      for (const instrument of instruments) refusals.set(instrument, `no ${what}: ${reason}`)
      state.refusals = refusals
    },
  })
  const streaming = yield* Effect.forkChild(stream)
  const ended = Effect.raceFirst(Fiber.join(streaming), Deferred.await(connection.cut))
  const error = yield* Effect.flip(ended)
  state.connection = undefined
  // Taking leave of a peer that is frozen takes a while, and the news must not wait for it.
  streaming.interruptUnsafe()
  const left = Fiber.await(streaming)
  if (error.reason._tag !== "Overrun") return { error, left }
  // Only the mailbox knows how many were waiting: as many as it holds.
  const reason = new Overrun({ waiting: Math.max(error.reason.waiting, mailboxMax) })
  return { error: new VenueError({ venue: error.venue, doing: error.doing, reason }), left }
})

/** Proofs end with their stream, not when somebody has read that it ended. */
export function revokeAll(state: State) {
  for (const line of state.lines.values()) line.fresh?.revoke()
}

/** Ends the present connection with an error of ours; the rest is as if the venue had. */
export function cut({ connection, options }: State, reason: VenueError["reason"]) {
  if (connection === undefined) return
  const { venue } = options.market
  const error = new VenueError({ venue, doing: "market stream", reason })
  Deferred.doneUnsafe(connection.cut, Effect.fail(error))
}

/** Spends `forMs` asking for prices; a request that fails is only one price less. */
const poll = Effect.fnUntraced(function* (
  state: State,
  actor: Context,
  instruments: ReadonlyArray<InstrumentId>,
  forMs: number,
) {
  const until = actor.now() + forMs
  while (actor.now() < until) {
    yield* Effect.sleep(Math.max(0, Math.min(state.pollSilentUntil, until) - actor.now()))
    if (actor.now() < until) yield* pollOnce(state, actor, instruments)
    const pauseMs = Math.min(state.options.pollEveryMs, until - actor.now())
    yield* Effect.sleep(Math.max(1, pauseMs))
  }
})

/** One request for the prices of all `instruments`, unless the venue wants none. */
export const pollOnce = Effect.fnUntraced(function* (
  state: State,
  actor: Context,
  instruments: ReadonlyArray<InstrumentId>,
): Effect.fn.Return<ReadonlyArray<Quote>> {
  if (actor.now() < state.pollSilentUntil) return []
  const answer = yield* Effect.result(state.options.market.quotes(instruments))
  if (answer._tag === "Success") {
    actor.self.send({ _tag: "Polled", quotes: answer.success, at: actor.now() })
    return answer.success
  }
  const { reason } = answer.failure
  yield* Effect.logDebug(answer.failure.message)
  if (reason._tag === "Throttled") {
    state.pollSilentUntil = actor.now() + reason.retryAfterMs
    actor.self.signal({ _tag: "PollThrottled", until: state.pollSilentUntil })
  }
  return []
})
