/**
 * Actors for Effect on Deno: OTP's supervision, bounded mailboxes, and a hot path
 * that suspends no fiber. `README.md` beside this file teaches it.
 */
export { ask, AskError, offer, type ReplyTo } from "./ask.ts"
export {
  type ActorContext,
  type ActorName,
  actorName,
  type ActorRef,
  type Become,
  become,
  type Behavior,
  behavior,
  type BehaviorOptions,
  type Down,
  type ExitReason,
  type Mailbox,
  type Monitor,
  type Receive,
  type Stop,
  stop,
} from "./behavior.ts"
export { StartError, type Status, type TreeNode } from "./child.ts"
export {
  type Dispatcher,
  type DispatcherOptions,
  EventLoopDispatcher,
  type Runnable,
} from "./dispatcher.ts"
export { forever } from "./forever.ts"
export { type DeadLetter, type ReportKind, type SupervisionReport } from "./report.ts"
export {
  type AutoShutdown,
  backoffMs,
  type BackoffPolicy,
  type Restart,
  type Strategy,
} from "./restart_policy.ts"
export {
  type ChildSpec,
  ManagementError,
  RestartIntensityExceeded,
  supervisor,
  type SupervisorOptions,
  type SupervisorSpec,
} from "./supervisor.ts"
export {
  type ActorSystem,
  type ChildCount,
  type RootExit,
  start,
  type StartOptions,
} from "./system.ts"
export { type Timer } from "./timers.ts"
