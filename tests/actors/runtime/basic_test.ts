import assert from "node:assert/strict"
import { Effect } from "effect"
import {
  actorName,
  ask,
  behavior,
  type ReplyTo,
  start,
  supervisor,
} from "../../../actors/runtime/mod.ts"

type Message = { type: "add"; n: number } | { type: "get"; reply: ReplyTo<number> } | {
  type: "crash"
}
const counter = actorName<Message>("counter")

const counting = behavior<number, Message>({
  name: counter.id,
  mailbox: { capacity: 100, overflow: "reject" },
  restart: "permanent",
  init: () => 0,
  receive: (sum, message) => {
    if (message.type === "add") return sum + message.n
    if (message.type === "get") {
      message.reply.succeed(sum)
      return sum
    }
    throw new Error("boom")
  },
})

Deno.test("an actor counts, crashes, forgets, and counts again", () =>
  Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const system = yield* start(supervisor({
      name: "root",
      strategy: "one_for_one",
      intensity: 3,
      periodMs: 1_000,
      children: [counting],
    }))
    const ref = system.ref(counter)
    ref.send({ type: "add", n: 2 })
    ref.send({ type: "add", n: 3 })
    const get = ask(ref, (reply: ReplyTo<number>) => ({ type: "get" as const, reply }), {
      timeoutMs: 1_000,
    })
    assert.equal(yield* get, 5)
    ref.send({ type: "crash" })
    ref.send({ type: "add", n: 7 })
    assert.equal(yield* get, 7)
    assert.equal(system.tree().children[0]?.restarts, 1)
    assert.equal(system.tree().children[0]?.lastCause, "Error: boom")
  }))))
