/**
 * Keel's HTTP side: the dashboard, its stream, and the API that scripts use.
 *
 * It shows the read model and hands on commands. It has no state of its own but who is watching,
 * so it may die and come back without trading noticing.
 */
import { type Context, Hono } from "hono"
import { bodyLimit } from "hono/body-limit"
import { CommandRefused } from "../domain/command.ts"
import { assets } from "./assets.ts"
import { Broadcast } from "./broadcast.tsx"
import { decodeCommand } from "./commands.ts"
import { fillsCsv, ordersCsv } from "./csv.ts"
import { formRoutes } from "./forms.tsx"
import { ownPagesOnly, safeAnswers } from "./guard.ts"
import { JournalStream } from "./journal_stream.ts"
import { limits } from "./limits.ts"
import { pageRoutes } from "./pages.tsx"
import type { HttpDeps } from "./ports.ts"
import { ProgressStreams } from "./progress.ts"
import { TokenBucket } from "./token_bucket.ts"

export interface KeelApp {
  readonly app: Hono
  readonly fetch: (request: Request) => Promise<Response>
  /** Resolves when no request is in flight. Streams for browsers are not counted: `close` ends them. */
  readonly idle: () => Promise<void>
  /** Ends every stream and stops listening to the runtime. */
  readonly close: () => void
}

/** `machineNow` counts milliseconds of the machine: in a replay the runtime's clock may stand still. */
export function makeApp(deps: HttpDeps, machineNow = () => performance.now()): KeelApp {
  const broadcast = new Broadcast(deps)
  const journal = new JournalStream(deps.readRecords)
  const progress = new ProgressStreams()
  const bucket = new TokenBucket(limits.commandBurst, limits.commandsPerSecond, machineNow)
  const inFlight = new InFlight()
  const report = deps.reportDefect ?? ((where, cause) => console.error(`${where} failed:`, cause))

  const stops = [
    deps.onChange(() => broadcast.changed()),
    deps.onRecord((record) => {
      broadcast.recorded(record.view)
      journal.committed()
    }),
  ]
  const beat = setInterval(() => {
    broadcast.beat()
    journal.beat()
  }, limits.beatEveryMs)

  const app = new Hono()
    .use(safeAnswers())
    .use(ownPagesOnly(deps.hostnames))
    .use(bodyLimit({
      maxSize: limits.bodyMaxBytes,
      onError: (c) => c.json({ error: `at most ${limits.bodyMaxBytes} bytes, please` }, 413),
    }))
    .get("/", (c) => c.html(broadcast.page()))
    .get("/events", (c) => broadcast.connect(c.req.header("last-event-id") ?? c.req.query("from")))
    .get("/static/:name{.+}", asset)
    .get("/healthz", (c) => {
      const { live, reasons } = deps.health()
      return c.json({ live, reasons }, live ? 200 : 503)
    })
    .get("/readyz", (c) => {
      const { ready, reasons } = deps.health()
      return c.json({ ready, reasons }, ready ? 200 : 503)
    })
    .get("/metrics", (c) =>
      c.body(deps.metrics(), 200, {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
      }))
    .get("/api/v1/state", (c) => c.json(deps.overview()))
    .get("/api/v1/events", (c) => {
      const seen = c.req.header("last-event-id")
      const from = seen ?? c.req.query("from") ?? "0"
      if (!/^\d{1,15}$/.test(from)) {
        return c.json({ error: "from must be the first sequence number wanted, 0 for all" }, 400)
      }
      // `from` is the first one wanted; what a reader that comes back has seen is not.
      return journal.connect(seen === undefined ? Math.max(0, Number(from) - 1) : Number(seen))
    })
    .get("/api/v1/series", (c) => {
      const instrument = c.req.query("instrument") ?? deps.instruments()[0]
      const series = instrument === undefined ? undefined : deps.series(instrument)
      return series ? c.json(series) : c.json({ error: "no such instrument" }, 404)
    })
    .get("/api/v1/orders.csv", (c) => sheet(c, "orders.csv", ordersCsv(deps.orders())))
    .get("/api/v1/fills.csv", (c) => sheet(c, "fills.csv", fillsCsv(deps.fills())))
    .post("/api/v1/commands", (c) => takeCommand(c, deps, bucket))
    .route("/", pageRoutes(deps, broadcast))
    .route("/", formRoutes(deps, broadcast, progress, bucket))
    .notFound((c) => c.text("No such page", 404))
    .onError((error, c) => {
      report(`${c.req.method} ${c.req.path}`, error)
      return c.text("Internal error", 500)
    })

  return {
    app,
    fetch: (request) => inFlight.count(Promise.resolve(app.fetch(request))),
    idle: () => inFlight.none(() => progress.size === 0),
    close: () => {
      clearInterval(beat)
      for (const stop of stops) stop()
      broadcast.close()
      journal.close()
      progress.close()
    },
  }
}

async function takeCommand(c: Context, deps: HttpDeps, bucket: TokenBucket): Promise<Response> {
  if (!c.req.header("content-type")?.startsWith("application/json")) {
    return c.json({ error: "send the command as application/json" }, 415)
  }
  const input = await c.req.json<unknown>().catch(() => undefined)
  if (input === undefined) return c.json({ error: "the body is not JSON" }, 400)
  const decoded = decodeCommand(input)
  if (decoded._tag === "Malformed") return c.json({ error: decoded.message }, 400)
  if (!bucket.admits(decoded.command.type)) {
    return c.json({ error: "too many commands: wait a second" }, 429, { "retry-after": "1" })
  }
  try {
    return c.json(await deps.submit(decoded.command), 202)
  } catch (error) {
    if (!(error instanceof CommandRefused)) throw error
    return c.json({ error: error.message, commandId: decoded.command.commandId }, error.status)
  }
}

function asset(c: Context): Response {
  const found = assets.get(c.req.param("name") ?? "")
  if (!found) return c.text("No such file", 404)
  const isGzip = c.req.header("accept-encoding")?.includes("gzip") ?? false
  return new Response(isGzip ? found.gzip : found.plain, {
    headers: {
      "content-type": found.type,
      "cache-control": "public, max-age=31536000, immutable",
      "vary": "accept-encoding",
      ...(isGzip && { "content-encoding": "gzip" }),
    },
  })
}

function sheet(c: Context, name: string, text: string): Response {
  return c.body(text, 200, {
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": `attachment; filename="keel-${name}"`,
  })
}

/** Requests whose answer has not begun. */
class InFlight {
  #pending = 0
  #settled: Array<() => void> = []

  count(answer: Promise<Response>): Promise<Response> {
    this.#pending += 1
    return answer.finally(() => {
      this.#pending -= 1
      for (const settled of this.#settled.splice(0)) settled()
    })
  }

  async none(isQuiet: () => boolean): Promise<void> {
    while (this.#pending > 0 || !isQuiet()) {
      await new Promise<void>((resolve) => this.#settled.push(resolve))
    }
  }
}
