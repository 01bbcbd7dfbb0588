/**
 * All deadlines of a system in one heap, kept by one sleeping fiber.
 *
 * A timer per ask or per actor would cost a fiber and a suspension each; here it
 * costs one entry, and cancelling takes the entry out again. Time is the
 * monotonic time of the injected `Clock`, so a step of the wall clock neither
 * delays nor hastens anything.
 */
import { type Clock, type Context, Duration, Effect, type Fiber } from "effect"
import { outside } from "./async_context.ts"

export interface Timer {
  /** Harmless when it has fired or has been cancelled before. */
  cancel(): void
}

class Deadline implements Timer {
  /** Place in the heap; -1 when it is not in it. */
  index = -1

  constructor(
    private readonly timers: Timers,
    readonly at: number,
    readonly order: number,
    readonly fire: () => void,
  ) {}

  cancel() {
    this.timers.remove(this)
  }
}

export class Timers {
  readonly #heap: Array<Deadline> = []
  readonly #runFork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  #order = 0
  #sleeper: Fiber.Fiber<void> | undefined
  #wakeAt = Infinity
  #closed = false

  constructor(private readonly clock: Clock.Clock, context: Context.Context<never>) {
    this.#runFork = Effect.runForkWith(context)
  }

  get size() {
    return this.#heap.length
  }

  /** Monotonic milliseconds; only differences mean something. */
  monotonicMs(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  /** Calls `fire` once, not before `delayMs` from now. `fire` must not throw. */
  after(delayMs: number, fire: () => void): Timer {
    return this.at(this.monotonicMs() + Math.max(0, delayMs), fire)
  }

  /** Calls `fire` once, not before `at` on the scale of `monotonicMs`. */
  at(at: number, fire: () => void): Timer {
    const deadline = new Deadline(this, at, this.#order++, fire)
    if (this.#closed) return deadline
    this.#up(this.#heap.push(deadline) - 1)
    if (at < this.#wakeAt) this.#sleepUntil(at)
    return deadline
  }

  remove(deadline: Deadline) {
    const index = deadline.index
    if (index < 0) return
    deadline.index = -1
    const last = this.#heap.pop()!
    if (last === deadline) return
    this.#heap[index] = last
    last.index = index
    this.#up(index)
    this.#down(last.index)
  }

  /** Forgets every deadline and ends the sleeping fiber: nothing fires from now on. */
  close() {
    this.#closed = true
    for (const deadline of this.#heap) deadline.index = -1
    this.#heap.length = 0
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = undefined
  }

  #sleepUntil(at: number) {
    this.#sleeper?.interruptUnsafe()
    this.#wakeAt = at
    // Rounded up: the event loop's timers count whole milliseconds and would wake us too early.
    const delayMs = Math.max(0, Math.ceil(at - this.monotonicMs()))
    const sleep = Effect.andThen(
      this.clock.sleep(Duration.millis(delayMs)),
      Effect.sync(() => {
        if (this.#sleeper === sleeper) this.#wake()
      }),
    )
    // A sleeper is followed by the next one for as long as the system lives.
    const sleeper: Fiber.Fiber<void> = outside(() => this.#runFork(sleep))
    this.#sleeper = sleeper
  }

  #wake() {
    this.#sleeper = undefined
    this.#wakeAt = Infinity
    const now = this.monotonicMs()
    while (this.#heap.length > 0 && this.#heap[0]!.at <= now) {
      const due = this.#heap[0]!
      this.remove(due)
      due.fire()
    }
    const next = this.#heap[0]
    // Firing may have armed an earlier one, with a sleeper of its own.
    if (next !== undefined && next.at < this.#wakeAt) this.#sleepUntil(next.at)
  }

  #up(index: number) {
    const heap = this.#heap
    const deadline = heap[index]!
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(deadline, heap[parent]!)) break
      heap[index] = heap[parent]!
      heap[index]!.index = index
      index = parent
    }
    heap[index] = deadline
    deadline.index = index
  }

  #down(index: number) {
    const heap = this.#heap
    const deadline = heap[index]!
    while (true) {
      let least = 2 * index + 1
      if (least >= heap.length) break
      if (least + 1 < heap.length && before(heap[least + 1]!, heap[least]!)) least++
      if (!before(heap[least]!, deadline)) break
      heap[index] = heap[least]!
      heap[index]!.index = index
      index = least
    }
    heap[index] = deadline
    deadline.index = index
  }
}

function before(a: Deadline, b: Deadline): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
