/** The six key figures, each with its course since this run began. */
import type { FC } from "hono/jsx"
import type { Overview } from "../domain/overview.ts"
import { figure, minus, percent, signedUsd, tone, usd } from "./format.ts"
import { type FigureName, figureNames, type PageView } from "./page_view.ts"

const titles: Readonly<Record<FigureName, string>> = {
  equity: "Equity",
  pnl: "Profit and loss",
  unrealised: "Unrealised",
  drawdown: "Drawdown",
  exposure: "Exposure",
  authority: "May open",
}

/** Drawdown is worth a colour from these ratios on. */
const DRAWDOWN_WARNING = 0.02
const DRAWDOWN_ALARM = 0.05

export const Figures: FC<{ view: PageView }> = ({ view }) => (
  <section class="figures" aria-label="Key figures" id="overview">
    {figureNames.map((name) => (
      <div class="figure" key={name}>
        <h2>{titles[name]}</h2>
        <div id={`figure-${name}`}>
          <Figure name={name} view={view} />
        </div>
        <div id={`spark-${name}`} class="spark" aria-hidden="true">
          <Spark points={view.sparks[name]} />
        </div>
      </div>
    ))}
  </section>
)

interface Reading {
  readonly value: string
  readonly note: string
  readonly tone: string
}

export const Figure: FC<{ name: FigureName; view: PageView }> = ({ name, view }) => {
  const { value, note, tone } = read(name, view.overview)
  return (
    <>
      <p class={`value ${tone}`}>{value}</p>
      <p class="note">{note}</p>
    </>
  )
}

function read(name: FigureName, overview: Overview): Reading {
  const { equity, positions, fills } = overview
  switch (name) {
    case "equity":
      return { value: usd(equity.total), note: `cash ${usd(equity.cash)}`, tone: "" }
    case "pnl": {
      const pnl = minus(equity.total, equity.start)
      return {
        value: signedUsd(pnl),
        note: `realised ${signedUsd(equity.realisedPnl)}, fees ${usd(equity.fees)}`,
        tone: tone(pnl),
      }
    }
    case "unrealised":
      return {
        value: signedUsd(equity.unrealisedPnl),
        note: count(positions.length, "open position"),
        tone: tone(equity.unrealisedPnl),
      }
    case "drawdown": {
      const ratio = Number(equity.drawdown)
      return {
        value: percent(`-${equity.drawdown}`),
        note: `largest, from peak ${usd(equity.peak)}`,
        tone: ratio >= DRAWDOWN_ALARM ? "down" : ratio >= DRAWDOWN_WARNING ? "warn" : "",
      }
    }
    case "exposure": {
      const total = Number(equity.total)
      const share = total > 0 ? Number(equity.exposure) / total : 0
      return {
        value: usd(equity.exposure, 0),
        note: `${figure(String((share * 100).toFixed(1)), 1)}% of equity, ${
          count(fills.length, "fill")
        }`,
        tone: "",
      }
    }
    case "authority": {
      const instruments = overview.feeds.flatMap((feed) => feed.instruments)
      const fresh = mayOpen(overview)
      const isHalted = overview.tradingState !== "active"
      return {
        value: `${fresh} of ${instruments.length}`,
        note: instruments.every(({ ageMs }) => ageMs === null)
          ? "waiting for the first price"
          : isHalted
          ? `trading is ${overview.tradingState}`
          : fresh === instruments.length
          ? "every price streamed and fresh"
          : "the others: exits only",
        tone: fresh < instruments.length ? "warn" : "",
      }
    }
  }
}

/** Instruments whose prices are streamed and fresh: the only ones that may be bought or sold short. */
export function mayOpen({ feeds }: Overview): number {
  return feeds.flatMap(({ instruments }) => instruments)
    .filter(({ fresh, source }) => fresh && source === "stream").length
}

/** What the sparklines sample; a canvas has no decimals. */
export function sample(overview: Overview): Readonly<Record<FigureName, number>> {
  const { equity } = overview
  return {
    equity: Number(equity.total),
    pnl: Number(equity.total) - Number(equity.start),
    unrealised: Number(equity.unrealisedPnl),
    drawdown: -Number(equity.drawdown),
    exposure: Number(equity.exposure),
    authority: mayOpen(overview),
  }
}

const WIDTH = 120
const HEIGHT = 24

export const Spark: FC<{ points: ReadonlyArray<number> }> = ({ points }) => {
  const low = Math.min(...points)
  const span = Math.max(...points) - low
  const step = WIDTH / Math.max(1, points.length - 1)
  const line = points.map((value, i) => {
    const height = span > 0 ? (value - low) / span : 0.5
    return `${round(i * step)},${round(HEIGHT - 2 - height * (HEIGHT - 4))}`
  }).join(" ")
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none">
      {points.length > 1 && <polyline points={line} />}
    </svg>
  )
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`
}
