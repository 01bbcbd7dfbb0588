/*
 * Says whether the figures on the page can be believed.
 *
 * hx-sse reconnects by itself, but it does not try a first connection again that failed, and it
 * never notices a peer that has gone silent. So the first is tried until it stands, every message is a sign of life (the server sends a
 * beat each second) and silence is answered in three steps: waiting, lost, and cut. `data-link` on
 * the root is the one place where the style of the page reads the answer.
 */
const WAITING_MS = 2_500
const LOST_MS = 5_000
const CUT_MS = 12_000
/** Longer than htmx waits for an answer (`connectTimeout`), or two attempts could both succeed. */
const FIRST_AGAIN_MS = 4_000

const words = { connecting: "connecting", live: "live", waiting: "waiting", lost: "lost" }
const main = document.querySelector("#main")
const link = document.querySelector("#link")
const lost = document.querySelector("#lost")

// The wall clock on purpose: a monotonic one may stand still while the laptop sleeps.
let heardAt = Date.now()
let triedAt = heardAt
/** The extension's own record of the stream, from its first answer on; this file may load later. */
const connection = () => main._htmx?.sse

function show(state) {
  const root = document.documentElement
  if (root.dataset.link === state) return
  root.dataset.link = state
  link.textContent = words[state]
  if (state === "lost") {
    document.querySelector("#lost-at").dateTime = new Date(heardAt).toISOString()
  }
  lost.hidden = state !== "lost"
  document.dispatchEvent(new Event("keel:link"))
}

main.addEventListener("htmx:sse:before:message", () => {
  heardAt = Date.now()
  show("live")
})

// A session that has ended: loading the page again leads to where a new one begins.
const isEnded = (status) => status === 401 || status === 403
main.addEventListener("htmx:sse:error", ({ detail }) => {
  if (isEnded(detail.status)) location.reload()
})
document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx?.sourceElement === main && isEnded(ctx.response.status)) location.reload()
})

// A hidden tab drops its stream; shown again it has a moment to catch up before it counts as lost.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return
  heardAt = Date.now()
  show("waiting")
})

setInterval(() => {
  if (document.hidden) return
  const silentMs = Date.now() - heardAt
  if (silentMs > LOST_MS) show("lost")
  else if (silentMs > WAITING_MS) show("waiting")
  if (silentMs > CUT_MS) cut()
  if (!connection() && Date.now() - triedAt > FIRST_AGAIN_MS) {
    triedAt = Date.now()
    main.dispatchEvent(new Event("keel:connect"))
  }
}, 500)

/** Gives up a connection that says nothing, so that another is tried. */
function cut() {
  if (!connection()?.reader) return
  connection().reader.cancel()
  heardAt = Date.now() - LOST_MS - 1 // still lost, but the next attempt gets its time
}

/** Starts again from a snapshot: what was frozen away is not in any increment. */
document.addEventListener("keel:resync", () => {
  if (!connection()) return
  connection().lastEventId = "resync"
  connection().reader?.cancel()
})
