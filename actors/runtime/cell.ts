/**
 * The mailbox and the state of one actor.
 *
 * A cell outlives the actor's incarnations: references to it stay valid, and
 * what is queued survives a crash. The mailbox is a ring, and a message leaves
 * it before it is handled: one that crashes its handler is gone, the ones after
 * it are not. Synchronous handlers run right here, on the dispatcher's stack; an
 * Effect gets a fiber of its own, which costs nothing unless it suspends, and
 * the mailbox waits for it.
 *
 * A cell supervises nothing: what crashes is handed to its incarnation.
 */
import { Cause, Effect, Exit } from "effect"
import { Become, type ErasedReceive, type ExitReason, type Mailbox, Stop } from "./behavior.ts"
import type { Dispatcher, Runnable } from "./dispatcher.ts"
import type { Incarnation } from "./incarnation.ts"
import { Ref } from "./registry.ts"
import { fingerprint } from "./report.ts"
import type { Runtime } from "./runtime.ts"

/** Nothing to do. */
const IDLE = 0
/** In the dispatcher's queue, or being run by it. */
const READY = 1
/** An Effect returned by the handler is at work: messages wait. */
const BUSY = 2
/** No incarnation is alive just now: messages wait for the next one. */
const SUSPENDED = 3
const DEAD = 4

/** A ring larger than this is given back when it is empty: a burst must not keep its memory. */
const RING_KEPT = 65_536
/** Signals that have been read are let go when there are so many: one by one, each would move all others. */
const SIGNALS_KEPT = 1_024
/** Positions are counted from zero again before they leave V8's small integers. */
const POSITION_MAX = 2 ** 30

/** The part of a question that the callee's end has to answer. */
export interface PendingReply {
  endedBy(reason: "dead" | "crashed" | "rejected", cause: Cause.Cause<unknown> | undefined): void
}

/** One entry of the control lane: a message, or the order to stop. */
export interface Signal {
  readonly message: unknown
  readonly stop?: ExitReason
}

/** Told when the watched incarnation has ended. */
export interface Watcher {
  down(path: string, reason: ExitReason | { readonly kind: "unknown" }): void
}

interface WaitingSender {
  readonly message: unknown
  readonly admitted: (accepted: boolean) => void
}

const noReceive: ErasedReceive = (state) => state

export class Cell extends Ref implements Runnable {
  // In the order of their use: what every message touches lies together.
  private status = SUSPENDED
  private queued = false
  /** Something is on the control lane. */
  private urgent = false
  private head = 0
  private tail = 0
  // The ring starts empty (mask -1): an actor that never gets a message owns none.
  private mask = -1
  /** Depth at which `send` has to think: the mailbox is full, or the ring, or nothing is simple here. */
  private simpleBelow = 0
  private ring: Array<unknown> = []
  private value: unknown = undefined
  private receive: ErasedReceive = noReceive
  private life: Incarnation | undefined = undefined
  private readonly dispatcher: Dispatcher
  private senders: Array<WaitingSender> | undefined = undefined
  /** Where the message of a key is in the ring. */
  private places: Map<unknown, number> | undefined = undefined
  processed = 0
  depthMax = 0
  private lastActiveMs = -1

  /** Accepted and then lost: pushed out by a newer one, or conflated. */
  dropped = 0
  /** Of these: whose place a newer one of its key has taken, which is what conflating is for. */
  conflated = 0
  /** Refused because the mailbox was full. */
  rejected = 0
  /** Lost because handling them crashed the actor. */
  failed = 0
  /** Type and hash of the message that crashed the last incarnation. */
  lastFailed: string | undefined = undefined
  /** How the last incarnation ended. */
  lastExit: ExitReason | undefined = undefined
  /** Why it is dead, in one line. */
  epitaph: string | undefined = undefined
  private handling: unknown = undefined
  private control: Array<Signal> | undefined = undefined
  /** Those before it have been read. */
  private controlAt = 0
  private replies: Map<unknown, PendingReply> | undefined = undefined
  private watchers: Set<Watcher> | undefined = undefined

  constructor(
    readonly runtime: Runtime,
    private readonly mailbox: Mailbox<unknown>,
    private readonly owner: { readonly path: string },
  ) {
    super()
    this.dispatcher = runtime.dispatcher
  }

  get path() {
    return this.owner.path
  }

  get depth() {
    return this.tail - this.head
  }

  /** Epoch milliseconds of the last pass that ran this cell; 0 before the first. */
  get lastActiveAt() {
    return this.lastActiveMs < 0 ? 0 : this.dispatcher.originMs + this.lastActiveMs
  }

  get isDead() {
    return this.status === DEAD
  }

  /** True when it has work that it could do, or is doing. */
  get isActive() {
    return this.status === READY || this.status === BUSY
  }

  get state() {
    return this.value
  }

  cell(): Cell {
    return this
  }

  // ---- sending -----------------------------------------------------------------

  send(message: unknown): boolean {
    if (this.tail - this.head >= this.simpleBelow) return this.sendSlowly(message)
    this.ring[this.tail++ & this.mask] = message
    if (this.status === IDLE) this.makeReady()
    return true
  }

  signal(message: unknown): boolean {
    return this.post({ message })
  }

  /** Puts an entry on the control lane; false only when dead. */
  post(signal: Signal): boolean {
    if (this.status === DEAD) return this.refuseDead(signal.message)
    if (this.runtime.zombies.size > 0 && this.isFenced(signal.message)) return false
    if (this.control === undefined) this.control = [signal]
    else this.control.push(signal)
    this.urgent = true
    if (this.status === IDLE) this.makeReady()
    return true
  }

  /** Takes back an entry of the control lane that has not been read. */
  retract(signal: Signal) {
    const index = this.control?.indexOf(signal, this.controlAt) ?? -1
    if (index < 0) return
    this.control!.splice(index, 1)
    this.urgent = this.controlAt < this.control!.length
  }

  private nextSignal(): Signal {
    const signal = this.control![this.controlAt++]!
    if (this.controlAt === this.control!.length) {
      this.control = undefined
      this.controlAt = 0
      this.urgent = false
    } else if (this.controlAt === SIGNALS_KEPT) {
      this.control!.splice(0, SIGNALS_KEPT)
      this.controlAt = 0
    }
    return signal
  }

  private unreadSignals(): ReadonlyArray<Signal> {
    return this.control?.slice(this.controlAt) ?? []
  }

  /** A message to itself that was promised to arrive: the capacity does not hold for it. */
  sendAnyway(message: unknown) {
    if (this.status === DEAD) return void this.refuseDead(message)
    if (this.depth >= this.mailbox.capacity) this.append(message)
    else this.send(message)
  }

  /** Sends a question. When it cannot be answered any more, `reply` learns it. */
  ask(message: unknown, reply: PendingReply): boolean {
    if (this.replies === undefined) this.replies = new Map()
    this.replies.set(message, reply)
    if (this.send(message)) return true
    this.replies.delete(message)
    return false
  }

  /** The question needs no answer any more. */
  settled(message: unknown) {
    this.replies?.delete(message)
  }

  /** For senders that can wait. `admitted` is called at once, or when there is room; returns how to give up. */
  offer(message: unknown, admitted: (accepted: boolean) => void): () => void {
    const full = this.status !== DEAD && this.mailbox.overflow === "suspend" &&
      !(this.runtime.zombies.size > 0 && this.runtime.sentByZombie()) &&
      (this.senders !== undefined || this.depth >= this.mailbox.capacity)
    if (!full) {
      admitted(this.send(message))
      return () => {}
    }
    const sender: WaitingSender = { message, admitted }
    if (this.senders === undefined) this.senders = [sender]
    else this.senders.push(sender)
    // Who cannot wait must not overtake those who do.
    this.simpleBelow = 0
    return () => {
      const index = this.senders?.indexOf(sender) ?? -1
      if (index < 0) return
      this.senders!.splice(index, 1)
      if (this.senders!.length === 0) this.noSenders()
    }
  }

  private sendSlowly(message: unknown): boolean {
    if (this.status === DEAD) return this.refuseDead(message)
    if (this.runtime.zombies.size > 0 && this.isFenced(message)) return false
    const mailbox = this.mailbox
    if (mailbox.overflow === "conflate") {
      try {
        return this.sendConflating(message, mailbox.key(message))
      } catch (error) {
        // The receiver's own fault, and not to be the sender's crash.
        this.rejected++
        this.life?.crash(error)
        return false
      }
    }
    if (this.senders !== undefined) {
      this.rejected++
      return false
    }
    if (this.depth >= mailbox.capacity) {
      if (mailbox.overflow !== "dropOldest") {
        this.rejected++
        return false
      }
      this.drop(this.shift())
    }
    this.append(message)
    return true
  }

  private sendConflating(message: unknown, key: unknown): boolean {
    const places = this.places ??= new Map()
    const place = key === undefined ? undefined : places.get(key)
    if (place !== undefined && place >= this.head) {
      this.conflated++
      this.drop(this.ring[place & this.mask])
      this.ring[place & this.mask] = message
      return true
    }
    if (this.depth >= this.mailbox.capacity) {
      this.rejected++
      return false
    }
    if (key !== undefined) places.set(key, this.tail)
    if (places.size > 2 * this.depth + 64) this.prunePlaces()
    this.append(message)
    return true
  }

  private isFenced(message: unknown): boolean {
    if (!this.runtime.sentByZombie()) return false
    this.runtime.deadLetter(this.path, message, "fenced")
    return true
  }

  private refuseDead(message: unknown): false {
    this.runtime.deadLetter(this.path, message, "dead", this.epitaph)
    return false
  }

  private drop(message: unknown) {
    this.dropped++
    const reply = this.replies?.get(message)
    if (reply === undefined) return
    this.replies!.delete(message)
    reply.endedBy("rejected", undefined)
  }

  private append(message: unknown) {
    if (this.tail - this.head > this.mask) this.grow()
    this.ring[this.tail++ & this.mask] = message
    if (this.status === IDLE) this.makeReady()
  }

  // ---- running -----------------------------------------------------------------

  /** Handles a batch on the dispatcher's stack. */
  run(limit: number): number {
    this.queued = false
    if (this.status !== READY) return 1
    this.lastActiveMs = this.dispatcher.elapsedMs
    const depth = this.tail - this.head
    if (depth > this.depthMax) this.depthMax = depth
    // Only what is there now: who sends to himself must not keep the turn, and what he sends to others
    // would pile up.
    let left = depth < limit ? depth : limit
    if (this.urgent) left = Math.min(limit, left + this.control!.length - this.controlAt)
    const life = this.life!
    let done = 0
    let message: unknown
    try {
      do {
        if (this.urgent) {
          const signal = this.nextSignal()
          if (signal.stop !== undefined) {
            this.processed += done
            life.end(signal.stop)
            return done + 1
          }
          message = signal.message
        } else if (this.tail !== this.head) {
          const index = this.head++ & this.mask
          message = this.ring[index]
          this.ring[index] = undefined
        } else break
        done++
        const receive = this.receive
        const next = receive(this.value, message, life)
        if (next !== this.value && !this.adopt(next, message)) {
          this.processed += done
          return done
        }
      } while (done < left && this.status === READY)
    } catch (defect) {
      this.processed += done
      this.crash(Cause.die(defect), message)
      return done
    }
    this.processed += done
    if (this.status === READY) this.rest()
    return done + 1
  }

  /** Takes what the handler returned. False when the actor does not go on right now. */
  private adopt(next: unknown, message: unknown): boolean {
    // The handler's own doing has ended its incarnation.
    if (this.status !== READY) return false
    if (typeof next === "object" && next !== null) {
      if (Effect.TypeId in next) {
        return this.perform(next as Effect.Effect<unknown, unknown>, message)
      }
      if (next instanceof Stop) {
        this.life!.end(next.reason)
        return false
      }
      if (next instanceof Become) {
        this.value = next.state
        this.receive = next.receive as ErasedReceive
        return true
      }
    }
    this.value = next
    return true
  }

  private perform(effect: Effect.Effect<unknown, unknown>, message: unknown): boolean {
    const life = this.life!
    this.status = BUSY
    this.handling = message
    if (Exit.isExit(effect)) return this.performed(life, effect)
    const fiber = this.runtime.runFork(effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.performed(life, exit)
    life.working = fiber
    fiber.addObserver((exit) => {
      if (this.performed(life, exit)) this.rest()
    })
    return false
  }

  /** True when the actor goes on. */
  private performed(life: Incarnation, exit: Exit.Exit<unknown, unknown>): boolean {
    life.working = undefined
    // It was interrupted by the end of its incarnation, or it is an abandoned one's.
    if (life !== this.life || this.status !== BUSY) return false
    const message = this.handling
    this.handling = undefined
    if (exit._tag === "Failure") {
      if (Cause.hasInterruptsOnly(exit.cause)) {
        life.end({ kind: "shutdown", detail: "interrupted" })
      } else this.crash(exit.cause, message)
      return false
    }
    this.status = READY
    const next = exit.value
    if (next === this.value) return true
    if (next instanceof Stop) {
      life.end(next.reason)
      return false
    }
    if (next instanceof Become) {
      this.value = next.state
      this.receive = next.receive as ErasedReceive
    } else this.value = next
    return true
  }

  /** The handling of `message` failed, and with it the incarnation. */
  private crash(cause: Cause.Cause<unknown>, message: unknown) {
    // Ended on its own stack, and then threw: the end stands.
    if (this.status !== READY && this.status !== BUSY) return
    this.processed--
    this.failed++
    this.lastFailed = fingerprint(message)
    this.life!.end({ kind: "crashed", cause }, message)
  }

  private rest() {
    if (this.senders !== undefined) this.admit()
    if (this.urgent || this.tail !== this.head) {
      if (this.tail > POSITION_MAX) this.resize(this.ring.length)
      return this.makeReady()
    }
    this.status = IDLE
    this.head = this.tail = 0
    this.places?.clear()
    if (this.mask >= RING_KEPT) {
      this.ring = []
      this.mask = -1
      this.simpleBelow = 0
    }
  }

  private makeReady() {
    this.status = READY
    if (this.queued) return
    this.queued = true
    this.dispatcher.ready(this)
  }

  private admit() {
    const senders = this.senders!
    while (senders.length > 0 && this.depth < this.mailbox.capacity) {
      const sender = senders.shift()!
      if (this.depth > this.mask) this.grow()
      this.ring[this.tail++ & this.mask] = sender.message
      sender.admitted(true)
    }
    if (senders.length === 0) this.noSenders()
  }

  private noSenders() {
    this.senders = undefined
    this.simpleBelow = this.simple()
  }

  // ---- incarnations ------------------------------------------------------------

  /** A new incarnation takes over the mailbox where it stands. */
  begin(life: Incarnation, value: unknown, receive: ErasedReceive) {
    this.life = life
    this.value = value
    this.receive = receive
    this.status = READY
    this.rest()
  }

  /** Drops the queued messages that `keep` refuses, before they are handled. */
  sift(keep: (message: unknown) => boolean) {
    const queued = Array.from(
      { length: this.depth },
      (_, place) => this.ring[(this.head + place) & this.mask],
    )
    // All are judged before one is dropped: `keep` may throw.
    const verdicts = queued.map(keep)
    if (verdicts.every((kept) => kept)) return
    while (this.tail !== this.head) this.shift()
    this.head = this.tail = 0
    this.places?.clear()
    queued.forEach((message, index) => {
      if (verdicts[index]) this.append(message)
      else this.drop(message)
    })
  }

  /** Keeps messages for the next incarnation; those set aside come first again. */
  suspend(aside: ReadonlyArray<unknown> | undefined) {
    if (this.status !== DEAD) this.status = SUSPENDED
    if (aside !== undefined) this.prepend(aside)
  }

  /** The incarnation is over: nothing of it is kept. */
  release() {
    this.life = undefined
    this.value = undefined
    this.receive = noReceive
    this.handling = undefined
  }

  /** Ends the actor for good: what is queued, and what is sent from now on, are dead letters. */
  kill(epitaph: string) {
    if (this.status === DEAD) return
    this.status = DEAD
    this.epitaph = epitaph
    for (let i = this.head; i !== this.tail; i++) this.refuseDead(this.ring[i & this.mask])
    for (const signal of this.unreadSignals()) {
      if (signal.stop === undefined) this.refuseDead(signal.message)
    }
    const senders = this.senders ?? []
    this.senders = undefined
    this.control = undefined
    this.controlAt = 0
    this.urgent = false
    this.ring = []
    this.mask = -1
    this.head = this.tail = this.simpleBelow = 0
    this.places = undefined
    this.failReplies("dead", undefined)
    this.tellWatchers(this.lastExit ?? { kind: "shutdown", detail: epitaph })
    for (const sender of senders) sender.admitted(false)
  }

  /** A dead actor is started again: its mailbox opens. */
  revive() {
    if (this.status !== DEAD) return
    this.status = SUSPENDED
    this.epitaph = undefined
  }

  /** Fails the questions that were taken from the mailbox and not answered; all of them when dead. */
  failReplies(reason: "dead" | "crashed", cause: Cause.Cause<unknown> | undefined) {
    const replies = this.replies
    if (replies === undefined || replies.size === 0) return
    const queued = new Set<unknown>()
    for (let i = this.head; i !== this.tail; i++) queued.add(this.ring[i & this.mask])
    for (const signal of this.unreadSignals()) queued.add(signal.message)
    for (const [message, reply] of [...replies]) {
      if (queued.has(message)) continue
      replies.delete(message)
      reply.endedBy(reason, cause)
    }
  }

  // ---- watchers ----------------------------------------------------------------

  watch(watcher: Watcher) {
    if (this.watchers === undefined) this.watchers = new Set()
    this.watchers.add(watcher)
  }

  unwatch(watcher: Watcher) {
    this.watchers?.delete(watcher)
  }

  tellWatchers(reason: ExitReason) {
    this.lastExit = reason
    const watchers = this.watchers
    if (watchers === undefined) return
    this.watchers = undefined
    for (const watcher of watchers) watcher.down(this.path, reason)
  }

  // ---- the ring ----------------------------------------------------------------

  private shift(): unknown {
    const index = this.head++ & this.mask
    const message = this.ring[index]
    this.ring[index] = undefined
    return message
  }

  /** Puts messages before all others, in their order. The capacity does not hold: they were in before. */
  prepend(messages: ReadonlyArray<unknown>) {
    while (this.depth + messages.length > this.ring.length) this.grow()
    this.head -= messages.length
    for (let i = 0; i < messages.length; i++) this.ring[(this.head + i) & this.mask] = messages[i]
    if (this.status === IDLE) this.makeReady()
  }

  private grow() {
    this.resize(this.ring.length === 0 ? 16 : this.ring.length * 2)
  }

  private resize(size: number) {
    const depth = this.tail - this.head
    if ((this.head & this.mask) === 0 && size > this.ring.length) {
      // A burst into an empty mailbox: all lie in order from the first place on, and can stay.
      this.ring.length = size
    } else {
      const ring = new Array<unknown>(size)
      for (let i = 0; i < depth; i++) ring[i] = this.ring[(this.head + i) & this.mask]
      this.ring = ring
    }
    this.mask = size - 1
    for (const [key, place] of this.places ?? []) this.places!.set(key, place - this.head)
    this.head = 0
    this.tail = depth
    this.simpleBelow = this.simple()
  }

  /** To be called when `simple` may have changed for reasons outside. */
  recheck() {
    this.simpleBelow = this.simple()
  }

  private simple(): number {
    const { mailbox, senders, runtime } = this
    if (mailbox.overflow === "conflate" || senders !== undefined || runtime.zombies.size > 0) {
      return 0
    }
    return Math.min(this.mailbox.capacity, this.ring.length)
  }

  private prunePlaces() {
    for (const [key, place] of this.places!) if (place < this.head) this.places!.delete(key)
  }
}
