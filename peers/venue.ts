/**
 * The simulated venues as other people's clients meet them: a process of its own, of which they
 * know nothing but the addresses it prints.
 */
import { fileURLToPath } from "node:url"
import type { Addresses } from "../tests/e2e/venue.ts"

export type { AlpacaAddress, BinanceAddress } from "../tests/e2e/venue.ts"

/** Clients keep timers and sockets after they are closed; that is theirs, and not tested here. */
const NOT_OURS = { sanitizeOps: false, sanitizeResources: false } as const
const STEP_MS = 20_000

/** A test with venues of its own; its steps are what a trader does, in that order. */
export function peerTest(
  name: string,
  body: (venue: Addresses, step: Deno.TestContext["step"]) => Promise<void>,
) {
  Deno.test({
    name,
    ...NOT_OURS,
    fn: async (test) => {
      await using process = await startVenue()
      const step = ((title: string, act: () => Promise<void>) =>
        test.step({
          name: title,
          ...NOT_OURS,
          fn: () => within(STEP_MS, title, act()),
        })) as Deno.TestContext["step"]
      await body(process.venue, step)
    },
  })
}

/** `deno task venue`, as the README says to start it. */
async function startVenue() {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "venue", "--port", "0", "--seed", "7"],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdout: "piped",
    stderr: "inherit",
  }).spawn()
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  while (!text.includes("\n")) {
    const { value, done } = await within(60_000, "the venue starts", output.read())
    if (done) throw new Error(`the venue ended before it said where it is: ${text}`)
    text += value
  }
  return {
    venue: JSON.parse(text.slice(0, text.indexOf("\n"))) as Addresses,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM")
      await child.status
      await output.cancel()
    },
  }
}

/** Nobody waits for ever for a client that waits for ever. */
export async function within<A>(ms: number, what: string, work: Promise<A>): Promise<A> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Collects what a client hands out, and waits for the one that is wanted. */
export class Heard<A> {
  readonly all: Array<A> = []
  readonly #waiting = new Set<() => void>()

  readonly push = (value: A) => {
    this.all.push(value)
    for (const look of [...this.#waiting]) look()
  }

  /** The first of its kind, past or future. */
  first(isWanted: (value: A) => boolean): Promise<A> {
    const { promise, resolve } = Promise.withResolvers<A>()
    const look = () => {
      const found = this.all.find(isWanted)
      if (found === undefined) return
      this.#waiting.delete(look)
      resolve(found)
    }
    this.#waiting.add(look)
    look()
    return promise
  }
}

/** A price far enough below the market to rest, on the grid of both venues. */
export function farBelow(price: number | string): number {
  return Math.floor(Number(price) * 0.9)
}
