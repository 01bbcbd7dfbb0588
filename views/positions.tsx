/**
 * The open positions, each with the age, source and authority of the price it is valued at.
 *
 * Every row has an id, so a morph keeps the focused button. Buttons instead of a select: arrow keys
 * move through a select, and one that acts on change would sell on the way past "Close".
 */
import type { FC } from "hono/jsx"
import type { PositionView } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import {
  averagePrice,
  price,
  quantity,
  signedPercent,
  signedUsd,
  symbolOf,
  tone,
  venueNameOf,
} from "./format.ts"
import type { PageView } from "./page_view.ts"
import { Elapsed } from "./time.tsx"

export const Positions: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.positions.length === 0
    ? (
      <Empty title="No open position">
        {overview.tradingState === "active"
          ? "The next signal that passes the risk limits opens one."
          : `Trading is ${overview.tradingState}, so none will be opened.`}
      </Empty>
    )
    : (
      <table class="positions">
        <thead>
          <tr>
            <th scope="col">Instrument</th>
            <th scope="col" class="n">Quantity</th>
            <th scope="col" class="n mark">Mark, entry</th>
            <th scope="col" class="wide">Authority of the mark</th>
            <th scope="col" class="n">P&amp;L</th>
            <th scope="col" class="n wider">Realised</th>
            <th scope="col" class="act">Control</th>
          </tr>
        </thead>
        <tbody>
          {overview.positions.map((position) => (
            <Row key={position.instrument} position={position} asOf={overview.asOf} />
          ))}
        </tbody>
      </table>
    )

const Row: FC<{ position: PositionView; asOf: number }> = ({ position, asOf }) => {
  const { instrument, unrealisedPnl } = position
  const isShort = position.quantity.startsWith("-")
  return (
    <tr id={`position-${instrument}`}>
      <th scope="row">
        {symbolOf(instrument)}
        <small class="runners-of" title={position.strategies.join(", ")}>
          {venueNameOf(instrument)}: {position.strategies.map(strategyOf).join(", ") || "operator"}
        </small>
      </th>
      <td class="n">
        {quantity(position.quantity)}
        <small>{isShort ? "short" : "long"}</small>
      </td>
      <td class="n mark">
        {price(position.markPrice)}
        <small>{averagePrice(position.averagePrice, position.markPrice)}</small>
      </td>
      <td class="wide authority-cell">
        <Authority position={position} asOf={asOf} />
      </td>
      <td class={`n ${tone(unrealisedPnl)}`}>
        {signedUsd(unrealisedPnl)}
        <small>{signedPercent(returnRatio(position), 2)}</small>
      </td>
      <td class="n wider">{signedUsd(position.realisedPnl)}</td>
      <td class="act">
        <Control position={position} />
      </td>
    </tr>
  )
}

const authorityWords: Readonly<Record<PositionView["markAuthority"], string>> = {
  may_open: "may open",
  exits_only: "exits only",
  stale: "stale",
}

/** "streamed 0.4 s · may open": where a price is from, how old it is, and what it is good for. */
const Authority: FC<{ position: PositionView; asOf: number }> = ({ position, asOf }) => (
  <span class={`authority ${position.markAuthority}`}>
    {position.markSource === "stream" ? "streamed" : "polled"}{" "}
    <Elapsed at={asOf - position.markAgeMs} as="age" />{" "}
    <b>{authorityWords[position.markAuthority]}</b>
  </span>
)

const Control: FC<{ position: PositionView }> = ({ position }) => {
  const { instrument, control, closing } = position
  const label = `${position.quantity.startsWith("-") ? "short" : "long"} ${
    quantity(position.quantity.replace("-", ""))
  } ${symbolOf(instrument)}`
  return (
    <div class="seg" role="group" aria-label={`Control of ${symbolOf(instrument)}`}>
      {(["auto", "hold"] as const).map((mode) => (
        <button
          type="submit"
          form="form-override"
          key={mode}
          id={`${mode}-${instrument}`}
          name="set"
          value={`${mode} ${instrument}`}
          aria-pressed={String(control === mode)}
          title={mode === "auto"
            ? "The strategy decides"
            : "Hands off: the strategy may not trade it"}
        >
          {mode === "auto" ? "Auto" : "Hold"}
        </button>
      ))}
      <button
        type="submit"
        form="form-close"
        class="close"
        id={`close-${instrument}`}
        name="instrument"
        value={instrument}
        disabled={closing}
        data-open="dialog-close"
        data-fill-close-instrument={instrument}
        data-say-close-what={label}
      >
        {closing ? "Closing" : "Close"}
      </button>
    </div>
  )
}

/** Of the runner `rsi_momentum:BTC/USDT.BINANCE`; the instrument stands above it already. */
function strategyOf(runner: string): string {
  return runner.split(":")[0] ?? runner
}

/** Unrealised profit over cost, for reading only. */
function returnRatio({ unrealisedPnl, averagePrice, quantity }: PositionView): string {
  const cost = Math.abs(Number(averagePrice) * Number(quantity))
  return cost > 0 ? (Number(unrealisedPnl) / cost).toFixed(6) : "0"
}
