/**
 * The faults that are armed, and the journal of those that struck.
 *
 * Every place where a fault could strike asks here and carries out what it is told.
 * Chance is seeded per fault, so that a run that failed can be run again.
 */
import { Schema } from "effect"
import { Chance } from "./chance.ts"
import {
  ConnectionFault,
  type Fault,
  FrameFault,
  LoginFault,
  type Matcher,
  RequestFault,
  UpgradeFault,
  type VenueFault,
} from "./fault.ts"

/** What a fault would strike, in the words of a matcher. */
export type Subject = Matcher

export interface Strike {
  readonly faultId: string
  readonly kind: Fault["kind"]
  /** Milliseconds after the venue's start. */
  readonly atMs: number
  readonly subject: Subject
}

interface Armed<F extends Fault> {
  readonly id: string
  readonly fault: F
  readonly chance: Chance
  left: number
}

const JOURNAL_MAX = 10_000

const isRequestFault = Schema.is(RequestFault)
const isUpgradeFault = Schema.is(UpgradeFault)
const isLoginFault = Schema.is(LoginFault)
const isFrameFault = Schema.is(FrameFault)
const isConnectionFault = Schema.is(ConnectionFault)

export class Faults {
  readonly #startMs: number
  readonly #now: () => number
  readonly #requests: Array<Armed<RequestFault>> = []
  readonly #upgrades: Array<Armed<UpgradeFault>> = []
  readonly #logins: Array<Armed<LoginFault>> = []
  readonly #frames: Array<Armed<FrameFault>> = []
  readonly #others: Array<Armed<ConnectionFault | VenueFault>> = []
  #journal: Array<Strike> = []
  readonly #prefix: string
  #ids = 0

  /** The faults' times count from now; `now` gives epoch milliseconds. */
  constructor(now: () => number, prefix = "") {
    this.#prefix = prefix
    this.#startMs = now()
    this.#now = now
  }

  get armed(): ReadonlyArray<Fault> {
    return this.#lists().flatMap((list) => list.map(({ id, fault }) => ({ ...fault, id })))
  }

  get journal(): ReadonlyArray<Strike> {
    return this.#journal
  }

  /** Its id, for the journal and for `disarm`. */
  arm(fault: Fault): string {
    const id = fault.id ?? `${this.#prefix}fault-${++this.#ids}`
    const armed = { id, chance: Chance.seeded(fault.seed ?? 0, id), left: fault.count ?? Infinity }
    if (isRequestFault(fault)) this.#requests.push({ ...armed, fault })
    else if (isUpgradeFault(fault)) this.#upgrades.push({ ...armed, fault })
    else if (isLoginFault(fault)) this.#logins.push({ ...armed, fault })
    else if (isFrameFault(fault)) this.#frames.push({ ...armed, fault })
    // What strikes at once strikes once, unless it says how often.
    else this.#others.push({ ...armed, fault, left: fault.count ?? 1 })
    return id
  }

  /** One fault, or all of them; false when there was none. */
  disarm(id?: string): boolean {
    let found = false
    for (const list of this.#lists()) {
      for (let at = list.length - 1; at >= 0; at--) {
        if (id !== undefined && list[at]?.id !== id) continue
        list.splice(at, 1)
        found = true
      }
    }
    return found
  }

  request(subject: Subject, when: "before" | "after"): RequestFault | undefined {
    return this.#strike(this.#requests, subject, (fault) => fault.when === when)
  }

  upgrade(subject: Subject): UpgradeFault | undefined {
    return this.#strike(this.#upgrades, subject)
  }

  /** Of somebody who wants to be known (`auth`), or to hear something (`subscribe`). */
  login(subject: Subject & { readonly method: "auth" | "subscribe" }): LoginFault | undefined {
    const isSubscribing = subject.method === "subscribe"
    return this.#strike(
      this.#logins,
      subject,
      (fault) => (fault.kind === "subscription_error") === isSubscribing,
    )
  }

  frame(subject: Subject): FrameFault | undefined {
    return this.#strike(this.#frames, subject)
  }

  /** Those that are due now and strike whatever is there. */
  due(): ReadonlyArray<ConnectionFault | VenueFault> {
    const due = new Array<ConnectionFault | VenueFault>()
    for (const armed of [...this.#others]) {
      if (!this.#isActive(armed.fault) || !draws(armed)) continue
      this.#record(this.#others, armed, armed.fault.match ?? {})
      due.push(armed.fault)
    }
    return due
  }

  #strike<F extends Fault>(
    list: Array<Armed<F>>,
    subject: Subject,
    fits: (fault: F) => boolean = () => true,
  ): F | undefined {
    const armed = list.find((one) =>
      fits(one.fault) && this.#isActive(one.fault) && matches(one.fault.match ?? {}, subject) &&
      draws(one)
    )
    if (armed !== undefined) this.#record(list, armed, subject)
    return armed?.fault
  }

  #isActive({ fromMs, untilMs }: Fault): boolean {
    const atMs = this.#now() - this.#startMs
    return atMs >= (fromMs ?? 0) && atMs < (untilMs ?? Infinity)
  }

  #record<F extends Fault>(list: Array<Armed<F>>, armed: Armed<F>, subject: Subject) {
    const { id, fault } = armed
    const atMs = this.#now() - this.#startMs
    this.#journal.push({ faultId: id, kind: fault.kind, atMs, subject })
    if (this.#journal.length > JOURNAL_MAX * 2) this.#journal = this.#journal.slice(-JOURNAL_MAX)
    if (--armed.left <= 0) list.splice(list.indexOf(armed), 1)
  }

  #lists(): ReadonlyArray<Array<Armed<Fault>>> {
    return [this.#requests, this.#upgrades, this.#logins, this.#frames, this.#others]
  }
}

/** Whether a fault strikes people's connections; else the venue itself. */
export function strikesConnections(fault: ConnectionFault | VenueFault): fault is ConnectionFault {
  return isConnectionFault(fault)
}

function draws({ fault, chance }: Armed<Fault>): boolean {
  return fault.probability === undefined || chance.next() < fault.probability
}

function matches(matcher: Matcher, subject: Subject): boolean {
  const facts: Readonly<Record<string, string | undefined>> = subject
  return Object.entries(matcher).every(([name, pattern]) => {
    const text = facts[name]
    return text !== undefined && fitsPattern(String(pattern), text)
  })
}

/** `*` stands for any text; case does not matter. */
function fitsPattern(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
  return new RegExp(`^${parts.join(".*")}$`, "i").test(text)
}
