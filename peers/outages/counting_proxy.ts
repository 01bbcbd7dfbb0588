/**
 * A plain TCP proxy that counts who knocks.
 *
 * It stands between a client and its venue so that attempts can be counted by somebody who takes no
 * part: also the ones that nobody answers. It can close its door, which is what a host that is gone
 * looks like.
 */
import { connect, createServer, type Server, type Socket } from "node:net"

export class CountingProxy implements AsyncDisposable {
  /** When each upgrade to a WebSocket was asked for, by `performance.now()`. */
  readonly attempts: Array<number> = []
  readonly #sockets = new Set<Socket>()
  readonly #target: { readonly host: string; readonly port: number }
  #server: Server
  #port = 0

  private constructor(target: URL) {
    this.#target = { host: target.hostname, port: Number(target.port) }
    this.#server = this.#listening()
  }

  static async before(target: string): Promise<CountingProxy> {
    const proxy = new CountingProxy(new URL(target))
    await proxy.open()
    return proxy
  }

  /** The target's address, through this proxy. */
  through(address: string): string {
    const url = new URL(address)
    url.host = `127.0.0.1:${this.#port}`
    return url.href.replace(/\/$/, "")
  }

  async open() {
    this.#server = this.#listening()
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen(this.#port, "127.0.0.1", () => resolve())
    })
    const address = this.#server.address()
    if (typeof address === "object" && address !== null) this.#port = address.port
  }

  /** Nobody is let in, and who was in is thrown out with a reset. */
  async shut() {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.resetAndDestroy()
    await closed
  }

  async [Symbol.asyncDispose]() {
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server.listening) {
      await new Promise<void>((resolve) => this.#server.close(() => resolve()))
    }
  }

  #listening(): Server {
    return createServer((client) => {
      const venue = connect(this.#target)
      let isCounted = false
      client.on("data", (bytes) => {
        if (!isCounted && /upgrade: *websocket/i.test(bytes.toString("latin1"))) {
          isCounted = true
          this.attempts.push(performance.now())
        }
        venue.write(bytes)
      })
      venue.on("data", (bytes) => void client.write(bytes))
      for (const [socket, other] of [[client, venue], [venue, client]] as const) {
        this.#sockets.add(socket)
        socket.on("end", () => other.end())
        socket.on("error", () => other.resetAndDestroy())
        socket.on("close", () => {
          this.#sockets.delete(socket)
          other.destroy()
        })
      }
    })
  }
}
