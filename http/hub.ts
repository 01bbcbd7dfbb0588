/**
 * Broadcasts the dashboard to any number of browsers.
 *
 * A page is made of regions, of which only the latest matters, and of notices, each of which
 * matters once. The hub keeps the newest frame of every region and a ring of notices, numbered
 * from one sequence, and a client is the number it has reached. When its socket has room it gets
 * everything newer in one chunk, so a slow client skips values instead of queueing them, and one
 * that comes back is only a very slow one.
 *
 * It does not render, read a clock, or decide how often: its owner calls `set`, `append` and
 * `flush` in the same synchronous step that changes what `snapshot` shows.
 */
export interface HubOptions {
  /** Names this run of the server: a cursor from an earlier run must not be believed. */
  readonly epoch: string
  /** Notices kept. A client further behind gets a snapshot instead. */
  readonly noticesMax: number
  readonly clientsMax: number
  /** Every region as partials, for a client that changes alone cannot bring up to date. */
  readonly snapshot: () => string
}

interface Frame {
  readonly seq: number
  readonly event: string | undefined
  readonly text: string
}

type Bytes = Uint8Array<ArrayBuffer>
type Wake = (beat?: Bytes) => void

/** Before everything: such a client gets a snapshot. */
const NOWHERE = -1
const encoder = new TextEncoder()

export class Hub {
  #seq = 0
  /** The newest notice no longer kept: who has not reached it has missed something. */
  #lostSeq = 0
  #closed = false
  readonly #regions = new Map<string, Frame>()
  readonly #notices: Array<Frame> = []
  /** Chunks already built, by cursor: clients in step share the same bytes. */
  readonly #chunks = new Map<number, Bytes>()
  /** Clients that are up to date, each with what to do with a beat or, without one, with news. */
  readonly #waiting = new Set<Wake>()
  #clients = 0

  constructor(private readonly options: HubOptions) {}

  /** What a page rendered now has already seen; it connects with this as `?from=`. */
  get cursor(): string {
    return `${this.options.epoch}.${this.#seq}`
  }

  get clients(): number {
    return this.#clients
  }

  /**
   * Replaces a region's markup, or with `event` the data of a named event of which only the newest
   * counts. Costs nothing when it is the same as before.
   */
  set(region: string, data: string, event?: string): void {
    const text = dataLines(data)
    if (this.#regions.get(region)?.text === text) return
    this.#regions.set(region, { seq: this.#next(), event, text })
  }

  /** Adds something every client gets once: markup, or a named event with its data. */
  append(data: string, event?: string): void {
    this.#notices.push({ seq: this.#next(), event, text: dataLines(data) })
    if (this.#notices.length <= this.options.noticesMax) return
    this.#lostSeq = this.#notices.shift()?.seq ?? this.#lostSeq
  }

  /** Wakes every client that was up to date. */
  flush(): void {
    for (const wake of this.#takeWaiting()) wake()
  }

  /** A sign of life for those who have nothing else to read. It moves no cursor. */
  beat(data: string): void {
    const bytes = encoder.encode(`event: beat\n${dataLines(data)}\n`)
    for (const wake of this.#takeWaiting()) wake(bytes)
  }

  /** Ends every stream: a server cannot shut down around an open one. */
  close(): void {
    this.#closed = true
    this.flush()
  }

  /** Answers `GET /events`; `from` is `Last-Event-ID`, else the cursor the page was rendered at. */
  connect(from: string | undefined): Response {
    if (this.#closed || this.#clients >= this.options.clientsMax) {
      return new Response("No more viewers", { status: 503, headers: { "retry-after": "5" } })
    }
    let at = this.#parse(from)
    let isGone = false
    let wake: Wake | undefined
    const leave = () => {
      if (isGone) return
      isGone = true
      this.#clients -= 1
    }
    this.#clients += 1
    const body = new ReadableStream<Uint8Array>({
      // Runs only when the socket has room, which is what makes skipping values possible.
      pull: async (controller) => {
        while (!isGone) {
          if (this.#closed) {
            leave()
            return controller.close()
          }
          const chunk = this.#newerThan(at)
          if (chunk) {
            at = this.#seq
            return controller.enqueue(chunk)
          }
          const beat = await new Promise<Bytes | undefined>((resolve) => {
            this.#waiting.add(wake = (beat) => resolve(beat))
          })
          if (beat && !isGone) return controller.enqueue(beat)
        }
      },
      cancel: () => {
        leave()
        if (wake) this.#waiting.delete(wake)
        wake?.()
      },
    }, { highWaterMark: 1 })
    return new Response(body, { headers: streamHeaders })
  }

  #takeWaiting(): ReadonlyArray<Wake> {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    return waiting
  }

  #next(): number {
    this.#chunks.clear()
    return ++this.#seq
  }

  #parse(from: string | undefined): number {
    const [epoch, digits = ""] = (from ?? "").split(".")
    const seq = /^\d{1,15}$/.test(digits) ? Number(digits) : NOWHERE
    return epoch === this.options.epoch && seq <= this.#seq ? seq : NOWHERE
  }

  #newerThan(cursor: number): Bytes | undefined {
    if (cursor === this.#seq) return undefined
    const at = cursor < this.#lostSeq ? NOWHERE : cursor
    let chunk = this.#chunks.get(at)
    if (!chunk) this.#chunks.set(at, chunk = encoder.encode(this.#changesSince(at)))
    return chunk
  }

  /**
   * Regions come first and without an id, then notices with their own: a connection cut in the
   * middle resumes with regions repeated, which is harmless, and no notice repeated or lost.
   */
  #changesSince(at: number): string {
    const end = `id: ${this.cursor}\n\n`
    // Tells the page to fetch again what it draws itself: the chart.
    if (at === NOWHERE) {
      return `event: snapshot\ndata:\n\n${dataLines(this.options.snapshot())}\n${end}`
    }
    const frames = [...this.#regions.values()].filter((frame) => frame.seq > at)
    // One message for all markup is one pass of htmx over the page.
    const markup = frames.filter((frame) => !frame.event).map((frame) => frame.text).join("")
    const events = frames.filter((frame) => frame.event).map((frame) => message(frame)).join("")
    const notices = this.#notices.filter((frame) => frame.seq > at)
      .map((frame) => message(frame, `${this.options.epoch}.${frame.seq}`)).join("")
    return (markup && markup + "\n") + events + notices + end
  }
}

export const streamHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const

function message({ event, text }: Frame, id?: string): string {
  return (event ? `event: ${event}\n` : "") + (id ? `id: ${id}\n` : "") + text + "\n"
}

/** A carriage return ends a line of the stream too, and text from outside may hold one. */
export function dataLines(data: string): string {
  return data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join("")
}
