/**
 * The journal as server-sent events: one record per message, dense ids, nothing skipped.
 *
 * Unlike the dashboard's hub nothing may be conflated here, so each reader asks the store for what
 * follows its own cursor, and only when its socket has room: a slow reader costs one page of
 * records, however far behind it is.
 */
import { streamHeaders } from "./hub.ts"
import { limits } from "./limits.ts"
import type { HttpDeps, JournalRecordView } from "./ports.ts"

const encoder = new TextEncoder()
const HEARTBEAT = encoder.encode(": still here\n\n")

export class JournalStream {
  #closed = false
  #readers = 0
  #beats = 0
  /** Counts commits, so that one during an empty read is not slept through. */
  #commits = 0
  readonly #waiting = new Set<(isHeartbeat: boolean) => void>()

  constructor(private readonly readRecords: HttpDeps["readRecords"]) {}

  /** To be called for every record committed. */
  committed(): void {
    this.#commits += 1
    this.#wake(false)
  }

  /** Once a second; every so often idle readers get a comment, which keeps proxies from cutting. */
  beat(): void {
    this.#beats += 1
    if (this.#beats % limits.journalHeartbeatBeats === 0) this.#wake(true)
  }

  close(): void {
    this.#closed = true
    this.#wake(false)
  }

  /** Records with `seq > after`, then each as it is committed. */
  connect(after: number): Response {
    if (this.#closed || this.#readers >= limits.journalReadersMax) {
      return new Response("No more readers", { status: 503, headers: { "retry-after": "5" } })
    }
    let at = after
    let isGone = false
    const leave = () => {
      if (!isGone) this.#readers -= 1
      isGone = true
    }
    this.#readers += 1
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        while (!isGone) {
          if (this.#closed) {
            leave()
            return controller.close()
          }
          const commits = this.#commits
          const records = await this.readRecords(at, limits.recordsPerRead)
          if (isGone) return
          const last = records.at(-1)
          if (last) {
            at = last.seq
            return controller.enqueue(encoder.encode(records.map(message).join("")))
          }
          if (commits !== this.#commits || this.#closed) continue
          const isHeartbeat = await new Promise<boolean>((resolve) => this.#waiting.add(resolve))
          if (isHeartbeat && !isGone) return controller.enqueue(HEARTBEAT)
        }
      },
      cancel: leave,
    }, { highWaterMark: 1 })
    return new Response(body, { headers: streamHeaders })
  }

  #wake(isHeartbeat: boolean): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve(isHeartbeat)
  }
}

/** JSON escapes line ends, so one line of data is enough. */
function message({ seq, time, event }: JournalRecordView): string {
  return `id: ${seq}\ndata: ${JSON.stringify({ seq, time, event })}\n\n`
}
