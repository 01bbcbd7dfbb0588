/** The pages beside the overview, all without a stream: one actor, and the whole journal. */
import { Hono } from "hono"
import { PlainPage } from "../views/ask.tsx"
import { OperateForm } from "../views/dialogs.tsx"
import { JournalPage } from "../views/log.tsx"
import { ActorPanel } from "../views/tree.tsx"
import { assetsVersion } from "./assets.ts"
import type { Broadcast } from "./broadcast.tsx"
import { limits } from "./limits.ts"
import type { HttpDeps } from "./ports.ts"

export function pageRoutes(deps: HttpDeps, broadcast: Broadcast): Hono {
  return new Hono()
    .get("/actors", (c) => {
      const { view } = broadcast
      const { overview } = view
      const actor = overview.actors.find(({ path }) => path === c.req.query("path"))
      if (!actor) return c.text("No such actor; it may have stopped.", 404)
      if (c.req.header("hx-request")) {
        return c.html(String(<ActorPanel actor={actor} view={view} />))
      }
      return c.html(
        "<!DOCTYPE html>" + (
          <PlainPage
            title={`${actor.name} - Keel`}
            overview={overview}
            version={assetsVersion}
            now={deps.now()}
          >
            <section class="card ask">
              <h1>{actor.name}</h1>
              <p class="dim">{actor.path}</p>
              <ActorPanel actor={actor} view={view} />
              <OperateForm id={deps.newId()} mode={overview.mode} path={actor.path}>
                <a class="btn" href="/">Back</a>
              </OperateForm>
            </section>
          </PlainPage>
        ),
      )
    })
    .get("/journal", async (c) => {
      const { overview } = broadcast.view
      const rows = limits.journalPageRows
      const asked = c.req.query("after") ?? ""
      const after = /^\d{1,15}$/.test(asked) ? Number(asked) : Math.max(0, overview.seq - rows)
      const records = await deps.readRecords(after, rows)
      return c.html(
        "<!DOCTYPE html>" + (
          <PlainPage
            title="Journal - Keel"
            overview={overview}
            version={assetsVersion}
            now={deps.now()}
          >
            <JournalPage
              events={records.map(({ view }) => view)}
              after={after}
              rows={rows}
              lastSeq={Math.max(overview.seq, records.at(-1)?.seq ?? 0)}
            />
          </PlainPage>
        ),
      )
    })
}
