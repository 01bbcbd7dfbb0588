/** What decides: each runner with its parameters, what it sees, what it said last, what it holds. */
import type { FC } from "hono/jsx"
import type { StrategyView } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { quantity, symbolOf, venueNameOf, words } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { Dot, strategyShape } from "./status.tsx"
import { Elapsed } from "./time.tsx"

export const Strategies: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.strategies.length === 0
    ? <Empty title="No strategy">Assign one to an instrument in keel.json.</Empty>
    : (
      <ul class="runners">
        {overview.strategies.map((runner) => <Runner key={runner.id} runner={runner} />)}
      </ul>
    )

const Runner: FC<{ runner: StrategyView }> = ({ runner }) => (
  <li id={`runner-${runner.id}`}>
    <div class="runner-head">
      <Dot shape={strategyShape(runner.status)} />
      <b>{symbolOf(runner.instrument)}</b>
      <span class="dim">{venueNameOf(runner.instrument)}</span>
      <span>{words(runner.strategy)}</span>
      <span class="dim">{words(runner.status).toLowerCase()}</span>
      <button
        type="submit"
        form="form-swap"
        formnovalidate
        class="btn small"
        id={`swap-${runner.id}`}
        name="runner"
        value={runner.id}
        data-open="dialog-swap"
        data-fill-swap-runner={runner.id}
        data-say-swap-what={`${words(runner.strategy)} on ${symbolOf(runner.instrument)}`}
        data-swap-from={runner.strategy}
        data-swap-params={JSON.stringify(runner.params)}
      >
        Swap
      </button>
    </div>
    <dl class="facts">
      {Object.entries(runner.params).map(([name, value]) => (
        <div key={name}>
          <dt>{words(name).toLowerCase()}</dt>
          <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
        </div>
      ))}
      {Object.entries(runner.indicators).map(([name, value]) => (
        <div key={name} class="indicator">
          <dt>{words(name).toLowerCase()}</dt>
          <dd>{value.replace("-", "\u2212")}</dd>
        </div>
      ))}
      <div>
        <dt>{runner.interval} bars</dt>
        <dd>{runner.bars}</dd>
      </div>
      <div>
        <dt>signals</dt>
        <dd>{runner.signals}</dd>
      </div>
      <div>
        <dt>holds</dt>
        <dd>{quantity(runner.holding)}</dd>
      </div>
    </dl>
    <p class="signal">
      {runner.lastSignal === undefined ? <span class="dim">No signal yet</span> : (
        <>
          {runner.lastSignal} {runner.lastSignalAt !== undefined && (
            <span class="dim">
              <Elapsed at={runner.lastSignalAt} />
            </span>
          )}
        </>
      )}
    </p>
  </li>
)
