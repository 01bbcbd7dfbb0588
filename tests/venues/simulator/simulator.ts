/**
 * What the simulator's tests share: a running venue, the official clients as a live
 * run constructs them, and ways to wait for a fact instead of a time.
 */
import { MainClient } from "binance"
import { Effect, type Scope } from "effect"
import { WebSocket } from "ws"
import {
  type SimulatedBinance,
  type SimulatorError,
  type SimulatorOptions,
  startSimulatedBinance,
} from "../../../venues/simulator/binance.ts"
import { parseAtoms } from "../../../venues/simulator/decimals.ts"
import type { Controlled } from "../../../venues/simulator/control.ts"
import type { Fault } from "../../../venues/simulator/fault.ts"
import { makeMemoryLedger } from "../../../venues/simulator/ledger.ts"

export const KEY = "test-key"
export const SECRET = "test-secret"

/** Atoms of a literal. */
export function atoms(text: string): bigint {
  const value = parseAtoms(text)
  if (value === undefined) throw new RangeError(text)
  return value
}

export const startVenue = (options: Partial<SimulatorOptions> = {}) =>
  startSimulatedBinance({
    host: "127.0.0.1",
    port: 0,
    key: KEY,
    secret: SECRET,
    market: { kind: "synthetic", seed: 1 },
    ledger: makeMemoryLedger(),
    ...options,
  })

/** A test with a venue of its own, which must be gone without a trace at its end. */
export function venueTest(
  name: string,
  body: (venue: SimulatedBinance) => Promise<void>,
  options: Partial<SimulatorOptions> = {},
) {
  scopedTest(
    name,
    () => Effect.flatMap(startVenue(options), (venue) => Effect.promise(() => body(venue))),
  )
}

export function scopedTest<E>(
  name: string,
  body: () => Effect.Effect<void, E | SimulatorError, Scope.Scope>,
) {
  Deno.test(name, () => Effect.runPromise(Effect.scoped(Effect.suspend(body))))
}

/** Its id. */
export const arm = (venue: Pick<Controlled, "arm">, fault: Fault) =>
  Effect.runPromise(venue.arm(fault))

/** Arms what strikes by itself, and waits until it has struck. */
export async function strike(venue: Pick<Controlled, "arm" | "faults">, fault: Fault) {
  const id = await arm(venue, fault)
  while (!venue.faults.journal.some(({ faultId }) => faultId === id)) {
    await new Promise((done) => setTimeout(done, 5))
  }
}

/** The official REST client, as a live run constructs it. */
export function restClient(venue: SimulatedBinance, keys?: { key?: string; secret?: string }) {
  return new MainClient(
    {
      api_key: keys?.key ?? venue.key,
      api_secret: keys?.secret ?? venue.secret,
      baseUrl: venue.endpoints.rest,
      parseExceptions: false,
      recvWindow: 3_000,
      disableTimeSync: true,
    },
    { adapter: "fetch", timeout: 5_000, transformResponse: [(text: string) => text] },
  )
}

/** What a call of the official client answered, or how it was refused. */
export async function outcome(call: Promise<unknown>): Promise<{ status: number; body: unknown }> {
  try {
    return { status: 200, body: JSON.parse(String(await call)) }
  } catch (error) {
    const { response } = error as { response?: { status: number; data: string } }
    if (response === undefined) throw error
    return { status: response.status, body: JSON.parse(response.data) }
  }
}

/** The body of a call that must succeed. */
// deno-lint-ignore no-explicit-any
export async function answer(call: Promise<unknown>): Promise<any> {
  const { status, body } = await outcome(call)
  if (status !== 200) throw new Error(`refused: ${JSON.stringify(body)}`)
  return body
}

/** A plain socket that keeps what it hears. */
export class Ear {
  // deno-lint-ignore no-explicit-any
  readonly heard: Array<any> = []
  readonly texts: Array<string> = []
  readonly #socket: WebSocket
  readonly #waiting = new Set<() => void>()
  readonly closed: Promise<number>

  constructor(
    url: string,
    options: { readonly autoPong?: boolean; readonly headers?: Record<string, string> } = {},
  ) {
    this.#socket = new WebSocket(url, { perMessageDeflate: false, ...options })
    this.#socket.on("error", () => {})
    this.#socket.on("message", (data) => {
      this.texts.push(String(data))
      this.heard.push(JSON.parse(String(data)))
      for (const check of [...this.#waiting]) check()
    })
    this.closed = new Promise((resolve) => this.#socket.on("close", resolve))
  }

  async opened(): Promise<this> {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      await new Promise((resolve, reject) => {
        this.#socket.once("open", resolve)
        this.#socket.once("error", reject)
      })
    }
    return this
  }

  say(message: unknown) {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message))
  }

  /** Resolves with the peer's pong. */
  async ping(): Promise<void> {
    const pong = new Promise((resolve) => this.#socket.once("pong", resolve))
    this.#socket.ping()
    await pong
  }

  /** Reads nothing any more. */
  pause() {
    this.#socket.pause()
  }

  resume() {
    this.#socket.resume()
  }

  /** The first frame like this, past or future. */
  // deno-lint-ignore no-explicit-any
  hears(like: (frame: any) => boolean): Promise<any> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.heard.find(like)
        if (found === undefined) return
        this.#waiting.delete(check)
        resolve(found)
      }
      this.#waiting.add(check)
      check()
      this.closed.then((code) => {
        if (this.#waiting.delete(check)) {
          reject(new Error(`closed with ${code} before it was heard`))
        }
      })
    })
  }

  async count(frames: number): Promise<void> {
    await this.hears(() => this.heard.length >= frames)
  }

  async close(): Promise<void> {
    this.#socket.terminate()
    await this.closed
  }
}
