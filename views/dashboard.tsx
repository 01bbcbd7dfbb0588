/**
 * The overview page, and the regions of it that are streamed.
 *
 * A region is a function of data, the same inside the first page and inside a streamed partial, so
 * a thing looks the same however it arrived. The chart and every form stay outside of them.
 */
import type { FC } from "hono/jsx"
import { Accounts } from "./account.tsx"
import { Card } from "./card.tsx"
import { Dialogs, type DialogsProps } from "./dialogs.tsx"
import { Feeds } from "./feeds.tsx"
import { Figure, Figures, Spark } from "./figures.tsx"
import { symbolOf, venueNameOf } from "./format.ts"
import { PauseButton, ReplayBar, Status, Strip } from "./header.tsx"
import { Frame } from "./layout.tsx"
import { Log } from "./log.tsx"
import { Orders } from "./orders.tsx"
import { figureNames, type PageView } from "./page_view.ts"
import { Positions } from "./positions.tsx"
import { Strategies } from "./strategies.tsx"
import { Restarts, Tree } from "./tree.tsx"

export interface Region {
  /** Id of the element whose content this is. */
  readonly target: string
  readonly Content: FC<{ view: PageView }>
  /** Not more often than this; readers of a moving table need it to stand still at times. */
  readonly everyMs: number
}

const CALM_MS = 1_000
/** A little less than the read model changes, or every other change would wait for the next. */
const LIVELY_MS = 200

export const regions: ReadonlyArray<Region> = [
  { target: "status", Content: Status, everyMs: 0 },
  { target: "pause-slot", Content: PauseButton, everyMs: 0 },
  { target: "pause-slot-bar", Content: PauseButton, everyMs: 0 },
  { target: "strip", Content: Strip, everyMs: 0 },
  { target: "replay", Content: ReplayBar, everyMs: CALM_MS },
  ...figureNames.flatMap((name): ReadonlyArray<Region> => [
    {
      target: `figure-${name}`,
      Content: ({ view }) => <Figure name={name} view={view} />,
      everyMs: 0,
    },
    {
      target: `spark-${name}`,
      Content: ({ view }) => <Spark points={view.sparks[name]} />,
      everyMs: CALM_MS,
    },
  ]),
  { target: "chart-instruments", Content: ChartInstruments, everyMs: CALM_MS },
  { target: "positions-region", Content: Positions, everyMs: LIVELY_MS },
  { target: "orders-region", Content: Orders, everyMs: 0 },
  { target: "strategies-region", Content: Strategies, everyMs: CALM_MS },
  { target: "tree-region", Content: Tree, everyMs: CALM_MS },
  { target: "restarts", Content: Restarts, everyMs: 0 },
  { target: "feeds-region", Content: Feeds, everyMs: 2 * LIVELY_MS },
  { target: "account-region", Content: Accounts, everyMs: CALM_MS },
]

/** New content for every page that shows `target`. A missing target is skipped in silence. */
export const Update: FC<{ region: Region; view: PageView }> = (
  { region: { target, Content }, view },
) => (
  <hx-partial hx-target={`#${target}`} hx-swap="innerMorph">
    <Content view={view} />
  </hx-partial>
)

interface DashboardProps extends DialogsProps {
  readonly view: PageView
  readonly version: string
  readonly now: number
  /** `hub.cursor` at rendering: the stream continues exactly where this page ends. */
  readonly cursor: string
}

const sections = [
  ["positions", "Positions"],
  ["tree", "Supervision"],
  ["feeds", "Feeds"],
  ["orders", "Orders"],
  ["strategies", "Strategies"],
  ["events", "Events"],
] as const

const scripts = ["htmx.js", "connection.js", "chart.js", "page.js"]

export const Dashboard: FC<DashboardProps> = (props) => {
  const { view, version, now, cursor } = props
  const { overview } = view
  return (
    <Frame
      title="Keel"
      overview={overview}
      version={version}
      now={now}
      scripts={scripts}
      nav={
        <nav class="sections" aria-label="Sections">
          {sections.map(([name, title]) => <a href={`#${name}`} key={name}>{title}</a>)}
        </nav>
      }
      status={<Controls view={view} />}
    >
      <div id="lost" class="lost" role="alert" hidden>
        <b>Connection to Keel lost.</b> Everything below is as it was{" "}
        <time id="lost-at" data-elapsed="ago"></time>{" "}
        and not updating. Whether orders were filled since is unknown; Keel goes on without this
        page.
      </div>
      <div id="frozen" class="frozen" hidden>
        View frozen <time id="frozen-at" data-elapsed="ago"></time>. Trading goes on.
        <button type="button" class="btn small" data-freeze>Go on</button>
      </div>
      {/* "none": only partials are swapped, so no stray text or error page replaces the page. */}
      <main
        id="main"
        tabindex={-1}
        hx-sse:connect={`/events?from=${cursor}`}
        hx-trigger="load, keel:connect"
        hx-swap="none"
      >
        <div id="replay">
          <ReplayBar view={view} />
        </div>
        <div id="strip" class="strip">
          <Strip view={view} />
        </div>
        <Figures view={view} />
        <div class="columns">
          <div class="column">
            <ChartCard view={view} />
            <Card
              name="positions"
              title="Positions"
              tools={<a href="/api/v1/fills.csv" download>Fills as CSV</a>}
            >
              <div id="positions-region" class="scroll" {...scrolled("Table of positions")}>
                <Positions view={view} />
              </div>
            </Card>
            <Card name="strategies" title="Strategies">
              <div id="strategies-region">
                <Strategies view={view} />
              </div>
            </Card>
            <Card name="account" title="Accounts">
              <div id="account-region">
                <Accounts view={view} />
              </div>
            </Card>
            <Card
              name="orders"
              title="Orders"
              tools={<a href="/api/v1/orders.csv" download>Orders as CSV</a>}
            >
              <div id="orders-region" class="scroll tall" {...scrolled("Table of orders")}>
                <Orders view={view} />
              </div>
            </Card>
          </div>
          <div class="column">
            <Card name="tree" title="Supervision tree">
              <div id="tree-region">
                <Tree view={view} />
              </div>
              <div id="restarts" class="restarts">
                <Restarts view={view} />
              </div>
            </Card>
            <Card name="feeds" title="Market data">
              <div id="feeds-region">
                <Feeds view={view} />
              </div>
            </Card>
            <Card
              name="events"
              title="Events"
              tools={
                <>
                  <input
                    id="log-filter"
                    type="search"
                    placeholder="Filter"
                    aria-label="Filter events"
                    autocomplete="off"
                  />
                  <a href="/journal">Whole journal</a>
                </>
              }
            >
              <div class="log-scroll" {...scrolled("List of events")}>
                <ol id="log" class="log">
                  <Log view={view} />
                </ol>
              </div>
              <p id="log-none" class="calm" hidden></p>
            </Card>
          </div>
        </div>
        <Footer view={view} />
      </main>
      <div class="bar">
        <FreezeButton />
        <span id="pause-slot-bar">
          <PauseButton view={view} />
        </span>
        <FlattenButton />
      </div>
      <div id="toasts" role="status" aria-live="polite"></div>
      <div id="alarms" role="alert"></div>
      <Dialogs mode={props.mode} newId={props.newId} strategies={props.strategies} />
    </Frame>
  )
}

/** What scrolls must be reachable by keyboard, and say what it is. */
function scrolled(label: string) {
  return { tabindex: 0, role: "region", "aria-label": label }
}

const Controls: FC<{ view: PageView }> = ({ view }) => (
  <>
    <span id="status" class="pills">
      <Status view={view} />
    </span>
    <span class="pill link" title="This page to Keel">
      <i class="dot" aria-hidden="true"></i>
      <span class="who">Page</span>
      <span class="what" id="link" role="status">connecting</span>
    </span>
    <span class="icons">
      <FreezeButton />
      <button type="button" class="icon" id="theme">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z" />
        </svg>
        <span class="sr">Light or dark</span>
      </button>
      <button type="button" class="icon" id="keys" data-open="dialog-keys">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M3 6.5h18v11H3zM7 14h10M7 10h.01M11 10h.01M15 10h.01" />
        </svg>
        <span class="sr">Keyboard shortcuts</span>
      </button>
    </span>
    <span class="commands">
      <span id="pause-slot">
        <PauseButton view={view} />
      </span>
      <FlattenButton />
    </span>
  </>
)

/** What updates by itself must be stoppable; trading is not. */
const FreezeButton: FC = () => (
  <button type="button" class="icon" data-freeze aria-pressed="false" title="Freeze view">
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d="M12 3v18M4.2 7.5l15.6 9M19.8 7.5l-15.6 9" />
    </svg>
    <span class="sr">Freeze view</span>
  </button>
)

const FlattenButton: FC = () => (
  <button
    type="submit"
    form="form-flatten"
    formnovalidate
    class="btn danger"
    data-open="dialog-flatten"
    data-fill-flatten-account=""
    data-say-flatten-what="everything"
  >
    Flatten
  </button>
)

/** The canvas is opaque to readers of the page: the label sums it up, the table and CSV have the data. */
const ChartCard: FC<{ view: PageView }> = ({ view }) => (
  <Card
    name="chart"
    title="Price and profit"
    tools={
      <>
        <span class="legend" aria-hidden="true">
          <i class="key price"></i>Price
          <i class="key buy"></i>Buy
          <i class="key sell"></i>Sell
          <i class="key pnl"></i>P&amp;L
        </span>
        <div id="chart-instruments" class="seg" role="group" aria-label="Instrument of the chart">
          <ChartInstruments view={view} />
        </div>
      </>
    }
  >
    <p class="readout" aria-hidden="true">
      <span>
        Last <b id="readout-price"></b>
      </span>
      <span>
        P&amp;L <b id="readout-pnl"></b>
      </span>
    </p>
    <div
      id="chart-canvas"
      class="chart"
      role="img"
      aria-label="Price with our fills, and profit and loss below"
      data-instrument={view.instruments[0] ?? ""}
    >
    </div>
    <p id="chart-none" class="chart-none" hidden>Waiting for the first price</p>
  </Card>
)

/** Which of them is chosen is the browser's to remember. */
function ChartInstruments({ view: { instruments } }: { view: PageView }) {
  return (
    <>
      {instruments.map((instrument, i) => (
        <button
          type="button"
          key={instrument}
          id={`chart-${instrument}`}
          data-instrument={instrument}
          aria-pressed={String(i === 0)}
          title={venueNameOf(instrument)}
        >
          {symbolOf(instrument)}
        </button>
      ))}
    </>
  )
}

const Footer: FC<{ view: PageView }> = ({ view: { overview } }) => (
  <footer class="foot">
    <span>Keel {overview.version}</span>
    <span>Times in UTC</span>
    <span>
      <a href="/api/v1/state">State</a> <a href="/metrics">Metrics</a>{" "}
      <a href="/journal">Journal</a>
    </span>
    <span>
      Charts by{" "}
      <a href="https://www.tradingview.com/" rel="noreferrer">TradingView Lightweight Charts</a>
    </span>
  </footer>
)
