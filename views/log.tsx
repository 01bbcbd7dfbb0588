/** Journal events in words, newest first. */
import type { FC } from "hono/jsx"
import type { EventView } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { symbolOf } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { Clock } from "./time.tsx"

export const LogLine: FC<{ event: EventView }> = ({ event }) => (
  <li id={`event-${event.seq}`} class={event.tone} data-seq={event.seq}>
    <Clock at={event.time} />
    <b>{symbolOf(event.source)}</b>
    <span>{event.text}</span>
  </li>
)

export const Log: FC<{ view: PageView }> = ({ view: { events } }) => (
  <>{events.map((event) => <LogLine key={event.seq} event={event} />)}</>
)

/** A page of the whole journal, oldest first, as the records were committed. */
export const JournalPage: FC<{
  readonly events: ReadonlyArray<EventView>
  readonly after: number
  readonly rows: number
  readonly lastSeq: number
}> = ({ events, after, rows, lastSeq }) => {
  const last = events.at(-1)?.seq ?? after
  const isMore = events.length === rows
  return (
    <section class="card" aria-labelledby="journal-title">
      <header>
        <h2 id="journal-title">Journal</h2>
        <div class="tools">
          <span class="dim">
            {events.length === 0 ? "no events" : `events ${events[0]?.seq} to ${last}`} of {lastSeq}
          </span>
        </div>
      </header>
      <div class="body">
        {events.length === 0
          ? <Empty title="Nothing here">There is no event after {after}.</Empty>
          : (
            <table class="journal">
              <thead>
                <tr>
                  <th scope="col" class="n">Seq</th>
                  <th scope="col">Time (UTC)</th>
                  <th scope="col">Source</th>
                  <th scope="col">Type</th>
                  <th scope="col">Event</th>
                </tr>
              </thead>
              <tbody>
                {events.map((event) => (
                  <tr key={event.seq} class={event.tone}>
                    <td class="n dim">{event.seq}</td>
                    <td class="dim">
                      <Clock at={event.time} />
                    </td>
                    <th scope="row">{event.source}</th>
                    <td class="dim">{event.type}</td>
                    <td class="text">{event.text}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        <nav class="pager" aria-label="Pages of the journal">
          {after > 0 && (
            <a class="btn" href={`/journal?after=${Math.max(0, after - rows)}`}>Older</a>
          )}
          {isMore && <a class="btn" href={`/journal?after=${last}`}>Newer</a>}
          {isMore && <a class="btn" href="/journal">Newest</a>}
        </nav>
      </div>
    </section>
  )
}
