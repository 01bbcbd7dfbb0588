/**
 * The one place where figures become text.
 *
 * Money arrives as decimal strings and stays decimal: digits are moved, never computed with, so
 * what a page shows is what the books hold. A true minus sign (U+2212) is as wide as a digit, and
 * columns of figures align.
 */

export type Tone = "up" | "down" | "flat"

/** `12345.678` -> `12,345.68`; rounds half away from zero. Anything that is no decimal is shown as it is. */
export function figure(decimal: string, decimals = 2): string {
  const parts = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(decimal.trim())
  if (!parts) return decimal
  const [, sign = "", whole = "0", fraction = ""] = parts
  const kept = BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, "0"))
  const scaled = kept + ((fraction[decimals] ?? "0") >= "5" ? 1n : 0n)
  const digits = String(scaled).padStart(decimals + 1, "0")
  const integer = digits.slice(0, digits.length - decimals)
  const rest = decimals > 0 ? "." + digits.slice(-decimals) : ""
  return (sign === "-" && scaled > 0n ? "\u2212" : "") + grouped(integer) + rest
}

/** With a plus sign when it rounds to more than nothing. */
export function signed(decimal: string, decimals = 2): string {
  const text = figure(decimal, decimals)
  return /^[\d,]/.test(text) && /[1-9]/.test(text) ? "+" + text : text
}

export function usd(decimal: string, decimals = 2): string {
  return withDollar(figure(decimal, decimals))
}

export function signedUsd(decimal: string, decimals = 2): string {
  return withDollar(signed(decimal, decimals))
}

/** Exact: scales both to integers and back. */
export function minus(a: string, b: string): string {
  const places = Math.max(...[a, b].map((decimal) => decimal.split(".")[1]?.length ?? 0))
  const scaled = (decimal: string) => {
    const [whole = "0", fraction = ""] = decimal.split(".")
    return BigInt(whole + fraction.padEnd(places, "0"))
  }
  const difference = scaled(a) - scaled(b)
  const digits = String(difference < 0n ? -difference : difference).padStart(places + 1, "0")
  const sign = difference < 0n ? "-" : ""
  if (places === 0) return sign + digits
  return `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}`
}

/** The ratio `0.0123` as `1.23%`. */
export function percent(ratio: string, decimals = 2): string {
  return figure(hundredfold(ratio), decimals) + "%"
}

export function signedPercent(ratio: string, decimals = 2): string {
  return signed(hundredfold(ratio), decimals) + "%"
}

/** All its decimals but trailing zeros, at least two: prices keep what their tick size gives them. */
export function price(decimal: string): string {
  return figure(decimal, Math.max(2, placesOf(decimal)))
}

/** An average, which has more digits than any price: as precise as `like`, a price of the same thing. */
export function averagePrice(decimal: string, like: string): string {
  return figure(decimal, Math.max(2, placesOf(like)))
}

/** An average without a price beside it: cents of what is large, more of what is small. */
export function roundedPrice(decimal: string): string {
  const whole = (decimal.split(".")[0] ?? "").replace("-", "").length
  return figure(decimal, Math.min(Math.max(2, placesOf(decimal)), Math.max(2, 7 - whole)))
}

/** As it is, without trailing zeros. */
export function quantity(decimal: string): string {
  return figure(decimal, placesOf(decimal))
}

/** Colour only repeats what the sign says, so what is shown as zero has none. */
export function tone(decimal: string, decimals = 2): Tone {
  const text = figure(decimal, decimals)
  if (!/[1-9]/.test(text)) return "flat"
  return text.startsWith("\u2212") ? "down" : "up"
}

/** Messages per second: whole above 10, with a decimal below. */
export function rate(perSecond: number): string {
  return perSecond >= 10 || perSecond === 0 ? grouped(perSecond.toFixed(0)) : perSecond.toFixed(1)
}

/** `20:56:09`, in UTC. */
export function clock(epochMs: number): string {
  return iso(epochMs).slice(11, 19)
}

/** `2026-11-22 20:56:09`, in UTC. */
export function dateTime(epochMs: number): string {
  return iso(epochMs).slice(0, 19).replace("T", " ")
}

/** An empty string for a time no calendar has. */
export function iso(epochMs: number): string {
  const date = new Date(epochMs)
  return Number.isNaN(date.getTime()) ? "" : date.toISOString()
}

/** `FeedLost` -> `Feed lost`, `rest_for_one` -> `rest for one`. */
export function words(name: string): string {
  const spaced = name.replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2")
  return spaced.slice(0, 1) + spaced.slice(1).toLowerCase()
}

/** With a capital, unless it begins with a name of the program's, and a full stop. */
export function sentence(text: string): string {
  const start = /^[a-z]+(?=[\s.,]|$)/.test(text) ? text.slice(0, 1).toUpperCase() : text.slice(0, 1)
  return start + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".")
}

/** `runner:rsi_momentum:BTC-USDT.BINANCE` is `rsi_momentum:BTC-USDT` on a page that has the path. */
export function actorName(name: string): string {
  return symbolOf(name.replace(/^runner:/, ""))
}

/** `BTC/USDT.BINANCE` is `BTC/USDT` at `BINANCE`; an id without a venue is all symbol. */
export function symbolOf(instrument: string): string {
  const dot = instrument.lastIndexOf(".")
  return dot > 0 ? instrument.slice(0, dot) : instrument
}

/** `BTC/USDT.BINANCE` is at `Binance`. */
export function venueNameOf(instrument: string): string {
  const dot = instrument.lastIndexOf(".")
  return dot > 0 ? venueName(instrument.slice(dot + 1)) : ""
}

/** `binance` is `Binance`. */
export function venueName(venue: string): string {
  return venue.slice(0, 1).toUpperCase() + venue.slice(1).toLowerCase()
}

/** `Attempt 2 of 5`; behind the last one that counts, it goes on all the same. */
export function attemptText(attempt: number, attemptMax: number): string {
  return attempt <= attemptMax ? `Attempt ${attempt} of ${attemptMax}` : `Attempt ${attempt}`
}

function placesOf(decimal: string): number {
  return (decimal.split(".")[1] ?? "").replace(/0+$/, "").length
}

function grouped(integer: string): string {
  return integer.replace(/\B(?=(\d{3})+$)/g, ",")
}

function withDollar(text: string): string {
  return /^[+\u2212]/.test(text) ? text[0] + "$" + text.slice(1) : "$" + text
}

/** Times 100 by moving the point. */
function hundredfold(ratio: string): string {
  const parts = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(ratio.trim())
  if (!parts) return ratio
  const [, sign = "", whole = "0", fraction = ""] = parts
  const padded = fraction.padEnd(2, "0")
  return `${sign}${BigInt(whole + padded.slice(0, 2))}.${padded.slice(2) || "0"}`
}
