/**
 * States as shape, word and colour, in that order: a circle is well, a diamond is degraded, a
 * square is down, a ring is waiting.
 */
import type { FC } from "hono/jsx"
import type {
  AccountView,
  ActorView,
  LinkStatus,
  OrderStatus,
  StrategyView,
} from "../domain/overview.ts"

export type Shape = "ok" | "degraded" | "down" | "waiting" | "off"

export const Dot: FC<{ shape: Shape }> = ({ shape }) => (
  <i class={`dot ${shape}`} aria-hidden="true"></i>
)

export function linkShape(status: LinkStatus): Shape {
  switch (status) {
    case "streaming":
      return "ok"
    case "connecting":
      return "waiting"
    case "polling":
    case "reconnecting":
      return "degraded"
    case "down":
      return "down"
  }
}

export function accountShape(status: AccountView["status"]): Shape {
  switch (status) {
    case "ready":
      return "ok"
    case "connecting":
    case "reconciling":
      return "waiting"
    case "degraded":
      return "degraded"
    case "down":
      return "down"
  }
}

export function actorShape(status: ActorView["status"]): Shape {
  switch (status) {
    case "running":
      return "ok"
    case "starting":
      return "waiting"
    case "restarting":
      return "degraded"
    case "stopping":
    case "stopped":
      return "off"
    case "failed":
      return "down"
  }
}

export function strategyShape(status: StrategyView["status"]): Shape {
  switch (status) {
    case "running":
      return "ok"
    case "warming_up":
      return "waiting"
    case "restarting":
      return "degraded"
    case "paused":
    case "stopped":
      return "off"
  }
}

/** The tone of an order's tag. */
export function orderTone(status: OrderStatus): "open" | "done" | "bad" | "unknown" | "off" {
  switch (status) {
    case "submitted":
    case "accepted":
    case "partially_filled":
    case "cancel_pending":
      return "open"
    case "filled":
      return "done"
    case "rejected":
    case "denied":
      return "bad"
    case "unconfirmed":
      return "unknown"
    case "canceled":
    case "expired":
      return "off"
  }
}

/** Worst first: what a summary of several links must show. */
export function worst(shapes: ReadonlyArray<Shape>): Shape {
  const order: ReadonlyArray<Shape> = ["down", "degraded", "waiting", "off", "ok"]
  return order.find((shape) => shapes.includes(shape)) ?? "off"
}
