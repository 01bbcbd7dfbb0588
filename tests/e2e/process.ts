/**
 * Keel as a user starts it: a process of its own, with the permissions of the task and no others.
 */
import assert from "node:assert/strict"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface TaskFile {
  readonly tasks: Readonly<Record<string, { readonly command: string }>>
}

/** The arguments of a task's `deno` command, exactly as `deno.json` has them. */
export function taskArguments(name: string): ReadonlyArray<string> {
  const file: TaskFile = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`))
  const [program, ...args] = (file.tasks[name]?.command ?? "").split(" ")
  assert.equal(program, "deno", `task ${name} runs deno`)
  return args
}

export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess
  readonly #readers: Promise<unknown>
  readonly #waiting = new Set<() => void>()
  stdout = ""
  stderr = ""
  ended: Deno.CommandStatus | undefined

  constructor(
    task: string,
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...taskArguments(task), ...args],
      cwd: root,
      env: { ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn()
    const read = async (stream: ReadableStream<Uint8Array>, name: "stdout" | "stderr") => {
      const decoder = new TextDecoder()
      for await (const bytes of stream) {
        this[name] += decoder.decode(bytes, { stream: true })
        this.#wake()
      }
    }
    this.#readers = Promise.all([
      read(this.#child.stdout, "stdout"),
      read(this.#child.stderr, "stderr"),
      this.#child.status.then((status) => {
        this.ended = status
        this.#wake()
      }),
    ])
  }

  get pid(): number {
    return this.#child.pid
  }

  #wake() {
    for (const wake of this.#waiting) wake()
  }

  /** The first match in what was printed; fails when the process ends, or after `timeoutMs`. */
  async printed(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    const deadline = Promise.withResolvers<void>()
    const timer = setTimeout(deadline.resolve, timeoutMs)
    let late = false
    deadline.promise.then(() => late = true)
    try {
      while (true) {
        const match = pattern.exec(this.stdout)
        if (match) return match
        const what = `waiting for ${pattern}: ${this.stdout}\n${this.stderr}`
        if (this.ended) throw new Error(`ended with ${this.ended.code} ${what}`)
        if (late) throw new Error(`nothing after ${timeoutMs} ms ${what}`)
        const changed = Promise.withResolvers<void>()
        this.#waiting.add(changed.resolve)
        await Promise.race([changed.promise, deadline.promise])
        this.#waiting.delete(changed.resolve)
      }
    } finally {
      clearTimeout(timer)
      deadline.resolve()
    }
  }

  signal(signal: Deno.Signal) {
    if (!this.ended) this.#child.kill(signal)
  }

  /** Everything has been read when this resolves. */
  async status(): Promise<Deno.CommandStatus> {
    await this.#readers
    return await this.#child.status
  }

  async [Symbol.asyncDispose]() {
    this.signal("SIGKILL")
    await this.status()
  }
}

/** A folder that is gone afterwards. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "keel-" })
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) }
}

/** Starts Keel on a free port and waits for its first price. */
export async function startKeel(
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly keel: Process; readonly url: string }> {
  const keel = new Process("start", ["--port", "0", ...args], { KEEL_LOG: "warn", ...env })
  const [, url = ""] = await keel.printed(/keel ready url=(\S+)/)
  return { keel, url }
}

/** Asks until the answer is what is wanted. */
export async function eventually<A>(
  ask: () => Promise<A>,
  isWanted: (answer: A) => boolean,
  timeoutMs: number,
  everyMs = 200,
): Promise<A> {
  for (let waitedMs = 0;; waitedMs += everyMs) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    if (waitedMs >= timeoutMs) {
      throw new Error(
        `not within ${timeoutMs} ms; last: ${JSON.stringify(answer)?.slice(0, 2_000)}`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
