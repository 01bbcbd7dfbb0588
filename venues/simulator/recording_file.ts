/**
 * Reading a recording's file: plain or gzip, line by line or whole, and its numbers.
 */
import { type Atoms, parseAtomsRounded } from "./decimals.ts"
import { RecordingError } from "./recorded.ts"

/** Trades and bars are loaded; a file of more than this is refused, in characters. */
const LOADED_MAX = 256_000_000

export async function* readLines(path: string): AsyncGenerator<string> {
  const file = await Deno.open(path)
  try {
    const magic = new Uint8Array(2)
    const length = await file.read(magic)
    await file.seek(0, Deno.SeekMode.Start)
    const isGzip = length === 2 && magic[0] === 0x1f && magic[1] === 0x8b
    const bytes = isGzip
      ? file.readable.pipeThrough(new DecompressionStream("gzip"))
      : file.readable
    let rest = ""
    for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      yield* lines
    }
    if (rest !== "") yield rest
  } finally {
    try {
      file.close()
    } catch {
      // The stream closes the file when it was read to its end.
    }
  }
}

export async function readText(path: string): Promise<string> {
  const lines = new Array<string>()
  let length = 0
  for await (const line of readLines(path)) {
    length += line.length + 1
    if (length > LOADED_MAX) {
      throw new RecordingError({ path, text: `longer than ${LOADED_MAX} characters; split it` })
    }
    lines.push(line)
  }
  return lines.join("\n")
}

export function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RecordingError({ path, text: `not valid JSON: ${messageOf(cause)}` })
  }
}

export async function readJsonLines(path: string): Promise<unknown> {
  const text = await readText(path)
  // One object over several lines is not a recording; one object per line is.
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return []
    try {
      return [JSON.parse(line)]
    } catch {
      throw new RecordingError({ path, line: index + 1, text: "expected one JSON object per line" })
    }
  })
}

export function unreadable(path: string, cause: unknown): RecordingError {
  const text = cause instanceof Deno.errors.NotFound
    ? "no such file"
    : cause instanceof Deno.errors.NotCapable || cause instanceof Deno.errors.PermissionDenied
    ? "no permission to read it"
    : `cannot be read: ${messageOf(cause)}`
  return new RecordingError({ path, text })
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** A file's number, written as text or as a JSON number. */
export function atomsOf(value: unknown): Atoms | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined
  return value === "" ? undefined : parseAtomsRounded(String(value))
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
