/*
 * Price with our fills on it, and the account's profit below, each with its own scale.
 *
 * The canvas lives outside everything that is streamed. Its history is fetched when an instrument
 * is chosen and whenever the stream could not simply go on; points arrive as `tick` events and are
 * drawn at most twice a second, which is all an eye can use. Colours come from the style sheet, so
 * a theme, or a lost connection, is one call of `paint`.
 */
import {
  BaselineSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  LineSeries,
} from "./vendor/lightweight-charts-5.2.1.mjs"

const REDRAW_MS = 500
const MARKERS_MAX = 200
const POINTS_SHOWN = 600

const main = document.querySelector("#main")
const canvas = document.querySelector("#chart-canvas")
const none = document.querySelector("#chart-none")
let instrument = canvas.dataset.instrument

const chart = createChart(canvas, {
  autoSize: true,
  layout: {
    background: { type: ColorType.Solid, color: "transparent" },
    // The logo needs an inline style, which the content policy refuses; the footer has the credit.
    attributionLogo: false,
    fontFamily: getComputedStyle(document.body).fontFamily,
    fontSize: 11,
    panes: { enableResize: true },
  },
  grid: { vertLines: { visible: false } },
  rightPriceScale: {
    borderVisible: false,
    minimumWidth: 76,
    alignLabels: true,
    ensureEdgeTickMarksVisible: true,
    scaleMargins: { top: 0.12, bottom: 0.12 },
  },
  timeScale: { timeVisible: true, secondsVisible: false, borderVisible: false, rightOffset: 5 },
  crosshair: { mode: 0 },
  localization: { locale: "en-US" },
})
const price = chart.addSeries(LineSeries, {
  lineWidth: 2,
  priceLineStyle: 3,
  // Its label would cover one of the axis; the readout says it instead.
  lastValueVisible: false,
}, 0)
const profit = chart.addSeries(BaselineSeries, {
  baseValue: { type: "price", price: 0 },
  lineWidth: 2,
  priceLineVisible: false,
  lastValueVisible: false,
  priceFormat: { type: "custom", formatter: signedUsd, minMove: 0.01 },
}, 1)
chart.panes()[0].setStretchFactor(1)
chart.panes()[1].setStretchFactor(0.42)
const arrows = createSeriesMarkers(price, [])

let fills = []
let ink = {}
let pending
let loading = load()

main.addEventListener("snapshot", reload)
// What happened between two connections is in the history only.
main.addEventListener("htmx:sse:after:connection", reload)
main.addEventListener("tick", (event) => pending = JSON.parse(event.detail.data))
main.addEventListener("fill", (event) => {
  const fill = JSON.parse(event.detail.data)
  const isKnown = fills.some(({ time, side }) => time === fill.time && side === fill.side)
  if (fill.instrument !== instrument || isKnown) return
  fills = [...fills, fill].slice(-MARKERS_MAX)
  drawFills()
})
document.addEventListener("keel:theme", paint)
document.addEventListener("keel:link", paint)
document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-instrument]")
  if (!button) return
  instrument = button.dataset.instrument
  markChosen()
  reload()
})
// A venue that is let in late brings its buttons, and the server does not know which was chosen.
document.addEventListener("htmx:after:swap", markChosen)

setInterval(async () => {
  await loading
  if (!pending) return
  const { prices, pnl } = pending
  pending = undefined
  const mine = prices.find((it) => it.instrument === instrument)
  draw(price, mine)
  draw(profit, pnl)
  if (!mine) return
  none.hidden = true
  describe(mine.value, pnl.value)
}, REDRAW_MS)

function markChosen() {
  for (const button of document.querySelectorAll("button[data-instrument]")) {
    const pressed = String(button.dataset.instrument === instrument)
    if (button.getAttribute("aria-pressed") !== pressed) {
      button.setAttribute("aria-pressed", pressed)
    }
  }
}

function draw(series, point) {
  if (!point) return
  try {
    series.update({ time: point.time, value: point.value })
  } catch {
    // Older than the history just loaded, which therefore contains it.
  }
}

function reload() {
  loading = load()
}

async function load() {
  const wanted = instrument
  if (!wanted) return
  const response = await fetch(`/api/v1/series?instrument=${encodeURIComponent(wanted)}`)
    .catch(() => undefined)
  if (!response?.ok || wanted !== instrument) return
  const history = await response.json()
  const last = history.price.at(-1)
  price.applyOptions({ priceFormat: formatFor(last?.value ?? 1) })
  price.setData(history.price)
  profit.setData(history.pnl)
  fills = history.fills.slice(-MARKERS_MAX)
  none.hidden = last !== undefined
  const count = Math.max(history.price.length, history.pnl.length)
  chart.timeScale().setVisibleLogicalRange({
    from: Math.max(0, count - POINTS_SHOWN),
    to: count + 5,
  })
  if (last) describe(last.value, history.pnl.at(-1)?.value ?? 0)
  paint()
}

/** Enough decimals for the size of the price; what counts exactly stands in the tables. */
function formatFor(value) {
  const precision = value >= 1000 ? 1 : value >= 1 ? 2 : 5
  return { type: "price", precision, minMove: 10 ** -precision }
}

function describe(value, pnl) {
  const { precision } = price.options().priceFormat
  document.querySelector("#readout-price").textContent = value.toLocaleString("en-US", {
    minimumFractionDigits: precision,
    maximumFractionDigits: precision,
  })
  const profitText = document.querySelector("#readout-pnl")
  profitText.textContent = signedUsd(pnl)
  profitText.className = pnl < 0 ? "down" : "up"
  canvas.setAttribute(
    "aria-label",
    `${instrument} at ${value.toLocaleString("en-US")} with ${fills.length} of our fills, ` +
      `profit and loss ${signedUsd(pnl)} below`,
  )
}

function paint() {
  const [up, down, dim, accent, surface] = ["up", "down", "dim", "accent", "surface"].map(color)
  ink = { up, down }
  chart.applyOptions({
    layout: { textColor: dim, panes: { separatorColor: faded(dim, 0.2) } },
    grid: { horzLines: { color: faded(dim, 0.12) } },
    crosshair: {
      vertLine: { color: faded(dim, 0.6), labelBackgroundColor: dim },
      horzLine: { color: faded(dim, 0.6), labelBackgroundColor: dim },
    },
  })
  price.applyOptions({
    color: accent,
    priceLineColor: faded(accent, 0.5),
    crosshairMarkerBorderColor: surface,
  })
  profit.applyOptions({
    topLineColor: up,
    topFillColor1: faded(up, 0.26),
    topFillColor2: faded(up, 0.03),
    bottomLineColor: down,
    bottomFillColor1: faded(down, 0.03),
    bottomFillColor2: faded(down, 0.26),
  })
  drawFills()
}

function drawFills() {
  arrows.setMarkers(
    fills.map((fill) => ({
      time: fill.time,
      position: fill.side === "buy" ? "belowBar" : "aboveBar",
      shape: fill.side === "buy" ? "arrowUp" : "arrowDown",
      color: fill.side === "buy" ? ink.up : ink.down,
    })).toSorted((a, b) => a.time - b.time),
  )
}

/**
 * A token of the style sheet as `rgb(...)`. The chart's parser knows neither `oklch` nor
 * `light-dark`, so the browser resolves the token and paints one pixel with it.
 */
function color(token) {
  const probe = document.createElement("i")
  probe.className = `probe ${token}`
  document.body.append(probe)
  const context = document.createElement("canvas").getContext("2d")
  context.fillStyle = getComputedStyle(probe).color
  probe.remove()
  context.fillRect(0, 0, 1, 1)
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data
  return `rgb(${red}, ${green}, ${blue})`
}

function faded(rgb, alpha) {
  return rgb.replace("rgb", "rgba").replace(")", `, ${alpha})`)
}

function signedUsd(value) {
  const digits = Math.abs(value).toLocaleString("en-US", {
    minimumFractionDigits: Math.abs(value) < 100 ? 2 : 0,
    maximumFractionDigits: Math.abs(value) < 100 ? 2 : 0,
  })
  return (value < 0 ? "\u2212$" : value > 0 ? "+$" : "$") + digits
}
