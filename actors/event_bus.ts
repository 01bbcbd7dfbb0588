/**
 * Tells every follower what the journal has made durable, in order.
 *
 * A follower whose mailbox is full misses records and finds out by the next one it gets, because
 * the sequence is dense; it then starts again from the books. The bus therefore never waits.
 */
import type { JournalRecord } from "../domain/event.ts"
import type { Recorded } from "./journal.ts"
import { type ActorName, actorName, type ActorRef, behavior } from "./runtime/mod.ts"

export type EventBusMessage =
  | { readonly _tag: "Subscribe"; readonly subscriber: ActorRef<Recorded> }
  | { readonly _tag: "Publish"; readonly records: ReadonlyArray<JournalRecord> }
  | { readonly _tag: "Ended"; readonly path: string; readonly crashed: boolean }

export const EventBus: ActorName<EventBusMessage> = actorName("event_bus")

export function eventBus(options: { readonly mailboxMax: number }) {
  return behavior<ReadonlyMap<string, ActorRef<Recorded>>, EventBusMessage>({
    name: EventBus.id,
    restart: "permanent",
    mailbox: { capacity: options.mailboxMax, overflow: "reject" },
    init: () => new Map(),
    receive: (subscribers, message, actor) => {
      switch (message._tag) {
        case "Subscribe": {
          const { subscriber } = message
          actor.monitor(subscriber, ({ path, reason }) => ({
            _tag: "Ended",
            path,
            crashed: reason.kind === "crashed",
          }))
          return new Map(subscribers).set(subscriber.path, subscriber)
        }
        case "Ended": {
          // After a crash its mailbox goes on, and so do the records; a swapped strategy never comes
          // back, and who was only stopped subscribes again.
          if (message.crashed) return subscribers
          const left = new Map(subscribers)
          left.delete(message.path)
          return left
        }
        case "Publish": {
          const recorded: Recorded = { _tag: "Recorded", records: message.records }
          for (const subscriber of subscribers.values()) subscriber.send(recorded)
          return subscribers
        }
      }
    },
  })
}
