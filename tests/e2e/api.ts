/** Keel's interface from outside. */
import assert from "node:assert/strict"
import { Schema } from "effect"
import type { Command, CommandReceipt } from "../../domain/command.ts"
import { Event, type JournalRecord } from "../../domain/event.ts"
import { venueOf } from "../../domain/instrument.ts"
import type { Overview } from "../../domain/overview.ts"
import { applyRecord, type Books, emptyBooks } from "../../domain/books.ts"

const decodeEvent = Schema.decodeUnknownSync(Event)

export async function stateOf(url: string): Promise<Overview> {
  const answer = await fetch(`${url}/api/v1/state`)
  assert.equal(answer.status, 200)
  return await answer.json()
}

/** How many orders were meant for `venue` so far; the list of orders holds the last ones only. */
export function intentsAt(venue: string, { orders }: Overview): number {
  const numbers = orders.filter(({ instrument }) => venueOf(instrument) === venue)
    .map(({ clientOrderId }) => Number(clientOrderId.split("-").at(-1)))
  return Math.max(0, ...numbers)
}

let commands = 0
export async function command(
  url: string,
  body: Omit<Command, "commandId"> & { readonly commandId?: string },
): Promise<CommandReceipt> {
  commands += 1
  const answer = await fetch(`${url}/api/v1/commands`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ commandId: `e2e-${commands}`, ...body }),
  })
  const text = await answer.text()
  assert.equal(answer.status, 202, text)
  return JSON.parse(text)
}

/** The journal from its beginning, as the stream tells it, until somebody cancels it. */
export class JournalStream {
  private constructor(private readonly body: ReadableStreamDefaultReader<Uint8Array>) {}

  static async open(url: string): Promise<JournalStream> {
    const { body, status } = await fetch(`${url}/api/v1/events?from=0`)
    assert.equal(status, 200)
    assert.ok(body)
    return new JournalStream(body.getReader())
  }

  /** What has come at once, every time that something has. */
  async *batches(): AsyncGenerator<ReadonlyArray<JournalRecord>> {
    let rest = ""
    const decoder = new TextDecoder()
    while (true) {
      const { done, value } = await this.body.read()
      if (done) return
      const messages = (rest + decoder.decode(value, { stream: true })).split("\n\n")
      rest = messages.pop() ?? ""
      yield messages.flatMap((message) => {
        const data = message.split("\n").filter((line) => line.startsWith("data:"))
        if (data.length === 0) return []
        const record = JSON.parse(data.map((line) => line.slice(5)).join("\n"))
        return [{ ...record, event: decodeEvent(record.event) }]
      })
    }
  }

  // By the body and not by a signal: Deno forgets the signal of a request that has been answered.
  cancel(): Promise<void> {
    return this.body.cancel()
  }
}

/** Books folded here, further and further, from what the journal says. */
export class Fold implements AsyncDisposable {
  readonly #books = emptyBooks()
  readonly #records: AsyncGenerator<JournalRecord>

  private constructor(private readonly journal: JournalStream) {
    this.#records = (async function* () {
      for await (const batch of journal.batches()) yield* batch
    })()
  }

  static async open(url: string): Promise<Fold> {
    return new Fold(await JournalStream.open(url))
  }

  /** As they were at `seq`, which must not be before what was asked for last. */
  async upTo(seq: number): Promise<Books> {
    assert.ok(seq >= this.#books.seq, `${seq} is over: the fold is at ${this.#books.seq}`)
    while (this.#books.seq < seq) {
      const { done, value } = await this.#records.next()
      if (done) throw new Error(`the journal ended at ${this.#books.seq}, before ${seq}`)
      applyRecord(this.#books, value)
    }
    return this.#books
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.journal.cancel()
  }
}
