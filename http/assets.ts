/**
 * The browser's files as part of the module graph: pinned by the lock file, no CDN, no build step,
 * and a server that needs no permission to read the disk.
 */
import htmx from "htmx.org/dist/htmx.min.js" with { type: "text" }
import sse from "htmx.org/dist/ext/hx-sse.min.js" with { type: "text" }
import charts from "../views/static/vendor/lightweight-charts-5.2.1.mjs" with { type: "text" }
import css from "../views/static/app.css" with { type: "text" }
import chart from "../views/static/chart.js" with { type: "text" }
import connection from "../views/static/connection.js" with { type: "text" }
import icon from "../views/static/icon.svg" with { type: "text" }
import page from "../views/static/page.js" with { type: "text" }

const SCRIPT = "text/javascript; charset=utf-8"
const sources: Readonly<Record<string, readonly [text: string, type: string]>> = {
  // One file: deferred, htmx starts in the next turn of the event loop, and an extension that comes
  // as a file of its own may be too late for it. Such a page never opens its stream.
  "htmx.js": [`${htmx}\n${sse}`, SCRIPT],
  // The checker takes an imported .mjs for a module; the attribute makes it text.
  "vendor/lightweight-charts-5.2.1.mjs": [charts as unknown as string, SCRIPT],
  "chart.js": [chart, SCRIPT],
  "connection.js": [connection, SCRIPT],
  "page.js": [page, SCRIPT],
  "app.css": [css, "text/css; charset=utf-8"],
  "icon.svg": [icon, "image/svg+xml"],
}

export interface Asset {
  readonly type: string
  readonly plain: Uint8Array<ArrayBuffer>
  readonly gzip: Uint8Array<ArrayBuffer>
}

/** By file name, compressed once at start. */
export const assets: ReadonlyMap<string, Asset> = new Map(
  await Promise.all(
    Object.entries(sources).map(async ([name, [text, type]]) => {
      const plain = new TextEncoder().encode(text)
      return [name, { type, plain, gzip: await gzip(plain) }] as const
    }),
  ),
)

/** Changes when any file does, so that browsers may keep the files for ever. */
export const assetsVersion: string = await digest(
  Object.values(sources).map(([text]) => text).join("\0"),
)

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))
  return new Uint8Array(hash).toHex().slice(0, 12)
}
