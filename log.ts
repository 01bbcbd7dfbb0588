/**
 * One structured line per event, on standard error.
 *
 * A person at a terminal gets time, level, source, message and `key=value`; everything else gets
 * JSON. The one idea: whatever is logged passes one gate that knows secrets by value, by the name of
 * their key and by the look of a signed URL, because an error of an HTTP library carries all three.
 * Nothing is ever written to standard output.
 */
import {
  BigDecimal,
  Cause,
  Layer,
  Logger,
  type LogLevel,
  Redacted,
  References,
  Result,
} from "effect"
import { formatDecimal } from "./domain/decimal.ts"

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const
export type LevelName = typeof logLevels[number]

const severity: Record<LevelName, LogLevel.LogLevel> = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  silent: "None",
}

/** What `KEEL_LOG` asks for; `info` when it is not set. */
export function readLevel(text: string | undefined): Result.Result<LevelName, string> {
  if (text === undefined || text === "") return Result.succeed("info")
  const level = logLevels.find((name) => name === text)
  return level === undefined
    ? Result.fail(
      `KEEL_LOG must be one of ${logLevels.join(", ")}, got ${JSON.stringify(text.slice(0, 20))}`,
    )
    : Result.succeed(level)
}

export interface LogOptions {
  readonly level: LevelName
  readonly form: "human" | "json"
  readonly color: boolean
  /** Never printed, wherever they turn up. */
  readonly secrets: ReadonlyArray<Redacted.Redacted>
  readonly write: (line: string) => void
}

/** For this process: what its standard error is decides the form. */
export function logOptions(
  level: LevelName,
  secrets: ReadonlyArray<Redacted.Redacted> = [],
): LogOptions {
  const terminal = Deno.stderr.isTerminal()
  const form = terminal ? "human" : "json"
  return { level, secrets, form, color: terminal && !Deno.noColor, write: toStandardError }
}

/** Replaces every other logger. */
export function layerLog(options: LogOptions): Layer.Layer<never> {
  return Layer.merge(
    Logger.layer([keelLogger(options)]),
    Layer.succeed(References.MinimumLogLevel, severity[options.level]),
  )
}

export function keelLogger(options: LogOptions): Logger.Logger<unknown, void> {
  const hide = redactor(options.secrets)
  const stacks = options.level === "debug" || options.level === "trace"
  return Logger.make(({ message, logLevel, cause, fiber, date }) => {
    const annotations = fiber.getRef(References.CurrentLogAnnotations)
    const line: Line = {
      time: date.toISOString(),
      level: logLevel.toLowerCase(),
      source: "keel",
      message: "",
      fields: {},
    }
    for (const [key, value] of Object.entries(annotations)) put(line, key, hide(value, key))
    const texts: Array<string> = []
    for (const part of Array.isArray(message) ? message : [message]) {
      if (typeof part !== "object" || part === null) texts.push(String(hide(part, "message")))
      else if (isPlain(part)) {
        for (const [key, value] of Object.entries(part)) put(line, key, hide(value, key))
      } else if (Cause.isCause(part)) explain(line, part, hide, stacks)
      else put(line, part instanceof Error ? "error" : "value", hide(part, "value"))
    }
    line.message = texts.join(" ")
    explain(line, cause, hide, stacks)
    options.write(options.form === "json" ? inJson(line) : forPeople(line, options.color))
  })
}

interface Line {
  time: string
  level: string
  source: string
  message: string
  readonly fields: Record<string, unknown>
}

type Hide = (value: unknown, key: string) => unknown

const reserved = new Set(["time", "level", "message"])

function put(line: Line, key: string, value: unknown): void {
  if (key === "source" && typeof value === "string") line.source = value
  else line.fields[reserved.has(key) ? `${key}_` : key] = value
}

/** A crash in one phrase; where it happened only for those who look for it. */
function explain(line: Line, cause: Cause.Cause<unknown>, hide: Hide, stacks: boolean): void {
  const phrases: Array<string> = []
  for (const reason of cause.reasons) {
    if (reason._tag === "Interrupt") {
      phrases.push("interrupted")
      continue
    }
    const thrown = reason._tag === "Die" ? reason.defect : reason.error
    const said = hide(thrown, "cause")
    const phrase = typeof said === "string" ? said : JSON.stringify(said)
    phrases.push(reason._tag === "Die" ? `defect: ${phrase}` : phrase)
    if (stacks && thrown instanceof Error && thrown.stack !== undefined) {
      line.fields["stack"] = hide(thrown.stack, "stack")
    }
  }
  if (phrases.length > 0) line.fields["cause"] = phrases.join("; ")
}

const hidden = "<redacted>"
const depthMax = 4
const entriesMax = 50
const textMax = 4_000

const secretName =
  /api.?key|secret|passw|signature|authorization|cookie|private.?key|listen.?key|^token$|[a-z]Token$/i

/** Values as JSON could say them, without what nobody may read. */
export function redactor(secrets: ReadonlyArray<Redacted.Redacted>): Hide {
  // The longest first: one secret may begin like another.
  const known = secrets.map(Redacted.value).filter((secret) => secret.length > 0)
    .toSorted((a, b) => b.length - a.length)

  const text = (from: string): string => {
    let clean = from
    for (const secret of known) clean = clean.replaceAll(secret, hidden)
    clean = clean
      .replace(/((?:signature|api_?key|listen_?key|secret|token)=)[^&\s"']+/gi, `$1${hidden}`)
      .replace(
        /(x-mbx-apikey|apca-api-[a-z-]+|authorization)(["']?\s*[:=]\s*)(["']?)(?:(?:bearer|basic) )?[^"'\s,}]+/gi,
        `$1$2$3${hidden}`,
      )
      .replace(/(\/\/)[^/\s:@]*:[^/\s@]+@/g, `$1${hidden}@`)
    return clean.length > textMax ? `${clean.slice(0, textMax)}...` : clean
  }

  const visit = (value: unknown, key: string, depth: number): unknown => {
    if (secretName.test(key) || Redacted.isRedacted(value)) return hidden
    switch (typeof value) {
      case "string":
        return text(value)
      case "bigint":
        return value.toString()
      case "number":
        return Number.isFinite(value) ? value : String(value)
      case "boolean":
        return value
      case "symbol":
      case "function":
        return `<${typeof value}>`
    }
    if (value === null || value === undefined) return value
    if (BigDecimal.isBigDecimal(value)) return formatDecimal(value)
    // The message is the part of an error that is written for people; its other properties hold
    // the request, and with it the key.
    if (value instanceof Error) {
      const name = value.name === "Error" || value.message.startsWith(value.name) ? "" : value.name
      return text(name === "" ? value.message : `${name}: ${value.message}`)
    }
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
    if (depth >= depthMax) return "<deeper>"
    if (Array.isArray(value)) {
      return value.slice(0, entriesMax).map((each) => visit(each, key, depth + 1))
    }
    if (value instanceof Map || value instanceof Set) return visit([...value], key, depth)
    return Object.fromEntries(
      Object.entries(value).slice(0, entriesMax)
        .map(([name, each]) => [name, visit(each, name, depth + 1)]),
    )
  }
  return (value, key) => visit(value, key, 0)
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function inJson({ fields, ...line }: Line): string {
  return JSON.stringify({ ...line, ...fields })
}

const colors: Record<string, string> = {
  trace: "\x1b[2m",
  debug: "\x1b[36m",
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
  fatal: "\x1b[35m",
}
const plain = "\x1b[0m"
const dim = "\x1b[2m"

function forPeople(line: Line, color: boolean): string {
  const paint = (code: string, text: string) => color ? `${code}${text}${plain}` : text
  const { stack, ...fields } = line.fields
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${paint(dim, `${printable(key)}=`)}${inOneWord(value)}`)
  const head = [
    paint(dim, line.time.slice(11)),
    paint(colors[line.level] ?? "", line.level.padEnd(5)),
    printable(line.source),
    printable(line.message),
  ]
  const trace = typeof stack === "string"
    ? stack.split("\n").slice(1).map((each) => `\n    ${printable(each.trim())}`).join("")
    : ""
  return head.filter((part) => part !== "").join(" ") + pairs.join("") + trace
}

function inOneWord(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return typeof value === "string" && /[\s"=]/.test(text) ? JSON.stringify(text) : printable(text)
}

/** What a venue wrote must not move the cursor or start a new line. */
function printable(text: string): string {
  return text.replace(
    // deno-lint-ignore no-control-regex -- they are what is taken out.
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (character) => JSON.stringify(character).slice(1, -1),
  )
}

const utf8 = new TextEncoder()

function toStandardError(line: string): void {
  const bytes = utf8.encode(`${line}\n`)
  try {
    for (let written = 0; written < bytes.length;) {
      written += Deno.stderr.writeSync(bytes.subarray(written))
    }
  } catch {
    // Nobody reads it any more; that is no reason to stop trading.
  }
}
