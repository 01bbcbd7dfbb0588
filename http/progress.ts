/**
 * Lines of a command's progress as an answer that grows.
 *
 * The answer only watches. Whoever leaves stops watching, and the command goes on.
 */
import type { CommandProgress } from "../domain/command.ts"

const encoder = new TextEncoder()

export interface Growing {
  readonly before?: string
  readonly line: (step: CommandProgress) => string
  readonly after?: string
}

export class ProgressStreams {
  #closed = false
  readonly #open = new Set<() => void>()

  /** Of what grows now; the server waits for it a moment when it stops. */
  get size(): number {
    return this.#open.size
  }

  answer(
    steps: AsyncIterable<CommandProgress>,
    { before = "", line, after = "" }: Growing,
    headers: HeadersInit,
  ): Response {
    const iterator = steps[Symbol.asyncIterator]()
    const ended = Promise.withResolvers<undefined>()
    const end = () => {
      this.#open.delete(end)
      ended.resolve(undefined)
      // A source that is waiting for its next line ends when that comes; nobody waits for it here.
      void iterator.return?.()?.catch(() => {})
    }
    if (!this.#closed) this.#open.add(end)
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        if (before) controller.enqueue(encoder.encode(before))
      },
      pull: async (controller) => {
        const next = await Promise.race([iterator.next(), ended.promise])
        if (next && !next.done) {
          controller.enqueue(encoder.encode(line(next.value)))
          if (!next.value.final) return
        }
        if (after) controller.enqueue(encoder.encode(after))
        controller.close()
        end()
      },
      cancel: end,
    })
    if (this.#closed) end()
    return new Response(body, { headers })
  }

  close(): void {
    this.#closed = true
    for (const end of [...this.#open]) end()
  }
}
