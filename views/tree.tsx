/**
 * The supervision tree: who runs, what waits in front of whom, what crashed, why, and what came
 * back. A node opens a panel in which it can be operated.
 */
import type { FC } from "hono/jsx"
import type { ActorView, Overview } from "../domain/overview.ts"
import { Empty } from "./card.tsx"
import { actorName, rate, words } from "./format.ts"
import type { PageView } from "./page_view.ts"
import { actorShape, Dot } from "./status.tsx"
import { Clock, Elapsed } from "./time.tsx"

/** A crash stays marked this long, long enough to be seen from the corner of an eye. */
const JUST_MS = 20_000
const RECENT_MAX = 8

export const Tree: FC<{ view: PageView }> = ({ view: { overview } }) =>
  overview.actors.length === 0
    ? <Empty title="Starting">The tree appears when its root has started.</Empty>
    : (
      <table class="tree">
        <thead>
          <tr>
            <th scope="col">Actor</th>
            <th scope="col" class="n">Mailbox</th>
            <th scope="col" class="n">Rate</th>
            <th scope="col" class="n">Restarts</th>
            <th scope="col" class="n wide">Up</th>
          </tr>
        </thead>
        <tbody>
          {overview.actors.map((actor) => (
            <Node key={actor.path} actor={actor} asOf={overview.asOf} />
          ))}
        </tbody>
      </table>
    )

const Node: FC<{ actor: ActorView; asOf: number }> = ({ actor, asOf }) => {
  const isActor = actor.kind === "actor"
  const isJust = actor.lastCauseAt !== null && asOf - actor.lastCauseAt < JUST_MS
  return (
    <tr id={`actor-${actor.path}`} class={`${actor.kind}${isJust ? " just" : ""}`}>
      <th scope="row">
        <span class="node">
          <span class={`indent d${Math.min(actor.depth, DEPTH_MAX)}`} aria-hidden="true"></span>
          <Dot shape={actorShape(actor.status)} />
          <a href={actorUrl(actor.path)} data-actor={actor.path} title={actor.name}>
            {actorName(actor.name).split(":").map((part, i) =>
              i === 0 ? part : [":", <wbr key={i} />, part]
            )}
          </a>
          {actor.strategy && <span class="strategy">{words(actor.strategy).toLowerCase()}</span>}
          {actor.status !== "running" && <span class="state">{actor.status}</span>}
          {isJust && <span class="cause" title={actor.lastCause ?? ""}>{actor.lastCause}</span>}
        </span>
      </th>
      <td class="n mailbox">
        {actor.dropped > 0 && <small class="wide">{actor.dropped} dropped</small>}
        {isActor && actor.mailboxDepth}
      </td>
      <td class="n">{isActor && `${rate(actor.ratePerSecond)}/s`}</td>
      <td class={`n ${actor.restarts > 0 ? "warn" : "dim"}`}>{actor.restarts}</td>
      <td class="n dim wide">
        <Elapsed at={actor.startedAt} as="up" />
      </td>
    </tr>
  )
}

const DEPTH_MAX = 5

export function actorUrl(path: string): string {
  return `/actors?path=${encodeURIComponent(path)}`
}

/** What crashed last and why; under the tree, so that a red dot never comes without its reason. */
export const Restarts: FC<{ view: PageView }> = ({ view: { overview } }) => {
  const crashed = crashedActors(overview).slice(0, RECENT_MAX)
  const restarts = overview.actors.reduce((sum, { restarts }) => sum + restarts, 0)
  return (
    <>
      <h3>
        Recent restarts <span class="dim">{restarts} in all</span>
      </h3>
      {crashed.length === 0
        ? (
          <p class="calm">
            None in{" "}
            <Elapsed at={overview.startedAt} as="up" />. A crash restarts the actor alone, keeps its
            mailbox, and is listed here with its cause.
          </p>
        )
        : (
          <ol>
            {crashed.map((actor) => (
              <li key={actor.path} id={`restart-${actor.path}`}>
                {actor.lastCauseAt !== null && <Clock at={actor.lastCauseAt} />}
                <b title={actor.name}>{actorName(actor.name)}</b>
                <span class="text">{actor.lastCause}</span>
                <span class={`after ${actor.status === "running" ? "up" : "warn"}`}>
                  {actor.status === "running" ? "running again" : actor.status}
                </span>
              </li>
            ))}
          </ol>
        )}
    </>
  )
}

function crashedActors({ actors }: Overview): ReadonlyArray<ActorView> {
  return actors.filter(({ lastCauseAt }) => lastCauseAt !== null)
    .toSorted((a, b) => (b.lastCauseAt ?? 0) - (a.lastCauseAt ?? 0))
}

/** The panel of one node: the dialog's body, and a page of its own without script. */
export const ActorPanel: FC<{ actor: ActorView; view: PageView }> = ({ actor, view }) => {
  const events = view.events.filter(({ source }) => isAbout(source, actor)).slice(0, RECENT_MAX)
  const isActor = actor.kind === "actor"
  return (
    <>
      <p class="panel-state">
        <Dot shape={actorShape(actor.status)} />
        <b>{actor.status}</b>
        <span class="dim">
          {isActor ? "actor" : `supervisor, ${words(actor.strategy ?? "").toLowerCase()}`}, up{" "}
          <Elapsed at={actor.startedAt} as="up" />
        </span>
      </p>
      <dl class="facts">
        {isActor && (
          <>
            <div>
              <dt>Mailbox</dt>
              <dd>{actor.mailboxDepth}</dd>
            </div>
            <div>
              <dt>Rate</dt>
              <dd>{rate(actor.ratePerSecond)}/s</dd>
            </div>
          </>
        )}
        <div>
          <dt>Dropped</dt>
          <dd>{actor.dropped}</dd>
        </div>
        <div>
          <dt>Restarts</dt>
          <dd class={actor.restarts > 0 ? "warn" : ""}>{actor.restarts}</dd>
        </div>
      </dl>
      <h3>Last cause</h3>
      {actor.lastCause === null
        ? <p class="calm">It has not crashed in this run.</p>
        : (
          <p class="panel-cause">
            {actor.lastCauseAt !== null && <Elapsed at={actor.lastCauseAt} />} {actor.lastCause}
          </p>
        )}
      <h3>Last events</h3>
      {events.length === 0
        ? <p class="calm">None in the log of this page.</p>
        : (
          <ol class="log small">
            {events.map((event) => (
              <li key={event.seq} class={event.tone}>
                <Clock at={event.time} />
                <span>{event.text}</span>
              </li>
            ))}
          </ol>
        )}
    </>
  )
}

/** Events name a part by its role (`executor`) or by what it runs (`rsi_momentum:BTC/USDT.BINANCE`). */
function isAbout(source: string, { name, path }: ActorView): boolean {
  const [role] = name.split(":")
  return [name, path, role].includes(source) ||
    name === `runner:${source.replace("/", "-")}`
}
