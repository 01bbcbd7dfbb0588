/*
 * What HTML cannot say for itself: ages that count, dialogs that name what they would do, the
 * filter of the events, a view that stands still, and commands that failed.
 *
 * Listeners sit on the document, so that streamed elements need no set-up of their own.
 */
const LOG_LINES_MAX = 150
const TOAST_MS = 8_000
const AGES_EVERY_MS = 500
const OFFSETS_MAX = 20
const PANEL_EVERY_MS = 1_000
const UNKNOWN = "It may have been done: see the events."

const byId = (id) => document.getElementById(id)
const root = document.documentElement
const main = byId("main")

/* --- ages ------------------------------------------------------------------------------------- */

/** The browser's clock minus the server's: a wrong clock here must not make prices look old. */
const [{ responseStart }] = performance.getEntriesByType("navigation")
const renderedAt = Number(document.querySelector("meta[name=keel-now]").content)
const offsets = [performance.timeOrigin + responseStart - renderedAt]
let skewMs = offsets[0]
main.addEventListener("beat", (event) => {
  offsets.push(Date.now() - JSON.parse(event.detail.data).now)
  if (offsets.length > OFFSETS_MAX) offsets.shift()
  skewMs = Math.min(...offsets) // the message that travelled least
})

const spoken = {
  age: (ms) => ms < 10_000 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : span(ms),
  ago: (ms) => ms < 1_000 ? "just now" : `${span(ms)} ago`,
  up: span,
  in: (ms) => ms >= 0 ? "now" : span(-ms + 999),
}

function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} m`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} m`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

function showAges() {
  const now = Date.now() - skewMs
  for (const time of document.querySelectorAll("time[data-elapsed]")) {
    // What this page noted itself is in this browser's time.
    const isOurs = time.id !== ""
    const at = Date.parse(time.dateTime)
    if (Number.isNaN(at)) continue
    const text = spoken[time.dataset.elapsed]((isOurs ? Date.now() : now) - at)
    if (time.textContent !== text) time.textContent = text
  }
}
setInterval(showAges, AGES_EVERY_MS)
document.addEventListener("htmx:after:swap", showAges)
document.addEventListener("keel:link", showAges)
showAges()

/* --- theme, folding --------------------------------------------------------------------------- */

const dark = matchMedia("(prefers-color-scheme: dark)")
const theme = () => root.dataset.theme ?? (dark.matches ? "dark" : "light")
const saved = localStorage.getItem("theme")
if (saved) root.dataset.theme = saved
dark.addEventListener("change", () => document.dispatchEvent(new Event("keel:theme")))
byId("theme").addEventListener("click", switchTheme)
document.dispatchEvent(new Event("keel:theme"))

function switchTheme() {
  root.dataset.theme = theme() === "dark" ? "light" : "dark"
  localStorage.setItem("theme", root.dataset.theme)
  document.dispatchEvent(new Event("keel:theme"))
}

const folded = new Set(JSON.parse(localStorage.getItem("folded") ?? "[]"))
for (const name of folded) fold(name, true)
function fold(name, isFolded) {
  byId(name)?.toggleAttribute("data-folded", isFolded)
  document.querySelector(`[data-fold="${name}"]`)?.setAttribute("aria-expanded", String(!isFolded))
}

/* --- freeze ----------------------------------------------------------------------------------- */

let isFrozen = false
function freeze() {
  isFrozen = !isFrozen
  root.toggleAttribute("data-frozen", isFrozen)
  for (const button of document.querySelectorAll(".icon[data-freeze]")) {
    button.setAttribute("aria-pressed", String(isFrozen))
  }
  byId("frozen").hidden = !isFrozen
  byId("frozen-at").dateTime = new Date().toISOString()
  showAges()
  if (!isFrozen) document.dispatchEvent(new Event("keel:resync"))
}
// After connection.js, which still counts every message as a sign of life.
main.addEventListener("htmx:sse:before:message", (event) => {
  if (isFrozen && event.detail.message.event !== "beat") event.detail.cancelled = true
})

/* --- dialogs ---------------------------------------------------------------------------------- */

document.addEventListener("click", (event) => {
  const button = event.target.closest("button, a[data-actor]")
  if (!button) return
  const { open, close, actor, fold: section } = button.dataset
  if (button.hasAttribute("data-freeze")) freeze()
  else if (section) toggleFold(section)
  else if (close) byId(close).close()
  else if (actor) {
    event.preventDefault()
    openActor(actor, button.title)
  } else if (open) {
    event.preventDefault() // without script the button posts its form instead
    openDialog(open, button)
  }
})

function toggleFold(name) {
  const isFolded = !byId(name).hasAttribute("data-folded")
  fold(name, isFolded)
  if (isFolded) folded.add(name)
  else folded.delete(name)
  localStorage.setItem("folded", JSON.stringify([...folded]))
}

/** `data-fill-x` goes into the field `x`, `data-say-x` into the text of `x`. */
function openDialog(id, button) {
  const dialog = byId(id)
  for (const { name, value } of button.attributes) {
    if (name.startsWith("data-fill-")) byId(name.slice("data-fill-".length)).value = value
    if (name.startsWith("data-say-")) byId(name.slice("data-say-".length)).textContent = value
  }
  for (const steps of dialog.querySelectorAll(".steps")) steps.replaceChildren()
  const word = dialog.querySelector("#flatten-confirm")
  if (word) word.value = ""
  if (id === "dialog-swap") fillSwap(button)
  if (!dialog.open) dialog.showModal()
  word?.focus()
}

function fillSwap({ dataset }) {
  const choice = byId("swap-strategy")
  const other = [...choice.options].find(({ value }) => value !== dataset.swapFrom)
  choice.value = other?.value ?? dataset.swapFrom
  const params = JSON.parse(dataset.swapParams)
  for (const input of document.querySelectorAll("[data-param]")) {
    const isCurrent = input.closest("fieldset").dataset.strategy === dataset.swapFrom
    input.value = (isCurrent ? params[input.dataset.param] : undefined) ?? input.dataset.default
  }
  showSwapFields()
}
function showSwapFields() {
  const choice = byId("swap-strategy").value
  for (const fields of document.querySelectorAll("fieldset[data-strategy]")) {
    fields.hidden = fields.dataset.strategy !== choice
    fields.disabled = fields.hidden
  }
}
byId("swap-strategy").addEventListener("change", showSwapFields)
showSwapFields()

let actorPath
function openActor(path, name) {
  actorPath = path
  byId("actor-path").value = path
  byId("actor-name").textContent = name
  byId("actor-panel").replaceChildren()
  byId("dialog-actor").showModal()
  showActor()
}
function showActor() {
  if (!byId("dialog-actor").open || document.hidden) return
  htmx.ajax("GET", `/actors?path=${encodeURIComponent(actorPath)}`, {
    target: "#actor-panel",
    swap: "innerMorph",
    headers: { "HX-Request": "true" },
  })
}
setInterval(showActor, PANEL_EVERY_MS)

/* --- commands --------------------------------------------------------------------------------- */

// The id of a form's next command comes with every answer, a refusal included. Without an answer it
// stays: sending again is then the same command, which acts once.
document.addEventListener("htmx:before:response", ({ detail: { ctx } }) => {
  const id = ctx.response.headers.get("keel-next-command-id")
  const field = ctx.request.form?.elements.namedItem("commandId")
  if (id && field) field.value = id
})

document.addEventListener("keel:taken", () => {
  for (const id of ["dialog-pause", "dialog-resume", "dialog-swap"]) byId(id).close()
})

// A command that failed must say so, and must not claim more than is known: without an answer, or
// with an error of the server's own, nobody can tell from here whether it was carried out.
document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (!isCommand(ctx)) return
  const { status } = ctx.response
  if (status < 500) alarm(`Refused. ${ctx.text}`, ctx)
  else alarm(`Unknown: the server failed (${status}). ${UNKNOWN}`, ctx)
})
document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (isCommand(ctx)) alarm(`Unknown: no answer. ${UNKNOWN}`, ctx)
})
const isCommand = (ctx) => ctx !== undefined && ctx.request.method === "POST"

// A stream of steps that ends before its last word: the command goes on, only its watching ended.
document.addEventListener("htmx:sse:close", ({ target }) => {
  if (!(target instanceof HTMLFormElement)) return
  const steps = target.querySelector(".steps")
  if (!steps || steps.querySelector("[data-final]")) return
  const line = document.createElement("li")
  line.className = "error"
  line.textContent =
    `The connection was lost before the end. What came of it is unknown from here. ${UNKNOWN}`
  steps.append(line)
})
// Of a new attempt only its own steps are shown.
document.addEventListener("submit", ({ target }) => {
  target.querySelector(".steps")?.replaceChildren()
}, true)

/** Inside the dialog it concerns, if that is open: the rest of the page is inert then. */
function alarm(text, { request: { form } }) {
  const steps = form?.closest("dialog[open]")?.querySelector(".steps")
  if (steps) {
    const line = document.createElement("li")
    line.className = "error"
    line.textContent = text
    steps.replaceChildren(line)
  }
  const toast = document.createElement("p")
  toast.className = "toast refused"
  toast.textContent = text
  const dialog = form?.closest("dialog[open]")
  ;(dialog && !steps ? dialog : byId("alarms")).append(toast)
  fade(toast)
}
function fade(toast) {
  setTimeout(() => toast.remove(), TOAST_MS)
}
new MutationObserver((records) => {
  for (const { addedNodes } of records) for (const node of addedNodes) fade(node)
}).observe(byId("toasts"), { childList: true })

/* --- events ----------------------------------------------------------------------------------- */

const filter = byId("log-filter")
const log = byId("log")
filter.addEventListener("input", tidyLog)
document.addEventListener("htmx:after:swap", tidyLog)
function tidyLog() {
  while (log.children.length > LOG_LINES_MAX) log.lastElementChild.remove()
  const wanted = filter.value.trim().toLowerCase()
  let shown = 0
  for (const line of log.children) {
    const isWanted = line.textContent.toLowerCase().includes(wanted)
    line.toggleAttribute("data-off", !isWanted)
    if (isWanted) shown += 1
  }
  byId("log-none").hidden = shown > 0
  byId("log-none").textContent = wanted ? "No event matches the filter." : "No event yet."
}
tidyLog()

main.addEventListener("tick", (event) => {
  const { pnl } = JSON.parse(event.detail.data)
  const sign = pnl.value < 0 ? "\u2212" : "+"
  document.title = `${sign}$${Math.abs(pnl.value).toFixed(2)} Keel`
})

/* --- keyboard --------------------------------------------------------------------------------- */

const keysOn = byId("keys-on")
keysOn.checked = localStorage.getItem("keys") !== "off"
keysOn.addEventListener("change", () => {
  localStorage.setItem("keys", keysOn.checked ? "on" : "off")
})

const press = (selector) => document.querySelector(selector)?.click()
const keys = {
  "p": () => press("#pause-slot button"),
  "F": () => press(".commands [data-open=dialog-flatten]"),
  "f": freeze,
  "t": switchTheme,
  "/": () => filter.focus(),
  "?": () => openDialog("dialog-keys", byId("keys")),
}
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, select, textarea, dialog")
  const isChord = event.ctrlKey || event.metaKey || event.altKey
  if (!keysOn.checked || isTyping || isChord || event.repeat) return
  const act = keys[event.key]
  if (!act) return
  event.preventDefault()
  act()
})
