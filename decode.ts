/**
 * `deno task decode`: a file of recorded frames as normalised events, one JSON line each.
 *
 * It streams: a file of any size needs no more memory than its longest line. What it cannot read it
 * says, and goes on; whoever reads its output may stop reading at any time.
 */
import { createReadStream } from "node:fs"
import { pipeline } from "node:stream"
import { createGunzip } from "node:zlib"
import { Result } from "effect"
import { answer, flag, type Option, readArguments } from "./cli.ts"
import { guessedSymbols as alpacaSymbols } from "./venues/alpaca/symbols.ts"
import { Transcript as AlpacaTranscript } from "./venues/alpaca/transcript.ts"
import { guessedSymbols as binanceSymbols } from "./venues/binance/symbols.ts"
import { Transcript as BinanceTranscript } from "./venues/binance/transcript.ts"
import type { Transcript, TranscriptEvent } from "./venues/transcript.ts"

/** Longer than any frame of any venue: what exceeds it is not a line of frames. */
const LINE_CHARACTERS_MAX = 32 * 1024 * 1024
/** Characters of output gathered before they are written. */
const OUTPUT_CHARACTERS = 64 * 1024

const venue: Option<"alpaca" | "binance" | undefined> = {
  value: "NAME",
  help: "whose frames they are, always needed: alpaca or binance",
  absent: undefined,
  read: (given) =>
    given === "alpaca" || given === "binance"
      ? Result.succeed(given)
      : Result.fail("alpaca or binance"),
}

const command = {
  name: "decode",
  does: "Prints recorded frames of a venue as normalised events, one JSON line each.",
  argument: "FILE",
  options: {
    venue,
    book: flag("also the top of the local order book after every change of it; binance only"),
  },
  notes: [
    "FILE holds one frame a line: raw JSON, `<receive time in ns> <frame>` or",
    "`<unix seconds>: <frame>`, plain or gzip. A depth snapshot without `stream` is the REST answer.",
  ],
}

/** One line for people. */
class Unreadable extends Error {}

async function decode(file: string, transcript: Transcript): Promise<void> {
  const counts = new Map<string, number>()
  const output = new Output()
  const show = async (event: TranscriptEvent) => {
    counts.set(event.type, (counts.get(event.type) ?? 0) + 1)
    await output.line(JSON.stringify(event))
  }
  let problem: string | undefined
  try {
    for await (const line of linesOf(await open(file))) {
      if (line === undefined) await show(transcript.unreadable("a line too long to be a frame"))
      else for (const event of transcript.read(line)) await show(event)
    }
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    problem = error.message
  }
  await output.flush()
  const undecoded = counts.get("undecoded") ?? 0
  counts.delete("undecoded")
  const events = [...counts].map(([type, count]) => `, ${type} ${count}`).join("")
  if (problem === undefined || transcript.frames > 0) {
    console.error(`decode: frames ${transcript.frames}${events}, undecoded ${undecoded}`)
  }
  if (problem !== undefined) throw new Unreadable(problem)
}

/** The bytes of a file, unpacked if it is packed. */
async function open(file: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const isPacked = await startsWithGzip(file)
    const stored = createReadStream(file)
    // The web's own stream stops after the first of several packed parts; recorders append parts.
    return isPacked ? pipeline(stored, createGunzip(), () => {}) : stored
  } catch (error) {
    throw new Unreadable(`cannot open ${file}: ${fileProblem(error)}`)
  }
}

async function startsWithGzip(file: string): Promise<boolean> {
  using opened = await Deno.open(file)
  if ((await opened.stat()).isDirectory) throw new Deno.errors.IsADirectory()
  const start = new Uint8Array(2)
  return await opened.read(start) === 2 && start[0] === 0x1f && start[1] === 0x8b
}

function fileProblem(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file"
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder"
  if (error instanceof Deno.errors.PermissionDenied) return "reading it is not allowed"
  return error instanceof Error ? error.message : String(error)
}

/** Line by line, without the line breaks; undefined for a line longer than the limit. */
async function* linesOf(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<string | undefined> {
  const decoder = new TextDecoder()
  let rest = ""
  let isTooLong = false
  const reader = bytes[Symbol.asyncIterator]()
  while (true) {
    const chunk = await reader.next().catch((error) => {
      throw new Unreadable(`the file cannot be read further: ${fileProblem(error)}`)
    })
    rest += decoder.decode(chunk.done ? undefined : chunk.value, { stream: !chunk.done })
    const lines = rest.split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      yield isTooLong || line.length > LINE_CHARACTERS_MAX ? undefined : line
      isTooLong = false
    }
    if (rest.length > LINE_CHARACTERS_MAX) {
      isTooLong = true
      rest = ""
    }
    if (chunk.done) break
  }
  if (isTooLong) yield undefined
  else if (rest !== "") yield rest
}

/** Standard output, in large pieces. */
class Output {
  private text = ""

  async line(line: string) {
    this.text += `${line}\n`
    if (this.text.length >= OUTPUT_CHARACTERS) await this.flush()
  }

  async flush() {
    let bytes = new TextEncoder().encode(this.text)
    this.text = ""
    while (bytes.length > 0) bytes = bytes.subarray(await Deno.stdout.write(bytes))
  }
}

if (import.meta.main) {
  const { options, argument } = answer(readArguments(command, Deno.args))
  if (options.venue === undefined) {
    console.error("decode: --venue is missing: alpaca or binance; --help shows what it takes")
    Deno.exit(2)
  }
  if (options.venue === "alpaca" && options.book) {
    console.error("decode: --book is for binance: the stream of shares has no order book")
    Deno.exit(2)
  }
  const transcript = options.venue === "alpaca"
    ? new AlpacaTranscript(alpacaSymbols)
    : new BinanceTranscript(binanceSymbols, options.book)
  try {
    await decode(argument, transcript)
  } catch (error) {
    // Nobody reads any more: that is not an error of ours.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0)
    if (!(error instanceof Unreadable)) throw error
    console.error(`decode: ${error.message}`)
    Deno.exit(1)
  }
}
