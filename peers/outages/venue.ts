/** A simulated venue in a process of its own, its control endpoint, and its tape. */
import { Process } from "../../tests/e2e/process.ts"
import type { Venue } from "../venue.ts"
import { CountingProxy } from "./counting_proxy.ts"

export class SpoiledVenue implements AsyncDisposable {
  private constructor(
    private readonly process: Process,
    readonly venue: Venue,
    /** Before everything that the client is told. */
    readonly proxy: CountingProxy,
    private readonly name: "binance" | "alpaca",
  ) {}

  static async start(name: "binance" | "alpaca", seed: number): Promise<SpoiledVenue> {
    await using starting = new AsyncDisposableStack()
    const process = starting.use(new Process("venue", ["--port", "0", "--seed", String(seed)]))
    const [line] = await process.printed(/^\{.*\}$/m)
    const venue: Venue = JSON.parse(line)
    const target = name === "binance" ? venue.binance.rest : venue.alpaca.data
    const proxy = starting.use(await CountingProxy.before(target))
    starting.move()
    return new SpoiledVenue(process, venue, proxy, name)
  }

  async arm(fault: Readonly<Record<string, unknown>>): Promise<string> {
    const answer = await fetch(`${this.venue.control}/faults`, {
      method: "POST",
      body: JSON.stringify(this.name === "binance" ? fault : { venue: this.name, ...fault }),
    })
    const body = await answer.json()
    if (answer.status !== 201) throw new Error(JSON.stringify(body))
    return body.id
  }

  async disarm() {
    const answer = await fetch(`${this.venue.control}/faults`, { method: "DELETE" })
    await answer.body?.cancel()
  }

  /** Ids of the watched instrument's trades of the last minutes, oldest first. */
  async tape(): Promise<ReadonlyArray<string>> {
    return this.name === "binance" ? await this.binanceTape() : await this.alpacaTape()
  }

  private async binanceTape(): Promise<ReadonlyArray<string>> {
    const url = `${this.venue.binance.rest}/api/v3/trades?symbol=BTCUSDT&limit=1000`
    const trades: ReadonlyArray<{ readonly id: number }> = await (await fetch(url)).json()
    return trades.map(({ id }) => String(id))
  }

  private async alpacaTape(): Promise<ReadonlyArray<string>> {
    const { data, key, secret } = this.venue.alpaca
    const ids = new Array<string>()
    let page = ""
    const start = new Date(Date.now() - 180_000).toISOString()
    do {
      const url = `${data}/v2/stocks/SPY/trades?start=${start}&limit=10000&feed=iex${page}`
      const headers = { "APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret }
      const { trades, next_page_token } = await (await fetch(url, { headers })).json()
      for (const { i, x } of trades ?? []) ids.push(`${x}:${i}`)
      page = next_page_token ? `&page_token=${encodeURIComponent(next_page_token)}` : ""
    } while (page !== "")
    return ids
  }

  async [Symbol.asyncDispose]() {
    await this.proxy[Symbol.asyncDispose]()
    await this.process[Symbol.asyncDispose]()
  }
}
