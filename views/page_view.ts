/** What the pages draw: the read model, and what only a page remembers. */
import type { EventView, Overview } from "../domain/overview.ts"

export interface PageView {
  readonly overview: Overview
  /** Newest first. The overview's own list may be ahead of or behind the stream; this one is not. */
  readonly events: ReadonlyArray<EventView>
  /** Samples of each key figure, oldest first. */
  readonly sparks: Readonly<Record<FigureName, ReadonlyArray<number>>>
  /** That can be charted: those of a venue that is let in late come late. */
  readonly instruments: ReadonlyArray<string>
}

export const figureNames = [
  "equity",
  "pnl",
  "unrealised",
  "drawdown",
  "exposure",
  "authority",
] as const
export type FigureName = typeof figureNames[number]
