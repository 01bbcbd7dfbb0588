/** `deno task decode` as somebody would call it, in a process of its own. */
import assert from "node:assert/strict"
import { gzipSync } from "node:zlib"
import { everyFrame as alpacaFrames } from "./venues/alpaca/frames.ts"
import { bookTicker, depth, snapshot, trade } from "./venues/binance/frames.ts"

const program = new URL("../decode.ts", import.meta.url).pathname
const granted = ["run", "--no-prompt", "--ignore-env", "--allow-read", program]

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function decode(...args: ReadonlyArray<string>): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...granted, ...args],
  }).output()
  const text = new TextDecoder()
  return { code, out: text.decode(stdout), err: text.decode(stderr) }
}

async function decoded(
  content: string | Uint8Array,
  ...args: ReadonlyArray<string>
): Promise<Outcome> {
  const file = await Deno.makeTempFile()
  try {
    await Deno.writeFile(
      file,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    )
    return await decode("--venue", "binance", ...args, file)
  } finally {
    await Deno.remove(file)
  }
}

const events = ({ out }: Outcome) =>
  out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))
const lines = (frames: ReadonlyArray<unknown>) =>
  frames.map((frame) => typeof frame === "string" ? frame : JSON.stringify(frame)).join("\n") + "\n"

const session = lines([
  depth,
  snapshot,
  { stream: "btcusdt@trade", data: trade },
  `1700000000123000000 ${JSON.stringify(bookTicker)}`,
  "garbage",
  { ...trade, t: 12349 },
])

Deno.test("decode prints one line per event and sums up where people look", async () => {
  const outcome = await decoded(session)
  assert.equal(outcome.code, 0)
  assert.deepEqual(events(outcome).map(({ type }) => type), [
    ...["depth", "snapshot", "trade", "quote", "undecoded", "gap", "trade"],
  ])
  assert.equal(
    outcome.err,
    "decode: frames 6, depth 1, snapshot 1, trade 2, quote 1, gap 1, undecoded 1\n",
  )
})

Deno.test("decode shows the local book when it is asked to", async () => {
  const more = lines([{
    ...depth,
    U: 161,
    u: 162,
    a: [["37000.02", "0"], ["37000.03", "1"]],
    b: [],
  }])
  const books = events(await decoded(session + more, "--book")).filter(({ type }) =>
    type === "book"
  )
  assert.deepEqual(books, [{
    ...{
      type: "book",
      instrument: "BTC/USDT.BINANCE",
      updateId: "162",
      bid: "37000",
      bidSize: "10",
    },
    ...{ ask: "37000.03", askSize: "1" },
  }])
})

Deno.test("decode reads a packed file, and one whose last line has no end", async () => {
  const plain = await decoded(session)
  assert.deepEqual(await decoded(gzipSync(session)), plain)
  const parts = [session.slice(0, 300), session.slice(300)].map((part) => gzipSync(part))
  assert.deepEqual(await decoded(new Uint8Array(parts.flatMap((part) => [...part]))), plain)
  assert.deepEqual(await decoded(session.trimEnd()), plain)
  assert.deepEqual(await decoded(session.replaceAll("\n", "\r\n")), plain)
})

Deno.test("decode of an empty file is nothing", async () => {
  assert.deepEqual(await decoded(""), { code: 0, out: "", err: "decode: frames 0, undecoded 0\n" })
})

Deno.test("decode prints what it could read of a file that is cut, and says that it is", async () => {
  const noise = Array.from(
    { length: 5_000 },
    (_, at) => ({ ...trade, t: at, p: `${(at * 7_919) % 100_003}.01` }),
  )
  const packed = gzipSync(lines(noise))
  const outcome = await decoded(packed.subarray(0, packed.length >> 1))
  assert.equal(outcome.code, 1)
  assert.ok(events(outcome).length > 0)
  assert.match(
    outcome.err,
    /^decode: frames \d+, .*\ndecode: the file cannot be read further: unexpected end of file\n$/,
  )
})

Deno.test("decode is quiet when nobody reads on", async () => {
  const file = await Deno.makeTempFile()
  const many = Array.from({ length: 20_000 }, (_, at) => ({ ...trade, t: at }))
  await Deno.writeTextFile(file, lines(many))
  const child = new Deno.Command(Deno.execPath(), {
    args: [...granted, "--venue", "binance", file],
    stdout: "piped",
    stderr: "piped",
  }).spawn()
  const reader = child.stdout.getReader()
  const first = await reader.read()
  assert.match(new TextDecoder().decode(first.value).slice(0, 20), /^\{"type":"trade"/)
  await reader.cancel()
  const told = await new Response(child.stderr).text()
  assert.deepEqual([(await child.status).code, told], [0, ""])
  await Deno.remove(file)
})

for (
  const [name, args, line] of [
    ["no file", ["--venue", "binance"], "decode: FILE is missing; --help shows what it takes"],
    [
      "no venue",
      ["x"],
      "decode: --venue is missing: alpaca or binance; --help shows what it takes",
    ],
    [
      "a venue that it does not know",
      ["--venue", "kraken", "x"],
      'decode: --venue must be alpaca or binance, got "kraken"; --help shows what it takes',
    ],
    [
      "the book of a venue that streams none",
      ["--venue", "alpaca", "--book", "x"],
      "decode: --book is for binance: the stream of shares has no order book",
    ],
    [
      "an option that it does not know",
      ["--books", "x"],
      "decode: unknown option --books, did you mean --book?; --help shows what it takes",
    ],
  ] as const
) {
  Deno.test(`decode refuses ${name} in one line`, async () => {
    assert.deepEqual(await decode(...args), { code: 2, out: "", err: `${line}\n` })
  })
}

Deno.test("decode reads the frames of Alpaca", async () => {
  const file = await Deno.makeTempFile()
  await Deno.writeTextFile(file, lines(alpacaFrames))
  const outcome = await decode("--venue", "alpaca", file)
  await Deno.remove(file)
  assert.equal(outcome.code, 0)
  const types = new Set(events(outcome).map(({ type }) => type))
  assert.deepEqual([...types].toSorted(), [
    ...["bar", "execution", "order", "price_band", "quote", "status", "trade"],
    ...["trade_cancel", "trade_correction"],
  ])
  assert.match(outcome.err, /^decode: frames \d+, .*undecoded 0\n$/)
})

Deno.test("decode says in one line that a file is missing or is none", async () => {
  assert.deepEqual(await decode("--venue", "binance", "/nowhere/frames.jsonl"), {
    code: 1,
    out: "",
    err: "decode: cannot open /nowhere/frames.jsonl: there is no such file\n",
  })
  const folder = await Deno.makeTempDir()
  const { code, err } = await decode("--venue", "binance", folder)
  await Deno.remove(folder)
  assert.deepEqual([code, err], [1, `decode: cannot open ${folder}: it is a folder\n`])
})

Deno.test("decode explains itself", async () => {
  const { code, out } = await decode("--help")
  assert.equal(code, 0)
  for (const part of ["usage: deno task decode", "--venue NAME", "--book", "FILE", "gzip"]) {
    assert.ok(out.includes(part))
  }
})
