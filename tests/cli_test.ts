import assert from "node:assert/strict"
import { flag, integer, optionalText, readArguments, readStart } from "../cli.ts"

const noVariable = () => undefined

function start(...args: Array<string>) {
  const reading = readStart(args, noVariable)
  assert.equal(reading._tag, "Run", JSON.stringify(reading))
  return reading._tag === "Run" ? reading.options : undefined
}

function complaint(...args: Array<string>): string {
  const reading = readStart(args, noVariable)
  assert.ok(reading._tag === "Bad", JSON.stringify(reading))
  assert.doesNotMatch(reading.line, /\n/)
  return reading.line.replace("; --help shows what it takes", "")
}

Deno.test("readStart() has a default for everything", () => {
  assert.deepEqual(start(), {
    port: 8_000,
    host: "127.0.0.1",
    data: "./data",
    config: undefined,
    replay: undefined,
    speed: undefined,
    seed: 1,
    logLevel: "info",
  })
})

Deno.test("readStart() takes values after a blank and after an equals sign", () => {
  const args =
    "--port 0 --host=localhost --data d --config=c.json --replay r.gz --speed 2.5 --seed 7"
  assert.deepEqual(start(...args.split(" ")), {
    port: 0,
    host: "localhost",
    data: "d",
    config: "c.json",
    replay: "r.gz",
    speed: 2.5,
    seed: 7,
    logLevel: "info",
  })
})

const complaints: ReadonlyArray<[string, string]> = [
  ["--port x", 'start: --port must be an integer between 0 and 65535, got "x"'],
  ["--port 65536", 'start: --port must be an integer between 0 and 65535, got "65536"'],
  ["--port -1", 'start: --port must be an integer between 0 and 65535, got "-1"'],
  ["--port 80.5", 'start: --port must be an integer between 0 and 65535, got "80.5"'],
  ["--port= ", 'start: --port must be an integer between 0 and 65535, got ""'],
  ["--port", "start: --port needs a value: --port N"],
  ["--data --port 1", "start: --data needs a value: --data DIR"],
  ["--data=", 'start: --data must be not empty, got ""'],
  ["--prot 1", "start: unknown option --prot, did you mean --port?"],
  ["--xyzzyplugh", "start: unknown option --xyzzyplugh"],
  ["--__proto__ 1", "start: unknown option --__proto__"],
  ["-p 1", "start: unknown option -p"],
  ["--port 1 --port 2", "start: --port is given twice"],
  ["now", 'start: unexpected argument "now"'],
  ["--seed 1e9", 'start: --seed must be an integer between 0 and 4294967295, got "1e9"'],
  ["--replay f --speed 0", 'start: --speed must be a number above 0, at most 1000, got "0"'],
  ["--replay f --speed fast", 'start: --speed must be a number above 0, at most 1000, got "fast"'],
  ["--speed 2", "start: --speed goes with --replay"],
  [
    "--host 0.0.0.0",
    "start: --host 0.0.0.0 is refused: no password is set, and without one the dashboard is for this " +
    "machine alone; use 127.0.0.1",
  ],
]

for (const [args, says] of complaints) {
  Deno.test(`readStart() refuses ${args}`, () => {
    assert.equal(complaint(...args.split(" ").filter((arg) => arg !== "")), says)
  })
}

Deno.test("readStart() takes every loopback address, and no name that only looks like one", () => {
  for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "::1"]) start("--host", host)
  for (const host of ["127.0.0.1.example.org", "localhost.example.org", "::", "192.168.1.2"]) {
    assert.match(complaint("--host", host), /no password is set/)
  }
})

Deno.test("readStart() shows the help whatever else is wrong, with every option and its default", () => {
  const reading = readStart(["--port", "x", "--help"], noVariable)
  assert.ok(reading._tag === "Help")
  for (const option of ["port", "host", "data", "config", "replay", "speed", "seed", "help"]) {
    assert.match(reading.text, new RegExp(`^ {2}--${option}\\b`, "m"))
  }
  assert.match(reading.text, /--port N +port of the dashboard, 0 picks a free one \(default 8000\)/)
  assert.equal(readStart(["-h"], noVariable)._tag, "Help")
})

Deno.test("readStart() takes the log level from the environment, and refuses a bad one", () => {
  const level = (value: string) => readStart([], (name) => name === "KEEL_LOG" ? value : undefined)
  const debug = level("debug")
  assert.ok(debug._tag === "Run" && debug.options.logLevel === "debug")
  const bad = level("loud")
  assert.ok(bad._tag === "Bad")
  assert.equal(
    bad.line,
    'KEEL_LOG must be one of trace, debug, info, warn, error, silent, got "loud"',
  )
})

const decode = {
  name: "decode",
  does: "Decodes a recording.",
  argument: "FILE",
  options: {
    venue: optionalText("NAME", "whose frames"),
    book: flag("also the local book"),
    lines: integer({ min: 1, max: 10 }, 3, "lines"),
  },
}

Deno.test("readArguments() reads switches and the one argument, wherever it stands", () => {
  for (
    const args of ["--book f.gz --lines 2", "f.gz --book --lines 2", "--book --lines=2 -- f.gz"]
  ) {
    assert.deepEqual(readArguments(decode, args.split(" ")), {
      _tag: "Run",
      options: { venue: undefined, book: true, lines: 2 },
      argument: "f.gz",
    })
  }
})

Deno.test("readArguments() refuses a missing argument, a second one, and a value of a switch", () => {
  const line = (args: ReadonlyArray<string>) => {
    const reading = readArguments(decode, args)
    return reading._tag === "Bad" ? reading.line : reading._tag
  }
  assert.match(line([]), /^decode: FILE is missing;/)
  assert.match(line(["a", "b"]), /^decode: unexpected argument "b";/)
  assert.match(line(["a", "--book=yes"]), /^decode: --book takes no value;/)
})

Deno.test("answer() ends the process with 0 after the help and with 2 after one line", async () => {
  const run = async (...args: Array<string>) => {
    const script = `
      import { answer, readStart } from "./cli.ts"
      console.log(answer(readStart(Deno.args, () => undefined)).options.port)
    `
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--ext=ts", script, ...args],
      cwd: new URL("..", import.meta.url),
    }).output()
    const [out, said] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes))
    return { code, out, said }
  }
  assert.deepEqual(await run("--port", "9"), { code: 0, out: "9\n", said: "" })
  const help = await run("--help")
  assert.deepEqual([help.code, help.said], [0, ""])
  assert.match(help.out ?? "", /usage: deno task start/)
  const bad = await run("--prot", "9")
  assert.deepEqual([bad.code, bad.out], [2, ""])
  assert.match(bad.said ?? "", /^start: unknown option --prot, did you mean --port\?[^\n]*\n$/)
})
