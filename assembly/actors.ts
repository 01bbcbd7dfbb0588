/** The whole tree, from what is configured and what is open. */
import { Effect } from "effect"
import type { Latecomer } from "../actors/admission.ts"
import { feed, type FeedOptions } from "../actors/feed.ts"
import type { ReadModel } from "../actors/read_model.ts"
import type { ActorSystem, ChildSpec } from "../actors/runtime/mod.ts"
import { strategyRunner } from "../actors/strategy_runner.ts"
import { account, type AccountOptions, type TreeOptions } from "../actors/tree.ts"
import type { Config } from "../config.ts"
import type { Event } from "../domain/event.ts"
import { type InstrumentId, venueOf } from "../domain/instrument.ts"
import type { Assignment } from "../domain/strategy.ts"
import { limits } from "../limits.ts"
import type { EventStore } from "../storage/event_store.ts"
import { strategies } from "../strategies/mod.ts"
import { StartFailed } from "./start_failed.ts"
import { type OpenVenue, staleAfterMs, type VenueDoor } from "./venue.ts"
import type { Venues } from "./venues.ts"

export interface ActorParts {
  readonly config: Config
  readonly venues: Venues
  readonly store: EventStore
  readonly model: ReadModel
  readonly started: Event
  readonly system: () => ActorSystem | undefined
  readonly edge: ReadonlyArray<ChildSpec>
}

export function treeOptions(parts: ActorParts): TreeOptions {
  const { config, venues, store, model, started, system, edge } = parts
  const { mailbox, operator, reconnect, restart } = limits
  return {
    intensity: restart.intensity,
    periodMs: restart.periodMs,
    journal: {
      store,
      started,
      mailboxMax: mailbox.journal,
      recentMax: limits.journal.recentMax,
      readPage: limits.journal.pageSize,
    },
    alerter: { mailboxMax: mailbox.account, attemptsMax: reconnect.attemptsMax },
    accounts: venues.open.map((venue) => accountOptions(venue, config)),
    feeds: venues.open.map(feedOptions),
    admission: {
      latecomers: venues.waiting.map((door) => latecomer(door, parts)),
      system,
      backoff: reconnect,
      mailboxMax: mailbox.account,
    },
    roster: {
      system,
      runner: (assignment) => runnerFor(assignment, venues),
      // Of a venue that does not run nothing is assigned, so that it is once it does.
      configured: config.strategies.filter(({ instrument }) =>
        venues.doors.some(({ venue }) => venue === venueOf(instrument))
      ),
      mailboxMax: mailbox.account,
    },
    operator: {
      get instruments() {
        return venues.instruments
      },
      get brokers() {
        return venues.brokers
      },
      system,
      session: ({ id, venue }) =>
        model.feeds.get(venue)?.instruments.find(({ instrument }) => instrument === id)?.session,
      checkStrategy,
      mayCrash: config.mode === "sim",
      mailboxMax: mailbox.account,
      ...operator,
    },
    monitor: {
      model,
      markets: venues.open.map(({ market }) => market),
      instruments: venues.instruments,
      mailboxMax: mailbox.monitor,
      refreshEveryMs: limits.monitor.refreshEveryMs,
      timeoutMs: limits.account.reconcileTimeoutMs,
      chartBars: limits.monitor.chartBars,
    },
    edge,
  }
}

function accountOptions(
  { venue, broker, instruments, rules }: OpenVenue,
  config: Config,
): AccountOptions {
  const { account, mailbox, orders, reconnect } = limits
  return {
    venue,
    reconciler: {
      broker,
      instruments,
      backoff: reconnect,
      mailboxMax: mailbox.account,
      everyMs: account.reconcileEveryMs,
      retryMs: account.reconcileRetryMs,
      timeoutMs: account.reconcileTimeoutMs,
    },
    executor: { broker, mailboxMax: mailbox.account, ...orders },
    riskManager: {
      venue,
      instruments,
      ...(rules && { watchRules: rules.watch }),
      limits: config.risk,
      mailboxMax: mailbox.account,
      pendingForMs: orders.pendingForMs,
    },
    portfolioKeeper: {
      venue,
      mailboxMax: mailbox.account,
      valueEveryMs: account.valueEveryMs,
      markEveryMs: account.markEveryMs,
    },
  }
}

function feedOptions({ config, instruments, market }: OpenVenue): FeedOptions {
  return {
    market,
    instruments: instruments.map(({ id }) => id),
    staleAfterMs: (instrument) => staleAfterMs(config, instrument),
    backoff: limits.reconnect,
    mailboxMax: limits.mailbox.feed,
    ...limits.feed,
  }
}

/** Opened once; whoever asks again afterwards gets the same. */
function latecomer(door: VenueDoor, { config, venues }: ActorParts): Latecomer {
  const { intensity, periodMs } = limits.restart
  const admitted = (venue: OpenVenue) => ({
    account: account(accountOptions(venue, config), { intensity, periodMs }),
    feed: feed(feedOptions(venue)),
  })
  return {
    venue: door.venue,
    open: Effect.suspend(() => {
      const known = venues.named(door.venue)
      if (known !== undefined) return Effect.succeed(admitted(known))
      return Effect.map(door.open, (venue) => {
        venues.open.push(venue)
        return admitted(venue)
      })
    }),
  }
}

function runnerFor(assignment: Assignment, venues: Venues) {
  const venue = venues.named(venueOf(assignment.instrument))
  const instrument = venue?.instruments.find(({ id }) => id === assignment.instrument)
  const entry = strategies.get(assignment.strategy)
  if (venue === undefined || instrument === undefined || entry === undefined) return undefined
  return strategyRunner({
    assignment,
    instrument,
    start: entry.start(assignment.instrument, assignment.params),
    history: venue.market.bars,
    mailboxMax: limits.mailbox.runner,
    staleAfterMs: staleAfterMs(venue.config, assignment.instrument),
    ...limits.runner,
  })
}

function checkStrategy(name: string, instrument: InstrumentId, params: unknown) {
  const entry = strategies.get(name)
  return entry === undefined
    ? Effect.fail(
      new StartFailed({
        message: `strategy must be one of ${[...strategies.keys()].join(", ")}`,
      }),
    )
    : Effect.asVoid(entry.start(instrument, params))
}
