/**
 * Writes down everything that happens, before it is acted on.
 *
 * It owns the sequence and the one fold that is ahead of nobody's knowledge: appends that arrive
 * while a commit is under way share the next one, and whoever appended is answered when its records
 * are durable. A commit whose outcome is unclear ends the journal and everything after it; the
 * restart reads what is really there.
 */
import { Effect } from "effect"
import { applyRecord, type Books, copyBooks, emptyBooks } from "../domain/books.ts"
import { decodeEvent, encodeEvent, type Event, type JournalRecord } from "../domain/event.ts"
import {
  encodeJson,
  type EventStore,
  limits as storeLimits,
  type StoredRecord,
} from "../storage/event_store.ts"
import { EventBus } from "./event_bus.ts"
import {
  type ActorContext,
  type ActorName,
  actorName,
  type ActorRef,
  ask,
  type AskError,
  behavior,
  type ReplyTo,
} from "./runtime/mod.ts"

/** What followers of the journal receive, in order. */
export interface Recorded {
  readonly _tag: "Recorded"
  readonly records: ReadonlyArray<JournalRecord>
}

export type JournalMessage =
  | {
    readonly _tag: "Append"
    readonly events: ReadonlyArray<Event>
    /** Answered with all records after this seq, the new ones included. */
    readonly after: number
    /** Undefined when nobody waits: for what only has to be known. */
    readonly reply: ReplyTo<ReadonlyArray<JournalRecord>> | undefined
  }
  | { readonly _tag: "Copy"; readonly reply: ReplyTo<Books> }
  /** Durable records with seq > `after`, ascending, at most `limit`. */
  | {
    readonly _tag: "Read"
    readonly after: number
    readonly limit: number
    readonly reply: ReplyTo<ReadonlyArray<JournalRecord>>
  }
  | { readonly _tag: "Committed"; readonly batch: ReadonlyArray<JournalRecord> }

export const Journal: ActorName<JournalMessage> = actorName("journal")

export interface JournalOptions {
  readonly store: EventStore
  readonly mailboxMax: number
  /** Appended with every start, first of all. */
  readonly started: Event
  /** Records kept in memory for those who are a little behind. */
  readonly recentMax: number
  readonly readPage: number
}

interface State {
  /** Ahead of what is durable by what is waiting. */
  readonly books: Books
  /** Seq of the last record that the store has. */
  durable: number
  readonly recent: Array<JournalRecord>
  waiting: Array<JournalRecord>
  answers: Array<Extract<JournalMessage, { _tag: "Append" }> & { readonly upTo: number }>
  committing: boolean
}

/** Records of one commit: few enough that one that fails is little to do again. */
const COMMIT_MAX = 64

export function journal(options: JournalOptions) {
  const { store } = options
  return behavior<State, JournalMessage>({
    name: Journal.id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "suspend" },
    init: Effect.fn("Journal.init")(function* (actor) {
      const books = yield* readBooks(store, options.readPage)
      const state: State = {
        books,
        durable: books.seq,
        recent: [],
        waiting: [],
        answers: [],
        committing: false,
      }
      // Only the start of the process is news: a restart of this actor is a supervision report.
      if (actor.incarnation === 0) enter(state, [options.started], actor.now(), store.epoch)
      commitNext(state, store, actor)
      return state
    }),
    receive: (state, message, actor) => {
      switch (message._tag) {
        case "Append": {
          enter(state, message.events, actor.now(), store.epoch)
          state.answers.push({ ...message, upTo: state.books.seq })
          // Nothing to write, and nothing being written: nobody else would answer.
          if (state.books.seq === state.durable) answerDurable(state)
          commitNext(state, store, actor)
          return state
        }
        case "Copy":
          message.reply.succeed(copyBooks(state.books))
          return state
        case "Read":
          actor.fork(answerRead(store, message))
          return state
        case "Committed":
          state.committing = false
          publish(state, message.batch, options.recentMax, actor)
          commitNext(state, store, actor)
          return state
      }
    },
  })
}

/** Folds the whole journal; what does not decode is a damaged journal, never skipped. */
const readBooks = Effect.fn("Journal.readBooks")(
  function* (store: EventStore, page: number) {
    const books = emptyBooks()
    while (true) {
      const records = yield* readRecords(store, books.seq, page)
      for (const each of records) applyRecord(books, each)
      if (records.length < page) return books
    }
  },
)

/** A reader's trouble is the reader's: only writing may end the journal. */
function answerRead(
  store: EventStore,
  { after, limit, reply }: Extract<JournalMessage, { _tag: "Read" }>,
) {
  return readRecords(store, after, limit).pipe(
    Effect.match({
      onSuccess: (records) => reply.succeed(records),
      onFailure: (error) => reply.fail(error),
    }),
  )
}

const readRecords = Effect.fnUntraced(function* (store: EventStore, after: number, limit: number) {
  const records: Array<JournalRecord> = []
  for (const { event, ...rest } of yield* store.read(after, limit)) {
    records.push({ ...rest, event: yield* decodeEvent(event) })
  }
  return records
})

/**
 * Gives the events their place. An event that does not fit the books is a defect of whoever made
 * it, and ends this incarnation before anything of it is stored.
 */
function enter(state: State, events: ReadonlyArray<Event>, time: number, epoch: number) {
  for (const event of events) {
    const record = { seq: state.books.seq + 1, time: Math.round(time), epoch, event }
    applyRecord(state.books, record)
    state.waiting.push(record)
  }
}

function commitNext(state: State, store: EventStore, actor: ActorContext<JournalMessage>) {
  if (state.committing || state.waiting.length === 0) return
  const stored = nextStored(state.waiting)
  const batch = state.waiting.slice(0, stored.length)
  state.waiting = state.waiting.slice(stored.length)
  state.committing = true
  // Not to be interrupted: the next incarnation reads what is there, and nothing may land after that.
  actor.fork(
    Effect.andThen(
      Effect.uninterruptible(store.append(stored)),
      Effect.sync(() => void actor.self.signal({ _tag: "Committed", batch })),
    ),
  )
}

/** As many as one atomic write takes, by number and by bytes; always at least one. */
function nextStored(waiting: ReadonlyArray<JournalRecord>): ReadonlyArray<StoredRecord> {
  const stored: Array<StoredRecord> = []
  let bytes = 0
  for (const record of waiting.slice(0, COMMIT_MAX)) {
    const next = { ...record, event: encodeEvent(record.event) }
    bytes += encodeJson(next)?.length ?? 0
    if (stored.length > 0 && bytes > storeLimits.appendBytesMax) break
    stored.push(next)
  }
  return stored
}

function publish(
  state: State,
  batch: ReadonlyArray<JournalRecord>,
  recentMax: number,
  actor: ActorContext<JournalMessage>,
) {
  state.recent.push(...batch)
  if (state.recent.length > 2 * recentMax) state.recent.splice(0, state.recent.length - recentMax)
  state.durable = batch.at(-1)?.seq ?? state.durable
  actor.ref(EventBus).send({ _tag: "Publish", records: batch })
  answerDurable(state)
}

function answerDurable(state: State) {
  const isDurable = (answer: { readonly upTo: number }) => answer.upTo <= state.durable
  // The sequence is dense: a seq tells the place, and thousands need not be looked at for each.
  const first = state.recent[0]?.seq ?? 0
  const placeAfter = (seq: number) => Math.max(0, seq + 1 - first)
  for (const { after, reply, upTo } of state.answers.filter(isDurable)) {
    const records = state.recent.slice(placeAfter(after), placeAfter(upTo))
    if (records.length === upTo - after) reply?.succeed(records)
    else reply?.fail(new Error(`too far behind the journal: at ${after}, it is at ${upTo}`))
  }
  state.answers = state.answers.filter((answer) => !isDurable(answer))
}

/** How long an append may take, a slow disk included, before whoever waits gives up. */
const JOURNAL_TIMEOUT_MS = 15_000

/**
 * Appends events and brings `books` up to them, with whatever others have appended in between.
 * When it returns the events are durable.
 */
export const record = Effect.fnUntraced(function* (
  actor: Pick<ActorContext<never>, "ref">,
  books: Books,
  events: ReadonlyArray<Event>,
): Effect.fn.Return<ReadonlyArray<JournalRecord>, AskError> {
  if (events.length === 0) return []
  const records = yield* ask(
    actor.ref(Journal),
    (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
      ({ _tag: "Append", events, after: books.seq, reply }) as const,
    { timeoutMs: JOURNAL_TIMEOUT_MS },
  )
  return keepUp(books, records)
})

/**
 * Brings `books` up to everything that was appended before now, for who must not judge by books
 * that lag behind: their mailbox would bring the same, only later.
 */
export const catchUp = Effect.fnUntraced(function* (
  actor: Pick<ActorContext<never>, "ref">,
  books: Books,
): Effect.fn.Return<void, AskError> {
  const records = yield* ask(
    actor.ref(Journal),
    (reply: ReplyTo<ReadonlyArray<JournalRecord>>) =>
      ({ _tag: "Append", events: [], after: books.seq, reply }) as const,
    { timeoutMs: JOURNAL_TIMEOUT_MS },
  )
  keepUp(books, records)
})

/**
 * A copy of the books as they are now, and from here on every record by the mailbox. Subscribed
 * first and copied second: a record may then come twice, which `keepUp` ignores, but never not.
 */
export const follow = Effect.fnUntraced(function* (
  actor: Pick<ActorContext<never>, "ref"> & { readonly self: ActorRef<Recorded> },
) {
  actor.ref(EventBus).send({ _tag: "Subscribe", subscriber: actor.self })
  return yield* ask(
    actor.ref(Journal),
    (reply: ReplyTo<Books>) => ({ _tag: "Copy", reply }) as const,
    { timeoutMs: JOURNAL_TIMEOUT_MS },
  )
})

/**
 * Applies what is new, and returns it. A gap is a defect: the restart reads the books again. The
 * books may be ahead of the mailbox (`record` brings them up, too), so whoever reacts to events
 * reacts to the records of the message, each of which comes once.
 */
export function keepUp(
  books: Books,
  records: ReadonlyArray<JournalRecord>,
): ReadonlyArray<JournalRecord> {
  const news = records.filter(({ seq }) => seq > books.seq)
  for (const each of news) applyRecord(books, each)
  return news
}
