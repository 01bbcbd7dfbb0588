/** A simulated venue in a process of its own, its control endpoint, and its tape. */
import { Process } from "../../tests/e2e/process.ts"
import { type Addresses, addressesOf } from "../../tests/e2e/venue.ts"
import { CountingProxy } from "./counting_proxy.ts"

export class SpoiledVenue implements AsyncDisposable {
  private constructor(
    private readonly process: Process,
    readonly venue: Addresses,
    /** Before everything that the client is told. */
    readonly proxy: CountingProxy,
    private readonly name: "binance" | "alpaca",
  ) {}

  static async start(name: "binance" | "alpaca", seed: number): Promise<SpoiledVenue> {
    await using starting = new AsyncDisposableStack()
    const process = starting.use(new Process("venue", ["--port", "0", "--seed", String(seed)]))
    const venue = await addressesOf(process)
    const target = name === "binance" ? venue.binance.rest : venue.alpaca.data
    const proxy = starting.use(await CountingProxy.before(target))
    starting.move()
    return new SpoiledVenue(process, venue, proxy, name)
  }

  async arm(fault: Readonly<Record<string, unknown>>): Promise<string> {
    const answer = await fetch(`${this.venue.control}/faults`, {
      method: "POST",
      body: JSON.stringify({ venue: this.name, ...fault }),
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
  async tape(symbol: string): Promise<ReadonlyArray<string>> {
    return this.name === "binance" ? await this.binanceTape(symbol) : await this.alpacaTape(symbol)
  }

  private async binanceTape(symbol: string): Promise<ReadonlyArray<string>> {
    const url = `${this.venue.binance.rest}/api/v3/trades?symbol=${symbol}&limit=1000`
    const trades: ReadonlyArray<{ readonly id: number }> = await (await fetch(url)).json()
    return trades.map(({ id }) => String(id))
  }

  private async alpacaTape(symbol: string): Promise<ReadonlyArray<string>> {
    const { data, key, secret } = this.venue.alpaca
    const headers = { "APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret }
    const isPair = symbol.includes("/")
    const path = isPair ? "v1beta3/crypto/us/trades" : "v2/stocks/trades"
    const query = new URLSearchParams({
      symbols: symbol,
      start: new Date(Date.now() - 180_000).toISOString(),
      limit: "10000",
      // What the stream shows, and no more.
      ...(!isPair && { feed: "iex" }),
    })
    const ids = new Array<string>()
    while (true) {
      const { trades, next_page_token } = await (await fetch(`${data}/${path}?${query}`, {
        headers,
      })).json()
      // A pair has one tape, shares have one for each exchange.
      for (const { i, x } of trades?.[symbol] ?? []) ids.push(isPair ? String(i) : `${x}:${i}`)
      if (!next_page_token) return ids
      query.set("page_token", next_page_token)
    }
  }

  async [Symbol.asyncDispose]() {
    await this.proxy[Symbol.asyncDispose]()
    await this.process[Symbol.asyncDispose]()
  }
}
