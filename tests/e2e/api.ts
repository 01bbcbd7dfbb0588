/** Keel's interface from outside, and the venue's. */
import assert from "node:assert/strict"
import type { Command, CommandReceipt } from "../../domain/command.ts"
import type { Overview } from "../../domain/overview.ts"
import { applyRecord, type Books, emptyBooks } from "../../domain/books.ts"
import { Event } from "../../domain/event.ts"
import { Schema } from "effect"

const decodeEvent = Schema.decodeUnknownSync(Event)

export async function stateOf(url: string): Promise<Overview> {
  const answer = await fetch(`${url}/api/v1/state`)
  assert.equal(answer.status, 200)
  return await answer.json()
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

/** The whole journal up to `seq`, as the stream tells it, folded here. */
export async function foldedJournal(url: string, seq: number): Promise<Books> {
  const books = emptyBooks()
  const answer = await fetch(`${url}/api/v1/events?from=0`)
  assert.equal(answer.status, 200)
  let rest = ""
  const decoder = new TextDecoder()
  for await (const bytes of answer.body ?? []) {
    const messages = (rest + decoder.decode(bytes, { stream: true })).split("\n\n")
    rest = messages.pop() ?? ""
    for (const message of messages) {
      const data = message.split("\n").filter((line) => line.startsWith("data:"))
      if (data.length === 0) continue
      const record = JSON.parse(data.map((line) => line.slice(5)).join("\n"))
      applyRecord(books, { ...record, event: decodeEvent(record.event) })
      // Leaving the loop cancels the stream.
      if (books.seq === seq) return books
    }
  }
  throw new Error(`the journal ended at ${books.seq}, before ${seq}`)
}

export interface VenueAddress {
  readonly rest: string
  readonly ws: string
  readonly wsApi: string
  readonly key: string
  readonly secret: string
}

/** `GET /api/v3/account`, asked as anybody would: balances by asset, free and locked together. */
export async function venueBalances(venue: VenueAddress): Promise<Map<string, number>> {
  const text = new TextEncoder()
  const { serverTime } = await (await fetch(`${venue.rest}/api/v3/time`)).json()
  const query = `timestamp=${serverTime}`
  const key = await crypto.subtle.importKey(
    "raw",
    text.encode(venue.secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  )
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, text.encode(query)))
    .toHex()
  const answer = await fetch(`${venue.rest}/api/v3/account?${query}&signature=${signature}`, {
    headers: { "x-mbx-apikey": venue.key },
  })
  assert.equal(answer.status, 200)
  const { balances } = await answer.json()
  return new Map(
    balances.map((
      { asset, free, locked }: { asset: string; free: string; locked: string },
    ) => [asset, Number(free) + Number(locked)]),
  )
}

export interface AlpacaAddress {
  readonly trading: string
  readonly data: string
  readonly dataStream: string
  readonly tradingStream: string
  readonly key: string
  readonly secret: string
}
