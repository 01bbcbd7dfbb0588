/**
 * Lets in a venue that did not answer when the runtime started.
 *
 * What answers is not kept waiting for what does not. Until a venue answers it is a lost feed,
 * journaled and shown like any other; then it gets its account and its feed as if it had been there
 * from the beginning. This actor stands after both supervisors, so that a restart of either brings
 * it along, and with it what it had let in.
 */
import { Effect, Random } from "effect"
import { backoffMs, type BackoffPolicy } from "../domain/backoff.ts"
import type { Books } from "../domain/books.ts"
import { follow, keepUp, record, type Recorded } from "./journal.ts"
import { Monitor } from "./names.ts"
import { Roster } from "./roster.ts"
import {
  type ActorContext,
  type ActorName,
  actorName,
  type ActorSystem,
  behavior,
  type ChildSpec,
} from "./runtime/mod.ts"

export interface AdmissionOptions {
  readonly latecomers: ReadonlyArray<Latecomer>
  /** Of the supervisors they belong to. */
  readonly accountsPath: string
  readonly feedsPath: string
  readonly system: () => ActorSystem | undefined
  readonly backoff: BackoffPolicy
  readonly mailboxMax: number
}

export interface Latecomer {
  readonly venue: string
  /** Its account and its feed, once it answers; at once when it has answered before. */
  readonly open: Effect.Effect<Admitted, { readonly message: string }>
}

export interface Admitted {
  readonly account: ChildSpec
  readonly feed: ChildSpec
}

export const Admission: ActorName<Recorded> = actorName("admission")

export function admission(options: AdmissionOptions) {
  return behavior<Books, Recorded>({
    name: Admission.id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: Effect.fn("Admission.init")(function* (actor: ActorContext<Recorded>) {
      const books = yield* follow(actor)
      for (const latecomer of options.latecomers) {
        actor.fork(letIn(latecomer, books, options, actor))
      }
      return books
    }),
    receive: (books, message) => {
      keepUp(books, message.records)
      return books
    },
  })
}

const letIn = Effect.fnUntraced(function* (
  { open, venue }: Latecomer,
  books: Books,
  options: AdmissionOptions,
  actor: ActorContext<Recorded>,
) {
  for (let attempt = 1;; attempt++) {
    const answer = yield* Effect.result(open)
    const system = options.system()
    if (answer._tag === "Success" && system !== undefined) {
      yield* adopt(system, options.accountsPath, answer.success.account)
      yield* adopt(system, options.feedsPath, answer.success.feed)
      actor.ref(Roster).signal({ _tag: "Arrange" })
      return
    }
    if (answer._tag === "Failure") {
      const cause = answer.failure.message
      actor.ref(Monitor).send({
        _tag: "LinkChanged",
        link: {
          venue,
          status: "reconnecting",
          lastEventAt: undefined,
          cause,
          clockOffsetMs: undefined,
        },
      })
      yield* record(actor, books, [{ _tag: "FeedLost", venue, cause, attempt }])
    }
    yield* Effect.sleep(backoffMs(options.backoff, attempt, yield* Random.next))
  }
})

/** After a restart of this actor alone it is there already. */
function adopt(system: ActorSystem, supervisorPath: string, child: ChildSpec) {
  const isThere = system.whichChildren(supervisorPath)?.some(({ name }) => name === child.name)
  return isThere ? Effect.void : system.startChild(supervisorPath, child)
}
