/**
 * The message path of the `binance` package's stream client, from the socket to its listener.
 *
 *   deno run -A pipeline/binance.ts [--beautify] AUTHORITY EVENTS PASSES
 *
 * Without `--beautify` a message is parsed JSON; with it, numbers and names of its own.
 */
import process from "node:process"
import { DefaultLogger, WebsocketClient } from "binance"

const beautify = Deno.args.includes("--beautify")
const [authority = "", events = "", passes = ""] = Deno.args.filter((arg) => arg !== "--beautify")

/** A trade or a quote, by its own names or the beautified ones. */
interface Message {
  readonly e?: string
  readonly t?: number
  readonly p?: string
  readonly q?: string
  readonly b?: string
  readonly a?: string
  readonly eventType?: string
  readonly tradeId?: number
  readonly price?: number
  readonly quantity?: number
  readonly bid?: number
  readonly bidPrice?: number
  readonly askPrice?: number
}

const quiet = { ...DefaultLogger, trace() {}, info() {}, error() {} }
const client = new WebsocketClient({ wsUrl: `ws://${authority}`, beautify }, quiet)
const endedAt: Array<number> = []
const usedMs: Array<number> = []
let count = 0
let trade: ReadonlyArray<unknown> = []
let quote: ReadonlyArray<unknown> = []
const take = (data: Message) => {
  const kind = data.e ?? data.eventType
  if (kind === "depthUpdate") return
  if (kind === "trade") {
    trade = [data.t ?? data.tradeId, data.p ?? data.price, data.q ?? data.quantity]
  } else quote = [data.b ?? data.bidPrice, data.a ?? data.askPrice]
  if (++count % Number(events) === 0) {
    const { user, system } = process.cpuUsage()
    endedAt.push(performance.now())
    usedMs.push((user + system) / 1_000)
    if (endedAt.length === Number(passes)) {
      console.log(JSON.stringify({ endedAt, usedMs, undecoded: 0, last: { trade, quote } }))
      Deno.exit(0)
    }
  }
}
const unwrap = (message: unknown) => {
  const outer = message as Message & { readonly data?: Message }
  take(outer.data ?? outer)
}
if (beautify) client.on("formattedMessage", unwrap)
else client.on("message", unwrap)
client.on("exception", (problem) => {
  console.error(problem)
  Deno.exit(1)
})
await client.subscribe(["btcusdt@trade", "btcusdt@bookTicker"], "main")
