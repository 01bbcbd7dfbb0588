/**
 * The frame of every page: scripts and styles by address, never inline, so that the content policy
 * needs no exception.
 */
import type { Child, FC, PropsWithChildren } from "hono/jsx"
import type { Overview } from "../domain/overview.ts"
import { ModeBadge } from "./header.tsx"

/** Plain JSON in a meta element: nothing a strict content policy would have to allow. */
const htmxConfig = JSON.stringify({
  includeIndicatorCSS: false,
  history: false,
  // htmx 4 swaps error bodies unless told not to; an error page must not replace the positions.
  noSwap: [204, 304, "4xx", "5xx"],
  morphIgnore: ["data-htmx-powered", "open"],
  // A peer that accepts and never answers would otherwise hold a reconnect for 60 s. These hold for
  // every stream: with `reconnect` or `pauseOnBackground` here, a flatten would be posted again.
  sse: { reconnectDelay: 500, reconnectMaxDelay: 2000, connectTimeout: 3000 },
})

interface FrameProps {
  readonly title: string
  readonly overview: Overview
  /** Of the static files. */
  readonly version: string
  /** Server time at rendering, against which the browser's clock is corrected. */
  readonly now: number
  /** Links to sections, between the brand and the status. */
  readonly nav?: Child
  /** Right of the mode. */
  readonly status?: Child
  readonly scripts?: ReadonlyArray<string>
}

export const Frame: FC<PropsWithChildren<FrameProps>> = (props) => (
  <html lang="en" data-mode={props.overview.mode} data-link="connecting">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="dark light" />
      <meta name="htmx-config" content={htmxConfig} />
      <meta name="keel-now" content={String(props.now)} />
      <title>{props.title}</title>
      <link rel="icon" href={`/static/icon.svg?v=${props.version}`} type="image/svg+xml" />
      <link rel="stylesheet" href={`/static/app.css?v=${props.version}`} />
      {(props.scripts ?? []).map((name) =>
        // The library is a classic script, and modules run after it.
        name === "htmx.js"
          ? <script defer key={name} src={`/static/${name}?v=${props.version}`}></script>
          : (
            <script
              type="module"
              key={name}
              src={`/static/${name}?v=${props.version}`}
            >
            </script>
          )
      )}
    </head>
    <body>
      <a class="skip" href="#main">Skip to content</a>
      <header class="top">
        <a class="brand" href="/" aria-label="Keel, to the overview">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M3 9h18c-1 5-4.5 8.5-9 11.5C7.5 17.5 4 14 3 9Z" />
            <path d="M12 3v17.5" />
          </svg>
          Keel
        </a>
        <ModeBadge overview={props.overview} />
        {props.nav}
        <span class="grow"></span>
        {props.status}
      </header>
      {props.children}
    </body>
  </html>
)
