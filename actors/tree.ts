/**
 * The supervision tree on one screen.
 *
 * Start order is dependency order and stop is the reverse: whoever is needed starts first and stops
 * last. Whatever comes after a failed child starts again with it, because it has built on it; what
 * stands beside it goes on.
 *
 *     root                        rest_for_one
 *     ├─ journal · event_bus · alerter
 *     ├─ accounts                 one_for_one
 *     │  ├─ account:<venue>       rest_for_one   reconciler, executor, risk_manager, portfolio_keeper
 *     │  └─ operator              gets out of the market without feeds and strategies
 *     ├─ feeds                    one_for_one    feed:<venue>
 *     ├─ admission                lets a venue in that did not answer at the start
 *     ├─ strategies               one_for_one    runner:<strategy>:<instrument>
 *     ├─ roster
 *     └─ outside                  one_for_one    monitor, http: may die without touching trading
 */
import { admission, type AdmissionOptions } from "./admission.ts"
import { alerter, type AlerterOptions } from "./alerter.ts"
import { eventBus } from "./event_bus.ts"
import { executor, type ExecutorOptions } from "./executor.ts"
import { feed, type FeedOptions } from "./feed.ts"
import { journal, type JournalOptions } from "./journal.ts"
import { monitor, type MonitorOptions } from "./monitor.ts"
import { operator, type OperatorOptions } from "./operator.ts"
import { portfolioKeeper, type PortfolioKeeperOptions } from "./portfolio_keeper.ts"
import { reconciler, type ReconcilerOptions } from "./reconciler.ts"
import { riskManager, type RiskManagerOptions } from "./risk_manager.ts"
import { roster, type RosterOptions } from "./roster.ts"
import { type ChildSpec, supervisor, type SupervisorSpec } from "./runtime/mod.ts"

export interface AccountOptions {
  readonly venue: string
  readonly reconciler: ReconcilerOptions
  readonly executor: ExecutorOptions
  readonly riskManager: RiskManagerOptions
  readonly portfolioKeeper: PortfolioKeeperOptions
}

export interface TreeOptions {
  readonly intensity: number
  readonly periodMs: number
  readonly journal: JournalOptions
  readonly alerter: AlerterOptions
  readonly accounts: ReadonlyArray<AccountOptions>
  readonly feeds: ReadonlyArray<FeedOptions>
  readonly admission: Omit<AdmissionOptions, "accountsPath" | "feedsPath">
  readonly roster: Omit<RosterOptions, "supervisorPath">
  readonly operator: OperatorOptions
  readonly monitor: MonitorOptions
  /** Servers and whatever else only watches. */
  readonly edge: ReadonlyArray<ChildSpec>
}

/** Of one venue: what comes after a failed child has built on it. */
export function account(
  options: AccountOptions,
  { intensity, periodMs }: Pick<TreeOptions, "intensity" | "periodMs">,
): SupervisorSpec {
  return supervisor({
    name: `account:${options.venue}`,
    strategy: "rest_for_one",
    intensity,
    periodMs,
    restart: "permanent",
    children: [
      reconciler(options.reconciler),
      executor(options.executor),
      riskManager(options.riskManager),
      portfolioKeeper(options.portfolioKeeper),
    ],
  })
}

export function tree(options: TreeOptions): SupervisorSpec {
  const { intensity, periodMs } = options
  const limits = { intensity, periodMs, restart: "permanent" } as const
  return supervisor({
    name: "root",
    strategy: "rest_for_one",
    ...limits,
    children: [
      journal(options.journal),
      eventBus({ mailboxMax: options.journal.mailboxMax }),
      alerter(options.alerter),
      supervisor({
        name: "accounts",
        strategy: "one_for_one",
        ...limits,
        children: [
          ...options.accounts.map((each) => account(each, options)),
          operator(options.operator),
        ],
      }),
      supervisor({
        name: "feeds",
        strategy: "one_for_one",
        ...limits,
        children: options.feeds.map(feed),
      }),
      admission({
        ...options.admission,
        accountsPath: "root/accounts",
        feedsPath: "root/feeds",
      }),
      // Each runner has an intensity of its own and ends alone: however many strategies are broken,
      // the runtime above them is not.
      supervisor({
        name: "strategies",
        strategy: "one_for_one",
        ...limits,
        intensity: Infinity,
        children: [],
      }),
      roster({ ...options.roster, supervisorPath: "root/strategies" }),
      supervisor({
        name: "outside",
        strategy: "one_for_one",
        ...limits,
        children: [monitor(options.monitor), ...options.edge],
      }),
    ],
  })
}
