/** Who runs: the supervision tree line by line, and what its strategies make of it. */
import { formatDecimal } from "../../domain/decimal.ts"
import type { ActorView, StrategyView } from "../../domain/overview.ts"
import { runnerOf } from "../names.ts"
import type { TreeNode } from "../runtime/mod.ts"
import type { Facts } from "./facts.ts"

export function strategyViews({ books, runners, system }: Facts): ReadonlyArray<StrategyView> {
  const { assignments, holds, tradingState } = books
  const statuses = new Map(nodesOf(system?.tree()).map(({ node }) => [node.name, node.status]))
  return [...assignments.values()].map((assignment): StrategyView => {
    const runner = runners.get(assignment.id)
    const node = statuses.get(runnerOf(assignment.id).id)
    const paused = tradingState === "halted" || holds.has(assignment.instrument)
    const running = node === "restarting" || node === "starting"
      ? "restarting"
      : node === undefined || node === "stopped" || node === "failed"
      ? "stopped"
      : paused
      ? "paused"
      : runner?.status ?? "warming_up"
    return {
      id: assignment.id,
      strategy: assignment.strategy,
      instrument: assignment.instrument,
      interval: assignment.interval,
      params: { ...assignment.params },
      notional: formatDecimal(assignment.notional),
      bars: 0,
      signals: 0,
      indicators: {},
      holding: "0",
      ...runner,
      status: running,
    }
  })
}

/** What an actor had done when its rate was measured, in messages a second. */
interface Rate {
  readonly processed: number
  readonly at: number
  readonly perSecond: number
}

/** Remembers its last look at whoever is there: a rate needs two. */
export class ActorViews {
  private rates: ReadonlyMap<string, Rate> = new Map()

  /** Depth first, parents before children. */
  look({ system }: Facts, now: number): ReadonlyArray<ActorView> {
    const nodes = nodesOf(system?.tree())
    this.rates = new Map(
      nodes.map(({ node }) => [node.path, rateOf(node, this.rates.get(node.path), now)]),
    )
    return nodes.map(({ node, depth }) => ({
      path: node.path,
      name: node.name,
      depth,
      kind: node.kind,
      ...(node.strategy !== undefined && { strategy: node.strategy }),
      status: node.status,
      restarts: node.restarts,
      mailboxDepth: node.mailboxDepth,
      ratePerSecond: this.rates.get(node.path)?.perSecond ?? 0,
      // A price that a newer one has replaced was not lost.
      dropped: node.dropped - node.conflated,
      startedAt: node.startedAt,
      lastCause: node.lastCause ?? null,
      lastCauseAt: node.lastCauseAt ?? null,
    }))
  }
}

/** Over at least one second. */
function rateOf({ processed }: TreeNode, before: Rate | undefined, now: number): Rate {
  if (before === undefined || processed < before.processed) {
    return { processed, at: now, perSecond: 0 }
  }
  if (now - before.at < 1_000) return before
  const perSecond = Math.round((processed - before.processed) * 1_000 / (now - before.at))
  return { processed, at: now, perSecond }
}

interface Branch {
  readonly node: TreeNode
  readonly depth: number
}

function nodesOf(node: TreeNode | undefined, depth = 0): ReadonlyArray<Branch> {
  if (node === undefined) return []
  return [{ node, depth }, ...node.children.flatMap((child) => nodesOf(child, depth + 1))]
}
