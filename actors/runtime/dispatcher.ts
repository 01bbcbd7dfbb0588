/**
 * Gives ready cells their turns on the one thread of the isolate.
 *
 * Cells become ready by sending; the dispatcher runs them from a microtask, a
 * batch each, and gives way to the event loop when its budget is spent. The
 * budget belongs to a turn of the event loop, not to a pass: a chain of
 * promises may start any number of passes in one turn.
 *
 * It knows nothing of actors, and keeps no order but first come, first served.
 * A simulation injects another one (`virtual_time.ts`).
 */

export interface Runnable {
  /** Does at most `limit` units of work; returns how many it did, at least 1. Must not throw. */
  run(limit: number): number
}

export interface Dispatcher {
  /** Has `runnable` run once, soon, never on the caller's stack. */
  ready(runnable: Runnable): void
  /** Epoch milliseconds, as of the present pass: for stamps that need not be exact. */
  readonly now: number
}

export interface DispatcherOptions {
  /** How long actors may hold the thread in one turn of the event loop, in milliseconds. Default 2. */
  readonly budgetMs?: number
  /** Most messages one cell handles before the next has its turn. Default 256. */
  readonly batch?: number
}

/** Runs cells on the event loop, in real time. */
export class EventLoopDispatcher implements Dispatcher {
  now = 0
  readonly #budgetMs: number
  readonly #batch: number
  #current: Array<Runnable> = []
  #next: Array<Runnable> = []
  #at = 0
  #scheduled = false
  /** When this turn's budget ends, by `performance.now()`. */
  #deadline = 0
  #turnOpen = false

  constructor(options: DispatcherOptions = {}) {
    this.#budgetMs = options.budgetMs ?? 2
    this.#batch = options.batch ?? 256
  }

  ready(runnable: Runnable) {
    this.#next.push(runnable)
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(this.#pass)
  }

  readonly #pass = () => {
    let empty = false
    try {
      empty = this.#runReady()
    } finally {
      // Also when somebody's observer has thrown: the other actors must go on.
      if (empty) this.#scheduled = false
      // Microtasks would starve timers for ever; an immediate lets them pass.
      else setImmediate(this.#pass)
    }
  }

  readonly #closeTurn = () => {
    this.#turnOpen = false
  }

  /** Runs cells until none is ready (true) or the turn's budget is spent (false). */
  #runReady(): boolean {
    let time = performance.now()
    if (!this.#turnOpen) {
      this.#turnOpen = true
      this.#deadline = time + this.#budgetMs
      setImmediate(this.#closeTurn)
    } else if (time > this.#deadline) return false
    this.now = performance.timeOrigin + time
    const batch = this.#batch
    let handled = 0
    while (true) {
      while (this.#at < this.#current.length) {
        // Reading the clock costs as much as a message: once per batch is enough.
        if (handled >= batch) {
          handled = 0
          time = performance.now()
          if (time > this.#deadline) return false
          this.now = performance.timeOrigin + time
        }
        handled += this.#current[this.#at++]!.run(batch)
      }
      const done = this.#current
      done.length = this.#at = 0
      if (this.#next.length === 0) return true
      this.#current = this.#next
      this.#next = done
    }
  }
}
