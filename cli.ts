/**
 * Command lines: what a command takes, read and refused in one place.
 *
 * A command is a table of options; the table reads the arguments, words the complaints and prints
 * the help, so that the help cannot be wrong about what is accepted. It opens no file and looks at
 * no network: what an argument names is its user's business.
 */
import { parseArgs } from "node:util"
import { Result } from "effect"
import { nearest } from "./config_problem.ts"
import { type LevelName, logLevels, readLevel } from "./log.ts"

export interface Option<A> {
  /** Shown after the name: `FILE`; absent for a switch. */
  readonly value?: string
  readonly help: string
  /** The value, or what it must be. */
  readonly read: (text: string) => Result.Result<A, string>
  /** When the option is not given. */
  readonly absent: A
}

export interface Command<Options extends OptionTable> {
  readonly name: string
  /** One line: what it does. */
  readonly does: string
  readonly options: Options
  /** Shown below the options. */
  readonly notes?: ReadonlyArray<string>
  /** Name of the one argument without dashes; absent if there is none. */
  readonly argument?: string
}

type OptionTable = Readonly<Record<string, Option<unknown>>>
export type Values<Options extends OptionTable> = {
  readonly [K in keyof Options]: Options[K] extends Option<infer A> ? A : never
}

/** What a command line asks for. */
export type Reading<A> =
  | { readonly _tag: "Run"; readonly options: A; readonly argument: string }
  | { readonly _tag: "Help"; readonly text: string }
  | { readonly _tag: "Bad"; readonly line: string }

export function text(value: string, absent: string, help: string): Option<string> {
  return { value, help: `${help} (default ${absent})`, read: someText, absent }
}

export function optionalText(value: string, help: string): Option<string | undefined> {
  return { value, help, read: someText, absent: undefined }
}

/** A whole number from `min` to `max`. */
export function integer(
  bounds: { readonly min: number; readonly max: number },
  absent: number,
  help: string,
): Option<number> {
  return {
    value: "N",
    help: `${help} (default ${absent})`,
    absent,
    read: (given) => {
      const number = /^-?\d{1,15}$/.test(given) ? Number(given) : NaN
      return number >= bounds.min && number <= bounds.max
        ? Result.succeed(number)
        : Result.fail(`an integer between ${bounds.min} and ${bounds.max}`)
    },
  }
}

/** A number above zero, up to `max`; `undefined` when it is not given. */
export function factor(max: number, help: string): Option<number | undefined> {
  return {
    value: "N",
    help,
    absent: undefined,
    read: (given) => {
      const number = /^\d{1,9}(?:\.\d{1,9})?$/.test(given) ? Number(given) : NaN
      return number > 0 && number <= max
        ? Result.succeed(number)
        : Result.fail(`a number above 0, at most ${max}`)
    },
  }
}

/** A switch: off unless given. */
export function flag(help: string): Option<boolean> {
  return { help, absent: false, read: () => Result.succeed(true) }
}

function someText(given: string): Result.Result<string, string> {
  return given === "" ? Result.fail("not empty") : Result.succeed(given)
}

export function readArguments<Options extends OptionTable>(
  command: Command<Options>,
  args: ReadonlyArray<string>,
): Reading<Values<Options>> {
  const bad = (says: string): Reading<never> => ({
    _tag: "Bad",
    line: `${command.name}: ${says}; --help shows what it takes`,
  })
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      Object.entries(command.options).map(([name, { value }]) => [
        name,
        { type: value === undefined ? "boolean" as const : "string" as const },
      ]),
    ),
  })
  // Whoever asks for help gets it, whatever else is wrong.
  if (tokens.some((token) => token.kind === "option" && /^(?:--help|-h)$/.test(token.rawName))) {
    return { _tag: "Help", text: helpText(command) }
  }
  const values: Record<string, unknown> = {}
  for (const [name, { absent }] of Object.entries(command.options)) values[name] = absent
  const given = new Set<string>()
  let argument: string | undefined
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue
    if (token.kind === "positional") {
      if (command.argument === undefined || argument !== undefined) {
        return bad(`unexpected argument ${quoted(token.value)}`)
      }
      argument = token.value
      continue
    }
    const { name, rawName, value } = token
    const option = Object.hasOwn(command.options, name) ? command.options[name] : undefined
    if (option === undefined || !rawName.startsWith("--")) {
      const meant = nearest(name, Object.keys(command.options))
      return bad(
        `unknown option ${rawName}${meant === undefined ? "" : `, did you mean --${meant}?`}`,
      )
    }
    if (given.has(name)) return bad(`--${name} is given twice`)
    given.add(name)
    if (option.value === undefined && value !== undefined) return bad(`--${name} takes no value`)
    if (option.value !== undefined && (value === undefined || /^--/.test(value))) {
      return bad(`--${name} needs a value: --${name} ${option.value}`)
    }
    const read = option.read(value ?? "")
    if (Result.isFailure(read)) {
      return bad(`--${name} must be ${read.failure}, got ${quoted(value ?? "")}`)
    }
    values[name] = read.success
  }
  if (command.argument !== undefined && argument === undefined) {
    return bad(`${command.argument} is missing`)
  }
  // Every name of the table has been filled by its own option.
  return { _tag: "Run", options: values as Values<Options>, argument: argument ?? "" }
}

export function helpText(command: Command<OptionTable>): string {
  const rows = Object.entries(command.options).map(([name, { value, help }]) =>
    [`--${name}${value === undefined ? "" : ` ${value}`}`, help] as const
  )
  rows.push(["--help", "this text"])
  const width = Math.max(...rows.map(([usage]) => usage.length)) + 2
  const argument = command.argument === undefined ? "" : ` ${command.argument}`
  return [
    `${command.does}`,
    "",
    `usage: deno task ${command.name} [options]${argument}`,
    "",
    ...rows.map(([usage, help]) => `  ${usage.padEnd(width)}${help}`),
    ...(command.notes === undefined ? [] : ["", ...command.notes]),
  ].join("\n")
}

/** The options of a reading; help and bad arguments end the process with 0 and 2. */
export function answer<A>(
  reading: Reading<A>,
): { readonly options: A; readonly argument: string } {
  switch (reading._tag) {
    case "Run":
      return reading
    case "Help":
      console.log(reading.text)
      Deno.exit(0)
      break
    case "Bad":
      console.error(reading.line)
      Deno.exit(2)
  }
}

const startCommand = {
  name: "start",
  does: "Runs Keel and its dashboard; without keys and configuration, on simulated venues.",
  options: {
    port: integer({ min: 0, max: 65_535 }, 8_000, "port of the dashboard, 0 picks a free one"),
    host: text("HOST", "127.0.0.1", "address of the dashboard, on this machine only"),
    data: text("DIR", "./data", "folder of the journal; created if missing"),
    config: optionalText("FILE", "configuration (default keel.json, if there is one)"),
    replay: optionalText(
      "FILE",
      "plays recorded frames, trades or bars through the simulated venue",
    ),
    speed: factor(1_000, "times as fast as recorded, with --replay (default 1)"),
    seed: integer({ min: 0, max: 4_294_967_295 }, 1, "of the synthetic market"),
  },
  notes: [
    "environment:",
    `  KEEL_LOG      how much is logged: ${logLevels.join(", ")} (default info)`,
    "  NO_COLOR      logs without colors",
    "  APCA_API_KEY_ID, APCA_API_SECRET_KEY",
    '                keys of an Alpaca paper account, for "mode": "paper"',
    "  BINANCE_API_KEY, BINANCE_API_SECRET",
    "                the same of the Binance testnet; BINANCE_PRIVATE_KEY_FILE instead of",
    "                the secret names a file with an Ed25519 key",
  ],
}

export interface StartOptions extends Values<typeof startCommand["options"]> {
  readonly logLevel: LevelName
}

/** `readVariable` is `Deno.env.get`. */
export function readStart(
  args: ReadonlyArray<string>,
  readVariable: (name: string) => string | undefined,
): Reading<StartOptions> {
  const reading = readArguments(startCommand, args)
  if (reading._tag !== "Run") return reading
  const { host, speed, replay } = reading.options
  if (!isLoopback(host)) {
    const line =
      `start: --host ${host.slice(0, 60)} is refused: no password is set, and without one the ` +
      "dashboard is for this machine alone; use 127.0.0.1"
    return { _tag: "Bad", line }
  }
  if (speed !== undefined && replay === undefined) {
    return { _tag: "Bad", line: "start: --speed goes with --replay; --help shows what it takes" }
  }
  return withLevel(reading, readVariable)
}

/** Adds the log level that `KEEL_LOG` asks for. */
export function withLevel<A>(
  reading: Reading<A>,
  readVariable: (name: string) => string | undefined,
): Reading<A & { readonly logLevel: LevelName }> {
  if (reading._tag !== "Run") return reading
  const level = readLevel(readVariable("KEEL_LOG"))
  if (Result.isFailure(level)) return { _tag: "Bad", line: level.failure }
  return { ...reading, options: { ...reading.options, logLevel: level.success } }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host)
}

function quoted(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)
}
