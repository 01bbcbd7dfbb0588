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

import { outside } from "./async_context.ts"

export interface Runnable {
  /** Does at most `limit` units of work; returns how many it did, at least 1. Must not throw. */
  run(limit: number): number
}

export interface Dispatcher {
  /** Has `runnable` run once, soon, never on the caller's stack. */
  ready(runnable: Runnable): void
  /** Whole milliseconds since `originMs`, as of the present pass: for stamps that need not be exact. */
  readonly elapsedMs: number
  /** Epoch milliseconds. */
  readonly originMs: number
}

export interface DispatcherOptions {
  /** How long actors may hold the thread in one turn of the event loop, in milliseconds. Default 2. */
  readonly budgetMs?: number
  /** Most messages one cell handles before the next has its turn. Default 256. */
  readonly batch?: number
}

/** Positions are counted from zero again before they leave V8's small integers. */
const POSITION_MAX = 2 ** 30

/** Runs cells on the event loop, in real time. */
export class EventLoopDispatcher implements Dispatcher {
  elapsedMs = 0
  readonly originMs: number
  private readonly budgetMs: number
  private readonly batch: number
  // The queue is a ring: an array that is emptied gives its memory back, and takes it again.
  private queue: Array<Runnable | undefined> = new Array(64).fill(undefined)
  private mask = 63
  private head = 0
  private tail = 0
  private scheduled = false
  private turnOpen = false
  /** When this turn's budget ends, by `performance.now()`. */
  private deadline = 0
  private readonly startedAt = performance.now()

  constructor(options: DispatcherOptions = {}) {
    this.budgetMs = options.budgetMs ?? 2
    this.batch = options.batch ?? 256
    this.originMs = Math.round(performance.timeOrigin + this.startedAt)
  }

  ready(runnable: Runnable) {
    if (this.tail - this.head > this.mask) this.grow()
    this.queue[this.tail++ & this.mask] = runnable
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(this.pass)
  }

  private readonly pass = () => {
    let empty = false
    try {
      // Whoever made the first cell ready has a context of his own, which is not for the cells.
      empty = outside(this.runReady)
    } finally {
      // Also when somebody's observer has thrown: the other actors must go on.
      if (empty) this.scheduled = false
      // Microtasks would starve timers for ever; an immediate lets them pass.
      else setImmediate(this.pass)
    }
  }

  private readonly closeTurn = () => {
    this.turnOpen = false
  }

  /** Runs cells until none is ready (true) or the turn's budget is spent (false). */
  private readonly runReady = (): boolean => {
    if (!this.inBudget()) return false
    let handled = 0
    while (this.head !== this.tail) {
      // Reading the clock costs as much as a message: once per batch is enough.
      if (handled >= this.batch) {
        handled = 0
        if (!this.inBudget()) return false
      }
      const index = this.head++ & this.mask
      const runnable = this.queue[index]!
      this.queue[index] = undefined
      handled += runnable.run(this.batch)
    }
    this.head = this.tail = 0
    return true
  }

  private inBudget(): boolean {
    const now = performance.now()
    if (!this.turnOpen) {
      this.turnOpen = true
      this.deadline = now + this.budgetMs
      setImmediate(this.closeTurn)
    } else if (now > this.deadline) return false
    this.elapsedMs = Math.floor(now - this.startedAt)
    if (this.head > POSITION_MAX) {
      const whole = this.head & ~this.mask
      this.head -= whole
      this.tail -= whole
    }
    return true
  }

  private grow() {
    const count = this.tail - this.head
    const queue = new Array<Runnable | undefined>(2 * this.queue.length).fill(undefined)
    for (let i = 0; i < count; i++) queue[i] = this.queue[(this.head + i) & this.mask]
    this.queue = queue
    this.mask = queue.length - 1
    this.head = 0
    this.tail = count
  }
}
