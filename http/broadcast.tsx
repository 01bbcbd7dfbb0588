/**
 * Turns changes of the read model into what browsers show.
 *
 * One owner of one `PageView`: a page is rendered from it and the hub is fed from it in the same
 * synchronous step, so a page and the stream that continues it never disagree. While nobody watches
 * nothing is rendered.
 */
import type { EventView, FillView, Overview } from "../domain/overview.ts"
import { Dashboard, type Region, regions, Update } from "../views/dashboard.tsx"
import { sample } from "../views/figures.tsx"
import { price, quantity, symbolOf } from "../views/format.ts"
import { LogLine } from "../views/log.tsx"
import { type FigureName, figureNames, type PageView } from "../views/page_view.ts"
import { assetsVersion } from "./assets.ts"
import { Hub } from "./hub.ts"
import { limits } from "./limits.ts"
import type { HttpDeps } from "./ports.ts"

export class Broadcast {
  readonly #hub: Hub
  /** Newest first. */
  #events: ReadonlyArray<EventView>
  readonly #sparks: Record<FigureName, Array<number>>
  #sampledAt = -Infinity
  #sampleEveryMs: number = limits.sparkEveryMs
  readonly #renderedAt = new Map<string, number>()
  #fillsSeen: ReadonlySet<string>

  constructor(private readonly deps: HttpDeps) {
    const overview = deps.overview()
    this.#events = overview.events.slice(0, limits.logLinesMax)
    this.#sparks = {
      equity: [],
      pnl: [],
      unrealised: [],
      drawdown: [],
      exposure: [],
      authority: [],
    }
    this.#fillsSeen = ids(overview.fills)
    this.#hub = new Hub({
      epoch: deps.newId(),
      noticesMax: limits.noticesMax,
      clientsMax: limits.viewersMax,
      snapshot: () => this.#snapshot(),
    })
  }

  get view(): PageView {
    return {
      overview: this.deps.overview(),
      events: this.#events,
      sparks: this.#sparks,
      instruments: this.deps.instruments(),
    }
  }

  /** To be called when the read model has changed, and for every new record. */
  changed(): void {
    const overview = this.deps.overview()
    this.#takeEvents(overview.events)
    this.#takeFills(overview.fills)
    this.#takeSample(overview)
    if (this.#hub.clients === 0) return
    this.#render(false)
    this.#tick(overview)
    this.#hub.flush()
  }

  recorded(event: EventView): void {
    this.#takeEvents([event])
    this.#hub.flush()
  }

  /** Tells browsers that we live, and what time it is here. */
  beat(): void {
    this.changed()
    this.#hub.beat(JSON.stringify({ now: this.deps.now() }))
  }

  page(): string {
    this.#render(true)
    return "<!DOCTYPE html>" + (
      <Dashboard
        view={this.view}
        version={assetsVersion}
        now={this.deps.now()}
        cursor={this.#hub.cursor}
        mode={this.deps.overview().mode}
        newId={this.deps.newId}
        strategies={this.deps.strategies()}
      />
    )
  }

  connect(from: string | undefined): Response {
    this.#render(true)
    return this.#hub.connect(from)
  }

  close(): void {
    this.#hub.close()
  }

  #snapshot(): string {
    const { view } = this
    return regions.map((region) => String(<Update region={region} view={view} />)).join("") + (
      <hx-partial hx-target="#log" hx-swap="innerHTML">
        {this.#events.map((event) => <LogLine key={event.seq} event={event} />)}
      </hx-partial>
    )
  }

  /** Renders the regions that are due, or all of them. */
  #render(isForced: boolean): void {
    const { view } = this
    const now = this.deps.now()
    for (const region of regions) {
      if (!isForced && !this.#isDue(region, now)) continue
      this.#renderedAt.set(region.target, now)
      this.#hub.set(region.target, String(<Update region={region} view={view} />))
    }
  }

  #isDue({ target, everyMs }: Region, now: number): boolean {
    return now - (this.#renderedAt.get(target) ?? -Infinity) >= everyMs
  }

  /** Where the chart goes on from; a browser that was away loads the series again. */
  #tick(overview: Overview): void {
    const prices = overview.feeds.flatMap(({ instruments }) => instruments)
      .filter(({ price, ageMs }) => price !== null && ageMs !== null)
      .map(({ instrument, price, ageMs }) => ({
        instrument,
        time: Math.floor((overview.asOf - Number(ageMs)) / 1000),
        value: Number(price),
      }))
    const { pnl } = sample(overview)
    const tick = { prices, pnl: { time: Math.floor(overview.asOf / 1000), value: pnl } }
    this.#hub.set("tick", JSON.stringify(tick), "tick")
  }

  /** Candidates may repeat and overlap; each event is shown once, in order. */
  #takeEvents(candidates: ReadonlyArray<EventView>): void {
    const lastSeq = this.#events[0]?.seq ?? 0
    const fresh = candidates.filter(({ seq }) => seq > lastSeq).toSorted((a, b) => a.seq - b.seq)
    for (const event of fresh) {
      this.#events = [event, ...this.#events].slice(0, limits.logLinesMax)
      this.#hub.append(String(
        <hx-partial hx-target="#log" hx-swap="afterbegin">
          <LogLine event={event} />
        </hx-partial>,
      ))
    }
  }

  #takeFills(fills: ReadonlyArray<FillView>): void {
    const fresh = fills.filter(({ executionId }) => !this.#fillsSeen.has(executionId))
    if (fresh.length === 0) return
    this.#fillsSeen = ids(fills)
    for (const fill of fresh.toReversed()) this.#hub.append(JSON.stringify(marker(fill)), "fill")
  }

  /** Thinned out by half whenever there are twice as many as are shown, so they span the whole run. */
  #takeSample(overview: Overview): void {
    if (overview.asOf - this.#sampledAt < this.#sampleEveryMs) return
    this.#sampledAt = overview.asOf
    const sampled = sample(overview)
    for (const name of figureNames) this.#sparks[name].push(sampled[name])
    if (this.#sparks.equity.length < limits.sparkPoints * 2) return
    this.#sampleEveryMs *= 2
    for (const name of figureNames) {
      this.#sparks[name] = this.#sparks[name].filter((_, i) => i % 2 === 1)
    }
  }
}

function ids(fills: ReadonlyArray<FillView>): ReadonlySet<string> {
  return new Set(fills.map(({ executionId }) => executionId))
}

function marker(fill: FillView) {
  const { instrument, side, time } = fill
  const text = `${side} ${quantity(fill.quantity)} ${symbolOf(instrument)} at ${price(fill.price)}`
  return { instrument, side, time: Math.floor(time / 1000), text }
}
