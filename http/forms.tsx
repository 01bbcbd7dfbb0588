/**
 * What the pages post: decoded, handed on by the same function as the API's commands, and answered
 * for whoever asked: a toast or a stream of steps for the script, a page without it.
 *
 * An answer claims no more than is known. "Taken" means journaled; what became of it is said by the
 * steps, which come from the runtime and call only that confirmed which the venue has confirmed.
 */
import { type Context, Hono } from "hono"
import type { Child } from "hono/jsx"
import { type Command, type CommandReceipt, CommandRefused } from "../domain/command.ts"
import { PlainPage, Question, Step, Toast } from "../views/ask.tsx"
import { CommandIdField, FLATTEN_WORD, FlattenQuestion, SwapFields } from "../views/dialogs.tsx"
import { sentence, symbolOf, venueName, words } from "../views/format.ts"
import { assetsVersion } from "./assets.ts"
import type { Broadcast } from "./broadcast.tsx"
import { commandOf, type Fields, paramsOf } from "./commands.ts"
import { dataLines, streamHeaders } from "./hub.ts"
import type { HttpDeps } from "./ports.ts"
import type { ProgressStreams } from "./progress.ts"
import type { TokenBucket } from "./token_bucket.ts"

type Parts = Omit<Command, "commandId">
type Sent =
  | { readonly _tag: "Taken"; readonly receipt: CommandReceipt }
  | {
    readonly _tag: "Refused"
    readonly message: string
    readonly status: 400 | 404 | 409 | 422 | 429
  }

export function formRoutes(
  deps: HttpDeps,
  broadcast: Broadcast,
  progress: ProgressStreams,
  bucket: TokenBucket,
): Hono {
  /** Tells the script the id for its form's next command. */
  const nextId = () => ({ "keel-next-command-id": deps.newId() })
  const page = (c: Context, title: string, children: Child, status: Page = 200) =>
    c.html("<!DOCTYPE html>" + frame(title, children), status)
  const frame = (title: string, children: Child) =>
    String(
      <PlainPage
        title={`${title} - Keel`}
        overview={broadcast.view.overview}
        version={assetsVersion}
        now={deps.now()}
      >
        {children}
      </PlainPage>,
    )
  type Page = 200 | 400 | 404 | 409 | 422 | 429

  async function send(fields: Fields, parts: Parts): Promise<Sent> {
    const decoded = commandOf(fields, parts)
    if (decoded._tag === "Malformed") {
      return { _tag: "Refused", message: sentence(decoded.message), status: 400 }
    }
    if (!bucket.admits(decoded.command.type)) {
      return { _tag: "Refused", message: "Too many commands: wait a second.", status: 429 }
    }
    try {
      return { _tag: "Taken", receipt: await deps.submit(decoded.command) }
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error
      return { _tag: "Refused", message: sentence(error.message), status: error.status }
    }
  }

  function refused(c: Context, { message, status }: Extract<Sent, { _tag: "Refused" }>) {
    if (isScript(c)) return c.text(message, status, nextId())
    return page(
      c,
      "Refused",
      <section class="card ask">
        <h1>Refused</h1>
        <p role="alert">{message}</p>
        <menu>
          <a class="btn" href="/">Back</a>
        </menu>
      </section>,
      status,
    )
  }

  /** For what is done at once: a toast, or back to the overview. */
  async function briefly(c: Context, fields: Fields, parts: Parts, taken: string) {
    const sent = await send(fields, parts)
    if (sent._tag === "Refused") return refused(c, sent)
    if (!isScript(c)) return c.redirect("/", 303)
    const toast = (
      <hx-partial hx-target="#toasts" hx-swap="beforeend">
        <Toast tone="done">{taken} Journaled as event {sent.receipt.seq}.</Toast>
      </hx-partial>
    )
    return c.html(String(toast), 200, { ...nextId(), "hx-trigger": "keel:taken" })
  }

  /** For what takes its time: every step as it happens. */
  async function stepwise(c: Context, fields: Fields, parts: Parts, title: string) {
    const sent = await send(fields, parts)
    if (sent._tag === "Refused") return refused(c, sent)
    const steps = deps.progress(sent.receipt.commandId)
    if (isScript(c)) {
      const line = (step: Parameters<typeof Step>[0]["step"]) =>
        dataLines(String(<Step step={step} />)) + "\n"
      return progress.answer(steps, { line }, { ...streamHeaders, ...nextId() })
    }
    const [before, after] = frame(
      title,
      <section class="card ask">
        <h1>{title}</h1>
        <ol class="steps">{MARK}</ol>
        <menu>
          <a class="btn" href="/">Back to the overview</a>
        </menu>
      </section>,
    ).split(MARK)
    return progress.answer(
      steps,
      {
        before: "<!DOCTYPE html>" + before,
        line: (step) => String(<Step step={step} />),
        after: after ?? "",
      },
      { "content-type": "text/html; charset=utf-8" },
    )
  }

  return new Hono()
    .post(
      "/controls/pause",
      async (c) =>
        briefly(c, await fieldsOf(c), { type: "pause", scope: { kind: "all" } }, "Pause taken."),
    )
    .post(
      "/controls/resume",
      async (c) =>
        briefly(c, await fieldsOf(c), { type: "resume", scope: { kind: "all" } }, "Resume taken."),
    )
    .post("/controls/account", async (c) => {
      const fields = await fieldsOf(c)
      const [wish = "", id = ""] = (fields.set ?? "").split(/ (.*)/s)
      const type = wish === "resume" ? "resume" : "pause"
      const scope = { kind: "account", id } as const
      return briefly(
        c,
        fields,
        { type, scope },
        `${type === "pause" ? "Pause" : "Resume"} of ${venueName(id)} taken.`,
      )
    })
    .post("/controls/flatten", async (c) => {
      const fields = await fieldsOf(c)
      if (fields.confirm !== FLATTEN_WORD) return flattenQuestion(c, fields)
      const id = accountOf(fields)
      const scope = id === "" ? { kind: "all" } as const : { kind: "account", id } as const
      return stepwise(c, fields, { type: "flatten", scope }, "Flatten")
    })
    .post("/positions/close", async (c) => {
      const fields = await fieldsOf(c)
      const instrument = fields.instrument ?? ""
      if (fields.confirmed !== "yes" && !isScript(c)) return closeQuestion(c, instrument)
      const scope = { kind: "position", id: instrument } as const
      return stepwise(c, fields, { type: "close_position", scope }, `Close ${symbolOf(instrument)}`)
    })
    .post("/positions/override", async (c) => {
      const fields = await fieldsOf(c)
      const [mode = "", id = ""] = (fields.set ?? "").split(/ (.*)/s)
      const control = mode === "auto" ? "auto" : "hold"
      const taken = control === "auto"
        ? `${symbolOf(id)} is back with its strategy.`
        : `${symbolOf(id)} on hold: the strategy may not trade it.`
      const scope = { kind: "position", id } as const
      return briefly(c, fields, { type: "override_position", scope, control }, taken)
    })
    .post("/orders/cancel", async (c) => {
      const fields = await fieldsOf(c)
      const scope = { kind: "order", id: fields.order ?? "" } as const
      return briefly(c, fields, { type: "cancel_order", scope }, "Cancel taken.")
    })
    .post("/strategies/swap", async (c) => {
      const fields = await fieldsOf(c)
      const id = fields.runner ?? ""
      if (fields.confirmed !== "yes" && !isScript(c)) return swapQuestion(c, id)
      const strategy = fields.strategy ?? ""
      const scope = { kind: "strategy", id } as const
      const parts = { type: "swap_strategy", scope, strategy, params: paramsOf(fields) } as const
      return briefly(c, fields, parts, `Swap to ${words(strategy).toLowerCase()} taken.`)
    })
    .post("/actors/operate", async (c) => {
      const fields = await fieldsOf(c)
      const isCrash = fields.operation === "crash_actor"
      const type = isCrash ? "crash_actor" : "restart_actor"
      const path = fields.path ?? ""
      const taken = isCrash ? "Crash taken: watch it come back." : "Restart taken."
      // A tree has no scope of its own: the id is the actor's path.
      return briefly(c, fields, { type, scope: { kind: "all", id: path } }, taken)
    })

  function flattenQuestion(c: Context, fields: Fields) {
    const { mode } = broadcast.view.overview
    const account = accountOf(fields)
    const isWrong = fields.confirm !== undefined && fields.confirm !== ""
    const message = `Type ${FLATTEN_WORD}, in capitals, to confirm.`
    if (isScript(c)) return c.text(message, 422, nextId())
    return page(
      c,
      "Flatten",
      <Question
        title={account === "" ? "Flatten everything?" : `Flatten ${venueName(account)}?`}
        action="/controls/flatten"
        answer="Flatten now"
        isDangerous
      >
        <CommandIdField id={deps.newId()} />
        <input type="hidden" name="account" value={account} />
        {isWrong && <p role="alert">{message}</p>}
        <FlattenQuestion mode={mode} />
      </Question>,
    )
  }

  function closeQuestion(c: Context, instrument: string) {
    const position = broadcast.view.overview.positions.find((it) => it.instrument === instrument)
    return page(
      c,
      "Close a position",
      <Question
        title="Close this position at market?"
        action="/positions/close"
        answer="Close at market"
        isDangerous
      >
        <CommandIdField id={deps.newId()} />
        <input type="hidden" name="instrument" value={instrument} />
        <p>
          <b>{position ? `${position.quantity} ${symbolOf(instrument)}` : symbolOf(instrument)}</b>,
          at the price the market gives.
        </p>
      </Question>,
    )
  }

  function swapQuestion(c: Context, runner: string) {
    return page(
      c,
      "Swap the strategy",
      <Question title="Swap the strategy" action="/strategies/swap" answer="Swap">
        <CommandIdField id={deps.newId()} />
        <input type="hidden" name="runner" value={runner} />
        <p>
          Of <b>{runner}</b>. Only the fields of the chosen strategy count.
        </p>
        <SwapFields strategies={deps.strategies()} />
      </Question>,
    )
  }
}

/** Of a flatten; empty for all. Without script the button says it, with one the dialog does. */
function accountOf({ account = "", only = "" }: Fields): string {
  return only || account
}

/** Where the steps go into a page that is sent as it grows; no text of ours or a venue's holds it. */
const MARK = "\u0000steps\u0000"

function isScript(c: Context): boolean {
  return c.req.header("hx-request") === "true"
}

async function fieldsOf(c: Context): Promise<Fields> {
  const body = await c.req.parseBody()
  const texts = Object.entries(body).filter((entry): entry is [string, string] =>
    typeof entry[1] === "string"
  )
  return Object.fromEntries(texts)
}
